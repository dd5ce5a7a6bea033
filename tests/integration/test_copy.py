# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving house: the playbook copy_records, from a directory to a bucket and back."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Iterator

import pytest
from controller import Controller, Ran
from object_storage_server import ObjectStorageServer
from records import put

PLAYBOOK = "rstyczynski.ansible.copy_records"
SOURCE = "source=state_dir=old"
OLD = {"job_name": "job", "host": "host1", "ansible_job_id": "j1.1", "save_time": "2024-01-01T00:00:00Z", "metadata": {}}
# The same, for the helper: without the name of its playbook, as older releases have written it.
OF_OLD: dict[str, t.Any] = {"host": "host1", "playbook": "play", "playbook_name": None, "save_time": OLD["save_time"]}


@pytest.fixture
def service() -> Iterator[ObjectStorageServer]:
    """An Object Storage service with a bucket."""
    with ObjectStorageServer() as server:
        yield server


@pytest.fixture
def destination(service: ObjectStorageServer) -> list[str]:
    """The arguments that make the bucket the store to copy to."""
    settings = {
        "async_job_backend": "oci",
        "async_job_oci_bucket": service.bucket,
        "async_job_oci_config_file": service.config_file,
        "async_job_oci_endpoint": service.endpoint,
        "async_job_oci_retry_timeout": 2,
    }
    return [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]


def records(service: ObjectStorageServer) -> dict[str, dict[str, t.Any]]:
    """What the bucket holds."""
    return {name: json.loads(content) for name, content in service.objects().items()}


def copy(controller: Controller, *args: t.Any, env: dict[str, str] | None = None) -> Ran:
    """Run the playbook."""
    return controller.playbook(PLAYBOOK, "-e", SOURCE, *args, env=env)


def test_a_dry_run_and_a_copy(controller: Controller, service: ObjectStorageServer, destination: list[str]) -> None:
    """Without apply=true nothing is written, nor with it in check mode. A second copy has nothing to do. Fields survive."""
    put(controller.project / "old", **OF_OLD, ours="survives")
    put(controller.project / "old", "a b", "ünï", "another", save_time=OLD["save_time"], schema_version=1)
    before = {path: path.read_bytes() for path in (controller.project / "old").rglob("*.json")}
    for args in ([], ["-e", "apply=true", "--check"]):
        assert "2 would be copied" in copy(controller, *destination, *args).ok().text
        assert records(service) == {}
    copied = copy(controller, *destination, "-e", "apply=true").ok()
    assert f"From {controller.project}/old to oci://{service.bucket}/" in copied.text
    assert '"2 copied"' in copied.text
    assert records(service).keys() == {"host1/play/job.json", "ünï/another/a b.json"}
    assert records(service)["host1/play/job.json"]["ours"] == "survives"
    again = copy(controller, *destination, "-e", "apply=true").ok()
    assert '"0 copied"' in again.text
    assert '"2 were there already"' in again.text
    assert again.recap("localhost")["changed"] == 0
    assert {path: path.read_bytes() for path in (controller.project / "old").rglob("*.json")} == before


def test_there_and_back(controller: Controller, service: ObjectStorageServer, destination: list[str]) -> None:
    """What went into the bucket comes out of it, and is found by its name."""
    put(controller.project / "old", host="host1", playbook="test", save_time=OLD["save_time"])
    copy(controller, *destination, "-e", "apply=true").ok()
    source = f"source=backend=oci,oci_bucket={service.bucket}"
    environment = {"OCI_CONFIG_FILE": str(service.config_file), "ASYNC_JOB_OCI_ENDPOINT": service.endpoint}
    controller.playbook(PLAYBOOK, "-e", source, "-e", "apply=true", env=environment).ok()
    assert controller.record("job")["ansible_job_id"] == "j1.1"


def test_what_is_left_alone(controller: Controller, service: ObjectStorageServer, destination: list[str]) -> None:
    """What was saved later, and jobs that are just being started, in either place. What is older is replaced."""
    old = controller.project / "old"
    for name in ("newer", "older", "claimed_there"):
        put(old, name, **OF_OLD)
    put(old, "claimed_here", **OF_OLD, status="starting", ansible_job_id="")
    there = {
        "newer": {**OLD, "job_name": "newer", "ansible_job_id": "j2.2", "save_time": "2024-01-01T00:00:01Z"},
        "older": {**OLD, "job_name": "older", "ansible_job_id": "j0.0", "save_time": "2023-12-31T23:59:59Z"},
        "claimed_there": {**OLD, "job_name": "claimed_there", "status": "prepared", "save_time": "2023-01-01T00:00:00Z"},
    }
    for name, record in there.items():
        service.put(f"host1/play/{name}.json", json.dumps(record).encode())
    ran = copy(controller, *destination, "-e", "apply=true").ok()
    assert '"1 copied"' in ran.text
    held = records(service)
    assert held["host1/play/newer.json"] == there["newer"]
    assert held["host1/play/claimed_there.json"] == there["claimed_there"]
    assert held["host1/play/older.json"]["ansible_job_id"] == "j1.1"
    assert "host1/play/claimed_here.json" not in held
    for line in ("1 left alone, the destination has a newer one: ['host1/play/newer.json']", "2 left alone, being started"):
        assert line in ran.text


