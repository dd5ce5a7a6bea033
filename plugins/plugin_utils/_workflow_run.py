# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive a run of a workflow: do the steps of its protocol, with a real store and a real host.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import importlib
import json
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import since_end
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import (
    Approval,
    command,
    parse_approval,
    path_of_approval,
    person_of,
    status_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import give_way, read_record, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.last_line import why_failed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED as CLAIMED_JOBS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CONCLUDED, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED as ENDED_JOBS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT as NOTHING
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow import driver
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import FAILED, SUCCEEDED, Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import Holder, read_holder, write_holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, status_of_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.notifying import pending
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    BACKOFF,
    CANCELLED,
    CANCELLING,
    DUE,
    EXPIRED,
    NEVER_BEGAN,
    REJECTED,
    RUNNING,
    SETTLED,
    Run,
    begun_of,
    executor_of,
    is_of_node,
    key_of_node,
    part_of,
    parts_of,
    path_of_run,
    time_limit_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.shown import changes
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked, of_record, other_machine
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import SAYS, said_in
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._awx import user_name
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._ends import Ends
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_list
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import ProgramFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import (
    NodeRequest,
    NodeTask,
    heard_report,
    masked,
    secrets_in,
    without_secrets,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._notifications import Notifications
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import PACKAGE
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._project import Commit, commit_said, ends_with, mismatch, script_for
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._several import Several
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._starter import Starter
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._together import TogetherAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import FIRST_INTERVAL, Pace, longer

# How often a node is tried that cannot be started, before the task says so and leaves the rest to the next one.
_TRIES = 3
# How often a node is looked at of which nobody can tell whether it runs, before the task does the same.
_LOOKS = 10


class Given(t.NamedTuple):
    """What a driver brings along."""

    params: dict[str, t.Any]
    """The values of all parameters, secret ones too."""
    directory: str
    """Where the file of the workflow is."""
    inventory: list[str]
    """Of nodes that do not say another one."""
    definition_hash: str = ""
    """Of the definition that the user wants to run. Empty if nothing is to be started."""
    begun: str | None = None
    """Which run all that is for. None if it is for whichever has the id at first."""


class WorkflowAction(TogetherAction):
    """An action that drives runs."""

    look_program = "_host.node_look"
    programs = (*TogetherAction.programs, look_program, "_host.node", "_host.node_report")
    may_be_called: t.ClassVar[tuple[str, ...]] = (look_program, "_host.node_report", "_host.noted", "_host.make_directory", "_host.launch")
    """Those that may be called in the process of a task: what stops processes goes on in a copy of the one that runs it, and the copy of a
    task would be another driver."""

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._pace = Pace()
        self._running: dict[tuple[str, str, int], Asked] = {}
        """The jobs that ran when they were looked at last, so that a tick that finds nothing new need not read their records."""
        self._held_back: set[tuple[str, str, int]] = set()
        """The attempts that were not there when they were looked at last, and that wait for a semaphore: nobody starts them without it."""
        self._reports: dict[str, t.Any] = {}
        """What nodes had written about themselves by the last look, by the names of the directories of their attempts."""
        self._ends = Ends()
        self._interval = FIRST_INTERVAL
        self._approvals_until: float | None = None
        self._away_since: float | None = None
        self.elsewhere: dict[str, str] = {}
        """The machines of jobs that cannot be seen from here: on the localhost of another controller."""
        self.only_once = False
        """Whether to do what there is to do now, and to wait for nothing."""
        self.blocked_by: Holder | None = None
        """The run that goes on, and that this one must not run beside."""
        self.has_changed = False
        """Whether this task has written anything to the run."""
        self._notifications: dict[tuple[str, str], Notifications] = {}
        self._backoff_since: dict[tuple[str, str, int], float] = {}
        """Since when attempts are known to have ended that are to be followed by another one, by our clock."""
        self._elsewhere_since: dict[str, tuple[tuple[t.Any, ...], float]] = {}
        """Of nodes of other hosts, what was last known, and since when nothing else has been, by our clock."""
        self.given_up: dict[str, str] = {}
        """The nodes of other hosts of which nothing was heard for too long, and what to do about each."""
        self.not_started: dict[tuple[str, int], list[str]] = {}
        """Why attempts of nodes could not be started, each time."""
        self._not_stopped: dict[tuple[str, str], list[str]] = {}
        """Why nodes of cancelled runs could not be stopped, each time."""
        self._unclear: dict[tuple[str, str], list[str]] = {}
        """Why nobody can tell what became of nodes, each time since somebody could."""

    def follow(self, steps: driver.Steps, store: Store, workflow: str, run: str, params: dict[str, t.Any], given: Given) -> Run | None:
        """Play a protocol of runs to its end. Return the run as it is then.

        :arg params: validated options of the task
        """
        self._store, self._which, self._options, self._given = store, (workflow, run), params, given
        notifications = self.notifications_of(store, workflow, run, params, given)
        answer: t.Any = None
        begun = given.begun
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as stop:
                return t.cast("Run | None", stop.value)
            match step:
                case driver.ReadRun():
                    answer = read_run(store, workflow, run)
                    begun = begun_of(answer[0]) if begun is None and answer[0] is not None else begun
                    if answer[0] is not None and begun_of(answer[0]) != begun:
                        answer = None, NOTHING  # what this task was given is for the one that was removed
                    else:
                        self._check_definition(answer[0], given)
                case driver.WriteRun(before, after, expect):
                    answer = self._write_run(before, after, Version(expect))
                case driver.ReadHolder(lock):
                    answer = read_holder(store, lock)
                case driver.WriteHolder(lock, holder, expect):
                    answer = self._take(lock, holder, Version(expect))
                case driver.ReadStatus(holder):
                    answer = status_of_run(store, holder.workflow, holder.run)
                case driver.Blocked(_run, holder):
                    self.blocked_by, answer = holder, False
                case driver.Look(found, due, backoff):
                    answer = self._look_in_peace(found, due, backoff)
                case driver.Start(found, names):
                    self._start_nodes(found, names)
                    answer = None
                case driver.Stop(found, names):
                    self._stop(found, names)
                    answer = None
                case driver.Wait(found):
                    notifications.tick(found)
                    answer = self._wait(found)

    def _check_definition(self, run: Run | None, given: Given) -> None:
        """Raise if a run has another definition than when this task has set out to drive it: what that runs, nobody here has asked for."""
        if run is not None and given.definition_hash and run["definition_hash"] != given.definition_hash:
            where = self._store.locate(path_of_run(run["workflow"], run["run"]))
            raise AsyncJobError(
                f"The run {run['run']!r} of {run['workflow']!r} has another definition than a moment ago: somebody has changed {where}, or"
                " removed the run and begun it anew. Nothing more was started. Find out who has, and give a new run another id."
            )

    def _take(self, lock: str, holder: Holder, expect: Version) -> Version | None:
        try:
            return write_holder(self._store, lock, holder, expect=expect)
        except Conflict:
            give_way()
            return driver.CONFLICT

    def notifications_of(self, store: Store, workflow: str, run: str, params: dict[str, t.Any], given: Given) -> Notifications:
        """Return what tells people of a run that this task drives: the same each time."""
        if (workflow, run) not in self._notifications:
            self._notifications[workflow, run] = Notifications(
                self,
                store,
                params,
                params=given.params,
                directory=given.directory,
                inventory=given.inventory,
                definition_hash=given.definition_hash,
            )
        return self._notifications[workflow, run]

    def has_to_tell(self, run: Run) -> bool:
        """Return whether people are still to be told of something in a run, from here."""
        return run["executor"] == self.host and bool(pending(run))

    def _write_run(self, before: Run, after: Run, expect: Version) -> Version | None:
        try:
            version = write_run(self._store, before, after, expect=expect)
        except Conflict:
            give_way()
            return driver.CONFLICT
        self.has_changed = True
        self._interval = FIRST_INTERVAL
        for line in changes(before, after):
            self.say(line)
        return version

    def _is_ours(self, run: Run, name: str) -> bool:
        return executor_of(run, name) == self.host

    # --- Looks

    def _look_in_peace(self, run: Run, due: list[str], backoff: list[str]) -> driver.Seen:
        """Look, and bear it for a while that the host is away."""
        while True:
            try:
                seen = self._look_at(run, due, backoff)
                self._away_since = None
                return seen
            except AnsibleConnectionFailure as error:
                self._away_since = self._away_since or time.monotonic()
                self.bear(error, self._away_since, self._options["unreachable_timeout"], self._pace, is_over=False)
            time.sleep(self._options["wait_interval"])

    def _look_at(self, run: Run, due: list[str], backoff: list[str]) -> driver.Seen:
        found: dict[str, driver.Found] = {}
        asked: dict[str, Asked] = {}
        known, self._running, self._reports = self._running, {}, {}
        held_back, self._held_back = self._held_back if run["status"] == RUNNING else set(), set()
        for name in due:
            which = (run["run"], name, part_of(run, name).node["attempt"])
            if which in known:
                one: driver.Found | Asked = known[which]
            elif which in held_back:
                one = driver.Found(driver.ABSENT)
            else:
                one = self._read_one(run, name)
            if isinstance(one, Asked):
                asked[name] = one
            else:
                found[name] = one
        running = {name: job for name, job in asked.items() if (job.record or {}).get("status") not in ENDED_JOBS}
        said: dict[str, str] = {}
        if self._is_here:
            self._ends.before_a_look(map(_results_file, running.values()))
        if running:
            options = {**self._options, "store_output": False, "tail_size": 0}
            looks = self.look_and_note(options, self._store, [*running.values()], "tail")
            for name, look in zip(running, looks, strict=True):
                is_secret = bool((running[name].record or {}).get("no_log"))
                step = _step(look["progress"], is_secret=is_secret) if look["progress"] else ""
                machine = other_machine(running[name].record or {}, self.host, self._connection.transport)
                if look["status"] == UNKNOWN and machine:
                    self.elsewhere[name] = machine
                    said[name] = f"is on the localhost of {machine}, and cannot be seen from here. Go on with the run there"
                    continue
                self.elsewhere.pop(name, None)
                if look["status"] == UNKNOWN:
                    self._unclear.setdefault((run["run"], name), []).append(look["reason"])
                else:
                    self._unclear.pop((run["run"], name), None)
                said[name] = f"{look['status']}{step}" if look["status"] == "running" else f"{look['status']}: {look['reason']}"
        # One that goes on of an attempt before is awaited.
        ended = {name: job for name, job in asked.items() if _has_ended(job, part_of(run, name).node["attempt"])}
        # Whoever changes the record of one that runs, changes its version: nothing is written over that.
        for name, job in asked.items():
            if (job.record or {}).get("status") == "running" and not job.flaw:
                self._running[run["run"], name, part_of(run, name).node["attempt"]] = job
        found.update(self._outcomes(run, ended))
        for name, job in asked.items():
            found.setdefault(name, driver.Found(said=said.get(name, job.flaw)))
        for name, one in found.items():
            level = part_of(run, name).way[-1]
            if level.number is not None and name not in self.elsewhere:  # one line for all items
                items = level.nodes[level.own]["items"]
                name = name[: name.rindex("[")]
                over = sum(item["state"] in SETTLED for item in items)
                one = driver.Found(said=f"{over} of {len(items)} items have ended")
            if one.said and one.outcome is None and self._pace.is_due(name, one.said):
                self.say(f"{name}: {one.said}")
        return driver.Seen(found, frozenset(name for name in backoff if self._is_ripe(run, name)))

    def _is_ripe(self, run: Run, name: str) -> bool:
        """Return whether a job has waited long enough for its next attempt. Whoever has seen it wait for so long need not ask by whose
        clock the one before has ended: that may be ahead."""
        part, now = part_of(run, name), time.monotonic()
        delay: float = part.about.get("retry_delay", 0)
        since = self._backoff_since.setdefault((run["run"], name, part.node["attempt"]), now)
        return max(since_end(t.cast("Record", part.node), time.time()), now - since) >= delay

    def _run(self, entry: str, arguments: dict[str, t.Any], words: t.Sequence[str]) -> dict[str, t.Any]:
        """Run a program on the host. On this machine and as ourselves, it is called in this process: to make, send, compile and end another
        one takes many times as much, and a run is looked at again and again."""
        connection = self._connection
        is_here = connection.transport == "local" and connection.become is None and not any(self._task.environment or ())
        if words or not is_here or entry not in self.may_be_called:
            return super()._run(entry, arguments, words)
        try:
            done = importlib.import_module(f"{PACKAGE}.{entry}").main(**json.loads(json.dumps(arguments)))
            return t.cast("dict[str, t.Any]", json.loads(json.dumps(done)))
        except Exception as error:
            msg = str(error) if isinstance(error, AsyncJobError) else f"{entry} has failed: {type(error).__name__}: {error}"
            raise ProgramFailed(msg, {"failed": True, "msg": msg}) from error

    def _heard(self, answer: dict[str, t.Any], job: Asked) -> Seen:
        self._reports[job.looked_for.attempt] = answer.get("node")
        return super()._heard(answer, job)

    def _read_one(self, run: Run, name: str) -> driver.Found | Asked:
        """Return what is written of an attempt that is due: the job to ask about, or all that there is to know."""
        if _is_approval(run, name):
            return self.look_at_approval(self._store, run, name, self._options)
        return self._read_job(run, name)

    def _read_job(self, run: Run, name: str) -> driver.Found | Asked:
        """Return what the record of a node says of the attempt that is due. If only its host can tell, return the job to ask about."""
        key, attempt = key_of_node(run, name), part_of(run, name).node["attempt"]
        record, version = read_record(self._store, key)
        if record is not None and not is_of_node(record, run, name):
            return driver.Found(driver.ABSENT, said=f"{self._store.locate(key.path)} is the record of another job")
        if not self._is_ours(run, name):
            return self._left_to_another(run, name, record, version)
        if record is None or driver.is_before(record, attempt):
            return driver.Found(driver.ABSENT)
        if record.get("status") in CLAIMED_JOBS:  # of an attempt before, too: whoever has claimed that may be dead
            return driver.Found(driver.CLAIMED)
        if record.get("attempt", 1) > attempt and record.get("status") in ENDED_JOBS:
            return driver.Found(driver.ABSENT)
        asked = of_record(key, record, version, {}, self.async_dir)
        self._note_machine(asked)
        return asked

    def _left_to_another(self, run: Run, name: str, record: Record | None, version: Version) -> driver.Found:
        """Return what there is to say of a node that only a task on another host starts and watches; and note since when nothing has
        happened to it."""
        part, host, limit = part_of(run, name), executor_of(run, name), self._options["executor_timeout"]
        attempt = part.node["attempt"]
        has_begun = record is not None and not driver.is_before(record, attempt)
        known = (run["run"], attempt, version if has_begun else "")
        if self._elsewhere_since.get(name, ((), 0.0))[0] != known:
            self._elsewhere_since[name] = known, time.monotonic()
            self.given_up.pop(name, None)
        silent = time.monotonic() - self._elsewhere_since[name][1]
        how = (
            f"Run this task on {host}, too (the playbook workflow: executor={host}), and see that it can be reached; or end the run, with"
            " mode=cancel"
        )
        if run["status"] == CANCELLING:
            how = f"Cancel the run on {host}, too (the playbook workflow_cancel: executor={host})"
        if record is None or not has_begun:
            if silent >= limit:
                self.given_up[name] = f"no task of this workflow on {host} has begun it for {limit} seconds (executor_timeout). {how}"
            said = f"waits until a task of this workflow on {host} begins it, for at most {limit} seconds (executor_timeout)"
            return driver.Found(driver.ABSENT, said=said)
        # As long as it may run, its record may stay as it is.
        limit += 0 if record.get("status") in ENDED_JOBS else time_limit_of(part.about)
        if silent >= limit:
            word = record.get("status", "running")
            self.given_up[name] = f"it is {word} on {host}, as last recorded, and nobody there has noted more for {limit} seconds. {how}"
        return driver.Found(said=f"is left to a task of this workflow on {host}, which notes its end")

    def _outcomes(self, run: Run, ended: dict[str, Asked]) -> dict[str, driver.Found]:
        """Return how attempts have ended, with what their nodes have written about themselves."""
        told = {name: job for name, job in ended.items() if job.is_attempt and part_of(run, name).about["kind"] != "command"}
        reports = {name: self._reports.get(job.looked_for.attempt) for name, job in told.items()}
        # Those that this tick has not looked at: they had ended before it.
        untold = [name for name, report in reports.items() if report is None]
        for user, numbers in self._by_user([told[name] for name in untold], {}).items():
            self.users.become(user)
            names = [untold[number] for number in numbers]
            arguments = {"jobs": [self.described(told[name]) for name in names]}
            done = self.on_host("_host.node_report", arguments, timeout=self._options["look_timeout"])
            reports.update(zip(names, heard_list(done, "reports", len(names)), strict=True))
        known = all(name in self._given.params for name in run["secret_params"])
        secrets = secrets_in(self._given.params[name] for name in run["secret_params"]) if known else None
        return {
            name: driver.Found(outcome=_outcome(part_of(run, name).node["attempt"], job.record or {}, reports.get(name), secrets))
            for name, job in ended.items()
        }

    # --- Starts

    def _start_nodes(self, run: Run, names: list[str]) -> None:
        self.check_heard()
        graph = Graph(run["definition"])
        starters: dict[str, tuple[NodeRequest, Starter]] = {}
        for name in self._with_slots(run, names):
            attempt = part_of(run, name).node["attempt"]
            if _is_approval(run, name):
                self._ask(run, name)
            elif self._is_ours(run, name) and len(self.not_started.get((name, attempt), ())) < _TRIES:
                request = NodeRequest(self._options, self._store, run, name, started_by=self.started_by())
                given = self._given
                task = NodeTask(self, graph, run, name, directory=given.directory, params=given.params, inventory=given.inventory)
                if task.unclear:
                    self.notify(
                        f"[WARNING]: {name}: nodes before it have said different things, and none is nearer: {'; '.join(task.unclear)}"
                    )
                starters[name] = request, Starter(request, task, self, alone=False)
        if not starters:
            return
        some = [starter for _request, starter in starters.values()]
        answers = Several(some, self, self._store, {**self._options, "tail_size": 0}, poll=0, most=len(some)).run()
        for (name, (request, starter)), answer in zip(starters.items(), answers, strict=True):
            waits = not answer["failed"] and not answer.get("finished") and not starter.has_started
            if waits and answer.get("reason") and self._pace.is_due(("start", name), answer["reason"]):
                self.say(f"{name}: {answer['reason']}")
            if starter.has_started and self._is_here and answer.get("record"):
                self._ends.has_begun(_results_file(of_record(request.key, answer["record"], NOTHING, {}, self.async_dir)))
            if answer["failed"] and not starter.has_started and not request.refused and "record" not in answer:
                self.not_started.setdefault((name, request.attempt), []).append(str(answer["msg"]))

    def _with_slots(self, run: Run, names: list[str]) -> list[str]:
        """Return the nodes less those that would only find their semaphore full. Whoever starts a job claims it first, and takes that back
        then: two documents for each node that waits, again and again."""
        if not any("semaphore" in part_of(run, name).about for name in names):
            return names
        # Compiled when it is needed, as where a job takes a slot.
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._slots import Room, Slots

        known = {job.key: job.record for job in self._running.values()}
        rooms: dict[str, Room] = {}
        chosen = []
        for name in names:
            wanted = part_of(run, name).about.get("semaphore") if self._is_ours(run, name) else None
            if wanted is None:
                chosen.append(name)
                continue
            try:
                if wanted["name"] not in rooms:
                    rooms[wanted["name"]] = Room(Slots(NodeRequest(self._options, self._store, run, name), self, poll=0), known)
                room = rooms[wanted["name"]]
                has_room = room.has(key_of_node(run, name), wanted["at_most"])
            except AsyncJobError:  # to start it, says what is wrong
                chosen.append(name)
                continue
            if has_room:
                chosen.append(name)
                continue
            self._held_back.add((run["run"], name, part_of(run, name).node["attempt"]))
            why = room.why_not(wanted["name"], wanted["at_most"])
            if why and self._pace.is_due(("start", name), why):
                self.say(f"{name}: {why}")
        return chosen

    def _stop(self, run: Run, names: list[str]) -> None:
        for name in names:
            attempt = part_of(run, name).node["attempt"]
            if _is_approval(run, name):
                self._withdraw(run, name)
            elif self._can_stop(run, name):
                try:
                    self._stop_job(run, name, driver.stopped(attempt, _never_begun))
                except StoreUnavailable:
                    raise
                except AsyncJobError as error:
                    self._not_stopped.setdefault((run["run"], name), []).append(str(error))
                    self.notify(f"{name}: {error}")
        time.sleep(FIRST_INTERVAL)

    def _can_stop(self, run: Run, name: str) -> bool:
        """Return whether there is something to do here to make a node end, that has not failed each time so far."""
        return self._is_ours(run, name) and name not in self.elsewhere and len(self._not_stopped.get((run["run"], name), ())) < _TRIES

    def not_stopped(self, run: Run) -> dict[str, str]:
        """Return why nodes of a cancelled run could not be stopped here, as far as they have not ended since."""
        due = parts_of(run, DUE) if run["status"] == CANCELLING else ()
        return {name: said[-1] for (of, name), said in self._not_stopped.items() if of == run["run"] and name in due}

    def _stop_job(self, run: Run, name: str, steps: driver.Steps) -> None:
        key, seconds = key_of_node(run, name), self._options["look_timeout"]
        answer: t.Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration:
                return
            match step:
                case exactly_once.Read():
                    answer = read_record(self._store, key)
                    if answer[0] is not None and not is_of_node(answer[0], run, name):
                        answer = None, NOTHING
                case exactly_once.Write(record, expect):
                    try:
                        answer = write_record(self._store, key, _as_it_is(record), expect=Version(expect))[1]
                    except Conflict:
                        give_way()
                        answer = exactly_once.CONFLICT
                case exactly_once.Inspect(record):
                    answer = self.inspect(record, seconds)
                case exactly_once.Fence(record):
                    answer = self.fence(record, seconds)
                case driver.GuardStop():
                    answer = driver.is_cancelled(read_run(self._store, run["workflow"], run["run"])[0], begun_of(run))
                case driver.Kill(record):
                    self._cancel_job(run, name, record)
                    answer = None

    def _cancel_job(self, run: Run, name: str, record: Record) -> None:
        """Stop a job that runs, as C(async_job_cancel) does. Not an attempt after it, of a run that somebody has resumed meanwhile."""
        args = {
            **key_of_node(run, name)._asdict(),
            "reason": run.get("cancelling", {}).get("reason", ""),
            "grace_period": self._options["grace_period"],
            "look_timeout": self._options["look_timeout"],
            "become_recorded_user": self._options["become_recorded_user"],
            **{option: value for option, value in self._store_options().items() if value is not None},
        }
        result = _ansible.run_action(
            self, "rstyczynski.ansible.async_job_cancel", args, self._task_vars, only_job_id=record["ansible_job_id"]
        )
        if result.get("failed"):
            raise AsyncJobError(str(result.get("msg")))

    # --- Approvals

    def look_at_approval(self, store: Store, run: Run, name: str, params: dict[str, t.Any]) -> driver.Found:
        """Return whether an attempt of a node is approved.

        :arg params: validated options of the task
        """
        approval, _version = _approval(store, run, name)
        if approval is None:
            return driver.Found(driver.ABSENT)
        part = part_of(run, name)
        attempt, status = part.node["attempt"], status_of(approval)
        if approval["subject"] != part.about["approval"]:  # somebody has asked for something else, and may have got it
            return driver.Found(driver.ABSENT)
        if approval["allow_self"] and not part.about.get("allow_self", False) and status != REJECTED:
            if status != "approved":
                return driver.Found(driver.ABSENT)
            where = store.locate(path_of_approval(*_names_of_approval(run, name)))
            raise AsyncJobError(
                f"The approval {where} does not count: it was asked for in a way that whoever asks may approve it, and the workflow does"
                " not say so (allow_self). Nothing was started. Remove it, and run this once more, which asks anew."
            )
        about = {"end": _times.now()}
        if status == "requested":
            how = command("approve", approval, settings_of(params))
            return driver.Found(said=f"awaits approval. To approve: {how}")
        if status == EXPIRED:
            return driver.Found(outcome=Outcome(attempt, EXPIRED, f"nobody had decided until {approval['expires']}", about))
        who = person_of(approval, "decider", "decided_by")
        reason = f": {approval['reason']}" if approval.get("reason") else ""
        word = SUCCEEDED if status == "approved" else REJECTED
        return driver.Found(outcome=Outcome(attempt, word, f"{status} by {who}{reason}"[:1000], about))

    def _ask(self, run: Run, name: str) -> None:
        """Ask for the approval that a node waits for, if the run still wants it."""
        now, _version = read_run(self._store, *self._which)
        part = part_of(run, name)
        if driver.why_not(now, name, part.node["attempt"], begun_of(run)):
            return
        about = part.about
        playbook_name, approval_name = _names_of_approval(run, name)
        asked = {option: spec.get("default") for option, spec in async_job_approval.ARGUMENT_SPEC.items()}
        asked.update(self._store_options(), mode="request", name=approval_name, playbook_name=playbook_name, subject=about["approval"])
        asked.update(expires_in=about.get("timeout", 0), allow_self=about.get("allow_self", False))
        awx_user = user_name(self._task_vars)  # all jobs of AWX run as one user of the system
        async_job_approval.run(asked, check_mode=False, notify=self.notify, awx_user=awx_user, begun=begun_of(run))
        self.say(f"{name}: asks for approval: {about['approval']}")

    def _withdraw(self, run: Run, name: str) -> None:
        """Take a request back that nobody has decided on."""
        approval, version = _approval(self._store, run, name)
        if approval is not None and approval["status"] == "requested":
            try:
                self._store.delete(path_of_approval(*_names_of_approval(run, name)), expect=version)
            except Conflict:
                give_way()

    def _store_options(self) -> dict[str, t.Any]:
        return {option: self._options[option] for option in STORE_OPTIONS}

    # ---

    def check_project(self, directory: str, here: Commit | None) -> None:
        """Make sure that the host has the project of this controller, and say what its nodes would not survive, as far as that is seen.

        :raises AsyncJobError: if it has another one
        """
        if self._connection.transport == "local":
            end = ends_with()
            if end:
                self.notify(
                    f"[WARNING]: Nodes on {self.host} run inside of {end}, and end with it. If that may be before the run has ended, name a"
                    " host that stays (executor)."
                )
            return
        self.users.become("")
        done = self._run_in_shell(script_for(directory, SAYS), self._options["look_timeout"])
        said = said_in(str(done["stdout"]), str(done.get("stderr") or done["stdout"]))
        if "missing" in said:
            raise AsyncJobError(
                f"There is no directory {directory} on {self.host}. Nothing was started. Put the project there: nodes read their playbooks"
                " from the same place as here."
            )
        there = commit_said(said)
        problem = mismatch(here, there, self.host, directory)
        if problem:
            raise AsyncJobError(problem)
        if here is not None and there is not None and (here.is_dirty or there.is_dirty):
            where = " and ".join(place for place, commit in (("here", here), (f"on {self.host}", there)) if commit.is_dirty)
            self.notify(
                f"[WARNING]: {directory}: {where}, there are changes that are not committed. Nodes on {self.host} see what is there."
            )

    def is_busy(self, run: Run) -> bool:
        """Return whether something goes on in a run that needs nobody but time."""
        jobs = [part for part in parts_of(run, DUE).values() if not part.is_approval]
        if run["status"] == CANCELLING:
            return any(self._can_stop(run, part.name) for part in jobs)
        return bool(parts_of(run, BACKOFF)) or any(self._is_ours(run, part.name) and self._has_hope(run, part.name) for part in jobs)

    def _has_hope(self, run: Run, name: str) -> bool:
        """Return whether a job may yet come to an end that is seen from here, or begin."""
        tries = len(self.not_started.get((name, part_of(run, name).node["attempt"]), ()))
        looks = len(self._unclear.get((run["run"], name), ()))
        return name not in self.elsewhere and name not in self.given_up and looks < _LOOKS and tries < _TRIES

    def unclear(self, run: Run) -> dict[str, str]:
        """Return why nobody can tell what became of nodes, of those that have not ended since, after some looks."""
        due = parts_of(run, DUE)
        return {name: said[-1] for (of, name), said in self._unclear.items() if of == run["run"] and name in due and len(said) >= _LOOKS}

    def left_to_others(self, run: Run) -> dict[str, str]:
        """Return the hosts of nodes that have not ended, and run where this task has not gone."""
        jobs = [name for name, part in parts_of(run, DUE).items() if not part.is_approval]
        return {name: executor_of(run, name) for name in jobs if not self._is_ours(run, name)}

    def _wait(self, run: Run) -> bool:
        """Wait for a moment. Return False if there is nothing here to wait for."""
        due = parts_of(run, DUE)
        if self.only_once or not self.is_heard:
            return False
        if run["status"] == CANCELLING:
            return any(_is_approval(run, name) or self._can_stop(run, name) for name in due)
        jobs = [name for name, part in due.items() if not part.is_approval and self._has_hope(run, name)]
        if not jobs and not parts_of(run, BACKOFF):
            if not any(part.is_approval for part in due.values()):
                return False
            now = time.monotonic()
            if self._approvals_until is None:
                self._approvals_until = now + self._options["wait_timeout"]
            if now >= self._approvals_until:
                return False
        else:
            self._approvals_until = None
        self._sleep(self._interval)
        self._interval = longer(self._interval, self._options["wait_interval"])
        return True

    def _sleep(self, seconds: float) -> None:
        """Wait for a while. On our own machine, that is over when a job has most likely ended."""
        self._ends.wait(seconds, map(_results_file, self._running.values()) if self._is_here else ())

    @property
    def _is_here(self) -> bool:
        """Whether the host is this machine, whose files can be seen without a look."""
        return bool(self._connection.transport == "local")


def _results_file(job: Asked) -> str:
    return f"{job.looked_for.directory}/{job.job_id}"


def _has_ended(job: Asked, attempt: int) -> bool:
    """Return whether this attempt of a job is known to have ended."""
    record = job.record or {}
    return record.get("status") in ENDED_JOBS and record.get("attempt", 1) == attempt and not job.flaw


def _is_approval(run: Run, name: str) -> bool:
    return part_of(run, name).is_approval


def _names_of_approval(run: Run, name: str) -> tuple[str, str]:
    """Return the play and the name of the approval that an attempt of a node asks for."""
    attempt = part_of(run, name).node["attempt"]
    return f"{run['workflow']} {run['run']}", name if attempt == 1 else f"{name} ({attempt})"


def _approval(store: Store, run: Run, name: str) -> tuple[Approval | None, Version]:
    """Read the approval that an attempt of a node asks for. What a run with the same id has asked for, which was removed, is none: nobody
    has decided on this one."""
    names = _names_of_approval(run, name)
    path = path_of_approval(*names)
    document = store.read(path)
    if document is None:
        return None, NOTHING
    approval = parse_approval(document.content, *names, where=store.locate(path))
    return (approval, document.version) if begun_of(approval) == begun_of(run) else (None, NOTHING)


def _step(progress: dict[str, t.Any], *, is_secret: bool) -> str:
    """Return how far a node is, and of one that is secret, not what it calls that."""
    current, total = progress["current"], progress["total"]
    return f", task {current} of {total} ({100 * current // total} %)" + ("" if is_secret else f": {progress['text']}")


def _never_begun(record: Record) -> Record:
    """Return the record of an attempt that somebody had claimed, and that never began. If its place on the host was chosen, it keeps that:
    else the host would tell of an attempt that nobody knows."""
    return {**record, "status": CANCELLED, "reason": NEVER_BEGAN}


def _as_it_is(record: Record) -> Record:
    """Return the record of an attempt that is claimed no more, as whoever starts one would write it."""
    after = without(record, ("claim",))
    if record["ansible_job_id"]:
        after["results_file"] = f"{record['async_dir']}/{record['ansible_job_id']}"
    if record["status"] in ENDED_JOBS:
        after["end"], after["told"] = _times.now(), ""
    return after


def _outcome(attempt: int, record: Record, said: t.Any, secrets: t.Sequence[str] | None) -> Outcome:
    """Return how a node has ended: by its job, and where that cannot tell, by what its playbook has written last.

    :arg secrets: what secret parameters hold. None if that is not known here
    """
    word, why = record.get("status", ""), ""
    details: dict[str, t.Any] = {field: record[field] for field in ("end", "ended") if record.get(field)}
    if said is not None:
        report, failed, problem = heard_report(said)
        details.update(report if secrets == [] else without_secrets(report, secrets))
        if failed is not None and word in CONCLUDED:
            why = f"Ansible's wrapper was {word}; the playbook had come to its end"
            word = FAILED if failed else SUCCEEDED
        elif problem and word == SUCCEEDED:
            why = f"nothing more is known of it: {problem}"
    if word != SUCCEEDED and not why:
        first = next(iter(details.get("problems", ())), None)
        where = f"{first['host']}: {first['task']}: {first['msg']}" if first else _reason(record, secrets)
        why = " ".join(where.split())[:1000].rstrip(".")  # what is said of it goes on, or ends with one
    return Outcome(attempt, word, why, details)


def _reason(record: Record, secrets: t.Sequence[str] | None) -> str:
    """Return why a node has failed that has not told that by itself, with what it has said last."""
    reason = str(record.get("reason") or "")
    said = "" if secrets is None else why_failed(record, lambda text: masked(text, secrets))
    return f"{reason}: {said}" if reason and said else reason or said
