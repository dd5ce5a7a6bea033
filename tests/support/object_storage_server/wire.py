# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire: a port that can go away and come back, and connections that can break."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import socketserver
import ssl
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

from .answers import Reply, ServiceError


class LoopbackServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves one loopback port, one thread to a connection; can go away and come back on the same port."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: Any, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self._tls = tls
        self._gate = threading.Lock()
        self._accepting: threading.Thread | None = None
        self._reopening: threading.Timer | None = None
        self._connections: set[socket.socket] = set()
        self._accept()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.server_address[1]}"

    def refuse(self, seconds: float | None) -> None:
        """Drop every connection and refuse new ones, for a while or until ``accept_again``."""
        with self._gate:
            if self._accepting:
                self.shutdown()
                self._accepting.join()
                self._accepting = None
                self.socket.close()
                # Bound but not listening: clients are refused, and nobody else can take the port meanwhile.
                self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind(self.server_address)
                for connection in list(self._connections):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
            if seconds is not None:
                self._reopening = threading.Timer(seconds, self.accept_again)
                self._reopening.daemon = True
                self._reopening.start()

    def accept_again(self) -> None:
        """End a refusal."""
        with self._gate:
            if self._reopening:
                self._reopening.cancel()
                self._reopening = None
            if not self._accepting:
                self.socket.listen(self.request_queue_size)
                self._accept()

    def _accept(self) -> None:
        self._accepting = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._accepting.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its TLS handshake is left to its own thread."""
        connection, address = super().get_request()
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close without the orderly shutdown of the base class, which would turn a reset into an end of stream."""
        self._connections.discard(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that went away."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP/1.1 with whole replies in one segment and no log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    serve: Callable[[], None]
    """Answers one request. Each kind of handler has its own."""

    def __getattr__(self, name: str) -> Any:
        # The base class looks for a do_<METHOD> of each method; here one place answers them all.
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        """Let the client send its body now: the stream is buffered, and the client waits."""
        allowed = super().handle_expect_100()
        self.wfile.flush()
        return allowed

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def read_body(self) -> bytes:
        """Read the request's body; a request that does not say how long it is ends the connection."""
        length = self.headers["content-length"] or "0"
        if not length.isdecimal() or "transfer-encoding" in self.headers:
            self.close_connection = True
            raise ServiceError(400, "InvalidContentLength", "The Content-Length header is missing or invalid")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the client went away in the middle of a request")
        return body

    def send_reply(self, reply: Reply, cut: bool = False) -> None:
        """Write the reply, or only half of its body."""
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("content-length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
        self.close_connection = self.close_connection or cut

    def reset(self) -> None:
        """Make closing the connection send a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
