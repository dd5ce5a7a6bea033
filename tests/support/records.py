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


def ago(*, since: datetime.datetime | None = None, **length: float) -> str:
    """Return a time of a record: so long before another one, or before now."""
    return ((since or datetime.datetime.now(datetime.timezone.utc)) - datetime.timedelta(**length)).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(
    directory: Path, name: str = "job", host: str = "web1", playbook: str = "Nightly", *, content: bytes | None = None, **fields: t.Any
) -> Path:
    """Write a record into a store.

    :arg content: to be there instead of a record
    :arg fields: of the record; None leaves one out
    """
    file = directory / JobKey(host, playbook, name).path
    file.parent.mkdir(parents=True, exist_ok=True)
    names = {"job_name": name, "host": host, "playbook_name": playbook}
    record = {**names, "ansible_job_id": "j1.1", "metadata": {}, "save_time": ago(seconds=5), **fields}
    kept = {field: value for field, value in record.items() if value is not None}
    file.write_bytes(json.dumps(kept).encode() if content is None else content)
    return file
