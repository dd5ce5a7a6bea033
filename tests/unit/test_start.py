# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that starts the command of a job: what it makes, what it answers, and what Ansible and a look see of it."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from attempts import to_make
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import belonging
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import look as looking
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARKERS, mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.belonging import Host, role_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import JOBS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import Look, _look_at, look_at_jobs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look_and_output import look_with_output
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.node import DIRECTORY
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import Process, boot_id, environment_of, has_ended, scan
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import read_results
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._commands import checked_options, logged
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import program

Answer = dict[str, t.Any]
ATTEMPT = "0" * 32
KEY = "h/p/j.json"


class Started:
    """What has come of a start, and the job."""

    def __init__(
        self,
        directory: Path,
        options: Answer,
        *,
        limit: int = 60,
        module: bytes = b"",
        env: Answer | None = None,
        noted: Answer | None = None,
        python: t.Sequence[str] = (sys.executable, "-"),
    ) -> None:
        self.directory = directory
        about = {"options": checked_options(options, uses_shell=True), "directory": str(directory), "uses_shell": True}
        command = program("_host.command", {**about, "shell": "/bin/sh", "log": "", "facility": ""})
        text = program(
            "_host.start",
            {
                "attempt": to_make(str(directory), KEY, mark=mark(KEY, ATTEMPT), **(noted or {})),
                "job": "j7",
                "limit": limit,
                "module": (module or command).decode("ascii"),
            },
        )
        done = subprocess.run(
            [*python, f"{directory}/async_wrapper.py", "j7", str(limit)],
            input=text,
            env={**os.environ, **dict.fromkeys(MARKERS, str(directory)), **(env or {})},
            capture_output=True,
            check=True,
        )
        self.answer: Answer = json.loads(done.stdout)
        self.job = Job(
            self.answer["job_id"],
            "job 'j' on h",
            str(directory),
            boot_id=boot_id(),
            exclusive=True,
            attempt=ATTEMPT,
            key=KEY,
            stdout_file=f"{directory}/stdout",
            stderr_file=f"{directory}/stderr",
        )

    @property
    def result(self) -> Answer:
        """What the results file holds."""
        return t.cast("Answer", json.loads((self.directory / self.job.job_id).read_text()))

    def look(self) -> Look:
        [look] = look_at_jobs([self.job])
        return look

    def ended(self) -> Answer:
        """Wait until it has a result, and return that."""
        until(lambda: "started" not in self.result)
        return self.result

    def wrappers(self) -> tuple[Process, Process, Process]:
        """Return the runner, the watcher and the module."""
        host = Host(scan())
        runner, [watcher] = host.wrappers_of(self.job, read_results(self.job))
        assert runner is not None
        [module] = [process for process in host.table.processes.values() if process.ppid == runner.pid]
        return runner, watcher, module


@pytest.fixture
def attempt(tmp_path: Path) -> Path:
    return tmp_path.resolve() / ATTEMPT


def held(tmp_path: Path, then: str = "true") -> Answer:
    """Return the options of a command that waits until it may go on."""
    os.mkfifo(tmp_path / "go")
    return {"_raw_params": f"echo begun; cat {tmp_path}/go; {then}"}


def go_on(tmp_path: Path) -> None:
    (tmp_path / "go").write_text("")


def begun(started: Started) -> None:
    """Wait until the command has begun."""
    until(lambda: (started.directory / "stdout").exists() and (started.directory / "stdout").read_text())


def test_a_node_of_a_workflow(attempt: Path) -> None:
    """It gets files, which go with it. How its driver wants to read our answers, and of which tags, is nothing for it."""
    node = {"files": {"node.vars": "1"}, "environment": {"WHERE": f"{DIRECTORY}/node.vars"}, "removed": ["node.vars"]}
    options = checked_options({"argv": ["sh", "-c", 'cat "$WHERE"; env >&2', f"{DIRECTORY}/x"]}, uses_shell=False)
    about = {"options": options, "directory": str(attempt), "uses_shell": False, "shell": "/bin/sh", "log": "", "facility": ""}
    ours = {"ANSIBLE_STDOUT_CALLBACK": "rstyczynski.ansible.answers", "ANSIBLE_RUN_TAGS": "all", "ANSIBLE_SKIP_TAGS": ""}
    started = Started(attempt, {"_raw_params": "true"}, module=program("_host.node", {**about, "node": node}), env=ours)
    assert (started.ended()["rc"], started.result["cmd"][-1]) == (0, f"{attempt}/x")
    assert (attempt / "stdout").read_text() == "1"
    assert not (attempt / "node.vars").exists()
    names = {line.partition("=")[0] for line in (attempt / "stderr").read_text().splitlines()}
    assert "WHERE" in names
    assert names.isdisjoint(ours)


