# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can happen to a background job on a real host, and what is said of it then: by job id, by name, and by Ansible itself.

The end of the run shows that as a table. With C(TORTURE=1) in the environment, what takes minutes is played too.
"""

from __future__ import annotations

import json
import subprocess
import typing as t
from collections.abc import Iterable

import pytest
from ansible.module_utils import basic
from controller import Controller
from faults import Answer, Job, Process, Scene, native_verdict
from plays import told
from torture import TORTURE
from waiting import until

# A process that has cut all ties with what has started it.
DAEMON = """python3 -c 'import os, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
time.sleep(1000)' </dev/null >/dev/null 2>&1"""


# --- Killed processes ---------------------------------------------------------------------------------------------------


def test_killed(scene: Scene) -> None:
    """Each of the processes of a job, with its others left to themselves. No other job is concerned."""
    jobs = scene.hold("h1", "TERM", "KILL", "module", "runner", "watcher", "both", "other") | scene.hold("h1", "group")
    for name in ("TERM", "KILL"):
        module = scene.module(jobs[name])
        [shell] = [process for process in scene.commands(jobs[name]) if process.ppid == module.pid]
        scene.kill("h1", name, shell.pid)
    scene.kill("h1", "KILL", scene.module(jobs["module"]).pid, scene.runner(jobs["runner"]).pid, scene.watcher(jobs["watcher"]).pid)
    scene.kill("h1", "KILL", *(process.pid for process in scene.wrappers(jobs["both"])))
    scene.kill_all(jobs["group"])
    scene.without_runner(jobs["TERM"], jobs["KILL"], jobs["module"])

    looks = scene.look(*jobs.values())
    for name, code in (("TERM", 15), ("KILL", 9)):
        scene.expect(f"{name} the job's shell", looks[name], "orphaned", f"signal {code} (SIG{name})", "its work goes on")
    scene.expect("KILL the runner", looks["runner"], "orphaned", "no result will come", "its work goes on")
    scene.expect("KILL the watcher", looks["watcher"], "running", "time limit is no longer enforced")
    scene.expect("KILL both wrapper processes", looks["both"], "orphaned", "no result will come", "its work goes on")
    scene.expect("KILL the process group", looks["group"], "killed", "its command left no result")
    scene.expect("nothing, while others are killed", looks["other"], "running")

    scene.ended(*(jobs[name] for name in jobs if name not in ("watcher", "other")))
    looks = scene.look(*(jobs[name] for name in ("TERM", "KILL", "module")))
    for name, code in (("TERM", 15), ("KILL", 9)):
        scene.expect(f"{name} the job's shell, 5 s later", looks[name], "orphaned", f"signal {code} (SIG{name})", "its work goes on")
    scene.expect("KILL the module, 5 s later", looks["module"], "orphaned", "no result will come", "its work goes on")

    scene.release(*(jobs[name] for name in jobs if name != "group"))
    scene.ended(*jobs.values())
    looks = scene.look(*jobs.values())
    for name, code in (("TERM", 15), ("KILL", 9)):
        scene.expect(f"{name} the job's shell, and what it waited for has ended", looks[name], "killed", f"signal {code} (SIG{name})")
        assert looks[name].by_name["rc"] == -code
    scene.expect("KILL the module, and the command has ended", looks["module"], "killed", "module of", "before it could return a result")
    scene.expect("KILL the runner, and the command has ended", looks["runner"], "killed", "its command left no result")
    scene.expect("KILL the watcher, and the command has ended", looks["watcher"], "succeeded")
    scene.expect("KILL both wrapper processes, and the command has ended", looks["both"], "killed", "its command left no result")
    scene.expect("KILL the process group, later", looks["group"], "killed", "its command left no result")
    scene.expect("nothing, and it has ended", looks["other"], "succeeded")
    for name in ("watcher", "other"):
        assert looks[name].by_name["stdout"].strip() == f"{name} is done"


def test_killed_module(scene: Scene) -> None:
    """Ansible has a result then, if only of its own making, and the command goes on: before the watcher has seen that, and after.

    The watcher cannot be stopped meanwhile: it is in the process group of the module, and when what ties that group to its session
    ends, the system sends SIGHUP to a group that has a stopped process in it.
    """
    # Of jobs that were started within a second, nobody could tell.
    jobs = scene.hold("h1", "silent") | scene.hold("h1", "talking")
    talking = scene.module(jobs["talking"]).pid
    scene.shell("h1", 'echo "/bin/sh: warning: setlocale" >"/proc/$1/fd/2"', str(talking))
    scene.kill("h1", "KILL", talking, scene.module(jobs["silent"]).pid)
    scene.without_runner(*jobs.values())
    for when in ("at once", "later"):
        looks = scene.look(*jobs.values())
        for name in jobs:
            scene.expect(f"KILL the module ({name}), {when}", looks[name], "orphaned", "its work goes on")
        scene.ended(*jobs.values())


