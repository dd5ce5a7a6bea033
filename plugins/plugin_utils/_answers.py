# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task of C(async_job) answers: about a job that there is, and in check mode about one that there would be.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.command import NON_ZERO
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import duration
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_status
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import read_record, shown
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    Record,
    once_unseen_work_is_done,
    status_to_act_on,
    unseen_work,
    why_unseen,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import lacking, of_module
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.policies import Decision
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, ENDED, GOES_ON
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import last_line_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import UNSEEN, with_kept_output
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import Request


def recorded(request: Request, record: Record) -> Seen:
    """Return what the record says of a job that has ended, in the form of a look."""
    result = record.get("result", {})
    look: Seen = {
        **UNSEEN,
        "status": record["status"],
        "reason": record.get("reason") or f"job {request.key.job_name!r} on {request.key.host}: {record['status']}",
        "result": of_module(result),
        "progress": result.get("progress"),
        "results_file": record.get("results_file", ""),
        "end": "" if record.get("end_noticed") else record.get("end", ""),
        "elapsed": record.get("elapsed", duration(result)),
        "warnings": lacking(record),
    }
    return with_kept_output(look, record)


def answer_to(request: Request, record: Record, look: Seen) -> dict[str, t.Any]:
    """Return what the module returns about a job that was started."""
    # The record may have been changed; what this task says of itself, nobody else can take away.
    secret = bool(record.get("no_log") or request.secret)
    answer = async_job_status.returned(record["ansible_job_id"], look, secret=secret, with_facts=request.with_facts)
    answer.update(
        job_name=request.key.job_name,
        attempt=record.get("attempt", 1),
        record=record,
        state_file=request.state_file,
        results_file=look["results_file"] or record.get("results_file", ""),
    )
    answer["warnings"] += [*async_job_status.cut_output([answer]), *request.store.warnings]
    if answer["failed"] and look["status"] in ENDED:
        said = str(answer["msg"]).rstrip(".")
        if said == NON_ZERO:  # the reason says that, too, and of which job
            said = ": ".join(filter(None, (look["reason"], last_line_of(answer["stderr"]) or last_line_of(answer["stdout"]))))
        answer["msg"] = f"{said.rstrip('.')}. {_what_next(request, {**record, 'status': look['status']})}"
    elif request.kept.poll and look["status"] in GOES_ON:
        limit = record.get("timeout", request.kept.limit)
        answer.update(failed=True, msg=f"{look['reason']}. It has not ended within its time limit of {limit:g} seconds.")
    return answer


def refusal_of(request: Request, record: Record, look: Seen, decision: Decision) -> dict[str, t.Any]:
    """Return what the module returns if the policies forbid to start the job and to attach to it."""
    return {**answer_to(request, record, look), "failed": True, "changed": False, "msg": f"The {request.key}: {decision.refusal}"}


def blocked_by(request: Request, record: Record, look: Seen, why: str) -> dict[str, t.Any]:
    """Return what the module returns if the next attempt has to wait for what the last one has left behind."""
    # What it may stop, it has stopped.
    instead = "" if request.params["stop_leftovers"] else request.or_let_stop
    reason = f"{look['reason']}; {why}. Attempt {record.get('attempt', 1) + 1} starts when these have ended. Stop them{instead}"
    answer = answer_to(request, record, look)
    answer.update(finished=False, failed=bool(request.kept.poll), reason=reason, msg=reason)
    return answer


def next_attempt(record: Record, decision: Decision) -> str:
    """Say when the next attempt starts, and why there is one."""
    return f"attempt {record.get('attempt', 1) + 1} starts in {_times.clock(decision.wait + 0.999)} (backoff), because {decision.why}"


def _what_next(request: Request, record: Record) -> str:
    status, attempt = status_to_act_on(record), record.get("attempt", 1)
    if unseen_work(record):
        return f"It may still be under way, so nothing starts it anew. {once_unseen_work_is_done(record)}"
    if status not in request.params["restart_on"]:
        return f"It is not started anew unless restart_on has '{status}', or its record is removed (async_job_state with 'state: absent')."
    if request.params["max_attempts"] is not None:
        return f"This was attempt {attempt}, and max_attempts is {request.params['max_attempts']}."
    return "The next run of this task starts it anew; with max_attempts, this one would."


# --- Check mode


def predicted(request: Request, *, diff: bool, accepts: t.Callable[[dict[str, t.Any]], bool]) -> dict[str, t.Any]:
    """Return what the module returns in check mode: what it would do, by what the record says. The host is not contacted.

    :arg diff: whether the user wants to see how the record would change
    :arg accepts: tells of an answer about a job that has failed whether the task accepts that
    """
    record, _version = read_record(request.store, request.key)
    if record is None:
        return _would_start(request, None, Decision(start=True), diff=diff)
    flaw = flaw_of(record)
    if flaw:
        raise AsyncJobError(f"The record {request.state_file} cannot be used: {flaw}. Nothing would be started. Put back a good copy.")
    is_accepted = record.get("status") == "failed" and accepts(answer_to(request, record, recorded(request, record)))
    decision = request.decide({**record, "status": "succeeded"} if is_accepted else record)
    if decision.refusal:
        return refusal_of(request, record, recorded(request, record), decision)
    if decision.start:
        return _would_start(request, record, decision, diff=diff)
    attempt, status = record.get("attempt", 1), record.get("status", "running")
    answer = {**_unchanged(request, record), "attempt": attempt, "status": status}
    if decision.warning:
        answer["warnings"] = [*answer["warnings"], f"The {request.key}: {decision.warning}"]
    if decision.wait:
        reason = f"the {request.key}: {status}; {next_attempt(record, decision)}"
        return {**answer, "msg": f"would wait: {reason}", "reason": reason}
    if status in ENDED:
        answer = {**answer_to(request, record, recorded(request, record)), "changed": False}
        answer.pop("diff", None)
        return answer
    return {
        **answer,
        "ansible_job_id": record["ansible_job_id"],
        "started": status not in CLAIMED,
        "msg": f"would attach to attempt {attempt}, {status}",
        "reason": f"the {request.key}: {status}, as last recorded",
    }


def _would_start(request: Request, record: Record | None, decision: Decision, *, diff: bool) -> dict[str, t.Any]:
    after = {name: value for name, value in request.claim(record).items() if name not in ("claim", "semaphore")}
    why = decision.why and f", because {decision.why}"
    where = request.state_file
    wait: dict[str, t.Any] = {}
    if request.wanted is not None:
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._semaphore_option import would_wait

        wait = would_wait(request.store, request.wanted)
    waits = wait.get("reason", "")
    if record is not None and unseen_work(record):
        waits = "; ".join(filter(None, (waits, f"if its host shows that the last one is over: {why_unseen(unseen_work(record))}")))
    return {
        **_unchanged(request, record),
        "changed": True,
        "attempt": after["attempt"],
        "status": "starting",
        "msg": f"would start attempt {after['attempt']} of the {request.key}{why}{waits and '; '}{waits}",
        "reason": f"the {request.key} would be started, as far as this store knows: its host was not asked",
        **wait,
        **({"diff": {"before_header": where, "after_header": where, "before": shown(record), "after": shown(after)}} if diff else {}),
    }


def _unchanged(request: Request, record: Record | None) -> dict[str, t.Any]:
    """Return what check mode returns in any case. Tasks that follow use it, output included."""
    return {
        "changed": False,
        "job_name": request.key.job_name,
        "state_file": request.state_file,
        "record": record or {},
        "warnings": request.store.warnings,
        **{"stdout": "", "stderr": "", "stdout_lines": [], "stderr_lines": []},
    }
