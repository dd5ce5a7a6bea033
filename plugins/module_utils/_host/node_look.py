# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at nodes of a workflow, on their host, with what those that have ended have written about themselves.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import look_and_output, node_report


def main(jobs: list[dict[str, t.Any]], output: str, tail_size: int) -> dict[str, t.Any]:
    """Answer the controller: what C(look_and_output.main) returns, and in the look at each job that does not run C(node), which
    C(node_report.main) returns of it. The arguments are those of the former.
    """
    looks = look_and_output.main(jobs, output, tail_size)["looks"]
    ended = [number for number, look in enumerate(looks) if look["status"] != "running"]
    reports = node_report.main([jobs[number] for number in ended])["reports"]
    for number, report in zip(ended, reports):
        looks[number]["node"] = report
    return {"looks": looks}
