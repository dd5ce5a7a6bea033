# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told of a run: why a node has failed that has written nothing about that, what nobody has begun, and how to go on."""

from __future__ import annotations

import datetime
import shlex
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from workflows import begun, define, ended

from ansible_collections.rstyczynski.ansible.plugins.action.async_workflow import ActionModule
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval, async_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import Holder, path_of_semaphore, write_semaphore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import Run, key_of_node, mark_of_node
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.shown import changes
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import secrets_in
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._notifications import Notifications
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._workflow_run import _outcome, _step

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
WHY = "job 'a' on host1 has failed with return code 2"


class Action(ActionModule):
    """One that contacts nobody, and keeps what it prints."""

    host = "host1"
    shown = ""

    def __init__(self, store: FilesystemStore) -> None:
        self._options = {option: spec.get("default") for option, spec in async_workflow.ARGUMENT_SPEC.items()}
        self._options.update(backend="filesystem", state_dir=store.locate())
        self._store = store
        self.has_changed = False
        self.elsewhere, self.given_up, self.not_started, self._not_stopped, self._unclear = {}, {}, {}, {}, {}

    def show(self, table: str) -> None:
        self.shown = table

    def rows(self, run: Run, mode: str = "run") -> list[str]:
        """Return the lines that are printed of a run."""
        self._answer(self._store, run, {**self._options, "mode": mode})
        return self.shown.splitlines()


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    return FilesystemStore(str(tmp_path / "state"))


def saved(store: FilesystemStore, run: Run, name: str, **fields: t.Any) -> None:
    """Save the record of a node."""
    key = key_of_node(run, name)
    directory = f"/var/tmp/{'0' * 32}"
    about = {"ansible_job_id": "j1.2", "metadata": mark_of_node(run, name), "attempt": 1, "attempt_dir": directory, "async_dir": directory}
    write_record(store, key, t.cast(t.Any, {**key._asdict(), **about, **fields}), expect=ABSENT)


def why(*secrets: str, known: bool = True, said: t.Any = None, **fields: t.Any) -> str:
    """Return why a node has failed whose record has this result."""
    no_log = {"no_log": True} if fields.pop("no_log", False) else {}
    record: t.Any = {"status": "failed", "reason": WHY, "result": fields, **no_log}
    return _outcome(1, record, said, [*secrets] if known else None).why


_NO_HOSTS = "[WARNING]: Could not match supplied host pattern, ignoring: nobody\n[ERROR]: --limit leaves us with no hosts to target.\n"
_NO_YAML = "ERROR! conflicting action statements\n\nThe offending line appears to be:\n\n  - copy:\n    ^ here\n"


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ({"stderr": "on its way\nthe reason\n\n---\n", "stdout": "fine"}, "the reason"),
        ({"stderr": "", "stdout": "a\nno space left\n", "msg": "non-zero return code"}, "no space left"),
        ({"stderr": "[WARNING]: old\n", "stdout": "no space left"}, "no space left"),
        (
            {"stderr": "", "stdout": "", "msg": "[Errno 2] No such file or directory: 'ansible-playbook'"},
            "[Errno 2] No such file or directory: ",
        ),
        ({"stderr": _NO_HOSTS}, "--limit leaves us with no hosts to target"),
        ({"stderr": _NO_YAML, "stdout": "PLAY"}, "conflicting action statements"),
        ({"stderr": "\x1b]0;title\x07bad \x1b[31mnews"}, "bad news"),
    ],
)
def test_why_a_node_has_failed_that_says_nothing_itself(result: dict[str, t.Any], line: str) -> None:
    """By the last line that says something, and in words that no terminal obeys."""
    assert why(**result).startswith(f"{WHY}: {line}")


