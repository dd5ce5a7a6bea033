# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wings of the house: who may import whom. The table says all that is allowed, and nothing that nobody needs."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
PACKAGE = "ansible_collections.rstyczynski.ansible.plugins"

# Small files that everybody may import: they know of nothing but each other.
LEAVES = ("_ara", "_backends", "_clock", "_errors", "_failure", "_keywords", "_options", "_statuses", "_terminal", "_times", "_trust")

# Lowest first: each wing with what it may import beside the leaves and its own files, all of which is above it. What has a dot is
# that file alone. Imports inside of functions and those for types only count, too: a wing that needs another one only sometimes
# needs it.
ALLOWED: dict[str, tuple[str, ...]] = {
    # What is sent to hosts, and nothing else
    "_host": (),
    "_store": (),
    # Which boot is ours says which clock an age is measured by; the place of a run is that of a job.
    "_records": ("_host.place", "_host.processes", "_store.base"),
    # Who claims a job says which process of this controller that is.
    "_start": ("_host.processes", "_records"),
    # What follows in a run, and in which order it is done. Nothing there touches a host.
    "_workflow": ("_records", "_start.exactly_once", "_store.base"),
    "_report_page": (
        "_records.ages",
        "_records.ara",
        "_records.last_line",
        "_records.record",
        "_workflow.definition",
        "_workflow.run",
        "_workflow.shown",
    ),
    # One file per module. What a status looks like is the host's to say.
    "_modules": (
        "_host.results_file",
        "_host.seen",
        "_records",
        "_report_page",
        "_store.base",
        "_store.choose",
        # Whoever signs has to see what is not signed.
        "_store.signed",
        # So does whoever signs runs: what they are.
        "_workflow",
    ),
    "plugin_utils": (
        "_host.attempt_directory",
        "_host.attempt_files",
        "_host.command",
        "_host.job",
        "_host.job_file",
        "_host.place",
        "_host.processes",
        "_host.results_file",
        "_host.node",
        "_modules.async_job",
        "_modules.async_job_approval",
        "_host.seen",
        "_modules.async_job_state",
        "_modules.async_job_status",
        "_records",
        "_start",
        "_store.base",
        "_store.choose",
        "_workflow",
    ),
    "action": (
        "_host.seen",
        "_modules",
        "_records",
        "_store.base",
        "_store.choose",
        "_workflow",
        "plugin_utils",
    ),
    # Ansible sends what they import: async_job runs on hosts, and the others need no host.
    "modules": ("_host.command", "_host.node", "_modules"),
    "inventory": ("_records", "_store.choose", "plugin_utils._ansible", "plugin_utils._flaws"),
    # What others print of results. What runs in the playbooks of nodes needs nothing, where nothing else of ours need be.
    "callback": ("plugin_utils._ansible",),
    "doc_fragments": (),
}

# Wings whose files know nothing of each other
APART = ("_modules", "action", "modules", "inventory", "callback", "doc_fragments")

FILES = {
    ".".join(file.relative_to(PLUGINS).with_suffix("").parts).removeprefix("module_utils."): file for file in sorted(PLUGINS.rglob("*.py"))
}


def _mentioned(name: str, tree: ast.AST) -> Iterator[str]:
    """Yield the full names of what a file of this package imports, or names to be imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = name.split(".")[: -node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            yield node.value


def _file_of(mentioned: str) -> str | None:
    """Return the file of ours that this is, or is in."""
    if not mentioned.startswith(f"{PACKAGE}."):
        return None
    short = mentioned.removeprefix(f"{PACKAGE}.").removeprefix("module_utils.")
    return next((name for name in (short, short.rpartition(".")[0]) if name in FILES), None)


def _imports() -> dict[str, set[str]]:
    """Return what each file imports of ours."""
    found = {}
    for name, file in FILES.items():
        full = ".".join([PACKAGE, *file.relative_to(PLUGINS).with_suffix("").parts])
        others = (_file_of(mentioned) for mentioned in _mentioned(full, ast.parse(file.read_text("utf-8"))))
        found[name] = {other for other in others if other is not None and other != name}
    return found


IMPORTS = _imports()


def _wing(name: str) -> str:
    return name.partition(".")[0]


def _is_allowed(name: str, imported: str) -> bool:
    wing = _wing(name)
    if wing == _wing(imported):
        return wing not in APART
    return imported in LEAVES or bool({imported, _wing(imported)} & set(ALLOWED.get(wing, ())))


def test_every_file_is_in_a_wing() -> None:
    """Or it is a leaf."""
    assert {_wing(name) for name in FILES} - set(LEAVES) == set(ALLOWED)
    assert len([name for name, imported in IMPORTS.items() if imported]) > len(ALLOWED)  # they have been found


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_what_its_wing_may(name: str) -> None:
    """Whoever needs more changes the table, and says why."""
    assert [imported for imported in sorted(IMPORTS[name]) if not _is_allowed(name, imported)] == []


def test_nothing_is_allowed_that_nobody_needs() -> None:
    used = {(_wing(name), other) for name, imported in IMPORTS.items() for full in imported for other in (full, _wing(full))}
    assert [(wing, other) for wing, others in ALLOWED.items() for other in others if (wing, other) not in used] == []


def test_nothing_imports_upwards() -> None:
    """What a wing may import stands before it in the table."""
    order = [*LEAVES, *ALLOWED]
    assert [(wing, other) for wing, others in ALLOWED.items() for other in others if order.index(_wing(other)) >= order.index(wing)] == []


def test_no_circles() -> None:
    """Neither between files nor between wings."""
    between_wings: dict[str, set[str]] = {}
    for name, imported in IMPORTS.items():
        between_wings.setdefault(_wing(name), set()).update({_wing(other) for other in imported} - {_wing(name)})
    graphs: list[dict[str, set[str]]] = [IMPORTS, between_wings]
    for graph in graphs:
        graphlib.TopologicalSorter(graph).prepare()


def test_a_module_has_one_file_of_its_own() -> None:
    """And imports no other module's."""
    others = {name: {other for other in IMPORTS[name] if _wing(other) == "_modules"} for name in FILES if _wing(name) == "modules"}
    assert others == {name: {f"_{name}"} for name in others}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"from {PACKAGE}.module_utils._store import base", "_store.base"),
        (f"from {PACKAGE}.module_utils._store.base import Store", "_store.base"),
        (f"import {PACKAGE}.module_utils._store.base as b", "_store.base"),
        ("from .._store.base import Store", "_store.base"),
        ("from . import key", "_records.key"),
        (f"def f():\n    from {PACKAGE}.plugin_utils._action import x", "plugin_utils._action"),
        (f"importlib.import_module('{PACKAGE}.module_utils._store.oci')", "_store.oci"),
        ("import json", None),
    ],
)
def test_imports_are_found(line: str, found: str | None) -> None:
    """However they are written."""
    mentioned = _mentioned(f"{PACKAGE}.module_utils._records.record", ast.parse(line))
    assert {_file_of(name) for name in mentioned} - {None} == ({found} if found else set())
