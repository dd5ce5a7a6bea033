# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes are to a job, at moments that nobody can bring about at will."""

from __future__ import annotations

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import roles_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import Process, _parse_ps

JOB = Job("j7.9", "job", "/tmp")
WRAPPER = ["python3", "/tmp/async_wrapper.py", "j7", "600", "/tmp/AnsiballZ_command.py", "_"]


@pytest.mark.parametrize("group", [12, 10], ids=["leads its group", "does not lead one yet"])
@pytest.mark.parametrize("watched", [True, False])
def test_wrappers(group: int, watched: bool) -> None:
    """The watcher makes the runner lead a group, and may not have come to that. If it was killed before, nobody can tell."""
    watcher = Process(11, 1, 10, 10, 0, 1.0, WRAPPER)
    runner = Process(12, 11 if watched else 1, group, 10, 0, 1.1, WRAPPER)
    module = Process(13, 12, group, 10, 0, 1.2, ["python3", "/tmp/AnsiballZ_command.py"])
    there = {process.pid: process for process in ([watcher] if watched else []) + [runner, module]}
    roles = roles_of(there, JOB)
    assert roles[13] == "descendant"
    assert roles[12] == ("runner" if watched or group == 12 else "watcher")
    assert roles.get(11, "watcher") == "watcher"


def test_what_ps_prints() -> None:
    """Lines that are none, such as the rest of an argument, are passed over; and none takes the place of a process that was there."""
    lines = [
        "  7     1     7  1000 S       01:02 sleep 60",
        "  8     1     8  1000 S           - sleep 61",
        "  ٩     1     9  1000 S       01:02 sleep 62",
        "  7     1     7     0 S       01:02 something else",
        "and the rest of an argument",
        " 10     1    10     0 Z       01:02 defunct",
        " 11     1    11     0 S  2-03:04:05 sleep 63",
    ]
    found = _parse_ps("\n".join(lines))
    assert {pid: (process.uid, process.argv) for pid, process in found.items()} == {7: (1000, ["sleep", "60"]), 11: (0, ["sleep", "63"])}
