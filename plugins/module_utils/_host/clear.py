# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what attempts that have ended have left on this host.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_directory import has_mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK, OURS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.erase import remove_results_file
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import look_at_jobs, readable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import (
    directory_of_job,
    results_file,
    user_name,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Directory, directory_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory

# An empty file in place of the directory of an attempt keeps a controller that was frozen from starting it after all. Nobody
# wakes up, and still has a connection, after so many seconds.
_FENCE_AGE = 7 * 86400.0


def main(jobs: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Answer the controller: C(jobs), what :func:`clear` returns."""
    return {"jobs": clear(jobs)}


def clear(jobs: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Remove what attempts that have ended have left on this host.

    :arg jobs: each has C(looks), its attempts: the fields of each :class:`Job`
    :returns: for each job, C(refused), why nothing was removed, or else C(removed), paths, and C(left), why others were not
    """
    looks = iter(look_at_jobs([Job(**attempt) for job in jobs for attempt in job["looks"]]))
    answers: list[dict[str, t.Any]] = []
    removed: set[tuple[str, int]] = set()
    for job in jobs:
        seen = [next(looks) for _attempt in job["looks"]]
        going_on = [look.reason for look, attempt in zip(seen, job["looks"]) if _may_go_on(look.status, exclusive=attempt["exclusive"])]
        answer: dict[str, t.Any] = {"refused": going_on[0] if going_on else "", "removed": [], "left": []}
        if not going_on:
            for look, attempt in zip(seen, (Job(**attempt) for attempt in job["looks"])):
                if look.status == "unknown":
                    answer["left"].append(look.reason)
                elif attempt.exclusive:
                    _remove_attempt(attempt, answer, removed)
                else:
                    _remove_file(attempt, answer)
        answers.append(readable(answer))
    for parent, owner in removed:
        _remove_fences(parent, owner)
    return answers


def _may_go_on(status: str, *, exclusive: bool) -> bool:
    """Tell whether an attempt, which has ended as its record says, may not have.

    :arg exclusive: whether it was looked for by a directory of its own. Of others it is often not known where to look
    """
    return status in ALIVE or (status == UNKNOWN and exclusive)


def _remove_attempt(job: Job, answer: dict[str, t.Any], removed: set[tuple[str, int]]) -> None:
    """Remove the directory of an attempt. What is not ours stays, and so does the directory then.

    :arg removed: gets the directory above one that was removed, and its owner
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
            inode, owner = os.fstat(directory.descriptor).st_ino, directory.owner
        if foreign:
            answer["left"].append(f"{path}: holds {', '.join(foreign[:3])}, which is not ours")
            return
        with directory_of(os.path.dirname(path)) as parent:
            name = os.path.basename(path)
            if os.stat(name, dir_fd=parent.descriptor, follow_symlinks=False).st_ino == inode:
                os.rmdir(name, dir_fd=parent.descriptor)
                answer["removed"].append(path)
                removed.add((os.path.dirname(path), owner))
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


def _remove_fences(parent: str, owner: int) -> None:
    """Remove the empty files that stand in place of attempts which were given up long ago.

    They say nothing of themselves: so they are looked for only beside what was an attempt of ours, and are those of its owner.
    """
    with contextlib.suppress(OSError), directory_of(parent) as directory:
        for name in directory.names():
            if is_attempt_directory(f"/{name}"):
                with contextlib.suppress(OSError):
                    status = directory.status(name)
                    if status.st_size == 0 and status.st_uid == owner and time.time() - status.st_mtime > _FENCE_AGE:
                        directory.unlink(name)
