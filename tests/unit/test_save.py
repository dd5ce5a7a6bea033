# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving, forgetting, finding and listing records, in a real directory."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_info, async_job_state

PAST = 20
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
OLD = {
    "ansible_job_id": "j1.1",
    "host": "host1",
    "job_name": "job",
    "metadata": {"ticket": "OPS-1234"},
    "save_time": "2025-01-31T22:00:04Z",
}


class Jobs:
    """The records of a state directory, by the functions that the modules call."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def save(self, ansible_job_id: str | None = None, *, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
        """What C(async_job_state) does."""
        params = self.params(async_job_state.ARGUMENT_SPEC, ansible_job_id=ansible_job_id, **given)
        return async_job_state.run(params, check_mode=check_mode)

    def forget(self, **given: t.Any) -> dict[str, t.Any]:
        """What C(async_job_state) does with C(state=absent)."""
        return self.save(state="absent", **given)

    def find(self, **given: t.Any) -> dict[str, t.Any]:
        """What C(async_job_info) does with a job name."""
        return async_job_info.run(self.params(async_job_info.ARGUMENT_SPEC, **given))

    def list(self, **given: t.Any) -> dict[str, t.Any]:
        """What C(async_job_info) does without a job name."""
        return self.find(**{"job_name": None, "host": None, "playbook_name": None, **given})

    def names(self, **given: t.Any) -> set[str]:
        """The names of the jobs in a list."""
        found = self.list(**given)
        assert "failed" not in found
        assert found["found"] == bool(found["records"])
        return {record["job_name"] for record in found["records"]}

    def file(self, job_name: str = "job", *, host: str = "host1", playbook_name: str = "play") -> Path:
        """The file of a record."""
        return self.root / host / playbook_name / f"{job_name}.json"

    def write(self, record: dict[str, t.Any] | bytes, job_name: str = "job", **names: str) -> Path:
        """Put a record in place by hand."""
        file = self.file(job_name, **names)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(record if isinstance(record, bytes) else json.dumps(record).encode())
        return file

    def edit(self, job_name: str = "job", **fields: t.Any) -> Path:
        """Change a record by hand."""
        return self.write({**json.loads(self.file(job_name).read_bytes()), **fields}, job_name)

    def params(self, spec: dict[str, t.Any], **given: t.Any) -> dict[str, t.Any]:
        """Options of a task, validated."""
        assert given.keys() <= spec.keys()
        defaults = {option: values.get("default") for option, values in spec.items()}
        names = {"host": "host1", "playbook_name": "play", "job_name": "job"}
        return {**defaults, "state_dir": str(self.root), **names, **given}


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """A state directory that is not there yet."""
    return Jobs(tmp_path / "state")


def snapshot(directory: Path) -> dict[str, tuple[int, int, bytes | None]]:
    """All that a look at a directory tells: the files, which they are, when they were changed, and their content."""
    found: dict[str, tuple[int, int, bytes | None]] = {}
    for path in [directory, *directory.rglob("*")] if directory.exists() else []:
        status = path.stat()
        found[str(path)] = (status.st_ino, status.st_mtime_ns, path.read_bytes() if path.is_file() else None)
    return found


def refused(action: Callable[[], t.Any], *mentioned: str) -> str:
    """The one paragraph of an error, after making sure that it mentions all of these."""
    with pytest.raises(AsyncJobError) as caught:
        action()
    words = str(caught.value)
    assert "\n" not in words
    for part in mentioned:
        assert part in words
    return words


# --- Saving -----------------------------------------------------------------------------------------------------------


def test_a_new_job_is_saved(jobs: Jobs) -> None:
    """With all that finds it again, in the place that users know."""
    result = jobs.save("j1.1", results_file="/home/deploy/.ansible_async/j1.1", metadata={"ticket": "OPS-1234"})
    assert result["changed"] is True
    assert result["state_file"] == str(jobs.file())
    assert result["warnings"] == []
    record = result["record"]
    assert record == json.loads(jobs.file().read_bytes())
    assert TIME.fullmatch(record.pop("save_time"))
    assert TIME.fullmatch(record.pop("start"))
    assert re.fullmatch(r"[0-9a-f]{32}", record.pop("write_id"))
    assert re.fullmatch(r".+@" + re.escape(os.uname().nodename), record.pop("who"))
    assert record == {
        "job_name": "job",
        "host": "host1",
        "playbook_name": "play",
        "ansible_job_id": "j1.1",
        "metadata": {"ticket": "OPS-1234"},
        "schema_version": 1,
        "status": "running",
        "attempt": 1,
        "results_file": "/home/deploy/.ansible_async/j1.1",
        "async_dir": "/home/deploy/.ansible_async",
    }


def test_what_is_saved_is_found(jobs: Jobs) -> None:
    """By the same names, and by no others."""
    saved = jobs.save("j1.1")
    found = jobs.find()
    assert found["changed"] is False
    assert found["found"] is True
    assert found["record"] == saved["record"]
    assert found["records"] == [saved["record"]]
    assert found["state_file"] == saved["state_file"]
    assert found["store"] == str(jobs.root)
    for other in ({"job_name": "Job"}, {"host": "host2"}, {"playbook_name": "Play"}, {"job_name": ""}):
        nothing = jobs.find(**other)
        assert nothing["found"] is False
        assert nothing["record"] == {}
        assert nothing["records"] == []
        assert nothing["state_file"] != saved["state_file"]


def test_saving_the_same_again_touches_nothing(jobs: Jobs) -> None:
    """Neither the file nor a directory."""
    given: dict[str, t.Any] = {"results_file": "/r/j1.1", "metadata": {"b": [1, None], "a": "ü"}, "status": "running"}
    first = jobs.save("j1.1", **given)
    before = snapshot(jobs.root)
    for again in (given, {}, {"status": "running"}, {"metadata": {"a": "ü", "b": [1, None]}}, {"results_file": "/r/j1.1"}):
        for job_id in ("j1.1", None):
            result = jobs.save(job_id, **again)
            assert result["changed"] is False
            assert result["record"] == first["record"]
            assert result["diff"]["before"] == result["diff"]["after"]
    assert snapshot(jobs.root) == before


@pytest.mark.parametrize(
    "metadata",
    [
        {"when": datetime.date(2026, 1, 31)},
        {"at": [datetime.datetime(2026, 1, 31, 22, 0, 4)]},
        {2: "two", True: "yes", None: "nothing"},
        {"tuple": (1, 2)},
        {"byte": "\udcff"},
        {"number": 1.0, "zero": -0.0, "large": 10**30},
    ],
    ids=["date", "time", "keys", "tuple", "surrogate", "numbers"],
)
def test_what_json_writes_otherwise_is_no_change(jobs: Jobs, metadata: dict[t.Any, t.Any]) -> None:
    """The second save compares what would be written, not what was given."""
    jobs.save("j1.1", metadata=metadata)
    before = snapshot(jobs.root)
    assert jobs.save("j1.1", metadata=metadata)["changed"] is False
    assert snapshot(jobs.root) == before


def test_other_metadata_is_a_change_of_the_same_attempt(jobs: Jobs) -> None:
    """It is replaced as a whole."""
    first = jobs.save("j1.1", metadata={"a": 1, "b": 2})["record"]
    result = jobs.save("j1.1", metadata={"a": 3})
    assert result["changed"] is True
    second = result["record"]
    assert second["metadata"] == {"a": 3}
    assert second["attempt"] == 1
    assert "attempts" not in second
    assert second["write_id"] != first["write_id"]
    assert {**second, "metadata": 0, "write_id": 0, "save_time": 0} == {**first, "metadata": 0, "write_id": 0, "save_time": 0}
    assert jobs.save("j1.1", metadata={})["record"]["metadata"] == {}


def test_what_is_not_given_stays(jobs: Jobs) -> None:
    """The job id, the metadata, the status and the place of the results file."""
    jobs.save("j1.1", metadata={"a": 1}, results_file="/r/j1.1", status="orphaned")
    kept = {"ansible_job_id": "j1.1", "metadata": {"a": 1}, "results_file": "/r/j1.1", "async_dir": "/r", "status": "orphaned"}
    record = jobs.save("j1.1")["record"]
    assert {field: record[field] for field in kept} == kept
    record = jobs.save(metadata={"b": 2})["record"]
    assert {field: record[field] for field in kept} == {**kept, "metadata": {"b": 2}}


@pytest.mark.parametrize(
    ("results_file", "async_dir"),
    [
        ("/home/deploy/.ansible_async/j1.1", "/home/deploy/.ansible_async"),
        ("C:\\Users\\me\\.ansible_async\\j1.1", "C:\\Users\\me\\.ansible_async"),
        ("C:\\a dir/j1.1", "C:\\a dir"),
        ("/j1.1", "/"),
    ],
)
def test_the_directory_of_the_results_file_is_noted(jobs: Jobs, results_file: str, async_dir: str) -> None:
    """In the way of the host that the job runs on."""
    record = jobs.save("j1.1", results_file=results_file)["record"]
    assert (record["results_file"], record["async_dir"]) == (results_file, async_dir)
    record = jobs.save("j1.1")["record"]
    assert (record["results_file"], record["async_dir"]) == (results_file, async_dir)


def test_without_a_results_file_the_configured_directory_is_noted(jobs: Jobs) -> None:
    """For a new attempt only: where an old one is does not change."""
    assert jobs.save("j1.1")["record"]["async_dir"] == "~/.ansible_async"
    params = jobs.params(async_job_state.ARGUMENT_SPEC, ansible_job_id="j1.1")
    assert async_job_state.run(params, check_mode=False, async_dir="/elsewhere")["changed"] is False
    params["ansible_job_id"] = "j2.2"
    assert async_job_state.run(params, check_mode=False, async_dir="/elsewhere")["record"]["async_dir"] == "/elsewhere"


def test_another_job_id_is_another_attempt(jobs: Jobs) -> None:
    """What the record said of the one before goes into its history; names and metadata stay."""
    first = jobs.save("j1.1", metadata={"a": 1}, results_file="/r/j1.1")["record"]
    first = jobs.save(status="failed")["record"]
    result = jobs.save("j2.2")
    assert result["changed"] is True
    second = result["record"]
    assert second["attempt"] == 2
    assert second["ansible_job_id"] == "j2.2"
    assert second["status"] == "running"
    assert second["metadata"] == {"a": 1}
    assert "end" not in second
    assert "results_file" not in second
    assert second["async_dir"] == "~/.ansible_async"
    [past] = second["attempts"]
    assert past == {
        "attempt": 1,
        "ansible_job_id": "j1.1",
        "async_dir": "/r",
        "status": "failed",
        "start": first["start"],
        "end": first["end"],
        "who": first["who"],
        "rc": None,
    }


def test_an_attempt_leaves_nothing_to_the_next_one(jobs: Jobs) -> None:
    """Neither its result nor its place, and its exit status is in the history."""
    jobs.save("j1.1")
    of_an_attempt: dict[str, t.Any] = {
        "boot_id": "b",
        "timeout": 5,
        "attempt_dir": "/a",
        "remote_user": "u",
        "become_user": "b",
        "delegated_host": "d",
        "claim": {},
        "fingerprint": "f",
        "result": {"rc": 3},
    }
    jobs.edit(**of_an_attempt, status="failed", no_log=True)
    second = jobs.save("j2.2")["record"]
    assert second.keys().isdisjoint(of_an_attempt)
    assert second["attempts"][0]["rc"] == 3
    assert second["no_log"] is True


def test_the_history_is_bounded(jobs: Jobs) -> None:
    """The number of the attempt goes on, and the oldest ones are forgotten."""
    for number in range(1, PAST + 6):
        record = jobs.save(f"j{number}.1")["record"]
        assert record["attempt"] == number
        assert len(record["attempts"] if number > 1 else []) == min(number - 1, PAST)
    assert [past["attempt"] for past in record["attempts"]] == list(range(5, PAST + 5))
    assert [past["ansible_job_id"] for past in record["attempts"]] == [f"j{number}.1" for number in range(5, PAST + 5)]


def test_fields_of_later_releases_survive(jobs: Jobs) -> None:
    """A save of the same attempt, and one that begins another one."""
    jobs.save("j1.1")
    jobs.edit(x_note={"deep": ["ü", None]}, attempts=[{"attempt": 0, "x": 1}])
    assert jobs.save("j1.1", metadata={"a": 1})["record"]["x_note"] == {"deep": ["ü", None]}
    record = jobs.save("j2.2")["record"]
    assert record["x_note"] == {"deep": ["ü", None]}
    assert record["attempts"][0] == {"attempt": 0, "x": 1}
    assert record == json.loads(jobs.file().read_bytes())


def test_an_old_record_is_found(jobs: Jobs) -> None:
    """As it is, without a write."""
    jobs.write(OLD)
    before = snapshot(jobs.root)
    assert jobs.find()["record"] == OLD
    [listed] = jobs.list()["records"]
    assert listed == {**OLD, "playbook_name": "play"}
    assert snapshot(jobs.root) == before


def test_an_old_record_is_saved_over(jobs: Jobs) -> None:
    """The same job id stays the first attempt, and keeps what it has."""
    jobs.write(OLD)
    record = jobs.save("j1.1")["record"]
    assert {field: record[field] for field in OLD if field != "save_time"} == {field: OLD[field] for field in OLD if field != "save_time"}
    assert (record["attempt"], record["status"], record["playbook_name"]) == (1, "running", "play")
    before = snapshot(jobs.root)
    assert jobs.save("j1.1")["changed"] is False
    assert snapshot(jobs.root) == before


def test_the_job_of_an_old_record_goes_into_the_history(jobs: Jobs) -> None:
    """When another one is saved."""
    jobs.write(OLD)
    record = jobs.save("j2.2")["record"]
    assert (record["attempt"], record["ansible_job_id"], record["metadata"]) == (2, "j2.2", OLD["metadata"])
    [past] = record["attempts"]
    assert (past["attempt"], past["ansible_job_id"], past["start"]) == (1, "j1.1", OLD["save_time"])
    assert "delta" not in past
    jobs.edit(status="succeeded", result={"rc": 0, "delta": "0:00:03.5"})
    past = jobs.save("j3.3")["record"]["attempts"][-1]
    assert (past["ansible_job_id"], past["rc"], past["delta"]) == ("j2.2", 0, "0:00:03.5")


@pytest.mark.parametrize("status", ["succeeded", "failed", "killed", "timed_out", "lost", "cancelled"])
def test_a_job_that_has_ended_has_an_end(jobs: Jobs, status: str) -> None:
    """Which stays while the status stays, and goes when the job turns out to be running."""
    jobs.save("j1.1")
    assert "end" not in jobs.find()["record"]
    record = jobs.save(status=status)["record"]
    assert record["status"] == status
    assert TIME.fullmatch(record["end"])
    jobs.edit(end="2026-01-31T22:00:04Z")
    assert jobs.save("j1.1", status=status)["changed"] is False
    assert jobs.save("j1.1", metadata={"a": 1})["record"]["end"] == "2026-01-31T22:00:04Z"
    for alive in ("running", "orphaned"):
        record = jobs.save(status=alive)["record"]
        assert record["status"] == alive
        assert "end" not in record
    assert jobs.save("j2.2", status=status)["record"]["end"] != "2026-01-31T22:00:04Z"


def test_a_save_needs_a_job_id_or_a_record(jobs: Jobs, tmp_path: Path) -> None:
    """There is nothing to find again otherwise."""
    refused(lambda: jobs.save(metadata={"a": 1}), "no record", "'job'", "'play'", "'host1'", "ansible_job_id")
    assert snapshot(tmp_path).keys() == {str(tmp_path)}


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        " ",
        "\t\n",
        "a/b",
        "../../etc/passwd",
        "/",
        "j1.1/",
        "j1.1\n",
        "\0",
        "j1\x1b[2J",
        "\u2028",
        ".",
        "..",
        "0",
        "1.1",
        "j1",
        "j1.1 ",
        "j1.host",
        "ünï",
    ],
    ids=repr,
)
def test_what_is_no_job_id_is_refused(jobs: Jobs, tmp_path: Path, job_id: str) -> None:
    """It becomes the name of a file on the host, which is read and removed. The error tells where job ids come from."""
    refused(lambda: jobs.save(job_id), "not a job id", "'async: <seconds>' and 'poll: 0'")
    assert snapshot(tmp_path).keys() == {str(tmp_path)}
    jobs.save("j1.1")
    before = snapshot(jobs.root)
    refused(lambda: jobs.save(job_id), "not a job id")
    assert snapshot(jobs.root) == before


def test_metadata_that_json_cannot_hold_is_refused(jobs: Jobs, tmp_path: Path) -> None:
    """Before anything is written, with its place, and with the job id that is now in nobody's record."""
    words = refused(lambda: jobs.save("j1.1", metadata={"a": [1, b"secret"]}), "metadata.a[1]", "bytes", "job id j1.1 was not saved")
    assert "secret" not in words
    assert snapshot(tmp_path).keys() == {str(tmp_path)}


