# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any text is a name, and no name leads to another job's record or out of the store."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey, decode, encode, prefix
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, SUFFIX
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore


def examples(count: int) -> settings:
    """Try that many. A machine may be busy, so that no time is too long."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


LONG = "x" * 5000
HOSTILE = [
    "",
    ".",
    "..",
    "...",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "..\\..\\x",
    ".hidden",
    ".lock",
    ".tmp-0",
    ".json",
    "%2F",
    "%2f",
    "%",
    "%%",
    "%.json",
    "%~",
    "a%~" + "0" * 40,
    "%00",
    "%2E",
    "\0",
    "a\0b",
    "\n",
    "\r\n",
    "\t",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u2028",
    "\u2029",
    " ",
    "  ",
    " a",
    "a ",
    "a.",
    "0",
    "1e3",
    "-rf",
    "~",
    "~root",
    "$HOME",
    "*",
    "CON",
    "con",
    "NUL",
    "🎉",
    "👩‍👩‍👧",
    "Backup",
    "backup",
    "BACKUP",
    "e\u0301",
    "\u00e9",
    "\u202egpj.exe",
    "\ufeff",
    "\ud800",
    "\udcff",
    "\udcff\udcfe",
    "\ud83d\ude00",
    LONG,
    LONG + "y",
    LONG + "z",
    "X" * 5000,
    "ü" * 5000,
    "🎉" * 5000,
    "/" * 5000,
    "." * 5000,
    "%" * 5000,
    "\0" * 5000,
    "../" * 5000,
]

# Of every length around the limits, of one to four bytes in UTF-8 and of three to nine where it is escaped.
AROUND_THE_LIMITS = [
    char * length
    for char in ("a", "ü", "夜", "🎉", "/", "\u0085", "\u2028")
    for length in (*range(20, 30), *range(60, 90), *range(120, 130), *range(245, 260))
]

anything = st.text(st.characters())
near_collisions = st.text(st.sampled_from("%/\\.~aA0 2F"), max_size=8)
long_names = st.builds(str.__add__, st.sampled_from([LONG, LONG[:240], "ü" * 5000, "%" * 80]), near_collisions)
names = st.one_of(st.sampled_from(HOSTILE), st.sampled_from(AROUND_THE_LIMITS), anything, near_collisions, long_names)
keys = st.builds(JobKey, names, names, names)
# What people call their hosts, playbooks and jobs: letters and digits of any language, and some punctuation inside.
ordinary = st.text(
    st.one_of(st.characters(categories=["L", "M", "N"]), st.sampled_from(" -_.@:+,;=()[]{}#!?&'\"*~$^|<>")), min_size=1, max_size=60
).filter(lambda name: not name.startswith("."))


def is_control(char: str) -> bool:
    """Whether the character does something to a terminal or a line, rather than being seen."""
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


def check_path(key: JobKey) -> None:
    """Make sure that the path of a key is safe on any store."""
    segments = key.path.split("/")
    assert len(segments) == 3
    for segment in segments:
        assert segment not in ("", ".", "..")
        assert not segment.startswith(".")
        assert "\\" not in segment
        assert not any(is_control(char) for char in segment)
        assert len(segment.encode("utf-8")) <= 255
    assert segments[2].endswith(SUFFIX)
    assert os.path.normpath(f"/store/{key.path}") == f"/store/{key.path}"
    assert len(key.path.encode("utf-8")) <= 1024


@given(keys)
@examples(400)
@example(JobKey("..", "..", ".."))
@example(JobKey("", "", ""))
@example(JobKey("/", "/", "/"))
def test_every_path_is_safe(key: JobKey) -> None:
    """Three ordinary segments, that every file system in common use takes."""
    check_path(key)


@pytest.mark.parametrize("place", JobKey._fields)
def test_the_path_of_every_hostile_name_is_safe(place: str) -> None:
    """In any of the three places."""
    for name in (*HOSTILE, *AROUND_THE_LIMITS):
        check_path(JobKey("host", "play", "job")._replace(**{place: name}))


@pytest.mark.parametrize("suffix", ["", SUFFIX], ids=["directory", "file"])
def test_hostile_names_have_paths_of_their_own(suffix: str) -> None:
    """Each of them another one."""
    every = {*HOSTILE, *AROUND_THE_LIMITS, *map("".join, itertools.product("%/\\.~aA0 2F", repeat=3))}
    assert len({encode(name, suffix=suffix) for name in every}) == len(every)


@given(keys, keys)
@examples(400)
@example(JobKey("a", "b/c", "d"), JobKey("a/b", "c", "d"))
@example(JobKey("a", "b", "c.json"), JobKey("a", "b", "c"))
@example(JobKey(LONG + "y", "", ""), JobKey(LONG + "z", "", ""))
def test_two_jobs_have_two_paths(one: JobKey, other: JobKey) -> None:
    """Whatever they are called."""
    assert (one.path == other.path) == (one == other)


@given(st.one_of(near_collisions, long_names), st.one_of(near_collisions, long_names))
@examples(1000)
def test_names_that_are_nearly_the_same_have_two_paths(one: str, other: str) -> None:
    """Those that a path or the escape of another name could look like, and long ones with the same beginning."""
    for suffix in ("", SUFFIX):
        assert (encode(one, suffix=suffix) == encode(other, suffix=suffix)) == (one == other)


@given(st.text(st.sampled_from("%~.aA0 2F"), max_size=12).map(lambda tail: encode(LONG)[:-12] + tail))
@examples(100)
def test_the_short_form_of_a_long_name_is_no_other_name(forged: str) -> None:
    """Nobody can reach the record of a job with a long name by calling another one like its file."""
    assert encode(forged) != encode(LONG)


@given(ordinary)
@examples(300)
@example("db01.example.com")
@example("Nightly backup (zürich)")
@example("夜間バックアップ")
@example("задание")
@example("v1.2.3-rc.1+build@host:8")
@example("a..b")
@example("ends with a dot.")
def test_ordinary_names_are_literal(name: str) -> None:
    """That is how users find their records, and where the records are that older releases wrote."""
    assert encode(name) == name
    assert JobKey(name, name, name).path == f"{name}/{name}/{name}.json"


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("a\0b", "a%00b"),
        ("a\nb", "a%0Ab"),
        ("a\u0085b", "a%C2%85b"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        (" ", " "),
        ("~", "~"),
    ],
)
def test_only_what_cannot_be_in_a_name_is_escaped(name: str, segment: str) -> None:
    """These are on the disks of users, and stay as they are."""
    assert encode(name) == segment
    assert encode(name, suffix=SUFFIX) == segment + SUFFIX


def test_a_long_name_keeps_a_readable_beginning() -> None:
    """And its place: these, too, are on the disks of users."""
    name = "Nightly backup of " + "all the hosts and " * 100
    segment = encode(name, suffix=SUFFIX)
    assert segment.startswith("Nightly backup of all the hosts and all the hosts")
    assert segment.endswith("%~e75a80cdc4f6d4de3dd4930893fe23ccec2ea3d4.json")
    assert len(segment) == 255


def test_a_name_is_shortened_only_if_it_has_to_be() -> None:
    """The longest name that fits is literal, and one more character is too many, on both sides of the suffix."""
    assert encode("x" * 255) == "x" * 255
    assert encode("x" * 250, suffix=SUFFIX) == "x" * 250 + SUFFIX
    for name, suffix in (("x" * 256, ""), ("x" * 251, SUFFIX)):
        assert decode(encode(name, suffix=suffix), suffix=suffix) is None


@given(names)
@examples(400)
def test_a_segment_tells_the_name(name: str) -> None:
    """Unless it was shortened, and only long names are."""
    for suffix in ("", SUFFIX):
        segment = encode(name, suffix=suffix)
        decoded = decode(segment, suffix=suffix)
        if decoded is None:
            assert len(name.encode("utf-8", "surrogatepass")) * 3 > 255 - len(suffix)
        else:
            assert decoded == name


@given(st.one_of(anything, near_collisions))
@examples(100)
def test_any_segment_can_be_looked_at(segment: str) -> None:
    """Also one that a person has made by hand."""
    decode(segment)
    decode(segment + SUFFIX, suffix=SUFFIX)


@given(keys, names, names)
@examples(100)
def test_a_prefix_holds_the_jobs_of_its_host_and_playbook(key: JobKey, host: str, playbook_name: str) -> None:
    """And nobody else's."""
    assert prefix(None, None) == prefix(None, playbook_name) == ""
    assert key.path.startswith(prefix(key.host, None))
    assert key.path.startswith(prefix(key.host, key.playbook_name))
    assert key.path.startswith(prefix(host, None)) == (key.host == host)
    assert key.path.startswith(prefix(host, playbook_name)) == ((key.host, key.playbook_name) == (host, playbook_name))


