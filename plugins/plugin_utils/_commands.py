# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a command that is a job: those of Ansible's own C(command) and C(shell).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import masked

# The options of ansible.builtin.command and, less one, of ansible.builtin.shell. Paths are of the host, which alone knows its ~.
_SPEC: Spec = {
    "_raw_params": {"type": "str"},
    "argv": {"type": "list", "elements": "str"},
    "chdir": {"type": "str"},
    "creates": {"type": "str"},
    "removes": {"type": "str"},
    "executable": {"type": "str"},
    "stdin": {"type": "str"},
    "stdin_add_newline": {"type": "bool", "default": True},
    "strip_empty_ends": {"type": "bool", "default": True},
}
_SPEC_OF_COMMAND: Spec = {**_SPEC, "expand_argument_vars": {"type": "bool", "default": True}}

# How much of the options is said in the log of the host, in characters.
_LOGGED = 2000
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]*@")


def checked_options(options: dict[str, t.Any], *, uses_shell: bool) -> dict[str, t.Any]:
    """Return the options of a command, with their defaults.

    :raises AsyncJobError: if they are not right
    """
    validator = ArgumentSpecValidator(
        _SPEC if uses_shell else _SPEC_OF_COMMAND, mutually_exclusive=[("_raw_params", "argv")], required_one_of=[("_raw_params", "argv")]
    )
    validated = validator.validate(options)
    if validated.error_messages:
        what = " ".join(f"{message.rstrip('.')}." for message in validated.error_messages)
        what = what.replace("_raw_params", "cmd")
        raise AsyncJobError(f"The options of {'ansible.builtin.shell' if uses_shell else 'ansible.builtin.command'} are not right: {what}")
    found: dict[str, t.Any] = validated.validated_parameters
    if not (found["argv"] or (found["_raw_params"] or "").strip()):
        raise AsyncJobError("There is no command to run. Give one as text, or as a list in argv.")
    return found


def logged(options: dict[str, t.Any]) -> str:
    """Return what to say of a command in the log of its host, as modules do there."""
    said = " ".join(f"{name}={value}" for name, value in masked(options).items() if value is not None and name != "stdin")
    said = _PASSWORD.sub(r"\1:********@", said)
    return f"Invoked with {said}"[:_LOGGED]
