# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose directory of an attempt this is, and what is recorded there of a command that has ended.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK, RESULT, mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Directory, Refused, parsed

_MARK_LENGTH = 1 << 16


def check_mark(directory: Directory, job: Job) -> bool:
    """Make sure that a directory is that of an attempt of a job. Return whether it says that the job is secret.

    Former releases made no mark, and a power cut may leave an empty one. Then it has to be a directory that only its owner can enter.

    :raises Refused: if it is not
    """
    try:
        content, _status = directory.read(MARK, _MARK_LENGTH)
    except FileNotFoundError:
        content = b""
    if not content:
        if directory.mode & 0o077:
            raise Refused("is not the directory of an attempt: it has no mark of one, and others may enter it")
        return False
    try:
        said = parsed(content)
    except ValueError:
        said = None
    if said not in [parsed(mark(job.key, job.attempt, secret=secret).encode()) for secret in (False, True)]:
        raise Refused("is the directory of another job, or of another attempt")
    return "secret" in said


def has_mark(directory: Directory) -> bool:
    """Return whether a directory says that it is that of an attempt."""
    try:
        directory.status(MARK)
    except FileNotFoundError:
        return False
    return True


def recorded(directory: Directory) -> tuple[dict[str, t.Any], float] | None:
    """Return what is recorded of a command that has ended, and when that was written, in seconds since the epoch.

    None if nothing is.
    """
    try:
        content, status = directory.read(RESULT)
        result = parsed(content)
    except (OSError, ValueError):
        return None
    return (result, status.st_mtime) if isinstance(result, dict) and "rc" in result else None
