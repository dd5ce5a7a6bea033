# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback of a node of a workflow has written about it, on the host where the node has run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, flaw
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import directory_of_job

REPORT = "node.json"

# What is larger was not written by the callback, in bytes.
_MOST = 1 << 20


def main(jobs: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Answer the controller: C(reports), for each job C(report), or C(problem), why there is none.

    :arg jobs: the fields of each :class:`Job`
    """
    return {"reports": [_report(Job(**job)) for job in jobs]}


def _report(job: Job) -> dict[str, t.Any]:
    wrong = flaw(job)
    if wrong or not job.exclusive:
        return {"problem": wrong or "it has no directory of its own"}
    try:
        with directory_of_job(job) as directory, directory.open(REPORT) as file:
            content = file.read(_MOST + 1)
    except OSError as error:
        return {"problem": f"{job.directory}/{REPORT}: {error.strerror}"}
    if len(content) > _MOST:
        return {"problem": f"{job.directory}/{REPORT} is larger than {_MOST >> 20} MiB"}
    try:
        return {"report": json.loads(content.decode("utf-8"))}
    except (ValueError, RecursionError):
        return {"problem": f"{job.directory}/{REPORT} is no JSON"}
