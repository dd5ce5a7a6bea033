# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a record keeps of the result of a job: what is listed here, and what its task has asked for.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import typing as t

try:
    from ansible.module_utils.secrets import mask_secrets
except ImportError:  # ansible-core before 2.22

    def mask_secrets(value: str) -> str:
        """Return the text as it is."""
        return value


from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._failure import LONGEST
from ansible_collections.rstyczynski.ansible.plugins.module_utils._keywords import plain_result
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import storable

# Also of a job whose task says no_log
_OF_SECRET_JOBS = ("rc", "start", "end")
# A result may hold what no store should know: a command with its options, the content of a file, the lines that a file has lost.
_OF_ALL_JOBS = (*_OF_SECRET_JOBS, "delta", "changed")
# What async_job_cancel has noted in a result, a record has beside it.
_BESIDE_IT = ("cancelled",)
# What nobody misses in a later run, or what is kept in another way
_UNMISSED = (*_OF_ALL_JOBS, *_BESIDE_IT, "msg", "cmd", "diff", "exception", "failed", "stderr", "stdout", "strip_empty_ends", "warnings")

# A module may put whole logs into its message, in characters.
_MESSAGE_LENGTH = 1000
# Up to which length a field that was asked for is kept, in characters of JSON.
_FIELD_LENGTH = 32768

NOT_STORED = "not_stored"
"""The field that names what a result had, and its record has not."""


def kept_result(result: t.Mapping[str, t.Any], *, wanted: t.Sequence[str] = (), secret: bool = False) -> dict[str, t.Any]:
    """Return what a record keeps of a result.

    :arg wanted: the fields that the task of the job has asked for
    :arg secret: whether nothing that the job said may be stored
    """
    if secret:
        return _kept(result, _OF_SECRET_JOBS)
    plain = plain_result(result)
    kept = _kept(plain, _OF_ALL_JOBS)
    if "msg" in plain:
        kept["msg"] = mask_secrets(str(plain["msg"])[:_MESSAGE_LENGTH])
    if isinstance(plain.get("exception"), str):
        kept["exception"] = mask_secrets(plain["exception"][-LONGEST:])
    for name in wanted:
        if name in plain and name not in kept:
            try:
                value = storable(plain[name], name=f"result.{name}")
            except AsyncJobError:
                continue
            if len(json.dumps(value)) <= _FIELD_LENGTH:
                kept[name] = value
    missed = sorted(plain.keys() - kept.keys() - {*_UNMISSED})
    return {**kept, NOT_STORED: missed} if missed else kept


def masked(value: t.Any) -> t.Any:
    """Return a value of JSON without what Ansible knows to be secret: values that it has decrypted, in this run."""
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, dict):
        return {masked(name): masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def _kept(result: t.Mapping[str, t.Any], names: t.Sequence[str]) -> dict[str, t.Any]:
    """Return these fields, as far as they hold what is to be expected there."""
    return {name: result[name] for name in names if name in result and _EXPECTED.get(name, _is_short)(result[name])}


def _is_short(value: t.Any) -> bool:
    return isinstance(value, str) and len(value) < 64


_EXPECTED: dict[str, t.Callable[[t.Any], bool]] = {
    "rc": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 32,
    "changed": lambda value: isinstance(value, bool),
}
