# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events: each change of a store once, whenever somebody looks, and whenever they die."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import random
import subprocess
import sys
import typing as t
import uuid
from pathlib import Path

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment
from records import put

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval, async_job_sign
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records import changes
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import begin_attempt, read_record, save, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import PAST_ATTEMPTS, merged
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Entry
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _events

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "ansible_collections.rstyczynski.ansible.extensions.eda.plugins.event_source.async_jobs"
KEY = JobKey("web1", "Nightly", "backup")

Options = dict[str, t.Any]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "jobs"
    directory.mkdir()
    return directory


class Reader:
    """A rulebook, as far as the source knows of it. It can be killed."""

    def __init__(self, place: Path, **options: t.Any) -> None:
        self.log: list[str] = []
        self.options = {"cursor": "test", "state_dir": str(place), "begin": "all", **options}
        self.watch = _events.Watch(self.options, self.log.append)

    def told(self, *, dies: bool = False) -> list[tuple[str, int, str]]:
        """Return what is told now, in short."""
        events = self.watch.look()
        if not dies:
            self.watch.handed_over(events)
        self.ids = [event["id"] for event in events]
        return [(event["job_name"] or event["approval_name"], event["attempt"], event["status"]) for event in events]


def store_of(place: Path) -> FilesystemStore:
    return FilesystemStore(str(place))


def attempt(place: Path, number: int, status: str = "running", key: JobKey = KEY, **fields: t.Any) -> None:
    """Save an attempt of a job, as the roles do."""
    save(store_of(place), key, {"ansible_job_id": f"j{number}.1", "status": status, **fields}, check_mode=False)


def test_each_change_is_told_once(place: Path) -> None:
    reader = Reader(place)
    assert reader.told() == []
    attempt(place, 1)
    assert reader.told() == [("backup", 1, "running")]
    assert reader.told() == []
    attempt(place, 1, "failed", reason="it broke", result={"rc": 3})
    [event] = reader.watch.look()
    assert uuid.UUID(event.pop("id")).version == 5
    record, _version = read_record(store_of(place), KEY)
    assert record is not None
    assert event == {
        "kind": "job",
        "status": "failed",
        "host": "web1",
        "playbook_name": "Nightly",
        "job_name": "backup",
        "approval_name": "",
        "workflow": "",
        "run": "",
        "subject": "",
        "expires": "",
        "reason": "it broke",
        "who": record["who"],
        "attempt": 1,
        "rc": 3,
        "start": record["start"],
        "end": record["end"],
        "end_noticed": False,
        "time": record["end"],
        "state_file": str(place / KEY.path),
        "withheld": [],
    }


def test_an_end_that_was_only_noticed_is_told_as_such(place: Path) -> None:
    """Also of a past attempt."""
    put(
        place,
        "job",
        status="running",
        ansible_job_id="j2.1",
        attempt=2,
        attempts=[
            {"attempt": 1, "ansible_job_id": "j1.1", "status": "killed", "end": "2026-01-01T00:00:00Z", "end_noticed": True},
        ],
    )
    put(place, "other", status="killed", end="2026-01-02T00:00:00Z", end_noticed=True)
    put(place, "proven", status="killed", end="2026-01-03T00:00:00Z")
    events = Reader(place, status=["killed"]).watch.look()
    assert [(event["job_name"], event["end_noticed"]) for event in events] == [("job", True), ("other", True), ("proven", False)]


def test_what_has_happened_between_two_looks_is_in_the_history(place: Path) -> None:
    reader = Reader(place)
    attempt(place, 1)
    reader.told()
    attempt(place, 1, "failed")
    attempt(place, 2, "lost")
    attempt(place, 3, "running")
    attempt(place, 3, "orphaned")
    assert reader.told() == [
        ("backup", 1, "failed"),
        ("backup", 2, "running"),
        ("backup", 2, "lost"),
        ("backup", 3, "running"),
        ("backup", 3, "orphaned"),
    ]
    attempt(place, 3, "killed")
    assert reader.told() == [("backup", 3, "killed")]
    assert reader.log[1:] == []


