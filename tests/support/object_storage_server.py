# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A local Object Storage service for tests, spoken to by the real SDK over a real socket.

Run as a program it serves two loopback ports: the service itself, which verifies request signatures, and a control
port (JSON over HTTP, unsigned) for the tests. The control port understands:

========================= ==============================================================================
``GET /requests``         how many requests arrived, by kind
``GET /faults``           how often each kind of fault struck
``POST /faults``          add a fault: ``kind``, ``probability``, ``count``, ``methods``, ``prefix``, ``ms``
``DELETE /faults``        remove every fault and accept connections again
``GET /objects``          the objects of a bucket, by name, with base64 content
``PUT /objects``          write ``name`` with base64 ``content`` behind the clients' back
``DELETE /objects``       delete ``name`` behind the clients' back
``POST /buckets``         make a bucket (and its namespace)
``POST /keys``            register ``key_id`` with a PEM ``public_key``, optionally ``no_access``
``DELETE /keys``          revoke ``key_id``
``POST /stop``            end the process
========================= ==============================================================================

Objects and buckets are named by ``namespace``, ``bucket`` and ``name``; the first two default to the first ones the
server was started with. A security token is a key whose id is ``ST$<token>``; it expires as its ``exp`` claim says.

Not modelled, because the SDK does not ask for it unless told to: ranges, versions, multipart uploads, encryption
headers, and checksums other than Content-MD5.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import configparser
import contextlib
import dataclasses
import datetime
import email.utils
import hashlib
import http.client
import http.server
import io
import ipaddress
import json
import math
import os
import random
import re
import secrets
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CALL_KINDS = ("GET", "PUT", "DELETE", "HEAD", "LIST", "NAMESPACE", "BUCKET", "OTHER")
TOKEN_PREFIX = "ST$"
CLOCK_SKEW_SECONDS = 300
MAX_NAME_BYTES = 1024
MAX_LIST_LIMIT = 1000
BUCKET_MISSING = "Either the bucket named '{}' does not exist in the namespace '{}' or you are not authorized to access it"


class ServiceError(Exception):
    """An answer other than success, in the service's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def reply(self) -> Reply:
        """The answer as the service sends it."""
        return Reply.of_json({"code": self.code, "message": str(self)}, status=self.status)


@dataclasses.dataclass
class Reply:
    """An HTTP answer before it meets the wire."""

    status: int
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of_json(cls, value: object, status: int = 200, **headers: str) -> Reply:
        """An answer whose body is JSON."""
        return cls(status, {"content-type": "application/json", **headers}, json.dumps(value).encode())


class Tally:
    """Counts events of all threads by kind."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(kinds, 0)

    def add(self, kind: str) -> None:
        """Count one more."""
        with self._lock:
            self._counts[kind] += 1

    def counts(self) -> dict[str, int]:
        """How many there were of each kind."""
        with self._lock:
            return dict(self._counts)


# --- Who is calling -------------------------------------------------------------------------------------------------


def session_token(subject: str, public_key: rsa.RSAPublicKey, expires_at: float) -> str:
    """A security token with the claims that the identity service puts in one; its own signature is made up."""

    def encode(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    def number(value: int) -> str:
        return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))

    numbers = public_key.public_numbers()
    jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "n": number(numbers.n), "e": number(numbers.e)}
    claims = {"sub": subject, "iss": "authService.oracle.com", "aud": "oci", "ptype": "user", "ttype": "login"}
    times = {"iat": int(time.time()), "exp": int(expires_at)}
    header = encode(json.dumps({"alg": "RS256", "kid": "asw", "typ": "JWT"}).encode())
    payload = encode(json.dumps({**claims, **times, "jwk": json.dumps(jwk)}).encode())
    return f"{header}.{payload}.{encode(secrets.token_bytes(256))}"


