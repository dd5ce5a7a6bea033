# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find records: what the module C(async_job_info) does.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    DEFAULT_ASYNC_DIR,
    FILTERS,
    JOB_OPTIONS,
    STORE_OPTIONS,
    Spec,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import find_pending
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records, flawed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import status_to_act_on
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Notify, Store, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store, settings_of

ARGUMENT_SPEC: Spec = {
    **JOB_OPTIONS,
    **FILTERS,
    **STORE_OPTIONS,
}

# A single job is asked for by its name alone; a filter has no place there.
MUTUALLY_EXCLUSIVE = [("job_name", filter_) for filter_ in FILTERS]


Explain = t.Callable[[t.Any, str], str]


def run(
    params: dict[str, t.Any], *, async_dir: str = DEFAULT_ASYNC_DIR, notify: Notify = nobody, explain: Explain = lambda record, where: ""
) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC; with job_name, host and playbook_name are given
    :arg async_dir: the directory of results files, where the record does not tell
    :arg explain: tells of a record, and its place, why nobody may act upon it
    """
    store = open_store(params, notify)
    if params["job_name"] is not None:
        found = _one(store, JobKey(params["host"], params["playbook_name"], params["job_name"]), async_dir)
    else:
        found = _many(store, params, explain)
    return {"changed": False, "store": store.locate(), "warnings": store.warnings, **found}


def _one(store: Store, key: JobKey, async_dir: str) -> dict[str, t.Any]:
    record, _version = read_record(store, key)
    return {
        "found": record is not None,
        "finished": record is not None and record.get("status") in ENDED,
        "status": record.get("status", "running") if record is not None else "",
        "policy_status": status_to_act_on(record) if record is not None else "",
        "reason": record.get("reason", "") if record is not None else "",
        "record": record or {},
        "records": [record] if record is not None else [],
        "async_dir": record.get("async_dir", async_dir) if record is not None else "",
        "state_file": store.locate(key.path),
    }


def _many(store: Store, params: dict[str, t.Any], explain: Explain) -> dict[str, t.Any]:
    listing = find_records(store, params)
    pending = find_pending(store, params["playbook_name"], settings_of(params))
    listing = listing._replace(unreadable=[*listing.unreadable, *pending.unreadable])
    records = listing.records
    found: dict[str, t.Any] = {"found": bool(records), "record": {}, "records": records, "unreadable": listing.unreadable}
    found["approvals"] = pending.approvals
    found["flawed"] = flawed(store, listing.found, explain)
    store.warnings += [problem["msg"] for problem in found["flawed"]]
    if listing.unreadable:
        found.update(failed=True, msg=f"{listing.problem(store)} Those that can be read are in 'records'.")
    return found
