# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the options of the store in the argument specifications of the roles from the documentation fragment of the modules.

Ansible has no fragments for roles, and YAML no references from one file to another. With no argument, write both files; a test holds
them against what is made.
"""

from __future__ import annotations

import ast
import re
import textwrap
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("async_job_load", "async_job_save")
MARK = "      # From here on made by tests/support/role_options.py. What it says is in plugins/doc_fragments/async_job_store.py.\n"


def fragment() -> dict[str, t.Any]:
    """Return the options of the documentation fragment."""
    tree = ast.parse((ROOT / "plugins/doc_fragments/async_job_store.py").read_text("utf-8"))
    [text] = [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION" and isinstance(node.value, ast.Constant)
    ]
    options: dict[str, t.Any] = yaml.safe_load(text)["options"]
    return options


def path_of(role: str) -> Path:
    """Return the argument specification of a role."""
    return ROOT / "roles" / role / "meta/argument_specs.yml"


def made(role: str) -> str:
    """Return what the argument specification of a role should be."""
    own, _mark, _rest = path_of(role).read_text("utf-8").partition(MARK)
    return own + MARK + "".join(_option(role, name, option) for name, option in fragment().items())


def _option(role: str, name: str, option: dict[str, t.Any]) -> str:
    text = f"      {role}_{name}:\n        description:\n"
    for paragraph in option["description"]:
        if not paragraph.startswith("Each of the options of the store"):  # which is said of each of them below
            text += textwrap.fill(
                _of_role(role, name, paragraph, option.get("default")),
                width=120,
                initial_indent="          - ",
                subsequent_indent="            ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            text += "\n"
    text += f"        type: {option['type']}\n"
    if "choices" in option:
        text += f"        choices: [{', '.join(option['choices'])}]\n"
    if "version_added" in option:
        text += f"        version_added: {option['version_added']}\n"
    return text


def _of_role(role: str, name: str, paragraph: str, default: t.Any) -> str:
    """Return a paragraph in the words of a role, whose options have other names, and no defaults, which would beat all else."""
    variables = re.findall(r"E\((\w+)\)", paragraph)
    if paragraph.startswith("Environment variable"):
        said = ", then ".join(f"E({variable})" for variable in variables)
        last = "" if default in (None, "") else f", then V({str(default).lower() if isinstance(default, bool) else default})"
        return f"Without it, the variable C(async_job_{name}) counts, then C(module_defaults), then the environment variable {said}{last}."
    paragraph = re.sub(r"O\(backend=(\w+)\)", r"V(\1)", paragraph)
    return re.sub(r"O\((\w+)(=[^)]*)?\)", lambda match: f"O(main:{role}_{match[1]}{match[2] or ''})", paragraph)


if __name__ == "__main__":
    for one in ROLES:
        path_of(one).write_text(made(one), "utf-8")
