# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions that work on the record store have in common.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import abc
import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    DEFAULT_ASYNC_DIR,
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    Spec,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import make_absolute
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._ara_notes import AraNotes
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._awx import started_by
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._names import check_name
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._preload import Preloading, note_need, playbook
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._state_dir import base_directory, state_dir_warnings

_PLAYBOOKS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "playbooks")
_ROLES = ("async_job_save", "async_job_load")
# The names of the store options, by their aliases.
_NAMES = {alias: option for option, spec in STORE_OPTIONS.items() for alias in spec.get("aliases", ())}
# The callbacks that write lines for people to standard output. What others write there may be one document for a program.
_FOR_PEOPLE = ("default", "minimal", "oneline", "debug", "yaml", "dense", "unixy", "stderr", "diy", "counter_enabled", "awx_display")
# Ours, which writes lines, or an object
_ANSWERS = "answers"


class StoreAction(ActionBase):  # type: ignore[misc]
    """An action that works on the record store, in the process of the controller. The managed host is not contacted."""

    BYPASS_HOST_LOOP = Preloading()
    TRANSFERS_FILES = False
    _requires_connection = False

    spec: Spec
    mutually_exclusive: t.Sequence[tuple[str, ...]] = ()
    required_one_of: t.Sequence[tuple[str, ...]] = ()
    required_if: t.Sequence[tuple[str, t.Any, tuple[str, ...]]] = ()
    at_least: t.ClassVar[dict[str, float]] = {}
    """The least values of options that are numbers."""
    of_role: t.ClassVar[t.Sequence[str]] = ()
    """Options that a role of this collection has no default for: its variables set them, if somebody sets these."""
    texts: t.ClassVar[t.Sequence[str]] = JobKey._fields
    """Options that are texts, whatever they look like."""
    warns_at_once = False
    """Whether what is wrong with the place of the records is told before the work, which takes long, and with the result once more."""
    begins_with_names = False
    """Whether a job is started or saved, or looked for before it is: then its names must be what somebody has meant."""
    begins_runs = False
    """Whether runs of workflows begin, with jobs of their own."""
    completes_names = True
    """Whether a job that is given by its name is one of the host and the play of the task, unless the task says otherwise."""

    @abc.abstractmethod
    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        """Do what the options ask for.

        :arg params: validated values of the spec
        :raises AsyncJobError: with a text for the user
        """

    @property
    def wants_diff(self) -> bool:
        """Whether the user wants to see what changes: C(--diff), or the keyword C(diff)."""
        return bool(self._task.diff)

    @property
    def async_dir(self) -> str:
        """The directory of results files that is in effect for the host, as it is written."""
        return str(self.get_shell_option("async_dir", DEFAULT_ASYNC_DIR))

    @property
    def is_heard(self) -> bool:
        """Whether ansible-playbook, whose worker this process is, still waits for the result. If that was killed, the worker goes on."""
        return os.getppid() == self._playbook

    def check_heard(self) -> None:
        """Make sure that whoever wants something to be started is still there.

        :raises AsyncJobError: if ansible-playbook has ended before its worker
        """
        if not self.is_heard:
            raise AsyncJobError("ansible-playbook has ended before this task. Nothing more was started. Run it once more to go on.")

    def notify(self, line: str) -> None:
        """Tell the user now. Warnings of a task are shown only when it has ended."""
        Display().display(harmless_lines(line), stderr=True)

    def say(self, line: str) -> None:
        """Tell the user now how it is going, if they want to know."""
        if self._shows_progress:
            self.notify(line)

    def show(self, table: str) -> None:
        """Print lines that a user has asked for, harmless ones, where they cannot spoil what a callback writes for a program."""
        if self._shows_progress:
            callback = str(constants.DEFAULT_STDOUT_CALLBACK).rpartition(".")[2]
            is_for_people = callback in _FOR_PEOPLE
            if callback == _ANSWERS:
                is_for_people = os.environ.get("ASYNC_JOB_ANSWERS_FORMAT", "text") == "text"  # its option has no other source
            Display().display(table, stderr=not is_for_people)

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Do the task: Ansible calls this once per host and item."""
        self._playbook = playbook()
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        self.ara = AraNotes(self._task, self._playbook, self.notify)
        try:
            self._refuse_near_misses()
            params = self._params(self._task_vars)
            self._shows_progress = params.get("progress", True)
            warnings = state_dir_warnings(params, self._base_directory, begins=self.begins_with_names or self.begins_runs)
            for warning in warnings if self.warns_at_once else ():
                _ansible.warn_now(harmless_lines(warning))
            result["warnings"] = warnings  # also if what follows fails
            result.update(self.work(params))
            result["warnings"] = [*warnings, *result.get("warnings", ())]
        except AsyncJobError as error:
            result.update(failed=True, msg=str(error))
        _make_harmless(result)
        if self.in_loop and not result["warnings"]:
            del result["warnings"]
        return result

    def started_by(self) -> Fields:
        """Return the fields of the record that say who starts an attempt. None stands for a field to remove."""
        return {**started_by(self._task_vars), **self.ara.of_start()}

    @property
    def is_own_playbook(self) -> bool:
        """Whether the task is in a playbook of this collection."""
        playbook = os.path.realpath(self._task.get_path().rpartition(":")[0])
        return bool(os.path.dirname(playbook) == _PLAYBOOKS)

    def _refuse_near_misses(self) -> None:
        """Refuse to go on if this is a playbook of the collection, and was given variables that look like ours, and are not."""
        if self.is_own_playbook:
            # Other playbooks, with many hosts, need not wait until this is compiled.
            from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._near_misses import refuse_near_misses

            refuse_near_misses(self._task, self._loader)

    def validated(self, spec: Spec, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """Check values of options, and fill in what was not given.

        :arg spec: with the options of the store among them
        :raises AnsibleActionFail: if an option is unknown, missing, or of the wrong type
        """
        for given in (args, self._task.args):
            for alias, option in _NAMES.items():
                both = {alias, option}
                if not both <= given.keys() or given[alias] == given[option]:
                    continue
                # An option of the task beats module_defaults, by whichever name.
                if given is args or both <= set(self._options_of_task()):
                    raise AnsibleActionFail(f"{option} and {alias} are the same option, and have different values. Give only one of them.")
        validation = ArgumentSpecValidator(
            spec, mutually_exclusive=self.mutually_exclusive, required_one_of=self.required_one_of, required_if=self.required_if
        ).validate(args)
        if validation.error_messages:
            problem = validation.errors.msg
            if isinstance(validation.errors[0], UnsupportedError):
                problem = f"Unsupported parameters for ({self._task.action}) module: {problem}"
            raise AnsibleActionFail(problem)
        params: dict[str, t.Any] = validation.validated_parameters
        for option, least in self.at_least.items():
            if params.get(option) is not None and params[option] < least:
                raise AnsibleActionFail(f"{option} is {params[option]}, and has to be at least {least}. Nothing was done.")
        make_absolute(params, self._base_directory)
        note_need(params["backend"])
        return params

    def _params(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        self._base_directory = base_directory(task_vars)
        args = self.arguments(task_vars)
        args.update(self._from_variables(task_vars, args))
        params = self.validated(self.spec, args)
        if self.completes_names and any(params.get(name) is not None for name in ("job_name", "job_names", "jobs")):
            if params["host"] is None:
                params["host"] = str(task_vars["inventory_hostname"])
            if params["playbook_name"] is None:
                params["playbook_name"] = str(task_vars["ansible_play_name"])
        if self.begins_with_names and params.get("state") != "absent":
            for option in JobKey._fields:
                if params[option] is not None:
                    check_name(option, params[option])
        return params

    def arguments(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the options that the task and module_defaults give, by their names rather than by their aliases."""
        args = {_NAMES.get(option, option): value for option, value in self._task.args.items()}
        for option in self.texts:
            text = _ansible.text_of_option(self._task, self._templar, option)
            if text is not None and option in args:
                args[option] = text
        return args

    @property
    def in_loop(self) -> bool:
        """Whether the task has several items, each with an answer of its own."""
        return bool(self._task.loop_with) or self._task.loop is not None

    @property
    def role(self) -> str:
        """The name of the role that the task is in, less its collection. Empty if it is in none."""
        return str(self._task_vars.get("ansible_role_name", "")).rpartition(".")[2]

    def _from_variables(self, task_vars: dict[str, t.Any], args: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the options that variables set: <role>_<option> inside a role of this collection, async_job_<option> everywhere.

        They stand between the options of the task, which beat them, and module_defaults, which they beat.
        """
        prefixes = ["async_job_"]
        if self.role in _ROLES:
            prefixes.insert(0, f"{self.role}_")
        names = {prefix + option: option for prefix in prefixes for option in STORE_OPTIONS if option in self.spec}
        names.update((f"async_job_{option}", option) for option in PROGRESS_OPTIONS if option in self.spec)
        if self.role in _ROLES:
            names.update((f"{self.role}_{option}", option) for option in self.of_role)
        templates = {name: task_vars[name] for name in names if name in task_vars}
        if not {names[name] for name in templates}.isdisjoint(args):
            # What the task omits is not among the arguments.
            given = args.keys() & {_NAMES.get(option, option) for option in self._options_of_task()}
            templates = {name: template for name, template in templates.items() if names[name] not in given}
        values: dict[str, t.Any] = {}
        if self.role == "async_job_load":
            # An error of these would come after the job was started, and before it is saved.
            self._templated({name: task_vars[name] for option in STORE_OPTIONS if (name := f"async_job_save_{option}") in task_vars})
        for name, value in self._templated(templates).items():
            # Newer cores drop an omitted value by themselves; older ones leave a placeholder.
            if value != task_vars.get("omit"):
                values.setdefault(names[name], value)
        return values

    def _templated(self, templates: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the values of variables.

        :raises AsyncJobError: if one is not defined
        """
        values: dict[str, t.Any] = {}
        for name, template in templates.items():
            try:
                values.update(self._templar.template({name: template}))
            except AnsibleUndefinedVariable as error:
                what = f"variable {name}" if name.removeprefix(f"{self.role}_") in self.of_role else f"setting {name} of the store"
                raise AsyncJobError(
                    f"The {what} cannot be told: {error}. Nothing was started, read or written. Define what it takes, or leave it out."
                ) from None
        return values

    def _options_of_task(self) -> t.Iterator[str]:
        """Yield the names of the options that the task itself gives."""
        return _ansible.options_in_playbook(self._task, self._templar.template)


def _make_harmless(result: dict[str, t.Any]) -> None:
    """Change what Ansible shows of a result as it is: warnings, why a task has failed, and what could not be read."""
    result["warnings"] = [harmless_lines(_ansible.text_of_warning(warning)) for warning in result.get("warnings", ())]
    for name in ("reason", "exception"):
        if isinstance(result.get(name), str):
            result[name] = harmless_lines(result[name])
    if "diff" in result:
        result["diff"] = _shown_diff(result["diff"])
    if result.get("failed") and isinstance(result.get("msg"), str):
        result["msg"] = harmless_lines(result["msg"])
    if "unreadable" in result:
        result["unreadable"] = [{name: harmless_lines(text) for name, text in problem.items()} for problem in result["unreadable"]]


def _shown_diff(diff: t.Any) -> t.Any:
    """Return differences as callbacks may print them: nothing but texts, and these harmless."""
    if isinstance(diff, list):
        return [*map(_shown_diff, diff)]
    texts = diff.items() if isinstance(diff, dict) else ()
    return {name: harmless_lines(text) for name, text in texts if isinstance(name, str) and isinstance(text, str)}
