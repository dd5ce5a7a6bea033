# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job is stopped while others look at it, wait for it, or are about to start it anew, and whoever stops it may die."""

from __future__ import annotations

import json
import os
import re
import signal
import typing as t
from pathlib import Path

import pytest
from controller import Controller
from faults import Process, Scene, asked_natively
from plays import Yaml, ask, job, lines, play, role, run_tasks, shell, tell
from torture import TORTURE
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import environment_of, scan

STATUS = "rstyczynski.ansible.async_job_status"
CANCEL = "rstyczynski.ansible.async_job_cancel"
ROUNDS = 100 if TORTURE else 2
RESTARTED: Yaml = {"restart_on": ["failed", "killed", "lost", "timed_out"], "max_attempts": 2}


def cancelled(**args: t.Any) -> Yaml:
    return {CANCEL: {"job_name": "job", "reason": "wrong database", **args}}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("exec sleep 300", id="ends at once"),
        pytest.param("trap 'sleep 2; exit 143' TERM; sleep 300 & wait", id="cleans up"),
    ],
)
def test_beside_a_controller_that_waits(controller: Controller, command: str) -> None:
    """It does not take the end of a job that somebody stops for a failure, and start it anew."""
    for number in range(ROUNDS):
        name = f"job {number}"
        ledger = controller.project / f"ledger {number}"
        task = job(shell(f"echo run >>'{ledger}'; {command}"), name=name, poll=1, limit=600, options=RESTARTED)
        book = controller.write("waits.yml", json.dumps([play(task)]))
        waiting = controller.popen("playbook", "-i", controller.inventory, book)
        until(lambda: lines(ledger))  # noqa: B023
        until(lambda: "runner" in controller.record(name))  # noqa: B023
        [answer] = ask(controller, {CANCEL: {"job_name": name, "reason": "wrong database"}})
        output, _none = waiting.communicate(timeout=60)
        assert (answer["status"], answer["changed"], answer["failed"]) == ("cancelled", True, False), answer
        assert "wrong database" in output
        record = controller.record(name)
        assert (record["status"], record["attempt"], record["cancelled"]["reason"]) == ("cancelled", 1, "wrong database"), output
        assert "cancelling" not in record
        assert lines(ledger) == ["run"]


def test_who_looks_meanwhile(controller: Controller) -> None:
    """Until it is done, the job is being cancelled, whatever is left of it."""
    ledger = controller.project / "ledger"
    task = job(shell(f"trap 'touch {ledger}; until [ -e {controller.project}/go ]; do sleep 0.1; done; exit 1' TERM; sleep 300 & wait"))
    ask(controller, task)
    book = controller.write("cancels.yml", json.dumps([play(cancelled(grace_period=30))]))
    cancelling = controller.popen("playbook", "-i", controller.inventory, book)
    until(ledger.exists)
    [looked] = ask(controller, {STATUS: {"job_name": "job"}})
    assert (looked["status"], looked["finished"], looked["failed"]) == ("running", False, False)
    assert "is being cancelled by" in looked["reason"]
    assert controller.record("job")["cancelling"]["reason"] == "wrong database"
    (controller.project / "go").touch()
    output, _none = cancelling.communicate(timeout=60)
    assert cancelling.returncode == 0, output
    record = controller.record("job")
    assert (record["status"], record["cancelled"]["reason"]) == ("cancelled", "wrong database")


def test_another_attempt_has_begun(controller: Controller) -> None:
    """That is no plain success: the new one runs."""
    ledger = controller.project / "ledger"
    ask(controller, job(shell(f"trap 'touch {ledger}; sleep 3; exit 1' TERM; sleep 300 & wait")))
    book = controller.write("cancels.yml", json.dumps([play(cancelled(grace_period=30))]))
    cancelling = controller.popen("playbook", "-i", controller.inventory, book)
    until(ledger.exists)
    next_one = {**controller.record("job"), "ansible_job_id": "j9.9", "attempt": 2}
    (controller.state_dir / "host1/test/job.json").write_text(json.dumps(next_one))
    output, _none = cancelling.communicate(timeout=60)
    assert cancelling.returncode != 0
    assert "attempt 2 (j9.9) has begun meanwhile, and only attempt 1 was stopped. Cancel the job once more." in output
    assert controller.record("job") == next_one


def test_between_two_attempts(controller: Controller) -> None:
    """A job that has failed, and is about to be started anew by a task that waits, is not: the order holds for what has ended, too."""
    ledger = controller.project / "ledger"
    task = job(shell(f"echo run >>{ledger}; exit 1"), poll=1, options={"restart_on": ["failed"], "max_attempts": 3, "backoff": 20})
    book = controller.write("waits.yml", json.dumps([play(task)]))
    waiting = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: lines(ledger) and controller.record("job")["status"] == "failed")
    first, again = ask(controller, cancelled(), cancelled())
    assert (first["changed"], first["stopped"], first["status"]) == (True, [], "failed"), first
    assert "not started anew from now on, unless restart_on has 'cancelled'" in first["reason"]
    assert (again["changed"], again["status"]) == (False, "failed")
    output, _none = waiting.communicate(timeout=60)
    assert lines(ledger) == ["run"], output
    record = controller.record("job")
    assert (record["attempt"], record["status"], record["cancelled"]["reason"]) == (1, "failed", "wrong database")
    [started] = ask(controller, job(shell("true"), poll=1, options={"restart_on": ["cancelled"], "on_change": "attach"}))
    assert (started["attempt"], started["status"]) == (2, "succeeded")


