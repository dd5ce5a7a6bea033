# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed records: with keys, what others have put into the store is named, and has no effect at all; what we have put there has."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller
from object_storage_server import ObjectStorageServer
from plays import ask, job, lines, shell
from records import put
from torture import TORTURE

Yaml = dict[str, t.Any]

COLLECTION = "rstyczynski.ansible"
SIGN = f"{COLLECTION}.sign_records"
RECORD = "host1/test/job.json"
APPROVAL = ".approvals/test/gate.json"
KEY = "first key, 32 characters or more"
KEY_OF_OPENSSL = "aGlkZGVuLW5vLW9uZS1zaG91bGQtcmVhZC10aGlzISE="

LOAD = """
- name: test
  hosts: host1
  gather_facts: false
  tasks:
    - name: Load
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_load
      vars:
        async_job_load_job_name: job
    - ansible.builtin.debug:
        msg: "LOADED {{ async_job_load_found }} {{ async_job_load_ansible_job_id }}"
"""


class Place:
    """A store, and how others change what is in it."""

    def __init__(self, controller: Controller, server: ObjectStorageServer | None) -> None:
        self._directory = controller.project / "store"
        self._server = server
        environment = {"ASYNC_JOB_STATE_DIR": str(self._directory)}
        if server is not None:
            environment = {
                "ASYNC_JOB_BACKEND": "oci",
                "ASYNC_JOB_OCI_BUCKET": server.bucket,
                "ASYNC_JOB_OCI_ENDPOINT": server.endpoint,
                "OCI_CONFIG_FILE": str(server.config_file),
            }
            self.as_source: Yaml = {"backend": "oci"}
        else:
            self.as_source = {"state_dir": str(self._directory)}
        controller.environment.update(environment)

    def plant(self, path: str, content: bytes) -> None:
        """Write as somebody who has no key."""
        if self._server is not None:
            self._server.put(path, content)
            return
        file = self._directory / path
        for directory in (self._directory, file.parent.parent, file.parent):
            directory.mkdir(mode=0o700, exist_ok=True)
        file.write_bytes(content)

    def held(self) -> dict[str, bytes]:
        """All there is."""
        if self._server is not None:
            return self._server.objects()
        return {str(file.relative_to(self._directory)): file.read_bytes() for file in self._directory.rglob("*.json")}


# What signs stands in front of any store.
@pytest.fixture(params=["filesystem", "bucket"] if TORTURE else ["bucket"])
def place(request: pytest.FixtureRequest, controller: Controller) -> Iterator[Place]:
    """A store of each kind, and a key."""
    key_file(controller, KEY)
    controller.environment["ASYNC_JOB_RECORD_KEY_FILE"] = str(controller.project / "keys")
    if request.param == "filesystem":
        yield Place(controller, None)
        return
    with ObjectStorageServer() as server:
        yield Place(controller, server)


def key_file(controller: Controller, *keys: str) -> None:
    """Write the file with these keys."""
    file = controller.write("keys", "".join(f"{key}\n" for key in keys))
    file.chmod(0o600)


def module(suffix: str, **options: t.Any) -> Yaml:
    """A task."""
    return {f"{COLLECTION}.async_job_{suffix}": options}


def planted(mark: Path, **fields: t.Any) -> bytes:
    """A record with all that somebody would put into one to get in."""
    (mark.parent / "async").mkdir(exist_ok=True)
    (mark.parent / "async" / "j1.2").write_text("not to be removed")
    (mark.parent / "secret").write_text("s3cret of the operator")
    record = {
        "job_name": "job",
        "host": "host1",
        "playbook_name": "test",
        "ansible_job_id": "j1.2",
        "metadata": {},
        "save_time": "2026-01-01T00:00:00Z",
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-01-01T00:00:01Z",
        "schema_version": 1,
        "write_id": "a",
        "status": "running",
        "attempt": 1,
        "become_user": f"root id >{mark}; #",
        "delegated_host": "localhost",
        "async_dir": str(mark.parent / "async"),
        "stdout_file": str(mark.parent / "secret"),
        "result": {"rc": 0, "add_host": {"host_name": "localhost", "host_vars": {"ansible_become_exe": "/bin/false"}}},
        **fields,
    }
    return json.dumps(record).encode()


def approved() -> bytes:
    """An approval that nobody has given."""
    event = {"by": "ann@ctl", "at": "2026-01-01T00:00:00Z"}
    approval = {
        **{"approval_name": "gate", "playbook_name": "test", "schema_version": 1, "status": "approved", "subject": "go on"},
        **{
            "requested_by": "bob@ctl",
            "requested_at": "2026-01-01T00:00:00Z",
            "decided_by": "ann@ctl",
            "decided_at": "2026-01-01T00:00:00Z",
        },
        **{"expires": "", "allow_self": False, "save_time": "2026-01-01T00:00:00Z"},
        "history": [{"event": "requested", **event}, {"event": "approved", **event}],
    }
    return json.dumps(approval).encode()


