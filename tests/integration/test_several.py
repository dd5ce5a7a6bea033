# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several jobs of one task ``async_job``, as users write it."""

from __future__ import annotations

import json
import os
import re
import signal
import typing as t
from pathlib import Path

from controller import Controller, Live
from plays import Yaml, lines, run_tasks, shell, telling, told
from waiting import until


def several(jobs: t.Any, *, poll: int = 0, limit: int = 900, options: Yaml | None = None, **keywords: t.Any) -> Yaml:
    """Return a task that starts jobs."""
    return {"rstyczynski.ansible.async_job": {"jobs": jobs, **(options or {})}, "async": limit, "poll": poll, **keywords}


def one(name: str, command: str, **options: t.Any) -> Yaml:
    """Return a job of a list, which runs a command."""
    return {"job_name": name, "task": shell(command), **options}


def test_several_jobs(controller: Controller, ledger: Path) -> None:
    """They run at the same time, those that fail are started anew or are said to have failed, and all have their results, also later."""
    project = controller.project
    jobs = [
        # Each of these ends when the other one runs; the first one not before the third attempt of the next.
        one(
            "left",
            f"echo left >>{ledger}; touch {project}/left;"
            f" until [ -e {project}/right ] && [ $(grep -c flaky {ledger}) -ge 3 ]; do sleep 0.1; done; echo done",
        ),
        one("flaky", f"echo flaky >>{ledger}; [ $(grep -c flaky {ledger}) -ge 3 ]", max_attempts=3, restart_on=["failed"]),
        one("broken", f"echo broken >>{ledger}; echo why >&2; exit 3", store_result=["cmd"]),
        {"job_name": "module", "task": {"ansible.builtin.stat": {"path": str(project)}}},
        one("right", f"echo right >>{ledger}; touch {project}/right; until [ -e {project}/left ]; do sleep 0.1; done", metadata={"no": 1}),
    ]
    task = several(jobs, poll=1, options={"restart_on": ["killed"], "metadata": {"no": 0}})
    ran = run_tasks(controller, {**task, "check_mode": True}, task, {**task, "check_mode": True}, task)
    predicted, did, after, again = told(ran)
    names = [job["job_name"] for job in jobs]

    assert (predicted["changed"], predicted["failed"], predicted["finished"]) == (True, False, False)
    for name, said in zip(names, predicted["jobs"], strict=True):
        assert (said["job_name"], said["status"], said["changed"]) == (name, "starting", True)
        assert f"would start attempt 1 of the job {name!r}" in said["msg"]
        assert said["msg"] in predicted["msg"]

    assert [job["job_name"] for job in did["jobs"]] == names
    assert [job["status"] for job in did["jobs"]] == ["succeeded", "succeeded", "failed", "succeeded", "succeeded"]
    assert [job["attempt"] for job in did["jobs"]] == [1, 3, 1, 1, 1]
    assert [job["changed"] for job in did["jobs"]][:3] == [True, True, True]
    assert (did["changed"], did["failed"], did["finished"], did["started"]) == (True, True, True, True)
    left, _flaky, broken, module, _right = did["jobs"]
    assert left["stdout"] == "done"
    assert (broken["rc"], broken["stderr"]) == (3, "why")
    assert module["stat"]["isdir"]
    assert did["msg"].startswith("1 of 5 jobs failed. broken: ")
    assert "record" not in left
    assert sorted(lines(ledger)) == ["broken", "flaky", "flaky", "flaky", "left", "right"]
    assert [controller.record(name)["metadata"]["no"] for name in ("left", "right")] == [0, 1]
    assert re.search(r"^left on host1: running", ran.output, re.MULTILINE), ran.output

    for result in (after, again):
        assert (result["changed"], result["failed"], result["finished"]) == (False, True, True)
        assert [job["status"] for job in result["jobs"]] == [job["status"] for job in did["jobs"]]
        assert result["jobs"][0]["stdout"] == "done"


