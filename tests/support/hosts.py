# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away managed hosts, with real ssh and all that can happen to a host. hosts.sh says what they are made of."""

from __future__ import annotations

import functools
import subprocess
import sys
import typing as t
from pathlib import Path

from pythons import pythons

_SCRIPT = Path(__file__).with_name("hosts.sh")
_SECONDS = 120

# An interpreter of the operating system is in the hosts where it is here. Others may be in a home directory.
_SYSTEM = (Path("/"), Path("/usr"), Path("/usr/local"))


@functools.cache
def obstacle() -> str:
    """Say why this machine cannot have hosts, and what to do about it. Empty if it can."""
    return subprocess.run([_SCRIPT, "check"], capture_output=True, text=True, check=False).stdout.strip()


class Hosts:
    """Hosts h1, h2, ... that live as long as this context, or this process.

    Their users are C(root), C(op), who may use sudo without a password, and C(app), who may not.
    """

    def __init__(self, count: int, directory: Path) -> None:
        self.directory = directory
        """Their keys, their C(ssh_config), their log."""
        self.names = [f"h{number}" for number in range(1, count + 1)]
        self.pythons: dict[str, str] = {}
        """The interpreter of each version that is here, by its path in the hosts."""
        self._installations: list[str] = []
        self._ways: dict[str, list[str]] = {}
        """How a command gets into each host, as long as that does not boot. Tests look into hosts very often."""
        self._current = f"{sys.version_info[0]}.{sys.version_info[1]}"
        for version, python in {self._current: Path(sys.executable), **pythons()}.items():
            # A virtual environment links to the interpreter that it was made with.
            interpreter = python.resolve()
            installation = interpreter.parents[1]
            if installation in _SYSTEM:
                self.pythons[version] = str(interpreter)
            else:
                self.pythons[version] = f"/opt/python/{version}/bin/{interpreter.name}"
                self._installations.append(f"{version}={installation}")

    def __enter__(self) -> Hosts:
        """Make the hosts."""
        self.directory.mkdir(parents=True, exist_ok=True)
        log = self.directory / "log"
        with open(log, "wb") as stream:
            self._rig = subprocess.Popen(
                [_SCRIPT, self.directory, "run", str(len(self.names)), *self._installations],
                stdin=subprocess.PIPE,  # It ends with this process, and with it end the hosts.
                stdout=subprocess.PIPE,
                stderr=stream,
                start_new_session=True,
            )
        try:
            assert self._rig.stdout is not None
            if self._rig.stdout.readline() != b"ready\n":
                raise RuntimeError(log.read_text(errors="replace"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the hosts and remove everything of them."""
        with self._rig:
            self._run("down")

    def execute(self, name: str, *command: str) -> str:
        """Run a command as root in a host, without ssh, and return its output: that works also when the host cannot be reached."""
        if name not in self._ways:
            self._ways[name] = self._run("way", name).splitlines()
        return _output([*self._ways[name], *command], name, *command)

    def inventory_lines(self, user: str = "root", python: str | None = None) -> list[str]:
        """Return a line of an inventory for each host, for C(Controller.hosts).

        The interpreter in the hosts is of the version that runs the tests, unless another one is given: every ansible-core
        that runs on it can manage hosts with it.
        """
        return self._run("inventory", user, python or self.pythons[self._current]).splitlines()

    def disconnect(self) -> None:
        """End the ssh masters of the controller, as their time does. They hang when a host has gone without a word."""
        self._run("disconnect")

    def off(self, *names: str) -> None:
        """Cut the power: nothing is closed, nobody is told."""
        self._power("off", *names)

    def on(self, *names: str) -> None:
        """Boot a host that is off."""
        self._power("on", *names)

    def reboot(self, *names: str) -> None:
        """Cut the power and boot. The disk is kept, C(/tmp) and C(/run) are not."""
        self._power("reboot", *names)

    def wipe(self, *names: str) -> None:
        """Reboot, and lose the home directories, too."""
        self._power("wipe", *names)

    def renew(self, *names: str) -> None:
        """Reboot, with everything as it was at first: the disk, the cable, C(/proc). No connections are left."""
        self._power("renew", *names)

    def partition(self, name: str, how: t.Literal["link", "drop"] = "link") -> None:
        """Pull the cable, or lose all packets on the way, until :meth:`heal` is called. The host runs on."""
        self._run("partition", name, how)

    def heal(self, name: str) -> None:
        """End a partition."""
        self._run("heal", name)

    def fill(self, name: str, free: int = 0) -> None:
        """Leave that many bytes on the disk of C(/root) and C(/home), in whole blocks of 4096."""
        self._run("fill", name, str(free))

    def unfill(self, name: str) -> None:
        """Make room again."""
        self._run("unfill", name)

    def hidepid(self, name: str, level: int = 2) -> None:
        """Let users see only their own processes, until a reboot. Level 0 undoes that."""
        self._run("hidepid", name, str(level))

    def _power(self, command: str, *names: str) -> None:
        self._ways.clear()
        self._run(command, *names)

    def _run(self, *arguments: str) -> str:
        return _output([_SCRIPT, self.directory, *arguments], *arguments)


def _output(command: list[t.Any], *shown: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(shown)}: rc {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