@pytest.mark.parametrize("user", ["op", "root"] if TORTURE else ["op"])
def test_ties_cut(scene: Scene, user: str) -> None:
    """The wrapper and the module are killed, as a machine without memory does it. The command goes on, in a disguise."""
    scene.user(user)
    alone = {"env -i": "touch /tmp/ready; exec env -i sleep 1000"}
    commands = {
        "setsid": "touch /tmp/1; exec setsid sleep 1000",
        "sudo": "touch /tmp/2; exec sudo sleep 1000",
        "nohup": "nohup sleep 1000 >/dev/null 2>&1 &",
    }
    jobs = scene.start("h1", commands) | scene.start("h2", alone)
    until(lambda: scene.test("h1", "test -e /tmp/1 -a -e /tmp/2") and scene.test("h2", "test -e /tmp/ready"))
    scene.ended(jobs["nohup"])
    killed = [name for name in jobs if name != "nohup"]
    for name in killed:
        scene.kill(jobs[name].host, "KILL", *(process.pid for process in scene.wrappers(jobs[name])), scene.module(jobs[name]).pid)
    looks = scene.look(*(jobs[name] for name in commands)) | scene.look(jobs["env -i"])
    scene.expect("`nohup COMMAND &`", looks["nohup"], "succeeded", "left processes behind")
    for name in killed:
        fault = f"KILL both wrapper processes and the module of `exec {name}`"
        if name == "sudo":
            scene.expect(fault, looks[name], "orphaned", "no result will come")
        else:  # it may as well be what a job has left behind that Ansible has seen end, or no work of a job at all
            scene.expect(fault, looks[name], "unknown", "its wrapper was killed", "nobody can tell whether its work goes on")


@pytest.mark.parametrize("user", ["op", "root"] if TORTURE else ["op"])
def test_side_by_side(scene: Scene, user: str) -> None:
    """Two jobs in one results directory: what is done to one changes nothing of what is said of the other, in either order."""
    scene.user(user)
    # Of jobs that were started within a second, nobody could tell.
    jobs = scene.hold("h1", "a") | scene.hold("h1", "b", "c") | scene.hold("h1", "d")
    first, second = ("a", "d"), ("b", "c")
    for name in first:
        scene.kill("h1", "KILL", *(process.pid for process in scene.wrappers(jobs[name])))
    looks = scene.look(*jobs.values())
    for name in first:
        scene.expect(
            f"KILL the wrapper of one of two jobs, the {'earlier' if name == 'a' else 'later'} one", looks[name], "orphaned", "goes on"
        )
    for name in second:
        scene.expect(f"its neighbour, the {'later' if name == 'b' else 'earlier'} one", looks[name], "running")
    scene.kill_all(*(jobs[name] for name in second))
    looks = scene.look(*jobs.values())
    for name in first:
        scene.expect(f"the orphan {name}, beside killed jobs", looks[name], "orphaned", "goes on")
    for name in second:
        scene.expect(f"KILL the job {name}, beside orphans", looks[name], "killed", "its command left no result")


@pytest.mark.torture
def test_started_together(scene: Scene) -> None:
    """At the same moment, by one controller that knows the host by several names. Half of the jobs lose their wrapper then."""
    aliases = [f"together{number}" for number in range(8)]
    _play_on_aliases(
        scene,
        {alias: "" for alias in aliases},
        "mkfifo '/tmp/go {{ inventory_hostname }}'; cat '/tmp/go {{ inventory_hostname }}'",
    )
    scene.user("root")
    jobs = {alias: Job("h1", alias, scene.controller.record(alias, host="h1")["ansible_job_id"]) for alias in aliases}
    until(lambda: (seen := scene.processes("h1")) and all(scene.commands(job, seen) for job in jobs.values()))
    orphans, others = aliases[::2], aliases[1::2]
    scene.kill("h1", "KILL", *(process.pid for alias in orphans for process in scene.wrappers(jobs[alias])))
    scene.release(*(jobs[alias] for alias in others))
    scene.ended(*jobs.values())
    looks = scene.look(*jobs.values())
    for alias in orphans:
        for answer in looks[alias][1:]:
            # Whose they are, the numbers prove only as long as no other job's launcher is near.
            assert answer["status"] in ("orphaned", "unknown"), answer["reason"]
            assert {process.pid for process in scene.commands(jobs[alias])} <= {process["pid"] for process in answer["processes"]}, answer
    for alias in others:
        scene.expect("the result of another one of them", looks[alias], "succeeded")
        for answer in looks[alias][1:]:
            assert "descendant" not in {process["role"] for process in answer.get("processes", ())}, answer["reason"]


