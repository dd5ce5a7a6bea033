# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a store takes runs, approvals and what they hold along, and writes over nothing that is newer, or another one."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from records import ago, put
from workflows import define, ended

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval, async_job_copy
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import path_of_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, write, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import held_now
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder, path_of_lock, read_holder, write_holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    MOST_EVENTS,
    Run,
    key_of_node,
    mark_of_node,
    new_run,
    path_of_run,
)

DEFINITION = define(
    {"a": {}, "gate": {"approval": "Go", "allow_self": True, "all": {"a": "succeeded"}}, "b": {"all": {"gate": "succeeded"}}}
)
GRAPH = Graph(DEFINITION)
RUN, APPROVAL, LOCK, JOB = path_of_run("w", "r"), path_of_approval("w r", "gate"), path_of_lock("w"), "host1/w r/a.json"


class Stores:
    """Two stores, and what is in the first one."""

    def __init__(self, root: Path) -> None:
        self.old, self.new = FilesystemStore(str(root / "old")), FilesystemStore(str(root / "new"))
        self.run = decide(GRAPH, new_run(DEFINITION, "r", "host1", {}, [], "me"))
        write_run(self.old, None, self.run, expect=ABSENT)
        self.job()

    def copy(self, check_mode: bool = False) -> dict[str, t.Any]:
        """Copy the first store to the second one, and return what came of it."""
        defaults = {option: spec.get("default") for option, spec in STORE_OPTIONS.items()}
        params, source = ({**defaults, "backend": "filesystem", "state_dir": store.locate()} for store in (self.new, self.old))
        return async_job_copy.run(params, source=source, check_mode=check_mode)

    def job(self, **fields: t.Any) -> None:
        key = key_of_node(self.run, "a")
        about: t.Any = {"ansible_job_id": "j1.2", "metadata": mark_of_node(self.run, "a"), "status": "running", "claim": {"who": "x"}}
        write_record(self.old, key, {**key._asdict(), **about, **fields}, expect=read_record(self.old, key)[1])

    def go_on(self, store: FilesystemStore, after: t.Callable[[Run], Run], saved: str = "") -> None:
        """Change the run in one of the stores."""
        found, version = read_run(store, "w", "r")
        assert found is not None
        version = write_run(store, found, after(found), expect=version)
        if saved:
            found, version = read_run(store, "w", "r")
            assert found is not None
            write(store, RUN, {**found, "save_time": saved}, expect=version)

    def ask(self, store: FilesystemStore, mode: str = "request") -> None:
        asked = {option: spec.get("default") for option, spec in async_job_approval.ARGUMENT_SPEC.items()}
        asked.update(backend="filesystem", state_dir=store.locate(), mode=mode, name="gate", playbook_name="w r", subject="Go")
        async_job_approval.run({**asked, "allow_self": True, "by": "ann"}, check_mode=False, begun=self.run["begun"])


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


def test_a_run_moves(stores: Stores) -> None:
    """With its jobs, what it has asked for, its lock, and the slots of its jobs. Whoever drives it finds all as it was."""
    stores.job(semaphore={"name": "dumps", "slot": f"{1:032x}", "at_most": 1})
    stores.ask(stores.old)
    write_holder(stores.old, "w", Holder("w", "r", 1, stores.run["begun"]), expect=ABSENT)
    write_holder(stores.old, "x", Holder("w", "gone", 1), expect=ABSENT)
    done = stores.copy(check_mode=True)
    assert done["copied"] == [JOB, APPROVAL, RUN, LOCK]
    assert not [*stores.new.entries()]
    assert read_run(stores.new, "w", "r")[0] is None
    done = stores.copy()
    assert (done["copied"], done["going_on"], done["failures"]) == ([JOB, APPROVAL, RUN, LOCK], [RUN], [])
    moved = read_run(stores.new, "w", "r")[0]
    assert moved is not None
    assert moved == {**t.cast("Run", read_run(stores.old, "w", "r")[0]), "write_id": moved["write_id"]}
    assert read_holder(stores.new, "w")[0] == Holder("w", "r", 1, stores.run["begun"])
    assert [held.holder.job_name for held in held_now(stores.new, "dumps")] == ["a"]
    done = stores.copy()
    assert (done["changed"], done["identical"]) == (False, [JOB, APPROVAL, RUN, LOCK])


