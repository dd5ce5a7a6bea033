# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of what has happened in a run somebody is to be told, and of what they were: pure functions of the run.

A notification is a job, named after what has happened and whom it is for. So it is sent once, however many drivers see that; and what has
become of it never changes anything about the run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import (
    STARTED_EVENT,
    VERDICT_EVENTS,
    Definition,
    split,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import DUE, GOOD, OUTCOMES, Run

PREFIX = "notify: "
"""What the names of these jobs begin with. No node of a workflow that has notifications is called like that."""


class Notification(t.NamedTuple):
    """Something that one channel is to be told."""

    name: str
    """What tells it from all others of its run."""
    event: str
    node: str
    attempt: int
    message: str
    channel: int
    """The number of what the definition says under C(notify)."""


def pending(run: Run) -> list[Notification]:
    """Return all notifications of which the run does not say yet what has become of them, in the order in which they came up."""
    return [one for one in _all(run) if one.name not in run.get("notified", {})]


def noted(run: Run, results: t.Mapping[str, str]) -> Run:
    """Return the run with what has become of notifications: why they have failed, empty if they have not. The first word stands."""
    names = {one.name for one in _all(run)}
    known = {name: said for name, said in run.get("notified", {}).items() if name in names}  # the run forgets old events, too
    return {**run, "notified": {**results, **known}}


def key_of_notification(run: Run, one: Notification) -> JobKey:
    """Return the key of the job that a notification is."""
    return JobKey(str(run["executor"]), f"{run['workflow']} {run['run']}", f"{PREFIX}{one.name}")


def mark_of_notification(run: Run, one: Notification) -> dict[str, str]:
    """Return what the record of its job has as its metadata."""
    return {"workflow": run["workflow"], "run": run["run"], "notification": one.name}


def _all(run: Run) -> t.Iterator[Notification]:
    channels = run["definition"].get("notify", [])
    if not channels:
        return
    for event, about in _events(run):
        node, attempt = str(about.get("node", "")), about.get("attempt", 0)
        which = f"{event} {node} {attempt}" if node else f"{event} {about.get('time')}"
        for number, channel in enumerate(channels):
            on = channel["on"]
            if event in ([on] if isinstance(on, str) else on):
                name = f"{which}, {channel.get('name', number + 1)}"
                yield Notification(name, event, node, attempt, _message(run, about, event), number)


def _events(run: Run) -> list[tuple[str, dict[str, t.Any]]]:
    """Return what has happened that people may ask for. What has come up together, the verdict comes after the nodes that led to it."""
    found = []
    is_begun = False
    for about in run["events"]:
        event = _event_of(run, about, is_begun=is_begun)
        is_begun |= not about.get("node")
        if event:
            found.append((event, about))
    return sorted(found, key=lambda one: (str(one[1].get("time")), one[0] in VERDICT_EVENTS))


def _event_of(run: Run, about: dict[str, t.Any], *, is_begun: bool) -> str:
    """Return which event it is of those that people may ask for. Empty if it is none."""
    node, what = about.get("node"), about.get("what")
    if not node:
        return str(what) if what in VERDICT_EVENTS else "" if is_begun else STARTED_EVENT
    said, is_of_item = _about(run["definition"], str(node))
    if what == DUE:
        return "approval" if said.get("kind") == "approval" else ""
    # Of items, there may be hundreds. The node that they are of tells of them.
    return "node_failed" if what in OUTCOMES and what not in GOOD and not is_of_item else ""


def _about(definition: Definition, name: str) -> tuple[dict[str, t.Any], bool]:
    """Return what a definition says of a part of a run, nothing if there is no such part, and whether it is one of several items. The run
    itself may have made a node anew meanwhile, and know no parts of it."""
    is_of_item = False
    while True:
        try:
            own, number, name = split(definition, name)
        except KeyError:
            return {}, is_of_item
        about = definition["nodes"][own]
        is_of_item |= number is not None
        if not name:
            return about, is_of_item
        definition = about["definition"]


def _message(run: Run, about: dict[str, t.Any], event: str) -> str:
    """Return what to tell people, in one line."""
    head = f"{run['workflow']} {run['run']}"
    node, why = about.get("node"), str(about.get("why") or "")
    if event == STARTED_EVENT:
        return f"{head} has started"
    if event == "approval":
        return f"{head}: {node} awaits approval: {_about(run['definition'], str(node))[0]['approval']}"
    if event == "node_failed":
        return f"{head}: {node}: {about['what']}{': ' if why else ''}{why}"
    return f"{head}: {about['what']}"