def test_daemons_of_others(scene: Scene) -> None:
    """What another job, or nobody's job, has left behind is no work of this one."""
    scene.user("op")
    jobs = scene.start("h1", {"leaves": f"until [ -e /tmp/go ]; do sleep 0.1; done; {DAEMON}; sleep 1000"})
    jobs |= scene.hold("h1", "short", "dead")
    scene.release(jobs["short"])
    scene.ended(jobs["short"])
    scene.look(*jobs.values(), native=False)  # now their sessions are known
    scene.shell("h1", "sudo -u op touch /tmp/go; setsid sh -c 'sleep 1001 >/dev/null 2>&1 & exit'")
    until(lambda: scene.test("h1", "pgrep -f '^python3 .*time.sleep' && pgrep -f 'sleep 1001'"))
    scene.kill_all(jobs["dead"])
    looks = scene.look(*jobs.values())
    scene.check("KILL the process group, beside daemons", looks["dead"].by_name, "killed", "its command left no result")
    scene.expect("a daemon of another job, this one has ended", looks["short"], "succeeded")
    for answer in looks["short"][1:]:
        assert "descendant" not in {process["role"] for process in answer.get("processes", ())}, answer["reason"]


def test_a_daemon_of_a_job_that_ansible_has_seen_end(scene: Scene) -> None:
    """Its results file is gone, so nothing tells any more whose the daemon is. It is not called the work of the job that was killed."""
    scene.user("op")
    jobs = scene.hold("h1", "dead") | scene.hold("h2", "done")
    leaving = {"_raw_params": "nohup sleep 1000 >/dev/null 2>&1 &"}
    for host in ("h1", "h2"):
        scene.task(host, "ansible.builtin.shell", leaving, before="async: 60\n      poll: 1")
    scene.kill_all(jobs["dead"])
    scene.release(jobs["done"])
    scene.ended(*jobs.values())
    looks = scene.look(jobs["dead"]) | scene.look(jobs["done"])
    scene.expect("KILL the process group, beside a daemon of a job that Ansible has seen end", looks["dead"], "unknown", "may be its own")
    scene.expect("such a daemon, and the job has ended", looks["done"], "succeeded")
    for answer in (*looks["dead"][1:], *looks["done"][1:]):
        assert "descendant" not in {process["role"] for process in answer.get("processes", ())}, answer["reason"]


def test_reused_pid(scene: Scene) -> None:
    """Another process has the number of the runner now, and another its session."""
    jobs = scene.hold("h1", "unseen", "seen")
    scene.look(jobs["seen"], native=False)
    runners = [scene.runner(job) for job in jobs.values()]
    scene.kill_all(*jobs.values())
    scene.ended(*jobs.values())
    for runner in runners:
        for pid in (runner.pid, runner.sid):
            until(lambda pid=pid: _occupied(scene, "h1", pid))
    looks = scene.look(*jobs.values())
    for name in jobs:
        scene.expect(f"another process has the runner's pid ({name} before)", looks[name], "killed", "its command left no result")


def _occupied(scene: Scene, host: str, pid: int) -> bool:
    """Start a process with this number, in a session of its own."""
    scene.shell(host, f"echo {pid - 1} >/proc/sys/kernel/ns_last_pid; exec setsid -f sleep 1000 >/dev/null 2>&1")
    process = scene.processes(host).get(pid)
    return process is not None and process.line == "sleep 1000"


# --- Results files ------------------------------------------------------------------------------------------------------


def test_damaged_results_file(scene: Scene) -> None:
    """The file alone proves nothing."""
    damages = {"truncated": '{"changed": true, "stdo', "empty": "", "garbage": "\x01\x02garbage", "a list": "[1]", "nothing in it": "{}"}
    alive = {f"{damage}, the runner is alive": damage for damage in damages}
    dead = {f"{damage}, the runner is dead": damage for damage in damages}
    jobs = scene.hold("h1", *alive, *dead)
    for name, damage in (alive | dead).items():
        scene.shell("h1", 'printf %s "$2" >"$1"', scene.results_file(jobs[name]), damages[damage])
    scene.kill_all(*(jobs[name] for name in dead))
    looks = scene.look(*jobs.values())
    for name in alive:
        scene.expect(f"results file {name}", looks[name], "running", "has been running for", "results file")
    for name in dead:
        scene.expect(f"results file {name}", looks[name], "killed", "its command left no result", "results file")
    scene.release(*(jobs[name] for name in alive))
    scene.ended(*jobs.values())
    for name, answers in scene.look(*jobs.values(), native=False).items():
        for answer in answers[1:]:
            scene.check(f"results file {name}, later", answer, "succeeded" if name in alive else "killed")


