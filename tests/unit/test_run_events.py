# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of runs of workflows: each change of a run once, and none because of what answers them."""

from __future__ import annotations

import json
import typing as t
import uuid
from pathlib import Path

import pytest
from records import put
from workflows import define, ended

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import accept, cancel, decide, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.epochs import phases_of_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import Run, new_run, path_of_run
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _events

BY = {"who": "ann", "time": "2026-01-01T00:00:00Z", "reason": "gone"}
GRAPH = Graph(define({"a": {}, "b": {}}))


class Driven:
    """A run in a store, as its drivers write it."""

    def __init__(self, place: Path, run: str = "r", graph: Graph = GRAPH) -> None:
        self.store = FilesystemStore(str(place))
        self.graph = graph
        self.name = graph.definition["name"], run
        self.file = place / path_of_run(*self.name)
        self._write(None, decide(graph, new_run(graph.definition, run, "host1", {}, [], "me")), ABSENT)

    def _write(self, before: Run | None, after: Run, version: t.Any) -> None:
        write_run(self.store, before, after, expect=version)

    def change(self, change: t.Callable[[Run], Run]) -> None:
        """Write what follows from an order."""
        before, version = read_run(self.store, *self.name)
        assert before is not None
        self._write(before, decide(self.graph, change(before)), version)

    def end(self, **outcomes: str) -> None:
        """Let nodes end."""
        self.change(lambda run: ended(self.graph, run, **outcomes))

    def cancel(self) -> None:
        """Give it up: what runs is stopped, one tick later."""
        self.change(lambda run: cancel(run, BY))

    def resume(self) -> None:
        """Run once more what has failed."""
        self.change(lambda run: resume(self.graph, run))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "jobs"
    directory.mkdir()
    return directory


class Reader:
    """A rulebook, as far as the source knows of it."""

    def __init__(self, place: Path, **options: t.Any) -> None:
        self.log: list[str] = []
        given = {"cursor": "test", "state_dir": str(place), "begin": "all", "kind": "workflow", **options}
        self.watch = _events.Watch(given, self.log.append)

    def events(self) -> list[dict[str, t.Any]]:
        """Return what is told now, and take it."""
        events = self.watch.look()
        self.watch.handed_over(events)
        return events

    def told(self) -> list[tuple[str, int, str]]:
        """Return what is told now, in short."""
        return [(event["run"], event["attempt"], event["status"]) for event in self.events()]


def test_each_change_of_a_run_is_told_once(place: Path) -> None:
    reader = Reader(place)
    run = Driven(place)
    [event] = reader.events()
    document = json.loads(run.file.read_text())
    assert uuid.UUID(event["id"]).version == 5
    assert {name: value for name, value in event.items() if value and name not in ("id", "who", "time")} == {
        "kind": "workflow",
        "status": "running",
        "workflow": "w",
        "run": "r",
        "attempt": 1,
        "start": document["started"],
        "state_file": str(run.file),
    }
    assert reader.told() == []
    run.end(a="failed")
    assert reader.told() == []  # one of its jobs: it goes on
    run.end(b="succeeded")
    [event] = reader.events()
    document = json.loads(run.file.read_text())
    assert (event["status"], event["attempt"], event["reason"]) == ("failed", 1, "a: failed")
    assert event["end"] == event["time"] == document["ended"]
    run.resume()
    run.cancel()
    assert reader.told() == [("r", 2, "running"), ("r", 3, "cancelling")]
    run.end(a="cancelled")
    [event] = reader.events()
    assert (event["status"], event["attempt"], event["reason"]) == ("cancelled", 3, "gone")
    assert reader.told() == []
    assert reader.log[1:] == []


def test_what_has_happened_between_two_looks_is_told(place: Path) -> None:
    """Also what ends with the order itself: there is nothing to run once more, and whether it has failed is judged again."""
    reader, another = Reader(place), Reader(place, cursor="another")
    run = Driven(place)
    first = reader.events() + another.events()
    run.end(a="failed", b="failed")
    run.change(lambda now: accept(GRAPH, now, ["a"], BY))
    seen = reader.events()
    run.resume()
    run.end(b="succeeded")
    seen += reader.events()
    assert [(event["attempt"], event["status"], event["reason"]) for event in seen] == [
        (1, "failed", ""),  # what had failed then, the run does not say any more
        (2, "failed", "b: failed"),
        (3, "running", ""),
        (3, "succeeded", ""),
    ]
    assert [event["id"] for event in another.events()] == [event["id"] for event in seen]
    assert len({event["id"] for event in (*first, *seen)}) == 1 + len(seen)
    assert reader.told() == another.told() == []


def test_a_run_that_was_removed_and_begun_anew_is_another_one(place: Path) -> None:
    reader = Reader(place)
    run = Driven(place)
    [event] = reader.events()
    run.file.unlink()
    Driven(place)
    run.file.write_text(run.file.read_text().replace(event["start"], "2026-01-01T00:00:00Z"))
    [other] = reader.events()
    assert (other["status"], other["attempt"]) == ("running", 1)
    assert other["id"] != event["id"]


