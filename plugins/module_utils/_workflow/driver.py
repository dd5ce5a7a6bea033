# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run is driven to its end, by any number of drivers that may die or freeze at any moment.

This file is the protocol and nothing else: generators that yield one step after the other and are sent the answer to each. Whoever drives
them does the step, with a real store and real hosts; a test drives them through everything that can happen.

B(A tick.) The run is read, and all jobs that it says are due are looked at. What follows is decided by pure functions, and is written,
provided that the run is still as it was read. Only then are those jobs started that are due and not there. So what runs was decided
before, and written, by somebody.

B(An attempt.) Each job is started by the protocol of jobs, C(exactly_once), with the number of the attempt that the run has decided
on: only if there is no record, or one of an attempt with a lower number that has ended. Once it is claimed, and before its host is
touched, the run is read again: is this attempt still due? If not, the record is put back. That is the guard. A driver that has slept
meanwhile, while others have finished the node, cancelled the run, or removed its old records, starts nothing. Nor does it write a
record anew that has vanished meanwhile: with the run, perhaps, and the next one with its id would take it for its own.

B(A cancelled run.) It is written first that it is to end. From then on no guard lets anything pass. So a job that is not there
then, never starts. One that somebody has claimed gets another record, so that its claimant fails at its next write; one whose place on
the host is chosen is fenced; one that runs is stopped. Only when each is known to have ended, or never to begin, has the run ended.
Between the look at a record and what is done about it, the run is read again: whoever has slept since the run ended, and was perhaps
removed and begun anew with its id, stops nothing.

B(Runs that must not run beside each other.) Before anything is decided in such a run, it takes a lock, a document that names it, and its
epoch: from nobody, or from a run that has ended. Until it has ended itself, nobody takes it away, be its drivers dead or alive.

B(What is guaranteed.) Each attempt of each node is executed at most once, and only if the run has decided on it; nothing is executed
in a run that has ended; and as long as somebody drives it, it ends. It takes what C(exactly_once) takes, and that nobody removes the
record of a job before its run has noted how it has ended.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, merged
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE as ALIVE_JOBS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED as CLAIMED_JOBS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT as NOTHING
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, decide, end
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder, locks_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    BACKOFF,
    CANCELLED,
    CANCELLING,
    DUE,
    NEVER_BEGAN,
    RUNNING,
    VERDICTS,
    Run,
    begun_of,
    is_open,
    part_of,
    parts_of,
)

CONFLICT = exactly_once.CONFLICT


class ReadRun(t.NamedTuple):
    """Read the run. Answer: the run, or None if it is proven that there is none, and its version."""


class WriteRun(t.NamedTuple):
    """Write the run if it still has this version. Answer: its new version, or CONFLICT."""

    before: Run
    after: Run
    expect: str


class ReadHolder(t.NamedTuple):
    """Read who holds a lock. Answer: a :class:`Holder`, or None if it is proven that nobody ever has, and the version of that."""

    lock: str


class WriteHolder(t.NamedTuple):
    """Write who holds a lock if it still has this version. Answer: its new version, or CONFLICT."""

    lock: str
    holder: Holder
    expect: str


class ReadStatus(t.NamedTuple):
    """Read how the run is that holds a lock. Answer: its status, empty if it is proven that there is no such run."""

    holder: Holder


class Blocked(t.NamedTuple):
    """Another run goes on that this one must not run beside. Answer: whether to try again."""

    run: Run
    holder: Holder


class Look(t.NamedTuple):
    """Look at the attempts that are due, and at the time that those in backoff have waited. Answer: a :class:`Seen`."""

    run: Run
    due: list[str]
    backoff: list[str]


class Start(t.NamedTuple):
    """Start these nodes, each by :func:`guarded`. What comes of it, the next look tells."""

    run: Run
    names: list[str]


class Stop(t.NamedTuple):
    """Make sure that these nodes end, or never begin, each by :func:`stopped`. What comes of it, the next look tells."""

    run: Run
    names: list[str]


class Wait(t.NamedTuple):
    """There is nothing to do for now. Answer: whether to go on."""

    run: Run


class GuardStop(t.NamedTuple):
    """Read the run again, and ask it by :func:`is_cancelled`. Answer: whether the job is still to be stopped."""


