# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """As whom jobs of others are looked at: C(USER_OPTIONS) of C(module_utils/_options.py)."""

    DOCUMENTATION = r"""
options:
  become_recorded_user:
    description:
      - Only root and the user of a job see all of it. This option lets the task become the user that the record of a job names, by its
        C(become_method), in order to look at that job, to stop it, or to clear up after it. It never starts a job as that user.
      - Whoever can write to the store chooses that name, V(root) included. So it counts only if the task says so here.
      - What the task itself says of C(become) holds without this option. With C(become=true) it looks as root, who sees everything.
      - Without it, a task that may not see all of a job says that it cannot tell, and what would help.
    type: bool
    default: false
    version_added: 1.0.0
"""
