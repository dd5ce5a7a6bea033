# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file with which a host notes the last attempt of a job, in real directories, with processes that race."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from attempts import to_make

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import job_file, noting
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import JOBS, folder_of, hash_of_host, name_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.make_directory import make_directory
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.noted import main
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_id

KEY = "host1/play/job.json"
Answer = dict[str, t.Any]


def start(above: Path, number: int, *known: int, key: str = KEY, **more: t.Any) -> Answer:
    """Make the directory of an attempt whose start knows of these others."""
    return make_directory(to_make(path_of(above, number), key, **{"known": [path_of(above, other) for other in known], **more}))


def path_of(above: Path, number: int) -> str:
    """Return the directory of an attempt."""
    return f"{above}/{number:032x}"


def found(above: Path, answer: Answer) -> int:
    """Return the attempt that was found."""
    said = answer["found"]
    assert Path(said["path"]).read_text() == said["content"]
    return attempt_in(said["content"])


def attempt_in(content: str) -> int:
    """Return the attempt that a file names."""
    return int(os.path.basename(json.loads(content)["attempt_dir"]), 16)


def files(above: Path) -> list[str]:
    """Return all files of jobs."""
    return [path.name for path in sorted(above.glob(f"{JOBS}*/*/*"))]


MADE = {"found": None, "problem": "", "warning": "", "boot_id": boot_id()}


def test_one_after_the_other(tmp_path: Path) -> None:
    """Whoever knows the last attempt makes the next; whoever does not is told of it, and makes nothing."""
    assert start(tmp_path, 1) == MADE
    assert found(tmp_path, start(tmp_path, 2)) == 1
    assert not Path(path_of(tmp_path, 2)).exists()
    assert start(tmp_path, 3, 1) == MADE
    assert found(tmp_path, start(tmp_path, 4, 1)) == 3
    assert files(tmp_path) == [f"{name_of(KEY)}.2"]
    assert [path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_dir()] == [0o700] * 4
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o600}


def test_one_that_was_fenced(tmp_path: Path) -> None:
    """It never begins, so nobody has to know it. One whose directory is gone may have been removed by anybody."""
    assert start(tmp_path, 1) == MADE
    directory = Path(path_of(tmp_path, 1))
    (directory / "attempt.json").unlink()
    directory.rmdir()
    assert found(tmp_path, start(tmp_path, 2)) == 1
    directory.symlink_to("/etc/passwd")
    assert found(tmp_path, start(tmp_path, 2)) == 1
    directory.unlink()
    directory.touch()
    assert start(tmp_path, 2) == MADE


def test_a_repeated_request(tmp_path: Path) -> None:
    """It finds its own attempt, and then its directory."""
    assert start(tmp_path, 1) == MADE
    assert start(tmp_path, 1) == {**MADE, "problem": "File exists"}
    assert found(tmp_path, start(tmp_path, 2)) == 1


def test_other_hosts_of_the_inventory(tmp_path: Path) -> None:
    """Another name of the machine is another job, if the inventory has it; else somebody has given the host another name."""
    assert start(tmp_path, 1) == MADE
    assert found(tmp_path, start(tmp_path, 2, key="host2/play/job.json")) == 1
    others = [hash_of_host("host1")]
    assert start(tmp_path, 2, key="host2/play/job.json", others=others) == MADE
    assert len(files(tmp_path)) == 2
    assert start(tmp_path, 3, key="host1/play/other.json") == MADE
    # A job whose task names its host is alone with its name.
    assert start(tmp_path, 4, key="host3/play/job.json", is_direct=False) == MADE
    assert found(tmp_path, start(tmp_path, 5, key="host3/play/job.json", is_direct=False)) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"attempt_dir": "/etc"}', '{"attempt_dir": 1}', '{"attempt_dir": "%s"}', "[" * 70])
