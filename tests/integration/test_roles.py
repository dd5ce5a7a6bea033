# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles async_job_save and async_job_load in playbooks, as users write and run them.

Only tests about real jobs start any. For the others, a job id is a text like any other.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from controller import Controller, Ran
from plays import play as play_anywhere
from plays import role, run, tell, told
from records import put

Yaml = dict[str, t.Any]

# A play on host1, unless it says otherwise
play = functools.partial(play_anywhere, hosts="host1")

SAVE = "async_job_save"
LOAD = "async_job_load"
INFO = "rstyczynski.ansible.async_job_info"
STATE = "rstyczynski.ansible.async_job_state"
GROUP = "group/rstyczynski.ansible.async_job"

WAIT_SECONDS = 30

# The pattern of the documentation, for the job that the variable job names: load, start only what was not found, save
# what was started.
START = """
- name: Look for the job
  ansible.builtin.include_role:
    name: rstyczynski.ansible.async_job_load
  vars:
    async_job_load_job_name: "{{ job }}"

- name: Start the job
  ansible.builtin.shell: echo {{ inventory_hostname }} {{ job }} >> '{{ playbook_dir }}/ledger'
  async: 60
  poll: 0
  register: started
  when: not async_job_load_found and not ansible_check_mode

- name: Save the job
  ansible.builtin.include_role:
    name: rstyczynski.ansible.async_job_save
  vars:
    async_job_save_job_name: "{{ job }}"
    async_job_save_ansible_job_id: "{{ started.ansible_job_id }}"
    async_job_save_results_file: "{{ started.results_file }}"
  when: not async_job_load_found and not ansible_check_mode
"""

# What to do in a later run with a job that was found.
COLLECT = """
- name: Wait for the job
  ansible.builtin.async_status:
    jid: "{{ async_job_load_ansible_job_id }}"
  vars:
    ansible_async_dir: "{{ async_job_load_async_dir }}"
  register: collected
  until: collected is finished
  retries: 300
  delay: 0
  when: async_job_load_found
"""

# What async_job_load returns, for outputs() to find.
SHOW: Yaml = {
    "ansible.builtin.debug": {
        "msg": {
            output: f"{{{{ async_job_load_{output} }}}}"
            for output in ("found", "ansible_job_id", "host", "metadata", "record", "async_dir", "state_file")
        }
    }
}


@pytest.fixture
def controller(controller: Controller) -> Iterator[Controller]:
    """A controller with the tasks above in files of its project. Whatever it started and still runs at the end is stopped."""
    controller.write("start.yml", START)
    controller.write("collect.yml", COLLECT)
    controller.write("show.yml", json.dumps([SHOW]))
    yield controller
    wait_until(lambda: stop_processes(controller) == 0)


def stop_processes(controller: Controller) -> int:
    """Kill what commands of this controller left running, which has its home directory as nobody else has. Return how many."""
    stopped = 0
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has just ended, or is somebody else's
            if f"HOME={controller.home}".encode() in environ.read_bytes().split(b"\0"):
                os.kill(int(environ.parent.name), signal.SIGKILL)
                stopped += 1
    return stopped


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {WAIT_SECONDS} seconds"
        time.sleep(0.01)


def save(job_name: t.Any, ansible_job_id: str, **options: t.Any) -> Yaml:
    """A task that includes async_job_save."""
    return role(SAVE, job_name=job_name, ansible_job_id=ansible_job_id, **options)


def load(job_name: t.Any, **options: t.Any) -> Yaml:
    """A task that includes async_job_load."""
    return role(LOAD, job_name=job_name, **options)


def show(expression: str) -> Yaml:
    """A task that shows the value of an expression, for outputs() to find."""
    return {"ansible.builtin.debug": {"msg": f"{{{{ {expression} }}}}"}}


def block(*tasks: Yaml, **keywords: t.Any) -> Yaml:
    """A block with these keywords."""
    return {"block": list(tasks), **keywords}


def failing(task: Yaml) -> Yaml:
    """A block whose task should fail, and that shows the message then, for outputs() to find."""
    return block(task, rescue=[show("ansible_failed_result.msg")])


def outputs(ran: Ran, host: str = "host1") -> list[t.Any]:
    """The messages of all debug tasks for a host, in the order in which they were shown."""
    shown = re.findall(rf"^ok: \[{re.escape(host)}(?: -> [^\]]+)?\][^\n]* => (\{{\n.*?^\}})$", ran.output, flags=re.M | re.S)
    return [json.loads(text)["msg"] for text in shown]


def nothing(state_file: Path) -> Yaml:
    """What async_job_load returns for a job that it does not find."""
    empty = {"found": False, "ansible_job_id": "", "host": "", "metadata": {}, "record": {}, "async_dir": ""}
    return {**empty, "state_file": str(state_file)}


def job_files(directory: Path) -> set[str]:
    """The job ids of all native background jobs that were ever started with this directory."""
    return {file.name for file in directory.iterdir()} if directory.exists() else set()


# The life of a job


