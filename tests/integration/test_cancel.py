# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping background jobs on real hosts: all of a job, nothing of any other, and everybody can see who did it."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import sys
import typing as t
from pathlib import Path

import pytest
from controller import Controller
from faults import Answer, Job, Scene, held
from plays import Yaml, tell, told
from torture import TORTURE
from waiting import until

ASYNC_DIR = "ANSIBLE_ASYNC_DIR"
CLEANS_UP = "trap 'echo cleaned up; exit 7' TERM; echo begun;"
STUBBORN = "trap '' TERM;"
CLOCK: Yaml = {"ansible.builtin.debug": {"msg": "{{ now().timestamp() }}"}}
HOSTILE = "$(touch /tmp/pwned)`touch /tmp/pwned`; touch /tmp/pwned & \"'\\ | > /tmp/pwned ü"


def cancel(**args: t.Any) -> Yaml:
    """A task that cancels a job."""
    return {"rstyczynski.ansible.async_job_cancel": args}


def status(**args: t.Any) -> Yaml:
    """A task that looks at a job."""
    return {"rstyczynski.ansible.async_job_status": args}


def native(job: Job) -> Yaml:
    """A task that asks Ansible itself."""
    return {"ansible.builtin.async_status": {"jid": job.id}}


def roles(answer: Answer) -> list[str]:
    """What the processes were to the job that were stopped."""
    return [process["role"] for process in answer["stopped"]]


def running(scene: Scene, text: str, host: str = "h1") -> list[str]:
    """The command lines with this text of all processes of a host that have not ended."""
    return [process.line for process in scene.processes(host).values() if text in process.line]


def gone(scene: Scene, *jobs: Job) -> bool:
    """Whether nothing is left of held jobs."""
    return not scene.there(*jobs)


def orphan(scene: Scene, *jobs: Job) -> None:
    """Kill the wrappers of jobs, whose commands go on."""
    for job in jobs:
        scene.kill(job.host, "KILL", *(process.pid for process in scene.wrappers(job)))
        until(lambda job=job: not scene.wrappers(job))
        assert scene.commands(job), job


# --- The command may clean up -------------------------------------------------------------------------------------------


def test_it_may_clean_up(scene: Scene) -> None:
    """What a command prints when it is asked to end is kept, with its return code. A second time, nothing happens."""
    names = [f"number {number}" for number in range(1, 5)]
    jobs = scene.hold("h1", *names, "by job id", "other", before=CLEANS_UP)
    [begin, first, by_job_id, end, again, again_by_job_id, natives] = scene.ask(
        "h1",
        CLOCK,
        {**cancel(job_name="{{ item }}", reason=HOSTILE), "loop": names},
        cancel(jid=jobs["by job id"].id),
        CLOCK,
        {**cancel(job_name="{{ item }}", reason="too late"), "loop": names},
        cancel(jid=jobs["by job id"].id),
        {**native(jobs["other"]._replace(id="{{ item }}")), "loop": [jobs[name].id for name in [*names, "by job id"]]},
    )
    for answer in [*first["results"], by_job_id]:
        assert (answer["changed"], answer["status"], answer["finished"], answer["failed"]) == (True, "cancelled", True, False)
        assert sorted(set(roles(answer))) == ["descendant", "runner", "watcher"]
        assert answer["processes"] == []
    # Nothing had to be waited for: neither the grace period of 10 seconds, nor the watchers, which sleep for 5.
    assert float(end["msg"]) - float(begin["msg"]) < 4 * len(jobs), "it takes long"
    for answer in [*again["results"], again_by_job_id]:
        assert (answer["changed"], answer["status"], answer["stopped"]) == (False, "cancelled", [])
    who = first["results"][0]["record"]["cancelled"]["who"]
    assert re.fullmatch(r"[^@\s]+@\S+", who)
    for answer in natives["results"]:
        assert (answer["finished"], answer["failed"], answer["rc"]) == (1, True, 7), answer
        assert answer["stdout"] == "begun\ncleaned up"
        assert f"was cancelled by {who}" in answer["msg"]
        assert answer["cancelled"]["who"] == who
    for name in names:
        record = scene.controller.record(name, host="h1")
        assert record["status"] == "cancelled"
        assert record["result"]["rc"] == 7
        assert record["reason"] == f"job {name!r} on h1 was cancelled by {who}: {HOSTILE}"
        assert {**record["cancelled"], "time": None} == {"who": who, "time": None, "reason": HOSTILE}
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(
            record["cancelled"]["time"].replace("Z", "+00:00")
        )
        assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=2)
        assert record["end"] >= record["cancelled"]["time"]
    assert gone(scene, *(job for name, job in jobs.items() if name != "other"))
    assert scene.commands(jobs["other"])
    assert scene.controller.record("other", host="h1")["status"] == "running"
    assert scene.test("h1", "test ! -e /tmp/pwned")
    assert not Path("/tmp/pwned").exists()


