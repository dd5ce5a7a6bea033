#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_approval
short_description: Ask a person before going on, and remember the answer
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - A gate in a playbook, kept in the same store as the records of jobs. A task asks for an approval, another one waits for it. Somebody
    approves or rejects it from wherever the store can be reached, minutes or days later.
  - If nobody has decided yet, the playbook can end. Run it again, and it goes on from there.
  - The managed host is not contacted.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which approval, and what to do: O(name), O(playbook_name), O(mode), O(subject), O(request)."
  - "To ask: O(expires_in), O(allow_self), O(renew)."
  - "To wait: O(wait_timeout), O(wait_interval)."
  - "Who, and why: O(by), O(reason)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
notes:
  - An approval proves that somebody who may write to the store has decided on this request, and nothing more. Who may write there can
    also write an approval by hand, in any name. Let those write who may approve, and nobody else; where that cannot be, sign what is in
    the store.
  - Whoever decides is known by the user id of the system that Ansible runs as, whatever C(LOGNAME) and C(USER) say; in AWX, where all
    jobs run as one user, by C(awx_user_name), which AWX sets. Outside AWX, that variable does not count. Who can start
    C(ansible-playbook) with the environment of an AWX job can take any name there, and so can who may give variables to a launch of it.
  - A name of a person may not mix letters of different alphabets, and names that look the same count as the same.
  - O(name), O(playbook_name) and O(subject) may not hold marks of a template, for they end up in commands that people paste.
  - Requests of an older release have no id, and are decided by their O(subject).
  - An approval that was given in time stays valid for its O(subject). Put into that, or into O(name), what tells this time from the
    next one, for example the number of the release.
  - Times are compared by the clocks of the controllers.
seealso:
  - module: rstyczynski.ansible.async_job
  - module: ansible.builtin.pause
  - name: User guide
    description: It has a part on approvals.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_user.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  name:
    description:
      - The name of the approval, unique within its playbook. Required, but for O(mode=list).
    type: str
  playbook_name:
    description:
      - The name of the playbook that the approval belongs to. The default is the name of the play; for O(mode=list), any.
    type: str
  mode:
    description:
      - What to do.
      - V(request) asks for the approval, unless it was asked for already, with the same O(allow_self). If it was given for the same
        O(subject), it stands; if it was given for another one, it does not, and is asked for anew. A request that has expired is
        renewed.
      - V(wait) waits for O(wait_timeout) seconds, and then returns RV(status=requested), which is no failure. It fails if the approval
        was rejected, or the request has expired.
      - V(approve) and V(reject) decide, and need O(request) or O(subject), so that nobody decides on something else than they think of.
        What was decided cannot be decided otherwise.
      - V(list) prints what awaits a decision, with the commands that approve and reject it, and returns it in RV(approvals). So does the
        playbook C(rstyczynski.ansible.approvals) from the command line. What was decided, or has expired, is not in the list.
    type: str
    choices: [request, wait, approve, reject, list]
    required: true
  subject:
    description:
      - What is to be approved, for the person who does so. Required to ask.
      - For the other modes, the approval has to be about this, if it is given.
    type: str
  request:
    description:
      - The id of a request, which C(request_id) of RV(approval) tells, and the command that is printed. For the other modes than
        V(request), it has to be what is asked for, if it is given.
    type: str
  by:
    description:
      - Who asks or decides, C(user) or C(user@place), beside the user that Ansible runs as, which is noted too.
      - It does not let the user who has asked approve, even if the names differ. See O(allow_self).
    type: str
  reason:
    description:
      - Why, for the history.
    type: str
  expires_in:
    description:
      - For how long to ask, in seconds. After that, it can neither be approved nor rejected. V(0) means for ever.
    type: int
    default: 86400
  allow_self:
    description:
      - Whether the user who asks may approve as well. That is said when it is asked for. It takes O(allow_self=true) as well where several
        people use one controller as the same user.
    type: bool
    default: false
  renew:
    description:
      - Whether to ask anew for what was rejected.
    type: bool
    default: false
  wait_timeout:
    description:
      - For how long to wait for the decision, in seconds.
    type: int
    default: 0
  wait_interval:
    description:
      - How often to look, in seconds.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Ask
  rstyczynski.ansible.async_job_approval:
    name: go_live
    mode: request
    subject: Release {{ version }} goes live
    expires_in: 172800