def test_second_run_starts_nothing_and_collects_the_jobs_of_the_first(controller: Controller) -> None:
    """A job is found again, and native async_status finds its result, wherever the job was told to leave it."""
    playbook = controller.write(
        "playbook.yml",
        """
        - name: test
          hosts: host1
          gather_facts: false
          tasks:
            - ansible.builtin.import_tasks: start.yml
              vars:
                job: ordinary
            - ansible.builtin.import_tasks: show.yml
            - ansible.builtin.import_tasks: collect.yml

            - ansible.builtin.import_tasks: start.yml
              vars:
                job: elsewhere
                ansible_async_dir: "{{ playbook_dir }}/results"
            - ansible.builtin.import_tasks: show.yml
            - ansible.builtin.import_tasks: collect.yml
        """,
    )
    directories = [controller.home / ".ansible_async", controller.project / "results"]

    first = controller.playbook(playbook).ok()
    ids = [controller.record(job)["ansible_job_id"] for job in ("ordinary", "elsewhere")]
    assert [shown["found"] for shown in outputs(first)] == [False, False]
    assert [job_files(directory) for directory in directories] == [{ids[0]}, {ids[1]}]

    second = controller.playbook(playbook).ok()
    assert [shown["found"] for shown in outputs(second)] == [True, True]
    assert [shown["ansible_job_id"] for shown in outputs(second)] == ids
    assert [shown["async_dir"] for shown in outputs(second)] == [str(directory) for directory in directories]
    assert [job_files(directory) for directory in directories] == [{ids[0]}, {ids[1]}]
    # Both jobs are known to have ended, and any third one would have left a file.
    assert sorted((controller.project / "ledger").read_text().splitlines()) == ["host1 elsewhere", "host1 ordinary"]


def test_limit_starts_only_what_is_missing_on_the_hosts_that_it_names(controller: Controller) -> None:
    """A run for one host starts one job. The next run, for all hosts, starts only the other one."""
    controller.hosts("host1", "host2")
    pattern = play({"ansible.builtin.import_tasks": "start.yml"}, SHOW, hosts="all", vars={"job": "backup"})

    run(controller, pattern, options=["--limit", "host2"]).ok()
    started = controller.record("backup", host="host2")["ansible_job_id"]
    assert job_files(controller.home / ".ansible_async") == {started}
    assert not (controller.state_dir / "host1").exists()

    ran = run(controller, pattern).ok()
    assert outputs(ran, "host1") == [nothing(controller.state_dir / "host1/test/backup.json")]
    assert outputs(ran, "host2")[0]["ansible_job_id"] == started
    assert job_files(controller.home / ".ansible_async") == {started, controller.record("backup")["ansible_job_id"]}
    ledger = controller.project / "ledger"
    wait_until(lambda: ledger.exists() and sorted(ledger.read_text().splitlines()) == ["host1 backup", "host2 backup"])


def test_record_that_cannot_be_read_starts_nothing(controller: Controller) -> None:
    """A broken record is an error, not an absent job; with any_errors_fatal it stops the other hosts too."""
    controller.hosts("host1", "host2")
    broken = controller.state_dir / "host1/test/backup.json"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"job_name": "backup", "ansible_jo')
    pattern = play({"ansible.builtin.import_tasks": "start.yml"}, hosts="all", any_errors_fatal=True, vars={"job": "backup"})

    ran = run(controller, pattern).failed()
    assert f"The record {broken} cannot be used: it is not valid JSON" in ran.text
    assert ran.recap("host1")["failed"] == 1
    assert job_files(controller.home / ".ansible_async") == set()
    assert not (controller.state_dir / "host2").exists()


def test_check_mode_finds_jobs_and_starts_and_writes_nothing(controller: Controller) -> None:
    """With the guard of the pattern --check only looks; an unguarded save is predicted, and not done."""
    pattern = play({"ansible.builtin.import_tasks": "start.yml"}, SHOW, vars={"job": "backup"})
    state_file = controller.state_dir / "host1/test/backup.json"

    checked = run(controller, pattern, options=["--check"]).ok()
    assert outputs(checked) == [nothing(state_file)]
    assert checked.recap("host1")["changed"] == 0
    predicted = run(
        controller,
        play(save("backup", "j1.1"), show("async_job_save_state_file"), load("backup"), SHOW),
        options=["--check", "--diff"],
    ).ok()
    assert outputs(predicted) == [str(state_file), nothing(state_file)]
    assert predicted.recap("host1")["changed"] == 1
    assert '+  "ansible_job_id": "j1.1"' in predicted.output
    assert not controller.state_dir.exists()
    assert job_files(controller.home / ".ansible_async") == set()
    assert not (controller.project / "ledger").exists()

    run(controller, play(save("backup", "j1.1"))).ok()
    saved = state_file.read_bytes()
    found = run(controller, pattern, play(save("backup", "j1.1"), save("backup", "j2.2")), options=["--check"]).ok()
    assert outputs(found)[0]["found"] is True
    assert outputs(found)[0]["ansible_job_id"] == "j1.1"
    assert found.recap("host1")["changed"] == 1
    assert state_file.read_bytes() == saved
    assert job_files(controller.home / ".ansible_async") == set()


def test_diff_shows_what_a_save_changes_and_nothing_for_one_that_changes_nothing(controller: Controller) -> None:
    """--diff shows the record before and after. The same save again is no change, and leaves the file alone."""
    state_file = controller.state_dir / "host1/test/backup.json"

    def saved(ticket: str) -> Ran:
        return run(controller, play(save("backup", "j1.1", metadata={"ticket": ticket})), options=["--diff"]).ok()

    def lines(ran: Ran) -> list[str]:
        return [line for line in ran.output.splitlines() if line.startswith(("+", "-"))]

    first = saved("OPS-1")
    assert lines(first)[:2] == [f"--- before: {state_file}", f"+++ after: {state_file}"]
    assert '+    "ticket": "OPS-1"' in lines(first)
    assert first.recap("host1")["changed"] == 1
    stat = state_file.stat()

    again = saved("OPS-1")
    assert lines(again) == []
    assert again.recap("host1")["changed"] == 0
    assert (state_file.stat().st_ino, state_file.stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)

    other = saved("OPS-2")
    assert '-    "ticket": "OPS-1"' in lines(other)
    assert '+    "ticket": "OPS-2"' in lines(other)
    assert not [line for line in lines(other) if "ansible_job_id" in line]
    assert other.recap("host1")["changed"] == 1


