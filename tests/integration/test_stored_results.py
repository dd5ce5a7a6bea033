# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a result may do in the run that sees it, what its record keeps of it, and what later runs make of that."""

from __future__ import annotations

import hashlib
import itertools
import json
import typing as t
from pathlib import Path

from controller import Controller, Ran
from plays import ask, job, run_tasks, shell, told

KEYWORDS: dict[str, t.Any] = {
    "add_host": {"host_name": "localhost", "groups": ["planted"], "host_vars": {"ansible_become_exe": "/bin/false", "planted": True}},
    "add_group": "planted",
    "ansible_stats": {"data": {"planted": 1}, "per_host": False, "aggregate": True},
    "_ansible_no_log": True,
    "_ansible_notify": ["planted"],
    "skipped": True,
    "unreachable": True,
    "failed_when_result": True,
    "results": [{"skipped": True, "add_host": {"host_name": "planted"}}],
    "diff": "no difference",
    "warnings": {"planted": 1},
    "deprecations": "planted",
}


STATUS = "rstyczynski.ansible.async_job_status"
PLANTED = {"ansible.builtin.debug": {"msg": "PLANTED"}, "when": "'planted' in groups or planted is defined"}


def test_keywords_of_a_results_file_do_nothing(controller: Controller) -> None:
    """Any user of a managed host can write such a file. It is shown, and is no order."""
    directory = controller.home / ".ansible_async"
    directory.mkdir()
    tasks = []
    for number, (keyword, value) in enumerate(KEYWORDS.items()):
        job_id = f"j{number}.4000000"
        (directory / job_id).write_text(json.dumps({"rc": 0, "changed": True, keyword: value}), "utf-8")
        tasks.append({STATUS: {"jid": job_id}})
    ran = run_tasks(controller, *tasks, PLANTED, options=["--diff"])
    [*answers, planted] = told(ran)
    assert [(answer["status"], answer["finished"], answer["failed"]) for answer in answers] == [("succeeded", True, False)] * len(tasks)
    check_that_nothing_happened(ran, planted, answers)


def test_keywords_of_a_record_do_nothing(controller: Controller) -> None:
    """They may have been stored before, or by somebody else who can write the store. Facts of a record are none, either."""
    directory = f"{controller.home}/.ansible_async/{'0' * 32}"
    tasks = []
    for keyword, value in {**KEYWORDS, "ansible_facts": {"planted": True}}.items():
        record = {
            "job_name": keyword,
            "host": "host1",
            "playbook_name": "test",
            "ansible_job_id": "j1.4000000",
            "save_time": "2026-01-01T00:00:00Z",
            "metadata": {},
            "status": "succeeded",
            "attempt_dir": directory,
            "async_dir": directory,
            "result": {"rc": 0, keyword: value},
        }
        path = controller.state_dir / "host1" / "test" / f"{keyword}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record), "utf-8")
        tasks.append(job(shell("true"), name=keyword))
    ran = run_tasks(controller, *tasks, {STATUS: {"job_name": "add_host"}}, PLANTED)
    [*answers, planted] = told(ran)
    assert {answer["status"] for answer in answers} == {"succeeded"}
    check_that_nothing_happened(ran, planted, answers)


def check_that_nothing_happened(ran: Ran, planted: dict[str, t.Any], answers: list[dict[str, t.Any]]) -> None:
    assert planted.get("skipped"), ran.output
    assert not {"add_host", "ansible_facts", "ansible_stats", "skipped", "unreachable"} & {*itertools.chain(*answers)}
    assert ran.recap("host1") == {**ran.recap("host1"), "unreachable": 0, "failed": 0, "skipped": 1}
    assert "CUSTOM STATS" not in ran.output


def test_a_record_keeps_of_a_result_what_is_asked_for(controller: Controller) -> None:
    """The content of a file is not among that, nor is a command with its options, and a later run says what it does not return."""
    secret = controller.write("secret", "hunter2")
    slurp = {"ansible.builtin.slurp": {"src": str(secret)}}
    command = {"ansible.builtin.command": {"argv": ["printf", "%.0s", "--password=hunter3"]}}
    stat = {"ansible.builtin.stat": {"path": str(secret)}}
    kept = {"store_result": ["stat"]}
    first = ask(controller, job(slurp, poll=1), job(command, name="command", poll=1), job(stat, name="stat", poll=1, options=kept))
    assert (first[0]["encoding"], first[1]["cmd"][-1]) == ("base64", "--password=hunter3")
    assert controller.record("job")["result"].keys() <= {"changed", "not_stored", "stdout", "stderr"}
    assert controller.record("job")["result"]["not_stored"] == ["content", "encoding", "source"]
    assert "cmd" not in controller.record("command")["result"]
    assert controller.record("stat")["result"]["stat"]["size"] == 7
    assert "hunter" not in "".join(file.read_text("utf-8") for file in controller.state_dir.rglob("*.json"))
    again = ask(controller, job(slurp, poll=1), job(command, name="command", poll=1), job(stat, name="stat", poll=1, options=kept))
    assert "content, encoding, source" in again[0]["warnings"][0]
    assert "store_result" in again[0]["warnings"][0]
    assert not again[1].get("warnings")
    assert again[2]["stat"]["size"] == 7


