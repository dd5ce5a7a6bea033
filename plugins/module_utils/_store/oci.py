# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as objects in a bucket of OCI Object Storage.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import math
import random
import re
import threading
import time
import typing as t
from urllib.parse import urlsplit

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import (
    ABSENT,
    MOST,
    SUFFIX,
    ChosenStore,
    Document,
    Entry,
    Notify,
    Version,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.document_cache import DocumentCache
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci_answers import (
    SIGNS,
    WHEN_FOREIGN,
    WHEN_REFUSED,
    DamagedError,
    ForeignError,
    concerns_all,
    is_ours,
    may_have_arrived,
    request_id,
    what_happened,
    worth_another_try,
)
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci_client import auth_type_of, body_of, make_client, within

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

# The longest time that an operation may take, whatever the user says, in seconds. Sockets have a limit of their own.
_LONGEST_REQUEST = 86400.0

# How many pages of a list may be empty, one after the other, before somebody else must have answered.
_EMPTY_PAGES = 10

# How many documents of a listing are read at a time, and how many make it worth to have one more reader.
_READERS = 16
_READS_WORTH_A_READER = 8

# How often the user hears that we are still trying, in seconds.
_NOTICE_SECONDS = 5.0


class OciStore(ChosenStore):
    """One object a document, C(oci://<bucket>/<prefix><path>). The version of a document is its ETag."""

    def __init__(self, params: dict[str, t.Any], notify: Notify) -> None:
        """Check the options. Nothing is contacted before the first read or write.

        :arg params: validated values of the options in C(_options.STORE_OPTIONS)
        """
        if not (params["oci_bucket"] or "").strip():
            raise AsyncJobError(
                "The backend 'oci' needs the name of a bucket. Nothing was read or written. Set oci_bucket (an option),"
                " async_job_oci_bucket (a variable), or ASYNC_JOB_OCI_BUCKET or OCI_BUCKET (in the environment)."
            )
        if params["oci_namespace"] and not params["oci_namespace"].strip():
            raise AsyncJobError("oci_namespace is blank. Nothing was read or written. Leave it out, and the service is asked for it.")
        if "@" in (params["oci_endpoint"] or ""):
            raise AsyncJobError(
                "oci_endpoint holds a user or a password in front of '@'. It is not shown here. Nothing was read or written. Give"
                " https://<host>: the requests are signed with the credentials of the profile."
            )
        if not _is_url(params["oci_endpoint"] or "https://default"):
            raise AsyncJobError(f"oci_endpoint is {params['oci_endpoint']!r}. Nothing was read or written. Give a URL: https://<host>.")
        if re.search("[\r\n\0]", params["oci_prefix"]):
            raise AsyncJobError("oci_prefix holds a line break or NUL, which object names cannot. Nothing was read or written.")
        for option in ("oci_connect_timeout", "oci_read_timeout", "oci_retry_timeout"):
            once = option == "oci_retry_timeout"
            if not math.isfinite(params[option]) or params[option] < 0 or (params[option] == 0 and not once):
                raise AsyncJobError(
                    f"{option} is {params[option]}. Nothing was read or written. Give a finite number of seconds greater than 0"
                    f"{', or 0 to try only once' if once else ''}."
                )
        self._params = params
        self._notify = notify
        self._bucket: str = params["oci_bucket"]
        self._prefix: str = params["oci_prefix"]
        self._namespace: str = params["oci_namespace"] or ""
        self._client: t.Any = None
        self._is_client_busy = False
        """Whether it still waits for an answer that nobody else waits for any more. It serves one request at a time."""
        self.warnings = []
        if _travels_in_the_clear(params["oci_endpoint"] or ""):
            self.warnings.append(
                f"The oci_endpoint {params['oci_endpoint']} begins with http://. Records travel in the clear, and whoever is on the way can"
                " read and change them. Give https://<host>."
            )
        # Of the operation that is under way: when all of its requests must have ended, and whether one of them may have changed
        # something without our being told.
        self._deadline = math.inf
        self._in_doubt = False

    @classmethod
    def open(cls, params: dict[str, t.Any], notify: Notify) -> OciStore:
        return cls(params, notify)

    def locate(self, path: str = "") -> str:
        return f"oci://{self._bucket}/{self._prefix}{path}"

    def must_exist(self) -> None:
        pass  # a bucket that is not there fails every request

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

    def entries(self, prefix: str = "", wanted: t.Callable[[str], bool] = lambda path: True) -> t.Iterator[Entry]:
        etags = self._etags(prefix)
        paths = [path for path in etags if wanted(path)]
        cache = DocumentCache(self._params["oci_cache_dir"], (self._endpoint, self._namespace, self._bucket))
        before = cache.documents(self._prefix + prefix) if paths else {}
        known = {name[len(self._prefix) :]: document for name, document in before.items()}
        known = {path: document for path, document in known.items() if _is_document(path, prefix)}
        current = {path for path in paths if path in known and known[path].version == etags[path]}
        read: dict[str, Document] = {}
        arriving = self._read_together([path for path in paths if path not in current])
        try:
            for path in paths:
                entry = Entry(path, known[path], None) if path in current else next(arriving, Entry(path, None, None))
                if entry.document is not None and path not in current:
                    read[self._prefix + path] = entry.document
                if entry.document is not None or entry.error is not None:
                    yield entry
        finally:  # what was read before it failed need not be read again
            cache.update(read, [self._prefix + path for path in known.keys() - etags.keys()])

    def _etags(self, prefix: str) -> dict[str, str]:
        """Return the paths of all documents that begin with the prefix, in order, with their ETags."""
        etags: dict[str, str] = {}
        start = None
        empty = 0
        while True:
            page = self._persist("list", prefix, lambda again, start=start: self._list(prefix, start))  # type: ignore[misc]
            for found in page.objects:
                path = found.name[len(self._prefix) :]
                if _is_document(path, prefix):
                    etags[path] = found.etag or ""
            before, start = start, page.next_start_with
            if not start:
                return etags
            empty = 0 if page.objects else empty + 1
            if (before is not None and start <= before) or empty > _EMPTY_PAGES:
                raise StoreUnavailable(f"Cannot list {self.locate(prefix)}: the list does not end. {WHEN_FOREIGN}.")

    def _read_together(self, paths: list[str]) -> t.Iterator[Entry]:
        """Read documents, several at a time. The entries are in the order of the paths; one that has vanished has no document."""
        readers = min(_READERS, len(paths) // _READS_WORTH_A_READER)
        if readers < 2:
            yield from map(self._entry, paths)
            return
        # A client serves one request at a time.
        notify = _seldom(self._notify)
        own = threading.local()

        def entry(path: str) -> Entry:
            if not hasattr(own, "store"):
                own.store = OciStore({**self._params, "oci_namespace": self._namespace}, notify)
            return own.store._entry(path)  # type: ignore[no-any-return]

        with concurrent.futures.ThreadPoolExecutor(readers) as executor:
            yield from executor.map(entry, paths)  # if this ends early, what has not begun is not begun

    def _entry(self, path: str) -> Entry:
        try:
            return Entry(path, self.read(path), None)
        except StoreUnavailable:
            raise
        except AsyncJobError as error:
            return Entry(path, None, error)

    # What follows is one try; self._persist() makes as many as it takes

    def _get(self, path: str) -> Document | None:
        try:
            response = self._object("get_object", path)
        except self._service_error as error:
            if error.code == "ObjectNotFound":
                return None
            raise
        content = self._in_time(self._body, response, path)
        # The SDK notices a body that was cut short, not one that was changed on its way.
        if "content-md5" in response.headers and response.headers["content-md5"] != _md5(content):
            raise DamagedError
        return Document(content, Version(response.headers["etag"]))

    def _body(self, response: t.Any, path: str) -> bytes:
        """Return a document as it travels."""
        content = body_of(response.data.raw, response.headers, MOST)
        if content is None:
            raise AsyncJobError(
                f"{self.locate(path)} is larger than {MOST >> 20} MiB, so it is no record. Nothing was changed. Move it away."
            )
        return content

    def _list(self, prefix: str, start: str | None) -> t.Any:
        options = {"start": start} if start else {}
        return self._request("list_objects", prefix=self._prefix + prefix, fields="name,etag", **options).data

    def _object(self, operation: str, path: str, *content: bytes, **options: t.Any) -> t.Any:
        name = self._prefix + path
        try:
            length = len(name.encode("utf-8"))
        except UnicodeEncodeError as error:  # a list may have anything
            raise AsyncJobError(f"The object name {name!r} cannot be that of a record. Nothing was changed. Remove the object.") from error
        if length > _NAME_BYTES:
            raise AsyncJobError(f"The object name {name} is longer than {_NAME_BYTES} bytes. Nothing was changed. Shorten oci_prefix.")
        return self._request(operation, name, *content, **options)

    def _request(self, operation: str, *args: t.Any, **options: t.Any) -> t.Any:
        """Send one request on the bucket, after one for the namespace if that is not known yet."""
        if not self._namespace:
            self._namespace = self._answer("get_namespace").data
        try:
            return self._answer(operation, self._namespace, self._bucket, *args, **options)
        except (OSError, self._service_error, ForeignError) as error:
            if operation in ("put_object", "delete_object"):
                self._in_doubt = self._in_doubt or may_have_arrived(error)
            raise

    def _answer(self, operation: str, *args: t.Any, **options: t.Any) -> t.Any:
        """Return the answer of the service to one request, which may take no longer than until the deadline."""
        left = self._deadline - time.monotonic()
        # A float for each of connect and read. What begins a moment too late is not refused for that.
        timeouts = (self._params["oci_connect_timeout"], self._params["oci_read_timeout"])
        self._client.base_client.timeout = tuple(max(min(timeout, left), 0.1) for timeout in timeouts)
        try:
            response = self._in_time(getattr(self._client, operation), *args, **options)
            ours = is_ours(operation, response)
        except UnicodeDecodeError as error:
            raise ForeignError from error
        except (OSError, ValueError, self._service_error):
            raise
        except Exception as error:  # the SDK can make nothing of the answer, and says so in any way
            raise ForeignError from error
        if not ours:
            raise ForeignError
        return response

    def _in_time(self, work: t.Callable[..., Result], *args: t.Any, **options: t.Any) -> Result:
        """Return what some work with the client returns, if that does not take until after the deadline, when its own timeouts are over."""
        try:
            return within(max(self._deadline - time.monotonic(), 0.1) + _LAST_TRY, work, *args, **options)
        except TimeoutError:
            self._is_client_busy = True
            raise

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
        if self._client is None or self._is_client_busy:
            self._client, self._is_client_busy = make_client(self._params), False
        begin = last_notice = time.monotonic()
        end = begin + self._params["oci_retry_timeout"]
        once = self._params["oci_connect_timeout"] + self._params["oci_read_timeout"]
        self._deadline = begin + min(self._params["oci_retry_timeout"] or once, _LONGEST_REQUEST)
        self._in_doubt = False
        tries = denials = 0
        while True:
            tries += 1
            try:
                return attempt(tries > 1)
            except AsyncJobError:
                raise
            except ValueError as error:
                raise self._refused_by_sdk(verb, path, error) from error
            except (OSError, self._service_error, DamagedError, ForeignError) as error:
                denials += getattr(error, "code", None) == "BucketNotFound"
                pointless = denials >= _BUCKET_DENIALS or not worth_another_try(error) or self._unknown_region(error)
                left = end - time.monotonic() - _LAST_TRY
                if pointless or left <= 0:
                    raise self._failed(verb, path, error, tries, time.monotonic() - begin) from error
                if tries == 1 or time.monotonic() - last_notice > _NOTICE_SECONDS:
                    last_notice = time.monotonic()
                    self._notify(f"{self.locate(path)}: {what_happened(error)}. Trying again, for {left + _LAST_TRY:.0f} seconds at most.")
            time.sleep(min(left, random.uniform(0.5, 1) * min(_FIRST_DELAY * 2 ** (tries - 1), _LONGEST_DELAY)))

    def _unknown_region(self, error: t.Any) -> bool:
        """Tell whether the endpoint was made from a region that nobody has heard of, and now cannot be found."""
        from oci.regions import is_region

        return (
            not self._params["oci_endpoint"]
            and what_happened(error) == SIGNS["getaddrinfo"]
            and not is_region(self._client.base_client.config["region"])
        )

    def _failed(self, verb: str, path: str, error: t.Any, tries: int, seconds: float) -> AsyncJobError:
        failed = (StoreUnavailable if concerns_all(error) else AsyncJobError)(
            f"Cannot {verb} {self.locate(path)} at {self._endpoint}: {what_happened(error)}"
            f"{f', tried {tries} times in {seconds:.0f} seconds' if tries > 1 else ''}."
            f" {'It is not known whether the change arrived' if self._in_doubt else 'Nothing was changed'}."
            f" {self._what_to_do(error)}."
        )
        failed.in_doubt = self._in_doubt
        return failed

    def _refused_by_sdk(self, verb: str, path: str, error: ValueError) -> AsyncJobError:
        # The text is not shown: of a header that cannot be sent, it quotes the token.
        if "header" in str(error).lower():
            why = "the credentials hold what an HTTP header cannot, such as a line break"
            what_to_do = "Correct the token, the user, the fingerprint and the tenancy"
        else:
            why = f"the OCI SDK refuses to ({type(error).__name__})"
            setting = "oci_endpoint" if self._params["oci_endpoint"] else "oci_region"
            what_to_do = f"Correct {setting}, oci_namespace, oci_bucket or oci_prefix"
        return StoreUnavailable(f"Cannot {verb} {self.locate(path)} at {self._endpoint}: {why}. Nothing was changed. {what_to_do}.")

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
            if what_happened(error) in (SIGNS["redirects"], SIGNS["compressed or endless"]):
                return WHEN_FOREIGN
            return "Check oci_region or oci_endpoint, the network, the proxy, and that the service is up; then run again"
        if isinstance(error, DamagedError):
            return "Run again later"
        if isinstance(error, ForeignError) or not request_id(error):
            return WHEN_FOREIGN
        status = error.status
        if status == 401:
            return WHEN_REFUSED.get(auth_type_of(self._params), WHEN_REFUSED[""]).format(self._params["oci_profile"])
        if status in (403, 404):
            return (
                f"Check that the bucket {self._bucket!r} exists in the namespace {self._namespace!r}, and that a policy lets you read and"
                " manage its objects (see the guide on this store)"
            )
        return "Run again later; if it stays so, ask Oracle's support with the opc-request-id"


def _is_document(path: str, prefix: str) -> bool:
    return path.count("/") == 2 and path.endswith(SUFFIX) and path.startswith(".") <= prefix.startswith(".")


def _seldom(notify: Notify) -> Notify:
    """Return a C(notify) for many who wait for the same thing: it speaks for all of them."""
    last = -math.inf

    def say(line: str) -> None:
        nonlocal last
        if time.monotonic() - last > _NOTICE_SECONDS:
            last = time.monotonic()
            notify(line)

    return say


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:
        return False


def _travels_in_the_clear(endpoint: str) -> bool:
    """Return whether others on a network could listen in. Nobody is between us and our own machine."""
    url = urlsplit(endpoint)
    host = url.hostname or ""
    return url.scheme == "http" and host not in ("localhost", "::1") and not re.fullmatch(r"127(\.\d+){3}", host)


def _md5(content: bytes) -> str:
    # An integrity check that the service asks for, not a matter of security
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode("ascii")


def _condition(expect: Version | None) -> dict[str, str]:
    if expect is None:
        return {}
    return {"if_none_match": "*"} if expect == ABSENT else {"if_match": expect}
