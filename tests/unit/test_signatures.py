# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of documents: what counts, what does not, and which files hold keys."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

PLUGINS = "ansible_collections.rstyczynski.ansible.plugins.module_utils"
errors = importlib.import_module(f"{PLUGINS}._errors")
base = importlib.import_module(f"{PLUGINS}._store.base")
signatures = importlib.import_module(f"{PLUGINS}._store.signatures")
signed = importlib.import_module(f"{PLUGINS}._store.signed")
filesystem = importlib.import_module(f"{PLUGINS}._store.filesystem")
record_module = importlib.import_module(f"{PLUGINS}._records.record")

PATH = "host1/play/job.json"
OTHER = "host1/play/other.json"
RECORD = {
    "job_name": "job",
    "host": "host1",
    "ansible_job_id": "j1.1",
    "save_time": "2024-01-01T00:00:00Z",
    "metadata": {"ü": ["\ud800", 1.5]},
}
FIRST, SECOND = "k" * 32, "second key with blanks, as long as that"


def key_file(tmp_path: Path, *keys: str, mode: int = 0o600) -> str:
    """A file with keys."""
    file = tmp_path / "keys"
    file.write_text("".join(f"{key}\n" for key in keys))
    file.chmod(mode)
    return str(file)


@pytest.fixture
def bare(tmp_path: Path) -> t.Any:
    """A store without signatures."""
    return filesystem.FilesystemStore(str(tmp_path / "store"))


@pytest.fixture
def store(bare: t.Any, tmp_path: Path) -> t.Any:
    """The same one, with a key."""
    return signed.SignedStore(bare, signatures.Keys(key_file(tmp_path, FIRST)))


def refused(store: t.Any, path: str, *words: str) -> None:
    """Neither read nor listed as a document, and the error says why and what to do."""
    with pytest.raises(errors.Untrusted) as read:
        store.read(path)
    [entry] = [entry for entry in store.entries() if entry.path == path]
    assert entry.document is None
    for text in (str(read.value), str(entry.error)):
        for word in (store.locate(path), "is not trusted", "rstyczynski.ansible.sign_records", *words):
            assert word in text


def test_what_was_written_comes_back(store: t.Any, bare: t.Any) -> None:
    """Byte for byte, without the signature, which stands in the store. Its version is that of the document there."""
    document = record_module.dump(RECORD)
    version = store.write(PATH, document, expect=base.ABSENT)
    assert store.read(PATH) == (document, version)
    [entry] = store.entries()
    assert entry.document == (document, version)
    held = json.loads(bare.read(PATH).content)
    assert held.pop("signature").keys() == {"key", "hmac"}
    assert held == RECORD
    assert FIRST not in bare.read(PATH).content.decode()
    assert store.delete(PATH, expect=version)
    assert store.read(PATH) is None


def test_what_nobody_has_signed(store: t.Any, bare: t.Any) -> None:
    """Plain records, and what is no JSON object at all."""
    bare.write(PATH, record_module.dump(RECORD))
    refused(store, PATH, "it carries no signature")
    for content in (b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'{"signature": 1e999, "a": ' + b"9" * 5000 + b"}"):
        bare.write(PATH, content)
        refused(store, PATH)


@pytest.mark.parametrize("signature", [None, 1, "x", [], {}, {"hmac": "é"}, {"hmac": ["x"], "key": ["x"]}, {"key": "x", "hmac": "0" * 64}])
def test_what_only_looks_signed(store: t.Any, bare: t.Any, signature: object) -> None:
    """Whatever stands in the field."""
    bare.write(PATH, record_module.dump({**RECORD, "signature": signature}))
    refused(store, PATH, "none of the keys in")


@pytest.mark.parametrize("change", [{"ansible_job_id": "j2.2"}, {"become_user": "root"}, {"metadata": {}}])
def test_what_was_changed(store: t.Any, bare: t.Any, change: dict[str, t.Any]) -> None:
    """A field with another value, and one more."""
    store.write(PATH, record_module.dump(RECORD))
    bare.write(PATH, record_module.dump({**json.loads(bare.read(PATH).content), **change}))
    refused(store, PATH, "changed since")


