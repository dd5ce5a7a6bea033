# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has changed in a store since somebody last looked, as events, and the cursor that says how far they have come.

A document of the store tells phases: a record its attempts, an approval its requests, a run of a workflow its epochs. Each phase goes
through steps: a job runs, then it fails. The cursor knows, of each document, the last phase that was told, and which of its steps. So
whatever happened between two looks is found in the history of the document, as far as that reaches.

An event stays in the cursor until it counts as received. Whoever dies in between tells it again, with the same id.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import typing as t
import uuid
import warnings

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import (
    APPROVALS,
    TEMPLATE,
    Approval,
    check_approval,
    status_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import WORKFLOWS, decode, encode
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import record_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    SCHEMA_VERSION,
    Record,
    is_host_name,
    picked,
    read_plain,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED, STATUSES
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SUFFIX, Entry, Store, without_signature

# No host has a name that begins with a dot in a store.
EVENTS = ".events/"

Event = t.Dict[str, t.Any]
Cursor = t.Dict[str, t.Any]

JOB, APPROVAL, WORKFLOW = "job", "approval", "workflow"
KINDS = (JOB, APPROVAL, WORKFLOW)

# What an event says, by type. All else that a cursor holds by mistake, or by intent, is left out.
_TEXTS = (
    "id",
    "kind",
    "status",
    "host",
    "playbook_name",
    "job_name",
    "approval_name",
    "workflow",
    "run",
    "subject",
    "reason",
    "who",
    "time",
    "start",
    "end",
    "expires",
    "state_file",
)
_NUMBERS = ("attempt", "rc")
# Of texts that others have written, in characters.
_LONGEST = 1000

# What Python leaves out where it reads literals: between two texts, and at the end of a line
_BETWEEN = r"[\s'\"\\ruRU]*"
# What makes a template, also in two parts, of which the second one may be in the next text of an event; names of characters, and the end of
# a text that begins one of these; and what a rulebook decrypts.
_MARKS = re.compile("|".join((r"\{" + _BETWEEN + r"([{%#]|\Z)", _BETWEEN.join("#jinja2:"), r"\\N\{", r"\\\Z", r"\$ANSIBLE_VAULT")))
# How a character may be written in a literal, beside its name
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{1,3}))")

# What JSON and UTF-8 cannot hold
_NO_TEXT = re.compile("[\0\ud800-\udfff]")

# What a cursor knows of a document that nobody could read when it began: whatever is in it
_OLD = ""

_NAMESPACE = uuid.UUID("8a4f4c1e-6d0b-5d0e-9b1c-0f6f3f1f5a01")


class Step(t.NamedTuple):
    """Something that has happened to a document."""

    status: str
    about: dict[str, t.Any]
    """What the event says of it."""


class Phase(t.NamedTuple):
    """An attempt of a job, a request for approval, or an epoch of a run."""

    number: int
    identity: str
    """What tells it from all others of the same document, and of one that had its place before."""
    steps: list[Step]


class Lost(t.NamedTuple):
    """What nobody can tell any more. Whether somebody would have wanted to know, its last step would say."""

    event: Event
    """The first change that is known after that."""
    number: int
    """How many phases before it are in no history any more."""


class Seen(t.NamedTuple):
    """What a store tells."""

    documents: dict[str, list[Phase]]
    """Of each path, the oldest phase first."""
    unreadable: list[str]
    """Why others could not be read."""
    answered: set[str]
    """The names of jobs that have been started, and of runs that have ended: an event with such an id was answered."""
    unread: set[str]
    """The paths of what could not be read: of documents, or of directories."""


Reader = t.Callable[[bytes, str, str], t.Tuple[t.List[Phase], str]]
"""Takes a document, its path, and its place for errors. Returns its phases, and the id of the event that it answers; empty if it does
not."""


def cursor_path(name: str) -> str:
    """Return the path of a cursor in its store."""
    return f"{EVENTS}{encode(name)}/cursor{SUFFIX}"


def new_cursor(name: str) -> Cursor:
    """Return a cursor that knows of nothing."""
    return {"cursor": name, "schema_version": SCHEMA_VERSION, "seen": {}, "pending": []}


