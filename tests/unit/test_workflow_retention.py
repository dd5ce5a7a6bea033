# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prune removes of workflows: runs that ended long ago, with what belongs to them, and what nobody holds. And what it leaves."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from records import ago
from workflows import define, ended

from ansible_collections.rstyczynski.ansible.plugins.action.async_job_prune import ActionModule
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval, async_job_prune
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import stamp
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, write, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import Holder as Slot
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import path_of_semaphore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import retention
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder, path_of_lock
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    Run,
    key_of_node,
    mark_of_node,
    new_run,
    path_of_run,
)

GATE = define({"gate": {"approval": "Release goes live", "allow_self": True}, "a": {"all": {"gate": "succeeded"}}})
OLD = ago(days=40)
SLOT = f"{1:032x}"


class Prune(ActionModule):
    """A prune that contacts no host."""

    host = "localhost"

    def __init__(self, root: Path) -> None:
        self.options = {option: spec.get("default") for option, spec in async_job_prune.ARGUMENT_SPEC.items()}
        self.options.update(backend="filesystem", state_dir=str(root), store_only=True, older_than="30d", apply=True)
        self.store = FilesystemStore(str(root))
        self._task = t.cast(t.Any, SimpleNamespace(check_mode=False, no_log=False))
        self.shown = ""

    def show(self, table: str) -> None:
        self.shown = table

    def notify(self, line: str) -> None:
        """Say nothing."""

    def __call__(self, **options: t.Any) -> dict[str, t.Any]:
        """Prune, and return what the module returns."""
        return self.work({**self.options, **options})

    def begun(self, name: str, outcome: str = "succeeded", when: str = OLD, **fields: t.Any) -> Run:
        """Write a run that has ended, or goes on if there is no outcome, with the record of a job, and an approval."""
        graph = Graph(GATE)
        run = decide(graph, {**new_run(GATE, name, "host1", {}, [], "me"), **fields})
        self.approval(run)
        if outcome:
            run = ended(graph, ended(graph, run, gate="succeeded"), a=outcome)
            assert run["status"] == outcome
        after = {**run, **({"ended": when} if outcome else {}), "started": when, **fields}
        write_run(self.store, None, after, expect=ABSENT)
        self.job(after)
        return after

    def approval(self, run: Run) -> None:
        asked = {option: spec.get("default") for option, spec in async_job_approval.ARGUMENT_SPEC.items()}
        asked.update(backend="filesystem", state_dir=self.options["state_dir"], mode="request", name="gate", expires_in=0)
        asked.update(subject="Release goes live", playbook_name=f"{run['workflow']} {run['run']}")
        async_job_approval.run(asked, check_mode=False, begun=run["begun"])

    def job(self, run: Run, status: str = "succeeded", end: str = OLD) -> None:
        """Write the record of its job."""
        key = key_of_node(run, "a")
        record: t.Any = {**key._asdict(), "ansible_job_id": "j1.2", "metadata": mark_of_node(run, "a"), "status": status, "end": end}
        write(self.store, key.path, {**record, "save_time": OLD, "claim": {"who": "x"}}, expect=self.version(key.path))

    def put(self, path: str, content: dict[str, t.Any], saved: str = OLD) -> None:
        write(self.store, path, {"schema_version": 1, "save_time": saved, **content}, expect=ABSENT)

    def version(self, path: str) -> t.Any:
        document = self.store.read(path)
        return ABSENT if document is None else document.version

    def left(self) -> list[str]:
        """Return the runs, approvals, locks and semaphores that are still there."""
        heads = (".workflows/", ".approvals/", ".workflow_locks/", ".semaphores/")
        return [entry.path for head in heads for entry in self.store.entries(head)]


@pytest.fixture
def prune(tmp_path: Path) -> Prune:
    return Prune(tmp_path / "state")


def of(*runs: str) -> list[str]:
    """Return the documents of runs."""
    return [path_of_run("w", run) for run in runs] + [f".approvals/w {run}/gate.json" for run in runs]


