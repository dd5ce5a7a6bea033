# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from what has happened in a run: by a table, by properties, and against the rules of AWX on thousands of random graphs."""

from __future__ import annotations

import copy
import json
import random
import time
import typing as t

import pytest
from torture import TORTURE
from workflows import Edges, awx, begun, define, due, ended, play, random_definition

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import (
    Outcome,
    accept,
    cancel,
    decide,
    end,
    resume,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    GOOD,
    OUTCOMES,
    SETTLED,
    VERDICTS,
    Run,
    flaw_of_run,
    with_events,
)

BY = {"who": "ann", "time": "2026-01-01T00:00:00Z", "reason": "it is fine"}
HOW_MANY = 20_000 if TORTURE else 1_000


def states(run: Run) -> str:
    """Return the nodes in short: C(a:ended b:skipped)."""
    return " ".join(f"{name}:{node.get('outcome') if node['state'] == 'ended' else node['state']}" for name, node in run["nodes"].items())


# --- The table

# The outcomes of a and b; how c waits for them; whether c runs; what becomes of the run if c succeeds
_TABLE: list[tuple[str, str, str, Edges, bool, str]] = [
    ("succeeded", "succeeded", "all", {"a": "succeeded", "b": "succeeded"}, True, "succeeded"),
    ("succeeded", "failed", "all", {"a": "succeeded", "b": "succeeded"}, False, "failed"),
    ("succeeded", "failed", "any", {"a": "succeeded", "b": "succeeded"}, True, "failed"),
    ("failed", "failed", "any", {"a": "succeeded", "b": "succeeded"}, False, "failed"),
    ("failed", "failed", "any", {"a": "failed", "b": "failed"}, True, "recovered"),
    ("failed", "succeeded", "all", {"a": "failed", "b": "failed"}, False, "recovered"),
    ("failed", "succeeded", "any", {"a": "failed", "b": "succeeded"}, True, "recovered"),
    ("failed", "failed", "all", {"a": "finished", "b": "finished"}, True, "recovered"),
    ("succeeded", "failed", "all", {"a": "finished", "b": "failed"}, True, "recovered"),
    ("succeeded", "succeeded", "any", {"a": "failed", "b": "failed"}, False, "succeeded"),
    ("failed", "succeeded", "all", {"b": "succeeded"}, True, "failed"),
    ("failed", "succeeded", "all", {}, True, "failed"),
]


@pytest.mark.parametrize(("a", "b", "join", "edges", "runs", "verdict"), _TABLE)
def test_joins(a: str, b: str, join: str, edges: Edges, runs: bool, verdict: str) -> None:
    """As in AWX: all parents have to be settled first, then any of the edges has to fit, or all."""
    graph = Graph(define({"a": {}, "b": {}, "c": {join: edges}}))
    run = decide(graph, begun(graph.definition))
    assert due(run) == ["a", "b", *([] if edges else ["c"])]
    run = ended(graph, run, a=a)
    assert ("c" in due(run)) == ("b" not in edges)
    run = ended(graph, run, b=b)
    assert ("c" in due(run)) == runs, states(run)
    if runs:
        run = ended(graph, run, c="succeeded")
    assert run["status"] == verdict


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_whatever_is_no_success_has_failed(outcome: str) -> None:
    """There is no end that leaves the run running."""
    graph = Graph(
        define({"a": {}, "good": {"all": {"a": "succeeded"}}, "bad": {"all": {"a": "failed"}}, "last": {"any": {"a": "finished"}}})
    )
    run = ended(graph, decide(graph, begun(graph.definition)), a=outcome)
    assert due(run) == ["good" if outcome in GOOD else "bad", "last"]
    run = ended(graph, run, **dict.fromkeys(due(run), "succeeded"))
    assert run["status"] == ("succeeded" if outcome in GOOD else "recovered")


def test_whoever_is_skipped_says_why() -> None:
    """And so does what comes after it."""
    graph = Graph(
        define({"deploy": {}, "smoke": {"all": {"deploy": "succeeded"}}, "mail": {"any": {"smoke": "finished", "deploy": "succeeded"}}})
    )
    run = ended(graph, decide(graph, begun(graph.definition)), deploy="timed_out")
    assert run["nodes"]["smoke"]["why"] == "deploy has timed out, and this runs when it has succeeded"
    assert run["nodes"]["mail"]["why"] == (
        "smoke was skipped, and this runs when it has ended; deploy has timed out, and this runs when it has succeeded"
    )
    assert run["status"] == "failed"


