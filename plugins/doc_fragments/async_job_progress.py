# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What a task prints by itself: the option of C(PROGRESS_OPTIONS) in C(module_utils/_options.py)."""

    DOCUMENTATION = r"""
options:
  progress:
    description:
      - Whether to print how it is going while a task waits, and tables. Warnings, errors and what a task waits for are always said.
      - Lines of progress go to the standard error. They come with each look at first, and more and more rarely the longer the wait is,
        up to one in ten minutes; whenever the status of a job changes, there is one.
      - Tables go to the standard output if the callback there writes for people, as C(ansible.builtin.default) does, and to the standard
        error if it may be another one, such as C(ansible.posix.json), whose document they would spoil.
      - The variable C(async_job_progress) sets it for all tasks. It beats C(module_defaults), and the option of the task beats it.
      - Environment variable E(ASYNC_JOB_PROGRESS).
    type: bool
    default: true
    version_added: 1.0.0
"""
