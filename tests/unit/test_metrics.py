# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics, as Prometheus' own tools read them; the alerts of the guide, which these tools play; and the dashboard, by Grafana's types."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from missing import do_without
from pages import ROOT, blocks_of, guide, literals, table
from workflows import define, ended

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_report
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.metrics import METRICS, metrics
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import decide
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Graph
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.keeping import write_run
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import key_of_node, mark_of_node, new_run

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
RULES = next(block.text for block in blocks_of(guide("guide_metrics")) if block.language == "yaml")
DASHBOARD = json.loads((ROOT / "extensions/monitoring/grafana_dashboard.json").read_text("utf-8"))
ODD = 'it "is"\\ an\nodd {name} \udc80 \x1b'


def record(job: str, status: str | None, **fields: t.Any) -> t.Any:
    names = {"job_name": job, "host": "db01", "playbook_name": "Backup", "ansible_job_id": "j1.1", "metadata": {}}
    return {**names, **({} if status is None else {"status": status}), "start": "2026-01-01T11:00:00Z", **fields}


RECORDS = [
    record("dump", "succeeded", end="2026-01-01T11:00:42Z", attempt=3, timeout=60),
    record("copy", "running", timeout=1800),
    record("alone", "orphaned", timeout=0),
    record(ODD, "failed", attempt=10**15, timeout=1e15, end="no time"),
    record("old", None),
]


def run(name: str, workflow: str = 'De"ploy\\', nodes: t.Any = None, *, saved: str = "2026-01-01T11:00:00Z", **outcomes: str) -> t.Any:
    """Return a run that has begun at ten, after some of its nodes have ended."""
    graph = Graph(define(nodes or {"a": {}, "b": {"for_each": [1, 2]}}, name=workflow))
    begun = {**decide(graph, new_run(graph.definition, name, "host1", {}, [], "me")), "started": "2026-01-01T10:00:00Z"}
    return {**ended(graph, begun, **outcomes), "save_time": saved}


def node_of(of: t.Any, name: str, status: str, **fields: t.Any) -> t.Any:
    """Return the record of the job of a node."""
    names = {**key_of_node(of, name)._asdict(), "metadata": mark_of_node(of, name), "ansible_job_id": "j1.1"}
    return {**names, "status": status, "start": "2026-01-01T11:00:00Z", **fields}


WELL = {"a": "succeeded", "b[0]": "succeeded", "b[1]": "succeeded"}
BROKEN = run("broken", **{**WELL, "b[1]": "killed"})
RUNS = [
    run("now"),
    {**BROKEN, "ended": "2026-01-01T11:30:00Z"},
    {**run("well", **WELL), "ended": "2026-01-01T11:00:00Z"},
    {**run("only", "Other", **WELL), "ended": "no time"},
]
TEXT = metrics(RECORDS, NOW, unreadable=2, approvals=[{"requested_at": "2026-01-01T10:00:00Z"}, {"requested_at": "nonsense"}], runs=RUNS)


