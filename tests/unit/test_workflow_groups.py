# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that consist of several jobs: one for each item, or those of another workflow."""

from __future__ import annotations

import json
import random
import time
import typing as t
from pathlib import Path

import pytest
from torture import TORTURE
from workflows import awx, begun, define, due, ended, inside, random_definition

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import dump
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, accept, cancel, decide, end, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition, Graph, flaws
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.driver import why_not
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.read import read_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    GOOD,
    OUTCOMES,
    SETTLED,
    VERDICTS,
    Run,
    begun_of,
    executor_of,
    executors_of,
    flaw_of_run,
    key_of_node,
    parse_run,
    part_of,
    parts_of,
    with_events,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.scope import scope_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.variables import (
    given_to,
    plain_variables,
    public_artifacts,
)

BY = {"who": "ann", "time": "2026-01-01T00:00:00Z", "reason": "it is fine"}
HOW_MANY = 5_000 if TORTURE else 60
AWX = 20_000 if TORTURE else 200


def start(definition: Definition, **params: t.Any) -> tuple[Graph, Run]:
    """Return a run that has begun, after what follows from that."""
    graph = Graph(definition)
    return graph, decide(graph, {**begun(definition), "params": params})


def told(graph: Graph, run: Run, name: str, outcome: str = "succeeded", **artifacts: t.Any) -> Run:
    """Return what follows when a job has ended, and has set something."""
    details = {"artifacts": {variable: {"value": value} for variable, value in artifacts.items()}} if artifacts else {}
    return decide(graph, end(graph, run, {name: Outcome(part_of(run, name).node["attempt"], outcome, f"{name} is {outcome}", details)}))


def all_ended(graph: Graph, run: Run, outcome_of: t.Callable[[str], str] = lambda name: "succeeded") -> Run:
    """Return the run when nothing is due any more."""
    while due(run) or parts_of(run, "backoff"):
        run = ended(graph, run, **{name: outcome_of(name) for name in due(run)})
        run = decide(graph, run, parts_of(run, "backoff"))
    assert flaw_of_run(run) == ""
    return run


# --- Items


def test_items_of_which_some_fail() -> None:
    """So many at a time. What has failed is counted and named, and on resume only that runs once more."""
    items = [f"web{number}" for number in range(500)]
    graph, run = start(define({"each": {"for_each": items, "max_parallel": 20}, "last": {"all": {"each": "succeeded"}}}))
    assert due(run) == [f"each[{number}]" for number in range(20)]
    run = told(graph, run, "each[3]")
    assert due(run)[-1] == "each[20]"
    assert len(due(run)) == 20
    bad = {"each[17]", "each[204]", "each[499]"}
    run = all_ended(graph, run, lambda name: "failed" if name in bad else "succeeded")
    assert run["nodes"]["each"]["why"] == "3 of 500 items failed: [17] web17: failed; [204] web204: failed; [499] web499: failed"
    assert (run["status"], run["nodes"]["last"]["state"], len(run["nodes"]["each"]["items"])) == ("failed", "skipped", 500)
    again = decide(graph, resume(graph, run))
    assert set(due(again)) == bad
    assert {part_of(again, name).node["attempt"] for name in bad} == {2}
    again = all_ended(graph, again)
    assert (again["status"], again["nodes"]["each"]["attempt"]) == ("succeeded", 2)
    one = decide(graph, resume(graph, run, ["each[204]"]))
    assert due(one) == ["each[204]"]
    assert all_ended(graph, one)["nodes"]["each"]["why"].startswith("2 of 500 items failed: [17] web17")
    taken = decide(graph, accept(graph, run, [*bad], BY))
    assert due(taken) == ["last"]
    assert part_of(taken, "each[17]").node["outcome"] == "accepted"
    whole = decide(graph, accept(graph, run, ["each"], BY))
    assert (due(whole), whole["nodes"]["each"]["outcome"]) == (["last"], "accepted")
    anew = decide(graph, resume(graph, again, ["each"]))
    assert len(due(anew)) == 20
    assert {part.node["attempt"] for part in parts_of(anew, "due").values()} == {3}