def test_an_end_that_is_noted_late_is_that_of_the_same_attempt(place: Path) -> None:
    """Others had called it lost, and whoever has done its work itself writes how that has ended. What was told before is not told again."""
    reader = Reader(place)
    past = [{"attempt": 1, "ansible_job_id": "", "status": "failed", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}]
    about = {"attempt": 2, "ansible_job_id": "", "start": "2026-01-02T00:00:00Z", "attempts": past}
    put(place, "job", status="lost", attempt_dir=f"/home/app/.ansible_async/{'1' * 32}", end="2026-01-02T01:00:00Z", **about)
    assert reader.told() == [("job", 1, "failed"), ("job", 2, "lost")]
    put(place, "job", status="succeeded", end="2026-01-02T02:00:00Z", **about)
    assert reader.told() == [("job", 2, "succeeded")]


def test_what_the_history_has_lost_is_said(place: Path) -> None:
    """Also where only some statuses are told, even if none of what is left has one; but not of jobs of which nobody wants to know."""
    reader = Reader(place)
    only = [Reader(place, cursor=name, **filters) for name, filters in (("a", {"status": ["failed"]}), ("b", {"status": ["lost"]}))]
    other = Reader(place, cursor="c", host="web2")
    attempt(place, 1, "failed")
    reader.told()
    for one in (*only, other):
        one.told()
    for number in range(2, PAST_ATTEMPTS + 5):
        attempt(place, number, "failed")
    told = reader.told()
    assert [number for _job, number, status in told if status == "failed"] == [*range(4, PAST_ATTEMPTS + 5)]
    said = "web1 Nightly backup: 2 attempts before attempt 4 can be found in no history any more, and cannot be told."
    assert reader.log[1:] == [said]
    assert reader.told() == []
    assert [len(one.told()) for one in (*only, other)] == [PAST_ATTEMPTS + 1, 0, 0]
    assert [one.log[1:] for one in (*only, other)] == [[said], [said], []]


def test_a_claim_is_no_change(place: Path) -> None:
    """It can be taken back, and then the record is as it was."""
    reader = Reader(place)
    attempt(place, 1, "failed")
    reader.told()
    store = store_of(place)
    before, version = read_record(store, KEY)
    assert before is not None
    claimed = merged(begin_attempt(before, before), {"status": "starting", "ansible_job_id": ""})
    write_record(store, KEY, claimed, expect=version)
    assert reader.told() == []
    write_record(store, KEY, before, expect=read_record(store, KEY)[1])
    assert reader.told() == []
    attempt(place, 2)
    assert reader.told() == [("backup", 2, "running")]


def test_a_job_that_was_forgotten_and_made_anew_is_another_one(place: Path) -> None:
    reader = Reader(place, status=["failed"])
    attempt(place, 1, "failed")
    assert reader.told() == [("backup", 1, "failed")]
    first = reader.ids
    store_of(place).delete(KEY.path)
    save(store_of(place), KEY, {"ansible_job_id": "j9.1", "status": "failed"}, check_mode=False)
    assert reader.told() == [("backup", 1, "failed")]
    assert reader.ids != first


def test_ids_are_the_same_for_whoever_looks(place: Path) -> None:
    attempt(place, 1)
    one = Reader(place, cursor="one")
    one.told()
    attempt(place, 1, "failed")
    attempt(place, 2)
    one.told()
    another = Reader(place, cursor="another")
    another.told()
    assert another.ids[1:] == one.ids


def test_a_new_cursor_begins_now(place: Path) -> None:
    """A slip in its name tells nothing, and so starts nothing."""
    attempt(place, 1, "failed")
    reader = Reader(place, begin="now")
    assert reader.told() == []
    assert "is new. 1 jobs, approvals and runs are known, 0 events to tell" in reader.log[0]
    attempt(place, 2, "failed")
    assert reader.told() == [("backup", 2, "running"), ("backup", 2, "failed")]


