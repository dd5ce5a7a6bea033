# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from a record, a results file or a host is data. Here are the rules that it has to keep before anything is done with it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import typing as t

# What useradd(8) of shadow 4.13 takes: letters, digits, underscores, dots and dashes, no dash in front, not only digits, perhaps a
# dollar at the end. Directory services add a domain, as DOMAIN\user, DOMAIN+user or user@domain (sssd.conf(5), smb.conf(5)).
_NAME = r"(?![0-9]+\$?\Z)(?!\.{1,2}\Z)[\w.][\w.-]{0,63}"
_USER = re.compile(rf"(?:{_NAME}\$?|{_NAME}(?:\\{{1,2}}|\+){_NAME}\$?|{_NAME}@{_NAME})\Z", re.ASCII)

# As Ansible's async actions make them: a random number, and that of a process.
_JOB_ID = re.compile(r"j[0-9]{1,30}\.[0-9]{1,10}\Z")

# The last part is a uuid in hexadecimal digits.
_ATTEMPT = re.compile(r"[0-9a-f]{32}\Z")


def is_user_name(text: t.Any) -> bool:
    """Return whether a text can be the name of a user, and nothing else: no option, no shell syntax, no second word."""
    return isinstance(text, str) and _USER.match(text) is not None


def is_job_id(text: t.Any) -> bool:
    """Return whether a text is a job id as Ansible makes them, and so the name of a file that cannot be any other."""
    return isinstance(text, str) and _JOB_ID.match(text) is not None


def is_plain_path(text: t.Any) -> bool:
    """Return whether a text is an absolute path in its shortest form, without characters that a terminal or a shell would act on."""
    return isinstance(text, str) and re.match("/[^/]", text) is not None and text.isprintable() and os.path.normpath(text) == text


def is_attempt_directory(text: t.Any) -> bool:
    """Return whether a path is one that C(async_job) gives to the directory of an attempt."""
    return is_plain_path(text) and _ATTEMPT.match(os.path.basename(text)) is not None


# --- Results ----------------------------------------------------------------------------------------------------------

# Keywords of task results that Ansible acts on, whoever has put them there: executor, strategies and callbacks of ansible-core 2.16 to
# 2.21 (INTERNAL_RESULT_KEYS, RESTRICTED_RESULT_KEYS, strategy/__init__.py, executor/task_result.py, _internal/_task.py, callback/).
# Beside these, all that begin with "_" or "ansible_".
_KEYWORDS = frozenset(
    (
        "add_group",
        "add_host",
        "async_result",
        "attempts",
        "changed_when_result",
        "deprecations",
        "failed_when_result",
        "include",
        "include_args",
        "include_file",
        "invocation",
        "retries",
        "skip_reason",
        "skipped",
        "skipped_reason",
        "unreachable",
    )
)
_FACTS = "ansible_facts"


def plain_result(result: t.Mapping[str, t.Any], *, with_facts: bool = False) -> dict[str, t.Any]:
    """Return a result without the keywords that Ansible would act on. What is left is only shown, registered or stored.

    :arg with_facts: keep the facts of the host: only in the run that has seen them there, never from a record
    """
    plain = {name: value for name, value in result.items() if not _acts(name)}
    if isinstance(plain.get("results"), list):  # Ansible takes these for the results of a loop
        plain["results"] = [plain_result(item) if isinstance(item, dict) else item for item in plain["results"]]
    if "diff" in plain and not _is_diff(plain["diff"]):
        del plain["diff"]
    if with_facts and isinstance(result.get(_FACTS), dict):
        plain[_FACTS] = result[_FACTS]
    return plain


def _acts(name: t.Any) -> bool:
    return not isinstance(name, str) or name in _KEYWORDS or name.startswith(("_", "ansible_"))


def _is_diff(diff: t.Any) -> bool:
    """Return whether callbacks can show this as differences. They do not check that themselves."""
    return all(isinstance(part, dict) for part in (diff if isinstance(diff, list) else [diff]))
