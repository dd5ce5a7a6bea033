# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata that comes from secrets: records are plain text, and nobody who vaults a value wants to find it there.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.parsing import vault

# ansible-core 2.19 and newer. Before, a template makes plain text of a vaulted value, and nobody can tell.
_HELPER = getattr(vault, "VaultHelper", None)


def check_metadata(metadata: t.Any, *, no_log: bool) -> list[str]:
    """Return warnings for the user if metadata holds a vaulted value, or comes from a task that says that what it is given is secret.

    :arg no_log: whether the task says that what it is given is secret
    """
    if metadata is None:
        return []
    place = vaulted(metadata, "metadata")
    if place:
        return [f"{place} is a vaulted value, and is stored as plain text in the record. Leave it out, or store the name of the variable."]
    return ["metadata is stored as plain text in the record, although the task says no_log."] if no_log else []


def vaulted(value: t.Any, name: str) -> str:
    """Return the name of the first vaulted value. Empty if there is none."""
    if isinstance(value, Mapping):
        found = (vaulted(item, f"{name}.{key}") for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        found = (vaulted(item, f"{name}[{index}]") for index, item in enumerate(value))
    else:
        return name if _HELPER is not None and _HELPER.get_ciphertext(value, with_tags=False) else ""
    return next(filter(None, found), "")
