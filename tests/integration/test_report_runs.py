# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of workflows in the HTML report, in a real browser."""

from __future__ import annotations

import datetime
import json
import random
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import CONTRASTS, DESK, PHONE, Browser, Tab
from workflows import begun, define, inside

from ansible_collections.rstyczynski.ansible.plugins.module_utils._records.record import Record
from ansible_collections.rstyczynski.ansible.plugins.module_utils._report_page.page import page
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.decide import Outcome, decide, end
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.definition import Definition, Graph, hash_of
from ansible_collections.rstyczynski.ansible.plugins.module_utils._workflow.run import (
    DUE,
    Run,
    key_of_node,
    mark_of_node,
    parts_of,
    with_events,
)

MADE = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc)
OK = "succeeded"
PIPELINE: dict[str, dict[str, t.Any]] = {
    "provision": {"retries": 1},
    "configure": {"all": {"provision": OK}},
    "go_live": {"approval": "Release goes live", "all": {"configure": OK}},
    "deploy": {"all": {"go_live": OK}},
    "smoke": {"all": {"deploy": OK}},
    "rollback": {"any": {"configure": "failed", "deploy": "failed"}},
    "notify": {"any": {"smoke": OK, "rollback": "finished"}},
}

# What the page does with 100 runs of 50 nodes, in milliseconds. On two idle cores of a small machine it takes a small part of that.
MOST_LOADING = 10_000
MOST_ANSWERING = 2_000


def story(
    definition: Definition, number: int, outcome_of: Callable[[str, int], str | None], *, took: float = 40, details: t.Any = None
) -> Run:
    """Return a run in which one thing happens after the other. What has no outcome goes on."""
    graph = Graph(definition)
    clock = [MADE - datetime.timedelta(hours=6 * number, minutes=7)]

    def now() -> str:
        clock[0] += datetime.timedelta(seconds=took)
        return clock[0].strftime("%Y-%m-%dT%H:%M:%SZ")

    run = {**begun(definition), "run": str(4711 - number), "workflow": definition["name"], "started": now(), "started_by": "ann@ctl"}
    run = with_events(None, run, "ann@ctl", run["started"])
    while True:
        after = decide(graph, run)
        run = with_events(run, after, "ann@ctl", now()) if after is not run else run
        due = parts_of(run, DUE)
        words = {name: outcome_of(name, part.node["attempt"]) for name, part in due.items()}
        outcomes = {
            name: Outcome(due[name].node["attempt"], word, *((details or {}).get(name, ("", {})) if word != OK else ("", {})))
            for name, word in words.items()
            if word
        }
        if not outcomes:
            return run
        run = with_events(run, decide(graph, end(graph, run, outcomes)), "ann@ctl", now())


FAILED = (
    "web2: Restart web: no such service",
    {
        "counts": {"web1": {"ok": 3, "changed": 1}, "web2": {"ok": 2, "failures": 1}},
        "problems": [{"host": "web2", "task": "Restart web", "msg": "no such service"}],
    },
)


def pipelines(count: int = 14) -> list[Run]:
    """Return runs of the pipeline, the newest first: one that goes on, and many that have ended in different ways."""
    definition = {**define(PIPELINE), "name": "Full Deployment Pipeline"}
    chance = random.Random(4)

    def ended(name: str, attempt: int) -> str:
        if name == "go_live":
            return "expired" if chance.random() < 0.08 else OK
        if name == "provision":
            return "killed" if attempt == 1 and chance.random() < 0.2 else OK
        return "failed" if name in ("deploy", "configure") and chance.random() < 0.25 else OK

    # The seconds that each step takes differ, too.
    runs = [story(definition, number, ended, took=chance.uniform(10, 90), details={"deploy": FAILED}) for number in range(2, count)]
    waiting = story(definition, 0, lambda name, _attempt: OK if name != "go_live" else None)
    handled = story(definition, 1, lambda name, _attempt: "failed" if name == "deploy" else OK, details={"deploy": FAILED})
    handled["nodes"]["provision"].update(artifacts={"version": {"value": "1.4.2"}, "key": {"vault": "$ANSIBLE_VAULT"}}, secret=["token"])
    handled.update(params={"target": "staging"}, secret_params=["password"])
    return [waiting, handled, *runs]