def test_what_is_old_goes_with_what_belongs_to_it(prune: Prune) -> None:
    """A dry run says so. What goes on, or has just ended, stays; so does an approval that no run has asked for."""
    for name, outcome, when in (
        ("old", "succeeded", OLD),
        ("bad", "failed", OLD),
        ("new", "succeeded", ago(minutes=1)),
        ("parked", "", OLD),
    ):
        prune.begun(name, outcome, when)
    own: t.Any = {**prune.begun("own"), "begun": "another"}
    prune.store.delete(f".approvals/w {own['run']}/gate.json")
    prune.approval({**own, "begun": ""})
    before = prune.left()
    dry = prune(apply=False)
    assert prune.left() == before
    assert prune.shown.count("would be removed") == 3 + 2 + 4
    assert {field: dry[field] for field in ("applied", "changed", "removed", "runs", "approvals")} == {
        **{"applied": False, "changed": False, "removed": 4, "runs": 3, "approvals": 2}
    }
    assert prune(status=["failed"], older_than=None)["runs"] == 1
    assert prune(status=["failed"])["approvals"] == 0
    done = prune()
    assert (done["runs"], done["approvals"], done["kept"], done["unreadable"], done["changed"]) == (2, 1, dry["kept"], [], True)
    assert {*prune.left()} == {*of("new", "parked"), ".approvals/w own/gate.json"}
    assert prune()["changed"] is False
    assert [one["msg"] for one in dry["kept"]] == ["it belongs to the run 'parked' of 'w', which is running"]
    with pytest.raises(AsyncJobError, match="which is not an age"):
        prune(older_than="old")


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ({}, "rsx"),
        ({"status": ["succeeded"]}, "s"),
        ({"status": ["failed"]}, "rx"),  # what has recovered had failed
        ({"playbook_name": "w s"}, "s"),
        ({"playbook_name": "s"}, ""),
        ({"workflow": "w"}, "rsx"),
        ({"workflow": "v"}, ""),
        ({"workflow": "w", "keep": 1}, "rs"),
        ({"workflow": "w", "keep": 2}, "r"),
        ({"job_name_pattern": "*"}, ""),
        ({"keep_attempts": 1}, ""),
        ({"host": "host1"}, "rsx"),
        ({"host": "host2"}, ""),
        ({"hosts": ["host2"]}, ""),
    ],
)
def test_which_runs(prune: Prune, options: dict[str, t.Any], gone: str) -> None:
    for days, (name, outcome) in enumerate((("x", "failed"), ("s", "succeeded"), ("r", "failed"))):
        run = prune.begun(name, outcome, ago(days=40 + days))
        if name == "r":
            found, version = read_run(prune.store, "w", "r")
            assert found is not None
            write_run(prune.store, found, {**found, "status": "recovered"}, expect=version)
        assert run["run"] == name
    done = prune(**options)
    assert [name for name in "rsx" if read_run(prune.store, "w", name)[0] is None] == [*gone]
    assert done["runs"] == len(gone)
    if options.get("keep"):  # their jobs go with them
        jobs = [entry.path for entry in prune.store.entries("host1/")]
        assert jobs == [f"host1/w {name}/a.json" for name in "rsx" if name not in gone]


@pytest.mark.parametrize("status", ["starting", "prepared", "running", "orphaned"])
def test_a_run_of_which_something_goes_on(prune: Prune, status: str) -> None:
    run = prune.begun("r")
    prune.job(run, status)
    done = prune()
    assert (done["runs"], done["approvals"]) == (0, 0)
    [kept] = done["kept"]
    assert kept["msg"].startswith(f"its job host1/w r/a is {status}, as last recorded")
    assert ("async_job_state" in kept["msg"]) == (status in ("starting", "prepared"))
    assert prune.left() == of("r")
    prune.job(run)
    assert prune()["runs"] == 1


def test_what_cannot_be_read_is_named_and_left(prune: Prune) -> None:
    run = prune.begun("r")
    for path in (
        key_of_node(run, "a").path,
        path_of_run("w", "broken"),
        ".approvals/w x/gate.json",
        path_of_lock("w"),
        path_of_semaphore("s"),
    ):
        prune.store.write(path, b"{")
    before = prune.left()
    done = prune()
    assert done["failed"]
    assert len(done["unreadable"]) == 5
    assert "4 documents of workflows" in done["msg"]
    assert "nobody can tell whether all of its jobs have ended" in done["kept"][0]["msg"]
    assert prune.left() == before
    assert len(prune(playbook_name="w r")["unreadable"]) == 1


