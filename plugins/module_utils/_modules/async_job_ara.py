# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set right what ARA says of runs that were killed: what the module C(async_job_ara) does.

ARA learns of the end of a run from that run. One that was killed has not told it, and is "running" there for ever. Records name the runs
that have started their jobs or have seen them end; and of some, it can be seen here that they have ended.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _ara, _backends
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ara import is_ara_playbook, key_in_ara, value_in_ara
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, merged
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.runs import has_ended
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Notify, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import is_of_run

ARGUMENT_SPEC: Spec = {
    "host": {"type": "str"},
    "playbook_name": {"type": "str"},
    "job_name_pattern": {"type": "str"},
    "api_client": _backends.option("ARA_API_CLIENT", choices=["offline", "http"], default="offline"),
    "api_server": _backends.option("ARA_API_SERVER", default="http://127.0.0.1:8000"),
    **STORE_OPTIONS,
}

# What ARA itself makes of a run that ends by a signal which it can catch.
_EXPIRED = "expired"

# The label of the playbook of a node that says which attempt it is
_ATTEMPT = "attempt:"

_CONTRADICTORY = "The records of its jobs do not name the same run. Ask ARA which one it was; if that has ended, set it right by hand."
_ELSEWHERE = (
    "Its run was on another machine, or in another container. Run this there. If that is gone, nobody can tell; then set it right by hand."
)
_NOT_THE_SAME = (
    "ARA holds no record of these jobs that says the same. Either its run was killed before it could write one, or this is another database"
    " than that of the run, in which the number means something else: compare the path. If it is the right one, set it right by hand."
)


class Noted(t.NamedTuple):
    """What a record says of a playbook in ARA."""

    record: Record
    """As it is, or as it was in one of its past attempts."""
    now: Record
    """As it is."""
    run: dict[str, t.Any]


