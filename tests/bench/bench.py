# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles cost, compared with plain Ansible in the same run.

Both start a short job on every host with C(async) and C(poll=0), and ask C(async_status) for it once. With the roles, the
job is also looked for before and saved after; in a repeated run it is found, and so neither started nor saved. Plain Ansible
remembers nothing: its repeated run is its first run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from controller import Controller, build_and_install  # noqa: E402

START = """
    - name: Start
      ansible.builtin.command: /bin/true
      async: 600
      poll: 0
      register: job
"""
NATIVE = f"""
- name: bench
  hosts: all
  gather_facts: false
  tasks:
{START}
    - name: Check
      ansible.builtin.async_status:
        jid: "{{{{ job.ansible_job_id }}}}"
"""
ROLES = f"""
- name: bench
  hosts: all
  gather_facts: false
  tasks:
    - name: Load
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_load
      vars:
        async_job_load_job_name: bench
{START}
      when: not async_job_load_found
    - name: Save
      ansible.builtin.include_role:
        name: rstyczynski.ansible.async_job_save
      vars:
        async_job_save_job_name: bench
        async_job_save_ansible_job_id: "{{{{ job.ansible_job_id }}}}"
        async_job_save_results_file: "{{{{ job.results_file }}}}"
      when: not async_job_load_found
    - name: Check
      ansible.builtin.async_status:
        jid: "{{{{ async_job_load_found | ternary(async_job_load_ansible_job_id, job.ansible_job_id | default('')) }}}}"
"""


def measure(controller: Controller, playbook: Path, directory: str, *, ok: int) -> float:
    """The wall time of a playbook in seconds, after making sure that it did what it is measured for."""
    begin = time.perf_counter()
    ran = controller.playbook(playbook, "-e", f"async_job_state_dir={directory}").ok()
    seconds = time.perf_counter() - begin
    assert ran.recap("host1")["ok"] == ok, ran.output
    return seconds


def main() -> None:
    """Print a table of medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print("| hosts | run | native [s] | roles [s] | ratio (median, min to max) | target |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        build_and_install(ROOT, directory)
        controller = Controller(directory, directory)
        native, roles = controller.write("native.yml", NATIVE), controller.write("roles.yml", ROLES)
        for hosts in options.hosts:
            controller.hosts(*(f"host{number}" for number in range(1, hosts + 1)))
            times: dict[str, list[float]] = {"native": [], "first": [], "repeated": []}
            for turn in range(options.rounds + 1):
                state = str(directory / f"state-{hosts}-{turn}")
                turn_times = {
                    "native": measure(controller, native, state, ok=2),
                    "first": measure(controller, roles, state, ok=10),
                    "repeated": measure(controller, roles, state, ok=5),
                }
                if turn:  # the first one warms up
                    for run, seconds in turn_times.items():
                        times[run].append(seconds)
            for run, target in (("first", 1.3), ("repeated", 0.6)):
                ratios = [ours / theirs for ours, theirs in zip(times[run], times["native"], strict=True)]
                print(
                    f"| {hosts} | {run} | {statistics.median(times['native']):.2f} | {statistics.median(times[run]):.2f}"
                    f" | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                    f" | {f'≤ {target}' if hosts > 1 else '-'} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
