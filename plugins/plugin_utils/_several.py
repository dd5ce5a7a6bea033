# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several jobs of one task: while one waits, the others go on.

What happens to each is decided where it is for a single job, by :class:`Starter`. Here is only whose turn it is, and one look at all
that run.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.seen import Seen
from ansible_collections.rstyczynski.ansible.plugins.module_utils._statuses import GOES_ON
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._pauses import End, Exchange, Pause, Turn, Wait
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._starter import Starter
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._together import TogetherAction
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._watching import FIRST_INTERVAL, Pace, longer

# How many jobs may be on their way to the host at the same time. Their claims must not grow old while the records of others are written.
_TOGETHER = 50
# What is done first, so that those who are behind catch up.
_STEPS = ("prepare", "make_directory", "launch", "inspect", "fence")
# How long jobs that run may have to wait for a look while others are started, in seconds.
_LATE = 10


class _Job:
    """One of the jobs, and what it waits for."""

    def __init__(self, starter: Starter) -> None:
        self.starter = starter
        self.steps = starter.steps()
        self.wait: Wait | None = None
        """None before it has done anything, and when there is its answer."""
        self.until = 0.0
        """When its pause ends, or when nobody waits any more for its end, by our clock."""
        self.runs = False
        """Whether it counts as one that runs."""
        self.answer: dict[str, t.Any] | None = None


