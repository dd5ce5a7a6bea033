# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where the records are: the options of C(module_utils/_options.py)."""

    DOCUMENTATION = r"""
requirements:
  - ansible-core 2.16 or newer on the controller (tested with 2.16, 2.19, 2.20 and 2.21)
  - Python 3.10 or newer on the controller
  - the Python package C(oci) on the controller, for O(backend=oci) alone
seealso:
  - name: Stores
    description: A guide on where records can be, how to choose, and how to set it once for all tasks.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_stores.rst
options:
  backend:
    description:
      - The kind of the store, where records are kept. V(filesystem) is a directory of the controller, V(oci) a bucket of OCI Object
        Storage.
      - Each of the options of the store can also be set once for all modules and roles of this collection. The first
        of these that is there counts, the option of the task; inside the roles, the variable C(<role>_<option>); the
        variable C(async_job_<option>), here C(async_job_backend); C(module_defaults) of the action group
        C(rstyczynski.ansible.async_job); the environment variable that the option names; the default.
      - Environment variable E(ASYNC_JOB_BACKEND).
    type: str
    choices: [filesystem, oci]
    default: filesystem
  state_dir:
    description:
      - With O(backend=filesystem), the directory of the records. It is made when it is first needed.
      - A relative path is relative to the directory of the playbook; for the playbooks that come with this
        collection, to the current directory.
      - If it goes away with the run, the next run starts every job that has ended a second time. A warning says so, before a job is
        started, where that is known. It knows directories of AWX and ansible-runner, C(ansible-pull --purge), workspaces of CI
        systems, and, as long as the directory is new, git work trees, of which another clone has none of these records. A directory
        outside of these stays.
      - It should belong to the user who runs Ansible or to root, and nobody else should be able to write to it or to a directory
        above it. Whoever can, can write, replace or remove records. A warning names the directory and the command that mends it;
        sticky directories such as C(/tmp), and groups that are their owner's alone, are fine above it.
      - A directory of another user is refused, unless O(record_key_file) is given, or it is shared on purpose, by its mode 2770,
        with a group that you are in. If root uses a directory of another user, or directories above it are another user's, a warning
        says so. For a team that works in one directory, there is O(state_mode=group).
      - Environment variable E(ASYNC_JOB_STATE_DIR).
    type: path
    default: .ansible_async_state
  create_store:
    description:
      - With O(backend=filesystem), whether a store may be made in O(state_dir) if there is none. When one is made, a line says so.
      - With V(false), a directory without a store is an error. It may be that its disk is not mounted, so that all jobs would count as
        never started.
      - Environment variable E(ASYNC_JOB_CREATE_STORE).
    type: bool
    default: true
    version_added: 1.0.0
  state_mode:
    description:
      - With O(backend=filesystem), who can use the directory. With V(private), that is its owner. Directories are made with mode 0700,
        files with 0600.
      - With V(group), that is everybody in the group of the directory, such as a team on one machine. Directories are made with mode 2770,
        files with 0660, the lock file among them, whatever the umask. What one member has written, each other member can read, replace
        and remove. They trust each other with all that the records decide.
      - C(install -d -m 2770 -g ops /srv/jobs) makes such a directory. Without one, it is made, and has the group of the directory above
        if that has the setgid bit, or else your own.
      - With V(group), a directory is refused that others than the group can write to, that the group cannot write to, or that has no
        setgid bit, and so is a user who is not in the group. The message has the command that mends it.
      - All who use a directory have to say the same. Who says V(private) where a group shares the store can read it, with a warning, and
        gets an error before anything is written; so does whoever would make a store of their own where a group was to share one. With
        V(group), what somebody has written with V(private) is named, with the command that mends it.
      - It is about the records alone. Which user of a host can see a job there, is another matter.
      - Environment variable E(ASYNC_JOB_STATE_MODE).
    type: str
    choices: [private, group]
    default: private
    version_added: 1.0.0
  oci_bucket:
    description:
      - With O(backend=oci), the name of the bucket. It has to exist.
      - Environment variable E(ASYNC_JOB_OCI_BUCKET), or else E(OCI_BUCKET).
    type: str
    aliases: [bucket_name]
  oci_namespace:
    description:
      - With O(backend=oci), the Object Storage namespace of the bucket.
      - Without it, the service is asked for the namespace of the tenancy, one more request for each task and host.
      - Environment variable E(ASYNC_JOB_OCI_NAMESPACE).
    type: str
    aliases: [namespace_name]
  oci_prefix:
    description:
      - With O(backend=oci), what the names of all objects begin with, such as V(jobs/).
      - Environment variable E(ASYNC_JOB_OCI_PREFIX).
    type: str
    default: ""
  oci_auth_type:
    description:
      - With O(backend=oci), how to authenticate.
      - V(api_key) is the key of the profile. V(security_token) is the session that C(oci session authenticate) makes.
        V(instance_principal) is the compute instance we run on. V(instance_obo_user) is the user of Cloud Shell.
        V(resource_principal) is the function or container we run in. V(oke_workload_identity) is the pod of an OKE
        cluster we run in.
      - The default is V(security_token) if the profile has a C(security_token_file) and no C(user), and V(api_key)
        otherwise.
      - Environment variable E(OCI_ANSIBLE_AUTH_TYPE).
    type: str
    choices: [api_key, security_token, instance_principal, resource_principal, instance_obo_user, oke_workload_identity]
    aliases: [auth_type]
  oci_config_file:
    description:
      - With O(backend=oci), the configuration file. It is not read for V(instance_principal), V(resource_principal)
        and V(oke_workload_identity).
      - What it says of the user and the key is overridden by the environment variables C(OCI_USER_ID),
        C(OCI_USER_FINGERPRINT), C(OCI_USER_KEY_FILE) and C(OCI_USER_KEY_PASS_PHRASE). If these are set, it need not
        exist.
      - Environment variable E(OCI_CONFIG_FILE).
    type: path
    aliases: [config_file_location]
    default: ~/.oci/config
  oci_profile:
    description:
      - With O(backend=oci), the profile of the configuration file.
      - Environment variable E(OCI_CONFIG_PROFILE).
    type: str
    aliases: [config_profile_name]
    default: DEFAULT
  oci_region:
    description:
      - With O(backend=oci), the region, such as V(eu-frankfurt-1). The default is the region of the profile, or that
        of the place we run in.
      - Environment variable E(OCI_REGION).
    type: str
    aliases: [region]
  oci_tenancy:
    description:
      - With O(backend=oci), the OCID of the tenancy. The default is the tenancy of the profile.
      - Environment variable E(OCI_TENANCY).
    type: str
    aliases: [tenancy]
  oci_endpoint:
    description:
      - With O(backend=oci), the URL of the service, for private endpoints and other realms. The default is made from
        the region.
      - One with a user or a password in it is refused. One that begins with C(http://) is warned of, because records then travel in the
        clear; one on this machine is not.
      - Environment variable E(ASYNC_JOB_OCI_ENDPOINT).
    type: str
    aliases: [service_endpoint]
  oci_cert_bundle:
    description:
      - With O(backend=oci), a file with the certificates of the authorities to trust. The default are those that come
        with the SDK.
      - Environment variable E(OCI_ANSIBLE_CERT_BUNDLE).
    type: path
    aliases: [cert_bundle]
  oci_connect_timeout:
    description:
      - With O(backend=oci), how long to wait for a connection, in seconds. More than V(0).
      - Environment variable E(ASYNC_JOB_OCI_CONNECT_TIMEOUT).
    type: float
    default: 5.0
  oci_read_timeout:
    description:
      - With O(backend=oci), how long to wait for an answer, in seconds. More than V(0).
      - Environment variable E(ASYNC_JOB_OCI_READ_TIMEOUT).
    type: float
    default: 15.0
  oci_retry_timeout:
    description:
      - With O(backend=oci), how long to go on trying when the service does not answer or is overloaded, in seconds,
        all tries together. Then the task fails. With V(0), it is tried only once, for as long as O(oci_connect_timeout) and
        O(oci_read_timeout) together.
      - Environment variable E(ASYNC_JOB_OCI_RETRY_TIMEOUT).
    type: float
    default: 30.0
  oci_cache_dir:
    description:
      - With O(backend=oci), a directory of the controller for copies of records, which only its owner can read. Whoever
        lists many records then reads only those whose ETag has changed since the last time.
      - What concerns a single job is always read from the bucket. With an empty text, there is no such cache; an empty
        environment variable says nothing.
      - Environment variable E(ASYNC_JOB_OCI_CACHE_DIR).
    type: path
    default: ~/.ansible/async_job_cache
    version_added: 1.0.0
  record_key_file:
    description:
      - A file of the controller with keys to sign records and approvals with. Without it, nothing is signed or checked.
      - With it, whatever is written is signed, and what is not signed with one of the keys counts for nothing. Lists name it as a
        record that cannot be read. Whoever works on its job fails, and neither starts nor stops anything.
      - Each line is a key of at least 32 characters. V((umask 077; openssl rand -base64 32 > FILE\)) makes such a file. The first
        key signs, all of them verify. For a new key, put it before the old ones, run the playbook
        C(rstyczynski.ansible.sign_records) with C(-e apply=true), and remove the old ones. That playbook also signs what is in a
        store that had no keys before.
      - The file belongs to the user who runs Ansible or to root, and nobody else can read it. A file of root may be read by its
        group.
      - A signature is bound to the content and to its path in the store. Give each store a key of its own, or what was
        signed in one counts in the other. It does not tell that a record is the newest. Whoever can write to the store can
        put back an older signed record of the same job, or remove a record.
      - Whoever writes without the keys writes unsigned. A relative path is relative to what O(state_dir) is relative to.
      - Environment variable E(ASYNC_JOB_RECORD_KEY_FILE).
    type: path
    version_added: 1.0.0
"""
