#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_workflow
short_description: Run several playbooks as one, with edges, approvals and retries, and go on where it stopped
version_added: 1.1.0
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
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which run, and what to do: O(mode), O(file), O(workflow), O(run), O(params), O(nodes), O(reason), O(stored_definition)."
  - "How long to wait for people, and how often to look: O(wait_timeout), O(tick_timeout), O(wait_interval), O(grace_period)."
  - "How long to wait for a host or another controller: O(claim_timeout), O(start_timeout), O(look_timeout), O(unreachable_timeout),
    O(executor_timeout)."
  - "What to show, and as whom to look: O(progress), O(become_recorded_user)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - Python 3.7 or newer on the managed host, as far as the ansible-core of the controller takes it
  - the Python package C(python-dateutil) on the controller, for O(mode=tick) with C(schedules) alone
notes:
  - "The file has C(nodes), a mapping of names to what each node is: C(playbook), C(task) (one action with its options, on C(localhost) or
    on the hosts of C(limit)), C(command), C(approval) or C(workflow) (another file). Playbooks, tasks and commands may have C(vars),
    C(timeout) (in seconds, a day by default), C(retries), C(retry_delay) (in seconds), C(semaphore) (as
    O(rstyczynski.ansible.async_job#module:semaphore), with C(name) and C(at_most)) and C(executor) (the host on which it runs);
    playbooks also C(inventory), C(limit), C(tags), C(skip_tags) and C(forks), tasks C(inventory), C(limit) and C(forks). An approval
    may have C(timeout), C(on_timeout) (V(reject), the default, or V(approve)) and C(allow_self). When it asks anew after
    O(mode=resume), the number of the attempt is behind its name: go_live (2)."
  - "All but approvals may have C(for_each): a list, C({param: NAME}), a parameter that is one, or C({node: NAME, artifact: NAME}), a
    list that a node before it has set. It runs for each item, at most C(max_parallel) at the same time. The item is in
    C(async_workflow.item), its number, from 0, in C(async_workflow.index), and C(item_var) names another variable for it; a
    command finds it in C(ASYNC_WORKFLOW_ITEM), too. The items are what they are when the node begins. It has failed if any of them has,
    and says how many; with O(mode=resume), only those run once more. What its items set with M(ansible.builtin.set_stats) becomes a
    list, in the order of the items, with null for an item that has not set it. An item is called C(deploy[3])."
  - "A node with C(workflow) runs the nodes of another file, with its own C(params): fixed ones (C(params)), and others that get the value
    of a parameter, of an item (its C(item_var)) or of what a node before it has set (C(params_from), a mapping of parameters to
    names). C(name) chooses one of several workflows in that file. What its nodes set is seen by those that come after. It succeeds and
    fails as a run does; with O(mode=resume), only what has failed inside runs once more. Its nodes are called
    C(release/deploy), in O(nodes) and in the names of their jobs and approvals. Paths in it begin at its directory."
  - "C(after) says that a node waits for all of others, C(after_any) for any of them: a name, a list, or a mapping of names to
    C(succeeded), the default, C(failed) or C(finished). All that it waits for has to be settled first. Beside C(nodes), there may be
    C(name), C(params), C(vars), C(max_parallel) (how many nodes run at the same time), C(recovered_is) (V(succeeded), the default, or
    V(failed): what RV(status) V(recovered) means for this task), C(allow_simultaneous) and C(schedules)."
  - "With C(allow_simultaneous: false), a run is refused, and the one that goes on is named, until that has ended. Nobody takes its
    place when its drivers have died: go on with it, or cancel it. Where such a workflow is a node of another one, that counts for the
    whole run of the outer one. In what AWX exports, this is mostly V(false)."
  - "C(schedules) is a list, each with C(rrule), as RFC 5545 has it (C(DTSTART:20260101T020000Z RRULE:FREQ=DAILY), or
    C(DTSTART;TZID=Europe/Warsaw:20260101T020000 RRULE:FREQ=WEEKLY;BYDAY=MO)), C(params), C(name) (needed if there are several),
    C(enabled) and C(catch_up). What is due begins with O(mode=tick), and the moment is the id of its run, so that it begins once, however
    many machines ask, and whatever their clocks do. After an outage, the last one begins, or with C(catch_up) each of them, up to 100. The
    first one of a schedule that is new, or was changed, begins within an hour, or not at all. A run goes on when its schedule changes.
    python-dateutil has to be installed on the controller for that."
  - "A parameter in C(params) may have C(default), C(choices), C(type) (V(any), V(str), V(int), V(float), V(bool), V(list), V(dict)),
    C(min), C(max), C(required), C(secret) and C(description). The value of a secret one is not stored: give it each time."
  - "The form of AWX is read as well: C(workflow_nodes) and C(job_templates), or what C(awx export) writes, as long as each
    job template has a playbook."
  - A playbook gets its variables in a file that only its user can read, and that is removed once it was read. They are, from the weakest to
    the strongest, C(vars) of the workflow and of the node, what nodes before it have set with M(ansible.builtin.set_stats), and the
    parameters. The latter two are data from there on, and never templates; O(params) itself is an option like others, so that
    what gives a value to it, such as C(-e), may be a template. What a template yields is text before ansible-core 2.19, so that
    C("{{ machines | length }}") sets no number there.
  - C(async_workflow) holds C(name), C(run), C(node), C(attempt), and the C(directory) of the file. A node with C(task) works in a
    directory of its own, so that relative paths have to begin with that one.
  - A command finds its variables as JSON, less C(vars), in the file that C(ASYNC_WORKFLOW_VARIABLES) names.
  - What a task with C(no_log) sets is not passed on, only its name is noted. What Ansible Vault has encrypted stays encrypted, or is not
    passed on. Names that begin with C(ansible_) are not passed on either.
  - Paths in the file begin at its directory, which has to be there on the host of this task, too.
  - "C(notify) lists who is told of what: each with C(on), one or several of V(started), V(node_failed), V(approval), V(recovered),
    V(failed), V(succeeded) and V(cancelled); C(task), one action with its options; and a C(name), if it is to have one. It runs
    with C(no_log) and finds in C(async_workflow) what there is to tell. It is a job: sent once, or, if it was killed, at least once.
    One that fails changes nothing about the run, and is in RV(notified). Of workflows inside, the outer one tells; of items, only whom
    to ask. The guide on playbooks has examples."
  - The playbook of a node gets the inventories of this command (C(-i)), unless it has its own, and nothing else from its command line.
    Passwords of vaults, users and other settings come from C(ansible.cfg), the environment (such as
    C(ANSIBLE_VAULT_PASSWORD_FILE)), the inventory and variables, as if you had started it by hand.
  - Nodes with another C(executor) are left to a task of this module on that host, for which this one waits (O(executor_timeout)). Several
    hosts in one play are several drivers of the same run. If the project is in a Git repository, such a host has to have it at the same
    commit, in the same directory; else nothing is started, and both commits are named. The run notes the commit at which it began.
  - A node on the localhost of another controller cannot be seen from here. It is not taken for lost; the task ends, and says where to go
    on. What ends with this container, or with this service, is said before it starts, where that can be seen.
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
      - V(tick) begins the runs of C(schedules) that are due, and goes on with all runs of the workflow that can go on, because somebody has
        approved meanwhile, a job has ended, or it is time for another try. It is for cron, on any number of machines.
    type: str
    choices: [run, resume, accept, cancel, show, list, tick]
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
      - The nodes that O(mode=resume) and O(mode=accept) are about, or parts of them, such as V(deploy[3]) and V(release/deploy).
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
  tick_timeout:
    description:
      - How long O(mode=tick) drives what goes on, in seconds, before it leaves that to the next one. With V(0), it only begins what is due.
    type: int
    default: 50
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
      - How long the host may be away once the run is driven, in seconds, until the task fails. The run goes on with the next one. If the
        host is away when the task begins, that fails at once, and nothing was started.
    type: int
    default: 300
  executor_timeout:
    description:
      - How long to wait for nodes of other hosts (C(executor)) when nothing else is left, in seconds. A node that no task of this workflow
        on its host has begun for so long makes this task fail, and say so; the run stays as it is, and goes on with the next one.
      - One that has begun there may take as long as its own C(timeout) more.
    type: int
    default: 600
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

# fleet.yml:
#   name: Fleet
#   allow_simultaneous: false
#   schedules: [{rrule: "DTSTART;TZID=Europe/Warsaw:20260101T023000 RRULE:FREQ=DAILY"}]
#   nodes:
#     find: {playbook: find.yml} # set_stats: {data: {machines: [web1, web2, web3]}}
#     upgrade:
#       playbook: upgrade.yml # hosts: "{{ machine }}"
#       for_each: {node: find, artifact: machines}
#       item_var: machine
#       max_parallel: 20
#       after: find
#     release: {workflow: pipeline.yml, params: {version: 1.4.2}, after: upgrade}
- name: Begin what is due, and go on with what can go on
  rstyczynski.ansible.async_workflow:
    mode: tick
    file: fleet.yml

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
  returned: success; not for a list, nor for a tick
  type: str
  choices: [running, cancelling, succeeded, recovered, failed, cancelled]
  sample: recovered
finished:
  description: Whether the run has ended.
  returned: success; not for a list or a tick, nor in check mode
  type: bool
  sample: true
workflow:
  description: The name of the workflow.
  returned: success; not for a list
  type: str
  sample: Deployment
run:
  description: The id of the run.
  returned: success; not for a list, nor for a tick
  type: str
  sample: "4711"
nodes:
  description:
    - How each node is, in the order of the file. C(state) is V(waiting), V(skipped), V(due), V(backoff) or V(ended); C(attempt) is
      the number of its attempt. Of one that has ended, C(outcome) says how, C(why) why, C(artifacts) holds what it has set,
      each as C(value) or C(vault); C(secret) names what it has set and keeps to itself; C(counts) has the counts of each host;
      C(problems) says where it has failed. One with C(for_each) has C(items), each like a node, and C(values), if they were found on the
      way; one that is a workflow has C(nodes).
  returned: success; not for a list or a tick, nor in check mode
  type: dict
  sample:
    build: {state: ended, attempt: 2, outcome: succeeded, artifacts: {version: {value: 1.4.2}}}
    rollback: {state: skipped, attempt: 0, why: "deploy has succeeded, and this runs when it has failed"}
artifacts:
  description: What nodes have set with M(ansible.builtin.set_stats), less what is secret or encrypted. Of one name, the later node counts.
  returned: success; not for a list or a tick, nor in check mode
  type: dict
  sample: {version: 1.4.2}
problem:
  description: Why the task has failed, for a playbook that goes on all the same (C(failed_when)). Empty if it has not.
  returned: for O(mode=run), O(mode=resume) and O(mode=accept), not in check mode
  type: str
  sample: "The run '4711' of 'Deployment': failed. deploy: failed, web2: Restart web: no such service."
notified:
  description: The notifications that were sent, each with what was wrong with it. Empty if nothing was.
  returned: success; not for a list or a tick, nor in check mode
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
started:
  description: The ids of the runs that have begun by a schedule.
  returned: for a tick
  type: list
  elements: str
  sample: [schedule-2026-07-01T00-30-00Z]
ended_runs:
  description: How those runs have ended that did, by their ids.
  returned: for a tick
  type: dict
  sample: {"4711": succeeded}
left:
  description: How the other runs are, by their ids.
  returned: for a tick
  type: dict
  sample: {"4712": running}
problems:
  description:
    - What could not be begun or gone on with, each with C(run), the id or the name of a schedule, and C(msg). If there are any, the
      task has failed.
  returned: for a tick
  type: list
  elements: dict
  sample: []
unreadable:
  description: The runs that cannot be read, each with C(state_file) and C(msg).
  returned: for a list
  type: list
  elements: dict
  sample: []
state_file:
  description: The place of the run.
  returned: success; not for a list or a tick, nor in check mode
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
