# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a named job: one JSON object, readable by a person and by older readers.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
import typing as t
import uuid
from collections.abc import Mapping

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import RESTARTABLE, STATUSES
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import without_signature, write_json

if sys.version_info >= (3, 8):
    from typing import TypedDict
else:  # enough to import this file on a host

    class TypedDict(dict):
        """A dictionary whose fields are declared."""

        def __init_subclass__(cls, *, total: bool) -> None:
            pass


SCHEMA_VERSION = 1

OWN_WORK = "own_work"
"""The field of a claim that names the action which may do the work of the attempt itself, without a trace on the host."""

Fields = t.Dict[str, t.Any]
"""Some fields: a change of a record, in which None stands for a field to remove; what was learned; a past attempt."""

# Older Pythons cannot evaluate dict[str, t.Any], and the annotations of a record are evaluated.
_Object = t.Dict[str, t.Any]
_Objects = t.List[_Object]
_Texts = t.List[str]
_Numbers = t.List[int]


class Record(TypedDict, total=False):
    """A record, and all fields that we know. Those of later releases, and of other writers, survive beside them.

    Older records have the first five fields and no other. A reader that knows only these five can read ours.
    """

    job_name: str
    host: str
    ansible_job_id: str
    save_time: str
    metadata: _Object
    # From here on, fields that older records do not have
    schema_version: int
    playbook_name: str
    status: str
    start: str
    end: str
    end_noticed: bool
    ended: _Object
    elapsed: float
    who: str
    awx: _Object
    ara_playbook: _Object
    awaited_by: _Object
    results_file: str
    async_dir: str
    boot_id: str
    place: _Object
    timeout: float
    attempt: int
    attempts: _Objects
    first_attempt: int
    tail_size: int
    store_result: _Texts
    success_codes: _Numbers
    semaphore: _Object
    output_removed: bool
    last_line: str
    looked: str
    attempt_dir: str
    remote_user: str
    become_user: str
    delegated_host: str
    no_log: bool
    claim: _Object
    origin: _Object
    fingerprint: str
    result: _Object
    reason: str
    told: str
    runner: _Object
    cancelled: _Object
    cancelling: _Object
    stdout_file: str
    stderr_file: str
    stdout_offset: int
    stderr_offset: int
    write_id: str


FIELDS: dict[str, type | tuple[type, ...]] = {
    field: (int, float) if kind is float else getattr(kind, "__origin__", kind) for field, kind in t.get_type_hints(Record).items()
}
"""What a JSON value of each field is in Python."""

_PATHS = ("results_file", "async_dir", "attempt_dir", "stdout_file", "stderr_file")
_REQUIRED = ("job_name", "host", "ansible_job_id")

# What describes one attempt, and so starts afresh with the next one.
ATTEMPT_FIELDS = (
    "status",
    "start",
    "end",
    "end_noticed",
    "ended",
    "elapsed",
    "who",
    "awx",
    "ara_playbook",
    "awaited_by",
    "results_file",
    "async_dir",
    "boot_id",
    "place",
    "timeout",
    "attempt_dir",
    "remote_user",
    "become_user",
    "delegated_host",
    "claim",
    "origin",
    "fingerprint",
    "result",
    "reason",
    "told",
    "runner",
    "cancelled",
    "cancelling",
    "stdout_file",
    "stderr_file",
    "stdout_offset",
    "stderr_offset",
    "tail_size",
    "success_codes",
    "semaphore",
    "store_result",
    "output_removed",
    "last_line",
    "looked",
)

# How many past attempts a record remembers.
PAST_ATTEMPTS = 20

# How deep a record may be nested: far deeper than anybody needs, and far from what Python's JSON library can write.
_DEEPEST = 200


# Fields that hold times of a host, or of a controller, in seconds
_MEASURED = ("ended", "place")
# Of seconds, bytes and attempts: whoever reckons with more than that fails.
_MOST = 10**15


