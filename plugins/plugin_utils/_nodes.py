# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a workflow as jobs: what runs as a node, and with what.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import typing as t
from pathlib import Path

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._host.node import DIRECTORY
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Fields, Record, storable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._start.policies import Decision
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.driver import guarded, is_before, why_not
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import read_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    NodeOfRun,
    Run,
    begun_of,
    flaw_of_report,
    is_artifact_name,
    is_of_node,
    key_of_node,
    mark_of_node,
    part_of,
    time_limit_of,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.variables import (
    given_to,
    plain_variables,
    variables_text,
)
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._inner_task import InnerTask
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._request import KeptOnTask, Request
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._state_dir import name_of_copy

# The files of a node in the directory of its attempt, beside those of any job
_VARIABLES = "node.vars"
_PLAY = "node.yml"
_CALLBACK = "node.py"

_MOST_HOSTS = 1000
# As the callback cuts it, in characters
_LONGEST_PROBLEM = 1000
_SHORTEST_SECRET = 4
_SHORTEST_LINE = 8
_HIDDEN = "********"
# In the environment of a command, in characters. It is among its variables, however long.
_LONGEST_ITEM = 4096


class RequestOfRun(Request):
    """A job of a run: what users may say, they say of the run."""

    or_start_another = "to start another one all the same, give the run another id"
    or_attach = "to go on with that one, make its record anew (async_job_recover)"
    or_let_stop = ""


class NodeRequest(RequestOfRun):
    """A node as a job to start: once for the attempt that its run has decided on.

    :arg params: validated options of the workflow
    :arg started_by: fields of an attempt that say who starts it
    """

    def __init__(self, params: dict[str, t.Any], store: Store, run: Run, name: str, *, started_by: Fields | None = None) -> None:
        self._run = run
        self._name = name
        part = part_of(run, name)
        self.attempt: int = part.node["attempt"]
        self.refused = ""
        """Why the run did not want the attempt any more. Empty if it did."""
        defaults = {option: spec.get("default") for option, spec in async_job.ARGUMENT_SPEC.items()}
        job = {**defaults, **params, **key_of_node(run, name)._asdict(), "metadata": mark_of_node(run, name)}
        job["semaphore"] = part.about.get("semaphore")
        limit = time_limit_of(part.about)
        # What a node says may name what it was given, and whoever looks at its job knows nothing of that.
        secret = bool(run["secret_params"])
        super().__init__(job, store, KeptOnTask(limit, 0), fingerprint="", secret=secret, with_facts=False, started_by=started_by)

    def claim(self, before: Record | None) -> Record:
        record = super().claim(before)
        record["attempt"] = record["first_attempt"] = self.attempt
        return record

    def decide(self, record: Record) -> Decision:
        if not is_of_node(record, self._run, self._name):
            raise AsyncJobError(f"{self.state_file} is the record of another job, which has the name of this node. Nothing was started.")
        if record.get("attempt", 1) > self.attempt:
            raise AsyncJobError(
                f"{self.state_file} is of attempt {record['attempt']}, and the run has decided on attempt {self.attempt}: it has"
                " begun anew, or an older copy of it was put back. Nothing was started. Give the run another id."
            )
        return Decision(start=is_before(record, self.attempt), why=f"attempt {self.attempt} is due")

    def had(self, record: Record) -> str:
        if not is_of_node(record, self._run, self._name) or record.get("attempt", 1) < self.attempt:
            return ""
        return f"attempt {self.attempt} of this node, which is due now, is not executed twice"

    def guarded(self, steps: t.Any) -> t.Any:
        return guarded(steps)

    def why_not(self) -> str:
        run, _version = read_run(self.store, self._run["workflow"], self._run["run"])
        self.refused = why_not(run, self._name, self.attempt, begun_of(self._run))
        if run is not None and run["definition_hash"] != self._run["definition_hash"]:
            self.refused = "its run has another definition now"
        return self.refused


