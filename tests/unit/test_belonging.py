# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes are to a job, at moments that nobody can bring about at will."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import cancel as cancelling
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import Host, _told, roles_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import look_at_jobs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import (
    Process,
    _parse_ps,
    _text,
    boot_id,
    boot_time,
    environment_of,
    find_process,
    may_write,
    scan,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import read_results

JOB = Job("j7.9", "job", "/tmp")
WRAPPER = ["python3", "/tmp/async_wrapper.py", "j7", "600", "/tmp/AnsiballZ_command.py", "_"]


@pytest.mark.parametrize("group", [12, 10], ids=["leads its group", "does not lead one yet"])
@pytest.mark.parametrize("watched", [True, False])
def test_wrappers(group: int, watched: bool) -> None:
    """The watcher makes the runner lead a group, and may not have come to that. If it was killed before, nobody can tell."""
    watcher = Process(11, 1, 10, 10, 0, 1.0, WRAPPER)
    runner = Process(12, 11 if watched else 1, group, 10, 0, 1.1, WRAPPER)
    module = Process(13, 12, group, 10, 0, 1.2, ["python3", "/tmp/AnsiballZ_command.py"])
    there = {process.pid: process for process in ([watcher] if watched else []) + [runner, module]}
    roles = roles_of(there, JOB)
    assert roles[13] == "descendant"
    assert roles[12] == ("runner" if watched or group == 12 else "watcher")
    assert roles.get(11, "watcher") == "watcher"


def test_what_ps_prints() -> None:
    """Lines that are none, such as the rest of an argument, are passed over; and none takes the place of a process that was there."""
    lines = [
        "  7     1     7  1000 S       01:02 sleep 60",
        "  8     1     8  1000 S           - sleep 61",
        "  ٩     1     9  1000 S       01:02 sleep 62",
        "  7     1     7     0 S       01:02 something else",
        "and the rest of an argument",
        " 10     1    10     0 Z       01:02 defunct",
        " 11     1    11     0 S  2-03:04:05 sleep 63",
    ]
    found = _parse_ps("\n".join(lines))
    assert {pid: (process.uid, process.argv) for pid, process in found.items()} == {7: (1000, ["sleep", "60"]), 11: (0, ["sleep", "63"])}


def test_files_that_a_process_may_write_to(tmp_path: Path) -> None:
    """Whoever has them open for reading, does not."""
    file = tmp_path / "stdout"
    file.touch()
    status = file.stat()
    files = {(status.st_dev, status.st_ino)}
    for mode, found in (("rb", False), ("ab", True)):
        with file.open(mode) as opened, subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=opened) as process:
            assert may_write(process.pid, files) == found
            process.kill()
    assert not may_write(1 << 30, files)


def test_a_process_whose_first_thread_has_ended(tmp_path: Path) -> None:
    """Another one may still write."""
    program = (
        "import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nctypes.CDLL(None).pthread_exit(None)"
    )
    with (tmp_path / "stdout").open("ab") as opened:
        status = os.fstat(opened.fileno())
        with subprocess.Popen([sys.executable, "-c", program], stdout=opened) as process:
            until(lambda: Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z")
            try:
                assert may_write(process.pid, {(status.st_dev, status.st_ino)})
            finally:
                process.kill()


def test_what_a_process_says_of_itself_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "cmdline").write_bytes(b"x" * (1 << 20))
    assert len(_text(str(tmp_path / "cmdline"))) == 1 << 17


# --- Looks at files that nobody but their owner has written ------------------------------------------------------------


def looked_at(directory: Path, **about: t.Any) -> t.Any:
    [look] = look_at_jobs([Job("j7.9", "job 'j' on h", str(directory), **about)])
    return look


def test_a_module_that_says_it_has_not_failed(tmp_path: Path) -> None:
    """Its return code may be anything, as of a process that was killed by a signal."""
    (tmp_path / "j7.9").write_text('{"rc": -1, "failed": false, "changed": true}')
    assert looked_at(tmp_path).status == "succeeded"


