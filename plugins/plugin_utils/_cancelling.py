# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stops jobs: who does that is noted, then it is done on the host, and then that is noted.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_status
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import note, put_back, withdraw, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import OWN_WORK, Fields, Record, dump, merged, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import holder_is_gone
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, CLAIMED, ENDED, RESTARTABLE
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Document, Store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._awx import started_by
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_look, heard_processes
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import WatchingAction

# What is said of a job holds it, and is read by many.
_LONGEST_REASON = 4096


class CancellingAction(WatchingAction):
    """An action that can stop a job."""

    def cancel(self, params: dict[str, t.Any], store: Store | None, asked: Asked) -> dict[str, t.Any]:
        """Stop a job. Return what C(async_job_cancel) does.

        :arg params: C(reason), C(grace_period) and C(look_timeout)
        :raises AsyncJobError: if nothing was stopped
        """
        if asked.problem:
            raise AsyncJobError(f"{asked.label}: {asked.problem}. Nothing was stopped.")
        record = asked.record or {}
        if store is not None and asked.key is not None and record.get("status") == "starting" and record.get("claim", {}).get("waits"):
            return self._cancel_waiting(params, store, asked.key, asked)
        if asked.without_contact:
            raise AsyncJobError(f"{asked.without_contact['reason']}. Nothing was stopped. Cancel it as soon as it runs.")
        if self.is_windows:
            raise AsyncJobError(f"{asked.label} runs on Windows, where this module cannot tell what belongs to it. Nothing was stopped.")
        if len(params["reason"] or "") > _LONGEST_REASON:
            raise AsyncJobError(f"reason is longer than {_LONGEST_REASON} characters. Nothing was stopped. Shorten it.")
        by = {"who": started_by(self._task_vars)["who"], "time": _times.now(), "reason": params["reason"] or ""}
        secret = bool(asked.secret or self._task.no_log)
        if secret:
            _ansible.hide_from_log(self)
        self.users.become(self.user_for(asked))
        before = asked.record
        done = self._has_succeeded(params, asked)
        if done is None:
            self._note_intent(store, asked, by)
        try:
            look, stopped = self._cancel(params, asked, by) if done is None else (done, [])
        except AnsibleConnectionFailure:
            self._take_back(store, asked, before, by)  # should it have begun all the same, the host notes that
            raise
        except AsyncJobError as error:
            self._take_back(store, asked, before, by)
            if before is not None and before.get("status") in CLAIMED:
                action = before.get("claim", {}).get(OWN_WORK)
                if action:
                    instead = "" if holder_is_gone(before) else " Stop the run that has started it."
                    raise AsyncJobError(
                        f"{asked.being_started['reason']}. {action} does its work itself, and may be at it. Nothing was stopped: nothing on"
                        f" the host tells what belongs to it.{instead}"
                    ) from error
                raise AsyncJobError(f"{asked.being_started['reason']}. {error} Cancel it as soon as it runs.") from error
            advice = asked.advice(self.host)
            raise AsyncJobError(f"{error} {advice[0].upper()}{advice[1:]}." if advice else str(error)) from error
        secret = secret or look["secret"]
        asked.remember(look)
        changed = bool(stopped)
        attempt = (asked.record or {}).get("attempt", 1)
        if not changed:
            look = asked.settled(look, contacted=self.host)
            if look["status"] == "unknown" or (look["status"] == "lost" and asked.key is None):
                self._take_back(store, asked, before, by)
                raise AsyncJobError(f"{look['reason']}. Nothing was stopped.")
        ordered = not changed and _may_be_started_anew(asked, look)
        problem = ""
        if store is not None and asked.key is not None and asked.record is not None and not self._task.check_mode:
            knows = look["status"] in ENDED and asked.record.get("status") == look["status"]
            learned: Fields = {} if knows else asked.learned(look, secret=secret)  # it sees less than who has noted the end
            if changed or ordered:
                learned.update(cancelled=by, cancelling=None)
            elif asked.record.get("cancelling") == by:  # that of another one stands
                learned["cancelling"] = None
            learned.update(self.ara.of_end(asked.record, learned))
            asked.record, asked.version = note(store, asked.key, asked.record, asked.version, learned)
            self.ara.tell(store, asked.record)
            if asked.version == ABSENT:
                what = f"{len(stopped)} processes were stopped" if changed else "nothing was stopped"
                problem = (
                    f"The record of {asked.key} was removed meanwhile, and {what}. The job counts as never started: the next run of its"
                    " playbook starts it. Put the record back if you can, and cancel the job once more."
                )
            elif asked.record["ansible_job_id"] != asked.job_id:
                what = f"only attempt {attempt} was stopped" if changed else "nothing was stopped"
                problem = overtaken(asked, asked.record, what)
            elif asked.is_attempt and look["status"] in ENDED and not knows:
                self._note_output(params, store, asked)
        ordered = ordered and not problem
        if ordered:
            look = {**look, "reason": f"{look['reason']}. It is not started anew from now on, unless restart_on has 'cancelled'"}
        answer = {
            name: value
            for name, value in async_job_status.returned(asked.job_id, look, secret=secret).items()
            if name in ("ansible_job_id", "finished", "results_file", "status", "reason", "processes", "warnings")
        }
        answer.update(changed=changed or ordered, stopped=stopped)
        if problem:
            answer.update(failed=True, msg=problem)
        if secret:
            answer["_ansible_no_log"] = True
        if store is not None and asked.key is not None:
            answer.update(job_name=asked.key.job_name, record=asked.record, state_file=store.locate(asked.key.path))
            answer["warnings"] += store.warnings
        return answer

    def _cancel_waiting(self, params: dict[str, t.Any], store: Store, key: JobKey, asked: Asked) -> dict[str, t.Any]:
        """Make a job not begin that waits for a semaphore: whoever has claimed it fails at the next write, before the host is touched."""
        by = {"who": started_by(self._task_vars)["who"], "time": _times.now(), "reason": params["reason"] or ""}
        reason = f"{asked.label} was cancelled by {by['who']} before it began{': ' if by['reason'] else ''}{by['reason']}"
        about: Fields = {"status": "cancelled", "cancelled": by, "reason": reason, "end": by["time"], "told": ""}
        record = merged(without(t.cast("Record", asked.record), ("claim",)), about)
        if not self._task.check_mode:
            try:
                asked.record, asked.version = write_record(store, key, record, expect=asked.version)
            except Conflict:
                raise AsyncJobError(f"{asked.label} is just beginning. Nothing was stopped. Cancel it once more.") from None
        return {
            **{"changed": True, "stopped": [], "ansible_job_id": "", "finished": True, "status": "cancelled", "reason": reason},
            **{"processes": [], "results_file": "", "job_name": record["job_name"], "record": asked.record},
            **{"state_file": store.locate(key.path), "warnings": store.warnings},
        }

    def _has_succeeded(self, params: dict[str, t.Any], asked: Asked) -> Seen | None:
        """Return what is seen of a job that has ended with another return code than 0, which means that it has succeeded. The host does not
        know that, and would stop what it has left behind."""
        if not (asked.record or {}).get("success_codes"):
            return None
        [seen] = self.look([asked], output="tail", tail_size=0, timeout=params["look_timeout"])
        settled = asked.settled(seen, contacted=self.host)
        return seen if settled["status"] == "succeeded" else None

    def _cancel(self, params: dict[str, t.Any], asked: Asked, by: dict[str, t.Any]) -> tuple[Seen, list[dict[str, t.Any]]]:
        """Stop the job. Return what was seen of it at last, and what was stopped."""
        arguments = {
            "job": self.described(asked),
            "grace_period": params["grace_period"],
            "text": f"{asked.label} was cancelled by {by['who']}" + (f": {params['reason']}" if params["reason"] else ""),
            "by": by,
            "check_mode": self._task.check_mode,
        }
        done = self.on_host("_host.cancel", arguments, timeout=params["look_timeout"] + params["grace_period"])
        look = heard_look({**UNSEEN, **done["look"]} if isinstance(done.get("look"), dict) else None)
        return look, heard_processes(done.get("stopped"))

    def _note_intent(self, store: Store | None, asked: Asked, by: dict[str, t.Any]) -> None:
        """Note who is about to stop the job, before anything happens to it.

        :raises AsyncJobError: if that is not the attempt any more that the record is about. Nothing was stopped then
        """
        record = asked.record
        if store is None or asked.key is None or record is None or self._task.check_mode or record.get("status", "running") not in ALIVE:
            return
        noted, version = note(store, asked.key, record, asked.version, {"cancelling": by})
        if version == ABSENT:
            raise AsyncJobError(f"The record of {asked.key} was removed meanwhile. Nothing was stopped.")
        if noted["ansible_job_id"] != asked.job_id:
            raise AsyncJobError(overtaken(asked, noted, "nothing was stopped"))
        asked.record, asked.version = noted, version

    def _take_back(self, store: Store | None, asked: Asked, before: Record | None, by: dict[str, t.Any]) -> None:
        """Take the intent off the record: nothing came of that."""
        now = asked.record
        if store is None or asked.key is None or before is None or now is None or now.get("cancelling") != by:
            return
        others = {*now, *before} - {"cancelling", "save_time", "write_id"}
        try:
            if all(now.get(name) == before.get(name) for name in others):
                with contextlib.suppress(Conflict):
                    put_back(store, asked.key, Document(dump(before), ABSENT), expect=asked.version)
                    return
            withdraw(store, asked.key, by)  # others have noted more since
        except AsyncJobError as error:
            self.notify(f"{asked.key}: its record still says that somebody is cancelling it. {error}")

    def _note_output(self, params: dict[str, t.Any], store: Store, asked: Asked) -> None:
        """Note the end of the output of a job that has ended. If the host is away by now, that it has ended is noted all the same."""
        try:
            self.look_and_note({**params, "store_output": True, "tail_size": 0}, store, [asked], "tail")
        except (AnsibleConnectionFailure, AsyncJobError) as error:
            self.notify(f"{asked.key}: the end of its output was not noted: {error}")


def _may_be_started_anew(asked: Asked, look: Seen) -> bool:
    """Return whether a job has ended in a way after which a task of C(async_job) may start it anew, and nobody has cancelled it so far."""
    record = asked.record or {}
    return asked.is_attempt and look["status"] in ENDED and look["status"] in RESTARTABLE and not record.get("cancelled")


def overtaken(asked: Asked, record: Record, what: str) -> str:
    """Say that another attempt has begun, and what was done until then."""
    job_id = f" ({record['ansible_job_id']})" if record["ansible_job_id"] else ""
    return f"{asked.label}: attempt {record.get('attempt', 1)}{job_id} has begun meanwhile, and {what}. Cancel the job once more."
