# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_ara
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._action import StoreAction


class ActionModule(StoreAction):
    """The module C(async_job_ara), in the process of the controller."""

    spec = async_job_ara.ARGUMENT_SPEC

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        return async_job_ara.run(params, check_mode=self._task.check_mode, notify=self.notify)