def test_what_cannot_be_read_when_a_cursor_begins_is_no_news_later(place: Path) -> None:
    """An old failure would be answered."""
    attempt(place, 1, "failed")
    file = place / KEY.path
    content = file.read_bytes()
    file.write_bytes(b"{")
    reader = Reader(place, begin="now")
    assert reader.told() == []
    attempt(place, 1, key=JobKey("web2", "Nightly", "copy"))
    assert reader.told() == [("copy", 1, "running")]
    file.write_bytes(content)
    assert reader.told() == []
    attempt(place, 2, "failed")
    assert reader.told() == [("backup", 2, "running"), ("backup", 2, "failed")]


def test_a_cursor_does_not_begin_where_nobody_can_tell_what_is_old(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("web1/", None, AsyncJobError("web1 cannot be listed."))
    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStore, "entries", lambda _store, prefix="": iter(() if prefix else (entry,)))
        with pytest.raises(AsyncJobError, match=r"web1 cannot be listed\. The cursor .* is new.*begin: all"):
            Reader(place, begin="now").told()
        assert not (place / changes.cursor_path("test")).exists()
        assert Reader(place, begin="all").told() == []


def test_of_two_with_different_filters_one_does_not_lose_its_events_in_silence(place: Path) -> None:
    """A cursor that was copied with the rest of a rulebook."""
    one = Reader(place, status=["failed"], kind=["job", "approval"])
    one.told()
    another = Reader(place, status=["lost"])
    another.told()
    attempt(place, 1, "failed")
    assert another.told() == []
    with pytest.raises(AsyncJobError, match="Give each rulebook a cursor of its own"):
        one.told()
    assert Reader(place, kind=["approval", "job", "job"], status=["failed"]).told() == []


def test_what_is_too_much_for_one_look_is_told_with_the_next_ones(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor that is too large could not be written, and nothing would be told ever after."""
    monkeypatch.setattr(_events, "_MOST", 3)
    for number in range(5):
        attempt(place, 1, "failed", JobKey("web1", "Nightly", f"job{number}"), reason="x" * 5000)
    options: Options = {"until": "answered", "status": ["failed", "running"]}
    reader = Reader(place, **options)
    told = reader.told()
    assert len(told) == 4
    assert {len(event.get("reason", "")) for event in json.loads((place / changes.cursor_path("test")).read_text())["pending"]} == {0, 1000}
    answered = reader.ids
    assert reader.told() == []
    assert [line for line in reader.log if "4 events of the cursor" in line and "await an answer" in line]
    for _look in range(3):
        for event in answered:
            put(place, event, host="ctl", playbook="React", status="running")
        told += reader.told()
        answered = reader.ids
    assert sorted(told) == sorted((f"job{number}", 1, status) for number in range(5) for status in ("running", "failed"))


def test_an_event_is_told_until_it_was_handed_over(place: Path) -> None:
    attempt(place, 1, "failed")
    assert Reader(place).told(dies=True) == [("backup", 1, "running"), ("backup", 1, "failed")]
    assert Reader(place).told(dies=True) == [("backup", 1, "running"), ("backup", 1, "failed")]
    reader = Reader(place)
    reader.told()
    assert reader.told() == []
    assert Reader(place).told() == []


def test_an_event_that_was_handed_over_while_the_store_is_away_is_not_told_again(place: Path) -> None:
    """The cursor hears of it with the next look."""
    attempt(place, 1, "failed")
    reader = Reader(place, status=["failed"], repeat_after=1e-6)
    events = reader.watch.look()
    place.rename(place.with_name("away"))
    with pytest.raises(AsyncJobError):
        reader.watch.handed_over(events)
    place.with_name("away").rename(place)
    assert reader.told() == []
    assert Reader(place).told() == []


def test_what_a_list_lacks_is_there_all_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is made while others write may: it would be taken for another job when it comes again."""
    attempt(place, 1, "failed")
    ask(place, "request", subject="release 7")
    reader = Reader(place)
    assert len(reader.told()) == 3
    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStore, "entries", lambda _store, _prefix="": iter(()))
        assert reader.told() == []
        attempt(place, 2)
        assert reader.told() == [("backup", 2, "running")]
    assert reader.told() == []
    store_of(place).delete(KEY.path)
    assert reader.told() == []
    assert [*json.loads((place / changes.cursor_path("test")).read_text())["seen"]] == [".approvals/Nightly/gate.json"]


