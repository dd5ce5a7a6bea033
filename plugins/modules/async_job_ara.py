#!/usr/bin/python
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: async_job_ara
short_description: Set right in ARA the runs that were killed
version_added: 1.1.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - ARA learns of the end of a run from that run. One that was killed, or whose controller went down, is C(running) there for ever.
  - This reads the records of named jobs. They name the runs that have started an attempt, or have seen it end, while the callback of ARA
    was active. Where it is proven that such a run has ended, its playbook, and what goes on in it by what ARA says, becomes C(expired),
    as ARA itself calls what has ended by a signal.
  - A run is proven to have ended if this task runs where that run did, in the same boot and the same container, and its process is not
    there any more; or on the same machine, outside of containers, after a boot. Run it on the controller that runs the playbooks.
  - All others are left alone, and so is a playbook of which ARA does not say what the record says. These are returned as RV(unclear).
  - No host is contacted, and no record is changed. What became of the job itself, the jobs tell; see
    M(rstyczynski.ansible.async_job_verify).
  - The playbook C(rstyczynski.ansible.ara_sync) does this.
  - The options are listed in alphabetical order. By what they are for, they are these.
  - "Which jobs: O(host), O(playbook_name), O(job_name_pattern)."
  - "Which ARA, unless its callback is active in this run: O(api_client), O(api_server)."
  - All others are about the store, which is mostly set once for all tasks, see O(backend).
requirements:
  - ara 1.7 or newer on the controller; for V(offline), with its server
seealso:
  - module: rstyczynski.ansible.async_job_verify
  - name: ARA
    description: A guide on jobs and ARA.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_ara.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  host:
    description:
      - Only jobs of this host.
    type: str
  playbook_name:
    description:
      - Only jobs of this playbook.
    type: str
  job_name_pattern:
    description:
      - Only jobs whose name fits this pattern, in which C(*), C(?) and C([...]) mean what they mean to a shell.
    type: str
  api_client:
    description:
      - How to reach ARA. With V(offline), its database is used from here, as its callback does without a server.
      - All else that ARA takes from its environment, such as C(ARA_API_USERNAME), C(ARA_API_CA) and C(ARA_BASE_DIR), is taken from there.
      - Environment variable E(ARA_API_CLIENT).
    type: str
    choices: [offline, http]
    default: offline
  api_server:
    description:
      - Where the server of ARA is, for V(http).
      - Environment variable E(ARA_API_SERVER).
    type: str
    default: http://127.0.0.1:8000
"""

EXAMPLES = r"""
- name: Set right in ARA the runs that were killed
  rstyczynski.ansible.async_job_ara:
  run_once: true

# On the command line:
#   ansible-playbook rstyczynski.ansible.ara_sync -e async_job_state_dir=/srv/jobs -e apply=true
"""

RETURN = r"""
playbooks:
  description: How many playbooks of ARA the records name.
  returned: success, and when records cannot be read
  type: int
  sample: 12
expired:
  description: Those that have become C(expired), each with its C(id) and its C(path) in ARA, and the C(jobs) that have proven it.
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: [{id: 7, path: /srv/playbooks/migrate.yml, jobs: [{host: db01, playbook_name: Migrate, job_name: migrate_2024}]}]
unclear:
  description: Those that are C(running) in ARA, and of which nobody can tell from here, each with its C(id), its C(path) in ARA, a
    C(reason), which says what to do, and its C(jobs).
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: []
store:
  description: The place of the store.
  returned: success, and when records cannot be read
  type: str
  sample: /srv/playbooks/.ansible_async_state
unreadable:
  description: The records that cannot be read, each with C(state_file) and C(msg).
  returned: success, and when records cannot be read
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_ara


def main() -> None:
    """Work without the action plugin."""
    module = AnsibleModule(argument_spec=async_job_ara.ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = async_job_ara.run(module.params, check_mode=module.check_mode)
    except AsyncJobError as error:
        module.fail_json(msg=str(error))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
