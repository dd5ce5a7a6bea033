# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A state directory that several users share: what one of them puts there leads nobody else out of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from store_contract import PATH, document, listing
from waiting import within

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

SHARED = pytest.mark.parametrize("bits", [0o1777, 0o2770], ids=oct)
DIRECTORIES = pytest.mark.parametrize("level", ["host1", "host1/play"])
SECOND = "host1/play/another.json"

# As the store calls the file that it writes before it is put in place
TEMPORARY = f"host1/play/.tmp-{hashlib.sha256(PATH.encode()).hexdigest()[:32]}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The state directory, not shared yet, with a job in it."""
    FilesystemStore(str(tmp_path / "state")).write(SECOND, document())
    return tmp_path / "state"


@pytest.fixture
def store(root: Path) -> FilesystemStore:
    """A store on it."""
    return FilesystemStore(str(root))


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Files and directories of the user that are none of the store's business, but look as if they were."""
    directory = tmp_path / "outside"
    (directory / "play").mkdir(parents=True)
    for name in ("play/job.json", "job.json", "secret"):
        (directory / name).write_bytes(document(of="the user"))
        (directory / name).chmod(0o644)
    (directory / "play").chmod(0o755)
    return directory


def share(root: Path, bits: int) -> None:
    """Let others write everywhere in it."""
    for directory in (root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())):
        directory.chmod(bits)


