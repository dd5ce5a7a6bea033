# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document of a run: what is in it is checked where it enters, whoever has written it."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflows import begun, define, ended

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import dump
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import keeping
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, cancel, decide, end, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph, hash_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    Run,
    chosen_params,
    flaw_of_run,
    is_of_node,
    is_of_run,
    is_run_id,
    key_of_node,
    parse_run,
    path_of_run,
    with_events,
)

REPORT = {
    "artifacts": {"version": {"value": [1, {"a": "b"}]}, "token": {"vault": "$ANSIBLE_VAULT;1.1;AES256\n3132"}},
    "secret": ["password"],
    "counts": {"web1": {"ok": 3, "failures": 1}},
    "problems": [{"host": "web1", "task": "Restart", "msg": "no such service"}],
}


def a_run() -> Run:
    """Return a run that has come some way."""
    graph = Graph(define({"a": {}, "b": {"all": {"a": "succeeded"}, "executor": "db01"}, "c": {"all": {"b": "succeeded"}}}, max_parallel=2))
    run = with_events(None, begun(graph.definition), "me", "then")
    after = decide(graph, end(graph, decide(graph, run), {"a": Outcome(1, "succeeded", "", REPORT)}))
    return with_events(run, after, "me", "now")


def test_it_survives_its_store() -> None:
    """In the order of the file, whatever order a store has."""
    run = a_run()
    found = parse_run(dump(run), "w", "r", where="x")
    assert found == run
    assert Graph(found["definition"]).order == ["a", "b", "c"]
    assert path_of_run("w", "r") == ".workflows/w/r.json"
    assert path_of_run("../w", "a/b") == ".workflows/%2E.%2Fw/a%2Fb.json"
    assert key_of_node(run, "a").path == "host1/w r/a.json"
    assert key_of_node(run, "b").path == "db01/w r/b.json"


def test_a_definition_is_doubted_until_it_was_found_sound() -> None:
    """Each time; and a sound one in a run that has not begun with it is none, however often it was read."""
    good = a_run()
    bad = {**good, "definition": {**good["definition"], "max_parallel": 0}}
    bad["definition_hash"] = hash_of(bad["definition"])
    other = {**good, "definition_hash": hash_of({})}
    for _time in range(2):
        assert parse_run(dump(good), "w", "r", where="x") == good
        with pytest.raises(AsyncJobError, match="its definition is none"):
            parse_run(dump(bad), "w", "r", where="x")
        with pytest.raises(AsyncJobError, match="not the one that it began with"):
            parse_run(dump(other), "w", "r", where="x")


def test_items_that_the_author_has_written() -> None:
    """Nobody else says what they are."""
    definition = define(
        {"a": {"for_each": ["x", "y"]}, "b": {"for_each": {"node": "c", "artifact": "list"}, "all": {"c": "succeeded"}}, "c": {}}
    )
    run = decide(Graph(definition), begun(definition))
    assert flaw_of_run(run) == ""
    forged = {**run["nodes"], "a": {**run["nodes"]["a"], "values": ["x", "evil"]}}
    assert flaw_of_run({**run, "nodes": forged}) == "the node 'a' has other items than its definition"


def test_what_an_attempt_reports_is_limited() -> None:
    """Whatever else is known of it: the run has to fit into one document."""
    definition = define({"a": {}})
    run = decide(Graph(definition), begun(definition))
    reported = {"end": "now", "artifacts": {"x": {"value": "x" * (9 << 20)}}}
    node = end(Graph(definition), run, {"a": Outcome(1, "succeeded", "", reported)})["nodes"]["a"]
    assert "artifacts" not in node
    assert "x left out" in node["problems"][0]["msg"]


def test_whose_record_it_is() -> None:
    """That of the node alone, whatever it is called."""
    run = a_run()
    record: t.Any = {"metadata": {"workflow": "w", "run": "r", "node": "a"}, "playbook_name": "w r", "job_name": "a"}
    assert is_of_node(record, run, "a")
    assert is_of_run(record)
    assert is_of_run({**record, "metadata": {"workflow": "w", "run": "r", "notification": "failed"}})
    for one in ({"playbook_name": "w s"}, {"metadata": {}}, {"metadata": {"workflow": "w", "run": 3, "node": "a"}}, {"metadata": None}):
        assert not is_of_run({**record, **one})
    for other in ({}, {"note": "mine"}, {**record["metadata"], "node": "b"}, {**record["metadata"], "run": "s"}):
        assert not is_of_node({**record, "metadata": other}, run, "a")
    assert [text for text in ("4711", "2026-01-01T00-00-00Z-a1", "a b", "", "-x", "a\tb", "a\u00a0b") if is_run_id(text)] == [
        "4711",
        "2026-01-01T00-00-00Z-a1",
    ]


