# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows for tests: small ones by hand, and any number of random ones."""

from __future__ import annotations

import random
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, decide, end
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition, Graph, flaws
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import DUE, Run, new_run, part_of, parts_of

Edges = dict[str, str]

BEGUN = "b"
"""Which run those of tests are."""


def define(nodes: dict[str, dict[str, t.Any]], *, checked: bool = True, **fields: t.Any) -> Definition:
    """Return a definition of nodes, each of which says C(all) or C(any) of what it waits for; the rest is filled in."""
    made: dict[str, t.Any] = {}
    for name, node in nodes.items():
        join = "any" if "any" in node else "all"
        rest = {field: value for field, value in node.items() if field not in ("any", "all")}
        kind = next((kind for kind in ("approval", "workflow") if kind in rest), "command")
        made[name] = {**({"command": "true"} if kind == "command" else {}), **rest, "parents": node.get(join, {}), "join": join}
        made[name]["kind"] = kind
    definition: Definition = {"name": "w", "params": {}, "nodes": made, "order": [*made], **fields}
    assert not checked or [*flaws(definition)] == []
    return definition


def inside(definition: Definition, **fields: t.Any) -> dict[str, t.Any]:
    """Return a node that is another workflow."""
    return {"workflow": "inner.yml", "definition": definition, **fields}


def begun(definition: Definition) -> Run:
    """Return a run of it that has just begun."""
    return {**new_run(definition, "r", "host1", {}, [], "me"), "begun": BEGUN}


def due(run: Run) -> list[str]:
    """Return the jobs and approvals that are due."""
    return [*parts_of(run, DUE)]


def ended(graph: Graph, run: Run, **outcomes: str) -> Run:
    """Return what follows when these nodes have ended."""
    words = {name: Outcome(part_of(run, name).node["attempt"], word, "", {}) for name, word in outcomes.items()}
    return decide(graph, end(graph, run, words))


def decide_all(graph: Graph, run: Run, names: t.Iterable[str]) -> Run:
    """Return the run after these nodes have succeeded, one after the other."""
    run = decide(graph, run)
    for name in names:
        run = ended(graph, run, **{name: "succeeded"})
    return run


def play(graph: Graph, outcome_of: t.Callable[[str, int], str], *, chance: random.Random | None = None) -> Run:
    """Run it to its end, or until nothing is due any more. What is due ends in any order if chance decides, else all at once."""
    run = decide(graph, begun(graph.definition))
    for _step in range(10_000):
        ready = due(run)
        if not ready:
            return run
        some = ready if chance is None else chance.sample(ready, chance.randint(1, len(ready)))
        run = ended(graph, run, **{name: outcome_of(name, part_of(run, name).node["attempt"]) for name in some})
    raise AssertionError("it goes on for ever")


def random_definition(chance: random.Random, most: int = 12, **fields: t.Any) -> Definition:
    """Return any definition."""
    names = [f"n{number}" for number in range(chance.randint(1, most))]
    nodes: dict[str, dict[str, t.Any]] = {}
    for number, name in enumerate(names):
        count = min(number, chance.choice((0, 1, 1, 2, 2, 3)))
        parents = {parent: chance.choice(("succeeded", "failed", "finished")) for parent in chance.sample(names[:number], count)}
        nodes[name] = {chance.choice(("all", "any")): parents}
    shuffled = [*nodes]
    chance.shuffle(shuffled)
    return {**define(nodes, **fields), "order": shuffled}


def awx(definition: Definition, outcomes: dict[str, str]) -> tuple[set[str], bool]:
    """Return which nodes AWX runs, and whether the workflow has failed, by what its documentation says.

    Step by step, as it happens there: what may begin begins, and what has begun ends.
    """
    nodes = definition["nodes"]
    links = {(parent, child): edge for child, node in nodes.items() for parent, edge in node["parents"].items()}
    done: dict[str, str] = {}
    never: set[str] = set()
    while len(done) + len(never) < len(nodes):
        for name in nodes.keys() - done.keys() - never:
            before = [parent for parent, child in links if child == name]
            if not all(parent in done or parent in never for parent in before):
                continue
            follows = [parent in done and links[parent, name] in (done[parent], "finished") for parent in before]
            is_wanted = not before or (all(follows) if nodes[name]["join"] == "all" else True in follows)
            if is_wanted:
                done[name] = outcomes[name]
            else:
                never.add(name)
    unhandled = [name for name in done if done[name] == "failed" and not any(name == parent and edge != "succeeded" for (parent, _child), edge in links.items())]  # fmt: skip # noqa: E501
    return {*done}, bool(unhandled)
