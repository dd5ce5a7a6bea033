# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that show and tend many jobs, and the inventory that is made of them, as users run them."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller, Ran, until
from durable import job, play, shell
from hosts import Hosts

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import FILTERS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

Yaml = dict[str, t.Any]

JOBS = "rstyczynski.ansible.jobs"
SHOW = "rstyczynski.ansible.show"
PRUNE = "rstyczynski.ansible.prune"
CANCEL = "rstyczynski.ansible.cancel"
REPORT = "rstyczynski.ansible.report"

NEWER = {"schema_version": 99}


def ago(**length: float) -> str:
    """A time of a record."""
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(**length)).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(state_dir: Path, name: str, host: str = "web1", playbook: str = "Nightly", **fields: t.Any) -> Path:
    """Write a record the way that users know it."""
    key = JobKey(host, playbook, name)
    names = {"job_name": name, "host": host, "playbook_name": playbook}
    file = state_dir / key.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**names, "ansible_job_id": "j1.1", "metadata": {}, "save_time": ago(seconds=5), **fields}))
    return file


@pytest.fixture
def state_dir(controller: Controller) -> Path:
    """A store with a few jobs."""
    directory = controller.state_dir
    put(
        directory,
        "backup",
        status="succeeded",
        start=ago(days=3),
        end=ago(days=3, minutes=-2),
        result={"rc": 0, "stdout": "one\n42 tables\n"},
    )
    past = [{"attempt": 1, "status": "failed", "start": ago(hours=2), "end": ago(hours=1), "rc": 3, "who": "ann@ctl", "reason": "it broke"}]
    put(
        directory,
        "copy",
        status="failed",
        attempt=2,
        attempts=past,
        start=ago(minutes=50),
        end=ago(minutes=40),
        result={"rc": 1, "stdout": "so far so good", "stderr": "no space left\n", "msg": "non-zero return code"},
        reason="job 'copy' has failed",
        who="ann@ctl",
        metadata={"ticket": "OPS-1"},
    )
    put(directory, "long", host="web2", status="running", start=ago(minutes=5), last_line="3 of 7 copying")
    put(
        directory,
        "gone",
        host="web2",
        playbook="Weekly",
        status="lost",
        start=ago(weeks=5),
        end=ago(weeks=5),
        reason="the host was rebooted",
    )
    return directory


def rows(ran: Ran) -> list[list[str]]:
    """The lines of the table that a playbook has printed, below its head."""
    lines = ran.output.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith("HOST  ")), None)
    if begin is None:
        return []
    end = next(number for number, line in enumerate(lines) if number > begin and re.match(r"\d+ jobs?\b", line))
    return [re.split(r"  +", line) for line in lines[begin + 1 : end]]


def names(ran: Ran) -> list[str]:
    return [row[2] for row in rows(ran)]


# --- The table ------------------------------------------------------------------------------------------------------


def test_table(controller: Controller, state_dir: Path) -> None:
    """A line for each job, the place of the store, and a summary."""
    ran = controller.playbook(JOBS).ok()
    assert f"Store: {state_dir}" in ran.output
    assert rows(ran) == [
        ["web1", "Nightly", "backup", "succeeded", "1", "2d 23h", "2m 0s", "42 tables"],
        ["web1", "Nightly", "copy", "failed", "2", rows(ran)[1][5], "10m 0s", "no space left"],
        ["web2", "Nightly", "long", "running", "1", *rows(ran)[2][5:7], "3 of 7 copying"],
        ["web2", "Weekly", "gone", "lost", "1", "35d 0h", "0s", "the host was rebooted"],
    ]
    assert re.fullmatch(r"40m \d+s", rows(ran)[1][5])
    assert re.fullmatch(r"5m \d+s", rows(ran)[2][5])
    assert "4 jobs: 1 running, 1 succeeded, 1 failed, 1 lost" in ran.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-e", "status=failed,lost"], ["copy", "gone"]),
        (["-e", "job_name=c*", "-e", "playbook_name=Nightly"], ["copy"]),
        (["-e", "host=web2"], ["long", "gone"]),
        (["-e", "playbook=Nightly", "-e", "job=*o*"], ["copy", "long"]),
        (["-e", "sort=age"], ["gone", "backup", "copy", "long"]),
        (["-e", "sort=duration"], ["copy", "long", "backup", "gone"]),
        (["-e", "sort=status"], ["long", "backup", "copy", "gone"]),
        (["--limit", "web2"], ["long", "gone"]),
        (["-e", "older_than=45m"], ["backup", "gone"]),
        (["-e", "older_than=35m"], ["backup", "copy", "gone"]),
        (["-e", "newer_than=1h"], ["copy", "long"]),
    ],
    ids=" ".join,
)
def test_filters(controller: Controller, state_dir: Path, options: list[str], expected: list[str]) -> None:
    controller.hosts("web1", "web2")
    ran = controller.playbook(JOBS, *options).ok()
    assert names(ran) == expected
    assert f"{len(expected)} job" in ran.output


