# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of the host that we run on, and since when it has been up.

Linux tells all of it in C(/proc) (see proc_pid_stat(5)); other systems tell less, through C(ps).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
import typing as t

# How much two looks at the start of one process may differ, in seconds. C(ps) knows whole seconds only.
_PRECISION = 0.001 if os.path.exists("/proc/self/stat") else 2.0


class Process(t.NamedTuple):
    """A process that has not ended. Its start is in seconds since the boot: clocks can be changed, that cannot."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    uid: int
    start: float
    argv: list[str]

    def same_as(self, other: Process | None) -> bool:
        """Tell whether the other one, seen later, is the same process, and not one that got its pid after it."""
        return other is not None and other.pid == self.pid and abs(other.start - self.start) < _PRECISION


class Table(t.NamedTuple):
    """All processes that we can see, by pid."""

    processes: dict[int, Process]
    complete: bool
    """Whether we see those of other users too. C(hidepid) hides them from all but root."""

    def family(self, of: t.Iterable[int]) -> set[int]:
        """Return these processes and all of their descendants."""
        children: dict[int, list[int]] = {}
        for process in self.processes.values():
            children.setdefault(process.ppid, []).append(process.pid)
        found: set[int] = set()
        left = [pid for pid in of if pid in self.processes]
        while left:
            pid = left.pop()
            if pid not in found:
                found.add(pid)
                left.extend(children.get(pid, ()))
        return found

    def session(self, number: int) -> set[int]:
        """Return the processes of a session. 0 is none: C(ps) does not tell the session on all systems."""
        return {process.pid for process in self.processes.values() if process.sid == number} if number else set()

    def is_leaderless(self, session: int) -> bool:
        """Tell whether the leader of a session has ended, as that of a job has from its beginning."""
        return session != 0 and session not in self.processes

    def ancestors(self, pid: int) -> list[Process]:
        """Return a process and those that have started it, up to the first one."""
        found: list[Process] = []
        process = self.processes.get(pid)
        while process is not None and process not in found:
            found.append(process)
            process = self.processes.get(process.ppid)
        return found


def scan() -> Table:
    """Return the processes that there are now. Zombies are left out, unless threads of theirs live on."""
    if os.path.exists("/proc/self/stat"):
        return _scan_proc()
    return Table(_parse_ps(_ps()), True)


def find_process(pid: int) -> Process | None:
    """Return one process, or None if it has ended."""
    if os.path.exists("/proc/self/stat"):
        return _read_proc(str(pid))
    return _parse_ps(_ps()).get(pid)


def has_ended(process: Process) -> bool:
    """Return whether a process has ended since it was seen, or is about to: then it has no memory any more, and tells nothing of itself."""
    now = find_process(process.pid)
    return not (now and now.argv and process.same_as(now))


def environment_of(pid: int) -> dict[str, str] | None:
    """Return the environment that a process was started with. None if we may not know it."""
    try:
        try:
            text = _text(f"/proc/{pid}/environ", _MOST)
        except ProcessLookupError:  # its first thread has ended
            text = _text(f"/proc/{pid}/task/{_live_thread(pid)}/environ", _MOST)
        if len(text) >= _MOST:
            return None
        return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
    except OSError:
        return None


def may_write(pid: int, files: set[tuple[int, int]]) -> bool:
    """Return whether a process has one of these files open for writing, by device and inode. False if we may not know that.

    Only the lowest numbers are looked at: a command has its output there, and a server may have a million others.
    """
    place = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        names = os.listdir(place)
        if not names:  # its first thread has ended
            place = f"/proc/{pid}/task/{_live_thread(pid)}/fd"
            names = os.listdir(place)
        return any(_is_in(f"{place}/{name}", files) for name in names if len(name) < 3)
    return False


def _is_in(path: str, files: set[tuple[int, int]]) -> bool:
    with contextlib.suppress(OSError):  # it was closed meanwhile
        status = os.stat(path)
        return (status.st_dev, status.st_ino) in files and bool(os.lstat(path).st_mode & 0o200)  # as it was opened (proc(5))
    return False


def user_of_process(process: Process) -> int:
    """Return who has started a process: its real user. -1 if that cannot be known.

    One that has forbidden others to look at it, as anybody can, seems to be root's (see proc(5)), and a set-user-ID program, which anybody
    may run, works with the rights of its owner.
    """
    if not os.path.exists("/proc/self/stat"):
        return process.uid
    try:
        with open(f"/proc/{process.pid}/status", encoding="utf-8", errors="replace") as file:
            match = re.search(r"^Uid:\s+(\d+)", file.read(), re.MULTILINE)
    except OSError:
        return -1
    return int(match.group(1)) if match else -1


def ended_by(pid: int, number: int) -> bool:
    """Tell whether a signal is known to end a process, because it neither catches nor ignores it."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            masks = re.findall(r"^Sig(?:Cgt|Ign):\s*([0-9a-f]+)$", file.read(), re.MULTILINE)
    except OSError:
        return False
    return len(masks) == 2 and not any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def boot_id() -> str:
    """Return what tells this boot of the host from all others. Empty where the system has no such thing."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def boot_time() -> float:
    """Return when this host was started, in seconds since the epoch, by its clock. 0 where nobody knows."""
    try:
        with open("/proc/uptime", encoding="ascii") as file:
            return time.time() - float(file.read().split()[0])
    except OSError:
        pass
    try:
        text = _output(["sysctl", "-n", "kern.boottime"])
    except (OSError, subprocess.SubprocessError):
        return 0.0
    match = re.search(r"sec = (\d+)", text)
    return float(match.group(1)) if match else 0.0


def _scan_proc() -> Table:
    processes = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = _read_proc(name)
            if process is not None:
                processes[process.pid] = process
    # Every system has a process 1, and it is not ours.
    return Table(processes, os.geteuid() == 0 or 1 in processes)


def _read_proc(name: str) -> Process | None:
    directory = f"/proc/{name}"
    try:
        # The second field is the name of the program in parentheses, and may hold anything.
        fields = _text(f"{directory}/stat").rpartition(")")[2].split()
        state, ppid, pgid, sid = fields[0], int(fields[1]), int(fields[2]), int(fields[3])
        told_by = directory
        if state in "ZX":
            # Its first thread has ended. What it was started with, only others can tell.
            told_by = f"{directory}/task/{_live_thread(name)}"
        argv = _text(f"{told_by}/cmdline").split("\0")[:-1]
        uid = os.stat(directory).st_uid
    except OSError:  # it has ended meanwhile, or is hidden from us
        return None
    return Process(int(name), ppid, pgid, sid, uid, int(fields[19]) / os.sysconf("SC_CLK_TCK"), argv)


# What is read of what a process says of itself, in bytes: it may make that as long as its memory. The system passes no more than the first
# to a program that is not told of a larger stack.
_MOST = 2 << 20
_LONGEST = 1 << 17


def _text(path: str, most: int = _LONGEST) -> str:
    with open(path, "rb") as file:
        return file.read(most).decode("utf-8", "surrogateescape")


def _live_thread(pid: int | str) -> str:
    """Return the number of a thread that has not ended.

    :raises FileNotFoundError: if all have
    """
    for number in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            if _text(f"/proc/{pid}/task/{number}/stat").rpartition(")")[2].split()[0] not in "ZX":
                return number
    raise FileNotFoundError


def _ps() -> str:
    columns = ["pid", "ppid", "pgid", "ruid", "stat", "etime", "args"]
    return _output(["ps", "-A", "-ww", *(word for column in columns for word in ("-o", f"{column}="))])


def _output(command: list[str]) -> str:
    # Not AnsibleModule.run_command: this is used on the controller too.
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # pylint: disable=ansible-bad-function
    return done.stdout.decode("utf-8", "surrogateescape")


def _parse_ps(text: str) -> dict[int, Process]:
    """Read what C(ps) prints. It does not tell where one argument ends, nor, on all systems, the session."""
    up = time.time() - boot_time()
    processes = {}
    for line in text.splitlines():
        fields = line.split(None, 6)
        if len(fields) < 6 or not all(_NUMBER.fullmatch(field) for field in fields[:4]) or not _ELAPSED.fullmatch(fields[5]):
            continue  # the rest of an argument with an end of line in it
        pid, ppid, pgid, uid, state, elapsed, *rest = fields
        if not state.startswith("Z") and int(pid) not in processes:
            processes[int(pid)] = Process(
                int(pid), int(ppid), int(pgid), 0, int(uid), up - _seconds(elapsed), rest[0].split() if rest else []
            )
    return processes


_NUMBER = re.compile("[0-9]{1,10}")
_ELAPSED = re.compile("(?:(?:[0-9]{1,7}-)?[0-9]{1,9}:)?[0-9]{1,9}:[0-9]{1,2}")


def _seconds(elapsed: str) -> int:
    """Read a length of time as C(ps) prints it: C([[dd-]hh:]mm:ss)."""
    days, _dash, rest = elapsed.rpartition("-")
    seconds = 0
    for part in rest.split(":"):
        seconds = seconds * 60 + int(part)
    return int(days or 0) * 86400 + seconds
