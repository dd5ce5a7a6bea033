# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import collections
import datetime
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _listing, _prune, _record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._prune import Doomed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import Store, open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import aligned, brief_time, harmless
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import HostAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._jobs import of_record

# With how many jobs a host is asked to deal at a time.
_AT_A_TIME = 500


class ActionModule(HostAction):
    """The module C(async_job_prune): what is on the host goes first, so that there is a record for as long as there is anything else."""

    spec = _prune.ARGUMENT_SPEC
    mutually_exclusive = _prune.MUTUALLY_EXCLUSIVE
    required_one_of = _prune.REQUIRED_ONE_OF
    at_least: t.ClassVar[dict[str, float]] = {**HostAction.at_least, "keep": 0, "keep_attempts": 1}

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        if not params["store_only"]:
            if params["hosts"] is not None or params["except_hosts"] is not None:
                raise AsyncJobError("hosts and except_hosts are for 'store_only: true'. Nothing was removed. Run the task on these hosts.")
            params["host"] = params["host"] or str(self._task_vars["inventory_hostname"])
        store = open_store(params, self.notify)
        store.must_exist()
        listing = _listing.find(store, {**params, "older_than": None, "newer_than": None})
        plan = _prune.doomed(listing.found, params)
        self._apply = params["apply"] and not self._task.check_mode
        self._kept: list[dict[str, str]] = []
        self._left: list[str] = []
        rows: list[tuple[str, ...]] = []
        places: collections.Counter[str] = collections.Counter()
        gone = attempts = 0
        for begin in range(0, len(plan), _AT_A_TIME):
            some = plan[begin : begin + _AT_A_TIME]
            asked = self._apply and not params["store_only"]
            refused = self._clear(some, params) if asked else {}
            for number, one in enumerate(some):
                problem = refused.get(number) or (self._carry_out(store, one) if self._apply else "")
                if problem:
                    self._kept.append({"state_file": store.locate(one.found.path), "msg": problem})
                else:
                    gone += one.after is None
                    attempts += len(one.attempts)
                    if params["store_only"]:
                        places.update(
                            attempt.get("delegated_host", attempt["host"]) for attempt in one.attempts if attempt.get("async_dir")
                        )
                rows.append(self._row(one, problem))
        if rows and not self._task.no_log:
            self.say("\n".join(aligned(rows, width=1 << 16)))
        result: dict[str, t.Any] = {
            "changed": bool(attempts),
            "applied": self._apply,
            "store": store.locate(),
            "jobs": len(listing.found),
            "removed": gone,
            "attempts": attempts,
            "kept": self._kept,
            "left": [*self._left, *(f"{place}: what {count} attempts have left there" for place, count in places.items())],
            "unreadable": listing.unreadable,
            "warnings": store.warnings,
        }
        if listing.unreadable:
            result.update(failed=True, msg=f"{listing.problem(store)} They were left alone.")
        return result

    def _clear(self, some: list[Doomed], params: dict[str, t.Any]) -> dict[int, str]:
        """Remove what is on the host. Returns why that must not be, by the numbers of the jobs."""
        refused: dict[int, str] = {}
        for user, jobs in self._on_this_host(some).items():
            self.become_user(user)
            args = {"apply": True, "older_than": "0s", "_action": {"jobs": list(jobs.values())}}
            done = self.on_host("rstyczynski.ansible.async_job_prune", args, timeout=params["look_timeout"])
            for number, answer in zip(jobs, done["jobs"], strict=True):
                self._left += [f"{self.host}: {problem}" for problem in answer["left"]]
                if answer["refused"]:
                    refused[number] = answer["refused"]
        return refused

    def _on_this_host(self, some: list[Doomed]) -> dict[str, dict[int, dict[str, t.Any]]]:
        """What to remove here, by the user to become for that and by the numbers of the jobs."""
        users: dict[str, dict[int, dict[str, t.Any]]] = {}
        for number, one in enumerate(some):
            record = one.found.record
            key = JobKey(record["host"], record["playbook_name"], record["job_name"])
            for attempt in one.attempts:
                if not attempt.get("async_dir") or not _prune.is_job_id(attempt["ansible_job_id"]):
                    continue  # it never started, or nobody noted where
                place = attempt.get("delegated_host", key.host)
                exclusive = attempt.get("attempt_dir") == attempt["async_dir"]
                if place != self.host or self.is_windows or (exclusive and not _prune.is_attempt_directory(attempt["attempt_dir"])):
                    self._left.append(f"{place}: {attempt['async_dir']}")
                    continue
                asked = of_record(key, attempt, one.found.version, {}, self.async_dir)
                job = users.setdefault(self.user_for(asked), {}).setdefault(number, {"looks": [], "directories": []})
                job["looks"].append(asked.job._asdict())
                if asked.job.exclusive:
                    job["directories"].append(attempt["attempt_dir"])
        return users

    @staticmethod
    def _carry_out(store: Store, one: Doomed) -> str:
        """Remove a record, or some of its history. Returns why it could not be."""
        found = one.found
        try:
            if one.after is None:
                store.delete(found.path, expect=found.version)
            else:
                store.write(found.path, _record.dump({**one.after, "write_id": _record.new_write_id()}), expect=found.version)
        except Conflict:
            return "somebody has changed it meanwhile"
        return ""

    def _row(self, one: Doomed, problem: str) -> tuple[str, ...]:
        record = one.found.record
        ago = datetime.datetime.now(datetime.timezone.utc) - _prune.ended_at(record)
        what = "removed" if one.after is None else f"{len(one.attempts)} past attempts removed"
        return (
            *(harmless(record[field]) for field in JobKey._fields),
            record["status"],
            f"ended {brief_time(ago.total_seconds())} ago",
            f"kept: {harmless(problem)}" if problem else what if self._apply else f"would be {what}",
        )
