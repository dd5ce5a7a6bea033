# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json
import os
import time
import typing as t
import uuid
from collections import Counter

from ansible import context
from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import run_playbook
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.last_line import last_words
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import storable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import read_semaphore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store, settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import aligned, brief_time, harmless, harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import driver
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import accept, cancel, decide, resume
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import SUCCEEDED, Definition, Graph, hash_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import (
    find_runs,
    held_by_another,
    left_of_another,
    read_run,
    write_run,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.read import Compiled, read_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    BACKOFF,
    CANCELLED,
    CANCELLING,
    DUE,
    ENDED,
    GOOD,
    NEVER_BEGAN,
    RECOVERED,
    RUNNING,
    SKIPPED,
    VERDICTS,
    WAITING,
    Run,
    begun_of,
    chosen_params,
    executor_of,
    executors_of,
    is_of_node,
    is_of_run,
    is_run_id,
    key_of_node,
    new_run,
    part_of,
    parts_of,
    path_of_run,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.shown import lines_of, sign_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.variables import public_artifacts
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._awx import started_by
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import record_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_notes
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import inventory_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._project import commit_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._secrets import vaulted
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._workflow_run import Given, WorkflowAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._workflow_tick import Tick

_LONGEST_REASON = 4096
# How many of the jobs are named that a run waits for.
_SHOWN = 10

# How many orders a run remembers: more than are obeyed before the last host of a play has come to the same task.
_ORDERS = 20
_GIVEN: Counter[str] = Counter()
"""How often this process has given each order."""


class ActionModule(WorkflowAction):
    """The module C(async_workflow): it begins runs of workflows, goes on with them, and shows them."""

    spec = async_workflow.ARGUMENT_SPEC
    required_if = async_workflow.REQUIRED_IF
    texts = ("workflow", "run", "reason")
    completes_names = False
    warns_at_once = True
    begins_runs = True

    @property
    def is_check(self) -> bool:
        """Whether nothing is to be changed."""
        return bool(self._task.check_mode)

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        mode = params["mode"]
        self._options = params
        store = open_store(params, self.notify)
        if mode == "list":
            result = _listed(store, params["workflow"])
            rows = [tuple(map(harmless, _row(run))) for run in result["runs"]]
            lines = aligned([_HEADS, *rows], width=1 << 16) if rows else [f"There are no runs in {store.locate()}."]
            self.show(harmless_text(lines))
            return result
        if len(params["reason"] or "") > _LONGEST_REASON:
            raise AsyncJobError(f"reason is longer than {_LONGEST_REASON} characters. Nothing was changed. Shorten it.")
        if mode in ("show", "cancel"):
            found, _version = read_run(store, params["workflow"], params["run"])
            if found is None:
                raise _unknown(store, params["workflow"], params["run"])
            return self._answer(store, found, params) if mode == "show" else self._cancel_run(store, found, params)
        _ansible.refuse_other_runners(self)
        compiled = read_workflow(os.path.join(self._base_directory, params["file"]), params["workflow"])
        if mode != "tick" and self.is_own_playbook:
            from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._near_misses import refuse_params

            refuse_params(self._task, self._loader, compiled.definition.get("params", {}), params["params"] or {})
        commit = commit_of(compiled.directory)
        self.commit = None if commit is None else commit._asdict()
        if not self.is_check:
            self.check_project(compiled.directory, commit)
        if mode == "tick":
            return Tick(self, store, params, compiled).run()
        return self._go_on(store, params, compiled)

    # --- To begin a run, or to go on with it

    def _go_on(self, store: Store, params: dict[str, t.Any], compiled: Compiled) -> dict[str, t.Any]:
        name = compiled.definition["name"]
        run_id = params["run"] or f"{_times.now().replace(':', '-')}-{uuid.uuid4().hex[:6]}"
        if not is_run_id(run_id):
            raise AsyncJobError(f"run is {run_id!r}, which cannot name a run: one word can. Nothing was started.")
        run, _version = read_run(store, name, run_id)
        if run is None and params["mode"] != "run":
            raise _unknown(store, name, run_id)
        inventory = self.inventory_for(compiled)
        definition = compiled.definition if run is None else self._definition_of(store, run, compiled, params)
        values, secrets = self._values(run, definition, params)
        if run is None or params["mode"] != "run":
            holder = held_by_another(store, definition, run_id)
            if holder is not None:
                raise AsyncJobError(f"{_beside(name, run_id, holder)} Nothing was started.")
        if run is None:
            run = new_run(definition, run_id, self.host, values, secrets, started_by(self._task_vars)["who"], inventory)
            self.add_commit(run)
            if self.is_check:
                self._check_nothing_left(store, run)
            else:
                self.check_heard()
                run = self.begin(store, run)
                self._definition_of(store, run, compiled, params)  # somebody else may have begun it in between, with another file
        elif run.get("commit") != self.commit and run["status"] not in VERDICTS:
            was, now = ((commit or {}).get("id", "in no repository")[:12] for commit in (run.get("commit"), self.commit))
            self.notify(f"The run {run_id!r} began when the project was at {was}; it is at {now} now.")
        self._check_host(run)
        self._check_given(store, run, values, inventory)
        self.ara.label(f"workflow:{name}", f"run:{run_id}")
        change = self._change(run, params)
        if self._task.check_mode:
            return {**self._plan(run, change(run)), "warnings": [*compiled.warnings, *store.warnings]}
        given = self._given_by({**values, **secrets}, compiled, run)
        after: Run | None = run
        try:
            if params["mode"] != "run":
                after = self.follow(driver.changed(change), store, name, run_id, params, given)
            if after is not None and after["status"] not in VERDICTS:
                after = self.follow(driver.drive(), store, name, run_id, params, given)
        except (AsyncJobError, AnsibleConnectionFailure) as error:  # such as a store that is away for a while
            if params["run"]:
                raise
            # Nobody but us knows an id that we have made.
            raise type(error)(f"{error} To go on: run this once more with run={run_id}.") from error
        if after is not None and self.blocked_by is not None:
            raise AsyncJobError(f"{_beside(name, run_id, self.blocked_by)} Nothing more was started in this one.")
        if after is None:
            raise AsyncJobError(f"The run {run_id!r} of {name!r} is gone: somebody has removed it. Its jobs go on. Put it back if you can.")
        after = self.notifications_of(store, name, run_id, params, given).finish(after)
        answer = self._answer(store, after, params)
        problem = harmless_lines(answer["msg"]) if answer["failed"] else ""
        return {**answer, "problem": problem, "warnings": [*compiled.warnings, *answer["warnings"]]}

    def _check_host(self, run: Run) -> None:
        """Raise if none of the nodes runs here: this task would wait for ever."""
        hosts = executors_of(run)
        if hosts and self.host not in hosts:
            raise AsyncJobError(
                f"The nodes of the run {run['run']!r} run on {', '.join(sorted(hosts))}, and this task has gone to {self.host}. Nothing was"
                f" changed. Run it there (the playbooks of workflows: executor={','.join(sorted(hosts))})."
            )

    def add_commit(self, run: Run) -> None:
        """Note in a run at which commit its project is."""
        if self.commit is not None:
            run["commit"] = self.commit

    def inventory_for(self, compiled: Compiled) -> list[str]:
        """Return the inventories of the command line, as a run notes them."""
        return inventory_of(context.CLIARGS.get("inventory"), compiled.directory)

    def _given_by(self, values: dict[str, t.Any], compiled: Compiled, run: Run) -> Given:
        inventory = [str(place) for place in context.CLIARGS.get("inventory") or ()]
        return Given(values, compiled.directory, inventory, run["definition_hash"], begun_of(run))

    def go_on_once(self, store: Store, params: dict[str, t.Any], compiled: Compiled, run: Run) -> Run | None:
        """Do what there is to do now in a run. Of one that has ended, people may still have to be told. Return it as it is then."""
        definition = self._definition_of(store, run, compiled, params)
        secret = {
            name: value for name, value in (params["params"] or {}).items() if definition.get("params", {}).get(name, {}).get("secret")
        }
        values, secrets = self._values(run, definition, {**params, "params": secret})
        self._check_host(run)
        self._check_given(store, run, values, self.inventory_for(compiled))
        self.only_once, self.blocked_by, self.elsewhere, self.given_up = True, None, {}, {}
        given = self._given_by({**values, **secrets}, compiled, run)
        after = self.follow(driver.drive(), store, run["workflow"], run["run"], params, given)
        if self.blocked_by is not None:
            raise AsyncJobError(_beside(run["workflow"], run["run"], self.blocked_by))
        if after is not None and after["status"] in VERDICTS:
            after = read_run(store, run["workflow"], run["run"])[0] or after  # what has come up last, is in the store only
            after = self.notifications_of(store, run["workflow"], run["run"], params, given).tick(after)
        return after

    def begin(self, store: Store, run: Run) -> Run:
        """Write a run that begins. If somebody else was faster, return theirs.

        :raises AsyncJobError: if there is something left of another one with this id
        """
        self._check_nothing_left(store, run)
        try:
            write_run(store, None, run, expect=ABSENT)
            self.has_changed = True
        except Conflict:
            found, _version = read_run(store, run["workflow"], run["run"])
            if found is None:
                raise
            return found
        return run

    def _check_nothing_left(self, store: Store, run: Run) -> None:
        """Raise if a run with this id was removed, and jobs of it were not: nobody knows what these were to do. So it is if the host knows
        of such jobs, and there is no store: it may be away, and its run with it."""
        if store.is_new() and not self.is_check:
            self._check_store_not_away(store, run)
        left = left_of_another(store, run)
        if not left or read_run(store, run["workflow"], run["run"])[0] is not None:
            return  # or somebody else has just begun it, and these are its jobs
        shown = left[:_SHOWN] + ([f"{len(left) - _SHOWN} more"] if len(left) > _SHOWN else [])
        which = {"playbook": f"{run['workflow']} {run['run']}", "older_than": "0s", "apply": "true", **settings_of(self._options)}
        how = run_playbook("prune", which)
        raise AsyncJobError(
            f"There is no run {run['run']!r} of {run['workflow']!r}, but there are jobs of one with this id, which was removed:"
            f" {', '.join(map(harmless, shown))}. Nothing was started. Give the run another id; or put the document of the old one back,"
            f" to go on with it; or remove what is left of it, with the inventory of these hosts (-i){': ' + how if how else ''}"
        )

    def _check_store_not_away(self, store: Store, run: Run) -> None:
        self.users.become("")
        done = self.on_host("_host.noted", {"directory": self.async_dir}, timeout=self._options["look_timeout"])
        known = []
        for found in heard_notes(done.get("noted")):
            try:
                record = record_of(found, self.host)
            except AsyncJobError:
                continue  # of one job, whose start will say so
            if is_of_run(record) and record["playbook_name"] == f"{run['workflow']} {run['run']}":
                known.append(record["job_name"])
        if known:
            shown = known[:_SHOWN] + ([f"{len(known) - _SHOWN} more"] if len(known) > _SHOWN else [])
            raise AsyncJobError(
                f"There is no store in {store.locate()}, and {self.host} has executed jobs of a run {run['run']!r} of {run['workflow']!r}:"
                f" {', '.join(map(harmless, shown))}. Nothing was started. If the store is away, put it back or mount its disk, then run"
                " the same again; if it is elsewhere, say where (async_job_state_dir); if it is lost, give the run another id."
            )

    def _definition_of(self, store: Store, run: Run, compiled: Compiled, params: dict[str, t.Any]) -> Definition:
        """Return what a run goes on with: what it began with, if that is what the file says."""
        if hash_of(compiled.definition) != run["definition_hash"] and not params["stored_definition"]:
            old, new = run["definition"]["nodes"], compiled.definition["nodes"]
            nodes = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            raise AsyncJobError(
                f"The run {run['run']!r} of {run['workflow']!r} began with another definition than {params['file']} has now"
                f" (it differs in {', '.join(nodes[:5]) or 'what is not about nodes'}). Nothing was started. Give a new run another id; or"
                " say 'stored_definition: true' to go on with the one that it began with: what that runs is in"
                f" {store.locate(path_of_run(run['workflow'], run['run']))} then, and so is up to whoever can write there."
            )
        return t.cast(Definition, run["definition"])

    def _values(self, run: Run | None, definition: Definition, params: dict[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """Return the values of the parameters. Of a run that goes on, it is enough to give the secret ones once more."""
        given = storable(params["params"] or {}, name="params")
        about = definition.get("params", {})
        for name, value in (params["params"] or {}).items():
            place = "" if about.get(name, {}).get("secret") else vaulted(value, f"params.{name}")
            if place:
                raise AsyncJobError(
                    f"{place} is a vaulted value, and would be in the run as plain text, for the parameter {name!r} is not secret. Nothing"
                    " was started. Say 'secret: true' of it in the workflow."
                )
        if run is not None:
            given = {**run["params"], **given}
            lacking = [name for name in run["secret_params"] if name not in given]
            if lacking:
                raise AsyncJobError(
                    f"The run {run['run']!r} has secret parameters, which are not stored: {', '.join(lacking)}. Nothing was started. Give"
                    " them once more (params)."
                )
        return chosen_params(definition, given)

    def _check_given(self, store: Store, run: Run, values: dict[str, t.Any], inventory: list[str]) -> None:
        """Raise if a run began with something else than is given now."""
        where = f"The run {run['run']!r} of {run['workflow']!r}"
        if values != run["params"]:
            names = [name for name in {**values, **run["params"]} if values.get(name) != run["params"].get(name)]
            raise AsyncJobError(
                f"{where} began with other values of {', '.join(names)}. Nothing was started. Leave params out to go on with it; or give a"
                " new run another id."
            )
        if inventory != run["inventory"]:
            raise AsyncJobError(
                f"{where} began with the inventory {', '.join(run['inventory']) or 'that is the default'}, and this is"
                f" {', '.join(inventory) or 'the default'}. Nothing was started. Give the same one (-i)."
            )

    def _change(self, run: Run, params: dict[str, t.Any]) -> t.Callable[[Run], Run]:
        """Return what the order of the user makes of the run."""
        graph = Graph(run["definition"])
        nodes = None if params["nodes"] is None else [*dict.fromkeys(params["nodes"])]
        unknown = [name for name in nodes or () if not _is_there(run, name)]
        if unknown:
            raise AsyncJobError(f"The workflow {run['workflow']!r} has no node {', '.join(map(repr, unknown))}. Nothing was changed.")
        mode, order = params["mode"], self._order(params)

        def changed(run: Run) -> Run:
            # The same task on another host, of a play whose hosts are all that nodes run on, may have said so already.
            orders: list[str] = run.get("orders", [])
            if mode == "run" or order in orders:
                return run
            return {**ordered(run), "orders": [*orders, order][-_ORDERS:]}

        def ordered(run: Run) -> Run:
            if run["status"] not in VERDICTS:
                raise AsyncJobError(f"The run {run['run']!r} is {run['status']}. Nothing was changed. Wait for its end, or cancel it.")
            if mode == "accept":
                ours = {name: part_of(run, name).node for name in nodes or ()}
                good = [name for name, node in ours.items() if node["state"] != ENDED or node["outcome"] in GOOD]
                if good:
                    raise AsyncJobError(f"{', '.join(good)} did not fail: there is nothing to accept. Nothing was changed.")
                return accept(graph, run, nodes or (), self._by(params))
            idle = [name for name in nodes or () if part_of(run, name).node["state"] != ENDED]
            if idle:
                raise AsyncJobError(f"{', '.join(idle)} did not run: there is nothing to run once more. Nothing was changed.")
            if nodes is None and run["status"] == SUCCEEDED:
                raise AsyncJobError(f"Nothing has failed in the run {run['run']!r}. Nothing was changed.")
            return resume(graph, run, nodes)

        return changed

    def _order(self, params: dict[str, t.Any]) -> str:
        """Return what tells this order from all others. It is the same on each host of the play, whose tasks are of one process each, and
        another one for each item of a loop, and for each try."""
        about = json.dumps([_ansible.uuid_of_task(self._task), *(params[name] for name in ("mode", "nodes", "reason"))])
        _GIVEN[about] += 1
        return hashlib.sha256(f"{about} {_GIVEN[about]}".encode("utf-8", "surrogatepass")).hexdigest()

    def _plan(self, run: Run, after: Run) -> dict[str, t.Any]:
        """Return what would happen."""
        after = decide(Graph(after["definition"]), after)
        lines, plan = [], []
        for name in after["definition"]["order"]:
            node = after["nodes"][name]
            would = {ENDED: "stands", SKIPPED: "is skipped", WAITING: "may run later"}.get(node["state"], "runs")
            if node["state"] == WAITING:
                parents = after["definition"]["nodes"][name]["parents"]
                why = f"it waits for {', '.join(parents)}" if parents else "others come first"
            else:
                why = node.get("why") or (
                    f"it has ended: {node['outcome']}" if node["state"] == ENDED else f"attempt {node['attempt']} is due"
                )
            plan.append({"node": name, "would": would, "why": why})
            lines.append(f"{name}: {would}, {why}")
        self.show(harmless_text(lines))
        changed = after["status"] == RUNNING
        return {"changed": changed, "plan": plan, "status": after["status"], "run": run["run"], "workflow": run["workflow"]}

    def _by(self, params: dict[str, t.Any]) -> dict[str, str]:
        return {"who": started_by(self._task_vars)["who"], "time": _times.now(), "reason": params["reason"] or ""}

    # --- Others

    def _cancel_run(self, store: Store, run: Run, params: dict[str, t.Any]) -> dict[str, t.Any]:
        by = self._by(params)
        self._check_host(run)
        if run["status"] == CANCELLED:  # by a task on another host, perhaps
            return {**self._answer(store, run, params), "failed": False}

        def changed(now: Run) -> Run:
            if now["status"] in VERDICTS and now["status"] != CANCELLED:
                raise AsyncJobError(f"The run {now['run']!r} has ended: {now['status']}. Nothing was stopped.")
            return cancel(now, by) if now["status"] == RUNNING else now

        if self._task.check_mode:
            changed(run)
            return {**self._answer(store, run, params), "failed": False, "changed": run["status"] == RUNNING}
        given = Given({}, "", [], begun=begun_of(run))
        after = self.follow(driver.changed(changed), store, run["workflow"], run["run"], params, given)
        if after is not None and after["status"] not in VERDICTS:
            after = self.follow(driver.drive(only_to_cancel=True), store, run["workflow"], run["run"], params, given)
        if after is None:
            raise _unknown(store, run["workflow"], run["run"])
        if after["status"] not in (CANCELLING, CANCELLED):
            over = " To end that, too, cancel it once more." if after["status"] == RUNNING else ""
            raise AsyncJobError(
                f"The run {run['run']!r} was cancelled, and somebody has resumed it since: it is {after['status']}. What ran then was not"
                f" stopped.{over}"
            )
        return {**self._answer(store, after, params), "failed": after["status"] != CANCELLED}

    def _answer(self, store: Store, run: Run, params: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return what the module returns about a run, as it is in the store: there it also has the times."""
        run = read_run(store, run["workflow"], run["run"])[0] or run
        where = store.locate(path_of_run(run["workflow"], run["run"]))
        nodes = {name: run["nodes"][name] for name in run["definition"]["order"]}
        is_over = run["status"] in VERDICTS
        bad = [name for name, node in nodes.items() if node["state"] == ENDED and node["outcome"] not in GOOD]
        given_up = {} if is_over else {name: said for name, said in self.given_up.items() if name in parts_of(run, DUE)}
        errors = {name: said[-1] for (name, _attempt), said in self.not_started.items() if len(said) > 1 and not is_over}
        getting_on, idle = self._getting_on(store, run, params)
        head = f"The run {run['run']!r} of {run['workflow']!r}: {run['status']}"
        msg = f"{head}."
        if is_over and bad:
            msg = f"{head}. {'; '.join(_line(name, nodes[name]) for name in bad[:5])}."
        elif not is_over and params["mode"] != "show":
            waits = [self._where(run, name) for name in parts_of(run, DUE, BACKOFF)]
            waits = waits[:_SHOWN] + ([f"{len(waits) - _SHOWN} more"] if len(waits) > _SHOWN else [])
            problem = "".join(f" {name} could not be started: {text.rstrip('.')}." for name, text in errors.items())
            problem += "".join(f" {name} could not be stopped: {text.rstrip('.')}." for name, text in self.not_stopped(run).items())
            problem += "".join(
                f" {name} is on the localhost of {machine}, and cannot be seen from here." for name, machine in self.elsewhere.items()
            )
            problem += "".join(f" {name}: {text}." for name, text in given_up.items())
            problem += "".join(f" Nobody can tell what became of {name}: {text}." for name, text in self.unclear(run).items())
            if params["mode"] == "cancel":
                for name, host in self.left_to_others(run).items():
                    word = getting_on.get(name, "").partition(":")[0]
                    seen = f" ({word}, as last recorded)" if word else ""
                    problem += f" {name} is on {host}{seen}: cancel the run there, too (the playbook workflow_cancel: executor={host})."
            msg = f"{head}. It waits for {', '.join(waits)}.{problem} To go on: run this once more with run={run['run']}."
        failed = is_over and run["status"] != SUCCEEDED
        if run["status"] == RECOVERED:
            failed = run["definition"].get("recovered_is", SUCCEEDED) != SUCCEEDED
        if params["mode"] == "show":
            failed = False
        width = Display().columns if os.isatty(1) else 1 << 16  # a file, or another program, has as much room as it takes
        lines = lines_of(run, time.time(), width, getting_on, idle)
        if params["mode"] == "show":  # whoever has sent them has said so then, and need not be told again and again
            lines += [harmless(f"Notification {name}: {said}") for name, said in run.get("notified", {}).items() if said]
        if bad:
            lines += _output_of(run, settings_of(params))
        if not is_over and params["mode"] != "show":
            lines.append(msg)
        elif failed:
            lines.append("To run once more what has failed: mode=resume. To take it for good: mode=accept, with nodes and a reason.")
        self.show(harmless_text(lines))
        return {
            "changed": self.has_changed,
            "failed": bool(failed or errors or given_up or self.not_stopped(run) or (self.unclear(run) and not is_over)),
            "finished": is_over,
            "status": run["status"],
            "workflow": run["workflow"],
            "run": run["run"],
            "nodes": nodes,
            "artifacts": public_artifacts(run),
            "msg": msg,
            "state_file": where,
            "notified": run.get("notified", {}),
            "warnings": [*store.warnings],
        }

    def _where(self, run: Run, name: str) -> str:
        """Return what to call a part of a run that is waited for: whose task has to go on with it, if that is not this one's."""
        part = part_of(run, name)
        return name if part.is_approval or executor_of(run, name) == self.host else f"{name} (on {executor_of(run, name)})"

    def _getting_on(self, store: Store, run: Run, params: dict[str, t.Any]) -> tuple[dict[str, str], set[str]]:
        """Return how those nodes are that are due, as far as the store and this task know; and which of them nobody has begun."""
        said, idle = {}, set()
        full: dict[tuple[str, int], str] = {}
        for name, part in parts_of(run, DUE).items():
            if part.is_approval:
                said[name] = self.look_at_approval(store, run, name, params).said
                continue
            attempt = part.node["attempt"]
            record, _version = read_record(store, key_of_node(run, name))
            if record is not None and (not is_of_node(record, run, name) or record.get("attempt", 1) != attempt):
                record = None
            if record is not None and record.get("status") not in CLAIMED:
                said[name] = ": ".join(word for word in (record.get("status", "running"), last_words(record, time.time())) if word)
                continue
            idle.add(name)
            wanted, tried = part.about.get("semaphore"), self.not_started.get((name, attempt))
            if record is not None:
                who = record.get("claim", {}).get("who", "another controller")
                why = record.get("reason") if record.get("claim", {}).get("waits") else ""
                said[name] = f"waits: {why}" if why else f"is being started by {who}"
            elif tried:
                said[name] = "could not be started"  # why, the message says
            else:
                if wanted is not None and (wanted["name"], wanted["at_most"]) not in full:
                    full[wanted["name"], wanted["at_most"]] = _full(store, wanted["name"], wanted["at_most"])
                waits = "" if wanted is None else full[wanted["name"], wanted["at_most"]]
                said[name] = waits or "nobody has begun it"
        return said, idle


def _full(store: Store, semaphore: str, at_most: int) -> str:
    """Return that there is no room in a semaphore, as far as that tells by itself: who has a slot may have ended. Empty if there is, or if
    nobody can tell: whoever starts something finds that out."""
    try:
        holders, _version = read_semaphore(store, semaphore)
    except AsyncJobError:
        return ""
    if len(holders) < at_most:
        return ""
    return f"waits for the semaphore {semaphore!r}, of which {len(holders)} of {at_most} slots are taken, as last recorded"


def _output_of(run: Run, settings: dict[str, str]) -> list[str]:
    """Return the line that says how to see all that nodes have said that have failed. Empty if none of these was a job."""
    parts = [part for part in parts_of(run, ENDED, BACKOFF).values() if part.node.get("outcome") not in GOOD and not part.is_approval]
    bad = [part.name for part in parts if part.node.get("why") != NEVER_BEGAN]
    if not bad:
        return []
    which = {"playbook": f"{run['workflow']} {run['run']}", "job": bad[0], **settings}
    how = run_playbook("show", which)
    others = f" (and so for {len(bad) - 1} more, with their names as job)" if len(bad) > 1 else ""
    return [harmless(f"All that {bad[0]} has said{others}: {how}")] if how else []


_HEADS = ("WORKFLOW", "RUN", "STATUS", "BEGUN", "TOOK", "BY")


def _row(run: dict[str, str]) -> tuple[str, ...]:
    """Return a line of the list of runs."""
    start, end = (_times.moment(run[field]) for field in ("started", "ended"))
    took = brief_time((end - start).total_seconds()) if start and end else ""
    return (run["workflow"], run["run"], f"{sign_of(run['status'])} {run['status']}", run["started"], took, run["started_by"])


def harmless_text(lines: t.Iterable[str]) -> str:
    """Return lines as a terminal may show them."""
    return "\n".join(map(harmless, lines))


def _beside(workflow: str, run: str, holder: Holder) -> str:
    """Say that a run has to wait for another one, and what to do about that."""
    return (
        f"The run {run!r} of {workflow!r} must not run beside the run {holder.run!r} of {holder.workflow!r}, which has not ended"
        " (allow_simultaneous is false). Wait for its end; if nobody drives it any more, go on with it (the same command with"
        f" run={holder.run}), or cancel it."
    )


def _is_there(run: Run, name: str) -> bool:
    try:
        part_of(run, name)
    except KeyError:
        return False
    return True


def _line(name: str, node: dict[str, t.Any]) -> str:
    what = node["outcome"] if node["state"] == ENDED else node["state"]
    attempt = f" (attempt {node['attempt']})" if node["attempt"] > 1 else ""
    return f"{name}: {what}{attempt}{', ' + node['why'] if node.get('why') else ''}"


def _listed(store: Store, workflow: str | None) -> dict[str, t.Any]:
    store.must_exist()
    runs, unreadable = find_runs(store, workflow)
    listed = [
        {**{field: run[field] for field in ("workflow", "run", "status", "started", "started_by")}, "ended": run.get("ended", "")}
        for run in runs
    ]
    result: dict[str, t.Any] = {"changed": False, "runs": listed, "unreadable": unreadable, "warnings": [*store.warnings]}
    if unreadable:
        why = " ".join(problem["msg"] for problem in unreadable[:3])
        result.update(failed=True, msg=f"{len(unreadable)} runs in {store.locate()} cannot be read. {why}")
    return result


def _unknown(store: Store, workflow: str, run: str) -> AsyncJobError:
    store.must_exist()
    why = f"{store.locate(path_of_run(workflow, run))} does not exist"
    if store.is_new():
        why = f"nothing was ever written in {store.locate()}. The disk of the store may not be mounted there, or it is elsewhere"
    return AsyncJobError(f"There is no run {run!r} of the workflow {workflow!r}: {why}.")