@given(keys)
@examples(100)
def test_the_words_for_a_job_are_one_line(key: JobKey) -> None:
    """They are part of messages, and can be printed."""
    assert "\n" not in str(key)
    str(key).encode("utf-8")


# --- On a real disk ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jail() -> Iterator[Path]:
    """A directory deep enough that a way out of the store would be seen in it."""
    with tempfile.TemporaryDirectory() as directory:
        deep = Path(directory, *"abcdef")
        deep.mkdir(parents=True)
        yield deep


def _files(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


@given(key=keys)
@examples(60)
@example(key=JobKey("../" * 9, "../" * 9, "../" * 9))
@example(key=JobKey("..", "..", "passwd"))
def test_a_record_is_written_and_read_by_its_names(jail: Path, key: JobKey) -> None:
    """And nothing is made outside of the state directory, or anywhere else in it."""
    store = FilesystemStore(str(jail / "state"))
    try:
        store.write(key.path, b"mine", expect=ABSENT)
        found = FilesystemStore(str(jail / "state")).read(JobKey(*key).path)
        assert found is not None
        assert found.content == b"mine"
        assert [entry.path for entry in store.entries(prefix(key.host, key.playbook_name))] == [key.path]
        top = jail.parents[5]
        assert _files(top) == {f"a/b/c/d/e/f/state/{key.path}", "a/b/c/d/e/f/state/.lock"}
    finally:
        shutil.rmtree(jail / "state", ignore_errors=True)


def test_hostile_names_share_one_state_directory(jail: Path) -> None:
    """Each has a file of its own, with its own document in it."""
    store = FilesystemStore(str(jail / "state"))
    written = {JobKey("host", "play", name): str(number).encode() for number, name in enumerate(HOSTILE)}
    for key, content in written.items():
        store.write(key.path, content, expect=ABSENT)
    for key, content in written.items():
        found = store.read(key.path)
        assert found is not None
        assert found.content == content
    assert len(_files(jail / "state" / "host" / "play")) == len(HOSTILE)
    assert {decode(entry.path.split("/")[2], suffix=SUFFIX) for entry in store.entries()} - {None} == {
        name for name in HOSTILE if len(name) < 5000
    }
