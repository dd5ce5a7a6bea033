# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""At which commit a project is, here and on a host; what nodes end with, where a job should not; and which Ansible runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import SAYS, said_in
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._nodes import command_beside
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._project import (
    Commit,
    commit_of,
    commit_said,
    mismatch,
    not_survived,
    script_for,
)


def git(directory: Path, *words: str) -> None:
    options = ("-c", "user.name=ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(directory), *options, *words], check=True, capture_output=True)


def on_a_host(directory: Path) -> dict[str, list[str]]:
    """Return what a shell says of a directory."""
    ran = subprocess.run(["sh", "-c", script_for(str(directory), SAYS)], capture_output=True, text=True, check=True)
    return said_in(ran.stdout, ran.stderr)


def test_commits(tmp_path: Path) -> None:
    """A shell says the same as we do, whatever the directory is called."""
    project = tmp_path / "a 'project'"
    project.mkdir()
    assert (commit_of(str(project)), commit_said(on_a_host(project))) == (None, None)
    git(project, "init", "-q")
    assert commit_of(str(project)) is None
    (project / "w.yml").write_text("x")
    git(project, "add", ".")
    git(project, "commit", "-qm", "x")
    (project / "notes").write_text("what git does not know is no change")
    here = commit_of(str(project))
    assert here is not None
    assert (here.is_dirty, commit_said(on_a_host(project))) == (False, here)
    (project / "w.yml").write_text("y")
    assert commit_of(str(project)) == commit_said(on_a_host(project)) == here._replace(is_dirty=True)
    assert "missing" in on_a_host(tmp_path / "gone")


def test_what_differs() -> None:
    """Both commits are named. Where nobody knows one here, nothing is asked for there."""
    one, other = Commit("1" * 40, False), Commit("2" * 40, True)
    assert mismatch(one, one._replace(is_dirty=True), "db01", "/srv") == ""
    assert mismatch(None, one, "db01", "/srv") == ""
    said = mismatch(one, other, "db01", "/srv")
    assert "here is at 111111111111; on db01, /srv is at 222222222222 and changes that are not committed. Nothing was started" in said
    assert "is in no repository that git can read there" in mismatch(one, None, "db01", "/srv")
    assert commit_said({"commit": ["x; rm -rf /"]}) is None


@pytest.mark.parametrize(
    ("cgroup", "end"),
    [
        ("0::/system.slice/gitlab-runner.service\n", "the service gitlab-runner.service"),
        ("1:name=systemd:/system.slice/jenkins.service\n0::/\n", "the service jenkins.service"),
        ("0::/system.slice/cron.service\n", ""),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", ""),
        ("0::/init.scope\n", ""),
        ("", ""),
    ],
)
def test_what_nodes_end_with(cgroup: str, end: str) -> None:
    """What somebody has started by hand, or cron, goes on."""
    assert not_survived(cgroup, in_container=False) == end
    assert not_survived(cgroup, in_container=True) == "this container"


def test_which_ansible_runs_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command beside the one that was called: what that finds beside itself, nodes find, and nothing that lies in a project."""
    module = sys.executable, "-m", "ansible.cli.playbook"
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "bin" / "ansible-playbook"
    script.parent.mkdir()
    assert command_beside("bin/ansible") == module
    script.write_text("")
    assert command_beside("bin/ansible") == module
    script.chmod(0o755)
    assert command_beside("bin/ansible") == command_beside(str(script)) == (str(script),)
    (tmp_path / "ansible-playbook").symlink_to(script)
    assert command_beside("ansible-playbook") == command_beside("-c") == command_beside(str(tmp_path / "lib" / "__main__.py")) == module
