# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server for a test, and its control port."""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

# The directory that the package is in.
_SUPPORT = Path(__file__).resolve().parents[1]


class ObjectStorageServer:
    """Runs this program for a test and speaks to its control port."""

    START_SECONDS = 60

    def __init__(self, *arguments: str, namespace: str = "testns", bucket: str = "jobs", tls: bool = False) -> None:
        self.namespace = namespace
        self.bucket = bucket
        self._arguments = [*arguments, "--namespace", namespace, "--bucket", bucket, *(["--tls"] if tls else [])]
        self._directory = tempfile.TemporaryDirectory()
        self.directory = Path(self._directory.name)
        self.config_file = self.directory / "config"
        self.ca_file = self.directory / "ca.pem"

    def __enter__(self) -> Self:
        ready_file, errors = self.directory / "ready.json", self.directory / "stderr"
        options = ["--generate", str(self.directory), "--ready-file", str(ready_file), "--parent-pid", str(os.getpid())]
        with open(errors, "wb") as stream:
            command = [sys.executable, "-m", __package__, *options, *self._arguments]
            self._process = subprocess.Popen(command, cwd=_SUPPORT, stdin=subprocess.DEVNULL, stderr=stream)
        deadline = time.monotonic() + self.START_SECONDS
        while not ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = errors.read_text()
                self.stop()
                raise RuntimeError(f"the object storage server did not start: {message}")
            time.sleep(0.02)
        ready = json.loads(ready_file.read_text())
        self.endpoint: str = ready["endpoint"]
        self.control: str = ready["control"]
        self.pid: int = ready["pid"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and remove its files."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def inject(
        self,
        kind: str,
        *,
        probability: float | None = None,
        count: int | None = None,
        methods: Iterable[str] | None = None,
        prefix: str | None = None,
        ms: int | None = None,
    ) -> None:
        """Add a fault; ``refuse`` without probability and count takes effect at once."""
        filters = {"methods": None if methods is None else list(methods), "prefix": prefix}
        self._tell("POST", "/faults", kind=kind, probability=probability, count=count, ms=ms, **filters)

    def clear_faults(self) -> None:
        """Let nothing more go wrong."""
        self._tell("DELETE", "/faults")

    def faults_struck(self) -> dict[str, int]:
        """Return how often each kind of fault struck."""
        return dict(self._tell("GET", "/faults"))

    def requests(self) -> dict[str, int]:
        """Return how many requests arrived, by kind."""
        return dict(self._tell("GET", "/requests"))

    def objects(self) -> dict[str, bytes]:
        """Return the content of the bucket, in the order of a listing."""
        return {name: base64.b64decode(found["content"]) for name, found in self._tell("GET", "/objects").items()}

    def put(self, name: str, content: bytes) -> str:
        """Write an object behind the clients' back; returns its ETag."""
        return str(self._tell("PUT", "/objects", name=name, content=base64.b64encode(content).decode())["etag"])

    def delete(self, name: str) -> None:
        """Delete an object behind the clients' back."""
        self._tell("DELETE", "/objects", name=name)

    def make_bucket(self, bucket: str, namespace: str | None = None) -> None:
        """Make another bucket."""
        self._tell("POST", "/buckets", bucket=bucket, namespace=namespace or self.namespace)

    def register_key(self, key_id: str, public_key_pem: str, no_access: bool = False) -> None:
        """Accept another key, or a security token as ``ST$<token>``."""
        self._tell("POST", "/keys", key_id=key_id, public_key=public_key_pem, no_access=no_access)

    def revoke_key(self, key_id: str) -> None:
        """Refuse a key or a security token from now on."""
        self._tell("DELETE", "/keys", key_id=key_id)

    def _tell(self, method: str, path: str, **document: object) -> Any:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.control).netloc, timeout=self.START_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(document))
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {answer}")
        return answer
