# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that somebody gives to a playbook of this collection, and that it does not know: those that look like a slip of the hand.

A filter with a wrong name filters nothing: the command would list, or remove, what nobody has asked for. Variables for other purposes, such
as those of an inventory, may have any name that does not look like one of ours.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible import context
from ansible.utils.vars import load_extra_vars

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import PROGRESS_OPTIONS, STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible

# What a playbook takes without declaring it: it is a keyword of Ansible, too.
_BECOME = "become"
_SETTINGS = frozenset(f"async_job_{option}" for option in (*STORE_OPTIONS, *PROGRESS_OPTIONS))
_OF_ROLES = ("async_job_load_", "async_job_save_")

_FILTERS = (
    *("host", "playbook", "playbook_name", "job", "job_name", "status", "older_than", "newer_than", "keep", "keep_attempts", "sort"),
    *("verify", "output"),
)
"""What commands of the fleet filter with, and how they look. Whoever gives one to a command that does not take it, expects that it does."""

# Commands that change something take one of these.
_OF_CHANGES = frozenset(("apply", "grace_period", "decision"))

# What people say when they mean one of ours.
_OTHER_WORDS = {
    "host": (
        *("hosts", "hostname", "hostnames", "target", "targets", "target_host", "target_hosts", "limit", "subset"),
        *("server", "servers", "node", "nodes", "machine", "machines", "inventory_hostname", "delegated_host", "ansible_limit"),
    ),
    "playbook": ("play",),
    "job": ("name", "jid", "job_id", "pattern"),
    "status": ("state", "states", "stat", "finished", "failed"),
    "older_than": ("age", "older", "min_age", "minimum_age", "before", "days", "until", "completed_before", "finished_before"),
    "newer_than": ("newer", "max_age", "maximum_age", "since", "after"),
    "keep": ("retain", "last", "latest"),
    "keep_attempts": ("attempts",),
    "sort": ("order", "order_by"),
    "apply": ("dry_run", "dryrun", "force", "confirm", "yes", "check", "delete", "remove", "really", "check_mode", "apply"),
    "async_job_state_dir": ("state_dir", "state_directory", "store", "store_dir"),
    "async_job_backend": ("backend",),
    "async_job_oci_bucket": ("bucket", "oci_bucket"),
}
_MEANT = {re.sub("[^a-z]", "", word): ours for ours, words in _OTHER_WORDS.items() for word in words}

# What people put beside the name of a filter.
_BESIDE = frozenset(
    (
        *("filter", "filters", "pattern", "regex", "glob", "name", "names", "list", "is", "in", "eq", "ne", "not", "only", "like", "by"),
        *("exclude", "include", "with", "without", "last", "latest", "count", "days", "hours"),
    )
)

# Words that are nearly one of ours, and have a meaning of their own.
_ORDINARY = frozenset(("port", "post", "cost", "most", "test", "deep"))

# From this length on, two letters of a name may be wrong, and before, one. What is shorter than the second is nearly anything.
_LONG, _SHORT = 8, 3


def refuse_near_misses(task: t.Any, loader: t.Any) -> None:
    """Refuse to go on if a playbook of this collection was given variables that look like ours, and are not.

    :arg task: of such a playbook
    :arg loader: of data, for files with extra variables
    :raises AsyncJobError: with what was meant, as far as that can be guessed
    """
    path = os.path.realpath(task.get_path().rpartition(":")[0])
    play = _ansible.play_of(task)
    known = {_BECOME, *(play.get_ds().get("vars") or ())}
    extra = load_extra_vars(loader)
    of_import = {name: True for name in play.vars if name not in known}  # the values of others may be empty on purpose
    refuse(os.path.basename(path).removesuffix(".yml"), known, {**of_import, **extra})


def refuse_params(task: t.Any, loader: t.Any, params: t.Collection[str], given: t.Collection[str]) -> None:
    """Refuse to go on if a playbook of this collection was given parameters of a workflow as variables of its own, which nobody reads.

    :arg task: of such a playbook
    :arg params: the names of all parameters
    :arg given: the names of those that were given as such
    :raises AsyncJobError: if there are such
    """
    known = _ansible.play_of(task).get_ds().get("vars") or ()
    wrong = sorted(name for name in load_extra_vars(loader) if name in params and name not in known and name not in given)
    if wrong:
        names = ", ".join(f"'{name}'" for name in wrong)
        are, it = ("is a parameter", "it") if len(wrong) == 1 else ("are parameters", "them")
        example = json.dumps({"params": {name: "…" for name in wrong}}, ensure_ascii=False)
        raise AsyncJobError(
            f"{names} {are} of the workflow: give {it} in params (-e '{example}'). As a variable, nothing reads {it}. Nothing was done."
        )


