# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what this host has noted of the jobs of a user, or forget some of it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import job_file
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Refused, acting_as

# How many files of jobs are read at most.
_JOBS = 20_000
_FOLDER = re.compile("[0-9a-f]{32}")


def main(directory: str, forget: list[dict[str, t.Any]] | None = None) -> dict[str, t.Any]:
    """Answer the controller: C(noted), what is noted of all jobs; or C(removed), the paths of what was.

    :arg directory: that of attempts, perhaps below the home directory
    :arg forget: the jobs to forget, if that is wanted: their C(key), C(attempts), the directories of those that it may be about, and
        C(user), whose they are, or empty if nobody knows
    :raises AsyncJobError: if it cannot be read or written
    """
    path = os.path.realpath(os.path.expanduser(directory))
    answer: dict[str, t.Any] = {"noted": [], "removed": []}
    try:
        with job_file.opened(path) as parent:
            for job in forget or ():
                with acting_as(_uid(job["user"])):
                    answer["removed"] += job_file.forget(parent, path, job["key"], job["attempts"])
            if forget is None:
                answer["noted"] = [found._asdict() for found in _all_of(parent, path)]
    except FileNotFoundError:
        return answer
    except OSError as error:
        raise AsyncJobError(f"{path}: {error.strerror}") from error
    return answer


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid if user else os.geteuid()
    except KeyError:
        return os.geteuid()


def _all_of(parent: int, path: str) -> list[job_file.Found]:
    """Return what the host has noted of all jobs of a user, the last attempt of each.

    :arg parent: the directory of attempts, as a descriptor
    :arg path: its path
    :raises OSError: if that cannot be read
    """
    found: list[job_file.Found] = []
    jobs = f"{job_file.JOBS}{os.geteuid()}"
    with contextlib.suppress(FileNotFoundError), job_file.own(parent, jobs, make=False) as home:
        for name in sorted(filter(_FOLDER.fullmatch, os.listdir(home))):
            above = f"{path}/{jobs}/{name}"
            try:
                with job_file.own(home, name, make=False) as folder:
                    for file, number in job_file.last_of(job_file.files_in(folder)):
                        with contextlib.suppress(FileNotFoundError):
                            found.append(job_file.read(folder, f"{file}.{number}", f"{above}/{file}.{number}"))
            except FileNotFoundError:
                continue
            except OSError as error:  # of one job, and no matter of all others
                found.append(job_file.Found(above, "", str(error.strerror)))
            if len(found) > _JOBS:
                raise Refused(f"holds the files of more than {_JOBS} jobs")
    return found
