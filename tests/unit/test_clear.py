# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What prune removes on a host: what the record names, and what it had to forget. Not what is another store's, or newer."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import job_file, noting
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK, mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.clear import clear
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job

KEY = "host1/play/job.json"


def attempt(parent: Path, letter: str, begun: float) -> Path:
    """An attempt that has succeeded."""
    directory = parent / (letter * 32)
    directory.mkdir(mode=0o700)
    (directory / MARK).write_text(mark(KEY, directory.name) + "\n")
    (directory / "j7.9").write_text(json.dumps({"rc": 0, "changed": True}))
    os.utime(directory / MARK, (begun, begun))
    return directory


def look(directory: Path) -> dict[str, t.Any]:
    return Job("j7.9", "job 'job' on host1", str(directory), exclusive=True, attempt=directory.name, key=KEY)._asdict()


@pytest.mark.parametrize("has_forgotten", [True, False])
def test_attempts_that_a_record_does_not_name(tmp_path: Path, has_forgotten: bool) -> None:
    """Older ones go with it if it was cut. Newer ones were started from another store, or since the record was read."""
    older, named, last, newer = (attempt(tmp_path, letter, 1e9 + number) for number, letter in enumerate("abcd"))
    fence = tmp_path / ("e" * 32)
    fence.write_text(mark(KEY, fence.name) + "\n")
    [answer] = clear([{"looks": [look(named), look(last)], "has_forgotten": has_forgotten, "first_part": ""}])
    assert answer["refused"] == ""
    assert {
        name
        for name in ("older", "named", "last", "newer")
        if {"older": older, "named": named, "last": last, "newer": newer}[name].exists()
    } == ({"newer"} if has_forgotten else {"older", "newer"})
    assert fence.exists(), "whoever was frozen must not begin that attempt after all"


def test_forgotten_attempts_of_another_store(tmp_path: Path) -> None:
    """They stay, and are named: that store may not have seen how they have ended."""
    ours, other, named = (attempt(tmp_path, letter, 1e9 + number) for number, letter in enumerate("abc"))
    [answer] = clear([{"looks": [look(named)], "has_forgotten": True, "first_part": "aaaa"}])
    assert (ours.exists(), other.exists(), named.exists()) == (False, True, False)
    [left] = answer["left"]
    assert left.startswith(f"{other}: is of the same job")


def test_an_attempt_that_never_began(tmp_path: Path) -> None:
    """With a file in its place, it is no reason to keep the rest. Without, nobody can tell."""
    last, fence, gone = attempt(tmp_path, "a", 1e9), tmp_path / ("e" * 32), tmp_path / ("f" * 32)
    fence.write_text(mark(KEY, fence.name) + "\n")
    never, unknown = ({**look(place), "job_id": ""} for place in (fence, gone))
    [refused] = clear([{"looks": [look(last), unknown], "has_forgotten": False, "first_part": ""}])
    assert "it has not started so far" in refused["refused"]
    assert last.exists()
    [answer] = clear([{"looks": [look(last), never], "has_forgotten": False, "first_part": ""}])
    assert (answer["refused"], answer["left"], answer["removed"]) == ("", [], [str(last)])
    assert (last.exists(), fence.exists()) == (False, True)


def test_what_the_host_has_noted_of_the_job(tmp_path: Path) -> None:
    """It goes with the last attempt of the record. What names another one, which was started from another store, stays."""
    first, last, other = (attempt(tmp_path, letter, 1e9) for letter in "abc")
    for noted, known in ((first, []), (last, [first])):
        job = {"attempt_dir": str(noted), "key": KEY, "is_direct": True, "content": json.dumps({"attempt_dir": str(noted)})}
        with job_file.opened(str(tmp_path)) as parent:
            assert noting.note(parent, {**job, "known": [*map(str, known)], "others": []}) is None
    clear([{"looks": [look(first)], "has_forgotten": False, "first_part": ""}])
    clear([{"looks": [look(other)], "has_forgotten": False, "first_part": ""}])
    assert len([*tmp_path.glob(f"{job_file.JOBS}*/*/*")]) == 1
    [answer] = clear([{"looks": [look(last)], "has_forgotten": False, "first_part": ""}])
    assert [*tmp_path.glob(f"{job_file.JOBS}*")] == []
    assert len(answer["removed"]) == 2


def test_nothing_tells_what_is_older(tmp_path: Path) -> None:
    """What the record names is gone from the host: then nothing goes that it does not name."""
    other = attempt(tmp_path, "a", 1e9)
    clear([{"looks": [look(tmp_path / ("b" * 32))], "has_forgotten": True}])
    assert other.exists()
