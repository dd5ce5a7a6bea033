# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repository says of itself: linters are listed once, and nothing that belongs to it is ignored."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_each_linter_is_a_hook() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [line] = re.findall(r"^lint:(.*)$", makefile, re.MULTILINE)
    linters = line.split()
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert linters
    assert [hook["id"] for hook in hooks] == linters
    assert [hook["entry"] for hook in hooks] == [f"make {linter}" for linter in linters]


def test_the_workflow_runs_what_anybody_can_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    assert any(step.get("run", "").endswith(".ci/run") for job in workflow["jobs"].values() for step in job["steps"])


@pytest.mark.parametrize("name", [".pre-commit-config.yaml", ".github/workflows/new.yml", ".ci/new", "changelogs/fragments/.keep"])
def test_what_belongs_to_the_repository_is_not_ignored(name: str) -> None:
    assert subprocess.run(["git", "check-ignore", "--no-index", name], cwd=ROOT, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("name", [".build/collection", "playbooks/.ansible_async_state/.lock", "a.tar.gz"])
def test_what_tools_leave_behind_is_ignored(name: str) -> None:
    assert subprocess.run(["git", "check-ignore", "--no-index", name], cwd=ROOT, capture_output=True, check=False).returncode == 0


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-").lower() for heading in headings}


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md"])
def test_links_lead_somewhere(name: str) -> None:
    """To a file that there is, and to a heading that it has. Those of the README are absolute: test_guides.py."""
    broken = []
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text("utf-8")) if "://" not in link]
    assert links
    for link in links:
        path, _hash, anchor = link.partition("#")
        page = ROOT / (path or name)
        if not page.exists() or (anchor and anchor not in _anchors(page)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md"])
def test_files_that_are_named_are_there(name: str) -> None:
    """Paths below the directories of the code, as they stand in the text."""
    places = "extensions|plugins|module_utils|plugin_utils|tests|playbooks|roles"
    named = re.findall(rf"(?<![\w/])(?:{places})/[\w/]+\.(?:py|sh|yml)\b", (ROOT / name).read_text("utf-8"))
    assert [path for path in named if not any((ROOT / base / path).exists() for base in (".", "plugins"))] == []
