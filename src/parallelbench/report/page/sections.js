/* The tabs between curves and traces: oracle gap, task map, failures, decoding order, cost. */

const MEAN = "mean";
Object.assign(state, { oracleTask: MEAN, failMethod: "", failTask: "", orderTask: "", statistic: "kendall", commitMethod: "", cost: "nfe" });

/** The option chosen, or the first where that is no longer there. */
const chosenOf = (value, options) => (options.includes(value) ? value : options[0]);
const shownMethods = (rows) => [...new Set(rows.filter(shown).map((row) => row.method))];
const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
const percent = (share) => (share == null ? null : 100 * share);
const same = (name) => [name, name];

// ---------------------------------------------------------------------------------------------------- oracle gap

function gapFigure(rows, every, task) {
  const series = rows.flatMap((row) => {
    const style = { ...styleOf(row.model, row.method), points: [] };
    const fixed = { x: row.tps, y: row.score, facts: [["best single setting", row.setting], ["score", `${number(row.score, 1)} %`], ["tokens per step", number(row.tps)]] };
    const best = { x: row.oracle_tps, y: row.oracle_score, facts: [["oracle of its settings", ""], ["score", `${number(row.oracle_score, 1)} %`], ["tokens per step", number(row.oracle_tps)]] };
    return [{ ...style, dash: "2 3", marker: "none", label: "", points: [fixed, best] }, { ...style, line: false, size: 4.5, points: [fixed] }, { ...style, label: `${style.label}, oracle`, line: false, hollow: true, size: 4.5, points: [best] }];
  });
  for (const row of every) series.push({ label: named("oracle of all methods", row.model), color: GREY, line: false, marker: "diamond", size: 5.5, points: [{ x: row.tps, y: row.score, facts: [["score", `${number(row.score, 1)} %`], ["tokens per step", number(row.tps)]] }] });
  const scores = series.flatMap((s) => s.points.map((p) => p.y));
  const lowest = Math.max(0, 10 * Math.floor((Math.min(...scores, 100) - 10) / 10));
  const columns = ["model", "method", "task", "setting", "score", "tps", "oracle_score", "oracle_tps", "share"];
  return figure({
    title: `Oracle gap: ${task === MEAN ? "mean over tasks" : task}`, height: 380, series, draw: drawPoints,
    note: "Filled: the best single setting of a method; hollow: the cheapest setting of each sample that reaches its best score; grey diamond: the same, over all methods.",
    x: { label: "tokens per step", scale: "log2" }, y: { label: "score, %", min: lowest, max: 100 },
    table: () => ({ columns, rows: rows.map((row) => columns.map((c) => row[c])) }),
  });
}

function shareFigure(rows, task) {
  const sorted = [...rows].sort((a, b) => (b.share ?? -1) - (a.share ?? -1));
  return figure({
    title: `Share of its own oracle's speed that one setting realises: ${task === MEAN ? "mean over tasks" : task}`,
    note: "What a method would gain if it knew the right setting for every sample is the rest up to 100 %.", legend: [],
    draw: drawBars, x: { label: "% of the oracle's tokens per step" },
    bars: sorted.map((row) => ({ name: named(row.model, row.method), parts: [{ value: percent(row.share), color: styleOf(row.model, row.method).color, strength: styleOf(row.model, row.method).strength, facts: [["share", `${number(percent(row.share), 1)} %`], ["best single setting", row.setting]] }] })),
    table: () => ({ columns: ["model", "method", "kind", "share"], rows: sorted.map((r) => [r.model, r.method, r.kind, r.share]) }),
  });
}

function renderOracle() {
  const all = view().gap;
  if (!all.length) return [missing("No method has several settings with scored samples, so none has an oracle to be compared with. Run a whole sweep: pb run --method threshold.")];
  const task = chosenOf(state.oracleTask, [MEAN, ...new Set(all.map((row) => row.task))]);
  const rows = all.filter((row) => row.task === task && shown(row));
  const every = view().oracle.filter((row) => row.task === task && state.models.has(row.model));
  const options = [...new Set(all.map((row) => row.task))].sort((a, b) => (b === MEAN) - (a === MEAN));
  return [html("div", { class: "controls" }, choice("task", options.map((name) => [name, name === MEAN ? "mean over tasks" : name]), task, (v) => (state.oracleTask = v))), html("div", { class: "two" }, gapFigure(rows, every, task), shareFigure(rows, task))];
}