def token_expiry(key_id: str) -> float:
    """When the key id stops being valid: the ``exp`` claim of a security token, never for an API key."""
    parts = key_id.split(".")
    if not key_id.startswith(TOKEN_PREFIX) or len(parts) != 3:
        return math.inf
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    return float(claims.get("exp", math.inf))


def load_public_key(pem: bytes) -> rsa.RSAPublicKey:
    """The RSA public key in a PEM document."""
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("the public key is not an RSA key")
    return key


@dataclasses.dataclass(frozen=True)
class Credential:
    """What is known of one key id."""

    public_key: rsa.RSAPublicKey
    expires_at: float
    no_access: bool


class KeyRing:
    """The registered API keys and security tokens."""

    def __init__(self) -> None:
        self._credentials: dict[str, Credential] = {}

    def register(self, key_id: str, public_key: rsa.RSAPublicKey, no_access: bool = False) -> None:
        """Accept requests signed with the private half of the key, but show no bucket to a key without access."""
        self._credentials[key_id] = Credential(public_key, token_expiry(key_id), no_access)

    def revoke(self, key_id: str) -> None:
        """Refuse the key id from now on."""
        self._credentials.pop(key_id, None)

    def find(self, key_id: str) -> Credential | None:
        """The valid credential of the key id, if any."""
        credential = self._credentials.get(key_id)
        return credential if credential and time.time() < credential.expires_at else None


class SignatureVerifier:
    """Checks the HTTP signature of a request as the service does."""

    _PARAMETER = re.compile(r'(\w+)="([^"]*)"')

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def verify(self, method: str, target: str, headers: Message) -> Credential:
        """The credential that signed the request, or NotAuthenticated."""
        scheme, _separator, rest = (headers["authorization"] or "").partition(" ")
        parameters = dict(self._PARAMETER.findall(rest))
        signed = parameters.get("headers", "").split()
        if scheme.lower() != "signature" or parameters.get("algorithm") != "rsa-sha256":
            raise self._failure("was not provided")
        if parameters.get("version") != "1" or not {"(request-target)", "host"}.issubset(signed):
            raise self._failure("was not provided")
        self._check_date(signed, headers)
        credential = self._keys.find(parameters.get("keyId", ""))
        if credential is None:
            raise self._failure("was not provided or was incorrect")
        message = "\n".join(self._line(name, method, target, headers) for name in signed)
        try:
            signature = base64.b64decode(parameters.get("signature", ""), validate=True)
            credential.public_key.verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (binascii.Error, InvalidSignature) as error:
            raise self._failure("was not provided or was incorrect") from error
        return credential

    def _check_date(self, signed: list[str], headers: Message) -> None:
        header = next((name for name in ("x-date", "date") if name in signed), None)
        if header is None or headers[header] is None:
            raise self._failure("was not provided")
        try:
            sent = email.utils.parsedate_to_datetime(headers[header]).timestamp()
        except ValueError as error:
            raise self._failure("was not provided or was incorrect") from error
        if abs(time.time() - sent) > CLOCK_SKEW_SECONDS:
            raise ServiceError(401, "NotAuthenticated", "The request's date is more than 5 minutes off the clock")

    def _line(self, name: str, method: str, target: str, headers: Message) -> str:
        if name == "(request-target)":
            return f"{name}: {method.lower()} {target}"
        if headers[name] is None:
            raise self._failure("was not provided")
        return f"{name}: {headers[name]}"

    @staticmethod
    def _failure(what: str) -> ServiceError:
        return ServiceError(401, "NotAuthenticated", f"The required information to complete authentication {what}.")


# --- What is stored -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class StoredObject:
    """One version of an object; a write makes a new one."""

    content: bytes
    headers: Mapping[str, str]
    etag: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    written: datetime.datetime = dataclasses.field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    @property
    def md5(self) -> str:
        """Base64 MD5 of the content."""
        return content_md5(self.content)

    def validators(self) -> dict[str, str]:
        """The headers that name this version."""
        return {"etag": self.etag, "last-modified": email.utils.format_datetime(self.written, usegmt=True)}

    def summary(self, fields: Iterable[str]) -> dict[str, object]:
        """The chosen fields as a listing shows them."""
        written = self.written.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        known = {
            "size": len(self.content),
            "etag": self.etag,
            "md5": self.md5,
            "timeCreated": written,
            "timeModified": written,
            "storageTier": "Standard",
        }
        return {field: known[field] for field in fields if field in known}