# --- Check mode and diff ----------------------------------------------------------------------------------------------


def test_check_mode_makes_nothing(jobs: Jobs, tmp_path: Path) -> None:
    """Not even the directory, and predicts what a save would do."""
    result = jobs.save("j1.1", check_mode=True, metadata={"a": 1})
    assert result["changed"] is True
    assert result["record"]["metadata"] == {"a": 1}
    assert jobs.save(state="absent", check_mode=True)["changed"] is False
    assert snapshot(tmp_path).keys() == {str(tmp_path)}


def test_check_mode_changes_nothing(jobs: Jobs) -> None:
    """In a record that is there."""
    jobs.save("j1.1")
    before = snapshot(jobs.root)
    assert jobs.save("j1.1", check_mode=True)["changed"] is False
    assert jobs.save("j1.1", check_mode=True, status="failed")["changed"] is True
    assert jobs.save("j2.2", check_mode=True)["record"]["attempt"] == 2
    assert jobs.forget(check_mode=True, force=True)["changed"] is True
    assert snapshot(jobs.root) == before


def test_check_mode_fails_where_a_save_would_fail(jobs: Jobs) -> None:
    """So that its prediction is worth something."""
    refused(lambda: jobs.save(check_mode=True), "no record")
    refused(lambda: jobs.save("", check_mode=True), "not a job id")
    refused(lambda: jobs.save("j1.1", check_mode=True, metadata={"a": b""}), "metadata.a")
    jobs.write(b"{")
    refused(lambda: jobs.save("j1.1", check_mode=True), str(jobs.file()))
    refused(lambda: jobs.save(state="absent", check_mode=True), str(jobs.file()))


