# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios of the playbooks, run as often as anybody likes, from wherever, by whomever, and when things go wrong.

Here, they are run twice, from two directories at the same time, by two users, on a busy machine, and after a reboot. What they tell, advise
and start once more is about the jobs of their own store.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller, Ran
from faults import Job, Scene
from waiting import until

SCENARIO = "rstyczynski.ansible.scenarios.scenario_"
# All but that of scenario 1 with OCI, which is no other
ALL = tuple(
    file.stem.removeprefix("scenario_")
    for file in sorted(Path(__file__).parents[2].glob("playbooks/scenarios/scenario_*.yml"))
    if "oci" not in file.stem
)
# Those that leave something on the host beside the results file, and one that leaves nothing
SOME = ("01_idempotent_basic", "05_live_output", "06_exactly_once")
# How long a command may take, in seconds: a machine may be very busy.
LONG = 1200
# One job runs on, and the others have ended when their scenario has.
QUICK = {
    "target": "h1",
    "job_duration": "{{ 2000 if job_name | default('') in ['nightly_backup', 'migration'] else 1 }}",
    "job_delay": 1,
    "job_poll": 1,
    "job_steps": 2,
    "job_patience": LONG,
    "job_deadline": LONG,
    "cli_command": "true",
}
Records = dict[str, dict[str, t.Any]]


def scenario(scene: Scene, name: str, **variables: t.Any) -> Ran:
    """Run a scenario by its name."""
    options = json.dumps({"target": "all", **variables})
    return scene.controller.playbook(SCENARIO + name, "-e", options, env={"ANSIBLE_TIMEOUT": "3"})


def aliases(scene: Scene, names: dict[str, str]) -> None:
    """Let several names of the inventory stand for the same host."""
    lines = {line.split()[0]: line for line in scene.hosts.inventory_lines()}
    scene.controller.hosts(*(f"{name} ansible_host={lines[host]}" for name, host in names.items()))


def said(output: str, host: str) -> str:
    """What the run said of a host."""
    pattern = rf"^(?:ok|fatal|changed|skipping): \[{host}\][^\n]*(?:=> )(?:\{{\n.*?^\}}|\{{[^\n]*\}})$"
    return " ".join(" ".join(re.findall(pattern, output, flags=re.M | re.S)).split())


