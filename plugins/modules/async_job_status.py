#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_status
short_description: Tell what became of a background job
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Takes the place of M(ansible.builtin.async_status), with the same options and return values, and tells the truth where
    that says C(running) for ever. It looks at the processes of the job as well as at its results file.
  - It also takes the name of a job, or a list of names. Then it finds the records, looks where the jobs really are, and
    writes what it has learned back to the records.
  - It can wait until jobs have ended, and shows meanwhile how it is going.
  - A look is one exchange with the host, however many jobs there are to look at.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which jobs: O(job_name), O(job_names), O(jid), O(playbook_name), O(host), O(mode)."
  - "Their output: O(output), O(tail_size), O(stdout_file), O(stderr_file), O(store_output)."
  - "What to leave for the runs that follow: O(set_stats)."
  - "How long to wait: O(wait_timeout), O(wait_interval), O(look_timeout), O(unreachable_timeout)."
  - "What to show, and as whom to look: O(progress), O(become_recorded_user)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - Python 3.7 or newer on the managed host, as far as the ansible-core of the controller takes it
notes:
  - If it cannot tell what became of a job, RV(status) is V(unknown), and the task fails. The record keeps what was known
    before. The same is true of a host that cannot be reached.
  - Only root and the user of a job see all of it. As another user, the module says what it cannot see, and what would help.
    See O(become_recorded_user).
seealso:
  - module: ansible.builtin.async_status
  - module: rstyczynski.ansible.async_job_cancel
  - module: rstyczynski.ansible.async_job_state
  - name: User guide
    description: It has a part on what became of a job.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_user.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_users
  - rstyczynski.ansible.async_job_progress
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    support: full
    details: Records are read and written in the process of the controller, jobs are looked at on the managed host.
  check_mode:
    support: full
    details: Looks, and leaves the records as they are.
  connection:
    support: full
  diff_mode:
    support: none
  platform:
    support: partial
    platforms: posix, windows
    details:
      - Without C(/proc), as on macOS and BSD, only processes of jobs whose wrapper lives can be told.
      - On Windows the answer is that of M(ansible.builtin.async_status), unverified.
options:
  jid:
    description:
      - The job id, as the background task returned it in C(ansible_job_id), or M(rstyczynski.ansible.async_job).
      - Where Ansible keeps results files, there is none of a job that M(rstyczynski.ansible.async_job) has started. So if there is none,
        the records of the host are asked where the job is, those of the play first. See O(host).
      - Give this, O(job_name) or O(job_names).
    type: str
  mode:
    description:
      - V(status) looks at the job. V(cleanup) removes its results file, and leaves the job and its record as they are.
    type: str
    choices: [status, cleanup]
    default: status
  job_name:
    description:
      - The name of the job. What was saved with it tells where it runs and as which user.
    type: str
  job_names:
    description:
      - The names of several jobs, to look at all of them at once. What is said of each is in RV(jobs).
    type: list
    elements: str
  playbook_name:
    description:
      - The name of the playbook that the jobs belong to. The default is the name of the play.
    type: str
  host:
    description:
      - The host that the jobs belong to. The default is its name in the inventory. The task looks on the host that it runs
        on, which is another one with C(delegate_to).
    type: str
  output:
    description:
      - Which of the job's output to return in RV(stdout) and RV(stderr).
      - V(full) is all of it, up to 32 MiB. V(tail) is its end. V(new) is what came since the last look with V(new), 1 MiB at most.
        How far that went is kept in the record, so V(new) goes on where another run of the playbook has stopped.
      - The default is V(tail) for O(job_names) and for output in files, which may be long, and else V(full).
      - The output of commands that M(rstyczynski.ansible.async_job) has started is in files, and can be seen from the beginning.
        Of other jobs Ansible has the output only at their end. To see it before, let the command write to a file, and name that
        file in O(stdout_file), or better when the job is saved.
    type: str
    choices: [full, tail, new]
  tail_size:
    description:
      - How much V(tail) is, in bytes.
    type: int
    default: 4096
  stdout_file:
    description:
      - The file on the host that the command writes its output to. The default is what was saved with the job.
      - It is read with the rights of the user who owns the results file of the job, and not at all if there is no results file.
    type: str
  stderr_file:
    description:
      - The file on the host that the command writes its error output to. The default is what was saved with the job.
    type: str
  store_output:
    description:
      - Whether to store the end of the output in the record once the job has ended, 4096 characters of each stream, as plain
        text.
    type: bool
    default: false
  set_stats:
    description:
      - What to leave for the runs that follow this one, as M(ansible.builtin.set_stats) does with C(per_host=false). AWX shows it as the
        artifacts of the run, and gives it as extra variables to the next nodes of a workflow.
      - With V(status), the variable C(async_jobs) says of each job, by its host and its name, its C(status), C(reason), C(attempt),
        C(finished), C(failed) and C(changed), as C(async_jobs.db01.migrate.status).
      - With V(result), it has there also, as C(result), what the record keeps of the result, without the output. Of a job with
        C(no_log=true), that is nothing.
      - Ansible takes this from tasks that have not failed. For a job that may fail, say C(failed_when=false), and fail in a task that
        follows.
    type: list
    elements: str
    choices: [status, result]
    default: []
    version_added: 1.1.0
  wait_timeout:
    description:
      - How long to wait until all jobs have ended, in seconds. If they have not by then, the task fails, and the jobs go on.
        V(0) looks once.
      - Each host that waits occupies one of Ansible's C(forks).
    type: int
    default: 0
  wait_interval:
    description:
      - How long to wait between two looks at most, in seconds. It begins with one second and grows.
    type: int
    default: 30
  look_timeout:
    description:
      - How long to wait for the answer of one look, in seconds. After it the host counts as unreachable.
    type: int
    default: 60
  unreachable_timeout:
    description:
      - While it waits, for how long the host may be unreachable at a stretch, in seconds. After it the host is reported as
        unreachable. Within it, waiting goes on.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Tell what became of the migration, whichever run has started it
  rstyczynski.ansible.async_job_status:
    job_name: migrate
  register: migration
  failed_when: false

