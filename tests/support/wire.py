# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of Ansible sends to its hosts over ssh: how often, how many bytes, and whether any of that is a file.

As a script, this stands for C(ssh) and C(sftp), and takes that down.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

_LEDGER = "LEDGER_OF_EXCHANGES"


class Exchange(t.NamedTuple):
    """Something that was sent to a host, before its answer."""

    is_file: bool
    """Whether it was a file, and not a command."""
    sent: int
    """In bytes: the command and what it got to read, or the file."""


class Wire:
    """Counts what is sent to hosts.

    :arg directory: for its files
    :arg environment: of the controller, which gets what makes it count
    """

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._ledger = directory / "exchanges"
        for name in ("ssh", "sftp"):
            file = directory / name
            file.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {shutil.which(name)} "$@"\n')
            file.chmod(0o755)
            environment[f"ANSIBLE_{name.upper()}_EXECUTABLE"] = str(file)
        environment[_LEDGER] = str(self._ledger)

    def taken(self) -> list[Exchange]:
        """Return what was sent since this was asked last."""
        if not self._ledger.exists():
            return []
        found = [Exchange(*json.loads(line)) for line in self._ledger.read_text().splitlines()]
        self._ledger.unlink()
        return found


def _pass_on(program: str, *arguments: str) -> int:
    """Run C(ssh) or C(sftp), and take down what it sends."""
    is_file = os.path.basename(program) == "sftp"
    sent = 0 if is_file else len(os.fsencode(arguments[-1]))
    if os.isatty(0):  # nobody writes anything there
        code = subprocess.run([program, *arguments], check=False).returncode
    else:
        process = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE)

        def pump() -> None:
            nonlocal sent
            assert process.stdin is not None
            while data := os.read(0, 1 << 16):
                words = data.split()
                sent += os.path.getsize(words[1]) if is_file and words[:1] == [b"put"] else 0 if is_file else len(data)
                try:
                    process.stdin.write(data)
                    process.stdin.flush()
                except BrokenPipeError:
                    break
            process.stdin.close()

        thread = threading.Thread(target=pump, daemon=True)
        thread.start()
        code = process.wait()
        thread.join(1)
    with open(os.environ[_LEDGER], "a", encoding="utf-8") as ledger:
        ledger.write(json.dumps([is_file, sent]) + "\n")
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_pass_on(*sys.argv[1:]))
