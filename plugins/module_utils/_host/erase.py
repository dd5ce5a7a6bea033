# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the results file of a job, as C(async_status) does in its mode C(cleanup).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import (
    check_user,
    directory_of_job,
    results_file,
    user_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Refused


def main(job: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Answer the controller: C(erased), the file that was removed, or would be.

    :arg job: the fields of a :class:`Job`
    :raises AsyncJobError: if there is none, or it cannot be removed
    """
    looked_for = Job(**job)
    path = ""
    try:
        path = results_file(looked_for)
        found = remove_results_file(looked_for, check_mode=check_mode)
    except OSError as error:
        raise AsyncJobError(f"Nothing was removed. {path or 'Its directory'}: {error.strerror}") from error
    if not found:
        raise AsyncJobError(f"could not find job: there is no results file {path}")
    return {"erased": path}


def remove_results_file(job: Job, *, check_mode: bool = False) -> bool:
    """Remove the results file of a job. Return whether there was one.

    :raises OSError: if what is there is none, or cannot be removed
    """
    try:
        with directory_of_job(job) as directory:
            status = directory.status(job.job_id)
            if status.st_uid not in (directory.owner, 0, user_of(job)) and directory.owner != 0:
                raise Refused("belongs to another user than its directory")
            check_user(job, status.st_uid)
            if not check_mode:
                directory.unlink(job.job_id)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
