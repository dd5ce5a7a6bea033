# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the command of a job leaves in the directory of its attempt, beside the results file of Ansible's wrapper.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import os
import typing as t

# None looks like a job id.
STDOUT = "stdout"
STDERR = "stderr"
RESULT = "result"


def recorded(directory: str) -> tuple[dict[str, t.Any], float] | None:
    """What is recorded of a command that has ended, and when that was written, in seconds since the epoch. None if nothing is."""
    try:
        with open(os.path.join(directory, RESULT), encoding="utf-8") as file:
            result = json.load(file)
            written = os.fstat(file.fileno()).st_mtime
    except (OSError, ValueError):
        return None
    return (result, written) if isinstance(result, dict) and "rc" in result else None
