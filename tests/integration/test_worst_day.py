# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Crashes, crowds, broken disks and hostile names, through real Ansible commands.

With C(TORTURE=1) in the environment, the tests that need chance try many times as often.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from controller import Controller, Ran
from fleet import JOBS, NEWER, PRUNE, REPORT, rows
from plays import job, run_tasks, shell, told
from records import ago, put
from store_contract import FULL_DISKS, FullDisk, unprivileged
from torture import TORTURE
from waiting import until

from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import FILTERS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import find_records
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore

KILLS = 200 if TORTURE else 8
PLAYBOOKS = 12 if TORTURE else 6
RECORDS = 10_000 if TORTURE else 2_000
SIDE_BY_SIDE = 2

# What older releases wrote.
OLD = {"ansible_job_id": "j1.1", "host": "host1", "job_name": "job", "metadata": {}, "save_time": "2025-01-31T22:00:04Z"}

# A job that is started unless it is found, as users write it.
START_OR_FIND = """
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - name: Look for the job
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_load
      vars:
        async_job_load_job_name: "{{ job_name | default('job') }}"
    - name: Start it
      ansible.builtin.command:
        argv: [touch, "{{ playbook_dir }}/started on {{ inventory_hostname }}"]
      async: 60
      poll: 0
      register: job
      when: not async_job_load_found
    - name: Save it
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_save
      vars:
        async_job_save_job_name: "{{ job_name | default('job') }}"
        async_job_save_ansible_job_id: "{{ job.ansible_job_id }}"
        async_job_save_results_file: "{{ job.results_file }}"
      when: not async_job_load_found
    - name: Tell its id
      ansible.builtin.debug:
        msg: "it is {{ async_job_load_ansible_job_id }}."
      when: async_job_load_found
"""

# Nothing but a save, of a job that was started somehow.
SAVE = """
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - name: Save it
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_save
      vars:
        async_job_save_job_name: job
        async_job_save_ansible_job_id: "{{ job_id }}"
        async_job_save_metadata:
          filler: "{{ 'x' * (size | default(1) | int) }}"
"""


def squeezed(text: str) -> str:
    """The text without any white space. Ansible breaks its warnings anywhere, also inside of a path."""
    return "".join(text.split())


def files(directory: Path) -> dict[str, bytes | None]:
    """All that is in a directory, at any depth: the content of files, None for anything else."""
    found = {str(path.relative_to(directory)): path for path in directory.rglob("*")}
    return {name: path.read_bytes() if path.is_file() else None for name, path in found.items()}


@contextlib.contextmanager
def umask(bits: int) -> Iterator[None]:
    """The umask, for this process and for those that it starts meanwhile."""
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


# --- Crashes ----------------------------------------------------------------------------------------------------------

_EVER_CHANGING = """
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - name: Save
      rstyczynski.ansible.async_job_state:
        job_name: job
        ansible_job_id: j1.1
        metadata:
          number: "{{ item }}"
          filler: "{{ (item ~ ' ') * 100000 }}"
      loop: "{{ range(first | int, first | int + count | int) | list }}"
"""


def _of_controller(controller: Controller) -> list[int]:
    """The processes that were started on a controller: its home directory is in their environment."""
    mark = f"HOME={controller.home}".encode()
    pids = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (directory / "environ").read_bytes().split(b"\0"):
                pids.append(int(directory.name))
    return pids


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _killed(controller: Controller) -> bool:
    """Kill everything that was started on a controller. Whether there was nothing left."""
    pids = _of_controller(controller)
    _kill(pids)
    return not pids


def _leftovers(controller: Controller, file: Path) -> set[Path]:
    """The files that are neither a record nor the lock."""
    return {path for path in controller.state_dir.rglob("*") if path.is_file()} - {file, controller.state_dir / ".lock"}


def _check_document(file: Path, at_least: int) -> int:
    """Make sure that a record is whole, and not older than this. The number in it."""
    record = json.loads(file.read_bytes().decode("utf-8"))
    number = int(record["metadata"]["number"])
    assert number >= at_least
    assert record["metadata"] == {"number": record["metadata"]["number"], "filler": f"{number} " * 100_000}
    assert (record["job_name"], record["ansible_job_id"], record["attempt"]) == ("job", "j1.1", 1)
    return number


