# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job, and controllers that come all at once, die, freeze and lose the network: it is started exactly once.

Each execution of a job adds a line to a ledger on the managed host. With C(TORTURE=1) in the environment, chance is tried many times
as often. Each test prints what it has counted.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from controller import Controller
from hosts import Hosts
from object_storage_server import ObjectStorageServer
from torture import TORTURE

RACES, RACERS = (20, 32) if TORTURE else (1, 10)
# Of two stores, and how often one is lost
STORE_RACES, STORE_RACERS = (20, 16) if TORTURE else (1, 6)
LOSSES = 100 if TORTURE else 2
KILLS = 200 if TORTURE else 3
MOVES = 100 if TORTURE else 1
FREEZES = 50 if TORTURE else 1
CUTS = 60 if TORTURE else 1
SEQUENCES = 50 if TORTURE else 1

# The life of a claim in tests that wait for its end, in seconds.
LIFE = 2
_SECONDS = 90

PLAYBOOK = """
- name: test
  hosts: h1
  gather_facts: false
  tasks:
    - name: Work
      rstyczynski.ansible.async_job:
        job_name: "{{ job }}"
        claim_timeout: "{{ life | default(60) }}"
        look_timeout: "{{ patience | default(60) }}"
        start_timeout: "{{ patience | default(60) | int * 2 }}"
        task:
          ansible.builtin.shell: echo executed >> ~/'{{ job }}.ledger'; {{ command | default('true') }}
        restart_on: "{{ restart_on | default([]) }}"
        become_recorded_user: "{{ recorded | default(false) }}"
      become: "{{ user is defined }}"
      become_user: "{{ user | default(omit) }}"
      async: 600
      poll: "{{ wait | default(0) | int }}"
      register: work
    - name: Tell
      ansible.builtin.debug:
        msg: "TOLD {{ work.status }} {{ work.ansible_job_id }} {{ work.changed }}"
"""


class Trials:
    """A controller, or many that share a store, and a managed host."""

    def __init__(self, hosts: Hosts, controller: Controller) -> None:
        self.hosts = hosts
        self.controller = controller
        self.counts: collections.Counter[str] = collections.Counter()
        self.settings: dict[str, object] = {}
        self.user()
        self.playbook = controller.write("playbook.yml", PLAYBOOK)

    def user(self, *more: str, login: str = "root") -> None:
        """Whom controllers log in as from now on, and more variables of the hosts."""
        self.controller.hosts(*(" ".join([line, *more]) for line in self.hosts.inventory_lines(login)))

    def start(self, job: str, **variables: object) -> subprocess.Popen[str]:
        """Start a controller."""
        extra = json.dumps({"job": job, **self.settings, **variables})
        return self.controller.popen("playbook", "-i", self.controller.inventory, self.playbook, "-e", extra, env={"ANSIBLE_TIMEOUT": "2"})

    def run(self, job: str, **variables: object) -> tuple[int, str]:
        """Run a controller to its end."""
        return self.finish(self.start(job, **variables))

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        output, _stderr = process.communicate(timeout=_SECONDS)
        return process.returncode, output

    def executions(self, job: str, host: str = "h1") -> int:
        """How often the job was executed there."""
        script = 'cat ~/"$1.ledger" /home/*/"$1.ledger" 2>/dev/null || true'
        return self.hosts.execute(host, "sh", "-c", script, "sh", job).count("executed")

    def leads_to(self, host: str) -> None:
        """Let the name h1 lead to this host from now on."""
        lines = {line.split()[0]: line for line in self.hosts.inventory_lines("root")}
        self.controller.hosts(f"h1 ansible_host={host} {lines[host].partition(' ')[2]}")

    def until_done(self, job: str, **variables: object) -> None:
        """Run the playbook again until the job has ended, as people do."""
        for _turn in range(5):
            code, output = self.run(job, wait=1, **variables)
            if code == 0:
                assert "TOLD succeeded" in output, output
                return
            self.counts["runs that failed"] += 1
        raise AssertionError(output)

    def once(self, job: str) -> None:
        """The job was executed once, and its record is whole."""
        assert self.executions(job) == 1, (job, self.record(job))
        record = self.record(job)
        assert (record["status"], record["attempt"]) == ("succeeded", 1), record
        assert "claim" not in record
        assert record["result"]["rc"] == 0
        self.counts["executed once"] += 1

    def record(self, job: str) -> dict[str, t.Any]:
        return self.controller.record(job, host="h1")

    def tidy(self, *, fences: int) -> None:
        """What is left of all that is a directory for each job, and a small file for each start that was given up."""
        find = "cd ~/.ansible_async && find . -mindepth 1 -not -path './.async_jobs-*' -printf '%y %s %P\\n'"
        left = self.hosts.execute("h1", "sh", "-c", find).splitlines()
        directories = [line for line in left if line.startswith("d")]
        files = [line for line in left if line.startswith("f") and "/" not in line and not line.endswith(" .async_job")]
        results = [line for line in left if re.search("/j[0-9]", line)]
        assert len(results) == len(directories) == self.counts["executed once"], left
        assert all(re.fullmatch(r"f \d{2,3} [0-9a-f]{32}", line) for line in files), left
        assert len(files) <= fences, left
        self.counts["fences"] = len(files)
        state = [path for path in self.controller.state_dir.rglob("*") if path.is_file() and path.suffix != ".json"]
        assert [path.name for path in state] == [".lock"], state

    def told(self, what: str) -> None:
        print(f"{what}: {dict(self.counts)}")


