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
    auth_type = params["oci_auth_type"] or _auth_type_of_profile(params)
    try:
        config = {} if auth_type in _PRINCIPALS else _config(oci, params)
        for setting in ("region", "tenancy"):
            if params[f"oci_{setting}"]:
                config[setting] = params[f"oci_{setting}"]
        arguments: dict[str, t.Any] = {}
        if auth_type == "api_key":
            _check_key_file(params, config)
            oci.config.validate_config(config)
        else:
            arguments["signer"] = _signer(oci, auth_type, params, config)
            # The client asks for a region even where an endpoint is given.
            config.setdefault("region", getattr(arguments["signer"], "region", None) or "")
        if not params["oci_endpoint"] and not config.get("region"):
            raise AsyncJobError(
                "No OCI region is given. Nothing was read or written. Set oci_region, OCI_REGION, or 'region' in the"
                f" profile {params['oci_profile']!r} of {params['oci_config_file']}."
            )
        client = oci.object_storage.ObjectStorageClient(
            config,
            service_endpoint=params["oci_endpoint"],
            retry_strategy=oci.retry.NoneRetryStrategy(),
            circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
            **arguments,
        )
    except AsyncJobError:
        raise
    except oci.exceptions.ConfigFileNotFound as error:
        raise _misconfigured(
            params,
            f"the file {params['oci_config_file']} does not exist",
            "Make it with 'oci setup config', name another one with oci_config_file, or choose another oci_auth_type",
        ) from error
    except oci.exceptions.ProfileNotFound as error:
        raise _misconfigured(
            params, f"there is no profile {params['oci_profile']!r} in it", "Correct oci_profile, or add that profile to the file"
        ) from error
    except oci.exceptions.InvalidConfig as error:
        problems = ", ".join(f"{setting} is {what}" for setting, what in (error.args[0] if error.args else {}).items())
        raise _misconfigured(params, problems or "it is not complete", "Correct the profile") from error
    except oci.exceptions.MissingPrivateKeyPassphrase as error:
        raise _misconfigured(
            params, "the private key is encrypted", "Set OCI_USER_KEY_PASS_PHRASE, or 'pass_phrase' in the profile"
        ) from error
    except oci.exceptions.InvalidPrivateKey as error:
        raise _misconfigured(
            params,
            "the private key cannot be read: it is damaged, of another kind, or its pass phrase is wrong",
            "It has to be an RSA key in PEM format. Correct key_file, or the pass phrase",
        ) from error
    except oci.exceptions.InvalidKeyFilePath as error:
        raise _misconfigured(params, "its key_file does not exist", "Correct key_file in the profile, or OCI_USER_KEY_FILE") from error
    except configparser.Error as error:
        raise _misconfigured(params, "it is not an INI file", "Correct the file") from error
    except (OSError, ValueError, KeyError, oci.exceptions.ServiceError) as error:
        # Their texts are not repeated: they may quote what they could not use, a key or a token.
        raise AsyncJobError(
            f"Cannot authenticate to OCI with oci_auth_type {auth_type!r} ({type(error).__name__}). Nothing was read or written."
            f" {_WHAT_TO_DO[auth_type]}."
        ) from error
    _set_up_session(client, params)
    return client


_WHAT_TO_DO = {
    "api_key": "Look at the user, fingerprint, key_file and tenancy of the profile",
    "security_token": "Log in anew with 'oci session authenticate', and look at security_token_file and key_file of the profile",
    "instance_principal": "It works on a compute instance of OCI only. Elsewhere choose another oci_auth_type",
    "resource_principal": "It works where OCI sets OCI_RESOURCE_PRINCIPAL_VERSION, as in functions and containers. Elsewhere choose"
    " another oci_auth_type",
    "instance_obo_user": "It works in OCI Cloud Shell, with 'delegation_token_file' in the profile. Elsewhere choose another oci_auth_type",
    "oke_workload_identity": "It works in a pod of an enhanced OKE cluster only. Elsewhere choose another oci_auth_type",
}


def _misconfigured(params: dict[str, t.Any], why: str, what_to_do: str) -> AsyncJobError:
    return AsyncJobError(
        f"Cannot authenticate to OCI with the profile {params['oci_profile']!r} of {params['oci_config_file']}: {why}."
        f" Nothing was read or written. {what_to_do}."
    )


def _auth_type_of_profile(params: dict[str, t.Any]) -> str:
    """What the profile says by its shape: C(oci session authenticate) writes a token file, and no user."""
    # Without a default section: what [DEFAULT] holds would count as part of every profile.
    parser = configparser.ConfigParser(interpolation=None, default_section="\n")
    try:
        parser.read(params["oci_config_file"], encoding="utf-8")
        profile = parser[params["oci_profile"]]
    except (KeyError, OSError, UnicodeDecodeError, configparser.Error):
        return "api_key"  # whatever is wrong there is said when the profile is read
    if "security_token_file" in profile and "user" not in profile and "OCI_USER_ID" not in os.environ:
        return "security_token"
    return "api_key"


def _config(oci: t.Any, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The profile of the configuration file, under what the environment sets."""
    environment = {setting: os.environ[name] for setting, name in _ENVIRONMENT.items() if os.environ.get(name)}
    if {"user", "fingerprint", "key_file"} <= environment.keys() and not os.path.exists(params["oci_config_file"]):
        profile: dict[str, t.Any] = dict(oci.config.DEFAULT_CONFIG)
    else:
        profile = oci.config.from_file(params["oci_config_file"], params["oci_profile"])
    profile.update(environment)
    if "key_file" in environment:
        profile["key_file"] = os.path.expanduser(environment["key_file"])
    return profile


def _check_key_file(params: dict[str, t.Any], config: dict[str, t.Any]) -> None:
    key_file = config.get("key_file")
    if key_file and not os.access(os.path.expanduser(key_file), os.R_OK):
        raise _misconfigured(
            params, f"the key file {key_file} cannot be read", "Correct key_file in the profile or OCI_USER_KEY_FILE, or the file's mode"
        )


def _signer(oci: t.Any, auth_type: str, params: dict[str, t.Any], config: dict[str, t.Any]) -> t.Any:
    signers = oci.auth.signers
    none = oci.retry.NoneRetryStrategy()
    if auth_type == "security_token":
        with open(os.path.expanduser(config["security_token_file"]), encoding="ascii") as file:
            token = file.read().strip()
        key = oci.signer.load_private_key_from_file(os.path.expanduser(config["key_file"]), config.get("pass_phrase"))
        return signers.SecurityTokenSigner(token, key)
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
    if bundle is not None and not os.path.exists(bundle):
        raise AsyncJobError(f"The certificate bundle {bundle} does not exist. Nothing was read or written. Correct oci_cert_bundle.")
    session = client.base_client.session
    session.trust_env = False
    session.verify = bundle or True
    host = urlsplit(client.base_client.endpoint).hostname or ""
    session.proxies = {} if urllib.request.proxy_bypass(host) else urllib.request.getproxies()
