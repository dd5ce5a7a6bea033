# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local Object Storage service for tests, spoken to by the real SDK over a real socket.

Run as a program (``python -m object_storage_server``), it serves two loopback ports: the service itself, which verifies
request signatures, and a control port (JSON over HTTP, unsigned) for the tests. The control port understands:

========================= ==============================================================================
``GET /requests``         how many requests arrived, by kind
``GET /faults``           how often each kind of fault struck
``POST /faults``          add a fault: ``kind``, ``probability``, ``count``, ``methods``, ``prefix``, ``ms``
``DELETE /faults``        remove every fault and accept connections again
``GET /objects``          the objects of a bucket, by name, with base64 content
``PUT /objects``          write ``name`` with base64 ``content`` behind the clients' back
``DELETE /objects``       delete ``name`` behind the clients' back
``POST /buckets``         make a bucket (and its namespace)
``POST /keys``            register ``key_id`` with a PEM ``public_key``, optionally ``no_access``
``DELETE /keys``          revoke ``key_id``
``POST /stop``            end the process
========================= ==============================================================================

Objects and buckets are named by ``namespace``, ``bucket`` and ``name``; the first two default to the first ones the
server was started with. A security token is a key whose id is ``ST$<token>``; it expires as its ``exp`` claim says.

Not modelled, because the SDK does not ask for it unless told to: ranges, versions, multipart uploads, encryption
headers, and checksums other than Content-MD5.
"""

from __future__ import annotations

from .callers import session_token
from .client_files import ClientFiles
from .mishaps import FAULT_KINDS
from .server import ObjectStorageServer
from .stored import Listing, StoredObject

__all__ = ["FAULT_KINDS", "ClientFiles", "Listing", "ObjectStorageServer", "StoredObject", "session_token"]
