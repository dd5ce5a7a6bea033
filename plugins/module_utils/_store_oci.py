# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as objects in a bucket of OCI Object Storage.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import time
import typing as t
from urllib.parse import urlsplit

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict
from ansible_collections.rstyczynski.ansible.plugins.module_utils._key import SUFFIX
from ansible_collections.rstyczynski.ansible.plugins.module_utils._oci_client import auth_type_of, make_client
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import ABSENT, Document, Entry, Notify, Store, Version

Result = t.TypeVar("Result")

# The rules for object names (https://docs.oracle.com/en-us/iaas/Content/Object/Tasks/managingobjects.htm).
_NAME_BYTES = 1024

# The service has been seen to deny a bucket that is there, now and then. Denied this often, it is not there.
_BUCKET_DENIALS = 5

# How long to wait before the second try, and at most between two tries, in seconds.
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 5.0

# How long before the end of the time the last try begins, in seconds.
_LAST_TRY = 0.5

# How often the user hears that we are still trying, in seconds.
_NOTICE_SECONDS = 5.0


class _DamagedError(Exception):
    """A document did not arrive as it was sent."""


class OciStore(Store):
    """One object a document, C(oci://<bucket>/<prefix><path>). The version of a document is its ETag."""

    def __init__(self, params: dict[str, t.Any], notify: Notify) -> None:
        """Nothing is contacted before the first read or write.

        :arg params: validated values of the options in C(_options.STORE_OPTIONS)
        """
        if not (params["oci_bucket"] or "").strip():
            raise AsyncJobError(
                "The backend 'oci' needs the name of a bucket. Nothing was read or written. Set oci_bucket, or async_job_oci_bucket."
            )
        if params["oci_namespace"] and not params["oci_namespace"].strip():
            raise AsyncJobError("oci_namespace is blank. Nothing was read or written. Leave it out, and the service is asked for it.")
        if not _is_url(params["oci_endpoint"] or "https://default"):
            raise AsyncJobError(f"oci_endpoint is {params['oci_endpoint']!r}. Nothing was read or written. Give a URL: https://<host>.")
        if re.search("[\r\n\0]", params["oci_prefix"]):
            raise AsyncJobError("oci_prefix holds a line break or NUL, which object names cannot. Nothing was read or written.")
        self._params = params
        self._notify = notify
        self._bucket: str = params["oci_bucket"]
        self._prefix: str = params["oci_prefix"]
        self._namespace: str = params["oci_namespace"] or ""
        self._client: t.Any = None
        self.warnings = []

    def locate(self, path: str = "") -> str:
        return f"oci://{self._bucket}/{self._prefix}{path}"

    def read(self, path: str) -> Document | None:
        return self._persist("read", path, lambda again: self._get(path))

    def write(self, path: str, content: bytes, *, expect: Version | None = None) -> Version:
        options = {"content_md5": _md5(content), "content_type": "application/json", **_condition(expect)}

        def put(again: bool) -> Version:
            try:
                return Version(self._object("put_object", path, content, **options).headers["etag"])
            except self._service_error as error:
                if error.status != 412:
                    raise
                # A try of ours whose answer was lost may be what stands in the way. No two writes have the same content.
                found = self._get(path)
                if found is None or found.content != content:
                    raise self._conflict(path) from error
                return found.version

        return self._persist("write", path, put)

    def delete(self, path: str, *, expect: Version | None = None) -> bool:
        def remove(again: bool) -> bool:
            try:
                self._object("delete_object", path, **_condition(expect))
            except self._service_error as error:
                gone = error.code == "ObjectNotFound" or (error.status == 412 and self._get(path) is None)
                if gone and (again or expect is None):
                    return again  # an earlier try has done it, or there was none
                if gone or error.status == 412:
                    raise self._conflict(path) from error
                raise
            return True

        return self._persist("remove", path, remove)

    def entries(self, prefix: str = "") -> t.Iterator[Entry]:
        start = None
        while True:
            page = self._persist("list", prefix, lambda again, start=start: self._list(prefix, start))  # type: ignore[misc]
            for path in (found.name[len(self._prefix) :] for found in page.objects):
                if path.count("/") != 2 or not path.endswith(SUFFIX):
                    continue
                try:
                    document = self.read(path)
                except AsyncJobError as error:
                    yield Entry(path, None, error)
                else:
                    if document is not None:
                        yield Entry(path, document, None)
            start = page.next_start_with
            if not start:
                return

    # What follows is one try; self._persist() makes as many as it takes

    def _get(self, path: str) -> Document | None:
        try:
            response = self._object("get_object", path)
        except self._service_error as error:
            if error.code == "ObjectNotFound":
                return None
            raise
        content: bytes = response.data.content
        # The SDK notices a body that was cut short, not one that was changed on its way.
        if "content-md5" in response.headers and response.headers["content-md5"] != _md5(content):
            raise _DamagedError
        return Document(content, Version(response.headers["etag"]))

    def _list(self, prefix: str, start: str | None) -> t.Any:
        options = {"start": start} if start else {}
        return self._client.list_objects(self._namespace, self._bucket, prefix=self._prefix + prefix, fields="name", **options).data

    def _object(self, operation: str, path: str, *content: bytes, **options: t.Any) -> t.Any:
        name = self._prefix + path
        if len(name.encode("utf-8")) > _NAME_BYTES:
            raise AsyncJobError(f"The object name {name} is longer than {_NAME_BYTES} bytes. Nothing was changed. Shorten oci_prefix.")
        return getattr(self._client, operation)(self._namespace, self._bucket, name, *content, **options)

    def _conflict(self, path: str) -> Conflict:
        return Conflict(f"The record {self.locate(path)} was changed by somebody else meanwhile. Run again.")

    @property
    def _service_error(self) -> type[t.Any]:
        from oci.exceptions import ServiceError

        return ServiceError  # type: ignore[no-any-return]

    def _persist(self, verb: str, path: str, attempt: t.Callable[[bool], Result]) -> Result:
        """Try until it works, until trying is pointless, or until the time is over.

        :arg verb: what the attempt does, for the error
        :arg attempt: one try; its argument tells whether an earlier one may have worked, with its answer lost
        :raises AsyncJobError: that tells where, why, and what to do
        """
        begin = last_notice = time.monotonic()
        tries = denials = 0
        doubt = False  # whether a change may have arrived, with its answer lost
        while True:
            tries += 1
            left = begin + self._params["oci_retry_timeout"] - time.monotonic()
            try:
                self._connect(left)
                return attempt(tries > 1)
            except AsyncJobError:
                raise
            except ValueError as error:
                raise AsyncJobError(
                    f"The OCI SDK refuses to {verb} {self.locate(path)} at {self._endpoint}: {str(error).rstrip('.')}. Nothing was changed."
                    f" Correct {'oci_endpoint' if self._params['oci_endpoint'] else 'oci_region'}, oci_namespace, oci_bucket or oci_prefix."
                ) from error
            except (OSError, self._service_error, _DamagedError) as error:
                what = _what(error)
                doubt = doubt or (verb in ("write", "remove") and isinstance(error, OSError) and what not in _NEVER_SENT)
                denials += getattr(error, "code", None) == "BucketNotFound"
                pointless = denials >= _BUCKET_DENIALS or not _worth_another_try(error) or self._unknown_region(error)
                left = begin + self._params["oci_retry_timeout"] - time.monotonic() - _LAST_TRY
                if pointless or left <= 0:
                    raise self._failed(verb, path, error, tries, time.monotonic() - begin, doubt=doubt) from error
                if tries == 1 or time.monotonic() - last_notice > _NOTICE_SECONDS:
                    last_notice = time.monotonic()
                    self._notify(f"{self.locate(path)}: {what}. Trying again, for {left + _LAST_TRY:.0f} seconds at most.")
            time.sleep(min(left, random.uniform(0.5, 1) * min(_FIRST_DELAY * 2 ** (tries - 1), _LONGEST_DELAY)))

    def _connect(self, seconds: float) -> None:
        """Make the client and find the namespace, if that has not been done, and let no request take longer than this."""
        if self._client is None:
            self._client = make_client(self._params)
        # A float for each of connect and read; the service is asked only if there is some time left.
        self._client.base_client.timeout = tuple(
            max(min(self._params[f"oci_{phase}_timeout"], seconds), 0.1) for phase in ("connect", "read")
        )
        if not self._namespace:
            self._namespace = self._client.get_namespace().data

    def _unknown_region(self, error: t.Any) -> bool:
        """Whether the endpoint was made from a region that nobody has heard of, and now cannot be found."""
        from oci.regions import is_region

        return (
            not self._params["oci_endpoint"]
            and _what(error) == _SIGNS["getaddrinfo"]
            and not is_region(self._client.base_client.config["region"])
        )

    def _failed(self, verb: str, path: str, error: t.Any, tries: int, seconds: float, *, doubt: bool) -> AsyncJobError:
        return AsyncJobError(
            f"Cannot {verb} {self.locate(path)} at {self._endpoint}: {_what(error)}"
            f"{f', tried {tries} times in {seconds:.0f} seconds' if tries > 1 else ''}."
            f" {'It is not known whether the change arrived' if doubt else 'Nothing was changed'}."
            f" {self._what_to_do(error)}."
        )

    @property
    def _endpoint(self) -> str:
        # What is left in braces are choices that the SDK makes for each request.
        return re.sub(r"\{[^}]*\}", "", self._client.base_client.endpoint)

    def _what_to_do(self, error: t.Any) -> str:
        if isinstance(error, OSError):
            if self._unknown_region(error):
                return f"Correct oci_region: the OCI SDK does not know the region {self._client.base_client.config['region']!r}"
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return "Give the certificate of the authority that signed the endpoint's as oci_cert_bundle"
            return "Check oci_region or oci_endpoint, the network, the proxy, and that the service is up; then run again"
        status = getattr(error, "status", 0)
        if status == 401:
            return _WHEN_REFUSED.get(auth_type_of(self._params), _WHEN_REFUSED[""]).format(self._params["oci_profile"])
        if status in (403, 404):
            return (
                f"Check that the bucket {self._bucket!r} exists in the namespace {self._namespace!r}, and that a policy lets you read and"
                " manage its objects (see the README)"
            )
        return "Run again later; if it stays so, ask Oracle's support with the opc-request-id"


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        return False


