# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from what has happened in a run: pure functions of the run and of its definition. They read no clock and no file.

Whoever drives a run writes what they return before anything starts. So it does not matter who decides, nor how often: the same follows.

B(When a node runs.) Once all nodes that it waits for are settled, that is have ended or were skipped: if all of its edges fit, or any of
them, as it says. An edge fits if the node before has ended as the edge says; that of a node that was skipped never fits. Everything
that is no success counts as failed. A node whose edges do not fit is skipped, and says why.

B(How a run ends.) Once all nodes are settled: C(failed) if a node has failed of which no edge takes care; C(recovered) if nodes
have failed, and there is such an edge for each of them; else C(succeeded). A run that somebody cancels ends as C(cancelled).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import FAILED, FINISHED, SUCCEEDED, Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    ACCEPTED,
    BACKOFF,
    CANCELLED,
    CANCELLING,
    DUE,
    ENDED,
    EXPIRED,
    FINAL,
    GOOD,
    RECOVERED,
    REJECTED,
    RUNNING,
    SETTLED,
    SKIPPED,
    VERDICTS,
    WAITING,
    NodeOfRun,
    Run,
)

# How many reasons are given why a node is skipped.
_SHOWN = 5
_CANCELLED = "the run was cancelled before it began"


class Outcome(t.NamedTuple):
    """How an attempt of a node has ended."""

    attempt: int
    outcome: str
    why: str
    details: dict[str, t.Any]
    """What else the run is to note of it."""


def decide(graph: Graph, run: Run, ripe: t.Container[str] = ()) -> Run:
    """Return the run with all that follows from what has happened: which nodes are due, which are skipped, and how it has ended.

    :arg graph: of the definition of the run
    :arg ripe: the nodes that were to wait before their next attempt, and have done so
    """
    if run["status"] in VERDICTS:
        return run
    nodes = dict(run["nodes"])
    is_cancelled = run["status"] == CANCELLING
    most = graph.definition.get("max_parallel", len(nodes))
    free = most - sum(node["state"] == DUE and _counts(graph, name) for name, node in nodes.items())
    for name in graph.order:
        node = nodes[name]
        state = node["state"]
        if state == WAITING:
            why = _CANCELLED if is_cancelled else _why_not(graph, name, nodes)
            if why is None:
                continue
            if why:
                nodes[name] = {**node, "state": SKIPPED, "why": why}
                continue
        elif state != BACKOFF:
            continue
        elif is_cancelled:
            nodes[name] = {**node, "state": ENDED, "why": f"{node.get('why') or node['outcome']}; not tried again: the run was cancelled"}
            continue
        elif name not in ripe and graph.nodes[name].get("retry_delay"):
            continue
        if free > 0 or not _counts(graph, name):
            free -= _counts(graph, name)
            nodes[name] = _begun(node)
    changed = any(nodes[name] is not node for name, node in run["nodes"].items())
    status = _verdict(graph, nodes, is_cancelled=is_cancelled)
    if not changed and status == run["status"]:
        return run
    return {**run, "nodes": nodes, "status": status}


def _counts(graph: Graph, name: str) -> bool:
    """Return whether a node counts for C(max_parallel): what waits for a person takes nobody's place."""
    return bool(graph.nodes[name]["kind"] != "approval")


def _begun(node: NodeOfRun) -> NodeOfRun:
    """Return a node whose next attempt is due: of the one before, only its number is left."""
    attempt = node["attempt"] + 1
    return {"state": DUE, "attempt": attempt, "first_attempt": node.get("first_attempt", attempt)}


def _why_not(graph: Graph, name: str, nodes: dict[str, NodeOfRun]) -> str | None:
    """Return why a node is to be skipped. Empty if it is to run, None if nobody can tell yet."""
    parents = graph.parents[name]
    reasons = []
    for parent, edge in parents.items():
        before = nodes[parent]
        if before["state"] not in SETTLED:
            return None
        if not _fits(before, edge):
            reasons.append(f"{parent} {_WORDS[before.get('outcome', SKIPPED)]}, and this runs when it {_EDGE_WORDS[edge]}")
    needs_all = graph.nodes[name]["join"] == "all"
    if len(reasons) <= (0 if needs_all else max(len(parents) - 1, 0)):
        return ""
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return "; ".join(reasons[:_SHOWN]) + more


