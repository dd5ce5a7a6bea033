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

B(Start.) The directory is made, which fails if there is anything by that name. Ansible's own async wrapper starts the job with it as
its results directory. Before the wrapper starts anything, it writes a results file there.

B(Commit.) The results file is seen, and the record says C(running).

B(Resolve.) Whether a start that was not seen through has happened is decided by that directory, never by guessing: with a results
file in it, the job was started, and is adopted. Without one, the directory is fenced: it is removed, which the system refuses to do
if something has appeared in it, and a plain file is made in its place, which stays. From then on no wrapper can start there,
however late it comes, because it can make neither that directory nor a file in it. Only then there is a new attempt.

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

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED

# What a conditional write answers if the record was changed by somebody else.
CONFLICT = None


class Read(t.NamedTuple):
    """Read the record. Answer: the record, or None if it is proven that there is none, and its version."""


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


class Prepare(t.NamedTuple):
    """Ask the host for a place. Answer: the fields of the record that say where and as whom the attempt lives, and in which boot."""

    record: Record


class MakeDirectory(t.NamedTuple):
    """Make the directory of the attempt. Raises an exception if it cannot be made, or if there is something by its name."""

    record: Record


class Launch(t.NamedTuple):
    """Start the job. Raises an exception if Ansible says that it has failed; that proves nothing."""

    record: Record


class Inspect(t.NamedTuple):
    """Look at the directory of the attempt. Answer: what was seen."""

    record: Record


class Fence(t.NamedTuple):
    """Make sure that the attempt cannot start any more. Answer: False if it may just have; then it has to be looked at again."""

    record: Record


Step = t.Union[Read, Write, Restore, Watch, Prepare, MakeDirectory, Launch, Inspect, Fence]


class Seen(t.NamedTuple):
    """What there is in the directory of an attempt."""

    job_id: str = ""
    """The job that has started there. Empty if there is none."""
    rebooted: str = ""
    """Why nobody can tell any more. Empty if the host is still in the boot in which the attempt was prepared."""


class Outcome(t.NamedTuple):
    """The record of a job that has been started, by us or by somebody else."""

    record: Record
    version: str


class NotStarted(Exception):
    """The attempt was not started, although nobody has said that anything went wrong."""


Steps = t.Generator[Step, t.Any, t.Optional[Outcome]]
# The record of a new attempt, after what was there before.
Claim = t.Callable[[t.Optional[Record]], Record]


def start_or_attach(claim: Claim, again: t.Callable[[Record], bool]) -> Steps:
    """Start the job, or find that it was started.

    :arg claim: makes the record with which the attempt is claimed: C(starting), with a claim that no other has
    :arg again: whether a job of which there is this record is to be started once more
    :raises Exception: whatever a step raises. If that means that nothing was started, the record is as it was before
    """
    outcome = None
    while outcome is None:
        record, version = yield Read()
        if record is None or again(record):
            outcome = yield from _attempt(record, version, claim)
        elif record.get("status") not in CLAIMED:
            outcome = Outcome(record, version)
        elif (yield Watch(record, version)):
            continue
        elif record["status"] == "starting":  # the host was not touched; its holder, should it wake up, fails when it notes the place
            outcome = yield from _attempt(record, version, claim)
        else:
            outcome = yield from _resolve(record, version, claim)
    return outcome


def _attempt(before: Record | None, version: str, claim: Claim) -> Steps:
    """Claim a new attempt and start it. Return None if somebody else was faster."""
    record = claim(before)
    version = yield Write(record, version)
    if version is CONFLICT:
        return None
    try:
        record = {**record, **(yield Prepare(record)), "status": "prepared"}
    except Exception:
        yield Restore(before, version)
        raise
    version = yield Write(record, version)
    if version is CONFLICT:
        return None
    problem: Exception = NotStarted()
    try:
        yield MakeDirectory(record)
        yield Launch(record)
    except Exception as error:
        problem = error
    # Whatever was said: what is true is on the host.
    return (yield from _resolve(record, version, claim, before=before, problem=problem))


def _resolve(record: Record, version: str, claim: Claim, *, before: Record | None = None, problem: Exception | None = None) -> Steps:
    """Find out whether an attempt that was prepared has started. Return None if somebody else was faster, or if it is lost.

    :arg problem: why it may have failed, if the attempt is our own
    """
    while True:
        seen: Seen = yield Inspect(record)
        if seen.job_id:
            running: Record = {**record, "status": "running", "ansible_job_id": seen.job_id}
            version = yield Write(running, version)
            return None if version is CONFLICT else Outcome(running, version)
        if (yield Fence(record)):
            break
    if seen.rebooted:
        yield Write({**record, "status": "lost", "reason": seen.rebooted}, version)
        return None
    if problem is None:
        return (yield from _attempt(record, version, claim))
    if (yield Restore(before, version)) is CONFLICT:
        return None
    raise problem