def test_its_clean_up_may_take_helpers(scene: Scene) -> None:
    """What a command starts in order to clean up is not stopped, whether the shell of the task waits for it or not."""
    script = "trap 'sleep 2 | cat; echo cleaned up; exit 7' TERM; echo begun; touch \"/tmp/$1\"; while :; do sleep 0.2; done"
    commands = {
        "exec": "exec sh /opt/job.sh exec",
        "plain": "sh /opt/job.sh plain",
        "list": "sh /opt/job.sh list && echo next",
    }
    scene.shell("h1", 'printf %s "$1" >/opt/job.sh', script)
    scene.start("h1", commands)
    until(lambda: scene.test("h1", " && ".join(f"test -e /tmp/{name}" for name in commands)))
    answers = scene.ask("h1", *(cancel(job_name=name, grace_period=30) for name in commands), *(status(job_name=name) for name in commands))
    for name, cancelled, after in zip(commands, answers[: len(commands)], answers[len(commands) :], strict=True):
        assert (cancelled["status"], cancelled["changed"], cancelled["processes"]) == ("cancelled", True, []), cancelled
        assert after["stdout"] == "begun\ncleaned up", f"{name}: {json.dumps(after)}"
        assert after["rc"] == (7 if name == "exec" else -15), (name, after)  # of the shell, which waited for it


def test_mistakes(scene: Scene) -> None:
    """A job id that differs in its last number, a user who may not, numbers that make no sense."""
    jobs = scene.hold("h1", "job")
    wrong = jobs["job"].id.rpartition(".")[0] + ".999"
    as_app = {"become": True, "become_user": "app", "check_mode": True}
    mistyped, refused, *senseless = scene.ask(
        "h1",
        cancel(jid=wrong),
        {**cancel(job_name="job"), **as_app},
        cancel(job_name="job", grace_period=-1),
        status(job_name="job", look_timeout=0),
        status(job_name="job", tail_size=-1, output="tail"),
        status(job_name="job", wait_timeout=-1),
    )
    assert mistyped["failed"]
    assert jobs["job"].id in mistyped["msg"]
    assert refused["failed"], "check mode promises what is refused"
    assert "Nothing was stopped" in refused["msg"]
    for answer in senseless:
        assert answer["failed"]
        assert "has to be at least" in answer["msg"]
    assert scene.commands(jobs["job"])


def test_the_session_of_somebody_else(scene: Scene) -> None:
    """Its number was that of the job's session once. What is in it has nothing to do with the job, and is not stopped."""
    jobs = scene.hold("h1", "job")
    scene.ask("h1", status(job_name="job"))
    session = scene.runner(jobs["job"]).sid
    scene.kill_all(jobs["job"])

    def occupied() -> bool:
        # The shell leads a session of its own, and leaves a process behind in it.
        scene.shell("h1", f"echo {session - 2} >/proc/sys/kernel/ns_last_pid; setsid -f sh -c 'sleep 1030 & exit' >/dev/null 2>&1")
        return any(process.sid == session for process in scene.processes("h1").values())

    until(occupied)
    [cancelled] = scene.ask("h1", cancel(job_name="job"))
    assert cancelled["failed"]
    assert "nobody can tell" in cancelled["msg"]
    assert any(process.sid == session for process in scene.processes("h1").values())


