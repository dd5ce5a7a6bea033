# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job waits for. Whoever drives it waits for that alone, or lets other jobs go on meanwhile.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked


class Turn(t.NamedTuple):
    """It is about to begin an attempt. Answer: whether time has passed, so that its record has to be read anew."""


class Exchange(t.NamedTuple):
    """It has something to do on its host, of which several jobs of a task can do theirs together. Answer: what came of it."""

    what: str
    """The method of :class:`AttemptAction` that does it for one job."""
    arguments: tuple[t.Any, ...]


class Pause(t.NamedTuple):
    """There is nothing to do for a while. Answer: nothing."""

    seconds: float
    is_idle: bool
    """Whether no attempt of it runs or is being started meanwhile."""


class End(t.NamedTuple):
    """It runs. Answer: the look that has seen it end, or the last one if time is over."""

    asked: Asked
    params: dict[str, t.Any]
    """As :meth:`WatchingAction.wait` takes them. Without C(wait_timeout), one look is enough."""


Wait = Turn | Exchange | Pause | End

_Answer = t.TypeVar("_Answer")
Waits = t.Generator[Wait, t.Any, _Answer]
