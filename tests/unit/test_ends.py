# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a pause between two looks is over: as soon as a job on our own machine has most likely ended, and not before."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ends
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._ends import Ends

# What Ansible's wrapper writes as long as a job runs, and what ours does.
RUNNING = ('{"started": 1, "finished": 0, "ansible_job_id": "j1.1"}', '{"started": true, "finished": false, "ansible_job_id": "j1.1"}')
ENDED = '{"changed": true, "rc": 0, "stdout": "done"}'


def write(path: Path, text: str) -> None:
    """Write a results file as wrappers do: another one takes the place of the one that is there."""
    path.with_suffix(".tmp").write_text(text)
    path.with_suffix(".tmp").rename(path)


class Clock:
    """A clock that goes on when somebody sleeps, and what happens meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self.happens: dict[float, t.Callable[[], None]] = {}

    def sleep(self, seconds: float) -> None:
        """Go on."""
        self.now += seconds
        for moment in [moment for moment in self.happens if moment <= self.now]:
            self.happens.pop(moment)()

    def waited(self, ends: Ends, seconds: float, *paths: Path) -> float:
        """Return how long a pause takes."""
        before = self.now
        ends.wait(seconds, map(str, paths))
        return self.now - before


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the pauses."""
    clock = Clock()
    monkeypatch.setattr(_ends, "time", SimpleNamespace(sleep=clock.sleep, monotonic=lambda: clock.now))
    return clock


@pytest.mark.parametrize("running", RUNNING)
def test_a_job_that_was_looked_at(tmp_path: Path, clock: Clock, running: str) -> None:
    ends, file = Ends(), tmp_path / "j1.1"
    write(file, running)
    ends.before_a_look([str(file)])
    assert clock.waited(ends, 5, file) == pytest.approx(5)
    clock.happens[clock.now + 1] = lambda: write(file, ENDED)
    assert clock.waited(ends, 5, file) == pytest.approx(1, abs=0.2)
    # As long as nobody looks, that stays so; and then, what the look has seen is no news, whatever it says.
    assert clock.waited(ends, 5, file) == 0
    ends.before_a_look([str(file)])
    assert clock.waited(ends, 5, file) == pytest.approx(5)


def test_a_job_that_ends_while_others_are_started(tmp_path: Path, clock: Clock) -> None:
    """It ran when it was looked at, and has ended before the pause begins."""
    ends, file = Ends(), tmp_path / "j1.1"
    write(file, RUNNING[0])
    ends.before_a_look([str(file)])
    write(file, ENDED)
    assert clock.waited(ends, 5, file) == 0


@pytest.mark.parametrize("running", RUNNING)
def test_a_job_that_has_begun_since(tmp_path: Path, clock: Clock, running: str) -> None:
    """Nobody has looked at it yet: its results file tells whether it has ended already."""
    ends, file = Ends(), tmp_path / "j1.1"
    write(file, running)
    ends.has_begun(str(file))
    clock.happens[2] = lambda: write(file, ENDED)
    assert clock.waited(ends, 5) == pytest.approx(2, abs=0.2)
    assert clock.waited(ends, 5) == 0
    ends.before_a_look([str(file)])
    assert clock.waited(ends, 5) == pytest.approx(5)


def test_files_that_cannot_be_seen(tmp_path: Path, clock: Clock) -> None:
    """One that is not there, is empty, or is no file, says nothing: the next look tells."""
    ends = Ends()
    (tmp_path / "empty").touch()
    for path in (tmp_path / "none", tmp_path / "empty", tmp_path):
        ends.has_begun(str(path))
    assert clock.waited(ends, 3) == pytest.approx(3)
    ends.before_a_look([str(tmp_path / "none")])
    assert clock.waited(ends, 3, tmp_path / "none") == pytest.approx(3)


def test_a_job_whose_end_somebody_else_has_noted(tmp_path: Path, clock: Clock) -> None:
    """Then there is nothing to look at any more, and its results file is no reason to look once more."""
    ends, file = Ends(), tmp_path / "j1.1"
    write(file, ENDED)
    ends.has_begun(str(file))
    ends.before_a_look([])
    assert clock.waited(ends, 5) == pytest.approx(5)


def test_nothing_to_watch(clock: Clock) -> None:
    assert clock.waited(Ends(), 7) == pytest.approx(7)


def test_a_long_result_is_not_read(tmp_path: Path, clock: Clock) -> None:
    """What stands far behind the beginning of a result is not looked at, and a fifo is not waited for."""
    ends, file = Ends(), tmp_path / "j1.1"
    write(file, '{"stdout": "' + "x" * 1000 + '", "finished": 0}')
    ends.has_begun(str(file))
    assert clock.waited(ends, 5) == 0
    os.mkfifo(tmp_path / "fifo")
    ends = Ends()
    ends.has_begun(str(tmp_path / "fifo"))
    assert clock.waited(ends, 2) == pytest.approx(2)
