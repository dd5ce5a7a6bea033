# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of OCI Object Storage mean: what to try again, what may have arrived, and what to tell the user.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._store.oci_client import brief


class DamagedError(Exception):
    """A document did not arrive as it was sent."""


class ForeignError(Exception):
    """Something else than the service has answered, and called that a success."""


def worth_another_try(error: t.Any) -> bool:
    if isinstance(error, OSError):
        return what_happened(error) not in (SIGNS["certificate_verify_failed"], SIGNS["redirects"], SIGNS["compressed or endless"])
    if isinstance(error, (DamagedError, ForeignError)):
        return isinstance(error, DamagedError)
    codes = ("BucketNotFound", "ConcurrentObjectUpdate", "UnmatchedContentMD5")
    return error.status in (408, 429) or error.status >= 500 or error.code in codes


def is_ours(operation: str, response: t.Any) -> bool:
    """Tell whether an answer is that of the service, rather than the page of a proxy or of a portal that wants a login."""
    if "opc-request-id" not in response.headers:
        return False
    if operation == "list_objects":
        objects = getattr(response.data, "objects", None)
        if not isinstance(objects, list):
            return False
        texts = [text for found in objects for text in (found.name, "" if found.etag is None else found.etag)]
        return all(isinstance(text, str) for text in (*texts, response.data.next_start_with or ""))
    return operation not in ("get_object", "put_object") or "etag" in response.headers


def may_have_arrived(error: t.Any) -> bool:
    """Tell whether a change may have been made although its request has failed like this."""
    if isinstance(error, OSError):
        return what_happened(error) not in NEVER_SENT
    return isinstance(error, ForeignError) or error.status >= 500


def concerns_all(error: t.Any) -> bool:
    """Tell whether requests for other documents would fare no better."""
    if isinstance(error, OSError):
        return what_happened(error) != SIGNS["incompleteread"]
    if isinstance(error, (DamagedError, ForeignError)):
        return isinstance(error, ForeignError)
    return error.status in (401, 403, 404, 408, 429) or error.status >= 500


def request_id(error: t.Any) -> str:
    """Return the id that the service gave to a request. The SDK has one of its own where it gave none."""
    return brief(str(error.headers.get("opc-request-id") or ""))


def what_happened(error: t.Any) -> str:
    """Say what happened, without the addresses of help pages that the SDK adds."""
    if isinstance(error, DamagedError):
        return "the document arrived damaged"
    if isinstance(error, ForeignError):
        return "something else than OCI Object Storage has answered"
    if isinstance(error, OSError):
        text = str(error).lower()
        for sign, meaning in SIGNS.items():
            if sign in text:
                return meaning
        return f"the connection failed ({type(error).__name__})"
    code = f" {brief(str(error.code))}" if error.code else ""
    message = f": {brief(error.message)}" if error.message else ""
    shown = f" (opc-request-id {request_id(error)})" if request_id(error) else ""
    return f"HTTP {error.status}{code}{message}{shown}"


WHEN_REFUSED = {
    "api_key": "Check the user, the fingerprint and the key of the profile {!r}, and the clock of this machine",
    "security_token": "The session may be over: oci session refresh --profile {}. Check the clock of this machine, too",
    "": "Check that a dynamic group and a policy name this resource, and the clock of this machine",
}

WHEN_FOREIGN = (
    "That is not how OCI Object Storage answers: check oci_region or oci_endpoint, and whether a proxy, or a portal that wants a login,"
    " stands in between; then run again"
)

# What the nested exceptions of the HTTP library say, and what it means
SIGNS = {
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
    "compressed or endless": "something else than OCI Object Storage has answered, compressed or without an end",
    "redirects": "something else than OCI Object Storage has answered, with a redirection",
    "proxy": "the proxy did not connect",
}

NEVER_SENT = (SIGNS["connection refused"], SIGNS["getaddrinfo"], SIGNS["certificate_verify_failed"])
