# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a record store is.

A store keeps documents under paths. It knows nothing of jobs: what a document means is decided above it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import abc
import json
import typing as t
from collections.abc import Mapping

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError

# What a conditional write or delete expects to find: a version that a read returned, or ABSENT.
Version = t.NewType("Version", str)
ABSENT = Version("")

# How the path of a document ends.
SUFFIX = ".json"

# No record or approval comes near this, in bytes. What is larger is not read: it would take the memory of all others.
MOST = 16 << 20

Content = t.Dict[str, t.Any]
"""The JSON object that a document is."""

# The field with which a document proves who has written it. Nobody but the store reads or writes it.
SIGNATURE = "signature"

Notify = t.Callable[[str], None]
"""Called with a line for the user when the store keeps them waiting."""


def nobody(line: str) -> None:
    """Tell nobody."""


def write_json(content: Mapping[str, object]) -> bytes:
    """Return the document of a JSON object: sorted, indented, UTF-8, with a newline at its end."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    # What UTF-8 cannot hold is a lone surrogate inside a string, and its backslash form is its JSON escape.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def without_signature(content: Content) -> Content:
    """Return the same, less its signature. With anything else changed, that would be wrong."""
    return {field: value for field, value in content.items() if field != SIGNATURE}


class Document(t.NamedTuple):
    """A document of a store, and its version."""

    content: bytes
    version: Version


class Entry(t.NamedTuple):
    """A line of a listing: the path, and the document, or why it cannot be read."""

    path: str
    document: Document | None
    error: AsyncJobError | None


class Store(abc.ABC):
    """Documents under paths, with conditional writes.

    A path is the C(path) of a job key, or of another document in three segments, the first of which begins with a dot. A document is
    absent only where that is proven; whatever else stands between us and a document is an error. Every method raises
    :class:`AsyncJobError`.
    """

    warnings: list[str]
    """What the user should be told about this store, even though nothing failed. It is added to, never replaced."""

    @abc.abstractmethod
    def locate(self, path: str = "") -> str:
        """Return the place of a document, or of the store, as the user would look it up. Always absolute."""

    @abc.abstractmethod
    def must_exist(self) -> None:
        """Raise if the store does not exist, as far as its other methods would not say so."""

    def is_new(self) -> bool:
        """Return whether nothing was ever written there, as far as the store alone can tell: then it may stand in the place of another one,
        whose disk is away."""
        return False

    @abc.abstractmethod
    def read(self, path: str) -> Document | None:
        """Return the document, or None where it is proven that there is none."""

    @abc.abstractmethod
    def write(self, path: str, content: bytes, *, expect: Version | None = None) -> Version:
        """Put a document in place, whole or not at all, and return its version.

        :arg expect: ABSENT or the version to replace; None replaces whatever is there
        :raises Conflict: if something else is there; nothing was written then
        """

    @abc.abstractmethod
    def delete(self, path: str, *, expect: Version | None = None) -> bool:
        """Remove a document, and return whether there was one.

        :arg expect: the version to remove; None removes whatever is there
        :raises Conflict: if another version, or nothing, is there; nothing was removed then
        """

    @abc.abstractmethod
    def entries(self, prefix: str = "", wanted: t.Callable[[str], bool] = lambda path: True) -> t.Iterator[Entry]:
        """Yield all documents whose path begins with the prefix, a host's and a playbook's together.

        Those below a directory whose name begins with a dot are no records: they come only if the prefix names that directory.


        A document that vanishes meanwhile is left out; one that cannot be read is an entry with an error.

        :arg prefix: empty, or whole segments, with a C(/) at its end
        :arg wanted: whether to read the document with this path; others are left out
        """


class ChosenStore(Store):
    """A store that the options of a task can choose: one that the table in C(_backends.py) names."""

    @classmethod
    @abc.abstractmethod
    def open(cls, params: dict[str, t.Any], notify: Notify) -> Store:
        """Return the store that the options of a task describe. Nothing is contacted or made yet.

        :arg params: validated values of the options in C(_options.STORE_OPTIONS)
        :arg notify: called with a line for the user when the store keeps them waiting
        """
