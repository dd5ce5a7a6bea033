# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The slots of a semaphore, for a task that starts a job: the steps of :mod:`semaphore`, with the store and the host of the task.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, Full, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import give_way, read_record, whoami, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, merged, place_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import (
    Held,
    Holder,
    most_of,
    read_semaphore,
    who_holds,
    why_held,
    write_semaphore,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once, semaphore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import holder_is_gone
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store, Version
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._pauses import Pause, Waits
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import WAITS, Request
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._semaphore_option import told

# How often to ask about slots, in seconds: while somebody is starting a job, and at most.
_SHORT = 0.5
_LONGEST = 15.0
# How often to say that we still wait, in seconds: both to the user and, long before our claim is given up, in the record.
_RENEWAL = 15.0

_FIRST_SEEN: dict[tuple[str, str], float] = {}
"""When this process has first seen claims as they are, by their place and version, by our clock."""


class Slots:
    """Takes a slot for a job, and waits for one.

    :arg poll: as C(poll) of the task. With 0, nobody waits but for what is just being started
    """

    def __init__(self, request: Request, action: AttemptAction, *, poll: int) -> None:
        self._request = request
        self._store: Store = request.store
        self._params = request.params
        self._action = action
        self._poll = poll
        self._wanted = request.wanted or semaphore.Wanted("", 1)
        self._since: float | None = None
        self._renewed = 0.0
        self._said = ""

    def limited(self, steps: exactly_once.Steps) -> t.Any:
        """Return the protocol that starts the job, with a slot to be taken."""
        self._since = None
        return semaphore.limited(steps, self._wanted, self._mine)

    def _mine(self, record: Record) -> Holder:
        about = record["semaphore"]
        return Holder(*self._request.key, about["slot"], self._wanted.at_most, record.get("attempt", 1), whoami(), _times.now())

    def full(self, held: list[Held]) -> dict[str, t.Any]:
        """Return what the module returns if all slots are taken and nobody waits any longer."""
        reason = f"it waits for {who_holds(*self._wanted, held)}"
        if self._poll:
            reason += f". Nobody waits longer than {self._patience} seconds (semaphore.wait_timeout)"
        msg = f"The {self._request.key}: {reason}. Nothing was started. Run the task once more."
        return {
            **{"changed": False, "failed": bool(self._poll), "finished": False, "started": False, "ansible_job_id": "", "status": ""},
            **{"reason": reason, "msg": msg, "job_name": self._request.key.job_name, "state_file": self._request.state_file},
            **{"semaphore": told(self._wanted, held), "warnings": [*self._store.warnings]},
        }

    def left_to(self, record: Record) -> dict[str, t.Any]:
        """Return what the module returns if another controller has claimed the job, and waits for a slot."""
        who = record.get("claim", {}).get("who", "another controller")
        reason = f"{who} is about to start it, and {record.get('reason') or 'waits'}"
        return {
            **{"changed": False, "failed": False, "finished": False, "started": False, "ansible_job_id": "", "status": "starting"},
            **{"reason": reason, "msg": f"The {self._request.key}: {reason}.", "job_name": self._request.key.job_name},
            **{"state_file": self._request.state_file, "warnings": [*self._store.warnings]},
        }

    @property
    def _patience(self) -> float:
        """How long to wait for a slot, in seconds: no longer than the job itself may take, if nothing else was said."""
        given = (self._params.get("semaphore") or {}).get("wait_timeout")
        return self._request.kept.limit if given is None else given

    def read(self) -> list[Holder]:
        """Return who has taken a slot, or had."""
        return [*read_semaphore(self._store, self._wanted.name)[0]]

    def not_free(self, holders: list[Holder]) -> list[Held]:
        """Return those of them that still have it, after a look at each that is on the host of this task."""
        steps = semaphore.not_free(holders)
        answer: t.Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                return t.cast("list[Held]", stop.value)
            try:
                next(self.do(step))
            except StopIteration as stop:  # none of these steps waits for anything
                answer = stop.value

    # --- Steps

    def do(self, step: t.Any) -> Waits[t.Any]:
        """Do one step. Return the answer that the protocol waits for."""
        match step:
            case semaphore.ReadSemaphore(name):
                return read_semaphore(self._store, name)
            case semaphore.WriteSemaphore(name, holders, expect):
                try:
                    return write_semaphore(self._store, name, holders, expect=Version(expect))
                except Conflict:
                    give_way()
                    return semaphore.CONFLICT
            case semaphore.ReadHolder(holder):
                return self._seen(holder)
            case semaphore.FenceHolder(_holder, record):
                return self._fenced(record)
            case semaphore.WriteHolder(holder, record, expect):
                try:
                    return write_record(self._store, holder.key, record, expect=Version(expect))[1]
                except Conflict:
                    give_way()
                    return semaphore.CONFLICT
            case semaphore.WaitForSlot(record, held):
                return (yield from self._wait(record, held))
        raise TypeError(step)

    def _seen(self, holder: Holder) -> semaphore.HolderSeen:
        """Return what there is of a job, after a look at it if it is on the host of this task."""
        try:
            record, version = read_record(self._store, holder.key)
            if record is None or record.get("status") in ENDED or record.get("semaphore", {}).get("slot") != holder.slot:
                return semaphore.HolderSeen(record, version)
            problem = flaw_of(record)
            if problem:
                return semaphore.HolderSeen(record, version, problem=f"its record cannot be used: {problem}")
            if self._is_here(record) and record.get("status") != "starting":
                record, version = self._looked_at(holder.key, record, version)
        except StoreUnavailable:
            raise
        except (AsyncJobError, AnsibleConnectionFailure) as error:
            return semaphore.HolderSeen(None, "", problem=f"nobody can tell whether it has ended. {error}")
        is_claimed = record.get("status") in CLAIMED
        return semaphore.HolderSeen(record, version, is_claimed and self._is_silent(holder.key, record, version))

    def _is_here(self, record: Record) -> bool:
        return bool(record.get("attempt_dir")) and place_of(record) == self._action.host

    def _looked_at(self, key: JobKey, record: Record, version: Version) -> tuple[Record, Version]:
        asked = of_record(key, record, version, self._params, self._action.async_dir)
        params = {**self._params, "store_output": True, "tail_size": 0, "output": "tail"}
        self._action.look_and_note(params, self._store, [asked], "tail")
        return asked.record or record, asked.version

    def _is_silent(self, key: JobKey, record: Record, version: Version) -> bool:
        """Return whether whoever has claimed a job is gone, or has not moved for the life of the claim, by our own clock."""
        now = time.monotonic()
        first = _FIRST_SEEN.setdefault((self._store.locate(key.path), version), now)
        claim = record.get("claim", {})
        life = self._params["claim_timeout"] * 2 ** min(claim.get("fenced", 0), 10)
        return holder_is_gone(record) or now - first >= life

    def _fenced(self, record: Record) -> str:
        """Make sure that an attempt which is on its way to this host does not start any more. Return why that cannot be told."""
        if not self._is_here(record):
            return f"whoever starts it is gone, and only {place_of(record)} can tell whether it was started: run its task once more"
        try:
            return "" if self._action.fence(record, self._params["look_timeout"]) else "it may just have started"
        except (AsyncJobError, AnsibleConnectionFailure) as error:
            return f"whoever starts it is gone, and nobody can tell whether it was started. {error}"

    def _wait(self, record: Record, held: list[Held]) -> Waits[Record | None]:
        """Wait for a moment. Return the record of our claim if it is to be written anew."""
        self._action.check_heard()
        now = time.monotonic()
        if self._since is None:
            self._since, self._renewed, self._said = now, now - _RENEWAL, ""
        is_moving = any(one.is_moving for one in held)
        if not is_moving and (not self._poll or now - self._since >= self._patience):
            raise Full(held)
        words = f"waits for {who_holds(*self._wanted, held)}"
        if words != self._said and not is_moving:
            self._said = words
            self._action.notify(f"{self._request.key}: {words}")
        seconds = _SHORT if is_moving else min(max(self._poll, _SHORT), _LONGEST)
        yield Pause(seconds, is_idle=False)
        if time.monotonic() - self._renewed < min(_RENEWAL, self._params["claim_timeout"] / 3):
            return None
        self._renewed = time.monotonic()
        claim = {**record.get("claim", {}), WAITS: self._wanted.name}
        return merged(record, {"claim": claim, "reason": words})