def _md5(content: bytes) -> str:
    # An integrity check that the service asks for, not a matter of security
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode("ascii")


def _condition(expect: Version | None) -> dict[str, str]:
    if expect is None:
        return {}
    return {"if_none_match": "*"} if expect == ABSENT else {"if_match": expect}


def _worth_another_try(error: t.Any) -> bool:
    if isinstance(error, OSError):
        return "CERTIFICATE_VERIFY_FAILED" not in str(error)
    if isinstance(error, _DamagedError):
        return True
    codes = ("BucketNotFound", "ConcurrentObjectUpdate", "UnmatchedContentMD5")
    return error.status in (408, 429) or error.status >= 500 or error.code in codes


def _what(error: t.Any) -> str:
    """What happened, without the addresses of help pages that the SDK adds."""
    if isinstance(error, _DamagedError):
        return "the document arrived damaged"
    if isinstance(error, OSError):
        text = str(error).lower()
        for sign, meaning in _SIGNS.items():
            if sign in text:
                return meaning
        return f"the connection failed ({type(error).__name__})"
    return f"HTTP {error.status} {error.code}: {error.message} (opc-request-id {error.request_id})"


_WHEN_REFUSED = {
    "api_key": "Check the user, the fingerprint and the key of the profile {!r}, and the clock of this machine",
    "security_token": "The session may be over: oci session refresh --profile {}. Check the clock of this machine, too",
    "": "Check that a dynamic group and a policy name this resource, and the clock of this machine",
}

# What the nested exceptions of the HTTP library say, and what it means
_SIGNS = {
    "certificate_verify_failed": "the certificate of the endpoint is not trusted",
    "name or service not known": "the name of the endpoint is not known",
    "failed to resolve": "the name of the endpoint is not known",
    "nameresolution": "the name of the endpoint is not known",
    "getaddrinfo": "the name of the endpoint is not known",
    "connection refused": "the connection was refused",
    "timed out": "no answer came in time",
    "reset by peer": "the connection was reset",
    "incompleteread": "the answer was cut short",
    "remote end closed": "the connection was closed without an answer",
    "proxy": "the proxy did not connect",
}
_NEVER_SENT = (_SIGNS["connection refused"], _SIGNS["getaddrinfo"], _SIGNS["certificate_verify_failed"])
