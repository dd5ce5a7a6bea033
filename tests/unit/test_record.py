# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record: what is read, what is refused and in which words, and what can be stored in it."""

from __future__ import annotations

import collections
import datetime
import json
import math
import typing as t
import uuid
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records import record as record_module
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    FIELDS,
    check_names,
    dump,
    new_write_id,
    storable,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import STATUSES

WHERE = "/srv/state/host1/play/job.json"
SECRET = "correct horse battery staple"
KEY = JobKey("host1", "play", "job")

# What the first releases wrote, with what they put between the fields.
OLD = b"""{
    "ansible_job_id": "j314159265358.2718",
    "host": "host1",
    "job_name": "job",
    "metadata": {
        "ticket": "OPS-1234"
    },
    "save_time": "2025-01-31T22:00:04Z"
}"""

# Any text, lone surrogates included, but not two of them that are one character in JSON.
text = st.text(st.characters()).filter(lambda value: json.loads(json.dumps(value)) == value and not value.startswith("__ansible"))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=20,
)
objects = st.dictionaries(text, json_values, max_size=5)
examples = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def record(**fields: t.Any) -> dict[str, t.Any]:
    """A record with these fields changed or added."""
    return {**json.loads(OLD), **fields}


def as_bytes(value: t.Any) -> bytes:
    """The value as JSON, in other clothes than ours."""
    return json.dumps(value, indent=None).encode("utf-8")


def parse(document: bytes) -> dict[str, t.Any]:
    """Read a document."""
    return record_module.parse(document, where=WHERE)


def refused(action: Callable[[], t.Any], *mentioned: str) -> str:
    """The one paragraph of an error, after making sure that it mentions all of these, and no secret."""
    words = ""
    try:
        action()
    except RecursionError:
        words = "it went too deep"  # pytest would need minutes to show it
    except AsyncJobError as error:
        words = str(error)
    assert words, "it was not refused"
    assert "\n" not in words
    assert SECRET not in words
    for part in mentioned:
        assert part in words
    return words


def nested(depth: int, bottom: t.Any = None) -> t.Any:
    """A list in a list in a list."""
    value = bottom
    for _level in range(depth):
        value = [value]
    return value


# --- What is read -----------------------------------------------------------------------------------------------------


def test_an_old_record_is_read_as_it_is() -> None:
    """With its five fields, and no other."""
    assert parse(OLD) == json.loads(OLD)


def test_a_record_needs_only_what_finds_the_job() -> None:
    """Its metadata is empty then."""
    bare = {"job_name": "job", "host": "host1", "ansible_job_id": "j1.2"}
    assert parse(as_bytes(bare)) == {**bare, "metadata": {}}


@given(objects, objects)
@examples
def test_what_is_dumped_is_read(metadata: dict[str, t.Any], unknown: dict[str, t.Any]) -> None:
    """Fields that this release does not know included."""
    written = record(metadata=metadata, **{f"x {name}": value for name, value in unknown.items()})
    assert parse(dump(written)) == written


def test_every_field_is_read() -> None:
    """With each kind of value that it may have."""
    every = record(
        schema_version=1,
        playbook_name="play",
        status="running",
        start="2026-01-31T22:00:04Z",
        end="2026-01-31T22:00:05Z",
        who="me@here",
        awx={"job_id": 12},
        ara_playbook={"started": {"id": 1}},
        awaited_by={"pid": 1},
        results_file="/r/j1",
        async_dir="/r",
        boot_id="b",
        timeout=3600,
        attempt=3,
        attempts=[{}, {"ansible_job_id": "j0.0", "rc": None}],
        attempt_dir="/r/a",
        remote_user="me",
        become_user="root",
        delegated_host="other",
        no_log=True,
        claim={"who": "me"},
        fingerprint="f",
        result={"rc": 0},
        write_id="w",
    )
    for timeout in (3600, 0.5):
        assert parse(as_bytes({**every, "timeout": timeout})) == {**every, "timeout": timeout}


