/* Copyright (c) 2026 The rstyczynski.ansible authors
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */
(() => {
  const HOST = 0, PLAYBOOK = 1, JOB = 2, STATUS = 3, START = 5, TOOK = 6, WHO = 8, LINE = 9, BARS = 10, REASON = 11, NOTICED = 12;
  // How much is put into the page at once, so that it answers at once
  const ROWS = 100, HOSTS = 100, ALL_BARS = 3000, BARS_OF_HOST = 500, LANES = 20, PRINTED = 2000;
  const LANE = 24;
  const $ = (id) => document.getElementById(id);
  const {made, letters, signs, statuses, jobs, flows: data} = JSON.parse($("data").textContent);
  const ranks = [...Object.keys(letters), ...statuses];
  let details = null;

  // What a job holds goes into the page here, and only as text.
  const element = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const name in attributes) node.setAttribute(name, attributes[name]);
    node.append(...children);
    return node;
  };
  const number = new Intl.NumberFormat("en").format;
  const many = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;
  const two = (count) => String(count).padStart(2, "0");
  const time = (value) => typeof value === "number" ? new Date(value * 1000).toISOString().slice(0, 19).replace("T", " ") : value;
  const lasted = (value) => {
    if (typeof value !== "number") return value;
    const days = Math.floor(value / 86400), minutes = Math.floor(value / 60);
    return (days ? `${number(days)} d ` : "") + [Math.floor(value / 3600) % 24, minutes % 60, value % 60].map(two).join(":");
  };
  // Of what somebody has only noticed to have ended, it is the most that it can have taken.
  const took = (value, noticed) => (noticed && value !== "" ? "\u2264 " : "") + lasted(value);
  const ago = (value) => {
    if (typeof value !== "number") return value;
    const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([size]) => value >= size) || [1, "s"];
    return `${number(Math.floor(value / size))} ${unit}`;
  };
  const known = new Map(Object.entries({...letters, ...signs}));
  const letter = (status) => known.get(status) || "?";
  const badge = (status) => element("span", {class: "badge"},
    element("i", {class: "swatch", "data-status": status, "aria-hidden": "true"}, letter(status)), element("bdi", {}, status));
  // Names break after their punctuation rather than anywhere.
  const clamped = (value) => element("div", {class: "clamp", dir: "auto"},
    ...value.match(/[^._@/-]*[._@/-]*/g).flatMap((part) => [part, element("wbr", {})]));

  const COLUMNS = [
    ["Host", clamped], ["Playbook", clamped], ["Job"], ["Status", badge], ["Attempt", String],
    ["Started (UTC)", time], ["Duration", lasted], ["Age", ago], ["Who", clamped], ["Last line", clamped],
  ];

  // The table: sorted, filtered, and as much of it as was scrolled to

  const open = new Set();
  let order = jobs.map((_, index) => index), shown = order, rendered = 0;
  let sorting = START, descending = true;
  const keys = [], collator = new Intl.Collator("en", {numeric: true});
  const haystacks = jobs.map((job) => [HOST, PLAYBOOK, JOB, STATUS, WHO, LINE, REASON].map((column) => job[column]).join("\n").toLowerCase());

  function keysOf(column) {
    if (!keys[column]) {
      const values = jobs.map((job) => column === STATUS ? ranks.indexOf(job[STATUS]) : job[column]);
      const texts = [...new Set(values.filter((value) => typeof value !== "number"))].sort(collator.compare);
      const places = new Map(texts.map((text, place) => [text, text === "" ? Infinity : 1e12 + place]));
      keys[column] = values.map((value) => typeof value === "number" ? value : places.get(value));
    }
    return keys[column];
  }

  function sort() {
    const key = keysOf(sorting), sign = descending ? -1 : 1;
    // What is missing comes last, either way.
    order = order.slice().sort((a, b) => key[a] === key[b] ? a - b
      : key[a] === Infinity ? 1 : key[b] === Infinity ? -1 : sign * (key[a] - key[b]));
    [...$("head").children].forEach((cell, column) => {
      if (column === sorting) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    filter();
  }

  function filter() {
    const words = $("text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(chips.filter(pressed).map((chip) => statuses[chip.dataset.index]));
    const host = $("host").selectedIndex, playbook = $("playbook").selectedIndex;
    shown = order.filter((index) => (!wanted.size || wanted.has(jobs[index][STATUS]))
      && (!host || jobs[index][HOST] === choices[HOST][host - 1])
      && (!playbook || jobs[index][PLAYBOOK] === choices[PLAYBOOK][playbook - 1])
      && words.every((word) => haystacks[index].includes(word)));
    $("clear").hidden = !(words.length || wanted.size || host || playbook);
    const ofRuns = flows.filter(words, wanted);
    const text = shown.length === jobs.length ? many(jobs.length, "job") : `${number(shown.length)} of ${many(jobs.length, "job")}`;
    $("count").textContent = showsFlows() ? ofRuns : `Showing ${text}`;
    hostsShown = HOSTS;
    draw();
  }

  function draw() {
    $("table_view").hidden = !$("as_table").checked;
    $("time_view").hidden = !$("as_time").checked;
    $("flow_view").hidden = !showsFlows();
    for (const label of document.querySelectorAll(".of_jobs")) label.hidden = showsFlows();
    if (showsFlows()) return flows.draw();
    if ($("as_time").checked) return drawTime();
    rendered = 0;
    $("rows").replaceChildren();
    $("rows").parentNode.setAttribute("aria-rowcount", shown.length + 1);
    if (shown.length) return addRows(ROWS);
    $("rows").append(element("tr", {role: "row"}, element("td", {role: "cell", colspan: COLUMNS.length, class: "none"},
      jobs.length ? "No job fits these filters." : "There are no jobs in this store.")));
  }

  function addRows(count) {
    const rows = document.createDocumentFragment();
    for (const index of shown.slice(rendered, rendered + count)) {
      rows.append(row(index, ++rendered + 1));
      if (open.has(index)) rows.append(below(index));
    }
    $("rows").append(rows);
    // Only a new observation tells once more whether the end is in sight.
    sight.unobserve($("end"));
    if (rendered < shown.length) sight.observe($("end"));
  }

  function row(index, place) {
    const cells = COLUMNS.map(([label, show], column) => {
      const value = jobs[index][column];
      const cell = element("td", {role: "cell", class: "c" + column, "data-label": label});
      if (column === JOB) cell.append(element("button", {type: "button", class: "name", "aria-expanded": open.has(index)}, clamped(value)));
      else if (value !== "") cell.append(column === TOOK ? took(value, jobs[index][NOTICED]) : show(value));
      return cell;
    });
    const line = element("tr", {role: "row", "aria-rowindex": place, class: open.has(index) ? "job open" : "job"}, ...cells);
    line.index = index;
    return line;
  }

  function below(index) {
    return element("tr", {role: "row", class: "more-of"}, element("td", {role: "cell", colspan: COLUMNS.length}, detail(index)));
  }

  function toggle(line) {
    const opens = !open.delete(line.index);
    if (opens) {
      open.add(line.index);
      line.after(below(line.index));
    } else {
      line.nextElementSibling.remove();
    }
    line.classList.toggle("open", opens);
    line.querySelector(".name").setAttribute("aria-expanded", opens);
    remember(true);
  }

  // What is known of one job

  function detail(index) {
    details = details || $("details").textContent.split("\n");
    const {attempts, links, result, secret, texts, fields} = JSON.parse(details[index]);
    const job = jobs[index];
    const node = element("div", {class: "detail", role: "group", "aria-label": `${job[JOB]} on ${job[HOST]}`});
    const part = (title, content, wide) => node.append(element("div", wide ? {class: "all"} : {}, element("h3", {}, title), content));
    const list = (pairs) => element("dl", {}, ...pairs.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
    if (job[REASON] !== "") part("Reason", element("p", {dir: "auto"}, job[REASON]), true);
    const heads = ["Attempt", "Status", "Started (UTC)", "Ended (UTC)", "Duration", "rc", "Who"];
    if (attempts.slice(1).some((attempt) => attempt[8] !== "")) heads.push("Reason");
    const lines = attempts.map(([attempt, status, start, end, seconds, noticed, ...rest]) => {
      const cells = [String(attempt), badge(status), time(start), time(end), took(seconds, noticed), ...rest];
      return element("tr", {}, ...cells.slice(0, heads.length).map((cell) => element("td", {dir: "auto"}, cell)));
    });
    part("Attempts", element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": "Attempts"}, element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {scope: "col"}, head)))),
      element("tbody", {}, ...lines))), true);
    if (links.length) {
      part("ARA", element("ul", {}, ...links.map(([text, href]) => element("li", {}, element("a", {href, rel: "noreferrer"}, text)))), true);
    }
    if (result.length) part("Result", list(result), true);
    if (secret) part("Output", element("p", {}, "The job is under no_log: nothing that it was told or has said is stored."), true);
    for (const [name, text, cut] of texts) {
      part(cut ? `${name} (the end of it)` : name, element("pre", {tabindex: "0", role: "group", "aria-label": name}, text));
    }
    node.append(element("details", {class: "all"}, element("summary", {}, "Other fields of the record"), list(fields)));
    return node;
  }

  // The time line: a group for each host, and in it a lane for each attempt that ran at the same time as others

  let hostsShown = HOSTS, axis = [Infinity, 0];
  const ofBar = new WeakMap();
  // Keys and pointing are for those who have such devices.
  const HINT = matchMedia("(hover: hover) and (pointer: fine)").matches
    ? "Point at a bar to read what it is, or move with the arrow keys. A click or Enter tells all."
    : "Touch a bar to read what it is, and all that is known of its job.";

  function drawTime() {
    const range = Number($("range").value), since = range ? made - range : -Infinity, latest = made + 3600;
    const hosts = new Map();
    let from = Infinity, to = -Infinity;
    for (const index of shown) {
      for (const bar of jobs[index][BARS]) {
        if (bar[2] < since || bar[1] > latest) continue;
        const host = jobs[index][HOST];
        if (!hosts.has(host)) hosts.set(host, []);
        hosts.get(host).push([index, ...bar]);
        from = Math.min(from, Math.max(bar[1], since));
        to = Math.max(to, Math.min(bar[2], latest));
      }
    }
    to = Math.max(to, from + 10);
    const groups = document.createDocumentFragment();
    let bars = 0, done = 0;
    for (const [host, all] of hosts) {
      if (done === hostsShown || bars >= ALL_BARS * hostsShown / HOSTS) break;
      done++;
      bars += Math.min(all.length, BARS_OF_HOST);
      groups.append(group(host, all, from, to));
    }
    $("hosts").replaceChildren(groups);
    const first = $("hosts").querySelector(".bar");
    if (first) first.tabIndex = 0;
    axis = [from, to];
    drawAxis(from, to);
    $("caption").textContent = hosts.size ? HINT : "Nothing has run in this time that fits these filters.";
    $("more").hidden = done === hosts.size;
    $("more").textContent = `Show more hosts (${number(done)} of ${number(hosts.size)} are shown)`;
  }

  function group(host, all, from, to) {
    all.sort((a, b) => a[2] - b[2] || a[0] - b[0]);
    const lanes = element("div", {class: "lanes"}), ends = [];
    let crowded = 0;
    for (const [index, attempt, start, end, status, goesOn] of all.slice(-BARS_OF_HOST)) {
      let lane = ends.findIndex((end) => end <= start);
      if (lane < 0) lane = ends.length;
      ends[lane] = Math.max(end, start + 1);
      if (lane >= LANES) {
        crowded++;
        continue;
      }
      const job = jobs[index], left = Math.max(start, from);
      const name = `${job[JOB]} on ${host}, attempt ${attempt}, ${status}, ${time(start)}, ${lasted(end - start)}`;
      const bar = element("button", {type: "button", class: goesOn ? "bar on" : "bar", tabindex: "-1", "data-status": status,
        "aria-label": name, "aria-expanded": "false"}, element("b", {}, letter(status)), " ", element("bdi", {}, job[JOB]));
      bar.style.left = `${Math.min(100 * (left - from) / (to - from), 99.7)}%`;
      bar.style.width = `${100 * (Math.min(end, to) - left) / (to - from)}%`;
      bar.style.top = `${lane * LANE}px`;
      ofBar.set(bar, [index, attempt, start, end, status, goesOn]);
      lanes.append(bar);
    }
    lanes.style.height = `${Math.min(ends.length, LANES) * LANE}px`;
    const node = element("div", {class: "lane-of", role: "group", "aria-label": host}, element("h3", {dir: "auto"}, host), lanes);
    const left = all.length - BARS_OF_HOST;
    if (left > 0) node.append(element("p", {class: "hint"}, `and ${many(left, "attempt")} before these`));
    if (crowded) node.append(element("p", {class: "hint"}, `and ${many(crowded, "attempt")} more at the same time`));
    return node;
  }

  function drawAxis(from, to) {
    $("axis").replaceChildren();
    $("grid").replaceChildren();
    if (from === Infinity) return;
    const most = Math.max($("axis").clientWidth / 70, 2);
    const steps = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 7776000, 31536000];
    const step = steps.find((step) => (to - from) / step <= most) || Math.ceil((to - from) / most);
    let day = "";
    for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) {
      const [date, clock] = time(tick).split(" ");
      const left = `${100 * (tick - from) / (to - from)}%`;
      const text = step >= 86400 ? date : (date === day ? "" : date.slice(5) + "\n") + clock.slice(0, step < 60 ? 8 : 5);
      day = date;
      for (const [place, line] of [["axis", element("span", {}, text)], ["grid", element("i", {})]]) {
        line.style.left = left;
        $(place).append(line);
      }
    }
  }

  function tell(bar) {
    const [index, attempt, start, end, status, goesOn] = ofBar.get(bar);
    const job = jobs[index];
    const until = goesOn ? "now" : time(end).slice(time(start).slice(0, 10) === time(end).slice(0, 10) ? 11 : 0);
    $("caption").replaceChildren(badge(status), " ", element("b", {dir: "auto"}, job[JOB]), " on ", element("bdi", {}, job[HOST]),
      `, attempt ${attempt}, ${lasted(end - start)}, from ${time(start)} until ${until} (UTC), playbook `,
      element("bdi", {}, job[PLAYBOOK]));
  }

  function toggleBar(bar) {
    const group = bar.closest(".lane-of"), opens = bar.getAttribute("aria-expanded") !== "true";
    for (const shown of group.querySelectorAll(".detail")) shown.remove();
    for (const other of group.querySelectorAll("[aria-expanded='true']")) other.setAttribute("aria-expanded", "false");
    bar.setAttribute("aria-expanded", opens);
    if (opens) group.append(detail(ofBar.get(bar)[0]));
  }

  // Workflows

  const showsFlows = () => Boolean($("as_flows")?.checked);
  const flows = globalThis.runsView({$, element, number, many, time, lasted, badge, letter, data, made, detail});

  // What people do

  const chips = [...document.querySelectorAll(".chip")];
  const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";
  const choices = [HOST, PLAYBOOK].map((column) => [...new Set(jobs.map((job) => job[column]))].sort());
  for (const [column, id] of [[HOST, "host"], [PLAYBOOK, "playbook"]]) {
    $(id).append(element("option", {}, "all"), ...choices[column].map((name) => element("option", {}, name || "(without a name)")));
    $(id).addEventListener("change", () => {
      filter();
      remember(true);
    });
  }
  COLUMNS.forEach(([label], column) => {
    const button = element("button", {type: "button"}, label);
    button.addEventListener("click", () => {
      descending = sorting === column && !descending;
      sorting = column;
      sort();
    });
    $("head").append(element("th", {role: "columnheader", scope: "col", class: "c" + column}, button));
  });
  const sight = new IntersectionObserver((seen) => {
    if (seen.some((entry) => entry.isIntersecting)) addRows(ROWS);
  }, {rootMargin: "1500px"});
  $("text").addEventListener("input", () => {
    filter();
    remember(false);
  });
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", !pressed(chip));
      filter();
      remember(true);
    });
  }
  $("clear").addEventListener("click", () => {
    $("text").value = "";
    $("host").selectedIndex = $("playbook").selectedIndex = 0;
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    filter();
    remember(true);
    $("text").focus();
  });
  $("rows").addEventListener("click", (event) => {
    const line = event.target.closest("tr.job");
    // Whoever marks text to copy it does not want it to move.
    if (line && (event.target.closest(".name") || getSelection().isCollapsed)) toggle(line);
  });
  for (const input of [...document.querySelectorAll("input[name='view']"), $("range")]) {
    input.addEventListener("change", () => {
      filter();
      remember(true);
    });
  }
  $("more").addEventListener("click", () => {
    hostsShown += HOSTS;
    drawTime();
  });
  for (const type of ["mouseover", "focusin", "click"]) {
    $("hosts").addEventListener(type, (event) => {
      const bar = event.target.closest(".bar");
      if (bar) tell(bar);
      if (bar && type === "click") toggleBar(bar);
    });
  }
  $("hosts").addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!step || !event.target.matches(".bar")) return;
    const bars = [...$("hosts").querySelectorAll(".bar")], next = bars[bars.indexOf(event.target) + step];
    event.preventDefault();
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  addEventListener("resize", () => drawAxis(...axis));
  addEventListener("beforeprint", () => {
    if ($("as_table").checked) addRows(Math.max(PRINTED - rendered, 0));
  });

  // The address keeps what is chosen and open, so that a reload, the way back and a link show it again.

  const nameOf = (index) => JSON.stringify([HOST, PLAYBOOK, JOB].map((column) => jobs[index][column]));

  function remember(pushes) {
    const chosen = new URLSearchParams();
    if ($("text").value) chosen.set("search", $("text").value);
    for (const [column, id] of [[HOST, "host"], [PLAYBOOK, "playbook"]]) {
      if ($(id).selectedIndex > 0) chosen.set(id, choices[column][$(id).selectedIndex - 1]);
    }
    for (const chip of chips.filter(pressed)) chosen.append("status", statuses[chip.dataset.index]);
    for (const index of open) chosen.append("open", nameOf(index));
    if (!$("as_table").checked) chosen.set("view", showsFlows() ? "workflows" : "time");
    if (showsFlows()) flows.remember(chosen);
    const hash = `#${chosen}`;
    if (hash !== (location.hash || "#")) history[pushes ? "pushState" : "replaceState"](null, "", hash);
  }

  function recall() {
    const chosen = new URLSearchParams(location.hash.slice(1));
    $("text").value = chosen.get("search") || "";
    for (const [column, id] of [[HOST, "host"], [PLAYBOOK, "playbook"]]) {
      $(id).selectedIndex = chosen.has(id) ? choices[column].indexOf(chosen.get(id)) + 1 : 0;
    }
    const wanted = new Set(chosen.getAll("status"));
    for (const chip of chips) chip.setAttribute("aria-pressed", wanted.has(statuses[chip.dataset.index]));
    const opened = new Set(chosen.getAll("open"));
    open.clear();
    for (const index of opened.size ? jobs.keys() : []) if (opened.has(nameOf(index))) open.add(index);
    flows.recall(chosen);
    const view = {time: "as_time", workflows: "as_flows"}[chosen.get("view")];
    $(view && $(view) ? view : "as_table").checked = true;
  }

  addEventListener("popstate", () => {
    recall();
    filter();
  });

  flows.listen(remember);
  // As far back as the latest attempts of most jobs
  const lately = (option) => jobs.filter((job) => job[BARS].length && job[BARS].at(-1)[2] >= made - option.value).length;
  $("range").value = ([...$("range").options].reverse().find((option) => lately(option) >= jobs.length / 2) || {value: "0"}).value;
  $("main").hidden = false;
  recall();
  sort();
})();