class NodeTask(InnerTask):
    """The command of a node.

    :arg outer: the action of the workflow
    :arg directory: where the file of the workflow is
    :arg params: of the run, secret ones too
    :arg inventory: of nodes that do not say another one
    """

    def __init__(
        self, outer: t.Any, graph: Graph, run: Run, name: str, *, directory: str, params: dict[str, t.Any], inventory: t.Sequence[str]
    ) -> None:
        about = part_of(run, name).about
        given = given_to(graph, run, name, params, directory)
        self.unclear = given.unclear
        environment = {"ASYNC_WORKFLOW_NODE": name, "ASYNC_WORKFLOW_RUN": run["run"]}
        if "item" in given.about:
            item = given.about["item"]
            text = item if isinstance(item, str) else json.dumps(item)
            if len(text) <= _LONGEST_ITEM and "\0" not in text:
                environment["ASYNC_WORKFLOW_ITEM"] = text
        options: dict[str, t.Any] = {"chdir": given.directory}
        if about["kind"] == "command":
            files = {_VARIABLES: plain_variables(given)}
            environment["ASYNC_WORKFLOW_VARIABLES"] = f"{DIRECTORY}/{_VARIABLES}"
            command = about["command"]
            options["argv" if isinstance(command, list) else "_raw_params"] = command
        else:
            files = {_VARIABLES: variables_text(given), _CALLBACK: callback_source()}
            environment.update(ASYNC_WORKFLOW_NODE_DIRECTORY=DIRECTORY, ANSIBLE_CALLBACK_PLUGINS=DIRECTORY)
            secrets = secrets_in(params[name] for name in run["secret_params"] if name in params)
            hidden = [name for name, value in given.params.items() if any(map(_holds(secrets), _texts(value)))]
            environment["ASYNC_WORKFLOW_SECRET_PARAMS"] = ",".join(hidden)
            labels = (f"{what}:{value}".replace(",", " ") for what, value in mark_of_node(run, name).items())
            environment["ARA_DEFAULT_LABELS"] = ",".join(labels)
            playbook = about.get("playbook")
            if playbook is None:
                playbook = f"{DIRECTORY}/{_PLAY}"
                files[_PLAY] = _play(about)
            is_local = outer._connection.transport == "local"
            options["argv"] = [*(OURS if is_local else ("ansible-playbook",)), *_words(about, inventory), playbook]
        super().__init__(outer, {"ansible.builtin.command": options}, time_limit_of(about))
        self._more = {"node": {"files": files, "environment": environment, "removed": [*files]}}
        self._task.no_log = True  # what it is given is nothing for the log of the host


def command_beside(called: str) -> tuple[str, ...]:
    """Return the C(ansible-playbook) of the Ansible that runs us. The search path may know another one, or none.

    :arg called: the file that was called, which is one of its commands; or one of its modules, whose commands nobody knows
    """
    script = os.path.join(os.path.abspath(os.path.dirname(called)), "ansible-playbook")
    if os.path.dirname(called) and os.path.isfile(script) and os.access(script, os.X_OK):
        return (script,)
    return sys.executable, "-m", "ansible.cli.playbook"  # "-m ansible playbook" would search for that module first


OURS = command_beside(sys.argv[0])


def callback_source() -> str:
    """Return the callback of nodes, which travels with each."""
    return (Path(__file__).parents[1] / "callback" / "async_workflow_node.py").read_text("utf-8")


def _words(about: dict[str, t.Any], inventory: t.Sequence[str]) -> t.Iterator[str]:
    """Yield the options of a playbook. Each is one word, so that no value is taken for another option."""
    yield f"--extra-vars=@{DIRECTORY}/{_VARIABLES}"
    for place in about.get("inventory", inventory):
        yield f"--inventory={place}"
    if about["kind"] == "playbook" and "limit" in about:
        yield f"--limit={about['limit']}"
    for field, option in (("tags", "--tags"), ("skip_tags", "--skip-tags")):
        if about.get(field):
            yield f"{option}={','.join(about[field])}"
    if "forks" in about:
        yield f"--forks={about['forks']}"


def _play(about: dict[str, t.Any]) -> str:
    """Return a playbook of one task."""
    play = {"name": "node", "hosts": about.get("limit", "localhost"), "gather_facts": False, "tasks": [about["task"]]}
    return json.dumps([play], indent=1) + "\n"


def inventory_of(sources: t.Any, directory: str) -> list[str]:
    """Return the inventories of the command line as a run notes them: below the directory of its file if they are there, so that another
    checkout has the same; and what a rulebook has copied, by the name that it was copied from.

    :arg sources: what C(--inventory) was given
    """
    found = []
    for source in sources if isinstance(sources, (list, tuple)) else [sources] if sources else []:
        below = os.path.relpath(source, directory) if os.path.isabs(source) else source
        found.append((name_of_copy(source) or source) if below.startswith("..") else below)
    return found


def heard_report(said: t.Any) -> tuple[NodeOfRun, bool | None, str]:
    """Return what the callback of a node has written: what its run is to note; whether the playbook has failed, None if it had not ended;
    and what is wrong with it. It comes from a host, and is data.
    """
    if not isinstance(said, dict):
        return {}, None, "what the host says of the node is none"
    if "report" not in said:
        return {}, None, str(said.get("problem", "the host says nothing of the node"))[:1000]
    report = said["report"]
    if not isinstance(report, dict):
        return {}, None, "its report is none"
    problems = report.get("problems")
    found: NodeOfRun = {
        "artifacts": _artifacts(report.get("artifacts")),
        "secret": [name for name in _listed(report.get("secret")) if is_artifact_name(name)][:1000],
        "counts": dict(list(_mapping(report.get("counts")).items())[:_MOST_HOSTS]),
        "problems": [_problem(one) for one in _listed(problems)[:20]],
    }
    flaw = flaw_of_report(found)
    if flaw:
        return {}, None, f"its report {flaw}"
    has_ended = report.get("ended") is True
    try:
        found = storable({field: value for field, value in found.items() if value}, name="its report")
    except AsyncJobError as error:
        return {}, None, str(error)
    return found, bool(report.get("failed")) if has_ended else None, ""


