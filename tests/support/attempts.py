# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is told of an attempt, to note it and to make its directory."""

from __future__ import annotations

import json
import typing as t


def to_make(attempt_dir: str, key: str = "host1/play/job.json", **more: t.Any) -> dict[str, t.Any]:
    """Return that, of the first attempt of a job, with the least that may be noted."""
    return {
        "attempt_dir": attempt_dir,
        "key": key,
        "is_direct": True,
        "content": json.dumps({"attempt_dir": attempt_dir}),
        "known": [],
        "others": [],
        "mark": "{}",
        **more,
    }
