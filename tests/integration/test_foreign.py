# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that another store has started, or one that was lost: the host knows of them, and the records are made anew from it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
import typing as t
import uuid
from pathlib import Path

import pytest
from controller import Controller
from plays import ask, job, lines, play, run_tasks, shell
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import claimed_record

RECOVER = "rstyczynski.ansible.async_job_recover"
STATE = "rstyczynski.ansible.async_job_state"
PRUNE = "rstyczynski.ansible.async_job_prune"
STATUS = "rstyczynski.ansible.async_job_status"


@pytest.fixture
def ledger(tmp_path: Path) -> t.Iterator[Path]:
    """Return the file that each execution adds a line to. In the end, all jobs end."""
    yield tmp_path / "ledger"
    (tmp_path / "go").touch()


def waits(ledger: Path, word: str = "executed") -> dict[str, t.Any]:
    """Return a task that adds a line to the ledger, and waits for a file."""
    return shell(f"echo {word} >>{ledger}; until [ -e {ledger.parent}/go ]; do sleep 0.2; done")


def read(controller: Controller, store: str, name: str = "job", host: str = "host1") -> dict[str, t.Any]:
    """Return a record of a store, or nothing."""
    file = controller.project / store / host / "test" / f"{name}.json"
    found: dict[str, t.Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    return found


def test_what_another_store_has_started(controller: Controller, ledger: Path) -> None:
    """It is adopted if it is the same; refused if it is not, or nobody can tell; and no matter once it has ended."""

    def start(store: str, what: dict[str, t.Any], name: str = "job", poll: int = 0, **more: t.Any) -> dict[str, t.Any]:
        keywords = {"no_log": more.pop("no_log")} if "no_log" in more else {}
        return job(what, name=name, poll=poll, limit=600, options={"state_dir": store, **more}, **keywords)

    def several(store: str) -> dict[str, t.Any]:
        options = {"jobs": [{"job_name": name, "task": same} for name in "ab"], "state_dir": store}
        return {"rstyczynski.ansible.async_job": options, "async": 600, "poll": 0}

    same, other = waits(ledger), waits(ledger, "other")
    end = shell(f"echo ended >>{ledger}")
    answers = ask(
        controller,
        start("one", same, metadata={"a": 1}),
        start("two", same, metadata={"b": 2}),
        start("three", other),
        start("three", other, on_change="attach"),
        start("four", same, on_foreign="fail"),
        start("one", same, name="secret", no_log=True),
        start("two", same, name="secret", no_log=True),
        start("one", end, name="ends", poll=1),
        start("two", end, name="ends", poll=1),
        start("three", end, name="ends", poll=1, on_foreign="fail"),
        start("five", same, on_foreign="ignore"),
        several("one"),
        several("two"),
        {RECOVER: {"state_dir": "new"}},
        {RECOVER: {"state_dir": "new", "apply": True}},
        {RECOVER: {"state_dir": "two", "apply": True}},
        start("new", same),
        start("new", end, name="ends", poll=1),
        {STATE: {"job_name": "ends", "state": "absent", "state_dir": "new"}},
        {RECOVER: {"state_dir": "newer", "job_name_pattern": "e*"}},
    )
    first, second, differs, attached, fails, secret, refused, ended, anew, strict, ignored = answers[:11]
    together, again, dry, made, kept, found, known, gone, none = answers[11:]
    assert first["changed"]
    assert not second["changed"]
    assert second["ansible_job_id"] == first["ansible_job_id"]
    where = f"started from the store {controller.project}/one by "
    assert where in second["warnings"][0]
    record = read(controller, "two")
    assert record["origin"]["store"] == f"{controller.project}/one"
    assert record["metadata"] == {"b": 2}
    assert {name: record[name] for name in ("attempt_dir", "start", "who", "status")} == {
        name: read(controller, "one")[name] for name in ("attempt_dir", "start", "who", "status")
    }
    assert "claim" not in record
    assert where in differs["msg"]
    assert "was started with other options" in differs["msg"]
    assert "on_foreign: ignore" in differs["msg"]
    assert not differs["changed"]
    assert attached["ansible_job_id"] == first["ansible_job_id"]
    assert "on_foreign is 'fail'" in fails["msg"]
    assert read(controller, "four") == {}
    assert secret["changed"]
    assert refused["failed"]
    assert not refused["changed"]
    assert (ended["status"], anew["status"]) == ("succeeded", "succeeded")
    assert "on_foreign is 'fail'" in strict["msg"]
    assert ignored["changed"]
    assert [one["ansible_job_id"] for one in again["jobs"]] == [one["ansible_job_id"] for one in together["jobs"]]
    assert [(one["changed"], two["changed"]) for one, two in zip(together["jobs"], again["jobs"], strict=True)] == [(True, False)] * 2
    until(lambda: len(lines(ledger)) >= 7)
    assert sorted(lines(ledger)) == ["ended", "ended", *["executed"] * 5]
    # What the host knows is the last one of each
    assert (dry["changed"], dry["applied"]) == (False, False)
    assert sorted(one["job_name"] for one in dry["recovered"]) == ["a", "b", "ends", "job", "secret"]
    assert (made["changed"], made["left"]) == (True, [])
    assert {one["job_name"]: one["status"] for one in made["recovered"]} == {
        "ends": "succeeded",
        **dict.fromkeys(("a", "b", "job", "secret"), "running"),
    }
    assert read(controller, "new", "secret")["no_log"] is True
    assert read(controller, "new", "secret")["origin"]["recovered_by"] == read(controller, "one", "secret")["who"]
    assert "fingerprint" not in read(controller, "new", "secret")
    assert known["record"]["result"]["rc"] == 0
    assert [one["job_name"] for one in kept["recovered"]] == ["secret"], "those that two has not adopted"
    assert "names another attempt" in kept["left"][0]["msg"]
    assert found["ansible_job_id"] == ignored["ansible_job_id"]
    assert (known["status"], known["changed"]) == ("succeeded", True), "nobody knows whether anybody was told"
    assert (gone["changed"], gone.get("warnings", [])) == (True, [])
    assert none["recovered"] == []


def test_what_was_adopted_is_left_to_its_store(controller: Controller, ledger: Path) -> None:
    """Nothing that others do with their records takes from it what its host has of the job."""

    def start(store: str, poll: int = 0, **more: t.Any) -> dict[str, t.Any]:
        return job(waits(ledger), poll=poll, limit=600, options={"state_dir": store, **more})

    forget = {STATE: {"job_name": "job", "state": "absent", "force": True, "state_dir": "two"}}
    prune = {PRUNE: {"job_name_pattern": "job", "older_than": "0s", "apply": True, "state_dir": "three"}}
    shorten = {PRUNE: {"job_name_pattern": "job", "older_than": "0s", "keep_attempts": 1, "apply": True, "state_dir": "four"}}
    first, _second, gone, third, _fourth, _go, _end, more, shortened, ended, pruned, last = ask(
        controller,
        start("one"),
        start("two"),
        forget,
        start("three"),
        start("four"),
        {"ansible.builtin.file": {"path": f"{ledger.parent}/go", "state": "touch"}},
        {STATUS: {"job_name": "job", "state_dir": "four", "wait_timeout": 60, "wait_interval": 1}},
        start("four", poll=1, rerun_after=0),
        shorten,
        start("three", poll=1, keep_output=False),
        prune,
        start("one", poll=1, restart_on=["lost", "killed"]),
    )
    assert "still knows of the last attempt" in gone["warnings"][0]
    assert f"it was started from the store {controller.project}/one by " in gone["warnings"][0]
    assert third["ansible_job_id"] == first["ansible_job_id"]
    directory = first["record"]["attempt_dir"]
    assert (more["attempt"], more["status"], shortened["attempts"]) == (2, "succeeded", 1)
    assert [place for place in shortened["left"] if f"{directory} was left there" in place]
    assert any(f"{directory} was left there" in warning for warning in ended["warnings"])
    assert [place for place in pruned["left"] if f"{directory} was left there" in place]
    assert pruned["removed"] == 1
    assert (last["status"], last["ansible_job_id"]) == ("succeeded", first["ansible_job_id"])
    assert lines(ledger) == ["executed"] * 2, "the one that was ordered once more among them"


def test_a_file_that_nobody_can_read(controller: Controller, ledger: Path) -> None:
    """Nothing is started, and nothing is left on the host of that, however often."""
    place = Path(ask(controller, job(shell(f"echo ended >>{ledger}"), poll=1))[0]["record"]["attempt_dir"]).parent
    [noted] = place.glob(".async_jobs-*/*/*")
    noted.write_text('{"torn')
    before = sorted(place.iterdir())
    for _twice in range(2):
        [answer] = ask(controller, job(waits(ledger), options={"state_dir": "new"}))
        assert f"{noted} on host1" in answer["msg"]
        assert "Nothing was started" in answer["msg"]
    assert sorted(place.iterdir()) == before
    assert read(controller, "new") == {}
    noted.unlink()
    noted.parent.rmdir()
    noted.parent.touch()
    [gone] = ask(controller, {STATE: {"job_name": "job", "state": "absent"}})
    assert gone["changed"]
    assert gone["warnings"][0].startswith("Nobody knows whether host1 still knows of the last attempt of the job (")
    assert gone["warnings"][0].endswith("Make sure that it has ended.")
    assert lines(ledger) == ["ended"]


def test_an_action_that_does_its_work_itself(controller: Controller, ledger: Path) -> None:
    """Whoever ran it has died: that does not prove that its host is done, whatever was done to its directory."""
    go_on = controller.project / "go_on"
    go_on.touch()
    semaphore = {"name": "few", "at_most": 1}

    def start(store: str, **more: t.Any) -> dict[str, t.Any]:
        return job({"at_once": {"ledger": str(ledger), "while": str(go_on)}}, poll=1, limit=5, options={"state_dir": store, **more})

    book = controller.write("killed.yml", json.dumps([play(start("one", semaphore=semaphore))]))
    process = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: lines(ledger) == ["run"])
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with contextlib.suppress(ProcessLookupError):  # the worker, which some releases give a group of its own
        os.kill(read(controller, "one")["claim"]["pid"], signal.SIGKILL)
    other = job(shell("true"), name="other", limit=5, options={"state_dir": "one", "semaphore": semaphore})
    before, waits_for_it = ask(controller, start("two"), other)
    assert waits_for_it["started"] is False
    assert "at_once is at its work in the run of" in waits_for_it["msg"]
    [fenced] = ask(controller, start("one"))
    [after] = ask(controller, start("two"))
    assert fenced["status"] == "lost"
    for answer in (before, after):
        assert "It may still be under way: at_once does its work itself" in answer["msg"]
        assert "Make sure that it is done there" in answer["msg"]
        assert not answer["changed"]
    assert lines(ledger) == ["run"]
    assert read(controller, "two") == {}
    [again] = ask(controller, start("one", restart_on=["lost"]))
    place = controller.home / ".ansible_async"
    place.rename(controller.project / "away")  # which is no reboot
    [removed] = ask(controller, start("one", restart_on=["lost"]))
    shutil.rmtree(place)
    (controller.project / "away").rename(place)
    for answer in (again, removed):
        assert not answer["changed"]
        assert "may still be under way: at_once does its work itself" in answer["msg"]
        assert "Make sure that it is done on host1" in answer["msg"]
    # Nor is it gone for whoever tidies up, or waits for its slot.
    prune = {PRUNE: {"job_name_pattern": "job", "older_than": "0s", "apply": True, "state_dir": "one"}}
    forget = {"job_name": "job", "state": "absent", "state_dir": "one"}
    save = {STATE: {"job_name": "job", "ansible_job_id": "j1.2", "state_dir": "one"}}
    status = {STATUS: {"job_name": "job", "state_dir": "one"}}
    pruned, kept, saved, full, seen = ask(controller, prune, {STATE: forget}, save, other, status)
    assert (pruned["removed"], kept["failed"], saved["failed"], full["started"]) == (0, True, True, False)
    assert (seen["status"], seen["reason"]) == ("lost", read(controller, "one")["reason"])
    for said in (pruned["kept"][0]["msg"], kept["msg"], saved["msg"], full["msg"]):
        assert "may still be under way: at_once does its work itself, and nobody has seen it end" in said
    assert lines(ledger) == ["run"]
    go_on.unlink()
    elsewhere = {STATE: {**forget, "host": "host1", "force": True}, "delegate_to": "localhost"}
    anyway = start("two", on_foreign="ignore")
    gone, refused, ordered, done, taken = ask(controller, elsewhere, start("one"), anyway, start("one"), {**other, "poll": 1})
    assert "The next start finds it there, and is refused" in gone["warnings"][0]
    assert "It may still be under way: at_once does its work itself" in refused["msg"]
    assert "remove" not in refused["msg"]
    assert ordered["changed"]
    assert (done["status"], done["attempt"], taken["status"]) == ("succeeded", 1, "succeeded")
    assert lines(ledger) == ["run"] * 3


