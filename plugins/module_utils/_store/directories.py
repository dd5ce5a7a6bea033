# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else could write or replace records: the owners and modes of a state directory, and of all directories above it; and what a
group needs that shares one.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shlex
import stat
import time
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import StoreUnavailable

# Neither can be the name of a record or of its directories: the job key escapes a leading dot.
LOCK_FILE = ".lock"

# Whom a container, or a file server, shows for users that it does not know. Above the records, that is root more often than not.
_UNKNOWN_USER = 65534


class Modes(t.NamedTuple):
    """The modes of what a store makes, whatever the umask."""

    directory: int
    file: int


# By the values of the option state_mode
MODES = {"private": Modes(0o700, 0o600), "group": Modes(0o2770, 0o660)}

MODE_SECONDS = 5.0
"""For how long somebody may take to give what they have just made the mode that it has to have."""

_NEW_SECONDS = 10.0


def check(state_dir: str, *, signed: bool, by_group: bool = False) -> list[str]:
    """Return what to warn the user of. Nothing is made, and what does not exist is nobody's.

    :arg state_dir: an absolute path
    :arg signed: whether only signed records count
    :arg by_group: whether a group shares the directory, with the user among them
    :raises StoreUnavailable: if it is not ours to use
    """
    warnings = []
    if has_own_locks(state_dir, _mounts()):
        raise StoreUnavailable(
            f"The state directory {state_dir} is on a network file system that is mounted without locks (nolock, local_lock): two"
            " controllers could start a job at the same moment. Nothing was read or written. Mount it with locks, or choose another"
            " state_dir."
        )
    status = _status(state_dir)
    # Whoever can change what is in the state directory gains nothing above it.
    trusted = (_gid_of(state_dir, status), status.st_uid if status is not None else None) if by_group else None
    for directory in _above(state_dir):
        found = _status(directory)
        if found is not None:
            warnings += _of_parent(directory, found, state_dir, trusted)
    if status is not None and by_group:
        _check_member(state_dir, _once_it_is_made(state_dir, status))
    elif status is not None:
        warnings += _of_owner(state_dir, status, signed=signed)
        warnings += [mixed(state_dir)] if is_of_group(state_dir, status) else writable(state_dir, status)
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
    on_purpose = "; or, if a group shares it on purpose, say state_mode: group" if _is_for_group(status) else ""
    return [
        f"Other users can write to {directory} (mode {stat.S_IMODE(status.st_mode):04o}), and so replace or remove the"
        f" records in it. Run: chmod go-w {shlex.quote(directory)}{on_purpose}"
    ]


def writable_file(file: str, status: os.stat_result, gid: int | None) -> list[str]:
    """Return what to warn of if others can write to the file of a record.

    :arg gid: the group that shares the store. None if none does
    """
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != gid and not _is_private(status)
    if not by_group and not status.st_mode & stat.S_IWOTH:
        return []
    who = "o" if gid is not None and status.st_gid == gid else "go"
    return [
        f"Other users can write to {file} (mode {stat.S_IMODE(status.st_mode):04o}), and so decide what becomes of its job. Run:"
        f" chmod {who}-w {shlex.quote(file)}"
    ]


def unfit(status: os.stat_result, gid: int) -> str:
    """Return why a group cannot share a directory, or shares it with others. Empty if it is as it has to be.

    :arg gid: the group of the state directory
    """
    mode = stat.S_IMODE(status.st_mode)
    if mode & stat.S_IWOTH:
        return f"has mode {mode:04o}, so that others than its group can write to it"
    if status.st_gid != gid:
        return f"belongs to the group {group_name(status.st_gid)}, and the state directory to {group_name(gid)}"
    if mode & 0o2070 != 0o2070 or mode & stat.S_ISVTX:
        return f"has mode {mode:04o}, and not 2770, so that not everybody in its group can change what is in it"
    return ""


def unfit_file(status: os.stat_result, gid: int) -> str:
    """Return why not everybody in a group can read and change a file. Empty if they can."""
    mode = stat.S_IMODE(status.st_mode)
    if status.st_gid == gid and mode & 0o060 == 0o060:
        return ""
    return f"belongs to the user {name_of(status.st_uid)} and the group {group_name(status.st_gid)}, with mode {mode:04o}"


def sharing(state_dir: str, gid: int | None) -> str:
    """Return the command that makes all of a state directory as a group needs it.

    :arg gid: the group. None if somebody has to choose one
    """
    name, place = "GROUP" if gid is None else group_name(gid), shlex.quote(state_dir)
    return f"chgrp -R {shlex.quote(name)} {place} && chmod -R ug+rwX,o= {place} && find {place} -type d -exec chmod g+s,-t {{}} +"


