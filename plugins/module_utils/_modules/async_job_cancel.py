# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(async_job_cancel) takes.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import JOB_OPTIONS, STORE_OPTIONS, USER_OPTIONS, Spec

ARGUMENT_SPEC: Spec = {
    "jid": {"type": "str"},
    **JOB_OPTIONS,
    "reason": {"type": "str"},
    "grace_period": {"type": "int", "default": 10},
    "look_timeout": {"type": "int", "default": 60},
    **USER_OPTIONS,
    **STORE_OPTIONS,
}

MUTUALLY_EXCLUSIVE = [("jid", "job_name")]

REQUIRED_ONE_OF = [("jid", "job_name")]
