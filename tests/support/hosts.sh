#!/usr/bin/env bash
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Throw-away managed hosts h1, h2, ... on this machine: real OpenSSH in Linux namespaces, no container engine.
#
#   hosts.sh check                     say why this machine cannot have hosts, if it cannot
#   hosts.sh DIRECTORY COMMAND ...     the hosts whose keys, ssh_config and log are in that directory; each directory has others
#
#   up COUNT [VERSION=PREFIX ...]      make hosts, with these Python installations at /opt/python/VERSION
#   run COUNT [VERSION=PREFIX ...]     the same, print "ready", and stay until stdin ends
#   down                               stop all, and remove what it left, also after a crash
#   disconnect                         end the ssh masters of the controller
#   inventory [USER [PYTHON]]          lines of an inventory; users are root, op (sudo without password) and app (no rights)
#   exec HOST COMMAND ...              run something in a host as root, without ssh
#   way HOST                           what to put in front of a command for that, word by word; true until the host boots anew
#   off HOST ... | on HOST ...         cut the power | boot
#   reboot HOST ...                    both; the disk is kept, /tmp and /run are not
#   wipe HOST ...                      the same with empty /root and /home
#   renew HOST ...                     the same with an empty disk, a whole cable and no connections: as good as new
#   partition HOST [link|drop]         pull the cable | keep the link, lose all packets; until `heal`, also over reboots
#   heal HOST
#   fill HOST [BYTES]                  leave that much room below /root and /home, in whole blocks of 4096 bytes (default: none)
#   unfill HOST
#   hidepid HOST [LEVEL]               mount option of /proc (default 2: nobody sees processes of others; 0: undo), until a reboot
#
# All of it lives in one process with network, PID and mount namespaces of its own, the rig. When that ends, in whatever way, the
# kernel takes away every process, mount and interface. All that the machine sees of it is one interface, testhostsN, which leads
# to a bridge in the rig. Its name also reserves the subnet 198.18.N.0/24 (RFC 2544 has set that range aside for tests). The hosts
# have no route to anywhere else.
#
# A host is a set of namespaces inside the rig. Its file system is an overlay of this machine's: what is installed here is there
# too. This keeps accidents apart, not attackers: root in a host is root.
set -euo pipefail
umask 022
PATH=$PATH:/usr/sbin:/sbin

self=$(readlink -f "${BASH_SOURCE[0]}")
readonly self disk_size=128m ready_file=run/testhost-sshd.pid # in the host

die() {
  echo "hosts.sh: $*" >&2
  exit 1
}

# --- On the machine ---------------------------------------------------------------------------------------------------

check() {
  local program package packages=""
  if [ "$(uname -s)" != Linux ]; then
    echo "This is not Linux."
  elif [ "$(id -u)" != 0 ]; then
    echo "Only root can make hosts: run the tests as root."
  else
    while read -r program package; do
      [ -x "$(type -P "$program")" ] || [[ $packages\  == *" $package "* ]] || packages+=" $package"
    done <<END
ip iproute2
unshare util-linux
ps procps
sshd openssh-server
ssh openssh-client
sudo sudo
setfacl acl
END
    if [ "$packages" ]; then
      echo "Programs are missing: apt-get install$packages"
    elif ! unshare --mount --pid --net --uts --ipc --time --fork true 2>/dev/null; then
      echo "Namespaces are not permitted: run the tests on a virtual machine, or in a privileged container."
    elif ! unshare --mount --net bash -ec 'mount -t tmpfs tmpfs /tmp && cd /tmp && mkdir upper work root &&
      mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root' 2>/dev/null; then
      echo "Overlay mounts are not permitted: run the tests on a virtual machine, or in a privileged container."
    elif ! unshare --net bash -ec 'ip link add bridge type bridge && ip link add test0 type veth peer name test1' 2>/dev/null; then
      echo "The kernel has no network bridges or no veth interfaces: run the tests on another machine."
    else
      return 0
    fi
  fi
  return 1
}

