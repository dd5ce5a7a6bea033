# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cancel says in the directory of an attempt, for whoever looks meanwhile, and after it was interrupted."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import typing as t
from pathlib import Path

import pytest
from store_contract import small_disk

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import results_file
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_directory import Cancelling, cancelling
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import CANCEL, MARK, mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import Host
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.cancel import _announced, _note
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import Look, _cancelling, look_at_jobs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import Directory, Refused, directory_of

ANN = {"who": "ann@one", "time": "2026-02-01T03:12:09Z", "reason": ""}
BOB = {"who": "bob@two", "time": "2026-02-01T03:12:19Z", "reason": ""}
KEY = "h/p/j.json"


def made(above: Path) -> Job:
    """Return a job with the directory of its attempt."""
    directory = above / ("0123456789abcdef" * 2)
    directory.mkdir(mode=0o700)
    (directory / MARK).write_text(mark(KEY, directory.name) + "\n")
    return Job("j1.1", "job", str(directory), exclusive=True, key=KEY, attempt=directory.name)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job with the directory of its attempt."""
    return made(tmp_path)


def said(job: Job) -> Cancelling | None:
    with directory_of(job.directory) as directory:
        return cancelling(directory)


def leave(job: Job, *, signalled: bool) -> None:
    """Be somebody whose cancel was killed."""
    left = Cancelling(ANN, 99999999, 1.0, "", signalled=signalled)
    (Path(job.directory) / CANCEL).write_text(json.dumps(left._asdict()))


def interrupt_after(begin: t.Callable[[], None]) -> t.NoReturn:
    begin()
    raise KeyboardInterrupt


def of(found: Cancelling | None) -> t.Any:
    return found and (found.by["who"], found.signalled)


def test_one_after_the_other(job: Job) -> None:
    """First that it is about to be stopped, then that it gets signals, in the end nothing any more."""
    with _announced(job, BOB) as (begin, done):
        assert of(said(job)) == ("bob@two", False)
        begin()
        assert of(said(job)) == ("bob@two", True)
        done(noted=True)
    assert said(job) is None


def test_interrupted(job: Job) -> None:
    """What comes of signals is a cancel, so it stays said. Without one, nothing has happened."""
    with pytest.raises(KeyboardInterrupt), _announced(job, BOB):
        raise KeyboardInterrupt
    assert said(job) is None
    with pytest.raises(KeyboardInterrupt), _announced(job, BOB) as (begin, _done):
        interrupt_after(begin)
    assert of(said(job)) == ("bob@two", True)


def test_what_has_ended(job: Job) -> None:
    """What it has left behind gets signals. How it has ended, stands, whoever looks meanwhile, and if that is interrupted."""
    with _announced(job, BOB, has_ended=True) as (begin, done):
        begin()
        found = said(job)
        assert of(found) == ("bob@two", False)
        done()
    ended = Look("failed", "it has failed", "/f", {"rc": 1}, [], 1.0, "2026-02-01T03:12:09Z", "", None, "j1.1")
    host = Host(scan())
    for pid in (os.getpid(), 99999999):  # somebody who is at it, and somebody who was killed
        assert found is not None
        assert _cancelling(job, ended, found._replace(pid=pid), host) == ended


@pytest.mark.parametrize("signalled", [True, False])
def test_after_another_one_that_was_killed(job: Job, signalled: bool) -> None:
    """The signals of the first are not forgotten by a second one that sends none: whatever the job has ended of, it was cancelled."""
    leave(job, signalled=signalled)
    with _announced(job, BOB):
        assert of(said(job)) == ("bob@two", signalled)
    assert of(said(job)) == (("ann@one", True) if signalled else None)
    with _announced(job, BOB, has_ended=True) as (begin, done):  # and the second stops what is left of it
        begin()
        assert of(said(job)) == ("bob@two", signalled)
        done()
    assert of(said(job)) == (("ann@one", True) if signalled else None)
    leave(job, signalled=signalled)
    with _announced(job, BOB) as (begin, done):
        begin()
        done(noted=True)
    assert said(job) is None


def test_not_noted(job: Job) -> None:
    """Where the end of it cannot be noted, what was said stands in for that."""
    with _announced(job, BOB) as (begin, _done):
        begin()
    assert of(said(job)) == ("bob@two", True)


@pytest.mark.parametrize("before", [None, False, True])
def test_no_room(job: Job, before: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be written, the mode of the mark says that somebody has sent signals."""
    if before is not None:
        leave(job, signalled=before)

    def full(*_args: t.Any, **_how: t.Any) -> t.NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(Directory, "replace", full)
        with _announced(job, BOB):
            assert of(said(job)) == (None if before is None else ("ann@one", before))
        if before is False:
            leave(job, signalled=False)
        with _announced(job, BOB) as (begin, _done):
            begin()
            assert of(said(job)) == ("ann@one" if before else "somebody", True)
            begin()
    with _announced(job, BOB) as (begin, done):
        assert of(said(job)) == ("bob@two", True)
        begin()
        done(noted=True)
    assert said(job) is None  # nor does the mode say so any more
    assert (Path(job.directory) / MARK).stat().st_mode & 0o777 == 0o600
    assert (Path(job.directory) / MARK).read_text() == mark(KEY, Path(job.directory).name) + "\n"