def several(scene: Scene, numbers: t.Sequence[str], *directories: Path, **variables: t.Any) -> list[str]:
    """Run scenarios by their names in each of these directories, all of these at the same time. Return what they have printed."""
    options = ("-i", scene.controller.inventory, *(SCENARIO + number for number in numbers), "-e", json.dumps({**QUICK, **variables}))
    processes = [scene.controller.popen("playbook", *options, cwd=directory) for directory in directories]
    try:
        outputs = [process.communicate(timeout=LONG)[0] for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert [process.returncode for process in processes] == [0] * len(directories), "\n".join(outputs)
    return outputs


def records(directory: Path) -> Records:
    """Return the records of the default store of a directory, by the numbers of their scenarios and their jobs."""
    return {
        f"{file.parent.name.split()[1]} {file.stem}": json.loads(file.read_text("utf-8"))
        for file in directory.glob(".ansible_async_state/[!.]*/Scenario */*.json")
    }


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep the machine busy with so many processes."""
    processes = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _number in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def log_in(scene: Scene, user: str) -> None:
    """Let scenarios run on one host, as a user there."""
    scene.controller.hosts(*(line for line in scene.hosts.inventory_lines(user) if line.startswith("h1 ")))


def twice(scene: Scene, numbers: t.Sequence[str], *directories: Path) -> None:
    """Run scenarios twice in each directory, and make sure that each knows of its own jobs, has started each once, and says so.

    What is a task of C(async_job), and runs when the other directory is about to start the same, is one job of both.
    """
    for output in several(scene, numbers, *directories):
        assert "Started, running: job 'nightly_backup' " in output
        assert re.search(r'"step 1 of 2",?\n +"step 2 of 2"', output), output
    first = [records(directory) for directory in directories]
    ids = [job["ansible_job_id"] for jobs in first for job in jobs.values() if "origin" not in job]
    assert len(set(ids)) == len(ids)
    assert {name for jobs in first for name, job in jobs.items() if "origin" in job} <= {name for name in first[0] if name >= "06"}
    assert {job["attempt"] for jobs in first for job in jobs.values()} == {1}
    output_files = {jobs["05 import"]["stdout_file"] for jobs in first}
    assert len(output_files) == len(directories)
    assert {str(Path(file).parent) for file in output_files} == {"/home/op/.ansible_scenario_05"}

    for directory, output in zip(directories, several(scene, numbers, *directories), strict=True):
        assert "Found, running: job 'nightly_backup' " in output
        assert f"Its record: {directory}/.ansible_async_state/" in output
        assert "Job import, succeeded: job 'import' on h1 has succeeded. It has written 24 bytes." in output
        assert re.search(r'"attempt 1, \S+: job \'migrate\' on h1 has succeeded"', output)
        assert "step 1 of 2" not in output  # that was shown before
    assert [{name: job["ansible_job_id"] for name, job in records(directory).items()} for directory in directories] == [
        {name: job["ansible_job_id"] for name, job in jobs.items()} for jobs in first
    ]


def two_directories(scene: Scene, tmp_path: Path) -> tuple[Path, Path]:
    """Return two directories to run scenarios in, which share nothing but the controller's user, and the one of the host."""
    log_in(scene, "op")
    another = tmp_path / "another"
    another.mkdir()
    return scene.controller.project, another


def test_twice_in_two_directories_and_by_two_users(scene: Scene, tmp_path: Path) -> None:
    """Each store has records of its own: both start jobs at the same time, and both find theirs the second time.

    Another user of the host finds them, too, and starts nothing. What is counted elsewhere is not held against that user.
    """
    directories = two_directories(scene, tmp_path)
    twice(scene, SOME, *directories)
    log_in(scene, "app")
    [output] = several(scene, SOME, directories[0])
    assert "Found, running: job 'nightly_backup' " in output
    assert re.search(r'"attempt 1, \S+: job \'migrate\' on h1 has succeeded"', output)
    ledgers = [f"/home/{user}/.ansible_scenario_06/ledger" for user in ("op", "app")]
    assert f"The ledger of this attempt is {ledgers[0]}, and that of this run {ledgers[1]}." in output
    assert {job["attempt"] for job in records(directories[0]).values()} == {1}


@pytest.mark.torture
def test_all_of_them_on_a_busy_machine(scene: Scene, tmp_path: Path) -> None:
    """The same of all scenarios. What the reader is told to kill is no process of the same job of the other store."""
    directories = two_directories(scene, tmp_path)
    with busy(20):
        twice(scene, ALL, *directories)
        [asked] = several(scene, ["09_approval"], directories[0], allow_self=True)
        [line] = re.findall(r"To approve: ansible-playbook (.*)$", asked, re.MULTILINE)
        scene.controller.run("playbook", *shlex.split(line)).ok()
        outputs = several(scene, ["09_approval"], *directories, allow_self=True)
        assert ["deployed 1.0" in output for output in outputs] == [True, False]

        for what, status in (("To see its wrapper die", "orphaned"), ("To see it die altogether", "killed")):
            before = scene.controller.playbook(f"{SCENARIO}04_crash_detection", "-e", json.dumps(QUICK))
            [text] = re.findall(rf"{what}, on h1: kill -KILL ([0-9 ]+)", before.output)
            pids = {int(pid) for pid in text.split()}
            assert pids <= {*scene.processes("h1")}
            scene.kill("h1", "KILL", *sorted(pids))
            until(lambda pids=pids: pids.isdisjoint(scene.processes("h1")))
            after = scene.controller.playbook(f"{SCENARIO}04_crash_detection", "-e", json.dumps(QUICK)).failed()
            assert f"Job migration is {status}: " in after.text
        again = several(scene, ["04_crash_detection"], *directories, job_restart=True)
    assert ["Job migration has been started." in output for output in again] == [True, False]
    assert "Job migration, attempt 1, running: " in again[1]
    assert [records(directory)["04 migration"]["attempt"] for directory in directories] == [2, 1]


@pytest.mark.torture
def test_after_a_reboot(scene: Scene) -> None:
    """No scenario takes what ran before for something that runs, or is content with it. Former executions are not held against it."""
    log_in(scene, "root")
    numbers = [number for number in ALL if number not in ("07_durable_sequence", "09_approval")]  # these have no job that nobody awaits
    endless = {"target": "h1", "job_duration": 2000, "job_steps": 2000, "job_patience": 0, "job_poll": 0, "job_deadline": 0}
    endless["cli_command"] = "sleep 2000"
    for number in numbers:
        scenario(scene, number, **endless)
    begun = records(scene.controller.project)
    assert {job["status"] for job in begun.values()} == {"running"}
    until(lambda: scene.test("h1", "test -s ~/.ansible_scenario_06/ledger"))
    scene.hosts.reboot("h1")
    scene.hosts.disconnect()
    for number in numbers:
        ran = scenario(scene, number, **endless).failed()
        assert ("h1 rebooted at" in ran.text) == (number != "08_fan_out")  # that starts it once more
    restart = {"job_restart": True, "job_restart_on": ["lost"]}
    for number in ("04_crash_detection", "06_exactly_once"):
        scenario(scene, number, **endless, **restart).ok()
    after = records(scene.controller.project)
    assert set(after) == set(begun)
    anew = {"04 migration", "06 migrate", "08 patch"}
    assert {name: (job["status"], job["attempt"]) for name, job in after.items()} == {
        name: ("running", 2) if name in anew else ("lost", 1) for name in begun
    }


@pytest.mark.parametrize("number", ["01_idempotent_basic", "02_parameterized"])
def test_the_localhost_of_another_controller(controller: Controller, number: str) -> None:
    """Who has started a job there, and on which machine, is said; nothing is started, and nothing that is not known is noted."""
    name = {"01_idempotent_basic": "nightly_backup"}.get(number, "parameterized")
    title = f"Scenario {number.replace('_', ' ')}"
    options = json.dumps({"cli_command": "true", "job_duration": 0, "async_job_state_dir": str(controller.state_dir)})
    controller.playbook(SCENARIO + number, "-e", options).ok()
    file = controller.state_dir / "localhost" / title / f"{name}.json"
    record = json.loads(file.read_text("utf-8"))
    record.update(who="ann@elsewhere", status="running", async_dir=str(controller.home / "another"))
    file.write_text(json.dumps(record), "utf-8")
    before = file.read_bytes()
    ran = controller.playbook(SCENARIO + number, "-e", options).ok()
    assert "by ann@elsewhere, on localhost" in ran.text
    looked = controller.run(
        "adhoc", "localhost", "-m", "rstyczynski.ansible.async_job_status", "-a", json.dumps({"job_name": name, "playbook_name": title})
    ).failed()
    assert "cannot tell what became of job" in looked.text
    assert "it was started on the localhost of elsewhere" in looked.text
    assert file.read_bytes() == before


@pytest.mark.torture
def test_crash_detection(scene: Scene) -> None:
    """Scenario 4 tells all outcomes apart, says what to do, and starts once more only what it was told to."""
    on_h1 = ["failed", "killed", "orphaned", "timed_out", "cancelled", "succeeded", "running"]
    aliases(scene, {**dict.fromkeys(on_h1, "h1"), "lost": "h2"})
    names = [*on_h1, "lost"]
    durations = {name: 2000 + number for number, name in enumerate(names)} | {"failed": "ever", "succeeded": 0}
    variables = {
        "job_duration": "{{ durations[inventory_hostname] }}",
        "job_timeout": "{{ 2 if inventory_hostname == 'timed_out' else 600 }}",
        "durations": durations,
    }
    first = scenario(scene, "04_crash_detection", **variables).ok()
    assert all("Job migration has been started." in said(first.output, name) for name in names)
    title = "Scenario 04 crash detection"

    def record(name: str) -> dict[str, t.Any]:
        return scene.controller.record("migration", host=name, playbook_name=title)

    def job(name: str) -> Job:
        return Job("h2" if name == "lost" else "h1", name, record(name)["ansible_job_id"])

    def sleeps(name: str) -> bool:
        return any(process.line == f"sleep {durations[name]}" for process in scene.processes(job(name).host).values())

    for name in ("killed", "orphaned", "cancelled", "running", "lost"):
        until(lambda name=name: sleeps(name))
    # Beside an orphan, a look before the fault is what tells whose processes are left.
    for name in ("killed", "orphaned"):
        looked, _seconds = scene.task(
            name, "rstyczynski.ansible.async_job_status", {"job_name": "migration", "playbook_name": title, "host": name}
        )
        assert looked["status"] == "running"
    scene.signal_all("KILL", job("killed"))
    scene.kill("h1", "KILL", *(process.pid for process in scene.wrappers(job("orphaned"))))
    record_of = {"job_name": "migration", "playbook_name": title, "host": "cancelled"}
    scene.task("cancelled", "rstyczynski.ansible.async_job_cancel", {**record_of, "reason": "lunch"})
    scene.hosts.reboot("h2")
    scene.hosts.disconnect()
    until(lambda: (seen := scene.processes("h1")) and {name for name in names if scene.wrappers(job(name), seen)} == {"running"})
    ids = {name: record(name)["ansible_job_id"] for name in names}

    expected = {
        "failed": ("has failed with return code 1", "Correct what made it fail", True),
        "killed": ("was killed; its command left no result", "Find out who or what has killed it", True),
        "orphaned": ("its work goes on", "don't start it once more", False),
        "timed_out": ("time limit", "Give it more time with -e job_timeout", True),
        "cancelled": (": lunch", "Somebody did not want it", True),
        "lost": ("rebooted at", "Check what it had done before the host went down", True),
        "succeeded": ("has succeeded", "", False),
        "running": ("has been running for", "", False),
    }
    second = scenario(scene, "04_crash_detection", **variables).failed()
    for name, (reason, advice, restarts) in expected.items():
        text = said(second.output, name)
        assert f"attempt 1, {name}: " in text, text
        assert reason in text
        assert advice in text
        assert ("with -e job_restart=true" in text) == restarts
        assert second.recap(name)["failed"] == bool(advice)
        assert record(name)["status"] == name
    assert {name: record(name)["ansible_job_id"] for name in names} == ids

    third = scenario(scene, "04_crash_detection", **{**variables, "job_duration": 2100, "job_timeout": 600, "job_restart": True}).failed()
    for name, (_reason, _advice, restarts) in expected.items():
        assert (record(name)["ansible_job_id"] != ids[name]) == restarts, name
        assert third.recap(name)["failed"] == (name == "orphaned")
        assert ("Job migration has been started." in said(third.output, name)) == restarts
        assert record(name)["attempt"] == 1 + restarts
        assert [past["status"] for past in record(name).get("attempts", [])] == [name] * restarts
    assert sleeps("orphaned")


@pytest.mark.torture
def test_live_output(scene: Scene) -> None:
    """Scenario 5 goes on where the last run has stopped, shows the end or all of it, waits, and tells how it ended."""
    aliases(scene, {"good": "h1", "bad": "h1"})
    steps = 20
    first = scenario(scene, "05_live_output", job_steps=steps).ok()

    def job(host: str) -> Job:
        record = scene.controller.record("import", host=host, playbook_name="Scenario 05 live output")
        return Job("h1", "import", record["ansible_job_id"])

    scene.signal_all("STOP", job("good"))  # it waits for the test
    scene.signal_all("KILL", job("bad"))
    until(lambda: not scene.wrappers(job("bad")))

    def shown(output: str, host: str = "good") -> list[int]:
        return [int(step) for step in re.findall(rf'"step (\d+) of {steps}"[,\s]', said(output, host))]

    second = scenario(scene, "05_live_output", job_steps=steps).failed()
    assert second.recap("good")["failed"] == 0
    assert second.recap("bad")["failed"] == 1
    assert "killed: the wrapper of job 'import' on bad was killed; its command left no result" in said(second.output, "bad")

    waiting = scene.controller.popen(
        "playbook",
        "-i",
        scene.controller.inventory,
        f"{SCENARIO}05_live_output",
        "-e",
        json.dumps({"target": "good", "job_steps": steps, "job_patience": 60}),
    )
    third, shows_life = "", False
    assert waiting.stdout is not None
    for line in waiting.stdout:
        third += line
        if not shows_life and re.fullmatch(rf'import on good: running \S+, \d+ B of output: "step \d+ of {steps}"\n', line):
            shows_life = True
            scene.signal_all("CONT", job("good"))
    assert waiting.wait() == 0, third
    assert shows_life, third
    assert shown(first.output) + shown(second.output) + shown(third) == list(range(1, steps + 1))
    assert shown(third)[-1:] == [steps]
    size = sum(len(f"step {step} of {steps}\n") for step in range(1, steps + 1))
    assert f"Job import, succeeded: job 'import' on good has succeeded. It has written {size} bytes." in said(third, "good")
    for output, expected in (("new", []), ("full", list(range(1, steps + 1)))):
        assert shown(scenario(scene, "05_live_output", job_steps=steps, job_output=output).output) == expected
