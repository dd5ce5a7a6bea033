# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written of an end, and when: whoever writes it may be killed at any moment, and what is written counts as told."""

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import WatchingAction


class _Action(WatchingAction):
    """Notes in which order the host is asked and the record is written."""

    def __init__(self, statuses: list[str]) -> None:
        self._statuses = iter(statuses)
        self.done: list[tuple[str, str]] = []

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        return params

    def look(self, _asked: t.Any, *, output: str, **_more: t.Any) -> t.Any:
        self.done.append(("look", output))
        return [{"status": next(self._statuses), "result": None}]

    def note(self, _store: t.Any, _job: t.Any, look: t.Any, output: str, *, last_line: bool = False) -> t.Any:
        self.done.append(("note", f"{look['status']} {output}"))
        return look

    def show_life(self, *_line: t.Any) -> None:
        pass


@pytest.mark.parametrize(
    ("output", "done"),
    [
        (
            "full",
            [("look", "tail"), ("note", "running tail"), ("look", "tail"), ("look", "full"), ("note", "succeeded full")],
        ),
        ("tail", [("look", "tail"), ("note", "running tail"), ("look", "tail"), ("note", "succeeded tail")]),
    ],
)
def test_all_is_known_before_an_end_is_written(monkeypatch: pytest.MonkeyPatch, output: str, done: list[tuple[str, str]]) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    action = _Action(["running", "succeeded", "succeeded"])
    job = types.SimpleNamespace(in_files=True, keep=lambda _size: None, label="job")
    params = {
        "output": output,
        "wait_timeout": 60,
        "wait_interval": 1,
        "tail_size": 0,
        "store_output": True,
        "look_timeout": 1,
        "unreachable_timeout": 0,
    }
    [look] = WatchingAction.wait(action, params, None, t.cast("t.Any", [job]))
    assert look["status"] == "succeeded"
    assert action.done == done
