# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes are given, and what they say of themselves, which is data whoever has written it."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflows import begun, decide_all, define

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import flaw_of_report
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.scope import scope_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.variables import (
    given_to,
    plain_variables,
    variables_text,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import (
    heard_report,
    inventory_of,
    masked,
    secrets_in,
    without_secrets,
)


class Tagged(t.NamedTuple):
    """A value with a tag of Ansible."""

    tag: str
    text: str


class Loader(yaml.SafeLoader):
    """Reads a file of variables as Ansible does."""


for _tag in ("!unsafe", "!vault"):
    Loader.add_constructor(_tag, lambda loader, node: Tagged(node.tag, loader.construct_scalar(node)))


def read(text: str) -> t.Any:
    return yaml.load(text, Loader)


def with_artifacts(**nodes: dict[str, t.Any]) -> tuple[Graph, t.Any]:
    """Return a run in which a, b and c have ended: b and c come after a, and d after both."""
    graph = Graph(define({"a": {}, "b": {"all": {"a": "succeeded"}}, "c": {"all": {"a": "succeeded"}}, "d": {"all": {"b": "succeeded", "c": "finished"}}}))  # fmt: skip # noqa: E501
    run = decide_all(graph, begun(graph.definition), ("a", "b", "c"))
    for name, artifacts in nodes.items():
        run["nodes"][name] = {**run["nodes"][name], "artifacts": {key: {"value": value} for key, value in artifacts.items()}}
    return graph, run


def test_the_nearer_counts() -> None:
    """If neither is nearer, and they differ, that is said."""
    graph, run = with_artifacts(a={"x": 1, "y": 1, "z": 1}, b={"x": 2, "y": 2}, c={"y": 2, "w": 3})
    assert scope_of(graph, run, "d", {}).artifacts("d") == (
        {"x": {"value": 2}, "y": {"value": 2}, "z": {"value": 1}, "w": {"value": 3}},
        [],
    )
    assert scope_of(graph, run, "b", {}).artifacts("b") == ({"x": {"value": 1}, "y": {"value": 1}, "z": {"value": 1}}, [])
    graph, run = with_artifacts(b={"y": 2}, c={"y": 3})
    assert scope_of(graph, run, "d", {}).artifacts("d") == ({"y": {"value": 3}}, ["y (b, c)"])


def test_data_is_no_template() -> None:
    """What the author has written may be one. Of one name, the parameter counts."""
    graph, run = with_artifacts()
    graph.definition["vars"] = {"a": "{{ b }}", "b": 1, "c": 1}
    graph.nodes["d"]["vars"] = {"b": ["{{ x }}"], "d": None}
    mapping = {"k": ["{{ evil }}", 2, None, True], "{{ evil }}": 1, "#jinja2: x": 2}
    artifacts = {"c": {"value": mapping}, "v": {"vault": "$ANSIBLE_VAULT;1.1;AES256\n31\n"}}
    for name, artifact in artifacts.items():
        run["nodes"]["a"].setdefault("artifacts", {})[name] = artifact
    text = variables_text(given_to(graph, run, "d", {"p": "{{ evil }}", "b": 5}, "/srv"))
    found = read(text)
    about = found.pop("async_workflow")
    assert found == {
        "a": "{{ b }}",
        "b": 5,
        # A loop over the keys would make of them what ansible-core 2.19 takes for templates.
        "c": {
            "k": [Tagged("!unsafe", "{{ evil }}"), 2, None, True],
            Tagged("!unsafe", "{{ evil }}"): 1,
            Tagged("!unsafe", "#jinja2: x"): 2,
        },
        "d": None,
        "v": Tagged("!vault", "$ANSIBLE_VAULT;1.1;AES256\n31\n"),
        "p": Tagged("!unsafe", "{{ evil }}"),
    }
    assert (about["node"].text, about["attempt"], about["directory"].text) == ("d", 1, "/srv")
    plain = json.loads(plain_variables(given_to(graph, run, "d", {"p": "{{ evil }}"}, "/srv")))
    assert (plain["c"], plain["p"], "v" in plain, "a" in plain) == (mapping, "{{ evil }}", False, False)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(max_size=6), st.recursive(st.text() | st.integers() | st.booleans() | st.none(), st.lists, max_leaves=4)))
