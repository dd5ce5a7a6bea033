# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles cost, compared with plain Ansible in the same run; and what the OCI store costs, compared with the OCI CLI.

For the first table, both start a short job on every host with C(async) and C(poll=0), and ask C(async_status) for it once. With
the roles, the job is also looked for before and saved after; in a repeated run it is found, and so neither started nor saved.
Plain Ansible remembers nothing: its repeated run is its first run. The hosts are reached by ssh: two of tests/support/hosts.sh, under many
names; ten of them at the same time.

The second table is the same for C(async_job), which needs one task for all of that. Its repeated runs, while the job runs and when it
has ended, are compared with C(async_status) alone; and so is a play that does nothing, which is what Ansible takes for itself.

What is sent to one host in each of these runs is counted, too: that does not depend on the machine. C(--delay) moves the hosts away, so
that little else counts. C(--many) adds a play with that many hosts, of which the time and the memory of the controller are shown.

Then a job on one host prints 50 MB, and C(async_status) or C(async_job) brings its result; and the same for a job that prints a line.

Then C(rstyczynski.ansible.jobs) shows 10,000 records, in a directory and in a bucket of a service that takes 20 milliseconds for a request:
the first time, and when its cache knows them. A play that does nothing is subtracted, which is what Ansible takes for itself.

For the last one, a task saves a record in a bucket of a local Object Storage service and another loads it: once with the
modules of this collection, once with C(oci os object put) and C(oci os object get).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from controller import Controller, build_and_install  # noqa: E402
from hosts import Hosts  # noqa: E402
from object_storage_server import ObjectStorageServer  # noqa: E402
from wire import Wire  # noqa: E402

RECORDS = 10_000

START = """
    - name: Start
      ansible.builtin.command: /bin/true
      async: 600
      poll: 0
      register: job
"""
NATIVE = f"""
- name: bench
  hosts: all
  gather_facts: false
  tasks:
{START}
    - name: Check
      ansible.builtin.async_status:
        jid: "{{{{ job.ansible_job_id }}}}"
"""
ROLES = f"""
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Load
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_load
      vars:
        async_job_load_job_name: bench
{START}
      when: not async_job_load_found
    - name: Save
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_save
      vars:
        async_job_save_job_name: bench
        async_job_save_ansible_job_id: "{{{{ job.ansible_job_id }}}}"
        async_job_save_results_file: "{{{{ job.results_file }}}}"
      when: not async_job_load_found
    - name: Check
      ansible.builtin.async_status:
        jid: "{{{{ async_job_load_found | ternary(async_job_load_ansible_job_id, job.ansible_job_id | default('')) }}}}"
"""

STATUS = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Check
      ansible.builtin.async_status:
        jid: j1.1 # it makes no difference that there is none
      failed_when: false
"""
ASYNC_JOB = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Start or attach
      rstyczynski.ansible.async_job:
        job_name: "{{ job }}"
        task:
          ansible.builtin.command: "{{ command }}"
      async: 600
      poll: 0
"""

LONG_OUTPUT = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Run
      ansible.builtin.shell: "{{ command }}"
      async: 600
      poll: 1
"""
LONG_OUTPUT_OF_ASYNC_JOB = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Run
      rstyczynski.ansible.async_job:
        job_name: "{{ job }}"
        task:
          ansible.builtin.shell: "{{ command }}"
      async: 600
      poll: 1
"""

PING = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Ping
      ansible.builtin.ping:
"""

EMPTY = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Do nothing
      ansible.builtin.meta: noop
"""

SDK = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Save
      rstyczynski.ansible.async_job_state:
        job_name: "{{ turn }}"
        ansible_job_id: j1.1
    - name: Load
      rstyczynski.ansible.async_job_info:
        job_name: "{{ turn }}"
"""
CLI = """
- name: bench
  hosts: all
  gather_facts: false
  vars:
    cli: >-
      {{ oci_cli }} os object --config-file {{ async_job_oci_config_file }} --endpoint {{ async_job_oci_endpoint }}
    object: >-
      --namespace {{ async_job_oci_namespace }} --bucket-name {{ async_job_oci_bucket }}
      --name {{ inventory_hostname }}/{{ turn }}.json
  tasks:
    - name: Save
      ansible.builtin.command:
        cmd: "{{ cli }} put {{ object }} --file {{ playbook_dir }}/record.json --force"
    - name: Load
      ansible.builtin.command:
        cmd: "{{ cli }} get {{ object }} --file -"
