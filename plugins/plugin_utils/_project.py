# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project that a workflow is in: at which commit it is, here and on the host that runs the nodes; and what that host does not survive.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import typing as t

# How long git may take, in seconds.
_SECONDS = 20
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
# These leave alone what they have started when they end.
_LASTING_UNITS = ("cron.service", "crond.service", "atd.service", "ssh.service", "sshd.service")


class Commit(t.NamedTuple):
    """What git says of a project."""

    id: str
    is_dirty: bool
    """Whether files that it knows have changed since."""

    def __str__(self) -> str:
        return f"{self.id[:12]}{' and changes that are not committed' if self.is_dirty else ''}"


def commit_of(directory: str) -> Commit | None:
    """Return at which commit a directory of this machine is. None if that is in no repository, or git cannot tell."""
    found = _git(directory, "rev-parse", "--verify", "HEAD")
    if found is None or not _COMMIT.match(found):
        return None
    return Commit(found, bool(_git(directory, "status", "--porcelain", "--untracked-files=no")))


def _git(directory: str, *words: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        ran = subprocess.run(
            ["git", "-C", directory, *words], capture_output=True, text=True, timeout=_SECONDS, env=environment, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None


def script_for(directory: str, says: str) -> str:
    """Return lines for the shell of a host that tell the same of a directory there.

    :arg says: what lines for us begin with
    """
    return f"""
cd {shlex.quote(directory)} 2>/dev/null || {{ echo '{says}missing=yes'; exit 0; }}
GIT_OPTIONAL_LOCKS=0; export GIT_OPTIONAL_LOCKS
c=$(git rev-parse --verify HEAD 2>/dev/null) && echo "{says}commit=$c"
[ -z "$c" ] || [ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || echo '{says}dirty=yes'
"""


def commit_said(said: t.Mapping[str, list[str]]) -> Commit | None:
    """Return at which commit the directory of a host is, as its shell has said it."""
    [found, *_more] = said.get("commit") or [""]
    return Commit(found, "dirty" in said) if _COMMIT.match(found) else None


def mismatch(here: Commit | None, there: Commit | None, host: str, directory: str) -> str:
    """Return why nodes must not run on a host: it has another project than this controller. Empty if nothing is known to differ."""
    if here is None or (there is not None and there.id == here.id):
        return ""
    other = f"is at {there}" if there else "is in no repository that git can read there"
    return (
        f"The project here is at {here}; on {host}, {directory} {other}. Nothing was started. Bring both to the same commit, and run this"
        " once more."
    )


def not_survived(cgroup: str, *, in_container: bool) -> str:
    """Return what nodes on this machine end with, although a job should not. Empty if nothing of that kind is seen.

    :arg cgroup: the content of C(/proc/self/cgroup)
    """
    if in_container:
        return "this container"
    for line in cgroup.splitlines():
        unit = next((part for part in reversed(line.rpartition(":")[2].split("/")) if part.endswith(".service")), "")
        if unit and unit not in _LASTING_UNITS and not unit.startswith("user@") and "/user.slice/" not in line:
            return f"the service {unit}"
    return ""


def ends_with() -> str:
    """Return what nodes on this machine end with, as far as it can be seen."""
    in_container = any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv"))) or bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            cgroup = file.read(65536)
    except (OSError, UnicodeError):
        cgroup = ""
    return not_survived(cgroup, in_container=in_container)
