# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that nobody may act upon, in lists and in the inventory: named with what is wrong, and never left out silently."""

from __future__ import annotations

import json
import os
import stat
import typing as t

import pytest
from controller import Controller, Ran
from fleet import JOBS, rows
from plays import ask
from records import put

OURS = "x.async_jobs.yml"
FLAW = "the field 'ansible_job_id' holds 'passwd', which is not a job id"


@pytest.fixture(autouse=True)
def _records(controller: Controller) -> None:
    controller.hosts("web1", "web2")
    put(controller.state_dir, "bad", host="web1", playbook="test", status="failed", ansible_job_id="passwd")
    put(controller.state_dir, "good", host="web2", playbook="test", status="failed")


def said(ran: Ran) -> str:
    """All that was printed, less spaces: warnings are wrapped anywhere."""
    return "".join(ran.output.split())


def inventory(controller: Controller, *lines: str, **options: t.Any) -> tuple[Ran, dict[str, t.Any]]:
    """Read the inventory."""
    controller.write(OURS, "\n".join(("plugin: rstyczynski.ansible.async_jobs", *lines)) + "\n")
    ran = controller.run("inventory", "-i", controller.inventory, "-i", OURS, "--list", **options).ok()
    return ran, json.loads(ran.output[ran.output.index("{") : ran.output.rindex("}") + 1])


def test_lists_name_it(controller: Controller) -> None:
    """With the others."""
    ran = controller.playbook(JOBS).ok()
    assert {row[2] for row in rows(ran)} == {"bad", "good"}
    assert "".join(FLAW.split()) in said(ran)
    info, show = ask(controller, {"rstyczynski.ansible.async_job_info": {}}, {"rstyczynski.ansible.async_job_show": {"quiet": True}})
    for answer in (info, show):
        [flawed] = answer["flawed"]
        assert FLAW in flawed["msg"]
        assert flawed["state_file"] == str(controller.state_dir / "web1/test/bad.json")
    assert len(info["records"]) == 2
    assert FLAW in " ".join(info["warnings"])


def test_the_inventory_names_it_and_makes_nothing_of_it(controller: Controller) -> None:
    """But that there is something of its host that cannot be used."""
    ran, found = inventory(controller)
    assert "".join(FLAW.split()) in said(ran)
    assert found["async_job_failed"]["hosts"] == ["web2"]
    assert found["async_job_unreadable"]["hosts"] == ["web1"]
    assert [host for host, variables in found["_meta"]["hostvars"].items() if "async_jobs" in variables] == ["web2"]


def test_the_inventory_has_keys(controller: Controller) -> None:
    """By its option, relative to its file: what is not signed is named, and makes no group and no variable."""
    controller.write("keys", "k" * 32 + "\n").chmod(0o600)
    put(controller.state_dir, "wrong", host="web1", playbook="test", status="failed", signature={"key": "x", "hmac": "y"})
    task = {"rstyczynski.ansible.async_job_state": {"job_name": "ours", "ansible_job_id": "j3.4", "record_key_file": "keys"}}
    controller.hosts("host1", "web1", "web2")
    ask(controller, task)
    ran, found = inventory(controller, "record_key_file: keys")
    for name in ("bad", "wrong", "good"):
        assert f"{name}.jsonisnottrusted" in said(ran)
    hosts = json.dumps(found["_meta"]["hostvars"])
    assert "ours" in hosts
    assert not [name for name in ("bad", "wrong", "good") if f'"{name}"' in hosts]
    assert [group for group in found if group.startswith("async_job_")] == [
        "async_job_name_ours",
        "async_job_playbook_test",
        "async_job_running",
    ]


HOOK = """
import os, sys
def hook(event, args):
    if event == "os.chmod" and args[1] & 0o077 and "/cache/" in os.fspath(args[0]):
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{args}\\n")
sys.addaudithook(hook)
"""


def test_the_cache_is_private_from_its_first_moment(controller: Controller) -> None:
    """Whatever the umask: it is never opened to others, not even until its mode is set."""
    controller.write("hook/sitecustomize.py", HOOK)
    seen = controller.project / "seen"
    environment = {
        "ANSIBLE_INVENTORY_CACHE": "1",
        "ANSIBLE_INVENTORY_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_INVENTORY_CACHE_CONNECTION": str(controller.project / "cache"),
        "PYTHONPATH": str(controller.project / "hook"),
        "SEEN": str(seen),
    }
    before = os.umask(0)
    try:
        _ran, first = inventory(controller, env=environment)
    finally:
        os.umask(before)
    [cached] = (controller.project / "cache").iterdir()
    assert stat.S_IMODE(cached.stat().st_mode) == 0o600
    assert not seen.exists(), seen.read_text()
    (controller.state_dir / "web2/test/good.json").unlink()
    _ran, again = inventory(controller, env=environment)
    assert again == first