- name: Say it
  ansible.builtin.debug:
    msg: "{{ migration.status }}: {{ migration.reason }}"

- name: Wait for it for an hour at most, and show how it is going
  rstyczynski.ansible.async_job_status:
    job_name: migrate
    wait_timeout: 3600

- name: The same as a loop of Ansible's own
  rstyczynski.ansible.async_job_status:
    job_name: migrate
  register: migration
  until: migration is finished
  retries: 360
  delay: 10

- name: Wait for several jobs of each host
  rstyczynski.ansible.async_job_status:
    job_names: [dump, reindex, vacuum]
    wait_timeout: 7200

- name: Show what the job has written since the last look
  rstyczynski.ansible.async_job_status:
    job_name: migrate
    output: new
  register: migration

- name: In place of ansible.builtin.async_status
  rstyczynski.ansible.async_job_status:
    jid: "{{ started.ansible_job_id }}"
"""

RETURN = r"""
status:
  description:
    - What became of the job.
    - V(running), V(succeeded), V(failed), V(timed_out) and V(cancelled) are what they say.
    - V(killed) is a job whose command was killed by a signal, or whose wrapper was killed, so that there is no result. The wrapper are the
      processes of Ansible that wait for the command and write down its result.
    - V(orphaned) is a job whose wrapper was killed while its command goes on. No result will come. It is not finished, and
      must not be started once more.
    - V(lost) is a job that does not run and left nothing behind, as after a reboot of the host.
    - V(starting) and V(prepared) are jobs that a controller is just about to start.
    - V(unknown) means that it cannot be told, and RV(reason) says why.
  returned: always, for one job
  type: str
  sample: lost
reason:
  description: The status in a sentence, with what led to it.
  returned: always, for one job
  type: str
  sample: the host of job 'migrate' on db01 rebooted at 2026-02-01T03:12:09Z, 00:12:40 after the job started
