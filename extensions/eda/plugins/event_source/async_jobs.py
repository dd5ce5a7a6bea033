# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source rstyczynski.ansible.async_jobs of ansible-rulebook."""

from __future__ import annotations

DOCUMENTATION = r"""
name: async_jobs
short_description: Tell what becomes of jobs, of approvals and of runs of workflows
version_added: 1.1.0
author: Ryszard Styczynski (@rstyczynski)
description:
  - Looks into a store again and again, and hands an event to the rulebook for each change of an attempt of a job, of an approval, and of a
    run of a workflow.
  - "An event has C(id), C(kind) (V(job), V(approval) or V(workflow)), C(status), C(host), C(playbook_name), C(job_name) or
    C(approval_name), C(workflow) and C(run), C(attempt), C(reason), C(rc), C(who), C(time), C(start), C(end), C(end_noticed),
    C(subject) and C(expires) of an approval, and C(state_file). All but C(attempt), C(rc), C(end_noticed) and C(withheld) are texts; what
    is not known is empty, or null."
  - If C(end_noticed) is V(true), nothing on the host tells when the job has ended. Its C(end) and its C(time) are when somebody first saw
    that it had.
  - "Statuses of jobs are those of their records: V(running) and C(orphaned), and each end. That a controller is about to start one is none,
    because that can be taken back. Approvals are C(requested), C(approved), C(rejected) and C(expired). Runs of workflows are
    V(running), C(cancelling), C(succeeded), C(recovered), C(failed) and C(cancelled)."
  - "The C(attempt) of a run is 1 when it begins, and goes up whenever somebody resumes, accepts or cancels. The C(reason) of one that has
    C(failed) or C(recovered) names the nodes that have failed, as C(deploy: failed). Its C(start) is when the run has begun. The nodes of
    a run are jobs and approvals, and told as such, too. Their C(playbook_name) is the name of the workflow, a blank, and the run."
  - The C(id) is made of the place of the record in its store, the attempt and the status, and so a UUID of version 5. It is always the same
    for the same change, whoever looks and however often. What is started by this name, such as a job or a run of a workflow, is started
    once. An attempt of a job that begins anew after its record was removed is another attempt, with other ids.
  - The cursor is a document in the store, and says which changes were told. What has happened between two looks, or while no rulebook was
    running, is taken from the history of the record, which has the last 20 attempts, or of the run, which has its last 200 events. Where
    that does not reach back far enough, a line in the log says how many are missing. A job whose record was removed before anybody looked
    makes no event.
  - What a record holds is data. A text that has the marks of a template is empty, and C(withheld) names it, because Ansible would run it as
    one if a playbook got it from the rulebook. So is a text that would get them there, or would become a list, a mapping or another
    text, since a rulebook reads what its own templates yield as a literal of Python, such as C('a\x7bb') or C(['a', 'b']).
  - "A text such as C(4711), C(1.10), C(True) or C(None) is in the event, and a rulebook makes a number, a truth value or nothing of it
    where a template yields it alone. In a mapping, each text stays what it is, as in C(failed: {{ {'run': event.run} }})."
  - "It runs in the process of C(ansible-rulebook), in its Python, which has to be 3.10 or newer and to have ansible-core installed; for
    O(backend=oci), also the package C(oci)."
  - The file is a program, too, for whoever collects logs. With options as C(name=value), it prints each event as a line of JSON.
options:
  cursor:
    description:
      - The name of the cursor. Each rulebook has its own. Of two that have the same one, each gets a part of the events; if they have
        different filters, only the one that was started last does, and the other one says so in its log.
    type: str
    required: true
  begin:
    description:
      - Where a cursor begins that there is not yet. With V(now), what has happened before is not told; with V(all), as much as records
        know of it.
    type: str
    choices: [now, all]
    default: now
  interval:
    description:
      - The time between two looks, in seconds.
    type: float
    default: 10
  until:
    description:
      - How long an event is told again if the rulebook was ended meanwhile.
      - V(handed_over) is until the rulebook has taken it. What the rulebook then does with it, is lost if it is killed before.
      - V(answered) is until a job has been started whose name is the C(id) of the event, whatever its host and its playbook; or until a
        run of a workflow that has this name has ended, since only whoever goes on with it ends it. Until then,
        the event is told again each time that a rulebook is started, and each O(repeat_after) seconds. Give the filters then, so that
        only those events are told which are to be answered.
      - If the rulebook runs with persistence and C(feedback=true), it has taken an event once it is in its database. See
        O(feedback_timeout).
    type: str
    choices: [handed_over, answered]
    default: handed_over
  feedback_timeout:
    description:
      - With C(feedback=true), how long to wait until the rulebook says that it has an event, in seconds. If it does not, as after an error,
        a line in the log says so. The events after it are told all the same, and this one is told again after O(repeat_after) seconds,
        unless the rulebook has said meanwhile that it has it.
    type: float
    default: 60
  repeat_after:
    description:
      - After how many seconds an event that nobody has answered, or of which the rulebook has not said that it has it, is told again.
    type: float
    default: 300
  kind:
    description:
      - What to tell of.
    type: list
    elements: str
    choices: [job, approval, workflow]
    default: [job, approval, workflow]
  status:
    description:
      - Only changes to one of these. The default is all.
    type: list
    elements: str
    choices:
      - running
      - orphaned
      - succeeded
      - failed
      - killed
      - timed_out
      - lost
      - cancelled
      - cancelling
      - recovered
      - requested
      - approved
      - rejected
      - expired
  host:
    description:
      - Only jobs of this host.
    type: str
  playbook_name:
    description:
      - Only jobs and approvals of this playbook.
    type: str
  job_name_pattern:
    description:
      - Only jobs and approvals whose name fits, with C(*) for any characters, C(?) for one, and C([...]) for one of several.
    type: str
  workflow:
    description:
      - Only runs of this workflow.
    type: str
  reactions:
    description:
      - Whether to tell also of jobs and of runs that are the answer to an event, as their name is a UUID of version 5, which an C(id) is,
        and of what belongs to such runs. Otherwise, an answer that fails would be answered, and so on without an end.
    type: bool
    default: false
extends_documentation_fragment:
  - rstyczynski.ansible.async_job_store
"""