def test_a_run_that_is_resumed_meanwhile(prune: Prune, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its jobs are there, and so is what it waits for."""
    run = prune.begun("r")
    needed = retention.why_needed

    def resumed(store: t.Any, old: Run) -> str:
        found, version = read_run(store, "w", "r")
        assert found is not None
        write_run(store, found, {**found, "epoch": 2}, expect=version)
        return needed(store, old)

    monkeypatch.setattr("ansible_collections.rstyczynski.ansible.plugins.action.async_job_prune.why_needed", resumed)
    assert prune()["kept"][0]["msg"] == "somebody has changed it meanwhile"
    assert prune.left() == of(run["run"])


def test_a_run_has_not_ended_before_it_began(prune: Prune) -> None:
    """Whoever drove it had a clock that was off, in the end."""
    prune.begun("r", when=ago(days=4000), started=ago(minutes=5))
    assert prune()["runs"] == 0
    assert read_run(prune.store, "w", "r")[0] is not None


def test_a_controller_whose_clock_is_ahead(prune: Prune) -> None:
    """What has ended just now is not old for it, as far as a clock that nobody sets tells."""
    run = prune.begun("r")
    found, version = read_run(prune.store, "w", "r")
    assert found is not None
    node = {**run["nodes"]["a"], "ended": stamp(10)}
    write_run(prune.store, found, {**found, "nodes": {**found["nodes"], "a": node}}, expect=version)
    assert prune(older_than="10m")["runs"] == 0
    assert prune(older_than="5s")["runs"] == 1


def test_the_last_run_of_a_schedule_stays(prune: Prune) -> None:
    """What is due next is counted from it: without it, the same slot would begin once more, or one that was missed never would."""
    for rule, day in (("A", 1), ("A", 2), ("B", 3), ("B", 4)):
        about = {"name": "nightly", "rrule": rule, "slot": f"2026-01-0{day}T02:00:00Z"}
        prune.begun(f"nightly-{day}", schedule=about)
    assert prune(older_than="0s")["runs"] == 2
    assert [path for path in prune.left() if "workflows" in path] == [path_of_run("w", "nightly-2"), path_of_run("w", "nightly-4")]


def test_what_nobody_holds_any_more(prune: Prune) -> None:
    """A lock of a run that has ended or is gone, a semaphore whose jobs have ended, an approval of a run that is gone."""
    run = prune.begun("ended", when=ago(minutes=1))
    prune.begun("parked", "")
    gone = prune.begun("gone")
    prune.store.delete(path_of_run("w", "gone"))
    holders = {"a": Holder("w", "ended", 1), "b": Holder("w", "gone", 1), "c": Holder("w", "parked", 1)}
    for lock, holder in holders.items():
        prune.put(path_of_lock(lock), {"lock": lock, **holder._asdict()})
    prune.put(path_of_lock("d"), {"lock": "d", **holders["b"]._asdict()}, ago(minutes=1))
    prune.job(run, end=ago(minutes=1))
    key = key_of_node(run, "a")
    slot = Slot(*key, SLOT, 1, 1, "me", OLD)._asdict()
    prune.put(path_of_semaphore("free"), {"semaphore": "free", "holders": [slot]})
    prune.put(path_of_semaphore("lost"), {"semaphore": "lost", "holders": [{**slot, "host": "web9"}]})  # its record is gone
    record, version = read_record(prune.store, key_of_node(gone, "a"))
    assert record is not None
    about = {"name": "held", "slot": SLOT, "at_most": 1}
    write_record(prune.store, key_of_node(gone, "a"), {**record, "status": "running", "semaphore": about}, expect=version)
    held = {**slot, "playbook_name": "w gone"}
    prune.put(path_of_semaphore("held"), {"semaphore": "held", "holders": [held]})
    before = prune.left()
    for narrow in ({"status": ["failed"]}, {"hosts": ["host1"]}, {"playbook_name": "x"}, {"workflow": "v"}):
        assert prune(apply=False, **narrow)["locks"] == 0
    assert prune(apply=False)["locks"] == 3
    assert prune.left() == before
    assert prune()["approvals"] == 0  # what was written a moment ago stays, too
    assert set(before) - set(prune.left()) == {path_of_lock("a"), path_of_lock("b"), path_of_semaphore("free")}
    done = prune(older_than="0s")
    assert (done["locks"], done["approvals"], done["runs"]) == (1, 2, 1)
    assert prune.left() == [*of("parked"), path_of_lock("c"), path_of_semaphore("held"), path_of_semaphore("lost")]


def test_what_keep_counts(prune: Prune) -> None:
    with pytest.raises(AsyncJobError, match="keep needs a job_name_pattern"):
        prune(keep=1)
    with pytest.raises(AsyncJobError, match="keep counts the runs of workflow, or"):
        prune(keep=1, workflow="w", job_name_pattern="*")