def content_md5(content: bytes) -> str:
    """Base64 MD5, as the service writes it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


@dataclasses.dataclass(frozen=True)
class Conditions:
    """The entity tags that a request names."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check_match(self, current: StoredObject | None) -> None:
        """Fail unless the current version is the one the request was made for."""
        if self.if_match is not None and (current is None or self.if_match not in ("*", current.etag)):
            raise ServiceError(412, "IfMatchFailed", "The If-Match header does not match the ETag of the object")

    def check_absent(self, current: StoredObject | None) -> None:
        """Fail when the object must not exist but does."""
        if self.if_none_match not in (None, "*"):
            raise ServiceError(400, "InvalidConditionalHeaders", "If-None-Match of a PUT can only be '*'")
        if self.if_none_match and current:
            raise ServiceError(412, "IfNoneMatchFailed", "The object already exists and If-None-Match is '*'")


class Bucket:
    """The objects under one name; every write is decided under one lock."""

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.etag = str(uuid.uuid4())
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}

    def get(self, name: str) -> StoredObject:
        """The object, or ObjectNotFound."""
        found = self._objects.get(name)
        if found is None:
            message = f"The object '{name}' was not found in the bucket '{self.name}'"
            raise ServiceError(404, "ObjectNotFound", message)
        return found

    def put(self, name: str, new: StoredObject, conditions: Conditions) -> None:
        """Write the object if the conditions allow it."""
        with self._lock:
            current = self._objects.get(name)
            conditions.check_match(current)
            conditions.check_absent(current)
            self._objects[name] = new

    def delete(self, name: str, conditions: Conditions) -> None:
        """Delete the object if it exists and the conditions allow it."""
        with self._lock:
            conditions.check_match(self.get(name))
            del self._objects[name]

    def snapshot(self) -> list[tuple[str, StoredObject]]:
        """Every object as of now, in the order of a listing."""
        with self._lock:
            # Strings sort by code point, which is the byte order of their UTF-8.
            return sorted(self._objects.items())


class ObjectStore:
    """Namespaces and their buckets."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._buckets: dict[str, dict[str, Bucket]] = {namespace: {}}

    def make_bucket(self, namespace: str, name: str) -> None:
        """Make the bucket, and its namespace, unless it is there."""
        self._buckets.setdefault(namespace, {}).setdefault(name, Bucket(namespace, name))

    def bucket(self, namespace: str, name: str) -> Bucket:
        """The bucket, or NamespaceNotFound, or BucketNotFound."""
        if namespace not in self._buckets:
            raise ServiceError(404, "NamespaceNotFound", f"The namespace '{namespace}' was not found")
        if name not in self._buckets[namespace]:
            raise ServiceError(404, "BucketNotFound", BUCKET_MISSING.format(name, namespace))
        return self._buckets[namespace][name]


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a ListObjects request asks for."""

    prefix: str
    start: str
    start_after: str
    end: str | None
    delimiter: str
    limit: int
    fields: tuple[str, ...]

    _FIELDS = ("name", "size", "etag", "md5", "timeCreated", "timeModified", "storageTier", "archivalState")

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Listing:
        """Read the query parameters, or say which one is wrong."""
        limit = query.get("limit", str(MAX_LIST_LIMIT))
        if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIST_LIMIT:
            raise ServiceError(400, "InvalidLimit", f"The limit must be between 1 and {MAX_LIST_LIMIT}")
        delimiter = query.get("delimiter", "")
        if delimiter not in ("", "/"):
            raise ServiceError(400, "InvalidParameter", "The only delimiter is '/'")
        known = {field.lower(): field for field in cls._FIELDS}
        wanted = [field.strip().lower() for field in query.get("fields", "").split(",") if field.strip()]
        if not known.keys() >= set(wanted):
            raise ServiceError(400, "InvalidParameter", f"The fields are {', '.join(cls._FIELDS)}")
        start, after = query.get("start", ""), query.get("startAfter", "")
        fields = tuple(known[field] for field in wanted)
        return cls(query.get("prefix", ""), start, after, query.get("end"), delimiter, int(limit), fields)

    def page(self, objects: Iterable[tuple[str, StoredObject]]) -> dict[str, object]:
        """One page of the sorted objects."""
        page: dict[str, object] = {}
        shown: list[dict[str, object]] = []
        prefixes: list[str] = []
        for name, found in objects:
            if not self._selects(name):
                continue
            group = self._group(name)
            if prefixes and group == prefixes[-1]:
                continue
            if len(shown) + len(prefixes) == self.limit:
                page["nextStartWith"] = name
                break
            if group:
                prefixes.append(group)
            else:
                shown.append({"name": name, **found.summary(self.fields)})
        return {"objects": shown, "prefixes": prefixes, **page}

    def _selects(self, name: str) -> bool:
        in_range = name >= self.start and name > self.start_after and (self.end is None or name < self.end)
        return in_range and name.startswith(self.prefix)

    def _group(self, name: str) -> str | None:
        cut = name.find(self.delimiter, len(self.prefix)) if self.delimiter else -1
        return None if cut < 0 else name[: cut + 1]


