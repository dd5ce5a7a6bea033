# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(async_workflow) takes.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    USER_OPTIONS,
    Spec,
)

MODES = ("run", "resume", "accept", "cancel", "show", "list", "tick")

ARGUMENT_SPEC: Spec = {
    "mode": {"type": "str", "choices": list(MODES), "default": "run"},
    "file": {"type": "path"},
    "workflow": {"type": "str"},
    "run": {"type": "str"},
    "params": {"type": "dict"},
    "nodes": {"type": "list", "elements": "str"},
    "reason": {"type": "str"},
    "stored_definition": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 0},
    "tick_timeout": {"type": "int", "default": 50},
    "wait_interval": {"type": "int", "default": 5},
    "grace_period": {"type": "int", "default": 10},
    "claim_timeout": {"type": "float", "default": 60.0},
    "start_timeout": {"type": "int", "default": 120},
    "look_timeout": {"type": "int", "default": 60},
    "unreachable_timeout": {"type": "int", "default": 300},
    "executor_timeout": {"type": "int", "default": 600},
    **USER_OPTIONS,
    **PROGRESS_OPTIONS,
    **STORE_OPTIONS,
}
REQUIRED_IF = [
    ("mode", "run", ("file",)),
    ("mode", "resume", ("file", "run")),
    ("mode", "accept", ("file", "run", "nodes", "reason")),
    ("mode", "tick", ("file",)),
    ("mode", "cancel", ("workflow", "run")),
    ("mode", "show", ("workflow", "run")),
]
