# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of a store, as users write them. What the page looks like is tested in a browser, elsewhere."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from controller import Controller

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey

REPORT = "rstyczynski.ansible.report"


def save(controller: Controller, job: str, **fields: t.Any) -> None:
    record = {"job_name": job, "host": "db01", "playbook_name": "Backup", "ansible_job_id": "j1.1", "metadata": {}, **fields}
    file = controller.state_dir / "db01" / "Backup" / f"{job}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record))


@pytest.fixture(autouse=True)
def _store(controller: Controller) -> None:
    save(controller, "dump", status="succeeded", start="2026-01-01T12:00:00Z", end="2026-01-01T12:00:42Z", attempt=3)
    save(controller, "copy", status="running", start="2026-01-01T12:00:00Z", save_time="2026-01-01T12:00:00Z")
    save(controller, 'it "is"\\ an\nodd name', save_time="not a time")
    # The last one is not where it belongs, for its name cannot be a path.
    odd = next(file for file in controller.state_dir.rglob("*.json") if "odd" in file.name)
    odd.rename(odd.with_name('it "is"%5C an%0Aodd name.json'))


def test_page(controller: Controller) -> None:
    ran = controller.playbook(REPORT, "-e", "dest=jobs.html").ok()
    page = controller.project / "jobs.html"
    assert f"{page} is about 3 jobs of {controller.state_dir}" in ran.text
    assert page.stat().st_mode & 0o777 == 0o600
    text = page.read_text("ascii")
    assert text.startswith("<!DOCTYPE html>")
    assert "dump" in text
    assert sorted(file.name for file in controller.project.iterdir()) == [".ansible_async_state", "hosts", "jobs.html"]


def test_metrics(controller: Controller) -> None:
    controller.playbook(REPORT, "-e", "dest=jobs.prom", "-e", "format=prometheus").ok()
    file = controller.project / "jobs.prom"
    assert file.stat().st_mode & 0o777 == 0o644
    lines = file.read_text("utf-8").splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    for line in samples:
        assert re.fullmatch(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)+\})? \d+', line), line
    assert 'async_jobs{status="running"} 2' in samples
    assert 'async_jobs{status="succeeded"} 1' in samples
    assert 'async_job_duration_seconds{host="db01",playbook="Backup",job="dump"} 42' in samples
    assert 'async_job_attempts{host="db01",playbook="Backup",job="dump"} 3' in samples
    assert 'async_job_attempts{host="db01",playbook="Backup",job="it \\"is\\"\\\\ an\\nodd name"} 1' in samples
    assert int(next(line for line in samples if line.startswith("async_job_oldest_running")).split()[1]) > 86400
    metrics = {line.split("{")[0].split(" ")[0] for line in samples}
    assert metrics == {line.split()[2] for line in lines if line.startswith("# TYPE")}


def test_names_that_are_no_text_have_series_of_their_own(controller: Controller) -> None:
    """Of two series with the same labels, Prometheus takes neither, nor anything else of the file."""
    for number, job in enumerate(("\udc80", "\udc81", "\\udc80", "?", "a\rb", "a\x9bb", "a\tb")):
        save(controller, f"file{number}", status="running")
        file = controller.state_dir / "db01" / "Backup" / f"file{number}.json"
        record = {**json.loads(file.read_text()), "job_name": job}
        file.write_text(json.dumps(record))
        file.rename(controller.state_dir / JobKey("db01", "Backup", job).path)
    ran = controller.playbook(REPORT, "-e", "dest=jobs.prom", "-e", "format=prometheus").ok()
    assert "is about 10 jobs" in ran.text
    text = (controller.project / "jobs.prom").read_text("utf-8")
    assert all(character.isprintable() or character == "\n" for character in text)
    series = [line.rpartition(" ")[0] for line in text.split("\n") if line and not line.startswith("#")]
    assert len(series) == len(set(series))
    assert sum(line.startswith("async_job_attempts{") for line in series) == 10


def test_unreadable_records(controller: Controller) -> None:
    """The report is written from all others, names what is missing, and the command fails."""
    (controller.state_dir / "db01" / "Backup" / "broken.json").write_text("{")
    ran = controller.playbook(REPORT, "-e", "dest=jobs.html").failed()
    assert "is about 3 jobs" in ran.text
    assert "1 records in" in ran.text
    assert "broken.json" in ran.text
    assert "broken.json" in (controller.project / "jobs.html").read_text("ascii")


def test_wrong_places(controller: Controller) -> None:
    """A store that is not there is an error, and no empty report; nor does a report that cannot be written leave anything."""
    ran = controller.playbook(REPORT, "-e", "dest=jobs.html", "-e", "async_job_state_dir=nowhere").failed()
    assert f"{controller.project}/nowhere is not a directory" in ran.text
    ran = controller.playbook(REPORT, "-e", "dest=nowhere/jobs.html").failed()
    assert f"Cannot write {controller.project}/nowhere/jobs.html: there is no directory {controller.project}/nowhere." in ran.text
    assert not list(controller.project.glob("*.html"))


def test_check_mode_and_filters(controller: Controller) -> None:
    ran = controller.playbook(REPORT, "-e", "dest=jobs.html", "-e", "newer_than=1d", "--check").ok()
    assert "would be about 0 jobs" in ran.text
    assert not (controller.project / "jobs.html").exists()
