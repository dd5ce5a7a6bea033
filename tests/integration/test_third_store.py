# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A third kind of store takes one class and one row in the table of stores, and everything works with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from controller import Controller

COLLECTION = "ansible_collections/rstyczynski/ansible"
STORE_WING = f"{COLLECTION}/plugins/module_utils/_store"

# All documents in one JSON file.
TINY_STORE = """
from __future__ import annotations

import hashlib
import json
import os

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, ChosenStore, Document, Entry, Version


class TinyStore(ChosenStore):
    def __init__(self, file):
        self._file = file
        self.warnings = ["this store is tiny"]

    @classmethod
    def open(cls, params, notify):
        return cls(params["tiny_file"])

    def locate(self, path=""):
        return f"tiny:{self._file}:{path}"

    def must_exist(self):
        pass

    def _all(self):
        if not os.path.exists(self._file):
            return {}
        with open(self._file, encoding="utf-8") as file:
            return json.load(file)

    def _replace(self, documents):
        with open(self._file, "w", encoding="utf-8") as file:
            json.dump(documents, file)

    def read(self, path):
        text = self._all().get(path)
        if text is None:
            return None
        return Document(text.encode(), Version(hashlib.sha256(text.encode()).hexdigest()))

    def _expect(self, path, expect):
        found = self.read(path)
        if expect is not None and expect != (ABSENT if found is None else found.version):
            raise Conflict("changed")
        return found

    def write(self, path, content, *, expect=None):
        self._expect(path, expect)
        self._replace({**self._all(), path: content.decode()})
        return self.read(path).version

    def delete(self, path, *, expect=None):
        found = self._expect(path, expect)
        self._replace({key: text for key, text in self._all().items() if key != path})
        return found is not None

    def entries(self, prefix="", wanted=lambda path: True):
        for path in sorted(self._all()):
            if path.startswith(prefix) and (prefix or not path.startswith(".")) and wanted(path):
                yield Entry(path, self.read(path), None)
"""

ROW = """
BACKENDS["tiny"] = Backend(
    module="tiny",
    class_name="TinyStore",
    options={"tiny_file": option("ASYNC_JOB_TINY_FILE", type="path", default="tiny.json", aliases=["tiny"])},
    place=("tiny_file",),
    paths=("tiny_file",),
    package="tiny_sdk",
)
"""

# Each process that imports it leaves a line.
SDK = 'import os\nwith open(os.environ["TINY_LEDGER"], "a", encoding="utf-8") as file:\n    file.write(f"{os.getpid()}\\n")\n'

PLAYBOOK = """
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - rstyczynski.ansible.async_job_state:
        job_name: job
        ansible_job_id: j1.1
      register: saved
    - rstyczynski.ansible.async_job_info:
        job_name: job
      register: found
    - ansible.builtin.debug:
        msg: "saved in {{ saved.state_file }}, found {{ found.record.ansible_job_id }}"
"""

APPROVAL = """
- name: test
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - rstyczynski.ansible.async_job_approval:
        name: gate
        mode: request
        subject: to go on
      register: asked
    - ansible.builtin.debug:
        var: asked.msg
"""


@pytest.fixture
def controller(controller: Controller, collections: Path, tmp_path: Path) -> Controller:
    """A controller whose collection has one kind of store more."""
    own = tmp_path / "collections"
    shutil.copytree(collections, own)
    (own / STORE_WING / "tiny.py").write_text(TINY_STORE)
    with (own / COLLECTION / "plugins/module_utils/_backends.py").open("a") as table:
        table.write(ROW)
    (tmp_path / "sdk").mkdir()
    (tmp_path / "sdk" / "tiny_sdk.py").write_text(SDK)
    controller.environment.update(
        ANSIBLE_COLLECTIONS_PATH=str(own),
        PYTHONPATH=str(tmp_path / "sdk"),
        TINY_LEDGER=str(tmp_path / "imports"),
    )
    return controller


def documents(controller: Controller, file: str = "tiny.json") -> dict[str, str]:
    """What the store holds."""
    held: dict[str, str] = json.loads((controller.project / file).read_text("utf-8"))
    return held


def test_tasks_use_it(controller: Controller) -> None:
    """By its variable, with a path that is relative to the playbook, from whatever directory, and with its warnings."""
    ran = controller.playbook(PLAYBOOK, "-e", "async_job_backend=tiny", cwd=controller.home).ok()
    assert f"saved in tiny:{controller.project}/tiny.json:host1/test/job.json, found j1.1" in ran.text
    assert "this store is tiny" in ran.text
    assert documents(controller).keys() == {"host1/test/job.json"}
    assert not controller.state_dir.exists()


def test_records_move_there_and_back(controller: Controller) -> None:
    """The source says which kind it is by the option of its place, under each of its names."""
    controller.playbook(PLAYBOOK).ok()
    args = ("-e", "apply=true", "-e", "source=state_dir=.ansible_async_state")
    copied = controller.playbook("rstyczynski.ansible.copy_records", *args, "-e", "async_job_backend=tiny").ok()
    assert '"1 copied"' in copied.text
    for option in ("tiny_file", "tiny"):
        args = ("-e", f"source={option}=tiny.json", "-e", f"async_job_state_dir=back_{option}", "-e", "apply=true")
        controller.playbook("rstyczynski.ansible.copy_records", *args).ok()
        assert (controller.project / f"back_{option}/host1/test/job.json").exists()
    both = controller.playbook("rstyczynski.ansible.copy_records", "-e", "source=tiny=a,state_dir=b").failed()
    assert "The source has state_dir and tiny_file." in both.text
    assert "Say its backend: filesystem or tiny." in both.text


def test_an_approval_tells_where_it_is(controller: Controller) -> None:
    """The command that it prints has the settings of the store."""
    ran = controller.playbook(APPROVAL, "-e", "async_job_backend=tiny").ok()
    assert " -e async_job_backend=tiny" in ran.text
    assert f" -e async_job_tiny_file={controller.project}/tiny.json" in ran.text


@pytest.mark.parametrize("chosen_by", ["environment", "variable"])
def test_its_package_is_imported_once(controller: Controller, tmp_path: Path, chosen_by: str) -> None:
    """By the process that forks the workers, however many hosts there are. Nobody else imports it: this store has no use for it."""
    controller.hosts("host1", "host2", "host3")
    if chosen_by == "environment":
        controller.playbook(PLAYBOOK, env={"ASYNC_JOB_BACKEND": "tiny"}).ok()
    else:
        controller.playbook(PLAYBOOK, "-e", "async_job_backend=tiny").ok()
    assert len((tmp_path / "imports").read_text().splitlines()) == 1


def test_a_directory_needs_no_package(controller: Controller, tmp_path: Path) -> None:
    """What another kind of store needs is not imported."""
    controller.playbook(PLAYBOOK).ok()
    assert not (tmp_path / "imports").exists()


def test_it_goes_away_with_a_run_like_a_directory(controller: Controller) -> None:
    """Whatever store keeps its records on this machine, a job runner that throws these away is warned of."""
    ran = controller.playbook(PLAYBOOK, "-e", "async_job_backend=tiny", env={"AWX_PRIVATE_DATA_DIR": str(controller.project)}).ok()
    assert "STARTS EVERY JOB A SECOND TIME" in ran.text.replace("\n", " ")
