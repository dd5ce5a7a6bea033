#!/usr/bin/env bash
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Run scenario 1 until its job has been started, found and collected, and show what that leaves. The `make demo` target.
set -euo pipefail

scenario=rstyczynski.ansible.scenarios.scenario_01_idempotent_basic
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
export ANSIBLE_LOCALHOST_WARNING=0 ANSIBLE_INVENTORY_UNPARSED_WARNING=0

run() {
  printf '\n\033[1m%s\033[0m\n$ ansible-playbook %s -e job_duration=10\n' "$1" "$scenario"
  ansible-playbook "$scenario" -e job_duration=10 | tee output
}
show() {
  printf '\n\033[1mThe record of the job\033[0m\n$ cat %s\n' "$1"
  cat "$1"
}

run "The first run starts the job, which takes ten seconds."
grep -q 'has been started' output
record=$(find .ansible_async_state -name '*.json')
show "$record"

run "The second run finds it, and starts nothing."
grep -q 'was found and is running' output

# The job is over when its results file says so; no need to guess how long that takes.
results=$(sed -n 's/.*"results_file": "\(.*\)".*/\1/p' "$record")
for ((i = 0; i < 600; i++)); do
  if grep -q '"delta"' "$results"; then break; fi
  sleep 0.1
done

run "The third run, after the job has finished, collects it."
grep -q 'was found and has finished' output
show "$record"
printf '\n\033[1mOne job was started, in three runs.\033[0m\n'
