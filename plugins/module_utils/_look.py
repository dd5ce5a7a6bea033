# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look what became of background jobs, on the host that they were started on.

What there is to see (C(ansible/modules/async_wrapper.py)): a job runs below two wrapper processes. The runner starts the module
and, when that has ended, renames its result into place; the watcher enforces the time limit. Both are named
C(.../async_wrapper.py <job id without its last number>), and both are in a session whose leader has ended, with a process
number soon after the last number of the job id. Until there is a result, the results file says only that the job was started.
If the runner dies, nobody ever writes a result: that is why a look at the file alone is not enough.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import re
import signal
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _attempt_files, _processes
from ansible_collections.rstyczynski.ansible.plugins.module_utils._processes import Process, Table

# A watcher without a runner ends, or writes that the time limit was exceeded, within this time, in seconds.
_SETTLING = 6.0
# What file times and process times may differ in, in seconds.
_SLACK = 2.0
# How much of the command line of a process is shown.
_COMMAND_LENGTH = 200


class Job(t.NamedTuple):
    """A job to look for, as far as whoever asks knows it."""

    job_id: str
    label: str
    """What the job is called in messages."""
    directory: str
    """The directory of its results file. C(~) is the home of the user who looks."""
    boot_id: str = ""
    """The boot of the host in which it was started. Empty if nobody noted it."""
    runner: dict[str, t.Any] | None = None
    """Its runner as an earlier look saw it: C(pid), C(start) and C(session)."""
    stdout_file: str = ""
    """Where its command writes its output, if it does not leave that to Ansible."""
    stderr_file: str = ""
    stdout_offset: int = 0
    """How much of its output was shown before, in bytes."""
    stderr_offset: int = 0
    user: str = ""
    """The user that its task has become, whose home a C(~) in front of the directory is. Empty if nobody noted one."""
    guess: bool = False
    """Whether that C(~) may be the home of anybody: nobody noted whose. Then what is not there proves nothing."""
    exclusive: bool = False
    """Whether its directory is its own. Then what was told that directory, is its own too."""
    secret: bool = False
    """Whether its arguments must not be shown."""
    keep: int = 0
    """How much of the end of its output its record is to keep, in bytes."""


class Look(t.NamedTuple):
    """What was seen of a job."""

    status: str
    reason: str
    results_file: str
    result: dict[str, t.Any] | None
    processes: list[dict[str, t.Any]]
    elapsed: float | None
    """For how long it has been running, or ran, in seconds, as far as that can be known."""
    end: str
    """When its result was written: ISO 8601, UTC. Empty if there is none."""
    boot_id: str
    runner: dict[str, t.Any] | None


class _File(t.NamedTuple):
    """The results file. It holds a result, or says that the job was started, or neither."""

    path: str
    problem: str = ""
    there: bool = False
    hidden: bool = False
    owner: int = -1
    modified: float = 0.0
    started: bool = False
    result: dict[str, t.Any] | None = None

    @property
    def begun(self) -> float | None:
        """When the job was started, in seconds since the epoch, if the file tells it."""
        if self.started:
            return self.modified
        return _local_time((self.result or {}).get("start"))


class _Times(t.NamedTuple):
    """When a job ran at most, in seconds since the epoch."""

    start: float
    end: float


