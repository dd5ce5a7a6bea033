# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of all jobs of a store: a page for people, and metrics for Prometheus.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

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
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import filters_of, find_records
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.metrics import metrics
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.page import page
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Notify, Store, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store, settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import find_runs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import Run

ARGUMENT_SPEC: Spec = {
    "dest": {"type": "path", "required": True},
    "format": {"type": "str", "choices": ["html", "prometheus"], "default": "html"},
    "host": {"type": "str"},
    "playbook_name": {"type": "str"},
    "ara_url": {"type": "str"},
    **FILTERS,
    **STORE_OPTIONS,
}


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
    runs, unreadable = _runs(store, params, now)
    listing = listing._replace(unreadable=[*listing.unreadable, *unreadable])
    if params["format"] == "html":
        is_whole = not params["older_than"] and not params["newer_than"]
        text = page(
            listing.records, listing.unreadable, approvals, runs, store=store.locate(), made=now, ara_url=ara_url, is_whole=is_whole
        )
    else:
        text = metrics(listing.records, now, unreadable=len(listing.unreadable), approvals=approvals, runs=runs)
    if not check_mode:
        _write(params["dest"], text, params["format"])
    result: dict[str, t.Any] = {
        "changed": True,  # it tells the time
        "dest": params["dest"],
        "store": store.locate(),
        "filters": filters_of(params),
        "jobs": len(listing.found),
        "runs": len(runs),
        "approvals": approvals,
        "unreadable": listing.unreadable,
        "warnings": store.warnings,
    }
    if listing.unreadable:
        result.update(failed=True, msg=listing.problem(store))
    return result


def _runs(store: Store, params: dict[str, t.Any], now: datetime.datetime) -> tuple[list[Run], list[dict[str, str]]]:
    """Return the runs of workflows to show, and those that cannot be read. Whoever chooses jobs by what runs do not have, wants no runs.
    Whoever counts them needs all of their jobs."""
    others = ("older_than", "newer_than") if params["format"] == "prometheus" else ()
    if any(params[name] for name in ("host", "job_name_pattern", "status", *others)):
        return [], []
    runs, unreadable = find_runs(store, None)
    oldest, newest = (_times.age(params[name], name) if params[name] else None for name in ("newer_than", "older_than"))
    found = []
    for run in runs:
        moment = _times.moment(run.get("ended")) or _times.moment(run["started"]) or now
        is_of_age = (oldest is None or now - moment < oldest) and (newest is None or now - moment > newest)
        if is_of_age and params["playbook_name"] in (None, f"{run['workflow']} {run['run']}"):
            found.append(run)
    return found, unreadable


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
