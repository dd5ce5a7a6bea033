# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(async_job_status) takes, and what it returns.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import return_code
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._keywords import plain_result
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    JOB_OPTIONS,
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    USER_OPTIONS,
    Spec,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import STREAMS
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
    "set_stats": {"type": "list", "elements": "str", "choices": ["status", "result"], "default": []},
    **USER_OPTIONS,
    **PROGRESS_OPTIONS,
    **STORE_OPTIONS,
}

MUTUALLY_EXCLUSIVE = [("jid", "job_name", "job_names")]

REQUIRED_ONE_OF = [("jid", "job_name", "job_names")]

# What a look says of a job and of its output.
_OF_JOB = ("elapsed", "processes", "progress", *(f"{stream}_{part}" for stream in STREAMS for part in ("size", "truncated")))
# What an answer says under a name that its module may have used, too.
_OURS = ("status", "reason", "results_file", *_OF_JOB, "attempt", "job_name", "record", "policy_status", "state_file", "module_result")
# What Ansible's own answer to a start does not have either.
_NOT_OF_A_START = (*STREAMS, *(f"{stream}_lines" for stream in STREAMS), "rc")


def returned(job_id: str, look: Seen, *, secret: bool = False, with_facts: bool = False) -> dict[str, t.Any]:
    """Return what the module returns for one job: everything that C(async_status) does, and what it does not know.

    :arg secret: whether the job says no_log. From 2.19 on, Ansible prints the message of what has failed all the same
    :arg with_facts: whether the job runs a module that may know facts of its host. Whose results file it is, can write others into it
    """
    result = plain_result(look["result"] or {}, with_facts=with_facts)
    status = look["status"]
    code = return_code(result)
    # Whoever asks for it gets an answer, whatever the module returns.
    result["rc"] = 0 if code is None and status == "succeeded" else code
    if secret:
        result.pop("exception", None)
    hidden = {name: result[name] for name in _OURS if name in result}
    answer = {
        "changed": False,
        **result,
        **({"module_result": hidden} if hidden else {}),
        "ansible_job_id": job_id,
        "started": True,
        "finished": status in ENDED,
        "failed": status == UNKNOWN or (status in ENDED and status != "succeeded"),
        "status": status,
        "reason": look["reason"],
        "results_file": look["results_file"],
        **{name: look[name] for name in _OF_JOB},  # type: ignore[literal-required]
    }
    for stream in STREAMS:
        text = look[stream]  # type: ignore[literal-required]
        answer.update({stream: text, f"{stream}_lines": text.splitlines()})
    if answer["failed"] and (status != "failed" or "msg" not in result or secret):
        answer["msg"] = f"{status}: {look['reason']}" + (" (no_log hides what it says)" if secret else "")
    if status == "lost":  # in the words of C(async_status), which playbooks look for
        answer["msg"] += f" (could not find job{' ' + job_id if job_id else ''})"
    if answer["failed"]:
        answer["msg"] = str(answer["msg"])
    answer["warnings"] = [*_texts(result.get("warnings")), *look["warnings"]]
    if status == "orphaned":
        answer["warnings"].append(f"orphaned: {look['reason']}")
    return answer


def of_a_loop(answer: dict[str, t.Any], *, is_start: bool = False) -> dict[str, t.Any]:
    """Return an answer as an item of a loop has it: Ansible passes on all items at once, again and again, so each is to be small.

    :arg is_start: whether the job was started just now, so that there is nothing to say of its end and its output
    """
    left_out = {"record", "policy_status", "state_file", "diff", *(_NOT_OF_A_START if is_start else ())}
    is_well = answer.get("finished") and not answer.get("failed")  # what has just ended may still be seen for a moment
    if is_well or answer.get("status") == "running":  # of others, they are what somebody may have to stop
        left_out.add("processes")
    left_out |= {name for name in (*_OF_JOB, "warnings") if not answer.get(name)}
    return {name: value for name, value in answer.items() if name not in left_out}


def cut_output(answers: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Return a warning if what jobs that have ended have said was cut, so that nobody takes the end of it for all."""
    cut = [
        f"{stream}{' of ' + answer['job_name'] if len(answers) > 1 else ''} ({answer[stream + '_size']} bytes)"
        for answer in answers
        for stream in STREAMS
        if answer["finished"] and answer[f"{stream}_truncated"]
    ]
    if not cut:
        return []
    more = f" and {len(cut) - 3} more" if len(cut) > 3 else ""
    return [
        f"Of the output, no more than the end is returned here: of {', '.join(cut[:3])}{more}. As long as it is on its host,"
        " async_job_status returns it, up to 32 MiB: give it the name of the job, and 'output: full'."
    ]


def _texts(warnings: t.Any) -> list[str]:
    return [str(warning) for warning in warnings] if isinstance(warnings, list) else []
