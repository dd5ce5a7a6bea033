# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import collections
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_prune
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import least_age
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import filters_of, find_records, find_records_of_hosts
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    PAST_ATTEMPTS,
    Record,
    key_of,
    once_unseen_work_is_done,
    place_of,
    unseen_work,
    why_unseen,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.retention import Doomed, doomed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import free_slot
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import aligned, brief_time, harmless, harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import goes_on
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.retention import (
    Spare,
    approvals_of,
    is_of_workflow,
    left_over,
    means_runs,
    old_runs,
    why_needed,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import first_part, is_of_other_store, kept_for
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_list, heard_text, heard_texts
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import HostAction

# With how many jobs a host is asked to deal at a time.
_AT_A_TIME = 500


def _why_needed(store: Store, record: Record) -> str:
    """Return why a record stays although its job has ended. Empty if it may go."""
    action = unseen_work(record)
    return f"it may still be under way: {why_unseen(action)}. {once_unseen_work_is_done(record)}" if action else goes_on(store, record)


class ActionModule(HostAction):
    """The module C(async_job_prune): what is on the host goes first, so that there is a record for as long as there is anything else."""

    programs = ("_host.clear",)
    spec = async_job_prune.ARGUMENT_SPEC
    mutually_exclusive = async_job_prune.MUTUALLY_EXCLUSIVE
    required_one_of = async_job_prune.REQUIRED_ONE_OF
    at_least: t.ClassVar[dict[str, float]] = {**HostAction.at_least, "keep": 0, "keep_attempts": 1}

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        if not params["store_only"] and (params["hosts"] is not None or params["except_hosts"] is not None):
            raise AsyncJobError("hosts and except_hosts are for 'store_only: true'. Nothing was removed. Run the task on these hosts.")
        if params["keep"] is not None and params["job_name_pattern"] is None and params["workflow"] is None:
            raise AsyncJobError(
                "keep needs a job_name_pattern: without one, different jobs of a playbook would count as the old ones of each other."
                " Nothing was removed. Say which jobs are alike, for example 'backup-*'; or of which workflow so many runs are to be kept."
            )
        if params["keep"] is not None and None not in (params["job_name_pattern"], params["workflow"]):
            raise AsyncJobError("keep counts the runs of workflow, or the jobs of job_name_pattern. Nothing was removed. Leave one out.")
        store = open_store(params, self.notify)
        store.must_exist()
        self._place = store.locate()
        self._apply = params["apply"] and not self._task.check_mode
        self._gone: list[Doomed] = []
        self._kept: list[dict[str, str]] = []
        self._left: list[str] = []
        self._rows: list[tuple[str, ...]] = []
        self._spared: collections.Counter[str] = collections.Counter()
        filters = {**params, "older_than": None, "newer_than": None}
        listing = find_records(store, filters) if params["store_only"] else find_records_of_hosts(store, filters, self.hosts_of(params))
        now = time.time()
        needed = self._needed_by_runs(store, params, now)
        found = [one for one in listing.found if self._is_ours(one.record, params) and one.record.get("playbook_name") not in needed]
        of_jobs = {**params, "keep": None if params["workflow"] is not None else params["keep"]}
        plan = doomed(found, of_jobs, lambda record: least_age(record, now))
        problems: list[str] = []
        self._unreadable = listing.unreadable
        try:
            for begin in range(0, len(plan), _AT_A_TIME):
                problems += self._remove(store, plan[begin : begin + _AT_A_TIME], params)
            if params["store_only"] and means_runs(params):
                problems += self._remove_runs(store, params, now)
        except StoreUnavailable as error:
            problems.append(f"{error} Pruning has ended there. Run it again, and it goes on.")
        finally:  # also what was removed before a host went away
            self._show(self._unreadable)
        result: dict[str, t.Any] = {
            "changed": bool(self._gone or self._spared) and params["apply"],
            "applied": self._apply,
            "store": store.locate(),
            "filters": filters_of(params),
            "jobs": len(found),
            "removed": sum(one.after is None for one in self._gone),
            "attempts": sum(len(one.attempts) for one in self._gone),
            "runs": self._spared["run"],
            "approvals": self._spared["approval"],
            "locks": self._spared["lock"] + self._spared["semaphore"],
            "kept": self._kept,
            "left": self._left + (self._left_behind() if params["store_only"] else []),
            "unreadable": self._unreadable,
            "warnings": store.warnings,
        }
        if listing.unreadable:
            problems.append(f"{listing.problem(store)} They were left alone.")
        if problems:
            result.update(failed=True, msg=" ".join(problems))
        return result

    def _is_ours(self, record: Record, params: dict[str, t.Any]) -> bool:
        """Return whether this task deals with a job. It does on the host where the job ran: others may be asking there."""
        if params["workflow"] is not None and not is_of_workflow(record, params["workflow"]):
            return False
        place = place_of(record)
        return place not in (params["except_hosts"] or ()) if params["store_only"] else place == self.host

    def _remove(self, store: Store, some: list[Doomed], params: dict[str, t.Any]) -> list[str]:
        """Remove some jobs. Return what has gone wrong with others."""
        problems: list[str] = []
        needed = {number: why for number, one in enumerate(some) if one.after is None and (why := _why_needed(store, one.found.record))}
        free = {number: one for number, one in enumerate(some) if number not in needed}
        refused = self._clear(free, params, problems) if self._apply and not params["store_only"] else {}
        refused.update(needed)
        for number, one in enumerate(some):
            reason = refused.get(number, "")
            try:
                if self._apply and not reason:
                    reason = self._carry_out(store, one)
            except StoreUnavailable:
                raise
            except AsyncJobError as error:
                problems.append(str(error))
                reason = str(error)
            if reason:
                self._kept.append({"state_file": store.locate(one.found.path), "msg": reason})
            else:
                self._gone.append(one)
            self._rows.append(self._row(one, reason))
        return problems

    @staticmethod
    def _needed_by_runs(store: Store, params: dict[str, t.Any], now: float) -> set[str]:
        """Return the plays whose jobs stay because their runs do, where so many runs of a workflow are to be kept."""
        if params["workflow"] is None or params["keep"] is None:
            return set()
        old, runs, _unreadable = old_runs(store, {**params, "host": None, "hosts": None}, now)
        return {f"{run['workflow']} {run['run']}" for run in runs} - {one.names[1] for one in old}

    def _remove_runs(self, store: Store, params: dict[str, t.Any], now: float) -> list[str]:
        """Remove runs, what belongs to them, and what nobody holds any more. Return what has gone wrong with others."""
        old, _runs, unreadable = old_runs(store, params, now)
        problems: list[str] = []
        for one in old:
            if self._spare(store, one, why_needed(store, one.run), problems):
                approvals, unreadable_ones = approvals_of(store, one.run, now)
                unreadable += unreadable_ones
                for approval in approvals:
                    self._spare(store, approval, "", problems)
        others, unreadable_ones = left_over(store, params, now)
        for one in others:
            self._spare(store, one, "", problems)
        unreadable += unreadable_ones
        new = {problem["state_file"]: problem for problem in unreadable}
        if new:
            self._unreadable = [*self._unreadable, *new.values()]
            first = next(iter(new.values()))["msg"]
            problems.append(f"{len(new)} documents of workflows in {store.locate()} cannot be read. {first} They were left alone.")
        return problems

    def _spare(self, store: Store, one: Spare, reason: str, problems: list[str]) -> bool:
        """Remove a document if nothing is said against it, and return whether it is gone, or would be.

        :arg reason: why it has to stay. Empty if it may go
        :arg problems: what has gone wrong is added
        """
        try:
            if self._apply and not reason:
                store.delete(one.path, expect=one.version)
        except Conflict:
            reason = "somebody has changed it meanwhile"
        except StoreUnavailable:
            raise
        except AsyncJobError as error:
            reason = str(error)
            problems.append(reason)
        if reason:
            self._kept.append({"state_file": store.locate(one.path), "msg": reason})
        else:
            self._spared[one.kind] += 1
        when = f"{'ended' if one.kind == 'run' else 'written'} {brief_time(one.age)} ago"
        what = f"kept: {harmless(reason)}" if reason else "removed" if self._apply else "would be removed"
        self._rows.append((*map(harmless, one.names), one.status, when, what))
        return not reason

    def _show(self, unreadable: list[dict[str, str]]) -> None:
        lines = [*aligned(self._rows, width=1 << 16), *(f"Not readable: {harmless(problem['state_file'])}" for problem in unreadable)]
        if lines and not self._task.no_log:
            self.show(harmless_lines("\n".join(lines)))

    def _left_behind(self) -> list[str]:
        """Say what is still on hosts that were not contacted."""
        attempts = [attempt for one in self._gone for attempt in one.attempts if attempt.get("async_dir")]
        counts = collections.Counter(map(place_of, attempts))
        return [f"{place}: what {count} attempts have left there" for place, count in counts.items()]

    def _clear(self, some: dict[int, Doomed], params: dict[str, t.Any], problems: list[str]) -> dict[int, str]:
        """Remove what is on the host. Return why that was refused, by the numbers of the jobs.

        :arg problems: what has gone wrong is added
        """
        refused: dict[int, str] = {}
        for user, jobs in self._on_this_host(some).items():
            self.users.become(user)
            try:
                done = self.on_host("_host.clear", {"jobs": list(jobs.values())}, timeout=params["look_timeout"])
                answers = heard_list(done, "jobs", len(jobs))
            except (AsyncJobError, AnsibleError) as error:
                if isinstance(error, AnsibleConnectionFailure) and not user:
                    raise
                # A user whom we cannot become is no reason to leave the jobs of others.
                problem = f"Nothing of {user or 'the user of this task'} was removed from {self.host}: {error}"
                problems.append(problem)
                refused.update(dict.fromkeys(jobs, problem))
                continue
            for number, answer in zip(jobs, answers, strict=True):
                self._left += [f"{self.host}: {problem}" for problem in heard_texts(answer.get("left"))]
                if heard_text(answer.get("refused")):
                    refused[number] = answer["refused"]
        return refused

    def _on_this_host(self, some: dict[int, Doomed]) -> dict[str, dict[int, dict[str, t.Any]]]:
        """Return what to remove here, by the user to become for that and by the numbers of the jobs."""
        users: dict[str, dict[int, dict[str, t.Any]]] = {}
        for number, one in some.items():
            record = one.found.record
            key = key_of(record)
            for attempt in one.attempts:
                directory, place = attempt.get("async_dir"), place_of(attempt)
                if not directory:
                    continue  # it never started, or nobody noted where
                asked = of_record(key, attempt, one.found.version, {}, self.async_dir)
                if asked.flaw or not self.is_here(attempt) or self.is_windows:
                    self._left.append(f"{place}: {directory}" + (f" ({asked.flaw})" if asked.flaw else ""))
                    continue
                if is_of_other_store(attempt, self._place):
                    self._left.append(f"{self.host}: {kept_for(attempt)}")
                    continue
                # What prune has cut off itself, it has removed.
                is_full = len(record.get("attempts", ())) >= PAST_ATTEMPTS
                has_forgotten = one.after is None and is_full and record.get("attempt", 1) > PAST_ATTEMPTS + 1
                whole = {"looks": [], "has_forgotten": has_forgotten, "first_part": first_part(self._place)}
                job = users.setdefault(self.user_for(asked), {}).setdefault(number, whole)
                job["looks"].append(self.described(asked))
        return users

    @staticmethod
    def _carry_out(store: Store, one: Doomed) -> str:
        """Remove a record, or some of its history. Return why that was not possible."""
        found = one.found
        try:
            if one.after is None:
                free_slot(store, found.record)
                store.delete(found.path, expect=found.version)
            else:
                write(store, found.path, one.after, expect=found.version)
        except Conflict:
            return "somebody has changed it meanwhile"
        return ""

    def _row(self, one: Doomed, problem: str) -> tuple[str, ...]:
        record = one.found.record
        what = "removed" if one.after is None else f"{len(one.attempts)} past attempts removed"
        return (
            *map(harmless, key_of(record)),
            record["status"],
            f"ended {brief_time(least_age(record, time.time()))} ago",
            f"kept: {harmless(problem)}" if problem else what if self._apply else f"would be {what}",
        )