def parse_cursor(document: bytes, name: str, *, where: str) -> Cursor:
    """Read a cursor.

    :arg where: the place of the document, for the error
    :raises AsyncJobError: if it is none, or that of somebody else
    """

    def corrupt(why: str) -> AsyncJobError:
        return AsyncJobError(
            f"The cursor {where} cannot be used: {why}. Nothing was changed, and no event was told. Put back a good copy; or remove it, and"
            " the events begin with what happens after that."
        )

    try:
        cursor = read_plain(document.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise corrupt(f"it is not valid JSON ({error})") from error
    if not isinstance(cursor, dict) or not isinstance(cursor.get("seen"), dict) or not isinstance(cursor.get("pending"), list):
        raise corrupt("it is not what a cursor is")
    if not isinstance(cursor.get("filters", {}), dict):
        raise corrupt("its filters are none")
    if cursor.get("schema_version") != SCHEMA_VERSION:
        raise AsyncJobError(
            f"The cursor {where} was written by another release of the collection rstyczynski.ansible. Nothing was changed. Upgrade the"
            " collection on this controller."
        )
    if cursor.get("cursor") != name:
        raise corrupt(f"it is that of {cursor.get('cursor')!r}")
    for path, seen in cursor["seen"].items():
        if not _is_path(path):
            raise corrupt(f"{path!r} is not where jobs, approvals and runs are")
        if not isinstance(seen, dict) or not isinstance(seen.get("number"), int) or not isinstance(seen.get("phase"), str):
            raise corrupt(f"what it says of {path!r} is not what it should be")
        if not isinstance(seen.get("told"), list) or not all(isinstance(status, str) for status in seen["told"]):
            raise corrupt(f"what it says of {path!r} is not what it should be")
    for event in cursor["pending"]:
        is_event = isinstance(event, dict) and is_event_id(event.get("id")) and event.get("kind") in KINDS
        if not is_event or not isinstance(event.get("status"), str):
            raise corrupt("one of its events is none")
    return without_signature(cursor)


def _is_path(path: str) -> bool:
    """Return whether a record, an approval or a run may be there: a cursor is data, and does not say which files to open."""
    host, *others = path.split("/")
    names = others if path.startswith((APPROVALS, WORKFLOWS)) else (host, *others)
    return len(others) == 2 and all(name and not name.startswith(".") for name in names) and not _NO_TEXT.search(path)


def check_cursor(document: bytes, path: str, *, where: str) -> Cursor:
    """Return the cursor that belongs to a path.

    :raises AsyncJobError: if it is something else, with the reason
    """
    name = decode(path.split("/")[1])
    if name is None:  # too long to be in its path: it says it itself
        try:
            name = str(read_plain(document.decode("utf-8"))["cursor"])
        except (ValueError, RecursionError, TypeError, KeyError):
            name = ""
    cursor = parse_cursor(document, name, where=where)
    if cursor_path(name) != path:
        raise AsyncJobError(f"The cursor {where} is not where it belongs: it is that of {name!r}. Nothing was changed. Remove it.")
    return cursor


def see(store: Store, known: t.Collection[str], others: t.Mapping[str, Reader]) -> Seen:
    """Return what all records and approvals of a store tell.

    :arg known: the paths of those that were there before. One that a list does not have is there all the same, unless its store says that
        it is not: a list that is made while others write may lack some
    :arg others: what else there is to read, by what the paths of it begin with
    """
    readers: dict[str, Reader] = {APPROVALS: _told_of_approval, **others}
    documents: dict[str, list[Phase]] = {}
    unreadable = []
    answered = set()
    unread: set[str] = set()

    def take(entry: Entry) -> None:
        where = store.locate(entry.path)
        read = next((read for prefix, read in readers.items() if entry.path.startswith(prefix)), None)
        try:
            if read is None:
                record, _version = record_of(store, entry)
                documents[entry.path] = phases_of_job(record, where)
                if record.get("status", "running") not in CLAIMED:
                    answered.add(record["job_name"])
            elif entry.document is None:
                raise entry.error or AsyncJobError(f"The document {where} cannot be read.")
            else:
                documents[entry.path], answer = read(entry.document.content, entry.path, where)
                if answer:
                    answered.add(answer)
        except AsyncJobError as error:
            unreadable.append(str(error))
            unread.add(entry.path)

    for prefix in ("", *readers):
        for entry in store.entries(prefix):
            take(entry)
    for path in () if unreadable else sorted({*known} - documents.keys()):
        try:
            document = store.read(path)
        except AsyncJobError as error:
            unreadable.append(str(error))
            break
        if document is not None:
            take(Entry(path, document, None))
    return Seen(documents, unreadable, answered, unread)


def phases_of_job(record: Record, where: str) -> list[Phase]:
    """Return the attempts of a job that have begun. A claim can be taken back, and so is none.

    :arg where: the place of the record
    """
    phases = []
    # Of an older record, which has not said what became of it, nothing is known but that it was started.
    for attempt in (*record.get("attempts", ()), record):
        status = attempt.get("status", "running")
        if status in CLAIMED or status not in STATUSES:
            continue
        job_id = attempt.get("ansible_job_id")
        # Without a job id, its directory may go before its end is known: it is that of an action that does its work itself.
        identity = (attempt.get("attempt_dir") or job_id) if job_id else attempt.get("start", "")
        result: t.Any = attempt.get("result") if attempt is record else attempt
        start = attempt.get("start") or record.get("save_time", "")
        number = attempt.get("attempt", 1)
        about = {
            "kind": JOB,
            **picked(record, ("host", "playbook_name", "job_name")),
            **picked(attempt, ("who",)),
            "attempt": number,
            "start": start,
            "state_file": where,
        }
        steps = []
        if status != "running" and job_id:
            steps.append(Step("running", {**about, "time": start}))
        if status == "running":
            steps.append(Step(status, {**about, "time": start}))
        else:
            end = attempt.get("end") or record.get("save_time", "")
            rc = result.get("rc") if isinstance(result, dict) else None
            steps.append(Step(status, {**about, **picked(attempt, ("reason", "end", "end_noticed")), "rc": rc, "time": end}))
        phases.append(Phase(number, str(identity), steps))
    return phases


def _told_of_approval(document: bytes, path: str, where: str) -> tuple[list[Phase], str]:
    return phases_of_approval(check_approval(document, path, where=where), where), ""


def phases_of_approval(approval: Approval, where: str) -> list[Phase]:
    """Return the requests for an approval, each with what was decided.

    :arg where: the place of the approval
    """
    phases: list[Phase] = []
    names = picked(t.cast("Record", approval), ("playbook_name", "approval_name"))
    for one in approval["history"]:
        if not isinstance(one, dict) or not isinstance(one.get("event"), str):
            continue
        if one["event"] == "requested" or not phases:
            phases.append(Phase(len(phases) + 1, str(one.get("request_id") or one.get("at", "")), []))
        about = {
            "kind": APPROVAL,
            **names,
            **picked(one, ("subject", "reason", "expires")),
            "who": one.get("by", ""),
            "attempt": len(phases),
            "time": one.get("at", ""),
            "state_file": where,
        }
        if phases[-1].steps:
            about["subject"] = phases[-1].steps[0].about.get("subject", "")
        phases[-1].steps.append(Step(one["event"], about))
    if phases and status_of(approval) == "expired":
        last = phases[-1].steps[-1].about
        phases[-1].steps.append(Step("expired", {**last, "who": "", "reason": "", "time": approval["expires"]}))
    return phases


def advance(
    cursor: Cursor, seen: Seen, *, wanted: t.Callable[[Event], bool] = lambda event: True, most: int | None = None
) -> tuple[Cursor, list[Event], list[Lost]]:
    """Return the cursor after a look, what has changed since the one before, in the order in which it happened, and what was lost between
    the two, wanted or not.

    :arg wanted: which changes to return
    :arg most: how many there may be of these, or a few more. What has happened in other documents is as unknown as before. None means all
    """
    told = {}
    lost = []
    news: list[tuple[str, str, dict[str, t.Any], list[tuple[str, Event]], Lost | None]] = []
    for path, phases in seen.documents.items():
        if phases:
            known, of_path, missed = _changes(path, phases, cursor["seen"].get(path))
            latest = ""
            timed = []
            for event in of_path:  # whatever clocks have said, a document knows the order of its own
                latest = max(latest, str(event["time"]))
                if wanted(event):
                    timed.append((latest, event))
            news.append((timed[0][0] if timed else "", path, known, timed, Lost(of_path[0], missed) if missed and of_path else None))
        elif path in cursor["seen"]:  # it is being started for the second time
            told[path] = cursor["seen"][path]
    found: list[tuple[str, Event]] = []
    for _time, path, known, timed, of_path_lost in sorted(news, key=lambda one: one[0]):
        if not timed or most is None or len(found) < most:
            told[path] = known
            found += timed
            lost += [of_path_lost] if of_path_lost else []
        elif path in cursor["seen"]:
            told[path] = cursor["seen"][path]
    if seen.unreadable:  # what is not seen may be there all the same
        told = {**cursor["seen"], **told}
    return {**cursor, "seen": told}, [event for _time, event in sorted(found, key=lambda one: one[0])], lost


def passed_over(cursor: Cursor, seen: Seen, where: str) -> Cursor:
    """Return a cursor that has just begun, to which all is old that there is. What nobody can read yet, is so, too.

    :arg where: the place of the cursor
    :raises AsyncJobError: if nobody can tell what there is
    """
    if not all(map(_is_path, seen.unread)):
        raise AsyncJobError(
            f"{' '.join(seen.unreadable[:3])} The cursor {where} is new, and what has happened there before could not be told from what"
            " happens from now on. No event was told. See to that, then start the rulebook anew; or give 'begin: all'."
        )
    unread = {path: {"number": 0, "phase": _OLD, "told": []} for path in seen.unread}
    return {**cursor, "seen": {**cursor["seen"], **unread}}


def _changes(path: str, phases: list[Phase], before: dict[str, t.Any] | None) -> tuple[dict[str, t.Any], list[Event], int]:
    """Return what the cursor says of a document from now on, what is to be told of it, and how many phases nobody can tell any more."""
    ids = [_id(path, str(phase.number), phase.identity) for phase in phases]
    known = -1
    missed = 0
    if before is not None and before["phase"] == _OLD:
        return {"number": phases[-1].number, "phase": ids[-1], "told": [step.status for step in phases[-1].steps]}, [], 0
    if before is not None and before["phase"] in ids:
        known = ids.index(before["phase"])
    elif before is not None:  # its history does not reach so far, unless it was forgotten and made anew
        missed = max(phases[0].number - before["number"] - 1, 0)
    changes = []
    for index in range(max(known, 0), len(phases)):
        done = before["told"] if before is not None and index == known else []
        for step in phases[index].steps:
            if step.status not in done:
                about = {"id": _id(ids[index], step.status), "status": step.status, **step.about}
                # A cursor has to hold it, however long the texts of a record are.
                cut = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in about.items()}
                changes.append(cut)
    last = phases[-1]
    earlier = before["told"] if before is not None and known == len(phases) - 1 else []
    statuses = [*earlier, *(step.status for step in last.steps if step.status not in earlier)]
    return {"number": last.number, "phase": ids[-1], "told": statuses}, changes, missed


