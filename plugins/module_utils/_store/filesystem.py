# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as files below a directory of the controller.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import glob
import hashlib
import os
import random
import shlex
import stat
import threading
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import directories
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    ABSENT,
    MOST,
    SUFFIX,
    ChosenStore,
    Document,
    Entry,
    Notify,
    Version,
    nobody,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.below import Directory, make_directories
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.directories import (
    LOCK_FILE,
    MODES,
    check,
    for_team,
    group_name,
    is_for_team,
    is_new,
    is_of_group,
    is_shared,
    mixed,
    of_one,
    sharing,
    unfit,
    unfit_file,
    writable,
    writable_file,
)

# Cannot be the name of a record or of its directories: the job key escapes a leading dot.
_TEMPORARY = ".tmp-"

_LOCK_SECONDS = 60.0
_ABANDONED_SECONDS = 3600.0

# A record lock does not keep the threads of its own process apart, and closing the file anywhere in the process drops it.
_THREADS = threading.Lock()

_WHAT_TO_DO = {
    errno.EACCES: "Run as the user who owns it, or change its owner or mode.",
    errno.EPERM: "Run as the user who owns it, or change its owner or attributes.",
    errno.EROFS: "Mount the file system writable, then run again; or choose another state directory.",
    errno.ENOSPC: "Make room on that file system, then run again.",
    errno.EDQUOT: "Make room in the user's quota, then run again.",
    errno.ENOTDIR: "Something that is not a directory stands in the way: move it, or choose another state directory.",
    errno.EISDIR: "A directory stands where the record belongs: move it away.",
    errno.ELOOP: "A symbolic link stands where the record belongs: records are plain files, put the file itself there.",
    errno.ENXIO: "Something that is not a regular file stands where the record belongs: move it away.",
    errno.ENAMETOOLONG: "This file system takes only shorter names: choose another state directory, or shorter names.",
}

# How much of a file is read at a time, in bytes, once it has turned out to be longer than it was said to be.
_CHUNK = 1 << 16