@pytest.mark.skipif(os.geteuid() != 0, reason="whose job it is, only root may ask about")
def test_a_results_file_from_the_future(tmp_path: Path) -> None:
    """The clock was put right since. That it is newer than this boot proves nothing then."""
    (tmp_path / "j7.9").write_text('{"started": 1, "finished": 0, "ansible_job_id": "j7.9"}')
    now = time.time()
    for moment, status in ((now - 1, "killed"), (now + 3600, "lost"), (boot_time() - 3600, "lost")):
        os.utime(tmp_path / "j7.9", (moment, moment))
        assert looked_at(tmp_path, boot_id="another").status == status


def test_a_pipe_in_place_of_what_tells_a_directory(tmp_path: Path) -> None:
    """Whoever has it open for writing holds nobody up, and no other job has less of an answer."""
    os.mkfifo(tmp_path / ".async_job")
    writer = os.open(tmp_path / ".async_job", os.O_RDWR)
    try:
        look = looked_at(tmp_path, place={"directory": "0" * 32, "boot_id": boot_id(), "mount": "/nowhere"})
    finally:
        os.close(writer)
    assert look.status == "unknown"
    assert "not mounted" in look.reason


def test_whoever_looks_has_the_number_of_a_canceller_that_has_died(tmp_path: Path) -> None:
    """As in a small container. What got signals, and has ended, was cancelled all the same."""
    directory = tmp_path / ("a" * 32)
    directory.mkdir(mode=0o700)
    (directory / "j7.9").write_text('{"rc": -15, "failed": true}')
    by = {"who": "me", "time": "now", "reason": ""}
    said = {"by": by, "pid": os.getpid(), "start": 1.0, "boot_id": boot_id(), "signalled": True}
    (directory / "cancel").write_text(json.dumps(said))
    assert looked_at(directory, exclusive=True, attempt="a" * 32).status == "cancelled"


# --- A cancel that gives up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signalled", [True, False])
def test_a_cancel_that_gives_up(tmp_path: Path, signalled: bool) -> None:
    """What comes of the signals that were sent, is a cancel. If none was, nothing has happened."""
    directory = tmp_path / ("a" * 32)
    directory.mkdir(mode=0o700)
    job = Job("j7.9", "job", str(directory), exclusive=True, attempt="a" * 32)
    by = {"who": "me", "time": "now", "reason": ""}

    def give_up() -> None:
        with cancelling._announced(job, by) as (begin, _done):
            if signalled:
                begin()
            raise OSError("still there")

    with pytest.raises(OSError, match="still there"):
        give_up()
    assert (directory / "cancel").exists() == signalled


# --- How processes of an attempt are known ------------------------------------------------------------------------------

ATTEMPT, OTHER, SHARED = f"/a/{'a' * 32}", f"/a/{'b' * 32}", "/home/me/.ansible_async"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, [""]),
        ({"ASYNC_JOB_ATTEMPT_DIR": ATTEMPT}, [ATTEMPT]),
        ({"ANSIBLE_ASYNC_DIR": ATTEMPT}, [ATTEMPT]),
        ({"ASYNC_JOB_ATTEMPT_DIR": ATTEMPT, "ANSIBLE_ASYNC_DIR": ATTEMPT}, [ATTEMPT, ATTEMPT]),
        ({"ASYNC_JOB_ATTEMPT_DIR": ATTEMPT, "ANSIBLE_ASYNC_DIR": "~/.ansible_async", "HOME": "/home/me"}, [ATTEMPT, SHARED]),
        ({"ANSIBLE_ASYNC_DIR": "~", "HOME": "/home/me"}, ["/home/me"]),
        ({"ANSIBLE_ASYNC_DIR": "/x/~/y/"}, ["/x/~/y"]),
    ],
)
def test_what_a_process_was_told(environment: dict[str, str], told: list[str]) -> None:
    assert _told(environment) == told


