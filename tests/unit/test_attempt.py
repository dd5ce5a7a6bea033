# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the answer of a host that was asked to start a job, which may say anything."""

from __future__ import annotations

import contextlib
import typing as t
from types import SimpleNamespace

import pytest
from attempts import to_make

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import Found
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.exactly_once import Seen
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction, Noted
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import ProgramFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import LaunchFailed

Answer = dict[str, t.Any]
RECORD: t.Any = {
    "host": "h",
    "playbook_name": "p",
    "job_name": "j",
    "attempt_dir": f"/a/{0:032x}",
    "boot_id": "b",
    "timeout": 60,
}
GOOD = {"found": None, "problem": "", "warning": "", "boot_id": "b", "job_id": "j1.2", "reason": ""}
NOTED = Noted("{}", [f"/a/{7:032x}"])


class Users:
    """Users of a task that may be anybody."""

    def become(self, user: str) -> None:
        """Do nothing."""

    def lacking(self, record: Answer) -> str:
        """Lack nothing."""
        return ""

    def needed_for(self, record: Answer) -> str:
        """Need nobody else."""
        return ""


class Task:
    """A task inside a task: a command."""

    can_be_quick = True

    def module_of_command(self, directory: str) -> tuple[str, Answer]:
        """Return one without arguments."""
        return "_host.command", {}


class Action(AttemptAction):
    """One whose host says what the test says."""

    spec: t.ClassVar = {}
    host = "h"

    def __init__(self, said: Answer | Exception) -> None:
        self.users = t.cast(t.Any, Users())
        self._seen = {}
        self._made = set()
        self.others = set()
        self._task = t.cast(t.Any, Task())
        self._task.no_log = False
        self._task.environment = [{"OWN": "1"}]
        self._connection = None
        self.said = said
        self.asked: list[t.Any] = []

    def work(self, params: Answer) -> Answer:
        """Return nothing of interest."""
        return params

    def goes_through_connection(self) -> bool:
        """It does."""
        return True

    def on_host(self, entry: str, arguments: Answer, *, timeout: float, may_repeat: bool = True, words: t.Sequence[str] = ()) -> Answer:
        """Note what is asked, and answer."""
        self.asked.append((entry, may_repeat, words, self._task.environment))
        self.arguments = arguments
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def _run_in_shell(self, script: str, timeout: float) -> Answer:
        self.asked.append("shell")
        return {"stdout": "async_job:boot_id=b\nasync_job:job=j3.4\n", "stderr": ""}


@pytest.fixture(autouse=True)
def _no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ansible, "connection_option", lambda *_args: contextlib.nullcontext())


def test_a_job_that_has_started() -> None:
    """What the launch has seen answers the next look, and no other. It was asked once, without another try, and as the job's wrapper."""
    action = Action(GOOD)
    assert action.makes_directory_at_launch(t.cast(t.Any, Task()), RECORD)
    assert action.launch(t.cast(t.Any, Task()), RECORD, NOTED, 9.0) == {}
    [(entry, may_repeat, words, environment)] = action.asked
    assert (entry, may_repeat) == ("_host.start", False)
    assert action.arguments["attempt"] == to_make(
        RECORD["attempt_dir"], "h/p/j.json", content="{}", known=[f"/a/{7:032x}"], mark=mark("h/p/j.json", f"{0:032x}")
    )
    assert (words[0], words[2]) == (f"{RECORD['attempt_dir']}/async_wrapper.py", "60")
    assert words[1].startswith("j")
    directory = RECORD["attempt_dir"]
    assert environment == [{"OWN": "1"}, {"ASYNC_JOB_ATTEMPT_DIR": directory, "ANSIBLE_ASYNC_DIR": directory}]
    assert action._task.environment == [{"OWN": "1"}]
    assert action.inspect({**RECORD, "attempt_dir": f"/a/{1:032x}"}, 9.0) == Seen("j3.4")
    assert action.inspect(RECORD, 9.0) == Seen("j1.2")
    assert action.inspect(RECORD, 9.0) == Seen("j3.4")
    assert action.asked[1:] == ["shell", "shell"]


@pytest.mark.parametrize(
    "said",
    [
        {"job_id": ""},
        {"job_id": "j1.2\n"},
        {"job_id": "../j1.2"},
        {"job_id": 7},
        {"job_id": None},
        {"boot_id": "another"},
        {"boot_id": None},
    ],
    ids=repr,
)
def test_what_has_to_be_looked_at(said: Answer) -> None:
    """Whatever the answer leaves open, or is none."""
    action = Action({**GOOD, **said})
    action.launch(t.cast(t.Any, Task()), RECORD, NOTED, 9.0)
    assert action.inspect(RECORD, 9.0) == Seen("j3.4")


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({**GOOD, "job_id": "", "problem": "File exists"}, AsyncJobError, "cannot be made on h: File exists"),
        ({**GOOD, "job_id": "", "reason": "No space left"}, LaunchFailed, "could not be started on h: No space left"),
        ({**GOOD, "found": "a file"}, AsyncJobError, "no file of a job where one should be"),
        ({"job_id": "j1.2"}, AsyncJobError, "no text where one should be"),
        (ProgramFailed("no python it says", {"msg": "no python", "rc": 127}), LaunchFailed, "no python"),
    ],
)
def test_what_has_not_started(said: Answer | Exception, kind: type[Exception], words: str) -> None:
    """It is an error, and what is true is looked at."""
    action = Action(said)
    with pytest.raises(kind, match=words):
        action.launch(t.cast(t.Any, Task()), RECORD, NOTED, 9.0)
    assert action.inspect(RECORD, 9.0) == Seen("j3.4")


def test_an_attempt_that_the_host_knows() -> None:
    """It is handed on; what has started is not ours."""
    found = Found(f"/a/.async_jobs-0/{1:032x}/{2:032x}.1", "{}")
    action = Action({**GOOD, "found": found._asdict(), "job_id": ""})
    assert action.launch(t.cast(t.Any, Task()), RECORD, NOTED, 9.0) == found
    assert action.inspect(RECORD, 9.0) == Seen("j3.4")


def test_a_launch_whose_directory_was_not_made() -> None:
    """It was to be made in the same exchange, and then it turned out that the host wants a terminal: it is made before, once."""
    action = Action({"made": [{name: GOOD[name] for name in ("found", "problem", "warning", "boot_id")}]})
    action.goes_through_connection = lambda: False  # type: ignore[method-assign]
    launches: list[str] = []
    task: t.Any = SimpleNamespace(can_be_quick=True, own_work="", launch=lambda directory: launches.append(directory) or ("", "", None))
    assert action.launch(task, RECORD, NOTED, 9.0) == {}
    assert action.launch(task, RECORD, NOTED, 9.0) == {}
    assert [asked[0] for asked in action.asked] == ["_host.make_directory"]
    assert launches == [RECORD["attempt_dir"]] * 2


def test_a_host_that_is_no_linux() -> None:
    """It has no boot id, and is started in the old way."""
    assert not Action(GOOD).makes_directory_at_launch(t.cast(t.Any, Task()), {**RECORD, "boot_id": ""})
