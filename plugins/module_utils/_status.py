# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module C(async_job_status) takes, asks the host, and returns.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _look, _output
from ansible_collections.rstyczynski.ansible.plugins.module_utils._look import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import JOB_OPTIONS, STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._output import Output

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
    **STORE_OPTIONS,
}
# On the host, the module takes from the action what playbooks cannot give: C(jobs), each a :class:`_look.Job`.
MODULE_SPEC: Spec = {**ARGUMENT_SPEC, "_action": {"type": "dict"}}
MUTUALLY_EXCLUSIVE = [("jid", "job_name", "job_names")]
REQUIRED_ONE_OF = [("jid", "job_name", "job_names")]

# Nothing of the job runs any more.
_ENDED = ("succeeded", "failed", "killed", "timed_out", "lost", "cancelled")
# What a result may hold that is said elsewhere, or that only concerns the task that has started the job.
_NOT_RETURNED = ("started", "finished", "stdout", "stderr", "stdout_lines", "stderr_lines", "invocation", "strip_empty_ends")


def look(jobs: t.Sequence[Job], *, output: str, tail_size: int) -> list[dict[str, t.Any]]:
    """Look at jobs on this host, and at their output.

    :arg output: C(full), C(tail) or C(new)
    :returns: for each job, the fields of :class:`_look.Look`, and what there is of its output
    """
    looks = []
    for job, seen in zip(jobs, _look.look(jobs)):
        stdout, stderr = _outputs(job, seen.result, output, tail_size)
        result = {name: value for name, value in (seen.result or {}).items() if name not in _NOT_RETURNED}
        looks.append(
            _look.readable(
                {
                    **seen._asdict(),
                    "result": None if seen.result is None else result,
                    "stdout": stdout.text,
                    "stderr": stderr.text,
                    "stdout_size": stdout.size,
                    "stderr_size": stderr.size,
                    "stdout_offset": stdout.offset,
                    "stderr_offset": stderr.offset,
                    "progress": _output.progress(job),
                    "kept": kept(job, seen.result),
                    "warnings": [output.problem for output in (stdout, stderr) if output.problem],
                }
            )
        )
    return looks


def kept(job: Job, result: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
    """What the record of a job is to keep of its output. None if that is nothing, or the output is gone."""
    if not job.keep or (job.stdout_file and not os.path.exists(job.stdout_file)):
        return None
    stdout, stderr = _outputs(job, result, "tail", job.keep)
    progress = _output.progress(job)
    return {"stdout": stdout.text, "stderr": stderr.text, **({"progress": progress} if progress else {})}


def _outputs(job: Job, result: dict[str, t.Any] | None, which: str, tail_size: int) -> list[Output]:
    streams = [stream(job, result, which, tail_size) for stream in (_output.stdout, _output.stderr)]
    if job.exclusive and job.stdout_file and result is not None and result.get("strip_empty_ends", True):
        # As Ansible's own modules do with the output of a command that has ended
        streams = [stream._replace(text=stream.text.rstrip("\r\n")) for stream in streams]
    return streams


def returned(job_id: str, look: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the module returns for one job: everything that C(async_status) does, and what it does not know."""
    result = look["result"] or {}
    status = look["status"]
    answer = {
        "changed": False,
        **{name: value for name, value in result.items() if not name.startswith("_ansible")},
        "ansible_job_id": job_id,
        "started": True,
        "finished": status in _ENDED,
        "failed": status == "unknown" or (status in _ENDED and status != "succeeded"),
        "status": status,
        "reason": look["reason"],
        **{name: look[name] for name in ("elapsed", "processes", "progress", "results_file", "stdout_size", "stderr_size")},
    }
    for stream in ("stdout", "stderr"):
        answer[stream] = look[stream]
        answer[f"{stream}_lines"] = look[stream].splitlines()
    if answer["failed"] and (status != "failed" or "msg" not in result):
        answer["msg"] = f"{status}: {look['reason']}"
    answer["warnings"] = [*_texts(result.get("warnings")), *look["warnings"]]
    if status == "orphaned":
        answer["warnings"].append(f"orphaned: {look['reason']}")
    return answer


def _texts(warnings: t.Any) -> list[t.Any]:
    return warnings if isinstance(warnings, list) else []
