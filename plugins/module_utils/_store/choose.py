# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which store the options of a task choose.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Notify, Store


def open_store(params: dict[str, t.Any], notify: Notify) -> Store:
    """The store that the options of a task choose. Nothing is contacted or made yet.

    :arg params: validated values of the options in C(_options.STORE_OPTIONS)
    """
    if params["backend"] == "oci":
        from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci import OciStore

        return OciStore(params, notify)
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

    return FilesystemStore(params["state_dir"])
