# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tick of a driver takes: documents that are read and written, and exchanges with the host."""

from __future__ import annotations

import os
import re
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from records import ago
from workflows import define, due

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records import ages
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import Holder, read_semaphore, write_semaphore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Document, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import driver
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, decide, end
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph, hash_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.notifying import pending
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import BACKOFF, Run, key_of_node, mark_of_node, new_run
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _workflow_run
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._ara_notes import AraNotes
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._ends import Ends
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import ProgramFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import NodeRequest
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import sources
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import Pace
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._workflow_run import Given, WorkflowAction

Answer = dict[str, t.Any]


class Counting(FilesystemStore):
    """A store that takes down what is done with it."""

    done: t.ClassVar[list[tuple[str, str]]] = []

    def read(self, path: str) -> Document | None:
        self.done.append(("read", path))
        return super().read(path)

    def delete(self, path: str, *, expect: Version | None = None) -> None:
        self.done.append(("delete", path))
        super().delete(path, expect=expect)

    def write(self, path: str, content: bytes, *, expect: Version | None = None) -> Version:
        self.done.append(("write", path))
        return super().write(path, content, expect=expect)


class Users:
    """Users of a task that may be anybody."""

    def become(self, user: str) -> None:
        """Do nothing."""

    def lacking(self, record: Answer) -> str:
        """Lack nothing."""
        return ""

    def needed_for(self, record: Answer) -> str:
        """Need nobody else."""
        return ""


class Action(WorkflowAction):
    """One whose host says what the test says, and which waits for nothing."""

    spec: t.ClassVar = {}
    host = "host1"
    is_windows = False
    async_dir = "~/.ansible_async"

    def __init__(self, says: list[dict[str, Answer]]) -> None:
        self._says = says
        self.exchanges: list[list[str]] = [[]]
        self._pace = Pace()
        self._running, self._reports, self._notifications, self.elsewhere, self.not_started = {}, {}, {}, {}, {}
        self._unclear, self._backoff_since, self._held_back = {}, {}, set()
        self._ends = Ends()
        self._interval, self._approvals_until, self._away_since = 1.0, None, None
        self._elsewhere_since, self.given_up = {}, {}
        self.only_once = self.has_changed = False
        self.users = t.cast(t.Any, Users())
        self._task = t.cast(t.Any, SimpleNamespace(no_log=False, check_mode=False, delegate_to=None, environment=[]))
        self._connection = t.cast(t.Any, SimpleNamespace(transport="local", become=None))
        self._task_vars, self._playbook = {}, os.getppid()
        self.ara = AraNotes(self._task, os.getpid(), self.say)

    def work(self, params: Answer) -> Answer:
        """Return nothing of interest."""
        return params

    def say(self, line: str) -> None:
        """Say nothing."""

    def on_host(self, entry: str, arguments: Answer, *, timeout: float, may_repeat: bool = True, words: t.Sequence[str] = ()) -> Answer:
        """Note what is asked, and answer."""
        self.exchanges[-1].append(entry)
        says = self._says[len(self.exchanges) - 1]
        named = {job["attempt"][-1]: {**UNSEEN, "status": "running", "job_id": job["job_id"]} for job in arguments["jobs"]}
        return {"looks": [{**look, **says.get(name, {})} for name, look in named.items()]}

    def _wait(self, run: Run) -> bool:
        self.exchanges.append([])
        Counting.done.append(("wait", ""))
        return len(self.exchanges) <= len(self._says)


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    """A store with a run, of whose nodes three run."""
    store = Counting(str(tmp_path / "state"))
    definition = define({"a": {}, "b": {}, "c": {}, "d": {"all": {"a": "succeeded", "b": "succeeded"}}})
    for node in definition["nodes"].values():
        node.update(kind="playbook", playbook="x.yml")
        node.pop("command")
    run = decide(Graph(definition), {**new_run(definition, "r", "host1", {}, [], "me"), "events": []})
    assert due(run) == ["a", "b", "c"]
    write_run(store, None, run, expect=ABSENT)
    for name in due(run):
        key, directory = key_of_node(run, name), f"/a/{name:0>32}"
        record: t.Any = {
            **{**key._asdict(), "ansible_job_id": "j1.2", "metadata": mark_of_node(run, name), "status": "running", "attempt": 1},
            **{"async_dir": directory, "attempt_dir": directory, "timeout": 60, "boot_id": "b"},
        }
        write_record(store, key, record, expect=ABSENT)
    return store


