# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job lives in a place, not under a name: on one machine, in one container, on one disk. From elsewhere, nothing is concluded."""

from __future__ import annotations

import json
import typing as t

from faults import Scene, asked_natively
from plays import Yaml, job, shell
from waiting import until

ASYNC_JOB = "rstyczynski.ansible.async_job"
RESTARTED: Yaml = {"restart_on": ["lost", "killed", "failed"]}


def leads_to(scene: Scene, host: str, *more: str) -> None:
    """Let the name db lead to this host from now on."""
    lines = {line.split()[0]: line for line in scene.hosts.inventory_lines()}
    scene.controller.hosts(" ".join([f"db ansible_host={host}", lines[host].partition(" ")[2], *more]))


def status(**args: t.Any) -> Yaml:
    return {f"{ASYNC_JOB}_status": {"job_name": "job", **args}}


KILL = "pkill -KILL -f [a]sync_wrapper; pkill -KILL -f [A]nsiballZ; pkill -KILL -x sleep"
CANCEL: Yaml = {f"{ASYNC_JOB}_cancel": {"job_name": "job", "grace_period": 1}}
VERIFY: Yaml = {f"{ASYNC_JOB}_verify": {}}


def sleeps(scene: Scene, host: str = "h1", seconds: int = 1000) -> int:
    """How many processes of a job are there."""
    return sum(process.line == f"sleep {seconds}" for process in scene.processes(host).values())


def rewrite(scene: Scene, host: str = "h1", **fields: t.Any) -> None:
    """Let the record say something else. None takes a field away."""
    record = {**scene.controller.record("job", host=host), **fields}
    kept = {name: value for name, value in record.items() if value is not None}
    (scene.controller.state_dir / host / "test" / "job.json").write_text(json.dumps(kept))


def test_another_machine_by_the_same_name(scene: Scene) -> None:
    """A failover, another inventory: the job is neither lost nor killed, nothing is started, and nothing is said to be stopped."""
    leads_to(scene, "h1")
    task = job(shell("exec sleep 1000"), limit=3600, options=RESTARTED)
    scene.ask("db", task, status())
    record = scene.controller.record("job", host="db")
    assert record["place"]["nodename"] == "h1"
    leads_to(scene, "h2")
    looked, started, cancelled, verified, natives = scene.ask("db", status(), task, CANCEL, VERIFY, asked_natively(record))
    scene.tell("the name leads to another machine now", looked, natives)
    assert (looked["status"], looked["failed"], looked["finished"]) == ("unknown", True, False)
    assert "it was started on another machine (h1; this is h2)" in looked["reason"]
    assert (started["status"], started["changed"]) == ("unknown", False)
    assert cancelled["failed"]
    assert "another machine" in cancelled["msg"]
    assert "Nothing was stopped" in cancelled["msg"]
    assert (verified["unclear"], verified["changed"]) == (1, False)
    assert (sleeps(scene, "h1"), sleeps(scene, "h2")) == (1, 0)
    leads_to(scene, "h1")
    [looked] = scene.ask("db", status())
    assert looked["status"] == "running"


def test_a_failed_job_of_another_machine(scene: Scene) -> None:
    """Whether something of it still runs, nobody can tell from here. So there is no next attempt."""
    leads_to(scene, "h1")
    task = job(shell("exit 1"), poll=1, options=RESTARTED)
    scene.ask("db", {**task, ASYNC_JOB: {**task[ASYNC_JOB], "restart_on": []}})
    leads_to(scene, "h2")
    [started] = scene.ask("db", task)
    assert started["failed"]
    assert "another machine" in started["msg"]
    assert "Nothing was started" in started["msg"]
    assert scene.controller.record("job", host="db")["attempt"] == 1


