# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that a command of the fleet does not know: those that look like its own are refused, and all others are left alone."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml
from ansible import context

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils import _near_misses
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._near_misses import meant, refuse, refuse_params

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
PLAYS: dict[str, list[dict[str, t.Any]]] = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in sorted(PLAYBOOKS.glob("*.yml"))}
KNOWN = {name: {"become", *plays[0].get("vars", {})} for name, plays in PLAYS.items() if "hosts" in plays[0]}

# A variable, and what is meant by it in prune
MISSES = {
    **{"state": "status", "status_": "status", "Status": "status", "stats": "status", "satus": "status", "STATUS": "status"},
    **{"job_status": "status", "status_filter": "status", "status_in": "status", "not_status": "status", "statuses": "status"},
    **{"hostname": "host", "host_name": "host", "hosts": "host", "hots": "host", "hostnames": "host", "hst": "host", "target_host": "host"},
    **{"limit": "host", "host_pattern": "host", "only_host": "host", "exclude_hosts": "host"},
    **{"jobs": "job", "name": "job", "jobname": "job_name", "job-name": "job_name", "job_names": "job_name", "jbo": "job"},
    **{"job_pattern": "job", "job_name_pattern": "job", "jobb": "job", "names": "job"},
    **{"play": "playbook", "playbok": "playbook", "play_name": "playbook", "playbooks": "playbook", "playbookname": "playbook_name"},
    **{"older": "older_than", "olderthan": "older_than", "older-than": "older_than", "oldr_than": "older_than", "age": "older_than"},
    **{"older_then": "older_than", "newer": "newer_than", "newer_than": "newer_than", "since": "newer_than"},
    **{"kep": "keep", "keep_last": "keep", "keep_attempt": "keep_attempts", "aply": "apply", "dry_run": "apply", "force": "apply"},
    **{"async_job_statedir": "async_job_state_dir", "async_job_stat_dir": "async_job_state_dir", "state_dir": "async_job_state_dir"},
    **{"async_job_load_state_dir": "async_job_state_dir", "ansible_limit": "host", "attempts": "keep_attempts", "servers": "host"},
    **{"inventory_hostname": "host", "finished_before": "older_than", "check_mode": "apply", "verify": "verify"},
    **{"async_job_dir": "async_job_…", "async_job_Backend": "async_job_backend", "bucket": "async_job_oci_bucket"},
}
# What an inventory, a pipeline or AWX may give for its own purposes
OTHERS = [
    *("ansible_python_interpreter", "ansible_user", "ansible_host", "ansible_become_password", "ansible_async_dir", "ansible_port"),
    *("env", "environment", "stage", "region", "version", "user", "users", "port", "db_host", "host_vars_dir", "domain", "app", "service"),
    *("awx_job_id", "awx_job_template_name", "awx_user_name", "tower_job_id", "tower_user_name", "tower_workflow_job_id"),
    *("http_proxy", "timeout", "verbose", "become", "job_user", "status_page_url", "playbook_repository", "hosts_file_path", "test"),
    *("async_job_progress", *(f"async_job_{option}" for option in STORE_OPTIONS)),
]


@pytest.mark.parametrize(("name", "ours"), MISSES.items())
def test_a_near_miss(name: str, ours: str) -> None:
    assert meant(name, KNOWN["prune"]) == ours
    with pytest.raises(AsyncJobError, match=rf"^prune does not know {re.escape(name)}\b.* Nothing was done\. prune takes .*older_than"):
        refuse("prune", KNOWN["prune"], {name: "x"})


@pytest.mark.parametrize("command", KNOWN)
def test_other_variables_are_left_alone(command: str) -> None:
    """And so are all that the command takes."""
    names = [*OTHERS, *KNOWN[command]]
    assert {name: meant(name, KNOWN[command]) for name in names if meant(name, KNOWN[command])} == {}
    refuse(command, KNOWN[command], dict.fromkeys(names, "x"))


@pytest.mark.parametrize("command", KNOWN)
@pytest.mark.parametrize("name", ["state", "hostname", "status_", "older", "async_job_statedir"])
def test_every_command_refuses_them(command: str, name: str) -> None:
    with pytest.raises(AsyncJobError, match=f"^{command} does not know {name}"):
        refuse(command, KNOWN[command], {name: "x"})