# --- What is asked for ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Call:
    """A request as the service reads its method and path."""

    kind: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    namespace: str = ""
    bucket: str = ""
    name: str = ""

    _ROUTES = (
        (re.compile("/n/?"), {"GET": "NAMESPACE"}),
        (re.compile("/n/([^/]+)/b/([^/]+)"), {"GET": "BUCKET", "HEAD": "BUCKET"}),
        (re.compile("/n/([^/]+)/b/([^/]+)/o"), {"GET": "LIST"}),
        (re.compile("/n/([^/]+)/b/([^/]+)/o/(.*)"), {kind: kind for kind in ("GET", "HEAD", "PUT", "DELETE")}),
    )

    @classmethod
    def parse(cls, method: str, target: str) -> Call:
        """Find out what is asked; what cannot be understood is of the kind OTHER."""
        path, _separator, query = target.partition("?")
        for route, kinds in cls._ROUTES:
            match = route.fullmatch(path)
            if match and method in kinds:
                segments = [cls._decode(segment) for segment in match.groups()]
                parameters = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
                return cls(kinds[method], parameters, *segments)
        return cls("OTHER")

    @property
    def topic(self) -> str:
        """What the prefix filter of a fault looks at: the object, or the prefix that is being listed."""
        return self.query.get("prefix", "") if self.kind == "LIST" else self.name

    @staticmethod
    def _decode(segment: str) -> str:
        # Bytes that are not UTF-8 survive as surrogates, so that the name check can refuse them later.
        return urllib.parse.unquote_to_bytes(segment.encode("latin-1")).decode("utf-8", "surrogateescape")


