# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals, as users ask for them and give them."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

from controller import Controller, Live, Ran
from plays import Yaml, ask, run_tasks
from records import put
from waiting import until


def gate(mode: str, **options: t.Any) -> Yaml:
    """A task. All tests run as one user of the system, who may approve what they have asked for, unless a test says otherwise."""
    subject = {} if mode == "wait" else {"subject": "Release 7 goes live"}
    allow_self = {"allow_self": True} if mode == "request" else {}
    return {"rstyczynski.ansible.async_job_approval": {"name": "go_live", "mode": mode, **subject, **allow_self, **options}}


def file(controller: Controller, name: str = "go_live") -> Path:
    return controller.state_dir / ".approvals" / "test" / f"{name}.json"


def stored(controller: Controller) -> t.Any:
    return json.loads(file(controller).read_text("utf-8"))


def expire(controller: Controller) -> None:
    """Let the request have expired a second ago."""
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    file(controller).write_text(json.dumps({**stored(controller), "expires": past.strftime("%Y-%m-%dT%H:%M:%SZ")}))


def test_asked_and_given(controller: Controller) -> None:
    """The whole way, with its history; and everything a second time changes nothing."""
    asked, again, waiting, given, twice, opened, refused = ask(
        controller,
        gate("request", by="ci@runner1", reason="it is time"),
        gate("request", by="ci@runner1"),
        gate("wait"),
        gate("approve", by="alice", reason="tests are green"),
        gate("approve", by="bob"),
        gate("wait", subject="Release 7 goes live"),
        gate("reject", by="bob"),
    )
    assert (asked["changed"], asked["status"], asked["approved"]) == (True, "requested", False)
    assert not again["changed"]
    assert (waiting["status"], waiting["approved"], waiting["failed"]) == ("requested", False, False)
    assert "awaiting approval until" in waiting["msg"]
    assert "asked for by ci@runner1" in waiting["msg"]
    assert (given["changed"], given["status"]) == (True, "approved")
    assert (twice["changed"], twice["approval"]["decided_by"]) == (False, "alice")
    assert (opened["approved"], opened["failed"]) == (True, False)
    assert "approved by alice" in opened["msg"]
    assert refused["failed"]
    assert "has been decided already" in refused["msg"]
    history = [(event["event"], event["by"], event["reason"]) for event in stored(controller)["history"]]
    assert history == [("requested", "ci@runner1", "it is time"), ("approved", "alice", "tests are green")]
    assert file(controller).stat().st_mode & 0o777 == 0o600


def test_rejected(controller: Controller) -> None:
    """A rejection stands until it is asked for anew."""
    _asked, _rejected, waiting, again, renewed, history = ask(
        controller,
        gate("request", by="ci"),
        gate("reject", by="bob", reason="not today"),
        gate("wait"),
        gate("request", by="ci"),
        gate("request", by="ci", renew=True),
        gate("wait"),
    )
    assert waiting["failed"]
    assert "rejected by bob" in waiting["msg"]
    assert "not today" in waiting["msg"]
    assert (again["changed"], again["status"]) == (False, "rejected")
    assert (renewed["changed"], renewed["status"]) == (True, "requested")
    assert [event["event"] for event in history["approval"]["history"]] == ["requested", "rejected", "requested"]


def test_expired(controller: Controller) -> None:
    """After its time, nobody can open the gate, until it is asked for anew."""
    ask(controller, gate("request", by="ci", expires_in=3600))
    expire(controller)
    late, rejected, waiting = ask(controller, gate("approve", by="alice"), gate("reject", by="alice"), gate("wait"))
    for answer in late, rejected:
        assert answer["failed"]
        assert "expired at" in answer["msg"]
    assert (waiting["failed"], waiting["status"], waiting["approved"]) == (True, "expired", False)
    renewed, given = ask(controller, gate("request", by="ci"), gate("approve", by="alice"))
    assert renewed["changed"]
    assert given["approved"]
    assert [event["event"] for event in stored(controller)["history"]] == ["requested", "expired", "requested", "approved"]
    expire(controller)
    [opened] = ask(controller, gate("wait"))
    assert opened["approved"], "it was given in time"


