# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the command of a job on the host, in one exchange: note its attempt and make the directory of it, do what Ansible's wrapper does,
and answer with what is true then.

To all others, this is Ansible's wrapper (C(job.py)). The controller calls this program as that is called: behind the interpreter stand a
path that ends with C(async_wrapper.py), the job id without its last number, and the time limit; and it has C(MARKERS) in its environment.
It becomes the watcher and the runner of the job by forking. The runner executes another Python, in place of a module of Ansible: it
runs the command, and is all that has to outlive us. What is written to the results file, and when, is what Ansible writes.

What is better here: the time limit holds to the second; a full disk leaves no results file of a job that was not started; and there are
no files of modules.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.make_directory import make_directory

# For how long to wait for what the runner says, in seconds. Then whoever asks looks for themselves.
_PATIENCE = 10.0
_STARTED = b"started"
# How much of what a module has said is kept of one that has left no result, in bytes.
_LAST_WORDS = 8192


def main(attempt: dict[str, t.Any], job: str, limit: int, module: str) -> dict[str, t.Any]:
    """Answer the controller: what :func:`make_directory` returns; and C(job_id), the job that has started in that directory. If it is
    empty, C(reason) says why it was not started; if that is empty, too, nobody knows.

    :arg attempt: what :func:`make_directory` takes
    :arg job: the job id without its last number
    """
    answer = {**make_directory(attempt), "job_id": "", "reason": ""}
    if answer["found"] or answer["problem"]:
        return answer
    job_id = f"{job}.{os.getpid()}"
    try:
        said = _started(attempt["attempt_dir"], job_id, limit, module)
        if said == _STARTED:
            answer["job_id"] = job_id
        elif said is not None:
            answer["reason"] = said.decode("utf-8", "replace") or "the process that was to start it has ended"
    except OSError as error:
        answer["reason"] = str(error)
    return answer


def _started(directory: str, job_id: str, limit: int, module: str) -> bytes | None:
    """Start the wrapper, which outlives this process and its connection. Return what it says; None if it says nothing in time."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who was started to ignore it is not told how what it starts has ended
    reading, writing = os.pipe()
    leader = os.fork()
    if leader == 0:
        try:
            os.close(reading)
            _lead(directory, job_id, limit, module, writing)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.write(writing, str(error).encode("utf-8", "replace"))
        finally:
            os._exit(1)
    os.close(writing)
    os.waitpid(leader, 0)
    readable, _writable, _odd = select.select([reading], [], [], _PATIENCE)
    return os.read(reading, 4096) if readable else None


def _lead(directory: str, job_id: str, limit: int, module: str, writing: int) -> None:
    """Make a session for the job, whose leader ends, with a watcher and a runner in it."""
    results_file = os.path.join(directory, job_id)
    os.setsid()
    os.umask(0o022)
    if os.fork():
        os._exit(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # whoever waits for the end of our output does not wait for the job
        os.dup2(nowhere, descriptor)
    runner = os.fork()
    if runner == 0:
        os.setpgid(0, 0)
        _put(results_file, {"started": True, "finished": False, "ansible_job_id": job_id})
        with contextlib.suppress(OSError):  # whoever has asked may be gone. The file is there, and promises a job
            os.write(writing, _STARTED)
        os.dup2(nowhere, writing, inheritable=False)  # no other file gets its number
        _put(results_file, _result_of(directory, job_id, module))
    else:
        os.dup2(nowhere, writing, inheritable=False)
        _watch(results_file, runner, limit)
    os._exit(0)


def _put(path: str, value: dict[str, t.Any]) -> None:
    """Put a file in place at once. If that fails, what was there stays."""
    temporary = f"{path}.tmp"
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w", encoding="ascii") as file:
            json.dump(value, file)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _result_of(directory: str, job_id: str, module: str) -> dict[str, t.Any]:
    """Run the module, and return its result; if it has ended without one, what Ansible's wrapper says then."""
    name = os.path.join(directory, "AnsiballZ_async_job.py")  # nothing is there; a look knows it by that
    said = _output_of([sys.executable, "-", name], module.encode("ascii"))
    try:
        result = json.loads(said.splitlines()[-1])
        if isinstance(result, dict):
            return result
    except (IndexError, ValueError):
        pass
    text = said[-_LAST_WORDS:].decode("utf-8", "replace")
    msg = "No start of json char found: the module has ended without a result"
    return {"failed": True, "cmd": name, "data": text, "stderr": "", "msg": msg, "ansible_job_id": job_id}


def _output_of(command: list[str], text: bytes) -> bytes:
    """Run a command that reads a text, and return what it has said when it has ended. To import subprocess would take longer than this."""
    reading, output = os.pipe()
    given, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            for descriptor, number in ((given, 0), (output, 1), (output, 2)):
                os.dup2(descriptor, number)
            os.execv(command[0], command)
        finally:
            os._exit(127)
    os.close(output)
    os.close(given)
    with contextlib.suppress(BrokenPipeError), open(writing, "wb") as file:
        file.write(text)
    with open(reading, "rb") as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


class _Over(Exception):
    """The time limit has been reached."""


def _watch(results_file: str, runner: int, limit: int) -> None:
    """Wait for the end of the runner, and end its group if that takes too long."""

    def over(_number: int, _frame: t.Any) -> None:
        raise _Over

    signal.signal(signal.SIGALRM, over)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    try:
        signal.alarm(min(limit, _LONGEST))
        os.waitpid(runner, 0)
        signal.alarm(0)
        return
    except _Over:
        pass
    try:
        if os.waitpid(runner, os.WNOHANG)[0]:
            return
    except ChildProcessError:  # its end and that of the time came together
        return
    os.killpg(runner, signal.SIGKILL)
    os.waitpid(runner, 0)
    with contextlib.suppress(OSError, TypeError, ValueError), open(results_file, encoding="ascii") as file:
        if "started" not in json.load(file):
            return
    _put(results_file, {"msg": "Timeout exceeded", "failed": True, "child_pid": runner})


# What alarm(2) takes at most.
_LONGEST = (1 << 31) - 1
