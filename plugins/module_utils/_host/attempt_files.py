# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in the directory of an attempt, beside the results file of Ansible's wrapper.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import json
import re

# None looks like a job id.
STDOUT = "stdout"
STDERR = "stderr"
RESULT = "result"
MARK = "attempt.json"
"""Says whose directory it is, and whether the job is secret. It is made with the directory."""
CANCEL = "cancel"
"""Says who is cancelling the job, for whoever looks meanwhile."""
SIGNALLED = 0o500
"""The mode of the mark if somebody has sent signals, and the disk was too full to say more. Nobody else has a reason to set it."""

MARKERS = ("ASYNC_JOB_ATTEMPT_DIR", "ANSIBLE_ASYNC_DIR")
"""The variables of the environment by which processes of an attempt are known: ours, which all of them have, and that of Ansible, which
tells its wrapper where to write, and which the command does not get. Former releases have set only the latter, for all of them."""

OURS = re.compile(r"(j?\d+\.\d+|stdout|stderr|result|cancel)(\.tmp|\.\d+\.cancel)?|attempt\.json|node\.\w+(\.tmp)?")
"""The names of all that Ansible and we put there."""


def mark(key: str, attempt: str, *, secret: bool = False) -> str:
    """Return what the mark of an attempt says: one line of ASCII.

    :arg key: the path of the job's record in its store
    :arg secret: whether the task that started it said no_log. Whoever can write records cannot take that away here
    """
    return json.dumps({"attempt": attempt, "job": key, **({"secret": True} if secret else {})}, sort_keys=True)