def test_another_subject(controller: Controller) -> None:
    """An approval is for what was asked for, and for nothing else."""
    _asked, wrong, given, other, asked, waiting = ask(
        controller,
        gate("request", by="ci"),
        gate("approve", by="alice", subject="Release 8 goes live"),
        gate("approve", by="alice"),
        gate("wait", subject="Release 8 goes live"),
        gate("request", by="ci", subject="Release 8 goes live"),
        gate("wait"),
    )
    assert wrong["failed"]
    assert "is about 'Release 7 goes live'" in wrong["msg"]
    assert given["approved"]
    assert other["failed"]
    assert asked["changed"]
    assert (waiting["status"], waiting["approved"]) == ("requested", False)


def test_allowed_to_approve_oneself(controller: Controller) -> None:
    """That can be said later, too."""
    _asked, refused, again, given = ask(controller, gate("request", allow_self=False), gate("approve"), gate("request"), gate("approve"))
    assert refused["failed"]
    assert again["changed"]
    assert given["approved"]


def test_nobody(controller: Controller) -> None:
    ask(controller, gate("request", by="ci"))
    for answer in ask(controller, *(gate("approve", by=name) for name in ("", " ", "@host", "a\tb"))):
        assert answer["failed"]
        assert "names nobody" in answer["msg"]


def test_check_mode_of_a_playbook(controller: Controller) -> None:
    """Nobody has been asked yet, and that is no error."""
    _asked, waiting = ask(controller, gate("request", by="ci"), gate("wait"), options=["--check"])
    assert (waiting["approved"], waiting["failed"]) == (False, False)
    assert not controller.state_dir.exists()


def test_never_asked_for(controller: Controller) -> None:
    for answer in ask(controller, gate("wait"), gate("approve"), gate("reject")):
        assert answer["failed"]
        assert "Nobody has asked" in answer["msg"]
        assert str(file(controller)) in answer["msg"]
    assert not controller.state_dir.exists()


def test_check_mode(controller: Controller) -> None:
    _asked, given = ask(controller, gate("request", by="ci"), {**gate("approve", by="alice"), "check_mode": True})
    assert (given["changed"], given["status"]) == (True, "approved")
    assert stored(controller)["status"] == "requested"


def test_waiting(controller: Controller) -> None:
    """A task that waits goes on as soon as somebody has decided, on another controller."""
    ask(controller, gate("request", by="ci"))
    text = [{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [gate("wait", wait_timeout=60, wait_interval=1)]}]
    waiting = Live(controller.popen("playbook", "-i", controller.inventory, controller.write("wait.yml", json.dumps(text))))
    until(lambda: "Waiting for at most" in waiting.output)
    options = ["-e", "playbook=test", "-e", "approval=go_live", "-e", "by=alice", "-e", "subject='Release 7 goes live'"]
    options += ["-e", f"async_job_state_dir={controller.state_dir}"]
    checked = controller.playbook("rstyczynski.ansible.approve", *options, "--check").ok()
    assert "Check mode, nothing was decided. It would be so: " in checked.text
    assert stored(controller)["status"] == "requested"
    assert "approved by alice" in controller.playbook("rstyczynski.ansible.approve", *options).ok().text
    assert waiting.ran().rc == 0


CORRUPT: list[bytes | Yaml] = [
    b"",
    b"{",
    b"[1]",
    b"{}",
    b"\xff",
    {"status": "approved"},
    {"status": "maybe"},
    {"status": "approved", "decided_by": None},
    {"subject": 1},
    {"expires": "soon"},
    {"approval_name": "another"},
    {"history": None},
    {"request_id": 7},
    {"requester": "ci"},
    {"requester": {"by": 7}},
    {"status": "approved", "decided_by": "alice"},
    {"schema_version": 99},
]


