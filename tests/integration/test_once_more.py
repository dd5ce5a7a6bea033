# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job is not started once more: its work goes on, its record has vanished, another task does it, or a clock is wrong."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from controller import Controller
from faults import Scene, asked_natively, row_of
from plays import Yaml, ask, job, lines, play, run_tasks, shell, told
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import scan

STATUS = "rstyczynski.ansible.async_job_status"
CANCEL = "rstyczynski.ansible.async_job_cancel"
PRUNE = "rstyczynski.ansible.async_job_prune"
ALL: Yaml = {"restart_on": ["failed", "killed", "lost", "timed_out"]}
# All processes whose environment holds the first argument
KILL_MARKED = 'for f in $(grep -ls "$1" /proc/[0-9]*/environ); do f=${f%/environ}; kill -KILL "${f#/proc/}"; done'


def alive(text: str) -> list[int]:
    """The processes with this argument."""
    return [process.pid for process in scan().processes.values() if text in process.argv]


# --- Work that goes on ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "timed_out", "failed"])
def test_a_child_that_survives(controller: Controller, ledger: Path, how: str, request: pytest.FixtureRequest) -> None:
    """Whatever ended the rest, the next attempt waits for it, unless the user wants it stopped."""
    sleep = str(3000 + os.getpid())
    limit = 3 if how == "timed_out" else 600
    command = f"echo run >>{ledger}; (trap '' TERM; exec setsid sleep {sleep}) & {'exit 1' if how == 'failed' else 'wait'}"
    task = job(shell(command), limit=limit, options=ALL)
    ask(controller, task)
    [survivor] = until(lambda: alive(sleep))
    try:
        if how == "killed":
            parents = scan().processes
            shells = [process for process in parents.values() if str(ledger) in " ".join(process.argv) and process.argv[0].endswith("sh")]
            for process in shells:
                os.kill(process.pid, signal.SIGKILL)
        job_id = controller.record("job")["ansible_job_id"].rpartition(".")[0]
        until(lambda: not alive(job_id))  # the wrappers
        looked, natives = ask(controller, {STATUS: {"job_name": "job"}}, asked_natively(controller.record("job")))
        faults = {"killed": "KILL the shell of", "timed_out": "the limit ends", "failed": "the command fails of"}
        request.node.user_properties.append(row_of(f"{faults[how]} `work.sh & wait`, whose child goes on", looked, natives))
        assert looked["status"] == ("orphaned" if how == "killed" else how), looked["reason"]
        assert str(survivor) in looked["reason"]
        [started] = ask(controller, task)
        assert not started["changed"]
        assert not started["finished"]
        assert str(survivor) in started["reason"]
        if how != "killed":
            assert "stop_leftovers: true" in started["reason"]
            assert lines(ledger) == ["run"]
            [started] = ask(controller, {**task, **job(shell(command), limit=600, options={**ALL, "stop_leftovers": True})})
            assert started["changed"], started
            assert survivor not in alive(sleep)
            until(lambda: lines(ledger) == ["run", "run"])
    finally:
        for pid in alive(sleep):
            os.kill(pid, signal.SIGKILL)


def test_a_child_that_hides(controller: Controller, ledger: Path) -> None:
    """It has a session and an environment of its own, as with `su -`. It has the output of the job open, and is known by that."""
    sleep = str(4000 + os.getpid())
    task = job(shell(f"echo run >>{ledger}; env -i setsid sleep {sleep} & wait"), limit=10, poll=1, options={**ALL, "max_attempts": 2})
    try:
        [ended] = ask(controller, {**task, "poll": 0}, {STATUS: {"job_name": "job", "wait_timeout": 60, "wait_interval": 1}})[1:]
        assert ended["status"] == "timed_out", ended["reason"]
        [survivor] = alive(sleep)
        assert survivor in [process["pid"] for process in ended["processes"] if process["role"] == "descendant"]
        [started] = ask(controller, {**task, "poll": 0})
        assert not started["changed"]
        assert str(survivor) in started["reason"]
        [cancelled] = ask(controller, {CANCEL: {"job_name": "job", "grace_period": 2}})
        # On a busy machine, Ansible's limit may leave the module behind as well: that belongs to the group of the runner a moment too late.
        assert cancelled["changed"]
        assert survivor in [process["pid"] for process in cancelled["stopped"]]
        assert not alive(sleep)
        assert lines(ledger) == ["run"]
    finally:
        for pid in alive(sleep):
            os.kill(pid, signal.SIGKILL)


