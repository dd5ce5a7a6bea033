# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about a job that was started before: leave it, start it anew, wait with that, or refuse.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, storable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._times import ended_at

# The policies that C(async_job) takes.
Policies = t.Dict[str, t.Any]


class Decision(t.NamedTuple):
    """What to do."""

    start: bool = False
    wait: float = 0.0
    """For how long not to start it yet, in seconds."""
    why: str = ""
    """Why it is started anew, for people."""
    warning: str = ""
    refusal: str = ""
    """Why the task has to fail. Empty if it need not."""


def decide(record: Record, policies: Policies, fingerprint: str, *, ours: bool, now: float) -> Decision:
    """Judge a job by its record.

    :arg fingerprint: of what is asked for now; empty if nothing is to be compared
    :arg ours: whether this task has started the attempt itself, in this run of the playbook
    :arg now: in seconds since the epoch
    """
    status = record.get("status", "running")
    changed = policies["on_change"] != "attach" and differs(record, fingerprint)
    attempt = f"attempt {record.get('attempt', 1)}"
    if status in policies["restart_on"]:
        most = policies["max_attempts"]
        # Without a limit: one for each run of the task
        if changed or (not ours if most is None else _tries(record) < most):
            pause = 0.0 if changed else _backoff(record, policies) - _age(record, now)
            return Decision(start=pause <= 0, wait=max(pause, 0.0), why=f"{attempt}: {status}")
    if status in ENDED and changed and policies["on_change"] == "restart":
        return Decision(start=True, why=f"{attempt}, {status}, was of another task")
    if status == "succeeded":
        if policies["rerun_after"] is not None and not ours and _age(record, now) >= policies["rerun_after"]:
            return Decision(start=True, why=f"{attempt} succeeded at {record.get('end') or record.get('save_time')}")
        if changed:
            return Decision(
                refusal="It succeeded, but its options have changed since. Nothing was started."
                " Give it another job_name if it is another job; or say 'on_change: restart' to run it anew, or 'on_change: attach' to"
                " take its result all the same."
            )
    if changed and status not in CLAIMED:
        return Decision(warning="It was started with other options than it has now. Those hold.")
    return Decision()


def differs(record: Record, fingerprint: str) -> bool:
    """Return whether an attempt is known to be of another task than the one that is asked for now."""
    return bool(fingerprint and record.get("fingerprint")) and not _is_same(record["fingerprint"], fingerprint)


def first_attempt(before: Record | None, fingerprint: str) -> int:
    """Return the number of the attempt from which C(max_attempts) counts for the next one: the first since a success or a change."""
    if before is None:
        return 1
    if before.get("status") == "succeeded" or differs(before, fingerprint):
        return int(before.get("attempt", 1)) + 1
    return int(before.get("first_attempt", 1))


def fingerprint_of(action: str, options: t.Any) -> str:
    """Return what tells a task from another one. It is as secret as the options: see :func:`sealed`."""
    try:
        text = json.dumps([action, storable(options, name="task")], sort_keys=True)
    except AsyncJobError:
        return ""  # the module would not get it either
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_SEALED = re.compile("pbkdf2:([0-9a-f]{32}):([0-9a-f]{64})")
# So many rounds take some milliseconds: little for a task of a host, and much for whoever tries a list of passwords.
_ROUNDS = 10_000


def sealed(fingerprint: str) -> str:
    """Return a fingerprint as a record holds it. Whoever reads the record learns nothing of the options, short of guessing them all."""
    salt = os.urandom(16).hex()
    return f"pbkdf2:{salt}:{_hashed(fingerprint, salt)}"


@functools.lru_cache(maxsize=16)
def _hashed(fingerprint: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", fingerprint.encode("utf-8", "surrogateescape"), bytes.fromhex(salt), _ROUNDS).hex()


def _is_same(stored: str, fingerprint: str) -> bool:
    """Compare. What users have said themselves, and what former releases have written, is stored as it is."""
    match = _SEALED.fullmatch(stored)
    return hmac.compare_digest(match.group(2), _hashed(fingerprint, match.group(1))) if match else stored == fingerprint


def _tries(record: Record) -> int:
    return int(record.get("attempt", 1)) - int(record.get("first_attempt", 1)) + 1


def _backoff(record: Record, policies: Policies) -> float:
    """Return how long to wait between this attempt and the next, in seconds."""
    return float(min(policies["backoff"] * 2 ** min(_tries(record) - 1, 30), max(policies["max_backoff"], policies["backoff"])))


def _age(record: Record, now: float) -> float:
    """Return how long ago an attempt ended, in seconds. A clock that is ahead of ours makes that nothing, not less."""
    end = ended_at(record)
    return float("inf") if end is None else max(now - end.timestamp(), 0.0)
