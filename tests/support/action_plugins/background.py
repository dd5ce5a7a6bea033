# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that starts a module in the background, as that of C(ansible.builtin.package) does. A test puts it beside its playbook."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Runs the command C(shell), with the module C(module) if that is to be another one than that of commands."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        self._supports_async = True
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = {"_raw_params": self._task.args["shell"], "_uses_shell": True}
        name = self._task.args.get("module", "ansible.legacy.command")
        done = self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars, wrap_async=self._task.async_val)
        return {**result, **done}
