# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of Ansible: whether one has ended is only said where that is seen; and what ARA is told then."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
import typing as t
from pathlib import Path

import pytest
from records import put

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _ara
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_time
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_ara
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records import runs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ara import is_ara_playbook, key_in_ara, value_in_ara
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.runs import has_ended, is_run, this_run
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible, _ara_notes


def ended() -> dict[str, t.Any]:
    """Return a run whose process has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        run = this_run(process.pid)
        process.kill()
    return run


def test_a_run_has_ended_if_its_process_has() -> None:
    """A process that has got its number since is another one."""
    here = this_run(os.getpid())
    assert is_run(here)
    assert has_ended(here) is False
    assert has_ended(ended()) is True
    assert has_ended({**here, "pid_start": here["pid_start"] - 1}) is True


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"boot_id": "other"},
        {"boot_id": ""},
        {"pid_namespace": "pid:[1]"},
        {"boot_id": "other", "pid_namespace": "pid:[1]", "time": 0},
        {"boot_id": "other", "machine_id": "other", "time": 0},
        {"boot_id": "other", "machine_id": "", "time": 0},
        {"boot_id": "other", "nodename": "other", "time": 0},
        {"pid_start": 0},
    ],
)
def test_of_a_run_elsewhere_nobody_can_tell(elsewhere: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run = {**this_run(os.getpid()), **elsewhere}
    monkeypatch.setattr(runs, "_FIRST_NAMESPACE", this_run(os.getpid())["pid_namespace"])
    assert has_ended(run) is None


def test_after_a_boot_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those on this machine, outside of containers, before that."""
    here = this_run(os.getpid())
    before = {**here, "boot_id": "other", "time": int(boot_time()) - 100, "machine_id": here["machine_id"] or "x"}
    monkeypatch.setattr(runs, "here", lambda: {**here, "machine_id": before["machine_id"]})
    monkeypatch.setattr(runs, "_FIRST_NAMESPACE", here["pid_namespace"])
    assert has_ended(before) is True
    assert has_ended({**before, "time": int(time.time())}) is None
    monkeypatch.setattr(runs, "_FIRST_NAMESPACE", "pid:[1]")
    assert has_ended(before) is None


def test_where_processes_are_hidden_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = ended()
    monkeypatch.setattr(runs, "find_process", lambda pid: None)
    assert has_ended(gone) is None


@pytest.mark.parametrize("field", ["pid", "pid_start", "time", "boot_id", "pid_namespace", "nodename", "machine_id"])
def test_what_is_no_run(field: str) -> None:
    run = this_run(os.getpid())
    for value in (None, [], "a\nb", True, -1, 10**18):
        assert not is_run({**run, field: value})
    assert not is_ara_playbook({"started": {**run, "id": 0}})
    assert not is_ara_playbook({"begun": {**run, "id": 1}})
    assert is_ara_playbook({"started": {**run, "id": 1}})


def test_without_its_callback_nothing_of_ara_is_imported() -> None:
    program = (
        "import sys; from ansible_collections.rstyczynski.ansible.plugins.module_utils import _ara; print(_ara.active(), *sys.modules)"
    )
    path = os.pathsep.join(filter(None, sys.path))
    said = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, check=True, stdout=subprocess.PIPE, text=True
    )
    active, *modules = said.stdout.split()
    assert active == "None"
    assert not {"ara", "django", "requests", "urllib3"} & {name.partition(".")[0] for name in modules}


