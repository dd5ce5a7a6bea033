# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role async_job_load with the truth: what has failed is started once more, and nothing else."""

from __future__ import annotations

import json
import typing as t

import pytest
from controller import Ran
from faults import Scene
from waiting import until

Yaml = dict[str, t.Any]

ENDED = ["failed", "killed", "lost", "timed_out", "cancelled"]
OUTPUTS = ("found", "ansible_job_id", "status", "finished", "reason", "result", "record")

# The pattern of the documentation for each of the jobs. The ledger on the controller says what it started, so that a host that is
# away cannot hide a start.
PATTERN = """
- name: Look for the job
  ansible.builtin.include_role:
    name: rstyczynski.ansible.async_job_load
  vars:
    async_job_load_job_name: "{{ job }}"
- name: Tell what it returns
  tell:
    answers: "{{ {'job': job, OUTPUTS} | to_json | b64encode }}"
- name: Write into the ledger
  ansible.builtin.shell: echo '{{ inventory_hostname }} {{ job }}' >>'{{ playbook_dir }}/ledger'
  delegate_to: localhost
  vars:
    ansible_connection: local
  when: not async_job_load_found and not ansible_check_mode
- name: Start the job
  ansible.builtin.shell: "{{ command }}"
  async: 600
  poll: 0
  register: started
  when: not async_job_load_found and not ansible_check_mode
- name: Save the job
  ansible.builtin.include_role:
    name: rstyczynski.ansible.async_job_save
  vars:
    async_job_save_job_name: "{{ job }}"
    async_job_save_ansible_job_id: "{{ started.ansible_job_id }}"
    async_job_save_results_file: "{{ started.results_file }}"
  when: not async_job_load_found and not ansible_check_mode
""".replace("OUTPUTS", ", ".join(f"'{name}': async_job_load_{name}" for name in OUTPUTS))


@pytest.fixture
def scene(scene: Scene) -> Scene:
    """The same, with the pattern in a file of the project."""
    scene.controller.write("pattern.yml", PATTERN)
    return scene


def run(scene: Scene, *names: str, where: str = "h1", options: t.Sequence[str] = (), play: Yaml | None = None, **variables: t.Any) -> Ran:
    """Run the pattern for these jobs."""
    task: Yaml = {"ansible.builtin.include_tasks": "pattern.yml", "loop": [*names], "loop_control": {"loop_var": "job"}}
    whole = {
        "name": "test",
        "hosts": where,
        "gather_facts": False,
        "vars": {"command": "sleep 1030", **{f"async_job_load_{name}": value for name, value in variables.items()}},
        **(play or {}),
        "tasks": [task],
    }
    return scene.controller.playbook(json.dumps([whole], indent=1), *options, env={"ANSIBLE_TIMEOUT": "2"})


def returned(ran: Ran) -> dict[str, dict[str, t.Any]]:
    """What the role returned for each job."""
    return {answer["job"]: answer for answer in ran.told}


def ledger(scene: Scene) -> list[str]:
    """What was started, sorted."""
    file = scene.controller.project / "ledger"
    return sorted(file.read_text().splitlines()) if file.exists() else []


def test_only_what_has_failed(scene: Scene) -> None:
    """Each outcome is told, and kept in the record. Only the ones that were asked for are started once more, with their history kept."""
    jobs = scene.hold("h1", "timed_out", limit=10)
    jobs |= scene.hold("h1", "running", "killed", "lost", "orphaned", "cancelled")
    jobs |= scene.start("h1", {"succeeded": "echo fine", "failed": "echo broken >&2; exit 3"})
    # Beside an orphan, a look before the fault is what tells whose processes are left.
    scene.task("h1", "rstyczynski.ansible.async_job_status", {"job_names": ["killed", "lost", "orphaned"]})
    scene.signal_all("KILL", *(jobs[name] for name in ("killed", "lost")))
    scene.kill("h1", "KILL", *(process.pid for process in scene.wrappers(jobs["orphaned"])))
    scene.task("h1", "rstyczynski.ansible.async_job_cancel", {"job_name": "cancelled"})
    scene.shell("h1", 'rm "$1"', scene.results_file(jobs["lost"]))
    until(lambda: (seen := scene.processes("h1")) and {name for name in jobs if scene.wrappers(jobs[name], seen)} == {"running"})

    [unverified] = returned(run(scene, "killed").ok()).values()
    assert (unverified["status"], unverified["finished"], unverified["result"]) == ("running", False, {})

    answers = returned(run(scene, *jobs, "new", verify=True, options=("--check",)).ok())
    new = answers.pop("new")
    assert (new["found"], new["status"], new["finished"], new["reason"], new["result"]) == (False, "", False, "", {})
    for name, answer in answers.items():
        assert (answer["found"], answer["status"], answer["ansible_job_id"]) == (True, name, jobs[name].id), answer
        assert answer["finished"] == (name not in ("running", "orphaned"))
        assert answer["result"]["status"] == name
        assert answer["reason"] == answer["result"]["reason"]
        assert name == "orphaned" or f"job {name!r} on h1" in answer["reason"]
    assert (answers["failed"]["result"]["rc"], answers["failed"]["result"]["stderr"]) == (3, "broken")
    assert answers["succeeded"]["result"]["stdout"] == "fine"
    assert ledger(scene) == []

    answers = returned(run(scene, "failed", "killed", "lost", restart_on=["killed", "failed"]).ok())
    assert ledger(scene) == ["h1 failed", "h1 killed"]
    for name in ("failed", "killed"):
        assert (answers[name]["found"], answers[name]["ansible_job_id"], answers[name]["status"]) == (False, "", name)
    assert (answers["lost"]["found"], answers["lost"]["status"]) == (True, "lost")

    answers = returned(run(scene, *jobs, restart_on=[*ENDED, "succeeded"]).ok())
    started = {"h1 cancelled", "h1 lost", "h1 succeeded", "h1 timed_out"}
    assert ledger(scene) == sorted({"h1 failed", "h1 killed", *started})
    found = {name: answer["status"] for name, answer in answers.items() if answer["found"]}
    assert found == {"running": "running", "orphaned": "orphaned", "failed": "running", "killed": "running"}, answers
    for name in ("failed", "killed", "cancelled", "lost", "succeeded", "timed_out"):
        record = scene.controller.record(name, host="h1")
        [past] = record["attempts"]
        assert (past["attempt"], past["ansible_job_id"], past["status"]) == (1, jobs[name].id, name)
        assert past["rc"] == {"failed": 3, "succeeded": 0}.get(name, past["rc"])
        assert {"start", "end", "who"} < past.keys()
        assert f"job {name!r} on h1" in past["reason"]
        assert ("cancelled" in past) == (name == "cancelled")
        assert (record["attempt"], record["status"]) == (2, "running")
        assert not {"end", "result", "reason", "cancelled"} & record.keys()
        assert record["ansible_job_id"] not in ("", jobs[name].id)
    record = scene.controller.record("orphaned", host="h1")
    assert (record["attempt"], record["ansible_job_id"]) == (1, jobs["orphaned"].id)


