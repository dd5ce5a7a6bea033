# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows in files: both forms become the same graph, and what is wrong is named with its node and its line."""

from __future__ import annotations

import contextlib
import json
import textwrap
import typing as t
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph, flaws, hash_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.read import Compiled, compile_source, read_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.source import parse_source

OURS = """\
name: Full Deployment Pipeline
params:
  app_version: {default: latest}
  target_env: {choices: [development, staging, production], default: staging}
nodes:
  provision: {playbook: provision.yml, retries: 2, retry_delay: 30}
  configure: {playbook: configure.yml, after: provision}
  go_live:   {approval: Release goes live, timeout: 3600, on_timeout: reject, after: configure}
  deploy:    {playbook: deploy.yml, limit: web, tags: app, after: go_live}
  rollback:  {playbook: rollback.yml, after_any: {configure: failed, deploy: failed}}
  notify:    {playbook: notify.yml, after_any: {deploy: succeeded, rollback: finished}}
"""

AWX = """\
name: Full Deployment Pipeline
survey_spec:
  spec:
    - {variable: app_version, type: text, default: latest, required: false}
    - {variable: target_env, type: multiplechoice, choices: "development\\nstaging", default: staging, required: true}
    - {variable: token, type: password, required: true}
job_templates:
  Provision: {playbook: provision.yml}
  Configure: {playbook: configure.yml, extra_vars: "---\\nsize: 3\\n"}
  Deploy: {playbook: deploy.yml, job_tags: "app, web"}
workflow_nodes:
  - identifier: provision
    unified_job_template: {name: Provision, type: job_template}
    related:
      success_nodes: [{identifier: configure}]
  - identifier: configure
    unified_job_template: Configure
    extra_data: {color: blue}
    success_nodes: [go_live]
    failure_nodes: [rollback]
  - identifier: go_live
    approval_node: {name: Release, description: goes live, timeout: 3600}
    related: {success_nodes: [{identifier: deploy}]}
  - identifier: deploy
    unified_job_template: {name: Deploy}
    limit: web
    related: {failure_nodes: [{identifier: rollback}], always_nodes: [{identifier: last}]}
  - identifier: rollback
    unified_job_template: {name: Deploy}
    related: {always_nodes: [{identifier: last}]}
  - identifier: last
    all_parents_must_converge: true
    unified_job_template: {name: Deploy}
"""


