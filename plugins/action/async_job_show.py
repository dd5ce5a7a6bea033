# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible import constants
from ansible.utils.color import stringc
from ansible.utils.display import Display

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_show
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import CLAIMED
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._action import StoreAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import explain

_COLORS = {"running": constants.COLOR_CHANGED, "succeeded": constants.COLOR_OK, "orphaned": constants.COLOR_WARN}


class ActionModule(StoreAction):
    """The module C(async_job_show): it prints by itself, because thousands of records in a variable would slow the play."""

    spec = async_job_show.ARGUMENT_SPEC
    mutually_exclusive = async_job_show.MUTUALLY_EXCLUSIVE
    completes_names = False

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        result = async_job_show.run(params, width=Display().columns, notify=self.notify, explain=explain)
        lines = result.pop("lines")
        if lines and not self._task.no_log:
            self.show("\n".join(_coloured(line) for line in lines))
        return result


def _coloured(line: async_job_show.Line) -> str:
    if not line.status or line.status in CLAIMED:
        return line.text
    return str(stringc(line.text, _COLORS.get(line.status, constants.COLOR_ERROR)))