# Outputs


def test_load_that_finds_nothing_clears_every_output(controller: Controller) -> None:
    """Nothing is left of an earlier load, nor of facts and results of the same names that somebody else has set."""
    stale = {f"async_job_load_{name}": "stale" for name in (*SHOW["ansible.builtin.debug"]["msg"], "result")}
    stale.update(async_job_save_state_file="stale", async_job_save_result="stale")
    ran = run(
        controller,
        play({"ansible.builtin.set_fact": stale}, name="somebody else's"),
        play(
            load("before"),
            SHOW,
            save("saved", "j1.1", results_file="/results/j1.1", metadata={"ticket": "OPS-1"}),
            show("async_job_save_state_file"),
            load("saved"),
            SHOW,
            load("after"),
            SHOW,
        ),
    ).ok()
    directory = controller.state_dir / "host1/test"
    assert outputs(ran) == [
        nothing(directory / "before.json"),
        str(directory / "saved.json"),
        {
            "found": True,
            "ansible_job_id": "j1.1",
            "host": "host1",
            "metadata": {"ticket": "OPS-1"},
            "record": controller.record("saved"),
            "async_dir": "/results",
            "state_file": str(directory / "saved.json"),
        },
        nothing(directory / "after.json"),
    ]


def test_outputs_belong_to_the_inventory_host_whatever_is_delegated(controller: Controller) -> None:
    """delegate_to and delegate_facts, on a block, with apply and on import_role, change neither key nor host of the outputs."""
    controller.hosts("host1", "other ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=1")
    delegated = {"delegate_to": "other", "delegate_facts": True}
    applied = [
        {**task, "ansible.builtin.include_role": {**task["ansible.builtin.include_role"], "apply": delegated}}
        for task in (save("applied", "j3.3"), load("applied"))
    ]
    imported = [
        {"ansible.builtin.import_role": task["ansible.builtin.include_role"], "vars": task["vars"], **delegated}
        for task in (save("imported", "j4.4"), load("imported"))
    ]
    ran = run(
        controller,
        play(
            block(save("delegated", "j1.1"), load("delegated"), delegate_to="other"),
            SHOW,
            block(save("facts", "j2.2"), load("facts"), **delegated),
            SHOW,
            *applied,
            SHOW,
            *imported,
            SHOW,
            show("async_job_save_state_file"),
            show("hostvars['other'].keys() | select('match', 'async_job_') | list"),
        ),
    ).ok()
    directory = controller.state_dir / "host1/test"
    *loaded, state_file, of_other = outputs(ran)
    assert [(shown["host"], shown["ansible_job_id"]) for shown in loaded] == [("host1", f"j{n}.{n}") for n in (1, 2, 3, 4)]
    assert {file.stem for file in directory.iterdir()} == {"delegated", "facts", "applied", "imported"}
    assert state_file == str(directory / "imported.json")
    assert of_other == []
    assert not (controller.state_dir / "other").exists()


def test_every_host_has_its_own_job_with_serial_and_with_any_strategy(controller: Controller) -> None:
    """Whatever order hosts are worked on, each saves and loads a record of its own. Facts are gathered, or not."""
    hosts = ("host1", "host2", "host3")
    controller.hosts(*hosts)
    tasks = [load("backup"), save("backup", "j1.{{ inventory_hostname[4:] }}"), load("backup"), SHOW]
    ran = run(
        controller,
        play(*tasks, name="serial", hosts="all", serial=1),
        play(*tasks, name="free", hosts="all", strategy="free", gather_facts=True, gather_subset=["!all"]),
        play(*tasks, name="pinned", hosts="all", strategy="host_pinned"),
        play(*tasks, name="fatal", hosts="all", any_errors_fatal=True),
    ).ok()
    for host in hosts:
        for shown, name in zip(outputs(ran, host), ("serial", "free", "pinned", "fatal"), strict=True):
            assert (shown["host"], shown["ansible_job_id"]) == (host, f"j1.{host[4:]}")
            assert shown["record"] == controller.record("backup", host=host, playbook_name=name)


def test_run_once_with_a_host_of_ones_own_gives_all_hosts_the_same_job(controller: Controller) -> None:
    """A job for all hosts together has a key that no --limit changes, and every host gets the outputs."""
    controller.hosts("host1", "host2", "host3")
    plays = play(
        block(save("backup", "j1.1", host="the cluster"), load("backup", host_filter="the cluster"), run_once=True),
        SHOW,
        show("async_job_save_state_file"),
        hosts="all",
    )
    state_file = controller.state_dir / "the cluster/test/backup.json"
    ran = run(controller, plays).ok()
    for host in ("host1", "host2", "host3"):
        assert outputs(ran, host)[0]["ansible_job_id"] == "j1.1"
        assert outputs(ran, host)[0]["host"] == "the cluster"
        assert outputs(ran, host)[1] == str(state_file)
    assert ran.output.count("changed: [") == 1
    limited = run(controller, plays, options=["--limit", "host3"]).ok()
    assert outputs(limited, "host3") == outputs(ran, "host3")
    assert limited.recap("host3")["changed"] == 0
    assert list(controller.state_dir.glob("*/*/*.json")) == [state_file]


# Ways to call a role


