# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The local Object Storage service, as the real SDK and plain HTTP clients see it."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import functools
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import oci
import oci.auth.signers
import oci.object_storage
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from object_storage_server import Listing, ObjectStorageServer, StoredObject, session_token
from oci.exceptions import RequestException, ServiceError
from waiting import until

SUPPORT = Path(__file__).resolve().parents[1] / "support"
WAIT_SECONDS = 10
PEM = serialization.Encoding.PEM
PUBLIC = serialization.PublicFormat.SubjectPublicKeyInfo
OBJECTS = "/n/testns/b/jobs/o/"


def make_client(server: ObjectStorageServer, profile: str = "DEFAULT", verify: object = True) -> oci.object_storage.ObjectStorageClient:
    """A client that neither retries nor looks at the environment of the test run."""
    config = oci.config.from_file(str(server.config_file), profile)
    options: dict[str, Any] = {}
    if "security_token_file" in config:
        key = oci.signer.load_private_key_from_file(config["key_file"])
        token = Path(config["security_token_file"]).read_text()
        options["signer"] = oci.auth.signers.SecurityTokenSigner(token, key)
    client = oci.object_storage.ObjectStorageClient(
        config,
        service_endpoint=server.endpoint,
        retry_strategy=oci.retry.NoneRetryStrategy(),
        circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
        timeout=(2, 5),
        **options,
    )
    client.base_client.session.trust_env = False
    client.base_client.session.verify = verify
    return client


class Bucket:
    """The test bucket through one SDK client."""

    def __init__(self, server: ObjectStorageServer, profile: str = "DEFAULT", **options: object) -> None:
        self.client = make_client(server, profile, **options)
        self._where = (server.namespace, server.bucket)

    def put(self, name: str, content: bytes = b"content", **options: object) -> oci.response.Response:
        return self.client.put_object(*self._where, name, content, **options)

    def get(self, name: str, **options: object) -> bytes:
        return bytes(self.client.get_object(*self._where, name, **options).data.content)

    def head(self, name: str, **options: object) -> oci.response.Response:
        return self.client.head_object(*self._where, name, **options)

    def delete(self, name: str, **options: object) -> oci.response.Response:
        return self.client.delete_object(*self._where, name, **options)

    def list(self, **options: object) -> Any:
        return self.client.list_objects(*self._where, **options).data

    def names(self, **options: object) -> list[str]:
        return [found.name for found in self.list(**options).objects]


@functools.cache
def load_key(path: str) -> rsa.RSAPrivateKey:
    """The key in the file; checking a key takes long enough to do it once only."""
    return oci.signer.load_private_key_from_file(path)


class RawClient:
    """Requests that the SDK would not make, signed by hand."""

    def __init__(self, server: ObjectStorageServer, key: rsa.RSAPrivateKey | None = None, key_id: str = "") -> None:
        config = oci.config.from_file(str(server.config_file))
        self._key = key or load_key(config["key_file"])
        self._key_id = key_id or f"{config['tenancy']}/{config['user']}/{config['fingerprint']}"
        self._host = urllib.parse.urlsplit(server.endpoint).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=WAIT_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def signature(self, method: str, target: str, age: float = 0, signed: str = "date (request-target) host") -> dict[str, str]:
        """The headers that prove who is asking."""
        date = email.utils.formatdate(time.time() - age, usegmt=True)
        lines = {"date": date, "(request-target)": f"{method.lower()} {target}", "host": self._host, "x-date": date}
        message = "\n".join(f"{name}: {lines[name]}" for name in signed.split())
        made = self._key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
        parameters = {
            "version": "1",
            "keyId": self._key_id,
            "algorithm": "rsa-sha256",
            "headers": signed,
            "signature": base64.b64encode(made).decode(),
        }
        authorization = "Signature " + ",".join(f'{name}="{value}"' for name, value in parameters.items())
        return {"date": date, "x-date": date, "host": self._host, "authorization": authorization}

    def send(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, str, http.client.HTTPMessage, bytes]:
        """Status, error code, headers and body of the reply to a request with just these headers."""
        self._connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            self._connection.putheader(name, value)
        if method == "PUT":
            self._connection.putheader("content-length", str(len(body)))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        content = response.read()
        code = json.loads(content).get("code", "") if response.status >= 400 and content else ""
        return response.status, code, response.headers, content

    def call(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, str, http.client.HTTPMessage, bytes]:
        """Send a properly signed request; underscores in header names stand for hyphens."""
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(method, target, body, {**self.signature(method, target), **extra})