def test_any_text(values: dict[str, t.Any]) -> None:
    """It comes out as it went in, whatever it looks like."""

    def plain(value: t.Any) -> t.Any:
        if isinstance(value, Tagged):
            return value.text
        if isinstance(value, dict):
            return {key.text if isinstance(key, Tagged) else key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list) else value

    graph, run = with_artifacts()
    run["nodes"]["a"]["artifacts"] = {"x": {"value": values}}
    found = read(variables_text(given_to(graph, run, "d", {}, "/srv")))
    assert plain(found["x"]) == values


def test_texts_stay_texts() -> None:
    """What Ansible makes of a text that looks like a number, a truth or nothing."""
    numbers = ["010", "1.10", "2026-01-01", "1:30", "0x1f", ".inf", "-3", "+.5e3", "1\n"]
    texts = ["", *numbers, "yes", "Off", "~", "null", "=", "<<", "{{ evil }}"]
    graph, run = with_artifacts()
    run["nodes"]["a"]["artifacts"] = {"x": {"value": texts}}
    text = variables_text(given_to(graph, run, "d", {"p": "1.10", "q": ""}, "/srv"))
    found = DataLoader().load(text)
    assert found["x"] == texts
    assert (found["p"], found["q"]) == ("1.10", "")


def test_numbers_stay_numbers() -> None:
    """Large and small ones, too."""
    numbers = [1e16, 1e-07, -2e100, 1.5e-07, 0.1, 3, 10**20]
    graph, run = with_artifacts()
    run["nodes"]["a"]["artifacts"] = {"x": {"value": numbers}}
    assert DataLoader().load(variables_text(given_to(graph, run, "d", {}, "/srv")))["x"] == numbers


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (3, "what the host says of the node is none"),
        ({}, "the host says nothing of the node"),
        ({"problem": "no such file"}, "no such file"),
        ({"report": []}, "its report is none"),
        ({"report": {"counts": {"web1": 3}}}, "its report has counts of 'web1' that are none"),
        ({"report": {"problems": [3]}}, "its report has problems that are none"),
        ({"report": {"artifacts": {"x": 3}}}, "its report has an artifact 'x' that is none"),
    ],
)
def test_reports_that_are_none(said: t.Any, problem: str) -> None:
    assert heard_report(said) == ({}, None, problem)


def test_reports() -> None:
    """What Ansible would act upon, or could not be read again, is left out."""
    artifacts = {
        "x": {"value": 1},
        "ansible_become_user": {"value": "root"},
        "inventory_hostname": {"value": "evil.example.org"},  # as an extra variable, Ansible connects to it
        "groups": {"value": {}},
        "async_job_state_dir": {"value": "/tmp/evil"},
        "async_job_become_recorded_user": {"value": True},
        "a b": {"value": 1},
        "evil": {"value": {"__ansible_unsafe": "x"}},
        "deep": {"value": json.loads("[" * 200 + "]" * 200)},
    }
    report = {"ended": True, "failed": False, "artifacts": artifacts, "secret": ["password", "ansible_x", 3], "counts": {}, "problems": []}
    assert heard_report({"report": report}) == ({"artifacts": {"x": {"value": 1}}, "secret": ["password"]}, False, "")
    assert heard_report({"report": {**report, "ended": False}})[1] is None
    problems = [{"x": "y"}, {"host": "web1", "task": "t", "msg": "m" * 2000, "more": "z"}]
    assert heard_report({"report": {"problems": problems}})[0]["problems"] == [
        {"host": "", "task": "", "msg": ""},
        {"host": "web1", "task": "t", "msg": "m" * 1000},
    ]