def test_events() -> None:
    """Who has found what, and when; the last ones are kept."""
    run = a_run()
    assert [(event["node"], event["what"], event["time"]) for event in run["events"]] == [
        ("", "running", "then"),
        ("a", "succeeded", "now"),
        ("b", "due", "now"),
    ]
    graph = Graph(run["definition"])
    by = {"who": "ann", "time": "now", "reason": "wrong branch"}
    after = with_events(run, decide(graph, cancel(run, by)), "me", "later")
    assert [(event["what"], event["why"]) for event in after["events"][3:]] == [
        ("cancelling", "wrong branch"),
        ("skipped", "the run was cancelled before it began"),
    ]
    done = with_events(after, ended(graph, after, b="cancelled"), "me", "at last")
    assert (done["status"], done["ended"]) == ("cancelled", "at last")
    again = decide(graph, resume(graph, done))
    assert "ended" not in again
    assert flaw_of_run(again) == ""
    for _turn in range(300):
        run = with_events(run, {**run, "status": "failed"}, "me", "now")
        run["status"] = "running"
    assert len(run["events"]) == 200


def _set(run: Run, path: str, value: t.Any) -> None:
    *way, last = path.split("/")
    place: t.Any = run
    for step in way:
        place = place[step]
    if value is _GONE:
        del place[last]
    else:
        place[last] = value


_GONE = object()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("status", "done", "its status 'done' is none of"),
        ("status", "succeeded", "it is succeeded, and not all of its nodes are settled"),
        ("epoch", True, "the field 'epoch' is missing"),
        ("executor", "-o ProxyCommand", "its executor is no host"),
        ("executor", "{{ x }}", "its executor is no host"),
        ("workflow", "v", "its names are none"),
        ("run", "r 2", "its names are none"),
        ("run", "q", "it is of the run 'q' of workflow 'w'"),
        ("nodes/a", _GONE, "its nodes are not those of its definition"),
        ("nodes/a", 3, "the node 'a' is none"),
        ("nodes/a/state", "running", "the node 'a' has a state that is none"),
        ("nodes/a/attempt", -1, "the node 'a' has an attempt that is no number"),
        ("nodes/a/outcome", "fine", "the node 'a' has ended, and does not say how"),
        ("nodes/a/pid", 4, "the node 'a' has a field 'pid' that is not what it should be"),
        ("nodes/b/attempt", 0, "the node 'b' is to run, and has no attempt"),
        ("nodes/a/by", {"who": 3}, "the node 'a' does not say who has decided on it"),
        ("nodes/a/artifacts", {"ansible_become_user": {"value": "root"}}, "has an artifact 'ansible_become_user', which names no variable"),
        ("nodes/a/artifacts", {"x y": {"value": 1}}, "has an artifact 'x y'"),
        ("nodes/a/artifacts", {"x": 1}, "has an artifact 'x' that is none"),
        ("nodes/a/artifacts", {"x": {"vault": 1}}, "has an artifact 'x' that is none"),
        ("nodes/a/counts", {"web1": 3}, "has counts of 'web1' that are none"),
        ("nodes/a/problems", [3], "has problems that are none"),
        ("nodes/a/secret", [3], "has secrets without names"),
        ("definition/nodes/b/command", "rm -rf /", "its definition is not the one that it began with"),
        ("definition/nodes/b/executor", "-x", "its definition is none: node 'b': executor"),
        ("definition/nodes/b/parents", {"c": "succeeded"}, "its definition is none: nodes wait for each other in a circle: b -> c -> b"),
        ("definition/order", ["a", "b", "c", "c"], "its definition is none: order has to name all nodes"),
        ("cancelling", {"who": "x"}, "the field 'cancelling' is not what it should be"),
        ("schema_version", 2, "was written by another release"),
        ("params", {"a b": 1}, "a parameter has a name that is none"),
        ("events", [1], "an event is none"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(path: str, value: t.Any, said: str) -> None:
    run = a_run()
    _set(run, path, value)
    with pytest.raises(AsyncJobError) as caught:
        parse_run(dump(run), "w", "r", where="/srv/x.json")
    assert said in str(caught.value)
    assert "/srv/x.json" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["due", "ended", "failed", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "state", "attempt", "x", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_document(data: st.DataObject) -> None:
    """Whatever stands anywhere in it: it is a run that somebody can go on with, or an error of ours."""
    run: t.Any = copy.deepcopy(a_run())
    place = run
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(_anything)
            break
        place = place[key]
    try:
        found = parse_run(json.dumps(run).encode(), "w", "r", where="x")
    except AsyncJobError:
        return
    graph = Graph(found["definition"])
    after = decide(graph, found, {"b"})
    assert flaw_of_run(with_events(found, after, "me", "now")) == ""


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=50))
def test_any_bytes(content: bytes) -> None:
    with pytest.raises(AsyncJobError):
        parse_run(content, "w", "r", where="x")


