# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with which a host notes the last attempt of a job: whoever starts the next one finds it, whatever store they have.

Beside the attempts of a user there is the directory C(.async_jobs-<uid>), which is that user's alone. In it, each job has a folder, named
by a hash of its playbook and its own name, and in this a file for each host of an inventory under whose name it was started here, named by
a hash of that and a number: C(<hash>.<number>). The highest number holds. A job whose host is not that of the inventory where it runs,
because its task says C(host) or C(delegate_to), has a folder of its own, since its names mean nothing to the others.

A file is replaced by making the next number exclusively, with C(link), from a file that is complete: of any number of starts one wins, and
nobody ever sees half of it. No lock is needed, which some network file systems do not have.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Refused, parsed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory

JOBS = ".async_jobs-"
"""What the directory is called, before the number of its user."""

MOST = 1 << 16
"""How long such a file may be, in bytes."""

NEVER_BEGAN = 0o400
"""The mode of what stands in place of the directory of an attempt, so that it cannot start there, if it is certain that nothing of it was
done. An action that does its work itself leaves no other trace of that."""

_NAME = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,11})")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# To go through a directory takes fewer rights than to list it.
_STEP = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


# Files by their names and numbers, each with its inode and when it was written.
Files = t.Dict[t.Tuple[str, int], t.Tuple[int, int]]


class Found(t.NamedTuple):
    """An attempt that a host has noted."""

    path: str
    content: str
    """What its file holds. Empty if that cannot be read."""
    problem: str = ""
    """Why it cannot be."""


def folder_of(key: str, *, is_direct: bool) -> str:
    """Return the name of the folder of a job.

    :arg key: the path of its record in a store
    :arg is_direct: whether its host is that of the inventory where it runs
    """
    return _hash(key.partition("/")[2] if is_direct else key)


def name_of(key: str) -> str:
    """Return the name of the file of a job in its folder, before its number."""
    return hash_of_host(key.partition("/")[0])


def hash_of_host(segment: str) -> str:
    """Return the hash of a host's name, as it stands in the paths of records."""
    return _hash(segment)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def attempt_of(found: Found, parent: str) -> str:
    """Return the directory of the attempt that a file names. Empty if it names none in that directory of attempts."""
    attempt = _said(found).get("attempt_dir")
    return str(attempt) if is_attempt_directory(attempt) and os.path.dirname(str(attempt)) == parent else ""


def works_itself(found: Found) -> bool:
    """Return whether the action of the attempt may do the work itself: that it cannot start in its directory proves nothing then."""
    claim = _said(found).get("claim")
    return bool(claim.get("own_work")) if isinstance(claim, dict) else claim is not None


def _said(found: Found) -> dict[str, t.Any]:
    try:
        said = parsed(found.content.encode("utf-8", "surrogateescape"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def forget(parent: int, path: str, key: str, attempts: t.Collection[str]) -> list[str]:
    """Remove what is noted of a job, if it names one of these attempts. Return what was removed.

    :arg parent: the directory of attempts, as a descriptor
    :arg path: its path
    :arg attempts: their directories
    :raises OSError: if that is not possible
    """
    removed: list[str] = []
    jobs = f"{JOBS}{os.geteuid()}"
    for name in (folder_of(key, is_direct=is_direct) for is_direct in (True, False)):
        with contextlib.suppress(FileNotFoundError), own(parent, jobs, make=False) as home:
            with own(home, name, make=False) as folder:
                files = {file: one for file, one in files_in(folder).items() if file[0] == name_of(key)}
                last = [f"{name_of(key)}.{number}" for _name, number in last_of(files)]
                if not last or attempt_of(read(folder, last[0], ""), path) not in attempts:
                    continue
                tidy(folder, files)
                removed.append(f"{path}/{jobs}/{name}/{last[0]}")
            with contextlib.suppress(OSError):  # other hosts have theirs there, and other jobs
                os.rmdir(name, dir_fd=home)
                os.rmdir(jobs, dir_fd=parent)
    return removed


@contextlib.contextmanager
def opened(path: str) -> t.Iterator[int]:
    """Open a directory that no link leads to, whatever is done to its path meanwhile.

    :raises OSError: if that is not possible
    """
    here = os.open("/", _STEP)
    try:
        for name in path.strip("/").split("/"):
            there = os.open(name, _STEP, dir_fd=here)
            os.close(here)
            here = there
        yield here
    finally:
        os.close(here)


@contextlib.contextmanager
def own(parent: int, name: str, *, make: bool) -> t.Iterator[int]:
    """Open a directory that is ours alone."""
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise Refused(f"{name} belongs to another user, or others may write to it")
        yield descriptor
    finally:
        os.close(descriptor)


def files_in(folder: int) -> Files:
    """Return the files in a folder: their names and numbers, each with what tells it from another one that gets the same number later."""
    found: Files = {}
    for match in filter(None, map(_NAME.fullmatch, os.listdir(folder))):
        with contextlib.suppress(FileNotFoundError):
            found[match[1], int(match[2])] = which(os.stat(match[0], dir_fd=folder, follow_symlinks=False))
    return found


def last_of(files: Files) -> list[tuple[str, int]]:
    """Return those that hold: with the highest number of each name."""
    return sorted(dict(sorted(files)).items())


def tidy(folder: int, files: Files) -> None:
    """Remove these files, as they were listed: what has got their numbers since, somebody else has just put there."""
    for (name, number), one in files.items():
        with contextlib.suppress(FileNotFoundError):
            if which(os.stat(f"{name}.{number}", dir_fd=folder, follow_symlinks=False)) == one:
                os.unlink(f"{name}.{number}", dir_fd=folder)


def which(status: os.stat_result) -> tuple[int, int]:
    """Return what tells a file from another one that gets the same number later."""
    return status.st_ino, status.st_mtime_ns


def read(folder: int, name: str, path: str) -> Found:
    """Read a file. What is wrong with it is said, not raised.

    :raises FileNotFoundError: if it is not there any more
    """
    try:
        descriptor = os.open(name, os.O_RDONLY | FILE, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        return Found(path, "", str(error.strerror))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > MOST:
        os.close(descriptor)
        return Found(path, "", "is not the file of a job")
    with open(descriptor, "rb") as file:
        return Found(path, file.read(MOST).decode("utf-8", "surrogateescape"))
