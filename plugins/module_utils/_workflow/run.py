# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run of a workflow: one document of a store, C(.workflows/<workflow>/<run>.json).

It holds the definition as it was when the run began, and for each node how far it has come. What it says is checked where it enters, here,
and nowhere else.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t
import uuid
from datetime import datetime

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS, USER_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import WORKFLOWS, JobKey, encode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, is_host_name, read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED as ENDS_OF_JOBS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SUFFIX, without_signature
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import is_name
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import (
    DEFAULT_TIMEOUT,
    FAILED,
    SUCCEEDED,
    Definition,
    flaws,
    hash_of,
    is_group,
    is_variable,
    split,
    wrong_value,
)

SCHEMA_VERSION = 1

Run = t.Dict[str, t.Any]
NodeOfRun = t.Dict[str, t.Any]

# What a run is
RUNNING = "running"
CANCELLING = "cancelling"
RECOVERED = "recovered"
CANCELLED = "cancelled"
VERDICTS = (SUCCEEDED, RECOVERED, FAILED, CANCELLED)
"""How a run has ended. C(recovered): nodes have failed, and edges took care of all of them."""
STATUSES = (RUNNING, CANCELLING, *VERDICTS)

# What a node of a run is
WAITING, SKIPPED, DUE, BACKOFF, ENDED = "waiting", "skipped", "due", "backoff", "ended"
STATES = (WAITING, SKIPPED, DUE, BACKOFF, ENDED)
SETTLED = (SKIPPED, ENDED)

ACCEPTED, REJECTED, EXPIRED = "accepted", "rejected", "expired"
OUTCOMES = (*ENDS_OF_JOBS, ACCEPTED, REJECTED, EXPIRED)
"""How a node has ended."""
GOOD = (SUCCEEDED, ACCEPTED)
"""With these, it has succeeded. All others count as failed."""
FINAL = (*GOOD, CANCELLED, REJECTED, EXPIRED)
"""After these, a node is not tried again by itself."""

MOST_EVENTS = 200
"""How many events a run remembers."""
_MOST_ATTEMPTS = 1_000_000
MOST_PARTS = 4000
"""Of how many jobs a run may consist."""
_LONGEST = 10_000

_OF_RUN: dict[str, t.Any] = {
    "workflow": str,
    "run": str,
    "status": str,
    "epoch": int,
    "definition": dict,
    "definition_hash": str,
    "params": dict,
    "secret_params": list,
    "events": list,
    "nodes": dict,
    "executor": str,
    "inventory": list,
    "started": str,
    "started_by": str,
}
_OPTIONAL: dict[str, t.Any] = {
    "ended": str,
    "cancelling": dict,
    "notified": dict,
    "write_id": str,
    "save_time": str,
    "schema_version": int,
    "schedule": dict,
    "commit": dict,
    # What no other run has: not even one with the same id, after this one was removed
    "begun": str,
    # The last orders to go on after the end of the run, so that each is obeyed once, on however many hosts its task runs
    "orders": list,
}
_OF_NODE: dict[str, t.Any] = {
    "outcome": str,
    "why": str,
    "first_attempt": int,
    "end": str,
    "ended": dict,
    "by": dict,
    "artifacts": dict,
    "secret": list,
    "counts": dict,
    "problems": list,
    # Of a node that consists of several jobs: what each item has come to, what they are, and above which number attempts begin
    "items": list,
    "values": list,
    "floor": int,
    # Of one that is a workflow: what its nodes have come to
    "nodes": dict,
}
WHO = ("who", "time", "reason")
"""What is noted of somebody who has decided something about a run or a node."""


def path_of_run(workflow: str, run: str) -> str:
    """Return the path of a run in its store."""
    return f"{prefix_of_runs(workflow)}{encode(run, suffix=SUFFIX)}"


def prefix_of_runs(workflow: str | None) -> str:
    """Return what the paths of all runs begin with, or of all runs of one workflow."""
    return WORKFLOWS if workflow is None else f"{WORKFLOWS}{encode(workflow)}/"


class Level(t.NamedTuple):
    """One step on the way from a run to one of its jobs."""

    definition: Definition
    nodes: dict[str, NodeOfRun]
    """What the run knows of the nodes of that definition."""
    own: str
    """The node among them in which the job is."""
    number: int | None
    """The number of the item, if that node has some."""