def done_in_each_tick() -> list[list[tuple[str, str]]]:
    """Return what was done with the store in each tick that is over."""
    ticks: list[list[tuple[str, str]]] = [[]]
    for done in Counting.done:
        if done == ("wait", ""):
            ticks.append([])
        else:
            ticks[-1].append(done)
    return ticks[:-1]


def driven(store: Counting, says: list[dict[str, Answer]]) -> tuple[Action, list[list[tuple[str, str]]]]:
    """Drive the run as often as the host has something to say. Return what was done in each tick."""
    Counting.done.clear()
    action = Action(says)
    params = {"look_timeout": 10, "unreachable_timeout": 0, "wait_interval": 1}
    action.follow(driver.drive(), store, "w", "r", params, Given({}, "", []))
    return action, done_in_each_tick()


_RUN = ".workflows/w/r.json"


def test_nothing_new(store: Counting) -> None:
    """One document is read, nothing is written, and there is one look at all jobs."""
    action, ticks = driven(store, [{}, {}, {}])
    assert ticks[1:] == [[("read", _RUN)]] * 2
    assert action.exchanges == [["_host.node_look"]] * 3 + [[]]


def no_place(*_arguments: t.Any) -> t.NoReturn:
    """Fail, as a host on which no directory can be made."""
    raise AsyncJobError("no place")


class Waiting(t.NamedTuple):
    """A run whose items wait for a semaphore, and how it is driven."""

    store: Counting
    says: list[str]
    """What the driver says of them."""

    def drive(self, monkeypatch: pytest.MonkeyPatch, says: list[dict[str, Answer]]) -> list[list[tuple[str, str]]]:
        """Drive it, and return what was done in each tick. Nothing is ever launched: whoever gets a slot fails then."""
        inner: t.Any = SimpleNamespace(
            unclear=[], goes_together=False, can_go_alone=False, own_work="", is_command=True, action="ansible.builtin.command"
        )
        monkeypatch.setattr(_workflow_run, "NodeTask", lambda *_args, **_options: inner)
        monkeypatch.setattr(Action, "say", lambda _self, line: self.says.append(line))
        monkeypatch.setattr(Action, "is_known_host", lambda _self, _name: True, raising=False)
        monkeypatch.setattr(Action, "prepare", no_place)
        Counting.done.clear()
        action = Action(says)
        params = {option: spec.get("default") for option, spec in async_workflow.ARGUMENT_SPEC.items()}
        action.follow(driver.drive(), self.store, "w", "r", {**params, "wait_interval": 1}, Given({}, "", []))
        return done_in_each_tick()

    def hold(self, *jobs: tuple[JobKey, str, int]) -> None:
        """Let these jobs have the slots, and their records be in these states."""
        holders = []
        for number, (key, status, up) in enumerate(jobs):
            slot, directory = f"{number + 1:032x}", f"/a/{up:0>32}"
            record: t.Any = {
                **{**key._asdict(), "ansible_job_id": "j1.2", "metadata": {}, "status": status, "attempt": 1},
                **{"async_dir": directory, "attempt_dir": directory, "timeout": 60, "boot_id": "b"},
                "semaphore": {"name": "db", "at_most": 2, "slot": slot},
            }
            run, _version = read_run(self.store, "w", "r")
            if run is not None and key.playbook_name == "w r":
                record["metadata"] = mark_of_node(run, key.job_name)
            write_record(self.store, key, record, expect=None)
            holders.append(Holder(*key, slot, 2, 1, "me", "2026-01-01T00:00:00Z"))
        write_semaphore(self.store, "db", holders, expect=read_semaphore(self.store, "db")[1])


