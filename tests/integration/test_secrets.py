# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job says under no_log, and what comes from a vault, is nowhere: not in a record, a log or an error."""

from __future__ import annotations

import ansible.parsing.vault
import pytest
from controller import Controller
from plays import Yaml, job, run_tasks, shell, told

# It says its secret wherever a module can say something, and pretends to have been cancelled.
_LEAK = """\
#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"x": {"type": "str"}})
says = {name: "hunter2" for name in ("msg", "cancelled", "content", "stdout", "stderr", "exception", "diff", "reason", "status")}
module.fail_json(rc="hunter2", **says)
"""

STATUS = "rstyczynski.ansible.async_job_status"
CANCEL = "rstyczynski.ansible.async_job_cancel"


def test_a_secret_job_that_fails(controller: Controller) -> None:
    """In the run that sees it, in those that follow, and from tasks that do not say no_log themselves."""
    controller.write("library/leak.py", _LEAK)
    leak = {"leak": {"x": "hunter2"}}
    ran = run_tasks(controller, job(leak, poll=1, no_log=True), job(leak, poll=1), {STATUS: {"job_name": "job"}}, options=["-vvv"])
    assert "hunter2" not in ran.output
    assert [answer["status"] for answer in told(ran)] == ["failed"] * 3
    record = controller.record("job")
    assert "hunter2" not in str(record)
    assert record.get("result", {}).keys() <= {"rc", "start", "end"}


def test_a_secret_job_whose_action_does_its_work_itself(controller: Controller) -> None:
    """What was secret once is so later on, whatever the task says by then."""
    returns = {name: "hunter2" for name in ("msg", "stdout", "token")}
    task = job(
        {"at_once": {"ledger": str(controller.project / "ledger"), "returns": returns}},
        poll=1,
        options={"rerun_after": 0, "store_result": ["token"]},
    )
    [_first, again] = told(run_tasks(controller, {**task, "no_log": True}, task))
    assert (again["status"], again["attempt"]) == ("succeeded", 2)
    record = controller.record("job")
    assert (record["no_log"], record["attempt"]) == (True, 2)
    assert "hunter2" not in str(record)


def test_a_secret_job_that_is_cancelled(controller: Controller) -> None:
    """Neither what it has printed nor its command is shown by the task that stops it."""
    tasks = (
        job(shell("echo hunter2; sleep 60"), no_log=True),
        {CANCEL: {"job_name": "job", "grace_period": 4}},
        {STATUS: {"job_name": "job"}},
    )
    ran = run_tasks(controller, *tasks, options=["-vvv"])
    [_started, cancelled, after] = told(ran)
    assert (cancelled["status"], after["status"]) == ("cancelled", "cancelled")
    assert "hunter2" not in ran.output
    assert "hunter2" not in str(controller.record("job"))


def test_a_field_of_that_name_does_not_cancel_a_job(controller: Controller) -> None:
    """Only what the cancelling task has noted does."""
    controller.write("library/says.py", _LEAK[: _LEAK.index("says =")] + "module.exit_json(cancelled=False, rc=0)\n")
    [answer] = told(run_tasks(controller, job({"says": {}}, poll=1)))
    assert answer["status"] == "succeeded"


@pytest.mark.parametrize(
    "task",
    [
        pytest.param({"hunter2": {}}, id="what-is-no-action"),
        pytest.param({"ansible.builtin.command": {"cmd": "true", "stdin_add_newline": "hunter2"}}, id="an-option"),
    ],
)
def test_a_secret_task_that_cannot_be_started(controller: Controller, task: Yaml) -> None:
    """What is wrong with it is not said: that would be what it holds."""
    ran = run_tasks(controller, {**job(task, no_log=True), "ignore_errors": True}, options=["-vvv"])
    [answer] = told(ran)
    assert answer["failed"]
    assert "Nothing was started" in answer["msg"]
    assert "hunter2" not in ran.output


def test_a_job_that_was_secret_and_cannot_be_started(controller: Controller) -> None:
    """What Ansible says of that is not told, whatever the task says by now."""
    start = job(shell("true"), poll=1, options={"rerun_after": 0})
    fails = {**start, "vars": {"ansible_python_interpreter": "/hunter2"}}
    for once, is_told in ((start, True), ({**start, "no_log": True}, False)):
        [_ran, answer] = told(run_tasks(controller, once, fails))
        assert (answer["failed"], answer["changed"], "hunter2" in str(answer)) == (True, False, is_told)
        assert "Nothing was started" in answer["msg"]


def test_metadata_from_a_vault_is_marked(controller: Controller) -> None:
    """Records are plain text. Before ansible-core 2.19, nobody can tell: a template makes plain text of it."""
    password = controller.write("password", "x")
    secret = controller.project / "vars.yml"
    controller.run("vault", "encrypt_string", "--vault-password-file", password, "hunter2", "--name", "secret", "--output", secret).ok()
    metadata = {"ticket": 7, "deep": ["{{ secret }}"]}
    save = {"rstyczynski.ansible.async_job_state": {"job_name": "saved", "ansible_job_id": "j1.1", "metadata": metadata}}
    start = job(shell("true"), options={"metadata": metadata})
    ran = run_tasks(controller, start, save, options=["--vault-password-file", str(password), "-e", "@vars.yml"])
    known = hasattr(ansible.parsing.vault, "VaultHelper")
    for answer in told(ran):
        assert any("metadata.deep[0] is a vaulted value" in warning for warning in answer.get("warnings", ())) is known


def test_metadata_under_no_log_is_marked(controller: Controller) -> None:
    ran = run_tasks(controller, job(shell("true"), options={"metadata": {"ticket": 7}}, no_log=True))
    assert "metadata is stored as plain text" in " ".join(told(ran)[0]["warnings"])
