# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers make of the records of nodes, what they write there when a run is cancelled, and when they give up stopping one."""

from __future__ import annotations

import os
import time
import typing as t
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.parsing import vault
from workflows import begun, define, ended

from ansible_collections.rstyczynski.ansible.plugins.action import async_job_cancel, async_job_state
from ansible_collections.rstyczynski.ansible.plugins.action import async_workflow as async_workflow_action
from ansible_collections.rstyczynski.ansible.plugins.action.async_workflow import ActionModule
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import node
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval, async_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import driver
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import cancel, decide, end
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph, flaws
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.notifying import pending
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import Run, key_of_node, mark_of_node, with_events
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible, _workflow_run
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked, of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import NodeRequest
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._notifications import Notifications
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._starter import Starter

DIRECTORY = f"/home/app/.ansible_async/{1:032x}"
JOB = "j1.2"


class Action(_workflow_run.WorkflowAction):
    """One whose host says what the test says."""

    host = "host1"
    async_dir = "~/.ansible_async"

    def __init__(self, store: FilesystemStore, seen: exactly_once.Seen) -> None:
        self._store = store
        self._options = {option: spec.get("default") for option, spec in async_workflow.ARGUMENT_SPEC.items()}
        self._task_vars, self._playbook = {}, os.getppid()
        self._seen_there = seen
        self._not_stopped, self._unclear = {}, {}
        self.elsewhere, self.not_started, self.only_once = {}, {}, False
        self._elsewhere_since, self.given_up = {}, {}

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        return params

    def inspect(self, record: t.Any, timeout: float) -> exactly_once.Seen:
        return self._seen_there

    def fence(self, record: t.Any, timeout: float) -> bool:
        return True

    def notify(self, line: str) -> None:
        """Say nothing."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def _note_machine(self, asked: Asked) -> None:
        """Know nothing of it."""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def run() -> Run:
    """A run that is cancelled, and whose only node is due."""
    graph = Graph(define({"a": {}}))
    run = decide(graph, begun(graph.definition))
    return decide(graph, cancel(run, {"who": "ann", "time": "", "reason": ""}))


def record_of(run: Run, **fields: t.Any) -> t.Any:
    """Return the record of that node, just before it starts."""
    place = {"attempt_dir": DIRECTORY, "async_dir": DIRECTORY, "boot_id": "b", "stdout_file": f"{DIRECTORY}/stdout"}
    about = {"status": "prepared", "ansible_job_id": "", "attempt": 1, "claim": {"who": "me@there"}, "metadata": mark_of_node(run, "a")}
    return {**key_of_node(run, "a")._asdict(), **about, **place, **fields}


@pytest.mark.parametrize(
    ("seen", "status"),
    [(exactly_once.Seen(), "cancelled"), (exactly_once.Seen("", "host1 rebooted meanwhile"), "lost")],
)
def test_what_never_began_keeps_its_place(tmp_path: Path, run: Run, seen: exactly_once.Seen, status: str) -> None:
    """The host has noted it, and would else tell the next attempt of one that nobody knows."""
    store = FilesystemStore(str(tmp_path))
    key = key_of_node(run, "a")
    write_run(store, None, run, expect=ABSENT)
    write_record(store, key, record_of(run), expect=ABSENT)
    Action(store, seen)._stop(run, ["a"])
    record, _version = read_record(store, key)
    assert record is not None
    assert (record["status"], record["attempt_dir"], record["async_dir"], record["told"]) == (status, DIRECTORY, DIRECTORY, "")
    assert "claim" not in record
    assert record["end"]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"status": "starting", "attempt": 1}, driver.CLAIMED),
        ({"status": "prepared", "attempt": 2}, driver.CLAIMED),
        ({"status": "failed", "attempt": 1, "ansible_job_id": JOB}, driver.ABSENT),
        ({"status": "orphaned", "attempt": 1, "ansible_job_id": JOB}, JOB),
        ({"status": "failed", "attempt": 2, "ansible_job_id": JOB}, JOB),
        ({"status": "failed", "attempt": 3, "ansible_job_id": JOB}, driver.ABSENT),
        ({"status": "running", "attempt": 2, "metadata": {}}, driver.ABSENT),
    ],
)
def test_what_a_record_says(tmp_path: Path, fields: dict[str, t.Any], what: str) -> None:
    """Of the second attempt. What somebody has claimed before it, and has died, is found out about; what goes on of it, is looked at."""
    graph = Graph(define({"a": {"retries": 1}}))
    run = ended(graph, decide(graph, begun(graph.definition)), a="failed")
    assert (run["nodes"]["a"]["state"], run["nodes"]["a"]["attempt"]) == ("due", 2)
    store = FilesystemStore(str(tmp_path))
    write_record(store, key_of_node(run, "a"), record_of(run, **fields), expect=ABSENT)
    found = Action(store, exactly_once.Seen())._read_job(run, "a")
    assert what == (found.looked_for.job_id if isinstance(found, Asked) else found.what)
    assert isinstance(found, Asked) or found.outcome is None


def test_a_run_that_has_begun_anew(tmp_path: Path, run: Run) -> None:
    """What its jobs have executed before is not executed once more, and it is said what to do."""
    request = NodeRequest(Action(FilesystemStore(str(tmp_path)), exactly_once.Seen())._options, FilesystemStore(str(tmp_path)), run, "a")
    with pytest.raises(AsyncJobError, match=r"is of attempt 2, and the run has decided on attempt 1.*\. Give the run another id"):
        request.decide(record_of(run, status="succeeded", attempt=2))
    assert not request.decide(record_of(run, status="succeeded")).start
    with pytest.raises(AsyncJobError, match="is the record of another job"):
        request.decide(record_of(run, metadata={}))


def test_what_a_node_says_of_secret_parameters(tmp_path: Path, run: Run) -> None:
    """Nothing: its output may name them, and whoever looks at its job does not know them."""
    store = FilesystemStore(str(tmp_path))
    options = Action(store, exactly_once.Seen())._options
    assert "no_log" not in NodeRequest(options, store, run, "a").claim(None)
    assert NodeRequest(options, store, {**run, "secret_params": ["password"]}, "a").claim(None)["no_log"]


def test_who_starts_a_node(tmp_path: Path, run: Run) -> None:
    """The user of AWX, where AWX starts the run; and the playbook of ARA."""
    store = FilesystemStore(str(tmp_path))
    started_by = {"who": "carol@vm", "awx": {"job_id": "7"}, "ara_playbook": None}
    claimed = NodeRequest(Action(store, exactly_once.Seen())._options, store, run, "a", started_by=started_by).claim(None)
    assert (claimed["who"], claimed["awx"], "ara_playbook" in claimed) == ("carol@vm", {"job_id": "7"}, False)


def test_a_worker_whose_playbook_was_killed(tmp_path: Path, run: Run) -> None:
    """It starts nothing more, and does not wait for what there is to start."""
    action = Action(FilesystemStore(str(tmp_path)), exactly_once.Seen())
    action._playbook = 1 << 30
    with pytest.raises(AsyncJobError, match=r"ansible-playbook has ended before this task\. Nothing more was started"):
        action._start_nodes(run, ["a"])
    assert not action._wait(run)
    inner: t.Any = SimpleNamespace(goes_together=True)
    starter = Starter(NodeRequest(action._options, action._store, run, "a"), inner, action, alone=False)
    with pytest.raises(AsyncJobError, match="Nothing more was started"):
        next(starter._do(exactly_once.Prepare(record_of(run))))
    assert [*tmp_path.rglob("*")] == []


def test_a_message_of_a_worker_whose_playbook_was_killed(tmp_path: Path) -> None:
    """It is left to whoever goes on with the run, and does not count as one that could not be sent."""
    graph = Graph(define({"a": {}}, notify=[{"on": ["started"], "task": {"ansible.builtin.debug": {}}}]))
    run = with_events(None, {**decide(graph, begun(graph.definition)), "events": []}, "me", "then")
    assert pending(run)
    action = Action(FilesystemStore(str(tmp_path)), exactly_once.Seen())
    action._playbook = 1 << 30
    notifications = Notifications(
        action, action._store, action._options, params={}, directory="/p", inventory=[], definition_hash=run["definition_hash"]
    )
    assert notifications.tick(run) is run
    assert notifications.finish(run) is run
    assert [*tmp_path.rglob("*")] == []


@pytest.mark.parametrize(("callback", "left"), [("awx_display", ""), ("minimal", "minimal")])
def test_the_callback_of_a_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, callback: str, left: str) -> None:
    """It listens to the playbook that the runner has started, and not to those of its nodes. What a user has chosen stays."""
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", callback)
    given = {"files": {}, "environment": {}, "removed": []}
    options = {**dict.fromkeys(("chdir", "creates", "removes", "executable", "stdin", "_raw_params")), "strip_empty_ends": True}
    options.update(argv=["sh", "-c", 'printf %s "$ANSIBLE_STDOUT_CALLBACK"'], expand_argument_vars=True, stdin_add_newline=True)
    said = node.run(given, options=options, directory=str(tmp_path), uses_shell=False, shell="/bin/sh")
    assert (said["rc"], (tmp_path / "stdout").read_text()) == (0, left), said


def test_a_vaulted_parameter() -> None:
    """One that is not secret would be in the run as plain text."""
    encrypted = vault.VaultedValue(ciphertext="$ANSIBLE_VAULT;1.1;AES256").tag("s3cr3t")
    action = ActionModule.__new__(ActionModule)
    definition = define({"a": {}}, params={"key": {}, "hidden": {"secret": True}})
    assert action._values(None, definition, {"params": {"key": "plain", "hidden": "s3cr3t"}}) == ({"key": "plain"}, {"hidden": "s3cr3t"})
    with pytest.raises(AsyncJobError, match=r"params\.key is a vaulted value.*Nothing was started"):
        action._values(None, definition, {"params": {"key": encrypted}})


def ordering(monkeypatch: pytest.MonkeyPatch, failed: Run, mode: str, uuid: str = "task") -> t.Callable[..., t.Callable[[Run], Run]]:
    """Return a worker that gives orders: what makes of a run what its task says, one item after the other."""
    given: Counter[str] = Counter()

    def order(nodes: list[str] | None = None) -> t.Callable[[Run], Run]:
        monkeypatch.setattr(async_workflow_action, "_GIVEN", given)
        action = ActionModule.__new__(ActionModule)
        action._task, action._task_vars, action._playbook = t.cast(t.Any, SimpleNamespace(_uuid=uuid)), {}, os.getpid()
        return action._change(failed, {"mode": mode, "nodes": nodes or ["a"], "reason": "fine"})

    return order


@pytest.fixture
def failed() -> Run:
    """A run of which two nodes have failed."""
    graph = Graph(define({"a": {}, "b": {}}))
    return decide(graph, ended(graph, decide(graph, begun(graph.definition)), a="failed", b="failed"))


def test_one_order_on_several_hosts(monkeypatch: pytest.MonkeyPatch, failed: Run) -> None:
    """A play on all hosts where nodes run: the task of the first one resumes the run, those of the others go on with it, also if somebody
    else has resumed it meanwhile. Another task does not: it wants something that somebody else has begun."""
    resumed = ordering(monkeypatch, failed, "resume")()(failed)
    assert (failed["status"], resumed["status"], resumed["epoch"]) == ("failed", "running", failed["epoch"] + 1)
    late = ordering(monkeypatch, failed, "resume")()
    assert late(resumed) is resumed
    with pytest.raises(AsyncJobError, match=r"is running\. Nothing was changed"):
        ordering(monkeypatch, failed, "resume", "another task")()(resumed)
    others = ordering(monkeypatch, failed, "resume", "another task")()({**failed, "orders": resumed["orders"]})
    assert late(others) is others


@pytest.mark.parametrize("mode", ["resume", "accept"])
def test_orders_of_one_task(monkeypatch: pytest.MonkeyPatch, failed: Run, mode: str) -> None:
    """Each item of a loop, and each try, is an order of its own."""
    worker = ordering(monkeypatch, failed, mode)
    first = worker(["a"])(failed)
    graph = Graph(failed["definition"])
    again = decide(graph, first)
    if mode == "resume":
        again = decide(graph, ended(graph, again, a="failed"))
    assert again["status"] in ("failed", "recovered")
    second = worker(["b"])(again)
    assert second["epoch"] == again["epoch"] + 1
    if mode == "resume":
        third = worker(["b"])(decide(graph, ended(graph, decide(graph, second), b="failed")))
        assert (third["epoch"], len(third["orders"])) == (second["epoch"] + 1, 3)


def test_nothing_is_written_for_an_order_that_was_given(failed: Run) -> None:
    steps = driver.changed(lambda run: run)
    assert isinstance(next(steps), driver.ReadRun)
    with pytest.raises(StopIteration) as stop:
        steps.send((failed, "v"))
    assert stop.value.value is failed


def test_an_approval_of_something_else(tmp_path: Path) -> None:
    """Of another subject, or one that lets whoever asks approve: it does not count, whoever has asked for it before the run did."""
    store = FilesystemStore(str(tmp_path))
    graph = Graph(define({"go": {"approval": "Release 2 goes live"}}))
    run = decide(graph, begun(graph.definition))
    write_run(store, None, run, expect=ABSENT)
    action = Action(store, exactly_once.Seen())
    action._which = ("w", "r")
    action._options["state_dir"] = str(tmp_path)
    options = {option: spec.get("default") for option, spec in async_job_approval.ARGUMENT_SPEC.items()}
    options.update(name="go", playbook_name="w r", state_dir=str(tmp_path))

    def do(mode: str, subject: str, *, allow_self: bool = True) -> None:
        wanted = {**options, "mode": mode, "subject": subject, "allow_self": allow_self}
        async_job_approval.run(wanted, check_mode=False, begun=run["begun"])

    def seen() -> driver.Found:
        return action.look_at_approval(store, run, "go", action._options)

    do("request", "Release 1 goes live")
    do("approve", "Release 1 goes live")
    assert seen() == driver.Found(driver.ABSENT)
    action._ask(run, "go")
    assert seen().said.startswith("awaits approval")
    do("request", "Release 2 goes live")
    assert seen() == driver.Found(driver.ABSENT)
    do("approve", "Release 2 goes live")
    with pytest.raises(AsyncJobError, match=r"go\.json does not count: .*\(allow_self\)\. Nothing was started\. Remove it"):
        seen()


def test_names_of_approvals() -> None:
    """That of a second attempt is nobody else's."""
    [flaw] = flaws(define({"go": {"approval": "Go"}, "go (2)": {"approval": "Go"}}, checked=False))
    assert flaw.text.startswith("node 'go (2)': a later attempt of 'go' asks for an approval of this name.")
    assert not [*flaws(define({"go": {}, "go (2)": {"approval": "Go"}, "stop (2)": {"approval": "Stop"}}))]