def large(runs: int, nodes: int) -> list[Run]:
    """Return runs of a graph of so many nodes."""
    chance = random.Random(5)
    made: dict[str, dict[str, t.Any]] = {}
    for number in range(nodes):
        parents = chance.sample([*made][-8:], min(len(made), chance.choice((1, 1, 2, 2, 3))))
        edges = {parent: chance.choice((OK, OK, OK, "failed", "finished")) for parent in parents}
        made[f"step_{number:02}_of_the_plan"] = {chance.choice(("all", "any")): edges}
    definition = {**define(made), "name": "Large"}
    problem = ("web1: Copy: no space left on device", FAILED[1])
    return [
        story(definition, number, lambda _name, _attempt: "failed" if chance.random() < 0.1 else OK, details=dict.fromkeys(made, problem))
        for number in range(runs)
    ]


def record_of(run: Run, name: str, **more: t.Any) -> Record:
    """Return the record of the job of a node."""
    key = key_of_node(run, name)
    times = {"start": "2026-11-21T10:00:00Z", "end": "2026-11-21T10:01:00Z"}
    record = {**key._asdict(), **times, "ansible_job_id": "j1.1", "metadata": mark_of_node(run, name), "attempt": 1, "status": "failed"}
    return t.cast("Record", {**record, "result": {"rc": 2, "stdout": "PLAY [all]"}, **more})


Show = Callable[..., Tab]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests here."""
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Show the runs of a report in a browser. No script may fail or be refused."""
    tabs: list[Tab] = []

    def show(
        runs: list[Run],
        records: t.Sequence[Record] = (),
        *,
        size: tuple[int, int] = DESK,
        scheme: str = "light",
        view: bool = True,
        is_whole: bool = True,
    ) -> Tab:
        file = tmp_path / f"report{len(tabs)}.html"
        file.write_text(page([*records], [], [], runs, store="/srv/jobs", made=MADE, is_whole=is_whole), encoding="ascii")
        tabs.append(Tab(browser, file, size, scheme))
        if view:
            tabs[-1].click(".views label:last-of-type")
        return tabs[-1]

    yield show
    for tab in tabs:
        assert tab.events("Runtime.exceptionThrown", "Log.entryAdded") == []
        assert [event["request"]["url"] for event in tab.events("Network.requestWillBeSent")] == [tab.url]
        tab.close()


def words(tab: Tab, selector: str) -> str:
    """The text of an element, on one line."""
    return " ".join(tab.texts(selector)[0].split())


def test_runs_side_by_side(show: Show) -> None:
    """A table of nodes and runs, the newest on the right; one that is chosen is drawn, and one of its nodes told about, with its job."""
    runs = pipelines()
    tab = show(runs, [record_of(runs[1], "deploy")])
    assert "14 runs of 1 workflow" in " ".join(tab.texts("header"))
    assert tab.texts("#count") == ["Showing 14 runs"]
    assert tab.texts(".runs tbody th") == ["provision", "configure", "go_live", "deploy", "smoke", "rollback", "notify"]
    newest = ".runs tr > :last-child"
    assert tab.texts(newest) == ["R", "\u2713", "\u2713", "?", *"\u00b7" * 4]
    assert tab.texts(".runs tr > :nth-last-child(2)")[:6] == ["~", "\u2713", "\u2713", "\u2713", "F", "\u2013"]
    assert words(tab, ".of_run .about").startswith("R running run 4711, begun 2026-11-21 11:53:40 (UTC) by ann@ctl")
    tab.click(".runs tbody tr:nth-child(4) > :nth-last-child(2)")
    assert words(tab, ".of_run > .about").startswith("~ recovered run 4710")
    assert tab.js("document.querySelectorAll('.runs .chosen').length") == 8
    [told] = tab.texts(".of_node .detail[aria-label=deploy]")
    for told_of in ("web2: Restart web: no such service", "after\n", "go_live", "Where it has failed", "web1", "no such service"):
        assert told_of in told
    tab.click(".job_of summary")
    assert "PLAY [all]" in tab.texts(".job_of")[0]
    tab.click(".of_run summary")
    assert tab.texts(".of_run > details dl")[0].split() == ["target", "staging", "password", "(secret)"]
    tab.click(".node[aria-label^=provision]")
    [told] = tab.texts(".of_node .detail[aria-label=provision]")
    assert "version\n1.4.2\nkey\n(encrypted)\ntoken\n(secret)" in told
    assert "$ANSIBLE_VAULT" not in tab.js("document.documentElement.outerHTML")
    assert tab.texts(".job_of") == []


