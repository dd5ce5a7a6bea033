# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of C(status), each with what it means: the one vocabulary of records, returns, options and pages.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

MEANINGS: dict[str, str] = {
    "starting": "A controller has claimed it. The host was not touched yet.",
    "prepared": "A controller has chosen its directory on the host, and is about to start it there.",
    "running": "It runs, as far as was last seen.",
    "orphaned": "Its wrapper is dead and its work goes on: no result will come.",
    "succeeded": "It has ended well.",
    "failed": "It has ended, and says that it has failed.",
    "killed": "It was ended from outside, by a signal, and nothing of it runs.",
    "timed_out": "Ansible ended it at its time limit.",
    "lost": "Nobody will learn how it ended: the host was rebooted, or its results are gone.",
    "cancelled": "Somebody has stopped it with async_job_cancel.",
}

STATUSES = tuple(MEANINGS)
"""All words, in the order of a job's life."""

CLAIMED = ("starting", "prepared")
"""A controller has set out to start the job, and has not yet seen it start."""

ALIVE = ("running", "orphaned")
"""The job was started, and something of it runs."""

GOES_ON = (*CLAIMED, *ALIVE)
"""The job has not ended, or may yet begin."""

ENDED = ("succeeded", "failed", "killed", "timed_out", "lost", "cancelled")
"""Nothing of the job runs any more; of lost own work, nobody can tell."""

BY_ITSELF = ("succeeded", "failed")
"""The job has ended by itself and says how: there is a result of its own."""

RESTARTABLE = ("failed", "killed", "timed_out", "lost", "orphaned", "cancelled")
"""What a user may ask to be started anew (C(restart_on))."""

SIGNALLED = ("failed", "killed")
"""How a job may be found to have ended that somebody has sent signals to."""

CONCLUDED = ("killed", "lost")
"""What a look concludes, if it has no result, from what is not there: whoever looks in the wrong place concludes it, too."""

UNKNOWN = "unknown"
"""What a look answers that can prove nothing. No record has this status: it keeps the last one that was proven."""

PROOF: dict[str, int] = {"cancelled": 5, "succeeded": 4, "failed": 4, "timed_out": 3, "killed": 2, "lost": 1}
"""How good the proof is that an attempt has ended this way: an order that was carried out, a result, what Ansible says that it has done,
processes that are gone without a result, and nothing at all. A look that was late changes a word that somebody else has written meanwhile
only if its own has the better proof."""
