# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All tests run against the collection as users install it: built into an artifact, installed, then used."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from controller import Controller, build_and_install  # noqa: E402

_ENVIRONMENT = "RSTYCZYNSKI_ANSIBLE_TEST_COLLECTIONS"
_installed: list[tempfile.TemporaryDirectory[str]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Install the collection once for this run, however many workers it has."""
    if _ENVIRONMENT not in os.environ:
        _installed.append(tempfile.TemporaryDirectory(prefix="collections-"))
        os.environ[_ENVIRONMENT] = _installed[0].name
        build_and_install(ROOT, Path(_installed[0].name))
    sys.path.insert(0, os.environ[_ENVIRONMENT])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what was installed for this run."""
    for directory in _installed:
        directory.cleanup()
        del os.environ[_ENVIRONMENT]


@pytest.fixture(scope="session")
def collections() -> Path:
    """The directory that the collection is installed in, for ANSIBLE_COLLECTIONS_PATH."""
    return Path(os.environ[_ENVIRONMENT])


@pytest.fixture
def controller(tmp_path: Path, collections: Path) -> Controller:
    """A controller with a home directory and a project directory of its own."""
    return Controller(tmp_path, collections)
