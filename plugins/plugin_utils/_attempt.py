# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the protocol of :mod:`exactly_once` asks of the managed host: a few lines for its shell, one exchange each.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import re
import shlex
import typing as t
import uuid

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.attempt_files import MARK, mark
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start import exactly_once
from ansible_collections.rstyczynski.ansible.plugins.module_utils._trust import is_attempt_directory, is_job_id, is_user_name
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _ansible
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._time_limit import time_limit
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import WatchingAction

# Lines for us begin with this: a host may print others when somebody logs in.
_MARK = "async_job:"
# For how long a wrapper that is there may take to say that it has started the job, in tenths of a second.
_PATIENCE = 100
# How often to look again if an attempt that cannot be fenced shows no job either.
_LOOKS = 5

_BOOT = f'echo "{_MARK}boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"'

# Where others may put and replace files, in that directory or in one above it, nobody can tell whose an attempt is.
_PREPARE = f"""
d={{directory}}
mkdir -p "$d" && cd "$d" && printf '{_MARK}directory=%s\\n' "$(pwd -P)"
p=$(pwd -P)
while :; do
  set -- $(ls -nd "$p" 2>/dev/null)
  who=
  # A group that has the number of a user is that user's own.
  case $1 in ?????w???[!tT]*) [ "$3" = "$4" ] || [ "$4" = 0 ] || who="Whoever is in the group with the id $4" ;; esac
  # With an access control list, that is the most that any of its entries has.
  case $1 in ?????w???[!tT]+*) who="Whoever its access control list names" ;; esac
  case $1 in ????????w[!tT]*) who=Everybody ;; esac
  [ "$3" = 0 ] || [ "$3" = "$(id -u)" ] || who="Another user, with the id $3,"
  [ -z "$who" ] || printf '{_MARK}writable=%s may write to %s\\n' "$who" "$p"
  [ "$p" != / ] || break
  p=${{{{p%/*}}}}
  p=${{{{p:-/}}}}
done
{_BOOT}
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

# It fails if there is anything by that name.
_MAKE_DIRECTORY = f"""
{_ENTER}
[ "$here" = yes ] && mkdir -m 0700 "$a" && (cd "$a" && umask 077 && set -C && printf '%s\\n' "$m" >{MARK}) && echo {_MARK}made=yes
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
if [ "$whose" = another ]; then echo {_MARK}foreign=yes; exit 0; fi
"""

# The results file is called after the job id; the output of a command is there too, under other names.
# A wrapper that was told the directory, and has not written its results file yet, may be about to.
_INSPECT = f"""
{_CHECK}
set -- $(ls -nd ${{{{here:+"$a"}}}} 2>/dev/null)
[ -n "$here" ] && [ -n "$3" ] && o=$3 || o=$(id -u)
n=0
while :; do
  jobs=
  for f in ${{{{here:+"$a"/j[0-9]*}}}}; do
    [ -f "$f" ] || continue
    case $f in
      *.tmp) ;;
      *) jobs=yes; printf '{_MARK}job=%s\\n' "${{{{f##*/}}}}" ;;
    esac
  done
  [ -z "$jobs" ] || break
  # Anybody may tell their own processes the same: those that the user has started who has the directory, or would have it, count.
  found=$(find /proc/[0-9]*/environ -prune -exec grep -lsF -- "ANSIBLE_ASYNC_DIR=$d" {{{{}}}} + 2>/dev/null | while read -r f; do
    grep -s "^Uid:[[:space:]]*$o[[:space:]]" "${{{{f%environ}}}}status"
  done)
  [ -n "$found" ] || break
  if [ $n -ge {_PATIENCE} ]; then echo {_MARK}stuck=yes; break; fi
  n=$((n + 1))
  sleep 0.1 2>/dev/null || sleep 1
