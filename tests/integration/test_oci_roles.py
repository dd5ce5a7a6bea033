# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles with their records in a bucket, in playbooks as users write and run them, against a local service."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller
from object_storage_server import ObjectStorageServer
from plays import play, role, run

Yaml = dict[str, t.Any]

INFO = "rstyczynski.ansible.async_job_info"
STATE = "rstyczynski.ansible.async_job_state"
WAIT_SECONDS = 30

# Look for the job, start it unless it was found, save it if it was started, and wait for it.
START_ONCE = """
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - name: Look for the job
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_load
      vars:
        async_job_load_job_name: job

    - name: Start it
      ansible.builtin.shell: echo {{ inventory_hostname }} >> '{{ ledger }}'
      async: 60
      poll: 0
      register: started
      when: not async_job_load_found

    - name: Save it
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_save
      vars:
        async_job_save_job_name: job
        async_job_save_ansible_job_id: "{{ started.ansible_job_id }}"
        async_job_save_results_file: "{{ started.results_file }}"
      when: not async_job_load_found

    - name: Show where
      ansible.builtin.debug:
        msg: "{{ async_job_save_state_file | default('') }}, {{ async_job_load_state_file }}, {{ async_job_load_ansible_job_id }}."

    - name: Wait for it
      ansible.builtin.async_status:
        jid: "{{ started.ansible_job_id | default(async_job_load_ansible_job_id) }}"
      vars:
        ansible_async_dir: "{{ (started.results_file | default('x', true) | dirname) or async_job_load_async_dir }}"
      register: collected
      until: collected is finished
      retries: 300
      delay: 0
"""


