# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of ``async_job``: their output while they run, and how they ended, whoever was killed."""

from __future__ import annotations

import json
import os
import resource
import signal
import typing as t
from pathlib import Path

from controller import Controller, Live
from plays import Yaml, ask, job, run_tasks, shell, told
from waiting import until

STATUS = "rstyczynski.ansible.async_job_status"
CANCEL = "rstyczynski.ansible.async_job_cancel"


def status(name: str = "job", **options: t.Any) -> Yaml:
    return {STATUS: {"job_name": name, **options}}


def printed(controller: Controller, text: str, name: str = "job") -> bool:
    """Whether the job has printed this by now."""
    file = directory(controller, name) / "stdout"
    return file.exists() and text in file.read_text("utf-8", "replace")


def playbook(controller: Controller, *tasks: Yaml) -> Path:
    return controller.write("live.yml", json.dumps([{"name": "test", "hosts": "all", "gather_facts": False, "tasks": tasks}]))


def directory(controller: Controller, name: str = "job") -> Path:
    return Path(controller.record(name)["attempt_dir"])


# --- The same as the module of Ansible ---------------------------------------------------------------------------------------

COMMANDS: list[tuple[str, str, Yaml]] = [
    ("succeeds", "shell", {"cmd": "echo out; echo err >&2"}),
    ("fails", "shell", {"cmd": "echo out; exit 3"}),
    ("kills itself", "shell", {"cmd": "kill -9 $$"}),
    ("argv", "command", {"argv": ["printf", "%s|", "a b", "$HOME", "~", "it's", '"'], "strip_empty_ends": False}),
    ("text of a command", "command", {"cmd": "printf %s| 'a b' $HOME ~ it\"'\"s"}),
    ("not expanded", "command", {"argv": ["echo", "$HOME", "~"], "expand_argument_vars": False}),
    ("stdin", "shell", {"cmd": "cat; wc -c", "stdin": "hello"}),
    ("stdin as it is", "command", {"cmd": "cat", "stdin": "hello\n\n", "stdin_add_newline": False, "strip_empty_ends": False}),
    ("no stdin", "command", {"cmd": "cat"}),
    ("chdir", "command", {"cmd": "pwd", "chdir": "/usr"}),
    ("creates", "command", {"cmd": "echo no", "creates": "/us*"}),
    ("creates nothing", "command", {"cmd": "echo yes", "creates": "/nowhere"}),
    ("removes", "command", {"cmd": "echo no", "removes": "/nowhere"}),
    ("removes something", "shell", {"cmd": "echo yes", "removes": "/usr"}),
    ("another shell", "shell", {"cmd": "echo ${BASH_VERSION:+bash}", "executable": "/bin/bash"}),
    ("list for a shell", "shell", {"argv": ["echo", "a b; echo c"]}),
    ("environment", "shell", {"cmd": "echo $GREETING; env | grep -c PYTHONPATH"}),
    ("several ends of lines", "command", {"argv": ["printf", "a\n\n\r\n\n"]}),
]


def test_commands_are_those_of_ansible(controller: Controller) -> None:
    """With whatever option: what is returned is what Ansible's own module returns."""
    native = [{f"ansible.builtin.{kind}": options} for _name, kind, options in COMMANDS]
    ours = [job({f"ansible.builtin.{kind}": options}, name=name, poll=1) for name, kind, options in COMMANDS]
    answers = ask(controller, *native, *ours, environment={"GREETING": "hello"})
    for number, (name, _kind, _options) in enumerate(COMMANDS):
        theirs, mine = answers[number], answers[number + len(COMMANDS)]
        for field in ("stdout", "stderr", "stdout_lines", "rc", "cmd", "failed", "changed"):
            assert mine[field] == theirs[field], (name, field)


WRONG: list[tuple[Yaml, str]] = [
    ({"ansible.builtin.command": {"cmd": "true", "chdri": "/"}}, "chdri"),
    ({"ansible.builtin.shell": {"cmd": "true", "expand_argument_vars": False}}, "expand_argument_vars"),
    ({"ansible.builtin.command": {"cmd": "true", "argv": ["true"]}}, "mutually exclusive"),
    ({"ansible.builtin.command": {"chdir": "/"}}, "one of the following is required"),
    ({"ansible.builtin.command": {"argv": []}}, "no command"),
]


