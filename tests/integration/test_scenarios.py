# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios of the playbooks on real hosts, when things go wrong: what they tell, advise and start once more."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from controller import Controller, Ran
from faults import Job, Scene
from waiting import until

SCENARIO = "rstyczynski.ansible.scenarios.scenario_"


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
