# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host answers is data: whoever is root there can make it up. It may be a lie, but it has the form of an answer.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_directory import is_cancel
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import Found
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.place import FIELDS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, ENDED, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_job_id, is_plain_path

# What is said of a job is shorter than this, in characters: it holds its name, and the reason that somebody gave for cancelling it.
_LONG = 1 << 18
# What no host has, in numbers of bytes or seconds.
_TOO_MUCH = 1 << 60


def heard_look(value: t.Any) -> Seen:
    """Return the answer of a host to a look at one job.

    :raises AsyncJobError: if it is none
    """
    if not isinstance(value, dict):
        raise _odd("is no look at a job")
    for name, fits in _FITS.items():
        if name not in value or not fits(value[name]):
            raise _odd(f"has no such {name} as a look at a job has")
    return t.cast(Seen, {name: value[name] for name in _FITS})


def heard_list(value: dict[str, t.Any], name: str, length: int) -> list[dict[str, t.Any]]:
    """Return a list of dictionaries in the answer of a host.

    :arg length: how many were asked for
    :raises AsyncJobError: if it is none, or has another length
    """
    found = value.get(name)
    if not isinstance(found, list) or len(found) != length or not all(isinstance(one, dict) for one in found):
        raise _odd(f"has no {name}, {length} of them")
    return found


def heard_processes(value: t.Any) -> list[dict[str, t.Any]]:
    """Return the processes that a host says it has stopped.

    :raises AsyncJobError: if these are none
    """
    if not _are_processes(value):
        raise _odd("has no processes that were stopped")
    return t.cast("list[dict[str, t.Any]]", value)


def heard_texts(value: t.Any) -> list[str]:
    """Return a list of texts that a host says.

    :raises AsyncJobError: if it is none
    """
    if not _are_texts(value):
        raise _odd("has no texts where some should be")
    return t.cast("list[str]", value)


def heard_found(value: t.Any) -> Found | None:
    """Return an attempt that a host has noted.

    :raises AsyncJobError: if it is none
    """
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {*Found._fields} or not all(map(_is_line, value.values())):
        raise _odd("has no file of a job where one should be")
    found = Found(**value)
    if not is_plain_path(found.path) or not found.problem.isprintable():
        raise _odd("has no file of a job where one should be")
    return found


def heard_notes(value: t.Any) -> list[Found]:
    """Return the attempts that a host has noted.

    :raises AsyncJobError: if these are none
    """
    if not isinstance(value, list) or None in value:
        raise _odd("has no files of jobs where some should be")
    return [t.cast(Found, heard_found(one)) for one in value]


def heard_text(value: t.Any) -> str:
    """Return a text that a host says.

    :raises AsyncJobError: if it is none
    """
    if not isinstance(value, str):
        raise _odd("has no text where one should be")
    return value


def _odd(what: str) -> AsyncJobError:
    return AsyncJobError(
        f"The answer of the host {what}. Something there has changed it, such as another Python under that name; see"
        " ansible_python_interpreter."
    )


Check = t.Callable[[t.Any], bool]


def _is_text(value: t.Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: t.Any) -> bool:
    return isinstance(value, bool)


def _is_line(value: t.Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONG


def is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _TOO_MUCH


def is_count(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_MUCH


def _are_texts(value: t.Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _has(**fields: Check) -> Check:
    """Return a check for a dictionary of these fields and no others."""

    def check(value: t.Any) -> bool:
        return isinstance(value, dict) and value.keys() == fields.keys() and all(fits(value[name]) for name, fits in fields.items())

    return check


def _or_none(fits: Check) -> Check:
    return lambda value: value is None or fits(value)


def _is_time(value: t.Any) -> bool:
    return isinstance(value, str) and (not value or _times.moment(value) is not None)


def is_boot_id(value: t.Any) -> bool:
    """Return whether this can be what tells one boot of a host from another."""
    return isinstance(value, str) and _BOOT.fullmatch(value) is not None


_BOOT = re.compile("[A-Za-z0-9_ -]{0,64}")

_is_process = _has(pid=is_count, ppid=is_count, uid=is_count, role=_is_text)
is_runner = _has(pid=is_count, start=is_number, session=is_count)
_progress = _has(current=is_count, total=is_count, text=_is_text)


def is_place(value: t.Any) -> bool:
    """Return whether this can be the place of a job."""
    return isinstance(value, dict) and all(
        name in FIELDS and (is_count(part) and part < _NEVER if name in ("time", "up") else _is_line(part) and part.isprintable())
        for name, part in value.items()
    )


# In seconds since the epoch. No calendar of Python goes further.
_NEVER = 10**11


def _are_processes(value: t.Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(line, dict)
        and _is_process({name: part for name, part in line.items() if name != "command"})
        and _is_text(line.get("command", ""))
        for line in value
    )


def _is_kept(value: t.Any) -> bool:
    return isinstance(value, dict) and _has(stdout=_is_text, stderr=_is_text, progress=_or_none(_progress))({"progress": None, **value})


_FITS: dict[str, Check] = {
    "status": lambda value: value in (*ALIVE, *ENDED, UNKNOWN),
    "reason": _is_line,
    "results_file": lambda value: _is_line(value) and value.isprintable(),
    "result": _or_none(lambda value: isinstance(value, dict)),
    "processes": _are_processes,
    "elapsed": _or_none(is_number),
    "end": _is_time,
    "boot_id": is_boot_id,
    "runner": _or_none(is_runner),
    "job_id": lambda value: value == "" or is_job_id(value),
    "place": _or_none(is_place),
    "cancelled": _or_none(is_cancel),
    "ended_ago": _or_none(lambda value: is_number(value) and 0 <= value < _NEVER),
    "stdout": _is_text,
    "stderr": _is_text,
    "stdout_size": is_count,
    "stderr_size": is_count,
    "stdout_offset": is_count,
    "stderr_offset": is_count,
    "stdout_truncated": _is_bool,
    "stderr_truncated": _is_bool,
    "progress": _or_none(_progress),
    "kept": _or_none(_is_kept),
    "warnings": _are_texts,
    "secret": _is_bool,
}
