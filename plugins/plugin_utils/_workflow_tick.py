# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done for a workflow by the clock: begin the runs of slots that are due, and go on with runs that can.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import time
import typing as t
from datetime import datetime, timezone

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import hash_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import find_runs, held_by_another
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.read import Compiled
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import VERDICTS, Run, chosen_params, new_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.schedule import (
    Schedule,
    about_slot,
    run_of_slot,
    still_to_come,
    wanted,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import FIRST_INTERVAL, longer


class Tick:
    """Does that once.

    :arg action: what drives runs
    """

    def __init__(self, action: t.Any, store: Store, params: dict[str, t.Any], compiled: Compiled) -> None:
        self._action = action
        self._store = store
        self._params = params
        self._compiled = compiled
        self._started: list[str] = []
        self._held_back: dict[str, str] = {}
        """The runs that are due and must not run beside another one, and which that is."""
        self._problems: list[dict[str, str]] = []

    def run(self) -> dict[str, t.Any]:
        """Begin what is due, go on with what has not ended, and return what the module returns."""
        until = time.monotonic() + self._params["tick_timeout"]
        name = self._compiled.definition["name"]
        runs, unreadable = find_runs(self._store, name)
        for problem in unreadable:
            self._problems.append({"run": problem["state_file"], "msg": problem["msg"]})
        now = datetime.now(timezone.utc)
        begun = [run for schedule in self._compiled.schedules for run in self._begin_due(schedule, now, runs)]
        going = {run["run"]: run for run in (*reversed(runs), *begun) if self._goes_on(run)}
        if self._action.is_check:
            left = {run_id: "would go on" for run_id, run in going.items() if run["status"] not in VERDICTS}
            return self._answer({}, {run_id: how for run_id, how in left.items() if run_id not in self._started})
        ended, parked = self._go_on(going, until)
        return self._answer(ended, parked)

    def _goes_on(self, run: Run) -> bool:
        """Return whether there may be something to do in a run. Of one that has ended, people may still have to be told."""
        if run["status"] not in VERDICTS:
            return True
        return hash_of(self._compiled.definition) == run["definition_hash"] and bool(self._action.has_to_tell(run))

    def _begin_due(self, schedule: Schedule, now: datetime, runs: list[Run]) -> t.Iterator[Run]:
        """Yield the runs of slots that begin now."""
        try:
            before = [run["schedule"] for run in runs if "schedule" in run]
            due = wanted(schedule, now, before)
            late = still_to_come(schedule, now, before)
            if late is not None:
                msg = (
                    "this run has begun by a clock that was ahead of that of this machine, and until that moment, nothing begins by the"
                    " schedule. Correct the clock that is wrong. If it was the other one, remove the run once it has ended."
                )
                self._problems.append({"run": run_of_slot(schedule, late), "msg": msg})
            for slot in due:
                definition, run_id = self._compiled.definition, run_of_slot(schedule, slot)
                holder = held_by_another(self._store, definition, run_id)
                if holder is not None:
                    self._held_back[run_id] = f"is due, and begins when the run {holder.run!r} of {holder.workflow!r} has ended"
                    return
                given = {**schedule.params, **self._secrets()}
                values, secrets = chosen_params(definition, given)
                inventory = self._action.inventory_for(self._compiled)
                run = new_run(definition, run_id, self._action.host, values, secrets, self._action.started_by()["who"], inventory)
                self._action.add_commit(run)
                run["schedule"] = about_slot(schedule, slot)
                self._action.check_heard()
                begun = run if self._action.is_check else self._action.begin(self._store, run)
                self._started.append(run_id)
                yield begun
        except AsyncJobError as error:
            self._problems.append({"run": schedule.name, "msg": str(error)})

    def _secrets(self) -> dict[str, t.Any]:
        known = self._compiled.definition.get("params", {})
        return {name: value for name, value in (self._params["params"] or {}).items() if known.get(name, {}).get("secret")}

    def _go_on(self, going: dict[str, Run], until: float) -> tuple[dict[str, str], dict[str, str]]:
        """Drive runs in turn, until each has ended or waits for somebody, or time is over. Return how they are: those that have ended, and
        the others."""
        ended: dict[str, str] = {}
        parked: dict[str, str] = {}
        not_started: dict[str, t.Any] = {}
        interval = FIRST_INTERVAL
        while going:
            for run_id, run in [*going.items()]:
                self._action.not_started = not_started.setdefault(run_id, {})
                try:
                    after = self._action.go_on_once(self._store, self._params, self._compiled, run)
                except AsyncJobError as error:
                    if run["status"] not in VERDICTS:
                        self._problems.append({"run": run_id, "msg": str(error)})
                    del going[run_id]
                    continue
                if after is None or after["status"] in VERDICTS:
                    if run["status"] not in VERDICTS:
                        ended[run_id] = "gone" if after is None else after["status"]
                    if after is not None and self._action.has_to_tell(after):
                        going[run_id] = after
                        continue
                elif self._action.is_busy(after):
                    going[run_id] = after
                    continue
                else:
                    parked[run_id] = after["status"]
                del going[run_id]
            left = until - time.monotonic()
            if going and left <= 0:
                break
            if going:
                time.sleep(min(interval, left))
                interval = longer(interval, self._params["wait_interval"])
        return ended, {**parked, **{run_id: run["status"] for run_id, run in going.items() if run["status"] not in VERDICTS}}

    def _answer(self, ended: dict[str, str], left: dict[str, str]) -> dict[str, t.Any]:
        name = self._compiled.definition["name"]
        left = {**left, **self._held_back}
        words = [f"{len(self._started)} begun"] if self._started else []
        words += [f"{run_id}: {how}" for run_id, how in {**ended, **left}.items()]
        words += [f"{problem['run']}: {problem['msg']}" for problem in self._problems]
        msg = f"{name}: {'; '.join(words) or 'nothing is due'}"
        self._action.show(harmless(msg))
        return {
            "changed": self._action.has_changed or (self._action.is_check and bool(self._started)),
            "failed": bool(self._problems),
            "workflow": name,
            "started": self._started,
            "ended_runs": ended,
            "left": left,
            "problems": self._problems,
            "msg": msg,
            "warnings": [*self._compiled.warnings, *self._store.warnings],
        }
