# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site that C(make docs) has built, in a real browser: its links lead somewhere, it finds things, and it takes no network."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from chromium import DESK, PHONE, Browser, Tab
from pages import GUIDES, ROOT

SITE = Path(os.environ.get("SITE") or ROOT / ".build/site/html")
# Where pictures of some pages are put, for people to look at.
PICTURES = os.environ.get("PICTURES")
LINKS = "[...new Set([...document.links].map((link) => link.href))]"
ANCHORS = "[...document.querySelectorAll('[id]')].map((one) => one.id)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests here."""
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


def visit(tab: Tab, url: str) -> None:
    """Go to another page."""
    tab.call("Page.navigate", url=url)
    tab.until(f"document.readyState === 'complete' && location.href === {url!r}")


def picture(tab: Tab, name: str) -> None:
    """Take one."""
    if PICTURES:
        tab.screenshot(Path(PICTURES, f"{name}.png"), whole=True)


def test_every_page_on_a_phone(browser: Browser) -> None:
    """All pages can be reached from the first one. No link is broken, nothing makes a page scroll sideways, nothing is fetched."""
    tab = Tab(browser, SITE / "index.html", PHONE, "light")
    ids: dict[str, set[str]] = {}
    wide, links, todo = [], set(), [tab.url]
    while todo:
        url = todo.pop()
        if url != tab.url or ids:
            visit(tab, url)
        ids[url] = {*tab.js(ANCHORS)}
        if not tab.fits():
            wide.append(url)
        picture(tab, f"phone-{Path(url).stem}")
        for link in tab.js(LINKS):
            if link.startswith("file:"):
                page = link.partition("#")[0].partition("?")[0]
                links.add((url, link))
                if page not in ids and page not in todo and Path(unquote(page.removeprefix("file://"))).is_file():
                    todo.append(page)
    broken = []
    for url, link in sorted(links):
        page, _hash, anchor = link.partition("#")
        page = page.partition("?")[0]
        if page not in ids or (anchor and unquote(anchor) not in ids[page]):
            broken.append((url, link))
    assert broken == []
    assert wide == []
    reached = {Path(url).name for url in ids}
    assert {f"{file.stem}.html" for file in GUIDES} <= reached
    assert {f"{file.stem}_module.html" for file in (ROOT / "plugins/modules").glob("async_*.py")} <= reached
    assert {"async_job_load_role.html", "async_job_save_role.html", "async_jobs_inventory.html"} <= reached
    requests = [event["request"]["url"] for event in tab.events("Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert tab.events("Runtime.exceptionThrown") == []
    tab.close()


def test_search(browser: Browser) -> None:
    """What somebody types into the box on the first page is found in a guide, and the answer leads there."""
    tab = Tab(browser, SITE / "index.html", DESK, "light")
    picture(tab, "desk-index")
    tab.js("document.querySelector('input[name=q]').focus()")
    tab.type("orphaned")
    tab.key("Enter")
    tab.until("location.pathname.endsWith('/search.html') && document.querySelectorAll('#search-results li a').length > 2")
    picture(tab, "desk-search")
    found: list[t.Any] = tab.js("[...document.querySelectorAll('#search-results li a')].map((link) => link.href)")
    [answer] = [url for url in found if "guide_troubleshooting.html" in url][:1]
    visit(tab, answer)
    assert "A job is orphaned" in tab.js("document.body.innerText")
    for name in ("guide_exactly_once", "guide_user", "guide_stores", "async_job_module") if PICTURES else ():
        folder = "" if name.endswith("_module") else "docsite/"
        visit(tab, (SITE / f"collections/rstyczynski/ansible/{folder}{name}.html").as_uri())
        picture(tab, f"desk-{name}")
    tab.close()
