# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job key: where the record of a named job is, as C(<host>/<playbook_name>/<job_name>.json).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from urllib.parse import unquote_to_bytes

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SUFFIX

# 255 bytes is the longest file name on every file system in common use. Three of them, two slashes and an ordinary
# prefix also stay below the 1024 bytes of an object name in OCI Object Storage.
_SEGMENT_BYTES = 255

# What cannot be part of one safe path segment: separators, our own escape character, control characters (C0, DEL, C1,
# line and paragraph separators) and lone surrogates, which no file system or JSON text can hold as UTF-8.
_UNSAFE = re.compile("[/\\\\%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# The runs of workflows are below this. No host has a name that begins with a dot in a store.
WORKFLOWS = ".workflows/"

# Neither can come out of percent-encoding a name, where two hexadecimal digits follow every percent sign.
_EMPTY = "%"
_SHORTENED = "%~"


class JobKey(t.NamedTuple):
    """The three names that identify a job. Any text is a name; two different keys never have the same path."""

    host: str
    playbook_name: str
    job_name: str

    @property
    def path(self) -> str:
        """The path of the record in its store: relative, three segments with C(/) in between."""
        return "/".join((encode(self.host), encode(self.playbook_name), encode(self.job_name, suffix=SUFFIX)))

    def __str__(self) -> str:
        return f"job {self.job_name!r} of playbook {self.playbook_name!r} on host {self.host!r}"


def prefix(host: str | None, playbook_name: str | None) -> str:
    """Return what the paths of all records of a host, or of one playbook on a host, begin with. Without a host that is empty."""
    if host is None:
        return ""
    if playbook_name is None:
        return f"{encode(host)}/"
    return f"{encode(host)}/{encode(playbook_name)}/"


def encode(name: str, *, suffix: str = "") -> str:
    """Turn any name into one path segment. Ordinary names, spaces and letters of any language included, stay as they are.

    :arg name: the name of a host, a playbook or a job
    :arg suffix: appended to the segment, and counted in its length
    """
    if not name:
        return _EMPTY + suffix
    if name[0] != "." and len(name) * 4 + len(suffix) <= _SEGMENT_BYTES and not _UNSAFE.search(name):
        return name + suffix  # as nearly all names are; no character takes more than four bytes
    pieces = [_escape(char) if _UNSAFE.match(char) else char for char in name]
    if pieces[0] == ".":
        pieces[0] = _escape(".")
    segment = "".join(pieces)
    if len(segment.encode("utf-8")) + len(suffix) > _SEGMENT_BYTES:
        segment = _shorten(name, pieces, _SEGMENT_BYTES - len(suffix))
    return segment + suffix


def decode(segment: str, *, suffix: str = "") -> str | None:
    """Return the name that :func:`encode` made this segment from, or None where the segment does not tell the whole name."""
    name = segment[: len(segment) - len(suffix)]
    if name == _EMPTY:
        return ""
    if _SHORTENED in name:
        return None
    try:
        return unquote_to_bytes(name).decode("utf-8", "surrogatepass")
    except UnicodeError:  # not made by encode()
        return None


def _escape(char: str) -> str:
    # surrogatepass: names from a command line that is not UTF-8 hold lone surrogates
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _shorten(name: str, pieces: list[str], limit: int) -> str:
    """Keep a readable start, and tell names with the same start apart by a hash of the whole name."""
    tail = _SHORTENED + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    room = limit - len(tail)
    start = ""
    for piece in pieces:
        room -= len(piece.encode("utf-8"))
        if room < 0:
            break
        start += piece
    return start + tail