def test_another_container(scene: Scene) -> None:
    """Of the same machine, in the same boot, with the same disk: its processes are not seen."""
    scene.shell(
        "h1",
        'printf \'#!/bin/sh\\nexec unshare --pid --fork "%s" "$@"\\n\' "$1" >/opt/contained; chmod 755 /opt/contained',
        scene.hosts.pythons[scene.hosts._current],
    )
    leads_to(scene, "h1")
    task = job(shell("exec sleep 1000"), limit=3600, options=RESTARTED)
    scene.ask("db", task)
    leads_to(scene, "h1", "ansible_python_interpreter=/opt/contained")
    looked, cancelled, natives = scene.ask("db", status(), CANCEL, asked_natively(scene.controller.record("job", host="db")))
    scene.tell("the name leads to another container of the same machine now", looked, natives)
    assert looked["status"] == "unknown"
    assert "another container" in looked["reason"]
    assert cancelled["failed"]
    assert sleeps(scene) == 1


def test_a_directory_that_is_gone(scene: Scene) -> None:
    """In the same boot, on the same disk: it is lost, and started anew only if the user wants that of lost jobs."""
    task = job(shell("echo run >>~/ledger; exec sleep 1000"), limit=3600)
    scene.ask("h1", task)
    until(lambda: sleeps(scene))
    scene.shell("h1", f"{KILL}; rm -rf ~/.ansible_async")
    started, natives = scene.ask("h1", task, asked_natively(scene.controller.record("job", host="h1")))
    scene.tell("KILL all, and ~/.ansible_async is removed, in the same boot", started, natives)
    assert (started["status"], started["changed"]) == ("lost", False), started["reason"]
    [started] = scene.ask("h1", {**task, ASYNC_JOB: {**task[ASYNC_JOB], "restart_on": ["lost"]}})
    assert (started["status"], started["attempt"]) == ("running", 2)


def test_a_directory_that_is_gone_before_anybody_has_seen_the_start(scene: Scene) -> None:
    """The controller has died as well. That it was never started, nobody can say."""
    task = job(shell("echo run >>~/ledger; exec sleep 1000"), limit=3600)
    scene.ask("h1", task)
    until(lambda: sleeps(scene))
    rewrite(scene, status="prepared", ansible_job_id="", results_file=None, claim={"who": "somebody who is gone", "fenced": 0})
    scene.shell("h1", f"{KILL}; rm -rf ~/.ansible_async")
    late = {**task, ASYNC_JOB: {**task[ASYNC_JOB], "claim_timeout": 1}}
    [started] = scene.ask("h1", late)
    assert (started["status"], started["changed"]) == ("lost", False), started.get("msg")
    assert "was removed while the job was being started" in started["reason"]
    assert scene.shell("h1", "cat ~/ledger") == "run\n"
    [started] = scene.ask("h1", {**late, ASYNC_JOB: {**late[ASYNC_JOB], "restart_on": ["lost"]}})
    assert (started["status"], started["changed"]) == ("running", True), started.get("msg")


def test_a_disk_that_is_not_mounted(scene: Scene) -> None:
    """Its files are not gone. Nobody takes its job for lost, and nobody starts it anew on the empty mount point."""
    scene.shell("h1", "mkdir -p /mnt/jobs /mnt/away; mount -t tmpfs jobs /mnt/jobs; chmod 755 /mnt/jobs")
    task = job(shell("echo run >>~/ledger; exec sleep 1000"), limit=3600, vars={"ansible_async_dir": "/mnt/jobs/async"}, options=RESTARTED)
    scene.ask("h1", task)
    until(lambda: sleeps(scene))
    scene.shell(
        "h1",
        f"{KILL}; mount --bind /mnt/jobs /mnt/away; umount -l /mnt/jobs",
    )
    looked, started, natives = scene.ask("h1", status(), task, asked_natively(scene.controller.record("job", host="h1")))
    scene.tell("KILL all, and the disk of the directory is not mounted any more", looked, natives)
    for answer in looked, started:
        assert answer["status"] == "unknown", answer
        assert "its disk is not mounted at /mnt/jobs" in answer["reason"]
    assert scene.shell("h1", "cat ~/ledger") == "run\n"
    scene.shell("h1", "mount --bind /mnt/away /mnt/jobs")
    looked, natives = scene.ask("h1", status(), asked_natively(scene.controller.record("job", host="h1")))
    scene.tell("and it is mounted again", looked, natives)
    assert looked["status"] == "killed", looked["reason"]


