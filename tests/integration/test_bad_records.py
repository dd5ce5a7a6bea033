# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that somebody has written who wants more than to keep a record: nobody acts upon them, and each is named."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from controller import Controller
from fleet import CANCEL, JOBS, PRUNE, SHOW, rows
from plays import ask, job, lines, shell
from records import ago, put

ATTEMPT = f"/tmp/{7:032x}"
FLAWS: dict[str, dict[str, t.Any]] = {
    "become_user": {"become_user": "root id >/tmp/x; #"},
    "ansible_job_id": {"ansible_job_id": "passwd", "async_dir": "/etc"},
    "attempt_dir": {"attempt_dir": "/etc/nologin", "async_dir": "/etc/nologin"},
    "stdout_file": {"attempt_dir": ATTEMPT, "async_dir": ATTEMPT, "stdout_file": "/etc/shadow"},
}


@pytest.mark.parametrize("field", FLAWS)
def test_nobody_acts_upon_it(controller: Controller, ledger: Path, field: str) -> None:
    """Whatever is asked for: not to look, not to stop, not to remove and not to start. The record stays as it is."""
    executed = controller.project / "executed"
    method = controller.write("become", f"#!/bin/sh\ntouch {executed}\nexit 1\n")
    method.chmod(0o755)
    controller.hosts(f"host1 ansible_become_exe={method}")
    file = put(controller.state_dir, "job", host="host1", playbook="test", status="running", **FLAWS[field])
    before = file.read_bytes()
    module = "rstyczynski.ansible.async_job_"
    look, cancel, cleanup, start = ask(
        controller,
        {f"{module}status": {"job_name": "job"}},
        {f"{module}cancel": {"job_name": "job"}},
        {f"{module}status": {"job_name": "job", "mode": "cleanup"}},
        job(shell(f"echo run >>{ledger}"), options={"on_change": "restart", "restart_on": ["lost", "killed"]}),
    )
    assert (look["status"], look["failed"]) == ("unknown", True)
    for answer in (look, cancel, cleanup, start):
        assert answer["failed"]
        assert f"the field '{field}'" in answer["msg"]
        assert "host1/test/job.json cannot be used" in answer["msg"]
    assert "Nothing was stopped" in cancel["msg"]
    assert "Nothing was removed" in cleanup["msg"]
    assert "nothing was started" in start["msg"]
    assert lines(ledger) == []
    assert not executed.exists()
    assert file.read_bytes() == before


def test_a_bad_prepared_record_is_not_resolved(controller: Controller, ledger: Path) -> None:
    """Its directory would be removed, and a file made in its place, as a user of its choice."""
    target = controller.home / "nologin"
    file = put(
        controller.state_dir, "job", host="host1", playbook="test", status="prepared", ansible_job_id="", boot_id="x", claim={},
        attempt_dir=str(target), async_dir=str(target),
    )  # fmt: skip
    before = file.read_bytes()
    [answer] = ask(controller, job(shell(f"echo run >>{ledger}"), options={"claim_timeout": 0}))
    assert "the field 'attempt_dir'" in answer["msg"]
    assert not target.exists()
    assert (file.read_bytes(), lines(ledger)) == (before, [])


def test_the_others_are_asked_all_the_same(controller: Controller) -> None:
    """In one task with several names, and by the fleet's commands: the bad one is named, and the command fails at its end."""
    [_started] = ask(controller, job(shell("true"), name="good", poll=1))
    file = controller.state_dir / "host1" / "test" / "good.json"
    running = json.dumps({**json.loads(file.read_text()), "status": "running"})
    file.write_text(running)
    put(controller.state_dir, "bad", host="host1", playbook="test", status="running", **FLAWS["become_user"])
    [look] = ask(controller, {"rstyczynski.ansible.async_job_status": {"job_names": ["bad", "good"]}})
    assert [one["status"] for one in look["jobs"]] == ["unknown", "succeeded"]
    file.write_text(running)
    ran = controller.playbook(JOBS, "-e", "verify=true").failed()
    assert {row[2]: row[3] for row in rows(ran)} == {"bad": "running", "good": "succeeded"}
    assert "host1/test/bad.json cannot be used" in ran.text
    assert "the field 'become_user'" in ran.text


def test_past_attempts_are_judged_like_the_current_one(controller: Controller) -> None:
    """Pruning leaves what they name, and says so."""
    precious = controller.home / "precious" / "j1.1"
    precious.parent.mkdir()
    precious.write_text("precious")
    past = {"attempt": 1, "ansible_job_id": "j1.1", "attempt_dir": f"{controller.home}/{7:032x}", "async_dir": str(precious.parent)}
    old = {"host": "host1", "status": "failed", "end": ago(days=9)}
    put(controller.state_dir, "job", **old, attempts=[past])
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true", "-e", "all=true").ok()
    assert precious.read_text() == "precious"
    assert "the field 'attempt_dir'" in ran.text


def test_a_record_sends_nobody_to_localhost(controller: Controller) -> None:
    """A delegated host has to be one of an inventory. The localhost that Ansible makes up is in none."""
    put(controller.state_dir, "job", host="host1", status="running", delegated_host="localhost", start=ago(minutes=5))
    for command in (f"{SHOW} -e verify=true", CANCEL):
        playbook, *options = command.split()
        ran = controller.playbook(playbook, "-e", "job=job", *options).failed()
        assert "is not in the inventory" in ran.text
    ran = controller.playbook(JOBS, "-e", "verify=true")
    assert [row[3] for row in rows(ran)] == ["running"]
    controller.hosts("host1", "localhost")
    ran = controller.playbook(JOBS, "-e", "verify=true").ok()
    assert [row[3] for row in rows(ran)] == ["lost"]
    record = json.loads((controller.state_dir / "host1" / "Nightly" / "job.json").read_text())
    assert record["status"] == "lost"