def test_wrong_options_start_nothing(controller: Controller) -> None:
    answers = ask(controller, *(job(task, name=f"job{number}") for number, (task, _message) in enumerate(WRONG)))
    for (task, message), answer in zip(WRONG, answers, strict=True):
        assert answer["failed"], task
        assert message in answer["msg"], (task, answer["msg"])
        assert "Nothing was started" in answer["msg"], (task, answer["msg"])
    assert not controller.state_dir.exists()


CANNOT_BE_RUN: list[tuple[Yaml, int | None, str]] = [
    ({"ansible.builtin.command": "/nowhere/at/all"}, 2, "No such file"),
    ({"ansible.builtin.command": {"cmd": "true", "chdir": "/nowhere"}}, None, "change directory"),
    ({"ansible.builtin.command": "echo 'half"}, None, "quotation"),
    ({"ansible.builtin.command": "/usr"}, 13, "Permission denied"),
]


def test_commands_that_cannot_be_run(controller: Controller) -> None:
    answers = ask(controller, *(job(task, name=f"job{number}", poll=1) for number, (task, *_expected) in enumerate(CANNOT_BE_RUN)))
    for (task, code, message), answer in zip(CANNOT_BE_RUN, answers, strict=True):
        assert (answer["status"], answer["failed"], answer.get("rc")) == ("failed", True, code), task
        assert "return code 256" not in answer["reason"], task
        assert message in answer["msg"], (task, answer["msg"])


# --- Output ---------------------------------------------------------------------------------------------------------------


def test_output_of_a_running_job(controller: Controller) -> None:
    """The tail, what is new since the last look, and the line about progress; and then the end of it in the record."""
    command = "echo one; echo 'PROGRESS 1/3 first'; until [ -e go ]; do sleep 0.1; done; echo 'PROGRESS 3/3'; echo two; printf three"
    task = {"ansible.builtin.shell": {"cmd": command, "chdir": str(controller.project)}}
    ask(controller, job(task, limit=600))
    until(lambda: printed(controller, "first"))
    tail, new = ask(controller, status(), status(output="new"))
    assert (tail["status"], tail["stdout"]) == ("running", "one\nPROGRESS 1/3 first\n")
    assert tail["progress"] == {"current": 1, "total": 3, "text": "first"}
    assert new["stdout"] == tail["stdout"]
    (controller.project / "go").touch()
    ran = run_tasks(controller, job(task, poll=1, limit=600), status(output="new"), status(output="full"), status(tail_size=4))
    done, new, full, tail = told(ran)
    assert done["stdout"].endswith("PROGRESS 3/3\ntwo\nthree")
    assert done["progress"] == {"current": 3, "total": 3, "text": ""}
    assert new["stdout"] == "PROGRESS 3/3\ntwo\nthree"
    assert full["stdout"] == done["stdout"]
    assert tail["stdout"] == "hree"
    assert controller.record("job")["result"]["stdout"] == done["stdout"]


def test_progress_is_shown_while_waiting(controller: Controller) -> None:
    command = "echo 'PROGRESS 41/60 copying'; until [ -e go ]; do sleep 0.1; done"
    task = {"ansible.builtin.shell": {"cmd": command, "chdir": str(controller.project)}}
    process = controller.popen("playbook", "-i", controller.inventory, playbook(controller, job(task, poll=1)))
    waiting = Live(process)
    waiting.wait(r'.*running 00:00:\d\d, 41 of 60 \(68 %\): "copying".*')
    (controller.project / "go").touch()
    assert waiting.ran().rc == 0


def test_output_that_is_not_text(controller: Controller) -> None:
    [answer] = ask(controller, job(shell(r"printf 'a\377b\0c'"), poll=1))
    assert (answer["status"], answer["stdout"]) == ("succeeded", "a\ufffdb\0c")


