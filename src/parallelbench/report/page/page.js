/* Overview, curves and runs, and the page around all tabs. */

// ------------------------------------------------------------------------------------------------- curves

/** The best possible score for as many steps, from the settings with a fixed number of steps. */
function ceilingSeries(rows) {
  const groups = groupBy(rows.filter((r) => r.ceiling != null && r.kind === "static" && state.models.has(r.model)), (r) => r.model);
  return [...groups].map(([model, group]) => {
    const at = new Map(group.map((r) => [r.tps.toFixed(6), r]));
    const points = [...at.values()].sort((a, b) => a.tps - b.tps).map((r) => ({ x: r.tps, y: r.ceiling, facts: [["best possible score", `${number(r.ceiling, 1)} %`], ["tokens per step", number(r.tps)]] }));
    return { label: groups.size > 1 ? `ceiling, ${model}` : "ceiling", color: GREY, dash: "1 3", width: 2.4, marker: "none", points };
  });
}

/** How a published curve looks: its method's hue, mark and dash, hollow; a second published model is paler and thinner. */
function publishedStyle(row) {
  const place = Math.max(0, DATA.published.models.indexOf(row.model));
  return { ...styleOf(row.model, row.method), hollow: true, strength: 0.9 / (1 + 0.4 * place), width: Math.max(0.8, 1.6 - 0.6 * place) };
}

function publishedSeries(task) {
  if (!state.published) return [];
  const rows = PUBLISHED.filter((row) => row.task === task && shown(row));
  return [...groupBy(rows, (row) => JSON.stringify([row.model, row.method, row.file])).values()].map((group) => ({
    ...publishedStyle(group[0]), label: `${group[0].file}, ${group[0].model} (published)`,
    points: group.map((row) => ({ x: row.tps, y: row.score, facts: [["published score", `${number(row.score, 1)} %`], ["tokens per step", number(row.tps)]] })).sort((a, b) => a.x - b.x),
  }));
}

function subjects() {
  return [...view().groups.map((g) => ({ kind: "group", ...g })), ...view().tasks.map((name) => ({ kind: "task", name, tasks: [name] }))];
}

/** "12 tasks", or what each model has where they differ, with what to do then: means over different tasks are no comparison. */
function tasksOf(rows) {
  const counts = [...groupBy(rows.filter((r) => r.tasks && state.models.has(r.model)), (r) => r.model)].map(([model, group]) => [model, Math.max(...group.map((r) => r.tasks))]);
  const differ = new Set(counts.map(([, count]) => count)).size > 1;
  if (!differ) return { differ, text: counts.length ? `${counts[0][1]} ${counts[0][1] === 1 ? "task" : "tasks"}` : "", advice: "" };
  const common = view().groups.find((g) => !g.all && !g.category);
  return { differ, text: `the tasks each model has (${counts.map(([model, count]) => `${model} ${count}`).join(", ")})`, advice: common ? `, so compare models on “${common.name}”` : "" };
}

function curveFigure(subject, small) {
  const rows = subject.kind === "group" ? view().means.filter((r) => r.group === subject.name) : view().points.filter((r) => r.task === subject.name);
  const overlay = publishedSeries(subject.kind === "task" ? subject.name : subject.all ? "avg" : "");
  const over = tasksOf(subject.kind === "group" ? rows : []);
  const what = over.text ? `mean of ${over.text}${over.advice}` : "";
  const series = [...ceilingSeries(rows), ...overlay, ...seriesOf(rows, "tps", "score", curveFacts)];
  const columns = ["model", "method", "setting", "tps", "score", "low", "high", "ceiling", "n", "unscored"];
  return figure({
    title: small ? subject.name : `Score against tokens per step: ${subject.name}`,
    note: small ? "" : [what, series.some((s) => s.label.startsWith("ceiling")) ? "dotted: the best any decoder could reach with so many steps for every sample (adaptive methods share them out over samples and may pass it)" : "", overlay.length ? "hollow: published" : ""].filter(Boolean).join("; "),
    small, height: small ? 210 : 400, series, draw: drawPoints,
    x: { label: "tokens per step", scale: "log2" }, y: { label: "score, %", min: 0, max: 100 },
    table: () => ({ columns, rows: [...rows.filter(shown).map((row) => columns.map((c) => row[c])), ...overlay.flatMap((s) => s.points.map((p) => [s.label, "", "", p.x, p.y, null, null, null, null, null]))] }),
  });
}