class _Host:
    """The host at one moment."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.boot_id = _processes.boot_id()
        self.boot_time = _processes.boot_time()
        self.up = time.time() - self.boot_time
        self.wrappers: dict[str, list[Process]] = {}
        for process in table.processes.values():
            job_id = _wrapped(process)
            if job_id:
                self.wrappers.setdefault(job_id, []).append(process)
        self._strays: list[tuple[Process, str | None]] | None = None
        self._launched: dict[str, dict[int, _Times] | None] = {}

    def wrappers_of(self, job: Job) -> tuple[Process | None, list[Process]]:
        """The runner of a job, and its other wrapper processes."""
        found = self.wrappers.get(_less_number(job.job_id), [])
        runner = next((process for process in found if role_of(process, job) == "runner"), None)
        return runner, [process for process in found if process is not runner]

    def members(self, wrapper: Process) -> set[int]:
        """What provably belongs to a job that has a wrapper: its descendants, and all of the session made for it."""
        pids = self.table.family([wrapper.pid])
        if wrapper.sid and wrapper.sid not in self.table.processes:  # a launcher is still in the session of whoever has called it
            pids |= {process.pid for process in self.table.processes.values() if process.sid == wrapper.sid}
        return pids

    def orphans(self, job: Job, file: _File) -> tuple[list[Process], list[Process]]:
        """What is left of a job without a runner: what is its own by all that can be seen, and what may be its own or another's.

        All jobs with one results directory hand the same C(ANSIBLE_ASYNC_DIR) down to their processes, so that alone tells
        nothing. The session tells: it was made for one job.
        """
        noted = job.runner["session"] if job.runner and self.boot_id == job.boot_id else None
        directory = os.path.dirname(file.path)
        strays = self._stray_processes()
        # A number may have been given to another session since; that has nobody in it who was told our directory.
        still_noted = any(process.sid == noted and (marker == directory or (job.guess and marker)) for process, marker in strays)
        own: list[Process] = []
        unclear: list[Process] = []
        for process, marker in strays:
            leaderless = process.sid not in self.table.processes  # as the session of a job is from its beginning
            if job.exclusive and marker == directory:
                own.append(process)
            elif leaderless and noted == process.sid:
                (own if still_noted else unclear).append(process)
            elif self._started_before(process, file) or (marker and marker != directory and not job.guess):
                continue
            elif not leaderless:  # it has made a session of its own
                if marker and self._adopted(process):
                    unclear.append(process)
            elif noted is None:
                whose = self._whose(process, job, file, marked=marker != "")
                (own if whose == "its own" else unclear if whose == "unclear" else []).append(process)
        for watcher in self.wrappers_of(job)[1]:
            own += [self.table.processes[pid] for pid in sorted(self.members(watcher) - {watcher.pid})]
        return own, unclear

    def _stray_processes(self) -> list[tuple[Process, str | None]]:
        """Processes that may be left of some background job.

        With each comes the results directory that it was told: None if we may not see that, empty if it was told none.
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
                environment = _processes.environment(process.pid)
                marker = None if environment is None else _expanded(environment)
                if marker or process.sid not in self.table.processes:
                    self._strays.append((process, marker))
        return self._strays

    def _started_before(self, process: Process, file: _File) -> bool:
        """Whether a process was there before the job. A file from the future says nothing: the clock was set back."""
        return file.started and file.modified < self.boot_time + self.up and process.start < file.modified - self.boot_time - _SLACK

    def _whose(self, process: Process, job: Job, file: _File, *, marked: bool) -> str:
        """Whether the session of a process was made for a job: C(its own), C(unclear), or C(another's).

        The launcher of a job, whose process number is in the job id, makes the session, and the runner writes the results file
        just before it starts the module. So the session has a higher number than the launcher, and the oldest process in it is
        younger than the results file. Of several jobs for which that holds, it was the one that was started last; of those that
        were started together, nobody can tell.

        :arg marked: whether the process comes from a background job at all. If not, it may have cleared its environment, but only
            one that fits closely is of interest
        """
        launcher = _launcher(job.job_id)
        if launcher is None or self._distance(process, launcher) > _PIDS // 2:
            return "another's"
        oldest = self.boot_time + min(other.start for other in self.table.processes.values() if other.sid == process.sid)
        rivals = dict(self._rivals(process, oldest, job, file))
        begun = file.begun
        if begun is None or begun > self.boot_time + self.up:  # nobody knows, or the clock was set back meanwhile
            if not marked or not rivals:
                return ("unclear" if job.guess or not self._sees_rivals(file) else "its own") if marked else "another's"
            closest = all(self._distance(process, launcher) < self._distance(process, other) for other in rivals)
            return "unclear" if closest or all(oldest - start > _TOGETHER for start in rivals.values()) else "another's"
        if not marked:
            distance, later = self._distance(process, launcher), oldest - begun
            near = (distance < _NEAR and -_TICKS < later < _TOGETHER) or (distance < _NEXT and -_TICKS < later < _STARTING)
            return "unclear" if near else "another's"
        last = max([begun, *rivals.values()])
        if begun > oldest + _TICKS or begun < last - _TOGETHER:
            return "another's"
        if not self._sees_rivals(file):
            return "unclear"
        return "unclear" if any(start >= last - _TOGETHER for start in rivals.values()) else "its own"

    def _rivals(self, process: Process, oldest: float, job: Job, file: _File) -> t.Iterator[tuple[int, float]]:
        """The launchers of the other jobs for which the session of a process may have been made, and when those were started."""
        directory = os.path.dirname(file.path)
        if directory not in self._launched:
            self._launched[directory] = _launched_in(directory, running=self.wrappers)
        for number, times in (self._launched[directory] or {}).items():
            may = number != _launcher(job.job_id) and self._distance(process, number) <= _PIDS // 2
            if may and times.start <= oldest + _TICKS and times.end >= oldest - _SLACK:
                yield number, times.start

    def _sees_rivals(self, file: _File) -> bool:
        """Whether the results directory tells which other jobs there were."""
        return self._launched.get(os.path.dirname(file.path)) is not None

    @staticmethod
    def _distance(process: Process, launcher: int) -> int:
        """By how much the number of the session exceeds that of a launcher. They begin anew after the highest."""
        return (process.sid - launcher) % _PIDS

    def _own_sessions(self) -> set[int]:
        """The sessions of this process and of those that have started it. With a local connection, that is Ansible itself."""
        sessions = set()
        process = self.table.processes.get(os.getpid())
        while process is not None:
            sessions.add(process.sid)
            process = self.table.processes.get(process.ppid)
        return sessions

    def _adopted(self, process: Process) -> bool:
        """Whether what has started it is gone: then it, or the leader of its session, was given to the init process."""
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
# How long a module may take to start its command on a host under load, such as one that runs out of memory, in seconds.
_STARTING = 30.0
# How many processes may be started between the launcher and its session, and how many are if nothing else is started meanwhile.
_NEAR = 100
_NEXT = 8