def test_local_connection(controller: Controller) -> None:
    """The controller itself is the host. Neither Ansible nor anything else of it is stopped."""
    command = "trap 'echo cleaned up; exit 7' TERM; setsid sleep 1000 & echo $! $$ > pids; mv pids ready; wait; wait"
    playbook = json.dumps(
        [
            {
                "name": "test",
                "hosts": "host1",
                "gather_facts": False,
                "tasks": [
                    {
                        "ansible.builtin.shell": {"cmd": command, "chdir": "{{ playbook_dir }}"},
                        "async": 60,
                        "poll": 0,
                        "register": "started",
                    },
                    {
                        "rstyczynski.ansible.async_job_state": {
                            "job_name": "job",
                            "ansible_job_id": "{{ started.ansible_job_id }}",
                            "results_file": "{{ started.results_file }}",
                        }
                    },
                    {"ansible.builtin.wait_for": {"path": "{{ playbook_dir }}/ready", "sleep": 1}},
                    {**status(job_name="job"), "register": "look"},
                    {**cancel(job_name="job"), "register": "first"},
                    {**cancel(job_name="job"), "register": "second"},
                    {**status(job_name="job"), "register": "after", "ignore_errors": True},
                    tell("look", "first", "second", "after"),
                ],
            }
        ],
        indent=1,
    )
    try:
        look, first, second, after = told(controller.playbook(playbook).ok())
        pids = [int(pid) for pid in (controller.project / "ready").read_text().split()]
        assert look["status"] == "running"
        assert (first["changed"], first["status"], first["processes"]) == (True, "cancelled", [])
        assert {*pids} < {process["pid"] for process in first["stopped"]}
        assert len(first["stopped"]) == len(look["processes"]) == 5
        assert (second["changed"], second["status"]) == (False, "cancelled")
        assert (after["status"], after["rc"], after["stdout"]) == ("cancelled", 7, "cleaned up")
        assert not [pid for pid in pids if _runs(pid)]
    finally:
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"HOME={controller.home}".encode() in environ.read_bytes().split(b"\0"):
                    os.kill(int(environ.parent.name), signal.SIGKILL)
            except OSError:
                pass


