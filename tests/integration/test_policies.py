# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies of ``async_job``, as users write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from controller import Controller
from plays import ask, job, lines, run_tasks, shell, told

FAILS_ONCE = "echo run >>{ledger}; [ $(wc -l <{ledger}) -ge {count} ]"


def test_backoff_of_a_task_that_waits(controller: Controller, ledger: Path) -> None:
    """It tries again by itself, when the pause is over."""
    task = shell(FAILS_ONCE.format(ledger=ledger, count=2))
    ran = run_tasks(controller, job(task, poll=1, options={"restart_on": ["failed"], "max_attempts": 3, "backoff": 5}))
    [answer] = told(ran)
    assert (answer["status"], answer["attempt"]) == ("succeeded", 2)
    assert re.search(r"attempt 2 starts in 00:00:0[1-5] \(backoff\), because attempt 1: failed", ran.text)
    assert len(lines(ledger)) == 2


def test_backoff_of_a_task_that_does_not_wait(controller: Controller, ledger: Path) -> None:
    """Until the next attempt is due, the job has not finished. So `until` goes on."""
    task = job(shell(FAILS_ONCE.format(ledger=ledger, count=2)), options={"restart_on": ["failed"], "max_attempts": 2, "backoff": 3600})
    ask(controller, {**task, "poll": 0}, {**task, "register": "answer", "until": "answer.status == 'failed'", "retries": 30, "delay": 1})
    answer, predicted = ask(controller, task, {**task, "check_mode": True})
    assert (answer["status"], answer["finished"], answer["failed"], answer["changed"]) == ("failed", False, False, False)
    assert re.search(r"attempt 2 starts in (00:59:\d\d|01:00:00) \(backoff\)", answer["msg"])
    assert "would wait" in predicted["msg"]
    options = task["rstyczynski.ansible.async_job"]
    options["backoff"] = 0
    [answer] = ask(controller, {**task, "poll": 1})
    assert (answer["status"], answer["attempt"], len(lines(ledger))) == ("succeeded", 2, 2)


def test_what_counts_as_success(controller: Controller, ledger: Path) -> None:
    """Other return codes than 0, for everybody; or what failed_when of a task accepts, for that task. A missing command is none of them."""
    policies = {"restart_on": ["failed"], "max_attempts": 3}
    accepted = [
        {**job(shell(f"echo {name} >>{ledger}; exit 2"), name=name, poll=1, options=policies), "failed_when": condition}
        for name, condition in (("both", ["answer0.rc not in [0, 2]"]), ("plain", False), ("odd", ["answer2.rc == 2", "nothing_at_all"]))
    ]
    codes = {**policies, "success_codes": [0, 2]}
    coded = job(shell(f"echo coded >>{ledger}; exit 2"), name="coded", poll=1, options=codes)
    missing = job({"ansible.builtin.command": "/nowhere/at/all"}, name="missing", poll=1, options={"success_codes": [0, 2]})
    good = job(shell("exit 0"), name="good", poll=1, options={"success_codes": [1]})
    looks = [{"rstyczynski.ansible.async_job_status": {"job_name": name}} for name in ("both", "coded", "good")]
    for _run in range(2):
        both, plain, odd, one, none, wrong, *seen = ask(controller, *accepted, coded, missing, good, *looks)
        assert (both["rc"], both["failed"], both["status"], both["attempt"]) == (2, False, "failed", 1)
        assert (plain["failed"], plain["status"], plain["attempt"]) == (False, "failed", 3)
        assert (odd["failed"], odd.get("attempt", 1)) == (True, 1)
        assert (one["rc"], one["failed"], one["status"], one["attempt"]) == (2, False, "succeeded", 1)
        assert (none["failed"], none["status"]) == (True, "failed")
        assert (wrong["rc"], wrong["failed"], wrong["status"]) == (0, True, "failed")
        assert [look["status"] for look in seen] == ["failed", "succeeded", "failed"]
        assert sorted(lines(ledger)) == ["both", "coded", "odd", *["plain"] * 3]
    assert controller.record("coded")["success_codes"] == [0, 2]
    assert "success_codes" not in controller.record("both")


