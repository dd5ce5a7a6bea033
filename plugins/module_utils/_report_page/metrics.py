# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of a store, in the text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import collections
import datetime
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, ENDED, STATUSES
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    BACKOFF,
    DUE,
    GOOD,
    VERDICTS,
    Run,
    is_of_node,
    key_of_node,
    parts_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import ENDED as ENDED_NODE
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import STATUSES as STATUSES_OF_RUNS

# What a metric is called, and what it says. Those that begin with async_job_ and have labels are of one job; those with the label run
# are of one run: of each that has not ended, and of the last one of each workflow that has. Of all runs, there would be ever more.
METRICS = (
    ("async_jobs", "Jobs by status, as last recorded."),
    ("async_jobs_unreadable", "Records that cannot be read."),
    ("async_job_approvals_pending", "Requests that await approval."),
    ("async_job_oldest_approval_seconds", "For how long the oldest request has been awaiting approval."),
    ("async_job_oldest_running_seconds", "For how long the oldest running job has been running."),
    ("async_job_status", "The status of a job, as last recorded: 1, with the status as a label."),
    ("async_job_duration_seconds", "How long the current attempt of a job has run, or is running."),
    ("async_job_time_limit_seconds", "How long the current attempt of a job may run, for jobs that have a limit."),
    ("async_job_attempts", "The number of the current attempt of a job."),
    ("async_workflow_runs", "Runs of a workflow by status."),
    ("async_workflow_active", "Runs of a workflow that have not ended."),
    ("async_workflow_status", "The status of a run: 1, with the status as a label."),
    ("async_workflow_duration_seconds", "For how long a run has been going on, or how long it took until its end."),
    ("async_workflow_failed_nodes", "How many nodes of a run have failed."),
    ("async_workflow_idle_seconds", "For how long no job has been running in a run that has not ended, as last recorded."),
)

# A number that a record holds by mistake is none to Prometheus, which then takes nothing of the file.
_MOST_ATTEMPTS = 10**9
_LONGEST = 1e12
_NEVER = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)

_LABELS = ("host", "playbook", "job")

# What is no text, or may end it for some reader
_NO_TEXT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def metrics(
    records: t.Sequence[Record],
    now: datetime.datetime,
    *,
    unreadable: int = 0,
    approvals: t.Sequence[t.Mapping[str, t.Any]] = (),
    runs: t.Sequence[Run] = (),
) -> str:
    """Return what there is to count.

    :arg unreadable: how many records cannot be read
    :arg approvals: the requests that await approval
    :arg runs: the runs of workflows, all of whose records are there
    """
    values: dict[str, list[str]] = collections.defaultdict(list)
    counts = collections.Counter(_status(record) for record in records)
    values["async_jobs"] = [f'{{status="{status}"}} {counts[status]}' for status in STATUSES]
    values["async_jobs_unreadable"] = [f" {unreadable}"]
    values["async_job_approvals_pending"] = [f" {len(approvals)}"]
    asked = [_times.moment(approval.get("requested_at")) for approval in approvals]
    waits = [max((now - since).total_seconds(), 0.0) for since in asked if since is not None]
    values["async_job_oldest_approval_seconds"] = [f" {max(waits, default=0.0):.0f}"]
    ages = [_times.run_time(record, now) for record in records if _status(record) == "running"]
    values["async_job_oldest_running_seconds"] = [f" {max(ages, default=0.0):.0f}"]
    # Of two series with the same labels, Prometheus takes neither, and nothing else of the file.
    given: set[str] = set()
    for record in records:
        number = 1
        labels = _labels(record, "")
        while labels in given:
            number += 1
            labels = _labels(record, f" ({number})")
        given.add(labels)
        values["async_job_status"].append(f'{{{labels},status="{_status(record)}"}} 1')
        values["async_job_duration_seconds"].append(f"{{{labels}}} {_times.run_time(record, now):.0f}")
        limit = record.get("timeout", 0)
        if 0 < limit < _LONGEST:
            values["async_job_time_limit_seconds"].append(f"{{{labels}}} {limit:.0f}")
        values["async_job_attempts"].append(f"{{{labels}}} {min(max(record.get('attempt', 1), 0), _MOST_ATTEMPTS)}")
    _count_runs(runs, records, now, values)
    lines = []
    for name, about in METRICS:
        if values[name]:
            lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge", *(name + value for value in values[name])]
    return "\n".join(lines) + "\n"