def failure(action: Callable[..., object], *arguments: object, **options: object) -> tuple[int, str | None]:
    """Status and code of the service error that the action ends with."""
    with pytest.raises(ServiceError) as caught:
        action(*arguments, **options)
    return caught.value.status, caught.value.code


def is_refused(endpoint: str) -> bool:
    """Whether nobody listens there."""
    address = urllib.parse.urlsplit(endpoint)
    try:
        socket.create_connection((address.hostname, address.port), WAIT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ObjectStorageServer]:
    with ObjectStorageServer() as server:
        yield server


@pytest.fixture
def server(shared_server: ObjectStorageServer) -> Iterator[ObjectStorageServer]:
    yield shared_server
    shared_server.clear_faults()
    for name in shared_server.objects():
        shared_server.delete(name)


@pytest.fixture(scope="module")
def shared_bucket(shared_server: ObjectStorageServer) -> Bucket:
    return Bucket(shared_server)


@pytest.fixture
def bucket(server: ObjectStorageServer, shared_bucket: Bucket) -> Iterator[Bucket]:
    yield shared_bucket
    shared_bucket.client.base_client.session.close()


@pytest.fixture
def raw(server: ObjectStorageServer) -> Iterator[RawClient]:
    with contextlib.closing(RawClient(server)) as client:
        yield client


# --- Objects --------------------------------------------------------------------------------------------------------


def test_tells_the_namespace(bucket: Bucket) -> None:
    assert bucket.client.get_namespace().data == "testns"
    assert bucket.client.get_namespace(compartment_id="ocid1.compartment.oc1..test").data == "testns"


def test_describes_the_bucket(bucket: Bucket) -> None:
    details = bucket.client.get_bucket("testns", "jobs")
    assert (details.data.namespace, details.data.name) == ("testns", "jobs")
    assert bucket.client.head_bucket("testns", "jobs").headers["etag"] == details.headers["etag"]


def test_returns_what_was_put(server: ObjectStorageServer, bucket: Bucket) -> None:
    content = bytes(range(256))
    put = bucket.put("one", content, content_type="text/plain", opc_meta={"Owner": "me"}, opc_client_request_id="mine")
    got = bucket.client.get_object("testns", "jobs", "one")
    md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()

    assert got.data.content == content
    assert server.objects() == {"one": content}
    assert put.headers["opc-content-md5"] == got.headers["content-md5"] == md5
    assert put.headers["etag"] == got.headers["etag"] == str(uuid.UUID(put.headers["etag"]))
    assert put.headers["last-modified"] == got.headers["last-modified"]
    assert email.utils.parsedate_to_datetime(put.headers["last-modified"]).timestamp() == pytest.approx(time.time(), abs=5)
    assert put.headers["opc-client-request-id"] == "mine"
    assert put.headers["opc-request-id"] != got.headers["opc-request-id"]
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["opc-meta-owner"] == "me"


def test_every_write_has_its_own_etag(bucket: Bucket) -> None:
    assert len({bucket.put("one", b"same").headers["etag"] for _turn in range(5)}) == 5


def test_keeps_empty_objects(bucket: Bucket) -> None:
    bucket.put("empty", b"")
    assert bucket.get("empty") == b""


def test_deletes(server: ObjectStorageServer, bucket: Bucket) -> None:
    bucket.put("one")
    assert bucket.delete("one").status == 204
    assert server.objects() == {}
    assert failure(bucket.delete, "one") == (404, "ObjectNotFound")


def test_head_has_headers_and_no_body(bucket: Bucket, raw: RawClient) -> None:
    bucket.put("one", b"12345")
    assert bucket.head("one").headers["content-length"] == "5"
    assert raw.call("HEAD", OBJECTS + "one")[3] == b""
    assert raw.call("HEAD", OBJECTS + "none")[::3] == (404, b"")
    assert failure(bucket.head, "none")[0] == 404


AWKWARD_NAMES = [
    "a/b",
    "a%2Fb",
    "with space",
    "zażółć/日本",
    "q?x=1&y",
    "h#1",
    "+",
    ".",
    "..",
    "a//b",
    "/a",
    "%",
    "ą" * 512,
]


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_takes_any_name_literally(server: ObjectStorageServer, bucket: Bucket, name: str) -> None:
    bucket.put(name, b"x")
    assert list(server.objects()) == [name]
    assert bucket.get(name) == b"x"
    assert bucket.names(prefix=name) == [name]
    bucket.delete(name)
    assert server.objects() == {}


