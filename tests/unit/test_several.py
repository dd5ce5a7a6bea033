# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is among several jobs, on a clock of our own: that of the tests jumps to where the code sleeps."""

from __future__ import annotations

import time
import typing as t
from collections import Counter
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._job_list import Element, returned
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._pauses import End, Pause, Turn, Waits
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._several import Several

Look = dict[str, t.Any]


class World:
    """A host, a clock, and the jobs there. It stands for the action as well."""

    host = "host1"

    def __init__(self) -> None:
        self.now = 1000.0
        self.ends: dict[Job, float] = {}
        """When what runs ends."""
        self.most = 0
        """How many have run at the same time."""
        self.exchanges: list[tuple[str, list[str]]] = []
        """What was looked at together."""
        self.away = (0.0, 0.0)
        """From when till when the host does not answer."""
        self.lives: list[str] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds >= 0
        self.now += seconds or 0.001

    def contact(self, seconds: float) -> None:
        """Exchange something with the host."""
        self.now += seconds
        if self.away[0] <= self.now < self.away[1]:
            raise AnsibleConnectionFailure("no route to it")

    def begin(self, job: Job, seconds: float) -> None:
        """Start an attempt, which takes a while."""
        self.contact(1.0)
        self.ends[job] = self.now + seconds
        self.most = max(self.most, sum(end > self.now for end in self.ends.values()))

    def look(self, asked: list[Job], *, output: str, tail_size: int, timeout: float) -> list[Look]:
        """Answer as the action does."""
        self.contact(0.1)
        self.exchanges.append((output, [job.name for job in asked]))
        return [{"status": "running" if self.ends[job] > self.now else "succeeded", "size": tail_size, "how": output} for job in asked]

    def note(self, _store: object, job: Job, look: Look, _output: str) -> Look:
        """Write to the record, which may have been removed."""
        if job.is_pruned:
            raise AsyncJobError("removed meanwhile")
        return look

    def show_life(self, asked: list[Job], looks: list[Look], _pace: t.Any) -> None:
        """Take down who is shown."""
        self.lives += [job.name for job, look in zip(asked, looks, strict=True) if look["status"] == "running"]

    def bear(self, error: Exception, since: float, limit: float, _pace: t.Any, *, is_over: bool) -> None:
        """Go on without the host, or not."""
        if is_over or time.monotonic() - since >= limit:
            raise AnsibleConnectionFailure("given up") from error


