# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show somebody who has never seen it what the collection does: C(make demo).

A job is started, found, looked at, its controller is killed, and its result is collected; in the end, the executions are counted. The job
waits for a file that is made when all of that has been shown, so that nothing here depends on how fast the machine is.

All that is made is below one temporary directory, the store too. All that is started carries its name in the environment, and is stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from collections.abc import Callable
from pathlib import Path

COLLECTIONS = os.environ["ANSIBLE_COLLECTIONS_PATH"]
sys.path.insert(0, COLLECTIONS)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import processes  # noqa: E402

# How long anything may take, in seconds. A machine may be very busy.
LIMIT = 300.0
# How often to look whether it has happened, in seconds.
PAUSE = 0.1

PLAYBOOK = """\
- name: Demo
  hosts: localhost
  gather_facts: false
  vars:
    look_every: 1 # seconds; with 0, the task does not wait for the job
  tasks:
    - name: Migrate the database
      rstyczynski.ansible.async_job:
        job_name: migrate
        task:
          ansible.builtin.command:
            cmd: sh migrate.sh
            chdir: "{{ playbook_dir }}"
      async: 3600
      poll: "{{ look_every }}"
      register: migration

    - name: Say how it is
      ansible.builtin.debug:
        msg: "{{ migration.reason }}. {{ migration.stdout_lines | last }}"
"""
JOB = """\
echo "executed as process $$" >>executions
echo 'PROGRESS 1/2 the customers are copied'
until test -e go; do sleep 0.2; done
echo 'PROGRESS 2/2 the orders are copied'
echo '42 tables'
"""
INVENTORY = "localhost ansible_connection=local ansible_python_interpreter={{ansible_playbook_python}}\n"
RECORD = ".ansible_async_state/localhost/Demo/migrate.json"
# What says whose a process is: Ansible and its wrappers have the one, jobs have the other.
MARKERS = ("ANSIBLE_ASYNC_DIR", "ASYNC_JOB_ATTEMPT_DIR")


class Failed(Exception):
    """The demo has not shown what it was to show."""


class Run:
    """An Ansible command that runs, or has run."""

    def __init__(self, process: subprocess.Popen[bytes], file: Path) -> None:
        self.process = process
        self.file = file

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.file.read_text("utf-8", "replace")

    def says(self, pattern: str) -> bool:
        """Tell whether it has printed a line like this.

        :raises Failed: if it has ended without it
        """
        ended = self.process.poll() is not None
        if re.search(pattern, self.output):
            return True
        if ended:
            raise Failed(
                f"ansible-playbook has ended with {self.process.returncode}, and has not said: {pattern}. Its output is in {self.file}"
            )
        return False


