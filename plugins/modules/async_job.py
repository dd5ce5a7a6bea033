#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job
short_description: Start a long task once, and find it again from anywhere
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Starts a task in the background under a name. The name, and all that is known of the job, is a record, a JSON document in a
    directory of the controller or in a bucket.
  - Run it again, from this controller or from another one, and it attaches to the job instead of starting a second one, and
    reports. Once the job has ended, it returns the stored result without contacting the host.
  - An attempt is one execution of the task as this job. A job that is started anew has another one.
  - However many controllers run it at the same moment, and at whatever moment they die, each attempt is started at most once,
    and one that was started is found again. What the host alone can lose is said to be V(lost) and not started anew, unless
    O(restart_on) says so.
  - One task starts one job, or several at once on the same host, see O(jobs).
  - The time limit of the job is the task's keyword C(async). With C(poll=0) the task returns as soon as the job runs; with another
    C(poll), 15 seconds by default, it waits for its end, with a line that shows life every so often.
  - All other keywords of the task hold for the job, as C(become), C(environment), C(vars), C(loop), C(delegate_to) and C(no_log) do.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "What to start: O(job_name), O(task), O(playbook_name), O(host), O(metadata); of several jobs, O(jobs) and O(max_parallel)."
  - "What else may run at the same time: O(semaphore)."
  - "When to start it anew: O(restart_on), O(max_attempts), O(backoff), O(max_backoff), O(stop_leftovers), O(rerun_after), O(on_change),
    O(on_cancel), O(on_foreign), O(fingerprint), O(success_codes)."
  - "What to keep of it, and what to leave for the runs that follow: O(tail_size), O(keep_output), O(store_result), O(set_stats)."
  - "How long to wait for a host or another controller: O(claim_timeout), O(start_timeout), O(look_timeout), O(unreachable_timeout)."
  - "What to show, and as whom to look: O(progress), O(become_recorded_user)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - Python 3.7 or newer on the managed host, as far as the ansible-core of the controller takes it
notes:
  - With C(no_log=true), nothing of the arguments and of the output is stored, now or by any later task for that job. O(metadata),
    which is yours, is.
  - With C(run_once) or C(delegate_to), give O(host), so that the job has the same name whatever C(--limit) says. The record tells on
    which host it was started; a task that goes to another one fails, and says where to go.
  - Each attempt has a directory of its own below the results directory of Ansible, which only its user can read. The output of
    M(ansible.builtin.command) and M(ansible.builtin.shell) goes straight to the files C(stdout) and C(stderr) there, and how the
    command has ended to C(result), whatever becomes of Ansible's own processes. All of their options mean what they mean elsewhere.
    C(attempt.json) there says which job and which attempt it is; a directory that says something else is left alone.
  - Beside these directories, C(.async_jobs-<uid>) has a small file for each job, with which the host knows its last attempt, whatever
    store it was started from. It takes a file system with hard links.
  - The results directory of Ansible (C(async_dir)) has to belong to the user of the job, or to root. One that everybody may write to is
    refused, unless it is sticky, as C(/tmp) is.
  - A command sees C(ANSIBLE_ASYNC_DIR) only if the task or its host sets it, so that Ansible which it runs may have
    background tasks of its own. All that an attempt has started has its directory in C(ASYNC_JOB_ATTEMPT_DIR), by which it is found.
  - Some actions say that they support C(async), and have done all their work when they return, such as some that shut hosts down. That
    attempt has ended, with its result. If the controller dies, it is V(lost), and not started anew.
  - If a module raises an exception, its last line is in RV(msg), and the end of its traceback in RV(exception), now and in the record; not
    with C(no_log=true).
  - A command that did not run because of C(creates) or C(removes) has succeeded, and has not changed anything. The next run of the task
    looks anew whether it is needed.
  - A job ends with its command. What that leaves behind in the background goes on, and does not keep the result back, as it does with a
    plain background task. RV(reason) tells of it.
  - A command can tell how far it has come with a line C(PROGRESS 41/60 some text) on its standard output. Whoever waits for it, and
    M(rstyczynski.ansible.async_job_status), shows the last one; without such a line, the last line that there is.
