#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_report
short_description: Write a report of all jobs, for people or for Prometheus
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Reads the records of a store and writes one file on the controller. The managed hosts are not contacted. What the report says is what
    was last recorded.
  - If records cannot be read, the report is written from all others, and names them; then the task fails.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "What to write: O(dest), O(format), O(ara_url)."
  - "Which jobs: O(host), O(playbook_name), O(job_name_pattern), O(status), O(older_than), O(newer_than)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
seealso:
  - module: rstyczynski.ansible.async_job_info
  - name: The fleet
    description: A guide on many jobs, and on the playbooks that look after them.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_fleet.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_filters
  - rstyczynski.ansible.async_job_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The report tells the time, so it is never the same.
options:
  ara_url:
    description:
      - The address of the web interface of ARA. Then the page links from each job to the playbooks there that have started its attempt and
        have seen it end, as far as its record names them.
    type: str
    version_added: 1.1.0
  dest:
    description:
      - The file to write, whole or not at all. A relative path is relative to the directory of the playbook; for the playbooks of this
        collection, run by name, to the current directory.
    type: path
    required: true
  format:
    description:
      - V(html) is a page that needs nothing else, and that only you can read, for it holds what jobs have printed. It has a table that
        can be sorted and filtered, a time line, and for each job its attempts, metadata, and output. What awaits approval is above it,
        with the commands that approve and reject it. If there are runs of workflows, they have a view of their own, with the runs of each
        workflow side by side and the graph of each run, unless jobs are chosen by O(host), O(job_name_pattern) or O(status).
      - V(prometheus) is for the textfile collector of C(node_exporter), and everybody can read it. Jobs by status, for how long the
        oldest one has been running, how many requests await approval and for how long, and for each job its status, the number of its
        attempt, how long that took and how long it may take. Unless jobs are chosen by anything but O(playbook_name), also the runs of
        each workflow by status; and for each run that has not ended, and the last one of each workflow that has, its status, how long
        it took, how many of its nodes have failed, and for how long nothing has been going on in it.
    type: str
    choices: [html, prometheus]
    default: html
  host:
    description:
      - Only jobs of this host.
    type: str
  playbook_name:
    description:
      - Only jobs of this playbook.
    type: str
"""

EXAMPLES = r"""
- name: Write a page about the jobs of the last week
  rstyczynski.ansible.async_job_report:
    dest: /tmp/jobs.html
    newer_than: 7d
  run_once: true

- name: Write metrics for Prometheus
  rstyczynski.ansible.async_job_report:
    dest: /var/lib/node_exporter/async_jobs.prom
    format: prometheus
  run_once: true

# On the command line, for the store in the current directory:
#   ansible-playbook rstyczynski.ansible.report -e dest=jobs.html
"""

RETURN = r"""
dest:
  description: The file that was written.
  returned: success, and when records cannot be read
  type: str
  sample: /tmp/jobs.html
store:
  description: The place of the store.
  returned: success, and when records cannot be read
  type: str
  sample: /srv/playbooks/.ansible_async_state
filters:
  description: Which jobs were asked for, in words.
  returned: success, and when records cannot be read
  type: str
  sample: host web2, status failed or lost
jobs:
  description: How many jobs the report is about.
  returned: success, and when records cannot be read
  type: int
  sample: 42
runs:
  description: How many runs of workflows the report is about.
  returned: success, and when records cannot be read
  type: int
  sample: 7
approvals:
  description:
    - The requests that await approval, see M(rstyczynski.ansible.async_job_approval), the oldest first. Of the filters, O(playbook_name)
      alone is about them.
    - Each has C(playbook_name), C(approval_name), C(subject), C(asked_by), C(requested_at), C(expires), and C(approve) and C(reject), the
      commands that decide.
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: []
unreadable:
  description: The records that cannot be read, each with C(state_file) and C(msg).
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_report


def main() -> None:
    """Work without the action plugin."""
    module = AnsibleModule(argument_spec=async_job_report.ARGUMENT_SPEC, supports_check_mode=True)
    module.params["dest"] = os.path.abspath(module.params["dest"])
    try:
        result = async_job_report.run(module.params, check_mode=module.check_mode)
    except AsyncJobError as error:
        module.fail_json(msg=str(error))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
