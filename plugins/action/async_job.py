# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._answers import predicted
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import SEVERAL, InnerTask
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import KeptOnTask, Request
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._secrets import check_metadata
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._starter import Starter


class ActionModule(AttemptAction):
    """The module C(async_job): it starts the job, or attaches to it, or tells its result."""

    spec = async_job.ARGUMENT_SPEC
    warns_at_once = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task = self._task
        if task.async_val:
            task._of_async_job = KeptOnTask(task.async_val, task.poll)
        # From here on, this is no background task. Ansible would wait for it in its own way, and remove the results file; what else we
        # run on the host would carry the marker of background jobs; and some releases refuse such a task in check mode.
        task.async_val = 0
        return super().run(tmp, task_vars)

    def validated(self, spec: Spec, args: dict[str, t.Any]) -> dict[str, t.Any]:
        if isinstance(args.get("task"), (list, tuple)):
            raise AnsibleActionFail(f"task is a list. {SEVERAL}")
        return super().validated(spec, args)

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        kept: KeptOnTask | None = getattr(self._task, "_of_async_job", None)
        if kept is None:
            raise AsyncJobError("This task needs the keyword 'async': the time limit of the job in seconds. Nothing was started.")
        _ansible.refuse_other_runners(self)
        warnings = check_metadata(self._task.args.get("metadata"), no_log=bool(self._task.no_log))
        try:
            inner = InnerTask(self, self._task.args["task"], kept.limit)
        except AsyncJobError:
            if not self._task.no_log:
                raise
            raise AsyncJobError(
                "task: it cannot be started as a job, and no_log hides why. Nothing was started. Take no_log away once, with no secrets in"
                " it, to read more."
            ) from None
        store = open_store(params, self.notify)
        request = Request(
            params,
            store,
            kept,
            fingerprint=inner.fingerprint,
            secret=self._task.no_log,
            with_facts=not inner.is_command,
            own_work=inner.own_work,
        )
        answer = predicted(request, diff=self.wants_diff) if self._task.check_mode else Starter(request, inner, self).run()
        return {**answer, "warnings": [*warnings, *answer.get("warnings", ())]}
