# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of the real ansible-runner, with what AWX gives to them: its variables, its environment, its limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from controller import Controller
from object_storage_server import ObjectStorageServer
from pages import blocks_of, guide
from plays import Yaml, job, lines, play, shell
from records import put
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import find_process

AWX = {"AWX_HOST": "https://awx.example.com", "JOB_ID": "12"}


def given(job_id: int, **more: t.Any) -> Yaml:
    """Return the extra variables that AWX gives to one of its jobs, in its own words."""
    said = {"job_id": job_id, "job_launch_type": "manual", "user_id": 3, "user_name": "alice", "user_email": "alice@example.com", **more}
    return {f"{prefix}_{name}": value for prefix in ("awx", "tower") for name, value in said.items()}


class Runner:
    """Runs playbooks in a private data directory, as AWX lays it out."""

    def __init__(self, controller: Controller, directory: Path) -> None:
        self.directory = directory
        for name in ("project", "inventory", "env"):
            (directory / name).mkdir(parents=True)
        (directory / "inventory/hosts").write_text("host1 ansible_connection=local\n", "utf-8")
        self._environment = {**controller.environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def write(self, *plays: Yaml, variables: Yaml, settings: Yaml | None = None, environment: dict[str, str] | None = None) -> None:
        """Lay out a run."""
        (self.directory / "project/site.yml").write_text(json.dumps(plays), "utf-8")
        for name, content in (("extravars", variables), ("settings", settings or {}), ("envvars", environment or AWX)):
            (self.directory / "env" / name).write_text(json.dumps(content), "utf-8")

    def run(self, name: str, playbook: str = "site.yml") -> str:
        """Run it to its end. Return what ansible-runner says of that."""
        command = [Path(sys.executable).with_name("ansible-runner"), "run", self.directory, "-p", playbook, "--ident", name]
        done = subprocess.run(command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        status = self.directory / "artifacts" / name / "status"
        assert status.exists(), f"{done.stdout}{done.stderr}"
        return status.read_text("utf-8")

    def run_until(self, over: t.Callable[[], bool]) -> str:
        """Run it by the library, as AWX does, and cancel it as soon as something is so. Return how it has ended."""
        program = (
            "import os, sys, ansible_runner\n"
            "print(ansible_runner.run(private_data_dir=sys.argv[1], playbook='site.yml', ident='cancelled', quiet=True,"
            " cancel_callback=lambda: os.path.exists(sys.argv[2])).status)"
        )
        flag = self.directory / "cancel"
        with subprocess.Popen(
            [sys.executable, "-c", program, self.directory, flag],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            until(lambda: over() or process.poll() is not None, seconds=240)
            flag.touch()
            return process.communicate(timeout=120)[0].split()[-1]

    def inventory(self, source: Path, environment: dict[str, str]) -> Yaml:
        """Return what a file of the project makes as an inventory source."""
        program = (
            "import sys, json, ansible_runner\n"
            "found, said = ansible_runner.get_inventory(action='list', inventories=[sys.argv[2]], response_format='json', quiet=True,"
            " private_data_dir=sys.argv[1], envvars=json.loads(sys.argv[3]))\n"
            "print(json.dumps({**found, 'said': said}))"
        )
        command = [sys.executable, "-c", program, self.directory, source, json.dumps(environment)]
        done = subprocess.run(command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
        found: Yaml = json.loads(done.stdout.splitlines()[-1])
        return found

    def output(self, name: str) -> str:
        """Return what a run has printed."""
        return (self.directory / "artifacts" / name / "stdout").read_text("utf-8")

    def events(self, name: str) -> list[Yaml]:
        """Return the events of a run, in their order."""
        files = (self.directory / "artifacts" / name / "job_events").glob("*-*.json")
        return sorted((json.loads(file.read_text("utf-8")) for file in files), key=lambda event: event["counter"])

    def sizes(self, name: str) -> dict[str, int]:
        """Return how large all events of each task are together, by its name."""
        sizes: dict[str, int] = {}
        for event in self.events(name):
            task = event["event_data"].get("task", "")
            sizes[task] = sizes.get(task, 0) + len(json.dumps(event))
        return sizes


@pytest.fixture
def runner(controller: Controller, tmp_path: Path) -> Runner:
    """Its private data directory stays, and so do the records in it."""
    return Runner(controller, tmp_path / "private")


def test_who_has_started_it_and_what_it_leaves(runner: Runner, controller: Controller) -> None:
    """That is the user of AWX with their job, for the roles too; the artifacts are what was asked for; and events are not large."""
    say = shell("for i in $(seq 40); do echo what a job says in its line $i; done")
    state = {"state_dir": str(controller.state_dir), "create_store": True}
    options = {**state, "store_result": ["cmd"], "set_stats": ["status", "result", "artifacts"]}
    save = {"rstyczynski.ansible.async_job_state": {"job_name": "saved", "ansible_job_id": "j1.2", **state}}
    runner.write(
        play(
            {**say, "name": "native", "async": 60, "poll": 1},
            job(say, poll=1, options=options, name="migrate") | {"name": "durable"},
            job({"ansible.builtin.ping": {}}, poll=1, options={**state, "set_stats": ["status"]}, name="secret", no_log=True),
            save,
        ),
        variables=given(12, workflow_job_id=10, parent_job_schedule_name="each night"),
    )
    assert runner.run("one") == "successful", runner.output("one")
    record = controller.record("migrate")
    machine = os.uname().nodename
    awx = {"user_name": "alice", "job_id": 12, "workflow_job_id": 10, "schedule_name": "each night"}
    assert (record["awx"], record["who"]) == (awx, f"alice@{machine}")
    saved = controller.record("saved")
    assert (saved["awx"], saved["who"]) == (awx, f"alice@{machine}")
    artifacts = runner.events("one")[-1]["event_data"]["artifact_data"]
    jobs = artifacts.pop("async_jobs")["host1"]
    assert artifacts == {"cmd": say["ansible.builtin.shell"]}
    assert {name: jobs["migrate"][name] for name in ("status", "attempt", "finished", "failed", "changed")} == {
        **{"status": "succeeded", "attempt": 1, "finished": True, "failed": False, "changed": True},
    }
    assert jobs["migrate"]["result"]["rc"] == 0
    assert "stdout" not in jobs["migrate"]["result"]
    assert jobs["secret"].keys() == {"status", "reason", "attempt", "finished", "failed", "changed"}
    sizes = runner.sizes("one")
    assert sizes["durable"] <= 2 * sizes["native"], sizes
    assert "WARNING" not in runner.output("one")


def test_what_a_run_that_is_ended_leaves_running(runner: Runner, controller: Controller, tmp_path: Path) -> None:
    """A run that is cancelled, or reaches its time limit, leaves its job running. The next one says so, and cancels it if it is to.

    Nobody is warned of a directory that stays, and of one that goes away before the job starts.
    """
    ledger = tmp_path / "ledger"
    work = shell(f"echo $$ >> {ledger}; test $(wc -l < {ledger}) -gt 1 || exec sleep 600")
    state = {"state_dir": str(controller.state_dir)}
    environment = {**AWX, "AWX_PRIVATE_DATA_DIR": str(runner.directory)}
    attach = job(work, poll=1, limit=700, options=state)
    cancel = job(work, poll=1, limit=700, options={**state, "on_cancel": "cancel", "restart_on": ["cancelled"]})

    runner.write(play(cancel), variables=given(12), environment=environment)

    def runs() -> bool:
        return (controller.state_dir / "host1/test/job.json").exists() and controller.record("job")["status"] == "running"

    assert runner.run_until(runs) == "canceled"
    pid = int(lines(ledger)[0])
    runner.write(play(attach), variables=given(13), settings={"job_timeout": 3}, environment=environment)
    assert runner.run("over") == "timeout"
    assert find_process(pid), "the job is gone"
    assert len(lines(ledger)) == 1

    doomed = job({"ansible.builtin.ping": {}}, name="doomed") | {"name": "doomed"}
    runner.write(play(cancel, doomed), variables=given(14), environment=environment)
    assert runner.run("next") == "successful", runner.output("next")
    said = " ".join(runner.output("next").split())
    assert "by job 12 of AWX (alice), and goes on" in said
    assert "is gone (on_cancel). It is cancelled." in said
    assert not find_process(pid)
    assert len(lines(ledger)) == 2
    record = controller.record("job")
    [past] = record["attempts"]
    assert (past["status"], past["awx"]["job_id"], record["status"], record["awx"]["job_id"]) == ("cancelled", 12, "succeeded", 14)
    assert past["cancelled"]["who"] == f"alice@{os.uname().nodename}"

    events = runner.events("next")
    warned = [event["counter"] for event in events if "STARTS EVERY JOB A SECOND TIME" in " ".join(event["stdout"].split())]
    ended = [event["counter"] for event in events if event["event"] == "runner_on_ok" and event["event_data"]["task"] == "doomed"]
    assert warned[0] < ended[0]
    assert "WARNING" not in said.partition("TASK [doomed]")[0]


def test_survey_and_inventory_source(runner: Runner, controller: Controller) -> None:
    """A survey answers with texts, some of them empty. A project has an inventory of the jobs in a bucket."""
    path = put(controller.state_dir, "nightly", host="host1", status="failed")
    jobs = {"ansible.builtin.import_playbook": "rstyczynski.ansible.jobs", "name": "Show"}
    survey = {"job": "n*", "host": "", "playbook": "", "status": "failed,lost", "older_than": "", "newer_than": "", "verify": "false"}
    settings = {"async_job_state_dir": str(controller.state_dir)}
    runner.write(jobs, variables={**given(15), **survey, **settings})
    assert runner.run("survey") == "successful", runner.output("survey")
    assert "1 job: 1 failed" in runner.output("survey")

    with ObjectStorageServer() as server:
        server.put("host1/Nightly/nightly.json", path.read_bytes())
        source = runner.directory / "project/jobs.async_jobs.yml"
        source.write_text("plugin: rstyczynski.ansible.async_jobs\nbackend: oci\nadd_hosts: true\n", "utf-8")
        place = {"BUCKET": server.bucket, "NAMESPACE": server.namespace, "ENDPOINT": server.endpoint}
        bucket = {f"ASYNC_JOB_OCI_{name}": value for name, value in place.items()}
        bucket.update(OCI_CONFIG_FILE=str(server.config_file), no_proxy="127.0.0.1", NO_PROXY="127.0.0.1")
        document = runner.inventory(source, bucket)
    assert document.get("async_job_failed", {}).get("hosts") == ["host1"], document


def test_execution_environment(controller: Controller, collections: Path, tmp_path: Path) -> None:
    """The collection says what it needs, and the file of the guide is one that ansible-builder takes."""
    builder = Path(sys.executable).with_name("ansible-builder")

    def run(*args: t.Any) -> str:
        done = subprocess.run(
            [builder, *map(str, args)], cwd=tmp_path, env=controller.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    needed = yaml.safe_load(run("introspect", collections))
    assert [line.split()[0] for line in needed["python"]] == ["oci"]
    assert needed["system"] == []
    [definition] = [block.text for block in blocks_of(guide("guide_awx")) if "base_image" in block.text]
    (tmp_path / "execution-environment.yml").write_text(definition, "utf-8")
    said = run("create", "--context", tmp_path / "context", "--output-filename", "Containerfile")
    assert "outdated" not in said
    made = yaml.safe_load((tmp_path / "context/_build/requirements.yml").read_text("utf-8"))
    assert made == {"collections": [{"name": "rstyczynski.ansible"}]}
    assert (tmp_path / "context/Containerfile").is_file()