def test_an_event_is_told_until_it_is_answered(place: Path) -> None:
    options: Options = {"until": "answered", "status": ["failed"]}
    attempt(place, 1, "failed")
    reader = Reader(place, **options)
    assert reader.told() == [("backup", 1, "failed")]
    assert reader.told() == []  # this rulebook has it
    again = Reader(place, **options)
    assert again.told() == [("backup", 1, "failed")]
    answer = put(place, again.ids[0], host="ctl", playbook="React", status="starting", ansible_job_id="")
    assert Reader(place, **options).told() == [("backup", 1, "failed")]  # whoever was about to start it may be gone
    answer.write_text(json.dumps({**json.loads(answer.read_text()), "status": "failed", "ansible_job_id": "j1.1"}))
    assert Reader(place, **options).told() == []
    answer.unlink()
    assert Reader(place, **options).told() == []


def test_an_event_that_nobody_answers_is_told_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever lives, even if another one has told it first."""
    clock = itertools.count()
    now = [0.0]
    monkeypatch.setattr(_events.time, "monotonic", lambda: now[0] + next(clock) * 1e-6)
    options: Options = {"until": "answered", "status": ["failed"], "repeat_after": 60}
    one, another = Reader(place, **options), Reader(place, **options)
    another.told()
    attempt(place, 1, "failed")
    assert one.told() == [("backup", 1, "failed")]
    assert another.told() == []
    now[0] = 61.0
    assert another.told() == [("backup", 1, "failed")]
    assert another.told() == []


def test_of_two_that_share_a_cursor_one_tells(place: Path) -> None:
    one, another = Reader(place), Reader(place)
    one.told(), another.told()
    attempt(place, 1)
    told = [one.told(), another.told()]
    attempt(place, 1, "failed")
    told += [another.told(), one.told()]
    assert told == [[("backup", 1, "running")], [], [("backup", 1, "failed")], []]


def test_whoever_was_overtaken_tells_nothing_that_was_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor is written only if nobody else has moved it since it was read."""
    one, another = Reader(place), Reader(place)
    one.told(), another.told()
    attempt(place, 1)
    see = changes.see
    told = []

    def overtaken(*args: t.Any) -> t.Any:
        monkeypatch.setattr(_events, "see", see)
        told.extend(another.told())
        return see(*args)

    monkeypatch.setattr(_events, "see", overtaken)
    assert one.told() == []
    assert told == [("backup", 1, "running")]


def test_whenever_it_dies(place: Path) -> None:
    """Nothing is missed, however the looks fall between the changes, and whenever whoever looks is killed."""
    dice = random.Random(1)
    told: set[tuple[str, int, str]] = set()
    reader = Reader(place, until="answered")
    expected = set()
    for number in range(1, 60):
        attempt(place, number)
        if dice.random() < 0.5:
            told.update(reader.told())
        attempt(place, number, "failed")
        expected |= {("backup", number, "running"), ("backup", number, "failed")}
        if dice.random() < 0.3:
            told.update(reader.told())
        if dice.random() < 0.3:
            reader.watch.look()  # and is killed before it can hand over anything
            reader = Reader(place, until="answered")
    told.update(Reader(place, until="answered").told())
    assert told == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"running", "failed", "lost", "requested"}),
        ({"kind": ["approval"]}, {"requested"}),
        ({"kind": "job", "host": "web2"}, {"running", "lost"}),
        ({"playbook_name": "Weekly"}, {"running", "lost"}),
        ({"job_name_pattern": "back*"}, {"running", "failed"}),
        ({"status": "lost"}, {"lost"}),
    ],
)
def test_filters(place: Path, options: Options, expected: set[str]) -> None:
    attempt(place, 1, "failed")
    attempt(place, 1, "lost", JobKey("web2", "Weekly", "copy"))
    ask(place, "request", subject="release 7")
    assert {status for _job, _attempt, status in Reader(place, **options).told()} == expected


def test_what_no_filter_wanted_is_not_told_later(place: Path) -> None:
    attempt(place, 1, "failed")
    assert Reader(place, status=["lost"]).told() == []
    assert Reader(place).told() == []


