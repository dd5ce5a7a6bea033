# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is behind the two ports: the service, and the control port."""

from __future__ import annotations

import base64
import dataclasses
import json
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from .answers import Reply, ServiceError, Tally
from .callers import KeyRing, load_public_key
from .calls import Call, ObjectStorageService
from .mishaps import ANSWERING_FAULTS, FAULTS_BEFORE, Fault, FaultPlan
from .stored import Bucket, Conditions, ObjectStore, StoredObject
from .wire import Handler, LoopbackServer


@dataclasses.dataclass(frozen=True)
class World:
    """What the two ports share."""

    store: ObjectStore
    default_bucket: str
    keys: KeyRing
    faults: FaultPlan
    requests: Tally
    stopping: threading.Event


class ServiceHandler(Handler):
    """The service's port: lets faults strike around the service's answers."""

    def __init__(self, world: World, service: ObjectStorageService, *arguments: Any) -> None:
        self._world = world
        self._service = service
        super().__init__(*arguments)

    def serve(self) -> None:
        """Answer one request, or let a fault strike it."""
        # The base class shortens a path that begins with two slashes, which is not the path that was signed.
        self.path = self.requestline.split()[1]
        call = Call.parse(self.command, self.path)
        self._world.requests.add(call.kind)
        latency = self._world.faults.strike(call, "latency")
        if latency and latency.seconds:
            time.sleep(latency.seconds)
        fault = self._world.faults.strike(call, *FAULTS_BEFORE)
        if fault and fault.kind not in ANSWERING_FAULTS:
            self.reset()
            if fault.kind == "refuse" and isinstance(self.server, LoopbackServer):
                self.server.refuse(fault.seconds)
            return
        self._finish(call, self._reply(call, fault))

    def _reply(self, call: Call, fault: Fault | None) -> Reply:
        try:
            body = self.read_body()
            if fault:
                status, code, message = ANSWERING_FAULTS[fault.kind]
                raise ServiceError(status, code, message.format(call.bucket, call.namespace))
            reply = self._service.answer(call, self.command, self.path, self.headers, body)
        except ServiceError as failure:
            reply = failure.reply()
        reply.headers["opc-request-id"] = f"iad-1:{secrets.token_urlsafe(48)}"
        reply.headers["x-api-id"] = "native"
        if "opc-client-request-id" in self.headers:
            reply.headers["opc-client-request-id"] = self.headers["opc-client-request-id"]
        return reply

    def _finish(self, call: Call, reply: Reply) -> None:
        faults = self._world.faults
        if faults.strike(call, "reply_lost"):
            self.reset()
            return
        if call.kind == "GET" and reply.status == 200 and reply.body and faults.strike(call, "corrupt_body"):
            # A single flipped bit is the damage that is hardest to notice without a checksum.
            damaged = bytearray(reply.body)
            damaged[len(damaged) // 2] ^= 1
            reply.body = bytes(damaged)
        cuttable = bool(reply.body) and self.command != "HEAD"
        self.send_reply(reply, cut=cuttable and faults.strike(call, "truncated_body") is not None)


class ControlHandler(Handler):
    """The control port."""

    def __init__(self, world: World, front: LoopbackServer, *arguments: Any) -> None:
        self._world = world
        self._front = front
        super().__init__(*arguments)

    def serve(self) -> None:
        """Answer one request."""
        routes = {
            ("GET", "/requests"): self._get_requests,
            ("GET", "/faults"): self._get_faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("GET", "/objects"): self._get_objects,
            ("PUT", "/objects"): self._put_object,
            ("DELETE", "/objects"): self._delete_object,
            ("POST", "/buckets"): self._make_bucket,
            ("POST", "/keys"): self._register_key,
            ("DELETE", "/keys"): self._revoke_key,
            ("POST", "/stop"): self._stop,
        }
        try:
            document = json.loads(self.read_body() or b"{}")
            reply = Reply.of_json(routes[self.command, self.path](document))
        except ServiceError as failure:
            reply = failure.reply()
        except (KeyError, TypeError, ValueError) as error:
            reply = ServiceError(400, "InvalidParameter", f"{type(error).__name__}: {error}").reply()
        self.send_reply(reply)

    def _bucket(self, document: Mapping[str, Any]) -> Bucket:
        store, bucket = self._world.store, document.get("bucket", self._world.default_bucket)
        return store.bucket(document.get("namespace", store.namespace), bucket)

    def _get_requests(self, document: Mapping[str, Any]) -> object:
        return self._world.requests.counts()

    def _get_faults(self, document: Mapping[str, Any]) -> object:
        return self._world.faults.struck.counts()

    def _add_fault(self, document: Mapping[str, Any]) -> object:
        fault = Fault.parse(document)
        if fault.kind == "refuse" and document.get("count") is None and document.get("probability") is None:
            self._front.refuse(fault.seconds)
            self._world.faults.struck.add("refuse")
        else:
            self._world.faults.add(fault)
        return {}

    def _clear_faults(self, document: Mapping[str, Any]) -> object:
        self._world.faults.clear()
        self._front.accept_again()
        return {}

    def _get_objects(self, document: Mapping[str, Any]) -> object:
        return {
            name: {"content": base64.b64encode(found.content).decode(), "etag": found.etag}
            for name, found in self._bucket(document).snapshot()
        }

    def _put_object(self, document: Mapping[str, Any]) -> object:
        new = StoredObject(base64.b64decode(document["content"]), {"content-type": "application/octet-stream"})
        self._bucket(document).put(document["name"], new, Conditions())
        return {"etag": new.etag}

    def _delete_object(self, document: Mapping[str, Any]) -> object:
        self._bucket(document).delete(document["name"], Conditions())
        return {}

    def _make_bucket(self, document: Mapping[str, Any]) -> object:
        self._world.store.make_bucket(document.get("namespace", self._world.store.namespace), document["bucket"])
        return {}

    def _register_key(self, document: Mapping[str, Any]) -> object:
        key = load_public_key(document["public_key"].encode())
        self._world.keys.register(document["key_id"], key, bool(document.get("no_access")))
        return {}

    def _revoke_key(self, document: Mapping[str, Any]) -> object:
        self._world.keys.revoke(document["key_id"])
        return {}

    def _stop(self, document: Mapping[str, Any]) -> object:
        self._world.stopping.set()
        return {}
