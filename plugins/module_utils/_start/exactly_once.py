# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a named job is started exactly once, by any number of controllers that may die or freeze at any moment.

This file is the protocol and nothing else: a generator that yields one step after the other and is sent the answer to each.
Whoever drives it does the step, with a real store and a real host; a test drives it through everything that can happen.

B(Claim.) The record is written as C(starting), provided that it is still as it was read. Of any number of controllers one wins; the
others watch its record until it moves on. The host has not been touched yet.

B(Prepare.) The host says where the attempt is going to live: a directory of its own that does not exist yet. That is noted in the
record, which is C(prepared) then. Whoever has lost its claim meanwhile fails here, before it has touched anything.

B(Start.) The directory is made, which fails if there is anything by that name. Ansible's own async wrapper, or a program of ours that does
the same, starts the job with it as its results directory. Before the wrapper starts anything, it writes a results file there. One exchange
with the host may do all of this, and see the results file as well: the steps are the same, and so is their order on the host.

B(Commit.) The results file is seen, and the record says C(running).

B(Resolve.) Whether a start that was not seen through has happened is decided by that directory, never by guessing: with a results
file in it, the job was started, and is adopted. Without one, the directory is fenced: it is removed, which the system refuses to do
if something has appeared in it, and a plain file is made in its place, which stays. From then on no wrapper can start there,
however late it comes, because it can make neither that directory nor a file in it. Only then there is a new attempt.

B(Another store.) Beside the attempts of a user, the host keeps a small file for each job, which names the last attempt. It is replaced
in the same exchange that makes the directory of the next one, and only if the record of that one knows what it names. So of two stores
that start the same job, or of one that was lost and one that is new, the second finds what the first has started. What is true of that
attempt is decided by its directory, as ever: if it has not started, it is fenced; if it goes on, it is adopted, or the start is refused; if
it is over, there is a new one.

B(A record that vanishes.) Somebody may remove the record while the job is being started. Whoever has seen an attempt by then does not
take that for a job that was never started. If it is found in its directory, the record is made anew; otherwise nobody starts anything.

B(An action that does its work itself.) Some say that they support background jobs, and have done all of it when they return. Such an
attempt has ended then, with its result. While it is under way there is no trace of it on the host: if whoever runs it dies, is
interrupted, or is silent for longer than it may take, nobody can tell how far it has come, and it is C(lost). Whoever has done the work
all the same, and sees its end, writes that over it.

B(What is guaranteed.) Each attempt starts at most once, and one that has started is found again, whatever controllers, connections
and stores do. It takes a store whose conditional writes are atomic, a disk of the host on which C(mkdir), C(rmdir) and the exclusive
creation of a file are, and users who leave the directory alone.

B(What is not.) A host that loses its power right after the start may lose the results file with it. An attempt that was prepared in
another boot, and of which nothing is left, is therefore C(lost): nobody can prove whether it ran. It is fenced all the same, and
started anew only if the user wants lost jobs to be. Ansible's wrapper writes its results file just before it starts the job: if it
is killed in between, the job counts as C(killed), and has done nothing. And that the job itself does its work once is up to the
job: one that was killed half-way has done half of it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record, merged
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED

# What a conditional write answers if the record was changed by somebody else.
CONFLICT = None


class Read(t.NamedTuple):
    """Read the record. Answer: the record, or None if it is proven that there is none, and its version."""

    may_begin: bool = True
    """Whether an attempt may begin, by what is read."""


class Write(t.NamedTuple):
    """Write the record if it still has this version. Answer: its new version, or CONFLICT."""

    record: Record
    expect: str


class Restore(t.NamedTuple):
    """Put back the record that was there before, or remove ours if there was none. Answer: as to a write."""

    before: Record | None
    expect: str


class Watch(t.NamedTuple):
    """Wait for the record to become another one. Answer: whether it has; False if its holder is known to be dead, or has not moved for
    the life of its claim by our own clock."""

    record: Record
    version: str


class Guard(t.NamedTuple):
    """Ask once more whether the job is still wanted, where somebody has decided on it, as a workflow does. Answer: why it is not to start.
    Empty if it is."""


class Prepare(t.NamedTuple):
    """Ask the host for a place. Answer: the fields of the record that say where and as whom the attempt lives, and in which boot."""

    record: Record


class MakeDirectory(t.NamedTuple):
    """Make the directory of the attempt, and note on the host that it is the last one of the job, unless its launch does that first of all.
    Raises an exception if it cannot be made, or if there is something by its name. Answer: nothing; or, if the host knows of an attempt
    that the record does not, that one. Then nothing was made."""

    record: Record
    over: tuple[Record, ...] = ()
    """Attempts that the record does not know either, and that are over."""


