# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start several jobs. Before, note each attempt and make its directory, and afterwards look whether its results file is there.

A command is started by our own wrapper (C(wrapper.py)), any other module as Ansible starts one: the files that it would send are written,
and the command that it would run is run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import typing as t
import zlib

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARKERS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.make_directory import make_directory

# How many may be on their way at the same time: each is an interpreter that starts two others.
_SIDE_BY_SIDE = 16
# What the shell says if it cannot run a command
_CANNOT_RUN = (126, 127)
# How much of what a command has said is handed on, in characters.
_LONGEST = 1 << 16


def main(jobs: list[dict[str, t.Any]], lines: list[str], programs: dict[str, str], shell: str, keep_files: bool) -> dict[str, t.Any]:
    """Answer the controller: C(launched), for each job what :func:`make_directory` returns. If its directory was made, also which jobs have
    results files there then; and of a command C(reason), which C(wrapper.main) returns, of others how Ansible's command has ended.

    :arg jobs: of each, its C(attempt), which :func:`make_directory` takes. Of a command C(program), the one that runs it, and C(arguments)
        of that; C(job), the job id without its last number; and C(limit), in seconds. Of others the C(directory) to make for the files,
        which are in C(files) by their names, and the C(command) to run then
    :arg lines: the lines of all files, each a byte per character. A file is a list of their numbers
    :arg programs: the texts of programs, which lack only their arguments, by their names
    :arg keep_files: whether the files of what could not be started stay
    """
    begun: list[tuple[dict[str, t.Any], subprocess.Popen[bytes] | OSError | None]] = []
    answers: list[dict[str, t.Any]] = []
    for job in jobs:
        begun.append((job, _begin(job, lines, programs, shell)))
        if len(begun) - len(answers) >= _SIDE_BY_SIDE:
            answers.append(_end(*begun[len(answers)], keep_files))
    while len(answers) < len(begun):
        answers.append(_end(*begun[len(answers)], keep_files))
    return {"launched": answers}


def _begin(job: dict[str, t.Any], lines: list[str], programs: dict[str, str], shell: str) -> subprocess.Popen[bytes] | OSError | None:
    """Begin to start a job, unless its directory cannot be made."""
    job["made"] = made = make_directory(job["attempt"])
    if made["found"] or made["problem"]:
        return None
    if "program" in job:
        return _begin_command(job, programs)
    try:
        os.mkdir(job["directory"], 0o700)  # a launch that is repeated fails here
    except OSError as error:
        job["directory"] = ""
        return error
    try:
        for name, numbers in job["files"].items():
            descriptor = os.open(os.path.join(job["directory"], name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write("".join([lines[number] for number in numbers]).encode("latin-1"))
        return subprocess.Popen([shell, "-c", job["command"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        return error


def _begin_command(job: dict[str, t.Any], programs: dict[str, str]) -> subprocess.Popen[bytes] | OSError:
    """Begin to start a command. Our wrapper is called as Ansible's is, and so looks like that to all others."""
    directory = job["attempt"]["attempt_dir"]
    module = _with_arguments(programs[job["program"]], job["arguments"])
    about = {"directory": directory, "job": job["job"], "limit": job["limit"], "module": module}
    text = _with_arguments(programs[_WRAPPER], about)
    words = [sys.executable, "-", os.path.join(directory, "async_wrapper.py"), job["job"], str(job["limit"])]
    environment = {**os.environ, **dict.fromkeys(MARKERS, directory)}
    reading, writing = os.pipe()
    try:
        begun = subprocess.Popen(words, env=environment, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        os.close(writing)
        return error
    finally:
        os.close(reading)
    with contextlib.suppress(BrokenPipeError), open(writing, "wb") as file:
        file.write(text.encode("ascii"))
    return begun


_WRAPPER = "_host.wrapper"


def _with_arguments(text: str, arguments: dict[str, t.Any]) -> str:
    """Return the text of a program, with its arguments as these travel."""
    packed = base64.b64encode(zlib.compress(json.dumps(arguments).encode("ascii"), 1)).decode("ascii")
    return text.replace("@ARGUMENTS@", packed)


def _end(job: dict[str, t.Any], begun: subprocess.Popen[bytes] | OSError | None, keep_files: bool) -> dict[str, t.Any]:
    """Wait until a command has ended, and return what it has said. The wrapper removes its files itself when it has started."""
    answer: dict[str, t.Any] = job["made"]
    if begun is None:
        return answer
    if isinstance(begun, OSError):
        said: dict[str, t.Any] = {"rc": None, "stdout": "", "stderr": str(begun)}
    else:
        stdout, stderr = (part.decode("utf-8", "replace")[-_LONGEST:] for part in begun.communicate())
        said = {"rc": begun.returncode, "stdout": stdout, "stderr": stderr}
    if "program" in job:
        answer["reason"] = _reason(said)
    else:
        answer.update(said)
        if job["directory"] and not keep_files and _has_not_started(answer):
            shutil.rmtree(job["directory"], ignore_errors=True)
    try:
        answer["jobs"] = [name for name in os.listdir(job["attempt"]["attempt_dir"]) if _JOB.fullmatch(name)]
    except OSError:
        answer["jobs"] = []
    return answer


def _reason(said: dict[str, t.Any]) -> str:
    """Return why a command was not started, if our wrapper says that."""
    try:
        return str(json.loads(said["stdout"])["reason"])
    except (ValueError, TypeError, KeyError):
        return str(said["stderr"] or "the process that was to start it has ended")


_JOB = re.compile(r"j[0-9]+\.[0-9]+")


def _has_not_started(answer: dict[str, t.Any]) -> bool:
    """Return whether nothing can be under way that needs the files."""
    if answer["rc"] is None or answer["rc"] in _CANNOT_RUN:
        return True
    try:
        said = json.loads(answer["stdout"])
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("failed") is True and "ansible_job_id" not in said