def _runs(pid: int) -> bool:
    """Whether a process is there and has not ended: nobody may have asked for its exit status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# --- Everything is stopped ----------------------------------------------------------------------------------------------


def test_nothing_is_left(scene: Scene) -> None:
    """Of commands that ignore TERM, that are stopped, or whose children left the session or the family."""
    commands = {
        "stubborn": "trap '' TERM; sleep 1001; sleep 1002",
        "session": "setsid sleep 1003 & setsid sh -c 'trap \"\" TERM; setsid sleep 1004 & wait' & sleep 1005",
        "double fork": "(sleep 1006 & (sleep 1007 &)); (setsid sh -c '(sleep 1008 &) ; sleep 1009' &) ; sleep 1010",
        "stopped": "sleep 1011 & until grep -q sleep /proc/$!/comm; do :; done; kill -STOP $!; sleep 1012",
        "zombie": f"exec {scene.hosts.pythons[_version()]} -c 'import os, time; os.fork() or os._exit(0); time.sleep(1013)'",
    }
    jobs = scene.start("h1", commands)
    until(lambda: {f"sleep {number}" for number in {*range(1001, 1013)} - {1002}} <= {*running(scene, "sleep 10")})
    until(lambda: scene.shell("h1", "ps -e -o stat= | grep ^Z || true"))
    scene.kill("h1", "STOP", scene.runner(jobs["stopped"]).pid)
    grace = 2
    [begin, first, middle, *answers] = scene.ask(
        "h1",
        CLOCK,
        cancel(jid=jobs["stubborn"].id, grace_period=grace),
        CLOCK,
        *(cancel(job_name=name, grace_period=grace) for name in commands if name != "stubborn"),
        native(jobs["stubborn"]),
    )
    assert grace <= float(middle["msg"]) - float(begin["msg"]) < grace + 6
    for answer in [first, *answers[:-1]]:
        assert (answer["changed"], answer.get("status")) == (True, "cancelled"), answer
    assert (answers[-1]["finished"], answers[-1]["failed"]) == (1, True)
    assert "was cancelled by" in answers[-1]["msg"]
    left = running(scene, "sleep 10")
    # What has left both the session and the family of the job, as a daemon does, cannot be told from those of other jobs. It is named.
    assert left == [line for line in left if line.endswith(("sleep 1008", "sleep 1009"))], left
    named = [process["command"] for process in answers[1]["processes"]]
    assert sorted(named) == sorted(left)
    assert not any(scene.wrappers(job) for job in jobs.values())


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.parametrize(
    ("known", "stubborn"),
    [(False, False), (True, True), *([(False, True), (True, False)] if TORTURE else [])],
    ids=lambda value: str(value).lower(),
)
def test_fork_heavy(scene: Scene, known: bool, stubborn: bool) -> None:
    """A command that starts processes all the time, as fast as it can."""
    command = "while :; do sleep 1014 & i=$((i+1)); [ $((i % 20)) -gt 0 ] || sleep 0.02; [ $i -lt 2000 ] || sleep 1015; done"
    jobs = scene.start("h1", {"forks": (STUBBORN if stubborn else "") + command})
    until(lambda: len(running(scene, "sleep 1014")) > 20)
    asked = (
        [status(job_name="forks"), cancel(job_name="forks", grace_period=1)] if known else [cancel(jid=jobs["forks"].id, grace_period=1)]
    )
    answer = scene.ask("h1", *asked)[-1]
    left = running(scene, "sleep 101")
    assert left == [], f"{len(left)} are left"
    assert (answer["changed"], answer["status"], answer["processes"]) == (True, "cancelled", [])


# --- And nothing else ---------------------------------------------------------------------------------------------------


def test_side_by_side(scene: Scene) -> None:
    """Jobs of one results directory, some of them orphaned. Only those that were looked at before are known by their session."""
    jobs = scene.hold("h1", "run 1", "run 2", "seen 1", "seen 2", "unseen 1", "unseen 2", "last")
    sessions = [scene.runner(job).sid for job in jobs.values()]
    assert max(sessions) - min(sessions) < 1000
    seen = ["run 1", "run 2", "seen 1", "seen 2", "last"]
    scene.ask("h1", status(job_names=seen))
    orphan(scene, *(job for name, job in jobs.items() if "seen" in name))
    before = {name: scene.record_file(job).read_bytes() for name, job in jobs.items()}
    left = dict(jobs)
    for name in ("seen 1", "run 1", "unseen 1"):
        pids = {process.pid for process in scene.commands(jobs[name])}
        by_name, by_job_id = scene.ask("h1", cancel(job_name=name), cancel(jid=jobs[name].id))
        if name == "unseen 1":
            for answer in (by_name, by_job_id):
                assert answer["failed"]
                assert "Nothing was stopped" in answer["msg"]
                named = {int(pid) for pid in answer["msg"].rpartition("kill ")[2].split()}
                assert pids <= named
                assert not named & {process.pid for job in left.values() if "seen" not in job.name for process in scene.commands(job)}
        else:
            assert (by_name["changed"], by_name["status"], by_name["processes"]) == (True, "cancelled", []), by_name
            assert pids <= {process["pid"] for process in by_name["stopped"]}
            assert (by_job_id["changed"], by_job_id["status"]) == (False, "cancelled")
            assert gone(scene, left.pop(name))
        for other, job in left.items():
            assert len(scene.commands(job)) == 2, other
            assert bool(scene.wrappers(job)) == ("seen" not in other), other
            assert scene.record_file(job).read_bytes() == before[other]
    statuses = {job["job_name"]: job["status"] for job in scene.ask("h1", status(job_names=[*jobs]))[0]["jobs"]}
    assert statuses == {name: "cancelled" if name in ("seen 1", "run 1") else "orphaned" if "seen" in name else "running" for name in jobs}


@pytest.mark.torture
def test_started_at_the_same_time(scene: Scene) -> None:
    """The numbers of jobs that several controllers start at once are mixed. No orphan is called dead or stopped for another."""
    names = [f"twin{number}" for number in range(8)]
    [line, _other] = scene.hosts.inventory_lines()
    scene.controller.hosts(*(f"{name} ansible_host=h1 {line.partition(' ')[2]}" for name in names))
    start = """
    - name: test
      hosts: all
      gather_facts: false
      tasks:
        - name: Start
          ansible.builtin.shell: %s
          async: 600
          poll: 0
          register: started
        - name: Save
          rstyczynski.ansible.async_job_state:
            host: h1
            job_name: "{{ inventory_hostname }}"
            ansible_job_id: "{{ started.ansible_job_id }}"
            results_file: "{{ started.results_file }}"
    """
    scene.controller.playbook(start % json.dumps(held("{{ inventory_hostname }}") + "; true"), "--forks", str(len(names))).ok()
    scene.user("root")
    jobs = {name: Job("h1", name, scene.controller.record(name, host="h1")["ansible_job_id"]) for name in names}
    until(lambda: (seen := scene.processes("h1")) and all(len(scene.commands(job, seen)) == 2 for job in jobs.values()))
    for job in jobs.values():
        orphan(scene, job)
    looks, cancelled = scene.ask(
        "h1",
        {**status(jid="{{ item }}"), "loop": [job.id for job in jobs.values()]},
        {**cancel(job_name="{{ item }}"), "loop": names},
    )
    # Whose they are, the numbers prove only as long as no other job's launcher is near.
    assert {answer["status"] for answer in looks["results"]} <= {"orphaned", "unknown"}, looks
    for name, answer in zip(names, cancelled["results"], strict=True):
        assert answer["failed"], answer
        assert "Nothing was stopped" in answer["msg"]
        own = {str(process.pid) for process in scene.commands(jobs[name])}
        # Of many, the first ten are named.
        assert own <= {*re.findall(r"\d+", answer["msg"])} or ", ...)" in answer["msg"], answer["msg"]
    assert all(len(scene.commands(job)) == 2 for job in jobs.values())


@pytest.mark.parametrize("marked", [False, True] if TORTURE else [True], ids="a daemon of another job: {}".format)
def test_reused_numbers(scene: Scene, marked: bool) -> None:
    """Another process has the number of the runner by now, and another one that of its session."""
    jobs = scene.hold("h1", "seen", "unseen", "alive")
    scene.ask("h1", status(job_names=["seen", "alive"]))
    numbers = [number for name in ("seen", "unseen") for number in (scene.runner(jobs[name]).pid, scene.runner(jobs[name]).sid)]
    scene.signal_all("KILL", *(jobs[name] for name in ("seen", "unseen")))
    until(lambda: gone(scene, jobs["seen"], jobs["unseen"]))
    for number in numbers:
        until(lambda number=number: _occupy(scene, number, marked))
    answers = scene.ask(
        "h1",
        *(
            task
            for name in ("seen", "unseen")
            for task in (cancel(job_name=name, grace_period=0), cancel(jid=jobs[name].id, grace_period=0))
        ),
        cancel(job_name="alive", grace_period=0),
    )
    assert [number for number in numbers if not _occupied(scene, number)] == [], answers
    assert gone(scene, jobs["alive"])
    for answer in answers[:-1]:
        assert not answer["changed"]
        # A process with the marker of the directory may be what the job has left behind. Then it is named, and not stopped.
        assert answer.get("status") == "killed" or (marked and "Nothing was stopped" in answer["msg"]), answer


def _occupy(scene: Scene, pid: int, marked: bool) -> bool:
    """Start a process with this number, in a session of its own, whose parent has gone."""
    marker = f"env {ASYNC_DIR}=$HOME/.ansible_async HOME=$HOME" if marked else ""
    scene.shell("h1", f"echo {pid - 1} >/proc/sys/kernel/ns_last_pid; exec {marker} setsid -f sleep 1016 >/dev/null 2>&1")
    return _occupied(scene, pid)


def _occupied(scene: Scene, pid: int) -> bool:
    process = scene.processes("h1").get(pid)
    return process is not None and process.line.endswith("sleep 1016")


def test_orphans_that_were_looked_at(scene: Scene) -> None:
    """They are known by their session, also with a new boot id in the record's place: after a reboot nothing is stopped."""
    jobs = scene.hold("h1", "orphan", "old")
    scene.ask("h1", status(job_names=["orphan", "old"]))
    record = json.loads(scene.record_file(jobs["old"]).read_bytes())
    assert record["boot_id"] == scene.shell("h1", "cat /proc/sys/kernel/random/boot_id").strip()
    assert record["runner"]["session"] == scene.runner(jobs["old"]).sid
    scene.record_file(jobs["old"]).write_text(json.dumps({**record, "boot_id": "of another boot"}))
    scene.shell("h1", 'touch -d @1 "$1"', scene.results_file(jobs["old"]))  # what was written in this boot would prove more
    orphan(scene, *jobs.values())
    of_runner = scene.results_file(jobs["orphan"])
    first, again, old, natives = scene.ask(
        "h1", cancel(job_name="orphan", reason="no use"), cancel(job_name="orphan"), cancel(job_name="old"), native(jobs["orphan"])
    )
    assert (first["changed"], first["status"], first["results_file"]) == (True, "cancelled", of_runner)
    assert roles(first) == ["descendant"] * 3  # the module, its shell, and what that waits for
    assert (again["changed"], again["status"], again["reason"]) == (False, "cancelled", first["reason"])
    assert (old["changed"], old["status"]) == (False, "lost")
    assert gone(scene, jobs["orphan"])
    assert len(scene.commands(jobs["old"])) == 2
    assert (natives["finished"], natives["failed"], natives["msg"]) == (1, True, first["reason"])
    assert first["reason"].endswith(": no use")


