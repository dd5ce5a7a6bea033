# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a background job, and everything that is provably its own, on the host where it runs.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import members, role_of, roles_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, flaw
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import Look, described, look_at_jobs, on_the_wire, readable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.output import Reader
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import Process, Table, ended_by, find_process, scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import (
    OF_A_SECRET_JOB,
    as_marked,
    directory_of_job,
    namesake,
    user_name,
    user_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import parsed

# What the controller needs of a result.
_RETURNED = ("rc", "msg", "start", "end", "cancelled", "failed")

# How long a killed process may take to go away, in seconds. One that waits for a disk that does not answer may take longer.
_DYING = 10.0


class Cancelled(t.NamedTuple):
    """What became of a cancelled job."""

    look: Look
    stopped: list[dict[str, t.Any]]
    """The processes that were stopped; in check mode, that would be."""


def main(job: dict[str, t.Any], grace_period: float, text: str, by: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Answer the controller: C(look), what was seen of the job at last, and C(stopped), the processes that were stopped.

    :arg job: the fields of a :class:`Job`
    :arg grace_period: in seconds
    :arg text: what to say of the job from now on
    :arg by: what the results file says of who cancelled
    """
    marked = as_marked(Job(**job))
    bare = marked.secret and not job["secret"]
    cancelled = cancel(marked, grace=grace_period, reason=text, by=by, check_mode=check_mode)
    seen = cancelled.look
    kept = None if bare else Reader(marked, seen.result, seen.user).kept()
    result = seen.result and {name: value for name, value in seen.result.items() if name in (OF_A_SECRET_JOB if bare else _RETURNED)}
    look = {**on_the_wire(seen), "result": result, "kept": kept, "secret": marked.secret}
    answer: dict[str, t.Any] = readable({"look": look, "stopped": cancelled.stopped})
    return answer


def cancel(job: Job, *, grace: float, reason: str, by: dict[str, t.Any], check_mode: bool) -> Cancelled:
    """Stop a job.

    Its command is asked with TERM to end, so that it can clean up; Ansible's own processes, which keep its output and its return
    code, follow after half of the time. What is still there at the end of it is killed.

    :arg grace: in seconds
    :arg reason: what to say of the job from now on
    :arg by: what the results file says of who cancelled
    :raises AsyncJobError: if something cannot be stopped, or nobody can tell whether it is the job's
    """
    problem = flaw(job)
    if problem:
        raise AsyncJobError(f"Cannot cancel {job.label}: {problem}. Nothing was stopped.")
    other = namesake(job)
    if other:
        raise AsyncJobError(f"There is no job {job.job_id}, but there is {other}. Nothing was stopped. Correct the job id.")
    table = scan()
    own, unclear = members(job, table)
    [seen] = look_at_jobs([job])
    if seen.status == "unknown":
        advice = " Say 'become: true'." if os.geteuid() else ""
        raise AsyncJobError(f"{seen.reason}. Nothing was stopped.{advice}")
    if not own or seen.result is not None:
        if seen.status == "orphaned":
            pids = " ".join(str(process.pid) for process in unclear)
            raise AsyncJobError(f"{seen.reason}. Nothing was stopped. If you know that they are its own, stop them with: kill {pids}")
        return Cancelled(seen, [])
    stopped = [described(process, role_of(process, job), secret=job.secret) for process in own]
    if {process.pid for process in own} & _untouchable(table):
        raise AsyncJobError(
            f"This task runs within {job.label}, and would stop itself. Nothing was stopped. Cancel the job from elsewhere."
        )
    _check_permitted(job, own)
    if check_mode:
        return Cancelled(seen, stopped)
    signalled = _stop(job, {process.pid: process for process in own}, grace)
    _note(job, reason, by)
    [after] = look_at_jobs([job])
    return Cancelled(
        after._replace(status="cancelled", reason=reason),
        [described(process, role_of(process, job), secret=job.secret) for process in signalled],
    )


def _untouchable(table: Table) -> set[int]:
    """Return the processes that no job can be a reason to stop: the first one, ourselves, and whoever has started us."""
    return {0, 1, os.getpid(), *(process.pid for process in table.ancestors(os.getpid()))}


def _check_permitted(job: Job, processes: t.Iterable[Process]) -> None:
    me = os.geteuid()
    others = sorted({process.uid for process in processes} - {me})
    if me != 0 and others:
        hint = job.unseen or "Say 'become: true'."
        raise AsyncJobError(
            f"Processes of {job.label} run as {user_name(others[0])}, and only root may stop them all. Nothing was stopped. {hint}"
        )


def _stop(job: Job, targets: dict[int, Process], grace: float) -> list[Process]:
    """Stop processes and what they start meanwhile, and return all of them."""
    begin = time.monotonic()
    everything = dict(targets)
    # The session made for the job has no leader; whoever is in it is the job's, whatever becomes of the runner.
    before = scan()
    sessions = {process.sid for process in targets.values() if _is_theirs(before, process.sid, targets)}
    asked: set[int] = set()
    helpers: set[int] = set()
    held = _shells(job, targets)
    for pid in held:
        _send(targets[pid], signal.SIGSTOP)
    while True:
        table = scan()
        _join(job, table, everything, sessions)
        alive = _alive(table, everything)
        passed = time.monotonic() - begin
        if not alive:
            return list(everything.values())
        if passed > grace + _DYING:
            raise AsyncJobError(
                f"{len(alive)} processes of {job.label} are still there after they were killed: {', '.join(map(str, sorted(alive)))}."
                " They wait for something that the kernel cannot interrupt, such as a disk or an NFS server that is away."
                " Cancel the job once more when that is back."
            )
        spared = _keepers(job, alive) if passed < grace / 2 else set()
        for pid in held & alive.keys():
            # No longer than the module is spared: if it ends while one of its group is stopped, the system hangs up on the whole group.
            if passed < grace / 2 and pid in {process.ppid for process in alive.values()}:
                spared.add(pid)
            else:
                held.discard(pid)
                _send(alive[pid], signal.SIGTERM)
                _send(alive[pid], signal.SIGCONT)
        for pid, process in alive.items():
            if passed >= grace:
                _send(process, signal.SIGKILL)
            elif pid not in spared and pid not in asked | helpers:
                # What a process starts after it was asked to end helps it to clean up.
                if pid not in targets and process.ppid in helpers | (asked & alive.keys()):
                    helpers.add(pid)
                else:
                    asked.add(pid)
                    _send(process, signal.SIGTERM)
        time.sleep(0.05)


def _is_theirs(table: Table, sid: int, targets: dict[int, Process]) -> bool:
    """Return whether a session was made for the job: it has no leader, and nobody in it is older than the oldest that is the job's."""
    begin = min((process.start for process in targets.values() if process.sid == sid), default=0.0)
    return table.is_leaderless(sid) and all(table.processes[pid].start >= begin for pid in table.session(sid))


def _shells(job: Job, processes: dict[int, Process]) -> set[int]:
    """Find the shells that only wait for what they have started, and that TERM ends at once.

    When the process that a module has started is gone, the module soon stops to read what others still write. So such a shell is
    held, in order not to go on with its next command either, until nothing of what it has started is left.
    """
    roles = roles_of(processes, job)
    modules = {pid for pid, process in processes.items() if roles.get(process.ppid) == "runner"}
    parents = {process.ppid for process in processes.values()}
    return {pid for pid, process in processes.items() if process.ppid in modules and pid in parents and ended_by(pid, signal.SIGTERM)}


def _join(job: Job, table: Table, everything: dict[int, Process], sessions: set[int]) -> None:
    """Add what is the job's by now: what is below its wrapper or in its session, and what those that we know have started."""
    found = {process.pid for process in members(job, table)[0]} | table.family(_alive(table, everything))
    for session in sessions:
        if table.is_leaderless(session):
            found |= table.session(session)
    for pid in found - _untouchable(table):
        if not table.processes[pid].same_as(everything.get(pid)):
            everything[pid] = table.processes[pid]


def _alive(table: Table, processes: dict[int, Process]) -> dict[int, Process]:
    """Return those that have not ended, less those whose number now belongs to another process."""
    return {pid: process for pid, process in processes.items() if process.same_as(table.processes.get(pid))}


def _keepers(job: Job, alive: dict[int, Process]) -> set[int]:
    """Find the wrappers, and a module that only waits for its command: while they live, what the command still says is kept."""
    parents = {process.ppid for process in alive.values()}
    roles = roles_of(alive, job)
    # A runner without a child is just about to write the result; a watcher without one has nothing to watch any more.
    keepers = {pid for pid, role in roles.items() if role == "runner" or (role == "watcher" and pid in parents)}
    modules = {pid for pid, process in alive.items() if roles.get(process.ppid) == "runner"}
    # The shell that it has started may have gone before what it waits for: the pipes of that are still open.
    return keepers | (modules if alive.keys() - keepers - modules else set())


def _send(process: Process, number: signal.Signals) -> None:
    """Send a signal to exactly this process, and to none that got its number after it."""
    try:
        if not hasattr(os, "pidfd_open"):  # before Python 3.9, and elsewhere than on Linux
            if process.same_as(find_process(process.pid)):
                os.kill(process.pid, number)
            return
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except OSError:  # a kernel without pidfd_open, or one that forbids it
        if process.same_as(find_process(process.pid)):
            os.kill(process.pid, number)
        return
    try:
        # The descriptor stands for one process. Once we know that it is this one, it cannot become another.
        if process.same_as(find_process(process.pid)):
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def _note(job: Job, reason: str, by: dict[str, t.Any]) -> None:
    """Say in the results file that the job was cancelled, for everybody who asks Ansible itself."""
    with contextlib.suppress(OSError), directory_of_job(job) as directory:  # it may be gone, or the disk may be full
        status = directory.status(job.job_id)
        try:
            before = parsed(directory.read(job.job_id, owner=user_of(job))[0])
        except (OSError, ValueError):
            before = {}
        if not isinstance(before, dict) or "started" in before:
            before = {}
        result = {**before, "failed": True, "msg": reason, "ansible_job_id": job.job_id, "cancelled": by}
        directory.replace(job.job_id, json.dumps(result), like=status)
