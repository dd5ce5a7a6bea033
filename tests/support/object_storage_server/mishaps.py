# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong: faults, and which requests they strike."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Mapping
from typing import Any

from .answers import BUCKET_MISSING, CALL_KINDS, Tally
from .calls import Call

ANSWERING_FAULTS: Mapping[str, tuple[int, str, str]] = {
    "too_many_requests": (429, "TooManyRequests", "Too many requests"),
    "internal_error": (500, "InternalServerError", "Internal server error"),
    "unavailable": (503, "ServiceUnavailable", "The service is unavailable"),
    "concurrent_update": (409, "ConcurrentObjectUpdate", "The object is being updated by another request"),
    "bucket_not_found": (404, "BucketNotFound", BUCKET_MISSING),
    "expired_token": (401, "NotAuthenticated", "The security token has expired"),
}
FAULTS_BEFORE = ("refuse", "reset_before", *ANSWERING_FAULTS)
FAULT_KINDS = ("latency", *FAULTS_BEFORE, "reply_lost", "truncated_body", "corrupt_body")


@dataclasses.dataclass
class Fault:
    """Something that goes wrong with some of the requests: all of them, a share of them, or the next few."""

    kind: str
    probability: float = 1.0
    count: int | None = None
    methods: tuple[str, ...] = CALL_KINDS
    prefix: str = ""
    ms: int | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Fault:
        """Read a fault as the control port and the command line describe it; null means the default."""
        fault = cls(**{key: value for key, value in document.items() if value is not None})
        if fault.kind not in FAULT_KINDS or not set(CALL_KINDS).issuperset(fault.methods):
            raise ValueError(f"a fault is one of {FAULT_KINDS} on requests among {CALL_KINDS}")
        if fault.kind == "latency" and fault.ms is None:
            raise ValueError("latency needs ms")
        return fault

    @property
    def seconds(self) -> float | None:
        """How long it lasts, if that is limited."""
        return None if self.ms is None else self.ms / 1000

    def concerns(self, call: Call) -> bool:
        """Tell whether the filters let it strike the call."""
        return self.count != 0 and call.kind in self.methods and call.topic.startswith(self.prefix)


class FaultPlan:
    """The faults to come and the count of those that struck."""

    def __init__(self, seed: int | None) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self.struck = Tally(FAULT_KINDS)

    def add(self, fault: Fault) -> None:
        """Let the fault strike from now on."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Let nothing more go wrong."""
        with self._lock:
            self._faults.clear()

    def strike(self, call: Call, *kinds: str) -> Fault | None:
        """Return the first fault, among those of the given kinds, that strikes the call."""
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and fault.concerns(call) and self._random.random() < fault.probability:
                    if fault.count is not None:
                        fault.count -= 1
                    self.struck.add(fault.kind)
                    return fault
        return None