def test_a_field_that_is_there_twice(store: t.Any, bare: t.Any) -> None:
    """What readers get is what was checked, whichever of the two another parser would take."""
    store.write(PATH, record_module.dump(RECORD))
    text = bare.read(PATH).content.decode()
    bare.write(PATH, ('{"ansible_job_id": "j9.9",' + text[1:]).encode())
    assert store.read(PATH).content == record_module.dump(RECORD)
    bare.write(PATH, (text.rstrip()[:-1] + ', "ansible_job_id": "j9.9"}').encode())
    refused(store, PATH, "changed since")


def test_what_was_moved(store: t.Any, bare: t.Any) -> None:
    """A signature counts in its place only."""
    store.write(PATH, record_module.dump(RECORD))
    bare.write(OTHER, bare.read(PATH).content)
    refused(store, OTHER, "it was signed for another place")


def test_format_and_layout_do_not_count(store: t.Any, bare: t.Any) -> None:
    """Only what the document says."""
    store.write(PATH, record_module.dump(RECORD))
    bare.write(PATH, json.dumps(json.loads(bare.read(PATH).content), indent=7).encode())
    assert store.read(PATH).content == record_module.dump(RECORD)


def test_a_new_key(bare: t.Any, tmp_path: Path) -> None:
    """All keys verify, the first one signs. An old one that is gone verifies no more."""
    signed.SignedStore(bare, signatures.Keys(key_file(tmp_path, FIRST))).write(PATH, record_module.dump(RECORD))
    both = signed.SignedStore(bare, signatures.Keys(key_file(tmp_path, "# new", SECOND, "", f"  {FIRST} ")))
    assert both.read(PATH) is not None
    assert [checked.signer for checked in both.checked()] == [1]
    new = signed.SignedStore(bare, signatures.Keys(key_file(tmp_path, SECOND)))
    refused(new, PATH, f"none of the keys in {tmp_path}/keys has signed it")
    for checked in both.checked():
        both.sign(checked)
    assert new.read(PATH) is not None
    assert [checked.signer for checked in new.checked()] == [0]


def test_without_keys_a_signature_says_nothing(store: t.Any, bare: t.Any) -> None:
    """The record loads, and what is written then carries no signature that would be wrong."""
    store.write(PATH, record_module.dump(RECORD))
    assert record_module.parse(bare.read(PATH).content, where="there") == RECORD


def test_a_file_as_the_documentation_makes_it(tmp_path: Path) -> None:
    """With openssl."""
    file = tmp_path / "made"
    subprocess.run(["sh", "-c", f"(umask 077; openssl rand -base64 32 > {file})"], check=True)
    keys = signatures.Keys(str(file))
    assert keys.signer(PATH, keys.signed(PATH, RECORD)) == 0


@pytest.mark.parametrize(
    ("keys", "mode", "words"),
    [
        ([FIRST], 0o644, "(mode 0644). Nothing was read or written. Run: chmod 600 "),
        ([FIRST], 0o602, "chmod 600"),
        ([FIRST], 0o620, "chmod 600"),
        ([], 0o600, "with a key of at least 32 characters in each line"),
        (["short"], 0o600, "openssl rand -base64 32"),
        ([FIRST, "$ANSIBLE_VAULT;1.1;AES256"], 0o600, "with a key of at least 32 characters"),
        ([FIRST * 10_000], 0o600, "with a key of at least 32 characters"),
    ],
)
def test_a_file_that_is_no_secret_or_holds_no_key(tmp_path: Path, keys: list[str], mode: int, words: str) -> None:
    """The error says which file, why, and the command that mends it. It never shows a key."""
    file = key_file(tmp_path, *keys, mode=mode)
    with pytest.raises(errors.StoreUnavailable) as refusal:
        signatures.Keys(file)
    assert words in str(refusal.value)
    assert file in str(refusal.value)
    assert FIRST not in str(refusal.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    """A directory, a named pipe, nothing, and what is not UTF-8."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    (tmp_path / "binary").chmod(0o600)
    for name in ("", "pipe", "nothing", "binary"):
        with pytest.raises(errors.StoreUnavailable, match="record_key_file"):
            signatures.Keys(str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user, which only root can do")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    """Who has made it could sign for us. What belongs to root may be shared with a group."""
    file = key_file(tmp_path, FIRST, mode=0o640)
    signatures.Keys(file)
    os.chown(file, 12345, 0)
    with pytest.raises(errors.StoreUnavailable, match="chown 0 "):
        signatures.Keys(file)