class Demo:
    """The demo in its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runs = 0
        mine = ("ANSIBLE_", "ASYNC_JOB_", "OCI_", "AWX_")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(mine)},
            "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),  # nothing of the user's own
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_HOME": str(directory / "home"),
            "ANSIBLE_REMOTE_TMP": str(directory / "tmp"),
            "ANSIBLE_ASYNC_DIR": str(directory / "async"),
            "ANSIBLE_INVENTORY": str(directory / "inventory"),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for name, content in (("ansible.cfg", "[defaults]\n"), ("inventory", INVENTORY), ("demo.yml", PLAYBOOK), ("migrate.sh", JOB)):
            (directory / name).write_text(content, "utf-8")

    def show(self) -> None:
        """Show it.

        :raises Failed: if something is not as it should be
        """
        say("This playbook starts a long job under a name:", PLAYBOOK)

        title("1. Run it. It starts the job, and waits for it.")
        first = self.start("demo.yml")
        wait(lambda: first.says(r"migrate on localhost: running.* 1 of 2 "), "the job has not started", first)
        shown(first.output)
        say("It goes on waiting. What the job does meanwhile is to wait, too: for the end of this demo.")

        title("2. Run it again, as if from another terminal, without waiting. It finds the job, and starts nothing.")
        second = self.run("demo.yml", "-e", "look_every=0")
        expect(second, "has been running for", r"changed=0 ")

        title("3. Ask the host how the job is.")
        expect(self.run("rstyczynski.ansible.jobs", "-e", "verify=true"), r"migrate +running", "1 job: 1 running")

        title("4. Kill the controller, the run of step 1, half-way.")
        job = self.job()
        count = self.kill(first)
        print(f"    killed: process {first.process.pid} and the {count - 1} that it had started")
        if not job or processes.has_ended(job):
            raise Failed(f"The job has ended with its controller. Its record is {self.directory / RECORD}")
        print(f"    alive: process {job.pid}, the job")

        title("5. Run the playbook once more. It finds the job, and collects its result.")
        last = self.start("demo.yml")
        wait(lambda: last.says(r"migrate on localhost: running"), "the job was not found", last)
        (self.directory / "go").touch()
        self.end(last)
        shown(last.output)
        expect(last, "has succeeded. 42 tables", "failed=0 ")

        title("6. This is all that is kept of the job, in a directory or in a bucket.")
        print(f"    $ cat {RECORD}")
        text = (self.directory / RECORD).read_text("utf-8")
        shown(text)
        record = json.loads(text)
        if (record["status"], record["attempt"]) != ("succeeded", 1):
            raise Failed(f"The record {self.directory / RECORD} should say that attempt 1 has succeeded")

        title("7. How often was it executed? Each execution has added a line to a file.")
        print("    $ cat executions")
        executions = (self.directory / "executions").read_text("utf-8")
        shown(executions)
        if executions.count("\n") != 1:
            raise Failed(f"The job should have been executed once. Each execution has added a line to {self.directory / 'executions'}")
        print("\nExecuted once, in three runs of the playbook, one of which was killed.")

    def start(self, *args: str) -> Run:
        """Start an Ansible playbook."""
        self.runs += 1
        print(f"    $ ansible-playbook {' '.join(args)}", flush=True)
        file = self.directory / f"output-{self.runs}"
        with file.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "ansible", "playbook", *args],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes to the demo alone, which stops all
            )
        return Run(process, file)

    def end(self, run: Run) -> None:
        """Wait until a run has ended."""
        wait(lambda: run.process.poll() is not None, "ansible-playbook does not end", run)

    def run(self, *args: str) -> Run:
        """Run an Ansible playbook, and show what it says."""
        run = self.start(*args)
        self.end(run)
        shown(run.output)
        return run

    def job(self) -> processes.Process | None:
        """Return the process of the job."""
        found = re.findall(r"\d+", (self.directory / "executions").read_text("utf-8"))
        return processes.find_process(int(found[0])) if found else None

    def kill(self, run: Run) -> int:
        """Kill a run and all that it has started and that still belongs to it, at once. Return how many processes that were.

        Its workers are in sessions of their own. All are stopped first, so that none can start another one.
        """
        seen: dict[int, processes.Process] = {}
        while True:
            table = processes.scan()
            new = {pid: table.processes[pid] for pid in table.family([run.process.pid]) if pid not in seen}
            if not new:
                break
            for process in new.values():
                send(process, signal.SIGSTOP)
            seen |= new
        for process in seen.values():
            send(process, signal.SIGKILL)
        if run.process.wait() != -signal.SIGKILL:
            raise Failed(f"ansible-playbook has ended by itself, and was to be killed. Its output is in {run.file}")
        for process in seen.values():
            wait(lambda process=process: processes.has_ended(process), f"process {process.pid} could not be killed", run)
        return len(seen)

    def stop(self) -> None:
        """Stop all that the demo has started, whatever became of it."""
        deadline = time.monotonic() + 30
        while (left := self.left()) and time.monotonic() < deadline:
            for process in left:
                send(process, signal.SIGKILL)
            time.sleep(PAUSE)
        if left:
            print("These could not be stopped:", *(process.pid for process in left), file=sys.stderr)

    def left(self) -> list[processes.Process]:
        """Return the processes of the demo that run."""
        own = f"{self.directory}/"
        found = []
        for process in processes.scan().processes.values():
            environment = processes.environment_of(process.pid)
            if environment is None:  # not every system tells it
                known = process.uid == os.getuid() and any("async_wrapper" in word or "ansible" in word for word in process.argv)
                is_ours = known and any(word.startswith(own) for word in process.argv)
            else:
                is_ours = any(environment.get(marker, "").startswith(own) for marker in MARKERS)
            if is_ours and process.pid != os.getpid():
                found.append(process)
        return found


def send(process: processes.Process, number: signal.Signals) -> None:
    """Send a signal to a process, if it is still that one."""
    if process.same_as(processes.find_process(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def wait(condition: Callable[[], t.Any], otherwise: str, run: Run) -> None:
    """Wait until something has happened.

    :arg otherwise: what is wrong if it has not
    :raises Failed: if it has not within the limit
    """
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"After {LIMIT:.0f} seconds, {otherwise}. The output is in {run.file}")
        time.sleep(PAUSE)


def expect(run: Run, *patterns: str) -> None:
    """Make sure that a run has succeeded, and has said something.

    :raises Failed: if not
    """
    if run.process.returncode != 0:
        raise Failed(f"ansible-playbook has failed with {run.process.returncode}. Its output is in {run.file}")
    for pattern in patterns:
        run.says(pattern)


def title(text: str) -> None:
    """Begin a step."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def say(text: str, block: str = "") -> None:
    """Explain something."""
    print(text, flush=True)
    shown(block)


def shown(text: str) -> None:
    """Show what was printed or written, without what only takes space."""
    for line in text.splitlines():
        if line.strip():
            print("   ", line.rstrip("* "))
    sys.stdout.flush()


def main() -> int:
    """Show the demo, and leave nothing behind but what tells why it has failed."""

    def give_up(number: int, _frame: t.Any) -> t.NoReturn:
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, give_up)
    demo = None
    keep = False
    directory = Path(tempfile.mkdtemp(prefix="rstyczynski-ansible-demo-")).resolve()
    try:
        demo = Demo(directory)
        demo.show()
    except (Failed, OSError, ValueError) as error:
        keep = True
        print(f"\nThe demo has failed. {error}\nAll of its files are kept in {directory}", file=sys.stderr)
        return 1
    except SystemExit:
        print("\nInterrupted. What the demo has started is stopped, and its files are removed.", file=sys.stderr)
        raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if demo:
            demo.stop()
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
