# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import STDERR, STDOUT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import duration
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job, async_job_status
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import note, read_record, shown
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    SCHEMA_VERSION,
    Record,
    dump,
    new_write_id,
    storable,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once, policies
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import claimed_record, has_moved
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED, GOES_ON
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked, Look, of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask, LaunchFailed

# How much longer than the time limit of a job to wait for it, in seconds: Ansible's watcher looks every few seconds.
_MORE_THAN_LIMIT = 30


class ActionModule(AttemptAction):
    """The module C(async_job): start the job, or attach to it, or tell its result."""

    spec = async_job.ARGUMENT_SPEC

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        task = self._task
        if task.async_val:
            # The retries of `until` each make an action anew, for the same task. The last one holds the attempts that it has claimed.
            task._of_async_job = task.async_val, task.poll, set()
        limit, poll, claimed = getattr(task, "_of_async_job", (0, 0, set()))
        self._limit: int = limit
        self._poll: int = poll
        self._claimed: set[str] = claimed
        # From here on, this is no background task. Ansible would wait for it in its own way, and remove the results file; what else we
        # run on the host would carry the marker of background jobs; and some releases refuse such a task in check mode.
        task.async_val = 0
        return super().run(tmp, task_vars)

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        if not self._limit:
            raise AsyncJobError("This task needs the keyword 'async': the time limit of the job in seconds. Nothing was started.")
        self._p = params
        self._key = JobKey(params["host"], params["playbook_name"], params["job_name"])
        self._store = open_store(params, self.notify)
        self._inner = InnerTask(self, self._task.args["task"], self._limit)
        self._fingerprint = "" if self._task.no_log else params["fingerprint"] or self._inner.fingerprint
        self._about: Record = {"timeout": self._limit, "tail_size": params["tail_size"]}
        if self._fingerprint:
            self._about["fingerprint"] = self._fingerprint
        if params["metadata"] is not None:
            self._about["metadata"] = storable(params["metadata"], name="metadata")
        before, version = read_record(self._store, self._key)
        if self._task.check_mode:
            return self._predict(before, version)
        self._found: tuple[Record | None, Version] | None = (before, version)
        self._attached = False
        try:
            answer = self._start_and_wait()
        except LaunchFailed as failure:
            message = f"{str(failure).rstrip('.')}. Nothing was started."
            return {**failure.result, "failed": True, "changed": False, "msg": message}
        after = answer["record"]
        where = self._store.locate(self._key.path)
        answer.update(
            changed=after.get("attempt_dir") in self._claimed,
            diff={"before_header": where, "after_header": where, "before": shown(before), "after": shown(after)},
        )
        if after.get("no_log"):
            answer["_ansible_no_log"] = True
        return answer

    # --- Start or attach, look, start anew

    def _start_and_wait(self) -> dict[str, t.Any]:
        warnings: list[str] = []
        while True:
            record, version, ours = self._start_or_attach()
            self._attached = True
            if record.get("status") in ENDED:
                look = self._stored(record)
            else:
                asked = of_record(self._key, record, version, self._p, self.async_dir)
                self._check_place(record)
                if ours and not self._poll:  # seen a moment ago
                    return self._answer(record, {**UNSEEN, "status": "running", "reason": f"{asked.label} has been started"})
                look = self._look_at(asked)
                record, version = asked.record or record, asked.version
            if look["status"] in ENDED and not self._p["keep_output"]:
                record = self._remove_output(record, version, warnings)
            decision = self._decide({**record, "status": look["status"]})
            if decision.refusal:
                return self._refused(record, look, decision)
            if decision.wait and self._poll:
                self.notify(f"{self._key}: {_next_attempt(record, decision)}.")
                time.sleep(decision.wait)
            elif not decision.start:
                answer = self._answer(record, look)
                answer["warnings"] += warnings + ([f"The {self._key}: {decision.warning}"] if decision.warning else [])
                if decision.wait:
                    answer.update(finished=False, failed=False, reason=f"{look['reason']}; {_next_attempt(record, decision)}")
                    answer["msg"] = answer["reason"]
                return answer

    def _look_at(self, asked: Asked) -> Look:
        output = "tail" if asked.in_files else "full"
        params = {**self._p, "output": output, "store_output": True}
        if self._poll:
            params.update(wait_timeout=self._limit + _MORE_THAN_LIMIT, wait_interval=self._poll)
            return self.wait(params, self._store, [asked])[0]
        return self.look_and_note(params, self._store, [asked], output)[0]

    def _remove_output(self, record: Record, version: Version, warnings: list[str]) -> Record:
        """Remove the directory of an attempt that has ended, once. Returns the record, which says so then."""
        if record.get("output_removed") or not record.get("attempt_dir"):
            return record
        try:
            self._check_place(record)
            problem = self.remove(record, self._p["look_timeout"])
        except (AnsibleConnectionFailure, AsyncJobError) as error:
            problem = f"{record['attempt_dir']} is still there: {error}"
        if problem:
            warnings.append(problem)
            return record
        noted, _version = note(self._store, self._key, record, version, {"output_removed": True})
        return noted if noted["ansible_job_id"] == record["ansible_job_id"] else record

    def _check_place(self, record: Record) -> None:
        """Make sure that this task has gone to the host where the attempt lives."""
        place = record.get("delegated_host", self._key.host)
        if record.get("attempt_dir") and self.host != place:
            raise AsyncJobError(
                f"The {self._key} was started on {place}, and this task has gone to {self.host}. Nothing was started. Say 'delegate_to:"
                f" {place}', or run it there."
            )

    def user_for(self, job: Asked) -> str:
        return self.user_of(job.record or {})

    def _decide(self, record: Record) -> policies.Decision:
        """What to do about a job of which there is this record."""
        ours = record.get("attempt_dir") in self._claimed
        fingerprint = "" if record.get("no_log") else self._fingerprint
        return policies.decide(record, self._p, fingerprint, ours=ours, now=time.time())

    def _again(self, record: Record) -> bool:
        return self._decide(record).start

    def _start_or_attach(self) -> tuple[Record, Version, bool]:
        """The record of a job that has been started, and whether we have done that just now."""
        steps = exactly_once.start_or_attach(self._claim, self._again)
        begun = set(self._claimed)
        answer: t.Any = None
        error: Exception | None = None
        try:
            while True:
                step = steps.throw(error) if error else steps.send(answer)
                answer, error = None, None
                try:
                    answer = self._do(step)
                except Exception as problem:
                    error = problem
        except StopIteration as stop:
            record, version = stop.value
            return record, version, record.get("attempt_dir") in self._claimed - begun
        except exactly_once.NotStarted:
            raise AsyncJobError(
                f"Ansible said that the {self._key} was started, but nothing of it was found on {self.host}. It was not started, and will"
                " not be. The disk may be full."
            ) from None

    # --- The steps of the protocol

    def _do(self, step: t.Any) -> t.Any:
        seconds = self._p["look_timeout"]
        if isinstance(step, exactly_once.Read):
            found, self._found = self._found or read_record(self._store, self._key), None
            if found[0] is None and self._attached:
                raise AsyncJobError(
                    f"The record of the {self._key} was removed while this task waited for its next attempt: somebody has pruned or"
                    " forgotten it. Nothing more was started. Run the playbook once more, and the job counts as never started."
                )
            if found[0] is not None and found[0].get("status") == "prepared" and not found[0].get("attempt_dir"):
                raise AsyncJobError(
                    f"The record {self._store.locate(self._key.path)} cannot be used: its status is 'prepared', and attempt_dir is missing."
                    " Nothing was changed and nothing was started. Put back a good copy; or, once you are sure that its job does not run,"
                    " remove it."
                )
            return found
        if isinstance(step, exactly_once.Write):
            return self._write(step.record, step.expect)
        if isinstance(step, exactly_once.Restore):
            return self._restore(step.before, step.expect)
        if isinstance(step, exactly_once.Watch):
            return has_moved(
                step.record,
                lambda: read_record(self._store, self._key)[1] != step.version,
                life=self._p["claim_timeout"],
                notify=lambda line: self.notify(f"{self._key}: {line}"),
            )
        if isinstance(step, exactly_once.Prepare):
            self.become_user("")
            place = self.prepare(self._key, seconds)
            if self._inner.is_command:
                place.update({f"{stream}_file": f"{place['attempt_dir']}/{stream}" for stream in (STDOUT, STDERR)})
            self._claimed.add(place["attempt_dir"])
            return place
        if isinstance(step, exactly_once.MakeDirectory):
            return self.make_directory(step.record, seconds)
        if isinstance(step, exactly_once.Launch):
            return self.launch(self._inner, step.record, self._p["start_timeout"])
        self._check_place(step.record)
        self.become_user(self.user_of(step.record))
        try:
            return self.inspect(step.record, seconds) if isinstance(step, exactly_once.Inspect) else self.fence(step.record, seconds)
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(
                f"{self.host} is unreachable, so nobody can tell whether the {self._key} was started"
                f" ({step.record['attempt_dir']}). Nothing more was started. Run the playbook once more when the host is back. {error}"
            ) from error

    def _claim(self, before: Record | None) -> Record:
        record = claimed_record(before, self._key, self._about, no_log=bool(self._task.no_log))
        if before is None or before.get("status") not in CLAIMED:
            record["first_attempt"] = policies.first_attempt(before, self._fingerprint)
        if record.get("no_log") or not self._fingerprint:  # an attempt that was given up may have left one
            record.pop("fingerprint", None)
        return record

    def _write(self, record: Record, expect: str) -> Version | None:
        if record["ansible_job_id"]:
            record["results_file"] = f"{record['attempt_dir']}/{record['ansible_job_id']}"
        if record["status"] not in CLAIMED:
            record.pop("claim", None)
        if record["status"] in ENDED:
            record["end"] = _times.now()
        record.update(schema_version=SCHEMA_VERSION, save_time=_times.now(), write_id=new_write_id())
        try:
            return self._store.write(self._key.path, dump(record), expect=Version(expect))
        except Conflict:
            return exactly_once.CONFLICT
        except AsyncJobError as error:
            if record["ansible_job_id"]:
                raise AsyncJobError(
                    f"{error} The {self._key} was started on {self.host} as {record['ansible_job_id']}. Its record does not say so yet: run"
                    " the playbook once more when the store is back, and the job is found."
                ) from error
            raise

    def _restore(self, before: Record | None, expect: str) -> t.Any:
        try:
            if before is not None:
                return self._store.write(self._key.path, dump(before), expect=Version(expect))
            self._store.delete(self._key.path, expect=Version(expect))
        except Conflict:
            return exactly_once.CONFLICT
        return True

    # --- What to say

    def _stored(self, record: Record) -> Look:
        """What the record says of a job that has ended."""
        result = record.get("result", {})
        label = f"job {self._key.job_name!r} on {self._key.host}"
        return {
            **UNSEEN,
            "status": record["status"],
            "reason": record.get("reason") or f"{label}: {record['status']}",
            "result": {name: value for name, value in result.items() if name not in ("stdout", "stderr", "progress")},
            "progress": result.get("progress"),
            "results_file": record.get("results_file", ""),
            "end": record.get("end", ""),
            "elapsed": duration(result),
            **{name: str(result.get(name, "")) for name in ("stdout", "stderr")},
        }

    def _answer(self, record: Record, look: Look) -> dict[str, t.Any]:
        answer = async_job_status.returned(record["ansible_job_id"], look)
        answer.update(
            job_name=self._key.job_name,
            attempt=record.get("attempt", 1),
            record=record,
            state_file=self._store.locate(self._key.path),
            results_file=look["results_file"] or record.get("results_file", ""),
        )
        answer["warnings"] += self._store.warnings
        if answer["failed"] and look["status"] in ENDED:
            answer["msg"] = f"{answer['msg'].rstrip('.')}. {self._what_next(look['status'], answer['attempt'])}"
        elif self._poll and look["status"] in GOES_ON:
            answer.update(failed=True, msg=f"{look['reason']}. It has not ended within its time limit of {self._limit} seconds.")
        return answer

    def _refused(self, record: Record, look: Look, decision: policies.Decision) -> dict[str, t.Any]:
        return {**self._answer(record, look), "failed": True, "changed": False, "msg": f"The {self._key}: {decision.refusal}"}

    def _what_next(self, status: str, attempt: int) -> str:
        if status not in self._p["restart_on"]:
            return f"It is not started anew unless restart_on has '{status}', or its record is removed."
        if self._p["max_attempts"] is not None:
            return f"This was attempt {attempt}, and max_attempts is {self._p['max_attempts']}."
        return "The next run of this task starts it anew."

    def _predict(self, record: Record | None, version: Version) -> dict[str, t.Any]:
        """What would be done, by what the record says. The host is not contacted."""
        where = self._store.locate(self._key.path)
        common: dict[str, t.Any] = {
            "job_name": self._key.job_name,
            "state_file": where,
            "record": record or {},
            "warnings": self._store.warnings,
            # Later tasks use it.
            **{"stdout": "", "stderr": "", "stdout_lines": [], "stderr_lines": []},
        }
        decision = policies.Decision(start=True) if record is None else self._decide(record)
        if record is not None and decision.refusal:
            return self._refused(record, self._stored(record), decision)
        if decision.start:
            after = {name: value for name, value in self._claim(record).items() if name != "claim"}
            why = decision.why and f", because {decision.why}"
            return {
                **common,
                "changed": True,
                "attempt": after["attempt"],
                "status": "starting",
                "msg": f"would start attempt {after['attempt']} of the {self._key}{why}",
                "reason": f"the {self._key} would be started",
                "diff": {"before_header": where, "after_header": where, "before": shown(record), "after": shown(after)},
            }
        record = record or {}
        attempt, status = record.get("attempt", 1), record.get("status", "running")
        if decision.warning:
            common["warnings"] = [*self._store.warnings, f"The {self._key}: {decision.warning}"]
        if decision.wait:
            reason = f"the {self._key}: {status}; {_next_attempt(record, decision)}"
            return {**common, "changed": False, "attempt": attempt, "status": status, "msg": f"would wait: {reason}", "reason": reason}
        if status in ENDED:
            return {**self._answer(record, self._stored(record)), "changed": False}
        return {
            **common,
            "changed": False,
            "attempt": attempt,
            "status": status,
            "ansible_job_id": record["ansible_job_id"],
            "started": status not in CLAIMED,
            "msg": f"would attach to attempt {attempt}, {status}",
            "reason": f"the {self._key}: {status}, as last recorded",
        }


def _next_attempt(record: Record, decision: policies.Decision) -> str:
    return f"attempt {record.get('attempt', 1) + 1} starts in {_times.clock(decision.wait + 0.999)} (backoff), because {decision.why}"