def promtool(*args: str, given: str = "") -> str:
    """Run Prometheus' own tool, and return what it says, after making sure that it finds no fault."""
    tool = shutil.which("promtool")
    if tool is None:
        do_without("promtool is missing: apt-get install --no-install-recommends prometheus")
    done = subprocess.run([tool, *args], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return done.stdout + done.stderr


def test_prometheus_reads_them_and_finds_nothing_to_complain_of() -> None:
    assert promtool("check", "metrics", given=TEXT) == ""


def test_what_they_say() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    families = {family.name: family for family in text_string_to_metric_families(TEXT)}
    assert list(families) == [name for name, _about in METRICS]
    assert {family.type for family in families.values()} == {"gauge"}
    samples = {
        (name, sample.labels.get("job", ""), sample.labels.get("status", "")): sample.value
        for name, family in families.items()
        for sample in family.samples
    }
    assert samples["async_jobs", "", "running"] == 2
    assert samples["async_jobs", "", "lost"] == 0
    assert samples["async_jobs_unreadable", "", ""] == 2
    assert samples["async_job_approvals_pending", "", ""] == 2
    assert samples["async_job_oldest_approval_seconds", "", ""] == 7200
    assert samples["async_job_oldest_running_seconds", "", ""] == 3600
    assert samples["async_job_duration_seconds", "dump", ""] == 42
    assert {key[1:]: value for key, value in samples.items() if key[0] == "async_job_time_limit_seconds"} == {
        ("dump", ""): 60,
        ("copy", ""): 1800,
    }
    odd = ODD.replace("\udc80", "\\udc80").replace("\x1b", "\\x1b")
    assert {key[1:] for key in samples if key[0] == "async_job_status"} == {
        ("dump", "succeeded"),
        ("copy", "running"),
        ("alone", "orphaned"),
        (odd, "failed"),
        ("old", "running"),
    }
    assert samples["async_job_attempts", odd, ""] == 10**9


def test_an_empty_store_has_metrics_too() -> None:
    assert promtool("check", "metrics", given=metrics([], NOW)) == ""


def of_runs(text: str) -> dict[tuple[str, ...], float]:
    """Return what metrics say of workflows: by name, workflow, run and status, as far as they have these."""
    from prometheus_client.parser import text_string_to_metric_families

    return {
        (family.name.removeprefix("async_workflow_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith("async_workflow_")
    }


def test_what_they_say_of_workflows() -> None:
    """Of those that have ended, only of the last of each workflow: there would be ever more."""
    values = of_runs(TEXT)
    name = 'De"ploy\\'
    counts = {key[1:]: value for key, value in values.items() if key[0] == "runs" and value}
    assert counts == {(name, "running"): 1, (name, "failed"): 1, (name, "succeeded"): 1, ("Other", "succeeded"): 1}
    assert values["runs", name, "cancelling"] == values["active", "Other"] == 0
    assert values["active", name] == 1
    known = {(name, "now"): "running", (name, "broken"): "failed", ("Other", "only"): "succeeded"}
    assert {key[1:]: value for key, value in values.items() if key[0] == "status"} == {(*key, status): 1 for key, status in known.items()}
    assert {key[1:]: value for key, value in values.items() if key[0] == "duration_seconds"} == {
        (name, "now"): 7200,
        (name, "broken"): 5400,
        ("Other", "only"): 0,
    }
    failed = {key[1:]: value for key, value in values.items() if key[0] == "failed_nodes"}
    assert failed == {(name, "now"): 0, (name, "broken"): 1, ("Other", "only"): 0}
    assert {key[1:]: value for key, value in values.items() if key[0] == "idle_seconds"} == {(name, "now"): 3600}


ASKS = {"a": {"approval": "Go on"}}
TRIES = {"a": {"retries": 1, "retry_delay": 600}}
AGAIN = run("r", nodes=TRIES, a="failed")
AGAIN["nodes"]["a"]["end"] = "2026-01-01T11:40:00Z"


@pytest.mark.parametrize(
    ("of", "records", "idle"),
    [
        (run("r"), [], 3600),  # whoever was to start them has gone
        (run("r"), [node_of(run("r"), "a", "running")], 0),
        (run("r"), [node_of(run("r"), "b[1]", "orphaned")], 0),
        (run("r"), [node_of(run("r"), "a", "succeeded", end="2026-01-01T11:50:00Z")], 600),  # and nobody has noted it
        (run("r"), [node_of(run("r"), "a", "starting", save_time="2026-01-01T11:59:00Z")], 60),
        (run("r"), [node_of(run("r"), "a", "running", metadata={})], 3600),  # a job of somebody else
        (run("r", nodes=ASKS), [], 3600),
        (AGAIN, [], 600),  # its delay is over
        (run("r", saved="2026-01-01T13:00:00Z"), [], 0),  # by another clock
        (run("r", saved="no time"), [], 0),
    ],
)
def test_for_how_long_nobody_goes_on(of: t.Any, records: t.Any, idle: float) -> None:
    assert {key[0]: value for key, value in of_runs(metrics(records, NOW, runs=[of])).items()}["idle_seconds"] == idle


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 1),
        ({"playbook_name": "w r"}, 1),
        ({"playbook_name": "w"}, 0),
        ({"newer_than": "1d"}, 0),
        ({"older_than": "0s"}, 0),
        ({"host": "a"}, 0),
    ],
)
def test_runs_are_counted_with_all_of_their_jobs_or_not_at_all(tmp_path: Path, filters: dict[str, str], count: int) -> None:
    """A job that a filter leaves out would be taken for one that does not run."""
    write_run(FilesystemStore(str(tmp_path)), None, run("r", "w"), expect=ABSENT)
    given = {name: option.get("default") for name, option in async_job_report.ARGUMENT_SPEC.items()}
    given |= {"dest": str(tmp_path / "jobs.prom"), "format": "prometheus", "state_dir": str(tmp_path), **filters}
    assert async_job_report.run(given, check_mode=False)["runs"] == count
    assert ("async_workflow_runs" in (tmp_path / "jobs.prom").read_text()) == bool(count)


