# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays of a few tasks, and what these return."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from controller import Controller, Ran

Yaml = dict[str, t.Any]


def job(task: Yaml, *, name: str = "job", poll: int = 0, limit: int = 60, options: Yaml | None = None, **keywords: t.Any) -> Yaml:
    """Return a task that starts a job."""
    return {"rstyczynski.ansible.async_job": {"job_name": name, "task": task, **(options or {})}, "async": limit, "poll": poll, **keywords}


def shell(command: str) -> Yaml:
    """Return a task that runs a command."""
    return {"ansible.builtin.shell": command}


def role(name: str, **options: t.Any) -> Yaml:
    """Return a task that includes a role of the collection, with these of its options."""
    return {
        "ansible.builtin.include_role": {"name": f"rstyczynski.ansible.{name}"},
        "vars": {f"{name}_{option}": value for option, value in options.items()},
    }


def tell(*expressions: str) -> Yaml:
    """Return a task that tells the test the values of these expressions, as a list."""
    return {"tell": {"answers": f"{{{{ [{', '.join(expressions)}] | to_json | b64encode }}}}"}}


def play(*tasks: Yaml, **keywords: t.Any) -> Yaml:
    """Return a play of these tasks."""
    return {"name": "test", "hosts": "all", "gather_facts": False, **keywords, "tasks": list(tasks)}


def telling(*tasks: Yaml, **keywords: t.Any) -> Yaml:
    """Return a play whose tasks tell what they return, as C(answer0) and so on. Those that fail do not keep the others from running."""
    asked = [{"ignore_errors": True, **task, "register": f"answer{number}"} for number, task in enumerate(tasks)]
    return play(*asked, tell(*(task["register"] for task in asked)), **keywords)


def run(controller: Controller, *plays: Yaml, options: t.Sequence[t.Any] = (), env: dict[str, str] | None = None) -> Ran:
    """Run a playbook of these plays."""
    return controller.playbook(json.dumps(plays, indent=1, ensure_ascii=False) + "\n", *options, env=env)


def run_tasks(
    controller: Controller, *tasks: Yaml, options: t.Sequence[t.Any] = (), env: dict[str, str] | None = None, **keywords: t.Any
) -> Ran:
    """Run a play of these tasks, which tell what they return."""
    return run(controller, telling(*tasks, **keywords), options=options, env=env)


def told(ran: Ran, which: int = 0) -> t.Any:
    """Return what a run told the test: of several hosts or plays, the one that told it first, or another one."""
    assert len(ran.told) > which, ran.output[-20_000:]
    return ran.told[which]


def ask(controller: Controller, *tasks: Yaml, **kwargs: t.Any) -> list[t.Any]:
    """Run a play of these tasks, and return what they return."""
    return t.cast("list[t.Any]", told(run_tasks(controller, *tasks, **kwargs)))


def lines(ledger: Path) -> list[str]:
    """Return what jobs have written to their ledger."""
    return ledger.read_text("utf-8").splitlines() if ledger.exists() else []
