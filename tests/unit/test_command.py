# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command async-jobs: what it gives to ansible-playbook is what it was given, and what the playbooks take."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_workflow
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import STATUSES

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "command" / "async_jobs.py"

_spec = importlib.util.spec_from_file_location("async_jobs", FILE)
assert _spec is not None
assert _spec.loader is not None
async_jobs: t.Any = importlib.util.module_from_spec(_spec)
sys.modules["async_jobs"] = async_jobs
_spec.loader.exec_module(async_jobs)


def test_what_is_installed_is_what_is_here() -> None:
    """What building leaves behind would be packed in place of the source, as soon as it looks newer."""
    tracked = subprocess.run(["git", "ls-files", "command"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert tracked == ["command/async_jobs.py", "command/pyproject.toml"]


HOSTILE = (
    "Nightly backup", "it's \"quoted\"", "{{ lookup('pipe', 'touch pwned') }}", "{% if x %}", "#jinja2: x", "-x", "--help", "@file",
    "{a: b}", "[1, 2]", "42", "true", "null", "~", "!unsafe x", "a\\b", "$(id) `id`", "\u00e9t\u00e9 \u5099\u4efd \U0001f600",
    "a\nb\tc\x1b[31m\x7f\x85",
    "a: b # c", " ", "key=value",
)  # fmt: skip


def line(*arguments: str) -> list[str]:
    return t.cast("list[str]", async_jobs.command_line(async_jobs.parser().parse(arguments)))


def given(*arguments: str) -> dict[str, t.Any]:
    """Return the variables as Ansible reads them."""
    [text] = [one.partition("=")[2] for one in line(*arguments)[-2:-1]]
    loaded: dict[str, t.Any] = DataLoader().load(text)
    return loaded


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_is_what_it_is(name: str) -> None:
    """A text, letter by letter, which Ansible does not take for a template."""
    read = given("list", f"--job={name}")["job"]
    assert read == name
    assert given("show", "--host", name if not name.startswith("-") else "h", "--", name)["job"] == name
    assert isinstance(read, str)
    if not any(mark in name for mark in ("{{", "{%", "#jinja2")):
        return
    assert "\n" not in line("list", f"--job={name}")[-2]
    try:
        from ansible._internal._datatag._tags import TrustedAsTemplate
    except ImportError:
        assert getattr(read, "__UNSAFE__", False)
    else:
        assert not TrustedAsTemplate.is_tagged_on(read)


def test_its_version_is_that_of_the_collection() -> None:
    assert async_jobs.__version__ == yaml.safe_load((ROOT / "galaxy.yml").read_text("utf-8"))["version"]


def test_settings_and_words_are_those_of_the_collection() -> None:
    assert set(async_jobs.STORE) == set(STORE_OPTIONS)
    assert STATUSES == async_jobs.STATUSES


@pytest.mark.parametrize("name", async_jobs.COMMANDS)
def test_a_command_takes_what_its_playbook_takes(name: str) -> None:
    """Less the second names of things, and what is for callbacks."""
    command = async_jobs.COMMANDS[name]
    playbook = "approve" if name == "reject" else command.playbook  # which the former imports
    play = yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text("utf-8"))[0]
    takes = set(play["vars"]) - {"playbook_name", "job_name", "entries", "decision"}
    assert {option.variable for option in command.options} | set(command.fixed) == takes
    assert command.returns_entries == ("entries" in play["vars"])


@pytest.mark.parametrize("name", ["workflow", "workflow_cancel", "workflow_tick"])
def test_a_playbook_hands_on_what_it_takes(name: str) -> None:
    """Each variable that is an option, with its default."""
    text = (ROOT / f"playbooks/{name}.yml").read_text("utf-8")
    for variable, value in yaml.safe_load(text)[0]["vars"].items():
        default = async_workflow.ARGUMENT_SPEC.get(variable, {}).get("default")
        assert variable == "executor" or f'{variable}: "{{{{ {variable}' in text
        assert default is None or value == default


def test_how_long_to_wait_for_other_hosts() -> None:
    assert given("workflow", "pipeline.yml", "--executor-timeout", "30")["executor_timeout"] in (30, "30")
    play = yaml.safe_load((ROOT / "playbooks/workflow.yml").read_text("utf-8"))[0]
    assert play["vars"]["executor_timeout"] == async_workflow.ARGUMENT_SPEC["executor_timeout"]["default"]


def test_what_is_passed_on() -> None:
    made = line(
        "verify", "--inventory=-odd", "-i", "two", "--limit=web*", "-C", "-vvv", "--vault-id", "x@y", "--state-dir", "/a b", "-o", "json"
    )
    assert made[:3] == ["--inventory=-odd", "--inventory=two", "--limit=web*"]
    assert made.count("--verbose") == 3
    assert {"--check", "--vault-id=x@y"} <= set(made)
    assert made[-1] == "rstyczynski.ansible.jobs"
    variables = given("verify", "--state-dir", "/a b", "-o", "json")
    assert variables == {"async_job_state_dir": "/a b", "verify": True, "async_job_progress": False, "entries": True}
    assert given("prune", "--apply", "--status", "failed") == {"status": "failed", "apply": True}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--stat", "failed"], "async-jobs list: it does not take --stat failed (--status is alike)"),
        (["list", "--satus=failed"], "async-jobs list: it does not take --satus=failed (--status is alike)"),
        (["list", "db01"], "async-jobs list: it does not take db01"),
        (["list", "--sort", "up"], "async-jobs list: argument --sort: invalid choice: 'up' ("),
        (["prune", "--appl"], "async-jobs prune: it does not take --appl (--apply is alike)"),
        (["show"], "async-jobs show: the following arguments are required: JOB"),
        (["show", ""], "async-jobs show: argument JOB: it is empty"),
        (["list", "--status="], "async-jobs list: argument --status: it is empty"),
        (["report", "--dest", "x", "y"], "async-jobs report: it does not take --dest y (DEST stands by itself)"),
        (["report", "--format", "prometheus", "x"], "is said with --as"),
        (["lst"], "async-jobs: argument COMMAND: invalid choice: 'lst' ("),
    ],
)
def test_a_slip_of_the_hand(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, it says what is wrong, that nothing was done, and where to look."""
    with pytest.raises(SystemExit) as ended:
        async_jobs.parser().parse(arguments)
    assert ended.value.code == 2
    [error] = capsys.readouterr().err.splitlines()
    assert said in error
    assert error.endswith(f". Nothing was done. See: {error.partition(':')[0]} --help")


@pytest.mark.parametrize("name", async_jobs.COMMANDS)
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names every option, and the exit codes."""
    with pytest.raises(SystemExit) as ended:
        line(name, "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: async-jobs {name} [OPTIONS]")
    for option in async_jobs.COMMANDS[name].options:
        assert (option.name or f"--{option.variable.replace('_', '-')}").removeprefix("-") in text.lower()
    assert "--state-dir" in text
    assert "exit codes" in text


def run(tmp_path: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with some program in place of ansible-playbook."""
    (tmp_path / "bin").mkdir()
    if program:
        (tmp_path / "bin" / "ansible-playbook").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "bin" / "ansible-playbook").chmod(0o755)
    env = {"PATH": f"{tmp_path}/bin", "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": os.environ["RSTYCZYNSKI_ANSIBLE_TEST_COLLECTIONS"]}
    copy = tmp_path / "async_jobs.py"  # beside no other program
    copy.write_bytes(FILE.read_bytes())
    return subprocess.run([sys.executable, str(copy), *arguments], env=env, capture_output=True, text=True, check=False)


def test_without_ansible(tmp_path: Path) -> None:
    done = run(tmp_path, "", "list")
    assert (done.returncode, done.stdout) == (127, "")
    assert "there is no ansible-playbook on the PATH" in done.stderr


def test_its_end_is_that_of_ansible_and_the_standard_output_that_of_the_callback(tmp_path: Path) -> None:
    program = 'echo noise; eval "echo answer >&$ASYNC_JOB_ANSWERS_DESCRIPTOR"; exit 4'
    done = run(tmp_path, program, "list", "--format", "json")
    assert (done.returncode, done.stdout, done.stderr) == (4, "answer\n", "noise\n")


def test_tags_of_the_environment_and_a_descriptor_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would leave out a part of the answer, or send it elsewhere, does not reach Ansible. Only verify asks for an inventory."""
    monkeypatch.setattr(os, "environ", {**os.environ, "ANSIBLE_SKIP_TAGS": "all", "ASYNC_JOB_ANSWERS_DESCRIPTOR": "7"})
    environment = async_jobs.environment_for(async_jobs.parser().parse_args(["list"]))
    assert environment["ANSIBLE_SKIP_TAGS"] == ""
    assert "ASYNC_JOB_ANSWERS_DESCRIPTOR" not in environment
    assert (environment["ANSIBLE_RUN_TAGS"], environment["ANSIBLE_LOCALHOST_WARNING"]) == ("all", "0")
    assert "ANSIBLE_LOCALHOST_WARNING" not in async_jobs.environment_for(async_jobs.parser().parse_args(["verify"]))


@pytest.mark.parametrize(("arguments", "is_told"), [(["list"], False), (["list", "--limit", "web1"], True), (["verify"], True)])
def test_who_is_told_of_an_inventory_that_is_missing(arguments: list[str], is_told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever needs one."""
    monkeypatch.delenv("ANSIBLE_LOCALHOST_WARNING", raising=False)
    environment = async_jobs.environment_for(async_jobs.parser().parse(arguments))
    assert ("ANSIBLE_LOCALHOST_WARNING" not in environment) == is_told


@pytest.mark.parametrize("ignores", [False, True])
def test_interrupts_that_somebody_ignores(tmp_path: Path, ignores: bool) -> None:
    """As in a script that goes on behind it: Ansible ignores them as well then."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignores else signal.default_int_handler)
    try:
        done = run(tmp_path, "while read line; do case $line in SigIgn*) echo $line;; esac; done </proc/$$/status", "list")
    finally:
        signal.signal(signal.SIGINT, before)
    assert bool(int(done.stdout.split()[-1], 16) & 1 << signal.SIGINT - 1) == ignores


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    done = run(tmp_path, "echo called", "show", os.fsdecode(b"\xff"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "an argument is not text in UTF-8" in done.stderr


def test_without_the_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSTYCZYNSKI_ANSIBLE_TEST_COLLECTIONS", str(tmp_path))
    done = run(tmp_path, "echo the playbook could not be found; exit 1", "list")
    assert done.returncode == 1
    assert "does not find the collection rstyczynski.ansible. Nothing was done." in done.stderr