def test_what_cannot_be_read_is_named(controller: Controller, service: ObjectStorageServer, destination: list[str]) -> None:
    """And fails the playbook. Everything else is copied."""
    old = controller.project / "old"
    put(old, **OF_OLD)
    (old / "host1/play/broken.json").write_text("{")
    service.put("host1/play/there.json", b"{")
    put(old, "there", **OF_OLD)
    ran = copy(controller, *destination, "-e", "apply=true").failed()
    assert "2 records were not copied" in ran.text
    assert '"1 copied"' in ran.text
    assert "2 could not be copied" in ran.text
    assert '"Not complete, see below."' in ran.text
    assert f"{old}/host1/play/broken.json" in ran.text
    assert "host1/play/job.json" in records_that_parse(service)
    assert service.objects()["host1/play/there.json"] == b"{"


def records_that_parse(service: ObjectStorageServer) -> set[str]:
    """The names of the objects that are JSON."""
    return {name for name, content in service.objects().items() if content != b"{"}


def test_an_interrupted_copy_goes_on(controller: Controller, service: ObjectStorageServer, destination: list[str]) -> None:
    """The service goes away in the middle. The next run copies what is missing."""
    for number in range(6):
        put(controller.project / "old", f"job{number}", **OF_OLD)
    service.inject("unavailable", prefix="host1/play/job3")
    copy(controller, *destination, "-e", "apply=true").failed()
    assert 0 < len(records(service)) < 6
    service.clear_faults()
    copy(controller, *destination, "-e", "apply=true").ok()
    assert len(records(service)) == 6


@pytest.mark.parametrize("away", ["PUT", "LIST"])
def test_a_copy_ends_when_the_service_is_away(controller: Controller, service: ObjectStorageServer, away: str) -> None:
    """The time to try again is spent once, not once for each record. What was copied before is said, and is not lost."""
    for number in range(12):
        put(controller.project / "old", f"job{number:02}", **OF_OLD)
    service.put("host1/play/there.json", json.dumps({**OLD, "job_name": "there"}).encode())
    (controller.project / "new").mkdir()
    settings = {"oci_bucket": service.bucket, "oci_config_file": service.config_file, "oci_endpoint": service.endpoint}
    variables = [f"async_job_{name}={value}" for name, value in {"backend": "oci", **settings}.items()]
    if away == "LIST":  # the other way round
        source = {name: str(value) for name, value in settings.items()}
        variables = [json.dumps({"source": source}), "async_job_state_dir=new"]
    service.inject("unavailable", methods=[away], prefix="" if away == "LIST" else "host1/play/job02")
    begin = time.monotonic()
    args = [word for variable in variables for word in ("-e", variable)]
    ran = copy(controller, *args, "-e", "apply=true", env={"ASYNC_JOB_OCI_RETRY_TIMEOUT": "3"}).failed()
    assert time.monotonic() - begin < 20
    assert "HTTP 503" in ran.text
    assert "The copy has ended there" in ran.text
    assert "Not complete" in ran.text
    copied = len(records(service)) - 1
    assert f'"{copied} copied"' in ran.text
    assert copied == (2 if away == "PUT" else 0)


def test_a_source_says_its_backend_by_its_options(controller: Controller, service: ObjectStorageServer) -> None:
    """The environment does not choose it then, which may well speak of the destination."""
    put(controller.project / "old", **OF_OLD)
    service.put("host1/play/there.json", json.dumps({**OLD, "job_name": "there"}).encode())
    environment = {
        "ASYNC_JOB_OCI_ENDPOINT": service.endpoint,
        "OCI_CONFIG_FILE": str(service.config_file),
        "ASYNC_JOB_OCI_BUCKET": service.bucket,
    }
    service.make_bucket("destination")
    to_bucket = {**environment, "ASYNC_JOB_BACKEND": "oci", "ASYNC_JOB_OCI_BUCKET": "destination"}
    ran = copy(controller, "-e", "apply=true", env=to_bucket).ok()
    assert f"From {controller.project}/old to oci://destination/:" in ran.text
    to_directory = {**environment, "ASYNC_JOB_BACKEND": "filesystem"}
    for option in ("oci_bucket", "bucket_name"):
        args = ["-e", f"source={option}={service.bucket}", "-e", "async_job_state_dir=new"]
        ran = controller.playbook(PLAYBOOK, *args, env=to_directory).ok()
        assert f"From oci://{service.bucket}/ to {controller.project}/new:" in ran.text
        assert '"1 would be copied"' in ran.text
    both = controller.playbook(PLAYBOOK, "-e", "source=state_dir=old,oci_bucket=jobs", env=to_directory).failed()
    assert "Say its backend" in both.text
    twice = controller.playbook(PLAYBOOK, "-e", "source=bucket_name=one,oci_bucket=other", env=to_directory).failed()
    assert "oci_bucket and bucket_name are the same option" in twice.text


def test_settings_that_cannot_be(controller: Controller) -> None:
    """The same place twice, no place, options that there are not, and no source at all."""
    assert "is not a directory" in copy(controller, "-e", "async_job_state_dir=new").failed().text
    (controller.project / "old").mkdir()
    assert "are the same" in copy(controller, "-e", "async_job_state_dir=old").failed().text
    assert "Unsupported parameters" in controller.playbook(PLAYBOOK, "-e", "source=directory=old").failed().text
    assert "Say where the records are now" in controller.playbook(PLAYBOOK).failed().text
