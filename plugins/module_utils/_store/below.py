# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work below a state directory that others may write to: whatever they put there, nothing of it leads to another place.

Each directory is opened once, and what is done in it is done through that descriptor, so that nobody can exchange it in between.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.directories import MODES, Modes, is_shared, name_of

# Where there is O_PATH, it takes the right to search a directory, and not that to list it, as a path does.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class Directory:
    """An open directory. Errors of its methods name whole paths."""

    def __init__(self, path: str, fd: int, modes: Modes) -> None:
        """Take over an open directory.

        :arg fd: its descriptor, which is closed with it
        :arg modes: of what is made in it
        """
        self.path = path
        self.modes = modes
        self._fd = fd
        self.look()

    @classmethod
    def open(cls, path: str, modes: Modes = MODES["private"]) -> Directory:
        """Return the directory that a user has named. Links on the way are theirs."""
        return cls(path, os.open(path, _ENTER), modes)

    def look(self) -> None:
        """Note whose it is, and its mode, as of now."""
        self.status = os.fstat(self._fd)

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._fd)

    def enter(self, name: str) -> Directory:
        """Return a directory in this one.

        :raises AsyncJobError: if it is a link that somebody else may have put there
        """
        path = os.path.join(self.path, name)
        try:
            return Directory(path, os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=self._fd), self.modes)
        except OSError as error:
            with self._at(name):
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
                if not stat.S_ISLNK(status.st_mode):
                    raise
                self._check_link(path, status)
                # Nobody but its owner, who is trusted, can have exchanged it since.
                return Directory(path, os.open(name, _ENTER, dir_fd=self._fd), self.modes)

    def make(self, name: str) -> None:
        """Make a directory that only we, or our group, can enter, whatever the umask, unless there is something of that name."""
        mode = self.modes.directory
        with self._at(name):
            try:
                os.mkdir(name, mode, dir_fd=self._fd)
            except FileExistsError:
                return
            status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            # The umask takes bits away, and the directory above may add one.
            if stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) != mode:
                self._change_mode(name, mode)
        self.sync()

    def open_file(self, name: str, flags: int) -> int:
        """Return a descriptor of a file in this directory, which may turn out not to be one. A link is an error."""
        try:
            # O_NONBLOCK: a named pipe in place of the file must not hang us
            return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, self.modes.file, dir_fd=self._fd)
        except OSError as error:  # not by _at(): of all that is done here, this is done most often
            raise OSError(error.errno, error.strerror, os.path.join(self.path, name)) from error

    def has(self, name: str) -> bool:
        """Return whether there is something of a name here, be it a link that leads nowhere."""
        try:
            with self._at(name):
                os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def rename(self, name: str, new: str) -> None:
        """Put what has one name here in the place of another."""
        with self._at(new):
            os.rename(name, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def link(self, name: str, new: str) -> bool:
        """Give a file another name, of which there is none yet, and take its first one away. Return False where that is not possible.

        Of all ways to make a file, this is the one that decides on the server of a network file system whether there is one.

        :raises FileExistsError: if there is one
        """
        try:
            with self._at(new):
                os.link(name, new, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)
        except FileExistsError:
            # An answer that was lost makes a request fail that was done.
            mine, there = (os.stat(one, dir_fd=self._fd, follow_symlinks=False) for one in (name, new))
            if mine.st_ino != there.st_ino:
                raise
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                return False
            raise
        self.remove(name)
        return True

    def remove(self, name: str) -> None:
        """Remove a name that is not that of a directory."""
        with self._at(name):
            os.unlink(name, dir_fd=self._fd)

    @contextlib.contextmanager
    def scan(self) -> t.Iterator[t.Iterator[os.DirEntry[str]]]:
        """Yield what is in this directory. Paths of these entries say nothing."""
        fd = self._listable()
        try:
            with os.scandir(fd) as scan:
                yield scan
        finally:
            os.close(fd)

    def sync(self) -> None:
        """Return when what was made, renamed and removed here is on the disk."""
        fd = self._listable()
        try:
            os.fsync(fd)
        except OSError as error:
            # Some network file systems cannot sync a directory, and write it through by themselves.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(fd)

    def check_file(self, name: str, status: os.stat_result) -> None:
        """Refuse what is not the one name of a plain file, as far as others could have put it here.

        In a directory of our own, more names are left alone: of copies of the store, say, that share unchanged files.
        """
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ENXIO, "Not a regular file")
        if status.st_nlink > 1 and is_shared(self.status):
            path = os.path.join(self.path, name)
            raise AsyncJobError(
                f"{path} has another name somewhere else (a hard link), and others can write to its directory, so that it may be any file"
                " that somebody has put in the place of the record. It was not read. Nothing was changed. If the record is genuine, make a"
                f" file of its own: cp {shlex.quote(path)} {shlex.quote(path + '.new')} && mv {shlex.quote(path + '.new')}"
                f" {shlex.quote(path)}; otherwise remove it, once you are sure that its job does not run."
            )

    def _check_link(self, path: str, status: os.stat_result) -> None:
        """Refuse a link in place of a directory, unless it belongs to us or to root, and nobody else can have put it here."""
        if status.st_uid not in (0, os.geteuid()):
            why = f"that belongs to the user {name_of(status.st_uid)}"
        elif is_shared(self.status):
            why = f"in {self.path}, where others can write (mode {stat.S_IMODE(self.status.st_mode):04o})"
        else:
            return
        raise AsyncJobError(
            f"The directory {path} is a symbolic link {why}, so that somebody else may have put it there, and it may lead anywhere. It was"
            f" not followed. Nothing was changed. Look where it leads, and remove it: ls -l {shlex.quote(path)}. If you need these records"
            " on another disk, have a directory here, and mount the other one over it."
        )

    def _change_mode(self, name: str, mode: int) -> None:
        """Change the mode of what was made just now, and of nothing that somebody has put in its place since."""
        if not hasattr(os, "O_PATH"):  # then no link is followed by chmod either
            os.chmod(name, mode, dir_fd=self._fd, follow_symlinks=False)
            return
        # Not even its owner may open it for more than this while its mode forbids that.
        fd = os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=self._fd)
        try:
            if os.fstat(fd).st_uid == os.geteuid():
                os.chmod(f"/proc/self/fd/{fd}", mode)
        finally:
            os.close(fd)

    def _listable(self) -> int:
        with self._at(""):
            return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)

    @contextlib.contextmanager
    def _at(self, name: str) -> t.Iterator[str]:
        path = os.path.join(self.path, name) if name else self.path
        try:
            yield path
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error


def make_directories(path: str, modes: Modes) -> None:
    """Make a directory that a user has named, and those above it."""
    above, name = os.path.split(path)
    try:
        parent = Directory.open(above, modes)
    except FileNotFoundError:
        make_directories(above, modes)
        parent = Directory.open(above, modes)
    with parent:
        parent.make(name)
