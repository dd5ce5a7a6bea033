# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report of many jobs, as one HTML document that needs nothing else.

What records hold reaches the page as JSON, in elements that no browser runs, and is put in place as text. The policy of the
document lets no other script run than the one of the report, and nothing be fetched. Page, style and script are files beside this one.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import base64
import collections
import datetime
import hashlib
import html
import json
import pkgutil
import string
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import age
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ara import is_ara_playbook
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.last_line import last_words, reason_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.runs import SIGNS, shown_runs
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import Run

# What stands for a status where there is no room for its name. In the order of the summary: what needs somebody comes first.
_LETTERS = {
    "failed": "F",
    "killed": "K",
    "timed_out": "T",
    "lost": "L",
    "orphaned": "O",
    "starting": "S",
    "prepared": "P",
    "running": "R",
    "cancelled": "C",
    "succeeded": "\N{CHECK MARK}",
}

# How much of the end of a long text the report holds, in characters.
_TAIL = 4096

# What has a place of its own in the report, and what is for the collection alone.
_SHOWN = ("job_name", "host", "playbook_name", "status", "attempt", "attempts", "metadata", "reason", "result")
_FLOWS_VIEW = '\n<label><input type="radio" name="view" id="as_flows" autocomplete="off"><span>Workflows</span></label>'
_OF_RESULT = ("rc", "msg", "start", "end", "stdout", "stderr", "stdout_lines", "stderr_lines")
_INTERNAL = ("schema_version", "write_id")


def page(
    records: list[Record],
    unreadable: list[dict[str, str]],
    approvals: t.Sequence[dict[str, t.Any]] = (),
    runs: t.Sequence[Run] = (),
    *,
    store: str,
    made: datetime.datetime,
    ara_url: str = "",
    is_whole: bool = True,
) -> str:
    """Make the report, in ASCII.

    :arg records: those that can be read; every field but C(job_name) and C(host) may be missing
    :arg unreadable: those that cannot, each with C(state_file) and C(msg)
    :arg approvals: requests that await approval, as lists have them
    :arg runs: of workflows, the newest first
    :arg store: the place of the store
    :arg made: the time of the report
    :arg ara_url: where ARA is, to link to. Empty if there is none
    :arg is_whole: whether no record of the jobs of runs was left out because of its age
    """
    now = int(made.timestamp())
    script = f"\n{_file('runs.js')}{_file('report.js')}"
    records = sorted(records, key=lambda record: [_text(record.get(name)) for name in ("host", "playbook_name", "job_name")])
    counts = collections.Counter(_status(record) for record in records)
    statuses = sorted(counts, key=lambda status: (status not in _LETTERS, [*_LETTERS, status].index(status), status))
    flows = shown_runs(runs, records, is_whole=is_whole and not unreadable)
    shown = {
        "made": now,
        "letters": _LETTERS,
        "signs": SIGNS,
        "statuses": statuses,
        "jobs": [_row(record, now) for record in records],
        "flows": flows.data,
    }
    document = string.Template(_file("page.html")).substitute(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'",
        store=html.escape(store),
        made=_times.text_of(made),
        at=_times.text_of(made).replace("T", " ").rstrip("Z"),
        jobs=_many(len(records), "job"),
        hosts=_many(len({_text(record.get("host")) for record in records}), "host"),
        summary="\n".join(_chip(index, status, counts[status]) for index, status in enumerate(statuses)),
        share="".join(f'<i data-status="{html.escape(status)}" style="flex-grow:{counts[status]}"></i>' for status in statuses),
        approvals=_approvals(approvals),
        unreadable=_unreadable(unreadable),
        data=_json(shown),
        details="\n".join(_json(_detail(record, now, ara_url)) for record in records),
        runs=f" \N{MIDDLE DOT} {_many(len(runs), 'run')} of {_many(len({run['workflow'] for run in runs}), 'workflow')}" if runs else "",
        flows_view=_FLOWS_VIEW if runs else "",
        run_details="\n".join(map(_json, flows.details)),
        style=f"\n{_file('report.css')}{_file('runs.css')}",
        script=script,
    )
    return document.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _file(name: str) -> str:
    """Return a file that the page is made of, less its first three lines: the copyright notice, which is not for readers of the report.

    :raises AsyncJobError: if it is missing, as it is where Ansible has sent only the Python files of the collection
    """
    try:
        # By Ansible's importer of collections, or whatever else has brought this file here
        content = pkgutil.get_data(__name__, name)
    except OSError:
        content = None
    if content is None:
        raise AsyncJobError(f"The collection is not complete: {name} of the report is missing. Install rstyczynski.ansible anew.")
    return content.decode("utf-8").split("\n", 3)[3]


