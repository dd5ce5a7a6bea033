# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of what somebody is told in a run, and what a definition may say about that."""

from __future__ import annotations

import typing as t

import pytest
from workflows import begun, define, due, ended, inside

from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import EVENTS, Graph, flaws
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.notifying import key_of_notification, noted, pending
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import flaw_of_run, with_events

TASK = {"ansible.builtin.uri": {"url": "http://hook"}}


def test_each_event_once() -> None:
    """What comes again after a resume is another event. Of a retry, nobody is told before the last one."""
    nodes = {"a": {"retries": 1}, "ask": {"approval": "Go on"}}
    channels = [{"on": [*EVENTS], "task": TASK, "name": "all"}, {"on": "failed", "task": TASK}]
    definition = define(nodes, notify=channels)
    graph = Graph(definition)
    steps = [begun(definition)]
    steps.append(decide(graph, steps[-1]))
    steps.append(ended(graph, steps[-1], a="failed"))
    steps.append(ended(graph, steps[-1], a="failed", ask="rejected"))
    steps.append(decide(graph, resume(graph, steps[-1])))
    steps.append(ended(graph, steps[-1], a="failed", ask="succeeded"))
    run: t.Any = None
    for number, step in enumerate(steps):
        run = with_events(run, {**step, "events": [] if run is None else run["events"]}, "me", f"t{number}")
    told = [(one.event, one.node, one.attempt, one.channel) for one in pending(run)]
    assert told == [
        ("started", "", 0, 0),
        ("approval", "ask", 1, 0),
        ("node_failed", "a", 2, 0),
        ("node_failed", "ask", 1, 0),
        ("failed", "", 0, 0),
        ("failed", "", 0, 1),
        ("approval", "ask", 2, 0),
    ]
    names = [one.name for one in pending(run)]
    assert len(names) == len({*names})
    assert "node_failed a 2, all" in names
    assert key_of_notification(run, pending(run)[0]) == ("host1", "w r", "notify: started t0, all")
    assert [one.message for one in pending(run) if one.event == "approval"] == ["w r: ask awaits approval: Go on"] * 2
    after = noted(run, {names[0]: "", names[1]: "it failed"})
    assert [one.name for one in pending(after)] == names[2:]
    assert noted(after, {names[1]: "", names[2]: ""})["notified"] == {names[0]: "", names[1]: "it failed", names[2]: ""}
    assert flaw_of_run(after) == ""
    assert flaw_of_run({**after, "notified": {"x": 3}}) == "what it says of notifications is none"


def test_what_is_inside_of_nodes() -> None:
    """Whom to ask is told of whatever it is inside of; of items that fail, their node tells. Nothing else is forgotten for them."""
    inner = define({"go": {"approval": "Go on"}, "b": {"all": {"go": "succeeded"}}})
    nodes = {"one": inside(inner), "each": inside(inner, for_each=[1, 2]), "many": {"for_each": [*range(300)]}}
    definition = define(nodes, notify=[{"on": [*EVENTS], "task": TASK, "name": "x"}])
    graph = Graph(definition)
    steps = [begun(definition)]
    steps.append(decide(graph, steps[-1]))
    steps.append(ended(graph, steps[-1], **{name: "succeeded" for name in due(steps[-1]) if name.endswith("/go")}))
    steps.append(ended(graph, steps[-1], **dict.fromkeys(due(steps[-1]), "failed")))
    run: t.Any = None
    for number, step in enumerate(steps):
        run = with_events(run, {**step, "events": [] if run is None else run["events"]}, "me", f"t{number}")
    assert len(run["events"]) == 200
    assert [(one.event, one.node) for one in pending(run)] == [
        ("started", ""),
        ("approval", "one/go"),
        ("approval", "each[0]/go"),
        ("approval", "each[1]/go"),
        ("node_failed", "one"),
        ("node_failed", "one/b"),
        ("node_failed", "each"),
        ("node_failed", "many"),
        ("failed", ""),
    ]
    assert [one.message for one in pending(run)][1] == "w r: one/go awaits approval: Go on"
    assert [*pending({**run, "events": [*run["events"], {"node": "each[0]/none", "what": "due", "attempt": 1}]})] == pending(run)


@pytest.mark.parametrize(
    "channels",
    [
        [],
        {"on": "failed", "task": TASK},
        [{"on": "fails", "task": TASK}],
        [{"on": [], "task": TASK}],
        [{"on": ["failed"], "task": {}}],
        [{"task": TASK}],
        [{"on": "failed", "task": TASK, "when": "always"}],
        [{"on": "failed", "task": TASK, "name": "2"}, {"on": "failed", "task": TASK}],
    ],
)
def test_channels_that_are_none(channels: t.Any) -> None:
    found = [flaw.text for flaw in flaws({**define({"a": {}}), "notify": channels})]
    assert len(found) == 1
    assert found[0].startswith("notify has to be a list of {on: events")


def test_names_of_notifications() -> None:
    """No node has such a name: their jobs would have the same."""
    definition = {**define({"notify: a": {}}), "notify": [{"on": "failed", "task": TASK}]}
    assert [flaw.text for flaw in flaws(definition)] == ["node 'notify: a': its name is one of notifications. Give it another one"]
