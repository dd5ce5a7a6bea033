# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See what happened to background jobs, on the host that they were started on.

A job runs below two wrapper processes. When its module has ended, the runner renames the result into place; until then the results
file says only that the job was started. If the runner dies, nobody ever writes a result: that is why a look at the file alone is
not enough, and the processes (C(belonging.py)) are looked at too.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _clock
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_directory import Cancelling
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import Host, role_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, flaw
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.place import elsewhere, gone, nearest
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import Process, scan, user_of_process
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import (
    ResultsFile,
    crashed,
    duration,
    is_cancelled,
    last_words,
    read_results,
    results_file,
    return_code,
    timed_out,
    user_name,
)

# A watcher without a runner ends, or writes that the time limit was exceeded, within this time, in seconds.
_SETTLING = 6.0
# By how much the clock of the host and the times of files may differ, in seconds.
_SLACK = 2.0
_NEVER = float("inf")
# How much of the command line of a process is shown.
_SHOWN = 200


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
    job_id: str
    """That of the job, which only its directory tells if whoever started it has died since. Empty if it has not started."""
    place: dict[str, t.Any] | None = None
    """Where it lives, if it was seen alive: a C(place.Place)."""
    cancelled: dict[str, t.Any] | None = None
    """Who has stopped it, when and why."""
    ended_ago: float | None = None
    """How long before the look its result was written, in seconds, by the clock of the host alone."""
    user: int | None = None
    """Who runs it, as far as the owner of its results file or of its runner proves that."""


def on_the_wire(look: Look) -> dict[str, t.Any]:
    """Return a look as it is sent to the controller, which has no use for users of the host."""
    return {name: value for name, value in look._asdict().items() if name != "user"}


def look_at_jobs(jobs: t.Sequence[Job], *, settling: float = _SETTLING) -> list[Look]:
    """Look at jobs, all at the same moment; those that are just about to end once more.

    :arg settling: for how long to wait for what a watcher is about to say, in seconds
    """
    deadline = time.monotonic() + settling
    looks: dict[int, Look] = {}
    while True:
        # Processes first: a runner renames its result into place before it ends.
        host = Host(scan())
        last = time.monotonic() >= deadline
        for number, job in enumerate(jobs):
            if number not in looks:
                seen = _safe_look(job, host, last=last)
                if seen is not None:
                    looks[number] = seen
        if len(looks) == len(jobs):
            return [looks[number] for number in range(len(jobs))]
        time.sleep(0.1)


def described(process: Process, role: str, *, secret: bool = False) -> dict[str, t.Any]:
    """Describe a process to people."""
    line = {"pid": process.pid, "ppid": process.ppid, "uid": process.uid, "role": role}
    if not secret:
        line["command"] = readable(" ".join(process.argv)[:_SHOWN])
    return line