@pytest.mark.parametrize(
    "status",
    ["starting", "prepared", "running", "succeeded", "failed", "killed", "timed_out", "orphaned", "lost", "cancelled"],
)
def test_every_status_is_known(status: str) -> None:
    """There are ten."""
    assert parse(as_bytes(record(status=status)))["status"] == status
    assert len(STATUSES) == 10


@pytest.mark.parametrize("document", [b"\n\n " + OLD + b"\r\n\t ", OLD.replace(b"\n", b"\r\n"), as_bytes(json.loads(OLD))])
def test_the_layout_does_not_matter(document: bytes) -> None:
    """A person may have edited it."""
    assert parse(document) == json.loads(OLD)


# --- What is refused --------------------------------------------------------------------------------------------------

DEEP = 100_000
CORRUPT = {
    "empty": (b"", "it is empty"),
    "blank": (b" \r\n\t\n", "it is empty"),
    "zeros": (b"\0" * 4096, "not valid JSON"),
    "not UTF-8": (OLD.replace(b"OPS", b"\xff"), f"it is not UTF-8 (byte {OLD.index(b'OPS')})"),
    "cut character": ("é".encode()[:1], "it is not UTF-8 (byte 0)"),
    "UTF-16": (OLD.decode().encode("utf-16"), "it is not UTF-8 (byte 0)"),
    "byte order mark": (b"\xef\xbb\xbf" + OLD, "not valid JSON"),
    "no JSON": (b"job: YAML", "not valid JSON"),
    "cut": (OLD[:-1], "not valid JSON"),
    "two records": (OLD + OLD, "not valid JSON"),
    "an end of another one": (OLD + b'"}\n', "not valid JSON"),
    "single quotes": (OLD.replace(b'"', b"'"), "not valid JSON"),
    "null": (b"null", "it holds a JSON null where an object belongs"),
    "true": (b"true", "it holds a JSON boolean where an object belongs"),
    "number": (b"1", "it holds a JSON number where an object belongs"),
    "string": (b'"x"', "it holds a JSON string where an object belongs"),
    "array": (b"[1]", "it holds a JSON array where an object belongs"),
    "array of a record": (b"[" + OLD + b"]", "it holds a JSON array where an object belongs"),
    "NaN": (OLD.replace(b'"OPS-1234"', b"NaN"), "NaN is not JSON"),
    "Infinity": (OLD.replace(b'"OPS-1234"', b"-Infinity"), "-Infinity is not JSON"),
    "too big a number": (OLD.replace(b'"OPS-1234"', b"1e999"), "not valid JSON"),
    "too many digits": (OLD.replace(b'"OPS-1234"', b"1" * 5000), "not valid JSON"),
    "deep arrays": (OLD.replace(b'"OPS-1234"', b"[" * DEEP + b"]" * DEEP), "not valid JSON"),
    "deep objects": (OLD.replace(b'"OPS-1234"', b'{"a":' * DEEP + b"1" + b"}" * DEEP), "not valid JSON"),
    "deep and cut": (b"[" * DEEP, "not valid JSON"),
    "unknown status": (as_bytes(record(status="finished")), "its status 'finished' is none of starting, prepared, running"),
    "empty status": (as_bytes(record(status="")), "its status '' is none of"),
    # Whoever reckons with it would fail for all records of a list.
    "too long a limit": (as_bytes(record(timeout=10**400)), "the field 'timeout' holds a number that is too large"),
    "too large a float": (as_bytes(record(timeout=1e308)), "the field 'timeout' holds a number that is too large"),
    "too large a negative number": (as_bytes(record(attempt=-(10**16))), "the field 'attempt' holds a number that is too large"),
    "too late an end": (as_bytes(record(ended={"boot_id": "x", "up": 10**400})), "the field 'ended' holds a number that is too large"),
    "an attempt is a string": (as_bytes(record(attempts=[{}, "x"])), "'attempts' holds something that is not an object"),
    "an attempt is null": (as_bytes(record(attempts=[None])), "'attempts' holds something that is not an object"),
}


