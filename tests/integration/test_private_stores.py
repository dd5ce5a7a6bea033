# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every command says of a store that others can write to, a store that a team shares, and what nobody else may read: endpoints,
caches.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from controller import Controller, Ran
from plays import ask, job, shell
from records import put

COLLECTION = "rstyczynski.ansible"

TASKS: list[dict[str, t.Any]] = [
    {f"{COLLECTION}.async_job_info": {"job_name": "backup"}},
    {f"{COLLECTION}.async_job_info": {}},
    {f"{COLLECTION}.async_job_state": {"job_name": "other", "ansible_job_id": "j1.2"}},
    {f"{COLLECTION}.async_job_show": {}},
    {f"{COLLECTION}.async_job_report": {"dest": "report.html"}},
    {f"{COLLECTION}.async_job_verify": {}},
    {f"{COLLECTION}.async_job_prune": {"older_than": "1d"}},
    {f"{COLLECTION}.async_job_approval": {"name": "gate", "mode": "request", "subject": "go on"}},
    {f"{COLLECTION}.async_job_copy": {"source": {"state_dir": ".ansible_async_state"}, "state_dir": "copied"}},
    {f"{COLLECTION}.async_job_sign": {"record_key_file": "keys"}, "check_mode": True},
    job(shell("true"), name="durable", poll=1),
    {f"{COLLECTION}.async_job_status": {"job_name": "durable"}},
    {f"{COLLECTION}.async_job_cancel": {"job_name": "durable"}},
]


@pytest.mark.parametrize("where", ["store", "above"])
def test_every_task_warns_of_what_others_can_write_to(controller: Controller, where: str) -> None:
    """Of the store itself, and of a directory above it."""
    put(controller.state_dir, "backup", host="host1", playbook="test", status="succeeded")
    controller.write("keys", "k" * 32 + "\n").chmod(0o600)
    controller.state_dir.chmod(0o700)
    directory = controller.state_dir if where == "store" else controller.project
    directory.chmod(0o777)
    answers = ask(controller, *TASKS)
    for task, answer in zip(TASKS, answers, strict=True):
        assert f"Other users can write to {directory} (mode 0777)" in " ".join(answer["warnings"]), task
    file = controller.write("x.async_jobs.yml", f"plugin: {COLLECTION}.async_jobs\n")
    ran = controller.run("inventory", "-i", file, "--list").ok()
    assert "".join(f"Other users can write to {directory}".split()) in "".join(ran.output.split())
    for playbook in ("jobs", "show -e job=backup"):
        ran = controller.playbook(f"{COLLECTION}.{playbook.split()[0]}", *playbook.split()[1:])
        assert "".join(f"Other users can write to {directory}".split()) in "".join(ran.output.split())


def test_an_endpoint_without_encryption(controller: Controller) -> None:
    """Said, also where the service cannot be reached. Nobody is between us and our own machine."""
    tasks = [
        {f"{COLLECTION}.async_job_copy": {"source": {"backend": "oci", "oci_endpoint": endpoint}, "state_dir": "copied"}}
        for endpoint in ("http://objects.invalid", "http://127.0.0.1:9", "https://objects.invalid")
    ]
    environment = {"ASYNC_JOB_OCI_BUCKET": "jobs", "ASYNC_JOB_OCI_RETRY_TIMEOUT": "0", "OCI_CONFIG_FILE": str(controller.home / "none")}
    controller.environment.update(environment)
    warnings = [" ".join(answer.get("warnings", [])) for answer in ask(controller, *tasks)]
    assert "The oci_endpoint http://objects.invalid begins with http://" in warnings[0]
    assert "in the clear" not in warnings[1] + warnings[2]


@pytest.mark.parametrize("endpoint", ["https://user:s3cret@objects.invalid", "user:s3cret@objects.invalid", "http://s3cret@[::"])
def test_a_password_in_an_endpoint(controller: Controller, endpoint: str) -> None:
    """Refused, and shown nowhere."""
    controller.environment.update(ASYNC_JOB_BACKEND="oci", ASYNC_JOB_OCI_BUCKET="jobs", ASYNC_JOB_OCI_ENDPOINT=endpoint)
    ran = controller.playbook(f"{COLLECTION}.jobs", "-vvv").failed()
    assert "oci_endpoint holds a user or a password" in ran.text
    assert "s3cret" not in ran.output


def test_what_a_cache_makes_of_a_record(controller: Controller) -> None:
    """Text, also of what Ansible's own caches take for a template or for a vaulted value of theirs: such a record is not read at all."""
    template = {"__ansible_type": "_AnsibleTaggedStr", "value": "{{ 6007 * 7 }}", "tags": [{"__ansible_type": "TrustedAsTemplate"}]}
    put(controller.state_dir, "planted", host="host1", playbook="test", status="failed", metadata={"m": template})
    put(controller.state_dir, "text", host="host1", playbook="test", status="failed", metadata={"m": "{{ 6007 * 7 }}"})
    cache = {"ANSIBLE_INVENTORY_CACHE": "1", "ANSIBLE_INVENTORY_CACHE_PLUGIN": "jsonfile", "ANSIBLE_INVENTORY_CACHE_CONNECTION": "cache"}
    file = controller.write("x.async_jobs.yml", f"plugin: {COLLECTION}.async_jobs\n")
    show = [{"hosts": "host1", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"var": "async_jobs"}}]}]
    for _time in range(2):
        ran = controller.playbook(json.dumps(show, indent=1), "-i", controller.inventory, "-i", file, env=cache).ok()
        assert "{{ 6007 * 7 }}" in ran.output
        assert "42049" not in ran.output
        assert "the key '__ansible_type' belongs to Ansible" in ran.text