def test_no_inode(tmp_path: Path) -> None:
    """Not even an empty file can be made."""
    with small_disk(tmp_path / "disk", size="1m,nr_inodes=4"):
        job = made(tmp_path / "disk")
        (Path(job.directory) / "j1.1").write_text(json.dumps({"started": 1, "finished": 0, "ansible_job_id": "j1.1"}))
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "disk" / "more").touch()
        with _announced(job, BOB) as (begin, _done):
            begin()
            assert not _note(job, "cancelled", BOB)
        [look] = look_at_jobs([job], settling=0)
        assert (look.status, look.cancelled and look.cancelled["who"]) == ("cancelled", "somebody")


class At(t.NamedTuple):
    """Somebody else who is at it, in another process."""

    go: t.Callable[[], None]
    die: t.Callable[[], None]


@contextlib.contextmanager
def somebody_else(job: Job) -> t.Iterator[At]:
    """Ann begins to cancel the job, sends signals when told to, and does not come to the end of it before this context ends."""
    told, tell = os.pipe()
    heard, hear = os.pipe()
    pid = os.fork()
    if not pid:
        with _announced(job, ANN) as (begin, _done):
            os.write(hear, b"1")
            os.read(told, 1)
            begin()
            os.write(hear, b"1")
            os.read(told, 1)
            os._exit(0)

    def go() -> None:
        os.write(tell, b"1")
        os.read(heard, 1)

    dead: list[int] = []

    def die() -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        dead.append(pid)

    try:
        os.read(heard, 1)
        yield At(go, die)
    finally:
        if not dead:
            die()
        for descriptor in (told, tell, heard, hear):
            os.close(descriptor)


@pytest.mark.parametrize("code", [0, -15])
@pytest.mark.parametrize("before", [True, False])
def test_two_at_once(job: Job, before: bool, code: int) -> None:
    """One has sent signals, and is about to note the end; the other came too late to send any, and is through first."""
    with somebody_else(job) as ann:
        if before:
            ann.go()
        with _announced(job, BOB) as (begin, done):
            if not before:
                ann.go()
            begin()
            (Path(job.directory) / "j1.1").write_text(json.dumps({"rc": code}))
            done()
        assert of(said(job)) == ("ann@one", True)
        [look] = look_at_jobs([job], settling=0)
        assert (look.status, look.reason.split(" by ")[0]) == ("running", "job is being cancelled")


@pytest.mark.parametrize("begins", [True, False])
def test_one_who_is_killed_beside_another(job: Job, begins: bool) -> None:
    """Its signals count, if the other one sends none."""
    with somebody_else(job) as ann:
        ann.go()
        with _announced(job, BOB) as (begin, done):
            ann.die()
            if begins:
                begin()
            (Path(job.directory) / "j1.1").write_text(json.dumps({"rc": -15}))
            done()
    [look] = look_at_jobs([job], settling=0)
    assert (look.status, look.cancelled) == ("cancelled", ANN)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o700, 0o755])
