# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever writes records does not choose where a playbook goes."""

from __future__ import annotations

import re

import pytest
from controller import Controller, Ran
from records import put

RELEASE = """
    - name: Release
      hosts: all
      gather_facts: false
      tasks:
        - ansible.builtin.command: echo deploying on {{ inventory_hostname }}
"""
OURS = "my.async_jobs.yml"


@pytest.fixture(autouse=True)
def _records(controller: Controller) -> None:
    """Failed jobs of a host that the inventory has, and, of another playbook, of one that it does not have and of the controller."""
    controller.hosts("web1", "web2")
    put(controller.state_dir, "deploy", host="web1", playbook="Release", status="failed")
    for host in ("evil.example.com", "localhost", "127.0.0.1"):
        put(controller.state_dir, "backup", host=host, playbook="Nightly", status="failed")


def ours(controller: Controller, *lines: str) -> None:
    controller.write(OURS, "\n".join(("plugin: rstyczynski.ansible.async_jobs", *lines)) + "\n")


def hosts(ran: Ran) -> list[str]:
    """The hosts of a recap."""
    return sorted(line.split()[0] for line in ran.output.splitlines() if " ok=" in line)


def said(ran: Ran) -> str:
    """What was said, less spaces: warnings are wrapped anywhere."""
    return re.sub(r"\s+", "", ran.output)


def test_a_release_goes_where_the_inventory_lets_it(controller: Controller) -> None:
    ours(controller)
    ran = controller.playbook(RELEASE, "-i", OURS, "--limit", "async_job_failed").ok()
    assert hosts(ran) == ["web1"]
    assert "3hoststhatonlyrecordsname,andnoinventorybeforethisone,areleftout" in said(ran)
    assert all(name in said(ran) for name in ("evil.example.com", "localhost", "127.0.0.1", "add_hosts:true"))


def test_the_file_alone_has_no_hosts(controller: Controller) -> None:
    """Nor has it any if it comes first, and the warning tells what to do."""
    ours(controller)
    for sources in ([OURS], [OURS, controller.inventory]):
        options = [word for source in sources for word in ("-i", source)]
        ran = controller.run("playbook", *options, controller.write("release.yml", RELEASE), "--limit", "async_job_failed")
        assert hosts(ran) == []
        assert "4hoststhatonlyrecordsname" in said(ran)
        assert "Giveitaftertheothers" in said(ran)


def test_hosts_can_be_added_but_never_the_controller(controller: Controller) -> None:
    ours(controller, "add_hosts: true")
    ran = controller.playbook(RELEASE, "-i", OURS, "--limit", "async_job_failed", "--list-hosts").ok()
    assert "evil.example.com" in ran.output
    assert "hosts (2):" in ran.output
    assert "2hoststhatonlyrecordsname,andnoinventorybeforethisone,areleftout:127.0.0.1,localhost." in said(ran)


def test_the_controller_is_a_host_where_an_inventory_has_it(controller: Controller) -> None:
    controller.hosts("web1", "localhost")
    ours(controller)
    assert hosts(controller.playbook(RELEASE, "-i", OURS, "--limit", "async_job_failed").ok()) == ["localhost", "web1"]
    ours(controller, "playbook_name: Release")
    assert hosts(controller.playbook(RELEASE, "-i", OURS, "--limit", "async_job_failed").ok()) == ["web1"]


def test_many_names_and_odd_ones(controller: Controller) -> None:
    """A warning names ten, and obeys none of them."""
    for host in ("\u202eweb1", "\x9b31mweb1", *(f"host{number}\ufe0f" for number in range(20))):
        put(controller.state_dir, "job", host=host, playbook="Nightly", status="failed")
    ours(controller)
    ran = controller.playbook(RELEASE, "-i", OURS, "--limit", "async_job_failed").ok()
    assert "23hosts" in said(ran)
    assert "and13more" in said(ran)
    assert not any(odd in ran.output for odd in ("\u202e", "\x9b", "\ufe0f"))


def test_unreadable_records_add_no_host(controller: Controller) -> None:
    put(controller.state_dir, "broken", host="web3").write_text("{")
    put(controller.state_dir, "broken", host="web2").write_text("{")
    ours(controller)
    ran = controller.playbook(RELEASE, "-i", OURS, "--limit", "async_job_unreadable").ok()
    assert hosts(ran) == ["web2"]
