# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-core does not promise, and the collection takes from it: all of it works on this release, or a user reads why not."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import typing as t
from pathlib import Path

import pytest
from ansible.release import __version__
from controller import Controller
from plays import Yaml, ask, job, play, run, tell, told
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import Host, role_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import environment_of, scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import crashed, read_results, timed_out
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible

ROOT = Path(__file__).parents[2]
_OLD = tuple(map(int, __version__.split(".")[:2])) < (2, 19)

# What a use has to come to, and the entries of INSIDE that it is about.
FOUND: dict[str, tuple[t.Any, tuple[str, ...]]] = {
    "module_defaults": (
        {"dest": "/given", "mode": "0600"},
        (
            "ansible.executor.module_common._apply_action_arg_defaults",
            "ansible.executor.module_common.get_action_args_with_defaults",
        ),
    ),
    "options_in_playbook": (["directory", "odd"], ("ansible.parsing.mod_args.ModuleArgsParser",)),
    "are_true": ([True, False], ("Templar.evaluate_conditional", "ansible.playbook.conditional.Conditional")),
    "play_of": (["test", True], ("Task._parent._play",)),
    "keywords": ([True, True, True, True, False], ("ansible.playbook.task.Task.fattributes",)),
    "inner_task": (["ansible.builtin.command", {"_raw_params": "true"}, 7, 0, "inside", 0], ("ansible.playbook.task.Task.copy",)),
    "launching": (
        [True, not _OLD, True, True, False],
        ("ActionBase._update_module_args", "_ANSIBALLZ_WRAPPER in the text of a module"),
    ),
    "to_send": (
        [["AnsiballZ_stat.py", "async_wrapper.py"], "77", True, False, True, True, "/bin/sh", False],
        ("ActionBase._make_tmp_path, _transfer_data, _transfer_file, _fixup_perms2",),
    ),
    "supports_async": (
        [[True, True], [True, True], [True, True], [False, False], [False, False], [True, False]],
        ("ActionBase._supports_async",),
    ),
    "limit": (60, ("Task.async_val, Task.poll",)),
    "choose_action": (
        [["copy", "copy"], ["command", "command"], ["inside", "inside"], None],
        ("PluginLoader.find_plugin_with_context, PluginLoadContext.action_plugin",),
    ),
    "shell": ([3, "out", "err"], ("ActionBase._low_level_execute_command",)),
    "program": (["ours", False], ("ActionBase._configure_module",)),
    "words": (["a b", "7"], ()),
    "pipelines": ([False, True, True, True, False], ("ActionBase._is_pipelining_enabled",)),
    "ways": (["/bin/sh", "LOG_USER", False], ()),
    "paths": ([True, "/a/b"], ("ActionBase._remote_expand_user",)),
    "windows": (False, ("Connection._shell._IS_WINDOWS",)),
    "become": (
        [True, "exe", True, None, True],
        ("Connection.set_become_plugin", "ansible.plugins.loader.become_loader", "Connection._shell.tmpdir"),
    ),
    "hide_from_log": ([True, True], ("PlayContext.no_log",)),
    "ssh_options": (
        [True, True, True, True, False],
        ("option reconnection_retries of ssh", "option use_tty of ssh", "option pipelining of ssh"),
    ),
    "private_cache": (["600", {"a": 1}], ("BaseFileCacheModule.set, _dump, _get_cache_file_name",)),
    "role": ("", ()),
    "text_of_option": ("[1,2]" if _OLD else None, ("Task.untemplated_args",)),
    "requires_connection": ([True, True], ("ActionBase._requires_connection",)),
    "bypass_host_loop": (True, ("BYPASS_HOST_LOOP",)),
}
# This one answers with names of its own.
BACKGROUND = ("ActionBase._execute_module(wrap_async)", "option async_dir of shell plugins")

WITHOUT = {
    "mod_args.ModuleArgsParser": "ansible.parsing.mod_args.ModuleArgsParser",
    "Task.copy": "Task.copy",
    "PluginLoader.find_plugin_with_context": "PluginLoader.find_plugin_with_context",
    "ActionBase._low_level_execute_command": "ActionBase._low_level_execute_command",
    "ActionBase._configure_module": "ActionBase._configure_module",
    "ActionBase._remote_expand_user": "ActionBase._remote_expand_user",
    "Connection.set_become_plugin": "Connection.set_become_plugin",
    "PlayContext.no_log": "PlayContext.no_log",
}

