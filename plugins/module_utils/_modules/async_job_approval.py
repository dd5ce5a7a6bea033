# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals: gates in a playbook that a person opens, kept in the same store as the records of jobs.

An approval is a JSON object in C(.approvals/<playbook_name>/<name>.json). No host has a name that begins with a dot there.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import json
import shlex
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import contended, shown, whoami, write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import encode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import SCHEMA_VERSION
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    ABSENT,
    SUFFIX,
    Notify,
    Store,
    Version,
    nobody,
    without_signature,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store, settings_of

ARGUMENT_SPEC: Spec = {
    "name": {"type": "str", "required": True},
    "playbook_name": {"type": "str"},
    "mode": {"type": "str", "choices": ["request", "wait", "approve", "reject"], "required": True},
    "subject": {"type": "str"},
    "by": {"type": "str"},
    "reason": {"type": "str"},
    "expires_in": {"type": "int", "default": 86400},
    "allow_self": {"type": "bool", "default": False},
    "renew": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 0},
    "wait_interval": {"type": "int", "default": 10},
    **STORE_OPTIONS,
}
REQUIRED_IF = [("mode", "request", ("subject",))]

DIRECTORY = ".approvals"

Approval = t.Dict[str, t.Any]

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "approval_name": str,
    "playbook_name": str,
    "status": str,
    "subject": str,
    "requested_by": str,
    "requested_at": str,
    "expires": str,
    "allow_self": bool,
    "history": list,
}
_STATUSES = ("requested", "approved", "rejected")


