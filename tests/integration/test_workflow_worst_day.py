# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workflow on its worst day: jobs fail, wait for a person, and have other tries; all of its drivers are killed, at any moment.

With C(TORTURE=1) in the environment, there are a hundred such days, on a directory and on a bucket. Else there is one.
"""

from __future__ import annotations

import json
import random
import time
import typing as t
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller import Controller
from object_storage_server import ObjectStorageServer
from plays import Yaml, lines, telling
from torture import TORTURE
from waiting import until

DAYS = 50 if TORTURE else 1
STORES = ("directory", "bucket") if TORTURE else ("bucket",)
DRIVERS = 3
# How long drivers live, in seconds, on a machine that does nothing else: from before the first has read anything to after it has ended.
_LONGEST_LIFE = 9.0

_DAY = """\
name: Day
nodes:
  first: {command: [sh, work, flaky], retries: 4}
  each:  {command: [sh, work, flaky-1], for_each: [0, 1, 2], max_parallel: 2, retries: 4, retry_delay: 1, after: first}
  side:  {command: [sh, work, good], retries: 4, after: first}
  gate:  {approval: The day goes on, allow_self: true, after: first}
  inner: {workflow: inner.yml, after: {gate: succeeded, side: succeeded}}
  bad:   {command: [sh, work, bad], after: first}
  mend:  {command: [sh, work, good], retries: 4, after_any: {bad: failed}}
  never: {command: [sh, work, good], after: bad}
  last:  {command: [sh, work, good], retries: 4, after: [each, inner]}
  end:   {command: [sh, work, good], retries: 4, after_any: {last: finished, mend: finished}}
"""
_INNER = """\
nodes:
  x: {command: [sh, work, flaky], retries: 4}
  y: {command: [sh, work, good], retries: 4, after: x}
  z: {command: [sh, work, good], retries: 4, after: x}
"""
# Writes down that an attempt is executed, and fails as it was told: never, always, on the first attempt, or on that of one item.
_WORK = """\
attempt=$(sed -n 's/^.*"attempt": \\([0-9]*\\).*$/\\1/p' "$ASYNC_WORKFLOW_VARIABLES")
echo "$ASYNC_WORKFLOW_NODE $attempt" >>ledger
sleep 0.2
case $1 in
  good) ;;
  bad) exit 1 ;;
  flaky) [ "$attempt" != 1 ] ;;
  flaky-1) [ "$attempt" != 1 ] || [ "$ASYNC_WORKFLOW_ITEM" != 1 ] ;;
esac
"""
_APPROVE: Yaml = {
    "rstyczynski.ansible.async_job_approval": {
        "mode": "approve", "name": "gate", "playbook_name": "Day 7", "subject": "The day goes on", "reason": "fine",
    }
}  # fmt: skip
_DRIVE: Yaml = {"rstyczynski.ansible.async_workflow": {"file": "{{ playbook_dir }}/day.yml", "run": "7", "wait_interval": 1}}


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStorageServer]:
    """The service."""
    with ObjectStorageServer() as server:
        yield server


@pytest.mark.parametrize("day", range(DAYS))
@pytest.mark.parametrize("store", STORES)
def test_the_worst_day(controller: Controller, ledger: Path, server: ObjectStorageServer, store: str, day: int) -> None:
    """Each attempt is executed once, nothing is stuck, and the verdict is right."""
    if store == "bucket":
        controller.environment.update(
            {
                "ASYNC_JOB_BACKEND": "oci",
                "ASYNC_JOB_OCI_BUCKET": server.bucket,
                "ASYNC_JOB_OCI_NAMESPACE": server.namespace,
                "ASYNC_JOB_OCI_PREFIX": f"day{day}/",
                "ASYNC_JOB_OCI_ENDPOINT": server.endpoint,
                "OCI_CONFIG_FILE": str(server.config_file),
                "no_proxy": "127.0.0.1",
                "NO_PROXY": "127.0.0.1",
            }
        )
    controller.write("day.yml", _DAY)
    controller.write("inner.yml", _INNER)
    controller.write("work", _WORK)
    playbook = controller.write("playbook.yml", json.dumps([telling(_DRIVE, _APPROVE, _DRIVE, hosts="localhost")]))
    chance = random.Random(f"{store} {day}")
    drivers = [controller.popen("playbook", "-i", controller.inventory, playbook) for _driver in range(DRIVERS)]
    try:
        for number, driver in enumerate(drivers):
            if number == 1:  # the first one may have done nothing, the others have
                until(ledger.exists, seconds=240)
            time.sleep(chance.uniform(0, _LONGEST_LIFE / DRIVERS))
            driver.kill_with_workers()
    finally:
        for driver in drivers:
            driver.kill_with_workers()
    executed_before = len(lines(ledger))

    ran = controller.playbook(playbook)
    _first, _approved, answer = t.cast("list[t.Any]", ran.told[0])
    assert answer["status"] == "recovered", ran.output
    outcomes = {name: node.get("outcome", node["state"]) for name, node in answer["nodes"].items()}
    assert outcomes == {
        "first": "succeeded",
        "each": "succeeded",
        "side": "succeeded",
        "gate": "succeeded",
        "inner": "succeeded",
        "bad": outcomes["bad"],  # killed, if its wrapper was in the hands of a driver that was
        "mend": "succeeded",
        "never": "skipped",
        "last": "succeeded",
        "end": "succeeded",
    }, ran.output
    times = Counter(lines(ledger))
    assert [attempt for attempt, count in times.items() if count != 1] == [], ran.output
    nodes = answer["nodes"]
    jobs = {name: nodes[name] for name in ("first", "side", "mend", "last", "end")}
    jobs.update({f"each[{number}]": item for number, item in enumerate(nodes["each"]["items"])})
    jobs.update({f"inner/{name}": inner for name, inner in nodes["inner"]["nodes"].items()})
    for name, job in jobs.items():
        # Nobody has executed an attempt on which the run has not decided, and the last one was executed: it has succeeded.
        executed = sorted(int(attempt.rpartition(" ")[2]) for attempt in times if attempt.rpartition(" ")[0] == name)
        assert executed[-1:] == [job["attempt"]], (name, executed, ran.output)
        assert set(executed) <= set(range(1, job["attempt"] + 1))
    print(f"{store} {day}: {len(times)} attempts, {executed_before} before the last driver")
