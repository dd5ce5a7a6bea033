# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as files: the contract of every store, and what can go wrong with files."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_contract import (
    FULL_DISKS,
    PATH,
    Reopen,
    StoreContract,
    can_mount,
    content,
    document,
    listing,
    small_disk,
    unprivileged,
)
from waiting import until, within

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import filesystem
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Entry
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

OTHER = JobKey("host1", "play", "another").path
VISIBLE = JobKey("host2", "play", "job").path
LEVELS = ("", "host1", "host1/play")


class TestContract(StoreContract):
    """The contract, in a directory that is made with the first write."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        """One more store on the same directory."""
        return functools.partial(FilesystemStore, str(tmp_path / "state"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The state directory, which is not there yet."""
    return tmp_path / "state"


@pytest.fixture
def store(root: Path) -> FilesystemStore:
    """The store."""
    return FilesystemStore(str(root))


def tree(directory: Path) -> dict[str, bytes | None]:
    """All that is in a directory, at any depth: the content of files, None for anything else."""
    found = {str(path.relative_to(directory)): path for path in directory.rglob("*")}
    return {name: path.read_bytes() if path.is_file() else None for name, path in found.items()}


def mode(path: Path) -> int:
    """The permissions of a file, symbolic links not followed."""
    return stat.S_IMODE(path.lstat().st_mode)


def refused(action: Callable[[], t.Any], *mentioned: str) -> str:
    """The one paragraph that tells why an action was refused, after making sure that it mentions all of these."""
    text = ""
    try:
        with within(30):
            action()
    except RecursionError:
        text = "it went round in circles"  # pytest would need minutes to show it
    except Conflict:
        pytest.fail("it was taken for a conflict")
    except AsyncJobError as error:
        text = str(error)
    assert text, "it was not refused"
    assert "\n" not in text
    for words in mentioned:
        assert words in text
    return text


def errors(entries: t.Iterable[Entry]) -> dict[str, str]:
    """The lines of a listing that cannot be read, and why."""
    return {entry.path: str(entry.error) for entry in entries if entry.error is not None}


# --- What is on the disk ----------------------------------------------------------------------------------------------


def test_a_document_is_a_plain_file(store: FilesystemStore, root: Path) -> None:
    """In the place that users know, with nothing added, and beside it only the lock file."""
    written = document(name="Zürich")
    store.write("host1/Nightly backup/my job.json", written)
    assert tree(root) == {
        ".lock": b"",
        "host1": None,
        "host1/Nightly backup": None,
        "host1/Nightly backup/my job.json": written,
    }
    assert store.locate("host1/Nightly backup/my job.json") == str(root / "host1/Nightly backup/my job.json")


def test_looking_leaves_no_trace(store: FilesystemStore, tmp_path: Path) -> None:
    """Not even a directory is made before the first write."""
    store.read(PATH)
    store.delete(PATH)
    list(store.entries())
    list(store.entries("host1/play/"))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_only_the_owner_can_read(tmp_path: Path, umask: int) -> None:
    """Whatever the umask is: directories made on the way, documents, new and replaced ones, and the lock file."""
    store = FilesystemStore(str(tmp_path / "missing" / "state"))
    before = os.umask(umask)
    try:
        with unprivileged():
            store.write(PATH, document())
            store.write(PATH, document())
            store.write(OTHER, document())
            store.delete(OTHER)
            assert content(store) is not None
    finally:
        os.umask(before)
    modes = {str(path.relative_to(tmp_path)): oct(mode(path)) for path in tmp_path.rglob("*")}
    assert modes == {
        "missing": "0o700",
        "missing/state": "0o700",
        "missing/state/.lock": "0o600",
        "missing/state/host1": "0o700",
        "missing/state/host1/play": "0o700",
        "missing/state/host1/play/job.json": "0o600",
    }


