# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records as objects: the contract of every store, and what can go wrong between us and the service.

All of it through the real SDK, over real sockets, against a local service. With C(TORTURE=1) in the environment, chance is
given twenty times as many rounds; C(SEED) repeats a run of it.
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import gzip
import http.server
import json
import os
import random
import re
import resource
import socket
import sqlite3
import threading
import time
import tracemalloc
import types
import typing as t
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from cryptography.hazmat.primitives import serialization
from object_storage_server import FAULT_KINDS, ObjectStorageServer
from store_contract import PATH, SECONDS, Reopen, StoreContract, content, document, listing
from torture import TORTURE
from waiting import within

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, Conflict, StoreUnavailable
from ansible_collections.rstyczynski.ansible.plugins.module_utils._modules import async_job_info, async_job_state
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey, prefix
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import oci
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.base import ABSENT, Version, nobody
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci import OciStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci_answers import is_ours

Params = dict[str, t.Any]
Operation = Callable[[OciStore], t.Any]

ROUNDS = 500 if TORTURE else 25
WRITERS = 8
ROUNDS_SECONDS = 1800
OTHER = JobKey("host1", "play", "another").path
WRITE = "PUT"

# Whatever the user does with a store. Each works on the document PATH, which is there.
OPERATIONS: dict[str, Operation] = {
    "read": lambda store: store.read(PATH),
    "write": lambda store: store.write(PATH, document()),
    "remove": lambda store: store.delete(PATH),
    "list": lambda store: list(store.entries()),
}


@pytest.fixture(scope="module", autouse=True)
def bare_environment() -> Iterator[None]:
    """No settings, proxies or certificates of the machine that the tests run on."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith(("OCI_", "ASYNC_JOB_")) or name.upper().endswith(("_PROXY", "_CA_BUNDLE")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStorageServer]:
    """The service."""
    with ObjectStorageServer() as server:
        yield server


def validated(spec: t.Any, **options: t.Any) -> Params:
    """The options, validated the way that Ansible does it."""
    validation = ArgumentSpecValidator(spec).validate(options)
    assert not validation.error_messages
    params: Params = validation.validated_parameters
    return params


class Part:
    """A part of the bucket that one test has for itself: a prefix that no other test has."""

    def __init__(self, server: ObjectStorageServer) -> None:
        self.server = server
        self.prefix = f"{uuid.uuid4().hex}/"
        self.heard: list[str] = []

    def options(self, **changes: t.Any) -> Params:
        """The options of a task that works here."""
        return {
            "backend": "oci",
            "oci_bucket": self.server.bucket,
            "oci_namespace": self.server.namespace,
            "oci_prefix": self.prefix,
            "oci_config_file": str(self.server.config_file),
            "oci_endpoint": self.server.endpoint,
            "oci_cache_dir": "",
            **changes,
        }

    def store(self, notify: Callable[[str], None] | None = None, **changes: t.Any) -> OciStore:
        """A store here. What it tells the user is in C(heard)."""
        return OciStore(validated(STORE_OPTIONS, **self.options(**changes)), notify or self.heard.append)

    def warm(self, notify: Callable[[str], None], **changes: t.Any) -> OciStore:
        """A store here that has been used before. To make its client takes more time than a request."""
        store = self.store(notify, **changes)
        store.read(OTHER)
        return store

    def objects(self) -> dict[str, bytes]:
        """What the service holds here, by paths."""
        found = self.server.objects()
        return {name[len(self.prefix) :]: found[name] for name in found if name.startswith(self.prefix)}

    def put(self, path: str, content: bytes) -> None:
        """Write an object, behind the back of the store."""
        self.server.put(self.prefix + path, content)

    def inject(self, kind: str, **options: t.Any) -> None:
        """Let something go wrong here."""
        self.server.inject(kind, prefix=self.prefix, **options)

    @contextlib.contextmanager
    def requests(self) -> Iterator[Counter[str]]:
        """The numbers of requests that what is inside makes, by kind. Known when it has ended."""
        before = Counter(self.server.requests())
        made: Counter[str] = Counter()
        yield made
        made.update(Counter(self.server.requests()) - before)


@pytest.fixture
def part(server: ObjectStorageServer) -> Iterator[Part]:
    """A part of the bucket. Nothing goes wrong there any more once the test has ended."""
    yield Part(server)
    server.clear_faults()


@pytest.fixture
def store(part: Part) -> OciStore:
    """A store in that part."""
    return part.store()


def refused(action: Callable[[], t.Any], *mentioned: str) -> str:
    """The one paragraph that tells why an action failed, after making sure that it mentions all of these."""
    with pytest.raises(AsyncJobError) as refusal:
        action()
    assert not isinstance(refusal.value, Conflict)
    text = str(refusal.value)
    assert "\n" not in text
    for words in mentioned:
        assert words in text
    return text


def each(check: Callable[[str, Operation], t.Any]) -> None:
    """Check all operations, at the same time, since most of it is waiting."""
    with ThreadPoolExecutor() as pool:
        for checked in [pool.submit(check, verb, operation) for verb, operation in OPERATIONS.items()]:
            checked.result(SECONDS)


class TestContract(StoreContract):
    """The contract, in a bucket of its own."""

    @pytest.fixture
    def reopen(self, server: ObjectStorageServer) -> Reopen:
        """One more store on the same bucket."""
        bucket = f"contract-{uuid.uuid4().hex}"
        server.make_bucket(bucket)
        params = validated(STORE_OPTIONS, **Part(server).options(oci_bucket=bucket, oci_prefix=""))
        return functools.partial(OciStore, params, nobody)


def test_a_compressed_object(part: Part, store: OciStore) -> None:
    """Whoever writes to the bucket may say that an object is compressed. It is not inflated, to whatever size."""
    assert store.read("web1/play/none.json") is None
    packed = gzip.compress(b" " * (100 << 20))
    place = (store._namespace, store._bucket, part.prefix + "web1/play/job.json")
    store._client.put_object(*place, packed, content_encoding="gzip")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    document = store.read("web1/play/job.json")
    assert document is not None
    assert document.content == packed
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10


def test_a_list_of_empty_pages(store: OciStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names another next one, and none has anything."""
    numbers = iter(range(10**9))
    monkeypatch.setattr(
        store, "_list", lambda prefix, start: types.SimpleNamespace(objects=[], next_start_with=f"web1/play/{next(numbers):012}.json")
    )
    with within(20):
        refused(lambda: list(store.entries()), "the list does not end", "check oci_region or oci_endpoint")