def test_what_a_record_holds_is_shown_and_not_obeyed(controller: Controller) -> None:
    """Neither by the terminal nor by Ansible."""
    evil = "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m {{ lookup('pipe', 'touch pwned') }} \x07\u202e end"
    put(
        controller.state_dir,
        "evil\x1b[2J",
        playbook="play\n{{ 1 + 1 }}",
        status="succeeded",
        result={"stdout": f"{evil}\n"},
        metadata={"a": evil},
    )
    for ran in (controller.playbook(JOBS), controller.playbook(SHOW, "-e", json.dumps({"job": "evil\x1b[2J"}))):
        assert ran.ok()
        assert "red {{ lookup('pipe', 'touch pwned')" in ran.output
        assert not set("\x1b\x07\u202e") & set(ran.output)
        assert "{{ 1 + 1 }}" in ran.output
    assert "touch pwned') }} \ufffd\ufffd end" in ran.output
    assert not list(controller.project.rglob("pwned"))


def test_wide_names_keep_their_columns(controller: Controller) -> None:
    put(controller.state_dir, "備份", status="succeeded", result={"stdout": "HERE"})
    put(controller.state_dir, "backup of everything", status="succeeded", result={"stdout": "HERE"})
    ran = controller.playbook(JOBS).ok()
    first, second = (line.index("HERE") for line in ran.output.splitlines() if "HERE" in line)
    assert {first - second} == {2}  # two characters, each as wide as two


def test_a_store_that_is_not_there(controller: Controller) -> None:
    """It is an error everywhere, which names the place, and never an empty list."""
    for playbook, *options in (
        (JOBS,),
        (SHOW, "-e", "job=x"),
        (PRUNE, "-e", "older_than=1d"),
        (CANCEL, "-e", "job=x"),
        (JOBS, "-e", "verify=true"),
    ):
        ran = controller.playbook(playbook, *options).failed()
        assert f"{controller.state_dir} is not a directory" in ran.text
    assert not controller.state_dir.exists()


def test_ten_thousand_records_on_the_worst_day(controller: Controller) -> None:
    """Each command shows what it can, names what it cannot read, and fails at its end. Listing takes less than two seconds."""
    directory = controller.state_dir
    for number in range(10_000):
        put(directory, f"job {number}", host=f"web{number % 100}", status="succeeded", end=ago(days=40), result={"stdout": "line\n" * 100})
    broken = put(directory, "broken", host="web7")
    broken.write_text("{")
    newer = put(directory, "newer", host="web7", **NEWER)
    begin = time.process_time()
    store = FilesystemStore(str(directory))
    listing = find_records(store, {**dict.fromkeys(FILTERS), "host": None, "playbook_name": None})
    assert time.process_time() - begin < 2
    assert (len(listing.found), len(listing.unreadable)) == (10_000, 2)

    ran = controller.playbook(JOBS).failed()
    assert len(rows(ran)) == 10_000
    for file in (broken, newer):
        assert f"Not readable: {file}" in ran.output
    assert "was written by a newer release" in ran.text
    ran = controller.playbook(REPORT, "-e", "dest=jobs.html").failed()
    assert "is about 10000 jobs" in ran.text
    assert str(broken) in ran.text
    ran = controller.playbook(PRUNE, "-e", "older_than=30d", "-e", "job=*99*", "-e", "apply=true").ok()  # others can be read
    assert "Removed: 280 records and 280 attempts" in ran.text
    ran = controller.playbook(PRUNE, "-e", "older_than=30d", "-e", "host=web7").failed()
    assert "Would be removed: 99 records" in ran.text
    assert str(newer) in ran.text
    assert broken.exists()
    assert newer.exists()