def test_a_run_waits_for_its_jobs(stores: Stores) -> None:
    """Without their records, they would start once more."""
    stores.job(status="starting")
    assert stores.copy()["starting"] == [JOB, RUN]
    stores.job(status="running")
    found = stores.old.read(JOB)
    assert found is not None
    stores.old.write(JOB, b"{", expect=found.version)
    done = stores.copy()
    assert [failure["state_file"] for failure in done["failures"]] == [stores.old.locate(JOB), stores.old.locate(RUN)]
    assert "because a job of it, " in done["failures"][1]["msg"]
    assert read_run(stores.new, "w", "r")[0] is None


def test_what_is_newer_or_different_stays(stores: Stores) -> None:
    stores.copy()
    stores.go_on(stores.old, lambda run: ended(GRAPH, run, a="succeeded"))
    assert stores.copy()["copied"] == [RUN]  # the same one, later
    stores.go_on(stores.new, lambda run: {**run, "notified": {"x": ""}}, saved=ago(days=-1))
    assert stores.copy()["newer"] == [RUN]
    stores.go_on(stores.new, lambda run: {**run, "notified": {"y": ""}}, saved=ago(days=1))
    assert stores.copy()["copied"] == [RUN]
    stores.go_on(stores.new, lambda run: {**run, "status": "cancelling"}, saved=ago(days=1))  # somebody has gone on there
    stores.go_on(stores.old, lambda run: ended(GRAPH, run, gate="succeeded"))
    assert stores.copy()["different"] == [RUN]
    many = [{"time": "", "who": "", "node": "a", "attempt": 1, "what": "due", "why": ""}] * MOST_EVENTS
    found, version = read_run(stores.old, "w", "r")
    assert found is not None
    write(stores.old, RUN, {**found, "events": many}, expect=version)
    assert stores.copy()["copied"] == [RUN]
    stores.new.delete(RUN)
    write_run(stores.new, None, {**stores.run, "begun": "another"}, expect=ABSENT)
    before = stores.new.read(RUN)
    assert stores.copy()["different"] == [RUN]
    assert stores.new.read(RUN) == before


def test_approvals(stores: Stores) -> None:
    """Their history tells which is the later one. A decision is never taken back, nor taken from elsewhere."""
    stores.ask(stores.old)
    stores.copy()
    stores.ask(stores.old, "approve")
    assert stores.copy()["copied"] == [APPROVAL]
    assert APPROVAL in stores.copy()["identical"]
    stores.old.delete(APPROVAL)
    stores.ask(stores.old)
    assert stores.copy()["different"] == [APPROVAL]
    stores.new.delete(APPROVAL)
    stores.copy()
    stores.ask(stores.new, "reject")
    assert stores.copy()["newer"] == [APPROVAL]
    stores.ask(stores.old, "approve")
    assert stores.copy()["different"] == [APPROVAL]


def test_a_lock_that_somebody_else_holds_there(stores: Stores) -> None:
    write_holder(stores.old, "w", Holder("w", "r", 2, stores.run["begun"]), expect=ABSENT)
    other = decide(GRAPH, new_run(DEFINITION, "s", "host1", {}, [], "me"))
    write_run(stores.new, None, other, expect=ABSENT)
    version = write_holder(stores.new, "w", Holder("w", "s", 1, other["begun"]), expect=ABSENT)
    assert stores.copy()["different"] == [LOCK]
    version = write_holder(stores.new, "w", Holder("w", "r", 3, stores.run["begun"]), expect=version)
    assert stores.copy()["newer"] == [LOCK]
    write_holder(stores.new, "w", Holder("w", "gone", 1, ""), expect=version)
    assert stores.copy()["copied"] == [LOCK]
    assert read_holder(stores.new, "w")[0] == Holder("w", "r", 2, stores.run["begun"])


