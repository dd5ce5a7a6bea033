# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller to run real Ansible commands on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import typing as t
from dataclasses import dataclass
from pathlib import Path

from waiting import until

# How long a command may take, in seconds. Nothing takes that long but what hangs; a machine may be busy.
_SECONDS = 600


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    rc: int
    output: str
    """stdout and stderr, in the order in which they were written"""
    told: tuple[t.Any, ...] = ()
    """what the action C(tell) was given, in the order in which hosts and plays did that"""

    def ok(self) -> Ran:
        """Return this, after making sure that the command succeeded."""
        assert self.rc == 0, self.output
        return self

    def failed(self) -> Ran:
        """Return this, after making sure that the command failed, and not by an unhandled exception."""
        assert self.rc != 0, self.output
        assert "Traceback" not in self.output, self.output
        assert "Unexpected failure" not in self.output, self.output
        return self

    @property
    def text(self) -> str:
        """The output with its line breaks folded, for searching sentences in it."""
        return " ".join(self.output.split())

    def messages(self) -> dict[str, str]:
        """Return what each host failed with, after making sure that it is one paragraph, and that nothing else is said of the host."""
        found = re.findall(r"^fatal: \[(.*?)\]: FAILED! => (\{.*\})$", self.output, re.MULTILINE)
        said = {(host, json.loads(result)["msg"]) for host, result in found}
        texts = dict(said)
        assert len(texts) == len(said) > 0, self.output
        assert not [text for text in texts.values() if "\n" in text]
        return texts

    def recap(self, host: str) -> dict[str, int]:
        """Return the counters of a host in the PLAY RECAP."""
        line = next(line for line in reversed(self.output.splitlines()) if line.startswith(f"{host} ") and "ok=" in line)
        return {name: int(count) for name, count in (pair.split("=") for pair in line.split(":", 1)[1].split())}


class Process(subprocess.Popen[str]):
    """An Ansible command that runs."""

    tells_to: Path

    def told(self) -> tuple[t.Any, ...]:
        """Return what the action C(tell) was given so far."""
        return tuple(json.loads(line) for line in self.tells_to.read_text("utf-8").splitlines())

    def said_until(self, words: str) -> str:
        """Read what it says until it has said this, and return that."""
        assert self.stdout is not None
        said = ""
        while words not in said:
            line = self.stdout.readline()
            assert line, said
            said += line
        return said

    def kill_with_workers(self) -> None:
        """Kill it with all of its workers, which newer releases put into sessions of their own, and no command that it has started."""
        for _turn in range(2):  # one may have forked meanwhile
            for place in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    is_its = f"TELL_TO={self.tells_to}".encode() in (place / "environ").read_bytes().split(b"\0")
                    if is_its and (place / "cmdline").read_bytes().split(b"\0")[1:4] == [b"-m", b"ansible", b"playbook"]:
                        os.kill(int(place.name), signal.SIGKILL)
        self.wait()


class Live:
    """A run that goes on while the test does something."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(self._lines)

    def has(self, pattern: str, count: int = 1) -> bool:
        """Tell whether it has printed so many lines like this by now."""
        return len(self.lines(pattern)) >= count

    def lines(self, pattern: str) -> list[str]:
        """Return the lines like this that it has printed by now."""
        return re.findall(rf"^{pattern}$", self.output, flags=re.M)

    def wait(self, pattern: str, count: int = 1) -> None:
        """Wait until it has printed so many lines like this."""
        until(lambda: self.has(pattern, count) or self._process.poll() is not None)
        assert self.has(pattern, count), self.output

    def ran(self) -> Ran:
        """Wait for its end."""
        rc = self._process.wait(_SECONDS)
        self._reader.join()
        return Ran(rc, self.output, self._process.told())


class Controller:
    """Runs Ansible commands the way a user does: as processes, with a project directory, a home and an inventory."""

    def __init__(self, directory: Path, collections: Path) -> None:
        self.home = directory / "home"
        self.project = directory / "project"
        self.home.mkdir()
        self.project.mkdir()
        self._told = directory / "told"
        self._told.mkdir()
        self.inventory = self.project / "hosts"
        self.hosts("host1")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "ASYNC_JOB_", "OCI_", "AWX_"))},
            "HOME": str(self.home),
            # Ansible and its async wrapper read "~" differently where HOME is not the home directory of the passwd database.
            "ANSIBLE_ASYNC_DIR": str(self.home / ".ansible_async"),
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_ACTION_PLUGINS": str(Path(__file__).with_name("action_plugins")),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEVEL_WARNING": "0",
        }

    @property
    def state_dir(self) -> Path:
        """Where records are by default."""
        return self.project / ".ansible_async_state"

    def hosts(self, *lines: str) -> None:
        """Write the inventory: a line per host. Hosts are reached by a local connection unless the line says otherwise."""
        self.inventory.write_text("".join(f"{line}\n" for line in lines) + "\n[all:vars]\nansible_connection=local\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project, such as a playbook."""
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def popen(self, command: str, *args: t.Any, env: dict[str, str] | None = None, cwd: Path | None = None) -> Process:
        """Start an Ansible command (C(playbook), C(doc), C(adhoc), ...) in a process group of its own."""
        handle, tells_to = tempfile.mkstemp(dir=self._told)
        os.close(handle)
        process = Process(
            [sys.executable, "-m", "ansible", command, *map(str, args)],
            cwd=cwd or self.project,
            env={**self.environment, "TELL_TO": tells_to, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        process.tells_to = Path(tells_to)
        return process

    def run(self, command: str, *args: t.Any, env: dict[str, str] | None = None, cwd: Path | None = None) -> Ran:
        """Run an Ansible command to its end."""
        process = self.popen(command, *args, env=env, cwd=cwd)
        try:
            output, _stderr = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ran(process.returncode, output, process.told())

    def playbook(self, playbook: str | Path, *args: t.Any, env: dict[str, str] | None = None, cwd: Path | None = None) -> Ran:
        """Run a playbook: a path, a name inside a collection, or the text of one."""
        if isinstance(playbook, str) and "\n" in playbook:
            playbook = self.write("playbook.yml", playbook)
        return self.run("playbook", "-i", self.inventory, playbook, *args, env=env, cwd=cwd)

    def record(self, job_name: str, *, host: str = "host1", playbook_name: str = "test") -> dict[str, t.Any]:
        """Return a record, read from the default state directory by the path that users know."""
        record: dict[str, t.Any] = json.loads((self.state_dir / host / playbook_name / f"{job_name}.json").read_text("utf-8"))
        return record


def build_and_install(root: Path, destination: Path) -> None:
    """Build the artifact of the collection in a checkout and install it."""

    def galaxy(*args: str) -> None:
        command = [sys.executable, "-m", "ansible", "galaxy", "collection", *args]
        done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")

    galaxy("build", "--output-path", str(destination))
    [artifact] = destination.glob("*.tar.gz")
    galaxy("install", "--offline", "--collections-path", str(destination), str(artifact))