def test_modes_that_somebody_chose_stay(store: FilesystemStore, root: Path) -> None:
    """Those of directories that are there. A document that others can read becomes private when it is replaced."""
    store.write(PATH, document())
    (root / PATH).chmod(0o644)
    for level in LEVELS:
        (root / level).chmod(0o750)
    store.write(PATH, document())
    assert [mode(root / level) for level in LEVELS] == [0o750] * 3
    assert mode(root / PATH) == 0o600


def test_the_state_directory_may_be_a_link(store: FilesystemStore, root: Path, tmp_path: Path) -> None:
    """To a directory on another disk, say. So may the directories in it."""
    (tmp_path / "disk" / "elsewhere").mkdir(parents=True)
    root.symlink_to(tmp_path / "disk")
    (root / "host1").symlink_to(tmp_path / "disk" / "elsewhere")
    written = document()
    store.write(PATH, written, expect=ABSENT)
    assert content(store) == written
    assert listing(store.entries()).keys() >= {PATH}
    assert (tmp_path / "disk" / "elsewhere" / "play" / "job.json").read_bytes() == written
    assert store.delete(PATH)


@pytest.mark.parametrize("spelling", ["{root}/", "{root}/.", "{root}//", "{root}/../state"])
def test_a_state_directory_has_many_spellings(store: FilesystemStore, root: Path, spelling: str) -> None:
    """They are one store, with one place."""
    store.write(PATH, document())
    same = FilesystemStore(spelling.format(root=root))
    assert content(same) == content(store)
    assert same.locate(PATH) == store.locate(PATH)


def test_what_is_not_a_record_is_not_listed(store: FilesystemStore, root: Path) -> None:
    """Notes, hidden files, and what a killed writer left."""
    written = document()
    store.write(PATH, written)
    for stray in ("README", "note.json", ".hidden", "host1/note.json", "host1/play/note.txt", "host1/play/.tmp-0", ".git/a/b.json"):
        (root / stray).parent.mkdir(parents=True, exist_ok=True)
        (root / stray).write_bytes(b"stray")
    assert listing(store.entries()) == {PATH: written}
    assert listing(store.entries("host1/")) == {PATH: written}
    assert listing(store.entries("host1/play/")) == {PATH: written}


@pytest.mark.parametrize("state_dir", ["/nowhere/a\0b", "/nowhere/\ud800"], ids=["NUL", "surrogate"])
def test_a_directory_that_no_disk_can_have_is_refused(state_dir: str) -> None:
    """Rather than by an exception of Python's."""
    for action in (
        lambda: FilesystemStore(state_dir).read(PATH),
        lambda: FilesystemStore(state_dir).write(PATH, document()),
        lambda: FilesystemStore(state_dir).delete(PATH),
    ):
        refused(action)


# --- Something stands where a document belongs ------------------------------------------------------------------------


def _put_symlink(file: Path, target: Path) -> None:
    file.symlink_to(target)


def _put_dangling_symlink(file: Path, target: Path) -> None:
    file.symlink_to(target.with_name("nothing"))


def _put_directory(file: Path, _target: Path) -> None:
    file.mkdir()


def _put_fifo(file: Path, _target: Path) -> None:
    os.mkfifo(file)