# --- What does not run --------------------------------------------------------------------------------------------------


def test_nothing_to_stop(scene: Scene) -> None:
    """Jobs that have ended, that are lost, that never started, that are being started, that nobody knows."""
    jobs = scene.start("h1", {"done": "echo done", "failed": "exit 3", "cleaned": "true"})
    jobs |= scene.hold("h1", "removed", "killed")
    scene.signal_all("KILL", *(jobs[name] for name in ("removed", "killed")))
    scene.ended(*jobs.values())
    for name in ("removed", "cleaned"):
        scene.shell("h1", 'rm "$1"', scene.results_file(jobs[name]))
    for name, state in (("starting", "starting"), ("prepared", "prepared")):
        record = {
            "job_name": name,
            "playbook_name": "test",
            "host": "h1",
            "ansible_job_id": "",
            "status": state,
            "claim": {"who": "somebody@elsewhere", "since": "2026-01-01T00:00:00Z"},
        }
        if state == "prepared":
            record["async_dir"] = record["attempt_dir"] = f"/opt/.ansible_async/{'0' * 32}"
        scene.record_file(Job("h1", name, "")).write_text(json.dumps(record))
    claimed = {name: scene.record_file(Job("h1", name, "")).read_bytes() for name in ("starting", "prepared")}
    statuses = {"done": "succeeded", "failed": "failed", "cleaned": "lost", "removed": "lost", "killed": "killed"}
    *answers, never, hostile, starting, prepared, nobody = scene.ask(
        "h1",
        *(cancel(job_name=name, reason="why not") for name in statuses),
        cancel(jid="j1.1"),
        cancel(jid=HOSTILE.replace("/", "")),
        cancel(job_name="starting"),
        cancel(job_name="prepared"),
        cancel(job_name="nobody knows"),
    )
    for answer, (name, state) in zip(answers, statuses.items(), strict=True):
        assert (answer["changed"], answer.get("status"), answer.get("finished"), answer.get("stopped")) == (False, state, True, []), answer
        assert f"job {name!r} on h1" in answer["reason"]
        record = scene.controller.record(name, host="h1")
        assert record["status"] == state
        assert "cancelled" not in record
    # A slip of the pen must not look like a success.
    assert never["failed"]
    assert "does not run" in never["msg"]
    assert "Nothing was stopped" in never["msg"]
    assert hostile["failed"]
    assert "which is not a job id" in hostile["msg"]
    for answer in (starting, prepared):
        assert answer["failed"]
        assert "is being started by somebody@elsewhere" in answer["msg"]
    assert {name: scene.record_file(Job("h1", name, "")).read_bytes() for name in claimed} == claimed
    assert nobody["failed"]
    assert "There is no record of" in nobody["msg"]
    assert "nobody knows" in nobody["msg"]
    assert scene.test("h1", "test ! -e /tmp/pwned")