def _row(record: Record, now: int) -> list[t.Any]:
    """Return the columns of the table, in their order, and the bars of the time line."""
    start = _time(record.get("start"))
    bars = _bars(record, now)
    how_old = age(record, now)
    return [
        *(_text(record.get(name)) for name in ("host", "playbook_name", "job_name")),
        _status(record),
        _number(record.get("attempt", 1)),
        start,
        _took(record, now) if isinstance(start, int) else "",
        "" if how_old == float("inf") else int(how_old),
        _text(record.get("who")),
        last_words(record, now),
        bars,
        reason_of(record, record),
        record.get("end_noticed") is True,
    ]


def _took(attempt: t.Mapping[str, t.Any], now: int) -> int:
    """Return how long an attempt took, or has taken so far, in seconds."""
    return int(_times.run_time(attempt, datetime.datetime.fromtimestamp(now, datetime.timezone.utc)))


def _bars(record: Record, now: int) -> list[list[t.Any]]:
    """Return of each attempt that has a start: its number, when it began and ended, its status, and whether it goes on.

    What has no end goes on until now; or, if it is in the past, until the next one began.
    """
    bars: list[list[t.Any]] = []
    until = now
    attempts = _attempts(record)
    for attempt in reversed(attempts):
        start, end = (_time(attempt.get(name)) for name in ("start", "end"))
        if isinstance(start, int):
            ended = _status(attempt) in ENDED
            goes_on = attempt is attempts[-1] and not ended and not isinstance(end, int)
            if not isinstance(end, int):
                end = start if ended else until
            # Clocks differ.
            bars.append([_number(attempt.get("attempt", 1)), start, max(end, start), _status(attempt), goes_on])
            until = start
    return bars[::-1]


def _attempts(record: Record) -> list[Fields]:
    """Return all attempts that the record remembers, the current one last."""
    result = record.get("result")
    past = record.get("attempts")
    current: Fields = {**record, "rc": result.get("rc") if isinstance(result, dict) else None}
    return [*(attempt for attempt in (past if isinstance(past, list) else ()) if isinstance(attempt, dict)), current]


def _detail(record: Record, now: int, ara_url: str) -> dict[str, t.Any]:
    """Return what is shown of a job once somebody asks for it."""
    result = record.get("result")
    result = result if isinstance(result, dict) else {}
    secret = record.get("no_log") is True
    ended = {name: result[name] for name in ("rc", "msg", "start", "end") if name in result and not (secret and name == "msg")}
    texts = {name: _text(result.get(name)) for name in ("stdout", "stderr")}
    rest = {name: value for name, value in result.items() if name not in _OF_RESULT}
    texts.update(returned=_pretty(rest), metadata=_pretty(record.get("metadata")))
    fields: t.Mapping[str, object] = record
    return {
        "attempts": [
            [
                _number(attempt.get("attempt", 1)),
                _status(attempt),
                *(_time(attempt.get(name)) for name in ("start", "end")),
                _took(attempt, now) if all(isinstance(_time(attempt.get(name)), int) for name in ("start", "end")) else "",
                attempt.get("end_noticed") is True,
                *(_text(attempt.get(name)) for name in ("rc", "who")),
                reason_of(record, attempt),
            ]
            for attempt in reversed(_attempts(record))
        ],
        "result": [[name, _text(value)] for name, value in ended.items()],
        "links": _links(record, ara_url),
        "secret": secret,
        "texts": [[name, *_tail(text)] for name, text in texts.items() if text and (name == "metadata" or not secret)],
        "fields": [[name, _text(fields[name])] for name in sorted(fields) if name not in (*_SHOWN, *_INTERNAL)],
    }


