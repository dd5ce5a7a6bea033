# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs of workflows as the report holds them: their graphs, laid out once for all runs that have the same, and how each node was.

What a node is told, such as the words of a command or variables, is not in the report: its author may have put a secret there.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.layout import drawing_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import SUCCEEDED, Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    DUE,
    ENDED,
    GOOD,
    SETTLED,
    SKIPPED,
    WAITING,
    Part,
    Run,
    is_of_node,
    key_of_node,
    parts_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.shown import span_of, waits_for, word_of

# What stands for a word that no job has. Those of jobs are their letters.
SIGNS = {
    "recovered": "~",
    "cancelling": "c",
    "accepted": "A",
    "rejected": "X",
    "expired": "E",
    "awaits approval": "?",
    "to be tried again": "\N{ANTICLOCKWISE OPEN CIRCLE ARROW}",
    "due": "\N{MIDDLE DOT}",
    "waiting": "\N{MIDDLE DOT}",
    "skipped": "\N{EN DASH}",
}

MOST_RUNS = 200
"""How many runs of a workflow the report holds: the newest."""
_MOST_HOSTS = 200
_MOST_PARTS = 200
_LONGEST = 300
_COUNTS = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")


class Shown(t.NamedTuple):
    """What the page gets."""

    data: dict[str, t.Any]
    details: list[dict[str, t.Any]]
    """Of each run, what is shown once somebody asks for it."""


def shown_runs(runs: t.Sequence[Run], records: t.Sequence[Record], *, is_whole: bool) -> Shown:
    """Return what the page shows of runs.

    :arg runs: the newest first
    :arg records: of the jobs, in the order that the page has them
    :arg is_whole: whether these are all records that there are of these runs
    """
    index_of = {(record.get("host"), record.get("playbook_name"), record.get("job_name")): number for number, record in enumerate(records)}
    words: dict[str, int] = {}
    graphs: dict[str, tuple[int, Graph]] = {}
    data: dict[str, t.Any] = {"words": [], "graphs": [], "runs": [], "left": {}}
    details = []
    seen: dict[str, int] = {}
    for run in runs:
        seen[run["workflow"]] = seen.get(run["workflow"], 0) + 1
        if seen[run["workflow"]] > MOST_RUNS:
            data["left"][run["workflow"]] = seen[run["workflow"]] - MOST_RUNS
            continue
        if run["definition_hash"] not in graphs:
            graph = Graph(run["definition"])
            graphs[run["definition_hash"]] = len(graphs), graph
            data["graphs"].append(_drawn(graph))
        number, graph = graphs[run["definition_hash"]]
        idle = _idle(run, records, index_of, is_whole=is_whole)
        states = [words.setdefault(word_of(graph.nodes[name], run["nodes"][name], name, idle), len(words)) for name in graph.order]
        ways = "".join(_way(run, graph, parent, name) for name in graph.order for parent in graph.parents[name])
        times = [_time(run.get(field)) for field in ("started", "ended")]
        data["runs"].append([run["workflow"], run["run"], run["status"], *times, run["started_by"], number, states, ways])
        details.append(_details(run, graph, records, index_of, idle))
    data["words"] = [*words]
    return Shown(data, details)


def _drawn(graph: Graph) -> dict[str, t.Any]:
    drawing = drawing_of(graph)
    number_of = {name: number for number, name in enumerate(graph.order)}
    return {
        "layers": drawing.layers,
        "width": drawing.width,
        "nodes": [[name, _what(graph.nodes[name]), waits_for(graph, name), *drawing.places[name]] for name in graph.order],
        "edges": [
            [number_of[parent], number_of[name], graph.parents[name][parent], [part for point in points for part in point]]
            for parent, name, points in drawing.edges
        ],
    }


def _what(node: dict[str, t.Any]) -> str:
    """Return what a node is, less all that its author tells it."""
    each = "for each item: " if "for_each" in node else ""
    return each + _of_kind(node["kind"], node)


