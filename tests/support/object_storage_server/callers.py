# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is calling: keys, security tokens, and the signatures of requests."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import email.utils
import json
import math
import re
import secrets
import time
from email.message import Message

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .answers import ServiceError

TOKEN_PREFIX = "ST$"
CLOCK_SKEW_SECONDS = 300


def session_token(subject: str, public_key: rsa.RSAPublicKey, expires_at: float) -> str:
    """Make a security token with the claims that the identity service puts in one; its own signature is made up."""

    def encode(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    def number(value: int) -> str:
        return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))

    numbers = public_key.public_numbers()
    jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "n": number(numbers.n), "e": number(numbers.e)}
    claims = {"sub": subject, "iss": "authService.oracle.com", "aud": "oci", "ptype": "user", "ttype": "login"}
    times = {"iat": int(time.time()), "exp": int(expires_at)}
    header = encode(json.dumps({"alg": "RS256", "kid": "asw", "typ": "JWT"}).encode())
    payload = encode(json.dumps({**claims, **times, "jwk": json.dumps(jwk)}).encode())
    return f"{header}.{payload}.{encode(secrets.token_bytes(256))}"


def token_expiry(key_id: str) -> float:
    """Return when the key id stops being valid: the ``exp`` claim of a security token, never for an API key."""
    parts = key_id.split(".")
    if not key_id.startswith(TOKEN_PREFIX) or len(parts) != 3:
        return math.inf
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=="))
    return float(claims.get("exp", math.inf))


def load_public_key(pem: bytes) -> rsa.RSAPublicKey:
    """Read the RSA public key in a PEM document."""
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("the public key is not an RSA key")
    return key


@dataclasses.dataclass(frozen=True)
class Credential:
    """What is known of one key id."""

    public_key: rsa.RSAPublicKey
    expires_at: float
    no_access: bool


class KeyRing:
    """The registered API keys and security tokens."""

    def __init__(self) -> None:
        self._credentials: dict[str, Credential] = {}

    def register(self, key_id: str, public_key: rsa.RSAPublicKey, no_access: bool = False) -> None:
        """Accept requests signed with the private half of the key, but show no bucket to a key without access."""
        self._credentials[key_id] = Credential(public_key, token_expiry(key_id), no_access)

    def revoke(self, key_id: str) -> None:
        """Refuse the key id from now on."""
        self._credentials.pop(key_id, None)

    def find(self, key_id: str) -> Credential | None:
        """Return the valid credential of the key id, if any."""
        credential = self._credentials.get(key_id)
        return credential if credential and time.time() < credential.expires_at else None


class SignatureVerifier:
    """Checks the HTTP signature of a request as the service does."""

    _PARAMETER = re.compile(r'(\w+)="([^"]*)"')

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def verify(self, method: str, target: str, headers: Message) -> Credential:
        """Return the credential that signed the request, or NotAuthenticated."""
        scheme, _separator, rest = (headers["authorization"] or "").partition(" ")
        parameters = dict(self._PARAMETER.findall(rest))
        signed = parameters.get("headers", "").split()
        if scheme.lower() != "signature" or parameters.get("algorithm") != "rsa-sha256":
            raise self._failure("was not provided")
        if parameters.get("version") != "1" or not {"(request-target)", "host"}.issubset(signed):
            raise self._failure("was not provided")
        self._check_date(signed, headers)
        credential = self._keys.find(parameters.get("keyId", ""))
        if credential is None:
            raise self._failure("was not provided or was incorrect")
        message = "\n".join(self._line(name, method, target, headers) for name in signed)
        try:
            signature = base64.b64decode(parameters.get("signature", ""), validate=True)
            credential.public_key.verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (binascii.Error, InvalidSignature) as error:
            raise self._failure("was not provided or was incorrect") from error
        return credential

    def _check_date(self, signed: list[str], headers: Message) -> None:
        header = next((name for name in ("x-date", "date") if name in signed), None)
        if header is None or headers[header] is None:
            raise self._failure("was not provided")
        try:
            sent = email.utils.parsedate_to_datetime(headers[header]).timestamp()
        except ValueError as error:
            raise self._failure("was not provided or was incorrect") from error
        if abs(time.time() - sent) > CLOCK_SKEW_SECONDS:
            raise ServiceError(401, "NotAuthenticated", "The request's date is more than 5 minutes off the clock")

    def _line(self, name: str, method: str, target: str, headers: Message) -> str:
        if name == "(request-target)":
            return f"{name}: {method.lower()} {target}"
        if headers[name] is None:
            raise self._failure("was not provided")
        return f"{name}: {headers[name]}"

    @staticmethod
    def _failure(what: str) -> ServiceError:
        return ServiceError(401, "NotAuthenticated", f"The required information to complete authentication {what}.")