def ask(place: Path, mode: str, **params: t.Any) -> t.Any:
    spec = async_job_approval.ARGUMENT_SPEC
    given = {name: option.get("default") for name, option in spec.items()}
    given |= {"name": "gate", "playbook_name": "Nightly", "mode": mode, "state_dir": str(place), "allow_self": True, **params}
    return async_job_approval.run(given, check_mode=False)


def test_approvals(place: Path) -> None:
    reader = Reader(place)
    ask(place, "request", subject="release 7")
    assert reader.told() == [("gate", 1, "requested")]
    ask(place, "reject", subject="release 7", reason="not today", by="ann")
    ask(place, "request", subject="release 7", renew=True)
    events = reader.watch.look()
    reader.watch.handed_over(events)
    assert [(event["status"], event["attempt"], event["subject"], event["who"], event["reason"]) for event in events] == [
        ("rejected", 1, "release 7", "ann", "not today"),
        ("requested", 2, "release 7", events[1]["who"], ""),
    ]
    ask(place, "request", subject="release 8", expires_in=1)
    file = place / ".approvals/Nightly/gate.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "expires": "2026-01-01T00:00:00Z"}))
    assert reader.told() == [("gate", 3, "requested"), ("gate", 3, "expired")]
    assert reader.told() == []


def test_an_answer_is_not_answered(place: Path) -> None:
    """An answer that fails would be answered by the next one, without an end."""
    attempt(place, 1, "failed")
    reader = Reader(place, status=["failed"])
    reader.told()
    [answer] = reader.ids
    put(place, answer, status="failed")
    put(place, "part", playbook=f"Repair {answer}", status="failed")
    assert reader.told() == []
    told = Reader(place, status=["failed"], cursor="all", reactions=True).told()
    assert sorted(told) == sorted([("backup", 1, "failed"), (answer, 1, "failed"), ("part", 1, "failed")])


@pytest.mark.parametrize("text", ["{{ lookup('pipe', 'id') }}", "{% raw %}", "{# #}", "#jinja2: a", "\udc80", "a\0b"])
def test_what_could_be_a_template_is_withheld(place: Path, text: str) -> None:
    """Ansible takes extra variables for templates, and those of a rulebook hold the event."""
    attempt(place, 1, "failed", reason=text.replace("\0", "{{"))
    put(place, "job", host="-i", status="failed", reason="x" * 5000)
    [job, backup] = sorted(Reader(place, status="failed").watch.look(), key=lambda event: str(event["host"]))
    assert (backup["reason"], backup["withheld"]) == ("", ["reason"])
    assert (job["host"], job["withheld"], len(job["reason"])) == ("", ["host"], 1000)
    assert uuid.UUID(job["id"])


@pytest.mark.parametrize(
    "text",
    [
        r"'\x7b\x7b 6 * 7 \x7d\x7d'",
        r"\173\u007b 6 * 7 }}",
        r"\N{LEFT CURLY BRACKET}{ 6 * 7 }}",
        r"{\x25 raw %}",
        "'{' r'{ 6 * 7 }}'",
        "{\\\n{ 6 * 7 }}",
        "x {",
        "{'",
        "x\\",
        r"'#jin' 'ja2: variable_start_string: [['",
        r"\x23jinja2: a",
        "{'__ansible_vault': 'x'}",
        "['a', 'b']",
        "'text'",
        "{[]: 1}",
        "1j",
        "$ANSIBLE_VAULT;1.1;AES256",
    ],
)
def test_what_becomes_a_template_in_a_rulebook_is_withheld(text: str) -> None:
    """What its own templates yield, it reads as a literal of Python."""
    assert changes.for_rulebook({"reason": text})["withheld"] == ["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "4711",
        "1.10",
        "2024.10",
        "1e5",
        "1_000",
        "0x10",
        "0o17",
        "-5",
        "None",
        "True",
        "False",
        "a'b\"c",
        "v9",
        "\u00fcn\u00ef",
        "\U0001f600",
    ],
)
def test_a_text_in_a_mapping_stays_a_text(text: str) -> None:
    """As the rulebooks of the guide hand it over. Alone, it may become a number, a truth value, or nothing; and nothing else."""
    told = changes.for_rulebook({"run": text})
    assert (told["run"], told["withheld"]) == (text, [])
    render = NativeEnvironment().from_string
    assert render("{{ {'failed': event.run} }}").render(event=told) == {"failed": text}
    alone = render("{{ event.run }}").render(event=told)
    assert alone == text or isinstance(alone, (int, float, type(None)))


