# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on files in directories of users, who may put anything there: links, pipes, devices, files without an end.

A directory is opened once, and all work in it goes through its descriptor: what is renamed meanwhile leads nowhere else. Root works
there as the owner of the directory, which the kernel tells. What a record says of users is not asked: it gives no rights.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import pwd
import re
import stat
import typing as t

# How much of a file is read at most, in bytes. A command that has printed 100 MB has a results file of that size.
_MOST = 128 << 20
# How many files of a directory are looked at.
_NAMES = 20_000
# How deeply the values of a result may be nested. Whoever handles it later is recursive, too.
_DEPTH = 64
# How many values a result may hold.
_VALUES = 1_000_000
_LONG = 1 << 20
# A text in JSON. One without its end goes on to the end of the file: else whoever looks for the end would begin again and again.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
# From so many digits on, older Pythons take very long to read a number.
_DIGITS = 4000
_LINKS = 40
_NOBODY = 65534

_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Refused(OSError):
    """Something is not what it should be, so it was left alone. C(strerror) says what it is."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EPERM, what)


class Directory(t.NamedTuple):
    """An open directory of a user."""

    path: str
    descriptor: int
    owner: int
    mode: int

    def names(self) -> list[str]:
        """Return the names of what is in it.

        :raises Refused: if that is more than anybody looks through
        """
        with os.scandir(self.descriptor) as entries:
            found = [entry.name for entry in itertools.islice(entries, _NAMES + 1)]
        if len(found) > _NAMES:
            raise Refused(f"holds more than {_NAMES} files")
        return found

    def status(self, name: str) -> os.stat_result:
        """Return what there is to know of a file.

        :raises Refused: if it is no plain file
        """
        return _plain(os.stat(name, dir_fd=self.descriptor, follow_symlinks=False))

    def open(self, name: str, owner: int | None = None) -> t.BinaryIO:
        """Open a plain file that belongs to the owner of the directory or to root, to read it.

        :arg owner: another user whose file it may be
        :raises Refused: if it is anything else
        """
        file = _opened(name, _FILE, dir_fd=self.descriptor)
        if self.owner != 0 and os.fstat(file.fileno()).st_uid not in (0, self.owner, owner):
            file.close()
            raise Refused("belongs to another user than its directory")
        return file

    def read(self, name: str, most: int = _MOST, owner: int | None = None) -> tuple[bytes, os.stat_result]:
        """Read a file as a whole. See :meth:`open`.

        :raises Refused: also if it is longer than that, in bytes
        """
        with self.open(name, owner) as file:
            status = os.fstat(file.fileno())
            if status.st_size > most:
                raise Refused(f"is larger than {most} bytes")
            return file.read(status.st_size), status

    def replace(self, name: str, content: str, like: os.stat_result | None = None, *, new: bool = False) -> None:
        """Put a file in place at once.

        :arg like: the one that it replaces, whose owner and mode it takes
        :arg new: whether nothing must be there
        """
        temporary = f"{name}.{os.getpid()}.cancel"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
        try:
            with open(os.open(temporary, flags, 0o600, dir_fd=self.descriptor), "w", encoding="utf-8") as file:
                if like is not None:
                    os.fchmod(file.fileno(), like.st_mode & 0o777)
                    if os.geteuid() == 0:  # in a directory of root
                        os.fchown(file.fileno(), like.st_uid, like.st_gid)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # a power cut leaves the old file or this one, and none that is empty
            put = os.link if new else os.rename
            put(temporary, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=self.descriptor)

    def change_mode(self, name: str, mode: int) -> None:
        """Change the mode of a plain file."""
        with self.open(name) as file:
            os.fchmod(file.fileno(), mode)

    def unlink(self, name: str) -> None:
        """Remove a plain file.

        :raises Refused: if it is anything else
        """
        self.status(name)
        os.unlink(name, dir_fd=self.descriptor)


@contextlib.contextmanager
def directory_of(path: str) -> t.Iterator[Directory]:
    """Open a directory, and be its owner meanwhile, if we are root.

    :raises OSError: if it cannot be opened, or anybody may put and replace files there
    """
    with contextlib.ExitStack() as stack:
        careful = os.geteuid() == 0 and hasattr(os, "O_PATH")
        descriptor = _walk(path, stack) if careful else os.open(path, _DIRECTORY)
        stack.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise Refused("is a directory that everybody may write to")
        stack.enter_context(acting_as(status.st_uid))
        yield Directory(path, descriptor, status.st_uid, stat.S_IMODE(status.st_mode))


def _walk(path: str, stack: contextlib.ExitStack) -> int:
    """Open a directory step by step. Root follows the links of root as root, and from the first link of a user on is that user."""
    left = path.split("/")[::-1]
    links = 0
    here = os.open("/", os.O_PATH | _DIRECTORY)
    try:
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            there = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            status = os.fstat(there)
            if stat.S_ISLNK(status.st_mode):
                with _closing(there):
                    links += 1
                    if links > _LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    stack.enter_context(acting_as(status.st_uid))
                    target = os.readlink("", dir_fd=there)
                left += target.split("/")[::-1]
                if not target.startswith("/"):
                    continue
                there = os.open("/", os.O_PATH | _DIRECTORY)
            os.close(here)
            here = there
        return os.open(".", _DIRECTORY, dir_fd=here)
    finally:
        os.close(here)


@contextlib.contextmanager
def _closing(descriptor: int) -> t.Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def acting_as(uid: int) -> t.Iterator[None]:
    """Have the rights of a user and no others, if we are root. The process stays root's: that user cannot send it signals."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    try:
        user = pwd.getpwuid(uid)
        group, groups = user.pw_gid, os.getgrouplist(user.pw_name, user.pw_gid)
    except KeyError:
        group, groups = _NOBODY, []
    before = os.getegid(), os.getgroups()
    try:
        os.setgroups(groups)
        os.setegid(group)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[0])
        os.setgroups(before[1])


