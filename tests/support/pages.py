# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README and the guides, as tests read them."""

from __future__ import annotations

import re
import textwrap
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "docs/docsite/rst").glob("*.rst"))
REPOSITORY = "https://github.com/rstyczynski/ansible/blob/main/"
"""What links to files of the repository begin with: pages are read on Galaxy, too."""


class Block(t.NamedTuple):
    """Something to paste."""

    language: str
    text: str
    before: str
    """What stands between it and the block before it."""
    after: str
    """What stands behind it."""


def readme() -> list[Block]:
    """Return the blocks of the README."""
    parts = re.split(r"^```(\w+)\n(.*?)^```\n", (ROOT / "README.md").read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [Block(parts[i], parts[i + 1], parts[i - 1], parts[i + 2]) for i in range(1, len(parts), 3)]


def guide(name: str) -> str:
    """Return the text of a guide."""
    return (ROOT / "docs/docsite/rst" / f"{name}.rst").read_text("utf-8")


def blocks_of(text: str) -> list[Block]:
    """Return the blocks of a guide."""
    parts = re.split(r"^\.\. code-block:: (\S+)\n\n((?:   .*\n|\n)+)", text, flags=re.MULTILINE)
    return [Block(parts[i], textwrap.dedent(parts[i + 1]).strip() + "\n", parts[i - 1], parts[i + 2]) for i in range(1, len(parts), 3)]


def tables_of(text: str) -> list[list[list[str]]]:
    """Return the tables of a guide: rows of cells, the first of which are the header."""
    tables: list[list[list[str]]] = []
    for body in re.findall(r"^\.\. list-table::\n(?:   :.*\n)*\n((?:   .*\n)+)", text, re.MULTILINE):
        rows: list[list[str]] = []
        for line in body.splitlines():
            mark, cell = line[:7], line[7:].strip()
            if mark.startswith("   * -"):
                rows.append([cell])
            elif mark.startswith("     -"):
                rows[-1].append(cell)
            else:
                rows[-1][-1] += f" {line.strip()}"
        tables.append(rows)
    return tables


def table(text: str, *header: str) -> list[list[str]]:
    """Return the rows of the only table with this header."""
    [found] = [rows for rows in tables_of(text) if rows[0] == [*header]]
    return found[1:]


def literals(text: str) -> list[str]:
    """Return what is set as code."""
    return re.findall(r"``([^`]+)``", text)