def test_fifty_megabytes(controller: Controller) -> None:
    """Long output stays on the host: the controller needs no more memory than for a line, and the record is small."""
    lines = 50 * 1024 * 1024 // 64
    [answer, again] = ask(controller, job(shell(f"yes {'x' * 63} | head -n {lines}; echo the end"), poll=1), status())
    assert (answer["status"], answer["stdout_size"]) == ("succeeded", lines * 64 + 8)
    assert len(answer["stdout"]) <= 4096
    assert answer["stdout"].endswith("x\nthe end")
    assert again["stdout"] == answer["stdout"]
    assert len(json.dumps(controller.record("job"))) < 20_000
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 300 * 1024


def test_removed_output(controller: Controller) -> None:
    """With keep_output false, nothing is left on the host. The record tells what it knows."""
    [answer] = ask(controller, job(shell("echo kept"), poll=1, options={"keep_output": False}))
    assert (answer["status"], answer["stdout"], answer.get("warnings") or []) == ("succeeded", "kept", [])
    assert not directory(controller).exists()
    looked, new, stored = ask(controller, status(), status(output="new"), job(shell("echo kept")))
    assert new["stdout"] == ""
    assert (looked["status"], looked["stdout"], looked["rc"]) == ("succeeded", "kept", 0)
    assert stored["stdout"] == "kept"


def test_whoever_sees_the_end(controller: Controller) -> None:
    """The record holds the output, whichever task has noted the end; and what is to be removed is removed all the same."""
    until_go = {"ansible.builtin.shell": {"cmd": "echo 'PROGRESS 2/2'; seq 1 5000; until [ -e go ]; do sleep 0.1; done; echo end"}}
    until_go["ansible.builtin.shell"]["chdir"] = str(controller.project)
    task = job(until_go, options={"tail_size": 9000, "keep_output": False})
    ask(controller, task)
    (controller.project / "go").touch()
    seen, stored, again = ask(controller, status(wait_timeout=30, wait_interval=1, tail_size=3), task, task)
    assert seen["stdout"] == "nd"
    for answer in stored, again:
        assert answer["stdout"].endswith("\n5000\nend")
        assert 8900 < len(answer["stdout"]) < 9000
        assert not directory(controller).exists()
    assert controller.record("job")["output_removed"]


def test_cancelled_by_another_task(controller: Controller) -> None:
    task = job(shell("echo 'PROGRESS 1/2 half'; sleep 1000"), options={"keep_output": False})
    ask(controller, task)
    until(lambda: printed(controller, "half"))
    _cancelled, stored = ask(controller, {CANCEL: {"job_name": "job", "grace_period": 1}}, task)
    assert (stored["status"], stored["stdout"]) == ("cancelled", "PROGRESS 1/2 half")
    assert stored["progress"] == {"current": 1, "total": 2, "text": "half"}
    assert not directory(controller).exists()


def test_tail_size(controller: Controller) -> None:
    [answer] = ask(controller, job(shell("seq 1 10000"), poll=1, options={"tail_size": 9}))
    assert answer["stdout"] == "99\n10000"
    assert controller.record("job")["result"]["stdout"] == "99\n10000"


def test_no_log(controller: Controller) -> None:
    """Nothing of what it prints leaves the host, and there only its user can read it."""
    secret = {"no_log": True}
    ran = run_tasks(controller, job(shell("echo hunter2; echo 'PROGRESS 1/2 hunter2'; until [ -e /nowhere ]; do sleep 1; done"), **secret))
    until(lambda: printed(controller, "PROGRESS"))
    looked = controller.playbook(playbook(controller, status(), {CANCEL: {"job_name": "job", "grace_period": 1}}), "-vvv")
    assert "hunter2" not in ran.output + looked.output + json.dumps(controller.record("job"))
    assert {file.stat().st_mode & 0o777 for file in directory(controller).iterdir() if file.name in ("stdout", "stderr", "result")} == {
        0o600
    }


# --- Killed one by one ------------------------------------------------------------------------------------------------------


def processes(seen: Yaml) -> dict[str, int]:
    """The processes that a look has seen of a job, by what they are."""
    found = {process["role"]: process["pid"] for process in seen["processes"] if process["role"] != "descendant"}
    for role, parent in (("module", "runner"), ("shell", "module"), ("command", "shell")):
        [found[role]] = [process["pid"] for process in seen["processes"] if process["ppid"] == found[parent]]
    return found


