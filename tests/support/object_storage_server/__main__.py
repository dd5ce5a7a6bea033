# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program: serve until told to stop."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import ssl
import threading
from pathlib import Path

from object_storage_server.answers import CALL_KINDS, Tally
from object_storage_server.callers import TOKEN_PREFIX, KeyRing, load_public_key
from object_storage_server.calls import ObjectStorageService
from object_storage_server.client_files import ClientFiles
from object_storage_server.handlers import ControlHandler, ServiceHandler, World
from object_storage_server.mishaps import Fault, FaultPlan
from object_storage_server.stored import ObjectStore
from object_storage_server.wire import LoopbackServer


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""

    def pair(text: str) -> tuple[Path, str]:
        path, _separator, value = text.partition("=")
        return Path(path), value

    parser = argparse.ArgumentParser(description="A local Object Storage service for tests")
    parser.add_argument("--namespace", default="testns")
    parser.add_argument("--bucket", action="append", required=True, help="repeat for more buckets")
    parser.add_argument("--key", action="append", type=pair, default=[], metavar="PUBLIC_PEM=KEY_ID")
    parser.add_argument("--token", action="append", type=pair, default=[], metavar="PUBLIC_PEM=TOKEN_FILE")
    parser.add_argument("--no-access-key", action="append", type=pair, default=[], metavar="PUBLIC_PEM=KEY_ID")
    parser.add_argument("--fault", action="append", type=json.loads, default=[], metavar="JSON")
    parser.add_argument("--seed", type=int, help="makes the faults reproducible")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--generate", type=Path, metavar="DIR", help="write client keys and configuration there")
    parser.add_argument("--tls", action="store_true", help="serve the generated certificate")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--parent-pid", type=int, help="stop when this process is gone (default: the parent)")
    parser.add_argument("--ready-file", type=Path)
    arguments = parser.parse_args()
    if arguments.tls and not arguments.generate:
        parser.error("--tls needs --generate")
    return arguments


def register_keys(arguments: argparse.Namespace, keys: KeyRing) -> None:
    """Register what the command line names."""
    for path, key_id in arguments.key:
        keys.register(key_id, load_public_key(path.read_bytes()))
    for path, key_id in arguments.no_access_key:
        keys.register(key_id, load_public_key(path.read_bytes()), no_access=True)
    for path, token_file in arguments.token:
        keys.register(TOKEN_PREFIX + Path(token_file).read_text(), load_public_key(path.read_bytes()))
    if arguments.generate:
        ClientFiles(arguments.generate).write_credentials(keys)


def tls_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """Make TLS as the command line asks for it."""
    certificate, key = arguments.tls_cert, arguments.tls_key
    if arguments.tls:
        certificate, key = ClientFiles(arguments.generate).write_certificate()
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def process_exists(pid: int) -> bool:
    """Tell whether the process is there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def main() -> None:
    """Serve until told to stop."""
    parent = os.getppid()
    arguments = parse_arguments()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    store, keys, faults = ObjectStore(arguments.namespace), KeyRing(), FaultPlan(arguments.seed)
    for bucket in arguments.bucket:
        store.make_bucket(arguments.namespace, bucket)
    for document in arguments.fault:
        faults.add(Fault.parse(document))
    register_keys(arguments, keys)
    world = World(store, arguments.bucket[0], keys, faults, Tally(CALL_KINDS), stopping)
    service = ObjectStorageService(store, keys)
    front = LoopbackServer(arguments.port, lambda *args: ServiceHandler(world, service, *args), tls_context(arguments))
    control = LoopbackServer(arguments.control_port, lambda *args: ControlHandler(world, front, *args))

    if arguments.ready_file:
        ready = {"endpoint": front.url, "control": control.url, "pid": os.getpid()}
        partial = arguments.ready_file.with_name(arguments.ready_file.name + ".partial")
        partial.write_text(json.dumps(ready))
        partial.replace(arguments.ready_file)
    while not stopping.wait(0.25):
        if arguments.parent_pid is None and os.getppid() != parent:
            break
        if arguments.parent_pid is not None and not process_exists(arguments.parent_pid):
            break


if __name__ == "__main__":
    main()