def test_cleanup_while_running(scene: Scene) -> None:
    """The results file is removed, and comes back when the job ends."""
    jobs = scene.hold("h1", "native", "ours", "dead") | scene.hold("h2", "orphan")
    scene.task("h1", "ansible.builtin.async_status", {"jid": jobs["native"].id, "mode": "cleanup"})
    for name in ("ours", "dead", "orphan"):
        answer, _seconds = scene.task(jobs[name].host, "rstyczynski.ansible.async_job_status", {"jid": jobs[name].id, "mode": "cleanup"})
        assert answer["erased"] == scene.results_file(jobs[name])
    looks = scene.look(*(jobs[name] for name in ("native", "ours")))
    for name in ("native", "ours"):
        scene.expect(f"`mode: cleanup` while running ({name})", looks[name], "running", "no results file", "it was removed")
    scene.kill_all(jobs["dead"])
    scene.kill("h2", "KILL", *(process.pid for process in scene.wrappers(jobs["orphan"])))
    scene.release(jobs["native"], jobs["ours"])
    scene.ended(*jobs.values())
    looks = scene.look(*(jobs[name] for name in ("native", "ours", "dead"))) | scene.look(jobs["orphan"])
    for name in ("native", "ours"):
        scene.expect(f"`mode: cleanup` while running, later ({name})", looks[name], "succeeded")
    scene.expect("`mode: cleanup`, then KILL the process group", looks["dead"], "lost", "It was removed")
    scene.expect("`mode: cleanup`, then KILL both wrapper processes", looks["orphan"], "orphaned")


def test_wrong_clock(scene: Scene) -> None:
    """The clock of the host was set to another time after the start of the jobs."""
    jobs = scene.hold("h1", "ahead", "behind", "behind, orphan")
    scene.look(*jobs.values(), native=False)
    scene.kill("h1", "KILL", *(process.pid for name in ("ahead", "behind, orphan") for process in scene.wrappers(jobs[name])))
    scene.kill_all(jobs["behind"])
    for name, job in jobs.items():
        scene.shell("h1", 'touch -d "$2" "$1"', scene.results_file(job), "now + 1 hour" if name == "ahead" else "now - 1 hour")
    looks = scene.look(*jobs.values())
    scene.expect("KILL both wrapper processes, then the clock is set back", looks["ahead"], "orphaned", "its work goes on")
    scene.expect("KILL both wrapper processes, then the clock is set ahead", looks["behind, orphan"], "orphaned", "its work goes on")
    scene.check("KILL the process group, then the clock is set ahead", looks["behind"].by_name, "killed", "its command left no result")


# --- Reboots ------------------------------------------------------------------------------------------------------------


def test_reboot(scene: Scene) -> None:
    """With the disk kept, and with an empty one: of jobs that were never looked at, that were, and that had ended."""
    jobs = {}
    for host in scene.hosts.names:
        jobs[host] = scene.start(host, {"done": "echo done"}) | scene.hold(host, "new", "seen")
        scene.without_runner(jobs[host]["done"])
        scene.look(jobs[host]["seen"], jobs[host]["done"], native=False)
    scene.hosts.disconnect()
    scene.hosts.reboot("h1")
    scene.hosts.wipe("h2")
    looks = scene.look(*jobs["h1"].values())
    scene.expect("reboot, home kept", looks["new"], "lost", "rebooted at", "after the job started")
    scene.expect("reboot, home kept, after an earlier look", looks["seen"], "lost", "rebooted at", "after the job started")
    scene.expect("reboot, home kept, after the end of the job", looks["done"], "succeeded")
    looks = scene.look(*jobs["h2"].values())
    scene.expect("reboot, home lost", looks["new"], "lost", "not there")
    scene.expect("reboot, home lost, after an earlier look", looks["seen"], "lost", "rebooted at")
    scene.expect("reboot, home lost, after the end of the job", looks["done"], "succeeded")


# --- Full disks -----------------------------------------------------------------------------------------------------------


def test_full_disk_at_the_end(scene: Scene) -> None:
    """There is no room for the result: none at all, or for its beginning."""
    jobs = scene.hold("h1", "nothing") | scene.hold("h2", "its beginning", before="seq 10000;")
    scene.hosts.fill("h1")
    scene.hosts.fill("h2", 4096)
    scene.release(*jobs.values())
    scene.without_runner(*jobs.values())
    for job in jobs.values():
        scene.expect(f"disk full at the end, room for {job.name}", scene.look(job)[job.name], "killed", "disk")
    scene.ended(*jobs.values())
    for job in jobs.values():
        scene.hosts.unfill(job.host)
        scene.expect(f"disk full at the end, room for {job.name}, later there is room", scene.look(job)[job.name], "killed", "disk")


