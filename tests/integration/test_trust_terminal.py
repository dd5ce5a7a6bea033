# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of jobs, hosts, files and people are shown on a terminal, and obeyed by none."""

from __future__ import annotations

import json

import pytest
from controller import Controller, Live, Ran, until
from plays import ask, job, run_tasks, shell, told
from records import put

ODD = "\x1b]0;owned\x07\x1b[2Jdb\x9b31m\u202e\u200b"


def seen(ran: Ran) -> None:
    """Make sure that nothing of that has reached the terminal."""
    assert not [odd for odd in ("\x1b", "\x07", "\x9b", "\u202e", "\u200b") if odd in ran.output], ran.output


def test_the_line_that_shows_life(controller: Controller) -> None:
    end = controller.project / "end"
    task = job(shell(f"until [ -e {end} ]; do sleep 0.1; done"), name=ODD, poll=1)
    text = json.dumps([{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [task]}])
    waiting = Live(controller.popen("playbook", "-i", controller.inventory, controller.write("wait.yml", text)))
    until(lambda: " on host1: running 00:00:" in waiting.output)
    end.touch()
    seen(waiting.ran().ok())


@pytest.mark.parametrize("mode", ["wait", "approve"])
def test_a_place_in_an_error(controller: Controller, mode: str) -> None:
    """A failed task prints its message as it is, on newer releases of Ansible."""
    gate = {"name": "go_live", "mode": mode, "subject": "x", "state_dir": str(controller.project / f"store{ODD}")}
    ran = run_tasks(controller, {"rstyczynski.ansible.async_job_approval": gate})
    assert told(ran)[0]["failed"]
    assert "Nobody has asked" in ran.text
    seen(ran)


def test_records_that_cannot_be_read(controller: Controller) -> None:
    """Their paths are in errors, in warnings and in lists."""
    put(controller.state_dir, "broken", host="host1", playbook=f"play{ODD}").write_text("{")
    place = next(controller.state_dir.rglob("broken.json"))
    place.rename(place.with_name("broken\x9b\u202e.json"))
    seen(controller.playbook("rstyczynski.ansible.jobs").failed())
    seen(controller.playbook("rstyczynski.ansible.report", "-e", "dest=jobs.html").failed())
    controller.write("my.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\n")
    ran = controller.run("inventory", "-i", controller.inventory, "-i", "my.async_jobs.yml", "--graph").ok()
    assert "async_job_unreadable" in ran.output
    seen(ran)


def test_what_a_result_holds(controller: Controller) -> None:
    """Callbacks print tracebacks and differences as they are, and break at differences that are no texts."""
    directory = controller.home / ".ansible_async"
    directory.mkdir()
    diffs = [
        [{"prepared": ODD}],
        {"before_header": ODD, "after_header": ODD, "before": "a", "after": f"b{ODD}"},
        {"before": 5, "after": [ODD]},
    ]
    results = [{"rc": 1, "exception": ODD}, *({"rc": 0, "changed": True, "diff": diff} for diff in diffs)]
    tasks = []
    for number, result in enumerate(results):
        (directory / f"j{number}.4000000").write_text(json.dumps(result))
        tasks.append({"rstyczynski.ansible.async_job_status": {"jid": f"j{number}.4000000"}})
    ran = run_tasks(controller, *tasks, options=["--diff"])
    assert [answer["status"] for answer in told(ran)] == ["failed", "succeeded", "succeeded", "succeeded"]
    assert "Callback dispatch" not in ran.output
    seen(ran)


def test_people_and_subjects(controller: Controller) -> None:
    """Written by hand, into the store of somebody who reads it later."""
    ask(controller, {"rstyczynski.ansible.async_job_approval": {"name": "go_live", "mode": "request", "subject": "Release 7"}})
    file = controller.state_dir / ".approvals" / "test" / "go_live.json"
    approval = json.loads(file.read_text())
    approval["subject"] = f"Release{ODD}"
    approval["requested_by"] = approval["requester"]["by"] = approval["history"][-1]["by"] = f"ci{ODD}"
    for document in (approval, {field: value for field, value in approval.items() if field != "request_id"}):
        file.write_text(json.dumps(document))
        ran = run_tasks(controller, {"rstyczynski.ansible.async_job_approval": {"name": "go_live", "mode": "wait"}}).ok()
        assert "awaiting approval" in ran.output
        seen(ran)
        seen(controller.playbook("rstyczynski.ansible.approve", "-e", "playbook=test", "-e", "approval=go_live").failed())