def test_what_is_no_such_file(tmp_path: Path, content: str) -> None:
    """Nobody takes it for nothing. Whoever knows of it may replace it."""
    assert start(tmp_path, 1) == MADE
    file = tmp_path / f"{JOBS}{os.geteuid()}" / folder_of(KEY, is_direct=True) / f"{name_of(KEY)}.1"
    file.write_text(content % path_of(tmp_path / "elsewhere", 1) if "%" in content else content)
    answer = start(tmp_path, 2, 1)
    assert answer["found"] == {"path": str(file), "content": "", "problem": "is not the file of a job"}
    assert start(tmp_path, 2, 1, known=[str(file)]) == MADE


def test_links_and_other_users(tmp_path: Path) -> None:
    """They lead nobody away."""
    jobs = tmp_path / f"{JOBS}{os.geteuid()}"
    jobs.symlink_to(tmp_path.parent)
    assert start(tmp_path, 1)["problem"]
    jobs.unlink()
    jobs.mkdir(0o777)
    jobs.chmod(0o777)
    assert "belongs to another user" in start(tmp_path, 1)["problem"]
    jobs.chmod(0o700)
    assert start(tmp_path, 1) == MADE
    file = jobs / folder_of(KEY, is_direct=True) / f"{name_of(KEY)}.1"
    file.rename(tmp_path / "moved")
    file.symlink_to(tmp_path / "moved")
    assert start(tmp_path, 2, 1)["found"]["problem"]
    file.unlink()
    os.mkfifo(file)
    assert start(tmp_path, 2, 1)["found"]["problem"] == "is not the file of a job"
    (tmp_path.parent / "link").symlink_to(tmp_path)
    assert start(tmp_path.parent / "link", 3)["problem"]


@pytest.mark.parametrize("works_itself", [True, False])
def test_a_fence_of_an_action_that_does_its_work_itself(tmp_path: Path, works_itself: bool) -> None:
    """That nothing can start in the directory any more proves something only of what starts there."""
    claim = {"own_work": "wait_for"} if works_itself else {}
    content = json.dumps({"attempt_dir": path_of(tmp_path, 1), "claim": claim})
    assert start(tmp_path, 1, content=content) == MADE
    Path(path_of(tmp_path, 1), "attempt.json").unlink()
    Path(path_of(tmp_path, 1)).rmdir()
    Path(path_of(tmp_path, 1)).write_text("")
    answer = start(tmp_path, 2)
    assert found(tmp_path, answer) == 1 if works_itself else answer == MADE
    Path(path_of(tmp_path, 1)).chmod(job_file.NEVER_BEGAN)
    assert start(tmp_path, 3, 2) == MADE


@pytest.mark.parametrize("last", [1, 2])
def test_numbers_that_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """While one is about to publish its file, the host forgets the job, and another one begins with the first number: it has won. That may
    be the number that the file had which the first one knows."""
    assert start(tmp_path, 1) == MADE
    assert last == 1 or start(tmp_path, 2, 1) == MADE
    really = noting._link

    def late(temporary: str, name: str, folder: int) -> None:
        monkeypatch.setattr(noting, "_link", really)
        parent = os.open(tmp_path, os.O_RDONLY)
        assert job_file.forget(parent, str(tmp_path), KEY, [path_of(tmp_path, last)])
        os.close(parent)
        assert start(tmp_path, 9) == MADE
        really(temporary, name, folder)

    monkeypatch.setattr(noting, "_link", late)
    assert found(tmp_path, start(tmp_path, 3, 1, 2)) == 9
    assert files(tmp_path) == [f"{name_of(KEY)}.1"]
    assert not Path(path_of(tmp_path, 3)).exists()


