# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as an event source sees it: its epochs, and what the run was in each of them, by its own events. Pure functions of the run.

An epoch begins with the run, and whenever somebody resumes, accepts or cancels.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.changes import WORKFLOW, Phase, Step
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import FAILED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import check_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    CANCELLED,
    ENDED,
    GOOD,
    RECOVERED,
    STATUSES,
    VERDICTS,
    Run,
)

# How many nodes are named that have failed.
_SHOWN = 10


def told_of_run(document: bytes, path: str, where: str) -> tuple[list[Phase], str]:
    """Return what a document tells, and its id if it has ended. Until then it answers nothing: only whoever goes on with it, ends it.

    :arg where: the place of the document
    :raises AsyncJobError: if it is no run
    """
    run = check_run(document, path, where=where)
    return phases_of_run(run, where), str(run["run"]) if run["status"] in VERDICTS else ""


def phases_of_run(run: Run, where: str) -> list[Phase]:
    """Return the epochs of a run, as far back as it remembers all of them.

    :arg where: the place of the run
    """
    steps: dict[int, dict[str, Step]] = {run["epoch"]: {}}
    for event in run["events"]:
        epoch, what = event.get("epoch"), event.get("what")
        if not event.get("node") and isinstance(epoch, int) and not isinstance(epoch, bool) and epoch <= run["epoch"] and what in STATUSES:
            why = event.get("why") if epoch < run["epoch"] else _why(run, what) or event.get("why")
            step = _step(run, where, epoch, what, {"who": event.get("who"), "time": event.get("time"), "reason": why})
            steps.setdefault(epoch, {}).setdefault(what, step)
    latest, status = steps[run["epoch"]], run["status"]
    if status not in latest:  # there were so many events since then that it has forgotten this one
        when = run.get("ended") if status in VERDICTS else run.get("save_time")
        latest[status] = _step(run, where, run["epoch"], status, {"time": when, "reason": _why(run, status)})
    first = run["epoch"]
    while first - 1 in steps:
        first -= 1
    return [Phase(number, f"{run['started']} {number}", [*steps[number].values()]) for number in range(first, run["epoch"] + 1)]


def _step(run: Run, where: str, epoch: int, what: str, said: dict[str, t.Any]) -> Step:
    """Return what a run has become.

    :arg said: what it says about that, which may be anything
    """
    texts = {name: text if isinstance(text, str) else "" for name, text in said.items()}
    about = {
        "kind": WORKFLOW,
        "workflow": run["workflow"],
        "run": run["run"],
        "attempt": epoch,
        "start": run["started"],
        "state_file": where,
    }
    return Step(what, {**about, **texts, "end": texts["time"] if what in VERDICTS else ""})


def _why(run: Run, status: str) -> str:
    """Return why a run is what it is now. Empty if it has no reason, or is something else by now."""
    if status != run["status"]:
        return ""
    if status == CANCELLED:
        return str(run.get("cancelling", {}).get("reason", ""))
    if status not in (FAILED, RECOVERED):
        return ""
    nodes = {name: run["nodes"][name] for name in run["definition"]["order"]}
    bad = [f"{name}: {node['outcome']}" for name, node in nodes.items() if node["state"] == ENDED and node["outcome"] not in GOOD]
    return ", ".join(bad[:_SHOWN] + ([f"{len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []))
