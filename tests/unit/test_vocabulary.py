# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of C(status) stand in one file. Whoever has to repeat them is held against it here."""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = "ansible_collections.rstyczynski.ansible.plugins"

STATUSES = importlib.import_module(f"{PLUGINS}.module_utils._statuses")
WORDS = {*STATUSES.STATUSES, STATUSES.UNKNOWN}

SOURCES = sorted((ROOT / "plugins").rglob("*.py"))
TASKS = sorted([*(ROOT / "roles").rglob("tasks/*.yml"), *(ROOT / "playbooks").rglob("*.yml")])

# Where more than one word may stand together in code, and why.
OF_THEIR_OWN = {
    "plugins/module_utils/_statuses.py": "the vocabulary",
    "plugins/module_utils/_report_page/page.py": "the letters, which are held against it below",
    "plugins/module_utils/_host/cancel.py": "failed and cancelled are fields of a result",
    "plugins/action/async_job_show.py": "colours of some, and one for all others",
    "plugins/module_utils/_workflow/decide.py": "the words for ends of nodes, in sentences",
}


def _texts(node: ast.AST) -> set[str]:
    """Return the texts that stand in a collection, or as keys of one."""
    found = getattr(node, "keys", []) if isinstance(node, ast.Dict) else getattr(node, "elts", [])
    return {element.value for element in found if isinstance(element, ast.Constant) and isinstance(element.value, str)}


def _sets_of_words(text: str) -> Iterator[set[str]]:
    """Yield the words of each collection in this code that has two of them or more."""
    for node in ast.walk(ast.parse(text)):
        words = _texts(node) & WORDS if isinstance(node, (ast.Tuple, ast.List, ast.Set, ast.Dict)) else set()
        if len(words) > 1:
            yield words


def test_each_word_is_explained_and_in_one_place() -> None:
    """A job that is in the vocabulary has ended or goes on, and never both."""
    assert all(meaning.endswith(".") for meaning in STATUSES.MEANINGS.values())
    assert tuple(STATUSES.MEANINGS) == STATUSES.STATUSES == (*STATUSES.GOES_ON, *STATUSES.ENDED)
    assert (*STATUSES.CLAIMED, *STATUSES.ALIVE) == STATUSES.GOES_ON
    assert set(STATUSES.RESTARTABLE) == {*STATUSES.ENDED, "orphaned"} - {"succeeded"}
    assert {*STATUSES.BY_ITSELF} < {*STATUSES.ENDED}
    assert STATUSES.UNKNOWN not in STATUSES.STATUSES


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT / "plugins")))
def test_no_code_has_words_of_its_own(file: Path) -> None:
    """Sets of them come from the vocabulary."""
    own = str(file.relative_to(ROOT)) in OF_THEIR_OWN
    found = [] if own else [*_sets_of_words(file.read_text("utf-8"))]
    assert found == []


def test_who_has_words_of_its_own_needs_them() -> None:
    """The exceptions are no more than there must be."""
    assert [name for name in OF_THEIR_OWN if not any(_sets_of_words((ROOT / name).read_text("utf-8")))] == []


def test_sets_of_words_are_found() -> None:
    """Whatever they are made of, and in whatever they stand."""
    code = "def f(x):\n  return x in ('killed', 'lost') or {'killed': 1, 'running': 2}[x] or ['failed', *y, 'unknown'] or ('lost', 'x')"
    assert sorted(map(sorted, _sets_of_words(code))) == [["failed", "unknown"], ["killed", "lost"], ["killed", "running"]]


@pytest.mark.parametrize("file", TASKS, ids=lambda file: str(file.relative_to(ROOT)))
def test_lists_in_tasks_are_those_of_the_vocabulary(file: Path) -> None:
    """What has ended, or what somebody chose to start once more."""
    for text in re.findall(r"\[([^\[\]]*)\]", file.read_text("utf-8")):
        words = {word.strip(" '\"") for word in text.split(",")}
        if len(words & WORDS) > 1:
            assert words == set(STATUSES.ENDED) or words <= set(STATUSES.RESTARTABLE), text


def test_the_scenario_advises_on_all_that_may_be_restarted() -> None:
    [play] = yaml.safe_load((ROOT / "playbooks/scenarios/scenario_04_crash_detection.yml").read_text("utf-8"))
    assert set(play["vars"]["_job_advice"]) == set(STATUSES.RESTARTABLE)


def _documents() -> dict[str, t.Any]:
    """Return all documentation of options, by what it belongs to."""
    found = {f"module {file.stem}": _module(file.stem).DOCUMENTATION for file in (ROOT / "plugins/modules").glob("[!_]*.py")}
    for file in (ROOT / "plugins/doc_fragments").glob("*.py"):
        found[f"fragment {file.stem}"] = importlib.import_module(f"{PLUGINS}.doc_fragments.{file.stem}").ModuleDocFragment.DOCUMENTATION
    for file in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        found[f"role {file.parents[1].name}"] = file.read_text("utf-8")
    return {name: yaml.safe_load(text) for name, text in sorted(found.items())}


def _module(name: str) -> t.Any:
    return importlib.import_module(f"{PLUGINS}.modules.{name}")


def _choices(document: object) -> Iterator[tuple[str, ...]]:
    """Yield all choices of options in a document, at any depth."""
    children: t.Iterable[object] = ()
    if isinstance(document, dict):
        if "choices" in document:
            yield tuple(document["choices"])
        children = document.values()
    elif isinstance(document, list):
        children = document
    for child in children:
        yield from _choices(child)


def test_choices_in_the_documentation() -> None:
    """They are one of the sets of the vocabulary, whole and in its order."""
    sets = [STATUSES.STATUSES, STATUSES.ENDED, (*STATUSES.ALIVE, *STATUSES.ENDED), STATUSES.RESTARTABLE]
    found = [(name, choices) for name, document in _documents().items() for choices in _choices(document) if WORDS & {*choices}]
    assert [(name, choices) for name, choices in found if choices not in sets] == []
    assert {choices for _name, choices in found} == {*sets}


def _values(text: object) -> list[str]:
    """Return the words that a description puts into V()."""
    texts = text if isinstance(text, list) else [text]
    return [word for word in itertools.chain(*(re.findall(r"V\((\w+)\)", str(one)) for one in texts)) if word in WORDS]


def _description(module: str) -> list[str]:
    lines: list[str] = yaml.safe_load(_module(module).DOCUMENTATION)["description"]
    return lines


def test_descriptions_leave_none_out() -> None:
    """Where they explain or count all of a kind."""
    looked = yaml.safe_load(_module("async_job_status").RETURN)["status"]["description"]
    assert sorted(_values(looked)) == sorted(WORDS)
    [kept] = [line for line in _description("async_job_prune") if "never touched" in line]
    assert tuple(_values(kept)) == STATUSES.GOES_ON
    [looked_at] = [line for line in _description("async_job_verify") if "Looks at all jobs" in line]
    assert tuple(_values(looked_at)) == STATUSES.ALIVE


def test_the_report_has_a_letter_and_a_look_for_each() -> None:
    """And none for anything else."""
    page = importlib.import_module(f"{PLUGINS}.module_utils._report_page.page")
    assert set(page._LETTERS) == set(STATUSES.STATUSES)
    assert len({*page._LETTERS.values()}) == len(page._LETTERS)
    style = (ROOT / "plugins/module_utils/_report_page/report.css").read_text("utf-8")
    assert sorted(re.findall(r'\[data-status="(\w+)"\]', style)) == sorted(STATUSES.STATUSES)