def _fits(before: NodeOfRun, edge: str) -> bool:
    if before["state"] == SKIPPED:
        return False
    return edge == FINISHED or (before["outcome"] in GOOD) == (edge == SUCCEEDED)


_EDGE_WORDS = {SUCCEEDED: "has succeeded", FAILED: "has failed", FINISHED: "has ended"}
_WORDS = {
    SKIPPED: "was skipped",
    SUCCEEDED: "has succeeded",
    ACCEPTED: "was accepted",
    FAILED: "has failed",
    "killed": "was killed",
    "timed_out": "has timed out",
    "lost": "is lost",
    CANCELLED: "was cancelled",
    REJECTED: "was rejected",
    EXPIRED: "has expired",
}


def _verdict(graph: Graph, nodes: dict[str, NodeOfRun], *, is_cancelled: bool) -> str:
    """Return the status of a run."""
    if any(node["state"] not in SETTLED for node in nodes.values()):
        return CANCELLING if is_cancelled else RUNNING
    if is_cancelled:
        return CANCELLED
    bad = {name for name, node in nodes.items() if node["state"] == ENDED and node["outcome"] not in GOOD}
    if bad - graph.handled:
        return FAILED
    return RECOVERED if bad else SUCCEEDED


def end(graph: Graph, run: Run, outcomes: t.Mapping[str, Outcome]) -> Run:
    """Return the run with what became of attempts. Only those that are due count: the first word about each stands."""
    nodes = dict(run["nodes"])
    for name, outcome in outcomes.items():
        node = nodes.get(name)
        if node is None or run["status"] in VERDICTS or node["state"] != DUE or node["attempt"] != outcome.attempt:
            continue
        about = graph.nodes[name]
        word, why = outcome.outcome, outcome.why
        if word == EXPIRED and about.get("on_timeout") == "approve":
            word, why = SUCCEEDED, f"{why}; on_timeout is approve"
        tries = outcome.attempt - node.get("first_attempt", 1)
        again = word not in FINAL and run["status"] == RUNNING and tries < about.get("retries", 0)
        nodes[name] = {**node, **outcome.details, "state": BACKOFF if again else ENDED, "outcome": word, **({"why": why} if why else {})}
    return {**run, "nodes": nodes} if nodes != run["nodes"] else run


def resume(graph: Graph, run: Run, names: t.Iterable[str] | None = None) -> Run:
    """Return an ended run that goes on: nodes that have failed, and all that comes after them, are to be decided on anew. What has
    succeeded before them stands, with its artifacts.

    :arg names: the nodes to run once more. None means all that have failed
    """
    nodes = run["nodes"]
    if names is None:
        names = [name for name, node in nodes.items() if node["state"] == ENDED and node["outcome"] not in GOOD]
    return _reopened(graph, run, names, {})


def accept(graph: Graph, run: Run, names: t.Iterable[str], by: dict[str, str]) -> Run:
    """Return an ended run that goes on as if nodes that have failed had succeeded."""
    accepted = {
        name: {**run["nodes"][name], "outcome": ACCEPTED, "why": f"accepted by {by['who']}: {by['reason']}", "by": by} for name in names
    }
    return _reopened(graph, run, [], accepted)


def _reopened(graph: Graph, run: Run, names: t.Iterable[str], accepted: dict[str, NodeOfRun]) -> Run:
    anew = {*names} | graph.after([*names, *accepted])
    nodes = {
        name: accepted[name]
        if name in accepted and name not in anew
        # What was skipped for what has changed now, is skipped again if its reason holds.
        else {"state": WAITING, "attempt": node["attempt"]}
        if name in anew or node["state"] == SKIPPED
        else node
        for name, node in run["nodes"].items()
    }
    after = {**run, "status": RUNNING, "epoch": run["epoch"] + 1, "nodes": nodes}
    return {field: value for field, value in after.items() if field not in ("cancelling", "ended")}


def cancel(run: Run, by: dict[str, str]) -> Run:
    """Return a run that is to end: nothing more begins in it."""
    return {**run, "status": CANCELLING, "cancelling": by, "epoch": run["epoch"] + 1}
