# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task is told of a job: what was cut says so, what playbooks ask for is there, and what names nobody has meant."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from records import put

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import look_and_output
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.output import Reader
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_state
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules.async_job_status import cut_output, of_a_loop, returned
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.last_line import last_words
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, key_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import kept_result, lacking
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked, of_record, other_machine, with_kept_output
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._job_ids import by_its_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._names import check_name

ROOT = Path(__file__).parents[2]
ATTEMPT = f"/var/tmp/{'0' * 32}"


def seen(status: str, **fields: t.Any) -> Seen:
    return t.cast("Seen", {**UNSEEN, "status": status, "reason": f"it is {status}", **fields})


# How playbooks that were written for async_status tell what became of a job
WORD = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
    """{% if check.failed and 'could not find job' in check.msg %}gone
    {% elif check.failed and check.finished and check.rc != 0 %}died
    {% elif not check.finished %}runs
    {% else %}done
    {% endif %}"""
)
TIME_IS_UP = {"failed": 1, "msg": "Timeout exceeded", "child_pid": 7}
WORDS: dict[str, tuple[Seen, str]] = {
    "running": (seen("running"), "runs"),
    "its wrapper was killed, and its work goes on": (seen("orphaned"), "runs"),
    "succeeded": (seen("succeeded", result={"rc": 0, "msg": ""}), "done"),
    "a module without a return code": (seen("succeeded", result={"changed": True}), "done"),
    "failed": (seen("failed", result={"rc": 3, "failed": True, "msg": "non-zero return code"}), "died"),
    "a module that says why it has failed in an odd way": (seen("failed", result={"failed": True, "msg": None}), "died"),
    "its command was killed": (seen("killed", result={"rc": -15, "failed": True}), "died"),
    "its wrapper was killed": (seen("killed"), "died"),
    "its time was over": (seen("timed_out", result=TIME_IS_UP), "died"),
    "its results file is gone": (seen("lost"), "gone"),
    "its host has rebooted": (seen("lost", reason="the host of job j1.2 rebooted at 2026-02-01T03:12:09Z"), "gone"),
}


@pytest.mark.parametrize("case", WORDS)
def test_tests_that_were_written_for_async_status(case: str) -> None:
    """They find the words and the return code that they look for, and come to the right conclusion."""
    look, word = WORDS[case]
    answer = returned("j1.2", look)
    assert WORD.render(check=answer).strip() == word
    assert answer["rc"] == {"done": 0, "gone": None, "runs": None}.get(word, (look["result"] or {}).get("rc"))


def test_names_that_a_module_uses_too() -> None:
    """What a module returns under them is there all the same, and no more than that is there twice."""
    uri = {"status": 200, "elapsed": 3, "reason": "OK", "url": "http://web1/"}
    answer = returned("j1.2", seen("succeeded", result=uri, elapsed=7.5))
    assert (answer["status"], answer["elapsed"], answer["reason"], answer["url"]) == ("succeeded", 7.5, "it is succeeded", "http://web1/")
    assert answer["module_result"] == {"status": 200, "elapsed": 3, "reason": "OK"}
    assert "module_result" not in returned("j1.2", seen("succeeded", result={"rc": 0, "stdout": "x"}))


RECORD: Record = {"job_name": "job", "host": "web1", "playbook_name": "p", "ansible_job_id": "j1.2", "metadata": {}}
IN_FILES: Record = {**RECORD, "attempt_dir": ATTEMPT, "async_dir": ATTEMPT}


def output_in(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: value for name, value in answer.items() if name.startswith("std")}


def look_at(directory: Path, which: str = "tail", **fields: t.Any) -> Seen:
    [look] = look_and_output.look_with_output(
        [Job(job_id="j1.2", label="job", directory=str(directory), **fields)], output=which, tail_size=10
    )
    return look


def test_how_far_a_job_is_that_does_not_know_any_more(tmp_path: Path) -> None:
    """What it said before is no longer true."""
    output = tmp_path / "output"
    reader = Reader(Job(job_id="j1.2", label="job", directory=str(tmp_path), stdout_file=str(output)), None, os.getuid())
    for text, progress in (("PROGRESS 6/6 Copy\n", {"current": 6, "total": 6, "text": "Copy"}), ("PROGRESS 7/0 Copy\n", None)):
        with output.open("a") as file:
            file.write(text)
        assert reader.progress() == progress


