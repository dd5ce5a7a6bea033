# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that tasks of this collection share, written once.

The options of the stores come from the table of these. Their documentation is in the fragment C(async_job_store); a test holds the
two against each other.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _backends
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import STATUSES

Spec = _backends.Spec

# Where the records are, and who may have written them. Each kind of store has its own options, which are in its row of the table.
STORE_OPTIONS: Spec = {
    "backend": _backends.option("ASYNC_JOB_BACKEND", choices=list(_backends.BACKENDS), default="filesystem"),
    **{name: spec for backend in _backends.BACKENDS.values() for name, spec in backend.options.items()},
    "record_key_file": _backends.option("ASYNC_JOB_RECORD_KEY_FILE", type="path"),
}

# Where ansible-core keeps results files unless told otherwise: the default of the option async_dir of its shell plugins.
DEFAULT_ASYNC_DIR = "~/.ansible_async"

# Which job. Through Ansible, an action plugin fills in the host and the playbook.
JOB_OPTIONS: Spec = {
    "job_name": {"type": "str"},
    "playbook_name": {"type": "str"},
    "host": {"type": "str"},
}

# What to print meanwhile.
PROGRESS_OPTIONS: Spec = {
    "progress": _backends.option("ASYNC_JOB_PROGRESS", type="bool", default=True),
}

# What to look for. Beside these, C(host) and C(playbook_name).
USER_OPTIONS: Spec = {
    "become_recorded_user": {"type": "bool", "default": False},
}

FILTERS: Spec = {
    "job_name_pattern": {"type": "str"},
    "status": {"type": "list", "elements": "str", "choices": list(STATUSES)},
    "older_than": {"type": "str"},
    "newer_than": {"type": "str"},
}