class Bucket:
    """A part of a bucket that one test has for itself."""

    def __init__(self, server: ObjectStorageServer) -> None:
        self.server = server
        self.prefix = f"{uuid.uuid4().hex}/"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a controller that keeps its records here, and nowhere else. There are no proxies."""
        return {
            "ASYNC_JOB_BACKEND": "oci",
            "ASYNC_JOB_OCI_BUCKET": self.server.bucket,
            "ASYNC_JOB_OCI_NAMESPACE": self.server.namespace,
            "ASYNC_JOB_OCI_PREFIX": self.prefix,
            "ASYNC_JOB_OCI_ENDPOINT": self.server.endpoint,
            "OCI_CONFIG_FILE": str(self.server.config_file),
            "OCI_METADATA_BASE_URL": "http://127.0.0.1:1",
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    def locate(self, host: str = "host1", job_name: str = "job") -> str:
        """The place of a record, as users see it."""
        return f"oci://{self.server.bucket}/{self.prefix}{host}/test/{job_name}.json"

    def objects(self) -> dict[str, bytes]:
        """What the service holds, by paths."""
        found = self.server.objects()
        return {name[len(self.prefix) :]: found[name] for name in found if name.startswith(self.prefix)}

    def put(self, host: str, content: bytes) -> None:
        """Put the record of the job on a host in place by hand."""
        self.server.put(f"{self.prefix}{host}/test/job.json", content)

    @contextlib.contextmanager
    def requests(self) -> Iterator[Counter[str]]:
        """The numbers of requests that what is inside makes, by kind. Known when it has ended."""
        before = Counter(self.server.requests())
        made: Counter[str] = Counter()
        yield made
        made.update(Counter(self.server.requests()) - before)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStorageServer]:
    """The service."""
    with ObjectStorageServer() as server:
        yield server


@pytest.fixture
def bucket(server: ObjectStorageServer) -> Iterator[Bucket]:
    """Where the records of a test are. Nothing goes wrong there any more once the test has ended."""
    yield Bucket(server)
    server.clear_faults()


@pytest.fixture
def controller(controller: Controller, bucket: Bucket) -> Iterator[Controller]:
    """A controller that keeps its records in the bucket. What it started and still runs at the end is stopped."""
    controller.environment.update(bucket.environment)
    yield controller
    stop_processes(controller)


def stop_processes(controller: Controller) -> None:
    """Kill what commands of this controller left running, which has its home directory as nobody else has."""
    deadline = time.monotonic() + WAIT_SECONDS
    found = True
    while found:
        assert time.monotonic() < deadline
        found = False
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
                if f"HOME={controller.home}".encode() in environ.read_bytes().split(b"\0"):
                    os.kill(int(environ.parent.name), signal.SIGKILL)
                    found = True


SAVE = role("async_job_save", job_name="job", ansible_job_id="j1.1")
LOAD = role("async_job_load", job_name="job")
FOUND = {"ansible.builtin.assert": {"that": ["async_job_load_ansible_job_id == 'j1.1'"]}}


# --- Several controllers, one bucket ----------------------------------------------------------------------------------


def test_two_controllers_start_a_job_once(controller: Controller, bucket: Bucket, collections: Path, tmp_path: Path) -> None:
    """The second one has another project directory and another home, and finds what the first one started."""
    ledger = tmp_path / "ledger"
    (tmp_path / "other").mkdir()
    other = Controller(tmp_path / "other", collections)
    other.environment.update(bucket.environment)
    first = controller.playbook(START_ONCE, "-e", f"ledger={ledger}").ok()
    assert first.recap("host1")["changed"] > 0
    assert f'"msg": "{bucket.locate()}, {bucket.locate()}, ."' in first.output
    with bucket.requests() as made:
        second = other.playbook(START_ONCE, "-e", f"ledger={ledger}").ok()
    assert made == {"GET": 1}
    [record] = bucket.objects().values()
    job_id = json.loads(record)["ansible_job_id"]
    assert f'"msg": ", {bucket.locate()}, {job_id}."' in second.output
    assert ledger.read_text() == "host1\n"
    assert not controller.state_dir.exists()
    assert not other.state_dir.exists()


def test_many_hosts_at_once(controller: Controller, bucket: Bucket) -> None:
    """Each has a record of its own. A second save of the same changes nothing, and writes nothing."""
    hosts = [f"host{number}" for number in range(1, 13)]
    controller.hosts(*hosts)
    first = run(controller, play(SAVE, LOAD, FOUND), options=["--forks", "5"]).ok()
    records = bucket.objects()
    assert records.keys() == {f"{host}/test/job.json" for host in hosts}
    for host in hosts:
        assert first.recap(host)["changed"] == 1
        assert json.loads(records[f"{host}/test/job.json"])["host"] == host
    with bucket.requests() as made:
        second = run(controller, play(SAVE), options=["--forks", "5"]).ok()
    assert made == {"GET": 12}
    for host in hosts:
        assert second.recap(host)["changed"] == 0
    assert bucket.objects() == records


def test_controllers_that_save_the_same_job_at_once(controller: Controller, bucket: Bucket) -> None:
    """None of them fails, and no attempt is lost: each of the others has seen the one before."""
    controller.hosts(*(f"host{number}" for number in range(1, 7)))
    save = role("async_job_save", job_name="job", ansible_job_id="j1.{{ inventory_hostname[4:] }}", host="host1")
    run(controller, play(save), options=["--forks", "6"]).ok()
    [content] = bucket.objects().values()
    record = json.loads(content)
    assert record["attempt"] == 6
    ids = [past["ansible_job_id"] for past in record["attempts"]] + [record["ansible_job_id"]]
    assert sorted(ids) == [f"j1.{number}" for number in range(1, 7)]


def test_check_mode_writes_nothing(controller: Controller, bucket: Bucket) -> None:
    """It says what would be changed, of a new record and of one that is there."""
    with bucket.requests() as made:
        ran = run(controller, play(SAVE, LOAD), options=["--check", "--diff"]).ok()
    assert made == {"GET": 2}
    assert ran.recap("host1")["changed"] == 1
    assert f"+++ after: {bucket.locate()}" in ran.output
    assert bucket.objects() == {}
    run(controller, play(SAVE)).ok()
    before = bucket.objects()
    another = role("async_job_save", job_name="job", ansible_job_id="j2.2")
    forget = {STATE: {"job_name": "job", "state": "absent", "force": True}}
    with bucket.requests() as made:
        ran = run(controller, play(another, forget), options=["--check"]).ok()
    assert made == {"GET": 2}
    assert ran.recap("host1")["changed"] == 2
    assert bucket.objects() == before


SCENARIO = "rstyczynski.ansible.scenarios.scenario_01_oci_basic"
# As a playbook of the user, with the variable for this playbook and all that it imports
IMPORTS = f"""
- name: Import
  ansible.builtin.import_playbook: {SCENARIO}
  vars:
    oci_bucket: from-import
