# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a module has failed that has raised an exception, which every release of ansible-core says in another way.

Before 2.19, such a module leaves a traceback on its standard error and no result. From then on, its result has C(exception) and no C(msg),
and in it the message, perhaps with the traceback, of the exception and of those that it was raised from.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

LONGEST = 8192
"""How much of the end of a traceback is kept, in characters."""

# More exceptions than anybody raises from each other
_DEEPEST = 20


def with_cause(result: t.Mapping[str, t.Any], words: str = "") -> dict[str, t.Any]:
    """Return the result of a module that may have raised an exception: its last line as C(msg), if the module has said nothing else, and
    its traceback as text, if there is one.

    :arg words: what the module has said in place of a result. Empty if it has returned one
    """
    found = {name: value for name, value in result.items() if name != "exception"}
    text = words.strip() or _text_of(result.get("exception")).strip()
    last = text.splitlines()[-1].strip() if text else ""
    message = found.get("msg")
    if not text or last == f"Message: {message}":  # no more than from where in its code the module has returned that message
        return found
    if words or not message:
        found["msg"] = last
    if "\n" in text:
        found["exception"] = text[-LONGEST:]
    return found


def _text_of(exception: t.Any) -> str:
    """Return a traceback, or else the message of an exception."""
    if isinstance(exception, str):
        return exception
    message = ""
    event = exception.get("event") if isinstance(exception, dict) else None
    for _depth in range(_DEEPEST):
        if not isinstance(event, dict):
            break
        traceback = event.get("formatted_traceback")
        if isinstance(traceback, str) and not traceback.rstrip().endswith(f"Message: {event.get('msg')}"):
            return traceback
        message = message or str(event.get("msg") or "")
        chain = event.get("chain")
        event = chain.get("event") if isinstance(chain, dict) else None
    return message