- name: Wait for a quarter of an hour
  rstyczynski.ansible.async_job_approval:
    name: go_live
    mode: wait
    subject: Release {{ version }} goes live
    wait_timeout: 900
  register: go_live

- name: End here until somebody has decided. Run the playbook again then.
  ansible.builtin.meta: end_play
  when: not go_live.approved

- name: Say what awaits approval
  rstyczynski.ansible.async_job_approval:
    mode: list

# On the command line:
#   ansible-playbook rstyczynski.ansible.approvals
#   ansible-playbook rstyczynski.ansible.approve -e playbook=Release -e approval=go_live -e request=4c1d8a6e0f2b4a53b1c7d29e6f8a0b35
#   ansible-playbook rstyczynski.ansible.reject -e playbook=Release -e approval=go_live -e "subject='Release 7 goes live'"
- name: Approve
  rstyczynski.ansible.async_job_approval:
    name: go_live
    playbook_name: Release
    mode: approve
    subject: Release 7 goes live
    reason: tests are green
"""

RETURN = r"""
approved:
  description: Whether the approval was given.
  returned: success, unless O(mode=list)
  type: bool
  sample: false
status:
  description: V(requested), V(approved), V(rejected), or V(expired).
  returned: success, unless O(mode=list)
  type: str
  sample: requested
msg:
  description: The status in a sentence, with what led to it.
  returned: always
  type: str
  sample: "The approval 'go_live' of playbook 'Release': awaiting approval until 2026-02-02T03:12:09Z: Release 7 (asked for by ci@runner1)"
approval:
  description: The approval as it is in the store, with its whole history.
  returned: success, unless O(mode=list)
  type: dict
  sample: {approval_name: go_live, playbook_name: Release, status: requested, subject: Release 7 goes live, requested_by: ci@runner1,
    request_id: 4c1d8a6e0f2b4a53b1c7d29e6f8a0b35}
approvals:
  description: The requests that await a decision, the oldest first.
  returned: with O(mode=list)
  type: list
  elements: dict
  contains:
    approval_name:
      description: The name of the approval.
      type: str
    playbook_name:
      description: The name of the playbook that it belongs to.
      type: str
    subject:
      description: What is to be approved.
      type: str
    request_id:
      description: The id of the request. Requests of older releases have none.
      type: str
    requested_by:
      description: Who asks, by the name that they give.
      type: str
    asked_by:
      description: The same, with the user that they are.
      type: str
    requested_at:
      description: Since when.
      type: str
    expires:
      description: Until when it can be decided. Empty if it does not expire.
      type: str
    allow_self:
      description: Whether the user who asks may approve as well.
      type: bool
    approve:
      description: The command that approves this request. Empty if none can be printed.
      type: str
    reject:
      description: The command that rejects it. Empty if none can be printed.
      type: str
    state_file:
      description: The place of the approval.
      type: str
unreadable:
  description: The approvals that cannot be read, each with C(state_file) and C(msg). If there are any, the task fails.
  returned: with O(mode=list)
  type: list
  elements: dict
  sample: []
store:
  description: The place of the store.
  returned: with O(mode=list)
  type: str
  sample: /srv/playbooks/.ansible_async_state
lines:
  description: What there is to print, if the module runs without its action plugin, which prints it.
  returned: with O(mode=list), without the action plugin
  type: list
  elements: str
  sample: ["Nothing awaits approval in /srv/playbooks/.ansible_async_state."]
state_file:
  description: The place of the approval.
  returned: success, unless O(mode=list)
  type: str
  sample: /srv/playbooks/.ansible_async_state/.approvals/Release/go_live.json
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval


def main() -> None:
    """Work without the action plugin, which otherwise fills in the playbook."""
    module = AnsibleModule(
        argument_spec=async_job_approval.ARGUMENT_SPEC, required_if=async_job_approval.REQUIRED_IF, supports_check_mode=True
    )
    if module.params["playbook_name"] is None and module.params["mode"] != "list":
        module.fail_json(msg="playbook_name is needed where this module does not run through its action plugin.")
    try:
        result = async_job_approval.run(module.params, check_mode=module.check_mode)
    except AsyncJobError as error:
        module.fail_json(msg=str(error))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