def test_items_found_on_the_way() -> None:
    """They are frozen when the node begins; what each has set is gathered, in their order."""
    nodes = {
        "find": {},
        "each": {"all": {"find": "succeeded"}, "for_each": {"node": "find", "artifact": "hosts"}, "item_var": "machine"},
        "last": {"all": {"each": "finished"}},
    }
    graph, run = start(define(nodes))
    run = told(graph, run, "find", hosts=["a", {"name": "b"}])
    assert (due(run), run["nodes"]["each"]["values"]) == (["each[0]", "each[1]"], ["a", {"name": "b"}])
    assert parse_run(dump(run), "w", "r", where="x") == run
    given = given_to(graph, run, "each[1]", {}, "/srv")
    assert (given.items, given.about["item"], given.about["index"]) == ({"machine": {"name": "b"}}, {"name": "b"}, 1)
    assert json.loads(plain_variables(given))["machine"] == {"name": "b"}
    run = told(graph, told(graph, run, "each[1]", url="http://b"), "each[0]", "failed")
    assert due(run) == ["last"]
    assert scope_of(graph, run, "last", {}).artifacts("last")[0]["url"] == {"value": [None, "http://b"]}
    assert public_artifacts(run) == {"hosts": ["a", {"name": "b"}], "url": [None, "http://b"]}
    # The node before finds others the next time: they are others then. Numbers of attempts go on.
    run = decide(graph, resume(graph, told(graph, run, "last"), ["find"]))
    run = told(graph, run, "find", hosts=["c", "d", "e"])
    assert due(run) == ["each[0]", "each[1]", "each[2]"]
    assert {part_of(run, name).node["attempt"] for name in due(run)} == {2}


@pytest.mark.parametrize(
    ("source", "set_to", "why"),
    [
        ({"node": "find", "artifact": "hosts"}, {}, "for_each: the artifact 'hosts' of 'find' is not there"),
        ({"node": "find", "artifact": "hosts"}, {"hosts": "a"}, "for_each: the artifact 'hosts' of 'find' is no list"),
        ({"node": "find", "artifact": "hosts"}, {"hosts": [1] * 2001}, "has 2001 items, and 2000 are the most"),
        ({"param": "few"}, {}, "for_each: the parameter 'few' is no list"),
    ],
)
def test_items_that_are_none(source: dict[str, str], set_to: dict[str, t.Any], why: str) -> None:
    """The node has failed, and says why. Without any, it has succeeded."""
    graph, run = start(define({"find": {}, "each": {"all": {"find": "succeeded"}, "for_each": source}}, params={"few": {}}), few="x")
    run = told(graph, run, "find", **set_to)
    assert (run["status"], flaw_of_run(run)) == ("failed", "")
    assert why in run["nodes"]["each"]["why"]
    graph, run = start(define({"each": {"for_each": {"param": "few"}}}, params={"few": {}}), few=[])
    assert (run["status"], run["nodes"]["each"]["why"]) == ("succeeded", "there are no items")


@pytest.mark.parametrize("items", [None, [1, 2]])
def test_items_that_are_secret(items: t.Any) -> None:
    """They were set, and are not passed on: that is not the same as not being there."""
    before = {} if items is None else {"for_each": items}
    source = {"node": "find", "artifact": "hosts"}
    graph, run = start(define({"find": before, "each": {"all": {"find": "succeeded"}, "for_each": source}}))
    for name in due(run):
        run = decide(graph, end(graph, run, {name: Outcome(1, "succeeded", "", {"secret": ["hosts"]})}))
    assert "the artifact 'hosts' of 'find' was withheld, because it is secret" in run["nodes"]["each"]["why"]


def test_items_of_a_cancelled_run() -> None:
    """What has not begun never does, and on resume only that runs."""
    graph, run = start(define({"each": {"for_each": [1, 2, 3], "max_parallel": 1, "retries": 1}}))
    run = decide(graph, cancel(told(graph, run, "each[0]"), BY))
    assert (due(run), run["status"]) == (["each[1]"], "cancelling")
    run = ended(graph, run, **{"each[1]": "cancelled"})
    assert (run["status"], run["nodes"]["each"]["outcome"]) == ("cancelled", "cancelled")
    run = decide(graph, resume(graph, run))
    assert due(run) == ["each[1]"]
    run = told(graph, run, "each[1]")
    assert (due(run), part_of(run, "each[2]").node["attempt"]) == (["each[2]"], 1)


