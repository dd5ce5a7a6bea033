# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook prune: what it removes, what it leaves, and that it never removes what is somebody else's."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller
from fleet import CANCEL, JOBS, PRUNE, a_few_jobs, each, rows, tree
from hosts import Hosts
from plays import ask, job, run_tasks, shell
from records import ago, put
from waiting import until
from workflows import define, ended

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run, write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import mark_of_node, new_run

Yaml = dict[str, t.Any]


def stores(controller: Controller, count: int) -> list[Path]:
    """Make some stores with a few jobs each."""
    made = [controller.project / f"store{number}" for number in range(count)]
    for store in made:
        a_few_jobs(store)
    return made


def test_what_is_said_to_be_a_dry_run_is_one(controller: Controller) -> None:
    words = {"yes": True, "True": True, "1": True, "no": False, "y": False, "false": False}
    made = stores(controller, len(words))
    cases = [
        {"older_than": "1d", "all": word, "apply": word, "async_job_state_dir": str(store)} for word, store in zip(words, made, strict=True)
    ]
    for (word, applied), store, ran in zip(words.items(), made, each(controller, PRUNE, cases), strict=True):
        assert ("Nothing was removed: this is a dry run" in ran.text) is not applied, word
        assert len(tree(store)) == (2 if applied else 4), word


def test_prune_is_a_dry_run_unless_told_otherwise(controller: Controller, state_dir: Path) -> None:
    before = tree(state_dir)
    for options in (["-e", "older_than=1d"], ["-e", "older_than=1d", "-e", "apply=true", "--check"]):
        ran = controller.playbook(PRUNE, *options).ok()
        assert "Would be removed: 2 records" in ran.text
        assert ran.recap("host1")["changed"] == ("--check" in options)
        assert re.search(r"web1 +Nightly +backup +succeeded +ended 2d 23h ago +would be removed", ran.output)
        assert ("this is check mode" if "--check" in options else "this is a dry run") in ran.text
        assert tree(state_dir) == before
    assert "Nothing says which jobs to remove." in controller.playbook(PRUNE, "-e", "apply=true").failed().text
    assert "keep needs names that are alike" in controller.playbook(PRUNE, "-e", "apply=true", "-e", "keep=3").failed().text
    assert "which is not an age" in controller.playbook(PRUNE, "-e", "apply=true", "-e", "all=true", "-e", "older_than=30").failed().text
    assert "which is not an age" in controller.playbook(PRUNE, "-e", "apply=true", "-e", "all=true", "-e", "older_than=soon").failed().text
    assert tree(state_dir) == before


def test_a_slip_of_the_hand_removes_nothing(controller: Controller, state_dir: Path) -> None:
    """Neither a filter with another name, nor an age alone; which jobs were understood is said."""
    before = tree(state_dir)
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "hostname=web2", "-e", "state=failed", "-e", "apply=true").failed()
    assert "prune does not know hostname (did you mean host?), state (did you mean status?). Nothing was done." in ran.text
    assert tree(state_dir) == before
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").failed()
    assert "Nothing but an age says which jobs to remove" in ran.text
    assert "-e all=true" in ran.text
    assert tree(state_dir) == before
    ran = controller.playbook(PRUNE, "-e", "older_than=0s").ok()
    assert "Filters: older than 0s" in ran.text
    assert "run again with -e apply=true -e all=true" in ran.text
    assert tree(state_dir) == before
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "--limit", "host1").ok()  # all of one host
    assert "Removed: 0 records" in ran.text
    assert tree(state_dir) == before


