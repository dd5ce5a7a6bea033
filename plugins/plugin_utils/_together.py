# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the protocol of :mod:`exactly_once` asks of the managed host for several jobs at once: one exchange for all of them.

What is said and done there is the same as for each of them alone, and so is what is concluded from it. If an exchange fails, it has
failed for all of its jobs, and each finds out by itself what that means for it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import re
import shlex
import typing as t
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_plain_path
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import (
    FENCE,
    INSPECT,
    PATIENCE,
    PREPARE,
    SAYS,
    AttemptAction,
    Noted,
    new_job,
    said_in,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_list
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._time_limit import time_limit

# The longest script for the shell of the host, in bytes. With ssh and sudo it is quoted twice, and Linux takes 131072 as one argument.
_LONGEST = 100_000

_WRAPPER = "_host.wrapper"

# Where the files of modules go, as Ansible has it: the place may hold variables of the host.
_SCRATCH = f"""
t=$(echo {{remote_tmp}})
(umask 077; mkdir -p "$t" && cd "$t" && printf '{SAYS}scratch=%s\\n' "$(pwd -P)") 2>/dev/null
"""

# The lines for one attempt become a function, which is called for each. What is an error for one must not look like what they say.
_EACH = """
one() (
{script}
)
{{ {calls}
}} 3>&1
"""
_CALL = f"""
attempt={{attempt}} mark={{mark}} same_mark={{same_mark}} boot={{boot}} umask={{umask}}
printf '\\n{SAYS}number={{number}}\\n'
one 2>&1 >&3 | sed 's/^/! /'"""
_NUMBER = re.compile(rf"^{SAYS}number=(\d{{1,6}})\r?$", re.MULTILINE)
_ERROR = re.compile(r"^! (.*)$", re.MULTILINE)

Said = dict[str, list[str]]


class TogetherAction(AttemptAction):
    """An action that starts several attempts of jobs at once."""

    programs = (*AttemptAction.programs, "_host.launch", "_host.wrapper")

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._scratch = ""
        """The directory on the host for those of modules. Empty if it is not known."""

    def do_together(self, what: str, asked: t.Sequence[tuple[t.Any, ...]]) -> list[t.Any]:
        """Do the same for several jobs. Return what came of each: what the method for one job returns, or the exception that it raises.

        :arg what: that method
        :arg asked: the arguments of each
        """
        do: dict[str, t.Callable[[t.Sequence[t.Any]], list[t.Any]]] = {
            "prepare": self._prepare_all,
            "make_directory": self._make_directories,
            "launch": self._launch_all,
            "inspect": self._inspect_all,
            "fence": self._fence_all,
        }
        return do[what](asked)

    def _prepare_all(self, asked: t.Sequence[tuple[JobKey, str, float]]) -> list[t.Any]:
        remote_tmp = str(self.get_shell_option("remote_tmp", default="~/.ansible/tmp"))
        try:
            folders = " ".join(dict.fromkeys(self._folder(key) for key, _store, _timeout in asked))
            said = self._ask_for_place(_SCRATCH + PREPARE, asked[0][2], remote_tmp=remote_tmp, folders=folders)
        except Exception as error:
            return [error for _one in asked]
        scratch = said.get("scratch", [""])[0]
        self._scratch = scratch if is_plain_path(scratch) else ""
        return [_tried(self._prepared, key, store, said) for key, store, _timeout in asked]

    def makes_directory_at_launch(self, task: InnerTask, record: Record) -> bool:
        return super().makes_directory_at_launch(task, record) or self._is_launched(task, record)

    def _is_launched(self, task: InnerTask, record: Record) -> bool:
        """Return whether a program launches a job as Ansible would: on Linux."""
        return task.goes_together and bool(self._scratch) and bool(record.get("boot_id"))

    def _make_directories(self, asked: t.Sequence[tuple[Record, Noted, float]]) -> list[t.Any]:
        found = [_tried(self._to_make, record, noted) for record, noted, _timeout in asked]
        numbers = [number for number, one in enumerate(found) if isinstance(one, dict)]
        if numbers:
            try:
                # Each is written through to the disk.
                answers: list[t.Any] = self._make_on_host([found[number] for number in numbers], asked[0][2] + len(numbers))
            except Exception as error:
                answers = [error for _number in numbers]
            for number, answer in zip(numbers, answers, strict=True):
                found[number] = _tried(self._found_there, asked[number][0], answer)
        return found

    def _inspect_all(self, asked: t.Sequence[tuple[Record, float]]) -> list[t.Any]:
        timeout = asked[0][1]
        found: list[t.Any] = [self._seen.pop(record["attempt_dir"], None) for record, _timeout in asked]
        others = [number for number, seen in enumerate(found) if seen is None]
        # Nobody waits here for what may just be starting. If there is anything like that, it is looked at by itself.
        script = INSPECT.replace("{waited}", str(PATIENCE))
        answers = self._as_their_users(script, [asked[number][0] for number in others], timeout + len(others))
        for number, said in zip(others, answers, strict=True):
            record = asked[number][0]
            is_stuck = isinstance(said, dict) and "stuck" in said
            found[number] = _tried(self.inspect, record, timeout) if is_stuck else _tried(self._inspected, record, said, timeout)
        return found

    def _fence_all(self, asked: t.Sequence[tuple[Record, float]]) -> list[t.Any]:
        records = [record for record, _timeout in asked]
        for record in records:
            self._fences[record["attempt_dir"]] += 1
        answers = self._as_their_users(FENCE, records, asked[0][1] + len(asked))  # each is written through to the disk
        return [_tried(self._is_fenced, record, said) for record, said in zip(records, answers, strict=True)]

    # --- To start them

    def _launch_all(self, asked: t.Sequence[tuple[InnerTask, Record, Noted, float]]) -> list[t.Any]:
        self.users.become("")
        if self._connection.transport != "local":
            self.goes_through_connection()  # what an action asks the host before takes one exchange then, too
        found = [_tried(self._to_send, *one) for one in asked]
        together = [number for number, one in enumerate(found) if isinstance(one, _Launch)]
        if together:
            jobs = [t.cast(_Launch, found[number]) for number in together]
            # As long as one may take, and a second for each of the others: they have to share the processors of the host.
            seconds = max(asked[number][3] for number in together) + len(together)
            try:
                answers: list[t.Any] = self._run_launches(jobs, seconds)
            except Exception as error:
                answers = [error for _job in jobs]
            for number, answer in zip(together, answers, strict=True):
                found[number] = _tried(self._launched_so, asked[number][0], asked[number][1], answer)
        return [_tried(self.launch, *one) if answer is None else answer for one, answer in zip(asked, found, strict=True)]

    def _to_send(self, task: InnerTask, record: Record, noted: Noted, timeout: float) -> _Launch | None:
        """Return how to start one job together with others. None if it has to be started by itself."""
        if not self._is_launched(task, record):
            return None
        attempt = self._to_make(record, noted)
        if self._is_our_own(task):
            program, arguments = task.module_of_command(record["attempt_dir"])
            about = {"program": program, "arguments": arguments, "job": new_job(), "limit": record["timeout"]}
            return _Launch({"attempt": attempt, **about}, {})
        directory = f"{self._scratch}/ansible-tmp-{uuid.uuid4().hex}"
        with self._as_terminal(), time_limit(timeout):
            sent = task.to_send(record["attempt_dir"], directory)
        return None if sent is None else _Launch({"attempt": attempt, "directory": directory, "command": sent.command}, sent.files)

    @staticmethod
    def _is_our_own(task: InnerTask) -> bool:
        """Return whether our own wrapper starts a job, and there is nothing of Ansible that somebody may want to look at."""
        return task.is_command and not _ansible.keeps_files()

    def _run_launches(self, jobs: list[_Launch], timeout: float) -> list[dict[str, t.Any]]:
        """Start jobs on the host, with one program. Return how the command of each has ended."""
        # Compiled when it is needed, as everywhere.
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import without_arguments

        if self._task.no_log:
            _ansible.hide_from_log(self)
        lines: dict[str, int] = {}
        programs = {job.about["program"] for job in jobs if "program" in job.about}
        arguments = {
            "jobs": [{**job.about, "files": {name: _numbers(content, lines) for name, content in job.files.items()}} for job in jobs],
            "lines": [*lines],
            "programs": {name: without_arguments(name) for name in (_WRAPPER, *programs)} if programs else {},
            "shell": _ansible.shell_of_commands(self),
            "keep_files": _ansible.keeps_files(),
        }
        # A launch that is repeated would start them twice.
        with self._as_terminal(), _ansible.connection_option(self._connection, "reconnection_retries", 0):
            done = self.on_host("_host.launch", arguments, timeout=timeout, may_repeat=False)
        return heard_list(done, "launched", len(jobs))

    def _launched_so(self, task: InnerTask, record: Record, answer: dict[str, t.Any]) -> t.Any:
        found = self._found_there(record, answer)
        if found is not None:
            return found
        if self._is_our_own(task):
            self._has_started(record, answer.get("jobs"), answer)
            return {}
        launched = self._launched(record, InnerTask.judged(_said_by_wrapper(answer)))
        if not launched:
            self._take_down(record, answer.get("jobs"), answer)
        return launched

    # --- Lines for the shell

    def _as_their_users(self, script: str, records: t.Sequence[Record], timeout: float) -> list[t.Any]:
        """Do something with the directories of attempts, as users who see them. Return what the host says of each, or an exception."""
        users = [_tried(self._user_of, record) for record in records]
        answers: list[t.Any] = list(users)
        for user in dict.fromkeys(user for user in users if isinstance(user, str)):
            numbers = [number for number, other in enumerate(users) if other == user]
            try:
                self.users.become(user)
                said = self._in_attempts(script, [records[number] for number in numbers], timeout)
            except Exception as error:  # whom nobody can become
                said = [error for _number in numbers]
            for number, one in zip(numbers, said, strict=True):
                answers[number] = one
        return answers

    def _in_attempts(self, script: str, records: t.Sequence[Record], timeout: float) -> list[t.Any]:
        """Do something with the directories of attempts. Return what the host says of each, or an exception."""
        body = script.format(attempt='"$attempt"', mark='"$mark"', same_mark='"$same_mark"', boot='"$boot"', umask='"$umask"').strip()
        words = [_tried(self._words_of, record) for record in records]
        answers: list[t.Any] = list(words)
        calls = {
            number: _CALL.format(number=number, boot=shlex.quote(records[number].get("boot_id", "")), **word)
            for number, word in enumerate(words)
            if isinstance(word, dict)
        }
        while calls:
            text = ""
            numbers: list[int] = []
            for number in calls:
                longer = _EACH.format(script=body, calls="".join(calls[other] for other in [*numbers, number]))
                if numbers and len(shlex.quote(shlex.quote(longer)).encode()) > _LONGEST:
                    break
                text, numbers = longer, [*numbers, number]
            for number in numbers:
                del calls[number]
            try:
                output = str(self._run_in_shell(text, timeout)["stdout"])
            except Exception as error:
                said: dict[int, t.Any] = dict.fromkeys(numbers, error)
            else:
                said = _by_number(output)
            for number in numbers:
                found = said.get(number, {"error": ["it says nothing"]})
                answers[number] = found if isinstance(found, Exception) else _tried(self._of_this_attempt, records[number], found)
        return answers


class _Launch(t.NamedTuple):
    """How one of several jobs is to be started."""

    about: dict[str, t.Any]
    """As the program on the host takes it, less its files."""
    files: dict[str, bytes]
    """What Ansible would send. The wrapper removes it."""


def _tried(do: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
    """Do something for one of several jobs. Return what came of it, or the exception: of it, or what is given in place of an argument."""
    for argument in arguments:
        if isinstance(argument, Exception):
            return argument
    try:
        return do(*arguments)
    except Exception as error:
        return error


def _numbers(content: bytes, lines: dict[str, int]) -> list[int]:
    """Return a file as numbers of lines, which many files share."""
    return [lines.setdefault(line, len(lines)) for line in content.decode("latin-1").splitlines(keepends=True)]


def _by_number(output: str) -> dict[int, Said]:
    """Return what the lines for each attempt have said."""
    _before, *parts = _NUMBER.split(output)
    return {
        int(number): said_in(said, " ".join(_ERROR.findall(said)) or said) for number, said in zip(parts[::2], parts[1::2], strict=True)
    }


def _said_by_wrapper(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what Ansible's wrapper has said of a start, or that it has said nothing."""
    stdout, stderr = (str(answer.get(name) or "") for name in ("stdout", "stderr"))
    for line in stdout.splitlines():
        if line.startswith("{"):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            return said if isinstance(said, dict) else {}
    words = " ".join(f"{stderr} {stdout}".split())[-500:]
    return {
        "failed": True,
        "msg": f"Ansible's wrapper has not said that it has started: {words or 'it says nothing'}",
        "rc": answer.get("rc"),
        "module_stdout": stdout,
        "module_stderr": stderr,
    }
