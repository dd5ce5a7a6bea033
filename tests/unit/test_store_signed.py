# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store with signatures keeps the contract of every store."""

from __future__ import annotations

import functools
import json
import typing as t
import uuid
from pathlib import Path

import pytest

pytest.register_assert_rewrite("store_contract")

import store_contract  # noqa: E402
from store_contract import Reopen, StoreContract  # noqa: E402

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import Store, write_json  # noqa: E402
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.filesystem import FilesystemStore  # noqa: E402
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.signatures import Keys  # noqa: E402
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.signed import SignedStore  # noqa: E402


def _open(root: str, keys: str) -> SignedStore:
    return SignedStore(FilesystemStore(root), Keys(keys))


def _document(**fields: t.Any) -> bytes:
    """A document as records are written: only these come back byte for byte."""
    return write_json({**fields, "write_id": uuid.uuid4().hex})


class TestContract(StoreContract):
    """In front of a directory."""

    @pytest.fixture(autouse=True)
    def documents(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store_contract, "document", _document)

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        keys = tmp_path / "keys"
        keys.write_text("k" * 32)
        keys.chmod(0o600)
        return functools.partial(_open, str(tmp_path / "state"), str(keys))

    @pytest.mark.parametrize("written", [_document(metadata={"city": "Zürich ☃ 🎉", "null": None}), _document(metadata="x" * 3_000_000)])
    def test_what_is_written_is_read(self, store: Store, reopen: Reopen, written: bytes) -> None:
        """What is a JSON object in the layout of records; nothing else is ever written."""
        super().test_what_is_written_is_read(store, reopen, written)


def test_json_comes_back_as_records_are_written(tmp_path: Path) -> None:
    """Whatever the layout of what was written."""
    keys = tmp_path / "keys"
    keys.write_text("k" * 32)
    keys.chmod(0o600)
    store = _open(str(tmp_path / "state"), str(keys))
    store.write(store_contract.PATH, b'{"b": 1,\n"a": [2]}')
    found = store.read(store_contract.PATH)
    assert found is not None
    assert found.content == write_json({"a": [2], "b": 1})
    assert json.loads(found.content) == {"a": [2], "b": 1}