def test_decodes_names_exactly_once(server: ObjectStorageServer, raw: RawClient) -> None:
    for target in ("a/b", "a%2fb", "a%252Fb", "%C5%BC"):
        assert raw.call("PUT", OBJECTS + target)[0] == 200
    assert list(server.objects()) == ["a%2Fb", "a/b", "ż"]


@pytest.mark.parametrize("name", ["x" * 1025, "a\nb", "a\rb", "a\0b"])
def test_refuses_bad_names(bucket: Bucket, name: str) -> None:
    assert failure(bucket.put, name) == (400, "InvalidObjectName")
    assert failure(bucket.get, name) == (400, "InvalidObjectName")


@pytest.mark.parametrize("target", ["", "%ff"])
def test_refuses_names_the_sdk_cannot_send(raw: RawClient, target: str) -> None:
    assert raw.call("PUT", OBJECTS + target)[:2] == (400, "InvalidObjectName")


def test_says_what_is_missing(bucket: Bucket) -> None:
    assert failure(bucket.get, "none") == (404, "ObjectNotFound")
    assert failure(bucket.client.get_object, "testns", "none", "x") == (404, "BucketNotFound")
    assert failure(bucket.client.get_bucket, "testns", "none") == (404, "BucketNotFound")
    assert failure(bucket.client.list_objects, "testns", "none") == (404, "BucketNotFound")
    assert failure(bucket.client.put_object, "none", "jobs", "x", b"") == (404, "NamespaceNotFound")


def test_missing_bucket_message_is_the_service_s(bucket: Bucket) -> None:
    with pytest.raises(ServiceError) as caught:
        bucket.client.get_object("testns", "none", "x")
    expected = "Either the bucket named 'none' does not exist in the namespace 'testns' or you are not authorized"
    assert caught.value.message.startswith(expected)


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/"), ("GET", "//n"), ("POST", "/n/testns/b"), ("PUT", "/n/testns/b/jobs/o"), ("PATCH", OBJECTS + "one")],
)
def test_knows_no_other_resources(raw: RawClient, method: str, target: str) -> None:
    assert raw.call(method, target)[:2] == (404, "NotFound")


def test_checks_content_md5(server: ObjectStorageServer, bucket: Bucket) -> None:
    right = base64.b64encode(hashlib.md5(b"content", usedforsecurity=False).digest()).decode()
    wrong = base64.b64encode(bytes(16)).decode()
    assert failure(bucket.put, "one", content_md5=wrong) == (400, "UnmatchedContentMD5")
    assert failure(bucket.put, "one", content_md5="foo") == (400, "InvalidContentMD5")
    assert server.objects() == {}
    assert bucket.put("one", content_md5=right).headers["opc-content-md5"] == right


def test_ignores_headers_it_does_not_model(bucket: Bucket) -> None:
    bucket.put("one", opc_checksum_algorithm="SHA256", storage_tier="Standard")
    assert bucket.get("one") == b"content"


# --- Conditions -----------------------------------------------------------------------------------------------------


def test_create_only(bucket: Bucket) -> None:
    bucket.put("one", b"first", if_none_match="*")
    assert failure(bucket.put, "one", b"second", if_none_match="*") == (412, "IfNoneMatchFailed")
    assert bucket.get("one") == b"first"
    assert failure(bucket.put, "two", if_none_match="some-etag") == (400, "InvalidConditionalHeaders")


def test_compare_and_swap(bucket: Bucket) -> None:
    first = bucket.put("one", b"first").headers["etag"]
    second = bucket.put("one", b"second", if_match=first).headers["etag"]
    assert failure(bucket.put, "one", b"third", if_match=first) == (412, "IfMatchFailed")
    assert failure(bucket.delete, "one", if_match=first) == (412, "IfMatchFailed")
    assert failure(bucket.get, "one", if_match=first) == (412, "IfMatchFailed")
    assert failure(bucket.head, "one", if_match=first)[0] == 412
    assert bucket.get("one", if_match=second) == b"second"
    bucket.delete("one", if_match=second)