# The process id of the rig. Another process may have got that id after a crash, so it has to look like one.
rig_pid() {
  local pid
  pid=$(cat "$directory/pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF " $directory _rig " && echo "$pid"
}

in_rig() {
  local pid command=$1
  shift
  pid=$(rig_pid) || die "there are no hosts in $directory"
  exec nsenter --target "$pid" --mount --pid "$self" "$directory" "_$command" "$@"
}

run() {
  local reason
  [[ ${1:-} =~ ^[0-9]+$ && $1 -ge 1 && $1 -le 200 ]] || die "how many hosts? 1 to 200"
  reason=$(check) || die "$reason"
  ! rig_pid >/dev/null || die "there are hosts in $directory already"
  remove
  mkdir -p "$directory/run"
  ln -s "$(mktemp --directory --tmpdir=/tmp)" "$directory/masters" # a path with room for the names of sockets
  ssh-keygen -q -t ed25519 -N '' -C testhosts -f "$directory/key"
  ssh-keygen -q -t ed25519 -N '' -C testhosts -f "$directory/host_key"
  exec 8</proc/self/ns/net # for the end of the cable that is outside
  exec unshare --mount --pid --net --fork --kill-child=KILL "$self" "$directory" _rig "$@"
}

# For somebody at a keyboard. A pipe that is open at both ends never ends.
up() {
  mkdir -p "$directory"
  rm -f "$directory/lifeline"
  mkfifo "$directory/lifeline"
  read -r _ < <(setsid "$self" "$directory" run "$@" <>"$directory/lifeline" 2>>"$directory/log") || {
    tail -n 5 "$directory/log" >&2
    exit 1
  }
}

# Masters outlive the power cut of a host, and the rig.
disconnect() {
  local master
  for master in "$directory"/masters/*; do
    [ ! -S "$master" ] || ssh -F none -o ControlPath="$master" -O exit any 2>/dev/null || rm -f "$master"
  done
}

remove() {
  local masters
  ! masters=$(readlink "$directory/masters") || rm -rf "$masters"
  rm -f "$directory"/{key,key.pub,host_key,host_key.pub,known_hosts,ssh_config,masters,pid,interface,lifeline}
  [ ! -d "$directory/run" ] || rmdir "$directory/run"
}

down() {
  local pid
  disconnect
  if pid=$(rig_pid); then
    # The kernel would do that too, but later. Of a rig that has crashed, it has: another may have the interface by now.
    [ ! -e "$directory/interface" ] || ip link del "$(<"$directory/interface")" 2>/dev/null || true
    kill -KILL "$pid" 2>/dev/null || true
    while [ -e "/proc/$pid" ]; do sleep 0.01; done
  fi
  remove
  rm -f "$directory/log"
}

# --- In the rig: its own root of processes, network and mounts. The working directory is a file system of its own -------

outside() { nsenter --net=/proc/self/fd/8 "$@"; }
rig_ip() { nsenter --net=/proc/1/ns/net ip "$@"; }
number() {
  [[ $1 =~ ^h([0-9]+)$ && -d $1 ]] || die "no such host: $1"
  echo "${BASH_REMATCH[1]}"
}
address() { echo "$(<subnet).$((10 + $(number "$1")))"; }
mac() { printf '02:00:00:00:00:%02x' "$(number "$1")"; }
hosts() { printf '%s\n' h* | sort -V; }

# The process id of the PID 1 of a host, if it is on
init_pid() {
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) && [ -e "/proc/$pid" ] && echo "$pid"
}

# What all hosts have on their disk from the start, above the files of this machine
image() {
  local python version prefix library lib user
  mkdir -p image/etc/ssh image/opt/python image/usr/lib
  [ ! -d /usr/lib64 ] || mkdir image/usr/lib64
  touch pythons
  for python; do
    version=${python%%=*} prefix=${python#*=}
    mkdir "image/opt/python/$version"
    echo "$version $prefix" >>pythons
    # An interpreter looks for its library where it was installed, and then where all are.
    for library in "$prefix/lib/libpython$version"*.so.*; do
      [ -e "$library" ] || continue
      for lib in image/usr/lib*; do ln -s "/opt/python/$version/lib/${library##*/}" "$lib"; done
    done
  done
  cp -p /etc/{passwd,shadow,group} image/etc
  sed -i '/^\(root\|op\|app\):/d' image/etc/shadow
  sed -i '/^\(op\|app\):/d' image/etc/{passwd,group}
  echo 'root:*:::::::' >>image/etc/shadow # neither a password nor locked
  for user in op:59001 app:59002; do
    echo "${user%:*}:x:${user#*:}:${user#*:}::/home/${user%:*}:/bin/bash" >>image/etc/passwd
    echo "${user%:*}:*:::::::" >>image/etc/shadow
    echo "${user%:*}:x:${user#*:}:" >>image/etc/group
  done
  printf '%s\n' 'Defaults secure_path="/usr/sbin:/usr/bin:/sbin:/bin"' 'root ALL=(ALL:ALL) NOPASSWD: ALL' 'op ALL=(ALL:ALL) NOPASSWD: ALL' >image/etc/sudoers
  chmod 440 image/etc/sudoers
  cp "$directory/host_key" image/etc/ssh/testhost_key
  chmod 600 image/etc/ssh/testhost_key
  cp "$directory/key.pub" image/etc/ssh/testhost_authorized_keys # not in the homes, which may get lost
  cat >image/etc/ssh/sshd_config <<END
HostKey /etc/ssh/testhost_key
AuthorizedKeysFile /etc/ssh/testhost_authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
PidFile /$ready_file
MaxStartups 200
MaxSessions 200
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
END
}

