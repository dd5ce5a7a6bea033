# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of a semaphore, and what the records of its jobs say of its slots."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_state
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import (
    Held,
    Holder,
    check_semaphore,
    free_slot,
    held_now,
    hold_slot,
    most_of,
    parse_semaphore,
    path_of_semaphore,
    read_semaphore,
    who_holds,
    why_held,
    write_semaphore,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store

SLOTS = [f"{number:032x}" for number in range(9)]


def holder(number: int, at_most: int = 2) -> Holder:
    return Holder("db01", "Dump", f"job{number}", SLOTS[number], at_most, 1, "ann@ctl", "2026-11-27T12:03:00Z")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(options(tmp_path), lambda line: None)


def options(root: Path, **given: t.Any) -> dict[str, t.Any]:
    params = {name: spec.get("default") for name, spec in async_job_state.ARGUMENT_SPEC.items()}
    return {**params, "backend": "filesystem", "state_dir": str(root), **given}


def record(number: int, **fields: t.Any) -> t.Any:
    names = {"host": "db01", "playbook_name": "Dump", "job_name": f"job{number}", "ansible_job_id": "j1.1", "metadata": {}}
    return {**names, "status": "running", "semaphore": {"name": "dumps", "slot": SLOTS[number]}, **fields}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"semaphore": "other"}, "it is of the semaphore 'other'"),
        ({"schema_version": 2}, "was written by another release"),
        ({"holders": {}}, "its holders are no list"),
        ({"holders": [{}]}, "one of its holders is none"),
        ({"holders": [{**holder(1)._asdict(), "slot": "../x"}]}, "one of its holders is none"),
        ({"holders": [{**holder(1)._asdict(), "at_most": True}]}, "one of its holders is none"),
        ({"holders": [holder(1)._asdict(), holder(1)._asdict()]}, "two of its holders have the same slot"),
    ],
)
def test_documents_that_are_none(store: Store, change: dict[str, t.Any], said: str) -> None:
    write_semaphore(store, "dumps", [holder(1)], expect=ABSENT)
    document = store.read(path_of_semaphore("dumps"))
    assert document is not None
    assert check_semaphore(document.content, path_of_semaphore("dumps"), where="x") == (holder(1),)
    with pytest.raises(AsyncJobError, match="is not where it belongs"):
        check_semaphore(document.content, path_of_semaphore("others"), where="x")
    with pytest.raises(AsyncJobError, match=said):
        parse_semaphore(json.dumps({**json.loads(document.content), **change}).encode(), "dumps", where="x")
    with pytest.raises(AsyncJobError, match="not valid JSON"):
        parse_semaphore(b"{", "dumps", where="x")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "its record is gone"),
        (record(1), "running, as last recorded"),
        (record(1, status="orphaned"), "orphaned, as last recorded"),
        (record(1, status="prepared", claim={"who": "bob@ctl"}), "is being started by bob@ctl"),
        (record(1, status="starting", claim={"who": "bob@ctl", "own_work": "reboot"}), "is being started by bob@ctl"),
        (record(1, status="prepared", claim={"who": "bob@ctl", "own_work": "reboot"}), "reboot is at its work in the run of bob@ctl"),
        (record(1, status="lost", claim={"own_work": "reboot"}), "may still be under way: reboot does its work itself"),
        (record(1, status="succeeded"), ""),
        (record(1, status="lost"), ""),
        (record(1, semaphore={"slot": SLOTS[2]}), ""),
        ({**record(1), "semaphore": {}}, ""),
        (
            record(1, semaphore={"slot": SLOTS[2]}, attempts=[{"attempt": 3, "status": "running", "semaphore": {"slot": SLOTS[1]}}]),
            "attempt 3 was",
        ),
        (record(1, semaphore={"slot": SLOTS[2]}, attempts=[{"status": "killed", "semaphore": {"slot": SLOTS[1]}}]), ""),
    ],
)
def test_what_a_record_says_of_a_slot(found: t.Any, why: str) -> None:
    """It is free only if the attempt is known to have ended, or to have been given up."""
    assert why_held(holder(1), found).startswith(why)
    assert bool(why) == bool(why_held(holder(1), found))


def test_the_least_number_counts() -> None:
    assert most_of(3, []) == 3
    assert most_of(3, [holder(1, 5), holder(2, 2)]) == 2
    held = [Held(holder(number), "running, as last recorded") for number in range(7)]
    assert who_holds("dumps", 9, held[:1]) == "dumps (1 of 2): db01/Dump/job0 since 2026-11-27T12:03:00Z"
    assert who_holds("dumps", 9, held).endswith(", and 2 more")
    assert "(its record is gone)" in who_holds("dumps", 9, [Held(holder(1), "its record is gone")])


def test_a_record_that_is_made_anew_has_its_slot(store: Store) -> None:
    """Its job runs, or may, however many others do. Of one that has ended, there is nothing to hold."""
    write_semaphore(store, "dumps", [holder(1)], expect=ABSENT)
    for number, status in ((1, "running"), (2, "orphaned"), (3, "succeeded")):
        slot = {"name": "dumps", "at_most": 1, "slot": SLOTS[number]}
        hold_slot(store, record(number, status=status, semaphore=slot, who="ann@ctl", start="2026-11-27T12:03:00Z"))
    hold_slot(store, record(4, semaphore={}))
    slot = {"name": "dumps", "at_most": 1, "slot": SLOTS[0]}
    hold_slot(store, record(0, status="lost", claim={"own_work": "reboot"}, semaphore=slot, who="ann@ctl", start="2026-11-27T12:03:00Z"))
    with pytest.raises(AsyncJobError, match="cannot be noted in the semaphore dumps"):  # else nobody could read it any more
        hold_slot(store, record(5, status="running", semaphore={"name": "dumps", "at_most": 1, "slot": SLOTS[4]}, who="x" * 5000))
    assert read_semaphore(store, "dumps")[0] == (holder(1), holder(2, 1), holder(0, 1))


def test_who_removes_a_record_frees_its_slot(store: Store, tmp_path: Path) -> None:
    """If the job has ended; of one that has not, or whose record is gone, only if somebody insists."""
    for number, status in ((1, "succeeded"), (2, "running")):
        write_record(store, holder(number).key, record(number, status=status), expect=ABSENT)
    write_semaphore(store, "dumps", [holder(1), holder(2), holder(3)], expect=ABSENT)
    assert [(one.holder.job_name, one.why.partition(",")[0]) for one in held_now(store, "dumps")] == [
        ("job2", "running"),
        ("job3", "its record is gone"),
    ]

    def forget(number: int, **given: t.Any) -> t.Any:
        names = holder(number).key._asdict()
        return async_job_state.run(options(tmp_path, state="absent", **names, **given), check_mode=False)

    assert forget(1)["changed"]
    assert read_semaphore(store, "dumps")[0] == (holder(2), holder(3))
    with pytest.raises(AsyncJobError, match="is running"):
        forget(2)
    assert forget(3)["changed"] is False
    assert read_semaphore(store, "dumps")[0] == (holder(2), holder(3))
    assert [forget(number, force=True)["changed"] for number in (2, 3, 3)] == [True, True, False]
    assert read_semaphore(store, "dumps")[0] == ()
    free_slot(store, record(1))
    free_slot(store, record(1, semaphore={"name": 3}))
