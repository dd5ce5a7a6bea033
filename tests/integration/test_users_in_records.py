# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The users that records name: nobody becomes one of them unless whoever runs the task says so, and none has a name that does things."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from controller import Controller, until
from fleet import CANCEL, JOBS, PRUNE, SHOW, rows
from hosts import Hosts
from plays import ask, job, run_tasks, shell
from records import ago, put

Yaml = dict[str, t.Any]

# What a shell would do with it, when sudo is told to become this user
INJECTION = "root id >/tmp/done; #"

ATTACH: Yaml = {"on_change": "attach"}
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
    jobs: dict[str, Yaml] = {
        "current": {"become_user": INJECTION, "status": "running"},
        "remote": {"remote_user": INJECTION, "status": "failed", "end": ago(days=2)},
        "past": {"status": "failed", "end": ago(days=2), "attempts": [past]},
    }

    def put_all() -> None:
        for name, fields in jobs.items():
            put(controller.state_dir, name, **common, **fields)

    for playbook, *options in (
        (JOBS, "-e", "verify=true"),
        *((SHOW, "-e", f"job={name}", "-e", "verify=true") for name in jobs),
        *((CANCEL, "-e", f"job={name}") for name in jobs),
        (PRUNE, "-e", "older_than=1d", "-e", "apply=true", "-e", "all=true"),
    ):
        put_all()
        controller.playbook(playbook, *options, "-e", "become_recorded_user=true")
    put_all()
    recorded: Yaml = {"become_recorded_user": True}
    start: Yaml = {**recorded, "restart_on": ["lost"], "on_change": "attach"}
    answers = ask(
        controller,
        *(
            task
            for name in jobs
            for task in (
                _task("status", job_name=name, **recorded),
                _task("cancel", job_name=name, **recorded),
                job(shell("echo started >/tmp/started"), name=name, options=start),
            )
        ),
    )
    for number, name in enumerate(jobs):
        variables = {"async_job_load_job_name": name, "async_job_load_become_recorded_user": True}
        loaded = run_tasks(controller, {**LOAD, "vars": {**LOAD["vars"], **variables}})
        if name != "past":
            for answer in answers[3 * number : 3 * number + 3]:
                assert "not the name of a user" in answer["msg"], name
            assert "not the name of a user" in loaded.failed().text, name
    assert [line for line in _became(op) if "id >" in line] == []
    assert op.execute("h1", "sh", "-c", "ls /tmp/done /tmp/started 2>/dev/null || true") == ""


def test_a_record_makes_nobody_become_anybody(op: Hosts, controller: Controller) -> None:
    """Whoever can write to the store chooses no user: not for a look, and not to cancel, to clear, to resolve or to start."""
    directories = {user: f"/home/op/.ansible_async/{32 * letter}" for user, letter in (("root", "a"), ("app", "b"))}
    hints = {
        user: "Say 'become: true' (with a playbook of this collection: -e become=true) to look as root,"
        f" or 'become_recorded_user: true' to look as '{user}'"
        for user in directories
    }

    def put_all(**fields: t.Any) -> list[Path]:
        """Write a job for each user, with their name, and return the files."""
        place = {user: {"attempt_dir": directory, "async_dir": directory} for user, directory in directories.items()}
        return [put(controller.state_dir, user, host="h1", playbook="test", **place[user], become_user=user, **fields) for user in place]

    files = put_all(status="running", start=ago(minutes=5))
    before = [file.read_bytes() for file in files]
    ran = controller.playbook(JOBS, "-e", "verify=true").failed()
    assert [row[3] for row in rows(ran)] == ["running", "running"]
    assert "say -e become=true" in ran.text
    for user, hint in hints.items():
        assert f"and this task works as 'op'. {hint}" in ran.text
        assert hint in controller.playbook(SHOW, "-e", f"job={user}", "-e", "verify=true").text
        assert hint in controller.playbook(CANCEL, "-e", f"job={user}").failed().text
        load = {**LOAD, "vars": {**LOAD["vars"], "async_job_load_job_name": user}}
        assert hint in run_tasks(controller, load).failed().text
    looks: tuple[Yaml, ...] = tuple(
        task
        for user in hints
        for task in (_task("status", job_name=user), _task("cancel", job_name=user), job(shell("true"), name=user, options=ATTACH))
    )
    answers = iter(ask(controller, *looks))
    for hint in hints.values():
        status, cancel, again = next(answers), next(answers), next(answers)
        assert (status["status"], again["status"]) == ("unknown", "unknown")
        for answer in (status, cancel, again):
            assert hint in answer["msg"], answer
    put_all(status="prepared", ansible_job_id="", claim={"id": "x", "who": "eve@there"})
    resolved = ask(controller, *(job(shell("true"), name=user, options={"claim_timeout": 0}) for user in directories))
    for (user, directory), answer in zip(directories.items(), resolved, strict=True):
        assert answer["failed"]
        assert f"Cannot see whether the job was started, in {directory} on h1. The job belongs to the user '{user}'" in answer["msg"]
    put_all(status="failed", start=ago(days=3), end=ago(days=2))
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true", "-e", "all=true").ok()
    for hint, file, content in zip(hints.values(), files, before, strict=True):
        assert hint in ran.text
        assert file.exists()
        assert content != file.read_bytes()  # by us alone
    assert _became(op) == []


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
    assert (again["status"], again["changed"], look["status"]) == ("succeeded", True, "succeeded")
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
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true").ok()
    assert op.execute("h1", "ls", record["attempt_dir"])
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true", "-e", "become=true").ok()
    assert op.execute("h1", "sh", "-c", f"ls -d {record['attempt_dir']} 2>/dev/null || true") == ""
    assert not (controller.state_dir / "h1/test/job.json").exists()