"""


def test_the_scenario_finds_its_bucket_wherever_it_is_set(controller: Controller, bucket: Bucket) -> None:
    """In the environment, by either name, in the inventory, and on the command line, which beats all others."""
    names = ["from-environment", "from-user", "from-inventory", "from-import", "from-command-line"]
    for name in names:
        bucket.server.make_bucket(name)

    def used(playbook: str, *args: t.Any, **environment: str) -> str:
        for variable in ("ASYNC_JOB_OCI_BUCKET", "ASYNC_JOB_BACKEND"):
            controller.environment.pop(variable, None)
        ran = controller.playbook(playbook, "--check", "-e", "target=host1", *args, env=environment).ok()
        [found] = re.findall(r"Its record: oci://([^/]+)/", ran.text)
        return str(found)

    everything = {"OCI_BUCKET": "from-user", "ASYNC_JOB_OCI_BUCKET": "from-environment"}
    assert used(SCENARIO, OCI_BUCKET="from-user") == "from-user"
    assert used(SCENARIO, **everything) == "from-environment"
    controller.hosts("host1 async_job_oci_bucket=from-inventory")
    assert used(SCENARIO, **everything) == "from-inventory"
    assert used(IMPORTS, **everything) == "from-import"
    for variable in ("oci_bucket", "async_job_oci_bucket"):
        assert used(SCENARIO, "-e", f"{variable}=from-command-line", **everything) == "from-command-line"


def test_a_scenario_without_a_bucket_says_where_to_name_it(controller: Controller) -> None:
    """All of the places."""
    text = controller.playbook(SCENARIO, "-e", "target=host1", env={"ASYNC_JOB_OCI_BUCKET": ""}).failed().messages()["host1"]
    for name in ("oci_bucket", "async_job_oci_bucket", "ASYNC_JOB_OCI_BUCKET", "OCI_BUCKET"):
        assert re.search(rf"(?<!\w){name}(?!\w)", text)


def test_an_option_by_both_of_its_names(controller: Controller, bucket: Bucket) -> None:
    """Is refused, unless they agree. Those of the task beat module_defaults, by whichever name."""
    defaults = {"group/rstyczynski.ansible.async_job": {"bucket_name": "elsewhere"}}
    look = {"job_name": "job", "oci_bucket": bucket.server.bucket}
    ran = run(controller, play({INFO: {**look, "bucket_name": "elsewhere"}})).failed()
    assert "oci_bucket and bucket_name are the same option, and have different values" in ran.text
    run(controller, play({INFO: {**look, "bucket_name": bucket.server.bucket}})).ok()
    run(controller, play({INFO: look}, module_defaults=defaults)).ok()


# --- When something is wrong ------------------------------------------------------------------------------------------


def test_when_the_service_is_away_no_job_is_started(controller: Controller, bucket: Bucket, tmp_path: Path) -> None:
    """Who cannot look cannot know. Once it is back, the job is started as ever."""
    ledger = tmp_path / "ledger"
    bucket.server.inject("refuse")
    ran = controller.playbook(START_ONCE, "-e", f"ledger={ledger}", "-e", "async_job_oci_retry_timeout=1").failed()
    text = ran.messages()["host1"]
    assert text.startswith(f"Cannot read {bucket.locate()} at {bucket.server.endpoint}: the connection was refused")
    assert "then run again" in text
    assert not ledger.exists()
    bucket.server.clear_faults()
    assert bucket.objects() == {}
    controller.playbook(START_ONCE, "-e", f"ledger={ledger}", "-e", "async_job_oci_retry_timeout=1").ok()
    assert ledger.read_text() == "host1\n"


def test_when_the_record_cannot_be_saved_the_user_learns_the_job_id(controller: Controller, bucket: Bucket) -> None:
    """The job was started, and nothing but this message knows of it."""
    bucket.server.inject("unavailable", methods=["PUT"], prefix=bucket.prefix)
    ran = run(controller, play(LOAD, SAVE), env={"ASYNC_JOB_OCI_RETRY_TIMEOUT": "1"}).failed()
    text = ran.messages()["host1"]
    assert "HTTP 503 ServiceUnavailable" in text
    assert bucket.locate() in text
    assert "It is not known whether the change arrived" in text
    assert "The job id j1.1 may not have been saved" in text
    assert bucket.objects() == {}


def test_a_corrupt_record_starts_nothing(controller: Controller, bucket: Bucket, tmp_path: Path) -> None:
    """It is left as it is, and the user is told where it is."""
    contents = {"empty": b"", "cut": b"{", "binary": b"\xff\xfe", "list": b"[]", "incomplete": b'{"job_name": "job"}'}
    controller.hosts(*contents)
    for host, content in contents.items():
        bucket.put(host, content)
    texts = controller.playbook(START_ONCE, "-e", f"ledger={tmp_path / 'ledger'}").failed().messages()
    assert texts.keys() == contents.keys()
    for host, text in texts.items():
        assert f"The record {bucket.locate(host)} cannot be used" in text
        assert "Nothing was changed and nothing was started" in text
    assert not (tmp_path / "ledger").exists()
    assert bucket.objects() == {f"{host}/test/job.json": content for host, content in contents.items()}


def test_the_user_hears_that_it_is_tried_again(controller: Controller, bucket: Bucket) -> None:
    """While it is, and on stderr: the playbook goes on only once the service is back, which it is once he has heard."""
    bucket.server.inject("unavailable", prefix=bucket.prefix)
    plays = [{"name": "test", "hosts": "all", "gather_facts": False, "tasks": [SAVE, LOAD, FOUND]}]
    playbook = controller.write("playbook.yml", json.dumps(plays))
    process = subprocess.Popen(
        [sys.executable, "-m", "ansible", "playbook", "-i", controller.inventory, playbook],
        cwd=controller.project,
        env={**controller.environment, "ASYNC_JOB_OCI_RETRY_TIMEOUT": str(WAIT_SECONDS)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        # It ends at the latest when the task has given up.
        heard = next((line for line in process.stderr if "Trying again" in line), "")
        bucket.server.clear_faults()
        stdout, stderr = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert heard.startswith(f"{bucket.locate()}: HTTP 503 ServiceUnavailable"), stderr
    assert process.returncode == 0, stdout + stderr
    assert "Trying again" not in stdout
    assert bucket.objects().keys() == {"host1/test/job.json"}


def test_a_few_faults_are_only_heard_of(controller: Controller, bucket: Bucket) -> None:
    """Once, and the playbook succeeds."""
    bucket.server.inject("unavailable", count=3, prefix=bucket.prefix)
    ran = run(controller, play(SAVE)).ok()
    assert ran.output.count("Trying again") == 1
    assert bucket.objects().keys() == {"host1/test/job.json"}


# --- Who imports the SDK ----------------------------------------------------------------------------------------------

# The workers of newer cores have no stderr of their own, so that the import times that Python can print there get lost.
NOTE_IMPORTS = """
import os
import sys


