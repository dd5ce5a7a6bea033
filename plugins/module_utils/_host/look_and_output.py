# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at jobs on their host, with their output: what travels back to the controller.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job, flaw
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import Look, look_at_jobs, on_the_wire, readable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.output import Reader
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import OF_A_SECRET_JOB, as_marked, with_job_id
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen

# What a result may hold that is said elsewhere, or that only concerns the task that has started the job.
_NOT_RETURNED = ("started", "finished", "stdout", "stderr", "stdout_lines", "stderr_lines", "invocation", "strip_empty_ends")


def main(jobs: list[dict[str, t.Any]], output: str, tail_size: int) -> dict[str, t.Any]:
    """Answer the controller: C(looks), a :class:`Seen` for each job.

    :arg jobs: the fields of each :class:`Job`
    :arg output: C(full), C(tail) or C(new)
    :arg tail_size: in bytes
    """
    return {"looks": look_with_output([with_job_id(Job(**job)) for job in jobs], output=output, tail_size=tail_size)}


def look_with_output(jobs: t.Sequence[Job], *, output: str, tail_size: int) -> list[Seen]:
    """Look at jobs on this host, and at their output.

    :arg output: C(full), C(tail) or C(new)
    """
    looks: list[Seen] = []
    marked = [as_marked(job) for job in jobs]
    for job, true_job, look in zip(jobs, marked, look_at_jobs(marked)):
        # Ansible logs an answer before the controller can know that a job is secret whose record does not say so.
        bare = true_job.secret and not job.secret
        answer = {**on_the_wire(look), **({**_NONE, **_offsets(job)} if bare else _output(job, look, output, tail_size))}
        if look.result is not None:
            answer["result"] = {
                name: value for name, value in look.result.items() if (name in OF_A_SECRET_JOB if bare else name not in _NOT_RETURNED)
            }
        looks.append(readable({**answer, "secret": true_job.secret}))
    return looks


def _output(job: Job, look: Look, which: str, tail_size: int) -> dict[str, t.Any]:
    if flaw(job):
        return {**_NONE, "stdout_offset": 0, "stderr_offset": 0}
    reader = Reader(job, look.result, look.user, has_ended=look.place is None and look.status != "unknown")
    try:
        stdout, stderr = reader.both(which, tail_size)
        return {
            "stdout": stdout.text,
            "stderr": stderr.text,
            "stdout_size": stdout.size,
            "stderr_size": stderr.size,
            "stdout_offset": stdout.offset,
            "stderr_offset": stderr.offset,
            "stdout_truncated": stdout.cut,
            "stderr_truncated": stderr.cut,
            "progress": reader.progress(),
            "kept": reader.kept(),
            "warnings": [stream.problem for stream in (stdout, stderr) if stream.problem],
        }
    except (ArithmeticError, MemoryError, TypeError, ValueError) as error:
        problem = f"The output of {job.label} cannot be read ({type(error).__name__})."
        return {**_NONE, **_offsets(job), "warnings": [problem]}


def _offsets(job: Job) -> dict[str, t.Any]:
    return {"stdout_offset": job.stdout_offset, "stderr_offset": job.stderr_offset}


_NONE: dict[str, t.Any] = {
    "stdout": "",
    "stderr": "",
    "stdout_size": 0,
    "stderr_size": 0,
    "stdout_truncated": False,
    "stderr_truncated": False,
    "progress": None,
    "kept": None,
    "warnings": [],
}
