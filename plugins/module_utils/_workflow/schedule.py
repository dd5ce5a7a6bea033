# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a workflow begins by itself: the slots of its schedules, and which of them are due.

A slot is a moment, and gives its run its id. So whoever asks, from whichever machine, and however often, means the same run; and what has
been begun once is there, whatever a clock says later.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition, wrong_value
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import is_run_id

FIELDS = ("name", "rrule", "params", "catch_up", "enabled")
"""What people may say of a schedule."""

# How old a slot may be that is the first one of a schedule, or of one that was changed: nobody wants to start what was to be a week ago.
_FIRST_WITHIN = timedelta(hours=1)
# By how much clocks differ of which nobody would say that they are wrong.
_CLOCKS_DIFFER = timedelta(minutes=10)
# How many slots are caught up at once.
_MOST = 100
_UNITS = {"HOURLY": timedelta(hours=1), "MINUTELY": timedelta(minutes=1)}

_START = re.compile(r"(^|\s)DTSTART(;TZID=[\w/+-]+)?:(\d{8}T\d{6})(Z?)(?=\s|\Z)")


class Schedule(t.NamedTuple):
    """When a workflow begins by itself, and with what."""

    name: str
    rrule: str
    params: dict[str, t.Any]
    catch_up: bool


def schedules_of(given: t.Any) -> list[Schedule]:
    """Return the schedules of a file, as far as they are switched on. They have no flaws."""
    return [
        Schedule(one.get("name", "schedule"), " ".join(one["rrule"].split()), one.get("params") or {}, one.get("catch_up", False))
        for one in given or ()
        if one.get("enabled", True)
    ]


def flaws_of_schedules(given: t.Any, definition: Definition) -> t.Iterator[tuple[int, str]]:
    """Yield what is wrong with the schedules of a file: the number of each, and why."""
    if given is None:
        return
    if not isinstance(given, list):
        yield 0, "schedules is no list"
        return
    names = [one.get("name", "schedule") if isinstance(one, dict) else None for one in given]
    for number, one in enumerate(given):
        for why in _flaws_of(one, definition):
            yield number, f"schedule {number + 1}: {why}"
        if names.count(names[number]) > 1 and names[number] is not None:
            yield (
                number,
                f"schedule {number + 1}: each of several needs a name of its own, and {names[number]!r} is that of another one, too",
            )


def _flaws_of(one: t.Any, definition: Definition) -> t.Iterator[str]:
    if not isinstance(one, dict):
        yield "it is no mapping, such as {rrule: 'DTSTART:20260101T020000Z RRULE:FREQ=DAILY'}"
        return
    yield from (f"{field!r} has no meaning there" for field in one if field not in FIELDS)
    yield from (f"{field} has to be true or false" for field in ("catch_up", "enabled") if not isinstance(one.get(field, True), bool))
    name = one.get("name", "schedule")
    if not is_run_id(name) or len(name) > 60:
        yield "its name has to be one word of at most 60 characters"
    rule, params = one.get("rrule"), one.get("params") or {}
    if not isinstance(rule, str):
        yield "rrule has to be a text"
    else:
        begins = _START.findall(rule)
        if len(begins) != 1 or bool(begins[0][1]) == bool(begins[0][3]):
            yield (
                "rrule has to have one DTSTART, in UTC (DTSTART:20260101T020000Z) or in a time zone"
                " (DTSTART;TZID=Europe/Warsaw:20260101T020000)"
            )
        if not re.search(r"FREQ=(MINUTELY|HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)\b", rule):
            yield "rrule has to have a FREQ, from MINUTELY to YEARLY"
    if not isinstance(params, dict):
        yield "params has to be a mapping"
        return
    known = definition.get("params", {})
    for param, value in params.items():
        problem = "is none of this workflow" if param not in known else wrong_value(known[param], value)
        if not problem and known[param].get("secret"):
            problem = "is a secret, which has no place in a file. Give it to whoever starts what is due (params)"
        if problem:
            yield f"the parameter {param!r} {problem}"


def slots(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """Return the slots of a schedule after a moment, up to another one, in UTC.

    :raises AsyncJobError: if the rule is none, or the library is missing
    """
    try:
        from dateutil import rrule, tz
    except ImportError as error:
        raise AsyncJobError(
            "The library for schedules, python-dateutil, is not installed for the Python of this controller. Nothing was started. Install"
            " it: pip install python-dateutil"
        ) from error
    try:
        rules = rrule.rrulestr(schedule.rrule.replace(" ", "\n"))
        if isinstance(rules, rrule.rrule):
            rules = _nearer(schedule.rrule, rules, after)
        # Where clocks are put forward, an hour is none: what falls into it begins an hour later. A day before, in case of that.
        found = rules.between(after - timedelta(days=1), until + timedelta(days=1), inc=True)
        moments = {tz.resolve_imaginary(moment).astimezone(timezone.utc) for moment in found}
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        raise AsyncJobError(
            f"The rule of the schedule {schedule.name!r} cannot be read: {' '.join(str(error).split())}. Nothing was started. It is"
            f" {schedule.rrule!r}."
        ) from error
    return sorted(moment for moment in moments if after < moment <= until)


def _nearer(text: str, rule: t.Any, after: datetime) -> t.Any:
    """Return a rule that begins later, and has the same slots from then on: nobody waits until each minute of years was looked at."""
    unit = next((length for word, length in _UNITS.items() if f"FREQ={word}" in text), None)
    if unit is None or "COUNT=" in text:
        return rule
    begin = datetime.strptime(_START.findall(text)[0][2], "%Y%m%dT%H%M%S")
    step = unit * int((re.findall(r"INTERVAL=(\d+)", text) or ["1"])[0])
    steps = (after.replace(tzinfo=None) - timedelta(days=3) - begin) // step
    return rule.replace(dtstart=rule._dtstart + steps * step) if steps > 0 else rule


def wanted(schedule: Schedule, now: datetime, before: t.Iterable[t.Mapping[str, str]]) -> list[datetime]:
    """Return the slots whose runs are to begin now: the last one that is due and newer than all runs of the schedule, or all of those.

    :arg before: what the runs of the workflow say of the schedule by which they began
    """
    known = [(_moment(one["slot"]), one["rrule"]) for one in before if one["name"] == schedule.name]
    newest, rule = max(known, default=(datetime.min.replace(tzinfo=timezone.utc), ""))
    is_first = rule != schedule.rrule
    found = slots(schedule, max(newest, now - _FIRST_WITHIN) if is_first else newest, now)
    return found[-_MOST:] if schedule.catch_up and not is_first else found[-1:]


def still_to_come(schedule: Schedule, now: datetime, before: t.Iterable[t.Mapping[str, str]]) -> datetime | None:
    """Return the slot of a run of the schedule that is far in the future by our clock: whichever clock is wrong, nothing begins until then.
    None if there is none.

    :arg before: as of :func:`wanted`
    """
    newest = max((_moment(one["slot"]) for one in before if one["name"] == schedule.name), default=now)
    return newest if newest > now + _CLOCKS_DIFFER else None


def run_of_slot(schedule: Schedule, slot: datetime) -> str:
    """Return the id of the run of a slot."""
    return f"{schedule.name}-{_text(slot).replace(':', '-')}"


def about_slot(schedule: Schedule, slot: datetime) -> dict[str, str]:
    """Return what a run notes of the slot by which it began."""
    return {"name": schedule.name, "rrule": schedule.rrule, "slot": _text(slot)}


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
