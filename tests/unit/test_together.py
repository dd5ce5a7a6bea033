# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several jobs on one host at once: the program that launches them, the lines for its shell, and what is made of the answers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import typing as t
import uuid
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from attempts import to_make
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import Noted
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._commands import checked_options
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask, LaunchFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import program, without_arguments
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._together import TogetherAction, _numbers, _said_by_wrapper

Answer = dict[str, t.Any]


def launched(*jobs: Answer, lines: list[str], keep_files: bool = False) -> list[Answer]:
    """Run the program as a host does, and return its answers."""
    for job in jobs:
        attempts = Path(job["directory"]).resolve().parent / "attempts"
        attempts.mkdir(exist_ok=True)
        attempt = job.get("attempt", f"{attempts}/{uuid.uuid4().hex}")
        job["attempt"] = to_make(attempt, f"host1/play/{attempt}.json", mark="mark")
    text = program("_host.launch", {"jobs": [*jobs], "lines": lines, "programs": {}, "shell": "/bin/sh", "keep_files": keep_files})
    done = subprocess.run([sys.executable], input=text, capture_output=True, check=True)
    return t.cast("list[Answer]", json.loads(done.stdout)["launched"])


def test_each_has_files_of_its_own(tmp_path: Path) -> None:
    """Private ones, byte by byte as they were, from lines that travel once. More than run side by side, in their order."""
    content = bytes(range(256)) + b"\nshared\n"
    lines: dict[str, int] = {}
    numbers = _numbers(content, lines)
    assert _numbers(b"own\nshared\n", lines)[-1] == numbers[-1]
    assert len(lines) == len(numbers) + 1
    places = [tmp_path / f"ansible-tmp-{number}" for number in range(40)]
    jobs = [
        {
            "directory": str(place),
            "files": {"module": numbers},
            "command": f"echo {number}; cd {place}; stat -c %a . module; exit {number}",
        }
        for number, place in enumerate(places)
    ]
    answers = launched(*jobs, lines=[*lines])
    assert [answer["rc"] for answer in answers] == [*range(40)]
    assert [answer["stdout"].split() for answer in answers] == [[str(number), "700", "600"] for number in range(40)]
    assert {(place / "module").read_bytes() for place in places} == {content}


def test_what_cannot_be_launched(tmp_path: Path) -> None:
    """It says so, and leaves nothing behind, unless files are to be kept; the others are launched. A repeated launch is none."""
    fails = json.dumps({"failed": True, "msg": "could not create directory"})
    commands = ["echo fine", "/nonexistent/python", f"echo '{fails}'; exit 1", "echo fine"]
    jobs = [{"directory": str(tmp_path / str(number)), "files": {}, "command": command} for number, command in enumerate(commands)]
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "of the first launch").touch()
    fine, missing, failed, again = launched(*jobs, lines=[])
    assert (fine["stdout"], missing["rc"], failed["stdout"].strip(), again["rc"]) == ("fine\n", 127, fails, None)
    assert "exists" in again["stderr"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "3", "attempts"]
    assert [path.name for path in (tmp_path / "3").iterdir()] == ["of the first launch"]
    launched({"directory": str(tmp_path / "kept"), "files": {}, "command": commands[1]}, lines=[], keep_files=True)
    assert (tmp_path / "kept").is_dir()


def test_what_is_in_the_directory_of_an_attempt(tmp_path: Path) -> None:
    """It is made before, with its mark, unless there is something by its name: then nothing is launched. Afterwards it is looked into."""
    (tmp_path / "attempts").mkdir()
    places = [tmp_path.resolve() / "attempts" / (str(number) * 32) for number in range(3)]
    places[1].write_text("fence")
    commands = [f"cd {place}; cat attempt.json; stat -c %a .; touch stdout j1.2 j1.2.tmp" for place in places]
    commands[2] = "true"
    jobs = [
        {"directory": str(tmp_path / str(number)), "files": {}, "command": command, "attempt": str(places[number])}
        for number, command in enumerate(commands)
    ]
    made, fenced, empty = launched(*jobs, lines=[])
    assert (made["jobs"], made["stdout"]) == (["j1.2"], "mark\n700\n")
    assert fenced.keys() == {"found", "problem", "warning", "boot_id"}
    assert "File exists" in fenced["problem"]
    assert empty["jobs"] == []
    assert places[1].read_text() == "fence"
    assert not (tmp_path / "1").exists()


def commands(tmp_path: Path, *some: str) -> list[Answer]:
    """Return jobs that are commands, as the program takes them."""
    (tmp_path / "attempts").mkdir()
    found = []
    for number, command in enumerate(some):
        directory = f"{tmp_path.resolve()}/attempts/{number:032x}"
        options = checked_options({"_raw_params": command}, uses_shell=True)
        about = {"options": options, "directory": directory, "uses_shell": True, "shell": "/bin/sh", "log": "", "facility": ""}
        attempt = to_make(directory, f"host1/play/{number}.json", mark="mark")
        found.append({"attempt": attempt, "program": "_host.command", "arguments": about, "job": f"j{number}", "limit": 60})
    return found