def readable(value: t.Any) -> t.Any:
    """Replace whatever is not UTF-8 in the texts of a value: that cannot be printed, and breaks Ansible's own transport."""
    if isinstance(value, str):
        try:
            encoded = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            encoded = value.encode("utf-8", "replace")
        return encoded.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {readable(key): readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    return value


def _safe_look(job: Job, host: Host, *, last: bool) -> Look | None:
    """Judge one job, whatever somebody has done to its files: that must not affect other jobs."""
    if not job.job_id:
        return _unknown(job, "it has not started so far")
    problem = flaw(job)
    if problem:
        return _unknown(job, problem)
    try:
        return _look_at(job, host, last=last)
    except Exception as error:
        return _unknown(job, f"its files cannot be understood ({type(error).__name__})", results_file(job))


def _unknown(job: Job, problem: str, path: str = "") -> Look:
    reason = f"cannot tell what became of {job.label}: {problem}{f': {path}' if path else ''}"
    return Look("unknown", reason, path, None, [], None, "", "", None, job.job_id)


def _look_at(job: Job, host: Host, *, last: bool) -> Look | None:
    """Judge one job. None if it is about to end."""
    file = read_results(job)
    if file.refused:
        return _unknown(job, file.problem, file.path)
    result = file.result or {}
    has_crashed = crashed(result)
    where = elsewhere(job.place or {}, host.place, host.boot_time)
    if where and (file.result is None or has_crashed):  # a result is one on a disk of several machines, too
        return _unknown(job, where)
    runner, others = host.wrappers_of(job, file)
    if others and not runner and file.result is None and not last:
        return None
    shown = [(process, role_of(process, job)) for process in others]
    noted = job.runner
    elapsed = None
    end = ""
    own: list[Process] = []
    unclear: list[Process] = []
    module: Process | None = None
    if runner is not None:
        shown.insert(0, (runner, "runner"))
        shown += [
            (host.table.processes[pid], "descendant") for pid in sorted(host.members(runner) - {process.pid for process, _role in shown})
        ]
        noted = {"pid": runner.pid, "start": runner.start, "session": runner.sid}
        elapsed = round(host.up - runner.start, 2)
    else:
        own, unclear = host.orphans(job, file)
        is_fresh = time.time() - file.modified < _SETTLING
        if own and is_fresh and not last and (timed_out(result) or (return_code(result) or 0) < 0):
            return None  # what was killed with it needs a moment to go
        shown += [(process, "descendant") for process in own] + [(process, "unclear") for process in unclear]
        module = next((process for process in own if job.exclusive and _waits_for_command(process)), None)
        if module is not None:
            elapsed = round(host.up - module.start, 2)
            if timed_out(result):
                file = file._replace(result=None)  # it was not ended

    if file.result is not None:
        status, reason = _outcome(job, result)
        end = _clock.utc(file.modified)
        elapsed = duration(result)
        if elapsed is None:
            elapsed = _ran(job, runner, file, host)
        if job.exclusive and has_crashed:
            # All else is about Ansible's own module, not about the job.
            file = file._replace(result={"failed": True, "exception": last_words(result)})
        if own and (has_crashed or status == "killed"):
            # What the wrapper says is true of the module, or of the process that the module has started. The work goes on.
            reason = reason.replace(_code_unknown(job), "")
            status, reason, end, elapsed = "orphaned", f"{reason}, so no result will come{_going_on(own, unclear)}", "", None
            file = file._replace(result=None)
        elif unclear and has_crashed:
            return _unknown(job, f"{reason.replace(_code_unknown(job), '')}{_going_on(own, unclear)}")
        elif own or unclear:
            other = "" if own else ", or another job of the same directory,"
            reason += f". It{other} has left processes behind, which run on ({_pids_of(own or unclear)})"
    elif runner is not None:
        status, reason = "running", _running(job, runner, others, file, host)
    elif module is not None:
        status, reason = (
            "running",
            f"{_since(job, module, host)}; its wrapper is gone{_NO_LIMIT}, but how it ends will be recorded",
        )
    else:
        status, reason = _dead(job, file, host, own, unclear)
    alive = runner is not None or module is not None or status == "orphaned"
    boot = host.boot_id if alive else job.boot_id
    processes = [described(process, role, secret=job.secret) for process, role in shown]
    look = Look(status, reason, file.path, file.result, processes, elapsed, end, boot, noted, job.job_id)
    look = look._replace(
        place=host.place_of(job) if alive else None,
        ended_ago=max(time.time() - file.modified, 0.0) if end else None,
        cancelled=result["cancelled"] if status == "cancelled" else None,
        user=file.reader if file.there else None if runner is None else user_of_process(runner),
    )
    if file.cancel_problem and look.place is None and look.status != "succeeded" and not look.cancelled:
        return _unknown(job, file.cancel_problem, file.path)
    return look if file.cancelling is None else _cancelling(job, look, file.cancelling, host)


def _cancelling(job: Job, look: Look, said: Cancelling, host: Host) -> Look:
    """Judge a job that somebody is stopping, or was. Until that is done, and noted, nobody must take it for a job that has failed."""
    by = f"{said.by['who']} at {said.by['time']}"
    if look.status == "unknown" or look.status == "cancelled" or (look.result is not None and not said.signalled):
        return look
    if is_at_it(said, host.table.processes.get(said.pid), host.boot_id):
        if said.pid == os.getpid():
            return look
        return look._replace(status="running", reason=f"{job.label} is being cancelled by {by}", result=None, end="")
    if look.place is not None:
        return look._replace(reason=f"{look.reason}; {by} has not come to the end of cancelling it: do it once more")
    if said.signalled and look.status != "succeeded":
        reason = said.by["reason"]
        reason = f"{job.label} was cancelled by {by}" + (f": {reason}" if reason else "")
        return look._replace(status="cancelled", reason=reason, cancelled=said.by)
    return look


def is_at_it(said: Cancelling, process: Process | None, boot: str) -> bool:
    """Return whether somebody who is stopping a job has not ended.

    :arg process: the one that has their number now
    """
    return said.pid > 1 and said.boot_id == boot and process is not None and process.same_as(process._replace(start=said.start))


def _outcome(job: Job, result: dict[str, t.Any]) -> tuple[str, str]:
    """Judge by a result. Nothing of it but numbers enters the reason of a secret job: records and logs have that reason."""
    code = return_code(result) or 0
    failed = result.get("failed")
    if is_cancelled(result):
        said = "" if job.secret else str(result.get("msg", ""))
        return "cancelled", said or f"{job.label} was cancelled"
    if timed_out(result):
        return "timed_out", f"{job.label} ran into its time limit, and Ansible ended it"
    if code < 0 and failed is not False:
        return "killed", f"the command of {job.label} was killed by signal {-code}{_signal_name(-code)}"
    if crashed(result) and "Traceback" not in last_words(result):
        return "killed", f"the module of {job.label} was killed, or crashed, before it could return a result{_code_unknown(job)}"
    if failed or (code and failed is not False):
        return "failed", f"{job.label} has failed" + (f" with return code {code}{_shell_code(code)}" if code else "")
    return "succeeded", f"{job.label} has succeeded"


def _shell_code(code: int) -> str:
    """Say what a return code means if it is that of a shell whose command was killed."""
    name = _signal_name(code - 128)
    return f", which is that of a shell whose command was killed by signal {code - 128}{name}" if code > 128 and name else ""


def _code_unknown(job: Job) -> str:
    return ", so its return code is unknown" if job.exclusive and job.stdout_file else ""


def _waits_for_command(process: Process) -> bool:
    """Tell whether this is our own module, which is going to record how the command of a job has ended."""
    return any(os.path.basename(argument).startswith("AnsiballZ_async_job.") for argument in process.argv[:3])


def _ran(job: Job, runner: Process | None, file: ResultsFile, host: Host) -> float | None:
    """Return for how many seconds a job ran that does not say so itself, until its result: since its runner was started, if somebody has
    seen that in this boot, or since its directory was marked. None if nobody can tell, or a clock was set since its place was noted."""
    noted = runner.start if runner else job.runner["start"] if job.runner and job.boot_id == host.boot_id else None
    begin = _NEVER if noted is None else host.boot_time + noted
    if noted is None and job.exclusive:
        with contextlib.suppress(OSError):
            begin = os.lstat(os.path.join(os.path.dirname(file.path), MARK)).st_mtime
    place = job.place or {}
    most = file.modified - host.boot_time - place["up"] if place.get("boot_id") == host.boot_id and "up" in place else _NEVER
    seconds = round(file.modified - begin, 2)
    return seconds if 0 <= seconds <= most + _SLACK else None


def _since(job: Job, process: Process, host: Host) -> str:
    return f"{job.label} has been running for {_clock.clock(host.up - process.start)}"


_NO_LIMIT = ", so its time limit is no longer enforced"


def _running(job: Job, runner: Process, others: list[Process], file: ResultsFile, host: Host) -> str:
    reason = _since(job, runner, host)
    if not others:
        reason += f"; its watcher is gone{_NO_LIMIT}"
    if not any(process.ppid == runner.pid for process in host.table.processes.values()):
        reason += "; its module has ended, and a process that it has left behind keeps its output open: the result comes when that ends"
    if file.hidden or not file.there:
        reason += f"; {file.problem} as {file.path}: it was removed, or the job was started by another user or with another directory"
    elif not file.started:
        reason += f"; {file.problem}"
    return reason


def _dead(job: Job, file: ResultsFile, host: Host, own: list[Process], unclear: list[Process]) -> tuple[str, str]:
    """Judge a job that has neither a result nor a runner."""
    me = os.geteuid()
    cannot = f"cannot tell what became of {job.label}:"
    hint = job.unseen.rstrip(".") or "Look as root, or as the user of the job"
    directory = os.path.dirname(file.path)
    above = os.path.dirname(directory) if job.exclusive else directory
    orphaned = "orphaned", f"the wrapper of {job.label} was killed, so no result will come{_going_on(own, unclear)}"
    if own and job.exclusive:  # they carry the name of its attempt, which no other has
        return orphaned
    if file.odd:
        return "unknown", f"{cannot} {file.problem}: {directory}"
    if not file.there and not file.hidden and gone(job.place or {}, above) == "not mounted":
        return "unknown", f"{cannot} {above} is another directory, or its disk is not mounted at {(job.place or {})['mount']}"
    if job.adopted_from and not file.there and not file.hidden:
        return "unknown", (
            f"{cannot} there is no results file {file.path}, and the store that has started it ({job.adopted_from}) may have removed that"
            " with its end. Ask there; or, once you are sure that it does not run, remove its record here"
        )
    # A file that was written in this boot proves that the job was started in it, whatever was noted when that was prepared.
    is_newer = file.there and host.boot_time + _SLACK < file.modified < host.boot_time + host.up + _SLACK
    if job.boot_id and host.boot_id and job.boot_id != host.boot_id and not is_newer:
        return "lost", _rebooted(job, file, host)
    if file.hidden:
        return "unknown", f"{cannot} {file.problem}: {file.path}" + (f". {hint}" if me else "")
    if not host.table.complete and file.owner != me:
        return "unknown", f"{cannot} {file.problem}, and this host hides the processes of other users (hidepid). {hint}"
    if file.there and me not in (0, file.owner):
        return "unknown", (
            f"{cannot} its wrapper is gone, and what it has left behind can be seen only by root and by user {file.owner}. {hint}"
        )
    if own:
        return orphaned
    if unclear:
        return "unknown", f"{cannot} its wrapper was killed{_going_on(own, unclear)}"
    if file.started and not job.boot_id and file.modified < host.boot_time:
        return "lost", _rebooted(job, file, host)
    if file.there:
        reason = f"the wrapper of {job.label} was killed; its command left no result{_code_unknown(job)}"
        if not file.started:
            reason += f": {file.problem}"
        full = _full(file.path)  # our own wrapper leaves nothing there in part
        if full or not file.started or os.path.exists(f"{file.path}.tmp"):
            reason += f"; the disk {'is' if full else 'may have been'} full"
        if not host.table.complete:
            reason += "; what it may have started as another user is hidden here (hidepid)"
        return "killed", reason
    if me and job.unseen:
        return "unknown", f"{cannot} {file.problem}, and what the job may have left behind cannot be seen. {hint}"
    no_file = f"there is no results file {file.path}"
    save = "; and save results_file with a job, or become_user"
    others = [] if job.exclusive or job.runner else host.false_wrappers_of(job, file)
    if others:
        return "unknown", (
            f"{cannot} {no_file}, and {user_name(others[0].uid)} runs what may be its wrapper, or pretends to be ({_pids_of(others)})."
            f" Look as that user if it is theirs{save}"
        )
    if job.guess and not job.runner:
        return "unknown", (
            f"{cannot} {no_file}, and nobody noted whose home directory the job was started with. Look as the user of the job{save}"
        )
    why = f"the directory {directory} is not there" if not os.path.isdir(directory) else no_file
    return "lost", (
        f"{job.label} does not run, and {why}. It was removed, or the job never started"
        + (" (the disk is full)" if _full(directory) else "")
        + (", or it was started by another user or with another async_dir" if not job.runner else "")
    )


def _going_on(own: list[Process], unclear: list[Process]) -> str:
    text = f", but its work goes on ({_pids_of(own)})" if own else ""
    if unclear:
        text += (
            f"; nobody can tell whether {'more of ' if own else ''}its work goes on: this may be its own, or that of another job of the"
            f" same directory ({_pids_of(unclear)})"
        )
    return text


def _rebooted(job: Job, file: ResultsFile, host: Host) -> str:
    reason = f"the host of {job.label} rebooted at {_clock.utc(host.boot_time)}"
    if file.started and file.modified < host.boot_time:
        reason += f", {_clock.clock(host.boot_time - file.modified)} after the job started"
    return reason


def _pids_of(processes: t.Iterable[Process]) -> str:
    pids = sorted(process.pid for process in processes)
    return f"process{'es' * (len(pids) > 1)} {', '.join(map(str, pids[:10]))}{', ...' * (len(pids) > 10)}"


def _signal_name(number: int) -> str:
    try:
        return f" ({signal.Signals(number).name})"
    except ValueError:
        return ""


def _full(path: str) -> bool:
    try:
        disk = os.statvfs(nearest(path))
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < 4096
