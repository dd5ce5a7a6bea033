# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job to look for on a host, as the action on the controller describes it.

What is known of Ansible's own background jobs stands here, and nowhere in Ansible's documentation. It is the same in
C(ansible/modules/async_wrapper.py) of ansible-core 2.16 to 2.22, and an integration test holds it against a real job on each release.

- The job id is C(j<digits>.<pid>). The number is the process number of a launcher that has ended by the time the task returns.
- The results file is C(<async_dir>/<job id>), written as C(<job id>.tmp) and renamed. (C(results_file.py))
- At the start it holds C(started), C(finished) and C(ansible_job_id) and no more; in the end, what the module has returned.
- If the module ends without a result, it holds C(data), C(stderr) and a C(msg) with "No start of json char found".
- If the time is over, its C(msg) is "Timeout exceeded", and C(child_pid) is there. The watcher looks every 5 seconds, at most.
- Two processes stay, a watcher and its child, the runner. Somewhere in their arguments stand a path that ends with
  C(async_wrapper.py), the job id without its last number, and the time limit, in this order. (C(belonging.py))
- Both are in a session whose leader has ended, numbered soon after the launcher. The runner leads a process group of its own; the
  watcher kills that group. The module is the runner's child.
- All of them, and what they start, have C(ANSIBLE_ASYNC_DIR) in their environment, as the task gave it: with its C(~).
- A module of ours is C(AnsiballZ_<name>.py) among the first arguments of its process. (C(look.py))

Where one of these does not hold, a job counts as C(lost), C(killed) or C(unknown) although it runs: nothing here fails loudly, so the
test has to.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory, is_job_id, is_user_name


class Job(t.NamedTuple):
    """A job to look for, as far as whoever asks knows it."""

    job_id: str
    label: str
    """What the job is called in messages."""
    directory: str
    """The directory of its results file. C(~) is the home of the user who looks."""
    boot_id: str = ""
    """The boot of the host in which it was started. Empty if nobody noted it."""
    runner: dict[str, t.Any] | None = None
    """Its runner as an earlier look saw it: C(pid), C(start) and C(session)."""
    stdout_file: str = ""
    """Where its command writes its output, if it does not leave that to Ansible."""
    stderr_file: str = ""
    stdout_offset: int = 0
    """How much of its output was shown before, in bytes."""
    stderr_offset: int = 0
    user: str = ""
    """The user that its task has become, whose home a C(~) in front of the directory is. Empty if nobody noted one."""
    guess: bool = False
    """Whether that C(~) may be the home of anybody: nobody noted whose. Then what is not there proves nothing."""
    exclusive: bool = False
    """Whether its directory is its own. Then what was told that directory, is its own too."""
    secret: bool = False
    """Whether its arguments must not be shown."""
    unseen: str = ""
    """Why whoever looks may not see all of the job, and what would help. Empty if they may, or nobody knows whose job it is."""
    keep: int = 0
    """How much of the end of its output its record is to keep, in bytes."""
    key: str = ""
    """The path of its record in the store, which the directory of an attempt has to name."""
    attempt: str = ""
    """The id of its attempt, which that directory has to name, too."""
    place: dict[str, t.Any] | None = None
    """Where it lives: a C(place.Place). None if nobody noted it."""
    adopted_from: str = ""
    """The place of the store that has started it, and may remove what it has left. Empty if that is our own."""


def flaw(job: Job) -> str:
    """Return why nobody can look for such a job. Empty if somebody can."""
    if not is_job_id(job.job_id):
        return f"{job.job_id!r} is not a job id, so such a job does not run"
    for name, usual in {**Job._field_defaults, "directory": ""}.items():
        value = getattr(job, name)
        if name not in ("runner", "place") and not isinstance(value, (int, float) if isinstance(usual, int) else type(usual)):
            return f"its {name} is a {type(value).__name__}"
    if job.exclusive and not is_attempt_directory(job.directory):
        return f"{job.directory!r} is not the directory of an attempt"
    if job.exclusive and job.attempt != os.path.basename(job.directory):
        return f"{job.directory!r} is the directory of another attempt"
    if not isinstance(job.place or {}, dict) or not all(isinstance(value, (str, int)) for value in (job.place or {}).values()):
        return "its place is none"
    if job.user and not is_user_name(job.user):
        return f"{job.user!r} is not the name of a user"
    if not job.directory.isprintable():
        return f"{job.directory!r} is not a directory"
    return ""


def less_number(job_id: str) -> str:
    """Return the job id without its last number, which is that of a launcher that has already ended."""
    return job_id.rpartition(".")[0] or job_id


def launcher_of(job_id: str) -> int | None:
    """Return the process number of the launcher of a job. None if its id has none."""
    number = job_id.rpartition(".")[2]
    return int(number) if number.isdigit() else None