def test_two_controllers(controller: Controller, ledger: Path) -> None:
    """They meet in the middle of one list, and one of them is killed there. Each job is started once, and whoever is left has all."""
    jobs = [one(f"job{number}", f"echo job{number} >>{ledger}; sleep 3") for number in range(6)]
    plays = [[telling(several(some, poll=1))] for some in (jobs, [*reversed(jobs)])]
    files = [controller.write(f"playbook{number}.yml", json.dumps(plays)) for number, plays in enumerate(plays)]
    processes = [controller.popen("playbook", "-i", controller.inventory, file) for file in files]
    dying, staying = map(Live, processes)
    until(lambda: len(lines(ledger)) >= 3, seconds=240)
    os.killpg(processes[0].pid, signal.SIGKILL)
    [result] = told(staying.ran())
    dying.ran()
    assert [job["job_name"] for job in result["jobs"]] == [f"job{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert [job["status"] for job in result["jobs"]] == ["succeeded"] * 6, result
    assert (result["finished"], result["failed"]) == (True, False)
    assert sorted(lines(ledger)) == [f"job{number}" for number in range(6)]


def test_so_many_at_the_same_time(controller: Controller, ledger: Path) -> None:
    """No more of them run than the task says, with those that ran before; whether it waits or is tried again. Other keywords hold."""
    work = f"mkdir -p {controller.project}/run; cd {controller.project}/run; touch $$; ls | wc -l >>{ledger}; sleep 1; rm $$"
    names = ["a", "b", "c", "d", "e"]
    jobs = [one(name, work) for name in names]
    first, at_once, waited, tried, secret = told(
        run_tasks(
            controller,
            several(jobs[3:4]),
            several([one(name, work) for name in ("x", "y")], options={"max_parallel": 1}),
            several(jobs, poll=1, options={"max_parallel": 2}),
            several(
                [one(f"{{{{ item }}}} {name}", work) for name in ("x", "y")],
                options={"max_parallel": 1},
                loop=["0", "1"],
                until="answer3 is finished",
                retries=30,
                delay=1,
            ),
            several(
                [one("secret", "echo pass; exit 2"), {"job_name": "open", "task": {"ansible.builtin.command": "true"}}],
                poll=1,
                no_log=True,
                delegate_to="elsewhere",
                options={"host": "db"},
            ),
        )
    )
    assert (first["changed"], first["finished"], first["started"]) == (True, False, True)
    assert [job["started"] for job in at_once["jobs"]] == [True, False]
    assert "max_parallel" in at_once["jobs"][1]["reason"]
    assert (at_once["failed"], at_once["started"], at_once["finished"]) == (False, False, False)
    assert [job["job_name"] for job in waited["jobs"]] == names
    assert all(job["changed"] for job in waited["jobs"])  # the end of the fourth, too, is first returned here
    assert (waited["finished"], waited["failed"]) == (True, False)
    assert [item["finished"] for item in tried["results"]] == [True, True]
    assert all(job["changed"] for item in tried["results"] for job in item["jobs"])
    assert len(lines(ledger)) == 10  # y was left alone
    assert max(map(int, lines(ledger))) <= 3  # x was of another task
    assert secret["failed"]
    record = controller.record("secret", host="db")
    assert (record["no_log"], record["delegated_host"], record["status"]) == (True, "elsewhere", "failed")
    assert controller.record("open", host="db")["status"] == "succeeded"


REFUSED: list[tuple[t.Any, Yaml, str]] = [
    ([one("a", "true"), one("b", "true"), one("a", "false")], {}, "jobs[0] and jobs[2] have the same job_name 'a'"),
    ([one("a", "true"), one("b", "true", max_attempts=0)], {}, "jobs[1].max_attempts is 0"),
    ([one("a", "true"), {"job_name": "b", "task": {"ansible.builtin.raw": "true"}}], {}, "jobs[1] (b): task: the action"),
    ([one("a", "true"), {"job_name": "b"}], {}, "missing required arguments: task found in jobs"),
    ([one("a", "true", vars={"x": 1})], {}, "vars"),
    ([one("a", "true"), one(["b"], "true")], {}, "jobs[1].job_name is no text"),  # type: ignore[arg-type]
    ("a,b", {}, "jobs is not a list of mappings"),
    ([one("a", "true")], {"job_name": "a"}, "mutually exclusive: job_name|jobs"),
    ([one("a", "true")], {"max_parallel": 0}, "max_parallel is 0"),
]


def test_what_cannot_be_meant(controller: Controller) -> None:
    """It is refused before anything is started. No jobs are no fault, and what is wrong with one is not the fault of the others."""
    tasks = [several(jobs, options=options) for jobs, options, _words in REFUSED]
    flawed = [one("good", "true"), one("bad", "true"), one("late", "true")]
    spoil = {"ansible.builtin.copy": {"content": "{", "dest": f"{controller.state_dir}/host1/test/bad.json"}}
    *refused, _nothing, prepared, _spoilt, rest = told(
        run_tasks(controller, *tasks, several([]), several(flawed[:2], poll=1), spoil, several(flawed, poll=1))
    )
    for (_jobs, _options, words), answer in zip(REFUSED, refused, strict=True):
        assert answer["failed"], words
        assert words in answer["msg"], answer["msg"]
    assert (_nothing["changed"], _nothing["failed"], _nothing["jobs"]) == (False, False, [])
    assert not prepared["failed"]
    assert {file.stem for file in controller.state_dir.rglob("*.json")} == {"good", "bad", "late"}
    assert [job["failed"] for job in rest["jobs"]] == [False, True, False]
    assert [job["changed"] for job in rest["jobs"]] == [False, False, True]
    assert rest["msg"].startswith("1 of 3 jobs failed. bad: ")
