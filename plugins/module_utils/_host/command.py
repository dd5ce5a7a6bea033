# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the command of a job on the host, with its output in files from the first byte on.

Ansible's own C(command) collects the output in memory, and hands it on through two pipes when the command has ended. Here the command
writes to files in the directory of the attempt, whoever else dies; and how it ended is written beside them as soon as it has.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import datetime
import glob
import json
import locale
import os
import shlex
import subprocess
import syslog
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARKERS, RESULT, STDERR, STDOUT

NON_ZERO = "non-zero return code"
"""What Ansible says of a command whose return code is another one than 0."""

BY_ACTION = "_by_action"
"""What C(task) holds on the host: the arguments of C(run). No playbook can say that: the action plugin knows no action of this name."""


def main(options: dict[str, t.Any], directory: str, uses_shell: bool, shell: str, log: str, facility: str) -> dict[str, t.Any]:
    """Run a command as a module does that Ansible has started, and return its result. See :func:`run`.

    :arg log: what to say in the log of the host. Empty if nothing
    :arg facility: of that log, as syslog(3) names it
    """
    settle(log, facility)
    return run(options, directory, uses_shell=uses_shell, shell=shell)


def settle(log: str, facility: str) -> None:
    """Use a locale that there is, and a working directory that can be entered; and say in the log of the host what is about to run.

    :arg log: see :func:`main`
    """
    for name in ("", *_LOCALES):
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_ALL, name)
            if name:
                os.environ.update(dict.fromkeys(("LANG", "LC_ALL", "LC_MESSAGES"), name))
            break
    for place in (".", os.path.expanduser("~"), "/tmp", "/"):
        with contextlib.suppress(OSError):  # the current one may be gone
            if os.access(os.getcwd() if place == "." else place, os.R_OK):
                os.chdir(place)
                break
    if log:
        syslog.openlog("ansible-rstyczynski.ansible.async_job", 0, getattr(syslog, facility, syslog.LOG_USER))
        syslog.syslog(syslog.LOG_INFO, log)


# What Ansible's modules take where the one that the environment asks for is not installed.
_LOCALES = ("C.utf8", "C.UTF-8", "en_US.utf8", "en_US.UTF-8", "C")


def run(options: dict[str, t.Any], directory: str, *, uses_shell: bool, shell: str) -> dict[str, t.Any]:
    """Run a command and wait for it.

    :arg options: all of those of C(ansible.builtin.command), as its documentation says them
    :arg directory: where its output and its result go; nobody else writes there
    :arg shell: the shell that runs it, if it uses one and does not say which
    :returns: what the module of that name returns, without the output
    """
    result: dict[str, t.Any] = {"changed": False, "rc": None, "cmd": None, "start": None, "end": None, "delta": None, "msg": ""}
    try:
        given = {**options, **{name: _path(options[name]) for name in ("chdir", "creates", "removes")}}
        if not given["strip_empty_ends"]:
            result["strip_empty_ends"] = False
        words = given["argv"] or given["_raw_params"]
        if not uses_shell and isinstance(words, str):
            words = shlex.split(words)
        result["cmd"] = words
        # Before anything can change the working directory
        with _made(os.path.join(directory, STDOUT)) as stdout, _made(os.path.join(directory, STDERR)) as stderr:
            if given["chdir"]:
                _change_directory(given["chdir"])
            if given["executable"] and not uses_shell:
                result["warnings"] = [f"executable is for ansible.builtin.shell: {given['executable']} was not used."]
            skipped = _skipped(given)
            if skipped:
                stdout.write(f"skipped, since {skipped}".encode("utf-8", "surrogateescape"))
                result.update(rc=0, msg=f"Did not run command since {skipped}")
            else:
                environment = _environment(directory)
                if environment.get(MARKERS[0]) == directory:
                    join_group_of_wrapper()
                _execute(given, words, stdout, stderr, result, environment, uses_shell=uses_shell, shell=shell)
    except (AsyncJobError, ValueError) as error:  # a quotation without its end is a ValueError
        result.update(failed=True, msg=str(error))
    except OSError as error:
        result.update(failed=True, rc=error.errno, msg=str(error))
    _record(result, directory)
    return result


