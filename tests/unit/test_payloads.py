# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible sends to a host for each module that runs there: what belongs on hosts, and nothing of stores, records or pages."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

_BUILD = Path(__file__).parents[1] / "support" / "payload.py"
_OURS = "ansible_collections/rstyczynski/ansible/plugins/"
# How much code a host gets, in bytes, without what the interpreter passes over: documentation and comments.
_MOST = 72_000

_SPEC = {"module_utils/_backends.py", "module_utils/_options.py", "module_utils/_statuses.py"}
_JOB = {
    "module_utils/_clock.py",
    "module_utils/_trust.py",
    "module_utils/_host/attempt_directory.py",
    "module_utils/_host/attempt_files.py",
    "module_utils/_host/belonging.py",
    "module_utils/_host/job.py",
    "module_utils/_host/look.py",
    "module_utils/_host/processes.py",
    "module_utils/_host/results_file.py",
    "module_utils/_host/safely.py",
}
PAYLOADS = {
    "async_job": {*_SPEC, "module_utils/_errors.py", "module_utils/_host/attempt_files.py", "module_utils/_host/command.py"},
    "async_job_status": {*_SPEC, *_JOB, "module_utils/_host/look_and_output.py", "module_utils/_host/output.py"},
    "async_job_cancel": {*_SPEC, *_JOB, "module_utils/_errors.py", "module_utils/_host/cancel.py", "module_utils/_host/output.py"},
    "async_job_prune": {*_SPEC, *_JOB, "module_utils/_errors.py", "module_utils/_host/clear.py"},
}


@functools.cache
def built(collections: Path) -> dict[str, list[str]]:
    """The files that are sent for each module, as Ansible itself makes that up."""
    command = [sys.executable, str(_BUILD), str(collections), *PAYLOADS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return t.cast("dict[str, list[str]]", json.loads(done.stdout.splitlines()[-1]))


def code(source: str) -> str:
    """What the interpreter makes use of."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_documentation(line)] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _is_documentation(line: ast.stmt) -> bool:
    if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
        return line.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


@pytest.mark.parametrize("module", PAYLOADS)
def test_payload(module: str, collections: Path) -> None:
    """These files of ours, and no others; and not too much of them."""
    files = {name[len(_OURS) :] for name in built(collections)[module] if name.startswith(_OURS) and not name.endswith("__init__.py")}
    assert files == {*PAYLOADS[module], f"modules/{module}.py", f"module_utils/_modules/{module}.py"}
    sizes = {name: len(code((collections / _OURS / name).read_text("utf-8"))) for name in files}
    assert sum(sizes.values()) <= _MOST, sizes
