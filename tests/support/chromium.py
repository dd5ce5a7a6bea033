# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser, for the pages of the report and of the documentation."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from missing import do_without

PATIENCE = 60
PHONE = (360, 740)
DESK = (1440, 900)

# The contrast of each element that has a text of its own with the background that it stands on, as WCAG defines it
CONTRASTS = """
(() => {
  const linear = (part) => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const back = (it) => {
    for (; it; it = it.parentElement) {
      const colour = parts(getComputedStyle(it).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const it of document.body.querySelectorAll("*")) {
    const own = [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !it.checkVisibility() || it.closest("script, noscript, option, .unseen")) continue;
    const [a, b] = [light(parts(getComputedStyle(it).color)), light(back(it))].sort((a, b) => b - a);
    const contrast = (a + .05) / (b + .05);
    if (contrast < 4.5) low.push([it.outerHTML.slice(0, 90), contrast.toFixed(2)]);
  }
  return low;
})()
"""

# What Chromium says of a page that has given way to the next one while it was asked
_LEFT = ("navigated or closed", "context was destroyed", "Cannot find default execution context")


class Left(Exception):
    """The page was left before it could answer."""


class Browser:
    """A headless Chromium, driven through a pipe."""

    def __init__(self, profile: Path) -> None:
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        if program is None:
            do_without("A browser is missing: apt-get install --no-install-recommends chromium")
        options = "no-sandbox disable-gpu disable-dev-shm-usage disable-background-networking disable-breakpad no-first-run"
        its_input, self._input = os.pipe()
        self._output, its_output = os.pipe()
        # It reads from the file descriptor 3, and writes to 4.
        passed = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (its_input, its_output)]
        self._process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{passed[0]} 4>&{passed[1]}', "bash"),
                *(program, "--headless", *(f"--{option}" for option in options.split()), "--host-resolver-rules=MAP * ~NOTFOUND"),
                *("--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (its_input, its_output, *passed):
            os.close(end)
        self._ids = itertools.count(1)
        self._buffer = b""
        self.events: list[dict[str, t.Any]] = []

    def close(self) -> None:
        """End it, and all that it has started."""
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._input)
        os.close(self._output)

    def call(self, method: str, session: str | None = None, **params: t.Any) -> dict[str, t.Any]:
        """Send a command of the DevTools protocol, and wait for its answer."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._input, data) :]
        while True:
            answer = self._receive(method)
            if answer.get("id") == number:
                said = answer.get("error", {}).get("message", "")
                if any(word in said for word in _LEFT):
                    raise Left(said)
                assert not said, f"{method}: {said}"
                result: dict[str, t.Any] = answer["result"]
                return result
            self.events.append(answer)

    def _receive(self, what: str) -> dict[str, t.Any]:
        while b"\0" not in self._buffer:
            ready, _writable, _broken = select.select([self._output], [], [], PATIENCE)
            read = os.read(self._output, 1 << 20) if ready else b""
            assert read, f"Chromium has not answered to {what}."
            self._buffer += read
        first, _end, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, t.Any] = json.loads(first)
        return message


class Tab:
    """A page in a browser."""

    def __init__(self, browser: Browser, file: Path, size: tuple[int, int], scheme: str) -> None:
        self._browser = browser
        self._width = size[0]
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        self.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=size == PHONE)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.url = file.as_uri()
        self.call("Page.navigate", url=self.url)
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def close(self) -> None:
        """Close it."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def call(self, method: str, **params: t.Any) -> dict[str, t.Any]:
        """Send a command of the DevTools protocol."""
        return self._browser.call(method, self._session, **params)

    def events(self, *methods: str) -> list[dict[str, t.Any]]:
        """What has happened in the page."""
        events = self._browser.events
        return [event["params"] for event in events if event.get("sessionId") == self._session and event["method"] in methods]

    def forget(self, *methods: str) -> None:
        """Take no notice of what has happened in the page."""
        self._browser.events = [event for event in self._browser.events if event["method"] not in methods]

    def js(self, expression: str) -> t.Any:
        """The value of an expression in the page, as JSON holds it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(Left):
                if self.js(expression):
                    return
            assert time.monotonic() < deadline, expression
            time.sleep(0.02)

    def texts(self, selector: str) -> list[str]:
        """The text of all elements."""
        texts: list[str] = self.js(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.innerText.trim())")
        return texts

    def fits(self) -> bool:
        """Whether nothing makes the page scroll sideways. A phone would rather zoom out, and then everything seems to fit."""
        width: int = self.js("document.documentElement.scrollWidth")
        return width <= self._width

    def click(self, selector: str) -> None:
        """Click where an element is."""
        found = f"document.querySelector({json.dumps(selector)})"
        x, y = self.js(
            # What comes into sight may take more room than it was given before.
            f"(async () => {{ const it = {found}; for (let frame = 0; frame < 2; frame++) {{ it.scrollIntoView({{block: 'center'}});"
            " await new Promise(requestAnimationFrame); } const box = it.getBoundingClientRect();"
            " return [box.x + Math.min(box.width / 2, 40), box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name: str) -> None:
        """Press a key."""
        code = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[name]
        text = {"Enter": "\r", " ": " "}.get(name, "")
        down = {"type": "keyDown" if text else "rawKeyDown", "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
        self.call("Input.dispatchKeyEvent", **down)
        self.call("Input.dispatchKeyEvent", **{**down, "type": "keyUp", "text": ""})

    def type(self, text: str) -> None:
        """Write a text where the focus is."""
        self.call("Input.insertText", text=text)

    def tab_to(self, selector: str) -> None:
        """Press Tab until an element has the focus."""
        for _turn in range(60):
            self.key("Tab")
            if self.js(f"document.activeElement.matches({json.dumps(selector)})"):
                return
        pytest.fail(f"The keyboard does not reach {selector}.")

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """Take a picture of what is in sight, or of the whole page."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))
