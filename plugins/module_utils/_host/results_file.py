# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results file of a job: what Ansible's wrapper, or our own module, has written of how it goes.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import pwd
import re
import stat
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_directory import (
    Cancelling,
    cancelling,
    check_mark,
    has_mark,
    is_cancel,
    job_ids,
    recorded,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import CANCEL
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, flaw, less_number
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Directory, Refused, directory_of, parsed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_job_id

NO_FILE = "there is no results file"
"""How a look says that it has found none."""


class ResultsFile(t.NamedTuple):
    """The results file. It holds a result, or says that the job was started, or neither."""

    path: str
    problem: str = ""
    there: bool = False
    odd: bool = False
    """Whether there is something that tells how a command has ended, and is not understood. While the job runs, that is no matter."""
    hidden: bool = False
    owner: int = -1
    modified: float = 0.0
    started: bool = False
    result: dict[str, t.Any] | None = None
    user: int | None = None
    """Who has started the job, by what the kernel says of the file, or else of its directory. None if nobody can tell."""
    reader: int | None = None
    """With whose rights files that somebody has named may be read for the job: those of the owner of the directory. None if nobody's."""
    cancelling: Cancelling | None = None
    """Who is about to stop the job."""
    cancel_problem: str = ""
    """Why that cannot be told, if it cannot."""
    refused: bool = False
    """Whether this is not the place of the job, so that nothing there, and no process, may be taken for the job's."""

    @property
    def begun(self) -> float | None:
        """When the job was started, in seconds since the epoch, if the file tells it."""
        if self.started:
            return self.modified
        return local_time((self.result or {}).get("start"))


def results_file(job: Job) -> str:
    """Return the path of the results file, for the user who looks.

    :raises Refused: if nobody can look for such a job
    """
    problem = flaw(job)
    if problem:
        raise Refused(problem)
    directory = job.directory
    if job.user and (directory + "/").startswith("~/"):
        directory = f"~{job.user}{directory[1:]}"
    return os.path.normpath(os.path.join(os.path.expanduser(directory), job.job_id))


@contextlib.contextmanager
def directory_of_job(job: Job) -> t.Iterator[Directory]:
    """Open the directory of the results file of a job.

    :raises OSError: if it cannot be opened, or is not the job's
    """
    with directory_of(os.path.dirname(results_file(job))) as directory:
        if job.exclusive:
            check_mark(directory, job)
            check_user(job, directory.owner)
        elif has_mark(directory):
            raise Refused("is the directory of an attempt of async_job, which is asked for by job_name")
        yield directory


OF_A_SECRET_JOB = ("rc", "start", "end", "failed")
"""What the host says of the result of a job that is secret, where whoever asks does not know that."""


def as_marked(job: Job) -> Job:
    """Return a job, which is secret if the directory of its attempt says so, whatever its record says."""
    if job.secret or flaw(job) or not job.exclusive:
        return job
    try:
        with directory_of(job.directory) as directory:
            return job._replace(secret=check_mark(directory, job))
    except OSError:  # whoever looks will say what is wrong
        return job


def with_job_id(job: Job) -> Job:
    """Return a job with its id, which the directory of its attempt tells if its record does not: who has started it may have died since.

    It has none if it has not started, or nobody can tell.
    """
    if job.job_id or not job.exclusive or flaw(job._replace(job_id="j0.0")):
        return job
    try:
        with directory_of(job.directory) as directory:
            check_mark(directory, job)
            found = job_ids(directory)
    except OSError:
        return job
    return job._replace(job_id=found[0]) if len(found) == 1 else job


def check_user(job: Job, uid: int) -> None:
    """Make sure that something belongs to the user that was noted with the job, if this host knows that one.

    :raises Refused: if it does not
    """
    noted = user_of(job)
    if noted is not None and noted != uid:
        raise Refused(f"belongs to {user_name(uid)}, and not to the user {job.user!r}, whose job it is")


def user_of(job: Job) -> int | None:
    """Return the user that was noted with a job. None if none was, or this host does not know that one."""
    try:
        return pwd.getpwnam(job.user).pw_uid if job.user else None
    except KeyError:
        return None


def user_name(uid: int) -> str:
    """Name a user in a message."""
    try:
        return f"the user {pwd.getpwuid(uid).pw_name!r}"
    except KeyError:
        return f"the user with the id {uid}"


def namesake(job: Job) -> str:
    """Return the job that may be meant if this job id was mistyped: it has a results file, and differs in its last number only."""
    try:
        with directory_of_job(job) as directory:
            names = directory.names()
    except OSError:
        return ""
    if job.job_id in names:
        return ""
    return next((other for other in names if is_job_id(other) and less_number(other) == less_number(job.job_id)), "")


def local_time(text: t.Any) -> float | None:
    """Read the time that a command module notes, which is that of the host's time zone. None if it is none."""
    try:
        return _moment(text).timestamp()
    except (OverflowError, TypeError, ValueError):
        return None


_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6})", re.ASCII)


