# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option C(jobs) of C(async_job): what is asked of each, and what the task returns about all of them.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._names import check_name

# What the result of one job holds, and the list of several does not: the record and what can be made of the rest.
_LEFT_OUT = ("record", "processes", "stdout_lines", "stderr_lines", "diff", "warnings", "ansible_facts")


class Element(t.NamedTuple):
    """One of several jobs, as the task gives it."""

    params: dict[str, t.Any]
    """As if it was the only job."""
    given: t.Mapping[str, t.Any]
    """What stands in the list, before it was validated."""

    @property
    def key(self) -> JobKey:
        """Which job it is."""
        return JobKey(self.params["host"], self.params["playbook_name"], self.params["job_name"])


def check_list(given: t.Any) -> None:
    """Raise if the option is no list of jobs. Ansible would not say which option it means."""
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, Mapping) for one in given):
        raise AsyncJobError("jobs is not a list of mappings, each with a job_name and a task. Nothing was started.")


def elements(params: dict[str, t.Any], given: t.Any, at_least: t.Mapping[str, float]) -> list[Element]:
    """Return the jobs of a list, each with the options of the task in place of those that it does not give.

    :arg params: validated options of the task
    :arg given: the list before it was validated
    :arg at_least: the least values of options that are numbers
    :raises AsyncJobError: if a job cannot be meant like that
    """
    found: list[Element] = []
    for number, (raw, one) in enumerate(zip(given, params["jobs"], strict=True)):
        name = one["job_name"]
        if not isinstance(raw["job_name"], (str, int, float)):
            raise AsyncJobError(f"jobs[{number}].job_name is no text: {raw['job_name']!r}. Nothing was started. Quote it.")
        check_name("job_name", name)
        for option, least in at_least.items():
            if one.get(option) is not None and one[option] < least:
                raise AsyncJobError(f"jobs[{number}].{option} is {one[option]}, and has to be at least {least}. Nothing was started.")
        same = [other for other, element in enumerate(found) if element.params["job_name"] == name]
        if same:
            raise AsyncJobError(
                f"jobs[{same[0]}] and jobs[{number}] have the same job_name {name!r}. Nothing was started. Give each its own name."
            )
        own = {option: value for option, value in one.items() if value is not None}
        found.append(Element({**params, **own, "jobs": None}, raw))
    return found


def returned(store: Store, asked: list[Element], answers: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return what the task returns about all of its jobs.

    :arg answers: what the module would return about each
    """
    jobs = [_in_short(store, element, answer) for element, answer in zip(asked, answers, strict=True)]
    failed = [job for job in jobs if job["failed"]]
    result: dict[str, t.Any] = {
        "jobs": jobs,
        "changed": any(job["changed"] for job in jobs),
        "failed": bool(failed),
        "started": all(job["started"] for job in jobs),
        "finished": all(job["finished"] for job in jobs),
        "warnings": _warnings(store, jobs, answers),
    }
    differences = [answer["diff"] for answer in answers if "diff" in answer and answer["changed"]]
    if differences:
        result["diff"] = differences
    if failed:
        reasons = "; ".join(f"{job['job_name']}: {str(job['msg']).rstrip('.')}" for job in failed)
        result["msg"] = f"{len(failed)} of {len(jobs)} jobs failed. {reasons}."
    elif jobs:
        result["msg"] = "; ".join(f"{job['job_name']}: {job.get('msg') or job['status'] or job['reason']}" for job in jobs)
    else:
        result["msg"] = "There are no jobs in the list."
    if failed and all(job.get("unreachable") for job in failed):  # for Ansible, a host is either that, or has failed
        result.update(unreachable=True, failed=False)
    if any(answer.get("_ansible_no_log") for answer in answers):
        result["_ansible_no_log"] = True
    facts = [answer["ansible_facts"] for answer in answers if "ansible_facts" in answer]
    if facts:
        result["ansible_facts"] = {name: value for some in facts for name, value in some.items()}
    return result


def _warnings(store: Store, jobs: list[dict[str, t.Any]], answers: list[dict[str, t.Any]]) -> list[str]:
    """Return the warnings of all: those about the store once, each other one with the job that it is about."""
    own = [
        f"{job['job_name']}: {warning}"
        for job, answer in zip(jobs, answers, strict=True)
        for warning in answer.get("warnings", ())
        if warning not in store.warnings
    ]
    return [*store.warnings, *own]


def _in_short(store: Store, element: Element, answer: dict[str, t.Any]) -> dict[str, t.Any]:
    kept = {name: value for name, value in answer.items() if name not in _LEFT_OUT and not name.startswith("_")}
    reason = str(answer.get("msg", ""))
    return {
        **{"ansible_job_id": "", "status": "", "reason": reason, "started": False, "finished": False, "failed": False, "changed": False},
        "state_file": store.locate(element.key.path),
        **kept,
        "job_name": element.key.job_name,
    }