// ------------------------------------------------------------------------------------------------------ task map

function renderMap() {
  const rows = view().map;
  const measured = rows.filter((row) => row.parallelizability != null);
  if (!measured.length) return [missing("The task map needs a method with a fixed number of tokens a step (random, confidence, margin, entropy): pb run --method confidence.")];
  const flat = rows.every((row) => row.order_preference == null);
  const categories = [...new Set(rows.map((row) => row.task.split("/")[0]))];
  const series = categories.map((category, i) => ({
    label: category, color: DATA.hues[i % DATA.hues.length], line: false, marker: MARKERS[i % MARKERS.length], size: 4.5,
    points: rows.filter((row) => row.task.split("/")[0] === category && row.parallelizability != null && (flat || row.order_preference != null)).map((row) => ({
      x: row.parallelizability, y: flat ? categories.length - i : row.order_preference, name: flat ? null : row.task.split("/").at(-1),
      facts: [["task", row.task], ["parallelizability", number(row.parallelizability)], ["order preference", number(row.order_preference, 3)], ["averaged over", `${row.models} models, ${row.methods} methods`]],
    })),
  }));
  const columns = ["task", "parallelizability", "order_preference", "models", "methods"];
  const table = () => ({ columns, rows: rows.map((row) => columns.map((c) => row[c])) });
  const how = "Parallelizability: mean k weighted by the score it gets. Order preference: how much score falls for each token that the block gets longer, at k = 2; above 0 left to right helps.";
  if (flat) return [html("div", { class: "notes" }, "Order preference is not measured: it compares block lengths at k = 2, which pb run --preset paper does. Shown is parallelizability alone."), parallelBars(measured, table)];
  return [figure({ title: "Task map: how parallel, and how much left to right helps", note: how, legend: series, height: 460, series, draw: drawPoints, rules: [{ y: 0 }], x: { label: "parallelizability, tokens a step", margin: 0.06 }, y: { label: "order preference, points of score a token", margin: 0.06 }, table })];
}

function parallelBars(rows, table) {
  const categories = [...new Set(rows.map((row) => row.task.split("/")[0]))];
  const colored = (row) => DATA.hues[categories.indexOf(row.task.split("/")[0]) % DATA.hues.length];
  const sorted = [...rows].sort((a, b) => b.parallelizability - a.parallelizability);
  return figure({
    title: "Parallelizability of the tasks", note: "Mean k weighted by the score it gets, averaged over models and methods with a fixed number of tokens a step.",
    legend: categories.map((name, i) => ({ label: name, color: DATA.hues[i % DATA.hues.length], square: true })), draw: drawBars, x: { label: "parallelizability, tokens a step" }, table,
    bars: sorted.map((row) => ({ name: row.task, parts: [{ value: row.parallelizability, color: colored(row), facts: [["parallelizability", number(row.parallelizability)], ["methods", String(row.methods)]] }] })),
  });
}

// ------------------------------------------------------------------------------------------------------ failures


/** Share of the lanes of a setting that show each kind, over the chosen tasks. */
function kindShares(rows, sizes, kinds) {
  const size = mean(sizes) == null ? 0 : sizes.reduce((a, b) => a + b, 0);
  return kinds.map((kind) => {
    const lanes = rows.filter((row) => (kind === null ? !kinds.includes(row.failure) : row.failure === kind)).reduce((sum, row) => sum + row.lanes, 0);
    return { kind, lanes, value: size ? (100 * lanes) / size : null };
  });
}

