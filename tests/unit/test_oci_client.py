# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is read of an answer, and when it counts as whole."""

from __future__ import annotations

import io

import pytest

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci_client import body_of


class _Raw(io.BytesIO):
    """An answer of the HTTP library."""

    def read(self, size: int | None = -1, *, decode_content: bool) -> bytes:  # type: ignore[override]
        assert not decode_content
        return super().read(size)


@pytest.mark.parametrize("length", ["4", " 4 ", "4, 4", "0, 0", "", "3"])
def test_whole(length: str) -> None:
    """A header that comes twice says the same twice."""
    assert body_of(_Raw(b"1234"), {"content-length": length}, 10) == b"1234"
    assert body_of(_Raw(b"1234"), {}, 4) == b"1234"


@pytest.mark.parametrize("length", ["5", "4, 5", "many", "-1", "9" * 5000])
def test_not_whole(length: str) -> None:
    """What is no length is an answer that was cut, which is tried again, and may have arrived."""
    with pytest.raises(OSError, match="IncompleteRead"):
        body_of(_Raw(b"1234"), {"content-length": length}, 10)


def test_too_long() -> None:
    assert body_of(_Raw(b"12345"), {}, 4) is None
