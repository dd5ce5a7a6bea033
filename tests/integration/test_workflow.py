# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workflows of real playbooks: they fail, are resumed, and each attempt is executed once."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t
from pathlib import Path

from controller import Controller, Ran
from plays import Yaml, lines, play, run_tasks, shell, telling, told
from waiting import until

_PIPELINE = """\
name: Pipeline
params: {version: {default: "1.0"}, token: {secret: true}}
vars: {greeting: "hello {{ version }}"}
nodes:
  build:    {playbook: build.yml, retries: 1, vars: {size: 3}}
  deploy:   {playbook: deploy.yml, limit: web, after: build}
  notify:   {command: [sh, -c, "echo notify $(grep -c artifact $ASYNC_WORKFLOW_VARIABLES) >>ledger"], after: deploy}
  rollback: {task: {ansible.builtin.shell: "echo rollback >>{{ async_workflow.directory }}/ledger"}, after_any: {deploy: failed}}
"""


def workflow(**options: t.Any) -> Yaml:
    """Return a task that drives the pipeline."""
    return {"rstyczynski.ansible.async_workflow": {"file": "{{ playbook_dir }}/pipeline.yml", "run": "7", "wait_interval": 1, **options}}


def note(text: str) -> Yaml:
    """Return a task that writes to the ledger."""
    return shell(f"echo {text} >>{{{{ playbook_dir }}}}/ledger")


def drive(controller: Controller, *tasks: Yaml, options: t.Sequence[t.Any] = ()) -> tuple[list[t.Any], Ran]:
    """Run a play of these tasks on this machine, and return what they return."""
    ran = run_tasks(controller, *tasks, hosts="localhost", options=options)
    return t.cast("list[t.Any]", told(ran)), ran


def run_of(controller: Controller, name: str = "Pipeline", run: str = "7") -> t.Any:
    """Return what the store has of a run."""
    return json.loads((controller.state_dir / ".workflows" / name / f"{run}.json").read_text())


def outcomes(answer: t.Any) -> dict[str, str]:
    return {name: node.get("outcome", node["state"]) for name, node in answer["nodes"].items()}


