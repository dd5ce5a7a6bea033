# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the integration tests on several releases of ansible-core, each on the newest Python here that fits it.

Options of pytest may be given, to run some of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pythons import pythons

ROOT = Path(__file__).resolve().parents[2]

# For each release, the Pythons of a controller, newest first
# (https://docs.ansible.com/ansible/latest/reference_appendices/release_and_maintenance.html#ansible-core-support-matrix).
MATRIX = {
    "2.16": ("3.12", "3.11", "3.10"),
    "2.19": ("3.13", "3.12", "3.11"),
    "2.20": ("3.13", "3.12"),
    "2.21": ("3.14", "3.13", "3.12"),
}

# To run these on the newest release is enough: the first ones hardly touch ansible-core; the others take minutes, and what they test
# is the same on every release. That it works there is shown by the tests of verification and of async_job, on managed hosts too.
ON_THE_NEWEST = (
    "test_approval.py",
    "test_artifact.py",
    "test_bad_records.py",
    "test_copy.py",
    "test_finished.py",
    "test_hostile_host.py",
    "test_hosts.py",
    "test_live_output.py",
    "test_object_storage_server.py",
    "test_oci_credentials.py",
    "test_oci_roles.py",
    "test_policies.py",
    "test_private_stores.py",
    "test_report.py",
    "test_report_html.py",
    "test_signed_records.py",
    "test_store_oci.py",
    "test_third_store.py",
    "test_worst_day.py",
    "test_cancel.py",
    "test_controllers.py",
    "test_fault_table.py",
    "test_waiting.py",
)
# What works on the oldest and on the newest release, works in between.
ON_BOTH_ENDS = (
    "test_async_job_verify.py",
    "test_commands.py",
    "test_inventory.py",
    "test_jobs.py",
    "test_prune.py",
    "test_role_load_verified.py",
    "test_roles.py",
    "test_scenarios.py",
    "test_show.py",
    "test_trust_approval.py",
    "test_trust_inventory.py",
    "test_trust_terminal.py",
    "test_users_in_records.py",
)
# Between two releases that run more, what each release does in its own way: it acts on keywords of results, and prints what has failed.
ON_ALL = ("test_secrets.py", "test_stored_results.py")
ONLY_THOSE = ("2.20",)
# More than there are cores: many tests mostly wait.
WORKERS = "4"


def main() -> int:
    """Return 0 if all releases that have a fitting Python here have passed, and at least one has."""
    available = pythons()
    verdicts = {}
    newest = [release for release, fitting in MATRIX.items() if not available.keys().isdisjoint(fitting)][-1]
    for release, fitting in MATRIX.items():
        version = next((version for version in fitting if version in available), None)
        if version is None:
            verdicts[release] = f"LEFT OUT: install one of Python {', '.join(fitting)}"
            continue
        print(f"\n=== ansible-core {release} on Python {version}", flush=True)
        environment = ROOT / ".build" / f"core-{release}"
        python = environment / "bin" / "python"
        if not (environment / "complete").exists():
            subprocess.run([available[version], "-m", "venv", "--clear", environment], check=True)
            requirements = ["--requirement", ROOT / "tests" / "requirements-matrix.txt", f"ansible-core~={release}.0"]
            subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
            (environment / "complete").touch()
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        left_out = () if release == newest else ON_THE_NEWEST if release == min(MATRIX) else (*ON_THE_NEWEST, *ON_BOTH_ENDS)
        ignored = [f"--ignore=tests/integration/{name}" for name in left_out]
        command = [
            python,
            "-m",
            "pytest",
            "-n",
            WORKERS,
            "--dist",
            "worksteal",
            "--durations",
            "15",
            *ignored,
            *(sys.argv[1:] or ([f"tests/integration/{name}" for name in ON_ALL] if release in ONLY_THOSE else ["tests/integration"])),
        ]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
        verdicts[release] = f"{'passed' if done.returncode == 0 else 'FAILED'} on Python {version}"
    print()
    for release, verdict in verdicts.items():
        print(f"ansible-core {release}: {verdict}")
    return 0 if all("FAILED" not in verdict for verdict in verdicts.values()) and "passed" in str(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
