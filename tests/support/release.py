# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the artifact of a release, and try it as users get it. Nothing is published.

It refuses whatever would make a second artifact of one version, or one that nobody could make again. How to go on is printed at the end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml
from matrix import MATRIX
from pythons import pythons

ROOT = Path(__file__).resolve().parents[2]
RELEASES = ROOT / ".build" / "release"

# Every file of the artifact fits one of these.
ALLOWED = (
    r"(MANIFEST|FILES)\.json",
    r"README\.md|SECURITY\.md|CHANGELOG\.rst|COPYING|LICENSES/GPL-3\.0-or-later\.txt|requirements\.txt",
    r"changelogs/changelog\.yaml",
    r"docs/docsite/(extra-docs|links)\.yml|docs/docsite/rst/guide_[a-z_]+\.rst",
    r"extensions/eda/plugins/event_source/\w+\.py",
    r"extensions/monitoring/\w+\.json",
    r"meta/(execution-environment|runtime)\.yml",
    r"playbooks/[a-z_]+\.yml",
    r"playbooks/scenarios/scenario_\d\d_[a-z_]+\.yml",
    r"plugins/(action|callback|doc_fragments|inventory|modules|plugin_utils)/\w+\.py",
    r"plugins/module_utils/(_[a-z_]+/)?\w+\.py",
    r"plugins/module_utils/_report_page/\w+\.(html|css|js)",
    r"roles/async_job_(load|save)/README\.md",
    r"roles/async_job_(load|save)/(defaults|meta|tasks)/\w+\.yml",
)


def foreign(names: Iterable[str]) -> list[str]:
    """Return the files that may not be in an artifact."""
    return [name for name in names if not any(re.fullmatch(pattern, name) for pattern in ALLOWED)]


def content(artifact: Path) -> dict[str, bytes]:
    """Return the files of an artifact. The times that it notes are those of its making.

    :raises ValueError: if it holds anything but files and directories: a link leads to what nobody has looked at
    """
    with tarfile.open(artifact) as archive:
        strange = [member.name for member in archive if not (member.isfile() or member.isdir())]
        if strange:
            raise ValueError(f"the artifact holds what is no file: {strange}")
        files = ((member.name, archive.extractfile(member)) for member in archive if member.isfile())
        return {name: file.read() for name, file in files if file is not None}


def not_committed(root: Path, files: dict[str, bytes]) -> list[str]:
    """Return the files of an artifact that are not as the last commit has them. The lists of its files are made with it."""

    def committed(name: str) -> bytes | None:
        done = subprocess.run(["git", "cat-file", "blob", f"HEAD:{name}"], cwd=root, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    return [name for name, data in files.items() if name not in ("MANIFEST.json", "FILES.json") and committed(name) != data]


def obstacles(root: Path, version: str) -> list[str]:
    """Return why what is in a checkout cannot become this release."""

    def git(*args: str, may_fail: bool = False) -> str:
        return subprocess.run(["git", *args], cwd=root, stdout=subprocess.PIPE, text=True, check=not may_fail).stdout.strip()

    found = []
    if git("status", "--porcelain", "--untracked-files=all"):
        found.append("The tree is not clean: commit, or put aside, what `git status` names.")
    if version not in yaml.safe_load((root / "changelogs/changelog.yaml").read_text("utf-8"))["releases"]:
        found.append(f"The changelog lacks {version}: antsibull-changelog release --version {version}")
    left = sorted(file.name for file in (root / "changelogs/fragments").glob("[!.]*"))
    if left:
        found.append(f"Changelog fragments are left, which are in no release: {', '.join(left)}")
    tagged = git("rev-parse", "--verify", "--quiet", f"refs/tags/v{version}^{{tree}}", may_fail=True)
    if tagged and tagged != git("rev-parse", "HEAD^{tree}"):
        found.append(f"The tag v{version} is there, with another content. Take the next version.")
    return found


def _run(*command: str | Path, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=cwd, env=env, check=True)


def _try(artifact: Path, core: str, interpreter: Path) -> None:
    """Install an artifact where there is nothing else but one release of ansible-core, and run the demo from there."""
    print(f"\n=== {artifact.name} with ansible-core {core}", flush=True)
    with tempfile.TemporaryDirectory(prefix="release-") as directory:
        place = Path(directory)
        _run(interpreter, "-m", "venv", place / "venv")
        _run(place / "venv/bin/pip", "install", "--quiet", f"ansible-core~={core}.0")
        env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "ASYNC_JOB_", "PYTHON"))}
        env["PATH"] = f"{place / 'venv/bin'}{os.pathsep}{env['PATH']}"
        env["ANSIBLE_COLLECTIONS_PATH"], env["ANSIBLE_HOME"] = str(place / "collections"), str(place / "ansible")
        _run("ansible-galaxy", "collection", "install", "--offline", "-p", place / "collections", artifact, env=env, cwd=place)
        _run(place / "venv/bin/python", ROOT / "tests/demo.py", env=env, cwd=place)


def main() -> int:
    """Return 0 if the artifact is made, and works."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text("utf-8"))
    version = str(galaxy["version"])
    found = obstacles(ROOT, version)
    if found:
        print(f"No release {version}:", *found, sep="\n", file=sys.stderr)
        return 1
    RELEASES.mkdir(parents=True, exist_ok=True)
    kept = RELEASES / f"{galaxy['namespace']}-{galaxy['name']}-{version}.tar.gz"
    with tempfile.TemporaryDirectory(prefix="artifact-") as directory:
        _run(Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", directory)
        made = Path(directory, kept.name)
        try:
            files = content(made)
        except ValueError as error:
            print(f"No release {version}: {error}", file=sys.stderr)
            return 1
        if foreign(files):
            print(f"No release {version}. The artifact holds what is on no list: {foreign(files)}", file=sys.stderr)
            return 1
        strange = not_committed(ROOT, files)
        if strange:
            print(f"No release {version}. The artifact holds what is not committed: {strange}", file=sys.stderr)
            return 1
        if kept.exists() and content(kept) != files:
            print(f"No release {version}. {kept} is there, with another content. Take the next version.", file=sys.stderr)
            return 1
        available = pythons()
        cores = [next(iter(MATRIX)), next(reversed(MATRIX))]
        for core in cores:
            fitting = [available[python] for python in MATRIX[core] if python in available]
            if not fitting:
                print(
                    f"No release {version}. For ansible-core {core}, one of Python {', '.join(MATRIX[core])} is missing.", file=sys.stderr
                )
                return 1
            _try(made, core, fitting[0])
        if not kept.exists():
            shutil.copyfile(made, kept)
    print(f"\n{kept} is made, and works with ansible-core {' and '.join(cores)}. To publish it:\n")
    print(f"  git tag --annotate --message 'Release {version}' v{version} && git push origin v{version}")
    print(f"  ansible-galaxy collection publish {kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
