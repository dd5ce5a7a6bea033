# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at jobs that write what they teach to the records, once or until the jobs have ended.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import math
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.rstyczynski.ansible.plugins.module_utils import _times
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records import ages
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.keeping import note
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import merged
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.results import masked
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import ALIVE, GOES_ON
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless, in_words, last_line_of, progress_in_words
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._asked import Asked
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._flaws import flaw_of
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._host import HostAction

# How long to wait before the second look, in seconds, and how much longer before each that follows.
FIRST_INTERVAL = 1.0
_GROWTH = 1.5

# How much time passes between two lines about a job that goes on as before: a share of the whole wait, and that many seconds at most.
_SHARE = 0.2
_LONGEST_SILENCE = 600.0

# How old the last look may be that a record tells of, in seconds, when somebody looks again: a look that brings nothing new is no write.
_LOOKED_SECONDS = 60.0

# How much of a line of output is shown, in characters.
_LINE = 100


class Pace:
    """Tells when to say again how something is going: often in the beginning, and more and more rarely on a long wait."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin = clock()
        self._said: dict[t.Hashable, tuple[float, str]] = {}

    def is_due(self, what: t.Hashable, state: str) -> bool:
        """Return whether to say it now: if it was never said, if its state is another one, or if that was long ago."""
        now = self._clock()
        when, before = self._said.get(what, (0.0, None))
        if state == before and now - when < min((now - self._begin) * _SHARE, _LONGEST_SILENCE):
            return False
        self._said[what] = (now, state)
        return True


class WatchingAction(HostAction):
    """An action that looks at jobs and keeps their records true."""

    def look_and_note(
        self, params: dict[str, t.Any], store: Store | None, asked: list[Asked], output: str, *, at_last: str = ""
    ) -> list[Seen]:
        """Look at all jobs once, and write what was learned to their records.

        :arg at_last: what output is wanted once none goes on, if that is another one. It is asked for before their ends are noted: this run
            may be killed at any moment, and what it has noted counts as told
        """
        for job in asked:
            job.keep(params["tail_size"] if params["store_output"] else 0)
        looks = self.look(asked, output=output, tail_size=params["tail_size"], timeout=params["look_timeout"])
        if at_last not in ("", output) and not any(look["status"] in GOES_ON for look in looks):
            output = at_last
            whole = self.look(asked, output=output, tail_size=params["tail_size"], timeout=params["look_timeout"])
            # Somebody may have removed a result meanwhile.
            looks = [now if now["result"] is not None or look["result"] is None else look for look, now in zip(looks, whole, strict=True)]
        return [self.note(store, job, look, output) for job, look in zip(asked, looks, strict=True)]

    def note(self, store: Store | None, job: Asked, look: Seen, output: str, *, last_line: bool = False) -> Seen:
        """Write what a look has taught to the record. Return the look, in the light of the record.

        :arg last_line: whether that includes when it was, be it a moment ago, and the last line of its output, if C(async_job) has started
            it: a write for each look
        :raises AsyncJobError: if the record was removed meanwhile
        """
        job.remember(look)
        look = job.settled(look, contacted=self.host, new=output == "new")
        if store is None or job.key is None or job.record is None:
            return look
        secret = job.secret or self._task.no_log
        learned = job.learned(look, secret=secret)
        learned.update(self.ara.of_end(job.record, learned))
        if output == "new":
            learned.update({name: look[name] for name in ("stdout_offset", "stderr_offset")})
        if learned and look["status"] in ALIVE and "start" in job.record:
            looked = ages.looked_ago(job.record, time.time())
            if last_line or looked is None or looked > _LOOKED_SECONDS:
                learned["looked"] = _times.now()
        if secret and "last_line" in job.record:
            learned["last_line"] = None  # it was not known then that it is
        elif last_line and learned and job.is_attempt and not secret:  # of others, nobody noted whether they are secret
            progress = look["progress"]
            line = _last_line(look)
            if progress:
                line = progress_in_words(progress["current"], progress["total"], line)
            learned["last_line"] = masked(in_words(line).strip())[:_LINE] or None
        after = merged(job.record, learned)
        if self._task.check_mode:
            job.predicted = after
            return look
        record, version = note(store, job.key, job.record, job.version, learned)
        if version == ABSENT:
            is_known = (
                look["result"] is not None or look["status"] in GOES_ON
            )  # whoever has pruned the record has removed the result before
            state = f"was {look['status']}" if is_known else "has left nothing that tells how it ended"
            raise AsyncJobError(
                f"The record of {job.key} was removed while this task looked at the job: somebody has pruned or forgotten it."
                f" {job.job_id} ({job.looked_for.directory} on {self.host}) {state}. Nothing was started anew. Put the record back if you"
                " can."
                " Otherwise, once the job has ended, run the playbook once more: it counts as never started."
            )
        if record["ansible_job_id"] != job.job_id:
            # Another attempt has begun. What was seen is of the one before, and so is what is done about it from here on.
            job.record = after
            return look
        job.record, job.version, job.flaw = record, version, flaw_of(record)  # others may have changed it
        if "ara_playbook" in learned:
            self.ara.tell(store, record)
        return job.settled(look, contacted=self.host, new=output == "new")

    def wait(self, params: dict[str, t.Any], store: Store | None, asked: list[Asked]) -> list[Seen]:
        """Look again and again until all jobs have ended, or time is over."""
        # Until a job has ended, there is no more to it than a line. Without files, there is no output at all until then.
        with_files = any(job.in_files for job in asked)
        meanwhile = "tail" if with_files or params["output"] == "new" else params["output"]
        deadline = time.monotonic() + params["wait_timeout"]
        interval = FIRST_INTERVAL
        pace = Pace()
        away_since: float | None = None
        while True:
            now = time.monotonic()
            is_over = now >= deadline
            try:
                looks = self.look_and_note(params, store, asked, params["output"] if is_over else meanwhile, at_last=params["output"])
                away_since = None
                if is_over or not any(look["status"] in GOES_ON for look in looks):
                    return looks
                self.show_life(asked, looks, pace)
            except AnsibleConnectionFailure as error:
                away_since = away_since or now
                self.bear(error, away_since, params["unreachable_timeout"], pace, is_over=is_over)
            time.sleep(max(0.0, min(interval, deadline - time.monotonic())))
            interval = longer(interval, params["wait_interval"])

    def show_life(self, asked: list[Asked], looks: list[Seen], pace: Pace) -> None:
        """Tell the user now how jobs are getting on that have not ended."""
        for job, look in zip(asked, looks, strict=True):
            if look["status"] in GOES_ON and pace.is_due(job.label, look["status"]):
                self.say(_progress(job, look, self.host, secret=job.secret or self._task.no_log))

    def bear(self, error: AnsibleConnectionFailure, since: float, limit: float, pace: Pace, *, is_over: bool) -> None:
        """Go on without the host for now.

        :arg since: when it has answered last, by our clock
        :arg is_over: whether nobody waits any more
        :raises AnsibleConnectionFailure: if that is so, or it has been away for too long
        """
        away = time.monotonic() - since
        if is_over or away >= limit:
            raise AnsibleConnectionFailure(
                f"{self.host} has been unreachable for {_times.clock(away)} (unreachable_timeout is {limit} seconds). Nothing is known of"
                f" its jobs since then; they go on without us. {error}"
            ) from error
        if pace.is_due(self.host, f"away since {since}"):
            self.notify(f"{self.host} is unreachable for {_times.clock(away)}; its jobs go on without us. Trying again.")
        self.reset_connection()


def longer(interval: float, most: float) -> float:
    """Return how long to wait before the look after the next one, in seconds."""
    return min(interval * _GROWTH, max(most, FIRST_INTERVAL))


def _progress(job: Asked, look: Seen, host: str, *, secret: bool) -> str:
    """Return a line that shows life: C(migrate on db01: running 00:12:40, 3.1 MB of output: "step 41 of 60")."""
    line = f"{harmless(job.name)} on {harmless(job.key.host if job.key else host)}: {look['status']}"
    if look["elapsed"] is not None:
        line += f" {_times.clock(look['elapsed'])}"
    size = look["stdout_size"] + look["stderr_size"]
    last = "" if secret else _last_line(look)
    progress = look["progress"]
    if progress and not secret:
        line += f", {progress['current']} of {progress['total']}"
        line += f" ({100 * progress['current'] // progress['total']} %)"
    elif size:
        line += f", {_size(size)} of output"
    if last:
        line += f': "{last[:_LINE]}"'
    return line


def _last_line(look: Seen) -> str:
    """Return what the job says of how far it has come, or else the last line of its output."""
    progress = look["progress"]
    return harmless(progress["text"]) if progress else last_line_of(look["stdout"]) or last_line_of(look["stderr"])


def _size(number: int) -> str:
    power = min(int(math.log(number, 1000)), 4)
    return f"{number / 1000**power:.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}" if power else f"{number} B"