def _count_runs(runs: t.Sequence[Run], records: t.Sequence[Record], now: datetime.datetime, values: dict[str, list[str]]) -> None:
    """Add what there is to count of runs."""
    counts = collections.Counter((run["workflow"], run["status"]) for run in runs)
    for workflow in sorted({run["workflow"] for run in runs}):
        label = f'workflow="{_escaped(workflow)}"'
        active = sum(counts[workflow, status] for status in STATUSES_OF_RUNS if status not in VERDICTS)
        values["async_workflow_runs"] += [f'{{{label},status="{status}"}} {counts[workflow, status]}' for status in STATUSES_OF_RUNS]
        values["async_workflow_active"].append(f"{{{label}}} {active}")
    record_of = {key_of(record): record for record in records}
    for run in _of_interest(runs):
        labels = f'workflow="{_escaped(run["workflow"])}",run="{_escaped(run["run"])}"'
        begin, end = _times.moment(run["started"]), _ended(run) if run["status"] in VERDICTS else now
        duration = max((end - begin).total_seconds(), 0.0) if begin and end else 0.0
        failed = sum(node["state"] == ENDED_NODE and node["outcome"] not in GOOD for node in run["nodes"].values())
        values["async_workflow_status"].append(f'{{{labels},status="{run["status"]}"}} 1')
        values["async_workflow_duration_seconds"].append(f"{{{labels}}} {duration:.0f}")
        values["async_workflow_failed_nodes"].append(f"{{{labels}}} {failed}")
        if run["status"] not in VERDICTS:
            values["async_workflow_idle_seconds"].append(f"{{{labels}}} {_idle(run, record_of, now):.0f}")


def _of_interest(runs: t.Sequence[Run]) -> t.Iterator[Run]:
    """Yield all runs that have not ended, and of each workflow the one that was the last to end."""
    latest: dict[str, Run] = {}
    for run in runs:
        if run["status"] not in VERDICTS:
            yield run
            continue
        other = latest.setdefault(run["workflow"], run)
        if (_ended(run) or _NEVER) > (_ended(other) or _NEVER):
            latest[run["workflow"]] = run
    yield from latest.values()


def _ended(run: Run) -> datetime.datetime | None:
    """Return when a run has ended, as far as it says so."""
    return _times.moment(run.get("ended")) or _times.moment(run["started"])


def _idle(run: Run, record_of: t.Mapping[t.Any, Record], now: datetime.datetime) -> float:
    """Return for how long nothing has been going on in a run, in seconds. What only waits for its next attempt goes on."""
    moments = [_seconds(run.get("save_time"))]
    for name, part in parts_of(run, DUE, BACKOFF).items():
        if part.node["state"] == BACKOFF:
            moments.append(_seconds(part.node.get("end")) + min(part.about.get("retry_delay", 0), _LONGEST))
            continue
        record = record_of.get(key_of_node(run, name))
        if part.is_approval or record is None or not is_of_node(record, run, name):
            continue
        if _status(record) in ALIVE:
            return 0.0
        moments.append(_seconds(record.get("end" if _status(record) in ENDED else "save_time")))
    latest = max(moments)
    return max(now.timestamp() - latest, 0.0) if latest else 0.0


def _seconds(text: t.Any) -> float:
    """Return a time in seconds since the epoch. 0 if it is none."""
    moment = _times.moment(text)
    return 0.0 if moment is None else moment.timestamp()


def _status(record: Record) -> str:
    return record.get("status", "running")


def _labels(record: Record, more: str) -> str:
    """Return the labels of a series.

    :arg more: an end of the name of the job that tells it from another one
    """
    values = dict(zip(_LABELS, key_of(record)))
    values["job"] += more
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def _escaped(text: str) -> str:
    """Return the value of a label. What is no text, such as a lone surrogate, is written as Python would."""
    text = _NO_TEXT.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
