# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: answers
type: stdout
short_description: Print what the commands of the fleet answer, and nothing around it
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - For the playbooks of this collection, such as C(rstyczynski.ansible.jobs) and C(rstyczynski.ansible.show). It prints the tables of the
    modules and what the playbooks say of them, without C(PLAY), C(TASK) and C(RECAP).
  - Nothing that has failed is passed over. What has failed, which hosts are unreachable, and warnings are on the standard error, those
    that the playbook ignores included; and so is that no host fits.
  - The exit code is that of Ansible, but 1 if no task was run, because no host fits for one, or if the answer could not be written.
  - The command C(async-jobs) chooses it.
options:
  format:
    description:
      - V(text) is for people. V(json) is one object for programs, at the end; all else goes to the standard error then.
      - Its fields are C(ok), whether something was done and nothing has failed; C(jobs) and C(approvals), those of all answers; C(answers),
        what each module of this collection has returned on each host, beside C(host) and C(module); C(messages), what the playbook says of
        that; C(errors), each with C(host), C(task), C(msg), C(unreachable) and C(ignored); and C(warnings). A run that is interrupted
        prints no object.
    type: str
    choices: [text, json]
    default: text
    env:
      - name: ASYNC_JOB_ANSWERS_FORMAT
  descriptor:
    description:
      - The number of an open file of Ansible's process to which the object is written, in place of the standard output, to which others
        may write as well.
    type: int
    env:
      - name: ASYNC_JOB_ANSWERS_DESCRIPTOR
