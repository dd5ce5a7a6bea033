# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users that records name: nobody becomes one of them unless whoever runs the task says so, and none has a name that does things."""

from __future__ import annotations

import typing as t

import pytest
from controller import Controller, until
from fleet import CANCEL, JOBS, PRUNE, SHOW, rows
from hosts import Hosts
from plays import ask, job, run_tasks, shell
from records import ago, put

Yaml = dict[str, t.Any]

# What a shell would do with it, when sudo is told to become this user
INJECTION = "root id >/tmp/done; #"

LOAD: Yaml = {
    "ansible.builtin.include_role": {"name": "rstyczynski.ansible.async_job_load"},
    "vars": {"async_job_load_job_name": "job", "async_job_load_verify": True},
}


def _task(module: str, **options: t.Any) -> Yaml:
    return {f"rstyczynski.ansible.async_job_{module}": {"job_name": "job", **options}}


@pytest.fixture
def op(hosts: Hosts, controller: Controller) -> Hosts:
    """Hosts where op logs in, and where /tmp/became tells who became whom by sudo."""
    marking = '#!/bin/sh\\necho "$*" >>/tmp/became\\nexec sudo "$@"\\n'
    for host in hosts.names:
        hosts.execute(host, "sh", "-c", f"printf '{marking}' >/usr/local/bin/marking; chmod 755 /usr/local/bin/marking")
    lines = hosts.inventory_lines("op")
    controller.hosts(*(f"{line} ansible_become_exe=/usr/local/bin/marking" for line in lines[:1]))
    return hosts


def _became(hosts: Hosts) -> list[str]:
    return hosts.execute("h1", "sh", "-c", "cat /tmp/became 2>/dev/null; rm -f /tmp/became").splitlines()


def _job_of_app(hosts: Hosts, controller: Controller, command: str, **options: t.Any) -> Yaml:
    """Start a job of app, as a play says that has become for its task, and return its record."""
    task = job(shell(command), options=options, become=True, become_user="app")
    [answer] = ask(controller, task)
    assert not answer["failed"], answer
    _became(hosts)
    return controller.record("job", host="h1")


def test_a_name_that_does_things(op: Hosts, controller: Controller) -> None:
    """It does nothing, in the current attempt and in a past one, whoever reads it and whatever they may become."""
    common: Yaml = {"host": "h1", "playbook": "test", "start": ago(days=3)}
    past = {"attempt": 1, "ansible_job_id": "j2.2", "become_user": INJECTION, "async_dir": "/tmp"}
    for fields in (
        {"become_user": INJECTION, "status": "running"},
        {"remote_user": INJECTION, "status": "failed", "end": ago(days=2)},
        {"status": "failed", "end": ago(days=2), "attempts": [past]},
    ):
        for playbook, options in (
            (JOBS, ["-e", "verify=true"]),
            (SHOW, ["-e", "job=job", "-e", "verify=true"]),
            (CANCEL, ["-e", "job=job"]),
            (PRUNE, ["-e", "older_than=1d", "-e", "apply=true"]),
        ):
            put(controller.state_dir, "job", **common, **fields)
            controller.playbook(playbook, *options, "-e", "become_recorded_user=true")
        put(controller.state_dir, "job", **common, **fields)
        answers = ask(
            controller,
            *(_task(module, become_recorded_user=True) for module in ("status", "cancel")),
            job(shell("echo started >/tmp/started"), options={"become_recorded_user": True, "restart_on": ["lost"], "on_change": "attach"}),
        )
        load = {**LOAD, "vars": {**LOAD["vars"], "async_job_load_become_recorded_user": True}}
        loaded = run_tasks(controller, load)
        if "attempts" not in fields:
            for answer in answers:
                assert "not the name of a user" in answer["msg"]
            assert "not the name of a user" in loaded.failed().text
    assert [line for line in _became(op) if "id >" in line] == []
    assert op.execute("h1", "sh", "-c", "ls /tmp/done /tmp/started 2>/dev/null || true") == ""


