# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The old name of plays.py, until nobody uses it."""

from plays import Yaml, ask, job, lines, shell, told
from plays import run_tasks as play

__all__ = ["Yaml", "ask", "job", "lines", "play", "shell", "told"]
