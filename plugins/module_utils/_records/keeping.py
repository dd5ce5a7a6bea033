# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, change and write the record of a named job: the one place that writes records.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import pwd
import random
import time
import typing as t
from collections.abc import Mapping

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    ATTEMPT_FIELDS,
    PAST_ATTEMPTS,
    SCHEMA_VERSION,
    Fields,
    Record,
    check_names,
    dump,
    merged,
    new_write_id,
    once_unseen_work_is_done,
    parse,
    picked,
    unseen_work,
    why_unseen,
    without,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, CLAIMED, ENDED, PROOF, SIGNALLED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, MOST, Content, Document, Store, Version

# What the history keeps of a past attempt, beside its number and its return code.
PAST_FIELDS = (
    "ansible_job_id",
    "status",
    "reason",
    "start",
    "end",
    "end_noticed",
    "elapsed",
    "who",
    "awx",
    "ara_playbook",
    "cancelled",
    "async_dir",
    "attempt_dir",
    "remote_user",
    "become_user",
    "delegated_host",
    "place",
    "origin",
    "semaphore",
)

# For how long to try again when others keep changing the same document. Even hundreds of writers are through in seconds.
_CONTENTION_SECONDS = 60.0

Answer = t.TypeVar("Answer")
Written = t.TypeVar("Written", Record, Content)


def contended(attempt: t.Callable[[], Answer]) -> Answer:
    """Try to change a document, and try again, after a pause, whenever somebody else was faster.

    :arg attempt: reads the document, changes it and writes it, once
    :raises Conflict: if others have been faster for a minute
    """
    deadline = time.monotonic() + _CONTENTION_SECONDS
    while True:
        try:
            return attempt()
        except Conflict:
            if time.monotonic() > deadline:
                raise
        give_way()


def give_way() -> None:
    """Wait for a moment after somebody else was faster: all others who were not do so, too."""
    time.sleep(random.uniform(0, 0.1))


def read_record(store: Store, key: JobKey) -> tuple[Record | None, Version]:
    """Read the record of a job. Return it, or None where it is proven that there is none, and the version to expect when writing it."""
    record, document = read_document(store, key)
    return record, ABSENT if document is None else document.version


def read_document(store: Store, key: JobKey) -> tuple[Record | None, Document | None]:
    """Read the record of a job, and the document that it was read from."""
    document = store.read(key.path)
    if document is None:
        return None, None
    where = store.locate(key.path)
    record = parse(document.content, where=where)
    check_names(record, key, where=where)
    return record, document


def write_record(store: Store, key: JobKey, record: Record, *, expect: Version) -> tuple[Record, Version]:
    """Write the record of a job as of now.

    :arg expect: the version that it replaces, or ABSENT
    :returns: the record as it is in the store, and its version
    :raises Conflict: if something else is there; nothing was written then
    """
    return write(store, key.path, _as_of_now(record, key), expect=expect)


def _as_of_now(record: Record, key: JobKey) -> Record:
    return merged(record, {**key._asdict(), "schema_version": SCHEMA_VERSION, "save_time": _times.now()})


def write(store: Store, path: str, document: Written, *, expect: Version) -> tuple[Written, Version]:
    """Write a record or an approval that keeps the times it has.

    An id of its own makes each write differ from all others: only so can a store tell, when an answer is lost, whether it was ours.
    """
    written: Written = {**document, "write_id": new_write_id()}
    content = dump(written)
    if len(content) > MOST:
        raise AsyncJobError(
            f"{store.locate(path)} would be larger than {MOST >> 20} MiB, which nobody would read. Nothing was changed. Store less of the"
            " result (store_result), or less metadata."
        )
    return written, store.write(path, content, expect=expect)


def withdraw(store: Store, key: JobKey, by: Mapping[str, object]) -> None:
    """Take an intent to cancel a job off its record, if it is there.

    :arg by: the intent
    """

    def attempt() -> None:
        record, version = read_record(store, key)
        if record is not None and record.get("cancelling") == by:
            write_record(store, key, without(record, ("cancelling",)), expect=version)

    contended(attempt)


def put_back(store: Store, key: JobKey, before: Document | None, *, expect: Version) -> None:
    """Undo a write: put back, byte for byte, what was there before it, or nothing.

    :arg expect: the version that the write has returned
    :raises Conflict: if something else is there by now; it stays
    """
    if before is None:
        store.delete(key.path, expect=expect)
    else:
        store.write(key.path, before.content, expect=expect)