def test_a_reboot_of_the_host_of_such_an_action(controller: Controller, ledger: Path) -> None:
    """It ends what was done on the host, and not whoever does it: that may be at it still, in that host or in others."""
    go_on = controller.project / "go_on"
    go_on.touch()

    def start(store: str, **more: t.Any) -> dict[str, t.Any]:
        about = {"ledger": str(ledger), "while": str(go_on)}
        return job({"at_once": about}, poll=1, limit=60, options={"state_dir": store, **more})

    process = controller.popen("playbook", "-i", controller.inventory, controller.write("works.yml", json.dumps([play(start("one"))])))
    until(lambda: lines(ledger) == ["run"])

    def in_former_boot(record: dict[str, t.Any], claim: dict[str, t.Any]) -> str:
        boot = {"boot_id": str(uuid.uuid4()), "time": 1}
        place = {name: value for name, value in record["place"].items() if name != "pid_1_start"}
        return json.dumps({**record, "boot_id": boot["boot_id"], "place": {**place, **boot}, "claim": {**record["claim"], **claim}})

    [noted] = (controller.home / ".ansible_async").glob(".async_jobs-*/*/*")
    noted.write_text(in_former_boot(json.loads(noted.read_text("utf-8")), {}))
    [foreign] = ask(controller, start("two"))
    assert "It may still be under way: at_once does its work itself" in foreign["msg"]
    assert "Wait until it is done" in foreign["msg"]
    assert read(controller, "two") == {}
    assert lines(ledger) == ["run"]
    # A record of which somebody has seen no end, while its holder is there, and then is not.
    file = controller.project / "one/host1/test/job.json"
    record = read(controller, "one")
    holder = claimed_record(None, JobKey("host1", "test", "job"), {}, no_log=False)["claim"]
    file.write_text(in_former_boot({**record, "status": "lost"}, holder))
    [own] = ask(controller, start("one", restart_on=["lost"]))
    assert "may still be under way: at_once does its work itself" in own["msg"]
    assert lines(ledger) == ["run"]
    go_on.unlink()
    said = process.communicate(timeout=100)[0]
    assert process.returncode == 0, said
    assert read(controller, "one")["status"] == "succeeded", "whoever has done it, and has seen its end, knows better"
    dead = {**holder, "pid": process.pid}
    file.write_text(in_former_boot({**record, "status": "lost"}, dead))
    [own] = ask(controller, start("one", restart_on=["lost"]))
    assert "may still be under way: at_once does its work itself" in own["msg"], "it may have gone on after the reboot"
    in_that_boot = json.loads(in_former_boot({**record, "status": "lost"}, dead))
    in_that_boot["claim"]["boot_id"] = in_that_boot["boot_id"]
    file.write_text(json.dumps(in_that_boot))
    [over] = ask(controller, start("one", restart_on=["lost"]))
    assert (over["status"], over["attempt"]) == ("succeeded", 2)
    assert lines(ledger) == ["run"] * 2


