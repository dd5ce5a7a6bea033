# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the directory of an attempt, on Linux, for the programs that start jobs there.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK


def make_directory(directory: str, mark: str) -> None:
    """Make the directory of an attempt, and say whose it is. There must be nothing by its name, such as a fence.

    The directory above it is entered once: whoever may put links there leads nobody away.
    """
    above, name = os.path.split(directory)
    with _entered(above) as descriptor:
        if os.readlink(f"/proc/self/fd/{descriptor}") != above:
            raise OSError(errno.ELOOP, "a link leads elsewhere", above)
        os.mkdir(name, 0o700, dir_fd=descriptor)
        with _entered(name, dir_fd=descriptor) as inside:
            marking = os.open(MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=inside)
            with open(marking, "w", encoding="utf-8") as file:
                file.write(f"{mark}\n")


@contextlib.contextmanager
def _entered(path: str, dir_fd: int | None = None) -> t.Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def boot_id() -> str:
    """Return what tells this boot of the host from all others. Empty where the system has no such thing."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