def test_a_number_that_somebody_else_has_by_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives way removes its own file. Meanwhile the host has forgotten the job, and another attempt has got that number."""
    others = {"others": [hash_of_host("host2")]}
    assert start(tmp_path, 8, key="host2/play/job.json") == MADE  # so that their folder stays
    really = noting._is_last

    def frozen(*args: t.Any) -> bool:
        monkeypatch.setattr(noting, "_is_last", really)
        Path(path_of(tmp_path, 1)).touch(job_file.NEVER_BEGAN)
        assert start(tmp_path, 2, **others) == MADE
        parent = os.open(tmp_path, os.O_RDONLY)
        assert job_file.forget(parent, str(tmp_path), KEY, [path_of(tmp_path, 2)])
        os.close(parent)
        assert start(tmp_path, 3, **others) == MADE
        return really(*args)

    monkeypatch.setattr(noting, "_is_last", frozen)
    assert found(tmp_path, start(tmp_path, 1, **others)) == 3
    assert found(tmp_path, start(tmp_path, 4, **others)) == 3


def test_what_was_replaced_since_it_was_listed(tmp_path: Path) -> None:
    """Whoever removes it now would remove another one."""
    assert start(tmp_path, 1) == MADE
    [file] = tmp_path.glob(f"{JOBS}*/*/*")
    folder = os.open(file.parent, os.O_RDONLY)
    listed = job_file.files_in(folder)
    content = file.read_text()
    (file.parent / "new").write_text(content)
    os.replace(file.parent / "new", file)
    job_file.tidy(folder, listed)
    assert files(tmp_path) == [file.name]
    job_file.tidy(folder, job_file.files_in(folder))
    os.close(folder)
    assert files(tmp_path) == []


def test_what_a_crash_has_left(tmp_path: Path) -> None:
    """Whoever has won died before it removed the file that it has replaced: that is no matter, whoever knows what."""
    assert start(tmp_path, 1) == MADE
    [file] = tmp_path.glob(f"{JOBS}*/*/*")
    content = file.read_text()
    assert start(tmp_path, 2, 1) == MADE
    file.write_text(content)
    assert start(tmp_path, 3, 2) == MADE
    assert files(tmp_path) == [f"{name_of(KEY)}.3"]


def test_what_is_not_read(tmp_path: Path) -> None:
    """It is said what is wrong, and nothing of it is used: a pipe, which would hang, and what is too long."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_text(" " * (job_file.MOST + 1))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in ("pipe", "long"):
            assert job_file.read(folder, name, "path") == ("path", "", "is not the file of a job")
    finally:
        os.close(folder)


