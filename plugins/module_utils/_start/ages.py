# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long ago a job ended.

Clocks of two machines differ, by a day if nobody cares, and each may be set while a job runs. So a host says how long ago a job ended, by
its own clock; whoever hears that first notes it by a clock of the controller that nobody sets, which counts from its boot; and only
differences of one clock are believed. From another controller, or after its reboot, the written times are all that there is.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_id
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record


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
    noted: t.Any = record.get("ended", {})
    up = noted.get("up")
    if not noted.get("boot_id") or noted["boot_id"] != boot_id() or not isinstance(up, (int, float)):
        return None
    return max(_up() - up, 0.0)


def age(record: Record, now: float) -> float:
    """Return how long ago a job ended, in seconds, as well as that is known. What ended nobody knows when, ended long ago.

    :arg now: in seconds since the epoch
    """
    measured = measured_age(record)
    if measured is not None:
        return measured
    end = _times.ended_at(record)
    return float("inf") if end is None else max(now - end.timestamp(), 0.0)


def least_age(record: Record, now: float) -> float:
    """Return the same for whoever removes what is old: what ended nobody knows when, ended just now."""
    found = age(record, now)
    return 0.0 if found == float("inf") else found


def _up() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
