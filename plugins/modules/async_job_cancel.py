#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_cancel
short_description: Stop a background job and everything it has started
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Stops a job that was started with C(async) and C(poll=0), by its name or by its job id.
  - First its command, and whatever that has started, is asked to end with the signal C(TERM), so that it can clean up.
    What it starts for that is left alone, what it prints meanwhile is kept, and so is its return code. After half of
    O(grace_period), Ansible's own processes of the job are asked too. What is still there at the end of it is killed.
  - Only what is provably the job's is stopped. These are its wrapper processes, their descendants, and what is in the
    session that was made for it. A process is never taken for another that had its number before.
  - The task ends when nothing of the job is left. The results file then says that the job was cancelled, and the record who
    did that, when and why.
  - Cancelling a job that does not run changes nothing. A job id of which there is no trace is an error.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which job: O(job_name), O(jid), O(playbook_name), O(host)."
  - "How to stop it: O(grace_period), O(reason), O(look_timeout), O(become_recorded_user)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - Python 3.7 or newer on the managed host, as far as the ansible-core of the controller takes it
seealso:
  - module: rstyczynski.ansible.async_job_status
  - name: The fleet
    description: A guide on many jobs, and on the playbooks that look after them.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_fleet.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_users
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    support: full
    details: The record is found and written in the process of the controller, the job is stopped on the managed host.
  check_mode:
    support: full
    details: Tells which processes would be stopped.
  connection:
    support: full
  diff_mode:
    support: none
  platform:
    support: partial
    platforms: posix
    details: Jobs on Windows are not stopped.
options:
  jid:
    description:
      - The job id, as the background task returned it in C(ansible_job_id).
      - Give this or O(job_name).
    type: str
  job_name:
    description:
      - The name of the job. What was saved with it tells where it runs and as which user.
    type: str
  playbook_name:
    description:
      - The name of the playbook that the job belongs to. The default is the name of the play.
    type: str
  host:
    description:
      - The host that the job belongs to. The default is its name in the inventory.
    type: str
  reason:
    description:
      - Why the job is cancelled, in at most 4096 characters. It is stored in plain text.
    type: str
  grace_period:
    description:
      - How long the job may take to end by itself, in seconds.
    type: int
    default: 10
  look_timeout:
    description:
      - How long to wait for an answer of the host, in seconds, beside O(grace_period). After it the host counts as
        unreachable.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Stop the migration
  rstyczynski.ansible.async_job_cancel:
    job_name: migrate
    playbook_name: Migrate the database
    reason: it blocks the backup

- name: Give it five minutes to roll back
  rstyczynski.ansible.async_job_cancel:
    job_name: migrate
    grace_period: 300

- name: Stop a job of this run
  rstyczynski.ansible.async_job_cancel:
    jid: "{{ started.ansible_job_id }}"
"""

RETURN = r"""
ansible_job_id:
  description: The job id.
  returned: success
  type: str
  sample: j314159265358.2718
status:
  description:
    - What became of the job. V(cancelled), or what it was before if there was nothing to stop.
    - In check mode, what it is now.
  returned: success
  type: str
  sample: cancelled
reason:
  description: The status in a sentence, with what led to it.
  returned: success
  type: str
  sample: "job 'migrate' on db01 was cancelled by ops@controller: it blocks the backup"
finished:
  description: Whether nothing of the job runs any more.
  returned: success
  type: bool
  sample: true
stopped:
  description: The processes that were stopped; in check mode, those that would be.
  returned: success
  type: list
  elements: dict
  sample:
    - {pid: 2721, ppid: 2720, uid: 0, role: descendant, command: /opt/migrate.sh --all}
processes:
  description: The processes of the job that are left.
  returned: success
  type: list
  elements: dict
  sample: []
results_file:
  description: The results file of the job on the host.
  returned: success
  type: str
  sample: /home/deploy/.ansible_async/j314159265358.2718
job_name:
  description: The name of the job.
  returned: if O(job_name) is given
  type: str
  sample: migrate
record:
  description: The record as it is in the store now.
  returned: if O(job_name) is given
  type: dict
  sample: {ansible_job_id: j314159265358.2718, host: db01, job_name: migrate, status: cancelled}
state_file:
  description: The place of the record.
  returned: if O(job_name) is given
  type: str
  sample: /srv/playbooks/.ansible_async_state/db01/Migrate the database/migrate.json
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_cancel


def main() -> None:
    """Say that this is no module for a host. Its action plugin, which Ansible runs in its place, sends programs of the wing _host."""
    module = AnsibleModule(
        argument_spec=async_job_cancel.ARGUMENT_SPEC,
        mutually_exclusive=async_job_cancel.MUTUALLY_EXCLUSIVE,
        required_one_of=async_job_cancel.REQUIRED_ONE_OF,
        supports_check_mode=True,
    )
    module.fail_json(msg="async_job_cancel needs its action plugin: run it as a task of a playbook.")


if __name__ == "__main__":
    main()
