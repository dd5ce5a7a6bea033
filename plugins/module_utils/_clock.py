# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How times and lengths of time are written, in records and messages. C(_times.py) reads them.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def now(ago: float = 0.0) -> str:
    """Return the time as records have it: ISO 8601, UTC, whole seconds.

    :arg ago: how long ago that was, in seconds
    """
    return text_of(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago))


def text_of(time: datetime.datetime) -> str:
    """Write a time as records have it."""
    return time.astimezone(datetime.timezone.utc).strftime(_FORMAT)


def utc(seconds: float) -> str:
    """Write a time that is given in seconds since the epoch."""
    return text_of(datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc))


def clock(seconds: float) -> str:
    """Write a duration as C(hh:mm:ss)."""
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"
