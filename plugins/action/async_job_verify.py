# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_verify
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records_of_hosts
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of, picked, place_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked, of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import WatchingAction

# How much of the output is looked at for its last line, in bytes.
_END = 4096
# Of how many jobs it is said why nobody can tell what became of them.
_SHOWN = 3


class ActionModule(WatchingAction):
    """The module C(async_job_verify): it asks the host about all jobs that may have ended meanwhile, and notes what it says."""

    spec = async_job_verify.ARGUMENT_SPEC

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        params.update(status=None, older_than=None, newer_than=None)
        store = open_store(params, self.notify)
        store.must_exist()
        listing = find_records_of_hosts(store, params, self.hosts_of(params))
        asked: list[Asked] = []
        unclear = 0
        for record, _path, version in listing.found:
            if record.get("status", "running") in ("starting", *ENDED) or place_of(record) != self.host:
                continue
            if not self.is_here(record):
                unclear += 1
                continue
            key = key_of(record)
            asked.append(of_record(key, record, version, {}, self.async_dir))
        before = [_status(job.record) for job in asked]
        problems = []
        reasons = []
        # One user whom we cannot become, or one record that somebody removes meanwhile, is no reason to know nothing of the others.
        for user, numbers in self._by_user(asked, {}).items():
            jobs = [asked[number] for number in numbers]
            try:
                looks = self.look(jobs, output="tail", tail_size=_END, timeout=params["look_timeout"])
            except (AsyncJobError, AnsibleError) as error:
                if isinstance(error, AnsibleConnectionFailure) and not user:
                    raise
                problems.append(f"{self.host} could not be asked about the jobs of {user or 'the user of this task'}: {error}")
                unclear += len(jobs)
                continue
            for job, look in zip(jobs, looks, strict=True):
                try:
                    seen = self.note(store, job, look, "tail", last_line=True)
                    unclear += bool(job.problem)
                    if seen["status"] == UNKNOWN and not job.problem:
                        reasons.append(f"{self.host}: {seen['reason']}.")
                except AsyncJobError as error:
                    problems.append(str(error))
        after = [job.predicted or job.record or {} for job in asked]
        flawed = [f"{job.label}: {job.problem}." for job in asked if job.problem]
        more = len(reasons) - _SHOWN
        result: dict[str, t.Any] = {
            "changed": before != [_status(record) for record in after],
            "store": store.locate(),
            "asked": len(asked),
            "unclear": unclear + len(reasons),
            "ended": [picked(record, (*JobKey._fields, "status")) for record in after if _status(record) in ENDED],
            "unreadable": listing.unreadable,
            "warnings": [*store.warnings, *flawed, *reasons[:_SHOWN], *([f"And {more} more."] if more > 0 else [])],
        }
        if listing.unreadable:
            problems.append(listing.problem(store))
        if problems:
            result.update(failed=True, msg=" ".join(problems))
        return result


def _status(record: Record | None) -> str:
    return str((record or {}).get("status", "running"))
