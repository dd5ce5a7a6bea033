# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task ``async_job``, as users write it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

from controller import Controller
from plays import Yaml, ask, job, lines, play, run_tasks, shell, told
from waiting import until


def test_an_end_that_nobody_hears_of(controller: Controller) -> None:
    """The worker of a playbook that was killed goes on, and notes how the job has ended. The next run is told what has changed."""
    task = job({"ansible.builtin.shell": {"cmd": "until [ -e go ]; do sleep 0.1; done", "chdir": str(controller.project)}}, poll=1)
    playbook = controller.write("waits.yml", json.dumps([play(task)]))
    running = controller.popen("playbook", "-i", controller.inventory, playbook)
    until(
        lambda: (
            controller.state_dir.exists()
            and list(controller.state_dir.rglob("job.json"))
            and controller.record("job")["status"] == "running"
        )
    )
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    (controller.project / "go").touch()
    until(lambda: controller.record("job")["status"] == "succeeded")
    first, second = ask(controller, task, task)
    assert (first["changed"], second["changed"]) == (True, False)


def test_a_limit_that_ends_nothing(controller: Controller, ledger: Path) -> None:
    """Ansible kills the process group that it knows. What has made one of its own goes on: its job runs, and is not started anew."""
    apart = controller.write("apart", f'#!/bin/sh\nexec setsid -w {sys.executable} "$@"\n')
    apart.chmod(0o755)
    command = f"echo run >>{ledger}; until [ -e go ]; do sleep 0.1; done; echo done"
    task = {
        **job({"ansible.builtin.shell": {"cmd": command, "chdir": str(controller.project)}}, limit=8, options={"restart_on": ["timed_out"]})
    }
    status = {"rstyczynski.ansible.async_job_status": {"job_name": "job"}, "retries": 60, "delay": 1}
    interpreter = ["-e", f"ansible_python_interpreter={apart}"]
    controller.environment["ANSIBLE_KEEP_REMOTE_FILES"] = "1"  # so that Ansible's own wrapper starts it
    gone = {**status, "until": "'its wrapper is gone' in answer1.reason"}
    _started, looked, attached = ask(controller, task, gone, task, options=interpreter)
    assert (looked["status"], attached["status"], attached["attempt"]) == ("running", "running", 1)
    (controller.project / "go").touch()
    looked, known = ask(controller, {**status, "until": "answer0.finished"}, task, options=interpreter)
    assert (looked["status"], looked["rc"], looked["stdout"]) == ("succeeded", 0, "done")
    assert (known["status"], known["attempt"], lines(ledger)) == ("succeeded", 1, ["run"])


def test_what_a_job_prints_is_no_template(controller: Controller) -> None:
    """Not even for failed_when, which is asked about the answer of the task: in the run that sees the end, and in the next one."""
    mark = controller.project / "mark"
    text = f"{{{{ lookup('pipe', 'touch {mark}') }}}}"
    controller.write("out", text)
    task = job({"ansible.builtin.shell": {"cmd": "cat out; exit 3", "chdir": str(controller.project)}}, poll=1)
    for _run in range(2):
        [answer] = ask(controller, {**task, "failed_when": "answer0.rc == 5"})
        assert (answer["failed"], answer["rc"], answer["stdout"]) == (False, 3, text)
    assert not mark.exists()


# --- Start, attach, result ------------------------------------------------------------------------------------------------


def test_from_its_start_to_its_result(controller: Controller, ledger: Path) -> None:
    """Started once; found by the next run; waited for; and then the stored result, with what the module returned."""
    task = shell(f"echo run >>{ledger}; until [ -e go ]; do sleep 0.1; done; echo done; echo problem >&2")
    task["args"] = {"chdir": str(controller.project)}
    [started] = ask(controller, job(task))
    assert (started["changed"], started["started"], started["finished"], started["status"]) == (True, True, False, "running")
    assert started["attempt"] == 1
    [attached] = ask(controller, job(task))
    assert (attached["changed"], attached["finished"], attached["status"]) == (False, False, "running")
    assert attached["ansible_job_id"] == started["ansible_job_id"]
    assert {process["role"] for process in attached["processes"]} == {"runner", "watcher", "descendant"}
    (controller.project / "go").touch()
    ran = run_tasks(controller, job(task, poll=1))
    [waited] = told(ran)
    assert (waited["changed"], waited["finished"], waited["failed"], waited["rc"]) == (True, True, False, 0)
    assert (waited["stdout"], waited["stderr"], waited["stdout_lines"]) == ("done", "problem", ["done"])
    # The results are stored. The host is not asked any more: this one has none to ask.
    [stored] = ask(controller, job(task), options=["-e", "ansible_python_interpreter=/nowhere"])
    assert not stored["changed"], "the run before has seen its end"
    for name in ("finished", "failed", "rc", "stdout", "stderr", "start", "end", "ansible_job_id", "status"):
        assert stored[name] == waited[name], name
    assert lines(ledger) == ["run"]
    record = controller.record("job")
    assert record["timeout"] == 60
    assert "claim" not in record
    directory = Path(record["attempt_dir"])
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {file.name for file in directory.iterdir()} == {record["ansible_job_id"], "stdout", "stderr", "result", "attempt.json"}


