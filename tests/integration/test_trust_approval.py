# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An approval is of what somebody has read, by somebody else than has asked for it, and a name in it is never run."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from controller import Controller, Ran
from plays import Yaml, ask, run_tasks

PRINTED = re.compile(r"To approve: (ansible-playbook rstyczynski\.ansible\.approve .*)")
SELF = "may not approve it too"


def gate(mode: str, **options: t.Any) -> Yaml:
    return {"rstyczynski.ansible.async_job_approval": {"name": "go_live", "mode": mode, **options}}


def file(controller: Controller, name: str = "go_live") -> Path:
    return controller.state_dir / ".approvals" / "test" / f"{name}.json"


def stored(controller: Controller) -> t.Any:
    return json.loads(file(controller).read_text("utf-8"))


def printed(controller: Controller, **options: t.Any) -> str:
    """The command that a task which waits prints for people. They see what is on the terminal, and nothing else."""
    match = PRINTED.search(run_tasks(controller, gate("wait", **options)).ok().output)
    assert match is not None
    return match.group(1)


def pasted(controller: Controller, command: str, env: dict[str, str] | None = None) -> Ran:
    """Run a line as a shell does that somebody has pasted it into, from any directory."""
    # The program of this release of Ansible
    environment = {**controller.environment, "PATH": f"{controller.home}:{os.environ['PATH']}", **(env or {})}
    program = controller.home / "ansible-playbook"
    program.write_text(f'#!/bin/sh\nexec {controller.environment["ANSIBLE_PYTHON_INTERPRETER"]} -m ansible playbook "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", command], cwd=controller.home, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return Ran(done.returncode, done.stdout + done.stderr)


def approve(controller: Controller, *options: str, env: dict[str, str] | None = None, **more: str) -> Ran:
    """Run the playbook, with variables."""
    variables = {"playbook": "test", "approval": "go_live", "async_job_state_dir": str(controller.state_dir), **more}
    return controller.playbook("rstyczynski.ansible.approve", "-e", json.dumps(variables), *options, env=env)


def test_what_is_printed_can_be_pasted_and_says_what_it_approves(controller: Controller) -> None:
    ask(controller, gate("request", subject="Release 7 goes live", allow_self=True))
    command = printed(controller)
    assert stored(controller)["request_id"] in command
    assert not set(command) & set("<>\"'\\"), "it can be copied from what the debug module prints, too"
    assert "Release 7 goes live" in pasted(controller, command).ok().text
    assert stored(controller)["status"] == "approved"


def test_what_is_asked_for_changes_before_the_command_is_pasted(controller: Controller) -> None:
    ask(controller, gate("request", subject="Update the docs", allow_self=True))
    command = printed(controller)
    ask(controller, gate("request", subject="Open the firewall", allow_self=True, by="mallory"))
    ran = pasted(controller, command).failed()
    assert "is not what is asked for now" in ran.text
    assert "Open the firewall" in ran.text
    assert "mallory" in ran.text
    assert stored(controller)["status"] == "requested"
    assert "Open the firewall" in pasted(controller, printed(controller)).ok().text
    [waiting] = ask(controller, gate("wait", request=command.partition("request=")[2]))
    assert waiting["failed"]
    assert "It does not count" in waiting["msg"]


def test_a_request_that_is_renewed_is_another_one(controller: Controller) -> None:
    """The same subject a second time, after it was rejected, is not approved by a command that was printed the first time."""
    ask(controller, gate("request", subject="Release 7 goes live", allow_self=True))
    command = printed(controller)
    ask(
        controller,
        gate("reject", subject="Release 7 goes live"),
        gate("request", subject="Release 7 goes live", allow_self=True, renew=True),
    )
    assert "is not what is asked for now" in pasted(controller, command).failed().text


@pytest.mark.parametrize("mode", ["approve", "reject"])
def test_nobody_decides_on_they_know_not_what(controller: Controller, mode: str) -> None:
    ask(controller, gate("request", subject="Release 7 goes live", allow_self=True))
    ran = approve(controller, decision=mode).failed()
    assert "Say what is to be" in ran.text
    assert "Release 7 goes live" in ran.text
    assert stored(controller)["request_id"] in ran.text
    assert stored(controller)["status"] == "requested"
    approve(controller, decision=mode, subject="Release 7 goes live").ok()
    assert stored(controller)["status"] == {"approve": "approved", "reject": "rejected"}[mode]


def test_odd_names_can_be_pasted(controller: Controller) -> None:
    """Quotes, letters of all kinds, and what would be obeyed by a terminal."""
    name = 'it\'s a "gate" $(touch x) `touch x` ! \\ \x1b[31m \x9b \u202e \u200b'
    controller.write(
        "play.yml",
        json.dumps(
            [
                {
                    "name": "\u00dcbung: eins",
                    "hosts": "all",
                    "gather_facts": False,
                    "tasks": [gate("request", name=name, subject="Release\n\x1b[2J7", allow_self=True), gate("wait", name=name)],
                }
            ]
        ),
    )
    ran = controller.playbook(controller.project / "play.yml").ok()
    match = PRINTED.search(ran.output)
    assert match is not None
    assert not any(odd in ran.output for odd in ("\x1b", "\x9b", "\u202e", "\u200b"))
    assert pasted(controller, match.group(1)).ok().text.count("approved by") == 1
    assert [json.loads(file.read_text())["status"] for file in controller.state_dir.rglob("*.json")] == ["approved"]
    assert not (controller.home / "x").exists()


MARKS = ("{{ %s }}", "{%% if %s %%}{%% endif %%}", "#jinja2: variable_start_string:'[['\n[[ %s }}")


def test_a_template_in_a_name_is_refused(controller: Controller) -> None:
    """It came from outside, say from a ticket, and would run where somebody pastes the command that holds it."""
    cases = [(option, marks) for option in ("name", "playbook_name", "subject") for marks in MARKS]
    tasks = []
    for number, (option, marks) in enumerate(cases):
        ticket = controller.project / f"ticket{number}"
        ticket.write_text(marks % f"lookup('pipe', 'touch {controller.project}/pwned{number}')")
        text = "{{ lookup('ansible.builtin.file', '" + str(ticket) + "') }}"
        tasks.append(gate("request", **{"subject": "Release 7", option: text}))
    for case, answer in zip(cases, ask(controller, *tasks), strict=True):
        assert answer["failed"], case
        assert "marks of a template" in answer["msg"], (case, answer["msg"])
    assert not controller.state_dir.exists()
    assert list(controller.project.glob("pwned*")) == []


def test_a_template_in_a_document_is_never_printed_as_a_command(controller: Controller) -> None:
    """An older release has let it in, or somebody has written it by hand."""
    ask(controller, gate("request", subject="Release 7", allow_self=True))
    evil = "{{ lookup('pipe', 'touch " + str(controller.project) + "/pwned') }}"
    older = {field: value for field, value in stored(controller).items() if field not in ("request_id", "requester")}
    file(controller).write_text(json.dumps({**older, "subject": evil}))
    ran = run_tasks(controller, gate("wait")).ok()
    assert "ansible-playbook" not in ran.output
    assert "No command to approve can be printed" in ran.text
    file(controller).write_text(json.dumps({**stored(controller), "request_id": evil}))
    assert "ansible-playbook" not in run_tasks(controller, gate("wait")).ok().output
    assert not (controller.project / "pwned").exists()


def test_requests_of_an_older_release(controller: Controller) -> None:
    """They have no id, and are decided by their subject."""
    ask(controller, gate("request", subject="Release 7 goes live", allow_self=True, by="ci@runner1"))
    older = {field: value for field, value in stored(controller).items() if field not in ("request_id", "requester")}
    file(controller).write_text(json.dumps(older))
    assert "is not what is asked for now" in approve(controller, request="4c1d").failed().text
    command = printed(controller)
    assert "Release 7 goes live" in command
    assert "approved by" in pasted(controller, command).ok().text


def test_a_number_is_a_name(controller: Controller) -> None:
    """Names, ids and subjects are texts, whatever they look like."""
    ask(controller, gate("request", name="[1,2]", subject="7", allow_self=True))
    ran = run_tasks(controller, gate("wait", name="[1,2]")).ok()
    match = PRINTED.search(ran.output)
    assert match is not None
    pasted(controller, match.group(1)).ok()


@pytest.mark.parametrize("env", [{"LOGNAME": "ceo"}, {"USER": "ceo", "LOGNAME": "ceo", "USERNAME": "ceo", "LNAME": "ceo"}])
def test_an_environment_makes_nobody_somebody_else(controller: Controller, env: dict[str, str]) -> None:
    ask(controller, gate("request", subject="Release 7 goes live"))
    command = printed(controller)
    ran = pasted(controller, command, env).failed()
    assert SELF in ran.text
    assert "ceo" not in ran.output
    for more in ("by=ceo", "awx_user_name=ceo", "tower_user_name=ceo"):
        assert SELF in pasted(controller, f"{command} -e {more}", env).failed().text
    assert stored(controller)["status"] == "requested"


def test_what_people_call_themselves_is_noted_beside_who_they_are(controller: Controller) -> None:
    me = f"{pwd.getpwuid(os.getuid()).pw_name}@{os.uname().nodename}"
    ask(controller, gate("request", subject="Release 7 goes live", allow_self=True, by="ci"))
    ran = approve(controller, subject="Release 7 goes live", by="alice", env={"LOGNAME": "ceo"}).ok()
    assert f"approved by alice (as {me})" in ran.text
    assert [(event["by"], event["as"]) for event in stored(controller)["history"]] == [("ci", me), ("alice", me)]


AWX = {"AWX_PRIVATE_DATA_DIR": "/nowhere/awx_12_x", "JOB_ID": "12"}


def in_awx(controller: Controller, user: str, mode: str, name: str = "awx_user_name", **options: t.Any) -> Ran:
    text = json.dumps([{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [gate(mode, subject="Release 7", **options)]}])
    return controller.playbook(controller.write("awx.yml", text), "-e", json.dumps({name: user}), env=AWX)


def test_awx_says_who_people_are(controller: Controller) -> None:
    """There, all jobs run as the same user of the system."""
    in_awx(controller, "alice", "request").ok()
    assert SELF in in_awx(controller, "alice", "approve").failed().text
    others = ("Alice", "ALICE@example.com", "\uff41lice", "a1ice")
    tasks = ({**gate("approve", subject="Release 7"), "vars": {"awx_user_name": other}} for other in others)
    for other, answer in zip(others, ask(controller, *tasks, env=AWX), strict=True):
        assert answer["failed"], other
        assert SELF in answer["msg"], (other, answer["msg"])
    assert SELF in in_awx(controller, "bob", "approve", by="alice").failed().text
    in_awx(controller, "bob", "approve", "tower_user_name").ok()
    assert stored(controller)["decided_by"] == "bob"
    assert "approved by bob in AWX" in ask(controller, gate("wait"))[0]["msg"]


def test_awx_is_no_way_round_who_asked_elsewhere(controller: Controller) -> None:
    ask(controller, gate("request", subject="Release 7"))
    assert SELF in in_awx(controller, "ceo", "approve").failed().text


def test_letters_of_another_alphabet(controller: Controller) -> None:
    """A name that mixes them is refused, whoever gives it."""
    names = ["\u0430lice", "ali\u03f2e", "al\u0456ce", "\u0430lice@runner1", "\u13aalice"]
    answers = ask(
        controller,
        *(
            gate(mode, name=f"gate{number}", subject="Release 7", by=by, **options)
            for number, name in enumerate(names)
            for mode, by, options in (("request", name, {}), ("request", "alice", {"allow_self": True}), ("approve", name, {}))
        ),
    )
    for number, name in enumerate(names):
        asked, by_alice, given = answers[3 * number : 3 * number + 3]
        assert by_alice["status"] == "requested"
        for answer in asked, given:
            assert answer["failed"], name
            assert "mixes letters of" in answer["msg"], name
        assert json.loads(file(controller, f"gate{number}").read_text("utf-8"))["status"] == "requested", name


def test_names_that_look_the_same(controller: Controller) -> None:
    """A document from elsewhere: the one who asked is nobody that the system knows."""
    ask(controller, gate("request", subject="Release 7", by="ace"))
    document = stored(controller)
    document["requester"]["process"] = "somebody@elsewhere"
    file(controller).write_text(json.dumps(document))
    same = ("ace", "ACE", "\uff21\uff23\uff25", "ace@there", " Ace ", "\u0430\u0441\u0435", "somebody")
    nobody = ("a\u200bce", "ace\ufe0f", "\u202eeca", "")
    names = [*same, *nobody, "\u5c71\u7530 Taro"]
    *refused, given = ask(controller, *(gate("approve", subject="Release 7", by=name) for name in names))
    for name, answer in zip(names[:-1], refused, strict=True):
        assert answer["failed"], name
        assert (SELF if name in same else "names nobody") in answer["msg"], (name, answer["msg"])
    assert given["approved"]
