# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all kinds of stores. Whoever adds one writes its class, a row here, its name in C(_store/choose.py) for
modules that run without their action plugins, and its documentation.

Its documentation is in the fragment C(async_job_store) and in the argument specs of the roles; a test holds them against this.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.errors import AnsibleFallbackNotFound

Spec = t.Dict[str, t.Dict[str, t.Any]]


class Backend(t.NamedTuple):
    """One kind of store."""

    module: str
    """The file in the directory C(_store) that holds its class. It is imported when a task chooses it, and no earlier."""

    class_name: str

    options: Spec
    """Its own options. Each is also a variable, C(async_job_<option>), so that their names must differ from those of other stores."""

    place: tuple[str, ...]
    """Those of its options that say where the records are. Whoever gives the first one means this kind of store."""

    paths: tuple[str, ...] = ()
    """Those of its options that are paths on this machine where records are. A relative one is relative to the playbook."""

    manner: tuple[str, ...] = ()
    """Those of its options that whoever else uses the same records has to give as well, if they are not as by default."""

    package: str = ""
    """What it imports from elsewhere, where that takes long: to be imported once, rather than by every task of every host."""

    install: str = ""
    """How to install that package."""


def option(*environment: str, **spec: t.Any) -> dict[str, t.Any]:
    """Return the spec of an option that environment variables set, too, the first of them that says something."""
    return {"type": "str", "fallback": (_environment, list(environment)), **spec}


def _environment(*names: str, **_kwargs: t.Any) -> str:
    """Return the first of these variables that is not empty. Pipelines set variables of secrets that there are not to nothing."""
    for name in names:
        if os.environ.get(name):
            return os.environ[name]
    raise AnsibleFallbackNotFound


# Roles take each of the options as <role>_<option>, and roles and modules as async_job_<option>.
# The aliases, and the environment variables that begin with OCI_, are those of the collection oracle.oci.
BACKENDS = {
    "filesystem": Backend(
        module="filesystem",
        class_name="FilesystemStore",
        options={
            "state_dir": option("ASYNC_JOB_STATE_DIR", type="path", default=".ansible_async_state"),
            "create_store": option("ASYNC_JOB_CREATE_STORE", type="bool", default=True),
            "state_mode": option("ASYNC_JOB_STATE_MODE", choices=["private", "group"], default="private"),
        },
        place=("state_dir",),
        paths=("state_dir",),
        manner=("state_mode",),
    ),
    "oci": Backend(
        module="oci",
        class_name="OciStore",
        options={
            "oci_bucket": option("ASYNC_JOB_OCI_BUCKET", "OCI_BUCKET", aliases=["bucket_name"]),
            "oci_namespace": option("ASYNC_JOB_OCI_NAMESPACE", aliases=["namespace_name"]),
            "oci_prefix": option("ASYNC_JOB_OCI_PREFIX", default=""),
            "oci_auth_type": option(
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
            "oci_config_file": option("OCI_CONFIG_FILE", type="path", aliases=["config_file_location"], default="~/.oci/config"),
            "oci_profile": option("OCI_CONFIG_PROFILE", aliases=["config_profile_name"], default="DEFAULT"),
            "oci_region": option("OCI_REGION", aliases=["region"]),
            "oci_tenancy": option("OCI_TENANCY", aliases=["tenancy"]),
            "oci_endpoint": option("ASYNC_JOB_OCI_ENDPOINT", aliases=["service_endpoint"]),
            "oci_cert_bundle": option("OCI_ANSIBLE_CERT_BUNDLE", type="path", aliases=["cert_bundle"]),
            "oci_connect_timeout": option("ASYNC_JOB_OCI_CONNECT_TIMEOUT", type="float", default=5.0),
            "oci_read_timeout": option("ASYNC_JOB_OCI_READ_TIMEOUT", type="float", default=15.0),
            "oci_retry_timeout": option("ASYNC_JOB_OCI_RETRY_TIMEOUT", type="float", default=30.0),
            "oci_cache_dir": option("ASYNC_JOB_OCI_CACHE_DIR", type="path", default="~/.ansible/async_job_cache"),
        },
        place=("oci_bucket", "oci_namespace", "oci_prefix"),
        package="oci.object_storage",
        install="python3 -m pip install oci",
    ),
}
