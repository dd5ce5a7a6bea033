# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals, as users ask for them and give them."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import typing as t
from pathlib import Path

from controller import Controller, Live, Ran
from plays import Yaml, ask, run_tasks
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
    """A list of jobs does not show approvals."""
    _asked, listed = ask(controller, gate("request"), {"rstyczynski.ansible.async_job_info": {}})
    assert (listed["records"], listed["unreadable"], listed["failed"]) == ([], [], False)


def test_many_requests_at_once(controller: Controller) -> None:
    """Of controllers that ask for the same at the same moment, one does."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        text = json.dumps([{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [gate("request", by="ci")]}])
        playbook = controller.write("request.yml", text)
        ran = list(pool.map(lambda _number: controller.playbook(playbook).ok().recap("host1")["changed"], range(4)))
    assert sorted(ran) == [0, 0, 0, 1]