def test_the_cache_of_an_inventory(controller: Controller) -> None:
    """Nobody else can read it, whatever Ansible makes of other files of this kind; nor when it is read again."""
    put(controller.state_dir, "backup", host="host1", playbook="test", status="failed", metadata={"ticket": "secret"})
    cache = {"ANSIBLE_INVENTORY_CACHE": "1", "ANSIBLE_INVENTORY_CACHE_PLUGIN": "jsonfile", "ANSIBLE_INVENTORY_CACHE_CONNECTION": "cache"}
    file = controller.write("x.async_jobs.yml", f"plugin: {COLLECTION}.async_jobs\n")
    for _time in range(2):
        controller.run("inventory", "-i", file, "--list", env=cache).ok()
        [cached] = (controller.project / "cache").iterdir()
        assert "secret" in cached.read_text()
        assert stat.S_IMODE(cached.stat().st_mode) == 0o600


TEAM = 12347


def as_user(controller: Controller, uid: int, command: str, *, groups: str = "") -> Ran:
    """Run a line of a shell as another user, who can read whatever they need to run Ansible, and write nothing but what is theirs."""
    home = controller.project.parent / str(uid)
    if not home.exists():
        home.mkdir(mode=0o700)
        (home / "ansible-playbook").write_text(f'#!/bin/sh\nexec {sys.executable} -m ansible playbook "$@"\n')
        (home / "ansible-playbook").chmod(0o755)
        for path in (home, *home.iterdir()):
            os.chown(path, uid, uid)
    reads = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    who = ("setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={groups}" if groups else "--clear-groups", *reads)
    environment = {**controller.environment, "HOME": str(home), "USER": f"user{uid}", "LOGNAME": f"user{uid}"}
    environment["PATH"] = f"{home}:{os.environ['PATH']}"
    done = subprocess.run(
        [*who, "bash", "-c", f"umask 077; {command}"],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users, which only root can do")
def test_a_team_shares_a_store(controller: Controller, tmp_path: Path) -> None:
    """What one of them saves and asks for, another one sees, replaces, approves and removes. Whoever is not in the group gets nowhere."""
    alice, bob, carol = 12345, 12346, 12349
    store = tmp_path / "jobs"
    store.mkdir()
    os.chown(store, 0, TEAM)
    store.chmod(0o2770)
    task = {"job_name": "backup", "ansible_job_id": "j1.1", "host": "db01", "playbook_name": "Team"}
    plays = [
        {"name": "Team", "hosts": "localhost", "gather_facts": False, "tasks": [{f"{COLLECTION}.async_job_{name}": options}]}
        for name, options in (("state", task), ("approval", {"name": "go_live", "mode": "request", "subject": "It goes live"}))
    ]
    save = shlex.quote(str(controller.write("save.yml", json.dumps(plays))))
    place = f"-e async_job_state_dir={store} -e async_job_state_mode=group"

    as_user(controller, alice, f"ansible-playbook {save} {place}", groups=str(TEAM)).ok()
    found = {path.relative_to(store).name: path.stat() for path in store.rglob("*")}
    assert {oct(stat.S_IMODE(status.st_mode)) for status in found.values()} == {"0o2770", "0o660"}
    assert {status.st_gid for status in found.values()} == {TEAM}

    both = f"ansible-playbook {COLLECTION}.jobs {place}; ansible-playbook {COLLECTION}.approvals {place}"
    shown = as_user(controller, bob, both, groups=str(TEAM))
    assert "1 job: 1 running" in shown.ok().output
    [approve] = re.findall(r"to approve: (ansible-playbook .*)", shown.output)
    assert "-e async_job_state_mode=group" in approve
    assert "may not approve it too" in as_user(controller, alice, approve, groups=str(TEAM)).failed().text
    again = f"{COLLECTION}.async_job_state -a 'job_name=backup host=db01 playbook_name=Team ansible_job_id=j2.2'"
    adhoc = f"{sys.executable} -m ansible adhoc localhost -m"
    ran = as_user(controller, bob, f"set -e; {approve}; {adhoc} {again} {place}", groups=str(TEAM)).ok()
    assert ran.output.count("WARNING") == 1
    assert "was j1.1, running as far as anybody has looked" in ran.text
    record = json.loads((store / "db01" / "Team" / "backup.json").read_text())
    assert (record["ansible_job_id"], record["attempt"], record["attempts"][0]["ansible_job_id"]) == ("j2.2", 2, "j1.1")

    refused = as_user(controller, carol, f"{adhoc} {again} {place}").failed()
    assert f"{carol} is not in it" in refused.text
    refused = as_user(controller, bob, f"{adhoc} {again.replace('j2.2', 'j3.3')} -e async_job_state_dir={store}", groups=str(TEAM)).failed()
    assert "A group shares the store" in refused.text
    forget = again.replace("ansible_job_id=j2.2", "state=absent force=true")
    as_user(controller, alice, f"{adhoc} {forget} {place}", groups=str(TEAM)).ok()
    assert not (store / "db01" / "Team" / "backup.json").exists()
