# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: async_jobs
short_description: Group hosts by what became of their jobs
version_added: 1.0.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Reads the records of a store, and puts hosts into groups by what became of their jobs. So a playbook can be limited to the hosts where a
    job has failed, say, or still runs.
  - It groups the hosts that other inventories have. Give it after these, for example C(-i inventory -i failed.async_jobs.yml), or put it
    into a directory of inventories, whose files are read by their names, as C(inventory/20-failed.async_jobs.yml) beside
    C(inventory/10-hosts).
  - The name of its file ends with C(.async_jobs.yml) or C(.async_jobs.yaml).
  - "Which hosts come out: those that an inventory before this one has, and that have a record that fits the filters. The name of a host in
    a record is the one that it had in the inventory of the playbook that has started the job. A host that only a record names is left out,
    and a warning says so, because whoever may write records must not choose where a playbook goes. See O(add_hosts)."
  - "Each of these hosts is in the following groups. What cannot be in the name of a group becomes C(_)."
  - "C(async_job_STATUS), for each status that a job of it is in, such as C(async_job_failed) and C(async_job_running)."
  - "C(async_job_playbook_PLAYBOOK), for each playbook that it has a record of, such as C(async_job_playbook_Nightly_backup)."
  - "C(async_job_name_JOB), for each job, such as C(async_job_name_backup)."
  - "C(async_job_awaiting_approval), if a request of such a playbook awaits approval, see M(rstyczynski.ansible.async_job_approval)."
  - "C(async_job_unreadable), if it has records that cannot be read. This one has hosts that are in no other group, too."
  - "Each of these hosts has the variable C(async_jobs), the list of its records that fit, as C(records) of
    M(rstyczynski.ansible.async_job_info) has them: with C(job_name), C(playbook_name), C(status), C(reason), C(attempt), C(start), C(end),
    C(who), C(metadata), C(result) and more."
  - If requests await approval, every host of all inventories has the variable C(async_job_approvals), the list of these, with the commands
    that approve and reject them. Of the filters, O(playbook_name) alone is about requests.
  - O(compose), O(groups) and O(keyed_groups) make more variables and groups of these, as those of every
    constructed inventory do.
  - "Filters: O(host), O(playbook_name), O(job_name_pattern), O(status), O(older_than), O(newer_than)."
  - "The store: O(backend), O(state_dir), O(state_mode), O(record_key_file), and those that begin with C(oci_). Where one is not given here,
    its environment variable counts, then its default. There are no variables and no C(module_defaults) yet when an inventory is read."
  - "The cache, which is off by default: O(cache), O(cache_plugin), O(cache_connection), O(cache_timeout), O(cache_prefix). It keeps what
    was read of the store, and is for those that are slow. Until it times out, an inventory says what was known then;
    C(ansible-playbook --flush-cache) reads anew. Its files can be read by their owner only."
notes:
  - What a record holds is never taken for a template.
  - Where records cannot be read, the others are used, and a warning names them. With O(strict=true), they are an error. So are records that
    can be read, and hold what no job can have, such as a job id that is none.
  - Records whose host has a name that no host of an inventory can have, or that is the name of a group, are left out, with a warning.
  - A store that cannot be read or does not exist is an error. Ansible then goes on without this inventory, unless it is told to
    stop, with C(any_unparsed_is_failed) in the section C(inventory) of its configuration.
  - "In AWX and Automation Platform, it can be an inventory source of the kind I(Sourced from a Project). Name a directory of the project,
    in which a file with the hosts comes before this one; or this file alone, with O(add_hosts=true), in an inventory that has the
    variables of these hosts from elsewhere. Check I(Overwrite), or else hosts stay in the groups of earlier updates, and I(Update on
    launch). The store has to be a bucket, or a directory that is mounted, by its absolute path. Environment variables of the store are
    given as variables of the source. What its execution environment needs is what jobs need, this collection included."