@pytest.mark.parametrize(
    "text", ["[Errno 2] No such file: 'a'", r"C:\users\new: it's full", '"backup" (2 of 3) has ended', "{a}", "#7", "007", "x"]
)
def test_texts_stay_texts_in_a_rulebook(text: str) -> None:
    """As it renders them: alone, in quotes, beside another one."""
    told = changes.for_rulebook({"reason": text})
    assert (told["reason"], told["withheld"]) == (text, [])
    render = NativeEnvironment().from_string
    assert render("{{ event.reason }}").render(event=told) == text
    for template in ("'{{ event.reason }}'", "['{{ event.reason }}']", '"{{ event.reason }}" "{{ event.reason }}"'):
        assert not any(mark in str(render(template).render(event=told)) for mark in ("{{", "{%", "{#"))


@pytest.mark.parametrize(
    "text",
    [
        "12345678-1234-5123-8123-123456789012",
        "00000000-0000-5000-8000-000000000000",
        "1e345678-1234-5123-8123-123456789012",
        "gitlab -234567890123456",
        "alert 0123456789012345 2026-01-01T00:00:00Z",
    ],
)
def test_a_name_that_the_rulebooks_of_the_guide_give_is_no_literal(text: str) -> None:
    """So it needs no mapping."""
    assert NativeEnvironment().from_string("{{ event.id }}").render(event={"id": text}) == text


def test_a_rulebook_reads_literals() -> None:
    """The reason for all of this: should it end, so may this."""
    assert NativeEnvironment().from_string("{{ a }}").render(a=r"'\x7b\x7b 6 * 7 \x7d\x7d'") == "{{ 6 * 7 }}"


def test_what_cannot_be_read_is_said_once_and_not_forgotten(place: Path) -> None:
    attempt(place, 1, "failed")
    reader = Reader(place)
    reader.told()
    file = place / KEY.path
    content = file.read_bytes()
    file.write_bytes(b"{")
    assert reader.told() == []
    assert reader.told() == []
    assert len([line for line in reader.log if "backup.json cannot be used" in line]) == 1
    file.write_bytes(content)
    assert reader.told() == []


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"cursor": "test", "schema_version": 1, "seen": {"a/b/c.json": 1}, "pending": []}',
        '{"cursor": "test", "schema_version": 1, "seen": {"a/b/c.json": {"number": 1, "phase": "", "told": [1]}}, "pending": []}',
        '{"cursor": "test", "schema_version": 1, "seen": {"../a/b.json": {"number": 1, "phase": "", "told": []}}, "pending": []}',
        '{"cursor": "test", "schema_version": 1, "seen": {"a/b/\\u0000": {"number": 1, "phase": "", "told": []}}, "pending": []}',
        '{"cursor": "test", "schema_version": 1, "seen": {}, "pending": [{"id": "x", "kind": "job"}]}',
        '{"cursor": "test", "schema_version": 1, "seen": {}, "pending": [{"id": "00000000-0000-5000-8000-000000000000", "kind": "job"}]}',
        '{"cursor": "test", "schema_version": 1, "seen": {}, "pending": [], "filters": []}',
        '{"cursor": "other", "schema_version": 1, "seen": {}, "pending": []}',
        '{"cursor": "test", "schema_version": 2, "seen": {}, "pending": []}',
    ],
)
def test_a_cursor_that_is_none_tells_nothing(place: Path, content: str) -> None:
    file = place / changes.cursor_path("test")
    file.parent.mkdir(parents=True)
    file.write_text(content)
    attempt(place, 1, "failed")
    with pytest.raises(AsyncJobError, match="cursor"):
        Reader(place).told()
    assert file.read_text() == content


