# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles cost, compared with plain Ansible in the same run; and what the OCI store costs, compared with the OCI CLI.

For the first table, both start a short job on every host with C(async) and C(poll=0), and ask C(async_status) for it once. With
the roles, the job is also looked for before and saved after; in a repeated run it is found, and so neither started nor saved.
Plain Ansible remembers nothing: its repeated run is its first run. The hosts are reached by ssh: two of tests/support/hosts.sh, under many
names; ten of them at the same time.

The second table is the same for C(async_job), which needs one task for all of that. Its repeated runs, while the job runs and when it
has ended, are compared with C(async_status) alone; and so is a play that does nothing, and one with a C(debug) task, which is what
Ansible takes for itself. In the first table, roles that do nothing say the same of roles.

What is sent to one host in each of these runs is counted, too: that does not depend on the machine. C(--delay) moves the hosts away, so
that little else counts. C(--many) adds a play with that many hosts, of which the time and the memory of the controller are shown.

Then a job on one host prints 50 MB, and C(async_status) or C(async_job) brings its result; and the same for a job that prints a line.

Then C(rstyczynski.ansible.jobs) shows 10,000 records, in a directory and in a bucket of a service that takes 20 milliseconds for a request:
the first time, and when its cache knows them. A play that does nothing is subtracted, which is what Ansible takes for itself.

With C(--nodes), there is only a workflow of so many nodes that wait for nothing, each a playbook that does nothing, compared with
C(xargs -P) of C(ansible-playbook) in the same run: how long both take, and how many seconds of the processors, in all processes that
belong to it. C(--parallel) says how many run at the same time. And what a node costs that is a command. With C(--work), each playbook has
a task that takes so many seconds, of hosts rather than of this machine.

For the last one, a task saves a record in a bucket of a local Object Storage service and another loads it: once with the
modules of this collection, once with C(oci os object put) and C(oci os object get).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
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
        jid: "{{{{ async_job_load_ansible_job_id or job.ansible_job_id }}}}"
"""

# What Ansible itself takes for two roles that check an argument and set a variable, around the same start: no role costs less.
EMPTY_ROLES = f"""
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Load
      ansible.builtin.include_role:
        name: empty
      vars:
        empty_name: bench
{START}
      when: empty_found == "no"
    - name: Save
      ansible.builtin.include_role:
        name: empty
      vars:
        empty_name: bench
      when: empty_found == "no"
    - name: Check
      ansible.builtin.async_status:
        jid: "{{{{ job.ansible_job_id }}}}"
"""
EMPTY_ROLE = {
    "meta/argument_specs.yml": {"argument_specs": {"main": {"options": {"empty_name": {"type": "str", "required": True}}}}},
    "tasks/main.yml": [{"name": "Set", "ansible.builtin.set_fact": {"empty_found": "no"}}],
}

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
        job_name: %s
        task: %s
      async: 600
      poll: 0
"""

LONG_OUTPUT = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Run
      ansible.builtin.shell: %s
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

SMALLEST = """
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Say something
      ansible.builtin.debug:
        msg: done
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


def play_of_job(controller: Controller, name: str, task: dict[str, t.Any]) -> Path:
    """A play whose task is a job. It says all in plain text, as the plays do that it is compared with: no template is compiled for it."""
    return controller.write(f"{name}.yml", ASYNC_JOB % (json.dumps(name), json.dumps(task)))


def row(hosts: int, what: str, ours: list[float], theirs: list[float], target: str) -> str:
    """A line of a table: medians in seconds, and the ratios of the measurements that were made next to each other."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"| {hosts} | {what} | {statistics.median(theirs):.2f} | {statistics.median(ours):.2f} | {spread} | {target} |"


def bench_roles(controller: Controller, hosts: int, rounds: int) -> None:
    """Print the rows for a number of hosts."""
    native, roles = controller.write("native.yml", NATIVE), controller.write("roles.yml", ROLES)
    for file, content in EMPTY_ROLE.items():
        (controller.project / "roles" / "empty" / file).parent.mkdir(parents=True, exist_ok=True)
        controller.write(f"roles/empty/{file}", json.dumps(content))
    empty = controller.write("empty-roles.yml", EMPTY_ROLES)
    times: dict[str, list[float]] = {"native": [], "first": [], "repeated": [], "empty roles": []}
    for turn in range(rounds + 1):
        state = f"async_job_state_dir={controller.project}/state-{hosts}-{turn}"
        measured = {
            "native": measure(controller, native, state, ok=2),
            "first": measure(controller, roles, state, ok=10),
            "repeated": measure(controller, roles, state, ok=5),
            "empty roles": measure(controller, empty, ok=8),
        }
        if turn:  # the first one warms up
            for run, seconds in measured.items():
                times[run].append(seconds)
    for run, target in (("first", "≤ 1.1"), ("repeated", "≤ 0.5"), ("empty roles", "-")):
        print(row(hosts, run, times[run], times["native"], target if hosts > 1 else "-"), flush=True)