def test_whoever_gives_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has noted its attempt, and while it looks whether it is alone, another one is withdrawn; then there is a third."""
    really, looks = noting._first_unknown, iter(range(9))

    def first_unknown(*args: t.Any) -> job_file.Found | None:
        look = next(looks)
        if look == 1:
            raise FileNotFoundError
        return job_file.Found("path", "content") if look == 2 else really(*args)

    monkeypatch.setattr(noting, "_first_unknown", first_unknown)
    assert start(tmp_path, 1)["found"]["content"] == "content"
    assert files(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which only root can do")
def test_files_of_other_users(tmp_path: Path) -> None:
    """Nobody else says what was started, nor that it never begins."""
    start(tmp_path, 1)
    [file] = tmp_path.glob(f"{JOBS}*/*/*")
    shutil.rmtree(path_of(tmp_path, 1))
    fence = Path(path_of(tmp_path, 1))
    fence.write_text("")
    os.chown(fence, 65534, -1)
    assert found(tmp_path, start(tmp_path, 2)) == 1
    os.chown(file, 65534, -1)
    assert start(tmp_path, 2)["found"]["problem"] == "is not the file of a job"
    os.chown(file, 0, -1)
    os.chown(fence, 0, -1)
    assert start(tmp_path, 2) == MADE


def test_a_directory_by_its_name(tmp_path: Path) -> None:
    """It is said to be none, by a start and to whoever reads all, and stays open for nobody."""
    start(tmp_path, 1)
    [file] = tmp_path.glob(f"{JOBS}*/*/*")
    file.unlink()
    file.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    assert start(tmp_path, 2)["found"]["problem"] == "is not the file of a job"
    assert [one["problem"] for one in main(str(tmp_path))["noted"]] == ["is not the file of a job"]
    assert len(os.listdir("/proc/self/fd")) == before
    assert start(tmp_path, 3, key="host1/play/other.json") == MADE
    file.parent.chmod(0o777)
    noted = main(str(tmp_path))["noted"]
    assert sorted(bool(one["problem"]) for one in noted) == [False, True], noted


def test_a_file_that_goes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody forgets the job in the moment in which it is noted: then it is noted once more, before its directory is made."""
    publish, lost = noting._publish, []

    def published(folder: int, name: str, content: str) -> bool:
        done = publish(folder, name, content)
        if not lost:
            lost.append(name)
            os.unlink(name, dir_fd=folder)
        return done

    monkeypatch.setattr(noting, "_publish", published)
    assert start(tmp_path, 1) == MADE
    assert files(tmp_path) == lost
    assert found(tmp_path, start(tmp_path, 2)) == 1


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt is made as ever, and it is said that nobody else would find it."""

    def refuse(*_args: t.Any, **_kwargs: t.Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    answer = start(tmp_path, 1)
    assert (answer["found"], answer["problem"]) == (None, "")
    assert "no hard links" in answer["warning"]
    assert Path(path_of(tmp_path, 1)).is_dir()


def test_where_nothing_can_be_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is not permitted is no lack of hard links, and nothing begins unnoted."""
    really = os.open

    def refuse(path: t.Any, *args: t.Any, **kwargs: t.Any) -> int:
        if str(path).endswith(".tmp"):
            raise PermissionError(1, "Operation not permitted")
        return really(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    answer = start(tmp_path, 1)
    assert (answer["found"], answer["problem"], answer["warning"]) == (None, "Operation not permitted", "")
    assert not Path(path_of(tmp_path, 1)).exists()


def test_forget(tmp_path: Path) -> None:
    """What names another attempt stays, and so do the other hosts."""
    start(tmp_path, 1)
    start(tmp_path, 2, key="host2/play/job.json", others=[hash_of_host("host1")])
    noted = sorted(json.loads(one["content"])["attempt_dir"] for one in main(str(tmp_path))["noted"])
    assert noted == [path_of(tmp_path, number) for number in (1, 2)]
    with job_file.opened(str(tmp_path)) as parent:
        assert job_file.forget(parent, str(tmp_path), KEY, [path_of(tmp_path, 3)]) == []
        assert len(job_file.forget(parent, str(tmp_path), KEY, [path_of(tmp_path, 1)])) == 1
        assert files(tmp_path) == [f"{name_of('host2/play/job.json')}.1"]
        assert len(job_file.forget(parent, str(tmp_path), "host2/play/job.json", [path_of(tmp_path, 2)])) == 1
        assert list(tmp_path.glob(f"{JOBS}*")) == []
        assert job_file.forget(parent, str(tmp_path), KEY, [path_of(tmp_path, 1)]) == []
        assert main(str(tmp_path)) == {"noted": [], "removed": []}


def _race(above: Path, number: int, known: int, names: int, barrier: t.Any, answers: t.Any) -> None:
    barrier.wait()
    answers.put((number, start(above, number, known, key=f"host{number % names}/play/job.json")))


@pytest.mark.parametrize(("first", "names"), [(False, 1), (True, 1), (False, 4), (True, 4)])
def test_at_the_same_moment(tmp_path: Path, first: bool, names: int) -> None:
    """Of many that know the last attempt, or that there is none, one makes the next, and all others are told of that one. That goes for
    names of the host as well that are in different inventories."""
    racers = 8
    if first:
        start(tmp_path, 1, key="host0/play/job.json")
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(racers), context.Queue()
    processes = [context.Process(target=_race, args=(tmp_path, 8 + number, 1, names, barrier, answers)) for number in range(racers)]
    for process in processes:
        process.start()
    said = dict(answers.get(timeout=60) for _racer in range(racers))
    for process in processes:
        process.join()
    made = [number for number, answer in said.items() if answer == MADE]
    assert len(made) == 1
    told = {attempt_in(answer["found"]["content"]) for number, answer in said.items() if number not in made}
    # With several names, one may be noted that gives way to another one. On a busy machine, that takes longer than others wait.
    assert told == set(made) or (names > 1 and told <= set(range(8, 8 + racers)))
    assert {attempt_in(one["content"]) for one in main(str(tmp_path))["noted"]} - {1} == set(made)
    assert {int(path.name, 16) for path in tmp_path.glob("[0-9a-f]*") if path.is_dir()} - {1} == set(made)
    assert len(files(tmp_path)) == 1 or (first and names > 1 and len(files(tmp_path)) == 2)
