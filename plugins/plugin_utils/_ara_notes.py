# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What records say of ARA, and ARA of jobs, if its callback is active in this run.

These are notes for people. Whatever is wrong with ARA is said once, and keeps no job from being started or looked at.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _ara
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ara import is_noted_by, key_in_ara, value_in_ara
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.runs import this_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible

_said: list[str] = []
"""What was said of ARA in this process, in which each item of a loop is a task of its own."""


class AraNotes:
    """The notes of one task.

    :arg task: which one
    :arg pid: the process of C(ansible-playbook)
    :arg notify: called with a line for the user
    """

    def __init__(self, task: t.Any, pid: int, notify: t.Callable[[str], None]) -> None:
        self._task = task
        self._pid = pid
        self._notify = notify
        self._ara = None if task.check_mode else _ara.active()

    @property
    def is_active(self) -> bool:
        """Whether ARA records this run, as far as anybody knows."""
        return self._ara is not None

    @functools.cached_property
    def _playbook(self) -> Fields | None:
        """What a record says of this run: the number that ARA knows it by, and what names the run itself. None without ARA."""
        if self._ara is None:
            return None
        try:
            number = self._ara.playbook_of(_ansible.uuid_of_play(self._task))
        except AsyncJobError as error:
            self._give_up(error)
            return None
        return None if number is None else {"id": number, **this_run(self._pid)}

    def of_start(self) -> Fields:
        """Return the field of the record that says which run starts an attempt. None stands for a field to remove."""
        return {"ara_playbook": {"started": self._playbook} if self._playbook else None}

    def of_end(self, record: Record, learned: t.Mapping[str, t.Any]) -> Fields:
        """Return the field of the record that says which run has seen an attempt end, if this is the one. Else nothing.

        :arg learned: what was learned of the job
        """
        noted = record.get("ara_playbook", {})
        if learned.get("status") in ENDED and record.get("status") not in ENDED:
            return {"ara_playbook": {**noted, "ended": self._playbook}} if self._playbook else {}
        if "ended" in noted and "status" in learned and learned["status"] not in ENDED:
            return {"ara_playbook": {name: value for name, value in noted.items() if name != "ended"} or None}
        return {}

    def tell(self, store: Store, record: Record) -> None:
        """Let ARA know of a job, if this run has started its attempt, or has seen it end."""
        if self._ara is None or not self._playbook or not is_noted_by(record, self._playbook["id"]):
            return
        try:
            self._ara.add_label(self._playbook["id"], f"job:{record['job_name']}")
            key, value = key_in_ara(record), value_in_ara(record, self._playbook["id"], where=store.locate())
            self._ara.put_record(self._playbook["id"], key, value)
        except AsyncJobError as error:
            self._give_up(error)

    def label(self, *labels: str) -> None:
        """Put labels on this run in ARA."""
        if self._ara is None or not self._playbook:
            return
        try:
            for label in labels:
                self._ara.add_label(self._playbook["id"], label)
        except AsyncJobError as error:
            self._give_up(error)

    def _give_up(self, error: AsyncJobError) -> None:
        self._ara = None
        if not _said:
            _said.append(str(error))
            self._notify(f"[WARNING]: ARA knows nothing of the jobs of this task: {error} That is no matter for the jobs.")
