# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README and the guides say is what the code does: words, options, tables, and that their examples are valid."""

from __future__ import annotations

import importlib
import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from pages import GUIDES, REPOSITORY, ROOT, Block, blocks_of, guide, literals, readme, table

Yaml = dict[str, t.Any]

COLLECTION = "rstyczynski.ansible"
PLUGINS = f"ansible_collections.{COLLECTION}.plugins"
STORE_OPTIONS: Yaml = importlib.import_module(f"{PLUGINS}.module_utils._options").STORE_OPTIONS
STATUSES = importlib.import_module(f"{PLUGINS}.module_utils._statuses")
LABEL = f"ansible_collections.{COLLECTION}.docsite."


def examples() -> Iterator[tuple[str, Block]]:
    """Everything in YAML, with the page that it is on."""
    for page, blocks in (("README", readme()), *((file.stem, blocks_of(file.read_text("utf-8"))) for file in GUIDES)):
        yield from ((page, block) for block in blocks if block.language.startswith("yaml"))


def tasks_in(data: t.Any) -> Iterator[Yaml]:
    """Yield the tasks of plays, of lists of tasks, and those that jobs hold."""
    for item in data if isinstance(data, list) else ():
        yield from tasks_in(item["tasks"]) if "tasks" in item else (item,)


def action_of(task: Yaml) -> str:
    """Return the one action of a task."""
    [action] = [key for key in task if "." in key]
    return action


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 250


@pytest.mark.parametrize("file", [ROOT / "README.md", *GUIDES], ids=lambda file: file.stem)
def test_links_into_the_repository_lead_to_a_file(file: Path) -> None:
    text = file.read_text("utf-8")
    links = re.findall(rf"{REPOSITORY}([^)>\s]+)", text)
    assert [link for link in links if not (ROOT / link).is_file()] == []
    assert [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link] == []


def test_each_guide_is_in_the_index_and_is_called_like_its_file() -> None:
    sections = yaml.safe_load((ROOT / "docs/docsite/extra-docs.yml").read_text("utf-8"))["sections"]
    assert sorted(page for section in sections for page in section["toctree"]) == [file.stem for file in GUIDES]
    for file in GUIDES:
        [label] = re.findall(rf"^\.\. _{LABEL}(\w+):$", file.read_text("utf-8"), re.MULTILINE)
        assert label == file.stem


def test_the_readme_names_each_guide() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    # Two pages of one kind of store each are named where people choose one.
    assert [file.stem for file in GUIDES if f"/{file.name})" not in text] == ["guide_store_filesystem", "guide_store_oci"]


def test_examples_are_valid() -> None:
    """Tasks have a name and one action, with options that its spec knows; roles get variables that they take."""
    seen = set()
    for page, block in examples():
        for task in tasks_in(yaml.safe_load(block.text)):
            where = f"{page}: {block.text}"
            assert task["name"], where
            action = action_of(task)
            collection, _dot, name = action.rpartition(".")
            seen.add(name)
            if collection == COLLECTION:
                plugin = importlib.import_module(f"{PLUGINS}.action.{name}").ActionModule
                assert (
                    ArgumentSpecValidator(plugin.spec, mutually_exclusive=plugin.mutually_exclusive)
                    .validate(task[action] or {})
                    .error_messages
                    == []
                ), where
            else:
                assert collection == "ansible.builtin", where
            if name == "include_role":
                role = task[action]["name"].rpartition(".")[2]
                specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text("utf-8"))
                assert {*task["vars"]} <= {*specs["argument_specs"]["main"]["options"]}, where
    assert {"async_job", "async_job_status", "async_job_state", "async_job_approval", "include_role"} <= seen


def test_what_a_look_can_say() -> None:
    rows = table(guide("guide_user"), "``status``", "what happened", "``async_status`` says", "finished", "failed")
    said = {(literals(row[0])[0], row[3]) for row in rows}
    ended = {(status, "yes") for status in STATUSES.ENDED}
    assert said == ended | {(status, "no") for status in (*STATUSES.ALIVE, STATUSES.UNKNOWN)}


def test_the_states_of_a_job() -> None:
    """The table has the transitions that the architecture has, and the picture has all states."""
    text = guide("guide_exactly_once")
    told = {
        (start, end)
        for row in table(text, "from", "to", "when")
        for start in literals(row[0]) or ["[*]"]
        for end in literals(row[1]) or ["[*]"]
    }
    diagram = re.findall(r"^    (\S+) --> (\w+|\[\*\])", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.MULTILINE)
    assert told == {*diagram}
    drawn = re.findall(r"<text [^>]*>([a-z]+_?[a-z]+)</text>", text)
    assert sorted(drawn) == sorted(STATUSES.STATUSES)


def test_fields_of_the_record() -> None:
    fields = importlib.import_module(f"{PLUGINS}.module_utils._records.record").FIELDS
    rows = table(guide("guide_stores"), "field", "meaning")
    assert sorted(name for row in rows for name in literals(row[0])) == sorted(fields)


@pytest.mark.parametrize("backend", ["filesystem", "oci"])
def test_settings_of_a_store(backend: str) -> None:
    """Each store has a page, with all of its options, where else these come from, and their defaults."""
    options = importlib.import_module(f"{PLUGINS}.module_utils._backends").BACKENDS[backend].options
    text = guide(f"guide_store_{backend}")
    header = (
        ("setting", "environment", "alias", "default", "meaning") if backend == "oci" else ("setting", "environment", "default", "meaning")
    )
    rows = {literals(row[0])[0]: dict(zip(header, row, strict=True)) for row in table(text, *header)}
    assert set(rows) == set(options)
    for name, row in rows.items():
        _function, environment = options[name]["fallback"]
        assert literals(row["environment"]) == list(environment), name
        assert literals(row.get("alias", "")) == options[name].get("aliases", []), name
        default = options[name].get("default")
        if default not in (None, ""):
            assert yaml.safe_load(row["default"].strip("`")) == default, name
    assert set(STORE_OPTIONS) >= set(options)


def test_what_the_playbooks_take() -> None:
    """Each is in the table, with the variables that its file reads."""
    rows = table(guide("guide_playbooks"), "playbook", "does", "takes with ``-e``")
    told = {name: {*literals(row[2])} for row in rows for name in literals(row[0])}
    assert set(told) == {file.stem for file in (ROOT / "playbooks").glob("*.yml")}
    for name, variables in told.items():
        # What reject takes is in the other file.
        text = (ROOT / "playbooks" / f"{'approve' if name == 'reject' else name}.yml").read_text("utf-8")
        declared = {one for play in yaml.safe_load(text) for one in play.get("vars", {})}
        # The longer names of playbook and job, and what is not for the command line
        assert declared - {"playbook_name", "job_name", "decision"} <= variables, name
        assert [one for one in variables if not re.search(rf"\b{one}\b", text)] == [], name


def test_scenarios() -> None:
    rows = table(guide("guide_playbooks"), "scenario", "what it shows", "try")
    named = {row[0].split()[0].lstrip("`") for row in rows}
    assert named == {file.stem for file in (ROOT / "playbooks/scenarios").glob("*.yml")}
    assert all(f"{COLLECTION}.scenarios.{row[0].split()[0].lstrip('`')}" in row[2] for row in rows)
