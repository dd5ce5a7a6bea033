# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a relative state directory is, and whether it goes away with this run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import functools
import os
import re
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.processes import find_process
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import paths_of

_COLLECTION_DIRECTORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

# Which variables say where a CI system has checked out the project. It cleans that directory, or makes a new one, for each run.
_CI_WORKSPACES = (
    "GITHUB_WORKSPACE",  # Gitea and Forgejo, too
    "CI_PROJECT_DIR",  # GitLab
    "BUILD_SOURCESDIRECTORY",  # Azure Pipelines
    "BITBUCKET_CLONE_DIR",
    "TRAVIS_BUILD_DIR",
    "CIRCLE_WORKING_DIRECTORY",
    "BUILDKITE_BUILD_CHECKOUT_PATH",
    "DRONE_WORKSPACE",
    "CI_WORKSPACE",  # Woodpecker
    "CODEBUILD_SRC_DIR",
    "APPVEYOR_BUILD_FOLDER",
    "CIRRUS_WORKING_DIR",
    "SEMAPHORE_GIT_DIR",
    "bamboo_build_working_directory",
)
# Which variables say that this is a run of a CI system, whatever else it says.
_CI = ("CI", "JENKINS_URL", "TF_BUILD", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID")

# The names of private data directories that ansible-runner, ansible-rulebook and AWX make for one run. One that a user has given stays.
_MADE_FOR_ONE_RUN = re.compile(r"\.ansible-runner-|awx_[0-9]+_|(tmp|eda)[a-z0-9_]{8}$")
# That of ansible-rulebook, which copies the inventory there that it was given.
_OF_RULEBOOK = re.compile(r"eda[a-z0-9_]{8}$")
_IN_CONTAINER = "/runner"
_MOUNTS = "/proc/self/mountinfo"

# How many processes may be between the task and what has started its playbook.
_GENERATIONS = 20


def base_directory(task_vars: dict[str, t.Any]) -> str:
    """Return what a relative state directory is relative to.

    The directory of the playbook, so that a playbook finds its jobs wherever it is started from. The playbooks of this
    collection, which nobody wants to write into, use the current directory.
    """
    playbook_dir = os.path.realpath(task_vars.get("playbook_dir") or ".")
    if _is_below(playbook_dir, _COLLECTION_DIRECTORY):
        return os.getcwd()
    return playbook_dir


def state_dir_warnings(params: dict[str, t.Any], project: str, *, begins: bool = True) -> list[str]:
    """Return what to warn of if the records go away with this run, or may.

    :arg project: the directory that the playbook is in
    :arg begins: whether a job may be started or saved there
    """
    for path in paths_of(params):
        for directory, remover in _doomed(project):
            if _is_below(path, directory):
                return [
                    f"The state directory {path} is below {directory}, which {remover}. The records of the jobs go with it, and the"
                    " next run STARTS EVERY JOB A SECOND TIME. Set async_job_state_dir to a directory that stays (outside the project; a"
                    " volume mounted into the execution environment), or async_job_backend to oci."
                ]
        tree = _work_tree(project)
        may_make = begins and any(params.get(option) for option in ("job_name", "jobs", "file")) and params.get("create_store", True)
        if may_make and tree and _is_below(path, tree) and not os.path.lexists(path):
            return [
                f"The new state directory {path} is in the git work tree {tree}. Another clone has"
                " one of its own, and 'git clean' removes it: whoever runs this playbook there, or then, STARTS EVERY JOB A SECOND TIME."
                " If this work tree stays, and nobody uses another one, that is all right. Otherwise set async_job_state_dir to a"
                " directory outside of it, or async_job_backend to oci."
            ]
    return []


def name_of_copy(path: str) -> str:
    """Return what an inventory is called that a rulebook has copied for this run, or empty if it is none."""
    artifacts = os.environ.get("AWX_ISOLATED_DATA_DIR", "")
    private = os.path.dirname(os.path.dirname(artifacts))
    copies = os.path.join(private, "inventory")
    if not _OF_RULEBOOK.match(os.path.basename(private)) or not _is_below(path, copies):
        return ""
    return os.path.relpath(os.path.realpath(path), os.path.realpath(copies))


def _is_below(path: str, directory: str) -> bool:
    return os.path.join(os.path.realpath(path), "").startswith(os.path.join(os.path.realpath(directory), ""))


def _doomed(project: str) -> t.Iterator[tuple[str, str]]:
    """Yield the directories that are made, or cleaned, for each run, and what does that."""
    for directory in _of_job_runner():
        yield directory, "AWX, Automation Platform, ansible-runner or ansible-rulebook removes after this run"
    directory = os.getcwd()
    if _is_below(project, directory) and is_purged(os.getppid()):
        yield directory, "ansible-pull --purge removes after this run"
    for name in _CI_WORKSPACES:
        if os.environ.get(name):
            yield os.path.expanduser(os.environ[name]), f"a CI system ({name}) removes or cleans before the next run"
    if os.environ.get("JENKINS_URL") and os.environ.get("WORKSPACE"):
        yield os.environ["WORKSPACE"], "Jenkins (WORKSPACE) has for this job on this agent alone, and may clean before the next run"
    tree = _work_tree(project)
    for name in _CI:
        if tree and os.environ.get(name, "").lower() not in ("", "0", "false", "no"):
            yield tree, f"is a git work tree that a CI system ({name} is set) removes or cleans before the next run"


def _of_job_runner() -> t.Iterator[str]:
    """Yield the directories that a job runner made for this run."""
    in_awx = os.environ.get("AWX_PRIVATE_DATA_DIR")
    if in_awx:
        yield in_awx
    artifacts = os.environ.get("AWX_ISOLATED_DATA_DIR")  # <private data directory>/artifacts/<run>, set by ansible-runner
    if not artifacts:
        return
    private = os.path.dirname(os.path.dirname(artifacts))
    if in_awx or _MADE_FOR_ONE_RUN.match(os.path.basename(private)):
        yield private
    if in_awx:
        yield _IN_CONTAINER
    elif private == _IN_CONTAINER:
        mounted = _mounted_from(_IN_CONTAINER)
        if not mounted or _MADE_FOR_ONE_RUN.match(os.path.basename(mounted)):
            yield _IN_CONTAINER


def _mounted_from(directory: str) -> str:
    """Return which directory of its file system is mounted here. Empty if nothing is, or if nobody can tell."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return ""
    return next((fields[3] for fields in reversed(mounts) if fields[4] == directory), "")


def _work_tree(directory: str) -> str:
    """Return the git work tree that a directory is in. Empty if it is in none."""
    while not os.path.lexists(os.path.join(directory, ".git")):
        parent = os.path.dirname(directory)
        if parent == directory:
            return ""
        directory = parent
    return directory


@functools.cache
def is_purged(playbook: int) -> bool:
    """Return whether C(ansible-pull --purge) has started this run. Workers need not find out what the process knows that forks them.

    :arg playbook: the number of that process
    """
    process = find_process(playbook)
    for _generation in range(_GENERATIONS):
        if process is None or process.pid <= 1:
            break
        names = [os.path.basename(word) for word in process.argv[:4]]
        if "ansible-pull" in names[:3] or names[1:] == ["-m", "ansible", "pull"]:
            return any(len(word) > len("--p") and "--purge".startswith(word) for word in process.argv)
        process = find_process(process.ppid)
    return False
