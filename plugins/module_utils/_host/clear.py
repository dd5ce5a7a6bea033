# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what attempts that have ended have left on this host.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import job_file
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_directory import has_mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK, OURS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.erase import remove_results_file
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import Look, look_at_jobs, readable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import (
    check_user,
    directory_of_job,
    results_file,
    user_name,
    user_of,
    with_job_id,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Directory, acting_as, directory_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory

# What is said of an attempt that may be one of another store.
_NOBODYS = "{}: is of the same job, older than all that its record knows, and nothing tells that this store has started it"


def main(jobs: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Answer the controller: C(jobs), what :func:`clear` returns."""
    return {"jobs": clear(jobs)}


def clear(jobs: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Remove what attempts that have ended have left on this host.

    :arg jobs: each has C(looks), its attempts: the fields of each :class:`Job`; and C(has_forgotten), whether nothing is left of its
        record, and that had forgotten attempts. Then these go as well, as far as their names begin with C(first_part), that of its store
    :returns: for each job, C(refused), why nothing was removed, or else C(removed), paths, and C(left), why others were not
    """
    left: list[list[str]] = []
    for job in jobs:
        forgotten = [*_forgotten(job["looks"])] if job["has_forgotten"] else []
        ours = [attempt for attempt in forgotten if attempt["attempt"].startswith(job["first_part"])]
        job["looks"].extend(ours)
        left.append([_NOBODYS.format(attempt["directory"]) for attempt in forgotten if attempt not in ours])
    looks = iter(look_at_jobs([Job(**attempt) for job in jobs for attempt in job["looks"]]))
    answers: list[dict[str, t.Any]] = []
    for job, others in zip(jobs, left):
        seen = [(next(looks), Job(**attempt)) for attempt in job["looks"]]
        begun = [(look, attempt) for look, attempt in seen if not _never_begins(attempt)]
        going_on = [look.reason for look, attempt in begun if _may_go_on(look, attempt)]
        answer: dict[str, t.Any] = {"refused": going_on[0] if going_on else "", "removed": [], "left": others}
        if not going_on:
            for look, attempt in begun:
                if look.status == "unknown":
                    answer["left"].append(look.reason)
                elif attempt.exclusive:
                    _remove_attempt(attempt, answer)
                else:
                    _remove_file(attempt, answer)
            _forget([attempt for _look, attempt in seen], answer)
        answers.append(readable(answer))
    return answers


def _forget(attempts: t.Sequence[Job], answer: dict[str, t.Any]) -> None:
    """Remove what the host has noted of a job, if that is one of these attempts."""
    own = [attempt for attempt in attempts if attempt.exclusive]
    for parent, job in {os.path.dirname(attempt.directory): attempt for attempt in own}.items():
        uid = user_of(job)
        try:
            with acting_as(os.geteuid() if uid is None else uid), job_file.opened(parent) as above:
                answer["removed"] += job_file.forget(above, parent, job.key, [attempt.directory for attempt in own])
        except FileNotFoundError:
            continue
        except OSError as error:
            answer["left"].append(f"{parent}/{job_file.JOBS}{uid}: {error.strerror}")


def _forgotten(looks: t.Sequence[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    """Find attempts of a job that its record does not name any more, because there were too many after them: their directories do.

    They are older than all that it names. What is newer was started meanwhile, or from another store where the job has the same name; and
    so may have been some of these.
    """
    known = {attempt["directory"] for attempt in looks}
    for parent, attempt in {os.path.dirname(attempt["directory"]): attempt for attempt in looks if attempt["exclusive"]}.items():
        about = Job(**{**attempt, "job_id": "", "boot_id": "", "runner": None, "place": None, "stdout_file": "", "stderr_file": ""})
        names: list[str] = []
        with contextlib.suppress(OSError), directory_of(parent) as opened:
            names = opened.names()
        begun = [_begun(path) for path in known if os.path.dirname(path) == parent]
        oldest = min((time for time in begun if time is not None), default=0.0)
        for path in (os.path.join(parent, name) for name in names):
            if is_attempt_directory(path) and path not in known and os.path.isdir(path) and not os.path.islink(path):
                with contextlib.suppress(OSError), directory_of(path) as directory:
                    job = with_job_id(about._replace(directory=path, attempt=os.path.basename(path)))
                    check_user(job, directory.owner)  # whoever may make directories there may say anything of theirs
                    if job.job_id and has_mark(directory) and directory.status(MARK).st_mtime < oldest:
                        yield job._asdict()


def _begun(path: str) -> float | None:
    """Return when an attempt was begun, by the clock of this host. None if nothing is left that tells."""
    with contextlib.suppress(OSError), directory_of(path) as directory:
        return directory.status(MARK).st_mtime
    return None


def _never_begins(job: Job) -> bool:
    """Tell whether an attempt has not started, and a file stands in the place of its directory, so that it cannot."""
    return not job.job_id and job.exclusive and os.path.isfile(job.directory)


def _may_go_on(look: Look, job: Job) -> bool:
    """Tell whether an attempt, which has ended as its record says, may not have, or has left behind what keeps the next one from starting.
    Of one without a directory of its own it is often not known where to look.
    """
    left = look.status != "succeeded" and any(process["role"] == "descendant" for process in look.processes)
    return look.status in ALIVE or left or (look.status == UNKNOWN and job.exclusive)


def _remove_attempt(job: Job, answer: dict[str, t.Any]) -> None:
    """Remove the directory of an attempt. What is not ours stays, and so does the directory then.

    A file that stands in the place of one, so that it never begins, stays as well: whoever was frozen may still be about to begin it.
    """
    path = job.directory
    ourselves = os.geteuid()  # before we have the rights of another user
    try:
        with directory_of_job(job) as directory:
            # Whose it is otherwise, only the record says.
            if not has_mark(directory) and (directory.owner != ourselves or job.job_id not in directory.names()):
                whose = user_name(directory.owner)
                answer["left"].append(f"{path}: has no mark of an attempt, belongs to {whose}, and nothing proves that it is this job's")
                return
            names = sorted(directory.names(), key=lambda name: name == MARK)  # the mark says whose the rest is
            ours = [name for name in names if OURS.fullmatch(name) and _is_plain(directory, name)]
            foreign = [name for name in names if name not in ours]
            for name in ours:
                if name != MARK or not foreign:
                    directory.unlink(name)
            inode = os.fstat(directory.descriptor).st_ino
        if foreign:
            answer["left"].append(f"{path}: holds {', '.join(foreign[:3])}, which is not ours")
            return
        with directory_of(os.path.dirname(path)) as parent:
            name = os.path.basename(path)
            if os.stat(name, dir_fd=parent.descriptor, follow_symlinks=False).st_ino == inode:
                os.rmdir(name, dir_fd=parent.descriptor)
                answer["removed"].append(path)
    except (FileNotFoundError, NotADirectoryError):  # it was removed before, or is a fence
        return
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")


def _is_plain(directory: Directory, name: str) -> bool:
    try:
        directory.status(name)
    except OSError:
        return False
    return True


def _remove_file(job: Job, answer: dict[str, t.Any]) -> None:
    path = results_file(job)
    try:
        if remove_results_file(job):
            answer["removed"].append(path)
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")
