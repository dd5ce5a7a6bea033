# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts of a run that was removed, when another one begins with its id: nothing. And what is left of it is not taken for its own."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from workflows import define

from ansible_collections.rstyczynski.ansible.plugins.action.async_workflow import ActionModule
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import Found
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval, async_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import path_of_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import driver
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, cancel, decide, end, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder, check_holder, path_of_lock
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    Run,
    key_of_node,
    mark_of_node,
    new_run,
    part_of,
    parts_of,
    path_of_run,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import content_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._workflow_run import Given, _approval

DEFINITION = define({"gate": {"approval": "Release goes live", "allow_self": True}, "a": {}}, allow_simultaneous=False)


class Action(ActionModule):
    """One that contacts nobody."""

    host = "host1"
    async_dir = "~/.ansible_async"

    def __init__(self, root: Path) -> None:
        self._options = {option: spec.get("default") for option, spec in async_workflow.ARGUMENT_SPEC.items()}
        self._options.update(backend="filesystem", state_dir=str(root))
        self._store = FilesystemStore(str(root))
        self._which = ("w", "r")
        self._notifications, self.has_changed, self._task_vars = {}, False, {}
        self._task = t.cast(t.Any, SimpleNamespace(check_mode=False))
        self.users = t.cast(t.Any, SimpleNamespace(become=lambda _user: None))

    def say(self, line: str) -> None:
        """Say nothing."""

    def notify(self, line: str) -> None:
        """Say nothing."""

    def decided(self, mode: str) -> None:
        """Let somebody decide on what is asked for now."""
        asked = {option: spec.get("default") for option, spec in async_job_approval.ARGUMENT_SPEC.items()}
        asked.update(backend="filesystem", state_dir=self._options["state_dir"], mode=mode, name="gate", playbook_name="w r")
        async_job_approval.run({**asked, "by": "ann", "subject": "Release goes live"}, check_mode=False)

    def replaced(self) -> Run:
        """Begin a run with that id, in place of what there is."""
        self._store.delete(path_of_run("w", "r"))
        run = decide(Graph(DEFINITION), new_run(DEFINITION, "r", "host1", {}, [], "me"))
        write_run(self._store, None, run, expect=ABSENT)
        return run


@pytest.fixture
def action(tmp_path: Path) -> Action:
    return Action(tmp_path / "state")


def test_an_approval_is_for_one_run(action: Action) -> None:
    """One with the same id asks anew, and what was decided before stays in the history."""
    first = action.replaced()
    action._ask(first, "gate")
    action.decided("approve")
    found = action.look_at_approval(action._store, first, "gate", action._options)
    assert found.outcome is not None
    assert found.outcome.outcome == "succeeded"

    second = action.replaced()
    assert action.look_at_approval(action._store, second, "gate", action._options) == driver.Found(driver.ABSENT)
    action._ask(first, "gate")  # a driver of the first one that has slept meanwhile asks for nothing
    assert action.look_at_approval(action._store, second, "gate", action._options) == driver.Found(driver.ABSENT)
    action._ask(second, "gate")
    found = action.look_at_approval(action._store, second, "gate", action._options)
    assert found.outcome is None
    assert "awaits approval" in found.said
    document = action._store.read(path_of_approval("w r", "gate"))
    assert document is not None
    assert [event["event"] for event in read_plain(document.content.decode())["history"]] == ["requested", "approved", "requested"]
    action._withdraw(first, "gate")  # nor does it take back what the second one asks for
    assert _approval(action._store, second, "gate")[0] is not None
    action.decided("reject")
    found = action.look_at_approval(action._store, second, "gate", action._options)
    assert found.outcome is not None
    assert found.outcome.outcome == "rejected"


def test_a_driver_of_a_removed_run(action: Action) -> None:
    """It does not go on with another one that has its id, and starts nothing in it."""
    first = action.replaced()

    def steps() -> driver.Steps:
        before, _version = yield driver.ReadRun()
        action.replaced()
        after = yield driver.ReadRun()
        return before, after

    before, after = t.cast(t.Any, action.follow(steps(), action._store, "w", "r", action._options, Given({}, "", [])))
    assert before == read_plain_run(first, before)
    assert after == (None, ABSENT)
    second, _version = read_run(action._store, "w", "r")
    assert second is not None
    assert driver.why_not(second, "a", 1, second["begun"]) == ""
    assert driver.why_not(second, "a", 1, first["begun"]) == "its run is gone"