class FilesystemStore(ChosenStore):
    """One file a document, C(<state_dir>/<path>)."""

    def __init__(self, state_dir: str, notify: Notify = nobody, *, may_create: bool = True, state_mode: str = "private") -> None:
        """Note where the records are.

        :arg state_dir: an absolute path; the directory is made with the first write
        :arg notify: called with a line for the user when a new store is made
        :arg may_create: whether one may be made
        :arg state_mode: who can use it, a key of C(MODES)
        """
        try:
            os.stat(state_dir)
        except ValueError as error:  # NUL, or what the encoding of file names cannot hold
            raise AsyncJobError(f"{state_dir!r} cannot be the name of a directory. Nothing was changed. Correct state_dir.") from error
        except OSError:
            pass  # said by whoever needs it
        self._root = os.path.normpath(state_dir)
        self._notify = notify
        self._may_create = may_create
        self._is_known = False
        """Whether this is known to be a store, and no empty directory in the place of one."""
        self._was_there = False
        """Whether this has seen the mark of a store there. Since it stays, what lacks it later is something else in its place."""
        self._modes = MODES[state_mode]
        self._by_group = state_mode == "group"
        self._gid: int | None = None
        """The group that shares the state directory, once that was opened. None if none is to."""
        self._is_mixed = False
        """Whether a group shares a store that is private here."""
        self._has_said: set[str] = set()
        self.warnings = []

    @classmethod
    def open(cls, params: dict[str, t.Any], notify: Notify) -> FilesystemStore:
        store = cls(os.path.abspath(params["state_dir"]), notify, may_create=params["create_store"], state_mode=params["state_mode"])
        store.warnings += check(store.locate(), signed=bool(params["record_key_file"]), by_group=store._by_group)
        return store

    def locate(self, path: str = "") -> str:
        return f"{self._root.rstrip('/')}/{path}" if path else self._root

    def must_exist(self) -> None:
        if not os.path.isdir(self._root):
            raise AsyncJobError(
                f"There is no store: {self._root} is not a directory. Say where the records are, with async_job_state_dir, or run this in"
                " the directory of the playbook that has started the jobs."
            )

    def is_new(self) -> bool:
        return not _is_store(self._root)

    def read(self, path: str) -> Document | None:
        try:
            with self._opened(path) as opened:
                return self._read(opened[-1], path)
        except FileNotFoundError:
            self._check_mounted(path)
            self._check_store()
            return None
        except OSError as error:
            raise self._failed("read", self.locate(path), error) from error

    def write(self, path: str, content: bytes, *, expect: Version | None = None) -> Version:
        file = self.locate(path)
        name = os.path.basename(file)
        # One name for all writers of this record, in turn: what a killed one leaves behind is overwritten by the next.
        temporary = _TEMPORARY + hashlib.sha256(path.encode("utf-8")).hexdigest()[:32]
        self._check_store()
        try:
            with self._opened(path, make=True) as opened:
                directory = opened[-1]
                with self._locked(opened[0], path):
                    self._expect(path, self._find(directory, path), expect)
                    try:
                        _sweep(directory, now=_write_through(directory, temporary, content))
                        # A server of files may know better than this machine what is there.
                        if expect != ABSENT or is_shared(directory.status) or not directory.link(temporary, name):
                            directory.rename(temporary, name)
                    except FileExistsError:
                        directory.remove(temporary)
                        raise self._conflict(path) from None
                    except OSError:
                        with contextlib.suppress(OSError):
                            directory.remove(temporary)
                        raise
                _sync_change(directory, file)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._check_mounted(path)
            raise self._failed("write", file, error) from error
        return _version(content)

    def delete(self, path: str, *, expect: Version | None = None) -> bool:
        file = self.locate(path)
        try:
            with self._opened(path) as opened:
                directory = opened[-1]
                if self._find(directory, path) is not None:  # else not even a lock is made
                    with self._locked(opened[0], path):
                        document = self._find(directory, path)
                        self._expect(path, document, expect)
                        if document is None:
                            return False
                        directory.remove(os.path.basename(file))
                    _sync_change(directory, file)
                    return True
        except FileNotFoundError:
            self._check_mounted(path)
        except OSError as error:
            raise self._failed("remove", file, error) from error
        self._expect(path, None, expect)
        return False

    def entries(self, prefix: str = "", wanted: t.Callable[[str], bool] = lambda path: True) -> t.Iterator[Entry]:
        yield from self._entries_of(lambda: self._directory(prefix), prefix, wanted)

    def _entries_of(
        self, enter: t.Callable[[], t.ContextManager[Directory]], prefix: str, wanted: t.Callable[[str], bool]
    ) -> t.Iterator[Entry]:
        """Yield what there is in a directory that has yet to be opened, or why it cannot be listed."""
        try:
            with enter() as directory:
                yield from self._entries(directory, prefix, wanted)
        except FileNotFoundError:
            try:
                self._check_mounted(prefix)
            except AsyncJobError as error:
                yield Entry(prefix, None, error)
        except AsyncJobError as error:
            yield Entry(prefix, None, error)
        except OSError as error:
            yield Entry(prefix, None, self._failed("list", self.locate(prefix), error))

    def _entries(self, directory: Directory, prefix: str, wanted: t.Callable[[str], bool]) -> t.Iterator[Entry]:
        self._check_directory(directory)
        with directory.scan() as scan:
            # A link may lead to a directory, or to a disk that is not mounted.
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False) or entry.is_symlink()) for entry in scan)
        in_playbook = prefix.count("/") == 2
        for name, is_directory in found:
            if name.startswith("."):
                continue
            if not in_playbook and is_directory:
                yield from self._entries_of(functools.partial(directory.enter, name), f"{prefix}{name}/", wanted)
            elif in_playbook and name.endswith(SUFFIX) and wanted(prefix + name):
                path = prefix + name
                try:
                    yield Entry(path, self._read(directory, path), None)
                except FileNotFoundError:
                    pass  # removed meanwhile
                except AsyncJobError as error:
                    yield Entry(path, None, error)
                except OSError as error:
                    yield Entry(path, None, self._failed("read", self.locate(path), error))

    def _read(self, directory: Directory, path: str) -> Document:
        """Return a document in an open directory.

        :raises FileNotFoundError: if there is none
        """
        name = os.path.basename(path)
        fd = directory.open_file(name, os.O_RDONLY)
        try:
            status = os.fstat(fd)
            directory.check_file(name, status)
            self._warn_of_file(path, status)
            content = _all_of(fd, status.st_size)
        finally:
            os.close(fd)
        if len(content) > MOST:
            raise AsyncJobError(
                f"{self.locate(path)} is larger than {MOST >> 20} MiB, so it is no record. Nothing was changed. Move it away."
            )
        return Document(content, _version(content))

    def _find(self, directory: Directory, path: str) -> Document | None:
        try:
            return self._read(directory, path)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _directory(self, prefix: str) -> t.Iterator[Directory]:
        with self._opened(prefix) as opened:
            yield opened[-1]

    @contextlib.contextmanager
    def _opened(self, path: str, *, make: bool = False) -> t.Iterator[list[Directory]]:
        """Yield the state directory, the host's and the playbook's, as far as the path goes through them, outermost first.

        :arg make: make those that are missing
        :raises FileNotFoundError: if one is missing
        """
        with contextlib.ExitStack() as stack:
            try:
                directory = Directory.open(self._root, self._modes)
            except FileNotFoundError:
                self._check_mounted("")
                if self._was_there:
                    raise self._gone() from None
                if not make:
                    raise
                make_directories(self._root, self._modes)
                directory = Directory.open(self._root, self._modes)
            opened = [stack.enter_context(directory)]
            self._check_root(directory)
            has_mark = directory.has(LOCK_FILE)
            if self._was_there and not has_mark:
                raise self._gone()
            self._was_there = has_mark
            if make:
                self._tell_of_a_new_one(directory)
            for name in path.split("/")[:-1]:
                try:
                    directory = opened[-1].enter(name)
                except FileNotFoundError:
                    if not make:
                        raise
                    opened[-1].make(name)
                    directory = opened[-1].enter(name)
                opened.append(stack.enter_context(directory))
                self._check_directory(directory)
            yield opened

    def _check_store(self) -> None:
        """Refuse a directory that is no store, if none may be made: the disk of the store may not be mounted there.

        Former releases made no mark, so what holds records is a store, too.
        """
        if self._may_create or self._is_known:
            return
        try:
            os.listdir(self._root)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._failed("read", self._root, error) from error
        if not _is_store(self._root):
            raise AsyncJobError(
                f"There is no store in {self._root}, and create_store is false. Nothing was changed. Mount the disk that holds it, correct"
                " state_dir, or let one be made. If it is lost, hosts still know the last attempt of each job"
                " (rstyczynski.ansible.recover)."
            )
        self._is_known = True

    def _tell_of_a_new_one(self, root: Directory) -> None:
        """Say so if a store is about to be made: it may take the place of one whose disk is not mounted.

        :raises AsyncJobError: if it would be one user's, in a directory that was made for a group
        """
        if not self._is_known:
            if not _is_store(self._root):
                if not self._by_group and is_for_team(root.status):
                    raise AsyncJobError(for_team(self._root, root.status))
                shared = "" if self._gid is None else f" It is for everybody in the group {group_name(self._gid)}."
                self._notify(f"A new store is made in {self._root}: no job is known there.{shared}")
            self._is_known = True

    def _expect(self, path: str, document: Document | None, expect: Version | None) -> None:
        if expect is not None and expect != (ABSENT if document is None else document.version):
            raise self._conflict(path)

    @staticmethod
    def _conflict(path: str) -> Conflict:
        return Conflict(f"The record {path} was changed by somebody else meanwhile. Run again.")

    def _check_mounted(self, path: str) -> None:
        """Refuse a path below a dangling link. ENOENT says nothing about the record then: the disk may not be mounted."""
        directory = os.path.dirname(os.path.join(self._root, path))
        while not os.path.exists(directory):
            if os.path.islink(directory):
                raise AsyncJobError(
                    f"The directory {directory} is a symbolic link to {os.readlink(directory)}, which is not there, so that"
                    " nobody can tell which jobs were started. Nothing was changed. Mount what it leads to, or mend the link."
                )
            directory = os.path.dirname(directory)

    def _gone(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"The store {self._root} was there a moment ago, and is gone: its directory was moved or removed, or its disk is not mounted"
            " there any more. Nobody can tell now which jobs were started. Nothing was changed. Put it back, then run the same again."
            " If it is lost, hosts still know the last attempt of each job (rstyczynski.ansible.recover)."
        )

    def _check_root(self, root: Directory) -> None:
        """Note who shares the state directory, and check it, as the others below it are checked."""
        if self._by_group:
            if root.status.st_gid != self._gid:
                self._warn("of one", of_one(self._root, root.status))
            self._gid = root.status.st_gid
        elif is_of_group(self._root, root.status):
            self._is_mixed = True
            self._warn("mixed", [mixed(self._root)])
        self._check_directory(root)

    def _check_directory(self, directory: Directory) -> None:
        """Warn of a directory in which others could replace a record, and so make us look at a job of theirs.

        :raises AsyncJobError: if a group is to share it, and cannot, or others can
        """
        if self._gid is None:
            if not (self._is_mixed and unfit(directory.status, directory.status.st_gid) == ""):
                self._warn(directory.path, writable(directory.path, directory.status))
            return
        deadline = time.monotonic() + directories.MODE_SECONDS
        while unfit(directory.status, self._gid) and is_new(directory.status) and time.monotonic() < deadline:
            time.sleep(0.01)  # somebody is making it
            directory.look()
        why = unfit(directory.status, self._gid)
        if why:
            raise AsyncJobError(
                f"The directory {directory.path} {why}, but state_mode is group. Nothing was changed. It may be that somebody uses this"
                f" store with state_mode: private. Say the same everywhere, and have root run: {sharing(self._root, self._gid)}"
            )

    def _warn_of_file(self, path: str, status: os.stat_result) -> None:
        """Warn of the first record that others can write to, or that a group is to share, and cannot."""
        if not self._is_mixed:
            self._warn("writable file", writable_file(self.locate(path), status, self._gid))
        why = unfit_file(status, self._gid) if self._gid is not None else ""
        if why and self._gid is not None:
            warning = (
                f"{self.locate(path)} {why}, so that somebody uses this store with state_mode: private, and not everybody in the group"
                f" {group_name(self._gid)} can read and change its records. Say state_mode: group everywhere, and have root run:"
                f" {sharing(self._root, self._gid)}"
            )
            self._warn("unfit file", [warning])

    def _warn(self, about: str, warnings: list[str]) -> None:
        """Add warnings, unless there were some about the same."""
        if warnings and about not in self._has_said:
            self._has_said.add(about)
            self.warnings += [warning for warning in warnings if warning not in self.warnings]

    @contextlib.contextmanager
    def _locked(self, root: Directory, path: str) -> t.Iterator[None]:
        """Keep other writers of this record away, on this machine or on another one that mounts the directory.

        A POSIX record lock works on NFS and ends with its process, however that ends. Each record has its own byte of
        the one lock file, so that writers of different records don't wait for each other. The file is never removed:
        a lock on a removed file would lock out nobody.
        """
        byte = int.from_bytes(hashlib.sha256(path.encode("utf-8")).digest()[:4], "big") >> 1
        lock_file = self.locate(LOCK_FILE)
        deadline = time.monotonic() + _LOCK_SECONDS
        with _THREADS:
            fd = self._open_lock(root)
            try:
                status = os.fstat(fd)
                self._check_lock(lock_file, status, root.status.st_uid)
                if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != self._modes.file:
                    os.fchmod(fd, self._modes.file)  # whatever the umask
                while True:
                    try:
                        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
                        break
                    except OSError as error:
                        if error.errno not in (errno.EACCES, errno.EAGAIN):
                            raise
                    if time.monotonic() > deadline:
                        raise AsyncJobError(
                            f"Another process has held the lock of {self.locate(path)} for {_LOCK_SECONDS:.0f} seconds."
                            f" Nothing was changed. Find it with: fuser -v {shlex.quote(lock_file)}. If it is stopped, continue or kill"
                            " it; then run again."
                        )
                    time.sleep(random.uniform(0.001, 0.02))
                yield
            finally:
                os.close(fd)

    def _open_lock(self, root: Directory) -> int:
        """Return a descriptor of the lock file, which is made if there is none."""
        deadline = time.monotonic() + directories.MODE_SECONDS
        while True:
            try:
                try:
                    # Some kernels refuse to create what another user has in a directory for all, and so do not let us say whose it is.
                    return root.open_file(LOCK_FILE, os.O_RDWR)
                except FileNotFoundError:
                    return root.open_file(LOCK_FILE, os.O_RDWR | os.O_CREAT)
            except PermissionError:
                # Somebody else of the group may be making it.
                if self._gid is None or time.monotonic() > deadline or not is_new(os.stat(self.locate(LOCK_FILE), follow_symlinks=False)):
                    raise
            time.sleep(0.01)

    def _check_lock(self, lock_file: str, status: os.stat_result, owner: int) -> None:
        """Refuse what is not the lock file that one of us has made: its mode is about to be changed, and others could hold its lock."""
        if not stat.S_ISREG(status.st_mode):
            why = "is not a regular file"
        elif status.st_nlink > 1:
            why = "has another name somewhere else (a hard link)"
        elif self._is_mixed:
            raise AsyncJobError(f"Nothing was changed. {mixed(self._root)}")
        elif self._gid is not None:
            if not unfit_file(status, self._gid) or (status.st_uid == os.geteuid() and status.st_gid == self._gid):
                return
            raise AsyncJobError(
                f"The lock file {lock_file} {unfit_file(status, self._gid)}, so that not everybody in the group can use this store."
                f" Nothing was changed. Say state_mode: group everywhere, and have root run: {sharing(self._root, self._gid)}"
            )
        elif status.st_uid not in (0, os.geteuid(), owner):
            why = f"belongs to another user (uid {status.st_uid})"
        else:
            return
        raise AsyncJobError(
            f"The lock file {lock_file} {why}, so that somebody else has put it there. Nothing was changed. Remove it while no playbook"
            f" uses this store. Run: rm {shlex.quote(lock_file)}"
        )

    def _failed(self, verb: str, file: str, error: OSError) -> AsyncJobError:
        where = error.filename if isinstance(error.filename, str) and error.filename != file else ""
        shown = f" ({where})" if where else ""
        advice = _WHAT_TO_DO.get(error.errno or 0, "Mend that, then run again.")
        why = ""
        if self._gid is not None and error.errno in (errno.EACCES, errno.EPERM):
            with contextlib.suppress(OSError):
                why = unfit_file(os.stat(where or file, follow_symlinks=False), self._gid)
        if why and self._gid is not None:
            advice = (
                f"It {why}: somebody uses this store with state_mode: private. Say state_mode: group everywhere, and have root run:"
                f" {sharing(self._root, self._gid)}"
            )
        return AsyncJobError(f"Cannot {verb} {file}: {error.strerror or error}{shown}. Nothing was changed. {advice}")