def test_output_that_was_cut_says_so(tmp_path: Path) -> None:
    """In the answer of the host, in what is returned, in the record, and to a later run that has nothing but the record."""
    for text, cut in (("0123456789", False), ("0123456789+", True)):
        (tmp_path / "j1.2").write_text(json.dumps({"rc": 0, "stdout": text, "stderr": "e"}))
        look = look_at(tmp_path, keep=10)
        answer = returned("j1.2", look)
        assert (answer["stdout"], answer["stdout_size"], answer["stdout_truncated"]) == (text[-10:], len(text), cut)
        assert answer["stderr_truncated"] is False
        assert bool(cut_output([answer])) == cut
        record: Record = {**IN_FILES, "tail_size": 10}
        asked = Asked(Job("j1.2", "job", ATTEMPT, keep=10), record=record)
        asked.keep(0)  # of a job of async_job, that changes nothing
        record["result"] = asked.learned(look, secret=False)["result"]
        later = returned("j1.2", with_kept_output(seen("succeeded", result={}), record))
        assert output_in(later) == output_in(answer)
        # A look after the output has gone takes none of that away.
        asked = Asked(Job("j1.2", "job", ATTEMPT), record=record)
        assert asked.learned(seen("succeeded", result={"rc": 0}), secret=False)["result"] == record["result"]
        secret = asked.learned(look, secret=True)["result"]
        assert not output_in(secret)


def test_what_is_new_says_if_there_is_more(tmp_path: Path) -> None:
    (tmp_path / "j1.2").write_text(json.dumps({"rc": 0, "stdout": "x" * ((1 << 20) + 1)}))
    first = look_at(tmp_path, "new")
    assert (len(first["stdout"]), first["stdout_truncated"]) == (1 << 20, True)
    rest = look_at(tmp_path, "new", stdout_offset=first["stdout_offset"])
    assert (rest["stdout"], rest["stdout_truncated"]) == ("x", False)
    assert not look_at(tmp_path, "full")["stdout_truncated"]


def test_output_of_which_a_record_keeps_nothing() -> None:
    """It is not taken for none at all."""
    record: Record = {**IN_FILES, "tail_size": 0}
    asked = Asked(Job("j1.2", "job", ATTEMPT), record=record)
    asked.keep(4096)
    record["result"] = asked.learned(seen("succeeded", result={"rc": 0}, stdout_size=60_000), secret=False)["result"]
    later = returned("j1.2", with_kept_output(seen("succeeded", result={"rc": 0}), record))
    assert (later["stdout"], later["stdout_size"], later["stdout_truncated"]) == ("", 60_000, True)


def test_results_that_are_too_large_say_so() -> None:
    """Why they are not there, and how to get them."""
    result = {"content": "x" * 80_000, "source": "/etc/x", "encoding": "base64", "msg": "m" * 1001}
    record = {"store_result": ["content", "encoding"], "result": kept_result(result, wanted=["content", "encoding"])}
    assert (record["result"]["encoding"], len(record["result"]["msg"])) == ("base64", 1000)
    [text] = lacking(record)
    for words in ("content (larger than 32768 characters)", "source", "msg (only its first 1000", "store_result", "'output: full'"):
        assert words in text
    assert "encoding" not in text
    [text] = lacking({**record, "store_result": ["content", "source"], "output_removed": True})
    assert "store_result" not in text
    assert "output: full" not in text
    assert lacking({"result": kept_result({"rc": 0, "stdout": "x"})}) == []
    assert lacking({"result": kept_result({"failed": True, "child_pid": 7})}) == []  # Ansible's wrapper says that, and nobody misses it
    # So does a look by name once the results file is gone.
    of_job: Record = {**RECORD, "status": "succeeded"}
    of_job.update(t.cast("Record", record))
    settled = of_record(key_of(of_job), of_job, ABSENT, {}, "~/.ansible_async").settled(seen("lost"), contacted="web1")
    assert settled["status"] == "succeeded"
    assert settled["warnings"] == lacking(record)


def test_an_item_of_a_loop() -> None:
    """It has no record, and one that was just started says no more than Ansible does."""
    answer = {**returned("j1.2", seen("running")), "record": {"x": "y" * 1000}, "state_file": "/s", "job_name": "job", "attempt": 1}
    native = {
        "ansible_job_id": "j1.2",
        "changed": True,
        "failed": 0,
        "finished": 0,
        "results_file": "/home/op/.ansible_async/j1.2",
        "started": 1,
    }
    assert len(json.dumps(of_a_loop(answer, is_start=True))) < 2 * len(json.dumps(native))
    ended = {**answer, "elapsed": 1.5, "stdout_size": 3, "processes": [{"pid": 1}]}
    assert of_a_loop({**ended, "status": "orphaned"})["processes"] == [{"pid": 1}]
    assert "processes" not in of_a_loop({**ended, "status": "succeeded", "finished": True})
    empty = {"progress", "stdout_truncated", "stderr_size", "stderr_truncated", "warnings"}
    assert {*ended} - {*of_a_loop(ended)} == {"record", "state_file", "processes", *empty}
    assert of_a_loop({**answer, "warnings": ["w"]}, is_start=True)["warnings"] == ["w"]


