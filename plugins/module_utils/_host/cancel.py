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
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_directory import Cancelling, cancelling
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import CANCEL, MARK, SIGNALLED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import members, role_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, flaw
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import (
    Look,
    described,
    is_at_it,
    look_at_jobs,
    on_the_wire,
    readable,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_id, find_process, scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import (
    OF_A_SECRET_JOB,
    as_marked,
    directory_of_job,
    namesake,
    user_of,
    with_job_id,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import parsed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.stopping import check_permitted, seen_through, stop, untouchable


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
    marked = as_marked(with_job_id(Job(**job)))

    def work() -> t.Any:
        done = cancel(marked, grace=grace_period, reason=text, by=by, check_mode=check_mode)
        # Whoever wants to know more of a result has to look.
        result = done.look.result and {name: value for name, value in done.look.result.items() if name in OF_A_SECRET_JOB}
        return readable({"look": {**on_the_wire(done.look), "result": result, "secret": marked.secret}, "stopped": done.stopped})

    answer: dict[str, t.Any] = work() if check_mode else seen_through(work)
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
    if not job.job_id:
        raise AsyncJobError(f"{job.label} has not started so far. Nothing was stopped.")
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
        # Not where it lives elsewhere, or was asked for in the wrong way.
        advice = " Say 'become: true'." if os.geteuid() and seen.results_file and "job_name" not in seen.reason else ""
        raise AsyncJobError(f"{seen.reason}. Nothing was stopped.{advice}")
    has_ended = seen.result is not None  # and may have left processes behind. Those of a success were meant to stay
    if has_ended:  # its wrappers go by themselves
        own = [process for process in own if role_of(process, job) == "descendant"]
    if not own or seen.status == "succeeded":
        if seen.status == "orphaned":
            pids = " ".join(str(process.pid) for process in unclear)
            raise AsyncJobError(f"{seen.reason}. Nothing was stopped. If you know that they are its own, stop them with: kill {pids}")
        return Cancelled(seen, [])
    stopped = [described(process, role_of(process, job), secret=job.secret) for process in own]
    if {process.pid for process in own} & untouchable(table):
        raise AsyncJobError(
            f"This task runs within {job.label}, and would stop itself. Nothing was stopped. Cancel the job from elsewhere."
        )
    check_permitted(job, own)
    if check_mode:
        return Cancelled(seen, stopped)
    with _announced(job, by, has_ended=has_ended) as (begin, done):
        ended, signalled = stop(job, {process.pid: process for process in own}, grace, begin)
        roles = {process.pid: role_of(process, job) for process in ended}
        stopped = [described(process, roles[process.pid], secret=job.secret) for process in ended]
        [after] = look_at_jobs([job])
        # What has ended well while we were about to stop it, has not been stopped. Its wrappers may have been.
        if not signalled or (after.status == "succeeded" and "descendant" not in [roles[pid] for pid in signalled]):
            done()
            return Cancelled(after, [])
        if has_ended:
            done()
            return Cancelled(after, stopped)
        if _note(job, reason, by):
            done(noted=True)
        [after] = look_at_jobs([job])
    return Cancelled(after._replace(status="cancelled", reason=reason, cancelled=by), stopped)


@contextlib.contextmanager
def _announced(
    job: Job, by: dict[str, t.Any], *, has_ended: bool = False
) -> t.Iterator[tuple[t.Callable[[], None], t.Callable[..., None]]]:
    """Say in the directory of the attempt who is stopping the job, for whoever looks meanwhile.

    Yield what says that the first signal is about to be sent, and what says that all is done; with C(noted=True), that the end was noted
    elsewhere. What was said is taken back then, and if the job cannot be stopped; not if somebody does not come to the end of it after
    the first signal: what comes of signals, is a cancel.

    :arg has_ended: whether the signals are for what it has left behind: how it has ended, they do not change
    """
    if not job.exclusive:
        yield (lambda: None), (lambda **_noted: None)
        return
    left: Cancelling | None = None
    is_odd = False

    def look_again() -> None:
        nonlocal left, is_odd
        try:
            with directory_of_job(job) as directory:
                found = cancelling(directory)
                left = left if found in ours else found
        except OSError:
            is_odd = True

    ours: list[Cancelling] = []
    look_again()
    # Another one may be at it now, or was killed. The signals of such a one count.
    me = find_process(os.getpid())
    said = Cancelling(by, os.getpid(), me.start if me else 0.0, boot_id(), signalled=left is not None and left.signalled)
    ours += [said, said._replace(signalled=True)]

    def say(what: Cancelling, **how: t.Any) -> None:
        # Where it cannot be said, the job is stopped all the same: a full disk may be why.
        with contextlib.suppress(OSError), directory_of_job(job) as directory:
            try:
                directory.replace(CANCEL, json.dumps(what._asdict()), **how)
            except OSError:
                if is_under_way:
                    directory.change_mode(MARK, SIGNALLED)
                    ours.extend(filter(None, [cancelling(directory)]))

    is_under_way = is_noted = False

    def begin() -> None:
        nonlocal is_under_way
        is_under_way = True
        if not has_ended:
            look_again()
            say(ours[1])

    def done(*, noted: bool = False) -> None:
        nonlocal is_under_way, is_noted
        is_under_way, is_noted = False, noted

    if not is_odd and not (left and is_at_it(left, find_process(left.pid), boot_id())):
        say(said, new=left is None)
    try:
        yield begin, done
    finally:
        if not is_under_way and (is_noted or not is_odd):
            with contextlib.suppress(OSError), directory_of_job(job) as directory:
                if cancelling(directory) in ours:  # another one may have begun since
                    if left and left.signalled and not is_noted:
                        say(left)
                    else:
                        with contextlib.suppress(FileNotFoundError):
                            directory.unlink(CANCEL)
                        directory.change_mode(MARK, 0o600)


def _note(job: Job, reason: str, by: dict[str, t.Any]) -> bool:
    """Say in the results file that the job was cancelled, for everybody who asks Ansible itself. Return whether that could be done."""
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
        return True
    return False