def test_refused(scene: Scene) -> None:
    """What cannot be a job id is refused, as are options that exclude each other. Names are data."""
    odd = "$(reboot); `id`\n../../x /ü"
    jobs = scene.hold("h1", "job")
    record = {**scene.controller.record("job", host="h1"), "job_name": odd}
    scene.ask(
        "h1",
        {
            "rstyczynski.ansible.async_job_state": {
                "job_name": odd,
                "ansible_job_id": record["ansible_job_id"],
                "results_file": record["results_file"],
            }
        },
    )
    bad = ["../x", "/etc/passwd", "a/b", "a\nb", "", " ", ".", "..", "j1.1\x07"]
    refused, both, neither, typo, done = scene.ask(
        "h1",
        {**cancel(jid="{{ item }}"), "loop": bad},
        cancel(jid="j1.1", job_name="job"),
        cancel(reason="none"),
        cancel(jid="j1.1", signal="KILL"),
        cancel(job_name=odd),
    )
    for text, answer in zip(bad, refused["results"], strict=True):
        assert answer["failed"], text
        assert f"jid is {text!r}, which is not a job id" in answer["msg"]
    assert "mutually exclusive" in both["msg"]
    assert "one of the following is required" in neither["msg"]
    assert "Unsupported parameters" in typo["msg"]
    assert (done["changed"], done["status"], done["job_name"]) == (True, "cancelled", odd)
    assert gone(scene, jobs["job"])


