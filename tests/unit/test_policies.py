# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies of ``async_job``: when a job is started anew, when not, and when not yet."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import policies as module
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.policies import Decision, fingerprint_of, first_attempt

_END = 1_767_268_800.0  # 2026-01-01T12:00:00Z

DEFAULTS: dict[str, t.Any] = {
    "restart_on": [],
    "max_attempts": None,
    "backoff": 0,
    "max_backoff": 3600,
    "rerun_after": None,
    "on_change": "fail",
}


def record(status: str, **fields: t.Any) -> dict[str, t.Any]:
    return {"status": status, "attempt": 1, "end": "2026-01-01T12:00:00Z", "fingerprint": "old", **fields}


def decide(
    found: dict[str, t.Any], *, fingerprint: str = "old", tried: bool = False, joined: bool = False, after: float = 0.0, **policies: t.Any
) -> Decision:
    return module.decide(found, {**DEFAULTS, **policies}, fingerprint, tried=tried, joined=tried or joined, now=_END + after)


@pytest.mark.parametrize("status", ["running", "orphaned", "succeeded", "failed", "killed", "timed_out", "lost", "cancelled", "starting"])
def test_nothing_is_started_anew_by_itself(status: str) -> None:
    assert decide(record(status)) == Decision()


def test_restart_on() -> None:
    assert decide(record("killed"), restart_on=["killed"]).start
    assert not decide(record("failed"), restart_on=["killed"]).start
    assert not decide(record("killed"), restart_on=["killed"], tried=True).start, "one for each run of the task"
    assert decide(record("killed", attempt=2), restart_on=["killed"], max_attempts=3, tried=True).start
    assert not decide(record("killed", attempt=3), restart_on=["killed"], max_attempts=3).start


def test_somebody_who_is_about_to_cancel_it() -> None:
    """Until that is noted, nothing is started. Once the job has ended, there is nothing left to wait for."""
    by = {"who": "ann@ctl", "time": "2026-02-01T03:12:09Z", "reason": ""}
    assert decide(record("orphaned", cancelling=by), restart_on=["orphaned"]) == Decision()
    assert decide(record("killed", cancelling=by), restart_on=["killed"]).start


def test_attempts_are_counted_from_the_first_of_their_series() -> None:
    assert decide(record("failed", attempt=9, first_attempt=8), restart_on=["failed"], max_attempts=3).start
    assert not decide(record("failed", attempt=10, first_attempt=8), restart_on=["failed"], max_attempts=3).start


@pytest.mark.parametrize(
    ("before", "fingerprint", "first"),
    [
        (None, "old", 1),
        (record("failed", attempt=4, first_attempt=3), "old", 3),
        (record("failed", attempt=4), "old", 1),
        (record("failed", attempt=4, first_attempt=3), "new", 3),
        (record("succeeded", attempt=4, first_attempt=3), "old", 5),
        (record("failed", attempt=4, first_attempt=3), "", 3),
    ],
)
def test_series(before: dict[str, t.Any] | None, fingerprint: str, first: int) -> None:
    """A success ends a series. Other options do not, unless the user has ordered a new start for their sake."""
    assert first_attempt(before, DEFAULTS, fingerprint, joined=False) == first
    ordered = {**DEFAULTS, "on_change": "restart"}
    assert first_attempt(before, ordered, fingerprint, joined=False) == (5 if before and (fingerprint == "new" or first == 5) else first)
    assert first_attempt(before, ordered, fingerprint, joined=True) == first


@pytest.mark.parametrize(("attempt", "pause"), [(1, 10), (2, 20), (3, 40), (4, 60), (30, 60)])
def test_backoff(attempt: int, pause: int) -> None:
    """It doubles, up to its limit."""
    policies = {"restart_on": ["failed"], "max_attempts": 99, "backoff": 10, "max_backoff": 60}
    found = record("failed", attempt=attempt)
    early = decide(found, after=pause - 1, **policies)
    assert (early.start, early.wait) == (False, 1)
    assert decide(found, after=pause, **policies).start
    assert decide(found, after=-1000, **policies).wait == pause, "the clock of the host is ahead"


def test_rerun_after() -> None:
    assert not decide(record("succeeded"), rerun_after=100, after=99).start
    assert decide(record("succeeded"), rerun_after=100, after=100).start
    assert not decide(record("succeeded"), rerun_after=0, tried=True).start, "for ever"
    assert not decide(record("succeeded"), rerun_after=0, joined=True).start, "it has waited for that success"
    assert not decide(record("failed"), rerun_after=100, after=1000).start


@pytest.mark.parametrize("status", ["running", "orphaned"])
@pytest.mark.parametrize("on_change", ["fail", "restart"])
def test_changed_while_running(status: str, on_change: str) -> None:
    decision = decide(record(status), fingerprint="new", on_change=on_change)
    assert decision.warning
    assert not decision.start
    assert not decision.refusal


def test_changed_after_success() -> None:
    assert decide(record("succeeded"), fingerprint="new").refusal
    assert decide(record("succeeded"), fingerprint="new", on_change="attach") == Decision()
    assert decide(record("succeeded"), fingerprint="new", on_change="restart").start
    assert decide(record("succeeded"), fingerprint="new", rerun_after=0).start, "it is due anyway"


