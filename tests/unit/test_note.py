# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look has taught is noted, unless somebody else knows better by then."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import note, read_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, dump, new_write_id
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

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


@pytest.mark.parametrize("status", ["running", "orphaned", "lost"])
def test_an_end_that_somebody_else_has_seen_stays(store: FilesystemStore, status: str) -> None:
    """They have looked later than we."""
    version = save_elsewhere(store, RUNNING)
    save_elsewhere(store, ENDED)
    record, after = note(store, KEY, RUNNING, version, {"status": status, "reason": "as we saw it", "end": None, "result": None})
    assert stored(store) == ENDED
    assert record["status"] == "succeeded"
    assert (record, after) == read_record(store, KEY)


def test_an_end_is_noted_over_what_was_seen_before(store: FilesystemStore) -> None:
    version = save_elsewhere(store, RUNNING)
    save_elsewhere(store, {**RUNNING, "last_line": "3 of 7"})
    note(store, KEY, RUNNING, version, {"status": "succeeded", "end": ENDED["end"], "result": {"rc": 0}})
    assert stored(store) == {**ENDED, "last_line": "3 of 7"}


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
