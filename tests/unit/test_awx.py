# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has started a run, as AWX says; and what a task leaves for the runs that follow."""

from __future__ import annotations

import os
import types
import typing as t
from pathlib import Path

import pytest
from records import put
from workflows import begun, define

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records import runs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, system_user
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import claim
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import claimed_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import write_run
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _left_behind
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._awx import started_by
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._cancelling import CancellingAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._left_behind import _is_gone, cancel_what_was_left, said_of_awx
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._pauses import Pause
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._stats import with_stats
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._workflow_run import WorkflowAction

HERE = os.uname().nodename
KEY = JobKey("host1", "play", "job")
ALICE = ("alice", {"user_name": "alice", "job_id": 12})


@pytest.fixture(autouse=True)
def in_awx(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a run of AWX."""
    monkeypatch.setenv("AWX_HOST", "https://awx.example.com")
    monkeypatch.delenv("AWX_PRIVATE_DATA_DIR", raising=False)


@pytest.mark.parametrize(
    ("variables", "who", "awx"),
    [
        ({"awx_user_name": "alice", "awx_job_id": 12}, *ALICE),
        ({"tower_user_name": "a@b.c", "tower_job_id": "12"}, "a@b.c", {"user_name": "a@b.c", "job_id": 12}),
        ({"awx_job_id": 12, "awx_schedule_name": "each night"}, "", {"job_id": 12, "schedule_name": "each night"}),
        ({"awx_workflow_job_id": 9, "awx_parent_job_schedule_name": "x"}, "", {"workflow_job_id": 9, "schedule_name": "x"}),
        ({"awx_user_name": "alice\nby bob", "awx_job_id": "12; id"}, "", None),
        ({"awx_user_name": "alice", "tower_user_name": "alice", "awx_job_id": 12, "tower_job_id": "12"}, *ALICE),
        ({"awx_user_name": "bob", "tower_user_name": "alice"}, "", None),
        ({"awx_user_name": "a" * 600, "awx_job_id": -1}, "", None),
        ({}, "", None),
    ],
)
def test_who_has_started_a_run(variables: dict[str, t.Any], who: str, awx: dict[str, t.Any] | None) -> None:
    assert started_by(variables) == {"who": f"{who or system_user()}@{HERE}", "awx": awx}


def test_elsewhere_variables_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWX_HOST")
    assert started_by({"awx_user_name": "alice", "awx_job_id": 12}) == {"who": f"{system_user()}@{HERE}", "awx": None}


def test_a_claim_that_takes_over_another_one_says_who_that_is() -> None:
    """Nothing is left of who has claimed it before and has not started it."""
    about = t.cast("Record", started_by({"awx_user_name": "alice", "awx_job_id": 12}))
    first = claimed_record(None, KEY, about, no_log=False)
    assert (first["who"], first["claim"]["who"], first["awx"]) == (f"alice@{HERE}", f"alice@{HERE}", {"user_name": "alice", "job_id": 12})
    second = claimed_record(first, KEY, t.cast("Record", {"who": f"bob@{HERE}", "awx": None}), no_log=False)
    assert (second["who"], second["claim"]["who"], "awx" in second) == (f"bob@{HERE}", f"bob@{HERE}", False)


def test_what_another_run_has_left_is_said() -> None:
    record: Record = {"status": "running", "start": "2026-02-01T03:12:09Z", "awx": {"job_id": 12, "user_name": "alice"}}
    assert "by job 12 of AWX (alice)" in said_of_awx(record, {"awx": {"job_id": 13}})
    assert "by job 12 of AWX (alice)" in said_of_awx(record, {"awx": None})
    assert said_of_awx(record, {"awx": {"job_id": 12}}) == ""
    assert said_of_awx({**record, "status": "succeeded"}, {"awx": None}) == ""
    assert said_of_awx({"status": "running"}, {"awx": None}) == ""


RECORD: Record = {
    "host": "db01",
    "job_name": "migrate",
    "result": {
        "rc": 0,
        "version": "2.4",
        "stdout": "x",
        "stdout_size": 1,
        "not_stored": ["y"],
        "not a name": 1,
    },
}
ANSWER = {"status": "succeeded", "reason": "r", "attempt": 1, "finished": True, "failed": False, "changed": True, "record": RECORD}
STATUS = {name: value for name, value in ANSWER.items() if name != "record"}
NAMED = ["version", "not a name", "rc"]


def left(
    wanted: list[str], answer: dict[str, t.Any] | None = None, *, named: list[str] | None = None, secret: bool = False
) -> dict[str, t.Any]:
    """Return a result with what is left of one job."""
    answer, named = ANSWER if answer is None else answer, NAMED if named is None else named
    return with_stats({"x": 1}, [answer], wanted, secret=secret, named=[named])


@pytest.mark.parametrize(
    ("wanted", "data"),
    [
        (["status"], {"async_jobs": {"db01": {"migrate": STATUS}}}),
        (
            ["result"],
            {"async_jobs": {"db01": {"migrate": {"result": {"rc": 0, "version": "2.4", "not a name": 1}}}}},
        ),
        (["artifacts"], {"version": "2.4", "rc": 0}),
    ],
)
def test_what_is_left_for_others(wanted: list[str], data: dict[str, t.Any]) -> None:
    assert left(wanted) == {"x": 1, "ansible_stats": {"data": data, "per_host": False, "aggregate": True}}


@pytest.mark.parametrize(
    "name", ["ansible_host", "async_job_state_dir", "awx_user_name", "_x", "not a name", "inventory_hostname", "groups"]
)
def test_a_result_sets_nothing_that_others_act_upon(name: str) -> None:
    """Whatever the task names."""
    record = {**RECORD, "result": {name: "x"}}
    assert left(["artifacts"], {**ANSWER, "record": record}, named=[name]) == {"x": 1}


def test_a_record_does_not_say_what_becomes_a_variable() -> None:
    """Whoever can write to the store could say to the next run what to do."""
    record = {**RECORD, "store_result": ["apply"], "result": {"apply": True}}
    assert left(["artifacts"], {**ANSWER, "record": record}, named=[]) == {"x": 1}


def test_an_artifact_that_is_none_is_named() -> None:
    """If the job should have had it, and somebody may know what it had."""
    [warning] = left(["artifacts"], named=["version", "stdout_lines", "y"])["warnings"]
    assert warning.startswith("The job 'migrate' on db01 leaves no stdout_lines, y (set_stats: artifacts): its record has no such field.")
    for answer in ({**ANSWER, "status": "failed"}, {**ANSWER, "record": {**RECORD, "no_log": True}}, {**ANSWER, "finished": False}):
        assert "warnings" not in left(["artifacts"], answer, named=["stdout_lines"])
    assert "warnings" not in left(["status"], named=["stdout_lines"])


def test_nothing_is_left_that_nobody_wants_or_may_know() -> None:
    assert left([]) == {"x": 1}
    assert left(["status"], {"failed": True, "msg": "no record"}) == {"x": 1}
    assert left(["artifacts"], {**ANSWER, "finished": False}) == {"x": 1}
    for more in ({"_ansible_no_log": True}, {"record": {**RECORD, "no_log": True}}):
        assert left(["artifacts"], {**ANSWER, **more}) == {"x": 1}
    assert left(["artifacts"], secret=True) == {"x": 1}
    assert left(["result"], secret=True)["ansible_stats"]["data"] == {"async_jobs": {"db01": {"migrate": {"result": {}}}}}


def test_a_run_that_is_hidden_is_not_taken_for_one_that_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where this user does not see the processes of others: then, it is the time without a sign that tells."""
    put(tmp_path, "job", host="host1", playbook="play", status="running")
    store = FilesystemStore(str(tmp_path))
    record, version = read_record(store, KEY)
    assert record is not None
    record["awaited_by"] = {**runs.this_run(os.getpid()), "poll": 1}
    for module in (runs, claim):
        monkeypatch.setattr(module, "find_process", lambda pid: None)
    said: list[str] = []
    action: t.Any = types.SimpleNamespace(notify=said.append)
    waits = _is_gone(action, store, KEY, (record, version), 60)
    for _look in range(3):
        assert isinstance(next(waits), Pause)
    assert "may be waiting for it" in said[0]
    waits = _is_gone(action, store, KEY, (record, version), 0)
    with pytest.raises(StopIteration) as stop:
        next(waits)
    assert stop.value.value is True


def test_whoever_cancels_what_was_left_has_said_so_before(tmp_path: Path) -> None:
    """So that another run sees somebody at it, who does not wait for one that is gone; also if nothing can be stopped."""
    own, parent = runs.this_run(os.getpid()), runs.this_run(os.getppid())
    gone = {**own, "pid_start": own["pid_start"] - 1, "poll": 1}
    put(tmp_path, "job", host="host1", playbook="play", status="running", awaited_by=gone)
    store = FilesystemStore(str(tmp_path))
    cancelled: list[tuple[Record | None, bool]] = []

    def cancel(params: dict[str, t.Any], store: FilesystemStore, asked: Asked) -> None:
        record, version = read_record(store, KEY)
        cancelled.append((record, (asked.record, asked.version) == (record, version)))
        raise AsyncJobError("The host is away.")

    said: list[str] = []
    action: t.Any = types.SimpleNamespace(notify=said.append, async_dir="~/.ansible_async", cancel=cancel)
    params = {"on_cancel": "cancel", "claim_timeout": 60}

    def run() -> bool:
        """Return whether it has changed the record, without waiting for anybody."""
        record, version = read_record(store, KEY)
        assert record is not None
        with pytest.raises(StopIteration) as stop:
            next(cancel_what_was_left(action, store, KEY, (record, version), params, 2))
        return bool(stop.value.value)

    with pytest.raises(AsyncJobError, match="is away"):
        run()
    [(record, is_same)] = cancelled
    assert record is not None
    assert {name: record["awaited_by"][name] for name in runs.NAMES} == {name: parent[name] for name in runs.NAMES}
    assert is_same
    assert said == [f"{KEY}: the run that waited for it is gone (on_cancel). It is cancelled."]  # another one than that has started it
    assert run() is False
    assert len(cancelled) == 1


@pytest.mark.parametrize("more", [{"awaited_by": {"poll": 5}}, {"looked": "2026-02-01T03:12:09Z"}, {"status": "succeeded"}])
def test_what_somebody_else_waits_for_meanwhile_is_not_cancelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: dict[str, t.Any]
) -> None:
    """Whatever becomes of a job that was left behind, between the proof of that and the order, is looked at anew."""
    own = runs.this_run(os.getpid())
    gone = {**own, "pid_start": own["pid_start"] - 1, "poll": 1}
    about: dict[str, t.Any] = {"host": "host1", "playbook": "play", "status": "running", "awaited_by": gone}
    put(tmp_path, "job", **about)
    store = FilesystemStore(str(tmp_path))
    record, version = read_record(store, KEY)
    assert record is not None
    then = {**about, **more, "awaited_by": {**own, **more["awaited_by"]} if "awaited_by" in more else gone}

    def ends(_run: t.Any) -> bool:
        put(tmp_path, "job", **then)
        return True

    monkeypatch.setattr(_left_behind, "has_ended", ends)
    cancelled: list[str] = []
    about_host = {"async_dir": "~/.ansible_async", "cancel": lambda *_args: cancelled.append("it")}
    action: t.Any = types.SimpleNamespace(notify=cancelled.append, **about_host)
    with pytest.raises(StopIteration) as stop:
        next(cancel_what_was_left(action, store, KEY, (record, version), {"on_cancel": "cancel", "claim_timeout": 60}, 2))
    assert (stop.value.value, cancelled) == (True, [])
    found = read_record(store, KEY)[0]
    assert found is not None
    assert (found["awaited_by"], found["status"]) == (then["awaited_by"], then["status"])


