# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules async_job_state and async_job_info in tasks, on the command line, and without their action plugins."""

from __future__ import annotations

import json
import re
import shutil
import typing as t
from pathlib import Path

import pytest
from controller import Controller

Yaml = dict[str, t.Any]

INFO = "rstyczynski.ansible.async_job_info"
STATE = "rstyczynski.ansible.async_job_state"

# What any result can have beside the values that a module documents.
COMMON = {"changed", "failed", "failed_when_result", "warnings", "deprecations", "diff", "ansible_facts", "msg", "exception"}


def state(job_name: str = "backup", **options: t.Any) -> Yaml:
    """A task of async_job_state."""
    return {STATE: {"job_name": job_name, **options}}


def info(**options: t.Any) -> Yaml:
    """A task of async_job_info."""
    return {INFO: options}


def perform(controller: Controller, *tasks: Yaml, args: t.Sequence[t.Any] = (), **keywords: t.Any) -> list[Yaml]:
    """Run these tasks in a play with these keywords, also after one that fails, and return their results in order.

    With more than one host, those of a task stand together, in the order of the inventory.
    """
    steps = []
    for number, task in enumerate(tasks):
        shown = {"number": number, "host": "{{ inventory_hostname }}", "result": "{{ result }}"}
        steps += [{**task, "register": "result", "ignore_errors": True}, {"ansible.builtin.debug": {"msg": shown}}]
    play = {"name": "test", "hosts": "host1", "gather_facts": False, **keywords, "tasks": steps}
    ran = controller.playbook(json.dumps([play], indent=1), *args).ok()
    assert "Traceback" not in ran.output, ran.output
    results = [json.loads(text)["msg"] for text in re.findall(r"^ok: \[[^\n]* => (\{\n.*?^\})$", ran.output, flags=re.M | re.S)]
    results.sort(key=lambda shown: (shown["number"], shown["host"]))
    assert {shown["number"] for shown in results} == set(range(len(tasks))), ran.output
    return [shown["result"] for shown in results]


def names(result: Yaml) -> list[str]:
    """The names of the jobs in a list, sorted."""
    return sorted(f"{record['host']} {record['job_name']}" for record in result["records"])


def older(controller: Controller, job_name: str, *, host: str = "host1", playbook_name: str = "test", **fields: t.Any) -> Path:
    """Write the record of a job, as older releases wrote it, and with these fields."""
    file = controller.state_dir / host / playbook_name / f"{job_name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    record = {"job_name": job_name, "host": host, "ansible_job_id": "j1.1", "save_time": "2025-01-31T22:00:04Z", "metadata": {}}
    file.write_text(json.dumps({**record, **fields}, indent=4))
    return file


def test_life_of_a_record(controller: Controller) -> None:
    """Made, found, changed, begun anew, forgotten: each result tells what is in the store, and whether it changed."""
    made, same, noted, ended, found, anew, gone, still_gone, not_found = perform(
        controller,
        state(ansible_job_id="j1.1", results_file="/results/j1.1", metadata={"ticket": "OPS-1"}),
        state(ansible_job_id="j1.1"),
        state(metadata={"ticket": "OPS-2"}),
        state(status="failed"),
        info(job_name="backup"),
        state(ansible_job_id="j2.2", results_file="C:\\results\\j2.2"),
        state(state="absent", force=True),
        state(state="absent"),
        info(job_name="backup"),
    )
    results = (made, same, noted, ended, found, anew, gone, still_gone, not_found)
    assert [result["changed"] for result in results] == [True, False, True, True, False, True, True, False, False]
    assert {result["state_file"] for result in results} == {str(controller.state_dir / "host1/test/backup.json")}

    assert made["record"]["status"] == "running"
    assert made["record"]["async_dir"] == "/results"
    assert made["record"]["metadata"] == {"ticket": "OPS-1"}
    assert same["record"] == made["record"]
    assert noted["record"]["metadata"] == {"ticket": "OPS-2"}
    assert noted["record"]["write_id"] != made["record"]["write_id"]
    assert (ended["record"]["status"], ended["record"]["ansible_job_id"]) == ("failed", "j1.1")
    assert "end" in ended["record"]
    assert found["record"] == ended["record"]
    assert found["records"] == [ended["record"]]

    assert anew["record"]["status"] == "running"
    assert "end" not in anew["record"]
    assert (anew["record"]["attempt"], anew["record"]["async_dir"]) == (2, "C:\\results")
    assert anew["record"]["metadata"] == {"ticket": "OPS-2"}
    [past] = anew["record"]["attempts"]
    assert (past["attempt"], past["ansible_job_id"], past["status"]) == (1, "j1.1", "failed")

    assert gone["record"] == still_gone["record"] == {}
    assert (not_found["found"], not_found["record"], not_found["records"]) == (False, {}, [])
    assert not list(controller.state_dir.glob("*/*/*"))