class Kill(t.NamedTuple):
    """Stop a job that runs, and note how it has ended."""

    record: Record


ABSENT = "absent"
CLAIMED = "claimed"
ALIVE = "alive"


class Found(t.NamedTuple):
    """What there is of an attempt that is due."""

    what: str = ALIVE
    """C(absent): nobody has begun it, and nothing of one before it runs, so that it can be started. C(claimed): somebody has set out to
    start it, and may be dead by now; the protocol of jobs finds out. C(alive): it runs, or one before it does, or nobody can tell."""
    outcome: Outcome | None = None
    """How it has ended. None if it has not, as far as anybody knows."""
    said: str = ""
    """How it is getting on, for people."""


class Seen(t.NamedTuple):
    """What a look has found."""

    found: dict[str, Found]
    ripe: frozenset[str] = frozenset()
    """The nodes that have waited long enough before their next attempt."""


class NotDue(Exception):
    """The run does not want this attempt any more."""


Steps = t.Generator[t.Any, t.Any, t.Any]


def drive(*, only_to_cancel: bool = False) -> Steps:
    """Drive a run until it has ended, or there is nothing to wait for here. Return it; None if it has vanished.

    Whoever does the steps reads one run: another one that has begun with its id meanwhile is not there for this driver.

    :arg only_to_cancel: only as long as it is being cancelled. Whoever has ordered that need not know what it takes to start its nodes, and
        somebody may resume it as soon as it has ended
    """
    held = 0
    while True:
        over, run, held = yield from _tick(held, only_to_cancel)
        if over:
            return run


def held_by(run: Run) -> Steps:
    """Make sure that a run holds all locks that it needs. Return who holds one of them instead; None if nobody does.

    Once it holds them, it does until it has ended: others take a lock only from a run that has, and only as they have read it. Whoever
    resumes a run makes another epoch of it, which has to take the lock anew: somebody may be just about to take it from the old one.
    So does a run with the id of one that was removed.
    """
    ours = Holder(run["workflow"], run["run"], run["epoch"], begun_of(run))
    for lock in locks_of(run["definition"]):
        while True:
            answer: tuple[Holder | None, str] = yield ReadHolder(lock)
            holder, version = answer
            if holder is not None and holder[:2] == ours[:2]:
                if holder.begun == ours.begun and holder.epoch >= ours.epoch:
                    break
            elif holder is not None:
                status: str = yield ReadStatus(holder)
                if status and status not in VERDICTS:
                    return holder
            if (yield WriteHolder(lock, ours, version)) is not CONFLICT:
                break
    return None


def _tick(held: int, only_to_cancel: bool) -> t.Generator[t.Any, t.Any, tuple[bool, Run | None, int]]:
    """Do what there is to do. Return whether that was all, the run, and in which of its epochs it is known to hold its locks."""
    answer: tuple[Run | None, str] = yield ReadRun()
    run, version = answer
    if run is None or run["status"] in VERDICTS or (only_to_cancel and run["status"] != CANCELLING):
        return True, run, held
    if run["status"] == RUNNING and run["epoch"] != held:
        holder = yield from held_by(run)
        if holder is not None:
            is_over = not (yield Blocked(run, holder))
            return is_over, run if is_over else None, held
        held = run["epoch"]
    graph = Graph(run["definition"])
    due, backoff = [*parts_of(run, DUE)], [*parts_of(run, BACKOFF)]
    seen: Seen = (yield Look(run, due, backoff)) if due or backoff else Seen({})
    after = decide(graph, end(graph, run, _outcomes(run, seen.found)), seen.ripe)
    if after is not run:
        if (yield WriteRun(run, after, version)) is CONFLICT:
            return False, None, held
        run = after
        if run["status"] in VERDICTS:
            return True, run, held
    left = [*parts_of(run, DUE)]
    if run["status"] == CANCELLING:
        yield Stop(run, left)
        is_over = not (yield Wait(run))
        return is_over, run if is_over else None, held
    to_start = [name for name in left if name not in due or seen.found[name].what != ALIVE]
    if to_start:
        yield Start(run, to_start)
    is_over = not (yield Wait(run))
    return is_over, run if is_over else None, held


