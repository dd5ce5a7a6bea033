# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has noted of attempts: what is written there, what is believed of it, and what it means for a start.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import hashlib
import os
import typing as t
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import MOST, Found, hash_of_host
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import whoami
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    Fields,
    Record,
    dump,
    key_of,
    parse,
    picked,
    without,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of

# What a record that is made anew takes from the file: what only the start of the attempt has known.
OF_THE_ATTEMPT = (
    "attempt",
    "first_attempt",
    "start",
    "who",
    "timeout",
    "tail_size",
    "success_codes",
    "store_result",
    "fingerprint",
    "no_log",
    "attempt_dir",
    "async_dir",
    "boot_id",
    "place",
    "stdout_file",
    "stderr_file",
)
# What it takes as well, and an attempt that is adopted has of our own: of which semaphore it has a slot.
_SEMAPHORE = "semaphore"
# What may be long because somebody has chosen it so, and is left out then.
_LONG = ("store_result", "success_codes", "fingerprint")
# More than anybody has begun, and far from what a record may hold: others will follow
_MOST_ATTEMPTS = 10**6
# How many of the 32 characters of a directory's name tell its store. Chance is left the rest.
_PART = 12
# The fields that say as whom and where a task works. A file says nothing of these.
OF_THE_TASK = ("remote_user", "become_user", "delegated_host")


def new_name(store: str) -> str:
    """Return a fresh name for the directory of an attempt, with which nobody but that store takes it for one of its own.

    :arg store: the place of the store
    """
    return first_part(store) + uuid.uuid4().hex[_PART:]


def first_part(store: str, who: str = "") -> str:
    """Return how the names of the directories of all attempts begin that a store has started.

    :arg who: who has done that. A directory that several machines share has other names for each. Without it, it is us
    """
    whole = f"{_machine(store, who or whoami())} {store}"
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:_PART]


def is_of_other_store(attempt: Record, store: str) -> bool:
    """Return whether an attempt was adopted from another store, which may still need what it has left on its host. What somebody has
    recovered, because that store was lost, belongs to the one that has it now."""
    origin = attempt.get("origin")
    if origin is None or "recovered_by" in origin:
        return False
    return origin.get("store") != store or _machine(store, origin.get("who", "")) != _machine(store, whoami())


def _machine(store: str, who: str) -> str:
    """Return on which machine a store is that somebody has used: a directory at the same place on another one is another store."""
    return "" if store.startswith("oci://") else who.rpartition("@")[2]


def kept_for(attempt: Record) -> str:
    """Say that what an attempt of another store has left on its host stays there."""
    return (
        f"{attempt['attempt_dir']} was left there: it was started {told(attempt)}, and that store may still need it. If it is gone for"
        " good, remove the directory by hand."
    )


def content_of(record: Record, store: str) -> str:
    """Return what a host is to note of an attempt. It has the form of a record, so that it is checked like one.

    :arg record: as it is prepared
    :arg store: its place
    """
    names = (*JobKey._fields, "schema_version", "status", "ansible_job_id", "claim", _SEMAPHORE, *OF_THE_ATTEMPT)
    # Compiled when it is needed: most tasks find a job that has ended.
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import is_of_run

    noted: dict[str, t.Any] = {**picked(record, names)}
    if is_of_run(record):  # without that, its run would not know it again
        noted["metadata"] = record["metadata"]
    noted["origin"] = {"host": record["host"], "store": store, "who": record.get("who", ""), "start": record.get("start", "")}
    for field in ("", *_LONG):
        noted.pop(field, None)
        text = dump(noted).decode("utf-8", "surrogateescape")
        if len(text) < MOST // 4:
            break
    return text


def record_of(found: Found, host: str) -> Record:
    """Return the record of an attempt that a host has noted, after all checks that a record has to pass.

    :arg host: the name of the host
    :raises AsyncJobError: if it is none
    """
    where = f"{found.path} on {host}"
    try:
        if found.problem:
            raise AsyncJobError(found.problem)
        record = parse(found.content.encode("utf-8", "surrogateescape"), where=where)
        flaw = flaw_of(record)
        lacking = {"playbook_name", "status", "attempt_dir", "async_dir", "origin"} - record.keys()
        if flaw or lacking or record["status"] != "prepared":
            raise AsyncJobError(flaw or f"it has no {' and no '.join(sorted(lacking)) or 'attempt'}")
        if record.get("attempt", 1) > _MOST_ATTEMPTS:
            raise AsyncJobError(f"its attempt has the number {record['attempt']}, and nobody has begun so many")
        if not record["origin"].get("store"):  # who may remove what it has left depends on that, and who has seen its end
            raise AsyncJobError("it does not say from which store it was started")
        if record["origin"].get("host") != record["host"] or record["attempt_dir"].rpartition("/")[0] != _above(found.path):
            raise AsyncJobError("it is of another place than it says")
    except AsyncJobError as error:
        said = str(error).replace(" Nothing was changed and nothing was started.", "")
        raise AsyncJobError(
            f"{where}, with which the host notes the last attempt of a job, cannot be used: {said.rstrip('.')}. Nothing was started. Once"
            " you are sure that the job does not run, remove that file, or let its async_job task say 'on_foreign: ignore'."
        ) from None
    names = (*JobKey._fields, "ansible_job_id", "metadata", "status", "claim", _SEMAPHORE, *OF_THE_ATTEMPT)
    return t.cast("Record", {**picked(record, names), "origin": picked(record["origin"], ("host", "store", "who", "start"))})


