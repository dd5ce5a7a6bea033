#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_show
short_description: Print a table of named jobs, or all that is known of one
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Prints what the records say. The managed host is not contacted.
  - Without O(job_name), a line for each job that fits the other options, with its status, its age, how long ago somebody last saw that
    it goes on, and the last line of its output. With it, all that is known of that job, with its past attempts and the end of its output.
  - The age is how long ago a job ended or, as long as it has not, how long ago its attempt was started. If the time limit of a job has
    passed since somebody last looked, its line says so.
  - Below the table, there are the requests that await approval, and the command that shows how to decide.
  - It prints by itself rather than return the records, because ten thousand of them in a variable would slow any play. For
    records in a variable, there is M(rstyczynski.ansible.async_job_info).
  - A record that cannot be read is named, and the task fails, after it has shown the others. A store that does not exist
    is an error.
  - The playbooks C(rstyczynski.ansible.jobs) and C(rstyczynski.ansible.show) do this from the command line.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which jobs: O(job_name), O(playbook_name), O(host), O(hosts), O(job_name_pattern), O(status), O(older_than), O(newer_than)."
  - "How to show them: O(sort), O(quiet), O(entries), O(progress)."
  - "What is known beside the records: O(look), O(verified_hosts)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
seealso:
  - module: rstyczynski.ansible.async_job_info
  - module: rstyczynski.ansible.async_job_verify
  - name: The fleet
    description: A guide on many jobs, and on the playbooks that look after them.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_fleet.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_progress
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
      - The name of one job. If several are called like that, the task lists them and fails.
    type: str
  playbook_name:
    description:
      - Only jobs of the playbook with this name. The default is any.
    type: str
  host:
    description:
      - Only jobs of this host. The default is any.
    type: str
  hosts:
    description:
      - Only jobs of these hosts. The default is any.
    type: list
    elements: str
  sort:
    description:
      - How to sort the table. V(name) is by host, playbook and job; V(age) the oldest first; V(duration) the longest first.
    type: str
    choices: [name, age, duration, status]
    default: name
  look:
    description:
      - What M(rstyczynski.ansible.async_job_status) has returned for the job. With it, that is shown rather than what the record says.
    type: dict
  verified_hosts:
    description:
      - The hosts that were just asked, with M(rstyczynski.ansible.async_job_verify). The table then says on which other hosts jobs
        may have ended meanwhile.
    type: list
    elements: str
  quiet:
    description:
      - Print nothing, for tasks that only want to know what is returned.
    type: bool
    default: false
  entries:
    description:
      - Return what the table tells, for programs. Ten thousand jobs in a variable take a while.
    type: bool
    default: false
    version_added: 1.0.0
"""

EXAMPLES = r"""
- name: What has failed in the last day?
  rstyczynski.ansible.async_job_show:
    status: [failed, killed, lost, timed_out]
    newer_than: 1d
  run_once: true

- name: What is known of the backup of this host?
  rstyczynski.ansible.async_job_show:
    job_name: backup
    host: "{{ inventory_hostname }}"

# On the command line, for the store in the current directory:
#   ansible-playbook rstyczynski.ansible.jobs
#   ansible-playbook rstyczynski.ansible.show -e job=backup
"""

RETURN = r"""
filters:
  description: Which jobs were asked for, in words.
  returned: always
  type: str
  sample: host web2, status failed or lost
jobs:
  description: How many jobs were found.
  returned: always
  type: int
  sample: 42
statuses:
  description: How many of them are in each state. A state that none is in is left out.
  returned: always
  type: dict
  sample: {running: 2, succeeded: 40}
approvals:
  description:
    - The requests that await approval, see M(rstyczynski.ansible.async_job_approval), the oldest first. Of the filters, O(playbook_name)
      alone is about them.
    - Each has C(playbook_name), C(approval_name), C(subject), C(asked_by), C(requested_at), C(expires), and C(approve) and C(reject), the
      commands that decide.
  returned: always, empty with O(job_name)
  type: list
  elements: dict
  sample: []
delegated:
  description: The hosts whose jobs run on another one, because their task was delegated there, by the name of that.
  returned: always
  type: dict
  sample: {bastion: [db01, db02]}
not_asked:
  description: The hosts on which jobs go on, as far as anybody knows, and that are not among O(verified_hosts).
  returned: always
  type: list
  elements: str
  sample: []
place:
  description: The host where the job runs.
  returned: if O(job_name) is given, and there is one job of that name
  type: str
  sample: db01
record:
  description: The record of the job.
  returned: if O(job_name) is given, and there is one job of that name
  type: dict
  sample: {ansible_job_id: j314159265358.2718, attempt: 1, host: db01, job_name: backup, status: running}
state_file:
  description: The place of its record.
  returned: if O(job_name) is given, and there is one job of that name
  type: str
  sample: /srv/playbooks/.ansible_async_state/db01/Nightly backup/backup.json
store:
  description: The place of the store.
  returned: always
  type: str
  sample: /srv/playbooks/.ansible_async_state
flawed:
  description:
    - The records that hold what no job can have, such as a job id that is none, each with the field. They are listed, and nobody acts
      upon them.
  returned: always
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
  description: The records that cannot be read, each with C(state_file) and C(msg).
  returned: always
  type: list
  elements: dict
  sample: []
entries:
  description:
    - The jobs, each with what the table tells of it. Lengths of time are in seconds, and null where nobody can tell.
    - With C(end_noticed), C(end) is when somebody first saw that the job had ended, and C(duration) the most that it can have taken.
  returned: with O(entries)
  type: list
  elements: dict
  sample:
    - age: 3600
      ansible_job_id: j314159265358.2718
      attempt: 1
      duration: 17
      hint: ""
      end: "2026-11-21T11:00:00Z"
      end_noticed: false
      host: db01
      job_name: backup
      last_line: 42 tables
      looked: null
      place: db01
      playbook_name: Nightly backup
      rc: 0
      reason: null
      start: "2026-11-21T10:59:43Z"
      state_file: /srv/playbooks/.ansible_async_state/db01/Nightly backup/backup.json
      status: succeeded
      who: ansible@controller
lines:
  description: What there is to print, if the module runs without its action plugin, which prints it.
  returned: without the action plugin
  type: list
  elements: str
  sample: ["Store: /srv/playbooks/.ansible_async_state", "0 jobs"]
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_show


def main() -> None:
    """Work without the action plugin: return what that would print."""
    module = AnsibleModule(
        argument_spec=async_job_show.ARGUMENT_SPEC, mutually_exclusive=async_job_show.MUTUALLY_EXCLUSIVE, supports_check_mode=True
    )
    try:
        result = async_job_show.run(module.params)
    except AsyncJobError as error:
        module.fail_json(msg=str(error))
    result["lines"] = [line.text for line in result["lines"]]
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