def run(params: dict[str, t.Any], *, check_mode: bool, notify: Notify = nobody) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC
    :arg check_mode: only say what would be changed
    """
    store = open_store(params, notify)
    store.must_exist()
    listing = find_records(store, {**params, "status": None, "older_than": None, "newer_than": None})
    where = store.locate()
    noted, nodes = _noted(listing.records), _nodes(listing.records)
    result: dict[str, t.Any] = {
        "changed": False,
        "store": where,
        "playbooks": len(noted),
        "expired": [],
        "unclear": [],
        "unreadable": listing.unreadable,
        "warnings": store.warnings,
    }
    stopped = ""
    if noted or nodes:
        ara = _ara.active() or _ara.connect(params["api_client"], params["api_server"])
        try:
            _set_right_runs(ara, noted, where, result, check_mode=check_mode)
            _set_right_nodes(ara, nodes, result, check_mode=check_mode)
        except AsyncJobError as error:
            stopped = f"{error} It has ended there, after the playbooks that are in 'expired'. See to ARA, then run it again: it goes on."
            result.update(failed=True, msg=stopped)
    if listing.unreadable:
        result.update(failed=True, msg=" ".join(filter(None, (stopped, listing.problem(store)))))
    return result


def _set_right_runs(ara: _ara.Ara, noted: dict[int, list[Noted]], where: str, result: dict[str, t.Any], *, check_mode: bool) -> None:
    """Let those runs of which records speak have expired that are proven to have ended. Add them to the result, and those of which nobody
    can tell."""
    for number, notes in sorted(noted.items()):
        about = ara.get(f"playbooks/{number}")
        if about is None or not _is_running(about):
            continue
        mine = [note for note in notes if _is_the_same(ara, number, note, where)]
        verdicts = {has_ended(note.run) for note in mine}
        if True in verdicts and False not in verdicts:
            if not _is_running(ara.get(f"playbooks/{number}")):
                continue  # it has said so meanwhile, as its last word
            if not check_mode:
                _expire(ara, number)
            result["expired"].append({"id": number, "path": _path(about), "jobs": _jobs(mine)})
            result["changed"] = True
            if not check_mode:
                for note in mine:
                    _tell(ara, number, note, where)
        elif verdicts != {False}:
            why = _CONTRADICTORY if len(verdicts) > 1 else _ELSEWHERE if mine else _NOT_THE_SAME
            result["unclear"].append({"id": number, "path": _path(about), "reason": why, "jobs": _jobs(mine or notes)})


def _set_right_nodes(ara: _ara.Ara, nodes: dict[str, Record], result: dict[str, t.Any], *, check_mode: bool) -> None:
    """Let the playbooks of nodes have expired whose attempts have ended, and add them to the result."""
    for about in ara.running("playbooks") if nodes else ():
        ended = [nodes[attempt] for attempt in _attempts_of(about) if attempt in nodes]
        if ended:
            if not check_mode:
                _expire(ara, about["id"])
            jobs = [{name: record[name] for name in ("host", "playbook_name", "job_name")} for record in ended]
            result["expired"].append({"id": about["id"], "path": _path(about), "jobs": jobs})
            result["changed"] = True


def _noted(records: t.Iterable[Record]) -> dict[int, list[Noted]]:
    """Return what records say of playbooks in ARA, by the numbers of these."""
    found: dict[int, list[Noted]] = {}
    for record in records:
        for past in (record, *record.get("attempts", ())):
            playbooks = past.get("ara_playbook", {})
            if not is_ara_playbook(playbooks):
                continue
            attempt = merged(record, {**past, "start": past.get("start", ""), "ara_playbook": playbooks})
            for number in dict.fromkeys(run["id"] for run in playbooks.values()):
                run = next(run for run in playbooks.values() if run["id"] == number)
                found.setdefault(number, []).append(Noted(attempt, record, run))
    return found


def _nodes(records: t.Iterable[Record]) -> dict[str, Record]:
    """Return the records of nodes of workflows, by each of their attempts that has ended. No other has its name, in whichever database."""
    found = {}
    for record in filter(is_of_run, records):
        for past in (record, *record.get("attempts", ())):
            attempt = os.path.basename(str(past.get("attempt_dir")))
            if past.get("status") in ENDED and is_attempt_directory(past.get("attempt_dir")):
                found[attempt] = record
    return found


def _attempts_of(playbook: dict[str, t.Any]) -> list[str]:
    """Return the attempts whose playbook it is, by its labels."""
    labels = [str(label.get("name")) for label in playbook.get("labels", ()) if isinstance(label, dict)]
    return [label[len(_ATTEMPT) :] for label in labels if label.startswith(_ATTEMPT)]


def _is_running(playbook: dict[str, t.Any] | None) -> bool:
    return (playbook or {}).get("status") == _ara.RUNNING


def _is_the_same(ara: _ara.Ara, number: int, note: Noted, where: str) -> bool:
    """Return whether ARA says of its playbook what the record says of it: the same job, and the same run."""
    known = (ara.record_of(number, key_in_ara(note.now)) or {}).get("value")
    said = value_in_ara(note.record, number, where=where)
    return isinstance(known, dict) and all(known.get(name) == said[name] for name in ("host", "playbook_name", "job_name", "run"))


def _path(playbook: dict[str, t.Any]) -> str:
    """Return the place of a playbook, as ARA has it, for a terminal."""
    return harmless(str(playbook.get("path")))


def _expire(ara: _ara.Ara, number: int) -> None:
    """Let ARA say that a run goes on no more. The playbook comes last: as long as it is running, the next one finds it."""
    for kind in ("tasks", "plays"):
        for one in ara.running(kind, playbook=number):
            ara.patch(f"{kind}/{one['id']}", status=_EXPIRED)
    ara.patch(f"playbooks/{number}", status=_EXPIRED)


def _tell(ara: _ara.Ara, number: int, note: Noted, where: str) -> None:
    """Let ARA know what became of the attempt."""
    ara.put_record(number, key_in_ara(note.now), value_in_ara(note.record, number, where=where))


def _jobs(notes: t.Iterable[Noted]) -> list[dict[str, t.Any]]:
    jobs = [{name: note.now[name] for name in ("host", "playbook_name", "job_name")} for note in notes]
    return [job for number, job in enumerate(jobs) if job not in jobs[:number]]
