# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that a task asks about, by name or by job id, and what a look at them teaches their records.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible import constants

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job import Job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import return_code
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_state
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records import ages
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import is_late, read_record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    OWN_WORK,
    Fields,
    Record,
    marked_key,
    merged,
    picked,
    place_of,
    storable,
    why_unseen,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import (
    NOT_STORED,
    STREAMS,
    kept_output,
    kept_result,
    lacking,
    masked,
    of_module,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import holder_is_gone
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import (
    ALIVE,
    BY_ITSELF,
    CLAIMED,
    CONCLUDED,
    ENDED,
    UNKNOWN,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_user_name
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import is_runner

UNSEEN: Seen = {
    "status": UNKNOWN,
    "reason": "",
    "result": None,
    "processes": [],
    "elapsed": None,
    "end": "",
    "results_file": "",
    "boot_id": "",
    "runner": None,
    "job_id": "",
    "place": None,
    "cancelled": None,
    "ended_ago": None,
    "stdout": "",
    "stderr": "",
    "stdout_size": 0,
    "stderr_size": 0,
    "stdout_offset": 0,
    "stderr_offset": 0,
    "stdout_truncated": False,
    "stderr_truncated": False,
    "progress": None,
    "kept": None,
    "warnings": [],
    "secret": False,
}
"""The answer about a job that was not looked at."""

# Longer than any job runs, in seconds: whoever says that of one has set a clock, or lies
_CENTURIES = 1e10

# How much of the output of an attempt its record keeps, in bytes, if it does not say.
_TAIL = 4096


@dataclasses.dataclass
class Asked:
    """A job that a task asks about. One that is asked for by its job id alone has no record."""

    looked_for: Job
    """The job as a host is told of it."""
    key: JobKey | None = None
    record: Record | None = None
    version: Version = ABSENT
    flaw: str = ""
    """The field of its record for which nobody may act upon it, and why. Empty if there is none."""
    predicted: Record | None = None
    """In check mode, what the record would be after the last look."""
    other_machine: str = ""
    """The machine where it is, if that is the localhost of another controller, and nothing but its record tells that."""
    was_alive: bool = False
    """Whether any look of this task has seen it run, or something of it."""
    tells: t.Callable[[], str] = str
    """What the record is to say of the task that returns how the job has ended. Empty if no task of C(async_job) asks."""

    @property
    def job_id(self) -> str:
        """The job id that Ansible gave it. Empty while it is being started."""
        return self.looked_for.job_id

    @property
    def label(self) -> str:
        """Its name in messages, with its host."""
        return self.looked_for.label

    @property
    def name(self) -> str:
        """Its short name, for a line that names the host itself."""
        return self.key.job_name if self.key else self.job_id

    @property
    def secret(self) -> bool:
        """Whether nothing that it was given or has said may be shown or stored."""
        return self.looked_for.secret

    @property
    def in_files(self) -> bool:
        """Whether its output is in files of its own, which may be long."""
        return bool(self.looked_for.stdout_file or self.looked_for.stderr_file)

    @property
    def user(self) -> str:
        """The user that its task became. Empty if nobody noted one, or what was noted is none."""
        return self.looked_for.user

    @property
    def problem(self) -> str:
        """Why nobody may act upon its record, for people: which one, and what to do. Empty if somebody may."""
        if not self.flaw or self.key is None:
            return ""
        return (
            f"its record {self.key.path} cannot be used: {self.flaw}. Put back a good copy; or, once you are sure that the job does"
            " not run, remove it"
        )

    @property
    def without_contact(self) -> Seen | None:
        """The answer to a look that needs no host: at a job that is just being started, or whose record cannot be used. Else None."""
        if self.flaw:
            return {**UNSEEN, "reason": f"{self.label} was not looked for: {self.problem}"}
        return self.being_started if self.record is not None and self.record.get("status") == "starting" else None

    @property
    def being_started(self) -> Seen:
        """The answer about a job that a controller has claimed, and of which there is nothing on its host so far."""
        record = self.record or {}
        claim = record.get("claim", {})
        reason = f"{self.label} is being started by {claim.get('who', 'another controller')}"
        if claim.get("waits") and record.get("reason"):
            reason += f", and {record['reason']}"
        if holder_is_gone(record):
            reason += ", which is gone by now. The next run of the task that starts it finds out whether it has started"
            action = claim.get(OWN_WORK)
            reason += f": {why_unseen(action)}" if action and record["status"] == "prepared" else ", and goes on"
        return {**UNSEEN, "status": record["status"], "reason": reason}

    def remember(self, look: Seen) -> None:
        """Remember in which boot and in which process the job was seen, for the next look of this task."""
        self.was_alive |= look["status"] in ALIVE
        before = self.looked_for
        self.looked_for = before._replace(
            job_id=before.job_id or look["job_id"],
            boot_id=look["boot_id"] or before.boot_id,
            runner=look["runner"] or before.runner,
            place=look["place"] or before.place,
        )

    def settled(self, look: Seen, *, contacted: str, new: bool = False) -> Seen:
        """Return the truth about the job, from the look and the record together.

        A look knows only what is on the host now; the record remembers what was found out before a results file was removed.

        :arg contacted: the host that was looked at
        :arg new: whether only new output is wanted, and so none that was shown before
        """
        record = self.record
        if record is None or self.key is None or self.flaw:
            return look
        look = self._by_its_code(look, record.get("success_codes", []))
        known = record.get("status", "running")
        if known in CLAIMED:
            return look if look["job_id"] else self.being_started
        if known == "cancelled" and look["status"] not in ALIVE:
            return {**look, "status": known, "reason": record.get("reason", look["reason"])}
        if look["status"] in ALIVE or (look["result"] is not None and (look["status"] == known or not is_late(look["status"], known))):
            return look
        if known in ENDED and (known != "lost" or not record["ansible_job_id"]):  # without one, its host shows nothing
            reason = record.get("reason", f"{self.label}: {known}")
            warnings = [*look["warnings"], *lacking(record)]
            result = of_module(record.get("result", {}))
            settled: Seen = {**look, "status": known, "reason": reason, "result": result, "kept": None, "cancelled": None}
            settled["warnings"] = warnings
            return settled if new else with_kept_output(settled, record)
        advice = self.advice(contacted)
        if advice and look["status"] in CONCLUDED:
            return {**look, "status": UNKNOWN, "reason": f"cannot tell what became of {self.label}: {advice}"}
        if advice and look["status"] == UNKNOWN:
            return {**look, "reason": f"{look['reason']}; {advice}"}
        return look

    def _by_its_code(self, look: Seen, codes: list[int]) -> Seen:
        """Return a look at a command that has ended by itself, with what its return code means for whoever has started it."""
        result = look["result"] or {}
        code = return_code(result)
        has_run = code is not None and bool(result.get("start"))  # what could not be run has a code, too
        if not codes or look["status"] not in BY_ITSELF or not has_run:
            return look
        if code in codes:
            what, said = "succeeded", {**result, "failed": False, "msg": ""}
        else:
            what, said = "failed", {**result, "failed": True, "msg": f"return code {code} is none of success_codes"}
        return {**look, "status": what, "reason": f"{self.label} has {what} with return code {code}", "result": said}

    def advice(self, contacted: str) -> str:
        """Say where to look, if that is elsewhere. Else empty.

        :arg contacted: the host that was looked at
        """
        if self.other_machine:
            return f"it was started on the localhost of {self.other_machine}, and this is {os.uname().nodename}. Run this there"
        place = (self.record or {}).get("delegated_host", self.key.host if self.key else contacted)
        return "" if contacted == place else f"this task has looked on {contacted}. Run it on {place}, or with 'delegate_to: {place}'"

    def hide(self, *, secret: bool) -> None:
        """Take the job for a secret one if a task or its host says so, whatever its record says. What the record says stays true, too."""
        self.looked_for = self.looked_for._replace(secret=self.secret or secret)

    def keep(self, size: int) -> None:
        """Set how much of its output the record is to keep, in bytes. For a job of C(async_job), its start has set that for all looks."""
        if not self.is_attempt:
            self.looked_for = self.looked_for._replace(keep=size)

    @property
    def is_attempt(self) -> bool:
        """Whether C(async_job) started it, which answers from the record alone once the job has ended."""
        return bool((self.record or {}).get("attempt_dir"))

    def learned(self, look: Seen, *, secret: bool) -> Fields:
        """Return the fields of the record that the look has made out. None stands for a field to remove.

        :arg secret: whether nothing that the job said may be stored
        """
        record = self.record or {}
        status = look["status"]
        if status == "unknown" or status in CLAIMED:
            return {}
        fields: Fields = {"status": status, "reason": remark_of(look["reason"]) if status == "running" else look["reason"]}
        if look["secret"]:
            fields["no_log"] = True  # as its start has noted; somebody may have taken it away
        if record.get("status") in CLAIMED and look["job_id"]:
            # Whoever has started it has died, or is just about to say so.
            fields.update(ansible_job_id=look["job_id"], results_file=look["results_file"], claim=None)
        for name in ("boot_id", "runner", "place"):
            if look[name]:
                fields[name] = look[name]
        if status not in ENDED:
            return {**fields, **dict.fromkeys(("end", "end_noticed", "ended", "elapsed", "result", "cancelled", "told"))}
        tells = self.tells()
        if (tells or "store_result" in record) and record.get("status") != status:  # C(async_job) has started it, or asks
            fields["told"] = tells  # if this is empty, the next task of C(async_job) is the first to return that
        ago = look["ended_ago"] or 0.0
        if self.is_attempt:  # the start of another one is when it was saved
            ago = ages.ended_ago(ago, record)
        is_proven = look["ended_ago"] is not None
        is_news = record.get("status") != status or "end" not in record or (is_proven and bool(record.get("end_noticed")))
        if is_news or "ended" not in record:
            fields["ended"] = ages.stamp(ago)
        if look["cancelled"]:
            # Of a secret job, what its module may have said is not believed; and on a full disk, there was no room for a name.
            nobody = {"who": "somebody", "time": "", "reason": ""} if secret else look["cancelled"]
            is_unnamed = secret or nobody["who"] == "somebody"
            known = record.get("cancelling") or record.get("cancelled")
            fields.update(cancelled=known if is_unnamed and known else nobody, cancelling=None)
        if is_news:
            # By our clock, as its start: that of the host may be any.
            fields.update(end=_times.now(ago), end_noticed=None if is_proven else True)
        if record.get("status") != status:
            fields["last_line"] = None  # it said that before its end
        result = look["result"] or {}
        kept = kept_result(result, wanted=record.get("store_result", ()), secret=secret)
        if not self.is_attempt:  # whoever follows a native job asks Ansible for its result
            kept.pop(NOT_STORED, None)
        if not secret and look["kept"]:
            size = self.looked_for.keep  # the host was told so, and may say more
            ends = masked(look["kept"]) if size else {}
            kept.update({name: end[-size:] if isinstance(end, str) else end for name, end in ends.items()})
        if not secret and (self.is_attempt or look["kept"]):
            for stream in STREAMS:
                if look[f"{stream}_size"]:  # type: ignore[literal-required]
                    kept[f"{stream}_size"] = look[f"{stream}_size"]  # type: ignore[literal-required]
                if kept.get(f"{stream}_size", 0) > self.looked_for.keep:
                    kept[f"{stream}_truncated"] = True
        # What an earlier look was asked to store, of what this one knows nothing of
        lasting = {name for name in _LASTING if name.partition("_")[0] not in kept and not secret}
        kept.update(picked(record.get("result", {}), lasting))
        if kept:
            fields["result"] = storable(kept, name="result")
        if is_news and look["elapsed"] is not None and 0 <= look["elapsed"] < _CENTURIES and "delta" not in kept:
            fields["elapsed"] = look["elapsed"]  # once: another look measures a little more, or less
        return fields


def remark_of(reason: str) -> str | None:
    """Return what there is to say of a job that runs, beside for how long: that its wrapper is gone, for one. None if there is nothing."""
    _whose, runs, rest = reason.rpartition(" has been running for ")
    return (rest.partition("; ")[2] if runs else reason) or None


# What a look at a job whose output is gone does not take away
_LASTING = ("msg", *(f"{stream}{part}" for stream in STREAMS for part in ("", "_size", "_truncated")))


def other_machine(record: Record, contacted: str, transport: str) -> str:
    """Return the machine where a job is, if that is the localhost of another controller. Else empty.

    :arg contacted: the host that the task contacts, and over which connection
    """
    if contacted not in constants.LOCALHOST or transport != "local" or place_of(record) != contacted:
        return ""
    machine = str(record.get("who", "")).rpartition("@")[2]
    return "" if machine == os.uname().nodename else machine


def with_kept_output(look: Seen, record: Record) -> Seen:
    """Return a look with what the record has of the output, where the host has none."""
    answer: dict[str, t.Any] = {**look}
    for stream in STREAMS:
        kept = kept_output(record.get("result", {}), stream)
        if not answer[stream] and (kept.text or kept.size):
            answer.update({stream: kept.text, f"{stream}_size": kept.size, f"{stream}_truncated": kept.cut})
    return t.cast("Seen", answer)


def by_job_id(params: dict[str, t.Any], async_dir: str) -> Asked:
    """Return the job that the option C(jid) names."""
    job_id = params["jid"]
    async_job_state.check_job_id(job_id, "jid")
    return Asked(_with_files(Job(job_id=job_id, label=f"job {job_id}", directory=async_dir), params, {}))


def by_name(store: Store, key: JobKey, params: dict[str, t.Any], async_dir: str) -> Asked:
    """Return a job by its name.

    :raises AsyncJobError: if there is no record of it
    """
    record, version = read_record(store, key)
    if record is None:
        raise AsyncJobError(
            f"There is no record of {key}: {store.locate(key.path)} does not exist. Either it was never started, or it has another name,"
            " another playbook_name (the name of the play that has started it), or another store."
        )
    return of_record(key, record, version, params, async_dir)


def of_record(key: JobKey, record: Record, version: Version, params: dict[str, t.Any], async_dir: str) -> Asked:
    """Return the job that a record is about. This is where a record enters the work on hosts, and it is checked here.

    :arg record: as it is, or as it was in one of its past attempts
    """
    label = f"job {key.job_name!r} on {key.host}"
    flaw = flaw_of(record)
    if flaw:
        # Nothing of it goes any further.
        job = Job(job_id=record["ansible_job_id"], label=label, directory="", secret=record.get("no_log", False))
        return Asked(job, key, record, version, flaw)
    directory, user = record.get("async_dir", async_dir), record.get("become_user", "")
    if not user and record.get("attempt_dir"):  # of other jobs, that is who has saved them
        user = record.get("remote_user", "")
    if not is_user_name(user):  # a number, which former releases noted
        user = ""
    job = Job(
        job_id=record["ansible_job_id"],
        label=label,
        directory=directory,
        user=user,
        guess=directory.startswith("~") and not user,
        boot_id=record.get("boot_id", ""),
        runner=_runner(record),
        stdout_offset=record.get("stdout_offset", 0),
        stderr_offset=record.get("stderr_offset", 0),
        place=record.get("place"),
        exclusive=bool(record.get("attempt_dir")) and record.get("attempt_dir") == record.get("async_dir"),
        secret=record.get("no_log", False),
        key=marked_key(merged(record, key._asdict())).path,
        attempt=os.path.basename(record.get("attempt_dir", "")),
        keep=record.get("tail_size", _TAIL) if record.get("attempt_dir") else 0,
        adopted_from=_adopted_from(record),
    )
    return Asked(_with_files(job, params, record), key, record, version)


def _adopted_from(record: Record) -> str:
    """Return the place of the store that has started an attempt, if it was adopted from there, and not recovered, and nobody here has seen
    its end."""
    origin = record.get("origin", {})
    return "" if "recovered_by" in origin or record.get("status") in ENDED else origin.get("store", "")


def _runner(record: Record) -> dict[str, t.Any] | None:
    """Return the runner that an earlier look has seen, if the record has all of it."""
    runner = {name: record.get("runner", {}).get(name) for name in ("pid", "start", "session")}
    return runner if is_runner(runner) else None


def _with_files(job: Job, params: dict[str, t.Any], record: t.Mapping[str, t.Any]) -> Job:
    """Add the files of its output to a job: those that the task names, or else the record."""
    return job._replace(**{option: params.get(option) or record.get(option, "") for option in ("stdout_file", "stderr_file")})
