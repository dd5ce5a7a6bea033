# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that data from records and hosts has to keep."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._keywords import plain_result
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import (
    is_attempt_directory,
    is_job_id,
    is_plain_path,
    is_user_name,
)

ATTEMPT = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    ["root", "app", "_apt", "www-data", "first.last", "Admin2", "machine$", "CORP\\jane", "CORP+jane", "jane@corp.example.com", "4d"],
)
def test_users(name: str) -> None:
    assert is_user_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "-u",
            "root id >/tmp/x; #",
            "root\n",
            "ro ot",
            "a;b",
            "$(id)",
            "$x",
            "`id`",
            "a'b",
            'a"b',
            "a/b",
            "~root",
            "#0",
            "0",
        ),
        *(".", "..", "123", "a" * 65, "{{ x }}", "a@b@c", "a\\b\\c", "root\x00", None, 0, ["root"], True),
    ],
)
def test_no_users(name: t.Any) -> None:
    assert not is_user_name(name)


@pytest.mark.parametrize("job_id", ["j1.1", "j314159265358.2718"])
def test_job_ids(job_id: str) -> None:
    assert is_job_id(job_id)


@pytest.mark.parametrize(
    "job_id", ["", "passwd", "j1", "1.2", "j1.1\n", "j1.1.tmp", "../j1.1", "j1.1/x", "j\u0661.1", "j1.-1", "J1.1", None, 1.1, ["j1.1"]]
)
def test_no_job_ids(job_id: t.Any) -> None:
    assert not is_job_id(job_id)


def test_paths() -> None:
    """Absolute, and in their shortest form."""
    assert all(map(is_plain_path, ("/a", "/home/app/.ansible_async/x y", "/é")))
    odd = ("", "/", "a", "~/a", "/a/", "/a//b", "/a/../b", "/a/./b", "/a\n", "/a\x1b[2J", "//a", None, 1, ["/a"])
    assert not any(map(is_plain_path, odd))


def test_directories_of_attempts() -> None:
    assert is_attempt_directory(f"/home/app/.ansible_async/{ATTEMPT}")
    odd = (
        ATTEMPT,
        f"/etc/../{ATTEMPT}",
        "/etc/nologin",
        f"/a/{ATTEMPT}/",
        f"/a/{ATTEMPT}\n",
        f"/a/{ATTEMPT.upper()}",
        f"/a/{ATTEMPT}0",
        None,
    )
    assert not any(map(is_attempt_directory, odd))


@pytest.mark.parametrize(
    "keyword",
    [
        *("add_host", "add_group", "ansible_facts", "ansible_stats", "skipped", "skip_reason", "unreachable", "failed_when_result"),
        *(
            "_ansible_no_log",
            "_ansible_notify",
            "_ansible_delegated_vars",
            "_anything",
            "ansible_loop_var",
            "ansible_job_id",
            "include_args",
        ),
        *("retries", "attempts", "deprecations", "async_result", "invocation"),
    ],
)
def test_keywords_of_results(keyword: str) -> None:
    """Ansible acts on these. In what it takes for results of a loop, too."""
    assert plain_result({keyword: {"x": 1}, "rc": 0}) == {"rc": 0}
    assert plain_result({"results": [{keyword: {"x": 1}, "rc": 0}, "text"]}) == {"results": [{"rc": 0}, "text"]}


def test_facts_are_kept_only_on_demand() -> None:
    assert plain_result({"ansible_facts": {"x": 1}}, with_facts=True) == {"ansible_facts": {"x": 1}}
    assert plain_result({"ansible_facts": "x"}, with_facts=True) == {}


def test_what_a_callback_cannot_show_as_a_difference_is_dropped() -> None:
    assert plain_result({"diff": {"before": "a", "after": "b"}})["diff"]
    assert plain_result({"diff": [{"before": "a"}]})["diff"]
    assert plain_result({"diff": "text"}) == plain_result({"diff": [1]}) == {}