network() {
  local n host interface subnet
  for ((n = 0; n < 256; n++)); do
    interface=testhosts$n subnet=198.18.$n
    [ -z "$(outside ip -4 route show root "$subnet.0/24")" ] || continue # somebody else's
    ! outside ip link add "$interface" type veth peer name outside netns 1 2>/dev/null || break
  done
  ((n < 256)) || die "cannot make a network interface testhosts0 to testhosts255"
  echo "$interface" >"$directory/interface"
  echo "$subnet" >subnet
  ip link add bridge type bridge
  ip link set bridge up
  ip link set outside master bridge up
  echo "$subnet.* $(<"$directory/host_key.pub")" >"$directory/known_hosts"
  {
    echo "addr add $subnet.1/24 dev $interface"
    echo "link set $interface up"
    # A host that is off is silent. Without this, the machine itself would say soon that there is no route to it.
    for host in $(hosts); do echo "neigh replace $(address "$host") lladdr $(mac "$host") dev $interface nud permanent"; done
  } | outside ip -batch -
  {
    for host in $(hosts); do printf 'Host %s\n  HostName %s\n' "$host" "$(address "$host")"; done
    echo "Host *"
    printf '  %s\n' "IdentityFile \"$directory/key\"" "IdentitiesOnly yes" "UserKnownHostsFile \"$directory/known_hosts\"" \
      "GlobalKnownHostsFile none" "StrictHostKeyChecking yes"
  } >"$directory/ssh_config"
}

rig() {
  local count=$1 pid n
  shift
  read -r pid _ </proc/self/stat # as the outside has it, whose /proc this still is
  echo "$pid" >"$directory/pid"
  mount -t proc proc /proc
  mount -t tmpfs -o mode=755 tmpfs "$directory/run"
  cd "$directory/run"
  for ((n = 1; n <= count; n++)); do mkdir "h$n"; done
  image "$@"
  network
  # shellcheck disable=SC2046
  boot $(hosts)
  echo ready
  exec >&2
  read -r _ || true # until the one who wanted the hosts has gone
}

blank_disk() {
  mkdir -p "$1/disk"
  mount -t tmpfs -o "size=$disk_size,mode=755" tmpfs "$1/disk"
  mkdir -p "$1"/disk/{root,home/{op,app}}
  chmod 700 "$1/disk/root"
  chown 59001:59001 "$1/disk/home/op"
  chown 59002:59002 "$1/disk/home/app"
}

# As the cable is to be: a host that is booted while it is cut off stays so.
plug() {
  case $(cat "$1/partition" 2>/dev/null) in
    link) rig_ip link set "$1" master bridge down ;;
    drop) rig_ip link set "$1" nomaster up ;;
    *) rig_ip link set "$1" master bridge up ;;
  esac
}

# The uptime of a host begins at a whole second of ours. Without this, one would boot before its power was cut, by its clock.
next_second() {
  local before now
  read -r before _ </proc/uptime
  until read -r now _ </proc/uptime && [ "${now%.*}" != "${before%.*}" ]; do sleep 0.02; done
}

boot() {
  local host pid uptime deadline=$((SECONDS + 30))
  for host; do
    number "$host" >/dev/null
    [ -d "$host/disk" ] || { mkdir -p "$host"/{upper,work,root} && blank_disk "$host"; }
    rig_ip link del "$host" 2>/dev/null || true # if it went off by itself
    rm -f "$host/pid"
    read -r uptime _ </proc/uptime
    setsid unshare --net --pid --mount --uts --ipc --time --boottime="-${uptime%.*}" --fork --kill-child=KILL \
      "$self" "$directory" _boot "$host" </dev/null >>"$directory/log" 2>&1 8<&- &
  done
  for host; do
    until pid=$(init_pid "$host") && [ -e "/proc/$pid/root"/"$ready_file" ]; do
      ((SECONDS < deadline)) || die "$host does not boot: $(tail "$directory/log")"
      sleep 0.02
    done
  done
}

cut_power() {
  local host pid
  for host; do
    number "$host" >/dev/null
    pid=$(init_pid "$host") || continue
    rig_ip link del "$host" # first: no FIN, no RST of the dying processes gets out
    kill -KILL "$pid"
    while [ -e "/proc/$pid" ]; do sleep 0.01; done
  done
}

fill() {
  number "$1" >/dev/null
  cat /dev/zero >>"$1/disk/filler" 2>/dev/null || true
  truncate --size="-$(((${2:-0} + 4095) / 4096 * 4096))" "$1/disk/filler"
}