def test_a_pipeline_that_fails_and_is_resumed(controller: Controller, ledger: Path) -> None:
    """What has succeeded stands, with what it has set. Secrets are nowhere but where they are needed."""
    controller.hosts("[web]", "web1", "web2")
    controller.write("pipeline.yml", _PIPELINE)
    stats = {
        "ansible.builtin.set_stats": {"data": {"artifact": "app-{{ version }}-{{ size }}", "trap": "{{ said.stdout }}"}},
        "run_once": True,
    }
    secret = {"ansible.builtin.set_stats": {"data": {"password": "{{ token }}"}}, "no_log": True}
    derived = {"ansible.builtin.set_stats": {"data": {"url": "https://me:{{ token }}@x"}}}
    # ansible-core 2.19 and newer print why it has failed, and what a node prints is kept.
    hushed = {"block": [{"ansible.builtin.fail": {"msg": "{{ token }}"}, "no_log": True}], "rescue": [note("hush")]}
    say = {**shell("printf '{''{ 1 }''}'"), "register": "said"}
    build = [say, note("'build {{ greeting }} {{ async_workflow.attempt }}'"), stats, secret, derived, hushed]
    flaky = {"ansible.builtin.command": "test -e {{ playbook_dir }}/built", "name": "Is it there"}
    controller.write("build.yml", json.dumps([play(*build, flaky, hosts="localhost")]))
    check = {"ansible.builtin.command": "test {{ inventory_hostname }} = web1 -o -e {{ playbook_dir }}/fixed", "name": "Restart web"}
    deploy = [note("'deploy {{ artifact }} {{ inventory_hostname }}'"), {**note("'{{ trap }}'"), "run_once": True}, check]
    controller.write("deploy.yml", json.dumps([play(*deploy)]))

    [refused, unknown], _ran = drive(controller, workflow(), workflow(params={"token": "s3cr3t", "verison": 1}))
    assert "the parameter 'token' has no value" in refused["msg"]
    assert "there is no parameter 'verison'" in unknown["msg"]
    assert not (controller.state_dir / ".workflows").exists()

    given = {"token": "s3cr3t", "version": "2.1"}
    (controller.project / "built").touch()
    [first, again, other, plan], ran = drive(
        controller,
        workflow(params=given),
        workflow(params={"token": "s3cr3t"}),
        workflow(params={**given, "version": "2.2"}),
        {**workflow(mode="resume", params={"token": "s3cr3t"}), "check_mode": True},
    )
    assert outcomes(first) == {"build": "succeeded", "deploy": "failed", "notify": "skipped", "rollback": "succeeded"}, ran.output
    assert (first["status"], first["failed"], first["changed"]) == ("recovered", False, True)
    assert (again["status"], again["changed"]) == ("recovered", False)
    assert "began with other values of version" in other["msg"]
    assert [step["would"] for step in plan["plan"]] == ["stands", "runs", "may run later", "may run later"], plan
    nodes = first["nodes"]
    assert nodes["build"]["artifacts"] == {"artifact": {"value": "app-2.1-3"}, "trap": {"value": "{{ 1 }}"}}
    assert nodes["build"]["secret"] == ["password", "url"]
    assert nodes["deploy"]["why"].startswith("web2: Restart web: ")
    assert (nodes["deploy"]["counts"]["web1"]["failures"], nodes["deploy"]["counts"]["web2"]["failures"]) == (0, 1)
    assert nodes["notify"]["why"] == "deploy has failed, and this runs when it has succeeded"
    assert "task 3 of 3" in ran.output or "deploy: running" in ran.output

    (controller.project / "fixed").touch()
    controller.write("other.yml", _PIPELINE.replace("limit: web", "limit: all"))
    wrong = [
        (workflow(mode="resume", params=given, nodes=["deplo"]), "has no node 'deplo'"),
        (workflow(mode="resume", params=given, nodes=["notify"]), "notify did not run"),
        (workflow(mode="accept", params=given, nodes=["build"], reason="x"), "build did not fail"),
        (workflow(mode="resume"), "has secret parameters, which are not stored: token"),
        (workflow(file="{{ playbook_dir }}/other.yml", params=given), "began with another definition than"),
        ({**workflow(params=given), "delegate_to": "web1"}, "run on localhost, and this task has gone to web1"),
        ({"rstyczynski.ansible.async_workflow": {"mode": "cancel", "workflow": "Pipeline", "run": "7"}}, "has ended: recovered"),
        ({"rstyczynski.ansible.async_workflow": {"mode": "show", "workflow": "Pipeline", "run": "8"}}, "There is no run '8'"),
    ]
    refused_all, _ran = drive(controller, *(task for task, _said in wrong))
    assert [said for answer, (_task, said) in zip(refused_all, wrong, strict=True) if said not in answer["msg"]] == []
    assert run_of(controller)["nodes"] == first["nodes"]
    [resumed, done], ran = drive(controller, workflow(mode="resume", params=given), workflow(mode="resume", params=given))
    assert outcomes(resumed) == {"build": "succeeded", "deploy": "succeeded", "notify": "succeeded", "rollback": "skipped"}, ran.output
    assert (resumed["status"], resumed["nodes"]["deploy"]["attempt"]) == ("succeeded", 2)
    assert "Nothing has failed" in done["msg"]
    web = ["deploy app-2.1-3 web1", "deploy app-2.1-3 web2"]
    assert sorted(lines(ledger)) == sorted(["build hello 2.1 1", "hush", *web, "{{ 1 }}", "rollback", *web, "{{ 1 }}", "notify 1"])
    # The secret was in the hands of the build alone: no file of the store or of an attempt holds it, nor what somebody has given.
    for place in (controller.state_dir, Path(controller.environment["ANSIBLE_ASYNC_DIR"])):
        for file in place.rglob("*"):
            assert not file.is_file() or b"s3cr3t" not in file.read_bytes(), file
            assert file.name not in ("node.vars", "node.py"), file
    assert {event["node"] for event in run_of(controller)["events"]} == {"", "build", "deploy", "notify", "rollback"}


