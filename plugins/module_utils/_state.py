# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save and forget the record of a named job: what the module C(async_job_state) does.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import getpass
import ntpath
import os
import random
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import DEFAULT_ASYNC_DIR, JOB_OPTIONS, STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import ABSENT, Notify, Store, Version, nobody, open_store

ARGUMENT_SPEC: Spec = {
    **JOB_OPTIONS,
    "job_name": {**JOB_OPTIONS["job_name"], "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "ansible_job_id": {"type": "str"},
    "results_file": {"type": "str"},
    "metadata": {"type": "dict"},
    "status": {"type": "str", "choices": ["running", "orphaned", *_record.ENDED]},
    "become_user": {"type": "str"},
    "stdout_file": {"type": "str"},
    "stderr_file": {"type": "str"},
    **STORE_OPTIONS,
}

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


def run(params: dict[str, t.Any], *, check_mode: bool, async_dir: str = DEFAULT_ASYNC_DIR, notify: Notify = nobody) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC; host and playbook_name are given
    :arg check_mode: only say what would be changed
    :arg async_dir: the directory of results files, where the options don't tell the results file
    """
    key = JobKey(params["host"], params["playbook_name"], params["job_name"])
    job_id = params["ansible_job_id"]
    if job_id is not None:
        check_job_id(job_id, "ansible_job_id")
    try:
        store = open_store(params, notify)
        if params["state"] == "absent":
            before, after = _forget(store, key, check_mode=check_mode)
        else:
            before, after = _save(store, key, _changes(params, async_dir), check_mode=check_mode)
    except AsyncJobError as error:
        if job_id is None:
            raise
        saved = "may not have been saved" if error.in_doubt else "was not saved"
        raise AsyncJobError(f"{error} The job id {job_id} {saved}: if that job was started, it goes on running.") from error
    where = store.locate(key.path)
    return {
        "changed": before != after,
        "record": after or {},
        "state_file": where,
        "diff": {"before_header": where, "after_header": where, "before": shown(before), "after": shown(after)},
        "warnings": store.warnings,
    }


def check_job_id(job_id: str, option: str) -> None:
    """Refuse what cannot be a file name on the host, where the job id is one.

    :arg option: where it comes from, for the error
    """
    if job_id.strip() in ("", ".", "..") or "/" in job_id or not job_id.isprintable():
        raise AsyncJobError(
            f"{option} is {job_id!r}, which is not a job id. Give the 'ansible_job_id' of the registered result of a"
            " task with 'async: <seconds>' and 'poll: 0'; a task that was skipped or that ran in check mode has none."
        )


def _changes(params: dict[str, t.Any], async_dir: str) -> Record:
    """The fields that the user gave. Those of JobKey are not among them."""
    changes: Record = {"async_dir": async_dir}
    if params["ansible_job_id"] is not None:
        changes["ansible_job_id"] = params["ansible_job_id"]
    if params["results_file"]:
        # ntpath, because it knows both separators: the host may run Windows
        changes.update(results_file=params["results_file"], async_dir=ntpath.dirname(params["results_file"]))
    if isinstance(params["metadata"], str):  # what ansible-core before 2.19 lets pass for a dictionary
        raise AsyncJobError(
            "metadata is a text that looks like a dictionary and cannot be read as one. Nothing was saved. ansible-core before 2.19"
            " makes such a text of a variable that holds a date: give the dictionary itself, or turn the date into a string."
        )
    if params["metadata"] is not None:
        changes["metadata"] = _record.storable(params["metadata"], name="metadata")
    for option in ("results_file", "stdout_file", "stderr_file"):
        if "\0" in (params[option] or ""):
            raise AsyncJobError(f"{option} holds NUL, which no path does. Nothing was saved. Correct it.")
    for option in ("status", "become_user", "stdout_file", "stderr_file"):
        if params[option]:
            changes[option] = params[option]
    return changes


def _save(store: Store, key: JobKey, changes: Record, *, check_mode: bool) -> tuple[Record | None, Record | None]:
    deadline = time.monotonic() + _CONTENTION_SECONDS
    while True:
        before, version = read(store, key)
        after = _changed(before, key, changes)
        if after == before or check_mode:
            return before, after
        try:
            store.write(key.path, _record.dump(after), expect=version)
        except Conflict:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, 0.1))
        else:
            return before, after


def _forget(store: Store, key: JobKey, *, check_mode: bool) -> tuple[Record | None, Record | None]:
    before, version = read(store, key)
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
    while record["ansible_job_id"] == job_id and record.get("status") not in _record.CLAIMED:
        after = {field: value for field, value in {**record, **learned}.items() if value is not None}
        if after == record:
            break
        after.update(key._asdict(), schema_version=_record.SCHEMA_VERSION, save_time=_record.now(), write_id=_record.new_write_id())
        try:
            return after, store.write(key.path, _record.dump(after), expect=version)
        except Conflict:
            if time.monotonic() > deadline:
                raise
            found, version = read(store, key)
            if found is None:  # somebody has forgotten the job
                break
            record = found
            if record.get("status") in _record.ENDED and learned.get("status") in ("running", "orphaned", "lost"):
                break  # somebody has seen its end after we have looked, and may have removed what we did not find
    return record, version


def read(store: Store, key: JobKey) -> tuple[Record | None, Version]:
    """The record of a job, or None where it is proven that there is none, and the version to expect when writing it."""
    document = store.read(key.path)
    if document is None:
        return None, ABSENT
    where = store.locate(key.path)
    record = _record.parse(document.content, where=where)
    _record.check_names(record, key, where=where)
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
    after.update(key._asdict(), schema_version=_record.SCHEMA_VERSION)
    if before is None or changes.get("ansible_job_id", before["ansible_job_id"]) != before["ansible_job_id"]:
        begin_attempt(after, before)
        after.update(changes)
    else:
        # Where the results file was said to be still holds, unless this save says it anew.
        keep = () if "results_file" in changes else ("async_dir",)
        after.update({field: value for field, value in changes.items() if field not in keep})
    if after["status"] in _record.ENDED:
        after.setdefault("end", _record.now())
    else:
        after.pop("end", None)
    if after != before:
        after.update(save_time=_record.now(), write_id=_record.new_write_id())
    return after


def begin_attempt(after: Record, before: Record | None) -> None:
    """Put what the record says of one attempt into its history, and make room for the next one."""
    if before is not None:
        past: Record = {field: before[field] for field in _PAST_FIELDS if field in before}
        past["attempt"] = before.get("attempt", 1)
        past.setdefault("start", before.get("save_time", ""))
        past["rc"] = before.get("result", {}).get("rc")
        after["attempts"] = [*before.get("attempts", ()), past][-_record.PAST_ATTEMPTS :]
        for field in _record.ATTEMPT_FIELDS:
            after.pop(field, None)
    after.update(
        attempt=before.get("attempt", 1) + 1 if before is not None else 1,
        status="running",
        start=_record.now(),
        who=whoami(),
    )


def _refuse_claimed(record: Record, key: JobKey) -> None:
    if record.get("status") in _record.CLAIMED:
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
    return _record.dump({field: value for field, value in record.items() if field != "write_id"}).decode("utf-8")
