# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(async_job_status) takes, and what it returns.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look_and_output import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import return_code
from ansible_collections.rstyczynski.ansible.plugins.module_utils._keywords import plain_result
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    JOB_OPTIONS,
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    USER_OPTIONS,
    Spec,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED, UNKNOWN

ARGUMENT_SPEC: Spec = {
    "jid": {"type": "str"},
    "mode": {"type": "str", "choices": ["status", "cleanup"], "default": "status"},
    **JOB_OPTIONS,
    "job_names": {"type": "list", "elements": "str"},
    "output": {"type": "str", "choices": ["full", "tail", "new"]},
    "tail_size": {"type": "int", "default": 4096},
    "stdout_file": {"type": "str"},
    "stderr_file": {"type": "str"},
    "store_output": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 0},
    "wait_interval": {"type": "int", "default": 30},
    "look_timeout": {"type": "int", "default": 60},
    "unreachable_timeout": {"type": "int", "default": 300},
    **USER_OPTIONS,
    **PROGRESS_OPTIONS,
    **STORE_OPTIONS,
}

MUTUALLY_EXCLUSIVE = [("jid", "job_name", "job_names")]

REQUIRED_ONE_OF = [("jid", "job_name", "job_names")]


def returned(job_id: str, look: Seen, *, secret: bool = False, with_facts: bool = False) -> dict[str, t.Any]:
    """Return what the module returns for one job: everything that C(async_status) does, and what it does not know.

    :arg secret: whether the job says no_log. From 2.19 on, Ansible prints the message of what has failed all the same
    :arg with_facts: whether the job runs a module that may know facts of its host. Whose results file it is, can write others into it
    """
    result = plain_result(look["result"] or {}, with_facts=with_facts)
    if "rc" in result:
        result["rc"] = return_code(result)
    if secret:
        result.pop("exception", None)
    status = look["status"]
    answer = {
        "changed": False,
        **result,
        "ansible_job_id": job_id,
        "started": True,
        "finished": status in ENDED,
        "failed": status == UNKNOWN or (status in ENDED and status != "succeeded"),
        "status": status,
        "reason": look["reason"],
        **{name: look[name] for name in ("elapsed", "processes", "progress", "results_file", "stdout_size", "stderr_size")},
    }
    for stream in ("stdout", "stderr"):
        answer[stream] = look[stream]
        answer[f"{stream}_lines"] = look[stream].splitlines()
    if answer["failed"] and (status != "failed" or "msg" not in result or secret):
        answer["msg"] = f"{status}: {look['reason']}" + (" (no_log hides what it says)" if secret else "")
    answer["warnings"] = [*_texts(result.get("warnings")), *look["warnings"]]
    if status == "orphaned":
        answer["warnings"].append(f"orphaned: {look['reason']}")
    return answer


def _texts(warnings: t.Any) -> list[str]:
    return [str(warning) for warning in warnings] if isinstance(warnings, list) else []