class Several:
    """Drives jobs on one host at the same time.

    :arg action: what does things on the host, and speaks to the user
    :arg poll: how often to look at them, in seconds. With 0, nobody waits for their end
    :arg most: how many may run at the same time
    """

    def __init__(
        self, starters: t.Sequence[Starter], action: TogetherAction, store: Store, params: dict[str, t.Any], *, poll: int, most: int
    ) -> None:
        self._jobs = [_Job(starter) for starter in starters]
        self._action = action
        self._store = store
        self._params = params
        self._poll = poll
        self._most = most
        self._next_look = 0.0
        self._interval = FIRST_INTERVAL
        self._away_since: float | None = None
        self._pace = Pace()

    def run(self) -> list[dict[str, t.Any]]:
        """Start or attach to all of them, until there is something to tell of each. Return that, in their order."""
        for job in self._jobs:
            self._go_on(job)  # what has ended or runs is found before anything is started
        while any(job.answer is None for job in self._jobs):
            now = time.monotonic()
            watched = [job for job in self._jobs if isinstance(job.wait, End)]
            ready = next(self._ready(now), None)
            together = self._next_exchange()
            if watched and now >= self._next_look + (max(self._poll, _LATE) if ready or together else 0):
                self._look_at(watched, now)
            elif ready:
                self._go_on(ready, answer=isinstance(ready.wait, Turn))
            elif together:
                self._do_together(together)
            else:
                moments = [self._next_look] if watched else []
                moments += [job.until for job in self._jobs if isinstance(job.wait, Pause)]
                if moments:
                    time.sleep(max(0.0, min(moments) - now))
                else:
                    self._leave()
        # Together, at the end: else what has ended first would count as told if this run dies meanwhile.
        return [self._told(job) for job in self._jobs]

    def _told(self, job: _Job) -> dict[str, t.Any]:
        try:
            return job.starter.told(t.cast("dict[str, t.Any]", job.answer))
        except AsyncJobError as error:
            return _failed(job, error)

    def _ready(self, now: float) -> t.Iterator[_Job]:
        """Yield the jobs that can do something now. What goes on with an attempt comes before what begins one."""
        yield from (job for job in self._jobs if isinstance(job.wait, Pause) and now >= job.until)
        # While the host does not answer, nothing begins.
        if self._away_since is None and sum(job.runs for job in self._jobs) < self._most:
            on_their_way = sum(isinstance(job.wait, Exchange) for job in self._jobs)
            for job in self._jobs:
                if isinstance(job.wait, Turn) and (not on_their_way or (job.starter.goes_together and on_their_way < _TOGETHER)):
                    yield job

    def _next_exchange(self) -> list[tuple[_Job, Exchange]]:
        """Return the jobs that are to do the same on the host now, and what."""
        waiting = [(job, job.wait) for job in self._jobs if isinstance(job.wait, Exchange)]
        first = min((_STEPS.index(wait.what) for _job, wait in waiting), default=None)
        return [(job, wait) for job, wait in waiting if _STEPS.index(wait.what) == first]

    def _do_together(self, waiting: list[tuple[_Job, Exchange]]) -> None:
        """Do the same for several jobs on the host, and let each of them go on with what came of it."""
        answers = self._action.do_together(waiting[0][1].what, [wait.arguments for _job, wait in waiting])
        for (job, _wait), answer in zip(waiting, answers, strict=True):
            if isinstance(answer, Exception):
                self._go_on(job, error=answer)
            else:
                self._go_on(job, answer=answer)

    def _go_on(self, job: _Job, answer: t.Any = None, error: Exception | None = None) -> None:
        """Let one job do what it can, until it waits once more or there is its answer."""
        job.wait = None
        job.runs |= bool(answer)
        now = time.monotonic()
        try:
            job.wait = job.steps.throw(error) if error else job.steps.send(answer)
        except StopIteration as stop:
            job.answer = stop.value
        except AnsibleConnectionFailure as failure:
            self._away_since = self._away_since or now
            job.answer = {**_failed(job, failure), "unreachable": True}
        except Exception as failure:  # whatever it is, the others have their results
            job.answer = _failed(job, failure)
        now = time.monotonic()
        match job.wait:
            case Turn():
                job.runs = False
            case Pause(seconds, is_idle):
                job.until = now + seconds
                job.runs &= not is_idle
            case End(_asked, params):
                job.until = now + params.get("wait_timeout", 0)
                job.runs = True
                alone = not any(isinstance(other.wait, End) for other in self._jobs if other is not job)
                self._next_look, self._interval = now if alone else min(self._next_look, now + FIRST_INTERVAL), FIRST_INTERVAL
        if job.answer is not None:  # it may run on if nobody waits for it
            job.runs &= not self._poll and not job.answer.get("finished") and not job.answer["failed"]

    def _leave(self) -> None:
        """Leave the jobs alone that have not begun, when nothing makes room for them any more."""
        for job in self._jobs:
            if not isinstance(job.wait, Turn):
                continue
            if self._away_since is not None:
                why = f"{self._action.host} is unreachable. No attempt was begun. Run the playbook once more when the host is back."
                self._go_on(job, error=AnsibleConnectionFailure(why))
                continue
            job.steps.close()
            job.wait = None
            reason = f"it waits for its turn: {self._most} jobs of this task run (max_parallel)"
            job.answer = {"changed": False, "failed": False, "finished": False, "started": False, "reason": reason, "msg": reason}

    # --- Looks

    def _look_at(self, watched: list[_Job], now: float) -> None:
        """Look at all jobs that run, in one exchange, and let go on what has ended."""
        try:
            looks = self._looks(watched)
        except AnsibleConnectionFailure as error:
            self._away_since = self._away_since or now
            try:
                is_over = all(now >= job.until for job in watched)
                self._action.bear(error, self._away_since, self._params["unreachable_timeout"], self._pace, is_over=is_over)
            except AnsibleConnectionFailure as final:
                for job in watched:
                    self._go_on(job, error=final)
        except (AsyncJobError, AnsibleError) as error:
            for job in watched:
                self._go_on(job, error=error)
        else:
            self._away_since = None
            self._show(looks)
            for job, look in looks.items():
                if isinstance(look, AsyncJobError):
                    self._go_on(job, error=look)
                elif now >= job.until or look["status"] not in GOES_ON:
                    self._go_on(job, answer=look)
        self._next_look = time.monotonic() + self._interval
        self._interval = longer(self._interval, self._poll)

    def _looks(self, watched: list[_Job]) -> dict[_Job, Seen | AsyncJobError]:
        """Look at jobs, and note what was seen. What the record of one says against that, is about that one alone."""
        looks: dict[_Job, Seen | AsyncJobError] = {}
        sizes = {_wait_of(job).params["tail_size"] for job in watched}
        for size in sizes:  # mostly one
            some = [job for job in watched if _wait_of(job).params["tail_size"] == size]
            seen = self._look_together(some, "tail", size)
            # What has no files of its own tells all in its result, and nothing before.
            rest = [job for job in some if not _wait_of(job).asked.in_files and seen[job]["status"] not in GOES_ON]
            seen.update(self._look_together(rest, "full", size) if rest else {})
            for job, look in seen.items():
                try:
                    looks[job] = self._action.note(self._store, _wait_of(job).asked, look, "full" if job in rest else "tail")
                except AsyncJobError as error:
                    looks[job] = error
        return looks

    def _look_together(self, jobs: list[_Job], output: str, size: int) -> dict[_Job, Seen]:
        asked = [_wait_of(job).asked for job in jobs]
        for one in asked:
            one.keep(size)
        looks = self._action.look(asked, output=output, tail_size=size, timeout=self._params["look_timeout"])
        return dict(zip(jobs, looks, strict=True))

    def _show(self, looks: dict[_Job, Seen | AsyncJobError]) -> None:
        if self._poll:
            seen = {job: look for job, look in looks.items() if not isinstance(look, AsyncJobError)}
            self._action.show_life([_wait_of(job).asked for job in seen], [*seen.values()], self._pace)


def _wait_of(job: _Job) -> End:
    """Return what a job that runs waits for."""
    return t.cast(End, job.wait)


def _failed(job: _Job, failure: Exception) -> dict[str, t.Any]:
    is_ours = isinstance(failure, (AsyncJobError, AnsibleConnectionFailure))
    text = str(failure) if is_ours or not job.starter.is_secret else f"{type(failure).__name__} (no_log hides what it says)"
    return {"failed": True, "changed": job.starter.has_started, "msg": text}