@pytest.fixture
def waiting(tmp_path: Path) -> Waiting:
    """A run with five items, of which two may run at the same time."""
    store = Counting(str(tmp_path / "state"))
    definition = define({"each": {"for_each": [1, 2, 3, 4, 5], "semaphore": {"name": "db", "at_most": 2}}})
    run = decide(Graph(definition), {**new_run(definition, "r", "host1", {}, [], "me"), "events": []})
    assert due(run) == [f"each[{number}]" for number in range(5)]
    write_run(store, None, run, expect=ABSENT)
    return Waiting(store, [])


_DB = ".semaphores/db/holders.json"


def test_items_that_wait_for_each_other(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more document is read, that of the semaphore, and nothing is written."""
    waiting.hold(*((JobKey("host1", "w r", f"each[{number}]"), "running", number) for number in range(2)))
    ticks = waiting.drive(monkeypatch, [{}, {}, {}])
    assert ticks[1:] == [[("read", _RUN), ("read", _DB)]] * 2
    [said] = {line for line in waiting.says if line.startswith("each[4]")}
    assert said.startswith("each[4]: it waits for db (2 of 2): host1/w r/each[0] since ")


def test_items_that_wait_for_others(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their records are read, once for all items. Once one has ended, as many items are started as there is room for."""
    others = [JobKey("host9", "Nightly", name) for name in ("dump", "load")]
    waiting.hold(*((key, "running", 0) for key in others))
    ticks = waiting.drive(monkeypatch, [{}, {}])
    assert ticks[1] == [("read", _RUN), ("read", _DB), *(("read", key.path) for key in others)]
    assert not [done for tick in ticks for done in tick if done[0] != "read"]
    waiting.hold((others[0], "running", 0), (others[1], "succeeded", 0))
    [tick] = waiting.drive(monkeypatch, [{}])
    written = [path for what, path in tick if what != "read"]
    assert {path for path in written if path != _DB} == {"host1/w r/each[0].json"}


def test_what_has_ended(store: Counting) -> None:
    """Its record and the run are written, each once; what it has written about itself has come with the look."""
    report = {"ended": True, "failed": False, "artifacts": {"x": {"value": 1}}}
    result = {"rc": 0, "changed": True}
    ended = {"status": "succeeded", "reason": "fine", "result": result, "ended_ago": 0.5, "node": {"report": report}}
    action, ticks = driven(store, [{}, {"a": ended}])
    assert action.exchanges == [["_host.node_look"]] * 2 + [[]]
    assert ticks[1] == [("read", _RUN), ("write", "host1/w r/a.json"), ("write", _RUN)]
    run, _version = read_run(store, "w", "r")
    assert run is not None
    assert (run["nodes"]["a"]["outcome"], run["nodes"]["a"]["artifacts"]) == ("succeeded", {"x": {"value": 1}})
    assert due(run) == ["b", "c"]


@pytest.mark.parametrize("knows", [True, False])
def test_secret_parameters(store: Counting, knows: bool) -> None:
    """What a node has set of them is not noted in the run."""
    run, version = read_run(store, "w", "r")
    assert run is not None
    write_run(store, run, {**run, "secret_params": ["token"]}, expect=version)
    report = {"ended": True, "failed": False, "artifacts": {"x": {"value": "me:s3cr3t"}, "y": {"value": 1}}}
    action = Action([{"a": {"status": "succeeded", "result": {"rc": 0}, "node": {"report": report}}}])
    given = Given({"token": "s3cr3t"} if knows else {}, "", [])
    action.follow(driver.drive(), store, "w", "r", {"look_timeout": 10, "unreachable_timeout": 0}, given)
    run, _version = read_run(store, "w", "r")
    assert run is not None
    node = run["nodes"]["a"]
    assert (node["outcome"], node.get("artifacts"), node["secret"]) == (
        ("succeeded", {"y": {"value": 1}}, ["x"]) if knows else ("succeeded", None, ["x", "y"])
    )


def test_what_nobody_can_tell(store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever drives the run gives up after some looks, and says why. A look that can tell begins anew."""
    unseen = {"status": "unknown", "reason": "cannot see the processes of root"}
    ended = {"status": "failed", "node": {"problem": "none"}}
    said = [{"b": ended, "c": ended, **one} for one in (*[{"a": unseen}] * 9, {}, *[{"a": unseen}] * 9)]
    action, _ticks = driven(store, said)
    run, _version = read_run(store, "w", "r")
    assert run is not None
    assert (due(run), action.unclear(run)) == (["a"], {})
    monkeypatch.setattr(Action, "_sleep", lambda _self, _seconds: None)
    monkeypatch.setattr(Action, "_wait", WorkflowAction._wait)
    action = Action([{"a": unseen}])
    params = {"look_timeout": 10, "unreachable_timeout": 0, "wait_interval": 1, "wait_timeout": 0}
    after = action.follow(driver.drive(), store, "w", "r", params, Given({}, "", []))
    assert after is not None
    assert (after["status"], action.unclear(after)) == ("running", {"a": "cannot see the processes of root"})
    assert not action.is_busy(after)
    assert len(action.exchanges[0]) == 10


@pytest.mark.parametrize(
    ("wrote", "measured", "said"),
    [
        (-5, 5, (False, True)),
        (-40, 40, (True, True)),
        (-3605, 5, (False, True)),  # the clock was set ahead since
        (3560, 40, (True, True)),  # and back
        (-5, None, (False, True)),  # another machine, whose clock is right
        (3595, None, (False, True)),  # is ahead
    ],
)
def test_a_delay_before_another_try(monkeypatch: pytest.MonkeyPatch, wrote: int, measured: int | None, said: tuple[bool, bool]) -> None:
    """It is waited for, by a clock that nobody sets if there is one, and not for an hour if one is wrong: now, and after that time."""
    definition = define({"a": {"retries": 1, "retry_delay": 30}})
    run = decide(Graph(definition), new_run(definition, "r", "host1", {}, [], "me"))
    stamp = ages.stamp(measured or 0)
    assert stamp is not None
    about = {"end": _times.now(-wrote), "ended": stamp if measured is not None else {**stamp, "boot_id": "another"}}
    run = decide(Graph(definition), end(Graph(definition), run, {"a": Outcome(1, "failed", "", about)}))
    assert run["nodes"]["a"]["state"] == BACKOFF
    action = Action([{}])
    first = action._look_at(run, [], ["a"]).ripe
    later = time.monotonic() + 30
    monkeypatch.setattr(_workflow_run.time, "monotonic", lambda: later)
    assert ("a" in first, "a" in action._look_at(run, [], ["a"]).ripe) == said


def test_what_had_ended_before(store: Counting) -> None:
    """Somebody else has noted that. What it has written about itself is asked for then."""
    run, _version = read_run(store, "w", "r")
    assert run is not None
    key = key_of_node(run, "a")
    record, version = read_record(store, key)
    assert record is not None
    write_record(store, key, {**record, "status": "succeeded"}, expect=version)

    class Late(Action):
        def on_host(self, entry: str, arguments: Answer, *, timeout: float, may_repeat: bool = True, words: t.Sequence[str] = ()) -> Answer:
            if entry == "_host.node_report":
                self.exchanges[-1].append(entry)
                return {"reports": [{"problem": "gone"} for _job in arguments["jobs"]]}
            return super().on_host(entry, arguments, timeout=timeout)

    action = Late([{}])
    action.follow(driver.drive(), store, "w", "r", {"look_timeout": 10, "unreachable_timeout": 0}, Given({}, "", []))
    assert action.exchanges == [["_host.node_look", "_host.node_report"], []]
    run, _version = read_run(store, "w", "r")
    assert run is not None
    assert run["nodes"]["a"]["why"] == "nothing more is known of it: gone"


def test_another_definition_meanwhile(store: Counting) -> None:
    """Nobody has asked for what it runs: whoever drives the run ends there, the guard lets nothing pass, and nobody is told of anything."""
    run, version = read_run(store, "w", "r")
    assert run is not None
    given = Given({}, "/srv", [], run["definition_hash"])
    options = {option: spec.get("default") for option, spec in async_workflow.ARGUMENT_SPEC.items()}
    request = NodeRequest(options, store, run, "a")
    assert request.why_not() == ""
    definition = {**run["definition"], "notify": [{"on": "started", "task": {"ansible.builtin.command": "id"}}], "vars": {"x": "1"}}
    event = {"node": "", "what": "running", "time": "t"}
    other = {**run, "definition": definition, "definition_hash": hash_of(definition), "events": [event]}
    write_run(store, run, other, expect=version)
    action = Action([{}])
    with pytest.raises(AsyncJobError, match=r"has another definition than a moment ago: somebody has changed .*r\.json"):
        action.follow(driver.drive(), store, "w", "r", {"look_timeout": 10}, given)
    assert action.exchanges == [[]]
    assert request.why_not() == "its run has another definition now"
    assert pending(other)
    assert action.notifications_of(store, "w", "r", {}, given).tick(other) is other


@pytest.mark.parametrize(("ended", "is_ripe"), [(5, False), (14, False), (16, True), (4000, True), (-1000, False)])
def test_how_long_a_node_waits_for_its_next_attempt(ended: int, is_ripe: bool) -> None:
    """For retry_delay from its end on, also if the driver is another one now, or its clock was set back."""
    definition = define({"a": {"retries": 1, "retry_delay": 15}})
    run = decide(Graph(definition), {**new_run(definition, "r", "host1", {}, [], "me"), "events": []})
    run = end(Graph(definition), run, {"a": Outcome(1, "failed", "no", {"end": ago(seconds=ended)})})
    assert run["nodes"]["a"]["state"] == "backoff"
    action = Action([])
    action._options, action._given = {}, Given({}, "", [])
    assert ("a" in action._look_at(run, [], ["a"]).ripe) is is_ripe


@pytest.mark.parametrize("transport", ["local", "ssh"])
def test_a_job_that_ends_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """On our own machine, its results file ends the pause: of one that was looked at, and of one that has begun since. Of jobs elsewhere,
    nobody sees that."""
    watched: list[str] = []
    action = Action([])
    action._connection = t.cast(t.Any, SimpleNamespace(transport=transport))
    monkeypatch.setattr(action._ends, "wait", lambda seconds, paths: watched.extend(paths))
    job = SimpleNamespace(looked_for=SimpleNamespace(directory=str(tmp_path)), job_id="j1.2")
    action._running = t.cast(t.Any, {("r", "a", 1): job})
    action._sleep(1)
    assert watched == ([f"{tmp_path}/j1.2"] if transport == "local" else [])


def test_a_program_on_our_own_machine(tmp_path: Path) -> None:
    """It is called here, with what JSON makes of its arguments and its answer. What it raises is what a program on a host would say."""
    action = Action([])
    job = {"job_id": "j1.2", "label": "job", "directory": str(tmp_path), "exclusive": True, "attempt": "", "key": ""}
    [said] = action._run("_host.node_report", {"jobs": [job]}, ())["reports"]
    assert said.keys() == {"problem"}
    with pytest.raises(ProgramFailed, match=r"_host\.node_report has failed: TypeError: "):
        action._run("_host.node_report", {"unknown": 1}, ())
    assert issubclass(ProgramFailed, AsyncJobError)


def test_a_program_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a connection, as somebody else, with an environment, or with words of its own, it is sent; and what makes a copy of itself."""
    sent: list[str] = []
    monkeypatch.setattr(WorkflowAction.__mro__[1], "_run", lambda _self, entry, _arguments, _words: sent.append(entry) or {}, raising=False)
    for change in (
        {"_connection": SimpleNamespace(transport="ssh", become=None)},
        {"_connection": SimpleNamespace(transport="local", become="sudo")},
        {"_task": SimpleNamespace(environment=[{"LANG": "C"}])},
        {},
    ):
        action = Action([])
        vars(action).update(change)
        assert action._run("_host.node_report", {}, () if change else ("word",)) == {}
    assert Action([])._run("_host.leftovers", {}, ()) == {}
    assert sent == ["_host.node_report"] * 4 + ["_host.leftovers"]
    for entry in WorkflowAction.may_be_called:
        files = [name for name, source in sources(entry).items() if re.search(r"\bos\.(fork|_exit|setsid|chdir|umask)\b", source)]
        assert files == [], entry