def test_another_host(scene: Scene) -> None:
    """Of a job of another host nothing can be told here, so nobody is told that there was nothing to stop."""
    jobs = scene.hold("h1", "job", "seen")
    scene.ask("h1", status(job_name="seen"))
    before = [scene.record_file(job).read_bytes() for job in jobs.values()]
    *wrong, right = scene.ask(
        "h2",
        cancel(job_name="job", host="h1"),
        cancel(job_name="seen", host="h1"),
        {**cancel(job_name="job", host="h1"), "check_mode": True, "delegate_to": "h1"},
    )
    for answer in wrong:
        assert not answer["changed"]
        assert "delegate_to: h1" in answer.get("msg", "") + answer.get("reason", "")
        assert answer["failed"], answer
    assert right["status"] == "running"
    assert right["stopped"]
    assert [scene.record_file(job).read_bytes() for job in jobs.values()] == before
    [done] = scene.ask("h2", {**cancel(job_name="job", host="h1"), "delegate_to": "h1"})
    assert (done["changed"], done["status"]) == (True, "cancelled")
    assert gone(scene, jobs["job"])
    assert scene.controller.record("job", host="h1")["status"] == "cancelled"


def test_check_mode(scene: Scene) -> None:
    """It says what would be stopped, stops nothing, and leaves the records alone."""
    jobs = scene.hold("h1", "job", "seen", "orphan", "unseen")
    scene.ask("h1", status(job_names=["seen", "orphan"]))
    orphan(scene, jobs["orphan"], jobs["unseen"])
    before = {name: (scene.record_file(job).read_bytes(), scene.record_file(job).stat().st_mtime_ns) for name, job in jobs.items()}
    there = scene.processes("h1")
    answers = scene.ask(
        "h1",
        cancel(job_name="job"),
        cancel(jid=jobs["seen"].id),
        cancel(job_name="orphan"),
        cancel(job_name="unseen"),
        options=("--check",),
    )
    for answer, name, count in zip(answers, jobs, (5, 5, 3), strict=False):
        assert (answer["changed"], answer["finished"]) == (True, False)
        assert answer["status"] == ("orphaned" if name == "orphan" else "running")
        assert len(answer["stopped"]) == count
        assert {process["pid"] for process in answer["stopped"]} <= there.keys()
        assert {process.pid for process in scene.commands(jobs[name])} <= {process["pid"] for process in answer["stopped"]}
    assert answers[3]["failed"]
    for name, job in jobs.items():
        assert len(scene.commands(job)) == 2
        assert bool(scene.wrappers(job)) == (name in ("job", "seen"))
        assert (scene.record_file(job).read_bytes(), scene.record_file(job).stat().st_mtime_ns) == before[name]


# --- Users --------------------------------------------------------------------------------------------------------------


