# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run for people: its graph as text, the way that it took, and why each node is what it is. Pure functions of the run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import aligned, brief_time, harmless
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import FAILED, FINISHED, SUCCEEDED, Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    ACCEPTED,
    BACKOFF,
    CANCELLED,
    CANCELLING,
    DUE,
    ENDED,
    GOOD,
    RECOVERED,
    RUNNING,
    SKIPPED,
    VERDICTS,
    WAITING,
    NodeOfRun,
    Run,
)

AWAITS = "awaits approval"
AGAIN = "to be tried again"

_SIGNS = {
    SUCCEEDED: "\N{CHECK MARK}",
    ACCEPTED: "\N{CHECK MARK}",
    RECOVERED: "~",
    RUNNING: "\N{BLACK RIGHT-POINTING TRIANGLE}",
    CANCELLING: "\N{BLACK SQUARE}",
    CANCELLED: "\N{BLACK SQUARE}",
    AWAITS: "?",
    AGAIN: "\N{ANTICLOCKWISE OPEN CIRCLE ARROW}",
    WAITING: "\N{MIDDLE DOT}",
    SKIPPED: "-",
}
_BAD = "\N{BALLOT X}"

# How many hosts that have failed are named of each node.
_SHOWN = 10
_EDGES = {SUCCEEDED: "", FAILED: "failure of ", FINISHED: "end of "}


def word_of(run: Run, name: str) -> str:
    """Return in a word how a node is."""
    node = run["nodes"][name]
    if node["state"] == ENDED:
        return str(node["outcome"])
    if node["state"] == DUE:
        return AWAITS if run["definition"]["nodes"][name]["kind"] == "approval" else RUNNING
    return AGAIN if node["state"] == BACKOFF else str(node["state"])


def sign_of(word: str) -> str:
    """Return what stands for a word, for those who see it before they read."""
    return _SIGNS.get(word, _BAD)


def layers_of(graph: Graph) -> list[list[str]]:
    """Return all nodes in layers: each in the first one after all of those that it waits for."""
    place: dict[str, int] = {}
    layers: list[list[str]] = []
    for name in graph.order:
        place[name] = 1 + max((place[parent] for parent in graph.parents[name]), default=-1)
        layers += [[]] * (place[name] + 1 - len(layers))
        layers[place[name]] = [*layers[place[name]], name]
    return layers


def waits_for(graph: Graph, name: str) -> str:
    """Return what a node waits for: C(build and failure of test)."""
    joint = " and " if graph.nodes[name]["join"] == "all" else " or "
    parents = graph.parents[name]
    grouped = [(edge, [parent for parent in parents if parents[parent] == edge]) for edge in _EDGES if edge in parents.values()]
    return joint.join(_EDGES[edge] + joint.join(some) for edge, some in grouped)


def span_of(run: Run, name: str) -> tuple[float | None, float | None]:
    """Return when the last attempt of a node became due, and when it had ended, as far as the run remembers: seconds since the epoch."""
    node = run["nodes"][name]
    begin = end = None
    if node["state"] in (SKIPPED, WAITING):  # what it has of an attempt is that of one before
        return None, None
    for event in run["events"]:
        if event.get("node") != name or event.get("attempt") != node["attempt"]:
            continue
        if event.get("what") == DUE:
            begin, end = _seconds(event.get("time")), None
        elif begin is not None:
            end = _seconds(event.get("time"))
    return begin, end


def _seconds(text: t.Any) -> float | None:
    moment = _times.moment(text)
    return None if moment is None else moment.timestamp()


def changes(before: Run, after: Run) -> t.Iterator[str]:
    """Yield a line for each node to which something has happened: what has ended first, then what begins."""
    order = after["definition"]["order"]
    for name in sorted(order, key=lambda name: after["nodes"][name]["state"] == DUE):
        node, was = after["nodes"][name], before["nodes"][name]
        if (was["state"], was["attempt"]) == (node["state"], node["attempt"]) or node["state"] == WAITING:
            continue
        about = after["definition"]["nodes"][name]
        attempt = f" (attempt {node['attempt']})" if node["attempt"] > 1 else ""
        if node["state"] == DUE:
            if about["kind"] != "approval":  # which tells of itself
                yield f"{name}: begins{attempt}"
            continue
        word = word_of(after, name)
        if word == AGAIN:
            word = f"{node['outcome']}, to be tried again in {about.get('retry_delay', 0)} s"
        yield f"{name}: {word}{attempt}{': ' + node['why'] if node.get('why') else ''}"


