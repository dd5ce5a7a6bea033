# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide on events with the real ansible-rulebook: its blocks as they stand there, and its rulebook killed at any moment."""

from __future__ import annotations

import abc
import contextlib
import hashlib
import hmac
import http.client
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller
from missing import do_without
from pages import blocks_of, guide
from plays import lines
from records import ago, put
from torture import TORTURE
from waiting import until
from workflows import define, ended

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.changes import is_event_id
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import VERDICTS, new_run

BLOCKS = blocks_of(guide("guide_events"))
KILLS = 20 if TORTURE else 1


class Terminal:
    """Where somebody pastes what the guide says."""

    def __init__(self, controller: Controller) -> None:
        self.place = controller.project / "events"
        self.place.mkdir()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**controller.environment, "PATH": path, "ASYNC_JOB_STATE_DIR": str(self.state_dir)}
        for block in BLOCKS:
            names = re.findall(r"``([\w-]+\.yml)``", block.before.strip().rpartition("\n\n")[2])
            if block.language == "yaml":
                (self.place / names[-1]).write_text(block.text)

    @property
    def state_dir(self) -> Path:
        """The store of the guide."""
        return self.place / "jobs"

    def paste(self, text: str) -> str:
        """Run a block to its end."""
        command = ["bash", "-euo", "pipefail", "-c", text]
        options: t.Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, cwd=self.place, env=self.environment, check=False, **options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextlib.contextmanager
    def rulebook(self, text: str) -> Iterator[Rulebook]:
        """Start one that runs on."""
        rulebook = Rulebook(text, self)
        try:
            yield rulebook
        finally:
            rulebook.kill()

    def answers(self) -> dict[str, str]:
        """Return the status of all answers, by their names."""
        files = (self.state_dir / "localhost/Repair").glob("*.json")
        return {file.stem: json.loads(file.read_text())["status"] for file in files}

    def cursor(self, name: str = "repair") -> t.Any:
        """Return a cursor, if there is one."""
        file = self.state_dir / f".events/{name}/cursor.json"
        return json.loads(file.read_text()) if file.exists() else None


