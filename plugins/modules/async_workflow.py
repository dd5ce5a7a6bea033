#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_workflow
short_description: Run several playbooks as one, with edges, approvals and retries, and go on where it stopped
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Runs a workflow, playbooks and other nodes of which some wait for others, as a file describes it. All that is known of a run is one
    document in a directory of the controller or in a bucket; there is no server.
  - Each attempt of a node is a job of M(rstyczynski.ansible.async_job), named after the run, on the host of this task, so that it goes on
    whatever becomes of this task. Run it again with the same O(run), from this controller or from another one, and it goes on where the
    run has come to meanwhile. Any number of controllers may do so at the same time, and die at any moment. Each attempt of a
    node is started at most once.
  - A node whose edges do not fit is skipped, and says why. A failure that an edge takes care of makes the run V(recovered), any other one
    V(failed). RV(status) says which, and O(mode=resume) runs once more what has failed, and what comes after it; what has succeeded stands.
  - When nothing is left but approvals, the task ends and says how to go on. Nothing waits in the background for them.
notes:
  - "The file has C(nodes), a mapping of names to what each node is: C(playbook), C(task) (one action with its options, on C(localhost) or
    on the hosts of C(limit)), C(command) or C(approval). All but approvals may have C(vars), C(timeout) (in seconds, a day by
    default), C(retries), C(retry_delay) (in seconds), C(semaphore) (as O(rstyczynski.ansible.async_job#module:semaphore), with C(name) and
    C(at_most)) and C(executor) (the host on which it runs); playbooks also C(inventory),
    C(limit), C(tags), C(skip_tags) and C(forks), tasks C(inventory), C(limit) and C(forks). An approval may have C(timeout), C(on_timeout)
    (V(reject), the default, or V(approve)) and C(allow_self)."
  - "C(after) says that a node waits for all of others, C(after_any) for any of them: a name, a list, or a mapping of names to
    C(succeeded), the default, C(failed) or C(finished). All that it waits for has to be settled first. Beside C(nodes), there may be
    C(name), C(params), C(vars), C(max_parallel) (how many nodes run at the same time) and C(recovered_is) (V(succeeded), the default, or
    V(failed): what RV(status) V(recovered) means for this task)."
  - "A parameter in C(params) may have C(default), C(choices), C(type) (V(any), V(str), V(int), V(float), V(bool), V(list), V(dict)),
    C(min), C(max), C(required), C(secret) and C(description). The value of a secret one is not stored: give it each time."
  - "The form of AWX is read as well: C(workflow_nodes) and C(job_templates), or what C(awx export) writes, as long as each
    job template has a playbook."
  - A playbook gets its variables in a file that only its user can read, and that is removed once it was read. They are, from the weakest to
    the strongest, C(vars) of the workflow and of the node, what nodes before it have set with M(ansible.builtin.set_stats), and the
    parameters. The latter two are data, and never templates.
  - C(async_workflow) holds C(name), C(run), C(node), C(attempt), and the C(directory) of the file. A node with C(task) works in a
    directory of its own, so that relative paths have to begin with that one.
  - A command finds its variables as JSON, less C(vars), in the file that C(ASYNC_WORKFLOW_VARIABLES) names.
  - What a task with C(no_log) sets is not passed on, only its name is noted. What Ansible Vault has encrypted stays encrypted, or is not
    passed on. Names that begin with C(ansible_) are not passed on either.
  - Paths in the file begin at its directory, which has to be there on the host of this task, too.
  - "C(notify) lists who is told of what: each with C(on), one or several of V(started), V(node_failed), V(approval), V(recovered),
    V(failed), V(succeeded) and V(cancelled); C(task), one action with its options; and a C(name), if it is to have one. It runs
    with C(no_log) and finds in C(async_workflow) what there is to tell. It is a job: sent once, or, if it was killed, at least once.
    One that fails changes nothing about the run, and is in RV(notified). The guide on playbooks has examples."
  - The playbook of a node gets the inventories of this command (C(-i)), unless it has its own, and nothing else from its command line.
    Passwords of vaults, users and other settings come from C(ansible.cfg), the environment (such as
    C(ANSIBLE_VAULT_PASSWORD_FILE)), the inventory and variables, as if you had started it by hand.
  - Nodes with another C(executor) are left to a task of this module on that host. Several hosts in one play are several drivers
    of the same run.
seealso:
  - module: rstyczynski.ansible.async_job
  - module: rstyczynski.ansible.async_job_approval
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_users
  - rstyczynski.ansible.async_job_progress
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  action:
    support: full
    details: The run is read and written in the process of the controller, its nodes run on the managed host.
  async:
    support: none
  check_mode:
    support: full
    details: Tells which nodes would run, which stand, and why. Nothing is written, and no host is contacted.
  connection:
    support: full
  diff_mode:
    support: none
  platform:
    support: partial
    platforms: posix
options:
  mode:
    description:
      - V(run) begins a run, or goes on with one.
      - V(resume) runs nodes of an ended run once more, those of O(nodes) or all that have failed, and decides anew on all that comes after
        them.
      - V(accept) takes the failed nodes of O(nodes) for succeeded ones, because of O(reason), and goes on from there.
      - V(cancel) stops what runs, and ends the run.
      - V(show) tells how a run is, and V(list) which runs there are.
    type: str
    choices: [run, resume, accept, cancel, show, list]
    default: run
  file:
    description:
      - The file of the workflow. Required to run nodes, so that what runs is never up to the store alone.
      - A relative path begins at the directory of the playbook; in the playbooks of this collection, at the current directory.
    type: path
  workflow:
    description:
      - The name of the workflow. Required to cancel and to show a run, and to choose one if O(file) holds several.
    type: str
  run:
    description:
      - The id of the run, one word. The same id is the same run. It is refused with another definition, or other parameters, than it
        began with.
      - The default of a new run is the time. Give one that a second try gives as well, such as that of a pipeline.
    type: str
  params:
    description:
      - Values of the parameters of the workflow, for a new run. To go on, only secret ones are needed.
    type: dict
  nodes:
    description:
      - The nodes that O(mode=resume) and O(mode=accept) are about.
    type: list
    elements: str
  reason:
    description:
      - Why it is accepted or cancelled, for the run.
    type: str
  stored_definition:
    description:
      - Whether to go on with the definition that the run began with although O(file) says something else by now.
      - What runs is up to whoever can write to the store then, unless records are signed (O(record_key_file)).
    type: bool
    default: false
  wait_timeout:
    description:
      - How long to wait if nothing but approvals is left, in seconds.
    type: int
    default: 0
  wait_interval:
    description:
      - How often to look at what runs, in seconds. In the beginning, it is looked at more often.
    type: int
    default: 5
  grace_period:
    description:
      - How long jobs have to end after C(TERM) when the run is cancelled, in seconds. Then they are killed.
    type: int
    default: 10
  claim_timeout:
    description:
      - For how long a driver that has begun to start a node may say nothing, in seconds, until another one finds out whether it has.
    type: float
    default: 60
  start_timeout:
    description:
      - How long the host may take to start jobs, in seconds.
    type: int
    default: 120
  look_timeout:
    description:
      - How long the host may take to answer, in seconds.
    type: int
    default: 60
  unreachable_timeout:
    description:
      - How long the host may be away, in seconds, until the task fails. The run goes on with the next one.
    type: int
    default: 300
"""

EXAMPLES = r"""
# pipeline.yml:
#   name: Deployment
#   params: {version: {default: latest}}
#   nodes:
#     build: {playbook: build.yml, retries: 1}
#     go_live: {approval: Release goes live, timeout: 3600, after: build}
#     deploy: {playbook: deploy.yml, limit: web, after: go_live}
#     rollback: {playbook: rollback.yml, after_any: {deploy: failed}}
- name: Run the workflow, or go on with it
  rstyczynski.ansible.async_workflow:
    file: pipeline.yml
    run: "{{ lookup('ansible.builtin.env', 'CI_PIPELINE_ID') | default('by-hand-7', true) }}"
    params:
      version: 1.4.2

- name: Run once more what has failed
  rstyczynski.ansible.async_workflow:
    mode: resume
    file: pipeline.yml
    run: "4711"

- name: Take a node that has failed for good
  rstyczynski.ansible.async_workflow:
    mode: accept
    file: pipeline.yml
    run: "4711"
    nodes: [deploy]
    reason: web3 is gone for good
"""

RETURN = r"""
status:
  description: How the run is.
  returned: success; not for a list
  type: str
  choices: [running, cancelling, succeeded, recovered, failed, cancelled]
  sample: recovered
finished:
  description: Whether the run has ended.
  returned: success; not for a list, nor in check mode
  type: bool
  sample: true
workflow:
  description: The name of the workflow.
  returned: success; not for a list
  type: str
  sample: Deployment
run:
  description: The id of the run.
  returned: success; not for a list
  type: str
  sample: "4711"
nodes:
  description:
    - How each node is, in the order of the file. C(state) is V(waiting), V(skipped), V(due), V(backoff) or V(ended); C(attempt) is
      the number of its attempt. Of one that has ended, C(outcome) says how, C(why) why, C(artifacts) holds what it has set,
      each as C(value) or C(vault); C(secret) names what it has set and keeps to itself; C(counts) has the counts of each host;
      C(problems) says where it has failed.
  returned: success; not for a list, nor in check mode
  type: dict
  sample:
    build: {state: ended, attempt: 2, outcome: succeeded, artifacts: {version: {value: 1.4.2}}}
    rollback: {state: skipped, attempt: 0, why: "deploy has succeeded, and this runs when it has failed"}
artifacts:
  description: What nodes have set with M(ansible.builtin.set_stats), less what is secret or encrypted. Of one name, the last one counts.
  returned: success; not for a list, nor in check mode
  type: dict
  sample: {version: 1.4.2}
notified:
  description: The notifications that were sent, each with what was wrong with it. Empty if nothing was.
  returned: success; not for a list, nor in check mode
  type: dict
  sample: {"failed 2026-11-27T12:03:00Z, slack": ""}
plan:
  description: For each node, what would happen, and why.
  returned: in check mode
  type: list
  elements: dict
  sample: [{node: build, would: stands, why: "it has ended: succeeded"}]
runs:
  description: The runs, the newest first.
  returned: for a list
  type: list
  elements: dict
  sample: [{workflow: Deployment, run: "4711", status: failed, started: "2026-07-01T12:00:00Z", started_by: ann@ctl, ended: ""}]
unreadable:
  description: The runs that cannot be read, each with C(state_file) and C(msg).
  returned: for a list
  type: list
  elements: dict
  sample: []
state_file:
  description: The place of the run.
  returned: success; not for a list, nor in check mode
  type: str
  sample: /srv/playbooks/.ansible_async_state/.workflows/Deployment/4711.json
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_workflow


def main() -> None:
    """Say that all is done by the action."""
    module = AnsibleModule(argument_spec=async_workflow.ARGUMENT_SPEC, required_if=async_workflow.REQUIRED_IF, supports_check_mode=True)
    module.fail_json(msg="async_workflow drives jobs of Ansible, which only its action plugin can do. Run it as a task of a playbook.")


if __name__ == "__main__":
    main()