def test_import_role_and_the_roles_keyword(controller: Controller) -> None:
    """The roles work as static ones. Under roles:, a second load with the same options looks again."""
    ran = controller.playbook(
        """
        - name: test
          hosts: host1
          gather_facts: false
          roles:
            - role: rstyczynski.ansible.async_job_load
              async_job_load_job_name: backup
            - role: rstyczynski.ansible.async_job_save
              vars:
                async_job_save_job_name: backup
                async_job_save_ansible_job_id: j1.1
            - role: rstyczynski.ansible.async_job_load
              async_job_load_job_name: backup
          tasks:
            - ansible.builtin.import_tasks: show.yml
            - ansible.builtin.import_role:
                name: rstyczynski.ansible.async_job_save
              vars:
                async_job_save_job_name: backup
                async_job_save_ansible_job_id: j2.2
            - ansible.builtin.import_role:
                name: rstyczynski.ansible.async_job_load
              vars:
                async_job_load_job_name: backup
            - ansible.builtin.import_tasks: show.yml
        """
    ).ok()
    assert controller.record("backup")["ansible_job_id"] == "j2.2"
    assert [shown["ansible_job_id"] for shown in outputs(ran)] == ["j1.1", "j2.2"]


def test_tags_select_the_roles(controller: Controller) -> None:
    """With apply or import_role, --tags runs the role whole or not at all."""
    playbook = controller.write(
        "playbook.yml",
        """
        - name: test
          hosts: host1
          gather_facts: false
          tasks:
            - ansible.builtin.include_role:
                name: rstyczynski.ansible.async_job_save
                apply:
                  tags: [included]
              vars:
                async_job_save_job_name: backup
                async_job_save_ansible_job_id: j1.1
              tags: [included]
            - ansible.builtin.import_role:
                name: rstyczynski.ansible.async_job_load
              vars:
                async_job_load_job_name: backup
              tags: [imported]
            - ansible.builtin.import_tasks: show.yml
              tags: [imported]
        """,
    )
    controller.playbook(playbook, "--tags", "others").ok()
    assert not controller.state_dir.exists()
    imported = controller.playbook(playbook, "--tags", "imported").ok()
    assert outputs(imported) == [nothing(controller.state_dir / "host1/test/backup.json")]
    controller.playbook(playbook, "--tags", "included").ok()
    assert controller.record("backup")["ansible_job_id"] == "j1.1"
    skipped = controller.playbook(playbook, "--skip-tags", "included").ok()
    assert outputs(skipped)[0]["ansible_job_id"] == "j1.1"


def test_names_in_a_loop_and_names_that_are_not_text(controller: Controller) -> None:
    """Roles in a loop over job names, also over such as YAML takes for something else than text."""
    controller.write("load.yml", json.dumps([load("{{ job }}"), SHOW]))
    names = ["alpha", "beta gamma", "żółć", 42, 1.5, "007", True]
    loop = {"loop": names, "loop_control": {"loop_var": "job"}}
    ran = run(
        controller,
        play(
            {**save("{{ job }}", "j{{ index }}.1"), "loop": names, "loop_control": {"loop_var": "job", "index_var": "index"}},
            {"ansible.builtin.include_tasks": "load.yml", **loop},
            load(42),
            SHOW,
            name=2026,
        ),
    ).ok()
    assert [shown["ansible_job_id"] for shown in outputs(ran)] == [*(f"j{index}.1" for index in range(len(names))), "j3.1"]
    assert {file.name for file in (controller.state_dir / "host1/2026").iterdir()} == {f"{name}.json" for name in names}
    for name in names:
        assert controller.record(str(name), playbook_name="2026")["job_name"] == str(name)


def test_plays_hosts_and_explicit_names_keep_jobs_apart(controller: Controller) -> None:
    """The same job name in two plays, on two hosts and under explicit names is a different job each time."""
    controller.hosts("host1", "host2")
    name = "j{{ ansible_play_name | length }}.{{ inventory_hostname[4:] }}"
    tasks = [load("backup"), SHOW, save("backup", name), load("backup"), SHOW]
    ran = run(
        controller,
        play(*tasks, name="Nightly: all", hosts="all"),
        play(*tasks, name="Weekly", hosts="all"),
        play(
            save("backup", "j1.1", host="somewhere", playbook_name="Monthly"),
            show("async_job_save_state_file"),
            load("backup", host_filter="somewhere", playbook_name="Monthly"),
            SHOW,
            load("backup", playbook_name="Weekly"),
            SHOW,
            load("backup", host_filter="host2", playbook_name="Nightly: all"),
            SHOW,
            name="other",
        ),
    ).ok()
    assert {str(file.relative_to(controller.state_dir)) for file in controller.state_dir.glob("*/*/*")} == {
        "host1/Nightly: all/backup.json",
        "host2/Nightly: all/backup.json",
        "host1/Weekly/backup.json",
        "host2/Weekly/backup.json",
        "somewhere/Monthly/backup.json",
    }
    for host in ("host1", "host2"):
        ids = [shown["ansible_job_id"] for shown in outputs(ran, host)[:4]]
        assert ids == ["", f"j12.{host[4:]}", "", f"j6.{host[4:]}"]
    state_file, monthly, weekly, nightly = outputs(ran)[4:]
    assert state_file == str(controller.state_dir / "somewhere/Monthly/backup.json")
    assert (monthly["host"], monthly["ansible_job_id"]) == ("somewhere", "j1.1")
    assert (weekly["host"], weekly["ansible_job_id"]) == ("host1", "j6.1")
    assert (nightly["host"], nightly["ansible_job_id"]) == ("host2", "j12.2")