def test_what_a_run_has_forgotten_is_told_as_far_as_it_can_be(place: Path) -> None:
    """It remembers its beginning, and 200 events. What comes before a gap is not told a second time; how much is missing, is said."""
    graph = Graph(define({f"n{number}": {} for number in range(35)}))
    names = [*graph.definition["nodes"]]
    reader = Reader(place)
    run = Driven(place, graph=graph)
    run.end(**dict.fromkeys(names, "failed"))
    assert reader.told() == [("r", 1, "running"), ("r", 1, "failed")]
    for _again in range(4):
        run.resume()
        run.end(**dict.fromkeys(names, "failed"))
    remembered = [event["epoch"] for event in json.loads(run.file.read_text())["events"] if not event["node"]]
    assert remembered == [1, 3, 4, 4, 5, 5]  # it has forgotten the second one, and how the third has begun
    assert reader.told() == [("r", 3, "failed"), *(("r", number, status) for number in (4, 5) for status in ("running", "failed"))]
    assert "w r: 1 attempt before attempt 3 can be found in no history any more" in reader.log[-1]
    assert reader.told() == []
    run.resume()
    now = json.loads(run.file.read_text())
    assert [phase.number for phase in phases_of_run({**now, "events": now["events"][:1]}, "")] == [6]
    assert reader.told() == [("r", 6, "running")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"job1", "r", "r2"}),
        ({"kind": "workflow"}, {"r", "r2"}),
        ({"workflow": "other"}, {"r2"}),
        ({"workflow": "w", "kind": ["job"]}, set()),
        ({"status": "recovered"}, set()),
        ({"host": "web1"}, {"job1"}),
        ({"playbook_name": "Nightly"}, {"job1"}),
        ({"job_name_pattern": "*"}, {"job1"}),
    ],
)
def test_filters(place: Path, options: dict[str, t.Any], expected: set[str]) -> None:
    Driven(place)
    Driven(place, "r2", Graph({**GRAPH.definition, "name": "other"}))
    put(place, "job1", status="failed")
    events = Reader(place, **{"kind": ["job", "approval", "workflow"], **options}).events()
    assert {event["job_name"] or event["run"] for event in events} == expected


def test_an_answer_is_not_answered(place: Path) -> None:
    """Nor its nodes, nor whom they ask. An answer that fails would be answered by the next one, without an end."""
    kinds = ["job", "approval", "workflow"]
    reader = Reader(place, kind=kinds)
    run = Driven(place)
    [event] = reader.events()
    answer = Driven(place, event["id"])
    put(place, "a", playbook=f"w {event['id']}", status="failed")
    assert reader.told() == []
    answer.end(a="failed", b="failed")
    run.end(a="failed", b="failed")
    assert reader.told() == [("r", 1, "failed")]
    everything = Reader(place, kind=kinds, cursor="all", reactions=True).events()
    assert {one["job_name"] or one["run"] for one in everything} == {"a", "r", event["id"]}


def test_an_event_is_answered_by_a_run_once_that_has_ended(place: Path) -> None:
    """Before that, whoever drove it may be gone: only whoever goes on with it, ends it."""
    options = {"until": "answered", "status": ["failed"]}
    Driven(place).end(a="failed", b="failed")
    [event] = Reader(place, **options).watch.look()
    answer = Driven(place, event["id"])
    assert [again["id"] for again in Reader(place, **options).watch.look()] == [event["id"]]
    answer.end(a="failed", b="failed")
    assert Reader(place, **options).watch.look() == []


def test_what_a_list_lacks_is_there_all_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(place)
    run = Driven(place)
    assert len(reader.told()) == 1
    with monkeypatch.context() as patched:
        patched.setattr(FilesystemStore, "entries", lambda _store, _prefix="": iter(()))
        assert reader.told() == []
        run.end(a="succeeded", b="succeeded")
        assert reader.told() == [("r", 1, "succeeded")]
    assert reader.told() == []


def test_a_run_that_cannot_be_read_is_said_and_not_forgotten(place: Path) -> None:
    reader = Reader(place)
    run = Driven(place)
    reader.told()
    content = run.file.read_bytes()
    run.file.write_bytes(b"{")
    assert reader.told() == reader.told() == []
    assert len([line for line in reader.log if "r.json cannot be used" in line]) == 1
    run.file.write_bytes(content)
    assert reader.told() == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"epoch": True, "what": "failed"},
        {"epoch": "1", "what": "failed"},
        {"epoch": 7, "what": "failed"},
        {"epoch": 1, "what": ["failed"]},
        {"epoch": 1, "what": "nonsense"},
        {"epoch": 1, "what": "failed", "node": 3},
    ],
)
def test_what_is_no_event_is_none(place: Path, event: dict[str, t.Any]) -> None:
    run = Driven(place)
    document = json.loads(run.file.read_text())
    run.file.write_text(json.dumps({**document, "events": [*document["events"], event]}))
    assert Reader(place).told() == [("r", 1, "running")]


def test_what_an_event_says_is_data(place: Path) -> None:
    """And the cursor says nothing but texts and numbers of it."""
    run = Driven(place)
    document = json.loads(run.file.read_text())
    odd = {"epoch": 1, "what": "cancelling", "who": ["x"], "why": "{{ lookup('pipe', 'id') }}", "time": 5}
    run.file.write_text(json.dumps({**document, "events": [odd, odd, *document["events"]]}))
    [event] = Reader(place, status="cancelling").events()
    assert (event["who"], event["time"], event["reason"], event["withheld"]) == ("", "", "", ["reason"])