@pytest.mark.parametrize("check_mode", [False, True], ids=["real", "check mode"])
def test_the_diff_is_the_file(jobs: Jobs, check_mode: bool) -> None:
    """Before and after, but for the write id, which tells a person nothing."""

    def shown() -> str:
        record = json.loads(jobs.file().read_bytes())
        del record["write_id"]
        return json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    new = jobs.save("j1.1", check_mode=check_mode)["diff"]
    assert new["before"] == ""
    assert json.loads(new["after"])["ansible_job_id"] == "j1.1"
    assert new["before_header"] == new["after_header"] == str(jobs.file())
    jobs.save("j1.1")
    before = shown()
    changed = jobs.save("j1.1", check_mode=check_mode, metadata={"city": "Zürich"})["diff"]
    assert changed["before"] == before
    assert json.loads(changed["after"])["metadata"] == {"city": "Zürich"}
    assert "write_id" not in changed["before"] + changed["after"]
    if not check_mode:
        assert changed["after"] == shown()
    before = shown()
    gone = jobs.forget(check_mode=check_mode, force=True)["diff"]
    assert (gone["before"], gone["after"]) == (before, "")
    jobs.forget(force=True)
    nothing = jobs.save(state="absent", check_mode=check_mode)["diff"]
    assert nothing["before"] == nothing["after"] == ""