function closedFigure(task) {
  const closed = view().closed.find((c) => c.task === task);
  if (!closed) return null;
  const series = closed.series.map((s, i) => ({ label: s.label, color: DATA.hues[i % DATA.hues.length], marker: MARKERS[i % MARKERS.length], points: s.points.map(([x, y]) => ({ x, y, facts: [["items a step", String(x)], ["accuracy", `${number(y, 1)} %`]] })) }));
  return figure({
    title: `Closed form: ${closed.operation}, k of n one-token items a step`, legend: series,
    note: "What a model with exact marginals reaches, greedy, on the bare list without brackets and quotes, any right order included; its steps are items, not tokens.",
    height: 300, series, draw: drawPoints, x: { label: "items a step, k", scale: "linear" }, y: { label: "accuracy, %", min: 0, max: 100 },
    table: () => ({ columns: ["series", "k", "accuracy"], rows: series.flatMap((s) => s.points.map((p) => [s.label, p.x, p.y])) }),
  });
}

function renderCurves() {
  const all = subjects();
  const subject = all.find((s) => s.name === state.subject) || all[0];
  if (!subject) return [missing("No lanes, so no curves: pb run makes them.")];
  const overlay = PUBLISHED.length ? check("published curves", "published") : null;
  const controls = html("div", { class: "controls" }, choice("show", all.map((s) => [s.name, s.kind === "group" ? `${s.name} (${s.tasks.length} tasks)` : s.name]), subject.name, (v) => (state.subject = v)), check("intervals", "intervals"), overlay);
  const categories = view().groups.filter((g) => g.category);
  const parts = [controls, curveFigure(subject, false), closedFigure(subject.name)];
  if (categories.length > 1) parts.push(html("h2", {}, "Categories"), html("div", { class: "grid" }, categories.map((g) => curveFigure({ kind: "group", ...g }, true))));
  parts.push(html("h2", {}, "Tasks"), html("div", { class: "grid" }, view().tasks.map((name) => curveFigure({ kind: "task", name, tasks: [name] }, true))));
  return parts;
}

// ------------------------------------------------------------------------------------------------- overview

function boardRows() {
  const own = view().board.map((row) => ({ ...row, published: false }));
  const published = state.published ? DATA.published.board.map((row) => ({ ...row, published: true })) : [];
  return [...own, ...published].filter(shown);
}

const SORTERS = { model: (r) => r.model, method: (r) => r.file || r.method, effective: (r) => r.effective?.PB80, harmonic: (r) => r.harmonic?.PB80 };
const sortValue = (row, key) => (SORTERS[key] ? SORTERS[key](row) : row[key]);

function compare(a, b, key, down) {
  const [x, y] = [sortValue(a, key), sortValue(b, key)];
  if (x == null || y == null) return (x == null) - (y == null); // what was not measured stands last, whichever way
  const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
  return (down ? -order : order) || a.model.localeCompare(b.model) || a.method.localeCompare(b.method);
}

function pbCell(row, key, best) {
  const leads = row[key] != null && row[key] > 0 && row[key] >= best - 1e-9;
  const bounds = row.intervals?.[key];
  const cell = html("td", { class: leads ? "num best" : "num" }, html("b", {}, number(row[key])));
  if (leads) cell.title = "best of its model";
  if (bounds && state.intervals) cell.append(html("span", { class: "between" }, `${number(bounds[0], 1)} – ${number(bounds[1], 1)}`));
  return cell;
}

function board() {
  const rows = boardRows();
  const best = new Map();
  for (const [model, group] of groupBy(rows, (r) => r.model)) for (const key of PBS) best.set(model + key, Math.max(0, ...group.map((r) => r[key] ?? 0)));
  const key = PBS.includes(state.sort) ? state.sort : "PB80";
  const kept = state.bestOnly ? rows.filter((r) => r[key] > 0 && r[key] >= best.get(r.model + key) - 1e-9) : rows;
  kept.sort((a, b) => compare(a, b, state.sort, state.down));
  const head = [["method", "Method"], ["model", "Model"], ...PBS.map((p) => [p, p]), ["effective", "PB80 eff."], ["harmonic", "PB80 harm."]];
  const order = (column) => (state.sort === column ? (state.down ? "descending" : "ascending") : "none");
  const sort = (column) => { state.down = state.sort === column ? !state.down : !["model", "method"].includes(column); state.sort = column; render(); focusBack(`sort-${column}`); };
  const heads = head.map(([column, text]) => html("th", { scope: "col", "aria-sort": order(column), class: column === "method" ? null : column === "model" ? "model" : "num" }, html("button", { type: "button", class: "sort", id: `sort-${column}`, onclick: () => sort(column) }, text)));
  const body = kept.map((row) => html("tr", {},
    html("th", { scope: "row" }, html("span", { class: "name" }, swatchOf(row), html("span", {}, row.file || row.method), row.published ? html("span", { class: "tag" }, "published") : null), html("span", { class: "model-below" }, row.model)),
    html("td", { class: "model" }, row.model), PBS.map((p) => pbCell(row, p, best.get(row.model + p))),
    html("td", { class: "num" }, number(row.effective?.PB80)), html("td", { class: "num" }, number(row.harmonic?.PB80))));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Leaderboard" }, html("table", { class: "board", id: "board" }, html("thead", {}, html("tr", {}, heads)), html("tbody", {}, body)));
}