def test_the_playbook_of_a_run_that_fails(controller: Controller) -> None:
    """It ends with why, and not with all that there is to know; a parameter among its variables is refused before anything starts."""
    nodes = "{a: {command: [sh, -c, 'echo why >&2; exit 3']}, b: {task: {ansible.builtin.set_stats: {data: {set: by-b}}}}}"
    controller.write("wf.yml", f"name: Bad\nparams: {{version: {{default: 1}}}}\nnodes: {nodes}\n")
    command = ("rstyczynski.ansible.workflow", "-e", f"file={controller.project}/wf.yml", "-e", "run=1")
    refused = controller.playbook(*command, "-e", "version=2.0").failed()
    assert "'version' is a parameter of the workflow: give it in params" in refused.text
    assert not [*controller.project.rglob(".workflows")]
    ran = controller.playbook(*command, env={"ANSIBLE_SHOW_CUSTOM_STATS": "true"}).failed()
    [fatal] = [line for line in ran.output.splitlines() if line.startswith("fatal: ")]
    said = "The run '1' of 'Bad': failed. a: failed, job 'a' on localhost has failed with return code 3: why."
    assert json.loads(fatal.partition(" => ")[2]) == {"changed": False, "msg": said}
    assert "All that a has said: ansible-playbook rstyczynski.ansible.show -e " in ran.output
    assert "by-b" in ran.output.partition("CUSTOM STATS")[2]


_RELEASE = """\
name: Release
nodes:
  build:   {playbook: build.yml}
  go_live: {approval: Release goes live, allow_self: true, after: build}
  long:    {command: [sh, -c, "echo long >>ledger; exec sleep 1000"], after: go_live}
  last:    {command: "echo last", after: long}
"""

# Kills what has started this attempt: Ansible's wrappers, and our module
_KILL = """\
for p in /proc/[0-9]*; do
  if tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -qx "ASYNC_JOB_ATTEMPT_DIR=$ASYNC_JOB_ATTEMPT_DIR" &&
     tr '\\0' ' ' <$p/cmdline | grep -qE '[a]sync_wrapper|AnsiballZ_[a]sync_job'; then
    kill -9 ${p#/proc/}
  fi
done
"""


def test_a_run_whose_wrappers_and_drivers_are_killed(controller: Controller, ledger: Path) -> None:
    """The truth about a node survives that. A person decides, nobody waits meanwhile; and whoever cancels, stops what runs."""
    controller.write("pipeline.yml", _RELEASE)
    stats = {"ansible.builtin.set_stats": {"data": {"built": True}}}
    controller.write("build.yml", json.dumps([play(note("build"), shell(_KILL), note("still"), stats, hosts="localhost")]))
    approve = {"name": "go_live", "playbook_name": "Release 7", "mode": "approve", "subject": "Release goes live", "reason": "fine"}
    prune = {"rstyczynski.ansible.async_job_prune": {"older_than": "0s", "apply": True}}
    [parked, pruned, approved], ran = drive(controller, workflow(), prune, {"rstyczynski.ansible.async_job_approval": approve})
    assert (pruned["removed"], len(pruned["kept"])) == (0, 1), pruned
    assert "it belongs to the run '7' of 'Release', which is running" in pruned["kept"][0]["msg"]
    assert (parked["status"], parked["finished"], parked["failed"]) == ("running", False, False), ran.output
    assert "It waits for go_live. To go on: run this once more with run=7" in parked["msg"]
    build = parked["nodes"]["build"]
    assert (build["outcome"], build["artifacts"]) == ("succeeded", {"built": {"value": True}}), build
    assert build["why"] == "Ansible's wrapper was killed; the playbook had come to its end"
    assert approved["approved"]

    playbook = controller.write("playbook.yml", json.dumps([telling(workflow(), hosts="localhost")]))
    driver = controller.popen("playbook", "-i", controller.inventory, playbook)
    until(lambda: "long" in lines(ledger), seconds=240)
    driver.kill_with_workers()
    (controller.state_dir / "localhost" / "Release 7" / "long.json").unlink()
    recover = {"rstyczynski.ansible.async_job_recover": {"apply": True}}
    cancel = {"mode": "cancel", "workflow": "Release", "reason": "wrong branch"}
    show = {"mode": "show", "workflow": "Release"}
    [lost, recovered, cancelled, shown, listed, late, pruned], ran = drive(
        controller,
        workflow(),
        recover,
        {"rstyczynski.ansible.async_workflow": {**cancel, "run": "7", "grace_period": 1}},
        {"rstyczynski.ansible.async_workflow": {**show, "run": "7"}},
        {"rstyczynski.ansible.async_workflow": {"mode": "list"}},
        workflow(),
        prune,
    )
    # Without its record, the host knows of it: no second one starts, and whoever has the record made anew can stop the first.
    assert (lost["status"], lost["failed"], "give the run another id" in lost["msg"]) == ("running", True, True), ran.output
    assert "long could not be started: The host localhost has an attempt of the" in lost["msg"]
    assert [(one["job_name"], one["status"]) for one in recovered["recovered"]] == [("long", "running")]
    assert outcomes(cancelled) == {"build": "succeeded", "go_live": "succeeded", "long": "cancelled", "last": "skipped"}, ran.output
    assert (cancelled["status"], cancelled["failed"], cancelled["changed"]) == ("cancelled", False, True)
    assert cancelled["nodes"]["last"]["why"] == "the run was cancelled before it began"
    assert cancelled["nodes"]["go_live"]["why"].startswith("approved by ")
    assert (shown["status"], shown["nodes"], shown["failed"]) == ("cancelled", cancelled["nodes"], False)
    assert [(run["run"], run["status"]) for run in listed["runs"]] == [("7", "cancelled")]
    assert (late["status"], late["changed"], late["failed"]) == ("cancelled", False, True)
    assert (pruned["removed"], pruned["kept"], pruned["left"]) == (2, [], [])
    assert lines(ledger) == ["build", "still", "long"]