def refuse(command: str, known: t.Collection[str], given: t.Mapping[str, t.Any]) -> None:
    """Refuse variables that look like ours, and are not.

    :arg known: the variables that the command takes
    :arg given: the variables of the command line and of whoever imports the playbook, and their values
    :raises AsyncJobError: if there are such
    """
    takes = f"{command} takes {', '.join(sorted(name for name in known if name != _BECOME)) or 'none'}, and the settings of the store."
    nothing = "Nothing was done."
    if "_raw_params" in given:
        raise AsyncJobError(
            f"-e {given['_raw_params']!r} gives no variable a value. {nothing} Write -e name=value, without spaces around the '=', and in"
            f" quotes if the value has spaces. {takes}"
        )
    missed = {name: meant(name, known) for name in given}
    wrong = [f"{name} (did you mean {ours}?)" if ours in (*known, *_SETTINGS) else name for name, ours in missed.items() if ours]
    if wrong:
        raise AsyncJobError(f"{command} does not know {', '.join(sorted(wrong))}. {nothing} {takes}")
    empty = sorted(name for name in _FILTERS if name in given and (given[name] in (None, [], {}) or not str(given[name]).strip()))
    if not _OF_CHANGES.isdisjoint(known):
        if context.CLIARGS.get("subset") is not None and not str(context.CLIARGS["subset"]).strip(", :"):
            empty.append("--limit")
        if empty:
            raise AsyncJobError(f"{', '.join(empty)} has no value, which would mean any. {nothing} Give one, or leave it out.")


def meant(name: str, known: t.Collection[str]) -> str:
    """Return which of our variables somebody meant who gives another one. Empty if it is known, or seems to be for another purpose."""
    if name in known or name in _SETTINGS:
        return ""
    if name.startswith(_OF_ROLES):  # a setting of a role says nothing to a playbook
        return f"async_job_{name[len(_OF_ROLES[0]) :]}"
    if name.lower().startswith(("async_job", "asyncjob")):
        return _nearest(name, sorted(_SETTINGS)) or "async_job_…"
    if name in _FILTERS:
        return _MEANT.get(name) or _like(name, known) or name
    if (name.startswith("ansible_") and _plain(name) not in _MEANT) or name in _ORDINARY:
        return ""
    ours = {_plain(one): one for one in (*_FILTERS, *known)}
    words = [word for word in re.split("[^a-z]+", name.lower()) if word not in _BESIDE]
    # As it is, in the plural, and without what people put beside it
    for word in (_plain(name), "".join(words), "".join(word for word in words if word not in ("job", "jobs"))):
        for one in (word, word.removesuffix("s"), word.removesuffix("es")):
            found = ours.get(one) or _MEANT.get(one, "")
            if found and (found != "apply" or not _OF_CHANGES.isdisjoint(known)):
                return found
    return _nearest(name, ours.values())


def _plain(name: str) -> str:
    """Return the letters of a name alone."""
    return re.sub("[^a-z]", "", name.lower())


def _like(name: str, known: t.Collection[str]) -> str:
    """Return what a command calls a filter that others call so: C(job) and C(job_name) are the same."""
    short = name.removesuffix("_name")
    return next((other for other in (short, f"{short}_name") if other in known), "")


def _nearest(name: str, ours: t.Iterable[str]) -> str:
    """Return the one of our names that this is nearly. Empty if it is none."""
    plain = _plain(name)
    distances = ((_distance(plain, _plain(one)), one) for one in ours)
    near = [(distance, one) for distance, one in distances if len(one) >= _SHORT and distance <= (2 if len(one) >= _LONG else 1)]
    return min(near)[1] if near else ""


def _distance(one: str, other: str) -> int:
    """Return how many letters have to be changed, added, taken away or swapped with their neighbour to make one text of another."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        last, before, row = before, row, [number]
        for column, wanted in enumerate(other, 1):
            cost = min(before[column] + 1, row[-1] + 1, before[column - 1] + (letter != wanted))
            if last and column > 1 and letter == other[column - 2] and one[number - 2] == wanted:
                cost = min(cost, last[column - 2] + 1)
            row.append(cost)
    return row[-1]