@pytest.mark.parametrize(("document", "why"), CORRUPT.values(), ids=CORRUPT)
def test_a_corrupt_record_is_an_error(document: bytes, why: str) -> None:
    """It names the place and the reason, tells what to do, and that nothing was done."""
    refused(lambda: parse(document), WHERE, why, "Nothing was changed and nothing was started.", "put back a good copy", "remove it")


@pytest.mark.parametrize("length", range(0, len(OLD), 7))
def test_no_beginning_of_a_record_is_a_record(length: int) -> None:
    """Wherever it was cut."""
    refused(lambda: parse(OLD[:length]), WHERE)


@given(st.binary(max_size=40))
@examples
@example(b'{"job_name":{"host":[]}}')
def test_any_bytes_are_a_record_or_an_error(document: bytes) -> None:
    """And never another exception."""
    with pytest.raises(AsyncJobError):
        parse(document)


@pytest.mark.parametrize("field", ["job_name", "host", "ansible_job_id"])
def test_a_record_without_a_name_is_corrupt(field: str) -> None:
    """So is one without a job id."""
    fields = record()
    del fields[field]
    refused(lambda: parse(as_bytes(fields)), WHERE, f"the field '{field}' is missing")


NOT_TEXT = [None, True, 1, 1.5, ["x"], {"x": 1}]
NOT_A_NUMBER = [None, True, False, "1", [1], {"x": 1}]
NOT_A_WHOLE_NUMBER = [*NOT_A_NUMBER, 1.5]
NOT_AN_OBJECT: list[t.Any] = [None, False, 0, "x", [], [{}]]
NOT_AN_ARRAY: list[t.Any] = [None, False, 0, "x", {}]
NOT_A_BOOLEAN: list[t.Any] = [None, 0, 1, "true", [], {}]
WRONG: dict[str, list[t.Any]] = {
    "job_name": NOT_TEXT,
    "host": NOT_TEXT,
    "ansible_job_id": NOT_TEXT,
    "save_time": NOT_TEXT,
    "metadata": NOT_AN_OBJECT,
    "schema_version": NOT_A_WHOLE_NUMBER,
    "playbook_name": NOT_TEXT,
    "status": NOT_TEXT,
    "start": NOT_TEXT,
    "end": NOT_TEXT,
    "who": NOT_TEXT,
    "awx": NOT_AN_OBJECT,
    "ara_playbook": NOT_AN_OBJECT,
    "awaited_by": NOT_AN_OBJECT,
    "results_file": NOT_TEXT,
    "async_dir": NOT_TEXT,
    "boot_id": NOT_TEXT,
    "place": NOT_AN_OBJECT,
    "ended": NOT_AN_OBJECT,
    "end_noticed": NOT_A_BOOLEAN,
    "elapsed": NOT_A_NUMBER,
    "cancelling": NOT_AN_OBJECT,
    "timeout": NOT_A_NUMBER,
    "attempt": NOT_A_WHOLE_NUMBER,
    "first_attempt": NOT_A_WHOLE_NUMBER,
    "tail_size": NOT_A_WHOLE_NUMBER,
    "store_result": NOT_AN_ARRAY,
    "success_codes": NOT_AN_ARRAY,
    "semaphore": NOT_AN_OBJECT,
    "output_removed": NOT_A_BOOLEAN,
    "looked": NOT_TEXT,
    "last_line": NOT_TEXT,
    "told": NOT_TEXT,
    "attempts": NOT_AN_ARRAY,
    "attempt_dir": NOT_TEXT,
    "remote_user": NOT_TEXT,
    "become_user": NOT_TEXT,
    "delegated_host": NOT_TEXT,
    "no_log": NOT_A_BOOLEAN,
    "claim": NOT_AN_OBJECT,
    "origin": NOT_AN_OBJECT,
    "fingerprint": NOT_TEXT,
    "result": NOT_AN_OBJECT,
    "reason": NOT_TEXT,
    "runner": NOT_AN_OBJECT,
    "cancelled": NOT_AN_OBJECT,
    "stdout_file": NOT_TEXT,
    "stderr_file": NOT_TEXT,
    "stdout_offset": NOT_A_WHOLE_NUMBER,
    "stderr_offset": NOT_A_WHOLE_NUMBER,
    "write_id": NOT_TEXT,
}
JSON_NAMES = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}