"""


def measure(controller: Controller, playbook: Path, *variables: str, ok: int) -> float:
    """The wall time of a playbook in seconds, after making sure that it did what it is measured for."""
    begin = time.perf_counter()
    ran = controller.playbook(playbook, *(word for variable in variables for word in ("-e", variable))).ok()
    seconds = time.perf_counter() - begin
    assert not ok or ran.recap("host1")["ok"] == ok, ran.output
    return seconds


def measure_memory(controller: Controller, playbook: Path, *variables: str) -> tuple[float, int]:
    """The wall time of a playbook in seconds, and the most memory that a process of it has used, in MB."""
    options = [word for variable in variables for word in ("-e", variable)]
    process = controller.popen("playbook", "-i", controller.inventory, playbook, *options)
    begin = time.perf_counter()
    output = process.stdout.read() if process.stdout else ""
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    return time.perf_counter() - begin, used.ru_maxrss // 1024


def row(hosts: int, what: str, ours: list[float], theirs: list[float], target: str) -> str:
    """A line of a table: medians in seconds, and the ratios of the measurements that were made next to each other."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"| {hosts} | {what} | {statistics.median(theirs):.2f} | {statistics.median(ours):.2f} | {spread} | {target} |"


def bench_roles(controller: Controller, hosts: int, rounds: int) -> None:
    """Print the rows for a number of hosts."""
    native, roles = controller.write("native.yml", NATIVE), controller.write("roles.yml", ROLES)
    times: dict[str, list[float]] = {"native": [], "first": [], "repeated": []}
    for turn in range(rounds + 1):
        state = f"async_job_state_dir={controller.project}/state-{hosts}-{turn}"
        measured = {
            "native": measure(controller, native, state, ok=2),
            "first": measure(controller, roles, state, ok=10),
            "repeated": measure(controller, roles, state, ok=5),
        }
        if turn:  # the first one warms up
            for run, seconds in measured.items():
                times[run].append(seconds)
    for run, target in (("first", "≤ 1.1"), ("repeated", "≤ 0.5")):
        print(row(hosts, run, times[run], times["native"], target if hosts > 1 else "-"), flush=True)


def bench_async_job(controller: Controller, hosts: int, rounds: int) -> None:
    """Print the rows of the durable task for a number of hosts."""
    native, status, ours = (
        controller.write("native.yml", NATIVE),
        controller.write("status.yml", STATUS),
        controller.write("job.yml", ASYNC_JOB),
    )
    state = f"async_job_state_dir={controller.project}/state-of-jobs-{hosts}"
    empty = controller.write("empty.yml", EMPTY)
    times: dict[str, list[float]] = {name: [] for name in ("native", "status", "first", "running", "finished", "nothing")}
    for turn in range(rounds + 1):
        # The hosts remember the jobs of other numbers of hosts, whose store is another one.
        done = (state, f"job=done{hosts}-{turn}", "command=/bin/true")
        sleeping = (state, f"job=sleeping{hosts}-{turn}", f"command='sleep {60 + hosts}'")
        measured = {
            "native": measure(controller, native, ok=2),
            "first": measure(controller, ours, *done, ok=1),
        }
        measure(controller, ours, *done, ok=1)
        measure(controller, ours, *sleeping, ok=1)
        measured["status"] = measure(controller, status, ok=1)
        measured["running"] = measure(controller, ours, *sleeping, ok=1)
        measured["finished"] = measure(controller, ours, *done, ok=1)
        measured["nothing"] = measure(controller, empty, ok=0)
        if turn:
            for run, seconds in measured.items():
                times[run].append(seconds)
    for run, theirs, target in (
        ("first", "native", "≤ 0.5"),
        ("running", "status", "≤ 0.8"),
        ("finished", "status", "≤ 0.2"),
        ("nothing", "status", "-"),
    ):
        print(
            row(hosts, f"{run} ({'start + async_status' if theirs == 'native' else 'async_status'})", times[run], times[theirs], target),
            flush=True,
        )


def bench_many(controller: Controller, hosts: int) -> None:
    """Print the rows of a play with many hosts."""
    native, ours = controller.write("native.yml", NATIVE), controller.write("job.yml", ASYNC_JOB)
    variables = (f"async_job_state_dir={controller.project}/state-of-many-{hosts}", f"job=many{hosts}", "command='sleep 600'")
    for what, playbook in (("start + async_status", native), ("first", ours), ("running", ours)):
        seconds, memory = measure_memory(controller, playbook, *(variables if playbook == ours else ()))
        print(f"| {hosts} | {what} | {seconds:.1f} | {memory} |", flush=True)