def test_what_nobody_has_begun_does_not_run(show: Show) -> None:
    """A node is due as soon as its run has decided so. That it runs, the record of its job says; also inside of another node."""
    definition = {**define({"one": {}, "two": {}, "three": {"retries": 1}, "each": {"for_each": [1, 2]}}), "name": "Due"}
    run = story(definition, 0, lambda name, attempt: "failed" if name == "three" and attempt == 1 else None)
    began = {"status": "running", "end": None}
    records = [record_of(run, "two", status="starting"), record_of(run, "three", **began), record_of(run, "each[1]", **began)]
    assert words(show([run], records), ".runs tbody") == "one \u00b7 two \u00b7 three \u00b7 each R"
    records[1]["attempt"] = 2
    assert words(show([run], records), ".runs tbody") == "one \u00b7 two \u00b7 three R each R"
    # A record that was left out because of its age, or cannot be read, may say anything.
    assert words(show([run], records, is_whole=False), ".runs tbody") == "one R two \u00b7 three R each R"


def test_drawing(show: Show) -> None:
    """Layers one after the other; edges that were taken, that were not, and that nobody knows of yet; states by word, sign and look."""
    tab = show(pipelines())
    tab.click(".runs thead > tr > :nth-last-child(2)")
    boxes = tab.js(
        "Object.fromEntries([...document.querySelectorAll('.node')].map((node) => [node.querySelector('b').textContent, [node.offsetLeft,"
        " node.offsetTop, node.querySelector('.swatch').textContent, node.querySelector('small').textContent.split(' ')[0]]]))"
    )
    states = {name: box[2:] for name, box in boxes.items()}
    assert (states.pop("deploy"), states.pop("smoke")) == (["F", "failed"], ["\u2013", "skipped"])
    assert [*states.values()] == [["\u2713", "succeeded"]] * 5
    lefts = [boxes[name][0] for name in ("provision", "configure", "go_live", "deploy", "smoke", "notify")]
    assert lefts == sorted(set(lefts))
    assert boxes["smoke"][0] == boxes["rollback"][0]
    assert boxes["smoke"][1] != boxes["rollback"][1]
    edges = tab.js("[...document.querySelectorAll('.edge')].map((edge) => edge.getAttribute('class'))")
    assert sorted(edges) == sorted(
        ["edge taken succeeded"] * 3  # as far as deploy
        + ["edge refused succeeded", "edge refused succeeded", "edge refused failed"]  # to smoke, from smoke, from configure
        + ["edge taken failed", "edge taken finished"]
    )
    assert tab.js("[...document.querySelectorAll('svg .mark')].map((mark) => mark.textContent)") == ["F", "F", "\u2217"]
    tab.click(".runs thead > tr > :last-child")
    assert tab.js("document.querySelectorAll('.edge.open').length") == 5
    assert "awaits approval" in tab.js("document.querySelector('.node[data-word=\"awaits approval\"]').ariaLabel")
    overlaps = tab.js(
        "(() => { const boxes = [...document.querySelectorAll('.node')].map((node) => node.getBoundingClientRect());"
        " const meet = (a, b) => a !== b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;"
        " return boxes.filter((a) => boxes.some((b) => meet(a, b))).length; })()"
    )
    assert overlaps == 0


def test_what_is_inside_of_nodes(show: Show) -> None:
    """Items and workflows inside are counted in the drawing, and told about, the worst first."""
    inner = define({"build": {}, "test": {"all": {"build": OK}}})
    each = {"for_each": ["a", "b", "c"], "all": {"release": OK}}
    definition = define({"release": inside(inner), "each": each, "last": {"all": {"each": OK}}})
    run = story(definition, 0, lambda name, _attempt: "failed" if name == "each[1]" else OK, details={"each[1]": ("no space", {})})
    tab = show([run])
    assert tab.js("[...document.querySelectorAll('.node small')].map((one) => one.textContent.split(' ').slice(0, 2).join(' '))") == [
        "succeeded 2/2",
        "failed 3/3",
        "skipped",
    ]
    tab.click(".node[aria-label^='each,']")
    rows = tab.js("[...document.querySelectorAll('.of_node tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText))")
    assert [[row[0], row[1].split()[-1], row[3]] for row in rows] == [
        ["each[1]", "failed", "no space"],
        ["each[0]", "succeeded", ""],
        ["each[2]", "succeeded", ""],
    ]


