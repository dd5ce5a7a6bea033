# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for something to become true, and not for ever."""

from __future__ import annotations

import contextlib
import signal
import time
import typing as t
from collections.abc import Callable, Iterator

# A machine may be busy.
SECONDS = 60.0


# Between two looks, in seconds: at first, at most, and how fast that grows. Many looks would take the time of what is awaited.
_FIRST, _LONGEST, _GROWTH = 0.02, 0.3, 1.3


def until(condition: Callable[[], t.Any], *, seconds: float = SECONDS, pause: float | None = None) -> t.Any:
    """Wait for something to become true, and return it.

    :arg pause: between two looks, in seconds; what should be caught in the act needs a short one
    """
    deadline = time.monotonic() + seconds
    next_pause = _FIRST
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it did not happen in {seconds} seconds"
        time.sleep(pause or next_pause)
        next_pause = min(next_pause * _GROWTH, _LONGEST)
    return value


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail, rather than wait for ever, if what is inside hangs."""

    def ring(_number: int, _frame: t.Any) -> t.NoReturn:
        raise AssertionError(f"it took longer than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
