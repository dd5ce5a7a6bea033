# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be seen from inside of a workflow: parameters, what nodes have set, and items. A workflow inside another one sees its own
parameters, and those alone; what nodes before it have set, it sees as they all do.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import MOST_ITEMS, Graph, wrong_value
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import ENDED, NodeOfRun, Run, part_of, values_of

Artifacts = t.Dict[str, t.Dict[str, t.Any]]

_NONE = object()


class Scope(t.NamedTuple):
    """A workflow in a run, and what it is inside of."""

    graph: Graph
    nodes: dict[str, NodeOfRun]
    params: t.Callable[[], t.Mapping[str, t.Any]]
    """The values of its parameters. Those that are secrets are among them only if whoever asks knows them."""
    own: str = ""
    """The node of the outer workflow that this one is."""
    number: int | None = None
    """The number of the item that it is for."""
    outer: t.Any = None
    """The :class:`Scope` of the outer workflow."""

    def inside(self, name: str, index: int | None, nodes: dict[str, NodeOfRun]) -> Scope:
        """Return the scope of a workflow inside of this one."""
        known: list[dict[str, t.Any]] = []

        def params() -> dict[str, t.Any]:
            if not known:
                known.append(self.params_of(name, index))
            return known[0]

        return Scope(self.graph.inner[name], nodes, params, name, index, self)

    def params_of(self, name: str, index: int | None) -> dict[str, t.Any]:
        """Return the values of the parameters of a workflow inside, as far as they are known here."""
        about = self.graph.nodes[name]
        given, sources = about.get("params", {}), about.get("params_from", {})
        found = {}
        for param, spec in about["definition"].get("params", {}).items():
            value = given.get(param, spec.get("default", _NONE))
            if param in sources:
                value = self._value(name, index, sources[param])
            if value is not _NONE:
                found[param] = value
        return found

    def flaw_of_params(self, name: str, index: int | None) -> str:
        """Return what is wrong with the parameters of a workflow inside that come from elsewhere. Empty if nothing is known to be."""
        about = self.graph.nodes[name]
        for param, source in about.get("params_from", {}).items():
            value = self._value(name, index, source)
            spec = about["definition"]["params"][param]
            if value is not _NONE:
                problem = wrong_value(spec, value)
                if problem:
                    return f"its parameter {param!r}, from {source!r}, {problem}"
            elif spec.get("required", True) and source not in self.graph.definition.get("params", {}):
                return f"its parameter {param!r} has no value: nothing is called {source!r} that could be seen here"
        return ""

    def _value(self, name: str, index: int | None, source: str) -> t.Any:
        """Return what something is called by this name stands for: a parameter, the item, or what a node has set."""
        params = self.params()
        if source in params:
            return params[source]
        items = self.items_for(name, index)
        if source in items:
            return items[source]
        return self.artifacts(name)[0].get(source, {}).get("value", _NONE)

    def items(self, name: str) -> tuple[list[t.Any], str]:
        """Return the items of a node with C(for_each), or why it has none."""
        source = self.graph.nodes[name]["for_each"]
        if isinstance(source, list):
            return source, ""
        if "param" in source:
            value, what = self.params().get(source["param"]), f"the parameter {source['param']!r}"
        else:
            node = self.nodes[source["node"]]
            found = gathered(self.graph, source["node"], node).get(source["artifact"]) if node["state"] == ENDED else None
            what = f"the artifact {source['artifact']!r} of {source['node']!r}"
            if found is None and _is_withheld(node, source["artifact"]):
                return (
                    [],
                    f"for_each: {what} was withheld, because it is secret (no_log, a vault, or a secret parameter). Items have to be plain",
                )
            if found is None:
                return [], f"for_each: {what} is not there"
            if "vault" in found:
                return [], f"for_each: {what} is encrypted (Ansible Vault). Items have to be plain"
            value = found.get("value")
        if not isinstance(value, list):
            return [], f"for_each: {what} is no list"
        if len(value) > MOST_ITEMS:
            return [], f"for_each: {what} has {len(value)} items, and {MOST_ITEMS} are the most"
        return value, ""

    def items_for(self, name: str, index: int | None) -> dict[str, t.Any]:
        """Return the items that a part of a node is for, by the variables that it is given, the outer ones first."""
        found = {} if self.outer is None else dict(self.outer.items_for(self.own, self.number))
        about = self.graph.nodes[name]
        if index is not None and "item_var" in about:
            found[about["item_var"]] = values_of(about, self.nodes[name])[index]
        return found

    def artifacts(self, name: str) -> tuple[Artifacts, list[str]]:
        """Return what the nodes before a node have set, and the names of what they have set differently, and neither is nearer.

        Of two that have set something under the same name, the one that comes after the other counts. If neither does, the one that
        comes later in the file. What is outside of a workflow is farther than what is inside.
        """
        found, unclear = _merged(self.graph, self.nodes, self.graph.before(name))
        if self.outer is None:
            return found, unclear
        outside, unclear_outside = self.outer.artifacts(self.own)
        return {**outside, **found}, [*unclear_outside, *unclear]