function swatchOf(row) {
  return svg("svg", { width: 24, height: 14, "aria-hidden": "true" }, swatch(row.published ? publishedStyle(row) : styleOf(row.model, row.method), ON_PAGE));
}

function pbFigure() {
  const key = state.board;
  const rows = boardRows().filter((r) => !r.published).sort((a, b) => compare(a, b, key, true));
  return figure({
    title: `${key}: tokens per step at a mean score of at least ${key.slice(2)} %`, note: "Bars: the number; lines: its 95 % interval over samples.",
    draw: drawBars, x: { label: "tokens per step" },
    legend: [],
    bars: rows.map((row) => ({ name: named(row.model, row.method), parts: [{ value: row[key], color: styleOf(row.model, row.method).color, strength: styleOf(row.model, row.method).strength, low: row.intervals?.[key]?.[0], high: row.intervals?.[key]?.[1], facts: [[key, number(row[key])], ...(row.intervals?.[key] ? [["95 % interval", row.intervals[key].map((v) => number(v)).join(" – ")]] : []), ["kind", row.kind]] }] })),
    table: () => ({ columns: ["model", "method", key, "low", "high"], rows: rows.map((r) => [r.model, r.method, r[key], r.intervals?.[key]?.[0], r.intervals?.[key]?.[1]]) }),
  });
}

function renderOverview() {
  const v = view();
  const over = tasksOf(boardRows());
  const tiles = html("dl", { class: "tiles" }, [["models", v.models.length], ["methods", v.methods.length], ["tasks", v.tasks.length], ["samples a task", v.counts.samples], ["lanes", v.counts.lanes], ["failed", v.counts.failed], ["unscored", v.counts.unscored]].map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, typeof value === "number" ? value.toLocaleString("en") : value))));
  const explain = html("p", { class: "note" }, "PBx: the most tokens a step at which the mean score over the tasks is still at least x percent; 0: never; –: not measured. eff.: without the filler after the end of the text; harm.: harmonic mean over tasks. Bold: best of its model. Below each number its 95 % interval (bootstrap over samples).", over.differ ? ` Means are of ${over.text}${over.advice && `${over.advice} at the curves`}.` : "");
  const csv = html("div", { class: "tools" }, html("button", { type: "button", onclick: () => save("leaderboard.csv", new Blob([asCsv(boardTable())], { type: "text/csv" })) }, "CSV"));
  const all = v.groups.find((g) => g.all);
  return [tiles, html("h2", {}, "Leaderboard"), explain, html("div", { class: "controls" }, check("only the best of each model", "bestOnly"), check("intervals", "intervals")), board(), csv,
    html("div", { class: "two" }, all ? curveFigure({ kind: "group", ...all }, false) : null, html("div", {}, html("div", { class: "controls" }, choice("bars for", PBS.map((p) => [p, p]), state.board, (p) => (state.board = p))), pbFigure()))];
}

function boardTable() {
  const columns = ["model", "method", "kind", ...PBS, ...PBS.flatMap((p) => [`${p} low`, `${p} high`]), "published"];
  return { columns, rows: boardRows().map((r) => [r.model, r.file || r.method, r.kind, ...PBS.map((p) => r[p]), ...PBS.flatMap((p) => r.intervals?.[p] || [null, null]), r.published ? "yes" : "no"]) };
}

// ------------------------------------------------------------------------------------------------- runs

function pairs(entries) {
  return html("table", { class: "pairs" }, html("tbody", {}, entries.map(([name, value]) => html("tr", {}, html("th", { scope: "row" }, name), html("td", { class: "mono" }, typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "–"))))));
}

function renderRuns() {
  const lines = VIEWS.map((v) => [`signature of profile ${v.name}`, v.signature]);
  const runs = DATA.runs.map((run) => html("section", {}, html("h2", {}, `Run ${run.run_id}`), pairs([["directory", run.directory], ["started", run.started], ["lanes here", run.lanes], ["signature", run.signature], ...Object.entries(run.settings), ...Object.entries(run.about)])));
  return [html("h2", {}, "What the numbers stand on"), pairs(lines), ...(runs.length ? runs : [missing("No run is recorded in these directories.")])];
}

// ------------------------------------------------------------------------------------------------- tabs