# --- The README -----------------------------------------------------------------------------------------------------


def test_commands_of_the_readme(controller: Controller) -> None:
    """All of them work when they are pasted, one after the other, behind the playbook that they speak of."""
    readme = Path(__file__).resolve().parents[2].joinpath("README.md").read_text("utf-8")
    [release] = re.findall(r"```yaml\n(- name: Release\n.*?)```", readme, re.DOTALL)
    broken = controller.project / "broken"
    controller.write("release.yml", release.replace("sleep 5", "true").replace("/tmp/broken", str(broken)))
    [section] = re.findall(r"^## The fleet\n(.*?)^## ", readme, re.DOTALL | re.MULTILINE)
    blocks = re.findall(r"```shell\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 7
    said = ""
    for block in blocks:
        # The one variable that the first of them sets holds for the others as well, as it does in the shell of a user.
        state_dir = f"export ASYNC_JOB_STATE_DIR={controller.project}/fleet\n"
        done = subprocess.run(
            ["bash", "-uo", "pipefail", "-c", state_dir + block.replace("/tmp/broken", str(broken))],
            cwd=controller.project,
            env={**controller.environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        said += done.stdout
    assert "4 jobs: 3 succeeded, 1 failed" in said
    assert "|--@async_job_failed:" in said
    attempts = {file.parts[-3]: json.loads(file.read_text())["attempt"] for file in controller.project.glob("fleet/*/Release/migrate.json")}
    assert attempts == {"web1": 1, "web2": 2}
    assert "0 processes were stopped" in said
    assert "Would be removed: 0 records" in said


# --- One job --------------------------------------------------------------------------------------------------------


def test_show(controller: Controller, state_dir: Path) -> None:
    """All that is known of one job."""
    ran = controller.playbook(SHOW, "-e", "job=copy").ok()
    for line in (
        rf"Store: {re.escape(str(state_dir))}",
        r"Status: +failed, as last recorded",
        r"Reason: +job 'copy' has failed",
        r"Return code: +1",
        r"Started: +\S+Z, 50m \d+s ago",
        r"Metadata ticket: +OPS-1",
        r"Record: +" + re.escape(str(state_dir / "web1/Nightly/copy.json")),
        r"1 +failed +\S+ +1h 0m +3 +ann@ctl +it broke",
        r"2 +failed +\S+ +10m 0s +1 +ann@ctl +job 'copy' has failed",
        r"Output \(its end\):\n  so far so good",
        r"Error output \(its end\):\n  no space left",
    ):
        assert re.search(rf"^{line}$", ran.output, re.MULTILINE), line


def test_show_needs_one_job(controller: Controller, state_dir: Path) -> None:
    put(state_dir, "copy", host="web2", status="succeeded")
    ran = controller.playbook(SHOW, "-e", "job=copy").failed()
    assert [row[0] for row in rows(ran)] == ["web1", "web2"]
    assert "Say which one" in ran.text
    assert "Say which job to stop" in controller.playbook(CANCEL).failed().text
    ran = controller.playbook(SHOW, "-e", "job=copy", "-e", "host=web2").ok()
    assert "succeeded, as last recorded" in ran.output
    ran = controller.playbook(SHOW, "-e", "job=c*").failed()
    assert f"There is no job 'c*' in {state_dir}" in ran.text
    assert "Say which job to show" in controller.playbook(SHOW).failed().text


def test_nothing_of_a_secret_job_is_shown(controller: Controller) -> None:
    command = f"echo PROGRESS 1/3 hunter2; echo hunter2; until test -e {controller.project}/end; do sleep 0.1; done"
    play(controller, job(shell(command), no_log=True))
    until(lambda: any("hunter2" in file.read_text() for file in controller.home.glob(".ansible_async/*/stdout")))
    shown = [controller.playbook(JOBS, "-e", "verify=true"), controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true", "-vvv")]
    (controller.project / "end").touch()
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    shown += [controller.playbook(JOBS, "-e", "verify=true"), controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true", "-vvv")]
    assert [ran.rc for ran in shown] == [0, 0, 0, 0]
    assert "succeeded" in shown[-1].output
    for ran in shown:
        assert "hunter2" not in ran.output


def test_live(controller: Controller) -> None:
    """What a running job has written so far, and its last line in the table; and it can be cancelled by its name alone."""
    play(controller, job(shell("echo begun; echo PROGRESS 3/7 copying; exec sleep 60")))
    until(lambda: "copying" in controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true").ok().output)
    ran = controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true").ok()
    assert re.search(r"^Status: +running$", ran.output, re.MULTILINE)
    assert re.search(r"^Progress: +3 of 7 copying$", ran.output, re.MULTILINE)
    assert "  begun\n" in ran.output
    assert rows(controller.playbook(JOBS).ok())[0][-1] != "3 of 7 copying"
    assert rows(controller.playbook(JOBS, "-e", "verify=true").ok())[0][-1] == "3 of 7 copying"
    assert rows(controller.playbook(JOBS).ok())[0][-1] == "3 of 7 copying"
    assert "processes would be stopped" in controller.playbook(CANCEL, "-e", "job=job", "--check").ok().text
    assert controller.record("job")["status"] == "running"
    ran = controller.playbook(CANCEL, "-e", "job=job", "-e", "reason='wrong database'").ok()
    assert f"Store: {controller.state_dir}" in ran.output
    assert "wrong database" in ran.output
    record = controller.record("job")
    assert record["status"] == "cancelled"
    assert record["cancelled"]["reason"] == "wrong database"
    assert rows(controller.playbook(JOBS).ok())[0][3] == "cancelled"


def test_hosts_are_asked(hosts: Hosts, controller: Controller) -> None:
    """One that is away is named, what the others say is noted, and the command fails at its end."""
    controller.hosts(*hosts.inventory_lines())
    first, second = hosts.names[:2]
    play(controller, job(shell("exec sleep 60"), name="sleeps"), job(shell("echo done"), name="ends"))
    until(lambda: hosts.execute(first, "sh", "-c", "cat /root/.ansible_async/*/result 2>/dev/null || true"))
    until(lambda: hosts.execute(second, "sh", "-c", "cat /root/.ansible_async/*/result 2>/dev/null || true"))
    hosts.disconnect()
    hosts.reboot(first)
    hosts.off(second)
    assert {row[3] for row in rows(controller.playbook(JOBS).ok())} == {"running"}
    ran = controller.playbook(JOBS, "-e", "verify=true").failed()
    assert f"their jobs are shown as last recorded: {second}." in ran.text
    assert f"Not asked, and shown as last recorded: {second}" in ran.output
    assert {(row[0], row[2]): row[3] for row in rows(ran)} == {
        (first, "ends"): "succeeded",
        (first, "sleeps"): "lost",
        (second, "ends"): "running",
        (second, "sleeps"): "running",
    }
    hosts.on(second)
    ran = controller.playbook(JOBS, "-e", "verify=true", "-e", f"host={second}").ok()
    assert {row[2]: row[3] for row in rows(ran)} == {"ends": "succeeded", "sleeps": "lost"}


def test_whom_nobody_asked(controller: Controller) -> None:
    """Jobs of hosts that are not in the inventory, or away, are named; delegated ones are asked where they run."""
    controller.hosts(
        "host1", "bastion", "away ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1", "broken ansible_python_interpreter=/no"
    )
    delegated = job(shell("true"), name="delegated", options={"host": "{{ inventory_hostname }}"}, delegate_to="bastion")
    play(controller, delegated, options=["--limit", "host1"])
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    for host in ("away", "ghost", "broken"):
        put(controller.state_dir, "job", host=host, status="running", start=ago(minutes=5))
    ran = controller.playbook(JOBS, "-e", "verify=true").failed()
    assert {row[0]: row[3] for row in rows(ran)} == {"away": "running", "broken": "running", "ghost": "running", "host1": "succeeded"}
    assert "Not asked, and shown as last recorded: away, broken, ghost" in ran.output
    assert "shown as last recorded: away, broken, ghost. They are away," in ran.text
    for host, why in (("away", "UNREACHABLE"), ("ghost", "ghost could not be asked: it is not in the inventory")):
        ran = controller.playbook(SHOW, "-e", "job=job", "-e", f"host={host}", "-e", "verify=true").failed()
        assert re.search(r"^Status: +running, as last recorded$", ran.output, re.MULTILINE)
        assert why in ran.text
    ran = controller.playbook(CANCEL, "-e", "job=job", "-e", "host=ghost").failed()
    assert "The job runs on ghost, which is not in the inventory. Nothing was stopped." in ran.text


def test_check_mode_tells_what_a_look_would_note(controller: Controller) -> None:
    play(controller, job(shell("true")))
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    before = controller.record("job")
    ran = controller.run("adhoc", "-i", controller.inventory, "all", "-m", "rstyczynski.ansible.async_job_verify", "--check").ok()
    assert '"status": "succeeded"' in ran.output
    assert '"changed": true' in ran.output
    assert controller.record("job") == before


def test_variables_of_hosts_are_no_options(controller: Controller, state_dir: Path) -> None:
    """An inventory has variables called host or status for reasons of its own. Strategies of others make no difference either."""
    controller.hosts("web1 host=10.0.0.1 status=production job=x sort=up older_than=1 keep=3 apply=true verify=true", "web2")
    free = {"ANSIBLE_STRATEGY": "free"}
    ran = controller.playbook(JOBS, env=free).ok()
    assert len(rows(ran)) == 4
    assert ran.output.count("Store: ") == 1
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", env=free).ok()
    assert "Would be removed: 2 records" in ran.text
    assert ran.output.count("Would be removed") == 1
    assert len(tree(state_dir)) == 4


@pytest.mark.parametrize(("word", "applied"), [("yes", True), ("True", True), ("1", True), ("no", False), ("y", False), ("false", False)])
def test_what_is_said_to_be_a_dry_run_is_one(controller: Controller, state_dir: Path, word: str, applied: bool) -> None:
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", f"apply={word}").ok()
    assert ("Nothing was removed: this is a dry run" in ran.text) is not applied
    assert len(tree(state_dir)) == (2 if applied else 4)


# --- Throwing away --------------------------------------------------------------------------------------------------


def tree(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*.json")}


def test_prune_is_a_dry_run_unless_told_otherwise(controller: Controller, state_dir: Path) -> None:
    before = tree(state_dir)
    for options in (["-e", "older_than=1d"], ["-e", "older_than=1d", "-e", "apply=true", "--check"]):
        ran = controller.playbook(PRUNE, *options).ok()
        assert "Would be removed: 2 records" in ran.text
        assert ran.recap("host1")["changed"] == ("--check" in options)
        assert re.search(r"web1 +Nightly +backup +succeeded +ended 2d 23h ago +would be removed", ran.output)
        assert ("this is check mode" if "--check" in options else "this is a dry run") in ran.text
        assert tree(state_dir) == before
    assert "one of the following is required" in controller.playbook(PRUNE, "-e", "apply=true").failed().text
    assert "keep needs a job_name_pattern" in controller.playbook(PRUNE, "-e", "apply=true", "-e", "keep=3").failed().text
    assert "which is not an age" in controller.playbook(PRUNE, "-e", "apply=true", "-e", "older_than=30").failed().text
    assert "which is not an age" in controller.playbook(PRUNE, "-e", "apply=true", "-e", "older_than=soon").failed().text
    assert tree(state_dir) == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("older_than=1d", {"backup", "gone"}),
        ("older_than=30m", {"backup", "copy", "gone"}),
        ("older_than=0s", {"backup", "copy", "gone"}),
        ("status=failed,lost", {"gone"}),  # the other one ended less than an hour ago
        ("status=failed,lost older_than=0s", {"copy", "gone"}),
        ("status=lost older_than=6w", set()),
        ("older_than=999999d", set()),
        ("job=*o* older_than=0s", {"copy", "gone"}),
        ("job=*o*", {"gone"}),
        ("job_name=*o* playbook_name=Nightly older_than=0s", {"copy"}),
        ("playbook=Weekly older_than=0s", {"gone"}),
        ("host=web1 older_than=0s", {"backup", "copy"}),
        ("keep=1 job=*", {"backup"}),
        ("keep=0 job=* older_than=0s", {"backup", "copy", "gone"}),
        ("keep=2 job=*", set()),
    ],
)
def test_prune_by_all_conditions_at_once(controller: Controller, state_dir: Path, options: str, expected: set[str]) -> None:
    """What runs is never removed."""
    arguments = [word for option in options.split() for word in ("-e", option)]
    ran = controller.playbook(PRUNE, *arguments, "-e", "apply=true").ok()
    assert {"backup", "copy", "long", "gone"} - {file.stem for file in state_dir.rglob("*.json")} == expected
    assert f"Removed: {len(expected)} records" in ran.text


@pytest.mark.parametrize("status", ["starting", "prepared", "running", "orphaned", None])
def test_prune_leaves_what_has_not_ended(controller: Controller, status: str | None) -> None:
    file = put(controller.state_dir, "job", save_time="2020-01-01T00:00:00Z", **({"status": status} if status else {}))
    before = file.read_bytes()
    for option in ("older_than=0s", "keep=0 job=*", "keep_attempts=1", "job=*"):
        controller.playbook(PRUNE, "-e", option, "-e", "apply=true").ok()
    assert file.read_bytes() == before


def test_keep_attempts(controller: Controller, state_dir: Path) -> None:
    """Records stay, with their latest attempts."""
    assert "Would be removed: 0 records and 0 attempts" in controller.playbook(PRUNE, "-e", "keep_attempts=1").ok().text
    ran = controller.playbook(PRUNE, "-e", "keep_attempts=1", "-e", "older_than=30m").ok()
    assert re.search(r"web1 +Nightly +copy +failed +ended 40m \S+ ago +would be 1 past attempts removed", ran.output)
    before = json.loads((state_dir / "web1/Nightly/copy.json").read_text())
    ran = controller.playbook(PRUNE, "-e", "keep_attempts=1", "-e", "older_than=30m", "-e", "apply=true").ok()
    assert "Removed: 0 records and 1 attempts" in ran.text
    after = json.loads((state_dir / "web1/Nightly/copy.json").read_text())
    assert after.pop("write_id")
    assert after == {**before, "attempts": []}
    assert len(tree(state_dir)) == 4


def wait_for_end(controller: Controller, *names: str) -> None:
    until(lambda: controller.playbook(JOBS, "-e", "verify=true").ok() and all(controller.record(name).get("end") for name in names))


def test_prune_clears_up_on_the_host(controller: Controller) -> None:
    """Directories of all attempts, results files, and old fences, but nothing that is somebody else's."""
    async_dir = controller.home / ".ansible_async"
    again = {"restart_on": ["failed"]}
    for number in (1, 2):
        play(controller, job(shell("echo out; exit 3"), name="fails", options=again), job(shell("exec sleep 60"), name="runs"))
        wait_for_end(controller, "fails")
        assert controller.record("fails")["attempt"] == number
    play(controller, job(shell("true"), name="foreign"))
    wait_for_end(controller, "foreign")
    foreign = Path(controller.record("foreign")["attempt_dir"]) / "notes"
    foreign.write_text("mine")
    save = "rstyczynski.ansible.async_job_state"
    native: Yaml = {"ansible.builtin.command": "true", "async": 60, "poll": 0}
    saved: Yaml = {
        save: {"job_name": "native", "ansible_job_id": "{{ answer0.ansible_job_id }}", "results_file": "{{ answer0.results_file }}"}
    }
    play(controller, native, saved)
    wait_for_end(controller, "native")
    fences = [async_dir / f"{number:032x}" for number in (1, 2, 3)]
    for fence in fences:
        fence.touch()
    week = time.time() - 8 * 86400
    os.utime(fences[0], (week, week))
    os.utime(fences[2], (week, week))
    fences[2].write_text("not empty")
    os.utime(fences[2], (week, week))
    runs, fails = controller.record("runs"), controller.record("fails")
    directories = [Path(attempt["attempt_dir"]) for attempt in (fails, *fails["attempts"])]
    assert all(directory.is_dir() for directory in directories)
    results_file = Path(controller.record("native")["results_file"])
    assert results_file.exists()

    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").ok()
    assert "Removed: 3 records and 4 attempts" in ran.text
    assert "holds notes, which is not ours" in ran.text
    assert not any(directory.exists() for directory in (*directories, results_file, fences[0]))
    assert [file.name for file in foreign.parent.iterdir()] == ["notes"]
    assert fences[1].exists()
    assert fences[2].exists()
    assert [file.stem for file in controller.state_dir.rglob("*.json")] == ["runs"]
    assert Path(runs["attempt_dir"], "stdout").exists()
    controller.playbook(CANCEL, "-e", "job=runs").ok()


def test_prune_asks_the_host_first(controller: Controller) -> None:
    """A record that calls a job dead which is not does not make its directory go away."""
    play(controller, job(shell("exec sleep 60")))
    file = controller.state_dir / "host1/test/job.json"
    record = controller.record("job")
    file.write_text(json.dumps({**record, "status": "lost", "end": ago(days=9)}))
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true").ok()
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
    controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true").ok()
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
        ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").failed()
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
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true").failed()
    assert "Removed: 1 records" in ran.text
    for file in odd:
        assert f"Not readable: {file}" in ran.output
        assert file.exists()


def test_a_user_whom_nobody_can_become(hosts: Hosts, controller: Controller) -> None:
    """The jobs of others on that host are verified and pruned all the same, and the command fails at its end."""
    controller.hosts(*hosts.inventory_lines("op"))
    first = hosts.names[0]
    play(controller, job(shell("exec sleep 60"), name="runs"), job(shell("true"), name="ends"), options=["--limit", first])
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
    ran = controller.playbook(JOBS, "-e", "verify=true", "--limit", first).failed()
    assert {row[2]: row[3] for row in rows(ran)} == {"foreign": "running", "runs": "running", "ends": "succeeded"}
    assert f"Not asked, and shown as last recorded: {first}" in ran.output
    put(controller.state_dir, "foreign", **nobody, status="failed", end=ago(days=9))
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").failed()
    assert re.search(r"test +ends .* removed", ran.output)
    assert "Nothing of no_such_user was removed from" in ran.text
    assert {file.stem for file in controller.state_dir.rglob("*.json")} == {"foreign", "runs"}


def test_prune_of_what_nobody_knows_where_it_is(hosts: Hosts, controller: Controller) -> None:
    """The record says that it succeeded, and not where its results file was: that is no reason to keep it for ever."""
    controller.hosts(*hosts.inventory_lines())
    put(controller.state_dir, "job", host=hosts.names[0], status="succeeded", end=ago(days=9), async_dir="~/.ansible_async")
    ran = controller.playbook(PRUNE, "-e", "older_than=1d", "-e", "apply=true").ok()
    assert "Removed: 1 records" in ran.text


def test_prune_of_delegated_jobs(controller: Controller) -> None:
    """Done on the host where they ran; if that is not in the inventory, what they have left there is said."""
    controller.hosts("host1", "bastion")
    delegated = job(shell("true"), name="delegated", options={"host": "{{ inventory_hostname }}"}, delegate_to="bastion")
    play(controller, delegated, options=["--limit", "host1"])
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    controller.playbook(JOBS, "-e", "verify=true").ok()
    record = controller.state_dir / "host1/test/delegated.json"
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true", "--limit", "host1").ok()
    assert "Removed: 0 records" in ran.text
    assert record.exists()
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").ok()
    assert "Still on the hosts: nothing that is known of" in ran.text
    assert not record.exists()
    assert not list(controller.home.glob(".ansible_async/*"))


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
    task = job(shell(f"echo ran >>{ledger}; exit 3"), poll=1, options={"restart_on": ["failed"], "max_attempts": 3, "backoff": 8})
    whole = [{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [task]}]
    process = controller.popen("playbook", "-i", controller.inventory, controller.write("wait.yml", json.dumps(whole)))
    file = controller.state_dir / "host1/test/job.json"
    until(lambda: file.exists() and json.loads(file.read_text())["status"] == "failed")
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").ok()
    assert not file.exists()
    output, _none = process.communicate(timeout=60)
    assert "was removed while this task waited for its next attempt" in output
    assert ledger.read_text().split() == ["ran"]


def test_another_attempt_begins_while_somebody_waits(controller: Controller) -> None:
    """What is seen of the one before is told, and noted nowhere."""
    play(controller, job(shell("exec sleep 60")))
    arguments = "job_name=job playbook_name=test wait_timeout=60 wait_interval=1"
    status = "rstyczynski.ansible.async_job_status"
    process = controller.popen("adhoc", "-i", controller.inventory, "all", "-m", status, "-a", arguments)
    until(lambda: "runner" in controller.record("job"))
    file = controller.state_dir / "host1/test/job.json"
    record = controller.record("job")
    next_one = {**record, "ansible_job_id": "j9.9", "attempt": 2}
    file.write_text(json.dumps(next_one))
    os.killpg(record["runner"]["pid"], signal.SIGKILL)
    output, _none = process.communicate(timeout=60)
    assert '"status": "killed"' in output
    assert controller.record("job") == next_one


def test_prune_with_a_host_that_is_away(hosts: Hosts, controller: Controller) -> None:
    """Nothing of it is removed, that of others is, and the command fails at its end."""
    controller.hosts(*hosts.inventory_lines())
    first, second = hosts.names[:2]
    play(controller, job(shell("true")))
    for name in (first, second):
        until(lambda name=name: hosts.execute(name, "sh", "-c", "cat /root/.ansible_async/*/result 2>/dev/null || true"))
    controller.playbook(JOBS, "-e", "verify=true").ok()
    put(controller.state_dir, "other", host="not in the inventory", status="failed", end=ago(days=9), async_dir="/home/op/.ansible_async")
    hosts.disconnect()
    hosts.off(second)
    ran = controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").failed()
    assert f"These could not be reached: {second}" in ran.text
    assert "Removed: 2 records" in ran.text
    assert "Still on the hosts: ['not in the inventory: what 1 attempts have left there']" in ran.text
    assert [file.parts[-3] for file in controller.state_dir.rglob("*.json")] == [second]
    assert hosts.execute(first, "sh", "-c", "ls /root/.ansible_async").strip() == ""
    hosts.on(second)
    controller.playbook(PRUNE, "-e", "older_than=0s", "-e", "apply=true").ok()
    assert hosts.execute(second, "sh", "-c", "ls /root/.ansible_async").strip() == ""
    assert not list(controller.state_dir.rglob("*.json"))


# --- The inventory --------------------------------------------------------------------------------------------------


def inventory(controller: Controller, text: str = "", **env: str) -> t.Any:
    """What Ansible makes of an inventory file of ours."""
    file = controller.write("x.async_jobs.yml", f"plugin: rstyczynski.ansible.async_jobs\n{text}")
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
    play(controller, task)
    (controller.project / "mended").touch()
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\n")
    play(controller, task, options=["-i", "x.async_jobs.yml", "--limit", "async_job_failed"])
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
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\n")
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
    ran = controller.run("inventory", "-i", "x.async_jobs.yml", "-i", "y.async_jobs.yml", "--host", "web1").ok()
    assert '"backup"' in ran.output
    assert '"copy"' in ran.output
    cache = {"ANSIBLE_INVENTORY_CACHE": "1", "ANSIBLE_INVENTORY_CACHE_PLUGIN": "jsonfile", "ANSIBLE_INVENTORY_CACHE_CONNECTION": "cache"}
    assert members(inventory(controller, "status: [failed]", **cache), "async_job_failed") == ["localhost", "web1"]
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


def test_inventory_reaches_localhost_as_ansible_does(controller: Controller) -> None:
    put(controller.state_dir, "job", host="localhost", status="failed")
    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\n")
    ran = controller.run("adhoc", "-i", "x.async_jobs.yml", "async_job_failed", "-m", "ansible.builtin.ping").ok()
    assert "pong" in ran.output