def join_group_of_wrapper() -> None:
    """Make sure that the time limit ends this process as well.

    Ansible's watcher makes the runner, our parent, lead a process group, and ends that group. On a busy machine it may come to that after
    the runner has started us. Then we would be in another group, and go on without any limit.

    :raises SystemExit: if the runner has ended meanwhile: nothing has begun, and nobody would end it
    """
    runner = os.getppid()
    deadline = time.monotonic() + _JOINING
    while os.getpgrp() == os.getsid(0):  # the group in which the watcher was started. In any other one, we are where we belong
        if runner == 1 or os.getppid() != runner:
            raise SystemExit("Ansible's wrapper has ended before the command began: it was not started.")
        with contextlib.suppress(OSError):  # there is no such group so far
            if os.getsid(runner) != os.getsid(0) or time.monotonic() > deadline:
                return  # what stands for Python has made a session of its own, and with it a group
            os.setpgid(0, runner)
        time.sleep(0.01)


# For how long the watcher may take to make the group, in seconds.
_JOINING = 2.0


def _made(path: str) -> t.BinaryIO:
    # Every write goes to the end: what the command leaves behind may write as well.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    return open(descriptor, "wb", buffering=0)


def _path(given: str | None) -> str | None:
    return given and os.path.expanduser(os.path.expandvars(given))


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        raise AsyncJobError(f"Unable to change directory before execution: {error}") from error


def _skipped(given: dict[str, t.Any]) -> str:
    """Return why there is nothing to do. Empty if there is."""
    if given["creates"] and glob.glob(given["creates"]):
        return f"{given['creates']} exists"
    if given["removes"] and not glob.glob(given["removes"]):
        return f"{given['removes']} does not exist"
    return ""


def _execute(
    given: dict[str, t.Any],
    words: t.Any,
    stdout: t.BinaryIO,
    stderr: t.BinaryIO,
    result: dict[str, t.Any],
    environment: dict[str, str],
    *,
    uses_shell: bool,
    shell: str,
) -> None:
    data = given["stdin"] or ""
    if data and given["stdin_add_newline"]:
        data += "\n"
    if uses_shell:
        words = [given["executable"] or shell, "-c", words if isinstance(words, str) else " ".join(map(shlex.quote, words))]
    elif given["expand_argument_vars"]:
        words = [os.path.expanduser(os.path.expandvars(word)) for word in words]
    start, began = datetime.datetime.now(), time.monotonic()
    # run_command() would read the output, which is to go to files.
    with subprocess.Popen(  # pylint: disable=ansible-bad-function
        words,
        stdin=subprocess.PIPE if data else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=environment,
    ) as process:
        process.communicate(data.encode("utf-8", "surrogateescape") or None)
    end = start + datetime.timedelta(seconds=time.monotonic() - began)  # whoever has changed the clock meanwhile
    result.update(changed=True, rc=process.returncode, start=str(start), end=str(end), delta=str(end - start))
    if process.returncode != 0:
        result.update(failed=True, msg=NON_ZERO)


def _environment(directory: str) -> dict[str, str]:
    """Return the environment of this process, without the path to Ansible's modules.

    Nor with our directory as that of background tasks: if the command runs Ansible, its own ones would go there.
    """
    environment = dict(os.environ)
    if environment.get(MARKERS[1]) == directory:
        del environment[MARKERS[1]]
    path = environment.pop("PYTHONPATH", "")
    kept = [place for place in path.split(":") if place and not place.endswith(("/ansible_modlib.zip", "/debug_dir"))]
    if kept:
        environment["PYTHONPATH"] = ":".join(kept)
    return environment


def _record(result: dict[str, t.Any], directory: str) -> None:
    """Write how a command has ended, for whoever looks when Ansible's wrapper cannot tell any more."""
    temporary = os.path.join(directory, f"{RESULT}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(result, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, os.path.join(directory, RESULT))
    except OSError:
        pass  # the disk is full, or somebody has removed the directory: the wrapper may still have more luck