def look(jobs: t.Sequence[Job], *, settling: float = _SETTLING) -> list[Look]:
    """Look at jobs, all at the same moment; those that are just about to end once more.

    :arg settling: for how long to wait for what a watcher is about to say, in seconds
    """
    deadline = time.monotonic() + settling
    looks: dict[int, Look] = {}
    while True:
        # Processes first: a runner renames its result into place before it ends.
        host = _Host(_processes.scan())
        last = time.monotonic() >= deadline
        for number, job in enumerate(jobs):
            if number not in looks:
                seen = _look_at(job, host, last=last)
                if seen is not None:
                    looks[number] = seen
        if len(looks) == len(jobs):
            return [looks[number] for number in range(len(jobs))]
        time.sleep(0.1)


def members(job: Job, table: Table) -> tuple[list[Process], list[Process]]:
    """The processes of a job: those that are provably its own, and those of which nobody can tell whether they are."""
    host = _Host(table)
    runner, others = host.wrappers_of(job)
    pids: set[int] = set()
    for wrapper in [runner] if runner else others:
        pids |= host.members(wrapper)
    pids.update(wrapper.pid for wrapper in others)
    proven = [table.processes[pid] for pid in sorted(pids)]
    if runner is not None:
        return proven, []
    own, unclear = ([process for process in found if process.pid not in pids] for found in host.orphans(job, _read(job)))
    if not job.exclusive and not (job.runner and job.boot_id == host.boot_id):
        own, unclear = [], own + unclear  # evidence is enough for a word, not for a signal
    return proven + own, unclear


def role_of(process: Process, job: Job) -> str:
    """What a process of a job is to it: C(runner), C(watcher) or C(descendant)."""
    if _wrapped(process) != _less_number(job.job_id):
        return "descendant"
    return "runner" if process.pgid == process.pid != process.sid else "watcher"


def results_file(job: Job) -> str:
    """The path of the results file, for the user who looks."""
    directory = job.directory
    if job.user and (directory + "/").startswith("~/"):
        directory = f"~{job.user}{directory[1:]}"
    return os.path.join(os.path.expanduser(directory), job.job_id)


def namesake(job: Job) -> str:
    """The job for which this job id may be a slip of the pen: it has a results file, and differs in its last number only."""
    directory, name = os.path.split(results_file(job))
    try:
        names = os.listdir(directory)
    except OSError:
        return ""
    if name in names:
        return ""
    return next((other for other in names if re.fullmatch(r"j\d+\.\d+", other) and _less_number(other) == _less_number(name)), "")


def described(process: Process, role: str, *, secret: bool = False) -> dict[str, t.Any]:
    """A process for people."""
    line = {"pid": process.pid, "ppid": process.ppid, "uid": process.uid, "role": role}
    if not secret:
        line["command"] = readable(" ".join(process.argv)[:_COMMAND_LENGTH])
    return line