@pytest.mark.parametrize("field", WRONG)
def test_a_field_of_another_type_is_corrupt(field: str) -> None:
    """The error tells the field and what it holds, but not the value."""
    for value in WRONG[field]:
        document = as_bytes(record(**{field: value}))
        refused(partial(parse, document), WHERE, f"the field '{field}' holds a JSON {JSON_NAMES[type(value)]}")


def test_all_fields_are_checked() -> None:
    """None was added without a type."""
    assert set(WRONG) == set(FIELDS)


def test_no_error_holds_the_content() -> None:
    """It may be somebody's secret."""
    for document in (
        f'{{"metadata": "{SECRET}"',
        json.dumps(record(metadata=SECRET)),
        json.dumps(record(job_name=[SECRET])),
        json.dumps(record(schema_version=2, metadata={"a": SECRET})),
        json.dumps(record(status="?", metadata={"a": SECRET})),
        json.dumps(SECRET),
    ):
        refused(partial(parse, document.encode()), WHERE)


@pytest.mark.parametrize(
    "newer",
    [
        record(schema_version=2),
        record(schema_version=10**30),
        record(schema_version=2, status="hibernating"),
        record(schema_version=2, metadata=["now", "a", "list"], attempts={}),
        {"schema_version": 2, "name": "renamed"},
    ],
    ids=["version", "far future", "status", "types", "names"],
)
def test_a_newer_record_has_a_message_of_its_own(newer: dict[str, t.Any]) -> None:
    """It is not corrupt, and removing it would be wrong. It may differ in anything but the version."""
    words = refused(
        lambda: parse(as_bytes(newer)), WHERE, f"schema version {newer['schema_version']}", "Nothing was changed.", "Upgrade the collection"
    )
    assert "remove" not in words


@pytest.mark.parametrize("field", JobKey._fields)
def test_a_record_of_another_job_is_refused(field: str) -> None:
    """Whichever of its names differs, if only in case."""
    written = {**record(), **KEY._asdict()}
    check_names(written, KEY, where=WHERE)
    for name in (written[field].upper(), "", "another"):
        another = {**written, field: name}
        refused(
            partial(check_names, another, KEY, where=WHERE),
            WHERE,
            f"its {field} is {name!r}",
            "Nothing was changed.",
        )


def test_an_old_record_does_not_know_its_playbook() -> None:
    """And so it belongs to any."""
    check_names(parse(OLD), KEY, where=WHERE)
    check_names(parse(OLD), KEY._replace(playbook_name="another"), where=WHERE)


# --- What is written --------------------------------------------------------------------------------------------------


def test_a_document_is_made_for_people() -> None:
    """Indented, sorted, in UTF-8, with a newline at its end."""
    assert dump({"b": "Zürich ☃ 🎉", "a": {"d": None, "c": [1, 2.5, True]}}).decode("utf-8") == (
        '{\n  "a": {\n    "c": [\n      1,\n      2.5,\n      true\n    ],\n    "d": null\n  },\n  "b": "Zürich ☃ 🎉"\n}\n'
    )


@given(objects)
@examples
def test_a_document_is_utf_8_and_always_the_same(fields: dict[str, t.Any]) -> None:
    """Whatever the order of its fields is."""
    document = dump(fields)
    document.decode("utf-8")
    assert document.endswith(b"}\n")
    assert dump(dict(reversed(list(fields.items())))) == document
    assert json.loads(document) == fields


