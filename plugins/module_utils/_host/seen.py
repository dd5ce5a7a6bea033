# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at a job has seen, as its host answers. The controller, which knows it by this form, need not compile what looks.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:

    class Seen(t.TypedDict):
        """The answer of a host to a look at one job: the fields of :class:`~look.Look`, and what there is of its output."""

        status: str
        reason: str
        results_file: str
        result: dict[str, t.Any] | None
        processes: list[dict[str, t.Any]]
        elapsed: float | None
        end: str
        boot_id: str
        runner: dict[str, t.Any] | None
        job_id: str
        place: dict[str, t.Any] | None
        cancelled: dict[str, t.Any] | None
        ended_ago: float | None
        stdout: str
        stderr: str
        stdout_size: int
        stderr_size: int
        stdout_offset: int
        stderr_offset: int
        stdout_truncated: bool
        stderr_truncated: bool
        progress: dict[str, t.Any] | None
        kept: dict[str, t.Any] | None
        warnings: list[str]
        secret: bool

else:
    Seen = dict  # Python 3.7 has no TypedDict