def snapshot(directory: Path) -> dict[str, tuple[int, bytes | None]]:
    """All that is in a directory: modes, and the content of files."""
    return {
        str(path.relative_to(directory)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in (directory, *directory.rglob("*"))
    }


def refusal(action: Callable[[], t.Any]) -> str:
    """Return why something was refused."""
    with within(30), pytest.raises(AsyncJobError) as caught:
        action()
    text = str(caught.value)
    assert "Nothing was changed." in text
    assert "\n" not in text
    return text


def actions(store: FilesystemStore) -> list[Callable[[], t.Any]]:
    """All that can be done to one document."""
    return [lambda: store.read(PATH), lambda: store.write(PATH, document()), lambda: store.delete(PATH)]


@SHARED
@DIRECTORIES
def test_a_link_in_place_of_a_directory_is_not_followed(store: FilesystemStore, root: Path, outside: Path, bits: int, level: str) -> None:
    """Whether it is read, written, removed or listed; the others are listed."""
    other = document()
    store.write("host2/play/job.json", other)
    (root / level).rename(root / "moved")
    (root / level).symlink_to(outside if level == "host1" else outside / "play")
    share(root, bits)
    before = snapshot(outside)
    for action in actions(store):
        text = refusal(action)
        assert str(root / level) in text
        assert "symbolic link" in text
        assert "not followed" in text
    found = list(store.entries())
    assert [entry.path for entry in found if entry.document is not None and entry.path.startswith("host")] == ["host2/play/job.json"]
    assert [str(root / level) in str(entry.error) for entry in found if entry.error is not None] == [True]
    [below] = store.entries("host1/play/")
    assert str(root / level) in str(below.error)
    assert snapshot(outside) == before


def test_a_link_of_ours_in_a_directory_of_ours_is_followed(store: FilesystemStore, root: Path, outside: Path) -> None:
    """Nobody else can have put it there: the records of a host may be on another disk."""
    (root / "host2").symlink_to(outside)
    store.write("host2/play/job.json", document())
    assert listing(store.entries("host2/")).keys() == {"host2/play/job.json"}


@SHARED
def test_another_name_of_a_file_is_no_record(store: FilesystemStore, root: Path, outside: Path, bits: int) -> None:
    """Neither is it read, nor does a write or a removal reach it."""
    os.link(outside / "secret", root / PATH)
    share(root, bits)
    before = snapshot(outside)
    for action in actions(store):
        text = refusal(action)
        assert str(root / PATH) in text
        assert "hard link" in text
    assert [entry.path for entry in store.entries() if entry.error is not None] == [PATH]
    assert snapshot(outside) == before


def test_a_copy_that_shares_files_takes_nothing_away(store: FilesystemStore, root: Path, tmp_path: Path) -> None:
    """Backups are made so. In a directory of ours, nobody else can have done that."""
    old = document()
    store.write(PATH, old)
    os.link(root / PATH, tmp_path / "backup.json")
    assert listing(store.entries())[PATH] == old
    store.write(PATH, document())
    assert (tmp_path / "backup.json").read_bytes() == old


def _symlink(place: Path, target: Path) -> None:
    place.symlink_to(target)


def _hard_link(place: Path, target: Path) -> None:
    os.link(target, place)


def _fifo(place: Path, _target: Path) -> None:
    os.mkfifo(place)


OBSTACLES = pytest.mark.parametrize("put", [_symlink, _hard_link, _fifo])


@SHARED
@OBSTACLES
def test_what_is_in_place_of_the_lock_file_is_refused(
    store: FilesystemStore, root: Path, outside: Path, bits: int, put: Callable[[Path, Path], None]
) -> None:
    """It is neither truncated, nor is its mode changed."""
    (root / ".lock").unlink()
    put(root / ".lock", outside / "secret")
    share(root, bits)
    before = snapshot(outside)
    assert str(root / ".lock") in refusal(lambda: store.write(PATH, document()))
    assert ".lock" in refusal(lambda: store.delete(SECOND))
    assert snapshot(outside) == before


@SHARED
@OBSTACLES
def test_what_is_in_place_of_a_temporary_file_is_not_written(
    store: FilesystemStore, root: Path, outside: Path, bits: int, put: Callable[[Path, Path], None]
) -> None:
    """It is removed, as what a killed writer left."""
    put(root / TEMPORARY, outside / "secret")
    share(root, bits)
    before = snapshot(outside)
    written = document()
    store.write(PATH, written)
    assert (root / PATH).read_bytes() == written
    assert stat.S_IMODE((root / PATH).lstat().st_mode) == 0o600
    assert not (root / TEMPORARY).exists()
    assert snapshot(outside) == before


@DIRECTORIES
def test_a_directory_that_is_exchanged_while_we_write(
    store: FilesystemStore, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    """What was checked is what is written to."""
    share(root, 0o1777)
    before = snapshot(outside)

    def exchange(*args: t.Any, _lock: Callable[..., None] = fcntl.lockf) -> None:
        (root / level).rename(root / "moved")
        (root / level).symlink_to(outside if level == "host1" else outside / "play")
        _lock(*args)

    monkeypatch.setattr(fcntl, "lockf", exchange)
    store.write(PATH, document())
    assert snapshot(outside) == before


def test_a_directory_that_is_exchanged_while_we_make_it(
    store: FilesystemStore, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else gets its mode."""
    share(root, 0o2770)
    before = snapshot(outside)
    new = root / "new"

    def make(*args: t.Any, _mkdir: Callable[..., None] = os.mkdir, **options: t.Any) -> None:
        _mkdir(*args, **options)
        if new.is_dir() and not new.is_symlink():
            new.rmdir()
            new.symlink_to(outside)

    monkeypatch.setattr(os, "mkdir", make)
    assert "symbolic link" in refusal(lambda: store.write("new/play/job.json", document()))
    assert snapshot(outside) == before


if os.geteuid() == 0:

    @DIRECTORIES
    def test_a_link_of_another_user_is_not_followed(store: FilesystemStore, root: Path, outside: Path, level: str) -> None:
        """Nor by root, who may go wherever it leads."""
        (root / level).rename(root / "moved")
        (root / level).symlink_to(outside if level == "host1" else outside / "play")
        os.lchown(root / level, 12345, 12345)
        before = snapshot(outside)
        for action in actions(store):
            assert "belongs to the user 12345" in refusal(action)
        assert snapshot(outside) == before
