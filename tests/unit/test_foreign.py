# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has noted of an attempt is data: what is believed of it, and what it means for a start."""

from __future__ import annotations

import json
import os
import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import MOST, Found, hash_of_host
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import whoami
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import (
    Strangers,
    adopted,
    content_of,
    first_part,
    is_of_other_store,
    new_name,
    record_of,
    told,
)

ABOVE = "/home/app/.ansible_async"
PATH = f"{ABOVE}/.async_jobs-0/{'a' * 32}/{'b' * 32}.1"
Record = dict[str, t.Any]


def prepared(**more: t.Any) -> t.Any:
    """Return the record of an attempt that is about to start."""
    directory = f"{ABOVE}/{'1' * 32}"
    return {
        "host": "host1",
        "playbook_name": "play",
        "job_name": "job",
        "ansible_job_id": "",
        "schema_version": 1,
        "status": "prepared",
        "attempt": 3,
        "first_attempt": 2,
        "start": "2026-01-31T22:00:04Z",
        "who": "me@there",
        "timeout": 60,
        "attempt_dir": directory,
        "async_dir": directory,
        "stdout_file": f"{directory}/stdout",
        "place": {"machine_id": "m1"},
        "remote_user": "op",
        "become_user": "app",
        "metadata": {"secret": "not for the host"},
        "attempts": [{"attempt_dir": f"{ABOVE}/{'0' * 32}"}],
        "claim": {"who": "me@there", "since": "2026-01-31T22:00:04Z", "fenced": 0, "boot_id": "b", "pid": 1},
        "fingerprint": "f",
        **more,
    }


def found(**more: t.Any) -> Found:
    """Return the file of an attempt, with some fields changed; those that are None are not there."""
    content = {**json.loads(content_of(prepared(), "/srv/store")), **more}
    return Found(PATH, json.dumps({name: value for name, value in content.items() if value is not None}))


@pytest.mark.parametrize(
    ("origin", "is_other"),
    [
        (None, False),
        ({"store": "/srv/one", "who": "me@{here}"}, False),
        ({"store": "/srv/two", "who": "me@{here}"}, True),
        ({"store": "/srv/one", "who": "me@another"}, True),  # a directory at the same place on another machine
        ({"store": "/srv/two", "who": "me@{here}", "recovered_by": "me@{here}"}, False),
    ],
)
def test_whose_what_was_adopted_is(origin: dict[str, str] | None, is_other: bool) -> None:
    record = {} if origin is None else {"origin": {name: text.replace("{here}", os.uname().nodename) for name, text in origin.items()}}
    assert is_of_other_store(t.cast("t.Any", record), "/srv/one") is is_other


def test_a_bucket_is_the_same_from_everywhere() -> None:
    origin: t.Any = {"origin": {"store": "oci://jobs/", "who": "me@another"}}
    assert not is_of_other_store(origin, "oci://jobs/")
    assert is_of_other_store(origin, "oci://jobs/team/")
    assert new_name("oci://jobs/")[:12] == first_part("oci://jobs/") != first_part("oci://jobs/team/")


def strangers(**more: t.Any) -> Strangers:
    """Return what judges the attempts that the host of a job has noted."""
    options = {"ignores": False, "knows_host": lambda name: name == "host2", **more}
    return Strangers(JobKey("host1", "play", "job"), "/srv/other", **options)


def test_what_is_noted() -> None:
    """Nothing that only the store should know, nothing of users, and not too much."""
    noted = json.loads(content_of(prepared(), "/srv/store"))
    assert noted.keys().isdisjoint({"metadata", "attempts", "remote_user", "become_user", "delegated_host"})
    assert noted["origin"] == {"host": "host1", "store": "/srv/store", "who": "me@there", "start": "2026-01-31T22:00:04Z"}
    assert len(content_of(prepared(fingerprint="x" * 2 * MOST, store_result=["y" * MOST]), "/srv/store")) < MOST
    assert "fingerprint" not in content_of(prepared(fingerprint="x" * 2 * MOST), "/srv/store")


def test_what_a_run_and_a_semaphore_need() -> None:
    """A node is known again by its run, and has its slot; one that is adopted has a slot of the store that adopts it."""
    about = {"workflow": "Fan", "run": "7", "node": "deploy"}
    slot = {"name": "dumps", "at_most": 3, "slot": f"{7:032x}"}
    given = prepared(playbook_name="Fan 7", metadata=about, semaphore=slot)
    record = record_of(Found(PATH, content_of(given, "/srv/store")), "host1")
    assert (record["metadata"], record["semaphore"]) == (about, slot)
    assert adopted(record, "/srv/own", secret=False).keys().isdisjoint({"metadata", "semaphore"})
    assert "metadata" not in json.loads(content_of(prepared(metadata=about), "/srv/store")), "of another play"
    with pytest.raises(AsyncJobError, match="is not the slot of a semaphore"):
        record_of(found(semaphore={"name": "dumps", "slot": "x"}), "host1")


