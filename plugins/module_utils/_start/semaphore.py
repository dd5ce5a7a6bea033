# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How no more than so many jobs run at the same time, over all controllers that share a store, whoever dies or freezes at any moment.

This file is the protocol and nothing else, like that of jobs, C(exactly_once), around which it goes: between the claim and all that comes
after it, the job takes a slot of its semaphore.

B(Take.) The claim of the attempt has an id, the slot, which no other has. Once the record is written, the semaphore is, with that slot in
it, provided that it is still as it was read. It never has a slot that was not in a record before.

B(Free.) A slot is free once its attempt has provably ended, or can never begin. Its record tells: it says that the attempt has ended, or
it has the slot no more, because another attempt has begun. Nobody has to be alive for that. Those who find a semaphore full ask about
each of its slots, and leave out those that are free when they write their own.

B(Somebody who dies.) A claim that has not moved for its life holds its slot until it is revoked: the record is written without the slot,
provided that it is still as it was read. So whoever has it, and has only slept, fails at its next write, before it has touched the host.
If its place on the host is noted already, it may have launched something: then that place is fenced first, as always. An action that does
its work itself no fence ends: it keeps its slot until its own task has found out what became of it.

B(Nothing else frees a slot.) Where that cannot be found out from here, on another host for instance, it stays taken, and whoever waits
says why.

B(What is put back.) An attempt that fails before it has started is taken off the semaphore before its record is put back. Without its
record, nobody could tell any more.

B(Two that say different numbers.) The least counts, of those that hold a slot and the one that wants one. So while a job runs that may
run with one other, there is no third one, whatever that one says; and nothing has to be changed anywhere to say another number from now
on.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import OWN_WORK, Record, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import Held, Holder, most_of, why_held
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED

CONFLICT = exactly_once.CONFLICT


class Wanted(t.NamedTuple):
    """What a task says of a semaphore."""

    name: str
    at_most: int


class ReadSemaphore(t.NamedTuple):
    """Read who has taken a slot. Answer: holders, and the version of that."""

    name: str


class WriteSemaphore(t.NamedTuple):
    """Write who has taken a slot, if it still has this version. Answer: its new version, or CONFLICT."""

    name: str
    holders: tuple[Holder, ...]
    expect: str


class ReadHolder(t.NamedTuple):
    """Read the record of a job that has taken a slot, after a look at the job if that is possible from here. Answer: a C(HolderSeen)."""

    holder: Holder


class FenceHolder(t.NamedTuple):
    """Make sure that an attempt cannot start any more. Answer: why that cannot be told. Empty if it cannot start."""

    holder: Holder
    record: Record


class WriteHolder(t.NamedTuple):
    """Write the record of a job that has taken a slot, if it still has this version. Answer: its new version, or CONFLICT."""

    holder: Holder
    record: Record
    expect: str


class WaitForSlot(t.NamedTuple):
    """Wait for a moment. Answer: nothing; or the record of our claim as it is to be written, so that others see that we are there. Raises
    C(Full) if that is to be all."""

    record: Record
    held: list[Held]


class HolderSeen(t.NamedTuple):
    """What there is of a job that has taken a slot."""

    record: Record | None
    """None if it is proven that there is none."""
    version: str
    is_silent: bool = False
    """Whether whoever has claimed it is known to be dead, or has not moved for the life of the claim by our own clock."""
    problem: str = ""
    """Why nobody can tell. Then all else says nothing."""


Step = t.Union[ReadSemaphore, WriteSemaphore, ReadHolder, FenceHolder, WriteHolder, WaitForSlot]
Steps = t.Generator[t.Any, t.Any, t.Any]


