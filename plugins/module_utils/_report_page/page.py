# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report of many jobs, as one HTML document that needs nothing else.

What records hold reaches the page as JSON, in elements that no browser runs, and is put in place as text. The policy of the
document lets no other script run than the one below, and nothing be fetched.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import base64
import collections
import datetime
import hashlib
import html
import json
import re
import string
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED

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
_OF_RESULT = ("rc", "msg", "start", "end", "stdout", "stderr", "stdout_lines", "stderr_lines")
_INTERNAL = ("schema_version", "write_id")


def page(records: list[Record], unreadable: list[dict[str, str]], *, store: str, made: str) -> str:
    """The report, in ASCII.

    :arg records: those that can be read; every field but C(job_name) and C(host) may be missing
    :arg unreadable: those that cannot, each with C(state_file) and C(msg)
    :arg store: the place of the store
    :arg made: the time of the report, ISO 8601, UTC
    """
    now = _seconds(made)
    records = sorted(records, key=lambda record: [_text(record.get(name)) for name in ("host", "playbook_name", "job_name")])
    counts = collections.Counter(_status(record) for record in records)
    statuses = sorted(counts, key=lambda status: (status not in _LETTERS, [*_LETTERS, status].index(status), status))
    shown = {"made": now, "letters": _LETTERS, "statuses": statuses, "jobs": [_row(record, now) for record in records]}
    document = string.Template(_PAGE).substitute(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(_SCRIPT)}'; base-uri 'none'; form-action 'none'",
        store=html.escape(store),
        made=html.escape(made),
        at=datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
        jobs=_many(len(records), "job"),
        hosts=_many(len({_text(record.get("host")) for record in records}), "host"),
        summary="\n".join(_chip(index, status, counts[status]) for index, status in enumerate(statuses)),
        share="".join(f'<i data-status="{html.escape(status)}" style="flex-grow:{counts[status]}"></i>' for status in statuses),
        unreadable=_unreadable(unreadable),
        data=_json(shown),
        details="\n".join(_json(_detail(record)) for record in records),
        style=_STYLE,
        script=_SCRIPT,
    )
    return document.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _row(record: Record, now: int) -> list[t.Any]:
    """The columns of the table, in their order, and the bars of the time line."""
    start = _time(record.get("start"))
    bars = _bars(record, now)
    saved = _time(record.get("save_time"))
    return [
        *(_text(record.get(name)) for name in ("host", "playbook_name", "job_name")),
        _status(record),
        _number(record.get("attempt", 1)),
        start,
        bars[-1][2] - bars[-1][1] if isinstance(start, int) else "",
        max(now - saved, 0) if isinstance(saved, int) else "",
        _text(record.get("who")),
        _text(record.get("reason")),
        bars,
    ]


def _bars(record: Record, now: int) -> list[list[t.Any]]:
    """Of each attempt that has a start: its number, when it began and ended, its status, and whether it goes on.

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


def _attempts(record: Record) -> list[Record]:
    """All attempts that the record remembers, the current one last."""
    result = record.get("result")
    past = record.get("attempts")
    current = {**record, "rc": result.get("rc") if isinstance(result, dict) else None}
    return [*(attempt for attempt in (past if isinstance(past, list) else ()) if isinstance(attempt, dict)), current]


def _detail(record: Record) -> dict[str, t.Any]:
    """What is shown of a job once somebody asks for it."""
    result = record.get("result")
    result = result if isinstance(result, dict) else {}
    secret = record.get("no_log") is True
    ended = {name: result[name] for name in ("rc", "msg", "start", "end") if name in result and not (secret and name == "msg")}
    texts = {name: _text(result.get(name)) for name in ("stdout", "stderr")}
    rest = {name: value for name, value in result.items() if name not in _OF_RESULT}
    texts.update(returned=_pretty(rest), metadata=_pretty(record.get("metadata")))
    return {
        "attempts": [
            [_number(attempt.get("attempt", 1)), _status(attempt), *(_time(attempt.get(name)) for name in ("start", "end"))]
            + [_text(attempt.get(name)) for name in ("rc", "who", "reason")]
            for attempt in reversed(_attempts(record))
        ],
        "result": [[name, _text(value)] for name, value in ended.items()],
        "secret": secret,
        "texts": [[name, *_tail(text)] for name, text in texts.items() if text and (name == "metadata" or not secret)],
        "fields": [[name, _text(record[name])] for name in sorted(record) if name not in (*_SHOWN, *_INTERNAL)],
    }


def _status(record: Record) -> str:
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
    """The end of a text, and whether it is not all of it."""
    return text[-_TAIL:], len(text) > _TAIL


def _time(value: t.Any) -> int | str:
    """A time in seconds since the epoch; or what stands in its place, if that is no time."""
    try:
        return _seconds(value)
    except (TypeError, ValueError):
        return _text(value)


def _seconds(value: str) -> int:
    time = datetime.datetime.fromisoformat(re.sub("Z$", "+00:00", value))
    return int((time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)).timestamp())


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _chip(index: int, status: str, count: int) -> str:
    """How many jobs have a status: a button that filters by it."""
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
        '<section class="unreadable" aria-labelledby="unreadable">'
        f'<h2 id="unreadable">{_many(len(unreadable), "record")} cannot be read</h2>\n<ul tabindex="0">\n{lines}\n</ul></section>'
    )


def _json(value: t.Any) -> str:
    """JSON that stays what it is in a C(script) element, whatever its strings hold."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("ascii")).digest()).decode("ascii")