_FAN_OUT = """\
name: Fan
params: {who: {default: all}}
allow_simultaneous: false
nodes:
  find:    {playbook: find.yml}
  each:
    command: [sh, -c, "echo each $ASYNC_WORKFLOW_ITEM >>ledger; test $ASYNC_WORKFLOW_ITEM != web3 || test -e fixed"]
    for_each: {node: find, artifact: machines}
    max_parallel: 4
    semaphore: {name: each, at_most: 3}
    after: find
  inner:   {workflow: sub/inner.yml, params_from: {size: count}, after: each}
  last:    {command: [sh, -c, "grep -q '\\"made\\": \\"*7' $ASYNC_WORKFLOW_VARIABLES && echo last >>ledger"], after: inner}
schedules: [{rrule: "DTSTART:20260101T000000Z RRULE:FREQ=MINUTELY"}]
notify:
  - on: [approval, succeeded]
    task:
      ansible.builtin.shell: "echo {{ async_workflow.event }} {{ async_workflow.node }} >>{{ async_workflow.directory }}/told"
"""
_INNER = """\
name: Inner
params: {size: {type: int}}
nodes:
  make: {playbook: make.yml}
  go:   {approval: Inner goes on, allow_self: true, after: make}
  done: {command: [sh, -c, "echo done >>../ledger"], after: go}
"""


def test_items_and_a_workflow_inside(controller: Controller, ledger: Path) -> None:
    """Items are found on the way, and only what has failed runs once more. An approval inside parks the whole; another run waits; a
    slot begins once."""
    (controller.project / "sub").mkdir()
    controller.write("pipeline.yml", _FAN_OUT)
    controller.write("sub/inner.yml", _INNER)
    found = {"ansible.builtin.set_stats": {"data": {"machines": [f"web{number}" for number in range(6)], "count": 6}}}
    controller.write("find.yml", json.dumps([play(found, hosts="localhost")]))
    made = {"ansible.builtin.set_stats": {"data": {"made": "{{ size + 1 }}"}}}
    controller.write("sub/make.yml", json.dumps([play(made, hosts="localhost")]))
    approve = {"name": "inner/go", "playbook_name": "Fan 7", "mode": "approve", "subject": "Inner goes on", "reason": "fine"}
    tick, begin = (workflow(mode="tick", tick_timeout=seconds) for seconds in (240, 0))
    for one in (tick, begin):
        del one["rstyczynski.ansible.async_workflow"]["run"]
    fix = {"ansible.builtin.file": {"path": "{{ playbook_dir }}/fixed", "state": "touch"}}
    [first, fixed, parked, other, blocked, approved, ticked, again], ran = drive(
        controller,
        workflow(),
        fix,
        workflow(mode="resume"),
        workflow(run="8"),
        {**tick, "check_mode": True},
        {"rstyczynski.ansible.async_job_approval": approve},
        tick,
        begin,
    )
    assert outcomes(first) == {"find": "succeeded", "each": "failed", "inner": "skipped", "last": "skipped"}, ran.output
    assert first["nodes"]["each"]["why"].startswith("1 of 6 items failed: [3] web3")
    assert fixed["changed"]
    assert "It waits for inner/go. To go on: run this once more with run=7" in parked["msg"], ran.output
    assert sorted(lines(ledger)[:7]) == [*(f"each web{number}" for number in range(3)), "each web3", "each web3", "each web4", "each web5"]
    assert "must not run beside the run '7' of 'Fan', which has not ended" in other["msg"]
    assert [*blocked["left"].values()] == ["would go on", "is due, and begins when the run '7' of 'Fan' has ended"]
    assert not blocked["failed"]
    assert approved["approved"]
    assert ticked["ended_runs"] == {"7": "succeeded"}, ran.output
    assert lines(ledger)[7:9] == ["done", "last"]
    assert lines(controller.project / "told")[:2] == ["approval inner/go", "succeeded"]
    assert again["failed"] is False, again
    assert len(again["started"]) == 1
    assert outcomes(run_of(controller, "Fan", again["started"][0]))["each"] in ("succeeded", "waiting", "due")
    run = run_of(controller, "Fan")
    # What a template yields is text before ansible-core 2.19.
    assert run["nodes"]["inner"]["nodes"]["make"]["artifacts"] in ({"made": {"value": 7}}, {"made": {"value": "7"}})
    assert run["epoch"] == 2


