# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_cancel
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._cancelling import CancellingAction, overtaken


class ActionModule(CancellingAction):
    """The module C(async_job_cancel): it finds the record, notes who is stopping the job, stops it on the host, and notes that."""

    programs = (*CancellingAction.programs, "_host.cancel")
    spec = async_job_cancel.ARGUMENT_SPEC
    mutually_exclusive = async_job_cancel.MUTUALLY_EXCLUSIVE
    required_one_of = async_job_cancel.REQUIRED_ONE_OF
    only_job_id = ""
    """The attempt that may be stopped, by its job id. Empty if the current one is meant, whichever that is."""

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        store, [asked] = self.asked(params)
        if params["jid"] is not None and not self.is_windows:
            store, [asked], _look = self.found_by_job_id(params, asked)
        if not asked.problem and self.only_job_id not in ("", asked.job_id):
            raise AsyncJobError(overtaken(asked, asked.record or {}, "nothing was stopped"))
        return self.cancel(params, store, asked)
