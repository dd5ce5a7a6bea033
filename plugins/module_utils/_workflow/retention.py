# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runs are old enough to go, and what else nobody needs any more: approvals of runs that are gone, locks and semaphores that nobody
holds.

Nothing is removed here. Each document comes with the version in which it may go: if somebody resumes a run, or takes a lock, it is another
one. What else belongs to a run that goes, counts for no other one (C(begun)), so that nothing depends on the order, or on all of it going.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import measured_age
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import APPROVALS, check_approval, status_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import encode, prefix
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import record_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of, read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.retention import OLD
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import SEMAPHORES, check_semaphore, why_held
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED as ENDED_JOBS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Document, Store, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import FAILED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import LOCKS, check_holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import check_run, read_run, status_of_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    ENDED,
    RECOVERED,
    VERDICTS,
    Run,
    begun_of,
    executors_of,
    is_of_run,
    parts_of,
    path_of_run,
    prefix_of_runs,
)

# What narrows what is meant. Without any of these, all that nobody needs is meant.
_NARROW = ("host", "hosts", "playbook_name", "job_name_pattern", "status", "workflow", "keep", "keep_attempts")


class Spare(t.NamedTuple):
    """A document that is to go."""

    kind: str
    """C(run), C(approval), C(lock) or C(semaphore)."""
    names: tuple[str, str, str]
    """Of which host, of which play, and what it is, for people."""
    status: str
    age: float
    """How long ago it ended, or was last written, in seconds."""
    path: str
    version: Version
    run: Run
    """Empty if it is none."""


Unreadable = t.List[t.Dict[str, str]]
"""For each document that cannot be read, C(state_file) and C(msg)."""


def means_runs(params: t.Mapping[str, t.Any]) -> bool:
    """Return whether runs are meant by options of prune: neither jobs by their names alone, nor past attempts."""
    return params["job_name_pattern"] is None and params["keep_attempts"] is None


def old_runs(store: Store, params: t.Mapping[str, t.Any], now: float) -> tuple[list[Spare], list[Run], Unreadable]:
    """Return the runs to remove, and all that there are of those workflows, in the order of their paths.

    The last run that has begun by a schedule stays: what is due next is counted from it.

    :arg params: values of the options of prune. A run that has recovered counts as one that has failed
    :arg now: in seconds since the epoch
    """
    limit = _times.age(params["older_than"] or OLD, "older_than").total_seconds()
    workflow, only = params["workflow"], None
    if params["playbook_name"] is not None:
        named, _blank, run_id = params["playbook_name"].rpartition(" ")
        if not named or (workflow is not None and workflow != named):
            return [], [], []
        workflow, only = named, path_of_run(named, run_id)
    found, unreadable = [], []
    for path, document, where, error in _documents(store, prefix_of_runs(workflow)):
        try:
            if document is None:
                raise error
            run = check_run(document.content, path, where=where)
        except AsyncJobError as problem:
            if only is None or not path.endswith(".json") or path == only:
                unreadable.append({"state_file": where, "msg": str(problem)})
        else:
            names = (str(run["executor"]), f"{run['workflow']} {run['run']}", "the run")
            found.append(Spare("run", names, run["status"], _age(run, now), path, document.version, run))
    ended = [one for one in found if _fits(one.run, params) and only in (None, one.path)]
    kept = _last_of_schedules(found) | _newest(ended, params["keep"] or 0)
    return [one for one in ended if one.path not in kept and one.age > limit], [one.run for one in found], unreadable


def _age(run: Run, now: float) -> float:
    """Return how long ago a run has ended, in seconds. None has before it began, or before its nodes had, by a clock that nobody sets: a
    clock was set meanwhile, or is wrong."""
    nodes = (measured_age(t.cast(Record, part.node)) for part in parts_of(run, ENDED).values())
    return min(_ago(run.get("ended"), now), _ago(run["started"], now), *(age for age in nodes if age is not None))


def why_needed(store: Store, run: Run) -> str:
    """Return why a run that has ended has to stay: something of it goes on, as far as records know. Empty if nothing does."""
    for host in sorted(executors_of(run) | {run["executor"]}):
        for entry in store.entries(prefix(host, f"{run['workflow']} {run['run']}")):
            try:
                record, _version = record_of(store, entry)
            except AsyncJobError as error:
                return f"nobody can tell whether all of its jobs have ended. {error}"
            status = record.get("status", "running")
            if not is_of_run(record) or status in ENDED_JOBS:
                continue
            how = " If nobody starts it any more, forget it: async_job_state, 'state: absent' and 'force: true'."
            return f"its job {'/'.join(key_of(record))} is {status}, as last recorded.{how if status in CLAIMED else ''}"
    return ""


def approvals_of(store: Store, run: Run, now: float) -> tuple[list[Spare], Unreadable]:
    """Return the approvals that a run has asked for. A play of somebody's own may have any name, and so its approvals any place."""
    begun = begun_of(run)
    found, unreadable = _approvals(store, f"{APPROVALS}{encode(f'''{run['workflow']} {run['run']}''')}/", now)
    return [one for one, of_run in found if begun and of_run == begun], unreadable


