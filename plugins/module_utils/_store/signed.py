# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store in which only signed documents count: the one gate for all who read, and all who write.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Untrusted
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    ABSENT,
    Content,
    Document,
    Entry,
    Store,
    Version,
    without_signature,
    write_json,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.signatures import Keys, read_json


class Checked(t.NamedTuple):
    """A document, whether its signature is right or not."""

    path: str
    content: Content
    version: Version
    signer: int | None
    """The number of the key that has signed it, 0 for the one that signs today; None if none has."""
    problem: AsyncJobError | None
    """Why it does not count. It has content all the same, unless it cannot be read."""


class SignedStore(Store):
    """Another store, whose documents are signed when they are written, and checked when they are read.

    Readers get the documents without their signatures, and exactly what was checked.
    """

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self.warnings = store.warnings

    def locate(self, path: str = "") -> str:
        return self._store.locate(path)

    def must_exist(self) -> None:
        self._store.must_exist()

    def is_new(self) -> bool:
        return self._store.is_new()

    def read(self, path: str) -> Document | None:
        document = self._store.read(path)
        return None if document is None else self._checked(path, document)

    def write(self, path: str, content: bytes, *, expect: Version | None = None) -> Version:
        return self._store.write(path, write_json(self._keys.signed(path, read_json(content))), expect=expect)

    def delete(self, path: str, *, expect: Version | None = None) -> bool:
        return self._store.delete(path, expect=expect)

    def entries(self, prefix: str = "", wanted: t.Callable[[str], bool] = lambda path: True) -> t.Iterator[Entry]:
        for entry in self._store.entries(prefix, wanted):
            if entry.document is None:
                yield entry
                continue
            try:
                document = self._checked(entry.path, entry.document)
            except Untrusted as error:
                yield Entry(entry.path, None, error)
            else:
                yield Entry(entry.path, document, None)

    def checked(self, prefix: str = "") -> t.Iterator[Checked]:
        """Yield what there is to sign, and what is signed. The arguments are those of C(entries())."""
        for path, document, error in self._store.entries(prefix):
            content: Content = {}
            if document is None:
                yield Checked(path, content, ABSENT, None, error)
                continue
            try:
                content = read_json(document.content)
                yield Checked(path, content, document.version, self._keys.signer(path, content), None)
            except Untrusted as why:
                yield Checked(path, content, document.version, None, _untrusted(self.locate(path), str(why)))

    def sign(self, checked: Checked) -> None:
        """Sign what is there, whoever has written it.

        :raises Conflict: if something else is there by now
        """
        self.write(checked.path, write_json(without_signature(checked.content)), expect=checked.version)

    def _checked(self, path: str, document: Document) -> Document:
        try:
            content = read_json(document.content)
            self._keys.signer(path, content)
        except Untrusted as error:
            raise _untrusted(self.locate(path), str(error)) from error
        return Document(write_json(without_signature(content)), document.version)


def _untrusted(where: str, why: str) -> Untrusted:
    return Untrusted(
        f"{where} is not trusted: {why}. Whoever can write to the store may have put it there, so that nothing it says counts. Nothing"
        " was changed, and nothing was started. Look at it. If it is genuine, sign it: ansible-playbook rstyczynski.ansible.sign_records"
        " shows what there is to sign, given this store and its key as here (-e async_job_...). Otherwise remove it, once you are sure that"
        " its job does not run."
    )
