# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import fnmatch
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_recover
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, write_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of, merged, picked
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import hold_slot
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import aligned, harmless, harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import AttemptAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import told
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_notes

# About how many jobs the host is asked at a time.
_AT_A_TIME = 500


class ActionModule(AttemptAction):
    """The module C(async_job_recover): the records of jobs that a host knows of are made anew."""

    programs = (*AttemptAction.programs, "_host.noted")
    spec = async_job_recover.ARGUMENT_SPEC

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        store = open_store(params, self.notify)
        applies = params["apply"] and not self._task.check_mode
        self._left: list[dict[str, str]] = []
        records = [] if self.is_windows else self._found(params)
        lacking = [record for record in records if self._is_lacking(store, record)]
        recovered: list[Record] = []
        for begin in range(0, len(lacking), _AT_A_TIME):
            for record in self._looked_at(lacking[begin : begin + _AT_A_TIME], params):
                record["origin"] = {**record["origin"], "recovered_by": str(self.started_by()["who"])}
                try:
                    if applies:
                        hold_slot(store, record)  # first: whoever finds the record there, may count on that
                        write_record(store, key_of(record), record, expect=ABSENT)
                except Conflict:
                    self._leave(record, "somebody else has just written its record")
                    continue
                except StoreUnavailable:
                    raise
                except AsyncJobError as error:
                    self._leave(record, str(error).rstrip("."))
                    continue
                recovered.append(record)
        rows = [
            (*map(harmless, key_of(record)), record["status"], "recovered" if applies else "would be recovered", harmless(told(record)))
            for record in recovered
        ]
        if rows and not self._task.no_log:
            self.show(harmless_lines("\n".join(aligned(rows, width=1 << 16))))
        return {
            "changed": bool(recovered) and params["apply"],
            "applied": applies,
            "store": store.locate(),
            "noted": len(records),
            "recovered": [picked(record, (*JobKey._fields, "status", "attempt", "origin")) for record in recovered],
            "left": self._left,
            "warnings": store.warnings,
        }

    def _leave(self, record: Record, why: str) -> None:
        self._left.append({**picked(record, JobKey._fields), "attempt_dir": record["attempt_dir"], "msg": f"The {key_of(record)}: {why}."})

    def _found(self, params: dict[str, t.Any]) -> list[Record]:
        """Return the records of what the host has noted of this task's user, as far as they are this host's to recover."""
        done = self.on_host("_host.noted", {"directory": self.async_dir}, timeout=params["look_timeout"])
        records: list[Record] = []
        for found in heard_notes(done.get("noted")):
            try:
                record = self.record_noted(found)
            except AsyncJobError as error:
                self._left.append({"path": found.path, "msg": str(error)})
                continue
            if params["playbook_name"] not in (None, record["playbook_name"]):
                continue
            if params["job_name_pattern"] is not None and not fnmatch.fnmatchcase(record["job_name"], params["job_name_pattern"]):
                continue
            if "delegated_host" in record and not params["delegated"]:
                why = f"it is {self.host} alone that says that it ran there for {record['host']}. To believe that, say 'delegated: true'"
                self._leave(record, why)
                continue
            if "delegated_host" not in record and record["host"] != self.host:
                if not self.is_known_host(record["host"]):  # else it is found when that host is asked
                    self._leave(
                        record,
                        f"it is of the host {record['host']}, which the inventory does not have; this is {self.host}. To have it back, give"
                        " this machine that name for this command. If it still runs, the next run of its playbook finds it as well",
                    )
                continue
            records.append(record)
        return records

    def _is_lacking(self, store: Store, record: Record) -> bool:
        """Return whether there is no record of a job. One that is there stays, whatever it says."""
        try:
            there = read_record(store, key_of(record))[0]
        except AsyncJobError as error:
            self._leave(record, str(error))
            return False
        if there is not None and record["attempt_dir"] not in [one.get("attempt_dir") for one in (there, *there.get("attempts", ()))]:
            self._leave(record, f"its record is there, and names another attempt ({there.get('attempt_dir', there['ansible_job_id'])})")
        return there is None

    def _looked_at(self, records: list[Record], params: dict[str, t.Any]) -> t.Iterator[Record]:
        """Yield the records of attempts that have started, with what became of them."""
        asked = [of_record(key_of(record), record, ABSENT, {}, self.async_dir) for record in records]
        looks = self.look(asked, output="tail", tail_size=0, timeout=params["look_timeout"])
        for job, record, look in zip(asked, records, looks, strict=True):
            job.remember(look)
            look = job.settled(look, contacted=self.host)
            if not look["job_id"] or look["status"] in (UNKNOWN, *CLAIMED):
                started = f"nobody can tell what became of it: {look['reason']}" if look["job_id"] else "nothing tells that it has started"
                if not look["job_id"] and record.get("claim", {}).get("own_work"):
                    started = (
                        "its action does its work itself, and may still be at it. Make sure that it is done, which nothing here can tell"
                    )
                self._leave(record, started)
                continue
            yield merged(record, job.learned(look, secret=job.secret or self._task.no_log))