def test_never_started(scene: Scene) -> None:
    """Ansible says that it was started, and the command never ran."""
    scene.user("op", "ansible_remote_tmp=/tmp/.ansible")
    scene.hosts.fill("h1")
    jobs = scene.start("h1", {"full": "touch /tmp/ran"})
    looks = scene.look(jobs["full"])
    scene.user("op", "ansible_remote_tmp=/tmp/.ansible", "ansible_async_dir=/var/lib")
    jobs |= scene.start("h2", {"read-only": "touch /tmp/ran"})
    scene.ended(*jobs.values())  # whose the watcher is, nobody can tell in a directory of another user
    looks |= scene.look(jobs["read-only"])
    scene.expect("disk full at the start", looks["full"], "lost", "never started", "the disk is full")
    scene.expect("async_dir not writable at the start", looks["read-only"], "lost", "never started")
    for job in jobs.values():
        assert scene.test(job.host, "test ! -e /tmp/ran")


# --- Time -----------------------------------------------------------------------------------------------------------------


def test_time_limit(scene: Scene) -> None:
    """Ansible enforces it on the process group of the job, 5 to 10 seconds late."""
    jobs = scene.start("h1", {"plain": "sleep 1000", "session": "setsid sleep 1001; sleep 1000"}, limit=15)
    jobs |= scene.hold("h1", "watcher", limit=15)
    scene.kill("h1", "KILL", scene.watcher(jobs["watcher"]).pid)
    scene.without_runner(jobs["plain"], jobs["session"])
    looks = scene.look(*jobs.values())
    scene.expect("time limit exceeded", looks["plain"], "timed_out", "time limit")
    scene.expect("time limit exceeded, a descendant in its own session", looks["session"], "timed_out", "time limit")
    scene.expect("time limit exceeded, no watcher", looks["watcher"], "running", "no longer enforced")
    scene.release(jobs["watcher"])
    scene.ended(*jobs.values())
    looks = scene.look(*jobs.values())
    scene.expect("time limit exceeded, no watcher, later", looks["watcher"], "succeeded")
    scene.check("time limit exceeded, later", looks["plain"].by_name, "timed_out")


def test_kept_open(scene: Scene) -> None:
    """A process that the module has left behind keeps its output open. Ansible waits for that as long as the time limit allows."""
    # The module runs the command with other outputs than its own. Only its own children have these.
    scene.controller.write(
        "library/leaves.py",
        """\
        #!/usr/bin/python
        import os, time
        if not os.fork():
            time.sleep(1000)
        print('{"changed": true}')
        """,
    )
    playbook = """
    - name: test
      hosts: h1
      gather_facts: false
      tasks:
        - name: Start it
          leaves:
          async: 20
          poll: 0
          register: started
        - name: Save it
          rstyczynski.ansible.async_job_state:
            job_name: leaves
            ansible_job_id: "{{ started.ansible_job_id }}"
            results_file: "{{ started.results_file }}"
    """
    scene.controller.playbook(playbook).ok()
    job = Job("h1", "leaves", scene.controller.record("leaves", host="h1")["ansible_job_id"])
    until(lambda: _module_has_ended(scene, job))
    scene.expect("a daemon keeps the output of the module open", scene.look(job)["leaves"], "running", "keeps its output open")
    scene.without_runner(job)
    scene.expect("a daemon keeps the output of the module open, at the limit", scene.look(job)["leaves"], "timed_out", "time limit")


def _module_has_ended(scene: Scene, job: Job) -> bool:
    return not any(process.ppid == scene.runner(job).pid for process in scene.processes(job.host).values())


# --- Networks -------------------------------------------------------------------------------------------------------------


def test_partition(scene: Scene) -> None:
    """The host is away for a while. That is no status of the job, which runs on."""
    jobs = {host: scene.hold(host, "job", limit=3600)["job"] for host in scene.hosts.names}  # native Ansible hangs for minutes, twice
    before = [scene.controller.record("job", host=host) for host in scene.hosts.names]
    for host, how in (("h1", "drop"), ("h2", "link")):
        scene.hosts.partition(host, how)
        for asked in ({"jid": jobs[host].id}, {"job_name": "job"}):
            answer, seconds = scene.task(host, "rstyczynski.ansible.async_job_status", {**asked, "look_timeout": 2})
            assert answer["unreachable"]
            assert "status" not in answer
            assert seconds < 7, asked
        native = "hangs for minutes with a live ssh master"
        if TORTURE:
            try:
                native_answer, seconds = scene.task(host, "ansible.builtin.async_status", {"jid": jobs[host].id})
                native = f"{native_verdict(native_answer)} after {seconds:.0f} s"
            except subprocess.TimeoutExpired as late:
                native = f"no answer within {late.timeout:.0f} s"
        scene.row(f"partition ({how})", native, "unreachable within `look_timeout`, no status", answer["msg"])
    assert [scene.controller.record("job", host=host) for host in scene.hosts.names] == before
    for host, how in (("h1", "drop"), ("h2", "link")):
        scene.hosts.heal(host)
        scene.expect(f"partition ({how}), healed", scene.look(jobs[host])["job"], "running")