def test_work_that_takes_longer_than_others_wait(controller: Controller, ledger: Path) -> None:
    """They wait for as long as it may take, say so, and cannot stop it. If it is silent for longer than that, they call it lost; but who
    does it sees its end, and notes that."""
    go_on = controller.project / "go_on"
    go_on.touch()

    def start(name: str, limit: int, **more: t.Any) -> dict[str, t.Any]:
        about = {"ledger": str(ledger), "while": str(go_on)}
        return job({"at_once": about}, name=name, poll=1, limit=limit, options={"claim_timeout": 1, **more})

    works = [
        controller.popen("playbook", "-i", controller.inventory, controller.write(f"{number}.yml", json.dumps([play(task)])))
        for number, task in enumerate([start("long", 600, start_timeout=1), start("job", 1, start_timeout=300)])
    ]
    until(lambda: lines(ledger) == ["run"] * 2)
    book = controller.write("waits.yml", json.dumps([play(start("long", 1, start_timeout=1))]))
    waiting = controller.popen("playbook", "-i", controller.inventory, book)
    said = waiting.said_until("Waiting for at most")
    assert int(re.findall(r"Waiting for at most (\d+) seconds", said)[0]) > 500
    cancel = {"rstyczynski.ansible.async_job_cancel": {"job_name": "job"}}
    stopped, lost = ask(controller, cancel, start("job", 1, start_timeout=1))
    assert "at_once does its work itself, and may be at it. Nothing was stopped" in stopped["msg"]
    assert lost["status"] == "lost"
    assert "It may still be under way, so nothing starts it anew" in lost["msg"]
    go_on.unlink()
    for process in (*works, waiting):
        said = process.communicate(timeout=100)[0]
        assert process.returncode == 0, said
    [done] = ask(controller, start("job", 1))
    assert (done["status"], done["attempt"], "claim" in done["record"]) == ("succeeded", 1, False)
    assert lines(ledger) == ["run"] * 2