def test_retries() -> None:
    """Only what may have another chance gets it, after its delay, and never after a person has decided."""
    graph = Graph(define({"a": {"retries": 2, "retry_delay": 30}, "b": {"retries": 1}}))
    run = ended(graph, decide(graph, begun(graph.definition)), a="failed", b="lost")
    assert states(run) == "a:backoff b:due"
    assert (run["nodes"]["a"]["attempt"], run["nodes"]["b"]["attempt"]) == (1, 2)
    assert decide(graph, run) is run
    run = decide(graph, run, {"a"})
    assert run["nodes"]["a"] == {"state": "due", "attempt": 2, "first_attempt": 1}
    run = ended(graph, run, a="killed", b="failed")
    assert states(run) == "a:backoff b:failed"
    run = ended(graph, decide(graph, run, {"a"}), a="failed")
    assert (states(run), run["nodes"]["a"]["attempt"], run["status"]) == ("a:failed b:failed", 3, "failed")
    for final in ("cancelled", "rejected", "expired"):
        assert states(ended(graph, decide(graph, begun(graph.definition)), a=final)).startswith(f"a:{final}")


def test_the_first_word_stands() -> None:
    """What is said of another attempt, of one that has ended, or in a run that has, changes nothing."""
    graph = Graph(define({"a": {"retries": 1}, "b": {"all": {"a": "succeeded"}}}))
    run = ended(graph, decide(graph, begun(graph.definition)), a="failed")
    assert end(graph, run, {"a": Outcome(1, "succeeded", "", {})}) is run
    assert end(graph, run, {"a": Outcome(3, "succeeded", "", {})}) is run
    assert end(graph, run, {"b": Outcome(0, "succeeded", "", {}), "x": Outcome(1, "failed", "", {})}) is run
    run = ended(graph, run, a="failed")
    assert run["status"] == "failed"
    assert end(graph, run, {"a": Outcome(2, "succeeded", "", {})}) is run


def test_resume() -> None:
    """What has failed, and what comes after it. Numbers go on; what has succeeded stands, with what it said."""
    graph = Graph(define({"a": {}, "b": {"all": {"a": "succeeded"}}, "c": {"all": {"b": "succeeded"}}, "r": {"any": {"b": "failed"}}}))
    run = end(graph, decide(graph, begun(graph.definition)), {"a": Outcome(1, "succeeded", "", {"artifacts": {"x": {"value": 1}}})})
    run = ended(graph, decide(graph, run), b="failed")
    run = ended(graph, run, r="succeeded")
    assert (states(run), run["status"]) == ("a:succeeded b:failed c:skipped r:succeeded", "recovered")
    run = decide(graph, resume(graph, run))
    assert (states(run), run["epoch"]) == ("a:succeeded b:due c:waiting r:waiting", 2)
    assert run["nodes"]["a"]["artifacts"] == {"x": {"value": 1}}
    assert run["nodes"]["b"]["attempt"] == 2
    run = ended(graph, ended(graph, run, b="succeeded"), c="succeeded")
    assert (states(run), run["status"]) == ("a:succeeded b:succeeded c:succeeded r:skipped", "succeeded")
    run = decide(graph, resume(graph, run, ["b"]))
    assert states(run) == "a:succeeded b:due c:waiting r:waiting"
    assert run["nodes"]["b"]["attempt"] == 3


def test_retries_count_anew_after_resume() -> None:
    graph = Graph(define({"a": {"retries": 1}}))
    run = ended(graph, ended(graph, decide(graph, begun(graph.definition)), a="failed"), a="failed")
    assert run["status"] == "failed"
    run = ended(graph, decide(graph, resume(graph, run)), a="failed")
    assert (run["nodes"]["a"]["state"], run["nodes"]["a"]["attempt"]) == ("due", 4)


