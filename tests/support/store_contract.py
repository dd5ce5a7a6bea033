# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every record store promises, and hard conditions to try it under.

A store's own tests inherit from :class:`StoreContract` and say how to open the store.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import multiprocessing
import os
import resource
import subprocess
import threading
import typing as t
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey, prefix
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Entry, Store

Reopen = Callable[[], Store]

PATH = JobKey("host1", "play", "job").path
SECONDS = 60.0
PROCESSES = 4

HARD_KEYS = {
    "spaces": JobKey("my host", "Nightly backup", "dump  all "),
    "other alphabets": JobKey("Zürich", "夜間バックアップ", "задание ☃ 🎉"),
    "combining marks": JobKey("e\u0301", "\u00e9", "a\u0308\u0323"),
    "traversal": JobKey("..", ".", "../../../../etc/passwd"),
    "separators": JobKey("a/b", "a\\b", "/"),
    "percent signs": JobKey("%2F", "100%", "%25"),
    "control characters": JobKey("\0", "\n", "\x1b[31m\x7f\x85"),
    "hidden": JobKey(".git", ".lock", ".tmp-x"),
    "nothing": JobKey("", "", ""),
    "blank": JobKey(" ", " ", " "),
    "url characters": JobKey("a?b#c", "a&b=c;d", "a+b@c:d"),
    "quotes": JobKey("'", '"', "`$(id)`"),
    "devices": JobKey("CON", "NUL", "aux"),
    "very long": JobKey("h" * 5000, "ü" * 5000, "/" * 5000),
    "as long as it gets": JobKey("h" * 255, "p" * 255, "j" * 250),
}


