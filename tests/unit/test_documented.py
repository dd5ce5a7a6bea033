# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options, defaults and choices are written once, in the specs. Every copy that Ansible asks for is held against them."""

from __future__ import annotations

import importlib
import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from controller import Controller
from matrix import MATRIX
from pages import REPOSITORY
from role_options import made, path_of

Yaml = dict[str, t.Any]

COLLECTION = "rstyczynski.ansible"
PLUGINS = f"ansible_collections.{COLLECTION}.plugins"
ROOT = Path(__file__).resolve().parents[2]

# Helpers have a leading underscore.
MODULES = sorted(file.stem for file in (ROOT / "plugins/modules").glob("[!_]*.py"))
ACTIONS = sorted(file.stem for file in (ROOT / "plugins/action").glob("[!_]*.py"))
ROLES = sorted(directory.name for directory in (ROOT / "roles").iterdir() if directory.is_dir())

# Which module a role is a wrapper of, and what the role calls the options of it, less its own name in front.
WRAPPED = {
    "async_job_save": ("async_job_state", {}),
    "async_job_load": ("async_job_info", {"host_filter": "host"}),
}

# What a role takes beside that.
OF_ITS_OWN = {"async_job_load": {"verify", "restart_on", "become_recorded_user"}}

STORE_OPTIONS: Yaml = importlib.import_module(f"{PLUGINS}.module_utils._options").STORE_OPTIONS


def spec_of(module: str) -> Yaml:
    """The options of a module, as the code has them."""
    spec: Yaml = action_of(module).spec
    return spec


def action_of(module: str) -> t.Any:
    """The action that Ansible runs in place of a module."""
    return importlib.import_module(f"{PLUGINS}.action.{module}").ActionModule


def environment_of(option: Yaml) -> set[str]:
    """The environment variables that an option of a spec falls back to."""
    _function, names = option.get("fallback", (None, ()))
    return set(names)


def text_of(option: Yaml) -> str:
    """The description of an option, in one piece."""
    description = option["description"]
    return description if isinstance(description, str) else " ".join(description)


def environment_in(text: str) -> set[str]:
    """The environment variables that a description names."""
    return set(re.findall(r"\bE\(([^)]+)\)", text))


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory, collections: Path) -> Controller:
    """A controller for all tests here, none of which changes it."""
    return Controller(tmp_path_factory.mktemp("documented"), collections)


@pytest.fixture(scope="module")
def documented(controller: Controller) -> dict[str, Yaml]:
    """What ansible-doc knows of each module: doc, examples and return."""
    ran = controller.run("doc", "--json", "--type", "module", *(f"{COLLECTION}.{name}" for name in MODULES)).ok()
    docs, _end = json.JSONDecoder().raw_decode(ran.output, ran.output.index("{"))
    return {name: docs[f"{COLLECTION}.{name}"] for name in MODULES}


@pytest.fixture(scope="module")
def role_files(collections: Path) -> Path:
    """The directory of the installed roles."""
    return collections / "ansible_collections" / COLLECTION.replace(".", "/") / "roles"


@pytest.fixture(scope="module")
def role_options(role_files: Path) -> dict[str, Yaml]:
    """The options of each role, as its argument specification has them."""

    def options(role: str) -> Yaml:
        specs = yaml.safe_load((role_files / role / "meta/argument_specs.yml").read_text("utf-8"))
        main: Yaml = specs["argument_specs"]["main"]["options"]
        return main

    return {role: options(role) for role in ROLES}


def compare(options: Yaml, spec: Yaml) -> None:
    """Compare documented options with those of a spec, and so on with those inside of them."""
    assert set(options) == set(spec)
    for name, option in spec.items():
        for field, default in (
            ("type", "str"),
            ("elements", None),
            ("required", False),
            ("default", None),
            ("choices", None),
            ("aliases", None),
        ):
            assert options[name].get(field, default) == option.get(field, default), f"{name}: {field}"
        compare(options[name].get("suboptions", {}), option.get("options", {}))