@contextlib.contextmanager
def file_of(path: str, uid: int) -> t.Iterator[t.BinaryIO]:
    """Open a plain file, wherever it is, with the rights of a user.

    :raises OSError: if that user may not read it, or we are neither that user nor root
    """
    if os.geteuid() not in (0, uid):
        raise Refused("can be read only by root and by the user of the job")
    # Links are those of the system, or lead where that user may go anyway.
    with acting_as(uid), _opened(path, _FILE & ~os.O_NOFOLLOW) as file:
        yield file


def _opened(path: str, flags: int, **place: int) -> t.BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | flags, **place)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused("is a link") from error
        if error.errno == errno.ENXIO:
            raise Refused("is not a regular file") from error
        raise
    try:
        _plain(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def _plain(status: os.stat_result) -> os.stat_result:
    if stat.S_ISLNK(status.st_mode):
        raise Refused("is a link")
    if not stat.S_ISREG(status.st_mode):
        raise Refused("is not a regular file")
    return status


def parsed(content: bytes) -> t.Any:
    """Read JSON that anybody may have written.

    :raises ValueError: if it is none
    :raises Refused: if it is made to break whoever reads it
    """
    # A short text can stand for a great many values, each of which takes far more room than what it is written with.
    if len(content) > _LONG:
        outside = _STRING.sub(b"", content)
        if sum(map(outside.count, (b"[", b"{", b","))) > _VALUES:
            raise Refused(f"holds more than {_VALUES} values")
    try:
        data = json.loads(content.decode("utf-8", "surrogateescape"), parse_int=_number, object_hook=_without_tags)
    except (MemoryError, RecursionError) as error:
        raise Refused("is nested too deeply, or too large to be read") from error
    level = [data]
    for _depth in range(_DEPTH):
        level = [
            item for value in level if isinstance(value, (dict, list)) for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return data
    raise Refused("is nested too deeply")


def _without_tags(data: dict[str, t.Any]) -> dict[str, t.Any]:
    """Drop the keys with which Ansible marks objects of its own. A result that has some cannot be read on the controller."""
    return {name: value for name, value in data.items() if not name.startswith("__ansible")}


def _number(text: str) -> int:
    if len(text) > _DIGITS:
        raise Refused("holds a number of thousands of digits")
    return int(text)