def test_what_has_ended_was_not_stopped(controller: Controller) -> None:
    """Nothing got a signal, so there is no victim."""
    run_tasks(controller, job(shell("true"), poll=1))
    [answer] = ask(controller, cancelled())
    assert (answer["changed"], answer["stopped"], answer["status"]) == (False, [], "succeeded")
    record = controller.record("job")
    assert "cancelled" not in record
    assert "cancelling" not in record


def test_a_reason_that_nobody_reads(controller: Controller) -> None:
    """It is refused before anything is stopped."""
    ask(controller, job(shell("exec sleep 20")))
    refused, looked, stopped = ask(controller, cancelled(reason="x" * 5000), {STATUS: {"job_name": "job"}}, cancelled())
    assert "Nothing was stopped" in refused["msg"]
    assert looked["status"] == "running"
    assert stopped["changed"]


def test_what_is_said_of_a_job_that_was_cancelled_when_it_had_failed(controller: Controller) -> None:
    """It is not started anew, and nobody says that it will be."""
    task = job(shell("exit 3"), poll=1, options={"restart_on": ["failed"]})
    run_tasks(controller, task)
    [ordered] = ask(controller, cancelled())
    assert ordered["changed"]
    [answer] = ask(controller, task)
    assert "not started anew unless restart_on has 'cancelled'" in answer["msg"]
    assert (answer["attempt"], answer["changed"]) == (1, False)


def _is_program(process: Process) -> bool:
    """Tell whether a process is a Python that reads its program from a pipe."""
    return "python" in process.line and " " not in process.line


@pytest.mark.parametrize("how", ["controller", "hangs up", "TERM", "KILL"])
def test_an_interrupted_cancel(scene: Scene, how: str) -> None:
    """The job ends all the same, and nothing stays stopped."""
    scene.ask("h1", job(shell("trap 'touch /tmp/asked; sleep 2; exit 1' TERM; sleep 300 & wait; echo next; sleep 301"), limit=600))
    book = scene.controller.write("cancels.yml", json.dumps([play(cancelled(grace_period=6), hosts="h1")]))
    cancelling = scene.controller.popen("playbook", "-i", scene.controller.inventory, book)
    until(lambda: scene.test("h1", "test -e /tmp/asked"))
    if how == "controller":
        os.killpg(cancelling.pid, signal.SIGKILL)
        scene.hosts.disconnect()
    elif how == "hangs up":
        scene.hosts.disconnect()
    else:
        # Of our program, there are two processes: one that does it, in a session of its own, and one that waits for that.
        ours = [process for process in scene.processes("h1").values() if _is_program(process)]
        doing = [process for process in ours if process.pid == process.sid]
        assert (len(ours), len(doing)) == (2, 1), ours
        scene.kill("h1", how, *(process.pid for process in (doing if how == "KILL" else ours)))
    cancelling.communicate(timeout=60)
    until(lambda: not [process for process in scene.processes("h1").values() if process.line in ("sleep 300", "sleep 301")])
    states = scene.shell("h1", "ps -e -o stat=,args=").splitlines()
    assert not [line for line in states if line.startswith("T")], states
    until(lambda: not [process for process in scene.processes("h1").values() if "async_wrapper" in process.line])
    looked, natives = scene.ask("h1", {STATUS: {"job_name": "job"}}, asked_natively(scene.controller.record("job", host="h1")))
    scene.tell(f"cancelled, and that is interrupted ({how})", looked, natives)
    assert looked["status"] == "cancelled", looked["reason"]
    assert looked["record"]["cancelled"]["reason"] == "wrong database"


def _held(scene: Scene, name: str) -> None:
    """Start a native job that fails when it is let go."""
    scene.start("h1", {name: f"until [ -e /tmp/go ]; do sleep 0.2; done; exit 3; : {name}"})


def _end_of(scene: Scene, name: str) -> dict[str, t.Any]:
    """Let that job go, and return what is said of its end."""
    scene.shell("h1", "touch /tmp/go")
    [end] = scene.ask("h1", {STATUS: {"job_name": name, "wait_timeout": 60}})
    return t.cast("dict[str, t.Any]", end)