def test_what_is_not_said() -> None:
    """Nothing of what nobody may read, nothing without end, and nothing twice."""
    assert why(stderr="it is s3cr3t", no_log=True) == WHY
    assert why(known=False, stderr="it is s3cr3t") == WHY  # whoever goes on without the secret parameters
    assert why("s3cr3t", stderr="it is s3cr3t") == f"{WHY}: it is ********"
    for size in (280, 290, 300):  # what it says is cut to 300 characters, and a secret is not
        assert "r3t" not in why("a s3cr3t key", stderr="a s3cr3t key" + "x" * size)
    assert why("hunter22", "er22-prod", stderr="no: hunter22-prod") == f"{WHY}: no: ********"
    assert why("s3cr3t", stderr="s3cr3t, and s3cr3t") == f"{WHY}: ********, and ********"
    assert why("a\ttab", stderr="it is a\ttab") == f"{WHY}: it is ********"
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----\n"
    assert why(*secrets_in([key]), stderr=f"bad key: {key.splitlines()[1]}") == f"{WHY}: bad key: ********"
    assert why(stderr="", stdout="", msg="non-zero return code") == WHY
    assert len(why(stderr="x" * 4000)) < 400
    problem = {"host": "web1", "task": "Copy", "msg": "no space"}
    report = {"ended": True, "failed": True, "problems": [problem]}
    assert why(said={"report": report}, stderr="the reason") == "web1: Copy: no space"
    problem["msg"] = "It has failed."
    assert why(said={"report": report}) == "web1: Copy: It has failed"  # sentences go on behind that
    progress = {"current": 1, "total": 2, "text": "log in with s3cr3t"}
    assert _step(progress, is_secret=True) == ", task 1 of 2 (50 %)"
    assert _step(progress, is_secret=False) == ", task 1 of 2 (50 %): log in with s3cr3t"


def test_how_to_see_all_of_it(store: FilesystemStore) -> None:
    """The command names the job, its run, and the store, by variables that the playbook takes. Of what no job has said, there is none."""
    graph = Graph(define({"a": {}, "b": {}, "ask": {"approval": "Go"}}))
    run = decide(graph, begun(graph.definition))
    version = write_run(store, None, run, expect=ABSENT)
    over = ended(graph, run, a="failed", b="failed", ask="rejected")
    write_run(store, run, over, expect=version)
    [line] = [line for line in Action(store).rows(over) if line.startswith("All that")]
    assert line.startswith(
        "All that a has said (and so for 1 more, with their names as job): ansible-playbook rstyczynski.ansible.show -e "
    )
    words = shlex.split(line.partition(": ")[2])
    given = yaml.safe_load(words[-1])
    assert given == {"playbook": "w r", "job": "a", "async_job_backend": "filesystem", "async_job_state_dir": store.locate()}
    takes = yaml.safe_load((PLAYBOOKS / "show.yml").read_text())[0]["vars"]
    assert {name for name in given if not name.startswith("async_job_")} <= {*takes}
    graph = Graph(define({"ask": {"approval": "Go"}}))
    run = {**decide(graph, begun(graph.definition)), "run": "s"}
    write_run(store, None, run, expect=ABSENT)
    assert not [line for line in Action(store).rows(run, "show") if line.startswith("All that")]