def bench_async_job(controller: Controller, hosts: int, rounds: int) -> None:
    """Print the rows of the durable task for a number of hosts."""
    native, status = controller.write("native.yml", NATIVE), controller.write("status.yml", STATUS)
    state = f"async_job_state_dir={controller.project}/state-of-jobs-{hosts}"
    empty, smallest = controller.write("empty.yml", EMPTY), controller.write("smallest.yml", SMALLEST)
    runs = ("native", "status", "first", "running", "finished", "a debug task", "nothing")
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        # The hosts remember the jobs of other numbers of hosts, whose store is another one.
        done = play_of_job(controller, f"done{hosts}-{turn}", {"ansible.builtin.command": "/bin/true"})
        sleeping = play_of_job(controller, f"sleeping{hosts}-{turn}", {"ansible.builtin.command": f"sleep {60 + hosts}"})
        measured = {
            "native": measure(controller, native, ok=2),
            "first": measure(controller, done, state, ok=1),
        }
        measure(controller, done, state, ok=1)
        measure(controller, sleeping, state, ok=1)
        measured["status"] = measure(controller, status, ok=1)
        measured["running"] = measure(controller, sleeping, state, ok=1)
        measured["finished"] = measure(controller, done, state, ok=1)
        measured["a debug task"] = measure(controller, smallest, ok=1)
        measured["nothing"] = measure(controller, empty, ok=0)
        if turn:
            for run, seconds in measured.items():
                times[run].append(seconds)
    for run, theirs, target in (
        ("first", "native", "≤ 0.5"),
        ("running", "status", "≤ 0.8"),
        ("finished", "status", "≤ 0.2"),
        ("a debug task", "status", "-"),
        ("nothing", "status", "-"),
    ):
        print(
            row(hosts, f"{run} ({'start + async_status' if theirs == 'native' else 'async_status'})", times[run], times[theirs], target),
            flush=True,
        )


def bench_many(controller: Controller, hosts: int) -> None:
    """Print the rows of a play with many hosts."""
    native = controller.write("native.yml", NATIVE)
    ours = play_of_job(controller, f"many{hosts}", {"ansible.builtin.command": "sleep 600"})
    state = f"async_job_state_dir={controller.project}/state-of-many-{hosts}"
    for what, playbook in (("start + async_status", native), ("first", ours), ("running", ours)):
        seconds, memory = measure_memory(controller, playbook, *([state] if playbook == ours else ()))
        print(f"| {hosts} | {what} | {seconds:.1f} | {memory} |", flush=True)


def count_exchanges(controller: Controller, directory: Path) -> None:
    """Print the rows of what is sent to one host."""
    wire = Wire(directory, controller.environment)
    state = f"async_job_state_dir={controller.project}/state-of-exchanges"
    sleeping = play_of_job(controller, "sleeping", {"ansible.builtin.command": "sleep 60"})
    done = play_of_job(controller, "done", {"ansible.builtin.command": "/bin/true"})
    runs = {
        "ansible.builtin.ping": (controller.write("ping.yml", PING), "-"),
        "start + async_status": (controller.write("native.yml", NATIVE), "-"),
        "first": (sleeping, "≤ 3, no files, ≤ 40 kB each"),
        "running": (sleeping, "1, ≤ 40 kB"),
        "first and its end": (done, "-"),
        "finished": (done, "0"),
        "first of a module": (play_of_job(controller, "module", {"ansible.builtin.stat": {"path": "/"}}), "≤ 6"),
    }
    for what, (playbook, target) in runs.items():
        if what == "finished":
            measure(controller, done, state, ok=1)
        wire.taken()
        measure(controller, playbook, state, ok=0)
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
            ours = play_of_job(controller, f"output{turn}{what[0]}", {"ansible.builtin.shell": command}).read_text()
            for which, text in (("native", LONG_OUTPUT % json.dumps(command)), ("ours", ours.replace("poll: 0", "poll: 1"))):
                seconds, most = measure_memory(controller, controller.write(f"{which}.yml", text))
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