def test_a_run_that_cannot_be_read_is_counted_as_such(tmp_path: Path) -> None:
    file = tmp_path / ".workflows/w/r.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    given = {name: option.get("default") for name, option in async_job_report.ARGUMENT_SPEC.items()}
    given |= {"dest": str(tmp_path / "jobs.prom"), "format": "prometheus", "state_dir": str(tmp_path)}
    result = async_job_report.run(given, check_mode=False)
    assert result["failed"]
    assert "r.json" in result["msg"]
    assert "async_jobs_unreadable 1" in (tmp_path / "jobs.prom").read_text().splitlines()


def test_the_guide_has_them_all() -> None:
    rows = table(guide("guide_metrics"), "metric", "labels", "meaning")
    assert [literals(row[0]) for row in rows] == [[name] for name, _about in METRICS]
    for (name,), labels in ((literals(row[0]), literals(row[1])) for row in rows):
        found = re.findall(rf"^{name}(?:\{{(.*)\}})? ", TEXT, re.MULTILINE)
        assert re.findall(r'(\w+)="', found[0] or "") == labels, name


def of_workflow(name: str, run: str, status: str = "") -> str:
    """Return a series of a run as Prometheus has it."""
    more = f', status="{status}"' if status else ""
    return f'{name}{{workflow="Deploy", run="{run}"{more}, job="node", instance="ctl:9100"}}'