const TABS = [
  ["overview", "Overview", renderOverview], ["curves", "Curves", renderCurves], ["oracle", "Oracle gap", renderOracle], ["map", "Task map", renderMap],
  ["failures", "Failures", renderFailures], ["order", "Decoding order", renderOrder], ["cost", "Cost", renderCost], ["traces", "Traces", renderTraces], ["runs", "Runs", renderRuns],
].filter(([id]) => !DATA.tabs.length || DATA.tabs.includes(id));
const WITHOUT_LANES = new Set(["runs", "traces"]);
const panel = html("div", { role: "tabpanel", id: "panel", tabindex: 0 });
const picks = html("div", { class: "picks" });

function pickButton(kind, name) {
  const on = state[kind].has(name);
  const mark = kind === "methods" ? { ...styleOf("", name), hollow: !view()?.methods.includes(name) } : { ...(OWN_MODELS.includes(name) ? styleOf(name, "") : publishedStyle({ model: name, method: "" })), color: "var(--ink)" };
  const toggle = () => { on ? state[kind].delete(name) : state[kind].add(name); render(); focusBack(`${kind}-${name}`); };
  return html("button", { type: "button", class: "pick", id: `${kind}-${name}`, "aria-pressed": String(on), onclick: toggle }, svg("svg", { width: 24, height: 14, "aria-hidden": "true" }, swatch(mark, ON_PAGE)), name);
}

function renderPicks() {
  const all = (kind, names) => html("button", { type: "button", class: "plain-button", onclick: () => { state[kind] = new Set(state[kind].size === names.length ? [] : names); render(); } }, state[kind].size === names.length ? "hide all" : "show all");
  const parts = [html("span", { class: "what" }, "Methods"), ...ALL_METHODS.map((name) => pickButton("methods", name)), all("methods", ALL_METHODS)];
  if (ALL_MODELS.length > 1) parts.push(html("span", { class: "what" }, "Models"), ...ALL_MODELS.map((name) => pickButton("models", name)), all("models", ALL_MODELS));
  picks.replaceChildren(...parts);
  picks.hidden = !ALL_METHODS.length || ["traces", "runs", "map"].includes(state.tab);
}

function notesBox() {
  if (!DATA.notes.length) return null;
  return html("div", { class: "notes", role: "note" }, "What is missing, and what to know:", html("ul", {}, DATA.notes.map((note) => html("li", {}, note))));
}

function render() {
  const [, , draw] = TABS.find(([id]) => id === state.tab);
  redrawn.disconnect();
  tip.hidden = true;
  stopPlaying();
  renderPicks();
  const empty = !VIEWS.length && !WITHOUT_LANES.has(state.tab);
  const parts = empty ? [missing("These directories hold no lanes, so there is nothing to show here: pb run makes them.")] : draw();
  const notes = state.tab === TABS[0][0] ? notesBox() : null;
  panel.replaceChildren(...[notes, ...parts].filter((part) => part != null));
  panel.setAttribute("aria-labelledby", `tab-${state.tab}`);
  for (const [id] of TABS) {
    const tab = document.getElementById(`tab-${id}`);
    tab.setAttribute("aria-selected", String(id === state.tab));
    tab.tabIndex = id === state.tab ? 0 : -1;
  }
  panel.querySelectorAll(".plot").forEach((plot) => { plot.redraw(); redrawn.observe(plot); });
}

function openTab(id, focus) {
  state.tab = id;
  history.replaceState(null, "", `#${id}`);
  render();
  if (focus) document.getElementById(`tab-${id}`).focus();
}

function tabList() {
  const list = html("div", { role: "tablist", "aria-label": "Sections" }, TABS.map(([id, name]) => html("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": "panel", onclick: () => openTab(id) }, name)));
  list.addEventListener("keydown", (event) => {
    const at = TABS.findIndex(([id]) => id === state.tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    openTab(TABS[(to + TABS.length) % TABS.length][0], true);
  });
  return list;
}

function theme(name) {
  document.documentElement.dataset.theme = name;
}

function begin() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  theme(dark.matches ? "dark" : "light");
  const button = html("button", { type: "button", id: "theme", onclick: () => { theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); render(); } }, "light / dark");
  const profile = VIEWS.length > 1 ? choice("profile", VIEWS.map((v, i) => [i, `${v.name} (${v.counts.lanes.toLocaleString("en")} lanes)`]), 0, (v) => (state.profile = Number(v))) : null;
  document.body.append(
    html("header", {}, html("div", { class: "top" }, html("h1", {}, DATA.title), html("div", { class: "controls" }, profile, button)), html("p", { class: "soft" }, DATA.subtitle), tabList(), picks),
    html("main", {}, panel),
    html("footer", {}, `Made by pb report, ParallelBench ${DATA.version}. This page is one file and fetches nothing.`), tip);
  const asked = location.hash.slice(1);
  state.tab = TABS.some(([id]) => id === asked) ? asked : TABS[0][0];
  render();
}

begin();
