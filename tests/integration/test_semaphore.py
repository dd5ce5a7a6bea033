# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of which only so many may run at the same time. How many really did, their ledger tells: each adds a line when it begins, and one
when it ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from controller import Controller
from plays import Yaml, lines, run_tasks, shell, telling, told
from torture import TORTURE
from waiting import until

KILLS, CONTROLLERS = (60, 10) if TORTURE else (3, 4)


def limited(name: str, command: str, at_most: int, *, poll: int = 0, **options: object) -> Yaml:
    """Return a task that starts a job with a slot."""
    about = {"name": "database", "at_most": at_most}
    given = {"job_name": name, "semaphore": about, "task": shell(command), **options}
    return {"rstyczynski.ansible.async_job": given, "async": 600, "poll": poll}


def at_work(ledger: Path, name: str, until_there: Path | None = None) -> str:
    """Return a command that works until there is a file, or for a moment."""
    work = f"until [ -e {until_there} ]; do sleep 0.2; done" if until_there else "sleep 1"
    return f"echo in {name} >>{ledger}; {work}; echo out {name} >>{ledger}"


def most_at_once(ledger: Path) -> int:
    """Return how many ran at the same time, at most."""
    running = most = 0
    for line in lines(ledger):
        running += 1 if line.startswith("in ") else -1
        most = max(most, running)
    return most


def test_a_full_semaphore(controller: Controller, ledger: Path) -> None:
    """Who does not wait, starts nothing and says for whom it would; lists show that; a job that has ended has no slot, whoever noted it."""
    go = controller.project / "go"
    first, second = limited("first", at_work(ledger, "first", go), 2), limited("second", at_work(ledger, "second"), 1)
    shown: Yaml = {"rstyczynski.ansible.async_job_show": {"quiet": False}}
    both: Yaml = {
        "rstyczynski.ansible.async_job": {
            "jobs": [{"job_name": name, "task": shell(at_work(ledger, name))} for name in ("second", "third", "fourth")],
            "semaphore": {"name": "database", "at_most": 2},
            "on_change": "attach",
        },
        "async": 600,
        "poll": 1,
    }
    gone: Yaml = {"rstyczynski.ansible.async_job_state": {"job_name": "first", "state": "absent"}}
    bad = limited("bad", "true", 0)
    ran = run_tasks(
        controller,
        first,
        {**second, "check_mode": True},
        second,
        shown,
        bad,
        {"ansible.builtin.file": {"path": str(go), "state": "touch", "mode": "0600"}},
        second,
        both,
        gone,
    )
    started, predicted, waits, table, refused, _touched, maybe, done, forgotten = told(ran)
    assert started["started"]
    assert (predicted["changed"], predicted["semaphore"]["at_most"]) == (True, 1)
    assert "it would wait for database (1 of 1): host1/test/first since" in predicted["msg"]
    assert (waits["failed"], waits["finished"], waits["started"], waits["changed"]) == (False, False, False, False)
    assert "waits for database (1 of 1): host1/test/first since" in waits["reason"]
    assert waits["semaphore"]["holders"][0]["job_name"] == "first"
    assert any("Semaphore database" in str(line) and "first" in str(line) for line in table.get("lines", [ran.output])), table
    assert "semaphore.at_most is 0" in refused["msg"]
    assert maybe["failed"] is False
    assert [job["status"] for job in done["jobs"]] == ["succeeded"] * 3, done
    assert not forgotten["failed"]
    assert most_at_once(ledger) <= 2
    assert sorted(lines(ledger)) == sorted(f"{what} {name}" for what in ("in", "out") for name in ("first", "second", "third", "fourth"))
    text = (controller.state_dir / ".semaphores" / "database" / "holders.json").read_text()
    assert "first" not in [holder["job_name"] for holder in json.loads(text)["holders"]]
    assert "echo" not in text


def test_controllers_that_die(controller: Controller, ledger: Path) -> None:
    """Many wait, and are killed at any moment: no more run than may, nobody is kept out for ever, and whoever waits can be cancelled."""
    names = [f"job{number}" for number in range(CONTROLLERS)]
    tasks = {name: limited(name, at_work(ledger, name), 2, poll=1, claim_timeout=2) for name in names}
    files = {name: controller.write(f"{name}.yml", json.dumps([telling(task)])) for name, task in tasks.items()}

    def begun(name: str) -> subprocess.Popen[str]:
        return controller.popen("playbook", "-i", controller.inventory, files[name])

    processes = {name: begun(name) for name in names}
    for _kill in range(KILLS):
        time.sleep(random.uniform(0.5, 4))
        name = random.choice(names)
        os.killpg(processes[name].pid, signal.SIGKILL)
        processes[name].communicate()
        processes[name] = begun(name)
    for process in processes.values():
        process.communicate(timeout=600)
    assert [controller.record(name)["status"] for name in names] == ["succeeded"] * len(names)
    until(lambda: len(lines(ledger)) % 2 == 0)
    assert most_at_once(ledger) <= 2, lines(ledger)
    assert sorted(lines(ledger)) == sorted(f"{what} {name}" for what in ("in", "out") for name in names)
    print(f"{KILLS} kills, at most {most_at_once(ledger)} of {len(names)} at once")

    go = controller.project / "go"
    holder = limited("holder", at_work(ledger, "holder", go), 1)
    file = controller.write("waits.yml", json.dumps([telling(limited("waits", "true", 1, poll=1))]))
    run_tasks(controller, holder)
    waiting = controller.popen("playbook", "-i", controller.inventory, file)
    try:
        until(
            lambda: (
                (controller.state_dir / "host1" / "test" / "waits.json").exists()
                and "waits for" in controller.record("waits").get("reason", "")
            ),
            seconds=240,
        )
        cancel: Yaml = {"rstyczynski.ansible.async_job_cancel": {"job_name": "waits", "reason": "wrong day"}}
        show: Yaml = {"rstyczynski.ansible.async_job_status": {"job_name": "waits"}}
        looked, cancelled = told(run_tasks(controller, show, cancel))
        assert "waits for database (1 of 1): host1/test/holder" in looked["reason"]
        assert (cancelled["changed"], cancelled["status"]) == (True, "cancelled")
        output = waiting.communicate(timeout=240)[0]
        assert "before it began: wrong day" in output
    finally:
        go.touch()
        waiting.kill()
    assert controller.record("waits")["status"] == "cancelled"
