#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_prune
short_description: Remove the records of old jobs, and what these have left on their hosts
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Removes the records of jobs that have ended and that fit all of the options given, with their directories and results files
    on the host. It prints what it removes.
  - Without O(apply=true), it only says what it would remove.
  - A job whose record is gone counts as never started. A playbook that starts it does so the next time it runs. With the record, its host
    forgets it, too.
  - What an attempt that was adopted from another store has left on the host stays there, since that store may need it. RV(left) says so.
  - What is V(starting), V(prepared), V(running) or V(orphaned) is never touched. The host is asked before anything is removed
    there. If it says that a job that has ended by its record goes on, the job is kept. A record that somebody changes at the same
    moment is kept, too.
  - A job that is V(lost), but whose action does its work itself, and may still be at it, is kept.
  - Runs of workflows that have ended (M(rstyczynski.ansible.async_workflow)) are documents of the store, as their approvals are.
    A task with O(store_only=true) removes them, too, by the same options, and with a run the approvals that it has asked for; a run that
    has recovered counts as V(failed). A run stays as long as a job of it is being started or goes on, as far as its record tells. So does
    the last run of each schedule, since what is due next is counted from it. The jobs of its nodes are jobs like all others, and may go
    before it or after it. As long as there are any, no run with that id begins anew; and no approval counts for another run than has
    asked for it.
  - Where nothing but O(older_than) says what is meant, such a task also removes approvals of runs that are gone, locks of workflows
    whose run has ended, and semaphores of which no slot is held.
  - On the host, only files that Ansible and this collection make are removed. Those that the option C(stdout_file) of
    M(rstyczynski.ansible.async_job_state) names are not.
  - The playbook C(rstyczynski.ansible.prune) does this from the command line, for all hosts. There, an age alone does not say which jobs
    are meant. To apply it, a status, a host, a playbook, a job or C(--limit) is needed as well, or C(-e all=true). The playbook refuses
    variables that look like one of its filters and are none.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which jobs: O(host), O(playbook_name), O(job_name_pattern), O(workflow), O(status), O(older_than), O(keep), O(delegated_hosts)."
  - "What to remove: O(apply), O(keep_attempts), O(store_only); with this one, O(hosts) and O(except_hosts)."
  - "How to ask, and what to print: O(look_timeout), O(become_recorded_user), O(progress)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - Python 3.7 or newer on the managed host, as far as the ansible-core of the controller takes it
seealso:
  - module: rstyczynski.ansible.async_job_state
  - name: The fleet
    description: A guide on many jobs, and on the playbooks that look after them.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_fleet.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_users
  - rstyczynski.ansible.async_job_progress
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    details: It finds and removes the records. The module removes what is on the host.
  check_mode:
    support: full
  connection:
    support: full
    details: Unless O(store_only=true).
  diff_mode:
    support: none
    details: What is removed is printed.
  platform:
    platforms: posix
    details: On Windows, what is on the host stays.
options:
  host:
    description:
      - The host that the jobs belong to. The default is the host's name in the inventory; with O(store_only=true), any.
    type: str
  hosts:
    description:
      - With O(store_only=true), only records of these hosts.
    type: list
    elements: str
  except_hosts:
    description:
      - With O(store_only=true), no records of jobs that have run on these hosts.
    type: list
    elements: str
  delegated_hosts:
    description:
      - Other hosts, whose jobs may have run on this one because their task was delegated to it. A job is dealt with on the host where
        it has run.
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
  workflow:
    description:
      - Only runs of this workflow, and jobs of their nodes. O(playbook_name) names one run, by the workflow and its id, as in
        V(Deployment 4711).
    type: str
    version_added: 1.1.0
  status:
    description:
      - Only jobs in one of these states. The default is all of them.
    type: list
    elements: str
    choices: [succeeded, failed, killed, timed_out, lost, cancelled]
  older_than:
    description:
      - Only jobs that ended longer ago than this, a number with a unit, V(s), V(m), V(h), V(d) or V(w).
      - The default is V(1h). What has ended a moment ago may be what a playbook waits for; with V(0s), that goes, too, and the
        playbook fails.
    type: str
  keep:
    description:
      - Of the jobs of each host and playbook that fit O(job_name_pattern), which is needed, and the other options but O(older_than), keep
        this many, the ones that ended last. It is for jobs that have the date in their names, and the like.
      - Together with O(workflow), and without O(job_name_pattern), keep this many runs of the workflow, the ones that ended last, and their
        jobs.
    type: int
  keep_attempts:
    description:
      - Remove no records, but their past attempts, so that there are this many, counting the current one. V(1) keeps only that.
    type: int
  store_only:
    description:
      - Remove records only, of any host, and contact none. What is on the hosts stays there. Such a task is for C(run_once).
    type: bool
    default: false
  apply:
    description:
      - Whether to remove anything, rather than to say what would be removed.
    type: bool
    default: false
  look_timeout:
    description:
      - How long the host may take to answer, in seconds. Then it counts as unreachable.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Remove what ended more than a month ago
  rstyczynski.ansible.async_job_prune:
    older_than: 30d
    apply: true