def every_task(place: Place, ledger: Path) -> list[Yaml]:
    """Whatever reads records, one task for each way to do so. Those of a single job first, then lists."""
    return [
        module("info", job_name="job"),
        module("state", job_name="job", metadata={"a": 1}),
        module("state", job_name="job", ansible_job_id="j3.4"),
        module("state", job_name="job", state="absent"),
        module("status", job_name="job"),
        module("status", job_name="job", mode="cleanup"),
        module("cancel", job_name="job"),
        job(shell(f"echo done >> {ledger}"), options={"on_change": "attach", "keep_output": False}),
        module("approval", name="gate", mode="wait"),
        module("approval", name="gate", mode="request", subject="go on"),
        module("approval", name="gate", mode="approve", by="eve"),
        module("info"),
        module("show"),
        module("report", dest="report.html"),
        module("verify"),
        module("prune", older_than="1s", apply=True),
        module("prune", older_than="1s", apply=True, store_only=True),
        module("copy", source=place.as_source, backend="filesystem", state_dir="copied"),
    ]


@pytest.mark.parametrize(
    "fields",
    [{}, {"status": "succeeded", "become_user": "root"}, {"status": "prepared", "attempt_dir": "/etc/nologin"}],
    ids=["running", "succeeded", "prepared"],
)
def test_what_others_have_written_has_no_effect(place: Place, controller: Controller, ledger: Path, fields: Yaml) -> None:
    """Every task says so, and neither starts, stops, reads, writes nor removes anything."""
    mark = controller.project / "mark"
    place.plant(RECORD, planted(mark, **fields))
    place.plant(APPROVAL, approved())
    before = place.held()
    tasks = every_task(place, ledger)
    for task, answer in zip(tasks, ask(controller, *tasks), strict=True):
        assert answer["failed"], task
        assert "is not trusted: it carries no signature" in json.dumps(answer), task
        assert f"{COLLECTION}.sign_records" in json.dumps(answer), task
        assert "s3cret" not in json.dumps(answer), task
    loaded = controller.playbook(LOAD).failed()
    assert "is not trusted" in loaded.text
    assert "LOADED" not in loaded.output
    assert place.held() == before
    assert not mark.exists()
    assert not lines(ledger)
    assert not (controller.project / "copied").exists()
    assert (controller.project / "async" / "j1.2").read_text() == "not to be removed"
    assert not Path("/etc/nologin").exists()


def test_the_fleet_and_the_inventory(place: Place, controller: Controller) -> None:
    """They name what is not signed, and make no host of it."""
    mark = controller.project / "mark"
    place.plant(RECORD, planted(mark))
    place.plant("evil/test/job.json", planted(mark, host="evil", status="failed"))
    place.plant("evil2/test/job.json", b"{")
    before = place.held()
    for args in ([], ["-e", "verify=true"]):
        ran = controller.playbook(f"{COLLECTION}.jobs", *args).failed()
        assert "is not trusted: it carries no signature" in ran.text
        assert "0 jobs" in ran.output
    for name, *options in (("show", "-e", "verify=true"), ("cancel",)):
        ran = controller.playbook(f"{COLLECTION}.{name}", "-e", "job=job", "-e", "host=host1", *options).failed()
        assert "is not trusted" in ran.text
    file = controller.write("x.async_jobs.yml", "plugin: rstyczynski.ansible.async_jobs\n")
    inventory = controller.run("inventory", "-i", file, "--list").ok().output
    assert "is not trusted" in inventory.replace("\n", " ")
    hosts = json.loads(inventory[inventory.index("{") : inventory.rindex("}") + 1])
    assert hosts["_meta"]["hostvars"] == {}
    assert "async_job_failed" not in hosts
    assert place.held() == before
    assert not mark.exists()


def test_what_was_signed_elsewhere_or_changed(place: Place, controller: Controller, ledger: Path) -> None:
    """A record of ours in the place of another job, and one that somebody has changed."""
    start = job(shell(f"echo done >> {ledger}"), poll=1)
    assert not ask(controller, start)[0].get("failed")
    ours = place.held()[RECORD]
    place.plant("host1/test/other.json", ours)
    place.plant(RECORD, ours.replace(b'"succeeded"', b'"failed"'))
    asked = [module("info", job_name="other"), module("info", job_name="job"), start]
    other, changed, again = ask(controller, *asked)
    for answer in (other, changed, again):
        assert "its signature is wrong: it was signed for another place, or changed since" in answer["msg"]
    place.plant(RECORD, ours)
    [found] = ask(controller, module("info", job_name="job"))
    assert found["record"]["status"] == "succeeded"
    assert lines(ledger) == ["done"]


