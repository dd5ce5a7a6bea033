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
    NEVER_BEGAN,
    RECOVERED,
    RUNNING,
    SKIPPED,
    VERDICTS,
    WAITING,
    NodeOfRun,
    Run,
    changes_of,
    part_of,
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
    DUE: "\N{MIDDLE DOT}",
    SKIPPED: "-",
}
_BAD = "\N{BALLOT X}"

# How many are named of hosts that have failed, and of items that have failed or run.
_SHOWN = 10
_EDGES = {SUCCEEDED: "", FAILED: "failure of ", FINISHED: "end of "}


def word_of(about: dict[str, t.Any], node: NodeOfRun, name: str, idle: t.Container[str]) -> str:
    """Return in a word how a node, or a part of one, is: that it runs only if something of it has begun.

    :arg about: what the definition says of it
    :arg node: what the run says of it
    :arg name: of the node, with those that it is inside of
    :arg idle: the parts of the run that are due, and that nobody has begun
    """
    if node["state"] == ENDED:
        return str(node["outcome"])
    if node["state"] == DUE:
        return AWAITS if about["kind"] == "approval" else DUE if _is_idle(node, name, idle) else RUNNING
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


def span_of(run: Run, name: str, node: NodeOfRun) -> tuple[float | None, float | None]:
    """Return when the last attempt of a node became due, and when it had ended, as far as the run remembers: seconds since the epoch.

    :arg name: of the node, with those that it is inside of
    """
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
    for change in sorted(changes_of(before, after), key=lambda change: change["what"] == DUE):
        name, what = change["node"], change["what"]
        attempt = f" (attempt {change['attempt']})" if change["attempt"] > 1 else ""
        if what == WAITING:
            continue
        part = part_of(after, name)
        if what == DUE:
            if not part.is_approval:  # which tells of itself
                # It may wait for a slot first.
                yield f"{name}: {'is due' if 'semaphore' in part.about else 'begins'}{attempt}"
            continue
        if what == BACKOFF:
            what = f"{part.node['outcome']}, to be tried again in {part.about.get('retry_delay', 0)} s"
        yield f"{name}: {what}{attempt}{': ' + change['why'] if change['why'] else ''}"


def path_of(graph: Graph, run: Run, idle: t.Container[str] = ()) -> str:
    """Return the way that a run took: what comes after the other, what may have run at the same time, and what has failed."""
    steps = []
    for layer in layers_of(graph):
        names = [_on_path(run, name, idle) for name in layer if run["nodes"][name]["state"] not in (SKIPPED, WAITING)]
        if names:
            steps.append(", ".join(names))
    return " \N{RIGHTWARDS ARROW} ".join(steps)


def _on_path(run: Run, name: str, idle: t.Container[str]) -> str:
    word = word_of(run["definition"]["nodes"][name], run["nodes"][name], name, idle)
    return name if word == SUCCEEDED else f"{name} ({word})"


def _is_idle(node: NodeOfRun, name: str, idle: t.Container[str]) -> bool:
    inside = [(f"{name}[{number}]", item) for number, item in enumerate(node.get("items", ()))]
    inside += [(f"{name}/{own}", one) for own, one in node.get("nodes", {}).items()]
    if not inside:
        return name in idle
    return all(one["state"] in (WAITING, SKIPPED) or (one["state"] == DUE and _is_idle(one, whole, idle)) for whole, one in inside)


def lines_of(run: Run, now: float, width: int, said: t.Mapping[str, str], idle: t.Container[str] = ()) -> list[str]:
    """Return a run as lines: its graph, layer by layer; the way that it took; what has failed, where and why; and why the rest was not run.

    :arg now: in seconds since the epoch
    :arg width: of the terminal, in characters
    :arg said: how those are getting on that are due, as far as anybody knows
    :arg idle: those of them that nobody has begun
    """
    graph = Graph(run["definition"])
    rows = [*_rows(run, graph, run["nodes"], ("", ""), now, said, idle)]
    lines = [_head(run, now), "", *aligned([row.cells for row in rows], width=width)]
    path = path_of(graph, run, idle)
    lines += ["", f"Path: {path}" if path else "Nothing has begun yet."]
    for row in rows:
        if row.node["state"] in (ENDED, BACKOFF) and row.node["outcome"] not in GOOD:
            lines += [f"{row.name}: {row.node['outcome']}{_share(row.node)}", *(f"    {line}" for line in _problems(row.node))]
    lines += _reasons("Decided", [row for row in rows if row.node["state"] == ENDED and row.node["outcome"] in GOOD])
    lines += _reasons("Skipped", [row for row in rows if row.node["state"] == SKIPPED])
    lines += [f"{name}: {text}" for name, text in said.items() if text and part_of(run, name).is_approval]
    return [harmless(line) for line in lines]