def test_filters_and_address(show: Show) -> None:
    """Words and the status of a node choose runs; the address keeps what is drawn, and the way back shows it again."""
    runs = pipelines()
    tab = show(runs, [record_of(runs[1], "deploy")])
    tab.click(".runs tbody tr:nth-child(4) > :nth-last-child(2)")
    address = tab.js("location.hash")
    assert "view=workflows" in address
    tab.click(".runs thead > tr > :last-child")
    assert tab.texts(".of_node > .detail") == []
    tab.js("history.back()")
    tab.until("document.querySelectorAll('.of_node > .detail').length === 1")
    tab.click(".chip[data-index='0']")
    failed = sum(any(node.get("outcome") == "failed" for node in run["nodes"].values()) for run in runs)
    assert tab.texts("#count") == [f"Showing {failed} of 14 runs"]
    tab.click("#text")
    tab.type("4710")
    assert tab.texts("#count") == ["Showing 1 of 14 runs"]
    tab.type(" nothing like that")
    assert tab.texts("#flows") == ["No run fits these filters."]
    tab.click("#clear")
    tab.js(f"location.hash = {json.dumps(address)}")
    tab.until("document.querySelectorAll('.of_node > .detail').length === 1")
    tab.click(".views label:first-of-type")
    assert tab.texts("#count") == ["Showing 1 job"]
    assert tab.js("document.getElementById('flow_view').hidden")
    assert show([], view=False).texts(".views label") == ["Table", "Time line"]


def test_keyboard(show: Show) -> None:
    """All of it without a mouse: cells by arrows, Enter draws, nodes by arrows, Enter tells."""
    tab = show(pipelines())
    tab.tab_to(".runs [tabindex='0']")
    assert "run 4711" in tab.js("document.activeElement.ariaLabel")
    for _step in range(4):
        tab.key("ArrowDown")
    tab.key("ArrowLeft")
    assert tab.js("document.activeElement.ariaLabel") == "deploy, run 4710, failed"
    assert words(tab, ".flow .told").startswith("F failed deploy run 4710")
    tab.key("Enter")
    assert tab.js("document.activeElement.ariaLabel") == "deploy, run 4710, failed"
    assert len(tab.texts(".of_node .detail[aria-label=deploy]")) == 1
    tab.tab_to(".node")
    tab.key("ArrowRight")
    assert tab.js("document.activeElement.querySelector('b').textContent") == "configure"
    tab.key("Enter")
    assert len(tab.texts(".of_node .detail[aria-label=configure]")) == 1
    assert tab.js("document.activeElement.ariaExpanded") == "true"


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "dark"), ((700, 900), "light"), (DESK, "light"), (DESK, "dark")], ids=str)
def test_phone_and_contrast(show: Show, size: tuple[int, int], scheme: str) -> None:
    """Nothing scrolls the page sideways, and all text can be read, in every state."""
    runs = [*pipelines(), *large(3, 30)]
    for outcome, run in zip(("accepted", "rejected", "expired", "cancelled", "timed_out", "lost", "killed"), runs[3:], strict=False):
        run["nodes"]["provision"].update(state="ended", outcome=outcome)
    for status, run in zip(("cancelling", "cancelled", "failed"), runs[3:], strict=False):
        run["status"] = status
    tab = show(runs, [record_of(runs[1], "deploy")], size=size, scheme=scheme)
    tab.click(".runs tbody tr:nth-child(4) > :nth-last-child(2)")
    tab.click(".job_of summary")
    tab.click(".flow:nth-of-type(2) .runs thead > tr > :last-child")
    assert tab.fits()
    assert tab.js(CONTRASTS) == []
    fills = tab.js(
        "Object.fromEntries([...document.querySelectorAll('.runs [data-status]')].map((cell) => [cell.dataset.status,"
        " getComputedStyle(cell).backgroundColor + getComputedStyle(cell).backgroundImage + cell.innerText]))"
    )
    assert len(fills) > 12
    assert len(set(fills.values())) == len(fills)


def test_print(show: Show) -> None:
    """On paper, the newest runs and the whole drawing."""
    tab = show(large(60, 40), scheme="dark")
    tab.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    tab.js("dispatchEvent(new Event('beforeprint'))")
    heads = "[...document.querySelectorAll('.runs thead [tabindex]')].filter((head) => head.checkVisibility()).length"
    assert tab.js(heads) == 40
    assert tab.js("document.querySelector('.canvas').getBoundingClientRect().width") <= 1001
    assert tab.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.js("dispatchEvent(new Event('afterprint'))")
    assert tab.js("document.querySelector('.canvas').style.zoom") == ""


ATTACKS = (
    "<img src=x onerror=\"window.pwned=1;document.title='pwned'\">",
    "</script><script>window.pwned=1</script>",
    "\"><svg onload='window.pwned=1'>",
    "__proto__",
    "\u2028\u2029 \ud800 \u202egnp.exe",
    "x" * 3000,
)


