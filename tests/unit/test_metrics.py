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

import yaml
from missing import do_without
from pages import ROOT, blocks_of, guide, literals, table

from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.metrics import METRICS, metrics

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
TEXT = metrics(RECORDS, NOW, unreadable=2, approvals=[{"requested_at": "2026-01-01T10:00:00Z"}, {"requested_at": "nonsense"}])


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


def test_the_guide_has_them_all() -> None:
    rows = table(guide("guide_metrics"), "metric", "labels", "meaning")
    assert [literals(row[0]) for row in rows] == [[name] for name, _about in METRICS]
    for (name,), labels in ((literals(row[0]), literals(row[1])) for row in rows):
        found = re.findall(rf"^{name}(?:\{{(.*)\}})? ", TEXT, re.MULTILINE)
        assert re.findall(r'(\w+)="', found[0] or "") == labels, name


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
            elif "quarter" in summary:
                labels = {"file": "/var/lib/async_jobs.prom"}
            known = {**labels, "value": about}
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
        names = {*re.findall(r"\basync_job\w*\b(?=\W|$)", re.sub(r'"[^"]*"', "", expression))}
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
