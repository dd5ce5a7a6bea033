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
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import SIGNATURE, Notify, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.choose import open_signed_store

ARGUMENT_SPEC: Spec = {"replace": {"type": "bool", "default": False}, **STORE_OPTIONS}

# Where approvals are. No host has a name that begins with a dot there.
_APPROVALS = ".approvals/"


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
        for found in itertools.chain(store.checked(), store.checked(_APPROVALS)):
            wrong = SIGNATURE in found.content and not params["replace"]
            if found.problem is not None and (wrong or not found.content):
                failures.append({"state_file": store.locate(found.path), "msg": str(found.problem)})
            elif found.signer == 0:
                paths["unchanged"].append(found.path)
            elif found.content.get("status") in CLAIMED:
                paths["starting"].append(found.path)  # the controller that starts it would lose its claim
            else:
                try:
                    if not check_mode:
                        store.sign(found)
                    paths["signed"].append(found.path)
                except Conflict:
                    paths["changed_meanwhile"].append(found.path)
                except (ValueError, RecursionError) as error:  # JSON that cannot be written again, or a name that is no text
                    failures.append({"state_file": store.locate(found.path), "msg": f"It cannot be signed: {type(error).__name__}."})
    except StoreUnavailable as error:
        stopped = f"{error} Signing has ended there. Run it again, and it goes on."
    result: dict[str, t.Any] = {
        "changed": bool(paths["signed"]),
        "store": store.locate(),
        "failures": failures,
        "warnings": store.warnings,
        **paths,
    }
    if stopped:
        result.update(failed=True, msg=stopped)
    elif failures:
        result.update(
            failed=True,
            msg=f"{len(failures)} documents in {store.locate()} cannot be read, or carry a signature that is wrong; they are in"
            f" 'failures', and were left alone. The first one: {failures[0]['msg']}",
        )
    return result
