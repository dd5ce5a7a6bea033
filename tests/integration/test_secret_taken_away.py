# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody takes from a record that its job is secret."""

from __future__ import annotations

import json

from controller import Controller

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
    record = json.loads(file.read_text())
    assert record["no_log"] is True
    assert record["status"] == "failed"
    for field in ("result", "end", "reason"):
        record.pop(field, None)
    file.write_text(json.dumps({**record, "no_log": False, "status": "running"}))
    again = controller.playbook(START, "-vvv").failed()
    assert "s3cret" not in again.output
    assert json.loads(file.read_text())["status"] == "failed"
    assert "s3cret" not in file.read_text()
