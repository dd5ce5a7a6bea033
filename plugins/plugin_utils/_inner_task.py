# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that is to be started as a job: what the option C(task) of C(async_job) says.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Mapping

from ansible.executor import module_common
from ansible.parsing.mod_args import RAW_PARAM_MODULES
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.command import checked_options
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import policies

_SHAPE = "It takes one action with its options, as a task has them, for example 'ansible.builtin.command: /opt/migrate.sh --all'"


# Actions that cannot run in the background. Others say so only when they are asked to start.
_NO_JOBS = ("ansible.builtin.raw", "ansible.builtin.script", "rstyczynski.ansible.async_job")

# These run a command. "cmd" is another name for their text.
_SHELL = ("ansible.builtin.shell", "ansible.legacy.shell")
_COMMANDS = ("ansible.builtin.command", "ansible.legacy.command", *_SHELL)


class LaunchFailed(Exception):
    """Ansible says that it could not start the job."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result.get("msg", "Ansible did not start it, and does not say why."))
        self.result = result


class InnerTask:
    """A task inside a task.

    :arg outer: the action whose task it is in. All keywords of that task hold for the inner one too
    :arg given: an action and its options, templated
    :arg limit: its time limit in seconds
    """

    def __init__(self, outer: ActionBase, given: t.Any, limit: int) -> None:
        self._outer = outer
        self._task_vars: dict[str, t.Any] = outer._task_vars
        self.action, value, more = _parsed(given)
        loader = outer._shared_loader_obj
        collections = outer._task.collections
        context = loader.module_loader.find_plugin_with_context(self.action, collection_list=collections)
        has_action = loader.action_loader.has_plugin(self.action, collection_list=collections)
        if not context.resolved and not has_action:
            raise AsyncJobError(f"task: the action {self.action!r} was not found. Correct its name, or install its collection.")
        name = context.resolved_fqcn if context.resolved else self.action
        # Just as Ansible chooses the action plugin of a task
        if context.resolved and context.action_plugin:
            handler = context.action_plugin
        elif has_action:
            handler = self.action
        else:
            handler, collections = "ansible.legacy.normal", None
        self._task = outer._task.copy()
        self._task.action = self.action
        self._task.args = self._with_defaults(name, _options(self.action, name, value, more))
        self._task.async_val = limit
        self._task.poll = 0
        self._handler = loader.action_loader.get(
            handler,
            task=self._task,
            connection=outer._connection,
            play_context=outer._play_context,
            loader=outer._loader,
            templar=outer._templar,
            shared_loader_obj=loader,
            collection_list=collections,
        )
        if name in _NO_JOBS:
            raise AsyncJobError(
                f"task: the action {self.action!r} does not support 'async', so it cannot be a job. Nothing was started."
                " Do what it does with ansible.builtin.command or another module."
            )
        self.is_command = name in _COMMANDS
        """Whether it runs a command, whose output goes to files in the directory of the attempt."""
        self.fingerprint = policies.fingerprint_of(name, self._task.args)
        """What tells it from another task."""
        self._uses_shell = name in _SHELL
        if self.is_command:
            try:
                checked_options(self._task.args, uses_shell=self._uses_shell)
            except AsyncJobError as error:
                raise AsyncJobError(f"task: {error} Nothing was started.") from error

    def launch(self, async_dir: str) -> None:
        """Start it, with this directory for its results file. Ansible's word for that proves nothing.

        :raises LaunchFailed: if Ansible says that it has failed
        """
        connection = self._outer._connection
        with option(connection._shell, "async_dir", async_dir), option(connection, "reconnection_retries", 0):
            result: dict[str, t.Any] = self._launch_command(async_dir) if self.is_command else self._handler.run(task_vars=self._task_vars)
        if not result.get("ansible_job_id"):
            raise LaunchFailed(result)

    def _launch_command(self, directory: str) -> dict[str, t.Any]:
        about = {"options": self._task.args, "directory": directory, "uses_shell": self._uses_shell}
        # A job name and a task have to be given. What counts is the command.
        return dict(
            self._handler._execute_module(
                module_name="rstyczynski.ansible.async_job",
                module_args={"job_name": "job", "task": {}, "_action": about},
                task_vars=self._task_vars,
                wrap_async=True,
            )
        )

    def _with_defaults(self, name: str, options: dict[str, t.Any]) -> dict[str, t.Any]:
        """The options, with those that C(module_defaults) adds."""
        task, templar = self._outer._task, self._outer._templar
        if hasattr(module_common, "_apply_action_arg_defaults"):  # ansible-core 2.19 and newer
            return dict(module_common._apply_action_arg_defaults(name, task, options, templar))
        groups = task._parent._play._action_groups
        return dict(module_common.get_action_args_with_defaults(name, options, task.module_defaults, templar, action_groups=groups))


@contextlib.contextmanager
def option(plugin: t.Any, name: str, value: t.Any) -> t.Iterator[None]:
    """Set an option of a plugin for a while. One that does not have it has no use for it."""
    try:
        before = plugin.get_option(name)
    except KeyError:
        yield
        return
    plugin.set_option(name, value)
    try:
        yield
    finally:
        plugin.set_option(name, before)


def _parsed(given: t.Any) -> tuple[str, t.Any, t.Any]:
    """The action, what stands behind it, and the key C(args)."""
    if not isinstance(given, Mapping):
        raise AsyncJobError(f"task is not a mapping. {_SHAPE}.")
    actions = [str(key) for key in given if key != "args"]
    if len(actions) != 1:
        keywords = [f"'{key}'" for key in actions if key in Task.fattributes]
        hint = f" Move {' and '.join(keywords)} to the async_job task itself, next to 'async'." if keywords else ""
        found = f"has {len(actions)} actions ({', '.join(actions)})" if actions else "has no action"
        raise AsyncJobError(f"task {found}. {_SHAPE}.{hint}")
    if actions[0] in Task.fattributes:
        raise AsyncJobError(f"task: {actions[0]!r} is a keyword of tasks. {_SHAPE}.")
    return actions[0], given[actions[0]], given.get("args")


def _options(action: str, name: str, value: t.Any, more: t.Any) -> dict[str, t.Any]:
    """The options of the action. Text is taken as it is: a variable in it that looks like an option, or has a quote, is data."""
    if not isinstance(more, Mapping) and more is not None:
        raise AsyncJobError("task: args is not a mapping of options.")
    if value is None or value == "":
        options = {}
    elif isinstance(value, Mapping):
        options = dict(value)
    elif name in RAW_PARAM_MODULES or action in RAW_PARAM_MODULES:
        options = {"_raw_params": str(value)}
    else:
        raise AsyncJobError(f"task: the options of {action!r} have to be a mapping ('name: nginx', not 'name=nginx').")
    options = {**(more or {}), **options}
    if "cmd" in options and name in _COMMANDS:  # what Ansible makes of it when it reads a task
        options["_raw_params"] = str(options.pop("cmd"))
    return options