def test_accept() -> None:
    """It counts as a success, says who and why, and what was skipped for it is decided anew."""
    graph = Graph(define({"a": {}, "b": {"all": {"a": "succeeded"}}, "r": {"all": {"a": "failed"}}}))
    run = ended(graph, ended(graph, decide(graph, begun(graph.definition)), a="failed"), r="succeeded")
    run = decide(graph, accept(graph, run, ["a"], BY))
    assert states(run) == "a:accepted b:due r:skipped"
    assert (run["nodes"]["a"]["why"], run["nodes"]["a"]["attempt"]) == ("accepted by ann: it is fine", 1)
    assert ended(graph, run, b="succeeded")["status"] == "succeeded"


def test_cancel() -> None:
    """Nothing more begins; what runs is waited for; what waits for another try has had its last."""
    graph = Graph(define({"a": {}, "b": {"retries": 1, "retry_delay": 9}, "c": {"all": {"a": "finished"}}}))
    run = ended(graph, decide(graph, begun(graph.definition)), b="failed")
    run = decide(graph, cancel(run, BY))
    assert (states(run), run["status"]) == ("a:due b:failed c:skipped", "cancelling")
    run = ended(graph, run, a="succeeded")
    assert (states(run), run["status"]) == ("a:succeeded b:failed c:skipped", "cancelled")
    run = decide(graph, resume(graph, run))
    assert (states(run), run["status"]) == ("a:succeeded b:due c:due", "running")
    assert "cancelling" not in run


def test_timeouts_of_approvals() -> None:
    """They never pass without a word."""
    for on_timeout, state in ((None, "expired"), ("reject", "expired"), ("approve", "succeeded")):
        graph = Graph(define({"a": {"approval": "Go", **({"on_timeout": on_timeout} if on_timeout else {})}}))
        run = decide(graph, begun(graph.definition))
        run = decide(graph, end(graph, run, {"a": Outcome(1, "expired", "nobody has decided", {})}))
        assert states(run) == f"a:{state}"
        assert run["nodes"]["a"]["why"].startswith("nobody has decided")


def test_max_parallel() -> None:
    """In the order of the file. What waits for a person takes nobody's place."""
    nodes: dict[str, dict[str, t.Any]] = {"z": {}, "b": {}, "go": {"approval": "Go"}, "a": {}, "last": {"any": {"z": "finished"}}}
    graph = Graph(define(nodes, max_parallel=2))
    run = decide(graph, begun(graph.definition))
    assert due(run) == ["z", "b", "go"]
    assert due(ended(graph, run, z="failed")) == ["b", "go", "a"]
    assert due(ended(graph, run, go="succeeded")) == ["z", "b"]


# --- Against AWX


def test_random_graphs_run_as_in_awx() -> None:
    """The same nodes run, in whatever order they end, and the verdict is the same."""
    skipped = recovered = 0
    for seed in range(HOW_MANY):
        chance = random.Random(seed)
        definition = random_definition(chance)
        graph = Graph(definition)
        outcomes = {name: chance.choice(("succeeded", "failed")) for name in definition["nodes"]}
        run = play(graph, lambda name, _attempt, outcomes=outcomes: outcomes[name], chance=chance)  # type: ignore[misc]
        ran, failed = awx(definition, outcomes)
        assert {name for name, node in run["nodes"].items() if node["state"] == "ended"} == ran, seed
        assert (run["status"] == "failed") == failed, seed
        skipped += len(run["nodes"]) - len(ran)
        recovered += run["status"] == "recovered"
    assert skipped > HOW_MANY
    assert recovered > HOW_MANY / 20


# --- Properties

_ORDER = {"waiting": 0, "due": 1, "backoff": 2, "skipped": 3, "ended": 3}


