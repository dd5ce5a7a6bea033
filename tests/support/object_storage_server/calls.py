# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for, and what the service answers."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import email.utils
import re
import urllib.parse
from collections.abc import Mapping
from email.message import Message

from .answers import Reply, ServiceError
from .callers import KeyRing, SignatureVerifier
from .stored import Bucket, Conditions, Listing, ObjectStore, StoredObject, content_md5

MAX_NAME_BYTES = 1024


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
        """Return the reply to an authenticated, authorised call; a ServiceError otherwise."""
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
