# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What in a record nobody may act upon: the gate between records and the work on hosts.

Whoever may write to the store can write anything into a record. So nothing of it reaches a host, names a user to become, or chooses a
path, before it has passed here.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import STDERR, STDOUT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ara import is_ara_playbook
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, is_host_name, picked
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import NOT_STORED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.runs import is_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory, is_job_id, is_user_name
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._awx import is_awx
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import is_boot_id, is_number, is_place


def flaw_of(attempt: Record) -> str:
    """Return what is wrong with a record, or with one of its past attempts. Empty if work on hosts may be based on it.

    :arg attempt: fields as they were read; the types of those that stand at the top were checked then
    """
    if attempt.get("status") == "prepared" and not attempt.get("attempt_dir"):
        return "its status is 'prepared', and attempt_dir is missing"
    for field, value in picked(attempt, _CHECKS).items():
        why = _CHECKS[field](value, attempt)
        if why:
            return f"the field {field!r} holds {value!r}, which {why}"
    return ""


def explain(record: Record, where: str) -> str:
    """Return what a list says of a record that nobody may act upon. Empty if somebody may.

    :arg where: its place
    """
    flaw = flaw_of(record)
    if not flaw:
        return ""
    return (
        f"The record {where} cannot be used: {flaw}. Nobody acts upon it. Put back a good copy; or, once you are sure that the job does not"
        " run, remove it."
    )


Check = t.Callable[[t.Any, Record], str]


def _job_id(value: str, attempt: Record) -> str:
    if attempt.get("status") in CLAIMED or is_job_id(value):
        return ""
    if not value and attempt.get("status") in ENDED:
        return ""  # the host rebooted while it was being started
    return "is not a job id as Ansible makes them"


def _attempt_dir(value: str, attempt: Record) -> str:
    if not is_attempt_directory(value):
        return "is not the directory of an attempt"
    return "" if attempt.get("async_dir") == value else "is not its async_dir"


# Absolute, or in a home directory: of Unix, or of Windows
_DIRECTORY = re.compile(r"(/|~[\w.-]*([/\\]|\Z)|[A-Za-z]:[/\\]|\\|%\w+%|\$\w)")

_NO_DIRECTORY = re.compile(r"(^|[/\\])\.\.([/\\]|$)|\{[{%#]")


def _directory(value: str, attempt: Record) -> str:
    if not value.isprintable() or not _DIRECTORY.match(value) or _NO_DIRECTORY.search(value):
        return "is not the path of a directory"
    if not attempt.get("attempt_dir") and is_attempt_directory(f"/{os.path.basename(os.path.normpath(value))}"):
        return "is the directory of an attempt of another record"
    return ""


def _output_file(stream: str) -> Check:
    def check(value: str, attempt: Record) -> str:
        if attempt.get("attempt_dir"):
            return "" if value == f"{attempt['attempt_dir']}/{stream}" else "is not in the directory of the attempt"
        return "" if value.isprintable() else "is not the path of a file"

    return check


def _user(value: str, attempt: Record) -> str:
    # A number, as sudo takes it, was noted by former releases. It names nobody here, so it is passed over later.
    return "" if not value or is_user_name(value) or re.fullmatch("#[0-9]{1,10}", value) else "is not the name of a user"


# More bytes than any file has
_TOO_MUCH = 1 << 60


def _host(value: str, attempt: Record) -> str:
    return "" if not value or is_host_name(value) else "is not the name of a host"


def _number(value: float, attempt: Record) -> str:
    return "" if 0 <= value < _TOO_MUCH else "is no such number"


def _attempt_number(value: int, attempt: Record) -> str:
    return "" if 0 <= value < 10**9 else "is not the number of an attempt"


def _first_attempt(value: int, attempt: Record) -> str:
    return "" if 0 <= value <= attempt.get("attempt", 1) else "is later than the current attempt"


def _texts(value: list[t.Any], attempt: Record) -> str:
    return "" if all(isinstance(text, str) for text in value) else "is no list of names"


def _result(value: dict[str, t.Any], attempt: Record) -> str:
    return "" if isinstance(value.get(NOT_STORED, []), list) else "is not the result of a job"


def _place(value: dict[str, t.Any], attempt: Record) -> str:
    return "" if is_place(value) else "is not the place of a job"


def _ended(value: dict[str, t.Any], attempt: Record) -> str:
    up = value.get("up")  # negative if the job ended before this controller was booted
    return "" if isinstance(value.get("boot_id"), str) and is_number(up) else "is not a time of a controller"


def _boot(value: str, attempt: Record) -> str:
    return "" if is_boot_id(value) else "is not the id of a boot"


def _claim(value: dict[str, t.Any], attempt: Record) -> str:
    names = [value.get("who", ""), value.get("own_work", "")]
    fits = is_number(value.get("fenced", 0)) and value.get("fenced", 0) >= 0
    return "" if fits and all(isinstance(name, str) and name.isprintable() for name in names) else "is not a claim"


def _origin(value: dict[str, t.Any], attempt: Record) -> str:
    fits = value.keys() <= {"host", "store", "who", "start", "recovered_by"} and all(
        isinstance(text, str) and len(text) < _LONG for text in value.values()
    )
    if not fits or not "".join(value.values()).isprintable():
        return "does not say from where a job was started"
    return "" if attempt.get("attempt_dir") else "is of an attempt, and attempt_dir is missing"


# More characters than the place of a store has, or the name of a host.
_LONG = 4096


def _semaphore(value: dict[str, t.Any], attempt: Record) -> str:
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import is_slot  # few jobs have one

    return "" if is_slot(value) else "is not the slot of a semaphore"


def _awx(value: dict[str, t.Any], attempt: Record) -> str:
    return "" if is_awx(value) else "is not what AWX says of a run"


def _ara_playbook(value: dict[str, t.Any], attempt: Record) -> str:
    return "" if is_ara_playbook(value) else "does not name playbooks of ARA"


def _awaited_by(value: dict[str, t.Any], attempt: Record) -> str:
    return "" if is_run(value) and is_number(value.get("poll")) and 0 <= value["poll"] < 10**9 else "is not a run of Ansible"


def _codes(value: list[t.Any], attempt: Record) -> str:
    return "" if all(isinstance(code, int) and not isinstance(code, bool) for code in value) else "is no list of return codes"


_CHECKS: dict[str, Check] = {
    "ansible_job_id": _job_id,
    "async_dir": _directory,
    "attempt_dir": _attempt_dir,
    "stdout_file": _output_file(STDOUT),
    "stderr_file": _output_file(STDERR),
    "become_user": _user,
    "remote_user": _user,
    "delegated_host": _host,
    "timeout": _number,
    "tail_size": _number,
    "success_codes": _codes,
    "semaphore": _semaphore,
    "stdout_offset": _number,
    "stderr_offset": _number,
    "claim": _claim,
    "awx": _awx,
    "ara_playbook": _ara_playbook,
    "awaited_by": _awaited_by,
    "origin": _origin,
    "boot_id": _boot,
    "place": _place,
    "ended": _ended,
    "attempt": _attempt_number,
    "first_attempt": _first_attempt,
    "store_result": _texts,
    "result": _result,
}
