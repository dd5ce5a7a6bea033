# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of this collection.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t


class AsyncJobError(Exception):
    """Something the user has to know about.

    The text goes to the terminal as it is. It says what failed, on what, why, and what to do next. It never
    holds a credential or the content of a record.
    """

    in_doubt = False
    """Whether a change may have been made all the same: its answer was lost, or told nothing."""


class StoreUnavailable(AsyncJobError):
    """The store as a whole cannot be used: its service is away, or refuses us, or the settings are wrong.

    Other documents would fare no better, so that nobody need try them.
    """


class Conflict(AsyncJobError):
    """A conditional write or delete found another version of the document than the one it expected."""


class Full(Exception):
    """All slots of a semaphore are taken, and nobody waits any longer. Nothing was started.

    :arg held: who holds them, as far as that is known
    """

    def __init__(self, held: list[t.Any]) -> None:
        super().__init__("all slots are taken")
        self.held = held


class Untrusted(AsyncJobError):
    """A document is not what somebody with one of the user's keys has written in its place."""