@pytest.mark.parametrize(("attempt", "metadata"), [(2, None), (3, None), (1, None), (2, {"note": "mine"})])
def test_what_another_store_has_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: int, metadata: dict[str, t.Any] | None
) -> None:
    """A clone, or a store that was lost: its attempt of the same run and node is not executed once more. One before it is over."""
    graph = Graph(define({"a": {"retries": 1}}))
    run = ended(graph, decide(graph, begun(graph.definition)), a="failed")
    store = FilesystemStore(str(tmp_path))
    action = Action(store, exactly_once.Seen())
    monkeypatch.setattr(action, "is_known_host", lambda _name: True, raising=False)
    inner: t.Any = SimpleNamespace(goes_together=True)
    starter = Starter(NodeRequest(action._options, store, run, "a"), inner, action, alone=False)
    monkeypatch.setattr(starter, "_look_once", lambda _asked: {**UNSEEN, "status": "succeeded"})
    other = record_of(run, attempt=attempt, ansible_job_id=JOB, origin={"host": "host1", "store": "/clone", "who": "bob", "start": "then"})
    if metadata is not None:
        other["metadata"] = metadata
    if attempt < 2 or metadata is not None:
        assert starter._meet(other, "") is None
        return
    with pytest.raises(
        AsyncJobError, match=r"from the store /clone by bob.*has ended \(succeeded\), and attempt 2 of this node.*not executed"
    ):
        starter._meet(other, "")