"""

EXAMPLES = r"""
# On the command line:
#   ANSIBLE_STDOUT_CALLBACK=rstyczynski.ansible.answers ansible-playbook rstyczynski.ansible.jobs
#   ANSIBLE_STDOUT_CALLBACK=rstyczynski.ansible.answers ASYNC_JOB_ANSWERS_FORMAT=json
#     ansible-playbook rstyczynski.ansible.jobs -e entries=true     (all on one line)
"""

import json
import os
import sys
import typing as t

from ansible import constants
from ansible.plugins.callback import CallbackBase

from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible

_OURS = "rstyczynski.ansible."
# These say what a playbook wants to say; of others, it is of interest which host and which task it was.
_SAYS = ("ansible.builtin.debug", "ansible.builtin.assert", "ansible.builtin.fail")
# What every result has, or what is said elsewhere.
_NO_ANSWER = ("lines", "entries", "invocation", "warnings", "deprecations", "ansible_facts", "exception")
# What tells more of a failure than its message
_MORE = ("module_stderr", "module_stdout", "stderr", "stdout")
# How much of that is shown, in lines
_LINES = 20


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """The callback C(answers). The underscored parts of a result are those that ansible-core before 2.19 has, too."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rstyczynski.ansible.answers"

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._answers: list[dict[str, t.Any]] = []
        self._jobs: list[t.Any] = []
        self._approvals: list[t.Any] = []
        self._messages: list[t.Any] = []
        self._errors: list[dict[str, t.Any]] = []
        self._warnings: list[str] = []
        self._told: set[tuple[str, str]] = set()  # tasks and hosts, some items of which have failed
        self._has_begun = False

    @property
    def _is_for_people(self) -> bool:
        """Whether lines are wanted, rather than an object."""
        return bool(self.get_option("format") == "text")

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """Note that there is something to do."""
        self._has_begun = True

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Print what a playbook says; the modules of this collection print by themselves."""
        self._take_warnings(result)
        self._tell_more(result)
        self._take_answer(result)

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """Print what is said of an item of a loop."""
        self.v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Say what has failed. What a module could do before that is an answer all the same."""
        self._take_warnings(result)
        self._tell_more(result)
        if _action(result._task).startswith(_OURS):
            self._take_answer(result)
        self._take_error(result, ignored=bool(ignore_errors), unreachable=bool(result._result.get("unreachable")))

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        """Say which item has failed."""
        self._told.discard(_place(result))
        unreachable = bool(result._result.get("unreachable"))
        self.v2_runner_on_failed(result, bool(result._task.ignore_unreachable if unreachable else result._task.ignore_errors))
        self._told.add(_place(result))

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Say which host is away."""
        self._take_warnings(result)
        self._take_error(result, unreachable=True, ignored=bool(result._task.ignore_unreachable))

    def v2_on_file_diff(self, result: t.Any) -> None:
        """Print what changes, if C(--diff) asks for it. In the object, it is with the answer."""
        diff = result._result.get("diff")
        if diff and self._is_for_people:
            self._display.display(self._get_diff(diff))

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Print the object, or that there was nothing to do."""
        if not self._has_begun:
            self._warnings.append("No task was run: no host fits, or tags leave all of them out.")
            self._display.warning(self._warnings[-1])
        if not self._is_for_people:
            self._write(
                {
                    "ok": self._has_begun and not any((*stats.failures.values(), *stats.dark.values())),
                    "jobs": self._jobs,
                    "approvals": self._approvals,
                    "answers": self._answers,
                    "messages": self._messages,
                    "errors": self._errors,
                    "warnings": self._warnings,
                }
            )
        # Nobody was asked, or half of the answer is lost: that is no success.
        if not self._has_begun or (self._is_for_people and _ansible.lost_output):
            raise SystemExit(1)

    def _write(self, document: dict[str, t.Any]) -> None:
        text = json.dumps(document, default=str, sort_keys=True, indent=2) + "\n"  # in ASCII, whatever the locale
        descriptor = self.get_option("descriptor")
        try:
            if descriptor is None:
                sys.stdout.write(text)
                sys.stdout.flush()
                return
            with os.fdopen(os.dup(descriptor), "w", encoding="ascii") as file:
                file.write(text)
        except BrokenPipeError:
            return  # whoever reads has read enough
        except OSError as error:
            # Of what a callback raises, Ansible makes a warning, and ends well all the same.
            self._display.error(f"The answer could not be written: {error.strerror}.", wrap_text=False)
            raise SystemExit(1) from None

    def _take_answer(self, result: t.Any) -> None:
        """Print or keep what a task says."""
        task, answer = result._task, result._result
        action = _action(task)
        if action == _SAYS[0]:
            if "results" in answer:
                return  # each of its items has been told
            said = answer["msg"] if "msg" in answer else {name: answer[name] for name in answer if name in task.args.values()}
            self._messages.append(said)
            if self._is_for_people:
                for line in said if isinstance(said, list) else [said]:
                    self._display.display(harmless_lines(line if isinstance(line, str) else json.dumps(line, default=str)))
        elif action.startswith(_OURS) and "results" not in answer and not task.args.get("quiet"):
            self._jobs += answer.get("entries") or []
            self._approvals += answer.get("approvals") or []
            kept = {name: value for name, value in answer.items() if name not in _NO_ANSWER and not name.startswith("_ansible_")}
            self._answers.append({**kept, "host": result._host.get_name(), "module": action[len(_OURS) :]})
            if answer.get("lines") and self._is_for_people:
                self._display.display(harmless_lines("\n".join(map(str, answer["lines"]))))

    def _take_error(self, result: t.Any, *, ignored: bool, unreachable: bool = False) -> None:
        """Say why a task has failed, and keep it, unless that was done for each of its items."""
        if _place(result) in self._told:
            self._told.discard(_place(result))
            return
        task, answer, host = result._task, result._result, result._host.get_name()
        msg = str(answer.get("msg") or answer.get("censored") or "") or json.dumps(
            {name: value for name, value in answer.items() if not name.startswith("_ansible_")}, default=str
        )
        action = _action(task)
        name = task.get_name()
        if "ansible_loop_var" in answer:
            name += f" (item={self._get_item_label(answer)})"
        self._errors.append({"host": host, "task": name, "msg": msg, "unreachable": unreachable, "ignored": ignored})
        if unreachable:
            line = f"{getattr(result, '_task_fields', {}).get('delegate_to') or host} is unreachable: {msg}"
        elif action in _SAYS or (action.startswith(_OURS) and (task.run_once or result._host.implicit)):
            line = msg  # of the controller, whichever host that was run for
        elif action.startswith(_OURS):
            line = f"{host}: {msg}"
        else:
            line = f"{host}: {name}: {msg}"
        more = [text for field in _MORE for text in str(answer.get(field) or "").splitlines()[-_LINES:] if not action.startswith(_OURS)]
        if answer.get("exception") and self._display.verbosity > 2:
            more += str(answer["exception"]).splitlines()
        text = "\n  ".join([line, *more])
        color = constants.COLOR_WARN if ignored else constants.COLOR_ERROR
        self._display.display(harmless_lines(f"{'Passed over' if ignored else 'ERROR'}: {text}"), color=color, stderr=True)

    def _tell_more(self, result: t.Any) -> None:
        """Print all that a task has returned, if C(-v) asks for it."""
        if self._display.verbosity > 0:
            text = f"{result._host.get_name()}: {result._task.get_name()}: {self._dump_results(result._result)}"
            self._display.display(harmless_lines(text), color=constants.COLOR_VERBOSE, stderr=True)

    def _take_warnings(self, result: t.Any) -> None:
        """Print warnings, and keep them."""
        answer = result._result
        self._warnings += [harmless_lines(_ansible.text_of_warning(warning)) for warning in answer.get("warnings") or ()]
        self._handle_warnings(answer)


def _place(result: t.Any) -> tuple[str, str]:
    return str(result._task._uuid), str(result._host.get_name())


def _action(task: t.Any) -> str:
    """Return the full name of what a task does."""
    return str(task.resolved_action or task.action)