def _all_of(fd: int, size: int) -> bytes:
    """Return what an open file holds, if that is no more than a record may, else a byte more than that.

    :arg size: what it is said to hold
    """
    content = part = os.read(fd, min(size, MOST) + 1)
    while part and len(content) <= MOST:
        part = os.read(fd, min(_CHUNK, MOST + 1 - len(content)))
        content += part
    return content


def _is_store(directory: str) -> bool:
    """Tell whether a directory holds the lock file of a store, or a record: former releases may have written one without the other."""
    if os.path.lexists(os.path.join(directory, LOCK_FILE)):
        return True
    return next(glob.iglob(os.path.join(glob.escape(directory), "*", "*", f"*{SUFFIX}")), None) is not None


def _version(content: bytes) -> Version:
    # Every write has an id of its own, so that equal content means the same write.
    return Version(hashlib.sha256(content).hexdigest())


def _sweep(directory: Directory, *, now: float) -> None:
    """Remove what writers of other records left when they were killed. A living one needs its file for an instant.

    :arg now: by the clock that gives files their times: that of a server of files may be another one than ours
    """
    with contextlib.suppress(OSError), directory.scan() as scan:
        for entry in scan:
            if entry.name.startswith(_TEMPORARY) and now - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_SECONDS:
                with contextlib.suppress(OSError):  # a directory, say: no reason to leave the others
                    directory.remove(entry.name)


def _write_through(directory: Directory, name: str, content: bytes) -> float:
    """Write a file that only we, or our group, can read, and return when it is on the disk: its time."""
    # What a killed writer left, or somebody planted, is removed rather than opened.
    with contextlib.suppress(FileNotFoundError):
        directory.remove(name)
    fd = directory.open_file(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with open(fd, "wb") as stream:
        os.fchmod(fd, directory.modes.file)
        stream.write(content)
        stream.flush()
        os.fsync(fd)
        return os.fstat(fd).st_mtime


def _sync_change(directory: Directory, file: str) -> None:
    """Return when a change of this file's directory entry is on the disk."""
    try:
        directory.sync()
    except OSError as error:
        raise AsyncJobError(
            f"{file} was changed, but its directory could not be written to the disk: {error.strerror}. The change may not"
            " survive a power loss. Look after that disk, then run again."
        ) from error
