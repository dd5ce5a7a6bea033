# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of OCI Object Storage, from the options of a task.

The SDK is imported here, when a client is made, and nowhere else.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import concurrent.futures
import configparser
import http.client
import math
import os
import re
import ssl
import threading
import typing as t
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from ansible_collections.rstyczynski.ansible.plugins.module_utils._backends import BACKENDS
from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError, StoreUnavailable

if t.TYPE_CHECKING:
    from oci.object_storage import ObjectStorageClient

Result = t.TypeVar("Result")

# What the environment sets of a configuration, by the names that users of the collection oracle.oci know.
_ENVIRONMENT = {
    "user": "OCI_USER_ID",
    "fingerprint": "OCI_USER_FINGERPRINT",
    "key_file": "OCI_USER_KEY_FILE",
    "pass_phrase": "OCI_USER_KEY_PASS_PHRASE",
}
# These find their region and their keys by themselves, from the place where we run.
_PRINCIPALS = ("instance_principal", "resource_principal", "oke_workload_identity")

# Where a compute instance asks who it is
# (https://docs.oracle.com/en-us/iaas/Content/Compute/Tasks/gettingmetadata.htm).
_METADATA_SERVICE = "http://169.254.169.254/opc/v2"

# What keys, tokens and configuration files hold, and paths do not.
_LONGEST_PATH = 255
_NO_PATH = re.compile(r"BEGIN |PRIVATE KEY|pass_phrase|ocid1\.|\\[nr]|^\s*[\[{]")


def _sdk() -> t.Any:
    try:
        import oci.object_storage
    except KeyboardInterrupt:
        raise
    except ImportError as error:
        raise StoreUnavailable(
            f"The backend 'oci' needs the Python package 'oci' on the controller: {brief(error)}. Nothing was read or written."
            f" Install it for the Python that runs Ansible, for example: {BACKENDS['oci'].install}"
        ) from error
    except BaseException as error:  # extension modules among what it imports raise what is no Exception
        raise StoreUnavailable(
            f"The Python package 'oci' on the controller is broken, to import it raises {type(error).__name__}: {brief(error)}."
            " Nothing was read or written. Install it anew (python3 -m pip install --force-reinstall oci) for the Python that runs Ansible."
        ) from error
    return oci


def brief(text: t.Any) -> str:
    """Return a text of somebody else in one line of tolerable length, such as the page that a proxy answers with."""
    line = " ".join(str(text).split()).rstrip(".")
    return line if len(line) <= 200 else line[:200] + "..."


def within(seconds: float, work: t.Callable[..., Result], *args: t.Any, **options: t.Any) -> Result:
    """Return what some work returns, if it takes no longer than so many seconds.

    The timeouts of HTTP libraries begin anew with each byte that arrives, and a service that is ill may send one now and then. Work that
    takes longer is left to itself, and with it whatever it uses.

    :raises TimeoutError: if it takes longer
    """
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(work(*args, **options))
        except BaseException as error:
            future.set_exception(error)

    # No executor: Python would wait for its threads at the end.
    threading.Thread(target=run, daemon=True).start()
    concurrent.futures.wait([future], timeout=seconds)
    if not future.done():
        raise TimeoutError("timed out")
    return future.result()


def make_client(params: dict[str, t.Any]) -> ObjectStorageClient:
    """Make a client that neither retries nor waits by itself.

    :arg params: validated values of the options in C(_options.STORE_OPTIONS)
    :raises AsyncJobError: if the configuration or the credentials are not right
    """
    oci = _sdk()
    auth_type = auth_type_of(params)
    config = dict(oci.config.DEFAULT_CONFIG) if auth_type in _PRINCIPALS else _config(oci, params)
    for setting in ("region", "tenancy"):
        if params[f"oci_{setting}"]:
            config[setting] = params[f"oci_{setting}"].strip()
    signer = _api_key_signer(oci, params, config) if auth_type == "api_key" else _signer(oci, auth_type, params, config)
    config["region"] = config.get("region") or getattr(signer, "region", None) or ""
    if not params["oci_endpoint"] and not config["region"]:
        profile = (
            "" if auth_type in _PRINCIPALS else f", or 'region' in the profile {params['oci_profile']!r} of {params['oci_config_file']}"
        )
        raise StoreUnavailable(f"No OCI region is given. Nothing was read or written. Set oci_region or OCI_REGION{profile}.")
    client = oci.object_storage.ObjectStorageClient(
        config,
        signer=signer,
        service_endpoint=params["oci_endpoint"],
        retry_strategy=oci.retry.NoneRetryStrategy(),
        circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
    )
    _set_up_session(client, params)
    return client


