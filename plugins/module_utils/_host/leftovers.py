# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attempt that has ended has left behind is stopped, so that the next one may begin.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import members
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import look_at_jobs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import as_marked, with_job_id
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.stopping import check_permitted, seen_through, stop, untouchable


def main(job: dict[str, t.Any], grace_period: float) -> dict[str, t.Any]:
    """Stop what is provably left of a job that has ended, or whose wrapper is dead. Answer the controller: C(stopped), their pids.

    :arg job: the fields of a :class:`Job`
    :arg grace_period: in seconds
    :raises AsyncJobError: if it cannot be stopped
    """
    marked = as_marked(with_job_id(Job(**job)))
    answer: dict[str, t.Any] = seen_through(lambda: {"stopped": _stop_leftovers(marked, grace_period)})
    return answer


def _stop_leftovers(job: Job, grace: float) -> list[int]:
    table = scan()
    [seen] = look_at_jobs([job])
    own = {process.pid: process for process in members(job, table)[0] if process.pid not in untouchable(table)}
    if seen.status == "unknown" or seen.status == "running":
        return []
    check_permitted(job, own.values())
    ended, _signalled = stop(job, own, grace, lambda: None)
    return [process.pid for process in ended]
