# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw away what nobody needs any more: records of jobs that have ended, and what these have left on their hosts.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import os
import re
import stat
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _listing, _look, _record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._listing import Found
from ansible_collections.rstyczynski.ansible.plugins.module_utils._look import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import JOB_OPTIONS, STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._record import Record

ARGUMENT_SPEC: Spec = {
    "host": JOB_OPTIONS["host"],
    "hosts": {"type": "list", "elements": "str"},
    "except_hosts": {"type": "list", "elements": "str"},
    "delegated_hosts": {"type": "list", "elements": "str", "default": []},
    "playbook_name": JOB_OPTIONS["playbook_name"],
    "job_name_pattern": _listing.FILTERS["job_name_pattern"],
    "status": {"type": "list", "elements": "str", "choices": list(_record.ENDED)},
    "older_than": {"type": "str"},
    "keep": {"type": "int"},
    "keep_attempts": {"type": "int"},
    "store_only": {"type": "bool", "default": False},
    "apply": {"type": "bool", "default": False},
    "look_timeout": {"type": "int", "default": 60},
    **STORE_OPTIONS,
}
# On the host, the module takes from the action what playbooks cannot give: C(jobs), each with C(looks), the attempts as
# :class:`_look.Job`, and C(directories), those of attempts.
MODULE_SPEC: Spec = {**ARGUMENT_SPEC, "_action": {"type": "dict"}}
MUTUALLY_EXCLUSIVE = [("keep", "keep_attempts")]
REQUIRED_ONE_OF = [("older_than", "keep", "keep_attempts", "status", "job_name_pattern")]

# What ended later than this is not old, unless the user says how old it has to be: a playbook may be about to ask for it.
_OLD = "1h"

# An empty file in place of the directory of an attempt keeps a controller that was frozen from starting it after all. Nobody
# wakes up, and still has a connection, after so many seconds.
_FENCE_AGE = 7 * 86400.0


class Doomed(t.NamedTuple):
    """A record of which something is to go."""

    found: Found
    attempts: list[Record]
    """The attempts to go, each with the fields of a record."""
    after: Record | None
    """What is left of the record. None if nothing is."""


