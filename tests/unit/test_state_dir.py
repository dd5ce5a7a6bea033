# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which state directories go away with a run, or may, and which stay."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.action import async_workflow
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _state_dir
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._state_dir import state_dir_warnings

NEW = "The new state directory"
TWICE = "STARTS EVERY JOB A SECOND TIME"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside of any CI system or job runner, whatever these tests run in."""
    for name in (*_state_dir._CI, *_state_dir._CI_WORKSPACES, "WORKSPACE", "AWX_PRIVATE_DATA_DIR", "AWX_ISOLATED_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "builds/project/plays"
    directory.mkdir(parents=True)
    return directory


def warnings(project: Path, state_dir: Path | None = None, **params: t.Any) -> str:
    """What is said of a directory, by default of the one beside the playbook."""
    path = str(state_dir or project / ".ansible_async_state")
    return " ".join(state_dir_warnings({"backend": "filesystem", "state_dir": path, "job_name": "job", **params}, str(project)))


def work_tree(project: Path) -> Path:
    """Make a git work tree of the directory above the playbooks."""
    (project.parent / ".git").mkdir()
    return project.parent


@pytest.mark.parametrize("name", _state_dir._CI_WORKSPACES)
def test_the_workspace_of_a_ci_system(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A directory outside of it stays, such as one that the runner was given once for all."""
    monkeypatch.setenv(name, str(project.parent))
    said = warnings(project)
    assert f"is below {project.parent}, which a CI system ({name})" in said
    assert TWICE in said
    assert warnings(project, tmp_path / "jobs") == ""
    assert warnings(project, tmp_path / "builds/project2") == ""


def test_jenkins(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others, too, have a variable that is called WORKSPACE."""
    monkeypatch.setenv("WORKSPACE", str(project))
    assert warnings(project) == ""
    monkeypatch.setenv("JENKINS_URL", "https://ci.example.com")
    assert "which Jenkins (WORKSPACE)" in warnings(project)
    assert warnings(project, tmp_path / "jobs") == ""


@pytest.mark.parametrize("name", _state_dir._CI)
def test_a_work_tree_in_a_ci_system(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever that is: all of them clean it, or make it anew."""
    monkeypatch.setenv(name, "true")
    assert warnings(project) == ""
    tree = work_tree(project)
    (project / ".ansible_async_state").mkdir()
    said = warnings(project)
    assert f"is below {tree}, which is a git work tree that a CI system ({name} is set)" in said
    assert TWICE in said
    assert warnings(project, tmp_path / "jobs") == ""
    monkeypatch.setenv(name, "false")
    assert warnings(project) == ""


def test_a_new_directory_in_a_work_tree(project: Path, tmp_path: Path) -> None:
    """Said while it is new: each time where the work tree is cleaned or cloned anew, and once where it stays."""
    assert warnings(project) == ""
    tree = work_tree(project)
    said = warnings(project)
    assert f"{NEW} {project}/.ansible_async_state is in the git work tree {tree}" in said
    assert "'git clean' removes it" in said
    assert TWICE in said
    assert warnings(project, tmp_path / "jobs") == ""
    assert warnings(project, create_store=False) == ""  # none will be made
    assert warnings(project, job_name=None) == ""  # a list
    (project / ".ansible_async_state").mkdir()
    assert warnings(project) == ""


@pytest.mark.parametrize("name", [".ansible-runner-x1y2", "awx_12_abcdef", "tmpab12cd_z", "edaab12cd_z"])
def test_what_a_job_runner_makes_for_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    project = tmp_path / name / "project"
    project.mkdir(parents=True)
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", str(tmp_path / name / "artifacts/1"))
    remover = "AWX, Automation Platform, ansible-runner or ansible-rulebook removes after this run"
    assert f"is below {tmp_path / name}, which {remover}" in warnings(project)
    assert warnings(project, tmp_path / "jobs") == ""


def test_the_directory_that_a_job_runner_was_given_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is AWX who has given it."""
    project = tmp_path / "runner/project"
    project.mkdir(parents=True)
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", str(tmp_path / "runner/artifacts/1"))
    assert warnings(project) == ""
    monkeypatch.setenv("AWX_PRIVATE_DATA_DIR", "/tmp/awx_1_x")
    assert TWICE in warnings(project)
    assert TWICE in warnings(Path("/runner/project"))
    assert warnings(project, tmp_path / "jobs") == ""


@pytest.mark.parametrize(
    ("root", "stays"), [("/srv/runner", True), ("/tmp/awx_1_abc", False), ("/tmp/.ansible-runner-abc", False), (None, False)]
)
def test_the_directory_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, root: str | None, stays: bool) -> None:
    """It stays if it is a directory of the host, and not one that was made for this run."""
    table = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + (f"21 20 8:1 {root} /runner rw,relatime - ext4 /dev/sda1 rw\n" if root else "")
    (tmp_path / "mountinfo").write_text(table)
    monkeypatch.setattr(_state_dir, "_MOUNTS", str(tmp_path / "mountinfo"))
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/runner/artifacts/1")
    assert (warnings(Path("/runner/project")) == "") is stays


ASK = """\
import os
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._state_dir import is_purged
print(is_purged(os.getppid()))"""


@pytest.mark.parametrize(
    ("command", "purged"),
    [
        ("ansible-pull -U x --purge local.yml", True),
        ("ansible-pull --pur -U x", True),
        ("ansible-pull -U x local.yml", False),
        ("ansible-pull -U x -p", False),
        ("other --purge", False),
    ],
)
def test_ansible_pull(tmp_path: Path, command: str, purged: bool) -> None:
    """Whatever it has started finds it among its ancestors: here through a shell, as a script."""
    name, *args = command.split()
    script = tmp_path / name
    script.write_text(f'#!/bin/sh\nsh -c \'"{sys.executable}" -c "{ASK}"; true\'\n')
    script.chmod(0o755)
    path = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run([script, *args], check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert done.stdout.strip() == str(purged), done.stderr


def test_the_checkout_of_ansible_pull(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    assert warnings(project) == ""
    monkeypatch.setattr(_state_dir, "is_purged", lambda _playbook: True)
    assert re.search(rf"is below {project.parent}, which ansible-pull --purge removes after this run.*{TWICE}", warnings(project))
    assert warnings(project, tmp_path / "jobs") == ""


def test_a_new_directory_for_runs_of_workflows(project: Path) -> None:
    """They start jobs, as a task does that names one. Whoever shows a run makes none."""
    work_tree(project)
    assert NEW in warnings(project, job_name=None, file="pipeline.yml")
    assert warnings(project, job_name=None, workflow="w", run="r") == ""
    assert async_workflow.ActionModule.begins_runs
