#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_sign
short_description: Sign the records, approvals and cursors of events that are in a store
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Signs with the first key of O(record_key_file) whatever in the store carries no signature, or one of another key of that file. Do so
    before the other modules of this collection are given that file for the first time, and after a new key was put before the others.
  - What is signed counts as genuine from then on, whoever has written it. Look at what there is in check mode first.
  - What carries a wrong signature, or one of a key that the file does not hold, is named, and left alone.
  - So is what cannot be read as a record or approval of the place where it is, and what cannot be written. The others are signed.
  - So are jobs that are just being started. Run it again when they have started.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "What to sign: O(replace)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
seealso:
  - module: rstyczynski.ansible.async_job_info
  - name: Security
    description: A guide on who can do what, and how signatures help.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_security.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  replace:
    description:
      - Whether to sign what carries a wrong signature, too, for example because the key that has signed it was lost.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say what there is to sign
  rstyczynski.ansible.async_job_sign:
    state_dir: /srv/jobs
    record_key_file: ~/.ansible/async_job_key
  run_once: true
  check_mode: true

- name: Sign it
  rstyczynski.ansible.async_job_sign:
    state_dir: /srv/jobs
    record_key_file: ~/.ansible/async_job_key
  run_once: true
"""

RETURN = r"""
signed:
  description: The paths of the documents that were signed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [db01/Nightly backup/backup.json, .approvals/Release/production.json]
unchanged:
  description: The paths of those that the first key has signed already.
  returned: always
  type: list
  elements: str
starting:
  description: The paths of those that were left alone because their job is just being started.
  returned: always
  type: list
  elements: str
changed_meanwhile:
  description: The paths of those that somebody else saved at the same moment.
  returned: always
  type: list
  elements: str
failures:
  description:
    - What cannot be read as a record or approval, cannot be written, or carries a wrong signature. If there is any, the task fails.
  returned: always
  type: list
  elements: dict
  contains:
    state_file:
      description: The place of the record or approval. What is no UTF-8 in its name is written as in C(\xe9), here and in the other lists.
      type: str
    msg:
      description: What is wrong, and what to do.
      type: str
summary:
  description: How many were signed, were signed already, and were left alone, and why.
  returned: always
  type: str
  sample: 12 documents were signed, 0 were signed already, and 1 were left alone (1 being started)
store:
  description: The place of the store.
  returned: always
  type: str
  sample: /srv/jobs
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_sign


def main() -> None:
    """Work without the action plugin, which otherwise makes relative paths relative to the playbook."""
    module = AnsibleModule(argument_spec=async_job_sign.ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = async_job_sign.run(module.params, check_mode=module.check_mode)
    except AsyncJobError as error:
        module.fail_json(msg=str(error))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