def test_the_host_is_not_contacted_and_nobody_is_become(controller: Controller) -> None:
    """Hosts of any kind that cannot be reached, as a user that does not exist: the controller does it all by itself."""
    nowhere = "ansible_host=127.0.0.1 ansible_port=1"
    controller.hosts(
        f"ssh ansible_connection=ssh {nowhere}",
        f"winrm ansible_connection=ansible.builtin.winrm {nowhere} ansible_become_method=runas",
        f"psrp ansible_connection=ansible.builtin.psrp {nowhere} ansible_become_method=runas",
        "unknown ansible_connection=ssh ansible_host=name.invalid ansible_python_interpreter=/nonexistent",
    )
    become: Yaml = {"become": True, "become_user": "nobody-of-that-name"}
    included = load("backup")
    included["ansible.builtin.include_role"]["apply"] = become
    ran = run(
        controller,
        play(load("backup"), save("backup", "j1.1"), load("backup"), SHOW, hosts="all", **become),
        play(included, SHOW, hosts="all"),
    ).ok()
    for host in ("ssh", "winrm", "psrp", "unknown"):
        assert [shown["host"] for shown in outputs(ran, host)] == [host] * 2
        assert controller.record("backup", host=host)["ansible_job_id"] == "j1.1"
        assert ran.recap(host)["unreachable"] == 0


# What is stored


def test_metadata_comes_back_as_json_holds_it(controller: Controller) -> None:
    """Dates, nesting, any text, values of any origin; what is not a template is never taken for one."""
    controller.write("group_vars/all.yml", 'greeting: "Zażółć {{ name }}"\nname: gęślą jaźń\n')
    ran = controller.playbook(
        r"""
        - name: test
          hosts: host1
          gather_facts: false
          tasks:
            - ansible.builtin.set_fact:
                a_fact: {list: [1, "{{ 'two' }}"]}
            - ansible.builtin.include_role:
                name: rstyczynski.ansible.async_job_save
              vars:
                async_job_save_job_name: backup
                async_job_save_ansible_job_id: j1.1
                async_job_save_metadata:
                  date: 2026-01-31
                  time: 2026-01-31 22:00:04
                  zoned: 2026-01-31T22:00:04+01:00
                  unsafe: !unsafe "{{ not_a_template }} {% raw %}"
                  templated: "{{ greeting }}"
                  fact: "{{ a_fact }}"
                  looked_up: "{{ lookup('ansible.builtin.vars', 'inventory_hostname') }}"
                  numbers: [0, -1, 1.5, 1.0e+100, 12345678901234567890]
                  others: [true, false, null, "", {}, [], {"": {"": []}}]
                  looks: ["2026-01-31", "1", "true", "null", "[1]", "{}", "{'a': 1}", "yes", "~", " x "]
                  quotes: ["it's", 'say "so"', "back\\slash", "two\nlines", "tab\t", "\u2028", "#", "%", "import os"]
                  1: one
                  deep: {a: [{b: [{c: [{d: e}]}]}]}
            - ansible.builtin.include_role:
                name: rstyczynski.ansible.async_job_load
              vars:
                async_job_load_job_name: backup
            - ansible.builtin.import_tasks: show.yml
            - ansible.builtin.debug:
                msg: "{{ async_job_load_metadata.unsafe }} {{ async_job_load_record.metadata.unsafe }}"
        """
    ).ok()
    metadata = {
        "date": "2026-01-31",
        "time": "2026-01-31T22:00:04",
        "zoned": "2026-01-31T22:00:04+01:00",
        "unsafe": "{{ not_a_template }} {% raw %}",
        "templated": "Zażółć gęślą jaźń",
        "fact": {"list": [1, "two"]},
        "looked_up": "host1",
        "numbers": [0, -1, 1.5, 1e100, 12345678901234567890],
        "others": [True, False, None, "", {}, [], {"": {"": []}}],
        "looks": ["2026-01-31", "1", "true", "null", "[1]", "{}", "{'a': 1}", "yes", "~", " x "],
        "quotes": ["it's", 'say "so"', "back\\slash", "two\nlines", "tab\t", "\u2028", "#", "%", "import os"],
        "1": "one",
        "deep": {"a": [{"b": [{"c": [{"d": "e"}]}]}]},
    }
    assert controller.record("backup")["metadata"] == metadata
    shown, unsafe = outputs(ran)
    assert shown["metadata"] == metadata
    assert shown["record"] == controller.record("backup")
    assert unsafe == f"{metadata['unsafe']} {metadata['unsafe']}"


def test_metadata_from_variables_and_from_the_vault(controller: Controller) -> None:
    """Metadata that is one variable as a whole, with a value that Ansible decrypts."""
    password = controller.write("password", "swordfish\n")
    unlock = ["--vault-password-file", password]
    encrypted = controller.run("vault", "encrypt_string", *unlock, "--name", "secret", "from the vault").ok()
    vaulted = re.findall(r"^secret: !vault \|\n(?: +[$0-9A-Z].*\n?)+", encrypted.output, flags=re.M)
    controller.write("group_vars/all.yml", f"{vaulted[0]}\ninfo:\n  ticket: OPS-1\n  secret: '{{{{ secret }}}}'\n")
    ran = run(
        controller,
        play(save("backup", "j1.1", metadata="{{ info }}"), load("backup"), SHOW),
        play(save("other", "j1.1", metadata={"secrets": ["{{ secret }}"]})),
        options=unlock,
    ).ok()
    assert outputs(ran)[0]["metadata"] == {"ticket": "OPS-1", "secret": "from the vault"}
    assert controller.record("backup")["metadata"] == {"ticket": "OPS-1", "secret": "from the vault"}
    assert controller.record("other")["metadata"] == {"secrets": ["from the vault"]}


