# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The age of a job: one meaning for tables, filters, reports, and all that waits or removes.

It is how long ago the job ended or, as long as it has not, how long ago its current attempt was started.

Clocks of two machines differ, by a day if nobody cares, and each may be set while a job runs. So a host says how long ago a job ended, by
its own clock; whoever hears that first notes it by a clock of the controller that nobody sets, which counts from its boot; and only
differences of one clock are believed. From another controller, or after its reboot, the written times are all that there is.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import math
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_id
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, ENDED

# By how much clocks of controllers may differ before their times are no longer believed, in seconds.
_AHEAD = 60.0


def stamp(ago: float) -> Fields | None:
    """Return what a record notes of a job that ended so many seconds ago. None where the system does not tell one boot from the next."""
    boot = boot_id()
    return {"boot_id": boot, "up": round(_up() - ago, 1)} if boot else None


def ended_ago(said: float, record: Record) -> float:
    """Return how long ago a job ended, in seconds. Nothing ended before it began: a clock of its host that was set tells otherwise.

    :arg said: what the host has said
    """
    start = _times.moment(record.get("start", ""))
    since = -1.0 if start is None else time.time() - start.timestamp()
    return said if since < 0 else min(said, since)


def measured_age(record: Record) -> float | None:
    """Return how long ago a job ended, in seconds, by the clock with which that was noted. None if that is not ours."""
    noted: t.Any = record.get("ended")
    if not isinstance(noted, dict):
        return None
    up = noted.get("up")
    if not noted.get("boot_id") or noted["boot_id"] != boot_id() or not isinstance(up, (int, float)) or not math.isfinite(up):
        return None
    return max(_up() - up, 0.0)


def age(record: Record, now: float) -> float:
    """Return the age of a job, in seconds: how long ago it ended or, as long as it has not, how long ago its attempt was started.

    What began or ended nobody knows when, did so long ago.

    :arg now: in seconds since the epoch
    """
    if record.get("status") in ENDED:
        return since_end(record, now)
    return _ago(_times.started_at(record), now)


def since_end(record: Record, now: float) -> float:
    """Return how long ago a job ended, in seconds, as well as that is known. What ended nobody knows when, ended long ago.

    :arg now: in seconds since the epoch
    """
    measured = measured_age(record)
    return _ago(_times.ended_at(record), now) if measured is None else measured


def least_age(record: Record, now: float) -> float:
    """Return the same for whoever removes what is old: what ended nobody knows when, ended just now."""
    found = since_end(record, now)
    return 0.0 if found == float("inf") else found


def looked_ago(record: Record, now: float) -> float | None:
    """Return how long ago somebody last saw that a job goes on, in seconds. None if it has ended, or nobody has looked.

    Releases before 1.0.0 did not note that. Of their records, the last save tells.
    """
    if record.get("status") in ENDED or is_unseen(record):
        return None
    looked = _times.moment(record.get("looked", record.get("save_time")))
    # Who will look in an hour, has another clock, or is nobody.
    return None if looked is None or looked.timestamp() > now + _AHEAD else _ago(looked, now)


def is_unseen(record: Record) -> bool:
    """Return whether nobody has looked at a job since it was saved, as far as its record tells: Ansible's own looks leave no word there."""
    signs = ("attempt_dir", "runner", "place", "boot_id", "last_line", "looked")
    return record.get("status", "running") == "running" and not any(record.get(name) for name in signs)


def is_overdue(record: Record, now: float) -> bool:
    """Return whether the time limit of a job that goes on, as far as its record knows, has passed since somebody last looked at it."""
    limit, begin = record.get("timeout"), _times.started_at(record)
    if record.get("status", "running") not in ALIVE or not isinstance(limit, (int, float)) or limit <= 0 or begin is None:
        return False
    end = begin.timestamp() + limit
    looked = looked_ago(record, now)
    return end < now and (looked is None or now - looked < end)


def _ago(time: datetime.datetime | None, now: float) -> float:
    return float("inf") if time is None else max(now - time.timestamp(), 0.0)


def _up() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