def test_corrupt(controller: Controller) -> None:
    """What cannot be read opens no gate, and is not overwritten."""
    contents = {f"gate{number}": content for number, content in enumerate(CORRUPT)}
    ask(controller, *(gate("request", by="ci", name=name) for name in contents))
    before = {}
    for name, content in contents.items():
        document = json.loads(file(controller, name).read_text("utf-8"))
        before[name] = content if isinstance(content, bytes) else json.dumps({**document, **content}).encode()
        file(controller, name).write_bytes(before[name])
    answers = iter(
        ask(
            controller,
            *(
                task
                for name in contents
                for task in (
                    gate("wait", name=name),
                    gate("approve", by="alice", name=name),
                    gate("request", by="ci", subject="other", name=name),
                )
            ),
        )
    )
    for name, content in contents.items():
        for mode in ("wait", "approve", "request"):
            answer = next(answers)
            assert answer["failed"], (content, mode)
            assert not answer.get("approved"), (content, mode)
            assert str(file(controller, name)) in answer["msg"], (content, mode)
        assert file(controller, name).read_bytes() == before[name], content


def test_two_at_the_same_moment(controller: Controller) -> None:
    """One of them decides, and the other is told who."""
    controller.hosts(*(f"host{number}" for number in range(6)))
    decisions = {f"host{number}": "approve" if number % 2 else "reject" for number in range(6)}
    mode = "{{ " + json.dumps(decisions) + "[inventory_hostname] }}"
    for number in range(3):
        name = f"gate{number}"
        ask(controller, {**gate("request", by="ci", name=name), "run_once": True})
        ran = run_tasks(controller, gate(mode, by="{{ inventory_hostname }}", name=name), options=["-f", "6"])
        answers = every(ran)
        winners = [answer for answer in answers if answer["changed"]]
        assert len(winners) == 1
        decided = winners[0]["approval"]
        for answer in answers:
            assert answer["failed"] or answer["approval"] == decided
            if answer["failed"]:
                assert f"{decided['status']} by {decided['decided_by']}" in answer["msg"]
        assert len(decided["history"]) == 2


def every(ran: Ran) -> list[t.Any]:
    """What the task returned on each host."""
    return [answer for [answer] in ran.told]


def test_records_are_not_mixed_up(controller: Controller) -> None:
    """An approval is no job."""
    _asked, listed = ask(controller, gate("request"), {"rstyczynski.ansible.async_job_info": {}})
    assert (listed["records"], listed["unreadable"], listed["failed"]) == ([], [], False)


