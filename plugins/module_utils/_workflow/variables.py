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
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import ENDED, Run

Artifacts = t.Dict[str, t.Dict[str, t.Any]]


def artifacts_for(graph: Graph, run: Run, name: str) -> tuple[Artifacts, list[str]]:
    """Return what the nodes before a node have said, and the names of what they have said differently, and neither is nearer.

    Of two that have said something under the same name, the one that comes after the other counts. If neither does, the one that comes
    later in the file.
    """
    before = [*graph.before(name)]
    saying: dict[str, list[str]] = {}
    for other in sorted(before, key=graph.order.index):
        node = run["nodes"][other]
        for variable in node.get("artifacts", {}) if node["state"] == ENDED else ():
            saying.setdefault(variable, []).append(other)
    found: Artifacts = {}
    unclear = []
    for variable, others in saying.items():
        nearest = [other for other in others if not graph.after([other]).intersection(others)]
        values = [run["nodes"][other]["artifacts"][variable] for other in nearest]
        found[variable] = values[-1]
        if any(value != values[-1] for value in values):
            unclear.append(f"{variable} ({', '.join(nearest)})")
    return found, unclear


def public_artifacts(run: Run) -> dict[str, t.Any]:
    """Return what the nodes of a run have said, for whoever has started it. What is encrypted is nobody else's; of two that have said
    something under the same name, the one that comes later counts."""
    graph = Graph(run["definition"])
    nodes = (run["nodes"][name] for name in graph.order)
    return {
        variable: artifact["value"]
        for node in nodes
        if node["state"] == ENDED
        for variable, artifact in node.get("artifacts", {}).items()
        if "value" in artifact
    }


def variables_text(graph: Graph, run: Run, name: str, artifacts: Artifacts, params: dict[str, t.Any], directory: str) -> str:
    """Return the file of variables of a node, as YAML: as in AWX, what a node is given counts less than what was said before it, and that
    less than a parameter.

    :arg params: of the run, secret ones too
    :arg directory: where the file of the workflow is
    """
    templates = {**graph.definition.get("vars", {}), **graph.nodes[name].get("vars", {})}
    lines = {variable: _yaml(value, is_data=False) for variable, value in templates.items()}
    for variable, artifact in artifacts.items():
        vault = artifact.get("vault")
        lines[variable] = _yaml(artifact.get("value"), is_data=True) if vault is None else f"!vault {_quoted(vault)}"
    lines.update((variable, _yaml(value, is_data=True)) for variable, value in params.items())
    lines["async_workflow"] = _yaml(_about(run, name, directory), is_data=True)
    return "---\n" + "".join(f"{_quoted(variable)}: {text}\n" for variable, text in lines.items())


def notification_text(graph: Graph, params: dict[str, t.Any], about: dict[str, t.Any]) -> str:
    """Return the file of variables of a notification, as YAML.

    :arg about: what it tells, as C(async_workflow). All of it is data
    """
    lines = {variable: _yaml(value, is_data=False) for variable, value in graph.definition.get("vars", {}).items()}
    lines.update((variable, _yaml(value, is_data=True)) for variable, value in params.items())
    lines["async_workflow"] = _yaml(about, is_data=True)
    return "---\n" + "".join(f"{_quoted(variable)}: {text}\n" for variable, text in lines.items())


def plain_variables(run: Run, name: str, artifacts: Artifacts, params: dict[str, t.Any], directory: str) -> str:
    """Return the same for a command, as JSON: without what the author of the file has written for playbooks, and what is encrypted."""
    values = {variable: artifact["value"] for variable, artifact in artifacts.items() if "value" in artifact}
    return json.dumps({**values, **params, "async_workflow": _about(run, name, directory)}, indent=1, sort_keys=True) + "\n"


def _about(run: Run, name: str, directory: str) -> dict[str, t.Any]:
    attempt = run["nodes"][name]["attempt"]
    return {"name": run["workflow"], "run": run["run"], "node": name, "attempt": attempt, "directory": directory}


# With that tag, ansible-core 2.19 and newer make of a text what it would be without quotes: of "010" a number, of "yes" a truth. None of
# these can be a template.
_LIKE_NO_TEXT = re.compile(r"([-+.0-9][-+.:_0-9A-Za-z \t]*|[~=]|<<|y|n|yes|no|on|off|true|false|null)?\n?\Z", re.IGNORECASE)


def _yaml(value: t.Any, *, is_data: bool) -> str:
    """Return a value as YAML on one line. Texts that are data carry the tag that keeps Ansible from taking them for templates."""
    if isinstance(value, str):
        return f"!unsafe {_quoted(value)}" if is_data and not _LIKE_NO_TEXT.match(value) else _quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_yaml(item, is_data=is_data)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml(item, is_data=is_data) for item in value) + "]"
    return json.dumps(value)


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
