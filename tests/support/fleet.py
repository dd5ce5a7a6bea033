# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that show and tend many jobs: their names, a store for them, and their tables read back."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterable
from pathlib import Path

from controller import Controller, Ran
from records import ago, put

JOBS = "rstyczynski.ansible.jobs"
SHOW = "rstyczynski.ansible.show"
PRUNE = "rstyczynski.ansible.prune"
CANCEL = "rstyczynski.ansible.cancel"
REPORT = "rstyczynski.ansible.report"

# What a release writes that we do not know.
NEWER = {"schema_version": 99}


def a_few_jobs(directory: Path) -> None:
    """Write the records of jobs that ended well, failed twice, run, and were lost."""
    put(
        directory,
        "backup",
        status="succeeded",
        start=ago(days=3),
        end=ago(days=3, minutes=-2),
        result={"rc": 0, "stdout": "one\n42 tables\n"},
    )
    past = [{"attempt": 1, "status": "failed", "start": ago(hours=2), "end": ago(hours=1), "rc": 3, "who": "ann@ctl", "reason": "it broke"}]
    put(
        directory,
        "copy",
        status="failed",
        attempt=2,
        attempts=past,
        start=ago(minutes=50),
        end=ago(minutes=40),
        result={"rc": 1, "stdout": "so far so good", "stderr": "no space left\n", "msg": "non-zero return code"},
        reason="job 'copy' has failed",
        who="ann@ctl",
        metadata={"ticket": "OPS-1"},
    )
    put(directory, "long", host="web2", status="running", start=ago(minutes=5), last_line="3 of 7 copying")
    put(
        directory,
        "gone",
        host="web2",
        playbook="Weekly",
        status="lost",
        start=ago(weeks=5),
        end=ago(weeks=5),
        reason="the host was rebooted",
    )


def each(controller: Controller, playbook: str, cases: Iterable[dict[str, t.Any]]) -> list[Ran]:
    """Run a playbook with each of these sets of variables, one after the other in one run of Ansible, and return what each has said."""
    plays = []
    for variables in cases:
        plays.append({"name": "next case", "hosts": "localhost", "gather_facts": False, "tasks": []})
        plays.append({"import_playbook": playbook, "vars": variables})
    ran = controller.playbook(json.dumps(plays, indent=1) + "\n").ok()
    _head, *outputs = ran.output.split("PLAY [next case]")
    return [Ran(0, output) for output in outputs]


def rows(ran: Ran) -> list[list[str]]:
    """Return the lines of the table that a playbook has printed, below its head."""
    lines = ran.output.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith("HOST  ")), None)
    if begin is None:
        return []
    end = next(number for number, line in enumerate(lines) if number > begin and re.match(r"\d+ jobs?\b", line))
    return [re.split(r"  +", line) for line in lines[begin + 1 : end]]


def names(ran: Ran) -> list[str]:
    """Return the jobs of such a table."""
    return [row[2] for row in rows(ran)]


def tree(directory: Path) -> dict[str, bytes]:
    """Return all records of a store, by their paths."""
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*.json")}
