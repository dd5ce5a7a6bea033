# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option C(semaphore): what it says, and what is told of those who hold one.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import (
    MOST,
    Held,
    held_now,
    most_of,
    who_holds,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.semaphore import Wanted
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import is_name


def wanted_of(given: dict[str, t.Any]) -> Wanted:
    """Return what the option says.

    :raises AsyncJobError: if it cannot be meant like that
    """
    name, at_most, wait = given["name"], given["at_most"], given.get("wait_timeout")
    if not is_name(name):
        raise AsyncJobError(
            f"semaphore.name is {name!r}, which cannot name one: one line of at most 100 characters can, with no marks of a template."
            " Nothing was started."
        )
    if not 1 <= at_most <= MOST:
        raise AsyncJobError(f"semaphore.at_most is {at_most}, and has to be between 1 and {MOST}. Nothing was started.")
    if wait is not None and wait < 0:
        raise AsyncJobError(f"semaphore.wait_timeout is {wait}, and has to be at least 0. Nothing was started.")
    return Wanted(name, at_most)


def told(wanted: Wanted, held: list[Held]) -> dict[str, t.Any]:
    """Return what the module returns about a semaphore that is full."""
    holders = [
        {**{field: getattr(one.holder, field) for field in ("host", "playbook_name", "job_name", "since")}, "reason": one.why}
        for one in held
    ]
    return {"name": wanted.name, "at_most": most_of(wanted.at_most, [one.holder for one in held]), "holders": holders}


def would_wait(store: Store, wanted: Wanted) -> dict[str, t.Any]:
    """Return what check mode says of a job that would be started, if all slots are taken by what the records say. Else nothing."""
    held = held_now(store, wanted.name)
    if len(held) < most_of(wanted.at_most, [one.holder for one in held]):
        return {}
    return {"semaphore": told(wanted, held), "reason": f"it would wait for {who_holds(*wanted, held)}"}