def path_of(graph: Graph, run: Run) -> str:
    """Return the way that a run took: what comes after the other, what may have run at the same time, and what has failed."""
    steps = []
    for layer in layers_of(graph):
        names = [_on_path(run, name) for name in layer if run["nodes"][name]["state"] not in (SKIPPED, WAITING)]
        if names:
            steps.append(", ".join(names))
    return " \N{RIGHTWARDS ARROW} ".join(steps)


def _on_path(run: Run, name: str) -> str:
    word = word_of(run, name)
    return name if word == SUCCEEDED else f"{name} ({word})"


def lines_of(run: Run, now: float, width: int, said: t.Mapping[str, str]) -> list[str]:
    """Return a run as lines: its graph, layer by layer; the way that it took; what has failed, where and why; and why the rest was not run.

    :arg now: in seconds since the epoch
    :arg width: of the terminal, in characters
    :arg said: how those are getting on that run, as far as anybody knows
    """
    graph = Graph(run["definition"])
    lines = [_head(run, now), ""]
    rows = []
    for number, layer in enumerate(layers_of(graph), 1):
        for name in layer:
            word = word_of(run, name)
            about = ", ".join(part for part in (_after(graph, name), said.get(name, "") if word == RUNNING else "") if part)
            attempt = run["nodes"][name]["attempt"]
            again = f", attempt {attempt}" if attempt > 1 else ""
            shown = str(number) if name == layer[0] else ""
            rows.append((f" {shown:>3}", f"{sign_of(word)} {harmless(name)}", word + again, _took(run, name, now), harmless(about)))
    lines += aligned(rows, width=width)
    path = path_of(graph, run)
    lines += ["", f"Path: {path}" if path else "Nothing has begun yet."]
    nodes = {name: run["nodes"][name] for layer in layers_of(graph) for name in layer}
    for name, node in nodes.items():
        if node["state"] in (ENDED, BACKOFF) and node["outcome"] not in GOOD:
            lines += [f"{name}: {node['outcome']}{_share(node)}", *(f"    {line}" for line in _problems(node))]
    lines += _reasons("Decided", {name: node for name, node in nodes.items() if node["state"] == ENDED and node["outcome"] in GOOD})
    lines += _reasons("Skipped", {name: node for name, node in nodes.items() if node["state"] == SKIPPED})
    lines += [f"{name}: {text}" for name, text in said.items() if text and word_of(run, name) == AWAITS]
    return [harmless(line) for line in lines]


def _after(graph: Graph, name: str) -> str:
    waits = waits_for(graph, name)
    return f"after {waits}" if waits else ""


def _head(run: Run, now: float) -> str:
    started, ended = (_seconds(run.get(field)) for field in ("started", "ended"))
    took = "" if started is None else f", {brief_time((now if ended is None else ended) - started)}"
    by = f"begun {run['started']} by {run['started_by']}{took if run['status'] in VERDICTS else took + ' ago'}"
    return f"{sign_of(run['status'])} {run['workflow']}, run {run['run']}: {run['status']} ({by})"


def _took(run: Run, name: str, now: float) -> str:
    begin, end = span_of(run, name)
    if begin is None or (end is None and run["nodes"][name]["state"] != DUE):
        return ""
    return brief_time((now if end is None else end) - begin)


def _share(node: NodeOfRun) -> str:
    """Return on how many hosts a node has failed, if it tells."""
    counts = node.get("counts", {})
    bad = sum(bool(count.get("failures") or count.get("unreachable")) for count in counts.values())
    return f" on {bad} of {len(counts)} hosts" if bad else ""


def _problems(node: NodeOfRun) -> list[str]:
    """Return where and why a node has failed: host, task and message."""
    problems = node.get("problems", [])
    told = [f"{one.get('host', '')}: {one.get('task', '')}: {one.get('msg', '')}" for one in problems]
    lines = [" ".join(text.split()) for text in told[:_SHOWN]]
    if len(told) > _SHOWN:
        lines.append(f"and {len(told) - _SHOWN} more")
    why = node.get("why", "")
    # The run takes the first problem for the reason, cut to what it can keep.
    return lines if not why or any(line.startswith(why) for line in lines) else [why, *lines]


def _reasons(head: str, nodes: dict[str, NodeOfRun]) -> list[str]:
    lines = [f"    {name}: {node['why']}" for name, node in nodes.items() if node.get("why")]
    return [f"{head}:", *lines] if lines else []
