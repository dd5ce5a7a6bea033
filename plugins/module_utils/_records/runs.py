# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of Ansible: which one has done something, and whether that has ended.

A number of a process proves nothing by itself: it is given to others, after a boot, and in each container. So a run is named by its
machine, its boot, its PID namespace, its number and the moment it began; and it has ended only if that is seen from where it was.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.place import here
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_time, find_process
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields

_TEXTS = ("machine_id", "nodename", "boot_id", "pid_namespace")
_NUMBERS = ("time", "pid", "pid_start")
NAMES = (*_TEXTS, "pid", "pid_start")
"""What names a run. Beside these, a record has the C(time) when it was noted, in seconds since the epoch."""

_LONGEST = 256
_MOST = 10**15

# The PID namespace that each boot of Linux begins with (PROC_PID_INIT_INO of its include/linux/proc_ns.h): that of no container.
_FIRST_NAMESPACE = "pid:[4026531836]"
# Clocks and the time of the boot are read one after the other, in seconds.
_SLACK = 2.0


def this_run(pid: int) -> Fields:
    """Return what names a run.

    :arg pid: the process of C(ansible-playbook)
    """
    process = find_process(pid)
    place = here()
    return {**{name: place[name] for name in (*_TEXTS, "time")}, "pid": pid, "pid_start": process.start if process else 0}


def is_run(run: t.Any) -> bool:
    """Return whether this can be what a record says of a run. Other fields may stand beside it."""
    if not isinstance(run, dict):
        return False
    texts = (run.get(name) for name in _TEXTS)
    numbers = (run.get(name) for name in _NUMBERS)
    return all(isinstance(text, str) and text.isprintable() and len(text) <= _LONGEST for text in texts) and all(
        isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number < _MOST for number in numbers
    )


def has_ended(run: t.Mapping[str, t.Any]) -> bool | None:
    """Return whether a run has ended, as far as that can be seen from here. None if it cannot: it was on another machine, or in another
    container."""
    now = here()
    if not run["boot_id"] or not run["pid_start"]:
        return None
    if (run["boot_id"], run["pid_namespace"]) == (now["boot_id"], now["pid_namespace"]):
        process = find_process(int(run["pid"]))
        if process is not None:
            return bool(process.start != run["pid_start"])
        return True if find_process(1) else None  # where others are hidden (hidepid), one that is not seen may be there
    in_no_container = run["pid_namespace"] == now["pid_namespace"] == _FIRST_NAMESPACE
    same_machine = run["machine_id"] and all(run[name] == now[name] for name in ("machine_id", "nodename"))
    booted = boot_time()
    if in_no_container and same_machine and run["boot_id"] != now["boot_id"] and booted and run["time"] < booted - _SLACK:
        return True
    return None