def test_a_list_without_an_end(store: OciStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that names the same next page for ever keeps nobody for ever."""
    page = types.SimpleNamespace(objects=[], next_start_with="web1/play/a.json")
    monkeypatch.setattr(store, "_list", lambda prefix, start: page)
    with within(20):
        refused(lambda: list(store.entries()), "the list does not end", "check oci_region or oci_endpoint")


@pytest.mark.parametrize(
    "data",
    [
        {"objects": None, "next_start_with": None},
        {"objects": [{"name": 1, "etag": "x"}], "next_start_with": None},
        {"objects": [{"name": "x", "etag": []}], "next_start_with": None},
        {"objects": [], "next_start_with": 7},
    ],
    ids=str,
)
def test_a_list_that_is_none(data: dict[str, t.Any]) -> None:
    objects = data["objects"] and [types.SimpleNamespace(**found) for found in data["objects"]]
    answer = types.SimpleNamespace(headers={"opc-request-id": "x"}, data=types.SimpleNamespace(**{**data, "objects": objects}))
    assert not is_ours("list_objects", answer)


# --- What it costs ----------------------------------------------------------------------------------------------------


def save(part: Part, ansible_job_id: str, **options: t.Any) -> dict[str, t.Any]:
    """Save a job, as the role and the module do."""
    names = {"host": "host1", "playbook_name": "play", "job_name": "job"}
    params = validated(async_job_state.ARGUMENT_SPEC, **names, **part.options(**options), ansible_job_id=ansible_job_id)
    return async_job_state.run(params, check_mode=False)


def load(part: Part, **options: t.Any) -> dict[str, t.Any]:
    """Load that job."""
    names = {"host": "host1", "playbook_name": "play", "job_name": "job"}
    return async_job_info.run(validated(async_job_info.ARGUMENT_SPEC, **names, **part.options(**options)))


def test_a_load_is_one_request(part: Part) -> None:
    """Whether there is such a job or not."""
    with part.requests() as made:
        assert load(part)["found"] is False
    assert made == {"GET": 1}
    save(part, "j1.1")
    with part.requests() as made:
        assert load(part)["record"]["ansible_job_id"] == "j1.1"
    assert made == {"GET": 1}


def test_a_save_is_one_read_and_one_write(part: Part) -> None:
    """The first one as well as the next one. A save that changes nothing writes nothing."""
    for job_id in ("j1.1", "j2.2"):
        with part.requests() as made:
            assert save(part, job_id)["changed"] is True
        assert made == {"GET": 1, WRITE: 1}
    with part.requests() as made:
        assert save(part, "j2.2")["changed"] is False
    assert made == {"GET": 1}


def test_without_a_namespace_the_service_is_asked_for_it_once(part: Part) -> None:
    """One more request for a store, whatever it is used for, and not one for each use."""
    with part.requests() as made:
        assert save(part, "j1.1", oci_namespace=None)["changed"] is True
    assert made == {"NAMESPACE": 1, "GET": 1, WRITE: 1}
    assert part.objects().keys() == {PATH}


def test_opening_contacts_nobody(part: Part) -> None:
    """Nor does it read the configuration: a playbook that never uses the store needs none."""
    with part.requests() as made:
        store = part.store(oci_namespace=None)
        assert store.locate(PATH) == f"oci://{part.server.bucket}/{part.prefix}{PATH}"
        part.store(oci_config_file="/nonexistent", oci_profile="NONE")
    assert not made


# --- Answers that get lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("exists", [False, True], ids=["create", "update"])
def test_a_write_whose_answer_was_lost_is_known_as_our_own(part: Part, store: OciStore, exists: bool, lost: int) -> None:
    """It is neither a conflict nor done twice, and the next write goes on from it."""
    expect = store.write(PATH, document()) if exists else ABSENT
    ours = document()
    part.inject("reply_lost", count=lost, methods=[WRITE])
    with part.requests() as made:
        version = store.write(PATH, ours, expect=expect)
    assert made == {WRITE: lost + 1, "GET": 1}
    assert part.objects() == {PATH: ours}
    found = store.read(PATH)
    assert found is not None
    assert found == (ours, version)
    store.write(PATH, document(), expect=version)


def test_looking_whether_a_write_was_ours_may_fail_too(part: Part, store: OciStore) -> None:
    """The look is repeated, not the conclusion."""
    ours = document()
    part.inject("reply_lost", count=1, methods=[WRITE])
    part.inject("unavailable", count=1, methods=["GET"])
    part.inject("corrupt_body", count=1, methods=["GET"])
    part.inject("truncated_body", count=1, methods=["GET"])
    version = store.write(PATH, ours, expect=ABSENT)
    found = store.read(PATH)
    assert found is not None
    assert found == (ours, version)


@pytest.mark.parametrize("exists", [False, True], ids=["create", "update"])
@pytest.mark.parametrize("fault", ["reply_lost", "reset_before"])
def test_what_somebody_else_wrote_meanwhile_is_not_taken_for_ours(part: Part, exists: bool, fault: str) -> None:
    """Whether our own write has come through before or not. His stays."""
    theirs = document(who="somebody else")
    store = part.store(notify=lambda line: part.put(PATH, theirs))
    expect = store.write(PATH, document()) if exists else ABSENT
    part.inject(fault, count=1, methods=[WRITE])
    with pytest.raises(Conflict):
        store.write(PATH, document(who="us"), expect=expect)
    assert part.objects() == {PATH: theirs}


def test_a_write_that_was_undone_meanwhile_is_a_conflict(part: Part) -> None:
    """Ours came through, its answer did not, and then somebody removed it. Nothing is there, so nothing is said to be."""
    store = part.store(notify=lambda line: part.server.delete(part.prefix + PATH))
    expect = store.write(PATH, document())
    part.inject("reply_lost", count=1, methods=[WRITE])
    with pytest.raises(Conflict):
        store.write(PATH, document(), expect=expect)
    assert part.objects() == {}


def test_a_late_write_spoils_nothing(part: Part) -> None:
    """One that the service carries out only after we have given it up and repeated it."""
    store = part.store(oci_read_timeout=0.2)
    expect = store.write(PATH, document())
    ours = document()
    part.inject("latency", ms=700, count=1, methods=[WRITE])
    version = store.write(PATH, ours, expect=expect)
    last = document()
    store.write(PATH, last, expect=version)
    # This read waits as long as the late write, and was sent later.
    part.inject("latency", ms=700, count=1, methods=["GET"])
    assert content(part.store(oci_read_timeout=5.0)) == last


@pytest.mark.parametrize("conditional", [False, True], ids=["whatever is there", "a version"])
def test_a_removal_whose_answer_was_lost_is_done(part: Part, store: OciStore, conditional: bool) -> None:
    """The second try finds nothing, and that is what was wanted."""
    version = store.write(PATH, document())
    part.inject("reply_lost", count=1, methods=["DELETE"])
    with part.requests() as made:
        assert store.delete(PATH, expect=version if conditional else None) is True
    assert made["DELETE"] == 2
    assert part.objects() == {}


def test_what_was_made_anew_during_a_removal_stays(part: Part) -> None:
    """The version that was to be removed has gone; the new one is somebody else's."""
    theirs = document()
    store = part.store(notify=lambda line: part.put(PATH, theirs))
    version = store.write(PATH, document())
    part.inject("reply_lost", count=1, methods=["DELETE"])
    with pytest.raises(Conflict):
        store.delete(PATH, expect=version)
    assert part.objects() == {PATH: theirs}


def test_removing_somebody_elses_version_is_a_conflict(part: Part, store: OciStore) -> None:
    """At once, and after a try that failed."""
    version = store.write(PATH, document())
    theirs = document()
    part.put(PATH, theirs)
    for fault in (None, "unavailable", "reset_before", "reply_lost"):
        if fault:
            part.inject(fault, count=1, methods=["DELETE"])
        with pytest.raises(Conflict):
            store.delete(PATH, expect=version)
        assert part.objects() == {PATH: theirs}


@pytest.mark.parametrize("verb", ["write", "remove"])
@pytest.mark.parametrize("then", ["unavailable", "expired_token"])
def test_a_change_that_may_have_arrived_is_not_denied(part: Part, verb: str, then: str) -> None:
    """The first try came through, its answer was lost, and all that follows fails: then nobody knows, and it is said so."""
    store = part.store(notify=lambda line: part.inject(then), oci_retry_timeout=1)
    expect = store.write(PATH, document())
    ours = document()
    part.inject("reply_lost", count=1)
    if verb == "write":
        text = refused(lambda: store.write(PATH, ours, expect=expect))
        assert part.objects() == {PATH: ours}
    else:
        text = refused(lambda: store.delete(PATH, expect=expect))
        assert part.objects() == {}
    assert "Nothing was changed" not in text
    assert "not known whether the change arrived" in text


@pytest.mark.parametrize("fault", ["unavailable", "internal_error"])
def test_nobody_knows_what_a_server_did_before_it_failed(part: Part, store: OciStore, fault: str) -> None:
    """A status of 500 or more denies nothing, not even that of the last try. To be told to come back later does."""
    store = part.store(oci_retry_timeout=1)
    for kind, unknown in ((fault, True), ("too_many_requests", False)):
        part.inject(kind, methods=[WRITE])
        text = refused(lambda: store.write(PATH, document()))
        assert ("not known whether the change arrived" in text) is unknown
        assert ("Nothing was changed" in text) is not unknown
        part.server.clear_faults()


def test_a_save_that_may_have_arrived_is_not_called_unsaved(part: Part) -> None:
    """The same text does not say both."""
    part.inject("reply_lost", methods=[WRITE])
    text = refused(lambda: save(part, "j1.1", oci_retry_timeout=1), "not known whether the change arrived")
    assert text.endswith(" The job id j1.1 may not have been saved: if that job was started, it goes on running.")
    part.server.clear_faults()
    part.inject("too_many_requests", methods=[WRITE])
    text = refused(lambda: save(part, "j2.2", oci_retry_timeout=1), "Nothing was changed")
    assert text.endswith(" The job id j2.2 was not saved: if that job was started, it goes on running.")


# --- Answers that are wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 4])
def test_a_bucket_that_is_denied_now_and_then_is_there(part: Part, store: OciStore, times: int) -> None:
    """The service has been seen to do that. What is in the bucket does not count as absent meanwhile."""
    written = document()
    store.write(PATH, written)
    struck = part.server.faults_struck()["bucket_not_found"]
    part.inject("bucket_not_found", count=times)
    assert content(store) == written
    assert part.server.faults_struck()["bucket_not_found"] == struck + times
    part.inject("bucket_not_found", count=times)
    assert store.read(OTHER) is None
    part.inject("bucket_not_found", count=1)
    assert listing(store.entries()) == {PATH: written}
    part.inject("bucket_not_found", count=1)
    store.write(OTHER, written, expect=ABSENT)
    part.inject("bucket_not_found", count=1)
    assert store.delete(OTHER) is True
    assert part.objects() == {PATH: written}


def test_a_bucket_that_is_always_denied_is_an_error(part: Part) -> None:
    """Never an absent document."""
    written = document()
    part.put(PATH, written)
    part.inject("bucket_not_found")

    def check(verb: str, operation: Operation) -> None:
        store = part.store()
        begin = time.monotonic()
        text = refused(lambda: operation(store), "HTTP 404 BucketNotFound", "Check that the bucket", repr(part.server.bucket))
        assert time.monotonic() - begin < 5
        assert re.search(r"opc-request-id iad-1:\S+\)", text)

    each(check)
    assert part.objects() == {PATH: written}


@contextlib.contextmanager
def no_permission(server: ObjectStorageServer) -> Iterator[None]:
    """The user of the default profile may do nothing meanwhile."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(server.config_file)
    profile = config["DEFAULT"]
    with open(profile["key_file"], "rb") as stream:
        key = serialization.load_pem_private_key(stream.read(), None).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    key_id = f"{profile['tenancy']}/{profile['user']}/{profile['fingerprint']}"
    server.register_key(key_id, pem, no_access=True)
    try:
        yield
    finally:
        server.register_key(key_id, pem)


def test_a_lack_of_permission_is_an_error_at_once(part: Part) -> None:
    """It is a 404 as well, and proves nothing. Trying again does not help."""
    part.put(PATH, document())
    with no_permission(part.server), part.requests() as made:
        each(lambda verb, operation: refused(lambda: operation(part.store()), "HTTP 404 NotAuthorizedOrNotFound", "policy"))
    assert made == {"GET": 1, "PUT": 1, "DELETE": 1, "LIST": 1}
    assert part.objects().keys() == {PATH}


@pytest.mark.parametrize("fault", ["truncated_body", "corrupt_body"])
def test_a_damaged_document_is_fetched_again(part: Part, store: OciStore, fault: str) -> None:
    """A single flipped bit is noticed as well as a missing half."""
    written = document(metadata="x" * 5000)
    version = store.write(PATH, written)
    part.inject(fault, count=2)
    with part.requests() as made:
        found = store.read(PATH)
    assert found is not None
    assert found == (written, version)
    assert made == {"GET": 3}
    part.inject(fault, count=2)
    assert listing(store.entries()) == {PATH: written}


@pytest.mark.parametrize("fault", ["truncated_body", "corrupt_body"])
def test_a_document_that_is_always_damaged_is_an_error(part: Part, fault: str) -> None:
    """It is never handed on, and never counts as absent. In a listing, the others can still be read."""
    store = part.store(oci_retry_timeout=0.5)
    written = document(metadata="x" * 5000)
    store.write(PATH, written)
    store.write(OTHER, written)
    part.server.inject(fault, prefix=part.prefix + PATH, methods=["GET"])
    refused(lambda: store.read(PATH), f"oci://{part.server.bucket}/{part.prefix}{PATH}")
    entries = {entry.path: entry for entry in store.entries()}
    assert entries.keys() == {PATH, OTHER}
    assert [entry.document.content for entry in entries.values() if entry.document] == [written]
    assert entries[PATH].document is None
    assert entries[PATH].error is not None


def test_a_cut_answer_proves_no_absence(part: Part, store: OciStore) -> None:
    """Half of the text that says that there is no such object: it is asked for again."""
    part.inject("truncated_body", count=2)
    with part.requests() as made:
        assert store.read(PATH) is None
    assert made == {"GET": 3}


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers every request the same way, whatever it is: the login page of a network, or a proxy."""

    protocol_version = "HTTP/1.1"
    status = 200
    headers_of_answer: t.ClassVar[dict[str, str]] = {"content-type": "text/html"}
    body = b"<html><title>Please log in</title>\n</html>"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.status)
        body = b"" if self.status == 204 else self.body
        for name, value in self.headers_of_answer.items():
            self.send_header(name, value)
        if self.status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815

    def log_message(self, format: str, *args: t.Any) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def portal(**answer: t.Any) -> Iterator[str]:
    """The URL of a portal that answers like this."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("OnePortal", (Portal,), answer)) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


SERVED = {"opc-request-id": "iad-1:x"}
JSON = {"content-type": "application/json"}
LATIN1 = "<html>Zugriff über Proxy".encode("latin-1")
NOT_THE_SERVICE: dict[str, dict[str, t.Any]] = {
    "login page": {},
    "login page in latin-1": {"body": LATIN1},
    "no content": {"status": 204, "headers_of_answer": {}},
    "json": {"headers_of_answer": JSON, "body": b"{}"},
    "a list": {"headers_of_answer": JSON, "body": b"[1]"},
    "a number": {"headers_of_answer": JSON, "body": b"1"},
    "redirection": {"status": 302, "headers_of_answer": {"location": "/login"}},
    "half of the service": {"headers_of_answer": {**JSON, **SERVED}, "body": b'{"objects": null}'},
}


@pytest.mark.parametrize("namespace", ["testns", None])
@pytest.mark.parametrize("answer", NOT_THE_SERVICE)
def test_a_success_that_is_not_the_services(part: Part, answer: str, namespace: str | None) -> None:
    """Is none. The user learns who should have answered, and what may be in the way. Nothing is tried again."""
    with portal(**NOT_THE_SERVICE[answer]) as endpoint:

        def check(verb: str, operation: Operation) -> None:
            store = part.store(oci_endpoint=endpoint, oci_namespace=namespace)
            begin = time.monotonic()
            where = store.locate("" if verb == "list" else PATH)
            text = refused(
                lambda: operation(store),
                f"Cannot {verb} {where} at {endpoint}: something else than OCI Object Storage has answered",
                "proxy",
            )
            assert time.monotonic() - begin < 5
            assert "Please log in" not in text
            assert len(text) < 700

        if answer == "half of the service":  # which is enough for a removal, and for the namespace
            for verb in ("read", "write", "list"):
                check(verb, OPERATIONS[verb])
        else:
            each(check)


BODIES = {
    "null in it": (200, {}, b'{"objects": [null]}'),
    "a time that is none": (200, {}, b'{"objects": [{"name": "h/p/j.json", "etag": "1", "timeCreated": "garbage"}]}'),
    "a size that is none": (200, {}, b'{"objects": [{"name": "h/p/j.json", "etag": "1", "size": 1e999}]}'),
    "a bomb": (200, {"content-encoding": "gzip"}, gzip.compress(bytes(1 << 26))),
    "a bomb as an error": (500, {"content-encoding": "gzip"}, gzip.compress(bytes(1 << 26))),
    "endless": (200, {}, bytes((16 << 20) + 1)),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_list_that_breaks_whoever_reads_it(part: Part, body: str) -> None:
    """It is an error as any other, and takes no memory to speak of."""
    status, headers, content = BODIES[body]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"opc-request-id": "x", "content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        def log_message(self, format: str, *args: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        store = part.store(oci_endpoint=f"http://127.0.0.1:{service.server_address[1]}", oci_retry_timeout=1)
        tracemalloc.start()
        refused(lambda: list(store.entries()), "Cannot list")
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        service.shutdown()
    assert peak < 3 * (16 << 20)


def test_a_whole_page_is_not_repeated(part: Part) -> None:
    """Its beginning is, in one line, when a proxy fails with it. It has no id that Oracle's support would know."""
    page = b"<html>\n<title>Bad gateway</title>\n" + b"<p>Sorry.</p>\n" * 500
    heard: list[str] = []
    with portal(status=502, body=page) as endpoint:
        store = part.store(heard.append, oci_endpoint=endpoint, oci_retry_timeout=1)
        text = refused(lambda: store.read(PATH), "HTTP 502: <html> <title>Bad gateway</title>", "proxy")
    assert len(heard) == 1
    for told in (text, *heard):
        assert len(told) < 800
        assert "\n" not in told
        assert "opc-request-id" not in told
        assert "None" not in told
    with portal(status=503, body=LATIN1) as endpoint:
        refused(lambda: part.store(oci_endpoint=endpoint, oci_retry_timeout=1).read(PATH), "something else", "proxy")


