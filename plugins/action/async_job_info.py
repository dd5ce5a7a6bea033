# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _info
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._action import StoreAction


class ActionModule(StoreAction):
    """The module C(async_job_info), in the process of the controller."""

    spec = _info.ARGUMENT_SPEC
    mutually_exclusive = _info.MUTUALLY_EXCLUSIVE

    def work(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        return _info.run(params, async_dir=self.async_dir, notify=self.notify)
