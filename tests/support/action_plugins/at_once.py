# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that says that it supports background jobs, and does its work at once. A test puts it beside its playbook."""

from __future__ import annotations

import shutil
import time
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Writes a line to the file C(ledger), copies the directories C(copies), waits while there is a file C(while), and returns C(returns)
    or raises C(raises); or fails, the first C(fails) times."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        self._supports_async = True
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        args = self._task.args
        with Path(args["ledger"]).open("a", encoding="utf-8") as ledger:
            ledger.write("run\n")
        if "copies" in args:
            shutil.copytree(*args["copies"])
        while Path(args.get("while", "/nowhere")).exists():
            time.sleep(0.05)
        if "raises" in args:
            raise RuntimeError(args["raises"])
        if len(Path(args["ledger"]).read_text("utf-8").splitlines()) <= args.get("fails", 0):
            return {**result, "failed": True, "msg": "no luck"}
        return {**result, **args.get("returns", {})}
