# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All tests run against the collection as users install it: built into an artifact, installed, then used."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

pytest.register_assert_rewrite("controller", "faults", "plays", "store_contract", "waiting")

import faults  # noqa: E402
from controller import Controller, build_and_install  # noqa: E402
from hosts import Hosts, obstacle  # noqa: E402
from missing import do_without  # noqa: E402
from torture import TORTURE  # noqa: E402

_ENVIRONMENT = "RSTYCZYNSKI_ANSIBLE_TEST_COLLECTIONS"
_NO_HOSTS = "no managed hosts: "
_installed: list[tempfile.TemporaryDirectory[str]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Install the collection once for this run, however many workers it has."""
    if _ENVIRONMENT not in os.environ:
        _installed.append(tempfile.TemporaryDirectory(prefix="collections-"))
        os.environ[_ENVIRONMENT] = _installed[0].name
        build_and_install(ROOT, Path(_installed[0].name))
    sys.path.insert(0, os.environ[_ENVIRONMENT])
    config.pluginmanager.register(faults, "faults")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only C(make torture) plays. Let those that take minutes come first, so that no worker is left alone with one."""
    if not TORTURE:
        played = [item for item in items if item.get_closest_marker("torture") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in played])
        items[:] = played
    items.sort(key=lambda item: not item.path.name.startswith(("test_controllers", "test_fault_table")))


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


@pytest.fixture
def ledger(controller: Controller) -> Path:
    """Where jobs write that they were executed."""
    return controller.project / "ledger"


@pytest.fixture
def state_dir(controller: Controller) -> Path:
    """The default store, with a few jobs."""
    from fleet import a_few_jobs  # it needs the collection, which was not installed when this file was loaded

    a_few_jobs(controller.state_dir)
    return controller.state_dir


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Two managed hosts for this worker."""
    if obstacle():
        do_without(_NO_HOSTS + obstacle())
    with Hosts(2, tmp_path_factory.mktemp("hosts")) as hosts:
        yield hosts


@pytest.fixture
def hosts(rig: Hosts) -> Iterator[Hosts]:
    """Two managed hosts, whole and new at the beginning of each test."""
    yield rig
    rig.renew(*rig.names)


@pytest.fixture
def scene(hosts: Hosts, controller: Controller, request: pytest.FixtureRequest) -> faults.Scene:
    """Two hosts, and a controller that may do everything there."""
    return faults.Scene(hosts, controller, request.node.user_properties)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say at the very end what was left out for want of managed hosts. Skipped tests are easily overlooked."""
    yield
    left_out = [report for report in terminalreporter.stats.get("skipped", []) if _NO_HOSTS in str(report.longrepr)]
    if left_out:
        terminalreporter.section("left out for want of managed hosts", bold=True, yellow=True)
        for report in left_out:
            terminalreporter.write_line(report.nodeid)
        terminalreporter.write_line(f"Tests that did not run: {len(left_out)}. {obstacle()}", bold=True, yellow=True)