class Part(t.NamedTuple):
    """What a run consists of: a job, an approval, or a node with several of them."""

    name: str
    """As C(definition.split) reads it."""
    about: dict[str, t.Any]
    """What the definition says of it."""
    node: NodeOfRun
    """What the run says of it."""
    way: tuple[Level, ...]
    is_group: bool

    @property
    def is_approval(self) -> bool:
        """Whether it waits for a person."""
        return bool(self.about["kind"] == "approval")


def part_of(run: Run, name: str) -> Part:
    """Return what a run consists of, by its name.

    :raises KeyError: if there is no such part, or not yet
    """
    definition, nodes, left = run["definition"], run["nodes"], name
    way: list[Level] = []
    while True:
        own, index, left = split(definition, left)
        about, node = definition["nodes"][own], nodes[own]
        way.append(Level(definition, nodes, own, index))
        if index is not None:
            items = node.get("items", ())
            if index >= len(items):
                raise KeyError(name)
            node = items[index]
        if not left:
            group = "definition" in about or ("for_each" in about and index is None)
            return Part(name, about, node, tuple(way), group)
        if "nodes" not in node:
            raise KeyError(name)
        definition, nodes = about["definition"], node["nodes"]


def parts_of(run: Run, *states: str) -> dict[str, Part]:
    """Return all jobs and approvals of a run that are in one of these states, in the order of the file. None means in any.

    Those of a node that is not under way yet are not known.
    """
    return {part.name: part for part in _parts(run["definition"], run["nodes"], "", (), states)}


def _parts(
    definition: Definition, nodes: dict[str, NodeOfRun], before: str, way: tuple[Level, ...], states: tuple[str, ...]
) -> t.Iterator[Part]:
    for own in definition["order"]:
        about, node = definition["nodes"][own], nodes[own]
        if "for_each" in about:
            for index, item in enumerate(node.get("items", ())):
                level = Level(definition, nodes, own, index)
                yield from _parts_in(about, item, f"{before}{own}[{index}]", (*way, level), states)
        else:
            yield from _parts_in(about, node, f"{before}{own}", (*way, Level(definition, nodes, own, None)), states)


def _parts_in(about: dict[str, t.Any], node: NodeOfRun, name: str, way: tuple[Level, ...], states: tuple[str, ...]) -> t.Iterator[Part]:
    if "definition" in about:
        if "nodes" in node:
            yield from _parts(about["definition"], node["nodes"], f"{name}/", way, states)
    elif not states or node["state"] in states:
        yield Part(name, about, node, way, False)


def is_open(part: Part) -> bool:
    """Return whether all nodes that a part is inside of are under way."""
    for level in part.way:
        node = level.nodes[level.own]
        if level.number is not None:
            if node["state"] != DUE:
                return False
            node = node["items"][level.number]
        if node is not part.node and node["state"] != DUE:
            return False
    return True


NEVER_BEGAN = "the run was cancelled before it began"
"""Why an attempt has ended that was decided on, and of which nothing was ever there."""


def executor_of(run: Run, name: str) -> str:
    """Return the host on which the job of a node runs. It is the same for all of the run, whoever drives it, and from where."""
    definition, left = run["definition"], name
    while True:
        own, _index, left = split(definition, left)
        about = definition["nodes"][own]
        if not left:
            return str(about.get("executor", run["executor"]))
        definition = about["definition"]


def executors_of(run: Run) -> set[str]:
    """Return all hosts on which jobs of a run run."""
    found: set[str] = set()
    left = [run["definition"]]
    while left:
        for about in left.pop()["nodes"].values():
            if "definition" in about:
                left.append(about["definition"])
            elif about["kind"] != "approval":
                found.add(str(about.get("executor", run["executor"])))
    return found


def key_of_node(run: Run, name: str) -> JobKey:
    """Return the key of the job that a node is. There is no blank in the id of a run, so that no two runs have the same."""
    return JobKey(executor_of(run, name), f"{run['workflow']} {run['run']}", name)


