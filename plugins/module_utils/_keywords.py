# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keywords of a result Ansible would act on, whoever has put them there: a result that comes from a host or a store is data.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

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
