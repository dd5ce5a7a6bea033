# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_cancel, async_job_status
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import note, whoami
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_look, heard_processes
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import HostAction


class ActionModule(HostAction):
    """The module C(async_job_cancel): it finds the record, stops the job on the host, and notes who did that."""

    programs = ("_host.cancel",)
    spec = async_job_cancel.ARGUMENT_SPEC
    mutually_exclusive = async_job_cancel.MUTUALLY_EXCLUSIVE
    required_one_of = async_job_cancel.REQUIRED_ONE_OF

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        store, [asked] = self.asked(params)
        if asked.problem:
            raise AsyncJobError(f"{asked.label}: {asked.problem}. Nothing was stopped.")
        if asked.without_contact:
            raise AsyncJobError(f"{asked.without_contact['reason']}. Nothing was stopped. Cancel it as soon as it runs.")
        if self.is_windows:
            raise AsyncJobError(f"{asked.label} runs on Windows, where this module cannot tell what belongs to it. Nothing was stopped.")
        by = {"who": whoami(), "time": _times.now(), "reason": params["reason"] or ""}
        text = f"{asked.label} was cancelled by {by['who']}" + (f": {params['reason']}" if params["reason"] else "")
        secret = bool(asked.secret or self._task.no_log)
        asked.keep(0)
        if secret:
            _ansible.hide_from_log(self)
        self.users.become(self.user_for(asked))
        done = self.on_host(
            "_host.cancel",
            {
                "job": self.described(asked),
                "grace_period": params["grace_period"],
                "text": text,
                "by": by,
                "check_mode": self._task.check_mode,
            },
            timeout=params["look_timeout"] + params["grace_period"],
        )
        look = heard_look({**UNSEEN, **done["look"]} if isinstance(done.get("look"), dict) else None)
        stopped = heard_processes(done.get("stopped"))
        secret = secret or look["secret"]
        changed = bool(stopped)
        if not changed:
            look = asked.settled(look, contacted=self.host)
            if look["status"] == "unknown" or (look["status"] == "lost" and asked.key is None):
                raise AsyncJobError(f"{look['reason']}. Nothing was stopped.")
        if store is not None and asked.key is not None and asked.record is not None and not self._task.check_mode:
            learned = asked.learned(look, secret=secret)
            if changed:
                learned["cancelled"] = by
            asked.record, asked.version = note(store, asked.key, asked.record, asked.version, learned)
        answer = {
            name: value
            for name, value in async_job_status.returned(asked.job_id, look, secret=secret).items()
            if name in ("ansible_job_id", "finished", "results_file", "status", "reason", "processes", "warnings")
        }
        answer.update(changed=changed, stopped=stopped)
        if secret:
            answer["_ansible_no_log"] = True
        if store is not None and asked.key is not None:
            answer.update(job_name=asked.key.job_name, record=asked.record, state_file=store.locate(asked.key.path))
            answer["warnings"] += store.warnings
        return answer
