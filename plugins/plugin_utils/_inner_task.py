# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task that is to be started as a job: what the option C(task) of C(async_job) says.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import traceback
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleActionSkip, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARKERS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.command import BY_ACTION
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import policies
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._commands import checked_options, logged

_SHAPE = "It takes one action with its options, as a task has them, for example 'ansible.builtin.command: /opt/migrate.sh --all'"

# What is read together with a playbook, or changes the play: there is nothing to run on a host.
_READ = ("import_playbook", "import_role", "import_tasks", "include_role", "include_tasks")
_OF_THE_PLAY = ("add_host", "group_by", "include_vars", "meta", "set_fact", "set_stats")
# Not keywords of tasks, but those of blocks
_BLOCK = ("block", "rescue", "always")

_NO_JOB = "A job is one action that Ansible can run in the background (async) on a host."

SEVERAL = (
    f"{_NO_JOB} For several tasks: give each of them an async_job task of its own, with its own job_name; or put them into a script or a"
    " playbook, and let the job run that, for example 'ansible.builtin.command: ansible-playbook upgrade.yml'. Nothing was started."
)
"""What to do about a task that is a list, or a block."""

# These run a command. "cmd" is another name for their text.
_SHELL = ("ansible.builtin.shell", "ansible.legacy.shell")
_COMMANDS = ("ansible.builtin.command", "ansible.legacy.command", *_SHELL)
# Connections that a program goes through from its first byte to its last, or not at all.
_CARRIERS = ("ssh", "local")


class LaunchFailed(Exception):
    """Ansible says that it could not start the job."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result.get("msg", "Ansible did not start it, and does not say why."))
        self.result = result


class Launched(t.NamedTuple):
    """What came of it to start a job."""

    job_id: str
    directory: str
    """That of its results file, as Ansible says it."""
    result: dict[str, t.Any] | None = None
    """What the action returned that has done the work itself. Else None."""


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
        if name == "rstyczynski.ansible.async_job" or _bare(name) in (*_READ, *_OF_THE_PLAY):
            raise AsyncJobError(f"task: the action {self.action!r} {_why_not(_bare(name))}")
        options = _ansible.with_module_defaults(outer._task, name, _options(self.action, name, value, more), outer._templar)
        self._task = _ansible.inner_task(outer._task, action=self.action, args=options, limit=limit)
        self._handler = _ansible.handler_of(outer, chosen, self._task)
        if not _ansible.supports_async(self._handler):
            raise AsyncJobError(f"task: the action {self.action!r} {_why_not(_bare(name))}")
        self.own_work = "" if _ansible.works_by_module(self._handler) else name
        """The action, if it may do its work itself, from the controller, although it says that it supports C(async). Else empty."""
        self.goes_together = not self.own_work and _ansible.only_runs_a_module(self._handler)
        """Whether all that it does on the host is to start one module in the background: then several can be started together."""
        self.is_command = name in _COMMANDS
        """Whether it runs a command, whose output goes to files in the directory of the attempt."""
        self.fingerprint = policies.fingerprint_of(name, self._task.args)
        """What tells it from another task."""
        self._uses_shell = name in _SHELL
        self._options: dict[str, t.Any] = {}
        if self.is_command:
            try:
                self._options = checked_options(self._task.args, uses_shell=self._uses_shell)
            except AsyncJobError as error:
                raise AsyncJobError(f"task: {error} Nothing was started.") from error

    def launch(self, async_dir: str) -> Launched:
        """Start it, with this directory for its results file.

        :raises LaunchFailed: if Ansible says that it has failed
        """
        with self._launching(async_dir) as launching:
            try:
                result = self._start(async_dir)
            except AnsibleConnectionFailure:
                raise
            except Exception as error:
                if not self.own_work or launching.has_launched:
                    raise
                result = _failure(error)
        if result.get("unreachable") or result.get("ansible_job_id") or not self.own_work or launching.has_launched:
            return self.judged(result)
        return Launched("", "", result)

    def to_send(self, async_dir: str, directory: str) -> _ansible.ToSend | None:
        """Return what Ansible would send to the host and run there to start it. None if it has to be started by itself.

        :arg directory: on the host, for the files of the module
        :raises LaunchFailed: if Ansible does not come to that
        """
        if not self.goes_together:
            return None
        with self._launching(async_dir):
            found = _ansible.to_send(self._handler, lambda: self._start(async_dir), directory)
        if isinstance(found, dict):
            raise LaunchFailed(found)
        return found

    @property
    def can_be_quick(self) -> bool:
        """Whether it can be started by a program of ours alone, in one exchange: a command, and a connection that is known to carry it."""
        return self.is_command and self.goes_together and self._is_carried

    @property
    def can_go_alone(self) -> bool:
        """Whether it is best started like one of several: Ansible's own files and its command, with one program."""
        return not self.is_command and self.goes_together and self._is_carried

    @property
    def _is_carried(self) -> bool:
        return str(self._outer._connection.transport) in _CARRIERS

    def module_of_command(self, directory: str) -> bytes:
        """Return the program that runs its command on the host, in place of a module.

        :arg directory: of the attempt
        """
        # Where all jobs have ended, nobody needs it.
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import program

        ways = _ansible.ways_of_modules(self._outer, self._task_vars)
        is_logged = not ways.get("_ansible_no_log") and not self._task.no_log
        return program(
            "_host.command",
            {
                "options": self._options,
                "directory": directory,
                "uses_shell": self._uses_shell,
                "shell": ways.get("_ansible_shell_executable") or "/bin/sh",
                "log": logged(self._options) if is_logged else "",
                "facility": str(ways.get("_ansible_syslog_facility") or ""),
            },
        )

    @staticmethod
    def judged(result: dict[str, t.Any]) -> Launched:
        """Return what came of a start in the background, of what Ansible's wrapper says of it.

        :raises LaunchFailed: if that is that it has failed
        """
        if result.get("ansible_job_id"):
            return Launched(str(result["ansible_job_id"]), str(result.get("results_file") or "").rpartition("/")[0])
        if result.get("unreachable"):
            raise AnsibleConnectionFailure(str(result.get("msg", "The host cannot be reached.")))
        raise LaunchFailed(result)

    @contextlib.contextmanager
    def _launching(self, async_dir: str) -> t.Iterator[_ansible.Launching]:
        connection = self._outer._connection
        with (
            _ansible.shell_option(connection, "async_dir", async_dir),
            _ansible.connection_option(connection, "reconnection_retries", 0),
            _ansible.launching(self._task, async_dir, MARKERS, secret=bool(self._task.no_log)) as launching,
        ):
            yield launching

    def _start(self, async_dir: str) -> dict[str, t.Any]:
        return self._launch_command(async_dir) if self.is_command else dict(self._handler.run(task_vars=self._task_vars))

    def _launch_command(self, directory: str) -> dict[str, t.Any]:
        about = {"options": self._options, "directory": directory, "uses_shell": self._uses_shell}
        # A job name has to be given. What counts is the command.
        args = {"job_name": "job", "task": {BY_ACTION: about}}
        return _ansible.start_module(self._handler, "rstyczynski.ansible.async_job", args, self._task_vars)