def test_if_match_on_an_absent_object(bucket: Bucket) -> None:
    assert failure(bucket.put, "none", if_match="some-etag") == (412, "IfMatchFailed")
    assert failure(bucket.put, "none", if_match="*") == (412, "IfMatchFailed")
    assert failure(bucket.delete, "none", if_match="some-etag") == (404, "ObjectNotFound")
    assert failure(bucket.get, "none", if_match="some-etag") == (404, "ObjectNotFound")


def test_not_modified(bucket: Bucket, raw: RawClient) -> None:
    etag = bucket.put("one").headers["etag"]
    assert failure(bucket.get, "one", if_none_match=etag)[0] == 304
    assert bucket.get("one", if_none_match="another") == b"content"
    status, _reason, headers, body = raw.call("GET", OBJECTS + "one", if_none_match=etag)
    assert (status, headers["etag"], body) == (304, etag, b"")


@pytest.mark.parametrize("condition", ["if_none_match", "if_match"])
def test_one_of_many_racing_writers_wins(server: ObjectStorageServer, condition: str) -> None:
    value = server.put("one", b"start") if condition == "if_match" else "*"
    name = "one" if condition == "if_match" else "two"

    def write(number: int) -> int:
        with contextlib.closing(RawClient(server)) as client:
            return client.call("PUT", OBJECTS + name, b"%d" % number, **{condition: value})[0]

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(write, range(16)))
    assert sorted(statuses) == [200] + [412] * 15
    assert server.objects()[name] == b"%d" % statuses.index(200)


# --- Listing --------------------------------------------------------------------------------------------------------


def test_lists_in_byte_order_with_filters(server: ObjectStorageServer, bucket: Bucket) -> None:
    for name in ("b/2", "a", "b/1", "ż", "Z", "b", "\U0001f600", "\uffff"):
        server.put(name, b"")
    assert bucket.names() == ["Z", "a", "b", "b/1", "b/2", "ż", "\uffff", "\U0001f600"]
    assert bucket.names(prefix="b") == ["b", "b/1", "b/2"]
    assert bucket.names(start="b/1") == ["b/1", "b/2", "ż", "\uffff", "\U0001f600"]
    assert bucket.names(start_after="b/1", end="ż") == ["b/2"]
    assert bucket.names(prefix="none") == []


def test_pages(server: ObjectStorageServer, bucket: Bucket) -> None:
    for number in range(5):
        server.put(f"n{number}", b"")
    first = bucket.list(limit=2)
    last = bucket.list(limit=3, start=first.next_start_with)
    assert first.next_start_with == "n2"
    assert [found.name for found in last.objects] == ["n2", "n3", "n4"]
    assert last.next_start_with is None


def test_gives_a_thousand_names_at_most() -> None:
    page = Listing.parse({}).page((f"{number:04}", StoredObject(b"", {})) for number in range(1001))
    assert len(page["objects"]) == 1000
    assert page["nextStartWith"] == "1000"


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten"])
def test_refuses_other_limits(bucket: Bucket, limit: str) -> None:
    assert failure(bucket.list, limit=limit) == (400, "InvalidLimit")


def test_gives_names_only_unless_asked_for_more(server: ObjectStorageServer, bucket: Bucket) -> None:
    etag = server.put("one", b"12345")
    plain = bucket.list().objects[0]
    assert (plain.name, plain.size, plain.etag, plain.md5, plain.time_created) == ("one", None, None, None, None)
    full = bucket.list(fields="name,SIZE,etag,md5,timeCreated,timeModified").objects[0]
    assert (full.size, full.etag) == (5, etag)
    assert full.md5 == bucket.head("one").headers["content-md5"]
    assert full.time_created == full.time_modified
    assert full.time_created.timestamp() == pytest.approx(time.time(), abs=WAIT_SECONDS)
    assert failure(bucket.list, fields="colour") == (400, "InvalidParameter")


def test_groups_by_the_delimiter(server: ObjectStorageServer, bucket: Bucket) -> None:
    for name in ("a", "b/1", "b/2/x", "c/1", "d"):
        server.put(name, b"")
    page = bucket.list(delimiter="/")
    assert ([found.name for found in page.objects], page.prefixes) == (["a", "d"], ["b/", "c/"])
    inner = bucket.list(delimiter="/", prefix="b/")
    assert ([found.name for found in inner.objects], inner.prefixes) == (["b/1"], ["b/2/"])
    assert failure(bucket.list, delimiter=":") == (400, "InvalidParameter")


