# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of jobs that nobody has meant: what templates make of variables that hold nothing.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError

# An empty list or dictionary, between what else there is in a name
_EMPTY = re.compile(r"(?<![^\s_.:,;/|-])(\[\s*\]|\{\s*\}|\[\s*\{\s*\}\s*\])(?![^\s_.:,;/|-])")
_OMITTED = re.compile("__omit_place_holder__|<<Omit>>")
_UNDEFINED = re.compile(r"(AnsibleUndefined|\bUndefined\b|VARIABLE IS NOT DEFINED|<< error \d|\{\{.*\}\})")


def check_name(option: str, name: str) -> None:
    """Refuse a name of a job that came out of a template, and that nobody has written like that.

    :raises AsyncJobError: with the likely cause
    """
    empty = _EMPTY.search(name)
    if empty:
        what = f"an empty {'dictionary' if empty[0].startswith('{') else 'list'}"
        why = (
            "Some words are keywords or variables of Ansible itself, and have such a value when they are used as variables: 'environment',"
            " 'group_names', 'vars'. Give your variable another name, such as 'stage'"
        )
    elif _OMITTED.search(name):
        what = "what Ansible takes for a value that is left out"
        why = "'omit' leaves out whole options only: give a text in its place, or leave out the option"
    elif _UNDEFINED.search(name):
        what = (
            "the marks of a template that was not filled in"
            if "{{" in name
            else "what Ansible writes in place of a variable that is not defined"
        )
        why = "Define the variable that it names, or give a default; or choose a name without such words"
    else:
        return
    raise AsyncJobError(
        f"{option} is {name!r}, which holds {what}. Nothing was started or saved: all jobs whose names come out like that would be one."
        f" {why}."
    )