def run(params: dict[str, t.Any], *, check_mode: bool, notify: Notify = nobody) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC; playbook_name is given
    :arg check_mode: only say what would be changed
    """
    gate = _Gate(open_store(params, notify), params["playbook_name"], params["name"], settings_of(params))
    who = whoami() if params["by"] is None else params["by"].strip()
    if not _user(who) or not who.isprintable():
        raise AsyncJobError(f"by is {params['by']!r}, which names nobody. Nothing was changed.")
    if params["mode"] == "wait":
        return _wait(gate, params, notify, check_mode=check_mode)

    def attempt() -> dict[str, t.Any]:
        before, version = gate.read()
        after = _requested(before, gate, params, who) if params["mode"] == "request" else _decided(before, gate, params, who)
        return gate.answer(before, after if after == before or check_mode else gate.write(after, version))

    return contended(attempt)


class _Gate:
    """One approval in its store."""

    def __init__(self, store: Store, playbook_name: str, name: str, settings: dict[str, str]) -> None:
        """:arg settings: what whoever decides has to say of the store"""
        self.store = store
        self._settings = settings
        self.playbook_name = playbook_name
        self.name = name
        self._path = f"{DIRECTORY}/{encode(playbook_name)}/{encode(name, suffix=SUFFIX)}"
        self.where = store.locate(self._path)

    def __str__(self) -> str:
        return f"approval {self.name!r} of playbook {self.playbook_name!r}"

    def read(self) -> tuple[Approval | None, Version]:
        """The approval, or None where it is proven that nobody has asked for it."""
        document = self.store.read(self._path)
        if document is None:
            return None, ABSENT
        return self._parse(document.content), document.version

    def write(self, approval: Approval, expect: Version) -> Approval:
        return write(self.store, self._path, approval, expect=expect)[0]

    def answer(self, before: Approval | None, after: Approval) -> dict[str, t.Any]:
        status = _status(after)
        text = f"The {self}: {_said(after)}."
        if status == "requested":
            which = {"playbook": self.playbook_name, "approval": self.name, **self._settings}
            words = shlex.quote(json.dumps(which, ensure_ascii=False))
            text += f" To approve: ansible-playbook rstyczynski.ansible.approve -e {words} -e by=<your name>"
        elif status == "rejected":
            text += " To ask anew: mode 'request' with 'renew: true'."
        return {
            "changed": before != after,
            "status": status,
            "approved": status == "approved",
            "approval": after,
            "msg": text,
            "state_file": self.where,
            "diff": {
                "before_header": self.where,
                "after_header": self.where,
                "before": shown(before),
                "after": shown(after),
            },
            "warnings": self.store.warnings,
        }

    def _parse(self, document: bytes) -> Approval:
        def corrupt(why: str) -> AsyncJobError:
            return AsyncJobError(
                f"The approval {self.where} cannot be used: {why}. Nothing was changed, and nothing counts as approved. Look at it, then"
                " put back a good copy; or remove it, and ask for the approval anew."
            )

        try:
            approval = json.loads(document.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise corrupt(f"it is not valid JSON ({error})") from error
        if not isinstance(approval, dict):
            raise corrupt("it is not a JSON object")
        version = approval.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise AsyncJobError(
                f"The approval {self.where} was written by another release of the collection rstyczynski.ansible (schema version {version};"
                f" this release knows {SCHEMA_VERSION}). Nothing was changed. Upgrade the collection on this controller."
            )
        for field, kind in _FIELDS.items():
            if not isinstance(approval.get(field), kind):
                raise corrupt(f"the field {field!r} is missing, or not what it should be")
        if approval["status"] not in _STATUSES:
            raise corrupt(f"its status {approval['status']!r} is none of {', '.join(_STATUSES)}")
        if approval["status"] != "requested" and not isinstance(approval.get("decided_by"), str):
            raise corrupt("it does not tell who has decided")
        if approval["expires"] and _times.moment(approval["expires"]) is None:
            raise corrupt(f"the time when it expires, {approval['expires']!r}, is none")
        if (approval["playbook_name"], approval["approval_name"]) != (self.playbook_name, self.name):
            raise corrupt(f"it is of the approval {approval['approval_name']!r} of playbook {approval['playbook_name']!r}")
        last = approval["history"][-1] if approval["history"] else None
        decider = approval["requested_by"] if approval["status"] == "requested" else approval["decided_by"]
        if not isinstance(last, dict) or (last.get("event"), last.get("by")) != (approval["status"], decider):
            raise corrupt("its status is not what its history ends with")
        return without_signature(approval)


def _requested(before: Approval | None, gate: _Gate, params: dict[str, t.Any], who: str) -> Approval:
    """The approval after somebody has asked for it. One that was given for the same subject stands."""
    subject = params["subject"]
    if before is not None and before["subject"] == subject:
        status = _status(before)
        asked_already = status == "requested" and before["allow_self"] == params["allow_self"]
        if asked_already or status == "approved" or (status == "rejected" and not params["renew"]):
            return before
    now = _times.now()
    expires = ""
    if params["expires_in"]:
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=params["expires_in"])
        expires = _times.text_of(until)
    event = {"event": "requested", "by": who, "at": now, "subject": subject, "expires": expires, "reason": params["reason"] or ""}
    return {
        "approval_name": gate.name,
        "playbook_name": gate.playbook_name,
        "schema_version": SCHEMA_VERSION,
        "status": "requested",
        "subject": subject,
        "requested_by": who,
        "requested_at": now,
        "expires": expires,
        "allow_self": params["allow_self"],
        "save_time": now,
        "history": [*_history(before), event],
    }


def _decided(before: Approval | None, gate: _Gate, params: dict[str, t.Any], who: str) -> Approval:
    """The approval after somebody has approved or rejected it."""
    decision = {"approve": "approved", "reject": "rejected"}[params["mode"]]
    if before is None:
        raise AsyncJobError(
            f"Nobody has asked for the {gate}: {gate.where} does not exist. Nothing was {decision}. Correct its name, playbook_name (the"
            " name of the play that asks), or the store."
        )
    if params["subject"] is not None and params["subject"] != before["subject"]:
        raise AsyncJobError(f"The {gate} is about {before['subject']!r}, not about {params['subject']!r}. Nothing was {decision}.")
    status = _status(before)
    if status == decision:
        return before
    if status == "expired":
        raise AsyncJobError(
            f"The request for the {gate} expired at {before['expires']}. Nothing was {decision}. Have it asked for again: run the"
            " playbook that does so."
        )
    if status != "requested":
        raise AsyncJobError(f"The {gate} has been decided already: {_said(before)}. Nothing was {decision}.")
    if decision == "approved" and not before["allow_self"] and _user(who) == _user(before["requested_by"]):
        raise AsyncJobError(
            f"{who} has asked for the {gate} as {before['requested_by']}, and may not approve it too. Nothing was approved. Have"
            " somebody else do so (by), or let the request say 'allow_self: true'."
        )
    now = _times.now()
    event = {"event": decision, "by": who, "at": now, "reason": params["reason"] or ""}
    return {
        **before,
        "status": decision,
        "decided_by": who,
        "decided_at": now,
        "reason": params["reason"] or "",
        "save_time": now,
        "history": [*before["history"], event],
    }


def _wait(gate: _Gate, params: dict[str, t.Any], notify: Notify, *, check_mode: bool) -> dict[str, t.Any]:
    """Wait for a decision, for as long as the user wants to. That there is none yet is no failure."""
    deadline = time.monotonic() + params["wait_timeout"]
    told = False
    while True:
        approval, _version = gate.read()
        if approval is None and check_mode:  # a task before this one would have asked
            return {"changed": False, "status": "requested", "approved": False, "msg": f"The {gate}: it would be asked for."}
        if approval is None:
            raise AsyncJobError(
                f"Nobody has asked for the {gate}: {gate.where} does not exist. Ask for it with 'mode: request' in a task before this one."
            )
        if params["subject"] is not None and params["subject"] != approval["subject"]:
            raise AsyncJobError(f"The {gate} is about {approval['subject']!r}, not about {params['subject']!r}. It does not count.")
        answer = gate.answer(approval, approval)
        if answer["status"] == "approved":
            return answer
        if answer["status"] != "requested":
            return {**answer, "failed": True}
        left = deadline - time.monotonic()
        if not told:
            told = True
            notify(answer["msg"] + (f" Waiting for at most {left:.0f} seconds." if left > 0 else ""))
        if left <= 0:
            return answer
        time.sleep(min(params["wait_interval"], left))


def _status(approval: Approval) -> str:
    """The status as of now, by our clock."""
    expires = _times.moment(approval["expires"])
    if approval["status"] == "requested" and expires is not None and datetime.datetime.now(datetime.timezone.utc) >= expires:
        return "expired"
    return str(approval["status"])


def _said(approval: Approval) -> str:
    """What there is to say of it."""
    status = _status(approval)
    if status == "requested":
        until = f" until {approval['expires']}" if approval["expires"] else ""
        return f"awaiting approval{until}: {approval['subject']} (asked for by {approval['requested_by']})"
    if status == "expired":
        return f"the request expired at {approval['expires']}, and nobody had decided: {approval['subject']}"
    reason = f" ({approval['reason']})" if approval.get("reason") else ""
    return f"{status} by {approval['decided_by']} at {approval.get('decided_at', '')}{reason}: {approval['subject']}"


def _history(before: Approval | None) -> list[t.Any]:
    """What has happened so far. That a request expired is known only when the next one comes."""
    if before is None:
        return []
    if _status(before) == "expired":
        return [*before["history"], {"event": "expired", "at": before["expires"]}]
    return list(before["history"])


def _user(who: str) -> str:
    """The user, wherever he is logged in."""
    return who.partition("@")[0].strip().casefold()