def clock(seconds: float) -> str:
    """A duration as C(hh:mm:ss)."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def utc(moment: float) -> str:
    """A time as ISO 8601, UTC."""
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def readable(value: t.Any) -> t.Any:
    """The value with whatever is not UTF-8 in its texts replaced: that cannot be printed, and breaks Ansible's own transport."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogateescape" if not re.search("[\ud800-\udc7f\udd00-\udfff]", value) else "replace").decode(
                "utf-8", "replace"
            )
        return value
    if isinstance(value, dict):
        return {readable(key): readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    return value


def _less_number(job_id: str) -> str:
    """The job id without its last number, which is that of a launcher that has already ended."""
    return job_id.rpartition(".")[0] or job_id


def _wrapped(process: Process) -> str:
    """The job id, without its last number, that a process is a wrapper of. Empty if it is none."""
    for place, argument in enumerate(process.argv[:-2]):
        if os.path.basename(argument).startswith("async_wrapper") and process.argv[place + 2].isdigit():  # the time limit
            return process.argv[place + 1]
    return ""


def _expanded(environment: dict[str, str]) -> str:
    """The results directory that a process was told, as an absolute path. Empty if it was told none."""
    directory = environment.get("ANSIBLE_ASYNC_DIR", "")
    if directory == "~" or directory.startswith("~/"):
        directory = environment.get("HOME", "") + directory[1:]
    return os.path.normpath(os.path.expanduser(directory)) if directory else ""


def _launcher(job_id: str) -> int | None:
    """The process number of the launcher of a job."""
    number = job_id.rpartition(".")[2]
    return int(number) if number.isdigit() else None


def _launched_in(directory: str, *, running: t.Container[str]) -> dict[int, _Times] | None:
    """When the jobs of a directory ran, by the numbers of their launchers. Jobs that have a wrapper are left out: theirs are known.

    None if it cannot be read.
    """
    found: dict[int, _Times] = {}
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                match = re.fullmatch(r"(j\d+)\.(\d+)", entry.name)
                if match and match.group(1) not in running:
                    status = entry.stat()
                    # What says no more than that a job was started is this short, and was written at its start.
                    times = _Times(status.st_mtime, _NEVER) if status.st_size < 120 else _Times(_begin(entry.path), status.st_mtime)
                    found[int(match.group(2))] = times
    except OSError:
        return None
    return found


_NEVER = float("inf")


def _begin(path: str) -> float:
    """When a command was started that has ended. 0 if its result does not tell."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = re.search(r'"start": "([^"]*)"', file.read(_BEGIN_LENGTH))
    except OSError:
        return 0.0
    return (_local_time(match.group(1)) if match else None) or 0.0


def _local_time(text: t.Any) -> float | None:
    """The time that a command module notes, which is that of the host's time zone. None if it is none."""
    try:
        return datetime.datetime.strptime(text, _TIME_FORMAT).timestamp()
    except (OverflowError, TypeError, ValueError):
        return None


_TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"

# How much of a result is searched for the time when it was started, in characters.
_BEGIN_LENGTH = 1 << 16


def _read(job: Job) -> _File:
    file = _read_results_file(os.path.normpath(results_file(job)))
    told = file.result is not None and ("cancelled" in file.result or not (_crashed(file.result) or _timed_out(file.result)))
    if job.exclusive and not told:
        # What has waited for the command knows better than the wrapper, which knows nothing, or that its module is dead.
        recorded = _attempt_files.recorded(os.path.dirname(file.path))
        if recorded is not None:
            return file._replace(there=True, started=False, result=recorded[0], modified=recorded[1])
    return file


def _read_results_file(path: str) -> _File:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return _File(path, "there is no results file")
        return _File(path, f"the results file cannot be read ({error.strerror})", hidden=True)
    about: dict[str, t.Any] = {"there": True, "owner": status.st_uid, "modified": status.st_mtime}
    try:
        data = json.loads(content.decode("utf-8", "surrogateescape"))
    except ValueError:
        return _File(path, "its results file is empty" if not content.strip() else "its results file is damaged", **about)
    if not isinstance(data, dict) or not data:
        return _File(path, "its results file holds no result", **about)
    if "started" in data and not data.get("finished") and data.keys() <= {"started", "finished", "ansible_job_id"}:
        return _File(path, "its results file says only that it was started", started=True, **about)
    return _File(path, result=data, **about)


def _look_at(job: Job, host: _Host, *, last: bool) -> Look | None:
    """Judge one job. None if it is about to end."""
    runner, others = host.wrappers_of(job)
    file = _read(job)
    if others and not runner and file.result is None and not last:
        return None
    shown = [(process, role_of(process, job)) for process in others]
    noted = job.runner
    elapsed = None
    end = ""
    own: list[Process] = []
    unclear: list[Process] = []
    module: Process | None = None
    crashed = file.result is not None and _crashed(file.result)
    if runner is not None:
        shown.insert(0, (runner, "runner"))
        shown += [
            (host.table.processes[pid], "descendant") for pid in sorted(host.members(runner) - {process.pid for process, _role in shown})
        ]
        noted = {"pid": runner.pid, "start": runner.start, "session": runner.sid}
        elapsed = round(host.up - runner.start, 2)
    else:
        own, unclear = host.orphans(job, file)
        shown += [(process, "descendant") for process in own] + [(process, "unclear") for process in unclear]
        module = next((process for process in own if job.exclusive and _waits_for_command(process)), None)
        if module is not None:
            elapsed = round(host.up - module.start, 2)

    if file.result is not None:
        status, reason = _outcome(job, file.result)
        end = utc(file.modified)
        elapsed = duration(file.result)
        if job.exclusive and crashed:
            # All else is about Ansible's own module, not about the job.
            file = file._replace(result={"failed": True, "msg": reason})
        if (own or unclear) and crashed:
            # What the wrapper says is true of the module. Its command goes on.
            reason = reason.replace(_code_unknown(job), "")
            status, reason, end, elapsed = "orphaned", f"{reason}, so no result will come{_going_on(own, unclear)}", "", None
            file = file._replace(result=None)
        elif own:
            reason += f". It has left processes behind, which run on ({_pids_of(own)})"
        elif unclear:
            reason += f". It, or another job of the same directory, has left processes behind, which run on ({_pids_of(unclear)})"
    elif runner is not None:
        status, reason = "running", _running(job, runner, others, file, host)
    elif module is not None:
        status = "running"
        reason = (
            f"{job.label} has been running for {clock(host.up - module.start)}; its wrapper was killed, so its time limit is no longer"
            " enforced, but how its command ends will be recorded"
        )
    else:
        status, reason = _dead(job, file, host, own, unclear)
    return Look(
        status=status,
        reason=reason,
        results_file=file.path,
        result=file.result,
        processes=[described(process, role, secret=job.secret) for process, role in shown],
        elapsed=elapsed,
        end=end,
        boot_id=job.boot_id or (host.boot_id if runner is not None else ""),
        runner=noted,
    )


def _outcome(job: Job, result: dict[str, t.Any]) -> tuple[str, str]:
    """What a result says."""
    code = result.get("rc")
    if "cancelled" in result:
        return "cancelled", str(result.get("msg", f"{job.label} was cancelled"))
    if _timed_out(result):
        return "timed_out", f"{job.label} ran into its time limit, and Ansible ended it"
    if isinstance(code, int) and code < 0:
        return "killed", f"the command of {job.label} was killed by signal {-code}{_signal_name(-code)}"
    if _crashed(result) and not f"{result.get('data', '')}{result.get('stderr', '')}".strip():
        return "killed", f"the module of {job.label} was killed, or crashed, before it could return a result{_code_unknown(job)}"
    if result.get("failed") or code not in (None, 0, "0"):
        return "failed", f"{job.label} has failed" + (f" with return code {code}" if code not in (None, 0, "0") else "")
    return "succeeded", f"{job.label} has succeeded"


def _crashed(result: dict[str, t.Any]) -> bool:
    """Whether the result is only what the runner says of a module that has ended without one."""
    return "data" in result and "No start of json char found" in str(result.get("msg"))


def _timed_out(result: dict[str, t.Any]) -> bool:
    """Whether the result is only what the watcher says of a job that it has ended."""
    return result.get("msg") == "Timeout exceeded" and "child_pid" in result


def _code_unknown(job: Job) -> str:
    return ", so its return code is unknown" if job.exclusive and job.stdout_file else ""


def _waits_for_command(process: Process) -> bool:
    """Whether this is our own module, which is going to record how the command of a job has ended."""
    return any(os.path.basename(argument).startswith("AnsiballZ_async_job.") for argument in process.argv[:3])


def _running(job: Job, runner: Process, others: list[Process], file: _File, host: _Host) -> str:
    reason = f"{job.label} has been running for {clock(host.up - runner.start)}"
    if not others:
        reason += "; its watcher is gone, so its time limit is no longer enforced"
    if not any(process.ppid == runner.pid for process in host.table.processes.values()):
        reason += "; its module has ended, and a process that it has left behind keeps its output open: the result comes when that ends"
    if file.hidden or not file.there:
        reason += f"; {file.problem} as {file.path}: it was removed, or the job was started by another user or with another directory"
    elif not file.started:
        reason += f"; {file.problem}"
    return reason


def _dead(job: Job, file: _File, host: _Host, own: list[Process], unclear: list[Process]) -> tuple[str, str]:
    """What to call a job that has neither a result nor a runner."""
    if job.boot_id and host.boot_id and job.boot_id != host.boot_id:
        return "lost", _rebooted(job, file, host)
    if file.hidden:
        return "unknown", f"cannot tell what became of {job.label}: {file.problem}: {file.path}. Look as root, or as the user of the job"
    if not host.table.complete and file.owner != os.geteuid():
        return "unknown", (
            f"cannot tell what became of {job.label}: {file.problem}, and this host hides the processes of other users (hidepid)."
            " Look as root, or as the user of the job"
        )
    if file.there and os.geteuid() not in (0, file.owner):
        return "unknown", (
            f"cannot tell what became of {job.label}: its wrapper is gone, and what it has left behind can be seen only by root and by the"
            f" user with the id {file.owner}. Look as one of them"
        )
    if own or unclear:
        return "orphaned", _orphaned(job, own, unclear)
    if file.started and not job.boot_id and file.modified < host.boot_time:
        return "lost", _rebooted(job, file, host)
    if file.there:
        reason = f"the wrapper of {job.label} was killed; its command left no result{_code_unknown(job)}"
        if not file.started:
            reason += f": {file.problem}"
        if not file.started or os.path.exists(f"{file.path}.tmp"):
            reason += "; the disk is full" if _full(file.path) else "; the disk may have been full"
        if not host.table.complete:
            reason += "; what it may have started as another user is hidden here (hidepid)"
        return "killed", reason
    directory = os.path.dirname(file.path)
    if job.guess and not job.runner:
        return "unknown", (
            f"cannot tell what became of {job.label}: there is no results file {file.path}, and nobody noted whose home directory the job"
            " was started with. Look as the user of the job; and save results_file with a job, or become_user"
        )
    why = f"the directory {directory} is not there" if not os.path.isdir(directory) else f"there is no results file {file.path}"
    return "lost", (
        f"{job.label} does not run, and {why}. It was removed, or the job never started"
        + (" (the disk is full)" if _full(directory) else "")
        + (", or it was started by another user or with another async_dir" if not job.runner else "")
    )


def _orphaned(job: Job, own: list[Process], unclear: list[Process]) -> str:
    return f"the wrapper of {job.label} was killed, so no result will come{_going_on(own, unclear)}"


def _going_on(own: list[Process], unclear: list[Process]) -> str:
    text = f", but its work goes on ({_pids_of(own)})" if own else ""
    if unclear:
        text += (
            f"; nobody can tell whether {'more of ' if own else ''}its work goes on: this may be its own, or that of another job of the"
            f" same directory ({_pids_of(unclear)})"
        )
    return text


def _rebooted(job: Job, file: _File, host: _Host) -> str:
    reason = f"the host of {job.label} rebooted at {utc(host.boot_time)}"
    if file.started and file.modified < host.boot_time:
        reason += f", {clock(host.boot_time - file.modified)} after the job started"
    return reason


def _pids_of(processes: t.Iterable[Process]) -> str:
    pids = sorted(process.pid for process in processes)
    return f"{'process' if len(pids) == 1 else 'processes'} {', '.join(map(str, pids[:10]))}{', ...' if len(pids) > 10 else ''}"


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def _full(path: str) -> bool:
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    try:
        disk = os.statvfs(path)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < 4096


def duration(result: dict[str, t.Any]) -> float | None:
    """How long a command ran, which only command modules say."""
    try:
        start, end = (datetime.datetime.strptime(result[name], _TIME_FORMAT) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        return None
    return (end - start).total_seconds()
