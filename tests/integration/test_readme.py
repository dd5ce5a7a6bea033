# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README, pasted from its beginning to its end into an empty directory, by somebody who has only ansible-core."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller
from pages import ROOT, Block, readme
from plays import lines
from waiting import until

# What jobs sleep for, and what they do here instead: wait until the test has seen enough, or not at all.
WAITING = "until test -e {file}; do sleep 0.1; done"


class Galaxy(http.server.BaseHTTPRequestHandler):
    """As much of a Galaxy server as it takes to install the one collection that it has."""

    artifact: t.ClassVar[Path]

    def do_GET(self) -> None:
        """Answer."""
        content = self.artifact.read_bytes()
        version = self.artifact.name.removeprefix("rstyczynski-ansible-").removesuffix(".tar.gz")
        about = {
            "version": version,
            "href": f"/api/v3/collections/rstyczynski/ansible/versions/{version}/",
            "download_url": f"http://{self.headers['Host']}/{self.artifact.name}",
            "artifact": {"sha256": hashlib.sha256(content).hexdigest()},
            "namespace": {"name": "rstyczynski"},
            "collection": {"name": "ansible"},
            "metadata": {"dependencies": {}},
            "requires_ansible": ">=2.16.0",
        }
        answers: dict[str, t.Any] = {
            "/api/": {"available_versions": {"v3": "v3/"}},
            "/api/v3/collections/rstyczynski/ansible/": {"created_at": "2026-01-01", "updated_at": "2026-01-01"},
            "/api/v3/collections/rstyczynski/ansible/versions/": {"data": [about], "links": {"next": None}},
            about["href"]: about,
        }
        path = self.path.partition("?")[0]
        body = content if path == f"/{self.artifact.name}" else json.dumps(answers.get(path, {})).encode()
        self.send_response(200 if path in answers or body is content else 404)
        self.send_header("Content-Type", "application/octet-stream" if body is content else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: t.Any) -> None:
        """Say nothing."""


@pytest.fixture
def galaxy(collections: Path) -> Iterator[str]:
    """Where the artifact that all tests use is offered as Galaxy does it."""
    [artifact] = collections.glob("*.tar.gz")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Galaxy,), {"artifact": artifact}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository of what is in the checkout."""
    copy = tmp_path / "repository"

    def git(*args: str, where: Path = copy) -> str:
        options = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *options, *args], cwd=where, check=True, capture_output=True, text=True).stdout

    for name in filter(None, git("ls-files", "-z", "--cached", "--others", "--exclude-standard", where=ROOT).split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    git("init", "--quiet", "--initial-branch", "main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "all")
    return copy


def same(line: str) -> str:
    """Return a line without what differs from run to run: times, and how wide a column is."""
    line = re.sub(r"\d\d:\d\d:\d\d", "TIME", line)
    return " ".join(re.sub(r"\b\d+[smhd]( \d+[smhd])?\b", "AGE", line).split())


def test_every_block(controller: Controller, galaxy: str, repository: Path, tmp_path: Path) -> None:
    """In their order. What it says is printed, is; nothing warns; and nothing runs twice."""
    place = tmp_path / "empty"
    place.mkdir()
    enough, ledger = tmp_path / "enough", tmp_path / "ledger"
    environment = {name: value for name, value in controller.environment.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "ANSIBLE_ASYNC_DIR": controller.environment["ANSIBLE_ASYNC_DIR"],
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_GALAXY_SERVER": galaxy,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/rstyczynski/ansible.git",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    def paste(block: Block) -> str:
        """Run a block. One whose text goes on with "The run fails" fails."""
        if "collection install" in block.text:  # each way by itself
            shutil.rmtree(controller.home / ".ansible/collections", ignore_errors=True)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == block.after.lstrip().startswith("The run fails"), f"{block.text}\n{done.stdout}"
        assert "WARNING" not in done.stdout, done.stdout
        assert "DEPRECAT" not in done.stdout, done.stdout
        return done.stdout

    printed = ""
    for block in readme():
        if block.language == "yaml":
            names = re.findall(r"`([\w.]+\.yml)`", block.before.strip().rpartition("\n\n")[2])
            for name in names:
                text = block.text.replace("sleep 30;", f"echo backup >> {ledger}; {WAITING.format(file=enough)};")
                (place / name).write_text(text.replace("sleep 5", "true").replace("  test !", f"  echo migrate >> {ledger}; test !"))
        elif block.language == "shell":
            if "a third run" in block.before:
                enough.touch()
                until(lambda: list(controller.home.glob(".ansible_async/*/result")))
            printed = paste(block)
            if "collection install" in block.text:
                assert list(controller.home.glob(".ansible/collections/ansible_collections/rstyczynski/ansible/MANIFEST.json"))
        else:
            said = {same(line) for line in printed.splitlines()}
            assert [line for line in block.text.splitlines() if same(line) not in said] == [], printed
    assert sorted(lines(ledger)) == ["backup", "migrate", "migrate", "migrate"]
    assert (place / "jobs.html").is_file()