CONDITIONS: list[tuple[str, set[str]]] = [
    ("older_than=1d all=yes", {"backup", "gone"}),
    ("older_than=30m all=yes", {"backup", "copy", "gone"}),
    ("older_than=0s all=yes", {"backup", "copy", "gone"}),
    ("status=failed,lost", {"gone"}),  # the other one ended less than an hour ago
    ("status=failed,lost older_than=0s", {"copy", "gone"}),
    ("status=lost older_than=6w", set()),
    ("older_than=999999d all=yes", set()),
    ("job=*o* older_than=0s", {"copy", "gone"}),
    ("job=*o*", {"gone"}),
    ("job_name=*o* playbook_name=Nightly older_than=0s", {"copy"}),
    ("playbook=Weekly older_than=0s", {"gone"}),
    ("host=web1 older_than=0s", {"backup", "copy"}),
    ("keep=1 job=*", {"backup"}),
    ("keep=0 job=* older_than=0s", {"backup", "copy", "gone"}),
    ("keep=2 job=*", set()),
]


def test_prune_by_all_conditions_at_once(controller: Controller) -> None:
    """What runs is never removed."""
    made = stores(controller, len(CONDITIONS))
    cases = [
        {**dict(option.split("=") for option in options.split()), "apply": "true", "async_job_state_dir": str(store)}
        for (options, _expected), store in zip(CONDITIONS, made, strict=True)
    ]
    for (options, expected), store, ran in zip(CONDITIONS, made, each(controller, PRUNE, cases), strict=True):
        assert {"backup", "copy", "long", "gone"} - {file.stem for file in store.rglob("*.json")} == expected, options
        assert f"Removed: {len(expected)} record" in ran.text, options


def test_prune_leaves_what_has_not_ended(controller: Controller) -> None:
    cases: list[Yaml] = [{"older_than": "0s", "all": True}, {"keep": "0", "job": "*"}, {"keep_attempts": "1"}, {"job": "*"}]
    for number, case in enumerate(cases):
        case.update(apply="true", async_job_state_dir=str(controller.project / f"store{number}"))
        for status in ("starting", "prepared", "running", "orphaned", None):
            fields = {"status": status} if status else {}
            put(Path(case["async_job_state_dir"]), f"job {status}", save_time="2020-01-01T00:00:00Z", **fields)
    before = [tree(Path(case["async_job_state_dir"])) for case in cases]
    for case, records, ran in zip(cases, before, each(controller, PRUNE, cases), strict=True):
        assert tree(Path(case["async_job_state_dir"])) == records, case
        assert len(records) == 5
        assert "Removed: 0 records" in ran.text, case


def test_runs_of_workflows(controller: Controller) -> None:
    """They go by the same commands as their jobs, a dry run first, and all of what is old with them."""
    store = FilesystemStore(str(controller.state_dir))
    graph = Graph(define({"a": {}}))
    for name, days in (("1", 50), ("2", 40)):
        run = ended(graph, decide(graph, new_run(graph.definition, name, "web1", {}, [], "me")), a="succeeded")
        write_run(store, None, {**run, "started": ago(days=days), "ended": ago(days=days)}, expect=ABSENT)
        put(controller.state_dir, "a", "web1", f"w {name}", status="succeeded", end=ago(days=days), metadata=mark_of_node(run, "a"))
    put(controller.state_dir, "other", "web1", "w 1", status="succeeded", end=ago(days=50))
    before = tree(controller.state_dir)
    ran = controller.playbook(PRUNE, "-e", "workflow=w", "-e", "keep=1").ok()
    assert "Would be removed: 1 record and 1 attempt; runs of workflows: 1" in ran.text
    assert re.search(r"web1 +w 1 +the run +succeeded +ended 50d .*ago +would be removed", ran.output)
    assert tree(controller.state_dir) == before
    ran = controller.playbook(PRUNE, "-e", "workflow=w", "-e", "run=1", "-e", "apply=true").ok()
    assert "Removed: 1 record and 1 attempt; runs of workflows: 1" in ran.text
    assert {*before} - {*tree(controller.state_dir)} == {".workflows/w/1.json", "web1/w 1/a.json"}
    assert "Nothing says of which workflow that run is" in controller.playbook(PRUNE, "-e", "run=2", "-e", "older_than=0s").failed().text
    put(controller.state_dir, "a", "web1", "w 2", status="running", metadata=mark_of_node(run, "a"))
    ran = controller.playbook(PRUNE, "-e", "older_than=30d", "-e", "all=true", "-e", "apply=true").ok()
    assert "its job web1/w 2/a is running, as last recorded" in ran.output
    assert read_run(store, "w", "2")[0] is not None


