# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form in which people write workflows: each node says what it does, and what it waits for.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import is_name
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import (
    EDGES,
    FIELDS_OF_NODES,
    FIELDS_OF_PARAM,
    FIELDS_OF_WORKFLOW,
    KINDS,
    SUCCEEDED,
    Definition,
    is_variable,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.source import Problem, Source

_AFTER = {"after": "all", "after_any": "any"}
# May be one word or several
_LISTS = ("inventory", "tags", "skip_tags")


def compiled(source: Source, name: str) -> tuple[Definition, list[Problem]]:
    """Return what a file says, and what is wrong with its form. What is wrong with the definition, :func:`definition.flaws` says.

    :arg name: what to call it if it has no name
    """
    data: dict[str, t.Any] = source.data
    problems = [*_unknown(data, (*FIELDS_OF_WORKFLOW, "schedules"), (), "a workflow")]
    definition: Definition = {"name": name, **{field: data[field] for field in FIELDS_OF_WORKFLOW if data.get(field) is not None}}
    params = definition.get("params", {})
    if isinstance(params, dict):
        definition["params"] = {param: {} if about is None else about for param, about in params.items()}
        for param, about in definition["params"].items():
            if not is_variable(param):
                problems.append(Problem(("params", param), f"{param!r} cannot name a parameter: letters, digits and underscores can"))
            if isinstance(about, dict):
                problems += _unknown(about, FIELDS_OF_PARAM, ("params", param), f"the parameter {param!r}")
    nodes = definition.get("nodes")
    if isinstance(nodes, dict):
        definition["nodes"] = {}
        for node, about in nodes.items():
            compiled_node, found = _node(node, about, nodes)
            problems += found
            if compiled_node is not None:
                definition["nodes"][node] = compiled_node
        definition["order"] = [*definition["nodes"]]
    return definition, problems


def _node(name: str, about: t.Any, nodes: dict[str, t.Any]) -> tuple[dict[str, t.Any] | None, list[Problem]]:
    path = ("nodes", name)
    if not is_name(name):
        return None, [Problem(path, f"{name!r} cannot name a node: one line of at most 100 characters can, with no marks of a template")]
    if not isinstance(about, dict):
        return None, [Problem(path, f"node {name!r} is no mapping, such as {{playbook: deploy.yml, after: build}}")]
    kinds = [kind for kind in KINDS if kind in about]
    if len(kinds) != 1:
        what = f"is several things at once: {', '.join(kinds)}" if kinds else f"does nothing: it has none of {', '.join(KINDS)}"
        problems = [*_unknown(about, (*KINDS, *FIELDS_OF_NODES["playbook"], *_AFTER), path, f"node {name!r}")] if not kinds else []
        return None, [*problems, Problem(path, f"node {name!r} {what}")]
    fields = FIELDS_OF_NODES[kinds[0]]
    problems = [*_unknown(about, (*fields, *_AFTER), path, f"node {name!r} ({kinds[0]})")]
    node = {"kind": kinds[0], **{field: about[field] for field in fields if about.get(field) is not None}}
    for field in _LISTS:
        if isinstance(node.get(field), str):
            node[field] = [node[field]]
    node["parents"], node["join"], found = _waits(name, about, nodes)
    return node, [*problems, *found]


def _waits(name: str, about: dict[str, t.Any], nodes: dict[str, t.Any]) -> tuple[dict[str, str], str, list[Problem]]:
    """Return what a node waits for, and whether for all of it."""
    given = [field for field in _AFTER if about.get(field) is not None]
    if not given:
        return {}, "all", []
    path = ("nodes", name, given[-1])
    if len(given) > 1:
        return {}, "all", [Problem(path, f"node {name!r} has both after and after_any. Put a node in between, or say only one")]
    value, join = about[given[0]], _AFTER[given[0]]
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list) and all(isinstance(parent, str) for parent in value):
        if len(set(value)) < len(value):
            return {}, join, [Problem(path, f"node {name!r}: {given[0]} names a node twice")]
        value = dict.fromkeys(value, SUCCEEDED)
    if not isinstance(value, dict):
        return {}, join, [Problem(path, f"node {name!r}: {given[0]} is no name, no list of names, and no mapping of names")]
    problems = []
    for parent, edge in value.items():
        if edge not in EDGES:
            problems.append(
                Problem((*path, parent), f"node {name!r}: {given[0]} says {edge!r} of {parent!r}; one of {', '.join(EDGES)} it is")
            )
        elif parent not in nodes:
            hint = _similar(parent, nodes)
            problems.append(Problem((*path, parent), f"node {name!r} waits for {parent!r}, and there is no such node{hint}"))
        elif parent == name:
            problems.append(Problem((*path, parent), f"node {name!r} waits for itself"))
    return ({} if problems else value), join, problems


def _unknown(about: dict[str, t.Any], fields: t.Sequence[str], path: tuple[t.Any, ...], what: str) -> t.Iterator[Problem]:
    for field in about:
        if field not in fields:
            yield Problem((*path, field), f"{field!r} has no meaning for {what}{_similar(field, fields)}")


def _similar(word: str, words: t.Iterable[str]) -> str:
    found = difflib.get_close_matches(word, [*words], 1)
    return f". Is it {found[0]!r}?" if found else ""
