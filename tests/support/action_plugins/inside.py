# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that uses everything that the collection takes from the inside of ansible-core, in a task of a real playbook.

A test puts it beside its playbook, as C(action_plugins/inside.py).
"""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase
from ansible.plugins.loader import cache_loader, connection_loader

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._commands import checked_options


class ActionModule(ActionBase):  # type: ignore[misc]
    """Answers what came of each use, or what a user reads where something is missing."""

    class _Asked:
        """Notes that Ansible has asked the class for BYPASS_HOST_LOOP, and in which process. Workers inherit the note."""

        def __get__(self, action: object | None, owner: type) -> bool:
            if action is None:
                os.environ["INSIDE_ASKED_IN"] = str(os.getpid())
            return False

    BYPASS_HOST_LOOP = _Asked()
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        limit, self._task.async_val = self._task.async_val, 0
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        if self._task.args.get("without"):
            result["errors"] = {place: self._without(place) for place in self._task.args["without"]}
        else:
            uses = [name for name in dir(self) if name.startswith("use_")]
            result["found"] = {"limit": limit, **{name[4:]: getattr(self, name)() for name in uses}}
        return result

    # --- Each use, with what it has to come to

    def use_module_defaults(self) -> t.Any:
        return _ansible.with_module_defaults(self._task, "ansible.builtin.copy", {"dest": "/given"}, self._templar)

    def use_options_in_playbook(self) -> t.Any:
        return sorted(_ansible.options_in_playbook(self._task, self._templar.template))

    def use_launching(self) -> t.Any:
        arguments: dict[str, t.Any] = {}
        before = [*self._task.environment]
        with _ansible.launching(self._task, "/attempt", ("OURS", "THEIRS"), secret=False) as done:
            built = self._configure_module(module_name="ansible.builtin.ping", module_args={}, task_vars=self._task_vars)
            self._update_module_args("ansible.builtin.ping", arguments, self._task_vars)
            environment = self._compute_environment_string()
        text = built[2] if len(built) == 4 else built[0].b_module_data
        asks = "error" in arguments.get("_ansible_tracebacks_for", ())
        return [b"'THEIRS'" in text, asks, "OURS=/attempt" in environment, self._task.environment == before, done.has_launched]

    def use_supports_async(self) -> t.Any:
        names = ("command", "shell", "setup", "debug", "copy", "at_once")
        chosen = [_ansible.choose_action(self, name) for name in names]
        handlers = [_ansible.handler_of(self, one, self._task) for one in chosen if one]
        return [(_ansible.supports_async(handler), _ansible.works_by_module(handler)) for handler in handlers]

    def use_are_true(self) -> t.Any:
        return [_ansible.are_true(self, self._task.failed_when, self._task_vars, {"ran": {"rc": code}}) for code in (3, 2)]

    def use_play_of(self) -> t.Any:
        play = _ansible.play_of(self._task)
        return [play.get_name(), play.get_ds()["hosts"] in ("all", "host1")]

    def use_keywords(self) -> t.Any:
        return [name in _ansible.task_keywords() for name in ("become", "no_log", "async", "until", "copy")]

    def use_inner_task(self) -> t.Any:
        inner = _ansible.inner_task(self._task, action="ansible.builtin.command", args={"_raw_params": "true"}, limit=7)
        return [inner.action, inner.args, inner.async_val, inner.poll, self._task.action, self._task.async_val]

    def use_choose_action(self) -> t.Any:
        chosen = [_ansible.choose_action(self, name) for name in ("copy", "ansible.builtin.command", "inside", "nothing.like.that")]
        return [one and [one.name.rpartition(".")[2], one.handler.rpartition(".")[2]] for one in chosen]

    def use_background(self) -> t.Any:
        chosen = _ansible.choose_action(self, "ansible.builtin.command")
        assert chosen is not None
        task = _ansible.inner_task(self._task, action="ansible.builtin.command", args={"_raw_params": "true"}, limit=60)
        handler = _ansible.handler_of(self, chosen, task)
        directory = str(self._task.args["directory"])
        about = {"options": checked_options({"_raw_params": "true"}, uses_shell=False), "directory": directory, "uses_shell": False}
        args = {"job_name": "job", "task": {"_by_action": about}}
        with _ansible.shell_option(self._connection, "async_dir", directory):
            done = _ansible.start_module(handler, "rstyczynski.ansible.async_job", args, self._task_vars)
        return [done.get("started"), done.get("ansible_job_id"), done.get("results_file"), self.get_shell_option("async_dir")]

    def use_to_send(self) -> t.Any:
        chosen = _ansible.choose_action(self, "ansible.builtin.stat")
        assert chosen is not None
        task = _ansible.inner_task(self._task, action="ansible.builtin.stat", args={"path": "/"}, limit=77)
        handler = _ansible.handler_of(self, chosen, task)
        before = self._connection._shell.tmpdir
        sent = _ansible.to_send(handler, lambda: handler.run(task_vars=self._task_vars), "/there/ansible-tmp-1")
        assert sent is not None
        words = sent.command.split()
        wrapper = words.index("/there/ansible-tmp-1/async_wrapper.py")
        return [
            sorted(sent.files),
            words[wrapper + 2],
            "/there/ansible-tmp-1/AnsiballZ_stat.py" in words,
            "preserve" in sent.command or words[wrapper + 3] == "true",
            self._connection._shell.tmpdir == before,
            _ansible.only_runs_a_module(handler),
            _ansible.shell_of_commands(self),
            _ansible.keeps_files(),
        ]

    def use_shell(self) -> t.Any:
        done = _ansible.run_in_shell(self, "echo out; echo err >&2; exit 3")
        return [done["rc"], done["stdout"].strip(), done["stderr"].strip()]

    def use_program(self) -> t.Any:
        done = _ansible.run_program(self, b"import json; print(json.dumps({'said': 'ours'}))", self._task_vars)
        return [done["said"], "ping" in done]

    def use_words(self) -> t.Any:
        text = b"import json, sys; print(json.dumps({'said': sys.argv[1:]}))"
        with _ansible.connection_option(self._connection, "pipelining", True):
            return _ansible.run_program(self, text, self._task_vars, ["a b", "7"])["said"]

    def use_pipelines(self) -> t.Any:
        found = [_ansible.pipelines(self), _ansible.use_pipelining(self._connection), _ansible.pipelines(self)]
        return [*found, _ansible.stop_pipelining(self._connection), _ansible.pipelines(self)]

    def use_ways(self) -> t.Any:
        told = _ansible.ways_of_modules(self, self._task_vars)
        return [told[f"_ansible_{name}"] for name in ("shell_executable", "syslog_facility", "no_log")]

    def use_paths(self) -> t.Any:
        return [_ansible.expanded(self, "~/x").endswith("/x"), _ansible.joined(self._connection, "/a", "b")]

    def use_windows(self) -> t.Any:
        return _ansible.is_windows(self._connection)

    def use_become(self) -> t.Any:
        before = self._connection.become
        plugin = _ansible.new_become_plugin(self._task, "ansible.builtin.sudo", {"ansible_become_exe": "exe"}, self._templar)
        plugin.set_option("become_user", "somebody")
        _ansible.set_become_plugin(self._connection, plugin)
        command = plugin.build_become_command("id", self._connection._shell)
        now = self._connection.become is plugin
        _ansible.set_become_plugin(self._connection, before)
        return [now, command.split()[0], "-u somebody" in command, self._connection._shell.tmpdir, self._connection.become is before]

    def use_hide_from_log(self) -> t.Any:
        _ansible.hide_from_log(self)
        return [self._play_context.no_log, self._connection._play_context.no_log]

    def use_ssh_options(self) -> t.Any:
        ssh = connection_loader.get("ansible.builtin.ssh", self._play_context, os.devnull)
        ssh.set_options(var_options={})
        found = []
        for name, value in (("reconnection_retries", 0), ("use_tty", False), ("pipelining", True)):
            with _ansible.connection_option(ssh, name, value):
                found.append(ssh.get_option(name) == value)
        return [*found, _ansible.use_pipelining(ssh), _ansible.use_pipelining(ssh)]

    def use_private_cache(self) -> t.Any:
        directory = f"{self._task.args['directory']}.cache"
        plugin = cache_loader.get("ansible.builtin.jsonfile", _uri=directory, _timeout=0, _prefix="")
        with _ansible.private_cache_files():
            plugin.set("key", {"a": 1})
        [file] = os.scandir(directory)
        return [f"{file.stat().st_mode & 0o777:o}", plugin.get("key")]

    def use_role(self) -> t.Any:
        return self._task_vars.get("ansible_role_name", "")

    def use_text_of_option(self) -> t.Any:
        return _ansible.text_of_option(self._task, self._templar, "odd")

    def use_requires_connection(self) -> t.Any:
        return [ActionBase._requires_connection, type(self)._requires_connection]

    def use_bypass_host_loop(self) -> t.Any:
        return os.environ.get("INSIDE_ASKED_IN") == str(os.getppid())

    # --- Each, where it is gone

    def _without(self, place: str) -> str:
        """Return what a user reads where something is missing."""
        owner, _dot, attribute = place.rpartition(".")
        of_actions = {"_low_level_execute_command": self.use_shell, "_configure_module": self.use_program}
        uses: dict[str, tuple[t.Any, t.Callable[[], t.Any]]] = {
            "module_common": (_ansible.module("ansible.executor.module_common"), self.use_module_defaults),
            "mod_args": (_ansible.module("ansible.parsing.mod_args"), self.use_options_in_playbook),
            "Task": (type(self._task), self.use_inner_task),
            "PluginLoader": (type(self._shared_loader_obj.module_loader), self.use_choose_action),
            "ActionBase": (ActionBase, of_actions.get(attribute, self.use_paths)),
            "Connection": (self._connection, self.use_become),
            "Shell": (self._connection._shell, self.use_become),
            "PlayContext": (self._play_context, self.use_hide_from_log),
        }
        where, use = uses[owner]
        return _error_without(where, attribute, use)


def _error_without(where: t.Any, attribute: str, use: t.Callable[[], t.Any]) -> str:
    # What a class inherits is there as well, as long as one of its bases has it.
    holders = [one for one in getattr(where, "__mro__", (where, *type(where).__mro__)) if attribute in vars(one)]
    values = {number: vars(holder)[attribute] for number, holder in enumerate(holders)}
    for holder in holders:
        delattr(holder, attribute)
    try:
        use()
    except AsyncJobError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for number, holder in enumerate(holders):
            setattr(holder, attribute, values[number])
    return "no error"
