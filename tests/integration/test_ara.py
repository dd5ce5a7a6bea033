# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real ARA, without a server: what it says of jobs, what records say of it, and what becomes of runs that were killed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from controller import Controller, Ran
from missing import do_without
from pages import blocks_of, guide
from plays import job, play, shell
from records import put
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.runs import this_run

# Prints what ARA holds: each playbook with its status, its labels, what goes on in it, and its records.
ASK = """
import json
from ara.clients.utils import get_client
ara = get_client("offline", run_sql_migrations=False)
all = {}
for one in ara.get("/api/v1/playbooks", limit=1000)["results"]:
    about = ara.get(f"/api/v1/playbooks/{one['id']}")
    found = ara.get("/api/v1/records", playbook=one["id"])["results"]
    records = [ara.get(f"/api/v1/records/{record['id']}") for record in found]
    all[one["id"]] = {
        "status": about["status"],
        "labels": [label["name"] for label in about["labels"]],
        "records": {record["key"]: record["value"] for record in records},
        "running": sum(ara.get(f"/api/v1/{kind}", playbook=one["id"], status="running")["count"] for kind in ("plays", "tasks")),
    }
print(json.dumps(all))
"""


@pytest.fixture
def ara(controller: Controller) -> dict[str, str]:
    """The environment of runs that ARA records."""
    found = importlib.util.find_spec("ara")
    if found is None or not found.submodule_search_locations:
        do_without("no ARA: pip install --requirement tests/requirements-neighbours.txt")
    controller.environment["ARA_BASE_DIR"] = str(controller.home / "ara")
    return {"ANSIBLE_CALLBACK_PLUGINS": str(Path(found.submodule_search_locations[0]) / "plugins/callback")}


def said(controller: Controller) -> dict[int, dict[str, t.Any]]:
    """Return what ARA holds."""
    done = subprocess.run([sys.executable, "-c", ASK], env=controller.environment, check=True, stdout=subprocess.PIPE, text=True)
    return {int(number): about for number, about in json.loads(done.stdout.splitlines()[-1]).items()}


def test_from_either_side_one_gets_to_the_other(controller: Controller, ara: dict[str, str], tmp_path: Path) -> None:
    """Records say which playbook in ARA has started an attempt and which one has seen its end; these have its place. One whose run was
    killed is set right, if that is proven, and nothing else is."""
    enough = tmp_path / "enough"
    wait = shell(f"until test -e {enough}; do sleep 0.1; done")
    look = {"rstyczynski.ansible.async_job_status": {"job_name": "migrate", "wait_timeout": 120, "wait_interval": 1}}

    def ran(name: str, *tasks: dict[str, t.Any]) -> Path:
        return controller.write(f"{name}.yml", json.dumps([play(*tasks)]))

    save = {"rstyczynski.ansible.async_job_state": {"job_name": "saved", "ansible_job_id": "j1.2"}}
    controller.playbook(ran("start", job(wait, name="migrate", limit=900), save), env=ara).ok()
    first = controller.record("migrate")["ara_playbook"]
    killed = controller.popen("playbook", "-i", controller.inventory, ran("wait", job(wait, name="second", poll=1, limit=900)), env=ara)
    until((controller.state_dir / "host1/test/second.json").exists)
    until(lambda: controller.record("second")["status"] == "running")
    until(lambda: controller.record("second").get("runner"))  # what it says to ARA, it says before it looks
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    enough.touch()
    controller.playbook(ran("collect", look), env=ara).ok()
    noted = controller.record("migrate")["ara_playbook"]
    assert ({"started": noted["started"]}, noted["ended"]["id"]) == (first, 3)

    before = said(controller)
    assert {number: (about["status"], "job:migrate" in about["labels"]) for number, about in before.items()} == {
        **{1: ("completed", True), 2: ("running", False), 3: ("completed", True)},
    }
    assert {"job:migrate", "job:saved"} <= {*before[1]["labels"]}
    assert before[1]["records"]["async_job host1/test/saved.json"]["has"] == ["started"]
    place = str(controller.state_dir / "host1/test/migrate.json")
    for number, has in ((1, ["started"]), (3, ["ended"])):
        value = before[number]["records"]["async_job host1/test/migrate.json"]
        assert (value["record"], value["has"]) == (place, has)
    assert before[3]["records"]["async_job host1/test/migrate.json"]["status"] == "succeeded"

    report, dry, apply = paste(controller)
    assert "1 would be set right: [2]" in dry.text
    assert "1 set right: [2]" in apply.text
    after = said(controller)
    assert {number: about["status"] for number, about in after.items()} == {1: "completed", 2: "expired", 3: "completed"}
    assert [about["running"] for about in after.values()] == [0, 0, 0]
    assert report.rc == 0
    assert "https://ara.example.com/playbooks/1.html" in (controller.project / "jobs.html").read_text("ascii")


def test_nodes_of_a_workflow(controller: Controller, ara: dict[str, str]) -> None:
    """Their playbooks carry labels, beside those of the user. One that was killed is set right, since its record proves that."""
    controller.write("flow.yml", "nodes: {build: {playbook: build.yml}, deploy: {playbook: deploy.yml, after: build}}\n")
    suicide = shell("kill -9 {{ lookup('ansible.builtin.pipe', 'ps -o ppid= -p $PPID') }}")
    for name, task in (("build", shell("true")), ("deploy", suicide)):
        controller.write(f"{name}.yml", json.dumps([play(task, hosts="localhost")]))
    name = "rstyczynski.ansible.workflow"
    ran = controller.playbook(name, "-e", "file=flow.yml", "-e", "run=a,b", env={**ara, "ARA_DEFAULT_LABELS": "mine"})
    assert ran.rc == 2, ran.output
    before = {number: {**about, "labels": {*about["labels"]}} for number, about in said(controller).items()}
    nodes = {number: about for number, about in before.items() if {"mine", "workflow:flow", "run:a b"} <= about["labels"]}
    [build] = [number for number, about in nodes.items() if "node:build" in about["labels"]]
    [deploy] = [number for number, about in nodes.items() if "node:deploy" in about["labels"]]
    assert (nodes[build]["status"], nodes[deploy]["status"]) == ("completed", "running")

    number = max(before) + 1  # that of the run that says what would be set right
    put(controller.state_dir, "foreign", ara_playbook={"started": {**this_run(os.getpid()), "id": number}})
    dry = controller.playbook("rstyczynski.ansible.ara_sync", env=ara).ok()
    assert re.search(rf"\b{number}: \S+/ara_sync.yml: ARA holds no record of these jobs that says the same", dry.text)
    assert f"1 would be set right: [{deploy}]" in dry.text
    controller.playbook("rstyczynski.ansible.ara_sync", "-e", "apply=true", env=ara).ok()
    after = said(controller)
    assert (after[build]["status"], after[deploy]["status"], after[deploy]["running"]) == ("completed", "expired", 0)


def paste(controller: Controller) -> list[Ran]:
    """Run the commands of the guide as they stand there."""
    commands = [block.text for block in blocks_of(guide("guide_ara")) if block.language == "shell" and "ansible-playbook" in block.text]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    answers = []
    for command in commands:
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=controller.project,
            env={**controller.environment, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        answers.append(Ran(done.returncode, done.stdout).ok())
    return answers
