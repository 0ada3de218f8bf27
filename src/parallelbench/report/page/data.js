"use strict";
/* The one block of data, what is chosen in `state`, and what all tabs share. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const PBS = ["PB90", "PB80", "PB75", "PB70", "PB60"];
const state = {
  profile: 0, tab: "overview", models: new Set(), methods: new Set(), published: true, intervals: true,
  sort: "PB80", down: true, bestOnly: false, subject: "", cost: "nfe", board: "PB80",
};

/** Rows out of columns; columns with levels hold places in a list of names. */
function unpack(table) {
  if (!table) return [];
  const names = Object.keys(table.columns);
  const count = names.length ? table.columns[names[0]].length : 0;
  return Array.from({ length: count }, (_, i) =>
    Object.fromEntries(names.map((name) => {
      const value = table.columns[name][i];
      return [name, table.levels[name] && value != null ? table.levels[name][value] : value];
    })));
}

const VIEWS = DATA.profiles.map((profile) => ({ ...profile, points: unpack(profile.points), means: unpack(profile.means), order: unpack(profile.order), commits: unpack(profile.commits), cost: unpack(profile.cost), failures: unpack(profile.failures) }));
const PUBLISHED = unpack(DATA.published.points);
const ALL_MODELS = [...new Set([...VIEWS.flatMap((v) => v.models), ...DATA.published.models])];
const ALL_METHODS = [...new Set([...VIEWS.flatMap((v) => v.methods), ...PUBLISHED.map((p) => p.method)])];
ALL_MODELS.forEach((m) => state.models.add(m));
ALL_METHODS.forEach((m) => state.methods.add(m));

const colorOf = (method) => DATA.colors[method] || "#777777";
const dashOf = (model) => DASHES[Math.max(0, ALL_MODELS.indexOf(model)) % DASHES.length];
const markerOf = (model) => MARKERS[Math.max(0, ALL_MODELS.indexOf(model)) % MARKERS.length];
const shown = (row) => state.models.has(row.model) && state.methods.has(row.method);
const named = (model, method) => (ALL_MODELS.length > 1 ? `${method}, ${model}` : method);
const view = () => VIEWS[state.profile];

function missing(text) {
  return html("p", { class: "missing soft" }, text);
}

function groupBy(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    const k = key(row);
    if (!groups.has(k)) groups.set(k, []);
    groups.get(k).push(row);
  }
  return groups;
}

function styleOf(model, method) {
  return { label: named(model, method), color: colorOf(method), dash: dashOf(model), marker: markerOf(model) };
}

/** One series for each model and method among the rows that are switched on. */
function seriesOf(rows, x, y, facts, extra = {}) {
  const groups = groupBy(rows.filter(shown), (row) => JSON.stringify([row.model, row.method]));
  return [...groups.values()].map((group) => ({
    ...styleOf(group[0].model, group[0].method), ...extra,
    points: group
      .filter((row) => row[x] != null && row[y] != null)
      .map((row) => ({ x: row[x], y: row[y], low: state.intervals ? row.low : null, high: state.intervals ? row.high : null, facts: facts(row) }))
      .sort((a, b) => a.x - b.x || b.y - a.y),
  }));
}

const between = (row) => (row.low == null ? [] : [["95 % interval", `${number(row.low, 1)} – ${number(row.high, 1)}`]]);
const curveFacts = (row) => [
  ["setting", row.setting], ["score", `${number(row.score, 1)} %`], ...between(row),
  ["tokens per step", number(row.tps)], ...(row.ceiling == null ? [] : [["best possible", `${number(row.ceiling, 1)} %`]]),
  ...(row.n == null ? [] : [["lanes", `${row.n}${row.unscored ? `, ${row.unscored} unscored` : ""}`]]),
];

function choice(name, options, value, change) {
  const select = html("select", { onchange: (event) => { change(event.target.value); render(); focusBack(select.id); }, id: `choose-${name.replace(/\W+/g, "-")}` }, options.map(([key, text]) => html("option", { value: key, selected: String(key) === String(value) }, text)));
  return html("label", {}, name, select);
}

function check(name, key) {
  const box = html("input", { type: "checkbox", id: `check-${key}`, checked: state[key], onchange: () => { state[key] = box.checked; render(); focusBack(box.id); } });
  return html("label", {}, box, name);
}

function focusBack(id) {
  document.getElementById(id)?.focus({ preventScroll: true });
}
