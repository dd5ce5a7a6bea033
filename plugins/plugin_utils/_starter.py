# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a job or attach to it, wait for it, and start it anew as its policies say.

The protocol itself is in :mod:`exactly_once`; here its steps are done, with the store and the host of a task.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, Full
from ansible_collections.rstyczynski.ansible.plugins.module_utils._failure import with_cause
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import STDERR, STDOUT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import Found
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import return_code
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._keywords import plain_result
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import ended_ago, measured_age, stamp
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import (
    contended,
    give_way,
    is_late,
    note,
    put_back,
    read_document,
    read_record,
    shown,
    write_record,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    OWN_WORK,
    PAST_ATTEMPTS,
    Fields,
    Record,
    once_unseen_work_is_done,
    unseen_work,
    why_unseen,
    without,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import kept_result, masked
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.claim import holder_is_gone, moves
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.policies import Decision
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, CLAIMED, ENDED, UNKNOWN
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Document, Version
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless_lines
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._answers import answer_to, blocked_by, next_attempt, recorded, refusal_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, Asked, of_record
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._attempt import Noted
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import Strangers, adopted, is_of_other_store, kept_for, told
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask, LaunchFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._left_behind import cancel_what_was_left, said_of_awx
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._pauses import End, Exchange, Pause, Turn, Waits
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._preload import note_programs
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import WAITS, Request, name_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._together import TogetherAction

if t.TYPE_CHECKING:
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import semaphore
    from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._slots import Slots

# How much longer than the time limit of a job to wait for it, in seconds: Ansible's watcher looks every few seconds.
_MORE_THAN_LIMIT = 30
# How many attempts that are no matter a host may have noted of one job: one for each host of the inventory that is the same machine.
_STRANGERS = 1000


def _left(look: Seen, role: str) -> str:
    """Return the numbers of processes that a look has seen, for people. Empty if there is none of this role."""
    return ", ".join([str(process["pid"]) for process in look["processes"] if process["role"] == role][:5])


def _output_of(result: dict[str, t.Any]) -> dict[str, str]:
    return {name: result[name] for name in (STDOUT, STDERR) if isinstance(result.get(name), str)}


class _StillWaits(Exception):
    """Somebody else has claimed the job, and waits for a semaphore."""

    def __init__(self, record: Record) -> None:
        super().__init__("somebody else waits")
        self.record = record


class Starter:
    """Does what one try of a task of C(async_job) asks for.

    :arg inner: the task to start as the job
    :arg action: what does things on the host, and speaks to the user
    :arg alone: whether it is the only job of the task
    """

    def __init__(self, request: Request, inner: InnerTask, action: TogetherAction, *, alone: bool = True) -> None:
        self._request = request
        self._key = request.key
        self._store = request.store
        self._params = request.params
        self._poll = request.kept.poll
        self._kept = request.kept
        self._was_launched = bool(request.kept.launched or request.kept.started)
        """Whether an earlier try has. Within a try, the protocol itself finds what it has launched again."""
        self._inner = inner
        self._action = action
        self._tells_at_once = alone
        self.goes_together = inner.can_go_alone if alone else inner.goes_together
        """Whether what it does on the host to start its job is left to whoever drives it, who does it together with that of other jobs. A
        single one goes that way, too, if fewer exchanges are needed then."""
        self._document: Document | None = None
        """What the record was read from last. A claim that is taken back puts it back."""
        self._ended: dict[str, Fields | None] = {}
        """When attempts ended, as their host has said now, by their job ids."""
        self._goes_on = ""
        """What of the last attempt still runs, so that no other one may begin."""
        self._blocked_since = 0.0
        self._has_stopped = False
        """Whether this task has stopped what went on of a job whose wrapper was killed."""
        self._waited_for: str | None = None
        """The claim that somebody else has on the job, and that waited for a semaphore when it was last seen."""
        self._own_result: dict[str, t.Any] | None = None
        """What the action of the job has returned, if it has done the work itself."""
        self._problem = ""
        """What Ansible has said of the last launch, if that it has failed."""
        self._own_place: Record | None = None
        """The record of such an attempt before it has ended, and then of one whose directory is still to be removed."""
        self._fenced: Record | None = None
        """The record of an attempt that this task has claimed, launched and fenced."""
        self._said: dict[str, t.Any] = {}
        """What the module of the job has returned, as far as it is known."""
        self._accepts: dict[str, bool] = {}
        """Of attempts that have failed, whether the task accepts that, judged by the whole result as long as it is known."""
        self._has_told_of_other_runs = False
        self._is_refused = False
        """Whether the policies forbid to start the job and to attach to it."""
        self._adoption = ""
        """What there is to say of an attempt of another store that this task has adopted."""
        self._strangers = Strangers(
            self._key,
            self._store.locate(),
            ignores=self._params["on_foreign"] == "ignore",
            knows_host=action.is_known_host,
        )
        self._before: Record | None = None
        self._just_read: Record | None = None
        self._is_fresh = False
        """Whether the record was read for the diff only. The protocol begins with it."""

    @functools.cached_property
    def _slots(self) -> Slots:
        # Compiled when it is needed: few jobs take a slot.
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._slots import Slots

        return Slots(self._request, self._action, poll=self._poll)

    def run(self) -> dict[str, t.Any]:
        """Start or attach until there is something to tell, and wait in between. Return what the module returns."""
        steps = self.steps()
        answer: t.Any = None
        error: Exception | None = None
        try:
            while True:
                wait = steps.throw(error) if error else steps.send(answer)
                answer, error = None, None
                match wait:
                    case Pause(seconds):
                        time.sleep(seconds)
                    case Exchange(what, arguments):
                        [done] = self._action.do_together(what, [arguments])
                        answer, error = (None, done) if isinstance(done, Exception) else (done, None)
                    case End(asked, params):
                        try:
                            answer = self._seen(asked, params)
                        except Exception as problem:
                            error = problem
        except StopIteration as stop:
            return self.told(stop.value)

    def _seen(self, asked: Asked, params: dict[str, t.Any]) -> Seen:
        if "wait_timeout" in params:
            return self._action.wait(params, self._store, [asked])[0]
        return self._action.look_and_note(params, self._store, [asked], params["output"])[0]

    def steps(self) -> Waits[dict[str, t.Any]]:
        """Start or attach until there is something to tell. Yield whatever there is to wait for, and return what there is to tell."""
        self._before, self._document = read_document(self._store, self._key)
        self._just_read, self._is_fresh = self._before, True
        if self._before is None or self._before.get("status") not in ENDED:
            note_programs()  # so early that few other workers begin before they are built
        try:
            return (yield from self._start_and_wait())
        except LaunchFailed as failure:
            self._take_fence_away()
            said = "Ansible could not start it (no_log hides what it says)" if self.is_secret else str(failure).rstrip(".")
            if self.has_started:
                return {"failed": True, "changed": True, "msg": f"{said}. No other attempt was started."}
            result = {} if self.is_secret else plain_result(failure.result)
            return {**result, "failed": True, "changed": False, "msg": f"{said}. Nothing was started."}
        except Full as full:
            return {**self._slots.full(full.held), "changed": self.has_started}
        except _StillWaits as other:
            return self._slots.left_to(other.record)
        except AsyncJobError as error:
            return self._failed(error)

    def _failed(self, error: AsyncJobError) -> dict[str, t.Any]:
        if not self.has_started:
            raise error
        # This task has started an attempt, whatever became of that.
        return {"failed": True, "changed": True, "msg": str(error).replace(" Nothing was changed.", "")}

    def told(self, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return what the module returns, after noting that it does."""
        if "record" not in answer:  # an error
            return answer
        after = answer["record"]
        if answer["finished"] and not self._is_refused:
            try:
                after = answer["record"] = self._tell(after)
            except AsyncJobError as error:
                return self._failed(error)
            self._kept.answered.add(name_of(after))
        answer["changed"] = not self._is_refused and self._has_changed(answer, after)
        answer.pop("diff", None)
        if self._action.wants_diff:
            where = self._request.state_file
            answer["diff"] = {"before_header": where, "after_header": where, "before": shown(self._before), "after": shown(after)}
        if after.get("no_log") or self._request.secret:
            answer["_ansible_no_log"] = True
        return answer

    def _has_changed(self, answer: dict[str, t.Any], record: Record) -> bool:
        """Return whether this task has changed anything: it has started the job; or it is the first to return how that has ended, and its
        module says so. Later ones have not: else their handlers would run once more."""
        if not answer["finished"]:
            return self._request.is_ours(record)
        says = answer.get("changed")
        if "changed" not in self._said:
            says = self._request.is_ours(record) or record["status"] == "succeeded"
        return bool(says) and record.get("told") == self._kept.token

    def _tell(self, record: Record) -> Record:
        """Note that this task returns how an attempt has ended, if none has so far. Return the record as it is in the store then."""
        if record.get("told") != "":  # former releases did not note that
            return record
        if not self._action.is_heard:
            return record

        def attempt() -> Record:
            found, version = read_record(self._store, self._key)
            if found is None or name_of(found) != name_of(record) or found.get("told") != "":
                return found if found is not None and name_of(found) == name_of(record) else record
            return write_record(self._store, self._key, {**found, "told": self._kept.token}, expect=version)[0]

        return contended(attempt)

    @property
    def is_secret(self) -> bool:
        """Whether nothing may be said of the task to start."""
        return self._is_secret_by(self._just_read or {})

    @property
    def has_started(self) -> bool:
        """Whether an attempt has started that this task has claimed, whatever became of it; or may have, as nothing on a host tells of an
        action that does its work itself."""
        started = self._kept.started
        launched = self._kept.launched if self._inner.own_work else ()
        return not self._kept.claimed.isdisjoint((*started, *started.values(), *launched))

    # --- One attempt after the other

    def _start_and_wait(self) -> Waits[dict[str, t.Any]]:
        warnings: list[str] = []
        while True:
            record, version, ours = yield from self._start_or_attach()
            if ours:
                self._action.ara.tell(self._store, record)
            else:
                self._tell_of_other_runs(record)
                if (yield from cancel_what_was_left(self._action, self._store, self._key, (record, version), self._params, self._poll)):
                    continue
            self._kept.attached = True
            if record.get("status") in ENDED:
                look = recorded(self._request, record)
                if ours and record["status"] == "lost" and self._problem:
                    warnings.append(self._problem)
                if self._own_result is not None and self._request.is_ours(record):
                    look = self._seen_itself(look, self._own_result)
                    warnings += self._remove_unused()
            else:
                asked = of_record(self._key, record, version, self._params, self._action.async_dir)
                asked.hide(secret=bool(self._request.secret))
                if self._tells_at_once and self._params["keep_output"]:  # to remove it takes a while, in which this run may die
                    asked.tells = lambda: self._kept.token if self._action.is_heard else ""
                self._check_place(record)
                if ours and not self._poll:  # seen a moment ago
                    return answer_to(self._request, record, {**UNSEEN, "status": "running", "reason": f"{asked.label} has been started"})
                look = yield from self._look_at(asked)
                self._request.kept.joined |= asked.was_alive
                record, version = asked.record or record, asked.version
            if self._may_end(look["status"]):
                self._has_stopped = True
                self._action.stop_leftovers(of_record(self._key, record, version, self._params, self._action.async_dir), self._seconds)
                continue
            if look["status"] in ENDED and not self._params["keep_output"]:
                record = self._remove_output(record, version, warnings)
            decision = self._request.decide(self._with_age(self._accepted({**record, "status": look["status"]}, look)))
            self._said = look["result"] or {}
            if self._is_own_unseen(record):
                decision = Decision()  # the protocol has not begun another one either (_again), and would not the next time
            if decision.refusal:
                self._is_refused = True
                return refusal_of(self._request, record, look, decision)
            if decision.start and self._goes_on:
                if not self._poll or not self._may_wait():
                    return blocked_by(self._request, record, look, self._goes_on)
                yield Pause(self._poll, is_idle=True)
            elif decision.wait and self._poll:
                self._action.notify(f"{self._key}: {next_attempt(record, decision)}.")
                yield Pause(decision.wait, is_idle=True)
            elif not decision.start:
                answer = answer_to(self._request, record, look)
                if self._adoption:
                    warnings.append(self._adoption)
                answer["warnings"] += warnings + ([f"The {self._key}: {decision.warning}"] if decision.warning else [])
                if decision.wait:
                    answer.update(finished=False, failed=False, reason=f"{look['reason']}; {next_attempt(record, decision)}")
                    answer["msg"] = answer["reason"]
                return answer

    def _tell_of_other_runs(self, record: Record) -> None:
        """Say once what a run of AWX has left running, whatever has become of that run."""
        said = said_of_awx(record, self._request.started_by)
        if said and not self._has_told_of_other_runs:
            self._action.say(f"{self._key}: {said}")
        self._has_told_of_other_runs = True

    def _may_end(self, status: str) -> bool:
        """Return whether what goes on of a job whose wrapper was killed is to be stopped, so that the next attempt may begin."""
        wanted = self._params["stop_leftovers"] and not self._has_stopped
        return wanted and status == "orphaned" and ("killed" in self._params["restart_on"] or status in self._params["restart_on"])

    def _again(self, record: Record) -> bool:
        """Return whether a job is to be started anew: if the policies say so, and nothing of it runs any more."""
        look = recorded(self._request, record) if record.get("status") in ENDED else None
        if not self._request.decide(self._with_age(self._accepted(record, look))).start:
            return False
        if self._is_own_unseen(record):
            return False
        self._check_own_work(record)
        before, self._goes_on = self._goes_on, ""
        asked = of_record(self._key, record, self._version, self._params, self._action.async_dir)
        look = self._look_before(asked)
        has_ended = record.get("status") in ENDED
        if has_ended and look is not None and look["status"] in ENDED and not is_late(look["status"], record.get("status", "running")):
            self._action.note(self._store, asked, look, "tail")
            if asked.record != record:  # it has ended better than the record knew: decide anew
                return False
        self._goes_on = self._what_goes_on(asked, look)
        if self._goes_on and not before and (self._poll or self._tells_at_once):  # else the answer says so
            self._blocked_since = time.monotonic()
            self._action.notify(f"{self._key}: the next attempt waits. {self._goes_on}.")
        return not self._goes_on

    def _check_turn(self, record: Record) -> None:
        """Raise if somebody else has gone on from an attempt that is about to start. What starts on the host fails there by itself then; an
        action that does its work itself does not."""
        found, _version = read_record(self._store, self._key)
        # A former release takes its slot from it, if somebody else waits for that.
        if found is None or any(found.get(name) != record.get(name) for name in ("status", "attempt_dir", "semaphore")):
            raise AsyncJobError(
                f"The {self._key} was taken over by somebody else, because this run took too long to start it. Nothing was started by this"
                " one. Run the playbook once more, and it attaches."
            )

    def _is_own_unseen(self, record: Record) -> bool:
        """Return whether this task has itself launched an action that may still be at its work. Then there is no other attempt, as the
        answer says, whatever the policies want."""
        return bool(unseen_work(record)) and self._request.is_ours(record)

    def _check_own_work(self, record: Record) -> None:
        """Raise if an action that does its work itself may still be at it, in an attempt whose end nobody has seen."""
        if not unseen_work(record) or not record.get("attempt_dir"):
            return
        with self._where_it_lives(record):
            seen = self._action.inspect(record, self._seconds)
        why = "" if seen.job_id else self._why_unproven(record, seen)
        if why:
            raise AsyncJobError(f"The {self._key} may still be under way: {why}. Nothing was started. {once_unseen_work_is_done(record)}")

    def _accepted(self, record: Record, look: Seen | None) -> Record:
        """Return the record of a job as one of a success, if the task accepts how it has failed (C(failed_when))."""
        if look is None or record.get("status") != "failed":
            return record
        name = name_of(record)
        if name not in self._accepts:
            self._accepts[name] = self._action.accepts(answer_to(self._request, record, look))
        return {**record, "status": "succeeded"} if self._accepts[name] else record

    def _with_age(self, record: Record) -> Record:
        """Return the record of a job with the time that has passed since it ended, if that matters and only its host can tell."""
        matters = self._params["rerun_after"] is not None or self._params["backoff"] > 0
        if not matters or record.get("status") not in ENDED or not record.get("async_dir") or measured_age(record) is not None:
            return record
        job_id = record["ansible_job_id"]
        if job_id not in self._ended:
            try:
                self._check_place(record)
                look = self._look_once(of_record(self._key, record, ABSENT, self._params, self._action.async_dir))
                self._ended[job_id] = None if look["ended_ago"] is None else stamp(ended_ago(look["ended_ago"], record))
            except (AnsibleConnectionFailure, AsyncJobError):
                return record  # its times are what there is
        ended = self._ended[job_id]
        return record if ended is None else {**record, "ended": ended}

    def _may_wait(self) -> bool:
        """Return whether to go on waiting for what an attempt has left behind: no longer than the job itself may take."""
        return time.monotonic() - self._blocked_since < self._request.kept.limit

    def _look_before(self, asked: Asked) -> Seen | None:
        """Look at an attempt that has ended before there is another one. None if that does not matter: it has left a daemon that was meant
        to stay, or the user wants a second one beside it."""
        status = (asked.record or {}).get("status")
        if status in (*ALIVE, "succeeded") and not self._params["stop_leftovers"]:
            return None
        self._check_place(asked.record or {})
        asked.hide(secret=bool(self._request.secret))
        look = self._look_once(asked)
        if self._params["stop_leftovers"] and _left(look, "descendant"):
            self._action.stop_leftovers(asked, self._seconds)
            look = self._look_once(asked)
        return look

    def _what_goes_on(self, asked: Asked, look: Seen | None) -> str:
        """Return what of an attempt that has ended still runs on its host. Empty if it is proven that nothing does.

        :raises AsyncJobError: if nobody can tell
        """
        if look is None:
            return ""
        record = asked.record or {}
        noted = record.get("async_dir") or record.get("results_file")
        if look["status"] == UNKNOWN and look["job_id"] and noted:
            raise AsyncJobError(
                f"{look['reason']}. Nothing was started: it may still run. Let whoever looks see it (become_recorded_user); or, once you"
                " are sure that it does not run, remove its record (async_job_state with state: absent and force: true)."
            )
        what = f"Attempt {record.get('attempt', 1)} has ended ({record.get('status')}), and"
        own, unclear = _left(look, "descendant"), _left(look, "unclear")
        if own or look["status"] in ALIVE:
            return f"{what} left processes that run on ({own})"
        if unclear:
            return f"{what} processes run that may be its own ({unclear}). If they are not, remove its record"
        return ""

    def _look_once(self, asked: Asked) -> Seen:
        return self._action.look([asked], output="tail", tail_size=0, timeout=self._params["look_timeout"])[0]

    def _look_at(self, asked: Asked) -> Waits[Seen]:
        """Look at the job, once or until it has ended."""
        output = "tail" if asked.in_files else "full"
        params = {**self._params, "output": output, "store_output": True}
        if self._poll:
            # Its own limit holds, which another task may have set.
            limit = max(self._request.kept.limit, int((asked.record or {}).get("timeout", 0)))
            params.update(wait_timeout=limit + _MORE_THAN_LIMIT, wait_interval=self._poll)
        look: Seen = yield End(asked, params)
        return look

    def _remove_output(self, record: Record, version: Version, warnings: list[str]) -> Record:
        """Remove the directory of an attempt that has ended, once. Return the record, which says so then."""
        if record.get("output_removed") or not record.get("attempt_dir"):
            return record
        if is_of_other_store(record, self._store.locate()):
            warnings.append(kept_for(record))
            return record
        try:
            self._check_place(record)
            problem = self._action.remove(record, self._params["look_timeout"])
        except (AnsibleConnectionFailure, AsyncJobError) as error:
            problem = f"{record['attempt_dir']} is still there: {error}"
        if problem:
            warnings.append(problem)
            return record
        noted, _version = note(self._store, self._key, record, version, {"output_removed": True})
        return noted if noted["ansible_job_id"] == record["ansible_job_id"] else record

    def _check_place(self, record: Record) -> None:
        """Raise if this task has not gone to the host where the attempt lives."""
        place = record.get("delegated_host", self._key.host)
        if record.get("attempt_dir") and self._action.host != place:
            raise AsyncJobError(
                f"The {self._key} was started on {place}, and this task has gone to {self._action.host}. Nothing was started. Say"
                f" 'delegate_to: {place}', or run it there."
            )

    # --- The protocol

    def _start_or_attach(self) -> Waits[tuple[Record, Version, bool]]:
        """Drive the protocol to its end. Return the record of a job that was started, and whether it was started just now."""
        steps: t.Any = exactly_once.start_or_attach(self._request.claim, self._again)
        steps = self._request.guarded(steps if self._request.wanted is None else self._slots.limited(steps))
        begun = set(self._kept.claimed)
        answer: t.Any = None
        error: Exception | None = None
        try:
            while True:
                step = steps.throw(error) if error else steps.send(answer)
                answer, error = None, None
                try:
                    answer = yield from self._do(step)
                except Exception as problem:
                    error = problem
        except StopIteration as stop:
            outcome: exactly_once.Outcome = stop.value
            record = outcome.record
            ours = not (self._kept.claimed - begun).isdisjoint((record.get("attempt_dir"), record["ansible_job_id"]))
            return record, Version(outcome.version), ours
        except exactly_once.Vanished:
            raise AsyncJobError(self._vanished()) from None
        except exactly_once.NotStarted:
            raise AsyncJobError(
                f"Ansible said that the {self._key} was started, but nothing of it was found on {self._action.host}. It was not started,"
                " and will not be. The disk may be full."
            ) from None

    def _do(self, step: exactly_once.Step | exactly_once.Guard | semaphore.Step) -> Waits[t.Any]:
        """Do one step. Return the answer that the protocol waits for."""
        seconds = self._params["look_timeout"]
        match step:
            case exactly_once.Read(may_begin):
                return (yield from self._read_in_turn()) if may_begin else self._read()
            case exactly_once.Write(record, expect):
                return self._write(record, Version(expect))
            case exactly_once.Restore(_before, expect):
                return self._restore(Version(expect))
            case exactly_once.Watch(record, version):
                return (yield from self._watch(record, version))
            case exactly_once.Guard():
                return self._request.why_not()
            case exactly_once.Prepare():
                self._action.check_heard()
                return (yield from self._prepare(seconds))
            case exactly_once.MakeDirectory(record, over):
                if self._action.makes_directory_at_launch(self._inner, record):
                    return None
                return (yield from self._noting("make_directory", record, over, seconds))
            case exactly_once.Launch(record, over):
                if self._inner.own_work:
                    self._check_turn(record)
                self._kept.launched.add(record["attempt_dir"])
                self._own_result, self._problem = None, ""
                self._own_place = record if self._inner.own_work else None
                try:
                    elsewhere = yield from self._noting("launch", record, over, self._params["start_timeout"], self._inner)
                except Exception as error:
                    self._problem = f"Of this start, Ansible has said: {'(no_log hides it)' if self._is_secret_by(record) else error}"
                    raise
                if isinstance(elsewhere, exactly_once.Foreign):
                    return elsewhere
                if "result" in elsewhere:
                    return self._ended_itself(record, elsewhere["result"])
                if elsewhere:
                    self._kept.claimed.add(elsewhere["ansible_job_id"])
                    self._kept.started[elsewhere["ansible_job_id"]] = elsewhere["async_dir"]
                return elsewhere
            case exactly_once.Inspect(record, is_foreign):
                with self._where_it_lives(record):
                    seen: exactly_once.Seen = yield from self._on_host("inspect", record, seconds)
                if not seen.job_id:
                    never_began = bool(record.get("claim", {}).get(OWN_WORK)) and seen.never_began
                    return seen._replace(lost=self._why_unproven(record, seen) or ("" if never_began else seen.lost))
                if not is_foreign:
                    self._kept.started[seen.job_id] = record["attempt_dir"]
                return seen
            case exactly_once.Fence(record, _is_foreign):
                # What the fence says is believed by other stores: whether the action may have done its work itself.
                fenced = record if self._may_have_worked(record) else without(record, ("claim",))
                with self._where_it_lives(record):
                    is_fenced: bool = yield from self._on_host("fence", fenced, seconds)
                if is_fenced and record["attempt_dir"] in self._kept.claimed:
                    self._fenced = record
                return is_fenced
            case exactly_once.Await(record):
                return (yield from self._await(record))
            case exactly_once.Meet(record, lost):
                return self._meet(record, lost)
            case _:
                return (yield from self._slots.do(step))

    def _on_host(self, what: str, *arguments: t.Any) -> Waits[t.Any]:
        """Do a step on the host, at once or together with those of other jobs."""
        if self.goes_together:
            return (yield Exchange(what, arguments))
        return getattr(self._action, what)(*arguments)

    # --- What another store has started

    def _noting(self, what: str, record: Record, over: tuple[Record, ...], seconds: float, *before: t.Any) -> Waits[t.Any]:
        """Do a step that has the host note an attempt. Return what it returns; or, if the host has noted one of another store, that.

        :arg what: the method that does it
        :arg before: its arguments before the record
        :raises exactly_once.Refused: if nobody can tell what the host has noted
        """
        for _try in range(_STRANGERS):
            noted = Noted(self._strangers.content_of(record), self._strangers.known(record, over))
            found = yield from self._on_host(what, *before, record, noted, seconds)
            if not isinstance(found, Found):
                return found
            try:
                stranger = self._strangers.judged(found, record, self._action.host, self._action.others)
            except AsyncJobError as error:
                raise exactly_once.Refused(error) from error
            if stranger is not None and self._params["on_foreign"] == "fail":
                why = f"{self._stranger(stranger)}. Nothing was started (on_foreign is 'fail')."
                raise exactly_once.Refused(AsyncJobError(f"{why} Use that store; or, {self._request.or_start_another}."))
            if stranger is not None:
                return exactly_once.Foreign(stranger)
        too_many = AsyncJobError(f"{self._action.host} has noted too many other attempts of the {self._key}. Nothing was started.")
        raise exactly_once.Refused(too_many)

    def _await(self, record: Record) -> Waits[None]:
        """Wait until an attempt of another store has started, or whoever starts it is gone, or has had the time for it."""
        pauses = moves(
            record,
            lambda: bool(self._action.inspect(record, self._seconds).job_id),
            life=self._params["claim_timeout"],
            notify=lambda line: self._action.notify(f"{self._key}: {line}"),
        )
        for seconds in pauses:
            yield Pause(seconds, is_idle=False)

    def _stranger(self, record: Record) -> str:
        """Return the beginning of what there is to say of an attempt of another store."""
        return f"The host {self._action.host} has an attempt of the {self._key} that this store does not know, started {told(record)}"

    def _meet(self, record: Record, lost: str) -> Fields | None:
        """Decide what to do about an attempt of another store that has started, or of which nobody can tell.

        :raises AsyncJobError: if nothing may be started because of it
        """
        what, ignore = self._stranger(record), self._request.or_start_another
        if lost:
            if lost == self._may_have_worked(record):
                wait = "Wait until it is done"
                if holder_is_gone(record):
                    wait = "Make sure that it is done there, which nothing here can tell"
                if is_of_other_store(record, self._store.locate()):
                    wait += ". Then, if that store has a record of it, remove that"
                raise AsyncJobError(f"{what}. It may still be under way: {lost}. Nothing was started. {wait}; or, {ignore}.")
            return None
        asked = of_record(self._key, record, ABSENT, self._params, self._action.async_dir)
        asked.hide(secret=bool(self._request.secret))
        look = self._look_once(asked)
        if look["status"] in ENDED:
            goes_on = self._what_goes_on(asked, look) if look["status"] != "succeeded" else ""
            if goes_on:
                raise AsyncJobError(f"{what}. {goes_on}. Nothing was started. Wait until these have ended; or, {ignore}.")
            had = self._request.had(record)
            if had:
                raise AsyncJobError(
                    f"{what}. It has ended ({look['status']}), and {had}. Nothing was started. Use that store; {self._request.or_attach};"
                    f" {ignore}."
                )
            return None
        if look["status"] not in ALIVE:
            raise AsyncJobError(
                f"{what}. Nobody can tell whether it runs: {look['reason']}. Nothing was started. Use that store; or, {ignore}."
            )
        problem = self._request.unlike(record)
        if problem:
            raise AsyncJobError(
                f"{what}. It is {look['status']}, and {problem}. Nothing was started. Wait for it with that store, or stop it there;"
                f" {self._request.or_attach}; {ignore}."
            )
        self._adoption = f"{what}. It is {look['status']}, and was adopted: its record was made anew."
        _ansible.warn_now(harmless_lines(self._adoption))  # before the task waits for it
        return adopted(record, self._store.locate(), secret=self.is_secret)

    def _is_secret_by(self, record: Record) -> bool:
        """Return whether nothing that the job says may be stored: this task says so, or one that was there before it."""
        return bool(self._request.secret or record.get("no_log"))

    def _take_fence_away(self) -> None:
        """Leave nothing on the host of a launch that Ansible itself says has failed: it has come to its end, so that none of it is under
        way. Only Linux tells whether it has left a process that may still start something; elsewhere, the fence stays."""
        if self._fenced is not None and self._fenced.get("boot_id") and self._action.knows_breaks:
            with contextlib.suppress(AnsibleConnectionFailure, AsyncJobError):
                self._action.take_fence_away(self._fenced, self._seconds)

    def _ended_itself(self, record: Record, result: dict[str, t.Any]) -> Fields:
        """Return the fields of the record of an attempt whose action has done the work itself. What it leaves on the host is not needed."""
        self._own_result = with_cause(plain_result(result, with_facts=True))
        self._kept.claimed.add(name_of(record))
        self._kept.started[name_of(record)] = record["attempt_dir"]
        secret = self._is_secret_by(record)
        kept = kept_result(self._own_result, wanted=record.get("store_result", ()), secret=secret)
        size = record["tail_size"]
        if size and not secret:
            kept.update({name: masked(said)[-size:] for name, said in _output_of(self._own_result).items()})
        code = return_code(result)
        failed = result.get("failed") or (code and result.get("failed") is not False)
        return {
            **dict.fromkeys(("attempt_dir", "async_dir", "stdout_file", "stderr_file")),
            "status": "failed" if failed else "succeeded",
            "reason": f"job {self._key.job_name!r} on {self._key.host} has {'failed' if failed else 'succeeded'}: {self._inner.action} has"
            " done its work itself, not in the background",
            "result": kept or None,
            "ended": stamp(0.0),
        }

    @staticmethod
    def _seen_itself(look: Seen, result: dict[str, t.Any]) -> Seen:
        """Return what there is to say of an attempt whose action has done the work itself, in the form of a look."""
        return t.cast("Seen", {**look, "result": result, "warnings": [], **_output_of(result)})

    def _remove_unused(self) -> list[str]:
        """Remove the directory of an attempt that has not needed it. Return why it could not be: the host may be off by now."""
        record, self._own_place = self._own_place, None
        if record is None:
            return []
        try:
            problem = self._action.remove(record, self._seconds, forget=True)
        except (AnsibleConnectionFailure, AsyncJobError) as error:
            problem = f"{record['attempt_dir']} is still there: {error}"
        return [problem] if problem else []

    def _may_have_worked(self, record: Record) -> str:
        """Return why nobody can tell whether an attempt that has left no trace on its host has done its work. Empty if it has not."""
        action = record.get("claim", {}).get(OWN_WORK)
        never_began = record["attempt_dir"] in self._kept.claimed and record["attempt_dir"] not in self._kept.launched
        if not action or never_began:
            return ""
        return why_unseen(action)

    def _why_unproven(self, record: Record, seen: exactly_once.Seen) -> str:
        """Return why nobody can tell whether an attempt, of which its host shows nothing, has done its work, or is still at it. Empty if it
        is certain that it is not: it never began; or whoever did it was on that host, and is gone with that boot. On another machine, they
        may have gone on after the reboot, however dead they are now."""
        is_gone = seen.is_other_boot and record.get("claim", {}).get("boot_id") == record.get("boot_id")
        return "" if seen.never_began or is_gone else self._may_have_worked(record)

    def _read_in_turn(self) -> Waits[tuple[Record | None, Version]]:
        """Read the record. If an attempt may begin then, that has to be its turn."""
        record, version = self._read()
        may_begin = record is None or record.get("status") in CLAIMED or self._request.decide(self._with_age(record)).start
        return self._read() if may_begin and (yield Turn()) else (record, version)

    def _read(self) -> tuple[Record | None, Version]:
        if not self._is_fresh:
            self._just_read, self._document = read_document(self._store, self._key)
        self._is_fresh = False
        record = self._just_read
        if record is None and (self._kept.attached or self._was_launched):
            raise AsyncJobError(self._vanished())
        self._check_started(record)
        flaw = flaw_of(record) if record else ""
        if flaw:
            raise AsyncJobError(
                f"The record {self._request.state_file} cannot be used: {flaw}. Nothing was changed and nothing was started. Put back a"
                " good copy; or, once you are sure that its job does not run, remove it."
            )
        return record, self._version

    @property
    def _version(self) -> Version:
        """The version of the record that was read last."""
        return ABSENT if self._document is None else self._document.version

    @property
    def _seconds(self) -> float:
        """How long a host may take to answer."""
        return float(self._params["look_timeout"])

    def _vanished(self) -> str:
        """Say that a record is gone that was there."""
        what = "".join(f" It was started here as {job_id} ({place})." for job_id, place in self._kept.started.items())
        return (
            f"The record of the {self._key} is gone: whoever else was starting the job has failed and taken it back, or somebody has"
            f" removed it meanwhile, or moved its directory.{what} Nothing more was started. Put it back if you can. Run the playbook once"
            " more, and the job counts as never started, unless its host knows of an attempt that goes on."
        )

    def _check_started(self, record: Record | None) -> None:
        """Raise if this task has started an attempt that the record knows nothing of."""
        attempts = (record, *record.get("attempts", ())) if record else ()
        known = {attempt.get(name) for attempt in attempts for name in ("attempt_dir", "ansible_job_id")}
        known |= {name_of(attempt) for attempt in attempts}
        for job_id, place in self._kept.started.items():
            if record is not None and known.isdisjoint((place, job_id)) and len(record.get("attempts", ())) < PAST_ATTEMPTS:
                raise AsyncJobError(
                    f"The {self._key} was started here as {job_id} ({place} on {self._action.host}), and its record names another attempt"
                    f" now, {record.get('ansible_job_id') or record.get('status')}, and not this one: somebody has removed it meanwhile."
                    " Nothing more was started. Both may run. Stop the first one, or put its record back."
                )

    def _watch(self, record: Record, version: str) -> Waits[bool]:
        waits = record.get("claim", {}).get(WAITS)
        if waits and self._waited_for == record["claim"].get("id") and not self._poll:  # it has moved, and waits as before
            raise _StillWaits(record)
        self._waited_for = record.get("claim", {}).get("id") if waits else None
        if record.get("attempt_dir") in self._kept.claimed:  # this task itself, which has not seen it through
            return False
        more = 0.0
        if record["status"] == "prepared" and record.get("claim", {}).get(OWN_WORK):  # who is at the work has no time for the record
            more = max(record.get("timeout", 0), self._kept.limit) + self._params["start_timeout"]
        pauses = moves(
            record,
            lambda: read_record(self._store, self._key)[1] != version,
            life=self._params["claim_timeout"],
            more=more,
            notify=lambda line: self._action.notify(f"{self._key}: {line}"),
        )
        while True:
            try:
                seconds = next(pauses)
            except StopIteration as stop:
                return bool(stop.value)
            yield Pause(seconds, is_idle=False)

    def _prepare(self, seconds: float) -> Waits[Fields]:
        place: Fields = yield from self._on_host("prepare", self._key, self._store.locate(), seconds)
        if self._inner.is_command:
            place.update({f"{stream}_file": f"{place['attempt_dir']}/{stream}" for stream in (STDOUT, STDERR)})
        self._kept.claimed.add(place["attempt_dir"])
        return place

    @contextlib.contextmanager
    def _where_it_lives(self, record: Record) -> t.Iterator[None]:
        """Act on the host of the attempt, as a user who may. If the host is away, the error says what that means."""
        self._check_place(record)
        try:
            yield
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(
                f"{self._action.host} is unreachable, so nobody can tell whether the {self._key} was started"
                f" ({record['attempt_dir']}). Nothing more was started. Run the playbook once more when the host is back. {error}"
            ) from error

    def _write(self, record: Record, expect: Version) -> Version | None:
        if record["ansible_job_id"]:
            record["results_file"] = f"{record['async_dir']}/{record['ansible_job_id']}"
        action = unseen_work(record)
        # What is lost for this reason may still be under way, and the next start has to know. Of any other, it is proven that it is over.
        if record["status"] not in CLAIMED and not (action and record.get("reason") == why_unseen(action)):
            record.pop("claim", None)
        if record["status"] in ENDED:
            record.update(t.cast("Record", self._action.ara.of_end({**record, "status": "running"}, record)))
            record["end"], record["told"] = _times.now(), self._kept.token if self._tells_at_once and self._action.is_heard else ""
        try:
            written, version = write_record(self._store, self._key, record, expect=expect)
        except Conflict:
            give_way()
            return exactly_once.CONFLICT
        except AsyncJobError as error:
            if record["ansible_job_id"]:
                what = str(error).replace(" Nothing was changed.", "")
                raise AsyncJobError(
                    f"{what} The {self._key} was started on {self._action.host} as {record['ansible_job_id']}. Its record does not say so"
                    " yet: run the playbook once more when the store is back, and the job is found."
                ) from error
            if self._own_result is not None and record["status"] in ENDED:
                what = str(error).replace(" Nothing was changed.", "")
                raise AsyncJobError(
                    f"{what} {record.get('reason')}, and its record does not say so. Nothing more was started. Once the store is back, the"
                    " next run counts this attempt as lost."
                ) from error
            raise
        record.update(written)  # the protocol goes on with it
        return version

    def _restore(self, expect: Version) -> t.Any:
        try:
            put_back(self._store, self._key, self._document, expect=expect)
        except Conflict:
            return exactly_once.CONFLICT
        self._kept.launched.clear()  # what was launched cannot start any more, and its record is as it was before
        return True