class Launch(t.NamedTuple):
    """Start the job. Raises an exception if Ansible says that it has failed; that proves nothing. Answer: if it has started in another
    place than the directory of the attempt, or has ended already, the fields of the record that say so; else nothing. Where it is the
    launch that makes the directory, it may also be that to MakeDirectory: then nothing was launched."""

    record: Record
    over: tuple[Record, ...] = ()


class Inspect(t.NamedTuple):
    """Look at the directory of the attempt. Answer: what was seen."""

    record: Record
    is_foreign: bool = False
    """Whether it is not one of our store."""


class Fence(t.NamedTuple):
    """Make sure that the attempt cannot start any more. Answer: False if it may just have; then it has to be looked at again."""

    record: Record
    is_foreign: bool = False


class Await(t.NamedTuple):
    """Give whoever is starting an attempt of another store the life of a claim, by our own clock. Answer: nothing."""

    record: Record


class Meet(t.NamedTuple):
    """Decide what to do about an attempt of another store. Raises an exception if it is to be left alone, and nothing to be started.
    Answer: the fields of our record with which it is adopted; or nothing if it is over."""

    record: Record
    lost: str
    """Why nobody can tell any more whether it has started. Empty if it has."""


Step = t.Union[Read, Write, Restore, Watch, Prepare, MakeDirectory, Launch, Inspect, Fence, Await, Meet]


class Foreign(t.NamedTuple):
    """An attempt that the host knows of, and our store does not."""

    record: Record


class Seen(t.NamedTuple):
    """What there is in the directory of an attempt."""

    job_id: str = ""
    """The job that has started there. Empty if there is none."""
    lost: str = ""
    """Why nobody can tell any more whether it has started: the host has been rebooted since, or the directory above is gone, or its action
    does its work without a trace on the host. Else empty."""
    place: Fields | None = None
    """The fields of the record that say where it has started, as far as they differ from what was prepared."""
    is_other_boot: bool = False
    """Whether it is proven that the host has been rebooted since, so that nothing of it runs there any more that was started before."""
    never_began: bool = False
    """Whether what stands in its place says that nothing of it was done. Of an action that does its work itself, nothing else tells."""


class Outcome(t.NamedTuple):
    """The record of a job that has been started, by us or by somebody else."""

    record: Record
    version: str


class NotStarted(Exception):
    """The attempt was not started, although nobody has said that anything went wrong."""


class Refused(Exception):
    """The host knows of an attempt that our store does not, for which nothing may be started. Nothing of ours was made.

    :arg why: what is raised for that
    """

    def __init__(self, why: Exception) -> None:
        super().__init__(why)
        self.why = why


class Vanished(Exception):
    """The record of an attempt that this one has seen is not there any more, and no job either."""


# A protocol that has come to an end returns an outcome. A part of it may also return the attempt that it has seen, before all is read anew.
Steps = t.Generator[Step, t.Any, t.Union[Outcome, Record, None]]
# The record of a new attempt, after what was there before.
Claim = t.Callable[[t.Optional[Record]], Record]


def start_or_attach(claim: Claim, again: t.Callable[[Record], bool]) -> Steps:
    """Start the job, or find that it was started.

    :arg claim: makes the record with which the attempt is claimed: C(starting), with a claim that no other has
    :arg again: whether a job of which there is this record is to be started once more
    :raises Exception: whatever a step raises. If that means that nothing was started, the record is as it was before
    """
    found = None
    while not isinstance(found, Outcome):
        found = yield from _turn(found, claim, again)
    return found


def _turn(seen: Record | None, claim: Claim, again: t.Callable[[Record], bool]) -> Steps:
    """Read the record, and go on from there. If somebody else was faster, return the attempt that was seen last.

    :arg seen: that of the turn before. None if there was none
    """
    answer: tuple[Record | None, str] = yield Read()
    record, version = answer
    if record is None and seen is not None:
        return (yield from _find_again(seen, version))
    if record is None or again(record):
        return (yield from _attempt(record, version, claim))
    if record.get("status") not in CLAIMED:
        return Outcome(record, version)
    if (yield Watch(record, version)):
        return record
    if record["status"] == "starting":  # the host was not touched; its holder, should it wake up, fails when it notes the place
        return (yield from _attempt(record, version, claim))
    return (yield from _resolve(record, version, claim))