def test_many_requests_at_once(controller: Controller) -> None:
    """Of controllers that ask for the same at the same moment, one does."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        text = json.dumps([{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [gate("request", by="ci")]}])
        playbook = controller.write("request.yml", text)
        ran = list(pool.map(lambda _number: controller.playbook(playbook).ok().recap("host1")["changed"], range(4)))
    assert sorted(ran) == [0, 0, 0, 1]


def pasted(controller: Controller, command: str) -> Ran:
    """Run a line as a shell does that somebody has pasted it into, from any directory."""
    program = controller.home / "ansible-playbook"  # that of this release of Ansible
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ansible playbook "$@"\n')
    program.chmod(0o755)
    environment = {**controller.environment, "PATH": f"{controller.home}:{os.environ['PATH']}"}
    run = ["bash", "-ec", command]
    done = subprocess.run(run, cwd=controller.home, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout + done.stderr)


def test_what_awaits_approval_can_be_seen(controller: Controller) -> None:
    """In lists, in the table of jobs, in the report, in the inventory, and with a command, which says what to type."""
    put(controller.state_dir, host="host1", playbook="test", status="succeeded")
    odd = 'It\'s a "release" with no $(touch x) \x1b[2J'
    others = [gate("request", name="late", subject="Too late"), gate("request", name="done"), gate("approve", name="done")]
    asked = [gate("request", by="ci"), gate("request", name="it's odd", subject=odd)]
    ask(controller, *others, *asked, {"rstyczynski.ansible.async_job_approval": {"mode": "wait"}})
    late = file(controller, "late")
    late.write_text(json.dumps({**json.loads(late.read_text()), "expires": "2026-01-01T00:00:00Z"}))
    (controller.state_dir / ".approvals" / "other").mkdir()
    other = {**stored(controller), "playbook_name": "other", "requested_at": "2026-01-01T00:00:00Z", "expires": ""}
    (controller.state_dir / ".approvals" / "other" / "go_live.json").write_text(json.dumps(other))

    listed, filtered, of_mode = ask(
        controller,
        {"rstyczynski.ansible.async_job_info": {}},
        {"rstyczynski.ansible.async_job_info": {"playbook_name": "test"}},
        {"rstyczynski.ansible.async_job_approval": {"mode": "list"}},
    )
    names = [(approval["playbook_name"], approval["approval_name"]) for approval in listed["approvals"]]
    assert sorted(names) == [("other", "go_live"), ("test", "go_live"), ("test", "it's odd")]
    assert names[0] == ("other", "go_live"), "the oldest comes first"
    assert filtered["approvals"] == [approval for approval in listed["approvals"] if approval["playbook_name"] == "test"]
    assert of_mode["approvals"] == listed["approvals"]
    assert (of_mode["msg"], of_mode["changed"]) == (f"3 requests await approval in {controller.state_dir}.", False)
    [first] = [approval for approval in filtered["approvals"] if approval["approval_name"] == "go_live"]
    assert first["request_id"] in first["approve"]
    assert first["asked_by"].startswith("ci (as ")

    plays = [
        {"import_playbook": f"rstyczynski.ansible.{name}", "vars": variables}
        for name, variables in (("approvals", {"playbook": "test"}), ("jobs", {}), ("report", {"dest": "jobs.html"}))
    ]
    output = controller.playbook(json.dumps(plays, indent=1) + "\n").ok().output
    shown, jobs = output.partition("PLAY [Jobs]")[0], output.partition("PLAY [Jobs]")[2].partition("PLAY [Report]")[0]
    page = (controller.project / "jobs.html").read_text("ascii")
    assert "test, go_live: Release 7 goes live" in shown
    assert "2 requests await approval" in shown
    assert "Too late" not in shown
    assert "3 requests await approval. To see how to approve or reject: ansible-playbook rstyczynski.ansible.approvals -e" in jobs
    for text in (jobs, page):
        assert "Release 7 goes live" in text
        assert "with no" in text
        assert "Too late" not in text
    assert f"To approve: <code>{first['approve']}" in page
    for text in (shown, jobs):
        assert "\x1b[2J" not in text

    controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\nplaybook_name: test\n")
    ran = controller.run("inventory", "-i", controller.inventory, "-i", "x.async_jobs.yml", "--list").ok()
    document, _end = json.JSONDecoder().raw_decode(ran.output, ran.output.index("{"))
    assert document["async_job_awaiting_approval"]["hosts"] == ["host1"]
    assert len(document["_meta"]["hostvars"]["host1"]["async_job_approvals"]) == 2
    assert first["approve"] in ran.output

    to_approve, to_reject = (re.findall(rf"to {what}: +(.*)", shown) for what in ("approve", "reject"))
    assert (len(to_approve), len(to_reject)) == (2, 2)
    order = [approval["approval_name"] for approval in filtered["approvals"]]
    pasted(controller, f"{to_approve[order.index('go_live')]}\n{to_reject[1 - order.index('go_live')]}").ok()
    assert stored(controller)["status"] == "approved"
    assert json.loads(file(controller, "it's odd").read_text())["status"] == "rejected"
    assert not (controller.home / "x").exists()

    file(controller, "broken").write_text("{")
    ran = controller.playbook("rstyczynski.ansible.approvals", "-e", "playbook=test").failed()
    assert f"Nothing awaits approval in {controller.state_dir}" in ran.text
    assert "broken.json cannot be used" in ran.text