NODE = """
- name: node
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Do next to nothing
      ansible.builtin.debug:
        msg: done
"""
WORKING_NODE = """
- name: node
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Wait for what others do
      ansible.builtin.command: sleep %s
"""


class Used(t.NamedTuple):
    """What a command has taken, in seconds."""

    wall: float
    cpu: float
    """Of all of its processes, be they in the background"""


def used_by(controller: Controller, *words: str | Path) -> Used:
    """Run a command, and wait for the end of all that it has started."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # what has lost its parent becomes our child (PR_SET_CHILD_SUBREAPER)
            begin = time.perf_counter()
            with (controller.project / "output").open("w") as output:
                done = subprocess.run(words, cwd=controller.project, env=controller.environment, stdout=output, stderr=output, check=False)
            wall, code = time.perf_counter() - begin, done.returncode
            try:
                while True:
                    os.wait()
            except ChildProcessError:
                pass
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            os.write(writing, json.dumps([wall, used.ru_utime + used.ru_stime]).encode())
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as file:
        said = file.read()
    assert os.waitpid(pid, 0)[1] == 0, (controller.project / "output").read_text()
    return Used(*json.loads(said))


def bench_workflow(controller: Controller, nodes: int, parallel: int, rounds: int, work: float) -> None:
    """Print the rows for a workflow of so many nodes.

    :arg work: how long the task of each takes, in seconds
    """
    controller.write("node.yml", WORKING_NODE % work if work else NODE)
    ansible = Path(sys.executable).with_name("ansible-playbook")
    by_hand = f"seq {nodes} | xargs -P {parallel} -I '{{}}' {ansible} -i {controller.inventory} -e number='{{}}' node.yml"
    playbook = [ansible, "rstyczynski.ansible.workflow", "-i", controller.inventory, "-e", "file=bench.yml"]
    kinds = {"a playbook": {"playbook": "node.yml"}, **({} if work else {"a command": {"command": "/bin/true"}})}
    measured: dict[str, list[Used]] = {name: [] for name in ("xargs", "nothing", *kinds)}
    for turn in range(rounds):
        measured["xargs"].append(used_by(controller, "sh", "-c", by_hand))
        measured["nothing"].append(used_by(controller, ansible, "-i", controller.inventory, controller.write("empty.yml", EMPTY)))
        for kind, node in kinds.items():
            definition = {"name": kind, "max_parallel": parallel, "nodes": {f"node{number}": node for number in range(nodes)}}
            controller.write("bench.yml", json.dumps(definition))
            measured[kind].append(used_by(controller, *playbook, "-e", f"run={turn}"))
    for kind in kinds:
        is_playbook = kind == "a playbook"
        plain = measured["xargs" if is_playbook else "nothing"]
        target = "≤ 0.3 s, ≤ 1.1" if is_playbook else "-"
        more = [(ours.cpu - theirs.cpu) / nodes for ours, theirs in zip(measured[kind], plain, strict=True)]
        ratios = [ours.wall / theirs.wall for ours, theirs in zip(measured[kind], plain, strict=True)]
        walls, cpus = ([statistics.median(one[number] for one in measured[kind]) for number in (0, 1)], [one.cpu for one in plain])
        print(
            f"| {nodes} times {kind} | {parallel} | {statistics.median(one.wall for one in plain):.1f} | {statistics.median(cpus):.1f}"
            f" | {walls[0]:.1f} | {walls[1]:.1f} | {statistics.median(more):.3f} | {statistics.median(ratios):.2f} | {target} |",
            flush=True,
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--delay", type=float, default=0, help="how long it takes to the hosts and back, in seconds; then there is nothing else"
    )
    parser.add_argument("--many", type=int, nargs="*", default=[], help="how many hosts to have in one play, for their memory")
    parser.add_argument("--nodes", type=int, nargs="*", default=[], help="of how many nodes to have workflows; then there is nothing else")
    parser.add_argument("--parallel", type=int, default=4, help="how many of them run at the same time")
    parser.add_argument(
        "--work", type=float, default=0, help="how long the task of each node takes, in seconds; 0: a task that says a word"
    )
    parser.add_argument("--oci-cli", type=Path, help="the command oci; without it, there is no second table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        build_and_install(ROOT, directory)
        controller = Controller(directory, directory)
        if options.nodes:
            print(
                "| nodes | at a time | xargs or nothing [s] | CPU [s] | workflow [s] | CPU [s] | more CPU for each [s] | ratio | target |"
            )
            print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
            for nodes in options.nodes:
                bench_workflow(controller, nodes, options.parallel, options.rounds, options.work)
            return
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