def test_nobody_tries_for_ever(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has just started is found, with its results file. If it cannot be stopped, the task ends, and says why."""
    store = FilesystemStore(str(tmp_path))
    key = key_of_node(run, "a")
    write_run(store, None, run, expect=ABSENT)
    write_record(store, key, record_of(run), expect=ABSENT)
    monkeypatch.setattr(
        _ansible, "run_action", lambda *_arguments, **_settings: {"failed": True, "msg": "It is root's. Say 'become: true'."}
    )
    action = Action(store, exactly_once.Seen(JOB))
    tries = 0
    while action._wait(run):
        assert tries < 10
        action._stop(run, ["a"])
        tries += 1
    record, _version = read_record(store, key)
    assert record is not None
    assert (record["status"], record["results_file"]) == ("running", f"{DIRECTORY}/{JOB}")
    assert "claim" not in record
    assert action.not_stopped(run) == {"a": "It is root's. Say 'become: true'."}
    assert tries == 3
    assert not action.is_busy(run)


def test_a_node_of_a_host_that_nobody_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, for a while, which begins anew whenever something happens to it. Then it is said who is missing."""
    graph = Graph(define({"a": {"executor": "host2", "timeout": 100}, "b": {"executor": "host2"}}))
    run = decide(graph, begun(graph.definition))
    store = FilesystemStore(str(tmp_path))
    action = Action(store, exactly_once.Seen())
    action._interval, action._approvals_until, action._running = 1.0, None, {}
    monkeypatch.setattr(action, "_sleep", lambda seconds: None)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def waits_after(seconds: float) -> bool:
        now[0] += seconds
        for name in ("a", "b"):
            action._read_job(run, name)
        return action._wait(run)

    found = action._read_job(run, "a")
    assert isinstance(found, driver.Found)
    assert found.said == "waits until a task of this workflow on host2 begins it, for at most 600 seconds (executor_timeout)"
    assert waits_after(0)
    assert waits_after(599)
    assert not waits_after(2)
    assert {*action.given_up} == {"a", "b"}
    assert "no task of this workflow on host2 has begun it for 600 seconds" in action.given_up["a"]
    assert "executor=host2" in action.given_up["a"]
    for status, limit in (("running", 700), ("succeeded", 600)):
        key, version = key_of_node(run, "a"), read_record(store, key_of_node(run, "a"))[1]
        write_record(store, key, record_of(run, status=status, ansible_job_id=JOB), expect=version)
        assert waits_after(1)
        assert {*action.given_up} == {"b"}
        assert waits_after(limit - 2)
        assert not waits_after(5)
        assert f"it is {status} on host2, as last recorded" in action.given_up["a"]


def test_what_the_task_says_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has failed, although the run has not: whoever started it, learns who is missing."""

    class Task(Action, ActionModule):
        """One that prints nothing."""

        def show(self, table: str) -> None:
            """Print nothing."""

    graph = Graph(define({"a": {"executor": "host2"}}))
    run = decide(graph, begun(graph.definition))
    store = FilesystemStore(str(tmp_path))
    write_run(store, None, run, expect=ABSENT)
    action = Task(store, exactly_once.Seen())
    action.has_changed = False
    params = {**action._options, "backend": "filesystem", "state_dir": str(tmp_path)}
    action._left_to_another(run, "a", None, ABSENT)
    answer = action._answer(store, run, params)
    assert (answer["failed"], answer["finished"]) == (False, False)
    assert "It waits for a (on host2)." in answer["msg"]
    later = time.monotonic() + 601
    monkeypatch.setattr(time, "monotonic", lambda: later)
    action._left_to_another(run, "a", None, ABSENT)
    answer = action._answer(store, run, params)
    assert (answer["failed"], answer["finished"]) == (True, False)
    assert "a: no task of this workflow on host2 has begun it for 600 seconds" in answer["msg"]


def test_only_the_attempt_that_was_seen_is_stopped(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was frozen meanwhile stops none of a run that was resumed."""
    store = FilesystemStore(str(tmp_path))
    key = key_of_node(run, "a")
    write_run(store, None, run, expect=ABSENT)
    write_record(store, key, record_of(run, status="running", ansible_job_id=JOB), expect=ABSENT)
    said: dict[str, t.Any] = {}
    monkeypatch.setattr(_ansible, "run_action", lambda *_arguments, **settings: said.update(settings) or {})
    Action(store, exactly_once.Seen())._stop(run, ["a"])
    assert said == {"only_job_id": JOB}
    record, version = read_record(store, key)
    assert record is not None
    other = of_record(key, {**record, "attempt": 2, "ansible_job_id": "j3.4"}, version, {}, "")
    stops = async_job_cancel.ActionModule.__new__(async_job_cancel.ActionModule)
    stops.only_job_id = JOB
    monkeypatch.setattr(stops, "asked", lambda _params: (store, [other]))
    with pytest.raises(AsyncJobError, match=r"attempt 2 \(j3\.4\) has begun meanwhile, and nothing was stopped"):
        stops.work({"jid": None})


def test_a_record_that_is_still_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its run has noted how an attempt has ended, nobody forgets it by a slip: it would be executed once more."""
    graph = Graph(define({"a": {}}))
    run = decide(graph, begun(graph.definition))
    store = FilesystemStore(str(tmp_path))
    version = write_run(store, None, run, expect=ABSENT)
    key = key_of_node(run, "a")
    write_record(store, key, record_of(run, status="succeeded", ansible_job_id=JOB), expect=ABSENT)
    action = async_job_state.ActionModule.__new__(async_job_state.ActionModule)
    monkeypatch.setattr(action, "notify", lambda _line: None)
    options = {option: spec.get("default") for option, spec in async_job_state.ActionModule.spec.items()}
    options.update(key._asdict(), state="absent", state_dir=str(tmp_path))
    with pytest.raises(AsyncJobError, match=r"it belongs to the run 'r' of 'w', which is running\. Nothing was changed\."):
        action._refuse_needed(options)
    write_run(store, run, ended(graph, run, a="succeeded"), expect=version)
    action._refuse_needed(options)


def test_a_cancelled_run_on_several_hosts(tmp_path: Path) -> None:
    """What runs elsewhere is not stopped from here, and that is said."""
    graph = Graph(define({"a": {}, "b": {"executor": "host2"}, "c": {"approval": "Go on"}}))
    run = decide(graph, cancel(decide(graph, begun(graph.definition)), {"who": "ann", "time": "", "reason": ""}))
    assert Action(FilesystemStore(str(tmp_path)), exactly_once.Seen()).left_to_others(run) == {"b": "host2"}


def test_what_is_said_of_them(tmp_path: Path) -> None:
    """Where each is, as far as anybody knows; who has to go on; and in the end, where each was."""

    class Task(Action, ActionModule):
        """One that keeps what it prints."""

        has_changed = False
        shown = ""

        def show(self, table: str) -> None:
            self.shown = table

    graph = Graph(define({"a": {}, "b": {"executor": "host2"}, "c": {"executor": "host2"}, "d": {"executor": "host3"}}))
    run = decide(graph, begun(graph.definition))
    store = FilesystemStore(str(tmp_path))
    run = decide(graph, cancel(run, {"who": "ann", "time": "", "reason": ""}))
    version = write_run(store, None, run, expect=ABSENT)
    for name, status in (("b", "running"), ("c", "succeeded")):
        record = record_of(run, status=status, ansible_job_id=JOB, metadata=mark_of_node(run, name))
        write_record(store, key_of_node(run, name), {**record, **key_of_node(run, name)._asdict()}, expect=ABSENT)
    action = Task(store, exactly_once.Seen())
    params = {**action._options, "backend": "filesystem", "state_dir": str(tmp_path), "mode": "cancel"}
    found = {name: action._read_job(run, name) for name in ("b", "c", "d")}
    assert [one.what for one in found.values()] == [driver.ALIVE, driver.ALIVE, driver.ABSENT]
    after = end(graph, run, driver._outcomes(run, found))
    version = write_run(store, run, after, expect=version)
    answer = action._answer(store, after, params)
    assert (
        "b is on host2 (running, as last recorded): cancel the run there, too (the playbook workflow_cancel: executor=host2)."
        in answer["msg"]
    )
    assert "c is on host2 (succeeded, as last recorded): cancel the run there" in answer["msg"]
    assert "d" not in answer["msg"].partition("It waits for")[2].partition(".")[0]
    over = ended(graph, after, a="cancelled", b="cancelled", c="succeeded")
    over["status"] = "cancelled"
    write_run(store, after, over, expect=version)
    answer = action._cancel_run(store, over, params)  # as a task on each of the hosts does
    assert (answer["failed"], answer["changed"], answer["status"]) == (False, False, "cancelled")
    rows = {name: line for line in action.shown.splitlines() for name in "abcd" if f" {name} " in line and "Path" not in line}
    assert ["on host2" in rows[name] for name in "abc"] == [False, True, True], action.shown
    assert "on host3" not in action.shown  # nothing of it ever was there


def test_nobody_waits_for_others_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is advised then, is to cancel it there."""
    graph = Graph(define({"b": {"executor": "host2"}}))
    run = decide(graph, cancel(decide(graph, begun(graph.definition)), {"who": "ann", "time": "", "reason": ""}))
    action = Action(FilesystemStore(str(tmp_path)), exactly_once.Seen())
    record = record_of(decide(Graph(define({"a": {}})), begun(define({"a": {}}))), status="running", ansible_job_id=JOB)
    action._left_to_another(run, "b", record, "1")
    later = time.monotonic() + 1e6
    monkeypatch.setattr(time, "monotonic", lambda: later)
    action._left_to_another(run, "b", record, "1")
    assert action.given_up["b"].endswith("Cancel the run on host2, too (the playbook workflow_cancel: executor=host2)")


def test_what_is_elsewhere_is_left_alone(tmp_path: Path, run: Run) -> None:
    """Whoever can see it, stops it."""
    action = Action(FilesystemStore(str(tmp_path)), exactly_once.Seen())
    assert action._wait(run)
    action.elsewhere = {"a": "other.example.org"}
    assert not action._wait(run)