@pytest.mark.parametrize("module", MODULES)
def test_options_of_a_module_are_those_of_its_spec(documented: dict[str, Yaml], module: str) -> None:
    """The same names, types, defaults, choices, aliases; what is required is so in both."""
    options, spec = documented[module]["doc"]["options"], spec_of(module)
    compare(options, spec)


def test_options_of_the_inventory_are_those_of_its_spec(controller: Controller) -> None:
    """The same, for those that Ansible does not know by itself. Its examples have only these."""
    ran = controller.run("doc", "--json", "--type", "inventory", f"{COLLECTION}.async_jobs").ok()
    docs, _end = json.JSONDecoder().raw_decode(ran.output, ran.output.index("{"))
    options = docs[f"{COLLECTION}.async_jobs"]["doc"]["options"]
    plugin = importlib.import_module(f"{PLUGINS}.inventory.async_jobs")
    for example in yaml.safe_load_all(docs[f"{COLLECTION}.async_jobs"]["examples"]):
        assert example["plugin"] == plugin.InventoryModule.NAME
        plugin._validated(example, "x.async_jobs.yml")  # raises an error
        assert set(example) <= set(options)
    assert set(options) == {*plugin._SPEC, *plugin._OF_ANSIBLE}
    for name, option in plugin._SPEC.items():
        assert environment_in(text_of(options[name])) == environment_of(option), name
        for field in ("type", "elements", "default", "choices", "aliases"):
            assert options[name].get(field) == option.get(field, "str" if field == "type" else None), f"{name}: {field}"


@pytest.mark.parametrize("module", MODULES)
def test_environment_variables_of_a_module_are_those_of_its_spec(documented: dict[str, Yaml], module: str) -> None:
    """The description of an option names the environment variables that it falls back to, and no others."""
    for name, option in spec_of(module).items():
        assert environment_in(text_of(documented[module]["doc"]["options"][name])) == environment_of(option), name


def groups_of(description: list[str]) -> list[str]:
    """Return the options that a description names by what they are for, less the prefixes of roles."""
    [start] = [number for number, text in enumerate(description) if text.startswith("The options are listed in alphabetical order.")]
    *groups, last = description[start + 1 :]
    assert last.startswith("All others are about the store")
    return re.findall(r"\bO\((?:main:async_job_(?:load|save)_)?(\w+)\)", " ".join(groups))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_its_options_are_for(documented: dict[str, Yaml], module: str) -> None:
    """All that shows documentation sorts options by their names, so that those of the store stand between those of the job."""
    named = groups_of(documented[module]["doc"]["description"])
    assert sorted(named) == sorted({*spec_of(module)} - {*STORE_OPTIONS})


def test_a_role_says_what_its_options_are_for(role_files: Path, role_options: dict[str, Yaml]) -> None:
    for role, options in role_options.items():
        specs = yaml.safe_load((role_files / role / "meta/argument_specs.yml").read_text("utf-8"))
        named = groups_of(specs["argument_specs"]["main"]["description"])
        assert sorted(named) == sorted({option[len(role) + 1 :] for option in options} - {*STORE_OPTIONS})


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_needs(documented: dict[str, Yaml], module: str) -> None:
    """The releases of ansible-core that are tested, the oldest of which is that of the collection; the SDK; and Python on the host."""
    doc = documented[module]["doc"]
    requirements = " ".join(doc["requirements"])
    oldest = yaml.safe_load((ROOT / "meta/runtime.yml").read_text("utf-8"))["requires_ansible"]
    assert re.findall(r"\b2\.\d+", requirements) == [oldest.removeprefix(">=").removesuffix(".0"), *MATRIX]
    assert "package C(oci)" in requirements
    assert ("Python 3.7 or newer on the managed host" in requirements) == (doc["attributes"]["connection"]["support"] == "full")