def test_results_are_those_that_are_documented(controller: Controller) -> None:
    """Every value that RETURN promises is there, and no other; records have the fields of the samples."""
    shown = controller.run("doc", "--json", "--type", "module", STATE, INFO).ok()
    docs = json.loads(shown.output[shown.output.index("{") :])
    documented = {name: docs[name]["return"] for name in (STATE, INFO)}
    results_file = "/results/j1.1"
    saved, one, many, removed, missing = perform(
        controller,
        state(ansible_job_id="j1.1", results_file=results_file, metadata={"ticket": "OPS-1"}),
        info(job_name="backup"),
        info(),
        state(state="absent", force=True),
        info(job_name="backup"),
    )
    assert set(saved) - COMMON == set(removed) - COMMON == set(documented[STATE])
    of_one = {name for name, value in documented[INFO].items() if value["returned"] != "without O(job_name)"}
    of_many = {name for name, value in documented[INFO].items() if value["returned"] != "with O(job_name)"}
    assert of_one != of_many
    assert set(one) - COMMON == set(missing) - COMMON == of_one
    assert set(many) - COMMON == of_many
    assert set(saved["record"]) == set(documented[STATE]["record"]["sample"])
    assert set(one["record"]) >= set(documented[INFO]["record"]["sample"])


def test_list_of_jobs(controller: Controller) -> None:
    """All records, and those that fit each filter. A record without a status counts as running."""
    older(controller, "backup-old")
    older(controller, "backup-ended", host="host2", status="succeeded")
    older(controller, "restore-lost", host="host2", playbook_name="other", status="lost")
    perform(controller, state("backup-new", ansible_job_id="j2.2"), state("50%", host="a/b", ansible_job_id="j3.3"))
    everything = ["a/b 50%", "host1 backup-new", "host1 backup-old", "host2 backup-ended", "host2 restore-lost"]
    cases: list[tuple[Yaml, list[str]]] = [
        (info(), everything),
        (info(host="host2"), ["host2 backup-ended", "host2 restore-lost"]),
        (info(host="a/b"), ["a/b 50%"]),
        (info(host="host"), []),
        (info(playbook_name="other"), ["host2 restore-lost"]),
        (info(host="host1", playbook_name="test"), ["host1 backup-new", "host1 backup-old"]),
        (info(job_name_pattern="backup-[no]*"), ["host1 backup-new", "host1 backup-old"]),
        (info(job_name_pattern="BACKUP*"), []),
        (info(job_name_pattern="50%"), ["a/b 50%"]),
        (info(status=["running"]), ["a/b 50%", "host1 backup-new", "host1 backup-old"]),
        (info(status=["succeeded", "lost"]), ["host2 backup-ended", "host2 restore-lost"]),
        (info(older_than="4w"), ["host1 backup-old", "host2 backup-ended", "host2 restore-lost"]),
        (info(newer_than="15m"), ["a/b 50%", "host1 backup-new"]),
        (info(older_than="1d", status="running"), ["host1 backup-old"]),
        (info(older_than="1.5h", newer_than="90s"), []),
        (info(host="host2", playbook_name="test", job_name_pattern="*", older_than="1s"), ["host2 backup-ended"]),
        (info(state_dir="elsewhere"), []),
    ]
    results = perform(controller, *(task for task, _expected in cases))
    for result, (task, expected) in zip(results, cases, strict=True):
        assert names(result) == expected, task
        assert result["found"] is bool(expected), task
        assert (result["record"], result["unreadable"], result["changed"]) == ({}, [], False), task
    assert {result["store"] for result in results[:-1]} == {str(controller.state_dir)}
    assert {record["playbook_name"] for record in results[0]["records"]} == {"test", "other"}


