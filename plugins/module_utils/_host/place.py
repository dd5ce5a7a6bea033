# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a job lives: on which machine, in which boot of it, in which container, on which disk.

A name proves nothing: it may lead to another machine today. Where the processes of a job cannot be, that none is seen means nothing, and
where its disk is not mounted, that there is no file. Whoever starts a job notes its place, and whoever looks compares.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _clock
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import boot_id
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.safely import directory_of

FIELDS = ("machine_id", "nodename", "boot_id", "pid_namespace", "pid_1_start", "time", "up", "directory", "mount")

PLACE_FILE = ".async_job"
"""In the directory that holds those of attempts. It says which directory this is, so that another one by its name is told from it."""

SALT = "rstyczynski.ansible.async_job"
"""What is hashed together with the id of a machine, which must not be told (machine-id(5)). The hash tells two machines apart as well."""

Place = t.Dict[str, t.Any]
"""C(machine_id), a hash of that; C(nodename), as in uname(2); C(boot_id); C(pid_namespace); C(pid_1_start), of process 1, in ticks since
the boot; C(time), when it was noted, by the clock of the host, in seconds since the epoch; C(up), when the start was prepared, in seconds
since the boot, 0 if that was another one; C(directory), what PLACE_FILE says; C(mount), the mount point of the file system of that
directory. What cannot be known is empty."""

# Clocks and the time of the boot are read one after the other, in seconds.
_SLACK = 2.0


def here() -> Place:
    """Return the place that we are in."""
    return {
        "machine_id": _machine_id(),
        "nodename": os.uname().nodename,
        "boot_id": boot_id(),
        "pid_namespace": namespace_of("self"),
        "pid_1_start": _start_of_first(),
        "time": int(time.time()),
        "up": 0,
    }


def elsewhere(noted: Place, found: Place, booted: float) -> str:
    """Return why the place of a job is not the one that was found. Empty if nothing says so.

    :arg booted: when the host that was found was booted, in seconds since the epoch, by its own clock; 0 if nobody knows
    """

    def differ(*names: str) -> bool:
        return any(noted.get(name) and found.get(name) and noted[name] != found[name] for name in names)

    names = f" ({noted.get('nodename')}; this is {found.get('nodename')})"
    if noted.get("boot_id") and noted["boot_id"] == found.get("boot_id"):
        if differ("pid_namespace", "pid_1_start"):
            return f"it was started in another container, or before this one was started anew{names}"
        return ""
    if differ("machine_id", "nodename"):
        return f"it was started on another machine{names}"
    if differ("boot_id") and booted and noted.get("time", 0) > booted + _SLACK:
        return (
            f"it was started on another machine, or a clock was changed: at {_clock.utc(noted['time'])}, in another boot; this one has"
            f" been up since {_clock.utc(booted)}{names}"
        )
    return ""


def gone(noted: Place, directory: str) -> str:
    """Return what has become of the directory that held those of attempts: empty if it is there, else C(removed), or C(not mounted)."""
    if not noted.get("directory"):
        return ""
    with contextlib.suppress(OSError), directory_of(directory) as opened:
        if opened.read(PLACE_FILE, 64)[0].decode("ascii", "replace").strip() == noted["directory"]:
            return ""
    return "removed" if noted.get("mount") and mount_point(directory) == noted["mount"] else "not mounted"


def nearest(path: str) -> str:
    """Return the directory that there is, and that something is in or would be."""
    while not os.path.isdir(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def mount_point(directory: str) -> str:
    """Return where the file system is mounted that a directory is in, or would be. Empty if nobody knows."""
    directory = nearest(directory)
    try:
        # As the start of a job has asked. Not AnsibleModule.run_command: this is no module.
        done = subprocess.run(["df", "-P", directory], stdout=subprocess.PIPE, timeout=10, check=False)  # pylint: disable=ansible-bad-function
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(r"\n.*?(?: +[\d-]+){3} +[\d-]+%? +(/.*)\n", done.stdout.decode("utf-8", "surrogateescape"))
    return match.group(1) if match else ""


def _machine_id() -> str:
    try:
        with open("/etc/machine-id", "rb") as file:
            content = file.read(64).strip()
    except OSError:
        return ""
    return hashlib.sha256(content + SALT.encode()).hexdigest()[:32] if content else ""


def namespace_of(pid: int | str) -> str:
    """Return the PID namespace of a process. Empty if we may not know it, or the system has none."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _start_of_first() -> str:
    try:
        with open("/proc/1/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (IndexError, OSError):  # hidden from us
        return ""