def test_what_a_module_refers_to_is_there(documented: dict[str, Yaml]) -> None:
    """Guides by their address: ansible-doc turns a label into one of Ansible's own site."""
    for module in MODULES:
        for reference in documented[module]["doc"]["seealso"]:
            assert "ref" not in reference, module
            if "link" in reference:
                assert (ROOT / reference["link"].removeprefix(REPOSITORY)).is_file(), module
            else:
                assert reference["module"].startswith("ansible.builtin.") or reference["module"].rpartition(".")[2] in MODULES, module


def test_code_in_documentation_has_no_parentheses(documented: dict[str, Yaml]) -> None:
    """C() ends at the first one that closes. V() takes one with a backslash."""
    texts = {name: json.dumps(documented[name]) for name in MODULES} | {role: path_of(role).read_text("utf-8") for role in ROLES}
    texts["async_jobs"] = (ROOT / "plugins/inventory/async_jobs.py").read_text("utf-8")
    assert [(name, found) for name, text in texts.items() for found in re.findall(r"\bC\([^)]*\(.{20}", text)] == []


def test_what_is_said_of_a_job_is_described(documented: dict[str, Yaml]) -> None:
    """All that a look returns, of a job of whichever kind, is among the return values of both modules that look at jobs."""
    unseen = importlib.import_module(f"{PLUGINS}.plugin_utils._asked").UNSEEN
    look = {**unseen, "status": "lost", "result": {"status": 200}}
    answer = importlib.import_module(f"{PLUGINS}.module_utils._modules.async_job_status").returned("j1.2", look)
    # Those have no entry of their own, but are in that of what they belong to
    beside = {"warnings", "stdout_lines", "stderr_lines"}
    assert set(answer) - beside <= set(documented["async_job_status"]["return"])
    assert set(answer) - beside - {"failed", "stderr_size", "stderr_truncated"} <= set(documented["async_job"]["return"])


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_a_module_are_valid_tasks(documented: dict[str, Yaml], module: str) -> None:
    """Each is a task with a name and one action, whose options the spec accepts. The module itself is among them."""
    tasks = yaml.safe_load(documented[module]["examples"])
    actions = []
    for task in tasks:
        assert task["name"]
        [action] = [key for key in task if "." in key]
        actions.append(action)
        collection, _dot, name = action.rpartition(".")
        if collection == COLLECTION:
            action_plugin = importlib.import_module(f"{PLUGINS}.action.{name}").ActionModule
            validator = ArgumentSpecValidator(action_plugin.spec, mutually_exclusive=action_plugin.mutually_exclusive)
            assert validator.validate(task[action] or {}).error_messages == []
        else:
            assert collection == "ansible.builtin"
    assert f"{COLLECTION}.{module}" in actions


@pytest.mark.parametrize("module", MODULES)
def test_return_values_of_a_module_are_described(documented: dict[str, Yaml], module: str) -> None:
    """Each tells when it is returned and its type, which its sample has. Samples of records have fields of records."""
    types = {"str": str, "bool": bool, "dict": dict, "list": list, "int": int, "float": float}
    fields = importlib.import_module(f"{PLUGINS}.module_utils._records.record").FIELDS
    returned = documented[module]["return"]
    assert returned
    for name, value in returned.items():
        assert value["description"], name
        assert value["returned"], name
        assert isinstance(value.get("sample", types[value["type"]]()), types[value["type"]]), name
        for field in value["sample"] if name == "record" else ():
            assert isinstance(value["sample"][field], fields[field]), field


def test_every_action_has_a_module_and_is_in_the_action_group(documented: dict[str, Yaml]) -> None:
    """The group that module_defaults names holds all actions, each of which has a module that documents it and says so."""
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text("utf-8"))
    assert list(runtime["action_groups"]) == ["async_job"]
    assert sorted(runtime["action_groups"]["async_job"]) == ACTIONS
    assert MODULES == ACTIONS
    for module in MODULES:
        assert documented[module]["doc"]["has_action"] is True
        assert documented[module]["doc"]["attributes"]["action_group"]["membership"] == [f"{COLLECTION}.async_job"]


