# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of the answer of a host that was asked to start a job, which may say anything."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.exactly_once import Seen
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction
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
GOOD = {"made": True, "job_id": "j1.2", "problem": "", "boot_id": "b"}


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

    def module_of_command(self, directory: str) -> bytes:
        """Return no program."""
        return b""


class Action(AttemptAction):
    """One whose host says what the test says."""

    spec: t.ClassVar = {}
    host = "h"

    def __init__(self, said: Answer | Exception) -> None:
        self.users = t.cast(t.Any, Users())
        self._seen = {}
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
    assert action.launch(t.cast(t.Any, Task()), RECORD, 9.0) == {}
    [(entry, may_repeat, words, environment)] = action.asked
    assert (entry, may_repeat) == ("_host.start", False)
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
    action.launch(t.cast(t.Any, Task()), RECORD, 9.0)
    assert action.inspect(RECORD, 9.0) == Seen("j3.4")


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({**GOOD, "made": False, "job_id": "", "problem": "File exists"}, AsyncJobError, "cannot be made on h: File exists"),
        ({**GOOD, "job_id": "", "problem": "No space left"}, LaunchFailed, "could not be started on h: No space left"),
        ({"job_id": "j1.2"}, AsyncJobError, "no text where one should be"),
        (ProgramFailed("no python it says", {"msg": "no python", "rc": 127}), LaunchFailed, "no python"),
    ],
)
def test_what_has_not_started(said: Answer | Exception, kind: type[Exception], words: str) -> None:
    """It is an error, and what is true is looked at."""
    action = Action(said)
    with pytest.raises(kind, match=words):
        action.launch(t.cast(t.Any, Task()), RECORD, 9.0)
    assert action.inspect(RECORD, 9.0) == Seen("j3.4")


def test_a_host_that_is_no_linux() -> None:
    """It has no boot id, and is started in the old way."""
    assert not Action(GOOD).makes_directory_at_launch(t.cast(t.Any, Task()), {**RECORD, "boot_id": ""})
