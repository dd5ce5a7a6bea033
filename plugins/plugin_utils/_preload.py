# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import the OCI SDK once, in the process that forks Ansible's workers.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import mmap
import os
import sys

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci_client import preload

# One byte that the process of ansible-playbook shares with the workers that it forks: whether one of them needed the OCI SDK.
oci_needed = mmap.mmap(-1, 1)


class Preloading:
    """Imports the OCI SDK in the process that forks the workers: if the environment chooses that backend, or a worker has needed it.

    Each task of each host has a worker process of its own, and each would spend half a second on that import. Ansible asks an
    action's class for BYPASS_HOST_LOOP in the main process, just before it forks: the one moment that we have there.
    """

    def __get__(self, action: object | None, owner: type) -> bool:
        needed = oci_needed[0] or os.environ.get("ASYNC_JOB_BACKEND") == "oci"
        if action is None and needed and "oci" not in sys.modules:
            preload()
        return False
