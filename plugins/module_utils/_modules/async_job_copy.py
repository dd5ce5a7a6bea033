# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy all records from one store to another, and runs, approvals and locks: what the module C(async_job_copy) does.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import APPROVALS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import WORKFLOWS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import record_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import hold_slot
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Entry, Notify, Store, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import backends_meant_by, open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.copying import (
    COPIED,
    NOT_NEEDED,
    OUTCOMES,
    copy_approval,
    copy_lock,
    copy_run,
    goes_on_in,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import LOCKS

ARGUMENT_SPEC: Spec = {"source": {"type": "dict", "required": True}, **STORE_OPTIONS}


def source_options(given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the options of the source, with the backend that they speak of.

    Without that, the environment would choose it, which speaks of the destination as often as not.

    :arg given: what the user says, by the names of options or by their aliases
    """
    meant = backends_meant_by(given)
    if given.get("backend") or not meant:
        return given
    if len(meant) > 1:
        raise AsyncJobError(f"The source has {' and '.join(meant.values())}. Nothing was copied. Say its backend: {' or '.join(meant)}.")
    return {**given, "backend": next(iter(meant))}


def run(params: dict[str, t.Any], *, source: dict[str, t.Any], check_mode: bool, notify: Notify = nobody) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC
    :arg source: values of STORE_OPTIONS, those of the option of that name
    :arg check_mode: only say what would be copied
    """
    # What is signed on its way from a store whose signatures nobody checks would count, whoever has written it.
    source = {**source, "record_key_file": source["record_key_file"] or params["record_key_file"]}
    origin, destination = open_store(source, notify), open_store(params, notify)
    try:
        origin.must_exist()
    except AsyncJobError as error:
        raise AsyncJobError(f"Nothing was copied. Correct source. {error}") from error
    if origin.locate() == destination.locate():
        raise AsyncJobError(f"The source and the destination are the same, {origin.locate()}. Nothing was copied.")
    outcomes: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES}
    failures = []
    going_on: list[str] = []
    only_records = True
    stopped = ""
    # The order counts: a run goes on from what its jobs and approvals say.
    ways: tuple[tuple[str, t.Callable[[Entry], str]], ...] = (
        ("", lambda entry: _copy(entry, origin, destination, check_mode=check_mode)),
        (APPROVALS, lambda entry: copy_approval(entry, origin, destination, check_mode=check_mode)),
        (WORKFLOWS, lambda entry: copy_run(entry, origin, destination, outcomes, check_mode=check_mode)),
        (LOCKS, lambda entry: copy_lock(entry, origin, destination, check_mode=check_mode)),
    )
    try:
        for prefix, way in ways:
            for entry in origin.entries(prefix):
                try:
                    outcome = way(entry)
                    if prefix == WORKFLOWS and outcome == COPIED and goes_on_in(entry, origin):
                        going_on.append(entry.path)
                except StoreUnavailable:
                    raise
                except AsyncJobError as error:
                    failures.append({"state_file": origin.locate(entry.path), "msg": str(error)})
                    only_records = only_records and not prefix
                else:
                    if outcome != NOT_NEEDED:
                        outcomes[outcome].append(entry.path)
    except StoreUnavailable as error:
        stopped = f"{error} The copy has ended there. Run it again, and it goes on with what is missing."
    result: dict[str, t.Any] = {
        "changed": bool(outcomes["copied"]),
        "source": origin.locate(),
        "destination": destination.locate(),
        "failures": failures,
        "going_on": going_on,
        "warnings": [*origin.warnings, *destination.warnings],
        **outcomes,
    }
    if stopped:
        result.update(failed=True, msg=stopped)
    elif failures:
        result.update(
            failed=True,
            msg=f"{len(failures)} {'records' if only_records else 'documents'} were not copied from {origin.locate()} to"
            f" {destination.locate()}; they are in 'failures'."
            f" The first one: {failures[0]['msg']}",
        )
    return result


def _copy(entry: Entry, origin: Store, destination: Store, *, check_mode: bool) -> str:
    """Copy one record, and return what came of it."""
    record, read_version = record_of(origin, entry)
    if record.get("status") in CLAIMED:
        return "starting"  # the controller that starts it would go on in the old place
    present, version = read_record(destination, key_of(record))
    if present is not None:
        if _content(present) == _content(record):
            return "identical"
        if present.get("status") in CLAIMED:
            return "starting"
        if _is_later(present, record):
            return "newer"
    if not check_mode:
        # Lists are read ahead: by now, somebody may be starting the job anew in the old place.
        now = origin.read(entry.path)
        if now is None or now.version != read_version:
            return "changed_meanwhile"
        try:
            hold_slot(destination, record)  # it counts among those that may run at the same time, from the moment that it is there
            write(destination, entry.path, record, expect=version)
        except Conflict:
            return "changed_meanwhile"
    return "copied"


def _is_later(present: Record, record: Record) -> bool:
    """Return whether the record that is there is a later state of a job than another one. Of two attempts, the histories tell, whatever
    clocks say: those of two controllers differ, and they count whole seconds."""
    there, ours = _attempt(present), _attempt(record)
    if there != ours:
        if there and there in map(_attempt, record.get("attempts", ())):
            return False
        if ours and ours in map(_attempt, present.get("attempts", ())):
            return True
    saved, other = _times.saved_at(present), _times.saved_at(record)
    return saved > other or (saved == other and (present.get("status") in ENDED or record.get("status") not in ENDED))


def _attempt(attempt: t.Mapping[str, t.Any]) -> str:
    return str(attempt.get("attempt_dir") or attempt.get("ansible_job_id") or "")


def _content(record: Record) -> Record:
    return without(record, ("write_id",))