# --- Claimed by another controller ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["starting", "prepared"])
def test_a_job_that_is_being_started_is_left_alone(jobs: Jobs, status: str) -> None:
    """The one who starts it would not find his claim again. The error tells who that is, and since when."""
    jobs.write({**OLD, "ansible_job_id": "", "status": status, "claim": {"who": "ann@controller7", "since": "2026-01-31T22:00:04Z"}})
    before = snapshot(jobs.root)
    for action in (
        lambda: jobs.save("j2.2"),
        lambda: jobs.save(metadata={}),
        lambda: jobs.save(status="failed"),
        lambda: jobs.save("j2.2", check_mode=True),
        jobs.forget,
        lambda: jobs.forget(check_mode=True),
    ):
        refused(action, "being started", "ann@controller7", "2026-01-31T22:00:04Z", "'job'", "Nothing was changed.")
    assert snapshot(jobs.root) == before
    assert jobs.find()["record"]["status"] == status
    assert jobs.names(status=[status]) == {"job"}


def test_a_claim_need_not_tell_everything(jobs: Jobs) -> None:
    """The error says what is known."""
    jobs.write({**OLD, "status": "starting"})
    refused(lambda: jobs.save("j2.2"), "being started", "another controller", str(OLD["save_time"]), "job id j2.2 was not saved")