def test_a_job_that_runs_is_not_called_cancelled_because_its_claim_says_that_it_waits() -> None:
    """Only one that is about to be started can wait for a semaphore: of all others, the host tells."""
    record = {"host": "host1", "playbook_name": "play", "job_name": "job", "status": "running", "claim": {"waits": "dumps"}}
    asked: t.Any = types.SimpleNamespace(problem="", key=KEY, record=record, label="it", without_contact={"reason": "It is asked"})
    called: list[str] = []
    action: t.Any = types.SimpleNamespace(_cancel_waiting=lambda *_args: called.append("x"))
    with pytest.raises(AsyncJobError, match="It is asked"):
        CancellingAction.cancel(action, {"reason": ""}, t.cast("t.Any", object()), asked)
    assert called == []
    asked.record = {**record, "status": "starting"}
    CancellingAction.cancel(action, {"reason": ""}, t.cast("t.Any", object()), asked)
    assert called == ["x"]


def test_a_workflow_asks_for_approval_as_who_has_launched_it(tmp_path: Path) -> None:
    """Otherwise nobody in AWX could approve it, where all are one user of the system; or whoever has launched it could, from elsewhere."""
    store = FilesystemStore(str(tmp_path))
    definition = define({"gate": {"approval": "Go"}})
    run = decide(Graph(definition), begun(definition))
    write_run(store, None, run, expect=ABSENT)
    defaults = {option: spec.get("default") for option, spec in STORE_OPTIONS.items()}
    options = {**defaults, "backend": "filesystem", "state_dir": str(tmp_path)}
    about = {"_store": store, "_which": ("w", "r"), "_task_vars": {"awx_user_name": "alice"}, "_store_options": lambda: options}
    action: t.Any = types.SimpleNamespace(notify=lambda line: None, say=lambda line: None, **about)
    WorkflowAction._ask(action, run, "gate")
    spec = async_job_approval.ARGUMENT_SPEC
    given = {**{option: about.get("default") for option, about in spec.items()}, **options, "mode": "approve", "subject": "Go"}
    given.update(name="gate", playbook_name="w r")
    with pytest.raises(AsyncJobError, match="alice in AWX has asked"):
        async_job_approval.run(given, check_mode=False, awx_user="alice")
    assert async_job_approval.run(given, check_mode=False, awx_user="bob")["approved"] is True