def test_prune_leaves_what_has_left_something_behind(controller: Controller, ledger: Path) -> None:
    """Without its record, nothing would keep the next run from starting it beside that."""
    sleep = str(5000 + os.getpid())
    try:
        ask(controller, job(shell(f"echo run >>{ledger}; (exec sleep {sleep}) & exit 1"), poll=1))
        [pruned] = ask(controller, {PRUNE: {"older_than": "0s", "apply": True}})
        assert pruned["removed"] == 0, pruned
        assert controller.record("job")["status"] == "failed"
    finally:
        for pid in alive(sleep):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("restart_on", ["killed", "orphaned"])
def test_an_orphan_that_is_to_be_stopped(controller: Controller, ledger: Path, restart_on: str) -> None:
    """C(stop_leftovers) stops it before the next attempt."""
    sleep = str(6000 + os.getpid())
    task = job(shell(f"echo run >>{ledger}; sleep {sleep} & wait"), options={"restart_on": [restart_on], "stop_leftovers": True})
    try:
        ask(controller, task)
        [first] = until(lambda: alive(sleep))
        [shell_of_it] = [process.pid for process in scan().processes.values() if str(ledger) in " ".join(process.argv[2:3])]
        os.kill(shell_of_it, signal.SIGKILL)
        job_id = controller.record("job")["ansible_job_id"].rpartition(".")[0]
        until(lambda: not alive(job_id))
        [started] = ask(controller, task)
        assert (started["changed"], started["attempt"]) == (True, 2), started
        assert first not in alive(sleep)
        until(lambda: lines(ledger) == ["run", "run"])
    finally:
        for pid in alive(sleep):
            os.kill(pid, signal.SIGKILL)


def _beside(scene: Scene, command: str) -> list[str]:
    """Return what else is in the sessions of a command: whatever of ours has started it, as long as it is just ending."""
    there = scene.processes("h1").values()
    sessions = {process.sid for process in there if command in process.line}
    return [process.line for process in there if process.sid in sessions and command not in process.line]


@pytest.mark.parametrize("proven", [True, False])
def test_what_only_root_may_stop(scene: Scene, proven: bool) -> None:
    """The advice is not one that would start the job as root, nor to stop what nobody can prove to be the job's.

    Ansible's own wrapper lives a few seconds longer than the job, and proves it. Ours goes with the job, so nothing proves it then.
    """
    scene.user("op")
    scene.controller.environment.update({"ANSIBLE_KEEP_REMOTE_FILES": "1"} if proven else {})
    options: Yaml = {"restart_on": ["failed"], "stop_leftovers": True}
    command = shell(
        "echo run >>/tmp/ledger; sudo -n sleep 7002 & until pgrep -f '^sleep 7002' && [ -e /tmp/go ]; do sleep 0.2; done; exit 1"
    )
    # It waits for so long for what was left behind.
    task = job(command, poll=1, limit=5, options=options)
    if proven:
        scene.shell("h1", "touch /tmp/go")
        _failed, refused = scene.ask("h1", {**task, "async": 60}, task)
    else:
        # It is seen running, so its session is known: a number that tells nothing once whoever was known to be of the job has left it.
        _started, seen = scene.ask("h1", {**task, "async": 60, "poll": 0}, {STATUS: {"job_name": "job"}})
        assert seen["status"] == "running", seen
        scene.shell("h1", "touch /tmp/go")
        until(lambda: not _beside(scene, "sleep 7002"))
        [refused] = scene.ask("h1", task)
    assert (refused["failed"], refused["changed"]) == (True, False)
    assert ("Stop them with async_job_cancel" if proven else "when these have ended. Stop them") in refused["msg"]
    assert "stop_leftovers: true" not in refused["msg"]
    assert scene.shell("h1", "cat /tmp/ledger") == "run\n"