class Rulebook:
    """One that runs."""

    def __init__(self, text: str, terminal: Terminal) -> None:
        self._log = terminal.place / f"log-{time.monotonic()}"
        command = ["bash", "-euo", "pipefail", "-c", text.replace("ansible-rulebook ", "exec ansible-rulebook ")]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=terminal.place, env=terminal.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, condition: t.Callable[[], t.Any], *, pause: float | None = None) -> t.Any:
        """Wait for something, as long as it runs."""
        return until(lambda: condition() or self._is_over(), seconds=180, pause=pause)

    def _is_over(self) -> bool:
        assert self._process.poll() is None, self.log
        return False

    def kill(self) -> None:
        """Kill it, and the playbooks that it runs, in the order in which they come. What these have started on a host lives there."""
        for pid in _family(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()


def _family(pid: int) -> list[int]:
    """Return a process and its descendants, less those that are on their way to become a background job."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if b"async_wrapper" in (file.parent / "cmdline").read_bytes():
                continue
            children.setdefault(int(file.read_text().rpartition(")")[2].split()[1]), []).append(int(file.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


@pytest.fixture
def terminal(controller: Controller) -> Terminal:
    """A directory with the files of the guide."""
    if importlib.util.find_spec("ansible_rulebook") is None:
        do_without("ansible-rulebook is not installed in this Python")
    if not shutil.which("java"):
        do_without("there is no Java, which ansible-rulebook needs")
    return Terminal(controller)


def shell_blocks(about: str) -> list[str]:
    """Return what is to be pasted, of one part of the guide."""
    parts = re.split(r"^\.\. _ansible_collections\.rstyczynski\.ansible\.docsite\.guide_events\.(\w+):$", guide("guide_events"), flags=re.M)
    part = dict(zip(parts[1::2], parts[2::2], strict=True))[about]
    return [block.text for block in blocks_of(part) if block.language == "shell"]


def test_what_fails_is_repaired(terminal: Terminal) -> None:
    first, rulebook, failing, looking = shell_blocks("react")
    terminal.paste(first)
    with terminal.rulebook(rulebook) as running:
        running.wait_for(terminal.cursor)
        assert "is new. 1 jobs, approvals and runs are known, 0 events to tell" in running.log
        assert "It has failed." in terminal.paste(failing)
        running.wait_for(lambda: "succeeded" in terminal.answers().values())
        said = terminal.paste(looking)
        assert said.startswith("backup on web1\n")
        [answer] = terminal.answers()
        assert answer in said
        assert "1 succeeded" in said
        running.wait_for(lambda: not terminal.cursor()["pending"])
    assert "Traceback" not in running.log


class Moment(t.NamedTuple):
    """One at which a rulebook is killed, or a later one if that comes faster than anybody sees it."""

    name: str
    has_come: t.Callable[[Rulebook, dict[str, t.Any]], t.Any]
    """Whether it has come, for an event as the cursor has it."""


class Answers(abc.ABC):
    """The answers of a rulebook of the guide: what fails, how each answer is, and what they have done in the end."""

    rulebook: str
    """What its files are called by."""
    play: str
    """Of the playbook that it runs."""
    main: str
    """When to kill it, if that is done once."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.failures: list[str] = []

    @abc.abstractmethod
    def fail(self, name: str) -> None:
        """Let something fail."""

    @abc.abstractmethod
    def statuses(self) -> dict[str, str]:
        """Return the status of all answers, by the ids of their events."""

    @abc.abstractmethod
    def given(self) -> list[str]:
        """Return the ids of the events that need nobody any more."""

    @abc.abstractmethod
    def stages(self) -> list[Moment]:
        """Return the moments of an answer, in their order."""

    @abc.abstractmethod
    def check(self) -> None:
        """Make sure that each failure was answered once."""

    def status(self, event: dict[str, t.Any]) -> str | None:
        return self.statuses().get(event["id"])

    def cursor(self) -> t.Any:
        return self.terminal.cursor(self.rulebook)

    def fail_once_more(self) -> None:
        self.failures.append(f"{len(self.failures) + 1}.10")  # a text that looks like a number
        self.fail(self.failures[-1])

    def next(self) -> t.Any:
        """Return the first event that awaits its answer: a rulebook tells it first."""
        given = self.given()
        return next((event for event in self.cursor()["pending"] if event["id"] not in given), None)

    def moments(self) -> list[Moment]:
        """Return all moments, in their order."""

        def runs(running: Rulebook, event: dict[str, t.Any]) -> bool:
            return f"PLAY [{self.play}]" in running.log.partition(event["id"])[2]

        first, *rest = self.stages()
        return [
            Moment("the cursor is written", lambda _running, _event: True),
            Moment("it is told", lambda running, event: event["id"] in running.log),
            Moment("its playbook runs", lambda running, event: runs(running, event) or first.has_come(running, event)),
            *(first, *rest),
            Moment("the cursor knows that", lambda _running, event: event["id"] not in str(self.cursor()["pending"])),
        ]


class Jobs(Answers):
    """A failed job is answered by a job."""

    rulebook, play = "repair", "Repair"
    main = "it is told"  # what was told is lost with the rulebook

    def fail(self, name: str) -> None:
        put(self.terminal.state_dir, name, status="failed", ansible_job_id=f"j{len(self.failures)}.1", end=ago(seconds=1))

    def statuses(self) -> dict[str, str]:
        return self.terminal.answers()

    def given(self) -> list[str]:
        """Return the answers that were started. Of one whose playbook was killed, nobody has noted the end."""
        return [name for name, status in self.statuses().items() if status not in CLAIMED]

    def stages(self) -> list[Moment]:
        return [
            Moment("its answer is claimed", lambda _running, event: self.status(event)),
            Moment("its answer runs", lambda _running, event: self.status(event) in ("running", "succeeded")),
            Moment("its answer has ended", lambda _running, event: self.status(event) == "succeeded"),
        ]

    def check(self) -> None:
        ledger = self.terminal.place / "repaired"
        until(lambda: len(lines(ledger)) >= len(self.failures))
        assert sorted(lines(ledger)) == sorted(f"{name} on web1" for name in self.failures)
        answers = [json.loads(file.read_text()) for file in (self.terminal.state_dir / "localhost/Repair").glob("*.json")]
        assert [answer.get("attempt", 1) for answer in answers] == [1] * len(self.failures)


def fail_a_run(terminal: Terminal, name: str) -> None:
    """Let there be a run that has failed, of the workflow that publishes releases."""
    graph = Graph(define({"publish": {}}, name="Release"))
    failed = ended(graph, decide(graph, new_run(graph.definition, name, "localhost", {}, [], "me")), publish="failed")
    write_run(FilesystemStore(str(terminal.state_dir)), None, failed, expect=ABSENT)


# Its last node fails at first, and is tried again.
_MEND = """\
name: Mend
params: {failed: {type: str}}
nodes:
  mend:
    task:
      ansible.builtin.shell:
        cmd: "echo {{ failed | quote }} >> mended"
        chdir: "{{ async_workflow.directory }}"
  check:
    command:
      - sh
      - -c
      - |
        attempt=$(grep -o '"attempt": [0-9]*' "$ASYNC_WORKFLOW_VARIABLES" | tr -dc 0-9)
        echo "$ASYNC_WORKFLOW_RUN $attempt" >> checked
        test "$attempt" = 2
    retries: 1
    after: mend
"""


class Runs(Answers):
    """A run that has failed is answered by a run, which goes on each time that the rulebook is started, until it has ended."""

    rulebook, play = "mend", "Run a workflow"
    main = "a node is claimed"  # the run is there, and nothing but its record tells that somebody was about to start a node

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal)
        terminal.state_dir.mkdir(0o700)
        (terminal.place / "mend.yml").write_text(_MEND)
        file = terminal.place / "mend-rulebook.yml"
        text = file.read_text()
        assert "repeat_after: 3600\n" in text
        file.write_text(re.sub(r"( *)repeat_after: 3600\n", r"\g<0>\1interval: 1\n", text))

    def fail(self, name: str) -> None:
        fail_a_run(self.terminal, name)

    def runs(self) -> dict[str, t.Any]:
        """Return all runs that are answers, by their ids."""
        return {file.stem: json.loads(file.read_text()) for file in (self.terminal.state_dir / ".workflows/Mend").glob("*.json")}

    def statuses(self) -> dict[str, str]:
        return {run_id: run["status"] for run_id, run in self.runs().items()}

    def given(self) -> list[str]:
        return [run_id for run_id, status in self.statuses().items() if status in VERDICTS]

    def stages(self) -> list[Moment]:
        def jobs(event: dict[str, t.Any], name: str = "*") -> list[str]:
            files = (self.terminal.state_dir / f"localhost/Mend {event['id']}").glob(f"{name}.json")
            return [json.loads(text)["status"] for text in map(_text_of, files) if text]

        def has_ended(event: dict[str, t.Any]) -> bool:
            nodes = self.runs().get(event["id"], {"nodes": {}})["nodes"]
            return any(node["state"] == "ended" for node in nodes.values())

        return [
            Moment("its run has begun", lambda _running, event: self.status(event)),
            Moment("a node is claimed", lambda _running, event: jobs(event)),
            Moment("a node runs", lambda _running, event: {*jobs(event)} - {*CLAIMED}),
            Moment("a node has ended", lambda _running, event: has_ended(event)),
            Moment("the last node is claimed", lambda _running, event: jobs(event, "check")),
            Moment("its run has ended", lambda _running, event: event["id"] in self.given()),
        ]

    def check(self) -> None:
        runs = self.runs()
        assert [run["status"] for run in runs.values()] == ["succeeded"] * len(self.failures), runs
        assert sorted(run["params"]["failed"] for run in runs.values()) == sorted(self.failures)
        assert sorted(lines(self.terminal.place / "mended")) == sorted(self.failures)
        checked = [f"{run_id} {attempt}" for run_id in runs for attempt in (1, 2)]
        assert sorted(lines(self.terminal.place / "checked")) == sorted(checked)
        nodes = [{name: node["attempt"] for name, node in run["nodes"].items()} for run in runs.values()]
        assert nodes == [{"mend": 1, "check": 2}] * len(self.failures)


