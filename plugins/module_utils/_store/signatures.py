# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of documents, and the keys for them.

A signature is an HMAC-SHA256 over the path of the document in its store and all of its content but the signature itself. It tells
that somebody who has the key has written this content in this place. It does not tell that it is the newest that was written there.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shlex
import stat
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import StoreUnavailable, Untrusted
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SIGNATURE, Content, without_signature

# What openssl rand -base64 32, or openssl rand -hex 16, print is longer than that, or as long.
_SHORTEST = 32
# Far more than anybody has keys. What is longer is another file.
_LONGEST_FILE = 65536

# Nothing else that is signed with the same key can be taken for a document.
_PURPOSE = b"rstyczynski.ansible document 1"


class Keys:
    """The keys of a file. The first one signs, all of them verify."""

    def __init__(self, file: str) -> None:
        """Read the keys.

        :arg file: the path of a text file with a key in each line; empty lines, and those that begin with C(#), say nothing
        """
        self.file = file
        self._keys = [key.encode("utf-8") for key in _lines(file)]

    def signed(self, path: str, content: Content) -> Content:
        """Return the content with a signature for this path. One that it has goes away."""
        bare = without_signature(content)
        return {**bare, SIGNATURE: {"key": _name(self._keys[0]), "hmac": _hmac(self._keys[0], path, bare)}}

    def signer(self, path: str, content: Content) -> int:
        """Return the number of the key that has signed this content for this path. The first one is 0.

        :raises Untrusted: with the reason alone, if none has
        """
        if SIGNATURE not in content:
            raise Untrusted("it carries no signature")
        signature = content[SIGNATURE] if isinstance(content[SIGNATURE], dict) else {}
        given = str(signature.get("hmac")).encode("utf-8", "replace")
        try:
            for number, key in enumerate(self._keys):
                if hmac.compare_digest(_hmac(key, path, without_signature(content)).encode("ascii"), given):
                    return number
        except (ValueError, RecursionError) as error:  # it was read, and cannot be written: nobody has signed that
            raise Untrusted("its content cannot be signed") from error
        if signature.get("key") not in [_name(key) for key in self._keys]:
            raise Untrusted(f"none of the keys in {self.file} has signed it")
        raise Untrusted("its signature is wrong: it was signed for another place, or changed since")


def read_json(document: bytes) -> Content:
    """Return the JSON object that a document is.

    :raises Untrusted: with the reason alone, if it is none
    """
    try:
        content = json.loads(document.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Untrusted("it is not valid JSON, and so carries no signature") from error
    if not isinstance(content, dict):
        raise Untrusted("it is not a JSON object, and so carries no signature")
    return content


def _refuse(name: str) -> t.NoReturn:
    raise ValueError(f"{name} is not JSON")


def _hmac(key: bytes, path: str, bare: Content) -> str:
    canonical = json.dumps(bare, allow_nan=False, separators=(",", ":"), sort_keys=True).encode("ascii")
    # No path holds NUL, and no JSON text does.
    return hmac.new(key, b"\0".join((_PURPOSE, path.encode("utf-8", "surrogatepass"), canonical)), hashlib.sha256).hexdigest()


def _name(key: bytes) -> str:
    """Return what a key is called where it has signed. It tells nothing of the key."""
    return hmac.new(key, b"rstyczynski.ansible name of a key", hashlib.sha256).hexdigest()[:16]


def _lines(file: str) -> list[str]:
    try:
        # O_NONBLOCK: a named pipe in place of the file must not hang us
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(file, f"it cannot be read ({error.strerror})", "Correct the option, or make the file (see the guides)") from error
    try:
        _check_secret(file, os.fstat(fd))
        with open(fd, "rb", closefd=False) as stream:
            content = stream.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise _unusable(file, f"it cannot be read ({error.strerror})", "Correct the option") from error
    finally:
        os.close(fd)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    keys = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(content) > _LONGEST_FILE or not keys or min(map(len, keys)) < _SHORTEST:
        raise _unusable(
            file,
            f"it is not a text file with a key of at least {_SHORTEST} characters in each line",
            f"Make a key with: (umask 077; openssl rand -base64 32 > {shlex.quote(file)})",
        )
    return keys


def _check_secret(file: str, status: os.stat_result) -> None:
    """Refuse a file that others may read or could have written. What belongs to root, root may share with a group."""
    if not stat.S_ISREG(status.st_mode):
        raise _unusable(file, "it is not a regular file", "Correct the option")
    if status.st_uid not in (0, os.geteuid()):
        raise _unusable(file, "it belongs to another user", f"If it is yours, run: chown {os.geteuid()} {shlex.quote(file)}")
    others = stat.S_IRWXO | (stat.S_IWGRP | stat.S_IXGRP if status.st_uid == 0 else stat.S_IRWXG)
    if status.st_mode & others:
        mode = stat.S_IMODE(status.st_mode)
        raise _unusable(file, f"other users can read or change it (mode {mode:04o})", f"Run: chmod 600 {shlex.quote(file)}")


def _unusable(file: str, why: str, what_to_do: str) -> StoreUnavailable:
    return StoreUnavailable(f"The record_key_file {file} cannot be used: {why}. Nothing was read or written. {what_to_do}.")