def test_what_nobody_has_begun(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is due, and does not run: it waits for a semaphore, for whoever starts it, or for anybody."""
    semaphore = {"name": "db", "at_most": 1}
    nodes: dict[str, t.Any] = {name: {"semaphore": semaphore} for name in ("runs", "waits", "full")}
    nodes.update(nobody={}, starts={}, broken={}, each={"for_each": [1, 2]}, far={"executor": "host2"})
    graph = Graph(define(nodes))
    run = decide(graph, begun(graph.definition))
    write_run(store, None, run, expect=ABSENT)
    assert {"full: is due", "nobody: begins"} <= {*changes(begun(graph.definition), run)}
    saved(store, run, "runs", status="running")
    saved(store, run, "waits", status="starting", ansible_job_id="", reason="'db' has no slot", claim={"who": "me@ctl", "waits": True})
    saved(store, run, "starts", status="starting", ansible_job_id="", claim={"who": "me@ctl"})
    holder = Holder(*key_of_node(run, "runs"), "0" * 32, 1, 1, "me@ctl", "2026-07-01T12:00:00Z")
    write_semaphore(store, "db", (holder,), expect=ABSENT)
    action = Action(store)
    action.not_started["broken", 1] = ["no place"] * 3
    begin = datetime.datetime.fromisoformat(run["started"].replace("Z", "+00:00")).timestamp()
    monkeypatch.setattr(time, "time", lambda: begin)  # however slow the machine is
    lines = action.rows(run)
    said = {
        line[6:].split()[1]: " ".join(word for word in line[6:].split()[2:] if word != "0s")
        for line in lines[2:]
        if line[6:7] in ("\u25b6", "\u00b7", " ")
    }
    assert said["runs"].startswith("running")
    assert said["waits"] == "due waits: 'db' has no slot"
    assert said["full"] == "due waits for the semaphore 'db', of which 1 of 1 slots are taken, as last recorded"
    assert said["nobody"] == "due nobody has begun it"
    assert said["starts"] == "due is being started by me@ctl"
    assert said["broken"] == "due could not be started"
    assert said["each"] == "due 0 of 2 items have ended"
    assert said["each[1]"] == "due nobody has begun it"
    assert said["far"] == "due on host2, nobody has begun it"
    [path] = [line for line in lines if line.startswith("Path: ")]
    assert path.startswith("Path: runs (running), waits (due), ")
    store.write(path_of_semaphore("db"), b"none")
    assert next(line for line in action.rows(run, "show") if " full " in line).endswith("nobody has begun it")
    saved(store, run, "each[1]", status="running")
    assert "\u25b6 each " in "\n".join(action.rows(run))


def test_the_command_that_goes_on(store: FilesystemStore) -> None:
    """Wherever it is pasted, it is the same file with the same inventory on the same hosts."""
    graph = Graph(define({"a": {}}, notify=[{"on": "failed", "task": {"ansible.builtin.debug": {}}}]))
    action = Action(store)
    options = {**action._options, "file": "sub/wf.yml", "workflow": "w"}
    places = ["/x/my inventory", "web1,"]
    notifications = Notifications(action, store, options, params={}, directory="/x/sub", inventory=places, definition_hash="")
    words = shlex.split(notifications._goes_on(begun(graph.definition)))
    assert words[:6] == ["ansible-playbook", "rstyczynski.ansible.workflow", "-i", "/x/my inventory", "-i", "web1,"]
    given = dict(word.split("=") for word in words[7::2])
    assert given == {
        **{"file": "/x/sub/wf.yml", "run": "r", "workflow": "w", "executor": "host1"},
        **{"async_job_backend": "filesystem", "async_job_state_dir": store.locate()},
    }
    takes = yaml.safe_load((PLAYBOOKS / "workflow.yml").read_text())[0]["vars"]
    assert {name for name in given if not name.startswith("async_job_")} <= {*takes}
    local = {**begun(graph.definition), "executor": "localhost"}
    assert "executor=" not in notifications._goes_on(local)


def test_a_failed_notification_is_told_of_once(store: FilesystemStore) -> None:
    """By whoever has sent it, when it is sent; and by whoever shows the run."""
    graph = Graph(define({"a": {}}, notify=[{"on": "failed", "task": {"ansible.builtin.debug": {}}}]))
    run = {**ended(graph, decide(graph, begun(graph.definition)), a="failed"), "notified": {"failed t, 1": "no route"}}
    write_run(store, None, run, expect=ABSENT)
    action = Action(store)
    answer = action._answer(store, run, {**action._options, "mode": "run"})
    assert "no route" not in action.shown
    assert "no route" not in str(answer["warnings"])
    assert answer["notified"] == run["notified"]
    assert action.rows(run, "show").count("Notification failed t, 1: no route") == 1


def test_whoever_may_be_the_same_person(tmp_path: Path) -> None:
    """Somebody has asked, and somebody else may be them: that is said, and not that they have asked."""
    asked: t.Any = {option: spec.get("default") for option, spec in async_job_approval.ARGUMENT_SPEC.items()}
    asked.update(backend="filesystem", state_dir=str(tmp_path), name="q", playbook_name="w r", subject="Go")
    async_job_approval.run({**asked, "mode": "request"}, check_mode=False)
    with pytest.raises(AsyncJobError) as caught:
        async_job_approval.run({**asked, "mode": "approve", "by": "bob"}, check_mode=False)
    said = str(caught.value)
    assert not said.startswith("bob")
    assert "bob (as " in said
    assert "may be the same person, who may not approve it too" in said
    with pytest.raises(AsyncJobError, match=r"^\S+@\S+ has asked for the approval 'q' .*, and may not approve it too\."):
        async_job_approval.run({**asked, "mode": "approve"}, check_mode=False)


def test_a_run_that_has_failed_ends_the_playbook_with_a_sentence() -> None:
    """Not with all that the module returns: the task does not fail, and the last one does, after whoever has started it was told."""
    [play] = yaml.safe_load((PLAYBOOKS / "workflow.yml").read_text())
    tasks = {next(name for name in task if "." in name): task for task in play["tasks"]}
    assert tasks["rstyczynski.ansible.async_workflow"]["failed_when"] is False
    assert [*tasks][-2:] == ["ansible.builtin.set_stats", "ansible.builtin.fail"]
    assert "driven.problem" in tasks["ansible.builtin.fail"]["ansible.builtin.fail"]["msg"]
