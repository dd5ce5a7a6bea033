# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes of the host belong to which job.

Anybody may give a process any name and any environment. So a process is a job's by descent from its wrapper, or by its session, which
the wrapper made, or because its user, who is the job's, says so; and a wrapper is the job's if its user has started the job.

A job runs below two wrapper processes (C(ansible/modules/async_wrapper.py)). The runner starts the module; the watcher enforces the
time limit. Both are named C(.../async_wrapper.py <job id without its last number>), and both are in a session whose leader has ended,
with a process number soon after the last number of the job id.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARKERS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, launcher_of, less_number
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.place import Place, here, namespace_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import (
    Process,
    Table,
    boot_id,
    boot_time,
    environment_of,
    has_ended,
    may_write,
    user_of_process,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import ResultsFile, local_time, read_results, user_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Directory, directory_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory

# What file times and process times may differ in, in seconds.
_SLACK = 2.0


class _Times(t.NamedTuple):
    """When a job ran at most, in seconds since the epoch."""

    start: float
    end: float


class Host:
    """The host at one moment."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.boot_id = boot_id()
        self.boot_time = boot_time()
        self.up = time.time() - self.boot_time
        self.place = here()
        self.wrappers: dict[str, list[Process]] = {}
        for process in table.processes.values():
            job_id = _wrapped(process)
            if job_id:
                self.wrappers.setdefault(job_id, []).append(process)
        self._strays: list[tuple[Process, list[str] | None]] | None = None
        self._launched: dict[str, dict[int, _Times] | None] = {}

    def place_of(self, job: Job) -> Place:
        """Return where a job lives that was seen here: as it was noted, if it has not been another boot then."""
        noted = job.place or {}
        return noted if noted.get("boot_id") == self.boot_id else {**noted, **self.place}

    def wrappers_of(self, job: Job, file: ResultsFile) -> tuple[Process | None, list[Process]]:
        """Return the runner of a job, and its other wrapper processes."""
        found = [process for process in self.wrappers.get(less_number(job.job_id), []) if self._is_true(process, job, file)]
        roles = roles_of({process.pid: process for process in found}, job)
        runner = next((process for process in found if roles[process.pid] == "runner"), None)
        return runner, [process for process in found if process is not runner]

    def false_wrappers_of(self, job: Job, file: ResultsFile) -> list[Process]:
        """Return the processes that say that they are wrappers of a job, and that another user has started."""
        return [process for process in self.wrappers.get(less_number(job.job_id), []) if not self._is_true(process, job, file)]

    @staticmethod
    def _is_true(wrapper: Process, job: Job, file: ResultsFile) -> bool:
        """Tell whether what says that it is a wrapper of a job was started by the user of that job, and for its directory."""
        if job.exclusive:
            environment = environment_of(wrapper.pid)
            if environment is not None and _told(environment)[-1] != os.path.dirname(file.path):
                return False
        users = {file.user, user_of(job)} - {None}
        uid = user_of_process(wrapper)
        return {uid} == users if users else uid in (0, os.geteuid())

    def members(self, wrapper: Process) -> set[int]:
        """Return what provably belongs to a job that has a wrapper: its descendants, and all of the session made for it."""
        pids = self.table.family([wrapper.pid])
        if self._is_session_of(wrapper):
            pids |= self.table.session(wrapper.sid)
        return pids

    def _is_session_of(self, wrapper: Process) -> bool:
        """Return whether the session of a wrapper was made for it. Nothing but its fellow wrapper is older in such a session.

        A launcher is still in the session of whoever has called it; and anybody may take the name of a wrapper in a session where
        others are.
        """
        session = [self.table.processes[pid] for pid in self.table.session(wrapper.sid)]
        older = [process for process in session if process.start < wrapper.start]
        return self.table.is_leaderless(wrapper.sid) and all(
            _wrapped(process) == _wrapped(wrapper) and process.uid == wrapper.uid for process in older
        )

    def orphans(self, job: Job, file: ResultsFile) -> tuple[list[Process], list[Process]]:
        """Return what is left of a job without a runner: what is its own by all that can be seen, and what may be its own or another's.

        All jobs with one results directory hand the same C(ANSIBLE_ASYNC_DIR) down to their processes, so that alone tells
        nothing. The session tells: it was made for one job. What an attempt has started may start background jobs of Ansible: what was
        told our directory, by whichever name, is the job's.
        """
        noted = (job.runner["session"] if job.runner and self.boot_id == job.boot_id else None) or None
        directory = os.path.dirname(file.path)
        strays = [(process, told and (directory if directory in told else told[0])) for process, told in self._stray_processes()]
        # Children of other users, such as those of sudo, are in a session where the user of the job is, too.
        theirs_or_roots = {process.sid for process, _marker in strays if file.user is None or user_of_process(process) in (file.user, 0)}
        of_user = {one.pid for one, marker in strays if marker != "" and (file.user is None or user_of_process(one) == file.user)}
        theirs = {process.sid for process, marker in strays if marker == directory and process.pid in of_user}
        strays = [(process, marker if process.pid in of_user or process.sid in theirs else "") for process, marker in strays]
        # A number may have been given to another session since; that has nobody in it who was told our directory.
        still_noted = any(process.sid == noted and (marker == directory or (job.guess and marker)) for process, marker in strays)
        own: list[Process] = []
        unclear: list[Process] = []
        writing, others = self.writing_to(job, file)
        known = {process.pid for process, _marker in strays}
        strays += [(self.table.processes[pid], "") for pid in sorted(writing - known)]
        for process, marker in strays:
            leaderless = self.table.is_leaderless(process.sid)
            if job.exclusive and (marker == directory or process.pid in writing):
                own.append(process)
            elif marker != directory and is_attempt_directory(marker):
                continue  # it belongs to another attempt, whatever a record says of its session
            elif leaderless and noted == process.sid:
                (own if still_noted else unclear).append(process)
            elif self._started_before(process, job, file) or (marker and marker != directory and not job.guess):
                continue
            elif not leaderless:  # it has made a session of its own
                if marker and self._adopted(process):
                    unclear.append(process)
            elif noted is None and process.sid in theirs_or_roots:
                whose = self._whose(process, job, file, marked=marker != "")
                (own if whose == "its own" else unclear if whose == "unclear" else []).append(process)
        known = {process.pid for process in own + unclear}
        unclear += [self.table.processes[pid] for pid in sorted(others - known)]
        for watcher in self.wrappers_of(job, file)[1]:
            left = [self.table.processes[pid] for pid in sorted(self.members(watcher) - {watcher.pid, *(one.pid for one in own)})]
            own += [process for process in left if not has_ended(process)]  # the runner, which may just have done so
        return own, unclear

    def _stray_processes(self) -> list[tuple[Process, list[str] | None]]:
        """Return the processes that may be left of some background job.

        With each come the directories that it was told: None if we may not see that, one that is empty if it was told none.
        """
        if self._strays is None:
            spoken_for: set[int] = set()
            for wrappers in self.wrappers.values():
                for wrapper in wrappers:
                    spoken_for |= self.members(wrapper)
            ours = self._own_sessions()
            self._strays = []
            for process in self.table.processes.values():
                if process.pid in spoken_for or process.sid in ours or not process.argv:
                    continue
                environment = environment_of(process.pid)
                told = None if environment is None else _told(environment)
                marker = told and told[0]
                if namespace_of(process.pid) not in ("", self.place["pid_namespace"]) and not is_attempt_directory(marker):
                    continue  # it is in a container, and of a job there
                if marker or (self.table.is_leaderless(process.sid) and not has_ended(process)):
                    self._strays.append((process, told))
        return self._strays

    def writing_to(self, job: Job, file: ResultsFile) -> tuple[set[int], set[int]]:
        """Find the processes that may write to the output of an attempt: they were started by it, whatever they have done to their
        environment and session, if they are of its user. Of those of others, such as root, nobody can tell. Whoever only reads it, is none.
        """
        files = set()
        for path in (job.stdout_file, job.stderr_file) if job.exclusive else ():
            with contextlib.suppress(OSError, ValueError):
                status = os.lstat(path)
                files.add((status.st_dev, status.st_ino))
        spoken_for = self._own_sessions()
        found = [
            process
            for process in self.table.processes.values()
            if files and process.sid not in spoken_for and _wrapped(process) == "" and may_write(process.pid, files)
        ]
        own = {process.pid for process in found if file.user is not None and user_of_process(process) == file.user}
        return own, {process.pid for process in found} - own

    def _since(self, job: Job) -> float:
        """Return when a job was about to be started, in seconds since this boot, whatever became of clocks. 0 if nobody noted it."""
        noted = job.place or {}
        return noted.get("up", 0) if job.exclusive and noted.get("boot_id") == self.boot_id else 0

    def _started_before(self, process: Process, job: Job, file: ResultsFile) -> bool:
        """Tell whether a process was there before the job. A file from the future says nothing: the clock was set back."""
        prepared = self._since(job)
        if prepared:
            return process.start < prepared - _SLACK
        return file.started and file.modified < self.boot_time + self.up and process.start < file.modified - self.boot_time - _SLACK

    def _whose(self, process: Process, job: Job, file: ResultsFile, *, marked: bool) -> str:
        """Tell whether the session of a process was made for a job: C(its own), C(unclear), or C(another's).

        The launcher of a job, whose process number is in the job id, makes the session at once, and the runner writes the results file
        just before it starts the module. So the session has a number just above that of the launcher, and the oldest process in it is
        just younger than the results file. Of several jobs for which that holds, it was the one that was started last; of those that
        were started together, nobody can tell. And a job that Ansible has seen end has no results file any more, and may have left
        something behind: so that there is no other job for which it holds proves nothing, if it does not hold closely.

        :arg marked: whether the process comes from a background job at all. If not, it may have cleared its environment, but only
            one that fits closely is of interest
        """
        launcher = launcher_of(job.job_id)
        if launcher is None or self._distance(process, launcher) > _PIDS // 2:
            return "another's"
        oldest = self.boot_time + min(self.table.processes[pid].start for pid in self.table.session(process.sid))
        rivals = dict(self._rivals(process, oldest, job, file))
        distance, begun = self._distance(process, launcher), file.begun
        if begun is not None and begun > self.boot_time + self.up:
            begun = None  # the clock was set back meanwhile, so nobody knows
        prepared = self._since(job)
        if prepared:
            begun = self.boot_time + prepared  # at most so much earlier than its results file as a launch takes
        later = None if begun is None else oldest - begun
        if later is not None and later < -_TICKS:
            return "another's"
        if not marked:
            # The command of an attempt may start at any time what clears its environment.
            near = later is not None and (
                (distance < _NEAR and later < _TOGETHER) or (distance < _NEXT and (later < _STARTING or job.exclusive))
            )
            return "unclear" if near else "another's"
        # If the results directory does not tell which other jobs there were, nobody can.
        may_be_told = self._launched[os.path.dirname(file.path)] is not None and not (job.guess and later is None)
        if may_be_told and distance <= _NEXT and all(self._distance(process, other) > _NEXT for other in rivals):
            return "its own"
        if begun is None or later is None:
            closest = all(distance < self._distance(process, other) for other in rivals)
            return "unclear" if closest or all(oldest - start > _TOGETHER for start in rivals.values()) else "another's"
        last = max([begun, *rivals.values()])
        if begun < last - _TOGETHER:
            return "another's"
        alone = not any(start >= last - _TOGETHER for start in rivals.values())
        return "its own" if may_be_told and alone and distance < _NEAR and later < _AT_ONCE else "unclear"

    def _rivals(self, process: Process, oldest: float, job: Job, file: ResultsFile) -> t.Iterator[tuple[int, float]]:
        """Find the launchers of the other jobs for which the session of a process may have been made, and when those were started."""
        directory = os.path.dirname(file.path)
        if directory not in self._launched:
            self._launched[directory] = _launched_in(directory, running=self.wrappers)
        for number, times in (self._launched[directory] or {}).items():
            may = number != launcher_of(job.job_id) and self._distance(process, number) <= _PIDS // 2
            if may and times.start <= oldest + _TICKS and times.end >= oldest - _SLACK:
                yield number, times.start

    @staticmethod
    def _distance(process: Process, launcher: int) -> int:
        """Return by how much the number of the session exceeds that of a launcher. They begin anew after the highest."""
        return (process.sid - launcher) % _PIDS

    def _own_sessions(self) -> set[int]:
        """Return the sessions of this process and of those that have started it. With a local connection, that is Ansible itself."""
        return {process.sid for process in self.table.ancestors(os.getpid())}

    def _adopted(self, process: Process) -> bool:
        """Tell whether what has started it is gone: then it, or the leader of its session, was given to the init process."""
        leader = self.table.processes[process.sid]
        return leader.ppid not in self.table.processes or leader.ppid == 1


def _pids() -> int:
    try:
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 1 << 22


# How many process numbers there are before they begin anew.
_PIDS = _pids()

# How exactly the time of a file and the start of a process can be compared, in seconds.
_TICKS = 0.05

# Within how many seconds two jobs are started so closely together that the numbers of their processes may be mixed.
_TOGETHER = 1.0

# How soon after its results file the module of a job is started on a host that is not busy, in seconds.
_AT_ONCE = 0.2

# How long a module may take to start its command on a host under load, such as one that runs out of memory, in seconds.
_STARTING = 30.0

# How many processes may be started between the launcher and its session, and how many are if nothing else is started meanwhile.
_NEAR = 100

_NEXT = 8


def members(job: Job, table: Table) -> tuple[list[Process], list[Process]]:
    """Return the processes of a job: those that are provably its own, and those of which nobody can tell whether they are."""
    host = Host(table)
    file = read_results(job)
    if file.refused:
        return [], []
    runner, others = host.wrappers_of(job, file)
    pids: set[int] = set()
    for wrapper in [runner] if runner else others:
        pids |= host.members(wrapper)
    pids.update(wrapper.pid for wrapper in others)
    pids |= host.writing_to(job, file)[0]
    proven = [table.processes[pid] for pid in sorted(pids)]
    if runner is not None:
        return proven, []
    own, unclear = ([process for process in found if process.pid not in pids] for found in host.orphans(job, file))
    # Whose directory it is, may be all that tells the job's processes from those of others.
    unproven = not (job.runner and job.boot_id == host.boot_id) or (file.user is None and user_of(job) is None)
    if not job.exclusive and unproven:
        own, unclear = [], own + unclear  # evidence is enough for a word, not for a signal
    return proven + own, unclear


def role_of(process: Process, job: Job) -> str:
    """Return what a process of a job is to it: C(runner), C(watcher) or C(descendant)."""
    if _wrapped(process) != less_number(job.job_id):
        return "descendant"
    return "runner" if process.pgid == process.pid != process.sid else "watcher"


def roles_of(processes: dict[int, Process], job: Job) -> dict[int, str]:
    """Return what processes of a job are to it.

    On a busy machine, it takes a while until the runner leads a group. Until then, it is the child of the watcher.
    """
    roles = {pid: role_of(process, job) for pid, process in processes.items()}
    return {pid: "runner" if role == roles.get(processes[pid].ppid) == "watcher" else role for pid, role in roles.items()}


def _wrapped(process: Process) -> str:
    """Return the job id, without its last number, that a process is a wrapper of. Empty if it is none."""
    for place, argument in enumerate(process.argv[:-2]):
        if os.path.basename(argument).startswith("async_wrapper") and process.argv[place + 2].isdigit():  # the time limit
            return process.argv[place + 1]
    return ""


def _told(environment: dict[str, str]) -> list[str]:
    """Return the directories that a process was told, as absolute paths: that of an attempt, then that of results files. It is the same one
    for wrappers of an attempt, and the only one for all that former releases have started. One that is empty if it was told none."""
    home = environment.get("HOME", "")
    found = (re.sub("^~(?=/|$)", lambda _tilde: home, environment.get(name, "")) for name in MARKERS)
    return [os.path.normpath(os.path.expanduser(path)) for path in found if path] or [""]


def _launched_in(directory: str, *, running: t.Container[str]) -> dict[int, _Times] | None:
    """Return when the jobs of a directory ran, by the numbers of their launchers. Jobs that have a wrapper are left out: theirs are known.

    None if it cannot be read.
    """
    found: dict[int, _Times] = {}
    try:
        with directory_of(directory) as opened:
            for name in opened.names():
                match = re.fullmatch(r"(j[0-9]+)\.([0-9]{1,20})", name)
                if match and match.group(1) not in running:
                    with contextlib.suppress(OSError):  # what is no plain file is no results file
                        found[int(match.group(2))] = _times_of(opened, name)
    except OSError:
        return None
    return found


_NEVER = float("inf")


def _times_of(directory: Directory, name: str) -> _Times:
    """Return when a job ran at most. What says no more than that it was started is short, and was written at its start."""
    status = directory.status(name)
    if status.st_size < 120:
        return _Times(status.st_mtime, _NEVER)
    with directory.open(name) as file:
        match = re.search(r'"start": "([^"]{1,40})"', file.read(_BEGIN_LENGTH).decode("utf-8", "replace"))
    return _Times((local_time(match.group(1)) if match else None) or 0.0, status.st_mtime)


# How much of a result is searched for the time when it was started, in bytes.
_BEGIN_LENGTH = 1 << 16
