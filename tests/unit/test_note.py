# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look has taught is noted, unless somebody else knows better by then."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import note, read_record, save, withdraw
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, dump, new_write_id, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked

KEY = JobKey("host1", "play", "job")
RUNNING: Record = {**KEY._asdict(), "ansible_job_id": "j1.1", "metadata": {}, "status": "running"}
ENDED: Record = {**RUNNING, "status": "succeeded", "end": "2026-01-01T00:00:00Z", "result": {"rc": 0}}


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    return FilesystemStore(str(tmp_path))


def save_elsewhere(store: FilesystemStore, record: Record) -> t.Any:
    """Write a record as another controller would, and return its version."""
    return store.write(KEY.path, dump({**record, "write_id": new_write_id()}))


def stored(store: FilesystemStore) -> Record:
    record, _version = read_record(store, KEY)
    assert record is not None
    return {field: value for field, value in record.items() if field not in ("write_id", "save_time", "schema_version")}


def test_what_was_learned_is_noted(store: FilesystemStore) -> None:
    """None removes a field."""
    version = save_elsewhere(store, ENDED)
    record, after = note(store, KEY, ENDED, version, {"status": "running", "end": None, "result": None})
    assert stored(store) == RUNNING
    assert record["status"] == "running"
    assert after != version


# What stays, if somebody else has noted it (the row) and a look that was late has made out something else (the column).
_STAYS = {
    "cancelled": {"running", "orphaned", "lost", "killed", "timed_out", "failed", "succeeded", "cancelled"},
    "succeeded": {"running", "orphaned", "lost", "killed", "timed_out", "failed", "succeeded"},
    "failed": {"running", "orphaned", "lost", "killed", "timed_out", "failed", "succeeded"},
    "timed_out": {"running", "orphaned", "lost", "killed", "timed_out"},
    "killed": {"running", "orphaned", "lost", "killed"},
    "lost": {"running", "orphaned", "lost"},
    "running": set(),
    "orphaned": set(),
}


@pytest.mark.parametrize("noted", _STAYS)
@pytest.mark.parametrize("learned", _STAYS)
def test_a_look_that_was_late(store: FilesystemStore, noted: str, learned: str) -> None:
    """Only a better proof of the same attempt replaces what somebody else has noted since."""
    version = save_elsewhere(store, RUNNING)
    theirs: Record = {**RUNNING, "status": noted, "reason": "as they saw it"}
    save_elsewhere(store, theirs)
    record, after = note(store, KEY, RUNNING, version, {"status": learned, "reason": "as we saw it"})
    ours = learned not in _STAYS[noted]
    assert stored(store) == {**theirs, **({"status": learned, "reason": "as we saw it"} if ours else {})}
    assert (record, after) == read_record(store, KEY)


def test_an_end_is_noted_over_what_was_seen_before(store: FilesystemStore) -> None:
    version = save_elsewhere(store, RUNNING)
    save_elsewhere(store, {**RUNNING, "last_line": "3 of 7"})
    note(store, KEY, RUNNING, version, {"status": "succeeded", "end": ENDED["end"], "result": {"rc": 0}})
    assert stored(store) == {**ENDED, "last_line": "3 of 7"}


BY = {"who": "ann@ctl", "time": "2026-02-01T03:12:09Z", "reason": "wrong database"}


@pytest.mark.parametrize("noted", ["failed", "killed", "timed_out", "succeeded"])
def test_an_order_stands(store: FilesystemStore, noted: str) -> None:
    """Somebody has noted how the job ended, while it was being cancelled: that it was, and by whom, is noted as well."""
    version = save_elsewhere(store, RUNNING)
    theirs: Record = {**RUNNING, "status": noted, "reason": "as they saw it", "cancelling": BY}
    save_elsewhere(store, theirs)
    note(store, KEY, RUNNING, version, {"status": noted, "reason": "as we saw it", "cancelled": BY, "cancelling": None})
    assert stored(store) == {**without(theirs, ["cancelling"]), "cancelled": BY}


def test_a_look_that_was_late_takes_no_order_away(store: FilesystemStore) -> None:
    """It has seen the job run, so nobody had cancelled it by then."""
    version = save_elsewhere(store, RUNNING)
    theirs: Record = {**RUNNING, "status": "cancelled", "reason": "as they saw it", "cancelled": BY}
    save_elsewhere(store, theirs)
    learned = Asked(Job("j1.1", "job", "/tmp"), KEY, RUNNING).learned({**UNSEEN, "status": "running", "reason": ""}, secret=False)
    note(store, KEY, RUNNING, version, learned)
    assert stored(store) == theirs


