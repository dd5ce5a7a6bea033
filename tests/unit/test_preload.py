# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is imported once, before Ansible forks a worker for each host."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._preload import Preloading

STORE = "ansible_collections.rstyczynski.ansible.plugins.module_utils._store"


@pytest.mark.parametrize(("chosen", "module"), [("", "filesystem"), ("filesystem", "filesystem"), ("oci", "oci")])
def test_the_store_that_is_chosen(monkeypatch: pytest.MonkeyPatch, chosen: str, module: str) -> None:
    """By the environment, or by default. Otherwise each worker would compile its code anew."""

    class Action:
        BYPASS_HOST_LOOP = Preloading()

    monkeypatch.setenv("ASYNC_JOB_BACKEND", chosen)
    for name in ("filesystem", "oci"):
        monkeypatch.delitem(sys.modules, f"{STORE}.{name}", raising=False)
    assert Action.BYPASS_HOST_LOOP is False
    assert [name for name in ("filesystem", "oci") if f"{STORE}.{name}" in sys.modules] == [module]