def _moment(text: str) -> datetime.datetime:
    """Return a time as a command module says it. strptime(3) of Python takes 10 milliseconds, when a process calls it first."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    parts: t.Any = map(int, match.groups())
    return datetime.datetime(*parts)


def read_results(job: Job) -> ResultsFile:
    """Read the results file of a job. Whatever is wrong with it is said, not raised."""
    path = ""
    try:
        path = results_file(job)
        with directory_of_job(job) as directory:
            before = _cancel_of(job, directory, path)
            file = _read(job, directory, path)
            cancel = _cancel_of(job, directory, path)
            if before != cancel:  # its end may have been noted meanwhile
                file = _read(job, directory, path)
            file = file._replace(cancelling=cancel[0], cancel_problem=cancel[1])
            told = file.result is not None and (is_cancelled(file.result) or not (crashed(file.result) or timed_out(file.result)))
            if job.exclusive and not told and not file.hidden:
                # What has waited for the command knows better than the wrapper, which knows nothing, or that its module is dead.
                try:
                    found = recorded(directory)
                except OSError as error:
                    problem = _refused(path, error, "result, which says how its command has ended,").problem
                    return file._replace(problem=problem, result=None, odd=True)
                if found is not None:
                    return file._replace(there=True, started=False, result=found[0], modified=found[1])
            return file
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return ResultsFile(path, NO_FILE, user=_owner_above(path))
        return _refused(path, error, "the results file, or its directory," if path else "it cannot be looked for:")


def _cancel_of(job: Job, directory: Directory, path: str) -> tuple[Cancelling | None, str]:
    """Return who is about to stop a job, and why that cannot be told, if it cannot."""
    try:
        return cancelling(directory) if job.exclusive else None, ""
    except OSError as error:
        return None, _refused(path, error, f"the file {CANCEL!r}, which says who has cancelled it,").problem


def _read(job: Job, directory: Directory, path: str) -> ResultsFile:
    try:
        content, status = directory.read(job.job_id, owner=user_of(job))
    except FileNotFoundError:
        return ResultsFile(path, NO_FILE, user=_user_of(directory))
    except OSError as error:
        return _refused(path, error, "the results file")._replace(user=_user_of(directory), refused=False)
    check_user(job, status.st_uid)
    about: dict[str, t.Any] = {"there": True, "owner": status.st_uid, "user": status.st_uid, "modified": status.st_mtime}
    about["reader"] = directory.owner or _root_alone(directory)
    if about["reader"] is None and status.st_uid and status.st_uid in (user_of(job), os.geteuid()):
        about["reader"] = status.st_uid  # in a directory for all, it is the job of whoever was noted, or looks
    try:
        data = parsed(content)
    except Refused as error:
        return _refused(path, error, "the results file")._replace(user=status.st_uid, refused=False)
    except ValueError:
        return ResultsFile(path, "its results file is empty" if not content.strip() else "its results file is damaged", **about)
    if not isinstance(data, dict) or not data:
        return ResultsFile(path, "its results file holds no result", **about)
    if "started" in data and not data.get("finished") and data.keys() <= {"started", "finished", "ansible_job_id"}:
        return ResultsFile(path, "its results file says only that it was started", started=True, **about)
    return ResultsFile(path, result=data, **about)


def _refused(path: str, error: OSError, what: str) -> ResultsFile:
    problem = f"{what} {error.strerror}" if isinstance(error, Refused) else f"{what} cannot be read ({error.strerror})"
    return ResultsFile(path, problem, hidden=True, refused=isinstance(error, Refused))


def _user_of(directory: Directory) -> int | None:
    """Return whose jobs a directory holds. None if several users may have some there."""
    return None if directory.owner == 0 and directory.mode & (stat.S_IWGRP | stat.S_IWOTH) else directory.owner


def _root_alone(directory: Directory) -> int | None:
    """Return 0 if nobody but root can put anything into a directory of root's, or exchange it. None if somebody may."""
    path = os.path.realpath(directory.path)
    while True:
        status = os.stat(path)
        if status.st_uid != 0 or status.st_mode & 0o022:
            return None
        if path == os.path.dirname(path):
            return 0
        path = os.path.dirname(path)


def _owner_above(path: str) -> int | None:
    """Return whose directory the lowest one is that is there. None if many may make others in it."""
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        try:
            status = os.stat(path)
        except OSError:
            continue
        return None if status.st_uid == 0 and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else status.st_uid
    return None


def is_cancelled(result: t.Mapping[str, t.Any]) -> bool:
    """Return whether the result is what C(async_job_cancel) has noted. A module may have a field of that name, too."""
    return is_cancel(result.get("cancelled"))


def return_code(result: t.Mapping[str, t.Any]) -> int | None:
    """Return the return code. None if there is none: some modules put something else there."""
    code = result.get("rc")
    if isinstance(code, str) and re.fullmatch("-?[0-9]{1,10}", code):
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def crashed(result: dict[str, t.Any]) -> bool:
    """Tell whether the result is only what the runner says of a module that has ended without one."""
    return "data" in result and "No start of json char found" in str(result.get("msg"))


def last_words(result: dict[str, t.Any]) -> str:
    """Return the end of what a module has said that has ended without a result: the traceback, if it has raised an exception."""
    return f"{result.get('data', '')}{result.get('stderr', '')}".strip()[-8192:]


def timed_out(result: dict[str, t.Any]) -> bool:
    """Tell whether the result is only what the watcher says of a job that it has ended."""
    return result.get("msg") == "Timeout exceeded" and "child_pid" in result


def duration(result: dict[str, t.Any]) -> float | None:
    """Return for how many seconds a command ran. None if the result does not say it: only command modules do, if no clock was changed."""
    try:
        start, end = (_moment(result[name]) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError):
        return None
    seconds = (end - start).total_seconds()
    return seconds if seconds >= 0 else None