def _text_of(file: Path) -> str:
    """Return what is in a file. Nothing if it is gone: a claim may be taken back."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("kind", [Jobs, Runs])
def test_a_rulebook_that_is_killed_misses_nothing_and_does_nothing_twice(terminal: Terminal, kind: type[Answers]) -> None:
    """At each moment: before it has told an event, while its playbook starts the answer, and after that."""
    first, rulebook, _failing, _looking = shell_blocks("react")
    answers = kind(terminal)
    rulebook = rulebook.replace("ansible-rulebook ", "ansible-rulebook --print-events ").replace("repair-", f"{answers.rulebook}-")
    terminal.paste(first.rpartition("ansible-playbook -i")[0])
    answers.fail("before")
    seen: dict[str, int] = {}
    with terminal.rulebook(rulebook) as running:
        running.wait_for(answers.cursor)
    all_moments = answers.moments()
    chosen = all_moments if len(all_moments) <= KILLS else [moment for moment in all_moments if moment.name == answers.main]
    for moment in itertools.islice(itertools.cycle(chosen), KILLS):
        answers.fail_once_more()  # while nobody looks
        with terminal.rulebook(rulebook) as running:
            event = running.wait_for(answers.next)
            running.wait_for(lambda moment=moment, running=running, event=event: moment.has_come(running, event), pause=0.02)
            reached = [one.name for one in all_moments if one.has_come(running, event)][-1]
            seen[reached] = seen.get(reached, 0) + 1
    with terminal.rulebook(rulebook) as running:
        answers.fail_once_more()  # while it starts
        for number in range(len(answers.failures)):
            running.wait_for(lambda number=number: len(answers.given()) > number)
        running.wait_for(lambda: not answers.cursor()["pending"])
    answers.check()
    print(f"{KILLS} kills, {len(answers.failures)} failures: each answered once. Killed when: {seen}")


def test_lines_for_whoever_collects_logs(controller: Controller, collections: Path) -> None:
    """The source as a program: what happens while it is down comes when it is back, and what nobody takes is printed again."""
    [text] = [block.text for block in blocks_of(guide("guide_metrics")) if "cursor=logs" in block.text]
    text = text.replace("~/.ansible/collections", str(collections)).replace("/srv/jobs", str(controller.state_dir))
    text = text.replace("cursor=logs", "cursor=logs status=failed interval=0.1").replace("python3 ", f"exec {sys.executable} ")
    log = controller.project / "async_jobs.log"
    put(controller.state_dir, "before", status="failed", end=ago(seconds=1))

    def started(command: str) -> subprocess.Popen[str]:
        options: t.Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(["bash", "-euc", command], cwd=controller.project, env=controller.environment, **options)

    def printed() -> list[str]:
        return [json.loads(line)["job_name"] for line in log.read_text().splitlines()] if log.exists() else []

    def is_noted(name: str) -> bool:
        return name in printed() and not json.loads(cursor.read_text())["pending"]

    cursor = controller.state_dir / ".events/logs/cursor.json"
    for number in range(2):
        with started(text) as program:
            until(lambda: cursor.exists() or program.poll() is not None)
            put(controller.state_dir, f"job{number}", status="failed", end=ago(seconds=1))
            until(lambda number=number: is_noted(f"job{number}") or program.poll() is not None)
            program.terminate()
            said = program.communicate(timeout=60)[1]
        assert program.returncode == 0, said
        assert ("is new" in said) == (number == 0)
        put(controller.state_dir, f"while{number}", status="failed", end=ago(seconds=1))
    with started(text.partition(">>")[0]) as program:
        assert program.stdout is not None
        program.stdout.close()
        said = program.stderr.read() if program.stderr else ""
    assert (program.returncode, said) == (1, "No event can be printed any more: Broken pipe.\n")
    with started(text) as program:
        until(lambda: is_noted("while1") or program.poll() is not None)
        program.terminate()
    assert sorted(printed()) == ["job0", "job1", "while0", "while1"]
    with started(text.replace("interval=", "intervall=")) as program:
        said = program.stderr.read() if program.stderr else ""
    assert program.returncode == 1
    assert "intervall" in said.splitlines()[0]
    assert "Traceback" not in said


def body_of(payload: t.Any) -> bytes:
    """Return what is sent."""
    return json.dumps(payload).encode()


def free_port() -> str:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def call(port: str, payload: t.Any, **headers: str) -> int:
    """Call a webhook, with names of headers as they are, and return what it answers."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)) as connection:
        connection.request("POST", "/endpoint", body_of(payload), headers)
        return connection.getresponse().status


