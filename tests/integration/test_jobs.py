# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook jobs: a table of all jobs, filtered and sorted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from controller import Controller
from fleet import JOBS, each, names, rows
from records import put


def test_table(controller: Controller, state_dir: Path) -> None:
    """A line for each job, the place of the store, and a summary."""
    ran = controller.playbook(JOBS).ok()
    assert f"Store: {state_dir}\nFilters: none\n" in ran.output
    assert rows(ran) == [
        ["web1", "Nightly", "backup", "succeeded", "1", "2d 23h", "2m 0s", "-", "42 tables"],
        ["web1", "Nightly", "copy", "failed", "2", rows(ran)[1][5], "10m 0s", "-", "no space left"],
        ["web2", "Nightly", "long", "running", "1", *rows(ran)[2][5:8], "3 of 7 copying"],
        ["web2", "Weekly", "gone", "lost", "1", "35d 0h", "0s", "-", "the host was rebooted"],
    ]
    assert re.fullmatch(r"40m \d+s", rows(ran)[1][5])
    assert re.fullmatch(r"5m \d+s", rows(ran)[2][5])
    assert "4 jobs: 1 running, 1 succeeded, 1 failed, 1 lost" in ran.output


FILTERS: list[tuple[dict[str, str], list[str]]] = [
    ({"status": "failed,lost"}, ["copy", "gone"]),
    ({"job_name": "c*", "playbook_name": "Nightly"}, ["copy"]),
    ({"host": "web2"}, ["long", "gone"]),
    ({"playbook": "Nightly", "job": "*o*"}, ["copy", "long"]),
    ({"sort": "age"}, ["gone", "backup", "copy", "long"]),
    ({"sort": "duration"}, ["copy", "long", "backup", "gone"]),
    ({"sort": "status"}, ["long", "backup", "copy", "gone"]),
    ({"older_than": "45m"}, ["backup", "gone"]),
    ({"older_than": "35m"}, ["backup", "copy", "gone"]),
    ({"newer_than": "1h"}, ["copy", "long"]),
]


def test_filters(controller: Controller, state_dir: Path) -> None:
    controller.hosts("web1", "web2")
    for (variables, expected), ran in zip(FILTERS, each(controller, JOBS, (case for case, _expected in FILTERS)), strict=True):
        assert names(ran) == expected, variables
        assert f"{len(expected)} job" in ran.output, variables


@pytest.mark.parametrize(
    ("options", "expected", "understood"),
    [
        (["-e", "status=failed,lost"], ["copy", "gone"], "status failed or lost"),
        (["--limit", "web2"], ["long", "gone"], "hosts of this run web2"),
    ],
)
def test_filters_of_the_command_line(
    controller: Controller, state_dir: Path, options: list[str], expected: list[str], understood: str
) -> None:
    """Those that were understood are shown."""
    controller.hosts("web1", "web2")
    ran = controller.playbook(JOBS, *options).ok()
    assert names(ran) == expected
    assert f"{len(expected)} job" in ran.output
    assert f"Filters: {understood}\n" in ran.output


def test_a_mistyped_filter(controller: Controller, state_dir: Path) -> None:
    """It is refused, also where somebody imports the playbook; and variables for other purposes are not."""
    ran = controller.playbook(JOBS, "-e", "state=failed", "-e", "env=production").failed()
    assert "jobs does not know state (did you mean status?). Nothing was done. jobs takes " in ran.text
    assert names(ran) == []
    imports = [{"import_playbook": JOBS, "vars": {"hostname": "web1"}}]
    ran = controller.playbook(json.dumps(imports) + "\n").failed()
    assert "jobs does not know hostname (did you mean host?)" in ran.text
    assert names(ran) == []
    controller.write("group_vars/all.yml", "state: production\nhostname: '{{ inventory_hostname }}'\n")
    ran = controller.playbook(JOBS, "-e", "env=production", "-e", f"ansible_user=deploy async_job_state_dir={state_dir}").ok()
    assert len(names(ran)) == 4


def test_wide_names_keep_their_columns(controller: Controller) -> None:
    put(controller.state_dir, "備份", status="succeeded", result={"stdout": "HERE"})
    put(controller.state_dir, "backup of everything", status="succeeded", result={"stdout": "HERE"})
    ran = controller.playbook(JOBS).ok()
    first, second = (line.index("HERE") for line in ran.output.splitlines() if "HERE" in line)
    assert {first - second} == {2}  # two characters, each as wide as two