def _id(*parts: str) -> str:
    """Return the same id for the same parts, always."""
    text = json.dumps(parts, ensure_ascii=True)
    return str(uuid.uuid5(_NAMESPACE, text))


def is_event_id(text: t.Any) -> bool:
    """Return whether a text is an id as events have them: a UUID that was made of names."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text) is not None


def for_rulebook(event: Event) -> Event:
    """Return an event as a rulebook may have it. What it holds is data, and nothing in it is run.

    What C(ansible-rulebook) hands to a playbook are extra variables, in which Ansible looks for templates. So a text that has the marks of
    one is left out, and C(withheld) names it. So is one that becomes something else than a text, or another one, where it is read as a
    literal of Python: C(ansible-rulebook) does that with what its own templates yield, such as C("{{ event.reason }}").
    """
    told: Event = {}
    withheld = []
    for name in _TEXTS:
        value = event.get(name, "")
        text = value[:_LONGEST] if isinstance(value, str) else ""
        if TEMPLATE.search(text) or _NO_TEXT.search(text) or _may_be_more(text) or (name == "host" and text and not is_host_name(text)):
            withheld.append(name)
            text = ""
        told[name] = text
    for name in _NUMBERS:
        value = event.get(name)
        told[name] = value if isinstance(value, int) and not isinstance(value, bool) else None
    return {**told, "end_noticed": event.get("end_noticed") is True, "withheld": withheld}


def _may_be_more(text: str) -> bool:
    """Return whether a text may have the marks of a template once it was read as a literal of Python, or as a part of one; or is one of
    something else than a number."""
    if _MARKS.search(text) or _MARKS.search(_ESCAPE.sub(_character, text)):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none
            return not isinstance(ast.literal_eval(text.strip()), (int, float, type(None)))
    except (SyntaxError, ValueError):
        return False
    except (MemoryError, RecursionError, TypeError):  # whoever reads it, fails
        return True


def _character(found: re.Match[str]) -> str:
    code = int(found.group(4), 8) if found.group(4) else int(found.group(1) or found.group(2) or found.group(3), 16)
    return chr(code) if code <= sys.maxunicode else ""
