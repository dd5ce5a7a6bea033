# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims: who has set out to start a job, and whether they are still there.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import time
import typing as t
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_id, find_process
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import begin_attempt, whoami
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, merged, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED

# How often to look whether a record has moved on, in seconds: at first, at most, and how fast that grows.
_FIRST_INTERVAL = 0.1
_LONGEST_INTERVAL = 2.0
_GROWTH = 1.5

# What a claimed attempt that was given up leaves to the next one: nothing of where it was to live.
_OF_THE_PLACE = ("async_dir", "attempt_dir", "boot_id", "remote_user", "become_user", "delegated_host", "stdout_file", "stderr_file")


def claimed_record(before: Record | None, key: JobKey, about: Record, *, no_log: bool) -> Record:
    """Return the record with which this process claims the next attempt.

    An attempt that was claimed and never started has not been one: the new one takes its number.

    :arg before: the record that there is
    :arg about: fields that the user gave, and those that say who starts it, if it is another one than this process runs as
    """
    record: Record = {"metadata": {}} if before is None else before
    fenced = 0
    if before is not None and before.get("status") in CLAIMED:
        fenced = before.get("claim", {}).get("fenced", 0) + (before["status"] == "prepared")
        record = merged(without(before, _OF_THE_PLACE), {"start": _times.now(), "who": whoami()})
    else:
        record = begin_attempt(record, before)
    process = find_process(os.getpid())
    claim = {
        "id": uuid.uuid4().hex,
        "who": about.get("who") or whoami(),
        "since": _times.now(),
        "fenced": fenced,
        "boot_id": boot_id(),
        "pid_namespace": _pid_namespace(),
        "pid": os.getpid(),
        "pid_start": process.start if process else 0,
    }
    record = merged(record, {**about, **key._asdict(), "status": "starting", "ansible_job_id": "", "claim": claim})
    if no_log:
        record["no_log"] = True
    return record


def holder_is_gone(record: Record) -> bool:
    """Return whether the process that has claimed the job is known to have ended. On another machine, or in another container, nobody can
    know that."""
    claim = record.get("claim", {})
    if not claim.get("boot_id") or (claim["boot_id"], claim.get("pid_namespace")) != (boot_id(), _pid_namespace()):
        return False
    pid = claim.get("pid")
    process = find_process(pid) if isinstance(pid, int) else None
    return process is None or process.start != claim.get("pid_start")


def moves(
    record: Record, changed: t.Callable[[], bool], *, life: float, more: float = 0.0, notify: t.Callable[[str], None]
) -> t.Generator[float, None, bool]:
    """Wait until whoever has claimed the job moves on. Return False if they are gone, or have not moved for the life of the claim.

    Yield how long to do nothing, in seconds, each time before it looks again.

    That is measured by our own clock, from now on: clocks of two machines are never compared.

    :arg changed: whether the record has changed
    :arg life: in seconds; it doubles with each attempt that was given up, so that a slow host is not given up for ever
    :arg more: how much longer it may take, in seconds, if it is at its work already
    :arg notify: called with a line for the user who waits
    """
    claim = record.get("claim", {})
    life = life * 2 ** min(claim.get("fenced", 0), 10) + more
    begin = time.monotonic()
    interval = _FIRST_INTERVAL
    told = False
    while not holder_is_gone(record):
        if changed():
            return True
        left = begin + life - time.monotonic()
        if left <= 0:
            return False
        if not told and time.monotonic() - begin > 1:
            told = True
            notify(f"It is being started by {claim.get('who', 'another controller')}. Waiting for at most {left:.0f} seconds.")
        yield min(interval, left)
        interval = min(interval * _GROWTH, _LONGEST_INTERVAL)
    return changed()


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
