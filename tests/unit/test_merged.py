# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of records: what they remove, what they leave alone, and in which order fields stand then."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import FIELDS, merged, parse, picked, without

RECORD: dict[str, t.Any] = {"job_name": "backup", "x_note": None, "status": "running", "end": "2026-01-01T00:00:00Z"}


def test_a_change_of_none_removes() -> None:
    assert list(merged(RECORD, {"end": None, "reason": None, "status": "lost", "boot_id": "b"}).items()) == [
        ("job_name", "backup"),
        ("x_note", None),
        ("status", "lost"),
        ("boot_id", "b"),
    ]


@pytest.mark.parametrize("changes", [{}, {"status": "running"}, {"reason": None}])
def test_a_change_of_nothing_is_none(changes: dict[str, t.Any]) -> None:
    """A field of somebody else that holds null is theirs."""
    assert merged(RECORD, changes) == RECORD


def test_the_record_itself_stays_as_it_is() -> None:
    before = dict(RECORD)
    merged(RECORD, {"status": None})
    without(RECORD, ("status",))
    assert before == RECORD


def test_fields_are_taken_out_and_left_out() -> None:
    assert list(picked(RECORD, ("status", "who", "job_name")).items()) == [("status", "running"), ("job_name", "backup")]
    assert list(without(RECORD, ("status", "who", "job_name"))) == ["x_note", "end"]


def test_types_of_fields_are_those_of_json() -> None:
    """Each can be compared with what a JSON library returns, and none is a type for type checkers alone."""
    assert {kind for kinds in FIELDS.values() for kind in (kinds if isinstance(kinds, tuple) else (kinds,))} == {
        bool,
        dict,
        float,
        int,
        list,
        str,
    }
    assert parse(b'{"job_name": "j", "host": "h", "ansible_job_id": "1.1", "timeout": 3}', where="here")["timeout"] == 3