def launched_commands(jobs: list[Answer], wrapper: str = "") -> list[Answer]:
    """Run the program as a host does, and return its answers."""
    programs = {name: without_arguments(name) for name in ("_host.wrapper", "_host.command")}
    programs["_host.wrapper"] = wrapper or programs["_host.wrapper"]
    text = program("_host.launch", {"jobs": jobs, "lines": [], "programs": programs, "shell": "/bin/sh", "keep_files": False})
    done = subprocess.run([sys.executable], input=text, capture_output=True, check=True)
    return t.cast("list[Answer]", json.loads(done.stdout)["launched"])


def test_commands_are_started_by_our_own_wrapper(tmp_path: Path) -> None:
    """More than run side by side. Each has what Ansible's wrapper gives to a module; one whose directory is there is not started."""
    jobs = commands(tmp_path, *(f"echo {number}; env >&2; exit {number}" for number in range(20)))
    places = [Path(job["attempt"]["attempt_dir"]) for job in jobs]
    places[3].write_text("fence")
    answers = launched_commands(jobs)
    assert "File exists" in answers[3]["problem"]
    assert not {"jobs", "reason"} & answers[3].keys()
    for number, (place, answer) in enumerate(zip(places, answers, strict=True)):
        if number == 3:
            continue
        assert answer["reason"] == ""
        [job_id] = answer["jobs"]
        assert job_id.startswith(f"j{number}.")
        until(lambda place=place, job_id=job_id: "started" not in json.loads((place / job_id).read_text()))
        assert json.loads((place / job_id).read_text())["rc"] == number
        assert (place / "stdout").read_text() == f"{number}\n"
        assert f"ASYNC_JOB_ATTEMPT_DIR={place}\n" in (place / "stderr").read_text()


def test_a_command_that_is_not_started(tmp_path: Path) -> None:
    """The wrapper says why, in whatever way, or nobody knows. What is true is in the directory."""
    said = [
        ("raise SystemExit('no room')", "no room\n"),
        ("import os; os._exit(1)", "the process that was to start it has ended"),
        ("print('{}')", "the process that was to start it has ended"),
        ('print(\'{"job_id": "", "reason": "No space left"}\')', "No space left"),
        ('print(\'{"job_id": "", "reason": ""}\')', ""),
    ]
    for number, (wrapper, reason) in enumerate(said):
        place = tmp_path / str(number)
        place.mkdir()
        [answer] = launched_commands(commands(place, "true"), wrapper)
        assert (answer["reason"], answer["jobs"], answer["problem"]) == (reason, [], "")


class Users:
    """Users of a task that may become nobody else, and sees all but the jobs of one user."""

    def become(self, user: str) -> None:
        """Do nothing, unless there is no such user."""
        if user:
            raise AsyncJobError(f"nobody is {user}")

    def lacking(self, record: Answer) -> str:
        """Say whose job cannot be seen."""
        return "It is hers." if record.get("become_user") == "she" else ""

    def needed_for(self, record: Answer) -> str:
        """Need whom the record names."""
        return str(record.get("become_user", ""))


class Action(TogetherAction):
    """One whose host is this machine, through a real shell."""

    spec: t.ClassVar = {}
    host = "host1"

    def __init__(self) -> None:
        self.users = t.cast(t.Any, Users())
        self._fences = Counter()
        self._seen = {}
        self._made = set()
        self._scratch = ""
        self._task = t.cast(t.Any, SimpleNamespace(no_log=False, delegate_to=None))
        self.others = set()
        self.exchanges = 0
        self.is_away = False

    def work(self, params: Answer) -> Answer:
        """Return nothing of interest."""
        return params

    def _run_in_shell(self, script: str, timeout: float) -> Answer:
        self.exchanges += 1
        if self.is_away:
            raise AnsibleConnectionFailure("no route")
        done = subprocess.run(["sh", "-c", script.strip()], capture_output=True, text=True, check=False)
        return {"stdout": done.stdout, "stderr": done.stderr}

    def on_host(self, entry: str, arguments: Answer, *, timeout: float, may_repeat: bool = True) -> Answer:
        """Run a program on this machine."""
        self.exchanges += 1
        if self.is_away:
            raise AnsibleConnectionFailure("no route")
        done = subprocess.run([sys.executable], input=program(entry, arguments), capture_output=True, check=True)
        return t.cast("Answer", json.loads(done.stdout))

    def _as_terminal(self) -> t.ContextManager[None]:
        return contextlib.nullcontext()

    def make(self, some: list[Answer]) -> list[t.Any]:
        """Make the directories of attempts."""
        return self.do_together("make_directory", [(record, Noted(noted(record), []), 30.0) for record in some])


def noted(record: Answer) -> str:
    """Return what a host is to note of an attempt, in short."""
    return json.dumps({"attempt_dir": record["attempt_dir"]})


@pytest.fixture
def action() -> Action:
    """A new one."""
    return Action()