@settings(deadline=None, database=None)
@given(st.sets(st.text("ab/", min_size=1, max_size=5), max_size=12), st.integers(1, 4), st.sampled_from(["", "/"]))
def test_pages_add_up_to_the_whole(names: set[str], limit: int, delimiter: str) -> None:
    objects = [(name, StoredObject(b"", {})) for name in sorted(names)]
    query = {"prefix": "a", "delimiter": delimiter}
    whole = Listing.parse(query).page(objects)
    pages, start = [], ""
    while start is not None:
        pages.append(Listing.parse({**query, "limit": str(limit), "start": start}).page(objects))
        start = pages[-1].get("nextStartWith")
    assert [found for page in pages for found in page["objects"]] == whole["objects"]
    assert [prefix for page in pages for prefix in page["prefixes"]] == whole["prefixes"]


# --- Who is asking --------------------------------------------------------------------------------------------------


def test_accepts_a_session_token(server: ObjectStorageServer) -> None:
    Bucket(server, "SESSION").put("one")
    assert list(server.objects()) == ["one"]


def test_refuses_a_key_that_is_not_registered(server: ObjectStorageServer) -> None:
    stranger = Bucket(server, "WRONGKEY")
    for action in (stranger.put, stranger.get, stranger.delete):
        assert failure(action, "one") == (401, "NotAuthenticated")
    assert failure(stranger.client.get_namespace) == (401, "NotAuthenticated")


def test_refuses_an_unknown_key_id(server: ObjectStorageServer) -> None:
    with contextlib.closing(RawClient(server, key_id="a/b/c")) as stranger:
        assert stranger.call("GET", "/n")[:2] == (401, "NotAuthenticated")


@pytest.mark.parametrize(("age", "status"), [(290, 200), (-290, 200), (310, 401), (-310, 401)])
def test_refuses_requests_off_the_clock(raw: RawClient, age: float, status: int) -> None:
    assert raw.send("GET", "/n", headers=raw.signature("GET", "/n", age=age))[0] == status


@pytest.mark.parametrize(
    ("signed", "status"),
    [
        ("x-date (request-target) host", 200),
        ("host date (request-target)", 200),
        ("date host", 401),
        ("date (request-target)", 401),
        ("(request-target) host", 401),
    ],
)
def test_wants_the_important_headers_signed(raw: RawClient, signed: str, status: int) -> None:
    assert raw.send("GET", "/n", headers=raw.signature("GET", "/n", signed=signed))[0] == status


@pytest.mark.parametrize("missing", ["date", "host", "authorization"])
def test_wants_the_signed_headers_present(raw: RawClient, missing: str) -> None:
    headers = raw.signature("GET", "/n")
    del headers[missing]
    assert raw.send("GET", "/n", headers=headers)[:2] == (401, "NotAuthenticated")


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('version="1"', 'version="2"'),
        ("rsa-sha256", "rsa-sha1"),
        ("Signature ", "Bearer "),
        ('signature="', 'signature="!'),
    ],
)
def test_refuses_other_authorizations(raw: RawClient, was: str, becomes: str) -> None:
    headers = raw.signature("GET", "/n")
    headers["authorization"] = headers["authorization"].replace(was, becomes)
    assert raw.send("GET", "/n", headers=headers)[:2] == (401, "NotAuthenticated")


def test_refuses_a_signature_made_for_something_else(raw: RawClient) -> None:
    headers = raw.signature("GET", OBJECTS + "one")
    assert raw.send("GET", OBJECTS + "two", headers=headers)[:2] == (401, "NotAuthenticated")
    assert raw.send("DELETE", OBJECTS + "one", headers=headers)[:2] == (401, "NotAuthenticated")
    assert raw.send("GET", OBJECTS + "one", headers={**headers, "date": "yesterday"})[:2] == (401, "NotAuthenticated")


def test_token_expires_and_can_be_revoked(server: ObjectStorageServer) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_pem = key.public_key().public_bytes(PEM, PUBLIC).decode()

    def ask(expires_in: float, revoked: bool = False) -> tuple[int, str]:
        key_id = "ST$" + session_token("me", key.public_key(), time.time() + expires_in)
        server.register_key(key_id, public_pem)
        if revoked:
            server.revoke_key(key_id)
        with contextlib.closing(RawClient(server, key, key_id)) as client:
            return client.call("GET", OBJECTS + "one")[:2]

    assert ask(60) == (404, "ObjectNotFound")
    assert ask(-1) == (401, "NotAuthenticated")
    assert ask(60, revoked=True) == (401, "NotAuthenticated")


