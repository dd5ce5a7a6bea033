# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else could write or replace records: the owners and modes of a state directory, and of all directories above it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import stat
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import StoreUnavailable

# Whom a container, or a file server, shows for users that it does not know. Above the records, that is root more often than not.
_UNKNOWN_USER = 65534


def check(state_dir: str, *, signed: bool) -> list[str]:
    """Return what to warn the user of. Nothing is made, and what does not exist is nobody's.

    :arg state_dir: an absolute path
    :arg signed: whether only signed records count
    :raises StoreUnavailable: if it is not ours to use
    """
    warnings = []
    if has_own_locks(state_dir, _mounts()):
        raise StoreUnavailable(
            f"The state directory {state_dir} is on a network file system that is mounted without locks (nolock, local_lock): two"
            " controllers could start a job at the same moment. Nothing was read or written. Mount it with locks, or choose another"
            " state_dir."
        )
    for directory in _above(state_dir):
        status = _status(directory)
        if status is not None:
            warnings += _of_parent(directory, status, state_dir)
    status = _status(state_dir)
    if status is not None:
        warnings += [*_of_owner(state_dir, status, signed=signed), *writable(state_dir, status)]
    return warnings


def has_own_locks(state_dir: str, mounts: str) -> bool:
    """Return whether locks in a directory are known to keep away nobody but processes of this machine, though others mount it, too.

    :arg mounts: what proc_pid_mountinfo(5) says
    """
    path = os.path.realpath(state_dir)
    best, found = -1, False
    for line in mounts.splitlines():
        fields, _dash, last = line.partition(" - ")
        kind, _device, options = (*last.split(" ", 2), "", "")[:3]
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), (fields.split(" ") + [""] * 5)[4])
        if point and (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= best:
            best = len(point)
            found = kind.startswith("nfs") and bool({"nolock", "local_lock=all", "local_lock=posix"} & set(options.split(",")))
    return found


def _mounts() -> str:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


def writable(directory: str, status: os.stat_result) -> list[str]:
    """Return what to warn of if others can write to a directory with records in it."""
    if not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return []
    return [
        f"Other users can write to {directory} (mode {stat.S_IMODE(status.st_mode):04o}), and so replace or remove the"
        f" records in it. Run: chmod go-w {shlex.quote(directory)}"
    ]


def is_shared(status: os.stat_result) -> bool:
    """Return whether somebody else but root can put something into a directory."""
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
        return True
    # With its bit for the group, somebody has shared it on purpose, whoever is in that group today.
    return bool(status.st_mode & stat.S_IWGRP) and (bool(status.st_mode & stat.S_ISGID) or not _is_private(status))


def name_of(uid: int) -> str:
    """Return the name of a user, or the number of one who has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _of_owner(state_dir: str, status: os.stat_result, *, signed: bool) -> list[str]:
    if status.st_uid in (0, os.geteuid()):
        return []
    owner = name_of(status.st_uid)
    if os.geteuid() == 0 or signed:  # root is let in everywhere, and containers are root with directories of those outside
        return [
            f"The state directory {state_dir} belongs to the user {owner}, who can {'remove' if signed else 'write, replace and remove'}"
            f" the records that {name_of(os.geteuid())} acts on. Run: chown -R {name_of(os.geteuid())} {shlex.quote(state_dir)}"
            f"{'' if signed else '; or sign the records, with record_key_file'}"
        ]
    if status.st_mode & stat.S_ISGID and status.st_mode & stat.S_IWGRP and status.st_gid in (os.getegid(), *os.getgroups()):
        return []  # a directory that somebody has shared with our group, on purpose
    raise StoreUnavailable(
        f"The state directory {state_dir} belongs to the user {owner}, who decides what the records in it say; it should be yours, or"
        " root's. Nothing was read or written. Choose another state_dir, or have its owner run:"
        f" chown -R {name_of(os.geteuid())} {shlex.quote(state_dir)}. If you share it on purpose, have it belong to a group that you are"
        " in, with mode 2770, or sign the records, with record_key_file."
    )


def _of_parent(directory: str, status: os.stat_result, state_dir: str) -> list[str]:
    mode = status.st_mode
    shared = mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(status))
    if shared and not mode & stat.S_ISVTX:
        return [
            f"Other users can write to {directory} (mode {stat.S_IMODE(mode):04o}), and so replace the state directory {state_dir} with all"
            f" its records. Run: chmod go-w {shlex.quote(directory)}"
        ]
    if status.st_uid not in (0, os.geteuid(), _UNKNOWN_USER):
        return [
            f"The directory {directory} belongs to the user {name_of(status.st_uid)}, who can replace the state directory {state_dir} with"
            " all its records. Choose a state_dir below directories of your own or of root."
        ]
    return []


def _above(state_dir: str) -> t.Iterator[str]:
    """Yield the directories above, outermost first; where links lead elsewhere, those above their targets, too."""
    found: list[str] = []
    for path in (state_dir, os.path.realpath(state_dir)):
        while path != os.path.dirname(path):
            path = os.path.dirname(path)
            if path not in found:
                found.append(path)
    yield from sorted(found)


def _status(directory: str) -> os.stat_result | None:
    try:
        return os.stat(directory)
    except OSError:  # said by whoever needs it
        return None


def _is_private(status: os.stat_result) -> bool:
    """Return whether the group of a directory is its owner's alone, as many distributions give one to each user."""
    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    return owner.pw_gid == group.gr_gid and owner.pw_name == group.gr_name and set(group.gr_mem) <= {owner.pw_name}
