# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module async_job_verify, and commands with verify=true: hosts are asked, and what they say is noted where it belongs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal

from controller import Controller
from fleet import CANCEL, JOBS, SHOW, rows
from hosts import Hosts
from plays import ask, job, run_tasks, shell
from records import ago, put
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import scan


def test_hosts_are_asked(hosts: Hosts, controller: Controller) -> None:
    """One that is away is named, what the others say is noted, and the command fails at its end."""
    controller.hosts(*hosts.inventory_lines())
    first, second = hosts.names[:2]
    run_tasks(controller, job(shell("exec sleep 60"), name="sleeps"), job(shell("echo done"), name="ends"))
    until(lambda: hosts.execute(first, "sh", "-c", "cat ~/.ansible_async/*/result 2>/dev/null || true"))
    until(lambda: hosts.execute(second, "sh", "-c", "cat ~/.ansible_async/*/result 2>/dev/null || true"))
    hosts.disconnect()
    hosts.reboot(first)
    hosts.off(second)
    assert {row[3] for row in rows(controller.playbook(JOBS).ok())} == {"running"}
    ran = controller.playbook(JOBS, "-e", "verify=true").failed()
    assert f"their jobs are shown as last recorded: {second}." in ran.text
    assert f"Not asked, and shown as last recorded: {second}" in ran.output
    assert {(row[0], row[2]): row[3] for row in rows(ran)} == {
        (first, "ends"): "succeeded",
        (first, "sleeps"): "lost",
        (second, "ends"): "running",
        (second, "sleeps"): "running",
    }
    hosts.on(second)
    ran = controller.playbook(JOBS, "-e", "verify=true", "-e", f"host={second}").ok()
    assert {row[2]: row[3] for row in rows(ran)} == {"ends": "succeeded", "sleeps": "lost"}


def test_whom_nobody_asked(controller: Controller) -> None:
    """Jobs of hosts that are not in the inventory, or away, are named; delegated ones are asked where they run."""
    controller.hosts(
        "host1", "bastion", "away ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1", "broken ansible_python_interpreter=/no"
    )
    delegated = job(shell("true"), name="delegated", options={"host": "{{ inventory_hostname }}"}, delegate_to="bastion")
    run_tasks(controller, delegated, options=["--limit", "host1"])
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    for host in ("away", "ghost", "broken"):
        put(controller.state_dir, "job", host=host, status="running", start=ago(minutes=5))
    ran = controller.playbook(JOBS, "-e", "verify=true").failed()
    assert {row[0]: row[3] for row in rows(ran)} == {"away": "running", "broken": "running", "ghost": "running", "host1": "succeeded"}
    assert "Not asked, and shown as last recorded: away, broken, ghost" in ran.output
    assert "shown as last recorded: away, broken, ghost. They are away," in ran.text
    for host, why in (("away", "UNREACHABLE"), ("ghost", "ghost could not be asked: it is not in the inventory")):
        ran = controller.playbook(SHOW, "-e", "job=job", "-e", f"host={host}", "-e", "verify=true").failed()
        assert re.search(r"^Status: +running, as last recorded; nobody has looked since it was saved$", ran.output, re.MULTILINE)
        assert why in ran.text
    ran = controller.playbook(CANCEL, "-e", "job=job", "-e", "host=ghost").failed()
    assert "The job runs on ghost, which is not in the inventory. Nothing was stopped." in ran.text


def test_the_output_of_what_somebody_else_has_seen_end(controller: Controller) -> None:
    """The next run of the playbook returns it, whoever was the first to see the end; and who cancels it then takes nothing away."""
    tasks = [job(shell("echo disk-1; echo why >&2; exit 3"), name=name) for name in ("verified", "cancelled")]
    run_tasks(controller, *tasks)
    until(lambda: len(list(controller.home.glob(".ansible_async/*/result"))) == 2)
    controller.playbook(CANCEL, "-e", "job=cancelled").ok()
    controller.playbook(JOBS, "-e", "verify=true").ok()
    before = controller.record("verified")
    controller.playbook(CANCEL, "-e", "job=verified").ok()
    after = controller.record("verified")
    assert {name: after[name] for name in before} == {**before, "write_id": after["write_id"], "save_time": after["save_time"]}
    for answer in ask(controller, *tasks):
        assert (answer["stdout"], answer["stderr"], answer["rc"]) == ("disk-1", "why", 3)
        assert (answer["stdout_size"], answer["stdout_truncated"], answer.get("warnings", [])) == (7, False, [])
        assert answer["msg"].startswith(f"job '{answer['job_name']}' on host1 has failed with return code 3: why. ")


def test_check_mode_tells_what_a_look_would_note(controller: Controller) -> None:
    run_tasks(controller, job(shell("true")))
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    before = controller.record("job")
    ran = controller.run("adhoc", "-i", controller.inventory, "all", "-m", "rstyczynski.ansible.async_job_verify", "--check").ok()
    assert '"status": "succeeded"' in ran.output
    assert '"changed": true' in ran.output
    assert controller.record("job") == before


def test_another_attempt_begins_while_somebody_waits(controller: Controller) -> None:
    """What is seen of the one before is told, and noted nowhere."""
    run_tasks(controller, job(shell("exec sleep 60")))
    arguments = "job_name=job playbook_name=test wait_timeout=60 wait_interval=1"
    status = "rstyczynski.ansible.async_job_status"
    process = controller.popen("adhoc", "-i", controller.inventory, "all", "-m", status, "-a", arguments)
    until(lambda: "runner" in controller.record("job"))
    file = controller.state_dir / "host1/test/job.json"
    record = controller.record("job")
    next_one = {**record, "ansible_job_id": "j9.9", "attempt": 2}
    file.write_text(json.dumps(next_one))
    for pid in scan().session(record["runner"]["session"]):  # on a busy machine, not all of it is in the process group of its runner
        with contextlib.suppress(ProcessLookupError):  # it ends with the others
            os.kill(pid, signal.SIGKILL)
    output, _none = process.communicate(timeout=60)
    assert '"status": "killed"' in output
    assert controller.record("job") == next_one