def test_what_somebody_has_put_into_a_cursor_is_checked(place: Path) -> None:
    reader = Reader(place)
    reader.told()
    file = place / changes.cursor_path("test")
    event = {
        "id": "00000000-0000-5000-8000-000000000000",
        "kind": "job",
        "status": "failed",
        "host": ["x"],
        "attempt": "1",
        "more": 1,
        "job_name": "{{ a }}",
    }
    file.write_text(json.dumps({**json.loads(file.read_text()), "pending": [event]}))
    [told] = Reader(place).watch.look()
    assert (told["host"], told["attempt"], told["job_name"], told.get("more")) == ("", None, "", None)


def test_a_cursor_or_a_store_that_vanishes_is_not_made_anew(place: Path) -> None:
    attempt(place, 1)
    reader = Reader(place)
    reader.told()
    (place / changes.cursor_path("test")).unlink()
    with pytest.raises(AsyncJobError, match="has vanished"):
        reader.told()
    place.rename(place.with_name("away"))
    with pytest.raises(AsyncJobError, match="There is no store"):
        reader.told()
    assert not place.exists()


def test_a_store_that_is_signed_later(place: Path, tmp_path: Path) -> None:
    """The cursor is signed with all else; until then, it counts for nothing."""
    keys = tmp_path / "keys"
    keys.write_text("k" * 32)
    keys.chmod(0o600)
    Reader(place).told()
    attempt(place, 1)
    signed: Options = {"state_dir": str(place), "record_key_file": str(keys)}
    with pytest.raises(AsyncJobError, match="is not trusted"):
        Reader(place, **signed).told()
    spec = async_job_sign.ARGUMENT_SPEC
    result = async_job_sign.run({**{name: option.get("default") for name, option in spec.items()}, **signed}, check_mode=False)
    assert sorted(result["signed"]) == [changes.cursor_path("test"), KEY.path]
    assert Reader(place, **signed).told() == [("backup", 1, "running")]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"cursor": None}, "cursor"),
        ({"cursor": ""}, "cursor is empty"),
        ({"intervall": 5}, "intervall"),
        ({"interval": 0}, "interval is 0"),
        ({"feedback_timeout": "nan"}, "feedback_timeout is nan"),
        ({"status": ["starting"]}, "status"),
        ({"state_dir": ""}, "state_dir is empty"),
    ],
)
def test_wrong_options(place: Path, options: Options, why: str) -> None:
    given = {name: value for name, value in {"cursor": "a", "state_dir": str(place), **options}.items() if value is not None}
    with pytest.raises(AsyncJobError, match=why):
        _events.Watch(given, print)


def test_options_are_documented() -> None:
    """Those of the store are in the fragment that all share."""
    source = importlib.import_module(SOURCE)
    documented = yaml.safe_load(source.DOCUMENTATION)["options"]
    spec = {name: option for name, option in _events.SPEC.items() if name not in _events.STORE_OPTIONS}
    assert set(documented) == set(spec)
    for name, option in spec.items():
        for field in ("type", "elements", "required", "default", "choices"):
            assert documented[name].get(field) == option.get(field), f"{name}: {field}"
    [rulebook] = yaml.safe_load(source.EXAMPLES)
    [given] = [value for key, value in rulebook["sources"][0].items() if key != "name"]
    _events.Watch({**given, "state_dir": "/nowhere"}, print)


