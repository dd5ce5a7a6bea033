# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that is to be started as a job: what the option C(task) of C(async_job) says.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.plugins.action import ActionBase

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.command import checked_options
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import policies
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible

_SHAPE = "It takes one action with its options, as a task has them, for example 'ansible.builtin.command: /opt/migrate.sh --all'"

# Actions that cannot run in the background. Others say so only when they are asked to start.
_NO_JOBS = (
    "rstyczynski.ansible.async_job",
    *(
        f"ansible.builtin.{name}"
        for name in ("raw", "script", "meta", "import_role", "import_tasks", "include_role", "include_tasks", "import_playbook")
    ),
)

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
        chosen = _ansible.choose_action(outer, self.action)
        if chosen is None:
            raise AsyncJobError(f"task: the action {self.action!r} was not found. Correct its name, or install its collection.")
        name = chosen.name
        options = _ansible.with_module_defaults(outer._task, name, _options(self.action, name, value, more), outer._templar)
        self._task = _ansible.inner_task(outer._task, action=self.action, args=options, limit=limit)
        self._handler = _ansible.handler_of(outer, chosen, self._task)
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

    def launch(self, async_dir: str) -> tuple[str, str]:
        """Start it, with this directory for its results file. Return its job id, and the directory of that file, as Ansible says them.

        :raises LaunchFailed: if Ansible says that it has failed
        """
        connection = self._outer._connection
        with (
            _ansible.shell_option(connection, "async_dir", async_dir),
            _ansible.connection_option(connection, "reconnection_retries", 0),
        ):
            result: dict[str, t.Any] = self._launch_command(async_dir) if self.is_command else self._handler.run(task_vars=self._task_vars)
        if not result.get("ansible_job_id"):
            raise LaunchFailed(result)
        return str(result["ansible_job_id"]), str(result.get("results_file") or "").rpartition("/")[0]

    def _launch_command(self, directory: str) -> dict[str, t.Any]:
        about = {"options": self._task.args, "directory": directory, "uses_shell": self._uses_shell}
        # A job name and a task have to be given. What counts is the command.
        args = {"job_name": "job", "task": {}, "_action": about}
        return _ansible.start_module(self._handler, "rstyczynski.ansible.async_job", args, self._task_vars)


def _parsed(given: t.Any) -> tuple[str, t.Any, t.Any]:
    """Return the action, what stands behind it, and the key C(args)."""
    if not isinstance(given, Mapping):
        raise AsyncJobError(f"task is not a mapping. {_SHAPE}.")
    actions = [str(key) for key in given if key != "args"]
    if len(actions) != 1:
        keywords = [f"'{key}'" for key in actions if key in _ansible.task_keywords()]
        hint = f" Move {' and '.join(keywords)} to the async_job task itself, next to 'async'." if keywords else ""
        found = f"has {len(actions)} actions ({', '.join(actions)})" if actions else "has no action"
        raise AsyncJobError(f"task {found}. {_SHAPE}.{hint}")
    if actions[0] in _ansible.task_keywords():
        raise AsyncJobError(f"task: {actions[0]!r} is a keyword of tasks. {_SHAPE}.")
    return actions[0], given[actions[0]], given.get("args")


def _options(action: str, name: str, value: t.Any, more: t.Any) -> dict[str, t.Any]:
    """Return the options of the action. Text is taken as it is: a variable in it that looks like an option, or has a quote, is data."""
    if not isinstance(more, Mapping) and more is not None:
        raise AsyncJobError("task: args is not a mapping of options.")
    if value is None or value == "":
        options = {}
    elif isinstance(value, Mapping):
        options = dict(value)
    elif name in _ansible.FREE_FORM or action in _ansible.FREE_FORM:
        options = {"_raw_params": str(value)}
    else:
        raise AsyncJobError(f"task: the options of {action!r} have to be a mapping ('name: nginx', not 'name=nginx').")
    options = {**(more or {}), **options}
    if "cmd" in options and name in _COMMANDS:  # what Ansible makes of it when it reads a task
        options["_raw_params"] = str(options.pop("cmd"))
    return options
