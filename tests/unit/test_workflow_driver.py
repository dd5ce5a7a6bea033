# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drivers of a run, through everything that can happen: they race, freeze for as long as they like, and die; others cancel the run,
resume it, remove old records, and remove the run and begin another one with its id. What is driven is the protocol itself, with the
protocol of jobs inside of it.

That a job starts once in its place, whatever its launch comes to, is explored in C(test_exactly_once.py). Here a launch is one step.
"""

from __future__ import annotations

import json
import typing as t
from collections import deque

import pytest
from torture import TORTURE
from workflows import begun, define, inside

from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import driver
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, cancel, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition, Graph, split
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder, locks_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import VERDICTS, Run, part_of, parts_of

BY = {"who": "ann", "time": "", "reason": ""}
ENDS = ("succeeded", "failed", "cancelled")


class At(t.NamedTuple):
    """A step of the protocol of jobs, and of which node."""

    node: str
    attempt: int
    step: t.Any
    begun: str = ""
    """For which run it is done."""


class LookAt(t.NamedTuple):
    """A part of a look."""

    node: str
    attempt: int


class Delete(t.NamedTuple):
    """What prune does."""

    node: str
    version: str


class ReadRunOf(t.NamedTuple):
    """A driver reads the run: that which it has read before, or none."""

    begun: str


class Remove(t.NamedTuple):
    """Somebody removes the run."""

    expect: str | None
    """In this version, as prune does. None for a slip of the hand: whatever there is."""


class BeginAnew(t.NamedTuple):
    """From here on, somebody else is at work, who has read nothing before."""


class Refused(Exception):
    """An order that comes at the wrong time."""


# --- What there is to be done, from the steps of the protocol down to single reads and writes


def _parts(steps: driver.Steps, name: str, guard: bool, numbers: bool) -> driver.Steps:
    """Play a protocol of runs, with the starts and stops that it asks for."""
    answer: t.Any = None
    begun = ""
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as stop:
            return stop.value
        answer, todo = None, []
        if isinstance(step, driver.Look):
            found = {}
            for node in step.due:
                found[node] = yield LookAt(node, part_of(step.run, node).node["attempt"])
            answer = driver.Seen(found, frozenset(step.backoff))
            found = node = None
        elif isinstance(step, driver.ReadRun):
            answer = yield ReadRunOf(begun)
            begun = begun or ("" if answer[0] is None else answer[0]["begun"])
        elif isinstance(step, BeginAnew):
            begun = ""
        elif isinstance(step, (driver.Start, driver.Stop)):
            todo = [(node, part_of(step.run, node).node["attempt"]) for node in step.names]
            is_start = isinstance(step, driver.Start)
            step = None
            while todo:
                node, attempt = todo.pop(0)
                if is_start:
                    yield from _of_node(node, attempt, _start(name, attempt, guard, numbers), begun)
                else:
                    yield from _of_node(node, attempt, driver.stopped(attempt, lambda record: {**record, "status": "cancelled"}), begun)
            node = attempt = is_start = None
        else:
            answer = yield step


def _start(name: str, attempt: int, guard: bool, numbers: bool) -> driver.Steps:
    def claim(before: dict[str, t.Any] | None) -> dict[str, t.Any]:
        number = attempt if numbers else (before or {}).get("attempt", 0) + 1
        return {"status": "starting", "attempt": number, "holder": name}

    steps = exactly_once.start_or_attach(claim, lambda record: driver.is_before(record, attempt))
    return driver.guarded(steps) if guard else steps


def _of_node(node: str, attempt: int, steps: driver.Steps, begun: str) -> driver.Steps:
    answer: t.Any = None
    error: Exception | None = None
    while True:
        try:
            step = steps.throw(error) if error else steps.send(answer)
        except (StopIteration, driver.NotDue, exactly_once.NotStarted, exactly_once.Vanished):
            return
        answer, error = (yield At(node, attempt, step, begun)), None
        if answer == "broken":
            error = exactly_once.NotStarted()


def _cancelling() -> driver.Steps:
    def change(run: Run) -> Run:
        if run["status"] != "running":
            raise Refused
        return cancel(run, BY)

    try:
        yield from driver.changed(change)
    except Refused:
        return
    yield from driver.drive()


def _resuming() -> driver.Steps:
    def change(run: Run) -> Run:
        if run["status"] not in VERDICTS:
            raise Refused
        return resume(Graph(run["definition"]), run)

    try:
        yield from driver.changed(change)
    except Refused:
        return
    yield from driver.drive()


def _pruning() -> driver.Steps:
    """Remove the records of jobs of which the run knows how they have ended."""
    run, _version = yield driver.ReadRun()
    for node, part in parts_of(run).items():
        if part.node["state"] == "ended":
            record, version = yield At(node, 0, exactly_once.Read())
            if record is not None and record["status"] in ENDS:
                yield Delete(node, version)


def _replacing(by_hand: bool = False) -> driver.Steps:
    """Remove the run and the records of its jobs that have ended, as prune does; then begin another one with its id, and drive it.

    :arg by_hand: the run goes first, whether it has ended or not
    """
    run, version = yield driver.ReadRun()
    if run is None:
        return
    nodes = [*parts_of(run)]
    if by_hand:
        yield Remove(None)
    for node in nodes:
        record, of_record = yield At(node, 0, exactly_once.Read())
        if record is not None and record["status"] in ENDS:
            now, version = yield driver.ReadRun()
            if now is None or now["status"] in VERDICTS:
                yield Delete(node, of_record)
            now = None
        record = of_record = None
    if not by_hand:
        now, version = yield driver.ReadRun()
        if now is None or now["status"] not in VERDICTS:
            return
        now = None
        for node in nodes:
            record, of_record = yield At(node, 0, exactly_once.Read())
            if record is not None and record["status"] not in ENDS:
                return
            record = of_record = None
        yield Remove(version)
    node = None
    yield BeginAnew()
    there, version = yield driver.ReadRun()
    if there is not None:
        return
    for node in nodes:
        record, of_record = yield At(node, 0, exactly_once.Read())
        if record is not None:
            return
    if (yield driver.WriteRun(run, {**begun(run["definition"]), "run": run["run"], "begun": "anew"}, "")) is driver.CONFLICT:
        return
    yield BeginAnew()
    yield from driver.drive()


ROLES: dict[str, t.Callable[[], driver.Steps]] = {
    "drive": driver.drive,
    "cancel": _cancelling,
    "resume": _resuming,
    "prune": _pruning,
    "replace": _replacing,
    "replace by hand": lambda: _replacing(by_hand=True),
}


# They know more than what they have read last: which nodes there were, and in which version they have found the run.
_REMEMBERING = ("replace", "replace by hand")


class Machine:
    """All states of one who takes part, by number. A generator cannot be copied, so each state keeps the answers that lead to it."""

    def __init__(self, name: str, role: str, which: int, *, guard: bool, numbers: bool) -> None:
        self.role = role
        self.which = which
        """Which of the runs it is about."""
        self._make = lambda: _parts(ROLES[role](), name, guard, numbers)
        self._numbers: dict[t.Any, int] = {}
        self._answers: list[tuple[t.Any, ...]] = []
        self.steps: list[t.Any] = []
        self._next: dict[tuple[int, t.Any], int] = {}
        self.start = self._number(())

    def _number(self, answers: tuple[t.Any, ...]) -> int:
        generator = self._make()
        try:
            step: t.Any = next(generator)
            for answer in answers:
                step = generator.send(_thawed(answer))
            state: t.Any = tuple(_frames(generator))
        except StopIteration:
            step, state = None, ()
        if isinstance(step, driver.Blocked):
            step = driver.Blocked({}, step.holder)
        # What was known before is forgotten here, but for whether the lock is held; what variables still hold is not looked at.
        if isinstance(step, ReadRunOf) and self.role not in _REMEMBERING:
            state = tuple(frame if frame[0] == "drive" else frame[:2] for frame in state)
        elif isinstance(step, (At, driver.Wait)):
            state = tuple(frame[:2] if frame[0] == "_tick" else frame for frame in state)
            step = driver.Wait({}) if isinstance(step, driver.Wait) else step
        key = (state, repr(step))
        if key not in self._numbers:
            self._numbers[key] = len(self.steps)
            self.steps.append(step)
            self._answers.append(answers)
        return self._numbers[key]

    def send(self, state: int, answer: t.Any) -> int:
        key = (state, answer)
        if key not in self._next:
            self._next[key] = self._number((*self._answers[state], answer))
        return self._next[key]


def _frames(generator: t.Any) -> t.Iterator[t.Any]:
    """Where a generator stands, with those that it plays itself, and what they know."""
    while generator is not None and hasattr(generator, "gi_frame"):
        frame = generator.gi_frame
        if frame is None:
            return
        known = {}
        # A part of the protocol of jobs that plays another part returns what that returns, and needs to know no more; but for one that
        # starts: if it does not, what there was before is put back.
        played = generator.gi_yieldfrom
        is_over = played is not None and frame.f_code.co_name in ("_turn", "_attempt", "_resolve") and played.gi_code.co_name != "_start"
        for name, value in frame.f_locals.items():
            if hasattr(value, "gi_frame"):
                yield from _frames(value)
            elif frame.f_code.co_name == "drive" and name != "held":
                continue
            elif not callable(value) and value is not None and name not in ("graph", "answer", "step") and not is_over:
                known[name] = value
        yield frame.f_code.co_name, frame.f_lasti, repr(sorted(known.items()))
        generator = generator.gi_yieldfrom


def _thawed(answer: t.Any) -> t.Any:
    """Return an answer as the protocol expects it. They are kept in a form that can be compared."""
    if not isinstance(answer, tuple) or not answer:
        return answer
    kind, *values = answer
    if kind == "run":
        return (None, "") if values[0] is None else (RUNS[values[0]], str(values[0]))
    if kind == "record":
        return (None if values[0] is None else dict(values[0]), repr(values[0]) if values[0] is not None else "")
    if kind == "fields":
        return dict(values[0])
    if kind == "seen":
        return exactly_once.Seen(*values)
    if kind == "holder":
        return (None if values[0] is None else Holder(*values[0])), repr(values[0])
    if kind == "found":
        return driver.Found(values[0], values[1] and Outcome(*values[1], "", {}))
    return answer


# --- The world


class Place(t.NamedTuple):
    """The directory of an attempt."""

    node: str
    attempt: int
    begun: str
    """Of which run it is."""
    what: str = "absent"
    """C(absent), C(directory), C(file), C(job) while it runs, and how it has ended."""

    @property
    def was_executed(self) -> bool:
        return self.what == "job" or self.what in ENDS


class World(t.NamedTuple):
    """Everything but those who take part. The version of a document is what is in it: put back, it has its old one."""

    runs: tuple[int | None, ...]
    """None stands for one that was removed."""
    holder: tuple[str, str, int, str] | None = None
    """Who holds the lock."""
    records: tuple[tuple[str, t.Any], ...] = ()
    places: tuple[Place, ...] = ()

    def record(self, node: str) -> t.Any:
        return dict(self.records).get(node)

    def version(self, node: str) -> str:
        record = self.record(node)
        return "" if record is None else repr(record)

    def write(self, node: str, record: t.Any) -> World:
        records = {**dict(self.records), node: record}
        return self._replace(records=tuple(sorted((name, value) for name, value in records.items() if value is not None)))

    def with_run(self, which: int, run: int | None) -> World:
        return self._replace(runs=(*self.runs[:which], run, *self.runs[which + 1 :]))

    def put(self, place: int, what: str) -> World:
        return self._replace(places=(*self.places[:place], self.places[place]._replace(what=what), *self.places[place + 1 :]))


def _frozen(record: dict[str, t.Any]) -> t.Any:
    return tuple(sorted((name, value) for name, value in record.items() if name not in ("reason",)))


RUNS: list[Run] = []
"""All runs that have been written. A state has the number of one."""
_NUMBERS: dict[str, int] = {}


def _without_why(node: dict[str, t.Any]) -> dict[str, t.Any]:
    node = {**node, "why": ""}
    if "items" in node:
        node["items"] = [_without_why(item) for item in node["items"]]
    if "nodes" in node:
        node["nodes"] = {name: _without_why(inner) for name, inner in node["nodes"].items()}
    return node


def _number_of(run: Run) -> int:
    run = {**run, "nodes": {name: _without_why(node) for name, node in run["nodes"].items()}}
    if not locks_of(run["definition"]):
        run["epoch"] = 0
    text = json.dumps(run, sort_keys=True)
    if text not in _NUMBERS:
        _NUMBERS[text] = len(RUNS)
        RUNS.append(run)
    return _NUMBERS[text]


def _is_of(run: Run, node: str) -> bool:
    try:
        split(run["definition"], node)
    except KeyError:
        return False
    return True


State = tuple[World, tuple[int | None, ...], int]


class Search:
    """Visit everything that can happen.

    :arg roles: who takes part
    :arg ends: how jobs end
    :arg kills: how many drivers may die
    :arg places: how many places are followed; what would make more is cut off
    :arg identity: whether the guard asks for the run that has decided, and not for whichever has its id
    """

    def __init__(
        self,
        definition: Definition,
        roles: t.Sequence[str],
        *,
        beside: Definition | None = None,
        ends: t.Sequence[str] = ("succeeded",),
        kills: int = 0,
        places: int = 2,
        guard: bool = True,
        numbers: bool = True,
        lock: bool = True,
        identity: bool = True,
        guard_of_stops: bool = True,
    ) -> None:
        self._machines = [
            Machine(f"{role}{number}", role.removesuffix("!"), int(role.endswith("!")), guard=guard, numbers=numbers)
            for number, role in enumerate(roles)
        ]
        self._start = [begun(definition)] + ([{**begun(beside), "run": "s"}] if beside else [])
        self._lock = lock
        self._identity = identity
        self._guard_of_stops = guard_of_stops
        self._ends = ends
        self._kills = kills
        self._places = places
        self._waits = True
        """Whether a driver that is blocked tries again."""
        self.verdicts: dict[str, int] = {}
        self.states = 0

    def run(self) -> None:
        """Visit all states. An assertion fails in the first one that must not be."""
        start: State = (World(tuple(map(_number_of, self._start))), tuple(machine.start for machine in self._machines), 0)
        before: dict[State, list[State]] = {start: []}
        queue = deque([start])
        ends: list[State] = []
        while queue:
            state = queue.popleft()
            self._check(state[0])
            following = [*self._following(state)]
            is_cut = any(len(one[0].places) > self._places for one in following)
            if is_cut or self._is_over(state):
                ends.append(state)
            for one in following:
                if len(one[0].places) > self._places:
                    continue
                if one not in before:
                    before[one] = []
                    queue.append(one)
                before[one].append(state)
        self.states = len(before)
        self._check_that_all_end(before, ends)

    def _is_over(self, state: State) -> bool:
        """Return whether everybody who lives has come to an end. Who resumes waits for a run to end, and so does the other run if they must
        not run beside each other; for ever where all who drive it have died: that somebody does, nobody promises."""
        world, at, _killed = state
        living = [
            machine for machine, number in zip(self._machines, at, strict=True) if number is not None and machine.steps[number] is not None
        ]
        if any(machine.role != "resume" and not self._waits_for_nobody(world, machine, living) for machine in living):
            return False
        status = " ".join("gone" if run is None else RUNS[run]["status"] for run in world.runs)
        self.verdicts[status] = self.verdicts.get(status, 0) + 1
        return True

    @staticmethod
    def _waits_for_nobody(world: World, machine: Machine, living: t.Sequence[Machine]) -> bool:
        """Return whether another run than that of a machine has the lock, and goes on, and whoever has driven it is dead."""
        for which, number in enumerate(world.runs):
            if number is not None and world.holder is not None and which != machine.which and RUNS[number]["run"] == world.holder[1]:
                return RUNS[number]["status"] not in VERDICTS and all(one.which != which for one in living)
        return False

    @staticmethod
    def _check_that_all_end(before: dict[State, list[State]], ends: list[State]) -> None:
        """Make sure that from every state, there is a way to an end."""
        seen = {*ends}
        queue = deque(ends)
        while queue:
            for one in before[queue.popleft()]:
                if one not in seen:
                    seen.add(one)
                    queue.append(one)
        stuck = next((state for state in before if state not in seen), None)
        assert stuck is None, f"nobody gets on: {stuck}"

    def _check(self, world: World) -> None:
        runs = [RUNS[number] for number in world.runs if number is not None]
        for run in runs:
            places = [place for place in world.places if _is_of(run, place.node)]
            others = [place for place in places if place.begun != run["begun"]]
            assert not [place for place in others if place.what == "job"], f"something runs for a run that was removed: {world}"
            self._check_run(world, run, [place for place in places if place not in others])
            if others and "cancelling" not in run:
                stopped = [place for place in places if place not in others and place.what == "cancelled"]
                lost = [node for node in run["nodes"].values() if node.get("outcome") == "cancelled"]
                assert not stopped + lost, f"what nobody has cancelled was stopped: {world}"
        if len(runs) > 1:
            running = [place.node for place in world.places if place.what == "job"]
            assert not all(any(_is_of(run, node) for node in running) for run in runs), f"both runs are under way: {world}"

    @staticmethod
    def _check_run(world: World, run: Run, places: list[Place]) -> None:
        executed = [place for place in places if place.was_executed]
        attempts = [place[:2] for place in executed]
        assert len(attempts) == len({*attempts}), f"an attempt was executed twice: {world}"
        for place in executed:
            node = part_of(run, place.node).node
            assert place.attempt <= node["attempt"], f"an attempt was executed on which nobody has decided: {world}"
            if node["state"] in ("ended", "backoff") and node["attempt"] == place.attempt:
                assert place.what == node["outcome"], f"the run says something else than what became of it: {world}"
        if run["status"] in VERDICTS:
            assert not [place for place in executed if place.what == "job"], f"something runs, and the run has ended: {world}"
            known = {(place.node, place.attempt) for place in executed}
            for name, part in parts_of(run).items():
                node = part.node
                if node["state"] == "ended" and node["outcome"] != "cancelled":
                    assert (name, node["attempt"]) in known, f"it has ended, and was never executed: {world}"
        if run["status"] == "cancelled":
            for place in places:  # whatever sleeps: nothing can come of it any more
                record = dict(world.record(place.node) or ())
                is_prepared = record.get("status") == "prepared" and record["place"] == world.places.index(place)
                assert place.what != "directory" or not is_prepared, f"something may begin, and the run has ended: {world}"

    # --- What can happen next

    def _following(self, state: State) -> t.Iterator[State]:
        world, at, killed = state
        for number, where in enumerate(at):
            machine = self._machines[number]
            if where is None or machine.steps[where] is None:
                continue
            if where == machine.start and not self._may_begin(machine.role, world.runs[machine.which]):
                continue
            for after, new in self._do(world, machine, where):
                yield after, (*at[:number], new, *at[number + 1 :]), killed
            if killed < self._kills and machine.role != "prune":
                yield world, (*at[:number], None, *at[number + 1 :]), killed + 1
        for place, about in enumerate(world.places):
            if about.what == "job":
                for what in self._ends:
                    yield world.put(place, what), at, killed

    @staticmethod
    def _may_begin(role: str, run: int | None) -> bool:
        return role not in ("resume", "replace") or (run is not None and RUNS[run]["status"] in VERDICTS)

    def _do(self, world: World, machine: Machine, where: int) -> t.Iterator[tuple[World, int]]:
        step = machine.steps[where]
        for after, answer in self._outcomes(world, step, machine.which):
            new = machine.send(where, answer)
            # What nobody else can see happens at once.
            if isinstance(machine.steps[new], At) and isinstance(
                machine.steps[new].step, (exactly_once.Prepare, exactly_once.MakeDirectory)
            ):
                yield from self._do(after, machine, new)
            else:
                yield after, new

    @staticmethod
    def _is_unseen(step: t.Any, before: t.Any) -> bool:
        """Return whether nobody can tell when a step happens, so that it may be at once: nothing that others do makes it another one."""
        if isinstance(step, At) and isinstance(step.step, exactly_once.Inspect):
            return isinstance(before, At) and isinstance(before.step, exactly_once.Launch)
        return isinstance(step.step if isinstance(step, At) else step, (driver.Wait, exactly_once.Prepare, exactly_once.MakeDirectory))

    def _outcomes(self, world: World, step: t.Any, which: int) -> t.Iterator[tuple[World, t.Any]]:
        number = world.runs[which]
        version = "" if number is None else str(number)
        if isinstance(step, ReadRunOf):
            is_other = number is not None and step.begun and RUNS[number]["begun"] != step.begun
            yield world, ("run", None if is_other else number)
        elif isinstance(step, driver.WriteRun):
            after = _number_of(step.after)
            is_there = step.expect == version
            yield (world.with_run(which, after), str(after)) if is_there else (world, driver.CONFLICT)
        elif isinstance(step, Remove):
            yield (world.with_run(which, None) if step.expect in (None, version) else world), None
        elif isinstance(step, driver.ReadHolder):
            yield world, ("holder", world.holder)
        elif isinstance(step, driver.WriteHolder):
            is_there = step.expect == repr(world.holder) or not self._lock
            yield (world._replace(holder=tuple(step.holder)), "1") if is_there else (world, driver.CONFLICT)
        elif isinstance(step, driver.ReadStatus):
            runs = [RUNS[number] for number in world.runs if number is not None]
            yield world, next((run["status"] for run in runs if run["run"] == step.holder.run), "")
        elif isinstance(step, driver.Blocked):
            yield world, self._waits
        elif isinstance(step, driver.Wait):
            yield world, True
        elif isinstance(step, LookAt):
            yield self._look(world, step)
        elif isinstance(step, Delete):
            yield (world.write(step.node, None) if step.version == world.version(step.node) else world), None
        else:
            yield from self._of_job(world, step)

    @staticmethod
    def _look(world: World, step: LookAt) -> tuple[World, t.Any]:
        record = dict(world.record(step.node) or ())
        if not record or driver.is_before(record, step.attempt):
            return world, ("found", driver.ABSENT, None)
        if record["status"] == "running" and world.places[record["place"]].what in ENDS:
            record["status"] = world.places[record["place"]].what
            world = world.write(step.node, _frozen(record))
        is_ended = record["status"] in ENDS and record["attempt"] == step.attempt
        what = driver.CLAIMED if record["status"] in ("starting", "prepared") else driver.ALIVE
        return world, ("found", what, (step.attempt, record["status"]) if is_ended else None)

    def _of_job(self, world: World, at: At) -> t.Iterator[tuple[World, t.Any]]:
        node, attempt, step, begun = at
        if isinstance(step, exactly_once.Read):
            yield world, ("record", world.record(node))
        elif isinstance(step, (exactly_once.Write, exactly_once.Restore)):
            record = step.record if isinstance(step, exactly_once.Write) else step.before
            if step.expect != world.version(node):
                yield world, exactly_once.CONFLICT
            else:
                after = world.write(node, None if record is None else _frozen(record))
                yield after, after.version(node)
        elif isinstance(step, (exactly_once.Guard, driver.GuardStop)):
            run = next((RUNS[number] for number in world.runs if number is not None and _is_of(RUNS[number], node)), None)
            if isinstance(step, driver.GuardStop):
                yield world, not self._guard_of_stops or driver.is_cancelled(run, begun)
            else:
                yield world, driver.why_not(run, node, attempt, begun if self._identity or run is None else run["begun"])
        elif isinstance(step, exactly_once.Watch):
            yield world, world.version(node) != step.version
        elif isinstance(step, exactly_once.Prepare):
            yield (
                world._replace(places=(*world.places, Place(node, step.record["attempt"], begun))),
                ("fields", (("place", len(world.places)), ("ansible_job_id", ""))),
            )
        else:
            yield self._on_host(world, step)

    @staticmethod
    def _on_host(world: World, step: t.Any) -> tuple[World, t.Any]:
        place = step.record["place"]
        there = world.places[place].what
        if isinstance(step, exactly_once.MakeDirectory):
            return (world.put(place, "directory"), None) if there == "absent" else (world, "broken")
        if isinstance(step, exactly_once.Launch):
            return (world.put(place, "job"), None) if there == "directory" else (world, "broken")
        if isinstance(step, exactly_once.Inspect):
            return world, ("seen", f"j{place}" if world.places[place].was_executed else "", "")
        if isinstance(step, exactly_once.Fence):
            return (world, False) if world.places[place].was_executed else (world.put(place, "file"), True)
        assert isinstance(step, driver.Kill)
        return world.put(place, "cancelled") if there == "job" else world, None


def search(definition: Definition, *roles: str, **kwargs: t.Any) -> Search:
    """Visit all states, and tell how many those were."""
    found = Search(definition, roles, **kwargs)
    found.run()
    print(f"{[*definition['nodes']]}, {roles}, {kwargs}: {found.states} states, {found.verdicts}")
    return found


ONE = define({"a": {}})
AGAIN = define({"a": {"retries": 1}})
CHAIN = define({"a": {}, "b": {"all": {"a": "succeeded"}}})
EDGES = define({"a": {}, "b": {"all": {"a": "succeeded"}}, "c": {"all": {"a": "failed"}}})
JOIN = define({"a": {}, "b": {}, "c": {"any": {"a": "succeeded", "b": "failed"}}})
EACH = define({"a": {"for_each": [1, 2], "max_parallel": 1}})
NESTED = define({"w": inside(CHAIN)})
BOTH = ("succeeded", "failed")

LARGE = [
    pytest.param(ONE, ("drive", "drive", "cancel"), {}, id="two and a cancel"),
    pytest.param(CHAIN, ("drive", "drive"), {"kills": 2, "places": 4}, id="a chain, both may die"),
    pytest.param(ONE, ("drive", "cancel", "resume"), {"kills": 1, "places": 3}, id="a cancel, a resume, one may die"),
    pytest.param(JOIN, ("drive", "drive"), {"ends": BOTH, "places": 3}, id="a join, two"),
]


@pytest.mark.parametrize(
    ("definition", "roles", "disturbed"),
    [
        pytest.param(ONE, ("drive", "drive"), {"kills": 2}, id="two, both may die"),
        pytest.param(AGAIN, ("drive", "drive"), {"ends": BOTH}, id="two, with another try"),
        pytest.param(CHAIN, ("drive", "drive"), {}, id="a chain, two"),
        pytest.param(ONE, ("drive", "cancel"), {"kills": 2}, id="a cancel, both may die"),
        pytest.param(ONE, ("drive", "drive", "prune"), {}, id="two and a prune"),
        pytest.param(EDGES, ("drive", "resume", "prune"), {"ends": BOTH, "places": 4}, id="edges, a resume and a prune"),
        pytest.param(EDGES, ("drive", "resume", "prune"), {"ends": BOTH, "kills": 1, "places": 4}, id="edges, resume, prune, one may die"),
        pytest.param(EACH, ("drive", "drive"), {"ends": BOTH}, id="items, two"),
        pytest.param(EACH, ("drive", "cancel"), {"kills": 1}, id="items, a cancel, one may die"),
        pytest.param(EACH, ("drive", "resume", "prune"), {"ends": BOTH, "places": 3}, id="items, a resume and a prune"),
        pytest.param(NESTED, ("drive", "drive"), {"kills": 1}, id="a workflow inside, one may die"),
        pytest.param(NESTED, ("drive", "cancel"), {"kills": 1}, id="a workflow inside, a cancel, one may die"),
        pytest.param(NESTED, ("drive", "resume", "prune"), {"ends": BOTH, "places": 4}, id="a workflow inside, a resume and a prune"),
        pytest.param(ONE, ("drive", "drive", "replace"), {}, id="another run with that id, two"),
        pytest.param(ONE, ("drive", "cancel", "replace"), {"kills": 1}, id="another run with that id, a cancel, one may die"),
        pytest.param(ONE, ("drive", "replace by hand"), {"kills": 1}, id="another run with that id, by hand, one may die"),
        *(LARGE if TORTURE else []),
    ],
)
def test_every_attempt_runs_once(definition: Definition, roles: tuple[str, ...], disturbed: dict[str, t.Any]) -> None:
    """Whatever happens: once, by decision, nothing in a run that has ended, the truth about each, and an end."""
    found = search(definition, *roles, **disturbed)
    assert found.verdicts.keys() & {*VERDICTS}


ALONE = define({"a": {}}, allow_simultaneous=False)
BESIDE = define({"b": {}}, allow_simultaneous=False)


@pytest.mark.parametrize(
    ("roles", "disturbed"),
    [
        pytest.param(("drive", "drive!"), {}, id="two runs"),
        pytest.param(("drive", "cancel", "drive!"), {}, id="two runs, one is cancelled"),
        pytest.param(("drive", "resume", "drive!"), {"ends": BOTH, "places": 3}, id="two runs, one is resumed"),
        *(
            [pytest.param(("drive", "drive", "resume", "drive!"), {"ends": BOTH, "kills": 1, "places": 3}, id="all that")]
            if TORTURE
            else []
        ),
    ],
)
def test_runs_that_must_not_run_beside_each_other(roles: tuple[str, ...], disturbed: dict[str, t.Any]) -> None:
    """Whatever happens, jobs of one of them run at any moment, and both come to an end."""
    found = search(ALONE, *roles, beside=BESIDE, **disturbed)
    assert any(set(both.split()) <= {*VERDICTS} for both in found.verdicts)


def test_the_search_finds_that_a_lock_is_taken_without_a_condition() -> None:
    with pytest.raises(AssertionError, match="both runs are under way"):
        search(ALONE, "drive", "drive!", beside=BESIDE, lock=False)


@pytest.mark.parametrize(
    ("definition", "roles", "without", "said"),
    [
        (ONE, ("drive", "drive", "prune"), {"guard": False}, "an attempt was executed twice"),
        (ONE, ("drive", "cancel"), {"guard": False}, "something may begin, and the run has ended"),
        (ONE, ("drive", "drive", "resume"), {"numbers": False, "ends": ("failed",)}, "on which nobody has decided"),
        (define({"a": {"for_each": [1]}}), ("drive", "drive", "prune"), {"guard": False}, "an attempt was executed twice"),
        (define({"w": inside(ONE)}), ("drive", "cancel"), {"guard": False}, "something may begin, and the run has ended"),
        (ONE, ("drive", "replace by hand"), {"identity": False}, "something runs for a run that was removed"),
        (ONE, ("drive", "cancel", "replace"), {"guard_of_stops": False}, "what nobody has cancelled was stopped"),
    ],
)
def test_the_search_finds_what_is_missing(definition: Definition, roles: tuple[str, ...], without: dict[str, t.Any], said: str) -> None:
    """Without the guard, or without numbers of attempts, it goes wrong. That is known."""
    with pytest.raises(AssertionError, match=said):
        search(definition, *roles, **without)
