# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol that starts a job exactly once, driven through everything that can happen.

A search visits every state that some controllers, their store and a host can come to if at each moment any of them may go on, and any
controller may freeze for as long as it likes or die. What is driven is the protocol itself, not a copy of it.
"""

from __future__ import annotations

import typing as t
from collections import deque

import pytest
from torture import TORTURE

from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once


class Broken(Exception):
    """What a step raises."""


# --- A controller: the protocol, and how far it has come ------------------------------------------------------------------


class Machine:
    """All states of a controller, by number. A generator cannot be copied, so each state keeps the answers that lead to it."""

    def __init__(self, again: t.Callable[[dict[str, t.Any]], bool], *, blind: bool) -> None:
        self._again = again
        self._blind = blind
        self._numbers: dict[t.Any, int] = {}
        self._answers: list[tuple[t.Any, ...]] = []
        self.steps: list[t.Any] = []
        self._next: dict[tuple[int, t.Any], int] = {}
        self.start = self._number(())

    def _claim(self, before: dict[str, t.Any] | None) -> dict[str, t.Any]:
        return {"status": "starting"}  # not whose it is: what the protocol does not read, makes no other state

    def _number(self, answers: tuple[t.Any, ...]) -> int:
        """Play these answers, and number the state that they lead to."""
        generator = exactly_once.start_or_attach(self._claim, self._again)
        try:
            step: t.Any = next(generator)
            for kind, value in answers:
                if self._blind and value == ("record", None, ""):
                    generator = exactly_once.start_or_attach(self._claim, self._again)
                    next(generator)
                step = generator.throw(value) if kind == "raise" else generator.send(_thawed(value))
            state = tuple(_frames(generator))
        except StopIteration as stop:
            step, state = stop.value, ()
        except (Broken, exactly_once.NotStarted, exactly_once.Vanished) as error:
            step, state = error, ()
        # Of one that is through it is of no matter any more what it has said, but whether it has an outcome.
        key = (state, repr(step)) if state else isinstance(step, exactly_once.Outcome)
        if key not in self._numbers:
            self._numbers[key] = len(self.steps)
            self.steps.append(step)
            self._answers.append(answers)
        return self._numbers[key]

    def send(self, state: int, value: t.Any) -> int:
        return self._move(state, ("send", value))

    def throw(self, state: int) -> int:
        return self._move(state, ("raise", Broken()), "raise")

    def _move(self, state: int, answer: tuple[str, t.Any], key: t.Any = None) -> int:
        key = (state, key or repr(answer))
        if key not in self._next:
            self._next[key] = self._number((*self._answers[state], answer))
        return self._next[key]


def _frames(generator: t.Any) -> t.Iterator[t.Any]:
    """Where a generator stands, and what it knows."""
    while generator is not None and hasattr(generator, "gi_frame"):
        frame = generator.gi_frame
        yield frame.f_lasti, repr(sorted((name, value) for name, value in frame.f_locals.items() if name not in ("claim", "again")))
        generator = generator.gi_yieldfrom


def _frozen(value: t.Any) -> t.Any:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value


def _thawed(value: t.Any) -> t.Any:
    """An answer as the protocol expects it. Answers are kept in a form that can be compared."""
    if isinstance(value, tuple) and value and value[0] == "record":
        return (None if value[1] is None else dict(value[1]), value[2])
    if isinstance(value, tuple) and value and value[0] == "fields":
        return dict(value[1])
    if isinstance(value, tuple) and value and value[0] == "foreign":
        return exactly_once.Foreign(t.cast(t.Any, {"place": value[1], "boot": value[2]}))
    return value


# --- The world --------------------------------------------------------------------------------------------------------------


class World(t.NamedTuple):
    """Everything but the controllers. Records are tuples of pairs, their versions count."""

    records: tuple[t.Any, ...] = (None,)
    """Of each store."""
    versions: tuple[str, ...] = ("",)
    writes: int = 0
    file: tuple[int, int] | None = None
    """The attempt that the host notes as the last one of the job, and the boot that it was prepared in."""
    boot: int = 0
    places: tuple[str, ...] = ()
    """What is there by the name of each attempt: C(absent), C(directory), C(file), or C(job) with a results file in it."""
    runs: tuple[int, ...] = ()
    """How often each attempt was executed."""
    launches: tuple[tuple[int, str, tuple[t.Any, ...]], ...] = ()
    """Wrappers that are on their way: to which attempt, how far, and what they were told or have found."""
    vanished: int = 0
    """How often a record was removed."""

    def put(self, place: int, what: str) -> World:
        return self._replace(places=(*self.places[:place], what, *self.places[place + 1 :]))

    def write(self, record: t.Any, store: int = 0) -> World:
        version = "" if record is None else f"v{self.writes + 1}"
        return self._replace(
            records=(*self.records[:store], record, *self.records[store + 1 :]),
            versions=(*self.versions[:store], version, *self.versions[store + 1 :]),
            writes=self.writes + 1,
        )


class Search:
    """Visit everything that can happen.

    :arg attempts: how many attempts are followed; what would make more is cut off
    :arg kills: how many controllers may die
    :arg reboots: how often the host may reboot
    :arg failures: how often a step may fail although it was done, or before it was
    :arg vanishes: how often the record of an attempt that has a place may be removed. Then all controllers but the first begin when there
        is such a record: one that has never seen it cannot know of it
    :arg blind: whether the protocol is told, once its record has vanished, that it has never seen an attempt
    :arg stores: how many stores the controllers have, in turn
    :arg file: whether the host notes which attempt is the last one of the job. Then a controller may begin when a record has vanished
    :arg unlike: whether the jobs of the stores differ, so that nobody adopts what another one has started
    :arg fence: how an attempt is fenced: as it is, or by a rename that is undone if the attempt turns out to have started
    :arg quick: of how many controllers, the first ones, the launch notes the attempt and makes the directory, too, and whoever inspects the
        attempt next is told what it has seen there
    """

    def __init__(
        self,
        controllers: int,
        *,
        attempts: int,
        kills: int = 0,
        reboots: int = 0,
        failures: int = 0,
        vanishes: int = 0,
        blind: bool = False,
        fence: str = "exclusive",
        quick: int = 0,
        stores: int = 1,
        file: bool = True,
        unlike: bool = False,
        again: t.Callable[[dict[str, t.Any]], bool] = lambda record: False,
    ) -> None:
        self._machine = Machine(again, blind=blind)
        kinds: dict[t.Any, list[int]] = {}
        for number in range(controllers):
            kinds.setdefault((number % stores, number < quick), []).append(number)
        self._controllers = controllers
        self._kinds = list(kinds.values())
        self._limits = (attempts, kills, reboots, failures)
        self._vanishes = vanishes
        self._fence = fence
        self._quick = quick
        self._stores = stores
        self._file = file
        self._unlike = unlike
        self.states = 0
        self.ends: dict[str, int] = {}

    def run(self) -> None:
        """Visit all states. An assertion fails in the first one that must not be, which is one of those nearest to the beginning."""
        world = World(records=(None,) * self._stores, versions=("",) * self._stores)
        # Worlds, and how far the controllers are, are kept once each: there are far fewer of them than of both together.
        worlds: dict[World, int] = {}
        points: dict[t.Any, t.Any] = {}
        known: list[World] = []

        def packed(world: World, controllers: tuple[t.Any, ...], killed: int, failures: int) -> tuple[t.Any, ...]:
            controllers = self._in_order(controllers)
            number = worlds.setdefault(world, len(worlds))
            if number == len(known):
                known.append(world)
            return number, points.setdefault(controllers, controllers), killed, failures

        start = packed(world, ((self._machine.start, ""),) * self._controllers, 0, 0)
        seen = {start}
        queue = deque([start])
        while queue:
            number, *rest = queue.popleft()
            state = (known[number], *rest)
            following = list(self._following(*state))
            self._check(*state, last=not following)
            for one in following:
                if len(one[0].places) <= self._limits[0] and (new := packed(*one)) not in seen:
                    seen.add(new)
                    queue.append(new)
        self.states = len(seen)

    def _in_order(self, controllers: tuple[t.Any, ...]) -> tuple[t.Any, ...]:
        """Which of several controllers with the same store and the same way is at what, is of no matter."""
        ordered = list(controllers)
        for numbers in self._kinds:
            for number, at in zip(numbers, sorted((controllers[number] for number in numbers), key=lambda at: at or ()), strict=True):
                ordered[number] = at
        return tuple(ordered)

    def _check(self, world: World, controllers: tuple[t.Any, ...], killed: int, failures: int, *, last: bool) -> None:
        assert all(runs <= 1 for runs in world.runs), f"an attempt was executed twice: {world}"
        statuses = [dict(record or ()).get("status") for record in world.records]
        if self._limits[2] == 0:
            assert sum(world.runs) <= 1, f"executed twice: {world}"
        if not last:
            return
        steps = [self._machine.steps[at[0]] for at in controllers if at is not None]
        end = " and ".join(status or "none" for status in statuses)
        self.ends[end] = self.ends.get(end, 0) + 1
        for step in steps:  # everybody who lives is through
            assert isinstance(step, (exactly_once.Outcome, Exception)), f"stuck: {step} in {world}"
        executed = [place for place, runs in enumerate(world.runs) if runs]
        for status, record in zip(statuses, world.records, strict=True):
            if status == "running":
                assert dict(record)["place"] in executed, f"recorded as running and never executed: {world}"
        if "running" not in statuses and self._limits[2] == 0:  # whoever comes next finds what has started
            if self._file:
                assert not executed or (world.file or ())[:1] == tuple(executed), f"forgotten: {world}"
            if not world.vanished and self._stores == 1:
                assert not executed or (statuses, executed) == (["prepared"], [dict(world.records[0])["place"]]), f"forgotten: {world}"
                assert not any(isinstance(step, exactly_once.Outcome) for step in steps), f"said to be started: {world}"

    # --- What can happen next

    def _following(self, world: World, controllers: tuple[t.Any, ...], killed: int, failures: int) -> t.Iterator[t.Any]:
        _attempts, kills, reboots, most_failures = self._limits
        for number, at in enumerate(controllers):
            if at is None or isinstance(self._machine.steps[at[0]], (exactly_once.Outcome, Exception)):
                continue
            for after, new, failed in self._do(world, number, *at):
                if failures + failed <= most_failures:
                    yield after, (*controllers[:number], new, *controllers[number + 1 :]), killed, failures + failed
            if killed < kills:
                yield world, (*controllers[:number], None, *controllers[number + 1 :]), killed + 1, failures
        for store, record in enumerate(world.records):
            if world.vanished < self._vanishes and "place" in dict(record or ()):
                yield world.write(None, store)._replace(vanished=world.vanished + 1), controllers, killed, failures
        for launch in set(world.launches):
            yield self._wrapper(world, launch), controllers, killed, failures
        if world.boot < reboots:
            yield world._replace(boot=world.boot + 1, launches=()), controllers, killed, failures
            # Without power, what was written last may be gone
            for place, what in enumerate(world.places):
                if what == "job":
                    yield world._replace(boot=world.boot + 1, launches=()).put(place, "directory"), controllers, killed, failures

    def _noted(self, world: World, place: int, about: tuple[t.Any, ...]) -> World | None:
        """The host notes an attempt, unless it has noted one that is neither known nor fenced.

        :arg about: in which boot it was prepared, and which attempts are known
        """
        boot, known = about
        if not self._file:
            return world
        may_be_replaced = world.file is None or world.file[0] in known or world.places[world.file[0]] == "file"
        return world._replace(file=(place, boot)) if may_be_replaced else None

    def _wrapper(self, world: World, launch: tuple[int, str, tuple[t.Any, ...]]) -> World:
        """A wrapper goes on: it makes the directory unless it is there, then writes the results file in it, then starts the job.

        A quick one has the attempt noted before, and goes no further if there is anything by that name.
        """
        place, done, about = launch
        left = list(world.launches)
        left.remove(launch)
        if done == "refused":  # that waits for whoever asked
            return world
        if done == "asked":
            noted = self._noted(world, place, about)
            on_its_way = (place, "noted", ()) if noted else (place, "refused", world.file)
            return (noted or world)._replace(launches=tuple(sorted((*left, t.cast(t.Any, on_its_way)))))
        if done in ("sent", "noted"):
            if world.places[place] == "file" or (done == "noted" and world.places[place] != "absent"):
                return world._replace(launches=tuple(left))
            if world.places[place] == "absent":
                world = world.put(place, "directory")
            return world._replace(launches=tuple(sorted((*left, (place, "made", ())))))
        if world.places[place] not in ("directory", "job"):
            return world._replace(launches=tuple(left))
        runs = (*world.runs[:place], world.runs[place] + 1, *world.runs[place + 1 :])
        return world.put(place, "job")._replace(launches=tuple(left), runs=runs)

    def _do(self, world: World, number: int, state: int, part: str) -> t.Iterator[tuple[World, tuple[int, str], int]]:
        """What a step of a controller can come to. The last number says whether it takes a failure."""
        machine = self._machine
        step = machine.steps[state]
        store = number % self._stores
        record, version = world.records[store], world.versions[store]

        def sent(after: World, answer: t.Any, failed: int = 0) -> tuple[World, tuple[int, str], int]:
            return after, (machine.send(state, answer), ""), failed

        def raised(after: World) -> tuple[World, tuple[int, str], int]:
            return after, (machine.throw(state), ""), 1

        if isinstance(step, exactly_once.Read):
            yield sent(world, ("record", record, version))
        elif isinstance(step, (exactly_once.Write, exactly_once.Restore)):
            if version != step.expect:
                yield sent(world, exactly_once.CONFLICT)
            else:
                new = step.record if isinstance(step, exactly_once.Write) else step.before
                after = world.write(None if new is None else _frozen(new), store)
                yield sent(after, after.versions[store])
        elif isinstance(step, exactly_once.Watch):
            yield sent(world, version != step.version)
        elif isinstance(step, exactly_once.Prepare):
            place = len(world.places)
            after = world._replace(places=(*world.places, "absent"), runs=(*world.runs, 0))
            yield sent(after, ("fields", (("boot", world.boot), ("place", place))))
            yield raised(world)
        elif isinstance(step, exactly_once.MakeDirectory):
            place = step.record["place"]
            known = tuple(sorted({other["place"] for other in (step.record, *step.over)}))
            if number < self._quick:
                yield sent(world, None)
                return
            if self._file and part == "":
                noted = self._noted(world, place, (step.record["boot"], known))
                yield (noted, (state, "noted"), 0) if noted else sent(world, ("foreign", *t.cast(t.Any, world.file)))
                yield raised(world)
            elif world.places[place] == "absent":
                yield sent(world.put(place, "directory"), None)
                yield raised(world.put(place, "directory"))
            else:
                yield world, (machine.throw(state), ""), 0
            yield raised(world)
        elif isinstance(step, exactly_once.Launch):
            place = step.record["place"]
            is_quick = number < self._quick
            yield raised(world)  # nothing was sent; or, the second time, the answer is lost
            on_its_way = {done: launch for launch in world.launches for other, done, _about in [launch] if other == place}
            if part == "":
                known = tuple(sorted({other["place"] for other in (step.record, *step.over)}))
                launch = (place, "asked", (step.record["boot"], known)) if is_quick else (place, "sent", ())
                yield world._replace(launches=tuple(sorted((*world.launches, launch)))), (state, "sent"), 0
            elif "refused" in on_its_way:
                refused = on_its_way["refused"]
                left = tuple(launch for launch in world.launches if launch != refused)
                yield sent(world._replace(launches=left), ("foreign", *refused[2]))
            elif on_its_way.keys().isdisjoint(("sent", "asked", "noted")):
                after, (state, _part), _failed = sent(world, None)  # Ansible answers when the wrapper has begun, at the earliest
                yield after, (state, "seen" if is_quick and world.places[place] == "job" else ""), 0
        elif isinstance(step, exactly_once.Inspect):
            place = step.record["place"]
            if part == "seen":  # what is there now is not asked
                yield sent(world, exactly_once.Seen("job"))
                return
            rebooted = "rebooted" if world.boot != step.record["boot"] else ""
            there = world.places[place]
            yield sent(world, exactly_once.Seen("job" if there == "job" else "", rebooted))
        elif isinstance(step, exactly_once.Fence):
            place = step.record["place"]
            yield from self._fences[self._fence](world, place, part, state, sent)
        elif isinstance(step, exactly_once.Await):
            yield sent(world, None)  # at any time
        elif isinstance(step, exactly_once.Meet):
            assert not step.lost or world.boot
            if step.lost:
                yield sent(world, None)
            elif self._unlike:
                yield world, (machine.throw(state), ""), 0
            else:
                yield sent(world, ("fields", (("boot", world.boot), ("place", step.record["place"]))))

    @staticmethod
    def _exclusive(world: World, place: int, part: str, state: int, sent: t.Any) -> t.Iterator[t.Any]:
        there = world.places[place]
        if part == "":  # rmdir
            if there == "job":
                yield sent(world, False)
            else:
                yield world.put(place, "absent" if there == "directory" else there), (state, "removed"), 0
        else:  # create the file, which fails if there is anything
            yield sent(world.put(place, "file") if there == "absent" else world, there in ("absent", "file"))

    @staticmethod
    def _rename(world: World, place: int, part: str, state: int, sent: t.Any) -> t.Iterator[t.Any]:
        there = world.places[place]
        if part == "":  # move the directory away, whatever is in it
            yield world.put(place, "absent"), (state, there), 0
        elif part == "job":  # move it back
            yield sent(world.put(place, "job"), False)
        else:
            yield sent(world, True)

    _fences: t.ClassVar = {"exclusive": _exclusive.__func__, "rename": _rename.__func__}  # type: ignore[attr-defined]


# --- What must hold ---------------------------------------------------------------------------------------------------------


def search(controllers: int, **kwargs: t.Any) -> Search:
    """Visit all states, and tell how many those were."""
    found = Search(controllers, **kwargs)
    found.run()
    print(f"{controllers} controllers, {kwargs}: {found.states} states, ends: {found.ends}")
    return found


def _lost(record: dict[str, t.Any]) -> bool:
    return record["status"] == "lost"


# Of these, there are hundreds of thousands of states, and of those that fence twice two and a half million.
LARGE = [
    pytest.param(3, {"attempts": 2}, id="three"),
    pytest.param(3, {"attempts": 3}, id="three that fence twice"),
    pytest.param(3, {"attempts": 2, "kills": 1}, id="three, one may die"),
    pytest.param(3, {"attempts": 2, "failures": 1}, id="three, a connection may fail"),
]


@pytest.mark.parametrize(
    ("controllers", "disturbed"),
    [
        pytest.param(1, {"attempts": 3, "kills": 1, "reboots": 1, "failures": 3}, id="one, and whatever can happen to it"),
        pytest.param(2, {"attempts": 3, "kills": 2}, id="two, and both may die"),
        pytest.param(2, {"attempts": 3, "kills": 1, "failures": 1}, id="two, one may die, a connection may fail"),
        pytest.param(2, {"attempts": 3, "kills": 1, "reboots": 1}, id="two, one may die, the host may reboot"),
        pytest.param(2, {"attempts": 3, "reboots": 1, "again": _lost}, id="two that start lost jobs anew, the host may reboot"),
        pytest.param(3, {"attempts": 1}, id="three that start once"),
        *(LARGE if TORTURE else []),
    ],
)
def test_every_attempt_starts_once(controllers: int, disturbed: dict[str, t.Any]) -> None:
    """Whatever happens: at most once, what was started is on record, and whoever gets an answer is told the truth."""
    found = search(controllers, **disturbed)
    assert found.ends["running"]


@pytest.mark.parametrize(
    ("controllers", "disturbed"),
    [
        pytest.param(1, {"attempts": 3, "kills": 1, "reboots": 1, "failures": 3}, id="one, and whatever can happen to it"),
        pytest.param(2, {"attempts": 3, "kills": 1, "failures": 1}, id="two, one may die, a connection may fail"),
        pytest.param(2, {"attempts": 3, "kills": 1, "reboots": 1}, id="two, one may die, the host may reboot"),
        *([pytest.param(3, {"attempts": 2, "failures": 1}, id="three, a connection may fail")] if TORTURE else []),
    ],
)
def test_a_launch_that_tells_what_it_has_seen(controllers: int, disturbed: dict[str, t.Any]) -> None:
    """The same holds if the directory is made by the launch, and nobody looks into it once more."""
    assert search(controllers, quick=controllers, **disturbed).ends["running"]


# In which exchange an attempt is noted and its directory made: in one for that; or, for one or all controllers, in that of the launch.
WAYS = pytest.mark.parametrize(
    "quick", [pytest.param(0, id="apart"), pytest.param(1, id="one of each"), pytest.param(3, id="at the launch")]
)


@WAYS
def test_undisturbed(quick: int) -> None:
    """Of two controllers nobody fails but the one that was fenced in the middle of its start."""
    assert search(2, attempts=2, quick=quick).ends.keys() <= {"running", "none"}


@pytest.mark.parametrize(
    ("controllers", "disturbed"),
    [
        pytest.param(1, {"attempts": 3, "vanishes": 1, "failures": 1}, id="one"),
        pytest.param(2, {"attempts": 2, "vanishes": 1}, id="two"),
        *([pytest.param(2, {"attempts": 3, "vanishes": 1, "kills": 1}, id="two, one may die")] if TORTURE else []),
    ],
)
@WAYS
def test_a_record_that_vanishes(controllers: int, disturbed: dict[str, t.Any], quick: int) -> None:
    """Whoever has seen an attempt does not start another one because its record is gone; and whoever has not, is told by the host."""
    found = search(controllers, **disturbed, quick=quick)
    assert found.ends["running"]
    search(controllers, **disturbed, quick=quick, blind=True)
    with pytest.raises(AssertionError, match="executed twice"):
        search(controllers, **disturbed, quick=quick, blind=True, file=False)


@pytest.mark.parametrize(
    ("controllers", "disturbed"),
    [
        pytest.param(2, {"attempts": 2}, id="two"),
        pytest.param(2, {"attempts": 3, "kills": 1}, id="two, one may die"),
        pytest.param(2, {"attempts": 3, "failures": 1}, id="two, a connection may fail"),
        pytest.param(2, {"attempts": 2, "vanishes": 1}, id="two, a store may be lost"),
        pytest.param(2, {"attempts": 2, "unlike": True}, id="two with different jobs"),
    ],
)
@WAYS
def test_two_stores(controllers: int, disturbed: dict[str, t.Any], quick: int) -> None:
    """Controllers that know nothing of each other: the host alone keeps them from starting the job twice."""
    found = search(controllers, **disturbed, quick=quick, stores=2)
    assert found.ends.keys() & {"running and running", "running and none", "none and running"}
    with pytest.raises(AssertionError, match="executed twice"):
        search(controllers, **disturbed, quick=quick, stores=2, file=False)


@pytest.mark.torture
@pytest.mark.parametrize(
    ("controllers", "disturbed"),
    [
        pytest.param(3, {"attempts": 2}, id="three"),
        pytest.param(2, {"attempts": 3, "kills": 1, "failures": 1}, id="two, one may die, a connection may fail"),
        pytest.param(2, {"attempts": 3, "kills": 1, "vanishes": 1}, id="two, one may die, a store may be lost"),
        pytest.param(3, {"attempts": 2, "kills": 1, "unlike": True}, id="three with different jobs, one may die"),
    ],
)
def test_two_stores_at_length(controllers: int, disturbed: dict[str, t.Any]) -> None:
    """The same of more, where one launches with the directory and the others make it apart."""
    assert search(controllers, **disturbed, quick=1, stores=2).ends


@WAYS
def test_two_stores_and_a_reboot(quick: int) -> None:
    """Each attempt starts once. What was lost in the instant of its start, nobody can prove."""
    assert search(2, attempts=3, reboots=1, kills=1, stores=2, quick=quick).ends["running and running"]


def test_the_search_finds_a_fence_that_is_none() -> None:
    """Two resolvers that move the directory away, and back if it was too late, start the job twice. That is known to go wrong."""
    with pytest.raises(AssertionError, match="executed twice"):
        search(2, attempts=3, fence="rename")


@pytest.mark.parametrize(("status", "is_noted"), [("prepared", True), ("lost", True), ("starting", False), ("cancelled", False)])
def test_the_end_of_work_that_others_have_given_up(status: str, is_noted: bool) -> None:
    """Only who has done it has seen its end: it is written over what others have found, unless they have gone on to the next attempt."""
    steps = exactly_once.start_or_attach(lambda _before: {"status": "starting", "ansible_job_id": ""}, lambda _record: False)
    assert isinstance(steps.send(None), exactly_once.Read)
    assert isinstance(steps.send((None, "")), exactly_once.Write)
    assert isinstance(steps.send("1"), exactly_once.Prepare)
    assert isinstance(steps.send({"attempt_dir": "/a", "semaphore": {}}), exactly_once.Write)
    assert isinstance(steps.send("2"), exactly_once.MakeDirectory)
    assert isinstance(steps.send(None), exactly_once.Launch)
    ended = {"status": "succeeded", "attempt_dir": None}
    assert isinstance(steps.send(ended), exactly_once.Write)
    assert isinstance(steps.send(exactly_once.CONFLICT), exactly_once.Read)
    directory = "/b" if status == "starting" else "/a"
    step = steps.send(({"status": status, "ansible_job_id": "", "attempt_dir": directory}, "5"))
    if is_noted:
        assert step == exactly_once.Write({"status": "succeeded", "ansible_job_id": ""}, "5")
        with pytest.raises(StopIteration) as end:
            steps.send("6")
        assert end.value.value.version == "6"
    else:
        assert isinstance(step, exactly_once.Read)


@pytest.mark.parametrize("conflict", ["claim", "place"])
def test_whoever_was_slower_does_not_take_absent_for_never(conflict: str) -> None:
    """Somebody else has claimed the job, and their record is gone when it is read again: it may have started."""
    steps = exactly_once.start_or_attach(lambda _before: {"status": "starting", "ansible_job_id": ""}, lambda _record: False)
    assert isinstance(steps.send(None), exactly_once.Read)
    assert isinstance(steps.send((None, "")), exactly_once.Write)
    if conflict == "place":
        assert isinstance(steps.send("1"), exactly_once.Prepare)
        assert isinstance(steps.send({"attempt_dir": "/a"}), exactly_once.Write)
    assert isinstance(steps.send(exactly_once.CONFLICT), exactly_once.Read)
    with pytest.raises(exactly_once.Vanished):
        steps.send((None, ""))
