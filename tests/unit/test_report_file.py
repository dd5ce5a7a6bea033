# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a report goes: into a file, and in the place of nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules.async_job_report import _write


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    """As root, a rename would replace a device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for dest in (pipe, tmp_path / "link", tmp_path):
        with pytest.raises(AsyncJobError, match=r"^Cannot write .*: it is there, and is no file\. Nothing was written\. Correct dest\.$"):
            _write(str(dest), "report", "html")
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert (tmp_path / "link").is_symlink()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "of_today.html").write_text("old")
    (tmp_path / "jobs.html").symlink_to("of_today.html")
    _write(str(tmp_path / "jobs.html"), "report", "html")
    assert (tmp_path / "jobs.html").is_symlink()
    assert (tmp_path / "of_today.html").read_text() == "report"
    assert stat.S_IMODE((tmp_path / "of_today.html").stat().st_mode) == 0o600


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AsyncJobError, match=rf"there is no directory {tmp_path}/none\. Nothing was written\. Make it, or correct dest\.$"):
        _write(str(tmp_path / "none" / "jobs.html"), "report", "html")