def test_an_end_that_nobody_has_noted_so_far(controller: Controller, ledger: Path) -> None:
    """The record says lost. The look before the next attempt finds the result."""
    task = job(shell(f"echo run >>{ledger}"), options={"restart_on": ["lost"]})
    ask(controller, task)
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    away = controller.home / "away"
    (controller.home / ".ansible_async").rename(away)
    [looked] = ask(controller, {STATUS: {"job_name": "job"}})
    assert looked["status"] == "lost"
    away.rename(controller.home / ".ansible_async")
    [found] = ask(controller, {**task, "poll": 1})
    assert (found["status"], found["changed"], found["attempt"]) == ("succeeded", True, 1), found["reason"]
    assert lines(ledger) == ["run"]


def test_a_task_that_waits_for_what_was_left_behind(controller: Controller, ledger: Path) -> None:
    """When that has ended, the next attempt begins."""
    go = controller.project / "go"
    command = f"echo run >>{ledger}; (until [ -e {go} ]; do sleep 0.1; done) & exit 1"
    ask(controller, job(shell(command)))
    until(lambda: lines(ledger))
    task = job(shell(command), poll=1, options={**ALL, "max_attempts": 2})
    book = controller.write("waits.yml", json.dumps([play(task)]))
    waiting = controller.popen("playbook", "-i", controller.inventory, book)
    waiting.said_until("the next attempt waits")
    assert lines(ledger) == ["run"]
    go.touch()
    waiting.communicate(timeout=60)
    assert lines(ledger) == ["run", "run"]


def test_a_daemon_of_a_job_that_has_succeeded(controller: Controller, ledger: Path) -> None:
    """It was meant to stay. The job runs again when it is due. The user may want it stopped before that."""
    sleep = str(5000 + os.getpid())
    command = f"echo run >>{ledger}; nohup sleep {sleep} >/dev/null 2>&1 &"
    task = job(shell(command), poll=1, options={"rerun_after": 0})
    try:
        first, second = ask(controller, task, task)
        assert (first["status"], second["attempt"], len(alive(sleep))) == ("succeeded", 2, 2)
        [third] = ask(controller, {**task, **job(shell(command), poll=1, options={"rerun_after": 0, "stop_leftovers": True})})
        assert (third["status"], third["attempt"], len(alive(sleep))) == ("succeeded", 3, 2)  # that of the first attempt, and its own
    finally:
        for pid in alive(sleep):
            os.kill(pid, signal.SIGKILL)


def test_whoever_only_reads_the_output(controller: Controller, ledger: Path) -> None:
    """Somebody follows it, as with tail, or ships it elsewhere. That is no work of the job: it is not waited for, and not stopped."""
    sleep = str(6000 + os.getpid())
    task = job(shell(f"echo run >>{ledger}; exec sleep {sleep}"), options=ALL)
    ask(controller, task)
    until(lambda: alive(sleep))
    # In a session of its own: what has started the look is never taken for the job's.
    with subprocess.Popen(["tail", "-f", controller.record("job")["stdout_file"]], start_new_session=True) as reader:
        try:
            job_id = controller.record("job")["ansible_job_id"].rpartition(".")[0]
            for process in scan().processes.values():
                if job_id in process.argv or sleep in process.argv:
                    os.kill(process.pid, signal.SIGKILL)
            until(lambda: not alive(sleep) and not alive(job_id))
            [killed] = ask(controller, {STATUS: {"job_name": "job"}})
            assert killed["status"] == "killed", killed["reason"]
            [cancelled] = ask(controller, {CANCEL: {"job_name": "job"}})
            assert cancelled["stopped"] == []
            [again] = ask(controller, {**task, **job(shell("true"), poll=1, options={"restart_on": ["cancelled"], "on_change": "attach"})})
            assert (again["status"], again["attempt"]) == ("succeeded", 2)
            assert reader.poll() is None
        finally:
            reader.kill()