def save(
    store: Store, key: JobKey, changes: Fields, *, check_mode: bool, started_by: Fields | None = None
) -> tuple[Record | None, Record | None]:
    """Save what a user says of a job. Return the record before and after. A save that changes nothing writes nothing.

    :arg started_by: fields of a new attempt that say who has started it, if it was another one than this process runs as
    """

    def attempt() -> tuple[Record | None, Record | None]:
        before, version = read_record(store, key)
        after = _changed(before, key, changes, started_by or {})
        if after == before:
            return before, after
        if check_mode:
            return before, {**_as_of_now(after, key), "write_id": new_write_id()}
        return before, write_record(store, key, after, expect=version)[0]

    return contended(attempt)


def forget(
    store: Store, key: JobKey, *, force: bool, check_mode: bool, before_it_goes: t.Callable[[Record], None] = lambda record: None
) -> tuple[Record | None, Record | None]:
    """Remove the record of a job. Return it, and what is there now: nothing.

    :arg force: also if a controller is about to start the job, or was; and if it runs, as far as the record knows
    :arg before_it_goes: called with the record of a job that has ended, before it is removed
    """
    before, version = read_record(store, key)
    if before is not None:
        if not force:
            _refuse_claimed(before, key)
            _refuse_alive(before, key)
            _refuse_unseen_work(before, key)
        if not check_mode:
            if before.get("status") in ENDED:
                before_it_goes(before)
            store.delete(key.path, expect=version)
    return before, None


def note(store: Store, key: JobKey, record: Record, version: Version, learned: Fields) -> tuple[Record, Version]:
    """Add what was learned of a job to its record, unless another attempt has begun meanwhile.

    A job that somebody was about to start is left to them, unless it was learned that it has started.

    :arg record: as it was read, and its version
    :arg learned: fields; those that are None are removed
    :returns: the record as it is in the store now; the one before, and ABSENT, if it was removed meanwhile
    """
    adopts = record.get("status") == "prepared" and "ansible_job_id" in learned
    known: tuple[Record, Version] | None = (record, version)
    last = record

    def attempt() -> tuple[Record, Version]:
        nonlocal known, last
        news = learned
        if known is None:
            found, expect = read_record(store, key)
            if found is None:  # somebody has forgotten the job
                return last, ABSENT
            if is_late(learned.get("status"), found.get("status", "running")):
                # Somebody has seen its end after we have looked, and may have removed what we did not find. An order stands all the same;
                # that the host says so is none.
                if not learned.get("cancelled") or learned["status"] == "cancelled":
                    return found, expect
                news = picked(learned, ("cancelled", "cancelling"))
        else:
            found, expect = known
        if learned.keys() == {"cancelling"} and learned["cancelling"] and (found.get("status") in ENDED or found.get("cancelling")):
            return found, expect  # there is nothing left to cancel, or somebody else is at it
        known, last = None, found
        after = merged(found, _in_the_light_of(found, news))
        job_ids = (record.get("ansible_job_id", ""), learned.get("ansible_job_id"))
        is_same = found.get("ansible_job_id", "") in job_ids and found.get("attempt_dir", "") == record.get("attempt_dir", "")
        is_claimed = found.get("status") in CLAIMED and not (adopts and found.get("status") == "prepared")
        if not is_same or is_claimed or after == found:
            return found, expect
        return write_record(store, key, after, expect=expect)

    return contended(attempt)


def _in_the_light_of(found: Record, learned: Fields) -> Fields:
    """Return what was learned of a job, if somebody was about to cancel it, as the record says by now. Whoever does that, says so.

    Of an attempt, its host says whether it was stopped. Of others, nothing there does. The order stands: what has ended like one that got
    signals is not to go on.
    """
    by = found.get("cancelling")
    if by is None or "cancelling" in learned or learned.get("status") not in ENDED:
        return learned
    if found.get("attempt_dir") or learned.get("status") not in SIGNALLED:
        return {**learned, "cancelling": None}
    reason = f"{learned.get('reason') or learned['status']}, after {by.get('who')} had begun to cancel it"
    return {**learned, "cancelled": by, "cancelling": None, "reason": reason}