def test_records_that_cannot_be_read_are_told_beside_those_that_can(controller: Controller) -> None:
    """A list with a broken record fails, tells where it is, and holds the others. Asked for alone, it is an error too."""
    older(controller, "fine")
    broken = older(controller, "broken")
    broken.write_text("")
    moved = older(controller, "moved").rename(controller.state_dir / "host1/test/here.json")
    listed, one, saved, misplaced, of_other_host = perform(
        controller,
        info(),
        info(job_name="broken"),
        state("broken", ansible_job_id="j2.2"),
        info(job_name="here"),
        info(host="host2"),
    )
    assert listed["failed"] is True
    assert names(listed) == ["host1 fine"]
    assert {line["state_file"] for line in listed["unreadable"]} == {str(broken), str(moved)}
    assert listed["msg"].startswith("2 records in ")
    for result in (one, saved):
        assert f"The record {broken} cannot be used: it is empty." in result["msg"]
    assert "The job id j2.2 was not saved" in saved["msg"]
    assert broken.read_text() == ""
    assert f"The record {moved} was read for job 'here'" in misplaced["msg"]
    assert "but its job_name is 'moved'. It belongs to another job" in misplaced["msg"]
    assert (of_other_host["failed"], of_other_host["unreadable"]) == (False, [])


def test_jobs_of_many_hosts_in_a_loop_and_with_delegate_to(controller: Controller) -> None:
    """A loop over hosts works on each one's record. delegate_to does not change whose job it is."""
    controller.hosts("host1", "host2", "host3 ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1")
    saved = perform(
        controller,
        {**state(ansible_job_id="j1.{{ inventory_hostname[4:] }}"), "delegate_to": "localhost", "become": True},
        {
            **state("looped", ansible_job_id="j1.{{ item[4:] }}", host="{{ item }}"),
            "loop": "{{ groups.all }}",
            "run_once": True,
            "delegate_to": "host3",
        },
        {**info(job_name="looped"), "delegate_to": "localhost", "delegate_facts": True},
        {**info(job_name="{{ item }}", host="host2"), "loop": ["backup", "looped", "missing"]},
        hosts="all",
    )
    hosts = ("host1", "host2", "host3")
    assert [result["record"]["host"] for result in saved[:3]] == list(hosts)
    assert [item["record"]["host"] for item in saved[3]["results"]] == list(hosts)
    assert [result["record"]["ansible_job_id"] for result in saved[6:9]] == [f"j1.{host[4:]}" for host in hosts]
    assert [item["found"] for item in saved[9]["results"]] == [True, True, False]
    for host in hosts:
        for job in ("backup", "looped"):
            assert controller.record(job, host=host)["ansible_job_id"] == f"j1.{host[4:]}"
    assert not (controller.state_dir / "localhost").exists()


def test_any_text_is_a_name(controller: Controller) -> None:
    """No name leaves the state directory or meets another one's record."""
    hostile = [
        "../../../outside",
        "/etc/passwd",
        "a/b",
        "a%2Fb",
        ".hidden",
        "..",
        "",
        "x" * 300,
        "x" * 301,
        "new\nline",
        "{{ '{{' }}",
        "~",
    ]
    tasks = [state(name, ansible_job_id=f"j{number}.1", host=name, playbook_name=name) for number, name in enumerate(hostile)]
    perform(controller, *tasks)
    loaded = perform(controller, *(info(job_name=name, host=name, playbook_name=name) for name in hostile), info())
    assert [result["record"]["ansible_job_id"] for result in loaded[:-1]] == [f"j{number}.1" for number in range(len(hostile))]
    assert len({result["state_file"] for result in loaded[:-1]}) == len(hostile)
    assert len(loaded[-1]["records"]) == len(hostile)
    files = [file for file in controller.home.parent.rglob("*.json") if file.name != "playbook.json"]
    assert len(files) == len(hostile)
    assert all(file.parents[2] == controller.state_dir for file in files)


