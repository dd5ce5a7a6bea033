# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hard to try. C(make torture) tries by the hundred what depends on chance, and plays what takes minutes."""

from __future__ import annotations

import os

TORTURE = os.environ.get("TORTURE") == "1"
