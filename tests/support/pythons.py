# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python interpreters of this machine: those on the PATH, and those that pyenv has."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

VERSIONS = tuple(f"3.{minor}" for minor in range(15, 6, -1))


def directories() -> list[Path]:
    """Say where to look for interpreters. The shims of pyenv answer only for some of its versions, so they are left out."""
    on_path = [Path(directory) for directory in os.environ["PATH"].split(os.pathsep)]
    if not shutil.which("pyenv"):
        return on_path
    root = Path(subprocess.run(["pyenv", "root"], check=True, capture_output=True, text=True).stdout.strip())
    return [*(directory for directory in on_path if directory != root / "shims"), *sorted(root.glob("versions/*/bin"))]


def pythons() -> dict[str, Path]:
    """Return the interpreter of each version that is here."""
    found: dict[str, Path] = {}
    for directory in directories():
        for version in VERSIONS:
            if os.access(directory / f"python{version}", os.X_OK):
                found.setdefault(version, directory / f"python{version}")
    return found
