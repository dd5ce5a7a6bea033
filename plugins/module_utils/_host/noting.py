# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Note on this host which attempt is the last one of a job, unless there is one that nobody knows.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import stat
import time
import typing as t
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import job_file
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Refused

# How often to begin anew if others are faster.
_TRIES = 100
# How often to look again for the directory of an attempt that was just noted: whoever has noted it is about to make it, or to give way.
_MOMENTS = 20
# What link(2) says where a file system has no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)


class NoLinks(OSError):
    """The file system has no hard links, without which nothing appears there at once, complete, and only if there was none."""


def note(parent: int, job: dict[str, t.Any]) -> job_file.Found | None:
    """Note that an attempt is the last one of its job, unless there is another one that nobody knows. Return that.

    :arg parent: the directory of attempts, as a descriptor
    :arg job: C(attempt_dir); C(key), the path of the record; C(is_direct); C(content) of the file; C(known), the directories of attempts
        that may be replaced, and the paths of such files; C(others), the names of files of jobs that are others
    :raises OSError: if that is not possible
    """
    name = job_file.name_of(job["key"])
    waited = 0
    for _try in range(_TRIES):
        with contextlib.suppress(FileNotFoundError), _folder(parent, job_file.folder_of(job["key"], is_direct=job["is_direct"])) as folder:
            before = job_file.files_in(folder)
            found = _first_unknown(parent, folder, job_file.last_of(before), job)
            if found is not None:
                waited += 1
                if waited > _MOMENTS or _is_made(parent, found):
                    return found
                time.sleep(0.05)
                continue
            number = max((one for other, one in before if other == name), default=0) + 1
            ours = _publish(folder, f"{name}.{number}", job["content"])
            if ours is not None:
                is_last = False
                with contextlib.suppress(FileNotFoundError):  # whoever it was gives way just now, and so do we
                    is_last = _is_last(parent, folder, before, number, job)
                if is_last:
                    job_file.tidy(folder, {file: which for file, which in before.items() if file[0] == name})
                    return None
                job_file.tidy(folder, {(name, number): ours})
                time.sleep(random.uniform(0, 0.1))  # not in step with them
    raise Refused("others keep starting the same job")


def _first_unknown(parent: int, folder: int, files: t.Iterable[tuple[str, int]], job: dict[str, t.Any]) -> job_file.Found | None:
    """Return the first attempt of which the start does not know: that of its own name for this host, or else of another one."""
    name = job_file.name_of(job["key"])
    for other, number in sorted(files, key=lambda one: one[0] != name):
        found = None if other in job["others"] else _unknown(parent, folder, f"{other}.{number}", job)
        if found is not None:
            return found
    return None


def _is_last(parent: int, folder: int, before: job_file.Files, number: int, job: dict[str, t.Any]) -> bool:
    """Return whether the file that was just published holds: nobody has published another one meanwhile, or before it, that the start does
    not know. Of any name for this host, and with any number: these begin anew once all of a name was removed."""
    after = job_file.files_in(folder)
    new = [file for file, which in after.items() if before.get(file) != which]
    is_highest = (job_file.name_of(job["key"]), number) in job_file.last_of(after)
    return is_highest and _first_unknown(parent, folder, new, job) is None


def _is_made(parent: int, found: job_file.Found) -> bool:
    """Return whether there is anything by the name of an attempt, or nobody can tell what that is."""
    attempt = job_file.attempt_of(found, os.path.dirname(os.path.dirname(os.path.dirname(found.path))))
    try:
        os.stat(os.path.basename(attempt), dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return not attempt
    return True


def _unknown(parent: int, folder: int, file: str, job: dict[str, t.Any]) -> job_file.Found | None:
    """Return what a file says, if that is an attempt of which the start does not know, and that can have been started."""
    above = os.path.dirname(job["attempt_dir"])
    path = f"{above}/{job_file.JOBS}{os.geteuid()}/{job_file.folder_of(job['key'], is_direct=job['is_direct'])}/{file}"
    found = job_file.read(folder, file, path)
    if path in job["known"]:
        return None
    attempt = job_file.attempt_of(found, above)
    if not attempt:
        return found._replace(content="", problem=found.problem or "is not the file of a job")
    if attempt == job["attempt_dir"] or attempt in job["known"]:
        return None
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(os.path.basename(attempt), dir_fd=parent, follow_symlinks=False)
        is_fenced = stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.geteuid())
        if is_fenced and (stat.S_IMODE(status.st_mode) == job_file.NEVER_BEGAN or not job_file.works_itself(found)):
            return None  # it never begins
    return found


@contextlib.contextmanager
def _folder(parent: int, name: str) -> t.Iterator[int]:
    """Open the folder of a job, and make it if it is not there. Somebody may remove it meanwhile."""
    with job_file.own(parent, f"{job_file.JOBS}{os.geteuid()}", make=True) as home, job_file.own(home, name, make=True) as folder:
        yield folder


def _link(temporary: str, name: str, folder: int) -> None:
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise NoLinks(error.errno, error.strerror) from error
        raise


def _publish(folder: int, name: str, content: str) -> tuple[int, int] | None:
    """Make a file that is complete when it appears. Return what tells it from others, as C(files_in) does; or None if there was one."""
    temporary = f"{uuid.uuid4().hex}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | job_file.FILE, 0o600, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(content.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
            ours = job_file.which(os.fstat(file.fileno()))
        _link(temporary, name, folder)
    except FileExistsError:
        return None
    finally:
        os.unlink(temporary, dir_fd=folder)
    os.fsync(folder)
    return ours
