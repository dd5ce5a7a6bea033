# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory that is made of records: groups, variables, caches, and what nobody may put into it."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from controller import Controller
from fleet import NEWER
from plays import job, run_tasks, shell
from records import put


def inventory(controller: Controller, text: str = "", **env: str) -> t.Any:
    """What Ansible makes of an inventory file of ours, which adds the hosts too."""
    file = controller.write("x.async_jobs.yml", f"plugin: rstyczynski.ansible.async_jobs\nadd_hosts: true\n{text}")
    ran = controller.run("inventory", "-i", file, "--list", env=env).ok()
    # So Ansible writes a text that is no template.
    plain = json.JSONDecoder(object_hook=lambda value: value.get("__ansible_unsafe", value))
    document, _end = plain.raw_decode(ran.output, ran.output.index("{"))
    document["output"] = ran.output
    return document


def members(document: t.Any, group: str) -> list[str]:
    return sorted(document.get(group, {}).get("hosts", []))


def test_inventory(controller: Controller, state_dir: Path) -> None:
    """Groups by status, playbook and job; records as variables; constructed groups and variables."""
    put(state_dir, "odd", host="web9", playbook="Odd: name of it", status="killed")
    document = inventory(
        controller,
        """
keyed_groups:
  - key: async_jobs | map(attribute='attempt', default=1) | max | string
    prefix: attempts
groups:
  busy: async_jobs | selectattr('status', 'eq', 'running') | list | length > 0
compose:
  failed_jobs: async_jobs | selectattr('status', 'eq', 'failed') | map(attribute='job_name')
""",
    )
    for group, hosts in {
        "async_job_failed": ["web1"],
        "async_job_succeeded": ["web1"],
        "async_job_running": ["web2"],
        "async_job_lost": ["web2"],
        "async_job_playbook_Nightly": ["web1", "web2"],
        "async_job_playbook_Weekly": ["web2"],
        "async_job_name_copy": ["web1"],
        "async_job_playbook_Odd__name_of_it": ["web9"],
        "attempts_2": ["web1"],
        "attempts_1": ["web2", "web9"],
        "busy": ["web2"],
    }.items():
        assert members(document, group) == hosts, group
    variables = document["_meta"]["hostvars"]
    assert [record["job_name"] for record in variables["web1"]["async_jobs"]] == ["backup", "copy"]
    assert variables["web1"]["failed_jobs"] == ["copy"]
    assert members(inventory(controller, "status: [failed]"), "async_job_succeeded") == []
    assert members(inventory(controller, "job_name_pattern: l*"), "async_job_running") == ["web2"]


