# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, change and write the record of a named job: the one place that writes records.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import getpass
import os
import random
import time

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    ATTEMPT_FIELDS,
    PAST_ATTEMPTS,
    SCHEMA_VERSION,
    Record,
    check_names,
    dump,
    new_write_id,
    parse,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, CLAIMED, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store, Version

# What the history keeps of a past attempt, beside its number and its return code.
_PAST_FIELDS = (
    "ansible_job_id",
    "status",
    "reason",
    "start",
    "end",
    "who",
    "cancelled",
    "async_dir",
    "attempt_dir",
    "remote_user",
    "become_user",
    "delegated_host",
)

# For how long to try again when others keep saving the same record. Even hundreds of writers are through in seconds.
_CONTENTION_SECONDS = 60.0


def save(store: Store, key: JobKey, changes: Record, *, check_mode: bool) -> tuple[Record | None, Record | None]:
    deadline = time.monotonic() + _CONTENTION_SECONDS
    while True:
        before, version = read_record(store, key)
        after = _changed(before, key, changes)
        if after == before or check_mode:
            return before, after
        try:
            store.write(key.path, dump(after), expect=version)
        except Conflict:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, 0.1))
        else:
            return before, after


def forget(store: Store, key: JobKey, *, check_mode: bool) -> tuple[Record | None, Record | None]:
    before, version = read_record(store, key)
    if before is not None:
        _refuse_claimed(before, key)
        if not check_mode:
            store.delete(key.path, expect=version)
    return before, None


def note(store: Store, key: JobKey, record: Record, version: Version, learned: Record) -> tuple[Record, Version]:
    """Add what was learned of a job to its record, unless another attempt has begun meanwhile.

    :arg record: as it was read, and its version
    :arg learned: fields; those that are None are removed
    :returns: the record as it is in the store now; the one before, and ABSENT, if it was removed meanwhile
    """
    deadline = time.monotonic() + _CONTENTION_SECONDS
    job_id = record["ansible_job_id"]
    while record["ansible_job_id"] == job_id and record.get("status") not in CLAIMED:
        after = {field: value for field, value in {**record, **learned}.items() if value is not None}
        if after == record:
            break
        after.update(key._asdict(), schema_version=SCHEMA_VERSION, save_time=_times.now(), write_id=new_write_id())
        try:
            return after, store.write(key.path, dump(after), expect=version)
        except Conflict:
            if time.monotonic() > deadline:
                raise
            found, version = read_record(store, key)
            if found is None:  # somebody has forgotten the job
                break
            record = found
            if record.get("status") in ENDED and learned.get("status") in (*ALIVE, "lost"):
                break  # somebody has seen its end after we have looked, and may have removed what we did not find
    return record, version


def read_record(store: Store, key: JobKey) -> tuple[Record | None, Version]:
    """The record of a job, or None where it is proven that there is none, and the version to expect when writing it."""
    document = store.read(key.path)
    if document is None:
        return None, ABSENT
    where = store.locate(key.path)
    record = parse(document.content, where=where)
    check_names(record, key, where=where)
    return record, document.version


def _changed(before: Record | None, key: JobKey, changes: Record) -> Record:
    """The record after a save. It is equal to the one before if the save changes nothing."""
    if before is None:
        if "ansible_job_id" not in changes:
            raise AsyncJobError(f"There is no record of {key}, and without ansible_job_id none can be made.")
        after: Record = {"metadata": {}}
    else:
        _refuse_claimed(before, key)
        after = {"status": "running", "attempt": 1, **before}  # an older record has neither
    after.update(key._asdict(), schema_version=SCHEMA_VERSION)
    if before is None or changes.get("ansible_job_id", before["ansible_job_id"]) != before["ansible_job_id"]:
        begin_attempt(after, before)
        after.update(changes)
    else:
        # Where the results file was said to be still holds, unless this save says it anew.
        keep = () if "results_file" in changes else ("async_dir",)
        after.update({field: value for field, value in changes.items() if field not in keep})
    if after["status"] in ENDED:
        after.setdefault("end", _times.now())
    else:
        after.pop("end", None)
    if after != before:
        after.update(save_time=_times.now(), write_id=new_write_id())
    return after


def begin_attempt(after: Record, before: Record | None) -> None:
    """Put what the record says of one attempt into its history, and make room for the next one."""
    if before is not None:
        past: Record = {field: before[field] for field in _PAST_FIELDS if field in before}
        past["attempt"] = before.get("attempt", 1)
        past.setdefault("start", before.get("save_time", ""))
        past["rc"] = before.get("result", {}).get("rc")
        after["attempts"] = [*before.get("attempts", ()), past][-PAST_ATTEMPTS:]
        for field in ATTEMPT_FIELDS:
            after.pop(field, None)
    after.update(
        attempt=before.get("attempt", 1) + 1 if before is not None else 1,
        status="running",
        start=_times.now(),
        who=whoami(),
    )


def _refuse_claimed(record: Record, key: JobKey) -> None:
    if record.get("status") in CLAIMED:
        claim = record.get("claim", {})
        raise AsyncJobError(
            f"The {key} is being started by {claim.get('who', 'another controller')} since"
            f" {claim.get('since', record.get('save_time'))}. Nothing was changed. Wait until it runs, or, if that controller"
            " is gone, run the playbook that starts the job once more."
        )


def whoami() -> str:
    """The user that this process runs as, and the machine: C(user@machine)."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without an entry in passwd
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def shown(record: Record | None) -> str:
    """The record in a diff. The write id is noise there."""
    if record is None:
        return ""
    return dump({field: value for field, value in record.items() if field != "write_id"}).decode("utf-8")