seealso:
  - module: rstyczynski.ansible.async_job_status
  - module: rstyczynski.ansible.async_job_cancel
  - module: rstyczynski.ansible.async_job_info
  - name: User guide
    description: How to use it, step by step.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_user.rst
  - name: Exactly once
    description: A guide on what is promised of a start, and how that is held.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_exactly_once.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_users
  - rstyczynski.ansible.async_job_progress
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    support: full
    details: The record is read and written in the process of the controller, the job runs on the managed host.
  async:
    support: full
    details: It is what this is for.
  check_mode:
    support: full
    details:
      - Tells whether a job would be started, by what the record says. The host is not contacted.
      - Of a job that would be started, RV(attempt), RV(changed), RV(job_name), RV(msg), RV(reason), RV(record), RV(state_file), RV(status),
        and an empty output are returned, and no more.
  connection:
    support: full
  diff_mode:
    support: full
    details: Shows the record. Without C(--diff), there is no C(diff) in the result.
  platform:
    support: partial
    platforms: posix
    details: Jobs on Windows cannot be started this way.
options:
  job_name:
    description:
      - The name of the job, unique within its playbook and host.
      - Either this and O(task) are required, or O(jobs).
    type: str
  playbook_name:
    description:
      - The name of the playbook that the job belongs to. The default is the name of the play.
    type: str
  host:
    description:
      - The host that the job belongs to. The default is its name in the inventory.
    type: str
  task:
    description:
      - One action with its options, as a task has them. C(args) may stand beside it.
      - Any action that supports C(async) will do. Others are refused before anything has happened, and so are blocks and
        lists of tasks. Text for actions such as M(ansible.builtin.command) is taken as it is; options
        of theirs go into a mapping.
    type: dict
  jobs:
    description:
      - Several jobs in place of O(job_name) and O(task). They are started together, and run at the same time. With C(poll)
        above 0, the task waits for all of them, and starts those anew that may be, each by its own O(restart_on), O(max_attempts) and
        O(backoff).
      - To start twenty asks the host as often as to start one. Jobs whose action has an action plugin of its own other than
        those of M(ansible.builtin.command) and M(ansible.builtin.shell), such as M(ansible.builtin.package), and those whose module is
        an executable file, are started one after the other.
      - A job that has failed keeps none of the others from going on. In the end the task fails, and RV(jobs) has the results of all.
      - The options of the task hold for every job that does not give its own, and so do the keywords of the task. C(async) is the time
        limit of each job. Variables of a single job do not exist.
    type: list
    elements: dict
    suboptions:
      job_name:
        description:
          - The name of the job, as O(job_name). No name may be in the list twice.
        type: str
        required: true
      task:
        description:
          - What to start, as O(task).
        type: dict
        required: true
      time_limit:
        description:
          - The time limit of this job in seconds, in place of the keyword C(async).
        type: int
      restart_on:
        description:
          - As O(restart_on), for this job.
        type: list
        elements: str
        choices: [failed, killed, timed_out, lost, orphaned, cancelled]
      max_attempts:
        description:
          - As O(max_attempts), for this job.
        type: int
      backoff:
        description:
          - As O(backoff), for this job.
        type: int
      max_backoff:
        description:
          - As O(max_backoff), for this job.
        type: int
      stop_leftovers:
        description:
          - As O(stop_leftovers), for this job.
        type: bool
      rerun_after:
        description:
          - As O(rerun_after), for this job.
        type: int
      on_cancel:
        description:
          - As O(on_cancel), for this job.
        type: str
        choices: [attach, cancel]
        version_added: 1.1.0
      on_change:
        description:
          - As O(on_change), for this job.
        type: str
        choices: [fail, attach, restart]
      on_foreign:
        description:
          - As O(on_foreign), for this job.
        type: str
        version_added: 1.1.0
        choices: [adopt, fail, ignore]
      fingerprint:
        description:
          - As O(fingerprint), for this job.
        type: str
      keep_output:
        description:
          - As O(keep_output), for this job.
        type: bool
      metadata:
        description:
          - As O(metadata), for this job.
        type: dict
      store_result:
        description:
          - As O(store_result), for this job.
        type: list
        elements: str
      success_codes:
        description:
          - As O(success_codes), for this job.
        type: list
        elements: int
      semaphore:
        description:
          - As O(semaphore), for this job.
        type: dict
        version_added: 1.1.0
        suboptions:
          name:
            description:
              - As O(semaphore.name).
            type: str
            required: true
          at_most:
            description:
              - As O(semaphore.at_most).
            type: int
            required: true
          wait_timeout:
            description:
              - As O(semaphore.wait_timeout).
            type: int
      tail_size:
        description:
          - As O(tail_size), for this job.
        type: int
  max_parallel:
    description:
      - How many of O(jobs) may run at the same time, those included that ran before. By default, all.
      - A task that does not wait leaves the others alone, and says so. They are started when it is run again, by C(until) for instance.
    type: int
  restart_on:
    description:
      - In which end states the job is started anew. By default in none, and the task fails if the job has.
      - V(orphaned) starts a second copy while the work of the first one goes on.
    type: list
    elements: str
    choices: [failed, killed, timed_out, lost, orphaned, cancelled]
    default: []
  max_attempts:
    description:
      - How many attempts there may be. A task that waits starts them one after the other. They are counted anew after a success,
        and when O(on_change=restart) has started the job with other options.
      - Without it, each run of the task starts one new attempt at most. With C(until), each further try of the task may start one, too, if
        the try before has returned how the last one has ended.
    type: int
  backoff:
    description:
      - How long to wait between the end of an attempt and the start of the next, in seconds. It doubles with each further attempt.
      - A task that does not wait for the job returns meanwhile, with RV(finished=false), and says when the next attempt is due.
    type: int
    default: 0
  max_backoff:
    description:
      - How long O(backoff) may become, in seconds.
    type: int
    default: 3600
  stop_leftovers:
    description:
      - What to do about processes that an attempt has left behind when it ended, such as C(work.sh & wait) does if its shell is killed.
        As long as they run, there is no next attempt. A task that waits, waits for them too; another one says so.
      - With V(true), they are stopped before the next attempt is started, as M(rstyczynski.ansible.async_job_cancel) does it.
      - What an attempt has left behind that has succeeded, such as a service, was meant to stay. Nobody waits for that, and only V(true)
        stops it.
    type: bool
    default: false
  rerun_after:
    description:
      - Start the job anew if it has succeeded at least that many seconds ago. By default, a success holds for ever.
    type: int
  on_cancel:
    description:
      - What to do about a job that goes on although the run is gone that waited for it. It was cancelled in AWX or has reached its time
        limit there, was killed, or has given up because its host was away.
      - With V(attach), the task attaches to it, as to any other job that goes on.
      - With V(cancel), a task that waits too (C(poll) above 0) cancels it first, as M(rstyczynski.ansible.async_job_cancel) does. Its
        status is V(cancelled) then, and O(restart_on) says whether there is another attempt.
      - The run has to be proven gone. In the same container, its process shows that. From elsewhere, it counts as gone if nobody has noted
        anything in the record for O(claim_timeout), a minute, and two times its C(poll), by the clock of this run, which waits for so
        long. A run that waits gives a sign at least that often, while its host answers.
      - It holds for attempts that were started, or last waited for, by tasks with V(cancel), and for none that was started with C(poll=0).
    type: str
    choices: [attach, cancel]
    default: attach
    version_added: 1.1.0
  on_change:
    description:
      - What to do if the job was started with other options than O(task) has now. While it runs, the task attaches to it in any
        case, and warns unless this is V(attach).
      - With V(fail), the task fails if the job has succeeded. A job that O(restart_on) starts anew takes the new options; they change
        nothing about O(max_attempts) and O(backoff).
      - With V(attach), the options are not compared, and the result is taken all the same.
      - With V(restart), a job that has ended is started anew, whatever O(max_attempts) says. A task that has started the job, or waited
        for it, in this run, does not do that any more, so that two with different options do not start each other's job for ever.
    type: str
    choices: [fail, attach, restart]
    default: fail
  on_foreign:
    description:
      - What to do if the host knows of an attempt of the job that its record does not, because it was started from another store, from
        one that was lost, or under another name of the host in the inventory. Each host notes the last attempt of each job and user,
        beside the attempts.
      - With V(adopt), such an attempt that goes on is adopted if it has the same options, as O(on_change) compares them. The record is
        made anew from what the host knows, the task attaches, and a warning says from where it was started. If its options differ, or
        nobody can tell that, as with C(no_log), the task fails, unless O(on_change=attach). One that has ended is no matter, and the job
        is started as if its record had never been.
      - With V(fail), the task fails whenever there is such an attempt, also if it has ended.
      - With V(ignore), the job is started, whatever the host says. It may then run twice.
      - M(rstyczynski.ansible.async_job_recover) makes the records of all jobs anew that a host knows of.
    type: str
    choices: [adopt, fail, ignore]
    default: adopt
    version_added: 1.1.0
  store_result:
    description:
      - Fields of the module's result that its record keeps beside C(rc), C(msg), C(start), C(end), C(delta) and C(changed), so that later
        runs return them too. All other fields are returned only by the run that sees the job end, because results hold what no store should
        know, such as commands with their options, or the content of files. If that was M(rstyczynski.ansible.async_job_verify) or another
        module, M(rstyczynski.ansible.async_job_status) returns them as long as they are on the host.
      - These fields are stored as they are; of all else that is stored, ansible-core 2.22 and newer mask
        the values that they have decrypted.
      - Output goes by O(tail_size). A result of more than 32768 characters is not stored.
    type: list
    elements: str
    default: []
  set_stats:
    description:
      - What to leave for the runs that follow this one, as M(ansible.builtin.set_stats) does with C(per_host=false). AWX shows it as the
        artifacts of the run, and gives it as extra variables to the next nodes of a workflow.
      - With V(status), the variable C(async_jobs) says of each job, by its host and its name, its C(status), C(reason), C(attempt),
        C(finished), C(failed) and C(changed), as C(async_jobs.db01.migrate.status).
      - With V(result), it has there also, as C(result), what the record keeps of the result, without the output. Of a job with
        C(no_log=true), that is nothing.
      - With V(artifacts), each field that O(store_result) names, and that was kept of a job that has ended, becomes a variable by its own
        name, unless that begins with C(ansible_), C(async_job), C(awx_), C(tower_) or an underscore, or is one of Ansible's own, such as
        C(inventory_hostname). Of several jobs or hosts with the same field, a later one replaces an earlier one, and mappings are merged.
      - Ansible takes this from tasks that have not failed. For a job that may fail, say C(failed_when=false), and fail in a task that
        follows.
    type: list
    elements: str
    choices: [status, result, artifacts]
    default: []
    version_added: 1.1.0
  success_codes:
    description:
      - The return codes of a command that mean that it has succeeded. All others mean that it has failed. A command that could not be run
        has failed, whatever its code is.
      - The record has them, so that whoever looks at the job says the same of it.
      - What C(failed_when) says of a job, only its own task knows. If that does not call it failed, O(restart_on) does not start it anew
        either, in this run or a later one; its status stays V(failed). A plain V(false) there decides nothing, and neither does
        C(failed_when) of a task with O(jobs).
    type: list
    elements: int
    default: [0]
  semaphore:
    description:
      - Lets no more than so many jobs run at the same time, of all that name this semaphore, whatever their hosts, playbooks and
        controllers are, as long as they share a store. A job has its slot from before it is started until it has ended; what an attempt
        leaves behind then does not count.
      - A task that waits for its job (C(poll) above 0), waits for a slot first, and says for which jobs. Meanwhile, the status of its job
        is V(starting), with RV(reason), and M(rstyczynski.ansible.async_job_cancel) makes it not begin at all. Another task returns with
        RV(finished=false) and RV(started=false), having started nothing, as with O(max_parallel); run it again, by C(until) for instance.
      - Nobody is promised to be the next.
      - Whether a job has ended, its record tells. Whoever waits looks at jobs on its own host; those on other hosts have to be looked at by
        somebody, as their own tasks do, or M(rstyczynski.ansible.async_job_verify).
      - A controller that dies while it starts a job, is found out as with O(claim_timeout). What is not known to have ended, keeps its
        slot, and the message says why.
      - It is a document of the store, C(.semaphores/<name>/holders.json), with the names of these jobs, and since when they have run.
    type: dict
    version_added: 1.1.0
    suboptions:
      name:
        description:
          - What it is called, for all that share it.
        type: str
        required: true
      at_most:
        description:
          - How many jobs may run at the same time, from 1 to 1000. If tasks say different numbers, the least one counts, of
            those whose jobs run and of the one that wants to start one.
        type: int
        required: true
      wait_timeout:
        description:
          - How long a task with C(poll) above 0 waits for a slot, in seconds. Then it fails, and nothing was started. By default, that is
            the time limit of the job.
        type: int
  fingerprint:
    description:
      - What tells the job from another one, for O(on_change), in place of the options of O(task). Give one if those always vary.
      - With C(no_log=true), none is stored, and nothing is compared.
    type: str
  keep_output:
    description:
      - Whether to keep the directory of an attempt on the host once its result is stored. With V(false), only what the record holds
        of the output is left, the last O(tail_size) bytes.
    type: bool
    default: true
  tail_size:
    description:
      - How much of the end of each output to store, in bytes. Of a command, it is what is returned as well.
    type: int
    default: 4096
  metadata:
    description:
      - What else to remember of the job. It is stored in plain text when an attempt is started.
      - Without it, what is already stored is kept.
    type: dict
  claim_timeout:
    description:
      - After how many seconds without a sign another controller that has set out to start this job is given up. If that is known
        to be dead, nobody waits.
      - It doubles with each attempt that was given up.
    type: float
    default: 60
  start_timeout:
    description:
      - How long the start itself may take, in seconds, with the transfer of the module to the host.
    type: int
    default: 120
  look_timeout:
    description:
      - How long to wait for any other answer of the host, in seconds. After it the host counts as unreachable.
    type: int
    default: 60
  unreachable_timeout:
    description:
      - For how long the host may be away while the task waits for the job, in seconds.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Migrate the production database
  rstyczynski.ansible.async_job:
    job_name: migrate_2024
    task:
      ansible.builtin.command: /opt/migrate.sh --all
  async: 43200
  poll: 0
  register: migration

