# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save and forget the record of a named job: what the module C(async_job_state) does.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import ntpath
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import DEFAULT_ASYNC_DIR, JOB_OPTIONS, STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import forget, save, shown
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record, storable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import free_slot, free_slots_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Notify, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_job_id, is_user_name

ARGUMENT_SPEC: Spec = {
    **JOB_OPTIONS,
    "job_name": {**JOB_OPTIONS["job_name"], "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "force": {"type": "bool", "default": False},
    "ansible_job_id": {"type": "str"},
    "results_file": {"type": "str"},
    "metadata": {"type": "dict"},
    "status": {"type": "str", "choices": [*ALIVE, *ENDED]},
    "become_user": {"type": "str"},
    "stdout_file": {"type": "str"},
    "stderr_file": {"type": "str"},
    **STORE_OPTIONS,
}


def run(
    params: dict[str, t.Any],
    *,
    check_mode: bool,
    async_dir: str = DEFAULT_ASYNC_DIR,
    notify: Notify = nobody,
    started_by: Fields | None = None,
) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC; host and playbook_name are given
    :arg check_mode: only say what would be changed
    :arg async_dir: the directory of results files, where the options don't tell the results file
    :arg started_by: fields of the record that say who has started the job, if it was another one than this process runs as
    """
    key = JobKey(params["host"], params["playbook_name"], params["job_name"])
    job_id = params["ansible_job_id"]
    if job_id is not None:
        check_job_id(job_id, "ansible_job_id")
    is_freed = False
    try:
        store = open_store(params, notify)
        if params["state"] == "absent":
            before, after = forget(
                store, key, force=params["force"], check_mode=check_mode, before_it_goes=lambda record: free_slot(store, record)
            )
            # Whoever says that has made sure that nothing of the job runs.
            is_freed = params["force"] and not check_mode and free_slots_of(store, key)
        else:
            before, after = save(store, key, _changes(params, async_dir), check_mode=check_mode, started_by=started_by)
    except AsyncJobError as error:
        if job_id is None:
            raise
        raise AsyncJobError(f"{error} {not_saved(job_id, in_doubt=error.in_doubt)}") from error
    where = store.locate(key.path)
    if after is not None and before is not None:
        store.warnings += _overwritten(before, after, key)
    return {
        "changed": before != after or is_freed,
        "record": after or {},
        "state_file": where,
        "diff": {"before_header": where, "after_header": where, "before": shown(before), "after": shown(after)},
        "warnings": store.warnings,
    }


def not_saved(job_id: t.Any, *, in_doubt: bool = False) -> str:
    """Say what it means for a job that its id was not saved.

    :arg in_doubt: whether it may have been
    """
    return f"The job id {job_id} {'may not have been' if in_doubt else 'was not'} saved: if that job was started, it goes on running."


def _overwritten(before: Record, after: Record, key: JobKey) -> list[str]:
    """Return a warning if another job was running under this name, as far as anybody knows."""
    old, new, status = before["ansible_job_id"], after["ansible_job_id"], before.get("status", "running")
    if old in ("", new) or status not in ALIVE:
        return []
    who = f" by {before['who']}" if before.get("who") else ""
    return [
        f"The {key} was {old}, {status} as far as anybody has looked, and started at {before.get('start') or before.get('save_time')}{who}."
        f" Now it is {new}. If two playbooks, or two plays, use this name, each of them loses the job of the other one: give one of them"
        " another job_name or playbook_name. What was there before is in 'attempts' of the record."
    ]


def check_job_id(job_id: str, option: str) -> None:
    """Raise unless a job id is one as Ansible makes them: on the host it is the name of a file that is read and removed.

    :arg option: where it comes from, for the error
    """
    if not is_job_id(job_id):
        raise AsyncJobError(
            f"{option} is {job_id!r}, which is not a job id. Give the 'ansible_job_id' of the registered result of a"
            " task with 'async: <seconds>' and 'poll: 0'; a task that was skipped or that ran in check mode has none."
        )


def _changes(params: dict[str, t.Any], async_dir: str) -> Fields:
    """Return the fields that the user gave, without the names of the job."""
    changes: Fields = {"async_dir": async_dir}
    if params["ansible_job_id"] is not None:
        changes["ansible_job_id"] = params["ansible_job_id"]
    if params["results_file"]:
        # ntpath, because it knows both separators: the host may run Windows
        changes.update(results_file=params["results_file"], async_dir=ntpath.dirname(params["results_file"]))
    if isinstance(params["metadata"], str):  # what ansible-core before 2.19 lets pass for a dictionary
        raise AsyncJobError(
            "metadata is a text that looks like a dictionary and cannot be read as one. Nothing was saved. ansible-core before 2.19"
            " makes such a text of a variable that holds a date: give the dictionary itself, or turn the date into a string."
        )
    if params["metadata"] is not None:
        changes["metadata"] = storable(params["metadata"], name="metadata")
    for option in ("results_file", "stdout_file", "stderr_file"):
        if "\0" in (params[option] or ""):
            raise AsyncJobError(f"{option} holds NUL, which no path does. Nothing was saved. Correct it.")
    if params["become_user"] and not is_user_name(params["become_user"]):
        raise AsyncJobError(f"become_user is {params['become_user']!r}, which is not the name of a user. Nothing was saved. Correct it.")
    for option in ("status", "become_user", "stdout_file", "stderr_file"):
        if params[option]:
            changes[option] = params[option]
    return changes
