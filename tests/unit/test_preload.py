# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is imported and built once, before Ansible forks a worker for each host."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import sys

import pytest

from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _preload, _program
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


def test_whose_worker_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the process that forked it, also when that is gone; and if nobody has noted that, of its parent when this was asked first."""

    class Action:
        BYPASS_HOST_LOOP = Preloading()

    parents = iter([5, 1])
    monkeypatch.setattr(_preload, "_forks", [])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    assert (_preload.playbook(), _preload.playbook()) == (5, 5)
    monkeypatch.setattr(_preload, "_forks", [])
    assert not Action.BYPASS_HOST_LOOP
    assert _preload.playbook() == os.getpid()


def test_programs_are_built_when_a_worker_has_needed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that are forked later have them then. Where all jobs have ended, nobody needs any."""

    class Action:
        BYPASS_HOST_LOOP = Preloading()
        programs = ("_host.start",)

    built: list[str] = []
    monkeypatch.setattr(_program, "without_arguments", built.append)
    monkeypatch.setattr(_preload, "_needed", mmap.mmap(-1, len(_preload._needed)))
    assert not Action.BYPASS_HOST_LOOP
    assert built == []
    worker = multiprocessing.get_context("fork").Process(target=_preload.note_programs)
    worker.start()
    worker.join()
    assert not Action.BYPASS_HOST_LOOP
    assert built == ["_host.start"]