_PAGE = r"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Jobs in $store, $at UTC</title>
<style>$style</style>
</head>
<body>
<header>
<h1>Background jobs</h1>
<p><code class="store">$store</code></p>
<p class="muted">$jobs on $hosts <span>as of <time datetime="$made">$at UTC</time></span></p>
</header>
<section aria-labelledby="summary">
<h2 id="summary" class="unseen">By status</h2>
<div class="share" aria-hidden="true">$share</div>
<ul class="chips">
$summary
</ul>
<noscript><p class="note">Scripts do not run here, so that there are only these counts.</p></noscript>
</section>
$unreadable
<main id="main" hidden>
<div class="controls" role="search" aria-label="Jobs">
<label class="wide">Search<input type="search" id="text" autocomplete="off" spellcheck="false"
 placeholder="job, host, playbook, status, who, reason"></label>
<label>Host<select id="host" autocomplete="off"></select></label>
<label>Playbook<select id="playbook" autocomplete="off"></select></label>
<fieldset class="views"><legend>View</legend>
<div><label><input type="radio" name="view" id="as_table" autocomplete="off" checked><span>Table</span></label>
<label><input type="radio" name="view" id="as_time" autocomplete="off"><span>Time line</span></label></div>
</fieldset>
</div>
<div class="bar-of-counts"><p id="count" role="status"></p>
<button type="button" id="clear">Clear all filters</button></div>
<div id="table_view">
<table role="table" aria-label="Jobs">
<thead role="rowgroup"><tr role="row" id="head"></tr></thead>
<tbody role="rowgroup" id="rows"></tbody>
</table>
<div id="end"></div>
</div>
<section id="time_view" aria-label="Time line" hidden>
<div class="plot">
<div class="above"><div class="caption"><p id="caption"></p>
<label>Since<select id="range" autocomplete="off"><option value="0">the first attempt</option><option value="7776000">90 days ago</option>
<option value="2592000">30 days ago</option><option value="604800">7 days ago</option><option value="86400">24 hours ago</option>
<option value="21600">6 hours ago</option><option value="3600">1 hour ago</option></select></label></div>
<div class="axis"><div id="axis"></div></div></div>
<div class="grid" id="grid" aria-hidden="true"></div>
<div id="hosts"></div>
</div>
<p class="more"><button type="button" id="more">Show more hosts</button></p>
</section>
</main>
<footer class="muted"><p>A status is as of the last look at the job. The age is how long ago its record was last changed.</p></footer>
<script type="application/json" id="data">$data</script>
<script type="application/json" id="details">$details</script>
<script>$script</script>
</body>
</html>
"""

_STYLE = r"""
:root {
  --back: #f5f6f8; --panel: #fff; --text: #1b2028; --muted: #566070; --line: #d8dde4; --accent: #0a5cb8; --tint: #e8f1fc;
  --edge: #818b98; --warn: #fff6e5; --warn-line: #c98a00; --code: #f3f4f6;
  --green: #1a7f37; --red: #c9212d; --wine: #9b1c66; --amber: #946200; --grey: #59636e; --violet: #7a46d8; --blue: #0969da;
  --label: 13rem; color-scheme: light;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --back: #0c1016; --panel: #151a22; --text: #e4e9f0; --muted: #9ba6b4; --line: #2b323d; --accent: #7ab7ff; --tint: #16273d;
    --edge: #6b7686; --warn: #2a2110; --warn-line: #c98a00; --code: #0f141b; --grey: #66707c; --violet: #8250df; color-scheme: dark;
  }
}
*, ::before, ::after { box-sizing: border-box; }
body { margin: 0 auto; padding: clamp(1rem, 2.5vw, 2.5rem); max-width: 120rem; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; overflow-wrap: anywhere;
  -webkit-text-size-adjust: 100%; font-variant-numeric: tabular-nums; }
