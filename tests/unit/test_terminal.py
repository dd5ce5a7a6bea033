# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of others in the terminal of the user."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import (
    aligned,
    brief_time,
    harmless,
    harmless_lines,
    in_words,
    last_line_of,
    lines_of,
)

INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


@given(st.text())
def test_a_terminal_obeys_nothing(text: str) -> None:
    assert harmless(text).isprintable()
    assert last_line_of(text).isprintable()
    assert all(line.isprintable() for line in lines_of(text))
    if text.isprintable() and not INVISIBLE.search(text):
        assert harmless(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("a\u200bb\u2066c\ufeffd\u00ade", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("db01\ufe0f", "db01\ufffd"),
        ("db\u034f01\u3164\u115f\u2800\U000e0101", "db\ufffd01\ufffd\ufffd\ufffd\ufffd"),
        ("\u2714\ufe0f done", "\u2714\ufe0f done"),
        ("\x9b31mred\x1b[", "\ufffd31mred\ufffd["),
        ("\u00dcbung \u5099\u4efd e\u0301", "\u00dcbung \u5099\u4efd e\u0301"),
    ],
)
def test_what_cannot_be_seen_is_marked(text: str, seen: str) -> None:
    """No name is shown like another one, except where letters look alike."""
    assert harmless(text) == seen
    assert harmless_lines(f"{text}\n{text}") == f"{seen}\n{seen}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\ntwo", ["one", "two"]),
        ("one\r\ntwo\r\n", ["one", "two", ""]),
        ("10 %\r50 %\r100 %\ndone", ["100 %", "done"]),
        ("a\tb", ["a       b"]),
        ("\x1b[1;31mred\x1b[0m \x1b]0;title\x07end", ["red end"]),
    ],
)
def test_lines_are_as_a_terminal_leaves_them(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_the_last_line_is_the_last_that_says_something() -> None:
    assert last_line_of("one\n  two  \n\n \n") == "two"
    assert last_line_of("x" * 9000 + "\nend") == "end"
    assert last_line_of(" \n") == ""


def test_progress_in_words() -> None:
    """Of how many steps, some do not know."""
    assert in_words("PROGRESS 2/7 Copy") == "step 2 of 7: Copy"
    assert in_words("PROGRESS 9/0 Copy") == "step 9: Copy"
    assert in_words("PROGRESS 9/7 Copy") == "PROGRESS 9/7 Copy"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m 0s"), (3599, "59m 59s"), (3600, "1h 0m"), (90061, "1d 1h"), (86400 * 400, "400d 0h")],
)
def test_two_units_are_enough(seconds: float, text: str) -> None:
    assert brief_time(seconds) == text


def test_columns_are_below_each_other() -> None:
    """The last one is cut to the width, and never below what can be read."""
    rows = [("A", "BB", "C"), ("aaaa", "b", "long " * 30), ("\u5099\u4efd", "e\u0301", "")]
    first, second, third = aligned(rows, width=60)
    assert first == "A     BB  C"
    assert second.startswith("aaaa  b   long long")
    assert second.endswith("\N{HORIZONTAL ELLIPSIS}")
    assert len(second) == 60
    assert third == "\u5099\u4efd  e\u0301"
    assert len(aligned(rows, width=1)[1]) == 10 + 40
