# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Which jobs of a list: C(FILTERS) of C(module_utils/_options.py)."""

    DOCUMENTATION = r"""
options:
  job_name_pattern:
    description:
      - Only jobs whose name fits this pattern, in which C(*), C(?) and C([...]) mean what they mean to a shell.
    type: str
  status:
    description:
      - Only jobs in one of these states. A record that has none counts as V(running).
    type: list
    elements: str
    choices: [starting, prepared, running, orphaned, succeeded, failed, killed, timed_out, lost, cancelled]
  older_than:
    description:
      - Only jobs that ended longer ago than this, or, if they have not ended, were started longer ago. It is a number with a unit, V(s),
        V(m), V(h), V(d) or V(w).
    type: str
  newer_than:
    description:
      - Only jobs that ended less long ago than this, or, if they have not ended, were started less long ago. It is a number with a unit,
        V(s), V(m), V(h), V(d) or V(w).
    type: str
"""
