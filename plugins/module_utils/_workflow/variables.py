# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node is given: the variables of its file, what the nodes before it have said, and the parameters of the run.

What the author of the file has written may be templates, which the playbook of the node fills in. What was said by a node or by whoever
has started the run is data, and stays that.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import Run, part_of, values_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.scope import Artifacts, all_artifacts, scope_of


class Given(t.NamedTuple):
    """What a job of a run is given."""

    about: dict[str, t.Any]
    """What C(async_workflow) holds."""
    templates: dict[str, t.Any]
    """What the authors of the files have written for it, and of the files that it is inside of."""
    artifacts: Artifacts
    items: dict[str, t.Any]
    """The items that it is for, by the variables in which they are."""
    params: t.Mapping[str, t.Any]
    unclear: list[str]
    """The names of artifacts that nodes before it have set differently, and neither is nearer."""
    directory: str
    """Where its file is."""


def public_artifacts(run: Run) -> dict[str, t.Any]:
    """Return what the nodes of a run have set, for whoever has started it. What is encrypted is nobody else's."""
    found = all_artifacts(Graph(run["definition"]), run["nodes"])
    return {variable: artifact["value"] for variable, artifact in found.items() if "value" in artifact}


def given_to(graph: Graph, run: Run, name: str, params: t.Mapping[str, t.Any], directory: str) -> Given:
    """Return what a job is given.

    :arg params: of the run, secret ones too
    :arg directory: where the file of the run is
    """
    part = part_of(run, name)
    scope = scope_of(graph, run, name, params)
    last = part.way[-1]
    artifacts, unclear = scope.artifacts(last.own)
    templates: dict[str, t.Any] = {}
    about: dict[str, t.Any] = {"name": run["workflow"], "run": run["run"], "node": name, "attempt": part.node["attempt"]}
    for level in part.way:
        node = level.definition["nodes"][level.own]
        directory = os.path.normpath(os.path.join(directory, level.definition.get("directory", ".")))
        templates = {**templates, **level.definition.get("vars", {}), **node.get("vars", {})}
        if level.number is not None:
            about.update(index=level.number, item=values_of(node, level.nodes[level.own])[level.number])
    about["directory"] = directory
    return Given(about, templates, artifacts, scope.items_for(last.own, last.number), scope.params(), unclear, directory)


def variables_text(given: Given) -> str:
    """Return the file of variables of a job, as YAML: as in AWX, what a node is given counts less than what was said before it, and that
    less than a parameter.
    """
    lines = {variable: _yaml(value, is_data=False) for variable, value in given.templates.items()}
    for variable, artifact in given.artifacts.items():
        vault = artifact.get("vault")
        lines[variable] = _yaml(artifact.get("value"), is_data=True) if vault is None else f"!vault {_quoted(vault)}"
    lines.update((variable, _yaml(value, is_data=True)) for variable, value in {**given.items, **given.params}.items())
    lines["async_workflow"] = _yaml(given.about, is_data=True)
    return "---\n" + "".join(f"{_quoted(variable)}: {text}\n" for variable, text in lines.items())


def notification_text(graph: Graph, params: dict[str, t.Any], about: dict[str, t.Any]) -> str:
    """Return the file of variables of a notification, as YAML.

    :arg about: what it tells, as C(async_workflow). All of it is data
    """
    lines = {variable: _yaml(value, is_data=False) for variable, value in graph.definition.get("vars", {}).items()}
    lines.update((variable, _yaml(value, is_data=True)) for variable, value in params.items())
    lines["async_workflow"] = _yaml(about, is_data=True)
    return "---\n" + "".join(f"{_quoted(variable)}: {text}\n" for variable, text in lines.items())


def plain_variables(given: Given) -> str:
    """Return the same for a command, as JSON: without what the author of the file has written for playbooks, and what is encrypted."""
    values = {variable: artifact["value"] for variable, artifact in given.artifacts.items() if "value" in artifact}
    return json.dumps({**values, **given.items, **given.params, "async_workflow": given.about}, indent=1, sort_keys=True) + "\n"


# With that tag, ansible-core 2.19 and newer make of a text what it would be without quotes: of "010" a number, of "yes" a truth. None of
# these can be a template.
_LIKE_NO_TEXT = re.compile(r"([-+.0-9][-+.:_0-9A-Za-z \t]*|[~=]|<<|y|n|yes|no|on|off|true|false|null)?\n?\Z", re.IGNORECASE)


_LIKE_A_TEMPLATE = re.compile(r"[{#]")


def _yaml(value: t.Any, *, is_data: bool) -> str:
    """Return a value as YAML on one line. Texts that are data carry the tag that keeps Ansible from taking them for templates."""
    if isinstance(value, str):
        return f"!unsafe {_quoted(value)}" if is_data and not _LIKE_NO_TEXT.match(value) else _quoted(value)
    if isinstance(value, dict):
        # A key is a text to whoever loops over it, and to ansible-core 2.19 and newer a template like any other then.
        keys = {key: f"!unsafe {_quoted(key)}" if is_data and _LIKE_A_TEMPLATE.search(key) else _quoted(key) for key in value}
        return "{" + ", ".join(f"{keys[key]}: {_yaml(item, is_data=is_data)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item, is_data=is_data) for item in value) + "]"
    text = json.dumps(value)
    # Without a point, what is a number in JSON is a text in YAML.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def _quoted(text: str) -> str:
    # YAML reads the strings of JSON, but for pairs of surrogates, which only stand for what lies outside of the basic plane.
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else "".join(map(_escaped, f'"{_bare(text)}"'))


def _bare(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"
