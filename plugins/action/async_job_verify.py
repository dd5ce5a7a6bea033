# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _listing, _record, _verify
from ansible_collections.rstyczynski.ansible.plugins.module_utils._key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import open_store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._jobs import of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import WatchingAction

# How much of the output is looked at for its last line, in bytes.
_END = 4096


class ActionModule(WatchingAction):
    """The module C(async_job_verify): it asks the host about all jobs that may have ended meanwhile, and notes what it says."""

    spec = _verify.ARGUMENT_SPEC

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        params.update(status=None, older_than=None, newer_than=None)
        store = open_store(params, self.notify)
        store.must_exist()
        hosts = self.hosts_of(params)
        listing = _listing.of_hosts(store, params, hosts)
        asked = []
        elsewhere = 0
        for record, _path, version in listing.found:
            if record.get("status", "running") in (*_record.CLAIMED, *_record.ENDED):
                continue
            if _listing.place_of(record) != self.host:
                elsewhere += record["host"] == hosts[0]
                continue
            key = JobKey(record["host"], record["playbook_name"], record["job_name"])
            asked.append(of_record(key, record, version, {}, self.async_dir))
        before = [(job.record or {}).get("status", "running") for job in asked]
        if asked:
            params.update(tail_size=_END, store_output=False)
            self.look_and_note(params, store, asked, "tail", last_line=True)
        after = [{**(job.record or {}), **job.news} for job in asked]
        ended = [record for record in after if record.get("status") in _record.ENDED]
        result: dict[str, t.Any] = {
            "changed": before != [record.get("status") for record in after],
            "store": store.locate(),
            "asked": len(asked),
            "elsewhere": elsewhere,
            "ended": [{field: record[field] for field in (*JobKey._fields, "status")} for record in ended],
            "unreadable": listing.unreadable,
            "warnings": store.warnings,
        }
        if listing.unreadable:
            result.update(failed=True, msg=listing.problem(store))
        return result
