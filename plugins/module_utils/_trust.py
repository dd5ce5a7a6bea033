# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from a record, a results file or a host is data. Here are the rules that it has to keep before anything is done with it.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import os
import re
import typing as t

# What useradd(8) of shadow 4.13 takes: letters, digits, underscores, dots and dashes, no dash in front, not only digits, perhaps a
# dollar at the end. Directory services add a domain, as DOMAIN\user, DOMAIN+user or user@domain (sssd.conf(5), smb.conf(5)).
_NAME = r"(?![0-9]+\$?\Z)(?!\.{1,2}\Z)[\w.][\w.-]{0,63}"
_USER = re.compile(rf"(?:{_NAME}\$?|{_NAME}(?:\\{{1,2}}|\+){_NAME}\$?|{_NAME}@{_NAME})\Z", re.ASCII)

# As Ansible's async actions make them: a random number, and that of a process.
_JOB_ID = re.compile(r"j[0-9]{1,30}\.[0-9]{1,10}\Z")

# The last part is of 32 hexadecimal digits, of which the first tell the store.
_ATTEMPT = re.compile(r"[0-9a-f]{32}\Z")


def is_user_name(text: t.Any) -> bool:
    """Return whether a text can be the name of a user, and nothing else: no option, no shell syntax, no second word."""
    return isinstance(text, str) and _USER.match(text) is not None


def is_job_id(text: t.Any) -> bool:
    """Return whether a text is a job id as Ansible makes them, and so the name of a file that cannot be any other."""
    return isinstance(text, str) and _JOB_ID.match(text) is not None


def is_plain_path(text: t.Any) -> bool:
    """Return whether a text is an absolute path in its shortest form, without characters that a terminal or a shell would act on."""
    return isinstance(text, str) and re.match("/[^/]", text) is not None and text.isprintable() and os.path.normpath(text) == text


def is_attempt_directory(text: t.Any) -> bool:
    """Return whether a path is one that C(async_job) gives to the directory of an attempt."""
    return is_plain_path(text) and _ATTEMPT.match(os.path.basename(text)) is not None