def scraped(name: str, job: str, status: str = "") -> str:
    """Return a series as Prometheus has it: it has a label C(job) of its own."""
    more = f', status="{status}"' if status else ""
    return f'{name}{{host="db01", playbook="Backup", exported_job="{job}"{more}, job="node", instance="ctl:9100"}}'


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """And not for jobs that are well."""
    series = {
        scraped("async_job_status", "late", "running"): "1x30",
        scraped("async_job_duration_seconds", "late"): "3600+60x30",
        scraped("async_job_time_limit_seconds", "late"): "3600x30",
        scraped("async_job_status", "well", "running"): "1x30",
        scraped("async_job_duration_seconds", "well"): "60+60x30",
        scraped("async_job_time_limit_seconds", "well"): "3600x30",
        scraped("async_job_status", "over", "succeeded"): "1x30",  # its limit is no matter any more
        scraped("async_job_duration_seconds", "over"): "7200x30",
        scraped("async_job_time_limit_seconds", "over"): "3600x30",
        scraped("async_job_status", "alone", "orphaned"): "1x30",
        scraped("async_job_status", "broken", "killed"): "1x30",
        'async_job_oldest_approval_seconds{job="node"}': "0+600x30",
        'async_jobs_unreadable{job="node"}': "0x10 3x20",
        of_workflow("async_workflow_status", "4711", "failed"): "1x30",
        of_workflow("async_workflow_failed_nodes", "4711"): "2x30",
        of_workflow("async_workflow_status", "4712", "recovered"): "1x30",
        of_workflow("async_workflow_failed_nodes", "4712"): "1x30",
        of_workflow("async_workflow_status", "4713", "running"): "1x30",
        of_workflow("async_workflow_failed_nodes", "4713"): "1x30",
        of_workflow("async_workflow_idle_seconds", "4713"): "0+600x30",
        of_workflow("async_workflow_idle_seconds", "4714"): "0x30",
        'node_textfile_mtime_seconds{file="/var/lib/async_jobs.prom"}': "0x30",
    }

    def fires(alert: str, minute: int, *expected: str) -> t.Any:
        """Return what is to fire: the values of the label that tells one from another."""
        rule = next(rule for rule in yaml.safe_load(RULES)["groups"][0]["rules"] if rule["alert"] == alert)
        alerts = []
        for about in expected:
            labels: dict[str, str] = {"job": "node"}
            summary = rule["annotations"]["summary"]
            if "exported_job" in summary:
                status = {"alone": "orphaned", "broken": "killed"}.get(about)
                labels |= {"host": "db01", "playbook": "Backup", "exported_job": about, "instance": "ctl:9100"}
                labels |= {"status": status} if status else {}
            elif "workflow" in summary:
                labels |= {"workflow": "Deploy", "run": about, "instance": "ctl:9100"}
            elif "quarter" in summary:
                labels = {"file": "/var/lib/async_jobs.prom"}
            known = {**labels, "value": "2" if alert == "AsyncWorkflowFailed" else about}
            told = re.sub(r"\{\{ \$(?:labels\.)?(\w+) \}\}", lambda found, known=known: known[found[1]], summary)
            texts = {"summary": told, "description": rule["annotations"]["description"]}
            alerts.append({"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": texts})
        return {"alertname": alert, "eval_time": f"{minute}m", "exp_alerts": alerts}

    tests = [
        fires("AsyncJobPastItsLimit", 4),
        fires("AsyncJobPastItsLimit", 8, "late"),
        fires("AsyncJobOrphaned", 4),
        fires("AsyncJobOrphaned", 6, "alone"),
        fires("AsyncJobFailed", 1, "broken"),
        fires("AsyncJobApprovalWaiting", 6),
        fires("AsyncJobApprovalWaiting", 7, ""),
        fires("AsyncWorkflowFailed", 1, "4711"),
        fires("AsyncWorkflowParked", 6),
        fires("AsyncWorkflowParked", 7, "4713"),
        fires("AsyncJobRecordsUnreadable", 12),
        fires("AsyncJobRecordsUnreadable", 17, "3"),
        fires("AsyncJobMetricsOld", 14),
        fires("AsyncJobMetricsOld", 16, ""),
    ]
    assert {test["alertname"] for test in tests} == {rule["alert"] for rule in yaml.safe_load(RULES)["groups"][0]["rules"]}
    (tmp_path / "async_jobs.rules.yml").write_text(RULES)
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "async_jobs.rules.yml"))
    given = [{"series": name, "values": values} for name, values in series.items()]
    played = {
        "rule_files": ["async_jobs.rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": given, "alert_rule_test": tests}],
    }
    (tmp_path / "test.yml").write_text(json.dumps(played))
    promtool("test", "rules", str(tmp_path / "test.yml"))


def expressions() -> list[str]:
    """Return what the dashboard asks Prometheus for."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_there_are(tmp_path: Path) -> None:
    known = {name for name, _about in METRICS}
    asked = expressions() + [rule["expr"] for rule in yaml.safe_load(RULES)["groups"][0]["rules"]]
    for expression in asked:
        names = {*re.findall(r"\basync_(?:job|workflow)\w*\b(?=\W|$)", re.sub(r'"[^"]*"', "", expression))}
        assert names <= known, expression
        assert names or "node_textfile_mtime_seconds" in expression
    rules = [{"record": f"asked:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "asked.yml").write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "asked.yml"))


def test_the_dashboard_has_what_grafana_knows() -> None:
    """Read into the types that Grafana publishes, and written again, it is the same: they drop what they do not know."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()

    def lost(before: t.Any, after: t.Any, where: str = "") -> Iterator[str]:
        if isinstance(before, dict) and isinstance(after, dict):
            for name, value in before.items():
                yield from lost(value, after.get(name), f"{where}/{name}")
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for number, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from lost(one, other, f"{where}/{number}")
        elif before != after:
            yield where

    def again(dashboard: t.Any) -> t.Any:
        return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))

    assert list(lost(DASHBOARD, again(DASHBOARD))) == []
    wrong = json.loads(json.dumps(DASHBOARD))
    wrong["panels"][0]["gridPoz"] = 1
    assert list(lost(wrong, again(wrong))) == ["/panels/0/gridPoz"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
