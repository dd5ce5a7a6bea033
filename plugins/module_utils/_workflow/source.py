# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a workflow as plain data, with the line of each value.

What is in it is data: nothing is templated, and no tag makes an object of it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import storable

Path = t.Tuple[t.Any, ...]
"""The keys and numbers that lead to a value."""

# No file of a workflow comes near these: an alias in an alias in an alias would take the memory of all others.
_MOST_BYTES = 4 << 20
_MOST_VALUES = 50_000
_DEEPEST = 60
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "timestamp", "binary", "seq", "map")}
# How many problems of a file are named at once.
_SHOWN = 10


class Problem(t.NamedTuple):
    """Something in a file that is not as it has to be."""

    path: Path
    text: str


class Source(t.NamedTuple):
    """A file, and what is in it."""

    file: str
    data: t.Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of a value, or that of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def refuse(self, problems: t.Iterable[Problem]) -> None:
        """Raise if there are problems, with the line of each."""
        found = sorted({(self.line(problem.path), problem.text) for problem in problems})
        if not found:
            return
        named = "; ".join(f"line {line}: {text}" for line, text in found[:_SHOWN])
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise AsyncJobError(f"{self.file} is no workflow that can run: {named}{more}. Nothing was started.")


def read_source(file: str) -> Source:
    """Read a file.

    :raises AsyncJobError: if it cannot be read, or is no YAML
    """
    try:
        with open(file, "rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise AsyncJobError(f"The workflow {file} cannot be read: {error.strerror}. Nothing was started.") from error
    if len(content) > _MOST_BYTES:
        raise AsyncJobError(f"{file} is larger than {_MOST_BYTES >> 20} MiB, and so no workflow. Nothing was started.")
    return parse_source(content, file)


def parse_source(content: bytes, file: str) -> Source:
    """Read what is in a file.

    :arg file: its name, for errors
    """
    try:
        import yaml
    except ImportError as error:
        raise AsyncJobError(f"{file} cannot be read: PyYAML is not installed for this Python. Install it.") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(content)
    reader = _Reader(loader, file)
    try:
        root = loader.get_single_node()
        data = None if root is None else reader.plain(root, (), 0)
        return Source(file, storable(data, name=os.path.basename(file)), reader.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise AsyncJobError(f"{file} is no YAML: {where}{error.problem or error.context}. Nothing was started.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise AsyncJobError(f"{file} is no YAML: {' '.join(str(error).split())}. Nothing was started.") from error
    finally:
        loader.dispose()


class _Reader:
    """Makes plain data of what a YAML parser has found, and remembers where each value stands."""

    def __init__(self, loader: t.Any, file: str) -> None:
        self._loader = loader
        self._file = file
        self._count = 0
        self._checked: set[int] = set()
        self.lines: dict[Path, int] = {}

    def plain(self, node: t.Any, path: Path, depth: int) -> t.Any:
        """Return the value of a node. What is no mapping and no list is what YAML makes of it, less objects."""
        self.lines[path] = node.start_mark.line + 1
        self._count += 1
        if self._count > _MOST_VALUES or depth > _DEEPEST:
            raise self._wrong(node, "it holds more than any workflow does, or itself")
        if node.tag not in _TAGS:
            raise self._wrong(
                node,
                f"the tag {node.tag} has no meaning here. Put what it stands for into a file of variables that the playbook reads"
                " (vars_files, group_vars)",
            )
        if node.id == "mapping":
            return self._mapping(node, path, depth)
        if node.id == "sequence":
            return [self.plain(item, (*path, number), depth + 1) for number, item in enumerate(node.value)]
        value = self._loader.construct_object(node)
        if isinstance(value, bytes):
            raise self._wrong(node, "it holds bytes, which no variable can be")
        return value

    def _mapping(self, node: t.Any, path: Path, depth: int) -> dict[str, t.Any]:
        if id(node) not in self._checked:  # an alias leads to it once more
            self._checked.add(id(node))
            self._refuse_twice(node)
            self._loader.flatten_mapping(node)
        found: dict[str, t.Any] = {}
        for key_node, value_node in node.value:
            name = self._key(key_node)
            found[name] = self.plain(value_node, (*path, name), depth + 1)
            self.lines[(*path, name)] = key_node.start_mark.line + 1
        return found

    def _refuse_twice(self, node: t.Any) -> None:
        """Raise if a key stands in a mapping twice: YAML takes the last one, and forgets the other without a word."""
        lines: dict[str, int] = {}
        for key_node, _value_node in node.value:
            name, line = self._key(key_node), key_node.start_mark.line + 1
            if name in lines:
                raise self._wrong(key_node, f"{name!r} stands there twice, also in line {lines[name]}. Give each its own name")
            lines[name] = line

    def _key(self, node: t.Any) -> str:
        if node.id != "scalar":
            raise self._wrong(node, "a key is no text")
        return str(node.value)

    def _wrong(self, node: t.Any, why: str) -> AsyncJobError:
        return AsyncJobError(f"{self._file} is no workflow that can run: line {node.start_mark.line + 1}: {why}. Nothing was started.")
