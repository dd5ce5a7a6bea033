# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals as documents of a store: where they are, what is one, which of them somebody has to decide on, and with which command.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import datetime
import json
import re
import shlex
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import measured_age
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import encode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import SCHEMA_VERSION, Record, read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SUFFIX, Entry, Store, without_signature
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless

# No host has a name that begins with a dot in a store.
APPROVALS = ".approvals/"

Approval = t.Dict[str, t.Any]


class Person(t.NamedTuple):
    """Somebody who asks or decides."""

    by: str
    """Who they say they are. Empty if they do not."""
    process: str
    """The user of the system that Ansible runs as, and the machine: C(user@machine)."""
    awx_user: str
    """Who started the job in AWX, where all jobs run as one user of the system. Empty elsewhere."""

    @property
    def account(self) -> str:
        """Whom AWX or the system knows them as."""
        return self.awx_user or self.process

    @property
    def name(self) -> str:
        """What to call them."""
        return self.by or self.account

    def __str__(self) -> str:
        account = f"{self.awx_user} in AWX" if self.awx_user else self.process
        return f"{self.by} (as {account})" if self.by and self.by != self.account else account


# What is noted of a person, all of it texts
PERSON = Person._fields

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

# What makes a template of a text that is given to C(ansible-playbook -e)
TEMPLATE = re.compile(r"\{[{%#]|^\s*#jinja2:")
# What C(-e name=value) takes as it is, in a shell and in JSON too
_PLAIN = re.compile(r"[A-Za-z0-9._/@:+-]+")

# What lists have of an approval
_LISTED = ("approval_name", "playbook_name", "subject", "request_id", "requested_by", "requested_at", "expires", "allow_self")


class Pending(t.NamedTuple):
    """The approvals that somebody has to decide on."""

    approvals: list[Approval]
    """Each with what is asked for, C(state_file), and the commands C(approve) and C(reject), empty where none can be printed."""
    unreadable: list[dict[str, str]]
    """For each approval that cannot be read, C(state_file) and C(msg)."""


def find_pending(store: Store, playbook_name: str | None, settings: t.Mapping[str, str]) -> Pending:
    """Return the approvals that nobody has decided on, and that have not expired by our clock, the oldest request first.

    :arg playbook_name: only those of this playbook. None means of any
    :arg settings: what whoever decides has to say of the store
    """
    prefix = APPROVALS if playbook_name is None else f"{APPROVALS}{encode(playbook_name)}/"
    approvals, unreadable = [], []
    for entry in store.entries(prefix):
        where = store.locate(entry.path)
        try:
            approval = _approval_of(entry, where)
        except AsyncJobError as error:
            unreadable.append({"state_file": where, "msg": str(error)})
            continue
        if status_of(approval) == "requested":
            listed = {field: approval[field] for field in _LISTED if field in approval}
            commands = {what: command(what, approval, settings) for what in ("approve", "reject")}
            approvals.append({**listed, "asked_by": str(person_of(approval)), "state_file": where, **commands})
    return Pending(sorted(approvals, key=lambda approval: _times.moment(approval["requested_at"]) or _times.NEVER), unreadable)


def command(playbook: str, approval: Approval, settings: t.Mapping[str, str]) -> str:
    """Return the command that approves or rejects what is asked for, and nothing else. Empty if none can be printed.

    :arg playbook: C(approve) or C(reject)
    :arg settings: what whoever decides has to say of the store
    """
    which = {"playbook": approval["playbook_name"], "approval": approval["approval_name"], **settings}
    if "request_id" in approval:
        which["request"] = approval["request_id"]
    else:  # an older release has asked for it
        which["subject"] = approval["subject"]
    return run_playbook(playbook, which)


def run_playbook(name: str, variables: t.Mapping[str, str], inventory: t.Iterable[str] = ()) -> str:
    """Return a command that runs a playbook of this collection. Empty if a variable has the marks of a template.

    :arg inventory: where its hosts are
    """
    if any(TEMPLATE.search(value) for value in variables.values()):
        return ""
    if all(_PLAIN.fullmatch(value) for value in variables.values()):
        options = " ".join(f"-e {variable}={value}" for variable, value in variables.items())
    else:
        text = json.dumps(variables, ensure_ascii=False)
        options = "-e " + shlex.quote(text if harmless(text) == text else json.dumps(variables))
    places = "".join(f"-i {shlex.quote(place)} " for place in inventory)
    return f"ansible-playbook rstyczynski.ansible.{name} {places}{options}"


def status_of(approval: Approval) -> str:
    """Return the status as of now, by our clock: that which nobody sets, if it was asked for by that."""
    return "expired" if approval["status"] == "requested" and _has_expired(approval) else str(approval["status"])


