# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ARA, which records runs of Ansible: the one that records this run, if one does, and any other.

Nothing of ARA is imported here before somebody asks for it by name: whether its callback is active, the modules tell that are loaded.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import sys
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError

Object = t.Dict[str, t.Any]

RUNNING = "running"
"""What ARA calls what goes on."""

# For how long to wait for an answer, in seconds. A job is not to wait for its notes.
_SECONDS = 10
# How many objects to ask for at a time. ARA itself gives 100, if it is not told.
_PAGE = 1000
# How often to write the labels of a playbook, which can only be replaced: others may write theirs at the same moment.
_TRIES = 3
# What names and keys may be in ARA, in characters (api/models.py).
_LONGEST = 254


class Ara:
    """An ARA, as its API has it.

    :arg http: what sends a request: ARA's C(HttpClient)
    """

    def __init__(self, http: t.Any) -> None:
        self._http = http

    def get(self, path: str, **query: t.Any) -> Object | None:
        """Return an object, or a page of a list. None if there is no such object.

        :raises AsyncJobError: if ARA does not answer as it should
        """
        return self._answer(lambda: self._http.get(f"/api/v1/{path}", params=query), path)

    def find(self, path: str, **query: t.Any) -> list[Object]:
        """Return the objects of a list."""
        found = (self.get(path, limit=_PAGE, **query) or {}).get("results")
        if not isinstance(found, list):
            raise AsyncJobError(f"ARA has answered {path} with something else than a list.")
        return [one for one in found if isinstance(one, dict)]

    def post(self, path: str, **fields: t.Any) -> Object | None:
        """Make an object."""
        return self._answer(lambda: self._http.post(f"/api/v1/{path}", **fields), path)

    def patch(self, path: str, **fields: t.Any) -> Object | None:
        """Change fields of an object."""
        return self._answer(lambda: self._http.patch(f"/api/v1/{path}", **fields), path)

    @staticmethod
    def _answer(ask: t.Callable[[], t.Any], path: str) -> Object | None:
        try:
            response = ask()
            if response.status_code == 404:
                return None
            answer = response.json() if response.status_code in (200, 201) else None
        except Exception as error:  # of a library that is imported by somebody else, or not at all
            raise AsyncJobError(f"ARA has not answered {path}: {type(error).__name__}: {error}.") from error
        if not isinstance(answer, dict):
            raise AsyncJobError(f"ARA has answered {path} with the status {response.status_code}.")
        return answer

    def playbook_of(self, play: str) -> int | None:
        """Return the playbook that a play belongs to. None if it knows nothing of that.

        :arg play: what tells the play from all others: its uuid
        """
        uuid = play[:36]  # a longer one is that of a batch (serial), of which ARA keeps the beginning
        numbers = [one.get("playbook") for one in self.find("plays", uuid=uuid) if one.get("uuid") == uuid]
        return numbers[0] if numbers and isinstance(numbers[0], int) else None

    def add_label(self, playbook: int, label: str) -> None:
        """Put a label on a playbook, beside those that it has."""
        for _try in range(_TRIES):
            about = self.get(f"playbooks/{playbook}") or {}
            labels = [str(one.get("name")) for one in about.get("labels", ()) if isinstance(one, dict)]
            if label[:_LONGEST] in labels:
                return
            self.patch(f"playbooks/{playbook}", labels=[*labels, label[:_LONGEST]])

    def record_of(self, playbook: int, key: str) -> Object | None:
        """Return what a playbook holds under a key, with its id. None if there is nothing."""
        for found in self.find("records", playbook=playbook, key=key[:_LONGEST]):
            if found.get("key") == key[:_LONGEST]:  # to some databases, what differs in case is the same
                return self.get(f"records/{found.get('id')}")  # a list has no values
        return None

    def running(self, kind: str, **query: t.Any) -> list[Object]:
        """Return the playbooks, plays or tasks that go on. A server that does not know of that filter gives all of them."""
        found = self.find(kind, status=RUNNING, **query)
        return [one for one in found if one.get("status") == RUNNING and isinstance(one.get("id"), int)]

    def put_record(self, playbook: int, key: str, value: Object) -> None:
        """Let a playbook hold a value under a key."""
        before = self.record_of(playbook, key)
        if before is None:
            self.post("records", playbook=playbook, key=key[:_LONGEST], value=value, type="dict")
        elif before.get("value") != value:
            self.patch(f"records/{before['id']}", key=key[:_LONGEST], value=value, type="dict")


def active() -> Ara | None:
    """Return the ARA that records this run. None if its callback is not active."""
    clients = sys.modules.get("ara.clients.utils")
    http = sys.modules.get("ara.clients.http")
    reference = getattr(getattr(clients, "active_client", None), "_instance", None)
    client = reference() if reference is not None else None
    if client is None or http is None:
        return None
    # Not its own one: that has an open connection, which this process shares with the one that it was forked from.
    own = client.client
    return Ara(http.HttpClient(endpoint=own.endpoint, auth=own.auth, cert=own.cert, timeout=min(own.timeout, _SECONDS), verify=own.verify))


def connect(client: str, server: str) -> Ara:
    """Return an ARA by its settings: these two, and all others from the environment, as its own commands take them.

    :arg client: C(offline) or C(http)
    :arg server: where that is
    :raises AsyncJobError: if ARA is not installed here, or the settings are no good
    """
    try:
        from ara.clients.utils import get_client
    except ImportError as error:
        raise AsyncJobError(
            f"ARA is not installed for {sys.executable}: {error}. Nothing was changed. Install it there: pip install ara, or ara[server]"
            " for api_client 'offline'."
        ) from error
    said = {name: os.environ.get(f"ARA_API_{name.upper()}") for name in ("username", "password", "cert", "key", "ca", "insecure")}
    verify: bool | str = said["ca"] or str(said["insecure"]).lower() not in ("1", "true", "yes", "on")
    try:
        found = get_client(
            client=client,
            endpoint=server,
            timeout=_SECONDS,
            verify=verify,
            run_sql_migrations=False,
            **{name: said[name] or None for name in ("username", "password", "cert", "key")},
        )
    except Exception as error:  # whatever Django does not like
        raise AsyncJobError(f"ARA cannot be used: {type(error).__name__}: {error}. Nothing was changed.") from error
    ara = Ara(found.client)
    ara.client = found  # type: ignore[attr-defined]  # it serves as long as somebody holds it
    return ara