@pytest.mark.parametrize("user", ["root", "app"])
def test_a_record_makes_nobody_become_anybody(op: Hosts, controller: Controller, user: str) -> None:
    """Whoever can write to the store chooses no user: not for a look, and not to cancel, to clear, to resolve or to start."""
    directory = "/home/op/.ansible_async/" + 32 * "a"
    place: Yaml = {"host": "h1", "playbook": "test", "attempt_dir": directory, "async_dir": directory, "become_user": user}
    file = put(controller.state_dir, "job", **place, status="running", start=ago(minutes=5))
    before = file.read_bytes()
    hint = (
        "Say 'become: true' (with a playbook of this collection: -e become=true) to look as root,"
        f" or 'become_recorded_user: true' to look as '{user}'"
    )
    ran = controller.playbook(JOBS, "-e", "verify=true").failed()
    assert [row[3] for row in rows(ran)] == ["running"]
    assert f"and this task works as 'op'. {hint}" in ran.text
    assert "say -e become=true" in ran.text
    assert hint in controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true").text
    assert hint in controller.playbook(CANCEL, "-e", "job=job").failed().text
    status, cancel, again = ask(controller, _task("status"), _task("cancel"), job(shell("true"), options={"on_change": "attach"}))
    assert hint in run_tasks(controller, LOAD).failed().text
    assert (status["status"], again["status"]) == ("unknown", "unknown")
    for answer in (status, cancel, again):
        assert hint in answer["msg"], answer
    put(controller.state_dir, "job", **place, status="prepared", ansible_job_id="", claim={"id": "x", "who": "eve@there"})
    [resolved] = ask(controller, job(shell("true"), options={"claim_timeout": 0}))
    assert resolved["failed"]
    assert f"Cannot see whether the job was started, in {directory} on h1. The job belongs to the user '{user}'" in resolved["msg"]
    put(controller.state_dir, "job", **place, status="failed", start=ago(days=3), end=ago(days=2))
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true").ok()
    assert hint in ran.text
    assert file.exists()
    assert _became(op) == []
    assert before != file.read_bytes()  # by us alone


def test_looks_with_rights(op: Hosts, controller: Controller) -> None:
    """The task's own become comes first; root sees everything; and with the option, the user of the record is become for the look alone."""
    record = _job_of_app(op, controller, "id -un >>/tmp/ran; echo done")
    results = f"{record['attempt_dir']}/result"
    until(lambda: op.execute("h1", "sh", "-c", f"cat {results} 2>/dev/null || true"))
    file = controller.state_dir / "h1/test/job.json"
    running = file.read_bytes()
    assert controller.playbook(JOBS, "-e", "verify=true").failed()
    assert file.read_bytes() == running
    assert _became(op) == []
    for options, becomes in (
        (["-e", "become=true"], "-u root"),
        (["--become", "--become-user", "app"], "-u app"),
        (["-e", "become_recorded_user=true"], "-u app"),
    ):
        file.write_bytes(running)
        ran = controller.playbook(JOBS, "-e", "verify=true", *options).ok()
        assert [row[3] for row in rows(ran)] == ["succeeded"], options
        used = _became(op)
        assert used, options
        assert all(becomes in line for line in used), used
    file.write_bytes(running)
    as_app: Yaml = {"become": True, "become_user": "app"}
    same = {**job(shell("id -un >>/tmp/ran; echo done")), **as_app}
    again, look = ask(controller, same, {**_task("status"), **as_app})
    assert (again["status"], again["changed"], look["status"]) == ("succeeded", False, "succeeded")
    assert all("-u app" in line for line in _became(op))
    assert op.execute("h1", "cat", "/tmp/ran").split() == ["app"]


def test_a_new_attempt_is_the_task_s(op: Hosts, controller: Controller) -> None:
    """The option lets async_job see that an attempt of app has ended, and cleans up there. The next one runs as the user of the task."""
    command = "id -un >>/tmp/ran; chmod 666 /tmp/ran; test -e /tmp/well"
    record = _job_of_app(op, controller, command)
    until(lambda: op.execute("h1", "sh", "-c", f"cat {record['attempt_dir']}/result 2>/dev/null || true"))
    op.execute("h1", "touch", "/tmp/well")
    options: Yaml = {"restart_on": ["failed", "lost"], "on_change": "attach"}
    [blind] = ask(controller, job(shell(command), options=options, poll=0))
    assert (blind["status"], blind["changed"]) == ("unknown", False)
    assert op.execute("h1", "cat", "/tmp/ran").split() == ["app"]
    assert _became(op) == []
    [seeing] = ask(controller, job(shell(command), options={**options, "become_recorded_user": True}, poll=1))
    assert (seeing["status"], seeing["attempt"], seeing["record"].get("become_user")) == ("succeeded", 2, None), seeing
    assert op.execute("h1", "cat", "/tmp/ran").split() == ["app", "op"]
    assert all("-u app" in line for line in _became(op))


def test_cancel_and_prune_with_rights(op: Hosts, controller: Controller) -> None:
    record = _job_of_app(op, controller, "exec sleep 600")
    ran = controller.playbook(CANCEL, "-e", "job=job").failed()
    assert "Nothing was stopped" in ran.text
    assert "-e become=true" in ran.text
    assert _became(op) == []
    controller.playbook(CANCEL, "-e", "job=job", "-e", "become_recorded_user=true").ok()
    assert controller.record("job", host="h1")["status"] == "cancelled"
    assert "sleep 600" not in op.execute("h1", "ps", "-e", "-o", "args=")
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").ok()
    assert op.execute("h1", "ls", record["attempt_dir"])
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "become=true").ok()
    assert op.execute("h1", "sh", "-c", f"ls -d {record['attempt_dir']} 2>/dev/null || true") == ""
    assert not (controller.state_dir / "h1/test/job.json").exists()
