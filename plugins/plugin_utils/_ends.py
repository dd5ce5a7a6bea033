# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen, without a look, of the ends of jobs on our own machine: that they have another results file.

Whoever drives many short jobs would else wait out each interval between two looks. What is seen here is no more than a reason to look: a
look alone tells what became of a job.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import stat
import time
import typing as t

# How often to see whether jobs have results, in seconds.
_GLANCE = 0.1
# What a results file says as long as its job runs, and how much of one to read to see that.
_RUNS = re.compile(rb'"finished": (0|false)\b')
_HEAD = 300

_Which = tuple[int, int] | None


class Ends:
    """The results files of jobs on this machine, as they were known to be when their jobs ran."""

    def __init__(self) -> None:
        self._known: dict[str, _Which] = {}
        self._begun: set[str] = set()

    def before_a_look(self, paths: t.Iterable[str]) -> None:
        """Note the results files of jobs that are going to be looked at. What the look has seen of them is no news any more."""
        self._known = {path: _which(path) for path in paths}
        self._begun = set()

    def has_begun(self, path: str) -> None:
        """Note that of a job which was started after the last look."""
        self._begun.add(path)

    def wait(self, seconds: float, paths: t.Iterable[str]) -> None:
        """Wait for so long, or until one of the jobs has most likely ended: one of those that still ran at the last look, or has begun
        since.

        :arg paths: results files of those that still ran
        """
        watched = {*paths, *self._begun}
        end = time.monotonic() + seconds
        while not any(map(self._has_news, watched)):
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _GLANCE) if watched else left)

    def _has_news(self, path: str) -> bool:
        return _which(path) != self._known[path] if path in self._known else _has_result(path)


def _which(path: str) -> _Which:
    """Return which file this is: another one has another number or time. None if there is none, or nobody can tell."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _has_result(path: str) -> bool:
    """Return whether a results file says more than that its job was started. It may be somebody else's: who cannot read it, waits."""
    try:
        # What is there is data: who waits must not be stopped by a fifo.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            head = file.read(_HEAD) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""
    except OSError:
        return False
    return bool(head) and _RUNS.search(head) is None