def _kill_saves(controller: Controller, kills: int) -> int:
    """Kill saves at random moments, and in the middle of a write. How many of them left a temporary file."""
    playbook = controller.write("ever_changing.yml", _EVER_CHANGING)
    file = controller.state_dir / "host1" / "test" / "job.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({**OLD, "metadata": {"number": "0", "filler": "0 " * 100_000}, "attempt": 1}))
    number = torn = 0
    for kill in range(1, kills + 1):
        before = file.stat().st_ino, file.stat().st_mtime_ns
        process = controller.popen("playbook", "-i", controller.inventory, playbook, "-e", f"first={kill * 1000} count=100")
        try:
            while (file.stat().st_ino, file.stat().st_mtime_ns) == before:
                assert process.poll() is None, process.communicate()
                time.sleep(0.001)
            pids = _of_controller(controller)  # Ansible's workers need not be in its process group
            if kill % 2:
                time.sleep(random.uniform(0, 0.2))
            else:
                until(lambda: _leftovers(controller, file), pause=0.001)
            assert process.poll() is None
            _kill(pids)
        finally:
            until(lambda: _killed(controller), pause=0.001)
            process.communicate()
        number = _check_document(file, max(number, kill * 1000))
        torn += len(_leftovers(controller, file))
        assert len(_leftovers(controller, file)) <= 1
    controller.playbook(playbook, "-e", f"first={kills * 1000 + 1000} count=2").ok()
    _check_document(file, kills * 1000 + 1001)
    assert not _leftovers(controller, file)
    return torn