EXAMPLES = r"""
- name: React to jobs that have failed
  hosts: all
  sources:
    - name: Jobs
      rstyczynski.ansible.async_jobs:
        cursor: repair
        state_dir: /srv/jobs
        status: [failed, killed, lost]
        playbook_name: Nightly
        until: answered
  rules:
    - name: Repair
      condition: event.kind == "job"
      action:
        run_playbook:
          name: repair.yml
          extra_vars:
            event_id: "{{ event.id }}"
            failed: "{{ {'host': event.host, 'job': event.job_name} }}"
"""

import asyncio
import json
import logging
import os
import pathlib
import signal
import sys
import time
import typing as t

if __name__ == "__main__":
    # Who stops a service ends it at once, whenever that is. A store takes that at any moment, and what nobody has noted is told again.
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))

_HERE = pathlib.Path(__file__).resolve()
_COLLECTIONS = _HERE.parents[6]
if _COLLECTIONS.name == "ansible_collections":
    # ansible-rulebook runs this file by its path. What it imports is beside it.
    sys.path.append(str(_COLLECTIONS.parent))
    import ansible_collections

    if str(_COLLECTIONS) not in ansible_collections.__path__:  # where it is a package that cannot be in two places
        ansible_collections.__path__.append(str(_COLLECTIONS))

try:
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
    from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.changes import Event
    from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._events import Watch
except ImportError as error:
    raise ImportError(
        f"The event source rstyczynski.ansible.async_jobs needs ansible-core in the Python of ansible-rulebook, {sys.executable}, and the"
        f" collection rstyczynski.ansible, installed where Ansible finds it: {error}"
    ) from error

_LOG = logging.getLogger("rstyczynski.ansible.async_jobs")


async def main(queue: asyncio.Queue[t.Any], args: dict[str, t.Any]) -> None:
    """Hand over events, for as long as the rulebook runs."""
    feedback: asyncio.Queue[t.Any] | None = args.get("eda_feedback_queue")
    watch = Watch({name: value for name, value in args.items() if name not in ("feedback", "eda_feedback_queue")}, _LOG.warning)
    has_looked = False
    told: dict[str, Event] = {}  # those of which the rulebook has not said that it has them
    while True:
        try:
            events = await asyncio.to_thread(watch.look)
            has_looked = True
            taken: set[str] = told.keys() & await _heard(feedback) if feedback is not None else set()  # what has come late
            for event in events:
                if event["id"] in taken:
                    continue
                told[event["id"]] = event
                await queue.put({**event, "meta": {"uuid": event["id"]}})
                if feedback is None:
                    taken.add(event["id"])
                    continue
                taken |= await _heard(feedback, event["id"], watch.params["feedback_timeout"])
                if event["id"] not in taken:
                    _LOG.error(
                        "The rulebook has not said in %g seconds that it has the event %s. It is told again in %g seconds.",
                        *(watch.params["feedback_timeout"], event["id"], watch.params["repeat_after"]),
                    )
            await asyncio.to_thread(watch.handed_over, [told.pop(event_id) for event_id in [*told] if event_id in taken])
        except AsyncJobError as error:
            if not has_looked:  # a wrong option, mostly: whoever has just started the rulebook is still there
                raise
            _LOG.error("%s The next look is in %g seconds.", error, watch.params["interval"])
        await asyncio.sleep(watch.params["interval"])


async def _heard(feedback: asyncio.Queue[t.Any], event_id: str = "", seconds: float = 0) -> set[str]:
    """Return the ids of the events that the rulebook says that it has, by now.

    :arg event_id: wait for this one
    :arg seconds: for so long at most
    """
    heard: set[str] = set()
    deadline = time.monotonic() + seconds
    while event_id not in heard:
        await asyncio.sleep(0)  # the rulebook waits for its turn to say more
        try:
            said = feedback.get_nowait() if feedback.qsize() else await asyncio.wait_for(feedback.get(), deadline - time.monotonic())
        except asyncio.TimeoutError:
            break
        heard.add(str(said.get("id")))
    return heard


class Lines(asyncio.Queue[t.Any]):
    """Takes events in the place of a rulebook, and prints each as a line of JSON."""

    async def put(self, item: t.Any) -> None:
        """Print an event. What was not printed, is told again."""
        line = json.dumps({name: value for name, value in item.items() if name != "meta"}).encode() + b"\n"
        while line:
            line = line[os.write(sys.stdout.fileno(), line) :]


def print_events(arguments: list[str]) -> str:
    """Print events until somebody ends that. Return what was wrong, empty if nothing was.

    :arg arguments: options, C(name=value)
    """
    valueless = [argument for argument in arguments if not argument.partition("=")[1]]
    if valueless:
        return f"{valueless[0]!r} gives no option a value. No event was told. Write options as name=value, without spaces around the '='."
    given = {name: value for name, _equals, value in (argument.partition("=") for argument in arguments)}
    try:
        asyncio.run(main(Lines(), given))
    except AsyncJobError as error:
        return str(error)
    except OSError as error:  # whoever reads it has gone, or the disk is full
        return f"No event can be printed any more: {error.strerror}."
    except KeyboardInterrupt:
        pass
    return ""


if __name__ == "__main__":
    sys.exit(print_events(sys.argv[1:]) or 0)
