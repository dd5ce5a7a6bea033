# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw away what nobody needs any more: records of jobs that have ended, and what they have left on their hosts; runs
of workflows, and what belongs to them.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    FILTERS,
    JOB_OPTIONS,
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    USER_OPTIONS,
    Spec,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED

ARGUMENT_SPEC: Spec = {
    "host": JOB_OPTIONS["host"],
    "hosts": {"type": "list", "elements": "str"},
    "except_hosts": {"type": "list", "elements": "str"},
    "delegated_hosts": {"type": "list", "elements": "str", "default": []},
    "playbook_name": JOB_OPTIONS["playbook_name"],
    "job_name_pattern": FILTERS["job_name_pattern"],
    "workflow": {"type": "str"},
    "status": {"type": "list", "elements": "str", "choices": list(ENDED)},
    "older_than": {"type": "str"},
    "keep": {"type": "int"},
    "keep_attempts": {"type": "int"},
    "store_only": {"type": "bool", "default": False},
    "apply": {"type": "bool", "default": False},
    "look_timeout": {"type": "int", "default": 60},
    **USER_OPTIONS,
    **PROGRESS_OPTIONS,
    **STORE_OPTIONS,
}
MUTUALLY_EXCLUSIVE = [("keep", "keep_attempts")]
REQUIRED_ONE_OF = [("older_than", "keep", "keep_attempts", "status", "job_name_pattern", "workflow")]