# --- Users ----------------------------------------------------------------------------------------------------------------


def test_wrong_user(scene: Scene) -> None:
    """A job of app, which op has started and looks at."""
    scene.user("op")
    app = ("--become", "--become-user", "app")
    jobs = scene.hold("h1", "noted", options=app, become_user="app")
    jobs |= scene.hold("h1", "not noted", options=app)
    looks = scene.look(*jobs.values())
    for name in jobs:
        scene.expect(f"wrong user, the right one is {name}", looks[name], "running")
    scene.kill_all(*jobs.values())
    looks = scene.look(jobs["noted"]) | scene.look(jobs["not noted"])
    scene.check(
        "KILL the process group, the user is noted", looks["noted"].by_name, "unknown", "'become_recorded_user: true' to look as 'app'"
    )
    recorded = scene.look(jobs["noted"], become_recorded_user=True)["noted"].by_name
    scene.check("KILL the process group, the user is noted and become", recorded, "killed", "its command left no result")
    scene.check("KILL the process group, the user is not noted", looks["not noted"].by_name, "unknown", "by user 59002")
    looks = scene.look(*jobs.values(), options=app)
    for name in jobs:
        scene.check(f"KILL the process group, the right user looks, {name}", looks[name].by_name, "killed", "its command left no result")


def test_jobs_of_several_users(scene: Scene) -> None:
    """One look at all of them: at each as its own user, if whoever looks says so."""
    scene.user("op")
    jobs = scene.start("h1", {"of app": "true"}, options=("--become", "--become-user", "app"), become_user="app")
    jobs |= scene.start("h1", {"of op": "true"})
    file = scene.controller.state_dir / "h1" / "test" / "of op.json"
    record = json.loads(file.read_text("utf-8"))
    del record["results_file"]  # the user has not saved it
    file.write_text(json.dumps({**record, "async_dir": "~/.ansible_async"}))
    scene.ended(*jobs.values())
    looks = scene.look(*jobs.values(), native=False, become_recorded_user=True)
    for name in jobs:
        scene.check(f"a job {name}, with those of others", looks[name].by_name, "succeeded")


def test_hidepid(scene: Scene) -> None:
    """Users see only their own processes, and nobody else's jobs."""
    scene.user("app")
    jobs = scene.hold("h1", "nothing", "the process group") | scene.hold("h1", "the runner")
    scene.kill_all(jobs["the process group"])
    scene.kill("h1", "KILL", scene.runner(jobs["the runner"]).pid)
    scene.hosts.hidepid("h1")
    scene.hosts.disconnect()
    scene.user("op")
    looks = scene.look(*jobs.values())
    for name in jobs:
        scene.expect(f"hidepid=2, KILL {name}, another user looks", looks[name], "unknown", "Look as root, or as the user of the job")
        assert scene.controller.record(name, host="h1")["status"] == "running"
    for user in ("app", "root"):
        scene.user(user)
        looks = scene.look(*jobs.values(), native=user == "app")
        for name, status in zip(jobs, ("running", "killed", "orphaned"), strict=True):
            if user == "app":
                scene.expect(f"hidepid=2, KILL {name}, the user of the job looks", looks[name], status)
            else:
                scene.check(f"hidepid=2, KILL {name}, root looks", looks[name].by_name, status)


# --- Output ---------------------------------------------------------------------------------------------------------------