# The words that run a command in a host, one on each line, for whoever is in the rig
way() {
  local pid
  pid=$(init_pid "$1") || die "$1 is off"
  printf '%s\n' nsenter --target "$pid" --mount --uts --ipc --net --pid --time \
    env -i HOME=/root USER=root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

execute() {
  local words
  words=$(way "$1") || exit
  mapfile -t words <<<"$words"
  exec "${words[@]}" "${@:2}"
}

inventory() {
  local host
  for host in $(hosts); do
    echo "$host ansible_connection=ssh ansible_user=${1:-root} ansible_python_interpreter=${2:-/usr/bin/python3}" \
      "ansible_ssh_common_args='-F \"$directory/ssh_config\"' ansible_control_path_dir=$(readlink "$directory/masters")" \
      "ansible_async_dir=~/.ansible_async"
  done
}

# --- In a host, as its PID 1 --------------------------------------------------------------------------------------------

host() {
  local host=$1 root=$1/root pid name version prefix
  read -r pid _ </proc/self/stat # as the rig has it
  echo "$pid" >"$host/pid"
  rig_ip link add "$host" type veth peer name eth0 address "$(mac "$host")" netns 1
  plug "$host"
  printf '%s\n' "addr add $(address "$host")/24 dev eth0" "link set eth0 up" "link set lo up" | ip -batch -

  mount -t overlay -o "lowerdir=image:/,upperdir=$host/upper,workdir=$host/work" overlay "$root"
  mount --bind "$host/disk/root" "$root/root"
  mount --bind "$host/disk/home" "$root/home"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mkdir -p "$root"/run/{sshd,lock,before}
  while read -r version prefix; do
    mount --bind -o ro "$prefix" "$root/opt/python/$version"
  done <pythons
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t proc proc "$root/proc"
  cat /proc/sys/kernel/random/uuid >"$root/run/boot_id"
  mount --bind -o ro "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  mkdir "$root"/dev/{pts,shm}
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  for name in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${name%:*}" "$root/dev/${name#*:}"; done

  echo "$host" >/proc/sys/kernel/hostname
  echo "$host" >"$root/etc/hostname"
  printf '%s\n' "127.0.0.1 localhost" "127.0.1.1 $host" >"$root/etc/hosts"
  cd "$root"
  pivot_root . run/before
  umount --lazy run/before
  rmdir run/before
  # The shell reaps orphans, as an init does.
  # shellcheck disable=SC2016
  exec env -i LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    sh -c 'while :; do /usr/sbin/sshd -D -e; sleep 0.1; done'
}

if [ "${1:-}" = check ]; then
  check
  exit
fi
[ $# -ge 2 ] || {
  sed -n '/^#   hosts.sh/,/^# All/{/^# All/!s/^#  *//p}' "$self"
  exit 2
}
directory=$(readlink -m "$1") command=$2
shift 2
case $command in
  run | up | down | disconnect) "$command" "$@" ;;
  renew)
    "$0" "$directory" disconnect
    in_rig renew "$@"
    ;;
  way)
    pid=$(rig_pid) || die "there are no hosts in $directory"
    words=$("$0" "$directory" _way_within "$@")
    printf '%s\n' nsenter --target "$pid" --mount --pid "$words"
    ;;
  _way_within) in_rig way "$@" ;;
  inventory | exec | off | on | reboot | wipe | partition | heal | fill | unfill | hidepid) in_rig "$command" "$@" ;;
  _rig) rig "$@" ;;
  _*)
    cd "$directory/run"
    case $command in
      _boot) host "$1" ;;
      _inventory) inventory "$@" ;;
      _exec) execute "$@" ;;
      _way) way "$@" ;;
      _off) cut_power "$@" ;;
      _on)
        next_second
        boot "$@"
        ;;
      _reboot)
        cut_power "$@"
        next_second
        boot "$@"
        ;;
      _wipe)
        cut_power "$@"
        for host; do
          umount "$host/disk"
          blank_disk "$host"
        done
        next_second
        boot "$@"
        ;;
      _renew)
        cut_power "$@"
        for host; do
          umount "$host/disk"
          rm -rf "${host:?}"/{upper,work,root,disk,partition}
        done
        boot "$@"
        ;;
      _partition)
        case ${2:-link} in
          link | drop) echo "${2:-link}" >"$1/partition" ;;
          *) die "partition HOST [link|drop]" ;;
        esac
        plug "$1"
        ;;
      _heal)
        rm -f "$1/partition"
        plug "$1"
        ;;
      _fill) fill "$@" ;;
      _unfill) rm -f "$1/disk/filler" ;;
      _hidepid) execute "$1" mount -o "remount,hidepid=${2:-2}" /proc ;;
    esac
    ;;
  *) die "no such command: $command" ;;
esac
