# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_state
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import OWN_WORK, Record, marked_key, merged, place_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_user_name
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import is_of_other_store, told
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import HostAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._secrets import check_metadata

# What it means that a host still knows of an attempt.
_NO_MATTER = "If that has ended, it is no matter. If it runs, the next start finds it (on_foreign)."
# How long the host may take to forget a job, in seconds.
_PATIENCE = 30


class ActionModule(HostAction):
    """The module C(async_job_state), in the process of the controller. The host is contacted only to make it forget a job."""

    _requires_connection = False
    programs = ()
    spec = async_job_state.ARGUMENT_SPEC
    begins_with_names = True
    of_role = ("results_file", "become_user", "stdout_file", "stderr_file")

    def arguments(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        args = super().arguments(task_vars)
        if isinstance(args.get("metadata"), str) and self.role == "async_job_save" and "async_job_save_metadata" in task_vars:
            # Before 2.19, a template makes a text of a dictionary that holds a date. The variable itself is still whole.
            args["metadata"] = self._templar.template(task_vars["async_job_save_metadata"])
        return args

    def validated(self, spec: Spec, args: dict[str, t.Any]) -> dict[str, t.Any]:
        try:
            return super().validated(spec, args)
        except AnsibleActionFail as error:  # also from ansible-core 2.18, of a dictionary that holds a date
            problem = str(error)
        job_id = args.get("ansible_job_id")
        if job_id:
            problem += f" {async_job_state.not_saved(job_id)}"
        raise AnsibleActionFail(problem)  # not while the other one is handled: older cores would print a traceback

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        become = self._connection.become
        if become is not None and params["ansible_job_id"] is not None and params["become_user"] is None:
            user = become.get_option("become_user")
            if is_user_name(user):  # C(become_user: "#1000") works for sudo, and is no name that a record may have
                params["become_user"] = user
        warnings = check_metadata(self._task.args.get("metadata"), no_log=bool(self._task.no_log))
        if params["state"] == "absent" and not params["force"]:
            self._refuse_needed(params)
        result = async_job_state.run(
            params,
            check_mode=self._task.check_mode,
            async_dir=self.async_dir,
            notify=self.notify,
            started_by=self.started_by() if params["ansible_job_id"] is not None else None,
        )
        if self.ara.is_active and result["record"] and result["changed"]:
            self.ara.tell(open_store(params, self.notify), result["record"])
        if params["state"] == "absent" and result["changed"] and not self._task.check_mode:
            warnings += self._forget_on_host(json.loads(result["diff"]["before"]), open_store(params, self.notify).locate())
        return {**result, "warnings": [*warnings, *result["warnings"]]}

    def _refuse_needed(self, params: dict[str, t.Any]) -> None:
        """Raise if without the record of a job, its run would execute the same attempt once more."""
        # Compiled when it is needed: what saves a job does not.
        from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import goes_on

        key = JobKey(params["host"], params["playbook_name"], params["job_name"])
        store = open_store(params, self.notify)
        record, _version = read_record(store, key)
        why = "" if record is None else goes_on(store, record)
        if why:
            raise AsyncJobError(
                f"The {key}: {why.rstrip('.')}. Nothing was changed. Wait until that has ended, or cancel it; or, if it may be executed"
                " once more, say 'force: true' beside 'state: absent'."
            )

    def _forget_on_host(self, record: Record, store: str) -> list[str]:
        """Let the host forget the last attempt of a job whose record was removed. Return a warning if it does not.

        :arg store: the place of the store where it was
        """
        attempts = t.cast("list[Record]", [record, *record.get("attempts", [])])
        flaw = flaw_of(record)
        if flaw:
            why = f"its record could not be used: {flaw}"
            return [f"Its host was not asked to forget the last attempt of the job, because {why}. {_NO_MATTER}"]
        newest_first = [attempt for attempt in (record, *attempts[:0:-1]) if attempt.get("attempt_dir") and not flaw_of(attempt)]
        own = [attempt["attempt_dir"] for attempt in newest_first if not is_of_other_store(attempt, store)]
        warnings = self._forget_own(record, own) if own else []
        if newest_first and is_of_other_store(newest_first[0], store):  # with a record of its own there
            newest = newest_first[0]
            from_where = told(merged(newest, {"host": record["host"]}))
            return [self._still_knows(record, newest["attempt_dir"], f"it was started {from_where}"), *warnings]
        return warnings

    @staticmethod
    def _still_knows(record: Record, attempt: str, problem: str) -> str:
        matter = _NO_MATTER
        if record.get("claim", {}).get(OWN_WORK):  # of which the host cannot tell whether it has ended
            matter = "The next start finds it there, and is refused. To start it all the same, say 'on_foreign: ignore'."
        return f"{place_of(record)} still knows of the last attempt of the job ({attempt}): {problem.rstrip('.')}. {matter}"

    def _forget_own(self, record: Record, attempts: list[str]) -> list[str]:
        """Do that for the attempts of this store, by their directories."""
        if not self.is_here(record):
            problem = "this task does not run there"
        else:
            problem = self.users.lacking(record)
            failure = "" if problem else self._forget(record, attempts)
            if failure:  # it was told, and may do so as soon as it can
                return [
                    f"Nobody knows whether {place_of(record)} still knows of the last attempt of the job ({attempts[0]}):"
                    f" {failure.rstrip('.')}. If that has ended, it is no matter. If it runs, the next start may not find it, and start a"
                    " second one. Make sure that it has ended."
                ]
        return [self._still_knows(record, attempts[0], problem)] if problem else []

    def _forget(self, record: Record, attempts: list[str]) -> str:
        """Let the host forget a job. Return why it does not."""
        user = record.get("become_user") or record.get("remote_user") or ""
        try:
            for directory in dict.fromkeys(map(os.path.dirname, attempts)):
                forget = [{"key": marked_key(record).path, "attempts": attempts, "user": user if is_user_name(user) else ""}]
                self.on_host("_host.noted", {"directory": directory, "forget": forget}, timeout=_PATIENCE)
        except (AsyncJobError, AnsibleError) as error:
            return str(error)
        return ""
