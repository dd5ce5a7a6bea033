# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX says of the run that it has started: who has, and which of its jobs this is.

AWX gives each run such extra variables, twice: their names begin with C(awx_) and with C(tower_). Who runs C(ansible-playbook) elsewhere
can give them any value; so they count only where the environment is that of a run of AWX.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import whoami
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields

# In the environment of its runs only
_IN_AWX = ("AWX_PRIVATE_DATA_DIR", "AWX_HOST")
_PREFIXES = ("awx_", "tower_")

_NAMES = ("user_name", "schedule_name")
_NUMBERS = ("job_id", "workflow_job_id")
# Names of users there have 150 characters at most, and those of schedules 512.
_LONGEST = 512
_MOST = 10**15


def in_awx() -> bool:
    """Return whether AWX or Automation Platform has started this run."""
    return any(name in os.environ for name in _IN_AWX)


def user_name(task_vars: t.Mapping[str, t.Any]) -> str:
    """Return who has started this run in AWX. Empty elsewhere, and if that was a schedule."""
    return str(_said(task_vars, "user_name") or "") if in_awx() else ""


def started_by(task_vars: t.Mapping[str, t.Any]) -> Fields:
    """Return the fields of the record that say who starts an attempt: C(who), and C(awx), which is None outside of AWX."""
    if not in_awx():
        return {"who": whoami(), "awx": None}
    said = {name: _said(task_vars, name) for name in (*_NAMES, *_NUMBERS)}
    said["schedule_name"] = said["schedule_name"] or _said(task_vars, "parent_job_schedule_name")  # of the workflow that it is in
    awx: Fields = {name: str(said[name]) for name in _NAMES if said[name]}
    awx.update({name: int(str(said[name])) for name in _NUMBERS if re.fullmatch("[0-9]{1,15}", str(said[name]))})
    awx = {name: value for name, value in awx.items() if is_awx({name: value})}
    return {"who": whoami(awx.get("user_name", "")), "awx": awx or None}


def is_awx(value: dict[str, t.Any]) -> bool:
    """Return whether this can be the field C(awx) of a record."""
    names = (value.get(name, "") for name in _NAMES)
    numbers = (value.get(name, 0) for name in _NUMBERS)
    return all(isinstance(name, str) and name.isprintable() and len(name) <= _LONGEST for name in names) and all(
        isinstance(number, int) and not isinstance(number, bool) and 0 <= number < _MOST for number in numbers
    )


def _said(task_vars: t.Mapping[str, t.Any], name: str) -> t.Any:
    """Return what AWX says. None if it does not, or says two things: then, somebody has given one of both variables at the launch, where
    theirs count more than those of AWX."""
    said = [task_vars[prefix + name] for prefix in _PREFIXES if task_vars.get(prefix + name)]
    return said[0] if said and all(str(one) == str(said[0]) for one in said) else None
