# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the protocol of :mod:`exactly_once` asks of the managed host: a few lines for its shell, one exchange each.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import collections
import os
import re
import secrets
import shlex
import typing as t
import uuid

from ansible.errors import AnsibleError

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK, MARKERS, mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.job_file import (
    JOBS,
    NEVER_BEGAN,
    Found,
    folder_of,
    hash_of_host,
    name_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.place import FIELDS, PLACE_FILE, SALT, Place, elsewhere
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import (
    Fields,
    Record,
    key_of,
    marked_key,
    merged,
    without,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import (
    is_attempt_directory,
    is_job_id,
    is_plain_path,
    is_user_name,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._cancelling import CancellingAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._foreign import OF_THE_TASK, new_name, record_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._heard import heard_found, heard_list, heard_text
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import ProgramFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask, Launched, LaunchFailed
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._time_limit import time_limit

# Lines for us begin with this: a host may print others when somebody logs in.
SAYS = "async_job:"
# For how long a wrapper that is there may take to say that it has started the job, in tenths of a second.
PATIENCE = 100
# How long what an attempt has left behind may take to end, in seconds, before it is killed.
_GRACE = 10
# How often to look again if an attempt that cannot be fenced shows no job either.
_LOOKS = 5

# What place.py makes out when somebody looks, said by a shell. $p is the directory that holds those of attempts.
_PLACE = f"""
echo "{SAYS}boot_id=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
i=$(tr -d '[:space:]' </etc/machine-id 2>/dev/null)
[ -z "$i" ] || echo "{SAYS}machine_id=$(printf '%s%s' "$i" {SALT} | sha256sum 2>/dev/null | cut -c1-32)"
echo "{SAYS}nodename=$(uname -n)"
echo "{SAYS}pid_namespace=$(readlink /proc/self/ns/pid 2>/dev/null)"
echo "{SAYS}pid_1_start=$(sed 's/^.*) //' /proc/1/stat 2>/dev/null | cut -d ' ' -f 20)"
echo "{SAYS}time=$(date +%s)"
echo "{SAYS}up=$(cut -d . -f 1 /proc/uptime 2>/dev/null)"
f=$p/{PLACE_FILE}
[ ! -f "$f" ] || [ -L "$f" ] || echo "{SAYS}directory=$(dd bs=64 count=1 <"$f" 2>/dev/null | tr -dc 0-9a-f)"
q=$p
while [ ! -d "$q" ] && [ -n "$q" ]; do q=${{{{q%/*}}}}; done
n='  *[0-9-][0-9-]*'
echo "{SAYS}mount=$(df -P "${{{{q:-/}}}}" 2>/dev/null | sed -n "2s/^.*$n$n$n$n%* *//p")"
"""

# Where others may put and replace files, in that directory or in one above it, nobody can tell whose an attempt is. That is looked at
# before anything is made there, link by link, and then where these lead.
PREPARE = f"""
d={{directory}}
check() {{{{
  p=$1
  while :; do
    set -- $(ls -nd "$p" 2>/dev/null)
    who=
    case $1 in d????w???[!tT]*)
      # A group that has the number or the name of a user is that user's own.
      g=$(ls -ld "$p" 2>/dev/null | awk '{{{{ print ($3 == $4) }}}}')
      [ "$3" = "$4" ] || [ "$4" = 0 ] || [ "$g" = 1 ] || who="Whoever is in the group with the id $4"
      ;;
    esac
    # With an access control list, that is the most that any of its entries has.
    case $1 in d????w???[!tT]+*) who="Whoever its access control list names" ;; esac
    case $1 in d???????w[!tT]*) who=Everybody ;; esac
    [ -z "$1" ] || [ "$3" = 0 ] || [ "$3" = "$(id -u)" ] || who="Another user, with the id $3,"
    [ -z "$who" ] || {{{{ printf '{SAYS}writable=%s may write to %s\\n' "$who" "$p"; exit 0; }}}}
    case $p in */*) p=${{{{p%/*}}}} ;; *) break ;; esac
    [ -n "$p" ] || break
  done
}}}}
case $d in /*) ;; *) d=$(pwd)/$d ;; esac
[ -d "$d" ] && known=$d || known=
check "$d"
(umask 022; mkdir -p "$d") && cd "$d" && printf '{SAYS}above=%s\n' "$(pwd -P)"
[ "$(pwd -P)" = "$known" ] || check "$(pwd -P)"
# One that is empty was made when the disk was full.
[ -s {PLACE_FILE} ] || (
  umask 022; set -C; t={PLACE_FILE}.$$
  echo {{new}} >"$t" && [ -s "$t" ] && {{{{ [ ! -f {PLACE_FILE} ] || [ -s {PLACE_FILE} ] || rm -f {PLACE_FILE}; ln "$t" {PLACE_FILE}; }}}}
  rm -f "$t"
) 2>/dev/null
p=$(pwd -P)
# Of the jobs that are to be started: under which names of hosts they are noted
for f in {{folders}}; do
  ls "$p/{JOBS}$(id -u)/$f" 2>/dev/null | sed -n 's/^\\([0-9a-f]\\{{{{32\\}}}}\\)\\.[0-9]*$/{SAYS}noted=\\1/p'
done
{_PLACE}
"""

# All work goes through the directory above that of the attempt, which is entered once: whoever may put links there leads nobody away.
_ENTER = """
d={attempt}
m={mark}
s={same_mark}
a=${{d##*/}}
p=${{d%/*}}
here=
cd "${{p:-/}}" 2>/dev/null && {{ [ "$(pwd -P)" = "${{p:-/}}" ] && here=yes || here=elsewhere; }}
"""

# Where the directory above is gone, it is made anew, for a fence to stand in.
_MAKE_ABOVE = """
d={attempt}
mkdir -p "${{d%/*}}"
"""

# What is there has to be a directory that says whose it is. The former release did not write that, and a power cut may have lost it:
# then nobody but its owner may enter it.
_CHECK = f"""
{_ENTER}
whose=
if [ "$here" = elsewhere ] || [ -L "$a" ]; then whose=another
elif [ -n "$here" ] && [ -d "$a" ]; then
  f=$a/{MARK}
  if [ -L "$f" ] || {{{{ [ -e "$f" ] && [ ! -f "$f" ]; }}}}; then whose=another
  elif [ -s "$f" ]; then case $(dd bs=65536 count=1 <"$f" 2>/dev/null) in "$m" | "$s") whose=ours ;; *) whose=another ;; esac
  else case $(ls -ld "$a") in drwx------*) whose=unsaid ;; *) whose=another ;; esac
  fi
fi
if [ "$whose" = another ]; then echo {SAYS}foreign=yes; exit 0; fi
"""

# A process of an attempt has its directory in one of these.
_GREP = " ".join(f'-e "{name}=$d"' for name in MARKERS)

# The results file is called after the job id; the output of a command is there too, under other names.
# A wrapper that was told the directory, and has not written its results file yet, may be about to.
INSPECT = f"""
{_CHECK}
set -- $(ls -nd ${{{{here:+"$a"}}}} 2>/dev/null)
[ -n "$here" ] && [ -n "$3" ] && o=$3 || o=$(id -u)
# Anybody may tell their own processes the same: those that the user has started who has the directory, or would have it, count.
running() {{{{
  find /proc/[0-9]*/environ -prune -user "$o" -exec grep -lsF {_GREP} -- {{{{}}}} + 2>/dev/null | while read -r f; do
    grep -s "^Uid:[[:space:]]*$o[[:space:]]" "${{{{f%environ}}}}status"
  done
}}}}
n={{waited}}
while :; do
  jobs=
  for f in ${{{{here:+"$a"/j[0-9]*}}}}; do
    [ -f "$f" ] || continue
    f=${{{{f##*/}}}}
    case $f in
      *[!j0-9.]*) ;; # what is unfinished, or somebody else's, whose name could say anything
      *) jobs=yes; printf '{SAYS}job=%s\\n' "$f" ;;
    esac
  done
  [ -z "$jobs" ] || break
  [ -n "$(running)" ] || break
  if [ $n -ge {PATIENCE} ]; then echo {SAYS}stuck=yes; break; fi
  n=$((n + 1))
  sleep 0.1 2>/dev/null || sleep 1
done
# What its fence says (NEVER_BEGAN)
if [ "$here" = yes ] && [ -f "$a" ] && [ ! -L "$a" ] && [ -O "$a" ]; then
  case $(ls -ld "$a") in -r--------*) echo {SAYS}never_began=yes ;; esac
fi
# Of a job that was started in another boot than its place was chosen in, a process tells.
[ -z "$jobs" ] || [ {{boot}} = "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)" ] || [ -z "$(running)" ] || echo {SAYS}alive=yes
{_PLACE}
"""

# Nothing runs that could still need what is unfinished. If a job has appeared meanwhile, rmdir fails, and the file cannot be made.
FENCE = f"""
{_CHECK}
[ -z "$whose" ] || (cd "$a" && [ "$(pwd -P)" = "$d" ] && rm -f ./*.tmp ./{MARK})
[ -n "$here" ] || cd / # so that nothing is found by that name
rmdir "$a" 2>/dev/null || [ ! -d "$a" ] || {{{{
  # Whose directory it is, may put a link there meanwhile: a file is moved in its place (-T: not into what it leads to).
  t=$(mktemp) && printf '%s\\n' "$m" >"$t" && chmod 0644 "$t"
  (cd "$a" && [ "$(pwd -P)" = "$d" ] && mv -n -T "$t" ./{MARK} 2>/dev/null); rm -f "$t"
}}}}
e="something else is there"
[ -e "$a" ] || [ -L "$a" ] || {{{{
  umask {{umask}}
  e=$( ([ -n "$here" ] || cd "$p" || exit; set -C; printf '%s\\n' "$m" >"$a") 2>&1) && {{{{ sync . 2>/dev/null || sync; }}}}
}}}}
if [ -f "$a" ] && [ ! -L "$a" ]; then echo {SAYS}fenced=yes; else printf '{SAYS}problem=%s\\n' "$e"; fi
"""

# What the host has noted of the job, if that is this attempt
_FORGET = f"""
(
  cd "${{{{p:-/}}}}/{JOBS}$(id -u)" || exit
  grep -lF "$a" ./{{folder}}/{{file}}.* | xargs rm -f
  rmdir ./{{folder}} && cd .. && rmdir "./{JOBS}$(id -u)"
) 2>/dev/null
"""

# Only what we have put there ourselves.
_TAKE_FENCE_AWAY = f"""
{_ENTER}
if [ "$here" = yes ] && [ -f "$a" ] && [ ! -L "$a" ] && [ -O "$a" ]; then
  case $(dd bs=65536 count=1 <"$a" 2>/dev/null) in "$m" | "$s") rm -f "./$a" ;; esac
fi
{_FORGET}
"""

# The wrapper of a job that has just ended may still be writing there.
_REMOVE = f"""
{_CHECK}
[ -n "$whose" ] || {{{{ echo {SAYS}removed=yes; exit 0; }}}}
# Of what does not say that it is ours, only what we would have put there.
if [ "$whose" = unsaid ]; then
  [ -O "$a" ] || {{{{ echo {SAYS}foreign=yes; exit 0; }}}}
  (cd "$a" && [ "$(pwd -P)" = "$d" ] && rm -f ./j[0-9]* ./stdout ./stderr ./result ./result.tmp ./{MARK})
  rmdir "$a" && echo {SAYS}removed=yes
  exit 0
fi
rm -rf "./$a" 2>/dev/null || {{{{ sleep 1; rm -rf "./$a"; }}}} && echo {SAYS}removed=yes
"""


def new_job() -> str:
    """Return a fresh job id, without its last number."""
    return f"j{secrets.randbelow(10**12)}"


class Noted(t.NamedTuple):
    """What a host is to note of an attempt."""

    content: str
    known: list[str]
    """The directories of attempts that may be replaced by it, and the files of such."""


class AttemptAction(CancellingAction):
    """An action that starts attempts of jobs, each in a directory of its own."""

    programs = (*CancellingAction.programs, "_host.make_directory", "_host.start", "_host.command")

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._fences: collections.Counter[str] = collections.Counter()
        """How often it was tried to fence an attempt, by its directory."""
        self._seen: dict[str, exactly_once.Seen] = {}
        """What launches have seen of their attempts, by their directories."""
        self.others: set[str] = set()
        """The names of files of jobs on the host that are others: those of hosts of the inventory that are the same machine."""
        self._made: set[str] = set()
        """The directories of attempts that hosts have made."""

    @property
    def knows_breaks(self) -> bool:
        """Whether a connection that has broken is told from a command that has failed."""
        return str(self._connection.transport) in ("ssh", "local", "paramiko", "paramiko_ssh")

    def accepts(self, answer: dict[str, t.Any]) -> bool:
        """Return whether C(failed_when) of the task says of a job that has failed that it has not.

        A condition that cannot be told starts nothing: Ansible fails for it when it is asked about the end of the task.
        """
        conditions = [one for one in self._task.failed_when or () if not isinstance(one, bool)]
        if not conditions or self._task.args.get("jobs") is not None:
            return False
        name = self._task.register
        try:
            return not _ansible.are_true(self, conditions, self._task_vars, {name: answer} if isinstance(name, str) else {})
        except AnsibleError:
            return True

    def prepare(self, key: JobKey, store: str, timeout: float) -> Fields:
        """Choose a place for a new attempt. Return the fields of the record that say where and as whom it lives, and in which boot.

        :arg store: the place of its store
        """
        return self._prepared(key, store, self._ask_for_place(PREPARE, timeout, folders=self._folder(key)))

    def is_direct(self, key: JobKey) -> bool:
        """Return whether a job is that of the host where it runs, under its name in the inventory. Whoever delegates it to that host
        itself says nothing new."""
        return self.host == key.host

    def _folder(self, key: JobKey) -> str:
        return folder_of(key.path, is_direct=self.is_direct(key))

    def is_known_host(self, name: str) -> bool:
        """Return whether the inventory has a host of this name, or the play: the localhost that is in no inventory may be in that."""
        return name in self._known_hosts()

    def _known_hosts(self) -> set[str]:
        return {*self._task_vars["groups"]["all"], *self._task_vars.get("ansible_play_hosts_all", ())}

    def _note_others(self, said: dict[str, list[str]]) -> None:
        """Note which of the files that the host has are those of other hosts of the inventory."""
        noted = set(said.get("noted", ())) - self.others
        if noted - {hash_of_host(_segment(self.host))}:
            self.others |= noted & {hash_of_host(_segment(name)) for name in self._known_hosts()}

    def _ask_for_place(self, script: str, timeout: float, **words: str) -> dict[str, list[str]]:
        self.users.become("")
        words.update(directory=_quoted(self.async_dir), new=uuid.uuid4().hex)
        said = self._shell(script, timeout, **words)
        if not said.keys() & {"above", "writable"} and re.search("tty|terminal", said["error"][0]):
            self._terminal = True
            said = self._shell(script, timeout, **words)
        return said

    def _prepared(self, key: JobKey, store: str, said: dict[str, list[str]]) -> Fields:
        """Return what C(prepare) returns, of what the host has said."""
        if "writable" in said:
            raise AsyncJobError(
                f"{said['writable'][0]} on {self.host}, and so replace what is in {self.async_dir} (async_dir)."
                " Nothing was started. Take that right away, or give another async_dir."
            )
        self._note_others(said)
        directory = said.get("above", [""])[0]
        if not directory.startswith("/") or not directory.isprintable():
            raise AsyncJobError(f"The directory {self.async_dir} (async_dir) cannot be used on {self.host}: {said['error'][0]}")
        attempt_dir = f"{directory.rstrip('/')}/{new_name(store)}"
        place = _place_said(said)
        fields: Fields = {"async_dir": attempt_dir, "attempt_dir": attempt_dir, "boot_id": place.get("boot_id", ""), "place": place}
        return {**fields, **self._as_whom_and_where(is_direct=self.is_direct(key))}

    def _as_whom_and_where(self, *, is_direct: bool) -> Fields:
        """Return the fields of a record that say as whom this task works, and on which host if that is not the job's own."""
        fields: Fields = {}
        users = {name: user for name, user in zip(("remote_user", "become_user"), self.users.of_task(), strict=True) if user}
        if all(map(is_user_name, users.values())):  # C(become_user: "#1000") works for sudo, and is no name that a record may have
            fields.update(users)
        if not is_direct:
            fields["delegated_host"] = self.host
        return fields

    def make_directory(self, record: Record, noted: Noted, timeout: float) -> Found | None:
        """Make the directory of an attempt, if there is nothing by its name, and the host has not noted an attempt of the job that nobody
        knows. Return that.

        :arg noted: what the host is to note of this one
        """
        [answer] = self._make_on_host([self._to_make(record, noted)], timeout)
        return self._found_there(record, answer)

    def _to_make(self, record: Record, noted: Noted) -> dict[str, t.Any]:
        """Return what a program on the host needs to make the directory of an attempt."""
        key = marked_key(record).path
        return {
            **noted._asdict(),
            "attempt_dir": record["attempt_dir"],
            "key": key,
            "is_direct": "delegated_host" not in record,
            "mark": self._mark_of(record),
            "others": sorted(self.others - {name_of(key)}),
        }

    def _make_on_host(self, attempts: list[dict[str, t.Any]], timeout: float) -> list[dict[str, t.Any]]:
        self.users.become("")
        if self._task.no_log:
            _ansible.hide_from_log(self)
        with self._as_terminal():
            try:
                done = self.on_host("_host.make_directory", {"attempts": attempts}, timeout=timeout)
            except ProgramFailed as error:  # so the job would not run either
                raise LaunchFailed(error.result) from error
        return heard_list(done, "made", len(attempts))

    def _found_there(self, record: Record, answer: dict[str, t.Any]) -> Found | None:
        """Return what C(make_directory) returns, of what the host has said."""
        found = heard_found(answer.get("found"))
        if found is not None:
            return found
        problem, warning = heard_text(answer.get("problem")), heard_text(answer.get("warning"))
        if problem:
            raise AsyncJobError(f"The directory {record['attempt_dir']} cannot be made on {self.host}: {problem}")
        if warning:
            self.notify(f"{self.host} cannot note which attempt is the last one of a job, for other stores to find it: {warning}.")
        self._made.add(record["attempt_dir"])
        return None

    def record_noted(self, found: Found) -> Record:
        """Return the record of an attempt that the host has noted for the user that this task works as.

        :raises AsyncJobError: if it is none
        """
        record = record_of(found, self.host)
        is_direct = folder_of(key_of(record).path, is_direct=True) == os.path.basename(os.path.dirname(found.path))
        return merged(without(record, OF_THE_TASK), self._as_whom_and_where(is_direct=is_direct))

    def launch(self, task: InnerTask, record: Record, noted: Noted, timeout: float) -> Fields | dict[str, t.Any] | Found:
        """Start the job of an attempt, as the user that the task says. What Ansible says of the start proves nothing, but for two things:
        if something in between has chosen another directory, the job is there. Return the fields of the record that say so. And if the
        action has done the work itself, that was it. Return what it returned under C(result), and nothing else.

        If the directory of the attempt has not been made before, it is made here. Return what C(make_directory) returns if that is
        something: then nothing was started.

        :arg timeout: in seconds. Work that the action does itself may take as long as the job
        """
        self.users.become("")
        if self._is_quick(task, record):
            return self._start(task, record, noted, timeout) or {}
        found = None if record["attempt_dir"] in self._made else self.make_directory(record, noted, timeout)
        if found is not None:
            return found
        with self._as_terminal(), time_limit(timeout + (record["timeout"] if task.own_work else 0)):
            launched = task.launch(record["attempt_dir"])
        return self._launched(record, launched)

    def makes_directory_at_launch(self, task: InnerTask, record: Record) -> bool:
        """Return whether the launch of an attempt makes its directory, too, in the same exchange."""
        return self._is_quick(task, record)

    def _is_quick(self, task: InnerTask, record: Record) -> bool:
        """Return whether a program of ours starts a job: a command, on Linux."""
        return task.can_be_quick and bool(record.get("boot_id")) and self.goes_through_connection()

    def _start(self, task: InnerTask, record: Record, noted: Noted, timeout: float) -> Found | None:
        """Make the directory of an attempt and start its job there, in one exchange, and take down what is there then. Return what
        C(make_directory) returns."""
        if self._task.no_log:
            _ansible.hide_from_log(self)
        # Where all jobs have ended, nobody needs it.
        from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._program import program

        attempt_dir, job = record["attempt_dir"], new_job()
        arguments = {
            "attempt": self._to_make(record, noted),
            "job": job,
            "limit": record["timeout"],
            "module": program(*task.module_of_command(attempt_dir)).decode("ascii"),
        }
        # It is the wrapper of the job itself, and has the name of one. A start that is repeated would run the job twice.
        words = (f"{attempt_dir}/async_wrapper.py", job, str(record["timeout"]))
        with (
            _ansible.connection_option(self._connection, "reconnection_retries", 0),
            _ansible.in_environment(self._task, dict.fromkeys(MARKERS, attempt_dir)),
        ):
            try:
                said = self.on_host("_host.start", arguments, timeout=timeout, may_repeat=False, words=words)
            except ProgramFailed as error:
                raise LaunchFailed(error.result) from error
        found = self._found_there(record, said)
        if found is not None:
            return found
        self._has_started(record, [said.get("job_id")], said)
        return None

    def _has_started(self, record: Record, jobs: t.Any, said: dict[str, t.Any]) -> None:
        """Take down that a command has started.

        :arg jobs: see C(_take_down)
        :raises LaunchFailed: if our wrapper says that it has not
        """
        reason = heard_text(said.get("reason"))
        if reason:
            raise LaunchFailed({"msg": f"The job could not be started on {self.host}: {reason}"})
        self._take_down(record, jobs, said)

    def _take_down(self, record: Record, jobs: t.Any, said: dict[str, t.Any]) -> None:
        """Take down that a launch has seen its job started, for whoever inspects the attempt next: a job that has started stays so. All
        else that it may say is looked at.

        :arg jobs: those that are in the directory of the attempt, as the host says
        :arg said: what it has said when it has made that
        """
        if isinstance(jobs, list) and len(jobs) == 1 and is_job_id(jobs[0]) and said.get("boot_id") == record.get("boot_id"):
            self._seen[record["attempt_dir"]] = exactly_once.Seen(jobs[0])

    @staticmethod
    def _launched(record: Record, launched: Launched) -> Fields | dict[str, t.Any]:
        """Return what C(launch) returns, of what has come of it."""
        job_id, directory, result = launched
        if result is not None:
            return {"result": result}
        if not is_job_id(job_id) or not is_plain_path(directory) or directory == record["attempt_dir"]:
            return {}
        return {
            **dict.fromkeys(("attempt_dir", "stdout_file", "stderr_file")),
            "ansible_job_id": job_id,
            "async_dir": directory,
        }

    def inspect(self, record: Record, timeout: float) -> exactly_once.Seen:
        """Look into the directory of an attempt, unless its launch has just done so. Return what is there."""
        seen = self._seen.pop(record["attempt_dir"], None)
        if seen is not None:
            return seen
        self._work_as_user_of(record)
        boot = shlex.quote(record.get("boot_id", ""))
        said = self._in_attempt(INSPECT, record, timeout + PATIENCE / 10, boot=boot, waited="0")
        return self._inspected(record, said, timeout)

    def _inspected(self, record: Record, said: dict[str, list[str]], timeout: float) -> exactly_once.Seen:
        """Return what C(inspect) returns, of what the host has said."""
        attempt_dir = record["attempt_dir"]
        jobs = [name for name in said.get("job", []) if is_job_id(name)]
        if "boot_id" not in said:
            raise AsyncJobError(f"Cannot look into {attempt_dir} on {self.host}, to see whether the job was started: {said['error'][0]}")
        if len(jobs) > 1:
            raise AsyncJobError(
                f"{attempt_dir} on {self.host} holds the results files of several jobs ({', '.join(jobs)}), where only one was started."
                " Nothing was started. Find out who has put them there, and leave the right one."
            )
        if "stuck" in said:
            raise AsyncJobError(
                f"Processes on {self.host} belong to {attempt_dir}, where there is no results file. So nobody can tell whether the job was"
                f" started. Nothing was started. Look at those that have {MARKERS[0]} set to that directory in their environment;"
                " when they have ended, run the playbook once more."
            )
        found, noted = _place_said(said), record.get("place", {})
        boot = found.get("boot_id", "")
        if jobs:
            if "alive" not in said or not boot:
                return exactly_once.Seen(jobs[0])
            # Nobody knows when it was started in that boot.
            return exactly_once.Seen(jobs[0], place={"boot_id": boot, "place": {**noted, **found, "up": 0}})
        up = said.get("up", [""])[0]
        where = elsewhere(noted, found, found.get("time", 0) - int(up) if up.isdecimal() and len(up) < 16 else 0)
        if where:
            raise AsyncJobError(
                f"Nobody can tell whether the job was started ({attempt_dir} on {self.host}): {where}. Nothing was started. Let"
                " the name lead to the right machine; or, once you are sure that the job does not run, remove its record (async_job_state"
                " with state: absent and force: true)."
            )
        lost = ""
        if boot != record.get("boot_id", ""):
            lost = f"{self.host} rebooted while the job was being started; whether it ran cannot be proven"
        elif noted.get("directory") and found.get("directory") != noted["directory"]:
            above = attempt_dir.rpartition("/")[0]
            if found.get("mount") != noted.get("mount"):
                raise AsyncJobError(
                    f"Nobody can tell whether the job was started: {above} on {self.host} is not the directory that it was, or its disk is"
                    f" not mounted at {noted.get('mount')}. Nothing was started. Mount it; or, once you are sure that the job does not run,"
                    " remove its record (async_job_state with state: absent and force: true)."
                )
            self._shell(_MAKE_ABOVE, timeout, attempt=shlex.quote(attempt_dir))
            lost = f"{above} on {self.host} was removed while the job was being started; whether it ran cannot be proven"
        is_other_boot = bool(boot and record.get("boot_id")) and boot != record["boot_id"]
        return exactly_once.Seen("", lost, is_other_boot=is_other_boot, never_began="never_began" in said)

    def fence(self, record: Record, timeout: float) -> bool:
        """Make sure that an attempt cannot start any more. Return False if it may just have started."""
        self._fences[record["attempt_dir"]] += 1
        self._work_as_user_of(record)
        return self._is_fenced(record, self._in_attempt(FENCE, record, timeout))

    def _is_fenced(self, record: Record, said: dict[str, list[str]]) -> bool:
        """Return what C(fence) returns, of what the host has said."""
        if "fenced" not in said and self._fences[record["attempt_dir"]] >= _LOOKS:
            raise AsyncJobError(
                f"Cannot make sure that the job does not start in {record['attempt_dir']} on {self.host} after all:"
                f" {said.get('problem', said['error'])[0]}. Nothing more was started. Make room and permissions there, and run the playbook"
                " once more."
            )
        return "fenced" in said

    def take_fence_away(self, record: Record, timeout: float) -> None:
        """Remove the fence of an attempt whose launch has come to its end, and has left no process: nothing can start there any more."""
        self._work_as_user_of(record)
        self._in_attempt(_TAKE_FENCE_AWAY, record, timeout, **self._file_words(record))

    def stop_leftovers(self, asked: Asked, timeout: float) -> None:
        """Stop what an attempt that has ended has left behind."""
        self.users.become(self.user_for(asked))
        try:
            self.on_host("_host.leftovers", {"job": self.described(asked), "grace_period": _GRACE}, timeout=timeout + _GRACE)
        except AsyncJobError as error:
            advice = "Stop them with async_job_cancel and 'become: true'. On this task, that would start the job as root."
            raise AsyncJobError(str(error).replace("Say 'become: true'.", advice)) from error

    @staticmethod
    def _file_words(record: Record) -> dict[str, str]:
        """Return where the host notes a job, as words for its shell."""
        key = marked_key(record).path
        return {"folder": folder_of(key, is_direct="delegated_host" not in record), "file": name_of(key)}

    def remove(self, record: Record, timeout: float, *, forget: bool = False) -> str:
        """Remove the directory of an attempt that has ended. Return why it could not be; that does no harm to the job.

        :arg forget: whether the host is to note nothing of it either
        """
        attempt_dir = record.get("attempt_dir", "")
        if not re.fullmatch(r"/.*/[0-9a-f]{32}", attempt_dir):
            return f"{attempt_dir} is not the directory of an attempt."
        problem = self.users.lacking(record)
        if problem:
            return f"{attempt_dir} was left on {self.host}. {problem}"
        self.users.become(self.users.needed_for(record))
        script = _ENTER + _FORGET + _REMOVE if forget else _REMOVE
        said = self._in_attempt(script, record, timeout, **self._file_words(record))
        return "" if "removed" in said else f"{attempt_dir} could not be removed from {self.host}: {said['error'][0]}"

    def _in_attempt(self, script: str, record: Record, timeout: float, **words: str) -> dict[str, list[str]]:
        """Do something with the directory of an attempt, if it is that of this one.

        :arg words: what else stands in the script for values, quoted
        """
        words.update(self._words_of(record))
        return self._of_this_attempt(record, self._shell(script, timeout, **words))

    @staticmethod
    def _words_of(record: Record) -> dict[str, str]:
        """Return the directory of an attempt, and the marks that it may have, as words for the shell."""
        # Whether a job is secret, its record may say wrongly.
        secret = bool(record.get("no_log"))
        marks = (AttemptAction._mark_of({**record, "no_log": it_is}) for it_is in (secret, not secret))
        words = dict(zip(("attempt", "mark", "same_mark"), map(shlex.quote, (record["attempt_dir"], *marks)), strict=True))
        mode = 0o600 if record.get("claim", {}).get("own_work") else NEVER_BEGAN
        return {**words, "umask": f"{0o666 & ~mode:03o}"}

    @staticmethod
    def _mark_of(record: Record) -> str:
        """Return what the directory of an attempt says of whose it is."""
        attempt_dir = record["attempt_dir"]
        if not is_attempt_directory(attempt_dir) or not attempt_dir.isprintable():
            raise AsyncJobError(f"{attempt_dir} is not the directory of an attempt. Nothing was started or removed there.")
        return mark(marked_key(record).path, attempt_dir.rpartition("/")[2], secret=bool(record.get("no_log")))

    def _of_this_attempt(self, record: Record, said: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return what the host has said of the directory of an attempt, if it is that of this one."""
        if "foreign" in said:
            key = JobKey(record["host"], record["playbook_name"], record["job_name"])
            raise AsyncJobError(
                f"{record['attempt_dir']} on {self.host} is not the directory of this attempt of the {key}: it was replaced, or belongs to"
                " another job or user. It was left alone, and nothing was started. Find out who has changed it, or the record."
            )
        return said

    def _as_terminal(self) -> t.ContextManager[None]:
        """Work without a terminal, if the host allows that.

        When a controller dies, the host hangs up on what has a terminal. Ansible's wrapper would then leave behind a results file that
        says that the job was started, and not start it: it tells its launcher, which is gone, in between.
        """
        return _ansible.connection_option(self._connection, "use_tty", self._terminal)

    def _work_as_user_of(self, record: Record) -> None:
        """Become a user who sees an attempt.

        :raises AsyncJobError: if the task is not one, and may not become one
        """
        self.users.become(self._user_of(record))

    def _user_of(self, record: Record) -> str:
        """Return the user to become to see an attempt, as C(Users.become) takes it.

        :raises AsyncJobError: if the task is not one, and may not become one
        """
        problem = self.users.lacking(record)
        if problem:
            raise AsyncJobError(
                f"Cannot see whether the job was started, in {record['attempt_dir']} on {self.host}. {problem} Nothing was started."
            )
        return self.users.needed_for(record)

    def _shell(self, script: str, timeout: float, **words: str) -> dict[str, list[str]]:
        """Run lines in the shell of the host. Return what they say, by name, and under C(error) what else there was to read.

        :arg words: what stands in the script for values, quoted
        :raises AnsibleConnectionFailure: if the host cannot be reached
        """
        done = self._run_in_shell(script.format(**words), timeout)
        return said_in(done["stdout"], done.get("stderr") or done["stdout"])

    def _run_in_shell(self, script: str, timeout: float) -> dict[str, t.Any]:
        with self._as_terminal(), time_limit(timeout):
            return _ansible.run_in_shell(self, script.strip())


def said_in(output: str, errors: str) -> dict[str, list[str]]:
    """Return what lines in the shell of the host have said, by name, and under C(error) what else there was to read."""
    said: dict[str, list[str]] = {}
    for name, value in re.findall(rf"^{SAYS}(\w+)=(.*?)\r?$", output, re.MULTILINE):
        said.setdefault(name, []).append(value)
    said["error"] = [" ".join((errors or "it says nothing").split())[-500:]]
    return said


def _segment(host: str) -> str:
    """Return the name of a host as it stands in the paths of records."""
    return JobKey(host, "", "").path.partition("/")[0]


def _place_said(said: dict[str, list[str]]) -> Place:
    """Return the place that a host has told of itself."""
    place: Place = {name: said[name][0] for name in FIELDS if name in said and said[name][0].isprintable() and len(said[name][0]) < 4096}
    for name in ("time", "up"):
        number = place.pop(name, "")
        if number.isdecimal() and len(number) < 16:
            place[name] = int(number)
    return place


def _quoted(directory: str) -> str:
    """Return a directory as a word for the shell, which still expands a tilde at its beginning."""
    home, slash, rest = directory.partition("/")
    if re.fullmatch(r"~[\w.-]*", home):
        return home + slash + (shlex.quote(rest) if rest else "")
    return shlex.quote(directory)