- name: Wait for it here, and try three times
  rstyczynski.ansible.async_job:
    job_name: backup
    restart_on: [failed, killed, lost]
    max_attempts: 3
    task:
      ansible.builtin.command:
        argv: [/usr/bin/pg_dump, --file=/backup/all.sql, "{{ database }}"]
        chdir: /backup
  async: 7200
  poll: 10

- name: Make a backup each night, however often this playbook runs
  rstyczynski.ansible.async_job:
    job_name: nightly
    rerun_after: 72000
    task:
      ansible.builtin.command: /opt/backup.sh
  async: 7200
  poll: 30

- name: Try up to five times, with a minute, two, four and eight minutes in between
  rstyczynski.ansible.async_job:
    job_name: fetch
    restart_on: [failed, killed]
    max_attempts: 5
    backoff: 60
    task:
      ansible.builtin.command: /opt/fetch.sh
  async: 3600
  poll: 15

- name: Deploy a release, and the next one when the version changes; the time in the options does not count
  rstyczynski.ansible.async_job:
    job_name: deploy
    fingerprint: "{{ version }}"
    on_change: restart
    keep_output: false
    task:
      ansible.builtin.command: /opt/deploy.sh {{ version }} {{ now(utc=true).isoformat() }}
  async: 1800
  poll: 10