def test_what_begins_late_in_disguise(scene: Scene) -> None:
    """Nobody has looked at the job. What has cleared its environment, and all that it was started by is killed, may be its own."""
    command = "echo run >>/tmp/ledger; until [ -e /tmp/go ]; do sleep 0.2; done; env -i sleep 7000 >/dev/null 2>&1; true"
    task = job(shell(command), options=ALL)
    scene.ask("h1", task)
    record = scene.controller.record("job", host="h1")
    until(lambda: scene.test("h1", "test -e /tmp/ledger"))
    # A command that is started within half a minute is near its launcher in time, too.
    until(lambda: scene.test("h1", "[ $(ps -o etimes= -p $(pgrep -o -f '[a]sync_wrapper')) -gt 30 ]"))
    scene.shell("h1", "touch /tmp/go")
    until(lambda: scene.test("h1", "pgrep -f '^sleep 7000'"))
    scene.shell(
        "h1", 'for f in $(grep -ls "$1" /proc/[0-9]*/environ); do f=${f%/environ}; kill -KILL "${f#/proc/}"; done', record["attempt_dir"]
    )
    [started] = scene.ask("h1", task)
    assert not started["changed"], started["reason"]
    assert "may be its own" in started["msg"]
    assert scene.shell("h1", "cat /tmp/ledger") == "run\n"


def test_a_clock_that_was_set_back(scene: Scene) -> None:
    """What a job has started is younger than its results file says. It was started after the job was prepared, which no clock tells."""
    task = job(shell("echo run >>/tmp/ledger; env -i sleep 7000 >/dev/null 2>&1 </dev/null & sleep 7001"), options=ALL)
    scene.ask("h1", task)
    record = scene.controller.record("job", host="h1")
    until(lambda: scene.test("h1", "pgrep -f '^sleep 7000'"))
    scene.shell("h1", 'touch -d "+10 seconds" "$1"', record["results_file"])
    until(lambda: scene.test("h1", f"touch /tmp/now && [ /tmp/now -nt {record['results_file']} ]"))
    scene.shell(
        "h1", 'for f in $(grep -ls "$1" /proc/[0-9]*/environ); do f=${f%/environ}; kill -KILL "${f#/proc/}"; done', record["attempt_dir"]
    )
    [started] = scene.ask("h1", task)
    assert not started["changed"], started["reason"]
    assert scene.shell("h1", "cat /tmp/ledger") == "run\n"


# --- Records that vanish ----------------------------------------------------------------------------------------------


def test_a_record_that_vanishes_while_its_job_is_being_started(controller: Controller, ledger: Path) -> None:
    """Whoever starts it has seen its job, and notes that anew."""
    book = controller.write("starts.yml", json.dumps([play(job(shell(f"echo run >>{ledger}; exec sleep 60")))]))
    file = controller.state_dir / "host1/test/job.json"

    def prepared() -> bool:
        try:
            return '"prepared"' in file.read_text("utf-8")
        except OSError:
            return False

    starting = controller.popen("playbook", "-i", controller.inventory, book)
    until(prepared, pause=0.002)
    file.unlink()
    output, _none = starting.communicate(timeout=60)
    assert starting.returncode == 0, output
    assert controller.record("job")["status"] == "running"
    until(lambda: lines(ledger))
    [looked] = ask(controller, {STATUS: {"job_name": "job"}})
    assert looked["status"] == "running"
    assert lines(ledger) == ["run"]


def test_a_record_that_vanishes_between_two_tries(controller: Controller, ledger: Path) -> None:
    """The keyword C(until) runs the same task again. It has seen the job start."""
    task = job(shell(f"echo run >>{ledger}; exec sleep 5"), until="result is finished", retries=10, delay=1, register="result")
    book = controller.write("waits.yml", json.dumps([play(task)]))
    file = controller.state_dir / "host1/test/job.json"
    waiting = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: file.exists() and '"running"' in file.read_text("utf-8"))
    file.unlink()
    output, _none = waiting.communicate(timeout=120)
    assert waiting.returncode != 0, output
    assert "is gone" in output
    assert "It was started here as j" in output
    assert lines(ledger) == ["run"]