# --- Forgetting -------------------------------------------------------------------------------------------------------


def test_a_forgotten_job_is_gone(jobs: Jobs) -> None:
    """And nothing else."""
    jobs.save("j1.1", status="succeeded")
    jobs.save("j2.2", job_name="another")
    result = jobs.forget()
    assert result["changed"] is True
    assert result["record"] == {}
    assert result["state_file"] == str(jobs.file())
    assert not jobs.file().exists()
    assert jobs.find()["found"] is False
    assert jobs.names() == {"another"}
    assert jobs.save("j3.3")["record"]["attempt"] == 1


@pytest.mark.parametrize("status", ["running", "orphaned", None])
def test_a_job_that_runs_is_not_forgotten(jobs: Jobs, status: str | None) -> None:
    """Its next run would start a second one. Records of older releases have no status, and count as those of jobs that run."""
    jobs.write({**OLD, **({"status": status} if status else {})})
    before = snapshot(jobs.root)
    for action in (jobs.forget, lambda: jobs.forget(check_mode=True)):
        refused(action, "'job'", status or "running", str(OLD["save_time"]), "Nothing was changed", "async_job_cancel", "force: true")
    assert snapshot(jobs.root) == before
    assert jobs.forget(force=True, check_mode=True)["changed"] is True
    assert snapshot(jobs.root) == before
    assert jobs.forget(force=True)["changed"] is True
    assert not jobs.file().exists()


