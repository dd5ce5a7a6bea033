# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop processes of a job: all of them, these and no others, in an order that lets them clean up.

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
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import members, roles_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import Process, Table, ended_by, find_process, scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import user_name

# How long a killed process may take to go away, in seconds. One that waits for a disk that does not answer may take longer.
_DYING = 10.0


def seen_through(work: t.Callable[[], t.Any]) -> t.Any:
    """Do something that must not be left half done, in a process that outlives us, and return its result.

    A connection that breaks, a controller that dies and whoever presses Ctrl-C leave that process alone. If it is killed itself, we go on
    in its place.

    :raises AsyncJobError: if that is what the work does
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2, reading):  # whoever waits for our output, waits for that of the first process only
            os.dup2(nowhere, descriptor)
        try:
            said = {"answer": work()}
        except AsyncJobError as error:
            said = {"problem": str(error)}
        with open(writing, "w", encoding="utf-8") as pipe:
            json.dump(said, pipe)
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    try:
        said = json.loads(text)
    except ValueError:
        return work()
    if "problem" in said:
        raise AsyncJobError(said["problem"])
    return said["answer"]


def untouchable(table: Table) -> set[int]:
    """Return the processes that no job can be a reason to stop: the first one, ourselves, and whoever has started us."""
    return {0, 1, os.getpid(), *(process.pid for process in table.ancestors(os.getpid()))}


def check_permitted(job: Job, processes: t.Iterable[Process]) -> None:
    me = os.geteuid()
    others = sorted({process.uid for process in processes} - {me})
    if me != 0 and others:
        hint = job.unseen or "Say 'become: true'."
        raise AsyncJobError(
            f"Processes of {job.label} run as {user_name(others[0])}, and only root may stop them all. Nothing was stopped. {hint}"
        )


def stop(job: Job, targets: dict[int, Process], grace: float, announce: t.Callable[[], None]) -> tuple[list[Process], set[int]]:
    """Stop processes and what they start meanwhile. Return all of them, and which got a signal: some end when others have.

    :arg announce: called before the first signal
    """
    begin = time.monotonic()
    everything = dict(targets)
    if not _alive(scan(), everything):
        return [], set()
    announce()
    signalled: set[int] = set()

    def send(process: Process, number: signal.Signals) -> None:
        if _send(process, number) and number is not signal.SIGSTOP:
            signalled.add(process.pid)

    # The session made for the job has no leader; whoever is in it is the job's, whatever becomes of the runner.
    before = scan()
    sessions = {process.sid for process in targets.values() if _is_theirs(before, process.sid, targets)}
    asked: set[int] = set()
    helpers: set[int] = set()
    held = _shells(job, targets)
    for pid in held:
        send(targets[pid], signal.SIGSTOP)
    while True:
        table = scan()
        _join(job, table, everything, sessions)
        alive = _alive(table, everything)
        passed = time.monotonic() - begin
        if not alive:
            return list(everything.values()), signalled
        if passed > grace + _DYING:
            raise AsyncJobError(
                f"{len(alive)} processes of {job.label} are still there after they were killed: {', '.join(map(str, sorted(alive)))}."
                " They wait for a disk or a server. Cancel the job once more when that is back."
            )
        spared = _keepers(job, alive) if passed < grace / 2 else set()
        for pid in held & alive.keys():
            # No longer than the module is spared: if it ends while one of its group is stopped, the system hangs up on the whole group.
            if passed < grace / 2 and pid in {process.ppid for process in alive.values()}:
                spared.add(pid)
            else:
                held.discard(pid)
                send(alive[pid], signal.SIGTERM)
                send(alive[pid], signal.SIGCONT)
        for pid, process in alive.items():
            if passed >= grace:
                send(process, signal.SIGKILL)
            elif pid not in spared and pid not in asked | helpers:
                # What a process starts after it was asked to end helps it to clean up.
                if pid not in targets and process.ppid in helpers | (asked & alive.keys()):
                    helpers.add(pid)
                else:
                    asked.add(pid)
                    send(process, signal.SIGTERM)
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
    for pid in found - untouchable(table):
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


def _send(process: Process, number: signal.Signals) -> bool:
    """Send a signal to exactly this process, and to none that got its number after it. Return whether it was still there."""
    with contextlib.ExitStack() as stack:
        try:
            descriptor = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None  # Python 3.9, Linux
        except ProcessLookupError:
            return False
        except OSError:  # a kernel without pidfd_open, or one that forbids it
            descriptor = None
        if descriptor is not None:
            stack.callback(os.close, descriptor)
        # The descriptor stands for one process. Once we know that it is this one, it cannot become another.
        if not process.same_as(find_process(process.pid)):
            return False
        try:
            os.kill(process.pid, number) if descriptor is None else signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        return True