def test_a_record_that_vanishes_while_its_job_runs(controller: Controller, ledger: Path) -> None:
    """Whoever has started it, and waits, tells which job it was, and that it was started."""
    task = job(shell(f"echo run >>{ledger}; exec sleep 5"), poll=1, options=ALL)
    book = controller.write("waits.yml", json.dumps([play(task)]))
    file = controller.state_dir / "host1/test/job.json"
    waiting = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: file.exists() and '"running"' in file.read_text("utf-8") and lines(ledger))
    job_id = controller.record("job")["ansible_job_id"]
    file.unlink()
    output, _none = waiting.communicate(timeout=120)
    assert waiting.returncode != 0, output
    assert job_id in output
    assert lines(ledger) == ["run"]


def test_a_controller_that_was_overtaken(controller: Controller, ledger: Path) -> None:
    """It is stopped before it has noted a place; another one starts the job; the record vanishes; it goes on, and starts nothing."""
    task = job(shell(f"echo run >>{ledger}; exec sleep 60"), options={"claim_timeout": 1})
    book = controller.write("starts.yml", json.dumps([play(task)]))
    file = controller.state_dir / "host1/test/job.json"

    def claimed() -> bool:
        try:
            with (controller.state_dir / ".lock").open("ab") as lock:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it has done with the store
            return '"starting"' in file.read_text("utf-8")
        except OSError:
            return False

    slow = controller.popen("playbook", "-i", controller.inventory, book)
    until(claimed, pause=0.002)
    stopped = scan().family([slow.pid])  # the workers of newer releases have sessions of their own
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    assert claimed()
    try:
        [other] = ask(controller, task)
        assert other["changed"], other
        until(lambda: lines(ledger))
        file.unlink()
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    output, _none = slow.communicate(timeout=60)
    assert slow.returncode != 0, output
    assert "is gone" in output
    assert lines(ledger) == ["run"]


def test_a_store_that_is_away_when_a_job_has_started(controller: Controller, ledger: Path) -> None:
    """The start could not be noted, and the task tries again when the store is back, and empty."""
    task = job(shell(f"echo run >>{ledger}; exec sleep 20"), until="result is not failed", retries=3, delay=2, register="result")
    book = controller.write("starts.yml", json.dumps([play(task)]))
    place, away = controller.state_dir / "host1/test", controller.state_dir / "away"

    def prepared() -> bool:
        try:
            return '"prepared"' in (place / "job.json").read_text("utf-8")
        except OSError:
            return False

    starting = controller.popen("playbook", "-i", controller.inventory, book)
    until(prepared, pause=0.002)
    place.rename(away)
    place.touch()
    until(lambda: lines(ledger))
    assert starting.stdout is not None
    until(lambda: "RETRYING" in starting.stdout.readline())  # the start could not be noted
    place.unlink()
    output, _none = starting.communicate(timeout=120)
    assert starting.returncode != 0, output
    assert lines(ledger) == ["run"]


# --- Another place than the one that was asked for ---------------------------------------------------------------------