def _put_socket(file: Path, _target: Path) -> None:
    before = os.getcwd()
    os.chdir(file.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(file.name)
    finally:
        os.chdir(before)


OBSTACLES = {
    "symbolic link": (_put_symlink, "symbolic link"),
    "dangling symbolic link": (_put_dangling_symlink, "symbolic link"),
    "directory": (_put_directory, "directory"),
    "named pipe": (_put_fifo, "not a regular file"),
    "socket": (_put_socket, "not a regular file"),
}


@pytest.fixture(params=list(OBSTACLES.values()), ids=list(OBSTACLES))
def obstacle(request: pytest.FixtureRequest, store: FilesystemStore, root: Path, tmp_path: Path) -> Iterator[str]:
    """Something that is no file is where the document belongs. The words that tell what it is."""
    put, words = request.param
    target = tmp_path / "target"
    target.write_bytes(document(secret="of somebody else"))
    store.write(OTHER, document())
    put(root / PATH, target)
    outside, before, kind = target.read_bytes(), tree(root), (root / PATH).lstat().st_mode
    yield words
    assert target.read_bytes() == outside
    assert tree(root) == before
    assert (root / PATH).lstat().st_mode == kind


def test_an_obstacle_is_not_absence(store: FilesystemStore, root: Path, obstacle: str) -> None:
    """Reading says what is in the way, where, and how to get it out of there."""
    text = refused(lambda: store.read(PATH), str(root / PATH), "Nothing was changed.", "stands where the record belongs")
    assert obstacle in text.lower()


def test_an_obstacle_is_not_overwritten(store: FilesystemStore, root: Path, obstacle: str) -> None:
    """Neither by a new document, nor by one that replaces whatever is there, nor is it removed."""
    for action in (
        lambda: store.write(PATH, document()),
        lambda: store.write(PATH, document(), expect=ABSENT),
        lambda: store.delete(PATH),
        lambda: store.delete(PATH, expect=t.cast("t.Any", "0" * 64)),
    ):
        assert obstacle in refused(action, str(root / PATH), "Nothing was changed.").lower()


def test_an_obstacle_is_an_error_in_a_listing(store: FilesystemStore, root: Path, obstacle: str) -> None:
    """The other documents are listed."""
    with within(30):
        entries = list(store.entries())
    assert [entry.path for entry in entries if entry.document is not None] == [OTHER]
    assert errors(entries).keys() == {PATH}
    assert obstacle in errors(entries)[PATH].lower()
    assert str(root / PATH) in errors(entries)[PATH]


@pytest.mark.parametrize("level", LEVELS, ids=["state", "host", "playbook"])
def test_a_file_stands_where_a_directory_belongs(store: FilesystemStore, root: Path, level: str) -> None:
    """That proves nothing about the document."""
    (root / level).parent.mkdir(parents=True, exist_ok=True)
    (root / level).write_bytes(b"a file")
    for action in (lambda: store.read(PATH), lambda: store.write(PATH, document()), lambda: store.delete(PATH)):
        refused(action, str(root / level), "Nothing was changed.", "move it")
    assert len(errors(store.entries("host1/play/"))) == 1
    assert (root / level).read_bytes() == b"a file"


@pytest.mark.parametrize("level", ["..", *LEVELS], ids=["parent", "state", "host", "playbook"])
class TestDisksThatAreNotMounted:
    """A directory is a symbolic link to a disk that is not there now: nobody can tell which documents there are."""

    @pytest.fixture
    def store(self, tmp_path: Path, level: str) -> FilesystemStore:
        """A store with such a link."""
        link = Path(os.path.normpath(tmp_path / "parent" / "state" / level))
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(tmp_path / "not mounted")
        return FilesystemStore(str(tmp_path / "parent" / "state"))

    def test_nothing_is_absent(self, store: FilesystemStore, tmp_path: Path) -> None:
        """Reading and removing say so."""
        refused(lambda: store.read(PATH), str(tmp_path / "not mounted"), "symbolic link", "Nothing was changed.")
        refused(lambda: store.delete(PATH), str(tmp_path / "not mounted"), "symbolic link", "Nothing was changed.")

    def test_nothing_is_written(self, store: FilesystemStore, tmp_path: Path) -> None:
        """The document would vanish below the mount point."""
        refused(lambda: store.write(PATH, document()), str(tmp_path), "Nothing was changed.")
        refused(lambda: store.write(PATH, document(), expect=ABSENT), str(tmp_path), "Nothing was changed.")
        assert not (tmp_path / "not mounted").exists()

    @pytest.mark.parametrize("prefix", ["", "host1/", "host1/play/"])
    def test_no_listing_is_complete(self, store: FilesystemStore, prefix: str) -> None:
        """It holds an error, or is one."""
        try:
            entries = list(store.entries(prefix))
        except AsyncJobError as error:
            entries = [Entry("", None, error)]
        assert len(errors(entries)) == 1
        assert "symbolic link" in next(iter(errors(entries).values()))


@pytest.mark.parametrize("leaves", ["nothing", "a mount point"])
@pytest.mark.parametrize("has", ["read", "written"])
def test_a_store_that_has_gone_is_not_an_empty_one(store: FilesystemStore, root: Path, tmp_path: Path, leaves: str, has: str) -> None:
    """Whoever has used it says so, makes none in its place, and goes on once it is back."""
    store.write(PATH, document())
    if has == "read":
        store = FilesystemStore(str(root))
    assert store.read(PATH) is not None
    root.rename(tmp_path / "elsewhere")
    if leaves == "a mount point":
        root.mkdir()
    for action in (
        lambda: store.read(PATH),
        lambda: store.read(OTHER),
        lambda: store.delete(OTHER),
        lambda: store.write(OTHER, document()),
        lambda: store.write(OTHER, document(), expect=ABSENT),
    ):
        refused(action, str(root), "is gone", "Nothing was changed.", "Put it back")
    assert [*errors(store.entries())] == [""]
    assert (root.exists(), tree(root)) == (leaves == "a mount point", {})
    if root.exists():
        root.rmdir()
    (tmp_path / "elsewhere").rename(root)
    assert store.read(PATH) is not None
    assert store.read(OTHER) is None
    store.write(OTHER, document(), expect=ABSENT)


# --- Permissions ------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked_up(store: FilesystemStore, root: Path) -> Iterator[Callable[[str, int], None]]:
    """Some documents, and a way to change modes, until the end of the test."""
    for path in (PATH, OTHER, VISIBLE):
        store.write(path, document())
    before = tree(root)

    def chmod(path: str, bits: int) -> None:
        (root / path).chmod(bits)

    yield chmod
    for path in (*LEVELS, PATH):
        (root / path).chmod(0o700)
    assert tree(root) == before


@pytest.mark.parametrize("path", [*LEVELS, PATH], ids=["state", "host", "playbook", "document"])
def test_no_permission_is_not_absence(store: FilesystemStore, root: Path, locked_up: Callable[..., None], path: str) -> None:
    """Reading, removing and replacing say whose fault it is, and change nothing."""
    locked_up(path, 0)
    for action in (
        lambda: store.read(PATH),
        lambda: store.write(PATH, document(), expect=ABSENT),
        lambda: store.write(PATH, document()),
        lambda: store.delete(PATH),
    ):
        with unprivileged():
            refused(action, str(root / PATH), "Permission denied", "Nothing was changed.", "owner or mode")


@pytest.mark.parametrize("level", LEVELS, ids=["state", "host", "playbook"])
@pytest.mark.parametrize("bits", [0, 0o300, 0o600], ids=["no right", "no list", "no search"])
def test_a_directory_without_permission_is_an_error_in_a_listing(
    store: FilesystemStore, root: Path, locked_up: Callable[..., None], level: str, bits: int
) -> None:
    """A listing that leaves out what it cannot see would look complete. What can be seen is listed."""
    locked_up(level, bits)
    with unprivileged():
        entries = list(store.entries())
    assert any(str(root / level) in text for text in errors(entries).values())
    assert all("Permission denied" in text and "\n" not in text for text in errors(entries).values())
    if level:
        assert [entry.path for entry in entries if entry.document is not None] == [VISIBLE]


def test_a_read_only_directory_keeps_its_documents(store: FilesystemStore, root: Path, locked_up: Callable[..., None]) -> None:
    """They can be read, but neither replaced nor removed, and no new one can be made."""
    for level in LEVELS:
        locked_up(level, 0o500)
    with unprivileged():
        assert content(store) is not None
        refused(lambda: store.write(PATH, document()), str(root / PATH), "Permission denied", "owner or mode")
        refused(lambda: store.delete(PATH), str(root / PATH), "Permission denied", "owner or mode")
        for new in ("host1/play/new.json", "host1/new/job.json", "new/play/job.json"):
            refused(functools.partial(store.write, new, document()), str(root / new), "Permission denied", "owner or mode")


@pytest.mark.parametrize("level", LEVELS, ids=["state", "host", "playbook"])
@pytest.mark.parametrize("bits", [0o770, 0o707, 0o1777], ids=oct)
def test_a_directory_that_others_can_write_to_is_warned_of(tmp_path: Path, level: str, bits: int) -> None:
    """Whoever reads or writes. The command in the warning mends it, and it is safe to paste into a shell."""
    root = tmp_path / 'it\'s $HOME; "here"'
    store = FilesystemStore(str(root))
    store.write(PATH, document())
    (root / level).chmod(bits)
    reader, writer = FilesystemStore(str(root)), FilesystemStore(str(root))
    reader.read(PATH)
    writer.write(PATH, document())
    [warning] = reader.warnings
    assert writer.warnings == [warning]
    assert str(root / level) in warning
    assert f"{bits:04o}" in warning
    subprocess.run(warning.partition("Run: ")[2], shell=True, check=True)
    assert mode(root / level) & 0o022 == 0
    again = FilesystemStore(str(root))
    again.read(PATH)
    assert again.warnings == []


@pytest.mark.parametrize("bits", [0o700, 0o750, 0o755], ids=oct)
def test_a_directory_that_others_can_read_is_not_warned_of(store: FilesystemStore, root: Path, bits: int) -> None:
    """The documents in it are private by themselves."""
    store.write(PATH, document())
    for level in LEVELS:
        (root / level).chmod(bits)
    store.read(PATH)
    store.write(PATH, document())
    assert store.warnings == []


# --- Disks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", FULL_DISKS.values(), ids=FULL_DISKS)
def test_a_document_survives_a_full_disk(store: FilesystemStore, root: Path, condition: t.Any) -> None:
    """The old one stays whole, nothing is left behind, and when there is room again everything works."""
    with condition.disk(root):
        old = document()
        store.write(PATH, old)
        before = tree(root)
        with condition.full(root):
            for path in (PATH, OTHER):
                refused(functools.partial(store.write, path, document(x="x" * 100_000)), str(root / path), "Nothing was changed.")
                refused(functools.partial(store.write, path, document(x="x" * 100_000)), "then run again")
            assert content(store) == old
            assert store.read(OTHER) is None
            assert listing(store.entries()) == {PATH: old}
        assert tree(root) == before
        new = document(x="x" * 100_000)
        store.write(PATH, new)
        assert content(store) == new


if can_mount():

    class TestMountedDisks:
        """What only a disk of its own can do."""

        def test_a_disk_without_inodes_says_so(self, store: FilesystemStore, root: Path) -> None:
            """No directory can be made for a new document, and the old ones stay."""
            with small_disk(root, size="1m,nr_inodes=5"):  # the root, the lock, the host, the playbook and the document
                old = document()
                store.write("host1/play/a.json", old)
                for path in ("host1/play/b.json", "host1/other/a.json", "host2/play/a.json", "host1/play/a.json"):
                    refused(functools.partial(store.write, path, document()), str(root / path), "No space left", "Make room")
                assert listing(store.entries()) == {"host1/play/a.json": old}

        def test_a_read_only_disk_keeps_its_documents(self, store: FilesystemStore, root: Path) -> None:
            """They can be read."""
            with small_disk(root):
                old = document()
                store.write(PATH, old)
                subprocess.run(["mount", "-o", "remount,ro", root], check=True)
                for action in (lambda: store.write(PATH, document()), lambda: store.write(OTHER, document()), lambda: store.delete(PATH)):
                    refused(
                        action, str(root / "host1/play"), "Read-only file system", "Nothing was changed.", "Mount the file system writable"
                    )
                assert listing(store.entries()) == {PATH: old}


def test_a_cache_that_knows_of_no_document(store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of a file server may go on believing for half a minute that a file is not there. The server knows better."""
    store.write(PATH, document())
    before = tree(root)

    def open_file(file: t.Any, *args: t.Any, _open: Callable[..., int] = os.open, **options: t.Any) -> int:
        if file == os.path.basename(PATH):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return _open(file, *args, **options)

    monkeypatch.setattr(os, "open", open_file)
    assert store.read(PATH) is None
    with pytest.raises(Conflict):
        store.write(PATH, document(), expect=ABSENT)
    assert tree(root) == before


def test_a_document_is_on_the_disk_before_its_name_is(store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its name, with those of the directories made for it, before the write returns: a power loss takes nothing."""
    events: list[tuple[str, str]] = []

    def name_of(fd: int) -> str:
        return os.readlink(f"/proc/self/fd/{fd}")

    def fsync(fd: int, _fsync: Callable[[int], None] = os.fsync) -> None:
        assert stat.S_ISDIR(os.fstat(fd).st_mode) or os.fstat(fd).st_size == len(written)
        events.append(("sync", name_of(fd)))
        _fsync(fd)

    def path_of(name: str, directory: int) -> str:
        return os.path.join(name_of(directory), name)

    def rename(source: str, destination: str, *, src_dir_fd: int, dst_dir_fd: int, _rename: Callable[..., None] = os.rename) -> None:
        events.append(("rename", path_of(source, src_dir_fd)))
        _rename(source, destination, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def unlink(file: str, *, dir_fd: int, _unlink: Callable[..., None] = os.unlink) -> None:
        _unlink(file, dir_fd=dir_fd)
        events.append(("unlink", path_of(file, dir_fd)))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "replace", rename)
    monkeypatch.setattr(os, "unlink", unlink)
    written = document()
    store.write(PATH, written)
    [(at, temporary)] = [(at, name) for at, (what, name) in enumerate(events) if what == "rename"]
    assert ("sync", temporary) in events[:at]
    assert ("sync", str(root / "host1" / "play")) in events[at:]
    for parent in (root.parent, root, root / "host1"):
        assert ("sync", str(parent)) in events
    events.clear()
    store.delete(PATH)
    assert events == [("unlink", str(root / PATH)), ("sync", str(root / "host1" / "play"))]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_broken_disk_is_reported(store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """With the truth about what may have been changed."""
    old, new = document(), document()
    store.write(PATH, old)
    before = tree(root)
    sync = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode) == (kind == "directory"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        text = refused(lambda: store.write(PATH, new), str(root / PATH), os.strerror(errno.EIO), "run again")
    if kind == "file":
        assert "Nothing was changed." in text
        assert tree(root) == before
    else:
        assert "Nothing was changed." not in text
        assert "was changed" in text
        assert content(store) == new


# --- Writers that die, or stop ----------------------------------------------------------------------------------------

_WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
store = FilesystemStore(sys.argv[2])
while True:
    store.write(sys.argv[3], b"x" * 30_000_000)
"""


def _temporary(root: Path) -> dict[Path, int]:
    """The temporary files, and when each was changed last."""
    found = {}
    for path in root.rglob(".tmp-*"):
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.stat().st_ctime_ns
    return found


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextlib.contextmanager
def stopped_writer(root: Path, collections: Path, path: str = PATH) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped in the middle of a write, and so holds the lock of the document. It is killed at the end."""
    left = _temporary(root)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, collections, root, path])
    try:
        until(lambda: _stopped_in_a_write(root, writer, left), pause=0.001)
        yield writer
    finally:
        writer.kill()
        writer.wait()


def _stopped_in_a_write(root: Path, writer: subprocess.Popen[bytes], left: dict[Path, int]) -> bool:
    until(lambda: _temporary(root).items() - left.items(), pause=0.001)
    writer.send_signal(signal.SIGSTOP)
    until(lambda: _state(writer.pid) == "T", pause=0.001)
    if _temporary(root).items() - left.items():
        return True
    writer.send_signal(signal.SIGCONT)  # it was faster
    return False


def test_what_killed_writers_leave_does_not_pile_up(store: FilesystemStore, root: Path, collections: Path) -> None:
    """There is at most one such file for each document, and the next write takes it away."""
    old = document()
    store.write(PATH, old)
    for _kill in range(4):
        with stopped_writer(root, collections):
            pass
        assert len(_temporary(root)) == 1
        assert (content(store) or b"").strip(b"x") in (b"", old)
    new = document()
    store.write(PATH, new)
    assert tree(root) == {".lock": b"", "host1": None, "host1/play": None, PATH: new}


def test_a_killed_writer_blocks_nobody(store: FilesystemStore, root: Path, collections: Path) -> None:
    """While it is stopped, it blocks writers of the same document, but neither readers nor writers of other ones."""
    old, new = document(), document()
    store.write(PATH, old)
    with stopped_writer(root, collections) as writer, within(60):
        assert (content(store) or b"").strip(b"x") in (b"", old)
        store.write(OTHER, document())
        store.delete(OTHER)
        waiting = threading.Thread(target=store.write, args=(PATH, new), daemon=True)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert content(store) != new
        writer.kill()
        waiting.join()
    assert content(store) == new


def test_a_stopped_writer_is_named(store: FilesystemStore, root: Path, collections: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that waits gives up in the end, and tells how to find the one that it waits for."""
    monkeypatch.setattr(filesystem, "_LOCK_SECONDS", 0.2)
    store.write(PATH, document())
    with stopped_writer(root, collections) as writer:
        for action in (lambda: store.write(PATH, document()), lambda: store.delete(PATH)):
            refused(action, str(root / PATH), "Nothing was changed.", "Find it with: fuser -v", str(root / ".lock"))
        holders = [os.readlink(fd) for fd in Path(f"/proc/{writer.pid}/fd").iterdir()]
        assert str(root / ".lock") in holders


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["document", "playbook", "host"])
def test_what_vanishes_during_a_listing_is_left_out(store: FilesystemStore, root: Path, depth: int) -> None:
    """Somebody forgets jobs at the same time. That is no error."""
    last = {0: "host1/play/z.json", 1: "host1/z/job.json", 2: "z/play/job.json"}[depth]
    first = document()
    store.write(PATH, first)
    store.write(last, document())
    entries = store.entries()
    seen = [next(entries)]
    store.delete(last)
    for directory in list((root / last).parents)[:depth]:
        directory.rmdir()
    assert listing([*seen, *entries]) == {PATH: first}


def test_two_processes_make_the_directories_at_once(tmp_path: Path, collections: Path) -> None:
    """A store that nobody has used yet, many times."""
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
sys.stdin.readline()
for number in range(50):
    FilesystemStore(f"{sys.argv[2]}/{number}/state").write(f"host/play/{sys.argv[3]}.json", b"{}")
"""
    command = [sys.executable, "-c", script, str(collections), str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE) for number in range(3)]
    try:
        for writer in writers:
            writer.communicate(b"\n", timeout=60)
        assert [writer.returncode for writer in writers] == [0, 0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert len(list(tmp_path.glob("*/state/host/play/*.json"))) == 150


# --- What killed writers leave ----------------------------------------------------------------------------------------


def test_what_killed_writers_left_is_swept(store: FilesystemStore, root: Path) -> None:
    """By the next writer of any record in the same directory, once nobody can be writing it any more."""
    store.write(OTHER, document())
    directory = (root / OTHER).parent
    abandoned, fresh = directory / ".tmp-abandoned", directory / ".tmp-fresh"
    for file in (abandoned, fresh):
        file.write_bytes(b"{")
    os.utime(abandoned, (0, 0))
    store.write(OTHER, document())
    assert not abandoned.exists()
    assert fresh.exists()