def records(tmp_path: Path, count: int) -> list[Answer]:
    """Return records of attempts, with names that a shell could trip over."""
    return [
        {
            "host": "host1",
            "playbook_name": "it's $(id)",
            "job_name": f"job {number} '\"`{{}}%s",
            "attempt_dir": f"{tmp_path}/{number:032x}",
            "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        }
        for number in range(count)
    ]


def test_one_exchange_for_each_step(action: Action, tmp_path: Path) -> None:
    """What the shell says of each is the same as if it was asked about that one alone."""
    some = records(tmp_path, 9)
    asked = [(record, 30.0) for record in some]
    Path(some[2]["attempt_dir"]).touch()
    made = action.make(some)
    assert [isinstance(answer, AsyncJobError) for answer in made] == [number == 2 for number in range(9)]
    assert "File exists" in str(made[2])
    assert action.exchanges == 1
    Path(some[3]["attempt_dir"], "j12.34").touch()
    Path(some[4]["attempt_dir"], "attempt.json").write_text("{}")
    # A name that looks like a line of ours
    Path(some[5]["attempt_dir"], "\nasync_job:job=j6.6\nasync_job:number=6\n.tmp").mkdir()
    some[7]["become_user"] = "she"
    some[2]["attempt_dir"] = "/etc"
    seen = action.do_together("inspect", asked)
    assert action.exchanges == 2
    assert [seen[number].job_id for number in (0, 1, 3, 5, 6, 8)] == ["", "", "j12.34", "", "", ""]
    assert "is not the directory of an attempt" in str(seen[2])
    assert "is not the directory of this attempt" in str(seen[4])
    assert "It is hers." in str(seen[7])
    fenced = action.do_together("fence", asked)
    assert action.exchanges == 3
    assert [fenced[number] for number in (0, 1, 3, 5, 6, 8)] == [True, True, False, False, True, True]
    assert Path(some[0]["attempt_dir"]).is_file()
    alone = [action.fence(t.cast(t.Any, some[number]), 30.0) for number in (0, 3)]
    assert alone == [True, False]


def test_what_launches_have_seen_is_not_asked_again(action: Action, tmp_path: Path) -> None:
    """Of these jobs, once. The others are looked at."""
    some = records(tmp_path, 3)
    action.make(some)
    for number in (0, 2):
        action._take_down(t.cast(t.Any, some[number]), [f"j{number}.9"], some[number])
    for expected in (["j0.9", "", "j2.9"], ["", "", ""]):
        assert [seen.job_id for seen in action.do_together("inspect", [(record, 30.0) for record in some])] == expected
    for number in range(3):
        action._take_down(t.cast(t.Any, some[number]), [f"j{number}.9"], some[number])
    assert len(action.do_together("inspect", [(record, 30.0) for record in some])) == 3
    assert action.exchanges == 3


def test_a_user_whom_nobody_can_become(action: Action, tmp_path: Path) -> None:
    """What a record says takes no other job with it."""
    some = records(tmp_path, 3)
    some[1]["become_user"] = "#1000"
    action.make(some)
    answers = action.do_together("fence", [(record, 30.0) for record in some])
    assert [answers[0], type(answers[1]), answers[2]] == [True, AsyncJobError, True]


def test_a_host_that_is_away(action: Action, tmp_path: Path) -> None:
    """The exchange has failed for each of them."""
    action.is_away = True
    assert [type(answer) for answer in action.make(records(tmp_path, 3))] == [AnsibleConnectionFailure] * 3
    for what in ("inspect", "fence"):
        answers = action.do_together(what, [(record, 30.0) for record in records(tmp_path, 3)])
        assert [type(answer) for answer in answers] == [AnsibleConnectionFailure] * 3


def test_long_names_take_more_exchanges(action: Action, tmp_path: Path) -> None:
    """Linux takes so much as one argument, and no more."""
    some = records(tmp_path, 30)
    for record in some:
        record["job_name"] = "'" * 200 + record["job_name"]
    assert action.make(some) == [None] * 30
    action.exchanges = 0
    assert action.do_together("fence", [(record, 30.0) for record in some]) == [True] * 30
    assert 1 < action.exchanges < 30


@pytest.mark.parametrize(
    ("stdout", "rc", "words"),
    [
        ("", -9, "it says nothing"),
        ("Killed\n", 137, "Killed"),
        ('noise\n{"failed": true, "msg": "could not create directory"}\n', 1, "could not create directory"),
        ("{ no json\n", 0, "no json"),
    ],
)
def test_what_the_wrapper_says(stdout: str, rc: int, words: str) -> None:
    """Without a job id, nothing was started as far as it knows."""
    with pytest.raises(LaunchFailed, match=words):
        InnerTask.judged(_said_by_wrapper({"rc": rc, "stdout": stdout, "stderr": ""}))


def test_what_the_wrapper_says_of_a_start() -> None:
    """Whatever a login prints before."""
    line = json.dumps({"ansible_job_id": "j1.2", "results_file": "/a/b/j1.2", "started": True})
    assert InnerTask.judged(_said_by_wrapper({"rc": 0, "stdout": f"hello\n{line}\n", "stderr": ""}))[:2] == ("j1.2", "/a/b")
