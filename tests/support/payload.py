# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build what Ansible sends to a host for modules of the collection, and print, as JSON, which files that is."""

from __future__ import annotations

import base64
import inspect
import io
import json
import re
import sys
import typing as t
import zipfile

from ansible.executor.module_common import modify_module
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, module_loader, shell_loader
from ansible.template import Templar


def payload(module: str) -> list[str]:
    """Return the names of the files that are sent for a module."""
    options: dict[str, t.Any] = {
        "module_name": module,
        "module_path": module_loader.find_plugin_with_context(module).plugin_resolved_path,
        "module_args": {},
        "templar": Templar(DataLoader()),
        "task_vars": {"ansible_python_interpreter": sys.executable, "inventory_hostname": "localhost"},
        "module_compression": "ZIP_DEFLATED",
        "shell_plugin": shell_loader.get("sh"),
    }
    known = inspect.signature(modify_module).parameters
    built = modify_module(**{name: value for name, value in options.items() if name in known})
    source: bytes = built[0] if isinstance(built, tuple) else built.b_module_data
    # The longest text without a blank is the archive.
    archive = max(re.findall(rb"[A-Za-z0-9+/\n]+=*", source), key=len)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))) as files:
        return files.namelist()


if __name__ == "__main__":
    init_plugin_loader([sys.argv[1]])
    print(json.dumps({module: payload(f"rstyczynski.ansible.{module}") for module in sys.argv[2:]}))
