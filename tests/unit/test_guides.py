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

import jinja2
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
    """Yield the tasks of plays, of lists of tasks, and those that jobs hold. Rulebooks have none."""
    for item in data if isinstance(data, list) else ():
        if "sources" not in item:
            yield from tasks_in(item["tasks"]) if "tasks" in item else (item,)


def action_of(task: Yaml) -> str:
    """Return the one action of a task."""
    [action] = [key for key in task if "." in key]
    return action


def test_no_command_of_a_ci_pipeline_takes_text_of_others() -> None:
    """Values of C(-e) are templates for Ansible. An id is none."""
    lines = [line for file in GUIDES for line in file.read_text("utf-8").splitlines() if re.search(r" -e .*\$|\$.* -e ", line)]
    names = {name for line in lines for name in re.findall(r"\$\{?((?:CI|GITHUB)_\w+)", line)}
    assert {"CI_PIPELINE_ID", "GITHUB_RUN_ID"} <= names
    assert names <= {"CI_PIPELINE_ID", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"}


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


def test_rulebooks_are_valid() -> None:
    """Their sources have options that these know."""
    watch = importlib.import_module(f"{PLUGINS}.plugin_utils._events").Watch
    seen = []
    for _page, block in examples():
        data = yaml.safe_load(block.text)
        for source in [source for item in data if isinstance(data, list) for source in item.get("sources", ())]:
            options = source.get(f"{COLLECTION}.async_jobs")
            if options is not None:
                watch(options, seen.append)
                seen.append(source["name"])
    assert seen == ["Jobs", "Runs"]


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


# What a play declares for itself, beside names like _this; and the longer names of two
INTERNAL = {"decision"}
LONGER = {"job_name", "playbook_name"}
# Where Ansible takes an expression
CONDITIONS = ("when", "that", "until", "failed_when", "changed_when")
PLAYBOOKS = sorted((ROOT / "playbooks").glob("**/*.yml"))


def variables_of(playbook: Path) -> tuple[Yaml, set[str]]:
    """Return the variables that the plays of a file declare, with their defaults, and all others that -e may give to it."""
    plays = yaml.safe_load(playbook.read_text("utf-8"))
    declared: Yaml = {name: value for play in plays for name, value in play.get("vars", {}).items()}
    read: set[str] = set()
    own = set(declared)

    def visit(node: t.Any, key: str) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                if name == "register":
                    own.add(value)
                elif name == "vars" or name.endswith(".set_fact"):
                    own.update(value)
                visit(value, name)
        elif isinstance(node, list):
            for item in node:
                visit(item, key)
        elif isinstance(node, str):
            text = f"{{{{ {node} }}}}" if key in CONDITIONS else node
            names = list(jinja2.Environment().parse(text).find_all(jinja2.nodes.Name))
            read.update({one.name for one in names if one.ctx == "load"} - {one.name for one in names if one.ctx == "store"})

    visit(plays, "")
    for play in plays:
        if "ansible.builtin.import_playbook" in play:
            more, others = variables_of(playbook.parent / play["ansible.builtin.import_playbook"])
            declared, read = {**more, **declared}, read | others
    given = {name for name in read - own if not name.startswith(("ansible_", "async_job_"))}
    return declared, given - {
        *jinja2.defaults.DEFAULT_NAMESPACE,
        *("groups", "hostvars", "inventory_hostname", "item", "lookup", "loop", "now", "omit"),
    }


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda file: file.stem)
def test_what_a_playbook_takes(playbook: Path) -> None:
    """Its part of the page has all variables that it reads, with their defaults, what its exit codes mean, and an example."""
    name, is_scenario = playbook.stem, playbook.parent.name == "scenarios"
    parts = re.split(rf"^\.\. _{LABEL}guide_playbooks\.(\w+):$", guide("guide_playbooks"), flags=re.MULTILINE)
    part = dict(zip(parts[1::2], parts[2::2], strict=True))["approve" if name == "reject" else name]
    rows = {literals(row[0])[0]: row for row in table(part, "variable", "type", "default", "meaning")}
    declared, given = variables_of(playbook)
    taken = {one for one in declared if not one.startswith(("async_job_", "_"))} | given
    assert set(rows) == taken - INTERNAL - (set() if is_scenario else LONGER)
    for variable, row in rows.items():
        default = declared.get(variable, "")
        if default not in ("", []) and "{{" not in str(default):
            assert literals(row[2]) == [str(default).lower() if isinstance(default, bool) else str(default)], variable
    run = f"{COLLECTION}.scenarios.{name}" if is_scenario else f"{COLLECTION}.{name}"
    assert [block for block in blocks_of(part) if block.language == "shell" and f"ansible-playbook {run}" in block.text]
    if is_scenario:
        head = playbook.read_text("utf-8").partition("\n- name:")[0]
        assert [one for one in rows if not re.search(rf"\b{one}\b", head)] == []
    else:
        assert "\n- 0: " in part
        assert "**Check mode**: " in part


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda file: file.stem)
def test_an_answer_that_was_left_empty_is_the_same_as_none(playbook: Path) -> None:
    """What has a default reaches Ansible and its modules in no way that would make an empty text of it."""
    declared, _given = variables_of(playbook)
    filled = {name for name, value in declared.items() if value not in ("", [], {}) and "{{" not in str(value)} - INTERNAL
    bare = re.findall(r"^ *(\w+: \"\{\{ (\w+) \}\}\")$", playbook.read_text("utf-8"), re.MULTILINE)
    assert playbook.parent.name == "scenarios" or [line for line, name in bare if name in filled] == []


def test_all_playbooks_are_listed() -> None:
    rows = table(guide("guide_playbooks"), "playbook", "does")
    told = {name for row in rows for name in literals(row[0])}
    rows = table(guide("guide_playbooks"), "scenario", "what it shows", "other exit codes")
    told |= {row[0].split()[0].lstrip("`") for row in rows}
    assert told == {file.stem for file in PLAYBOOKS}