def _above(path: str) -> str:
    """Return the directory of attempts to which a file belongs."""
    return os.path.dirname(os.path.dirname(os.path.dirname(path)))


def adopted(record: Record, store: str, *, secret: bool) -> Fields:
    """Return the fields of our record with which an attempt is adopted that our store does not know.

    :arg store: the place of our store. What was started from there is recovered: its record was lost
    :arg secret: whether our task says so
    """
    fields: Fields = dict.fromkeys(OF_THE_ATTEMPT)
    fields.update(picked(record, ("ansible_job_id", "origin", *OF_THE_ATTEMPT)))
    if not is_of_other_store(record, store):
        fields["origin"] = {**record["origin"], "recovered_by": whoami()}
    del fields["no_log"]  # what was secret once, stays so
    if secret or record.get("no_log"):
        fields.update(no_log=True, fingerprint=None)
    return fields


def told(record: Record) -> str:
    """Say from where an attempt was started."""
    origin = record["origin"]
    name = f" as that of {origin['host']}" if origin.get("host") != record["host"] else ""
    return f"from the store {origin.get('store') or '(unknown)'} by {origin.get('who') or 'somebody'} at {origin.get('start') or '?'}{name}"


class Strangers:
    """The attempts of a job that its host has noted and its store does not know.

    :arg key: of the job
    :arg store: the place of its store
    :arg ignores: whether what the host says is no matter
    :arg knows_host: tells whether the inventory has a host of this name
    """

    def __init__(self, key: JobKey, store: str, *, ignores: bool, knows_host: t.Callable[[str], bool]) -> None:
        self._key = key
        self._store = store
        self._ignores = ignores
        self._knows_host = knows_host
        self._ignored: list[str] = []

    def content_of(self, record: Record) -> str:
        """Return what a host is to note of an attempt of ours."""
        return content_of(record, self._store)

    def known(self, record: Record, over: t.Sequence[Record]) -> list[str]:
        """Return the directories of attempts that an attempt of ours may replace on the host, and the files of such.

        :arg over: attempts of other stores that are over
        """
        attempts = (*record.get("attempts", ()), *over)
        return [*self._ignored, *(attempt["attempt_dir"] for attempt in attempts if attempt.get("attempt_dir"))]

    def judged(self, found: Found, record: Record, host: str, others: set[str]) -> Record | None:
        """Return the record of an attempt that a host has noted, as one of our job. None if it is no matter for it: it is that of another
        job; or one of ours whose action has done its work itself, and whose end is on record, so that nothing else is kept of where it was.

        :arg record: that of our attempt
        :arg others: the names of files that are those of other jobs; one may be added
        :raises AsyncJobError: if nobody can tell what it is
        """
        if self._ignores:
            self._ignored.append(found.path)
            return None
        stranger = record_of(found, host)
        if (stranger["playbook_name"], stranger["job_name"]) != (self._key.playbook_name, self._key.job_name):
            raise AsyncJobError(f"{found.path} on {host} is of the {key_of(stranger)}. Nothing was started. Find out who has moved it.")
        if stranger["host"] != self._key.host:
            machines = [one.get("place", {}).get("machine_id") for one in (stranger, record)]
            if self._knows_host(stranger["host"]) or (all(machines) and machines[0] != machines[1]):
                others.add(hash_of_host(JobKey(stranger["host"], "", "").path.partition("/")[0]))
                return None
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import name_of  # whoever starts jobs has it

        past = t.cast("list[Record]", [one for one in record.get("attempts", []) if not one.get("attempt_dir")])
        is_ours = os.path.basename(stranger["attempt_dir"]).startswith(first_part(self._store, stranger.get("who", "")))
        if is_ours and any(name_of(one) == name_of(stranger) and one.get("status") in ENDED for one in past):
            self._ignored.append(stranger["attempt_dir"])
            return None
        ours = {**picked(record, OF_THE_TASK), "host": self._key.host}
        return t.cast("Record", {**without(stranger, OF_THE_TASK), **ours})
