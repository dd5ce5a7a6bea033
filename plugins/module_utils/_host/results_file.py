# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results file of a job: what Ansible's wrapper, or our own module, has written of how it goes.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import recorded
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, less_number


class ResultsFile(t.NamedTuple):
    """The results file. It holds a result, or says that the job was started, or neither."""

    path: str
    problem: str = ""
    there: bool = False
    hidden: bool = False
    owner: int = -1
    modified: float = 0.0
    started: bool = False
    result: dict[str, t.Any] | None = None

    @property
    def begun(self) -> float | None:
        """When the job was started, in seconds since the epoch, if the file tells it."""
        if self.started:
            return self.modified
        return local_time((self.result or {}).get("start"))


def results_file(job: Job) -> str:
    """The path of the results file, for the user who looks."""
    directory = job.directory
    if job.user and (directory + "/").startswith("~/"):
        directory = f"~{job.user}{directory[1:]}"
    return os.path.join(os.path.expanduser(directory), job.job_id)


def namesake(job: Job) -> str:
    """The job for which this job id may be a slip of the pen: it has a results file, and differs in its last number only."""
    directory, name = os.path.split(results_file(job))
    try:
        names = os.listdir(directory)
    except OSError:
        return ""
    if name in names:
        return ""
    return next((other for other in names if re.fullmatch(r"j\d+\.\d+", other) and less_number(other) == less_number(name)), "")


def local_time(text: t.Any) -> float | None:
    """The time that a command module notes, which is that of the host's time zone. None if it is none."""
    try:
        return datetime.datetime.strptime(text, _TIME_FORMAT).timestamp()
    except (OverflowError, TypeError, ValueError):
        return None


_TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


def read_results(job: Job) -> ResultsFile:
    file = _read_results_file(os.path.normpath(results_file(job)))
    told = file.result is not None and ("cancelled" in file.result or not (crashed(file.result) or timed_out(file.result)))
    if job.exclusive and not told:
        # What has waited for the command knows better than the wrapper, which knows nothing, or that its module is dead.
        found = recorded(os.path.dirname(file.path))
        if found is not None:
            return file._replace(there=True, started=False, result=found[0], modified=found[1])
    return file


def _read_results_file(path: str) -> ResultsFile:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return ResultsFile(path, "there is no results file")
        return ResultsFile(path, f"the results file cannot be read ({error.strerror})", hidden=True)
    about: dict[str, t.Any] = {"there": True, "owner": status.st_uid, "modified": status.st_mtime}
    try:
        data = json.loads(content.decode("utf-8", "surrogateescape"))
    except ValueError:
        return ResultsFile(path, "its results file is empty" if not content.strip() else "its results file is damaged", **about)
    if not isinstance(data, dict) or not data:
        return ResultsFile(path, "its results file holds no result", **about)
    if "started" in data and not data.get("finished") and data.keys() <= {"started", "finished", "ansible_job_id"}:
        return ResultsFile(path, "its results file says only that it was started", started=True, **about)
    return ResultsFile(path, result=data, **about)


def crashed(result: dict[str, t.Any]) -> bool:
    """Whether the result is only what the runner says of a module that has ended without one."""
    return "data" in result and "No start of json char found" in str(result.get("msg"))


def timed_out(result: dict[str, t.Any]) -> bool:
    """Whether the result is only what the watcher says of a job that it has ended."""
    return result.get("msg") == "Timeout exceeded" and "child_pid" in result


def duration(result: dict[str, t.Any]) -> float | None:
    """How long a command ran, which only command modules say."""
    try:
        start, end = (datetime.datetime.strptime(result[name], _TIME_FORMAT) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        return None
    return (end - start).total_seconds()
