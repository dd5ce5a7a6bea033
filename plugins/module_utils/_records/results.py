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

STREAMS = ("stdout", "stderr")
# What a record has of the output, beside the result of the module.
_OF_OUTPUT = ("progress", *(f"{stream}{part}" for stream in STREAMS for part in ("", "_size", "_truncated")))


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
        message = mask_secrets(str(plain["msg"]))
        kept["msg"] = message[:_MESSAGE_LENGTH]
        if len(message) > _MESSAGE_LENGTH:
            kept["msg_truncated"] = True
    if isinstance(plain.get("exception"), str):
        kept["exception"] = mask_secrets(plain["exception"])[-LONGEST:]
    for name in wanted:
        if name in plain and name not in kept and name not in _OF_OUTPUT:
            try:
                value = storable(plain[name], name=f"result.{name}")
            except AsyncJobError:
                continue
            if len(json.dumps(value)) <= _FIELD_LENGTH:
                kept[name] = value
    missed = sorted(plain.keys() - kept.keys() - {*_UNMISSED})
    return {**kept, NOT_STORED: missed} if missed else kept


def of_module(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what a record has of the result of a module, without what it has of the output."""
    return {name: value for name, value in plain_result(result).items() if name not in (*_OF_OUTPUT, NOT_STORED)}


class KeptOutput(t.NamedTuple):
    """What a record has of one stream."""

    text: str
    size: int
    """Of all that was written, in bytes."""
    cut: bool


def kept_output(result: t.Mapping[str, t.Any], stream: str) -> KeptOutput:
    """Return what a record has of a stream. Former releases did not note how much there was."""
    text, size, cut = (result.get(name) for name in (stream, f"{stream}_size", f"{stream}_truncated"))
    said = text if isinstance(text, str) else ""
    is_size = isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 60
    return KeptOutput(said, t.cast(int, size) if is_size else len(said.encode("utf-8", "replace")), cut is True)


# What Ansible's wrapper says of a job that it has ended, and nobody needs.
_OF_THE_WRAPPER = ("child_pid",)


def lacking(record: t.Mapping[str, t.Any]) -> list[str]:
    """Return what to say of the parts of a result that its record does not have. Nothing if it has all that anybody misses."""
    result = record.get("result", {})
    wanted = [str(name) for name in record.get("store_result", ())]
    names = [str(name) for name in result.get(NOT_STORED) or () if name not in _OF_THE_WRAPPER]
    if result.get("msg_truncated") is True:
        names.append("msg")
    if not names:
        return []
    why = dict.fromkeys(wanted, f"larger than {_FIELD_LENGTH} characters")
    why["msg"] = f"only its first {_MESSAGE_LENGTH} characters are kept"
    named = ", ".join(f"{name} ({why[name]})" if name in why else name for name in names)
    were = "was" if len(names) == 1 else "were"
    text = f"The record of the job does not hold all of its result: {named} {were} told only to whoever saw it end."
    if {*names} - {*wanted, "msg"}:
        text += " List in store_result what later runs need."
    if not record.get("output_removed"):
        text += " As long as the results file is on its host, async_job_status returns all: give it this job_name, and 'output: full'."
    return [text]


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
