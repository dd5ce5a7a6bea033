# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of all jobs of a store: a page for people, and metrics for Prometheus.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import os
import re
import tempfile
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import FILTERS, STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import find_pending
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import Listing, filters_of, find_records
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.page import page
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import STATUSES
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Notify, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store, settings_of

ARGUMENT_SPEC: Spec = {
    "dest": {"type": "path", "required": True},
    "format": {"type": "str", "choices": ["html", "prometheus"], "default": "html"},
    "host": {"type": "str"},
    "playbook_name": {"type": "str"},
    "ara_url": {"type": "str"},
    **FILTERS,
    **STORE_OPTIONS,
}

# What a metric is called, what it says, and whether each job has its own.
_METRICS = (
    ("async_jobs", "Jobs by status, as last recorded."),
    ("async_jobs_unreadable", "Records that cannot be read."),
    ("async_job_approvals_pending", "Requests that await approval."),
    ("async_job_oldest_running_seconds", "For how long the oldest running job has been running."),
    ("async_job_duration_seconds", "How long the current attempt of a job has run, or is running."),
    ("async_job_attempts", "The number of the current attempt of a job."),
)


def run(params: dict[str, t.Any], *, check_mode: bool, notify: Notify = nobody) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC
    :arg check_mode: only say what would be written
    """
    ara_url = (params["ara_url"] or "").rstrip("/")
    if ara_url and not re.fullmatch(r"https?://[!-~]+", ara_url):
        raise AsyncJobError(f"ara_url is {ara_url!r}, which is not an address of the web. Nothing was written. Correct it.")
    store = open_store(params, notify)
    store.must_exist()
    listing = find_records(store, params)
    approvals, unreadable = find_pending(store, params["playbook_name"], settings_of(params))
    listing = listing._replace(unreadable=[*listing.unreadable, *unreadable])
    now = datetime.datetime.now(datetime.timezone.utc)
    if params["format"] == "html":
        text = page(listing.records, listing.unreadable, approvals, store=store.locate(), made=now, ara_url=ara_url)
    else:
        text = metrics(listing, now, approvals=len(approvals))
    if not check_mode:
        _write(params["dest"], text, params["format"])
    result: dict[str, t.Any] = {
        "changed": True,  # it tells the time
        "dest": params["dest"],
        "store": store.locate(),
        "filters": filters_of(params),
        "jobs": len(listing.found),
        "approvals": approvals,
        "unreadable": listing.unreadable,
        "warnings": store.warnings,
    }
    if listing.unreadable:
        result.update(failed=True, msg=listing.problem(store))
    return result


def metrics(listing: Listing, now: datetime.datetime, *, approvals: int = 0) -> str:
    """Return what there is to count, in the text format of Prometheus.

    :arg approvals: how many requests await approval
    """
    values: dict[str, list[str]] = collections.defaultdict(list)
    counts = collections.Counter(record.get("status", "running") for record in listing.records)
    values["async_jobs"] = [f'{{status="{status}"}} {counts[status]}' for status in STATUSES]
    values["async_jobs_unreadable"] = [f" {len(listing.unreadable)}"]
    values["async_job_approvals_pending"] = [f" {approvals}"]
    ages = [_times.run_time(record, now) for record in listing.records if record.get("status", "running") == "running"]
    values["async_job_oldest_running_seconds"] = [f" {max(ages, default=0.0):.0f}"]
    # Of two series with the same labels, Prometheus takes neither, and nothing else of the file.
    given: set[str] = set()
    for record in listing.records:
        number = 1
        labels = _labels(record, "")
        while labels in given:
            number += 1
            labels = _labels(record, f" ({number})")
        given.add(labels)
        values["async_job_duration_seconds"].append(f"{{{labels}}} {_times.run_time(record, now):.0f}")
        values["async_job_attempts"].append(f"{{{labels}}} {min(max(record.get('attempt', 1), 0), _MOST_ATTEMPTS)}")
    lines = []
    for name, about in _METRICS:
        lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge", *(name + value for value in values[name])]
    return "\n".join(lines) + "\n"


# A number that a record holds by mistake is none to Prometheus, which then takes nothing of the file.
_MOST_ATTEMPTS = 10**9

_LABELS = ("host", "playbook", "job")


# What is no text, or may end it for some reader
_NO_TEXT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


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


def _write(dest: str, text: str, kind: str) -> None:
    """Write a file whole or not at all. Metrics are for everybody, a report is not: it holds what jobs have printed."""
    dest = os.path.realpath(dest)
    if os.path.exists(dest) and not os.path.isfile(dest):
        raise AsyncJobError(f"Cannot write {dest}: it is there, and is no file. Nothing was written. Correct dest.")
    directory = os.path.dirname(dest)
    if not os.path.isdir(directory):
        raise AsyncJobError(f"Cannot write {dest}: there is no directory {directory}. Nothing was written. Make it, or correct dest.")
    temporary = ""
    try:
        # The collector of Prometheus reads files by their suffix, which this one has not.
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=directory)
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o644 if kind == "prometheus" else 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, dest)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise AsyncJobError(f"Cannot write {dest}: {error.strerror}. Correct dest, or make room.") from error