def _is_withheld(node: NodeOfRun, name: str) -> bool:
    """Return whether a node, or something inside of it, has set an artifact and keeps it to itself."""
    inside = [*node.get("items", ()), *node.get("nodes", {}).values()]
    return name in node.get("secret", ()) or any(_is_withheld(one, name) for one in inside)


def scope_of(graph: Graph, run: Run, name: str, params: t.Mapping[str, t.Any]) -> Scope:
    """Return the scope that a part of a run is in.

    :arg graph: of the run
    :arg params: of the run, secret ones too if they are known
    """
    way = part_of(run, name).way
    scope = Scope(graph, run["nodes"], lambda: params)
    for level, inner in zip(way, way[1:]):
        scope = scope.inside(level.own, level.number, inner.nodes)
    return scope


def all_artifacts(graph: Graph, nodes: t.Mapping[str, NodeOfRun]) -> Artifacts:
    """Return what all nodes of a workflow have set."""
    return _merged(graph, nodes, graph.order)[0]


def gathered(graph: Graph, name: str, node: NodeOfRun) -> Artifacts:
    """Return what a node has set. One with items has set lists, with null for an item that has not."""
    inner = graph.inner.get(name)
    if "for_each" not in graph.nodes[name]:
        return _set_by(inner, node)
    every = [_set_by(inner, item) for item in node.get("items", ())]
    found: Artifacts = {}
    for variable in dict.fromkeys(variable for one in every for variable in one):
        found[variable] = {"value": [one.get(variable, {}).get("value") for one in every]}
    return found


def _set_by(inner: Graph | None, node: NodeOfRun) -> Artifacts:
    """Return what a job has set, or all nodes of a workflow."""
    if inner is None:
        return t.cast(Artifacts, node.get("artifacts", {}))
    return all_artifacts(inner, node["nodes"]) if "nodes" in node else {}


def _merged(graph: Graph, nodes: t.Mapping[str, NodeOfRun], some: t.Collection[str]) -> tuple[Artifacts, list[str]]:
    sets = {}
    for other in sorted(some, key=graph.order.index) if len(some) > 1 else some:
        node = nodes[other]
        if node["state"] == ENDED and (node.keys() & _MAY_HAVE):
            sets[other] = gathered(graph, other, node)
    saying: dict[str, list[str]] = {}
    for other, artifacts in sets.items():
        for variable in artifacts:
            saying.setdefault(variable, []).append(other)
    found: Artifacts = {}
    unclear = []
    for variable, others in saying.items():
        nearest = others if len(others) == 1 else [other for other in others if not graph.after([other]).intersection(others)]
        values = [sets[other][variable] for other in nearest]
        found[variable] = values[-1]
        if any(value != values[-1] for value in values):
            unclear.append(f"{variable} ({', '.join(nearest)})")
    return found, unclear


_MAY_HAVE = {"artifacts", "items", "nodes"}