def test_where_the_host_keeps_results(controller: Controller) -> None:
    """A new record tells the async_dir in effect; results_file is more certain, and is not forgotten by later saves."""
    controller.hosts("host1 ansible_async_dir=/of/the/host", "windows ansible_connection=winrm")
    saved = perform(
        controller,
        state("a", ansible_job_id="j1.1"),
        {**state("b", ansible_job_id="j1.1"), "vars": {"ansible_async_dir": "/of/the/task"}},
        state("c", ansible_job_id="j1.1", results_file="/of/the/file/j1.1"),
        state("c", ansible_job_id="j1.1", metadata={"more": True}),
    )
    assert [result["record"]["async_dir"][8:] for result in saved] == ["host", "task", "file", "file"]
    assert saved[3]["record"]["results_file"] == "/of/the/file/j1.1"
    [windows] = perform(controller, state("a", ansible_job_id="j1.1"), hosts="windows")
    assert windows["record"]["async_dir"] == "%USERPROFILE%\\.ansible_async"


def test_check_mode_and_diff_of_single_tasks(controller: Controller) -> None:
    """check_mode predicts and writes nothing, diff tells before and after, also of a record that is removed."""
    predicted, found, made, gone, still_found = perform(
        controller,
        {**state(ansible_job_id="j1.1"), "check_mode": True, "diff": True},
        info(job_name="backup"),
        state(ansible_job_id="j1.1"),
        {**state(state="absent", force=True), "check_mode": True, "diff": True},
        info(job_name="backup"),
    )
    assert (predicted["changed"], predicted["record"]["ansible_job_id"]) == (True, "j1.1")
    assert predicted["diff"]["before"] == ""
    assert json.loads(predicted["diff"]["after"]).items() < predicted["record"].items()
    assert found["found"] is False
    assert (gone["changed"], gone["record"]) == (True, {})
    assert json.loads(gone["diff"]["before"]).items() < made["record"].items()
    assert gone["diff"]["after"] == ""
    assert still_found["record"] == made["record"]


def test_metadata_of_one_variable_never_makes_an_unreadable_record(controller: Controller) -> None:
    """Older cores turn a variable that holds a date into a text. Then nothing is saved; otherwise all of it is."""
    playbook = """
    - name: test
      hosts: host1
      gather_facts: false
      vars:
        details: {date: 2026-01-31}
        text: {note: import os}
      tasks:
        - rstyczynski.ansible.async_job_state:
            job_name: date
            ansible_job_id: j1.1
            metadata: "{{ details }}"
          ignore_errors: true
        - rstyczynski.ansible.async_job_state:
            job_name: text
            ansible_job_id: j1.1
            metadata: "{{ text }}"
    """
    ran = controller.playbook(playbook)
    [listed] = perform(controller, info())
    assert listed["unreadable"] == []
    saved = {record["job_name"]: record["metadata"] for record in listed["records"]}
    assert saved.pop("text") == {"note": "import os"}
    if ran.recap("host1")["ignored"]:
        assert saved == {}
        assert "metadata" in ran.text
        assert "The job id j1.1 was not saved" in ran.text
    else:
        assert saved == {"date": {"date": "2026-01-31"}}


def test_claimed_record_is_left_alone(controller: Controller) -> None:
    """While a controller is starting a job, neither a save nor a removal touches its record."""
    claim = {"who": "somebody@elsewhere", "since": "2026-01-31T22:00:04Z"}
    file = older(controller, "backup", ansible_job_id="", status="starting", claim=claim)
    before = file.read_bytes()
    saved, removed, found = perform(controller, state(ansible_job_id="j2.2"), state(state="absent"), info(job_name="backup"))
    for result in (saved, removed):
        assert result["failed"] is True
        assert "is being started by somebody@elsewhere since 2026-01-31T22:00:04Z. Nothing was changed." in result["msg"]
    assert found["record"]["status"] == "starting"
    assert file.read_bytes() == before


