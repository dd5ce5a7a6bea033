# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the records of many jobs, and name what cannot be read.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _key, _record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import Entry, Store, Version

# What to look for. Beside these, C(host) and C(playbook_name).
FILTERS: Spec = {
    "job_name_pattern": {"type": "str"},
    "status": {"type": "list", "elements": "str", "choices": list(_record.STATUSES)},
    "older_than": {"type": "str"},
    "newer_than": {"type": "str"},
}

_NEVER = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


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
        """Why this is not all that there is. Empty if it is."""
        if not self.unreadable:
            return ""
        why = " ".join(line["msg"] for line in self.unreadable[:3])
        more = " The others are in 'unreadable'." if len(self.unreadable) > 3 else ""
        return f"{len(self.unreadable)} records in {store.locate()} cannot be read. {why}{more}"


def find(store: Store, params: dict[str, t.Any]) -> Listing:
    """All records that fit, in the order of their paths.

    :arg params: values of FILTERS, C(host) and C(playbook_name); where a module takes them, of C(hosts), which is a list, and of
        C(job_name)
    """
    by_path, by_content = _path_filter(params), _filter(params)
    found = []
    unreadable = []
    for entry in store.entries(_key.prefix(params["host"], params["playbook_name"]), by_path):
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


def of_hosts(store: Store, params: dict[str, t.Any], hosts: t.Iterable[str]) -> Listing:
    """The same, of a few hosts. Records of others are not listed at all."""
    listings = [find(store, {**params, "host": host}) for host in hosts]
    return Listing(
        [found for listing in listings for found in listing.found], [problem for listing in listings for problem in listing.unreadable]
    )


def record_of(store: Store, entry: Entry) -> tuple[Record, Version]:
    """The record of a line in a listing, with the name of its playbook, and its version.

    :raises AsyncJobError: if it cannot be used
    """
    where = store.locate(entry.path)
    if entry.document is None:
        raise entry.error or AsyncJobError(f"The record {where} cannot be read.")
    record = _record.parse(entry.document.content, where=where)
    # Older records don't hold the name of their playbook; their path does.
    record.setdefault("playbook_name", _key.decode(entry.path.split("/")[1]) or "")
    key = JobKey(record["host"], record["playbook_name"], record["job_name"])
    if key.path != entry.path:
        raise AsyncJobError(
            f"The record {where} is not where it belongs: it is of {key}, which would be {store.locate(key.path)}."
            " The file was moved or copied by hand. Nothing was changed. Put it back, or remove it."
        )
    return record, entry.document.version


def age(text: str, option: str) -> datetime.timedelta:
    """A length of time, as users write it.

    :arg option: where it comes from, for the error
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text)
    if match is None:
        raise AsyncJobError(f"{option} is {text!r}, which is not an age. Give a number and a unit: 30s, 15m, 12h, 7d or 2w.")
    seconds = float(match.group(1)) * _SECONDS[match.group(2)]
    return datetime.timedelta(seconds=min(seconds, 1e12))  # what is more than all of history makes no difference


def since(record: Record) -> datetime.datetime | None:
    """Since when a job is what it is: when it ended, or else when its attempt was started. None if nobody can tell."""
    if record.get("status") not in _record.ENDED:
        return started_at(record)
    return moment(record.get("end")) or moment(record.get("save_time"))


def place_of(record: Record) -> str:
    """The host where a job runs: its own, unless its task was delegated to another one."""
    return str(record.get("delegated_host") or record["host"])


def is_host_name(text: str) -> bool:
    """Whether a name of a record may be handed to Ansible as that of a host. Others could be taken for options or templates."""
    return text.isprintable() and text == text.strip() and not re.match("-|$", text) and not re.search("{[{%#]", text)


def saved_at(record: Record) -> datetime.datetime:
    """When the record was last saved. One whose time nobody can read counts as infinitely old."""
    return moment(record.get("save_time")) or _NEVER


def moment(text: t.Any) -> datetime.datetime | None:
    """A time of a record. None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.datetime.fromisoformat(re.sub("Z$", "+00:00", text))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)


def run_time(record: Record, now: datetime.datetime) -> float:
    """How long the current attempt took, or has taken so far, in seconds."""
    begin, end = started_at(record), moment(record.get("end")) if record.get("status") in _record.ENDED else now
    return max((end - begin).total_seconds(), 0.0) if begin and end else 0.0


def started_at(record: Record) -> datetime.datetime | None:
    """When the current attempt was started. Older records tell only when they were saved."""
    return moment(record.get("start")) or moment(record.get("save_time"))


def _path_filter(params: dict[str, t.Any]) -> t.Callable[[str], bool]:
    """What the path of a record tells of it, and need not be read for."""
    playbook = None if params["playbook_name"] is None else _key.encode(params["playbook_name"])
    pattern = params["job_name_pattern"]
    job = None if params.get("job_name") is None else _key.encode(params["job_name"], suffix=_key.SUFFIX)
    hosts = None if params.get("hosts") is None else {_key.encode(host) for host in params["hosts"]}

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
        name = None if pattern is None else _key.decode(job_of, suffix=_key.SUFFIX)
        return name is None or fnmatch.fnmatchcase(name, pattern)

    return wanted


def _filter(params: dict[str, t.Any]) -> t.Callable[[Record], bool]:
    now = datetime.datetime.now(datetime.timezone.utc)
    older_than = None if params["older_than"] is None else age(params["older_than"], "older_than")
    newer_than = None if params["newer_than"] is None else age(params["newer_than"], "newer_than")

    def wanted(record: Record) -> bool:
        if params["job_name_pattern"] is not None and not fnmatch.fnmatchcase(record["job_name"], params["job_name_pattern"]):
            return False
        if params["status"] and record.get("status", "running") not in params["status"]:
            return False
        if older_than is None and newer_than is None:
            return True
        how_old = now - (since(record) or _NEVER)
        return (older_than is None or how_old > older_than) and (newer_than is None or how_old < newer_than)

    return wanted