def test_an_intent_is_taken_back(store: FilesystemStore) -> None:
    version = save_elsewhere(store, {**RUNNING, "cancelling": BY})
    note(store, KEY, {**RUNNING, "cancelling": BY}, version, {"cancelling": None})
    assert stored(store) == RUNNING


def test_an_order_about_a_job_that_was_just_being_started(store: FilesystemStore) -> None:
    """Its controller has noted meanwhile that it runs. It is the same attempt."""
    prepared: Record = {**RUNNING, "status": "prepared", "ansible_job_id": "", "attempt_dir": "/a"}
    version = save_elsewhere(store, prepared)
    save_elsewhere(store, {**prepared, "status": "running", "ansible_job_id": "j1.1"})
    note(store, KEY, prepared, version, {"ansible_job_id": "j1.1", "status": "failed", "cancelled": BY})
    assert (stored(store)["status"], stored(store)["cancelled"]) == ("failed", BY)


def test_nobody_is_about_to_cancel_what_has_ended(store: FilesystemStore) -> None:
    version = save_elsewhere(store, RUNNING)
    save_elsewhere(store, ENDED)
    note(store, KEY, RUNNING, version, {"cancelling": BY})
    assert stored(store) == ENDED


def test_nobody_replaces_who_is_at_it(store: FilesystemStore) -> None:
    """What one of two is refused does not bring back, or take away, what the other one says."""
    version = save_elsewhere(store, RUNNING)
    ours, _version = note(store, KEY, RUNNING, version, {"cancelling": BY})
    theirs = {**BY, "who": "bob@ctl"}
    assert note(store, KEY, ours, _version, {"cancelling": theirs})[0] == ours
    withdraw(store, KEY, theirs)
    assert stored(store)["cancelling"] == BY
    withdraw(store, KEY, BY)
    assert "cancelling" not in stored(store)
    withdraw(store, KEY, BY)


def test_an_intent_of_a_record_that_has_ended_meanwhile(store: FilesystemStore) -> None:
    """Also if whoever has it has read the record when that was already so."""
    version = save_elsewhere(store, ENDED)
    assert note(store, KEY, ENDED, version, {"cancelling": BY})[0] == ENDED
    save_elsewhere(store, {**RUNNING, "attempt_dir": "/a", "cancelling": BY})
    _before, after = save(store, KEY, {"status": "killed"}, check_mode=False)
    assert after is not None
    assert "cancelling" not in after


@pytest.mark.parametrize(("status", "stands"), [("failed", True), ("killed", True), ("succeeded", False), ("timed_out", False)])
@pytest.mark.parametrize("attempt_dir", ["", "/a"])
def test_what_became_of_an_intent(store: FilesystemStore, status: str, stands: bool, attempt_dir: str) -> None:
    """That somebody was about to cancel a job proves no signal. What has ended as if it had got one keeps its word, and the order
    stands. Of an attempt, the host would have said that it was cancelled."""
    record: Record = {**RUNNING, "cancelling": BY, **({"attempt_dir": attempt_dir} if attempt_dir else {})}
    version = save_elsewhere(store, record)
    after, _version = note(store, KEY, record, version, {"status": status, "reason": "the job has ended"})
    assert (after["status"], after.get("cancelling")) == (status, None)
    ordered = stands and not attempt_dir
    assert after.get("cancelled") == (BY if ordered else None)
    assert after["reason"] == "the job has ended" + (", after ann@ctl had begun to cancel it" if ordered else "")


def test_an_end_that_somebody_has_noticed() -> None:
    """Without a result, nothing says when that was. Should one come, it does."""
    asked = Asked(Job("j1.1", "job", "/tmp"), KEY, {**RUNNING})
    killed: Seen = {**UNSEEN, "status": "killed", "reason": "it was killed"}
    first = asked.learned(killed, secret=False)
    assert first["end_noticed"]
    assert first["end"]
    asked.record = {**RUNNING, **{name: first[name] for name in ("status", "reason", "end", "end_noticed", "ended")}}
    assert "end" not in asked.learned(killed, secret=False)
    then = asked.learned({**killed, "ended_ago": 3600.0, "elapsed": 5.0}, secret=False)
    assert then["end"] < first["end"]
    assert (then["end_noticed"], then["elapsed"]) == (None, 5.0)
    assert then["ended"] is None or then["ended"]["up"] < first["ended"]["up"] - 3000
    for lie in (-1.0, 1e12, float("inf")):
        assert "elapsed" not in asked.learned({**killed, "ended_ago": 3600.0, "elapsed": lie}, secret=False)
    asked.record = {**RUNNING, **{name: then[name] for name in ("status", "reason", "end", "elapsed", "ended")}}
    assert not {"end", "ended", "elapsed"} & asked.learned({**killed, "ended_ago": 3700.0, "elapsed": 5.01}, secret=False).keys()
    again = asked.learned({**UNSEEN, "status": "running"}, secret=False)
    assert (again["end"], again["end_noticed"], again["elapsed"]) == (None, None, None)


