# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a workflow is, whatever it was written as: nodes, and what each of them waits for. A run keeps it as it was at its start.

A definition is plain JSON, so that it can be stored and compared. :func:`flaws` says what is wrong with one, be it compiled from a file
just now or read from a store; nothing else has to doubt it after that.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import is_host_name
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import MOST
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless, is_name

Definition = t.Dict[str, t.Any]
"""A workflow: C(name), C(params), C(vars), C(nodes), C(order), C(max_parallel), C(recovered_is)."""

KINDS = ("playbook", "task", "command", "approval", "workflow")
"""What a node can be. The field of that name says what it does."""

SUCCEEDED = "succeeded"
FAILED = "failed"
FINISHED = "finished"
EDGES = (SUCCEEDED, FAILED, FINISHED)
"""What a node may wait for: that another one has succeeded, has not, or has come to any end."""

JOINS = ("all", "any")

STARTED_EVENT = "started"
VERDICT_EVENTS = (SUCCEEDED, "recovered", FAILED, "cancelled")
EVENTS = (STARTED_EVENT, "node_failed", "approval", *VERDICT_EVENTS)
"""What somebody may be notified of: that a run has started, that a node has failed for good, that a person has to decide, and how the run
has ended."""

TYPES = ("any", "str", "int", "float", "bool", "list", "dict")
"""What a parameter may be."""

DEFAULT_TIMEOUT = 86400
"""How long a node may run that does not say it, in seconds."""

# No workflow comes near these. What is larger is a mistake, or was put there to keep us busy.
_MOST_NODES = 2000
_MOST_PARENTS = 500
_DEEPEST = 5
MOST_ITEMS = 2000
_LONGEST_TEXT = 10_000
_LARGEST_NUMBER = 10 * 365 * 86400

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TEMPLATE = re.compile(r"\{[{%#]")
# The name of the approval that an attempt of a node asks for that is not its first one
_LATER_ATTEMPT = re.compile(r"(.+) \([0-9]+\)\Z")


class Flaw(t.NamedTuple):
    """What is wrong with a definition."""

    node: str
    """Empty if it is not about one."""
    field: str
    text: str


class Rule(t.NamedTuple):
    """What a field has to be."""

    check: t.Callable[[t.Any], bool]
    what: str


def is_variable(text: t.Any) -> bool:
    """Return whether a text can name a variable."""
    return isinstance(text, str) and _VARIABLE.match(text) is not None


