# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Background jobs on managed hosts, what can be done to them, and what is said of them then.

As a plugin of pytest, this prints at the end of a run what Ansible and what the collection said of each fault.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from controller import Controller, Ran
from hosts import Hosts
from plays import Yaml, run, telling, told
from torture import TORTURE
from waiting import until

_SECONDS = 30
_ROW = "fault"

Answer = dict[str, t.Any]
Verdict = tuple[bool, bool]

# What each status means to a playbook: finished, failed.
VERDICTS: dict[str, Verdict] = {
    "running": (False, False),
    "orphaned": (False, False),
    "succeeded": (True, False),
    "failed": (True, True),
    "killed": (True, True),
    "timed_out": (True, True),
    "lost": (True, True),
    "unknown": (False, True),
}

_START = """
- name: test
  hosts: "{{ where }}"
  gather_facts: false
  tasks:
    - name: Start jobs
      ansible.builtin.shell: "{{ item.command }}"
      async: "{{ item.limit }}"
      poll: 0
      register: started
      loop: "{{ jobs }}"
    - name: Save them
      rstyczynski.ansible.async_job_state:
        host: "{{ item.item.host }}"
        job_name: "{{ item.item.name }}"
        ansible_job_id: "{{ item.ansible_job_id }}"
        results_file: "{{ item.results_file }}"
        become_user: "{{ item.item.become_user or omit }}"
      loop: "{{ started.results }}"
      become: false
    - name: Tell their ids
      tell:
        answers: "{{ dict(jobs | map(attribute='name') | zip(started.results | map(attribute='ansible_job_id'))) | to_json | b64encode }}"
"""

_LOOK = """
- name: test
  hosts: "{{ where }}"
  gather_facts: false
  tasks:
    - name: Ask Ansible
      ansible.builtin.async_status:
        jid: "{{ item.id }}"
      vars:
        ansible_pipelining: true
      register: native
      loop: "{{ jobs }}"
      ignore_errors: true
      when: ask_native
    - name: Look by job id
      rstyczynski.ansible.async_job_status:
        jid: "{{ item.id }}"
        output: "{{ output }}"
      register: by_job_id
      loop: "{{ jobs }}"
      ignore_errors: true
    - name: Look by name
      rstyczynski.ansible.async_job_status:
        host: "{{ jobs[0].host }}"
        job_name: "{{ jobs[0].name if jobs | length == 1 else omit }}"
        job_names: "{{ jobs | map(attribute='name') if jobs | length > 1 else omit }}"
        become_recorded_user: "{{ become_recorded_user }}"
        output: "{{ output }}"
      register: by_name
      ignore_errors: true
    - name: Tell what they said
      tell:
        answers: "{{ [native.results, by_job_id.results, by_name.jobs | default([by_name])] | to_json | b64encode }}"
"""

_TASK = """
- name: test
  hosts: "{{ where }}"
  gather_facts: false
  tasks:
    - name: Look at the clock
      ansible.builtin.set_fact:
        begin: "{{ now().timestamp() }}"
    - name: Try it
      %s: %s
      register: answer
      ignore_unreachable: true
      %s
    - name: Tell what it said
      tell:
        answers: "{{ [answer, now().timestamp() - begin | float] | to_json | b64encode }}"
"""


class Job(t.NamedTuple):
    """A job that was started."""

    host: str
    name: str
    id: str