def test_metadata_that_json_cannot_hold_is_an_error(controller: Controller) -> None:
    """Nothing is saved then. The message names the place and the job that goes on, not the value."""
    ran = controller.playbook(
        """
        - name: test
          hosts: host1
          gather_facts: false
          tasks:
            - block:
                - ansible.builtin.include_role:
                    name: rstyczynski.ansible.async_job_save
                  vars:
                    async_job_save_job_name: backup
                    async_job_save_ansible_job_id: j1.1
                    async_job_save_metadata:
                      sizes: [1, .nan]
              rescue:
                - ansible.builtin.debug:
                    msg: "{{ ansible_failed_result.msg }}"
            - block:
                - ansible.builtin.include_role:
                    name: rstyczynski.ansible.async_job_save
                  vars:
                    async_job_save_job_name: backup
                    async_job_save_ansible_job_id: j1.1
                    async_job_save_metadata:
                      1: one
                      "1": two
              rescue:
                - ansible.builtin.debug:
                    msg: "{{ ansible_failed_result.msg }}"
        """
    ).ok()
    assert len(outputs(ran)) == 2, ran.output
    not_a_number, two_keys = outputs(ran)
    assert "metadata.sizes[1] cannot be stored" in not_a_number
    assert "metadata has two keys that are both '1'" in two_keys
    for message in (not_a_number, two_keys):
        assert message.endswith("The job id j1.1 was not saved: if that job was started, it goes on running.")
    assert not controller.state_dir.exists()


def test_no_log_keeps_metadata_out_of_the_output(controller: Controller) -> None:
    """With no_log on a block or with apply, values are shown nowhere, not even at -vvv --diff or by an error."""
    metadata = {"token": "s3cr3t-value"}
    applied = save("applied", "j1.1", metadata=metadata)
    applied["ansible.builtin.include_role"]["apply"] = {"no_log": "{{ quiet }}"}
    tasks = [
        block(save("backup", "j1.1", metadata=metadata), load("backup"), no_log="{{ quiet }}"),
        applied,
        block(failing(save("wrong", "not/an/id", metadata=metadata)), no_log="{{ quiet }}"),
    ]

    quiet = run(controller, play(*tasks, vars={"quiet": True}), options=["-vvv", "--diff"]).ok()
    assert controller.record("backup")["metadata"] == metadata
    assert controller.record("applied")["metadata"] == metadata
    assert "s3cr3t" not in quiet.output
    loud = run(controller, play(*tasks, vars={"quiet": False}), options=["-vvv", "--diff"]).ok()
    assert "s3cr3t" in loud.output


def test_older_record_loads(controller: Controller) -> None:
    """A record of the five fields that there once were has all outputs. Saving keeps what others have added to it."""
    older = {
        "job_name": "backup",
        "host": "host1",
        "ansible_job_id": "j159.2653",
        "save_time": "2025-01-31T22:00:04Z",
        "metadata": {"ticket": "OPS-1"},
    }
    file = controller.state_dir / "host1/Nightly backup/backup.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(older, indent=4))
    [shown] = outputs(run(controller, play(load("backup"), SHOW, name="Nightly backup")).ok())
    assert older.items() <= shown["record"].items()
    assert shown == {
        "found": True,
        "ansible_job_id": "j159.2653",
        "host": "host1",
        "metadata": {"ticket": "OPS-1"},
        "record": shown["record"],
        "async_dir": shown["async_dir"],
        "state_file": str(file),
    }
    assert file.read_text() == json.dumps(older, indent=4), "a load changes nothing"

    file.write_text(json.dumps({**older, "added_by": "somebody"}, indent=4))
    run(controller, play(save("backup", "j2.2"), name="Nightly backup")).ok()
    saved = controller.record("backup", playbook_name="Nightly backup")
    assert (saved["ansible_job_id"], saved["added_by"]) == ("j2.2", "somebody")
    assert [(past["ansible_job_id"], past["start"]) for past in saved["attempts"]] == [("j159.2653", "2025-01-31T22:00:04Z")]


def test_job_of_an_older_record_is_collected_where_jobs_are_by_default(controller: Controller) -> None:
    """An older record does not say where its job's result is. What the role returns works for async_status all the same."""
    tasks = [{"ansible.builtin.import_tasks": file} for file in ("start.yml", "collect.yml")]
    pattern = play(*tasks, vars={"job": "backup"})
    run(controller, pattern).ok()
    record = controller.record("backup")
    older = {field: record[field] for field in ("job_name", "host", "ansible_job_id", "save_time", "metadata")}
    (controller.state_dir / "host1/test/backup.json").write_text(json.dumps(older, indent=4))
    run(controller, pattern).ok()
    assert job_files(controller.home / ".ansible_async") == {record["ansible_job_id"]}


