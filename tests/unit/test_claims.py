# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long to wait for whoever has claimed a job."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import claim


@pytest.mark.parametrize(("fenced", "more", "seconds"), [(0, 0, 10), (2, 0, 40), (2, 100, 140)])
def test_how_long_to_wait(monkeypatch: pytest.MonkeyPatch, fenced: int, more: int, seconds: int) -> None:
    """The life of a claim doubles with each attempt that was given up. What its work may take does not."""
    now = 0.0
    monkeypatch.setattr(claim.time, "monotonic", lambda: now)
    told: list[str] = []
    elsewhere: t.Any = {"claim": {"boot_id": "another", "who": "bob@ctl", "fenced": fenced}}
    steps = claim.moves(elsewhere, lambda: False, life=10, more=more, notify=told.append)

    def drive() -> None:
        nonlocal now
        while True:
            now += next(steps)

    with pytest.raises(StopIteration) as end:
        drive()
    assert end.value.value is False
    assert now == pytest.approx(seconds)
    assert told[0].startswith("It is being started by bob@ctl. Waiting for at most ")