def is_late(learned: str | None, noted: str) -> bool:
    """Return whether what a look has made out is worth less than the word that somebody else has noted since.

    :arg learned: the status that was made out, if any was
    :arg noted: the status that the record has by now
    """
    return learned is not None and PROOF.get(learned, 0) <= PROOF.get(noted, -1)


def _changed(before: Record | None, key: JobKey, changes: Fields, started_by: Fields) -> Record:
    """Return the record after a save. It is equal to the one before if the save changes nothing."""
    if before is None:
        if "ansible_job_id" not in changes:
            raise AsyncJobError(f"There is no record of {key}, and without ansible_job_id none can be made.")
        after: Record = {"metadata": {}}
    else:
        _refuse_claimed(before, key)
        after = {"status": "running", "attempt": 1, **before}  # an older record has neither
    after = merged(after, {**key._asdict(), "schema_version": SCHEMA_VERSION})
    if before is None or changes.get("ansible_job_id", before["ansible_job_id"]) != before["ansible_job_id"]:
        if before is not None:
            _refuse_unseen_work(before, key)
        after = merged(begin_attempt(after, before), {**started_by, **changes})
    else:
        # Where the results file was said to be still holds, unless this save says it anew.
        after = merged(after, changes if "results_file" in changes else without(changes, ("async_dir",)))
    if after["status"] in ENDED:
        after.setdefault("end", _times.now())
        after.pop("cancelling", None)
    else:
        after = without(after, ("end", "end_noticed", "ended", "elapsed", "cancelled"))
    return after


def begin_attempt(record: Record, before: Record | None) -> Record:
    """Return the record of the next attempt: what it said of the one before is in its history now.

    :arg before: the record that there is. None if there is none
    """
    changes: Fields = {"attempt": 1}
    if before is not None:
        past = picked(before, PAST_FIELDS)
        past["attempt"] = before.get("attempt", 1)
        past.setdefault("start", before.get("save_time", ""))
        result = before.get("result", {})
        past["rc"] = result.get("rc")
        if "delta" in result:
            past["delta"] = result["delta"]
        changes = {"attempts": [*before.get("attempts", ()), past][-PAST_ATTEMPTS:], "attempt": past["attempt"] + 1}
    changes.update(status="running", start=_times.now(), who=whoami())
    return merged(without(record, ATTEMPT_FIELDS) if before is not None else record, changes)


def _refuse_claimed(record: Record, key: JobKey) -> None:
    if record.get("status") in CLAIMED:
        claim = record.get("claim", {})
        raise AsyncJobError(
            f"The {key} is being started by {claim.get('who', 'another controller')} since"
            f" {claim.get('since', record.get('save_time'))}. Nothing was changed. Wait until it runs, or, if that controller"
            " is gone, run the playbook that starts the job once more. Once you are sure that it does not run, its record can be removed"
            " with async_job_state: 'state: absent' and 'force: true'."
        )


def _refuse_alive(record: Record, key: JobKey) -> None:
    status = record.get("status", "running")
    if status in ALIVE:
        raise AsyncJobError(
            f"The {key} is {status}, as far as its record knows, which was saved at {record.get('save_time')}. Nothing was changed: without"
            " a record nobody finds the job, and the next run of its playbook may start a second one beside it. If it has ended, look at it"
            " with async_job_status, which notes that; if it has not, stop it with async_job_cancel. To remove the record of a job that"
            " goes on, or of one that you are sure has ended, say 'force: true' beside 'state: absent'."
        )


def _refuse_unseen_work(record: Record, key: JobKey) -> None:
    action = unseen_work(record)
    if action:
        raise AsyncJobError(
            f"The {key} may still be under way: {why_unseen(action)}. Nothing was changed. {once_unseen_work_is_done(record)}"
        )


def whoami(user: str = "") -> str:
    """Return the user that this process runs as, as the system knows them, and the machine: C(user@machine).

    :arg user: whom to name in their place
    """
    return f"{user or system_user()}@{os.uname().nodename}"


def system_user() -> str:
    """Return the name that belongs to the user id of this process. What variables of the environment say, anybody can say."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user id without an entry in passwd
        return str(os.getuid())


def shown(record: Mapping[str, object] | None) -> str:
    """Return the record as a diff shows it. The write id is noise there."""
    if record is None:
        return ""
    return dump(without(record, ("write_id",))).decode("utf-8")
