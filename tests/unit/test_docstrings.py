# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docstrings begin in one way: those of functions say what to do, those of properties what something is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"

# No imperative begins like this.
NOT_OF_FUNCTIONS = {
    *("What", "Whether", "Why", "How", "Who", "Whom", "When", "Where", "A", "An", "The", "All", "Called", "Returns", "Its", "One"),
    *("Ours", "Nothing", ":arg"),
}
NOT_OF_PROPERTIES = {"Return", "Returns"}


def wrong(source: str) -> Iterator[str]:
    """Yield the functions and properties whose docstring begins as that of the other kind."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first, *_rest = (ast.get_docstring(node) or "none").split()
            is_property = any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list)
            if first.rstrip(",.:;") in (NOT_OF_PROPERTIES if is_property else NOT_OF_FUNCTIONS):
                yield f"{node.name}: {first}"


@pytest.mark.parametrize("file", sorted(PLUGINS.rglob("*.py")), ids=lambda file: str(file.relative_to(PLUGINS)))
def test_docstrings_of(file: Path) -> None:
    assert list(wrong(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    '''The number of jobs.'''", ["f: The"]),
        ("class C:\n    async def f(self):\n        '''Ours, less one.'''", ["f: Ours,"]),
        ("def __init__(self):\n    ''':arg fd: a descriptor'''", ["__init__: :arg"]),
        ("def f():\n    '''Return the number of jobs.'''", []),
        ("def f():\n    pass", []),
        ("@property\ndef f(self):\n    '''Return the number of jobs.'''", ["f: Return"]),
        ("@functools.cached_property\ndef f(self):\n    '''The number of jobs.'''", []),
    ],
)
def test_they_are_found(source: str, found: list[str]) -> None:
    """By their first words."""
    assert list(wrong(source)) == found