# --- Whatever goes wrong now and then ---------------------------------------------------------------------------------

# How each fault is injected so that it strikes once.
FAULTS: dict[str, dict[str, t.Any]] = {
    "too_many_requests": {},
    "internal_error": {},
    "unavailable": {},
    "concurrent_update": {},
    "reset_before": {},
    "reply_lost": {},
    "refuse": {"ms": 500},
    "latency": {"ms": 300},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_delays_and_does_no_harm(part: Part, store: OciStore, kind: str) -> None:
    """Each operation works in the end, and means what it says."""
    first, second = document(number=1), document(number=2)
    struck = part.server.faults_struck()[kind]

    def fault() -> None:
        part.inject(kind, count=1, **FAULTS[kind])

    fault()
    assert store.read(PATH) is None
    fault()
    version = store.write(PATH, first, expect=ABSENT)
    fault()
    found = store.read(PATH)
    assert found is not None
    assert found == (first, version)
    fault()
    version = store.write(PATH, second, expect=version)
    fault()
    assert listing(store.entries()) == {PATH: second}
    fault()
    with pytest.raises(Conflict):
        store.write(PATH, first, expect=ABSENT)
    assert content(store) == second
    fault()
    assert store.delete(PATH, expect=version) is True
    assert part.objects() == {}
    assert part.server.faults_struck()[kind] == struck + 7


class Meddler:
    """Passes on what is sent to a server and back.

    Changes some bytes on their way, of requests or of replies. While it is silent, it accepts connections, and that is all. What it lets
    drip arrives byte by byte: of each reply, that is all that follows so many bytes.
    """

    def __init__(
        self, server: ObjectStorageServer, find: bytes = b"", replace: bytes = b"", *, times: int = 0, replies: bool = False
    ) -> None:
        host, port = server.endpoint.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._find, self._replace = find, replace
        self.times = times
        self.silent = False
        self.drips_after: int | None = None
        self._replies = replies
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        self.endpoint = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Meddler:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                client, _address = self._listening.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                threading.Thread(target=self._pass, args=(client, server, not self._replies), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, self._replies), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, meddle: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.silent:
                    continue
                if meddle and self.times and self._find in data:
                    data = data.replace(self._find, self._replace)
                    self.times -= 1
                if self.drips_after is not None and meddle is self._replies:
                    self._drip(target, data)
                    continue
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _drip(self, target: socket.socket, data: bytes) -> None:
        begin = len(data[: self.drips_after])
        target.sendall(data[:begin])
        for number in range(begin, len(data)):
            target.sendall(data[number : number + 1])
            time.sleep(0.3)


def test_a_document_that_is_damaged_on_its_way_is_sent_again(part: Part) -> None:
    """The service compares what arrives with our checksum, which is not signed."""
    written = document(metadata="a fine day")
    with Meddler(part.server, b"fine", b"wine", times=2) as meddler:
        store = part.store(oci_endpoint=meddler.endpoint)
        version = store.write(PATH, written, expect=ABSENT)
        assert meddler.times == 0
        assert part.objects() == {PATH: written}
        found = store.read(PATH)
    assert found is not None
    assert found == (written, version)
    assert len(part.heard) == 1
    assert "UnmatchedContentMD5" in part.heard[0]


def test_a_document_that_is_always_damaged_on_its_way_is_not_written(part: Part) -> None:
    """And the user is told."""
    with Meddler(part.server, b"fine", b"wine", times=1000) as meddler:
        store = part.store(oci_endpoint=meddler.endpoint, oci_retry_timeout=1)
        refused(lambda: store.write(PATH, document(metadata="a fine day")), "HTTP 400 UnmatchedContentMD5", "Nothing was changed")
    assert part.objects() == {}


def test_a_document_without_a_checksum_is_read(part: Part) -> None:
    """The service has none for an object that was uploaded in parts, by hand."""
    written = document()
    part.put(PATH, written)
    with Meddler(part.server, b"content-md5:", b"contenu-md5:", times=1, replies=True) as meddler:
        assert content(part.store(oci_endpoint=meddler.endpoint)) == written
        assert meddler.times == 0


# --- The service is away ----------------------------------------------------------------------------------------------

CHECK = "Check oci_region or oci_endpoint, the network, the proxy"


def test_a_refused_connection_is_an_error_in_time(part: Part) -> None:
    """It tells where it was looked, what happened, and what to check, and meanwhile that it is being tried again."""
    part.put(PATH, document())
    heard: dict[str, list[str]] = {verb: [] for verb in OPERATIONS}
    stores = {verb: part.warm(heard[verb].append, oci_retry_timeout=2) for verb in OPERATIONS}
    part.server.inject("refuse")

    def check(verb: str, operation: Operation) -> None:
        where = stores[verb].locate("" if verb == "list" else PATH)
        begin = time.monotonic()
        text = refused(lambda: operation(stores[verb]), f"Cannot {verb} {where}", part.server.endpoint, "refused", CHECK)
        assert time.monotonic() - begin < 8
        assert len(text) < 700
        assert "Nothing was changed" in text
        assert "opc-request-id" not in text
        assert len(heard[verb]) == 1
        assert heard[verb][0].startswith(f"{where}: the connection was ")
        assert "Trying again" in heard[verb][0]

    each(check)
    part.server.clear_faults()
    assert part.objects().keys() == {PATH}


@pytest.mark.parametrize("read_timeout", [0.5, 15.0])
def test_a_service_that_never_answers_is_an_error_in_time(part: Part, read_timeout: float) -> None:
    """The time is that of all tries together, however long one of them might take."""
    heard: dict[str, list[str]] = {verb: [] for verb in OPERATIONS}
    with Meddler(part.server) as meddler:
        options = {"oci_endpoint": meddler.endpoint, "oci_retry_timeout": 2, "oci_read_timeout": read_timeout}
        stores = {verb: part.warm(heard[verb].append, **options) for verb in OPERATIONS}
        meddler.silent = True

        def check(verb: str, operation: Operation) -> None:
            where = stores[verb].locate("" if verb == "list" else PATH)
            begin = time.monotonic()
            text = refused(lambda: operation(stores[verb]), f"Cannot {verb} {where}", meddler.endpoint, "no answer came in time", CHECK)
            assert time.monotonic() - begin < 8
            assert ("It is not known whether the change arrived" in text) is (verb in ("write", "remove"))
            # A single try that takes all the time there is leaves nothing to tell.
            assert len(heard[verb]) == (read_timeout < 2)

        each(check)
    assert part.objects() == {}


# Of what a service sends of its answer at once: nothing, and all but the last bytes, which are those of a document or of a list.
@pytest.mark.parametrize("most", [0, -40])
@pytest.mark.parametrize("retry_timeout", [2.0, 0.0])
def test_an_answer_that_drips_is_an_error_in_time(part: Part, most: int, retry_timeout: float) -> None:
    """Each byte of it comes in time. Afterwards the store can be used as before."""
    part.put(PATH, document())
    with Meddler(part.server, replies=True) as meddler:
        limits = {"oci_retry_timeout": retry_timeout, "oci_read_timeout": 1.0, "oci_connect_timeout": 1.0}
        options = {"oci_endpoint": meddler.endpoint, **limits}
        stores = {verb: part.warm(part.heard.append, **options) for verb in OPERATIONS}
        meddler.drips_after = most

        def check(verb: str, operation: Operation) -> None:
            begin = time.monotonic()
            refused(lambda: operation(stores[verb]), "no answer came in time")
            assert time.monotonic() - begin < 8

        each(check)
        meddler.drips_after = None
        again = document()
        stores["list"].write(PATH, again)
        assert [content(store) for store in stores.values()] == [again] * len(stores)


def test_a_service_that_is_always_overloaded_is_an_error_in_time(part: Part) -> None:
    """With what its operators need to find the request."""
    part.put(PATH, document())
    heard: dict[str, list[str]] = {verb: [] for verb in OPERATIONS}
    stores = {verb: part.warm(heard[verb].append, oci_retry_timeout=2) for verb in OPERATIONS}
    part.inject("unavailable")

    def check(verb: str, operation: Operation) -> None:
        where = stores[verb].locate("" if verb == "list" else PATH)
        begin = time.monotonic()
        text = refused(lambda: operation(stores[verb]), f"Cannot {verb} {where}", part.server.endpoint, "HTTP 503", "Run again later")
        assert time.monotonic() - begin < 8
        assert re.search(r"opc-request-id iad-1:\S+\)", text)
        assert len(heard[verb]) == 1

    each(check)


# Of each operation that makes two requests: how, and the kinds of both.
TWO_REQUESTS: dict[str, tuple[Operation, str, str]] = {
    "namespace, read": (lambda store: store.read(PATH), "NAMESPACE", "GET"),
    "write, look": (lambda store: store.write(PATH, document(), expect=ABSENT), WRITE, "GET"),
    "remove, look": (lambda store: store.delete(PATH, expect=Version("another")), "DELETE", "GET"),
}


@pytest.mark.parametrize("operation", TWO_REQUESTS)
def test_all_requests_of_an_operation_share_its_time(part: Part, operation: str) -> None:
    """The first one is slow, the second one never answers."""
    operate, first, second = TWO_REQUESTS[operation]
    part.put(PATH, document())
    store = part.warm(part.heard.append, oci_retry_timeout=2)
    if first == "NAMESPACE":
        store._namespace = ""
    part.server.inject("latency", ms=1500, methods=[first])
    part.server.inject("latency", ms=6000, methods=[second])
    begin = time.monotonic()
    refused(lambda: operate(store), "no answer came in time")
    assert time.monotonic() - begin < 8


def test_no_time_to_try_again_is_one_try(part: Part) -> None:
    """Which may take as long as any other."""
    written = document()
    part.put(PATH, written)
    store = part.store(oci_retry_timeout=0)
    part.inject("latency", ms=700, methods=["GET"])
    assert content(store) == written
    part.inject("unavailable")
    with part.requests() as made:
        assert "tried" not in refused(lambda: store.read(PATH), "HTTP 503")
    assert made == {"GET": 1}


def test_the_user_hears_again_while_it_goes_on(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every now and then, not of every try."""
    monkeypatch.setattr(oci, "_NOTICE_SECONDS", 0.5)
    store = part.store(oci_retry_timeout=3)
    part.inject("unavailable")
    with part.requests() as made:
        refused(lambda: store.read(PATH))
    assert 2 <= len(part.heard) < made["GET"]


def test_it_is_tried_for_as_long_as_the_user_said(part: Part) -> None:
    """The service comes back when three quarters of the time are over."""
    written = document()
    part.put(PATH, written)
    part.server.inject("refuse", ms=3000)
    assert content(part.store(oci_retry_timeout=4)) == written


def test_it_works_again_as_soon_as_the_service_is_back(part: Part, store: OciStore) -> None:
    """For the task that waits, and for the next use of the same store."""
    written = document()
    store.write(PATH, written)
    part.server.inject("refuse")
    back = part.store(notify=lambda line: part.server.clear_faults())
    assert content(back) == written
    assert content(store) == written


# --- Listing ----------------------------------------------------------------------------------------------------------


def test_a_listing_goes_over_all_pages(part: Part, store: OciStore) -> None:
    """The service gives 1000 names at a time. Between the records are other people's objects, which are nobody's records."""
    hosts = [f"host{number}" for number in range(7)]
    written = {}
    for number in range(1050):
        key = JobKey(hosts[number % 7], "play", f"job {number}")
        if number % 15 == 0:
            written[key.path] = document(number=number)
            part.put(key.path, written[key.path])
        else:
            part.put(key.path.removesuffix(".json") + ".log", b"a foreign object")
    part.inject("unavailable", count=2, methods=["LIST"])
    with part.requests() as made:
        assert listing(store.entries()) == written
    assert made == {"LIST": 4, "GET": len(written)}
    only = {path: written[path] for path in written if path.startswith("host3/")}
    assert len(only) == 10
    with part.requests() as made:
        assert listing(store.entries(prefix("host3", "play"))) == only
    assert made == {"LIST": 1, "GET": 10}


def test_foreign_objects_are_no_records(part: Part, store: OciStore) -> None:
    """They are left alone, not reported, and not even read: they may be large, or of others."""
    written = document()
    store.write(PATH, written)
    foreign = ["README", "host1/play.json", "host1/play/job", "host1/play/job.json.bak", "host1/play/more/job.json", "host1/", "a/b/"]
    for name in foreign:
        part.put(name, b"not ours")
    part.server.put(part.prefix.removesuffix("/") + "x/host1/play/job.json", b"another prefix")
    with part.requests() as made:
        assert listing(store.entries()) == {PATH: written}
    assert made == {"LIST": 1, "GET": 1}
    assert part.objects().keys() == {PATH, *foreign}


def test_what_vanishes_during_a_listing_is_left_out(part: Part, store: OciStore) -> None:
    """It was there when its name was listed, and is not any more."""
    paths = [JobKey("host1", "play", f"job {number}").path for number in range(3)]
    for path in paths:
        store.write(path, document())
    entries = store.entries()
    assert next(entries).path == paths[0]
    store.delete(paths[1])
    assert [entry.path for entry in entries] == [paths[2]]


@pytest.mark.parametrize("fault", ["unavailable", "reset_before", "expired_token", "bucket_not_found", "too_many_requests"])
def test_a_listing_ends_with_the_service(part: Part, fault: str) -> None:
    """If one record cannot be read for a reason that the next one would have as well, the time is not spent once more for each."""
    paths = [JobKey("host1", "play", f"job {number}").path for number in range(4)]
    for path in paths:
        part.put(path, document())
    store = part.warm(part.heard.append, oci_retry_timeout=1)
    entries = store.entries()
    assert next(entries).path == paths[0]
    part.inject(fault, methods=["GET"])
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable):
        next(entries)
    assert time.monotonic() - begin < 5
    part.server.clear_faults()
    part.put(paths[1], b"{")
    listed = async_job_info.run(validated(async_job_info.ARGUMENT_SPEC, **part.options()))
    assert [len(listed[field]) for field in ("records", "unreadable")] == [0, 4]
    part.inject(fault, methods=["GET"])
    refused(lambda: async_job_info.run(validated(async_job_info.ARGUMENT_SPEC, **part.options(oci_retry_timeout=1))), paths[0])


def test_many_documents_are_read_at_the_same_time(part: Part) -> None:
    """Sixteen at a time, in order; whoever waits hears of it, but not from each of the sixteen."""
    written = {JobKey(f"host{number:03}", "play", "job").path: document(number=number) for number in range(160)}
    for path, text in written.items():
        part.put(path, text)
    store = part.warm(part.heard.append)
    part.inject("latency", ms=500, methods=["GET"])
    begin = time.monotonic()
    with part.requests() as made:
        entries = list(store.entries())
    assert time.monotonic() - begin < 160 * 0.5 / 4
    assert made == {"LIST": 1, "GET": 160}
    assert [entry.path for entry in entries] == list(written)
    assert listing(entries) == written
    part.inject("unavailable", count=40, methods=["GET"])
    assert listing(store.entries()) == written
    assert 1 <= len(part.heard) <= 3
    part.inject("refuse")
    with pytest.raises(StoreUnavailable):
        list(part.warm(part.heard.append, oci_retry_timeout=0).entries())


def test_what_is_not_wanted_is_not_read(part: Part, store: OciStore) -> None:
    for path in (PATH, OTHER):
        part.put(path, document())
    with part.requests() as made:
        assert [entry.path for entry in store.entries("", lambda path: path == OTHER)] == [OTHER]
    assert made == {"LIST": 1, "GET": 1}


@pytest.fixture
def cached(part: Part, tmp_path: t.Any) -> t.Callable[[], OciStore]:
    """Makes stores with a cache, each as if in a process of its own."""
    return lambda: part.store(oci_cache_dir=str(tmp_path / "cache"))


def test_what_has_not_changed_is_not_read_again(part: Part, cached: t.Callable[[], OciStore], tmp_path: t.Any) -> None:
    """The ETag tells. What was removed is forgotten; what is read for its own sake is always read."""
    written = {JobKey(f"host{number}", "play", "job").path: document(number=number) for number in range(40)}
    for path, text in written.items():
        part.put(path, text)
    first, second, *_others = written

    def costs(expected: dict[str, int]) -> None:
        with part.requests() as made:
            assert listing(cached().entries()) == written
        assert made == {"LIST": 1, **expected}

    costs({"GET": 40})
    costs({})
    written[first] = document()
    part.put(first, written[first])
    part.server.delete(part.prefix + second)
    del written[second]
    costs({"GET": 1})
    costs({})
    part.put(second, document(old="content"))
    written[second] = document(new="content")
    part.put(second, written[second])
    costs({"GET": 1})
    with part.requests() as made:
        assert content(cached(), first) == written[first]
    assert made == {"GET": 1}
    with part.requests() as made:
        assert listing(cached().entries(prefix("host7", None))) == {
            path: text for path, text in written.items() if path.startswith("host7/")
        }
        assert listing(part.store(oci_prefix="nobody/", oci_cache_dir=str(tmp_path / "cache")).entries()) == {}
    assert made == {"LIST": 2}
    costs({})
    [file] = (tmp_path / "cache").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_listing_that_has_failed_need_not_begin_anew(part: Part, cached: t.Callable[[], OciStore]) -> None:
    paths = [JobKey("host1", "play", f"job {number}").path for number in range(4)]
    for path in paths:
        part.put(path, document())
    entries = cached().entries()
    for path in paths[:2]:
        assert next(entries).path == path
    entries.close()  # type: ignore[attr-defined]
    with part.requests() as made:
        assert len(list(cached().entries())) == 4
    assert made == {"LIST": 1, "GET": 2}


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "group", "link", "directory", "no directory", "another schema"])
def test_a_cache_that_cannot_be_used_is_none(part: Part, cached: t.Callable[[], OciStore], tmp_path: t.Any, damage: str) -> None:
    """It is never a reason to fail, or to believe something that is not so."""
    written = document()
    part.put(PATH, written)
    assert listing(cached().entries()) == {PATH: written}
    [file] = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    if damage == "garbage":
        file.write_bytes(os.urandom(9000))
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "group":
        file.chmod(0o660)
    elif damage == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif damage == "directory":
        file.unlink()
        file.mkdir()
    elif damage == "no directory":
        file.unlink()
        (tmp_path / "cache").rmdir()
        (tmp_path / "cache").write_text("")
    elif damage == "another schema":
        connection = sqlite3.connect(file)
        connection.execute("ALTER TABLE documents RENAME COLUMN etag TO version")
        connection.commit()
        connection.close()
    for _time in range(2):
        with part.requests() as made:
            assert listing(cached().entries()) == {PATH: written}
        assert made["GET"] <= 1
    assert made["LIST"] == 1


def test_several_that_list_at_once_share_a_cache(part: Part, cached: t.Callable[[], OciStore]) -> None:
    written = {JobKey(f"host{number}", "play", "job").path: document(number=number) for number in range(60)}
    for path, text in written.items():
        part.put(path, text)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _number: listing(cached().entries()), range(16)):
            assert found == written
    with part.requests() as made:
        assert listing(cached().entries()) == written
    assert made == {"LIST": 1}


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", ["jobs/x/", "jobs/x", "/", "a b/", "Zürich/☃/", "100%/", "%2F", "a?b#c&d=e;/", "../", "a/../b/", "./"])
def test_any_prefix_is_only_a_beginning(part: Part, own: str) -> None:
    """Names of objects begin with it, letter by letter. To the service, dots and slashes mean nothing."""
    store = part.store(oci_prefix=part.prefix + own)
    written = document()
    store.write(PATH, written, expect=ABSENT)
    assert part.objects() == {own + PATH: written}
    assert store.locate(PATH) == f"oci://{part.server.bucket}/{part.prefix}{own}{PATH}"
    assert content(store) == written
    assert listing(store.entries()) == {PATH: written}
    assert listing(store.entries(prefix("host1", None))) == {PATH: written}
    assert store.delete(PATH) is True
    assert part.objects() == {}


@pytest.mark.parametrize("bad", ["\n", "jobs\n/", "\r/", "\0/"])
def test_a_prefix_with_a_line_break_is_refused(part: Part, bad: str) -> None:
    """Before anything is contacted."""
    with part.requests() as made:
        refused(lambda: part.store(oci_prefix=bad), "oci_prefix", "Nothing was read or written")
    assert not made


def test_a_name_that_is_too_long_is_refused(part: Part) -> None:
    """It is counted in bytes, and the user is told what he can shorten. Nothing is contacted."""
    path = JobKey("h" * 5000, "p" * 5000, "j" * 5000).path
    room = 1024 - len(part.prefix.encode()) - len(path.encode())
    fitting = part.store(oci_prefix=part.prefix + "é" * (room // 2) + "e" * (room % 2))
    written = document()
    fitting.write(path, written, expect=ABSENT)
    assert content(fitting, path) == written
    too_long = part.store(oci_prefix=part.prefix + "é" * (room // 2) + "e" * (room % 2) + "e")
    with part.requests() as made:
        for action in (lambda: too_long.read(path), lambda: too_long.write(path, written), lambda: too_long.delete(path)):
            refused(action, "1024 bytes", "oci_prefix")
    assert not made


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param("oci_endpoint", "objectstorage.example.com", id="endpoint without https"),
        pytest.param("oci_endpoint", "https://", id="endpoint without a host"),
        pytest.param("oci_endpoint", "https://[::1", id="endpoint with half an address"),
        pytest.param("oci_endpoint", "https://user:word@127.0.0.1", id="endpoint with a user"),
        pytest.param("oci_bucket", "  ", id="blank bucket"),
        pytest.param("oci_namespace", "  ", id="blank namespace"),
        *(pytest.param(f"oci_{kind}_timeout", value) for kind in ("connect", "read", "retry") for value in ("nan", "inf", -1)),
        *(pytest.param(f"oci_{kind}_timeout", 0) for kind in ("connect", "read")),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(part: Part, option: str, value: t.Any) -> None:
    """The SDK refuses these in words of its own."""
    with part.requests() as made:
        refused(lambda: part.store(**{option: value}).read(PATH), option)
    assert not made


# --- Everything at once -----------------------------------------------------------------------------------------------

CLAIMS = "claims"
SHARED = [JobKey("shared", "play", f"job {number}").path for number in range(4)]
# How each fault is injected in the rounds. Those that would end every attempt, or stop everybody, strike a few times only.
ROUND_FAULTS: dict[str, dict[str, t.Any]] = {
    **{kind: {"probability": 0.15} for kind in FAULT_KINDS},
    "refuse": {"ms": 200, "count": 2, "probability": 0.15},
    "latency": {"ms": 30, "probability": 0.15},
    "expired_token": {"count": 3, "probability": 0.15},
}
TICKS_OF_FAULT = 24


class Ledger:
    """What all writers know of each other, and what goes wrong meanwhile."""

    def __init__(self, part: Part, seed: int) -> None:
        self.part = part
        self.issued: set[str] = set()
        """All that was ever written, or tried to."""
        self.there: set[str] = set()
        """The paths of documents that are known to be there."""
        self._random = random.Random(seed)
        self._kinds: list[str] = []
        self._ticks = 0
        self._lock = threading.Lock()

    def tick(self) -> None:
        """A writer has finished a round. After some of them, other things go wrong than before."""
        with self._lock:
            if self._ticks % TICKS_OF_FAULT == 0:
                if not self._kinds:
                    self._kinds = self._random.sample(list(ROUND_FAULTS), len(ROUND_FAULTS))
                self.part.server.clear_faults()
                for kind in (self._kinds.pop(), self._kinds.pop()):
                    self.part.inject(kind, **ROUND_FAULTS[kind])
            self._ticks += 1


class Writer:
    """Saves, loads, claims and removes, by a store of its own.

    Each document holds the tokens of all writes that led to it, so that a lost one is missed.
    """

    def __init__(self, number: int, ledger: Ledger) -> None:
        self._number = number
        self._ledger = ledger
        self._store = ledger.part.store(oci_retry_timeout=20)
        self.counts: Counter[str] = Counter()
        self.succeeded: list[tuple[str, str]] = []
        self.conflicted: list[tuple[str, str]] = []
        self.denied: list[tuple[str, str]] = []
        """Of these writes, the error said that nothing was changed."""
        self.claimed: list[str] = []

    def run(self, rounds: int) -> None:
        """Do all rounds."""
        for number in range(rounds):
            for step in (self._claim, (self._update, self._come_and_go)[(number + self._number) % 2]):
                try:
                    step(number)
                except Conflict:
                    raise
                except AsyncJobError:
                    self.counts["errors"] += 1
            self._ledger.tick()

    def _load(self, path: str) -> tuple[list[str], Version]:
        must_be_there = path in self._ledger.there
        found = self._store.read(path)
        self.counts["loads"] += 1
        if found is None:
            assert not must_be_there, f"{path} was there, and was not found"
            return [], ABSENT
        tokens: list[str] = json.loads(found.content)["tokens"]
        assert self._ledger.issued.issuperset(tokens)
        self._ledger.there.add(path)
        return tokens, found.version

    def _save(self, path: str, tokens: list[str], expect: Version) -> Version | None:
        token = uuid.uuid4().hex
        self._ledger.issued.add(token)
        try:
            version = self._store.write(path, json.dumps({"tokens": [*tokens, token]}).encode(), expect=expect)
        except Conflict:
            self.conflicted.append((path, token))
            return None
        except AsyncJobError as error:
            if "Nothing was changed" in str(error):
                self.denied.append((path, token))
            raise
        self.succeeded.append((path, token))
        self._ledger.there.add(path)
        tokens.append(token)
        return version

    def _claim(self, number: int) -> None:
        """All writers claim the same job. The one who gets it takes it from state to state, and nobody else touches it."""
        path = JobKey("host", CLAIMS, f"round {number}").path
        tokens: list[str] = []
        version = self._save(path, tokens, ABSENT)
        if version is None:
            self._ledger.there.add(path)  # that is what we were told
            self._load(path)
            return
        self.claimed.append(path)
        for _state_of_job in ("prepared", "running"):
            version = self._save(path, tokens, version)
            assert version is not None, f"{path} is ours, and was changed by somebody else"

    def _update(self, number: int) -> None:
        """All writers go on updating the same few documents, until each has done it."""
        path = SHARED[number % len(SHARED)]
        while True:
            tokens, version = self._load(path)
            if self._save(path, tokens, version) is not None:
                break
        now, _version = self._load(path)
        assert now[: len(tokens)] == tokens, f"an update of {path} was lost"

    def _come_and_go(self, number: int) -> None:
        """A document that nobody else knows is made, found, and removed."""
        path = JobKey("own", f"writer {self._number}", f"round {number}").path
        tokens: list[str] = []
        version = self._save(path, tokens, ABSENT)
        assert version is not None, f"nobody else writes {path}"
        assert self._load(path) == (tokens, version)
        self._ledger.there.discard(path)
        assert self._store.delete(path, expect=version) is True
        assert self._load(path) == ([], ABSENT)
        self.counts["removals"] += 1


def test_nothing_is_lost_torn_or_made_up_whatever_goes_wrong(part: Part) -> None:
    """Writers save, load, claim and remove all at once, while everything goes wrong that can."""
    seed = int(os.environ.get("SEED") or random.randrange(1_000_000))
    print(f"SEED={seed}")
    before = Counter(part.server.faults_struck())
    ledger = Ledger(part, seed)
    writers = [Writer(number, ledger) for number in range(WRITERS)]
    begin = time.monotonic()
    with ThreadPoolExecutor(WRITERS) as pool:
        for running in [pool.submit(writer.run, ROUNDS) for writer in writers]:
            running.result(ROUNDS_SECONDS)
    part.server.clear_faults()
    struck = Counter(part.server.faults_struck()) - before

    held = {path: json.loads(found)["tokens"] for path, found in part.objects().items()}
    counts = sum((writer.counts for writer in writers), Counter())
    for outcome in ("succeeded", "conflicted", "denied"):
        counts[outcome] = sum(len(getattr(writer, outcome)) for writer in writers)
    counts["conflicts of writes that came through"] = sum(
        token in held.get(path, ()) for writer in writers for path, token in writer.conflicted
    )
    print(f"{ROUNDS} rounds of {WRITERS} writers in {time.monotonic() - begin:.0f} s: {dict(counts)}, faults: {dict(struck)}")

    for tokens in held.values():
        assert len(set(tokens)) == len(tokens)
    for writer in writers:
        for path, token in writer.succeeded:
            assert path.startswith("own/") or token in held[path], f"a write of {path} was lost (SEED={seed})"
        for path, token in writer.denied:
            assert token not in held.get(path, ()), f"a write of {path} was denied (SEED={seed})"
    claimed = Counter(path for writer in writers for path in writer.claimed)
    claims = {path for path in held if path.split("/")[1] == CLAIMS}
    assert len(claims) == ROUNDS
    assert claimed.keys() <= claims
    assert set(claimed.values()) == {1}
    # Nobody knows that he has it where the time was over before he was told.
    assert len(claims) - len(claimed) <= counts["errors"]
    assert struck.keys() == set(FAULT_KINDS)