def test_an_action_that_never_began_its_work(controller: Controller, ledger: Path) -> None:
    """Its host answered too late that it had made the directory, so it was not started. That is known, and it starts the next time; and
    if the host still has what it noted, that is no riddle for the store that has seen the end."""
    slow = controller.write("slow", f'#!/bin/sh\n{sys.executable} "$@"\nuntil [ -e {ledger.parent}/go ]; do sleep 0.2; done\n')
    slow.chmod(0o700)

    def start(**more: t.Any) -> dict[str, t.Any]:
        return job({"at_once": {"ledger": str(ledger)}}, poll=1, options={"rerun_after": 0, **more})

    ran = run_tasks(controller, {**start(look_timeout=3), "vars": {"ansible_python_interpreter": str(slow)}})
    assert (ran.rc, "has not answered within 3 seconds" in ran.output) == (4, True), ran.output
    assert lines(ledger) == []
    [noted] = (controller.home / ".ansible_async").glob(".async_jobs-*/*/*")
    [done] = ask(controller, start())
    assert (done["status"], done["attempt"]) == ("succeeded", 1)
    assert lines(ledger) == ["run"]
    assert not noted.exists()
    # Nor is it one if the store was away, so that the record does not tell.
    away = controller.project / "away"
    task = {**start(look_timeout=3), "vars": {"ansible_python_interpreter": str(slow)}}
    book = controller.write("away.yml", json.dumps([play(task)]))
    process = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: [*(controller.home / ".ansible_async").glob("*/attempt.json")])
    controller.state_dir.rename(away)
    process.communicate(timeout=100)
    away.rename(controller.state_dir)
    assert read(controller, controller.state_dir.name)["status"] == "prepared"
    [anew] = ask(controller, start())
    assert (anew["status"], anew["attempt"]) == ("succeeded", 2)
    assert lines(ledger) == ["run"] * 2