def test_a_play_is_found_by_its_own_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is in the list: a server that does not know of this filter gives the plays of all runs."""
    plays = [{"uuid": "a" * 36, "playbook": 1}, {"playbook": 2}, {"uuid": "b" * 36, "playbook": 3}]
    ara = _ara.Ara(None)
    monkeypatch.setattr(ara, "find", lambda path, **query: plays)
    assert ara.playbook_of("b" * 36) == 3
    assert ara.playbook_of("b" * 36 + "-2") == 3  # of a batch
    assert ara.playbook_of("c" * 36) is None


class Database(_ara.Ara):
    """As much of ARA as a sync needs: playbooks, each with what goes on in it, and records."""

    def __init__(self, playbooks: dict[int, dict[str, t.Any]]) -> None:
        super().__init__(None)
        self.playbooks = playbooks

    def get(self, path: str, **query: t.Any) -> dict[str, t.Any] | None:
        """Return a playbook."""
        return self.playbooks.get(int(path.rpartition("/")[2]))

    def find(self, path: str, **query: t.Any) -> list[dict[str, t.Any]]:
        """Return what goes on."""
        return [{"id": number, "status": "running"} for number in self.playbooks[query["playbook"]][path]]

    def patch(self, path: str, **fields: t.Any) -> dict[str, t.Any]:
        """Change a playbook, or end what goes on."""
        kind, _slash, number = path.partition("/")
        for playbook, about in self.playbooks.items():
            if kind == "playbooks" and playbook == int(number):
                assert about["plays"] == about["tasks"] == []
                about.update(fields)
            elif kind != "playbooks" and int(number) in about[kind]:
                about[kind].remove(int(number))
        return {}

    def record_of(self, playbook: int, key: str) -> dict[str, t.Any] | None:
        """Return what is held under a key."""
        value = self.playbooks[playbook]["records"].get(key)
        return None if value is None else {"value": value}

    def put_record(self, playbook: int, key: str, value: dict[str, t.Any]) -> None:
        """Hold a value under a key."""
        self.playbooks[playbook]["records"][key] = value


def noted(store: Path, number: int, *known: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a playbook of ARA that is running, and says of each of its jobs what a record says."""
    records = {}
    for job, run in enumerate(known):
        name = f"job{number}.{job}"
        put(store, name, host="host1", status="running", ara_playbook={"started": {**run, "id": number}})
        record: Record = {"host": "host1", "playbook_name": "Nightly", "job_name": name, "ara_playbook": {"started": {**run, "id": number}}}
        records[key_in_ara(record)] = value_in_ara(record, number, where=str(store))
    return {"status": "running", "path": "/x.yml", "plays": [], "tasks": [], "records": records}


def test_what_has_spoken_meanwhile_and_what_contradicts_itself_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, alive = ended(), this_run(os.getpid())

    class Ends(Database):
        """In which run 1 says how it has ended, before its process goes."""

        def get(self, path: str, **query: t.Any) -> dict[str, t.Any] | None:
            """Return a playbook as it was before."""
            seen = dict(super().get(path) or {})
            self.playbooks[1]["status"] = "completed"
            return seen

    database = Ends({1: noted(tmp_path, 1, gone), 2: noted(tmp_path, 2, gone, alive), 3: noted(tmp_path, 3, gone, gone)})
    monkeypatch.setattr(_ara, "active", lambda: database)
    params = {name: option.get("default") for name, option in async_job_ara.ARGUMENT_SPEC.items()}
    done = async_job_ara.run({**params, "state_dir": str(tmp_path)}, check_mode=False)
    assert {number: about["status"] for number, about in database.playbooks.items()} == {1: "completed", 2: "running", 3: "expired"}
    assert [one["id"] for one in done["unclear"]] == [2]
    assert "do not name the same run" in done["unclear"][0]["reason"]


def test_only_what_is_proven_to_have_ended_is_set_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, alive = ended(), this_run(os.getpid())
    elsewhere = {**gone, "boot_id": "other"}
    cases: dict[int, tuple[dict[str, t.Any], dict[str, t.Any], str, str]] = {
        # the run of the record; that of ARA; what ARA says, before and after
        1: (gone, gone, "running", "expired"),
        2: (alive, alive, "running", "running"),
        3: (elsewhere, elsewhere, "running", "running"),
        4: (gone, alive, "running", "running"),  # the number of another run, in another database
        5: (gone, gone, "completed", "completed"),
        6: (gone, gone, "failed", "failed"),
    }
    playbooks = {}
    for number, (noted, known, status, _after) in cases.items():
        name = f"job{number}"
        put(tmp_path, name, host="host1", status="running", ara_playbook={"started": {**noted, "id": number}})
        theirs: Record = {"host": "host1", "playbook_name": "Nightly", "job_name": name, "ara_playbook": {}}
        theirs["ara_playbook"]["started"] = {**known, "id": number}
        records = {key_in_ara(theirs): value_in_ara(theirs, number, where=str(tmp_path))}
        playbooks[number] = {"status": status, "path": "/x.yml", "plays": [number * 10], "tasks": [number * 100], "records": records}
    put(tmp_path, "job7", host="host1", ara_playbook={"started": {**gone, "id": 7}})  # ARA has forgotten it
    put(tmp_path, "job8", host="host1", ara_playbook={"started": {"id": 1}})  # not what we write
    database = Database(playbooks)
    monkeypatch.setattr(_ara, "active", lambda: database)
    params = {name: option.get("default") for name, option in async_job_ara.ARGUMENT_SPEC.items()}
    params.update(state_dir=str(tmp_path))

    dry = async_job_ara.run(params, check_mode=True)
    assert {number: about["status"] for number, about in playbooks.items()} == {number: case[2] for number, case in cases.items()}
    done = async_job_ara.run(params, check_mode=False)
    assert {number: about["status"] for number, about in playbooks.items()} == {number: case[3] for number, case in cases.items()}
    assert dry["expired"] == done["expired"]
    assert [one["id"] for one in done["expired"]] == [1]
    assert [(one["id"], one["path"]) for one in done["unclear"]] == [(3, "/x.yml"), (4, "/x.yml")]
    why = [one["reason"] for one in done["unclear"]]
    assert ("Run this there" in why[0], "compare the path" in why[1]) == (True, True)
    assert (dry["changed"], done["playbooks"]) == (True, 7)
    assert async_job_ara.run(params, check_mode=False)["changed"] is False


