# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from what has happened in a run: pure functions of the run and of its definition. They read no clock and no file.

Whoever drives a run writes what they return before anything starts. So it does not matter who decides, nor how often: the same follows.

B(When a node runs.) Once all nodes that it waits for are settled, that is have ended or were skipped: if all of its edges fit, or any of
them, as it says. An edge fits if the node before has ended as the edge says; that of a node that was skipped never fits. Everything
that is no success counts as failed. A node whose edges do not fit is skipped, and says why.

B(What consists of several jobs.) A node with items, or with a workflow, is due as soon as its edges fit, and until the last of its jobs has
ended. It has failed if an item has, or the workflow inside by the rule for runs.

B(How a run ends.) Once all nodes are settled: C(failed) if a node has failed of which no edge takes care; C(recovered) if nodes
have failed, and there is such an edge for each of them; else C(succeeded). A run that somebody cancels ends as C(cancelled).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import operator
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import (
    FAILED,
    FINISHED,
    SUCCEEDED,
    Definition,
    Graph,
    count_of_nodes,
    is_group,
    split,
)
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
    MOST_PARTS,
    NEVER_BEGAN,
    RECOVERED,
    REJECTED,
    RUNNING,
    SETTLED,
    SKIPPED,
    VERDICTS,
    WAITING,
    NodeOfRun,
    Run,
    values_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.scope import Scope