def test_output(scene: Scene) -> None:
    """Much of it, and bytes that are no text. A daemon that is left behind has the output open, or not."""
    megabytes = 50 if TORTURE else 5
    commands = {
        "much": f"yes 0123456789012345678901234567890123456789 | head -c {megabytes}000000; echo the end",
        "byte": "printf 'before \\377 after'",
        "fails": "echo no >&2; exit 3",
    }
    jobs = scene.start("h1", commands)
    jobs |= scene.hold("h1", "daemon", before="sleep 1000 >/dev/null 2>&1 &") | scene.hold("h1", "open", before="sleep 1000 &")
    scene.release(jobs["daemon"], jobs["open"])
    scene.without_runner(*(job for name, job in jobs.items() if name != "much"))
    for when in ("at once", "later"):
        looks = scene.look(jobs["daemon"], jobs["open"])
        scene.expect(f"a daemon is left behind, {when}", looks["daemon"], "succeeded", "left processes behind")
        scene.expect(
            f"a daemon is left behind that has the command's output open, {when}", looks["open"], "succeeded", "left processes behind"
        )
        scene.ended(jobs["daemon"], jobs["open"])
    looks = scene.look(jobs["byte"], jobs["fails"])
    scene.expect("one byte of output is not UTF-8", looks["byte"], "succeeded")
    assert looks["byte"].by_job_id["stdout"] == "before \ufffd after"
    scene.expect("the command fails", looks["fails"], "failed", "return code 3")
    until(lambda: len(scene.wrappers(jobs["much"])) < 2, seconds=120)
    looks = scene.look(jobs["much"], native=False, output="tail")
    for answer in looks["much"][1:]:
        assert answer["stdout"].endswith("the end"), answer["stdout"]
        assert len(answer["stdout"]) <= 4096
        assert answer["stdout_size"] == megabytes * 1_000_000 + 7
    scene.expect(f"{megabytes} MB of output, `output: tail`", looks["much"], "succeeded", native="right (50 MB: in 14 to 18 s)")


# --- Connections ----------------------------------------------------------------------------------------------------------

CONNECTIONS = {
    "odd directories": "ansible_async_dir='~/a b;$(touch /tmp/executed) &\"q' ansible_remote_tmp=/tmp/elsewhere",
    "a relative remote_tmp, pipelining": "ansible_remote_tmp=elsewhere ansible_pipelining=true",
}


@pytest.mark.parametrize("setting", CONNECTIONS if TORTURE else [*CONNECTIONS][:1])
def test_connection(scene: Scene, setting: str) -> None:
    """However Ansible is set to reach the host, and to work there."""
    scene.user("op", CONNECTIONS[setting])
    jobs = scene.hold("h1", "running", "orphaned") | scene.hold("h1", "killed")
    scene.kill("h1", "KILL", *(wrapper.pid for wrapper in scene.wrappers(jobs["orphaned"])))
    scene.kill("h1", "KILL", *(process.pid for process in _session(scene, jobs["killed"])))
    looks = scene.look(*jobs.values())
    for status in jobs:
        scene.expect(f"{status}, {setting}", looks[status], status)
    assert scene.test("h1", "test ! -e /tmp/executed")


def _session(scene: Scene, job: Job) -> Iterable[Process]:
    session = scene.wrappers(job)[0].sid
    return [process for process in scene.processes(job.host).values() if process.sid == session]


def test_every_python(scene: Scene) -> None:
    """Of those that this ansible-core can manage a host with, and without any package."""
    oldest = basic._PY_MIN if isinstance(basic._PY_MIN, tuple) else (3, 6)  # in ansible-core 2.16, it is the answer
    pythons = {version: path for version, path in scene.hosts.pythons.items() if tuple(map(int, version.split("."))) >= oldest}
    settings = {f"python{version}": f"ansible_python_interpreter={path}" for version, path in pythons.items()}
    assert len(settings) > 1
    ran = _play_on_aliases(
        scene,
        settings,
        "echo é; sleep 1000",
        """
    - name: Look while it runs
      rstyczynski.ansible.async_job_status:
        jid: "{{ started.ansible_job_id }}"
      register: running
    - name: Kill the runner
      ansible.builtin.raw: kill -KILL {{ (running.processes | selectattr('role', 'equalto', 'runner') | first).pid }}
    - name: Look what is left
      rstyczynski.ansible.async_job_status:
        jid: "{{ started.ansible_job_id }}"
      register: orphaned
    - name: Kill that too
      ansible.builtin.raw: kill -KILL {{ commands | map(attribute='pid') | join(' ') }}
      vars:
        commands: "{{ running.processes | selectattr('role', 'equalto', 'descendant') }}"
    - name: Look when nothing is left
      rstyczynski.ansible.async_job_status:
        jid: "{{ started.ansible_job_id }}"
      register: killed
      failed_when: false
    - name: Tell what they said
      tell:
        answers: "{{ [inventory_hostname, running, orphaned, killed] | to_json | b64encode }}"
""",
        throttle=1,
    )
    answers = ran.told
    assert len(answers) == len(settings)
    assert {name for name, *_answers in answers} == settings.keys()
    for name, running, orphaned, killed in answers:
        assert [answer["status"] for answer in (running, orphaned, killed)] == ["running", "orphaned", "killed"], name


