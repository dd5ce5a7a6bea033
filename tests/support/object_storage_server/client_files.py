# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for clients: keys, tokens, certificates and a configuration."""

from __future__ import annotations

import configparser
import datetime
import hashlib
import io
import ipaddress
import os
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .callers import TOKEN_PREFIX, KeyRing, session_token


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that only its owner can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
    return path


class ClientFiles:
    """Keys, a session token, a certificate and an SDK configuration file in one directory."""

    TENANCY = "ocid1.tenancy.oc1..aaaaaaaatest"
    USER = "ocid1.user.oc1..aaaaaaaatest"
    TOKEN_LIFETIME_SECONDS = 3600

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def write_credentials(self, keys: KeyRing) -> None:
        """Write the profiles DEFAULT, SESSION and WRONGKEY; register what the first two sign with."""
        api_key, session_key = self._make_key("api_key").public_key(), self._make_key("session_key").public_key()
        self._make_key("wrong_key")
        der = api_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        fingerprint = hashlib.md5(der, usedforsecurity=False).digest().hex(":")
        token = session_token(self.USER, session_key, time.time() + self.TOKEN_LIFETIME_SECONDS)
        token_file = write_private(self._directory / "token", token.encode())
        keys.register(f"{self.TENANCY}/{self.USER}/{fingerprint}", api_key)
        keys.register(TOKEN_PREFIX + token, session_key)

        config = configparser.ConfigParser(interpolation=None)
        common = {"tenancy": self.TENANCY, "region": "us-ashburn-1", "fingerprint": fingerprint}
        config["DEFAULT"] = {**common, "user": self.USER, "key_file": str(self._directory / "api_key.pem")}
        session = {"key_file": str(self._directory / "session_key.pem"), "security_token_file": str(token_file)}
        config["SESSION"] = {**common, **session}
        config["WRONGKEY"] = {"key_file": str(self._directory / "wrong_key.pem")}
        text = io.StringIO()
        config.write(text)
        write_private(self._directory / "config", text.getvalue().encode())

    def write_certificate(self) -> tuple[Path, Path]:
        """Write a self-signed certificate for the loopback address; return it and its key."""
        key = self._make_key("tls_key")
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        signing = dict.fromkeys(("content_commitment", "data_encipherment", "key_agreement", "crl_sign"), False)
        signing |= {"digital_signature": True, "key_encipherment": True, "key_cert_sign": True}
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        certificate = (
            x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**signing, encipher_only=False, decipher_only=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        path = write_private(self._directory / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
        return path, self._directory / "tls_key.pem"

    def _make_key(self, name: str) -> rsa.RSAPrivateKey:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        write_private(self._directory / f"{name}.pem", pem)
        return key