class _Row(t.NamedTuple):
    """A node as a line of the table."""

    name: str
    node: NodeOfRun
    cells: tuple[str, ...]


def _rows(
    run: Run,
    graph: Graph,
    nodes: t.Mapping[str, NodeOfRun],
    where: tuple[str, str],
    now: float,
    said: t.Mapping[str, str],
    idle: t.Container[str],
) -> t.Iterator[_Row]:
    """Yield a row for each node, layer by layer. What is inside of one comes behind it; of items, those that run or have failed."""
    before, indent = where
    for number, layer in enumerate(layers_of(graph), 1):
        for own in layer:
            name, about, node = f"{before}{own}", graph.nodes[own], nodes[own]
            number_shown = "" if indent or own != layer[0] else str(number)
            yield _row(
                run,
                (name, number_shown, indent, own),
                about,
                node,
                word_of(about, node, name, idle),
                now,
                (_after(graph, own), _place(run, about, node), _items_in_words(node), said.get(name)),
            )
            for label, part in [("", node)] if "for_each" not in about else _items_to_show(node):
                inside = f"{name}{label}"
                if label:
                    yield _row(
                        run,
                        (inside, "", f"{indent}  ", own + label),
                        about,
                        part,
                        word_of(about, part, inside, idle),
                        now,
                        (said.get(inside),),
                    )
                if "nodes" in part:
                    yield from _rows(run, graph.inner[own], part["nodes"], (f"{inside}/", f"{indent}  "), now, said, idle)


def _row(
    run: Run,
    where: tuple[str, str, str, str],
    about: dict[str, t.Any],
    node: NodeOfRun,
    word: str,
    now: float,
    more: t.Sequence[str | None],
) -> _Row:
    name, number, indent, own = where
    again = f", attempt {node['attempt']}" if node["attempt"] > 1 else ""
    # What a person has to type is too long for a table.
    shown = [text for text in (more if word in (RUNNING, DUE) else more[:-1]) if text]
    cells = (
        f" {number:>3}",
        f"{indent}{sign_of(word)} {harmless(own)}",
        word + again,
        _took(run, name, node, now),
        harmless(", ".join(shown)),
    )
    return _Row(name, node, cells)


def _place(run: Run, about: dict[str, t.Any], node: NodeOfRun) -> str:
    """Return where a node is or was, if that is another host than where most of the run is."""
    host = about.get("executor", run["executor"])
    is_job = about["kind"] not in ("approval", "workflow")
    return f"on {host}" if is_job and host != run["executor"] and _has_begun(node) else ""


def _has_begun(node: NodeOfRun) -> bool:
    if "items" in node:
        return any(map(_has_begun, node["items"]))
    return node["state"] in (DUE, BACKOFF, ENDED) and node.get("why") != NEVER_BEGAN


def _items_in_words(node: NodeOfRun) -> str:
    items = node.get("items", ())
    bad = sum(item["state"] == ENDED and item["outcome"] not in GOOD for item in items)
    over = sum(item["state"] in (ENDED, SKIPPED) for item in items)
    return f"{over} of {len(items)} items have ended{f', {bad} of them badly' if bad else ''}" if items else ""


def _items_to_show(node: NodeOfRun) -> list[tuple[str, NodeOfRun]]:
    """Return those items that somebody wants to know of, with their numbers."""
    items = [(f"[{number}]", item) for number, item in enumerate(node.get("items", ()))]
    return [one for one in items if one[1]["state"] in (DUE, BACKOFF) or one[1].get("outcome", SUCCEEDED) not in GOOD][:_SHOWN]


def _after(graph: Graph, name: str) -> str:
    waits = waits_for(graph, name)
    return f"after {waits}" if waits else ""


def _head(run: Run, now: float) -> str:
    started, ended = (_seconds(run.get(field)) for field in ("started", "ended"))
    took = "" if started is None else f", {brief_time((now if ended is None else ended) - started)}"
    by = f"begun {run['started']} by {run['started_by']}{took if run['status'] in VERDICTS else took + ' ago'}"
    return f"{sign_of(run['status'])} {run['workflow']}, run {run['run']}: {run['status']} ({by})"


def _took(run: Run, name: str, node: NodeOfRun, now: float) -> str:
    begin, end = span_of(run, name, node)
    if begin is None or (end is None and node["state"] != DUE):
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


def _reasons(head: str, rows: t.Sequence[_Row]) -> list[str]:
    lines = [f"    {row.name}: {row.node['why']}" for row in rows if row.node.get("why")]
    return [f"{head}:", *lines] if lines else []