def test_what_was_given_is_for_one_run(action: Action) -> None:
    """A task has looked at a run, and before it drives that, somebody has removed it."""
    first = action.replaced()
    second = action.replaced()

    def steps() -> driver.Steps:
        return (yield driver.ReadRun())

    for run, found in ((first, None), (second, second["begun"])):
        given = Given({}, "", [], begun=run["begun"])
        read, _version = t.cast(t.Any, action.follow(steps(), action._store, "w", "r", action._options, given))
        assert (None if read is None else read["begun"]) == found


def test_whoever_has_cancelled_a_removed_run(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops nothing of another one that has its id."""
    killed: list[str] = []
    monkeypatch.setattr(action, "_cancel_job", lambda _run, name, _record: killed.append(name))
    for is_ours in (True, False):
        run = action.replaced()
        key = key_of_node(run, "a")
        about = {"ansible_job_id": "j1.2", "metadata": mark_of_node(run, "a"), "status": "running", "attempt": 1}
        write_record(action._store, key, t.cast(t.Any, {**key._asdict(), **about}), expect=None)
        before, version = read_run(action._store, "w", "r")
        assert before is not None
        cancelled = cancel(before, {"who": "ann", "time": "", "reason": ""})
        write_run(action._store, before, cancelled, expect=version)
        if not is_ours:
            action.replaced()
        action._stop_job(cancelled, "a", driver.stopped(1, lambda record: record))
        assert killed == ["a"]


def test_a_store_that_is_away(action: Action, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runs are not those that nobody has begun: what the host has noted of their jobs tells. Another run may begin."""
    run = new_run(DEFINITION, "r", "host1", {}, [], "me")
    directory = f"/home/me/.ansible_async/{1:032x}"
    record: t.Any = {
        **{**key_of_node(run, "a")._asdict(), "ansible_job_id": "", "metadata": mark_of_node(run, "a"), "status": "prepared", "attempt": 1},
        **{"claim": {"id": "c"}, "attempt_dir": directory, "async_dir": directory, "schema_version": 1},
    }
    noted = Found(f"/home/me/.ansible_async/.async_jobs-0/{1:032x}/{2:032x}.1", content_of(record, "/state"))._asdict()
    odd = Found(f"/home/me/.ansible_async/.async_jobs-0/{3:032x}/{2:032x}.1", "", "is a link")._asdict()
    asked = []

    def on_host(entry: str, _arguments: object, *, timeout: float) -> dict[str, t.Any]:
        asked.append((entry, timeout))
        return {"noted": [odd, noted]}

    monkeypatch.setattr(action, "on_host", on_host)
    with pytest.raises(AsyncJobError, match=r"There is no store in .*/state, and host1 has executed jobs of a run 'r' of 'w': a\. Nothing"):
        action.begin(action._store, run)
    root = Path(action._store.locate())
    assert not root.exists()
    for said in ("is not a directory", "nothing was ever written in"):
        for mode in ("show", "cancel"):
            with pytest.raises(AsyncJobError, match=said):
                action.work({**action._options, "mode": mode, "workflow": "w", "run": "r"})
        if not root.exists():
            root.mkdir()
    action.begin(action._store, new_run(DEFINITION, "r2", "host1", {}, [], "me"))
    action.begin(action._store, new_run(DEFINITION, "r3", "host1", {}, [], "me"))  # now there is a store
    assert len(asked) == 2


def read_plain_run(run: Run, read: Run) -> Run:
    """Return a run as it is read: with what its write has added."""
    return {**run, **{field: read[field] for field in ("events", "save_time", "write_id")}}


@pytest.mark.parametrize("ends", [False, True])
def test_a_cancelled_run_that_is_resumed_at_once(action: Action, monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    """Whoever has cancelled it starts nothing in it: they were given neither its parameters nor its file. Nor is it said to be cancelled,
    if it then comes to its end."""
    run = action.replaced()
    started: list[str] = []
    monkeypatch.setattr(Action, "_start_nodes", lambda _self, _run, names: started.extend(names))
    monkeypatch.setattr(Action, "_wait", lambda _self, _run: False)
    there = {name: driver.Found(driver.ABSENT) for name in run["nodes"]}
    monkeypatch.setattr(Action, "_look_in_peace", lambda _self, _run, _due, _backoff: driver.Seen(there))
    monkeypatch.setattr(Action, "_check_host", lambda _self, _run: None)
    follow = Action.follow

    def resumed_then(self: Action, steps: driver.Steps, *args: t.Any) -> Run | None:
        after = follow(self, steps, *args)
        if after is not None and after["status"] == "cancelling":
            found, version = read_run(self._store, "w", "r")
            ended = {name: Outcome(1, "cancelled", "", {}) for name in after["nodes"]}
            graph = Graph(DEFINITION)
            over = decide(graph, end(graph, t.cast(Run, found), ended))
            again = decide(graph, resume(graph, over, None))
            while ends and again["status"] == "running":
                due = parts_of(again, "due")
                again = decide(graph, end(graph, again, {name: Outcome(2, "succeeded", "", {}) for name in due}))
            write_run(self._store, found, again, expect=version)
        return after

    monkeypatch.setattr(Action, "follow", resumed_then)
    with pytest.raises(AsyncJobError, match="was cancelled, and somebody has resumed it since"):
        action._cancel_run(action._store, run, {**action._options, "mode": "cancel", "reason": "", "workflow": "w", "run": "r"})
    found, _version = read_run(action._store, "w", "r")
    assert found is not None
    assert (found["status"], found["epoch"], started) == ("succeeded" if ends else "running", 3, [])


def test_the_lock_of_a_removed_run_is_not_that_of_another(action: Action) -> None:
    """Somebody may be just about to take it."""
    run = action.replaced()
    steps = driver.held_by(run)
    assert next(steps) == driver.ReadHolder("w")
    assert steps.send((Holder("w", "r", 1, "of the one before"), "7")) == driver.WriteHolder("w", Holder("w", "r", 1, run["begun"]), "7")
    with pytest.raises(StopIteration):
        steps.send("8")
    content = b'{"lock": "w", "workflow": "w", "run": "r", "epoch": 1, "begun": []}'
    with pytest.raises(AsyncJobError, match="does not say which run holds it"):
        check_holder(content, path_of_lock("w"), where="x")


def test_jobs_of_a_removed_run(action: Action) -> None:
    """They would count for the new one, which has run nothing: nothing is started, and it is said what to do."""
    run = new_run(DEFINITION, "r", "host1", {}, [], "me")
    key = key_of_node(run, "a")
    record: t.Any = {**key._asdict(), "ansible_job_id": "j1.2", "metadata": {"mine": "r"}, "status": "succeeded"}
    version = write_record(action._store, key, record, expect=ABSENT)[1]
    action._check_nothing_left(action._store, run)  # a play of somebody's own may have any name
    record["metadata"] = mark_of_node(run, "a")
    version = write_record(action._store, key, {**record, "origin": {"store": "/lost", "host": "host1"}}, expect=version)[1]
    action._check_nothing_left(action._store, run)  # made anew after the loss of a store
    write_record(action._store, key, record, expect=version)
    with pytest.raises(AsyncJobError, match=r"which was removed: host1/w r/a \(succeeded\)\. Nothing was started\. .*prune -e .*w r"):
        action.begin(action._store, run)
    assert read_run(action._store, "w", "r")[0] is None
    write_run(action._store, None, run, expect=ABSENT)
    action.begin(action._store, new_run(DEFINITION, "r", "host1", {}, [], "me"))  # somebody was faster, and these are its jobs
    found, _version = read_run(action._store, "w", "r")
    assert found is not None
    assert found["begun"] == run["begun"]
    assert part_of(found, "a").node["state"] == "waiting"
