# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is stored: objects in buckets in namespaces, and their listings."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import email.utils
import hashlib
import threading
import uuid
from collections.abc import Iterable, Mapping

from .answers import BUCKET_MISSING, ServiceError

MAX_LIST_LIMIT = 1000


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
        """Return the headers that name this version."""
        return {"etag": self.etag, "last-modified": email.utils.format_datetime(self.written, usegmt=True)}

    def summary(self, fields: Iterable[str]) -> dict[str, object]:
        """Return the chosen fields as a listing shows them."""
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
    """Return the Base64 MD5, as the service writes it."""
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
        """Return the object, or ObjectNotFound."""
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
        """Return every object as of now, in the order of a listing."""
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
        """Return the bucket, or NamespaceNotFound, or BucketNotFound."""
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
        """Return one page of the sorted objects."""
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
