# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of records and results that nobody could have meant: they cost nobody more than themselves."""

from __future__ import annotations

import datetime
import re
import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import kept_result
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.metrics import metrics

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize("attempt", [10**400, -(10**400), 10**18, -1], ids=lambda number: number.bit_length())
def test_attempts_in_metrics(attempt: int) -> None:
    """Prometheus takes nothing of a file in which one number is none."""
    names = {"host": "h", "playbook_name": "p", "job_name": "j", "ansible_job_id": "j1.1", "metadata": {}}
    record = t.cast(Record, {**names, "attempt": attempt})
    text = metrics([record], NOW)
    [number] = re.findall(r"^async_job_attempts\{.*\} (.*)$", text, re.MULTILINE)
    assert re.fullmatch("[0-9]{1,10}", number)


@pytest.mark.parametrize("code", [10**3900, -(1 << 40), True, "0", 1.5, None], ids=lambda code: type(code).__name__)
def test_return_codes_that_are_none(code: t.Any) -> None:
    """They are not stored, and all else is."""
    assert kept_result({"rc": code, "changed": True}) == {"changed": True}


@pytest.mark.parametrize("code", [0, -9, 255, 3221225786])
def test_return_codes(code: int) -> None:
    """Those of Windows go up to 32 bits."""
    assert kept_result({"rc": code}) == {"rc": code}
