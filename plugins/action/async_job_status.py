# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_status
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import merged, status_to_act_on
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED, GOES_ON
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_text
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._stats import with_stats
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import WatchingAction


class ActionModule(WatchingAction):
    """The module C(async_job_status): it finds the records, asks the host once, and writes back what was learned."""

    programs = (*WatchingAction.programs, "_host.erase")
    spec = async_job_status.ARGUMENT_SPEC
    mutually_exclusive = async_job_status.MUTUALLY_EXCLUSIVE
    required_one_of = async_job_status.REQUIRED_ONE_OF

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        store, asked = self.asked(params)
        seen: list[Seen] | None = None
        if params["jid"] is not None and not self.is_windows:
            store, asked, seen = self.found_by_job_id(params, asked[0])
        if params["mode"] == "cleanup":
            return self._clean_up(params, store, asked)
        for job in asked:
            if job.key is not None and "store_result" in (job.record or {}) and job.key[:2] == self._play_of_task():
                # It returns what has changed, in the place of the task that has started the job.
                job.tells = lambda: uuid.uuid4().hex if self.is_heard else ""
        is_chosen = params["output"] is not None
        if not is_chosen:
            in_files = any(job.in_files for job in asked)
            params["output"] = "tail" if in_files or params["job_names"] is not None else "full"
        if params["wait_timeout"] > 0 and (seen is None or seen[0]["status"] in GOES_ON):
            looks = self.wait(params, store, asked)
        else:
            looks = seen or self.look_and_note(params, store, asked, params["output"])
        answers = [self._answer(store, job, look, waited=params["wait_timeout"]) for job, look in zip(asked, looks, strict=True)]
        answer = answers[0] if params["job_names"] is None else _together(answers)
        if not is_chosen or params["output"] == "full":
            answer["warnings"] += async_job_status.cut_output(answers)
        if any(job.secret for job in asked):
            answer["_ansible_no_log"] = True
        if not self._task.check_mode:
            answer = with_stats(answer, answers, params["set_stats"], secret=bool(self._task.no_log))
        return async_job_status.of_a_loop(answer) if self.in_loop else answer

    def _play_of_task(self) -> tuple[str, str]:
        return str(self._task_vars["inventory_hostname"]), str(self._task_vars["ansible_play_name"])

    def _clean_up(self, params: dict[str, t.Any], store: Store | None, asked: list[Asked]) -> dict[str, t.Any]:
        """Remove the results file, as C(async_status) does. The record stays, and has the result before its file goes."""
        if len(asked) > 1:
            raise AsyncJobError("mode 'cleanup' takes one job at a time. Nothing was removed. Give job_name, and loop over the names.")
        [job] = asked
        if job.problem:
            raise AsyncJobError(f"{job.label}: {job.problem}. Nothing was removed.")
        if job.record is not None:
            [look] = self.look_and_note(params, store, [job], "tail")
            if look["status"] not in ENDED:
                raise AsyncJobError(f"{look['reason']}. Nothing was removed: nobody would learn any more how it ends.")
        self.users.become(self.user_for(job))
        arguments = {"job": self.described(job), "check_mode": self._task.check_mode}
        done = self.on_host("_host.erase", arguments, timeout=params["look_timeout"])
        return {"changed": False, "ansible_job_id": job.job_id, "erased": heard_text(done.get("erased"))}

    def _answer(self, store: Store | None, job: Asked, look: Seen, *, waited: int) -> dict[str, t.Any]:
        answer = async_job_status.returned(job.job_id, look, secret=bool(job.secret or self._task.no_log))
        if waited and look["status"] in GOES_ON:
            text = f"{look['reason']}. It has not ended within the {waited} seconds of wait_timeout. Run again to go on waiting."
            answer.update(failed=True, msg=text)
        if store is not None and job.key is not None:
            answer.update(job_name=job.key.job_name, record=job.record, state_file=store.locate(job.key.path))
            answer["policy_status"] = status_to_act_on(merged(job.record or {}, {"status": look["status"]}))
            answer["warnings"] += store.warnings
        return answer


def _together(answers: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return what the module returns for a list of names."""
    failed = [answer for answer in answers if answer["failed"]]
    together: dict[str, t.Any] = {
        "changed": any(answer["changed"] for answer in answers),
        "finished": all(answer["finished"] for answer in answers),
        "started": True,
        "failed": bool(failed),
        "warnings": [warning for answer in answers for warning in answer.pop("warnings")],
        "jobs": answers,
    }
    if failed:
        # The message of a module does not tell whose it is.
        together["msg"] = " ".join(
            f"{answer['msg'] if answer['status'] in GOES_ON else answer['status'] + ': ' + answer['reason']}.".replace("..", ".")
            for answer in failed[:3]
        )
        if len(failed) > 3:
            together["msg"] += f" And {len(failed) - 3} more."
    return together