# Few bytes that would be as many values as there is memory
_MANY = "a: &a [x, x]\n" + "".join(
    f"b{number}: &b{number} [{', '.join([f'*b{number - 1}' if number else '*a'] * 9)}]\n" for number in range(9)
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A project with some playbooks."""
    for name in ("provision", "configure", "deploy", "rollback", "notify"):
        (tmp_path / f"{name}.yml").touch()
    return tmp_path


def read(directory: Path, text: str, name: str | None = None) -> Compiled:
    file = directory / "pipeline.yml"
    file.write_text(textwrap.dedent(text))
    return read_workflow(str(file), name)


def refused(directory: Path, text: str, name: str | None = None) -> str:
    with pytest.raises(AsyncJobError) as caught:
        read(directory, text, name)
    assert "Nothing was started." in str(caught.value)
    return str(caught.value)


def test_the_form_of_people(directory: Path) -> None:
    compiled = read(directory, OURS)
    nodes = compiled.definition["nodes"]
    assert compiled.definition["name"] == "Full Deployment Pipeline"
    assert compiled.definition["order"] == ["provision", "configure", "go_live", "deploy", "rollback", "notify"]
    assert compiled.directory == str(directory)
    assert nodes["provision"] == {
        "kind": "playbook",
        "playbook": "provision.yml",
        "retries": 2,
        "retry_delay": 30,
        "parents": {},
        "join": "all",
    }
    assert (nodes["deploy"]["parents"], nodes["deploy"]["join"]) == ({"go_live": "succeeded"}, "all")
    assert nodes["deploy"]["tags"] == ["app"]
    assert (nodes["rollback"]["parents"], nodes["rollback"]["join"]) == ({"configure": "failed", "deploy": "failed"}, "any")
    assert nodes["go_live"]["kind"] == "approval"
    graph = Graph(compiled.definition)
    assert graph.handled == {"configure", "deploy", "rollback"}
    assert graph.after(["configure"]) == {"go_live", "deploy", "rollback", "notify"}
    assert graph.before("notify")[:2] == ["deploy", "rollback"]


def test_the_form_of_awx(directory: Path) -> None:
    """Any is what nodes wait for there unless they say otherwise. What is said nearer to the node counts."""
    definition = read(directory, AWX).definition
    nodes = definition["nodes"]
    assert {name: node["parents"] for name, node in nodes.items()} == {
        "provision": {},
        "configure": {"provision": "succeeded"},
        "go_live": {"configure": "succeeded"},
        "deploy": {"go_live": "succeeded"},
        "rollback": {"configure": "failed", "deploy": "failed"},
        "last": {"deploy": "finished", "rollback": "finished"},
    }
    assert {name: node["join"] for name, node in nodes.items() if node["parents"]} == {
        **dict.fromkeys(["configure", "go_live", "deploy", "rollback"], "any"),
        "last": "all",
    }
    assert nodes["go_live"] == {**nodes["go_live"], "approval": "Release: goes live", "timeout": 3600}
    assert nodes["configure"]["vars"] == {"size": 3, "color": "blue"}
    assert (nodes["deploy"]["limit"], nodes["deploy"]["tags"]) == ("web", ["app", "web"])
    assert definition["params"] == {
        "app_version": {"type": "str", "required": False, "default": "latest"},
        "target_env": {"type": "any", "required": True, "choices": ["development", "staging"], "default": "staging"},
        "token": {"type": "str", "required": True, "secret": True},
    }


def test_both_forms_are_one_graph(directory: Path) -> None:
    """Whatever it was written as."""
    ours = "nodes: {a: {playbook: deploy.yml}, b: {playbook: notify.yml, limit: web, after_any: {a: finished}}}"
    awx = """
        job_templates: {A: {playbook: deploy.yml}, B: {playbook: notify.yml}}
        workflow_nodes:
          - {identifier: a, unified_job_template: A, related: {always_nodes: [{identifier: b}]}}
          - {identifier: b, unified_job_template: B, limit: web}
    """
    one, other = read(directory, ours).definition, read(directory, awx).definition
    for definition in (one, other):
        definition["nodes"]["a"]["join"] = "all"  # it waits for nothing
        definition.setdefault("params", {})
    assert one == other
    assert hash_of(one) == hash_of(other)


def _export(*workflows: dict[str, t.Any]) -> str:
    """What C(awx export) writes."""
    organization = {"name": "Default", "type": "organization"}
    template = {"name": "Deploy", "playbook": "deploy.yml", "inventory": {"name": "All", "type": "inventory"}, "extra_vars": "---"}
    return json.dumps(
        {
            "organizations": [organization],
            "job_templates": [{**template, "natural_key": {"organization": organization, "name": "Deploy", "type": "job_template"}}],
            "workflow_job_templates": [*workflows],
        },
        indent=1,
    )


def _exported(name: str) -> dict[str, t.Any]:
    deploy = {"organization": {"name": "Default"}, "name": "Deploy", "type": "job_template"}
    empty: dict[str, t.Any] = {"credentials": [], "success_nodes": [], "failure_nodes": [], "always_nodes": []}
    second = [{"identifier": "two", "type": "workflow_job_template_node"}]
    return {
        "name": name,
        "extra_vars": '{"region": "eu"}',
        "allow_simultaneous": False,
        "related": {
            "survey_spec": {"name": "", "spec": [{"variable": "count", "type": "integer", "min": 1, "max": 5, "default": 2}]},
            "workflow_nodes": [
                {
                    "identifier": "one",
                    "unified_job_template": deploy,
                    "all_parents_must_converge": False,
                    "limit": None,
                    "extra_data": {},
                    "related": {**empty, "success_nodes": second, "credentials": [{"name": "ssh"}]},
                },
                {"identifier": "two", "unified_job_template": None, "related": {**empty, "create_approval_template": {"name": "Go"}}},
            ],
        },
    }


def test_an_export(directory: Path) -> None:
    """It runs as it is. What has no counterpart is said."""
    compiled = read(directory, _export(_exported("Ship")))
    assert compiled.definition["name"] == "Ship"
    assert compiled.definition["vars"] == {"region": "eu"}
    assert compiled.definition["params"] == {"count": {"type": "int", "required": False, "min": 1, "max": 5, "default": 2}}
    assert compiled.definition["nodes"]["two"]["approval"] == "Go"
    assert [warning.partition(":")[0] for warning in compiled.warnings] == ["node 'one'", "node 'one'"]
    assert compiled.definition["allow_simultaneous"] is False
    assert "credentials mean nothing here" in compiled.warnings[1]


def test_an_export_that_says_more_of_an_approval(directory: Path) -> None:
    """AWX knows nothing of whether whoever asks may approve: that is written beside its name."""
    given = _exported("Ship")
    approval = given["related"]["workflow_nodes"][1]["related"]["create_approval_template"]
    assert "allow_self" not in read(directory, _export(given)).definition["nodes"]["two"]
    approval["allow_self"] = True
    assert read(directory, _export(given)).definition["nodes"]["two"]["allow_self"] is True
    approval["allow_self"] = "maybe"
    assert "allow_self" in refused(directory, _export(given))


def test_an_export_of_several(directory: Path) -> None:
    both = _export(_exported("Ship"), _exported("Test"))
    assert "holds several workflows: 'Ship', 'Test'" in refused(directory, both)
    assert "has no workflow 'Sip'" in refused(directory, both, "Sip")
    assert read(directory, both, "Test").definition["name"] == "Test"


def test_what_it_says_is_data(directory: Path) -> None:
    """Marks of a template stay as they are; a tag is refused."""
    text = 'nodes: {a: {playbook: deploy.yml, vars: {x: \'{{ lookup("pipe", "id") }}\'}}}'
    assert read(directory, text).definition["nodes"]["a"]["vars"] == {"x": '{{ lookup("pipe", "id") }}'}
    assert "line 2: the tag !vault" in refused(directory, "nodes:\n  a: {playbook: deploy.yml, vars: {x: !vault abc}}")
    assert "line 1: the tag" in refused(directory, "nodes: !!python/object/apply:os.system [id]")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("deploy: {playbook: deploy.yml, after: provison}", "line 4: node 'deploy' waits for 'provison', and there is no such node."),
        ("deploy: {playbook: deploy.yml, after: provison}", "Is it 'provision'?"),
        ("deploy: {playbook: nowhere.yml}", "line 4: node 'deploy': its playbook nowhere.yml is not there"),
        ("deploy: {playbook: deploy.yml, after: deploy}", "line 4: node 'deploy' waits for itself"),
        ("deploy: {playbook: deploy.yml, after: {provision: success}}", "line 4: node 'deploy': after says 'success' of 'provision'"),
        ("deploy: {playbook: deploy.yml, after: [provision, provision]}", "line 4: node 'deploy': after names a node twice"),
        ("deploy: {playbook: deploy.yml, after: 3}", "line 4: node 'deploy': after is no name"),
        ("deploy: {playbook: deploy.yml, after: provision, after_any: provision}", "line 4: node 'deploy' has both after and after_any"),
        ("deploy: {playbook: deploy.yml, retrys: 3}", "line 4: 'retrys' has no meaning for node 'deploy' (playbook). Is it 'retries'?"),
        ("deploy: {playbook: deploy.yml, retries: -1}", "line 4: node 'deploy': retries has to be a whole number, 0 or more"),
        ("deploy: {playbook: deploy.yml, retries: true}", "line 4: node 'deploy': retries has to be a whole number, 0 or more"),
        ("deploy: {playbook: --version}", "line 4: node 'deploy': playbook has to name a playbook"),
        ("deploy: {playbook: deploy.yml, command: id}", "line 4: node 'deploy' is several things at once: playbook, command"),
        ("deploy: {limit: web}", "line 4: node 'deploy' does nothing"),
        ("deploy: deploy.yml", "line 4: node 'deploy' is no mapping"),
        ("deploy: {approval: Now, vars: {a: 1}}", "line 4: 'vars' has no meaning for node 'deploy' (approval)"),
        ("deploy: {command: []}", "line 4: node 'deploy': command has to be a command"),
        ("deploy: {playbook: deploy.yml, vars: {1a: 1}}", "line 4: node 'deploy': vars has to be a mapping, with names of variables"),
        ("'{{ x }}': {playbook: deploy.yml}", "line 4: '{{ x }}' cannot name a node"),
        ("deploy: {playbook: deploy.yml, executor: '-x'}", "line 4: node 'deploy': executor has to be the name of a host"),
        ("provision: {playbook: deploy.yml}", "line 4: 'provision' stands there twice, also in line 3"),
    ],
)
def test_nodes_that_are_wrong(directory: Path, line: str, said: str) -> None:
    """Which, where, and what is wrong with it."""
    text = f"name: x\nnodes:\n  provision: {{playbook: provision.yml}}\n  {line}\n"
    assert said in refused(directory, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes:\n  a: {playbook: deploy.yml, after: c}\n  b: {playbook: deploy.yml, after: a}\n  c: {playbook: deploy.yml, after: b}", ""),
        ("- 1", "line 1: it is no mapping"),
        ("", "line 1: it is no mapping"),
        ("name: x", "line 1: nodes is missing"),
        ("nodes: {}", "line 1: nodes has to be a mapping of one or more nodes"),
        ("nodes: [", "is no YAML: line 2"),
        ("name: x\nnode: {}\nnodes: {a: {command: id}}", "line 2: 'node' has no meaning for a workflow. Is it 'nodes'?"),
        ("nodes: {a: {command: id}}\nparams:\n  b: {choice: [1]}", "line 3: 'choice' has no meaning for the parameter 'b'"),
        ("nodes: {a: {command: id}}\nparams:\n  b: {choices: [1], default: 2}", "line 3: the parameter 'b': its default has to be one"),
        ("nodes: {a: {command: id}}\nparams:\n  b: {type: int, default: x}", "line 3: the parameter 'b': its default has to be of"),
        ("nodes: {a: {command: id}}\nparams:\n  ansible_host: {}", "line 3: the parameter 'ansible_host' has a name that belongs to"),
        ("nodes: {a: {command: id}}\nparams:\n  b-c: {}", "line 3: 'b-c' cannot name a parameter"),
        ("nodes: {a: {command: id}}\nmax_parallel: 0", "line 2: max_parallel has to be a whole number, 1 or more"),
        ("nodes: {a: {command: id}}\nrecovered_is: ok", "line 2: recovered_is has to be 'succeeded' or 'failed'"),
        ("name: '{{ x }}'\nnodes: {a: {command: id}}", "line 1: name has to be a name"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nnodes: {c: {command: id}, d: *b}", "line 1: 'a' has no meaning for a workflow"),
        ("a: &a [*a]\nnodes: {}", "no workflow that can run"),
        (_MANY, ""),
    ],
)  # fmt: skip
def test_files_that_are_wrong(directory: Path, text: str, said: str) -> None:
    """With the line, whatever it is."""
    assert said in refused(directory, text)


def test_a_circle_is_named(directory: Path) -> None:
    text = (
        "nodes:\n  a: {command: id, after: c}\n  b: {command: id, after: a}\n  c: {command: id, after: b}\n  d: {command: id, after: c}\n"
    )
    assert "line 2: nodes wait for each other in a circle: a -> b -> c -> a" in refused(directory, text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{name: Provision, type", "{name: Provison, type", "line 13: node 'provision' runs 'Provison' (a job template), and nothing here"),
        ("{name: Provision, type: job", "{name: Src, type: project", "line 13: node 'provision' runs 'Src' (of the type project_template)"),
        ("Deploy: {playbook: deploy.yml", "Deploy: {play: deploy.yml", "line 10: the job template 'Deploy' says no playbook"),
        ("identifier: last\n", "identifier: deploy\n", "line 31: there are two nodes 'deploy'"),
        ("identifier: last}", "identifier: lost}", "line 27: node 'deploy' is followed by 'lost', and there is no such node"),
        ("success_nodes: [go_live]", "success_nodes: [rollback]", "node 'configure' is followed by 'rollback' in two ways"),
        (
            "always_nodes: [{identifier: last}]}\n  - identifier: last",
            "always_nodes: [{identifier: deploy}]}\n  - identifier: last",
            "circle",
        ),
        ("variable: token", "variable: to-ken", "line 6: a question of the survey names no variable"),
        ("variable: token", "variable: target_env", "line 6: the survey asks for 'target_env' twice"),
        ("type: password", "type: pass", "line 6: the question for 'token' has the type 'pass', which AWX does not know"),
        ("default: staging", "default: moon", "its default has to be one of development, staging"),
        ("size: 3", "size", "line 9: extra_vars is no mapping of variables"),
        ("unified_job_template: Configure", "note: x", "node 'configure' says no unified_job_template"),
        ("Deploy: {playbook", "Deploy: {job_type: check, playbook", "node 'deploy' only checks what would be changed"),
        ("extra_data: {color: blue}", "job_type: check", "line 16: node 'configure' only checks what would be changed"),
        ("approval_node: {name: Release,", "approval_node: {name: 3,", ""),
    ],
)
def test_awx_that_is_wrong(directory: Path, old: str, new: str, said: str) -> None:
    assert AWX.count(old) >= 1
    text = AWX.replace(old, new)
    if said:
        assert said in refused(directory, text)
    else:
        assert read(directory, text)


def test_a_password_that_was_not_exported(directory: Path) -> None:
    """Somebody has to give it. What stands in its place is none."""
    text = AWX.replace("type: password, ", "type: password, default: $encrypted$, ")
    assert "default" not in read(directory, text).definition["params"]["token"]


_names = st.sampled_from(
    ["a", "b", "nodes", "playbook", "after", "after_any", "command", "approval", "params", "kind", "x" * 200, "{{ a }}", ""]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names | st.integers(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    """They are a workflow, or an error of ours."""
    with contextlib.suppress(AsyncJobError):
        compile_source(parse_source(content, "x.yml"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_values, st.sampled_from(["nodes", "workflow_nodes", "params", "job_templates", "survey_spec", "workflow_job_templates", "related"]))
def test_any_values(value: t.Any, where: str) -> None:
    """What becomes a definition is a sound one, and stays the same in a store."""
    data = {"nodes": {"a": {"command": "id"}}, where: value}
    try:
        definition = compile_source(parse_source(yaml.safe_dump(data).encode(), "x.yml")).definition
    except AsyncJobError:
        return
    stored = json.loads(json.dumps(definition, sort_keys=True))
    assert [*flaws(stored)] == []
    assert hash_of(stored) == hash_of(definition)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_values)
def test_any_stored_definition(value: t.Any) -> None:
    """What is wrong with it is said, and nothing else happens."""
    value = json.loads(json.dumps(value))
    for definition in (
        value,
        {"name": "x", "order": ["a"], "nodes": value},
        {"name": "x", "order": ["a"], "nodes": {"a": value}, "params": value},
    ):
        if not [*flaws(definition)]:
            Graph(definition)