class Process(t.NamedTuple):
    """A process of a host that has not ended."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    line: str


class Looks(t.NamedTuple):
    """What was said of a job at about the same time."""

    native: Answer
    by_job_id: Answer
    by_name: Answer


class Scene:
    """Hosts, and a controller that starts jobs on them and asks what became of them."""

    def __init__(self, hosts: Hosts, controller: Controller, rows: list[tuple[str, object]]) -> None:
        self.hosts = hosts
        self.controller = controller
        self.user("root")
        self._rows = rows

    def user(self, user: str, *more: str, python: str | None = None) -> None:
        """Set whom the controller logs in as from now on, and more variables of the hosts."""
        self.controller.hosts(*(" ".join([line, *more]) for line in self.hosts.inventory_lines(user, python)))

    # --- Jobs

    def start(
        self,
        host: str,
        commands: Mapping[str, str],
        *,
        options: Iterable[str] = (),
        limit: int = 600,
        become_user: str = "",
    ) -> dict[str, Job]:
        """Start jobs by their names, and save them.

        :arg become_user: to be noted in the records
        """
        jobs = [
            {"host": host, "name": name, "command": command, "limit": limit, "become_user": become_user}
            for name, command in commands.items()
        ]
        ids = told(self._play(_START, {"where": host, "jobs": jobs}, *options).ok())
        return {name: Job(host, name, ids[name]) for name in commands}

    def hold(self, host: str, *names: str, before: str = "", **kwargs: t.Any) -> dict[str, Job]:
        """Start jobs that run until they are released."""
        jobs = self.start(host, {name: f"{before} {held(name)}; echo {name} is done" for name in names}, **kwargs)
        until(lambda: self.test(host, " && ".join(f"test -p '/tmp/go {name}'" for name in names)))
        return jobs

    def release(self, *jobs: Job) -> None:
        """Let the commands of these jobs end, and await that."""
        for host in {job.host for job in jobs}:
            names = [job.name for job in jobs if job.host == host]
            self.shell(host, 'for name; do timeout 5 sh -c \'echo >"/tmp/go $1"\' sh "$name" || exit; done', *names)
        until(lambda: not self.there(*jobs, wrappers=False))

    def ended(self, *jobs: Job) -> None:
        """Await that all wrapper processes of these jobs are gone, within the time that Ansible takes for that."""
        until(lambda: not self.there(*jobs, commands=False))

    def without_runner(self, *jobs: Job) -> None:
        """Await that the runners of these jobs are gone. Their watchers need some more seconds to see that."""

        def runners() -> list[Process]:
            seen = {host: self.processes(host) for host in {job.host for job in jobs}}
            return [wrapper for job in jobs for wrapper in self.wrappers(job, seen[job.host]) if wrapper.pid == wrapper.pgid]

        until(lambda: not runners())

    def look(
        self, *jobs: Job, options: Iterable[str] = (), native: bool = TORTURE, output: str = "full", become_recorded_user: bool = False
    ) -> dict[str, Looks]:
        """Ask what became of jobs of one host.

        :arg native: whether to ask Ansible itself, too, for the table
        """
        asked = {"where": jobs[0].host, "jobs": [job._asdict() for job in jobs], "ask_native": native, "output": output}
        asked["become_recorded_user"] = become_recorded_user
        told_by = told(self._play(_LOOK, asked, *options))
        return {job.name: Looks(*answers) for job, *answers in zip(jobs, *told_by, strict=True)}

    def task(self, host: str, module: str, args: Mapping[str, object], *options: str, before: str = "") -> tuple[Answer, float]:
        """Run one task. Return what it returns, and how long it took.

        :arg before: more of the task, in YAML
        """
        playbook = _TASK % (module, json.dumps(args), before or "ignore_errors: true")
        answer, seconds = told(self._play(playbook, {"where": host}, *options))
        return answer, float(seconds)

    def ask(self, where: str, *tasks: Yaml, options: t.Sequence[str] = (), **keywords: t.Any) -> list[t.Any]:
        """Return what these tasks return, in one run."""
        return t.cast("list[t.Any]", told(self.run(telling(*tasks, hosts=where, **keywords), options=options)))

    def run(self, *plays: Yaml, options: t.Sequence[str] = ()) -> Ran:
        """Run these plays, without long waits for hosts that are away."""
        return run(self.controller, *plays, options=options, env={"ANSIBLE_TIMEOUT": "3"})

    def _play(self, playbook: str, variables: Mapping[str, object], *options: str) -> Ran:
        return self.controller.playbook(playbook, "-e", json.dumps(variables), *options, env={"ANSIBLE_TIMEOUT": "3"})

    # --- What is on a host

    def shell(self, host: str, script: str, *arguments: str) -> str:
        """Run a script as root, without ssh. Return what it says."""
        return self.hosts.execute(host, "sh", "-c", script, "sh", *arguments)

    def test(self, host: str, script: str) -> bool:
        """Tell whether such a script succeeds."""
        return self.shell(host, f"if {script}; then echo true; fi") != ""

    def processes(self, host: str) -> dict[int, Process]:
        """Return all processes of a host."""
        found = {}
        for line in self.hosts.execute(host, "ps", "-e", "-ww", "-o", "pid=,ppid=,pgid=,sid=,stat=,args=").splitlines():
            pid, ppid, pgid, sid, state, *args = line.split(None, 5)
            if not state.startswith("Z"):
                found[int(pid)] = Process(int(pid), int(ppid), int(pgid), int(sid), args[0] if args else "")
        return found

    def wrappers(self, job: Job, seen: Mapping[int, Process] | None = None) -> list[Process]:
        """Return the runner and the watcher of a job, as far as they are there.

        :arg seen: the processes of its host; by default these are asked for
        """
        processes = self.processes(job.host) if seen is None else seen
        there = [process for process in processes.values() if f"/async_wrapper.py {job.id.rpartition('.')[0]} " in process.line]
        return sorted(there, key=lambda process: process.pid != process.pgid)

    def watcher(self, job: Job) -> Process:
        """Return the process that enforces the time limit of a job."""
        _runner, watcher = self.wrappers(job)
        return watcher

    def runner(self, job: Job) -> Process:
        """Return the leader of the process group of a job."""
        runner, _watcher = self.wrappers(job)
        return runner

    def module(self, job: Job) -> Process:
        """Return what the runner runs."""
        processes = self.processes(job.host)
        runner = self.runner(job)
        [module] = [process for process in processes.values() if process.ppid == runner.pid]
        return module

    def commands(self, job: Job, seen: Mapping[int, Process] | None = None) -> list[Process]:
        """Return what the module of a held job runs: its shell, and what that waits for.

        :arg seen: the processes of its host; by default these are asked for
        """
        processes = self.processes(job.host) if seen is None else seen
        return [process for process in processes.values() if f"/go {job.name}" in process.line]

    def there(self, *jobs: Job, wrappers: bool = True, commands: bool = True) -> bool:
        """Tell whether anything of these jobs is there, by one look at each of their hosts."""
        seen = {host: self.processes(host) for host in {job.host for job in jobs}}
        return any((wrappers and self.wrappers(job, seen[job.host])) or (commands and self.commands(job, seen[job.host])) for job in jobs)

    def signal_all(self, name: str, *jobs: Job) -> None:
        """Send a signal to all processes of jobs: a module that starts early is not in the process group of its runner."""
        for job in jobs:
            self.shell(job.host, f"pkill -{name} -s {self.runner(job).sid}")

    def kill_all(self, *jobs: Job) -> None:
        """Kill all that runs in the sessions of these jobs, which were made for them."""
        for host in {job.host for job in jobs}:
            sessions = {self.runner(job).sid for job in jobs if job.host == host}
            self.kill(host, "KILL", *(process.pid for process in self.processes(host).values() if process.sid in sessions))

    def kill(self, host: str, name: str, *pids: int) -> None:
        """Send a signal; to process groups by negative numbers."""
        self.shell(host, f"kill -{name} {' '.join(map(str, pids))}")

    def record_file(self, job: Job) -> Path:
        """Return the path of the record of a job."""
        return self.controller.state_dir / job.host / "test" / f"{job.name}.json"

    def results_file(self, job: Job) -> str:
        """Return the path of the results file of a job, as the record has it."""
        return str(self.controller.record(job.name, host=job.host)["results_file"])

    # --- What is said

    def expect(self, fault: str, looks: Looks, status: str, *words: str, reason: str = "", native: str = "") -> None:
        """Make sure what both ways to look say, and put it into the table.

        :arg words: that the reason contains, and the message of what failed
        :arg native: what to say of Ansible, if it was not asked
        """
        for way, answer in (("by job id", looks.by_job_id), ("by name", looks.by_name)):
            self.check(f"{fault}, {way}", answer, status, *words)
        answer = looks.by_name
        finished, failed = VERDICTS[status]
        self.row(
            fault, native or native_verdict(looks.native), f"{status} (finished: {yes(finished)}, failed: {yes(failed)})", answer["reason"]
        )

    def check(self, fault: str, answer: Answer, status: str, *words: str) -> None:
        """Make sure what one answer says."""
        shown = json.dumps({name: value for name, value in answer.items() if not name.startswith("std")}, indent=1)[:6000]
        assert answer.get("status") == status, f"{fault}: {shown}"
        assert (bool(answer["finished"]), bool(answer["failed"])) == VERDICTS[status], f"{fault}: {shown}"
        for word in words:
            assert word in answer["reason"], f"{fault}: {word!r} is missing: {shown}"
        if answer["failed"]:
            assert answer["msg"], f"{fault}: {shown}"
            for word in words if status != "failed" else ():
                assert word in answer["msg"], f"{fault}: {word!r} is missing: {shown}"

    def tell(self, fault: str, answer: Answer, native: Answer) -> None:
        """Put what one answer says into the table, and what Ansible's says."""
        self._rows.append(row_of(fault, answer, native))

    def row(self, fault: str, native: str, ours: str, reason: str) -> None:
        """Put a row into the table."""
        self._rows.append((_ROW, [fault, native, ours, reason]))