def _outcomes(run: Run, found: t.Mapping[str, Found]) -> dict[str, Outcome]:
    """Return how attempts have ended. What is not there in a run that is to end, never begins: the guard sees to that."""
    outcomes = {name: one.outcome for name, one in found.items() if one.outcome is not None}
    if run["status"] == CANCELLING:
        for name, one in found.items():
            if one.outcome is None and one.what == ABSENT:
                outcomes[name] = Outcome(part_of(run, name).node["attempt"], CANCELLED, NEVER_BEGAN, {})
    return outcomes


def changed(change: t.Callable[[Run], Run]) -> Steps:
    """Change a run as somebody has ordered, and write what follows from that. Return the run. None if there is none.

    :arg change: returns the run as it is to be. It may raise an exception
    """
    while True:
        answer: tuple[Run | None, str] = yield ReadRun()
        run, version = answer
        if run is None:
            return None
        after = change(run)
        if after is run:
            return run
        after = decide(Graph(after["definition"]), after)
        if (yield WriteRun(run, after, version)) is not CONFLICT:
            return after


def why_not(run: Run | None, name: str, attempt: int, begun: str) -> str:
    """Return why an attempt of a node is not to start, by a run that was just read. Empty if it is.

    :arg begun: which run has decided on it
    """
    if run is None or begun_of(run) != begun:
        return "its run is gone"
    if run["status"] != RUNNING:
        return f"its run is {run['status']}"
    try:
        part = part_of(run, name)
    except KeyError:
        return "its run knows nothing of it any more"
    if part.node["state"] != DUE or part.node["attempt"] != attempt or not is_open(part):
        return f"its run says that attempt {part.node['attempt']} is {part.node['state']}"
    return ""


def is_cancelled(run: Run | None, begun: str) -> bool:
    """Return whether the jobs of a run are to be stopped, by that which was just read with its id.

    :arg begun: which run somebody has cancelled
    """
    return run is not None and begun_of(run) == begun and run["status"] == CANCELLING


def guarded(steps: exactly_once.Steps) -> Steps:
    """Start the job of a node: the protocol of jobs, with the guard between the claim and all that comes after it.

    :raises NotDue: if the run does not want it any more. Its record is as it was before
    """
    answer: t.Any = None
    error: Exception | None = None
    while True:
        try:
            step = steps.throw(error) if error else steps.send(answer)
        except StopIteration as stop:
            return stop.value
        answer, error = None, None
        try:
            if isinstance(step, exactly_once.Prepare):
                why = yield exactly_once.Guard()
                if why:
                    raise NotDue(why)
            elif isinstance(step, exactly_once.Write) and step.expect == NOTHING and step.record["status"] not in CLAIMED_JOBS:
                raise NotDue("its record has vanished")
            answer = yield step
        except Exception as problem:
            error = problem


def is_before(record: Record, attempt: int) -> bool:
    """Return whether an attempt may start although there is this record: of one before it, which has ended."""
    return record.get("status") in ENDED and record.get("attempt", 1) < attempt


def stopped(attempt: int, cancelled: t.Callable[[Record], Record]) -> Steps:
    """Make sure that an attempt of a node of a cancelled run has ended, or never begins, and those before it, too. One after it is of a run
    that somebody has resumed since.

    :arg cancelled: returns the record of an attempt that never began, for the one with which it was claimed
    """
    while True:
        answer: tuple[Record | None, str] = yield exactly_once.Read()
        record, version = answer
        if record is None or record.get("attempt", 1) > attempt or record.get("status") in ENDED:
            return
        if not (yield GuardStop()):
            return
        if record.get("status") in ALIVE_JOBS:
            yield Kill(record)
            return
        if record["status"] == "prepared":
            seen: exactly_once.Seen = yield exactly_once.Inspect(record)
            if seen.job_id:
                started = {"status": "running", "ansible_job_id": seen.job_id, **(seen.place or {})}
                yield exactly_once.Write(merged(record, started), version)
                continue
            if not (yield exactly_once.Fence(record)):
                continue
            if seen.lost:
                yield exactly_once.Write({**record, "status": "lost", "reason": seen.lost}, version)
                continue
        # Whoever has claimed it fails at its next write, which comes before its host is touched.
        yield exactly_once.Write(cancelled(record), version)