def left_over(store: Store, params: t.Mapping[str, t.Any], now: float) -> tuple[list[Spare], Unreadable]:
    """Return what is old enough and nobody needs: approvals of runs that are gone, locks of runs that have ended or are gone, semaphores
    of which no slot is held. Only if all that is that old is meant."""
    if any(params[option] not in (None, []) for option in _NARROW):
        return [], []
    limit = _times.age(params["older_than"] or OLD, "older_than").total_seconds()
    approvals, unreadable = _approvals(store, APPROVALS, now)
    spare = [one for one, begun in approvals if begun and _is_gone(store, one.names[1], begun)]
    for prefix_of, free in ((LOCKS, _free_lock), (SEMAPHORES, _free_semaphore)):
        for path, document, where, error in _documents(store, prefix_of):
            try:
                if document is None:
                    raise error
                names = free(store, document, path, where)
            except AsyncJobError as problem:
                unreadable.append({"state_file": where, "msg": str(problem)})
                continue
            if names is not None:
                how_old = _ago(read_plain(document.content.decode("utf-8")).get("save_time"), now)
                spare.append(Spare("lock" if prefix_of == LOCKS else "semaphore", names, "free", how_old, path, document.version, {}))
    return [one for one in spare if one.age > limit], unreadable


def _documents(store: Store, prefix_of: str) -> t.Iterator[tuple[str, Document | None, str, AsyncJobError]]:
    """Yield what there is: the path, the document, its place, and the error if it cannot be read."""
    for entry in store.entries(prefix_of):
        where = store.locate(entry.path)
        yield entry.path, entry.document, where, entry.error or AsyncJobError(f"{where} cannot be read.")


def _approvals(store: Store, prefix_of: str, now: float) -> tuple[list[tuple[Spare, str]], Unreadable]:
    """Return approvals, each with the run that has asked for it, empty if none has."""
    found, unreadable = [], []
    for path, document, where, error in _documents(store, prefix_of):
        try:
            if document is None:
                raise error
            approval = check_approval(document.content, path, where=where)
        except AsyncJobError as problem:
            unreadable.append({"state_file": where, "msg": str(problem)})
        else:
            names = ("", approval["playbook_name"], f"the approval {approval['approval_name']}")
            how_old = _ago(approval.get("save_time"), now)
            found.append((Spare("approval", names, status_of(approval), how_old, path, document.version, {}), begun_of(approval)))
    return found, unreadable


def _is_gone(store: Store, play: str, begun: str) -> bool:
    """Return whether it is proven that a run is gone."""
    workflow, _blank, run_id = play.rpartition(" ")
    try:
        run, _version = read_run(store, workflow, run_id)
    except AsyncJobError:
        return False
    return run is None or begun_of(run) != begun


def _free_lock(store: Store, document: Document, path: str, where: str) -> tuple[str, str, str] | None:
    """Return the names of a lock that nobody holds. None if somebody may."""
    holder = check_holder(document.content, path, where=where)
    status = status_of_run(store, holder.workflow, holder.run)
    return None if status and status not in VERDICTS else ("", f"{holder.workflow} {holder.run}", "the lock")


def _free_semaphore(store: Store, document: Document, path: str, where: str) -> tuple[str, str, str] | None:
    """Return the names of a semaphore of which no slot is held. None if one may be."""
    holders = check_semaphore(document.content, path, where=where)
    if any(why_held(holder, read_record(store, holder.key)[0]) for holder in holders):
        return None
    return "", "", f"the semaphore {read_plain(document.content.decode('utf-8'))['semaphore']}"


def _fits(run: Run, params: t.Mapping[str, t.Any]) -> bool:
    status = FAILED if run["status"] == RECOVERED else run["status"]
    return (
        run["status"] in VERDICTS
        and (not params["status"] or status in params["status"])
        and params["host"] in (None, run["executor"])
        and (params["hosts"] is None or run["executor"] in params["hosts"])
    )


def _newest(ended: t.Sequence[Spare], count: int) -> set[str]:
    """Return the paths of the runs of each workflow that ended last."""
    groups: dict[str, list[Spare]] = {}
    for one in ended:
        groups.setdefault(one.run["workflow"], []).append(one)
    return {one.path for group in groups.values() for one in sorted(group, key=lambda one: one.age)[:count]}


def _last_of_schedules(found: t.Sequence[Spare]) -> set[str]:
    """Return the paths of the last run of each schedule, and of each rule that it has had: somebody may put the old one back."""
    last: dict[tuple[str, ...], tuple[str, str]] = {}
    for one in found:
        about: t.Any = one.run.get("schedule")
        if about is not None:
            which = (one.run["workflow"], about["name"], about["rrule"])
            last[which] = max(last.get(which, ("", "")), (about["slot"], one.path))
    return {path for _slot, path in last.values()}


def _ago(text: t.Any, now: float) -> float:
    """Return how long ago that was, in seconds. What ended nobody knows when, ended just now."""
    moment = _times.moment(text)
    return 0.0 if moment is None else max(now - moment.timestamp(), 0.0)


def is_of_workflow(record: Record, workflow: str) -> bool:
    """Return whether a job is one of a run of a workflow."""
    about: t.Any = record.get("metadata")
    return is_of_run(record) and bool(about["workflow"] == workflow)
