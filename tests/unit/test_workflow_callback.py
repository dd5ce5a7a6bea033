# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback of a node writes, and whose it is."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.rstyczynski.ansible.plugins.callback.async_workflow_node import CallbackModule


class Vaulted(str):
    """A text that is encrypted where it comes from."""

    _ciphertext = "$ANSIBLE_VAULT;1.1;AES256\n3132"


VARIABLES = {"token": Vaulted("v4ult"), "short": {"in": [Vaulted("no")]}}


@pytest.fixture
def callback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CallbackModule:
    """One whose playbook has an encrypted variable."""
    monkeypatch.setenv("ASYNC_WORKFLOW_NODE_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("ASYNC_WORKFLOW_SECRET_PARAMS", "pin,key")
    for method in ("_handle_exception", "_handle_warnings"):
        monkeypatch.setattr(CallbackBase, method, getattr(CallbackBase, method))
    made = CallbackModule()
    made._variables = lambda _host, _task: {"token": VARIABLES["token"]}
    return made


def result(said: dict[str, t.Any], action: str = "set_stats", *, data: t.Any = None) -> t.Any:
    """Return what a task has said."""
    task = SimpleNamespace(action=action, args={"data": data}, no_log=False, register=None, _uuid="1", get_name=lambda: "a task")
    return SimpleNamespace(task=task, host=SimpleNamespace(get_name=lambda: "web1"), result=said)


def written(callback: CallbackModule, values: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the report at the end, with these values in what Ansible has gathered."""
    stats = SimpleNamespace(processed={"web1": 1}, custom={"_run": values}, summarize=lambda _host: {"failures": 1, "unreachable": 0})
    callback.v2_playbook_on_stats(stats)
    report: dict[str, t.Any] = json.loads(Path(callback._directory, "node.json").read_text())
    return report


def test_what_a_task_of_it_starts_is_another_playbook(callback: CallbackModule, tmp_path: Path) -> None:
    """Its end is not that of the node: if that is killed then, nobody takes it for a success."""
    assert not callback.disabled
    assert "ASYNC_WORKFLOW_NODE_DIRECTORY" not in os.environ
    inner = CallbackModule()
    assert inner.disabled
    assert not [*tmp_path.iterdir()]


def test_what_a_task_of_it_leaves_behind_is_not_that_attempt(callback: CallbackModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """ARA would call it expired, once the attempt has ended. That of the node is: ARA has read its labels before a playbook begins."""
    monkeypatch.setenv("ARA_DEFAULT_LABELS", "mine,workflow:w,run:r,node:n,attempt:0123")
    callback.v2_playbook_on_start(SimpleNamespace(get_plays=list))
    assert os.environ["ARA_DEFAULT_LABELS"] == "mine,workflow:w,run:r,node:n"


def progress_of(callback: CallbackModule, monkeypatch: pytest.MonkeyPatch, begins: int, *actions: str, **play: t.Any) -> list[str]:
    """Return how far it says that a playbook is, of which so many tasks begin."""
    said: list[str] = []
    monkeypatch.setattr(callback, "_display", SimpleNamespace(display=said.append))
    tasks = [SimpleNamespace(action=action, get_name=lambda: "a task", get_ds=dict) for action in actions]
    block = SimpleNamespace(block=tasks, rescue=[], always=[])
    callback.v2_playbook_on_start(SimpleNamespace(get_plays=lambda: [SimpleNamespace(compile=lambda: [block], **play)]))
    for _number in range(begins):
        callback.v2_playbook_on_task_start(tasks[0], False)
    return [line.split()[1] for line in said]


def test_how_far_it_is(callback: CallbackModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers come on top: then, nobody knows any more of how many."""
    assert progress_of(callback, monkeypatch, 3, "debug", "meta", "debug") == ["1/2", "2/2", "3/0"]


@pytest.mark.parametrize(
    ("actions", "play"),
    [
        (["debug"], {"serial": [1]}),
        (["debug"], {"strategy": "ansible.builtin.free"}),
        (["debug", "ansible.builtin.include_tasks"], {}),
        (["debug", "include_role"], {"strategy": "linear", "serial": []}),
    ],
)
def test_where_nobody_knows_of_how_many(
    callback: CallbackModule, monkeypatch: pytest.MonkeyPatch, actions: list[str], play: dict[str, t.Any]
) -> None:
    """For the next hosts, its tasks begin once more."""
    assert progress_of(callback, monkeypatch, 2, *actions, **play) == ["1/0", "2/0"]


def test_where_tags_leave_tasks_out(callback: CallbackModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", {"tags": ["now"], "skip_tags": []})
    assert progress_of(callback, monkeypatch, 1, "debug") == ["1/0"]
    monkeypatch.setattr(context, "CLIARGS", {"tags": ["all"], "skip_tags": ()})
    callback._current = 0
    assert progress_of(callback, monkeypatch, 1, "debug") == ["1/1"]


def test_what_was_decrypted_on_its_way(callback: CallbackModule) -> None:
    """In a loop, and by whatever variable: it is known by its name only."""
    looped = {"ansible_stats": {"data": {"looped": "v4ult"}}}
    callback.v2_runner_on_ok(result({"results": [looped, {"skipped": True}]}, data={"looped": "{{ item }}"}))
    callback.v2_runner_on_ok(
        result({"ansible_stats": {"data": {"by_fact": {"url": ["https://me:v4ult@x"]}}}}, data={"by_fact": "{{ fact }}"})
    )
    callback.v2_runner_on_ok(result({"ansible_stats": {"data": {"plain": "no secret"}}}, data={"plain": "no secret"}))
    callback.v2_runner_on_ok(result({"results": [{"_ansible_no_log": True}]}, data={"hidden": "{{ item }}"}))
    report = written(callback, {"looped": "v4ult", "by_fact": {"url": ["https://me:v4ult@x"]}, "plain": "no secret", "hidden": "s3cr3t"})
    assert report["artifacts"] == {"plain": {"value": "no secret"}}
    assert report["secret"] == ["by_fact", "hidden", "looped"]


def test_what_is_short(callback: CallbackModule) -> None:
    """Half of a text is no secret because another one is called so; all of it is."""
    callback._variables = lambda _host, _task: VARIABLES["short"]
    callback.v2_runner_on_ok(
        result({"ansible_stats": {"data": {"part": "nothing", "whole": ["no"]}}}, data={"part": "x", "whole": "{{ x }}"})
    )
    assert written(callback, {"part": "nothing", "whole": ["no"]})["artifacts"] == {"part": {"value": "nothing"}}


def test_secret_parameters(callback: CallbackModule) -> None:
    """What holds one is known by its name only, also in a file that nobody but its user can read."""
    assert "ASYNC_WORKFLOW_SECRET_PARAMS" not in os.environ
    callback._variables = lambda _host, _task: {"pin": 4711, "key": {"a": "s3cr3t"}, "other": "fine"}
    data = {"url": "https://me:s3cr3t@x", "pin_too": [4711], "plain": "fine"}
    callback.v2_runner_on_ok(result({"ansible_stats": {"data": data}}, data={name: "{{ x }}" for name in data}))
    callback.v2_runner_on_failed(result({"msg": "s3cr3t is wrong"}, "ansible.builtin.fail"))
    report = written(callback, data)
    assert (report["artifacts"], report["secret"]) == ({"plain": {"value": "fine"}}, ["pin_too", "url"])
    assert report["problems"][0]["msg"] == "******** is wrong"


@pytest.mark.parametrize("hidden", [True, False])
def test_why_a_task_has_failed_is_printed_unless_that_is_secret(callback: CallbackModule, hidden: bool) -> None:
    """Whichever callback writes the output."""
    printed: list[str] = []
    another = CallbackBase()
    another._display = t.cast(t.Any, SimpleNamespace(verbosity=3, display=lambda text, **_more: printed.append(text)))
    another._display._error = lambda error, **_more: printed.append(error)
    another._current_task_result = t.cast(t.Any, SimpleNamespace(exception="s3cr3t"))
    said = {"exception": "s3cr3t", **({"censored": "no_log"} if hidden else {})}
    another._handle_exception(said)
    assert (["s3cr3t" in text for text in printed], said.pop("censored", "")) == ([] if hidden else [True], "no_log" if hidden else "")
    assert said == {}


def test_messages(callback: CallbackModule) -> None:
    """What is encrypted in them is not said."""
    callback.v2_runner_on_failed(result({"msg": "no such user: me:v4ult"}, "ansible.builtin.fail"))
    assert written(callback, {})["problems"] == [{"host": "web1", "task": "a task", "msg": "no such user: me:********"}]


def test_what_a_secret_task_warns_of_is_not_printed(callback: CallbackModule) -> None:
    """Whichever callback writes the output."""
    printed: list[t.Any] = []
    another = CallbackBase()

    def note(text: t.Any = None, **more: t.Any) -> None:
        printed.append((text, more))

    another._display = t.cast(t.Any, SimpleNamespace(warning=note, deprecated=note, _warning=note, _deprecated=note))
    another._current_task_result = t.cast(t.Any, SimpleNamespace(warnings=["s3cr3t"], deprecations=["s3cr3t"]))
    said: dict[str, t.Any] = {"censored": "no_log", "warnings": ["s3cr3t"], "deprecations": [{"msg": "s3cr3t"}]}
    another._handle_warnings(said)
    assert (printed, said) == ([], {"censored": "no_log"})
    another._handle_warnings({"warnings": ["s3cr3t"], "deprecations": [{"msg": "s3cr3t"}]})
    assert len(printed) == 2


def test_a_secret_that_begins_with_another_one(callback: CallbackModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is left, also where a text in JSON has it, in the name of a task that begins, and in that of a host."""
    callback._variables = lambda _host, _task: {"pin": "hunter", "key": 'hunter22-"prod"'}
    shown: list[str] = []
    monkeypatch.setattr(callback, "_display", SimpleNamespace(display=shown.append))
    begins = SimpleNamespace(action="debug", get_name=lambda: 'use hunter22-"prod"', get_ds=dict)
    callback.v2_playbook_on_task_start(begins, False)
    assert shown == ["PROGRESS 1/0 use ********"]
    failed = result({"msg": 'no: hunter22-"prod", ' + json.dumps(['hunter22-"prod"'])}, "ansible.builtin.fail")
    failed.host = SimpleNamespace(get_name=lambda: "db-hunter")
    callback.v2_runner_on_failed(failed)
    stats = SimpleNamespace(processed={"db-hunter": 1}, custom={}, summarize=lambda _host: {"failures": 1, "unreachable": 0})
    callback.v2_playbook_on_stats(stats)
    report = json.loads(Path(callback._directory, "node.json").read_text())
    assert report["problems"] == [{"host": "db-********", "task": "a task", "msg": 'no: ********, ["********"]'}]
    assert list(report["counts"]) == ["db-********"]


def test_secrets_that_overlap_and_lines_of_one(callback: CallbackModule) -> None:
    """Nothing is left of either; and what quotes a key quotes one line of it."""
    callback._variables = lambda _host, _task: {"pin": "hunter22", "key": "er22-prod\n  a line of a key\n"}
    for msg in ("no: hunter22-prod", "no: a line of a key"):
        callback.v2_runner_on_failed(result({"msg": msg}, "ansible.builtin.fail"))
    assert [problem["msg"] for problem in callback._problems] == ["no: ********"] * 2
    assert callback._masked("hunter22, and hunter22") == "********, and ********"


def test_a_name_with_what_a_host_has(callback: CallbackModule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible fills in what the first host has that is left, and does not say which one that is."""
    of_hosts = {"web1": {"token": "none"}, "web2": {"token": Vaulted("of-web2")}}
    searched: list[str] = []

    def raw_get(host: str) -> dict[str, str]:
        searched.append(host)
        return of_hosts[host]

    of_play = {"hostvars": SimpleNamespace(raw_get=raw_get), "ansible_play_hosts_all": [*of_hosts]}
    manager = SimpleNamespace(get_vars=lambda **_which: of_play)
    callback.v2_playbook_on_play_start(SimpleNamespace(get_variable_manager=lambda: manager))
    shown: list[str] = []
    monkeypatch.setattr(callback, "_display", SimpleNamespace(display=shown.append))
    for name, written_name in (("use nothing", "use nothing"), ("use of-web2", "use {{ token }}"), ("use of-web2", "use {{ token }}")):
        callback.v2_playbook_on_task_start(
            SimpleNamespace(action="debug", get_name=lambda name=name: name, get_ds=lambda name=written_name: {"name": name}), False
        )
    assert [line.split(" ", 2)[2] for line in shown] == ["use nothing", "use ********", "use ********"]
    assert sorted(searched) == ["web1", "web2"]
    late = Vaulted("0f-web1")
    late._ciphertext = "$ANSIBLE_VAULT;1.1;AES256\n3133"
    of_hosts["web1"] = {"late": late}
    some = result({"ansible_facts": {}}, "ansible.builtin.include_vars")
    some.host = SimpleNamespace(get_name=lambda: "web1")
    callback.v2_runner_on_ok(some)
    callback.v2_playbook_on_task_start(
        SimpleNamespace(action="debug", get_name=lambda: "use 0f-web1", get_ds=lambda: {"name": "use {{ late }}"}), False
    )
    assert shown[-1].endswith(" use ********")
    assert sorted(searched) == ["web1", "web1", "web2"]