def test_each_item_has_tries_of_its_own() -> None:
    graph, run = start(define({"each": {"for_each": ["a", "b"], "retries": 1, "retry_delay": 5}}))
    run = told(graph, run, "each[1]", "failed")
    assert [*parts_of(run, "backoff")] == ["each[1]"]
    assert decide(graph, run) is run
    run = decide(graph, run, {"each[1]"})
    assert part_of(run, "each[1]").node == {"state": "due", "attempt": 2, "first_attempt": 1}


def test_a_run_fits_into_a_document() -> None:
    """However much its items report: what is too much is left out, and that is said."""
    graph, run = start(define({"each": {"for_each": [*range(2000)]}, "one": {}}))
    many = {f"h{n}": {"ok": 1} for n in range(100)}
    values = {"big": {"value": "x" * 20_000}, "small": {"value": 1}, "list": {"value": [0] * 5000}}
    said = {"artifacts": values, "counts": many}
    run = decide(graph, end(graph, run, {name: Outcome(1, "failed", "why " * 200, {**said, "end": "now"}) for name in due(run)}))
    assert len(dump(run)) < 12 << 20
    item = run["nodes"]["each"]["items"][7]
    assert item["artifacts"] == {"small": {"value": 1}}
    assert item["problems"][0]["msg"].startswith("big, list left out: a run keeps")
    assert run["nodes"]["one"]["artifacts"]["big"] == {"value": "x" * 20_000}
    assert flaw_of_run(run) == ""


def test_more_than_a_run_may_consist_of() -> None:
    _graph, run = start(define({name: {"for_each": [*range(size)]} for name, size in (("a", 2000), ("b", 1999), ("c", 1000))}))
    assert len(parts_of(run)) == 3000
    assert "the run would consist of" in run["nodes"]["b"]["why"]


# --- Workflows inside

CHAIN = define({"build": {}, "go": {"approval": "Go", "all": {"build": "succeeded"}}, "deploy": {"all": {"go": "succeeded"}}})


def test_a_workflow_inside() -> None:
    """It runs as if it stood there; what it has set is seen outside, and when it fails, only what has failed in it runs once more."""
    graph, run = start(
        define({"first": {}, "release": {"all": {"first": "succeeded"}, **inside(CHAIN)}, "last": {"all": {"release": "succeeded"}}})
    )
    assert due(run) == ["first"]
    run = told(graph, run, "first", seen=1)
    assert due(run) == ["release/build"]
    assert key_of_node(run, "release/build").path == "host1/w r/release%2Fbuild.json"
    run = told(graph, run, "release/build", version="2.1", seen=2)
    assert part_of(run, "release/go").is_approval
    run = told(graph, told(graph, run, "release/go"), "release/deploy", "failed")
    assert (run["status"], run["nodes"]["release"]["why"]) == ("failed", "deploy has failed: release/deploy is failed")
    assert run["nodes"]["last"]["why"] == "release has failed, and this runs when it has succeeded"
    again = decide(graph, resume(graph, run))
    assert (due(again), part_of(again, "release/deploy").node["attempt"]) == (["release/deploy"], 2)
    again = told(graph, again, "release/deploy")
    assert due(again) == ["last"]
    artifacts = scope_of(graph, again, "last", {}).artifacts("last")[0]
    assert artifacts == {"seen": {"value": 2}, "version": {"value": "2.1"}}
    taken = decide(graph, accept(graph, run, ["release/deploy"], BY))
    assert due(taken) == ["last"]
    anew = decide(graph, resume(graph, told(graph, again, "last"), ["first"]))
    anew = told(graph, anew, "first")
    assert (due(anew), part_of(anew, "release/build").node["attempt"]) == (["release/build"], 2)
    events = with_events(decide(graph, resume(graph, run)), again, "me", "now")["events"]
    assert [(event["node"], event["what"]) for event in events if "/" in event["node"]] == [("release/deploy", "succeeded")]


def test_a_workflow_inside_that_is_cancelled() -> None:
    graph, run = start(define({"release": inside(CHAIN)}))
    run = decide(graph, cancel(told(graph, run, "release/build"), BY))
    assert due(run) == ["release/go"]
    run = ended(graph, run, **{"release/go": "cancelled"})
    assert (run["status"], run["nodes"]["release"]["outcome"]) == ("cancelled", "cancelled")
    run = decide(graph, resume(graph, run))
    assert due(run) == ["release/go"]