_TELLING = """\
name: Release
params: {{token: {{secret: true}}}}
nodes:
  bad:     {{command: "false"}}
  go_live: {{approval: "Release goes live", allow_self: true, after: {{bad: failed}}}}
notify:
  - name: hook
    on: [started, node_failed, approval, recovered]
    task:
      ansible.builtin.uri:
        url: "http://127.0.0.1:{port}/{{{{ token }}}}"
        method: POST
        body_format: json
        body: "{{{{ async_workflow }}}}"
  - on: recovered
    task: {{ansible.builtin.command: "sh -c 'echo >&2 s3cr3t; exit 3'"}}
"""


class _Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what it is told."""

    def do_POST(self) -> None:
        heard = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        t.cast("t.Any", self.server).heard.append((self.path, heard))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args: t.Any) -> None:
        """Say nothing."""


def test_notifications(controller: Controller) -> None:
    """Each is sent once, however often the run is driven. One that fails is told of, and changes nothing."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hook) as server:
        heard: list[tuple[str, dict[str, t.Any]]] = []
        t.cast("t.Any", server).heard = heard
        threading.Thread(target=server.serve_forever, daemon=True).start()
        controller.write("pipeline.yml", _TELLING.format(port=server.server_port))
        controller.write("wrong.yml", "nodes: {a: {command: a}}\nnotify: [{on: [fail], task: {}}]")
        approve = {"name": "go_live", "playbook_name": "Release 7", "mode": "approve", "subject": "Release goes live", "reason": "fine"}
        given = {"params": {"token": "s3cr3t"}}
        [wrong, parked, again, _approved, done, late], ran = drive(
            controller,
            workflow(file="{{ playbook_dir }}/wrong.yml", run="1"),
            workflow(**given),
            workflow(**given),
            {"rstyczynski.ansible.async_job_approval": approve},
            workflow(**given),
            workflow(**given),
        )
        server.shutdown()
    assert "notify has to be a list of {on: events" in wrong["msg"]
    assert (parked["status"], again["status"]) == ("running", "running"), ran.output
    assert (done["status"], done["failed"], late["status"]) == ("recovered", False, "recovered"), ran.output
    # Those that came up together are sent at the same time.
    assert sorted((path, told_of["event"], told_of["node"]) for path, told_of in heard) == [
        ("/s3cr3t", "approval", "go_live"),
        ("/s3cr3t", "node_failed", "bad"),
        ("/s3cr3t", "recovered", ""),
        ("/s3cr3t", "started", ""),
    ]
    said = {told_of["event"]: told_of for _path, told_of in heard}
    assert said["approval"]["message"] == "Release 7: go_live awaits approval: Release goes live"
    assert said["recovered"]["message"] == "Release 7: recovered"
    assert said["node_failed"]["message"].startswith("Release 7: bad: failed: ")
    assert said["approval"]["approve"].startswith("ansible-playbook rstyczynski.ansible.approve -e ")
    assert "run" in said["started"]["command"]
    bad = {name: said for name, said in done["notified"].items() if said}
    assert [name.rpartition(", ")[2] for name in bad] == ["2"], done["notified"]
    assert "no_log hides what it says" in str(bad)
    assert done["artifacts"] == {}
    assert ran.output.count(next(iter(bad.values()))) == 1, ran.output
    assert len(done["notified"]) == 5
    for place in (controller.state_dir, Path(controller.environment["ANSIBLE_ASYNC_DIR"])):
        found = [file for file in place.rglob("*") if file.is_file() and b"s3cr3t" in file.read_bytes()]
        assert [file.name for file in found if file.name != "7.json"] == []