def test_the_source_goes_on_after_a_fault(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is there at the beginning ends it; later ones are said. With feedback, an event is handed over once the rulebook has it."""
    source = importlib.import_module(SOURCE)
    with pytest.raises(AsyncJobError, match="There is no store"):
        asyncio.run(source.main(asyncio.Queue(), {"cursor": "test", "state_dir": str(place / "nowhere")}))
    looks: list[t.Any] = [[{"id": "1"}], AsyncJobError("The service is away."), [{"id": "2"}], asyncio.CancelledError()]
    done = []

    def look(_watch: t.Any) -> t.Any:
        found = looks.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr(_events.Watch, "look", look)
    monkeypatch.setattr(_events.Watch, "handed_over", lambda _watch, events: done.extend(events))

    async def play() -> list[t.Any]:
        queue: asyncio.Queue[t.Any] = asyncio.Queue()
        feedback: asyncio.Queue[t.Any] = asyncio.Queue(1)
        told = []

        async def rulebook() -> None:
            while True:
                told.append(await queue.get())
                await feedback.put({"id": "other"})
                await feedback.put(told[-1])

        running = asyncio.create_task(rulebook())
        args = {"cursor": "test", "state_dir": str(place), "interval": 0.01, "feedback": True, "eda_feedback_queue": feedback}
        with pytest.raises(asyncio.CancelledError):
            await source.main(queue, args)
        running.cancel()
        return told

    assert asyncio.run(play()) == [{"id": "1", "meta": {"uuid": "1"}}, {"id": "2", "meta": {"uuid": "2"}}]
    assert done == [{"id": "1"}, {"id": "2"}]


def test_a_rulebook_that_does_not_say_what_it_has_holds_up_nothing(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next event is told, this one once more; and what is said late counts, unless it is of something that was never told."""
    source = importlib.import_module(SOURCE)
    for number in range(3):
        put(place, f"job{number}", status="failed", end=f"2026-01-0{number + 1}T00:00:00Z")
    known = Reader(place, cursor="other", status=["failed"])
    known.told()

    async def play() -> list[str]:
        queue: asyncio.Queue[t.Any] = asyncio.Queue()
        feedback: asyncio.Queue[t.Any] = asyncio.Queue(1)  # as that of a rulebook
        args = {"cursor": "test", "begin": "all", "state_dir": str(place), "status": "failed", "interval": 0.01, "feedback": True}
        running = asyncio.create_task(source.main(queue, {**args, "feedback_timeout": 0.2, "eda_feedback_queue": feedback}))
        told = [await queue.get()]
        told.append(await queue.get())  # it has said nothing of the first one
        await feedback.put({"id": "of something else"})
        await feedback.put(told[1])
        told.append(await queue.get())
        while "has not said in 0.2 seconds" not in caplog.messages[-1] or told[2]["id"] not in caplog.messages[-1]:
            await asyncio.sleep(0.01)
        await feedback.put(told[0])
        await feedback.put({"id": "of something else"})
        file = place / changes.cursor_path("test")
        while len(json.loads(file.read_text())["pending"]) > 1:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [event["id"] for event in told]

    assert asyncio.run(asyncio.wait_for(play(), 60)) == known.ids
    assert [event["id"] for event in Reader(place, status=["failed"]).watch.look()] == known.ids[2:]
    assert known.ids[1] not in caplog.text


def test_the_program_takes_no_word_that_has_no_value(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would print what nobody has asked for."""
    source = importlib.import_module(SOURCE)
    monkeypatch.setattr(asyncio, "run", lambda coroutine: coroutine.close())
    said = source.print_events(["cursor=test", "host", f"state_dir={place}"])
    assert said.startswith("'host' gives no option a value. No event was told.")
    assert not list(place.iterdir())


# Ends the program that it runs by SIGTERM, at a moment of its life; twice, as whoever signals a process and then its group does.
_ENDED_AT = """
import asyncio, os, runpy, selectors, signal, sys
moment, sys.argv[:] = sys.argv[1], sys.argv[2:]
def end(then=lambda: None):
    def ended(*args, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        return then(*args, **options)
    return ended
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("ansible_collections."):
            end()()
if moment == "import":
    sys.meta_path.insert(0, Finder())
elif moment == "start":
    asyncio.run = end(asyncio.run)
elif moment == "wait":
    selectors.DefaultSelector.select = end(selectors.DefaultSelector.select)
else:
    os.write = end(os.write)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("moment", ["import", "start", "wait", "print"])
def test_the_program_ends_without_a_word_whenever_it_is_ended(place: Path, moment: str) -> None:
    attempt(place, 1, "failed")
    file = importlib.import_module(SOURCE).__file__
    command = [sys.executable, "-c", _ENDED_AT, moment, str(file), "cursor=test", "begin=all", f"state_dir={place}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert [line for line in done.stderr.splitlines() if "is new" not in line] == []