def is_open(port: str) -> bool:
    """Return whether somebody listens on a port."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", int(port))) == 0


def test_whoever_calls_twice_starts_one_job(terminal: Terminal) -> None:
    """And one run of a workflow; and one that has failed is answered by one. All three rulebooks of the guide in one process. A tag and an
    id that look like numbers stay what they are."""
    [text] = shell_blocks("webhook")
    more, by_hand = shell_blocks("workflow")
    gitlab, alerts, github = free_port(), free_port(), free_port()
    variables = more.partition("--env-vars PWD,")[2].strip()
    text = f"{more.splitlines()[0]}\n{text.strip()},{variables}".replace("5000", gitlab).replace("5001", alerts).replace("5002", github)
    with (terminal.place / "called-rulebook.yml").open("a") as file:
        file.write((terminal.place / "release-rulebook.yml").read_text())
        file.write((terminal.place / "mend-rulebook.yml").read_text().replace("repeat_after: 3600", "interval: 1"))
    mend = (terminal.place / "release.yml").read_text().replace("Release", "Mend").replace("tag", "failed").replace("released", "mended")
    (terminal.place / "mend.yml").write_text(mend)
    terminal.state_dir.mkdir(0o700)
    terminal.paste(shell_blocks("react")[0].rpartition("ansible-playbook -i")[0])
    push = {"object_kind": "push", "after": "a" * 40}
    key = "6f1b1c1e-0000-4000-8000-000000000000"
    fired = {"labels": {"alertname": "DiskFull"}, "fingerprint": "0123456789abcdef", "startsAt": "2026-01-01T00:00:00.123Z"}
    evil = {**fired, "status": "firing", "startsAt": "{{ lookup('pipe', 'touch evil') }}", "labels": {"alertname": "x"}}
    published = {"action": "published", "release": {"tag_name": "1.10"}}
    delivery = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    signature = {
        "X-Hub-Signature-256": "sha256=" + hmac.new(b"something-that-nobody-guesses", body_of(published), hashlib.sha256).hexdigest()
    }
    with terminal.rulebook(text) as running:
        running.wait_for(lambda: is_open(gitlab) and is_open(alerts) and is_open(github))
        assert call(github, {**published, "action": "edited"}, **signature, **{"X-GitHub-Delivery": delivery}) == 401
        for _again in range(2):
            assert call(github, published, **signature, **{"X-GitHub-Delivery": delivery}) == 200
        token = {"Authorization": "Bearer something-that-nobody-guesses"}
        assert call(gitlab, push, **{"Idempotency-Key": key}) == 401
        for _again in range(2):
            assert call(gitlab, push, **token, **{"Idempotency-Key": key}) == 200
            assert call(alerts, {"alerts": [{**fired, "status": "resolved"}, {**fired, "status": "firing"}, evil]}, **token) == 200
        assert call(gitlab, {**push, "after": "{{ x }}"}, **token, **{"Idempotency-Key": key[::-1]}) == 200
        assert call(gitlab, push, **token, **{"Idempotency-Key": "last-" + key}) == 200
        running.wait_for((terminal.state_dir / ".events/mend/cursor.json").exists)
        fail_a_run(terminal, "4711")
        running.wait_for(lambda: running.log.count("PLAY RECAP") == 8)
    jobs = sorted(file.stem for file in (terminal.state_dir / "localhost/Called").glob("*.json"))
    assert jobs == [f"alert {fired['fingerprint']} {fired['startsAt']}", f"gitlab {key}", f"gitlab last-{key}"]
    assert sorted(lines(terminal.place / "calls")) == ["deploy " + "a" * 40] * 2 + ["react to DiskFull"]
    assert not list(terminal.place.rglob("evil"))
    assert f"Release, run {delivery}: succeeded" in terminal.paste(by_hand.replace("$RUN", delivery))
    assert lines(terminal.place / "released") == ["1.10"]
    run = json.loads((terminal.state_dir / f".workflows/Release/{delivery}.json").read_text())
    assert (run["status"], run["inventory"]) == ("succeeded", ["inventory"])
    [answer] = (terminal.state_dir / ".workflows/Mend").glob("*.json")
    assert is_event_id(answer.stem)
    assert lines(terminal.place / "mended") == ["4711"]