def test_shows_no_bucket_to_a_key_without_access(server: ObjectStorageServer) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    server.register_key("t/u/f", key.public_key().public_bytes(PEM, PUBLIC).decode(), no_access=True)
    with contextlib.closing(RawClient(server, key, "t/u/f")) as client:
        assert client.call("GET", "/n")[0] == 200
        for method, target in (("GET", OBJECTS + "one"), ("PUT", OBJECTS + "one"), ("GET", "/n/testns/b/jobs/o")):
            assert client.call(method, target)[:2] == (404, "NotAuthorizedOrNotFound")


# --- Faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("too_many_requests", (429, "TooManyRequests")),
        ("internal_error", (500, "InternalServerError")),
        ("unavailable", (503, "ServiceUnavailable")),
        ("concurrent_update", (409, "ConcurrentObjectUpdate")),
        ("bucket_not_found", (404, "BucketNotFound")),
        ("expired_token", (401, "NotAuthenticated")),
    ],
)
def test_answers_with_an_error(server: ObjectStorageServer, bucket: Bucket, kind: str, expected: tuple[int, str]) -> None:
    struck = server.faults_struck()[kind]
    server.inject(kind, count=2)
    assert [failure(bucket.put, "one") for _turn in range(2)] == [expected] * 2
    assert server.objects() == {}
    bucket.put("one")
    assert server.faults_struck()[kind] == struck + 2


@pytest.mark.parametrize(("kind", "stored"), [("reset_before", []), ("reply_lost", ["one"])])
def test_resets_the_connection(server: ObjectStorageServer, bucket: Bucket, raw: RawClient, kind: str, stored: list[str]) -> None:
    server.inject(kind, count=2)
    with pytest.raises(RequestException):
        bucket.put("one")
    assert list(server.objects()) == stored
    with pytest.raises(ConnectionResetError):
        raw.call("GET", OBJECTS + "one")


def test_truncates_the_body(server: ObjectStorageServer, raw: RawClient) -> None:
    server.put("one", b"0123456789")
    server.inject("truncated_body", count=1)
    with pytest.raises(http.client.IncompleteRead) as caught:
        raw.call("GET", OBJECTS + "one")
    assert (caught.value.partial, caught.value.expected) == (b"01234", 5)
    raw.close()
    assert raw.call("GET", OBJECTS + "one")[3] == b"0123456789"


def test_corrupts_the_body_of_an_object(server: ObjectStorageServer, bucket: Bucket) -> None:
    server.put("one", b"0123456789")
    server.inject("corrupt_body", count=1)
    assert failure(bucket.get, "none") == (404, "ObjectNotFound")
    assert bucket.names() == ["one"]
    damaged = bucket.client.get_object("testns", "jobs", "one")
    assert len(damaged.data.content) == 10
    assert damaged.data.content != b"0123456789"
    assert damaged.headers["content-md5"] == bucket.head("one").headers["content-md5"]
    assert bucket.get("one") == b"0123456789"


def test_takes_its_time(server: ObjectStorageServer, bucket: Bucket) -> None:
    server.inject("latency", count=1, ms=200)
    started = time.monotonic()
    bucket.put("one")
    assert time.monotonic() - started >= 0.2
    assert bucket.get("one") == b"content"


def test_refuses_connections_until_told_otherwise(server: ObjectStorageServer, bucket: Bucket) -> None:
    bucket.put("one")
    server.inject("refuse")
    for client in (bucket, Bucket(server)):
        with pytest.raises(RequestException):
            client.get("one")
    assert is_refused(server.endpoint)
    server.clear_faults()
    assert bucket.get("one") == b"content"


@pytest.mark.parametrize("count", [None, 1])
def test_refuses_connections_for_a_while(server: ObjectStorageServer, bucket: Bucket, count: int | None) -> None:
    struck = server.faults_struck()["refuse"]
    server.put("one", b"content")
    server.inject("refuse", ms=100, count=count)
    if count:
        with pytest.raises(RequestException):
            bucket.get("one")
    assert server.faults_struck()["refuse"] == struck + 1

    def is_back() -> bool:
        with contextlib.suppress(RequestException):
            return bucket.get("one") == b"content"
        return False

    until(is_back)