def test_work_that_somebody_else_has_taken_over(controller: Controller, ledger: Path) -> None:
    """Whoever was about to do it was silent for too long. Nothing on the host stops it from doing it late, as it would a module."""
    slow = controller.write("slow", f'#!/bin/sh\n{sys.executable} "$@"\nuntil [ -e {ledger.parent}/go ]; do sleep 0.2; done\n')
    slow.chmod(0o700)
    options = {"claim_timeout": 5, "look_timeout": 100, "start_timeout": 1}
    task = job({"at_once": {"ledger": str(ledger)}}, poll=1, limit=5, options=options)
    late = {**task, "vars": {"ansible_python_interpreter": str(slow)}}
    book = controller.write("late.yml", json.dumps([play(late)]))
    process = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: [*(controller.home / ".ansible_async").glob("*/attempt.json")])
    lost, _gone, done = ask(controller, task, {STATE: {"job_name": "job", "state": "absent", "force": True}}, task)
    assert (lost["status"], done["status"]) == ("lost", "succeeded")
    assert lines(ledger) == ["run"]
    (ledger.parent / "go").touch()
    said = process.communicate(timeout=100)[0]
    assert process.returncode == 0, said
    assert lines(ledger) == ["run"]


def test_work_whose_slot_somebody_else_has_taken(controller: Controller, ledger: Path) -> None:
    """That was a former release, for which it was silent for too long. When it wakes up, it takes another slot first, and at once."""
    slow = controller.write("slow", f'#!/bin/sh\n{sys.executable} "$@"\nuntil [ -e {ledger.parent}/go ]; do sleep 0.2; done\n')
    slow.chmod(0o700)
    options = {"look_timeout": 100, "semaphore": {"name": "few", "at_most": 1}}
    task = job({"at_once": {"ledger": str(ledger)}}, poll=1, limit=600, options=options)
    book = controller.write("late.yml", json.dumps([play({**task, "vars": {"ansible_python_interpreter": str(slow)}})]))
    process = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: [*(controller.home / ".ansible_async").glob("*/attempt.json")])
    file = controller.state_dir / "host1/test/job.json"
    before = read(controller, controller.state_dir.name)
    file.write_text(json.dumps({name: value for name, value in before.items() if name != "semaphore"}))
    (ledger.parent / "go").touch()
    said = process.communicate(timeout=100)[0]
    assert process.returncode == 0, said
    after = read(controller, controller.state_dir.name)
    assert after["status"] == "succeeded"
    assert after["semaphore"]["slot"] != before["semaphore"]["slot"]
    assert lines(ledger) == ["run"]