def test_program_that_knows_only_the_older_fields_reads_a_record(controller: Controller) -> None:
    """A plain JSON reader finds the five fields where they always were, with the same types."""
    run(controller, play(save("backup", "j1.1", metadata={"who": "Zażółć"}))).ok()
    program = (
        "import datetime, json, sys\n"
        "with open(sys.argv[1], encoding='utf-8') as file:\n"
        "    record = json.load(file)\n"
        "datetime.datetime.strptime(record['save_time'], '%Y-%m-%dT%H:%M:%SZ')\n"
        "print(record['job_name'], record['host'], record['ansible_job_id'], ascii(record['metadata']['who']))\n"
    )
    file = controller.state_dir / "host1/test/backup.json"
    done = subprocess.run([sys.executable, "-c", program, file], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == f"backup host1 j1.1 {'Zażółć'!a}"


# The settings of the store


def store_play(*tasks: Yaml, role_variable: t.Any = None, shared: t.Any = None, defaults: t.Any = None) -> Yaml:
    """A play in which the state directory is set by these."""
    variables = {
        "async_job_save_state_dir": role_variable,
        "async_job_load_state_dir": role_variable,
        "async_job_state_dir": shared,
    }
    return play(
        *tasks,
        vars={name: value for name, value in variables.items() if value is not None},
        module_defaults={GROUP: {"state_dir": defaults}} if defaults is not None else {},
    )


def direct(**options: t.Any) -> list[Yaml]:
    """Tasks of both modules that show where they look."""
    return [
        {INFO: {"job_name": "backup", **options}, "register": "result"},
        show("result.state_file"),
        {STATE: {"job_name": "backup", "state": "absent", "force": True, **options}, "register": "result"},
        show("result.state_file"),
    ]


def places(controller: Controller, *names: str) -> list[str]:
    """What tasks of the two roles, or of the two modules, show when these are their state directories."""
    return [str(controller.project / name / "host1/test/backup.json") for name in names for _task in range(2)]


def test_precedence_of_settings_in_the_roles(controller: Controller) -> None:
    """Role variable, shared variable, module_defaults, environment, default: the first that is there counts."""
    tasks = [save("backup", "j1.1"), show("async_job_save_state_file"), load("backup"), show("async_job_load_state_file")]
    plays = [
        store_play(*tasks, role_variable="by_role", shared="by_shared", defaults="by_defaults"),
        store_play(*tasks, shared="by_shared", defaults="by_defaults"),
        store_play(*tasks, defaults="by_defaults"),
        store_play(*tasks),
    ]
    ran = run(controller, *plays, env={"ASYNC_JOB_STATE_DIR": "by_environment"}).ok()
    names = ["by_role", "by_shared", "by_defaults", "by_environment"]
    assert outputs(ran) == places(controller, *names)
    assert all(Path(place).is_file() for place in places(controller, *names))
    assert not controller.state_dir.exists()
    assert outputs(run(controller, plays[-1]).ok()) == places(controller, ".ansible_async_state")


def test_precedence_of_settings_in_tasks(controller: Controller) -> None:
    """Task option, shared variable, module_defaults, environment, default: the first that is there counts."""
    plays = [
        store_play(*direct(state_dir="by_task"), shared="by_shared", defaults="by_defaults"),
        store_play(*direct(state_dir="by_defaults"), shared="by_shared", defaults="by_defaults"),
        store_play(*direct(), role_variable="by_role", shared="by_shared", defaults="by_defaults"),
        store_play(*direct(), role_variable="by_role", defaults="by_defaults"),
        store_play(*direct(), role_variable="by_role"),
    ]
    ran = run(controller, *plays, env={"ASYNC_JOB_STATE_DIR": "by_environment"}).ok()
    assert outputs(ran) == places(controller, "by_task", "by_defaults", "by_shared", "by_defaults", "by_environment")
    assert outputs(run(controller, plays[-1]).ok()) == places(controller, ".ansible_async_state")


def test_settings_that_are_omitted_count_as_not_set(controller: Controller) -> None:
    """An option or a variable that is "{{ omit }}" leaves the word to the next one."""
    omitted = "{{ not_defined | default(omit) }}"
    roles = [save("backup", "j1.1"), show("async_job_save_state_file"), load("backup"), show("async_job_load_state_file")]
    one_given = store_play(*direct(state_dir=omitted, backend="filesystem"), shared="by_shared")
    one_given["vars"]["async_job_backend"] = "oci"
    ran = run(
        controller,
        store_play(*direct(), shared=omitted, defaults="by_defaults"),
        store_play(*roles, shared=omitted, defaults="by_defaults"),
        store_play(*roles, role_variable=omitted, shared="by_shared", defaults="by_defaults"),
        store_play(*direct(state_dir=omitted), shared="by_shared"),
        one_given,
    ).ok()
    assert outputs(ran) == places(controller, "by_defaults", "by_defaults", "by_shared", "by_shared", "by_shared")


def test_settings_of_a_task_count_however_they_are_written(controller: Controller) -> None:
    """Options in a string, under args, in one variable, with local_action and in a loop are options of the task."""
    forms: list[Yaml] = [
        {"action": f"{INFO} job_name=backup state_dir=by_task"},
        {"local_action": {"module": INFO, "job_name": "backup", "state_dir": "by_task"}},
        {INFO: {"job_name": "backup"}, "args": {"state_dir": "by_task"}},
        {INFO: {"job_name": "backup"}, "args": "{{ settings }}"},
        {INFO: "{{ settings | combine({'job_name': 'backup'}) }}"},
        {INFO: {"job_name": "backup", "state_dir": "{{ item }}"}, "loop": ["by_task"]},
    ]
    shown = show("result.state_file | default(result.results[0].state_file)")
    for_both = [task for form in forms for task in ({**form, "register": "result"}, shown)]
    variables = {"async_job_state_dir": "by_shared", "settings": {"state_dir": "by_task"}}
    defaults = {GROUP: {"state_dir": "by_defaults", "backend": "filesystem"}}
    ran = run(controller, play(*for_both, vars=variables, module_defaults=defaults, environment={})).ok()
    assert outputs(ran) == places(controller, *["by_task"] * len(forms))[::2]


def test_shared_settings_from_the_inventory_and_from_the_command_line(controller: Controller) -> None:
    """async_job_state_dir of one host, of all hosts, and of the command line, for roles and tasks together."""
    controller.hosts("host1 async_job_state_dir=../outside", "host2")
    controller.write("group_vars/all.yml", "async_job_state_dir: '{{ playbook_dir }}/{{ inventory_hostname }}/state'\n")
    tasks = [save("backup", "j1.1"), load("backup"), SHOW, {INFO: {}, "register": "listed"}, show("listed.store")]
    ran = run(controller, play(*tasks, hosts="all")).ok()
    for host, store in (("host1", controller.project.parent / "outside"), ("host2", controller.project / "host2/state")):
        loaded, listed = outputs(ran, host)
        assert Path(loaded["state_file"]).resolve() == store / host / "test/backup.json"
        assert Path(listed).resolve() == store
        assert (store / host / "test/backup.json").is_file()
    absolute = controller.home / "absolute"
    ran = run(controller, play(*tasks), options=["-e", f"async_job_state_dir={absolute}"]).ok()
    assert outputs(ran)[0]["state_file"] == str(absolute / "host1/test/backup.json")
    assert outputs(ran)[1] == str(absolute)


def test_relative_state_directory_is_beside_the_playbook(controller: Controller) -> None:
    """Wherever the playbook is started from, it finds its jobs. A tilde is the home directory."""
    playbook = controller.write(
        "deep/down/site.yml",
        json.dumps(
            [
                play(save("backup", "j1.1"), show("async_job_save_state_file")),
                play(save("backup", "j1.1"), show("async_job_save_state_file"), vars={"async_job_state_dir": "~/jobs"}),
            ]
        ),
    )
    expected = [
        playbook.parent / ".ansible_async_state/host1/test/backup.json",
        controller.home / "jobs/host1/test/backup.json",
    ]
    first = controller.playbook(playbook).ok()
    assert outputs(first) == [str(place) for place in expected]
    assert all(place.is_file() for place in expected)
    second = controller.playbook("site.yml", cwd=playbook.parent).ok()
    assert outputs(second) == outputs(first)
    assert second.recap("host1")["changed"] == 0
    assert not (controller.project / ".ansible_async_state").exists()


def test_backend_oci_without_a_bucket_starts_nothing(controller: Controller) -> None:
    """A store that cannot work is one clear paragraph, before anything is started; after that, it names the job that runs."""
    settings = {"job": "backup", "async_job_backend": "oci"}
    ran = run(controller, play({"ansible.builtin.import_tasks": "start.yml"}, vars=settings)).failed()
    assert "The backend 'oci' needs the name of a bucket. Nothing was read or written." in ran.text
    [message] = outputs(run(controller, play(failing(save("backup", "j1.1", backend="oci")))).ok())
    assert "\n" not in message
    assert message.endswith("The job id j1.1 was not saved: if that job was started, it goes on running.")
    assert job_files(controller.home / ".ansible_async") == set()
    assert not controller.state_dir.exists()


# Wrong options


def test_wrong_options_are_refused_by_name(controller: Controller) -> None:
    """Before anything is read or written, the message says which option is missing or wrong."""
    cases: list[tuple[Yaml, str]] = [
        (role(SAVE), "missing required arguments: async_job_save_ansible_job_id, async_job_save_job_name"),
        (role(SAVE, job_name="backup"), "missing required arguments: async_job_save_ansible_job_id"),
        (role(LOAD), "missing required arguments: async_job_load_job_name"),
        (save("backup", "j1.1", metadata="a text"), "'async_job_save_metadata' is of type"),
        (save("backup", "j1.1", metadata=["a list"]), "'async_job_save_metadata' is of type"),
        (
            save("backup", "j1.1", backend="paper"),
            "value of async_job_save_backend must be one of: filesystem, oci, got: paper",
        ),
        (load("backup", backend="paper"), "value of async_job_load_backend must be one of: filesystem, oci, got: paper"),
        (save("backup", ""), "ansible_job_id is '', which is not a job id"),
        (save("backup", "../j1.1"), "ansible_job_id is '../j1.1', which is not a job id"),
    ]
    ran = run(
        controller,
        play(*(failing(task) for task, _message in cases)),
        play(failing(load("backup")), vars={"async_job_backend": "paper"}),
        play(failing(load("backup")), vars={"async_job_state_dir": ""}),
    ).ok()
    expected = [
        *(message for _task, message in cases),
        "value of backend must be one of: filesystem, oci, got: paper",
        "state_dir is empty. Give a directory, or leave the option out.",
    ]
    for shown, message in zip(outputs(ran), expected, strict=True):
        assert message in shown
    assert not controller.state_dir.exists()


def test_booleans_and_settings_of_variables_are_judged_before_the_job_starts(controller: Controller) -> None:
    """A boolean from the command line is text. What the save takes, and is not defined, is an error of the load."""
    put(controller.state_dir, "job", host="host1", playbook="test", async_dir="/nowhere", status="running")
    load = role(LOAD, job_name="job")
    for value, status in (("false", "running"), ("true", "lost")):
        ran = run(controller, play(load, tell("async_job_load_status")), options=["-e", f"async_job_load_verify={value}"]).ok()
        assert told(ran) == [status]
    text = run(controller, play(load, vars={"async_job_save_state_dir": "{{ nowhere }}/state"})).failed().messages()["host1"]
    assert "async_job_save_state_dir" in text
    assert "Nothing was started" in text
