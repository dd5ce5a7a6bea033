# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host answers, whoever has made it up, has the form of an answer, or is none."""

from __future__ import annotations

import os
import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import look_and_output
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import (
    heard_list,
    heard_look,
    heard_processes,
    heard_text,
    heard_texts,
)


def test_what_our_own_program_answers(tmp_path: t.Any) -> None:
    """A look at a job that has ended well, and at one that is not there."""
    (tmp_path / "j1.2").write_text('{"rc": 0, "stdout": "PROGRESS 1/2 half", "changed": true}')
    jobs = [{"job_id": job_id, "label": "job", "directory": str(tmp_path), "keep": 10} for job_id in ("j1.2", "j3.4")]
    answer = look_and_output.main(jobs, "full", 100)
    seen = [heard_look(look) for look in heard_list(answer, "looks", 2)]
    assert [look["status"] for look in seen] == ["succeeded", "unknown" if os.geteuid() else "lost"]
    assert seen[0].keys() == UNSEEN.keys()


ODD: list[tuple[str, t.Any]] = [
    ("status", "fine"),
    ("status", ["running"]),
    ("status", None),
    ("status", "starting"),
    ("reason", {}),
    ("reason", "x" * 300_000),
    ("boot_id", "x" * 100),
    ("boot_id", "x;y"),
    ("results_file", "/home/app/\0"),
    ("ended_ago", -1),
    ("ended_ago", 10**11),
    ("result", []),
    ("result", "x"),
    ("processes", {}),
    ("processes", [1]),
    ("processes", [{"pid": "1; id", "ppid": 1, "uid": 0, "role": "runner"}]),
    ("processes", [{"pid": 1, "ppid": 1, "uid": 0, "role": "runner", "command": []}]),
    ("processes", [{"pid": 1, "ppid": 1, "uid": 0, "role": "runner", "more": 1}]),
    ("elapsed", "1"),
    ("elapsed", True),
    ("elapsed", float("inf")),
    ("elapsed", float("nan")),
    ("end", "tomorrow"),
    ("end", 5),
    ("boot_id", None),
    ("runner", {"pid": -1, "start": 0.0, "session": 1}),
    ("runner", {"pid": 1, "start": 0.0}),
    ("runner", {"pid": 1, "start": 0.0, "session": 1, "more": 1}),
    ("runner", []),
    ("stdout", None),
    ("stderr", ["x"]),
    ("stdout_size", -1),
    ("stderr_size", 1 << 80),
    ("stdout_offset", 0.5),
    ("stderr_offset", False),
    ("progress", {"current": 1, "total": 2}),
    ("progress", {"current": "1", "total": 2, "text": ""}),
    ("kept", {"stdout": ""}),
    ("kept", {"stdout": "", "stderr": 1}),
    ("kept", {"stdout": "", "stderr": "", "add_host": {}}),
    ("warnings", "x"),
    ("warnings", [1]),
    ("secret", "no"),
]


@pytest.mark.parametrize(("field", "value"), ODD, ids=repr)
def test_an_odd_field(field: str, value: t.Any) -> None:
    with pytest.raises(AsyncJobError, match=f"has no such {field}"):
        heard_look({**UNSEEN, field: value})


def test_fields_that_are_missing_and_others() -> None:
    """What is missing is named; what nobody knows is passed over, whatever it would do in a result."""
    assert heard_look({**UNSEEN, "add_host": {"host_name": "x"}}) == UNSEEN
    for field in UNSEEN:
        with pytest.raises(AsyncJobError, match=field):
            heard_look({name: value for name, value in UNSEEN.items() if name != field})
    for value in (None, [], "x", 5):
        with pytest.raises(AsyncJobError, match="no look"):
            heard_look(value)


def test_other_answers() -> None:
    """Of cancel, clear and erase."""
    for value in ({}, {"jobs": None}, {"jobs": []}, {"jobs": [1]}, {"jobs": [{}, {}]}):
        with pytest.raises(AsyncJobError, match="has no jobs, 1 of them"):
            heard_list(value, "jobs", 1)
    for hear, values in ((heard_processes, (None, {}, [1])), (heard_texts, (None, "x", [1])), (heard_text, (None, 1, []))):
        for odd in values:
            with pytest.raises(AsyncJobError, match="answer of the host"):
                hear(odd)


def test_a_host_that_keeps_more_than_it_was_asked_for() -> None:
    """The record gets no more than the task wants it to have."""
    record: t.Any = {"ansible_job_id": "j1.1", "host": "h", "playbook_name": "p", "job_name": "j", "status": "running"}
    asked = Asked(Job("j1.1", "job", "/tmp"), None, record)
    asked.keep(4)
    look = {**UNSEEN, "status": "succeeded", "result": {"rc": 0}, "kept": {"stdout": "0123456789", "stderr": ""}}
    assert asked.learned(heard_look(look), secret=False)["result"]["stdout"] == "6789"
