# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How the modules that work on the record store behave."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: Whether an action plugin does the work.
    support: full
    details: All of it happens in the process of the controller, whatever C(delegate_to) and C(become) say.
  action_group:
    description: Use C(group/rstyczynski.ansible.async_job) in C(module_defaults) to set options for all of its members.
    support: full
    membership:
      - rstyczynski.ansible.async_job
  async:
    description: Whether the task can run in the background.
    support: none
  check_mode:
    description: Whether the task can run without changing anything, and predicts what it would change.
  connection:
    description: Whether the managed host is contacted.
    support: none
  diff_mode:
    description: Whether the task shows what it changes, or would change in check mode.
  platform:
    description: The managed hosts that this works for.
    platforms: all
    support: full
"""