def test_keep_attempts(controller: Controller, state_dir: Path) -> None:
    """Records stay, with their latest attempts."""
    assert "Would be removed: 0 records and 0 attempts" in controller.playbook(PRUNE, "-e", "keep_attempts=1").ok().text
    ran = controller.playbook(PRUNE, "-e", "keep_attempts=1", "-e", "older_than=30m").ok()
    assert re.search(r"web1 +Nightly +copy +failed +ended 40m \S+ ago +would be 1 past attempts removed", ran.output)
    before = json.loads((state_dir / "web1/Nightly/copy.json").read_text())
    ran = controller.playbook(PRUNE, "-e", "keep_attempts=1", "-e", "older_than=30m", "-e", "apply=true").ok()
    assert "Removed: 0 records and 1 attempt" in ran.text
    after = json.loads((state_dir / "web1/Nightly/copy.json").read_text())
    assert after.pop("write_id")
    assert after == {**before, "attempts": []}
    assert len(tree(state_dir)) == 4


@pytest.mark.parametrize("options", [{"keep_attempts": 1}, {"job_name_pattern": "again"}])
def test_attempts_of_a_job_that_was_run_again(controller: Controller, options: Yaml) -> None:
    """Since a success, attempts are counted anew. The ones before that go as any others do."""
    again = job(shell("true"), name="again", poll=1, options={"rerun_after": 0})
    prune = {"rstyczynski.ansible.async_job_prune": {"older_than": "0s", "apply": True, **options}}
    first, second, done = ask(controller, again, again, prune)
    assert (first["attempt"], second["attempt"], second["record"]["first_attempt"]) == (1, 2, 2)
    assert (done["attempts"], done["left"]) == (2 if "job_name_pattern" in options else 1, [])
    assert not Path(first["record"]["attempt_dir"]).exists()
    assert Path(second["record"]["attempt_dir"]).exists() == ("keep_attempts" in options)


def test_prune_clears_up_on_the_host(controller: Controller) -> None:
    """Directories of all attempts and results files, but nothing that is somebody else's. What keeps an attempt from being begun by
    whoever was frozen stays for good: nobody knows how long that takes."""
    async_dir = controller.home / ".ansible_async"
    fails = job(shell("echo out; exit 3"), name="fails", poll=1, options={"restart_on": ["failed"]})
    native: Yaml = {"ansible.builtin.command": "true", "async": 60, "poll": 0}
    saved: Yaml = {"job_name": "native", "ansible_job_id": "{{ answer4.ansible_job_id }}", "results_file": "{{ answer4.results_file }}"}
    first, _runs, second, _foreign, _native, _saved, ended = ask(
        controller,
        fails,
        job(shell("exec sleep 600"), name="runs", limit=600),
        fails,
        job(shell("true"), name="foreign", poll=1),
        native,
        {"rstyczynski.ansible.async_job_state": saved},
        {"rstyczynski.ansible.async_job_status": {"job_name": "native", "wait_timeout": 60, "wait_interval": 1}},
    )
    assert (first["attempt"], second["attempt"], ended["status"]) == (1, 2, "succeeded")
    foreign = Path(controller.record("foreign")["attempt_dir"]) / "notes"
    foreign.write_text("mine")
    fences = [async_dir / f"{number:032x}" for number in (1, 2)]
    fences[0].write_text(json.dumps({"attempt": fences[0].name, "job": "host1/test/fails.json"}) + "\n")
    fences[1].touch()
    week = time.time() - 8 * 86400
    for fence in fences:
        os.utime(fence, (week, week))
    runs, fails = controller.record("runs"), controller.record("fails")
    directories = [Path(attempt["attempt_dir"]) for attempt in (fails, *fails["attempts"])]
    assert all(directory.is_dir() for directory in directories)
    results_file = Path(controller.record("native")["results_file"])
    assert results_file.exists()

    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true").ok()
    assert "Removed: 3 records and 4 attempts" in ran.text
    assert "holds notes, which is not ours" in ran.text
    assert not any(directory.exists() for directory in (*directories, results_file))
    assert sorted(file.name for file in foreign.parent.iterdir()) == ["attempt.json", "notes"]
    assert all(fence.exists() for fence in fences)
    assert [file.stem for file in controller.state_dir.rglob("*.json")] == ["runs"]
    assert Path(runs["attempt_dir"], "stdout").exists()
    controller.playbook(CANCEL, "-e", "job=runs").ok()