def document(**fields: t.Any) -> bytes:
    """Return a document the way records are: JSON, with an id that no other write has."""
    return json.dumps({**fields, "write_id": uuid.uuid4().hex}, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n"


def content(store: Store, path: str = PATH) -> bytes | None:
    """Return what the store holds there."""
    found = store.read(path)
    return None if found is None else found.content


def listing(entries: Iterable[Entry]) -> dict[str, bytes]:
    """Return the documents of a listing, after making sure that each could be read and is there once."""
    found: dict[str, bytes] = {}
    for entry in entries:
        assert entry.error is None
        assert entry.document is not None
        assert entry.path not in found
        found[entry.path] = entry.document.content
    return found


def increment(store: Store, path: str, times: int) -> None:
    """Count up in a document, trying again whenever somebody else was faster."""
    done = 0
    while done < times:
        found = store.read(path)
        count = 0 if found is None else json.loads(found.content)["count"]
        with contextlib.suppress(Conflict):
            store.write(path, document(count=count + 1), expect=ABSENT if found is None else found.version)
            done += 1


def claim(store: Store, path: str, who: str) -> bool:
    """Tell whether we were the ones who made the document."""
    try:
        store.write(path, document(who=who), expect=ABSENT)
    except Conflict:
        return False
    return True


def _increment_in_process(reopen: Reopen, times: int) -> None:
    increment(reopen(), PATH, times)


def _claim_in_process(reopen: Reopen, barrier: t.Any, results: t.Any, rounds: int) -> None:
    store = reopen()
    won = []
    for number in range(rounds):
        barrier.wait(SECONDS)
        if claim(store, JobKey("host1", "play", f"round {number}").path, str(os.getpid())):
            won.append(number)
    results.put((os.getpid(), won))


class StoreContract:
    """What every store must do.

    The subclass supplies the fixture C(reopen): how to get one more, independent instance of the same store, also from another
    process, so that it can be pickled.
    """

    @pytest.fixture
    def store(self, reopen: Reopen) -> Store:
        """Return the store, which nobody has written to yet."""
        return reopen()

    # --- Reading and writing ----------------------------------------------------------------------------------------

    def test_what_was_never_written_is_absent(self, store: Store) -> None:
        """A store without any document, and another document, don't matter."""
        assert store.read(PATH) is None
        store.write(JobKey("host1", "play", "another").path, document())
        assert store.read(PATH) is None
        assert store.read(JobKey("host2", "play", "job").path) is None
        assert store.read(JobKey("host1", "play2", "job").path) is None

    @pytest.mark.parametrize(
        "written",
        [
            pytest.param(document(metadata={"city": "Zürich ☃ 🎉", "null": None}), id="a record"),
            pytest.param(b"{}", id="no newline at its end"),
            pytest.param(b"", id="nothing"),
            pytest.param(bytes(range(256)) * 3, id="all bytes"),
            pytest.param(b"line\r\nline\nline\r\0", id="line ends"),
            pytest.param(document(metadata="x" * 3_000_000), id="3 megabytes"),
        ],
    )
    def test_what_is_written_is_read(self, store: Store, reopen: Reopen, written: bytes) -> None:
        """Byte for byte, by any instance."""
        store.write(PATH, written)
        assert content(store) == written
        assert content(reopen()) == written

    def test_a_write_replaces_the_document_whole(self, store: Store, reopen: Reopen) -> None:
        """Also by a shorter one, and whoever wrote the one before."""
        store.write(PATH, document(metadata="x" * 10_000))
        short = document()
        reopen().write(PATH, short)
        assert content(store) == short

    @pytest.mark.parametrize("key", HARD_KEYS.values(), ids=HARD_KEYS)
    def test_any_key_is_a_place_of_its_own(self, store: Store, reopen: Reopen, key: JobKey) -> None:
        """Write, read, list and remove."""
        mine, other = document(key=str(key)), document()
        store.write(PATH, other)
        store.write(key.path, mine, expect=ABSENT)
        assert content(reopen(), key.path) == mine
        assert listing(store.entries()) == {PATH: other, key.path: mine}
        assert listing(store.entries(prefix(key.host, None))) == {key.path: mine}
        assert listing(store.entries(prefix(key.host, key.playbook_name))) == {key.path: mine}
        assert store.delete(key.path)
        assert listing(store.entries()) == {PATH: other}

    def test_readers_never_see_half_a_document(self, store: Store, reopen: Reopen) -> None:
        """Neither an empty one, nor the beginning of one, nor none, while it is replaced over and over."""
        documents = [document(metadata=letter * 300_000) for letter in "ab"]
        store.write(PATH, documents[0])
        done = threading.Event()

        def replace() -> None:
            writer = reopen()
            try:
                for number in range(30):
                    writer.write(PATH, documents[number % 2])
            finally:
                done.set()

        with ThreadPoolExecutor() as pool:
            writing = pool.submit(replace)
            reads = 0
            while not done.is_set() or reads < 10:
                assert content(store) in documents
                reads += 1
            writing.result(SECONDS)

    # --- Versions ---------------------------------------------------------------------------------------------------

    def test_the_version_of_a_write_is_the_one_that_readers_see(self, store: Store, reopen: Reopen) -> None:
        """In a read and in a listing, by any instance."""
        version = store.write(PATH, document())
        for found in (store.read(PATH), reopen().read(PATH), next(store.entries()).document):
            assert found is not None
            assert found.version == version
        assert version != ABSENT

    def test_another_document_has_another_version(self, store: Store) -> None:
        """However small the difference is."""
        versions = {store.write(PATH, document(count=count)) for count in range(5)}
        assert len(versions) == 5

    def test_a_new_document_is_written_once(self, store: Store, reopen: Reopen) -> None:
        """The second one who expects nothing to be there is told, and changes nothing."""
        first = document(who="first")
        version = store.write(PATH, first, expect=ABSENT)
        with pytest.raises(Conflict):
            reopen().write(PATH, document(who="second"), expect=ABSENT)
        found = store.read(PATH)
        assert found is not None
        assert found == (first, version)

    def test_the_expected_version_is_replaced(self, store: Store, reopen: Reopen) -> None:
        """Again and again, each time by the version that the last write returned."""
        version = store.write(PATH, document(), expect=ABSENT)
        for _write in range(3):
            last = document()
            version = reopen().write(PATH, last, expect=version)
        found = store.read(PATH)
        assert found is not None
        assert found == (last, version)

    def test_another_version_than_the_expected_one_stays(self, store: Store, reopen: Reopen) -> None:
        """A stale version is refused, time and again, and the version that is there can still be replaced."""
        stale = store.write(PATH, document())
        current = document()
        version = reopen().write(PATH, current)
        for _attempt in range(2):
            with pytest.raises(Conflict):
                store.write(PATH, document(), expect=stale)
            found = store.read(PATH)
            assert found is not None
            assert found == (current, version)
        store.write(PATH, document(), expect=version)

    def test_an_expected_version_that_is_gone_is_not_written_anew(self, store: Store) -> None:
        """Somebody removed the document meanwhile, and had a reason."""
        stale = store.write(PATH, document())
        store.delete(PATH)
        with pytest.raises(Conflict):
            store.write(PATH, document(), expect=stale)
        assert store.read(PATH) is None
        assert listing(store.entries()) == {}

    def test_a_version_that_never_was_is_refused(self, store: Store, reopen: Reopen) -> None:
        """In a store that nobody has written to yet, too."""
        version = store.write(JobKey("elsewhere", "play", "job").path, document())
        store.delete(JobKey("elsewhere", "play", "job").path)
        with pytest.raises(Conflict):
            reopen().write(PATH, document(), expect=version)
        assert store.read(PATH) is None

    def test_what_was_removed_can_be_made_anew(self, store: Store) -> None:
        """Nothing of it is remembered."""
        store.write(PATH, document(), expect=ABSENT)
        store.delete(PATH)
        again = document()
        store.write(PATH, again, expect=ABSENT)
        assert content(store) == again

    def test_a_conflict_names_the_document_in_one_paragraph(self, store: Store) -> None:
        """The user has to know which of his jobs it is about, and that nothing was done."""
        stale = store.write(PATH, document())
        store.write(PATH, document())
        for refused in (lambda: store.write(PATH, document(), expect=stale), lambda: store.delete(PATH, expect=stale)):
            with pytest.raises(Conflict) as caught:
                refused()
            assert PATH in str(caught.value)
            assert "\n" not in str(caught.value)

    # --- Removing ---------------------------------------------------------------------------------------------------

    def test_a_removed_document_is_absent(self, store: Store, reopen: Reopen) -> None:
        """True tells that there was one, False that there was none; nothing else goes with it."""
        other = JobKey("host1", "play", "another").path
        assert store.delete(PATH) is False
        store.write(PATH, document())
        store.write(other, document())
        assert store.delete(PATH) is True
        assert store.read(PATH) is None
        assert reopen().read(PATH) is None
        assert set(listing(store.entries())) == {other}
        assert store.delete(PATH) is False

    def test_the_expected_version_is_removed(self, store: Store) -> None:
        """And no longer there."""
        version = store.write(PATH, document())
        assert store.delete(PATH, expect=version) is True
        assert store.read(PATH) is None

    def test_another_version_than_the_expected_one_is_not_removed(self, store: Store, reopen: Reopen) -> None:
        """Somebody wrote it meanwhile."""
        stale = store.write(PATH, document())
        current = document()
        reopen().write(PATH, current)
        with pytest.raises(Conflict):
            store.delete(PATH, expect=stale)
        assert content(store) == current

    def test_an_expected_version_that_is_gone_cannot_be_removed(self, store: Store) -> None:
        """Somebody was faster."""
        version = store.write(PATH, document())
        store.delete(PATH)
        with pytest.raises(Conflict):
            store.delete(PATH, expect=version)

    def test_removing_a_version_from_an_unused_store_is_a_conflict(self, store: Store) -> None:
        """Nothing was ever written to it, or all of it was removed by hand."""
        with pytest.raises(Conflict):
            store.delete(PATH, expect=t.cast("t.Any", "0" * 64))

    # --- Listing ----------------------------------------------------------------------------------------------------

    def test_an_unused_store_lists_nothing(self, store: Store) -> None:
        """And that is no error."""
        assert list(store.entries()) == []
        assert list(store.entries(prefix("host1", None))) == []
        assert list(store.entries(prefix("host1", "play"))) == []

    def test_a_prefix_is_whole_segments(self, store: Store) -> None:
        """A host is not listed with another one whose name begins the same, nor is a playbook."""
        hosts = ("a", "ab", "a b", "A", "a.example.com", "%", "a%")
        playbooks = ("p", "p2", "p q", "P", "")
        keys = [JobKey(host, playbook, "job") for host in hosts for playbook in playbooks]
        written = {key.path: document(key=key) for key in keys}
        for path, text in written.items():
            store.write(path, text)
        assert listing(store.entries()) == written
        for host in hosts:
            expected = {key.path: written[key.path] for key in keys if key.host == host}
            assert len(expected) == len(playbooks)
            assert listing(store.entries(prefix(host, None))) == expected
        for key in keys:
            assert listing(store.entries(prefix(key.host, key.playbook_name))) == {key.path: written[key.path]}
        assert listing(store.entries(prefix("b", None))) == {}
        assert listing(store.entries(prefix("a", "q"))) == {}

    def test_a_listing_keeps_the_documents_of_a_playbook_together(self, store: Store) -> None:
        """Whatever the order is in which they were written."""
        keys = [JobKey(f"host{number % 3}", f"play{number % 2}", f"job{number}") for number in range(12)]
        for key in keys:
            store.write(key.path, document())
        order = [entry.path.rsplit("/", 1)[0] for entry in store.entries()]
        assert sorted(order) == sorted(key.path.rsplit("/", 1)[0] for key in keys)
        assert [playbook for playbook, _entries in itertools.groupby(order)] == list(dict.fromkeys(order))

    def test_many_documents_are_all_listed(self, store: Store, reopen: Reopen) -> None:
        """Over several pages, where a store has such."""
        written = {JobKey(f"host{number % 7}", "play", f"job {number}").path: document(number=number) for number in range(160)}

        def write(paths: list[str]) -> None:
            writer = reopen()
            for path in paths:
                writer.write(path, written[path])

        with ThreadPoolExecutor() as pool:
            list(pool.map(write, [list(written)[start::8] for start in range(8)]))
        assert listing(store.entries()) == written

    # --- At the same time -------------------------------------------------------------------------------------------

    def test_threads_lose_no_update(self, reopen: Reopen) -> None:
        """Each counts up in the same document, by instances of their own."""
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _thread: increment(reopen(), PATH, 10), range(6)))
        assert json.loads(content(reopen()) or b"")["count"] == 60

    def test_processes_lose_no_update(self, reopen: Reopen) -> None:
        """Each counts up in the same document."""
        with _processes(_increment_in_process, reopen, 15) as processes:
            assert [_ended(process) for process in processes] == [0] * PROCESSES
        assert json.loads(content(reopen()) or b"")["count"] == PROCESSES * 15

    def test_of_many_threads_one_makes_the_document(self, reopen: Reopen) -> None:
        """The others are told, and the document is that of the one."""
        barrier = threading.Barrier(16)

        def one(number: int) -> bool:
            store = reopen()
            barrier.wait(SECONDS)
            return claim(store, PATH, str(number))

        with ThreadPoolExecutor(16) as pool:
            won = [number for number, won in enumerate(pool.map(one, range(16))) if won]
        assert len(won) == 1
        assert json.loads(content(reopen()) or b"")["who"] == str(won[0])

    def test_of_many_processes_one_makes_the_document(self, reopen: Reopen) -> None:
        """In each of many rounds, all begin at the same time."""
        rounds = 25
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        with _processes(_claim_in_process, reopen, context.Barrier(PROCESSES), results, rounds) as processes:
            winners = dict(results.get(timeout=SECONDS) for _process in processes)
            assert [_ended(process) for process in processes] == [0] * PROCESSES
        assert Counter(number for won in winners.values() for number in won) == dict.fromkeys(range(rounds), 1)
        for pid, won in winners.items():
            for number in won:
                written = content(reopen(), JobKey("host1", "play", f"round {number}").path)
                assert json.loads(written or b"")["who"] == str(pid)

    # --- For the user -----------------------------------------------------------------------------------------------

    def test_places_are_absolute(self, store: Store) -> None:
        """So that the user finds the document, wherever he is."""
        place = store.locate(PATH)
        assert place.startswith("/") or "://" in place
        assert place.startswith(store.locate())
        assert place.endswith(PATH)
        assert place != store.locate(JobKey("host1", "play", "another").path)

    def test_nothing_is_made_before_the_first_write(self, store: Store, reopen: Reopen) -> None:
        """Reading, listing and removing leave no trace, and there is nothing to warn of."""
        store.read(PATH)
        list(store.entries())
        store.delete(PATH)
        assert list(reopen().entries()) == []
        assert store.warnings == []


