# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody takes from a record that its job is secret."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from controller import Controller
from faults import Scene
from waiting import until

START = """
- name: test
  hosts: host1
  gather_facts: false
  tasks:
    - name: Start
      rstyczynski.ansible.async_job:
        job_name: job
        task:
          ansible.builtin.command: /nonexistent/s3cret
      async: 60
      no_log: true
      poll: 1
"""


def test_the_task_that_starts_it_still_says_so(controller: Controller) -> None:
    """It attaches to the job, finds its result on the host, and neither shows nor stores what that says."""
    first = controller.playbook(START, "-vvv").failed()
    assert "s3cret" not in first.output
    file = controller.state_dir / "host1/test/job.json"
    assert json.loads(file.read_text())["status"] == "failed"
    _take_away(file, status="running")
    again = controller.playbook(START, "-vvv").failed()
    assert "s3cret" not in again.output
    assert json.loads(file.read_text())["status"] == "failed"
    assert "s3cret" not in file.read_text()


LOOK = """
- name: test
  hosts: host1
  gather_facts: false
  tasks:
    - name: Act
      rstyczynski.ansible.MODULE:
        job_name: job
      ignore_errors: true
"""


def _take_away(file: Path, **fields: t.Any) -> None:
    record = json.loads(file.read_text())
    assert record["no_log"] is True
    for field in ("result", "end", "reason"):
        record.pop(field, None)
    file.write_text(json.dumps({**record, "no_log": False, **fields}))


@pytest.mark.parametrize("module", ["async_job_status", "async_job_cancel"])
def test_its_host_still_says_so(controller: Controller, module: str) -> None:
    """Tasks that know nothing of the secret neither show nor store what the job says, and the record says again that it is secret."""
    command = "'echo s3cret; echo PROGRESS 1/2 s3cret; exec sleep 600'" if module == "async_job_cancel" else "'echo s3cret; exit 3'"
    start = START.replace("ansible.builtin.command: /nonexistent/s3cret", f"ansible.builtin.shell: {command}").replace("poll: 1", "poll: 0")
    controller.playbook(start.replace("async: 60", "async: 600")).ok()
    file = controller.state_dir / "host1/test/job.json"
    place = Path(json.loads(file.read_text())["attempt_dir"])
    until((place / ("stdout" if module == "async_job_cancel" else "result")).exists)
    until(lambda: "s3cret" in (place / "stdout").read_text())
    _take_away(file)
    ran = controller.playbook(LOOK.replace("MODULE", module), "-vvvv").ok()
    assert "s3cret" not in ran.output
    record = json.loads(file.read_text())
    assert (record["no_log"], record["status"]) == (True, "cancelled" if module == "async_job_cancel" else "failed")
    assert "s3cret" not in file.read_text()


def test_its_answer_over_ssh_is_bare(scene: Scene) -> None:
    """At this verbosity, Ansible shows what comes over the connection before anybody here can know that the job is secret."""
    start = START.replace("host1", "h1").replace(
        "ansible.builtin.command: /nonexistent/s3cret", "ansible.builtin.shell: echo s3cret; exit 3"
    )
    scene.controller.playbook(start.replace("poll: 1", "poll: 0")).ok()
    file = scene.controller.state_dir / "h1/test/job.json"
    place = json.loads(file.read_text())["attempt_dir"]
    until(lambda: scene.test("h1", f"test -e {place}/result"))
    _take_away(file)
    ran = scene.controller.playbook(LOOK.replace("host1", "h1").replace("MODULE", "async_job_status"), "-vvvv").ok()
    assert "SSH: EXEC" in ran.output
    assert "s3cret" not in ran.output
    assert json.loads(file.read_text())["no_log"] is True