# What the developer guide names, what is public in named tuples, and what is our own.
PUBLIC = {
    *("_task", "_connection", "_templar", "_loader", "_execute_module"),
    *("_fields", "_replace", "_asdict", "_make"),
    *("_task_vars", "_of_async_job", "_of_async_jobs"),
}


def test_each_use(controller: Controller, tmp_path: Path) -> None:
    """In a task of a real play, with the keywords that matter to it."""
    task: Yaml = {
        "inside": {"directory": str(tmp_path / "jobs"), "odd": "{{ '[1,2]' }}"},
        "async": 60,
        "poll": 5,
        "register": "answer",
        "failed_when": ["ran is defined", "ran.rc not in [0, 2]"],
    }
    defaults = [{"ansible.builtin.copy": {"mode": "0600", "dest": "/default"}}]
    found = told(run(controller, play(task, tell("answer"), module_defaults=defaults[0])).ok())[0]["found"]
    started, job_id, results_file, async_dir = found.pop("background")
    assert (bool(started), results_file) == (True, str(tmp_path / "jobs" / job_id))
    assert async_dir == controller.environment["ANSIBLE_ASYNC_DIR"]
    until(lambda: "rc" in (tmp_path / "jobs" / "result").read_text() if (tmp_path / "jobs" / "result").exists() else False)
    assert found == {name: value for name, (value, _entries) in FOUND.items()}


def test_every_entry_is_used_here() -> None:
    assert sorted(_ansible.INSIDE) == sorted([entry for _value, entries in FOUND.values() for entry in entries] + [*BACKGROUND])


def test_where_it_is_gone(controller: Controller) -> None:
    """A user reads what is missing, and which releases have it."""
    places = [*WITHOUT, "module_common." + ("get_action_args_with_defaults" if _OLD else "_apply_action_arg_defaults")]
    [answer] = ask(controller, {"inside": {"without": places}})
    assert "errors" in answer, answer
    for place, text in answer["errors"].items():
        assert text.startswith(f"ansible-core {__version__} has no "), (place, text)
        assert place.rpartition(".")[2] in text or place.startswith("module_common"), (place, text)
        assert f"tested with ansible-core {_ansible.TESTED}" in text


def test_the_name_of_a_role(controller: Controller) -> None:
    names = {"names": "{{ ansible_role_name | default('none') }} {{ role_name | default('none') }}"}
    controller.write("roles/some/tasks/name.yml", f"- ansible.builtin.set_fact: {json.dumps(names)}\n")
    include: Yaml = {"ansible.builtin.include_role": {"name": "some", "tasks_from": "name"}}
    assert told(run(controller, play(include, tell("names"))).ok()) == ["some some"]


def _is_self(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


@pytest.mark.parametrize("file", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT / "plugins")))
def test_nothing_is_taken_elsewhere(file: Path) -> None:
    """On the controller, private names of other objects stand in one file."""
    if file.name == "_ansible.py" or not {"action", "plugin_utils", "inventory"} & set(file.parts):
        return
    found = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Attribute) and node.attr.startswith("_")]
    own = {node.attr for node in found if _is_self(node.value)}
    private = {node.attr for node in found if not _is_self(node.value) and not node.attr.startswith("__")}
    assert private - PUBLIC - own == set()


# --- What ansible.builtin.async_wrapper does on the host


def _background(command: str, **options: t.Any) -> Yaml:
    return {"ansible.builtin.command": command, "async": 600, "poll": 0, **options}