@contextlib.contextmanager
def _processes(target: Callable[..., None], *args: t.Any) -> Iterator[list[t.Any]]:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=target, args=args) for _number in range(PROCESSES)]
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


def _ended(process: t.Any) -> int | None:
    process.join(SECONDS)
    exitcode: int | None = process.exitcode
    return exitcode


# --- Hard conditions --------------------------------------------------------------------------------------------------


_LIBC = ctypes.CDLL(None, use_errno=True)
_CAPABILITIES_VERSION_3 = 0x20080522
_CAP_SYS_ADMIN = 21
_PR_GET_SECUREBITS, _PR_SET_SECUREBITS = 27, 28
_SECBIT_NOROOT = 1


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _capabilities() -> tuple[t.Any, t.Any]:
    header, data = _CapabilityHeader(_CAPABILITIES_VERSION_3, 0), (_CapabilityData * 2)()
    _check(_LIBC.capget(ctypes.byref(header), data))
    return header, data


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Work without root's right to pass by the modes of files, for this thread and for the programs it starts meanwhile.

    Nothing else changes, the user id neither, and for an ordinary user nothing at all.
    """
    if os.geteuid() != 0:
        yield
        return
    header, data = _capabilities()
    effective = [half.effective for half in data]
    bits = _check(_LIBC.prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0))
    _check(_LIBC.prctl(_PR_SET_SECUREBITS, bits | _SECBIT_NOROOT, 0, 0, 0))
    for half in data:
        half.effective = 0
    _check(_LIBC.capset(ctypes.byref(header), data))
    try:
        yield
    finally:
        for half, before in zip(data, effective, strict=True):
            half.effective = before
        _check(_LIBC.capset(ctypes.byref(header), data))
        _check(_LIBC.prctl(_PR_SET_SECUREBITS, bits, 0, 0, 0))


def can_mount() -> bool:
    """Tell whether we may mount a file system."""
    _header, data = _capabilities()
    return bool(data[_CAP_SYS_ADMIN // 32].effective >> _CAP_SYS_ADMIN % 32 & 1)


@contextlib.contextmanager
def small_disk(directory: Path, *, size: str = "1m") -> Iterator[None]:
    """Mount a small file system in a directory that is made for it. Needs :func:`can_mount`."""
    directory.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextlib.contextmanager
def no_room(disk: Path) -> Iterator[None]:
    """Fill the disk."""
    filler = disk / ".filler"
    try:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as stream:
            while stream.write(b"x" * 4096):
                pass
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Let no file grow beyond this many bytes, for this process and for those that it starts meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class FullDisk(t.NamedTuple):
    """A way to make a write fail for want of room."""

    disk: Callable[[Path], contextlib.AbstractContextManager[None]]
    """Makes the directory that is going to be full."""
    full: Callable[[Path], contextlib.AbstractContextManager[None]]
    """It is full meanwhile. There is still room for what is small, in some of the ways."""


@contextlib.contextmanager
def _ordinary_directory(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o700)
    yield


FULL_DISKS = {"file size limit": FullDisk(_ordinary_directory, lambda _directory: file_size_limit(8192))}
if can_mount():
    FULL_DISKS["full disk"] = FullDisk(small_disk, no_room)