def test_roles_that_read_settings_are_those_that_there_are() -> None:
    """The action takes <role>_<option> from these roles, and the tests here know what each of them wraps."""
    assert sorted(importlib.import_module(f"{PLUGINS}.plugin_utils._action")._ROLES) == ROLES == sorted(WRAPPED)


@pytest.mark.parametrize("role", ROLES)
def test_store_options_of_a_role_are_made(role: str) -> None:
    """From the documentation of the modules: python tests/support/role_options.py does it."""
    assert path_of(role).read_text("utf-8") == made(role)


def test_no_document_names_what_is_not_for_users() -> None:
    """What the action hands to the module is no option."""
    assert [name for name in MODULES for option in spec_of(name) if option.startswith("_")] == []


# Released with 0.1.0; and what is newer than 1.0.0, modules and options of others. All else came with that.
FIRST = {"async_job_copy", "async_job_info", "async_job_state"}
NEW = {"async_job_ara", "async_job_recover", "async_workflow"}
NEW_OPTIONS = {
    "async_job": {"on_cancel", "on_foreign", "semaphore", "set_stats"},
    "async_job_prune": {"workflow"},
    "async_job_report": {"ara_url"},
    "async_job_status": {"set_stats"},
}


def test_what_is_new_says_since_when(documented: dict[str, Yaml], role_options: dict[str, Yaml]) -> None:
    assert {name for name in MODULES if documented[name]["doc"]["version_added"] == "0.1.0"} == FIRST
    assert {name for name in MODULES if documented[name]["doc"]["version_added"] == "1.1.0"} == NEW
    assert {documented[name]["doc"]["version_added"] for name in {*MODULES} - FIRST - NEW} == {"1.0.0"}
    for name in {*MODULES} - NEW:
        options = documented[name]["doc"]["options"]
        assert {option for option in options if options[option].get("version_added") == "1.1.0"} == NEW_OPTIONS.get(name, set()), name
    for name in FIRST:
        options = documented[name]["doc"]["options"]
        new = {option for option in options if options[option].get("version_added") == "1.0.0"}
        of_its_own = {"become_user", "force", "stderr_file", "stdout_file"} if name == "async_job_state" else set()
        assert new == of_its_own | {"create_store", "oci_cache_dir", "record_key_file", "state_mode"}, name
    for role, options in role_options.items():
        old = {option[len(role) + 1 :] for option in options if options[option].get("version_added") != "1.0.0"}
        assert old.isdisjoint({"verify", "restart_on", "become_user", "stdout_file", "state_mode", "record_key_file"}), role


@pytest.mark.parametrize("role", ROLES)
def test_store_options_of_a_role_are_those_of_the_spec(role_options: dict[str, Yaml], role: str) -> None:
    """All are there, with the same type and choices. They have no default, which would beat module_defaults, and tell it."""
    for name, option in STORE_OPTIONS.items():
        documented = role_options[role][f"{role}_{name}"]
        text = text_of(documented)
        assert documented["type"] == option["type"], name
        assert documented.get("choices") == option.get("choices"), name
        assert "default" not in documented, name
        assert "required" not in documented, name
        assert environment_in(text) == environment_of(option), name
        assert f"C(async_job_{name})" in text, name
        assert "C(module_defaults)" in text, name
        if option.get("default"):
            [last] = re.findall(r", then V\(([^)]+)\)\.$", text)
            assert yaml.safe_load(last) == option["default"], name


