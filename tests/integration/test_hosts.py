# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The managed hosts of the tests: what other tests do to them does happen, as Ansible sees it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from controller import Controller, Ran
from hosts import Hosts
from torture import TORTURE

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 4096


class AdHoc(t.Protocol):
    """Runs a module on hosts, in one ansible command."""

    def __call__(self, pattern: str, module: str, args: str = "", *options: str) -> Ran: ...


@pytest.fixture
def adhoc(controller: Controller) -> AdHoc:
    """The command C(ansible), which does not wait long for a host that is silent."""

    def run(pattern: str, module: str, args: str = "", *options: str) -> Ran:
        command = [pattern, "-i", controller.inventory, "-m", module, "-a", args, *options]
        return controller.run("adhoc", *command, env={"ANSIBLE_TIMEOUT": "2"})

    return run


# --- What they are ----------------------------------------------------------------------------------------------------


def test_each_is_a_machine_of_its_own(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """With a name, a boot id, processes and a home of its own."""
    controller.hosts(*hosts.inventory_lines())
    show = "echo {{ inventory_hostname }} = $(hostname), {{ ansible_user }} = $(id -un), $(id -u)"
    shown = adhoc("all", "shell", f"{show} > ~/shown; cat ~/shown").ok()
    for name in hosts.names:
        assert f"{name} = {name}, root = root, 0" in shown.output
        assert hosts.execute(name, "sh", "-c", "cat ~/shown").startswith(name)
        assert hosts.execute(name, "pgrep", "--full", "^sh -c .*sshd") == "1\n"
    boot_ids = [Path("/proc/sys/kernel/random/boot_id").read_text(), *(boot_id(hosts, name) for name in hosts.names)]
    assert len(set(boot_ids)) == 3


@pytest.mark.torture
def test_every_python_runs(hosts: Hosts) -> None:
    """Also those that are in a home directory of this machine: they are somewhere else in the hosts."""
    assert f"3.{sys.version_info[1]}" in hosts.pythons
    for version, python in hosts.pythons.items():
        print_version = "import json, sys; print('%d.%d' % sys.version_info[:2])"
        for user in ("root", "app"):
            assert hosts.execute("h1", "sudo", "-u", user, python, "-c", print_version) == f"{version}\n"


@pytest.mark.parametrize("options", [(), ("-B", "30", "-P", "1")], ids=["at once", "in the background"])
def test_op_becomes_somebody_else(hosts: Hosts, controller: Controller, adhoc: AdHoc, options: tuple[str, ...]) -> None:
    """The superuser, or one without rights, who must be able to read the module that op has brought."""
    controller.hosts(*hosts.inventory_lines(user="op"))
    for user in ("root", "app"):
        adhoc("h1", "shell", f"id -un > /tmp/{user}", "--become", "--become-user", user, *options).ok()
        assert hosts.execute("h1", "cat", f"/tmp/{user}") == f"{user}\n"


def test_app_becomes_nobody_else(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """A user without rights."""
    controller.hosts(*hosts.inventory_lines(user="app"))
    assert "app" in adhoc("h1", "raw", "id -un").ok().output.split()
    adhoc("h1", "raw", "id -un", "--become").failed()


# --- What can happen to them ------------------------------------------------------------------------------------------


def boot_id(hosts: Hosts, name: str) -> str:
    """Another one after each boot."""
    return hosts.execute(name, "cat", "/proc/sys/kernel/random/boot_id")


def leave_files(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """Leave a file in a home, and one in C(/tmp)."""
    controller.hosts(*hosts.inventory_lines(user="op"))
    adhoc("h1", "shell", "setsid sleep 1000 >/dev/null 2>&1 & echo kept | tee ~/file > /tmp/file").ok()


def test_reboot(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """Another boot id, no uptime, no processes, an empty C(/tmp). The home is as it was."""
    leave_files(hosts, controller, adhoc)
    hosts.execute("h1", "pgrep", "sleep")
    before = boot_id(hosts, "h1")
    hosts.disconnect()
    began = time.monotonic()
    hosts.reboot("h1")
    uptime = float(hosts.execute("h1", "cut", "-d ", "-f1", "/proc/uptime"))
    assert uptime < time.monotonic() - began + 1  # the offset of a clock is in whole seconds
    assert boot_id(hosts, "h1") != before
    assert "kept" in adhoc("h1", "command", "cat file chdir=~").ok().output
    for gone in (["pgrep", "sleep"], ["cat", "/tmp/file"]):
        with pytest.raises(RuntimeError, match="rc 1"):
            hosts.execute("h1", *gone)


def test_wipe(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """The users are still there, and their homes are empty."""
    leave_files(hosts, controller, adhoc)
    before = boot_id(hosts, "h1")
    hosts.disconnect()
    hosts.wipe("h1")
    assert boot_id(hosts, "h1") != before
    assert "No such file" in adhoc("h1", "command", "cat file chdir=~").failed().output
    assert hosts.execute("h1", "sh", "-c", "find ~ /home/app -mindepth 1") == ""


@pytest.mark.torture
def test_power_cut(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """Nobody is told: connections stay open, and packets are not answered."""
    controller.hosts(*hosts.inventory_lines())
    adhoc("h1", "raw", "true").ok()
    hosts.off("h1")
    address = next(line.split()[1] for line in (hosts.directory / "ssh_config").read_text().splitlines() if "HostName" in line)
    connections = subprocess.run(["ss", "-Htn", "dst", address], check=True, capture_output=True, text=True).stdout
    assert connections.startswith("ESTAB")
    hosts.disconnect()
    assert "timed out" in adhoc("h1", "raw", "true").failed().output
    hosts.on("h1")
    adhoc("h1", "raw", "true").ok()


@pytest.mark.parametrize("how", ["link", "drop"] if TORTURE else ["link"])
def test_partition(hosts: Hosts, controller: Controller, adhoc: AdHoc, how: t.Literal["link", "drop"]) -> None:
    """The host is silent, also after a reboot, and runs on. The other one can be reached all the time."""
    controller.hosts(*hosts.inventory_lines())
    hosts.partition("h1", how)
    assert ("NO-CARRIER" in hosts.execute("h1", "ip", "link", "show", "eth0")) == (how == "link")
    hosts.reboot("h1")
    unreachable = adhoc("all", "raw", "true").failed().output
    assert "h1 | UNREACHABLE!" in unreachable
    assert "timed out" in unreachable
    assert "h2 | CHANGED" in unreachable
    hosts.heal("h1")
    adhoc("all", "raw", "true").ok()


def test_full_disk(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """For every user, below every home. Files can be made, as on most file systems, but nothing written."""
    controller.hosts(*hosts.inventory_lines(user="op"))
    write = "uname > ~/file"
    hosts.fill("h1")
    for become in ((), ("--become",)):
        assert "No space left on device" in adhoc("h1", "raw", write, *become).failed().output
    adhoc("h2", "raw", write).ok()
    assert hosts.execute("h1", "find", "/home/op/file", "-empty") == "/home/op/file\n"
    hosts.unfill("h1")
    adhoc("h1", "raw", write).ok()


@pytest.mark.torture
def test_almost_full_disk(hosts: Hosts) -> None:
    """There is room for so many blocks, and not for one more byte."""
    for free in (5 * BLOCK, 1, 0, 3 * BLOCK):
        hosts.fill("h1", free)
        room = -(-free // BLOCK) * BLOCK
        with pytest.raises(RuntimeError, match="No space left on device"):
            hosts.execute("h1", "sh", "-c", f"head -c {room + 1} /dev/zero > /home/app/file")
        assert hosts.execute("h1", "stat", "-c", "%s", "/home/app/file") == f"{room}\n"
        hosts.execute("h1", "rm", "/home/app/file")


def test_hidden_processes(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """Users see their own, root sees all."""
    controller.hosts(*hosts.inventory_lines(user="op"))

    def users(*options: str) -> set[str]:
        return set(adhoc("h1", "raw", "ps -e -o user=", *options).ok().output.split()) & {"root", "op"}

    assert users() == {"root", "op"}
    hosts.hidepid("h1")
    assert users() == {"op"}
    assert users("--become") == {"root", "op"}
    hosts.hidepid("h1", 0)
    assert users() == {"root", "op"}


@pytest.mark.torture
def test_renew(hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """Everything that has happened to a host is undone."""
    controller.hosts(*hosts.inventory_lines())
    adhoc("h1", "raw", "echo something | tee /etc/file > ~/file").ok()
    hosts.hidepid("h1")
    hosts.fill("h1")
    hosts.partition("h1")
    hosts.renew("h1")
    adhoc("h1", "raw", "test ! -e /etc/file -a ! -e ~/file && echo something > ~/file").ok()
    assert "hidepid" not in hosts.execute("h1", "mount", "-t", "proc")


# --- What they leave --------------------------------------------------------------------------------------------------


def running(pids: set[str]) -> set[str]:
    """Those of these processes that still run: ids and start times."""
    return {process for pid in pids if (process := _identity(pid.split()[0])) in pids}


def processes(directory: Path) -> set[str]:
    """Everything that belongs to the hosts of a directory: processes that name it, and their descendants."""
    found: set[str] = set()
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        pid = stat.parent.name
        try:
            parents[pid] = _fields(pid)[1]
            if str(directory) in (stat.parent / "cmdline").read_bytes().decode(errors="replace"):
                found.add(pid)
        except OSError:
            continue
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {identity for pid in found if (identity := _identity(pid))}


def _fields(pid: str) -> list[str]:
    """State, parent, ... of a process."""
    return Path("/proc", pid, "stat").read_text(errors="replace").rpartition(")")[2].split()


def _identity(pid: str) -> str:
    """The id and the start time of a process, which no other has. Empty if it has ended."""
    try:
        fields = _fields(pid)
    except OSError:
        return ""
    return f"{pid} {fields[19]}" if fields[0] != "Z" else ""


def interface(hosts: Hosts) -> Path:
    """The one network interface of the machine that hosts have."""
    return Path("/sys/class/net", (hosts.directory / "interface").read_text().strip())


@pytest.mark.torture
def test_rigs_side_by_side_leave_nothing(tmp_path: Path, hosts: Hosts, controller: Controller, adhoc: AdHoc) -> None:
    """Each has its own network. Whatever was going on in them ends with them, and the others run on."""
    with Hosts(1, tmp_path / "a") as first, Hosts(1, tmp_path / "b") as second:
        three = (hosts, first, second)
        interfaces = [interface(each) for each in three]
        assert len(set(interfaces)) == 3
        for each in three:
            controller.hosts(*each.inventory_lines())
            adhoc("h1", "shell", "setsid sleep 1000 >/dev/null 2>&1 &").ok()
        first.partition("h1")
        second.fill("h1")
        started = processes(tmp_path)
        assert len(started) > 10
        assert all(path.exists() for path in interfaces)
    assert running(started) == set()
    assert processes(tmp_path) == set()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    assert [path.exists() for path in interfaces] == [True, False, False]
    assert [list(path.iterdir()) for path in (tmp_path / "a", tmp_path / "b")] == [[], []]
    controller.hosts(*hosts.inventory_lines())
    adhoc("all", "raw", "true").ok()


@pytest.mark.torture
def test_they_end_with_the_process_that_made_them(tmp_path: Path, rig: Hosts) -> None:
    """Even if it is killed. Others can be made in the same place then."""
    code = f"""
import pathlib, sys, time
sys.path.insert(0, {str(ROOT / "tests" / "support")!r})
from hosts import Hosts
with Hosts(1, pathlib.Path({str(tmp_path)!r})):
    print("up", flush=True)
    time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"up\n"
        hosts = Hosts(1, tmp_path)
        left = interface(hosts)
        started = processes(tmp_path)
        maker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while running(started) or left.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with hosts:
        assert hosts.execute("h1", "hostname") == "h1\n"
    assert list(tmp_path.iterdir()) == []


# --- Where they cannot be had -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", [False, True])
def test_without_hosts(rig: Hosts, allowed: bool) -> None:
    """The tests fail. With ALLOW_MISSING=1 they are left out, which the end of the run says."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    pytest_command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "1",
        "-p",
        "no:cacheprovider",
        f"{__file__}::test_reboot",
        f"{__file__}::test_wipe",
    ]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"', str(sshd), *pytest_command],
        cwd=ROOT,
        env={**os.environ, "ALLOW_MISSING": "1" if allowed else ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert "apt-get install openssh-server" in done.stdout
    if allowed:
        assert done.returncode == 0, done.stdout
        end = done.stdout[done.stdout.index("left out for want of managed hosts") :]
        assert "test_hosts.py::test_reboot\n" in end
        assert "test_hosts.py::test_wipe\n" in end
        assert "Tests that did not run: 2." in end
    else:
        assert done.returncode == 1
        assert "2 errors" in done.stdout
        assert "Tests that did not run" not in done.stdout
