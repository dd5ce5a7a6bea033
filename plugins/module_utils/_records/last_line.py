# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line about a job ends with: the last line that it has said, or why it is what it is, and whether that is too old to be believed.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import is_overdue, is_unseen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import BY_ITSELF
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import in_words, last_line_of, lines_of

UNSEEN = "nobody has looked since it was saved"
OVERDUE = "limit passed, nobody has looked: verify"

# As Ansible writes why it ends, and what it only remarks. Behind an error, it shows where in a file that is.
_ERROR = re.compile(r"^\[?(ERROR|FATAL)\b\]?[:!]?\s*", re.IGNORECASE)
_WARNING = re.compile(r"\[?(DEPRECATION )?WARNING\b")
# What Ansible says of any command with a return code.
_SAYS_NOTHING = "non-zero return code"
_LONGEST_REASON = 300


def hint(record: Record, now: float) -> str:
    """Return why a status is not to be believed as it stands, or what else there is to say of a job that runs. Empty if there is nothing.

    :arg now: in seconds since the epoch
    """
    if is_overdue(record, now):
        return OVERDUE
    if is_unseen(record):
        return UNSEEN
    return reason_of(record, record) if record.get("status", "running") == "running" else ""


def last_line(record: Record) -> str:
    """Return the last line that a job has said, as far as the record knows; of one that did not end by itself, what happened to it."""
    status, result = record.get("status", "running"), record.get("result")
    said = ""
    if record.get("no_log"):
        pass
    elif status == "running":
        said = str(record.get("last_line", ""))
    elif status in BY_ITSELF and isinstance(result, dict):
        streams = ("stderr", "stdout") if status == "failed" else ("stdout", "stderr")
        # Whoever has looked without keeping its output has kept its last line.
        said = next((str(text) for text in (*map(result.get, streams), record.get("last_line"), result.get("msg")) if text), "")
    return in_words(last_line_of(said)) or ("" if status == "running" else last_line_of(reason_of(record, record)))


def why_failed(record: Record, hidden: t.Callable[[str], str]) -> str:
    """Return the line by which a job that has failed says why, as far as its record knows: its last error, else the last line that says
    something. Empty if there is none, or nobody may read it. It is harmless, and short.

    :arg hidden: what hides the secrets in a text. It is given whole streams, before anything is cut
    """
    result = record.get("result")
    if record.get("status") != "failed" or record.get("no_log") or not isinstance(result, dict):
        return ""
    lines = [line.strip() for stream in ("stdout", "stderr") for line in lines_of(hidden(str(result.get(stream) or "")))]
    telling = [line for line in lines if any(map(str.isalnum, line)) and not _WARNING.match(line)]
    errors = [_ERROR.sub("", line, count=1) or line for line in telling if _ERROR.match(line)]
    msg = hidden(str(result.get("msg") or ""))
    line = in_words((errors or telling or [""])[-1]) or ("" if msg == _SAYS_NOTHING else last_line_of(msg))
    return line if len(line) <= _LONGEST_REASON else "\N{HORIZONTAL ELLIPSIS}" + line[-_LONGEST_REASON:]


def reason_of(record: Record, attempt: t.Mapping[str, t.Any]) -> str:
    """Return why an attempt of a job is what it is, less the names of the job and its host, which are beside it."""
    reason = str(attempt.get("reason") or "")
    label = f"job {record.get('job_name')!r} on {record.get('host')}"
    if reason.startswith(f"{label} "):
        return reason[len(label) + 1 :]
    return reason.replace(f" of {label} ", " ").replace(f" of {label}:", " of it:")


def last_words(record: Record, now: float) -> str:
    """Return the hint and the last line, as far as there are such.

    :arg now: in seconds since the epoch
    """
    warning, line = hint(record, now), last_line(record)
    return f"{warning}; last: {line}" if warning and line else warning or line