def without_secrets(report: NodeOfRun, secrets: t.Sequence[str] | None) -> NodeOfRun:
    """Return what a node has said of itself as its run may note it: of an artifact that holds a secret parameter, its name is left.

    :arg secrets: what secret parameters of the run hold. None if nobody here knows that: then each artifact may hold one
    """
    artifacts = report.get("artifacts", {})
    hidden = [name for name, artifact in artifacts.items() if secrets is None or any(map(_holds(secrets), _texts(artifact)))]
    found = {
        **report,
        "artifacts": {name: artifact for name, artifact in artifacts.items() if name not in hidden},
        "secret": [*report.get("secret", ()), *hidden],
        "counts": _counts(report.get("counts", {}), secrets or ()),
        "problems": [_problem_without(one, secrets) for one in report.get("problems", ())],
    }
    return {field: value for field, value in found.items() if value}


def secrets_in(values: t.Iterable[t.Any]) -> list[str]:
    """Return what in values nobody may read elsewhere, also as a text in JSON has it; and of what has several lines, each that tells
    something: what quotes a key may quote a line of it."""
    texts = {text for value in values for text in _texts(value) if text}
    texts |= {line.strip() for text in texts for line in text.splitlines() if len(line.strip()) >= _SHORTEST_LINE}
    return [*texts, *({json.dumps(text)[1:-1] for text in texts} - texts)]


def masked(text: str, secrets: t.Sequence[str]) -> str:
    """Return a text without secrets. Of those that overlap, nothing is left."""
    parts = [*filter(_is_telling, secrets)]
    hides = bytearray(len(text))
    if len(text) >= _LONGEST_PROBLEM:  # it may have been cut in the middle of one
        ends = (length for secret in parts for length in range(len(secret), _SHORTEST_SECRET - 1, -1) if text.endswith(secret[:length]))
        length = max(ends, default=0)
        hides[len(text) - length :] = b"\1" * length
    for secret in parts:
        begin = text.find(secret)
        while begin >= 0:
            hides[begin : begin + len(secret)] = b"\1" * len(secret)
            begin = text.find(secret, begin + 1)
    groups = itertools.groupby(zip(text, hides, strict=True), key=lambda one: one[1])
    return "".join(_HIDDEN if hidden else "".join(character for character, _hides in group) for hidden, group in groups)


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def _is_telling(secret: str) -> bool:
    """Return whether a text that holds this holds a secret. What is short may be part of anything."""
    return len(secret) >= _SHORTEST_SECRET


def _holds(secrets: t.Sequence[str]) -> t.Callable[[str], bool]:
    return lambda text: any(text == secret or (_is_telling(secret) and secret in text) for secret in secrets)


def _counts(counts: dict[str, dict[str, int]], secrets: t.Sequence[str]) -> dict[str, dict[str, int]]:
    """Return the counts of hosts, without secrets in their names. Those that have the same name then are counted together."""
    found: dict[str, dict[str, int]] = {}
    for host, numbers in counts.items():
        together = found.setdefault(masked(host, secrets), {})
        for what, number in numbers.items():
            together[what] = together.get(what, 0) + number
    return found


def _problem_without(one: dict[str, str], secrets: t.Sequence[str] | None) -> dict[str, str]:
    if secrets is None:
        return {**one, **dict.fromkeys(("task", "msg"), "what it says may hold a secret parameter")}
    return {**one, **{field: masked(one[field], secrets) for field in ("host", "task", "msg")}}


def _problem(given: t.Any) -> t.Any:
    """Return where and why something has failed. What a host says beside that is nothing to anybody."""
    is_one = isinstance(given, dict) and all(isinstance(said, str) for said in given.values())
    return {field: given.get(field, "")[:_LONGEST_PROBLEM] for field in ("host", "task", "msg")} if is_one else given


def _artifacts(given: t.Any) -> dict[str, t.Any]:
    """Return those artifacts that can be kept. One that Ansible itself would act upon, as whom or where to work, is left out."""
    found = {}
    for name, artifact in _mapping(given).items():
        try:
            if is_artifact_name(name):
                found[name] = storable(artifact, name=name)
        except AsyncJobError:
            continue
    return found


def _mapping(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else []
