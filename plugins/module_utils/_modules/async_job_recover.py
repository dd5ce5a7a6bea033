# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(async_job_recover) takes.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    FILTERS,
    JOB_OPTIONS,
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    Spec,
)

ARGUMENT_SPEC: Spec = {
    "playbook_name": JOB_OPTIONS["playbook_name"],
    "job_name_pattern": FILTERS["job_name_pattern"],
    "delegated": {"type": "bool", "default": False},
    "apply": {"type": "bool", "default": False},
    "look_timeout": {"type": "int", "default": 60},
    **PROGRESS_OPTIONS,
    **STORE_OPTIONS,
}