def test_ad_hoc_commands(controller: Controller) -> None:
    """A look from the command line, below the current directory or the one that --playbook-dir names."""
    perform(controller, state(ansible_job_id="j1.1"))
    elsewhere = controller.home / "elsewhere"
    elsewhere.mkdir()

    def adhoc(module: str, options: str, *args: t.Any, cwd: Path | None = None) -> Yaml:
        ran = controller.run("adhoc", "-i", controller.inventory, "host1", "-m", module, "-a", options, *args, cwd=cwd).ok()
        assert re.match(r"host1 \| (SUCCESS|CHANGED) => \{", ran.output), ran.output
        return t.cast(Yaml, json.loads(ran.output[ran.output.index("{") :]))

    assert adhoc(INFO, "job_name=backup playbook_name=test")["record"] == controller.record("backup")
    assert adhoc(INFO, "job_name=backup")["state_file"] == str(controller.state_dir / "host1/Ansible Ad-Hoc/backup.json")
    assert adhoc(INFO, "")["store"] == str(controller.state_dir)
    assert adhoc(INFO, "state_dir=other")["store"] == str(controller.project / "other")
    assert adhoc(INFO, "", cwd=elsewhere)["store"] == str(elsewhere / ".ansible_async_state")
    assert adhoc(INFO, "", "--playbook-dir", controller.project, cwd=elsewhere)["store"] == str(controller.state_dir)
    assert adhoc(STATE, "job_name=backup playbook_name=test state=absent force=true")["changed"] is True
    shared = ["-e", f"async_job_state_dir={elsewhere}"]
    assert adhoc(INFO, "", *shared)["store"] == str(elsewhere)
    assert adhoc(INFO, "state_dir=other", *shared)["store"] == str(controller.project / "other")


@pytest.mark.parametrize("with_action", [True, False], ids=["action", "module"])
def test_wrong_options_get_short_messages(controller: Controller, plain_modules: Path, with_action: bool) -> None:
    """One line that names the option, from the action plugin and from the module alike. Nothing is written."""
    if not with_action:
        controller.environment["ANSIBLE_COLLECTIONS_PATH"] = str(plain_modules)
    key = {"host": "host1", "playbook_name": "test"}
    excluded = "parameters are mutually exclusive: job_name|"
    cases: list[tuple[Yaml, str]] = [
        (state(jobname="x", **key), f"Unsupported parameters for ({STATE}) module: jobname. Supported parameters include: "),
        (info(nonsense="x"), f"Unsupported parameters for ({INFO}) module: nonsense. Supported parameters include: "),
        ({STATE: key}, "missing required arguments: job_name"),
        (state(state="gone", **key), "value of state must be one of: present, absent, got: gone"),
        (state(status="starting", **key), "value of status must be one of: running, orphaned, succeeded, "),
        (state(backend="paper", **key), "value of backend must be one of: filesystem, oci, got: paper"),
        (info(status=["fine"]), "value of status must be one or more of: starting, prepared, running, "),
        (info(job_name="backup", job_name_pattern="*", **key), f"{excluded}job_name_pattern"),
        (info(job_name="backup", status="lost", **key), f"{excluded}status"),
        (info(job_name="backup", older_than="1d", **key), f"{excluded}older_than"),
        (info(job_name="backup", newer_than="1d", **key), f"{excluded}newer_than"),
        (info(older_than="a while"), "older_than is 'a while', which is not an age. Give a number and a unit: 30s"),
        (info(newer_than="-1d"), "newer_than is '-1d', which is not an age."),
        (state(metadata="a text", **key), "argument 'metadata' is of type"),
        (state(ansible_job_id="", **key), "ansible_job_id is '', which is not a job id."),
        (state(status="lost", **key), "There is no record of job 'backup' of playbook 'test' on host 'host1'"),
        (state(ansible_job_id="j1.1", backend="oci", **key), "The backend 'oci' needs the name of a bucket."),
    ]
    results = perform(controller, *(task for task, _message in cases))
    for result, (task, message) in zip(results, cases, strict=True):
        assert result["failed"] is True, task
        assert message in result["msg"], task
        assert "\n" not in result["msg"], task
        assert len(result["msg"]) < 400 or result["msg"].startswith("Unsupported parameters for"), task
    assert not controller.state_dir.exists()


def test_a_task_in_the_background_is_refused(controller: Controller) -> None:
    """A task that takes milliseconds in the controller's process cannot run in the background of the host."""
    results = perform(controller, *({**task, "async": 60, "poll": 0} for task in (state(ansible_job_id="j1.1"), info())))
    for result in results:
        assert result["failed"] is True
        assert "is not supported for this" in result["msg"] or "does not support async" in result["msg"]
    assert not controller.state_dir.exists()