def test_secret_parameters() -> None:
    """They are in no report that a run notes. Who does not know them, as somebody who cancels a run, notes names only."""
    artifacts = {
        "url": {"value": {"a": ["https://me:s3cr3t@x"]}},
        "pin": {"value": 12345},
        "short": {"value": ["no"]},
        "plain": {"value": "nothing"},
    }
    problem = {"host": "web1", "task": "Log in as s3cr3t", "msg": "s3cr3t is wrong"}
    report = {"artifacts": artifacts, "secret": ["other"], "counts": {"web1": {"ok": 1}}, "problems": [problem]}
    secrets = secrets_in(["s3cr3t", {"in": [12345, "no", None]}])
    assert sorted(secrets) == ["12345", "in", "no", "s3cr3t"]
    assert without_secrets(report, secrets) == {
        "artifacts": {"plain": {"value": "nothing"}},
        "secret": ["other", "url", "pin", "short"],
        "counts": {"web1": {"ok": 1}},
        "problems": [{**problem, "task": "Log in as ********", "msg": "******** is wrong"}],
    }
    cut = {**problem, "msg": "x" * 995 + "s3cr3"}  # the callback has cut it there
    assert without_secrets({"problems": [cut]}, secrets)["problems"][0]["msg"] == "x" * 995 + "********"
    quoted = {**problem, "msg": 'got {"key": "a\\"b\\nc"}'}
    assert without_secrets({"problems": [quoted]}, secrets_in(['a"b\nc']))["problems"][0]["msg"] == 'got {"key": "********"}'
    for order in (["hunter", "hunter22-prod"], ["hunter22-prod", "hunter"]):
        for msg in ("no: hunter22-prod", "x" * 987 + "hunter22-prod", "x" * 990 + "hunter22-p"):
            host = {"host": "db-hunter", "task": "t", "msg": msg}
            said = without_secrets({"problems": [host], "counts": {"db-hunter": {"ok": 1}, "db-hunter22-prod": {"ok": 2}}}, order)
            assert (said["problems"][0]["host"], said["counts"]) == ("db-********", {"db-********": {"ok": 3}})
            assert said["problems"][0]["msg"] == msg[: msg.index("hunter")] + "********"
    found = without_secrets(report, None)
    assert "artifacts" not in found
    assert (found["secret"], found["problems"][0]["msg"]) == (["other", *artifacts], "what it says may hold a secret parameter")
    assert found["problems"][0]["task"] == "what it says may hold a secret parameter"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["report", "artifacts", "counts", "problems", "secret", "x", "value", "ended"]), inner, max_size=4), max_leaves=15))  # fmt: skip # noqa: E501
def test_any_report(said: t.Any) -> None:
    """What is kept of it is sound."""
    found, _failed, _problem = heard_report({"report": said})
    assert flaw_of_report(found) == ""


def test_what_a_rulebook_has_copied_is_called_like_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its runs has a copy in another place, and could not go on with what another one has begun. Other runners write their own."""
    for number in range(2):
        monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", f"/tmp/edaabcdefg{number}/artifacts/1")
        given = [f"/tmp/edaabcdefg{number}/inventory/hosts", f"/tmp/edaabcdefg{number}/hosts", "/etc/hosts", "web1,web2"]
        assert inventory_of(given, "/srv/p") == ["hosts", f"/tmp/edaabcdefg{number}/hosts", "/etc/hosts", "web1,web2"]
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/tmp/awx_1_abcdefgh/artifacts/1")
    assert inventory_of("/tmp/awx_1_abcdefgh/inventory/hosts", "/srv/p") == ["/tmp/awx_1_abcdefgh/inventory/hosts"]


def test_inventories_are_the_same_in_another_checkout() -> None:
    assert inventory_of(["/srv/p/hosts", "/etc/hosts", "web1,web2"], "/srv/p") == ["hosts", "/etc/hosts", "web1,web2"]
    assert inventory_of("/srv/p/inv", "/srv/p") == ["inv"]
    assert inventory_of(None, "/srv/p") == []


def test_what_was_cut_in_the_middle_of_secrets_that_overlap() -> None:
    text = "x" * 986 + "abcdefgh1234wx"
    assert masked(text, ["abcdefgh1234", "1234wxyz99"]) == "x" * 986 + "********"
