# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the directories of attempts, each once its job is noted on this host as one whose last attempt this is.

The programs that start jobs begin with that. On hosts where they cannot, this is a program of its own.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import noting
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import opened


def main(attempts: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Answer the controller: C(made), for each attempt what :func:`make_directory` returns."""
    return {"made": [make_directory(attempt) for attempt in attempts]}


def make_directory(attempt: dict[str, t.Any]) -> dict[str, t.Any]:
    """Make the directory of an attempt, if the host knows of no other one that nobody has told, and there is nothing by its name.

    :arg attempt: what :func:`noting.note` takes, and C(mark), what is to be written there
    :returns: C(found), the file of another attempt, a :class:`job_file.Found` as a dictionary, or None; C(problem), why the directory
        could not be made, or empty; C(warning), why nothing is noted, or empty; C(boot_id), what tells this boot of the host from all
        others, or empty where the system has no such thing
    """
    answer: dict[str, t.Any] = {"found": None, "problem": "", "warning": "", "boot_id": _boot_id()}
    parent, name = os.path.split(attempt["attempt_dir"])
    try:
        with opened(parent) as above:
            try:
                found = noting.note(above, attempt)
            except noting.NoLinks as error:
                found = None
                answer["warning"] = f"the file system of {parent} has no hard links ({error.strerror})"
            if found is not None:
                return {**answer, "found": found._asdict()}
            os.mkdir(name, 0o700, dir_fd=above)
            directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with open(os.open(MARK, flags, 0o600, dir_fd=directory), "wb") as file:
                    file.write(f"{attempt['mark']}\n".encode("ascii"))
            finally:
                os.close(directory)
    except OSError as error:
        answer["problem"] = str(error.strerror or error)
    return answer


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
