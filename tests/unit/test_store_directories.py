# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a state directory is, who can write to it and above it, and what others have put where our lock file belongs."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

directories = importlib.import_module("ansible_collections.rstyczynski.ansible.plugins.module_utils._store.directories")

PATH = "host1/play/job.json"
DOCUMENT = b'{"a": 1}\n'
ALICE, BOB, TEAM = 12345, 12346, 12347

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives directories to other users, which only root can do")


@pytest.fixture
def above() -> Iterator[Path]:
    """A directory of ours that others can enter, below directories of root and of nobody else."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def root(above: Path) -> Path:
    """A state directory."""
    directory = above / "it's a store"
    directory.mkdir(mode=0o700)
    return directory


@contextlib.contextmanager
def user(uid: int, *groups: int) -> Iterator[None]:
    """Be another user."""
    before = os.getgroups()
    os.setgroups(groups)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(before)


def opened(root: Path, key_file: str | None = None, state_mode: str = "private") -> FilesystemStore:
    """The store, as tasks open it."""
    params = {"state_dir": str(root), "create_store": True, "record_key_file": key_file, "state_mode": state_mode}
    return FilesystemStore.open(params, nobody)


def mend(warning: str) -> None:
    """Run the command that a warning gives."""
    subprocess.run(warning.partition("Run: ")[2].partition("; or ")[0], shell=True, check=True)


def test_ours_alone(root: Path, above: Path) -> None:
    """Nothing to say, whether it is there or not. The sticky directory above is as it should be."""
    assert opened(root).warnings == []
    assert opened(above / "missing" / "store").warnings == []
    assert list(above.iterdir()) == [root]


@pytest.mark.parametrize("bits", [0o770, 0o707, 0o1777], ids=oct)
def test_others_can_write_to_it(root: Path, bits: int) -> None:
    """Known when it is opened, so that lists say it, too; and said once."""
    root.chmod(bits)
    store = opened(root)
    store.read(PATH)
    list(store.entries())
    [warning] = store.warnings
    assert str(root) in warning
    assert f"(mode {bits:04o})" in warning
    mend(warning)
    assert opened(root).warnings == []


def test_others_can_write_to_what_is_listed(root: Path) -> None:
    """The directory of a host or of a playbook, without a read of a single record."""
    FilesystemStore(str(root)).write(PATH, DOCUMENT)
    (root / "host1").chmod(0o777)
    store = opened(root)
    list(store.entries())
    [warning] = store.warnings
    assert str(root / "host1") in warning


@pytest.mark.parametrize("exists", [True, False])
def test_others_can_write_above_it(root: Path, above: Path, exists: bool) -> None:
    """They could put another directory in its place. In a sticky directory they could not."""
    above.chmod(0o777)
    [warning] = opened(root if exists else above / "missing" / "store").warnings
    assert f"Other users can write to {above} (mode 0777)" in warning
    mend(warning)
    assert opened(root).warnings == []
    above.chmod(0o1777)
    assert opened(root).warnings == []


def test_others_can_write_above_where_a_link_leads(root: Path, above: Path) -> None:
    """As well as above the link."""
    (above / "here").mkdir()
    (above / "here" / "link").symlink_to(root)
    (above / "here").chmod(0o777)
    [warning] = opened(above / "here" / "link").warnings
    assert str(above / "here") in warning
    (above / "here").chmod(0o755)
    above.chmod(0o777)
    [warning] = opened(above / "here" / "link").warnings
    assert f"{above} (mode" in warning


@as_root
def test_a_group_above_it(root: Path, above: Path) -> None:
    """One of several users is warned of; one that is its owner's alone, as many distributions make them, is not."""
    above.chmod(0o775)
    assert opened(root).warnings == []  # the group root
    os.chown(above, 0, TEAM)
    [warning] = opened(root).warnings
    assert str(above) in warning


