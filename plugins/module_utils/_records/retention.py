# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records, and which of their past attempts, are old enough to go.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import PAST_FIELDS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import Found
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import ATTEMPT_FIELDS, Record, merged, picked, without
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ENDED

# What ended later than this is not old, unless the user says how old it has to be: a playbook may be about to ask for it.
OLD = "1h"


class Doomed(t.NamedTuple):
    """A record to prune, wholly or in part."""

    found: Found
    attempts: list[Record]
    """The attempts to go, each with the fields of a record."""
    after: Record | None
    """What is left of the record. None if nothing is."""


def doomed(found: t.Sequence[Found], params: dict[str, t.Any], age_of: t.Callable[[Record], float]) -> list[Doomed]:
    """Return what to prune of the records that fit.

    :arg found: those that fit the other options; what has not ended among them is left alone
    :arg params: values of ARGUMENT_SPEC
    :arg age_of: how long ago a job ended at least, in seconds
    """
    age = _times.age(params["older_than"] or OLD, "older_than").total_seconds()
    ended = [one for one in found if one.record.get("status") in ENDED]
    if params["keep_attempts"] is not None:
        candidates = [_shortened(one, params["keep_attempts"]) for one in ended]
    else:
        kept = _newest(ended, params["keep"] or 0, age_of)
        candidates = [Doomed(one, [*_past(one.record), one.record], None) for one in ended if one.path not in kept]
    return [one for one in candidates if one.attempts and age_of(one.found.record) > age]


def _newest(ended: t.Sequence[Found], count: int, age_of: t.Callable[[Record], float]) -> set[str]:
    """Return the paths of the newest records of each host and playbook."""
    groups: dict[str, list[Found]] = collections.defaultdict(list)
    for one in ended:
        groups[one.path.rpartition("/")[0]].append(one)
    newest = (sorted(group, key=lambda one: -age_of(one.record))[len(group) - min(count, len(group)) :] for group in groups.values())
    return {one.path for group in newest for one in group}


def _shortened(one: Found, count: int) -> Doomed:
    """Return the record with its latest attempts only, the current one among them."""
    past = _past(one.record)
    gone = past[: max(len(past) + 1 - max(count, 1), 0)]
    after: Record = {**one.record, "attempts": one.record.get("attempts", [])[len(gone) :]}
    return Doomed(one, gone, after)


def _past(record: Record) -> list[Record]:
    """Return the past attempts, each with the fields that it would have as the current one."""
    own = without(record, (*ATTEMPT_FIELDS, "attempts", "ansible_job_id", "first_attempt"))  # which counts for the current one
    return [merged(own, {"ansible_job_id": "", **picked(past, (*PAST_FIELDS, "attempt"))}) for past in record.get("attempts", ())]
