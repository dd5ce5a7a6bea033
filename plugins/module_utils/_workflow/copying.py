# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy what is no record of a job from one store to another: approvals, runs of workflows, and the locks that these hold.

A document is copied only where there is none, or where the one that is there is an earlier state of the same. What has gone another way is
left alone, and called different.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import Approval, check_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import prefix
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import record_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    ABSENT,
    Content,
    Document,
    Entry,
    Store,
    without_signature,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import check_holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import check_run, status_of_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    MOST_EVENTS,
    VERDICTS,
    Run,
    begun_of,
    executors_of,
    is_of_run,
)

COPIED, IDENTICAL, NEWER, STARTING = "copied", "identical", "newer", "starting"
CHANGED_MEANWHILE, DIFFERENT = "changed_meanwhile", "different"
OUTCOMES = (COPIED, IDENTICAL, NEWER, STARTING, CHANGED_MEANWHILE, DIFFERENT)
"""What may come of a document."""
NOT_NEEDED = ""
"""Of one that nobody needs in the other store, nothing is said."""


def copy_approval(entry: Entry, origin: Store, destination: Store, *, check_mode: bool) -> str:
    """Copy an approval, and return what came of it. Its history tells which of two is the later one."""
    document = _document(entry, origin)
    approval = check_approval(document.content, entry.path, where=origin.locate(entry.path))
    there = destination.read(entry.path)
    if there is not None:
        present = check_approval(there.content, entry.path, where=destination.locate(entry.path))
        if _content(present) == _content(approval):
            return IDENTICAL
        if not _continues(approval, present):
            return NEWER if _continues(present, approval) else DIFFERENT
    return _copied(approval, entry, document, there, origin, destination, check_mode=check_mode)


def copy_run(entry: Entry, origin: Store, destination: Store, outcomes: t.Mapping[str, t.Sequence[str]], *, check_mode: bool) -> str:
    """Copy a run, once all of its jobs are there: a driver would start those again of which there is no record.

    :arg outcomes: the paths of the records by what has come of them
    """
    document = _document(entry, origin)
    run = check_run(document.content, entry.path, where=origin.locate(entry.path))
    there = destination.read(entry.path)
    if there is not None:
        present = check_run(there.content, entry.path, where=destination.locate(entry.path))
        if _content(present) == _content(run):
            return IDENTICAL
        if (begun_of(present), present["started"]) != (begun_of(run), run["started"]):
            return DIFFERENT
        outcome = _compared(run, present)
        if outcome:
            return outcome
    for path, job in _jobs_of(run, origin):
        if path in outcomes[STARTING]:
            return STARTING
        if not check_mode and job is not None and (path in outcomes[COPIED] or path in outcomes[IDENTICAL]):
            copy = destination.read(path)
            if copy is None or _content(record_of(destination, Entry(path, copy, None))[0]) != _content(job):
                return CHANGED_MEANWHILE  # with its older record, whoever went on with the run would start it once more
        if not any(path in outcomes[outcome] for outcome in (COPIED, IDENTICAL, NEWER)):
            raise AsyncJobError(
                f"The run {origin.locate(entry.path)} was not copied, because a job of it, {origin.locate(path)}, was not: whoever went on"
                " with the run would start that once more. See to that one, then copy again."
            )
    return _copied(run, entry, document, there, origin, destination, check_mode=check_mode)


def copy_lock(entry: Entry, origin: Store, destination: Store, *, check_mode: bool) -> str:
    """Copy a lock that a run holds which goes on, and return what came of it."""
    document = _document(entry, origin)
    holder = check_holder(document.content, entry.path, where=origin.locate(entry.path))
    if _is_over(origin, *holder[:2]):
        return NOT_NEEDED
    there = destination.read(entry.path)
    if there is not None:
        present = check_holder(there.content, entry.path, where=destination.locate(entry.path))
        if present == holder:
            return IDENTICAL
        if (*present[:2], present.begun) == (*holder[:2], holder.begun):
            if present.epoch > holder.epoch:
                return NEWER
        elif not _is_over(destination, *present[:2]):
            return DIFFERENT
    content: Content = without_signature(read_plain(document.content.decode("utf-8")))
    return _copied(content, entry, document, there, origin, destination, check_mode=check_mode)


def goes_on_in(entry: Entry, origin: Store) -> bool:
    """Return whether a run has not ended, so that it is to be driven from one of both stores alone."""
    document = _document(entry, origin)
    return check_run(document.content, entry.path, where=origin.locate(entry.path))["status"] not in VERDICTS


def _copied(
    content: t.Any, entry: Entry, read: Document, there: Document | None, origin: Store, destination: Store, *, check_mode: bool
) -> str:
    if check_mode:
        return COPIED
    # Lists are read ahead: by now, somebody may have gone on in the old place.
    now = origin.read(entry.path)
    if now is None or now.version != read.version:
        return CHANGED_MEANWHILE
    try:
        write(destination, entry.path, content, expect=ABSENT if there is None else there.version)
    except Conflict:
        return CHANGED_MEANWHILE
    return COPIED


def _document(entry: Entry, origin: Store) -> Document:
    if entry.document is None:
        raise entry.error or AsyncJobError(f"{origin.locate(entry.path)} cannot be read.")
    return entry.document


def _jobs_of(run: Run, origin: Store) -> t.Iterator[tuple[str, Record | None]]:
    """Yield the records of a run as they are by now, with their paths. Of those that cannot be read and may be some, only these."""
    for host in sorted(executors_of(run) | {run["executor"]}):
        for entry in origin.entries(prefix(host, f"{run['workflow']} {run['run']}")):
            try:
                record, _version = record_of(origin, entry)
            except AsyncJobError:
                yield entry.path, None
                continue
            if is_of_run(record):
                yield entry.path, record


def _compared(run: Run, present: Run) -> str:
    """Return why a run is not to be written over another state of it. Empty if it is."""
    is_later = _times.saved_at(run) > _times.saved_at(present)
    events, others = run["events"], present["events"]
    if max(len(events), len(others)) >= MOST_EVENTS or events == others:  # of old events, a run forgets some
        return "" if is_later else NEWER
    if events[: len(others)] == others:
        return DIFFERENT if _times.saved_at(present) > _times.saved_at(run) else ""
    return NEWER if others[: len(events)] == events else DIFFERENT


def _continues(later: Approval, earlier: Approval) -> bool:
    """Return whether the history of an approval begins with that of another one, and goes on."""
    return len(later["history"]) > len(earlier["history"]) and later["history"][: len(earlier["history"])] == earlier["history"]


def _is_over(store: Store, workflow: str, run: str) -> bool:
    status = status_of_run(store, workflow, run)
    return not status or status in VERDICTS


def _content(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {field: value for field, value in document.items() if field != "write_id"}
