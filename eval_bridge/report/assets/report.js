"use strict";
// Draws the charts of the page from its data, when they come into view; colours, sorting, filters, hints, print.
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const places = new Map([...document.querySelectorAll("[data-chart]")].map((place) => [place.dataset.chart, place]));
  const drawn = new Map(); // name -> {choice, log}
  const times = {};
  const TOUCH = window.matchMedia("(pointer: coarse)").matches;
  const DARK = window.matchMedia("(prefers-color-scheme: dark)");
  const PRINT_WIDTH = 690;
  const DAY = 86400000; // milliseconds
  let range = null; // of all charts over time, or null for everything
  let printing = false;

  const element = (tag, words, attributes = {}) => {
    const made = document.createElement(tag);
    made.textContent = words;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  // Times are sent as a start, a unit and steps. `gap_after: n` breaks the line after every n points.
  const unpack = ({ start, unit, steps, gap_after }) => {
    const all = [start];
    for (const step of steps) all.push(all[all.length - 1] + step * unit);
    return gap_after ? all.flatMap((time, n) => ((n + 1) % gap_after ? [time] : [time, null])) : all;
  };
  const timesOf = (x) => {
    if (typeof x === "string" && x[0] === "@") return (times[x] ??= unpack(data.times[x.slice(1)]));
    return x && x.steps ? unpack(x) : x;
  };

  // A text that begins with two hyphens is a colour of the style sheet.
  const painted = (value, style) => {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.length > 40 ? value : value.map((each) => painted(each, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, painted(each, style)]));
  };

  const figureOf = (name) => {
    const spec = data.charts[name];
    const state = drawn.get(name);
    const style = getComputedStyle(root);
    const color = (variable) => style.getPropertyValue(variable).trim();
    const chosen = spec.choices ? spec.choices[state.choice].traces : spec.traces;
    const traces = chosen.map((trace) => ({ ...painted(trace, style), x: timesOf(trace.x) }));
    const small = places.get(name).clientWidth < 560;
    const { xaxis = {}, yaxis = {}, legend = {}, ...rest } = painted(spec.layout, style);
    const listed = traces.filter((trace) => trace.showlegend !== false).length;
    const legendRows = listed < 2 && !rest.showlegend ? 0 : small ? Math.ceil(listed / 2) : 1;
    const common = { gridcolor: color("--grid"), linecolor: color("--faint"), zerolinecolor: color("--faint"),
      zeroline: false, automargin: true };
    const layout = {
      height: small ? 240 + 20 * legendRows : 330,
      margin: { l: 56, r: 14, t: 14 + 24 * legendRows, b: 34 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("--muted") },
      hovermode: "x unified", hoverlabel: { bgcolor: color("--surface"), bordercolor: color("--faint"),
        font: { color: color("--ink"), size: 12 } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 }, ...legend },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--cash"), activecolor: color("--policy") },
      showlegend: traces.length > 1, dragmode: TOUCH ? false : "zoom", uirevision: name + state.choice,
      xaxis: { ...common, showgrid: false, ticks: "outside",
        spikecolor: color("--muted"), spikethickness: 1, spikedash: "solid", tickcolor: color("--faint"), ticklen: 4,
        ...(spec.over_time ? { type: "date", range: [...(range ?? whole())] } : {}), ...xaxis },
      yaxis: { ...common, ...yaxis, ...(state.log ? { type: "log", tickformat: ",.3~s" } : {}) },
      ...rest,
    };
    if (spec.over_time && !xaxis.range) layout.xaxis.hoverformat = daily() ? "%Y-%m-%d" : "%Y-%m-%d %H:%M";
    const title = layout.yaxis.title;
    if (title) layout.yaxis.title = small ? undefined : { ...title, standoff: 10 };
    if (range && spec.over_time) fit(traces, layout);
    if (printing) layout.width = PRINT_WIDTH;
    return { traces, layout };
  };

  const whole = () => {
    const all = timesOf("@equity");
    return [all[0], all[all.length - 1]];
  };

  const daily = () => whole().concat(data.times.equity.unit).every((moment) => moment % DAY === 0);
  const moment = (end) => (typeof end === "number" ? end : Date.parse(end.replace(" ", "T") + "Z"));

  // The values in view fill the height.
  const fit = (traces, layout) => {
    if (traces.some((trace) => trace.type === "heatmap" || trace.stackgroup)) return;
    const [first, last] = range.map(moment);
    let low = Infinity, high = -Infinity;
    for (const { x, y, fill, visible } of traces) {
      if (visible === "legendonly") continue;
      if (fill === "tozeroy") { low = Math.min(low, 0); high = Math.max(high, 0); }
      for (let n = 0; n < x.length; n++) {
        if (x[n] < first || x[n] > last || y[n] === null) continue;
        low = Math.min(low, y[n]);
        high = Math.max(high, y[n]);
      }
    }
    if (!(low <= high)) return;
    if (layout.yaxis.type === "log") {
      if (low > 0) layout.yaxis.range = [Math.log10(low * 0.99), Math.log10(high * 1.01)];
      return;
    }
    const room = 0.05 * (high - low || Math.abs(high) || 1);
    layout.yaxis.range = [low - room, high + room];
  };

  const CONFIG = { displaylogo: false, responsive: true, scrollZoom: false, displayModeBar: TOUCH ? false : "hover",
    showTips: false,
    toImageButtonOptions: { scale: 2 } };
  const FREE = { ...CONFIG, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };
  const LINKED = { ...CONFIG, modeBarButtons: [["zoom2d", "pan2d", "toImage"]], doubleClick: false };
  const draw = (name) => {
    if (!places.has(name)) return;
    if (!drawn.has(name)) drawn.set(name, { choice: 0, log: false });
    const place = places.get(name);
    const { traces, layout } = figureOf(name);
    const first = !place.classList.contains("js-plotly-plot");
    place.style.height = `${layout.height}px`;
    const linked = data.charts[name].over_time;
    Plotly.react(place, traces, layout, linked ? LINKED : FREE);
    if (!first || !linked) return;
    place.on("plotly_relayout", follow);
    place.on("plotly_doubleclick", () => { pressed("all"); setRange(null); });
  };
  const redraw = () => [...drawn.keys()].forEach(draw);

  // Who zooms one chart over time zooms all of them.
  const sameRange = (a, b) => (a === null ? b === null : b !== null && String(a) === String(b));
  const setRange = (next) => {
    if (sameRange(range, next)) return;
    range = next;
    for (const name of drawn.keys()) if (data.charts[name].over_time) draw(name);
  };
  const follow = (change) => {
    if (!("xaxis.range[0]" in change)) return;
    pressed("");
    setRange([change["xaxis.range[0]"], change["xaxis.range[1]"]]);
  };

  const SPANS = [["1W", 7], ["1M", 30.44], ["3M", 91.3], ["1Y", 365.25], ["5Y", 1826.2], ["All", null]];
  const pressed = (which) => document.querySelectorAll("[data-span]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.span === which.toLowerCase())));
  const rangeTools = (place) => {
    const [first, last] = whole();
    const step = (last - first) / Math.max(1, timesOf("@equity").length - 1);
    for (const [words, days] of SPANS) {
      if (days && (days * DAY >= last - first || days * DAY < 10 * step)) continue;
      const button = element("button", words, { type: "button", class: "control", "data-span": words.toLowerCase(),
        "aria-pressed": String(!days), "aria-label": days ? `Last ${words}` : "Whole range" });
      button.addEventListener("click", () => { pressed(words); setRange(days ? [last - days * DAY, last] : null); });
      place.append(button);
    }
    const log = element("button", "Log", { type: "button", class: "control", "aria-pressed": "false",
      "aria-label": "Logarithmic scale" });
    log.addEventListener("click", () => {
      const state = drawn.get("equity");
      state.log = !state.log;
      log.setAttribute("aria-pressed", String(state.log));
      draw("equity");
    });
    place.append(log);
  };
  const chooser = (name, place, spec) => {
    if (spec.choices.length < 2) return;
    const select = element("select", "", { "aria-label": `Choose what ${name} shows`, id: `choice-${name}` });
    spec.choices.forEach((choice, n) => select.append(element("option", choice.name, { value: n })));
    select.addEventListener("change", () => {
      if (!drawn.has(name)) drawn.set(name, { choice: 0, log: false });
      drawn.get(name).choice = Number(select.value);
      draw(name);
    });
    place.append(select);
  };
  for (const [name, place] of places) {
    const spec = data.charts[name];
    const tools = place.parentElement.querySelector(".tools");
    if (spec.choices) chooser(name, tools, spec);
    if (name === "equity") rangeTools(tools);
  }

  // Charts are drawn when they come near the window.
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      if (!drawn.has(target.dataset.chart) || !target.classList.contains("js-plotly-plot")) draw(target.dataset.chart);
    }
  }, { rootMargin: "500px 0px" });
  places.forEach((place) => watcher.observe(place));

  // A window that becomes narrow or wide changes more than the width.
  let narrow = window.innerWidth < 640;
  window.addEventListener("resize", () => {
    if (printing || narrow === window.innerWidth < 640) return;
    narrow = !narrow;
    [...drawn.keys()].forEach(afresh);
  });

  // Colours: as the system has them, until the button is pressed.
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : DARK.matches);
  const button = document.getElementById("theme");
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); redraw(); });
  DARK.addEventListener("change", () => { name(); redraw(); });
  name();

  // Another width at once: Plotly makes room for a legend only where it draws for the first time.
  const afresh = (each) => { Plotly.purge(places.get(each)); draw(each); };

  // Paper: light, everything drawn, everything unfolded.
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme, folded: [...document.querySelectorAll("details:not([open])")] };
    printing = true;
    root.dataset.theme = "light";
    before.folded.forEach((each) => { each.open = true; });
    places.forEach((_, each) => afresh(each));
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    if (before.theme) root.dataset.theme = before.theme; else delete root.dataset.theme;
    before.folded.forEach((each) => { each.open = false; });
    places.forEach((_, each) => afresh(each));
  });

  // The list of sections.
  const list = document.createElement("ul");
  const links = new Map();
  for (const section of document.querySelectorAll("main section[id]")) {
    if (!section.dataset.nav) continue;
    const link = element("a", section.dataset.nav, { href: `#${section.id}` });
    links.set(section, link);
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  document.getElementById("sections").append(list);
  const reader = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) links.forEach((link, section) =>
        (section === target ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  links.forEach((_, section) => reader.observe(section));

  // Hints, by pointer, touch and keyboard.
  const bubble = element("div", "", { id: "hint", role: "tooltip", hidden: "" });
  document.body.append(bubble);
  let shown = null;
  const show = (target) => {
    shown = target;
    bubble.textContent = target.dataset.hint;
    bubble.hidden = false;
    target.setAttribute("aria-describedby", "hint");
    const box = target.getBoundingClientRect();
    const left = Math.max(12, Math.min(box.left, window.innerWidth - bubble.offsetWidth - 12));
    const below = box.bottom + 8 + bubble.offsetHeight < window.innerHeight;
    bubble.style.left = `${left}px`;
    bubble.style.top = `${below ? box.bottom + 8 : box.top - bubble.offsetHeight - 8}px`;
  };
  const hide = () => { shown = null; bubble.hidden = true; };
  for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, (event) => {
    const target = event.target.closest?.("[data-hint]");
    if (target) show(target); else if (kind === "pointerover") hide();
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", () => { if (shown) show(shown); }, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // Tables are sorted by a click on a header.
  const valueOf = (row, column) => {
    const words = row.cells[column].dataset.value ?? row.cells[column].textContent;
    const number = Number(words.replace(/[,%]/g, ""));
    return words === "-" || words === "" ? null : Number.isNaN(number) ? words : number;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  const sort = (table, header, column) => {
    const up = header.getAttribute("aria-sort") !== "ascending";
    table.querySelectorAll("thead th").forEach((each) => each.setAttribute("aria-sort", "none"));
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const keyed = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : (up ? 1 : -1) * compare(a, b)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };
  document.querySelectorAll("table.sortable").forEach((table) =>
    table.querySelectorAll("thead th button").forEach((each, column) =>
      each.addEventListener("click", () => sort(table, each.closest("th"), column))));

  // The trades: filtered by symbol and side.
  const trades = document.getElementById("trades-table");
  if (trades) {
    const rows = [...trades.tBodies[0].rows];
    const count = document.getElementById("trades-count");
    const wanted = ["", ""]; // symbol, side
    const filter = () => {
      let left = 0;
      for (const row of rows) {
        row.hidden = wanted.some((want, column) => want && row.cells[column].textContent !== want);
        left += row.hidden ? 0 : 1;
      }
      count.textContent = left === rows.length ? "" : `${left.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows shown.`;
    };
    ["Symbol", "Side"].forEach((title, column) => {
      const kinds = [...new Set(rows.map((row) => row.cells[column].textContent))].sort();
      if (kinds.length < 2) return;
      const label = element("label", `${title} `);
      const select = element("select", "", { id: `filter-${title.toLowerCase()}` });
      select.append(element("option", "all", { value: "" }), ...kinds.map((kind) => element("option", kind, { value: kind })));
      select.addEventListener("change", () => { wanted[column] = select.value; filter(); });
      label.append(select);
      document.querySelector("[data-for=trades]").append(label);
    });
  }
})();
