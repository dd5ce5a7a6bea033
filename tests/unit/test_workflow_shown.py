# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as text: its graph, its way, and why each node is what it is."""

from __future__ import annotations

import random
import typing as t

from workflows import Edges, begun, define, inside, play, random_definition

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, cancel, decide, end, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import OUTCOMES, STATES, STATUSES, Run, with_events
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.shown import changes, layers_of, lines_of, sign_of

OK = "succeeded"
START = 1_782_907_200.0  # 2026-07-01T12:00:00Z
_NODES: dict[str, dict[str, t.Any]] = {
    "provision": {"retries": 1, "retry_delay": 30},
    "configure": {"all": {"provision": OK}},
    "go_live": {"approval": "Release goes live", "all": {"configure": OK}},
    "deploy": {"all": {"go_live": OK}},
    "rollback": {"any": {"configure": "failed", "deploy": "failed"}},
    "smoke": {"all": {"deploy": OK}},
    "notify": {"any": {"deploy": OK, "rollback": "finished"}},
}


def story(*happens: tuple[float, dict[str, tuple[t.Any, ...]]]) -> Run:
    """Return a run in which nodes have ended so: when, and for each node its outcome, why, and what else there is to note."""
    graph = Graph(define(_NODES))
    begin = {**begun(graph.definition), "started": _time(0)}
    run = with_events(None, begin, "me", _time(0))
    ripe: list[str] = []
    after = decide(graph, run)
    run = with_events(run, after, "me", _time(0))
    for second, some in happens:
        outcomes = {name: Outcome(run["nodes"][name]["attempt"], word, *more) for name, (word, *more) in some.items()}
        after = decide(graph, end(graph, run, outcomes), ripe)
        ripe = [*some]
        run = with_events(run, after, "me", _time(second))
    return run


def _time(second: float) -> str:
    return f"2026-07-01T12:{int(second) // 60:02}:{int(second) % 60:02}Z"


FAILURES = {
    "counts": {"web1": {"ok": 3}, "web2": {"ok": 2, "failures": 1}, "web3": {"unreachable": 1}},
    "problems": [
        {"host": "web2", "task": "Restart web", "msg": "no such\n service"},
        {"host": "web3", "task": "Gathering Facts", "msg": "timed out"},
    ],
}
HANDLED = (
    (5, {"provision": ("killed", "its wrapper was killed", {})}),
    (40, {}),
    (60, {"provision": (OK, "", {})}),
    (70, {"configure": (OK, "", {})}),
    (80, {"go_live": (OK, "approved by ann@ctl: fine", {})}),
    (200, {"deploy": ("failed", "web2: Restart web: no such service", FAILURES)}),
    (230, {"rollback": (OK, "", {})}),
    (231, {"notify": (OK, "", {})}),
)


def test_a_run_that_has_recovered() -> None:
    """Each state by a sign and a word; where and why it has failed; the way it took; and why the rest was skipped."""
    lines = lines_of(story(*HANDLED), START + 900, 200, {})
    assert lines == [
        "~ w, run r: recovered (begun 2026-07-01T12:00:00Z by me, 3m 51s)",
        "",
        "   1  \u2713 provision  succeeded, attempt 2  20s",
        "   2  \u2713 configure  succeeded             10s    after provision",
        "   3  \u2713 go_live    succeeded             10s    after configure",
        "   4  \u2717 deploy     failed                2m 0s  after go_live",
        "   5  \u2713 rollback   succeeded             30s    after failure of configure or deploy",
        "      - smoke      skipped                      after deploy",
        "   6  \u2713 notify     succeeded             1s     after deploy or end of rollback",
        "",
        "Path: provision \u2192 configure \u2192 go_live \u2192 deploy (failed) \u2192 rollback \u2192 notify",
        "deploy: failed on 2 of 3 hosts",
        "    web2: Restart web: no such service",
        "    web3: Gathering Facts: timed out",
        "Decided:",
        "    go_live: approved by ann@ctl: fine",
        "Skipped:",
        "    smoke: deploy has failed, and this runs when it has succeeded",
    ]


def test_a_run_that_goes_on() -> None:
    """What runs says how far it has come, as far as anybody knows; what awaits a person, who has to type what."""
    run = story(*HANDLED[:5])
    lines = lines_of(run, START + 100, 100, {"deploy": "running: step 2 of 7: Restart web"})
    assert lines[0] == "\u25b6 w, run r: running (begun 2026-07-01T12:00:00Z by me, 1m 40s ago)"
    assert "   4  \u25b6 deploy     running               20s  after go_live, running: step 2 of 7: Restart web" in lines
    assert "   5  \u00b7 rollback   waiting                    after failure of configure or deploy" in lines
    assert "Path: provision \u2192 configure \u2192 go_live \u2192 deploy (running)" in lines
    how = "awaits approval. To approve: ansible-playbook " + "x" * 200
    lines = lines_of(story(*HANDLED[:4]), START + 100, 100, {"go_live": how})
    assert "   3  ? go_live    awaits approval       30s  after configure" in lines
    assert lines[-1] == f"go_live: {how}"
    lines = lines_of(story(*HANDLED[:1]), START + 6, 100, {})
    assert lines[2].split() == ["1", "\u21ba", "provision", "to", "be", "tried", "again", "5s"]
    assert lines[-2:] == ["provision: killed", "    its wrapper was killed"]


