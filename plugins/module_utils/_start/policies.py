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
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import since_end
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, status_to_act_on, storable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED

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


def decide(record: Record, policies: Policies, fingerprint: str, *, tried: bool, joined: bool, now: float) -> Decision:
    """Judge a job by its record.

    :arg fingerprint: of what is asked for now; empty if nothing is to be compared
    :arg tried: whether this task has started any attempt of the job itself, in this run of the playbook
    :arg joined: whether it has, or has seen one run that somebody else had started. Then it starts none for the sake of its own options
        or of time alone: two tasks that differ would start each other's job anew for ever
    :arg now: in seconds since the epoch
    """
    status = status_to_act_on(record)
    if record.get("cancelling") and status not in ENDED:
        return Decision()  # whoever is at it says soon what has come of that
    changed = policies["on_change"] != "attach" and differs(record, fingerprint)
    ordered = _is_ordered(record, policies, fingerprint, joined=joined)
    attempt = f"attempt {record.get('attempt', 1)}"
    if status in policies["restart_on"]:
        most = policies["max_attempts"]
        # Without a limit: one for each run of the task
        if ordered or (not tried if most is None else _tries(record) < most):
            pause = _backoff(record, policies) - since_end(record, now)
            return Decision(start=pause <= 0, wait=max(pause, 0.0), why=f"{attempt}: {status}")
    if status in ENDED and ordered:
        return Decision(start=True, why=f"{attempt}, {status}, was of another task")
    if status == "succeeded" and was_skipped(record) and not joined:
        return Decision(start=True, why=f"{attempt} had nothing to do (creates, removes)")
    if status == "succeeded":
        if policies["rerun_after"] is not None and not joined and since_end(record, now) >= policies["rerun_after"]:
            return Decision(start=True, why=f"{attempt} succeeded at {record.get('end') or record.get('save_time')}")
        if changed and policies["on_change"] == "restart":
            return Decision(
                refusal="Another task has run it with other options while this one waited. Nothing was started. Run the playbook once more"
                " to run it with these."
            )
        if changed:
            return Decision(
                refusal="It succeeded, but its options have changed since. Nothing was started."
                " Give it another job_name if it is another job; or say 'on_change: restart' to run it anew, or 'on_change: attach' to"
                " take its result all the same."
            )
    if changed and status not in CLAIMED:
        if policies["on_change"] == "restart":
            advice = " Run the playbook once more to run it anew with these."
        else:
            advice = " Say 'on_change: restart' to run it anew with these."
        advice = advice if status in ENDED else ""
        return Decision(warning=f"It was started with other options than it has now. Those hold.{advice}")
    return Decision()


def was_skipped(record: Record) -> bool:
    """Return whether a command did not run because of its options C(creates) or C(removes). It has no start then, which others have."""
    result = record.get("result", {})
    is_command = bool(record.get("stdout_file")) or str(result.get("msg", "")).startswith("Did not run command since ")
    return is_command and record.get("status") == "succeeded" and result.get("rc") == 0 and "start" not in result


def _is_ordered(record: Record, policies: Policies, fingerprint: str, *, joined: bool) -> bool:
    """Return whether the user wants a job that has ended anew because its options have changed."""
    return policies["on_change"] == "restart" and not joined and differs(record, fingerprint)


def differs(record: Record, fingerprint: str) -> bool:
    """Return whether an attempt is known to be of another task than the one that is asked for now."""
    return bool(fingerprint and record.get("fingerprint")) and not _is_same(record["fingerprint"], fingerprint)


def first_attempt(before: Record | None, policies: Policies, fingerprint: str, *, joined: bool) -> int:
    """Return the number of the attempt from which C(max_attempts) counts for the next one: the first since a success, or since a user
    has ordered one with other options. That other options alone begin a new series would let two tasks that differ go on for ever."""
    if before is None:
        return 1
    if before.get("status") == "succeeded" or _is_ordered(before, policies, fingerprint, joined=joined):
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
