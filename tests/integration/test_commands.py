# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all commands: strange records, strange inventories, stores that are not there; and the guide, pasted."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest
import yaml
from controller import Controller
from fleet import CANCEL, JOBS, PRUNE, SHOW, rows, tree
from pages import blocks_of, guide, readme
from plays import job, play, run, run_tasks, shell
from records import put
from waiting import until


def test_commands_of_the_guide(controller: Controller) -> None:
    """All of them work when they are pasted, one after the other, behind the playbook that they speak of. Those of the README are not
    played twice."""
    [release] = [block.text for block in readme() if block.text.startswith("- name: Release\n")]
    controller.write("release.yml", release.replace("sleep 5", "true"))
    of_the_readme = {line for block in readme() for line in block.text.splitlines()}
    blocks = [block.text for block in blocks_of(guide("guide_fleet")) if block.language == "shell"]
    assert len(blocks) == 9
    blocks = [block for block in blocks if not {*block.splitlines()} <= of_the_readme]
    assert len(blocks) == 4
    file, _logs = [block.text for block in blocks_of(guide("guide_metrics")) if block.language == "shell"]
    blocks.append(file)
    said = ""
    for block in blocks:
        # The one variable that the first of them sets holds for the others as well, as it does in the shell of a user.
        state_dir = f"export ASYNC_JOB_STATE_DIR={controller.project}/fleet\n"
        done = subprocess.run(
            ["bash", "-uo", "pipefail", "-c", state_dir + block],
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
    assert (controller.project / "async_jobs.prom").is_file()


class Cmdb(http.server.BaseHTTPRequestHandler):
    """A REST API that says what it is told to say, or is away."""

    said: t.ClassVar[t.Any] = None

    def do_GET(self) -> None:
        """Answer."""
        body = json.dumps(self.said).encode()
        self.send_response(503 if self.said is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: t.Any) -> None:
        """Say nothing."""


# What makes a host none that an inventory may have
NO_HOSTS: tuple[dict[str, t.Any], ...] = (
    {"name": 7},
    {"name": ""},
    {"name": "web1\n"},
    {"name": "-i"},
    {"name": None},
    {"address": "192.0.2.2"},  # of another one that has this name
    {"name": "web2", "address": "192.0.2.1\n"},
    {"name": "web2", "address": 5},
    {"name": "web2", "role": "all"},
    {"name": "web2", "role": "ungrouped"},
    {"name": "web2", "role": "web\n"},
    {"name": "web2", "role": ["web"]},
)


def test_inventory_of_the_guide(controller: Controller) -> None:
    """The API answers, is away, and answers what nobody may believe: the last good answer stands."""
    [playbook] = [block.text for block in blocks_of(guide("guide_inventory")) if block.language == "yaml"]
    controller.write("cmdb.yml", playbook.replace("rerun_after: 900", "rerun_after: 0"))
    making, showing = [block.text for block in blocks_of(guide("guide_inventory")) if block.language == "shell"]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cmdb)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def paste(block: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace("cmdb.example.com", f"127.0.0.1:{server.server_port}")],
            cwd=controller.project,
            env={**controller.environment, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    try:
        web = {"name": "web1", "address": "192.0.2.1", "role": "web", "ansible_connection": "evil"}
        Cmdb.said = [web, {"name": "db1", "address": "2001:db8::1", "role": "db"}]
        graph = paste(making)
        assert "|--@db:" in graph
        assert "|--web1" in graph
        hosts = controller.project / "cmdb_hosts.yml"
        first = hosts.read_text()
        assert "192.0.2.1" in first
        assert "evil" not in first
        hosts.unlink()
        for said in (None, 5, [web, {**web, "address": "{{ lookup('pipe', 'touch evil') }}"}]):
            Cmdb.said = said
            text = paste(making.partition("\n")[0])
            assert "2 hosts, as of " in text
            assert ("...ignoring" in text) == (said is None)
            assert hosts.read_text() == first
        [keeping] = [task for task in yaml.safe_load(playbook)[0]["tasks"] if "when" in task]
        answers = [True, "an error page", {"hosts": [web]}, [], [web, 7], *([web, {**web, **one}] for one in NO_HOSTS)]
        keeping = {"when": keeping["when"], "vars": {**keeping["vars"], "asked": {"json": "{{ item }}", "failed": False}}}
        task = {"ansible.builtin.fail": {"msg": "It is kept."}, "loop": [*answers, [web, web]], "ignore_errors": True, **keeping}
        ran = run(controller, play(task, hosts="localhost")).ok()
        assert ran.output.count("skipping: [localhost] => (item=") == len(answers)
        assert ran.output.count("failed: [localhost] (item=") == 1
        Cmdb.said = [web]
        assert "1 hosts, as of " in paste(making)
        assert "last good answer" in paste(showing)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("output", ["left", "full"])
def test_whoever_reads_may_leave(controller: Controller, state_dir: Path, output: str) -> None:
    """Behind C(head), in a pager that is left, on a full disk: a playbook goes on, though nobody takes what its workers print."""
    waits = controller.write("waits.yml", json.dumps([play(job(shell("sleep 3"), name="watched", poll=1))]))
    answers = {"ANSIBLE_STDOUT_CALLBACK": "rstyczynski.ansible.answers"}
    for number, command, env in ((1, [JOBS], {}), (1, [JOBS], answers), (2, ["-i", controller.inventory, waits], {})):
        elsewhere = f"{number}> >(exec true)" if output == "left" else f"{number}>/dev/full"
        done = subprocess.run(
            ["bash", "-c", f'"$@" {elsewhere}', "-", sys.executable, "-m", "ansible", "playbook", *map(str, command)],
            cwd=controller.project,
            env={**controller.environment, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == (env == answers and output == "full")  # half an answer is none
        if number == 1:
            assert done.stderr.count("Output is lost, because it cannot be written: No space left on device.") == (output == "full")
    assert json.loads((state_dir / "host1/test/watched.json").read_text("utf-8"))["status"] == "succeeded"


def test_answers_alone(controller: Controller, state_dir: Path) -> None:
    """The callback leaves out what is around the answer, and nothing that has failed; as an object, it is all that is written."""
    answers = {"ANSIBLE_STDOUT_CALLBACK": "rstyczynski.ansible.answers"}
    ran = controller.playbook(JOBS, env=answers).ok()
    assert ran.output.startswith(f"Store: {state_dir}\n")
    assert len(rows(ran)) == 4
    assert not any(word in ran.output for word in ("PLAY [", "TASK [", "RECAP"))
    ran = controller.playbook(SHOW, "-e", "job=nothing", env=answers).failed()
    assert "There is no job 'nothing'" in ran.text
    (state_dir / "web1" / "Nightly" / "torn.json").write_text("{")
    as_object = {**answers, "ASYNC_JOB_ANSWERS_FORMAT": "json", "ASYNC_JOB_PROGRESS": "false"}
    found = controller.playbook(JOBS, "-e", "entries=true", env=as_object).failed().output
    answer = json.loads(found[found.index("\n{") :])
    assert not answer["ok"]
    assert [entry["job_name"] for entry in answer["jobs"]] == ["backup", "copy", "long", "gone"]
    assert "torn.json" in answer["errors"][0]["msg"]


def test_answers_of_what_is_passed_over(controller: Controller) -> None:
    """What a playbook ignores is told as that; C(-v) and C(--diff) show more; an answer that cannot be written is no success."""
    controller.hosts("host1 ansible_connection=local", "away ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1")
    delegated = {"delegate_to": "{{ item }}", "loop": ["away"], "ignore_unreachable": True}
    asks = {"name": "Ask", "ansible.builtin.command": "true", **delegated}
    fails = {"name": "Fail", "ansible.builtin.command": "{{ item }}", "loop": ["false", "true"], "ignore_errors": True}
    tasks = play(asks, fails, job(shell("true")), hosts="host1")
    answers = {"ANSIBLE_STDOUT_CALLBACK": "rstyczynski.ansible.answers"}
    playbook = controller.write("passed.yml", json.dumps([tasks]))
    output = controller.playbook(playbook, "--diff", "-v", env=answers).ok().output
    assert "Passed over: away is unreachable: " in output
    assert "Passed over: host1: Fail (item=false): " in output
    assert "ERROR" not in output
    assert output.count("Passed over") == 2
    assert '+  "job_name": "job"' in output
    assert 'host1: Fail: {"' in output

    as_object = {**answers, "ASYNC_JOB_ANSWERS_FORMAT": "json", "ASYNC_JOB_PROGRESS": "false"}
    found = controller.playbook(playbook, env=as_object).ok().output
    answer = json.loads(found[found.index("\n{") :])
    assert [(error["unreachable"], error["ignored"]) for error in answer["errors"]] == [(True, True), (False, True)]
    assert answer["ok"]
    nothing = controller.playbook(playbook, "--tags", "none", env=as_object).failed().output
    assert "No task was run: no host fits, or tags leave all of them out." in json.loads(nothing[nothing.index("\n{") :])["warnings"]
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", controller.inventory, playbook],
            cwd=controller.project,
            env={**controller.environment, **as_object, "TELL_TO": os.devnull},
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "The answer could not be written: No space left on device." in done.stderr


def test_approvals_of_the_guide(controller: Controller) -> None:
    """The playbook and the commands work as they are pasted, for somebody who is alone."""
    _before, _label, section = guide("guide_user").partition("docsite.guide_user.approvals:")
    [gate] = [block.text for block in blocks_of(section) if block.text.startswith("- name: Go live\n")]
    controller.write("gate.yml", gate)
    ask, decide = [block.text for block in blocks_of(section) if block.language == "shell" and "gate.yml" in block.text]
    done = subprocess.run(
        ["bash", "-euc", ask + decide],
        cwd=controller.project,
        env={**controller.environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to reject:  ansible-playbook rstyczynski.ansible.reject" in done.stdout + done.stderr
    assert done.stdout.count("TASK [Go on]") == 1


def test_workflows_of_the_guide(controller: Controller) -> None:
    """A pipeline fails, is mended and goes on, is looked at, and removed at last, all of it as it is pasted."""
    blocks = blocks_of(guide("guide_workflows"))
    for block in blocks:
        name = block.text.partition("\n")[0]
        if block.language == "yaml+jinja" and name.startswith("# "):
            controller.write(name.removeprefix("# "), block.text)
    commands = [block.text for block in blocks if block.language == "shell"]
    assert len(commands) == 5
    done = subprocess.run(
        ["bash", "-euc", "".join(commands)],
        cwd=controller.project,
        env={
            **controller.environment,
            "COLUMNS": "200",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    said = " ".join(done.stdout.split())
    for words in (
        "go_live: awaits approval. To approve: ansible-playbook rstyczynski.ansible.approve",
        "Path: build \u2192 go_live \u2192 deploy (failed) \u2192 rollback deploy: failed on 1 of 2 hosts web2: Restart web: ",
        "Skipped: notify: deploy has failed, and this runs when it has succeeded",
        "3 \u2713 deploy succeeded, attempt 2",
        "Deployment 4711 \u2713 succeeded",
    ):
        assert words in said, done.stdout
    assert said.count("\u2713 Deployment, run 4711: succeeded (begun ") == 2, done.stdout
    assert '"Deployment"' in (controller.project / "jobs.html").read_text("ascii")
    assert not (controller.state_dir / ".workflows/Deployment/4711.json").exists()


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


def test_a_look_is_noted(controller: Controller) -> None:
    """Once a minute at most, whoever looks, and so no job is said to be unwatched whose host has just answered. Nothing else is written."""
    run_tasks(controller, job(shell(f"until test -e {controller.project}/end; do sleep 0.1; done"), limit=600))
    [file] = controller.state_dir.glob("*/*/job.json")
    long_ago = {"start": "2026-01-01T12:00:00Z", "looked": "2026-01-01T12:00:00Z", "timeout": 600}
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | long_ago))
    assert "limit passed, nobody has looked" in controller.playbook(JOBS).ok().output
    look = {"rstyczynski.ansible.async_job_status": {"job_name": "job"}}
    run_tasks(controller, look)
    noted = file.read_bytes()
    assert "limit passed" not in controller.playbook(JOBS).ok().output
    run_tasks(controller, look)
    assert file.read_bytes() == noted
    (controller.project / "end").touch()
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    as_object = {
        "ANSIBLE_STDOUT_CALLBACK": "rstyczynski.ansible.answers",
        "ASYNC_JOB_ANSWERS_FORMAT": "json",
        "ASYNC_JOB_PROGRESS": "false",
    }
    found = controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true", "-e", "entries=true", env=as_object).ok().output
    [entry] = json.loads(found[found.index("{\n") :])["jobs"]
    assert entry["status"] == "succeeded"  # and not as it was before the look


def test_nothing_of_a_secret_job_is_shown(controller: Controller) -> None:
    command = f"echo PROGRESS 1/3 hunter2; echo hunter2; until test -e {controller.project}/end; do sleep 0.1; done"
    run_tasks(controller, job(shell(command), no_log=True))
    until(lambda: any("hunter2" in file.read_text() for file in controller.home.glob(".ansible_async/*/stdout")))
    shown = [controller.playbook(JOBS, "-e", "verify=true"), controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true", "-vvv")]
    (controller.project / "end").touch()
    until(lambda: list(controller.home.glob(".ansible_async/*/result")))
    shown += [controller.playbook(JOBS, "-e", "verify=true"), controller.playbook(SHOW, "-e", "job=job", "-e", "verify=true", "-vvv")]
    assert [ran.rc for ran in shown] == [0, 0, 0, 0]
    assert "succeeded" in shown[-1].output
    for ran in shown:
        assert "hunter2" not in ran.output


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