def test_local(controller: Controller) -> None:
    """Without ssh, on the machine of the controller. In a directory of its own: others of this machine start jobs, too."""
    playbook = """
    - name: test
      hosts: host1
      gather_facts: false
      vars:
        ansible_async_dir: "{{ playbook_dir }}/jobs"
      tasks:
        - name: Start it
          ansible.builtin.command: sleep 1000
          async: 600
          poll: 0
          register: started
        - name: Look
          rstyczynski.ansible.async_job_status:
            jid: "{{ started.ansible_job_id }}"
          register: running
          until: running.processes | selectattr('command', 'equalto', 'sleep 1000') | list | length > 0
          retries: 60
          delay: 1
        - name: Kill the runner
          ansible.builtin.command: kill -KILL {{ (running.processes | selectattr('role', 'equalto', 'runner') | first).pid }}
        - name: Look what is left
          rstyczynski.ansible.async_job_status:
            jid: "{{ started.ansible_job_id }}"
          register: orphaned
          failed_when: false
        - name: Kill that too
          ansible.builtin.command: kill -KILL {{ orphaned.processes | map(attribute='pid') | join(' ') }}
        - name: Look when nothing is left
          rstyczynski.ansible.async_job_status:
            jid: "{{ started.ansible_job_id }}"
          register: killed
          failed_when: false
        - name: Tell what they said
          tell:
            answers: "{{ [running, orphaned, killed] | to_json | b64encode }}"
    """
    answers = told(controller.playbook(playbook).ok())
    running, orphaned, killed = answers
    assert (running["status"], killed["status"]) == ("running", "killed"), answers
    # Whose they are, the numbers prove only as long as no other job's launcher is near: this machine has others.
    assert orphaned["status"] in ("orphaned", "unknown"), orphaned
    assert [process["command"].split()[-1] for process in orphaned["processes"]][-1] == "1000", orphaned


def _play_on_aliases(scene: Scene, aliases: dict[str, str], command: str, more: str = "", *, throttle: int = 0) -> t.Any:
    """Start a job for each of several names of h1 at the same time, save them as jobs of h1, and do something more.

    :arg aliases: with variables of each
    :arg throttle: how many to start at the same time; 0 for all
    """
    line = scene.hosts.inventory_lines()[0]
    config = (scene.hosts.directory / "ssh_config").read_text()
    address = next(line.split()[1] for line in config.splitlines() if "HostName" in line)
    scene.controller.hosts(
        *(f"{line.replace('h1', f'{alias} ansible_host={address}', 1)} {settings}" for alias, settings in aliases.items())
    )
    playbook = f"""
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - name: Connect
      ansible.builtin.raw: "true"
    - name: Start a job
      ansible.builtin.shell: {json.dumps(command)}
      async: 600
      poll: 0
      register: started
      throttle: {throttle}
    - name: Save it
      rstyczynski.ansible.async_job_state:
        host: h1
        job_name: "{{{{ inventory_hostname }}}}"
        ansible_job_id: "{{{{ started.ansible_job_id }}}}"
        results_file: "{{{{ started.results_file }}}}"
{more}
"""
    return scene.controller.playbook(playbook, "--forks", str(len(aliases))).ok()


# --- Many jobs ------------------------------------------------------------------------------------------------------------


@pytest.mark.torture
def test_two_hundred_jobs(scene: Scene) -> None:
    """A look at many jobs takes little longer than a look at one."""
    running = scene.hold("h1", *(f"running {number}" for number in range(50 if TORTURE else 10)))
    scene.ended(scene.start("h1", {"done": "echo done"})["done"])
    record = scene.controller.record("done", host="h1")
    directory = record["results_file"].rpartition("/")[0]
    finished = range(200 - len(running))
    for number in finished:
        copy = {"job_name": f"done {number}", "ansible_job_id": f"j{number}.1", "results_file": f"{directory}/j{number}.1"}
        (scene.controller.state_dir / "h1" / "test" / f"done {number}.json").write_text(json.dumps({**record, **copy}))
    copies = " ".join(f"j{number}.1" for number in finished)
    scene.shell("h1", f'cd "${{1%/*}}" && for copy in {copies}; do sed "s/${{1##*/}}/$copy/" "$1" >"$copy"; done', record["results_file"])

    def look(*names: str) -> tuple[Answer, float]:
        return scene.task("h1", "rstyczynski.ansible.async_job_status", {"job_names": [*names]})

    names = [*running, *(f"done {number}" for number in finished)]
    first, first_seconds = look(*names)
    statuses = [job["status"] for job in first["jobs"]]
    assert (statuses.count("running"), statuses.count("succeeded")) == (len(running), len(finished))
    assert (first["finished"], first["failed"]) == (False, False)
    rounds = [(look(names[0])[1], look(*names)[1]) for _round in range(3)]
    one, many = (min(seconds) for seconds in zip(*rounds, strict=True))  # whatever else this machine does only adds to it
    scene.row("200 jobs on one host", "200 tasks", f"in {many:.2f} s ({first_seconds:.2f} s at first); one in {one:.2f} s", "")
    assert many <= 2.5 * one
