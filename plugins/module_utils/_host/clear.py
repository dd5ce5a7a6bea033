# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what attempts that have ended have left on this host.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import look_at_jobs, readable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import results_file
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, UNKNOWN

# An empty file in place of the directory of an attempt keeps a controller that was frozen from starting it after all. Nobody
# wakes up, and still has a connection, after so many seconds.
_FENCE_AGE = 7 * 86400.0


def clear(jobs: t.Sequence[dict[str, t.Any]], *, check_mode: bool = False) -> list[dict[str, t.Any]]:
    """Remove what attempts that have ended have left on this host.

    :arg jobs: see MODULE_SPEC
    :returns: for each job, C(refused), why nothing was removed, or else C(removed), paths, and C(left), why others were not
    """
    looks = iter(look_at_jobs([Job(**attempt) for job in jobs for attempt in job["looks"]]))
    answers: list[dict[str, t.Any]] = []
    for job in jobs:
        seen = [next(looks) for _attempt in job["looks"]]
        going_on = [look.reason for look, attempt in zip(seen, job["looks"]) if _may_go_on(look.status, exclusive=attempt["exclusive"])]
        answer: dict[str, t.Any] = {"refused": going_on[0] if going_on else "", "removed": [], "left": []}
        if not going_on and not check_mode:
            for path in job["directories"]:
                _remove_attempt(path, answer)
            for look, attempt in zip(seen, job["looks"]):
                if look.status == "unknown":
                    answer["left"].append(look.reason)
                elif not attempt["exclusive"]:
                    _remove_file(results_file(Job(**attempt)), answer)
        answers.append(readable(answer))
    for parent in {os.path.dirname(path) for job in jobs for path in job["directories"]}:
        if not check_mode:
            _remove_fences(parent)
    return answers


def _may_go_on(status: str, *, exclusive: bool) -> bool:
    """Whether an attempt, which has ended as its record says, may not have.

    :arg exclusive: whether it was looked for by a directory of its own. Of others it is often not known where to look
    """
    return status in ALIVE or (status == UNKNOWN and exclusive)


def is_job_id(text: t.Any) -> bool:
    """Whether a text is a job id as Ansible makes them, and so the name of a file that cannot be any other."""
    return isinstance(text, str) and re.fullmatch(r"j?\d+\.\d+", text) is not None


def is_attempt_directory(path: t.Any) -> bool:
    """Whether a path is one that C(async_job) gives to the directory of an attempt."""
    return isinstance(path, str) and re.fullmatch(r"/(.*/)?[0-9a-f]{32}", path) is not None


# What there is in the directory of an attempt: Ansible's results file, and ours.
_OURS = re.compile(r"(j\d+\.\d+|stdout|stderr|result)(\.tmp|\.\d+\.cancel)?")


def _remove_attempt(path: str, answer: dict[str, t.Any]) -> None:
    """Remove the directory of an attempt. What is not ours stays, and so does the directory then."""
    if not is_attempt_directory(path):
        raise AsyncJobError(f"{path} is not the directory of an attempt. Nothing was removed.")
    try:
        # Whoever the directory belongs to may put links there, and we may be root.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):  # it was removed before, or is a fence
        return
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")
        return
    try:
        foreign = []
        for name in os.listdir(descriptor):
            if _OURS.fullmatch(name) and stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=descriptor)
            else:
                foreign.append(name)
        if foreign:
            answer["left"].append(f"{path}: holds {', '.join(sorted(foreign)[:3])}, which is not ours")
        else:
            os.rmdir(path)
            answer["removed"].append(path)
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")
    finally:
        os.close(descriptor)


def _remove_file(path: str, answer: dict[str, t.Any]) -> None:
    """Remove a results file. One that is not there, or is no plain file, is none."""
    try:
        if stat.S_ISREG(os.stat(path, follow_symlinks=False).st_mode):
            os.unlink(path)
            answer["removed"].append(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")


def _remove_fences(parent: str) -> None:
    """Remove the empty files that stand in place of attempts which were given up long ago."""
    with contextlib.suppress(OSError), os.scandir(parent) as scan:
        for entry in scan:
            if is_attempt_directory(entry.path) and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_size == 0 and time.time() - status.st_mtime > _FENCE_AGE:
                    os.unlink(entry.path)
