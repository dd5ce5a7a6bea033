# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the integration tests on several releases of ansible-core, each on the newest Python here that fits it.

Options of pytest may be given, to run some of them; or the word C(environments), to do no more than make their environments; or
C(missing), to say for which releases there is no Python here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
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

# To run these on the newest release is enough: most of them hardly touch ansible-core, but stores, records, processes and pages; the
# others take minutes, and what they test is the same on every release. That it works there is shown by the tests of verification and of
# async_job, on managed hosts too. All that is not here runs on the oldest release as well: what works on both, works in between.
ON_THE_NEWEST = (
    "test_approval.py",
    "test_ara.py",
    "test_artifact.py",
    "test_bad_records.py",
    "test_cancel.py",
    "test_cancel_races.py",
    "test_commands.py",
    "test_controllers.py",
    "test_copy.py",
    "test_events.py",
    "test_fault_table.py",
    "test_finished.py",
    "test_flawed_records.py",
    "test_hostile_host.py",
    "test_hosts.py",
    "test_jobs.py",
    "test_live_output.py",
    "test_object_storage_server.py",
    "test_oci_credentials.py",
    "test_oci_roles.py",
    "test_once_more.py",
    "test_place.py",
    "test_policies.py",
    "test_private_stores.py",
    "test_prune.py",
    "test_readme.py",
    "test_report.py",
    "test_report_html.py",
    "test_report_runs.py",
    "test_role_load_verified.py",
    "test_runner.py",
    "test_scenarios.py",
    "test_secret_taken_away.py",
    "test_semaphore.py",
    "test_several.py",
    "test_show.py",
    "test_signed_records.py",
    "test_store_oci.py",
    "test_third_store.py",
    "test_together.py",
    "test_trust_approval.py",
    "test_trust_inventory.py",
    "test_users_in_records.py",
    "test_waiting.py",
    "test_workflow.py",
    "test_workflow_worst_day.py",
    "test_worst_day.py",
)
# Between both, what each release does in its own way: it acts on keywords of results, and prints what has failed. How jobs are started is
# in what is taken from the inside of ansible-core.
ON_ALL = ("test_ansible_inside.py", "test_secrets.py", "test_stored_results.py")
# On the newest pre-release: what is taken from the inside of ansible-core.
ON_THE_PRE_RELEASE = ("test_ansible_inside.py",)
PRE_RELEASE = "pre-release"
# More than there are cores: many tests mostly wait.
WORKERS = "6"

_REQUIREMENTS = str(ROOT / "tests" / "requirements-matrix.txt")
# The SDK takes longer to install than all else, and only these use it.
_WITH_SDK = ("2.16", "2.21")
# What only tests of ON_THE_NEWEST use.
_NEIGHBOURS = ROOT / "tests" / "requirements-neighbours.txt"
_WITH_NEIGHBOURS = ("2.21",)


def environment(release: str, interpreter: Path, *requirements: str, with_sdk: bool = False) -> Path:
    """Make a virtual environment for a release, if there is none. Return its interpreter."""
    directory = ROOT / ".build" / f"core-{release}"
    python = directory / "bin" / "python"
    if not (directory / "complete").exists():
        subprocess.run([interpreter, "-m", "venv", "--clear", directory], check=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        if with_sdk:
            # Of its 19,000 files, a hundred are ever imported: compile these.
            subprocess.run([*install, "--no-compile", "oci"], check=True)
            compiling = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            subprocess.run([python, "-c", "import oci.auth.signers, oci.object_storage"], env=compiling, check=True)
        subprocess.run([*install, "--requirement", _REQUIREMENTS, *requirements], check=True)
        (directory / "complete").touch()
    return python


def environment_of(release: str, interpreter: Path) -> Path:
    """Do that for one of the matrix."""
    python = environment(release, interpreter, f"ansible-core~={release}.0", with_sdk=release in _WITH_SDK)
    has, wanted = python.with_name("neighbours"), _NEIGHBOURS.read_text("utf-8")
    # Also in one that was made before there were any, or when there were fewer.
    if release in _WITH_NEIGHBOURS and (not has.exists() or has.read_text("utf-8") != wanted):
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", _NEIGHBOURS], check=True)
        has.write_text(wanted, "utf-8")
    return python


def run(python: Path, names: Sequence[str], left_out: Sequence[str]) -> bool:
    """Run tests with an interpreter: all, or those of these names, or those that the command line gives."""
    command = [python, "-m", "pytest", "-n", WORKERS, "--dist", "worksteal", "--durations", "15"]
    command += [f"--ignore=tests/integration/{name}" for name in left_out]
    command += sys.argv[1:] or [f"tests/integration/{name}" for name in names] or ["tests/integration"]
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False).returncode == 0


def try_pre_release(version: str, interpreter: Path) -> str:
    """Run what matters most on the newest pre-release for this Python, the newest one here. Return the verdict."""
    try:
        python = environment(PRE_RELEASE, interpreter, "ansible-core")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", "--pre", "ansible-core"], check=True)
    except subprocess.CalledProcessError:
        return f"LEFT OUT: pip could not install one for Python {version}"
    ask = "import ansible.release; print(ansible.release.__version__)"
    core = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    if core.replace(".", "").isdigit():
        return f"LEFT OUT: there is none for Python {version}, the newest one here, beyond the release {core}"
    print(f"\n=== ansible-core {core}, a pre-release, on Python {version}", flush=True)
    return f"{'passed' if run(python, ON_THE_PRE_RELEASE, ()) else 'FAILED'} with {core} on Python {version}"


def main() -> int:
    """Return 0 if all releases that have a fitting Python here have passed, and at least one has."""
    available = pythons()
    verdicts = {}
    here = [release for release, fitting in MATRIX.items() if not available.keys().isdisjoint(fitting)]
    if sys.argv[1:] == ["missing"]:
        for release, fitting in MATRIX.items():
            if release not in here:
                print(f"A Python for ansible-core {release} is missing, one of {', '.join(fitting)}: pyenv install {fitting[0]}")
        return 0
    if sys.argv[1:] == ["environments"]:
        for release in here:
            environment_of(release, available[next(version for version in MATRIX[release] if version in available)])
        return 0
    for release, fitting in MATRIX.items():
        version = next((version for version in fitting if version in available), None)
        if version is None:
            verdicts[release] = f"LEFT OUT: install one of Python {', '.join(fitting)}"
            continue
        print(f"\n=== ansible-core {release} on Python {version}", flush=True)
        python = environment_of(release, available[version])
        passed = run(python, ON_ALL if release in here[1:-1] else (), () if release == here[-1] else ON_THE_NEWEST)
        verdicts[release] = f"{'passed' if passed else 'FAILED'} on Python {version}"
    verdicts[PRE_RELEASE] = try_pre_release(*max(available.items(), key=lambda one: [*map(int, one[0].split("."))]))
    print()
    for release, verdict in verdicts.items():
        print(f"ansible-core {release}: {verdict}")
    return 0 if all("FAILED" not in verdict for verdict in verdicts.values()) and "passed" in str(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
