#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_verify
short_description: Ask a host what became of its named jobs
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Looks at all jobs of the host that are V(running) or V(orphaned) by their records, in one exchange, and notes what became
    of them in the records; of those that M(rstyczynski.ansible.async_job) has started, also the last line of their output.
  - It is for lists and reports of many jobs, which show what the records say. What a job that has failed means to the play is
    not judged here; for that, there is M(rstyczynski.ansible.async_job_status).
  - A host without such jobs is not contacted. One that cannot be reached is unreachable, and its records stay as they are.
  - The playbook C(rstyczynski.ansible.jobs) does this with C(verify=true).
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which jobs: O(host), O(delegated_hosts), O(playbook_name), O(job_name_pattern)."
  - "How to ask: O(look_timeout), O(become_recorded_user)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - Python 3.7 or newer on the managed host, as far as the ansible-core of the controller takes it
seealso:
  - module: rstyczynski.ansible.async_job_status
  - module: rstyczynski.ansible.async_job_show
  - name: The fleet
    description: A guide on many jobs, and on the playbooks that look after them.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_fleet.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_users
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    details: It finds and writes the records. The host is asked by M(rstyczynski.ansible.async_job_status).
  check_mode:
    support: full
    details: The host is asked, and nothing is written.
  connection:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    details: On Windows, what is said is what Ansible says.
options:
  host:
    description:
      - The host that the jobs belong to. The default is the host's name in the inventory.
    type: str
  delegated_hosts:
    description:
      - Other hosts, whose jobs may run on this one because their task was delegated to it.
    type: list
    elements: str
    default: []
  playbook_name:
    description:
      - Only jobs of the playbook with this name. The default is any.
    type: str
  job_name_pattern:
    description:
      - Only jobs whose name fits this pattern, in which C(*), C(?) and C([...]) mean what they mean to a shell.
    type: str
  look_timeout:
    description:
      - How long the host may take to answer, in seconds. Then it counts as unreachable.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Note in the records what became of the jobs of all hosts
  rstyczynski.ansible.async_job_verify:
  ignore_unreachable: true

# On the command line:
#   ansible all -i inventory -m rstyczynski.ansible.async_job_verify
"""

RETURN = r"""
asked:
  description: How many jobs the host was asked about.
  returned: success, and when records cannot be read
  type: int
  sample: 3
unclear:
  description: How many jobs nobody could tell about, or that run on the C(localhost) of another controller.
  returned: success, and when records cannot be read
  type: int
  sample: 0
ended:
  description: Those that turned out to have ended.
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: [{host: db01, playbook_name: Nightly backup, job_name: backup, status: lost}]
store:
  description: The place of the store.
  returned: success, and when records cannot be read
  type: str
  sample: /srv/playbooks/.ansible_async_state
unreadable:
  description: The records that cannot be read, each with C(state_file) and C(msg).
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_verify


def main() -> None:
    """Say that this takes the action plugin, which has the records; the host is asked by another module."""
    module = AnsibleModule(argument_spec=async_job_verify.ARGUMENT_SPEC, supports_check_mode=True)
    module.fail_json(msg="async_job_verify reads records, which only its action plugin can do. Run it as a task of a playbook.")


if __name__ == "__main__":
    main()