def test_it_is_a_background_job_of_ansible(tmp_path: Path, attempt: Path) -> None:
    """By all that Ansible and a look know of such a job: its files, its processes, their sessions and their environment."""
    started = Started(attempt, held(tmp_path, "env >&2; umask; exit 3"))
    job_id = started.answer["job_id"]
    assert started.answer == {"found": None, "problem": "", "warning": "", "boot_id": boot_id(), "job_id": job_id, "reason": ""}
    assert started.result == {"started": True, "finished": False, "ansible_job_id": job_id}
    begun(started)
    runner, watcher, module = started.wrappers()
    assert [role_of(process, started.job) for process in (runner, watcher, module)] == ["runner", "watcher", "descendant"]
    assert runner.pgid == module.pgid == runner.pid
    assert runner.sid == watcher.sid == module.sid
    assert runner.sid not in scan().processes
    assert watcher.ppid not in (os.getpid(), runner.pid)
    for process in (runner, watcher, module):
        told = environment_of(process.pid) or {}
        assert [told[name] for name in MARKERS] == [str(attempt)] * 2
        assert {Path(f"/proc/{process.pid}/fd/{number}").resolve() for number in (0, 1, 2)} == {Path(os.devnull)} or process is module
    look = started.look()
    assert look.status == "running"
    assert "watcher" not in look.reason
    assert {line["role"] for line in look.processes} == {"runner", "watcher", "descendant"}
    go_on(tmp_path)
    result = started.ended()
    assert (result["rc"], result["failed"], result["changed"], result["msg"]) == (3, True, True, "non-zero return code")
    assert (attempt / "stdout").read_text() == "begun\n0022\n"
    environment = (attempt / "stderr").read_text().splitlines()
    assert f"{MARKERS[0]}={attempt}" in environment
    assert not [line for line in environment if line.startswith(f"{MARKERS[1]}=")]
    until(lambda: not {runner.pid, watcher.pid, module.pid} & scan().processes.keys())
    assert started.look().status == "failed"
    assert {path.name: path.stat().st_mode & 0o777 for path in attempt.iterdir()} == dict.fromkeys(
        (job_id, "attempt.json", "stdout", "stderr", "result"), 0o600
    )
    assert attempt.stat().st_mode & 0o777 == 0o700


def test_the_time_limit_holds_to_the_second(tmp_path: Path, attempt: Path) -> None:
    """And ends all of the group."""
    begin = time.monotonic()
    started = Started(attempt, {"_raw_params": f"sleep 600.7 & echo $! >{tmp_path}/pid; exec sleep 600"}, limit=2)
    running = started.look()
    result = started.ended()
    assert 2 <= time.monotonic() - begin < 5  # Ansible's wrapper looks every five seconds, and waits for another one
    assert (result["msg"], result["failed"]) == ("Timeout exceeded", True)
    until(lambda: Host(scan()).wrappers_of(started.job, read_results(started.job)) == (None, []))
    look = started.look()
    assert look.status == "timed_out"
    assert 2 <= (look.elapsed or 0) < 5
    assert running.runner is not None
    started.job = started.job._replace(runner={**running.runner, "start": running.runner["start"] - 100})  # as if it had been seen earlier
    assert 102 <= (started.look().elapsed or 0) < 105
    started.job = started.job._replace(boot_id="another")
    assert started.look().elapsed == look.elapsed
    host = Host(scan())
    started.job = started.job._replace(place={"boot_id": boot_id(), "up": int(host.up) - 30})
    assert started.look().elapsed == look.elapsed
    for hours in (-1, 1):  # a clock that was set before the end, and one that was set back since
        os.utime(attempt / "attempt.json", (time.time() + 3600 * hours,) * 2)
        assert started.look().elapsed is None
    until(lambda: int((tmp_path / "pid").read_text()) not in scan().processes)