def test_faults_choose_by_method_and_prefix(server: ObjectStorageServer, bucket: Bucket) -> None:
    server.inject("unavailable", methods=["PUT", "LIST"], prefix="jobs/")
    server.inject("internal_error", methods=["NAMESPACE"])
    assert failure(bucket.put, "jobs/1") == (503, "ServiceUnavailable")
    assert failure(bucket.list, prefix="jobs/1") == (503, "ServiceUnavailable")
    assert failure(bucket.client.get_namespace) == (500, "InternalServerError")
    assert failure(bucket.get, "jobs/1") == (404, "ObjectNotFound")
    assert bucket.names() == []
    bucket.put("other")
    server.clear_faults()
    bucket.put("jobs/1")


def test_faults_strike_by_chance_but_reproducibly() -> None:
    def statuses() -> list[int]:
        fault = json.dumps({"kind": "unavailable", "probability": 0.5})
        server = ObjectStorageServer("--seed", "7", "--fault", fault)
        with server, contextlib.closing(RawClient(server)) as client:
            return [client.call("GET", "/n")[0] for _turn in range(40)]

    first = statuses()
    assert set(first) == {200, 503}
    assert statuses() == first


def test_refuses_faults_it_does_not_know(server: ObjectStorageServer) -> None:
    for options in ({"kind": "earthquake"}, {"kind": "latency"}, {"kind": "unavailable", "methods": ["FETCH"]}):
        with pytest.raises(RuntimeError, match="InvalidParameter"):
            server.inject(**options)


# --- The control port -----------------------------------------------------------------------------------------------


def test_counts_requests_by_kind(server: ObjectStorageServer, bucket: Bucket) -> None:
    before = server.requests()
    bucket.client.get_namespace()
    bucket.client.head_bucket("testns", "jobs")
    bucket.put("one")
    bucket.get("one")
    bucket.head("one")
    bucket.list()
    bucket.delete("one")
    failure(bucket.get, "one")
    grown = {kind: count - before[kind] for kind, count in server.requests().items()}
    assert grown == {"GET": 2, "PUT": 1, "DELETE": 1, "HEAD": 1, "LIST": 1, "NAMESPACE": 1, "BUCKET": 1, "OTHER": 0}


def test_objects_change_behind_the_clients_back(server: ObjectStorageServer, bucket: Bucket) -> None:
    etag = bucket.put("one").headers["etag"]
    server.put("one", b"changed")
    assert failure(bucket.put, "one", if_match=etag) == (412, "IfMatchFailed")
    assert bucket.get("one") == b"changed"
    server.delete("one")
    assert failure(bucket.get, "one") == (404, "ObjectNotFound")
    with pytest.raises(RuntimeError, match="ObjectNotFound"):
        server.delete("one")


def test_makes_buckets_and_namespaces(server: ObjectStorageServer, bucket: Bucket) -> None:
    server.make_bucket("more")
    server.make_bucket("more", "otherns")
    for namespace in ("testns", "otherns"):
        bucket.client.put_object(namespace, "more", "one", b"")
    assert server.objects() == {}


# --- The wire -------------------------------------------------------------------------------------------------------


def test_keeps_connections_alive_and_lets_clients_expect(server: ObjectStorageServer) -> None:
    with contextlib.closing(RawClient(server)) as client:
        address = urllib.parse.urlsplit(server.endpoint)
        connection = socket.create_connection((address.hostname, address.port), WAIT_SECONDS)
        with connection, connection.makefile("rb") as stream:
            for name in ("one", "two"):
                headers = {**client.signature("PUT", OBJECTS + name), "content-length": "4", "expect": "100-continue"}
                lines = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
                connection.sendall(f"PUT {OBJECTS}{name} HTTP/1.1\r\n{lines}\r\n".encode())
                assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
                assert stream.readline() == b"\r\n"
                connection.sendall(b"body")
                assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
                while stream.readline() != b"\r\n":
                    pass
    assert server.objects() == {"one": b"body", "two": b"body"}


def test_wants_to_know_how_long_a_body_is(raw: RawClient) -> None:
    assert raw.call("GET", "/n", content_length="many")[:2] == (400, "InvalidContentLength")
    assert raw.call("GET", "/n", transfer_encoding="chunked")[:2] == (400, "InvalidContentLength")


