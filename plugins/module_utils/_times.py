# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one clock: how times and lengths of time are read, in records and options, and written (C(_clock.py), which hosts have, too).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._clock import clock, now, text_of, utc
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED

# What writes times is sent to hosts too, and so stands in a file of its own. Here, both are to be had.
__all__ = (
    "NEVER",
    "age",
    "clock",
    "ended_at",
    "moment",
    "now",
    "run_time",
    "saved_at",
    "started_at",
    "text_of",
    "utc",
)

NEVER = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
"""Before all times of records."""

# What ISO 8601 allows beside that, and other writers of records use. The parser of older Pythons knows less of it.
_ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?(?:([Zz])|([+-]\d\d):?(\d\d)?)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Fields = t.Mapping[str, t.Any]
"""A record, or a past attempt of one."""


def moment(text: t.Any) -> datetime.datetime | None:
    """Read a time of a record, whoever wrote it. Without a time zone it is UTC. None if it is no time."""
    match = _ISO_8601.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    date, time, fraction, _utc, hours, minutes = match.groups()
    if len(time) == len("hh:mm"):
        time += ":00"
    try:
        return datetime.datetime.fromisoformat(f"{date}T{time}.{(fraction or '0')[:6]:0<6}{hours or '+00'}:{minutes or '00'}")
    except ValueError:
        return None


def age(text: str, option: str) -> datetime.timedelta:
    """Read a length of time, as users write it.

    :arg option: where it comes from, for the error
    :raises AsyncJobError: if it is none
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text)
    if match is None:
        raise AsyncJobError(f"{option} is {text!r}, which is not an age. Give a number and a unit: 30s, 15m, 12h, 7d or 2w.")
    seconds = float(match.group(1)) * _SECONDS[match.group(2)]
    return datetime.timedelta(seconds=min(seconds, 1e12))  # what is more than all of history makes no difference


def started_at(record: Fields) -> datetime.datetime | None:
    """Return when the current attempt was started. Older records tell only when they were saved."""
    return moment(record.get("start")) or moment(record.get("save_time"))


def ended_at(record: Fields) -> datetime.datetime | None:
    """Return when an attempt that has ended did so. Older records tell only when they were saved."""
    return moment(record.get("end")) or moment(record.get("save_time"))


def saved_at(record: Fields) -> datetime.datetime:
    """Return when the record was last saved. One whose time nobody can read counts as infinitely old."""
    return moment(record.get("save_time")) or NEVER


# As Python writes a timedelta, and Ansible how long a command took
_DELTA = re.compile(r"(?:(\d{1,6}) days?, )?(\d{1,2}):(\d\d):(\d\d(?:\.\d{1,6})?)")


def run_time(record: Fields, now: datetime.datetime) -> float:
    """Return how long the current attempt took, or has taken so far, in seconds: by the clock of its host, if that has measured it.

    Of one whose end somebody has only noticed, it is the most that it can have taken: C(end_noticed) in its record.
    """
    result: t.Any = record.get("result", record)  # a past attempt has no result, but its delta
    measured = _DELTA.fullmatch(str(result.get("delta"))) if record.get("status") in ENDED and isinstance(result, dict) else None
    if measured:
        days, hours, minutes, seconds = (float(part or 0) for part in measured.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    elapsed = record.get("elapsed")
    if isinstance(elapsed, (int, float)) and record.get("status") in ENDED:
        return max(elapsed, 0.0)
    begin, end = started_at(record), moment(record.get("end")) if record.get("status") in ENDED else now
    return max((end - begin).total_seconds(), 0.0) if begin and end else 0.0
