# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What records say of ARA, and ARA of records.

A number of ARA proves nothing by itself: each of its databases begins with 1. So a playbook in ARA is the one that a record means only
if ARA says the same of that job, and of the run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record, key_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.runs import NAMES, is_run

ROLES = ("started", "ended")
"""What a playbook in ARA may have done about an attempt: started it, or seen its end."""

# How long keys may be there, in characters.
_LONGEST = 200
_MOST = 10**15


def is_ara_playbook(noted: t.Any) -> bool:
    """Return whether this can be the field C(ara_playbook) of a record."""
    return isinstance(noted, dict) and all(
        role in ROLES and is_run(run) and isinstance(run.get("id"), int) and not isinstance(run["id"], bool) and 0 < run["id"] < _MOST
        for role, run in noted.items()
    )


def is_noted_by(record: Record, playbook: int) -> bool:
    """Return whether a playbook in ARA has started the attempt, or has seen its end, as the record says."""
    return any(run.get("id") == playbook for run in record.get("ara_playbook", {}).values())


def key_in_ara(record: Record) -> str:
    """Return under which key a playbook in ARA holds what it has done about a job."""
    key = f"async_job {key_of(record).path}"
    return key if len(key) <= _LONGEST else f"{key[:_LONGEST]} {hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def value_in_ara(record: Record, playbook: int, *, where: str) -> Fields:
    """Return what it holds there: which job, where its record is, how it is by now, and which run that was.

    :arg where: the place of the store
    """
    runs = {role: run for role, run in record.get("ara_playbook", {}).items() if run["id"] == playbook}
    run: Fields = next(iter(runs.values()), {})
    return {
        "job_name": record["job_name"],
        "host": record["host"],
        "playbook_name": record["playbook_name"],
        "store": where,
        "record": f"{where}/{key_of(record).path}",
        "attempt": record.get("attempt", 1),
        "start": record.get("start", ""),
        "status": record.get("status", "running"),
        "has": list(runs),
        "run": {name: run[name] for name in NAMES if name in run},
    }