def _has_expired(approval: Approval) -> bool:
    expires, asked = (_times.moment(approval[field]) for field in ("expires", "requested_at"))
    if expires is None:
        return False
    since = measured_age(t.cast(Record, {"ended": approval.get("asked")}))
    if since is None or asked is None:
        return datetime.datetime.now(datetime.timezone.utc) >= expires
    return since >= (expires - asked).total_seconds()


def person_of(approval: Approval, role: str = "requester", name: str = "requested_by") -> Person:
    """Return somebody whom an approval names. Older releases have noted nothing but the name."""
    if role not in approval:
        return Person("", approval[name], "")
    return Person(*(approval[role].get(field, "") for field in PERSON))


def path_of_approval(playbook_name: str, name: str) -> str:
    """Return the path of an approval in its store."""
    return f"{APPROVALS}{encode(playbook_name)}/{encode(name, suffix=SUFFIX)}"


def parse_approval(document: bytes, playbook_name: str, name: str, *, where: str) -> Approval:
    """Read a document of the store.

    :arg where: the place of the document, for the error
    :raises AsyncJobError: if it is not this approval
    """

    def corrupt(why: str) -> AsyncJobError:
        return AsyncJobError(
            f"The approval {where} cannot be used: {why}. Nothing was changed, and nothing counts as approved. Look at it, then"
            " put back a good copy; or remove it, and ask for the approval anew."
        )

    try:
        approval = read_plain(document.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise corrupt(f"it is not valid JSON ({error})") from error
    if not isinstance(approval, dict):
        raise corrupt("it is not a JSON object")
    version = approval.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise AsyncJobError(
            f"The approval {where} was written by another release of the collection rstyczynski.ansible (schema version {version};"
            f" this release knows {SCHEMA_VERSION}). Nothing was changed. Upgrade the collection on this controller."
        )
    for field, kind in _FIELDS.items():
        if not isinstance(approval.get(field), kind):
            raise corrupt(f"the field {field!r} is missing, or not what it should be")
    if approval["status"] not in _STATUSES:
        raise corrupt(f"its status {approval['status']!r} is none of {', '.join(_STATUSES)}")
    if approval["status"] != "requested" and not isinstance(approval.get("decided_by"), str):
        raise corrupt("it does not tell who has decided")
    if not isinstance(approval.get("request_id", ""), str):
        raise corrupt("the id of the request is no text")
    if not isinstance(approval.get("begun", ""), str):
        raise corrupt("the run of a workflow that it is for is no text")
    for role in ("requester", "decider"):
        person = approval.get(role, {})
        if not isinstance(person, dict) or not all(isinstance(person.get(field, ""), str) for field in PERSON):
            raise corrupt(f"the field {role!r} is not what it should be")
    if approval["expires"] and _times.moment(approval["expires"]) is None:
        raise corrupt(f"the time when it expires, {approval['expires']!r}, is none")
    if not isinstance(approval.get("asked", {}), dict):
        raise corrupt("the clock by which it was asked for is none")
    if (approval["playbook_name"], approval["approval_name"]) != (playbook_name, name):
        raise corrupt(f"it is of the approval {approval['approval_name']!r} of playbook {approval['playbook_name']!r}")
    last = approval["history"][-1] if approval["history"] else None
    decider = approval["requested_by"] if approval["status"] == "requested" else approval["decided_by"]
    if not isinstance(last, dict) or (last.get("event"), last.get("by")) != (approval["status"], decider):
        raise corrupt("its status is not what its history ends with")
    return without_signature(approval)


def check_approval(document: bytes, path: str, *, where: str) -> Approval:
    """Return the approval that belongs to a path.

    :raises AsyncJobError: if it is something else, with the reason
    """
    playbook_name, name = _names(document)
    approval = parse_approval(document, playbook_name, name, where=where)
    if path_of_approval(playbook_name, name) != path:
        raise AsyncJobError(
            f"The approval {where} is not where it belongs: it is of the approval {name!r} of playbook {playbook_name!r}. The file was"
            " moved or copied by hand. Nothing was changed. Put it back, or remove it."
        )
    return approval


def _approval_of(entry: Entry, where: str) -> Approval:
    """Return the approval of a line in a listing.

    :raises AsyncJobError: if it cannot be used
    """
    if entry.document is None:
        raise entry.error or AsyncJobError(f"The approval {where} cannot be read.")
    return check_approval(entry.document.content, entry.path, where=where)


def _names(document: bytes) -> tuple[str, str]:
    """Return of which playbook and approval a document is, as far as it says so."""
    try:
        content = read_plain(document.decode("utf-8"))
        return str(content["playbook_name"]), str(content["approval_name"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return "", ""