@pytest.mark.parametrize("status", ["succeeded", "failed", "killed", "timed_out", "lost", "cancelled"])
def test_a_job_that_has_ended_is_forgotten(jobs: Jobs, status: str) -> None:
    jobs.save("j1.1", status=status)
    assert jobs.forget()["changed"] is True


def test_what_is_not_there_need_not_be_forgotten(jobs: Jobs, tmp_path: Path) -> None:
    """Nothing is changed, and nothing is made."""
    assert jobs.forget()["changed"] is False
    assert snapshot(tmp_path).keys() == {str(tmp_path)}
    jobs.save("j1.1", job_name="another")
    before = snapshot(jobs.root)
    assert jobs.forget()["changed"] is False
    assert snapshot(jobs.root) == before


# --- Records that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [b"", b"{", b"[1]", json.dumps({**OLD, "metadata": []}).encode()], ids=repr)
def test_a_corrupt_record_stops_everything(jobs: Jobs, document: bytes) -> None:
    """It is neither absent nor overwritten nor removed. A job id that could not be saved is in the error."""
    file = jobs.write(document)
    before = snapshot(jobs.root)
    refused(jobs.find, str(file), "Nothing was changed")
    refused(jobs.forget, str(file), "Nothing was changed")
    refused(lambda: jobs.save("j9.9"), str(file), "The job id j9.9 was not saved: if that job was started, it goes on running.")
    assert "was not saved" not in refused(lambda: jobs.save(status="failed"), str(file))
    assert snapshot(jobs.root) == before


@pytest.mark.parametrize("moved", [{"job_name": "other"}, {"playbook_name": "other"}, {"host": "other"}, {"job_name": "JOB"}], ids=str)
def test_a_record_that_was_moved_by_hand_is_an_error(jobs: Jobs, moved: dict[str, t.Any]) -> None:
    """By the name it has now, and in a list. By its own name it is not there."""
    jobs.save("j1.1")
    there = jobs.file(**{"job_name": "job", **moved})
    there.parent.mkdir(parents=True, exist_ok=True)
    jobs.file().rename(there)
    before = snapshot(jobs.root)
    [(field, name)] = moved.items()
    for action in (lambda: jobs.find(**moved), lambda: jobs.save("j2.2", **moved), lambda: jobs.forget(**moved)):
        refused(action, str(there), repr(name), field, "belongs to another job", "Nothing was changed.")
    assert jobs.find()["found"] is False
    listed = jobs.list()
    assert listed["failed"] is True
    assert listed["records"] == []
    [unreadable] = listed["unreadable"]
    assert unreadable["state_file"] == str(there)
    for part in (str(there), str(jobs.file()), "moved or copied", "Nothing was changed."):
        assert part in unreadable["msg"]
    assert snapshot(jobs.root) == before


def test_a_copied_record_is_an_error_beside_the_original(jobs: Jobs) -> None:
    """Which is still found."""
    jobs.save("j1.1")
    shutil.copy(jobs.file(), jobs.file("copy"))
    assert jobs.find()["found"] is True
    listed = jobs.list()
    assert [record["job_name"] for record in listed["records"]] == ["job"]
    assert [line["state_file"] for line in listed["unreadable"]] == [str(jobs.file("copy"))]