class Room:
    """The slots of a semaphore in one tick, for those nodes of a run that want one.

    :arg slots: of the first of these
    :arg known: the records of jobs that were seen running in this tick
    """

    def __init__(self, slots: Slots, known: t.Mapping[JobKey | None, Record | None]) -> None:
        self._slots = slots
        self._known = known
        self._holders = slots.read()
        self._chosen: list[Holder] = []
        """Nodes that are to start in this tick."""
        self._held: list[Held] | None = None
        """Who holds the slots. None if nobody has had to ask that."""
        self._is_moving = False

    def has(self, key: JobKey, at_most: int) -> bool:
        """Return whether a node may get one, and count it then. Whoever has one already, has set out to start, and may be dead by now: the
        protocol finds out. So it does where somebody else is just setting out: then one node waits there, and the others here."""
        if any(holder.key == key for holder in self._holders):
            return True
        if not self._is_room(at_most) and self._held is None:
            running = [Held(one, why_held(one, self._known[one.key])) for one in self._holders if self._runs(one)]
            self._held = [*running, *self._slots.not_free([one for one in self._holders if not self._runs(one)])]
            self._holders = [one.holder for one in self._held]
            self._is_moving = any(one.is_moving for one in self._held)
        if self._is_room(at_most):
            self._chosen.append(Holder(*key, "", at_most, 1, "", ""))
            return True
        was_moving, self._is_moving = self._is_moving, False
        return was_moving

    def why_not(self, name: str, at_most: int) -> str:
        """Return what a node waits for that gets none. Empty if the last ones were given away just now."""
        return f"it waits for {who_holds(name, at_most, self._held)}" if self._held else ""

    def _is_room(self, at_most: int) -> bool:
        some = [*self._holders, *self._chosen]
        return len(some) < most_of(at_most, some)

    def _runs(self, holder: Holder) -> bool:
        record = self._known.get(holder.key)
        return record is not None and record.get("semaphore", {}).get("slot") == holder.slot