seealso:
  - module: rstyczynski.ansible.async_job_info
  - name: The fleet
    description: A guide on many jobs, with how to run a playbook again where it failed.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_fleet.rst
  - name: AWX, Automation Platform and execution environments
    description: A guide on where the store has to be there.
    link: https://github.com/rstyczynski/ansible/blob/main/docs/docsite/rst/guide_awx.rst
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
  - rstyczynski.ansible.async_job_filters
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  add_hosts:
    description:
      - Whether to add hosts that no inventory before this one has, too. Whoever may write to the store then chooses hosts for the
        playbooks that use this inventory.
      - V(localhost) and its other names are never added. A playbook that goes there is to say so itself.
    type: bool
    default: false
  plugin:
    description:
      - Tells that the file is for this plugin.
    type: str
    required: true
    choices: [rstyczynski.ansible.async_jobs]
  backend:
    description:
      - Where the records are. V(filesystem) is a directory of the controller, V(oci) a bucket of OCI Object Storage.
      - Environment variable E(ASYNC_JOB_BACKEND).
    type: str
    choices: [filesystem, oci]
    default: filesystem
  create_store:
    description:
      - It makes no difference here, because an inventory only reads. A store that is not there is an error.
      - Environment variable E(ASYNC_JOB_CREATE_STORE).
    type: bool
    default: true
  state_dir:
    description:
      - With O(backend=filesystem), the directory of the records. A relative path is relative to the directory of this file.
      - Environment variable E(ASYNC_JOB_STATE_DIR).
    type: path
    default: .ansible_async_state
  state_mode:
    description:
      - With O(backend=filesystem), who can use the directory, as those say who write to it. V(private) is its owner, V(group) everybody in
        its group.
      - An inventory only reads. With V(private), there is a warning where a group shares the store. With V(group), a directory that the
        group cannot share is an error.
      - Environment variable E(ASYNC_JOB_STATE_MODE).
    type: str
    choices: [private, group]
    default: private
  record_key_file:
    description:
      - A file of the controller with the keys that records and approvals are signed with. Without it, no signature is checked.
      - With it, records that are not signed with one of the keys count as records that cannot be read, and do not name a host.
      - A relative path is relative to the directory of this file.
      - Environment variable E(ASYNC_JOB_RECORD_KEY_FILE).
    type: path
  host:
    description:
      - Only jobs of this host. The default is any.
    type: str
  playbook_name:
    description:
      - Only jobs of the playbook with this name. The default is any.
    type: str
"""

EXAMPLES = r"""
# Save this as failed.async_jobs.yml beside release.yml, and run that again where it has failed:
#   ansible-playbook -i inventory -i failed.async_jobs.yml --limit async_job_failed release.yml
# To see the groups:
#   ansible-inventory -i inventory -i failed.async_jobs.yml --graph
# And the records of one host:
#   ansible-inventory -i inventory -i failed.async_jobs.yml --host web1
plugin: rstyczynski.ansible.async_jobs
playbook_name: Release
---
# What has gone wrong in the last day, whichever playbook has started it
plugin: rstyczynski.ansible.async_jobs
state_dir: /srv/jobs
status: [failed, killed, timed_out, lost]
newer_than: 1d
---
# A group for each person who has started jobs, such as started_by_alice_ctl1; one for each number of attempts, such as attempts_2; one for
# hosts with jobs that were started more than once; and the names of the jobs of a host that have failed, in a variable
plugin: rstyczynski.ansible.async_jobs
keyed_groups:
  - key: async_jobs | map(attribute='who', default='nobody') | unique
    prefix: started_by
  - key: async_jobs | map(attribute='attempt', default=1) | max | string
    prefix: attempts
groups:
  retried: async_jobs | map(attribute='attempt', default=1) | max > 1
compose:
  failed_jobs: async_jobs | selectattr('status', 'defined') | selectattr('status', 'eq', 'failed') | map(attribute='job_name')