def test_what_goes_on_meanwhile_in_the_old_place(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that somebody has driven since it was listed is left to the next copy."""
    read = stores.new.read

    def driven(store: FilesystemStore, path: str) -> t.Any:
        if path == RUN and store.locate() == stores.new.locate():
            stores.go_on(stores.old, lambda run: {**run, "epoch": run["epoch"] + 1})
        return original(store, path)

    original = FilesystemStore.read
    monkeypatch.setattr(FilesystemStore, "read", driven)
    assert stores.copy()["changed_meanwhile"] == [RUN]
    monkeypatch.undo()
    assert read(RUN) is None


def test_a_job_that_was_started_anew_meanwhile_in_the_old_place(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run says which attempt is due, and so would start it once more, if all that is known there is the one before."""
    stores.job(status="failed")
    original = FilesystemStore.read

    def driven(store: FilesystemStore, path: str) -> t.Any:
        if path == RUN and store.locate() == stores.new.locate():
            past = {"attempt": 1, "ansible_job_id": "j1.2", "status": "failed"}
            stores.job(status="running", attempt=2, ansible_job_id="j2.2", attempts=[past])
        return original(store, path)

    monkeypatch.setattr(FilesystemStore, "read", driven)
    done = stores.copy()
    assert (done["copied"], done["changed_meanwhile"]) == ([JOB], [RUN])
    monkeypatch.undo()
    assert read_run(stores.new, "w", "r")[0] is None
    assert stores.copy()["copied"] == [JOB, RUN]


@pytest.mark.parametrize("saved", [{"seconds": 5}, {"days": 1}])
def test_of_two_attempts_the_history_tells_which_one_is_later(tmp_path: Path, saved: dict[str, t.Any]) -> None:
    """A record with an older attempt, which a clock that was ahead has written, or in the same second, is not left where jobs start."""
    old, new = tmp_path / "old", tmp_path / "new"
    past = {"attempt": 1, "ansible_job_id": "j1.1", "status": "failed"}
    file = put(old, status="running", attempt=2, ansible_job_id="j2.2", attempts=[past], save_time=ago(**saved))
    there = put(new, status="failed", attempt=1, save_time=ago(seconds=5))
    defaults = {option: spec.get("default") for option, spec in STORE_OPTIONS.items()}
    params = {place: {**defaults, "backend": "filesystem", "state_dir": str(place)} for place in (old, new)}
    done = async_job_copy.run(params[new], source=params[old], check_mode=False)
    assert done["copied"] == ["web1/Nightly/job.json"]
    assert json.loads(there.read_text())["attempt"] == 2
    file.write_text(json.dumps({**json.loads(there.read_text()), "save_time": ago(seconds=5)}))
    put(new, status="running", attempt=3, ansible_job_id="j3.3", attempts=[past, {"ansible_job_id": "j2.2"}], save_time=ago(days=2))
    assert async_job_copy.run(params[new], source=params[old], check_mode=False)["newer"] == ["web1/Nightly/job.json"]


def test_in_the_same_second_what_has_ended_is_later(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    when = ago(seconds=5)
    put(old, status="failed", save_time=when)
    there = put(new, status="running", save_time=when)
    defaults = {option: spec.get("default") for option, spec in STORE_OPTIONS.items()}
    params = {place: {**defaults, "backend": "filesystem", "state_dir": str(place)} for place in (old, new)}
    assert async_job_copy.run(params[new], source=params[old], check_mode=False)["copied"] == ["web1/Nightly/job.json"]
    assert json.loads(there.read_text())["status"] == "failed"
    assert async_job_copy.run(params[old], source=params[new], check_mode=False)["identical"] == ["web1/Nightly/job.json"]
