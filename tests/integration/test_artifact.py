# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact for Galaxy: all that users need, and nothing else that lies in the checkout of whoever builds it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from release import content, foreign, not_committed, obstacles

ROOT = Path(__file__).resolve().parents[2]

# What people have lying about: stores, reports, keys, environments, inventories, and what editors and tools leave behind.
PRIVATE = (
    ".ansible_async_state/db01/Nightly backup/backup.json",
    ".env",
    ".vault_password",
    "changelogs/fragments/draft.yml",
    "docs/docsite/rst/.guide_user.rst.swp",
    "docs/docsite/rst/notes.rst",
    "docs/site/build.py~",
    "fleet/web1/Release/migrate.json",
    "fleet/.lock",
    "id_ed25519",
    "inventory",
    "jobs.html",
    "my.async_jobs.yml",
    "oci_api_key.pem",
    "playbooks/.ansible_async_state/db01/Nightly backup/backup.json",
    "playbooks/group_vars/all.yml",
    "playbooks/my.async_jobs.yml",
    "playbooks/scenarios/.ansible_async_state/db01/play/job.json",
    "playbooks/scenarios/jobs.html",
    "playbooks/vault.yml",
    "plugins/action/.#async_job.py",
    "plugins/module_utils/.cache/stale.py",
    "plugins/module_utils/_store/__pycache__/oci.cpython-311.pyc",
    "plugins/module_utils/_store/key.pem",
    "plugins/modules/async_job.py~",
    "release.yml",
    "roles/async_job_load/files/token",
    "roles/someone.elses/tasks/main.yml",
    "rstyczynski-ansible-0.0.1.tar.gz",
    "venv/lib/python3.11/site-packages/oci/__init__.py",
    "venv/pyvenv.cfg",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is in the repository."""
    copy = tmp_path_factory.mktemp("checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


@pytest.fixture(scope="module")
def packed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files of the artifact that is built where private things lie about."""
    for name in PRIVATE:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("private\n")
    place = tmp_path_factory.mktemp("artifact")
    command = [sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", str(place)]
    done = subprocess.run(command, cwd=checkout, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [artifact] = place.glob("*.tar.gz")
    with tarfile.open(artifact) as archive:
        return [member.name for member in archive if not member.isdir()]


def test_nothing_is_packed_that_is_not_named(packed: list[str]) -> None:
    assert foreign(packed) == []


@pytest.mark.parametrize(
    "name",
    ["tests/demo.py", "command/async_jobs.py", ".ci/run", ".build/x", "notes.md", "plugins/modules/.x.py", "roles/async_job_load/x/y.yml"],
)
def test_what_may_not_be_packed_is_found(name: str) -> None:
    assert foreign(["README.md", name]) == [name]


def test_a_link_is_refused(tmp_path: Path) -> None:
    """It leads to what no list has seen."""
    artifact = tmp_path / "artifact.tar.gz"
    with tarfile.open(artifact, "w:gz") as archive:
        link = tarfile.TarInfo("plugins/modules/async_job.py")
        link.type, link.linkname = tarfile.SYMTYPE, "../../secret"
        archive.addfile(link)
    with pytest.raises(ValueError, match=r"no file: \['plugins/modules/async_job.py'\]"):
        content(artifact)


def test_nothing_private_is_packed(packed: list[str]) -> None:
    assert sorted({*packed} & {*PRIVATE}) == []


def test_all_that_users_need_is_packed(packed: list[str]) -> None:
    """A new playbook has to be named in galaxy.yml. What is no Python, in a new wing, too."""
    listing = ["git", "ls-files", "docs/docsite", "extensions/eda", "extensions/monitoring", "meta", "playbooks", "plugins", "roles"]
    needed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    assert needed
    assert sorted({name for name in needed if (ROOT / name).exists()} - {*packed}) == []


def test_what_becomes_no_release(tmp_path: Path) -> None:
    """Whatever Git is told to overlook, and if it tells nothing: what is not committed is in no release."""

    def git(*args: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *args], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "changelogs/fragments").mkdir(parents=True)
    (tmp_path / "changelogs/changelog.yaml").write_text("releases: {1.0.0: {}}\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    assert obstacles(tmp_path, "1.0.0") == []
    assert ["2.0.0" in why for why in obstacles(tmp_path, "2.0.0")] == [True]
    git("tag", "v1.0.0")
    assert obstacles(tmp_path, "1.0.0") == []
    git("config", "status.showUntrackedFiles", "no")
    (tmp_path / "draft.py").touch()
    assert ["not clean" in why for why in obstacles(tmp_path, "1.0.0")] == [True]
    committed = {"changelogs/changelog.yaml": (tmp_path / "changelogs/changelog.yaml").read_bytes(), "MANIFEST.json": b"{}"}
    assert not_committed(tmp_path, committed) == []
    assert not_committed(tmp_path, {**committed, "draft.py": b""}) == ["draft.py"]
    assert not_committed(tmp_path, {"changelogs/changelog.yaml": b""}) == ["changelogs/changelog.yaml"]
    git("add", "-A")
    git("commit", "-qm", "second")
    assert ["another content" in why for why in obstacles(tmp_path, "1.0.0")] == [True]
    (tmp_path / "changelogs/fragments/new.yml").touch()
    assert len(obstacles(tmp_path, "1.0.0")) == 3
    (tmp_path / ".git/HEAD").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        obstacles(tmp_path, "1.0.0")