def test_a_fingerprint_does_not_give_the_options_away(controller: Controller, ledger: Path) -> None:
    """Who reads two records of one task sees two fingerprints, and cannot try passwords quickly. Those of former releases still compare."""
    task = shell(f"echo run >>{ledger} # hunter2")
    ask(controller, job(task, name="a", poll=1), job(task, name="b", poll=1))
    first, second = controller.record("a")["fingerprint"], controller.record("b")["fingerprint"]
    assert first.startswith("pbkdf2:")
    assert first != second
    [same] = ask(controller, job(task, name="a", poll=1))
    assert (same["status"], same["attempt"]) == ("succeeded", 1)
    text = json.dumps(["ansible.builtin.shell", {"_raw_params": task["ansible.builtin.shell"]}], sort_keys=True)
    for digest, said in ((hashlib.sha256(text.encode()).hexdigest(), "succeeded"), ("0" * 64, "options have changed")):
        path = controller.state_dir / "host1" / "test" / "a.json"
        path.write_text(json.dumps({**controller.record("a"), "fingerprint": digest}), "utf-8")
        [old] = ask(controller, job(task, name="a", poll=1))
        assert said in f"{old['status']} {old.get('msg')}"
        assert digest[:12] not in old.get("msg", "")
    assert ledger.read_text("utf-8").splitlines() == ["run", "run"]


def test_what_was_cut_says_so_and_can_be_had(controller: Controller) -> None:
    """A result that its record cannot hold, the end of an output, a job by its id alone; and a loop that does not hold each record."""
    big = controller.write("big", "x" * 60_000)
    slurp = job({"ansible.builtin.slurp": {"src": str(big)}}, poll=1, options={"store_result": ["content"]})
    loud = job(shell("yes | head -c 9000; echo problem >&2; exit 2"), name="loud", poll=1)
    items: dict[str, t.Any] = {"loop": ["a", "b"]}
    first = ask(
        controller,
        slurp,
        loud,
        {STATUS: {"jid": "{{ answer1.ansible_job_id }}"}},
        {**job(shell("true"), name="{{ item }}", poll=1), **items},
        {**shell("true"), **items, "async": 60, "poll": 1},
        {**job(shell("true"), name="start {{ item }}"), **items},
        {**shell("true"), **items, "async": 60, "poll": 0},
        {STATUS: {"jid": "{{ answer5.results[0].ansible_job_id }}", "wait_timeout": 60}},
        {STATUS: {"job_name": "{{ item }}"}, **items},
        job(shell("true"), name="deploy-{{ environment }}"),
        {"rstyczynski.ansible.async_job_info": {"job_name": "deploy-{{ environment }}"}},
    )
    ours, native, starts, native_starts = first[3:7]
    assert len(json.dumps(ours)) < 2 * len(json.dumps(native))
    assert len(json.dumps(starts)) < 2 * len(json.dumps(native_starts))
    assert [(item["status"], item["rc"]) for item in (*ours["results"], *first[8]["results"])] == [("succeeded", 0)] * 4
    assert not {"record", "diff"} & {*first[1], *ours["results"][0]} - {"record"}
    by_id = first[2]
    assert (by_id["status"], by_id["rc"], by_id["stderr"], by_id["job_name"]) == ("failed", 2, "problem", "loud")
    assert (first[7]["status"], first[7]["job_name"]) == ("succeeded", "start a")
    for refused in first[9:]:
        assert refused["failed"]
        assert "'environment'" in refused["msg"]
    assert not list(controller.state_dir.rglob("deploy*"))
    jid = {"jid": first[1]["ansible_job_id"]}
    slurped, cut, by_name, whole, by_id = ask(
        controller, slurp, loud, {STATUS: {"job_name": "job"}}, {STATUS: {"job_name": "loud", "output": "full"}}, {STATUS: jid}, name="test"
    )
    assert "content (larger than" in slurped["warnings"][0]
    assert "content" not in slurped
    assert by_name["content"] == first[0]["content"]
    for answer in (first[1], cut, by_id):
        assert (len(answer["stdout"]) // 100, answer["stdout_size"], answer["stdout_truncated"]) == (40, 9000, True)
        assert (answer["stderr"], answer["stderr_truncated"]) == ("problem", False)
        assert "stdout (9000 bytes)" in answer["warnings"][0]
    assert (len(whole["stdout"]) // 100, whole["stdout_truncated"], whole.get("warnings", [])) == (89, False, [])