def _is_finite(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_text(value: t.Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and "\0" not in value


def _is_word(value: t.Any) -> bool:
    return _is_text(value) and not value.startswith("-") and value.isprintable()


def _is_number(least: int) -> t.Callable[[t.Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST_NUMBER


def _is_list_of(check: t.Callable[[t.Any], bool], least: int = 0) -> t.Callable[[t.Any], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(check, value))


def _is_task(value: t.Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(key, str) for key in value)


def _is_semaphore(value: t.Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"name", "at_most"}:
        return False
    return is_name(value["name"]) and _is_number(1)(value["at_most"]) and value["at_most"] <= MOST


def _are_channels(value: t.Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    names = []
    for number, channel in enumerate(value):
        if not isinstance(channel, dict) or not channel.keys() <= {"on", "task", "name"} or not _is_task(channel.get("task")):
            return False
        on = channel.get("on")
        if not all(event in EVENTS for event in ([on] if isinstance(on, str) else on if isinstance(on, list) and on else [None])):
            return False
        names.append(channel.get("name", str(number + 1)))
    return all(map(is_name, names)) and len(set(names)) == len(names)


_TEXT = Rule(_is_text, "has to be a text")
_WORDS = Rule(_is_list_of(_is_word), "has to be a list of words")
_FLAG = Rule(lambda value: isinstance(value, bool), "has to be true or false")
_VARIABLES = Rule(
    lambda value: isinstance(value, dict) and all(isinstance(key, str) and _VARIABLE.match(key) for key in value),
    "has to be a mapping, with names of variables as its keys",
)


def _at_least(least: int) -> Rule:
    return Rule(_is_number(least), f"has to be a whole number, {least} or more")


def _is_for_each(value: t.Any) -> bool:
    if isinstance(value, list):
        return len(value) <= MOST_ITEMS
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
        return False
    return value.keys() == {"param"} or value.keys() == {"node", "artifact"}


# What each kind of node may say, beside what all may.
_FIELDS: dict[str, dict[str, Rule]] = {
    "playbook": {
        "playbook": Rule(_is_word, "has to name a playbook"),
        "inventory": Rule(_is_list_of(_is_word, 1), "has to name one or more inventories"),
        "limit": Rule(_is_text, "has to be a pattern of hosts"),
        "tags": _WORDS,
        "skip_tags": _WORDS,
        "forks": _at_least(1),
    },
    "task": {
        "task": Rule(_is_task, "has to be one action with its options, as a task has them"),
        "inventory": Rule(_is_list_of(_is_word, 1), "has to name one or more inventories"),
        "limit": Rule(_is_text, "has to be a pattern of hosts"),
        "forks": _at_least(1),
    },
    "command": {
        "command": Rule(
            lambda value: _is_text(value) or _is_list_of(lambda word: isinstance(word, str) and "\0" not in word, 1)(value),
            "has to be a command: a text, or a list of words",
        )
    },
    "approval": {
        "approval": Rule(
            lambda value: _is_text(value) and harmless(value) == value and not _TEMPLATE.search(value),
            "has to say in one line what is asked for, with no marks of a template",
        ),
        "on_timeout": Rule(lambda value: value in ("reject", "approve"), "has to be 'reject' or 'approve'"),
        "allow_self": _FLAG,
    },
    "workflow": {
        "workflow": Rule(_is_word, "has to name the file of a workflow"),
        "name": Rule(is_name, "has to name one of the workflows in that file"),
        "params": _VARIABLES,
        "params_from": Rule(
            lambda value: _VARIABLES.check(value) and all(map(is_variable, value.values())),
            "has to be a mapping of parameters to names of what each gets",
        ),
        "vars": _VARIABLES,
        "definition": Rule(lambda value: isinstance(value, dict), "has to be a workflow"),
    },
}
_OF_ITEMS: dict[str, Rule] = {
    "for_each": Rule(
        _is_for_each,
        f"has to be a list of at most {MOST_ITEMS} items, {{param: NAME}}, or {{node: NAME, artifact: NAME}}",
    ),
    "max_parallel": _at_least(1),
    "item_var": Rule(
        lambda value: is_variable(value) and value not in ("item", "async_workflow") and not value.startswith("ansible_"),
        "has to name a variable: any but item, which loops of tasks use, async_workflow, and those of Ansible",
    ),
}
_OF_JOBS: dict[str, Rule] = {
    "vars": _VARIABLES,
    "retries": _at_least(0),
    "retry_delay": _at_least(0),
    "semaphore": Rule(_is_semaphore, f"has to be {{name: ..., at_most: 1 to {MOST}}}"),
    "executor": Rule(lambda value: _is_word(value) and is_host_name(value), "has to be the name of a host"),
}
_OF_ALL: dict[str, Rule] = {
    "kind": Rule(lambda value: value in KINDS, f"has to be one of {', '.join(KINDS)}"),
    "join": Rule(lambda value: value in JOINS, f"has to be one of {', '.join(JOINS)}"),
    "parents": Rule(
        lambda value: (
            isinstance(value, dict) and len(value) <= _MOST_PARENTS and all(isinstance(key, str) and value[key] in EDGES for key in value)
        ),
        f"has to name nodes, each with one of {', '.join(EDGES)}",
    ),
}
_OF_WORKFLOW: dict[str, Rule] = {
    "name": Rule(is_name, "has to be a name: one line of at most 100 characters, with no marks of a template"),
    "params": _VARIABLES,
    "vars": _VARIABLES,
    "nodes": Rule(lambda value: isinstance(value, dict) and 0 < len(value) <= _MOST_NODES, "has to be a mapping of one or more nodes"),
    "order": Rule(_is_list_of(lambda name: isinstance(name, str)), "has to name all nodes"),
    "max_parallel": _at_least(1),
    "notify": Rule(
        _are_channels,
        "has to be a list of {on: events, task: one action with its options}, each with its own name if it has one; the events are"
        f" {', '.join(EVENTS)}",
    ),
    "recovered_is": Rule(lambda value: value in (SUCCEEDED, FAILED), f"has to be {SUCCEEDED!r} or {FAILED!r}"),
    "allow_simultaneous": _FLAG,
    # Of a workflow inside another one: where its file is, from the directory of the outer one
    "directory": Rule(lambda value: _is_word(value) and not value.startswith("/"), "has to be a relative path"),
}
_OF_PARAM: dict[str, Rule] = {
    "type": Rule(lambda value: value in TYPES, f"has to be one of {', '.join(TYPES)}"),
    "choices": Rule(lambda value: isinstance(value, list) and bool(value), "has to be a list"),
    "required": _FLAG,
    "secret": _FLAG,
    "description": _TEXT,
    "min": Rule(_is_finite, "has to be a number"),
    "max": Rule(_is_finite, "has to be a number"),
    "default": Rule(lambda value: True, ""),
}
_NEEDED = ("name", "nodes", "order")


def _rules_of(kind: str) -> dict[str, Rule]:
    """Return what a node of a kind may say, beside what it waits for."""
    if kind == "approval":
        return {**_FIELDS[kind], "timeout": _at_least(1)}
    if kind == "workflow":
        return {**_FIELDS[kind], **_OF_ITEMS}
    return {**_FIELDS[kind], **_OF_JOBS, **_OF_ITEMS, "timeout": _at_least(1)}


FIELDS_OF_NODES: dict[str, tuple[str, ...]] = {kind: tuple(field for field in _rules_of(kind) if field != "definition") for kind in KINDS}
"""What people may say of a node of each kind, less what it waits for."""
FIELDS_OF_WORKFLOW = tuple(field for field in _OF_WORKFLOW if field not in ("order", "directory"))
FIELDS_OF_PARAM = tuple(_OF_PARAM)


def flaws(definition: t.Any, depth: int = 0) -> t.Iterator[Flaw]:
    """Yield all that is wrong with a definition. What follows from another flaw is not said.

    :arg depth: how many workflows it is inside of
    """
    if not isinstance(definition, dict):
        yield Flaw("", "", "it has to be a mapping")
        return
    found = [*_wrong_fields(definition, _OF_WORKFLOW, _NEEDED, "")]
    yield from found
    if not any(flaw.field == "params" for flaw in found):
        of_params = [flaw for name, param in definition.get("params", {}).items() for flaw in _flaws_of_param(name, param)]
        yield from of_params
        found += of_params
    if any(flaw.field == "nodes" for flaw in found):
        return
    nodes = definition["nodes"]
    if not any(flaw.field == "order" for flaw in found) and sorted(definition["order"]) != sorted(nodes):
        yield Flaw("", "order", f"order {_OF_WORKFLOW['order'].what}, each once")
    sound = True
    for name, node in nodes.items():
        here = [*_flaws_of_node(name, node, nodes)]
        again = _LATER_ATTEMPT.match(name) if isinstance(name, str) else None
        if again and all(isinstance(one, dict) and one.get("kind") == "approval" for one in (node, nodes.get(again[1]))):
            here.append(
                Flaw(name, "", f"node {name!r}: a later attempt of {again[1]!r} asks for an approval of this name. Give it another one")
            )
        if definition.get("notify") and str(name).startswith("notify: "):
            here.append(Flaw(name, "", f"node {name!r}: its name is one of notifications. Give it another one"))
        sound &= not here
        yield from here
    if sound:
        cycle = _cycle({name: node["parents"] for name, node in nodes.items()})
        if cycle:
            yield Flaw(cycle[0], "parents", f"nodes wait for each other in a circle: {' -> '.join(cycle)}")
        elif not found:
            yield from _flaws_of_groups(definition, depth)


def _flaws_of_groups(definition: Definition, depth: int) -> t.Iterator[Flaw]:
    """Yield what is wrong with nodes that consist of several jobs."""
    if not depth and count_of_nodes(definition) > _MOST_NODES:
        yield Flaw("", "nodes", f"with those of the workflows inside, there are more than {_MOST_NODES} nodes")
        return
    graph: Graph | None = None
    params, nodes = definition.get("params", {}), definition["nodes"]
    for name, node in nodes.items():
        items, inner = node.get("for_each"), node.get("definition")
        for field in ("max_parallel", "item_var"):
            if items is None and field in node:
                yield Flaw(name, field, f"node {name!r}: {field} means nothing without for_each")
        begin = f"{name}[" if items is not None else f"{name}/" if inner is not None else None
        alike = next((other for other in nodes if begin and other.startswith(begin)), None)
        if alike is not None:
            yield Flaw(name, "", f"node {name!r}: what it consists of has names that begin with {begin}, and so has the node {alike!r}")
        if isinstance(items, dict) and "param" in items and (items["param"] not in params or params[items["param"]].get("secret")):
            yield Flaw(name, "for_each", f"node {name!r}: for_each: there is no parameter {items['param']!r} that is no secret")
        if isinstance(items, dict) and "node" in items:
            graph = graph or Graph(definition, inner=False)
            if items["node"] not in graph.before(name):
                yield Flaw(name, "for_each", f"node {name!r}: for_each: {items['node']!r} is no node that comes before it")
        if inner is None:
            continue
        if depth >= _DEEPEST:
            yield Flaw(name, "workflow", f"node {name!r}: workflows may be {_DEEPEST} deep inside each other")
            continue
        wrong = next(flaws(inner, depth + 1), None)
        if wrong is not None:
            yield Flaw(name, "workflow", f"node {name!r}: the workflow {node['workflow']}: {wrong.text}")
            continue
        yield from _flaws_of_given(name, node, inner)


def _flaws_of_given(name: str, node: dict[str, t.Any], inner: Definition) -> t.Iterator[Flaw]:
    """Yield what is wrong with what a workflow inside another one is given."""
    params, given, sources = inner.get("params", {}), node.get("params", {}), node.get("params_from", {})
    where = f"node {name!r}: the workflow {inner['name']!r}"
    for param in {**given, **sources}:
        if param not in params:
            known = f"; it has {', '.join(params)}" if params else ""
            yield Flaw(name, "params" if param in given else "params_from", f"{where} has no parameter {param!r}{known}")
        elif param in given and param in sources:
            yield Flaw(name, "params_from", f"{where} gets its parameter {param!r} twice, by params and by params_from")
        elif param in given:
            problem = wrong_value(params[param], given[param])
            if problem:
                yield Flaw(name, "params", f"{where}: the parameter {param!r} {problem}")
    for param, about in params.items():
        if param not in given and param not in sources and "default" not in about and about.get("required", True):
            yield Flaw(name, "params", f"{where}: the parameter {param!r} has no value")


def _wrong_fields(given: dict[str, t.Any], rules: dict[str, Rule], needed: t.Iterable[str], node: str) -> t.Iterator[Flaw]:
    for field in needed:
        if field not in given:
            yield Flaw(node, field, f"{_of(node)}{field} is missing")
    for field, value in given.items():
        rule = rules.get(field)
        if rule is None:
            yield Flaw(node, str(field), f"{_of(node)}{field!r} has no meaning there")
        elif not rule.check(value):
            yield Flaw(node, field, f"{_of(node)}{field} {rule.what}")


def _of(node: str) -> str:
    return f"node {node!r}: " if node else ""


def _flaws_of_node(name: t.Any, node: t.Any, nodes: dict[str, t.Any]) -> t.Iterator[Flaw]:
    if not is_name(name):
        yield Flaw(str(name), "", f"node {name!r}: its name {_OF_WORKFLOW['name'].what}")
        return
    if not isinstance(node, dict):
        yield Flaw(name, "", f"node {name!r}: it has to be a mapping")
        return
    kind = node.get("kind")
    if kind not in KINDS:
        yield Flaw(name, "kind", f"node {name!r}: it is none of {', '.join(KINDS)}")
        return
    needed = ("parents", "join", kind, *(("definition",) if kind == "workflow" else ()))
    found = [*_wrong_fields(node, {**_OF_ALL, **_rules_of(kind)}, needed, name)]
    yield from found
    if not any(flaw.field == "parents" for flaw in found):
        for parent in node["parents"]:
            if parent not in nodes:
                yield Flaw(name, "parents", f"node {name!r} waits for {parent!r}, and there is no such node")


def _flaws_of_param(name: str, param: t.Any) -> t.Iterator[Flaw]:
    where = f"params.{name}"
    if name.startswith("ansible_"):
        yield Flaw("", where, f"the parameter {name!r} has a name that belongs to Ansible. Give it another one")
    if not isinstance(param, dict):
        yield Flaw("", where, f"the parameter {name!r} has to be a mapping, such as {{default: latest}}")
        return
    for flaw in _wrong_fields(param, _OF_PARAM, (), ""):
        yield Flaw("", f"{where}.{flaw.field}", f"the parameter {name!r}: {flaw.text}")
        return
    if "default" in param:
        problem = wrong_value(param, param["default"])
        if problem:
            yield Flaw("", f"{where}.default", f"the parameter {name!r}: its default {problem}")


_PYTHON_TYPES: dict[str, t.Any] = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict, "any": object}


def wrong_value(param: dict[str, t.Any], value: t.Any) -> str:
    """Return what is wrong with the value of a parameter, without saying the value: it may be a secret. Empty if nothing is."""
    kind = param.get("type", "any")
    if kind != "any" and (not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "bool")):
        return f"has to be of the type {kind}"
    choices = param.get("choices")
    if choices is not None:
        chosen = value if isinstance(value, list) and kind == "list" else [value]
        if not all(one in choices for one in chosen):
            return f"has to be one of {', '.join(map(str, choices))}"
    size = len(value) if isinstance(value, (str, list)) else value if _is_finite(value) else None
    if size is not None and not param.get("min", size) <= size <= param.get("max", size):
        least, most = param.get("min", "any"), param.get("max", "any")
        return f"has to be between {least} and {most}{'' if _is_finite(value) else ' long'}"
    return ""


def _cycle(parents: dict[str, t.Iterable[str]]) -> list[str]:
    """Return nodes that wait for each other, the first one once more at the end. Empty if there are none."""
    left = {name: set(some) for name, some in parents.items()}
    ready = [name for name, some in left.items() if not some]
    children: dict[str, list[str]] = {}
    for name, some in parents.items():
        for parent in some:
            children.setdefault(parent, []).append(name)
    while ready:
        name = ready.pop()
        del left[name]
        for child in children.get(name, ()):
            left[child].discard(name)
            if not left[child]:
                ready.append(child)
    if not left:
        return []
    # Each of those that are left waits for another one of them: go from one to the next until one comes again.
    way: list[str] = []
    name = min(left)
    while name not in way:
        way.append(name)
        name = min(left[name])
    return [*reversed([*way[way.index(name) :], name])]


def count_of_nodes(definition: t.Any) -> int:
    """Return how many nodes there are, with those of workflows inside. Whoever asks need not know that the definition is sound."""
    nodes = definition.get("nodes") if isinstance(definition, dict) else None
    if not isinstance(nodes, dict):
        return 0
    return len(nodes) + sum(
        count_of_nodes(node["definition"]) for node in nodes.values() if isinstance(node, dict) and "definition" in node
    )


def hash_of(definition: Definition) -> str:
    """Return what tells a definition from all others."""
    text = json.dumps(definition, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def is_group(node: dict[str, t.Any]) -> bool:
    """Return whether a node of a definition consists of several jobs: for each item one, or those of a workflow."""
    return "for_each" in node or "definition" in node


def split(definition: Definition, name: str) -> tuple[str, int | None, str]:
    """Return of which node of a definition something is a part: the node, the number of the item, and the name of the part in that.

    What a run consists of has one name: C(deploy), C(deploy[3]) for an item, C(release/deploy) for the node of a workflow inside,
    C(release[0]/deploy[3]) for all at once.

    :raises KeyError: if there is no such part
    """
    nodes = definition["nodes"]
    if name in nodes:
        return name, None, ""
    for match in _PARTS.finditer(name):
        own, rest = name[: match.start()], name[match.start() :]
        about = nodes.get(own)
        if about is None or not is_group(about):
            continue
        if "for_each" not in about:
            if rest[0] == "/":
                return own, None, rest[1:]
            continue
        item = _ITEM.match(rest)
        if item and (item[2] == "" or (item[2][0] == "/" and "definition" in about)):
            return own, int(item[1]), item[2][1:]
    raise KeyError(name)


_PARTS = re.compile(r"[\[/]")
_ITEM = re.compile(r"\[(0|[1-9][0-9]{0,5})\](.*)\Z")


class Graph:
    """The nodes of a sound definition, with what is worked out about them once.

    :arg inner: whether that of the workflows among its nodes is needed, too
    """

    def __init__(self, definition: Definition, *, inner: bool = True) -> None:
        self.definition = definition
        self.nodes: dict[str, dict[str, t.Any]] = {name: definition["nodes"][name] for name in definition["order"]}
        self.parents: dict[str, dict[str, str]] = {name: node["parents"] for name, node in self.nodes.items()}
        self.children: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, parents in self.parents.items():
            for parent in parents:
                self.children[parent].append(name)
        self.handled = {parent for parents in self.parents.values() for parent, edge in parents.items() if edge != SUCCEEDED}
        """The nodes whose failure an edge takes care of."""
        self.inner = {name: Graph(node["definition"]) for name, node in self.nodes.items() if inner and "definition" in node}
        """The graphs of those nodes that are workflows."""
        self.order = self._sorted()
        """All nodes, each after those that it waits for; what is not decided by that is as it was written."""

    def _sorted(self) -> list[str]:
        left = {name: len(parents) for name, parents in self.parents.items()}
        order = [name for name, count in left.items() if not count]
        for name in order:  # it grows meanwhile
            for child in self.children[name]:
                left[child] -= 1
                if not left[child]:
                    order.append(child)
        return order

    def after(self, names: t.Iterable[str]) -> set[str]:
        """Return all nodes that come after these, however far."""
        found: set[str] = set()
        left = [*names]
        while left:
            for child in self.children[left.pop()]:
                if child not in found:
                    found.add(child)
                    left.append(child)
        return found

    def before(self, name: str) -> list[str]:
        """Return all nodes that come before this one, the nearest first."""
        found: dict[str, None] = {}
        level = [*self.parents[name]]
        while level:
            found.update(dict.fromkeys(level))
            level = [parent for one in level for parent in self.parents[one] if parent not in found]
        return [*found]