def test_a_workflow_inside_that_recovers() -> None:
    """Whether that is a success, it says itself."""
    for word, verdict in (("succeeded", "succeeded"), ("failed", "failed")):
        inner = define({"a": {}, "b": {"any": {"a": "failed"}}}, recovered_is=word)
        graph, run = start(define({"x": inside(inner)}))
        run = told(graph, told(graph, run, "x/a", "failed"), "x/b")
        assert (run["status"], run["nodes"]["x"]["why"][:24]) == (verdict, "recovered: a has failed:")


def test_what_a_workflow_inside_is_given() -> None:
    """Its own parameters, and those alone: fixed ones, of the outer one, of what was set, of the item. What they have to be is checked."""
    inner = define(
        {"a": {"vars": {"x": 3}}},
        params={"version": {"type": "str"}, "size": {"type": "int"}, "host": {}, "fixed": {}, "some": {"default": 7}},
        vars={"x": 1, "y": 1},
        directory="sub",
    )
    given = {"params": {"fixed": "f"}, "params_from": {"version": "release", "size": "found", "host": "machine"}, "vars": {"y": 2}}
    node = {"all": {"find": "succeeded"}, **inside(inner, **given), "for_each": ["h1", "h2"], "item_var": "machine", "max_parallel": 1}
    graph, run = start(define({"find": {}, "x": node}, params={"release": {}}, vars={"x": 0, "z": 0}), release="2.1")
    run = told(graph, run, "find", found=5)
    assert due(run) == ["x[0]/a"]
    made = given_to(graph, run, "x[0]/a", {"release": "2.1"}, "/srv")
    assert made.params == {"version": "2.1", "size": 5, "host": "h1", "fixed": "f", "some": 7}
    assert (made.templates, made.items, made.directory) == ({"x": 3, "y": 1, "z": 0}, {"machine": "h1"}, "/srv/sub")
    assert made.about["item"] == "h1"
    run = told(graph, run, "x[0]/a", "failed")
    run = told(graph, run, "x[1]/a")
    assert run["nodes"]["x"]["why"] == "1 of 2 items failed: [0] h1: a has failed: x[0]/a is failed"
    assert due(decide(graph, resume(graph, run))) == ["x[0]/a"]
    graph, run = start(graph.definition, release="2.1")
    run = told(graph, run, "find", found="five")
    assert run["nodes"]["x"]["why"].startswith("2 of 2 items failed: [0] h1: its parameter 'size', from 'found', has to be of the type int")
    assert flaw_of_run(run) == ""


def test_limits_inside_of_limits() -> None:
    """A run, a workflow inside, a node: none has more under way than it may."""
    inner = define({"e": {"for_each": [*range(9)], "max_parallel": 3}, "f": {}, "g": {}}, max_parallel=4)
    graph, run = start(define({"x": inside(inner), "y": inside(inner)}, max_parallel=6))
    assert due(run) == ["x/e[0]", "x/e[1]", "x/e[2]", "x/f", "y/e[0]", "y/e[1]"]
    run = told(graph, run, "x/e[1]")
    assert due(run)[2] == "x/e[3]"
    assert len(due(run)) == 6


def test_workflows_for_items_one_after_the_other() -> None:
    """One that waits for a person is under way."""
    graph, run = start(define({"x": {**inside(CHAIN), "for_each": ["eu", "us"], "max_parallel": 1}}))
    run = told(graph, run, "x[0]/build")
    assert due(run) == ["x[0]/go"]
    run = told(graph, told(graph, run, "x[0]/go"), "x[0]/deploy")
    assert due(run) == ["x[1]/build"]


# --- Files