h1, h2, h3, p, ul, dl, dd, pre, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -.02em; }
h2 { font-size: 1rem; }
ul { list-style: none; }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
[hidden] { display: none !important; }
.muted { color: var(--muted); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
header, section, .controls { margin-bottom: 1.25rem; }
header .store { color: var(--muted); }
header span { white-space: nowrap; }
footer { margin-top: 1.5rem; font-size: .875rem; }
button, input, select { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

[data-status] { --fill: var(--grey); background-color: var(--fill); color: #fff; --dark: rgb(0 0 0 / .38); }
[data-status="succeeded"] { --fill: var(--green); }
[data-status="failed"] { --fill: var(--red); }
[data-status="killed"] { --fill: var(--wine);
  background-image: repeating-linear-gradient(135deg, var(--dark) 0 3px, transparent 3px 8px); }
[data-status="timed_out"] { --fill: var(--amber);
  background-image: repeating-linear-gradient(90deg, var(--dark) 0 2px, transparent 2px 8px); }
[data-status="lost"] { --fill: var(--grey);
  background-image: radial-gradient(var(--dark) 1.5px, transparent 2px); background-size: 6px 6px; }
[data-status="orphaned"] { --fill: var(--violet);
  background-image: repeating-linear-gradient(45deg, var(--dark) 0 3px, transparent 3px 8px); }
[data-status="cancelled"] { --fill: var(--grey);
  background-image: repeating-linear-gradient(0deg, var(--dark) 0 2px, transparent 2px 6px); }
[data-status="running"] { --fill: var(--blue); }
[data-status="starting"], [data-status="prepared"] { --fill: var(--blue);
  background-image: repeating-linear-gradient(90deg, var(--dark) 0 6px, transparent 6px 12px); }
.swatch { display: inline-grid; place-items: center; flex: none; width: 1.35em; height: 1.35em; border-radius: 4px;
  font: 700 .78em/1 system-ui, sans-serif; text-shadow: 0 0 2px rgb(0 0 0 / .6); print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
.badge { display: inline-flex; align-items: baseline; gap: .45em; white-space: nowrap; max-width: 100%; }
.badge .swatch { position: relative; top: -.15em; }
.badge bdi { overflow: hidden; text-overflow: ellipsis; }

.share { display: flex; gap: 2px; height: 10px; margin-bottom: .75rem; border-radius: 5px; overflow: hidden; }
.share i { flex: 1 1 0; min-width: 4px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.chips { display: flex; flex-wrap: wrap; gap: .5rem; }
.chip { display: inline-flex; align-items: center; gap: .5rem; padding: .4rem .85rem .4rem .55rem; background: var(--panel);
  border: 1px solid var(--edge); border-radius: 8px; text-align: left; }
.chip b { flex: none; font-size: 1.05rem; }
.chip bdi { color: var(--muted); }
.chip:hover, #clear:hover, #more:hover { border-color: var(--accent); }
.chip[aria-pressed="true"] { background: var(--tint); border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
.chip[aria-pressed="true"] bdi { color: var(--text); }
.note { margin-top: .75rem; }
.unreadable { padding: .85rem 1rem; background: var(--warn);
  border: 1px solid var(--warn-line); border-left-width: 5px; border-radius: 8px; }
.unreadable ul { max-height: 18rem; overflow: auto; }
.unreadable li { margin-top: .5rem; }
.unreadable code { font-weight: 600; }
.unreadable p { font-size: .875rem; }

.controls { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: end; margin-bottom: .75rem; }
.controls > label { flex: 1 1 11rem; max-width: 20rem; }
.controls > .wide { flex: 3 1 18rem; max-width: none; }
.controls label, .views legend, .caption label { font-size: .8125rem; color: var(--muted); }
.controls input[type="search"], select { display: block; width: 100%; height: 2.5rem; margin-top: .2rem; padding: 0 .7rem;
  background: var(--panel); border: 1px solid var(--edge); border-radius: 8px; color: var(--text); font-size: .9375rem; }
::placeholder { color: var(--muted); opacity: 1; }
.views legend { padding: 0; margin-bottom: .2rem; }
.views div { display: flex; white-space: nowrap; }
.views label { position: relative; flex: 1; }
.views input { position: absolute; inset: 0; margin: 0; width: 100%; height: 100%; opacity: 0; cursor: pointer; }
.views span { display: grid; place-items: center; height: 2.5rem; padding: 0 1rem; background: var(--panel); color: var(--text);
  border: 1px solid var(--edge); font-size: .9375rem; }
.views label:first-of-type span { border-radius: 8px 0 0 8px; }
.views label:last-of-type span { border-radius: 0 8px 8px 0; margin-left: -1px; }
.views input:checked + span { background: var(--accent); border-color: var(--accent); color: var(--panel); font-weight: 600; }
.views input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
.bar-of-counts { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; min-height: 2.25rem; margin-bottom: .35rem; }
.bar-of-counts p { color: var(--muted); font-size: .875rem; }
#clear, #more { padding: .25rem .75rem; background: var(--panel); border: 1px solid var(--edge); border-radius: 8px; font-size: .875rem; }

table { width: 100%; border-collapse: separate; border-spacing: 0; }
th { text-align: left; }
#table_view > table { table-layout: fixed; background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
  font-size: .875rem; }
#head th { position: sticky; top: 0; z-index: 1; padding: 0; background: var(--panel); border-bottom: 1px solid var(--edge);
  font-weight: 600; }
#head th:first-child { border-top-left-radius: 10px; }
#head th:last-child { border-top-right-radius: 10px; }
#head button { width: 100%; padding: .6rem .65rem; background: none; border: 0; border-radius: 8px; font-weight: 600; text-align: inherit;
  color: var(--muted); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
#head button:hover, #head [aria-sort] button { color: var(--text); }
#head button:focus-visible { outline-offset: -3px; }
#head [aria-sort] button::after { content: " \2191"; }
#head [aria-sort="descending"] button::after { content: " \2193"; }
#rows > tr > td { padding: .5rem .65rem; border-bottom: 1px solid var(--line); vertical-align: top; }
#rows > tr:last-child > td { border-bottom: 0; }
#rows > .job { cursor: pointer; }
#rows > .job:hover > td, #rows > .job.open > td { background: var(--tint); }
#rows > .job.open > td { border-bottom-color: transparent; }
.c0, .c1 { width: 10%; } .c2 { width: 14%; } .c3 { width: 7.8rem; } .c4 { width: 6rem; } .c5 { width: 10.6rem; }
.c6 { width: 7.2rem; } .c7 { width: 4.8rem; } .c8 { width: 9.5%; }
.c4, .c6, .c7 { text-align: right; }
@media (min-width: 100rem) { .c0, .c1 { width: 11.5%; } .c2 { width: 15%; } .c8 { width: 11%; } }
@media screen and (max-width: 88rem) {
  #rows > tr > td, #head button { padding-left: .4rem; padding-right: .4rem; }
  .c3 { width: 7.2rem; } .c4 { width: 5.6rem; } .c5 { width: 9.8rem; } .c6 { width: 6.4rem; } .c7 { width: 4.3rem; }
}
.clamp { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.name { display: flex; gap: .45em; width: 100%; padding: 0; background: none; border: 0; text-align: left; font-weight: 600;
  color: var(--accent); border-radius: 3px; }
.name::before { content: ""; flex: none; width: .42em; height: .42em; margin: .5em .1em 0 0; border: solid; border-width: 0 2px 2px 0;
  transform: rotate(-45deg); }
.name[aria-expanded="true"]::before { transform: rotate(45deg); }
.none { padding: 3rem 1rem !important; text-align: center; color: var(--muted); }

.detail { display: grid; gap: 1.1rem; grid-template-columns: minmax(0, 1fr); padding: .4rem .4rem 1rem; cursor: auto; font-size: .875rem; }
.detail h3 { margin-bottom: .3rem; font-size: .8125rem; color: var(--muted); font-weight: 600; }
.detail pre { max-height: 22rem; overflow: auto; padding: .65rem .8rem; background: var(--code); border: 1px solid var(--line);
  border-radius: 6px; white-space: pre-wrap; unicode-bidi: plaintext; }
.detail dl { display: grid; grid-template-columns: fit-content(min(12rem, 40%)) minmax(0, 1fr); gap: .15rem 1rem; }
.detail dt { color: var(--muted); }
.detail dd { unicode-bidi: plaintext; white-space: pre-wrap; }
.detail summary { cursor: pointer; color: var(--accent); width: fit-content; border-radius: 3px; }
.detail .scroll { overflow-x: auto; }
.detail table { width: auto; min-width: min(100%, 44rem); }
.detail th, .detail td { padding: .25rem 1.25rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
.detail th { color: var(--muted); font-weight: 600; }
.detail td:last-child { white-space: normal; min-width: 14rem; }
@media (min-width: 75rem) { .detail { grid-template-columns: repeat(2, minmax(0, 1fr)); } .detail .all { grid-column: 1 / -1; } }

.plot { position: relative; padding: 0 1rem .75rem; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; }
.above { position: sticky; top: 0; z-index: 3; margin: 0 -1rem; padding: .6rem 1rem 0; background: var(--panel);
  border-radius: 10px 10px 0 0; border-bottom: 1px solid var(--edge); }
.caption { display: flex; gap: 1rem; align-items: center; justify-content: space-between; min-height: 3rem; font-size: .875rem; }
.caption p { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.caption label { flex: none; white-space: nowrap; display: flex; gap: .5rem; align-items: center; }
.caption select { margin: 0; height: 2.25rem; }
.axis { padding-left: var(--label); }
#axis { position: relative; height: 2.4rem; line-height: 1.25; font-size: .75rem; color: var(--muted); overflow: hidden; }
#axis span { position: absolute; bottom: .3rem; padding-left: 5px; white-space: pre; }
.grid { position: absolute; inset: 0 1rem 0 calc(var(--label) + 1rem); overflow: hidden; pointer-events: none; }
.grid i { position: absolute; top: 0; bottom: 0; border-left: 1px solid var(--line); }
.lane-of { position: relative; display: grid; grid-template-columns: var(--label) minmax(0, 1fr); align-items: start;
  padding: .45rem 0; border-bottom: 1px solid var(--line); content-visibility: auto; contain-intrinsic-size: auto 2.4rem; }
.lane-of h3 { padding: .1rem .75rem 0 0; font-size: .875rem; font-weight: 600; }
.lane-of .hint { grid-column: 2; font-size: .8125rem; color: var(--muted); }
.lane-of .detail { grid-column: 1 / -1; margin-top: .5rem; padding: .9rem; background: var(--back); border-radius: 8px; }
.lanes { position: relative; overflow: hidden; }
.bar { position: absolute; height: 22px; min-width: 4px; padding: 0; border: 0; border-radius: 4px; overflow: hidden;
  container-type: inline-size; box-shadow: inset -1px 0 var(--panel);
  text-align: left; font-size: .75rem; line-height: 22px; white-space: nowrap;
  text-shadow: 0 0 2px rgb(0 0 0 / .7), 0 0 1px rgb(0 0 0 / .6); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.bar b { padding-left: 5px; }
@container (max-width: 15px) { .bar > * { display: none; } }
.bar.on { border-top-right-radius: 0; border-bottom-right-radius: 0; border-right: 3px dotted #fff; }
.bar:hover, .bar[aria-expanded="true"] { filter: brightness(1.15); }
.bar:focus-visible { outline-offset: -2px; outline-color: #fff; z-index: 1; box-shadow: inset 0 0 0 4px #000; }
.more { margin-top: .75rem; text-align: center; }

@media screen and (max-width: 74rem) {
  :root { --label: 0px; }
  #table_view > table, #table_view > table > *, #rows > tr { display: block; background: none; border: 0; }
  #head { display: flex; flex-wrap: wrap; gap: .1rem .9rem; margin-bottom: .6rem; }
  #head::before { content: "Sort by"; padding: .25rem 0; color: var(--muted); }
  #head th { position: static; background: none; border: 0; width: auto; }
  #head button { padding: .25rem .1rem; min-height: 1.75rem; }
  #head [aria-sort] button { color: var(--accent); }
  #rows > tr.job, #rows > tr.more-of { padding: .7rem .85rem; background: var(--panel); border: 1px solid var(--line);
    border-radius: 10px; }
  #rows > tr.job { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin-bottom: .6rem; }
  #rows > tr.job.open { margin-bottom: 0; border-bottom: 0; border-radius: 10px 10px 0 0; }
  #rows > tr.more-of { margin-bottom: .6rem; border-top: 0; border-radius: 0 0 10px 10px; }
  #rows > tr > td { padding: 0; border: 0; width: auto; max-width: 100%; background: none !important; text-align: left; }
  #rows > tr > td:empty { display: none; }
  #rows > .job > td::before { content: attr(data-label) " "; color: var(--muted); }
  #rows > .job > .c2, #rows > .job > .c3 { order: -1; }
  #rows > .job > .c2 { flex: 1 1 50%; font-size: 1rem; }
  #rows > .job > .c9 { flex: 1 1 100%; }
  #rows > .job > .c2::before, #rows > .job > .c3::before { content: none; }
  #rows > .job .clamp { display: inline; }
  .lane-of { grid-template-columns: minmax(0, 1fr); gap: .2rem; }
  .lane-of .hint { grid-column: 1; }
  .grid { inset: 0 1rem; }
}
@media screen and (max-width: 40rem) {
  .chips { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .chip { width: 100%; height: 100%; flex-wrap: wrap; align-content: start; gap: .1rem .45rem; padding: .45rem .55rem; }
  .chip b { font-size: 1rem; }
  .chip bdi { flex: 1 1 100%; font-size: .8125rem; }
  .controls > label, .controls > .wide { flex: 1 1 8rem; max-width: none; }
  .controls > .wide, .views { flex: 1 1 100%; }
  .caption { flex-direction: column-reverse; align-items: stretch; gap: .25rem; min-height: 8.2rem; justify-content: flex-end; }
  .caption p { -webkit-line-clamp: 4; }
  .caption label { justify-content: flex-end; }
  .caption select { width: auto; }
}
@page { size: landscape; margin: 10mm; }
@media print {
  html { font-size: 12px; }
  .name::before { display: none; }
  body { padding: 0; font-size: 9pt; --back: #fff; }
  #table_view > table, .detail { font-size: 8pt; }
  #rows > tr > td { padding: .25rem .65rem; }
  .controls, #clear, .more, .caption label { display: none; }
  #head th, .above { position: static; }
  .detail pre { max-height: none; }
  tr, .lane-of { break-inside: avoid; content-visibility: visible; }
}
"""

_SCRIPT = r"""
"use strict";
(() => {
  const HOST = 0, PLAYBOOK = 1, JOB = 2, STATUS = 3, START = 5, WHO = 8, REASON = 9, BARS = 10;
  // How much is put into the page at once, so that it answers at once
  const ROWS = 100, HOSTS = 100, ALL_BARS = 3000, BARS_OF_HOST = 500, LANES = 20, PRINTED = 2000;
  const LANE = 24;
  const $ = (id) => document.getElementById(id);
  const {made, letters, statuses, jobs} = JSON.parse($("data").textContent);
  const ranks = [...Object.keys(letters), ...statuses];
  let details = null;

  // What a job holds goes into the page here, and only as text.
  const element = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    node.append(...children);
    return node;
  };
  const number = new Intl.NumberFormat("en").format;
  const many = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;
  const two = (count) => String(count).padStart(2, "0");
  const time = (value) => typeof value === "number" ? new Date(value * 1000).toISOString().slice(0, 19).replace("T", " ") : value;
  const lasted = (value) => {
    if (typeof value !== "number") return value;
    const days = Math.floor(value / 86400), minutes = Math.floor(value / 60);
    return (days ? `${number(days)} d ` : "") + [Math.floor(value / 3600) % 24, minutes % 60, value % 60].map(two).join(":");
  };
  const ago = (value) => {
    if (typeof value !== "number") return value;
    const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([size]) => value >= size) || [1, "s"];
    return `${number(Math.floor(value / size))} ${unit}`;
  };
  const known = new Map(Object.entries(letters));
  const letter = (status) => known.get(status) || "?";
  const badge = (status) => element("span", {class: "badge"},
    element("i", {class: "swatch", "data-status": status, "aria-hidden": "true"}, letter(status)), element("bdi", {}, status));
  // Names break after their punctuation rather than anywhere.
  const clamped = (value) => element("div", {class: "clamp", dir: "auto"},
    ...value.match(/[^._@/-]*[._@/-]*/g).flatMap((part) => [part, element("wbr", {})]));

  const COLUMNS = [
    ["Host", clamped], ["Playbook", clamped], ["Job"], ["Status", badge], ["Attempt", String],
    ["Started (UTC)", time], ["Duration", lasted], ["Age", ago], ["Who", clamped], ["Reason", clamped],
  ];

  // The table: sorted, filtered, and as much of it as was scrolled to

  const open = new Set();
  let order = jobs.map((_, index) => index), shown = order, rendered = 0;
  let sorting = START, descending = true;
  const keys = [], collator = new Intl.Collator("en", {numeric: true});
  const haystacks = jobs.map((job) => [HOST, PLAYBOOK, JOB, STATUS, WHO, REASON].map((column) => job[column]).join("\n").toLowerCase());

  function keysOf(column) {
    if (!keys[column]) {
      const values = jobs.map((job) => column === STATUS ? ranks.indexOf(job[STATUS]) : job[column]);
      const texts = [...new Set(values.filter((value) => typeof value !== "number"))].sort(collator.compare);
      const places = new Map(texts.map((text, place) => [text, text === "" ? Infinity : 1e12 + place]));
      keys[column] = values.map((value) => typeof value === "number" ? value : places.get(value));
    }
    return keys[column];
  }

  function sort() {
    const key = keysOf(sorting), sign = descending ? -1 : 1;
    // What is missing comes last, either way.
    order = order.slice().sort((a, b) => key[a] === key[b] ? a - b
      : key[a] === Infinity ? 1 : key[b] === Infinity ? -1 : sign * (key[a] - key[b]));
    [...$("head").children].forEach((cell, column) => {
      if (column === sorting) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    filter();
  }

  function filter() {
    const words = $("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(chips.filter(pressed).map((chip) => statuses[chip.dataset.index]));
    const host = $("host").selectedIndex, playbook = $("playbook").selectedIndex;
    shown = order.filter((index) => (!wanted.size || wanted.has(jobs[index][STATUS]))
      && (!host || jobs[index][HOST] === choices[HOST][host - 1])
      && (!playbook || jobs[index][PLAYBOOK] === choices[PLAYBOOK][playbook - 1])
      && words.every((word) => haystacks[index].includes(word)));
    $("clear").hidden = !(words.length || wanted.size || host || playbook);
    const text = shown.length === jobs.length ? many(jobs.length, "job") : `${number(shown.length)} of ${many(jobs.length, "job")}`;
    $("count").textContent = `Showing ${text}`;
    hostsShown = HOSTS;
    draw();
  }

  function draw() {
    $("table_view").hidden = !$("as_table").checked;
    $("time_view").hidden = $("as_table").checked;
    if (!$("as_table").checked) return drawTime();
    rendered = 0;
    $("rows").replaceChildren();
    $("rows").parentNode.setAttribute("aria-rowcount", shown.length + 1);
    if (shown.length) return addRows(ROWS);
    $("rows").append(element("tr", {role: "row"}, element("td", {role: "cell", colspan: COLUMNS.length, class: "none"},
      jobs.length ? "No job fits these filters." : "There are no jobs in this store.")));
  }

  function addRows(count) {
    const rows = document.createDocumentFragment();
    for (const index of shown.slice(rendered, rendered + count)) {
      rows.append(row(index, ++rendered + 1));
      if (open.has(index)) rows.append(below(index));
    }
    $("rows").append(rows);
    // Only a new observation tells once more whether the end is in sight.
    sight.unobserve($("end"));
    if (rendered < shown.length) sight.observe($("end"));
  }

  function row(index, place) {
    const cells = COLUMNS.map(([label, show], column) => {
      const value = jobs[index][column];
      const cell = element("td", {role: "cell", class: "c" + column, "data-label": label});
      if (column === JOB) cell.append(element("button", {type: "button", class: "name", "aria-expanded": open.has(index)}, clamped(value)));
      else if (value !== "") cell.append(show(value));
      return cell;
    });
    const line = element("tr", {role: "row", "aria-rowindex": place, class: open.has(index) ? "job open" : "job"}, ...cells);
    line.index = index;
    return line;
  }

  function below(index) {
    return element("tr", {role: "row", class: "more-of"}, element("td", {role: "cell", colspan: COLUMNS.length}, detail(index)));
  }

  function toggle(line) {
    const opens = !open.delete(line.index);
    if (opens) {
      open.add(line.index);
      line.after(below(line.index));
    } else {
      line.nextElementSibling.remove();
    }
    line.classList.toggle("open", opens);
    line.querySelector(".name").setAttribute("aria-expanded", opens);
  }

  // What is known of one job

  function detail(index) {
    details = details || $("details").textContent.split("\n");
    const {attempts, result, secret, texts, fields} = JSON.parse(details[index]);
    const job = jobs[index];
    const node = element("div", {class: "detail", role: "group", "aria-label": `${job[JOB]} on ${job[HOST]}`});
    const part = (title, content, wide) => node.append(element("div", wide ? {class: "all"} : {}, element("h3", {}, title), content));
    const list = (pairs) => element("dl", {}, ...pairs.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
    if (job[REASON] !== "") part("Reason", element("p", {dir: "auto"}, job[REASON]), true);
    const heads = ["Attempt", "Status", "Started (UTC)", "Ended (UTC)", "Duration", "rc", "Who"];
    if (attempts.slice(1).some((attempt) => attempt[6] !== "")) heads.push("Reason");
    const lines = attempts.map(([attempt, status, start, end, ...rest]) => {
      const took = typeof start === "number" && typeof end === "number" ? lasted(Math.max(end - start, 0)) : "";
      return element("tr", {}, ...[String(attempt), badge(status), time(start), time(end), took, ...rest].slice(0, heads.length)
        .map((cell) => element("td", {dir: "auto"}, cell)));
    });
    part("Attempts", element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "Attempts"}, element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {scope: "col"}, head)))),
      element("tbody", {}, ...lines))), true);
    if (result.length) part("Result", list(result), true);
    if (secret) part("Output", element("p", {}, "The job is under no_log: nothing that it was told or has said is stored."), true);
    for (const [name, text, cut] of texts) {
      part(cut ? `${name} (the end of it)` : name, element("pre", {tabindex: "0", role: "group", "aria-label": name}, text));
    }
    node.append(element("details", {class: "all"}, element("summary", {}, "Other fields of the record"), list(fields)));
    return node;
  }

  // The time line: a group for each host, and in it a lane for each attempt that ran at the same time as others

  let hostsShown = HOSTS, axis = [Infinity, 0];
  const ofBar = new WeakMap();
  const HINT = "Point at a bar to read what it is, or move with the arrow keys. A click or Enter tells all.";

  function drawTime() {
    const range = Number($("range").value), since = range ? made - range : -Infinity, latest = made + 3600;
    const hosts = new Map();
    let from = Infinity, to = -Infinity;
    for (const index of shown) {
      for (const bar of jobs[index][BARS]) {
        if (bar[2] < since || bar[1] > latest) continue;
        const host = jobs[index][HOST];
        if (!hosts.has(host)) hosts.set(host, []);
        hosts.get(host).push([index, ...bar]);
        from = Math.min(from, Math.max(bar[1], since));
        to = Math.max(to, Math.min(bar[2], latest));
      }
    }
    to = Math.max(to, from + 10);
    const groups = document.createDocumentFragment();
    let bars = 0, done = 0;
    for (const [host, all] of hosts) {
      if (done === hostsShown || bars >= ALL_BARS * hostsShown / HOSTS) break;
      done++;
      bars += Math.min(all.length, BARS_OF_HOST);
      groups.append(group(host, all, from, to));
    }
    $("hosts").replaceChildren(groups);
    const first = $("hosts").querySelector(".bar");
    if (first) first.tabIndex = 0;
    axis = [from, to];
    drawAxis(from, to);
    $("caption").textContent = hosts.size ? HINT : "Nothing has run in this time that fits these filters.";
    $("more").hidden = done === hosts.size;
    $("more").textContent = `Show more hosts (${number(done)} of ${number(hosts.size)} are shown)`;
  }

  function group(host, all, from, to) {
    all.sort((a, b) => a[2] - b[2] || a[0] - b[0]);
    const lanes = element("div", {class: "lanes"}), ends = [];
    let crowded = 0;
    for (const [index, attempt, start, end, status, goesOn] of all.slice(-BARS_OF_HOST)) {
      let lane = ends.findIndex((end) => end <= start);
      if (lane < 0) lane = ends.length;
      ends[lane] = Math.max(end, start + 1);
      if (lane >= LANES) {
        crowded++;
        continue;
      }
      const job = jobs[index], left = Math.max(start, from);
      const name = `${job[JOB]} on ${host}, attempt ${attempt}, ${status}, ${time(start)}, ${lasted(end - start)}`;
      const bar = element("button", {type: "button", class: goesOn ? "bar on" : "bar", tabindex: "-1", "data-status": status,
        "aria-label": name, "aria-expanded": "false"}, element("b", {}, letter(status)), " ", element("bdi", {}, job[JOB]));
      bar.style.left = `${Math.min(100 * (left - from) / (to - from), 99.7)}%`;
      bar.style.width = `${100 * (Math.min(end, to) - left) / (to - from)}%`;
      bar.style.top = `${lane * LANE}px`;
      ofBar.set(bar, [index, attempt, start, end, status, goesOn]);
      lanes.append(bar);
    }
    lanes.style.height = `${Math.min(ends.length, LANES) * LANE}px`;
    const node = element("div", {class: "lane-of", role: "group", "aria-label": host}, element("h3", {dir: "auto"}, host), lanes);
    const left = all.length - BARS_OF_HOST;
    if (left > 0) node.append(element("p", {class: "hint"}, `and ${many(left, "attempt")} before these`));
    if (crowded) node.append(element("p", {class: "hint"}, `and ${many(crowded, "attempt")} more at the same time`));
    return node;
  }

  function drawAxis(from, to) {
    $("axis").replaceChildren();
    $("grid").replaceChildren();
    if (from === Infinity) return;
    const most = Math.max($("axis").clientWidth / 70, 2);
    const steps = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 7776000, 31536000];
    const step = steps.find((step) => (to - from) / step <= most) || Math.ceil((to - from) / most);
    let day = "";
    for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) {
      const [date, clock] = time(tick).split(" ");
      const left = `${100 * (tick - from) / (to - from)}%`;
      const text = step >= 86400 ? date : (date === day ? "" : date.slice(5) + "\n") + clock.slice(0, step < 60 ? 8 : 5);
      day = date;
      for (const [place, line] of [["axis", element("span", {}, text)], ["grid", element("i", {})]]) {
        line.style.left = left;
        $(place).append(line);
      }
    }
  }

  function tell(bar) {
    const [index, attempt, start, end, status, goesOn] = ofBar.get(bar);
    const job = jobs[index];
    const until = goesOn ? "now" : time(end).slice(time(start).slice(0, 10) === time(end).slice(0, 10) ? 11 : 0);
    $("caption").replaceChildren(badge(status), " ", element("b", {dir: "auto"}, job[JOB]), " on ", element("bdi", {}, job[HOST]),
      `, attempt ${attempt}, ${lasted(end - start)}, from ${time(start)} until ${until} (UTC), playbook `,
      element("bdi", {}, job[PLAYBOOK]));
  }

  function toggleBar(bar) {
    const group = bar.closest(".lane-of"), opens = bar.getAttribute("aria-expanded") !== "true";
    group.querySelectorAll(".detail").forEach((shown) => shown.remove());
    group.querySelectorAll("[aria-expanded='true']").forEach((other) => other.setAttribute("aria-expanded", "false"));
    bar.setAttribute("aria-expanded", opens);
    if (opens) group.append(detail(ofBar.get(bar)[0]));
  }

  // What people do

  const chips = [...document.querySelectorAll(".chip")];
  const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";
  const choices = [HOST, PLAYBOOK].map((column) => [...new Set(jobs.map((job) => job[column]))].sort());
  for (const [column, id] of [[HOST, "host"], [PLAYBOOK, "playbook"]]) {
    $(id).append(element("option", {}, "all"), ...choices[column].map((name) => element("option", {}, name || "(without a name)")));
    $(id).addEventListener("change", filter);
  }
  COLUMNS.forEach(([label], column) => {
    const button = element("button", {type: "button"}, label);
    button.addEventListener("click", () => {
      descending = sorting === column && !descending;
      sorting = column;
      sort();
    });
    $("head").append(element("th", {role: "columnheader", scope: "col", class: "c" + column}, button));
  });
  const sight = new IntersectionObserver((seen) => {
    if (seen.some((entry) => entry.isIntersecting)) addRows(ROWS);
  }, {rootMargin: "1500px"});
  $("text").addEventListener("input", filter);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", !pressed(chip));
      filter();
    });
  }
  $("clear").addEventListener("click", () => {
    $("text").value = "";
    $("host").selectedIndex = $("playbook").selectedIndex = 0;
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    filter();
    $("text").focus();
  });
  $("rows").addEventListener("click", (event) => {
    const line = event.target.closest("tr.job");
    // Whoever marks text to copy it does not want it to move.
    if (line && (event.target.closest(".name") || getSelection().isCollapsed)) toggle(line);
  });
  for (const id of ["as_table", "as_time", "range"]) $(id).addEventListener("change", draw);
  $("more").addEventListener("click", () => {
    hostsShown += HOSTS;
    drawTime();
  });
  for (const type of ["mouseover", "focusin", "click"]) {
    $("hosts").addEventListener(type, (event) => {
      const bar = event.target.closest(".bar");
      if (bar) tell(bar);
      if (bar && type === "click") toggleBar(bar);
    });
  }
  $("hosts").addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!step || !event.target.matches(".bar")) return;
    const bars = [...$("hosts").querySelectorAll(".bar")], next = bars[bars.indexOf(event.target) + step];
    event.preventDefault();
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  addEventListener("resize", () => drawAxis(...axis));
  addEventListener("beforeprint", () => {
    if ($("as_table").checked) addRows(Math.max(PRINTED - rendered, 0));
  });

  // As far back as the latest attempts of most jobs
  const lately = (option) => jobs.filter((job) => job[BARS].length && job[BARS].at(-1)[2] >= made - option.value).length;
  $("range").value = ([...$("range").options].reverse().find((option) => lately(option) >= jobs.length / 2) || {value: "0"}).value;
  $("main").hidden = false;
  sort();
})();
"""