def is_of_group(state_dir: str, status: os.stat_result) -> bool:
    """Return whether somebody uses a state directory with C(state_mode=group), as its lock file tells."""
    if not _is_for_group(status):
        return False
    try:
        lock = os.stat(os.path.join(state_dir, LOCK_FILE), follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(lock.st_mode) and bool(lock.st_mode & stat.S_IWGRP)


def is_for_team(status: os.stat_result) -> bool:
    """Return whether somebody has shared a directory with a group on purpose that has more than its owner in it."""
    return _is_for_group(status) and not _is_private(status)


def for_team(state_dir: str, status: os.stat_result) -> str:
    """Say that a directory was made for a group, and that nobody has used it so far."""
    return (
        f"The state directory {state_dir} holds no store, and was made for the group {group_name(status.st_gid)} (mode"
        f" {stat.S_IMODE(status.st_mode):04o}), but state_mode is private: a store would be made there that nobody else of the group could"
        " use. Nothing was changed. Say state_mode: group (async_job_state_mode, or ASYNC_JOB_STATE_MODE in the environment); or, if it is"
        f" yours alone, run: chmod g-s,go= {shlex.quote(state_dir)}"
    )


def mixed(state_dir: str) -> str:
    """Say that a group shares a store that is used here as if it were private."""
    return (
        f"A group shares the store {state_dir}: it is used with state_mode: group, and here with private. What would be written here,"
        " nobody else of the group could read, so that nothing can be written. Say the same everywhere: state_mode: group"
        " (async_job_state_mode, or ASYNC_JOB_STATE_MODE in the environment); or, if nobody shares it any more, make it private. Run:"
        f" chmod -R g-s,go= {shlex.quote(state_dir)}"
    )


def of_one(state_dir: str, status: os.stat_result) -> list[str]:
    """Return what to warn of if the group that shares a state directory is its owner's alone."""
    if not _is_private(status):
        return []
    return [
        f"Nobody but {name_of(status.st_uid)} is in the group {group_name(status.st_gid)} of the state directory {state_dir}, so that"
        " nobody else can use it, although state_mode is group. Share it with the group of all who shall. Run:"
        f" {sharing(state_dir, None)}"
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


def group_name(gid: int) -> str:
    """Return the name of a group, or the number of one that has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def is_new(status: os.stat_result) -> bool:
    """Tell whether something was made, or changed its mode, just now."""
    return abs(time.time() - status.st_ctime) < _NEW_SECONDS


def _once_it_is_made(state_dir: str, status: os.stat_result) -> os.stat_result:
    """Return the status of a state directory. If somebody of its group has just made it, and an umask has taken bits away that it is
    about to get, wait for that."""
    deadline = time.monotonic() + MODE_SECONDS
    while (
        stat.S_ISDIR(status.st_mode)
        and not stat.S_IMODE(status.st_mode) & ~MODES["group"].directory
        and unfit(status, status.st_gid)
        and is_new(status)
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
        status = _status(state_dir) or status
    return status


def _check_member(state_dir: str, status: os.stat_result) -> None:
    """Refuse a state directory that no group shares, or one that the user is not in."""
    if not stat.S_ISDIR(status.st_mode):
        return  # said by whoever needs it
    why = unfit(status, status.st_gid)
    is_member = os.geteuid() == 0 or status.st_gid in (os.getegid(), *os.getgroups())
    if why:
        raise StoreUnavailable(
            f"The state directory {state_dir} {why}, but state_mode is group. Nothing was read or written. Say state_mode: private, or have"
            f" its owner {name_of(status.st_uid)}, or root, share it with the group of all who use it. Run:"
            f" {sharing(state_dir, status.st_gid if is_member and not _is_private(status) else None)}"
        )
    if not is_member:
        raise StoreUnavailable(
            f"The state directory {state_dir} belongs to the group {group_name(status.st_gid)}, and {name_of(os.geteuid())} is not in it."
            " Nothing was read or written. Have an administrator add you to that group, and log in anew; or choose another state_dir."
        )


def _gid_of(state_dir: str, status: os.stat_result | None) -> int:
    """Return the group of a state directory, or the one that it will have once it is made."""
    if status is not None:
        return status.st_gid
    above, found = state_dir, None
    while found is None:
        above = os.path.dirname(above)
        found = _status(above) or (os.stat("/") if above == "/" else None)
    return found.st_gid if found.st_mode & stat.S_ISGID else os.getegid()


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
    if _is_for_group(status) and status.st_gid in (os.getegid(), *os.getgroups()):
        return []  # a directory that somebody has shared with our group, on purpose
    raise StoreUnavailable(
        f"The state directory {state_dir} belongs to the user {owner}, who decides what the records in it say; it should be yours, or"
        " root's. Nothing was read or written. Choose another state_dir, or have its owner run:"
        f" chown -R {name_of(os.geteuid())} {shlex.quote(state_dir)}. If you share it on purpose, have it belong to a group that you are"
        " in, with mode 2770, and say state_mode: group; or sign the records, with record_key_file."
    )


def _of_parent(directory: str, status: os.stat_result, state_dir: str, trusted: tuple[int, int | None] | None) -> list[str]:
    """Return what to warn of in a directory above.

    :arg trusted: the group that shares the state directory, and the owner of that. None if nobody shares it
    """
    mode = status.st_mode
    gid, uid = trusted or (None, None)
    shared = mode & stat.S_IWOTH or (mode & stat.S_IWGRP and status.st_gid != gid and not _is_private(status))
    if shared and not mode & stat.S_ISVTX:
        return [
            f"Other users can write to {directory} (mode {stat.S_IMODE(mode):04o}), and so replace the state directory {state_dir} with all"
            f" its records. Run: chmod go-w {shlex.quote(directory)}"
        ]
    if status.st_uid not in (0, os.geteuid(), _UNKNOWN_USER, uid):
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


def _is_for_group(status: os.stat_result) -> bool:
    """Return whether somebody has shared a directory with its group on purpose, and with nobody else."""
    return status.st_mode & 0o2022 == 0o2020


def _is_private(status: os.stat_result) -> bool:
    """Return whether the group of a directory is its owner's alone, as many distributions give one to each user."""
    try:
        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    return owner.pw_gid == group.gr_gid and owner.pw_name == group.gr_name and set(group.gr_mem) <= {owner.pw_name}
