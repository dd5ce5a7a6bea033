# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a job or attach to it, wait for it, and start it anew as its policies say.

The protocol itself is in :mod:`exactly_once`; here its steps are done, with the store and the host of a task.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import STDERR, STDOUT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look_and_output import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import (
    note,
    put_back,
    read_document,
    read_record,
    shown,
    write_record,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import has_moved
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Document, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import plain_result
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._answers import answer_to, next_attempt, recorded, refusal_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked, of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask, LaunchFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import Request

# How much longer than the time limit of a job to wait for it, in seconds: Ansible's watcher looks every few seconds.
_MORE_THAN_LIMIT = 30


class Starter:
    """Does what one try of a task of C(async_job) asks for.

    :arg inner: the task to start as the job
    :arg action: what does things on the host, and speaks to the user
    """

    def __init__(self, request: Request, inner: InnerTask, action: AttemptAction) -> None:
        self._request = request
        self._key = request.key
        self._store = request.store
        self._params = request.params
        self._poll = request.kept.poll
        self._claimed = request.kept.claimed
        self._inner = inner
        self._action = action
        self._attached = False
        """Whether the job was started, or found to be, before: after that, its record does not vanish by itself."""
        self._document: Document | None = None
        """What the record was read from last. A claim that is taken back puts it back."""
        self._just_read: Record | None = None
        self._is_fresh = False
        """Whether the record was read for the diff only. The protocol begins with it."""

    def run(self) -> dict[str, t.Any]:
        """Start or attach until there is something to tell. Return what the module returns."""
        before, self._document = read_document(self._store, self._key)
        self._just_read, self._is_fresh = before, True
        try:
            answer = self._start_and_wait()
        except LaunchFailed as failure:
            said = "Ansible could not start it (no_log hides what it says)" if self._request.secret else str(failure).rstrip(".")
            return {**plain_result(failure.result), "failed": True, "changed": False, "msg": f"{said}. Nothing was started."}
        after = answer["record"]
        where = self._request.state_file
        answer.update(
            changed=self._request.is_ours(after),
            diff={"before_header": where, "after_header": where, "before": shown(before), "after": shown(after)},
        )
        if after.get("no_log") or self._request.secret:
            answer["_ansible_no_log"] = True
        return answer

    # --- One attempt after the other

    def _start_and_wait(self) -> dict[str, t.Any]:
        warnings: list[str] = []
        while True:
            record, version, ours = self._start_or_attach()
            self._attached = True
            if record.get("status") in ENDED:
                look = recorded(self._request, record)
            else:
                asked = of_record(self._key, record, version, self._params, self._action.async_dir)
                asked.hide(secret=bool(self._request.secret))
                self._check_place(record)
                if ours and not self._poll:  # seen a moment ago
                    return answer_to(self._request, record, {**UNSEEN, "status": "running", "reason": f"{asked.label} has been started"})
                look = self._look_at(asked)
                record, version = asked.record or record, asked.version
            if look["status"] in ENDED and not self._params["keep_output"]:
                record = self._remove_output(record, version, warnings)
            decision = self._request.decide({**record, "status": look["status"]})
            if decision.refusal:
                return refusal_of(self._request, record, look, decision)
            if decision.wait and self._poll:
                self._action.notify(f"{self._key}: {next_attempt(record, decision)}.")
                time.sleep(decision.wait)
            elif not decision.start:
                answer = answer_to(self._request, record, look)
                answer["warnings"] += warnings + ([f"The {self._key}: {decision.warning}"] if decision.warning else [])
                if decision.wait:
                    answer.update(finished=False, failed=False, reason=f"{look['reason']}; {next_attempt(record, decision)}")
                    answer["msg"] = answer["reason"]
                return answer

    def _look_at(self, asked: Asked) -> Seen:
        """Look at the job, once or until it has ended."""
        output = "tail" if asked.in_files else "full"
        params = {**self._params, "output": output, "store_output": True}
        if self._poll:
            params.update(wait_timeout=self._request.kept.limit + _MORE_THAN_LIMIT, wait_interval=self._poll)
            return self._action.wait(params, self._store, [asked])[0]
        return self._action.look_and_note(params, self._store, [asked], output)[0]

    def _remove_output(self, record: Record, version: Version, warnings: list[str]) -> Record:
        """Remove the directory of an attempt that has ended, once. Return the record, which says so then."""
        if record.get("output_removed") or not record.get("attempt_dir"):
            return record
        try:
            self._check_place(record)
            problem = self._action.remove(record, self._params["look_timeout"])
        except (AnsibleConnectionFailure, AsyncJobError) as error:
            problem = f"{record['attempt_dir']} is still there: {error}"
        if problem:
            warnings.append(problem)
            return record
        noted, _version = note(self._store, self._key, record, version, {"output_removed": True})
        return noted if noted["ansible_job_id"] == record["ansible_job_id"] else record

    def _check_place(self, record: Record) -> None:
        """Raise if this task has not gone to the host where the attempt lives."""
        place = record.get("delegated_host", self._key.host)
        if record.get("attempt_dir") and self._action.host != place:
            raise AsyncJobError(
                f"The {self._key} was started on {place}, and this task has gone to {self._action.host}. Nothing was started. Say"
                f" 'delegate_to: {place}', or run it there."
            )

    # --- The protocol

    def _start_or_attach(self) -> tuple[Record, Version, bool]:
        """Drive the protocol to its end. Return the record of a job that was started, and whether it was started just now."""
        steps = exactly_once.start_or_attach(self._request.claim, lambda record: self._request.decide(record).start)
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
            outcome: exactly_once.Outcome = stop.value
            return outcome.record, Version(outcome.version), outcome.record.get("attempt_dir") in self._claimed - begun
        except exactly_once.NotStarted:
            raise AsyncJobError(
                f"Ansible said that the {self._key} was started, but nothing of it was found on {self._action.host}. It was not started,"
                " and will not be. The disk may be full."
            ) from None

    def _do(self, step: exactly_once.Step) -> t.Any:
        """Do one step. Return the answer that the protocol waits for."""
        seconds = self._params["look_timeout"]
        match step:
            case exactly_once.Read():
                return self._read()
            case exactly_once.Write(record, expect):
                return self._write(record, Version(expect))
            case exactly_once.Restore(_before, expect):
                return self._restore(Version(expect))
            case exactly_once.Watch(record, version):
                return self._watch(record, version)
            case exactly_once.Prepare():
                return self._prepare(seconds)
            case exactly_once.MakeDirectory(record):
                self._action.make_directory(record, seconds)
                return None
            case exactly_once.Launch(record):
                self._action.launch(self._inner, record, self._params["start_timeout"])
                return None
            case exactly_once.Inspect(record):
                with self._where_it_lives(record):
                    return self._action.inspect(record, seconds)
            case exactly_once.Fence(record):
                with self._where_it_lives(record):
                    return self._action.fence(record, seconds)

    def _read(self) -> tuple[Record | None, Version]:
        if not self._is_fresh:
            self._just_read, self._document = read_document(self._store, self._key)
        self._is_fresh = False
        record = self._just_read
        if record is None and self._attached:
            raise AsyncJobError(
                f"The record of the {self._key} was removed while this task waited for its next attempt: somebody has pruned or"
                " forgotten it. Nothing more was started. Run the playbook once more, and the job counts as never started."
            )
        flaw = flaw_of(record) if record else ""
        if flaw:
            raise AsyncJobError(
                f"The record {self._request.state_file} cannot be used: {flaw}. Nothing was changed and nothing was started. Put back a"
                " good copy; or, once you are sure that its job does not run, remove it."
            )
        return record, ABSENT if self._document is None else self._document.version

    def _watch(self, record: Record, version: str) -> bool:
        return has_moved(
            record,
            lambda: read_record(self._store, self._key)[1] != version,
            life=self._params["claim_timeout"],
            notify=lambda line: self._action.notify(f"{self._key}: {line}"),
        )

    def _prepare(self, seconds: float) -> Fields:
        place = self._action.prepare(self._key, seconds)
        if self._inner.is_command:
            place.update({f"{stream}_file": f"{place['attempt_dir']}/{stream}" for stream in (STDOUT, STDERR)})
        self._claimed.add(place["attempt_dir"])
        return place

    @contextlib.contextmanager
    def _where_it_lives(self, record: Record) -> t.Iterator[None]:
        """Act on the host of the attempt, as a user who may. If the host is away, the error says what that means."""
        self._check_place(record)
        try:
            yield
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(
                f"{self._action.host} is unreachable, so nobody can tell whether the {self._key} was started"
                f" ({record['attempt_dir']}). Nothing more was started. Run the playbook once more when the host is back. {error}"
            ) from error

    def _write(self, record: Record, expect: Version) -> Version | None:
        if record["ansible_job_id"]:
            record["results_file"] = f"{record['attempt_dir']}/{record['ansible_job_id']}"
        if record["status"] not in CLAIMED:
            record.pop("claim", None)
        if record["status"] in ENDED:
            record["end"] = _times.now()
        try:
            written, version = write_record(self._store, self._key, record, expect=expect)
        except Conflict:
            return exactly_once.CONFLICT
        except AsyncJobError as error:
            if record["ansible_job_id"]:
                raise AsyncJobError(
                    f"{error} The {self._key} was started on {self._action.host} as {record['ansible_job_id']}. Its record does not say so"
                    " yet: run the playbook once more when the store is back, and the job is found."
                ) from error
            raise
        record.update(written)  # the protocol goes on with it
        return version

    def _restore(self, expect: Version) -> t.Any:
        try:
            put_back(self._store, self._key, self._document, expect=expect)
        except Conflict:
            return exactly_once.CONFLICT
        return True
