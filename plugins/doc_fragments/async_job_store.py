# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where the records are: the options of C(module_utils/_options.py)."""

    DOCUMENTATION = r"""
options:
  backend:
    description:
      - Where records are kept. V(filesystem) is a directory of the controller, V(oci) a bucket of OCI Object Storage.
      - Each of the options of the store can also be set once for all modules and roles of this collection. The first of
        these that is there counts, the option of the task; inside the roles, the variable C(<role>_<option>); the
        variable C(async_job_<option>), here C(async_job_backend); C(module_defaults) of the action group
        C(rstyczynski.ansible.async_job); the environment variable that the option names; the default.
      - Environment variable E(ASYNC_JOB_BACKEND).
    type: str
    choices: [filesystem, oci]
    default: filesystem
  state_dir:
    description:
      - With O(backend=filesystem), the directory of the records. It is made when it is first needed.
      - A relative path is relative to the directory of the playbook; for the playbooks that come with this collection, to
        the current directory.
      - Environment variable E(ASYNC_JOB_STATE_DIR).
    type: path
    default: .ansible_async_state
  oci_bucket:
    description:
      - With O(backend=oci), the name of the bucket.
      - Environment variable E(ASYNC_JOB_OCI_BUCKET).
    type: str
  oci_namespace:
    description:
      - With O(backend=oci), the Object Storage namespace of the bucket.
      - Environment variable E(ASYNC_JOB_OCI_NAMESPACE).
    type: str
  oci_profile:
    description:
      - With O(backend=oci), the profile of the OCI configuration file.
      - Environment variable E(OCI_CONFIG_PROFILE).
    type: str
    default: DEFAULT
"""
