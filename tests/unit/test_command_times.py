# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The times that a command module notes in its result, which are those of the host, and may be anything."""

from __future__ import annotations

import datetime
import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.results_file import duration, local_time


def test_times_of_a_command() -> None:
    """As str() of Python's datetime writes them."""
    start, end = datetime.datetime(2026, 2, 28, 23, 59, 59, 500_000), datetime.datetime(2026, 3, 1, 0, 0, 1, 250_000)
    assert duration({"start": str(start), "end": str(end)}) == 1.75
    assert local_time(str(start)) == start.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        [],
        "",
        "2026-02-28",
        "2026-02-28 23:59:59",
        "2026-02-28 23:59:59.5",
        "2026-02-30 23:59:59.500000",
        "2026-02-28 24:59:59.500000",
        "2026-02-28 23:59:59.500000\n",
        "٢026-02-28 23:59:59.500000",
        "0000-00-00 00:00:00.000000",
    ],
    ids=repr,
)
def test_what_is_no_time(text: t.Any) -> None:
    assert local_time(text) is None
    assert duration({"start": text, "end": "2026-03-01 00:00:01.250000"}) is None
