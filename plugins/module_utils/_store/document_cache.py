# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of a bucket that were read before, in a file that only this user can read.

Whoever lists a bucket learns the ETag of each object in it. What has kept its ETag need not be read again. Nothing is ever taken
from here that such a listing has not just named, and nothing is lost with the file: where it cannot be used, there is no cache.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Document, Version

if t.TYPE_CHECKING:
    import sqlite3

# How long to wait for another process that writes to the file, in seconds. To read the bucket takes no longer.
_PATIENCE = 2.0


class DocumentCache:
    """The cache of one bucket."""

    def __init__(self, directory: str, bucket: tuple[str, ...]) -> None:
        """Note where the copies are. Nothing is read or made yet.

        :arg directory: empty for no cache at all
        :arg bucket: whatever tells this bucket from others
        """
        name = hashlib.sha256("\n".join(bucket).encode("utf-8", "surrogateescape")).hexdigest()
        self._file = os.path.join(directory, f"{name}.sqlite") if directory else ""

    def documents(self, prefix: str) -> dict[str, Document]:
        """Return what is known of the objects whose names begin with the prefix, by name."""
        with self._connection() as connection:
            if connection is not None:
                rows = connection.execute("SELECT * FROM documents WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
                return {name: Document(content, Version(etag)) for name, etag, digest, content in rows if digest == _digest(content)}
        return {}

    def update(self, documents: dict[str, Document], gone: t.Iterable[str]) -> None:
        """Remember documents, and forget those that are gone.

        :arg documents: by the name of the object
        :arg gone: names
        """
        with self._connection() as connection:
            if connection is not None:
                connection.executemany("DELETE FROM documents WHERE name = ?", [(name,) for name in gone])
                rows = [(name, document.version, _digest(document.content), document.content) for name, document in documents.items()]
                connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", rows)

    @contextlib.contextmanager
    def _connection(self) -> t.Iterator[sqlite3.Connection | None]:
        """Open the database, in a transaction. None if it cannot be used; one that is damaged is removed."""
        try:
            import sqlite3
        except ImportError:  # some distributions of Python leave it out
            yield None
            return
        connection = None
        try:
            if self._file:
                _make_private(self._file)
                connection = sqlite3.connect(self._file, timeout=_PATIENCE)
                connection.execute("CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, etag TEXT, digest TEXT, content BLOB)")
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)
        try:
            yield connection
            if connection is not None:
                connection.commit()
        except sqlite3.Error as error:
            self._give_up(error)
        finally:
            if connection is not None:
                connection.close()

    def _give_up(self, error: Exception) -> None:
        """Go on without a cache."""
        import sqlite3

        # What may be otherwise next time, such as a full disk or another process, is an OperationalError.
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with contextlib.suppress(OSError):
                os.unlink(self._file)
        self._file = ""


def _digest(content: bytes) -> str:
    """Return a checksum, which tells a copy from a damaged one."""
    return hashlib.sha256(content).hexdigest()


def _make_private(file: str) -> None:
    """Make the file, if there is none, and refuse one that others could have written, or put beside it what SQLite looks for there."""
    directory = os.path.dirname(file)
    if not os.path.isdir(directory):
        os.makedirs(directory, mode=0o700)
        os.chmod(directory, 0o700)  # whatever the umask
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for status in (os.stat(directory), os.fstat(descriptor)):
            if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermissionError(f"{file} may be somebody else's")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermissionError(f"{file} is no regular file")
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
