# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run C(ansible-test sanity) on a copy of this checkout.

ansible-test wants the collection in a directory C(ansible_collections/<namespace>/<name>), and downloads a script that puts
pip into its virtual environments. Where it cannot, a stand-in does that with the pip that comes with Python.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pythons import directories

ROOT = Path(__file__).resolve().parents[2]

STAND_IN = """
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip"])
options = [option for option in sys.argv[1:] if option not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", *options])
"""


def main() -> int:
    """Return the exit code of ansible-test, whose options are those of this script."""
    with tempfile.TemporaryDirectory(prefix="sanity-") as directory:
        copy = Path(directory, "ansible_collections", "rstyczynski", "ansible")
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listing.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes((ROOT / name).read_bytes())
                (copy / name).chmod((ROOT / name).stat().st_mode)
        # Its own Python, whatever else there is
        command = [str(Path(sys.executable).with_name("ansible-test")), "sanity", "--color", "no", *sys.argv[1:]]
        path = os.pathsep.join(map(str, [Path(sys.executable).parent, *directories()]))
        while True:
            done = subprocess.run(
                command,
                cwd=copy,
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            print(done.stdout, flush=True)
            missing = re.search(r"manually downloaded and saved to: (\S+)", done.stdout)
            if missing is None or Path(missing.group(1)).exists():
                return done.returncode
            Path(missing.group(1)).write_text(STAND_IN)


if __name__ == "__main__":
    sys.exit(main())