def _of_kind(kind: str, node: dict[str, t.Any]) -> str:
    if kind == "workflow":
        return f"workflow {node['workflow']}"
    if kind == "playbook":
        return f"playbook {node['playbook']}" + (f", limit {node['limit']}" if "limit" in node else "")
    if kind == "approval":
        return f"approval: {node['approval']}"
    if kind == "task":
        return f"task {next((word for word in node['task'] if '.' in word), '')}".strip()
    return str(kind)


def _way(run: Run, graph: Graph, parent: str, name: str) -> str:
    """Return what became of an edge: C(1), it was taken; C(0), it was not; C(.), nobody knows yet."""
    before, after = run["nodes"][parent], run["nodes"][name]
    if before["state"] not in SETTLED:
        return "."
    edge = graph.parents[name][parent]
    fits = before["state"] == ENDED and (edge == "finished" or (before["outcome"] in GOOD) == (edge == SUCCEEDED))
    return "0" if not fits or after["state"] == SKIPPED else "." if after["state"] == WAITING else "1"


def _idle(run: Run, records: t.Sequence[Record], index_of: t.Mapping[t.Any, int], *, is_whole: bool) -> set[str]:
    """Return those parts of a run that are due, and of which it is known that nobody has begun them."""
    return {
        name
        for name, part in parts_of(run, DUE).items()
        if not part.is_approval and _has_not_begun(part, _index(run, name, records, index_of), records, is_whole=is_whole)
    }


def _has_not_begun(part: Part, index: int, records: t.Sequence[Record], *, is_whole: bool) -> bool:
    if index < 0:  # a record that was left out, or cannot be read, may say anything
        return is_whole
    return records[index].get("status") in CLAIMED or records[index].get("attempt", 1) != part.node["attempt"]


def _index(run: Run, name: str, records: t.Sequence[Record], index_of: t.Mapping[t.Any, int]) -> int:
    """Return the number of the record of a node. -1 if there is none."""
    index = index_of.get(tuple(key_of_node(run, name)), -1)
    return index if index >= 0 and is_of_node(records[index], run, name) else -1


def _details(
    run: Run, graph: Graph, records: t.Sequence[Record], index_of: t.Mapping[t.Any, int], idle: t.Container[str]
) -> dict[str, t.Any]:
    secret = [[name, None] for name in run["secret_params"]]
    inside: dict[str, list[Part]] = {}
    for part in parts_of(run).values():
        if len(part.way) > 1 or part.way[0].number is not None:
            inside.setdefault(part.way[0].own, []).append(part)
    return {
        "params": [*([name, _short(value)] for name, value in run["params"].items()), *secret],
        "reason": run.get("cancelling", {}).get("reason", ""),
        "nodes": [_node(run, name, _index(run, name, records, index_of), inside.get(name, []), idle) for name in graph.order],
    }


def _node(run: Run, name: str, index: int, inside: t.Sequence[Part], idle: t.Container[str]) -> list[t.Any]:
    node = run["nodes"][name]
    over = sum(part.node["state"] in SETTLED for part in inside)
    # What has gone wrong is not what is left out.
    worst = sorted(inside, key=lambda part: part.node.get("outcome") in (*GOOD, None))[:_MOST_PARTS]
    parts = [[part.name, word_of(part.about, part.node, part.name, idle), part.node["attempt"], part.node.get("why", "")] for part in worst]
    counts = node.get("counts", {})
    hosts = [[host, *(count.get(what, 0) for what in _COUNTS)] for host, count in sorted(counts.items())[:_MOST_HOSTS]]
    artifacts = [
        [one, _short(artifact["value"]) if "value" in artifact else "(encrypted)"] for one, artifact in node.get("artifacts", {}).items()
    ]
    return [
        node["attempt"],
        node.get("why", ""),
        *(None if moment is None else int(moment) for moment in span_of(run, name, node)),
        [[str(one.get(field, "")) for field in ("host", "task", "msg")] for one in node.get("problems", [])],
        hosts,
        len(counts) - len(hosts),
        [*artifacts, *([one, None] for one in node.get("secret", []))],
        index,
        [over, len(inside), parts],
    ]


def _short(value: t.Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "\N{HORIZONTAL ELLIPSIS}"


def _time(value: t.Any) -> int | str:
    moment = _times.moment(value)
    return "" if moment is None else int(moment.timestamp())
