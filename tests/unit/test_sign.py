# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing a store in which something is wrong: that is named, and keeps nothing else from being signed."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from store_contract import unprivileged

from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_sign

RECORD = {"job_name": "job", "host": "host1", "playbook_name": "play", "ansible_job_id": "j1.2", "metadata": {}, "save_time": "2026-01-01"}
LATER = "host2/play/job.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with one good record, which is signed after all others."""
    put(tmp_path / "state", LATER, {**RECORD, "host": "host2"})
    return tmp_path / "state"


def put(root: Path, path: str, content: t.Any) -> Path:
    """Write a document."""
    file = root / path
    for directory in (root, file.parent.parent, file.parent):
        directory.mkdir(mode=0o700, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file


def sign(root: Path, *, check_mode: bool = False) -> dict[str, t.Any]:
    """Return what the module returns. All of it can be shown and stored."""
    keys = root.parent / "keys"
    keys.write_text("k" * 32)
    keys.chmod(0o600)
    options = {"state_dir": str(root), "record_key_file": str(keys)}
    validation = ArgumentSpecValidator(async_job_sign.ARGUMENT_SPEC).validate(options)
    assert not validation.error_messages
    result = async_job_sign.run(validation.validated_parameters, check_mode=check_mode)
    json.dumps(result, ensure_ascii=False).encode("utf-8")
    return result


BROKEN: dict[str, tuple[str, t.Any, str]] = {
    "no record": ("host1/play/job.json", {"note": "of somebody"}, "is missing"),
    "a field of another type": ("host1/play/job.json", {**RECORD, "metadata": "text"}, "'metadata' holds a JSON string"),
    "another place": ("host1/play/other.json", RECORD, "not where it belongs"),
    "not JSON": ("host1/play/job.json", b"{", "not valid JSON"),
    "no approval": (".approvals/play/gate.json", {"status": "approved"}, "is missing"),
    "no run": (".workflows/w/r.json", {"workflow": "w", "run": "r"}, "is missing"),
    "no lock": (".workflow_locks/w/holder.json", {"lock": "w", "workflow": "w"}, "does not say which run holds it"),
    "no cursor": (".events/repair/cursor.json", {"cursor": "repair", "seen": 1}, "not what a cursor is"),
    "the cursor of another": (".events/repair/cursor.json", {"cursor": "x", "seen": {}, "pending": [], "schema_version": 1}, "that of 'x'"),
    "too deep": ("host1/play/job.json", {**RECORD, "metadata": {"a": json.loads("[" * 300 + "]" * 300)}}, "nested more than"),
    "a name that is no text": (os.fsdecode(b"host1/play/caf\xe9.json"), RECORD, r"caf\xe9.json"),
    "a directory that is no text": (os.fsdecode(b"caf\xe9/play/job.json"), RECORD, r"caf\xe9/play/job.json"),
}


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(("path", "content", "why"), BROKEN.values(), ids=BROKEN)
def test_what_nobody_can_read_is_not_signed(root: Path, path: str, content: t.Any, why: str, *, check_mode: bool) -> None:
    """It is named, with the reason. The others are signed."""
    file = put(root, path, content)
    before = file.read_bytes()
    result = sign(root, check_mode=check_mode)
    assert result["signed"] == [LATER]
    [failure] = result["failures"]
    assert why in failure["msg"]
    assert failure["msg"] in result["msg"]
    assert result["failed"]
    assert f"1 documents {'would be' if check_mode else 'were'} signed, 0 were signed already, and 1" in result["msg"]
    assert file.read_bytes() == before


def test_what_cannot_be_written_is_not_signed(root: Path) -> None:
    """Nor does it keep the others from being signed; and the next time it is the only one that is left."""
    put(root, "host1/play/job.json", RECORD)
    put(root, "host3/play/job.json", {**RECORD, "host": "host3"}).parent.chmod(0o500)
    with unprivileged():
        result = sign(root)
        again = sign(root)
    (root / "host3/play").chmod(0o700)
    assert result["signed"] == ["host1/play/job.json", LATER]
    assert again["unchanged"] == ["host1/play/job.json", LATER]
    for answer in (result, again):
        [failure] = answer["failures"]
        assert failure["state_file"] == str(root / "host3/play/job.json")
        assert "Permission denied" in answer["msg"]
    assert sign(root)["signed"] == ["host3/play/job.json"]
    assert "failed" not in sign(root)
