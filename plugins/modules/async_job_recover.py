#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_recover
short_description: Make the records of named jobs anew, from what their host knows
version_added: 1.1.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Each host notes the last attempt of each job that M(rstyczynski.ansible.async_job) starts there, beside the attempts. After the loss of
    a store, this reads these notes, looks what became of the attempts, and writes a record for each job that has none.
  - A record that is there stays as it is, whatever it says. Without O(apply=true) nothing is written, and it is only said what would be.
  - A record that was made anew has names, status, times and result of the last attempt, what tells it from another one, and from where it
    was started (C(origin)). It has no metadata, no past attempts and no approvals, and of the output what the host still has.
  - A host has notes of each user apart. The task finds those of the user that it works as, in the C(async_dir) that is in effect. Those of
    jobs that ran as root are found with C(become=true).
  - The playbook C(rstyczynski.ansible.recover) does this on all hosts of an inventory.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which jobs: O(playbook_name), O(job_name_pattern), O(delegated)."
  - "What to do: O(apply), O(look_timeout), O(progress)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - Python 3.7 or newer on the managed host, as far as the ansible-core of the controller takes it
seealso:
  - module: rstyczynski.ansible.async_job
  - module: rstyczynski.ansible.async_job_copy
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_progress
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    details: It reads and writes the records; the host tells what it has noted.
  check_mode:
    support: full
    details: The host is asked, and nothing is written.
  connection:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    details: On Windows, there are no such jobs.
options:
  playbook_name:
    description:
      - Only jobs of the playbook with this name. The default is any.
    type: str
  job_name_pattern:
    description:
      - Only jobs whose name fits this pattern, in which C(*), C(?) and C([...]) mean what they mean to a shell.
    type: str
  delegated:
    description:
      - Whether to believe a host what it says of jobs of other hosts, which were delegated to it with C(delegate_to). By default, these are
        left, and named.
      - Whoever may write to the directory of attempts of a user, as that user may, could invent such jobs. A record that says that
        one has succeeded keeps it from running on the host that it is of.
    type: bool
    default: false
  apply:
    description:
      - Whether to write the records. By default, it is only said which would be written.
    type: bool
    default: false
  look_timeout:
    description:
      - How long the host may take to answer, in seconds. Then it counts as unreachable.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Say which records are missing
  rstyczynski.ansible.async_job_recover:

- name: Write them
  rstyczynski.ansible.async_job_recover:
    apply: true

# On the command line, for all hosts of an inventory; without apply=true, it is a dry run:
#   ansible-playbook rstyczynski.ansible.recover -i inventory -e apply=true
"""

RETURN = r"""
applied:
  description: Whether records were written.
  returned: success
  type: bool
  sample: true
noted:
  description: How many jobs the host has noted that are its own, and that the filters let pass.
  returned: success
  type: int
  sample: 3
recovered:
  description: The jobs whose records were written, or would be, with their status and C(origin), from where they were started.
  returned: success
  type: list
  elements: dict
  sample: [{host: db01, playbook_name: Nightly backup, job_name: backup, status: running, attempt: 2}]
left:
  description: What was not recovered, each with C(msg), the reason.
  returned: success
  type: list
  elements: dict
  sample: []
store:
  description: The place of the store.
  returned: success
  type: str
  sample: /srv/playbooks/.ansible_async_state
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_recover


def main() -> None:
    """Say that this takes the action plugin, which has the records; the host is asked by a program."""
    module = AnsibleModule(argument_spec=async_job_recover.ARGUMENT_SPEC, supports_check_mode=True)
    module.fail_json(msg="async_job_recover writes records, which only its action plugin can do. Run it as a task of a playbook.")


if __name__ == "__main__":
    main()
