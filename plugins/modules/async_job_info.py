#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_info
short_description: Find the records of named jobs
version_added: 0.1.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Reads the record of one job, by its name, or lists the records that fit a filter.
  - The managed host is not contacted. What the record says is what was last saved.
  - A record that cannot be read is an error, never "not found".
  - A list also has the requests that await approval.
  - The role P(rstyczynski.ansible.async_job_load#role) is a wrapper of this module.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which records: O(job_name), O(playbook_name), O(host); of a list, also O(job_name_pattern), O(status), O(older_than), O(newer_than)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
seealso:
  - module: rstyczynski.ansible.async_job_state
  - module: ansible.builtin.async_status
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_filters
  - rstyczynski.ansible.async_job_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
options:
  job_name:
    description:
      - The name of one job. Without it, all records that fit the other options are listed.
    type: str
  playbook_name:
    description:
      - The name of the playbook that the job belongs to.
      - The default is the name of the play for one job, and any playbook for a list.
    type: str
  host:
    description:
      - The host that the job runs on.
      - The default is the host's name in the inventory for one job, and any host for a list.
    type: str
"""

EXAMPLES = r"""
- name: Look for one job
  rstyczynski.ansible.async_job_info:
    job_name: backup
  register: backup

- name: Ask how it is
  ansible.builtin.async_status:
    jid: "{{ backup.record.ansible_job_id }}"
  vars:
    ansible_async_dir: "{{ backup.async_dir }}"
  when: backup.found

- name: List the backups of all hosts that were started in the last day and are not known to have ended
  rstyczynski.ansible.async_job_info:
    job_name_pattern: backup*
    status: [starting, prepared, running, orphaned]
    newer_than: 1d
  run_once: true
  register: backups
"""

RETURN = r"""
async_dir:
  description:
    - The directory of the results file on the managed host, for the variable C(ansible_async_dir) of a task that looks at the
      job. Where the record does not tell, as older ones don't, it is the one that is in effect for the host.
    - Empty if there is no such record.
  returned: with O(job_name)
  type: str
  sample: /home/deploy/.ansible_async
finished:
  description: Whether the job has ended, as its record says. V(false) if there is no such record.
  returned: with O(job_name)
  type: bool
  sample: false
found:
  description: Whether there is such a record; in a list, whether there is any.
  returned: success
  type: bool
  sample: true
status:
  description: What became of the job, as far as its record knows. Empty if there is no such record.
  returned: with O(job_name)
  type: str
  sample: running
  version_added: 1.1.0
policy_status:
  description:
    - What C(restart_on) of M(rstyczynski.ansible.async_job) acts on. It is RV(status), or V(cancelled) if somebody has cancelled the job,
      however it has ended.
  returned: with O(job_name)
  type: str
  sample: running
  version_added: 1.1.0
reason:
  description: Why it is that, as the record has it.
  returned: with O(job_name)
  type: str
  sample: ""
  version_added: 1.1.0
record:
  description: The record of the one job that O(job_name) names, or an empty dictionary.
  returned: success
  type: dict
  sample:
    ansible_job_id: j314159265358.2718
    async_dir: /home/deploy/.ansible_async
    attempt: 1
    host: db01
    job_name: backup
    metadata: {}
    playbook_name: Nightly backup
    save_time: "2026-01-31T22:00:04Z"
    schema_version: 1
    start: "2026-01-31T22:00:04Z"
    status: running
    who: ansible@controller
    write_id: 6f1d2a0c6d5b4c4f9b1f3c7a2a9d8e10
records:
  description: All records that fit.
  returned: always
  type: list
  elements: dict
approvals:
  description:
    - The requests that await approval, see M(rstyczynski.ansible.async_job_approval), the oldest first. Of the filters, O(playbook_name)
      alone is about them.
    - Each has C(playbook_name), C(approval_name), C(subject), C(asked_by), C(requested_at), C(expires), and C(approve) and C(reject), the
      commands that decide.
  returned: without O(job_name)
  type: list
  elements: dict
  sample: []
state_file:
  description: The place of the record, whether it exists or not.
  returned: with O(job_name)
  type: str
  sample: /srv/playbooks/.ansible_async_state/db01/Nightly backup/backup.json
store:
  description: The place of the store, an absolute path on the controller.
  returned: always
  type: str
  sample: /srv/playbooks/.ansible_async_state
flawed:
  description:
    - The records that hold what no job can have, such as a job id that is none, each with the field. They are listed, and nobody acts
      upon them.
  returned: without O(job_name)
  type: list
  elements: dict
  contains:
    state_file:
      description: The place of the record.
      type: str
    msg:
      description: What is wrong with it, and what to do.
      type: str
unreadable:
  description:
    - The records that could not be read, each with the reason. If there are any, the task fails, and RV(records) holds the
      others.
  returned: without O(job_name)
  type: list
  elements: dict
  contains:
    state_file:
      description: The place of the record.
      type: str
    msg:
      description: Why it cannot be read, and what to do.
      type: str
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_info


def main() -> None:
    """Work without the action plugin, which otherwise fills in the host and the playbook."""
    module = AnsibleModule(
        argument_spec=async_job_info.ARGUMENT_SPEC, mutually_exclusive=async_job_info.MUTUALLY_EXCLUSIVE, supports_check_mode=True
    )
    for option in ("host", "playbook_name"):
        if module.params["job_name"] is not None and module.params[option] is None:
            module.fail_json(msg=f"{option} is needed where this module does not run through its action plugin.")
    try:
        result = async_job_info.run(module.params)
    except AsyncJobError as error:
        module.fail_json(msg=str(error))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
