# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._action import StoreAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._awx import user_name


class ActionModule(StoreAction):
    """The module C(async_job_approval), in the process of the controller."""

    spec = async_job_approval.ARGUMENT_SPEC
    required_if = async_job_approval.REQUIRED_IF
    texts = async_job_approval.TEXTS
    at_least: t.ClassVar[dict[str, float]] = {"expires_in": 0, "wait_timeout": 0, "wait_interval": 1}

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        if params["playbook_name"] is None and params["mode"] != "list":
            params["playbook_name"] = str(self._task_vars["ansible_play_name"])
        result = async_job_approval.run(params, check_mode=self._task.check_mode, notify=self.notify, awx_user=user_name(self._task_vars))
        lines = result.pop("lines", ())
        if lines and not self._task.no_log:
            self.show(harmless_lines("\n".join(lines)))
        return result