@as_root
def test_it_belongs_to_somebody_else(root: Path) -> None:
    """Refused, unless it is shared with a group on purpose, or only signed records count. Root goes on, and hears whose it is."""
    os.chown(root, ALICE, TEAM)
    with user(BOB), pytest.raises(StoreUnavailable) as refusal:
        opened(root)
    for words in (str(root), f"belongs to the user {ALICE}", f"chown -R {BOB}", "Nothing was read or written", "record_key_file"):
        assert words in str(refusal.value)
    with user(ALICE):
        assert opened(root).warnings == []
    with user(BOB):
        [warning] = opened(root, "key").warnings
        assert f"{ALICE}, who can remove the records" in warning
    [warning] = opened(root).warnings
    assert f"belongs to the user {ALICE}, who can write, replace and remove the records that root acts on" in warning
    root.chmod(0o2770)
    with user(BOB, TEAM):
        [warning] = opened(root).warnings
        assert "(mode 2770)" in warning
    with user(BOB), pytest.raises(StoreUnavailable):
        opened(root)
    root.chmod(0o700)
    [warning] = opened(root).warnings
    mend(warning)
    assert opened(root).warnings == []


@as_root
def test_what_is_above_belongs_to_somebody_else(root: Path, above: Path) -> None:
    """They can replace what is below. Whom nobody knows, as in a container, is root outside of it."""
    os.chown(above, ALICE, 0)
    [warning] = opened(root).warnings
    assert f"The directory {above} belongs to the user {ALICE}" in warning
    os.chown(above, 65534, 0)
    assert opened(root).warnings == []


def test_a_hard_link_in_place_of_the_lock_file(root: Path, above: Path) -> None:
    """Neither the mode nor the content of what it leads to is changed. The command in the error mends it."""
    target = above / "target"
    target.write_text("theirs")
    target.chmod(0o644)
    os.link(target, root / ".lock")
    with pytest.raises(AsyncJobError, match="has another name somewhere else") as refusal:
        opened(root).write(PATH, DOCUMENT)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert target.read_text() == "theirs"
    assert opened(root).read(PATH) is None
    mend(str(refusal.value))
    opened(root).write(PATH, DOCUMENT)
    assert target.read_text() == "theirs"


@pytest.mark.parametrize("kind", ["pipe", "link", "directory"])
def test_something_else_in_place_of_the_lock_file(root: Path, above: Path, kind: str) -> None:
    """A named pipe hangs nobody, a link is not followed."""
    lock = root / ".lock"
    {"pipe": lambda: os.mkfifo(lock), "link": lambda: lock.symlink_to(above / "made"), "directory": lock.mkdir}[kind]()
    begin = time.monotonic()
    with pytest.raises(AsyncJobError, match=r"\.lock"):
        opened(root).write(PATH, DOCUMENT)
    assert time.monotonic() - begin < 10
    assert not (above / "made").exists()


@as_root
def test_a_lock_file_of_somebody_else(root: Path) -> None:
    """Refused, and its mode stays. One of the owner of the directory is as good as ours."""
    lock = root / ".lock"
    lock.touch()
    lock.chmod(0o666)
    os.chown(lock, BOB, TEAM)
    with pytest.raises(AsyncJobError, match=f"belongs to another user .uid {BOB}"):
        opened(root).write(PATH, DOCUMENT)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o666
    os.chown(root, BOB, TEAM)
    opened(root).write(PATH, DOCUMENT)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o666


def test_leftovers_that_cannot_be_removed(root: Path) -> None:
    """A directory with such a name is no reason to keep the others."""
    playbook = root / "host1" / "play"
    playbook.mkdir(parents=True)
    old = time.time() - 86400
    (playbook / ".tmp-directory").mkdir()
    for number in range(20):
        (playbook / f".tmp-{number}").touch()
    for leftover in playbook.iterdir():
        os.utime(leftover, (old, old))
    FilesystemStore(str(root)).write(PATH, DOCUMENT)
    assert sorted(file.name for file in playbook.iterdir()) == [".tmp-directory", "job.json"]


def test_few_looks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each directory on the way down, and a few for links, however long the run is."""
    asked = []
    real = os.stat

    def counted(path: str, **kwargs: bool) -> os.stat_result:
        asked.append(path)
        return real(path, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(directories.os, "stat", counted)
        opened(root)
    assert len(asked) <= len(root.parts) + 2
