# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for background jobs on real hosts, and their output meanwhile; in plays of all kinds and with all kinds of connections."""

from __future__ import annotations

import contextlib
import json
import os
import re
import typing as t
from collections.abc import Iterator

import pytest
from ansible.release import __version__ as ansible_version
from controller import Live
from faults import Job, Scene, held
from plays import Yaml, shell, telling, told
from torture import TORTURE
from waiting import until

HOME_OF_ROOT = os.path.expanduser("~root")

STATUS = "rstyczynski.ansible.async_job_status"
CANCEL = "rstyczynski.ansible.async_job_cancel"
STATE = "rstyczynski.ansible.async_job_state"

CLOCK = r"\d\d:\d\d:\d\d"
# The oldest Python that a host may have, by the release of ansible-core.
OLDEST = {"2.16": 7, "2.17": 7, "2.18": 8, "2.19": 8, "2.20": 9, "2.21": 9}


def asking(*tasks: Yaml, where: str = "h1", **keywords: t.Any) -> Yaml:
    """A play that goes on whatever happens, and tells."""
    return telling(*tasks, hosts=where, ignore_unreachable=True, **keywords)


def status(**args: t.Any) -> Yaml:
    """A task that looks at jobs."""
    return {STATUS: args}


@contextlib.contextmanager
def live(scene: Scene, *plays: Yaml) -> Iterator[Live]:
    """Run plays, and go on."""
    file = scene.controller.write("live.yml", json.dumps(plays, indent=1))
    process = scene.controller.popen("playbook", "-i", scene.controller.inventory, file, env={"ANSIBLE_TIMEOUT": "3"})
    try:
        yield Live(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def name_files(scene: Scene, job: Job, **files: str) -> None:
    """Note in the record where the job writes its output."""
    record = json.loads(scene.record_file(job).read_bytes())
    scene.record_file(job).write_text(json.dumps({**record, **files}))


# --- Until it has ended -------------------------------------------------------------------------------------------------


def test_lines_of_life(scene: Scene) -> None:
    """While it waits there is a line for each job that goes on. What is secret is not in it."""
    jobs = scene.hold("h1", "migrate", "dump", "reindex", before="exec 2>&1; printf 'step 40 of 60\\nstep 41 of 60\\n\\n' >/tmp/out;")
    for name in ("migrate", "dump"):
        name_files(scene, jobs[name], stdout_file="/tmp/out")
    tasks = (
        status(job_name="migrate", wait_timeout=60, wait_interval=1),
        {**status(job_name="dump", wait_timeout=60, wait_interval=1), "no_log": True},
        status(job_names=["migrate", "dump", "reindex"], wait_timeout=60, wait_interval=1),
        status(jid=jobs["reindex"].id, wait_timeout=60),
    )
    with live(scene, asking(*tasks)) as waiting:
        waiting.wait(rf'migrate on h1: running {CLOCK}, 29 B of output: "step 41 of 60"', 2)
        scene.shell("h1", "printf 'step 42' >>/tmp/out; head -c 3100000 /dev/zero | tr '\\0' ' ' >>/tmp/out")
        waiting.wait(rf"migrate on h1: running {CLOCK}, 3.1 MB of output")
        scene.shell("h1", "printf ' of 60' >>/tmp/out")
        waiting.wait(rf'migrate on h1: running {CLOCK}, 3.1 MB of output: "of 60"')
        scene.release(jobs["migrate"])
        waiting.wait(rf"dump on h1: running {CLOCK}, 3.1 MB of output")
        scene.release(jobs["dump"])
        waiting.wait(rf"reindex on h1: running {CLOCK}")
        scene.release(jobs["reindex"])
        ran = waiting.ran().ok()
        assert not [line for line in waiting.lines("(?:dump|reindex) .*") if '"' in line]
        assert "RETRYING" not in ran.output
    migrate, dump, several, by_job_id = told(ran)
    assert (migrate["finished"], migrate["failed"], migrate["status"], migrate["stdout_size"]) == (True, False, "succeeded", 3100042)
    assert [(job["job_name"], job["status"]) for job in several["jobs"]] == [(name, "succeeded") for name in jobs]
    assert (several["finished"], several["failed"], by_job_id["stdout"]) == (True, False, "\nreindex is done")
    assert dump["status"] == "succeeded"
    assert {scene.controller.record(name, host="h1")["status"] for name in jobs} == {"succeeded"}


def test_deadline(scene: Scene) -> None:
    """Then the task fails, and the job goes on. Looks become rarer, down to the interval."""
    jobs = {host: scene.hold(host, "job")["job"] for host in scene.hosts.names}
    scene.start("h1", {"done": "true"})
    looks = "{{ {'h1': 1, 'h2': 30}[inventory_hostname] }}"
    ran = scene.run(
        asking(status(job_name="job", wait_timeout=9, wait_interval=looks), where="all"),
        asking(status(job_names=["job", "done"], wait_timeout=1), status(job_names=["job", "done"])),
    ).ok()
    [*deadlines, [both, later]] = ran.told
    for [answer] in deadlines:
        assert (answer["failed"], answer["finished"], answer["status"], answer["changed"]) == (True, False, "running", False)
        assert "job 'job' on h" in answer["msg"]
        assert "has not ended within the 9 seconds of wait_timeout" in answer["msg"]
    often, seldom = (len(re.findall(rf"^job on {host}: running {CLOCK}$", ran.output, flags=re.M)) for host in scene.hosts.names)
    assert 2 <= seldom <= 5  # at most after 0, 1, 2.5, 4.75 and 8.125 seconds
    assert seldom < often <= 10  # at most each second, and at the deadline
    assert (both["failed"], both["finished"]) == (True, False)
    assert "job 'job' on h1" in both["msg"]
    assert "'done'" not in both["msg"]
    assert [job["failed"] for job in both["jobs"]] == [True, False]
    assert (later["failed"], later["finished"]) == (False, False)
    for job in jobs.values():
        assert len(scene.wrappers(job)) == 2
        assert scene.controller.record("job", host=job.host)["status"] == "running"


def test_several_of_which_some_fail(scene: Scene) -> None:
    """All are waited for. The message names those that have failed, and says how."""
    jobs = scene.hold("h1", "last", "victim")
    jobs |= scene.start("h1", {"good": "echo good", "bad": "echo bad >&2; exit 3"})
    names = ["good", "last", "bad", "victim", "bad"]
    with live(
        scene, asking(status(job_names=names, wait_timeout=60, wait_interval=1), status(job_name="nobody", wait_timeout=60))
    ) as waiting:
        waiting.wait(rf"victim on h1: running {CLOCK}")
        scene.signal_all("KILL", jobs["victim"])
        until(lambda: not scene.wrappers(jobs["victim"]))
        waiting.wait(rf"last on h1: running {CLOCK}", 2)
        scene.release(jobs["last"])
        [several, nobody] = told(waiting.ran())
    assert [(job["job_name"], job["status"], job["failed"]) for job in several["jobs"]] == [
        ("good", "succeeded", False),
        ("last", "succeeded", False),
        ("bad", "failed", True),
        ("victim", "killed", True),
    ], several
    assert [several["jobs"][number].get("rc") for number in range(3)] == [0, 0, 3]
    assert (several["finished"], several["failed"]) == (True, True)
    for name in ("'bad' on h1", "'victim' on h1"):
        assert name in several["msg"]
    for name in ("good", "last"):
        assert name not in several["msg"]
    assert nobody["failed"]
    assert "There is no record of" in nobody["msg"]


def test_loop_of_ansible(scene: Scene) -> None:
    """`until: job is finished`, as everybody has it now, ends when the job does, whatever its end, and not before."""
    jobs = scene.hold("h1", "name", "id", "group")
    loop = {"retries": 100, "delay": 1}
    tasks = [
        {**status(job_name="name"), **loop, "until": "answer0 is finished"},
        {**status(jid=jobs["id"].id), **loop, "until": "answer1 is finished"},
        {**status(job_name="group"), **loop, "until": "answer2 is finished"},
    ]
    with live(scene, asking(*tasks)) as waiting:
        for number, name in enumerate(("name", "id")):
            waiting.wait(r"FAILED - RETRYING: .*", number + 1)
            scene.release(jobs[name])
        until(lambda: waiting.output.count("TASK [") == 3 or waiting.has("FAILED.*", 3))
        scene.signal_all("KILL", jobs["group"])
        name, by_job_id, group = told(waiting.ran().ok())
    for answer in (name, by_job_id):
        assert (answer["finished"], answer["failed"], answer["status"]) == (True, False, "succeeded")
        assert answer["stdout_lines"] == ["", f"{'name' if answer is name else 'id'} is done"]
    assert (group["finished"], group["failed"], group["status"]) == (True, True, "killed")


# --- The host is away ---------------------------------------------------------------------------------------------------


def test_away_for_a_while(scene: Scene) -> None:
    """Within its budget that is no failure. Beyond it the host is unreachable, which is told apart from a job that has failed."""
    jobs = {host: scene.hold(host, "job")["job"] for host in scene.hosts.names}
    budget = "{{ {'h1': 100, 'h2': 3}[inventory_hostname] }}"
    task = status(job_name="job", wait_timeout=100, wait_interval=1, look_timeout=2, unreachable_timeout=budget)
    with live(scene, asking(task, where="all")) as waiting:
        for host in scene.hosts.names:
            waiting.wait(rf"job on {host}: running {CLOCK}")
        before = scene.record_file(jobs["h2"]).read_bytes()
        scene.hosts.partition("h1", "drop")
        scene.hosts.partition("h2", "link")
        waiting.wait(rf"h1 is unreachable for {CLOCK}; its jobs go on without us.*", 2)
        waiting.wait(r"fatal: \[h2\]: UNREACHABLE!.*")
        count = len(waiting.lines("job on h1: running.*"))
        scene.hosts.heal("h1")
        waiting.wait(rf"job on h1: running {CLOCK}", count + 1)
        scene.release(jobs["h1"])
        ran = waiting.ran().ok()
    answers = {answer.get("ansible_job_id"): answer for [answer] in ran.told}
    assert (answers[jobs["h1"].id]["status"], answers[jobs["h1"].id]["failed"]) == ("succeeded", False)
    assert answers[None]["unreachable"]
    assert not answers[None].get("failed")
    assert re.search(rf"h2 has been unreachable for {CLOCK} \(unreachable_timeout is 3 seconds\)", answers[None]["msg"])
    assert "status" not in answers[None]
    assert scene.record_file(jobs["h2"]).read_bytes() == before
    assert len(scene.wrappers(jobs["h2"])) == 2


def test_reboot_while_waiting(scene: Scene) -> None:
    """The job is lost, and the task says so as soon as the host is back."""
    scene.hold("h1", "job", "other")
    with live(scene, asking(status(job_names=["job", "other"], wait_timeout=100, wait_interval=1, look_timeout=3))) as waiting:
        waiting.wait(rf"other on h1: running {CLOCK}")
        scene.hosts.reboot("h1")
        [answer] = told(waiting.ran())
    assert [job["status"] for job in answer["jobs"]] == ["lost", "lost"]
    assert (answer["finished"], answer["failed"]) == (True, True)
    assert re.search(rf"lost: the host of job 'job' on h1 rebooted at \S+Z, {CLOCK} after the job started", answer["msg"])
    assert scene.controller.record("job", host="h1")["status"] == "lost"


# --- Output -------------------------------------------------------------------------------------------------------------


def test_output_of_a_running_job(scene: Scene) -> None:
    """What is new since the last look, of whatever run; its end; all of it. The record keeps how far that went."""
    jobs = scene.hold("h1", "job")
    name_files(scene, jobs["job"], stdout_file="/tmp/out put", stderr_file="/tmp/err")
    new, end = status(job_name="job", output="new"), status(job_name="job", output="tail", tail_size=3)

    def offsets() -> tuple[int, int]:
        record = scene.controller.record("job", host="h1")
        return record["stdout_offset"], record["stderr_offset"]

    missing, _wrote, one, nothing, _wrote, cut, tail = scene.ask(
        "h1",
        new,
        shell("printf 'one\\n' >'/tmp/out put'; printf 'error' >/tmp/err"),
        new,
        new,
        shell("printf 'tw\\303' >>'/tmp/out put'"),  # the first byte of a letter
        new,
        end,
    )
    assert (missing["stdout"], missing["stdout_size"], missing["status"], missing.get("warnings", [])) == ("", 0, "running", [])
    assert (one["stdout"], one["stdout_lines"], one["stderr"], one["stdout_size"], one["stderr_size"]) == ("one\n", ["one"], "error", 4, 5)
    assert (nothing["stdout"], nothing["stderr"], nothing["stdout_size"]) == ("", "", 4)
    assert (cut["stdout"], cut["stdout_size"]) == ("tw", 7)
    assert tail["stdout"] == "tw\ufffd"
    assert offsets() == (6, 5)

    _wrote, checked, rest, tail, full, gone = scene.ask(
        "h1",
        shell("printf '\\266\\n' >>'/tmp/out put'"),
        {**new, "check_mode": True},
        new,
        end,
        status(job_name="job"),
        status(job_name="job", output="new", stdout_file="/tmp/none", stderr_file="/tmp/none"),
    )
    assert (checked["stdout"], rest["stdout"], tail["stdout"], full["stdout"]) == ("ö\n", "ö\n", "ö\n", "one\ntwö\n")
    assert (gone["stdout"], gone["stdout_size"]) == ("", 0)

    _wrote, anew, _wrote, rotated, _wrote, much, more, unreadable = scene.ask(
        "h1",
        shell("echo anew >'/tmp/out put'"),
        new,
        shell("mv '/tmp/out put' /tmp/out.1; printf x >'/tmp/out put'"),
        new,
        shell("rm '/tmp/out put'; yes 0123456789 | head -c 1500000 >'/tmp/out put'"),
        new,
        new,
        status(job_name="job", stdout_file="/tmp"),
    )
    assert (anew["stdout"], rotated["stdout"]) == ("anew\n", "x")
    assert len(much["stdout"]) == 1 << 20
    assert len(much["stdout"]) + len(more["stdout"]) == 1_500_000 - 1  # behind the x
    assert unreadable["status"] == "running"
    assert "The output /tmp cannot be read" in " ".join(unreadable["warnings"])


def test_output_at_the_end(scene: Scene) -> None:
    """Of a job that writes to a file, and of one that leaves its output to Ansible. It goes into the record only on request."""
    jobs = scene.hold("h1", "file", before="exec >/tmp/file 2>&1; seq 3000;")
    name_files(scene, jobs["file"], stdout_file="/tmp/file")
    [first] = scene.ask("h1", status(job_name="file", output="new"))
    assert (first["status"], first["stdout_size"]) == ("running", 13893)
    scene.release(jobs["file"])
    jobs |= scene.start("h1", {"plain": "seq 3000; printf 'h\\303\\266\\n' >&2; exit 1"})
    scene.ended(*jobs.values())
    before = {name: scene.record_file(job).read_bytes() for name, job in jobs.items()}
    [new, new_plain] = scene.ask(
        "h1", status(job_name="file", output="new"), status(job_name="plain", output="new", store_output=True), options=("--check",)
    )
    assert (new["status"], new["stdout"]) == ("succeeded", "\nfile is done\n")
    assert (new_plain["stdout_lines"][0], new_plain["stdout_size"]) == ("1", 13892)
    assert {name: scene.record_file(job).read_bytes() for name, job in jobs.items()} == before
    end, full, plain, plain_new, again, tail = scene.ask(
        "h1",
        status(job_name="file", output="new", wait_timeout=5),
        status(job_name="file"),
        status(job_name="plain"),
        status(job_name="plain", output="new"),
        status(job_name="plain", output="new"),
        status(job_name="plain", output="tail", tail_size=5),
    )
    assert (end["stdout"], end["status"]) == ("\nfile is done\n", "succeeded")
    assert full["stdout_lines"][-2:] == ["", "file is done"]
    assert plain["stdout"] == plain_new["stdout"] == "\n".join(map(str, range(1, 3001)))
    assert (plain["stderr"], plain["rc"], plain["status"]) == ("hö", 1, "failed")
    assert (again["stdout"], again["stderr"]) == ("", "")
    assert tail["stdout"] == "\n3000"
    for name in jobs:
        assert not {"stdout", "stderr"} & scene.controller.record(name, host="h1")["result"].keys()
    scene.ask(
        "h1",
        status(job_name="file", store_output=True),
        {**status(job_name="plain", store_output=True), "no_log": True},
        status(jid=jobs["plain"].id, store_output=True),
    )
    result = scene.controller.record("file", host="h1")["result"]
    assert len(result["stdout"]) == 4096
    assert result["stdout"].endswith("3000\n\nfile is done\n")
    assert "stdout" not in scene.controller.record("plain", host="h1")["result"]


def test_output_that_a_user_may_not_read(scene: Scene) -> None:
    """That is no failure of the job: its status is told, with a warning. Links and pipes keep nobody waiting."""
    scene.user("app")
    scene.hold("h1", "job")
    scene.shell("h1", "(umask 077; echo secret >/etc/out); mkfifo -m 666 /tmp/pipe; ln -s /etc/out /tmp/link")
    files = ("/etc/out", "/tmp/link", "/tmp/pipe")
    answers = scene.ask("h1", *(status(job_name="job", stdout_file=file, output="tail", look_timeout=10) for file in files))
    for file, answer in zip(files, answers, strict=True):
        assert answer.get("status") == "running", (file, answer)
        assert "secret" not in answer["stdout"]
        assert "cannot be read" in " ".join(answer["warnings"]), file


# --- Plays --------------------------------------------------------------------------------------------------------------


def test_another_host(scene: Scene) -> None:
    """A look on the wrong host proves nothing: not that the job is lost, nor that it rebooted."""
    jobs = scene.hold("h1", "new", "seen", "dead") | scene.start("h1", {"done": "echo done"})
    scene.signal_all("KILL", jobs["dead"])
    until(lambda: not scene.wrappers(jobs["done"]) and not scene.wrappers(jobs["dead"]))
    scene.ask("h1", status(job_names=["seen", "done", "dead"]))
    before = {name: scene.controller.record(name, host="h1") for name in jobs}
    seen, done, dead = (scene.controller.record(name, host="h1") for name in ("seen", "done", "dead"))
    assert (seen["status"], done["status"], dead["status"]) == ("running", "succeeded", "killed"), dead
    several, waited, *wrong = scene.ask(
        "h2",
        status(job_names=["new", "seen"], host="h1"),
        status(job_name="new", host="h1", wait_timeout=2),
        *(status(job_name=name, host="h1") for name in jobs),
    )
    for answer in [*several["jobs"], waited, *wrong[:2]]:
        assert (answer["status"], answer["failed"], answer["finished"]) == ("unknown", True, False)
        assert "delegate_to: h1" in answer["msg"]
    assert [answer["status"] for answer in wrong[2:]] == ["killed", "succeeded"]
    for name, record in before.items():
        assert scene.controller.record(name, host="h1") == record, name
    right, from_here, [own] = scene.run(
        asking({**status(job_names=[*jobs], host="h1"), "delegate_to": "h1"}, where="h2"),
        asking({**status(job_name="new", host="{{ item }}"), "loop": ["h1"], "delegate_to": "{{ item }}"}, where="localhost"),
        asking(status(job_name="new"), where="h2"),
    ).told
    assert [job["status"] for job in right[0]["jobs"]] == ["running", "running", "killed", "succeeded"]
    assert from_here[0]["results"][0]["status"] == "running"
    assert "There is no record of" in own["msg"]


def test_plays(scene: Scene) -> None:
    """Host by host, all at their own pace, in loops, and with settings of the group."""
    names = ["a 1", "b 2"]
    for host in scene.hosts.names:
        scene.start(host, {name: f"echo {host} {name}" for name in names})
    loop = {**status(job_name="{{ item }}", wait_timeout=30, wait_interval=1), "loop": names}
    defaults = {"group/rstyczynski.ansible.async_job": {"state_dir": "{{ playbook_dir }}/.ansible_async_state"}}
    ran = scene.run(
        asking(loop, where="all", serial=1),
        asking(loop, where="all", strategy="free", module_defaults=defaults),
        asking(status(job_names=names, wait_timeout=30), where="all", any_errors_fatal=True, max_fail_percentage=0),
        asking({**status(job_name="{{ item }}"), "loop": names, "throttle": 1, "become": True}, where="all"),
        asking({**status(job_name="a 1", wait_timeout=30, host="h1"), "run_once": True, "delegate_to": "h1"}, where="all"),
    ).ok()
    *plays, [once], [_same] = ran.told
    for [answer] in plays:
        jobs = answer.get("results") or answer["jobs"]
        assert {job["status"] for job in jobs} == {"succeeded"}
        assert len({job["stdout"].split()[0] for job in jobs}) == 1
        assert [job["stdout"].partition(" ")[2] for job in jobs] == names
    assert len(plays) == 8
    assert once["stdout"] == "h1 a 1"
    for host in scene.hosts.names:
        assert {scene.controller.record(name, host=host)["status"] for name in names} == {"succeeded"}


# --- Connections --------------------------------------------------------------------------------------------------------

LIFE = [
    {"ansible.builtin.shell": {"cmd": "{{ command }}"}, "async": 600, "poll": 0},
    {STATE: {"job_name": "job", "ansible_job_id": "{{ answer0.ansible_job_id }}", "results_file": "{{ answer0.results_file }}"}},
    shell("timeout 20 sh -c \"until pgrep -f 'cat /tmp/go {{ inventory_hostname }}$'; do sleep 0.1; done\""),
    status(jid="{{ answer0.ansible_job_id }}"),
    status(job_name="job"),
    {"ansible.builtin.shell": {"cmd": "timeout 5 sh -c \"echo > '/tmp/go {{ inventory_hostname }}'\""}},
    status(job_name="job", wait_timeout=30, wait_interval=1),
    {"ansible.builtin.async_status": {"jid": "{{ answer0.ansible_job_id }}"}},
    status(jid="{{ answer0.ansible_job_id }}", mode="cleanup"),
    {"ansible.builtin.shell": {"cmd": "sleep 1020"}, "async": 600, "poll": 0},
    {CANCEL: {"jid": "{{ answer9.ansible_job_id }}"}},
    status(jid="{{ answer9.ansible_job_id }}"),
]


def live_a_life(scene: Scene, where: str = "all") -> dict[str, list[t.Any]]:
    """A job on each host, from its start to its end, and another one that is cancelled. What all of that returns."""
    command = held("{{ inventory_hostname }}") + "; echo done"
    ran = scene.run(
        asking(*LIFE, {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }}"}}, where=where, vars={"command": command})
    ).ok()
    lives = {answers[-1]["msg"]: answers for answers in ran.told}
    for answers in lives.values():
        _start, _save, _wait, by_job_id, by_name, _go, waited, native, cleanup, _other, cancelled, after, _name = answers
        for answer in (by_job_id, by_name):
            assert (answer["status"], answer["finished"], answer["failed"]) == ("running", False, False)
            assert sorted({process["role"] for process in answer["processes"]}) == ["descendant", "runner", "watcher"]
        assert by_job_id["results_file"] == by_name["results_file"] == cleanup["erased"]
        assert (waited["status"], waited["stdout"], native["stdout"]) == ("succeeded", "\ndone", "\ndone")
        assert waited["rc"] == 0
        assert (cancelled["status"], cancelled["changed"], cancelled["processes"]) == ("cancelled", True, [])
        assert (after["status"], after["failed"]) == ("cancelled", True)
    return lives


@pytest.mark.parametrize(
    ("user", "home", "pipelining"),
    [
        pytest.param("root", HOME_OF_ROOT, False, id="root"),
        pytest.param("app", "/home/app", True, id="app, pipelining"),
        *([("root", HOME_OF_ROOT, True), ("app", "/home/app", False)] if TORTURE else []),
    ],
)
def test_directories(scene: Scene, user: str, home: str, pipelining: bool) -> None:
    """Of results and of modules, with spaces and shell metacharacters in their names; given as variables, relative to the home."""
    directories = {"h1": "~/my jobs;$(touch /tmp/pwned)", "h2": f"{home}/async.d"}
    lines = []
    for line in scene.hosts.inventory_lines(user):
        directory = directories[line.split()[0]]
        # Of two values the last one counts. A space in remote_tmp is too much for background jobs of ansible-core 2.16.
        lines.append(f"{line} ansible_async_dir='{directory}' ansible_remote_tmp='~/remote_tmp' ansible_pipelining={pipelining}")
    scene.controller.hosts(*lines)
    lives = live_a_life(scene)
    for host, directory in directories.items():
        start, _save, _wait, by_job_id, *_rest = lives[host]
        expected = f"{directory.replace('~', home)}/{start['ansible_job_id']}"
        assert by_job_id["results_file"] == expected
        assert scene.controller.record("job", host=host)["results_file"] == expected
        assert scene.test(host, "test ! -e /tmp/pwned")


@pytest.mark.torture
def test_every_python(scene: Scene) -> None:
    """Each that this ansible-core supports on hosts, without any package."""
    major, minor = ansible_version.split(".")[:2]
    oldest = OLDEST.get(f"{major}.{minor}", max(OLDEST.values()))
    pythons = {version: path for version, path in scene.hosts.pythons.items() if int(version.split(".")[1]) >= oldest}
    assert len(pythons) > 1
    lines = []
    for number, (version, path) in enumerate(pythons.items()):
        line = scene.hosts.inventory_lines(("root", "app")[number % 2], path)[number // 2 % 2]
        lines.append(f"py{version} ansible_host={line.replace(' ', ' ', 1)}")
    scene.controller.hosts(*lines)
    lives = live_a_life(scene)
    assert lives.keys() == {f"py{version}" for version in pythons}
    for name, answers in lives.items():
        assert pythons[name[2:]] in str(answers[3]["processes"]), name


def test_become(scene: Scene) -> None:
    """With become of the task, and with what was saved; from root to a user, and from one user to another."""
    scene.user("op")
    task = {"ansible.builtin.shell": {"cmd": held("{{ inventory_hostname }}")}, "async": 600, "poll": 0}
    ran = scene.run(
        asking(
            {**task, "become": True, "become_user": "{{ {'h1': 'app', 'h2': 'root'}[inventory_hostname] }}"},
            {
                STATE: {
                    "job_name": "job",
                    "ansible_job_id": "{{ answer0.ansible_job_id }}",
                    "results_file": "{{ answer0.results_file }}",
                    "become_user": "{{ {'h1': 'app', 'h2': 'root'}[inventory_hostname] }}",
                }
            },
            {**shell("timeout 20 sh -c \"until pgrep -f 'cat /tmp/go {{ inventory_hostname }}$'; do sleep 0.1; done\""), "become": True},
            status(job_name="job", become_recorded_user=True),
            {**status(job_name="job"), "become": True},
            {
                **status(jid="{{ answer0.ansible_job_id }}"),
                "become": True,
                "become_user": "{{ {'h1': 'app', 'h2': 'root'}[inventory_hostname] }}",
            },
            {"ansible.builtin.shell": {"cmd": "echo >'/tmp/go {{ inventory_hostname }}'"}, "become": True},
            status(job_name="job", wait_timeout=30, wait_interval=1, become_recorded_user=True),
            where="all",
        ),
    ).ok()
    assert len(ran.told) == 2
    for _start, _save, _wait, saved, root, by_job_id, _go, waited in ran.told:
        homes = {saved["results_file"].rpartition("/.ansible_async/")[0], root["results_file"].rpartition("/.ansible_async/")[0]}
        assert len(homes) == 1
        assert homes <= {"/home/app", HOME_OF_ROOT}
        for answer in (saved, root, by_job_id):
            assert answer["status"] == "running", answer
        assert waited["status"] == "succeeded"
