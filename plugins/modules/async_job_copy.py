#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_copy
short_description: Copy the records of named jobs, and runs and approvals, from one store to another
version_added: 0.1.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Copies all records of the store that O(source) describes into the store that the other options, the variables, and
    C(module_defaults) choose, as for the other modules of this collection.
  - A record is copied if it is not yet there, or if the one that is there is an earlier state of the job. Of two attempts, their histories
    tell which one is earlier, otherwise when they were saved. What is later or as old is left alone, and so are jobs that are just being
    started, in either store. Nothing is removed.
  - So are approvals, runs of workflows with the locks that they hold, and the slots of semaphores that jobs have which go on. An approval
    or a run is copied only where there is none, or an earlier state of the same one; what has gone another way there is left alone
    (RV(different)). A run is copied once all of its jobs are there as they are in the old store.
  - The cursors of event sources are not copied. Such a source begins anew in the other store, and tells nothing of what was before.
  - It can be interrupted and run again at any time.
  - Let no playbook use the old store while the records move. A job that it starts there after its record was looked at is
    found only by the next copy. A run that goes on (RV(going_on)) is to be driven from the new store alone from then on; otherwise, each
    store has its own idea of what has run, and a node may run twice.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Where the records are now: O(source)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
seealso:
  - module: rstyczynski.ansible.async_job_info
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  source:
    description:
      - Where the records are now, as a dictionary of the options of the store, O(backend), O(state_dir), O(oci_bucket) and so
        on. What it does not hold comes from the environment, or is the default. Without O(backend), a source with
        O(state_dir) is V(filesystem), and one with O(oci_bucket) is V(oci).
      - V(backend=oci,oci_bucket=jobs) is short for such a dictionary.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say which records would move into the bucket
  rstyczynski.ansible.async_job_copy:
    source:
      backend: filesystem
      state_dir: /srv/jobs
    backend: oci
    oci_bucket: jobs
  run_once: true
  check_mode: true

- name: Copy them
  rstyczynski.ansible.async_job_copy:
    source:
      backend: filesystem
      state_dir: /srv/jobs
    backend: oci
    oci_bucket: jobs
  run_once: true
"""

RETURN = r"""
copied:
  description:
    - The paths of the records that were copied, or would be in check mode. Those of approvals, runs and locks begin with C(.approvals),
      C(.workflows) and C(.workflow_locks), here and in the other lists.
  returned: always
  type: list
  elements: str
  sample: [db01/Nightly backup/backup.json]
identical:
  description: The paths of those that were there already.
  returned: always
  type: list
  elements: str
newer:
  description: The paths of those that were left alone because the destination has a record that is later, or as old.
  returned: always
  type: list
  elements: str
different:
  description:
    - The paths of approvals, runs and locks that were left alone because the destination has another one of that name, or one that has gone
      another way. Which of the two counts is for you to say; remove the other one.
  returned: always
  type: list
  elements: str
going_on:
  description: The paths of those copied runs that have not ended.
  returned: always
  type: list
  elements: str
  sample: [.workflows/Deployment/4711.json]
starting:
  description: The paths of those that were left alone because their job, or one of their jobs, is just being started.
  returned: always
  type: list
  elements: str
changed_meanwhile:
  description: The paths of those that somebody else saved in the destination at the same moment. The next copy looks at them.
  returned: always
  type: list
  elements: str
failures:
  description: The documents that could not be read or written, each with the reason. If there are any, the task fails.
  returned: always
  type: list
  elements: dict
  contains:
    state_file:
      description: The place of the record in the source.
      type: str
    msg:
      description: What failed, and what to do.
      type: str
source:
  description: The place of the store that was copied.
  returned: always
  type: str
  sample: /srv/jobs
destination:
  description: The place of the store that was copied to.
  returned: always
  type: str
  sample: oci://jobs/
"""


from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_copy
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS


def main() -> None:
    """Work without the action plugin, which otherwise makes relative directories relative to the playbook."""
    module = AnsibleModule(argument_spec=async_job_copy.ARGUMENT_SPEC, supports_check_mode=True)
    try:
        validation = ArgumentSpecValidator(STORE_OPTIONS).validate(async_job_copy.source_options(module.params["source"]))
        if validation.error_messages:
            module.fail_json(msg=f"source: {validation.errors.msg}")
        source = validation.validated_parameters
        result = async_job_copy.run(module.params, source=source, check_mode=module.check_mode)
    except AsyncJobError as error:
        module.fail_json(msg=str(error))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