def test_until(controller: Controller) -> None:
    """The pattern of Ansible works on the same task. It has changed something, however often it asks."""
    [answer] = ask(controller, job(shell("sleep 2; echo done"), until="answer0 is finished", retries=30, delay=1))
    assert (answer["changed"], answer["finished"], answer["stdout"]) == (True, True, "done")
    assert answer["attempts"] > 1


def test_progress(controller: Controller) -> None:
    """A task that waits shows that the job lives, and notices its end at the next look."""
    ran = run_tasks(controller, job(shell("sleep 3"), poll=1))
    assert re.search(r"^job on host1: running 00:00:0\d$", ran.output, re.MULTILINE), ran.output
    assert told(ran)[0]["finished"]


ONE_DOCUMENT = """
DOCUMENTATION = "name: one_document\\ntype: stdout\\nshort_description: one\\ndescription: one\\n"
import json
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "one_document"
    def v2_playbook_on_stats(self, stats):
        self._display.display(json.dumps({"ok": stats.ok}))
"""


def test_what_is_printed_meanwhile(controller: Controller) -> None:
    """Standard output is the callback's. That the records go away is said before the job ends; no more than that is said if nobody asks."""
    controller.write("callbacks/one_document.py", ONE_DOCUMENT)
    held = shell(f"until [ -e {controller.project}/go ]; do sleep 0.1; done")
    tasks = [
        job(held, name="loud", poll=1),
        job(shell("sleep 2"), name="quiet", poll=1, vars={"async_job_progress": False}),
        {"rstyczynski.ansible.async_job_show": {"status": "succeeded"}},
    ]
    playbook = controller.write("p.yml", json.dumps([{"hosts": "host1", "gather_facts": False, "tasks": tasks}]))
    process = subprocess.Popen(
        [sys.executable, "-m", "ansible", "playbook", "-i", controller.inventory, playbook],
        env={
            **controller.environment,
            "ANSIBLE_CALLBACK_PLUGINS": f"{controller.project}/callbacks",
            "ANSIBLE_STDOUT_CALLBACK": "one_document",
            "AWX_PRIVATE_DATA_DIR": str(controller.project),
            "TELL_TO": os.devnull,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    while "loud on host1: running" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    (controller.project / "go").touch()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, said + errors
    assert json.loads(output) == {"ok": {"host1": 3}}
    assert "".join(f"[WARNING]: The state directory {controller.state_dir} is below".split()) in "".join(said.split())  # some break it
    assert "quiet on host1" not in errors
    assert re.search(r"^host1 +\S+ +quiet +succeeded", errors, re.MULTILINE), errors


# --- The task -------------------------------------------------------------------------------------------------------------


def test_text_is_data(controller: Controller) -> None:
    """A variable that looks like an option, or has a quote, goes to the command as it is."""
    hostile = 'it\'s chdir=/nix creates=/etc/passwd "quoted"'
    task = {"ansible.builtin.shell": "printf %s {{ hostile | quote }}", "args": {"chdir": "/usr"}}
    argv = {"ansible.builtin.command": {"argv": ["printf", "%s", "{{ hostile }}"]}}
    answers = ask(controller, job(task, poll=1), job(argv, name="argv", poll=1), vars={"hostile": hostile})
    for answer in answers:
        assert answer["stdout"] == hostile


def test_modules(controller: Controller) -> None:
    """Any module can be a job. What it returns is there, also from the record."""
    file = controller.project / "made"
    module = {"ansible.builtin.file": {"path": str(file), "state": "touch"}}
    answers = ask(
        controller,
        job(module, poll=1, module_defaults={"ansible.builtin.file": {"mode": "0640", "state": "absent"}}),
        job({"ansible.builtin.stat": {"path": str(file)}}, name="stat", poll=1, options={"store_result": ["stat"]}),
        job({"ansible.builtin.stat": {"path": str(file)}}, name="stat"),
        job({"ansible.builtin.command": {"cmd": "echo no", "creates": str(file)}}, name="creates", poll=1),
    )
    assert file.stat().st_mode & 0o777 == 0o640  # module_defaults add, and do not beat
    for answer in answers[1:3]:
        assert answer["stat"]["exists"]
    assert "stat" in controller.record("stat")["result"]
    assert "Did not run command since" in answers[3]["msg"]


def test_keywords(controller: Controller, ledger: Path) -> None:
    """Those of the task hold for the job."""
    write = f'printf "%s " "$WHO" "{{{{ what }}}}" "{{{{ item }}}}" >>{ledger}'
    [answer, delegated] = ask(
        controller,
        job(shell(write), name="{{ item }}", poll=1, environment={"WHO": "me"}, vars={"what": "this"}, loop=["a", "b"], tags=["work"]),
        job(shell("true"), name="delegated", delegate_to="elsewhere", options={"host": "db", "metadata": {"ticket": 7}}),
        options=["--tags", "work,all"],
    )
    assert [one["finished"] for one in answer["results"]] == [True, True]
    assert ledger.read_text().split() == ["me", "this", "a", "me", "this", "b"]
    assert delegated["status"] == "running"
    record = controller.record("delegated", host="db")
    assert (record["delegated_host"], record["metadata"]) == ("elsewhere", {"ticket": 7})


NO_JOBS: list[tuple[Yaml, str]] = [
    ({}, "has no action"),
    ({"ansible.builtin.command": "true", "become": True}, "Move 'become' to the async_job task itself"),
    ({"ansible.builtin.command": "true", "ansible.builtin.shell": "true"}, "has 2 actions"),
    ({"ansible.builtin.raw": "true"}, "does not support 'async'"),
    ({"ansible.builtin.script": "true"}, "does not support 'async'"),
    ({"rstyczynski.ansible.async_job": {"job_name": "x"}}, "does not support 'async'"),
    ({"no.such.module": {}}, "'no.such.module' was not found"),
    ({"ansible.builtin.file": "path=/tmp/x state=touch"}, "have to be a mapping"),
    ({"action": "ansible.builtin.command true"}, "'action' is a keyword of tasks"),
    ({"ansible.builtin.command": "true", "args": "chdir=/"}, "args is not a mapping"),
    ({"ansible.builtin.copy": {"content": "x", "dest": "/nowhere/x"}}, "async"),
]


def test_what_is_no_job(controller: Controller) -> None:
    """It is refused, and leaves nothing behind."""
    answers = ask(controller, *(job(task, name=f"job{number}") for number, (task, _words) in enumerate(NO_JOBS)))
    for (task, words), answer in zip(NO_JOBS, answers, strict=True):
        assert answer["failed"], task
        assert words in answer["msg"], (task, answer["msg"])
    assert list(controller.state_dir.rglob("*.json")) == []


def test_without_a_time_limit(controller: Controller) -> None:
    [answer, senseless] = ask(controller, {**job(shell("true")), "async": 0}, job(shell("true"), options={"max_attempts": 0}))
    assert "needs the keyword 'async'" in answer["msg"]
    assert "has to be at least 1" in senseless["msg"]


# --- End states -----------------------------------------------------------------------------------------------------------


def test_failed_jobs(controller: Controller, ledger: Path) -> None:
    """By default they stay so. With restart_on, each run starts one new attempt; with max_attempts, one run starts all of them."""
    fails = shell(f"echo run >>{ledger}; echo no >&2; exit 3")
    [first, second, third, fourth] = ask(
        controller,
        job(fails, poll=1),
        job(fails, poll=1),
        job(fails, poll=1, options={"restart_on": ["failed"]}),
        job(fails, poll=1, options={"restart_on": ["failed"], "max_attempts": 4}),
    )
    for answer, attempt, changed in ((first, 1, True), (second, 1, False), (third, 2, True), (fourth, 4, True)):
        assert (answer["failed"], answer["finished"], answer["rc"], answer["stderr"]) == (True, True, 3, "no"), answer
        assert (answer["attempt"], answer["changed"]) == (attempt, changed)
    assert "unless restart_on has 'failed'" in second["msg"]
    assert "max_attempts is 4" in fourth["msg"]
    assert lines(ledger) == ["run"] * 4
    record = controller.record("job")
    assert [(past["attempt"], past["status"], past["rc"]) for past in record["attempts"]] == [(number, "failed", 3) for number in (1, 2, 3)]


def test_it_ends_otherwise(controller: Controller, ledger: Path) -> None:
    """Killed, and out of time. Both can be started anew."""
    killed = shell(f"echo killed >>{ledger}; [ $(grep -c killed {ledger}) -gt 1 ] || kill -KILL $$")
    late = shell("sleep 100")
    answers = ask(
        controller,
        job(killed, name="killed", poll=1),
        job(killed, name="killed", poll=1, options={"restart_on": ["killed", "lost"]}),
        {**job(late, name="late", poll=1), "async": 2},
    )
    assert [(answer["status"], answer["attempt"]) for answer in answers] == [("killed", 1), ("succeeded", 2), ("timed_out", 1)]
    assert "signal 9" in answers[0]["msg"]


# --- Check mode, diff, secrets -----------------------------------------------------------------------------------------------


def test_check_mode(controller: Controller, ledger: Path) -> None:
    """It tells what would be done, touches neither host nor store, and shows the record."""
    work = shell(f"echo run >>{ledger}; sleep 60")
    nowhere = ["--check", "--diff", "-e", "ansible_python_interpreter=/nowhere"]
    ran = run_tasks(controller, job(work), options=nowhere)
    [would_start] = told(ran)
    assert (would_start["changed"], would_start["status"], would_start["attempt"]) == (True, "starting", 1)
    assert "would start attempt 1" in would_start["msg"]
    assert '+  "status": "starting"' in ran.output
    assert not controller.state_dir.exists()
    ran = run_tasks(controller, job(work), job(shell("exit 3"), name="failed", poll=1), options=["--diff"])
    assert '+  "status": "running"' in ran.output
    before = {name: controller.record(name) for name in ("job", "failed")}
    [attach, failed, anew] = ask(
        controller,
        job(work),
        job(shell("exit 3"), name="failed"),
        job(shell("exit 3"), name="failed", options={"restart_on": ["failed"]}),
        options=nowhere,
    )
    assert (attach["changed"], attach["msg"]) == (False, "would attach to attempt 1, running")
    assert (failed["changed"], failed["failed"], failed["rc"]) == (False, True, 3)
    assert (anew["changed"], anew["attempt"]) == (True, 2)
    assert "because attempt 1: failed" in anew["msg"]
    assert {name: controller.record(name) for name in ("job", "failed")} == before
    assert lines(ledger) == ["run"]
    cancel = {"rstyczynski.ansible.async_job_cancel": {"job_name": "job"}}
    assert ask(controller, cancel)[0]["status"] == "cancelled"


def test_secrets(controller: Controller) -> None:
    """Nothing of a task with no_log is stored or shown, by this task or any later one for that job."""
    secret = "HUSH-HUSH"
    tells = {"ansible.builtin.shell": f"echo {secret}; echo {secret} >&2; exit 3"}
    outputs = []
    for keywords in ({"no_log": True}, {}, {"no_log": True}):
        ran = controller.playbook(
            json.dumps(
                [
                    {
                        "name": "test",
                        "hosts": "all",
                        "gather_facts": False,
                        "tasks": [
                            {**job(tells, poll=1, options={"restart_on": ["failed"]}), "ignore_errors": True, **keywords},
                            {
                                "rstyczynski.ansible.async_job": {"job_name": "bad", "task": {"ansible.builtin.copy": {"content": secret}}},
                                "async": 5,
                                "no_log": True,
                                "ignore_errors": True,
                            },
                        ],
                    }
                ],
                indent=1,
            ),
            "-vvv",
            "--diff",
        )
        outputs.append(ran.output)
    # The second run did not say no_log, and so shows the arguments that stand in its own task; nothing of the stored job.
    for output in (outputs[0], outputs[2]):
        assert secret not in output
    for file in controller.state_dir.rglob("*"):
        assert not file.is_file() or secret not in file.read_text()
    looks = controller.playbook(
        json.dumps(
            [
                {
                    "name": "test",
                    "hosts": "all",
                    "gather_facts": False,
                    "tasks": [{"rstyczynski.ansible.async_job_status": {"job_name": "job"}, "ignore_errors": True}],
                }
            ],
            indent=1,
        ),
        "-vvv",
    )
    assert secret not in looks.ok().output
    record = controller.record("job")
    assert (record["no_log"], record["attempt"], record["status"]) == (True, 3, "failed")
    assert record["result"].keys() <= {"rc", "start", "end"}


# --- What somebody else has done ------------------------------------------------------------------------------------------------


def test_a_saved_job(controller: Controller) -> None:
    """A job that the roles have saved is found too."""
    native = {"ansible.builtin.shell": "sleep 60", "async": 60, "poll": 0}
    state = {
        "rstyczynski.ansible.async_job_state": {
            "job_name": "job",
            "ansible_job_id": "{{ answer0.ansible_job_id }}",
            "results_file": "{{ answer0.results_file }}",
        }
    }
    cancel = {"rstyczynski.ansible.async_job_cancel": {"job_name": "job"}}
    [_native, _state, attached, _cancelled, after] = ask(controller, native, state, job(shell("false")), cancel, job(shell("false")))
    assert (attached["status"], attached["changed"]) == ("running", False)
    assert (after["status"], after["failed"], after["changed"]) == ("cancelled", True, False)


def test_abandoned_claims(controller: Controller, ledger: Path) -> None:
    """A claim of a process that is gone is taken over at once; one of another machine when its life is over, and not earlier."""
    [_started] = ask(controller, job(shell("true"), name="model", poll=1))
    model = controller.record("model")
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    claim = {
        "id": "1",
        "who": "somebody@elsewhere",
        "since": "2026-01-01T00:00:00Z",
        "boot_id": boot_id,
        "pid_namespace": os.readlink("/proc/self/ns/pid"),
        "pid": 1,
        "pid_start": -1,
    }
    for name, changes in (("gone", {}), ("elsewhere", {"boot_id": "another"})):
        record = {"job_name": name, "host": "host1", "playbook_name": "test", "ansible_job_id": "", "status": "starting", "attempt": 1}
        file = controller.state_dir / "host1" / "test" / f"{name}.json"
        file.write_text(json.dumps({**record, "claim": {**claim, **changes}}))
    file = controller.state_dir / "host1" / "test" / "prepared.json"
    missing = str(Path(model["attempt_dir"]).with_name("0" * 32))
    place = {name: model[name] for name in ("boot_id", "remote_user")}
    record = {"job_name": "prepared", "host": "host1", "playbook_name": "test", "ansible_job_id": "", "status": "prepared", "attempt": 1}
    file.write_text(json.dumps({**record, **place, "async_dir": missing, "attempt_dir": missing, "claim": claim}))
    work = shell(f"echo run >>{ledger}")
    ran = run_tasks(
        controller,
        job(work, name="gone", poll=1),
        job(work, name="elsewhere", poll=1, options={"claim_timeout": 3}),
        job(work, name="prepared", poll=1),
    )
    for answer in told(ran):
        assert (answer["status"], answer["attempt"], answer["changed"]) == ("succeeded", 1, True)
    assert "It is being started by somebody@elsewhere. Waiting for at most 2 seconds." in ran.output
    assert lines(ledger) == ["run"] * 3
    assert Path(missing).is_file(), "it was not fenced"
    assert json.loads(Path(missing).read_text()) == {"attempt": "0" * 32, "job": "host1/test/prepared.json"}


def test_a_record_that_cannot_be_read(controller: Controller, ledger: Path) -> None:
    """It is an error, and nothing is started."""
    file = controller.state_dir / "host1" / "test" / "job.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"job_name": "job", "ansible_')
    [answer] = ask(controller, job(shell(f"echo run >>{ledger}")))
    assert answer["failed"]
    assert "cannot be used" in answer["msg"]
    assert lines(ledger) == []
    assert not (controller.home / ".ansible_async").exists()


def test_damaged_start(controller: Controller, ledger: Path) -> None:
    """A record that says that a place was noted, and does not tell which."""
    file = controller.state_dir / "host1" / "test" / "job.json"
    file.parent.mkdir(parents=True)
    record = {"job_name": "job", "host": "host1", "playbook_name": "test", "ansible_job_id": "", "status": "prepared", "claim": {}}
    file.write_text(json.dumps(record))
    [answer] = ask(controller, job(shell(f"echo run >>{ledger}")))
    assert "attempt_dir is missing" in answer["msg"]
    assert lines(ledger) == []


def test_one_name_for_two_items(controller: Controller, ledger: Path) -> None:
    """The second one is not said to have started anything."""
    [answer] = ask(controller, job(shell(f"echo {{{{ item }}}} >>{ledger}"), poll=1, loop=["a", "b"]))
    assert [one["changed"] for one in answer["results"]] == [True, False]
    assert lines(ledger) == ["a"]


def test_a_message_that_is_no_text(controller: Controller) -> None:
    """A module may return anything."""
    (controller.project / "library").mkdir()
    controller.write("library/fails.sh", """#!/bin/sh\necho '{"failed": true, "msg": ["no", "luck"]}'\n""")
    [answer] = ask(controller, job({"fails.sh": {}}, poll=1))
    assert (answer["failed"], answer["status"]) == (True, "failed")
    assert "luck" in answer["msg"]


def test_a_launch_that_fails(controller: Controller) -> None:
    """Nothing has changed, which is said."""
    ran = run_tasks(controller, job(shell("true")), options=["-e", "ansible_python_interpreter=/nowhere"])
    [answer] = told(ran)
    assert (answer["failed"], answer["changed"]) == (True, False)
    assert "Nothing was started" in answer["msg"]
    assert not list(controller.state_dir.rglob("*.json"))
    assert {path.name for path in (controller.home / ".ansible_async").iterdir()} <= {".async_job"}


def test_a_launch_that_fails_with_a_warning(controller: Controller, tmp_path: Path) -> None:
    """Newer releases warn of the Python that they have found, which is none. What has failed is said all the same."""
    broken = tmp_path / "python3.99"
    broken.write_text("#!/bin/sh\necho 'it is broken' >&2\nexit 127\n")
    broken.chmod(0o755)
    found = {"ansible_python_interpreter": "auto", "ansible_interpreter_python_fallback": [str(broken)]}
    ran = run_tasks(controller, job(shell("true")), options=["-e", json.dumps(found)])
    [answer] = told(ran)
    assert (answer["failed"], answer["changed"]) == (True, False)
    assert "it is broken" in answer["module_stderr"]
    assert "Nothing was started" in answer["msg"]


def test_another_host_than_the_first_time(controller: Controller, ledger: Path) -> None:
    """With run_once and another limit. The record knows where the job is."""
    controller.hosts("host1", "host2")
    once = job(shell(f"echo run >>{ledger}; sleep 60"), run_once=True, options={"host": "cluster"})
    [started] = ask(controller, once)
    assert started["record"]["delegated_host"] == "host1"
    [elsewhere] = ask(controller, once, options=["--limit", "host2"])
    assert elsewhere["failed"]
    assert "was started on host1, and this task has gone to host2" in elsewhere["msg"]
    cancel = {"rstyczynski.ansible.async_job_cancel": {"job_name": "job", "host": "cluster"}, "delegate_to": "host1"}
    [attached, cancelled] = ask(controller, {**once, "delegate_to": "host1"}, cancel, options=["--limit", "host2"])
    assert (attached["status"], attached["changed"]) == ("running", False)
    assert cancelled["status"] == "cancelled"
    assert lines(ledger) == ["run"]


# --- What cannot be a job, and what is done at once ---------------------------------------------------------------------------

CANNOT_BE_JOBS: dict[str, t.Any] = {
    "include_tasks": {"ansible.builtin.include_tasks": "x.yml"},
    "import_role": {"ansible.builtin.import_role": {"name": "x"}},
    "include_role": {"include_role": {"name": "x"}},
    "import_playbook": {"ansible.builtin.import_playbook": "x.yml"},
    "meta": {"ansible.builtin.meta": "noop"},
    "fetch": {"ansible.builtin.fetch": {"src": "/etc/hosts", "dest": "x"}},
    "copy": {"ansible.builtin.copy": {"content": "x", "dest": "x"}},
    "debug": {"ansible.builtin.debug": {"msg": "x"}},
    "set_fact": {"ansible.builtin.set_fact": {"x": 1}},
    "add_host": {"ansible.builtin.add_host": {"name": "x"}},
    "group_by": {"ansible.builtin.group_by": {"key": "x"}},
    "raw": {"ansible.builtin.raw": "true"},
    "a list": [{"ansible.builtin.command": "true"}],
    "a block": {"block": [{"ansible.builtin.command": "true"}]},
}


def test_what_cannot_be_a_job(controller: Controller) -> None:
    """It is refused with advice, before anything has happened, here or on the host."""
    answers = ask(controller, *(job(task, name=name) for name, task in CANNOT_BE_JOBS.items()))
    for name, answer in zip(CANNOT_BE_JOBS, answers, strict=True):
        assert (answer["failed"], answer["changed"]) == (True, False), name
        assert "A job is one action that Ansible can run in the background" in answer["msg"], (name, answer["msg"])
        assert answer["msg"].endswith("Nothing was started."), (name, answer["msg"])
    assert not controller.state_dir.exists()
    assert not (controller.home / ".ansible_async").exists()


def test_an_action_that_does_its_work_at_once(controller: Controller, ledger: Path) -> None:
    """It is one attempt that has ended, with its result, whether or not that is a good one; and it is not done again."""
    about = {"ledger": str(ledger)}
    tasks: dict[str, Yaml] = {
        "changes": {**about, "returns": {"changed": True, "answer": 42}},
        "changes nothing": {**about, "returns": {"changed": False}},
        "fails": {**about, "returns": {"failed": True, "msg": "no luck"}},
        "raises": {**about, "raises": "out of luck"},
    }
    twice = [job({"at_once": options}, name=name, poll=1) for name, options in tasks.items()] * 2
    answers = ask(controller, *twice)
    assert [answer["status"] for answer in answers] == ["succeeded", "succeeded", "failed", "failed"] * 2
    assert [answer["changed"] for answer in answers[:3]] == [True, False, True]
    assert not any(answer["changed"] for answer in answers[4:])
    assert (answers[0]["answer"], answers[0]["finished"]) == (42, True)
    assert "no luck" in answers[6]["msg"]
    assert "out of luck" in answers[3]["msg"]
    assert "RuntimeError: out of luck" in controller.record("raises")["result"]["exception"]
    assert lines(ledger) == ["run"] * 4
    assert {path.name for path in (controller.home / ".ansible_async").iterdir()} <= {".async_job"}
    [more] = ask(controller, job({"at_once": tasks["fails"]}, name="fails", poll=1, options={"restart_on": ["failed"]}))
    assert (more["attempt"], more["status"]) == (2, "failed")


def test_an_action_that_does_its_work_at_once_and_is_tried_again(controller: Controller) -> None:
    """As often as the task says, or its C(until), like any job."""

    def task(name: str, fails: int, keywords: Yaml, **options: t.Any) -> Yaml:
        about = {"ledger": str(controller.project / name), "fails": fails}
        return {**job({"at_once": about}, name=name, poll=1, options={"restart_on": ["failed"], **options}), **keywords}

    answers = ask(
        controller,
        task("attempts", 1, {}, max_attempts=3),
        task("tries", 2, {"until": "answer1 is success", "retries": 3, "delay": 0}),
        task("never", 0, {"until": False, "retries": 2, "delay": 0}),
    )
    assert [(answer["status"], answer["attempt"]) for answer in answers] == [("succeeded", 2), ("succeeded", 3), ("succeeded", 1)]
    assert [len(lines(controller.project / name)) for name in ("attempts", "tries", "never")] == [2, 3, 1]


def test_an_action_that_is_interrupted_at_its_work(controller: Controller, ledger: Path) -> None:
    """Nobody knows how far it has come, so it is not taken for one that has not begun."""
    go_on = controller.project / "go_on"
    go_on.touch()
    # How long whoever does the work may be silent, before it counts as dead.
    task = job({"at_once": {"ledger": str(ledger), "while": str(go_on)}}, poll=1, limit=5, options={"claim_timeout": 5})
    book = controller.write("killed.yml", json.dumps([play(task)]))
    process = controller.popen("playbook", "-i", controller.inventory, book)
    until(lambda: lines(ledger) == ["run"])
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    [answer] = ask(controller, task)
    assert (answer["status"], answer["failed"]) == ("lost", True)
    assert "cannot be proven" in answer["reason"]
    assert lines(ledger) == ["run"]


# --- What a command and a module see, say, and change --------------------------------------------------------------------------


def test_background_tasks_of_a_job(controller: Controller) -> None:
    """Ansible within a job works as it does elsewhere; its own background tasks leave the directory of the attempt alone."""
    controller.write("library/sees.py", SEES)
    inner = f"{sys.executable} -m ansible adhoc localhost -c local -m ansible.builtin.command -a 'echo {{{{ 6 * 7 }}}}' -B 30 -P 1"
    # Where HOME is not the home directory of the user, Ansible and its wrapper read "~" differently.
    inner = f"ANSIBLE_ASYNC_DIR={controller.home}/inner {inner}"
    command = job(shell(f"echo [$ANSIBLE_ASYNC_DIR]; {inner}; sleep 60 & echo"), poll=1)
    [ran, module, again] = ask(controller, command, job({"sees": {}}, name="module", poll=1), command)
    assert ran["stdout_lines"][0] == "[]"
    assert "42" in ran["stdout"], ran["stdout"]
    assert (module["told"], module["attempt_dir"]) == (None, module["record"]["attempt_dir"])
    assert (again["status"], again["attempt"]) == ("succeeded", 1)
    record = controller.record("job")
    directory = Path(record["attempt_dir"])
    assert [file.name for file in directory.glob("j*")] == [record["ansible_job_id"]]
    # What it has left behind is still known to be its own.
    [look] = ask(controller, {"rstyczynski.ansible.async_job_status": {"job_name": "job"}})
    [left] = look["processes"]
    assert (left["role"], left["command"]) == ("descendant", "sleep 60")
    os.kill(left["pid"], signal.SIGKILL)


SEES = """#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule

AnsibleModule({}).exit_json(told=os.environ.get("ANSIBLE_ASYNC_DIR"), attempt_dir=os.environ.get("ASYNC_JOB_ATTEMPT_DIR"))
"""

RAISES = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule

AnsibleModule({})
raise RuntimeError("boom of the module")
"""


def test_a_module_that_raises_an_exception(controller: Controller) -> None:
    """What it was is said now and later, with its traceback; not if the task says no_log."""
    controller.write("library/raises.py", RAISES)
    raising = job({"raises": {}}, poll=1)
    secret = job({"raises": {}}, name="secret", poll=1, no_log=True)
    native = {"raises": {}, "async": 60, "poll": 0}
    status = {"rstyczynski.ansible.async_job_status": {"jid": "{{ answer3.ansible_job_id }}", "wait_timeout": 60, "wait_interval": 1}}
    first, later, hidden, _started, seen = ask(controller, raising, raising, secret, native, status)
    for answer in (first, later):
        assert answer["msg"].startswith("RuntimeError: boom of the module"), answer["msg"]
        assert answer["exception"]  # newer releases show it only with display_traceback
        assert "record" not in answer  # which Ansible would print
    assert "boom of the module" in seen["msg"]
    result = controller.record("job")["result"]
    assert result["msg"] == "RuntimeError: boom of the module"
    assert result["exception"].startswith("Traceback")
    assert "boom" not in json.dumps([hidden, controller.record("secret")])


def test_whether_a_module_has_changed_anything(controller: Controller, ledger: Path) -> None:
    """The first run that sees its end is told, and nobody after it: also by async_job_status in the same play. What was not needed may be
    needed later."""
    there = controller.project / "there"
    there.touch()
    creates = job({"ansible.builtin.shell": {"cmd": f"echo run >>{ledger}", "creates": str(there)}}, name="creates", poll=1)
    nothing = job({"ansible.builtin.file": {"path": str(controller.project), "state": "directory"}}, name="file", poll=1)
    started = job(shell("true"), name="started")
    status = {"rstyczynski.ansible.async_job_status": {"job_name": "started", "wait_timeout": 60}}
    answers = ask(controller, nothing, creates, creates, started, status)
    assert [answer["changed"] for answer in answers[:4]] == [False, False, False, True]
    assert (answers[1]["attempt"], answers[2]["attempt"], answers[2]["status"]) == (1, 2, "succeeded")
    assert not any("diff" in answer for answer in answers)
    there.unlink()
    ran, later, seen, known = ask(controller, creates, creates, started, started, options=["--diff"])
    assert [answer["changed"] for answer in (ran, later, seen, known)] == [True, False, False, False]
    assert lines(ledger) == ["run"]
    assert json.loads(ran["diff"]["after"])["status"] == "succeeded"


def test_a_task_that_is_tried_again(controller: Controller, ledger: Path) -> None:
    """Each try of until that finds that the one before has failed starts the next attempt, if it may. One that only waits starts none."""
    flaky = shell(f"echo run >>{ledger}; test $(wc -l <{ledger}) -ge 3")
    until_it_works = {"until": "answer0 is succeeded", "retries": 4, "delay": 0}
    waits = {"until": "answer1 is finished", "retries": 30, "delay": 0}
    restart = {"restart_on": ["failed"]}
    again, waited = ask(
        controller,
        job(flaky, poll=1, options=restart, **until_it_works),
        job(shell("false"), name="waits", options=restart, **waits),
    )
    assert (again["status"], again["attempt"], lines(ledger)) == ("succeeded", 3, ["run"] * 3)
    assert (waited["status"], waited["attempt"]) == ("failed", 1)
    assert "max_attempts" in waited["msg"]
