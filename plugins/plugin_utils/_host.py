# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions that contact the managed host have in common.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import typing as t

from ansible.errors import AnsibleError

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._failure import with_cause
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import crashed, last_words
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, place_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import BY_ITSELF, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._action import StoreAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked, by_job_id, by_name, other_machine
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._become import Users
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_list, heard_look
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._job_ids import by_its_record, is_elsewhere
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._preload import note_programs
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._time_limit import time_limit

# How much of what a program said before it died is shown.
_LAST_WORDS = 1000


class ProgramFailed(AsyncJobError):
    """A program did not run on the host, or could not do what it was asked for.

    :arg result: what Ansible, or the program, says
    """

    def __init__(self, message: str, result: dict[str, t.Any]) -> None:
        super().__init__(message)
        self.result = result


class HostAction(StoreAction):
    """An action that works on the record store, and on the managed host."""

    _requires_connection = True

    at_least: t.ClassVar[dict[str, float]] = {
        "look_timeout": 1,
        "start_timeout": 1,
        "grace_period": 0,
        "tail_size": 0,
        "wait_timeout": 0,
        "wait_interval": 1,
        "unreachable_timeout": 0,
        "claim_timeout": 0,
        "max_attempts": 1,
        "max_parallel": 1,
        "time_limit": 1,
        "backoff": 0,
        "max_backoff": 0,
        "rerun_after": 0,
    }

    look_program: t.ClassVar[str] = "_host.look_and_output"
    """What looks at jobs on the host. It takes the arguments of C(_host.look_and_output), and its answer is such a one."""
    programs: t.ClassVar[tuple[str, ...]] = (look_program,)
    """What it runs on the host."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self.users = Users(self)

    def validated(self, spec: Spec, args: dict[str, t.Any]) -> dict[str, t.Any]:
        params = super().validated(spec, args)
        self.users.may_become_recorded = params.get("become_recorded_user", False)
        return params

    @property
    def host(self) -> str:
        """The name of the host that this task contacts."""
        return str(self._task.delegate_to or self._task_vars["inventory_hostname"])

    def hosts_of(self, params: dict[str, t.Any]) -> list[str]:
        """Return the hosts whose jobs a task deals with that takes C(host) and C(delegated_hosts), its own first."""
        return list(dict.fromkeys([params["host"] or str(self._task_vars["inventory_hostname"]), *params["delegated_hosts"]]))

    def is_here(self, record: Record) -> bool:
        """Return whether a job runs where this task goes. The localhost of one controller is not that of another."""
        if place_of(record) != self.host:
            return False
        if self.host != record["host"] and self.host not in self._task_vars["groups"]["all"]:
            return False  # the localhost that is in no inventory: nobody but the record says that its job went there
        return not other_machine(record, self.host, self._connection.transport)

    def _note_machine(self, asked: Asked) -> None:
        """Note of a job if it is on the localhost of another controller."""
        if not (asked.record or {}).get("place"):  # else its host compares that
            asked.other_machine = other_machine(asked.record or {}, self.host, self._connection.transport)

    @property
    def is_windows(self) -> bool:
        """Whether the host has no processes as Unix knows them."""
        return _ansible.is_windows(self._connection)

    def asked(self, params: dict[str, t.Any]) -> tuple[Store | None, list[Asked]]:
        """Return the jobs that the options C(jid), C(job_name) and C(job_names) name, and the store of those that have a record."""
        if params["jid"] is not None:
            return None, [by_job_id(params, self.async_dir)]
        store = open_store(params, self.notify)
        names = [params["job_name"]] if params.get("job_names") is None else params["job_names"]
        keys = [JobKey(params["host"], params["playbook_name"], name) for name in dict.fromkeys(names)]
        jobs = [by_name(store, key, params, self.async_dir) for key in keys]
        for job in jobs:
            self._note_machine(job)
        return store, jobs

    def found_by_job_id(self, params: dict[str, t.Any], asked: Asked) -> tuple[Store | None, list[Asked], list[Seen] | None]:
        """Look for the job that the option C(jid) names: where Ansible leaves results files, and if there is none, where a record says.

        Return the store of its record, if that tells; the job; and the look, if that needs no other one.
        """
        output, tail_size = params.get("output") or "full", params.get("tail_size", 0)
        [look] = self.look([asked], output=output, tail_size=tail_size, timeout=params["look_timeout"])
        if not is_elsewhere(look):
            return None, [asked], [look]
        host = str(params["host"] or self._task_vars["inventory_hostname"])
        play = str(self._task_vars["ansible_play_name"])
        try:
            store = open_store(params, self.notify)
            found = by_its_record(store, asked.job_id, params, self.async_dir, host=host, playbook_name=play)
        except AsyncJobError as error:
            if look["status"] == "running":
                return None, [asked], [look]
            reason = f"{look['reason']}. Whether a record says where it is, nobody can tell: {error}"
            return None, [asked], [{**look, "status": UNKNOWN, "reason": reason}]
        if found is None:
            return None, [asked], [look]
        job, is_last = found
        self._note_machine(job)
        return store if is_last else None, [job], None

    def look(self, asked: list[Asked], *, output: str, tail_size: int, timeout: float) -> list[Seen]:
        """Look at jobs, with one program; with one for each user if the task may become those that the records name.

        :arg timeout: in seconds, for each run
        """
        if any(job.secret for job in asked):
            # What the module says of such a job is nothing for the log either.
            _ansible.hide_from_log(self)
        looks: dict[int, Seen] = {number: look for number, job in enumerate(asked) if (look := job.without_contact)}
        for user, numbers in self._by_user(asked, looks).items():
            self.users.become(user)
            jobs = [self.described(asked[number]) for number in numbers]
            arguments = {"jobs": jobs, "output": output, "tail_size": tail_size}
            if self.is_windows:
                looks.update({number: self._ask_windows(asked[number].looked_for, timeout) for number in numbers})
            else:
                done = self.on_host(self.look_program, arguments, timeout=timeout)
                for number, answer in zip(numbers, heard_list(done, "looks", len(numbers)), strict=True):
                    looks[number] = self._heard(answer, asked[number])
        for number, job in enumerate(asked):
            job.hide(secret=looks[number]["secret"])
        return [looks[number] for number in range(len(asked))]

    def _heard(self, answer: dict[str, t.Any], job: Asked) -> Seen:
        """Return the answer of the host about one job. What is none is about that job alone: the others have theirs."""
        try:
            look = heard_look(answer)
            if look["result"] is not None:
                # The module of a native job may have left its exception beside what the wrapper says.
                words = last_words({**look["result"], "stderr": look["stderr"]}) if crashed(look["result"]) else ""
                look["result"] = with_cause(look["result"], words)
            return look
        except AsyncJobError as error:
            return {**UNSEEN, "reason": f"cannot tell what became of {job.label}: {error}"}

    def _by_user(self, asked: list[Asked], looks: dict[int, Seen]) -> dict[str, list[int]]:
        """Return the jobs to look at, by the user to become for that."""
        users: dict[str, list[int]] = {}
        for number, job in enumerate(asked):
            if number not in looks:
                users.setdefault(self.user_for(job), []).append(number)
        return users

    def user_for(self, job: Asked) -> str:
        """Return the user to become for a job. Empty if it is the one that the task says."""
        return "" if job.flaw else self.users.needed_for(job.record or {})

    def described(self, job: Asked) -> dict[str, t.Any]:
        """Return a job as a module on the host takes it."""
        return job.looked_for._replace(unseen=self.users.lacking(job.record or {}))._asdict()

    def _ask_windows(self, job: Job, timeout: float) -> Seen:
        """Return what Ansible itself says of a job. Nobody verifies it there."""
        directory = _ansible.expanded(self, job.directory)
        args = {"jid": job.job_id, "_async_dir": directory}
        with time_limit(timeout):
            done = self._execute_module(module_name="ansible.legacy.async_status", module_args=args, task_vars=self._task_vars)
        if not done.get("finished"):
            status = UNKNOWN if done.get("failed") else "running"
        elif "could not find job" in str(done.get("msg")):
            status = "lost"
        else:
            status = "failed" if done.get("failed") or done.get("rc") else "succeeded"
        # A module may return anything under these names.
        output = {stream: done[stream] if isinstance(done.get(stream), str) else "" for stream in ("stdout", "stderr")}
        return {
            **UNSEEN,
            "status": status,
            "reason": f"{job.label}: {status}, as Ansible says; on Windows this is not verified",
            "result": done if status in BY_ITSELF else None,
            "results_file": _ansible.joined(self._connection, directory, job.job_id),
            "stdout": output["stdout"],
            "stderr": output["stderr"],
            "kept": {stream: output[stream][-job.keep :] for stream in output} if job.keep else None,
        }

    def on_host(
        self, entry: str, arguments: dict[str, t.Any], *, timeout: float, may_repeat: bool = True, words: t.Sequence[str] = ()
    ) -> dict[str, t.Any]:
        """Run a program on the host. Return what it answers.

        :arg entry: the file that has its function C(main)
        :arg arguments: of that function
        :arg timeout: in seconds; after it the host counts as unreachable. A connection that was open when the network broke would
            otherwise say nothing for a quarter of an hour
        :arg may_repeat: whether it may be run once more, if it failed for lack of room
        :arg words: arguments of its process, if it goes through the connection
        :raises AnsibleConnectionFailure: if the host cannot be reached
        :raises AsyncJobError: if the program did not run, or could not do what it was asked for
        """
        note_programs()
        if self._connection.transport != "local":
            # One exchange with the host instead of five. Without a network, these cost less than a Python that reads a program from a pipe.
            self.goes_through_connection()
        with time_limit(timeout):
            try:
                return self._run(entry, arguments, words)
            except AnsibleError as error:
                # On a full disk there is no room for the program itself.
                if not may_repeat or not _needs_room(error) or not _ansible.use_pipelining(self._connection):
                    raise
            except ProgramFailed as error:
                if not may_repeat or not self._wants_terminal(error.result):
                    raise
            return self._run(entry, arguments, words)

    def goes_through_connection(self) -> bool:
        """Let programs go through the connection, if it can be used like that. Return whether they do."""
        if self._terminal:
            return False
        become = self._connection.become
        if become is None or str(become.name).rpartition(".")[2] == "sudo":  # others may need a terminal
            _ansible.use_pipelining(self._connection)
        return _ansible.pipelines(self)

    _terminal = False
    """Whether the host insists on a terminal, as sudo does with C(requiretty). There is none for what goes through the connection."""

    def _wants_terminal(self, result: dict[str, t.Any]) -> bool:
        """Return whether a host has refused to run a program, because it has no terminal, and may be asked once more."""
        words = f"{result.get('module_stderr', '')} {result.get('module_stdout', '')}"  # a program that ran has none of these
        if self._terminal or self._connection.become is None or not re.search(r"\b(tty|terminal)\b", words):
            return False
        self._terminal = True
        return _ansible.stop_pipelining(self._connection)

    def reset_connection(self) -> None:
        """Give up what is left of a connection that does not answer."""
        _ansible.forget_directory(self._connection)
        for process in scan().processes.values():
            if process.ppid == os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        with contextlib.suppress(AnsibleError):
            self._connection.reset()

    def _run(self, entry: str, arguments: dict[str, t.Any], words: t.Sequence[str]) -> dict[str, t.Any]:
        # Where all jobs have ended, nobody needs it.
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import program

        done = _ansible.run_program(self, program(entry, arguments), self._task_vars, words)
        if done.get("failed"):
            words = " ".join(str(done[name]).strip() for name in ("module_stderr", "module_stdout") if done.get(name))
            raise ProgramFailed(f"{done.get('msg', 'The program has failed.')} {words[-_LAST_WORDS:]}".strip(), done)
        return done


def _needs_room(error: AnsibleError) -> bool:
    words = ("create temporary directory", "transfer file", "No space left", "Disk quota exceeded")
    return any(word in str(error) for word in words)