def printable(text: str) -> str:
    """What of a text is the same in every encoding."""
    return "".join(character for character in text if character.isascii() and character.isprintable())


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: ascii(attack)[:20])
def test_hostile_runs(show: Show, attack: str) -> None:
    """Names, messages and values are text, wherever they stand, and run nothing. The page does not rely on names having been checked."""
    definition = {**define({attack: {}, "b": {"all": {attack: "failed"}}}, checked=False), "name": attack}
    details = {
        "counts": {attack: {"ok": 1}},
        "problems": [dict.fromkeys(("host", "task", "msg"), attack)],
        "artifacts": {attack: {"value": attack}},
        "secret": [attack],
    }
    run = story(definition, 0, lambda name, _attempt: "failed" if name == attack else None, details={attack: (attack, details)})
    run.update(run=attack, started_by=attack, params={attack: attack}, secret_params=[attack], cancelling={"reason": attack})
    tab = show([run], size=PHONE)
    title = tab.js("document.title")
    tab.click(".runs tbody tr > td")
    tab.js("document.querySelectorAll('summary').forEach((summary) => summary.click())")
    plain = printable(attack)[:200]
    for part in (".flow h3", ".node b", ".of_node td", ".of_node dd", ".of_run dt", ".of_run > p", ".runs th"):
        texts = tab.js(f"[...document.querySelectorAll({json.dumps(part)})].map((one) => one.textContent)")
        assert any(plain in printable(text) for text in texts), part
    assert tab.fits()
    assert tab.js("[typeof window.pwned, document.title]") == ["undefined", title]
    assert tab.js("document.querySelectorAll('img, iframe, svg[onload], [onerror]').length") == 0
    address = tab.js("location.hash")
    tab.js("location.hash = ''")
    tab.until("document.getElementById('flow_view').hidden")
    tab.js(f"location.hash = {json.dumps(address)}")
    tab.until("!document.getElementById('flow_view').hidden")
    assert len(tab.texts(".node")) == 2
    tab.js("location.hash = '#view=workflows&run=nonsense&run=%5B%22a%22%5D'")
    tab.until("document.querySelectorAll('.node').length === 2")


def test_nothing_secret_is_told() -> None:
    """What the author tells a node may be a secret: neither words of commands, nor options of tasks, nor variables are in the page."""
    told: dict[str, dict[str, t.Any]] = {"a": {"command": "curl -H s3cr3t", "vars": {"token": "s3cr3t"}}}
    definition = define(told, vars={"password": "s3cr3t"}, params={"pin": {"secret": True, "default": "s3cr3t"}})
    definition["nodes"]["t"] = {"kind": "task", "task": {"ansible.builtin.uri": {"body": "s3cr3t"}}, "parents": {}, "join": "all"}
    definition["order"] = ["a", "t"]
    definition["nodes"]["a"]["kind"] = "command"
    document = page([], [], [], [story(definition, 0, lambda _name, _attempt: OK)], store="/srv/jobs", made=MADE)
    assert "ansible.builtin.uri" in document
    assert "s3cr3t" not in document


def test_many_runs(show: Show, record_property: Callable[[str, object], None]) -> None:
    """It stays smooth with 100 runs of 50 nodes."""
    runs = large(100, 50)
    assert all(hash_of(run["definition"]) == run["definition_hash"] for run in runs[:2])
    began = time.perf_counter()
    document = page([], [], [], runs, store="/srv/jobs", made=MADE)
    took = {"make": 1000 * (time.perf_counter() - began), "megabytes": len(document) / 1e6}
    tab = show(runs, view=False)
    took["load"] = tab.js("performance.getEntriesByType('navigation')[0].loadEventEnd")

    def measure(action: str, times: int = 3) -> float:
        script = f"(() => {{ const began = performance.now(); {action}; document.body.offsetHeight; return performance.now() - began; }})()"
        return min(float(tab.js(script)) for _turn in range(times))

    took["show"] = measure("document.getElementById('as_flows').click()", 1)
    assert tab.js("document.querySelectorAll('.runs td').length") == 5000
    took["draw a run"] = measure("document.querySelector('.runs thead > tr > :nth-child(50)').click()")
    took["tell of a node"] = measure("document.querySelector('.node:nth-of-type(3)').click()")
    took["filter"] = measure(
        "document.getElementById('text').value = '46'; document.getElementById('text').dispatchEvent(new Event('input'))"
    )
    for what, value in took.items():
        print(f"{what}: {value:.1f}")
        record_property(what, round(value, 1))
    assert took.pop("megabytes") < 10
    assert max(took.pop("make"), took.pop("load")) < MOST_LOADING
    assert max(took.values()) < MOST_ANSWERING
