# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook show: all that is known of one job, also while it runs."""

from __future__ import annotations

import re
from pathlib import Path

from controller import Controller
from fleet import CANCEL, JOBS, SHOW, rows
from plays import job, run_tasks, shell
from records import put
from waiting import until


def test_show(controller: Controller, state_dir: Path) -> None:
    """All that is known of one job."""
    ran = controller.playbook(SHOW, "-e", "job=copy").ok()
    for line in (
        rf"Store: {re.escape(str(state_dir))}",
        r"Status: +failed, as last recorded",
        r"Reason: +job 'copy' has failed",
        r"Return code: +1",
        r"Started: +\S+Z, 50m \d+s ago",
        r"Metadata ticket: +OPS-1",
        r"Record: +" + re.escape(str(state_dir / "web1/Nightly/copy.json")),
        r"1 +failed +\S+ +1h 0m +3 +ann@ctl +it broke",
        r"2 +failed +\S+ +10m 0s +1 +ann@ctl +job 'copy' has failed",
        r"Output \(its end\):\n  so far so good",
        r"Error output \(its end\):\n  no space left",
    ):
        assert re.search(rf"^{line}$", ran.output, re.MULTILINE), line


def test_show_needs_one_job(controller: Controller, state_dir: Path) -> None:
    put(state_dir, "copy", host="web2", status="succeeded")
    ran = controller.playbook(SHOW, "-e", "job=copy").failed()
    assert [row[0] for row in rows(ran)] == ["web1", "web2"]
    assert "Say which one" in ran.text
    assert "Say which job to stop" in controller.playbook(CANCEL).failed().text
    ran = controller.playbook(SHOW, "-e", "job=copy", "-e", "host=web2").ok()
    assert "succeeded, as last recorded" in ran.output
    ran = controller.playbook(SHOW, "-e", "job=c*").failed()
    assert f"There is no job 'c*' in {state_dir}" in ran.text
    assert "Say which job to show" in controller.playbook(SHOW).failed().text


def test_live(controller: Controller) -> None:
    """What a running job has written so far, and its last line in the table; and it can be cancelled by its name alone."""
    run_tasks(controller, job(shell("echo begun; echo PROGRESS 3/7 copying; exec sleep 60")))
    until(lambda: "copying" in controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true").ok().output)
    ran = controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true").ok()
    assert re.search(r"^Status: +running$", ran.output, re.MULTILINE)
    assert re.search(r"^Progress: +step 3 of 7: copying$", ran.output, re.MULTILINE)
    assert "  begun\n" in ran.output
    assert rows(controller.playbook(JOBS).ok())[0][-1] != "step 3 of 7: copying"
    assert rows(controller.playbook(JOBS, "-e", "verify=true").ok())[0][-1] == "step 3 of 7: copying"
    assert rows(controller.playbook(JOBS).ok())[0][-1] == "step 3 of 7: copying"
    assert "processes would be stopped" in controller.playbook(CANCEL, "-e", "job=job", "--check").ok().text
    assert controller.record("job")["status"] == "running"
    ran = controller.playbook(CANCEL, "-e", "job=job", "-e", "reason='wrong database'").ok()
    assert f"Store: {controller.state_dir}" in ran.output
    assert "wrong database" in ran.output
    record = controller.record("job")
    assert record["status"] == "cancelled"
    assert record["cancelled"]["reason"] == "wrong database"
    assert rows(controller.playbook(JOBS).ok())[0][3] == "cancelled"