- name: Back up all databases, two at a time, each of them tried three times
  rstyczynski.ansible.async_job:
    max_parallel: 2
    restart_on: [failed, killed]
    max_attempts: 3
    jobs:
      - job_name: backup_orders
        task:
          ansible.builtin.command: /opt/backup.sh orders
      - job_name: backup_customers
        task:
          ansible.builtin.command: /opt/backup.sh customers
      - job_name: backup_archive
        time_limit: 86400
        max_attempts: 1
        task:
          ansible.builtin.command: /opt/backup.sh archive
  async: 7200
  poll: 30
  register: backups

- name: Dump the databases of all hosts, three at a time, whoever else does so
  rstyczynski.ansible.async_job:
    job_name: dump
    semaphore:
      name: dumps
      at_most: 3
    task:
      ansible.builtin.command: /opt/dump.sh
  async: 7200
  poll: 30

- name: Upgrade, and ask now and then
  rstyczynski.ansible.async_job:
    job_name: upgrade
    task:
      ansible.builtin.apt:
        upgrade: dist
  become: true
  async: 3600
  poll: 0
  register: upgrade
  until: upgrade is finished
  retries: 120
  delay: 30
"""

RETURN = r"""
ansible_job_id:
  description: The job id. Empty if there is none yet.
  returned: success, not in check mode if the job would be started
  type: str
  sample: j314159265358.2718
