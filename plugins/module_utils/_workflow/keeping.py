# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write the runs of workflows: the one place that does.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import whoami, write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import prefix
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import record_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of, read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder, locks_of, read_holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    VERDICTS,
    Run,
    executors_of,
    is_of_run,
    parse_run,
    path_of_run,
    prefix_of_runs,
    with_events,
)


def read_run(store: Store, workflow: str, run: str) -> tuple[Run | None, Version]:
    """Read a run. Return it, or None where it is proven that there is none, and the version to expect when writing it."""
    path = path_of_run(workflow, run)
    document = store.read(path)
    if document is None:
        return None, ABSENT
    return _parsed(document.content, workflow, run, store.locate(path)), document.version


@functools.lru_cache(maxsize=4)
def _parsed(content: bytes, workflow: str, run: str, where: str) -> Run:
    """Read a document. Before each start the run is read again, and mostly it is as it was. Nobody changes one: they make another one."""
    return parse_run(content, workflow, run, where=where)


def write_run(store: Store, before: Run | None, after: Run, *, expect: Version) -> Version:
    """Write a run, with what has changed in it as events.

    :raises Conflict: if something else is there; nothing was written then
    """
    now = _times.now()
    document = {**with_events(before, after, whoami(), now), "save_time": now}
    _written, version = write(store, path_of_run(after["workflow"], after["run"]), document, expect=expect)
    return version


def left_of_another(store: Store, run: Run) -> list[str]:
    """Return the jobs of which there are records although their run is not there, each as a person would name it: somebody has removed one
    with this id, and not all that belongs to it. A run that begins would take them for its own. One that was made anew from its host is not
    meant: with that, somebody goes on after the loss of a store.

    :raises AsyncJobError: if a record cannot be read
    """
    found = []
    for host in sorted(executors_of(run) | {run["executor"]}):
        for entry in store.entries(prefix(host, f"{run['workflow']} {run['run']}")):
            record, _version = record_of(store, entry)
            if is_of_run(record) and "origin" not in record:
                found.append(f"{'/'.join(key_of(record))} ({record.get('status', 'running')})")
    return found


def status_of_run(store: Store, workflow: str, run: str) -> str:
    """Return how a run is. Empty if it is proven that there is none."""
    found, _version = read_run(store, workflow, run)
    return "" if found is None else str(found["status"])


def held_by_another(store: Store, definition: Definition, run: str) -> Holder | None:
    """Return the run that goes on, and that a run must not run beside. None if there is none for now: only whoever takes the lock
    knows."""
    for lock in locks_of(definition):
        holder, _version = read_holder(store, lock)
        if holder is None or holder[:2] == (definition["name"], run):
            continue
        status = status_of_run(store, holder.workflow, holder.run)
        if status and status not in VERDICTS:
            return holder
    return None


def find_runs(store: Store, workflow: str | None) -> tuple[list[Run], list[dict[str, str]]]:
    """Return all runs, the newest first, and for each that cannot be read C(state_file) and C(msg)."""
    runs, unreadable = [], []
    for entry in store.entries(prefix_of_runs(workflow)):
        where = store.locate(entry.path)
        try:
            if entry.document is None:
                raise entry.error or AsyncJobError(f"The run {where} cannot be read.")
            runs.append(check_run(entry.document.content, entry.path, where=where))
        except AsyncJobError as error:
            unreadable.append({"state_file": where, "msg": str(error)})
    return sorted(runs, key=lambda run: str(run["started"]), reverse=True), unreadable


def check_run(document: bytes, path: str, *, where: str) -> Run:
    """Return the run that belongs to a path.

    :raises AsyncJobError: if it is something else, with the reason
    """
    names = _names(document)
    run = parse_run(document, *names, where=where)
    if path_of_run(*names) != path:
        raise AsyncJobError(f"The run {where} is not where it belongs: the file was moved or copied by hand. Put it back, or remove it.")
    return run


def goes_on(store: Store, record: Record) -> str:
    """Return why the record of a job is still needed, if it is a node of a run that has not ended: without it, nobody would know
    that its attempt was executed. Else empty."""
    about: t.Any = record.get("metadata")
    names: list[t.Any] = [about.get(name) if isinstance(about, dict) else None for name in ("workflow", "run")]
    if not all(isinstance(name, str) for name in names) or record.get("playbook_name") != " ".join(names):
        return ""
    try:
        run, _version = read_run(store, *names)
    except AsyncJobError as error:
        return f"it belongs to a run, and nobody can tell whether that has ended. {error}"
    is_over = run is None or run["status"] in VERDICTS
    return "" if is_over or run is None else f"it belongs to the run {names[1]!r} of {names[0]!r}, which is {run['status']}"


def _names(document: bytes) -> tuple[str, str]:
    """Return of which workflow and run a document is, as far as it says so."""
    try:
        content: t.Any = read_plain(document.decode("utf-8"))
        return str(content["workflow"]), str(content["run"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return "", ""