---
# All records of a bucket, read at most once in five minutes
plugin: rstyczynski.ansible.async_jobs
backend: oci
oci_bucket: jobs
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.ansible/async_jobs_inventory
cache_timeout: 300
---
# An inventory source of AWX: inventory/20-jobs.async_jobs.yml of a project, which has its hosts in inventory/10-hosts.yml. The source is
# the directory inventory, and its variables say where the bucket is: ASYNC_JOB_OCI_BUCKET, OCI_REGION and so on
plugin: rstyczynski.ansible.async_jobs
backend: oci
oci_auth_type: instance_principal
"""

import contextlib
import hashlib
import json
import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import FILTERS, JOB_OPTIONS, STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import find_pending
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import decode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records, flawed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import is_host_name
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import make_absolute, open_store, settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless, harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import explain

# What Ansible does not validate by itself, and what it does not know the environment variables of.
_SPEC = {
    "host": JOB_OPTIONS["host"],
    "playbook_name": JOB_OPTIONS["playbook_name"],
    **FILTERS,
    **STORE_OPTIONS,
}
_OF_ANSIBLE = (
    "plugin",
    "add_hosts",
    "strict",
    "compose",
    "groups",
    "keyed_groups",
    "use_extra_vars",
    "leading_separator",
    "cache",
    "cache_plugin",
    "cache_timeout",
    "cache_connection",
    "cache_prefix",
)


# How many names a warning lists.
_NAMES = 10


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]
    """Makes an inventory of a store."""

    NAME = "rstyczynski.ansible.async_jobs"
    trusted_by_default = False

    def verify_file(self, path: str) -> bool:
        """Return whether a file is for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith((".async_jobs.yml", ".async_jobs.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Read the records, and make hosts, groups and variables of them: Ansible calls this once per file."""
        super().parse(inventory, loader, path, cache)
        params = _validated(self._read_config_data(path), path)
        # Of a file that says something else than before, nothing is known.
        key = f"{self.get_cache_key(path)}_{hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]}"
        cached = self._cache.get(key) if cache and self.get_option("cache") else None
        if cached is not None:
            found = json.loads(cached["json"])
        else:
            try:
                found = _read(params, lambda line: self.display.warning(harmless_lines(line)))
            except AsyncJobError as error:
                # Ansible would print what is behind an error, too: the words of a service, and the lines of files that hold secrets.
                raise AnsibleParserError(harmless_lines(f"{path}: {error}")) from None
            if self.get_option("cache"):
                # A text, of which no cache makes anything else: some keys of dictionaries are templates to those of Ansible.
                self._cache[key] = {"json": json.dumps(found)}
        self._report(found["unreadable"], path)
        hosts: dict[str, list[t.Any]] = {}
        for record in found["records"]:
            hosts.setdefault(record["host"], []).append(record)
        unreadable = [host for host in dict.fromkeys(problem["host"] for problem in found["unreadable"]) if host]
        wanted = [host for host in dict.fromkeys([*hosts, *unreadable]) if self._may_be_host(host)]
        known = [host for host in wanted if self._is_known(host)]
        self._report_unknown([host for host in wanted if host not in known], path)
        for host in known:
            self.inventory.add_host(host)
            if host in hosts:
                self._add(host, hosts[host])
            if host in unreadable:
                self.inventory.add_host(host, group=self.inventory.add_group("async_job_unreadable"))
        self._add_approvals(found["approvals"], {host: hosts[host] for host in known if host in hosts})

    def update_cache_if_changed(self) -> None:
        """Write the cache: Ansible calls this after it has read a file. Its plugins make files for everybody, which records are not."""
        with _ansible.private_cache_files():
            super().update_cache_if_changed()
        directory = os.path.expanduser(os.path.expandvars(self.get_option("cache_connection") or ""))
        if not directory or not os.path.isdir(directory):
            return  # there is no cache, or it is a service
        with os.scandir(directory) as scan:
            for entry in scan:
                # What an earlier release has left. How it is called depends on the plugin and on ansible-core, but for its end.
                if entry.name.endswith(tuple(self._cache)) and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(OSError):
                        os.chmod(entry.path, 0o600)

    def _may_be_host(self, host: str) -> bool:
        """Return whether a name of a record can be that of a host here. A job may have any."""
        if is_host_name(host) and host not in self.inventory.groups:
            return True
        why = "is the name of a group" if host in self.inventory.groups else "is none that an inventory can have"
        self.display.warning(f"Records of the host {harmless(host)!r} are left out: that name {why}.")
        return False

    def _is_known(self, host: str) -> bool:
        """Return whether a playbook may go to a host. That a record names it is no reason."""
        return host in self.inventory.hosts or (self.get_option("add_hosts") and host not in constants.LOCALHOST)

    def _report_unknown(self, hosts: list[str], path: str) -> None:
        if not hosts:
            return
        names = ", ".join(map(harmless, hosts[:_NAMES])) + (f" and {len(hosts) - _NAMES} more" if len(hosts) > _NAMES else "")
        advice = "" if self.get_option("add_hosts") else " Give it after the others, or let it say 'add_hosts: true'."
        self.display.warning(
            f"{path}: {len(hosts)} {'host' if len(hosts) == 1 else 'hosts'} that only records name, and no inventory before this one,"
            f" {'is' if len(hosts) == 1 else 'are'} left out: {names}.{advice}"
        )

    def _add(self, host: str, records: list[t.Any]) -> None:
        # Another file like this one may have named it before.
        known = self.inventory.get_host(host).vars.get("async_jobs", [])
        names = [(record["playbook_name"], record["job_name"]) for record in records]
        others = [record for record in known if (record["playbook_name"], record["job_name"]) not in names]
        self.inventory.set_variable(host, "async_jobs", _untrusted([*others, *records]))
        for record in records:
            for name in (record.get("status", "running"), f"playbook_{record['playbook_name']}", f"name_{record['job_name']}"):
                self.inventory.add_host(
                    host, group=self.inventory.add_group(to_safe_group_name(f"async_job_{name}", force=True, silent=True))
                )
        strict = self.get_option("strict")
        variables = self.inventory.get_host(host).get_vars()
        self._set_composite_vars(self.get_option("compose"), variables, host, strict=strict)
        variables = self.inventory.get_host(host).get_vars()
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict=strict)

    def _add_approvals(self, approvals: list[t.Any], hosts: dict[str, list[t.Any]]) -> None:
        """Tell all hosts what awaits approval, and group those that have jobs of the playbooks that ask."""
        if not approvals:
            return
        # Another file like this one may have found some, too.
        known = self.inventory.groups["all"].get_vars().get("async_job_approvals", [])
        places = [approval["state_file"] for approval in approvals]
        others = [approval for approval in known if approval["state_file"] not in places]
        self.inventory.set_variable("all", "async_job_approvals", _untrusted([*others, *approvals]))
        group = self.inventory.add_group("async_job_awaiting_approval")
        playbooks = {approval["playbook_name"] for approval in approvals}
        for host, records in hosts.items():
            if not playbooks.isdisjoint(record["playbook_name"] for record in records):
                self.inventory.add_host(host, group=group)

    def _report(self, unreadable: list[dict[str, str]], path: str) -> None:
        if unreadable and self.get_option("strict"):
            raise AnsibleParserError(harmless_lines(f"{path}: {len(unreadable)} records cannot be read or used. {unreadable[0]['msg']}"))
        for problem in unreadable:
            self.display.warning(harmless_lines(problem["msg"]))


def _untrusted(records: list[t.Any]) -> t.Any:
    """Return the same, so that nothing that a job has written is run as a template."""
    if hasattr(BaseInventoryPlugin, "trusted_by_default"):  # since 2.19, the variables of an inventory are no templates
        return records
    from ansible.utils.unsafe_proxy import wrap_var

    return wrap_var(records)


def _validated(config: t.Any, path: str) -> dict[str, t.Any]:
    """Return the values of the options of the store and of the filters."""
    options = {name: value for name, value in config.items() if name not in _OF_ANSIBLE}
    validation = ArgumentSpecValidator(_SPEC).validate(options)
    if validation.error_messages:
        raise AnsibleParserError(f"{path}: {validation.errors.msg}")
    params: dict[str, t.Any] = validation.validated_parameters
    make_absolute(params, os.path.dirname(os.path.realpath(path)))
    return params


def _read(params: dict[str, t.Any], notify: t.Callable[[str], None]) -> dict[str, list[t.Any]]:
    """Return the records, and those that cannot be read, as a cache can hold them."""
    store = open_store(params, notify)
    store.must_exist()
    for warning in store.warnings:
        notify(warning)
    listing = find_records(store, params)
    pending = find_pending(store, params["playbook_name"], settings_of(params))
    place = store.locate()
    unreadable = [{**problem, "host": ""} for problem in pending.unreadable]
    for problem in listing.unreadable:
        host = decode(problem["state_file"][len(place) :].lstrip("/").split("/")[0])
        if params["record_key_file"]:  # whoever has put it there must not choose a host
            host = ""
        unreadable.append({**problem, "host": host or ""})
    bad = {problem["state_file"]: problem for problem in flawed(store, listing.found, explain)}
    records = []
    for found in listing.found:
        problem = bad.get(store.locate(found.path), {})
        if problem:  # what it says would choose where playbooks go
            unreadable.append({**problem, "host": found.record["host"]})
        else:
            records.append(found.record)
    return {"records": records, "unreadable": unreadable, "approvals": pending.approvals}
