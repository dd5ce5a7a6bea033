# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long ago a job ended, or something was asked for, whatever became of clocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.ages import ended_ago, stamp
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import parse_approval, path_of_approval, status_of


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


@pytest.mark.parametrize(
    ("ago", "set_by", "same_boot", "right"),
    [
        (60, -3600, True, "requested"),
        (60, 3600, True, "requested"),
        (660, -3600, True, "expired"),
        (660, 3600, True, "expired"),
        (60, 0, False, "requested"),  # of another controller, there is only what it has written
        (660, 0, False, "expired"),
    ],
)
def test_a_clock_that_was_set_since_an_approval_was_asked_for(tmp_path: Path, ago: int, set_by: int, same_boot: bool, right: str) -> None:
    """Nobody has decided because of that: it expires after its time, by a clock that nobody sets."""
    options = {option: spec.get("default") for option, spec in async_job_approval.ARGUMENT_SPEC.items()}
    options.update(mode="request", name="go", playbook_name="play", subject="goes live", expires_in=600, state_dir=str(tmp_path))
    async_job_approval.run({**options, "backend": "filesystem"}, check_mode=False)
    content = (tmp_path / path_of_approval("play", "go")).read_bytes()
    approval = parse_approval(content, "play", "go", where="here")
    noted = stamp(ago)
    assert approval["asked"].keys() == (noted or {}).keys()
    approval["asked"] = noted if same_boot else {**(noted or {}), "boot_id": "another"}
    approval.update(requested_at=_times.now(ago + set_by), expires=_times.now(ago + set_by - 600))
    assert status_of(approval) == right
