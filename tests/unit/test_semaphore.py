# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that may not all run at once, through everything that can happen: their controllers race, freeze for as long as they like, and die;
jobs end, and old records are removed. What is driven is the protocol itself, with the protocol of jobs inside of it.

That a job starts once in its place, whatever its launch comes to, is explored in C(test_exactly_once.py). Here a launch is one step.
"""

from __future__ import annotations

import typing as t
from collections import deque

import pytest
from torture import TORTURE

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import Full
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import Holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once, semaphore

NAME = "database"
ENDED = "succeeded"


class Broken(Exception):
    """What a step raises."""


class Delete(t.NamedTuple):
    """What prune does."""

    version: str


def _mine(record: dict[str, t.Any]) -> Holder:
    return Holder("h", "p", record["job"], record["semaphore"]["slot"], record["at_most"], 1, "", "")


def _starting(name: str, job: str, at_most: int) -> semaphore.Steps:
    """Start a job, as one of its controllers does."""
    count = 0

    def claim(_before: t.Any) -> dict[str, t.Any]:
        nonlocal count
        count += 1
        about = {"name": NAME, "slot": f"{name}.{count}"}
        return {"status": "starting", "job": job, "semaphore": about, "at_most": at_most, "place": None}

    steps = exactly_once.start_or_attach(claim, lambda record: False)
    return semaphore.limited(steps, semaphore.Wanted(NAME, at_most), _mine)


def _pruning(frees: bool) -> semaphore.Steps:
    """Remove the record of a job that has ended."""
    record, version = yield exactly_once.Read()
    if record is None or record["status"] != ENDED:
        return
    slot = record.get("semaphore", {}).get("slot")
    while frees and slot:
        holders, expect = yield semaphore.ReadSemaphore(NAME)
        others = tuple(holder for holder in holders if holder.slot != slot)
        if others == holders or (yield semaphore.WriteSemaphore(NAME, others, expect)) is not semaphore.CONFLICT:
            break
    yield Delete(version)


class Machine:
    """All states of one who takes part, by number. A generator cannot be copied, so each state keeps the answers that lead to it."""

    def __init__(self, job: str, make: t.Callable[[], semaphore.Steps]) -> None:
        self.job = job
        self._make = make
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
                step = generator.throw(Broken()) if answer == "broken" else generator.send(_thawed(answer))
            state: t.Any = tuple(_frames(generator))
        except StopIteration:
            step, state = None, ()
        except (Broken, exactly_once.NotStarted, exactly_once.Vanished, Full) as error:
            step, state = error, type(error).__name__
        if isinstance(step, semaphore.ReadSemaphore):  # what was known before is forgotten here
            state = tuple((*frame[:2], "") if frame[0] == "_take" else frame for frame in state)
        key = (state, repr(step))
        if key not in self._numbers:
            self._numbers[key] = len(self.steps)
            self.steps.append(step)
            self._answers.append(answers)
        return self._numbers[key]

    def send(self, state: int, answer: t.Any) -> int:
        key = (state, repr(answer))
        if key not in self._next:
            self._next[key] = self._number((*self._answers[state], answer))
        return self._next[key]

    def is_over(self, state: int | None) -> bool:
        return state is None or self.steps[state] is None or isinstance(self.steps[state], Exception)


def _frames(generator: t.Any) -> t.Iterator[t.Any]:
    """Where a generator stands, with those that it plays itself, and what they know."""
    while generator is not None and hasattr(generator, "gi_frame"):
        frame = generator.gi_frame
        if frame is None:
            return
        known = {}
        # What waits for a part to be played knows nothing that matters after it, but for what it was given.
        is_over = generator.gi_yieldfrom is not None and frame.f_code.co_name in ("_turn", "_attempt", "_resolve")
        for name, value in frame.f_locals.items():
            if hasattr(value, "gi_frame"):
                yield from _frames(value)
            elif getattr(value, "__name__", "") == "claim":
                known["claims"] = value.__closure__ and max(
                    (cell.cell_contents for cell in value.__closure__ if _is_number(cell)), default=0
                )
            elif not callable(value) and value is not None and name not in ("answer", "step", "wanted", "taken") and not is_over:
                known[name] = value
        yield frame.f_code.co_name, frame.f_lasti, repr(sorted(known.items()))
        generator = generator.gi_yieldfrom


def _is_number(cell: t.Any) -> bool:
    return isinstance(cell.cell_contents, int)


def _thawed(answer: t.Any) -> t.Any:
    """Return an answer as the protocol expects it. They are kept in a form that can be compared."""
    kind = answer[0] if isinstance(answer, tuple) and answer else None
    if kind == "record":
        return (None if answer[1] is None else _plain(answer[1]), answer[2])
    if kind == "fields":
        return dict(answer[1])
    if kind == "renew":
        return _plain(answer[1])
    if kind == "holder":
        return semaphore.HolderSeen(None if answer[1] is None else _plain(answer[1]), *answer[2:])
    return answer


def _plain(record: t.Any) -> dict[str, t.Any]:
    return {name: dict(value) if name == "semaphore" else value for name, value in record}


def _frozen(record: dict[str, t.Any]) -> t.Any:
    return tuple(sorted((name, tuple(sorted(value.items())) if isinstance(value, dict) else value) for name, value in record.items()))


# --- The world


class World(t.NamedTuple):
    """Everything but those who take part. The version of a document is what is in it: put back, it has its old one."""

    records: tuple[tuple[str, t.Any], ...] = ()
    holders: tuple[Holder, ...] = ()
    places: tuple[str, ...] = ()
    """What is there of each attempt: C(absent), C(directory), C(file), C(job) while it runs, C(ended)."""

    def record(self, job: str) -> t.Any:
        return dict(self.records).get(job)

    def version(self, job: str) -> str:
        return "" if self.record(job) is None else repr(self.record(job))

    def write(self, job: str, record: t.Any) -> World:
        records = {**dict(self.records), job: record}
        return self._replace(records=tuple(sorted((name, value) for name, value in records.items() if value is not None)))

    def put(self, place: int, what: str) -> World:
        return self._replace(places=(*self.places[:place], what, *self.places[place + 1 :]))


State = tuple[World, tuple["int | None", ...], int, int]


class Search:
    """Visit everything that can happen.

    :arg jobs: the job that each controller starts
    :arg at_most: how many may run, as each of them says
    :arg kills: how many may die
    :arg failures: how often a host may refuse
    :arg places: how many places are followed; what would make more is cut off, as are more than so many claims of one controller
    :arg prune: a job whose record is removed when it has ended
    :arg without: what is left out of the protocol
    """

    def __init__(
        self,
        jobs: str,
        at_most: t.Sequence[int] = (1,),
        *,
        kills: int = 0,
        failures: int = 0,
        places: int = 2,
        claims: int = 1,
        prune: str = "",
        without: str = "",
    ) -> None:
        numbers = [at_most[number % len(at_most)] for number in range(len(jobs))]
        self._most = min(numbers)
        self._machines = [
            Machine(job, lambda job=job, name=f"{job}{number}", most=most: _starting(name, job, most))  # type: ignore[misc]
            for number, (job, most) in enumerate(zip(jobs, numbers, strict=True))
        ]
        if prune:
            self._machines.append(Machine(prune, lambda: _pruning(without != "free")))
        self._last = Machine("z", lambda: _starting("z", "z", max(numbers)))
        self._limits = (kills, failures, places, claims)
        self._without = without
        self.states = 0
        self.ends = 0

    def run(self) -> None:
        """Visit all states. An assertion fails in the first one that must not be."""
        start: State = (World(), tuple(machine.start for machine in self._machines), 0, 0)
        before: dict[State, list[State]] = {start: []}
        queue = deque([start])
        ends: list[State] = []
        while queue:
            state = queue.popleft()
            world = state[0]
            assert world.places.count("job") <= self._most, f"more than {self._most} run: {world}"
            followers = [*self._following(state)]
            is_cut = any(self._is_far(one[0]) for one in followers)
            is_over = all(machine.is_over(at) for machine, at in zip(self._machines, state[1], strict=True))
            if is_over:
                self.ends += 1
                self._check_that_nothing_leaks(world)
            if is_cut or is_over:
                ends.append(state)
            for one in followers:
                if self._is_far(one[0]):
                    continue
                if one not in before:
                    before[one] = []
                    queue.append(one)
                before[one].append(state)
        self.states = len(before)
        self._check_that_all_end(before, ends)

    def _is_far(self, world: World) -> bool:
        _kills, _failures, places, claims = self._limits
        slots = [dict(dict(record).get("semaphore", ())).get("slot", "x.0") for _job, record in world.records]
        return len(world.places) > places or any(int(slot.rpartition(".")[2]) > claims for slot in slots)

    @staticmethod
    def _check_that_all_end(before: dict[State, list[State]], ends: list[State]) -> None:
        seen = {*ends}
        queue = deque(ends)
        while queue:
            for one in before[queue.popleft()]:
                if one not in seen:
                    seen.add(one)
                    queue.append(one)
        stuck = next((state for state in before if state not in seen), None)
        assert stuck is None, f"nobody gets on: {stuck}"

    def _check_that_nothing_leaks(self, world: World) -> None:
        """Make sure that a job which comes when all others are gone, and all that has run has ended, gets its slot."""
        for place, what in enumerate(world.places):
            world = world.put(place, "ended") if what == "job" else world
        machine, at = self._last, self._last.start
        for _step in range(200):
            if machine.is_over(at):
                break
            world, at = max(((after, new) for after, new, failed in self._do(world, machine, at) if not failed), key=lambda one: one[1])
        assert "job" in world.places, f"a slot has leaked: {world}"

    # --- What can happen next

    def _following(self, state: State) -> t.Iterator[State]:
        world, at, killed, failed = state
        for number, where in enumerate(at):
            machine = self._machines[number]
            if where is None or machine.is_over(where):
                continue
            for after, new, fails in self._do(world, machine, where):
                if failed + fails <= self._limits[1]:
                    yield after, (*at[:number], new, *at[number + 1 :]), killed, failed + fails
            if killed < self._limits[0]:
                yield world, (*at[:number], None, *at[number + 1 :]), killed + 1, failed
        for place, what in enumerate(world.places):
            if what == "job":
                yield world.put(place, "ended"), at, killed, failed

    def _do(self, world: World, machine: Machine, where: int) -> t.Iterator[tuple[World, int, int]]:
        before = machine.steps[where]
        for after, answer, failed in self._outcomes(world, machine.job, before):
            new = machine.send(where, answer)
            step = machine.steps[new]
            # What nobody else can see happens at once.
            if isinstance(step, exactly_once.Prepare) or (
                isinstance(before, exactly_once.Launch) and isinstance(step, exactly_once.Inspect)
            ):
                for last, one, fails in self._do(after, machine, new):
                    yield last, one, failed + fails
            else:
                yield after, new, failed

    def _outcomes(self, world: World, job: str, step: t.Any) -> t.Iterator[tuple[World, t.Any, int]]:
        if isinstance(step, semaphore.ReadSemaphore):
            yield world, (world.holders, repr(world.holders)), 0
        elif isinstance(step, semaphore.WriteSemaphore):
            if step.expect == repr(world.holders) or self._without == "condition":
                yield world._replace(holders=tuple(sorted(step.holders))), "written", 0
            else:
                yield world, semaphore.CONFLICT, 0
        elif isinstance(step, semaphore.ReadHolder):
            yield from self._look(world, step.holder.job_name)
        elif isinstance(step, semaphore.FenceHolder):
            place = dict(step.record)["place"]
            there = world.places[place]
            yield (world, "it has started", 0) if there in ("job", "ended") else (world.put(place, "file"), "", 0)
        elif isinstance(step, semaphore.WriteHolder):
            if self._without == "revoke":
                yield world, "written", 0
            elif world.version(step.holder.job_name) != step.expect:
                yield world, semaphore.CONFLICT, 0
            else:
                yield world.write(step.holder.job_name, _frozen(step.record)), "written", 0
        elif isinstance(step, semaphore.WaitForSlot):
            yield world, "broken", 0  # it gives up
            yield world, None, 0
            if "waits" not in step.record:
                yield world, ("renew", _frozen({**step.record, "waits": True})), 0
        elif isinstance(step, Delete):
            yield (world.write(job, None) if step.version == world.version(job) else world), None, 0
        else:
            yield from self._of_job(world, job, step)

    @staticmethod
    def _look(world: World, job: str) -> t.Iterator[tuple[World, t.Any, int]]:
        """A look at a job notes what is there, as any module does that looks."""
        record = dict(world.record(job) or ())
        if record and record["place"] is not None and record["status"] in ("prepared", "running"):
            there = world.places[record["place"]]
            if there in ("job", "ended"):
                world = world.write(job, _frozen({**record, "status": "running" if there == "job" else ENDED}))
        version = world.version(job)
        yield world, ("holder", world.record(job), version, False), 0
        if record.get("status") in ("starting", "prepared"):
            yield world, ("holder", world.record(job), version, True), 0

    def _of_job(self, world: World, job: str, step: t.Any) -> t.Iterator[tuple[World, t.Any, int]]:
        if isinstance(step, exactly_once.Read):
            yield world, ("record", world.record(job), world.version(job)), 0
        elif isinstance(step, (exactly_once.Write, exactly_once.Restore)):
            record = step.record if isinstance(step, exactly_once.Write) else step.before
            if step.expect != world.version(job):
                yield world, exactly_once.CONFLICT, 0
            else:
                after = world.write(job, None if record is None else _frozen(record))
                yield after, after.version(job), 0
        elif isinstance(step, exactly_once.Watch):
            yield world, world.version(job) != step.version, 0
        elif isinstance(step, exactly_once.Prepare):
            fields = (("place", len(world.places)), ("ansible_job_id", ""))
            yield world._replace(places=(*world.places, "absent")), ("fields", fields), 0
            yield world, "broken", 1
        else:
            yield self._on_host(world, step)

    @staticmethod
    def _on_host(world: World, step: t.Any) -> tuple[World, t.Any, int]:
        place = step.record["place"]
        there = world.places[place]
        if isinstance(step, exactly_once.MakeDirectory):
            return (world.put(place, "directory"), None, 0) if there == "absent" else (world, "broken", 0)
        if isinstance(step, exactly_once.Launch):
            return (world.put(place, "job"), None, 0) if there == "directory" else (world, "broken", 0)
        has_begun = there in ("job", "ended")
        if isinstance(step, exactly_once.Inspect):
            return world, exactly_once.Seen(f"j{place}" if has_begun else "", ""), 0
        assert isinstance(step, exactly_once.Fence)
        return (world, False, 0) if has_begun else (world.put(place, "file"), True, 0)


def test_whoever_gives_up_takes_back_its_claim() -> None:
    """Also if that was written anew while it waited."""
    ours, other = "0" * 32, "1" * 32
    store: dict[str, t.Any] = {"record": None, "version": 0, "waits": 0}

    def claim(_before: t.Any) -> t.Any:
        return {"status": "starting", "ansible_job_id": "", "semaphore": {"slot": ours}}

    def answer_to(step: t.Any) -> t.Any:
        if isinstance(step, exactly_once.Read):
            return None, "0"
        if isinstance(step, semaphore.ReadSemaphore):
            return (Holder("h", "p", "b", other, 1, 1, "me", "now"),), "1"
        if isinstance(step, semaphore.ReadHolder):
            return semaphore.HolderSeen(t.cast(t.Any, {"status": "running", "semaphore": {"slot": other}}), "1")
        if isinstance(step, semaphore.WaitForSlot):
            store["waits"] += 1
            return Full(step.held) if store["waits"] == 3 else {**step.record, "waits": store["waits"]}
        if step.expect != str(store["version"]):
            return semaphore.CONFLICT
        store.update(record=step.record if isinstance(step, exactly_once.Write) else step.before, version=store["version"] + 1)
        return str(store["version"])

    def play() -> None:
        mine = Holder("h", "p", "a", ours, 1, 1, "me", "now")
        steps = exactly_once.start_or_attach(claim, lambda _record: False)
        limited = semaphore.limited(steps, semaphore.Wanted(NAME, 1), lambda _record: mine)
        step = next(limited)
        while True:
            answer = answer_to(step)
            step = limited.throw(answer) if isinstance(answer, Exception) else limited.send(answer)

    with pytest.raises(Full):
        play()
    assert store == {"record": None, "version": 4, "waits": 3}


def search(jobs: str, **kwargs: t.Any) -> Search:
    """Visit all states, and tell how many those were."""
    found = Search(jobs, **kwargs)
    found.run()
    print(f"{jobs}, {kwargs}: {found.states} states, {found.ends} ends")
    return found


LARGE = [
    pytest.param("ab", {"kills": 2, "places": 3, "claims": 2}, id="two jobs, both may die, claims are lost"),
    pytest.param("ab", {"failures": 1, "kills": 1, "places": 3, "claims": 2}, id="two jobs, a host may refuse, one may die"),
    pytest.param("ab", {"at_most": (1, 2), "kills": 1, "places": 3, "claims": 2}, id="two numbers, claims are lost"),
    pytest.param("aa", {"kills": 1, "places": 3, "claims": 2}, id="one job by two, one may die, claims are lost"),
    pytest.param("ab", {"prune": "a", "kills": 1}, id="two jobs and a prune, one may die"),
    pytest.param("abc", {}, id="three jobs"),
    pytest.param("abc", {"at_most": (2,), "kills": 1}, id="three jobs, two slots, one may die"),
]


@pytest.mark.parametrize(
    ("jobs", "disturbed"),
    [
        pytest.param("a", {"kills": 1, "failures": 1}, id="one"),
        pytest.param("ab", {"kills": 1}, id="two jobs, one may die"),
        pytest.param("ab", {"failures": 1}, id="two jobs, a host may refuse"),
        pytest.param("ab", {"at_most": (1, 2)}, id="two jobs that say different numbers"),
        pytest.param("ab", {"prune": "a"}, id="two jobs and a prune"),
        *(LARGE if TORTURE else []),
    ],
)
def test_never_more_and_nothing_leaks(jobs: str, disturbed: dict[str, t.Any]) -> None:
    """Whatever happens: no more run than may, everybody comes to an end, and whoever comes last gets a slot."""
    assert search(jobs, **disturbed).ends


@pytest.mark.parametrize(
    ("without", "kwargs", "said"),
    [
        ("revoke", {}, "more than 1 run"),
        ("condition", {}, "more than 1 run"),
        ("free", {"prune": "a", "kills": 1}, "a slot has leaked"),
    ],
)
def test_the_search_finds_what_is_missing(without: str, kwargs: dict[str, t.Any], said: str) -> None:
    """A claim that is taken for dead and not revoked, a semaphore that is written in any case, a record that goes with its slot."""
    with pytest.raises(AssertionError, match=said):
        search("ab", without=without, **kwargs)
