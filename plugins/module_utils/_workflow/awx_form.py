# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form in which AWX has workflows: C(workflow_nodes) with an identifier each, which name the nodes that come after them, and
C(job_templates), which say what the nodes run. What C(awx export) writes is of this form, too.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import is_name
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import (
    FAILED,
    FINISHED,
    SUCCEEDED,
    Definition,
    is_variable,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.source import Path, Problem, Source, parse_source

_EDGES = {"success_nodes": SUCCEEDED, "failure_nodes": FAILED, "always_nodes": FINISHED}
_APPROVALS = ("approval_node", "create_approval_template")
# The names of AWX for fields of ours
_FIELDS = {"limit": "limit", "job_tags": "tags", "skip_tags": "skip_tags", "forks": "forks", "timeout": "timeout"}
_TYPES = {"text": "str", "textarea": "str", "password": "str", "integer": "int", "float": "float", "multiplechoice": "any"}
# What a node or a template may have that decides what it does, and that nothing here can do
# What an export has in place of a password
_ENCRYPTED = "$encrypted$"
_NOT_OURS = ("credentials", "scm_branch", "execution_environment", "instance_groups", "labels", "diff_mode", "verbosity")


def workflows_in(data: dict[str, t.Any]) -> dict[str, Path]:
    """Return the workflows of a file of this form, and where each is."""
    if "workflow_nodes" in data:
        return {str(data.get("name") or ""): ()}
    found = data.get("workflow_job_templates")
    if not isinstance(found, list):
        return {}
    return {str(one.get("name") or number): ("workflow_job_templates", number) for number, one in enumerate(found) if isinstance(one, dict)}


class Compiler:
    """Compiles one workflow of a file.

    :arg where: the path to it
    """

    def __init__(self, source: Source, name: str, where: Path) -> None:
        self._source = source
        self._name = name
        self._where = where
        self._about = source.data
        for key in where:
            self._about = self._about[key]
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.places: dict[str, Path] = {}
        """Where each node stands."""
        self._templates = self._job_templates()
        self._nodes: dict[str, t.Any] = {}
        self._params: dict[str, t.Any] = {}

    def compiled(self) -> Definition:
        """Return the definition. What is wrong with the form is in C(problems) then."""
        related = self._mapping(self._about, "related", self._where)
        nodes, path = self._about.get("workflow_nodes"), (*self._where, "workflow_nodes")
        if nodes is None:
            nodes, path = related.get("workflow_nodes"), (*self._where, "related", "workflow_nodes")
        spec, spec_path = self._about.get("survey_spec"), (*self._where, "survey_spec")
        if spec is None:
            spec, spec_path = related.get("survey_spec"), (*self._where, "related", "survey_spec")
        self._add_params(spec, spec_path)
        given = [(node, (*path, number)) for number, node in enumerate(nodes if isinstance(nodes, list) else ())]
        if not given:
            self._problem(path, "workflow_nodes is no list of nodes")
        for node, place in given:
            self._add_node(node, place)
        for node, place in given:
            self._add_edges(node, place)
        definition: Definition = {"name": self._name, "params": self._params, "nodes": self._nodes, "order": [*self._nodes]}
        own = self._variables(self._about, "extra_vars", self._where)
        if own:
            definition["vars"] = own
        if self._about.get("allow_simultaneous") is False:
            definition["allow_simultaneous"] = False
        for field in ("max_parallel", "recovered_is"):
            if field in self._source.data:
                definition[field] = self._source.data[field]
        return definition

    def schedules(self) -> t.Any:
        """Return the schedules, as our own form has them."""
        given = self._about.get("schedules") or self._mapping(self._about, "related", self._where).get("schedules")
        if not isinstance(given, list):
            return given
        return [
            {
                **({"name": re.sub(r"\W+", "-", str(one["name"])).strip("-")} if one.get("name") else {}),
                **{field: one[field] for field in ("rrule", "catch_up", "enabled", "params") if field in one},
                **({"params": one["extra_data"]} if one.get("extra_data") else {}),
            }
            if isinstance(one, dict)
            else one
            for one in given
        ]

    # --- What nodes run

    def _job_templates(self) -> dict[str, tuple[dict[str, t.Any], Path]]:
        """Return the templates, by their names: a mapping, or the list of an export."""
        given = self._source.data.get("job_templates") or {}
        pairs: list[tuple[t.Any, t.Any, Path]] = []
        if isinstance(given, dict):
            pairs = [(name, about, ("job_templates", name)) for name, about in given.items()]
        elif isinstance(given, list):
            pairs = [
                (about.get("name") if isinstance(about, dict) else None, about, ("job_templates", number))
                for number, about in enumerate(given)
            ]
        else:
            self._problem(("job_templates",), "job_templates is no mapping of names to what each runs")
        found: dict[str, tuple[dict[str, t.Any], Path]] = {}
        for name, about, path in pairs:
            if not isinstance(name, str) or not isinstance(about, dict):
                self._problem(path, f"the job template {name!r} is no mapping, such as {{playbook: deploy.yml}}")
            elif name in found:
                self._problem(path, f"there are two job templates {name!r}")
            else:
                found[name] = (about, path)
        return found

    def _add_node(self, node: t.Any, place: Path) -> None:
        name = _identifier(node)
        if not isinstance(node, dict) or not is_name(name):
            self._problem(place, "a node has no identifier, or one that cannot name it")
            return
        if name in self._nodes:
            self._problem(place, f"there are two nodes {name!r}")
            return
        self.places[name] = place
        made = self._approval(name, node, place) or self._job(name, node, place)
        self._nodes[name] = {**made, "parents": {}, "join": "all" if node.get("all_parents_must_converge") else "any"}

    def _approval(self, name: str, node: dict[str, t.Any], place: Path) -> dict[str, t.Any] | None:
        """Return the node if it is an approval."""
        related = self._mapping(node, "related", place)
        about = next((one[field] for one in (node, related) for field in _APPROVALS if one.get(field)), None)
        template = node.get("unified_job_template")
        if about is None and isinstance(template, dict) and template.get("type") in ("workflow_approval", "workflow_approval_template"):
            about = template
        if about is None:
            return None
        if not isinstance(about, dict):
            self._problem(place, f"node {name!r}: what says that it is an approval is no mapping")
            return {"kind": "approval", "approval": name}
        said = [str(about[field]) for field in ("name", "description") if about.get(field)]
        made: dict[str, t.Any] = {"kind": "approval", "approval": " ".join(": ".join(said or [name]).split())}
        if about.get("timeout"):
            made["timeout"] = about["timeout"]
        if "allow_self" in about:  # which AWX does not have: somebody has added it
            made["allow_self"] = about["allow_self"]
        return made

    def _inner(self, name: str, node: dict[str, t.Any], template: str, place: Path) -> dict[str, t.Any]:
        """Return a node that is another workflow of the same file."""
        about: t.Any = self._source.data
        for key in workflows_in(self._source.data)[template]:
            about = about[key]
        spec = about.get("survey_spec") or self._mapping(about, "related", place).get("survey_spec") or {}
        asked = spec.get("spec", spec) if isinstance(spec, dict) else spec
        names = {one.get("variable") for one in asked if isinstance(one, dict)} if isinstance(asked, list) else set()
        made: dict[str, t.Any] = {"kind": "workflow", "workflow": os.path.basename(self._source.file), "name": template}
        for variable, value in self._variables(node, "extra_data", place).items():
            made.setdefault("params" if variable in names else "vars", {})[variable] = value
        return made

    def _job(self, name: str, node: dict[str, t.Any], place: Path) -> dict[str, t.Any]:
        """Return what a node runs."""
        given = node.get("unified_job_template")
        template = given.get("name") if isinstance(given, dict) else given
        kind = given.get("type", "job_template") if isinstance(given, dict) else "job_template"
        made: dict[str, t.Any] = {"kind": "playbook"}
        if not isinstance(template, str) or not template:
            self._problem(place, f"node {name!r} says no unified_job_template, and is no approval: in AWX, what it ran was deleted")
            return {**made, "playbook": "?"}
        if template not in self._templates and template in workflows_in(self._source.data) and "workflow_nodes" not in self._source.data:
            return self._inner(name, node, template, place)
        if template not in self._templates:
            what = "a job template" if kind == "job_template" else f"of the type {kind}"
            self._problem(
                (*place, "unified_job_template"),
                f"node {name!r} runs {template!r} ({what}), and nothing here says what that is. Add it:"
                f" job_templates: {{{template!r}: {{playbook: FILE}}}}",
            )
            return {**made, "playbook": "?"}
        about, path = self._templates[template]
        if not about.get("playbook"):
            self._problem(path, f"the job template {template!r} says no playbook")
        made["playbook"] = about.get("playbook") or "?"
        variables: dict[str, t.Any] = {}
        for one, where in ((about, path), (node, place)):
            for theirs, ours in _FIELDS.items():
                if one.get(theirs):
                    made[ours] = _listed(one[theirs]) if ours in ("tags", "skip_tags") else one[theirs]
            inventory = one.get("inventory")
            if isinstance(inventory, (str, list)) and inventory:
                made["inventory"] = [inventory] if isinstance(inventory, str) else inventory
            elif inventory:
                self._warn(f"node {name!r}: its inventory is one of AWX's own. That of the command line is used in its place")
            variables.update(self._variables(one, "extra_vars", where))
            variables.update(self._variables(one, "extra_data", where))
            self._note_what_is_not_ours(name, one)
        if (node.get("job_type") or about.get("job_type")) == "check":
            self._problem(
                place,
                f"node {name!r} only checks what would be changed (job_type: check), and here it would change that. Leave it out; or make"
                " it a command, ansible-playbook with --check",
            )
        if variables:
            made["vars"] = variables
        return made

    def _note_what_is_not_ours(self, name: str, about: dict[str, t.Any]) -> None:
        related = about.get("related") if isinstance(about.get("related"), dict) else {}
        found = [field for field in _NOT_OURS if about.get(field) or (related or {}).get(field)]
        if found:
            self._warn(f"node {name!r}: {', '.join(found)} mean nothing here")

    # --- Edges

    def _add_edges(self, node: t.Any, place: Path) -> None:
        name = _identifier(node)
        if self.places.get(name) != place:
            return
        related = self._mapping(node, "related", place)
        for field, edge in _EDGES.items():
            for children, where in ((node.get(field), place), (related.get(field), (*place, "related"))):
                if children is None:
                    continue
                if not isinstance(children, list):
                    self._problem((*where, field), f"node {name!r}: {field} is no list")
                    continue
                for number, child in enumerate(children):
                    self._add_edge(name, edge, _identifier(child), (*where, field, number))

    def _add_edge(self, name: str, edge: str, child: str, path: Path) -> None:
        if child not in self._nodes:
            self._problem(path, f"node {name!r} is followed by {child!r}, and there is no such node")
        elif child == name:
            self._problem(path, f"node {name!r} is followed by itself")
        elif self._nodes[child]["parents"].get(name, edge) != edge:
            self._problem(path, f"node {name!r} is followed by {child!r} in two ways. Say only one: always_nodes, if it is both")
        else:
            self._nodes[child]["parents"][name] = edge

    # --- Parameters

    def _add_params(self, spec: t.Any, path: Path) -> None:
        """Add what a survey asks for."""
        questions = spec.get("spec") if isinstance(spec, dict) else spec
        if questions is None:
            return
        if not isinstance(questions, list):
            self._problem(path, "the survey is no list of questions")
            return
        for number, question in enumerate(questions):
            where = (*path, "spec", number) if isinstance(spec, dict) else (*path, number)
            variable: t.Any = question.get("variable") if isinstance(question, dict) else None
            if not is_variable(variable):
                self._problem(where, "a question of the survey names no variable")
            elif variable in self._params:
                self._problem(where, f"the survey asks for {variable!r} twice")
            else:
                self._params[variable] = self._param(question, where)

    def _param(self, question: dict[str, t.Any], where: Path) -> dict[str, t.Any]:
        kind = question.get("type", "text")
        param: dict[str, t.Any] = {"required": bool(question.get("required"))}
        if kind == "multiselect":
            param["type"] = "list"
        elif kind in _TYPES:
            param["type"] = _TYPES[kind]
        else:
            self._problem(where, f"the question for {question['variable']!r} has the type {kind!r}, which AWX does not know")
        if kind == "password":
            param["secret"] = True
        choices, default = question.get("choices"), question.get("default")
        if kind in ("multiplechoice", "multiselect") and choices:
            param["choices"] = choices.splitlines() if isinstance(choices, str) else choices
        if default not in ("", None, [], _ENCRYPTED):
            param["default"] = default.splitlines() if kind == "multiselect" and isinstance(default, str) else default
        for least in ("min", "max"):
            if isinstance(question.get(least), (int, float)) and kind not in ("multiplechoice", "multiselect"):
                param[least] = question[least]
        if question.get("question_name"):
            param["description"] = str(question["question_name"])
        return param

    # ---

    def _variables(self, about: dict[str, t.Any], field: str, where: Path) -> dict[str, t.Any]:
        """Return variables: a mapping, or YAML in a text, as AWX has them."""
        given = about.get(field)
        if isinstance(given, str):
            try:
                given = parse_source(given.encode("utf-8", "surrogateescape"), field).data
            except AsyncJobError as error:
                self._problem((*where, field), str(error).replace(" Nothing was started.", ""))
                return {}
        if not given:
            return {}
        if not isinstance(given, dict):
            self._problem((*where, field), f"{field} is no mapping of variables")
            return {}
        return given

    def _mapping(self, about: t.Any, field: str, where: Path) -> dict[str, t.Any]:
        found = about.get(field) if isinstance(about, dict) else None
        if found is not None and not isinstance(found, dict):
            self._problem((*where, field), f"{field} is no mapping")
        return found if isinstance(found, dict) else {}

    def _problem(self, path: Path, text: str) -> None:
        self.problems.append(Problem(path, text))

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def _identifier(node: t.Any) -> str:
    found = node.get("identifier") if isinstance(node, dict) else node
    return found if isinstance(found, str) else str(found) if isinstance(found, int) else ""


def _listed(value: t.Any) -> t.Any:
    """Return tags as a list. AWX has them as one text."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value