def test_what_has_ended_by_itself_does_not_expire() -> None:
    """A server that does not know of the filter gives all plays and tasks of a run, whatever became of them; and all playbooks."""
    expired: list[str] = []

    class Old(_ara.Ara):
        """One that knows of no filter."""

        def find(self, path: str, **query: t.Any) -> list[dict[str, t.Any]]:
            """Return all that there is."""
            labels = [{"name": "attempt:job.0123456789abcdef0123456789abcdef"}]
            return [{"id": number, "status": status, "labels": labels} for number, status in ((1, "completed"), (2, "running"))]

        def patch(self, path: str, **fields: t.Any) -> dict[str, t.Any]:
            """Remember what expires."""
            expired.append(path)
            return {}

    record: Record = {"host": "host1", "playbook_name": "w r", "job_name": "n"}
    result: dict[str, t.Any] = {"expired": []}
    async_job_ara._set_right_nodes(Old(None), {"job.0123456789abcdef0123456789abcdef": record}, result, check_mode=False)
    assert expired == ["tasks/2", "plays/2", "playbooks/2"]
    assert [one["id"] for one in result["expired"]] == [2]


def test_what_is_held_under_another_key_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are databases to which what differs in case is the same."""
    ara = _ara.Ara(None)
    monkeypatch.setattr(ara, "find", lambda path, **query: [{"id": 1, "key": "async_job A"}, {"id": 2, "key": "async_job a"}])
    monkeypatch.setattr(ara, "get", lambda path, **query: {"path": path})
    assert ara.record_of(7, "async_job a") == {"path": "records/2"}
    assert ara.record_of(7, "async_job B") is None


def test_what_was_set_right_before_ara_went_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = ended()

    class Leaves(Database):
        """One that goes away."""

        def get(self, path: str, **query: t.Any) -> dict[str, t.Any] | None:
            """Return a playbook, but for the second one."""
            if path == "playbooks/2":
                raise AsyncJobError("ARA has not answered playbooks/2: OSError: gone.")
            return super().get(path)

    database = Leaves({1: noted(tmp_path, 1, gone), 2: noted(tmp_path, 2, gone)})
    monkeypatch.setattr(_ara, "active", lambda: database)
    params = {name: option.get("default") for name, option in async_job_ara.ARGUMENT_SPEC.items()}
    done = async_job_ara.run({**params, "state_dir": str(tmp_path)}, check_mode=False)
    assert [one["id"] for one in done["expired"]] == [1]
    assert (done["changed"], done["failed"]) == (True, True)
    assert "playbooks/2: OSError: gone. It has ended there" in done["msg"]
    assert "run it again" in done["msg"]


def test_that_ara_is_away_is_said_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item of a loop is a task of its own there."""

    def ask(*_args: t.Any, **_options: t.Any) -> t.Any:
        raise ConnectionError("It is away.")

    monkeypatch.setattr(_ara, "active", lambda: _ara.Ara(types.SimpleNamespace(get=ask)))
    monkeypatch.setattr(_ansible, "uuid_of_play", lambda task: "x")
    monkeypatch.setattr(_ara_notes, "_said", [])
    lines: list[str] = []
    for _item in range(4):
        notes = _ara_notes.AraNotes(types.SimpleNamespace(check_mode=False), os.getpid(), lines.append)
        assert notes.of_start() == {"ara_playbook": None}
        assert notes.is_active is False
    [line] = lines
    assert "ARA has not answered plays: ConnectionError: It is away." in line