class ObjectStorageService:
    """Answers calls out of the store, for callers that prove who they are."""

    _KEPT_HEADERS = ("content-type", "content-language", "content-encoding", "content-disposition", "cache-control")

    def __init__(self, store: ObjectStore, keys: KeyRing) -> None:
        self._store = store
        self._verifier = SignatureVerifier(keys)
        self._operations = {
            "BUCKET": self._bucket,
            "LIST": self._list,
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._put,
            "DELETE": self._delete,
        }

    def answer(self, call: Call, method: str, target: str, headers: Message, body: bytes) -> Reply:
        """The reply to an authenticated, authorised call; a ServiceError otherwise."""
        credential = self._verifier.verify(method, target, headers)
        if call.kind == "NAMESPACE":
            return Reply.of_json(self._store.namespace)
        if call.kind == "OTHER":
            raise ServiceError(404, "NotFound", "There is no such resource")
        if credential.no_access:
            message = "Authorization failed or requested resource not found."
            raise ServiceError(404, "NotAuthorizedOrNotFound", message)
        return self._operations[call.kind](call, self._store.bucket(call.namespace, call.bucket), headers, body)

    def _bucket(self, call: Call, bucket: Bucket, headers: Message, body: bytes) -> Reply:
        details = {"namespace": bucket.namespace, "name": bucket.name, "etag": bucket.etag}
        return Reply.of_json({**details, "storageTier": "Standard", "versioning": "Disabled"}, etag=bucket.etag)

    def _list(self, call: Call, bucket: Bucket, headers: Message, body: bytes) -> Reply:
        return Reply.of_json(Listing.parse(call.query).page(bucket.snapshot()))

    def _get(self, call: Call, bucket: Bucket, headers: Message, body: bytes) -> Reply:
        found = bucket.get(self._checked_name(call.name))
        conditions = self._conditions(headers)
        conditions.check_match(found)
        if conditions.if_none_match == found.etag:
            return Reply(304, found.validators())
        about = {"content-md5": found.md5, "accept-ranges": "bytes", "storage-tier": "Standard"}
        return Reply(200, {**found.headers, **found.validators(), **about}, found.content)

    def _put(self, call: Call, bucket: Bucket, headers: Message, body: bytes) -> Reply:
        name = self._checked_name(call.name)
        self._check_md5(headers["content-md5"], body)
        kept = {
            key.lower(): value for key, value in headers.items() if key.lower() in self._KEPT_HEADERS or key.lower().startswith("opc-meta-")
        }
        new = StoredObject(body, {"content-type": "application/octet-stream", **kept})
        bucket.put(name, new, self._conditions(headers))
        return Reply(200, {**new.validators(), "opc-content-md5": new.md5})

    def _delete(self, call: Call, bucket: Bucket, headers: Message, body: bytes) -> Reply:
        bucket.delete(self._checked_name(call.name), self._conditions(headers))
        return Reply(204, {"last-modified": email.utils.formatdate(usegmt=True)})

    @staticmethod
    def _conditions(headers: Message) -> Conditions:
        if_match, if_none_match = headers["if-match"], headers["if-none-match"]
        return Conditions(if_match and if_match.strip('"'), if_none_match and if_none_match.strip('"'))

    @staticmethod
    def _checked_name(name: str) -> str:
        try:
            length = len(name.encode())
        except UnicodeEncodeError:
            length = 0
        if not 1 <= length <= MAX_NAME_BYTES or re.search("[\r\n\0]", name):
            message = "An object name is 1 to 1024 bytes of UTF-8 without carriage return, line feed and NUL"
            raise ServiceError(400, "InvalidObjectName", message)
        return name

    @staticmethod
    def _check_md5(claimed: str | None, body: bytes) -> None:
        if claimed is None:
            return
        with contextlib.suppress(binascii.Error):
            if len(base64.b64decode(claimed, validate=True)) == 16:
                if claimed == content_md5(body):
                    return
                message = f"The computed MD5 of the request body ({content_md5(body)}) is not Content-MD5 ({claimed})"
                raise ServiceError(400, "UnmatchedContentMD5", message)
        raise ServiceError(400, "InvalidContentMD5", f"The value of the Content-MD5 header '{claimed}' is invalid")


# --- What goes wrong ------------------------------------------------------------------------------------------------

ANSWERING_FAULTS: Mapping[str, tuple[int, str, str]] = {
    "too_many_requests": (429, "TooManyRequests", "Too many requests"),
    "internal_error": (500, "InternalServerError", "Internal server error"),
    "unavailable": (503, "ServiceUnavailable", "The service is unavailable"),
    "concurrent_update": (409, "ConcurrentObjectUpdate", "The object is being updated by another request"),
    "bucket_not_found": (404, "BucketNotFound", BUCKET_MISSING),
    "expired_token": (401, "NotAuthenticated", "The security token has expired"),
}
FAULTS_BEFORE = ("refuse", "reset_before", *ANSWERING_FAULTS)
FAULT_KINDS = ("latency", *FAULTS_BEFORE, "reply_lost", "truncated_body", "corrupt_body")