def auth_type_of(params: dict[str, t.Any]) -> str:
    """Return how to authenticate: as the user says, or as the profile says by its shape.

    C(oci session authenticate) writes a token file and no user, and Cloud Shell a delegation token.
    """
    if params["oci_auth_type"]:
        return str(params["oci_auth_type"])
    # Without a default section: what [DEFAULT] holds would count as part of every profile.
    parser = configparser.ConfigParser(interpolation=None, default_section="\n")
    try:
        parser.read(params["oci_config_file"], encoding="utf-8")
        profile = parser[params["oci_profile"]]
    except (KeyError, OSError, ValueError, configparser.Error):
        return "api_key"  # whatever is wrong there is said when the profile is read
    if "authentication_type" in profile:
        return "instance_obo_user"
    if "security_token_file" in profile and "user" not in profile and not os.environ.get("OCI_USER_ID"):
        return "security_token"
    return "api_key"


def _config(oci: t.Any, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the profile of the configuration file, under what the environment sets."""
    _path(params["oci_config_file"], "oci_config_file, or OCI_CONFIG_FILE,")
    environment = {setting: os.environ[name] for setting, name in _ENVIRONMENT.items() if os.environ.get(name)}
    # Variables made from files and by commands end with a line break. A pass phrase is taken as it is.
    environment.update({setting: value.strip() for setting, value in environment.items() if setting != "pass_phrase"})
    if {"user", "fingerprint", "key_file"} <= environment.keys() and not os.path.exists(params["oci_config_file"]):
        return {**oci.config.DEFAULT_CONFIG, **environment}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(params["oci_config_file"], encoding="utf-8") as file:
            parser.read_file(file)
        return {**oci.config.DEFAULT_CONFIG, **parser[params["oci_profile"]], "log_requests": False, **environment}
    except FileNotFoundError as error:
        raise _misconfigured(
            params,
            f"{params['oci_config_file']} does not exist",
            "Make it with 'oci setup config', name another one with oci_config_file, or choose another oci_auth_type",
        ) from error
    except OSError as error:
        raise _misconfigured(params, f"that file cannot be read ({error.strerror})", "Correct the file, or oci_config_file") from error
    except (UnicodeDecodeError, configparser.Error) as error:
        raise _misconfigured(params, "that file is not an INI file", "Correct the file, or oci_config_file") from error
    except KeyError as error:
        raise _misconfigured(
            params, f"there is no profile {params['oci_profile']!r} in it", "Correct oci_profile, or add that profile to the file"
        ) from error


def _misconfigured(params: dict[str, t.Any], why: str, what_to_do: str) -> AsyncJobError:
    return StoreUnavailable(
        f"Cannot authenticate to OCI with the profile {params['oci_profile']!r} of {params['oci_config_file']}: {why}."
        f" Nothing was read or written. {what_to_do}."
    )


def _path(value: str, name: str) -> str:
    """Return the path that a setting holds, safe to be shown. A C(~) at its beginning is replaced.

    Pipelines put the text of a file, a private key for example, where its path belongs. Nobody else may see it.

    :arg name: the setting, for the error
    """
    path = os.path.expanduser(value)
    if not os.path.exists(path) and (len(path) > _LONGEST_PATH or not path.isprintable() or _NO_PATH.search(path)):
        raise StoreUnavailable(
            f"{name} holds a text where the path of a file belongs. The text is not shown here. Nothing was read or written."
            " Write it into a file that only you can read, and give the path of that file."
        )
    return path


def _source(params: dict[str, t.Any], setting: str) -> str:
    """Say what the user has to correct if a setting of the configuration is wrong."""
    variable = _ENVIRONMENT.get(setting, "")
    if os.environ.get(variable):
        return variable
    return f"oci_{setting}, or OCI_{setting.upper()}" if params.get(f"oci_{setting}") else "the profile"


def _file_of(params: dict[str, t.Any], config: dict[str, t.Any], setting: str) -> str:
    """Return the path of the file that a setting of the configuration names."""
    if not config.get(setting):
        raise _misconfigured(params, f"it has no {setting}", f"Name that file in the profile, as {setting}")
    source = _source(params, setting)
    return _path(config[setting], source if source.startswith("OCI_") else f"{setting} of the profile {params['oci_profile']!r}")


def _private_key(oci: t.Any, params: dict[str, t.Any], config: dict[str, t.Any], load: t.Callable[[str], t.Any]) -> t.Any:
    """Return what C(load) makes of the key file, or raise what is wrong with that."""
    if config.get("key_content") and not config.get("key_file"):
        raise _misconfigured(
            params,
            "it has key_content, which is not supported",
            "Write the key into a file that only you can read, and name that file with key_file",
        )
    path = _file_of(params, config, "key_file")
    key = f"the private key {path} (from {_source(params, 'key_file')})"
    try:
        return load(path)
    except OSError as error:
        raise _misconfigured(
            params, f"{key} cannot be read", "Correct key_file in the profile, OCI_USER_KEY_FILE, or the mode of the file"
        ) from error
    except oci.exceptions.MissingPrivateKeyPassphrase as error:
        raise _misconfigured(params, f"{key} is encrypted", "Set OCI_USER_KEY_PASS_PHRASE, or 'pass_phrase' in the profile") from error
    except (oci.exceptions.InvalidPrivateKey, ValueError) as error:
        raise _misconfigured(
            params,
            f"{key} cannot be used: it is damaged, of another kind, or its pass phrase (from {_source(params, 'pass_phrase')}) is wrong",
            "It has to be an RSA key in PEM format. Correct key_file, or the pass phrase",
        ) from error


def _rsa(key: t.Any) -> t.Any:
    """Return the private key, if it is of the only kind that can sign requests."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


def _api_key_signer(oci: t.Any, params: dict[str, t.Any], config: dict[str, t.Any]) -> t.Any:
    try:
        oci.config.validate_config({"region": "given later", **config})
    except oci.exceptions.InvalidConfig as error:
        problems = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        words = ", ".join(f"{setting} is {what}" for setting, what in problems.items())
        sources = sorted({_source(params, setting) for setting in problems}) or ["the profile"]
        raise _misconfigured(params, words or "it is not complete", f"Correct {' and '.join(sources)}") from error

    def load(path: str) -> t.Any:
        # It loads the key, which takes 30 milliseconds: not to be done twice.
        signer = oci.signer.Signer(config["tenancy"], config["user"], config["fingerprint"], path, config.get("pass_phrase"))
        _rsa(signer.private_key)
        return signer

    return _private_key(oci, params, config, load)


_WHAT_TO_DO = {
    "security_token": "Log in anew with 'oci session authenticate', and look at security_token_file and key_file of the profile",
    "instance_principal": "It works on a compute instance of OCI only. Elsewhere choose another oci_auth_type",
    "resource_principal": "It works where OCI sets OCI_RESOURCE_PRINCIPAL_VERSION, as in functions and containers. Elsewhere choose"
    " another oci_auth_type",
    "instance_obo_user": "It works in OCI Cloud Shell, whose profile has a 'delegation_token_file'. Elsewhere choose another oci_auth_type",
    "oke_workload_identity": "It works in a pod of an enhanced OKE cluster only. Elsewhere choose another oci_auth_type",
}


def _signer(oci: t.Any, auth_type: str, params: dict[str, t.Any], config: dict[str, t.Any]) -> t.Any:
    try:
        longest = max(params["oci_retry_timeout"], params["oci_connect_timeout"] + params["oci_read_timeout"])
        return within(longest, _principal_signer, oci, auth_type, params, config)
    except AsyncJobError:
        raise
    except Exception as error:
        # Each of these signers has exceptions of its own, and their texts may quote what it could not use: a key or a token.
        raise _no_principal(auth_type, params, type(error).__name__) from error


def _no_principal(auth_type: str, params: dict[str, t.Any], why: str) -> AsyncJobError:
    profile = "" if auth_type in _PRINCIPALS else f" and the profile {params['oci_profile']!r} of {params['oci_config_file']}"
    return StoreUnavailable(
        f"Cannot authenticate to OCI with oci_auth_type {auth_type!r}{profile}: {why}. Nothing was read or written."
        f" {_WHAT_TO_DO[auth_type]}."
    )


def _principal_signer(oci: t.Any, auth_type: str, params: dict[str, t.Any], config: dict[str, t.Any]) -> t.Any:
    signers = oci.auth.signers
    none = oci.retry.NoneRetryStrategy()
    if auth_type == "security_token":
        token = _token(auth_type, params, config, "security_token_file")

        def load(path: str) -> t.Any:
            return _rsa(oci.signer.load_private_key_from_file(path, config.get("pass_phrase")))

        return signers.SecurityTokenSigner(token, _private_key(oci, params, config, load))
    if auth_type == "resource_principal":
        return signers.get_resource_principals_signer()
    if auth_type == "oke_workload_identity":
        return signers.get_oke_workload_identity_resource_principal_signer(retry_strategy=none)
    bounds = {"retry_strategy": none, "federation_client_retry_strategy": none}
    if auth_type == "instance_principal":
        _ask_metadata_service(auth_type, params)
        return signers.InstancePrincipalsSecurityTokenSigner(**bounds)
    token = _token(auth_type, params, config, "delegation_token_file")
    _ask_metadata_service(auth_type, params)
    return signers.InstancePrincipalsDelegationTokenSigner(delegation_token=token, **bounds)


def _token(auth_type: str, params: dict[str, t.Any], config: dict[str, t.Any], setting: str) -> str:
    """Return the token in the file that this setting of the profile names."""
    if not config.get(setting):
        raise _no_principal(auth_type, params, f"the profile has no {setting}")
    path = _file_of(params, config, setting)
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            token = file.read().strip()
    except OSError as error:
        raise _no_principal(auth_type, params, f"the {setting} {path} cannot be read ({error.strerror})") from error
    # It goes into an HTTP header, and the HTTP library quotes what does not fit there.
    if not re.fullmatch("[!-~]+", token):
        raise _no_principal(auth_type, params, f"the {setting} {path} does not hold a token, which is one line without blanks")
    return token


def _ask_metadata_service(auth_type: str, params: dict[str, t.Any]) -> None:
    """Make sure that it answers. The signer would wait for a minute or more, whatever the user says."""
    base = os.environ.get("OCI_METADATA_BASE_URL", "").strip() or _METADATA_SERVICE
    # No single answer of it may take longer than the shortest time that the user gives. It is next to us.
    seconds = min(params["oci_connect_timeout"], params["oci_read_timeout"], params["oci_retry_timeout"] or math.inf)
    try:
        request = urllib.request.Request(f"{base}/instance/region", headers={"Authorization": "Bearer Oracle"})
        # Like the signer, by the proxy of the environment if there is one
        urllib.request.build_opener().open(request, timeout=seconds).close()
    except urllib.error.HTTPError as error:
        raise _no_principal(auth_type, params, f"the metadata service at {base} answers with HTTP {error.code}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _no_principal(auth_type, params, f"the metadata service at {base} does not answer") from error


# The longest answer that is not a document, in bytes: a page of a list is far shorter.
_LONGEST_ANSWER = 16 << 20

# More than the length of anything has.
_DIGITS = 18

# How much of an answer is read at once, in bytes.
_CHUNK = 1 << 20


def body_of(raw: t.Any, headers: t.Mapping[str, str], most: int) -> bytes | None:
    """Return the body of an answer as it travels. What is compressed might be of any size. None if it is longer than it may be.

    :arg raw: the answer of the HTTP library
    :arg most: how long it may be, in bytes
    :raises OSError: if it does not come, or not whole
    """
    parts = []
    left = most + 1
    try:
        while left > 0:
            part = raw.read(min(left, _CHUNK), decode_content=False)
            if not part:
                break
            parts.append(part)
            left -= len(part)
    except Exception as error:
        if isinstance(error, OSError):
            raise
        raise OSError(f"{type(error).__name__}: {error}") from error  # urllib3, wherever the SDK has it, has errors of its own kind
    if left <= 0:
        return None
    content = b"".join(parts)
    lengths = {length.strip() for length in headers.get("content-length", "").split(",")} - {""}  # the same header may come twice
    if any(not length.isdecimal() or len(length) > _DIGITS or len(content) < int(length) for length in lengths):
        raise OSError("IncompleteRead")
    return content


def _bounded(response: t.Any, *_args: t.Any, **options: t.Any) -> None:
    """Read an answer, unless that is left to us, as far as it may be. The HTTP library would read and inflate any amount.

    :raises OSError: if it is longer than any of the service, or compressed, or does not come whole
    """
    if options.get("stream") and response.ok:
        return
    content = None
    if response.headers.get("content-encoding", "identity") == "identity":
        content = body_of(response.raw, response.headers, _LONGEST_ANSWER)
    if content is None:
        raise OSError("compressed or endless")
    response._content, response._content_consumed = content, True


def _set_up_session(client: ObjectStorageClient, params: dict[str, t.Any]) -> None:
    """Settle what the HTTP session trusts and which proxy it uses.

    Left to the environment, REQUESTS_CA_BUNDLE would beat the user's option, and an empty CURL_CA_BUNDLE would switch the
    verification of certificates off.
    """
    bundle = params["oci_cert_bundle"] or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or None
    if bundle is not None:
        bundle = _path(bundle, "oci_cert_bundle, OCI_ANSIBLE_CERT_BUNDLE, or REQUESTS_CA_BUNDLE")
        try:
            ssl.create_default_context(capath=bundle) if os.path.isdir(bundle) else ssl.create_default_context(cafile=bundle)
        except OSError as error:  # an SSLError is one
            raise StoreUnavailable(
                f"The certificate bundle {bundle} cannot be used: {error.strerror or 'it holds no certificates'}. Nothing was read or"
                " written. Correct oci_cert_bundle, OCI_ANSIBLE_CERT_BUNDLE, or REQUESTS_CA_BUNDLE."
            ) from error
    session = client.base_client.session
    session.trust_env = False
    session.max_redirects = 0  # the service does not redirect; whoever does is not to see what we send
    session.verify = bundle or True
    session.headers["accept-encoding"] = "identity"  # nothing that could be inflated to any size
    session.hooks["response"].append(_bounded)
    host = urlsplit(client.base_client.endpoint).hostname or ""
    session.proxies = {} if urllib.request.proxy_bypass(host) else urllib.request.getproxies()