function renderFailures() {
  const v = view();
  const methods = shownMethods(v.points);
  if (!v.failures.length) return [missing("No failures: every lane that was decoded was right.")];
  if (!methods.length) return [missing("No method is switched on.")];
  const method = chosenOf(state.failMethod, methods.includes("confidence") ? ["confidence", ...methods] : methods);
  const task = chosenOf(state.failTask, ["all tasks", ...v.tasks]);
  const within = (row) => row.method === method && state.models.has(row.model) && (task === "all tasks" || row.task === task);
  const rows = v.failures.filter(within);
  const counts = groupBy(rows, (row) => row.failure);
  const ranked = [...counts].map(([kind, group]) => [kind, group.reduce((sum, row) => sum + row.lanes, 0)]).sort((a, b) => b[1] - a[1]).map(([kind]) => kind);
  const kinds = [...ranked.slice(0, DATA.hues.length), ...(ranked.length > DATA.hues.length ? [null] : [])];
  const nameOf = (kind) => kind ?? "further kinds";
  const colored = (i) => (kinds[i] === null ? GREY : DATA.hues[i]);
  const settings = groupBy(v.points.filter(within), (row) => JSON.stringify([row.model, row.setting]));
  const bars = [...settings].map(([key, points]) => {
    const [model, setting] = JSON.parse(key);
    const shares = kindShares(rows.filter((row) => row.model === model && row.setting === setting), points.map((p) => p.n), kinds);
    return { name: named(model, setting.split(":")[1] || setting), parts: shares.map((s, i) => ({ ...s, color: colored(i), facts: [["kind", nameOf(s.kind)], ["share of lanes", `${number(s.value, 1)} %`], ["lanes", String(s.lanes)]] })) };
  });
  const columns = ["model", "method", "setting", "k", "task", "failure", "lanes", "share", "n"];
  const chart = figure({
    title: `Failures of ${method}: ${task}`, note: "Share of lanes that show each kind; a lane may show several, so a bar may pass 100 %. “format”: a right answer not in exactly the form asked for.",
    legend: kinds.map((kind, i) => ({ label: nameOf(kind), color: colored(i), square: true })), draw: drawBars, x: { label: "% of lanes" }, bars,
    table: () => ({ columns, rows: rows.map((row) => columns.map((c) => row[c])) }),
  });
  return [html("div", { class: "controls" }, choice("method", methods.map(same), method, (x) => (state.failMethod = x)), choice("task", ["all tasks", ...v.tasks].map(same), task, (x) => (state.failTask = x))), rows.length ? chart : missing(`No failures of ${method} on ${task}.`)];
}

// ------------------------------------------------------------------------------------------------ decoding order

const STATISTICS = [["kendall", "Kendall, whole region"], ["kendall_text", "Kendall, without padding"], ["spearman", "Spearman, whole region"], ["spearman_text", "Spearman, without padding"], ["first_step", "share decided in the first step"], ["revised", "tokens taken back, a lane"]];

/** Means over tasks where every task of the group is there. */
function overTasks(rows, column) {
  return [...groupBy(rows, (row) => JSON.stringify([row.model, row.method, row.setting])).values()].map((group) => {
    const known = group.filter((row) => row[column] != null && row.tps != null);
    return { ...group[0], [column]: mean(known.map((row) => row[column])), tps: mean(known.map((row) => row.tps)), n: group.reduce((sum, row) => sum + row.n, 0) };
  });
}

function orderFigure(rows, column, task) {
  const name = STATISTICS.find(([key]) => key === column)[1];
  const ranked = column.startsWith("kendall") || column.startsWith("spearman");
  const facts = (row) => [["setting", row.setting], [name, number(row[column], 3)], ["tokens per step", number(row.tps)], ["lanes that say something", String(row.n)]];
  const columns = ["model", "method", "setting", "tps", ...STATISTICS.map(([key]) => key)];
  return figure({
    title: `Decoding order: ${name}, ${task}`, note: ranked ? "Commit step against position: 1 is left to right one by one, 0 no order, −1 right to left." : "", height: 380,
    series: seriesOf(rows, "tps", column, facts), draw: drawPoints, rules: ranked ? [{ y: 0 }] : [],
    x: { label: "tokens per step", scale: "log2" }, y: ranked ? { label: name, min: -1, max: 1 } : { label: name, min: 0 },
    table: () => ({ columns, rows: rows.filter(shown).map((row) => columns.map((c) => row[c])) }),
  });
}

function ramp(share) {
  const stops = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const at = Math.max(0, Math.min(0.9999, share)) * (stops.length - 1);
  const [low, high, part] = [stops[Math.floor(at)], stops[Math.floor(at) + 1], at % 1];
  return low.map((v, i) => Math.round(v + (high[i] - v) * part));
}

