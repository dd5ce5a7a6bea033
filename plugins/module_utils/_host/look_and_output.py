# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at jobs on their host, with their output: what travels back to the controller.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.look import look_at_jobs, readable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.output import Output, progress_of, stderr_of, stdout_of

# What a result may hold that is said elsewhere, or that only concerns the task that has started the job.
_NOT_RETURNED = ("started", "finished", "stdout", "stderr", "stdout_lines", "stderr_lines", "invocation", "strip_empty_ends")

if t.TYPE_CHECKING:

    class Seen(t.TypedDict):
        """The answer of a host to a look at one job: the fields of :class:`Look`, and what there is of its output."""

        status: str
        reason: str
        results_file: str
        result: dict[str, t.Any] | None
        processes: list[dict[str, t.Any]]
        elapsed: float | None
        end: str
        boot_id: str
        runner: dict[str, t.Any] | None
        stdout: str
        stderr: str
        stdout_size: int
        stderr_size: int
        stdout_offset: int
        stderr_offset: int
        progress: dict[str, t.Any] | None
        kept: dict[str, t.Any] | None
        warnings: list[str]

else:
    Seen = dict  # Python 3.7 has no TypedDict


def look_with_output(jobs: t.Sequence[Job], *, output: str, tail_size: int) -> list[Seen]:
    """Look at jobs on this host, and at their output.

    :arg output: C(full), C(tail) or C(new)
    """
    looks: list[Seen] = []
    for job, seen in zip(jobs, look_at_jobs(jobs)):
        stdout, stderr = _outputs(job, seen.result, output, tail_size)
        result = {name: value for name, value in (seen.result or {}).items() if name not in _NOT_RETURNED}
        looks.append(
            readable(
                {
                    **seen._asdict(),
                    "result": None if seen.result is None else result,
                    "stdout": stdout.text,
                    "stderr": stderr.text,
                    "stdout_size": stdout.size,
                    "stderr_size": stderr.size,
                    "stdout_offset": stdout.offset,
                    "stderr_offset": stderr.offset,
                    "progress": progress_of(job),
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
    progress = progress_of(job)
    return {"stdout": stdout.text, "stderr": stderr.text, **({"progress": progress} if progress else {})}


def _outputs(job: Job, result: dict[str, t.Any] | None, which: str, tail_size: int) -> list[Output]:
    streams = [stream(job, result, which, tail_size) for stream in (stdout_of, stderr_of)]
    if job.exclusive and job.stdout_file and result is not None and result.get("strip_empty_ends", True):
        # As Ansible's own modules do with the output of a command that has ended
        streams = [stream._replace(text=stream.text.rstrip("\r\n")) for stream in streams]
    return streams