def test_files_inside_of_files(tmp_path: Path) -> None:
    """Paths begin at the directory of each. What is missing, or goes in a circle, is said before anything runs."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "play.yml").write_text("[]")
    (tmp_path / "sub" / "inner.yml").write_text(
        "params: {v: {type: int}}\nnodes: {a: {playbook: play.yml}, b: {command: x, executor: db1}}"
    )
    outer = tmp_path / "outer.yml"
    outer.write_text("nodes: {x: {workflow: sub/inner.yml, params: {v: 1}}}")
    definition = read_workflow(str(outer)).definition
    assert definition["nodes"]["x"]["definition"]["directory"] == "sub"
    run = begun(definition)
    assert (executor_of(run, "x/a"), executors_of(run)) == ("host1", {"host1", "db1"})
    for text, said in [
        ("nodes: {x: {workflow: sub/inner.yml, params: {v: one}}}", "line 1: node 'x': the workflow 'inner': the parameter 'v' has to be"),
        ("nodes: {x: {workflow: sub/inner.yml, params: {w: 1}}}", "has no parameter 'w'; it has v"),
        ("nodes: {x: {workflow: sub/inner.yml}}", "the parameter 'v' has no value"),
        ("nodes: {x: {workflow: gone.yml}}", "its workflow gone.yml is not there"),
        ("nodes: {x: {workflow: outer.yml}}", "workflows are inside each other in a circle: outer.yml -> outer.yml"),
        ("nodes: {x: {command: a, for_each: {param: p}}}", "there is no parameter 'p' that is no secret"),
        ("params: {p: {secret: true}}\nnodes: {x: {command: a, for_each: {param: p}}}", "there is no parameter 'p' that is no secret"),
        ("nodes: {x: {command: a, for_each: {node: y, artifact: p}}, y: {command: b}}", "'y' is no node that comes before it"),
        ("nodes: {x: {command: a, for_each: 3}}", "for_each has to be a list of at most 2000 items"),
        ("nodes: {x: {command: a, max_parallel: 3}}", "max_parallel means nothing without for_each"),
        ("nodes: {x: {command: a, for_each: [1], item_var: item}}", "item_var has to name a variable: any but item"),
        ("nodes: {x: {approval: a, for_each: [1]}}", "'for_each' has no meaning for node 'x' (approval)"),
        ("nodes: {x: {command: a, for_each: [1]}, 'x[0': {command: b}}", "has names that begin with x[, and so has the node 'x[0'"),
        ("nodes: {x: {workflow: sub/inner.yml, definition: {}}}", "'definition' has no meaning for node 'x' (workflow)"),
    ]:  # fmt: skip
        outer.write_text(text)
        with pytest.raises(AsyncJobError) as caught:
            read_workflow(str(outer))
        assert said in str(caught.value)
        assert "Nothing was started" in str(caught.value)
    (tmp_path / "sub" / "inner.yml").write_text("nodes: {a: {workflow: ../outer.yml}}")
    outer.write_text("nodes: {x: {workflow: sub/inner.yml}}")
    with pytest.raises(AsyncJobError, match=r"in a circle: \.\./outer\.yml -> inner\.yml -> \.\./outer\.yml"):
        read_workflow(str(outer))


def test_an_export_of_awx_with_a_workflow_inside(tmp_path: Path) -> None:
    """One of the same file is what its node runs, with what it is given."""
    (tmp_path / "p.yml").write_text("[]")
    inner = {
        "name": "Inner",
        "survey_spec": {"spec": [{"variable": "size", "type": "integer", "required": True}]},
        "related": {"workflow_nodes": [{"identifier": "i", "unified_job_template": {"name": "Job", "type": "job_template"}}]},
    }
    node = {
        "identifier": "o",
        "unified_job_template": {"name": "Inner", "type": "workflow_job_template"},
        "extra_data": {"size": 3, "more": 4},
    }
    outer = {"name": "Outer", "allow_simultaneous": False, "related": {"workflow_nodes": [node]}}
    export = {"job_templates": {"Job": {"playbook": "p.yml"}}, "workflow_job_templates": [outer, inner]}
    (tmp_path / "export.yml").write_text(json.dumps(export))
    definition = read_workflow(str(tmp_path / "export.yml"), "Outer").definition
    about = definition["nodes"]["o"]
    assert (about["params"], about["vars"], definition["allow_simultaneous"]) == ({"size": 3}, {"more": 4}, False)
    assert start(definition)[1]["nodes"]["o"]["state"] == "due"
    assert due(start(definition)[1]) == ["o/i"]


# --- What is wrong with a run


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("each/items", [], "the node 'each' has not the items that it says"),
        ("each/items", None, "has a field 'items' that is not what it should be"),
        ("each/items/0", 3, "the node 'each[0]' is none"),
        ("each/items/0/state", "running", "the node 'each[0]' has a state that is none"),
        ("each/items/0/items", [], "the node 'each[0]' has items"),
        ("each/state", "waiting", "the node 'each' is waiting, and something in it is not"),
        ("each/state", "backoff", "the node 'each'"),
        ("each/nodes", {}, "the node 'each' has nodes, and not items alone"),
        ("x/nodes", {}, "its nodes are not those of its definition"),
        ("x/nodes/a/attempt", 0, "the node 'x/a' is to run, and has no attempt"),
        ("plain/items", [], "the node 'plain' is one job, and has several"),
    ],
)
def test_what_is_wrong_is_refused(path: str, value: t.Any, said: str) -> None:
    _graph, run = start(define({"each": {"for_each": [1, 2]}, "x": inside(define({"a": {}})), "plain": {}}))
    run = json.loads(dump(run))
    *way, last = path.split("/")
    place: t.Any = run["nodes"]
    for step in way:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value
    with pytest.raises(AsyncJobError) as caught:
        parse_run(dump(run), "w", "r", where="/srv/x.json")
    assert said in str(caught.value)


def test_the_guard_looks_at_all_that_a_job_is_inside_of() -> None:
    graph, run = start(define({"x": inside(define({"a": {"for_each": [1]}}))}))
    assert why_not(run, "x/a[0]", 1, begun_of(run)) == ""
    assert "attempt 1 is due" in why_not(run, "x/a[0]", 2, begun_of(run))
    assert why_not(run, "x/a[1]", 1, begun_of(run)) == "its run knows nothing of it any more"
    ended_run = told(graph, run, "x/a[0]", "failed")
    assert why_not(ended_run, "x/a[0]", 1, begun_of(run)) == "its run is failed"
    reopened = resume(graph, ended_run)
    assert why_not(reopened, "x/a[0]", 2, begun_of(run)) == "its run says that attempt 1 is waiting"


def test_workflows_may_not_be_too_deep() -> None:
    inner: Definition = define({"a": {}})
    for _level in range(5):
        inner = define({"x": inside(inner)})
    outer = {**define({"a": {}}), "nodes": {"x": {**inside(inner), "kind": "workflow", "parents": {}, "join": "all"}}, "order": ["x"]}
    assert "5 deep" in next(flaws(outer)).text


# --- Properties

_ORDER = {"waiting": 0, "due": 1, "backoff": 2, "skipped": 3, "ended": 3}


def random_groups(chance: random.Random, depth: int = 0, *, each: bool = True) -> Definition:
    """Return any definition with workflows inside, and with items and other tries if that is wanted."""
    definition = random_definition(chance, 5 if depth else 7, **chance.choice([{}, {"max_parallel": chance.randint(1, 4)}]))
    for node in definition["nodes"].values():
        kind = chance.random()
        if kind < 0.25 and depth < 2:
            del node["command"]
            node.update(kind="workflow", workflow="x.yml", definition=random_groups(chance, depth + 1, each=each))
        elif kind < 0.5 and each:
            node.update(chance.choice([{}, {"retries": 1}, {"retries": 1, "retry_delay": 5}]))
        if chance.random() < 0.25 and each:
            node.update(for_each=[*range(chance.randint(0, 4))], **chance.choice([{}, {"max_parallel": chance.randint(1, 2)}]))
    assert [*flaws(definition)] == []
    return definition


def test_random_runs_never_stand_still() -> None:
    """Whatever it consists of: it goes forward, deciding twice changes nothing, and after cancels and resumes there is a verdict."""
    for seed in range(HOW_MANY):
        chance = random.Random(seed)
        graph, run = start(random_groups(chance))
        resumes = 0
        for _step in range(3000):
            assert decide(graph, run) is run, seed
            assert flaw_of_run(run) == "", seed
            if run["status"] in VERDICTS:
                assert all(node["state"] in SETTLED for node in run["nodes"].values())
                if resumes == 3:
                    break
                resumes += 1
                before = parts_of(run)
                run = resume(graph, run)
                for name, part in parts_of(run).items():
                    assert part.node["attempt"] >= before[name].node["attempt"], seed
                run = decide(graph, run)
                continue
            ready, waiting = due(run), [*parts_of(run, "backoff")]
            assert ready or waiting, f"{seed} stands still"
            before = parts_of(run)
            if ready and (not waiting or chance.random() < 0.7):
                some = chance.sample(ready, chance.randint(1, len(ready)))
                run = ended(graph, run, **{name: chance.choice(OUTCOMES) for name in some})
            else:
                run = decide(graph, run, {chance.choice(waiting)})
            if chance.random() < 0.02 and run["status"] == "running":
                run = decide(graph, cancel(run, BY))
            for name, part in parts_of(run).items():
                was = before[name].node if name in before else {"attempt": 0, "state": "waiting"}
                assert (part.node["attempt"], _ORDER[part.node["state"]]) >= (was["attempt"], _ORDER[was["state"]]), seed
        else:
            raise AssertionError(f"{seed} does not end")


def awx_inside(definition: Definition, outcome_of: t.Callable[[str], str], before: str = "") -> tuple[set[str], bool]:
    """Return which jobs AWX runs, and whether the workflow has failed: to AWX, a workflow inside is a job that fails if that has."""
    inner = {
        name: awx_inside(node["definition"], outcome_of, f"{before}{name}/")
        for name, node in definition["nodes"].items()
        if "definition" in node
    }
    outcomes = {name: "failed" if (inner[name][1] if name in inner else outcome_of(before + name) == "failed") else "succeeded" for name in definition["nodes"]}  # fmt: skip # noqa: E501
    ran, failed = awx(definition, outcomes)
    jobs = {before + name for name in ran if name not in inner}
    return jobs.union(*(inner[name][0] for name in ran if name in inner)), failed


def _chosen(chance: random.Random) -> t.Callable[[str], str]:
    """Return what chooses how a node ends, once for each."""
    words: dict[str, str] = {}
    return lambda name: words.setdefault(name, chance.choice(("succeeded", "failed")))


def test_random_graphs_with_workflows_inside_run_as_in_awx() -> None:
    """The same jobs run, in whatever order they end, and the verdict is the same."""
    inside_ran = 0
    for seed in range(AWX):
        chance = random.Random(seed)
        graph, run = start(random_groups(chance, each=False))
        outcome_of = _chosen(chance)

        while due(run):
            some = chance.sample(due(run), chance.randint(1, len(due(run))))
            run = ended(graph, run, **{name: outcome_of(name) for name in some})
        ran, failed = awx_inside(graph.definition, outcome_of)
        assert {name for name, part in parts_of(run).items() if part.node["state"] == "ended"} == ran, seed
        assert (run["status"] == "failed") == failed, seed
        inside_ran += sum("/" in name for name in ran)
    assert inside_ran > AWX / 2


def test_on_resume_nothing_that_is_good_runs_again_unless_it_comes_after() -> None:
    """Each job that has succeeded stands, if nothing before it has failed, at any level."""
    for seed in range(HOW_MANY):
        chance = random.Random(seed)
        graph, run = start(random_groups(chance))
        run = all_ended(graph, run, lambda _name, chance=chance: chance.choice(("succeeded", "failed")))  # type: ignore[misc]
        again = decide(graph, resume(graph, run)) if run["status"] != "succeeded" else run
        kept, now = parts_of(run), parts_of(again)
        for name, part in kept.items():
            if part.node["state"] != "ended" or part.node["outcome"] not in GOOD or (name in now and now[name].node is part.node):
                continue
            assert any(_comes_after_failed(level) for level in part.way), (seed, name)
        again = all_ended(graph, again)
        while again["status"] != "succeeded":  # what depends on a failure runs and is skipped in turn
            assert again["status"] in VERDICTS
            again = all_ended(graph, decide(graph, resume(graph, again)))


def _comes_after_failed(level: t.Any) -> bool:
    graph = Graph(level.definition)
    bad = [name for name, node in level.nodes.items() if node["state"] == "ended" and node["outcome"] not in GOOD]
    return level.own in graph.after(bad)


def test_it_is_fast() -> None:
    """500 items, all of which may be due, or end at once: 20 ms, on a machine that does other things meanwhile."""
    graph, run = start(define({"each": {"for_each": [*range(500)]}, "last": {"all": {"each": "finished"}}}))
    for words in ({name: Outcome(1, "failed", "x", {"end": "now"}) for name in due(run)}, {"each[7]": Outcome(1, "succeeded", "", {})}):
        took = []
        for _try in range(10):
            began = time.process_time()
            decide(graph, end(graph, run, words))
            took.append(time.process_time() - began)
        assert min(took) < 0.02, took
    took = []
    for _try in range(10):
        began = time.process_time()
        decide(graph, begun(graph.definition))
        took.append(time.process_time() - began)
    assert min(took) < 0.02, took