@pytest.mark.parametrize("states", [["orphaned"], ["running"], ["unknown"], ["failed", "typo"]], ids=",".join)
def test_never_restarted(scene: Scene, states: list[str]) -> None:
    """What may still be at work cannot be asked to be started once more."""
    ran = run(scene, "job", restart_on=states).failed()
    assert "async_job_load_restart_on" in ran.text
    assert states[-1] in ran.text
    assert ledger(scene) == []


CARELESS: list[Yaml] = [
    {},
    {"ignore_errors": True},
    {"ignore_unreachable": True},
    {"ignore_errors": True, "ignore_unreachable": True},
]


def test_nothing_starts_when_nobody_can_tell(scene: Scene) -> None:
    """Because the host is away, or hides what we look for; in a play that goes on whatever happens, too."""
    scene.user("app")
    jobs = scene.hold("h1", "hidden") | scene.start("h2", {"away": "true"})
    scene.signal_all("KILL", jobs["hidden"])
    scene.hosts.hidepid("h1")
    scene.hosts.disconnect()
    scene.hosts.off("h2")
    scene.user("op")
    before = {name: scene.record_file(job).read_bytes() for name, job in jobs.items()}
    both = json.dumps({"h1": "hidden", "h2": "away"})
    for play in CARELESS:
        ran = run(scene, f"{{{{ {both}[inventory_hostname] }}}}", where="all", play=play, restart_on=[*ENDED, "succeeded"])
        assert ledger(scene) == [], play
        assert {name: scene.record_file(job).read_bytes() for name, job in jobs.items()} == before
        # Where the play goes on, the tasks that would start something were there, and were skipped.
        assert ("TASK [Start the job]" in ran.output) == ("ignore_errors" in play), ran.output
        assert "cannot tell what became of job 'hidden' on h1" in ran.text
        assert "UNREACHABLE" in ran.output
        for answer in returned(ran).values():
            assert (answer["found"], answer["ansible_job_id"], answer["status"], answer["finished"]) == (True, "", "", False), play
        if not play:
            assert ran.rc
            assert (ran.recap("h1")["failed"], ran.recap("h2")["unreachable"]) == (1, 1)
    scene.hosts.on("h2")


def test_whose_home_it_was_nobody_noted(scene: Scene) -> None:
    """The job was started by another user than the one who looks, and its results file was not saved: nothing says that it is lost."""
    whole = {
        "name": "test",
        "hosts": "h1",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.shell": "echo ran >>/tmp/ledger",
                "async": 600,
                "poll": 0,
                "become": True,
                "become_user": "app",
                "register": "started",
                "when": "not async_job_load_found",
            },
            {
                "ansible.builtin.include_role": {"name": "rstyczynski.ansible.async_job_save"},
                "vars": {"async_job_save_job_name": "job", "async_job_save_ansible_job_id": "{{ started.ansible_job_id }}"},
                "when": "not async_job_load_found",
            },
        ],
    }
    load = {
        "ansible.builtin.include_role": {"name": "rstyczynski.ansible.async_job_load"},
        "vars": {
            "async_job_load_job_name": "job",
            "async_job_load_verify": True,
            "async_job_load_become_recorded_user": True,
            "async_job_load_restart_on": ["failed", "killed", "lost", "timed_out", "cancelled"],
        },
    }
    whole["tasks"].insert(0, load)  # type: ignore[attr-defined]
    text = json.dumps([whole])
    scene.controller.playbook(text + "\n").ok()
    until(lambda: scene.test("h1", "test -s /tmp/ledger"))
    until(lambda: not [process for process in scene.processes("h1").values() if "/async_wrapper.py" in process.line])
    for _turn in range(2):
        failed = scene.controller.playbook(text + "\n").failed()
        assert "nobody noted whose home directory" in failed.output
    assert scene.shell("h1", "cat /tmp/ledger") == "ran\n"
    for job in ("by the user", "by root"):  # with become_user in the record, root knows whose home it is
        whole["tasks"][2]["vars"]["async_job_save_become_user"] = "app"  # type: ignore[index]
        text = json.dumps([whole]).replace('"job"', f'"{job}"')
        scene.controller.playbook(text + "\n").ok()
        scene.controller.playbook(text + "\n").ok()
        assert scene.controller.record(job, host="h1")["status"] in ("running", "succeeded")