function commitFigure(method, task) {
  const rows = view().commits.filter((row) => row.method === method && row.task === task && state.models.has(row.model));
  const groups = [...groupBy(rows, (row) => JSON.stringify([row.model, row.setting]))];
  const series = groups.map(([key, group], i) => {
    const [model, setting] = JSON.parse(key);
    const [r, g, b] = ramp(0.3 + (i / Math.max(1, groups.length - 1)) * 0.55);
    return { label: named(model, setting.split(":")[1] || setting), color: `rgb(${r},${g},${b})`, width: styleOf(model, method).width, size: 2.2, points: group.map((row) => ({ x: row.step + 1, y: row.commits, facts: [["step", String(row.step + 1)], ["tokens decided", number(row.commits)], ["lanes that made it", String(row.lanes)]] })) };
  });
  return figure({
    title: `Tokens decided in each step: ${method}, ${task}`, note: "Mean over the lanes that made so many steps.", legend: series, height: 340, series, draw: drawPoints,
    x: { label: "step" }, y: { label: "tokens decided", min: 0 },
    table: () => ({ columns: ["model", "method", "setting", "task", "step", "commits", "lanes"], rows: rows.map((r) => [r.model, r.method, r.setting, r.task, r.step + 1, r.commits, r.lanes]) }),
  });
}

function renderOrder() {
  const v = view();
  if (!v.order.length) return [missing("No lane tells when its tokens were decided: generators without a canvas (autoregressive, API) have no order.")];
  const task = chosenOf(state.orderTask, ["all tasks", ...v.tasks]);
  const column = chosenOf(state.statistic, STATISTICS.map(([key]) => key));
  const rows = task === "all tasks" ? overTasks(v.order, column) : v.order.filter((row) => row.task === task);
  const methods = shownMethods(v.order);
  const method = chosenOf(state.commitMethod, methods.includes("threshold") ? ["threshold", ...methods] : methods);
  const one = task === "all tasks" ? v.tasks[0] : task;
  return [
    html("div", { class: "controls" }, choice("task", ["all tasks", ...v.tasks].map(same), task, (x) => (state.orderTask = x)), choice("statistic", STATISTICS, column, (x) => (state.statistic = x))), orderFigure(rows, column, task),
    ...(method ? [html("h2", {}, "Step by step"), html("div", { class: "controls" }, choice("method ", methods.map(same), method, (x) => (state.commitMethod = x))), commitFigure(method, one)] : []),
  ];
}

// ---------------------------------------------------------------------------------------------------------- cost

const COSTS = [["nfe", "forwards a sample (NFE)"], ["rows", "canvases a sample (rows)"], ["seconds_a_lane", "seconds a sample"]];

function renderCost() {
  const rows = view().cost;
  const key = chosenOf(state.cost, COSTS.map(([k]) => k));
  const name = COSTS.find(([k]) => k === key)[1];
  const facts = (row) => [["setting", row.setting], ["score", `${number(row.score, 1)} %`], ...between(row), ...COSTS.map(([k, text]) => [text, number(row[k], k === "seconds_a_lane" ? 4 : 2)]), ["lanes", String(row.lanes)]];
  const columns = ["model", "method", "setting", "score", "lanes", "failed", "nfe", "rows", "forwards", "seconds", "seconds_a_lane", "tokens_a_second"];
  const table = () => ({ columns, rows: rows.filter(shown).map((row) => columns.map((c) => row[c])) });
  const chart = figure({ title: `Mean score against ${name}`, note: "Each point is a setting; mean over all tasks. Seconds are a lane's share of the time on whatever machine it ran.", height: 400, series: seriesOf(rows, key, "score", facts), draw: drawPoints, x: { label: name, scale: "log2" }, y: { label: "score, %", min: 0, max: 100 }, table });
  const executed = DATA.runs.filter((run) => run.executed);
  const shared = executed.length ? html("table", { class: "plain" }, html("thead", {}, html("tr", {}, ["run", "forwards counted", "forwards executed", "batches", "seconds in the model"].map((text, i) => html("th", { scope: "col", class: i ? "num" : null }, text)))), html("tbody", {}, executed.map((run) => html("tr", {}, html("td", {}, run.run_id), ["forwards_counted", "forwards_executed", "calls", "model_seconds"].map((k) => html("td", { class: "num" }, number(run.executed[k], k === "model_seconds" ? 1 : 0))))))) : missing("These runs do not record how many forwards were executed.");
  return [html("div", { class: "controls" }, choice("cost", COSTS, key, (v) => (state.cost = v)), check("intervals", "intervals")), chart, html("h2", {}, "Work really done"), html("p", { class: "note" }, "Counted: what the lanes would have needed alone. Executed: canvases, identical ones once. A forward of several canvases, such as FreeDave's drafts, executes as many."), html("div", { class: "scroll" }, shared), html("h2", {}, "By setting"), tableOf(table())];
}