def test_a_runner_that_ends_while_somebody_looks(tmp_path: Path, attempt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes were listed before, and it is gone when they are judged: it is nothing that the job has left behind."""
    started = Started(attempt, held(tmp_path, "exit 3"))
    begun(started)
    runner, watcher, _module = started.wrappers()
    os.kill(watcher.pid, signal.SIGSTOP)
    try:
        host = Host(scan())
        go_on(tmp_path)
        started.ended()
        until(lambda: has_ended(runner))
        user_of = belonging.user_of_process
        monkeypatch.setattr(belonging, "user_of_process", lambda one: -1 if one.pid == runner.pid else user_of(one))  # as of what is reaped
        look = _look_at(started.job, host, last=True)
    finally:
        os.kill(watcher.pid, signal.SIGCONT)
    assert look is not None
    assert (look.status, look.reason) == ("failed", "job 'j' on h has failed with return code 3")


@pytest.mark.parametrize("full", [True, False])
def test_no_result_on_a_full_disk(attempt: Path, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """There may have been no room for one, and our own wrapper leaves none in part."""
    started = Started(attempt, {"_raw_params": "exec sleep 100"})
    until(lambda: started.look().status == "running" and len(started.look().processes) > 3)
    for pid in [process["pid"] for process in started.look().processes]:
        os.kill(pid, signal.SIGKILL)
    monkeypatch.setattr(looking, "_full", lambda _path: full)
    until(lambda: started.look().status == "killed")
    assert started.look().reason.endswith("; the disk is full") == full


def test_whoever_has_started_it_ignores_what_ends(attempt: Path) -> None:
    """Some daemons pass on that they do, and a command that has failed must not count as one that has succeeded."""
    ignores = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.executable, ['python', '-', *sys.argv[1:]])"
    )
    started = Started(attempt, {"_raw_params": "exit 3"}, python=[sys.executable, "-c", ignores])
    assert started.ended()["rc"] == 3


def test_what_has_just_ended_is_not_timed_out(attempt: Path) -> None:
    """Its result stays, if the time is over before the runner is gone."""
    module = b"import json, os, signal; print(json.dumps({'rc': 0})); os.kill(os.getppid(), signal.SIGSTOP)"
    started = Started(attempt, {"_raw_params": "true"}, limit=2, module=module + b"; raise SystemExit")
    runner, watcher = Host(scan()).wrappers_of(started.job, read_results(started.job))
    assert runner is not None
    (attempt / started.job.job_id).write_text('{"rc": 0}')
    until(lambda: watcher[0].pid not in scan().processes)
    assert started.result == {"rc": 0}


@pytest.mark.parametrize("there", ["a fence", "a directory", "a dangling link", "a link above", "nothing above"])
def test_there_is_something_by_its_name(tmp_path: Path, attempt: Path, there: str) -> None:
    """It is not made, nothing is started, and what is there stays as it is."""
    if there == "a fence":
        attempt.write_text("fence")
    elif there == "a directory":
        attempt.mkdir()
    elif there == "a dangling link":
        attempt.symlink_to(tmp_path / "elsewhere")
    elif there == "a link above":
        (tmp_path / "true").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "true")
        attempt = tmp_path / "link" / ATTEMPT
    else:
        attempt = tmp_path / "nothing" / ATTEMPT
    before = sorted(path for path in tmp_path.rglob("*"))
    started = Started(attempt, {"_raw_params": f"touch {tmp_path}/ran"})
    assert (started.answer["job_id"], started.answer["reason"]) == ("", "")
    assert started.answer["problem"]
    assert sorted(path for path in tmp_path.rglob("*") if JOBS not in str(path)) == before


def test_an_attempt_that_the_host_knows(tmp_path: Path, attempt: Path) -> None:
    """Another one of the job, and the start has not been told of it: it answers with that, and makes and starts nothing."""
    first = Started(attempt, {"_raw_params": "true"})
    first.ended()
    [file] = tmp_path.resolve().glob(f"{JOBS}*/*/*")
    other = attempt.parent / ("1" * 32)
    started = Started(other, {"_raw_params": f"touch {tmp_path}/ran"})
    content = json.dumps({"attempt_dir": str(attempt)})
    assert started.answer == {
        "found": {"path": str(file), "content": content, "problem": ""},
        "problem": "",
        "warning": "",
        "boot_id": boot_id(),
        "job_id": "",
        "reason": "",
    }
    assert not other.exists()
    Started(other, {"_raw_params": f"touch {tmp_path}/ran"}, noted={"known": [str(attempt)]}).ended()
    assert (tmp_path / "ran").exists()


def disturbed(how: str, attempt: Path, module: str) -> str:
    """Start a module, disturbed by something, and return what is said."""
    code = f"""
import os, time
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import start, wrapper
{how}
print(start.main({to_make(str(attempt))!r}, "j7", 60, {module!r}))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_a_fence_that_comes_between(tmp_path: Path, attempt: Path) -> None:
    """The runner cannot write its results file. It says so, and starts nothing."""
    how = """
make = start.make_directory
def make_and_fence(attempt):
    made, directory = make(attempt), attempt["attempt_dir"]
    os.unlink(directory + "/attempt.json")
    os.rmdir(directory)
    open(directory, "x").close()
    return made
start.make_directory = make_and_fence
"""
    said = disturbed(how, attempt, f"open({str(tmp_path / 'ran')!r}, 'x')")
    assert "'job_id': '', 'reason': \"[Errno 20] Not a directory" in said
    assert [path.name for path in tmp_path.iterdir() if JOBS not in path.name] == [ATTEMPT]


def test_nobody_hears_that_it_has_started(tmp_path: Path, attempt: Path) -> None:
    """Whoever has asked is gone. The results file promises a job, and so there is one."""
    how = """
launcher, put = os.getpid(), wrapper._put
def late_put(path, value):
    while os.path.exists(f"/proc/{launcher}"):
        time.sleep(0.05)
    put(path, value)
wrapper._put = late_put
wrapper.select.select = lambda *_files: os._exit(0)
"""
    assert disturbed(how, attempt, f"open({str(tmp_path / 'ran')!r}, 'x'); print('{{}}')") == ""
    until((tmp_path / "ran").exists)
    until(lambda: [path.read_text() for path in attempt.glob("j7.*")] == ["{}"])


def test_killed_processes(tmp_path: Path, attempt: Path) -> None:
    """Without its runner, the job goes on, and how it ends is recorded. Without its module, nobody waits for the command any more."""
    started = Started(attempt, held(tmp_path))
    begun(started)
    runner, watcher, _module = started.wrappers()
    os.kill(runner.pid, signal.SIGKILL)
    until(lambda: not {runner.pid, watcher.pid} & scan().processes.keys())
    look = started.look()
    assert (look.status, "how it ends will be recorded" in look.reason) == ("running", True)
    go_on(tmp_path)
    until((attempt / "result").exists)
    assert started.look().status == "succeeded"

    other = attempt.parent / "1" / ATTEMPT
    other.parent.mkdir()
    started = Started(other, held(other.parent))
    begun(started)
    _runner, _watcher, module = started.wrappers()
    os.kill(module.pid, signal.SIGKILL)
    assert "No start of json char found" in started.ended()["msg"]
    assert started.look().status == "orphaned"
    go_on(other.parent)
    until(lambda: started.look().status == "killed")

    third = attempt.parent / "2" / ATTEMPT
    third.parent.mkdir()
    started = Started(third, held(third.parent))
    begun(started)
    runner, watcher, _module = started.wrappers()
    os.kill(watcher.pid, signal.SIGKILL)
    os.killpg(runner.pid, signal.SIGKILL)
    until(lambda: started.look().status == "killed")
    elsewhere = started.job._replace(place={"machine_id": "another", "nodename": "another"})
    killed, unknown = (look_with_output([job], output="full", tail_size=0)[0] for job in (started.job, elsewhere))
    assert killed["result"] is None
    assert (killed["status"], killed["stdout"]) == ("killed", "begun")
    assert (unknown["status"], unknown["stdout"]) == ("unknown", "begun\n")


def test_what_a_module_says_beside_its_result(attempt: Path) -> None:
    """Warnings of an interpreter are none, and an exception is one."""
    code = b"import sys; sys.stderr.write('warning\\n'); print('noise {'); print('{\"rc\": 0}')"
    assert Started(attempt, {"_raw_params": "true"}, module=code).ended() == {"rc": 0}
    other = attempt.parent / "1" / ATTEMPT
    other.parent.mkdir()
    result = Started(other, {"_raw_params": "true"}, module=b"print('{}')\nraise OSError('no room')").ended()
    assert result["failed"]
    assert "No start of json char found" in result["msg"]
    assert result["data"].endswith("OSError: no room\n")


def test_the_options_of_a_command(tmp_path: Path, attempt: Path) -> None:
    """Paths are those of the host: it has its own ~ and its own variables. Its locale is one that there is."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    environment = {"HOME": home, "LANG": "xx_YY.UTF-8", "LC_ALL": "", "PLACE": str(tmp_path)}
    options = {
        "_raw_params": 'pwd; read line; echo "$line"; echo $LC_ALL',
        "chdir": "~",
        "creates": "$PLACE/not there",
        "stdin": "é",
        "executable": "/bin/bash",
    }
    assert Started(attempt, options, env=environment).ended()["rc"] == 0
    directory, line, locale = (attempt / "stdout").read_text("utf-8").splitlines()
    assert (directory, line) == (os.path.realpath(home), "é")
    assert locale in ("C.utf8", "C.UTF-8", "en_US.utf8", "en_US.UTF-8", "C")
    other = attempt.parent / "1" / ATTEMPT
    other.parent.mkdir()
    skipped = Started(other, {"_raw_params": "exit 1", "creates": "$PLACE"}, env=environment).ended()
    assert (skipped["rc"], skipped["changed"]) == (0, False)
    assert (other / "stdout").read_text() == f"skipped, since {tmp_path} exists"


def test_what_the_log_of_the_host_says() -> None:
    """As much of a command as of a module of Ansible: no password of an address, nothing that it reads, and not all of a long one."""
    options = checked_options({"_raw_params": "curl https://me:secret@host/x", "stdin": "secret"}, uses_shell=True)
    said = logged(options)
    assert said.startswith("Invoked with _raw_params=curl https://me:********@host/x ")
    assert "secret" not in said
    assert len(logged({"_raw_params": "x" * 10_000})) == 2000