# --- Lists ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many(jobs: Jobs) -> Jobs:
    """Jobs of several hosts, playbooks, states and ages."""
    for host, playbook_name, job_name, status, age in (
        ("host1", "play", "backup daily", "running", datetime.timedelta(minutes=1)),
        ("host1", "play", "backup weekly", "failed", datetime.timedelta(days=2)),
        ("host1", "other", "Backup", "succeeded", datetime.timedelta(days=20)),
        ("host2", "play", "patch [1]", "lost", datetime.timedelta(hours=3)),
        ("host2", "play", "patch 1", "orphaned", datetime.timedelta(seconds=30)),
    ):
        jobs.save("j1.1", host=host, playbook_name=playbook_name, job_name=job_name, status=status)
        file = jobs.file(job_name, host=host, playbook_name=playbook_name)
        time = (datetime.datetime.now(datetime.timezone.utc) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
        # What has ended is as old as its end, whenever it was started; what has not, as its start. When it was saved makes no difference.
        times = {"start": time} if status in ("running", "orphaned") else {"start": "2020-01-01T00:00:00Z", "end": time}
        file.write_text(json.dumps({**json.loads(file.read_bytes()), **times}))
    jobs.write({**OLD, "host": "host3", "job_name": "old"}, "old", host="host3", playbook_name="legacy")
    return jobs


ALL = {"backup daily", "backup weekly", "Backup", "patch [1]", "patch 1", "old"}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ALL),
        ({"host": "host1"}, {"backup daily", "backup weekly", "Backup"}),
        ({"host": "host"}, set()),
        ({"host": "HOST1"}, set()),
        ({"playbook_name": "play"}, {"backup daily", "backup weekly", "patch [1]", "patch 1"}),
        ({"playbook_name": "legacy"}, {"old"}),
        ({"playbook_name": "pla"}, set()),
        ({"host": "host1", "playbook_name": "other"}, {"Backup"}),
        ({"host": "host2", "playbook_name": "other"}, set()),
        ({"job_name_pattern": "backup*"}, {"backup daily", "backup weekly"}),
        ({"job_name_pattern": "[bB]ackup*"}, {"backup daily", "backup weekly", "Backup"}),
        ({"job_name_pattern": "backup"}, set()),
        ({"job_name_pattern": "patch ?"}, {"patch 1"}),
        ({"job_name_pattern": "patch [1]"}, {"patch 1"}),
        ({"job_name_pattern": "patch [[]1]"}, {"patch [1]"}),
        ({"job_name_pattern": "*"}, ALL),
        ({"job_name_pattern": "!*"}, set()),
        ({"status": ["running"]}, {"backup daily", "old"}),
        ({"status": ["failed", "lost"]}, {"backup weekly", "patch [1]"}),
        ({"status": ["starting"]}, set()),
        ({"newer_than": "1h"}, {"backup daily", "patch 1"}),
        ({"newer_than": "45s"}, {"patch 1"}),
        ({"newer_than": "45 s"}, {"patch 1"}),
        ({"newer_than": " 0.5 h "}, {"backup daily", "patch 1"}),
        ({"older_than": "1d"}, {"backup weekly", "Backup", "old"}),
        ({"older_than": "36h"}, {"backup weekly", "Backup", "old"}),
        ({"older_than": "1w"}, {"Backup", "old"}),
        ({"older_than": "0s"}, ALL),
        ({"newer_than": "0s"}, set()),
        ({"older_than": "2m", "newer_than": "7d"}, {"backup weekly", "patch [1]"}),
        ({"host": "host1", "job_name_pattern": "b*", "status": ["failed"], "older_than": "1d", "newer_than": "1w"}, {"backup weekly"}),
        ({"older_than": "99999999999999w"}, set()),
        ({"newer_than": "9" * 400 + "w"}, ALL),
    ],
    ids=lambda value: "-".join(map(str, value.values()))[:40] or "nothing" if isinstance(value, dict) else "",
)
def test_a_list_holds_what_fits(many: Jobs, given: dict[str, t.Any], names: set[str]) -> None:
    """All filters together, each exact."""
    assert many.names(**given) == names


@pytest.mark.parametrize("option", ["older_than", "newer_than"])
@pytest.mark.parametrize("age", ["", "soon", "1y", "-1d", "1d12h", "d", "1,5h", "nan", "inf", "0x10", "1e3"])
def test_what_is_no_age_is_refused(jobs: Jobs, option: str, age: str) -> None:
    """With what would be one."""
    refused(lambda: jobs.list(**{option: age}), option, repr(age), "30s, 15m, 12h, 7d or 2w")