- name: Keep the seven latest backups of each host in mind
  rstyczynski.ansible.async_job_prune:
    job_name_pattern: backup-*
    keep: 7
    apply: true

- name: Keep three attempts of each job
  rstyczynski.ansible.async_job_prune:
    keep_attempts: 3
    apply: true

- name: Remove old runs of workflows from the store, and what nobody holds any more
  rstyczynski.ansible.async_job_prune:
    older_than: 30d
    store_only: true
    apply: true
  run_once: true

# On the command line, a dry run:
#   ansible-playbook rstyczynski.ansible.prune -e older_than=30d
# And not a dry run:
#   ansible-playbook rstyczynski.ansible.prune -i inventory -e status=succeeded -e older_than=30d -e apply=true
#   ansible-playbook rstyczynski.ansible.prune -i inventory -e older_than=30d -e all=true -e apply=true
"""

RETURN = r"""
applied:
  description: Whether anything was removed, rather than only said to be.
  returned: success, and when records cannot be read
  type: bool
  sample: true
filters:
  description: Which jobs were asked for, in words.
  returned: success, and when records cannot be read
  type: str
  sample: host web2, status failed or lost
jobs:
  description: How many jobs there are that fit the options, but for their age and number.
  returned: success, and when records cannot be read
  type: int
  sample: 42
removed:
  description: How many records were removed, or would be.
  returned: success, and when records cannot be read
  type: int
  sample: 12
attempts:
  description: How many attempts were removed, or would be, those of removed records among them.
  returned: success, and when records cannot be read
  type: int
  sample: 15
runs:
  description: How many runs of workflows were removed, or would be.
  returned: success, and when records cannot be read
  type: int
  sample: 3
approvals:
  description: How many approvals of runs were removed, or would be.
  returned: success, and when records cannot be read
  type: int
  sample: 1
locks:
  description: How many locks and semaphores were removed that nobody holds, or would be.
  returned: success, and when records cannot be read
  type: int
  sample: 1
kept:
  description: The records and runs that were to be removed and are still there, each with C(state_file) and C(msg), the reason.
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: []
left:
  description: What is still on a host, and why, as far as that is known.
  returned: success, and when records cannot be read
  type: list
  elements: str
  sample: []
store:
  description: The place of the store.
  returned: success, and when records cannot be read
  type: str
  sample: /srv/playbooks/.ansible_async_state
unreadable:
  description: The records, and the documents of workflows, that cannot be read, each with C(state_file) and C(msg).
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_prune


def main() -> None:
    """Say that this is no module for a host. Its action plugin, which Ansible runs in its place, sends programs of the wing _host."""
    module = AnsibleModule(
        argument_spec=async_job_prune.ARGUMENT_SPEC,
        mutually_exclusive=async_job_prune.MUTUALLY_EXCLUSIVE,
        required_one_of=async_job_prune.REQUIRED_ONE_OF,
        supports_check_mode=True,
    )
    module.fail_json(msg="async_job_prune needs its action plugin: run it as a task of a playbook.")


if __name__ == "__main__":
    main()