@pytest.mark.parametrize("value", ["\udcff", chr(0xD800), "a\\\udcff", '"\udcff"', "\udc80\ud800"])
def test_lone_surrogates_come_back(value: str) -> None:
    """They are what Python makes of a command line that is not UTF-8. The document is UTF-8 all the same."""
    written = record(metadata={value: value})
    document = dump(written)
    document.decode("utf-8")
    assert parse(document) == written


@pytest.mark.parametrize("depth", [10, 100, 400, *range(900, 1010, 10), 3000, 9000, 20_000])
def test_what_is_read_can_be_written(depth: int) -> None:
    """However deep it is: what this release cannot write again, it refuses to read."""
    document = OLD.replace(b'"OPS-1234"', b"[" * depth + b"]" * depth)
    try:
        fields = parse(document)
    except AsyncJobError:
        assert depth > 100
    else:
        assert len(dump(fields)) > 2 * depth


def test_write_ids_differ() -> None:
    """Each of them is the only one."""
    assert len({new_write_id() for _turn in range(100)}) == 100


def test_now_is_in_utc() -> None:
    """To the second, in the form of older records."""
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    now = datetime.datetime.strptime(_times.now(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    assert before <= now <= datetime.datetime.now(datetime.timezone.utc)


# --- What can be stored -----------------------------------------------------------------------------------------------


def store(value: t.Any) -> t.Any:
    """What is stored of metadata."""
    return storable(value, name="metadata")


@given(json_values)
@examples
def test_what_json_can_hold_is_stored_as_it_is(value: t.Any) -> None:
    """In new objects, so that nobody can change it afterwards."""
    stored = store(value)
    assert stored == value
    assert type(stored) is type(value)
    assert json.loads(json.dumps(stored)) == value
    if isinstance(value, (dict, list)):
        assert stored is not value


@given(objects)
@examples
def test_what_was_stored_is_stored_again(value: dict[str, t.Any]) -> None:
    """Without a difference, so that the second save changes nothing."""
    stored = store(value)
    assert store(json.loads(dump(stored))) == stored


class Text(str):
    """Such as Ansible's own strings."""


class Number(int):
    """Such as Ansible's own numbers."""


class Mapping(collections.UserDict):  # type: ignore[type-arg]
    """Such as Ansible's own mappings."""


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (datetime.date(2026, 1, 31), "2026-01-31"),
        (datetime.datetime(2026, 1, 31, 22, 0, 4), "2026-01-31T22:00:04"),
        (datetime.datetime(2026, 1, 31, 22, 0, 4, 500, tzinfo=datetime.timezone.utc), "2026-01-31T22:00:04.000500+00:00"),
        (datetime.time(22, 0, 4), "22:00:04"),
        ((1, (2, [3])), [1, [2, [3]]]),
        (Text("x"), "x"),
        (Number(7), 7),
        (Mapping({"a": Mapping({Text("b"): (1,)})}), {"a": {"b": [1]}}),
        (collections.OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
        (True, True),
        (-0.0, -0.0),
        (1e308, 1e308),
        (10**300, 10**300),
        ("", ""),
        ({}, {}),
        ([], []),
    ],
    ids=repr,
)
def test_what_python_has_and_json_has_not_is_translated(value: t.Any, stored: t.Any) -> None:
    """Dates become ISO 8601 strings. No type but JSON's own is left."""
    found = store({"a": value})["a"]
    assert found == stored
    assert type(found) is type(stored)
    assert type(store({"a": [value]})["a"][0]) is type(stored)
    assert json.loads(json.dumps(found)) == stored


class Secret:
    """An object whose text nobody may see."""

    def __repr__(self) -> str:
        return SECRET

    __str__ = __repr__


UNSTORABLE = {
    "set": ({SECRET}, "set"),
    "frozenset": (frozenset([SECRET]), "frozenset"),
    "bytes": (SECRET.encode(), "bytes"),
    "bytearray": (bytearray(SECRET.encode()), "bytearray"),
    "object": (Secret(), "Secret"),
    "class": (Secret, "type"),
    "function": (len, "builtin_function_or_method"),
    "iterator": (iter([SECRET]), "list_iterator"),
    "complex": (1j, "complex"),
    "duration": (datetime.timedelta(1), "timedelta"),
    "uuid": (uuid.uuid4(), "UUID"),
    "NaN": (math.nan, "float"),
    "infinity": (math.inf, "float"),
    "minus infinity": (-math.inf, "float"),
    "too many digits": (10**5000, "int"),
}


@pytest.mark.parametrize(("value", "kind"), UNSTORABLE.values(), ids=UNSTORABLE)
def test_what_json_cannot_hold_is_an_error(value: t.Any, kind: str) -> None:
    """It names the place and the type, but not the value, and tells what could be given instead."""
    for metadata, place in (
        (value, "metadata cannot"),
        ({"a": value}, "metadata.a cannot"),
        ({"a": [1, 2, value]}, "metadata.a[2] cannot"),
        ({"a": [{"b c": ({}, {"d": value})}]}, "metadata.a[0].b c[1].d cannot"),
    ):
        refused(partial(store, metadata), place, repr(kind), "Nothing was saved.", "Give a")


@pytest.mark.parametrize("depth", [5000, 100_000])
def test_what_is_too_deep_is_an_error(depth: int) -> None:
    """Rather than an exception of Python's."""
    refused(lambda: store({"a": nested(depth)}), "metadata", "Nothing was saved.")


def test_what_holds_itself_is_an_error() -> None:
    """YAML can say that, and JSON cannot."""
    value: list[t.Any] = []
    value.append(value)
    refused(lambda: store({"a": value}), "metadata", "Nothing was saved.")


@pytest.mark.parametrize("depth", [1, 10, 100])
def test_what_can_be_stored_can_be_written(depth: int) -> None:
    """And read."""
    stored = store({"a": nested(depth)})
    assert parse(dump(record(metadata=stored)))["metadata"] == stored


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (datetime.date(2026, 1, 31), "2026-01-31"),
        (Text("a"), "a"),
    ],
    ids=repr,
)
def test_keys_become_text(key: t.Any, stored: str) -> None:
    """The way JSON writes them."""
    [found] = store({key: "x"})
    assert found == stored
    assert str(type(found)) == "<class 'str'>"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [(1, "1", "1"), (True, "true", "true"), (None, "null", "null"), (datetime.date(2026, 1, 31), "2026-01-31", "2026-01-31")],
    ids=repr,
)
def test_keys_that_are_the_same_in_json_are_an_error(one: t.Any, other: str, both: str) -> None:
    """One of the values would be lost."""
    for value in ({one: SECRET, other: 2}, {other: 2, one: SECRET}):
        refused(partial(store, {"a": value}), "metadata.a", repr(both))


@pytest.mark.parametrize("key", [("a", 1), (), frozenset(), b"a", math.nan, math.inf, 1j, Secret()], ids=repr)
def test_keys_that_json_cannot_hold_are_an_error(key: t.Any) -> None:
    """It names the place."""
    refused(lambda: store({"a": [{key: 1}]}), "metadata.a[0]", "key", type(key).__name__, "Nothing was saved.")


@pytest.mark.parametrize("key", ["__ansible_type", "__ansible_vault", "__ansible_unsafe", "__ansible"])
def test_keys_of_ansible_are_none_of_ours(key: str) -> None:
    """To its caches, a dictionary with such a key is a template or a vaulted value. No depth hides it, and nobody can store one."""
    assert "belongs to Ansible" in refused(lambda: parse(as_bytes(record(metadata={"a": [{"b": {key: "x"}}]}))), WHERE)
    refused(lambda: storable({"a": [{key: 1}]}, name="metadata"), "metadata.a[0]", key, "Nothing was saved.")