def test_warnings_about_the_state_directory(controller: Controller) -> None:
    """Others who can write into it, and a job runner that throws it away, are told to the user and do not fail the task."""
    play = {"name": "test", "hosts": "host1", "gather_facts": False, "tasks": [info(job_name="backup")]}
    playbook = controller.write("playbook.yml", json.dumps([play]))
    writable = f"Other users can write to {controller.state_dir} (mode 0777), and so replace or remove the records in it."
    doomed = f"The state directory {controller.state_dir} is below {controller.project}, which AWX, Automation Platform,"
    elsewhere = ["-e", f"async_job_state_dir={controller.home}/jobs"]

    def warnings(*args: t.Any, **env: str) -> str:
        """What is said, less white space: some releases of ansible-core break lines inside of words."""
        return "".join(controller.playbook(playbook, *args, env=env).ok().output.split())

    controller.state_dir.mkdir()
    controller.state_dir.chmod(0o777)
    both = warnings(AWX_PRIVATE_DATA_DIR=str(controller.project))
    assert "".join(writable.split()) in both
    assert "".join(doomed.split()) in both
    controller.state_dir.chmod(0o700)
    assert "WARNING" not in warnings()
    assert "WARNING" not in warnings(*elsewhere, AWX_PRIVATE_DATA_DIR=str(controller.project))


# Without the action plugins


@pytest.fixture(scope="module")
def plain_modules(collections: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed collection less its action plugins, so that Ansible ships the modules to the host and runs them there."""
    copy = tmp_path_factory.mktemp("plain")
    shutil.copytree(collections / "ansible_collections", copy / "ansible_collections", ignore=shutil.ignore_patterns("action"))
    assert (copy / "ansible_collections/rstyczynski/ansible/plugins/modules/async_job_state.py").is_file()
    assert not (copy / "ansible_collections/rstyczynski/ansible/plugins/action").exists()
    return copy


def test_modules_work_without_their_action_plugins(controller: Controller, plain_modules: Path) -> None:
    """They do the same with the same store, once they are told the host and the playbook, which only an action knows."""
    with_action = controller.environment["ANSIBLE_COLLECTIONS_PATH"]
    key = {"host": "host1", "playbook_name": "test"}
    store = {"state_dir": str(controller.state_dir)}
    controller.environment["ANSIBLE_COLLECTIONS_PATH"] = str(plain_modules)
    predicted, made, same, found, missing, listed, no_host, no_playbook, no_key = perform(
        controller,
        {**state(ansible_job_id="j1.1", **key, **store), "check_mode": True, "diff": True},
        state(ansible_job_id="j1.1", metadata={"who": "Zażółć"}, **key, **store),
        state(ansible_job_id="j1.1", **key, **store),
        {**info(job_name="backup", **key, **store), "check_mode": True},
        info(job_name="other", **key, **store),
        {**info(status="running"), "environment": {"ASYNC_JOB_STATE_DIR": str(controller.state_dir)}},
        state(ansible_job_id="j1.1", playbook_name="test"),
        state(ansible_job_id="j1.1", host="host1"),
        info(job_name="backup"),
    )
    assert (predicted["changed"], predicted["diff"]["before"]) == (True, "")
    assert (made["changed"], same["changed"]) == (True, False)
    assert made["record"] == same["record"] == found["record"] == controller.record("backup")
    assert made["record"]["metadata"] == {"who": "Zażółć"}
    assert made["record"]["async_dir"] == "~/.ansible_async"
    assert (found["found"], missing["found"]) == (True, False)
    assert listed["records"] == [made["record"]]
    assert listed["store"] == str(controller.state_dir)
    needed = "is needed where this module does not run through its action plugin."
    assert [result["msg"] for result in (no_host, no_playbook, no_key)] == [
        f"host {needed}",
        f"playbook_name {needed}",
        f"host {needed}",
    ]

    controller.environment["ANSIBLE_COLLECTIONS_PATH"] = with_action
    assert perform(controller, info(job_name="backup"))[0]["record"] == made["record"]
    broken = older(controller, "broken")
    broken.write_text("{")
    controller.environment["ANSIBLE_COLLECTIONS_PATH"] = str(plain_modules)
    unreadable, gone = perform(controller, info(**store), state(state="absent", force=True, **key, **store))
    assert unreadable["failed"] is True
    assert [line["state_file"] for line in unreadable["unreadable"]] == [str(broken)]
    assert names(unreadable) == ["host1 backup"]
    assert (gone["changed"], gone["record"]) == (True, {})
    assert not Path(made["state_file"]).exists()
