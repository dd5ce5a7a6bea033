# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a file to a definition: whatever form it has, it becomes the same graph, and all that is wrong is said before anything runs.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import awx_form, own_form
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition, flaws
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.schedule import (
    Schedule,
    flaws_of_schedules,
    schedules_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.source import Path, Problem, Source, read_source

# A playbook of a collection, by its name
_OF_A_COLLECTION = re.compile(r"\w+(\.\w+){2,}\Z")
# How deep workflows may be inside each other. What exactly is allowed, the definition says.
_DEEPEST = 10
_AWX = ("workflow_nodes", "workflow_job_templates")


class Compiled(t.NamedTuple):
    """A workflow that can run."""

    definition: Definition
    directory: str
    """Where its file is, absolute: paths in it begin there."""
    warnings: list[str]
    schedules: list[Schedule]
    """When it begins by itself."""


# The files that lead to one, outer ones first, each with which of its workflows
_Way = t.Tuple[t.Tuple[str, t.Optional[str]], ...]


def read_workflow(file: str, name: str | None = None) -> Compiled:
    """Read a workflow from a file.

    :arg name: which one, if the file holds several
    :raises AsyncJobError: if there is anything wrong with it
    """
    return compile_source(read_source(file), name)


def compile_source(source: Source, name: str | None = None, way: _Way = ()) -> Compiled:
    """Make a definition of what is in a file, with those of the workflows that are nodes of it.

    :arg way: the files that it is inside of
    """
    directory = os.path.dirname(os.path.abspath(source.file))
    default = os.path.splitext(os.path.basename(source.file))[0]
    if not isinstance(source.data, dict):
        source.refuse([Problem((), "it is no mapping with the key 'nodes'")])
    if any(key in source.data for key in _AWX):
        chosen, where = _chosen(source, name, default)
        compiler = awx_form.Compiler(source, chosen, where)
        definition, problems, warnings = compiler.compiled(), compiler.problems, compiler.warnings
        places = compiler.places
        schedules = compiler.schedules()
    else:
        definition, problems = own_form.compiled(source, default)
        schedules = source.data.get("schedules")
        warnings, places = [], {node: ("nodes", node) for node in definition.get("order", ())}
        if name is not None and name != definition["name"]:
            problems.append(Problem((), f"it is the workflow {definition['name']!r}, not {name!r}"))
    if not problems:
        for node, problem in _add_inner(definition, directory, warnings, (*way, (os.path.realpath(source.file), name))):
            problems.append(Problem((*places[node], "workflow"), problem))
    if not problems:  # what follows from them would only confuse
        problems = [Problem(_place_of(flaw.node, flaw.field, places), flaw.text) for flaw in flaws(definition)]
    if not problems:
        problems = [*_missing(definition, directory, places)]
        problems += [Problem(("schedules", number), why) for number, why in flaws_of_schedules(schedules, definition)]
    source.refuse(problems)
    return Compiled(definition, directory, warnings, schedules_of(schedules))


def _add_inner(definition: Definition, directory: str, warnings: list[str], way: _Way) -> t.Iterator[tuple[str, str]]:
    """Add the definitions of workflows that are nodes. Yield what is wrong with their files: the node, and why."""
    nodes = definition.get("nodes")
    for name, node in nodes.items() if isinstance(nodes, dict) else ():
        file = node.get("workflow")
        if not isinstance(file, str) or not file:
            continue
        path, which = os.path.normpath(os.path.join(directory, file)), node.get("name")
        if not os.path.isfile(path):
            yield name, f"node {name!r}: its workflow {file} is not there, below {directory}"
        elif (os.path.realpath(path), which) in way:
            files = [os.path.relpath(known, directory) for known, _which in way]
            yield name, f"node {name!r}: workflows are inside each other in a circle: {' -> '.join([*files, file])}"
        elif len(way) > _DEEPEST:
            yield name, f"node {name!r}: workflows are too deep inside each other"
        else:
            inner = compile_source(read_source(path), which, way)
            warnings += [f"{file}: {warning}" for warning in inner.warnings]
            # Of what happens inside, the outer one tells.
            node["definition"] = {field: value for field, value in inner.definition.items() if field != "notify"}
            below = os.path.relpath(os.path.dirname(path), directory)
            if below != ".":
                node["definition"]["directory"] = below


def _place_of(node: str, field: str, places: dict[str, Path]) -> Path:
    if node not in places:
        return tuple(field.split(".")) if field else ()
    return (*places[node], {"parents": "after"}.get(field, field))


def _chosen(source: Source, name: str | None, default: str) -> tuple[str, Path]:
    """Return which workflow of an export it is, and where that stands."""
    found = awx_form.workflows_in(source.data)
    if name is None and len(found) == 1:
        [(only, where)] = found.items()
        return only or default, where
    if name in found:
        return str(name), found[str(name)]
    those = ", ".join(map(repr, found)) or "none"
    if name is None:
        raise AsyncJobError(f"{source.file} holds several workflows: {those}. Nothing was started. Say which one it is (workflow).")
    raise AsyncJobError(f"{source.file} has no workflow {name!r}; it has {those}. Nothing was started.")


def _missing(definition: Definition, directory: str, places: dict[str, Path]) -> t.Iterator[Problem]:
    """Yield the playbooks that are not there."""
    for name, node in definition["nodes"].items():
        playbook = node.get("playbook")
        if playbook is None or (_OF_A_COLLECTION.match(playbook) and not playbook.endswith((".yml", ".yaml"))):
            continue
        if not os.path.isfile(os.path.join(directory, playbook)):
            yield Problem((*places[name], "playbook"), f"node {name!r}: its playbook {playbook} is not there, below {directory}")
