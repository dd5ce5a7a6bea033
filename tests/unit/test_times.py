# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one clock: times of records mean the same to everybody, whoever wrote them."""

from __future__ import annotations

import datetime
import time
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import put

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules.async_job_show import details, entry, table
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import FILTERS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import age, is_overdue, least_age, looked_ago
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.last_line import last_words
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.retention import doomed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.page import page
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import policies
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)

# The same time, as others write it.
SPELLINGS = [
    "{0:%Y-%m-%dT%H:%M:%S}+00:00",
    "{0:%Y-%m-%dT%H:%M:%S}+0000",
    "{0:%Y-%m-%dT%H:%M:%S}+00",
    "{0:%Y-%m-%dT%H:%M:%S}-00:00",
    "{0:%Y-%m-%dT%H:%M:%S}.000000Z",
    "{0:%Y-%m-%dT%H:%M:%S}.000+00:00",
    "{0:%Y-%m-%dT%H:%M:%S}",
    "{0:%Y-%m-%d %H:%M:%S}z",
    "{1:%Y-%m-%dT%H:%M:%S}+02:00",
    "{1:%Y-%m-%dT%H:%M:%S}.0+0200",
]


def spelled(spelling: str, time: datetime.datetime) -> str:
    """Write a time in UTC, or in a zone that is two hours ahead."""
    return spelling.format(time, time + datetime.timedelta(hours=2))


