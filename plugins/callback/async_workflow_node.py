# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: async_workflow_node
type: notification
short_description: Writes down what becomes of a node of a workflow
version_added: 1.1.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - M(rstyczynski.ansible.async_workflow) switches this on for the playbooks that it runs as nodes, and for nothing else. There is no need
    to switch it on yourself, where it does nothing.
  - It tells how far the playbook has come with lines C(PROGRESS 2/7 name of the task) on the standard output, and with
    C(PROGRESS 2/0 name of the task) where nobody knows of how many, as with C(serial), tags or included tasks.
  - In a file of the directory of the attempt, it writes the counts for each host, where the playbook has failed and with which message,
    and what M(ansible.builtin.set_stats) has set.
  - Of a task with C(no_log), it writes only the names of what it has set, and no message, which ansible-core 2.19 and newer print
    otherwise. What is encrypted with Ansible Vault stays encrypted, or only its name is written; so it is with what holds a secret
    parameter of the run.
"""

import contextlib
import itertools
import json
import os
import re
import typing as t

from ansible import context
from ansible.plugins.callback import CallbackBase

# The directory of the attempt. Only nodes have it.
_VARIABLE = "ASYNC_WORKFLOW_NODE_DIRECTORY"
# The names of parameters that are secret
_SECRET_PARAMS = "ASYNC_WORKFLOW_SECRET_PARAMS"
# What ARA puts on the playbook of the node, and which of it tells the attempt
_LABELS = "ARA_DEFAULT_LABELS"
_ATTEMPT = "attempt:"
_GIVEN = "node.vars"
_REPORT = "node.json"

_MOST_PROBLEMS = 20
_LONGEST_MESSAGE = 1000
_MOST_HOSTS = 1000
# How much the artifacts of a node may take together, in bytes.
_MOST_BYTES = 262_144
# How far templates of templates are followed.
_DEEPEST = 6
# What is shorter may be part of anything, in characters.
_SHORTEST = 4
_SHORTEST_LINE = 8
_HIDDEN = "********"

# Strategies with which all hosts begin a task together, and actions whose tasks nobody knows before
_LOCKSTEP = ("linear", "debug")
_INCLUDES = ("include_tasks", "include_role", "include")
_SETS_VARIABLES = ("set_fact", "include_vars")
_SET_STATS = ("set_stats", "ansible.builtin.set_stats", "ansible.legacy.set_stats")
_COUNTS = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes into the directory of the attempt."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rstyczynski.ansible.async_workflow_node"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        # Not for what the playbook starts: the end of another playbook, which a task of it runs, is not its own.
        self._directory = os.environ.pop(_VARIABLE, "")
        self.disabled = not os.path.isdir(self._directory)
        self._secret_params = [*filter(None, os.environ.pop(_SECRET_PARAMS, "").split(","))]
        if not self.disabled:
            _keep_messages_secret()
        self._current = 0
        self._total = 0
        self._written: dict[str, t.Any] = {}
        """What the author has written for tasks that set something. When they have ended, only its values are left."""
        self._secret: set[str] = set()
        self._vaults: dict[str, str] = {}
        self._plain: dict[str, str] = {}
        """What encrypted variables hold, by what they are stored as."""
        self._problems: list[dict[str, str]] = []
        self._variables: t.Callable[[t.Any, t.Any], t.Any] = lambda host, task: {}
        self._of_host: t.Callable[[str], t.Any] = lambda host: {}
        self._not_learned: set[str] = set()
        """Hosts of the play whose variables nobody has searched for secrets, or not since a task may have set some."""
        self._known: set[str] = set()
        """All that was found so far that nobody may read."""

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Remove what the node was given: it was read. Count the tasks."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._directory, _GIVEN))
        # By now, ARA has read its own. A playbook that a task of this one leaves behind has not ended with the attempt.
        if _LABELS in os.environ:
            labels = os.environ[_LABELS].split(",")
            os.environ[_LABELS] = ",".join(label for label in labels if not label.strip().startswith(_ATTEMPT))
        try:
            plays = playbook.get_plays()
            tasks = [task for play in plays for block in play.compile() for task in _tasks(block)]
            is_known = all(map(_is_countable, plays)) and not any(task.action.rpartition(".")[2] in _INCLUDES for task in tasks)
            self._total = len(tasks) if is_known else 0
        except Exception:  # whatever it is, the playbook itself will say so
            self._total = 0

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """Remember how to look up variables."""
        manager = play.get_variable_manager()
        self._variables = lambda host, task: manager.get_vars(play=play, host=host, task=task)
        with contextlib.suppress(Exception):  # whatever it is, the playbook itself will say so
            variables = manager.get_vars(play=play)
            self._of_host, self._not_learned = variables["hostvars"].raw_get, {*variables["ansible_play_hosts_all"]}

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """Tell how far it has come."""
        if task.action in ("meta", "ansible.builtin.meta", "ansible.legacy.meta"):
            return
        if task.action in _SET_STATS:
            self._written[task._uuid] = task.args.get("data")
        self._current += 1
        if self._current > self._total:  # handlers, for one, were not counted
            self._total = 0
        self._learn(None, task)
        if "{" in str((task.get_ds() or {}).get("name", "")):  # with what a host has, and it does not say which
            while self._not_learned:
                with contextlib.suppress(Exception):
                    self._secrets_in(self._of_host(self._not_learned.pop()))
        name = " ".join(self._masked(str(task.get_name())).split())
        self._display.display(f"PROGRESS {self._current}/{self._total} {name[:200]}")

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        """Tell that a handler runs. It was not counted."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """Remember where it has failed."""
        self._note_variables(result)
        if not ignore_errors:
            self._note_problem(result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """Remember whom it did not reach."""
        self._note_problem(result)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """Remember which of the values that are set must not be written."""
        task, host = _of(result, "task"), _of(result, "host")
        self._note_variables(result)
        if task.action not in _SET_STATS:
            return
        data = self._written.get(task._uuid, task.args.get("data"))
        names = [*data] if isinstance(data, dict) else []
        if _is_secret(result):
            self._secret.update(map(str, names))
            if not isinstance(data, dict):
                self._secret.add("*")
            return
        said = _of(result, "result") or {}
        variables: t.Any = None
        for one in said.get("results") or [said]:  # of a loop, each item has set something
            for name, value in ((one.get("ansible_stats") or {}).get("data") or {}).items():
                vault = _ciphertext(value)
                if name in self._vaults:  # Ansible adds to what is there
                    self._secret.add(name)
                if vault:
                    self._vaults[name] = vault
                    continue
                if variables is None:
                    variables = self._variables(host, task)
                raw = data.get(name, data) if isinstance(data, dict) else data
                # The first two find what has the name of something encrypted, the last one what has come from there by other ways.
                if _holds_vault(value, {}, 0) or _holds_vault(raw, variables, 0) or self._tells(value, variables):
                    self._secret.add(name)

    def _note_variables(self, result: t.Any) -> None:
        """Remember a host if it may have other variables now."""
        task = _of(result, "task")
        if task.register or task.action.rpartition(".")[2] in _SETS_VARIABLES or "ansible_facts" in (_of(result, "result") or {}):
            self._not_learned.add(str(_of(result, "host").get_name()))

    def _tells(self, value: t.Any, variables: t.Any) -> bool:
        """Return whether a value holds what an encrypted variable does."""
        secrets = self._secrets_in(variables)
        return any(text == secret or (len(secret) >= _SHORTEST and secret in text) for text in _texts(value) for secret in secrets)

    def _secrets_in(self, variables: t.Any) -> list[str]:
        """Return what the encrypted ones of some variables hold, and parameters that are secret."""
        found = [text for name in self._secret_params for text in _texts(variables.get(name))]
        for value in _encrypted(variables, 0):
            stored = _ciphertext(value)
            if stored not in self._plain:
                self._plain[stored] = ""
                with contextlib.suppress(Exception):  # without the password: then nothing has been decrypted
                    self._plain[stored] = str(value)
            found.append(self._plain[stored])
        texts = {*filter(None, found)}
        texts |= {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
        texts |= {json.dumps(text)[1:-1] for text in texts}
        self._known |= texts
        return [*texts]

    def _learn(self, host: t.Any, task: t.Any) -> None:
        """Find out what nobody may read, as far as it is known of a host."""
        with contextlib.suppress(Exception):  # whatever it is, the playbook itself will say so
            self._secrets_in(self._variables(host, task))

    def _masked(self, text: str) -> str:
        """Return a text without secrets. Of those that overlap, nothing is left."""
        hides = bytearray(len(text))
        for secret in self._known:
            begin = text.find(secret) if len(secret) >= _SHORTEST else -1
            while begin >= 0:
                hides[begin : begin + len(secret)] = b"\1" * len(secret)
                begin = text.find(secret, begin + 1)
        groups = itertools.groupby(zip(text, hides, strict=True), key=lambda one: one[1])
        return "".join(_HIDDEN if hidden else "".join(character for character, _hides in group) for hidden, group in groups)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """Write how it has ended."""
        hosts = sorted(stats.processed)
        self._learn(None, None)
        counts: dict[str, dict[str, int]] = {}
        for host in hosts[:_MOST_HOSTS]:
            together = counts.setdefault(self._masked(host), dict.fromkeys(_COUNTS, 0))
            for name in _COUNTS:
                together[name] += stats.summarize(host).get(name, 0)
        bad = {host for host in hosts if stats.summarize(host)["failures"] or stats.summarize(host)["unreachable"]}
        self._problems = [problem for host in hosts for problem in self._problems_of(host, stats, is_bad=host in bad)]
        artifacts: dict[str, dict[str, t.Any]] = {}
        size = 0
        for name, value in ((stats.custom or {}).get("_run") or {}).items():
            artifact = {"vault": self._vaults[name]} if name in self._vaults else {"value": value}
            if name in self._secret or "*" in self._secret:
                self._secret.add(name)
                continue
            try:
                size += len(json.dumps(artifact))
            except (TypeError, ValueError, RecursionError):
                self._add_problem("", "set_stats", f"{name} was left out: it is nothing that JSON can hold")
                continue
            if size > _MOST_BYTES:
                self._add_problem("", "set_stats", f"{name} was left out: with it, there would be more than {_MOST_BYTES} bytes")
                continue
            artifacts[name] = artifact
        self._secret.discard("*")
        self._write({"ended": True, "failed": bool(bad), "counts": counts, "artifacts": artifacts})

    def _problems_of(self, host: str, stats: t.Any, *, is_bad: bool) -> list[dict[str, str]]:
        """Return where a host has failed. What was rescued is no problem, and comes before what was not."""
        found = [problem for problem in self._problems if problem["host"] in (host, self._masked(host))]
        rescued = stats.summarize(host).get("rescued", 0)
        return (found[rescued:] or found[-1:]) if is_bad else []

    def _note_problem(self, result: t.Any) -> None:
        said = _of(result, "result") or {}
        words = "no_log hides what it says" if _is_secret(result) else str(said.get("msg") or said.get("stderr") or "it says nothing")
        host, task = _of(result, "host"), _of(result, "task")
        if len(self._problems) < _MOST_PROBLEMS:
            self._learn(host, task)
        self._add_problem(*map(self._masked, (str(host.get_name()), str(task.get_name()), words)))
        self._write({"ended": False})

    def _add_problem(self, host: str, task: str, msg: str) -> None:
        if len(self._problems) < _MOST_PROBLEMS:
            self._problems.append({"host": host, "task": task[:_LONGEST_MESSAGE], "msg": msg[:_LONGEST_MESSAGE]})

    def _write(self, report: dict[str, t.Any]) -> None:
        report = {**report, "problems": self._problems, "secret": sorted(self._secret - {"*"})}
        path = os.path.join(self._directory, _REPORT)
        try:
            with open(os.open(f"{path}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(report, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(f"{path}.tmp", path)
        except OSError as error:
            self._display.warning(f"What becomes of this node could not be written: {error}")


def _keep_messages_secret() -> None:
    """Let no callback print why a task with C(no_log) has failed, nor what it warns of: of the result, ansible-core 2.19 and newer hide
    that, and print it all the same as an error or a warning. The output of a node is kept."""
    _keep_secret("_handle_exception", ("exception",))
    _keep_secret("_handle_warnings", ("warnings", "deprecations"))


def _keep_secret(method: str, fields: tuple[str, ...]) -> None:
    really = getattr(CallbackBase, method, None)
    if really is None or hasattr(really, "hides"):
        return

    def handle(self: t.Any, result: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if "censored" in result:
            for field in fields:
                result.pop(field, None)
            return None
        return really(self, result, *args, **kwargs)

    handle.hides = True  # type: ignore[attr-defined]
    setattr(CallbackBase, method, handle)


def _of(result: t.Any, what: str) -> t.Any:
    """Return the task, the host or the content of a result. Older releases have that in private attributes."""
    return getattr(result, what) if hasattr(result, what) else getattr(result, f"_{what}")


def _is_secret(result: t.Any) -> bool:
    said = _of(result, "result") or {}
    some = [said, *(one for one in said.get("results") or () if isinstance(one, dict))]
    return bool(_of(result, "task").no_log or any(one.get("_ansible_no_log") or "censored" in one for one in some))


def _is_countable(play: t.Any) -> bool:
    """Return whether each task of a play begins once: not again for the next hosts (C(serial)), nor for each of them by itself (other
    strategies), and none is left out by its tags."""
    has_tags = [*(context.CLIARGS.get("tags") or ())] not in ([], ["all"]) or bool(context.CLIARGS.get("skip_tags"))
    strategy = str(getattr(play, "strategy", None) or "linear").rpartition(".")[2]
    return not getattr(play, "serial", None) and strategy in _LOCKSTEP and not has_tags


def _tasks(block: t.Any) -> t.Iterator[t.Any]:
    """Yield the tasks of a block, less those that Ansible itself puts there."""
    for task in (*block.block, *block.rescue, *block.always):
        if hasattr(task, "block"):
            yield from _tasks(task)
        elif task.action not in ("meta", "ansible.builtin.meta", "ansible.legacy.meta"):
            yield task


def _ciphertext(value: t.Any) -> str:
    """Return what a vaulted value is stored as. Empty if it is none."""
    text = getattr(value, "_ciphertext", None)
    return text.decode("ascii", "replace") if isinstance(text, bytes) else text if isinstance(text, str) else ""


def _encrypted(value: t.Any, depth: int) -> t.Iterator[t.Any]:
    """Yield all that is encrypted in a value."""
    if _ciphertext(value):
        yield value
    elif depth <= _DEEPEST and isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _encrypted(item, depth + 1)


def _texts(value: t.Any) -> t.Iterator[str]:
    """Yield all texts and numbers in a value, as texts."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def _holds_vault(value: t.Any, variables: t.Any, depth: int) -> bool:
    """Return whether a value holds something encrypted, or is a template that names something of that kind."""
    if _ciphertext(value):
        return True
    if depth > _DEEPEST:
        return True  # nobody can tell
    if isinstance(value, dict):
        return any(_holds_vault(item, variables, depth + 1) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_vault(item, variables, depth + 1) for item in value)
    if isinstance(value, str) and "{" in value:
        names = {*re.findall(r"[A-Za-z_]\w*", value)}
        return any(_holds_vault(variables[name], variables, depth + 1) for name in names if name in variables)
    return False