def test_work_whose_end_the_store_did_not_take(controller: Controller, ledger: Path) -> None:
    """The store was away when it was done. The next try of the same task does not take it for one that never began."""
    go_on = controller.project / "go_on"
    go_on.touch()
    about = {"ledger": str(ledger), "while": str(go_on)}
    task = job({"at_once": about}, poll=1, limit=5, options={"claim_timeout": 5, "start_timeout": 1, "restart_on": ["lost"]})
    retries = {"register": "done", "until": "done is not failed", "retries": 2, "delay": 3}
    book = controller.write("tries.yml", json.dumps([play({**task, **retries})]))
    process = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: lines(ledger) == ["run"])
    away = controller.project / "away"
    controller.state_dir.rename(away)
    go_on.unlink()
    said = process.said_until("FAILED - RETRYING")
    away.rename(controller.state_dir)
    said += process.communicate(timeout=100)[0]
    assert "at_once does its work itself, and nobody has seen it end" in said, said
    assert lines(ledger) == ["run"], said


def test_what_a_host_still_notes_of_work_that_is_done(controller: Controller, ledger: Path) -> None:
    """The controller was interrupted before it removed that. The store has seen the end, so another one begins."""
    place = controller.home / ".ansible_async"
    saved = controller.project / "saved"
    keeps = {"ledger": str(ledger), "copies": [str(place), str(saved)]}
    task = job({"at_once": keeps}, poll=1, options={"rerun_after": 0})
    ask(controller, task)
    shutil.copytree(saved, place, dirs_exist_ok=True)
    assert list(place.glob(".async_jobs-*/*/*"))
    shutil.rmtree(saved)
    [again] = ask(controller, task)
    assert (again["status"], again["attempt"]) == ("succeeded", 2)
    assert lines(ledger) == ["run", "run"]


def test_an_action_that_starts_in_the_background(controller: Controller, ledger: Path) -> None:
    """What it has started is there for others to find, as that of any module."""
    command = waits(ledger)["ansible.builtin.shell"]
    tasks = [job({"background": {"shell": command}}, limit=600, options={"state_dir": store}) for store in ("one", "two")]
    first, second = ask(controller, *tasks)
    assert "was adopted" in second["warnings"][0]
    assert second["ansible_job_id"] == first["ansible_job_id"]
    assert lines(ledger) == ["executed"]
    # If that fails, it may have done something before. What Ansible says of it is not kept back.
    fails = {"background": {"shell": "true", "module": "ansible.legacy.nosuch"}}
    again = {"restart_on": ["lost"], "max_attempts": 3}  # and no other attempt begins, so that this is told
    lost, secret = ask(controller, job(fails, name="fails", poll=1, options=again), job(fails, name="secret", no_log=True))
    for answer in (lost, secret):
        assert (answer["status"], answer["failed"]) == ("lost", True), answer
    assert "nosuch" in " ".join(lost["warnings"])
    assert "nosuch" not in json.dumps(secret)


def test_what_its_own_store_has_lost(controller: Controller, ledger: Path) -> None:
    """A record that is gone, and was made anew from the host by the store that had it, is one of its own, as one that was recovered."""
    task = job(waits(ledger), limit=600)
    [first] = ask(controller, task)
    (controller.state_dir / "host1/test/job.json").unlink()
    [again] = ask(controller, task)
    assert again["ansible_job_id"] == first["ansible_job_id"]
    assert again["record"]["origin"]["recovered_by"] == first["record"]["who"]
    until(lambda: lines(ledger) == ["executed"])


