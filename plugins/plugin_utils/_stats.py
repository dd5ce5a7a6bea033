# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task leaves for whoever comes after its run: statistics of their own, as C(ansible.builtin.set_stats) makes them.

AWX takes these for the artifacts of a run, and gives them as extra variables to the runs that follow in a workflow.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import NOT_STORED, STREAMS

NAME = "async_jobs"
"""The variable that holds what is said of each job, by its host and its name."""

_STATUS = ("status", "reason", "attempt", "finished", "failed", "changed")
# What the record keeps of the output is for people who look at it.
_OUTPUT = (NOT_STORED, "exception", *(f"{stream}{part}" for stream in STREAMS for part in ("", "_lines", "_size", "_truncated")))
# What begins like this means something to Ansible, to AWX or to this collection.
_OF_OTHERS = ("ansible_", "async_job", "awx_", "tower_", "_")


def with_stats(
    result: dict[str, t.Any],
    answers: t.Iterable[dict[str, t.Any]],
    wanted: t.Collection[str],
    *,
    secret: bool,
    named: t.Sequence[t.Collection[str]] = (),
) -> dict[str, t.Any]:
    """Return the result of a task with the statistics that are wanted of its jobs.

    :arg answers: about each of its jobs, with its record. Those that have none say nothing
    :arg wanted: C(status), C(result) and C(artifacts)
    :arg secret: whether the task is under C(no_log)
    :arg named: of each job, the fields that the task itself names as artifacts: what a record names, is data
    """
    if not wanted:
        return result
    jobs: dict[str, dict[str, t.Any]] = {}
    data: dict[str, t.Any] = {}
    warnings: list[str] = []
    for number, answer in enumerate(answers):
        record: Record | None = answer.get("record")
        if not record:
            continue
        is_secret = secret or record.get("no_log") or answer.get("_ansible_no_log")
        kept = {} if is_secret else record.get("result", {})
        said: dict[str, t.Any] = {}
        if "status" in wanted:
            said.update((name, answer.get(name)) for name in _STATUS)
        if "result" in wanted:
            said["result"] = {name: value for name, value in kept.items() if name not in _OUTPUT}
        if said:
            jobs.setdefault(record["host"], {})[record["job_name"]] = said
        if "artifacts" in wanted and answer.get("finished"):
            data.update((name, kept[name]) for name in named[number] if name in kept and _may_be_said(name))
            lacking = [name for name in named[number] if name not in kept]
            if lacking and answer.get("status") == "succeeded" and not is_secret:
                warnings.append(
                    f"The job {record['job_name']!r} on {record['host']} leaves no {', '.join(lacking)} (set_stats: artifacts): its record"
                    " has no such field. Either the module has returned none, or it is made of the output, or it is too long to be kept."
                )
    if jobs:
        data[NAME] = jobs
    if warnings:
        result = {**result, "warnings": [*result.get("warnings", ()), *warnings]}
    return {**result, "ansible_stats": {"data": data, "per_host": False, "aggregate": True}} if data else result


def _may_be_said(name: t.Any) -> bool:
    """Return whether a field may become a variable of other runs. A result is data: it is not to say to them where to go, as whom, or where
    their records are."""
    # Most tasks leave no artifacts, and do not wait until all of that is compiled.
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import is_artifact_name

    return is_artifact_name(name) and not str(name).startswith(_OF_OTHERS)
