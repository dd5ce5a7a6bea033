# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a relative state directory is, and whether it goes away with this run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import paths_of

_COLLECTION_DIRECTORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def base_directory(task_vars: dict[str, t.Any]) -> str:
    """Return what a relative state directory is relative to.

    The directory of the playbook, so that a playbook finds its jobs wherever it is started from. The playbooks of this
    collection, which nobody wants to write into, use the current directory.
    """
    playbook_dir = os.path.realpath(task_vars.get("playbook_dir") or ".")
    if os.path.join(playbook_dir, "").startswith(os.path.join(_COLLECTION_DIRECTORY, "")):
        return os.getcwd()
    return playbook_dir


def state_dir_warnings(params: dict[str, t.Any]) -> list[str]:
    """Return what to warn of if the records go away with this run."""
    for path in paths_of(params):
        directory = os.path.join(os.path.realpath(path), "")
        doomed = next((run for run in _run_directories() if directory.startswith(os.path.join(os.path.realpath(run), ""))), None)
        if doomed is not None:
            return [
                f"The state directory {path} is below {doomed}, which AWX, Automation Platform or ansible-runner"
                " removes after this run. The records of the jobs go with it, and the next run STARTS EVERY JOB A SECOND TIME."
                " Set async_job_state_dir to a directory that stays (a volume mounted into the execution environment), or"
                " async_job_backend to oci."
            ]
    return []


def _run_directories() -> t.Iterator[str]:
    """Yield the directories that a job runner made for this run."""
    if "AWX_PRIVATE_DATA_DIR" in os.environ:
        yield os.environ["AWX_PRIVATE_DATA_DIR"]
    if "AWX_ISOLATED_DATA_DIR" in os.environ:  # <private data directory>/artifacts/<run>, set by ansible-runner
        yield os.path.dirname(os.path.dirname(os.environ["AWX_ISOLATED_DATA_DIR"]))
        yield "/runner"
