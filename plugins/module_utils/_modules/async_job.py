# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(async_job) takes.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    JOB_OPTIONS,
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    USER_OPTIONS,
    Spec,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import RESTARTABLE

# Options that each job of several may have of its own.
_OF_ONE_JOB: Spec = {
    "restart_on": {
        "type": "list",
        "elements": "str",
        "choices": list(RESTARTABLE),
        "default": [],
    },
    "max_attempts": {"type": "int"},
    "backoff": {"type": "int", "default": 0},
    "max_backoff": {"type": "int", "default": 3600},
    "stop_leftovers": {"type": "bool", "default": False},
    "rerun_after": {"type": "int"},
    "on_cancel": {"type": "str", "choices": ["attach", "cancel"], "default": "attach"},
    "on_change": {"type": "str", "choices": ["fail", "attach", "restart"], "default": "fail"},
    "on_foreign": {"type": "str", "choices": ["adopt", "fail", "ignore"], "default": "adopt"},
    "fingerprint": {"type": "str"},
    "keep_output": {"type": "bool", "default": True},
    "metadata": {"type": "dict"},
    "store_result": {"type": "list", "elements": "str", "default": []},
    "success_codes": {"type": "list", "elements": "int", "default": [0]},
    "semaphore": {
        "type": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "at_most": {"type": "int", "required": True},
            "wait_timeout": {"type": "int"},
        },
    },
    "tail_size": {"type": "int", "default": 4096},
}

# One of several jobs. What it does not say, the task says for all.
_ELEMENT: Spec = {
    "job_name": {"type": "str", "required": True},
    "task": {"type": "dict", "required": True},
    "time_limit": {"type": "int"},
    **{name: {field: value for field, value in option.items() if field != "default"} for name, option in _OF_ONE_JOB.items()},
}

ARGUMENT_SPEC: Spec = {
    **JOB_OPTIONS,
    "task": {"type": "dict"},
    "jobs": {"type": "list", "elements": "dict", "options": _ELEMENT},
    "max_parallel": {"type": "int"},
    "set_stats": {"type": "list", "elements": "str", "choices": ["status", "result", "artifacts"], "default": []},
    **_OF_ONE_JOB,
    "claim_timeout": {"type": "float", "default": 60.0},
    "start_timeout": {"type": "int", "default": 120},
    "look_timeout": {"type": "int", "default": 60},
    "unreachable_timeout": {"type": "int", "default": 300},
    **USER_OPTIONS,
    **PROGRESS_OPTIONS,
    **STORE_OPTIONS,
}
# One job, or several.
MUTUALLY_EXCLUSIVE = [("job_name", "jobs"), ("task", "jobs")]
REQUIRED_ONE_OF = [("job_name", "jobs"), ("task", "jobs")]