def row_of(fault: str, answer: Answer, native: Answer) -> tuple[str, object]:
    """Return a row of the table: what we say, and what Ansible says."""
    ours = f"{answer['status']} (finished: {yes(answer['finished'])}, failed: {yes(answer['failed'])})"
    return (_ROW, [fault, native_verdict(native), ours, answer["reason"]])


def asked_natively(record: t.Mapping[str, t.Any]) -> Yaml:
    """Return a task that asks Ansible itself about the job of a record."""
    return {"ansible.builtin.async_status": {"jid": record["ansible_job_id"]}, "vars": {"ansible_async_dir": record["async_dir"]}}


def held(name: str) -> str:
    """Return a command that runs until it is released."""
    return f"mkfifo '/tmp/go {name}' && cat '/tmp/go {name}'"


def yes(value: object) -> str:
    """Return a truth value in YAML."""
    return "true" if value else "false"


def native_verdict(answer: Answer) -> str:
    """Return what Ansible itself says of a job."""
    if answer.get("skipped"):
        return "not asked"
    if answer.get("unreachable"):
        return "unreachable"
    if "finished" not in answer:
        return f"the task fails, without `finished`: {_short(answer.get('msg'))}"
    if not answer["finished"]:
        return "running" + (f", failed: {_short(answer.get('msg'))}" if answer.get("failed") else "")
    if not answer.get("failed"):
        return "succeeded"
    return f"failed, rc {answer['rc']}" if "rc" in answer else f"failed: {_short(answer.get('msg'))}"


def _short(text: object) -> str:
    line = str(text).strip().splitlines()[-1] if str(text).strip() else ""
    return line[:70]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, in Markdown."""
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in getattr(report, "user_properties", ())
        if name == _ROW
    ]
    if not rows:
        return
    terminalreporter.section("faults of background jobs, and what is said of them")
    for row in (["fault", "`async_status`", "`async_job_status`", "reason"], ["---"] * 4, *rows):
        terminalreporter.write_line(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |")