class Noting:
    # Whoever imports a module that is not there yet asks here first, in whatever way it does that.
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "oci":
            with open(os.environ["NOTED_IMPORTS"], "a") as stream:
                stream.write(f"{os.getpid()}\\n")


sys.meta_path.insert(0, Noting)
"""


@pytest.fixture
def imports(controller: Controller, tmp_path: Path) -> Path:
    """A file that all processes of the controller that import the SDK write their pid to."""
    controller.write("noting/sitecustomize.py", NOTE_IMPORTS)
    noted = tmp_path / "imports"
    noted.touch()
    controller.environment.update(PYTHONPATH=str(controller.project / "noting"), NOTED_IMPORTS=str(noted))
    return noted


def test_the_other_backend_does_not_import_the_sdk(controller: Controller, imports: Path) -> None:
    """It takes its time, and need not be installed. A single task with this backend is noticed."""
    listing: Yaml = {INFO: {}}
    run(controller, play(SAVE, LOAD, FOUND, listing), env={"ASYNC_JOB_BACKEND": "filesystem"}).ok()
    assert controller.record("job")["ansible_job_id"] == "j1.1"
    assert imports.read_text() == ""
    run(controller, play(LOAD)).ok()
    assert len(imports.read_text().splitlines()) == 1


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_the_sdk_is_imported_by_a_few_processes_only(controller: Controller, bucket: Bucket, imports: Path, strategy: str) -> None:
    """Not by each worker, of which there is one for each task of each host."""
    controller.hosts(*(f"host{number}" for number in range(20)))
    save, load = {STATE: {"job_name": "job", "ansible_job_id": "j1.1"}}, {INFO: {"job_name": "job"}}
    with bucket.requests() as made:
        run(controller, play(save, load, strategy=strategy), options=["--forks", "4"]).ok()
    assert made == {"GET": 40, "PUT": 20}
    pids = imports.read_text().splitlines()
    assert len(pids) == len(set(pids))
    assert 1 <= len(pids) <= 4 + 2