def test_what_its_own_store_has_removed(controller: Controller, ledger: Path) -> None:
    """The other one, which had adopted it, cannot know how it has ended. It does not call it lost, nor start it once more."""

    def start(store: str, poll: int = 0, **more: t.Any) -> dict[str, t.Any]:
        return job(waits(ledger), poll=poll, limit=600, options={"state_dir": store, **more})

    _first, _second, _go, ended, asked, again = ask(
        controller,
        start("one"),
        start("two"),
        {"ansible.builtin.file": {"path": f"{ledger.parent}/go", "state": "touch"}},
        start("one", poll=1, keep_output=False),
        start("two"),
        start("two", poll=1, restart_on=["lost", "killed"]),
    )
    assert ended["status"] == "succeeded"
    for answer in (asked, again):
        assert (answer["status"], answer["failed"], answer["changed"]) == ("unknown", True, False), answer
        assert f"the store that has started it ({controller.project}/one) may have removed that with its end" in answer["reason"]
    assert lines(ledger) == ["executed"]


def test_what_was_adopted_and_has_ended(controller: Controller, ledger: Path) -> None:
    """Who has seen the end starts the next attempt, whatever the other store has removed since."""
    fails = shell(f"echo executed >>{ledger}; until [ -e {ledger.parent}/go ]; do sleep 0.2; done; exit 3")

    def start(store: str, poll: int = 0, **more: t.Any) -> dict[str, t.Any]:
        return job(fails, poll=poll, limit=600, options={"state_dir": store, **more})

    go = {"ansible.builtin.file": {"path": f"{ledger.parent}/go", "state": "touch"}}
    restart = start("two", poll=1, restart_on=["failed"], max_attempts=2)
    removed = start("one", poll=1, keep_output=False)
    forget = {STATE: {"job_name": "job", "state": "absent", "state_dir": "two"}}
    _first, _second, _go, ended, _removed, again, gone = ask(
        controller, start("one"), start("two"), go, start("two", poll=1), removed, restart, forget
    )
    assert (ended["status"], ended["attempt"]) == ("failed", 1)
    assert (again["status"], again["attempt"]) == ("failed", 2), again
    assert (gone["changed"], gone.get("warnings", [])) == (True, []), "the host has noted the second one"
    assert lines(ledger) == ["executed"] * 2


def test_a_secret_job_that_adopts(controller: Controller, ledger: Path) -> None:
    """What was secret once stays so, also if another store has started it in the open, and the task of this one says nothing any more."""
    secret = job(shell("true"), poll=1, options={"state_dir": "two"}, no_log=True)
    tasks = [job(waits(ledger), limit=600, options={"state_dir": store, "rerun_after": 0}) for store in ("one", "two")]
    ask(controller, secret, *tasks)
    record = read(controller, "two")
    assert record["origin"]["store"] == f"{controller.project}/one"
    assert (record["no_log"], "fingerprint" in record) == (True, False)
    assert lines(ledger) == ["executed"]


def test_a_store_that_vanishes(controller: Controller, ledger: Path) -> None:
    """The task that waits has started the job: it does not say that nothing was changed, and says where to find it."""
    book = controller.write("waits.yml", json.dumps([play(job(waits(ledger), poll=1, limit=600))]))
    process = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: read(controller, controller.state_dir.name).get("status") == "running")
    shutil.rmtree(controller.state_dir)
    (ledger.parent / "go").touch()
    said = " ".join(process.communicate(timeout=100)[0].split())
    assert process.returncode == 2, said
    assert "rstyczynski.ansible.recover" in said
    assert "Nothing was changed" not in said


def test_whatever_another_store_has_started(controller: Controller, ledger: Path) -> None:
    """C(on_foreign: fail) fails for it, also if it has ended and its directory is gone; nobody waits for that, and nothing is left."""
    end = shell(f"echo ended >>{ledger}")
    one = job(end, poll=1, options={"state_dir": "one", "keep_output": False})
    two = job(end, poll=1, options={"state_dir": "two", "on_foreign": "fail", "claim_timeout": 600})
    _ended, refused = ask(controller, one, two)
    assert not refused["changed"]
    assert f"started from the store {controller.project}/one by " in refused["msg"]
    assert "on_foreign is 'fail'" in refused["msg"]
    assert [path.name for path in (controller.home / ".ansible_async").iterdir() if path.is_file()] == [".async_job"]
    assert read(controller, "two") == {}
    assert lines(ledger) == ["ended"]