def test_prune_asks_the_host_first(controller: Controller) -> None:
    """A record that calls a job dead which is not does not make its directory go away."""
    run_tasks(controller, job(shell("exec sleep 60")))
    file = controller.state_dir / "host1/test/job.json"
    record = controller.record("job")
    file.write_text(json.dumps({**record, "status": "lost", "end": ago(days=9)}))
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true", "-e", "all=true").ok()
    assert re.search(r"kept: job 'job' on host1 has been running", ran.output)
    assert "Removed: 0 records" in ran.text
    assert Path(record["attempt_dir"], "stdout").exists()
    file.write_text(json.dumps(record))
    controller.playbook(CANCEL, "-e", "job=job").ok()


def test_prune_believes_no_record_that_names_another_directory(controller: Controller) -> None:
    """Whoever can write a record must not make us remove what is none of ours."""
    home = controller.home / "precious"
    home.mkdir()
    for name in ("stdout", "result", "j1.1"):
        (home / name).write_text("precious")
    link = controller.home / f"{7:032x}"
    link.symlink_to(home)
    places = [home, f"{home}/.", link, f"{link}/", controller.home / f"{8:032x}" / ".." / "precious", "/", ""]
    old: Yaml = {"host": "host1", "status": "failed", "end": ago(days=9)}
    for number, place in enumerate(places):
        put(controller.state_dir, f"job{number}", **old, attempt_dir=str(place), async_dir=str(place))
    put(controller.state_dir, "id", **old, ansible_job_id="../precious/stdout", async_dir=str(controller.home / ".ansible_async"))
    controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true", "-e", "all=true").ok()
    assert {file.name for file in home.iterdir()} == {"stdout", "result", "j1.1"}
    assert link.is_symlink()


def test_prune_keeps_what_somebody_changes_meanwhile(controller: Controller) -> None:
    """The host is slow: another controller saves the record before we remove it."""
    file = put(
        controller.state_dir, "job", host="host1", status="failed", end=ago(days=9), async_dir=str(controller.home), ansible_job_id="j1.1"
    )
    python = controller.write(
        "slow.sh", '#!/bin/sh\ntouch "$HOME/asked"\nwhile [ ! -e "$HOME/go" ]; do sleep 0.1; done\nexec python3 "$@"\n'
    )
    python.chmod(0o755)
    process = controller.popen(
        "playbook",
        "-i",
        controller.inventory,
        PRUNE,
        "-e",
        "older_than=1d",
        "-e",
        "apply=true",
        "-e",
        "all=true",
        "-e",
        f"ansible_python_interpreter={python}",
    )
    until((controller.home / "asked").exists)
    changed = put(controller.state_dir, "job", host="host1", status="running").read_bytes()
    (controller.home / "go").touch()
    output, _none = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "kept: somebody has changed it meanwhile" in output
    assert file.read_bytes() == changed


@contextlib.contextmanager
def irremovable(file: Path) -> Iterator[None]:
    """A file that we cannot remove: with root, the permissions of its directory make no difference."""
    if os.geteuid() == 0:
        subprocess.run(["mount", "--bind", file, file], check=True)
    else:
        file.parent.chmod(0o500)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", file], check=True)
        else:
            file.parent.chmod(0o700)


