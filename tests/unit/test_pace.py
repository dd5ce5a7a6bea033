# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a task that waits says how it is going."""

from __future__ import annotations

import itertools

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import Pace


def test_lines_become_rarer() -> None:
    """A look each second for twelve hours: a line with each look at first, one in ten minutes in the end."""
    now = 0.0
    pace = Pace(lambda: now)
    said = []
    for second in range(12 * 3600):
        now = float(second)
        if pace.is_due("job", "running"):
            said.append(second)
    gaps = [later - sooner for sooner, later in itertools.pairwise(said)]
    assert said[:5] == [0, 1, 2, 3, 4]
    assert gaps == sorted(gaps)
    assert max(gaps) == 600
    assert len([second for second in said if second <= 60]) >= 10
    assert len(said) < 150


def test_what_is_new_is_said_at_once() -> None:
    """Of each job by itself."""
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.is_due("a", "prepared")
    now = 1000.0
    assert pace.is_due("a", "running")
    assert pace.is_due("b", "running")
    now = 1001.0
    assert not pace.is_due("a", "running")
    assert pace.is_due("b", "orphaned")
    now = 1260.0
    assert pace.is_due("a", "running")
