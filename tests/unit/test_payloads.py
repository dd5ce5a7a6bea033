# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to a host: the code that is needed there, not much of it, and nothing of stores, records or pages."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pythons import pythons as interpreters

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import PACKAGE, SHORT, program, sources

_BUILD = Path(__file__).parents[1] / "support" / "payload.py"
_HOST = Path(__file__).parents[2] / "plugins" / "module_utils" / "_host"
_OURS = "ansible_collections/rstyczynski/ansible/plugins/"
# In bytes: of source, and of what travels for that
_MOST = 64 << 10
_MOST_SENT = 40_000

_JOB = {
    "_clock",
    "_errors",
    "_trust",
    "_host.attempt_directory",
    "_host.attempt_files",
    "_host.job",
    "_host.results_file",
    "_host.safely",
}
_LOOK = {*_JOB, "_host.belonging", "_host.look", "_host.place", "_host.processes"}
_MAKE = {"_errors", "_trust", "_host.attempt_files", "_host.job_file", "_host.noting", "_host.safely"}
PROGRAMS = {
    "_host.look_and_output": {*_LOOK, "_host.output"},
    "_host.cancel": {*_LOOK, "_host.stopping"},
    "_host.leftovers": {*_LOOK, "_host.stopping"},
    "_host.clear": {*_LOOK, "_host.erase", "_host.job_file", "_statuses"},
    "_host.erase": _JOB,
    "_host.make_directory": _MAKE,
    "_host.launch": {*_MAKE, "_host.make_directory"},
    "_host.start": {*_MAKE, "_host.make_directory", "_host.wrapper"},
    "_host.wrapper": {"_errors"},
    "_host.command": {"_errors", "_host.attempt_files"},
    "_host.node": {"_errors", "_host.attempt_files", "_host.command"},
    "_host.node_report": _JOB,
    "_host.node_look": {*_LOOK, "_host.look_and_output", "_host.node_report", "_host.output"},
    "_host.noted": {"_errors", "_trust", "_host.job_file", "_host.safely"},
}


@pytest.mark.parametrize("entry", PROGRAMS)
def test_program(entry: str) -> None:
    """These files, and no others; and not too much of them."""
    assert sources(entry).keys() == {*PROGRAMS[entry], entry}
    sent = [source.replace(PACKAGE, SHORT) for source in sources(entry).values()]
    lines = [line for source in sent for line in source.splitlines(keepends=True) if line.strip()]
    assert len("".join(lines).encode()) <= _MOST
    assert len(program(entry, {})) <= _MOST_SENT


def test_no_program_is_forgotten() -> None:
    """Every file with a function main is one, and has the words in its name that the controller uses."""
    assert {f"_host.{file.stem}" for file in _HOST.glob("*.py") if "\ndef main(" in file.read_text("utf-8")} == PROGRAMS.keys()


@pytest.mark.parametrize("entry", PROGRAMS)
def test_what_the_interpreter_makes_of_it(entry: str) -> None:
    """The same as of the files that it is made from, on the same lines."""
    for name, source in sources(entry).items():
        original = _HOST.parent.joinpath(*name.split(".")).with_suffix(".py").read_text("utf-8")
        assert _statements(source) == _statements(original), name


@pytest.mark.parametrize("entry", PROGRAMS)
def test_each_python(entry: str) -> None:
    """All of its files can be imported by any Python that a host may have: then its function says what it lacks."""
    pythons = [path for version, path in sorted(interpreters().items()) if tuple(map(int, version.split("."))) >= (3, 7)]
    assert len(pythons) > 1
    for python in pythons:
        done = subprocess.run([python], input=program(entry, {"unknown": 0}), capture_output=True, check=False)
        assert b"TypeError: main() got an unexpected keyword argument 'unknown'" in done.stderr, (python, done)


class _Untyped(ast.NodeTransformer):
    """Takes the types away, and what is imported for their sake."""

    _depth = 0
    _is_class = False

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._is_class = True
        self.generic_visit(node)
        self._is_class = False
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        return None if [alias.name for alias in node.names] == ["typing"] else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1
        node.returns = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value and (self._depth or not self._is_class):
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        if not self._depth:  # a field of a class; the interpreter does not look at its type
            node.annotation = ast.Name("id", ast.Load())
        return node


def _statements(source: str) -> tuple[str, list[int]]:
    """What a source says and on which lines, less texts that stand alone, what stands for them, and the types of functions."""
    tree = _Untyped().visit(ast.parse(source))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for line in [line for line in tree.body if isinstance(line, ast.ImportFrom)]:
        line.names = [alias for alias in line.names if alias.name in used]
        if not line.names:
            tree.body.remove(line)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            said = [line for line in body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))]
            node.body = [line for line in said if not isinstance(line, ast.Pass)]  # type: ignore[attr-defined]
    return ast.dump(tree), [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)]


def test_module_of_commands(collections: Path) -> None:
    """The one module of ours that runs on hosts is sent by Ansible, with all that belongs to a module."""
    done = subprocess.run([sys.executable, str(_BUILD), str(collections), "async_job"], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout.splitlines()[-1])["async_job"]
    files = {name[len(_OURS) :] for name in names if name.startswith(_OURS) and not name.endswith("__init__.py")}
    assert files == {
        "modules/async_job.py",
        "module_utils/_backends.py",
        "module_utils/_errors.py",
        "module_utils/_options.py",
        "module_utils/_statuses.py",
        "module_utils/_host/attempt_files.py",
        "module_utils/_host/command.py",
        "module_utils/_host/node.py",
        "module_utils/_modules/async_job.py",
    }
    assert sum((collections / _OURS / name).stat().st_size for name in files) <= _MOST
    assert PACKAGE.replace(".", "/") + "/" == f"{_OURS}module_utils/"