changed:
  description:
    - Once the job has ended, whether its module has changed anything. As with M(ansible.builtin.async_status), that is said each time that
      somebody asks; M(rstyczynski.ansible.async_job) says it once, see RV(rstyczynski.ansible.async_job#module:changed).
    - Of several jobs, whether that is so of any. With O(mode=cleanup), always V(false).
  returned: always
  type: bool
  sample: false
finished:
  description:
    - Whether the result is there, or none can come any more and nothing of the job runs.
    - Of several jobs, whether all are finished.
  returned: always
  type: bool
  sample: true
started:
  description: Whether the job was started.
  returned: always
  type: bool
  sample: true
failed:
  description: Whether the job has ended otherwise than well, or cannot be told.
  returned: always
  type: bool
  sample: true
msg:
  description: What went wrong. Of a job that is V(lost), it holds the words C(could not find job).
  returned: failure
  type: str
  sample: "lost: the host of job 'migrate' on db01 rebooted at 2026-02-01T03:12:09Z (could not find job j314159265358.2718)"
rc:
  description:
    - The return code; of a job that has succeeded, V(0) if its module returns none. Without any value if there is none, and with
      ansible-core 2.21 it is left out then.
    - All else that the module of the job returns is here as well.
  returned: always, for one job
  type: int
  sample: 0
module_result:
  description:
    - What the module of the job returns under a name that means something else here, such as C(status), C(reason) and C(elapsed) of
      M(ansible.builtin.uri).
  returned: if there is such a field
  type: dict
  sample: {status: 200, elapsed: 3}
ansible_job_id:
  description: The job id.
  returned: always, for one job
  type: str
  sample: j314159265358.2718
progress:
  description:
    - How far the job has come, by the last line C(PROGRESS 41/60 some text) in its O(stdout_file). None if there is no such line,
      or if it says no total.
  returned: always, for one job; in a loop, only if there is something to say
  type: dict
  sample: {current: 41, total: 60, text: some text}
elapsed:
  description: For how long the job has been running, or ran, in seconds. Empty if that cannot be known.
  returned: always, for one job; in a loop, only if there is something to say
  type: float
  sample: 760.4
processes:
  description:
    - The processes of the job that are there. Their C(role) is C(runner) or C(watcher) for those of Ansible,
      C(descendant) for what belongs to the job, and C(unclear) for what may belong to it or to another one of the same
      results directory.
  returned: for one job; in a loop, of what neither runs nor has succeeded, if there are any
  type: list
  elements: dict
  sample:
    - {pid: 2721, ppid: 2720, uid: 0, role: descendant, command: /opt/migrate.sh --all}
stdout:
  description: The output of the job, as far as there is any and as O(output) says. C(stdout_lines) has it by lines.
  returned: always, for one job
  type: str
  sample: step 41 of 60
stderr:
  description: The error output of the job. C(stderr_lines) has it by lines.
  returned: always, for one job
  type: str
  sample: ""
stdout_size:
  description: How much output the job has written so far, in bytes.
  returned: always, for one job; in a loop, only if there is something to say
  type: int
  sample: 3145728
stderr_size:
  description: How much error output the job has written so far, in bytes.
  returned: always, for one job; in a loop, only if there is something to say
  type: int
  sample: 0
stdout_truncated:
  description:
    - Whether RV(stdout) is not all of it. If the job has ended and O(output) was not given, a warning says so.
    - With O(output=new), whether there is more that is new.
  returned: always, for one job; in a loop, only if there is something to say
  type: bool
  sample: false
stderr_truncated:
  description: Whether RV(stderr) is not all of it.
  returned: always, for one job; in a loop, only if there is something to say
  type: bool
  sample: false
results_file:
  description: The results file of the job on the host.
  returned: always, for one job
  type: str
  sample: /home/deploy/.ansible_async/j314159265358.2718
erased:
  description: The results file that was removed; in check mode, the one that would be.
  returned: with O(mode=cleanup)
  type: str
  sample: /home/deploy/.ansible_async/j314159265358.2718
job_name:
  description: The name of the job.
  returned: if O(job_name) is given, or if the record has told where O(jid) is; with O(job_names), in RV(jobs)
  type: str
  sample: migrate
record:
  description: The record as it is in the store now. Not in a loop, whose result would be large.
  returned: if O(job_name) is given, or if the record has told where O(jid) is; with O(job_names), in RV(jobs); not in a loop
  type: dict
  sample: {ansible_job_id: j314159265358.2718, host: db01, job_name: migrate, status: lost}
policy_status:
  description:
    - What C(restart_on) of M(rstyczynski.ansible.async_job) acts on. It is RV(status), or V(cancelled) if somebody has cancelled the job,
      however it has ended.
  returned: as RV(record)
  type: str
  sample: lost
  version_added: 1.1.0
state_file:
  description: The place of the record.
  returned: as RV(record)
  type: str
  sample: /srv/playbooks/.ansible_async_state/db01/Migrate the database/migrate.json
jobs:
  description: For each of O(job_names), what would be returned for it alone.
  returned: if O(job_names) is given
  type: list
  elements: dict
  sample:
    - {job_name: dump, status: running, finished: false}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_status


def main() -> None:
    """Say that this is no module for a host. Its action plugin, which Ansible runs in its place, sends programs of the wing _host."""
    module = AnsibleModule(
        argument_spec=async_job_status.ARGUMENT_SPEC,
        mutually_exclusive=async_job_status.MUTUALLY_EXCLUSIVE,
        required_one_of=async_job_status.REQUIRED_ONE_OF,
        supports_check_mode=True,
    )
    module.fail_json(msg="async_job_status needs its action plugin: run it as a task of a playbook.")


if __name__ == "__main__":
    main()
