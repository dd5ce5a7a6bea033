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
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import STATUSES

# What a metric is called, and what it says. Those that begin with async_job_ and have labels are of one job.
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
)

# A number that a record holds by mistake is none to Prometheus, which then takes nothing of the file.
_MOST_ATTEMPTS = 10**9
_LONGEST = 1e12

_LABELS = ("host", "playbook", "job")

# What is no text, or may end it for some reader
_NO_TEXT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def metrics(
    records: t.Sequence[Record], now: datetime.datetime, *, unreadable: int = 0, approvals: t.Sequence[t.Mapping[str, t.Any]] = ()
) -> str:
    """Return what there is to count.

    :arg unreadable: how many records cannot be read
    :arg approvals: the requests that await approval
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
    lines = []
    for name, about in METRICS:
        lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge", *(name + value for value in values[name])]
    return "\n".join(lines) + "\n"


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
