"use strict";
/* The one block of data, what is chosen in `state`, and what all tabs share. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const PBS = ["PB90", "PB80", "PB75", "PB70", "PB60"];
const GREY = "#8a8f96";
const state = {
  profile: 0, tab: "overview", models: new Set(), methods: new Set(), published: true, intervals: true,
  sort: "PB80", down: true, bestOnly: false, subject: "", board: "PB80",
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

const PACKED = ["points", "means", "order", "commits", "cost", "failures"];
const VIEWS = DATA.profiles.map((profile) => ({ ...profile, ...Object.fromEntries(PACKED.map((name) => [name, unpack(profile[name])])) }));
const PUBLISHED = unpack(DATA.published.points);
const OWN_MODELS = [...new Set(VIEWS.flatMap((v) => v.models))];
const ALL_MODELS = [...new Set([...OWN_MODELS, ...DATA.published.models])];
const ALL_METHODS = [...new Set([...VIEWS.flatMap((v) => v.methods), ...DATA.published.board.map((row) => row.method)])];
ALL_MODELS.forEach((m) => state.models.add(m));
ALL_METHODS.forEach((m) => state.methods.add(m));

const view = () => VIEWS[state.profile];
const shown = (row) => state.models.has(row.model) && state.methods.has(row.method);
const named = (model, method) => (OWN_MODELS.length > 1 ? `${method}, ${model}` : method);

const FOR_DARK = { "#555555": "#b2b2b2", "#0072B2": "#2f93d6" }; // the hues that would sink into a dark page
const isDark = () => document.documentElement.dataset.theme === "dark";

/** How a model and method look: the method decides hue, mark and dash, the model how strong and thick the line is. */
function styleOf(model, method) {
  const style = DATA.styles[method] || { color: GREY, mark: "circle", dash: "" };
  const place = Math.max(0, OWN_MODELS.indexOf(model));
  return { label: named(model, method), color: isDark() ? FOR_DARK[style.color] || style.color : style.color, dash: style.dash, marker: style.mark, strength: 1 / (1 + 0.8 * place), width: Math.max(0.9, 1.9 - 0.5 * place) };
}

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

/** One series for each model and method among the rows that are switched on. */
function seriesOf(rows, x, y, facts) {
  const groups = groupBy(rows.filter(shown), (row) => JSON.stringify([row.model, row.method]));
  return [...groups.values()].map((group) => ({
    ...styleOf(group[0].model, group[0].method),
    points: group
      .filter((row) => row[x] != null && row[y] != null)
      .map((row) => ({ x: row[x], y: row[y], low: state.intervals ? row.low : null, high: state.intervals ? row.high : null, facts: facts(row) }))
      .sort((a, b) => a.x - b.x || b.y - a.y),
  }));
}

const between = (row) => (row.low == null ? [] : [["95 % interval", `${number(row.low, 1)} – ${number(row.high, 1)}`]]);
const scoreFact = (row) => ["score", `${number(row.score, 1)} %`];
const speedFact = (row) => ["tokens per step", number(row.tps)];
const curveFacts = (row) => [
  ["setting", row.setting], scoreFact(row), ...between(row), speedFact(row),
  ...(row.ceiling == null ? [] : [["best possible", `${number(row.ceiling, 1)} %`]]),
  ...(row.n == null ? [] : [["lanes", `${row.n}${row.unscored ? `, ${row.unscored} unscored` : ""}`]]),
];

// Labelled controls that change the state and draw the tab again.

function choice(name, options, value, change) {
  const id = `choose-${name.replace(/\W+/g, "-")}`;
  const changed = (event) => { change(event.target.value); render(); focusBack(id); };
  const choices = options.map(([key, text]) => html("option", { value: key, selected: String(key) === String(value) }, text));
  return html("label", {}, name, html("select", { id, onchange: changed }, choices));
}

function check(name, key) {
  const id = `check-${key}`;
  const changed = (event) => { state[key] = event.target.checked; render(); focusBack(id); };
  return html("label", {}, html("input", { type: "checkbox", id, checked: state[key], onchange: changed }), name);
}

function focusBack(id) {
  document.getElementById(id)?.focus({ preventScroll: true });
}