class Job:
    """What a job does, in place of the starter: attempts of so many seconds, with a pause behind each but the last."""

    in_files = True
    is_pruned = False

    def __init__(self, world: World, name: str, *attempts: float, pause: float | None = 0.0, runs: bool = False, poll: int = 5) -> None:
        self.world = world
        self.name = name
        self.attempts = attempts
        self.pause = pause
        self.runs = runs
        self.poll = poll
        self.size = 100
        self.begun: list[float] = []
        self.has_started = False
        self.is_secret = False

    def told(self, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the answer: nobody else asks."""
        return answer

    def keep(self, _size: int) -> None:
        """Take down nothing: the size is a matter of the host."""

    def steps(self) -> Waits[dict[str, t.Any]]:
        """Do it."""
        look: Look = {}
        for number, seconds in enumerate(self.attempts):
            if number and self.pause is not None:
                yield Pause(self.pause, is_idle=True)
            if self.runs and not number:
                self.world.ends[self] = self.world.now + seconds
            else:
                yield Turn()
                self.world.begin(self, seconds)
                self.begun.append(self.world.now)
                self.has_started = True
            if not self.poll and self.begun:
                return {"finished": False, "failed": False, "changed": True}
            look = yield End(t.cast(t.Any, self), {"tail_size": self.size, **({"wait_timeout": 500} if self.poll else {})})
        return {"finished": look["status"] == "succeeded", "failed": False, "changed": self.has_started, **look}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with its own time."""
    made = World()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


def run(world: World, *jobs: Job, most: int = 99, patience: float = 60) -> list[dict[str, t.Any]]:
    """Drive them all."""
    params = {"look_timeout": 60, "unreachable_timeout": patience}
    return Several(t.cast(t.Any, jobs), t.cast(t.Any, world), t.cast(t.Any, None), params, poll=jobs[0].poll, most=most).run()


def test_one_look_at_all(world: World) -> None:
    """All are started before the first look, which is one exchange for all that run, as is each that follows."""
    jobs = [Job(world, name, seconds) for name, seconds in (("a", 7), ("b", 20), ("c", 20))]
    answers = run(world, *jobs)
    assert [answer["finished"] for answer in answers] == [True, True, True]
    assert world.exchanges[0] == ("tail", ["a", "b", "c"])
    assert {tuple(names) for _output, names in world.exchanges} == {("a", "b", "c"), ("b", "c")}
    assert len(world.exchanges) <= 10  # one after the other, that would be as many for each
    assert world.lives[:3] == ["a", "b", "c"]
    assert world.now - 1000 < 30  # and as long as all of them together


def test_outputs_that_are_not_in_files(world: World) -> None:
    """They are asked for once, when there are some; other sizes take exchanges of their own."""
    module, command, other = Job(world, "module", 4), Job(world, "command", 12), Job(world, "other", 2)
    module.in_files, other.size = False, 7
    answers = run(world, module, command, other)
    assert [(answer["how"], answer["size"]) for answer in answers] == [("full", 100), ("tail", 100), ("tail", 7)]
    assert [names for output, names in world.exchanges if output == "full"] == [["module"]]


def test_a_long_row_of_starts(world: World) -> None:
    """Those that run are looked at while it goes on, so that a short one is started anew soon."""
    first = Job(world, "first", 1, 1)
    rest = [Job(world, f"job{number}", 100) for number in range(40)]
    run(world, first, *rest)
    assert first.begun[1] < rest[20].begun[0]


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_so_many_at_the_same_time(world: World, most: int) -> None:
    """Those count that ran before, and they are found first; in the order of the list, every job gets its turn."""
    jobs = [Job(world, f"job{number}", 5 + number, 3) for number in range(6)] + [Job(world, "old", 30, runs=True)]
    answers = run(world, *jobs, most=most)
    assert all(answer["finished"] for answer in answers)
    assert world.most == min(most, 7)
    first = [job.begun[0] for job in jobs[:-1]]
    assert first == sorted(first)
    assert answers[-1]["changed"] is False


def test_pauses(world: World) -> None:
    """Between two attempts a job makes room for others; nobody sleeps past the end of a pause."""
    first, second = Job(world, "first", 2, 2, pause=50), Job(world, "second", 10)
    run(world, first, second, most=1)
    assert second.begun[0] < first.begun[0] + 10
    assert 50 <= first.begun[1] - first.begun[0] < 70


def test_what_becomes_of_one(world: World) -> None:
    """Whatever it is, the others have their results."""

    class Broken(Job):
        def steps(self) -> Waits[dict[str, t.Any]]:
            yield Turn()
            raise RuntimeError("an error of ours")

    pruned = Job(world, "pruned", 3)
    pruned.is_pruned = True
    broken, removed, good = run(world, Broken(world, "broken"), pruned, Job(world, "good", 9))
    assert (broken["failed"], broken["changed"], broken["msg"]) == (True, False, "an error of ours")
    assert (removed["failed"], removed["changed"], removed["msg"]) == (True, True, "removed meanwhile")
    assert (good["finished"], good["failed"]) == (True, False)


def test_away_for_a_while(world: World) -> None:
    """The start that met it has failed. The others wait until the host answers a look, and are started then."""
    jobs = [Job(world, "runs", 60), Job(world, "met", 5), Job(world, "later", 5)]
    world.away = (1001.5, 1030.0)
    runs, met, later = run(world, *jobs)
    assert runs["finished"]
    assert later["finished"]
    assert (met["failed"], met["changed"], met["unreachable"]) == (True, False, True)
    assert jobs[2].begun[0] > 1030


def test_away_for_good(world: World) -> None:
    """What runs is given up when the patience is over, and nothing else is tried; what has ended before has its result."""
    jobs = [Job(world, "ended", 1), Job(world, "runs", 60), Job(world, "met", 5), Job(world, "queued", 5)]
    world.away = (1003.0, 1e9)
    ended, runs, met, queued = run(world, *jobs, most=2, patience=40)
    assert ended["finished"]
    assert (runs["failed"], runs["changed"], runs["unreachable"]) == (True, True, True)
    for answer in (met, queued):
        assert (answer["failed"], answer["changed"], answer["unreachable"]) == (True, False, True)
    assert "host1 is unreachable. No attempt was begun" in queued["msg"]
    assert 1043 <= world.now < 1063


def test_without_waiting(world: World) -> None:
    """As many are started as may run; what ran before is looked at once, with one exchange; the rest is left alone."""
    jobs = [Job(world, name, 50, poll=0, runs=name in "bd") for name in "abcde"]
    answers = run(world, *jobs, most=3)
    assert [bool(job.begun) for job in jobs] == [True, False, False, False, False]
    assert [answer.get("started", True) for answer in answers] == [True, True, False, True, False]
    assert "max_parallel" in answers[2]["msg"]
    assert world.exchanges == [("tail", ["b", "d"])]
    assert not world.lives


def test_what_is_said_of_all(tmp_path: Path) -> None:
    """A host that is away is unreachable for Ansible, unless a job has failed otherwise. Warnings name their job."""
    asked = [Element({"host": "host1", "playbook_name": "play", "job_name": name}, {}) for name in "abc"]
    away = {"failed": True, "changed": False, "unreachable": True, "msg": "no route."}
    done = {"failed": False, "changed": True, "started": True, "finished": True, "status": "succeeded", "warnings": ["hm"], "record": {}}
    broken = {**done, "failed": True, "status": "failed", "msg": "bad"}
    store = FilesystemStore(state_dir=str(tmp_path))
    result = returned(store, asked, [done, away, done])
    assert (result["failed"], result["unreachable"], result["changed"], result["finished"]) == (False, True, True, False)
    assert result["msg"] == "1 of 3 jobs failed. b: no route."
    assert result["warnings"] == ["a: hm", "c: hm"]
    assert (result["jobs"][1]["failed"], result["jobs"][1]["status"], result["jobs"][1]["started"]) == (True, "", False)
    assert result["jobs"][1]["state_file"] == store.locate("host1/play/b.json")
    result = returned(store, asked, [broken, away, done])
    assert (result["failed"], "unreachable" in result) == (True, False)
    assert result["msg"] == "2 of 3 jobs failed. a: bad; b: no route."


def test_fences_of_several_attempts() -> None:
    """How often one could not be fenced says nothing of another one."""

    class Action(AttemptAction):
        spec: t.ClassVar = {}
        host = "host1"

        def __init__(self) -> None:
            self._fences = Counter()

        def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
            return params

        def _work_as_user_of(self, record: t.Any) -> None:
            pass

        def _in_attempt(self, *_args: t.Any, **_words: str) -> dict[str, list[str]]:
            return {"error": ["busy"]}

    action = Action()
    for _round in range(4):
        assert [action.fence(t.cast(t.Any, {"attempt_dir": name}), 1.0) for name in "abc"] == [False] * 3
    with pytest.raises(AsyncJobError, match="busy"):
        action.fence(t.cast(t.Any, {"attempt_dir": "a"}), 1.0)


@pytest.mark.parametrize("pause", [None, 0.0, 3.0])
def test_a_next_attempt_is_no_other_job(world: World, pause: float | None) -> None:
    """A job that has failed makes room for itself, if there is no pause, too."""
    one, two = Job(world, "one", 2, 2, pause=pause), Job(world, "two", 2, 2, pause=pause)
    answers = run(world, one, two, most=1)
    assert [answer["finished"] for answer in answers] == [True, True]
    assert [len(job.begun) for job in (one, two)] == [2, 2]