def test_a_reboot_before_the_start_was_seen(scene: Scene) -> None:
    """Its place was chosen in another boot than it was started in. What runs, runs; what was killed, was killed."""
    # What is written in the first two seconds of a boot proves nothing, and these hosts are up sooner than that.
    until(lambda: float(scene.shell("h1", "cat /proc/uptime").split()[0]) > 3)
    task = job(shell("exec sleep 1000"), limit=3600)
    scene.ask("h1", task)
    until(lambda: sleeps(scene))
    other = {
        "boot_id": "another boot",
        "place": {**scene.controller.record("job", host="h1")["place"], "boot_id": "another boot", "time": 1},
    }
    rewrite(scene, status="prepared", ansible_job_id="", results_file=None, claim={"who": "somebody who is gone", "fenced": 0}, **other)
    [started] = scene.ask("h1", {**task, ASYNC_JOB: {**task[ASYNC_JOB], "claim_timeout": 1}})
    assert (started["status"], started["changed"]) == ("running", False), started.get("msg")
    record = scene.controller.record("job", host="h1")
    assert record["boot_id"] == record["place"]["boot_id"] != "another boot"
    rewrite(scene, **other)
    scene.shell("h1", KILL)
    looked, natives = scene.ask("h1", status(), asked_natively(record))
    scene.tell("a reboot between prepare and launch, then KILL all", looked, natives)
    assert looked["status"] == "killed", looked["reason"]


def test_a_controller_that_died_right_after_the_launch(scene: Scene) -> None:
    """Whoever looks finds the job: nobody has to start its playbook to stop it."""
    task = job(shell("exec sleep 1000"), limit=3600)
    gone: Yaml = {"status": "prepared", "ansible_job_id": "", "results_file": None, "claim": {"who": "somebody who is gone", "fenced": 0}}
    scene.ask("h1", task)
    until(lambda: sleeps(scene))
    job_id = scene.controller.record("job", host="h1")["ansible_job_id"]
    for ask, expected in ((status(), "running"), (VERIFY, "running"), (CANCEL, "cancelled")):
        rewrite(scene, **gone)
        [answer] = scene.ask("h1", ask)
        assert not answer.get("msg"), answer
        record = scene.controller.record("job", host="h1")
        assert (record["status"], record["ansible_job_id"]) == (expected, job_id)
        assert "claim" not in record
    until(lambda: not sleeps(scene))


def test_nothing_is_made_of_a_job_that_was_only_prepared(scene: Scene) -> None:
    """It has not started so far. Whose turn it is to find out more, is said."""
    scene.ask("h1", job(shell("true"), poll=1))
    directory = scene.controller.record("job", host="h1")["attempt_dir"].rpartition("/")[0] + "/" + "0" * 32
    place = {"attempt_dir": directory, "async_dir": directory, "stdout_file": None, "stderr_file": None, "end": None, "result": None}
    rewrite(scene, status="prepared", ansible_job_id="", results_file=None, claim={"who": "jane@bastion", "fenced": 0}, **place)
    before = scene.controller.record("job", host="h1")
    looked, verified, cancelled = scene.ask("h1", status(), VERIFY, CANCEL)
    assert (looked["status"], looked["finished"]) == ("prepared", False)
    assert "is being started by jane@bastion" in looked["reason"]
    assert not verified["changed"]
    assert "has not started so far. Nothing was stopped" in cancelled["msg"]
    assert scene.controller.record("job", host="h1") == before