def limited(steps: Steps, wanted: Wanted, mine: t.Callable[[Record], Holder]) -> Steps:
    """Start a job that takes a slot: the protocol of jobs, with the taking between the claim and all that comes after it.

    :arg mine: the slot that is to be taken for a claim
    :raises Full: if there is none. The record is as it was before
    """
    known = ours = ""  # the version of our claim as the protocol of jobs knows it, and as it is
    slot = ""
    is_lost = False
    answer: t.Any = None
    error: Exception | None = None

    def renewed(version: str) -> None:  # also if there is no slot in the end: our claim is taken back as it is then
        nonlocal ours
        ours = version

    while True:
        try:
            step = steps.throw(error) if error else steps.send(answer)
        except StopIteration as stop:
            return stop.value
        answer, error = None, None
        try:
            if isinstance(step, exactly_once.Prepare):
                taken = yield from _take(step.record, ours, wanted, mine, renewed)
                if taken is None:  # somebody else has our claim: the next write fails, and that is all
                    is_lost, answer = True, {}
                    continue
                slot, ours = taken
                answer = yield step
            elif isinstance(step, (exactly_once.Write, exactly_once.Restore)):
                if is_lost:
                    is_lost, answer = False, CONFLICT
                    continue
                if isinstance(step, exactly_once.Restore):
                    yield from _give_back(wanted.name, slot)
                answer = yield step._replace(expect=ours) if step.expect == known else step
                if answer is not CONFLICT:
                    known = ours = answer
                elif isinstance(step, exactly_once.Write) and step.record["status"] == "prepared":
                    yield from _give_back(wanted.name, slot)  # it has lost its claim, and never starts
            else:
                answer = yield step
        except Exception as problem:
            error = problem


def _take(record: Record, version: str, wanted: Wanted, mine: t.Callable[[Record], Holder], note: t.Callable[[str], None]) -> Steps:
    """Take a slot. Return it, and the version of our claim by now; None if somebody else has that.

    :arg note: is told that version whenever it is another one
    """
    while True:
        answer: tuple[tuple[Holder, ...], str] = yield ReadSemaphore(wanted.name)
        holders, expect = answer
        me = mine(record)
        if any(holder.slot == me.slot for holder in holders):
            return me.slot, version
        held: list[Held] = []
        if len(holders) >= most_of(wanted.at_most, holders):
            held = yield from not_free(holders)
            holders = tuple(one.holder for one in held)
        if len(holders) < most_of(wanted.at_most, holders):
            if (yield WriteSemaphore(wanted.name, (*holders, me), expect)) is not CONFLICT:
                return me.slot, version
            continue
        renewed: Record | None = yield WaitForSlot(record, held)
        if renewed is not None:
            version = yield exactly_once.Write(renewed, version)
            if version is CONFLICT:
                return None
            note(version)


def not_free(holders: t.Iterable[Holder]) -> t.Generator[t.Any, t.Any, list[Held]]:
    """Return the slots that are not free. To ask that, nobody has to have claimed anything."""
    found = []
    for holder in holders:
        one = yield from _judged(holder)
        if one is not None:
            found.append(one)
    return found


def _judged(holder: Holder) -> t.Generator[t.Any, t.Any, Held | None]:
    """Return why a slot is not free. None if it is."""
    seen: HolderSeen = yield ReadHolder(holder)
    record = seen.record
    why = seen.problem or why_held(holder, record)
    if (
        not why
        or seen.problem
        or record is None
        or record.get("semaphore", {}).get("slot") != holder.slot
        or record["status"] not in CLAIMED
    ):
        return Held(holder, why) if why else None
    if record["status"] == "prepared" and record.get("claim", {}).get(OWN_WORK):  # which no fence ends, and which may take long
        return Held(holder, why)
    if not seen.is_silent:
        return Held(holder, why, is_moving=True)
    if record["status"] == "prepared":
        problem: str = yield FenceHolder(holder, record)
        if problem:
            return Held(holder, f"{why}; {problem}")
    if (yield WriteHolder(holder, without(record, ("semaphore",)), seen.version)) is CONFLICT:
        return Held(holder, why, is_moving=True)
    return None


def _give_back(name: str, slot: str) -> Steps:
    """Take a slot off the semaphore, of an attempt that never starts."""
    while slot:
        answer: tuple[tuple[Holder, ...], str] = yield ReadSemaphore(name)
        holders, version = answer
        others = tuple(holder for holder in holders if holder.slot != slot)
        if len(others) == len(holders) or (yield WriteSemaphore(name, others, version)) is not CONFLICT:
            return
