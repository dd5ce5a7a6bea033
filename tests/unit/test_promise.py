# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around the start of a job, played in every order: somebody stops it, somebody waits and starts it anew, somebody is late,
something of it survives, and its name leads to another machine.

What decides is the code itself: the policies, what a late look is worth, and where a job lives. The rest of the world is a few words. Each
rule can be taken out, to show that the search finds what it is for.
"""

from __future__ import annotations

import typing as t
from collections import deque

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.place import elsewhere
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import is_late
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.policies import decide

POLICIES: dict[str, t.Any] = {
    "restart_on": ["failed", "killed", "lost", "timed_out"],
    "max_attempts": 3,
    "backoff": 0,
    "max_backoff": 0,
    "rerun_after": None,
    "on_change": "fail",
}
RULES = frozenset({"intent", "rank", "gate", "place"})


class World(t.NamedTuple):
    """One moment."""

    status: str = "running"
    """What the record says."""
    version: int = 0
    job: str = "runs"
    """What is true of the first attempt: C(runs), C(dying), C(failed), or C(cancelled), as its results file says then."""
    child: bool = False
    """Whether something of it survives its end."""
    machine: int = 1
    """Where the name of its host leads. The job is on the first one."""
    intent: str = ""
    """What the directory of the attempt says of a cancel: nothing, C(alive) or C(dead), as whoever does it is."""
    signalled: bool = False
    canceller: int = -1
    """How far it is. -1 if there is none, 9 if it is through, 8 if it has died."""
    waiter: int = 0
    seen: str = ""
    read: int = 0
    starts: int = 1
    """How often the job was started."""
    late: str = ""
    """What somebody has seen who is slow to note it."""
    late_read: int = -1


def look(world: World, rules: frozenset[str]) -> str:
    """What whoever looks now says."""
    if world.machine != 1:
        noted = {"machine_id": "a", "nodename": "one", "boot_id": "x", "time": 5}
        found = {"machine_id": "b", "nodename": "two", "boot_id": "y", "time": 9}
        return "unknown" if "place" in rules and elsewhere(noted, found, 1.0) else "lost"
    if "intent" in rules and world.job != "cancelled":
        if world.intent == "alive":
            return "running"
        if world.intent == "dead" and world.signalled and world.job == "failed":
            return "cancelled"
    return {"runs": "running", "dying": "running"}.get(world.job, world.job)


def noted(world: World, seen: str, read: int, rules: frozenset[str]) -> World:
    """The same, once somebody has noted what they have seen, with what the record was when they read it."""
    if seen == "unknown" or seen == world.status:
        return world
    if read != world.version and (is_late(seen, world.status) if "rank" in rules else seen == "running" and world.status != "running"):
        return world
    return world._replace(status=seen, version=world.version + 1)


def following(world: World, rules: frozenset[str], *, dies: bool) -> t.Iterator[World]:
    """All that can happen next."""
    if world.job == "dying":
        yield world._replace(job="failed")
    if world.child and world.job == "failed":
        yield world._replace(child=False)
    # Somebody cancels: says so, sends a signal, waits, notes it in the results file, takes back what was said, notes it in the record.
    step = world.canceller
    if 0 <= step < 8:
        after: World | None = world
        if step == 0:
            after = world._replace(intent="alive")
        elif step == 1:
            after = world._replace(job="dying", signalled=True) if world.job == "runs" else None
        elif step == 2:
            after = world if world.job == "failed" else None
        elif step == 3:
            after = world._replace(job="cancelled")
        elif step == 4:
            after = world._replace(intent="")
        elif step == 5:
            after = noted(world, "cancelled", -1, rules)
        if after is not None:
            yield after._replace(canceller=step + 1 if step < 5 else 9)
        if dies:
            yield world._replace(canceller=8, intent="dead" if world.intent else "")
    # Somebody waits for the job, and starts it anew if that is wanted.
    if world.waiter == 0:
        yield world._replace(waiter=1, seen=look(world, rules), read=world.version)
    elif world.waiter == 1:
        yield noted(world, world.seen, world.read, rules)._replace(waiter=2)
    elif world.waiter == 2:
        record: t.Any = {"status": world.status, "attempt": world.starts, "end": "2026-01-01T00:00:00Z"}
        if world.status == "running":
            yield world._replace(waiter=0)
        elif decide(record, POLICIES, "", tried=False, joined=True, now=2e9).start:
            goes_on = world.child or world.job in ("runs", "dying")
            if "gate" not in rules or not (goes_on or world.machine != 1):
                yield world._replace(waiter=3, starts=world.starts + 1, status="running", version=world.version + 1)
        else:
            yield world._replace(waiter=3)
    # Somebody has looked, and is slow.
    if world.late_read == -1:
        yield world._replace(late=look(world, rules), late_read=world.version)
    elif world.late:
        yield noted(world, world.late, world.late_read, rules)._replace(late="")


def search(begin: World, rules: frozenset[str], check: t.Callable[[World], None], *, dies: bool = False) -> int:
    """Visit all that can come of a moment. Return how much that was."""
    seen = {begin}
    queue = deque([begin])
    while queue:
        world = queue.popleft()
        check(world)
        for after in following(world, rules, dies=dies):
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return len(seen)


def never_beside_itself(world: World) -> None:
    """The job is not started anew while it runs, or something of it, wherever that is."""
    if world.starts > 1:
        assert world.job in ("failed", "cancelled"), f"executed twice: {world}"
        assert not world.child, f"executed beside what it has left behind: {world}"


def stays_cancelled(world: World) -> None:
    """What somebody has stopped stays stopped, and says so."""
    never_beside_itself(world)
    if world.canceller == 9 and world.signalled:
        assert world.starts == 1, f"started anew although it was cancelled: {world}"
        assert world.status == "cancelled", f"cancelled, and told otherwise: {world}"
    elif world.signalled:
        assert world.starts == 1, f"started anew while it is being cancelled: {world}"


# Somebody has looked when the job had got its signal, and notes only now that it has failed.
LATE = World(status="cancelled", version=1, job="cancelled", canceller=9, signalled=True, late="failed", late_read=0)

CASES = [
    pytest.param("intent", World(canceller=0), stays_cancelled, {}, id="somebody cancels it"),
    pytest.param("intent", World(canceller=0), stays_cancelled, {"dies": True}, id="somebody cancels it, and may die"),
    pytest.param("rank", LATE, stays_cancelled, {}, id="a verdict is late"),
    pytest.param("gate", World(job="dying", child=True), never_beside_itself, {}, id="something survives"),
    pytest.param("place", World(machine=2), never_beside_itself, {}, id="another machine"),
]


@pytest.mark.parametrize(("rule", "begin", "check", "more"), CASES)
def test_promise(rule: str, begin: World, check: t.Callable[[World], None], more: dict[str, bool]) -> None:
    """With all rules, it holds; without the one, it does not."""
    found = search(begin, RULES, check, **more)
    assert found > 5
    with pytest.raises(AssertionError, match=r"executed|cancelled"):
        # On another machine, two rules keep a job from being started: that nothing is concluded there, and that somebody looks before.
        search(begin, RULES - {rule, *({"gate"} if rule == "place" else ())}, check, **more)
