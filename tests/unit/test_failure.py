# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a module has failed, as each release of ansible-core says it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._failure import LONGEST, with_cause
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import kept_result

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nOSError: no disk\n'
SAYS = {"msg": "OSError: no disk", "exception": TRACEBACK.strip()}


def _event(message: str, traceback: str | None = None, chain: t.Any = None) -> dict[str, t.Any]:
    return {"msg": message, "formatted_traceback": traceback, "chain": chain and {"msg_reason": "caused by", "event": chain}}


@pytest.mark.parametrize(
    ("result", "words", "expected"),
    [
        pytest.param({"failed": True}, TRACEBACK, SAYS, id="before 2.19"),
        pytest.param({"msg": "No start of json char found", "data": ""}, TRACEBACK, {**SAYS, "data": ""}, id="by itself"),
        pytest.param({"exception": TRACEBACK}, "", SAYS, id="told by the host"),
        pytest.param({"exception": {"event": _event("no disk", TRACEBACK)}}, "", SAYS, id="from 2.19 on"),
        pytest.param({"exception": {"event": _event("no disk")}}, "", {"msg": "no disk"}, id="without traceback"),
        pytest.param(
            {"msg": "cannot save", "exception": {"event": _event("cannot save", None, _event("no disk", TRACEBACK))}},
            "",
            {**SAYS, "msg": "cannot save"},
            id="what the module itself says stays",
        ),
        pytest.param({"msg": "no", "exception": "Traceback\nMessage: no\n"}, "", {"msg": "no"}, id="where it has returned"),
        pytest.param({"exception": {"event": [1]}}, "", {}, id="odd"),
        pytest.param({"exception": 7}, "", {}, id="odder"),
        pytest.param({"rc": 0}, "", {"rc": 0}, id="none"),
    ],
)
def test_cause(result: dict[str, t.Any], words: str, expected: dict[str, t.Any]) -> None:
    assert {name: value for name, value in with_cause(result, words).items() if name != "failed"} == expected


def test_a_long_one() -> None:
    """Its end counts, which has the exception; the record has no more of it."""
    found = with_cause({"exception": "line\n" * LONGEST + "OSError: no disk"})
    assert len(found["exception"]) == LONGEST
    assert found["exception"].endswith("OSError: no disk")
    assert kept_result(found)["exception"] == found["exception"]
    assert kept_result(found, secret=True) == {}
