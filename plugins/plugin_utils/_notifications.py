# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications of a run as jobs: they are started by whoever drives the run, and what becomes of them is noted there.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.node import DIRECTORY
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import (
    command,
    parse_approval,
    path_of_approval,
    run_playbook,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import contended
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.policies import Decision
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CONCLUDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.notifying import (
    Notification,
    key_of_notification,
    mark_of_notification,
    noted,
    pending,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import Run, begun_of, executors_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.variables import notification_text
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import OURS, RequestOfRun, callback_source
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import KeptOnTask
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._several import Several
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._starter import Starter
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._state_dir import name_of_copy
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._together import TogetherAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import FIRST_INTERVAL, longer

# How long a notification may take, in seconds.
_LIMIT = 300
# How often one is tried that cannot be started, or that was killed.
_TRIES = 3
_VARIABLES = "node.vars"
_PLAY = "node.yml"
_CALLBACK = "node.py"


class _Request(RequestOfRun):
    """A notification as a job to start: once, unless it was killed."""

    def __init__(self, params: dict[str, t.Any], store: Store, run: Run, one: Notification, kept: KeptOnTask, started_by: Fields) -> None:
        defaults = {option: spec.get("default") for option, spec in async_job.ARGUMENT_SPEC.items()}
        self._mark = mark_of_notification(run, one)
        job = {**defaults, **params, **key_of_notification(run, one)._asdict(), "metadata": self._mark, "semaphore": None}
        job.update(tail_size=0, restart_on=[*CONCLUDED], max_attempts=_TRIES)
        super().__init__(job, store, kept, fingerprint="", secret=True, with_facts=False, started_by=started_by)

    def decide(self, record: Record) -> Decision:
        if record.get("metadata") != self._mark:
            raise AsyncJobError(f"{self.state_file} is the record of another job, which has the name of this notification.")
        return super().decide(record)


class _Task(InnerTask):
    """A playbook of one task, which tells somebody something."""

    def __init__(
        self, outer: TogetherAction, variables: str, task: dict[str, t.Any], *, directory: str, inventory: t.Sequence[str]
    ) -> None:
        play = {"name": "notify", "hosts": "localhost", "gather_facts": False, "tasks": [{**task, "no_log": True}]}
        # The callback keeps out of the output why the task has failed, and removes the variables as soon as they were read.
        files = {_VARIABLES: variables, _PLAY: json.dumps([play], indent=1) + "\n", _CALLBACK: callback_source()}
        environment = {"ASYNC_WORKFLOW_NODE_DIRECTORY": DIRECTORY, "ANSIBLE_CALLBACK_PLUGINS": DIRECTORY, "ARA_DEFAULT_LABELS": ""}
        is_local = outer._connection.transport == "local"
        words = [f"--extra-vars=@{DIRECTORY}/{_VARIABLES}", *(f"--inventory={place}" for place in inventory), f"{DIRECTORY}/{_PLAY}"]
        argv = [*(OURS if is_local else ("ansible-playbook",)), *words]
        super().__init__(outer, {"ansible.builtin.command": {"chdir": directory, "argv": argv}}, _LIMIT)
        self._more = {"node": {"files": files, "environment": environment, "removed": [*files]}}
        self._task.no_log = True


class Notifications:
    """Sends what a run has to tell.

    :arg options: validated ones of the workflow
    :arg params: values of all parameters of the run, secret ones too
    :arg directory: where the file of the workflow is. Empty if nobody knows: then nothing is sent
    :arg inventory: that of its nodes
    :arg definition_hash: of the definition that the user wants to run: what another one says, nobody here has asked for
    """

    def __init__(
        self,
        action: TogetherAction,
        store: Store,
        options: dict[str, t.Any],
        *,
        params: dict[str, t.Any],
        directory: str,
        inventory: t.Sequence[str],
        definition_hash: str,
    ) -> None:
        self._action = action
        self._store = store
        self._options = options
        self._params = params
        self._directory = directory
        self._inventory = inventory
        self._definition_hash = definition_hash
        self._kept: dict[str, KeptOnTask] = {}
        self._failures: dict[str, int] = {}

    def tick(self, run: Run) -> Run:
        """Start what is to be sent, and note what has become of what was. Nobody waits. Return the run as it is then."""
        todo = pending(run)
        if not todo or not self._may_tell(run):
            return run
        results: dict[str, str] = {}
        starters = []
        for one in todo:
            kept = self._kept.setdefault(one.name, KeptOnTask(_LIMIT, 0))
            try:
                starters.append((one, self._starter(run, one, kept)))
            except AsyncJobError as error:
                self._count(one, str(error), results)
        some = [starter for _one, starter in starters]
        params = {**self._options, "tail_size": 0}
        answers = Several(some, self._action, self._store, params, poll=0, most=len(some)).run() if some else []
        for (one, _starter), answer in zip(starters, answers, strict=True):
            if answer.get("finished"):
                attempts = answer.get("attempt", 1)
                again = f"; it was killed and sent once more ({attempts} attempts), so that it may have come more than once"
                problem = f"{answer['reason']} (no_log hides what it says)" if answer["failed"] else ""
                results[one.name] = problem + (again if attempts > 1 else "")
            elif answer["failed"] and "record" not in answer:
                self._count(one, str(answer["msg"]), results)
        return self._note(run, results) if results else run

    def _may_tell(self, run: Run) -> bool:
        is_here = bool(self._directory) and run["executor"] == self._action.host
        return is_here and run["definition_hash"] == self._definition_hash and self._action.is_heard

    def _count(self, one: Notification, problem: str, results: dict[str, str]) -> None:
        """Count that one could not be started. In the end, that is the result."""
        self._failures[one.name] = self._failures.get(one.name, 0) + 1
        if self._failures[one.name] >= _TRIES:
            results[one.name] = f"it could not be started: {problem}"

    def finish(self, run: Run) -> Run:
        """Send all that is left, and wait until that is done. Return the run as it is then."""
        if not run["definition"].get("notify"):
            return run
        found, _version = read_run(self._store, run["workflow"], run["run"])  # what has come up last, is in the store only
        run = run if found is None else found
        interval, end = FIRST_INTERVAL, time.monotonic() + _LIMIT
        while True:
            run = self.tick(run)
            if not pending(run) or not self._may_tell(run) or time.monotonic() > end:
                break
            time.sleep(interval)
            interval = longer(interval, self._options["wait_interval"])
        return run

    def _note(self, run: Run, results: dict[str, str]) -> Run:
        for name, problem in results.items():
            self._action.say(f"notification {name}: {problem or 'sent'}")

        def attempt() -> Run:
            found, version = read_run(self._store, run["workflow"], run["run"])
            if found is None:
                return {**run, "notified": {**results, **run.get("notified", {})}}
            after = noted(found, results)
            write_run(self._store, found, after, expect=version)
            return after

        return contended(attempt)

    def _starter(self, run: Run, one: Notification, kept: KeptOnTask) -> Starter:
        request = _Request(self._options, self._store, run, one, kept, self._action.started_by())
        graph = Graph(run["definition"])
        variables = notification_text(graph, self._params, self._about(run, one))
        channel = run["definition"]["notify"][one.channel]
        task = _Task(self._action, variables, channel["task"], directory=self._directory, inventory=self._inventory)
        return Starter(request, task, self._action, alone=False)

    def _about(self, run: Run, one: Notification) -> dict[str, t.Any]:
        """Return what the task of a notification finds in C(async_workflow)."""
        about = {
            **{"name": run["workflow"], "run": run["run"], "status": run["status"], "directory": self._directory},
            **{"event": one.event, "node": one.node, "attempt": one.attempt, "message": one.message},
            **{"command": self._goes_on(run), "approve": "", "reject": ""},
        }
        if one.event == "approval":
            name = one.node if one.attempt == 1 else f"{one.node} ({one.attempt})"
            names = (f"{run['workflow']} {run['run']}", name)
            document = self._store.read(path_of_approval(*names))
            if document is not None:
                approval = parse_approval(document.content, *names, where=self._store.locate(path_of_approval(*names)))
                if begun_of(approval) != begun_of(run):
                    return about
                about.update({what: command(what, approval, settings_of(self._options)) for what in ("approve", "reject")})
        return about

    def _goes_on(self, run: Run) -> str:
        """Return the command that goes on with a run, wherever that is typed on a machine like this one. It has no secret parameters."""
        which = {"file": os.path.join(self._directory, os.path.basename(str(self._options.get("file") or ""))), "run": run["run"]}
        if self._options.get("workflow"):
            which["workflow"] = self._options["workflow"]
        hosts = executors_of(run) | {run["executor"]}
        if hosts != {"localhost"}:
            which["executor"] = ",".join(sorted(hosts))
        places = [name_of_copy(place) or place for place in self._inventory]
        return run_playbook("workflow", {**which, **settings_of(self._options)}, places)
