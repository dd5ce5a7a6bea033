# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose a store by the options of a task. What there is to know of each kind stands in the table C(_backends.BACKENDS).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import importlib
import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._backends import BACKENDS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ChosenStore, Notify, Store

if t.TYPE_CHECKING:
    # Modules also run without their action plugins. Ansible packs with them what it sees imported, and sees it here.
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import filesystem, oci  # noqa: F401
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.signed import SignedStore


def open_store(params: dict[str, t.Any], notify: Notify) -> Store:
    """Return the store that the options of a task choose. Nothing is contacted or made yet.

    :arg params: validated values of the options in C(_options.STORE_OPTIONS)
    :raises AsyncJobError: if the settings are wrong, or the keys cannot be used
    """
    return open_signed_store(params, notify) if params["record_key_file"] else _open(params, notify)


def open_signed_store(params: dict[str, t.Any], notify: Notify) -> SignedStore:
    """Return the same, where there are keys."""
    # Compiled when it is needed, as the stores are.
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.signatures import Keys
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.signed import SignedStore

    keys = Keys(params["record_key_file"])
    return SignedStore(_open(params, notify), keys)


def _open(params: dict[str, t.Any], notify: Notify) -> Store:
    backend = BACKENDS[params["backend"]]
    # By its name, which is all that the table holds: whoever knows the options only, on a host, must not take the stores along.
    module = importlib.import_module(f"{__package__}.{backend.module}")
    implementation: type[ChosenStore] = getattr(module, backend.class_name)
    return implementation.open(params, notify)


def make_absolute(params: dict[str, t.Any], directory: str) -> None:
    """Make the paths of the chosen store, and that of its keys, absolute, in place.

    :arg params: validated values of the options in C(_options.STORE_OPTIONS)
    :arg directory: what a relative one is relative to
    :raises AsyncJobError: if one is empty, which would be that directory itself
    """
    keys = ["record_key_file"] if params["record_key_file"] is not None else []
    for option in (*BACKENDS[params["backend"]].paths, *keys):
        if not params[option]:
            raise AsyncJobError(f"{option} is empty. Give a directory, or leave the option out. Nothing was read or written.")
        if option in keys and _is_key(params[option]):
            raise AsyncJobError(
                f"{option} seems to hold a key, where the path of a file with keys belongs. Nothing was read or written. Write the key to a"
                " file that only you can read, and give its path."
            )
        params[option] = os.path.normpath(os.path.join(directory, params[option]))


def _is_key(text: str) -> bool:
    """Tell whether somebody has given what is in a file of keys. It must not be shown, as the path of a file that is not there would be."""
    begins_well = text.startswith("/") and os.path.isdir("/" + text.split("/")[1])
    return "\n" in text or (not begins_well and not os.path.exists(text) and re.fullmatch("[A-Za-z0-9+/]{32,}={0,2}", text) is not None)


def paths_of(params: dict[str, t.Any]) -> list[str]:
    """Return the paths on this machine where the chosen store keeps its records."""
    return [params[option] for option in BACKENDS[params["backend"]].paths]


def settings_of(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the variables that make another playbook, on this machine or on one like it, use the same store."""
    backend = BACKENDS[params["backend"]]
    manner = [option for option in backend.manner if params[option] != backend.options[option]["default"]]
    return {f"async_job_{option}": params[option] for option in ("backend", *backend.place, *manner, "record_key_file") if params[option]}


def backends_meant_by(given: dict[str, t.Any]) -> dict[str, str]:
    """Return the stores whose place the options give, each with the option that says so.

    :arg given: what a user says, by the names of options or by their aliases
    """
    meant = {}
    for name, backend in BACKENDS.items():
        option = backend.place[0]
        if any(given.get(alias) for alias in (option, *backend.options[option].get("aliases", ()))):
            meant[name] = option
    return meant