def test_a_job_that_has_started_elsewhere(controller: Controller, ledger: Path) -> None:
    """Something in between has its own directory for results files. Without C(max_attempts), a run of the task starts it anew once."""
    python = controller.project / "python"
    python.write_text(f'#!/bin/sh\nANSIBLE_ASYNC_DIR={controller.home}/its_own exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (controller.project / "library").mkdir()
    controller.write("library/fails.sh", f'#!/bin/sh\necho run >>{ledger}\necho \'{{"failed": true, "msg": "no luck"}}\'\n')
    task = job({"fails.sh": {}}, poll=1, options=ALL, vars={"ansible_python_interpreter": str(python)})
    first, second = (ask(controller, task)[0] for _run in range(2))
    assert (first["failed"], first["changed"], first["attempt"]) == (True, True, 1), first
    assert (second["changed"], second["attempt"]) == (True, 2), second
    assert lines(ledger) == ["run", "run"]


# --- Two tasks that differ --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_change", ["fail", "restart"])
def test_two_that_differ(controller: Controller, ledger: Path, on_change: str) -> None:
    """They share the attempts that there may be, with the pause between them, and one says that it has attached."""
    options = {"restart_on": ["failed"], "max_attempts": 2, "backoff": 2, "on_change": on_change}
    runs = []
    for name in "ab":
        held = f"until [ -e {controller.project}/go ]; do sleep 0.1; done"
        task = job(shell(f"echo {name} $(date +%s.%N) >>{ledger}; {held}; exit 1"), poll=1, options=options)
        book = controller.write(f"{name}.yml", json.dumps([play(task)]))
        runs.append(controller.popen("playbook", "-i", controller.inventory, book))
        until(lambda: lines(ledger))
    said = ""
    assert runs[1].stdout is not None
    while ": running" not in said:  # it has attached to the first attempt
        line = runs[1].stdout.readline()
        assert line, said
        said += line
    (controller.project / "go").touch()
    outputs = [run.communicate(timeout=120)[0] for run in runs] + [said]
    starts = [float(line.split()[1]) for line in lines(ledger)]
    assert len(starts) == 2, outputs
    assert starts[1] - starts[0] >= 2
    assert any("was started with other options than it has now" in output for output in outputs)


# --- Clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", ["yesterday", "in an hour"])
def test_the_clock_of_the_host(controller: Controller, ledger: Path, off: str, request: pytest.FixtureRequest) -> None:
    """It is a day behind, or an hour ahead: what ended just now did so just now."""
    hours = -24 if off == "yesterday" else 1
    # A Python whose clock is off, for all that runs on the host
    code = f"import time, runpy, sys, os\nreal = time.time\ntime.time = lambda: real() + {hours} * 3600\n"
    site = controller.project / "off"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        code
        + "real_stat, real_fstat = os.stat, os.fstat\n"
        + "class Status:\n"
        + "    def __init__(self, status): self._status = status\n"
        + f"    def __getattr__(self, name): return getattr(self._status, name) + ({hours} * 3600 if name == 'st_mtime' else 0)\n"
        + "os.fstat = lambda *args, **kwargs: Status(real_fstat(*args, **kwargs))\n"
    )
    python = controller.project / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec "{controller.environment["ANSIBLE_PYTHON_INTERPRETER"]}" "$@"\n')
    python.chmod(0o755)
    env = {"ANSIBLE_PYTHON_INTERPRETER": str(python)}
    task = job(shell(f"echo run >>{ledger}"), poll=1, options={"rerun_after": 60})
    first, second = told(run_tasks(controller, task, task, env=env))
    [natives] = ask(controller, asked_natively(controller.record("job")))
    clock = "a day behind" if hours < 0 else "an hour ahead"
    request.node.user_properties.append(
        row_of(f"the clock of the host is {clock}, `rerun_after: 60`, a minute is not over", second, natives)
    )
    assert (first["attempt"], second["attempt"], lines(ledger)) == (1, 1, ["run"])
    record = controller.record("job")
    assert abs(record["ended"]["up"] - _up()) < 60
    prune: dict[str, t.Any] = {"rstyczynski.ansible.async_job_prune": {"older_than": "30s", "apply": True, "store_only": True}}
    [pruned] = told(run_tasks(controller, prune, env=env))
    assert pruned["removed"] == 0
    # A retry comes when it is due
    fails = job(
        shell(f"echo again >>{ledger}; exit 1"), name="fails", poll=1, options={"restart_on": ["failed"], "max_attempts": 2, "backoff": 2}
    )
    [failed] = told(run_tasks(controller, fails, env=env))
    assert (failed["status"], failed["attempt"]) == ("failed", 2)


def _up() -> float:
    return float(Path("/proc/uptime").read_text("utf-8").split()[0])