@pytest.mark.parametrize("spelling", ["{0:%Y-%m-%dT%H:%M:%SZ}", *SPELLINGS])
def test_one_time_has_many_spellings(spelling: str) -> None:
    found = _times.moment(spelled(spelling, NOON))
    assert found == NOON
    assert found is not None
    assert _times.text_of(found) == "2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T12:00Z", NOON),  # no seconds
        ("2026-01-01T14:00+02:00", NOON),
        ("2026-01-01T06:30:00-05:30", NOON),
        ("2026-01-01T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-01-01T12:00:00,25", NOON.replace(microsecond=250_000)),
        ("2026-01-01T12:00:00.123456Z", NOON.replace(microsecond=123_456)),
        ("2026-01-01T12:00:00.123456789123+00:00", NOON.replace(microsecond=123_456)),  # nobody needs the rest
        ("2026-01-01T12:00:00.000001Z", NOON.replace(microsecond=1)),
    ],
)
def test_parts_of_a_time(text: str, expected: datetime.datetime) -> None:
    assert _times.moment(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        None, 0, 1767268800, 1767268800.0, True, b"2026-01-01T12:00:00Z", [], {}, ["2026-01-01T12:00:00Z"], NOON,
        "", " ", "now", "2026", "2026-01-01", "12:00:00", "1767268800", "2026-01-01T", "2026-01-01T12", "2026-01-01T12:00:00 Z",
        " 2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z\n", "2026-01-01T12:00:00ZZ", "2026-01-01T12:00:00.Z", "2026-01-01T12:00:00+2",
        "2026-01-01T12:00:00+24:00", "2026-13-01T12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T12:60:00Z",
        "0000-01-01T00:00:00Z", "26-01-01T12:00:00Z", "2026-W01-4T12:00:00Z", "{{ now() }}", "\0",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_time(text: t.Any) -> None:
    assert _times.moment(text) is None


@given(st.text() | st.none() | st.integers() | st.floats() | st.binary() | st.lists(st.text()))
def test_nothing_breaks_it(text: t.Any) -> None:
    found = _times.moment(text)
    assert found is None or found.tzinfo is not None


@given(st.datetimes(min_value=datetime.datetime(1000, 1, 1), timezones=st.just(datetime.timezone.utc)))
def test_what_is_written_can_be_read(time: datetime.datetime) -> None:
    """In whole seconds."""
    assert _times.moment(_times.text_of(time)) == time.replace(microsecond=0)


# --- Whoever reads it ---------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("field", ["save_time", "end"])
ALL = pytest.mark.parametrize("spelling", SPELLINGS)


def ended(spelling: str, field: str, time: datetime.datetime) -> dict[str, t.Any]:
    """Return the fields of a record of another writer. Older ones have no C(end)."""
    other = {"end": {"save_time": "2020-01-01T00:00:00Z"}, "save_time": {}}[field]
    return {"status": "succeeded", field: spelled(spelling, time), **other}


def recently(**length: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**length)


@BOTH
@ALL
def test_rerun_after(spelling: str, field: str) -> None:
    """A job that has succeeded a minute ago is not run again after an hour has passed, but after a minute."""
    given: t.Any = {"restart_on": [], "max_attempts": None, "backoff": 0, "max_backoff": 0, "on_change": "fail"}
    for seconds, start in ((59, False), (60, True)):
        decision = policies.decide(
            ended(spelling, field, NOON), {**given, "rerun_after": 60}, "", tried=False, joined=False, now=NOON.timestamp() + seconds
        )
        assert decision.start == start


@BOTH
@ALL
def test_listings_and_prune(tmp_path: Path, spelling: str, field: str) -> None:
    """A job that has ended two hours ago is older than one, and newer than three."""
    put(tmp_path, "job", **ended(spelling, field, recently(hours=2)))
    everything = {**dict.fromkeys(FILTERS), "host": None, "playbook_name": None}
    for option, expected in (("older_than", {"1h": 1, "3h": 0}), ("newer_than", {"1h": 0, "3h": 1})):
        for length, count in expected.items():
            assert len(find_records(FilesystemStore(str(tmp_path)), {**everything, option: length}).found) == count, (option, length)
    found = find_records(FilesystemStore(str(tmp_path)), everything).found
    for length, count in (("1h", 1), ("3h", 0)):
        assert (
            len(doomed(found, {"older_than": length, "keep": None, "keep_attempts": None}, lambda record: least_age(record, time.time())))
            == count
        ), length


NOW = NOON.timestamp()


def before_noon(minutes: int) -> str:
    return _times.text_of(NOON - datetime.timedelta(minutes=minutes))


def test_an_age_has_one_meaning() -> None:
    """Since the end or, as long as there is none, since the start; when it was saved makes no difference to either."""
    times: t.Any = {"start": before_noon(60), "end": before_noon(20), "save_time": before_noon(1)}
    assert age({**times, "status": "failed"}, NOW) == 20 * 60
    assert age({**times, "status": "running"}, NOW) == 60 * 60
    row = page([{"job_name": "j", "host": "h", "status": "running", **times, "end": ""}], [], store="/jobs", made=NOON)
    assert f',{60 * 60},{60 * 60},"",' in row
    assert age({}, NOW) == float("inf")


@pytest.mark.parametrize(
    ("fields", "overdue"),
    [
        ({}, True),
        ({"looked": before_noon(31)}, True),
        ({"looked": before_noon(29)}, False),
        ({"save_time": before_noon(29)}, False),  # as releases write it that do not note looks
        ({"timeout": 3600}, False),
        ({"timeout": 0}, False),
        ({"status": "orphaned"}, True),
        ({"status": "failed"}, False),
        ({"looked": before_noon(-120)}, True),  # by a clock that is off
    ],
)
def test_a_status_that_is_older_than_the_limit_of_its_job(fields: t.Any, overdue: bool) -> None:
    record = {"status": "running", "start": before_noon(60), "save_time": before_noon(60), "timeout": 1800, "attempt_dir": "/a", **fields}
    assert is_overdue(record, NOW) == overdue


def test_when_somebody_last_looked() -> None:
    record: t.Any = {"status": "running", "start": before_noon(60), "save_time": before_noon(5), "attempt_dir": "/a"}
    assert looked_ago(record, NOW) == 5 * 60
    assert looked_ago({**record, "looked": before_noon(30)}, NOW) == 30 * 60
    assert looked_ago({**record, "status": "failed"}, NOW) is None
    assert looked_ago({"status": "running", "save_time": before_noon(5)}, NOW) is None
    assert looked_ago({**record, "looked": before_noon(-120)}, NOW) is None


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 1800),
        ({"result": {"delta": "0:00:03.358903"}}, 3.358903),
        ({"result": {"delta": "1 day, 2:00:03"}}, 93603),
        ({"result": {"delta": "2 days, 0:00:00.5"}}, 172800.5),
        ({"result": {"delta": f"{'9' * 400}:00:00"}}, 1800),
        ({"result": {"delta": ["0:00:03"]}}, 1800),
        ({"result": {"delta": "0:00:03"}, "status": "running"}, 3600),
        ({"delta": "0:00:03"}, 3),  # an attempt in the history
        ({"elapsed": 5.2}, 5.2),
        ({"elapsed": 5.2, "result": {"delta": "0:00:03"}}, 3),
        ({"elapsed": 5.2, "status": "running"}, 3600),
    ],
)
def test_how_long_a_job_took(fields: t.Any, seconds: float) -> None:
    """By the clock of its host, if that has measured it: a controller may be slow to start it, and to see its end."""
    record = {"status": "succeeded", "start": before_noon(60), "end": before_noon(30), **fields}
    assert _times.run_time(record, NOON) == pytest.approx(seconds)
    begin = int(NOON.timestamp()) - 60 * 60
    whole: t.Any = {"job_name": "j", "host": "h", **record}
    assert f",{begin},{int(seconds)}," in page([whole], [], store="/jobs", made=NOON)


