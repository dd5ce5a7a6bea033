# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process group of a command: that which the time limit ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_WRAPPER = """
import os, subprocess, sys, time
if os.fork():
    os._exit(0)  # as a daemon is made: in a session whose leader has ended
module = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
time.sleep(0.3)  # a busy machine
{then}
module.wait()
"""
_MODULE = (
    "import os\n"
    "from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.command import join_group_of_wrapper\n"
    "wrapper = os.getppid()\n"
    "join_group_of_wrapper()\n"
    "open('begun', 'w').write(str(os.getpgrp() == wrapper))\n"
)


@pytest.mark.parametrize(
    ("then", "begun"), [("os.setpgid(0, 0)", "True"), ("os._exit(0)", None)], ids=["makes its group late", "has ended"]
)
def test_a_wrapper_that_is_slow(tmp_path: Path, then: str, begun: str | None) -> None:
    """Whoever is started before there is the group joins it; and begins nothing if nobody would end it any more."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", _WRAPPER.format(then=then), _MODULE],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as wrapper:
        assert wrapper.stderr is not None
        said = wrapper.stderr.read().decode()  # up to the end of both
    file = tmp_path / "begun"
    assert (file.read_text() if file.exists() else None) == begun, said
    assert ("was not started" in said) == (begun is None)