# --- Results and limits -----------------------------------------------------------------------------------------------


def test_what_a_result_says(controller: Controller) -> None:
    """A module that says it has not failed has not, whatever its return code; a shell names the signal that killed its command."""
    controller.write(
        "library/says.py",
        "#!/usr/bin/python\nfrom ansible.module_utils.basic import AnsibleModule\nAnsibleModule({}).exit_json(rc=3, failed=False)\n",
    )
    fine, shot = ask(controller, job({"says": {}}, name="fine", poll=1), job(shell("sh -c 'kill -9 $$'; exit $?"), name="shot", poll=1))
    assert (fine["status"], fine["failed"]) == ("succeeded", False), fine
    assert shot["status"] == "failed"
    assert "return code 137, which is that of a shell whose command was killed by signal 9 (SIGKILL)" in shot["reason"]


def test_a_shorter_limit_of_another_task(controller: Controller) -> None:
    """It attaches, and waits as long as the job may take by the limit that it was started with."""
    go = controller.project / "go"
    command = shell(f"until [ -e {go} ]; do sleep 0.1; done")
    ask(controller, job(command, limit=600))
    book = controller.write("waits.yml", json.dumps([play({**job(command, limit=1, poll=1), "register": "answer"})]))
    waiting = controller.popen("playbook", "-i", controller.inventory, book)
    assert waiting.stdout is not None
    while "running 00:00:3" not in (line := waiting.stdout.readline()):  # its own limit, and the half a minute that is added
        assert line
    assert "running 00:00:34" not in line or waiting.poll() is None
    go.touch()
    output, _none = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, output


def test_a_result_is_noted_before_its_file_goes(controller: Controller, ledger: Path) -> None:
    """`mode: cleanup` by name throws nothing away that nobody knows. What runs stays."""
    task = job(shell(f"echo run >>{ledger}; exit 3"), options={"restart_on": ["lost"]})
    cleanup = {STATUS: {"job_name": "job", "mode": "cleanup"}}
    ask(controller, task)
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    until(lambda: not alive(controller.record("job")["ansible_job_id"].rpartition(".")[0]))
    [removed] = ask(controller, cleanup)
    assert removed["erased"]
    assert (controller.record("job")["status"], controller.record("job")["result"]["rc"]) == ("failed", 3)
    [again] = ask(controller, task)
    # It is the first task to return how the job has ended, whoever has noted that.
    assert (again["status"], again["changed"], lines(ledger)) == ("failed", True, ["run"])
    ask(controller, job(shell("exec sleep 60"), name="runs"))
    [refused] = ask(controller, {STATUS: {"job_name": "runs", "mode": "cleanup"}})
    assert refused["failed"]
    assert "Nothing was removed" in refused["msg"]


# --- Stores that are not there ------------------------------------------------------------------------------------------


def test_an_empty_mount_point(controller: Controller, ledger: Path) -> None:
    """The disk of the store is not mounted. Whoever does not want a new one in its place says so; everybody is told."""
    task = job(shell(f"echo run >>{ledger}"), poll=1)
    ran = run_tasks(controller, task)
    assert f"A new store is made in {controller.state_dir}: no job is known there." in ran.text
    assert "A new store is made" not in run_tasks(controller, task).text
    controller.state_dir.rename(controller.project / "away")
    controller.state_dir.mkdir(mode=0o700)
    (controller.state_dir / "NOT_MOUNTED").touch()  # as administrators put it below a mount point
    careful = {"async_job_create_store": False}
    [refused] = ask(controller, task, vars=careful)
    assert "There is no store in" in refused["msg"]
    assert "create_store is false" in refused["msg"]
    assert lines(ledger) == ["run"]
    shutil.rmtree(controller.state_dir)
    [refused] = ask(controller, task, vars=careful)
    assert "create_store is false" in refused["msg"]
    (controller.project / "away").rename(controller.state_dir)
    [found] = ask(controller, task, vars=careful)
    assert (found["status"], found["changed"]) == ("succeeded", False)