@pytest.fixture
def trials(hosts: Hosts, controller: Controller) -> Trials:
    return Trials(hosts, controller)


def family(pid: int) -> list[int]:
    """A process and all of its descendants, whatever sessions they are in."""
    children = collections.defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            children[int(fields[1])].append(int(stat.parent.name))
    found = [pid]
    for parent in found:
        found += children[parent]
    return found


def signal_all(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a controller and all of its processes. They are stopped first, so that none gets away."""
    seen: set[int] = set()
    while new := set(family(process.pid)) - seen:
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        seen |= new
    if number != signal.SIGSTOP:
        for pid in seen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def at_some_moment(trials: Trials, process: subprocess.Popen[str], job: str, before: Callable[[], object] | None = None) -> None:
    """Wait until a controller is somewhere between its claim and its end. Now and then, earlier."""
    record = trials.controller.state_dir / "h1" / "test" / f"{job}.json"
    early = random.random() < 0.1
    deadline = time.monotonic() + (random.uniform(0, 1) if early else _SECONDS)
    while not record.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.9))
    status = json.loads(record.read_text("utf-8"))["status"] if record.exists() else "no record"
    trials.counts[f"while {status}" if process.poll() is None else "too late"] += 1


def frozen_while_prepared(trials: Trials, job: str, **variables: object) -> subprocess.Popen[str]:
    """A controller that was frozen after it noted where the attempt is going to live, and before it noted that it runs."""
    record = trials.controller.state_dir / "h1" / "test" / f"{job}.json"

    def prepared() -> bool:
        return record.exists() and json.loads(record.read_text("utf-8"))["status"] == "prepared"

    # A start takes a tenth of a second: that of a busy host takes longer.
    script = 'printf "#!/bin/sh\\nsleep 0.4\\nexec %s \\"\\$@\\"\\n" "$1" >/opt/slowly && chmod 755 /opt/slowly'
    trials.hosts.execute("h1", "sh", "-c", script, "-", next(iter(trials.hosts.pythons.values())))
    process = trials.start(job, **{"ansible_python_interpreter": "/opt/slowly", **variables})
    while process.poll() is None and not prepared():
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.3))
    signal_all(process, signal.SIGSTOP)
    assert prepared(), "it was too fast"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    signal_all(process, signal.SIGKILL)
    process.communicate(timeout=_SECONDS)


@contextlib.contextmanager
def object_storage(trials: Trials, store: str) -> Iterator[None]:
    """Keep the records in the store of this name."""
    if store == "filesystem":
        yield
        return
    with ObjectStorageServer() as service:
        trials.settings = {
            "async_job_backend": "oci",
            "async_job_oci_bucket": service.bucket,
            "async_job_oci_namespace": service.namespace,
            "async_job_oci_config_file": str(service.config_file),
            "async_job_oci_endpoint": service.endpoint,
        }
        yield


@pytest.mark.parametrize("store", ["filesystem", "oci"])
def test_at_the_same_moment(trials: Trials, store: str) -> None:
    """Many controllers start one new job. One of them has started it, and all are attached to the same one."""
    with object_storage(trials, store):
        for number in range(RACES):
            racers = [trials.start(f"race{number}", command="sleep 1000") for _racer in range(RACERS)]
            ran = [trials.finish(racer) for racer in racers]
            for code, output in ran:
                assert code == 0, output
            told = [
                line.split("TOLD ")[1].split('"')[0].split() for _code, output in ran for line in output.splitlines() if "TOLD " in line
            ]
            assert len(told) == RACERS, ran[0][1]
            assert {status for status, _job, _changed in told} == {"running"}
            assert len({job for _status, job, _changed in told}) == 1
            assert [changed for _status, _job, changed in told].count("True") == 1
            assert trials.executions(f"race{number}") == 1
            trials.counts["executed once"] += 1
            trials.counts["attached"] += RACERS - 1
    trials.told(f"{RACES} races of {RACERS} controllers, {store}")


def test_two_stores_at_the_same_moment(trials: Trials) -> None:
    """Controllers that know nothing of each other start one new job. It is executed once, and all are attached to the same one."""
    stores = [str(trials.controller.project / name) for name in ("one", "two")]
    for number in range(STORE_RACES):
        job = f"race{number}"
        racers = [trials.start(job, command="sleep 1000", async_job_state_dir=stores[racer % 2]) for racer in range(STORE_RACERS)]
        ran = [trials.finish(racer) for racer in racers]
        for code, output in ran:
            assert code == 0, output
        told = [line.split("TOLD ")[1].split('"')[0].split() for _code, output in ran for line in output.splitlines() if "TOLD " in line]
        assert {status for status, _job, _changed in told} == {"running"}
        assert len({job_id for _status, job_id, _changed in told}) == 1
        assert [changed for _status, _job, changed in told].count("True") == 1
        assert trials.executions(job) == 1
        records = [json.loads(Path(store, "h1", "test", f"{job}.json").read_text("utf-8")) for store in stores]
        [origin] = [record["origin"] for record in records if "origin" in record]
        assert origin["store"] in stores
        assert records[0]["attempt_dir"] == records[1]["attempt_dir"]
        trials.counts["executed once"] += 1
        trials.counts["attached"] += STORE_RACERS - 1
    trials.told(f"{STORE_RACES} races of {STORE_RACERS} controllers with two stores")


def test_lost_stores(trials: Trials) -> None:
    """The controller is killed at some moment of the start, and all records are lost. Whoever comes next finds the job, if it has started.

    Every other time, the records are made anew from the host before.
    """
    recover = ["playbook", "-i", trials.controller.inventory, "--limit", "h1", "rstyczynski.ansible.recover", "-e", "apply=true"]
    for number in range(LOSSES):
        job = f"lost{number}"
        command = f"until [ -e ~/{job}.go ]; do sleep 0.2; done"
        process = trials.start(job, command=command)
        at_some_moment(trials, process, job)
        signal_all(process, signal.SIGKILL)
        process.communicate(timeout=_SECONDS)
        shutil.rmtree(trials.controller.state_dir, ignore_errors=True)
        if number % 2:
            code, output = trials.finish(trials.controller.popen(*recover))
            assert code == 0, output
            trials.counts["recovered"] += f"{job} " in output
        code, output = trials.run(job, command=command)
        assert code == 0, output
        assert "TOLD running" in output
        trials.counts["adopted"] += "was adopted" in output
        trials.hosts.execute("h1", "sh", "-c", f"touch ~/{job}.go")
        trials.until_done(job, command=command)
        trials.once(job)
    trials.tidy(fences=LOSSES)
    trials.told(f"{LOSSES} lost stores")


def test_killed_controllers(trials: Trials) -> None:
    """The whole controller is killed at some moment of the start. Whoever comes next finds what it has done, at once."""
    for number in range(KILLS):
        job = f"killed{number}"
        process = trials.start(job)
        at_some_moment(trials, process, job)
        signal_all(process, signal.SIGKILL)
        process.communicate(timeout=_SECONDS)
        begin = time.monotonic()
        trials.until_done(job)
        assert time.monotonic() - begin < 30, "a controller that is known to be dead was waited for"
        trials.once(job)
    trials.tidy(fences=KILLS)
    trials.told(f"{KILLS} killed controllers")


def test_another_machine_after_a_kill(trials: Trials) -> None:
    """The controller is killed at some moment of the start, and then the name leads to another machine. It is executed on one of them."""
    again = {"restart_on": ["lost", "killed", "failed"]}
    for number in range(MOVES):
        job = f"moved{number}"
        trials.leads_to("h1")
        process = trials.start(job)
        at_some_moment(trials, process, job)
        signal_all(process, signal.SIGKILL)
        process.communicate(timeout=_SECONDS)
        trials.leads_to("h2")
        code, output = trials.run(job, wait=1, **again)
        if code:
            assert "another machine" in output
            assert trials.executions(job, "h2") == 0
            trials.counts["refused"] += 1
        trials.leads_to("h1")
        trials.until_done(job, **again)
        executions = [trials.executions(job, host) for host in ("h1", "h2")]
        assert sum(executions) == 1, (job, executions)
        trials.counts["executed once"] += 1
    trials.told(f"{MOVES} killed controllers, and then another machine")


SEQUENCE = """
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - name: First
      rstyczynski.ansible.async_job:
        job_name: first{{ trial }}
        task:
          ansible.builtin.shell: echo first >>"$LEDGER"; echo one
      async: 600
      poll: 1
      register: first
    - name: Second
      rstyczynski.ansible.async_job:
        job_name: second{{ trial }}
        task:
          ansible.builtin.shell: echo second {{ first.stdout }} >>"$LEDGER"; sleep 1; echo two
      async: 600
      poll: 1
      register: second
    - name: Third
      rstyczynski.ansible.async_job:
        job_name: third{{ trial }}
        task:
          ansible.builtin.shell: echo third {{ second.stdout }} >>"$LEDGER"
      async: 600
      poll: 1
  environment:
    LEDGER: "/opt/{{ inventory_hostname }}.{{ trial }}.ledger"
"""


def test_killed_in_the_middle_of_a_sequence(trials: Trials) -> None:
    """Three steps on five hosts, and the controller is killed at any moment. Run again until done: each step ran once on each host."""
    lines = trials.hosts.inventory_lines("root")
    names = [f"web{number}" for number in range(5)]
    where = [lines[number % len(lines)].split(None, 1) for number in range(len(names))]
    trials.controller.hosts(*(f"{name} ansible_host={host} {rest}" for name, (host, rest) in zip(names, where, strict=True)))
    playbook = trials.controller.write("sequence.yml", SEQUENCE)
    arguments = ["playbook", "-i", trials.controller.inventory, playbook]
    took = 10.0
    for trial in range(SEQUENCES):
        process = trials.controller.popen(*arguments, "-e", f"trial={trial}")
        deadline = time.monotonic() + random.uniform(0, took)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        trials.counts["killed" if process.poll() is None else "too late"] += 1
        signal_all(process, signal.SIGKILL)
        process.communicate(timeout=_SECONDS)
        begin = time.monotonic()
        for _turn in range(3):
            code, output = trials.finish(trials.controller.popen(*arguments, "-e", f"trial={trial}"))
            if code == 0:
                break
            trials.counts["runs that failed"] += 1
        assert code == 0, output
        took = max(took, time.monotonic() - begin)
        script = 'for host; do cat "/opt/$host.ledger" 2>/dev/null || true; done'
        for name, (host, _rest) in zip(names, where, strict=True):
            ran = trials.hosts.execute(host, "sh", "-c", script, "sh", f"{name}.{trial}").splitlines()
            assert ran == ["first", "second one", "third two"], (trial, name, ran)
            trials.counts["steps that ran once"] += len(ran)
    trials.told(f"{SEQUENCES} killed sequences of three steps on five hosts")


def test_frozen_controllers(trials: Trials) -> None:
    """It freezes for longer than its claim lives, others go on without it, one or two at once, and then it goes on too."""
    for number in range(FREEZES):
        job = f"frozen{number}"
        process = trials.start(job, life=LIFE)
        at_some_moment(trials, process, job)
        signal_all(process, signal.SIGSTOP)
        resolvers = [trials.start(job, life=LIFE) for _resolver in range(1 + number % 2)]
        for resolver in resolvers:
            code, output = trials.finish(resolver)
            # Only one of two that resolve the same start can win. Both are attached then. But nobody can write what is being written, nor
            # tell what a process of the frozen one is about to do on the host.
            lock, about = "Another process has held the lock", "nobody can tell whether the job was started. Nothing was started."
            assert code == 0 or lock in output or about in output, output
            trials.counts["resolved" if code == 0 else "waited for the lock" if lock in output else "refused"] += 1
        for pid in family(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        code, output = trials.finish(process)
        trials.counts["thawed and attached" if code == 0 else "thawed and failed"] += 1
        trials.until_done(job)
        trials.once(job)
    trials.tidy(fences=FREEZES)
    trials.told(f"{FREEZES} frozen controllers")


def test_network_cuts(trials: Trials) -> None:
    """The cable is pulled at some moment of the start. While it is, nothing more is started. When it is back, the job is found."""
    trials.user("ansible_ssh_retries=3")
    trials.settings = {"patience": 4}
    for number in range(CUTS):
        job = f"cut{number}"
        process = trials.start(job, life=LIFE)
        at_some_moment(trials, process, job)
        trials.hosts.partition("h1", "drop" if number % 2 else "link")
        code, output = trials.finish(process)
        if code:
            trials.counts["failed"] += 1
            assert "unreachable=1" in output or "failed=1" in output, output
        if number % 3 == 0:
            code, output = trials.run(job, life=LIFE)
            trials.counts["again while it is away"] += 1
            assert code == 0 or "unreachable" in output, output
        trials.hosts.heal("h1")
        trials.hosts.disconnect()
        trials.until_done(job)
        trials.once(job)
    trials.tidy(fences=CUTS)
    trials.told(f"{CUTS} network cuts")


def test_unreachable_while_it_is_resolved(trials: Trials) -> None:
    """Nobody can tell whether the job was started. That is said, and nothing is started."""
    trials.settings = {"patience": 4}
    kill(frozen_while_prepared(trials, "job"))
    trials.hosts.partition("h1", "link")
    before = trials.record("job")
    code, output = trials.run("job")
    assert code == 4, output
    assert "nobody can tell whether the job 'job'" in output
    assert "Nothing more was started" in output
    assert trials.record("job") == before
    assert trials.executions("job") <= 1  # what the frozen one had sent may have arrived
    trials.hosts.heal("h1")
    trials.hosts.disconnect()
    trials.until_done("job")
    trials.once("job")


def test_reboot_during_the_start(trials: Trials) -> None:
    """What was executed is never executed once more as the same attempt. What cannot be proven is said to be lost."""
    for number in range(4 if TORTURE else 1):
        job = f"reboot{number}"
        process = frozen_while_prepared(trials, job, command="sleep 1000")
        trials.hosts.reboot("h1")
        kill(process)
        trials.hosts.disconnect()
        code, output = trials.run(job, wait=1)
        assert code == 2, output
        record = trials.record(job)
        assert (record["status"], record["attempt"]) == ("lost", 1), record
        assert "rebooted" in record["reason"]
        assert trials.executions(job) <= 1
        before = trials.executions(job)
        code, output = trials.run(job, wait=1, restart_on=["lost"])
        assert code == 0, output
        assert (trials.record(job)["attempt"], trials.executions(job)) == (2, before + 1)
        trials.counts["executed before the reboot" if before else "not executed before the reboot"] += 1
    trials.told("reboots")


def test_disk_full_during_the_start(trials: Trials) -> None:
    """Nothing is started, which is said. When there is room again, the job is."""
    process = frozen_while_prepared(trials, "frozen")
    trials.hosts.fill("h1")
    for pid in family(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    trials.finish(process)
    code, output = trials.run("new")
    assert code != 0, output
    assert "TOLD" not in output
    assert trials.executions("new") == 0
    trials.hosts.unfill("h1")
    trials.until_done("new")
    trials.once("new")
    code, output = trials.run("frozen", wait=1)
    assert trials.executions("frozen") <= 1
    if code:
        assert trials.record("frozen")["status"] in ("lost", "killed"), output
        trials.run("frozen", wait=1, restart_on=["lost", "killed"])
    assert trials.record("frozen")["status"] == "succeeded"


def test_another_user_on_the_next_run(trials: Trials) -> None:
    """The start is resolved by root or by the user whose attempt it was, whom only those become who say so. A new attempt is the task's."""
    trials.user(login="op")
    for job, later in (("root", {"user": "root"}), ("op", {"recorded": True}), ("app", {"user": "app"})):
        kill(frozen_while_prepared(trials, job, user="app"))
        place = trials.record(job)["attempt_dir"]
        assert place.startswith("/home/app/.ansible_async/")
        if job == "op":
            code, output = trials.run(job, wait=1)
            assert code
            assert "Cannot see whether the job was started" in output
            assert "Nothing was started" in output
        trials.until_done(job, **later)
        trials.once(job)


def test_store_away_during_the_commit(trials: Trials) -> None:
    """The error says that the job was started. When the store is back, it is found."""
    process = frozen_while_prepared(trials, "job")
    store = trials.controller.state_dir
    away = store.with_name("away")
    store.rename(away)
    store.write_text("no directory")
    for pid in family(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    code, output = trials.finish(process)
    assert code == 2, output
    assert "The job 'job'" in output
    assert "was started on h1 as j" in output
    store.unlink()
    away.rename(store)
    trials.until_done("job")
    trials.once("job")