def count_exchanges(controller: Controller, directory: Path) -> None:
    """Print the rows of what is sent to one host."""
    wire = Wire(directory, controller.environment)
    state = f"async_job_state_dir={controller.project}/state-of-exchanges"
    ours, module = controller.write("job.yml", ASYNC_JOB), controller.write("module.yml", ASYNC_JOB.replace("command:", "stat:"))
    sleeping, done = ("job=sleeping", "command='sleep 60'"), ("job=done", "command=/bin/true")
    runs: dict[str, tuple[Path, tuple[str, ...], str]] = {
        "ansible.builtin.ping": (controller.write("ping.yml", PING), (), "-"),
        "start + async_status": (controller.write("native.yml", NATIVE), (), "-"),
        "first": (ours, sleeping, "≤ 3, no files, ≤ 40 kB each"),
        "running": (ours, sleeping, "1, ≤ 40 kB"),
        "first and its end": (ours, done, "-"),
        "finished": (ours, done, "0"),
        "first of a module": (module, ("job=module", '{"job": "module", "command": {"path": "/"}}'), "≤ 6"),
    }
    for what, (playbook, variables, target) in runs.items():
        if what == "finished":
            measure(controller, ours, state, *done, ok=1)
        wire.taken()
        measure(controller, playbook, state, *variables, ok=0)
        sent = wire.taken()
        files, size = sum(one.is_file for one in sent), sum(one.sent for one in sent)
        print(f"| {what} | {len(sent)} | {files} | {size / 1000:.1f} | {target} |", flush=True)


def bench_output(controller: Controller, rounds: int) -> None:
    """Print the rows of a job with long output: how long it takes to start it and to get its result, and the memory of the controller."""
    for what, command in (
        ("a line", "echo done"),
        ("50 MB", "yes 'a line of sixty-three characters, and the end of it is just here.' | head -c 50M"),
    ):
        times: dict[str, list[float]] = {"native": [], "ours": []}
        memory: dict[str, int] = {}
        for turn in range(rounds + 1):
            variables = (f"job=output{turn}{what[0]}", f'command="{command}"')
            for which, text in (("native", LONG_OUTPUT), ("ours", LONG_OUTPUT_OF_ASYNC_JOB)):
                seconds, most = measure_memory(controller, controller.write(f"{which}.yml", text), *variables)
                if turn:
                    times[which].append(seconds)
                    memory[which] = max(memory.get(which, 0), most)
        line = row(
            1, f"{what} of output, {memory['ours']} MB of memory (native: {memory['native']} MB)", times["ours"], times["native"], "-"
        )
        print(line, flush=True)


def bench_lists(controller: Controller, rounds: int) -> None:
    """Print the rows of long lists."""
    line = {"status": "succeeded", "start": record_time(), "end": record_time(), "result": {"rc": 0, "stdout": "a line of output\n" * 30}}
    documents = {}
    for number in range(RECORDS):
        names = {"job_name": f"job {number}", "host": f"host{number % 200}", "playbook_name": "bench"}
        path = f"{names['host']}/bench/{names['job_name']}.json"
        documents[path] = json.dumps({**names, "ansible_job_id": "j1.1", "metadata": {}, "save_time": record_time(), **line}).encode()
    for path, content in documents.items():
        file = controller.state_dir / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    nothing = controller.write("empty.yml", EMPTY)

    def seconds(*variables: str) -> float:
        begin = time.perf_counter()
        assert f"{RECORDS} jobs" in controller.playbook("rstyczynski.ansible.jobs", *variables).ok().output
        took = time.perf_counter() - begin
        begin = time.perf_counter()
        controller.playbook(nothing).ok()
        return took - (time.perf_counter() - begin)

    def show(what: str, measured: list[float], target: str) -> None:
        print(f"| {what} | {statistics.median(measured):.2f} ({min(measured):.2f} to {max(measured):.2f}) | {target} |", flush=True)

    show("a directory", [seconds() for _turn in range(rounds)], "≤ 2")
    with ObjectStorageServer() as service:
        for path, content in documents.items():
            service.put(path, content)
        service.inject("latency", ms=20)
        settings = {
            "backend": "oci",
            "oci_bucket": service.bucket,
            "oci_namespace": service.namespace,
            "oci_config_file": service.config_file,
            "oci_endpoint": service.endpoint,
        }
        variables = [word for name, value in settings.items() for word in ("-e", f"async_job_{name}={value}")]
        fresh = [[*variables, "-e", f"async_job_oci_cache_dir={controller.home}/cache{turn}"] for turn in range(rounds)]
        show("a bucket, for the first time", [seconds(*arguments) for arguments in fresh], "≤ 60")
        show("a bucket, again", [seconds(*arguments) for arguments in fresh], "≤ 10")


