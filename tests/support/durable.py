# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays with the task ``async_job``, and what they return."""

from __future__ import annotations

import base64
import json
import re
import typing as t
from pathlib import Path

from controller import Controller, Ran

Yaml = dict[str, t.Any]


def job(task: Yaml, *, name: str = "job", poll: int = 0, options: Yaml | None = None, **keywords: t.Any) -> Yaml:
    """A task that starts a job."""
    return {"rstyczynski.ansible.async_job": {"job_name": name, "task": task, **(options or {})}, "async": 60, "poll": poll, **keywords}


def shell(command: str) -> Yaml:
    return {"ansible.builtin.shell": command}


def play(controller: Controller, *tasks: Yaml, options: t.Sequence[str] = (), **keywords: t.Any) -> Ran:
    """Run these tasks, and tell what each has returned."""
    asked = [{"ignore_errors": True, **task, "register": f"answer{number}"} for number, task in enumerate(tasks)]
    answers = ", ".join(task["register"] for task in asked)
    tell = {"ansible.builtin.debug": {"msg": f"TOLD {{{{ [{answers}] | to_json | b64encode }}}}"}, "check_mode": False}
    whole = {"name": "test", "hosts": "all", "gather_facts": False, **keywords, "tasks": [*asked, tell]}
    return controller.playbook(json.dumps([whole], indent=1), *options)


def told(ran: Ran) -> list[t.Any]:
    """What the tasks have returned, on the first host."""
    found = re.search(r"TOLD ([A-Za-z0-9+/=]+)", ran.output)
    assert found, ran.output
    answers: list[t.Any] = json.loads(base64.b64decode(found.group(1)))
    return answers


def ask(controller: Controller, *tasks: Yaml, **kwargs: t.Any) -> list[t.Any]:
    return told(play(controller, *tasks, **kwargs))


def lines(ledger: Path) -> list[str]:
    """What jobs have written to their ledger."""
    return ledger.read_text("utf-8").splitlines() if ledger.exists() else []
