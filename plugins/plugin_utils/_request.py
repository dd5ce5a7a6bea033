# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task of C(async_job) asks for: which job, and by which policies.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import OWN_WORK, Fields, Record, storable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import policies
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import claimed_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store

if t.TYPE_CHECKING:
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.semaphore import Wanted

WAITS = "waits"
"""The field of a claim that names the semaphore for which it waits."""


def name_of(attempt: Record) -> str:
    """Return what tells an attempt of a job from its others, now or in its history. It has no job id if its action did the work itself."""
    return f"{attempt.get('attempt', 1)} {attempt.get('start')} {attempt.get('who')}"


@dataclasses.dataclass
class KeptOnTask:
    """What a task must remember from one of its tries to the next.

    Every C(until) retry builds a new action for the same task, so what must survive is kept on the task.
    """

    limit: int
    """The keyword C(async): the time limit of the job, in seconds. The action takes it off the task."""
    poll: int
    """The keyword C(poll): how often to look, in seconds. With 0, the task does not wait for the job."""
    claimed: set[str] = dataclasses.field(default_factory=set)
    """The directories of the attempts that this task has claimed, in any of its tries; the job ids of those that have started elsewhere."""
    started: dict[str, str] = dataclasses.field(default_factory=dict)
    """The directories of the attempts that this task has seen start, in any of its tries, by their job ids."""
    launched: set[str] = dataclasses.field(default_factory=set)
    """The directories of the attempts that its tries have launched, and have not made sure since that they cannot start."""
    attached: bool = False
    """Whether any of its tries has started the job, or found it started. After that, its record does not vanish by itself."""
    joined: bool = False
    """Whether it has started the job, or has seen it run, in any of its tries."""
    answered: set[str] = dataclasses.field(default_factory=set)
    """The attempts whose end any of its tries has returned. Who tries once more all the same, wants another one."""
    token: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    """What the record notes of the task that has returned how an attempt has ended, before all others."""


class Request:
    """A job to start or to attach to.

    :arg params: validated options of the module
    :arg fingerprint: of the task to start, unless the options give another one
    :arg secret: whether nothing of that task may be stored
    :arg with_facts: whether that task may return facts of its host
    :arg own_work: its action, if that may do the work itself. Else empty
    :arg started_by: fields of an attempt that say who starts it. None stands for a field to remove
    :raises AsyncJobError: if the metadata cannot be stored, or the semaphore cannot be one
    """

    def __init__(
        self,
        params: dict[str, t.Any],
        store: Store,
        kept: KeptOnTask,
        *,
        fingerprint: str,
        secret: bool,
        with_facts: bool,
        own_work: str = "",
        started_by: Fields | None = None,
    ) -> None:
        self.key = JobKey(params["host"], params["playbook_name"], params["job_name"])
        self.params = params
        self.store = store
        self.kept = kept
        self.secret = secret
        self.wanted = _wanted(params)
        """The semaphore of which it takes a slot. None if there is none."""
        self.with_facts = with_facts
        self._own_work = own_work
        self._fingerprint = "" if secret else params["fingerprint"] or fingerprint
        """What is asked for now. What users say themselves may be read by all; what was made of the options may not."""
        self._about: Record = {"timeout": kept.limit, "tail_size": params["tail_size"], "store_result": params["store_result"]}
        self.started_by = started_by or {}
        self._about.update(t.cast("Record", self.started_by))
        if params["success_codes"] != [0]:
            self._about["success_codes"] = params["success_codes"]
        if params["metadata"] is not None:
            self._about["metadata"] = storable(params["metadata"], name="metadata")

    @property
    def state_file(self) -> str:
        """The place of the record, for people."""
        return self.store.locate(self.key.path)

    def claim(self, before: Record | None) -> Record:
        """Make the record with which this process claims the next attempt.

        :arg before: the record that there is
        """
        record = claimed_record(before, self.key, self._about, no_log=self.secret)
        if before is None or before.get("status") not in CLAIMED:
            record["first_attempt"] = policies.first_attempt(before, self.params, self._fingerprint, joined=self._joined)
        if self._own_work:
            record["claim"] = {**record["claim"], OWN_WORK: self._own_work}
        record.pop("fingerprint", None)  # an attempt that was given up may have left one
        record.pop("semaphore", None)
        if self.wanted is not None:
            record["semaphore"] = {**self.wanted._asdict(), "slot": record["claim"]["id"]}
        if "success_codes" not in self._about:
            record.pop("success_codes", None)
        if self._fingerprint and not record.get("no_log"):
            record["fingerprint"] = self.params["fingerprint"] or policies.sealed(self._fingerprint)
        return record

    def guarded(self, steps: t.Any) -> t.Any:
        """Return the protocol by which the job is started: as it is, or with something in between."""
        return steps

    def why_not(self) -> str:
        """Return why the job is not to start any more, now that it is claimed. Empty if it is."""
        return ""

    or_start_another = "to start another one all the same, say 'on_foreign: ignore'"
    """What a user may say who wants another attempt although the host knows of one."""
    or_attach = "to attach to it whatever its options are, say 'on_change: attach'"
    """What a user may say who wants that one."""
    or_let_stop = ", or let the task do that with 'stop_leftovers: true'"
    """What a user may say who wants processes stopped that the last attempt has left behind."""

    def is_ours(self, record: Record) -> bool:
        """Return whether this task has claimed the current attempt itself, in this run of the playbook."""
        return not self.kept.claimed.isdisjoint((record.get("attempt_dir"), record.get("ansible_job_id"), name_of(record)))

    def decide(self, record: Record) -> policies.Decision:
        """Decide what to do about a job, by its record and the policies."""
        fingerprint = "" if record.get("no_log") else self._fingerprint
        attempts = (record, *record.get("attempts", ()))
        # Until it has returned how one has ended, this run of the task has had its attempt. If it is tried once more then (C(until)),
        # that was not what the user wants.
        tried = any(self.is_ours(attempt) and name_of(attempt) not in self.kept.answered for attempt in attempts)
        return policies.decide(record, self.params, fingerprint, tried=tried, joined=self._joined, now=time.time())

    def unlike(self, record: Record) -> str:
        """Return why an attempt of another store may be one of another job. Empty if it is known to be the same, or that is no matter."""
        if self.params["on_change"] == "attach":
            return ""
        if record.get("no_log") or self.secret:
            return "nobody can tell whether it is the same job: it is secret (no_log), and so no fingerprint is stored"
        if not self._fingerprint or not record.get("fingerprint"):
            return "nobody can tell whether it is the same job: there is no fingerprint"
        return "it was started with other options" if policies.differs(record, self._fingerprint) else ""

    def had(self, record: Record) -> str:
        """Return why an attempt of another store that has ended is the one that is to start now. Empty if another one may begin."""
        return ""

    @property
    def _joined(self) -> bool:
        return self.kept.joined or bool(self.kept.claimed)


def _wanted(params: dict[str, t.Any]) -> Wanted | None:
    if params.get("semaphore") is None:
        return None
    # Compiled when it is needed: few jobs take a slot.
    from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._semaphore_option import wanted_of

    return wanted_of(params["semaphore"])