ODD_NAMES = {
    "[]": "'environment'",
    "{}": "'environment'",
    "deploy-[]": "'environment'",
    "[{}] deploy": "'environment'",
    "backup-__omit_place_holder__348e1f8eb35f888641bd56a398283bd96539f1db": "'omit'",
    "AnsibleUndefined": "not defined",
    "[AnsibleUndefined]": "not defined",
    "deploy {{ stage }}": "not filled in",
    "deploy << error 1 - 'stage' is undefined >>": "not defined",
}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_nobody_has_meant(name: str) -> None:
    with pytest.raises(AsyncJobError) as caught:
        check_name("job_name", name)
    assert ODD_NAMES[name] in str(caught.value)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["", "~", "{{", "[1,2]", "x[]", "a{}b", "omit", "undefined", "Undefinedness", "[x]", "environment"])
def test_names_that_somebody_may_have_meant(name: str) -> None:
    check_name("job_name", name)


@pytest.fixture
def state(tmp_path: Path) -> t.Callable[..., dict[str, t.Any]]:
    """Saves a record."""

    def save(**options: t.Any) -> dict[str, t.Any]:
        params = {**dict.fromkeys(async_job_state.ARGUMENT_SPEC), "host": "web1", "playbook_name": "Nightly", "job_name": "job"}
        params.update(backend="filesystem", state_dir=str(tmp_path), create_store=True, state_mode="private", state="present", force=False)
        return async_job_state.run({**params, **options}, check_mode=False)

    return save


def test_a_save_over_a_job_that_runs(state: t.Callable[..., dict[str, t.Any]]) -> None:
    """It warns: whoever has saved it before may go on to believe in it. After its end, and of the same job, there is nothing to say."""
    assert not state(ansible_job_id="j1.1")["warnings"]
    assert not state(ansible_job_id="j1.1", metadata={"a": 1})["warnings"]
    [warning] = state(ansible_job_id="j2.2")["warnings"]
    for words in ("j1.1", "j2.2", "playbook_name", "started at"):
        assert words in warning
    state(status="failed")
    assert not state(ansible_job_id="j3.3")["warnings"]
    assert not state(metadata={"a": 2})["warnings"]


def test_jobs_that_nobody_has_looked_at() -> None:
    """Ansible's own looks leave no word in a record."""
    saved = RECORD
    told = "nobody has looked since it was saved"
    assert last_words(saved, 0) == told
    assert last_words({**saved, "status": "running"}, 0) == told
    for sign in ({"runner": {"pid": 1}}, {"attempt_dir": ATTEMPT}, {"status": "failed", "reason": "x"}, {"last_line": "step 1"}):
        assert last_words(t.cast("Record", {**saved, **sign}), 0) != told


LABEL = "job 'migrate' on db01"
LAST_LINES: dict[str, tuple[dict[str, t.Any], str]] = {
    "it has told how far it is": ({"status": "running", "last_line": "PROGRESS 41/60 copying"}, "step 41 of 60: copying"),
    "its output is kept": ({"status": "succeeded", "last_line": "old", "result": {"stdout": "a\nPROGRESS 3/3\n"}}, "step 3 of 3"),
    "only its last line is kept": (
        {"status": "failed", "last_line": "no space left", "result": {"msg": "non-zero return code"}},
        "no space left",
    ),
    "nothing of it is kept": ({"status": "failed", "result": {"msg": "non-zero return code"}}, "non-zero return code"),
    "it has said nothing": ({"status": "succeeded", "reason": f"{LABEL} has succeeded", "result": {"rc": 0}}, "has succeeded"),
    "it is secret": ({"status": "failed", "no_log": True, "reason": f"{LABEL} has failed", "result": {"stdout": "x"}}, "has failed"),
    "nobody ends it": ({"status": "running", "reason": "its wrapper is gone"}, "its wrapper is gone"),
    "nobody ends it, and it says so far": (
        {"status": "running", "reason": "its wrapper is gone", "last_line": "step 3"},
        "its wrapper is gone; last: step 3",
    ),
    "it was killed": ({"status": "killed", "reason": f"the command of {LABEL} was killed", "last_line": "x"}, "the command was killed"),
    "nobody can tell": ({"status": "lost", "reason": f"cannot tell what became of {LABEL}: no"}, "cannot tell what became of it: no"),
    "another host": ({"status": "lost", "reason": f"{LABEL}2 has failed"}, f"{LABEL}2 has failed"),
}