def test_a_mode_that_is_no_word(job: Job, mode: int) -> None:
    """Whoever makes a directory private, or does not, says nothing of a cancel."""
    (Path(job.directory) / MARK).chmod(mode)
    assert said(job) is None


def test_one_who_only_was_about_to(job: Job) -> None:
    """Whoever comes second, and sends nothing, leaves alone what the first one says, before its signals and after them."""
    with somebody_else(job) as ann:
        with _announced(job, BOB):
            assert of(said(job)) == ("ann@one", False)
            ann.go()
            assert of(said(job)) == ("ann@one", True)
        assert of(said(job)) == ("ann@one", True)


@pytest.mark.parametrize("code", [0, -15])
def test_a_look_between_two_files(job: Job, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is noted, and what was said taken back, while somebody looks."""
    path = Path(job.directory) / "j1.1"
    path.write_text(json.dumps({"rc": code}))
    leave(job, signalled=True)
    found: list[t.Any] = []

    def seen(directory: Directory) -> Cancelling | None:
        found.append(cancelling(directory))
        if len(found) == 2:
            assert _note(job, "was cancelled", BOB)
            directory.unlink(CANCEL)
            found[-1] = cancelling(directory)
        return t.cast("Cancelling | None", found[-1])

    monkeypatch.setattr(results_file, "cancelling", seen)
    [look] = look_at_jobs([job], settling=0)
    assert [look.status, look.cancelled, *map(of, found)] == ["cancelled", BOB, ("ann@one", True), None]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "null",
        '{"by": 1}',
        json.dumps([ANN]),
        json.dumps({"by": ANN}),
        json.dumps([ANN, "1", 1.0, 7, True]),
        json.dumps(Cancelling(ANN, "1", 1.0, 7, True)._asdict()),
        "\0",
    ],
)
def test_odd(job: Job, content: str) -> None:
    """It says neither that there is a cancel, nor that there is none."""
    (Path(job.directory) / CANCEL).write_text(content)
    with pytest.raises(Refused):
        said(job)


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_no_file(job: Job, kind: str) -> None:
    """Nor does that. Nothing is written through a link."""
    path = Path(job.directory) / CANCEL
    foreign = path.with_name("foreign")
    foreign.write_text("foreign")
    {"link": lambda: path.symlink_to(foreign), "pipe": lambda: os.mkfifo(path), "directory": path.mkdir}[kind]()
    with pytest.raises(Refused):
        said(job)
    with _announced(job, BOB) as (begin, _done):
        begin()
    assert foreign.read_text() == "foreign"
    if kind == "directory":
        with pytest.raises(Refused):
            said(job)
    else:
        assert of(said(job)) == ("bob@two", True)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"rc": 0}, "succeeded"),
        ({"rc": 1}, "unknown"),
        ({"rc": -15}, "unknown"),
        (None, "unknown"),
        ({"msg": "no", "cancelled": BOB}, "cancelled"),
    ],
)
def test_a_job_whose_cancel_cannot_be_read(job: Job, result: dict[str, t.Any] | None, status: str) -> None:
    """How it has ended, only its success tells, and what says that it was cancelled."""
    (Path(job.directory) / CANCEL).write_text("odd")
    content = {"started": 1, "finished": 0, "ansible_job_id": "j1.1"} if result is None else result
    (Path(job.directory) / "j1.1").write_text(json.dumps(content))
    [look] = look_at_jobs([job], settling=0)
    assert look.status == status
    assert status != "unknown" or "the file 'cancel', which says who has cancelled it, is odd" in look.reason


def test_odd_is_kept(job: Job) -> None:
    """Whoever sends nothing leaves it as it is."""
    (Path(job.directory) / CANCEL).write_text("{")
    with _announced(job, BOB) as (_begin, done):
        done()
    with pytest.raises(Refused):
        said(job)