def parse(document: bytes, *, where: str) -> Record:
    """Read a document of the store.

    :arg where: the place of the document, for the error
    :raises AsyncJobError: if it is not a record, or one that only a later release of the collection understands
    """

    def corrupt(why: str) -> AsyncJobError:
        return AsyncJobError(
            f"The record {where} cannot be used: {why}. Nothing was changed and nothing was started. Look at it, then put"
            " back a good copy; or, once you are sure that its job does not run, remove it, and the job counts as never"
            " started."
        )

    if not document.strip():
        raise corrupt("it is empty")
    try:
        record = read_plain(document.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise corrupt(f"it is not UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise corrupt(f"it is not valid JSON ({error})") from error
    if not isinstance(record, dict):
        raise corrupt(f"it holds a JSON {_json_type(record)} where an object belongs")
    version = record.get("schema_version", SCHEMA_VERSION)
    if _is(version, int) and version > SCHEMA_VERSION:
        raise AsyncJobError(
            f"The record {where} was written by a newer release of the collection rstyczynski.ansible (schema version"
            f" {version}; this release knows {SCHEMA_VERSION}). Nothing was changed. Upgrade the collection on this controller."
        )
    for field in _REQUIRED:
        if field not in record:
            raise corrupt(f"the field {field!r} is missing")
    for field, kind in FIELDS.items():
        if field in record and not _is(record[field], kind):
            raise corrupt(f"the field {field!r} holds a JSON {_json_type(record[field])}")
    for field in FIELDS:
        values: t.Iterable[t.Any] = record.get(field, {}).values() if field in _MEASURED else [record.get(field)]
        if any(_is(value, (int, float)) and abs(value) > _MOST for value in values):
            raise corrupt(f"the field {field!r} holds a number that is too large")
    if record.get("status", "running") not in STATUSES:
        raise corrupt(f"its status {record['status']!r} is none of {', '.join(STATUSES)}")
    for past in record.get("attempts", ()):
        if not isinstance(past, dict):
            raise corrupt("the field 'attempts' holds something that is not an object")
        for field, value in past.items():
            if field in FIELDS and not _is(value, FIELDS[field]):
                raise corrupt(f"the field {field!r} of a past attempt holds a JSON {_json_type(value)}")
    for attempt in (record, *record.get("attempts", ())):
        for field in _PATHS:
            if "\0" in attempt.get(field, ""):
                raise corrupt(f"the field {field!r} holds NUL, which no path does")
    record.setdefault("metadata", {})
    return t.cast("Record", without_signature(record))  # that is what was proven just now


def check_names(record: Mapping[str, object], key: JobKey, *, where: str) -> None:
    """Refuse a record that belongs to another job than the one it was read for.

    :raises AsyncJobError: if one of the names differs
    """
    for field in JobKey._fields:
        if record.get(field, getattr(key, field)) != getattr(key, field):
            raise AsyncJobError(
                f"The record {where} was read for {key}, but its {field} is {record[field]!r}. It belongs to another job:"
                " the file was moved or copied by hand, or the disk takes names that differ only in case or accents for"
                " the same. Nothing was changed. Put the file back, or give the job a name that differs in more."
            )


def merged(record: Mapping[str, object], changes: Mapping[str, object]) -> Record:
    """Return the record with some fields changed, and without those whose change is None."""
    fields = {**record, **changes}
    return t.cast("Record", {field: value for field, value in fields.items() if value is not None or field not in changes})


def without(record: Mapping[str, object], unwanted: t.Collection[str]) -> Record:
    """Return the record without some of its fields."""
    return t.cast("Record", {field: value for field, value in record.items() if field not in unwanted})


def picked(record: Mapping[str, t.Any], wanted: t.Iterable[str]) -> Fields:
    """Return some fields of the record, as far as it has them."""
    return {field: record[field] for field in wanted if field in record}


def unseen_work(record: Record) -> str:
    """Return the action of an attempt that may still be under way although it counts as C(lost): it does its work itself, from its
    controller, and nobody has seen it end. Empty if this is none."""
    return str(record.get("claim", {}).get(OWN_WORK, "")) if record.get("status") == "lost" else ""


def why_unseen(action: str) -> str:
    """Say of an action that does its work itself why nobody can tell what became of that."""
    return f"{action} does its work itself, and nobody has seen it end; whether it has done it cannot be proven"


def once_unseen_work_is_done(record: Record) -> str:
    """Say what to do about such a job."""
    return (
        f"Make sure that it is done on {place_of(record)}, which nothing here can tell, and that the run which has started it is gone; then"
        " remove its record (async_job_state with state: absent and force: true, in a task on that host)."
    )


def dump(record: Mapping[str, object]) -> bytes:
    """Return the document for the store: sorted, indented, UTF-8, with a newline at its end."""
    return write_json(record)


def new_write_id() -> str:
    """Return a fresh value for the field C(write_id)."""
    return uuid.uuid4().hex


def storable(value: t.Any, *, name: str) -> t.Any:
    """Return what JSON makes of a value that a user gave. Dates and times become ISO 8601 strings.

    :arg name: what the value is called, for the error
    :raises AsyncJobError: if JSON cannot hold it; the error tells the place and the type, never the value
    """
    try:
        plain = _plain(value, name=name)
        # There and back: what is compared with a record has to be what a record would give back.
        if _is_shallow(plain, _DEEPEST - 10):  # the record adds some levels
            return json.loads(json.dumps(plain, allow_nan=False))
    except RecursionError:
        pass
    raise AsyncJobError(f"{name} cannot be stored: it is nested too deep, or holds itself. Nothing was saved. Give something flatter.")


def _plain(value: t.Any, *, name: str) -> t.Any:
    """Return a copy in types that JSON has. Subclasses of theirs, which Ansible uses to mark values, become the types themselves."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and value.bit_length() < 4096:  # Python refuses to write many more digits
        return int(value)
    if isinstance(value, float) and value - value == 0:  # neither infinite nor NaN
        return float(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        copy: dict[str, t.Any] = {}
        for key, item in value.items():
            text = _plain_key(key, name=name)
            if text in copy:
                raise AsyncJobError(f"{name} has two keys that are both {text!r} in JSON. Nothing was saved. Rename one of them.")
            copy[text] = _plain(item, name=f"{name}.{text}")
        return copy
    if isinstance(value, (list, tuple)):
        return [_plain(item, name=f"{name}[{index}]") for index, item in enumerate(value)]
    raise AsyncJobError(
        f"{name} cannot be stored: JSON has nothing for {'this value' if isinstance(value, (int, float)) else 'a value'} of the type"
        f" {type(value).__name__!r}. Nothing was saved."
        " Give a string, number, boolean, date, list or dictionary."
    )


def _plain_key(key: t.Any, *, name: str) -> str:
    """Return a key as JSON writes it: C(1) becomes C("1"), and C(true) becomes C("true")."""
    plain = _plain(key, name=f"a key of {name}")
    if isinstance(plain, (dict, list)):
        raise AsyncJobError(f"{name} cannot be stored: one of its keys is a {type(key).__name__}. Nothing was saved. Give a string.")
    if isinstance(plain, str) and plain.startswith(_TAGS):
        raise AsyncJobError(f"{name} cannot be stored: its key {plain!r} is one of Ansible's own. Nothing was saved. Give it another name.")
    return plain if isinstance(plain, str) else json.dumps(plain)


def _is(value: t.Any, kind: type | tuple[type, ...]) -> bool:
    # In Python, not in JSON, a boolean is an integer.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _json_type(value: t.Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return names[type(value)]


def _is_shallow(value: t.Any, levels: int) -> bool:
    if isinstance(value, (dict, list)):
        return levels > 0 and all(_is_shallow(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))
    return True


def read_plain(text: str) -> t.Any:
    """Read JSON of a store, in which nothing is more than a text, a number, a list or a dictionary to whoever gets it.

    :raises ValueError: if it is none, is nested too deep, or has a key with which Ansible marks objects of its own, such as templates:
        its caches would make these of it
    """
    value = _DECODER.decode(text)
    # Each level takes a bracket. So few of them need no closer look.
    if text.count("{") + text.count("[") > _DEEPEST and not _is_shallow(value, _DEEPEST):
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    return value


_TAGS = "__ansible"


def _without_tags(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    for name, _value in pairs:
        if name.startswith(_TAGS):
            raise ValueError(f"the key {name!r} belongs to Ansible")
    return dict(pairs)


def _finite(text: str) -> float:
    if abs(float(text)) == float("inf"):
        raise ValueError(f"{text} is too large a number")
    return float(text)


def _refuse_constant(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_tags)


def key_of(record: Record) -> JobKey:
    """Return the key of a job. The record of an older release knows its playbook only once it was looked up."""
    return JobKey(record["host"], record["playbook_name"], record["job_name"])


def marked_key(record: Record) -> JobKey:
    """Return the key of a job as the directory of its attempt and the host's own file have it. One that was found on its host may have been
    started under another name of that."""
    return key_of(record)._replace(host=str(record.get("origin", {}).get("host") or record["host"]))


def status_to_act_on(record: Record) -> str:
    """Return how a job stands. What somebody has cancelled when it had ended already, is not to go on either."""
    return "cancelled" if record.get("cancelled") and record.get("status") in RESTARTABLE else record.get("status", "running")


def place_of(record: Record) -> str:
    """Return the host where a job runs: its own, unless its task was delegated to another one."""
    return str(record.get("delegated_host") or record["host"])


def is_host_name(text: str) -> bool:
    """Tell whether a name of a record may be handed to Ansible as that of a host. Others could be taken for options or templates."""
    return text.isprintable() and text == text.strip() and not re.match("-|$", text) and not re.search("{[{%#]", text)