def test_inventory_says_where_it_looked(controller: Controller, state_dir: Path) -> None:
    """A relative directory is beside the file; the environment counts; what is wrong is an error that names the place."""
    state_dir.rename(controller.project / "elsewhere")
    assert members(inventory(controller, "state_dir: elsewhere"), "async_job_failed") == ["web1"]
    assert members(inventory(controller, ASYNC_JOB_STATE_DIR="elsewhere"), "async_job_failed") == ["web1"]
    assert f"{state_dir}isnotadirectory" in re.sub(r"\s+", "", inventory(controller)["output"])  # warnings are wrapped anywhere
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\nstatedir: x\n")
    ran = controller.run("inventory", "-i", "x.async_jobs.yml", "--list", env={"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}).failed()
    assert "statedir" in ran.text


def test_inventory_limits_a_run_to_where_it_failed(controller: Controller, ledger: Path) -> None:
    """Records of jobs, another inventory that says how to reach the hosts, and --limit."""
    controller.hosts("web1", "web2", "web3")
    command = f"echo {{{{ inventory_hostname }}}} >>{ledger}; test {{{{ inventory_hostname }}}} != web2 -o -e {controller.project}/mended"
    task = job(shell(command), options={"restart_on": ["failed"]}, poll=1)
    run_tasks(controller, task)
    (controller.project / "mended").touch()
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\n")
    run_tasks(controller, task, options=["-i", "x.async_jobs.yml", "--limit", "async_job_failed"])
    assert sorted(ledger.read_text().split()) == ["web1", "web2", "web2", "web3"]
    assert controller.record("job", host="web2")["status"] == "succeeded"


def test_inventory_runs_nothing_of_a_record(controller: Controller) -> None:
    """Not even where a playbook uses it as if it were a template of its own; with a cache or without."""
    evil = "{{ lookup('pipe', 'touch " + str(controller.project) + "/pwned') }}"
    put(controller.state_dir, evil, status="succeeded", result={"stdout": evil}, metadata={evil: evil})
    cache = {"ANSIBLE_INVENTORY_CACHE": "1", "ANSIBLE_INVENTORY_CACHE_PLUGIN": "jsonfile", "ANSIBLE_INVENTORY_CACHE_CONNECTION": "cache"}
    text = "compose:\n  said: async_jobs[0].result.stdout\n"
    show = """
        - hosts: all
          gather_facts: false
          tasks:
            - ansible.builtin.debug:
                msg: "{{ said }} {{ async_jobs }}"
            - ansible.builtin.debug:
                var: async_jobs
    """
    for env in ({}, cache, cache):
        inventory(controller, text, **env)
        ran = controller.playbook(show, "-i", "x.async_jobs.yml", "--limit", "web1", env=env).ok()
        assert "touch" in ran.output
    assert list((controller.project / "cache").iterdir())
    assert not (controller.project / "pwned").exists()


def test_inventory_cache(controller: Controller, state_dir: Path) -> None:
    cache = {"ANSIBLE_INVENTORY_CACHE": "1", "ANSIBLE_INVENTORY_CACHE_PLUGIN": "jsonfile", "ANSIBLE_INVENTORY_CACHE_CONNECTION": "cache"}
    assert members(inventory(controller, **cache), "async_job_failed") == ["web1"]
    put(state_dir, "copy", status="succeeded")
    assert members(inventory(controller, **cache), "async_job_failed") == ["web1"]
    assert members(inventory(controller), "async_job_failed") == []


def test_inventory_of_odd_names(controller: Controller) -> None:
    """A name that would be a template, an option of ssh or a group is that of no host here."""
    controller.hosts("[web]", "web1", "web2")
    template = "{{ lookup('pipe', 'touch " + str(controller.project).replace("/", "\u2215") + "') }}"
    odd = ["web", "all", template, "-oProxyCommand=x", "", "a\nb", " web1"]
    for name in odd:
        put(controller.state_dir, "job", host=name, status="failed")
    put(controller.state_dir, "job", host="web1", status="failed")
    put(controller.state_dir, "job", host="web 9 \u00fc", status="failed")
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\nadd_hosts: true\n")
    ran = controller.run("inventory", "-i", controller.inventory, "-i", "x.async_jobs.yml", "--list").ok()
    assert re.sub(r"\s+", "", ran.output).count("leftout:thatname") == len(odd)
    document, _end = json.JSONDecoder().raw_decode(ran.output, ran.output.index("{\n"))
    assert document["async_job_failed"]["hosts"] == ["web 9 \u00fc", "web1"]
    assert document["web"]["hosts"] == ["web1", "web2"]


def test_inventory_beside_others(controller: Controller, state_dir: Path) -> None:
    """What another one says of how to reach localhost holds; two files of ours add up; a changed file is read anew."""
    put(state_dir, "job", host="localhost", status="failed")
    controller.write("static", "[control]\nlocalhost\n[control:vars]\nansible_connection=ssh\nansible_port=1\n")
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\nstatus: [failed]\n")
    ran = controller.run("adhoc", "-i", "static", "-i", "x.async_jobs.yml", "localhost", "-m", "ansible.builtin.ping").failed()
    assert "UNREACHABLE" in ran.output
    controller.write("y.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\nstatus: [succeeded]\n")
    controller.hosts("web1")
    ran = controller.run("inventory", "-i", controller.inventory, "-i", "x.async_jobs.yml", "-i", "y.async_jobs.yml", "--host", "web1").ok()
    assert '"backup"' in ran.output
    assert '"copy"' in ran.output
    cache = {"ANSIBLE_INVENTORY_CACHE": "1", "ANSIBLE_INVENTORY_CACHE_PLUGIN": "jsonfile", "ANSIBLE_INVENTORY_CACHE_CONNECTION": "cache"}
    assert members(inventory(controller, "status: [failed]", **cache), "async_job_failed") == ["web1"]
    assert members(inventory(controller, "status: [lost]", **cache), "async_job_lost") == ["web2"]


def test_inventory_on_the_worst_day(controller: Controller, state_dir: Path) -> None:
    """What cannot be read is named, its host is in a group of its own, and with C(strict) it is an error."""
    put(state_dir, "broken", host="web3").write_text("{")
    put(state_dir, "newer", host="web4", **NEWER)
    document = inventory(controller)
    assert members(document, "async_job_failed") == ["web1"]
    assert members(document, "async_job_unreadable") == ["web3", "web4"]
    text = re.sub(r"\s+", "", document["output"])
    assert "web3/Nightly/broken.jsoncannotbeused" in text
    assert "newerrelease" in text
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\nstrict: true\n")
    ran = controller.run("inventory", "-i", "x.async_jobs.yml", "--list", env={"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}).failed()
    assert "2 records cannot be read" in ran.text


def test_no_secret_in_an_error(controller: Controller) -> None:
    """A line of a profile that cannot be read holds a secret. Ansible prints what is behind an error."""
    config = controller.write("config", "[DEFAULT]\nuser=ocid1.user.oc1..a\npass_phrase  hunter2-TOPSECRET\n")
    config.chmod(0o600)
    file = controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\nbackend: oci\noci_bucket: jobs\n")
    ran = controller.run("inventory", "-i", file, "--list", "-vvvvv", env={"OCI_CONFIG_FILE": str(config)})
    assert "cannot be read" in ran.text or "not valid" in ran.text or "config" in ran.text
    assert "TOPSECRET" not in ran.output