def test_serves_many_clients_at_once(server: ObjectStorageServer) -> None:
    clients, rounds = 32, 32
    server.put("one", b"{}")

    def work(number: int) -> list[int]:
        with contextlib.closing(RawClient(server)) as client:
            headers = client.signature("GET", OBJECTS + "one")
            return [client.send("GET", OBJECTS + "one", headers=headers)[0] for _turn in range(rounds)]

    with ThreadPoolExecutor(clients) as pool:
        statuses = [status for done in pool.map(work, range(clients)) for status in done]
    assert statuses == [200] * clients * rounds


def test_speaks_tls() -> None:
    with ObjectStorageServer(tls=True) as server:
        assert server.endpoint.startswith("https://")
        trusting = Bucket(server, verify=str(server.ca_file))
        etag = trusting.put("one").headers["etag"]
        trusting.put("one", b"second", if_match=etag)
        assert trusting.get("one") == b"second"
        with pytest.raises(RequestException, match="CERTIFICATE_VERIFY_FAILED"):
            Bucket(server).get("one")
        server.inject("reset_before", count=1)
        with pytest.raises(RequestException):
            trusting.get("one")
        server.inject("refuse")
        with pytest.raises(RequestException):
            trusting.get("one")
        server.clear_faults()
        assert trusting.get("one") == b"second"


# --- The process ----------------------------------------------------------------------------------------------------


def test_writes_files_for_clients(server: ObjectStorageServer) -> None:
    default = oci.config.from_file(str(server.config_file))
    oci.config.validate_config(default)
    session = oci.config.from_file(str(server.config_file), "SESSION")
    assert default["region"] == session["region"] == "us-ashburn-1"
    assert default["key_file"] != session["key_file"]
    oci.auth.security_token_container.SecurityTokenContainer(None, Path(session["security_token_file"]).read_text())
    for path in (server.config_file, Path(default["key_file"]), Path(session["security_token_file"])):
        assert path.stat().st_mode & 0o777 == 0o600


def test_registers_keys_from_the_command_line(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_pem = tmp_path / "public.pem"
    public_pem.write_bytes(key.public_key().public_bytes(PEM, PUBLIC))
    token_file = tmp_path / "token"
    token_file.write_text(session_token("me", key.public_key(), time.time() + 60))
    named = {"--key": "t/u/f", "--no-access-key": "t/v/f", "--token": token_file}
    options = [word for option, value in named.items() for word in (option, f"{public_pem}={value}")]
    with ObjectStorageServer(*options) as server:
        for key_id, status in (("t/u/f", 200), ("t/v/f", 404), ("ST$" + token_file.read_text(), 200), ("t/w/f", 401)):
            with contextlib.closing(RawClient(server, key, key_id)) as client:
                assert client.call("GET", "/n/testns/b/jobs")[0] == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_on_a_signal(number: signal.Signals) -> None:
    with ObjectStorageServer() as server:
        os.kill(server.pid, number)
        until(lambda: is_refused(server.endpoint))


def test_ends_when_told_to() -> None:
    with ObjectStorageServer() as server:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.control).netloc, timeout=WAIT_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", "/stop")
            assert connection.getresponse().status == 200
        until(lambda: is_refused(server.endpoint))


def test_ends_with_the_process_it_was_told_to_watch() -> None:
    watched = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with watched, ObjectStorageServer("--parent-pid", str(watched.pid)) as server:
        assert not is_refused(server.endpoint)
        watched.communicate(b"\n")
        until(lambda: is_refused(server.endpoint))


def test_ends_with_its_parent(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    starting = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-m', 'object_storage_server', '--bucket', 'jobs', '--ready-file', sys.argv[1]])\n"
        "input()\n"
    )
    command = [sys.executable, "-c", starting, str(ready_file)]
    with subprocess.Popen(command, cwd=SUPPORT, stdin=subprocess.PIPE) as parent:
        until(ready_file.exists)
        endpoint = json.loads(ready_file.read_text())["endpoint"]
        assert not is_refused(endpoint)
        parent.communicate(b"\n")
    until(lambda: is_refused(endpoint))


def test_says_why_it_did_not_start() -> None:
    with pytest.raises(RuntimeError, match="--nonsense"), ObjectStorageServer("--nonsense"):
        pass
