# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who we are to OCI: every way to say it, every way to get it wrong, and what nobody else may see of it.

No test reaches another machine, whatever it is told to do: see :func:`go_offline`.
"""

from __future__ import annotations

import base64
import configparser
import http.server
import inspect
import json
import os
import re
import socket
import sys
import threading
import time
import typing as t
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from controller import Controller
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from object_storage_server import ClientFiles, ObjectStorageServer, session_token
from plays import play, role, run
from store_contract import PATH
from waiting import within

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._options import STORE_OPTIONS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.key import JobKey
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store import oci_client
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci import OciStore
from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci_client import make_client
from ansible_collections.rstyczynski.ansible.plugins.plugin_utils._preload import import_early

Yaml = dict[str, t.Any]

INFO = "rstyczynski.ansible.async_job_info"
STATE = "rstyczynski.ansible.async_job_state"
GROUP = "group/rstyczynski.ansible.async_job"
PASS_PHRASE = "open-sesame-and-be-quick"
BROKEN_TOKEN = "eyJ0aGUtZmlyc3QtaGFsZg\neyJ0aGUtc2Vjb25kLWhhbGY"
PEM = serialization.Encoding.PEM
RECORD = {"ansible_job_id": "j1.1", "host": "host1", "job_name": "job", "metadata": {}, "save_time": "2025-01-31T22:00:04Z"}


def go_offline(replace: Callable[[t.Any, str, t.Any], None]) -> None:
    """Make this a process of a machine without a network: no name is known, and no address but its own can be reached."""
    import errno
    import socket

    getaddrinfo, connect = socket.getaddrinfo, socket.socket.connect

    def is_ours(host: t.Any) -> bool:
        return host in ("127.0.0.1", "localhost")

    def getaddrinfo_offline(host: t.Any, *args: t.Any, **options: t.Any) -> t.Any:
        if not is_ours(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo(host, *args, **options)

    def connect_offline(self: socket.socket, address: t.Any) -> None:
        if isinstance(address, tuple) and not is_ours(address[0]):
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        connect(self, address)

    replace(socket, "getaddrinfo", getaddrinfo_offline)
    replace(socket.socket, "connect", connect_offline)


@pytest.fixture(scope="module")
def nowhere() -> Iterator[str]:
    """A URL at which every connection is refused: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, nowhere: str) -> None:
    """No settings, proxies or certificates of the machine that the tests run on, no network, and no metadata service."""
    for name in list(os.environ):
        if name.upper().startswith(("OCI_", "ASYNC_JOB_")) or name.upper().endswith(("_PROXY", "_CA_BUNDLE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OCI_METADATA_BASE_URL", nowhere)
    go_offline(monkeypatch.setattr)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, pass_phrase: str = "") -> bytes:
    """A private key as a file holds it."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if pass_phrase:
        encryption = serialization.BestAvailableEncryption(pass_phrase.encode())
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Its public half."""
    return key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class Service:
    """A service, and a directory with all that users of it have: good and bad keys, tokens and profiles."""

    def __init__(self, server: ObjectStorageServer) -> None:
        self.server = server
        self.directory = server.directory
        self.config_file = self.directory / "profiles"
        self._config = configparser.ConfigParser(interpolation=None)
        self._config.read(server.config_file)
        self.default = dict(self._config["DEFAULT"])
        key = serialization.load_pem_private_key(Path(self.default["key_file"]).read_bytes(), None)
        session_key = serialization.load_pem_private_key((self.directory / "session_key.pem").read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        assert isinstance(session_key, rsa.RSAPrivateKey)
        self.encrypted = self.file("encrypted.pem", pem(key, PASS_PHRASE))
        self.profile("ENCRYPTED", key_file=self.encrypted, pass_phrase=PASS_PHRASE)
        self.profile("WITHOUT_PHRASE", key_file=self.encrypted)
        self.profile("WRONG_PHRASE", key_file=self.encrypted, pass_phrase="let-me-in-anyway")
        self.profile("GARBAGE", key_file=self.file("garbage.pem", b"\xff\x00 no key at all"))
        self.profile("HALF", key_file=self.file("half.pem", pem(key)[:900]))
        self.profile("PUBLIC", key_file=self.file("public.pem", public_pem(key).encode()))
        self.profile("ELLIPTIC", key_file=self.file("elliptic.pem", pem(ec.generate_private_key(ec.SECP256R1()))))
        self.profile("NO_KEY_FILE", key_file=self.directory / "nonexistent.pem")
        self.profile("NO_REGION", region="")
        self.profile("UNKNOWN_REGION", region="nowhere-1")
        self.profile("MALFORMED", fingerprint="x")
        self.profile("LOGGED", log_requests="true")
        self.profile("CLOUD_SHELL", authentication_type="instance_principal", delegation_token_file=self.file("obo", b"token"))
        self.profile("CLOUD_SHELL_WITHOUT", authentication_type="instance_principal")
        self.profile("WRONG", user="ocid1.user.oc1..wrong", tenancy="ocid1.tenancy.oc1..wrong", fingerprint=":".join(["00"] * 16))
        self.profile("KEY_CONTENT", key_content="-----BEGIN PRIVATE KEY-----", key_file="")
        self.profile("BROKEN_TOKEN", security_token_file=self.file("broken_token", BROKEN_TOKEN.encode()))
        self.profile("NO_ASCII", security_token_file=self.file("no_ascii", "zürich".encode()))
        self.profile("CLOUD_SHELL_BROKEN", authentication_type="instance_principal", delegation_token_file=self.directory / "broken_token")
        expired = session_token(ClientFiles.USER, session_key.public_key(), time.time() - 60)
        server.register_key(f"ST${expired}", public_pem(session_key))
        session = {"key_file": self.directory / "session_key.pem"}
        self.profile("EXPIRED", security_token_file=self.file("expired", expired.encode()), **session)
        self.profile("NO_TOKEN", security_token_file=self.directory / "nonexistent", **session)
        other = "ocid1.user.oc1..aaaaaaaanobody"
        server.register_key(f"{self.default['tenancy']}/{other}/{self.default['fingerprint']}", public_pem(key), no_access=True)
        self.profile("NO_ACCESS", user=other)
        self.principal = session_token("ocid1.fnfunc.oc1..aaaaaaaatest", key.public_key(), time.time() + 3600)
        self.principal_file = self.file("rpst", self.principal.encode())
        server.register_key(f"ST${self.principal}", public_pem(key))
        with open(self.config_file, "w", encoding="utf-8") as stream:
            self._config.write(stream)

    def file(self, name: str, content: bytes) -> Path:
        """Make a file that only its owner can read."""
        path = self.directory / name
        path.touch(0o600)
        path.write_bytes(content)
        return path

    def profile(self, name: str, **settings: t.Any) -> None:
        """Add a profile. What is not said is as in the default one."""
        self._config[name] = {setting: str(value) for setting, value in settings.items()}

    def options(self, **changes: t.Any) -> Yaml:
        """The options of a task that can use the service. None takes an option away."""
        options = {
            "backend": "oci",
            "oci_bucket": self.server.bucket,
            "oci_namespace": self.server.namespace,
            "oci_endpoint": self.server.endpoint,
            "oci_config_file": str(self.config_file),
            **changes,
        }
        return {option: value for option, value in options.items() if value is not None}

    def secrets(self) -> set[str]:
        """All that must not be shown: the lines of keys, the tokens and the pass phrases."""
        secrets = {PASS_PHRASE, "let-me-in-anyway"}
        for file in self.directory.glob("*.pem"):
            if b"PRIVATE KEY" in file.read_bytes():
                secrets.update(line for line in file.read_text().splitlines() if not line.startswith("-----") and len(line) > 20)
        secrets.update(BROKEN_TOKEN.split())
        secrets.update((self.directory / token).read_text() for token in ("token", "expired", "rpst"))
        assert len(secrets) > 100
        return secrets


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """The service."""
    with ObjectStorageServer() as server:
        yield Service(server)


@pytest.fixture(scope="module")
def tls_service() -> Iterator[Service]:
    """One whose certificate was signed by nobody whom anybody knows."""
    with ObjectStorageServer(tls=True) as server:
        yield Service(server)


def validated(options: Yaml) -> Yaml:
    """The options, validated the way that Ansible does it, with the environment as it is now."""
    validation = ArgumentSpecValidator(STORE_OPTIONS).validate(options)
    assert not validation.error_messages
    params: Yaml = validation.validated_parameters
    return params


def read(options: Yaml) -> bytes | None:
    """What a task with these options reads."""
    found = OciStore(validated(options), lambda line: None).read(PATH)
    return found.content if found else None


def works(service: Service, **changes: t.Any) -> None:
    """Make sure that the record in the bucket is read."""
    name = f"{uuid.uuid4().hex}/"
    service.server.put(name + PATH, name.encode())
    assert read(service.options(oci_prefix=name, **changes)) == name.encode()


def refused(options: Yaml, *mentioned: str, seconds: float = 10.0) -> str:
    """The one short paragraph that tells why it does not work. It comes in time, mentions all of these and quotes no secret."""
    begin = time.monotonic()
    with within(2 * seconds), pytest.raises(AsyncJobError) as refusal:
        read(options)
    text = str(refusal.value)
    assert time.monotonic() - begin < seconds
    assert "\n" not in text
    assert len(text) < 700
    assert text.endswith(".")
    for words in mentioned:
        assert words in text
    return text


# --- What says who we are ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["DEFAULT", "SESSION", "ENCRYPTED"])
def test_a_profile_is_enough(service: Service, profile: str) -> None:
    """A key, a session of "oci session authenticate" although [DEFAULT] has a user, a key with its pass phrase."""
    works(service, oci_profile=profile)


def test_a_session_may_be_named_as_such(service: Service) -> None:
    """With the name that the collection oracle.oci has for it."""
    works(service, oci_profile="SESSION", oci_auth_type="security_token")
    refused(service.options(oci_profile="DEFAULT", oci_auth_type="security_token"), "oci session authenticate")


def test_the_configuration_file_is_where_it_always_is(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unless something else is said."""
    (tmp_path / ".oci").mkdir()
    (tmp_path / ".oci" / "config").write_bytes(service.config_file.read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    works(service, oci_config_file=None)
    works(service, oci_config_file="~/.oci/config")


def test_the_pass_phrase_may_come_from_the_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It beats the one of the profile."""
    monkeypatch.setenv("OCI_USER_KEY_PASS_PHRASE", PASS_PHRASE)
    for profile in ("WITHOUT_PHRASE", "WRONG_PHRASE", "DEFAULT"):
        works(service, oci_profile=profile)


# Of each setting: its option, the alias, the variable of the environment, a good value, and one that does not work.
SETTINGS = {
    "config file": ("oci_config_file", "config_file_location", "OCI_CONFIG_FILE", "{service.config_file}", "/nonexistent"),
    "profile": ("oci_profile", "config_profile_name", "OCI_CONFIG_PROFILE", "DEFAULT", "WRONGKEY"),
    "auth type": ("oci_auth_type", "auth_type", "OCI_ANSIBLE_AUTH_TYPE", "api_key", "resource_principal"),
    "tenancy": ("oci_tenancy", "tenancy", "OCI_TENANCY", ClientFiles.TENANCY, "ocid1.tenancy.oc1..wrong"),
    "bucket": ("oci_bucket", "bucket_name", "ASYNC_JOB_OCI_BUCKET", "{service.server.bucket}", "wrong"),
    "namespace": ("oci_namespace", "namespace_name", "ASYNC_JOB_OCI_NAMESPACE", "{service.server.namespace}", "wrong"),
    "endpoint": ("oci_endpoint", "service_endpoint", "ASYNC_JOB_OCI_ENDPOINT", "{service.server.endpoint}", "{nowhere}"),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_option_beats_the_environment(service: Service, nowhere: str, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """Given by its name or by its alias. Without the option, the environment counts."""
    option, alias, variable, good, bad = (text.format(service=service, nowhere=nowhere) for text in SETTINGS[setting])
    monkeypatch.setenv(variable, good)
    works(service, **{option: None})
    for name in (option, alias):
        refused(service.options(**{option: None, name: bad}, oci_retry_timeout=0.3))
    monkeypatch.setenv(variable, bad)
    refused(service.options(**{option: None}, oci_retry_timeout=0.3))
    for name in (option, alias):
        works(service, **{option: None, name: good})


# Of each setting of a profile: the variable of the environment that beats it.
OF_THE_PROFILE = {
    "user": "OCI_USER_ID",
    "fingerprint": "OCI_USER_FINGERPRINT",
    "tenancy": "OCI_TENANCY",
    "key_file": "OCI_USER_KEY_FILE",
}
WRONG = {"fingerprint": ":".join(["00"] * 16), "key_file": "{service.directory}/wrong_key.pem"}


@pytest.mark.parametrize("setting", OF_THE_PROFILE)
def test_the_environment_beats_the_file(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str) -> None:
    """Setting by setting."""
    wrong = WRONG.get(setting, f"ocid1.{setting}.oc1..wrong").format(service=service)
    config = configparser.ConfigParser(interpolation=None)
    config["DEFAULT"] = {**service.default, setting: wrong}
    with open(tmp_path / "config", "w", encoding="utf-8") as stream:
        config.write(stream)
    refused(service.options(oci_config_file=str(tmp_path / "config")), "401")
    monkeypatch.setenv(OF_THE_PROFILE[setting], service.default[setting])
    works(service, oci_config_file=str(tmp_path / "config"))
    monkeypatch.setenv(OF_THE_PROFILE[setting], wrong)
    refused(service.options(), "401")


def test_the_key_file_of_the_environment_beats_one_that_is_not_there(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration file made on another machine, and the key mounted elsewhere: common in containers."""
    monkeypatch.setenv("OCI_USER_KEY_FILE", service.default["key_file"])
    works(service, oci_profile="NO_KEY_FILE")


def test_the_key_file_of_the_environment_may_be_in_the_home_directory(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in the file."""
    (tmp_path / "key.pem").write_bytes(Path(service.default["key_file"]).read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OCI_USER_KEY_FILE", "~/key.pem")
    works(service)


def test_the_region_makes_the_endpoint(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the option, else that of the environment, else that of the profile. An endpoint beats it."""

    def endpoint(**options: t.Any) -> str:
        client = make_client(validated(service.options(**{"oci_endpoint": None, **options})))
        return re.sub(r"\{.*?\}", "", client.base_client.endpoint)

    assert endpoint() == "https://objectstorage.us-ashburn-1.oraclecloud.com"
    assert endpoint(oci_profile="SESSION") == "https://objectstorage.us-ashburn-1.oraclecloud.com"
    monkeypatch.setenv("OCI_REGION", "eu-frankfurt-1")
    assert endpoint() == "https://objectstorage.eu-frankfurt-1.oraclecloud.com"
    assert endpoint(oci_profile="SESSION") == "https://objectstorage.eu-frankfurt-1.oraclecloud.com"
    assert endpoint(oci_profile="NO_REGION") == "https://objectstorage.eu-frankfurt-1.oraclecloud.com"
    assert endpoint(oci_region="uk-london-1") == "https://objectstorage.uk-london-1.oraclecloud.com"
    assert endpoint(region="uk-london-1") == "https://objectstorage.uk-london-1.oraclecloud.com"
    assert endpoint(oci_endpoint=service.server.endpoint) == service.server.endpoint


def all_in_the_environment(service: Service) -> dict[str, str]:
    """The environment of a container without a configuration file."""
    return {
        "OCI_CONFIG_FILE": "/nonexistent",
        "OCI_USER_ID": service.default["user"],
        "OCI_USER_FINGERPRINT": service.default["fingerprint"],
        "OCI_USER_KEY_FILE": str(service.encrypted),
        "OCI_USER_KEY_PASS_PHRASE": PASS_PHRASE,
        "OCI_TENANCY": service.default["tenancy"],
        "OCI_REGION": "us-ashburn-1",
    }


def test_an_empty_user_in_the_environment_is_none(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipelines set variables that they have no value for to nothing: a session stays one."""
    for variable in OF_THE_PROFILE.values():
        monkeypatch.setenv(variable, "")
    works(service, oci_profile="SESSION")


def test_a_line_break_at_the_end_of_a_variable_does_no_harm(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and files that variables are made from end with one."""
    for setting, variable in OF_THE_PROFILE.items():
        monkeypatch.setenv(variable, service.default[setting] + "\n")
    works(service)


@pytest.mark.parametrize(
    ("variable", "value", "mentioned"),
    [
        ("OCI_USER_ID", "me", ("user is malformed", "Correct OCI_USER_ID.")),
        ("OCI_USER_FINGERPRINT", "x", ("fingerprint is malformed", "Correct OCI_USER_FINGERPRINT.")),
        ("OCI_TENANCY", "x", ("tenancy is malformed", "Correct oci_tenancy, or OCI_TENANCY.")),
        ("OCI_USER_KEY_FILE", "/nonexistent", ("/nonexistent (from OCI_USER_KEY_FILE)", "OCI_USER_KEY_FILE")),
        ("OCI_USER_KEY_PASS_PHRASE", "let-me-in-anyway", ("pass phrase (from OCI_USER_KEY_PASS_PHRASE) is wrong",)),
    ],
)
def test_a_variable_that_is_wrong_is_named(
    service: Service, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, mentioned: tuple[str, ...]
) -> None:
    """Rather than the profile, which is right."""
    monkeypatch.setenv(variable, value)
    text = refused(service.options(oci_profile="ENCRYPTED"), *mentioned)
    assert "let-me-in" not in text


def test_no_configuration_file_is_needed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it would say may come from the environment. Without any one of it, the user is told what is missing."""
    environment = all_in_the_environment(service)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    works(service, oci_config_file=None)
    monkeypatch.delenv("OCI_TENANCY")
    refused(service.options(oci_config_file=None), "tenancy is missing")
    monkeypatch.setenv("OCI_TENANCY", environment["OCI_TENANCY"])
    monkeypatch.delenv("OCI_USER_FINGERPRINT")
    refused(service.options(oci_config_file=None), "/nonexistent does not exist")


@pytest.mark.parametrize("by", ["content", "path"])
def test_a_resource_principal(service: Service, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A function or a container of OCI finds a token and a key in its environment. No configuration file is read."""
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_REGION", "us-ashburn-1")
    if by == "path":
        monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_RPST", str(service.principal_file))
        monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", service.default["key_file"])
    else:
        monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_RPST", service.principal)
        monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", Path(service.default["key_file"]).read_text())
    works(service, oci_auth_type="resource_principal", oci_config_file="/nonexistent")


@pytest.mark.parametrize(
    ("token", "mentioned"),
    [
        pytest.param(None, "OCI_RESOURCE_PRINCIPAL_VERSION", id="none"),
        pytest.param("garbage", "OCI_RESOURCE_PRINCIPAL_VERSION", id="garbage"),
        pytest.param("unknown", "401", id="refused"),
    ],
)
def test_a_resource_principal_that_does_not_work(
    service: Service, monkeypatch: pytest.MonkeyPatch, token: str | None, mentioned: str
) -> None:
    """The user is told about it, and not about profiles and sessions, which he does not use."""
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", service.default["key_file"])
    if token == "unknown":
        token = session_token("x", rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(), time.time() + 60)
    if token:
        monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_RPST", token)
    text = refused(service.options(oci_auth_type="resource_principal"), mentioned)
    assert "oci session" not in text
    assert "profile" not in text
    assert (token or "no token") not in text


def test_what_the_http_library_quotes_is_not_shown(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a header that it refuses to send, all. No token with a line break is known to come as far as that."""
    monkeypatch.setattr(oci_client, "_token", lambda *args: BROKEN_TOKEN)
    text = refused(service.options(oci_profile="SESSION"), "line break", "Correct the token")
    assert leaks(text, service) == []


# --- Whom we trust ----------------------------------------------------------------------------------------------------


@pytest.fixture
def other_authority(tmp_path: Path) -> str:
    """A bundle of certificates, of an authority that has signed nothing here."""
    return str(ClientFiles(tmp_path / "other").write_certificate()[0])


def test_a_bundle_of_certificates(tls_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an option, by its alias, and from the environment."""
    bundle = str(tls_service.server.ca_file)
    works(tls_service, oci_cert_bundle=bundle)
    works(tls_service, cert_bundle=bundle)
    monkeypatch.setenv("OCI_ANSIBLE_CERT_BUNDLE", bundle)
    works(tls_service)
    monkeypatch.delenv("OCI_ANSIBLE_CERT_BUNDLE")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    works(tls_service)


def test_an_unknown_authority_is_refused_at_once(tls_service: Service) -> None:
    """Trying again would not help. The user learns which option there is for it."""
    assert "tried" not in refused(tls_service.options(), "certificate", "oci_cert_bundle")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_other_programs_settings_do_not_beat_the_option(
    tls_service: Service, monkeypatch: pytest.MonkeyPatch, other_authority: str, variable: str
) -> None:
    """Wherever they point to, and neither way."""
    monkeypatch.setenv(variable, other_authority)
    works(tls_service, oci_cert_bundle=str(tls_service.server.ca_file))
    monkeypatch.setenv(variable, "/nonexistent")
    works(tls_service, oci_cert_bundle=str(tls_service.server.ca_file))
    monkeypatch.setenv(variable, str(tls_service.server.ca_file))
    refused(tls_service.options(oci_cert_bundle=other_authority), "oci_cert_bundle")


def test_nothing_switches_the_verification_off(tls_service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable would, left to the HTTP library."""
    for variable in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "OCI_ANSIBLE_CERT_BUNDLE"):
        monkeypatch.setenv(variable, "")
    refused(tls_service.options(), "oci_cert_bundle")
    refused(tls_service.options(oci_cert_bundle=""), "oci_cert_bundle")


@pytest.mark.parametrize("content", [None, b"", b"garbage"], ids=["missing", "empty", "garbage"])
def test_a_bundle_that_is_none_is_named(tls_service: Service, tmp_path: Path, content: bytes | None) -> None:
    """The file, and the option that it came from."""
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    refused(tls_service.options(oci_cert_bundle=str(bundle)), str(bundle), "oci_cert_bundle")


def test_the_proxy_of_the_environment_counts(service: Service, monkeypatch: pytest.MonkeyPatch, nowhere: str) -> None:
    """And so do the exceptions from it."""
    monkeypatch.setenv("http_proxy", nowhere)
    refused(service.options(oci_retry_timeout=0.3), "proxy")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    works(service)


# --- What does not work -----------------------------------------------------------------------------------------------


class Failure(t.NamedTuple):
    """A way to get it wrong."""

    options: Yaml
    mentioned: tuple[str, ...]
    """What tells the user where to look, and what to do next."""


FAILURES = {
    "no-bucket-option": Failure({"oci_bucket": None}, ("Set oci_bucket",)),
    "no-such-bucket": Failure({"oci_bucket": "elsewhere"}, ("BucketNotFound", "Check that the bucket 'elsewhere' exists", "testns")),
    "no-permission": Failure({"oci_profile": "NO_ACCESS"}, ("NotAuthorizedOrNotFound", "policy")),
    "no-config-file": Failure({"oci_config_file": "/nonexistent"}, ("/nonexistent does not exist", "oci setup config", "oci_config_file")),
    "no-profile": Failure({"oci_profile": "NONE"}, ("no profile 'NONE'", "Correct oci_profile")),
    "malformed-profile": Failure({"oci_profile": "MALFORMED"}, ("fingerprint is malformed", "Correct the profile")),
    "no-key-file": Failure({"oci_profile": "NO_KEY_FILE"}, ("NO_KEY_FILE", "key_file", "OCI_USER_KEY_FILE")),
    "wrong-key": Failure({"oci_profile": "WRONGKEY"}, ("401 NotAuthenticated", "Check the user, the fingerprint and the key")),
    "wrong-names": Failure({"oci_profile": "WRONG"}, ("401 NotAuthenticated", "Check the user, the fingerprint and the key")),
    "garbage-key": Failure({"oci_profile": "GARBAGE"}, ("GARBAGE", "RSA key in PEM format", "Correct key_file")),
    "half-a-key": Failure({"oci_profile": "HALF"}, ("HALF", "RSA key in PEM format", "Correct key_file")),
    "public-key": Failure({"oci_profile": "PUBLIC"}, ("PUBLIC", "RSA key in PEM format", "Correct key_file")),
    "elliptic-key": Failure({"oci_profile": "ELLIPTIC"}, ("ELLIPTIC", "RSA key", "Correct key_file")),
    "wrong-pass-phrase": Failure({"oci_profile": "WRONG_PHRASE"}, ("WRONG_PHRASE", "Correct key_file, or the pass phrase")),
    "no-pass-phrase": Failure({"oci_profile": "WITHOUT_PHRASE"}, ("is encrypted", "OCI_USER_KEY_PASS_PHRASE", "pass_phrase")),
    "expired-session": Failure({"oci_profile": "EXPIRED"}, ("401 NotAuthenticated", "oci session refresh --profile EXPIRED")),
    "no-session": Failure({"oci_profile": "NO_TOKEN", "oci_auth_type": "security_token"}, ("oci session authenticate",)),
    "no-region": Failure({"oci_profile": "NO_REGION", "oci_endpoint": None}, ("No OCI region", "Set oci_region")),
    "unknown-region": Failure(
        {"oci_profile": "UNKNOWN_REGION", "oci_endpoint": None}, ("objectstorage.nowhere-1", "Correct oci_region", "'nowhere-1'")
    ),
    "malformed-region": Failure({"oci_region": "eu frankfurt@1", "oci_endpoint": None}, ("oci_region", "eu frankfurt@1")),
    "no-instance": Failure({"oci_auth_type": "instance_principal"}, ("instance_principal", "compute instance", "oci_auth_type")),
    "no-cloud-shell": Failure({"oci_auth_type": "instance_obo_user"}, ("instance_obo_user", "Cloud Shell", "oci_auth_type")),
    "no-function": Failure({"oci_auth_type": "resource_principal"}, ("resource_principal", "functions", "oci_auth_type")),
    "no-pod": Failure({"oci_auth_type": "oke_workload_identity"}, ("oke_workload_identity", "pod", "oci_auth_type")),
    "profile-of-cloud-shell": Failure({"oci_profile": "CLOUD_SHELL"}, ("Cloud Shell", "oci_auth_type")),
    "key-content": Failure({"oci_profile": "KEY_CONTENT"}, ("key_content", "name that file with key_file")),
    "broken-token": Failure({"oci_profile": "BROKEN_TOKEN", "oci_auth_type": "security_token"}, ("broken_token", "one line")),
    "token-of-another-alphabet": Failure({"oci_profile": "NO_ASCII", "oci_auth_type": "security_token"}, ("no_ascii", "one line")),
    "broken-delegation-token": Failure({"oci_profile": "CLOUD_SHELL_BROKEN"}, ("delegation_token_file", "broken_token", "one line")),
    "half-a-profile-of-cloud-shell": Failure({"oci_profile": "CLOUD_SHELL_WITHOUT"}, ("CLOUD_SHELL_WITHOUT", "delegation_token_file")),
}


@pytest.mark.parametrize("case", FAILURES)
def test_the_next_step_is_named(service: Service, case: str) -> None:
    """In one short paragraph, and in no time. Nothing is taken for an absent record."""
    text = refused(service.options(**FAILURES[case].options), *FAILURES[case].mentioned)
    assert "Traceback" not in text
    for secret in service.secrets():
        assert secret not in text


class NoSuchPage(http.server.BaseHTTPRequestHandler):
    """What the metadata service of another cloud says to questions that are OCI's."""

    def do_GET(self) -> None:
        """Deny it."""
        self.send_error(404)

    def log_message(self, format: str, *args: t.Any) -> None:
        """Keep quiet."""


@pytest.fixture
def other_cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of another cloud, which has a metadata service, too."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), NoSuchPage) as metadata:
        monkeypatch.setenv("OCI_METADATA_BASE_URL", f"http://127.0.0.1:{metadata.server_port}/opc/v2")
        serving = threading.Thread(target=metadata.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield
        metadata.shutdown()
        serving.join()


@pytest.mark.usefixtures("other_cloud")
@pytest.mark.parametrize("case", ["no-instance", "no-cloud-shell"])
def test_the_metadata_service_of_another_cloud(service: Service, case: str) -> None:
    """It answers, and does not know us."""
    refused(service.options(**FAILURES[case].options, oci_profile="CLOUD_SHELL"), *FAILURES[case].mentioned)


class Silent:
    """A service that accepts connections, and that is all."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_error: object) -> None:
        self._listening.close()


@pytest.mark.parametrize("options", [{"oci_connect_timeout": 1}, {"oci_read_timeout": 1}, {"oci_retry_timeout": 1}], ids=str)
@pytest.mark.parametrize("case", ["no-instance", "profile-of-cloud-shell"])
def test_a_metadata_service_that_never_answers(service: Service, monkeypatch: pytest.MonkeyPatch, case: str, options: Yaml) -> None:
    """It is waited for as long as the user said, rather than for the minute of the SDK."""
    with Silent() as silent:
        monkeypatch.setenv("OCI_METADATA_BASE_URL", f"{silent.url}/opc/v2")
        refused(service.options(**FAILURES[case].options, **options), f"{silent.url}/opc/v2 does not answer", *FAILURES[case].mentioned)


def test_the_metadata_service_is_asked_as_the_sdk_does(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its header, without which it denies all, and below the URL that the environment gives."""
    asked = []

    class Metadata(NoSuchPage):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(200)
            self.send_header("content-length", "3")
            self.end_headers()
            self.wfile.write(b"iad")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as metadata:
        monkeypatch.setenv("OCI_METADATA_BASE_URL", f"http://127.0.0.1:{metadata.server_port}/opc/v2")
        serving = threading.Thread(target=metadata.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        refused(service.options(oci_auth_type="instance_principal"), "instance_principal")
        metadata.shutdown()
        serving.join()
    assert asked[0] == ("/opc/v2/instance/region", "Bearer Oracle")
    assert len(asked) > 1  # the signer goes on


def test_an_sdk_that_is_broken(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever its import raises, the user is told to mend it. The main process of Ansible, which nobody catches, is spared."""
    loaded = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "oci"}
    for number, statement in enumerate(
        ["raise AttributeError('x' * 5000)", "class Panic(BaseException): pass\nraise Panic('p\\nq')", "oops("]
    ):
        directory = tmp_path / str(number)
        (directory / "oci").mkdir(parents=True)
        (directory / "oci" / "__init__.py").write_text(statement)
        with monkeypatch.context() as patch:
            for name in loaded:
                patch.delitem(sys.modules, name)
            patch.syspath_prepend(directory)
            import_early("oci.object_storage")
            refused(service.options(), "package 'oci' on the controller is broken", "pip install --force-reinstall oci")
    works(service)


# --- As users do it ---------------------------------------------------------------------------------------------------


@pytest.fixture
def controller(controller: Controller, nowhere: str) -> Controller:
    """A controller without a network, a metadata service, and proxies."""
    controller.write("offline/sitecustomize.py", "from __future__ import annotations\n\n\n")
    with open(controller.project / "offline" / "sitecustomize.py", "a", encoding="utf-8") as stream:
        stream.write(f"{inspect.getsource(go_offline)}\n\ngo_offline(setattr)\n")
    controller.environment.update(OCI_METADATA_BASE_URL=nowhere, PYTHONPATH=str(controller.project / "offline"))
    return controller


def variables(options: Yaml) -> Yaml:
    """The options as variables, for roles and modules."""
    return {f"async_job_{option}": value for option, value in options.items()}


SAVE = role("async_job_save", job_name="job", ansible_job_id="j1.1")
LOAD = role("async_job_load", job_name="job")
FOUND = {"ansible.builtin.assert": {"that": ["async_job_load_ansible_job_id == 'j1.1'"]}}


# Settings of the environment that don't work, one as little as the other.
MISLEADING = {
    "OCI_CONFIG_FILE": "/nonexistent",
    "OCI_CONFIG_PROFILE": "NONE",
    "OCI_ANSIBLE_AUTH_TYPE": "resource_principal",
    "OCI_REGION": "nowhere-1",
    "OCI_TENANCY": "ocid1.tenancy.oc1..wrong",
    "OCI_ANSIBLE_CERT_BUNDLE": "/nonexistent",
    "ASYNC_JOB_BACKEND": "filesystem",
    "ASYNC_JOB_OCI_BUCKET": "wrong",
    "ASYNC_JOB_OCI_NAMESPACE": "wrong",
    "ASYNC_JOB_OCI_ENDPOINT": "http://127.0.0.1:1",
    "ASYNC_JOB_OCI_PREFIX": "wrong/",
}


def test_every_way_to_give_options(controller: Controller, tls_service: Service) -> None:
    """Variables for the roles; for the modules, options by their aliases; module_defaults for both. Each beats the environment."""
    options = tls_service.options(
        oci_prefix="options/",
        oci_profile="DEFAULT",
        oci_auth_type="api_key",
        oci_region="us-ashburn-1",
        oci_tenancy=ClientFiles.TENANCY,
        oci_cert_bundle=str(tls_service.server.ca_file),
    )
    names = {alias: option for option, spec in STORE_OPTIONS.items() for alias in spec.get("aliases", ())}
    aliases = {next((alias for alias, of in names.items() if of == option), option): value for option, value in options.items()}
    assert len(aliases.keys() & names.keys()) == 9
    saved_by_module = {STATE: {"job_name": "by module", "ansible_job_id": "j1.1", **aliases}}
    listed = {INFO: dict(aliases), "register": "listed"}
    all_there = {"ansible.builtin.assert": {"that": ["listed.records | map(attribute='job_name') | sort == ['by module', 'job']"]}}
    run(
        controller,
        play(SAVE, LOAD, FOUND, vars=variables(options)),
        play(saved_by_module, listed, all_there),
        play(LOAD, FOUND, {INFO: {}, "register": "listed"}, all_there, module_defaults={GROUP: aliases}),
        env=MISLEADING,
    ).ok()
    objects = {name for name in tls_service.server.objects() if name.startswith("options/")}
    assert objects == {f"options/{JobKey('host1', 'test', name).path}" for name in ("job", "by module")}


def test_nothing_but_the_environment(controller: Controller, tls_service: Service) -> None:
    """No configuration file, no variable, no option: as in a container. The playbook is that of any other backend."""
    environment = {
        **all_in_the_environment(tls_service),
        "OCI_ANSIBLE_CERT_BUNDLE": str(tls_service.server.ca_file),
        "ASYNC_JOB_BACKEND": "oci",
        "ASYNC_JOB_OCI_BUCKET": tls_service.server.bucket,
        "ASYNC_JOB_OCI_ENDPOINT": tls_service.server.endpoint,
        "ASYNC_JOB_OCI_PREFIX": "environment/",
    }
    run(controller, play(SAVE, LOAD, FOUND), env=environment).ok()
    assert f"environment/{JobKey('host1', 'test', 'job').path}" in tls_service.server.objects()


def test_a_session_and_a_principal(controller: Controller, service: Service) -> None:
    """Each host by another identity, and all of them see the same bucket."""
    identities = {
        "session": {"oci_profile": "SESSION"},
        "encrypted": {"oci_profile": "ENCRYPTED"},
        "principal": {"oci_auth_type": "resource_principal", "oci_config_file": "/nonexistent"},
    }
    controller.hosts(*identities)
    for host, changes in identities.items():
        controller.write(f"host_vars/{host}.json", json.dumps(variables(service.options(oci_prefix="identities/", **changes))))
    environment = {
        "OCI_RESOURCE_PRINCIPAL_VERSION": "2.2",
        "OCI_RESOURCE_PRINCIPAL_REGION": "us-ashburn-1",
        "OCI_RESOURCE_PRINCIPAL_RPST": str(service.principal_file),
        "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM": service.default["key_file"],
    }
    run(controller, play(SAVE, LOAD, FOUND), env=environment).ok()
    objects = {name for name in service.server.objects() if name.startswith("identities/")}
    assert objects == {f"identities/{JobKey(host, 'test', 'job').path}" for host in identities}


def failing_hosts(controller: Controller, service: Service) -> None:
    """Make each way to get it wrong a host."""
    controller.hosts(*FAILURES)
    for case, failure in FAILURES.items():
        controller.write(f"host_vars/{case}.json", json.dumps(variables(service.options(**failure.options))))


def test_a_playbook_stops_with_the_same_words(controller: Controller, service: Service) -> None:
    """Each host with the error that is its own, without a traceback. No job is started for want of its record."""
    failing_hosts(controller, service)
    start = {"ansible.builtin.command": {"argv": ["touch", "{{ playbook_dir }}/started"]}, "when": "not async_job_load_found"}
    ran = run(controller, play(LOAD, start)).failed()
    told = ran.messages()
    assert told.keys() == FAILURES.keys()
    for case, text in told.items():
        assert "\n" not in text
        assert len(text) < 700
        for words in FAILURES[case].mentioned:
            assert words in text, case
    assert not (controller.project / "started").exists()


def test_the_sdk_is_not_installed(controller: Controller, service: Service) -> None:
    """Then it is said how to install it. The other backend does not need it."""
    controller.write("offline/oci/__init__.py", "raise ImportError(\"No module named 'oci'\")\n")
    begin = time.monotonic()
    ran = run(controller, play(LOAD, vars=variables(service.options()))).failed()
    text = ran.messages()["host1"]
    assert "needs the Python package 'oci' on the controller" in text
    assert "pip install oci" in text
    assert "Nothing was read or written" in text
    assert len(text) < 700
    assert time.monotonic() - begin < 30
    run(controller, play(SAVE, LOAD, FOUND)).ok()


# --- What nobody else may see -----------------------------------------------------------------------------------------


def leaks(text: str, service: Service) -> list[str]:
    """What there is in the text that must not be."""
    found = [secret for secret in service.secrets() if secret in text]
    return found + re.findall(r"(?i)authorization: *signature.*|signature=.*|keyId=.*", text)


def test_leaks_are_found(service: Service) -> None:
    """The search that the tests below rely on."""
    key = Path(service.default["key_file"]).read_text().splitlines()[3]
    for secret in (key, PASS_PHRASE, service.principal, 'send: b\'GET / HTTP/1.1 authorization: Signature keyId="x",signature="abc"'):
        assert leaks(f"before {secret} after", service)
    assert not leaks("nothing to see", service)


def test_the_sdk_prints_no_request(service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    """A profile can ask it to. Workers of older cores share their stdout with the user."""
    works(service, oci_profile="LOGGED")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("profile", ["ENCRYPTED", "SESSION", "LOGGED"])
def test_a_save_and_a_load_show_no_secret(controller: Controller, service: Service, profile: str) -> None:
    """Neither on the terminal, nor in the log, nor in the record, however much the user wants to see.

    Not even if the profile says that requests shall be logged: Ansible's output goes to logs and to other people.
    """
    options = service.options(oci_profile=profile, oci_prefix=f"secrets {profile}/")
    log = controller.project / "ansible.log"
    environment = {"ANSIBLE_LOG_PATH": str(log), "ANSIBLE_LOG_VERBOSITY": "4", "ANSIBLE_DEBUG": "1"}
    environment["OCI_USER_KEY_PASS_PHRASE"] = PASS_PHRASE
    ran = run(controller, play(SAVE, LOAD, FOUND, vars=variables(options)), options=["-vvvv"], env=environment).ok()
    record = service.server.objects()[f"secrets {profile}/{JobKey('host1', 'test', 'job').path}"].decode()
    assert json.loads(record)["ansible_job_id"] == "j1.1"
    assert "j1.1" in log.read_text()
    for text in (ran.output, log.read_text(), record):
        assert leaks(text, service) == []


# Of each setting that names a file: the variable, the options that make it count, and what is said of it.
FILES = {
    "key": ("OCI_USER_KEY_FILE", {}, "OCI_USER_KEY_FILE"),
    "key of a session": ("OCI_USER_KEY_FILE", {"oci_profile": "SESSION"}, "OCI_USER_KEY_FILE"),
    "configuration": ("OCI_CONFIG_FILE", {}, "OCI_CONFIG_FILE"),
    "configuration of a session": ("OCI_CONFIG_FILE", {"oci_auth_type": "security_token"}, "OCI_CONFIG_FILE"),
    "certificates": ("OCI_ANSIBLE_CERT_BUNDLE", {}, "oci_cert_bundle"),
}


def texts(service: Service) -> dict[str, str]:
    """What a pipeline may hold where the path of a file belongs: its text, in one of the shapes that variables give to it."""
    key = Path(service.default["key_file"]).read_text()
    config = f"[DEFAULT]\nuser={service.default['user']}\npass_phrase={PASS_PHRASE}\n"
    one_line = "".join(key.splitlines()[1:-1])
    return {
        "key": key,
        "key with escaped line breaks": key.replace("\n", "\\n"),
        "key with blanks": key.replace("\n", " "),
        "key without its frame": one_line,
        "key in base64": base64.b64encode(key.encode()).decode(),
        "part of a key": f"-----BEGIN PRIVATE KEY----- {one_line[:40]}",
        "configuration": config,
        "configuration with escaped line breaks": config.replace("\n", "\\n"),
        "configuration with blanks": config.replace("\n", " "),
        "pass phrase": f"pass_phrase={PASS_PHRASE}",
        "token": service.principal,
    }


@pytest.mark.parametrize("setting", FILES)
def test_a_text_where_a_path_belongs_is_not_shown(service: Service, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """A variable of a pipeline holds the text of a file instead of its path: a common mistake, and the text is a secret."""
    variable, options, name = FILES[setting]
    for text in texts(service).values():
        monkeypatch.setenv(variable, text)
        given: Yaml = {"oci_config_file": None} if variable == "OCI_CONFIG_FILE" else {}
        said = refused(service.options(**given, **options), name, "holds a text where the path of a file belongs", "Write it into a file")
        assert leaks(said, service) == []
        assert not [word for word in text.split() if len(word) > 15 and word in said]


def test_a_text_in_the_profile_is_not_shown(service: Service, tmp_path: Path) -> None:
    """Nor one where a profile has the path of a key or of a token."""
    for setting, auth_type in (
        ("key_file", "api_key"),
        ("security_token_file", "security_token"),
        ("delegation_token_file", "instance_obo_user"),
    ):
        for text in texts(service).values():
            config = configparser.ConfigParser(interpolation=None)
            config["DEFAULT"] = {**service.default, setting: text.replace("\n", "\n  ")}
            with open(tmp_path / "config", "w", encoding="utf-8") as stream:
                config.write(stream)
            said = refused(
                service.options(oci_config_file=str(tmp_path / "config"), oci_auth_type=auth_type),
                f"{setting} of the profile 'DEFAULT' holds",
            )
            assert leaks(said, service) == []


def test_a_long_path_is_a_path(service: Service, tmp_path: Path) -> None:
    """If there is such a file. Its name may look like anything."""
    config_file = tmp_path.joinpath(*["BEGIN a directory"] * 20) / "[config]"
    config_file.parent.mkdir(parents=True)
    config_file.write_bytes(service.config_file.read_bytes())
    works(service, oci_config_file=str(config_file))


def test_a_playbook_shows_no_text_of_a_file(controller: Controller, service: Service) -> None:
    """However much the user wants to see."""
    config = f"[DEFAULT]\nuser={service.default['user']}\npass_phrase={PASS_PHRASE}\n"
    for environment, options in (
        ({"OCI_USER_KEY_FILE": Path(service.default["key_file"]).read_text()}, {}),
        ({"OCI_CONFIG_FILE": config}, {"oci_config_file": None}),
    ):
        ran = run(controller, play(LOAD, vars=variables(service.options(**options))), options=["-vvvv"], env=environment).failed()
        assert "holds a text where the path of a file belongs" in ran.text
        assert leaks(ran.output, service) == []


def test_a_failure_shows_no_secret(controller: Controller, service: Service) -> None:
    """None of them, and the SDK is known to quote what it could not use."""
    failing_hosts(controller, service)
    ran = run(controller, play(LOAD), options=["-vvvv"], env={"OCI_RESOURCE_PRINCIPAL_RPST": service.principal}).failed()
    assert leaks(ran.output, service) == []
