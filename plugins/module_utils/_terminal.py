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
_WIDEST = 80
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def harmless(text: str) -> str:
    """A line without what would colour the terminal of the user, clear it, or give it another title."""
    if text.isprintable():
        return text
    text = _SEQUENCE.sub("", text.replace("\t", " "))
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def lines_of(text: str) -> list[str]:
    """The lines of an output, as a terminal would leave them: what was written over with a carriage return is gone."""
    return [harmless(line.rstrip("\r").rpartition("\r")[2].expandtabs()) for line in text.split("\n")]


def last_line_of(text: str) -> str:
    """The last line of an output that is not blank."""
    return next((line.strip() for line in reversed(lines_of(text[-4096:])) if line.strip()), "")


def brief_time(seconds: float) -> str:
    """A length of time in its two largest units: C(3d 4h)."""
    left = int(min(max(seconds, 0), 1e11))
    parts: list[str] = []
    for unit, size in _UNITS:
        if left >= size or parts:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2]) or "0s"


def aligned(rows: t.Sequence[t.Sequence[str]], *, width: int) -> list[str]:
    """Rows with their columns below each other. The last column is cut to what is left of the width, but for 40 characters.

    :arg rows: lines without line breaks; one column may not make all others unreadable, so what is very long is cut
    """
    rows = [[*(_cut(cell, _WIDEST) for cell in row[:-1]), row[-1]] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*rows)][:-1]
    room = max(width - sum(widths) - 2 * len(widths), 40)
    return [
        ("".join(cell + " " * (size - _width(cell) + 2) for cell, size in zip(row, widths)) + _cut(row[-1], room)).rstrip() for row in rows
    ]


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[: min(len(text) - 1, width)]
    return text + "\N{HORIZONTAL ELLIPSIS}"