def _links(record: Record, ara_url: str) -> list[tuple[str, str]]:
    """Return what to link to from a job: the playbooks in ARA that have started it and seen its end, each with its address."""
    noted = record.get("ara_playbook", {})
    if not ara_url or not is_ara_playbook(noted):
        return []
    words = {"started": "Started by playbook", "ended": "Its end was seen by playbook"}
    return [
        (f"{words[role]} {noted[role]['id']} in ARA", f"{ara_url}/playbooks/{noted[role]['id']}.html") for role in words if role in noted
    ]


def _status(record: t.Mapping[str, object]) -> str:
    return _text(record.get("status", "running"))


def _text(value: t.Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(value: t.Any) -> int | str:
    return value if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _pretty(value: t.Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""


def _tail(text: str) -> tuple[str, bool]:
    """Return the end of a text, and whether it is not all of it."""
    return text[-_TAIL:], len(text) > _TAIL


def _time(value: t.Any) -> int | str:
    """Return a time in seconds since the epoch; or what stands in its place, if that is no time."""
    moment = _times.moment(value)
    return _text(value) if moment is None else int(moment.timestamp())


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _chip(index: int, status: str, count: int) -> str:
    """Say how many jobs have a status: a button that filters by it."""
    name = html.escape(status)
    return (
        f'<li><button type="button" class="chip" aria-pressed="false" data-index="{index}">{_swatch(status)}<b>{count:,}</b>'
        f" <bdi>{name}</bdi></button></li>"
    )


def _swatch(status: str) -> str:
    return f'<i class="swatch" data-status="{html.escape(status)}" aria-hidden="true">{_LETTERS.get(status, "?")}</i>'


def _unreadable(unreadable: list[dict[str, str]]) -> str:
    if not unreadable:
        return ""
    lines = "\n".join(
        f"<li><code>{html.escape(_text(line.get('state_file')))}</code><p><bdi>{html.escape(_text(line.get('msg')))}</bdi></p></li>"
        for line in unreadable
    )
    return (
        '<section class="notice unreadable" aria-labelledby="unreadable">'
        f'<h2 id="unreadable">{_many(len(unreadable), "record")} cannot be read</h2>\n<ul tabindex="0">\n{lines}\n</ul></section>'
    )


def _approvals(approvals: t.Sequence[dict[str, t.Any]]) -> str:
    """Say what somebody has to decide on, and what to type."""
    if not approvals:
        return ""
    lines = "\n".join(
        f"<li><p><b><bdi>{_html(approval, 'subject')}</bdi></b> <span>(<bdi>{_html(approval, 'approval_name')}</bdi> of playbook"
        f" <bdi>{_html(approval, 'playbook_name')}</bdi>), asked for by <bdi>{_html(approval, 'asked_by')}</bdi> at"
        f" {_html(approval, 'requested_at')}{_until(approval)}</span></p>"
        + "".join(f"<p>To {what}: <code>{_html(approval, what)}</code></p>" for what in ("approve", "reject") if approval.get(what))
        + "</li>"
        for approval in approvals
    )
    many = "1 request awaits" if len(approvals) == 1 else f"{len(approvals):,} requests await"
    return (
        f'<section class="notice approvals" aria-labelledby="approvals"><h2 id="approvals">{many} approval</h2>'
        f'\n<ul tabindex="0">\n{lines}\n</ul></section>'
    )


def _until(approval: dict[str, t.Any]) -> str:
    return f", until {_html(approval, 'expires')}" if approval.get("expires") else ""


def _html(approval: dict[str, t.Any], field: str) -> str:
    return html.escape(_text(approval.get(field)))


def _json(value: t.Any) -> str:
    """Write JSON that stays what it is in a C(script) element, whatever its strings hold."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("ascii")).digest()).decode("ascii")
