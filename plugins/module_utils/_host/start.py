# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start the command of a job on the host, in one exchange: note its attempt and make the directory of it, do what Ansible's wrapper does
(C(wrapper.py)), and answer with what is true then. The controller calls this program as it would call that wrapper.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import wrapper
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.make_directory import make_directory


def main(attempt: dict[str, t.Any], job: str, limit: int, module: str) -> dict[str, t.Any]:
    """Answer the controller: what :func:`make_directory` returns; and what C(wrapper.main) returns, of a job in that directory.

    :arg attempt: what :func:`make_directory` takes
    :arg job: the job id without its last number
    """
    answer = {**make_directory(attempt), "job_id": "", "reason": ""}
    if not answer["found"] and not answer["problem"]:
        answer.update(wrapper.main(attempt["attempt_dir"], job, limit, module))
    return answer
