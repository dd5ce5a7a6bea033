# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of tests that need what this machine does not have."""

from __future__ import annotations

import os
import typing as t

import pytest


def do_without(reason: str) -> t.NoReturn:
    """Leave out the test that asks, where whoever runs it has said so. Otherwise it fails: a test that is left out unseen is none."""
    (pytest.skip if os.environ.get("ALLOW_MISSING") == "1" else pytest.fail)(reason)
