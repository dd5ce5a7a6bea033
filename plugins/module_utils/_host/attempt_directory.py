# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose directory of an attempt this is, what is recorded there of a command that has ended, and of a cancel that has not.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _clock
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import CANCEL, MARK, RESULT, SIGNALLED, mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Directory, Refused, parsed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_job_id

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


def job_ids(directory: Directory) -> list[str]:
    """Return the job ids that have a results file in a directory: in that of an attempt, one once the job has started."""
    return [name for name in directory.names() if is_job_id(name)]


class Cancelling(t.NamedTuple):
    """That somebody is stopping a job, or was about to."""

    by: dict[str, t.Any]
    """C(who), C(time) and C(reason)."""
    pid: int
    start: float
    boot_id: str
    signalled: bool
    """Whether the job got any signal. If not, and whoever wanted to send them is gone, nothing has happened to it."""


def cancelling(directory: Directory) -> Cancelling | None:
    """Return what the directory of an attempt says of a cancel that is not done yet. None if it says nothing.

    :raises OSError: if it cannot be read, or is something else: then nobody can tell who has ended the job
    """
    said = None
    with contextlib.suppress(FileNotFoundError):
        try:
            said = Cancelling(**parsed(directory.read(CANCEL, _MARK_LENGTH)[0]))
        except (TypeError, ValueError):
            raise Refused("is odd") from None
        if not is_cancel(said.by) or not isinstance(said.start, (int, float)) or (type(said.pid), type(said.boot_id)) != (int, str):
            raise Refused("is odd")
    if said is None or not said.signalled:
        with contextlib.suppress(FileNotFoundError):
            status = directory.status(MARK)
            if status.st_mode & 0o777 == SIGNALLED:
                said = Cancelling({"who": "somebody", "time": _clock.utc(status.st_ctime), "reason": ""}, 0, 0.0, "", True)
    return said


def is_cancel(by: t.Any) -> bool:
    """Return whether this says who has cancelled a job, as C(async_job_cancel) notes it."""
    if not isinstance(by, dict) or by.keys() != {"who", "time", "reason"}:
        return False
    return all(isinstance(text, str) and len(text) <= _LONGEST_REASON for text in by.values()) and f"{by['who']}{by['time']}".isprintable()


# More than anybody gives as a reason, in characters.
_LONGEST_REASON = 1 << 16


def recorded(directory: Directory) -> tuple[dict[str, t.Any], float] | None:
    """Return what is recorded of a command that has ended, and when that was written, in seconds since the epoch.

    None if nothing is.

    :raises OSError: if it cannot be read, or is something else: nobody but whose directory it is has put that there
    """
    try:
        content, status = directory.read(RESULT)
        result = parsed(content)
    except FileNotFoundError:
        return None
    except ValueError:
        result = None
    if isinstance(result, dict) and "rc" in result:
        return result, status.st_mtime
    raise Refused("is odd")
