# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for a terminal: whatever a record holds is shown, and never obeyed.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata

_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?)")
# What takes no room, or as much as a space, and is printable to Python all the same: joiners, selectors, fillers, a blank pattern
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_EMOJI_SELECTOR = "\ufe0f"
_WIDEST = 80
# As jobs write it. C(_host/output.py) finds it in their output.
_PROGRESS = re.compile(r"PROGRESS ([0-9]{1,15})/([0-9]{1,15})(?![^ \t])")
_LONGEST_NAME = 100
_TEMPLATE = re.compile(r"\{[{%#]")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def harmless(text: str) -> str:
    """Return a line without what would colour the terminal of the user, clear it, or give it another title.

    In place of what cannot be seen, or changes the direction of what follows, there is a mark, so that no two names look the same.
    """
    if text.isprintable():
        return text if text.isascii() else _INVISIBLE.sub(_mark, text)
    text = _SEQUENCE.sub("", text.replace("\t", " "))
    text = _INVISIBLE.sub(_mark, text)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def is_name(text: t.Any) -> bool:
    """Return whether a text can name a workflow, a run, a node or a semaphore: it is shown, and stands in commands to be copied."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= _LONGEST_NAME
        and text == text.strip()
        and harmless(text) == text
        and not text.startswith("-")
        and not _TEMPLATE.search(text)
    )


def harmless_lines(text: str) -> str:
    """Return a text of several lines, each of them harmless."""
    return "\n".join(map(harmless, text.split("\n")))


def printable(text: str) -> str:
    """Return a text that holds names of files as any output can take it: bytes that are no UTF-8 as C(\\xe9)."""
    text = re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found.group()) - 0xDC00:02x}", text)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _mark(found: re.Match[str]) -> str:
    """Return what stands for an invisible character: that itself where it only makes a symbol before it colourful, and a mark otherwise."""
    before = found.string[: found.start()][-1:]
    if found.group() == _EMOJI_SELECTOR and before and unicodedata.category(before).startswith("S"):
        return found.group()
    return "\N{REPLACEMENT CHARACTER}"


def lines_of(text: str) -> list[str]:
    """Return the lines of an output, as a terminal would leave them: what was written over with a carriage return is gone."""
    return [harmless(line.rstrip("\r").rpartition("\r")[2].expandtabs()) for line in text.split("\n")]


def last_line_of(text: str) -> str:
    """Return the last line of an output that is not blank."""
    return next((line.strip() for line in reversed(lines_of(text[-4096:])) if line.strip()), "")


def progress_in_words(current: t.Any, total: t.Any, text: str = "") -> str:
    """Write how far a job has come: C(step 41 of 60: copying)."""
    return f"step {current} of {total}{': ' + text.strip() if text.strip() else ''}"


def in_words(line: str) -> str:
    """Return a line of output, and if it tells of progress, that in plain words."""
    match = _PROGRESS.match(line)
    if match and not int(match.group(2)):  # as nodes write it that do not know how far it is
        text = line[match.end() :].strip()
        return f"step {match.group(1)}{': ' + text if text else ''}"
    if not match or int(match.group(1)) > int(match.group(2)):
        return line
    return progress_in_words(match.group(1), match.group(2), line[match.end() :])


def brief_time(seconds: float) -> str:
    """Write a length of time in its two largest units: C(3d 4h)."""
    left = int(min(max(seconds, 0), 1e11))
    parts: list[str] = []
    for unit, size in _UNITS:
        if left >= size or parts:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2]) or "0s"


def aligned(rows: t.Sequence[t.Sequence[str]], *, width: int) -> list[str]:
    """Return rows with their columns below each other. The last column is cut to what is left of the width, but for 40 characters.

    :arg rows: lines without line breaks; one column may not make all others unreadable, so what is very long is cut
    """
    rows = [[*(_cut(cell, _WIDEST) for cell in row[:-1]), row[-1]] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows)][:-1]
    room = max(width - sum(widths) - 2 * len(widths), 40)
    return [
        ("".join(cell + " " * (size - _width(cell) + 2) for cell, size in zip(row, widths)) + _cut(row[-1], room)).rstrip() for row in rows
    ]


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[: min(len(text) - 1, width)]
    return text + "\N{HORIZONTAL ELLIPSIS}"
