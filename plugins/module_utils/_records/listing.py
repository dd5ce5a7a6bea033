# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the records of many jobs, and name what cannot be read.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import fnmatch
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import age
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import decode, encode, prefix
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of, parse
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SUFFIX, Entry, Store, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless

_FILTER_WORDS = {
    "host": "host",
    "hosts": "hosts of this run",
    "playbook_name": "playbook",
    "job_name": "job",
    "job_name_pattern": "job",
    "workflow": "workflow",
    "status": "status",
    "older_than": "older than",
    "newer_than": "newer than",
    "keep": "all but the latest",
    "keep_attempts": "attempts before the latest",
}
# How many values of one filter are shown.
_SHOWN = 10


class Found(t.NamedTuple):
    """A record, and what to expect when it is changed."""

    record: Record
    path: str
    version: Version


class Listing(t.NamedTuple):
    """What there is in a store."""

    found: list[Found]
    unreadable: list[dict[str, str]]
    """For each record that cannot be read, C(state_file) and C(msg)."""

    @property
    def records(self) -> list[Record]:
        """The records alone."""
        return [found.record for found in self.found]

    def problem(self, store: Store) -> str:
        """Say what is missing from this listing, and why. Empty if nothing is."""
        if not self.unreadable:
            return ""
        why = " ".join(line["msg"] for line in self.unreadable[:3])
        more = " The others are in 'unreadable'." if len(self.unreadable) > 3 else ""
        return f"{len(self.unreadable)} records in {store.locate()} cannot be read. {why}{more}"


def filters_of(params: dict[str, t.Any]) -> str:
    """Say in words which jobs were asked for, so that a user sees what was understood.

    :arg params: those of find_records; where a module takes them, also C(keep) and C(keep_attempts)
    """
    said = []
    for option, words in _FILTER_WORDS.items():
        value = params.get(option)
        if value not in (None, []):
            values = [harmless(str(one)) for one in (value if isinstance(value, list) else [value])]
            more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
            said.append(f"{words} {' or '.join(values[:_SHOWN])}{more}")
    return ", ".join(said) or "none"


def flawed(store: Store, found: t.Iterable[Found], explain: t.Callable[[Record, str], str]) -> list[dict[str, str]]:
    """Return, for each record that nobody may act upon, C(state_file) and C(msg).

    :arg explain: tells of a record, and its place, why nobody may; empty if somebody may
    """
    problems = ((store.locate(one.path), explain(one.record, store.locate(one.path))) for one in found)
    return [{"state_file": where, "msg": why} for where, why in problems if why]


def find_records(store: Store, params: dict[str, t.Any]) -> Listing:
    """Return all records that fit, in the order of their paths.

    :arg params: values of FILTERS, C(host) and C(playbook_name); where a module takes them, of C(hosts), which is a list, and of
        C(job_name)
    """
    by_path, by_content = _path_filter(params), _filter(params)
    found = []
    unreadable = []
    for entry in store.entries(prefix(params["host"], params["playbook_name"]), by_path):
        try:
            if entry.document is None and not by_path(entry.path):
                continue  # a directory that cannot be read, of another playbook
            record, version = record_of(store, entry)
        except AsyncJobError as error:
            unreadable.append({"state_file": store.locate(entry.path), "msg": str(error)})
        else:
            if by_content(record):
                found.append(Found(record, entry.path, version))
    return Listing(found, unreadable)


def find_records_of_hosts(store: Store, params: dict[str, t.Any], hosts: t.Iterable[str]) -> Listing:
    """Return all records of a few hosts that fit. Those of other hosts are not listed at all."""
    listings = [find_records(store, {**params, "host": host}) for host in hosts]
    return Listing(
        [found for listing in listings for found in listing.found], [problem for listing in listings for problem in listing.unreadable]
    )


def record_of(store: Store, entry: Entry) -> tuple[Record, Version]:
    """Return the record of a line in a listing, with the name of its playbook, and its version.

    :raises AsyncJobError: if it cannot be used
    """
    where = store.locate(entry.path)
    if entry.document is None:
        raise entry.error or AsyncJobError(f"The record {where} cannot be read.")
    record = parse(entry.document.content, where=where)
    # Older records don't hold the name of their playbook; their path does.
    record.setdefault("playbook_name", decode(entry.path.split("/")[1]) or "")
    key = key_of(record)
    if key.path != entry.path:
        raise AsyncJobError(
            f"The record {where} is not where it belongs: it is of {key}, which would be {store.locate(key.path)}."
            " The file was moved or copied by hand. Nothing was changed. Put it back, or remove it."
        )
    return record, entry.document.version


def _path_filter(params: dict[str, t.Any]) -> t.Callable[[str], bool]:
    """Return a filter that judges a record by its path, so that those that do not fit are never read."""
    playbook = None if params["playbook_name"] is None else encode(params["playbook_name"])
    pattern = params["job_name_pattern"]
    job = None if params.get("job_name") is None else encode(params["job_name"], suffix=SUFFIX)
    hosts = None if params.get("hosts") is None else {encode(host) for host in params["hosts"]}

    def wanted(path: str) -> bool:
        # What cannot be listed is the directory of a host or a playbook: empty segments stand for what it holds.
        host_of, playbook_of, job_of = [*path.split("/"), "", ""][:3]
        if host_of and hosts is not None and host_of not in hosts:
            return False
        if playbook_of and playbook is not None and playbook_of != playbook:
            return False
        if not job_of:
            return True
        if job is not None and job_of != job:
            return False
        name = None if pattern is None else decode(job_of, suffix=SUFFIX)
        return name is None or fnmatch.fnmatchcase(name, pattern)

    return wanted


def _filter(params: dict[str, t.Any]) -> t.Callable[[Record], bool]:
    """Return a filter that judges a record by what it says."""
    now = time.time()
    older_than = None if params["older_than"] is None else _times.age(params["older_than"], "older_than").total_seconds()
    newer_than = None if params["newer_than"] is None else _times.age(params["newer_than"], "newer_than").total_seconds()

    def wanted(record: Record) -> bool:
        if params["job_name_pattern"] is not None and not fnmatch.fnmatchcase(record["job_name"], params["job_name_pattern"]):
            return False
        if params["status"] and record.get("status", "running") not in params["status"]:
            return False
        if older_than is None and newer_than is None:
            return True
        how_old = age(record, now)
        return (older_than is None or how_old > older_than) and (newer_than is None or how_old < newer_than)

    return wanted
