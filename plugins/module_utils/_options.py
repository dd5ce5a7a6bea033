# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that tasks of this collection share, written once.

The documentation of the store options is in the fragment C(async_job_store); a test holds the two against each other.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.errors import AnsibleFallbackNotFound

from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import STATUSES

Spec = t.Dict[str, t.Dict[str, t.Any]]


def _option(*environment: str, **spec: t.Any) -> dict[str, t.Any]:
    return {"type": "str", "fallback": (_environment, list(environment)), **spec}


def _environment(*names: str, **_kwargs: t.Any) -> str:
    """The first of these variables that says something. Pipelines set variables of secrets that there are not to nothing."""
    for name in names:
        if os.environ.get(name):
            return os.environ[name]
    raise AnsibleFallbackNotFound


# Where the records are. Roles take each of these as <role>_<option>, and roles and modules as async_job_<option>.
# The aliases, and the environment variables that begin with OCI_, are those of the collection oracle.oci.
STORE_OPTIONS: Spec = {
    "backend": _option("ASYNC_JOB_BACKEND", choices=["filesystem", "oci"], default="filesystem"),
    "state_dir": _option("ASYNC_JOB_STATE_DIR", type="path", default=".ansible_async_state"),
    "oci_bucket": _option("ASYNC_JOB_OCI_BUCKET", "OCI_BUCKET", aliases=["bucket_name"]),
    "oci_namespace": _option("ASYNC_JOB_OCI_NAMESPACE", aliases=["namespace_name"]),
    "oci_prefix": _option("ASYNC_JOB_OCI_PREFIX", default=""),
    "oci_auth_type": _option(
        "OCI_ANSIBLE_AUTH_TYPE",
        aliases=["auth_type"],
        choices=[
            "api_key",
            "security_token",
            "instance_principal",
            "resource_principal",
            "instance_obo_user",
            "oke_workload_identity",
        ],
    ),
    "oci_config_file": _option("OCI_CONFIG_FILE", type="path", aliases=["config_file_location"], default="~/.oci/config"),
    "oci_profile": _option("OCI_CONFIG_PROFILE", aliases=["config_profile_name"], default="DEFAULT"),
    "oci_region": _option("OCI_REGION", aliases=["region"]),
    "oci_tenancy": _option("OCI_TENANCY", aliases=["tenancy"]),
    "oci_endpoint": _option("ASYNC_JOB_OCI_ENDPOINT", aliases=["service_endpoint"]),
    "oci_cert_bundle": _option("OCI_ANSIBLE_CERT_BUNDLE", type="path", aliases=["cert_bundle"]),
    "oci_connect_timeout": _option("ASYNC_JOB_OCI_CONNECT_TIMEOUT", type="float", default=5.0),
    "oci_read_timeout": _option("ASYNC_JOB_OCI_READ_TIMEOUT", type="float", default=15.0),
    "oci_retry_timeout": _option("ASYNC_JOB_OCI_RETRY_TIMEOUT", type="float", default=30.0),
    "oci_cache_dir": _option("ASYNC_JOB_OCI_CACHE_DIR", type="path", default="~/.ansible/async_job_cache"),
}

# Where ansible-core keeps results files unless told otherwise: the default of the option async_dir of its shell plugins.
DEFAULT_ASYNC_DIR = "~/.ansible_async"

# Which job. Through Ansible, an action plugin fills in the host and the playbook.
JOB_OPTIONS: Spec = {
    "job_name": {"type": "str"},
    "playbook_name": {"type": "str"},
    "host": {"type": "str"},
}

# What to look for. Beside these, C(host) and C(playbook_name).
FILTERS: Spec = {
    "job_name_pattern": {"type": "str"},
    "status": {"type": "list", "elements": "str", "choices": list(STATUSES)},
    "older_than": {"type": "str"},
    "newer_than": {"type": "str"},
}
