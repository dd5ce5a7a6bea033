#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_state
short_description: Save or forget the record of a named job
version_added: 0.1.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Saves what is needed to find a background job again, under the name of the job. A background job is a task with
    C(async) and C(poll=0); what it returns as C(ansible_job_id) is all that Ansible itself knows of it.
  - The record is a JSON document C(<host>/<playbook_name>/<job_name>.json) in a directory of the controller.
  - Saving what is already there changes nothing. Saving another C(ansible_job_id) begins a new attempt of the job; the
    record remembers the past ones.
  - The role P(rstyczynski.ansible.async_job_save#role) is a wrapper of this module.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which record, and what to do with it: O(job_name), O(playbook_name), O(host), O(state), O(force)."
  - "What to save in it: O(ansible_job_id), O(results_file), O(status), O(metadata), O(become_user), O(stdout_file), O(stderr_file)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
seealso:
  - module: rstyczynski.ansible.async_job_info
  - module: ansible.builtin.async_status
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    details: It reads and writes the record in the process of the controller.
  check_mode:
    support: full
  connection:
    support: partial
    details: Only with O(state=absent), to have the host forget a job.
  diff_mode:
    support: full
options:
  job_name:
    description:
      - The name of the job. Any text is a name; what cannot be part of a file name is percent-encoded there.
    type: str
    required: true
  playbook_name:
    description:
      - The name of the playbook that the job belongs to. Jobs of different playbooks never share a record.
      - The default is the name of the play.
    type: str
  host:
    description:
      - The host that the job runs on. The default is its name in the inventory.
    type: str
  state:
    description:
      - V(present) saves the record, V(absent) removes it. The job itself is not touched by either.
      - A job without a record counts as never started. V(absent) is refused for a job that is running or orphaned, as far as the record
        knows, for one that is being started, and for one of a workflow whose run has not ended, unless O(force=true).
      - With V(absent), the host forgets a job of M(rstyczynski.ansible.async_job), too, so that the next start does not find its last
        attempt there. That takes a task on the host where it ran, as its user or as root; otherwise a warning says that the host still
        knows it. So it does of a job that was adopted from another store.
    type: str
    choices: [present, absent]
    default: present
  force:
    description:
      - With O(state=absent), remove the record of a job that a controller is about to start, too, and of one that runs as far as the
        record knows. If it does run, nobody knows of it any more, and the next run of its playbook starts a second one.
      - So it is with one that is V(lost) because its action does its work itself, and nobody has seen that end. It may still be under way.
      - A record learns of the end of a job only from M(rstyczynski.ansible.async_job_status) and the other modules that look. Of one that
        was followed with M(ansible.builtin.async_status) alone it goes on saying V(running).
      - From 1.1.0 on, it frees the slots that the job has in semaphores, too, whether there is a record or not.
    type: bool
    default: false
    version_added: 1.0.0
  ansible_job_id:
    description:
      - The C(ansible_job_id) that the background task returned.
      - Needed where there is no record yet. Without it, the record keeps the one it has.
    type: str
  results_file:
    description:
      - The C(results_file) that the background task returned, a path on the managed host. With it, the record tells where
        to look for the job, whichever user or C(async_dir) it was started with.
      - Without it, a new record has the C(async_dir) that is in effect for the host, as it is written there (C(~) included).
    type: str
  metadata:
    description:
      - Anything that you want to find in the record again, as long as JSON can hold it. Dates become ISO 8601 strings.
      - It is stored and shown in plain text. Keep secrets out of it.
      - Without it, the record keeps what it has.
    type: dict
  status:
    description:
      - What is known of the job. The default is V(running) for a new C(ansible_job_id), and no change for the same one.
      - V(orphaned) is a job whose work goes on although its result will never come.
    type: str
    choices: [running, orphaned, succeeded, failed, killed, timed_out, lost, cancelled]
  become_user:
    description:
      - The user that the background task has become. C(become_recorded_user) of M(rstyczynski.ansible.async_job_status) lets that
        module look at the job as this user. A C(~) at the beginning of the results directory is the home of this user.
      - It is a name as C(useradd) takes it, or the one of a domain, V(user@domain) or V(DOMAIN\\user).
      - The default is the user that this task becomes, if it becomes one.
    type: str
    version_added: 1.0.0
  stdout_file:
    description:
      - The file on the host that the command of the job writes its output to, so that it can be seen while the job runs.
    type: str
    version_added: 1.0.0
  stderr_file:
    description:
      - The file on the host that the command of the job writes its error output to.
    type: str
    version_added: 1.0.0
"""

EXAMPLES = r"""
- name: Start a long job
  ansible.builtin.command: /bin/sleep 600
  async: 3600
  poll: 0
  register: backup

- name: Save it under a name
  rstyczynski.ansible.async_job_state:
    job_name: backup
    ansible_job_id: "{{ backup.ansible_job_id }}"
    results_file: "{{ backup.results_file }}"
    metadata:
      ticket: OPS-1234

- name: Note that it is done
  rstyczynski.ansible.async_job_state:
    job_name: backup
    status: succeeded

- name: Forget it, now that it has ended, so that the next run starts it anew
  rstyczynski.ansible.async_job_state:
    job_name: backup
    state: absent
"""

RETURN = r"""
record:
  description: The record as it is in the store now. In check mode, as it would be. Empty with O(state=absent).
  returned: success
  type: dict
  sample:
    ansible_job_id: j314159265358.2718
    async_dir: /home/deploy/.ansible_async
    attempt: 1
    host: db01
    job_name: backup
    metadata: {ticket: OPS-1234}
    playbook_name: Nightly backup
    results_file: /home/deploy/.ansible_async/j314159265358.2718
    save_time: "2026-01-31T22:00:04Z"
    schema_version: 1
    start: "2026-01-31T22:00:04Z"
    status: running
    who: ansible@controller
    write_id: 6f1d2a0c6d5b4c4f9b1f3c7a2a9d8e10
state_file:
  description: The place of the record, an absolute path on the controller.
  returned: success
  type: str
  sample: /srv/playbooks/.ansible_async_state/db01/Nightly backup/backup.json
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_state


def main() -> None:
    """Work without the action plugin, which otherwise fills in the host and the playbook."""
    module = AnsibleModule(argument_spec=async_job_state.ARGUMENT_SPEC, supports_check_mode=True)
    for option in ("host", "playbook_name"):
        if module.params[option] is None:
            module.fail_json(msg=f"{option} is needed where this module does not run through its action plugin.")
    try:
        module.exit_json(**async_job_state.run(module.params, check_mode=module.check_mode))
    except AsyncJobError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