def test_an_order_that_did_not_reach_the_host(scene: Scene) -> None:
    """Ctrl-C, since the host does not answer. No signal was sent, and nobody says so; but the order stands."""
    _held(scene, "job")
    scene.hosts.disconnect()
    scene.hosts.partition("h1")
    book = scene.controller.write("cancels.yml", json.dumps([play(cancelled(), hosts="h1")]))
    cancelling = scene.controller.popen("playbook", "-i", scene.controller.inventory, book, env={"ANSIBLE_TIMEOUT": "60"})
    until(lambda: "cancelling" in scene.controller.record("job", host="h1"))
    os.killpg(cancelling.pid, signal.SIGINT)
    cancelling.communicate(timeout=60)
    scene.hosts.heal("h1")
    end = _end_of(scene, "job")
    assert (end["status"], end["record"]["cancelled"]["reason"]) == ("failed", "wrong database")
    assert end["record"]["reason"].endswith(f", after {end['record']['cancelled']['who']} had begun to cancel it")
    found = tell("async_job_load_found")
    loads = [role("async_job_load", job_name="job", restart_on=[status]) for status in ("failed", "cancelled")]
    assert scene.run(play(loads[0], found, loads[1], found, hosts="h1")).ok().told == ([True], [False])


def test_refused_while_somebody_else_looks(scene: Scene) -> None:
    """A look notes something between the intent of somebody who may not cancel the job, and the refusal."""
    _held(scene, "job")
    [python] = re.findall(r"^h1 .*ansible_python_interpreter=(\S+)", scene.controller.inventory.read_text("utf-8"), flags=re.M)
    script = f'#!/bin/sh\nuntil [ -e /tmp/slow ]; do sleep 0.1; done\nexec {python} "$@"\n'
    scene.shell("h1", 'printf %s "$1" >/opt/slow; chmod 755 /opt/slow', script)
    scene.user("app", "ansible_python_interpreter=/opt/slow")
    inventory = scene.controller.write("slow.ini", scene.controller.inventory.read_text("utf-8"))
    scene.user("root")
    book = scene.controller.write("cancels.yml", json.dumps([play(cancelled(), hosts="h1")]))
    cancelling = scene.controller.popen("playbook", "-i", inventory, book)
    until(lambda: "cancelling" in scene.controller.record("job", host="h1"))
    before = scene.controller.record("job", host="h1")
    scene.ask("h1", {STATUS: {"job_name": "job"}})
    assert scene.controller.record("job", host="h1") != before
    scene.shell("h1", "touch /tmp/slow")
    output, _none = cancelling.communicate(timeout=60)
    assert "Nothing was stopped" in output
    assert "cancelling" not in scene.controller.record("job", host="h1")
    end = _end_of(scene, "job")
    assert (end["status"], "cancelled" in end["record"]) == ("failed", False)


def test_a_full_disk(scene: Scene) -> None:
    """Nothing can be noted in the directory of the attempt, and whoever cancels it dies before that is in the record. It was cancelled."""
    scene.ask("h1", job(shell("sleep 300; echo next"), limit=600))
    path = scene.controller.state_dir / "h1" / "test" / "job.json"
    before = path.read_bytes()
    scene.hosts.fill("h1")
    [stopped] = scene.ask("h1", cancelled())
    assert (stopped["changed"], stopped["status"]) == (True, "cancelled"), stopped
    path.write_bytes(before)
    [full] = scene.ask("h1", {STATUS: {"job_name": "job"}})
    path.write_bytes(before)
    scene.hosts.unfill("h1")
    [room, natives] = scene.ask("h1", {STATUS: {"job_name": "job"}}, asked_natively(scene.controller.record("job", host="h1")))
    scene.tell("cancelled on a full disk, and who did it has not told anybody", room, natives)
    for looked in (full, room):
        assert looked["status"] == "cancelled", looked["reason"]


def test_a_thread_that_lives_on(controller: Controller) -> None:
    """The first thread of a process has ended. The others work, so it runs, and can be stopped."""
    source = controller.project / "lives.py"
    source.write_text(
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(300,)).start()\n"
        "ctypes.CDLL(None).syscall(60, 0)  # exit(2) of this thread, on x86_64\n"
        if os.uname().machine == "x86_64"
        else "import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()\nctypes.CDLL(None).syscall(93, 0)\n"
    )
    ask(controller, job({"ansible.builtin.command": f"python3 {source}"}))

    def lives() -> list[int]:
        return [process.pid for process in scan().processes.values() if str(source) in process.argv]

    [pid] = until(lives)
    until(lambda: Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z")
    record = controller.record("job")
    # Ansible's processes of this job, and of no other test that runs at the same time.
    for process in scan().processes.values():
        told = (environment_of(process.pid) or {}).get("ANSIBLE_ASYNC_DIR")
        if told == record["attempt_dir"] and str(source) not in process.argv:
            os.kill(process.pid, signal.SIGKILL)
    [looked] = ask(controller, {STATUS: {"job_name": "job"}})
    assert looked["status"] == "orphaned", looked["reason"]
    [answer] = ask(controller, cancelled(grace_period=1))
    assert answer["status"] == "cancelled"
    assert not lives()
