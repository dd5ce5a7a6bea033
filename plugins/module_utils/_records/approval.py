# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals as documents of a store: where they are, and what is one.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import encode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import SCHEMA_VERSION, read_plain
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SUFFIX, without_signature

# No host has a name that begins with a dot in a store.
APPROVALS = ".approvals/"

# What is noted of a person, all of it texts
PERSON = ("by", "process", "awx_user")

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
    for role in ("requester", "decider"):
        person = approval.get(role, {})
        if not isinstance(person, dict) or not all(isinstance(person.get(field, ""), str) for field in PERSON):
            raise corrupt(f"the field {role!r} is not what it should be")
    if approval["expires"] and _times.moment(approval["expires"]) is None:
        raise corrupt(f"the time when it expires, {approval['expires']!r}, is none")
    if (approval["playbook_name"], approval["approval_name"]) != (playbook_name, name):
        raise corrupt(f"it is of the approval {approval['approval_name']!r} of playbook {approval['playbook_name']!r}")
    last = approval["history"][-1] if approval["history"] else None
    decider = approval["requested_by"] if approval["status"] == "requested" else approval["decided_by"]
    if not isinstance(last, dict) or (last.get("event"), last.get("by")) != (approval["status"], decider):
        raise corrupt("its status is not what its history ends with")
    return without_signature(approval)


def check_approval(document: bytes, path: str, *, where: str) -> None:
    """Refuse what is not the approval that belongs to a path.

    :raises AsyncJobError: with the reason
    """
    playbook_name, name = _names(document)
    parse_approval(document, playbook_name, name, where=where)
    if path_of_approval(playbook_name, name) != path:
        raise AsyncJobError(
            f"The approval {where} is not where it belongs: it is of the approval {name!r} of playbook {playbook_name!r}. The file was"
            " moved or copied by hand. Nothing was changed. Put it back, or remove it."
        )


def _names(document: bytes) -> tuple[str, str]:
    """Return of which playbook and approval a document is, as far as it says so."""
    try:
        content = read_plain(document.decode("utf-8"))
        return str(content["playbook_name"]), str(content["approval_name"])
    except (ValueError, RecursionError, TypeError, KeyError):
        return "", ""
