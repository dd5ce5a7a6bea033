# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers, as the service words them, and counts of what happened."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterable

CALL_KINDS = ("GET", "PUT", "DELETE", "HEAD", "LIST", "NAMESPACE", "BUCKET", "OTHER")
BUCKET_MISSING = "Either the bucket named '{}' does not exist in the namespace '{}' or you are not authorized to access it"


class ServiceError(Exception):
    """An answer other than success, in the service's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def reply(self) -> Reply:
        """Return the answer as the service sends it."""
        return Reply.of_json({"code": self.code, "message": str(self)}, status=self.status)


@dataclasses.dataclass
class Reply:
    """An HTTP answer before it meets the wire."""

    status: int
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of_json(cls, value: object, status: int = 200, **headers: str) -> Reply:
        """Return an answer whose body is JSON."""
        return cls(status, {"content-type": "application/json", **headers}, json.dumps(value).encode())


class Tally:
    """Counts events of all threads by kind."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(kinds, 0)

    def add(self, kind: str) -> None:
        """Count one more."""
        with self._lock:
            self._counts[kind] += 1

    def counts(self) -> dict[str, int]:
        """Return how many there were of each kind."""
        with self._lock:
            return dict(self._counts)
