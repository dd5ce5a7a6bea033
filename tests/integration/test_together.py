# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of one task that are started together, over ssh: how often the host is asked, and what becomes of a start that breaks off."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from controller import Live
from faults import Scene
from plays import Yaml, ask, job, run_tasks, shell, telling, told
from waiting import until
from wire import Wire

_LEDGER = "/opt/ledger"


def several(names: t.Iterable[str], command: str, **keywords: t.Any) -> Yaml:
    """Return a task that starts a job of each name, which notes that it was executed."""
    jobs = [{"job_name": name, "task": shell(f"echo {name} >>{_LEDGER}; {command}")} for name in names]
    return {"rstyczynski.ansible.async_job": {"jobs": jobs}, "async": 600, "poll": 0, **keywords}


def test_exchanges_of_one_job(scene: Scene, tmp_path: Path) -> None:
    """How many it takes, and how many bytes: it does not depend on the machine. With sudo, without, and with the module of an action."""
    wire = Wire(tmp_path, scene.controller.environment)
    scene.controller.hosts(scene.hosts.inventory_lines(user="op")[0])
    scene.controller.environment["ANSIBLE_ASYNC_DIR"] = "~/.ansible_async"
    package = {"ansible.builtin.package": {"name": "nothing-like-that", "state": "absent"}}
    most = {
        "command": (job(shell("sleep 600"), name="a", become=True), 2),
        "a look": (job(shell("sleep 600"), name="a", become=True), 1),
        "command without sudo": (job({"ansible.builtin.command": "true"}, name="b", poll=1), 3),
        "what has ended": (job({"ansible.builtin.command": "true"}, name="b"), 0),
        "module": (job({"ansible.builtin.stat": {"path": "/"}}, name="c", become=True), 2),
        "package": (job(package, name="d"), 3),
    }
    ran = run_tasks(scene.controller, {"ansible.builtin.raw": "true"}, *(task for task, _most in most.values()), options=["-vvvv"])
    assert not [answer for answer in told(ran) if answer["failed"]], told(ran)
    _connected, *sent = [part.count("SSH: EXEC") for part in ran.output.split("\nTASK [")[1:8]]
    assert {name: (count <= limit, count) for (name, (_task, limit)), count in zip(most.items(), sent, strict=True)} == {
        name: (True, count) for name, count in zip(most, sent, strict=True)
    }
    exchanges = wire.taken()
    assert not [exchange for exchange in exchanges if exchange.is_file], exchanges
    sizes = [exchange.sent for exchange in exchanges[1 : 1 + sum(sent[:4])]]
    assert max(sizes) <= 40_000, sizes


def test_sudo_that_wants_a_terminal(scene: Scene) -> None:
    """Nothing goes through the connection then, and all is done as files."""
    scene.controller.hosts(scene.hosts.inventory_lines(user="op")[0])
    scene.controller.environment["ANSIBLE_ASYNC_DIR"] = "~/.ansible_async"
    scene.shell("h1", "echo 'Defaults requiretty' >>/etc/sudoers")
    started, looked, ended = ask(
        scene.controller,
        job(shell("id -un"), become=True),
        {"rstyczynski.ansible.async_job_status": {"job_name": "job"}, "become": True},
        job(shell("id -un"), become=True, poll=1),
    )
    assert (started["status"], looked["failed"], ended["stdout"], ended["attempt"]) == ("running", False, "root", 1), (
        started,
        looked,
        ended,
    )


def test_as_many_exchanges_as_for_one(scene: Scene) -> None:
    """For any number of jobs. Each is executed once, as the user of the task, and nothing of the start is left on the host."""
    hosts, controller = scene.hosts, scene.controller
    controller.hosts(hosts.inventory_lines(user="op")[0])
    controller.environment["ANSIBLE_ASYNC_DIR"] = "~/.ansible_async"
    counts = []
    names: list[str] = []
    for count in (1, 5, 20):
        some = [f"job{count}_{number}" for number in range(count)]
        names += some
        ran = run_tasks(controller, several(some, "id -un; sleep 1", become=True), options=["-vvvv"])
        [answer] = told(ran)
        assert [job["started"] for job in answer["jobs"]] == [True] * count, answer
        counts.append((len(re.findall("SSH: EXEC", ran.output)), len(re.findall("sftp> put|SSH: EXEC sftp", ran.output))))
        files = {job["state_file"] for job in answer["jobs"]}
        assert len(files) == count
    assert counts[0] == counts[1] == counts[2], counts
    [ended] = ask(controller, several(names, "id -un; sleep 1", become=True, poll=1))
    assert [job["status"] for job in ended["jobs"]] == ["succeeded"] * 26, ended
    assert {job["stdout"] for job in ended["jobs"]} == {"root"}
    assert sorted(hosts.execute("h1", "cat", _LEDGER).split()) == sorted(names)
    until(lambda: not hosts.execute("h1", "sh", "-c", "find ~/.ansible/tmp ~op/.ansible/tmp -mindepth 1 2>/dev/null; true"))
    modes = hosts.execute("h1", "sh", "-c", "find ~/.ansible_async -name 'j*' -prune -o -printf '%m %y\\n' | sort -u").split("\n")
    assert "700 d" in modes


# Each Python of the task imports this first: the fourth wrapper waits, and says which process has started it.
_STALLING = """
import os, time
if b"async_wrapper" in open("/proc/self/cmdline", "rb").read():
    number = 1
    while True:
        try:
            os.mkdir("/opt/begun%d" % number)
            break
        except FileExistsError:
            number += 1
    if number == 4:
        with open("/opt/program.new", "w") as file:
            file.write(str(os.getppid()))
        os.rename("/opt/program.new", "/opt/program")
        while not os.path.exists("/opt/go"):
            time.sleep(0.1)
"""


def test_a_start_that_breaks_off(scene: Scene) -> None:
    """Some have started then, some have not, and one is about to. The next run finds the former, starts the others, and each runs once."""
    hosts, controller = scene.hosts, scene.controller
    hosts.execute("h1", "sh", "-c", 'mkdir /opt/first && printf %s "$1" >/opt/first/sitecustomize.py', "-", _STALLING)
    controller.hosts(hosts.inventory_lines()[0])
    controller.environment["ANSIBLE_ASYNC_DIR"] = "~/.ansible_async"
    names = [f"job{number}" for number in range(24)]
    stalling = several(names, "true", environment={"PYTHONPATH": "/opt/first"})
    playbook = controller.write("playbook.yml", json.dumps([telling(stalling)]))
    live = Live(controller.popen("playbook", "-i", controller.inventory, playbook))
    until(lambda: scene.test("h1", f"test -e /opt/program && [ $(wc -l <{_LEDGER}) -ge 15 ]"), seconds=240)
    hosts.execute("h1", "kill", "-KILL", hosts.execute("h1", "cat", "/opt/program").strip())
    [broken] = told(live.ran())
    assert {(job["status"], job["failed"]) for job in broken["jobs"]} == {("running", False), ("", True)}, broken
    assert any("belong to" in job["msg"] for job in broken["jobs"] if job["failed"]), broken
    assert any("belong to" not in job["msg"] for job in broken["jobs"] if job["failed"]), broken
    hosts.execute("h1", "touch", "/opt/go")
    [ended] = ask(controller, several(names, "true", poll=1))
    assert [job["status"] for job in ended["jobs"]] == ["succeeded"] * 24, ended
    assert [job["attempt"] for job in ended["jobs"]] == [1] * 24
    assert sorted(hosts.execute("h1", "cat", _LEDGER).split()) == sorted(names)
