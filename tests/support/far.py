# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wire to a host that is far away, as C(ProxyCommand) of ssh: C(far.py HOST PORT SECONDS), where everything takes that long each way.

Not every kernel can delay packets, and this needs no rights. Unlike packets on the way, bytes wait for nothing but their time.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time


def pump(source: int, destination: int, seconds: float) -> None:
    """Pass on what can be read, to its end, and the end itself. Each piece is as late as it has come, later."""
    waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()

    def write() -> None:
        while True:
            due, data = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                while data:
                    data = data[os.write(destination, data) :]
            except OSError:
                return
            if due == float("-inf"):
                return

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        while data := os.read(source, 1 << 16):
            waiting.put((time.monotonic() + seconds, data))
    except OSError:
        pass
    waiting.put((float("-inf"), b""))
    writer.join()


def main(host: str, port: str, seconds: str) -> None:
    """Be that wire."""
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=pump, args=(0, connection.fileno(), float(seconds)), daemon=True).start()
        pump(connection.fileno(), 1, float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