def mark_of_node(run: Run, name: str) -> dict[str, str]:
    """Return what the record of the job of a node has as its metadata."""
    return {"workflow": run["workflow"], "run": run["run"], "node": name}


def is_of_node(record: Record, run: Run, name: str) -> bool:
    """Return whether a record is that of a node. A play of somebody's own may have any name, and so its jobs any key."""
    return record.get("metadata") == mark_of_node(run, name)


def is_of_run(record: Record) -> bool:
    """Return whether a record is that of a node or of a notification of some run."""
    about: t.Any = record.get("metadata")
    return (
        isinstance(about, dict)
        and about.keys() in ({"workflow", "run", "node"}, {"workflow", "run", "notification"})
        and all(isinstance(word, str) for word in about.values())
        and record.get("playbook_name") == f"{about['workflow']} {about['run']}"
    )


def is_run_id(text: t.Any) -> bool:
    """Return whether a text can be the id of a run."""
    return is_name(text) and not any(character.isspace() for character in text)


def new_run(
    definition: Definition,
    run: str,
    executor: str,
    params: dict[str, t.Any],
    secret: t.Iterable[str],
    who: str,
    inventory: t.Sequence[str] = (),
) -> Run:
    """Return a run that is about to begin.

    :arg executor: the host of all nodes that do not say another one
    :arg inventory: of the nodes that do not say another one; whoever goes on with the run has to give the same
    :arg params: values of the parameters that are no secrets
    :arg secret: the names of those that are
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "workflow": definition["name"],
        "run": run,
        "status": RUNNING,
        "epoch": 1,
        "definition": definition,
        "definition_hash": hash_of(definition),
        "params": params,
        "secret_params": sorted(secret),
        "executor": executor,
        "inventory": [*inventory],
        "events": [],
        "nodes": {name: {"state": WAITING, "attempt": 0} for name in definition["order"]},
        "started": _times.now(),
        "started_by": who,
        "begun": uuid.uuid4().hex,
    }


def begun_of(document: t.Mapping[str, t.Any]) -> str:
    """Return which run a document is, or belongs to: an id may come again when its run was removed, this does not.

    Empty if that was not noted.
    """
    return str(document.get("begun", ""))


def chosen_params(definition: Definition, given: t.Any) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return the values of all parameters: of those that are no secrets, and of those that are.

    :raises AsyncJobError: if one is missing, unknown, or not what it has to be. No value is named
    """
    if not isinstance(given, dict):
        raise AsyncJobError("params is no mapping of names to values. Nothing was started.")
    params = definition.get("params", {})
    problems = [f"there is no parameter {name!r}" for name in given if name not in params]
    values: dict[str, t.Any] = {}
    secrets: dict[str, t.Any] = {}
    for name, about in params.items():
        if name not in given and "default" not in about:
            if about.get("required", True):
                problems.append(f"the parameter {name!r} has no value")
            continue
        value = given.get(name, about.get("default"))
        problem = wrong_value(about, value)
        if problem:
            problems.append(f"the parameter {name!r} {problem}")
        (secrets if about.get("secret") else values)[name] = value
    if problems:
        known = f" Its parameters are {', '.join(params)}." if params else " It has no parameters."
        raise AsyncJobError(f"The workflow {definition['name']!r}: {'; '.join(problems)}. Nothing was started.{known}")
    return values, secrets


def time_limit_of(node: dict[str, t.Any]) -> int:
    """Return how long an attempt of a node may take, in seconds."""
    return int(node.get("timeout", DEFAULT_TIMEOUT))


def with_events(before: Run | None, after: Run, who: str, when: str) -> Run:
    """Return a run that remembers what has changed in it, by whom and when."""
    old = {} if before is None else before["nodes"]
    events = [] if before is None else [*before["events"]]
    if before is None or (before["status"], before["epoch"]) != (after["status"], after["epoch"]):
        by = after.get("cancelling", {}) if after["status"] == CANCELLING else {}
        events.append({**_event(when, who, "", 0, after["status"], by.get("reason", "")), "epoch": after["epoch"]})
    events += _changes(after["definition"], old, after["nodes"], "", (when, who), is_new=before is None)
    changed = {**after, "events": _kept(events)}
    if after["status"] in VERDICTS and "ended" not in after:
        changed["ended"] = when
    return changed


