# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks of workflows whose runs must not run beside each other: for each a document, C(.workflow_locks/<workflow>/holder.json), which
names the run that holds it. It is free if that run has ended, and so it needs nobody to give it back.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import whoami, write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import encode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, SUFFIX, Store, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import is_name
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import is_run_id

LOCKS = ".workflow_locks/"


class Holder(t.NamedTuple):
    """The run that holds a lock."""

    workflow: str
    run: str
    epoch: int
    begun: str = ""
    """Which run with that id: there may have been one before, which was removed."""


def locks_of(definition: Definition) -> list[str]:
    """Return the locks that a run needs, in the order in which all runs take them: its own, and those of workflows inside of it."""
    found: set[str] = set()
    left = [definition]
    while left:
        one = left.pop()
        if one.get("allow_simultaneous") is False:
            found.add(one["name"])
        left += [node["definition"] for node in one["nodes"].values() if "definition" in node]
    return sorted(found)


def path_of_lock(lock: str) -> str:
    """Return the path of a lock in its store."""
    return f"{LOCKS}{encode(lock)}/holder{SUFFIX}"


def read_holder(store: Store, lock: str) -> tuple[Holder | None, Version]:
    """Return who holds a lock, or None where it is proven that nobody ever has, and the version to expect when writing it."""
    path = path_of_lock(lock)
    document = store.read(path)
    if document is None:
        return None, ABSENT
    return check_holder(document.content, path, where=store.locate(path)), document.version


def check_holder(document: bytes, path: str, *, where: str) -> Holder:
    """Return who holds the lock that belongs to a path.

    :raises AsyncJobError: if it is something else, with the reason
    """
    try:
        content: t.Any = read_plain(document.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    found = content if isinstance(content, dict) else {}
    lock, workflow, run, epoch = (found.get(field) for field in ("lock", "workflow", "run", "epoch"))
    begun = found.get("begun", "")
    is_number = isinstance(epoch, int) and not isinstance(epoch, bool)
    is_sound = is_name(lock) and is_name(workflow) and is_run_id(run) and is_number and isinstance(begun, str)
    if not is_sound or path_of_lock(str(lock)) != path:
        raise AsyncJobError(
            f"The lock {where} cannot be used: it does not say which run holds it. Nothing was started. Remove it, once you are sure that"
            " no run of that workflow goes on."
        )
    return Holder(str(workflow), str(run), t.cast(int, epoch), begun)


def write_holder(store: Store, lock: str, holder: Holder, *, expect: Version) -> Version:
    """Note who holds a lock.

    :raises Conflict: if something else is there; nothing was written then
    """
    now = _times.now()
    document: dict[str, t.Any] = {"schema_version": 1, "lock": lock, **holder._asdict(), "who": whoami(), "save_time": now}
    _written, version = write(store, path_of_lock(lock), document, expect=expect)
    return version