def test_prune_goes_on_past_what_it_cannot_remove(controller: Controller, state_dir: Path) -> None:
    """It is named, the others are removed and shown, and the command fails at its end."""
    stuck = state_dir / "web1/Nightly/backup.json"
    with irremovable(stuck):
        ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true").failed()
    assert re.search(r"web1 +Nightly +backup .* kept: Cannot remove .*backup.json", ran.output)
    assert re.search(r"web2 +Weekly +gone .* removed", ran.output)
    assert "Removed: 2 records" in ran.text
    assert f"Cannot remove {stuck}" in ran.text
    assert {file.stem for file in state_dir.rglob("*.json")} == {"backup", "long"}


def test_prune_goes_on_past_odd_records(controller: Controller) -> None:
    """Each of them is named."""
    old: Yaml = {"host": "host1", "status": "failed", "end": ago(days=9)}
    put(controller.state_dir, "fine", **old)
    odd = [
        put(controller.state_dir, "a", **old, attempts=[{"ansible_job_id": "j12.34", "async_dir": 5}]),
        put(controller.state_dir, "b", **old, async_dir="/tmp/\0x"),
        put(controller.state_dir, "c", **old, async_dir="/tmp/zz", delegated_host={}),
        put(controller.state_dir, "d", **old, attempts=[{"stdout_file": "\0"}]),
    ]
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true", "-e", "all=true").failed()
    assert "Removed: 1 record " in ran.text
    for file in odd:
        assert f"Not readable: {file}" in ran.output
        assert file.exists()


def test_a_user_whom_nobody_can_become(hosts: Hosts, controller: Controller) -> None:
    """The jobs of others on that host are verified and pruned all the same, and the command fails at its end."""
    controller.hosts(*hosts.inventory_lines("op"))
    first = hosts.names[0]
    run_tasks(controller, job(shell("exec sleep 60"), name="runs"), job(shell("true"), name="ends"), options=["--limit", first])
    until(lambda: hosts.execute(first, "sh", "-c", "cat /home/op/.ansible_async/*/result 2>/dev/null || true"))
    directory = "/home/op/.ansible_async/" + 32 * "0"
    nobody: Yaml = {
        "host": first,
        "become_user": "no_such_user",
        "async_dir": directory,
        "attempt_dir": directory,
        "ansible_job_id": "j1.1",
    }
    put(controller.state_dir, "foreign", **nobody, status="running", start=ago(days=9))
    ran = controller.playbook(JOBS, "-e", "verify=true", "-e", "become_recorded_user=true", "--limit", first).failed()
    assert {row[2]: row[3] for row in rows(ran)} == {"foreign": "running", "runs": "running", "ends": "succeeded"}
    assert f"Not asked, and shown as last recorded: {first}" in ran.output
    put(controller.state_dir, "foreign", **nobody, status="failed", end=ago(days=9))
    ran = controller.playbook(
        PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true", "-e", "become_recorded_user=true"
    ).failed()
    assert re.search(r"test +ends .* removed", ran.output)
    assert "Nothing of no_such_user was removed from" in ran.text
    assert {file.stem for file in controller.state_dir.rglob("*.json")} == {"foreign", "runs"}


def test_prune_of_what_nobody_knows_where_it_is(hosts: Hosts, controller: Controller) -> None:
    """The record says that it succeeded, and not where its results file was: that is no reason to keep it for ever."""
    controller.hosts(*hosts.inventory_lines())
    put(controller.state_dir, "job", host=hosts.names[0], status="succeeded", end=ago(days=9), async_dir="~/.ansible_async")
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true", "-e", "all=true").ok()
    assert "Removed: 1 record " in ran.text


def test_prune_of_delegated_jobs(controller: Controller) -> None:
    """Done on the host where they ran; if that is not in the inventory, what they have left there is said."""
    controller.hosts("host1", "bastion")
    delegated = job(shell("true"), name="delegated", options={"host": "{{ inventory_hostname }}"}, delegate_to="bastion")
    run_tasks(controller, delegated, options=["--limit", "host1"])
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    controller.playbook(JOBS, "-e", "verify=true").ok()
    record = controller.state_dir / "host1/test/delegated.json"
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "--limit", "host1").ok()
    assert "Removed: 0 records" in ran.text
    assert record.exists()
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true").ok()
    assert "Still on the hosts: nothing that is known of" in ran.text
    assert not record.exists()
    assert [path.name for path in controller.home.glob(".ansible_async/*")] == [".async_job"]


