# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find records: what the module C(async_job_info) does.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _key, _record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import DEFAULT_ASYNC_DIR, JOB_OPTIONS, STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._state import read
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import Entry, Notify, Store, nobody, open_store

ARGUMENT_SPEC: Spec = {
    **JOB_OPTIONS,
    "job_name_pattern": {"type": "str"},
    "status": {"type": "list", "elements": "str", "choices": list(_record.STATUSES)},
    "older_than": {"type": "str"},
    "newer_than": {"type": "str"},
    **STORE_OPTIONS,
}

# A single job is asked for by its name alone; a filter has no place there.
MUTUALLY_EXCLUSIVE = [("job_name", filter_) for filter_ in ("job_name_pattern", "status", "older_than", "newer_than")]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def run(params: dict[str, t.Any], *, async_dir: str = DEFAULT_ASYNC_DIR, notify: Notify = nobody) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC; with job_name, host and playbook_name are given
    :arg async_dir: the directory of results files, where the record does not tell
    """
    store = open_store(params, notify)
    if params["job_name"] is not None:
        found = _one(store, JobKey(params["host"], params["playbook_name"], params["job_name"]), async_dir)
    else:
        found = _many(store, params)
    return {"changed": False, "store": store.locate(), "warnings": store.warnings, **found}


def _one(store: Store, key: JobKey, async_dir: str) -> dict[str, t.Any]:
    record, _version = read(store, key)
    return {
        "found": record is not None,
        "record": record or {},
        "records": [record] if record is not None else [],
        "async_dir": record.get("async_dir", async_dir) if record is not None else "",
        "state_file": store.locate(key.path),
    }


def _many(store: Store, params: dict[str, t.Any]) -> dict[str, t.Any]:
    wanted = _filter(params)
    records = []
    unreadable = []
    playbook = None if params["playbook_name"] is None else _key.encode(params["playbook_name"])
    for entry in store.entries(_key.prefix(params["host"], params["playbook_name"])):
        segments = entry.path.split("/")
        if playbook is not None and len(segments) == 3 and segments[1] != playbook:
            continue
        try:
            record = record_of(store, entry)
        except AsyncJobError as error:
            unreadable.append({"state_file": store.locate(entry.path), "msg": str(error)})
        else:
            if wanted(record):
                records.append(record)
    found: dict[str, t.Any] = {"found": bool(records), "record": {}, "records": records, "unreadable": unreadable}
    if unreadable:
        found.update(
            failed=True,
            msg=f"{len(unreadable)} records in {store.locate()} cannot be read; those that can are in 'records'. "
            + " ".join(line["msg"] for line in unreadable[:3])
            + (" The others are in 'unreadable'." if len(unreadable) > 3 else ""),
        )
    return found


def record_of(store: Store, entry: Entry) -> Record:
    """The record of a line in a listing, with the name of its playbook.

    :raises AsyncJobError: if it cannot be used
    """
    where = store.locate(entry.path)
    if entry.document is None:
        raise entry.error or AsyncJobError(f"The record {where} cannot be read.")
    record = _record.parse(entry.document.content, where=where)
    # Older records don't hold the name of their playbook; their path does.
    record.setdefault("playbook_name", _key.decode(entry.path.split("/")[1]) or "")
    key = JobKey(record["host"], record["playbook_name"], record["job_name"])
    if key.path != entry.path:
        raise AsyncJobError(
            f"The record {where} is not where it belongs: it is of {key}, which would be {store.locate(key.path)}."
            " The file was moved or copied by hand. Nothing was changed. Put it back, or remove it."
        )
    return record


def _filter(params: dict[str, t.Any]) -> t.Callable[[Record], bool]:
    now = datetime.datetime.now(datetime.timezone.utc)
    older_than = _age(params, "older_than")
    newer_than = _age(params, "newer_than")

    def wanted(record: Record) -> bool:
        if params["job_name_pattern"] is not None and not fnmatch.fnmatchcase(record["job_name"], params["job_name_pattern"]):
            return False
        if params["status"] and record.get("status", "running") not in params["status"]:
            return False
        if older_than is None and newer_than is None:
            return True
        age = now - saved_at(record)
        return (older_than is None or age > older_than) and (newer_than is None or age < newer_than)

    return wanted


def _age(params: dict[str, t.Any], option: str) -> datetime.timedelta | None:
    if params[option] is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", params[option])
    if match is None:
        raise AsyncJobError(f"{option} is {params[option]!r}, which is not an age. Give a number and a unit: 30s, 15m, 12h, 7d or 2w.")
    seconds = float(match.group(1)) * _SECONDS[match.group(2) or "s"]
    return datetime.timedelta(seconds=min(seconds, 1e12))  # what is more than all of history makes no difference


def saved_at(record: Record) -> datetime.datetime:
    """When the record was last saved. One whose time nobody can read counts as infinitely old."""
    text = record.get("save_time", "")
    try:
        time = datetime.datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    except ValueError:
        return datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
    return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)
