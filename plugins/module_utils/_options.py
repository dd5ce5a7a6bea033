# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that tasks of this collection share, written once.

The documentation of the store options is in the fragment C(async_job_store); a test holds the two against each other.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

Spec = t.Dict[str, t.Dict[str, t.Any]]


def _option(environment: str, **spec: t.Any) -> dict[str, t.Any]:
    return {"type": "str", "fallback": (env_fallback, [environment]), **spec}


# Where the records are. Roles take each of these as <role>_<option>, and roles and modules as async_job_<option>.
STORE_OPTIONS: Spec = {
    "backend": _option("ASYNC_JOB_BACKEND", choices=["filesystem", "oci"], default="filesystem"),
    "state_dir": _option("ASYNC_JOB_STATE_DIR", type="path", default=".ansible_async_state"),
    "oci_bucket": _option("ASYNC_JOB_OCI_BUCKET"),
    "oci_namespace": _option("ASYNC_JOB_OCI_NAMESPACE"),
    "oci_profile": _option("OCI_CONFIG_PROFILE", default="DEFAULT"),
}

# Which job. Through Ansible, an action plugin fills in the host and the playbook.
JOB_OPTIONS: Spec = {
    "job_name": {"type": "str"},
    "playbook_name": {"type": "str"},
    "host": {"type": "str"},
}