def test_everything_works_with_keys(place: Place, controller: Controller, ledger: Path) -> None:
    """Whatever is written is signed, and whoever has the key reads it. Who has none reads it, too, and writes it unsigned."""
    answers = ask(
        controller,
        job(shell(f"echo done >> {ledger}"), poll=1),
        module("state", job_name="plain", ansible_job_id="j3.4"),
        module("state", job_name="plain", metadata={"a": 1}),
        module("status", job_name="job"),
        module("approval", name="gate", mode="request", subject="go on", allow_self=True),
        module("approval", name="gate", mode="approve", subject="go on"),
        module("approval", name="gate", mode="wait"),
        module("copy", source=place.as_source, backend="filesystem", state_dir="copied"),
        module("info"),
    )
    assert not [answer for answer in answers if answer.get("failed")]
    assert answers[6]["approved"]
    assert [record["job_name"] for record in answers[8]["records"]] == ["job", "plain"]
    assert all("signature" not in record for record in answers[8]["records"])
    assert place.held().keys() == {RECORD, "host1/test/plain.json", APPROVAL}
    for content in place.held().values():
        assert json.loads(content)["signature"].keys() == {"key", "hmac"}
    assert json.loads((controller.project / "copied" / RECORD).read_text())["signature"]
    assert "LOADED True" in controller.playbook(LOAD).ok().output
    controller.playbook(f"{COLLECTION}.prune", "-e", "job=job", "-e", "older_than=0s", "-e", "apply=true")
    del controller.environment["ASYNC_JOB_RECORD_KEY_FILE"]
    before = place.held()
    same, changed = ask(controller, module("state", job_name="plain"), module("state", job_name="plain", metadata={"a": 2}))
    assert not same["changed"]
    assert changed["changed"]
    assert "signature" not in json.loads(place.held()["host1/test/plain.json"])
    assert place.held()[APPROVAL] == before[APPROVAL]
    assert lines(ledger) == ["done"]


def test_sign_what_is_there(place: Place, controller: Controller) -> None:
    """First it is only said. What was signed with an older key is signed anew; what is wrong, or just starting, is left alone."""
    place.plant(RECORD, planted(controller.project / "mark"))
    place.plant(APPROVAL, approved())
    place.plant("host1/test/broken.json", b"{")
    place.plant("host1/test/starting.json", planted(controller.project / "mark", job_name="starting", status="starting"))
    place.plant("host1/test/wrong.json", planted(controller.project / "mark", job_name="wrong", signature={"key": "x", "hmac": "y"}))
    before = place.held()
    dry = controller.playbook(SIGN).failed().text
    assert f"2 would be signed: ['{RECORD}', '{APPROVAL}']" in dry
    assert "1 left alone, being started: ['host1/test/starting.json']" in dry
    assert "2 left alone, not to be trusted, read or written" in dry
    assert place.held() == before
    assert "2 signed" in controller.playbook(SIGN, "-e", "apply=true").failed().text
    after = place.held()
    assert {path for path in after if after[path] != before[path]} == {RECORD, APPROVAL}
    key_file(controller, "a second key, as long as the first", KEY)
    assert "2 signed" in controller.playbook(SIGN, "-e", "apply=true").failed().text
    key_file(controller, "a second key, as long as the first")
    assert "2 were signed already" in controller.playbook(SIGN, "-e", "apply=true").failed().text
    assert "1 signed: ['host1/test/wrong.json']" in controller.playbook(SIGN, "-e", "apply=true", "-e", "replace=true").failed().text
    found, waited = ask(controller, module("info", job_name="job"), module("approval", name="gate", mode="wait"))
    assert found["found"]
    assert waited["approved"]


def test_keys_by_variables(controller: Controller) -> None:
    """A relative path is relative to the playbook. The role has a variable of its own. An empty name is a mistake."""
    key_file(controller, KEY)
    [saved] = ask(controller, module("state", job_name="job", ansible_job_id="j1.2"), vars={"async_job_record_key_file": "keys"})
    assert not saved.get("failed")
    assert controller.record("job")["signature"]
    assert "LOADED True j1.2" in controller.playbook(LOAD, "-e", "async_job_load_record_key_file=keys").ok().output
    put(controller.project / "unsigned", "planted", host="host1", playbook="test")
    copy = module("copy", source={"state_dir": "unsigned"}, state_dir="signed")
    [copied] = ask(controller, copy, vars={"async_job_record_key_file": "keys"})
    assert "is not trusted" in copied["msg"]  # or it would be signed on its way
    assert not (controller.project / "signed").exists()
    (controller.project / "keys").chmod(0o644)
    refused = controller.playbook(LOAD, "-e", "async_job_load_record_key_file=keys").failed()
    assert f"Run: chmod 600 {controller.project}/keys" in refused.text
    empty = controller.playbook(LOAD, "-e", "async_job_record_key_file=").failed()
    assert "record_key_file is empty" in empty.text
    given = controller.playbook(LOAD, env={"ASYNC_JOB_RECORD_KEY_FILE": KEY_OF_OPENSSL}).failed()
    assert "record_key_file seems to hold a key" in given.text
    assert KEY_OF_OPENSSL not in given.output
    assert "There is no key to sign with" in controller.playbook(SIGN).failed().text