class Killed(t.NamedTuple):
    """Processes of a job that are killed, and what becomes of the job."""

    roles: tuple[str, ...]
    meanwhile: str
    at_last: str
    code: int | None


KILLED = [
    Killed(("watcher",), "running", "succeeded", 0),
    Killed(("runner",), "running", "succeeded", 0),
    Killed(("watcher", "runner"), "running", "succeeded", 0),
    Killed(("module",), "orphaned", "killed", None),
    Killed(("runner", "module"), "orphaned", "killed", None),
    Killed(("watcher", "runner", "module"), "orphaned", "killed", None),
    Killed(("shell",), "orphaned", "killed", -9),
    Killed(("runner", "shell"), "orphaned", "killed", -9),
    Killed(("watcher", "runner", "module", "shell", "command"), "killed", "killed", None),
]


def test_killed(controller: Controller) -> None:
    """The return code is right wherever a process was left to see it, and said to be unknown where none was; with others beside it."""
    cases = {f"job{number}": case for number, case in enumerate(KILLED)}
    command = "echo begun; sh -c 'until [ -e go ]; do sleep 0.1; done'; echo done"
    task = {"ansible.builtin.shell": {"cmd": command, "chdir": str(controller.project)}}
    jobs = [{**job(task, name=name), "async": 600} for name in cases]
    ask(controller, *jobs)
    until(lambda: all(printed(controller, "begun", name) for name in cases))
    pids = [processes(seen) for seen in ask(controller, *map(status, cases))]
    for case, found in zip(cases.values(), pids, strict=True):
        for role in case.roles:
            os.kill(found[role], signal.SIGKILL)
    for case, seen in zip(cases.values(), ask(controller, *(status(name, wait_timeout=0) for name in cases)), strict=True):
        assert seen["status"] == case.meanwhile, (case, seen["reason"])
        assert "begun" in seen["stdout"], case
        if case.meanwhile == "running" and "runner" in case.roles:
            assert "wrapper is gone" in seen["reason"], case
            assert "will be recorded" in seen["reason"], case
    (controller.project / "go").touch()
    ended = ask(controller, *(status(name, wait_timeout=30, wait_interval=1) for name in cases))
    for case, seen, stored in zip(cases.values(), ended, ask(controller, *jobs), strict=True):
        assert (seen["status"], seen.get("rc"), seen["finished"]) == (case.at_last, case.code, True), (case, seen["reason"])
        if case.code is None:
            assert "its return code is unknown" in seen["reason"], case
        assert seen["stdout"].rstrip() == ("begun\ndone" if "shell" not in case.roles else "begun"), case
        assert (stored["status"], stored.get("rc")) == (case.at_last, case.code), case


def test_time_limit(controller: Controller) -> None:
    task = job(shell("echo begun; sleep 60"), poll=1)
    task["async"] = 3
    [answer] = ask(controller, task)
    assert (answer["status"], answer["stdout"]) == ("timed_out", "begun")


def test_cancelled(controller: Controller) -> None:
    """A command that cleans up is seen to the end."""
    command = "trap 'echo cleaned; exit 5' TERM; echo begun; while :; do sleep 0.1; done"
    ask(controller, job(shell(command)))
    until(lambda: printed(controller, "begun"))
    cancelled, seen, stored = ask(controller, {CANCEL: {"job_name": "job"}}, status(), job(shell(command)))
    assert cancelled["changed"]
    assert (seen["status"], seen["stdout"]) == ("cancelled", "begun\ncleaned")
    assert stored["status"] == "cancelled"


def test_daemon_is_left_alone(controller: Controller) -> None:
    """A job ends with its command. What it leaves behind no longer keeps its result back, as it would with pipes."""
    task = {
        "ansible.builtin.shell": {"cmd": "(until [ -e go ]; do sleep 0.1; done; echo late) & echo done", "chdir": str(controller.project)}
    }
    [answer] = ask(controller, job(task, poll=1))
    assert (answer["status"], answer["stdout"]) == ("succeeded", "done")
    until(lambda: not any("async_wrapper" in process["command"] for process in ask(controller, status())[0]["processes"]))
    [seen] = ask(controller, status())
    assert "left processes behind" in seen["reason"]
    (controller.project / "go").touch()
