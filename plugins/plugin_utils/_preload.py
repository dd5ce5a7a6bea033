# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do once, in the process that forks Ansible's workers, what each of them would do again.

A store may need a package, such as the SDK of a cloud; and what runs on hosts is put together from several files.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import importlib
import mmap
import os
import sys
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._backends import BACKENDS
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._ansible import keep_printing
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._state_dir import is_purged

_STORE = "ansible_collections.rstyczynski.ansible.plugins.module_utils._store"

# Bytes that the process of ansible-playbook shares with the workers that it forks: a worker has needed this kind of store, or programs.
_needed = mmap.mmap(-1, len(BACKENDS) + 1)
_PROGRAMS = len(BACKENDS)


_forks: list[int] = []
"""The process that forks the workers, as soon as it is known."""


def playbook() -> int:
    """Return the process of ansible-playbook, whose worker this one is: as it was before the fork, or else when this was asked first. A
    worker that has lost it has another parent, and may have many items of a loop before it."""
    if not _forks:
        _forks.append(os.getppid())
    return _forks[0]


def note_need(backend: str) -> None:
    """Remember that a task of this run uses this kind of store."""
    _needed[list(BACKENDS).index(backend)] = 1


def note_programs() -> None:
    """Remember that a task of this run has work for its host. As long as none has, because all jobs have ended, no program is built."""
    _needed[_PROGRAMS] = 1


class Preloading:
    """Imports a kind of store, and its package, if the environment chooses it or a worker has needed it; and builds an action's programs,
    if a worker has needed any.

    Each task of each host has a worker process of its own, and each would compile the code of the store, and spend half a second on the
    SDK of OCI. Ansible asks an action's class for BYPASS_HOST_LOOP in the main process, just before it forks: the one moment that we have
    there.
    """

    def __get__(self, action: object | None, owner: type) -> bool:
        if action is None:
            if not _forks:
                _forks.append(os.getpid())
            keep_printing()
            is_purged(os.getpid())
            if _needed[_PROGRAMS]:
                _build(getattr(owner, "programs", ()))
            chosen = os.environ.get("ASYNC_JOB_BACKEND") or next(iter(BACKENDS))
            for number, (name, backend) in enumerate(BACKENDS.items()):
                if _needed[number] or chosen == name:
                    for module in (f"{_STORE}.{backend.module}", backend.package):
                        if module and module not in sys.modules:
                            import_early(module)
        return False


def _build(programs: t.Iterable[str]) -> None:
    # Compiled when it is needed, as the programs are built then.
    from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import without_arguments

    for entry in programs:
        without_arguments(entry)


def import_early(package: str) -> None:
    """Import a package, if there is one. What is wrong with it is for the store to report, where somebody listens."""
    try:
        importlib.import_module(package)
    except KeyboardInterrupt:
        raise
    except BaseException:  # some raise what is no Exception
        pass