def record_time() -> str:
    """Now, as a record has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def bench_oci(controller: Controller, hosts: int, rounds: int, oci_cli: Path) -> None:
    """Print the row for a number of hosts."""
    controller.write("record.json", '{"ansible_job_id": "j1.1"}')
    sdk, cli = controller.write("sdk.yml", SDK), controller.write("cli.yml", CLI)
    times: dict[str, list[float]] = {"sdk": [], "cli": []}
    with ObjectStorageServer() as service:
        # Settings of a whole controller belong into its environment. So the SDK is imported once, and not in a worker first.
        controller.environment["ASYNC_JOB_BACKEND"] = "oci"
        settings = (
            f"async_job_oci_bucket={service.bucket}",
            f"async_job_oci_namespace={service.namespace}",
            f"async_job_oci_config_file={service.config_file}",
            f"async_job_oci_endpoint={service.endpoint}",
            f"oci_cli={oci_cli}",
        )
        for turn in range(rounds + 1):
            measured = {
                "sdk": measure(controller, sdk, *settings, f"turn={turn}", ok=2),
                "cli": measure(controller, cli, *settings, f"turn={turn}", ok=2),
            }
            if turn:
                for run, seconds in measured.items():
                    times[run].append(seconds)
    print(row(hosts, "save + load", times["sdk"], times["cli"], "≤ 0.4"), flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--delay", type=float, default=0, help="how long it takes to the hosts and back, in seconds; then there is nothing else"
    )
    parser.add_argument("--many", type=int, nargs="*", default=[], help="how many hosts to have in one play, for their memory")
    parser.add_argument("--oci-cli", type=Path, help="the command oci; without it, there is no second table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        build_and_install(ROOT, directory)
        controller = Controller(directory, directory)
        controller.environment["ANSIBLE_FORKS"] = "10"
        with Hosts(2, directory / "rig") as rig:
            lines = [line.split(None, 1) for line in rig.inventory_lines()]
            far = f"{sys.executable} {ROOT / 'tests' / 'support' / 'far.py'} %h %p {options.delay / 2}"
            wire = f""" ansible_ssh_extra_args='-o ProxyCommand="{far}"'""" if options.delay else ""

            def reach(hosts: int) -> None:
                places = [(f"host{number + 1}", *lines[number % len(lines)]) for number in range(hosts)]
                controller.hosts(*(f"{name} ansible_host={place} {rest}{wire}" for name, place, rest in places))

            print("| hosts | run | native [s] | roles [s] | ratio (median, min to max) | target |")
            print("| --- | --- | --- | --- | --- | --- |", flush=True)
            for hosts in options.hosts:
                reach(hosts)
                bench_roles(controller, hosts, options.rounds)
            print("\n| hosts | run (compared with) | native [s] | async_job [s] | ratio (median, min to max) | target |")
            print("| --- | --- | --- | --- | --- | --- |", flush=True)
            for hosts in options.hosts:
                reach(hosts)
                bench_async_job(controller, hosts, options.rounds)
            if options.many:
                print("\n| hosts in one play | run | [s] | memory [MB] |\n| --- | --- | --- | --- |", flush=True)
            for hosts in options.many:
                reach(hosts)
                bench_many(controller, hosts)
            if options.delay:
                return
            print("\n| run | exchanges with one host | files | kB sent | target |\n| --- | --- | --- | --- | --- |", flush=True)
            reach(1)
            count_exchanges(controller, directory)
        controller.hosts("host1")
        bench_output(controller, options.rounds)
        print(f"\n| {RECORDS} records in | jobs, less a play that does nothing [s] | target |")
        print("| --- | --- | --- |", flush=True)
        bench_lists(controller, options.rounds)
        if options.oci_cli:
            print("\n| hosts | run | OCI CLI [s] | OCI store [s] | ratio (median, min to max) | target |")
            print("| --- | --- | --- | --- | --- | --- |", flush=True)
            for hosts in options.hosts:
                controller.hosts(*(f"host{number}" for number in range(1, hosts + 1)))
                bench_oci(controller, hosts, options.rounds, options.oci_cli)


if __name__ == "__main__":
    main()
