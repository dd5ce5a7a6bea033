# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long ago a job ended, whatever became of the clock of its host."""

from __future__ import annotations

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import ended_ago


@pytest.mark.parametrize(
    ("said", "began", "right"),
    [
        (86400.0, 60.0, 60.0),  # its clock was set forward
        (30.0, 60.0, 30.0),
        (30.0, -3600.0, 30.0),  # another controller, whose clock is ahead, has started it
    ],
)
def test_nothing_ended_before_it_began(said: float, began: float, right: float) -> None:
    assert ended_ago(said, {"start": _times.now(began)}) == pytest.approx(right, abs=2)


def test_nobody_knows_when_it_began() -> None:
    assert ended_ago(30.0, {}) == 30.0