def test_an_end_that_somebody_has_noticed() -> None:
    """Nobody knows when it was: a table, a page and programs say so."""
    record: t.Any = {"job_name": "j", "host": "h", "playbook_name": "p", "ansible_job_id": "j1.2", "metadata": {}, "status": "killed"}
    record |= {"start": before_noon(60), "end": before_noon(30), "end_noticed": True}
    past = {**record, "attempt": 1}
    whole = {**record, "attempt": 2, "attempts": [past]}
    text = "\n".join(line.text for line in details(whole, NOON, state_file="/s"))
    assert f"{before_noon(30)}, when that was noticed: nobody knows how long before it ended" in text
    assert text.count("\N{LESS-THAN OR EQUAL TO} 30m 0s") == 3
    assert "\N{LESS-THAN OR EQUAL TO} 30m 0s" in table([whole], NOON, 200)[1].text
    assert entry(whole, NOON, state_file="/s")["end_noticed"]
    begin, end = (int(NOON.timestamp()) - 60 * minutes for minutes in (60, 30))
    made = page([whole], [], store="/jobs", made=NOON)
    assert f'[1,"killed",{begin},{end},1800,true,' in made
    known = {name: value for name, value in record.items() if name != "end_noticed"}
    assert "\N{LESS-THAN OR EQUAL TO}" not in "".join(line.text for line in details(known, NOON, state_file="/s"))
    assert f'[1,"killed",{begin},{end},1800,false,' in page([known], [], store="/jobs", made=NOON)


@pytest.mark.parametrize("status", ["running", "succeeded", "failed"])
def test_nothing_is_shown_of_what_a_secret_job_has_said(status: str) -> None:
    """Whoever has looked before a task said C(no_log) has stored a line."""
    record: t.Any = {"status": status, "last_line": "hunter2", "result": {"rc": 0}, "no_log": True, "job_name": "j", "host": "h"}
    assert "hunter2" not in last_words(record, NOW)
    record |= {"playbook_name": "p", "ansible_job_id": "j1.2", "metadata": {}}
    assert "hunter2" not in "".join(line.text for line in details(record, NOON, state_file="/s"))
    assert "hunter2" in last_words({**record, "no_log": False}, NOW)


@pytest.mark.parametrize("field", ["save_time", "start", "end"])
@ALL
def test_the_report(spelling: str, field: str) -> None:
    """It is the same page as if we had written the record, save that it shows the record as it is."""
    record = {"job_name": "job", "host": "web1", "playbook_name": "Nightly", "status": "failed", "start": "2026-01-01T11:59:00Z"}
    past = {"attempt": 1, "status": "lost", "start": "2026-01-01T10:00:00Z", "end": "2026-01-01T10:30:00Z"}

    def made(text: str) -> str:
        whole = {**record, "attempt": 2, field: text, "attempts": [{**past, **({field: text} if field == "end" else {})}]}
        return page([whole], [], store="/jobs", made=NOON + datetime.timedelta(hours=1))

    text, ours = spelled(spelling, NOON), "2026-01-01T12:00:00Z"
    assert made(text).replace(f'"{text}"', f'"{ours}"') == made(ours) != made("2026-01-01T12:00:01Z").replace(":01Z", ":00Z")
