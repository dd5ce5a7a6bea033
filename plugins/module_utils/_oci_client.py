# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of OCI Object Storage, from the options of a task.

The SDK is imported here, when a client is made, and nowhere else.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import socket
import ssl
import typing as t
import urllib.request
from urllib.parse import urlsplit

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError

if t.TYPE_CHECKING:
    from oci.object_storage import ObjectStorageClient

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
_METADATA_SERVICE = "http://169.254.169.254"


def preload() -> None:
    """Import the SDK, if there is one: 0.2 seconds, to be spent once rather than in every worker process."""
    with contextlib.suppress(ImportError):  # make_client() says it, where somebody listens
        import oci  # noqa: F401


def make_client(params: dict[str, t.Any]) -> ObjectStorageClient:
    """A client that neither retries nor waits by itself.

    :arg params: validated values of the options in C(_options.STORE_OPTIONS)
    :raises AsyncJobError: if the configuration or the credentials are not right
    """
    try:
        import oci
    except ImportError as error:
        raise AsyncJobError(
            f"The backend 'oci' needs the Python package 'oci' on the controller: {error}. Nothing was read or written."
            " Install it for the Python that runs Ansible, for example: python3 -m pip install oci"
        ) from error
    auth_type = auth_type_of(params)
    config = dict(oci.config.DEFAULT_CONFIG) if auth_type in _PRINCIPALS else _config(oci, params)
    for setting in ("region", "tenancy"):
        if params[f"oci_{setting}"]:
            config[setting] = params[f"oci_{setting}"]
    signer = _api_key_signer(oci, params, config) if auth_type == "api_key" else _signer(oci, auth_type, params, config)
    config["region"] = config.get("region") or getattr(signer, "region", None) or ""
    if not params["oci_endpoint"] and not config["region"]:
        raise AsyncJobError(
            "No OCI region is given. Nothing was read or written. Set oci_region, OCI_REGION, or 'region' in the"
            f" profile {params['oci_profile']!r} of {params['oci_config_file']}."
        )
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
    """How to authenticate: as the user says, or as the profile says by its shape.

    C(oci session authenticate) writes a token file and no user, and Cloud Shell a delegation token.
    """
    if params["oci_auth_type"]:
        return str(params["oci_auth_type"])
    # Without a default section: what [DEFAULT] holds would count as part of every profile.
    parser = configparser.ConfigParser(interpolation=None, default_section="\n")
    try:
        parser.read(params["oci_config_file"], encoding="utf-8")
        profile = parser[params["oci_profile"]]
    except (KeyError, OSError, UnicodeDecodeError, configparser.Error):
        return "api_key"  # whatever is wrong there is said when the profile is read
    if "authentication_type" in profile:
        return "instance_obo_user"
    if "security_token_file" in profile and "user" not in profile and "OCI_USER_ID" not in os.environ:
        return "security_token"
    return "api_key"


def _config(oci: t.Any, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The profile of the configuration file, under what the environment sets."""
    environment = {setting: os.environ[name] for setting, name in _ENVIRONMENT.items() if os.environ.get(name)}
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
    return AsyncJobError(
        f"Cannot authenticate to OCI with the profile {params['oci_profile']!r} of {params['oci_config_file']}: {why}."
        f" Nothing was read or written. {what_to_do}."
    )


def _private_key(oci: t.Any, params: dict[str, t.Any], config: dict[str, t.Any]) -> t.Any:
    """The private key of the profile."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    not_rsa = _misconfigured(
        params,
        "the private key cannot be read: it is damaged, of another kind, or its pass phrase is wrong",
        "It has to be an RSA key in PEM format. Correct key_file, or the pass phrase",
    )
    try:
        key = oci.signer.load_private_key_from_file(os.path.expanduser(config["key_file"]), config.get("pass_phrase"))
    except (KeyError, OSError) as error:
        raise _misconfigured(
            params,
            f"the key file {config.get('key_file', '(none is named)')} cannot be read",
            "Correct key_file in the profile, OCI_USER_KEY_FILE, or the mode of the file",
        ) from error
    except oci.exceptions.MissingPrivateKeyPassphrase as error:
        raise _misconfigured(
            params, "the private key is encrypted", "Set OCI_USER_KEY_PASS_PHRASE, or 'pass_phrase' in the profile"
        ) from error
    except (oci.exceptions.InvalidPrivateKey, ValueError) as error:
        raise not_rsa from error
    if not isinstance(key, RSAPrivateKey):
        raise not_rsa
    return key