def test_of_another_user(scene: Scene) -> None:
    """Without the right to stop a job, nothing of it is stopped. Root has it; and the user who was saved with it, if the task says so."""
    scene.user("op")
    app = ("--become", "--become-user", "app")
    jobs = scene.hold("h1", "noted", "roots", "apps", "hidden", options=app)
    for name, job in jobs.items():
        record = json.loads(scene.record_file(job).read_bytes())
        record["become_user"] = "app"
        if name != "noted":
            del record["become_user"]
        scene.record_file(job).write_text(json.dumps(record))
    refused: tuple[Yaml, ...] = ({"job_name": "roots"}, {"jid": jobs["roots"].id}, {"job_name": "noted"})
    by_name, by_job_id, noted = scene.ask("h1", *(cancel(**which) for which in refused))
    assert "or 'become_recorded_user: true' to look as 'app'" in noted["msg"]
    for answer in (by_name, by_job_id, noted):
        assert answer["failed"], answer
        assert not answer["changed"]
        assert "Nothing was stopped." in answer["msg"]
        assert "Say 'become: true'" in answer["msg"]
    scene.hosts.hidepid("h1")
    scene.hosts.disconnect()
    hidden, hidden_by_job_id, *answers = scene.ask(
        "h1",
        cancel(job_name="hidden"),
        cancel(jid=jobs["hidden"].id),
        cancel(job_name="noted", become_recorded_user=True),
        {**cancel(job_name="roots"), "become": True},
        {**cancel(job_name="apps"), "become": True, "become_user": "app"},
    )
    for answer in (hidden, hidden_by_job_id):
        assert answer["failed"], answer
        assert "Nothing was stopped" in answer["msg"]
    for answer in answers:
        assert (answer.get("changed"), answer.get("status"), answer.get("processes")) == (True, "cancelled", []), answer
    assert gone(scene, *(job for name, job in jobs.items() if name != "hidden"))
    assert len(scene.wrappers(jobs["hidden"])) == 2
    assert len(scene.commands(jobs["hidden"])) == 2


def test_results_file_in_a_directory_of_a_user(scene: Scene) -> None:
    """Root writes there. The file stays the user's, and no link of his leads root anywhere else."""
    app = ("--become", "--become-user", "app")
    jobs = scene.hold("h1", "file", "attack", before=STUBBORN, options=app)
    paths = {name: scene.results_file(job) for name, job in jobs.items()}
    assert paths["file"].startswith("/home/app/")
    scene.shell("h1", 'chmod 640 "$1"; echo precious >/etc/victim; chmod 600 /etc/victim', paths["file"])
    links = (
        "import os, sys; last = int(open('/proc/sys/kernel/ns_last_pid').read());"
        "[os.symlink('/etc/victim', f'{sys.argv[1]}{dot}{last + n}{end}')"
        " for n in range(3000) for dot in '.' for end in ('', '.tmp', '.cancel')];"
        "os.symlink('/etc/victim', sys.argv[1] + '.tmp'); os.symlink('/etc/victim', sys.argv[1] + '.cancel')"
    )
    scene.hosts.execute("h1", scene.hosts.pythons[_version()], "-c", links, paths["attack"])
    file, attack, natives = scene.ask(
        "h1",
        cancel(job_name="file", grace_period=1),
        cancel(job_name="attack", grace_period=1),
        {**native(jobs["file"]), "become": True, "become_user": "app"},
    )
    for answer in (file, attack):
        assert (answer["changed"], answer["status"]) == (True, "cancelled")
    assert scene.shell("h1", 'stat -c "%U %G %a" "$1"', paths["file"]).split() == ["app", "app", "640"]
    assert (natives["finished"], natives["failed"], natives["msg"]) == (1, True, file["reason"])
    assert scene.shell("h1", "cat /etc/victim; stat -c '%U %a' /etc/victim").split() == ["precious", "root", "600"]
    assert gone(scene, *jobs.values())
    assert scene.controller.record("attack", host="h1")["status"] == "cancelled"


# --- Secrets ------------------------------------------------------------------------------------------------------------


def test_no_log(scene: Scene) -> None:
    """Neither the run nor the record shows what the job said or how it was called."""
    jobs = scene.hold("h1", "task", "record", before="secret=hunter2; echo $secret; trap 'echo $secret; exit 7' TERM;")
    file = scene.record_file(jobs["record"])
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "no_log": True}))
    play = [
        {
            "name": "test",
            "hosts": "h1",
            "gather_facts": False,
            "tasks": [{**cancel(job_name="task"), "no_log": True}, {**cancel(job_name="record"), "register": "answer"}],
        }
    ]
    ran = scene.controller.playbook(json.dumps(play, indent=1), "-vvv").ok()
    assert gone(scene, *jobs.values())
    assert "hunter2" not in ran.output
    assert ran.output.count('"censored"') + ran.output.count("'censored'") == 2
    for name, job in jobs.items():
        assert "hunter2" not in scene.record_file(job).read_text()
        assert scene.controller.record(name, host="h1")["status"] == "cancelled"