def test_processes_and_files_of_a_background_job(controller: Controller) -> None:
    """As job.py says: their names, their sessions, their environment, and what the results file holds from its start to its end."""
    directory = Path(controller.environment["ANSIBLE_ASYNC_DIR"])
    sleep = ["sleep", f"600.{os.getpid()}"]  # nobody else's
    [started] = ask(controller, _background(" ".join(sleep)))
    job_id, file = started["ansible_job_id"], Path(started["results_file"])
    match = re.fullmatch(r"(j\d+)\.(\d+)", job_id)
    assert match
    assert file == directory / job_id
    start = json.loads(file.read_text())
    assert start.keys() == {"started", "finished", "ansible_job_id"}
    assert (bool(start["started"]), bool(start["finished"]), start["ansible_job_id"]) == (True, False, job_id)

    until(lambda: any(process.argv == sleep for process in scan().processes.values()))
    looked_for = Job(job_id=job_id, label="job", directory=str(directory))
    table = scan()
    wrappers = [process for process in table.processes.values() if match[1] in process.argv]
    assert sorted(role_of(process, looked_for) for process in wrappers) == ["runner", "watcher"]
    runner, watcher = sorted(wrappers, key=lambda process: role_of(process, looked_for))
    for process in (runner, watcher):
        place = process.argv.index(match[1])
        assert os.path.basename(process.argv[place - 1]) == "async_wrapper.py"
        assert process.argv[place + 1] == "600"
        assert (environment_of(process.pid) or {})["ANSIBLE_ASYNC_DIR"] == str(directory)
        assert process.sid not in table.processes
    assert int(match[2]) not in table.processes
    assert runner.sid == watcher.sid
    assert runner.ppid == watcher.pid
    assert runner.pgid == runner.pid
    assert Host(table).wrappers_of(looked_for, read_results(looked_for))[0] == runner
    [command] = [process for process in table.processes.values() if process.argv == sleep and process.sid == runner.sid]
    assert (environment_of(command.pid) or {})["ANSIBLE_ASYNC_DIR"] == str(directory)

    module = table.processes[command.ppid]
    assert module.ppid == runner.pid
    os.kill(module.pid, signal.SIGKILL)
    os.kill(command.pid, signal.SIGKILL)
    until(lambda: "started" not in json.loads(file.read_text()))
    assert crashed(json.loads(file.read_text()))
    until(lambda: not {runner.pid, watcher.pid} & scan().processes.keys())


def test_a_background_job_that_takes_too_long(controller: Controller) -> None:
    [started] = ask(controller, _background("sleep 600", **{"async": 2}))
    file = Path(started["results_file"])
    until(lambda: "started" not in json.loads(file.read_text()))
    assert timed_out(json.loads(file.read_text()))


def test_the_name_of_our_module(controller: Controller) -> None:
    """A look tells it from others by that, when Ansible's own processes are dead."""
    [started] = ask(controller, {**job({"ansible.builtin.command": "sleep 600"}), "async": 600})
    name = started["ansible_job_id"].rpartition(".")[0]
    processes = scan().processes.values()
    runner = next(process for process in processes if name in process.argv and process.pgid == process.pid)
    modules = [process.argv[:3] for process in processes if process.ppid == runner.pid]
    assert any(os.path.basename(argument).startswith("AnsiballZ_async_job.") for argv in modules for argument in argv), modules
    os.killpg(runner.pid, signal.SIGKILL)


def test_what_a_callback_is_told(controller: Controller) -> None:
    """Whatever fails is said once, with its item, and why; what is secret, and what was passed over, is told apart."""
    tasks: list[Yaml] = [
        {"name": "ours", "rstyczynski.ansible.async_job_show": {"job_name": "{{ item }}"}, "loop": ["x", "y"], "ignore_errors": True},
        {"ansible.builtin.debug": {"msg": "said {{ item }}"}, "loop": ["one", "two"]},
        {"name": "exits", "ansible.builtin.command": "sh -c 'echo why >&2; exit {{ item }}'", "loop": [0, 4], "ignore_errors": True},
        {"name": "secret", "ansible.builtin.command": "sh -c 'echo hush; exit 5'", "no_log": True, "ignore_errors": True},
        {"block": [{"ansible.builtin.command": "false"}], "rescue": [{"ansible.builtin.debug": {"var": "ansible_failed_task.action"}}]},
        {"name": "undefined", "ansible.builtin.debug": {"msg": "{{ nothing }}"}},
    ]
    env = {"ANSIBLE_STDOUT_CALLBACK": "rstyczynski.ansible.answers", "ASYNC_JOB_ANSWERS_FORMAT": "json"}
    output = controller.playbook(json.dumps([play(*tasks)]) + "\n", "-v", env=env).failed().output
    answer, _end = json.JSONDecoder().raw_decode(output, output.index('{\n  "answers"'))
    errors = [(error["task"], error["ignored"]) for error in answer["errors"]]
    assert errors == [
        ("ours (item=x)", True),
        ("ours (item=y)", True),
        ("exits (item=4)", True),
        ("secret", True),
        ("ansible.builtin.command", False),
        ("undefined", False),
    ]
    assert answer["messages"] == ["said one", "said two", {"ansible_failed_task.action": "ansible.builtin.command"}]
    assert not answer["ok"]
    assert output.count("'nothing' is undefined") >= 2
    assert "  why\n" in output
    assert "hush" not in output
    assert "host1: exits: " in output  # what -v adds