def test_parameters() -> None:
    """What is not given has its default; what is wrong is said, and no value is."""
    params: dict[str, t.Any] = {
        "version": {"default": "latest"},
        "env": {"choices": ["dev", "prod"]},
        "count": {"type": "int", "min": 1, "max": 5, "required": False},
        "token": {"type": "str", "secret": True},
    }
    definition = define({"a": {}}, params=params)
    assert chosen_params(definition, {"env": "dev", "token": "s3"}) == ({"version": "latest", "env": "dev"}, {"token": "s3"})
    for given_params, said in [
        ({"token": "s3"}, "the parameter 'env' has no value"),
        ({"env": "test", "token": "s3"}, "the parameter 'env' has to be one of dev, prod"),
        ({"env": "dev", "token": 33333}, "the parameter 'token' has to be of the type str"),
        ({"env": "dev", "token": "s3", "count": 9}, "the parameter 'count' has to be between 1 and 5"),
        ({"env": "dev", "token": "s3", "count": True}, "the parameter 'count' has to be of the type int"),
        ({"env": "dev", "token": "s3", "verison": 1}, "there is no parameter 'verison'"),
        (["env"], "params is no mapping"),
    ]:
        with pytest.raises(AsyncJobError) as caught:
            chosen_params(definition, given_params)
        assert said in str(caught.value)
        assert "33333" not in str(caught.value)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with nothing in it."""
    return FilesystemStore(str(tmp_path / "state"))


def test_it_is_kept(store: Store) -> None:
    """Of two who change it at the same time, one does. What cannot be read is named, and keeps no other from being listed."""
    run = {**a_run(), "events": []}
    assert keeping.read_run(store, "w", "r") == (None, ABSENT)
    assert keeping.find_runs(store, None) == ([], [])
    version = keeping.write_run(store, None, run, expect=ABSENT)
    with pytest.raises(Conflict):
        keeping.write_run(store, None, run, expect=ABSENT)
    found, read_version = keeping.read_run(store, "w", "r")
    assert found is not None
    assert read_version == version
    graph = Graph(found["definition"])
    keeping.write_run(store, found, ended(graph, found, b="failed"), expect=version)
    with pytest.raises(Conflict):
        keeping.write_run(store, found, ended(graph, found, b="succeeded"), expect=version)
    store.write(path_of_run("w", "s"), dump({**run, "run": "t"}), expect=ABSENT)
    store.write(path_of_run("v", "r"), b"{", expect=ABSENT)
    runs, unreadable = keeping.find_runs(store, None)
    assert [(one["run"], one["status"]) for one in runs] == [("r", "failed")]
    assert sorted(problem["msg"].partition(":")[0].rpartition("/")[2] for problem in unreadable) == [
        "r.json cannot be used",
        "s.json is not where it belongs",
    ]
    assert len(keeping.find_runs(store, "v")[1]) == 1


def test_whose_record_is_still_needed(store: Store) -> None:
    """That of a node, as long as its run has not ended, or nobody can tell."""
    run = {**a_run(), "events": []}
    record: t.Any = {"playbook_name": "w r", "metadata": {"workflow": "w", "run": "r", "node": "a"}}
    assert keeping.goes_on(store, record) == ""
    version = keeping.write_run(store, None, run, expect=ABSENT)
    assert keeping.goes_on(store, record) == "it belongs to the run 'r' of 'w', which is running"
    assert keeping.goes_on(store, {**record, "playbook_name": "Nightly"}) == ""
    assert keeping.goes_on(store, {**record, "metadata": {"workflow": 3, "run": "r"}}) == ""
    keeping.write_run(store, run, ended(Graph(run["definition"]), run, b="failed"), expect=version)
    assert keeping.goes_on(store, record) == ""
    store.write(path_of_run("w", "r"), b"{")
    assert "nobody can tell" in keeping.goes_on(store, record)