def test_a_claim_after_what_was_adopted(controller: Controller, ledger: Path) -> None:
    """To remove the record does not take from the other store what the host has of the attempt in its history."""
    first, second = ask(controller, *(job(waits(ledger), limit=600, options={"state_dir": store}) for store in ("one", "two")))
    claimed = claimed_record(second["record"], JobKey("host1", "test", "job"), {}, no_log=False)
    (controller.project / "two/host1/test/job.json").write_text(json.dumps(claimed))
    forget = {STATE: {"job_name": "job", "state": "absent", "force": True, "state_dir": "two"}}
    gone, third = ask(controller, forget, job(waits(ledger), limit=600, options={"state_dir": "three"}))
    assert gone["changed"]
    assert f"still knows of the last attempt of the job ({first['record']['attempt_dir']}): it was started from" in gone["warnings"][0]
    assert third["ansible_job_id"] == first["ansible_job_id"]
    assert lines(ledger) == ["executed"]


def test_a_host_with_another_name(controller: Controller, ledger: Path) -> None:
    """Two hosts of an inventory may be one machine, and each has its jobs. A name that the inventory has not is one that it had before."""
    controller.hosts("host1", "host2")
    same = job(waits(ledger), limit=600)
    ask(controller, same)
    until(lambda: len(lines(ledger)) == 2)
    controller.hosts("host1", "renamed")
    [answer] = ask(controller, same, options=["--limit", "renamed"])
    assert "as that of host2" in answer["warnings"][0]
    assert len(lines(ledger)) == 2
    record = read(controller, ".ansible_async_state", host="renamed")
    assert record["origin"]["host"] == "host2"
    status = {"rstyczynski.ansible.async_job_status": {"job_name": "job"}}
    recover = {RECOVER: {"state_dir": "new"}}
    forget = {"job_name": "job", "state": "absent", "force": True}
    tasks = (status, recover, {STATE: forget}, {STATE: {**forget, "host": "host1"}})
    seen, left, gone, elsewhere = ask(controller, *tasks, options=["--limit", "renamed"])
    assert (seen["status"], seen["failed"]) == ("running", False)
    assert "which the inventory does not have" in left["left"][0]["msg"]
    assert gone.get("warnings", []) == []
    assert "host1 still knows of the last attempt" in elsewhere["warnings"][0]
    [anew] = ask(controller, same, options=["--limit", "renamed"])
    assert anew["changed"]
    until(lambda: len(lines(ledger)) == 3)
    # Whoever delegates a job to its own host says nothing new.
    itself = {**same, "delegate_to": "{{ inventory_hostname }}"}
    [same_one] = ask(controller, itself, options=["--limit", "renamed", "-e", "async_job_state_dir=other"])
    assert (same_one["changed"], same_one["ansible_job_id"]) == (False, anew["ansible_job_id"])
    # Nor does who has begun with the localhost that is in no inventory, and names that machine later.
    here = {**same, "delegate_to": "localhost", **job(waits(ledger), name="here", limit=600, options={"host": "localhost"})}
    [first] = ask(controller, here, options=["--limit", "renamed"])
    there = job(waits(ledger), name="here", limit=600, options={"state_dir": "other"})
    [second] = ask(controller, there, options=["--limit", "renamed"])
    assert (first["changed"], second["changed"], second["ansible_job_id"]) == (True, False, first["ansible_job_id"])
    # What one host says of jobs of another is believed if somebody says so.
    ask(controller, {**job(shell("true"), name="elsewhere", poll=1), "delegate_to": "host1"}, options=["--limit", "renamed"])
    recover = {"state_dir": "newest"}
    doubted, believed = ask(controller, {RECOVER: recover}, {RECOVER: {**recover, "delegated": True}}, options=["--limit", "host1"])
    assert "it is host1 alone that says that it ran there for renamed" in " ".join(one["msg"] for one in doubted["left"])
    assert "elsewhere" not in [one["job_name"] for one in doubted["recovered"]]
    assert ("renamed", "elsewhere") in [(one["host"], one["job_name"]) for one in believed["recovered"]]