@pytest.mark.parametrize("case", LAST_LINES)
def test_the_last_line(case: str) -> None:
    """What a job has said last, in plain words, or what became of it, less the names that are beside that."""
    fields, line = LAST_LINES[case]
    record: t.Any = {"job_name": "migrate", "host": "db01", "attempt_dir": ATTEMPT, **fields}
    assert last_words(record, 0) == line


def test_what_a_job_said_before_its_end_is_not_the_last_line() -> None:
    """Whoever finds the end without reading the output forgets what an earlier look has read."""
    record = t.cast("Record", {**RECORD, "status": "running", "attempt_dir": ATTEMPT, "last_line": "step 3 of 60"})
    asked = of_record(key_of(record), record, ABSENT, {}, "/tmp")
    assert asked.learned(seen("succeeded", result={"rc": 0}), secret=False)["last_line"] is None
    assert "last_line" not in asked.learned(seen("running"), secret=False)


def test_localhost_of_another_controller() -> None:
    """What is not found here proves nothing about it."""
    record: Record = {**RECORD, "host": "localhost", "who": "ann@elsewhere"}
    assert other_machine(record, "localhost", "local") == "elsewhere"
    assert other_machine({**record, "who": f"ann@{os.uname().nodename}"}, "localhost", "local") == ""
    assert other_machine(record, "localhost", "ssh") == ""
    assert other_machine({**record, "host": "web1"}, "web1", "local") == ""
    asked = of_record(key_of(record), record, ABSENT, {}, "~/.ansible_async")
    assert asked.settled(seen("lost"), contacted="localhost")["status"] == "lost"
    asked.other_machine = "elsewhere"
    for status in ("lost", "killed", "unknown"):
        look = asked.settled(seen(status), contacted="localhost")
        assert look["status"] == "unknown"
        assert "the localhost of elsewhere" in look["reason"]
    for look in (seen("running"), seen("succeeded", result={"rc": 0})):
        assert asked.settled(look, contacted="localhost") == look


def test_a_job_by_its_id(tmp_path: Path) -> None:
    """Any record of the host leads to it, that of a past attempt too; one that cannot be read might have."""
    store = FilesystemStore(str(tmp_path))
    past = {"ansible_job_id": "j1.1", "attempt": 1, "status": "failed", "rc": 3, "async_dir": ATTEMPT, "attempt_dir": ATTEMPT}
    put(tmp_path, "mine", attempts=[past], ansible_job_id="j2.2", async_dir="/there")
    put(tmp_path, "others", playbook="Other", ansible_job_id="j3.3")
    put(tmp_path, "elsewhere", host="web2", ansible_job_id="j4.4")

    def found(job_id: str) -> tuple[Asked, bool] | None:
        params = {"playbook_name": None, "stdout_file": None, "stderr_file": None}
        return by_its_record(store, job_id, params, "~/.ansible_async", host="web1", playbook_name="Nightly")

    last = found("j2.2")
    assert last is not None
    assert (last[0].name, last[0].looked_for.directory, last[1]) == ("mine", "/there", True)
    before = found("j1.1")
    assert before is not None
    assert (before[0].job_id, before[0].looked_for.directory, before[0].looked_for.exclusive, before[1]) == ("j1.1", ATTEMPT, True, False)
    settled = before[0].settled(seen("lost"), contacted="web1")
    assert (settled["status"], settled["result"]) == ("failed", {"rc": 3})
    other = found("j3.3")
    assert other is not None
    assert other[0].name == "others"
    assert found("j4.4") is None
    put(tmp_path, "broken", playbook="Other", content=b"{")
    assert found("j2.2") is not None
    with pytest.raises(AsyncJobError, match=r"broken\.json"):
        found("j4.4")


def test_booleans_of_roles() -> None:
    """On the command line, in a survey, and in a variable made by a template, they are text."""
    for role in (ROOT / "roles").iterdir():
        spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text("utf-8"))
        names = [name for name, option in spec["argument_specs"]["main"]["options"].items() if option["type"] == "bool"]
        for file in role.glob("tasks/*.yml"):
            for line in file.read_text("utf-8").splitlines():
                key = line.strip().partition(":")[0]
                for name in names:
                    if name in line and key in ("when", "failed_when", "changed_when", "until", "that", "-"):
                        assert f"{name} | bool" in line, line
