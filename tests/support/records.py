# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as users know them, written by hand."""

from __future__ import annotations

import datetime
import json
import typing as t
from pathlib import Path

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey


def ago(**length: float) -> str:
    """A time of a record."""
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(**length)).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(state_dir: Path, name: str, host: str = "web1", playbook: str = "Nightly", **fields: t.Any) -> Path:
    """Write a record the way that users know it."""
    key = JobKey(host, playbook, name)
    names = {"job_name": name, "host": host, "playbook_name": playbook}
    file = state_dir / key.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**names, "ansible_job_id": "j1.1", "metadata": {}, "save_time": ago(seconds=5), **fields}))
    return file