@pytest.mark.parametrize(
    ("environment", "of_attempt", "of_other"),
    [
        ({"ASYNC_JOB_ATTEMPT_DIR": "{attempt}"}, True, False),
        ({"ANSIBLE_ASYNC_DIR": "{attempt}"}, True, False),  # started by a former release
        ({"ASYNC_JOB_ATTEMPT_DIR": "{attempt}", "ANSIBLE_ASYNC_DIR": "/tmp"}, True, False),  # a background task of Ansible, within the job
        ({"ASYNC_JOB_ATTEMPT_DIR": "{attempt}", "ANSIBLE_ASYNC_DIR": "{other}"}, True, True),  # a job of a former release, within the job
        ({"ASYNC_JOB_ATTEMPT_DIR": "/tmp", "ANSIBLE_ASYNC_DIR": "/tmp"}, False, False),
    ],
)
def test_what_an_attempt_has_left_behind(tmp_path: Path, environment: dict[str, str], of_attempt: bool, of_other: bool) -> None:
    """It is known by the directory of its attempt, under our name or under the one that former releases took from Ansible."""
    attempts = {"attempt": tmp_path / ("a" * 32), "other": tmp_path / ("b" * 32)}
    for directory in attempts.values():
        directory.mkdir(mode=0o700)
        (directory / "j7.9").write_text('{"rc": 1, "failed": true}')
    told = {name: value.format(**attempts) for name, value in environment.items()}
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **told}, start_new_session=True) as process:
        until(lambda: (environment_of(process.pid) or {}).items() >= told.items())
        looks = [looked_at(directory, exclusive=True, attempt=directory.name) for directory in attempts.values()]
        process.kill()
    assert [process.pid in [one["pid"] for one in look.processes] for look in looks] == [of_attempt, of_other]


def test_what_was_killed_needs_a_moment_to_go(tmp_path: Path) -> None:
    """A limit ends a module. Until that is gone, nobody takes it for one that the limit has not ended."""
    attempt = tmp_path / ("a" * 32)
    attempt.mkdir(mode=0o700)
    (attempt / "j7.9").write_text('{"msg": "Timeout exceeded", "child_pid": 8, "failed": true}')
    module = tmp_path / "AnsiballZ_async_job.py"
    module.write_text("import time; time.sleep(60)")
    with subprocess.Popen(
        [sys.executable, str(module)], env={**os.environ, "ASYNC_JOB_ATTEMPT_DIR": str(attempt)}, start_new_session=True
    ) as process:
        until(lambda: "ASYNC_JOB_ATTEMPT_DIR" in (environment_of(process.pid) or {}))
        dying = threading.Timer(1, process.kill)
        dying.start()
        assert looked_at(attempt, exclusive=True, attempt=attempt.name).status == "timed_out"
        assert process.poll() is not None
    dying.join()


def test_a_wrapper_that_is_about_to_end(tmp_path: Path) -> None:
    """It has let go of its arguments, and is in the table for a moment yet: it says nothing of when its session was made, or for whom."""
    launch = [sys.executable, "-c", "import os, subprocess; os.setsid(); print(subprocess.Popen(['sleep', '60'], stdout=2).pid)"]
    began = datetime.datetime.now(tz=None).isoformat(" ")
    environment = {**os.environ, "ANSIBLE_ASYNC_DIR": str(tmp_path)}
    pid = int(subprocess.run(launch, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout)
    try:
        until(lambda: scan().processes[pid].argv[0] == "sleep")
        table = scan()
        left = table.processes[pid]
        job = Job(f"j7.{left.sid - 3}", "job", str(tmp_path))
        (tmp_path / job.job_id).write_text(json.dumps({"rc": -9, "failed": True, "start": began}))
        ending = left._replace(pid=1 << 23, start=left.start - 3, argv=[])
        table.processes[ending.pid] = ending
        assert Host(table).orphans(job, read_results(job)) == ([left], [])
        runner = left._replace(argv=WRAPPER)
        table.processes[pid] = runner
        assert Host(table).members(runner) == {pid, ending.pid}
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_process_that_ends_while_it_is_looked_at() -> None:
    """It tells nothing of itself any more. That is not what clears its environment, and may be left of any job."""
    launch = [
        sys.executable,
        "-c",
        "import os, subprocess; os.setsid(); print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid)",
    ]
    pid = int(subprocess.run(launch, env={}, stdout=subprocess.PIPE, check=True).stdout)
    until(lambda: scan().processes[pid].argv[0] == "sleep")
    host = Host(scan())
    assert pid in [process.pid for process, _told in Host(host.table)._stray_processes()]
    os.kill(pid, signal.SIGKILL)
    until(lambda: find_process(pid) is None)
    assert pid not in [process.pid for process, _told in host._stray_processes()]