def test_random_runs_never_stand_still() -> None:
    """Whatever the ends, retries, limits and cancels: it goes forward, deciding twice changes nothing, and there is one verdict."""
    for seed in range(HOW_MANY // 4):
        chance = random.Random(-seed)
        definition = random_definition(chance, max_parallel=chance.randint(1, 4))
        for node in definition["nodes"].values():
            node.update(chance.choice([{}, {"retries": 1}, {"retries": 2, "retry_delay": 5}]))
        graph = Graph(definition)
        run = decide(graph, begun(definition))
        for _step in range(200):
            assert decide(graph, run) is run, seed
            assert flaw_of_run(run) == "", seed
            waiting = [name for name, node in run["nodes"].items() if node["state"] == "backoff"]
            if run["status"] in VERDICTS:
                break
            before = run
            assert len(due(run)) <= definition["max_parallel"], seed
            if due(run) and (not waiting or chance.random() < 0.7):
                run = ended(graph, run, **{chance.choice(due(run)): chance.choice(OUTCOMES)})
            else:
                assert waiting, f"{seed} stands still: {states(run)}"
                run = decide(graph, run, {chance.choice(waiting)})
            if chance.random() < 0.03 and run["status"] == "running":
                run = decide(graph, cancel(run, BY))
            for name, node in run["nodes"].items():
                was = before["nodes"][name]
                assert (node["attempt"], _ORDER[node["state"]]) >= (was["attempt"], _ORDER[was["state"]]), seed
        else:
            raise AssertionError(f"{seed} does not end: {states(run)}")
        assert all(node["state"] in SETTLED for node in run["nodes"].values())
        assert end(graph, run, {name: Outcome(node["attempt"], "failed", "", {}) for name, node in run["nodes"].items()}) is run
        assert decide(graph, run, set(run["nodes"])) is run


def test_random_runs_that_know_more_have_decided_more() -> None:
    """What was due with less known is not taken back by what is learned."""
    for seed in range(HOW_MANY // 2):
        chance = random.Random(seed)
        graph = Graph(random_definition(chance))
        run = decide(graph, begun(graph.definition))
        for _step in range(20):
            ready = due(run)
            if not ready:
                break
            words = {name: Outcome(run["nodes"][name]["attempt"], chance.choice(OUTCOMES), "", {}) for name in ready}
            some = {name: words[name] for name in chance.sample(ready, chance.randint(0, len(ready)))}
            less, more = decide(graph, end(graph, run, some)), decide(graph, end(graph, run, words))
            for name, node in less["nodes"].items():
                later = more["nodes"][name]
                assert (later["attempt"], _ORDER[later["state"]]) >= (node["attempt"], _ORDER[node["state"]]), seed
                if node["state"] in SETTLED:
                    assert later == node, seed
            # In one step or in two, the same comes of it.
            assert decide(graph, end(graph, less, words)) == more, seed
            run = more


def test_random_runs_resume_and_end() -> None:
    """After a resume, what stood stands, and the run comes to an end once more."""
    for seed in range(HOW_MANY // 2):
        chance = random.Random(seed)
        graph = Graph(random_definition(chance))
        run = play(graph, lambda _name, _attempt, chance=chance: chance.choice(("succeeded", "failed")), chance=chance)  # type: ignore[misc]
        failed = [name for name, node in run["nodes"].items() if node["state"] == "ended" and node["outcome"] not in GOOD]
        anew = graph.after(failed) | {*failed}
        after = decide(graph, resume(graph, run))
        for name, node in run["nodes"].items():
            if name not in anew and node["state"] == "ended":
                assert after["nodes"][name] is node, seed
        for _step in range(50):
            if not due(after):
                break
            after = ended(graph, after, **dict.fromkeys(due(after), "succeeded"))
        assert after["status"] == "succeeded", seed
        assert flaw_of_run(after) == ""


def test_nothing_is_changed_in_place() -> None:
    """A run that was read is the same after it was thought about."""
    chance = random.Random(7)
    graph = Graph(random_definition(chance, 12))
    run = decide(graph, begun(graph.definition))
    while due(run):
        kept = copy.deepcopy(run)
        after = ended(graph, run, **dict.fromkeys(due(run), "failed"))
        with_events(run, after, "me", "now")
        resume(graph, run)
        cancel(run, BY)
        assert run == kept
        run = after


def test_it_is_fast() -> None:
    """500 nodes, all of which may be due, or skipped: 20 ms, on a machine that does other things meanwhile."""
    nodes: dict[str, dict[str, t.Any]] = {"first": {}}
    for number in range(499):
        nodes[f"n{number}"] = {"all": {"first" if number < 20 else f"n{number - 20}": "succeeded", "first": "succeeded"}}
    graph = Graph(define(nodes))
    run = decide(graph, begun(graph.definition))
    for outcome in ("succeeded", "failed"):
        words = {"first": Outcome(1, outcome, "", {})}
        took = []
        for _try in range(20):
            began = time.process_time()
            decide(graph, end(graph, run, words))
            took.append(time.process_time() - began)
        assert min(took) < 0.02, took
    assert len(json.dumps(decide(graph, end(graph, run, words)))) < 400_000