started:
  description: Always V(true) once there is a job.
  returned: success, not in check mode if the job would be started
  type: bool
  sample: true
finished:
  description: Whether the job has ended.
  returned: success, not in check mode before the job has ended
  type: bool
  sample: false
status:
  description: What the job is doing, or how it ended, as M(rstyczynski.ansible.async_job_status) returns it.
  returned: success
  type: str
  sample: running
reason:
  description: The status in a sentence, with what led to it.
  returned: success
  type: str
  sample: "job 'migrate_2024' on db01 has been running for 00:12:40"
attempt:
  description: The number of the attempt.
  returned: success
  type: int
  sample: 1
changed:
  description:
    - While the job runs, whether this task has started the attempt. It stays so while C(until) runs it again.
    - Once the job has ended, whether its module has changed anything, for the first task that returns that, whoever has started the
      job; V(false) for all later ones. So a handler runs once. M(rstyczynski.ansible.async_job_status) in the same play is such a task.
    - Of several jobs, whether that is so of any.
  returned: always
  type: bool
  sample: true
stdout:
  description:
    - What the job has printed. Of a command, and of a stored result, the last O(tail_size) bytes. C(stdout_lines) has it by lines.
    - All of it is returned by M(rstyczynski.ansible.async_job_status) with O(rstyczynski.ansible.async_job_status#module:job_name)
      and O(rstyczynski.ansible.async_job_status#module:output=full), as long as it is on the host.
  returned: success; in a loop, not by the task that starts the job with C(poll=0)
  type: str
  sample: ""
stderr:
  description: What it has printed to its standard error, as RV(stdout).
  returned: success
  type: str
  sample: ""
stdout_size:
  description: How much the job has printed, in bytes. C(stderr_size) is the same of its standard error.
  returned: success, not in check mode before the job has ended; in a loop, only if there is something to say
  type: int
  sample: 3145728
stdout_truncated:
  description:
    - Whether RV(stdout) is not all that the job has printed. Then a warning says so, once the job has ended. C(stderr_truncated) is
      the same of its standard error.
  returned: success, not in check mode before the job has ended; in a loop, only if there is something to say
  type: bool
  sample: false
rc:
  description:
    - The return code; of a job that has succeeded, V(0) if its module returns none. Without any value if there is none, and with
      ansible-core 2.21 it is left out then.
    - All else that the module of the job returns is here as well. What later runs return of that is what O(store_result) names, each
      field up to 32768 characters; a warning names the others, and how to get them.
  returned: as RV(stdout)
  type: int
  sample: 0
msg:
  description: What the module says, or why it has failed. If it has raised an exception, its last line. In check mode, what would be done.
  returned: failure, or if the module says something, and in check mode
  type: str
  sample: "RuntimeError: no such database. It is not started anew unless restart_on has 'failed', or its record is removed."
exception:
  description:
    - The end of the traceback of a module that has raised an exception, 8192 characters at most. From 2.19 on, Ansible shows it only if its
      setting C(DISPLAY_TRACEBACK) says so; the record has it in C(result.exception).
  returned: if it has, not with C(no_log=true)
  type: str
module_result:
  description:
    - What the module of the job returns under a name that means something else here, such as C(status), C(reason) and C(elapsed) of
      M(ansible.builtin.uri).
  returned: if there is such a field
  type: dict
  sample: {status: 200, elapsed: 3}
progress:
  description: What the last line C(PROGRESS 41/60 some text) of a command says. None if there is no such line, or if it says no total.
  returned: success, not in check mode before the job has ended; in a loop, only if there is something to say
  type: dict
  sample: {current: 41, total: 60, text: some text}
elapsed:
  description: For how long the job has been running, or ran, in seconds, as far as that can be known.
  returned: success, not in check mode before the job has ended; in a loop, only if there is something to say
  type: float
  sample: 760.2
processes:
  description: The processes of the job that were seen, as M(rstyczynski.ansible.async_job_status) returns them.
  returned: success, not in check mode before the job has ended; in a loop, of what neither runs nor has succeeded, if there are any
  type: list
  elements: dict
  sample: []
results_file:
  description: The results file of the job on the host.
  returned: success, not in check mode before the job has ended
  type: str
  sample: /home/deploy/.ansible_async/0123456789abcdef0123456789abcdef/j314159265358.2718
semaphore:
  description:
    - The semaphore for which the job waits, and the jobs that have its slots, each with what its record says.
  returned: if it waits for one, or would do so in check mode
  type: dict
  version_added: 1.1.0
  sample:
    name: dumps
    at_most: 1
    holders:
      - {host: db01, playbook_name: Dump, job_name: dump, since: "2026-11-27T12:03:00Z", reason: "running, as last recorded"}
jobs:
  description:
    - The results of O(jobs), in the order of these. Each holds what is returned for a single job, except RV(record), RV(processes),
      and the output as lists of lines. Where nothing was started and there is no record, C(status) is empty.
    - For several jobs, only RV(started), RV(finished), C(failed), RV(changed) and RV(msg) are returned beside it, which are about all of
      them; with C(--diff), also C(diff).
  returned: with O(jobs)
  type: list
  elements: dict
  sample: [{job_name: backup_orders, status: succeeded, finished: true, failed: false, changed: true, attempt: 2, rc: 0, stdout: done}]
job_name:
  description: The name of the job.
  returned: success
  type: str
  sample: migrate_2024
record:
  description:
    - The record as it is in the store now. It holds the history of attempts.
    - Not in a loop, whose result would be large, and not of what has failed, as Ansible prints all of that. Read it with
      M(rstyczynski.ansible.async_job_info) there.
  returned: success, not in a loop
  type: dict
  sample: {ansible_job_id: j314159265358.2718, attempt: 1, host: db01, job_name: migrate_2024, status: running}
state_file:
  description: The place of the record.
  returned: success, not in a loop
  type: str
  sample: /srv/playbooks/.ansible_async_state/db01/Migrate/migrate_2024.json
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import node
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.command import BY_ACTION, run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job


def main() -> None:
    """Run the command of a job that the action has started. All else happens on the controller."""
    module = AnsibleModule(
        argument_spec=async_job.ARGUMENT_SPEC,
        mutually_exclusive=async_job.MUTUALLY_EXCLUSIVE,
        required_one_of=async_job.REQUIRED_ONE_OF,
        supports_check_mode=True,
    )
    # What the action hands over is no action with its options, as playbooks give them: the arguments of C(run).
    by_action = (module.params["task"] or {}).get(BY_ACTION) or {}
    if not by_action:
        module.fail_json(msg="async_job starts tasks of Ansible, which only its action plugin can do. Run it as a task of a playbook.")
    of_node = by_action.pop("node", None)
    shell = module._shell or "/bin/sh"
    result = run(**by_action, shell=shell) if of_node is None else node.run(of_node, **by_action, shell=shell)
    if of_node is not None:
        result["invocation"] = {}  # else Ansible would leave there what the node was given
    module.fail_json(**result) if result.get("failed") else module.exit_json(**result)


if __name__ == "__main__":
    main()