def test_a_killed_save_leaves_the_old_record_or_the_new_one(tmp_path: Path, collections: Path) -> None:
    """Whenever Ansible is killed: never a torn or empty file, and never more than one leftover, which the next save removes."""
    controllers = []
    for number in range(SIDE_BY_SIDE):
        (tmp_path / str(number)).mkdir()
        controllers.append(Controller(tmp_path / str(number), collections))
    with ThreadPoolExecutor() as pool:
        torn = list(pool.map(_kill_saves, controllers, [KILLS // SIDE_BY_SIDE] * SIDE_BY_SIDE))
    assert sum(torn) > 0
    print(f"{sum(torn)} of {KILLS} kills hit the middle of a write")


# --- Crowds -----------------------------------------------------------------------------------------------------------

_CROWD = """
import json
import os
import sys
import traceback

collections, state_dir, results, count = *sys.argv[1:4], int(sys.argv[4])
sys.path.insert(0, collections)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules.async_job_state import ARGUMENT_SPEC, run

defaults = {option: spec.get("default") for option, spec in ARGUMENT_SPEC.items()}
params = {**defaults, "state_dir": state_dir, "host": "host1", "playbook_name": "test", "job_name": "job"}
ready, go = os.pipe()
children = []
for number in range(count):
    children.append(os.fork())
    if children[-1] == 0:
        try:
            os.close(go)
            os.read(ready, 1)
            result = run({**params, "ansible_job_id": f"j{number}.1", "metadata": {"x": "x" * 1000}}, check_mode=False)
            with open(f"{results}/{number}", "w") as stream:
                json.dump(result, stream)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
os.close(go)
sys.exit(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


def test_saves_at_once_are_as_many_attempts(controller: Controller, collections: Path, tmp_path: Path) -> None:
    """Real processes, all of which are there before the first one begins. Whoever reads meanwhile sees whole records."""
    count = 200 if TORTURE else 60
    results = tmp_path / "results"
    results.mkdir()
    command = [sys.executable, "-c", _CROWD, str(collections), str(controller.state_dir), str(results), str(count)]
    errors = tmp_path / "errors"
    with open(errors, "wb") as stream:
        crowd = subprocess.Popen(command, stderr=stream, start_new_session=True)
    file = controller.state_dir / "host1" / "test" / "job.json"
    seen = []
    try:
        while crowd.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                seen.append(json.loads(file.read_bytes())["attempt"])
            time.sleep(0.001)
        assert crowd.returncode == 0, errors.read_text()[:10_000]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(crowd.pid, signal.SIGKILL)
        crowd.wait()
    assert len(seen) > 10
    assert seen == sorted(seen)
    returned = [json.loads(result.read_bytes()) for result in results.iterdir()]
    assert all(result["changed"] for result in returned)
    assert sorted(result["record"]["attempt"] for result in returned) == list(range(1, count + 1))
    record = controller.record("job")
    assert record in [result["record"] for result in returned]
    assert record["attempt"] == count
    history = [past["ansible_job_id"] for past in record["attempts"]]
    by_attempt = {result["record"]["attempt"]: result["record"]["ansible_job_id"] for result in returned}
    assert history == [by_attempt[attempt] for attempt in range(count - 20, count)]
    assert files(controller.state_dir).keys() == {".lock", "host1", "host1/test", "host1/test/job.json"}


def test_playbooks_at_once_are_as_many_attempts(controller: Controller) -> None:
    """Each saves another job id under the same name."""
    playbook = controller.write("save.yml", SAVE)
    commands = [
        controller.popen("playbook", "-i", controller.inventory, playbook, "-e", f"job_id=j{number}.1") for number in range(PLAYBOOKS)
    ]
    try:
        for command in commands:
            output, _stderr = command.communicate(timeout=120)
            assert Ran(command.returncode, output).ok().recap("host1")["changed"] == 1
    finally:
        for command in commands:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
            command.communicate()
    record = controller.record("job")
    assert record["attempt"] == PLAYBOOKS
    job_ids = [record["ansible_job_id"], *(past["ansible_job_id"] for past in record["attempts"])]
    assert sorted(job_ids) == sorted(f"j{number}.1" for number in range(PLAYBOOKS))
    assert files(controller.state_dir).keys() == {".lock", "host1", "host1/test", "host1/test/job.json"}


# --- Broken records and broken disks ----------------------------------------------------------------------------------


def _replace_by_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _replace_by_link(file: Path) -> None:
    real = file.parents[3] / "somewhere else.json"
    file.rename(real)
    file.symlink_to(real)


def _replace_by_dangling_link(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nothing.json"))


def _replace_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _write(document: bytes) -> Callable[[Path], t.Any]:
    return lambda file: file.write_bytes(document)


def _change(**fields: t.Any) -> Callable[[Path], t.Any]:
    return lambda file: file.write_text(json.dumps({**json.loads(file.read_bytes()), **fields}))


def _dangling_host(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    file.parent.parent.rmdir()
    file.parent.parent.symlink_to("not mounted")


# What is done to the record of a host, and what the error says then. There is a way out in each.
DAMAGES: dict[str, tuple[Callable[[Path], t.Any], str, str]] = {
    "broken": (_write(b'{"job_name": "job",'), "not valid JSON", "put back a good copy"),
    "empty": (_write(b""), "it is empty", "put back a good copy"),
    "zeros": (_write(b"\0" * 4096), "not valid JSON", "put back a good copy"),
    "latin-1": (_write(b'{"job_name": "\xfc"}'), "not UTF-8", "put back a good copy"),
    "array": (_write(b"[1]"), "JSON array", "put back a good copy"),
    "types": (_change(ansible_job_id=7), "'ansible_job_id' holds a JSON number", "put back a good copy"),
    "newer": (_change(schema_version=99), "newer release", "Upgrade the collection"),
    "foreign": (_change(job_name="another"), "belongs to another job", "Put the file back"),
    "directory": (_replace_by_directory, "Is a directory", "move it away"),
    "link": (_replace_by_link, "symbolic link", "put the file itself there"),
    "dangling-link": (_replace_by_dangling_link, "symbolic link", "put the file itself there"),
    "pipe": (_replace_by_pipe, "Not a regular file", "move it away"),
    "no-permission": (lambda file: file.chmod(0), "Permission denied", "owner or mode"),
    "closed-directory": (lambda file: file.parent.chmod(0), "Permission denied", "owner or mode"),
    "not-mounted": (_dangling_host, "symbolic link", "Mount what it leads to"),
}


def test_no_damaged_record_starts_a_job(controller: Controller) -> None:
    """Nor is it changed, whatever is wrong with it, while other hosts go on: one finds its job, and one starts a new one."""
    controller.hosts(*DAMAGES, "healthy", "fresh")
    records = {
        host: put(controller.state_dir, host=host, playbook="test", content=json.dumps({**OLD, "host": host}).encode())
        for host in (*DAMAGES, "healthy")
    }
    for host, (damage, _why, _advice) in DAMAGES.items():
        damage(records[host])
    closed = records["closed-directory"].parent
    closed_content = (closed / "job.json").read_bytes() if os.geteuid() == 0 else None
    before = {host: _look(records[host]) for host in DAMAGES}
    with unprivileged():
        ran = controller.playbook(START_OR_FIND).failed()
    assert {host: _look(records[host]) for host in DAMAGES} == before
    closed.chmod(0o700)
    assert closed_content in (None, (closed / "job.json").read_bytes())
    said = ran.messages()
    assert said.keys() == DAMAGES.keys(), ran.output
    for host, (_damage, why, advice) in DAMAGES.items():
        assert str(records[host] if host != "not-mounted" else controller.state_dir / host) in said[host]
        assert why in said[host]
        assert advice in said[host]
        assert "Nothing was changed" in said[host]
    assert "it is j1.1." in ran.output
    until(lambda: list(controller.project.glob("started on *")))
    assert [path.name for path in controller.project.glob("started on *")] == ["started on fresh"]
    assert controller.record("job", host="fresh")["ansible_job_id"] != ""


def _look(file: Path) -> tuple[int, int, bytes | str | None]:
    """What is there, without following a link and without waiting at a pipe."""
    with unprivileged():
        try:
            status = file.lstat()
        except OSError as error:
            return error.errno or 0, 0, None
    if stat.S_ISLNK(status.st_mode):
        return status.st_mode, status.st_mtime_ns, os.readlink(file)
    readable = stat.S_ISREG(status.st_mode) and status.st_mode & stat.S_IRUSR
    return status.st_mode, status.st_mtime_ns, file.read_bytes() if readable else None


@pytest.mark.parametrize("kind", ["file", "dangling link", "dangling parent", "closed"])
def test_no_damaged_state_directory_starts_a_job(controller: Controller, tmp_path: Path, kind: str) -> None:
    """It proves nothing about the job."""
    state_dir = tmp_path / "volume" / "state"
    state_dir.parent.mkdir()
    if kind == "file":
        state_dir.write_text("a file")
    elif kind == "dangling link":
        state_dir.symlink_to(tmp_path / "not mounted")
    elif kind == "dangling parent":
        state_dir.parent.rmdir()
        state_dir.parent.symlink_to(tmp_path / "not mounted")
    else:
        state_dir.mkdir(0)
    with unprivileged():
        ran = controller.playbook(START_OR_FIND, "-e", f"async_job_state_dir={state_dir}").failed()
    said = ran.messages()["host1"]
    assert str(state_dir if kind != "dangling parent" else state_dir.parent) in said
    assert "Nothing was changed" in said
    assert not list(controller.project.glob("started on *"))
    if kind == "closed":
        state_dir.chmod(0o700)
        assert files(state_dir) == {}


@pytest.mark.parametrize("manner", ["ignore_errors: true", "rescue: [{ansible.builtin.debug: {msg: so what}}]"], ids=["ignored", "rescued"])
def test_an_error_that_nobody_minds_starts_no_job(controller: Controller, manner: str) -> None:
    """A playbook that goes on although its record cannot be read must not take the job for one that was never started."""
    put(controller.state_dir, host="host1", playbook="test", content=b"")
    ran = controller.playbook(f"""
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - {manner}
      block:
        - name: Look for the job
          ansible.builtin.include_role:
            name: rstyczynski.ansible.async_job_load
          vars:
            async_job_load_job_name: job
    - name: Start it
      ansible.builtin.command:
        argv: [touch, "{{{{ playbook_dir }}}}/started"]
      when: not async_job_load_found
""")
    assert "it is empty" in ran.text
    assert not (controller.project / "started").exists(), ran.output


@pytest.mark.parametrize("condition", FULL_DISKS.values(), ids=FULL_DISKS)
def test_a_record_survives_a_full_disk(controller: Controller, condition: FullDisk) -> None:
    """The save fails, tells of the job id that nobody has now, and works when there is room."""
    playbook = controller.write("save.yml", SAVE)
    with condition.disk(controller.state_dir):
        controller.playbook(playbook, "-e", "job_id=j1.1").ok()
        before = files(controller.state_dir)
        with condition.full(controller.state_dir):
            ran = controller.playbook(playbook, "-e", "job_id=j2.2 size=100000").failed()
            said = ran.messages()["host1"]
            assert str(controller.state_dir / "host1" / "test" / "job.json") in said
            assert "Nothing was changed." in said
            assert "then run again" in said
            assert "The job id j2.2 was not saved: if that job was started, it goes on running." in said
        assert files(controller.state_dir) == before
        controller.playbook(playbook, "-e", "job_id=j2.2 size=100000").ok()
        assert controller.record("job")["attempt"] == 2


# --- Many records -----------------------------------------------------------------------------------------------------


def test_many_records(controller: Controller) -> None:
    """Each command shows what it can, names what it cannot read, and fails at its end. Listing 10,000 takes less than two seconds."""
    directory = controller.state_dir
    for number in range(RECORDS):
        put(directory, f"job {number}", host=f"web{number % 100}", status="succeeded", end=ago(days=40), result={"stdout": "line\n" * 100})
    broken = put(directory, "broken", host="web7")
    broken.write_text("{")
    newer = put(directory, "newer", host="web7", **NEWER)
    took = []
    for _turn in range(3):  # whatever else this machine does only adds to it
        begin = time.process_time()
        listing = find_records(FilesystemStore(str(directory)), {**dict.fromkeys(FILTERS), "host": None, "playbook_name": None})
        took.append(time.process_time() - begin)
    assert min(took) < (2 if TORTURE else 0.6)
    assert (len(listing.found), len(listing.unreadable)) == (RECORDS, 2)

    ran = controller.playbook(JOBS).failed()
    assert len(rows(ran)) == RECORDS
    for file in (broken, newer):
        assert f"Not readable: {file}" in ran.output
    assert "was written by a newer release" in ran.text
    ran = controller.playbook(REPORT, "-e", "dest=jobs.html").failed()
    assert f"is about {RECORDS} jobs" in ran.text
    assert str(broken) in ran.text
    ran = controller.playbook(PRUNE, "-e", "older_than=30d", "-e", "job=*99*", "-e", "apply=true").ok()  # others can be read
    number = sum("99" in str(number) for number in range(RECORDS))
    assert f"Removed: {number} records and {number} attempts" in ran.text
    ran = controller.playbook(PRUNE, "-e", "older_than=30d", "-e", "host=web7").failed()
    number = sum(number % 100 == 7 and "99" not in str(number) for number in range(RECORDS))
    assert f"Would be removed: {number} records" in ran.text
    assert str(newer) in ran.text
    assert broken.exists()
    assert newer.exists()


# --- Hostile names ----------------------------------------------------------------------------------------------------

HOSTILE = [
    "../../etc/passwd",
    "../" * 12 + "escaped",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "a\\b",
    ".hidden",
    ".lock",
    "x" * 5000,
    "x" * 5000 + "y",
    "/" * 5000,
    "\n",
    "a\nb",
    "\0",
    "a\0b",
    "\x1b[31mred",
    "🎉",
    "👩‍👩‍👧",
    "ü",
    "夜間バックアップ",
    "CON",
    "%2F",
    "%",
    " ",
    "  ",
    "",
    "0",
    "1e3",
    "yes",
    "null",
    "~",
    "-rf",
    "'",
    '"',
    "$(touch escaped)",
    "backup",
    "Backup",
    "BACKUP",
]

_EACH = """
- name: test
  hosts: all
  gather_facts: false
  tasks:
    - name: Look for each
      rstyczynski.ansible.async_job_info:
        job_name: "{{ item }}"
      loop: "{{ names }}"
      loop_control: &label
        index_var: number
        label: "{{ number }}"
      register: found
    - name: Compare
      ansible.builtin.assert:
        that: found.results | map(attribute='record.ansible_job_id', default='') == job_ids
    - name: Save each
      rstyczynski.ansible.async_job_state:
        job_name: "{{ item }}"
        ansible_job_id: "j{{ number }}.1"
      loop: "{{ names }}"
      loop_control: *label
      register: saved
    - name: Compare
      ansible.builtin.assert:
        that: saved.results | map(attribute='changed') | unique == [not found.results.0.found]
"""


def test_a_job_of_any_name_is_found_again(controller: Controller, tmp_path: Path) -> None:
    """In another run, with its own id, and nothing is made outside of the state directory."""
    names = [*HOSTILE, "../" * 40 + str(tmp_path / "escaped")]
    playbook = controller.write("each.yml", _EACH)
    job_ids = [f"j{number}.1" for number in range(len(names))]
    first = controller.write("first.json", json.dumps({"names": names, "job_ids": [""] * len(names)}))
    second = controller.write("second.json", json.dumps({"names": names, "job_ids": job_ids}))

    def outside() -> set[str]:
        kept = (controller.state_dir, controller.home, tmp_path / "told")
        return {str(path) for path in tmp_path.rglob("*") if not any(path.is_relative_to(one) for one in kept)}

    before = outside()
    controller.playbook(playbook, "-e", f"@{first}").ok()
    made = files(controller.state_dir)
    records = {path: json.loads(content) for path, content in made.items() if content}
    assert sorted(record["job_name"] for record in records.values()) == sorted(names)
    assert all(path.count("/") == 2 and path.startswith("host1/test/") for path in records)
    controller.playbook(playbook, "-e", f"@{second}").ok()
    assert files(controller.state_dir) == made
    assert outside() == before


@pytest.mark.parametrize(
    ("argument", "file"),
    [
        ("job_name=../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json"),
        ("job_name=\udcff", "%ED%B3%BF.json"),
        ("job_name=", "%.json"),
        *([('{"job_name": "%2F"}', "%252F.json"), ('{"job_name": "\\ud83c\\udf89"}', "🎉.json")] if TORTURE else []),
    ],
    ids=["traversal", "not UTF-8", "empty", *(["percent", "emoji"] if TORTURE else [])],
)
def test_a_name_from_the_command_line_is_found_again(controller: Controller, argument: str, file: str) -> None:
    """In the place that it has for good."""
    controller.playbook(START_OR_FIND, "-e", argument).ok()
    [record] = [path for path in controller.state_dir.rglob("*") if path.is_file() and path.stat().st_size]
    assert str(record.relative_to(controller.state_dir)) == f"host1/test/{file}"
    job_id = json.loads(record.read_bytes())["ansible_job_id"]
    assert f"it is {job_id}." in controller.playbook(START_OR_FIND, "-e", argument).ok().output


# --- Who can read it, and who can lose it -----------------------------------------------------------------------------


# Under the last one, Ansible itself works for root only.
@pytest.mark.parametrize("bits", [0, 0o077, *([0o777] if os.geteuid() == 0 else [])], ids=oct)
def test_only_the_owner_can_read_records(controller: Controller, bits: int) -> None:
    """Whatever the umask of the user is."""
    with umask(bits):
        controller.playbook(SAVE + SAVE.replace("{{ job_id }}", "{{ next_job_id }}"), "-e", "job_id=j1.1 next_job_id=j2.2").ok()
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (controller.state_dir, *controller.state_dir.rglob("*"))}
    directory, file = oct(0o700), oct(0o600)
    assert modes == {".ansible_async_state": directory, "host1": directory, "test": directory, "job.json": file, ".lock": file}
    assert controller.record("job")["attempt"] == 2


def test_a_state_directory_that_dies_with_the_run_is_warned_of(controller: Controller) -> None:
    """Below the directory of an AWX job, that is. The warning names the variable that helps, and with it there is none."""
    playbook = controller.write("save.yml", SAVE)
    environment = {"AWX_PRIVATE_DATA_DIR": str(controller.project)}
    ran = controller.playbook(playbook, "-e", "job_id=j1.1", env=environment).ok()
    assert "WARNING" in ran.output
    for words in (str(controller.state_dir), "STARTS EVERY JOB A SECOND TIME", "async_job_state_dir"):
        assert squeezed(words) in squeezed(ran.output)
    elsewhere = controller.home / "volume"
    ran = controller.playbook(playbook, "-e", "job_id=j1.1", "-e", f"async_job_state_dir={elsewhere}", env=environment).ok()
    assert "WARNING" not in ran.output
    assert (elsewhere / "host1" / "test" / "job.json").is_file()


def test_it_is_warned_of_once_and_before_a_job_starts(controller: Controller) -> None:
    """Whichever host and task comes first; results have the warning all the same."""
    controller.hosts("host1", "host2")
    environment = {"AWX_PRIVATE_DATA_DIR": str(controller.project)}
    ran = run_tasks(controller, job(shell("sleep 3"), poll=1), job(shell("true"), name="other"), env=environment).ok()
    assert squeezed(ran.output).count(squeezed("STARTS EVERY JOB A SECOND TIME")) == 1
    assert ran.output.index("[WARNING]") < ran.output.index(": running")
    assert all("STARTS EVERY JOB" in str(answer["warnings"]) for answer in told(ran))


def test_an_ordinary_run_has_no_warning(controller: Controller) -> None:
    """Neither of a save nor of a load."""
    assert "WARNING" not in controller.playbook(START_OR_FIND).ok().output
    assert "WARNING" not in controller.playbook(START_OR_FIND).ok().output


@pytest.mark.parametrize("bits", [0o770, 0o707], ids=oct)
def test_a_state_directory_that_others_can_write_to_is_warned_of(controller: Controller, bits: int) -> None:
    """When it is read, and when it is written, with the command that mends it."""
    controller.state_dir.mkdir()
    controller.state_dir.chmod(bits)
    for _run in range(2):
        ran = controller.playbook(START_OR_FIND).ok()
        assert "WARNING" in ran.output
        assert squeezed("Other users can write to") in squeezed(ran.output)
        assert squeezed(f"chmod go-w {controller.state_dir}") in squeezed(ran.output).replace("'", "")
    assert stat.S_IMODE(controller.state_dir.stat().st_mode) == bits
