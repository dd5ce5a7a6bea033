#!/usr/bin/env bash
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What all tests need of the machine, beside Python packages. As root, where there is apt, it is installed. What then is still missing
# is said, one line each, with the command that installs it: that is an error, unless ALLOW_MISSING=1 says to go on without.
set -euo pipefail
cd "$(dirname "$0")"

# Print where a browser is, if there is one.
browser() {
  type -P chromium || type -P chromium-browser || type -P google-chrome
}

# Print a line for each thing that is missing.
missing() {
  ./hosts.sh check || true
  browser >/dev/null ||
    echo "A browser is missing, for the tests of pages: apt-get install --no-install-recommends chromium"
  type -P java >/dev/null ||
    echo "Java is missing, 17 or newer, for the tests of ansible-rulebook: apt-get install --no-install-recommends default-jre-headless"
  type -P promtool >/dev/null ||
    echo "promtool is missing, for the tests of metrics: apt-get install --no-install-recommends prometheus"
  "${PYTHON:-python3}" matrix.py missing
}

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

if [ "$(id -u)" = 0 ] && type -P apt-get >/dev/null && ! { ./hosts.sh check && browser && type -P java && type -P promtool; } >/dev/null; then
  packages=(acl iproute2 openssh-client openssh-server procps sudo util-linux)
  browser >/dev/null || packages+=(chromium)
  type -P java >/dev/null || packages+=(default-jre-headless)
  type -P promtool >/dev/null || packages+=(prometheus)
  # Debian asks this program whether to start the services of a package. We want the programs, but not that they run.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  # The lists of a machine may be too old, or not be there at all.
  install "${packages[@]}" || { apt-get update && install "${packages[@]}"; } || true
fi

lacking=$(missing)
[ "$lacking" ] || exit 0
echo "$lacking" >&2
if [ "${ALLOW_MISSING:-}" = 1 ]; then
  echo "The tests that need these things are left out, since ALLOW_MISSING is 1." >&2
else
  echo "Install these things, or leave out the tests that need them: make test ALLOW_MISSING=1" >&2
  exit 1
fi