@pytest.mark.parametrize("role", ROLES)
def test_other_options_of_a_role_are_those_of_the_module_that_it_wraps(role_options: dict[str, Yaml], role: str) -> None:
    """Whatever else a role takes is an option of its module, of the same type and choices."""
    module, renamed = WRAPPED[role]
    spec = spec_of(module)
    for name, documented in role_options[role].items():
        assert name.startswith(f"{role}_")
        option = name[len(role) + 1 :]
        if option in OF_ITS_OWN.get(role, ()):
            continue
        option = renamed.get(option, option)
        assert option in spec, name
        assert documented["description"], name
        for field in ("type", "elements", "choices"):
            assert documented.get(field) == spec[option].get(field), f"{name}: {field}"
        assert documented.get("required", False) or not spec[option].get("required", False), name


@pytest.mark.parametrize("role", ROLES)
def test_defaults_of_a_role_are_those_that_it_documents(role_files: Path, role_options: dict[str, Yaml], role: str) -> None:
    """defaults/main.yml and the argument specification say the same, and what is required has no default."""
    defaults = yaml.safe_load((role_files / role / "defaults/main.yml").read_text("utf-8"))
    assert {name: option["default"] for name, option in role_options[role].items() if "default" in option} == defaults
    assert not [name for name in defaults if role_options[role][name].get("required")]
    assert not [option for option in STORE_OPTIONS if f"{role}_{option}" in defaults]


@pytest.mark.parametrize("role", ROLES)
def test_options_of_a_role_are_used(role_files: Path, role_options: dict[str, Yaml], role: str) -> None:
    """The tasks pass on every option, save those that the action reads by itself, and no other one."""
    tasks = (role_files / role / "tasks/main.yml").read_text("utf-8")
    read_by_action = (*STORE_OPTIONS, *action_of(WRAPPED[role][0]).of_role)
    own = {name for name in role_options[role] if name[len(role) + 1 :] not in read_by_action}
    first_task = yaml.safe_load(tasks)[0]
    first_task = first_task.get("block", [first_task])[0]
    [arguments] = [value for key, value in first_task.items() if key.startswith(COLLECTION)]
    assert set(re.findall(rf"\b{role}_\w+", json.dumps(arguments))) <= own
    assert own <= set(re.findall(rf"\b{role}_\w+", tasks))


def test_ansible_doc_shows_the_modules(controller: Controller) -> None:
    """What users read in a terminal renders, with every option."""
    for module in MODULES:
        shown = controller.run("doc", f"{COLLECTION}.{module}").ok()
        for option in spec_of(module):
            assert re.search(rf"^[-=]? *{option}\b", shown.output, flags=re.M), f"{module}: {option}"


def test_ansible_doc_shows_the_roles(controller: Controller, role_files: Path, role_options: dict[str, Yaml]) -> None:
    """By full name, by a roles path and by the directory of a playbook."""
    for role in ROLES:
        options = set(role_options[role])
        for args in ([f"{COLLECTION}.{role}"], ["--roles-path", role_files, role], ["--playbook-dir", role_files.parent, role]):
            shown = controller.run("doc", "--type", "role", *args).ok()
            assert set(re.findall(rf"^[-=]? *({role}_\w+)", shown.output, flags=re.M)) >= options, args


def test_an_empty_environment_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipelines set variables of secrets that there are not to the empty string."""
    for spec in STORE_OPTIONS.values():
        for variable in spec["fallback"][1]:
            monkeypatch.setenv(variable, "")
    validated = ArgumentSpecValidator(STORE_OPTIONS).validate({})
    assert not validated.error_messages
    defaults = {option: spec.get("default") for option, spec in STORE_OPTIONS.items() if spec["type"] != "path"}
    assert {option: validated.validated_parameters[option] for option in defaults} == defaults
    monkeypatch.setenv("ASYNC_JOB_OCI_BUCKET", "jobs")
    assert ArgumentSpecValidator(STORE_OPTIONS).validate({}).validated_parameters["oci_bucket"] == "jobs"
