# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals: gates in a playbook that a person opens, kept in the same store as the records of jobs.

An approval is a JSON object in C(.approvals/<playbook_name>/<name>.json). No host has a name that begins with a dot there. Each request
has an id of its own, so that a decision is about what somebody has read, and not about what took its place meanwhile.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import time
import typing as t
import unicodedata
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import stamp
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import (
    TEMPLATE,
    Approval,
    Person,
    command,
    find_pending,
    parse_approval,
    path_of_approval,
    person_of,
    status_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import contended, shown, whoami, write
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import SCHEMA_VERSION
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    ABSENT,
    Notify,
    Store,
    Version,
    nobody,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store, settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import brief_time, harmless

ARGUMENT_SPEC: Spec = {
    "name": {"type": "str"},
    "playbook_name": {"type": "str"},
    "mode": {"type": "str", "choices": ["request", "wait", "approve", "reject", "list"], "required": True},
    "subject": {"type": "str"},
    "request": {"type": "str"},
    "by": {"type": "str"},
    "reason": {"type": "str"},
    "expires_in": {"type": "int", "default": 86400},
    "allow_self": {"type": "bool", "default": False},
    "renew": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 0},
    "wait_interval": {"type": "int", "default": 10},
    **STORE_OPTIONS,
}
REQUIRED_IF = [("mode", "request", ("name", "subject")), *(("mode", mode, ("name",)) for mode in ("wait", "approve", "reject"))]

TEXTS = ("name", "playbook_name", "subject", "request", "by", "reason")
"""Options that are texts, whatever they look like."""

