# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the job that a job id names, where its results file is not in the usual directory: its record knows the place.

Jobs of C(async_job) live in a directory of their own, so their job id alone leads nowhere.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import NO_FILE
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import FILTERS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import PAST_FIELDS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import ATTEMPT_FIELDS, key_of, merged, picked, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked, of_record


def is_elsewhere(look: Seen) -> bool:
    """Return whether a look for a job id may have been one in the wrong place: it has found no results file there."""
    return look["result"] is None and (look["status"] in ("lost", UNKNOWN) or NO_FILE in look["reason"])


def by_its_record(
    store: Store, job_id: str, params: dict[str, t.Any], async_dir: str, *, host: str, playbook_name: str
) -> tuple[Asked, bool] | None:
    """Return the job of a host whose record has this job id, and whether that is its last attempt. None if there is none.

    :arg playbook_name: that is looked through first, since most tasks ask about a job of their own play
    :raises AsyncJobError: if nobody can tell
    """
    # Few tasks need it, and all that import this file would wait until it is compiled.
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records

    problem = ""
    for playbook in dict.fromkeys((params["playbook_name"] or playbook_name, params["playbook_name"])):
        listing = find_records(store, {**dict.fromkeys(FILTERS), "host": host, "playbook_name": playbook})
        for record, _path, version in listing.found:
            if record["ansible_job_id"] == job_id:
                return of_record(key_of(record), record, version, params, async_dir), True
            for past in record.get("attempts", ()):
                if past.get("ansible_job_id") == job_id:
                    known = {**picked(past, PAST_FIELDS), "result": {"rc": past.get("rc")}}
                    attempt = merged(without(record, ATTEMPT_FIELDS), known)
                    return of_record(key_of(attempt), attempt, ABSENT, params, async_dir), False
        problem = listing.problem(store)
    if problem:
        raise AsyncJobError(problem)
    return None