def test_what_there_is_to_say_of_a_job_that_runs() -> None:
    """Beside for how long, which would be another word each time."""
    asked = Asked(Job("j1.1", "job", "/tmp"), KEY, {**RUNNING})
    whole = "job 'a; has been running for b' on h has been running for 00:00:15"
    for rest, remark in (("", None), ("; its wrapper is gone, so nobody ends it; but", "its wrapper is gone, so nobody ends it; but")):
        assert asked.learned({**UNSEEN, "status": "running", "reason": whole + rest}, secret=False)["reason"] == remark
    whole = "job 'a; b' on h is being cancelled by ann at 2026-02-01T03:12:09Z"
    assert asked.learned({**UNSEEN, "status": "running", "reason": whole}, secret=False)["reason"] == whole


def test_what_somebody_corrects(store: FilesystemStore) -> None:
    """Of an end that was none, nothing is left."""
    save_elsewhere(store, {**RUNNING, "status": "killed", "end_noticed": True, "elapsed": 5.0, "ended": {"boot_id": "b", "up": 1.0}})
    _before, after = save(store, KEY, {"status": "running"}, check_mode=False)
    assert after is not None
    assert not {"end", "end_noticed", "elapsed", "ended"} & after.keys()


def test_what_runs_was_not_cancelled() -> None:
    """Whatever its record says."""
    asked = Asked(Job("j1.1", "job", "/tmp"), KEY, {**RUNNING, "status": "killed", "cancelled": BY})
    assert asked.learned({**UNSEEN, "status": "running", "reason": ""}, secret=False)["cancelled"] is None


def test_whose_order_a_full_disk_has_no_room_for() -> None:
    """The record says it."""
    somebody = {"who": "somebody", "time": "2026-02-01T03:12:10Z", "reason": ""}
    look: Seen = {**UNSEEN, "status": "cancelled", "reason": "it was cancelled by somebody", "cancelled": somebody}
    for record, by in ((RUNNING, somebody), ({**RUNNING, "cancelling": BY}, BY), ({**RUNNING, "status": "cancelled", "cancelled": BY}, BY)):
        assert Asked(Job("j1.1", "job", "/tmp"), KEY, record).learned(look, secret=False)["cancelled"] == by


def test_another_attempt_is_left_alone(store: FilesystemStore) -> None:
    version = save_elsewhere(store, RUNNING)
    next_one = {**RUNNING, "ansible_job_id": "j2.2", "attempt": 2}
    save_elsewhere(store, next_one)
    record, _version = note(store, KEY, RUNNING, version, {"status": "killed"})
    assert stored(store) == next_one
    assert record["ansible_job_id"] == "j2.2"


def test_a_record_that_was_removed_is_not_made_anew(store: FilesystemStore) -> None:
    version = save_elsewhere(store, RUNNING)
    store.delete(KEY.path)
    assert note(store, KEY, RUNNING, version, {"status": "killed"}) == (RUNNING, ABSENT)
    assert store.read(KEY.path) is None


@pytest.mark.parametrize("known", ["succeeded", "failed", "killed", "timed_out"])
def test_a_cancel_that_nobody_believes(known: str) -> None:
    """Whose directory it is, says that somebody has cancelled a job whose end was noted: neither its status nor that word changes."""
    by = {"who": "me", "time": "now", "reason": ""}
    asked = Asked(Job("j1.1", "job", "/tmp"), KEY, {**ENDED, "status": known})
    look = asked.settled({**UNSEEN, "status": "cancelled", "reason": "", "cancelled": by}, contacted="h")
    learned = asked.learned(look, secret=False)
    assert (learned["status"], learned.get("cancelled")) == (known, None)
