# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the event source of C(ansible-rulebook) does: look, and say which events are to be told now.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import fnmatch
import os
import time
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.changes import (
    KINDS,
    WORKFLOW,
    Cursor,
    Event,
    Lost,
    advance,
    cursor_path,
    for_rulebook,
    is_event_id,
    new_cursor,
    parse_cursor,
    passed_over,
    see,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import contended, write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import WORKFLOWS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, STATUSES
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import make_absolute, open_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.epochs import told_of_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import STATUSES as STATUSES_OF_RUNS

# How many events a cursor holds, or a few more. What has happened beyond that is told with the looks that follow.
_MOST = 5000

# What narrows what is told, of the options
_FILTERS = ("kind", "status", "host", "playbook_name", "job_name_pattern", "workflow", "reactions")

_OF_APPROVALS = ("requested", "approved", "rejected", "expired")

SPEC: Spec = {
    "cursor": {"type": "str", "required": True},
    "begin": {"type": "str", "choices": ["now", "all"], "default": "now"},
    "interval": {"type": "float", "default": 10.0},
    "until": {"type": "str", "choices": ["handed_over", "answered"], "default": "handed_over"},
    "feedback_timeout": {"type": "float", "default": 60.0},
    "repeat_after": {"type": "float", "default": 300.0},
    "kind": {"type": "list", "elements": "str", "choices": list(KINDS), "default": list(KINDS)},
    "status": {
        "type": "list",
        "elements": "str",
        "choices": [*dict.fromkeys((*(status for status in STATUSES if status not in CLAIMED), *STATUSES_OF_RUNS, *_OF_APPROVALS))],
    },
    "host": {"type": "str"},
    "playbook_name": {"type": "str"},
    "job_name_pattern": {"type": "str"},
    "workflow": {"type": "str"},
    "reactions": {"type": "bool", "default": False},
    **STORE_OPTIONS,
}


class Watch:
    """Looks into a store again and again."""

    def __init__(self, options: dict[str, t.Any], notify: t.Callable[[str], None]) -> None:
        """Take the options of the source.

        :arg options: as the rulebook gives them
        :arg notify: called with a line for whoever reads the log
        :raises AsyncJobError: if they are wrong
        """
        validation = ArgumentSpecValidator(SPEC).validate(options)
        if validation.error_messages:
            raise AsyncJobError(f"{validation.errors.msg}. No event was told. Correct the options of the source.")
        self.params: dict[str, t.Any] = validation.validated_parameters
        for option in ("interval", "feedback_timeout", "repeat_after"):
            if not 0 < self.params[option] < 1e9:
                raise AsyncJobError(f"{option} is {self.params[option]}, which is no time to wait, in seconds. Give a number above 0.")
        if not self.params["cursor"]:
            raise AsyncJobError("cursor is empty. Give the cursor a name of its own: two rulebooks with one cursor share the events.")
        make_absolute(self.params, os.getcwd())
        given = {name: self.params[name] for name in _FILTERS}
        self._filters = {name: sorted({*value}) if isinstance(value, list) else value for name, value in given.items()}
        self._notify = notify
        self._store = open_store(self.params, notify)
        self._path = cursor_path(self.params["cursor"])
        self._where = self._store.locate(self._path)
        self._is_known = False
        """Whether the cursor has been there."""
        self._noticed: dict[str, float] = {}
        """Since when each event is known here to await an answer, or when it was last told."""
        self._said: set[str] = set()
        self._received: set[str] = set()
        """The events that were handed over, until the cursor says so."""

    def look(self) -> list[Event]:
        """Look once. Return the events to be told now, the oldest first.

        :raises AsyncJobError: if the store or the cursor cannot be used; nothing was told then
        """
        self._store.must_exist()
        is_first = not self._is_known
        changes, pending, lost = contended(self._move_on)
        for event, number in lost:
            if self._concerns(event):  # how those have ended, nobody knows
                self._notify(
                    f"{_name(event)}: {number} {'attempt' if number == 1 else 'attempts'} before attempt {event['attempt']} can be found in"
                    " no history any more, and cannot be told."
                )
        fresh = {event["id"] for event in changes}
        now = time.monotonic()
        due = []
        for event in pending:
            since = self._noticed.get(event["id"])
            if event["id"] in fresh or (is_first if since is None else now - since >= self.params["repeat_after"]):
                due.append(event)
            elif since is not None:
                continue
            self._noticed[event["id"]] = now
        self._noticed = {event["id"]: self._noticed[event["id"]] for event in pending}
        for warning in self._store.warnings:
            self._say_once(warning)
        return [for_rulebook(event) for event in due]

    def handed_over(self, told: list[Event]) -> None:
        """Note that these events were received, unless an answer is to show that."""
        if self.params["until"] != "handed_over" or not told:
            return
        self._received |= {event["id"] for event in told}

        def attempt() -> None:
            cursor, version = self._read()
            pending = self._left(cursor)
            if pending != cursor["pending"]:
                write(self._store, self._path, {**cursor, "pending": pending}, expect=version)

        contended(attempt)
        for event_id in self._received:
            self._noticed.pop(event_id, None)
        self._received.clear()

    def _move_on(self) -> tuple[list[Event], list[Event], list[Lost]]:
        """Move the cursor, once. Return what has changed, all that awaits an answer, and what nobody can tell any more."""
        before, version = self._read()
        if self._is_known and before.get("filters", self._filters) != self._filters:
            raise AsyncJobError(
                f"The cursor {self._where} is that of another rulebook by now, which has other filters: it passes over what this one is to"
                " tell. No event is told. Give each rulebook a cursor of its own, then start it anew."
            )
        seen = see(self._store, before["seen"], {WORKFLOWS: told_of_run})
        for why in seen.unreadable:
            self._say_once(why)
        answered: set[str] = seen.answered if self.params["until"] == "answered" else set()
        left = [event for event in self._left(before) if self._fits(event) and event["id"] not in answered]
        changes: list[Event] = []
        lost: list[Lost] = []
        if version == ABSENT and self.params["begin"] == "now":
            after = passed_over(advance(before, seen)[0], seen, self._where)
        else:
            after, changes, lost = advance(
                before, seen, wanted=lambda event: self._fits(event) and event["id"] not in answered, most=max(_MOST - len(left), 0)
            )
        if len(left) >= _MOST:
            self._say_once(
                f"{len(left)} events of the cursor {self._where} await an answer. Until some have it, no other one is told. Give filters,"
                " so that only what is to be answered is told."
            )
        pending = left + changes
        after.update(pending=pending, filters=self._filters)
        if after != before or version == ABSENT:
            write(self._store, self._path, after, expect=version)
        if version == ABSENT:
            self._notify(
                f"The cursor {self._where} is new. {len(seen.documents)} jobs, approvals and runs are known, {len(pending)} events to tell."
            )
        self._is_known = True
        self._received.clear()
        return changes, pending, lost

    def _left(self, cursor: Cursor) -> list[Event]:
        """Return what awaits an answer. What was handed over does not, even if the store was away when the cursor was to say so."""
        return [event for event in cursor["pending"] if event["id"] not in self._received]

    def _read(self) -> tuple[Cursor, Version]:
        document = self._store.read(self._path)
        if document is None:
            if self._is_known:
                raise AsyncJobError(f"The cursor {self._where} has vanished. No event is told. Put it back, or start the rulebook anew.")
            return new_cursor(self.params["cursor"]), ABSENT
        return parse_cursor(document.content, self.params["cursor"], where=self._where), document.version

    def _fits(self, event: Event) -> bool:
        """Return whether somebody wants to know of this."""
        return (not self.params["status"] or event["status"] in self.params["status"]) and self._concerns(event)

    def _concerns(self, event: Event) -> bool:
        """Return whether somebody wants to know of this job, approval or run at all."""
        params = self.params
        job = event.get("job_name", event.get("approval_name", ""))
        # What belongs to an answer of several jobs has its name behind that of their playbook.
        names = job, event.get("run"), str(event.get("playbook_name", "")).rpartition(" ")[2]
        if not params["reactions"] and any(map(is_event_id, names)):
            return False
        return (
            event["kind"] in params["kind"]
            and params["host"] in (None, event.get("host"))
            and params["playbook_name"] in (None, event.get("playbook_name"))
            and params["workflow"] in (None, event.get("workflow"))
            and (
                params["job_name_pattern"] is None
                or (event["kind"] != WORKFLOW and fnmatch.fnmatchcase(str(job), params["job_name_pattern"]))
            )
        )

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._notify(harmless(line))


def _name(event: Event) -> str:
    names = "host", "playbook_name", "job_name", "approval_name", "workflow", "run"
    return harmless(" ".join(str(event[name]) for name in names if event.get(name)))
