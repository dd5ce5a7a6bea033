# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of stores holds together."""

from __future__ import annotations

import ast
import importlib
from collections import Counter
from pathlib import Path

import pytest

PLUGINS = "ansible_collections.rstyczynski.ansible.plugins.module_utils"
BACKENDS = importlib.import_module(f"{PLUGINS}._backends").BACKENDS
STORE_OPTIONS = importlib.import_module(f"{PLUGINS}._options").STORE_OPTIONS
ChosenStore = importlib.import_module(f"{PLUGINS}._store.base").ChosenStore


@pytest.mark.parametrize("name", BACKENDS)
def test_a_row(name: str) -> None:
    """Its class is there and is a store, and what it says of options is about its own."""
    row = BACKENDS[name]
    implementation = getattr(importlib.import_module(f"{PLUGINS}._store.{row.module}"), row.class_name)
    assert issubclass(implementation, ChosenStore)
    assert not implementation.__abstractmethods__
    assert row.place
    assert {*row.place, *row.paths} <= row.options.keys()
    assert bool(row.package) == bool(row.install)


def test_options_of_all() -> None:
    """No two stores have an option or an alias of the same name, since all of them are options of each task."""
    specs = [(option, spec) for row in BACKENDS.values() for option, spec in row.options.items()]
    names = Counter(name for option, spec in specs for name in (option, *spec.get("aliases", ())))
    assert set(names.values()) == {1}
    assert STORE_OPTIONS["backend"]["choices"] == list(BACKENDS)


def test_modules_take_every_store_along() -> None:
    """Ansible packs what it sees imported. The table has names only, so that they stand in the file that chooses, too."""
    file = importlib.import_module(f"{PLUGINS}._store.choose").__file__
    imported = {
        alias.name
        for node in ast.walk(ast.parse(Path(str(file)).read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).endswith("._store")
        for alias in node.names
    }
    assert imported == {row.module for row in BACKENDS.values()}
