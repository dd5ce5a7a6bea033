# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that a run has left behind which waited for them: it was cancelled or has reached its time limit in AWX, was killed, or has lost its
host. Nobody there could say so any more; the next run can.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import note, read_record, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record, merged
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.runs import NAMES, has_ended, this_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import moves
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store, Version
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._cancelling import CancellingAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._pauses import Pause, Waits

# How rarely whoever waits notes that a job goes on, in seconds, beside the time between two looks.
_NOTED = 60
_GRACE = 10


def waiting(params: dict[str, t.Any], poll: int) -> Fields:
    """Return the field of the record that says which run waits for an attempt. None stands for a field to remove.

    :arg params: options of C(async_job)
    :arg poll: how often it looks, in seconds. 0 if it does not wait
    """
    return {"awaited_by": {**this_run(os.getppid()), "poll": poll} if params["on_cancel"] == "cancel" and poll else None}


def said_of_awx(record: Record, started_by: Fields) -> str:
    """Say that a job goes on which another job of AWX has started. Empty if none has."""
    awx = record.get("awx", {})
    if record.get("status") not in ALIVE or not awx.get("job_id") or awx["job_id"] == (started_by.get("awx") or {}).get("job_id"):
        return ""
    who = awx.get("user_name") or awx.get("schedule_name") or "nobody that it names"
    return f"it was started at {record.get('start')} by job {awx['job_id']} of AWX ({who}), and goes on. This run attaches to it."


def cancel_what_was_left(
    action: CancellingAction, store: Store, key: JobKey, found: tuple[Record, Version], params: dict[str, t.Any], poll: int
) -> Waits[bool]:
    """Cancel a job that a run has left behind which waited for it, if the task asks for that. Otherwise, if this run waits for it, note so.
    Return whether the record has changed.

    :arg found: the record and its version
    """
    record, version = found
    run = record.get("awaited_by")
    if not poll or record.get("status") not in ALIVE or (run is None and params["on_cancel"] != "cancel"):
        return False
    own = this_run(os.getppid())
    if run is not None and all(run.get(name) == own[name] for name in NAMES):
        return False
    if run is not None and params["on_cancel"] == "cancel":
        life = params["claim_timeout"] + _NOTED + 2 * run.get("poll", poll)
        if (yield from _is_gone(action, store, key, (record, version), life)):
            try:  # others see from now on that somebody is at it; and if nothing can be stopped, this run attaches as they do
                taken = write_record(store, key, merged(record, {"awaited_by": {**own, "poll": poll}}), expect=version)
            except Conflict:
                return True  # that was a sign of life, or somebody else waits for it by now: then, it is left behind no more
            reason = "the run that waited for it is gone (on_cancel)"  # which need not be the one that has started it
            action.notify(f"{key}: {reason}. It is cancelled.")
            asked = of_record(key, *taken, params, action.async_dir)
            action.cancel({**params, "reason": reason, "grace_period": _GRACE}, store, asked)
            return True
    noted, _version = note(store, key, record, version, {"awaited_by": {**own, "poll": poll}})
    return noted != record


def _is_gone(action: CancellingAction, store: Store, key: JobKey, found: tuple[Record, Version], life: float) -> Waits[bool]:
    """Return whether the run that waited for a job is gone: its process is seen to be; or it was elsewhere, and gives no sign of life.

    Whoever waits notes now and then that the job goes on.
    """
    record, version = found
    ended = has_ended(record["awaited_by"])
    if ended is not None:
        return ended
    action.notify(f"{key}: another run may be waiting for it. Looking for a sign of that for at most {life:.0f} seconds.")
    # Of no process it is known that it has gone: has_ended would have said so.
    pauses = moves({}, lambda: read_record(store, key)[1] != version, life=life, notify=lambda line: None)
    while True:
        try:
            seconds = next(pauses)
        except StopIteration as stop:
            return not stop.value
        yield Pause(seconds, is_idle=False)