def test_changed_after_failure() -> None:
    """What was mended runs as any other attempt, if a failure is to be repeated at all; and out of turn if the user says so."""
    assert "on_change: restart" in decide(record("failed"), fingerprint="new").warning
    policies = {"restart_on": ["failed"], "max_attempts": 3, "backoff": 60}
    assert decide(record("failed", attempt=2), fingerprint="new", **policies).wait == 120
    spent = decide(record("failed", attempt=3), fingerprint="new", **policies)
    assert not spent.start
    assert "on_change: restart" in spent.warning
    assert decide(record("failed", attempt=3), fingerprint="new", on_change="restart", after=240, **policies).start
    assert decide(record("failed"), fingerprint="new", on_change="restart").start
    attached = decide(record("failed", attempt=3), fingerprint="new", on_change="attach", restart_on=["failed"], max_attempts=3)
    assert attached == Decision()


def play(tasks: list[dict[str, t.Any]], most: int) -> int:
    """Let tasks that wait for one job act in turn, each as often as it likes, while all attempts fail. Return how many there were."""
    found = record("failed", fingerprint=tasks[0]["fingerprint"], first_attempt=1)
    tasks[0]["tried"] = True
    for _turn in range(most):
        starts = False
        for task in tasks:
            options = {name: task[name] for name in ("fingerprint", "restart_on", "max_attempts", "on_change") if name in task}
            state = {"tried": task.get("tried", False), "joined": True}
            if decide(found, **options, **state).start:
                policies = {**DEFAULTS, **options}
                series = first_attempt(found, policies, task["fingerprint"], joined=True)
                found = record("failed", fingerprint=task["fingerprint"], attempt=found["attempt"] + 1, first_attempt=series)
                task["tried"] = starts = True
        if not starts:
            break
    return int(found["attempt"])


@pytest.mark.parametrize("on_change", ["fail", "restart", "attach"])
@pytest.mark.parametrize(("most", "attempts"), [(None, 2), (2, 2), (3, 3)])
@pytest.mark.parametrize("fingerprints", [("old", "new"), ("old", "old")])
def test_two_that_differ_do_not_fight(on_change: str, most: int | None, attempts: int, fingerprints: tuple[str, str]) -> None:
    """They share the attempts that there may be. Without a limit, each task has one."""
    tasks = [
        {"fingerprint": fingerprint, "restart_on": ["failed"], "max_attempts": most, "on_change": on_change} for fingerprint in fingerprints
    ]
    assert play(tasks, 30) == attempts


@pytest.mark.parametrize(("then", "now"), [(None, "new"), ("old", ""), ("", "new")])
def test_what_nobody_noted_has_not_changed(then: str | None, now: str) -> None:
    found = record("succeeded")
    found.pop("fingerprint")
    if then is not None:
        found["fingerprint"] = then
    assert decide(found, fingerprint=now) == Decision()


def test_fingerprints() -> None:
    """They depend on the action and its options, and not on the order of these."""
    some = fingerprint_of("ansible.builtin.command", {"cmd": "true", "chdir": "/"})
    assert some == fingerprint_of("ansible.builtin.command", {"chdir": "/", "cmd": "true"})
    others = [
        fingerprint_of("ansible.builtin.shell", {"cmd": "true", "chdir": "/"}),
        fingerprint_of("ansible.builtin.command", {"cmd": "true", "chdir": "/tmp"}),
        fingerprint_of("ansible.builtin.command", {"cmd": "true"}),
    ]
    assert len({some, *others}) == 4
    assert fingerprint_of("ansible.builtin.command", {"cmd": object()}) == ""


@pytest.mark.parametrize("end", [None, "", "yesterday", "2026-13-01T00:00:00Z"])
def test_damaged_times(end: str | None) -> None:
    """What ended nobody knows when, ended long ago."""
    found = {**record("failed"), "end": end, "save_time": end}
    assert decide(found, restart_on=["failed"], backoff=3600).start


def test_what_is_said_of_other_options() -> None:
    """Whoever has said C(on_change: restart), and has waited for a job with other options, is not told to say it."""
    refused = decide(record("succeeded"), fingerprint="new", joined=True, on_change="restart")
    assert "Run the playbook once more" in refused.refusal
    assert "on_change" not in refused.refusal
    warned = decide(record("failed"), fingerprint="new", joined=True, on_change="restart")
    assert "Run the playbook once more" in warned.warning
    assert "on_change" not in warned.warning


def test_a_command_that_was_not_needed() -> None:
    """With C(creates) or C(removes), it did not run, and may be needed now; not for a task that has started that attempt itself."""
    skipped = {"rc": 0, "changed": False, "msg": "Did not run command since /x exists"}
    found = record("succeeded", stdout_file="/a/stdout", result=skipped)
    assert decide(found).start
    assert not decide(found, joined=True).start
    assert decide(record("succeeded", result=skipped)).start, "its output is elsewhere"
    assert decide(record("succeeded", stdout_file="/a/stdout", result={"rc": 0})).start, "secret"
    for ran in ({"rc": 0, "start": "2026-01-01 12:00:00.000000"}, {"rc": 1}, {}):
        assert not decide(record("succeeded", stdout_file="/a/stdout", result=ran)).start
    assert not decide(record("succeeded", result={"rc": 0})).start, "a module"
