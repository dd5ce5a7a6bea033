# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign the records and approvals of a store: what the module C(async_job_sign) does.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS, Spec
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.approval import APPROVALS, check_approval
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.changes import EVENTS, check_cursor
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import WORKFLOWS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.listing import record_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.semaphores import SEMAPHORES, check_semaphore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    SIGNATURE,
    Document,
    Entry,
    Notify,
    nobody,
    without_signature,
    write_json,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_signed_store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import printable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.holder import LOCKS, check_holder
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import check_run

if t.TYPE_CHECKING:
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.signed import Checked, SignedStore

ARGUMENT_SPEC: Spec = {"replace": {"type": "bool", "default": False}, **STORE_OPTIONS}

# How many reasons a message lists.
_REASONS = 10


def run(params: dict[str, t.Any], *, check_mode: bool, notify: Notify = nobody) -> dict[str, t.Any]:
    """Do what the module's options ask for, and return what the module returns.

    :arg params: values of ARGUMENT_SPEC
    :arg check_mode: only say what would be signed
    """
    if not params["record_key_file"]:
        raise AsyncJobError(
            "There is no key to sign with. Nothing was signed. Name the file that holds it: record_key_file, async_job_record_key_file"
            " (a variable), or ASYNC_JOB_RECORD_KEY_FILE (in the environment)."
        )
    store = open_signed_store(params, notify)
    store.must_exist()
    paths: dict[str, list[str]] = {"signed": [], "unchanged": [], "starting": [], "changed_meanwhile": []}
    failures = []
    stopped = ""
    try:
        for found in itertools.chain(store.checked(), *map(store.checked, (APPROVALS, EVENTS, WORKFLOWS, LOCKS, SEMAPHORES))):
            path = printable(found.path)
            try:
                _check(store, found, replace=params["replace"])
                if found.signer == 0:
                    paths["unchanged"].append(path)
                elif found.content.get("status") in CLAIMED:
                    paths["starting"].append(path)  # the controller that starts it would lose its claim
                else:
                    if not check_mode:
                        store.sign(found)
                    paths["signed"].append(path)
            except StoreUnavailable:
                raise
            except Conflict:
                paths["changed_meanwhile"].append(path)
            except AsyncJobError as error:
                failures.append({"state_file": printable(store.locate(found.path)), "msg": printable(str(error))})
    except StoreUnavailable as error:
        stopped = f" {error} Signing has ended there. Run it again, and it goes on."
    result: dict[str, t.Any] = {
        "changed": bool(paths["signed"]),
        "store": store.locate(),
        "summary": _summary(paths, len(failures), check_mode=check_mode),
        "failures": failures,
        "warnings": store.warnings,
        **paths,
    }
    if failures or stopped:
        why = "".join(f" {failure['msg']}" for failure in failures[:_REASONS])
        more = f" The other {len(failures) - _REASONS} reasons are in 'failures'." if len(failures) > _REASONS else ""
        result.update(failed=True, msg=f"In {store.locate()}, {result['summary']}.{why}{more}{stopped}")
    return result


def _check(store: SignedStore, found: Checked, *, replace: bool) -> None:
    """Refuse to sign what nobody could read afterwards, and what somebody else has signed.

    :raises AsyncJobError: with the reason
    """
    if found.problem is not None and (not found.content or (SIGNATURE in found.content and not replace)):
        raise found.problem
    where = store.locate(found.path)
    try:
        document = write_json(without_signature(found.content))
        if found.path.startswith(APPROVALS):
            check_approval(document, found.path, where=where)
        elif found.path.startswith(WORKFLOWS):
            check_run(document, found.path, where=where)
        elif found.path.startswith(LOCKS):
            check_holder(document, found.path, where=where)
        elif found.path.startswith(SEMAPHORES):
            check_semaphore(document, found.path, where=where)
        elif found.path.startswith(EVENTS):
            check_cursor(document, found.path, where=where)
        else:
            record_of(store, Entry(found.path, Document(document, found.version), None))
    except (ValueError, RecursionError) as error:  # JSON that was read, and cannot be written again
        raise AsyncJobError(
            f"{where} cannot be signed, because it cannot be written again ({type(error).__name__}). Nothing was changed. Look at it; put"
            " back a good copy, or remove it, once you are sure that its job does not run."
        ) from error


def _summary(paths: dict[str, list[str]], failures: int, *, check_mode: bool) -> str:
    """Return how many there are of each kind, for people."""
    left = [
        f"{count} {why}"
        for count, why in (
            (len(paths["starting"]), "being started"),
            (len(paths["changed_meanwhile"]), "saved by somebody else at the same moment"),
            (failures, "not readable as what they should be, not to be written, or signed by somebody else"),
        )
        if count
    ]
    of_these = f" ({', '.join(left)})" if left else ""
    alone = sum(map(len, (paths["starting"], paths["changed_meanwhile"]))) + failures
    return (
        f"{len(paths['signed'])} documents {'would be' if check_mode else 'were'} signed, {len(paths['unchanged'])} were signed already,"
        f" and {alone} {'would be' if check_mode else 'were'} left alone{of_these}"
    )
