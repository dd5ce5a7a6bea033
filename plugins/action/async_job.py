# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job, async_job_status
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._answers import predicted
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import SEVERAL, InnerTask
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._job_list import check_list, elements, returned
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._left_behind import waiting
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import KeptOnTask, Request
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._secrets import check_metadata
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._starter import Starter
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._stats import with_stats
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._together import TogetherAction


class ActionModule(TogetherAction):
    """The module C(async_job): it starts jobs, or attaches to them, or tells their results."""

    spec = async_job.ARGUMENT_SPEC
    mutually_exclusive = async_job.MUTUALLY_EXCLUSIVE
    required_one_of = async_job.REQUIRED_ONE_OF
    begins_with_names = True
    warns_at_once = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task = self._task
        if task.async_val:
            task._of_async_job = KeptOnTask(task.async_val, task.poll)
            task._of_async_jobs = {}
        # From here on, this is no background task. Ansible would wait for it in its own way, and remove the results file; what else we
        # run on the host would carry the marker of background jobs; and some releases refuse such a task in check mode.
        task.async_val = 0
        return super().run(tmp, task_vars)

    def validated(self, spec: Spec, args: dict[str, t.Any]) -> dict[str, t.Any]:
        if isinstance(args.get("task"), (list, tuple)):
            raise AnsibleActionFail(f"task is a list. {SEVERAL}")
        return super().validated(spec, args)

    def arguments(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        args = super().arguments(task_vars)
        if args.get("jobs") is not None:
            check_list(args["jobs"])
        return args

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        kept: KeptOnTask | None = getattr(self._task, "_of_async_job", None)
        if kept is None:
            raise AsyncJobError("This task needs the keyword 'async': the time limit of the job in seconds. Nothing was started.")
        _ansible.refuse_other_runners(self)
        store = open_store(params, self.notify)
        if params["jobs"] is not None:
            return self._several(params, store, kept)
        warnings = check_metadata(self._task.args.get("metadata"), no_log=bool(self._task.no_log))
        request, inner = self._asked(params, store, kept, self._task.args["task"])
        answer = (
            predicted(request, diff=self.wants_diff, accepts=self.accepts) if self._task.check_mode else Starter(request, inner, self).run()
        )
        answer["warnings"] = [*warnings, *answer.get("warnings", ())]
        if not self._task.check_mode:
            answer = with_stats(answer, [answer], params["set_stats"], secret=bool(self._task.no_log), named=[params["store_result"]])
        if self.in_loop:
            is_start = answer.get("changed", False) and not kept.poll and answer.get("status") == "running"
            return async_job_status.of_a_loop(answer, is_start=is_start)
        if answer.get("failed"):  # Ansible prints all of it: who reads why it has failed would have to search
            answer.pop("record", None)
        return answer

    def _asked(self, params: dict[str, t.Any], store: Store, kept: KeptOnTask, task: t.Any) -> tuple[Request, InnerTask]:
        """Return what is asked for about one job, and the task to start as it."""
        try:
            inner = InnerTask(self, task, kept.limit)
        except AsyncJobError:
            if not self._task.no_log:
                raise
            raise AsyncJobError(
                "task: it cannot be started as a job, and no_log hides why. Nothing was started. Take no_log away once, with no secrets in"
                " it, to read more."
            ) from None
        request = Request(
            params,
            store,
            kept,
            fingerprint=inner.fingerprint,
            secret=self._task.no_log,
            with_facts=not inner.is_command,
            own_work=inner.own_work,
            started_by={**self.started_by(), **waiting(params, kept.poll)},
        )
        return request, inner

    def _several(self, params: dict[str, t.Any], store: Store, common: KeptOnTask) -> dict[str, t.Any]:
        """Do the same with a list of jobs. All are understood before any is started."""
        asked = elements(params, self._task.args["jobs"], self.at_least)
        warnings: list[str] = []
        requests: list[tuple[Request, InnerTask]] = []
        for number, (own, given) in enumerate(asked):
            kept = self._task._of_async_jobs.setdefault(own["job_name"], KeptOnTask(own.get("time_limit") or common.limit, common.poll))
            metadata = given.get("metadata", self._task.args.get("metadata"))
            warnings += check_metadata(metadata, no_log=bool(self._task.no_log))
            try:
                requests.append(self._asked(own, store, kept, given["task"]))
            except AsyncJobError as error:
                raise AsyncJobError(f"jobs[{number}] ({own['job_name']}): {error}") from error
        if self._task.check_mode:
            answers = [self._predicted(request) for request, _inner in requests]
        else:
            # A task with one job, and with many hosts, need not wait until this is compiled.
            from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._several import Several

            starters = [Starter(request, inner, self, alone=False) for request, inner in requests]
            most = params["max_parallel"] or len(starters)
            answers = Several(starters, self, store, params, poll=common.poll, most=most).run()
        result = returned(store, asked, answers)
        if not self._task.check_mode:
            named = [own["store_result"] for own, _given in asked]
            result = with_stats(result, answers, params["set_stats"], secret=bool(self._task.no_log), named=named)
        return {**result, "warnings": [*dict.fromkeys(warnings), *result["warnings"]]}

    def _predicted(self, request: Request) -> dict[str, t.Any]:
        """Return what check mode says of one of several jobs, whatever is wrong with its record."""
        try:
            return predicted(request, diff=self.wants_diff, accepts=self.accepts)
        except AsyncJobError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