done
{_BOOT}
"""

# Nothing runs that could still need what is unfinished. If a job has appeared meanwhile, rmdir fails, and the file cannot be made.
_FENCE = f"""
{_CHECK}
[ -z "$whose" ] || (cd "$a" && [ "$(pwd -P)" = "$d" ] && rm -f ./*.tmp ./{MARK})
[ -n "$here" ] || cd / # so that nothing is found by that name
rmdir "$a" 2>/dev/null || [ ! -d "$a" ] || {{{{
  # Whose directory it is, may put a link there meanwhile: a file is moved in its place, and nothing is written through it.
  t=$(mktemp) && printf '%s\\n' "$m" >"$t" && chmod 0644 "$t"
  (cd "$a" && [ "$(pwd -P)" = "$d" ] && mv -n "$t" ./{MARK}); rm -f "$t"
}}}}
e=$( ([ -n "$here" ] || cd "$p" || exit; set -C; : >"$a") 2>&1) && {{{{ sync . 2>/dev/null || sync; }}}}
if [ -f "$a" ] && [ ! -L "$a" ]; then echo {_MARK}fenced=yes; else printf '{_MARK}problem=%s\\n' "$e"; fi
"""

# The wrapper of a job that has just ended may still be writing there.
_REMOVE = f"""
{_CHECK}
[ -n "$whose" ] || {{{{ echo {_MARK}removed=yes; exit 0; }}}}
# Of what does not say that it is ours, only what we would have put there.
if [ "$whose" = unsaid ]; then
  [ -O "$a" ] || {{{{ echo {_MARK}foreign=yes; exit 0; }}}}
  (cd "$a" && [ "$(pwd -P)" = "$d" ] && rm -f ./j[0-9]* ./stdout ./stderr ./result ./result.tmp ./{MARK})
  rmdir "$a" && echo {_MARK}removed=yes
  exit 0
fi
rm -rf "./$a" 2>/dev/null || {{{{ sleep 1; rm -rf "./$a"; }}}} && echo {_MARK}removed=yes
"""


class AttemptAction(WatchingAction):
    """An action that starts attempts of jobs, each in a directory of its own."""

    def prepare(self, key: JobKey, timeout: float) -> Fields:
        """Choose a place for a new attempt. Return the fields of the record that say where and as whom it lives, and in which boot."""
        self.users.become("")
        said = self._shell(_PREPARE, timeout, directory=_quoted(self.async_dir))
        if "directory" not in said and re.search("tty|terminal", said["error"][0]):
            self._terminal = True
            said = self._shell(_PREPARE, timeout, directory=_quoted(self.async_dir))
        [directory] = said.get("directory", [""])
        if not directory.startswith("/") or not directory.isprintable():
            raise AsyncJobError(f"The directory {self.async_dir} (async_dir) cannot be used on {self.host}: {said['error'][0]}")
        if "writable" in said:
            raise AsyncJobError(
                f"{said['writable'][0]} on {self.host}, and so replace what is in {directory} (async_dir)."
                " Nothing was started. Take that right away, or give another async_dir."
            )
        attempt_dir = f"{directory.rstrip('/')}/{uuid.uuid4().hex}"
        fields: Fields = {"async_dir": attempt_dir, "attempt_dir": attempt_dir, "boot_id": said.get("boot", [""])[0]}
        users = {name: user for name, user in zip(("remote_user", "become_user"), self.users.of_task(), strict=True) if user}
        if all(map(is_user_name, users.values())):  # C(become_user: "#1000") works for sudo, and is no name that a record may have
            fields.update(users)
        if self._task.delegate_to or self.host != key.host:
            fields["delegated_host"] = self.host
        return fields

    def make_directory(self, record: Record, timeout: float) -> None:
        """Make the directory of an attempt, if there is nothing by its name."""
        self.users.become("")
        said = self._in_attempt(_MAKE_DIRECTORY, record, timeout)
        if "made" not in said:
            raise AsyncJobError(f"The directory {record['attempt_dir']} cannot be made on {self.host}: {said['error'][0]}")

    def launch(self, task: InnerTask, record: Record, timeout: float) -> None:
        """Start the job of an attempt, as the user that the task says. What Ansible says of the start proves nothing."""
        self.users.become("")
        with self._as_terminal(), time_limit(timeout):
            task.launch(record["attempt_dir"])

    def inspect(self, record: Record, timeout: float) -> exactly_once.Seen:
        """Look into the directory of an attempt. Return what is there."""
        attempt_dir = record["attempt_dir"]
        self._work_as_user_of(record)
        said = self._in_attempt(_INSPECT, record, timeout + _PATIENCE / 10)
        jobs = [name for name in said.get("job", []) if is_job_id(name)]
        if "boot" not in said:
            raise AsyncJobError(f"Cannot look into {attempt_dir} on {self.host}, to see whether the job was started: {said['error'][0]}")
        if len(jobs) > 1:
            raise AsyncJobError(
                f"{attempt_dir} on {self.host} holds the results files of several jobs ({', '.join(jobs)}), where only one was started."
                " Nothing was started. Find out who has put them there, and leave the right one."
            )
        if "stuck" in said:
            raise AsyncJobError(
                f"Processes on {self.host} belong to {attempt_dir}, where there is no results file. So nobody can tell whether the job was"
                " started. Nothing was started. Look at those that have ANSIBLE_ASYNC_DIR set to that directory in their environment;"
                " when they have ended, run the playbook once more."
            )
        [boot] = said["boot"]
        rebooted = ""
        if boot != record.get("boot_id", ""):
            rebooted = f"{self.host} rebooted while the job was being started; whether it ran cannot be proven"
        return exactly_once.Seen(jobs[0] if jobs else "", rebooted)

    def fence(self, record: Record, timeout: float) -> bool:
        """Make sure that an attempt cannot start any more. Return False if it may just have started."""
        self._fences += 1
        self._work_as_user_of(record)
        said = self._in_attempt(_FENCE, record, timeout)
        if "fenced" not in said and self._fences >= _LOOKS:
            raise AsyncJobError(
                f"Cannot make sure that the job does not start in {record['attempt_dir']} on {self.host} after all:"
                f" {said.get('problem', said['error'])[0]}. Nothing more was started. Make room and permissions there, and run the playbook"
                " once more."
            )
        return "fenced" in said

    def remove(self, record: Record, timeout: float) -> str:
        """Remove the directory of an attempt that has ended. Return why it could not be; that does no harm to the job."""
        attempt_dir = record.get("attempt_dir", "")
        if not re.fullmatch(r"/.*/[0-9a-f]{32}", attempt_dir):
            return f"{attempt_dir} is not the directory of an attempt."
        problem = self.users.lacking(record)
        if problem:
            return f"{attempt_dir} was left on {self.host}. {problem}"
        self.users.become(self.users.needed_for(record))
        said = self._in_attempt(_REMOVE, record, timeout)
        return "" if "removed" in said else f"{attempt_dir} could not be removed from {self.host}: {said['error'][0]}"

    def _in_attempt(self, script: str, record: Record, timeout: float) -> dict[str, list[str]]:
        """Do something with the directory of an attempt, if it is that of this one."""
        attempt_dir = record["attempt_dir"]
        if not is_attempt_directory(attempt_dir) or not attempt_dir.isprintable():
            raise AsyncJobError(f"{attempt_dir} is not the directory of an attempt. Nothing was started or removed there.")
        key = JobKey(record["host"], record["playbook_name"], record["job_name"])
        secret = bool(record.get("no_log"))
        # Whether a job is secret, its record may say wrongly.
        marks = (mark(key.path, attempt_dir.rpartition("/")[2], secret=it_is) for it_is in (secret, not secret))
        said = self._shell(
            script, timeout, **dict(zip(("attempt", "mark", "same_mark"), map(shlex.quote, (attempt_dir, *marks)), strict=True))
        )
        if "foreign" in said:
            raise AsyncJobError(
                f"{attempt_dir} on {self.host} is not the directory of this attempt of the {key}: it was replaced, or belongs to another"
                " job or user. It was left alone, and nothing was started. Find out who has changed it, or the record."
            )
        return said

    _fences = 0
    _terminal = False
    """Whether the host insists on a terminal, as sudo does with C(requiretty)."""

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
        problem = self.users.lacking(record)
        if problem:
            raise AsyncJobError(
                f"Cannot see whether the job was started, in {record['attempt_dir']} on {self.host}. {problem} Nothing was started."
            )
        self.users.become(self.users.needed_for(record))

    def _shell(self, script: str, timeout: float, **words: str) -> dict[str, list[str]]:
        """Run lines in the shell of the host. Return what they say, by name, and under C(error) what else there was to read.

        :arg words: what stands in the script for values, quoted
        :raises AnsibleConnectionFailure: if the host cannot be reached
        """
        with self._as_terminal(), time_limit(timeout):
            done = _ansible.run_in_shell(self, script.format(**words).strip())
        said: dict[str, list[str]] = {}
        for name, value in re.findall(rf"^{_MARK}(\w+)=(.*?)\r?$", done["stdout"], re.MULTILINE):
            said.setdefault(name, []).append(value)
        said["error"] = [" ".join((done.get("stderr") or done["stdout"] or "it says nothing").split())[-500:]]
        return said


def _quoted(directory: str) -> str:
    """Return a directory as a word for the shell, which still expands a tilde at its beginning."""
    home, slash, rest = directory.partition("/")
    if re.fullmatch(r"~[\w.-]*", home):
        return home + slash + (shlex.quote(rest) if rest else "")
    return shlex.quote(directory)