@dataclasses.dataclass
class Fault:
    """Something that goes wrong with some of the requests: all of them, a share of them, or the next few."""

    kind: str
    probability: float = 1.0
    count: int | None = None
    methods: tuple[str, ...] = CALL_KINDS
    prefix: str = ""
    ms: int | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Fault:
        """A fault as the control port and the command line describe it; null means the default."""
        fault = cls(**{key: value for key, value in document.items() if value is not None})
        if fault.kind not in FAULT_KINDS or not set(CALL_KINDS).issuperset(fault.methods):
            raise ValueError(f"a fault is one of {FAULT_KINDS} on requests among {CALL_KINDS}")
        if fault.kind == "latency" and fault.ms is None:
            raise ValueError("latency needs ms")
        return fault

    @property
    def seconds(self) -> float | None:
        """How long it lasts, if that is limited."""
        return None if self.ms is None else self.ms / 1000

    def concerns(self, call: Call) -> bool:
        """Whether the filters let it strike the call."""
        return self.count != 0 and call.kind in self.methods and call.topic.startswith(self.prefix)


class FaultPlan:
    """The faults to come and the count of those that struck."""

    def __init__(self, seed: int | None) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._faults: list[Fault] = []
        self.struck = Tally(FAULT_KINDS)

    def add(self, fault: Fault) -> None:
        """Let the fault strike from now on."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Let nothing more go wrong."""
        with self._lock:
            self._faults.clear()

    def strike(self, call: Call, *kinds: str) -> Fault | None:
        """The first fault, among those of the given kinds, that strikes the call."""
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and fault.concerns(call) and self._random.random() < fault.probability:
                    if fault.count is not None:
                        fault.count -= 1
                    self.struck.add(fault.kind)
                    return fault
        return None


# --- The wire -------------------------------------------------------------------------------------------------------


class LoopbackServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves one loopback port, one thread to a connection; can go away and come back on the same port."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: Any, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self._tls = tls
        self._gate = threading.Lock()
        self._accepting: threading.Thread | None = None
        self._reopening: threading.Timer | None = None
        self._connections: set[socket.socket] = set()
        self._accept()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def refuse(self, seconds: float | None) -> None:
        """Drop every connection and refuse new ones, for a while or until ``accept_again``."""
        with self._gate:
            if self._accepting:
                self.shutdown()
                self._accepting.join()
                self._accepting = None
                self.socket.close()
                # Bound but not listening: clients are refused, and nobody else can take the port meanwhile.
                self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind(self.server_address)
                for connection in list(self._connections):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
            if seconds is not None:
                self._reopening = threading.Timer(seconds, self.accept_again)
                self._reopening.daemon = True
                self._reopening.start()

    def accept_again(self) -> None:
        """End a refusal."""
        with self._gate:
            if self._reopening:
                self._reopening.cancel()
                self._reopening = None
            if not self._accepting:
                self.socket.listen(self.request_queue_size)
                self._accept()

    def _accept(self) -> None:
        self._accepting = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._accepting.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its TLS handshake is left to its own thread."""
        connection, address = super().get_request()
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close without the orderly shutdown of the base class, which would turn a reset into an end of stream."""
        self._connections.discard(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that went away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP/1.1 with whole replies in one segment and no log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    serve: Callable[[], None]
    """Answers one request. Each kind of handler has its own."""

    def __getattr__(self, name: str) -> Any:
        # The base class looks for a do_<METHOD> of each method; here one place answers them all.
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        """Let the client send its body now: the stream is buffered, and the client waits."""
        allowed = super().handle_expect_100()
        self.wfile.flush()
        return allowed

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def read_body(self) -> bytes:
        """The request's body; a request that does not say how long it is ends the connection."""
        length = self.headers["content-length"] or "0"
        if not length.isdecimal() or "transfer-encoding" in self.headers:
            self.close_connection = True
            raise ServiceError(400, "InvalidContentLength", "The Content-Length header is missing or invalid")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the client went away in the middle of a request")
        return body

    def send_reply(self, reply: Reply, cut: bool = False) -> None:
        """Write the reply, or only half of its body."""
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("content-length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
        self.close_connection = self.close_connection or cut

    def reset(self) -> None:
        """Make closing the connection send a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


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


# --- Files for clients ----------------------------------------------------------------------------------------------


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that only its owner can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
    return path


class ClientFiles:
    """Keys, a session token, a certificate and an SDK configuration file in one directory."""

    TENANCY = "ocid1.tenancy.oc1..aaaaaaaatest"
    USER = "ocid1.user.oc1..aaaaaaaatest"
    TOKEN_LIFETIME_SECONDS = 3600

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def write_credentials(self, keys: KeyRing) -> None:
        """Write the profiles DEFAULT, SESSION and WRONGKEY; register what the first two sign with."""
        api_key, session_key = self._make_key("api_key").public_key(), self._make_key("session_key").public_key()
        self._make_key("wrong_key")
        der = api_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        fingerprint = hashlib.md5(der, usedforsecurity=False).digest().hex(":")
        token = session_token(self.USER, session_key, time.time() + self.TOKEN_LIFETIME_SECONDS)
        token_file = write_private(self._directory / "token", token.encode())
        keys.register(f"{self.TENANCY}/{self.USER}/{fingerprint}", api_key)
        keys.register(TOKEN_PREFIX + token, session_key)

        config = configparser.ConfigParser(interpolation=None)
        common = {"tenancy": self.TENANCY, "region": "us-ashburn-1", "fingerprint": fingerprint}
        config["DEFAULT"] = {**common, "user": self.USER, "key_file": str(self._directory / "api_key.pem")}
        session = {"key_file": str(self._directory / "session_key.pem"), "security_token_file": str(token_file)}
        config["SESSION"] = {**common, **session}
        config["WRONGKEY"] = {"key_file": str(self._directory / "wrong_key.pem")}
        text = io.StringIO()
        config.write(text)
        write_private(self._directory / "config", text.getvalue().encode())

    def write_certificate(self) -> tuple[Path, Path]:
        """Write a self-signed certificate for the loopback address; return it and its key."""
        key = self._make_key("tls_key")
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        signing = dict.fromkeys(("content_commitment", "data_encipherment", "key_agreement", "crl_sign"), False)
        signing |= {"digital_signature": True, "key_encipherment": True, "key_cert_sign": True}
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        certificate = (
            x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**signing, encipher_only=False, decipher_only=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        path = write_private(self._directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
        return path, self._directory / "tls_key.pem"

    def _make_key(self, name: str) -> rsa.RSAPrivateKey:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        write_private(self._directory / f"{name}.pem", pem)
        return key


# --- The program ----------------------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    """The command line."""

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
    """TLS as the command line asks for it."""
    certificate, key = arguments.tls_cert, arguments.tls_key
    if arguments.tls:
        certificate, key = ClientFiles(arguments.generate).write_certificate()
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def process_exists(pid: int) -> bool:
    """Whether the process is there."""
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


# --- For tests ------------------------------------------------------------------------------------------------------


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
            command = [sys.executable, __file__, *options, *self._arguments]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stream)
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
        """How often each kind of fault struck."""
        return dict(self._tell("GET", "/faults"))

    def requests(self) -> dict[str, int]:
        """How many requests arrived, by kind."""
        return dict(self._tell("GET", "/requests"))

    def objects(self) -> dict[str, bytes]:
        """The content of the bucket, in the order of a listing."""
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


if __name__ == "__main__":
    main()