# Writing systems that a name may mix with each other and with Latin letters: nobody takes a letter of one for a letter of another
_EAST_ASIAN = frozenset(("BOPOMOFO", "CJK", "HANGUL", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"))
# For small letters, those that look the same
_LOOK_ALIKES = {
    "a": "\u0430\u03b1",
    "b": "\u0432\u03b2",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435\u03b5",
    "h": "\u043d\u04bb",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "l": "i1|\u0131\u0456\u04cf\u03b9",
    "m": "\u043c",
    "o": "0\u043e\u03bf\u0585",
    "p": "\u0440\u03c1",
    "q": "\u051b",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "v": "\u03bd\u0475",
    "w": "\u051d",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03c5",
}
_SAME_LOOK = {ord(other): letter for letter, others in _LOOK_ALIKES.items() for other in others}


def run(params: dict[str, t.Any], *, check_mode: bool, notify: Notify = nobody, awx_user: str = "", begun: str = "") -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC; playbook_name is given, unless for a list
    :arg check_mode: only say what would be changed
    :arg awx_user: who has started this run in AWX. Empty elsewhere
    :arg begun: which run of a workflow asks: what counts for another one does not count for it. Empty if none does
    """
    for option in ("name", "playbook_name", "subject"):
        if params[option] is not None and TEMPLATE.search(params[option]):
            raise AsyncJobError(
                f"{option} is {params[option]!r}, which has the marks of a template: whoever pastes it into a command would run that."
                " Nothing was changed. Choose a text without them."
            )
    for option, name in (("by", params["by"]), ("awx_user_name", awx_user or None)):
        if name is not None:
            _check_name(name, option)
    if params["mode"] == "list":
        return _list(open_store(params, notify), params)
    gate = _Gate(open_store(params, notify), params["playbook_name"], params["name"], settings_of(params))
    who = Person((params["by"] or "").strip(), whoami(), awx_user.strip())
    if params["mode"] == "wait":
        return _wait(gate, params, notify, check_mode=check_mode)

    def attempt() -> dict[str, t.Any]:
        before, version = gate.read()
        after = _requested(before, gate, params, who, begun) if params["mode"] == "request" else _decided(before, gate, params, who)
        return gate.answer(before, after if after == before or check_mode else gate.write(after, version))

    return contended(attempt)


class _Gate:
    """One approval in its store."""

    def __init__(self, store: Store, playbook_name: str, name: str, settings: dict[str, str]) -> None:
        """Find the place of the approval. Nothing is read yet.

        :arg settings: what whoever decides has to say of the store
        """
        self.store = store
        self._settings = settings
        self.playbook_name = playbook_name
        self.name = name
        self._path = path_of_approval(playbook_name, name)
        self.where = store.locate(self._path)

    def __str__(self) -> str:
        return f"approval {self.name!r} of playbook {self.playbook_name!r}"

    def command(self, approval: Approval) -> str:
        """Return the end of a sentence that tells how to approve what is asked for, and nothing else."""
        text = command("approve", approval, self._settings)
        if not text:
            return " No command to approve can be printed: the place of the store, or the subject, has the marks of a template."
        return f" To approve: {text}"

    def read(self) -> tuple[Approval | None, Version]:
        """Return the approval, or None where it is proven that nobody has asked for it."""
        document = self.store.read(self._path)
        if document is None:
            return None, ABSENT
        return parse_approval(document.content, self.playbook_name, self.name, where=self.where), document.version

    def write(self, approval: Approval, expect: Version) -> Approval:
        return write(self.store, self._path, approval, expect=expect)[0]

    def answer(self, before: Approval | None, after: Approval, more: str = "") -> dict[str, t.Any]:
        """Return what the module returns.

        :arg more: a sentence for the message
        """
        status = status_of(after)
        text = harmless(f"The {self}: {_said(after)}.") + more
        if status == "requested":
            if not after["allow_self"]:
                text += f" Somebody else than {harmless(str(person_of(after)))} has to decide."
            text += self.command(after)
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


def _requested(before: Approval | None, gate: _Gate, params: dict[str, t.Any], who: Person, begun: str) -> Approval:
    """Return the approval after somebody has asked for it. One that was given for the same subject stands, unless another run had asked."""
    subject = params["subject"]
    is_ours = before is None or not begun or before.get("begun", "") == begun
    if before is not None and before["subject"] == subject and is_ours:
        status = status_of(before)
        asked_already = status == "requested" and before["allow_self"] == params["allow_self"]
        if asked_already or status == "approved" or (status == "rejected" and not params["renew"]):
            return before
    now, asked = _times.now(), stamp(0)
    expires = ""
    if params["expires_in"]:
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=params["expires_in"])
        expires = _times.text_of(until)
    event = _event("requested", who, now, params)
    event.update(subject=subject, expires=expires, request_id=uuid.uuid4().hex)
    return {
        "request_id": event["request_id"],
        "approval_name": gate.name,
        "playbook_name": gate.playbook_name,
        "schema_version": SCHEMA_VERSION,
        "status": "requested",
        "subject": subject,
        "requested_by": who.name,
        "requester": who._asdict(),
        "requested_at": now,
        "expires": expires,
        "allow_self": params["allow_self"],
        "save_time": now,
        "history": [*_history(before), event],
        **({"asked": asked} if asked else {}),
        **({"begun": begun} if begun else {}),
    }


def _decided(before: Approval | None, gate: _Gate, params: dict[str, t.Any], who: Person) -> Approval:
    """Return the approval after somebody has approved or rejected it."""
    decision = {"approve": "approved", "reject": "rejected"}[params["mode"]]
    if before is None:
        raise AsyncJobError(
            f"Nobody has asked for the {gate}: {gate.where} does not exist. Nothing was {decision}. Correct its name, playbook_name (the"
            " name of the play that asks), or the store."
        )
    status = status_of(before)
    now_asked = f"{_said(before)}.{gate.command(before) if status == 'requested' else ''}"
    if params["request"] is None and params["subject"] is None:
        raise AsyncJobError(
            f"Say what is to be {decision}, by the id of the request (request) or by its subject. Nothing was {decision}. The {gate}:"
            f" {now_asked}"
        )
    problem = _another(before, gate, params)
    if problem:
        raise AsyncJobError(f"{problem} Nothing was {decision}. What there is now: {now_asked}")
    if status == decision:
        return before
    if status == "expired":
        raise AsyncJobError(
            f"The request for the {gate} expired at {before['expires']}. Nothing was {decision}. Have it asked for again: run the"
            " playbook that does so."
        )
    if status != "requested":
        raise AsyncJobError(f"The {gate} has been decided already: {_said(before)}. Nothing was {decision}.")
    if decision == "approved" and not before["allow_self"] and _may_be_same(who, person_of(before)):
        asked = person_of(before)
        if str(who) == str(asked):
            why = f"{asked} has asked for the {gate}, and may not approve it too."
        else:
            why = f"{asked} has asked for the {gate}, and {who} may be the same person, who may not approve it too."
        raise AsyncJobError(
            f"{why} Nothing was approved. Have somebody else do so, as another user of the system, or let whoever asks say"
            " 'allow_self: true' (in a workflow, its approval)."
        )
    now = _times.now()
    event = _event(decision, who, now, params)
    return {
        **before,
        "status": decision,
        "decided_by": who.name,
        "decider": who._asdict(),
        "decided_at": now,
        "reason": params["reason"] or "",
        "save_time": now,
        "history": [*before["history"], event],
    }


def _list(store: Store, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what awaits a decision, and under C(lines) what to show of it."""
    store.must_exist()
    pending = find_pending(store, params["playbook_name"], settings_of(params))
    count = len(pending.approvals)
    what = "Nothing awaits" if not count else "1 request awaits" if count == 1 else f"{count} requests await"
    now = datetime.datetime.now(datetime.timezone.utc)
    text = f"{what} approval in {store.locate()}."
    lines = [line for approval in pending.approvals for line in (*_shown(approval, now), "")]
    result: dict[str, t.Any] = {
        "changed": False,
        "approvals": pending.approvals,
        "unreadable": pending.unreadable,
        "msg": text,
        "store": store.locate(),
        "lines": [*lines, *(f"Not readable: {harmless(problem['state_file'])}" for problem in pending.unreadable), text],
        "warnings": store.warnings,
    }
    if pending.unreadable:
        why = " ".join(problem["msg"] for problem in pending.unreadable[:3])
        result.update(failed=True, msg=f"{len(pending.unreadable)} approvals in {store.locate()} cannot be read. {why} {text}")
    return result


def _shown(approval: Approval, now: datetime.datetime) -> t.Iterator[str]:
    """Yield the lines that tell somebody what is asked for, and what to type."""

    def away(time: str) -> str:
        moment = _times.moment(time)
        return brief_time(abs((moment - now).total_seconds())) if moment is not None else "?"

    until = f", for another {away(approval['expires'])}" if approval["expires"] else ""
    yield harmless(f"{approval['playbook_name']}, {approval['approval_name']}: {approval['subject']}")
    yield harmless(f"  asked for by {approval['asked_by']} {away(approval['requested_at'])} ago{until}")
    if not approval["approve"]:
        yield "  no command can be printed: the place of the store, or the subject, has the marks of a template"
        return
    yield f"  to approve: {approval['approve']}"
    yield f"  to reject:  {approval['reject']}"


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
        problem = _another(approval, gate, params)
        if problem:
            raise AsyncJobError(f"{problem} It does not count.")
        left = deadline - time.monotonic()
        answer = gate.answer(approval, approval)
        if answer["status"] == "approved":
            return answer
        if answer["status"] != "requested":
            return {**answer, "failed": True}
        if not told:
            told = True
            notify(gate.answer(approval, approval, f" Waiting for at most {left:.0f} seconds." if left > 0 else "")["msg"])
        if left <= 0:
            return answer
        time.sleep(min(params["wait_interval"], left))


def _another(approval: Approval, gate: _Gate, params: dict[str, t.Any]) -> str:
    """Return why the approval is not the one that the options mean. Empty if it is."""
    if params["request"] is not None and params["request"] != approval.get("request_id"):
        return f"The request {params['request']} for the {gate} is not what is asked for now."
    if params["subject"] is not None and params["subject"] != approval["subject"]:
        return f"The {gate} is about {approval['subject']!r}, not about {params['subject']!r}."
    return ""


def _may_be_same(one: Person, other: Person) -> bool:
    """Return whether both may be the same person, by any of their names."""
    names = [{_look(person.name), _look(person.account)} for person in (one, other)]
    if not (one.awx_user and other.awx_user):
        names[0].add(_look(one.process))
        names[1].add(_look(other.process))
    return not names[0].isdisjoint(names[1])


def _event(what: str, who: Person, now: str, params: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"event": what, "by": who.name, "as": who.account, "at": now, "reason": params["reason"] or ""}


def _said(approval: Approval) -> str:
    """Say what there is to say of it, in a line that is for people only."""
    status = status_of(approval)
    if status == "requested":
        until = f" until {approval['expires']}" if approval["expires"] else ""
        return f"awaiting approval{until}: {approval['subject']} (asked for by {person_of(approval)})"
    if status == "expired":
        return f"the request expired at {approval['expires']}, and nobody had decided: {approval['subject']}"
    reason = f" ({approval['reason']})" if approval.get("reason") else ""
    return f"{status} by {person_of(approval, 'decider', 'decided_by')} at {approval.get('decided_at', '')}{reason}: {approval['subject']}"


def _history(before: Approval | None) -> list[t.Any]:
    """Return what has happened so far. That a request expired is known only when the next one comes."""
    if before is None:
        return []
    if status_of(before) == "expired":
        return [*before["history"], {"event": "expired", "at": before["expires"]}]
    return list(before["history"])


def _check_name(name: str, option: str) -> None:
    """Raise if a name could be read as that of somebody else, or is none.

    :arg option: where it comes from
    """
    if not _look(name) or harmless(name) != name:
        raise AsyncJobError(f"{option} is {name!r}, which names nobody. Nothing was changed.")
    letters = filter(str.isalpha, _user(name))
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in letters} - {"MODIFIER"}
    if len(scripts) > 1 and not scripts <= {"LATIN", *_EAST_ASIAN}:
        raise AsyncJobError(
            f"{option} is {name!r}, which mixes letters of {' and '.join(sorted(scripts))}: those of one look like those of the other."
            " Nothing was changed. Write the name with the letters of one alphabet."
        )


def _user(name: str) -> str:
    """Return the user, wherever they are logged in."""
    return unicodedata.normalize("NFKC", name).partition("@")[0].strip()


def _look(name: str) -> str:
    """Return what names that look the same have in common."""
    return unicodedata.normalize("NFKC", _user(name).casefold()).translate(_SAME_LOOK)
