# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit for the time that the host may take to answer.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import signal
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure


class _Late(BaseException):
    """Time is over. It is no Exception, which connection plugins would take for a reason to try again."""


@contextlib.contextmanager
def time_limit(seconds: float) -> t.Iterator[None]:
    """Raise AnsibleConnectionFailure after some time, unless the task's own C(timeout) does so earlier."""

    def late(_number: int, _frame: t.Any) -> t.NoReturn:
        raise _Late

    begin = time.monotonic()
    left, _interval = signal.getitimer(signal.ITIMER_REAL)
    if left and left < seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Late:
        raise AnsibleConnectionFailure(f"The host has not answered within {seconds:.0f} seconds.") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - begin), 0.001) if left else 0)
        signal.signal(signal.SIGALRM, before)