def test_what_is_said_meanwhile() -> None:
    """One line for each node to which something has happened, in words for people."""
    said = []
    for number in range(len(HANDLED)):
        said += changes(story(*HANDLED[:number]), story(*HANDLED[: number + 1]))
    assert said[:5] == [
        "provision: killed, to be tried again in 30 s: its wrapper was killed",
        "provision: begins (attempt 2)",
        "provision: succeeded (attempt 2)",
        "configure: begins",
        "configure: succeeded",
    ]
    assert "smoke: skipped: deploy has failed, and this runs when it has succeeded" in said
    run = story(*HANDLED[:3])
    cancelled = decide(Graph(run["definition"]), cancel(run, {"who": "me", "time": _time(99), "reason": ""}))
    assert "deploy: skipped: the run was cancelled before it began" in [*changes(run, cancelled)]


def test_a_resumed_run_has_the_times_of_what_counts() -> None:
    """What was executed before, and is skipped now, has taken no time in it."""
    run = story(*HANDLED)
    graph = Graph(run["definition"])
    after = with_events(run, decide(graph, resume(graph, run)), "me", _time(300))
    outcome = {"deploy": Outcome(2, OK, "", {})}
    after = with_events(after, decide(graph, end(graph, after, outcome)), "me", _time(310))
    cells = [line.split() for line in lines_of(after, START + 400, 100, {})]
    assert ["4", "\u2713", "deploy", "succeeded,", "attempt", "2", "10s", "after", "go_live"] in cells
    assert ["5", "-", "rollback", "skipped", *["after", "failure", "of", "configure", "or", "deploy"]] in cells


def test_every_word_has_a_sign() -> None:
    good = {word for word in (*STATES, *STATUSES, *OUTCOMES) if sign_of(word) != "\u2717"}
    assert {*OUTCOMES} - good == {"failed", "killed", "timed_out", "lost", "rejected", "expired"}
    assert sign_of("skipped") == "-"


def test_thirty_nodes_stay_readable() -> None:
    """Whatever the graph: one line for each node, none wider than the terminal, in the order of its layers."""
    chance = random.Random(3)
    for _turn in range(30):
        graph = Graph(random_definition(chance, 30))
        run = play(graph, lambda _name, _attempt: chance.choice(("succeeded", "failed")), chance=chance)
        layers = layers_of(graph)
        place = {name: number for number, layer in enumerate(layers) for name in layer}
        assert sorted(place) == sorted(graph.nodes)
        assert all(place[parent] < place[name] for name, parents in graph.parents.items() for parent in parents)
        lines = lines_of(run, START, 80, {})
        table = lines[2 : 2 + len(graph.nodes)]
        assert [line[6:].split()[1] for line in table] == [name for layer in layers for name in layer]
        assert max(map(len, table)) <= 100


def test_text_of_others_is_harmless() -> None:
    """Names are checked, messages are not: no line of a message passes for one of ours, and no terminal obeys it."""
    edges: Edges = {"a": "succeeded"}
    graph = Graph(define({"a": {}, "b": {"all": edges}}))
    evil = {"problems": [{"host": "h\x1b[2J", "task": "t\nPath: fine", "msg": "m\r\x1b]0;title\x07"}], "counts": {}}
    run = decide(graph, begun(graph.definition))
    run = decide(graph, end(graph, run, {"a": Outcome(1, "failed", "h\x1b[2J: t", evil)}))
    lines = lines_of(run, START, 80, {})
    assert all(line.isprintable() for line in lines)
    assert [line for line in lines if line.startswith("Path: ")] == ["Path: a (failed)"]


def test_what_is_inside_of_nodes() -> None:
    """Workflows inside with their nodes; of items, their count, and those that have failed or run."""
    inner = define({"build": {}, "test": {"all": {"build": OK}}})
    graph = Graph(define({"release": inside(inner), "each": {"for_each": ["a", "b", "c"], "all": {"release": OK}}}))
    run = decide(graph, begun(graph.definition))
    for some in (
        {"release/build": Outcome(1, OK, "", {})},
        {"release/test": Outcome(1, OK, "", {})},
        {"each[0]": Outcome(1, OK, "", {}), "each[1]": Outcome(1, "failed", "web1: Copy: no space", {})},
    ):
        run = decide(graph, end(graph, run, some))
    lines = [line.split() for line in lines_of(run, START, 120, {"each[2]": "running: step 1 of 2: Copy"})]
    assert lines[2:8] == [
        ["1", "\u2713", "release", "succeeded"],
        ["\u2713", "build", "succeeded"],
        ["\u2713", "test", "succeeded", "after", "build"],
        ["2", "\u25b6", "each", "running", *["after", "release,", "2", "of", "3", "items", "have", "ended,", "1", "of", "them", "badly"]],
        ["\u2717", "each[1]", "failed"],
        ["\u25b6", "each[2]", "running", *["running:", "step", "1", "of", "2:", "Copy"]],
    ]
    assert ["each[1]:", "failed"] in lines
    assert ["web1:", "Copy:", "no", "space"] in lines