@pytest.mark.parametrize("time", ["", "yesterday", "2026-13-45T00:00:00Z", "\udcff"])
def test_a_record_without_a_time_is_infinitely_old(jobs: Jobs, time: str) -> None:
    """It is not left out of what is to be cleaned up."""
    jobs.write({**OLD, "save_time": time})
    jobs.write({field: value for field, value in {**OLD, "job_name": "timeless"}.items() if field != "save_time"}, "timeless")
    assert jobs.names(older_than="5000w") == {"job", "timeless"}
    assert jobs.names(newer_than="5000w") == set()


@pytest.mark.parametrize(
    "time", ["2025-01-31T22:00:04Z", "2025-01-31T22:00:04+00:00", "2025-01-31T23:00:04.123456+01:00", "2025-01-31T22:00:04"]
)
def test_times_of_any_iso_form_are_known(jobs: Jobs, time: str) -> None:
    """Those of older records and of other writers."""
    jobs.write({**OLD, "save_time": time})
    now = datetime.datetime.now(datetime.timezone.utc)
    age = now - datetime.datetime(2025, 1, 31, 22, 0, 4, tzinfo=datetime.timezone.utc)
    assert jobs.names(newer_than=f"{int(age.total_seconds()) + 60}s") == {"job"}
    assert jobs.names(older_than=f"{int(age.total_seconds()) - 60}s") == {"job"}


def test_a_list_of_nothing_is_empty(jobs: Jobs, tmp_path: Path) -> None:
    """And makes nothing."""
    listed = jobs.list()
    assert listed["found"] is False
    assert listed["records"] == []
    assert listed["unreadable"] == []
    assert "failed" not in listed
    assert listed["store"] == str(jobs.root)
    assert snapshot(tmp_path).keys() == {str(tmp_path)}


def test_a_list_tells_of_records_that_cannot_be_read(many: Jobs) -> None:
    """It fails, so that nobody takes it for complete, and holds all the others."""
    corrupt = many.write(b"{", "corrupt")
    foreign = many.write({**OLD, "job_name": "somebody else's"}, "foreign")
    listed = many.list()
    assert listed["failed"] is True
    assert {record["job_name"] for record in listed["records"]} == ALL
    assert listed["found"] is True
    assert [line["state_file"] for line in listed["unreadable"]] == [str(corrupt), str(foreign)]
    for file in (corrupt, foreign):
        assert str(file) in listed["msg"]
    assert "\n" not in listed["msg"]
    assert "2 records" in listed["msg"]


def test_a_long_list_of_errors_is_cut(jobs: Jobs) -> None:
    """In the message; all are in the result."""
    files = [jobs.write(b"", f"corrupt {number}") for number in range(5)]
    jobs.save("j1.1")
    listed = jobs.list()
    assert [line["state_file"] for line in listed["unreadable"]] == [str(file) for file in files]
    assert [record["job_name"] for record in listed["records"]] == ["job"]
    assert "5 records" in listed["msg"]
    assert str(files[2]) in listed["msg"]
    assert str(files[3]) not in listed["msg"]
    assert "unreadable" in listed["msg"]


def test_a_list_of_one_playbook_does_not_look_at_others(jobs: Jobs) -> None:
    """Nor at other hosts: what cannot be read there is not asked for."""
    jobs.save("j1.1")
    jobs.write(b"{", playbook_name="another")
    jobs.write(b"{", host="host2", playbook_name="another")
    assert jobs.names(host="host1", playbook_name="play") == {"job"}
    assert jobs.names(playbook_name="play") == {"job"}
    assert jobs.list(host="host1")["failed"] is True


def test_a_file_whose_name_is_not_text_is_an_error(jobs: Jobs) -> None:
    """That can be shown to the user."""
    jobs.save("j1.1")
    strange = os.fsencode(jobs.file().parent) + b"/\xff%\xff.json"
    shutil.copy(os.fsencode(jobs.file()), strange)
    listed = jobs.list()
    assert listed["failed"] is True
    assert [record["job_name"] for record in listed["records"]] == ["job"]
    assert len(listed["unreadable"]) == 1


def test_what_nobody_would_read_is_not_written(jobs: Jobs) -> None:
    """A record that is larger than any is read."""
    jobs.save("j1.1")
    with pytest.raises(AsyncJobError, match="would be larger than 16 MiB"):
        jobs.save(metadata={"all": "x" * (17 << 20)})
    assert jobs.find()["record"]["metadata"] == {}