def _kept(events: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the events that a run remembers: its beginning, and the last ones. Those of items, of which hundreds may end at once, go
    first: their node tells of them."""
    of_items = [number for number, event in enumerate(events) if str(event.get("node")).endswith("]")]
    gone = {*of_items[: max(len(events) - MOST_EVENTS, 0)]}
    left = [event for number, event in enumerate(events) if number not in gone]
    return left if len(left) <= MOST_EVENTS else [left[0], *left[1 - MOST_EVENTS :]]


def changes_of(before: Run, after: Run) -> list[dict[str, t.Any]]:
    """Return what has changed in the nodes of a run, as its events say it."""
    return [*_changes(after["definition"], before["nodes"], after["nodes"], "", ("", ""), is_new=False)]


def _changes(
    definition: Definition,
    old: dict[str, NodeOfRun],
    new: dict[str, NodeOfRun],
    before: str,
    by: tuple[str, str],
    *,
    is_new: bool,
    is_item: bool = False,
) -> t.Iterator[dict[str, t.Any]]:
    """Yield what has changed in nodes. Of their items, only what has gone wrong, and what asks a person: there may be hundreds.

    :arg is_item: whether they are those of a workflow for an item: then, only approvals count
    """
    when, who = by
    for name in definition["order"]:
        node, was = new[name], old.get(name, {})
        if node is was:
            continue
        is_another_try = node["state"] == DUE and was.get("attempt") != node["attempt"]
        is_told = not is_item or definition["nodes"][name]["kind"] == "approval"
        if is_told and (was.get("state") != node["state"] or is_another_try) and not (is_new and node["state"] == WAITING):
            what = node["outcome"] if node["state"] == ENDED else node["state"]
            yield _event(when, who, f"{before}{name}", node["attempt"], what, node.get("why", ""))
        inner = definition["nodes"][name].get("definition")
        if inner is not None and "nodes" in node:
            is_new_inside = "nodes" not in was
            yield from _changes(inner, was.get("nodes", {}), node["nodes"], f"{before}{name}/", by, is_new=is_new_inside, is_item=is_item)
        items = was.get("items", [])
        for number, item in enumerate(node.get("items", ())):
            same = items[number] if number < len(items) else {}
            if item is same:
                continue
            if inner is not None and "nodes" in item:
                where, is_new_inside = f"{before}{name}[{number}]/", "nodes" not in same
                yield from _changes(inner, same.get("nodes", {}), item["nodes"], where, by, is_new=is_new_inside, is_item=True)
            if not is_item and item["state"] == ENDED and same.get("state") != ENDED and item["outcome"] not in GOOD:
                yield _event(when, who, f"{before}{name}[{number}]", item["attempt"], item["outcome"], item.get("why", ""))


def _event(when: str, who: str, node: str, attempt: int, what: str, why: str) -> dict[str, t.Any]:
    return {"time": when, "who": who, "node": node, "attempt": attempt, "what": what, "why": why}


def parse_run(document: bytes, workflow: str, run: str, *, where: str) -> Run:
    """Read a document of the store.

    :arg where: the place of the document, for the error
    :raises AsyncJobError: if it is not this run
    """
    try:
        found = read_plain(document.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, f"it is not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise _corrupt(where, "it is not a JSON object")
    version = found.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise AsyncJobError(
            f"The run {where} was written by another release of the collection rstyczynski.ansible (schema version {version!r}; this"
            f" release knows {SCHEMA_VERSION}). Nothing was changed. Upgrade the collection on this controller."
        )
    flaw = flaw_of_run(found)
    if flaw:
        raise _corrupt(where, flaw)
    if (found["workflow"], found["run"]) != (workflow, run):
        raise _corrupt(where, f"it is of the run {found['run']!r} of workflow {found['workflow']!r}: the file was moved or copied by hand")
    return without_signature(found)


def _corrupt(where: str, why: str) -> AsyncJobError:
    return AsyncJobError(
        f"The run {where} cannot be used: {why}. Nothing was changed, and nothing was started. Look at it, then put back a good copy; or"
        " remove it, once you are sure that none of its jobs runs."
    )


_SOUND: set[str] = set()
"""The hashes of definitions in which this process has found nothing wrong: whoever drives a run reads the same one again and again."""


def flaw_of_run(run: dict[str, t.Any]) -> str:
    """Return why nobody can go on with a run. Empty if somebody can."""
    for field, kind in _OF_RUN.items():
        if not _is(run.get(field), kind):
            return f"the field {field!r} is missing, or not what it should be"
    for field, kind in _OPTIONAL.items():
        if field in run and not _is(run[field], kind):
            return f"the field {field!r} is not what it should be"
    if not is_name(run["workflow"]) or not is_run_id(run["run"]) or run["definition"].get("name") != run["workflow"]:
        return "its names are none"
    if "commit" in run and not _is_commit(run["commit"]):
        return "the field 'commit' is not what it should be"
    if "schedule" in run and not _is_about_slot(run["schedule"]):
        return "the field 'schedule' is not what it should be"
    if not is_host_name(run["executor"]):
        return "its executor is no host"
    if run["status"] not in STATUSES:
        return f"its status {run['status']!r} is none of {', '.join(STATUSES)}"
    if "cancelling" in run and not _is_who(run["cancelling"]):
        return "the field 'cancelling' is not what it should be"
    digest = hash_of(run["definition"])
    if digest not in _SOUND:
        wrong = next(flaws(run["definition"]), None)
        if wrong is not None:
            return f"its definition is none: {wrong.text}"
        _SOUND.add(digest)
    if digest != run["definition_hash"]:
        return "its definition is not the one that it began with"
    if not all(is_variable(name) for name in (*run["params"], *run["secret_params"])):
        return "a parameter has a name that is none"
    if not all(isinstance(place, str) for place in run["inventory"]):
        return "its inventory is none"
    if not all(isinstance(event, dict) for event in run["events"]):
        return "an event is none"
    if not all(isinstance(said, str) for said in run.get("notified", {}).values()):
        return "what it says of notifications is none"
    flaw = _flaw_of_nodes(run["definition"], run["nodes"], "")
    if flaw:
        return flaw
    if run["status"] in VERDICTS and any(node["state"] not in SETTLED for node in run["nodes"].values()):
        return f"it is {run['status']}, and not all of its nodes are settled"
    return ""


def _flaw_of_nodes(definition: Definition, nodes: t.Any, before: str) -> str:
    if not isinstance(nodes, dict) or nodes.keys() != definition["nodes"].keys():
        return "its nodes are not those of its definition"
    for name, node in nodes.items():
        about = definition["nodes"][name]
        flaw = _flaw_of_node(node)
        if flaw:
            return f"the node {before + name!r} {flaw}"
        if not is_group(about):
            if not node.keys().isdisjoint(("items", "nodes", "values")):
                return f"the node {before + name!r} is one job, and has several"
            continue
        flaw = _flaw_of_group(about, node, before + name)
        if flaw:
            return flaw
    return ""


def _flaw_of_group(about: dict[str, t.Any], node: NodeOfRun, name: str) -> str:
    """Return what is wrong with a node that consists of several jobs. Empty if nothing is."""
    state = node["state"]
    if state == BACKOFF:
        return f"the node {name!r} has a state that only a job may have"
    if "for_each" in about:
        items = node.get("items")
        if items is None:
            return f"the node {name!r} is due, and has no items" if state == DUE else ""
        if "values" in node and isinstance(about["for_each"], list):
            return f"the node {name!r} has other items than its definition"
        if len(items) > MOST_PARTS or len(items) != len(values_of(about, node)):
            return f"the node {name!r} has not the items that it says"
        if "nodes" in node:
            return f"the node {name!r} has nodes, and not items alone"
        for number, item in enumerate(items):
            flaw = _flaw_of_node(item)
            if flaw or not item.keys().isdisjoint(("items", "values")):
                return f"the node {name + f'[{number}]'!r} {flaw or 'has items'}"
            if "definition" not in about:
                flaw = "has nodes" if "nodes" in item else ""
            elif item["state"] == DUE or "nodes" in item:
                flaw = _flaw_of_group({"definition": about["definition"]}, item, f"{name}[{number}]")
                if flaw:
                    return flaw
            if flaw:
                return f"the node {name + f'[{number}]'!r} {flaw}"
        inside: t.Iterable[NodeOfRun] = items
    else:
        if "nodes" not in node:
            return f"the node {name!r} is due, and has no nodes" if state == DUE else ""
        flaw = _flaw_of_nodes(about["definition"], node["nodes"], f"{name}/")
        if flaw:
            return flaw
        inside = node["nodes"].values()
    if state != DUE and any(one["state"] in (DUE, BACKOFF) for one in inside):
        return f"the node {name!r} is {state}, and something in it is not"
    return ""


def values_of(about: dict[str, t.Any], node: NodeOfRun) -> list[t.Any]:
    """Return the items of a node with C(for_each): as they were found when it began, or as they are written."""
    found = node.get("values", about["for_each"])
    return found if isinstance(found, list) else []


def _flaw_of_node(node: t.Any) -> str:
    if not isinstance(node, dict):
        return "is none"
    state: t.Any = node.get("state")
    attempt: t.Any = node.get("attempt")
    if state not in STATES:
        return f"has a state that is none of {', '.join(STATES)}"
    if not _is(attempt, int) or not 0 <= attempt <= _MOST_ATTEMPTS:
        return "has an attempt that is no number"
    for field, value in node.items():
        if field not in ("state", "attempt") and not (field in _OF_NODE and _is(value, _OF_NODE[field])):
            return f"has a field {field!r} that is not what it should be"
    if state in (ENDED, BACKOFF) and node.get("outcome") not in OUTCOMES:
        return "has ended, and does not say how"
    if state in (DUE, BACKOFF) and attempt < 1:
        return "is to run, and has no attempt"
    if len(str(node.get("why", ""))) > _LONGEST:
        return "gives a reason that nobody would read"
    if "by" in node and not _is_who(node["by"]):
        return "does not say who has decided on it"
    return flaw_of_report(node)


def flaw_of_report(node: NodeOfRun) -> str:
    """Return what is wrong with what a node has said of itself: in a run, or on its host just now. Empty if nothing is."""
    for name, artifact in node.get("artifacts", {}).items():
        if not is_artifact_name(name):
            return f"has an artifact {name!r}, which names no variable that a node may set"
        if not isinstance(artifact, dict) or not (
            artifact.keys() == {"value"} or (artifact.keys() == {"vault"} and isinstance(artifact["vault"], str))
        ):
            return f"has an artifact {name!r} that is none"
    if not all(isinstance(name, str) for name in node.get("secret", ())):
        return "has secrets without names"
    for host, counts in node.get("counts", {}).items():
        if not isinstance(counts, dict) or not all(_is(count, int) for count in counts.values()):
            return f"has counts of {host!r} that are none"
    if not all(isinstance(one, dict) and all(isinstance(said, str) for said in one.values()) for one in node.get("problems", ())):
        return "has problems that are none"
    return ""


def is_artifact_name(name: t.Any) -> bool:
    """Return whether an artifact may have this name. What Ansible or this collection act upon is none: as whom, where, and with what to
    work. A node is given artifacts in a way that they count more than all that an inventory says."""
    return is_variable(name) and not name.startswith("ansible_") and name not in _ACTED_UPON


# The variables with which Ansible tells playbooks of themselves and of hosts (to that with this name, it also connects), and those
# from which the roles of this collection take where the records are, and whom to become.
_ACTED_UPON = {
    *("group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname", "inventory_hostname_short"),
    *("omit", "play_hosts", "playbook_dir", "role_name", "role_names", "role_path", "vars", "delegated_vars"),
    *(f"async_job_{option}" for option in (*STORE_OPTIONS, *USER_OPTIONS)),
}


def _is(value: t.Any, kind: type) -> bool:
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _is_commit(value: dict[str, t.Any]) -> bool:
    return value.keys() == {"id", "is_dirty"} and isinstance(value["id"], str) and isinstance(value["is_dirty"], bool)


def _is_about_slot(value: dict[str, t.Any]) -> bool:
    if value.keys() != {"name", "rrule", "slot"} or not all(isinstance(one, str) for one in value.values()):
        return False
    try:
        datetime.strptime(value["slot"], "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return False
    return True


def _is_who(value: t.Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(field), str) for field in WHO) and value.keys() <= {*WHO}
