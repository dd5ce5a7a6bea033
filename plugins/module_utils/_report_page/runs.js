/* Copyright (c) 2026 The rstyczynski.ansible authors
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */
"use strict";
// The runs of workflows: for each workflow, its runs side by side over time, and the graph of the one that was chosen.
globalThis.runsView = ({$, element, number, many, time, lasted, badge, letter, data, made, detail}) => {
  const FLOW = 0, ID = 1, STATUS = 2, START = 3, END = 4, WHO = 5, GRAPH = 6, STATES = 7, WAYS = 8;
  const FLOWS = 20, PRINTED = 40;
  const GOOD = ["succeeded", "accepted"];
  const {words, graphs, runs, left} = data;
  let lines = null, shown = runs.map((_, index) => index), flowsShown = FLOWS;
  // Which run of each workflow is drawn, and which of its nodes is told about: by the names of all three, as the address has them
  const chosen = new Map();

  const svg = (tag, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    node.append(...children);
    return node;
  };
  const details = (index) => {
    lines = lines || $("run_details").textContent.split("\n");
    return JSON.parse(lines[index]);
  };
  const took = (run) => typeof run[START] === "number" ? Math.max((run[END] === "" ? made : run[END]) - run[START], 0) : "";
  const brief = (seconds) => seconds < 60 ? `${seconds}s` : seconds < 3600 ? `${Math.floor(seconds / 60)}m ${seconds % 60}s`
    : `${number(Math.floor(seconds / 3600))}h ${Math.floor(seconds / 60) % 60}m`;
  const word = (run, node) => words[run[STATES][node]];
  const nodeOf = (run, name) => graphs[run[GRAPH]].nodes.findIndex((node) => node[0] === name);
  const haystacks = runs.map((run) => [run[FLOW], run[ID], run[STATUS], run[WHO],
    ...graphs[run[GRAPH]].nodes.flatMap((node, index) => [node[0], word(run, index)])].join("\n").toLowerCase());

  // Which runs are shown. A status of jobs is that of runs one of whose nodes has it.
  function filter(texts, wanted) {
    shown = [...runs.keys()].filter((index) => texts.every((text) => haystacks[index].includes(text))
      && (!wanted.size || runs[index][STATES].some((state) => wanted.has(words[state]))));
    flowsShown = FLOWS;
    return `Showing ${shown.length === runs.length ? many(runs.length, "run")
      : `${number(shown.length)} of ${many(runs.length, "run")}`}`;
  }

  function draw() {
    const flows = new Map();
    for (const index of shown) {
      if (!flows.has(runs[index][FLOW])) flows.set(runs[index][FLOW], []);
      flows.get(runs[index][FLOW]).push(index);
    }
    const names = [...flows.keys()].slice(0, flowsShown);
    $("flows").replaceChildren(...names.map((name) => flow(name, flows.get(name), flows.size === 1 || name === names[0])));
    if (!names.length) $("flows").append(element("p", {class: "none"}, "No run fits these filters."));
    $("more_flows").hidden = flows.size <= flowsShown;
    $("more_flows").textContent = `Show more workflows (${number(names.length)} of ${number(flows.size)} are shown)`;
    // Only what is in the page has a width.
    for (const panel of document.querySelectorAll("#flows > .flow")) {
      const scroll = panel.querySelector(".scroll");
      scroll.scrollLeft = scroll.scrollWidth;
      if (panel.querySelector(".canvas")) place(panel.querySelector(".drawing"));
    }
  }

  // The newest runs are on the right, as on every axis of time.
  function flow(name, indexes, opens) {
    const here = indexes.slice().reverse();
    const rows = new Map();
    for (const index of indexes) for (const node of graphs[runs[index][GRAPH]].nodes) if (!rows.has(node[0])) rows.set(node[0], []);
    const longest = Math.max(1, ...here.map((index) => Number(took(runs[index]))));
    const heads = here.map((index, column) => {
      const run = runs[index], bar = element("i", {class: "swatch", "data-status": run[STATUS], "aria-hidden": "true"}, letter(run[STATUS]));
      bar.style.height = `${20 + 36 * Number(took(run)) / longest}px`;
      return cell("th", {role: "columnheader", class: "head", "aria-label": `run ${run[ID]}, ${run[STATUS]}, ${time(run[START])}`},
        index, "", here.length - column, bar);
    });
    const places = here.map((index) => new Map(graphs[runs[index][GRAPH]].nodes.map((node, number) => [node[0], number])));
    const lines = [...rows.keys()].map((node) => element("tr", {role: "row"},
      element("th", {role: "rowheader", scope: "row", dir: "auto", title: node}, node),
      ...here.map((index, column) => {
        const run = runs[index], number = places[column].get(node);
        if (number === undefined) return element("td", {role: "gridcell"});
        const state = word(run, number);
        return cell("td", {role: "gridcell", "data-status": state, "aria-label": `${node}, run ${run[ID]}, ${state}`},
          index, node, here.length - column, letter(state));
      })));
    const table = element("table", {role: "grid", class: "runs", "aria-label": `Runs of ${name}, the newest last`},
      element("thead", {role: "rowgroup"}, element("tr", {role: "row"}, element("th", {role: "columnheader"}, "Run"), ...heads)),
      element("tbody", {role: "rowgroup"}, ...lines));
    const older = left[name] ? `, and ${many(left[name], "run")} before these` : "";
    const panel = element("section", {class: "flow", "aria-label": name},
      element("h3", {dir: "auto"}, name),
      element("p", {class: "hint told", "aria-live": "polite"}, `${many(indexes.length, "run")}${older}`),
      element("div", {class: "scroll"}, table), element("div", {class: "of_run"}));
    panel.hint = panel.querySelector(".told").textContent;
    const wanted = chosen.get(name);
    const index = wanted && indexes.find((one) => runs[one][ID] === wanted.run);
    if (index !== undefined || opens) choose(panel, index === undefined ? indexes[0] : index, index === undefined ? "" : wanted.node);
    (table.querySelector(".chosen") || table.querySelector("[tabindex]")).tabIndex = 0;
    return panel;
  }

  function cell(tag, attributes, index, node, age, content) {
    const one = element(tag, {...attributes, tabindex: "-1"}, content);
    if (age > PRINTED) one.classList.add("old");
    one.of = [index, node];
    return one;
  }

  // One run

  function choose(panel, index, node) {
    const run = runs[index], graph = graphs[run[GRAPH]], known = details(index);
    chosen.set(run[FLOW], {run: run[ID], node});
    for (const one of panel.querySelectorAll(".chosen")) one.classList.remove("chosen");
    for (const one of panel.querySelectorAll("[tabindex]")) if (one.of && one.of[0] === index) one.classList.add("chosen");
    const about = element("p", {class: "about"}, badge(run[STATUS]), " ", element("b", {dir: "auto"}, `run ${run[ID]}`),
      `, begun ${time(run[START])} (UTC) by `, element("bdi", {}, run[WHO]),
      run[END] === "" ? `, ${lasted(took(run))} so far` : `, took ${lasted(took(run))}`);
    const parts = [about];
    if (known.reason) parts.push(element("p", {dir: "auto"}, `Cancelled: ${known.reason}`));
    if (known.params.length) parts.push(element("details", {}, element("summary", {}, many(known.params.length, "parameter")), values(known.params)));
    const drawing = element("div", {class: "drawing", role: "group", "aria-label": `Graph of run ${run[ID]}`},
      element("div", {class: "canvas"}));
    drawing.of = index;
    parts.push(drawing, element("p", {class: "hint"}, "A bold line was taken, a faint one was not; of a dashed one nobody knows yet. ",
      element("span", {class: "mark failed"}, "F"), " waits for a failure, ", element("span", {class: "mark"}, "\u2217"), " for any end."));
    const more = element("div", {class: "of_node"});
    parts.push(more);
    panel.querySelector(".of_run").replaceChildren(...parts);
    if (drawing.isConnected) place(drawing);
    const number = node === "" ? -1 : nodeOf(run, node);
    if (number >= 0) tell(panel, number);
    return graph;
  }

  const values = (pairs) => element("dl", {}, ...pairs.flatMap(([name, text]) => [element("dt", {}, name),
    element("dd", {}, text === null ? "(secret)" : text)]));

  // What is known of a node of the run that is drawn
  function tell(panel, index) {
    const drawing = panel.querySelector(".drawing"), run = runs[drawing.of], graph = graphs[run[GRAPH]];
    const [name, what, waits] = graph.nodes[index];
    const [attempt, why, begin, end, problems, hosts, more, artifacts, job, [, all, parts]] = details(drawing.of).nodes[index];
    chosen.set(run[FLOW], {run: run[ID], node: name});
    for (const one of drawing.querySelectorAll(".node")) one.setAttribute("aria-expanded", one.of === index);
    const node = element("div", {class: "detail", role: "group", "aria-label": name});
    const part = (title, content, wide) => node.append(element("div", wide ? {class: "all"} : {}, element("h4", {}, title), content));
    const table = (label, heads, rows) => element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": label}, element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {scope: "col"}, head)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((one) => element("td", {dir: "auto"}, typeof one === "number" ? String(one) : one)))))));
    const facts = [["what", what], ...(waits ? [["after", waits]] : []), ["attempt", String(attempt)]];
    if (begin !== null) facts.push(["due", `${time(begin)} (UTC)`]);
    if (end !== null) facts.push(["ended", `${time(end)} (UTC), after ${lasted(Math.max(end - begin, 0))}`]);
    node.append(element("p", {class: "all about"}, badge(word(run, index)), " ", element("b", {dir: "auto"}, name)));
    if (why) part("Why", element("p", {dir: "auto"}, why), true);
    part("Node", values(facts));
    if (artifacts.length) part("What it has set", values(artifacts));
    if (problems.length) part("Where it has failed", table("Where it has failed", ["Host", "Task", "Message"], problems), true);
    if (all) {
      part(parts.length < all ? `Inside (${number(parts.length)} of ${number(all)})` : "Inside", table("Inside", ["Node", "State", "Attempt", "Why"],
        parts.map(([name, state, ...rest]) => [name, badge(state), ...rest])), true);
    }
    if (hosts.length) {
      const counts = ["ok", "changed", "failed", "unreachable", "skipped", "rescued", "ignored"];
      part(more ? `Hosts (and ${number(more)} more)` : "Hosts", table("Hosts", ["Host", ...counts], hosts), true);
    }
    const below = [node];
    if (job >= 0) below.push(element("details", {class: "job_of"}, element("summary", {}, "Its job: attempts, output, record"), detail(job)));
    panel.querySelector(".of_node").replaceChildren(...below);
  }

  // The drawing: from left to right where there is room for that, else from top to bottom

  function place(drawing, room = drawing.clientWidth - 12) {
    const canvas = drawing.querySelector(".canvas");
    const run = runs[drawing.of], graph = graphs[run[GRAPH]], known = details(drawing.of);
    const focused = canvas.contains(document.activeElement) ? document.activeElement.of : -1;
    const open = [...canvas.querySelectorAll("[aria-expanded='true']")].map((one) => one.of);
    // What would be a little too wide draws closer.
    const fit = (least, most, size) => Math.max(least, Math.min(most, size));
    const HIGH = 48, NEAR = 14;
    const wide = {size: 176, far: fit(32, 56, (room - 176 * graph.layers) / Math.max(graph.layers - 1, 1))};
    const tall = {size: fit(124, 176, (room - NEAR * (graph.width - 1)) / graph.width), far: 44};
    const length = graph.layers * (wide.size + wide.far) - wide.far, breadth = (graph.width - 1) * (tall.size + NEAR) + tall.size;
    const across = length <= room || (breadth > room && length <= breadth);
    const {size, far} = across ? wide : tall;
    // The corner of a node or of a point, as it is drawn
    const at = ([layer, slot]) => across ? [layer * (size + far), slot * (HIGH + NEAR)] : [slot * (size + NEAR), layer * (HIGH + far)];
    const width = across ? length : breadth, height = across ? (graph.width - 1) * (HIGH + NEAR) + HIGH : graph.layers * (HIGH + far) - far;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const picture = svg("svg", {width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"});
    const marks = [];
    graph.edges.forEach(([from, to, kind, points], index) => {
      const way = {1: "taken", 0: "refused", ".": "open"}[run[WAYS][index]];
      const stops = [graph.nodes[from].slice(3), ...Array.from({length: points.length / 2}, (_, place) => points.slice(2 * place, 2 * place + 2)),
        graph.nodes[to].slice(3)].map(at);
      const middle = ([x, y]) => across ? [x, y + HIGH / 2] : [x + size / 2, y];
      const past = ([x, y]) => across ? [x + size, y + HIGH / 2] : [x + size / 2, y + HIGH];
      let line = "";
      for (let stop = 1; stop < stops.length; stop++) {
        const [x, y] = past(stops[stop - 1]), last = stop === stops.length - 1;
        let [u, v] = middle(stops[stop]);
        if (last) [u, v] = across ? [u - 7, v] : [u, v - 7];
        const bend = (across ? u - x : v - y) / 2;
        line += line ? `L${x} ${y}` : `M${x} ${y}`;
        line += across ? `C${x + bend} ${y} ${u - bend} ${v} ${u} ${v}` : `C${x} ${y + bend} ${u} ${v - bend} ${u} ${v}`;
        if (last) line += across ? `m0 -5l7 5l-7 5` : `m-5 0l5 7l5 -7`;
      }
      picture.append(svg("path", {d: line, class: `edge ${way} ${kind}`}));
      if (kind !== "succeeded") {
        const [x, y] = past(stops[0]), toward = middle(stops[1]);
        const [u, v] = across ? [x + 14, y + (toward[1] - y) * .1] : [x + (toward[0] - x) * .1, y + 14];
        marks.push(svg("g", {class: `mark ${kind}`}, svg("circle", {cx: u, cy: v, r: 8}),
          svg("text", {x: u, y: v}, kind === "failed" ? "F" : "\u2217")));
      }
    });
    picture.append(...marks);
    const nodes = graph.nodes.map((node, index) => {
      const state = word(run, index), [attempt, why, begin, end] = known.nodes[index], [over, all] = known.nodes[index].at(-1);
      const [x, y] = at(node.slice(3));
      const lasting = begin !== null && (end !== null || state === "running") ? brief(Math.max((end === null ? made : end) - begin, 0)) : "";
      const box = element("button", {type: "button", class: "node", "data-word": GOOD.includes(state) ? "good" : state,
        title: node[0], tabindex: index ? "-1" : "0", "aria-expanded": open.includes(index),
        "aria-label": [node[0], state, attempt > 1 ? `attempt ${attempt}` : "", node[2] ? `after ${node[2]}` : "", why].filter(Boolean).join(", ")},
      element("i", {class: "swatch", "data-status": state, "aria-hidden": "true"}, letter(state)),
      element("span", {}, element("b", {dir: "auto"}, node[0]),
        element("small", {}, [state, attempt > 1 ? `\u00d7${attempt}` : "", all ? `${over}/${all}` : "", lasting].filter(Boolean).join(" "))));
      Object.assign(box.style, {left: `${x}px`, top: `${y}px`, width: `${size}px`, height: `${HIGH}px`});
      box.of = index;
      return box;
    });
    canvas.replaceChildren(picture, ...nodes);
    const wanted = chosen.get(run[FLOW]), current = wanted?.node ? nodeOf(run, wanted.node) : -1;
    if (current >= 0) nodes[current].setAttribute("aria-expanded", "true");
    if (focused >= 0) nodes[focused].focus();
    // What does not fit shows what matters first.
    const worst = nodes.findIndex((one) => !["good", "skipped", "waiting"].includes(one.dataset.word));
    const first = nodes[Math.max(current >= 0 ? current : worst, 0)];
    drawing.scrollLeft = first.offsetLeft + size / 2 - drawing.clientWidth / 2;
  }

  // What people do

  const panelOf = (target) => target.closest(".flow");

  function say(target) {
    const [index, node] = target.of, run = runs[index];
    const number = node === "" ? -1 : nodeOf(run, node);
    const parts = [badge(number < 0 ? run[STATUS] : word(run, number)), ` run ${run[ID]}, ${time(run[START])}`];
    if (number >= 0) parts.splice(1, 0, " ", element("b", {dir: "auto"}, node));
    panelOf(target).querySelector(".told").replaceChildren(...parts);
  }

  for (const type of ["mouseover", "focusin"]) {
    $("flows").addEventListener(type, (event) => {
      const target = event.target.closest(".runs [tabindex]");
      if (target) say(target);
    });
  }
  $("flows").addEventListener("mouseout", (event) => {
    const panel = panelOf(event.target);
    if (panel && event.target.closest(".runs") && !event.relatedTarget?.closest(".runs")) {
      panel.querySelector(".told").textContent = panel.hint;
    }
  });

  function act(target) {
    const panel = panelOf(target);
    if (target.matches(".node")) tell(panel, target.of);
    else choose(panel, ...target.of);
  }

  function listen(remember) {
    $("flows").addEventListener("click", (event) => {
      const target = event.target.closest(".node, .runs [tabindex]");
      if (!target) return;
      act(target);
      remember(true);
    });
    $("flows").addEventListener("keydown", (event) => {
      const target = event.target;
      if (target.matches(".runs [tabindex]")) {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          act(target);
          remember(true);
          return;
        }
        const steps = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]}[event.key];
        const rows = [...target.closest("table").rows], row = rows.indexOf(target.parentNode);
        const next = steps && rows[row + steps[0]] && rows[row + steps[0]].cells[target.cellIndex + steps[1]];
        if (!steps) return;
        event.preventDefault();
        move(target, next?.of ? next : null);
      } else if (target.matches(".node")) {
        const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
        if (!step) return;
        event.preventDefault();
        const nodes = [...target.parentNode.querySelectorAll(".node")];
        move(target, nodes[nodes.indexOf(target) + step]);
      }
    });
  }

  function move(from, to) {
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  $("more_flows").addEventListener("click", () => {
    flowsShown += FLOWS;
    draw();
  });
  const drawings = () => document.querySelectorAll("#flows .drawing");
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    drawings().forEach((drawing) => {
      place(drawing);
    });
  });
  // On paper, what is too wide becomes smaller.
  addEventListener("beforeprint", () => {
    for (const drawing of drawings()) {
      place(drawing, 1000);
      drawing.firstChild.style.zoom = Math.min(1, 1000 / drawing.firstChild.offsetWidth);
    }
  });
  addEventListener("afterprint", () => {
    for (const drawing of drawings()) {
      drawing.firstChild.style.zoom = "";
      place(drawing);
    }
  });

  return {
    listen, filter, draw,
    // What the address keeps
    remember: (address) => {
      for (const [name, {run, node}] of chosen) address.append("run", JSON.stringify(node ? [name, run, node] : [name, run]));
    },
    recall: (address) => {
      chosen.clear();
      for (const text of address.getAll("run")) {
        try {
          const [name, run, node] = JSON.parse(text);
          chosen.set(name, {run, node: node || ""});
        } catch {
          // an address that somebody has typed
        }
      }
    },
  };
};