def _api_key_signer(oci: t.Any, params: dict[str, t.Any], config: dict[str, t.Any]) -> t.Any:
    _private_key(oci, params, config)  # says what is wrong with it
    try:
        oci.config.validate_config({"region": "given later", **config})
    except oci.exceptions.InvalidConfig as error:
        problems = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        words = ", ".join(f"{setting} is {what}" for setting, what in problems.items())
        raise _misconfigured(params, words or "it is not complete", "Correct the profile") from error
    return oci.signer.Signer(
        config["tenancy"], config["user"], config["fingerprint"], os.path.expanduser(config["key_file"]), config.get("pass_phrase")
    )


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
        return _principal_signer(oci, auth_type, params, config)
    except AsyncJobError:
        raise
    except Exception as error:
        # Each of these signers has exceptions of its own, and their texts may quote what it could not use: a key or a token.
        profile = "" if auth_type in _PRINCIPALS else f" and the profile {params['oci_profile']!r} of {params['oci_config_file']}"
        raise AsyncJobError(
            f"Cannot authenticate to OCI with oci_auth_type {auth_type!r}{profile} ({type(error).__name__}). Nothing was read or"
            f" written. {_WHAT_TO_DO[auth_type]}."
        ) from error


def _principal_signer(oci: t.Any, auth_type: str, params: dict[str, t.Any], config: dict[str, t.Any]) -> t.Any:
    signers = oci.auth.signers
    none = oci.retry.NoneRetryStrategy()
    if auth_type == "security_token":
        with open(os.path.expanduser(config["security_token_file"]), encoding="ascii") as file:
            token = file.read().strip()
        return signers.SecurityTokenSigner(token, _private_key(oci, params, config))
    if auth_type == "resource_principal":
        return signers.get_resource_principals_signer()
    if auth_type == "oke_workload_identity":
        return signers.get_oke_workload_identity_resource_principal_signer(retry_strategy=none)
    # The signer would wait for minutes where there is no metadata service.
    metadata = urlsplit(os.environ.get("OCI_METADATA_BASE_URL", _METADATA_SERVICE))
    socket.create_connection((metadata.hostname, metadata.port or 80), timeout=params["oci_connect_timeout"]).close()
    bounds = {"retry_strategy": none, "federation_client_retry_strategy": none}
    if auth_type == "instance_principal":
        return signers.InstancePrincipalsSecurityTokenSigner(**bounds)
    with open(os.path.expanduser(config["delegation_token_file"]), encoding="ascii") as file:
        token = file.read().strip()
    return signers.InstancePrincipalsDelegationTokenSigner(delegation_token=token, **bounds)


def _set_up_session(client: ObjectStorageClient, params: dict[str, t.Any]) -> None:
    """Settle what the HTTP session trusts and which proxy it uses.

    Left to the environment, REQUESTS_CA_BUNDLE would beat the user's option, and an empty CURL_CA_BUNDLE would switch the
    verification of certificates off.
    """
    bundle = params["oci_cert_bundle"] or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or None
    if bundle is not None:
        try:
            ssl.create_default_context(capath=bundle) if os.path.isdir(bundle) else ssl.create_default_context(cafile=bundle)
        except OSError as error:  # an SSLError is one
            raise AsyncJobError(
                f"The certificate bundle {bundle} cannot be used: {error.strerror or 'it holds no certificates'}. Nothing was read or"
                " written. Correct oci_cert_bundle, OCI_ANSIBLE_CERT_BUNDLE, or REQUESTS_CA_BUNDLE."
            ) from error
    session = client.base_client.session
    session.trust_env = False
    session.verify = bundle or True
    host = urlsplit(client.base_client.endpoint).hostname or ""
    session.proxies = {} if urllib.request.proxy_bypass(host) else urllib.request.getproxies()
