# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a task becomes on the host.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_user_name
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible


class Users:
    """The user that a task works as, and the users that records name.

    What the task itself says holds: its C(become), or whom it logs in as. A record gives no rights. The user that it names is become
    only if whoever runs the task says so (C(become_recorded_user)), and only to look at that job, to stop it, and to clear up after
    it. Jobs are always started as the user that the task says.
    """

    def __init__(self, action: ActionBase) -> None:
        self._action = action
        self.may_become_recorded = False
        """Whether whoever runs the task lets it become users that records name."""
        self._before: tuple[t.Any, t.Any] | None = None
        """While the task works as another user: the become plugin that it says, and its user."""

    def of_task(self) -> tuple[str, str]:
        """Return the user that the task logs in as, and the user that it becomes. Each is empty if it is not known, or there is none."""
        connection = self._action._connection
        plugin, user = self._before or (connection.become, connection.become and connection.become.get_option("become_user"))
        return self._login(), "" if plugin is None else str(user or "root")

    def needed_for(self, record: Record) -> str:
        """Return the user to become for the job of a record. Empty if it need not be another one, or must not."""
        return self._others_job(record) if self.may_become_recorded else ""

    def lacking(self, record: Record) -> str:
        """Return why the task may not see all of the job of a record, and what would help. Empty if it may."""
        theirs = "" if self.may_become_recorded else self._others_job(record)
        if not theirs:
            return ""
        login, become = self.of_task()
        works_as = f"works as {become or login!r}" if become or login else f"does not work as {theirs!r}"
        return (
            f"The job belongs to the user {theirs!r}, and this task {works_as}. Say 'become: true' (with a playbook of this collection:"
            f" -e become=true) to look as root, or 'become_recorded_user: true' to look as {theirs!r}."
        )

    def become(self, user: str) -> None:
        """Run modules and commands as this user from now on; with an empty name, as the user that the task says.

        :raises AsyncJobError: if that is no name of a user
        """
        connection = self._action._connection
        if user:
            if not is_user_name(user):
                raise AsyncJobError(f"{user!r} is not the name of a user, so nobody becomes it. Correct become_user in the record.")
            if self._before is None:
                self._before = connection.become, connection.become and connection.become.get_option("become_user")
            plugin = self._before[0] or self._new_plugin()
        elif self._before is None:
            return
        else:
            (plugin, user), self._before = self._before, None
        if plugin is not None:
            plugin.set_option("become_user", user)
        _ansible.set_become_plugin(connection, plugin)

    def _others_job(self, record: Record) -> str:
        """Return the user that the job of a record belongs to, if the task works neither as that one nor as root."""
        login, become = self.of_task()
        theirs = str(record.get("become_user") or record.get("remote_user") or "")
        return "" if (become or login) in ("root", theirs) else theirs

    def _login(self) -> str:
        connection = self._action._connection
        if connection.transport == "local":
            with contextlib.suppress(KeyError):
                return pwd.getpwuid(os.geteuid()).pw_name
            return ""
        with contextlib.suppress(KeyError):
            return str(connection.get_option("remote_user") or "")
        return ""

    def _new_plugin(self) -> t.Any:
        action = self._action
        task_vars: dict[str, t.Any] = action._task_vars
        host = str(action._task.delegate_to or task_vars["inventory_hostname"])
        of_host = task_vars.get("ansible_delegated_vars", {}).get(host) or task_vars
        method = action._templar.template(of_host.get("ansible_become_method")) or action._task.become_method
        return _ansible.new_become_plugin(action._task, method, of_host, action._templar)