def doomed(found: t.Sequence[Found], params: dict[str, t.Any]) -> list[Doomed]:
    """What is to go of the records that fit.

    :arg found: those that fit the other options; what has not ended among them is left alone
    :arg params: values of ARGUMENT_SPEC
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    age = _listing.age(params["older_than"] or _OLD, "older_than")
    ended = [one for one in found if one.record.get("status") in _record.ENDED]
    if params["keep_attempts"] is not None:
        candidates = [_shortened(one, params["keep_attempts"]) for one in ended]
    else:
        kept = _newest(ended, params["keep"] or 0)
        candidates = [Doomed(one, [*_past(one.record), one.record], None) for one in ended if one.path not in kept]
    return [one for one in candidates if one.attempts and now - ended_at(one.found.record) > age]


def ended_at(record: Record) -> datetime.datetime:
    """When a job ended, as far as the record knows. One whose time nobody can read ended just now: it is not to go for its age."""
    return _listing.since(record) or datetime.datetime.max.replace(tzinfo=datetime.timezone.utc)


def _newest(ended: t.Sequence[Found], count: int) -> set[str]:
    """The paths of the newest records of each host and playbook."""
    groups: dict[str, list[Found]] = collections.defaultdict(list)
    for one in ended:
        groups[one.path.rpartition("/")[0]].append(one)
    newest = (sorted(group, key=lambda one: ended_at(one.record))[len(group) - min(count, len(group)) :] for group in groups.values())
    return {one.path for group in newest for one in group}


def _shortened(one: Found, count: int) -> Doomed:
    """The record with its latest attempts only. The current one is one of them."""
    past = _past(one.record)
    gone = past[: max(len(past) + 1 - max(count, 1), 0)]
    after = {**one.record, "attempts": one.record.get("attempts", [])[len(gone) :]}
    return Doomed(one, gone, after)


def _past(record: Record) -> list[Record]:
    """The past attempts, as if each were the current one."""
    own = {field: value for field, value in record.items() if field not in (*_record.ATTEMPT_FIELDS, "attempts", "ansible_job_id")}
    return [{**own, "ansible_job_id": "", **past} for past in record.get("attempts", ())]


# What follows runs on the host


def clear(jobs: t.Sequence[dict[str, t.Any]], *, check_mode: bool = False) -> list[dict[str, t.Any]]:
    """Remove what attempts that have ended have left on this host.

    :arg jobs: see MODULE_SPEC
    :returns: for each job, C(refused), why nothing was removed, or else C(removed), paths, and C(left), why others were not
    """
    looks = iter(_look.look([Job(**attempt) for job in jobs for attempt in job["looks"]]))
    answers: list[dict[str, t.Any]] = []
    for job in jobs:
        seen = [next(looks) for _attempt in job["looks"]]
        going_on = [look.reason for look, attempt in zip(seen, job["looks"]) if _may_go_on(look.status, exclusive=attempt["exclusive"])]
        answer: dict[str, t.Any] = {"refused": going_on[0] if going_on else "", "removed": [], "left": []}
        if not going_on and not check_mode:
            for path in job["directories"]:
                _remove_attempt(path, answer)
            for look, attempt in zip(seen, job["looks"]):
                if look.status == "unknown":
                    answer["left"].append(look.reason)
                elif not attempt["exclusive"]:
                    _remove_file(_look.results_file(Job(**attempt)), answer)
        answers.append(_look.readable(answer))
    for parent in {os.path.dirname(path) for job in jobs for path in job["directories"]}:
        if not check_mode:
            _remove_fences(parent)
    return answers


def _may_go_on(status: str, *, exclusive: bool) -> bool:
    """Whether an attempt, which has ended as its record says, may not have.

    :arg exclusive: whether it was looked for by a directory of its own. Of others it is often not known where to look
    """
    return status in ("running", "orphaned") or (status == "unknown" and exclusive)


def is_job_id(text: t.Any) -> bool:
    """Whether a text is a job id as Ansible makes them, and so the name of a file that cannot be any other."""
    return isinstance(text, str) and re.fullmatch(r"j?\d+\.\d+", text) is not None


def is_attempt_directory(path: t.Any) -> bool:
    """Whether a path is one that C(async_job) gives to the directory of an attempt."""
    return isinstance(path, str) and re.fullmatch(r"/(.*/)?[0-9a-f]{32}", path) is not None


# What there is in the directory of an attempt: Ansible's results file, and ours.
_OURS = re.compile(r"(j\d+\.\d+|stdout|stderr|result)(\.tmp|\.\d+\.cancel)?")


def _remove_attempt(path: str, answer: dict[str, t.Any]) -> None:
    """Remove the directory of an attempt. What is not ours stays, and so does the directory then."""
    if not is_attempt_directory(path):
        raise AsyncJobError(f"{path} is not the directory of an attempt. Nothing was removed.")
    try:
        # Whoever the directory belongs to may put links there, and we may be root.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):  # it was removed before, or is a fence
        return
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")
        return
    try:
        foreign = []
        for name in os.listdir(descriptor):
            if _OURS.fullmatch(name) and stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=descriptor)
            else:
                foreign.append(name)
        if foreign:
            answer["left"].append(f"{path}: holds {', '.join(sorted(foreign)[:3])}, which is not ours")
        else:
            os.rmdir(path)
            answer["removed"].append(path)
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")
    finally:
        os.close(descriptor)


def _remove_file(path: str, answer: dict[str, t.Any]) -> None:
    """Remove a results file. One that is not there, or is no plain file, is none."""
    try:
        if stat.S_ISREG(os.stat(path, follow_symlinks=False).st_mode):
            os.unlink(path)
            answer["removed"].append(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        answer["left"].append(f"{path}: {error.strerror}")


def _remove_fences(parent: str) -> None:
    """Remove the empty files that stand in place of attempts which were given up long ago."""
    with contextlib.suppress(OSError), os.scandir(parent) as scan:
        for entry in scan:
            if is_attempt_directory(entry.path) and entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                if status.st_size == 0 and time.time() - status.st_mtime > _FENCE_AGE:
                    os.unlink(entry.path)
