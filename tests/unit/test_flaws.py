# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a record may not hold if work on a host is to be based on it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of

DIRECTORY = f"/home/app/.ansible_async/{7:032x}"
NATIVE: dict[str, t.Any] = {"ansible_job_id": "j123.45", "async_dir": "~/.ansible_async", "host": "h1", "status": "running"}
ATTEMPT: dict[str, t.Any] = {
    **NATIVE,
    "async_dir": DIRECTORY,
    "attempt_dir": DIRECTORY,
    "stdout_file": f"{DIRECTORY}/stdout",
    "stderr_file": f"{DIRECTORY}/stderr",
    "become_user": "app",
    "remote_user": "op",
    "delegated_host": "db.example.org",
    "runner": {"pid": 1, "start": 1.5, "session": 1},
}


@pytest.mark.parametrize(
    "record",
    [
        NATIVE,
        ATTEMPT,
        {**NATIVE, "async_dir": "C:\\results", "stdout_file": "/var/log/job"},
        {**NATIVE, "ansible_job_id": "", "status": "starting", "claim": {"who": "me@here", "fenced": 2}},
        {**ATTEMPT, "ansible_job_id": "", "status": "prepared"},
        {**NATIVE, "become_user": "svc$", "remote_user": ""},
        {**ATTEMPT, "semaphore": {"name": "dumps", "at_most": 3, "slot": f"{7:032x}"}},
        {**ATTEMPT, "awx": {"user_name": "alice@example.com", "job_id": 12, "workflow_job_id": 10, "schedule_name": "each night"}},
    ],
)
def test_records_of_ours_have_none(record: dict[str, t.Any]) -> None:
    assert flaw_of(record) == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tail_size", 10**30),
        ("success_codes", [0, "2"]),
        ("success_codes", [True]),
        ("store_result", [["x"]]),
        ("first_attempt", 8),
        ("timeout", 10**400),
        ("ended", {"boot_id": "x", "up": 10**4000}),
        ("ended", {"boot_id": "x", "up": True}),
        ("place", {"boot_id": "x", "time": "abc"}),
        ("place", {"boot_id": "x", "time": 2**59}),
        ("place", {"boot_id": 1}),
        ("place", {"whatever": "x"}),
        ("boot_id", "a\0b"),
        ("boot_id", "\ud800"),
        ("boot_id", "x" * 300),
        ("boot_id", "$(id)"),
        ("claim", {"who": "jane@bastion\nthe job has ended", "fenced": 0}),
        ("claim", {"who": "jane@bastion", "fenced": -1}),
        ("awx", {"user_name": "alice\nthe job has ended"}),
        ("awx", {"user_name": 7}),
        ("awx", {"job_id": "12"}),
        ("awx", {"job_id": True}),
        ("awx", {"workflow_job_id": -1}),
        ("ansible_job_id", "../j1.2"),
        ("ansible_job_id", "passwd"),
        ("ansible_job_id", "j1.2\n"),
        ("ansible_job_id", "j1.*"),
        ("ansible_job_id", ""),
        ("attempt_dir", "/etc/nologin"),
        ("attempt_dir", f"{DIRECTORY}/"),
        ("attempt_dir", f"/home/../etc/{7:032x}"),
        ("attempt_dir", f"//etc/{7:032x}"),
        ("attempt_dir", f"home/{7:032x}"),
        ("async_dir", "~/x\ny"),
        ("stdout_file", "/etc/shadow"),
        ("stdout_file", f"{DIRECTORY}/../stdout"),
        ("stderr_file", f"{DIRECTORY}/stdout"),
        ("become_user", "root id >/tmp/x; #"),
        ("become_user", "-u"),
        ("become_user", "../app"),
        ("become_user", "app\n"),
        ("remote_user", "$(id)"),
        ("delegated_host", "-oProxyCommand=id"),
        ("delegated_host", "{{ x }}"),
        ("tail_size", -1),
        ("stdout_offset", -1),
        ("claim", {"fenced": "many"}),
        ("claim", {"fenced": -1}),
        ("claim", {"who": []}),
        ("semaphore", {"name": "dumps", "slot": f"{7:032x}"}),
        ("semaphore", {"name": "dumps", "at_most": True, "slot": f"{7:032x}"}),
        ("semaphore", {"name": "dumps", "at_most": 3, "slot": "../x"}),
        ("semaphore", {"name": "a\nb", "at_most": 3, "slot": f"{7:032x}"}),
    ],
)
def test_what_is_none_of_ours_is_named(field: str, value: t.Any) -> None:
    both = {"async_dir": value} if field == "attempt_dir" else {}
    assert f" holds {value!r}, which" in flaw_of({**ATTEMPT, field: value, **both})


def test_an_attempt_has_one_directory() -> None:
    """With another one for its results, the files of others would be taken for its own."""
    assert "'attempt_dir'" in flaw_of({**ATTEMPT, "async_dir": "/etc"})
    nowhere = {name: value for name, value in ATTEMPT.items() if name not in ("attempt_dir", "async_dir", "stdout_file", "stderr_file")}
    assert flaw_of(nowhere) == ""
    assert "attempt_dir is missing" in flaw_of({**nowhere, "origin": {"host": "host1", "store": "/srv", "who": "me@there", "start": ""}})
