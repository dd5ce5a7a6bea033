# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What a task leaves for the runs that follow: the option of C(STATS_OPTIONS) in C(module_utils/_options.py)."""

    DOCUMENTATION = r"""
options:
  set_stats:
    description:
      - What to leave for the runs that follow this one, as M(ansible.builtin.set_stats) does with C(per_host=false). AWX shows it as the
        artifacts of the run, and gives it as extra variables to the next nodes of a workflow.
      - With V(status), the variable C(async_jobs) says of each job, by its host and its name, its C(status), C(reason), C(attempt),
        C(finished), C(failed) and C(changed), as C(async_jobs.db01.migrate.status).
      - With V(result), it has there also, as C(result), what the record keeps of the result, without the output. Of a job with
        C(no_log=true), that is nothing.
      - With V(artifacts), each field that C(store_result) of M(rstyczynski.ansible.async_job) has kept of a job that has ended becomes a
        variable by its own name, unless that begins with C(ansible_), C(async_job), C(awx_), C(tower_) or an underscore. Of several jobs or
        hosts with the same field, a later one replaces an earlier one, and mappings are merged.
      - Ansible takes this from tasks that have not failed. For a job that may fail, say C(failed_when=false), and fail in a task that
        follows.
    type: list
    elements: str
    choices: [status, result, artifacts]
    default: []
    version_added: 1.1.0
"""
