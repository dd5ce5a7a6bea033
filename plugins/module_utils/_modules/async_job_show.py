# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs for people who sit at a terminal: a table of many, or all that is known of one.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import collections
import datetime
import json
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import (
    FILTERS,
    JOB_OPTIONS,
    PROGRESS_OPTIONS,
    STORE_OPTIONS,
    Spec,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import age, is_overdue, looked_ago
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import Approval, find_pending, run_playbook
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ara import is_ara_playbook
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.last_line import hint, last_line, last_words
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import Listing, filters_of, find_records, flawed
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record, place_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import STREAMS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import (
    MOST,
    held_now,
    who_holds,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, GOES_ON, STATUSES
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Notify, Store, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_store, settings_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import (
    aligned,
    brief_time,
    harmless,
    in_words,
    is_name,
    lines_of,
    progress_in_words,
)

_SORTS: dict[str, t.Callable[[Record, datetime.datetime], t.Any]] = {
    "name": lambda record, now: 0,  # that is how they come
    "age": lambda record, now: -age(record, now.timestamp()),
    "duration": lambda record, now: -_times.run_time(record, now),
    "status": lambda record, now: STATUSES.index(_status(record)),
}

ARGUMENT_SPEC: Spec = {
    **JOB_OPTIONS,
    "hosts": {"type": "list", "elements": "str"},
    **FILTERS,
    "sort": {"type": "str", "choices": list(_SORTS), "default": "name"},
    "look": {"type": "dict"},
    "verified_hosts": {"type": "list", "elements": "str"},
    "quiet": {"type": "bool", "default": False},
    "entries": {"type": "bool", "default": False},
    **PROGRESS_OPTIONS,
    **STORE_OPTIONS,
}

# A single job is asked for by its name alone; a filter has no place there.
MUTUALLY_EXCLUSIVE = [("job_name", filter_) for filter_ in FILTERS]

_HEADS = ("HOST", "PLAYBOOK", "JOB", "STATUS", "ATTEMPT", "AGE", "DURATION", "LOOKED", "LAST LINE")
_APPROVAL_HEADS = ("PLAYBOOK", "APPROVAL", "AGE", "EXPIRES IN", "ASKED BY", "SUBJECT")
_PAST_HEADS = ("ATTEMPT", "STATUS", "START", "DURATION", "RC", "STARTED BY", "REASON")

# How much of the output that a record keeps is shown, in lines.
_OUTPUT_LINES = 200


class Line(t.NamedTuple):
    """A line to show."""

    text: str
    status: str = ""
    """Of the job that it is about, for its colour."""


def run(
    params: dict[str, t.Any],
    *,
    width: int = 160,
    notify: Notify = nobody,
    explain: t.Callable[[Record, str], str] = lambda record, where: "",
) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns, and under C(lines) what to show.

    :arg params: values of ARGUMENT_SPEC
    :arg width: of the terminal, in characters
    :arg explain: tells of a record, and its place, why nobody may act upon it
    """
    store = open_store(params, notify)
    store.must_exist()
    listing = find_records(store, params)
    approvals: list[Approval] = []
    if params["job_name"] is None:
        approvals, unreadable = find_pending(store, params["playbook_name"], settings_of(params))
        listing = listing._replace(unreadable=[*listing.unreadable, *unreadable])
    now = datetime.datetime.now(datetime.timezone.utc)
    found = sorted(listing.found, key=lambda found: _SORTS[params["sort"]](found.record, now))
    records = [found.record for found in found]
    counts = collections.Counter(map(_status, records))
    result: dict[str, t.Any] = {
        "changed": False,
        "store": store.locate(),
        "filters": filters_of(params),
        "jobs": len(records),
        "statuses": dict(counts),
        "approvals": approvals,
        "delegated": _delegated(records),
        "not_asked": _not_asked(records, params["verified_hosts"]),
        "unreadable": listing.unreadable,
        "flawed": flawed(store, listing.found, explain),
        "warnings": store.warnings,
        "lines": [],
    }
    lines = [Line(f"Store: {store.locate()}"), Line(f"Filters: {result['filters']}")]
    if params["job_name"] is not None and len(found) == 1:
        [one] = found
        result.update(record=one.record, state_file=store.locate(one.path), place=harmless(place_of(one.record)))
        if params["look"]:
            lines = seen(one.record, params["look"])
        else:
            lines += details(one.record, now, state_file=store.locate(one.path))
    else:
        lines += table(records, now, width)
        summary = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
        lines.append(Line(f"{len(records)} {'job' if len(records) == 1 else 'jobs'}{': ' + summary if summary else ''}"))
        if params["verified_hosts"] is None and params["job_name"] is None and any(status in ALIVE for status in counts):
            lines.append(Line("What goes on is shown as somebody last saw it. To ask the hosts: -e verify=true (async-jobs: --verify)"))
        if result["not_asked"]:
            lines.append(Line(f"Not asked, and shown as last recorded: {', '.join(map(harmless, result['not_asked']))}", "orphaned"))
        lines += [*_semaphores(store, records), *awaited(approvals, now, width, settings_of(params))]
        lines += [Line(f"Not readable: {harmless(problem['state_file'])}", "failed") for problem in listing.unreadable]
    if not params["look"]:  # whoever has looked has been told
        lines += [Line(harmless(problem["msg"]), "failed") for problem in result["flawed"]]
    problem = _problem(params, store, listing)
    if problem:
        result.update(failed=True, msg=problem)
    if not params["quiet"]:
        result["lines"] = lines
    if params["entries"]:
        result["entries"] = [entry(one.record, now, state_file=store.locate(one.path)) for one in found]
    return result


def _delegated(records: t.Iterable[Record]) -> dict[str, list[str]]:
    """Return the hosts whose jobs run on another host, by the name of that other host."""
    places: dict[str, set[str]] = collections.defaultdict(set)
    for record in records:
        if place_of(record) != record["host"]:
            places[harmless(place_of(record))].add(harmless(record["host"]))
    return {place: sorted(hosts) for place, hosts in places.items()}


def _not_asked(records: t.Iterable[Record], verified_hosts: list[str] | None) -> list[str]:
    """Return the hosts on which jobs go on, as far as anybody knows, and that were not asked."""
    if verified_hosts is None:
        return []
    return sorted({harmless(place_of(record)) for record in records if _status(record) in ALIVE} - {*verified_hosts})


def _problem(params: dict[str, t.Any], store: Store, listing: Listing) -> str:
    """Say why what was found is not what was asked for. Empty if it is."""
    if listing.unreadable:
        return listing.problem(store)
    if params["job_name"] is None or len(listing.found) == 1:
        return ""
    asked = f"job {params['job_name']!r}"
    if params["playbook_name"] is not None:
        asked += f" of playbook {params['playbook_name']!r}"
    if params["host"] is not None:
        asked += f" on host {params['host']!r}"
    if not listing.found:
        exact = " Its name is taken as it is: * and ? are for lists." if {*"*?"} & {*params["job_name"]} else ""
        return (
            f"There is no {asked} in {store.locate()}. Look for its name in a list of all jobs, ansible-playbook"
            f" rstyczynski.ansible.jobs (async-jobs list); or say which store, with async_job_state_dir or async_job_backend.{exact}"
        )
    return f"There are {len(listing.found)} that are called {asked}. Say which one, by its host and its playbook; they are listed above."


def table(records: t.Sequence[Record], now: datetime.datetime, width: int) -> list[Line]:
    """Return a line for each job, below a line of headings."""
    if not records:
        return []
    rows = [_HEADS, *(_row(record, now) for record in records)]
    # What nobody should believe as it stands has the colour of what needs somebody.
    statuses = ["", *("orphaned" if is_overdue(record, now.timestamp()) else _status(record) for record in records)]
    return [Line(text, status) for text, status in zip(aligned(rows, width=width), statuses)]


def awaited(approvals: t.Sequence[Approval], now: datetime.datetime, width: int, settings: t.Mapping[str, str]) -> list[Line]:
    """Return a line for each approval that somebody has to decide on, and how to do so."""
    if not approvals:
        return []

    def away(time: str) -> str:
        moment = _times.moment(time)
        return brief_time(abs((moment - now).total_seconds())) if moment else ""

    rows: list[tuple[str, ...]] = [_APPROVAL_HEADS]
    for approval in approvals:
        texts = [harmless(approval[field]) for field in ("playbook_name", "approval_name", "asked_by", "subject")]
        rows.append((*texts[:2], away(approval["requested_at"]), away(approval["expires"]), *texts[2:]))
    how = run_playbook("approvals", settings) or "ansible-playbook rstyczynski.ansible.approvals"
    many = "1 request awaits" if len(approvals) == 1 else f"{len(approvals)} requests await"
    return [
        Line(""),
        *(Line(text, "orphaned" if number else "") for number, text in enumerate(aligned(rows, width=width))),
        Line(f"{many} approval. To see how to approve or reject: {how}"),
    ]


def _semaphores(store: Store, records: t.Sequence[Record]) -> t.Iterator[Line]:
    """Yield a line for each semaphore of which a job that goes on has a slot, or for which it waits: who has its slots."""
    names = {str(record["semaphore"].get("name")) for record in records if record.get("semaphore") and _status(record) in GOES_ON}
    for name in sorted(filter(is_name, names)):
        try:
            held = held_now(store, name)
        except AsyncJobError as error:
            yield Line(harmless(str(error)), "failed")
        else:
            yield Line(f"Semaphore {who_holds(name, MOST, held)}" if held else f"Semaphore {name}: all slots are free")


def _row(record: Record, now: datetime.datetime) -> tuple[str, ...]:
    return (
        *(harmless(record[field]) for field in ("host", "playbook_name", "job_name")),
        _status(record),
        str(record.get("attempt", 1)),
        _ago(age(record, now.timestamp())) or "?",
        duration_of(record, now),
        _looked(record, now) or "-",
        last_words(record, now.timestamp()),
    )


def _looked(record: Record, now: datetime.datetime) -> str:
    """Return how long ago somebody last saw that a job goes on. Empty if it does not, or nobody has."""
    looked = looked_ago(record, now.timestamp())
    return "" if looked is None else _ago(looked)


def _origin(origin: dict[str, t.Any]) -> str:
    """Say from where a job was started whose record was made anew."""
    if not origin:
        return ""
    by = f" by {origin['recovered_by']}" if "recovered_by" in origin else ""
    return f"on its host{by}, where it was started from the store {origin.get('store')} for the host {origin.get('host')}"


def _ago(seconds: float) -> str:
    return "" if seconds == float("inf") else brief_time(seconds)


def entry(record: Record, now: datetime.datetime, *, state_file: str) -> dict[str, t.Any]:
    """Return what the table tells of a job, and a little more, for programs."""
    seconds = now.timestamp()
    how_old = age(record, seconds)
    looked = looked_ago(record, seconds)
    return {
        **{name: record.get(name) for name in ("host", "playbook_name", "job_name", "ansible_job_id", "start", "end", "who", "reason")},
        "place": place_of(record),
        "status": _status(record),
        "attempt": record.get("attempt", 1),
        "rc": record.get("result", {}).get("rc"),
        "age": None if how_old == float("inf") else int(how_old),
        "duration": int(_times.run_time(record, now)),
        "end_noticed": record.get("end_noticed", False),
        "looked": None if looked is None else int(looked),
        "hint": hint(record, seconds),
        "last_line": last_line(record),
        "state_file": state_file,
    }


def details(record: Record, now: datetime.datetime, *, state_file: str) -> list[Line]:
    """Return all that the record knows of a job."""
    status = _status(record)
    begin = _times.started_at(record)
    looked = _looked(record, now)
    doubt = hint(record, now.timestamp())
    said = _said(record, {**record.get("result", {}), "last_line": record.get("last_line", "")})
    facts: list[tuple[str, t.Any]] = [
        ("Job", record["job_name"]),
        ("Playbook", record["playbook_name"]),
        ("Host", record["host"]),
        ("Runs on", record.get("delegated_host")),
        ("Status", f"{status}, as last recorded{'; ' + doubt if doubt else ''}"),
        ("Reason", record.get("reason")),
        *_outcome(said, record.get("reason")),
        ("Last line", in_words(said.get("last_line", "")) if not any(said.get(stream) for stream in STREAMS) else None),
        ("Semaphore", record.get("semaphore", {}).get("name")),
        ("Attempt", str(record.get("attempt", 1))),
        ("Started", begin and f"{_text(record.get('start') or record.get('save_time'))}, {brief_time((now - begin).total_seconds())} ago"),
        ("Started by", record.get("who")),
        ("AWX", _in_awx(record.get("awx", {}))),
        ("ARA", _in_ara(record.get("ara_playbook", {}))),
        ("Found", _origin(record.get("origin", {}))),
        ("Ended", _ended(record)),
        ("Duration", duration_of(record, now)),
        ("Looked", looked and f"{looked} ago"),
        ("Time limit", brief_time(record["timeout"]) if record.get("timeout") else None),
        ("Cancelled", _cancelled(record.get("cancelled", {}))),
        ("User on host", record.get("become_user") or record.get("remote_user")),
        ("Directory", record.get("attempt_dir") or record.get("async_dir")),
        ("Job id", record["ansible_job_id"]),
        *((f"Metadata {name}", value) for name, value in record.get("metadata", {}).items()),
        ("Record", state_file),
    ]
    return [*_facts(facts, status), *_history(record, now), *_output(said)]


def seen(record: Record, look: dict[str, t.Any]) -> list[Line]:
    """Return what a host says of a job.

    :arg look: what C(async_job_status) has returned
    """
    status = _text(look.get("status"))
    said = _said(record, look)
    facts = [("Status", status), ("Reason", look.get("reason")), *_outcome(said, look.get("reason"))]
    return [Line(f"{_text(place_of(record))} says:"), *_facts(facts, status), *_output(said)]


def _facts(facts: list[tuple[str, t.Any]], status: str) -> list[Line]:
    rows = [(harmless(name) + ":", _text(value)) for name, value in facts if value not in (None, "")]
    return [Line(text, status if name == "Status:" else "") for (name, _value), text in zip(rows, aligned(rows, width=1 << 16))]


def _said(record: Record, said: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what may be shown of what a job has said."""
    return {"rc": said.get("rc")} if record.get("no_log") else said


def _outcome(said: dict[str, t.Any], reason: t.Any) -> list[tuple[str, t.Any]]:
    progress = said.get("progress")
    if isinstance(progress, dict):
        progress = progress_in_words(progress.get("current"), progress.get("total"), str(progress.get("text") or ""))
    message = said.get("msg") if said.get("msg") != reason else None
    return [("Message", message), ("Return code", said.get("rc")), ("Progress", progress)]


def _history(record: Record, now: datetime.datetime) -> list[Line]:
    past = record.get("attempts", [])
    if not past:
        return []
    current = {**record, "attempt": record.get("attempt", 1), "rc": record.get("result", {}).get("rc")}
    rows = [
        (
            *(_text(attempt.get(field)) for field in ("attempt", "status", "start")),
            duration_of(attempt, now),
            *(_text(attempt.get(field)) for field in ("rc", "who", "reason")),
        )
        for attempt in (*past, current)
    ]
    statuses = ["", *(row[1] for row in rows)]
    return [Line(""), *(Line(*line) for line in zip(aligned([_PAST_HEADS, *rows], width=1 << 16), statuses))]


def _output(said: dict[str, t.Any]) -> list[Line]:
    shown = []
    for stream, head in (("stdout", "Output"), ("stderr", "Error output")):
        lines = lines_of(str(said.get(stream) or "").rstrip("\n"))
        if any(lines):
            is_whole = said.get(f"{stream}_truncated") is False  # as a look has it, which was told how much is wanted
            most = len(lines) if is_whole else _OUTPUT_LINES
            cut = f" (the last {_OUTPUT_LINES} lines)" if len(lines) > most else "" if is_whole else " (its end)"
            shown += [Line(""), Line(f"{head}{cut}:"), *(Line(f"  {line}") for line in lines[-most:])]
    return shown


def _status(record: Record) -> str:
    return str(record.get("status", "running"))


def _ended(record: Record) -> str | None:
    """Say when a job ended, and if that is not known, what is."""
    end = record.get("end")
    return f"{_text(end)}, when that was noticed: nobody knows how long before it ended" if end and record.get("end_noticed") else end


def duration_of(attempt: t.Mapping[str, t.Any], now: datetime.datetime) -> str:
    """Write how long an attempt took. Of one whose end somebody has only noticed, it is the most that it can have taken."""
    return ("\N{LESS-THAN OR EQUAL TO} " if attempt.get("end_noticed") else "") + brief_time(_times.run_time(attempt, now))


def _cancelled(by: t.Mapping[str, object]) -> str:
    return f"by {by.get('who')} at {by.get('time')} {by.get('reason', '')}".strip() if by else ""


def _in_awx(awx: t.Mapping[str, object]) -> str:
    """Say which run of AWX has started an attempt."""
    names = {"job_id": "job", "workflow_job_id": "of workflow job", "schedule_name": "by schedule"}
    return ", ".join(f"{what} {_text(awx[name])}" for name, what in names.items() if name in awx)


def _in_ara(noted: t.Mapping[str, t.Any]) -> str:
    """Say which playbooks of ARA have started an attempt and seen its end."""
    words = {"started": "started it", "ended": "seen its end"}
    return ", ".join(f"playbook {noted[role]['id']} has {words[role]}" for role in words if role in noted) if is_ara_playbook(noted) else ""


def _text(value: t.Any) -> str:
    """Return a value of a record as one line."""
    if value is None:
        return ""
    return harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