def test_what_is_made_of_it() -> None:
    """A record that says what the file says, as that of the user and the host of the task."""
    ours = prepared(remote_user="root", become_user="", delegated_host="bastion")
    del ours["become_user"]
    record = strangers().judged(found(), ours, "host1", set())
    assert record is not None
    assert "become_user" not in record
    assert (record["remote_user"], record["delegated_host"]) == ("root", "bastion")
    fields = adopted(t.cast(t.Any, {**record, "ansible_job_id": "j1.2"}), "/srv/own", secret=False)
    assert (fields["attempt"], fields["fingerprint"], fields["ansible_job_id"], fields["stderr_file"]) == (3, "f", "j1.2", None)
    assert "no_log" not in fields
    assert fields["origin"] == record["origin"]
    hidden = adopted(record, "/srv/own", secret=True)
    assert (hidden["no_log"], hidden["fingerprint"]) == (True, None)
    here = {"store": "/srv/own", "who": whoami()}
    assert adopted(t.cast(t.Any, {**record, "origin": here}), "/srv/own", secret=False)["origin"] == {**here, "recovered_by": whoami()}
    assert told(record) == "from the store /srv/store by me@there at 2026-01-31T22:00:04Z"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "running", "ansible_job_id": "j1.2"},
        {"attempt_dir": "/etc/passwd", "async_dir": "/etc/passwd"},
        {"attempt_dir": f"/tmp/{'1' * 32}", "async_dir": f"/tmp/{'1' * 32}"},
        {"stdout_file": "/etc/shadow"},
        {"attempt": "three"},
        {"attempt": -1},
        {"attempt": 10**8},
        {"first_attempt": 4},
        {"store_result": [["x"]]},
        {"place": {"machine_id": 7}},
        {"claim": {"who": "\x1b[31m"}},
        {"origin": {"host": "host1", "store": "\x1b[31m"}},
        {"origin": {"host": "host9", "store": "/srv/store"}},
        {"origin": {"host": "host1"}},
        {"origin": {"host": "host1", "store": ""}},
        {"origin": None},
        {"playbook_name": None},
        {"timeout": -5},
        {"__ansible_unsafe": "x"},
    ],
)
def test_what_is_not_believed(changes: Record) -> None:
    """It starts nothing, and the message names the file and what to do."""
    with pytest.raises(AsyncJobError, match="on_foreign: ignore") as caught:
        strangers().judged(found(**changes), prepared(), "host1", set())
    assert PATH in str(caught.value)
    ignoring = strangers(ignores=True)
    assert ignoring.judged(found(**changes), prepared(), "host1", set()) is None
    assert PATH in ignoring.known(prepared(), ())


def test_a_file_of_another_directory() -> None:
    """Whoever moves it beside the attempts of somebody else makes nobody believe it."""
    moved = found()._replace(path=PATH.replace("/home/app/", "/home/other/"))
    with pytest.raises(AsyncJobError, match="it is of another place than it says"):
        record_of(moved, "host1")


def test_a_secret_that_is_adopted_stays_one() -> None:
    """By whatever task: what was secret to one store is so to the other."""
    open_one = record_of(found(), "host1")
    in_the_open = adopted(open_one, "/srv/own", secret=False)
    assert (in_the_open["fingerprint"], "no_log" in in_the_open) == ("f", False)
    for record, secret in ((record_of(found(no_log=True), "host1"), False), (open_one, True)):
        fields = adopted(record, "/srv/own", secret=secret)
        assert (fields["no_log"], fields["fingerprint"]) == (True, None)


def test_what_has_done_its_work_itself() -> None:
    """Its end is on record, and nothing of its place: it is known by its number, its start and who has started it."""
    past = {"attempt": 3, "start": "2026-01-31T22:00:04Z", "who": "me@there", "status": "succeeded"}
    directory = f"{ABOVE}/{first_part('/srv/other', 'ann@there')}{'1' * 20}"  # which may be another machine with the same store
    files = {"attempt_dir": directory, "async_dir": directory, "stdout_file": f"{directory}/stdout"}
    known = strangers()
    assert known.judged(found(**files), prepared(attempts=[past]), "host1", set()) is None
    assert directory in known.known(prepared(), ())
    assert PATH not in known.known(prepared(), ())
    for other in (
        {**past, "attempt": 2},
        {**past, "start": "2026-01-31T22:00:05Z"},
        {**past, "status": "running"},
        {**past, "attempt_dir": f"{ABOVE}/{'2' * 32}"},
    ):
        assert strangers().judged(found(**files), prepared(attempts=[other]), "host1", set()) is not None
    # Another store that has started it in the same second.
    assert strangers().judged(found(), prepared(attempts=[past]), "host1", set()) is not None


def test_what_cannot_be_read() -> None:
    with pytest.raises(AsyncJobError, match="is a link"):
        record_of(Found(PATH, "", "is a link"), "host1")
    with pytest.raises(AsyncJobError, match="is of the job 'other'"):
        strangers().judged(found(job_name="other"), prepared(), "host1", set())


def test_other_names_of_the_host() -> None:
    """A host of the inventory, and another machine, have jobs of their own; any other name is one that this host had."""
    others: set[str] = set()
    of_host2 = found(host="host2", origin={"host": "host2", "store": "/srv/store"})
    assert strangers().judged(of_host2, prepared(), "host1", others) is None
    assert others == {hash_of_host("host2")}
    gone = found(host="host3", origin={"host": "host3", "store": "/srv/store"})
    elsewhere = prepared(place={"machine_id": "m2"})
    assert strangers().judged(gone, elsewhere, "host1", set()) is None
    record = strangers().judged(gone, prepared(), "host1", set())
    assert record is not None
    assert (record["host"], record["origin"]["host"]) == ("host1", "host3")
    assert "as that of host3" in told(record)
    # Under its own name, another machine is no reason to start it: whether it runs there, a look has to say.
    assert strangers().judged(found(), elsewhere, "host1", set()) is not None


def test_what_is_known() -> None:
    """What the record has in its history, and what was found to be over."""
    over = prepared(attempt_dir=f"{ABOVE}/{'2' * 32}")
    assert strangers().known(prepared(), (over,)) == [f"{ABOVE}/{'0' * 32}", f"{ABOVE}/{'2' * 32}"]