def test_parameters_of_a_workflow_among_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would read them. One that the playbook takes is meant for that, and what is in params, too, is there for others."""
    task: t.Any = None
    monkeypatch.setattr(_near_misses._ansible, "play_of", lambda _task: SimpleNamespace(get_ds=lambda: {"vars": {"run": "", "file": ""}}))
    monkeypatch.setattr(_near_misses, "load_extra_vars", lambda _loader: {"version": "2.0", "run": "4711", "region": "eu"})
    with pytest.raises(AsyncJobError, match=r"^'version' is a parameter of the workflow: give it in params .* Nothing was done\.$"):
        refuse_params(task, None, {"version": {}, "run": {}}, {})
    refuse_params(task, None, {"version": {}, "run": {}}, {"version": "2.0"})
    refuse_params(task, None, {"other": {}}, {})


def test_filters_of_other_commands() -> None:
    """Whoever gives one to a command that does not take it expects that it does."""
    for command, name in [("jobs", "keep"), ("show", "status"), ("cancel", "older_than"), ("approve", "job"), ("copy_records", "host")]:
        with pytest.raises(AsyncJobError, match=rf"{command} does not know {name}\. "):
            refuse(command, KNOWN[command], {name: "x"})
    with pytest.raises(AsyncJobError, match=r"approve does not know playbook_name \(did you mean playbook\?\)\."):
        refuse("approve", KNOWN["approve"], {"playbook_name": "x"})
    refuse("jobs", KNOWN["jobs"], {"force": True})  # there is nothing to apply


def test_what_gives_nothing_a_value() -> None:
    """A filter with spaces around its equals sign, or without a value, would filter nothing."""
    with pytest.raises(AsyncJobError, match=r"^-e 'host = web2' gives no variable a value\."):
        refuse("jobs", KNOWN["jobs"], {"_raw_params": "host = web2"})
    for value in ("", " ", None, []):
        with pytest.raises(AsyncJobError, match=r"^host has no value, which would mean any"):
            refuse("prune", KNOWN["prune"], {"host": value, "status": "failed", "apply": True})
    refuse("prune", KNOWN["prune"], {"keep": 0, "job": "a*"})
    refuse("jobs", KNOWN["jobs"], {"host": ""})
    with pytest.raises(AsyncJobError, match=r"^host has no value"):
        refuse("cancel", KNOWN["cancel"], {"job": "backup", "host": ""})


@pytest.mark.parametrize("limit", ["", " , ", ":"])
def test_a_limit_that_limits_nothing(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As C(--limit "$HOSTS") is if there is no such variable. Ansible takes it for no limit."""
    monkeypatch.setattr(context, "CLIARGS", {"subset": limit})
    for command in ("prune", "cancel"):
        with pytest.raises(AsyncJobError, match=r"^--limit has no value, which would mean any\. Nothing was done\."):
            refuse(command, KNOWN[command], {"job": "backup"})
    refuse("jobs", KNOWN["jobs"], {})
    monkeypatch.setattr(context, "CLIARGS", {"subset": "web2"})
    refuse("prune", KNOWN["prune"], {"job": "backup"})


@pytest.mark.parametrize("command", ["cancel", "approve"])
@pytest.mark.parametrize("name", ["apply", "dry_run", "check", "check_mode"])
def test_what_has_no_dry_run(command: str, name: str) -> None:
    """It would do it for whoever thinks that this is one."""
    with pytest.raises(AsyncJobError, match=rf"^{command} does not know {name}\. Nothing was done"):
        refuse(command, KNOWN[command], {name: False})


def test_all_are_named_at_once() -> None:
    with pytest.raises(AsyncJobError) as caught:
        refuse("prune", KNOWN["prune"], {"older_than": "0s", "hostname": "web2", "state": "failed", "apply": "true"})
    assert str(caught.value).startswith(
        "prune does not know hostname (did you mean host?), state (did you mean status?). Nothing was done."
    )


# What Ansible itself gives
GIVEN = re.compile(r"ansible_\w+|inventory_hostname|hostvars|groups|omit|item|become")
CONDITIONS = ("when", "that", "failed_when", "changed_when")


def templates_in(value: t.Any, key: str = "") -> Iterator[str]:
    """Every template in a part of a playbook."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from templates_in(inside, name)
    elif isinstance(value, list):
        for inside in value:
            yield from templates_in(inside, key)
    elif isinstance(value, str):
        yield f"{{{{ {value} }}}}" if key in CONDITIONS else value


def tasks_in(tasks: list[t.Any]) -> Iterator[t.Any]:
    """Every task, those in blocks as well."""
    for task in tasks:
        yield task
        yield from tasks_in([*task.get("block", ()), *task.get("rescue", ()), *task.get("always", ())])


@pytest.mark.parametrize("command", KNOWN)
def test_playbooks_declare_what_they_take(command: str) -> None:
    """What a playbook does not declare is refused, if it looks like a filter."""
    for play in PLAYS[command]:
        declared = set(play.get("vars", {}))
        for task in tasks_in(play["tasks"]):
            declared |= {task.get("register"), *task.get("vars", {})}
        registered = {task.get("register") for other in PLAYS[command] for task in tasks_in(other["tasks"])}
        parsed = [jinja2.Environment(autoescape=True).parse(template) for template in templates_in(play)]
        used = {name.name for one in parsed for name in one.find_all(jinja2.nodes.Name) if name.ctx == "load"}
        assert {one for one in used - declared - registered if not GIVEN.fullmatch(one)} == set()
