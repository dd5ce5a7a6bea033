# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When workflows begin by themselves, and which runs must not be under way beside each other: slots, and locks."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from workflows import begun, define, inside

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import keeping
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import (
    Holder,
    locks_of,
    path_of_lock,
    read_holder,
    write_holder,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.read import read_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import flaw_of_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.schedule import (
    Schedule,
    about_slot,
    run_of_slot,
    slots,
    still_to_come,
    wanted,
)

DAILY = "DTSTART:20260101T020000Z RRULE:FREQ=DAILY"


def schedule(rrule: str = DAILY, *, catch_up: bool = False) -> Schedule:
    return Schedule("nightly", rrule, {}, catch_up)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def due(plan: Schedule, now: str, *before: str) -> list[str]:
    """Return the runs that begin now, after those of some slots."""
    known = [about_slot(plan, at(slot)) for slot in before]
    return [run_of_slot(plan, slot) for slot in wanted(plan, at(now), known)]


def test_a_slot_begins_once() -> None:
    """However often, and by whichever clock somebody asks."""
    plan = schedule()
    assert due(plan, "2026-03-05T02:00:30") == ["nightly-2026-03-05T02-00-00Z"]
    assert due(plan, "2026-03-05T02:00:30", "2026-03-05T02:00:00") == []
    assert due(plan, "2026-03-05T01:59:59", "2026-03-05T02:00:00") == []
    assert due(plan, "2026-03-05T01:10:00", "2026-03-05T02:00:00") == []
    assert due(plan, "2026-03-06T02:00:00", "2026-03-05T02:00:00") == ["nightly-2026-03-06T02-00-00Z"]


def test_a_clock_that_was_ahead() -> None:
    """Until then nothing begins, and that is said. Clocks of two machines are never quite the same."""
    known = [about_slot(schedule(), at(slot)) for slot in ("2026-03-04T02:00:00", "2027-03-05T02:00:00")]
    assert due(schedule(), "2026-03-05T02:00:30", "2027-03-05T02:00:00") == []
    assert still_to_come(schedule(), at("2026-03-05T02:00:30"), known) == at("2027-03-05T02:00:00")
    for now in ("2027-03-05T01:55:00", "2027-03-05T02:00:00", "2028-01-01T00:00:00"):
        assert still_to_come(schedule(), at(now), known) is None
    assert still_to_come(Schedule("other", DAILY, {}, False), at("2026-03-05T02:00:30"), known) is None


def test_after_an_outage() -> None:
    """The last slot, or each of them. Nobody starts at noon what was new last night: only what has begun before is caught up."""
    assert due(schedule(), "2026-03-09T12:00:00", "2026-03-05T02:00:00") == ["nightly-2026-03-09T02-00-00Z"]
    assert due(schedule(catch_up=True), "2026-03-07T12:00:00", "2026-03-05T02:00:00") == [
        "nightly-2026-03-06T02-00-00Z",
        "nightly-2026-03-07T02-00-00Z",
    ]
    assert due(schedule(), "2026-03-09T12:00:00") == []
    assert due(schedule(catch_up=True), "2026-03-09T02:30:00") == ["nightly-2026-03-09T02-00-00Z"]
    assert due(schedule(), "2025-03-09T12:00:00") == []
    other = about_slot(schedule("DTSTART:20260101T010000Z RRULE:FREQ=DAILY"), at("2026-03-09T01:00:00"))
    assert wanted(schedule(), at("2026-03-09T12:00:00"), [other]) == []
    assert wanted(schedule(), at("2026-03-09T02:10:00"), [other]) == [at("2026-03-09T02:00:00")]
    many = schedule("DTSTART:20260101T000000Z RRULE:FREQ=MINUTELY", catch_up=True)
    assert len(due(many, "2026-03-09T12:00:00", "2026-03-08T12:00:00")) == 100


def test_time_zones() -> None:
    """A slot is a moment. One that falls into the hour that is none comes an hour later; the hour that is twice has one slot."""
    plan = schedule("DTSTART;TZID=Europe/Warsaw:20260101T023000\nRRULE:FREQ=DAILY")
    assert due(plan, "2026-03-28T01:30:00") == ["nightly-2026-03-28T01-30-00Z"]
    found = slots(plan, at("2026-03-27T12:00:00"), at("2026-03-31T12:00:00"))
    assert found == [at("2026-03-28T01:30:00"), at("2026-03-29T01:30:00"), at("2026-03-30T00:30:00"), at("2026-03-31T00:30:00")]
    found = slots(plan, at("2026-10-24T12:00:00"), at("2026-10-26T12:00:00"))
    assert len(found) == 2


def test_minutes_of_years() -> None:
    """They have the same phase as if all had been counted."""
    plan = schedule("DTSTART:20260101T000300Z RRULE:FREQ=MINUTELY;INTERVAL=7")
    begin = at("2026-01-01T00:03:00")
    some = at("2041-06-01T00:00:00")
    [first, *_rest] = slots(plan, some, some + timedelta(minutes=20))
    assert (first - begin) % timedelta(minutes=7) == timedelta(0)
    assert slots(schedule("DTSTART:20260101T000000Z RRULE:FREQ=HOURLY;COUNT=2"), some, some + timedelta(days=9)) == []


def test_rules_that_are_none() -> None:
    for rrule in ("DTSTART:20260101T020000Z RRULE:FREQ=DAILY;BYDAY=XX", "DTSTART;TZID=Nowhere/None:20260101T020000 RRULE:FREQ=DAILY",
                  "DTSTART;TZID=Europe/Warsaw:20260101T020000 RRULE:FREQ=DAILY;UNTIL=20270101T000000"):  # fmt: skip
        with pytest.raises(AsyncJobError, match="The rule of the schedule 'nightly' cannot be read"):
            slots(schedule(rrule), at("2026-03-05T00:00:00"), at("2026-03-06T00:00:00"))


def test_schedules_of_a_file(tmp_path: Path) -> None:
    """They are no part of what a run is: it goes on when they have changed."""
    file = tmp_path / "w.yml"
    nodes = "params: {env: {choices: [dev, prod]}, token: {secret: true, required: false}}\nnodes: {a: {command: 'true'}}\n"
    file.write_text(f"{nodes}schedules: [{{rrule: '{DAILY}', params: {{env: dev}}}}, {{name: b, rrule: '{DAILY}', enabled: false}}]")
    compiled = read_workflow(str(file))
    assert compiled.schedules == [Schedule("schedule", DAILY, {"env": "dev"}, False)]
    file.write_text(nodes)
    assert read_workflow(str(file)).definition == compiled.definition
    for text, said in [
        ("{rrule: x}", "schedules is no list"),
        ("[3]", "schedule 1: it is no mapping"),
        ("[{rrule: 'DTSTART:20260101T020000 RRULE:FREQ=DAILY'}]", "line 4: schedule 1: rrule has to have one DTSTART, in UTC"),
        (f"[{{rrule: '{DAILY}'}}, {{rrule: '{DAILY}'}}]", "each of several needs a name of its own"),
        ("[{rrule: 'DTSTART:20260101T020000Z RRULE:FREQ=SECONDLY'}]", "has to have a FREQ, from MINUTELY"),
        (f"[{{rrule: '{DAILY}', params: {{env: test}}}}]", "the parameter 'env' has to be one of dev, prod"),
        (f"[{{rrule: '{DAILY}', params: {{token: x}}}}]", "the parameter 'token' is a secret, which has no place in a file"),
        (f"[{{rrule: '{DAILY}', params: {{x: 1}}}}]", "the parameter 'x' is none of this workflow"),
        (f"[{{rrule: '{DAILY}', name: 'a b'}}]", "its name has to be one word"),
        (f"[{{rrule: '{DAILY}', every: day}}]", "'every' has no meaning there"),
    ]:
        file.write_text(f"{nodes}\nschedules: {text}")
        with pytest.raises(AsyncJobError) as caught:
            read_workflow(str(file))
        assert said in str(caught.value)


def test_a_run_says_by_which_slot_it_began() -> None:
    run = {**begun(define({"a": {}})), "schedule": about_slot(schedule(), at("2026-03-05T02:00:00"))}
    assert flaw_of_run(run) == ""
    wrong: list[t.Any] = [{}, {"name": "x"}, {**run["schedule"], "slot": "yesterday"}, {**run["schedule"], "rrule": 3}]
    assert [flaw_of_run({**run, "schedule": about}) for about in wrong] == ["the field 'schedule' is not what it should be"] * 4


# --- Locks


def test_which_locks_a_run_needs() -> None:
    inner = {**define({"a": {}}), "name": "inner", "allow_simultaneous": False}
    assert locks_of(define({"a": {}})) == []
    assert locks_of(define({"a": inside(inner), "b": inside(inner)}, allow_simultaneous=False)) == ["inner", "w"]


def test_locks_are_kept(tmp_path: Path) -> None:
    """What is no lock frees none; and it is free when its run has ended, or is proven to be gone."""
    store = FilesystemStore(str(tmp_path / "state"))
    definition = define({"a": {}}, allow_simultaneous=False)
    assert read_holder(store, "w") == (None, ABSENT)
    assert keeping.held_by_another(store, definition, "s") is None
    version = write_holder(store, "w", Holder("w", "r", 1), expect=ABSENT)
    with pytest.raises(Conflict):
        write_holder(store, "w", Holder("w", "s", 1), expect=ABSENT)
    assert read_holder(store, "w") == (Holder("w", "r", 1), version)
    assert keeping.held_by_another(store, definition, "s") is None
    run = begun(definition)
    at_first = keeping.write_run(store, None, run, expect=ABSENT)
    assert keeping.held_by_another(store, definition, "s") == Holder("w", "r", 1)
    assert keeping.held_by_another(store, definition, "r") is None
    ended = {**run, "status": "failed", "nodes": {"a": {"state": "ended", "attempt": 1, "outcome": "failed"}}}
    keeping.write_run(store, run, ended, expect=at_first)
    assert keeping.held_by_another(store, definition, "s") is None
    for document in (b"{", b"[]", json.dumps({"lock": "v", "workflow": "w", "run": "r", "epoch": 1}).encode(), b'{"lock": "w"}'):
        store.write(path_of_lock("w"), document)
        with pytest.raises(AsyncJobError, match="does not say which run holds it"):
            read_holder(store, "w")