def _failure(error: Exception) -> dict[str, t.Any]:
    """Return what an action returns that has raised an exception."""
    if isinstance(error, AnsibleActionSkip):
        return {"changed": False, "msg": str(error)}
    result = getattr(error, "result", None)
    said = dict(result) if isinstance(result, Mapping) else {}
    if not isinstance(error, AnsibleError):
        said["exception"] = traceback.format_exc()
    return {"msg": str(error), **said, "failed": True}


def _bare(name: str) -> str:
    """Return the name of an action of Ansible's own without its collection; of others, the whole one."""
    return name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")


def _why_not(name: str) -> str:
    """Say why an action cannot be a job, and what to do instead."""
    if name in _READ:
        return (
            f"is none that runs on a host: it reads more of the playbook. {_NO_JOB} Put async_job tasks into what it reads; or let the job"
            " run a playbook, for example 'ansible.builtin.command: ansible-playbook upgrade.yml'. Nothing was started."
        )
    if name in _OF_THE_PLAY:
        return f"changes the play, and has nothing to do on a host. {_NO_JOB} Make it a task of its own. Nothing was started."
    return (
        f"does not support 'async', so it cannot be a job. {_NO_JOB} Do what it does with ansible.builtin.command or another module, or"
        " make it a task of its own. Nothing was started."
    )


def _parsed(given: t.Any) -> tuple[str, t.Any, t.Any]:
    """Return the action, what stands behind it, and the key C(args)."""
    if not isinstance(given, Mapping):
        raise AsyncJobError(f"task is not a mapping. {_SHAPE}.")
    if not given.keys().isdisjoint(_BLOCK):
        raise AsyncJobError(f"task is a block. {SEVERAL}")
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