@pytest.mark.parametrize("restart_on", [[], ["failed", "killed", "lost"]], ids=str)
def test_a_playbook_that_waits_while_its_job_is_pruned(controller: Controller, ledger: Path, restart_on: list[str]) -> None:
    """It is told so. It neither takes the job for lost nor starts it once more."""
    command = f"echo ran >>{ledger}; until test -e {controller.project}/end; do sleep 0.1; done"
    task = job(shell(command), poll=3, options={"restart_on": restart_on, "max_attempts": 3} if restart_on else {})
    whole = [{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [task]}]
    process = controller.popen("playbook", "-i", controller.inventory, controller.write("wait.yml", json.dumps(whole)))
    file = controller.state_dir / "host1/test/job.json"
    until(lambda: ledger.exists() and file.exists() and json.loads(file.read_text())["status"] == "running")
    (controller.project / "end").touch()
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    verify = "rstyczynski.ansible.async_job_verify"
    prune = "rstyczynski.ansible.async_job_prune"
    controller.write(
        "prune.yml",
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [{verify: {}}, {prune: {"older_than": "0s", "apply": True}}]}]),
    )
    controller.playbook(controller.project / "prune.yml").ok()
    output, _none = process.communicate(timeout=60)
    if file.exists():  # the playbook has seen the end first: then there was nothing to prune, or a moment too early
        assert process.returncode == 0, output
    else:
        assert process.returncode == 0 or "was removed while this task" in output, output
        assert "lost" not in output
    assert ledger.read_text().split() == ["ran"]


def test_a_playbook_that_waits_for_the_next_attempt_of_a_pruned_job(controller: Controller, ledger: Path) -> None:
    task = job(shell(f"echo ran >>{ledger}; exit 3"), poll=1, options={"restart_on": ["failed"], "max_attempts": 3, "backoff": 20})
    whole = [{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [task]}]
    process = controller.popen("playbook", "-i", controller.inventory, controller.write("wait.yml", json.dumps(whole)))
    file = controller.state_dir / "host1/test/job.json"
    until(lambda: file.exists() and json.loads(file.read_text())["status"] == "failed")
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true").ok()
    assert not file.exists()
    output, _none = process.communicate(timeout=60)
    assert "The record of the job 'job'" in output
    assert "is gone" in output
    assert ledger.read_text().split() == ["ran"]


def test_prune_with_a_host_that_is_away(hosts: Hosts, controller: Controller) -> None:
    """Nothing of it is removed, that of others is, and the command fails at its end."""
    controller.hosts(*hosts.inventory_lines())
    first, second = hosts.names[:2]
    run_tasks(controller, job(shell("true")))
    for name in (first, second):
        until(lambda name=name: hosts.execute(name, "sh", "-c", "cat ~/.ansible_async/*/result 2>/dev/null || true"))
    controller.playbook(JOBS, "-e", "verify=true").ok()
    put(controller.state_dir, "other", host="not in the inventory", status="failed", end=ago(days=9), async_dir="/home/op/.ansible_async")
    hosts.disconnect()
    hosts.off(second)
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true").failed()
    assert f"These could not be reached: {second}" in ran.text
    assert "Removed: 2 records" in ran.text
    assert '"not in the inventory: what 1 attempts have left there"' in ran.text
    assert [file.parts[-3] for file in controller.state_dir.rglob("*.json")] == [second]
    assert hosts.execute(first, "sh", "-c", "ls ~/.ansible_async").strip() == ""
    hosts.on(second)
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "-e", "all=true").ok()
    assert hosts.execute(second, "sh", "-c", "ls ~/.ansible_async").strip() == ""
    assert not list(controller.state_dir.rglob("*.json"))