def _attempt(before: Record | None, version: str, claim: Claim) -> Steps:
    """Claim a new attempt and start it. If somebody else was faster, return the claim: there is an attempt, which has not been seen."""
    claimed = record = claim(before)
    version = yield Write(record, version)
    if version is CONFLICT:
        return claimed
    try:
        record = {**record, **(yield Prepare(record)), "status": "prepared"}
    except Exception:
        yield Restore(before, version)
        raise
    version = yield Write(record, version)
    if version is CONFLICT:
        return claimed
    problem: Exception = NotStarted()
    try:
        started = yield from _start(record)
    except Refused as refusal:  # nothing of ours was made
        if (yield Restore(before, version)) is CONFLICT:
            return record
        raise refusal.why from None
    except Exception as error:
        problem = error
    else:
        if started:
            return (yield from _commit(record, started, version))
    # Whatever was said: what is true is on the host.
    return (yield from _resolve(record, version, claim, before=before, problem=problem))


def _start(record: Record) -> t.Generator[Step, t.Any, Fields | None]:
    """Make the directory of an attempt, and launch it. Return the fields of the record that say where it has started, if that is known; or
    those with which another one is adopted, of another store.

    :raises Refused: if there is such a one that nobody may adopt
    """
    over: tuple[Record, ...] = ()
    while True:
        answer: Foreign | Fields | None = yield MakeDirectory(record, over)
        if answer is None:
            answer = yield Launch(record, over)
        if not isinstance(answer, Foreign):
            return answer
        try:
            adopted = yield from _meet(answer.record)
        except Exception as error:
            raise Refused(error) from error
        if adopted:
            return adopted
        over = (*over, answer.record)


def _meet(record: Record) -> t.Generator[Step, t.Any, Fields | None]:
    """Find out about an attempt of another store. Return the fields with which it is adopted, or nothing if it is over."""
    was_awaited = False
    while True:
        seen: Seen = yield Inspect(record, is_foreign=True)
        if not seen.job_id and not seen.lost and not was_awaited:
            was_awaited = True
            yield Await(record)
            continue
        if seen.job_id or seen.lost:
            started = {**record, "ansible_job_id": seen.job_id, **(seen.place or {})}
            adopted: Fields | None = yield Meet(t.cast(Record, started), seen.lost)
            if seen.job_id:
                return adopted
        if (yield Fence(record, is_foreign=True)):
            return None


def _resolve(record: Record, version: str, claim: Claim, *, before: Record | None = None, problem: Exception | None = None) -> Steps:
    """Find out whether an attempt that was prepared has started. If somebody else was faster, or it is lost, return it.

    :arg problem: why it may have failed, if the attempt is our own
    """
    while True:
        seen: Seen = yield Inspect(record)
        if seen.job_id:
            return (yield from _commit(record, {"ansible_job_id": seen.job_id, **(seen.place or {})}, version))
        if (yield Fence(record)):
            break
    if seen.lost:
        yield Write({**record, "status": "lost", "reason": seen.lost}, version)
        return record
    if problem is None:
        return (yield from _attempt(record, version, claim))
    if (yield Restore(before, version)) is CONFLICT:
        return record
    raise problem


def _find_again(record: Record, version: str) -> Steps:
    """Go on with an attempt whose record has vanished.

    Its holder may have failed, and taken it back; or somebody has removed the record when that attempt had started, or when another one
    had, which nobody here has seen. So only a job that is there is proof of anything.

    :arg record: as it was seen last
    :raises Vanished: if there is none
    """
    seen = Seen()
    if record["status"] == "prepared":
        seen = yield Inspect(record)
    if not seen.job_id:
        raise Vanished
    return (yield from _commit(record, {"ansible_job_id": seen.job_id, **(seen.place or {})}, version))


def _commit(record: Record, started: Fields, version: str) -> Steps:
    """Note that an attempt has started, or how it has ended. If somebody else has changed the record meanwhile, return it."""
    running = merged(record, {"status": "running", **started})
    written: str | None = yield Write(running, version)
    # Its action has done the work itself, and only we know its end. Others can have found no more than that nobody has seen it.
    while written is CONFLICT and "status" in started:
        answer: tuple[Record | None, str] = yield Read(may_begin=False)
        found, version = answer
        status = None if found is None or found.get("attempt_dir") != record["attempt_dir"] else found.get("status")
        if found is None or (status not in CLAIMED and status != "lost"):
            break
        running = merged(found, started)
        written = yield Write(running, version)
    return record if written is None else Outcome(running, written)