# How many reasons are given why a node is skipped.
_SHOWN = 5
# How much of an item and of its reason is shown, in characters.
_LONGEST_LABEL = 60
_LONGEST_REASON = 200
# How much all attempts of a run may report together, and a single one in any case, in bytes: a store keeps 16 MiB in one document.
_LARGEST_REPORTS = 8 << 20
_SMALLEST_REPORT = 1024
# How many blanks are before a line of a report, and how much longer a value may be in a document than on one line.
_INDENTED = 16
_MOST_LINES = 20


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
    :arg ripe: the jobs that were to wait before their next attempt, and have done so
    """
    if run["status"] in VERDICTS:
        return run
    is_cancelled = run["status"] == CANCELLING
    nodes = _Decision(run, ripe, is_cancelled=is_cancelled).decided(graph)
    status = _verdict(graph, nodes, is_cancelled=is_cancelled)
    if nodes is run["nodes"] and status == run["status"]:
        return run
    return {**run, "nodes": nodes, "status": status}


class _Room:
    """For how many more jobs there is room somewhere."""

    def __init__(self, most: int | None, running: t.Callable[[], int]) -> None:
        self._left = None if most is None else most - running()

    def has(self) -> bool:
        return self._left is None or self._left > 0

    def take(self, count: int = 1) -> None:
        if self._left is not None:
            self._left -= count


_Rooms = t.Tuple[_Room, ...]


class _Decision:
    """What follows in a run, in all of its nodes and in what those consist of."""

    def __init__(self, run: Run, ripe: t.Container[str], *, is_cancelled: bool) -> None:
        self._run = run
        self._ripe = ripe
        self._is_cancelled = is_cancelled
        self._count: int | None = None
        """Of how many jobs the run consists so far. None if nobody has asked."""

    def decided(self, graph: Graph) -> dict[str, NodeOfRun]:
        """Return all nodes as they are to be."""
        return self._nodes(graph, Scope(graph, self._run["nodes"], lambda: self._run["params"]), "", ())

    def _nodes(self, graph: Graph, scope: Scope, before: str, rooms: _Rooms) -> dict[str, NodeOfRun]:
        """Return the nodes of a workflow as they are to be.

        :arg before: what the names of their parts begin with
        :arg rooms: of all that they are inside of
        """
        old = nodes = scope.nodes
        rooms = (*rooms, _Room(graph.definition.get("max_parallel"), lambda: _running(graph.definition, old)))
        for name in graph.order:
            node = nodes[name]
            state = node["state"]
            if state == WAITING:
                why = NEVER_BEGAN if self._is_cancelled else _why_not(graph, name, nodes)
                if why is None:
                    continue
                after = {**node, "state": SKIPPED, "why": why} if why else self._begun(graph, scope, name, node, before, rooms)
            elif state in (BACKOFF, DUE):
                after = self._gone_on(graph, scope, name, node, before, rooms)
            else:
                continue
            if after is not node:
                if nodes is old:
                    nodes = {**old}
                    scope = scope._replace(nodes=nodes)
                nodes[name] = after
        return nodes

    def _begun(self, graph: Graph, scope: Scope, name: str, node: NodeOfRun, before: str, rooms: _Rooms) -> NodeOfRun:
        """Return a node that may begin: it is due if there is room. One with several jobs is, whatever there is room for."""
        about = graph.nodes[name]
        if not is_group(about):
            return _begun(node, about, rooms)
        node = _opened(graph, scope, name, node)
        if node["state"] == DUE and "items" in node:
            if self._count is None:
                self._count = sum(map(_size, self._run["nodes"].values()))
            inner = about.get("definition")
            count = self._count + len(node["items"]) * (1 if inner is None else count_of_nodes(inner))
            if count <= MOST_PARTS:
                self._count = count
            else:
                why = f"with its {len(node['items'])} items, the run would consist of {count} jobs, and {MOST_PARTS} it may"
                return {"state": ENDED, "attempt": node["attempt"], "outcome": FAILED, "why": why, "floor": node.get("floor", 0)}
            scope = scope._replace(nodes={**scope.nodes, name: node})
        return self._gone_on(graph, scope, name, node, before, rooms)

    def _gone_on(self, graph: Graph, scope: Scope, name: str, node: NodeOfRun, before: str, rooms: _Rooms) -> NodeOfRun:
        """Return a node that is due, or waits for another try, as it is to be."""
        about = graph.nodes[name]
        if "for_each" not in about:
            return self._one(graph, scope, name, node, f"{before}{name}", rooms, None)
        if node["state"] != DUE:
            return node
        old = items = node["items"]
        inner = graph.inner.get(name)
        # Of jobs, so many run; of workflows, so many are under way, be it that they wait for somebody.
        room = _Room(about.get("max_parallel"), lambda: sum(item["state"] == DUE for item in old))
        if inner is None:
            rooms = (*rooms, room)
        going = [number for number, item in enumerate(old) if item["state"] in (DUE, BACKOFF)]
        waiting = [number for number, item in enumerate(old) if item["state"] == WAITING]
        for number in (*going, *waiting):  # what ends now, makes room for what begins
            item = old[number]
            whole = f"{before}{name}[{number}]"
            if item["state"] != WAITING:
                after = self._one(graph, scope, name, item, whole, rooms, number)
            elif self._is_cancelled:
                after = {**item, "state": SKIPPED, "why": NEVER_BEGAN}
            elif inner is None:
                after = _begun(item, about, rooms)
            elif room.has():
                begun = {**item, "attempt": item["attempt"] + 1}
                problem = scope.flaw_of_params(name, number)
                if problem:
                    after = {**begun, "state": ENDED, "outcome": FAILED, "why": problem}
                else:
                    after = self._one(graph, scope, name, _with_nodes(inner, begun, item["attempt"]), whole, rooms, number)
            else:
                continue
            if after is not item:
                if inner is not None:
                    room.take((after["state"] == DUE) - (item["state"] == DUE))
                if items is old:
                    items = [*old]
                items[number] = after
        if all(item["state"] in SETTLED for item in items):
            return {**node, "items": items, **_sum_of_items(values_of(about, node), items)}
        return node if items is old else {**node, "items": items}

    def _one(self, graph: Graph, scope: Scope, name: str, node: NodeOfRun, whole: str, rooms: _Rooms, index: int | None) -> NodeOfRun:
        """Return a job, or a workflow inside, that is due or waits for another try, as it is to be."""
        about = graph.nodes[name]
        inner = graph.inner.get(name)
        if node["state"] == BACKOFF:
            if self._is_cancelled:
                return {**node, "state": ENDED, "why": f"{node.get('why') or node['outcome']}; not tried again: the run was cancelled"}
            if whole not in self._ripe and about.get("retry_delay"):
                return node
            return _begun(node, about, rooms)
        if inner is None:
            return node
        old = node["nodes"]
        nodes = self._nodes(inner, scope.inside(name, index, old), f"{whole}/", rooms)
        status = _verdict(inner, nodes, is_cancelled=self._is_cancelled)
        if status in VERDICTS:
            return {**node, "nodes": nodes, **_sum_of_nodes(inner, nodes, status)}
        return node if nodes is old else {**node, "nodes": nodes}


def _running(definition: Definition, nodes: t.Mapping[str, NodeOfRun]) -> int:
    """Return how many jobs of a workflow are due."""
    return sum(_running_in(definition["nodes"][name], node) for name, node in nodes.items() if node["state"] == DUE)


def _running_in(about: dict[str, t.Any], node: NodeOfRun) -> int:
    if node["state"] != DUE:
        return 0
    if "items" in node:
        return sum(_running_in(about, item) for item in node["items"])
    if "nodes" in node:
        return _running(about["definition"], node["nodes"])
    return int(about["kind"] != "approval")  # what waits for a person takes nobody's place


def _size(node: NodeOfRun) -> int:
    """Return of how many jobs a node consists, as far as it has begun."""
    inside = [*node.get("items", ()), *node.get("nodes", {}).values()]
    return sum(map(_size, inside)) or 1


def _begun(node: NodeOfRun, about: dict[str, t.Any], rooms: _Rooms) -> NodeOfRun:
    """Return a job whose next attempt is due, if there is room for it: of the one before, only its number is left."""
    if about["kind"] != "approval":
        if not all(room.has() for room in rooms):
            return node
        for room in rooms:
            room.take()
    attempt = node["attempt"] + 1
    return {"state": DUE, "attempt": attempt, "first_attempt": node.get("first_attempt", attempt)}


def _opened(graph: Graph, scope: Scope, name: str, node: NodeOfRun) -> NodeOfRun:
    """Return a node with several jobs that begins. It has failed if what it is given is not what it has to be."""
    about = graph.nodes[name]
    begun = {**node, "state": DUE, "attempt": node["attempt"] + 1}
    found: t.Any = None
    problem = ""
    if "for_each" in about and "items" not in node:
        found, problem = scope.items(name)
    if not problem and "definition" in about and "for_each" not in about:
        problem = scope.flaw_of_params(name, None)
    if problem:
        return {**begun, "state": ENDED, "outcome": FAILED, "why": problem}
    if "for_each" not in about:
        return _with_nodes(graph.inner[name], begun, 0)
    if found is None:
        return begun
    if found is not about["for_each"]:
        begun["values"] = found
    begun["items"] = [{"state": WAITING, "attempt": node.get("floor", 0)} for _value in found]
    if found:
        return begun
    return {**begun, "state": ENDED, "outcome": SUCCEEDED, "why": "there are no items"}


def _with_nodes(inner: Graph, node: NodeOfRun, floor: int) -> NodeOfRun:
    """Return a workflow inside that begins, or goes on where it was.

    :arg floor: the number above which attempts begin
    """
    nodes = node.get("nodes") or {name: {"state": WAITING, "attempt": floor} for name in inner.nodes}
    return {**node, "state": DUE, "nodes": nodes}


def _sum_of_items(values: list[t.Any], items: list[NodeOfRun]) -> NodeOfRun:
    """Return how a node has ended whose items have."""
    bad = [number for number, item in enumerate(items) if item["state"] == ENDED and item["outcome"] not in GOOD]
    ended = {"state": ENDED, **_last_end(items)}
    never = sum(item["state"] == SKIPPED for item in items)
    if never or any(items[number]["outcome"] == CANCELLED for number in bad):
        return {**ended, "outcome": CANCELLED, "why": f"{len(bad) + never} of {len(items)} items were cancelled, or have failed"}
    if not bad:
        return {**ended, "outcome": SUCCEEDED}
    some = "; ".join(f"{_label(number, values[number])}: {_short(items[number])}" for number in bad[:_SHOWN])
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    return {**ended, "outcome": FAILED, "why": f"{len(bad)} of {len(items)} items failed: {some}{more}"}


def _label(number: int, value: t.Any) -> str:
    """Return how people call an item."""
    is_short = isinstance(value, (str, int, float)) and 0 < len(str(value)) <= _LONGEST_LABEL
    return f"[{number}] {value}" if is_short else f"[{number}]"


def _short(node: NodeOfRun) -> str:
    return str(node.get("why") or node["outcome"])[:_LONGEST_REASON]


def _sum_of_nodes(inner: Graph, nodes: dict[str, NodeOfRun], status: str) -> NodeOfRun:
    """Return how a workflow inside has ended."""
    ended = {"state": ENDED, **_last_end(nodes.values())}
    if status == SUCCEEDED:
        return {**ended, "outcome": SUCCEEDED}
    if status == CANCELLED:
        return {**ended, "outcome": CANCELLED, "why": "the run was cancelled"}
    bad = [name for name in inner.order if nodes[name]["state"] == ENDED and nodes[name]["outcome"] not in GOOD]
    some = "; ".join(f"{name} {_WORDS[nodes[name]['outcome']]}: {_short(nodes[name])}" for name in bad[:_SHOWN])
    if status == RECOVERED:
        return {**ended, "outcome": inner.definition.get("recovered_is", SUCCEEDED), "why": f"recovered: {some}"}
    return {**ended, "outcome": FAILED, "why": some}


def _last_end(nodes: t.Iterable[NodeOfRun]) -> NodeOfRun:
    end = max((node.get("end", "") for node in nodes), default="")
    return {"end": end} if end else {}


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
    if not outcomes or run["status"] in VERDICTS:
        return run
    nodes = _ended(run["definition"], run["nodes"], outcomes, "", run["status"] == RUNNING, _LARGEST_REPORTS)
    return run if nodes is run["nodes"] else {**run, "nodes": nodes}


def _ended(
    definition: Definition, old: dict[str, NodeOfRun], outcomes: t.Mapping[str, Outcome], before: str, may_retry: bool, size: int
) -> dict[str, NodeOfRun]:
    """Return nodes with what became of attempts.

    :arg size: how much they may report together, in bytes
    """
    nodes = old
    size //= max(len(old), 1)
    for name, node in old.items():
        if node["state"] != DUE:
            continue
        about = definition["nodes"][name]
        whole = f"{before}{name}"
        if "for_each" in about:
            items: list[NodeOfRun] = node["items"]
            share = size // max(len(items), 1)
            new = [
                _ended_one(about, item, f"{whole}[{number}]", outcomes, may_retry, share) if item["state"] == DUE else item
                for number, item in enumerate(items)
            ]
            after = node if all(map(operator.is_, new, items)) else {**node, "items": new}
        else:
            after = _ended_one(about, node, whole, outcomes, may_retry, size)
        if after is not node:
            if nodes is old:
                nodes = {**old}
            nodes[name] = after
    return nodes


def _ended_one(
    about: dict[str, t.Any], node: NodeOfRun, whole: str, outcomes: t.Mapping[str, Outcome], may_retry: bool, size: int
) -> NodeOfRun:
    if "definition" in about:
        nodes = _ended(about["definition"], node["nodes"], outcomes, f"{whole}/", may_retry, size)
        return node if nodes is node["nodes"] else {**node, "nodes": nodes}
    outcome = outcomes.get(whole)
    if outcome is None or node["attempt"] != outcome.attempt:
        return node
    word, why = outcome.outcome, outcome.why
    if word == EXPIRED and about.get("on_timeout") == "approve":
        word, why = SUCCEEDED, f"{why}; on_timeout is approve"
    tries = outcome.attempt - node.get("first_attempt", 1)
    again = word not in FINAL and may_retry and tries < about.get("retries", 0)
    details = _fitting(outcome.details, max(size, _SMALLEST_REPORT))
    return {**node, **details, "state": BACKOFF if again else ENDED, "outcome": word, **({"why": why} if why else {})}


def _fitting(details: dict[str, t.Any], size: int) -> dict[str, t.Any]:
    """Return what an attempt has reported, less what is too much of it: the whole run has to fit into one document."""
    if details.keys() <= {"end", "ended"} or len(json.dumps(details)) * _MOST_LINES <= size or _length(details) <= size:
        return details
    kept: dict[str, t.Any] = {field: details[field] for field in ("end", "ended") if field in details}
    if "secret" in details:
        kept["secret"] = details["secret"][:_SHOWN]
    problems = details.get("problems", [])[:_SHOWN]
    left = size - _length(kept)
    artifacts: dict[str, t.Any] = {}
    dropped = []
    for name, artifact in details.get("artifacts", {}).items():
        needed = _length(artifact) + len(name)
        if needed > left:
            dropped.append(name)
        else:
            artifacts[name] = artifact
            left -= needed
    if dropped:
        msg = f"{', '.join(dropped[:_SHOWN])} left out: a run keeps {size} bytes of what this sets"
        problems = [*problems, {"host": "", "task": "set_stats", "msg": msg}]
    if artifacts:
        kept["artifacts"] = artifacts
    if problems and _length(problems) <= max(left, _SMALLEST_REPORT):
        kept["problems"] = problems
    return kept


def _length(value: t.Any) -> int:
    """Return how much of a document a value takes, in bytes: each part of it has a line, with blanks before it."""
    text = json.dumps(value, indent=2)
    return len(text) + _INDENTED * text.count("\n")


def resume(graph: Graph, run: Run, names: t.Iterable[str] | None = None) -> Run:
    """Return an ended run that goes on: what has failed, and all that comes after it, is to be decided on anew. What has succeeded before
    it stands, with its artifacts. Of nodes with several jobs, only those that have failed run once more.

    :arg names: the nodes, or parts of them, to run once more. None means all that have failed
    """
    return _going_on(run, _reopened(graph, run["nodes"], _bad(run["nodes"]) if names is None else names, None))


def accept(graph: Graph, run: Run, names: t.Iterable[str], by: dict[str, str]) -> Run:
    """Return an ended run that goes on as if nodes that have failed, or parts of them, had succeeded."""
    return _going_on(run, _reopened(graph, run["nodes"], names, by))


def _going_on(run: Run, nodes: dict[str, NodeOfRun]) -> Run:
    after = {**run, "status": RUNNING, "epoch": run["epoch"] + 1, "nodes": nodes}
    return {field: value for field, value in after.items() if field not in ("cancelling", "ended")}


def _bad(nodes: t.Mapping[str, NodeOfRun]) -> list[str]:
    return [name for name, node in nodes.items() if node["state"] == ENDED and node["outcome"] not in GOOD]


def _reopened(graph: Graph, nodes: dict[str, NodeOfRun], names: t.Iterable[str], by: dict[str, str] | None) -> dict[str, NodeOfRun]:
    """Return nodes of which some are to run once more, or are accepted, and what comes after those is decided anew.

    :arg by: who has accepted them, and why. None if they are to run
    """
    parts: dict[str, list[tuple[int | None, str]]] = {}
    for whole in names:
        own, index, rest = split(graph.definition, whole)
        parts.setdefault(own, []).append((index, rest))
    after = graph.after(parts)
    return {
        name: _anew(node)
        # What was skipped for what has changed now, is skipped again if its reason holds.
        if name in after or (node["state"] == SKIPPED and name not in parts)
        else _once_more(graph.nodes[name], graph.inner.get(name), node, parts[name], by)
        if name in parts
        else node
        for name, node in nodes.items()
    }


def _once_more(
    about: dict[str, t.Any], inner: Graph | None, node: NodeOfRun, parts: list[tuple[int | None, str]], by: dict[str, str] | None
) -> NodeOfRun:
    """Return a node that is to run once more, all of it or some parts."""
    if (None, "") in parts:
        if by is not None:
            return {**node, "state": ENDED, "outcome": ACCEPTED, "why": f"accepted by {by['who']}: {by['reason']}", "by": by}
        bad = [(number, "") for number, item in enumerate(node.get("items", ())) if item["state"] == ENDED and item["outcome"] not in GOOD]
        within = [(None, name) for name in _bad(node.get("nodes", {}))]
        if node.get("outcome") in GOOD or not (bad or within or _has_skipped(node)):
            return _anew(node)
        parts = [*bad, *within]
    again: NodeOfRun = {"state": WAITING, "attempt": node["attempt"]}
    again.update({field: node[field] for field in ("values", "floor") if field in node})
    if "items" in node:
        of_items: dict[int, list[tuple[int | None, str]]] = {}
        for number, rest in parts:
            of_items.setdefault(t.cast(int, number), []).append((None, rest))
        again["items"] = [
            _once_more(about, inner, item, of_items[number], by)
            if number in of_items
            else _anew(item)
            if item["state"] == SKIPPED
            else item
            for number, item in enumerate(node["items"])
        ]
    elif inner is not None and "nodes" in node:
        again["nodes"] = _reopened(inner, node["nodes"], [rest for _number, rest in parts], by)
    return again


def _has_skipped(node: NodeOfRun) -> bool:
    return any(one["state"] == SKIPPED for one in (*node.get("items", ()), *node.get("nodes", {}).values()))


def _anew(node: NodeOfRun) -> NodeOfRun:
    """Return a node as if it had never run. Numbers of attempts go on, in whatever it will consist of then."""
    fresh: NodeOfRun = {"state": WAITING, "attempt": node["attempt"]}
    if "nodes" in node:
        fresh["nodes"] = {name: _anew(inner) for name, inner in node["nodes"].items()}
    floor = max(node.get("floor", 0), *map(_highest, node["items"])) if node.get("items") else node.get("floor", 0)
    if floor:
        fresh["floor"] = floor
    return fresh


def _highest(node: NodeOfRun) -> int:
    """Return the highest number of an attempt in a node."""
    inside = (*node.get("items", ()), *node.get("nodes", {}).values())
    return max(int(node["attempt"]), int(node.get("floor", 0)), *map(_highest, inside)) if inside else int(node["attempt"])


def cancel(run: Run, by: dict[str, str]) -> Run:
    """Return a run that is to end: nothing more begins in it."""
    return {**run, "status": CANCELLING, "cancelling": by, "epoch": run["epoch"] + 1}