def test_rerun_after(controller: Controller, ledger: Path) -> None:
    """A success that is old enough is repeated, and attempts are counted anew."""
    task = shell(f"echo run >>{ledger}")
    nightly = {"rerun_after": 3600, "max_attempts": 1, "restart_on": ["failed"]}
    first, second = ask(controller, job(task, poll=1, options=nightly), job(task, poll=1, options=nightly))
    assert (first["attempt"], second["attempt"], second["changed"]) == (1, 1, False)
    predicted, third = ask(
        controller,
        {**job(task, options={**nightly, "rerun_after": 0}), "check_mode": True},
        job(task, poll=1, options={**nightly, "rerun_after": 0}),
    )
    assert "would start attempt 2" in predicted["msg"]
    assert "succeeded at" in predicted["msg"]
    assert (third["attempt"], third["changed"], len(lines(ledger))) == (2, True, 2)
    assert controller.record("job")["first_attempt"] == 2


def test_changed_options(controller: Controller, ledger: Path) -> None:
    """Other options than before: a warning while it runs, an error once it has succeeded, unless the user wants otherwise."""
    running = f"echo run >>{ledger}; until [ -e {controller.project}/go ]; do sleep 0.1; done"
    ran = run_tasks(controller, job(shell(running)), job(shell("echo other >>" + str(ledger))))
    assert told(ran)[1]["status"] == "running"
    assert "started with other options than it has now" in ran.text
    (controller.project / "go").touch()
    [answer] = ask(controller, job(shell(running), poll=1))
    assert answer["status"] == "succeeded"
    other = shell(f"echo other >>{ledger}")
    failed, predicted, attached = ask(
        controller, job(other), {**job(other), "check_mode": True}, job(other, options={"on_change": "attach"})
    )
    for answer in failed, predicted:
        assert answer["failed"]
        assert "succeeded, but its options have changed" in answer["msg"]
        assert "Nothing was started" in answer["msg"]
    assert (attached["status"], attached["attempt"]) == ("succeeded", 1)
    [restarted] = ask(controller, job(other, poll=1, options={"on_change": "restart"}))
    assert (restarted["status"], restarted["attempt"], lines(ledger)) == ("succeeded", 2, ["run", "other"])


def test_fingerprint(controller: Controller, ledger: Path) -> None:
    """What the user calls the same, is the same."""
    for number, fingerprint, attempt in ((1, "v1", 1), (2, "v1", 1), (3, "v2", 2)):
        [answer] = ask(
            controller,
            job(shell(f"echo {number} >>{ledger}"), poll=1, options={"fingerprint": fingerprint, "on_change": "restart"}),
        )
        assert answer["attempt"] == attempt
    assert lines(ledger) == ["1", "3"]
    assert controller.record("job")["fingerprint"] == "v2"


def test_no_fingerprint_of_secrets(controller: Controller, ledger: Path) -> None:
    [_first] = ask(controller, job(shell(f"echo run >>{ledger}"), poll=1, options={"fingerprint": "hunter2"}, no_log=True))
    [second] = ask(controller, job(shell(f"echo other >>{ledger}"), poll=1))
    assert "fingerprint" not in controller.record("job")
    assert "hunter2" not in str(controller.record("job"))
    assert lines(ledger) == ["run"]
    assert not second.get("failed")


@pytest.mark.parametrize("option", ["backoff", "max_backoff", "rerun_after"])
def test_negative_numbers(controller: Controller, option: str) -> None:
    [answer] = ask(controller, job(shell("true"), options={option: -1}))
    assert answer["failed"]
    assert f"{option} is -1" in answer["msg"]
