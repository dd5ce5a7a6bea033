# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_info
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._action import StoreAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import explain, flaw_of


class ActionModule(StoreAction):
    """The module C(async_job_info), in the process of the controller."""

    spec = async_job_info.ARGUMENT_SPEC
    begins_with_names = True
    mutually_exclusive = async_job_info.MUTUALLY_EXCLUSIVE

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        result = async_job_info.run(params, async_dir=self.async_dir, notify=self.notify, explain=explain)
        flaw = flaw_of(result["record"]) if result["record"] else ""
        if flaw:  # what is asked for by its name, is asked for in order to act upon it
            result.update(failed=True, msg=f"The record {result['state_file']} cannot be used: {flaw}. Put back a good copy.")
        return result
