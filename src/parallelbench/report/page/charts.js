/* Charts as SVG, drawn from plain descriptions: points with intervals on two axes, and stacked bars.

   A description is drawn as often as needed: into the page (colours follow the page's variables), and again with
   fixed colours and a legend when somebody saves it. Text from data enters through textContent alone. */

const SVG = "http://www.w3.org/2000/svg";
const FONT = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif';
const ON_PAGE = { text: "var(--ink)", soft: "var(--soft)", grid: "var(--grid)", paper: "var(--paper)" };
const ON_PAPER = { text: "#1b1f24", soft: "#57606a", grid: "#e3e5e8", paper: "#ffffff" };
const LETTER = 6.1; // mean width of a letter at 11 px; good enough to keep labels apart
const MARKERS = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down"];

/** An HTML element; a text child becomes a text node, never markup. */
function html(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) if (value != null && value !== "") node.setAttribute(key, value);
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

function label(text, x, y, attributes = {}) {
  return svg("text", { x, y, "font-family": FONT, "font-size": 11, ...attributes }, text);
}

/** A number of few digits; a dash for what is not known. */
function number(value, digits = 2) {
  if (value == null || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  return Math.abs(value) >= 10000 ? value.toLocaleString("en", { maximumFractionDigits: 0 }) : value.toFixed(digits);
}

function shorten(text, letters) {
  return text.length > letters ? text.slice(0, Math.max(1, letters - 1)) + "…" : text;
}

// ---------------------------------------------------------------------------------------------------------- axes

function niceTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high, room) {
  let ticks = [];
  for (let e = Math.ceil(Math.log2(low) - 1e-9); e <= Math.log2(high) + 1e-9; e++) ticks.push(2 ** e);
  while (ticks.length > Math.max(2, room)) ticks = ticks.filter((_, i) => i % 2 === 0);
  return ticks;
}

/** A scale: `to(value)` gives pixels; ticks are chosen for the room there is. */
function scale(axis, values, from, to, letters) {
  const log = axis.scale === "log2";
  const known = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
  let low = axis.min ?? Math.min(...known);
  let high = axis.max ?? Math.max(...known);
  if (!known.length && axis.min == null) [low, high] = log ? [1, 32] : [0, 1];
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  const margin = (high - low) * (axis.margin || 0);
  [low, high] = [low - margin, high + margin];
  const f = log ? Math.log2 : (v) => v;
  const room = Math.abs(to - from) / letters;
  return {
    ticks: log ? logTicks(low, high, room) : niceTicks(low, high, Math.min(6, room)),
    to: (v) => from + ((f(v) - f(low)) / (f(high) - f(low))) * (to - from),
    low,
    high,
  };
}

function tickText(value) {
  return String(Math.abs(value) >= 1000 ? value.toLocaleString("en") : Number(value.toPrecision(4)));
}

// --------------------------------------------------------------------------------------------- points on two axes

function markerPath(shape, x, y, r) {
  const d = r * 1.25;
  return {
    circle: `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
    square: `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
    "triangle-up": `M${x},${y - d}L${x + d},${y + r}H${x - d}z`,
    "triangle-down": `M${x},${y + d}L${x + d},${y - r}H${x - d}z`,
    diamond: `M${x},${y - d}L${x + d},${y}L${x},${y + d}L${x - d},${y}z`,
    cross: `M${x - d},${y - r / 2}h${d - r / 2}v${-d + r / 2}h${r}v${d - r / 2}h${d - r / 2}v${r}h${-d + r / 2}v${d - r / 2}h${-r}v${-d + r / 2}h${-d + r / 2}z`,
  }[shape || "circle"];
}

/** Series with the same x stand side by side, so that their intervals can be told apart. */
function dodged(series, place) {
  const seen = new Map();
  for (const s of series)
    for (const point of s.points) {
      if (point.low == null) continue;
      const key = Math.round(place(point.x));
      if (!seen.has(key)) seen.set(key, []);
      seen.get(key).push(point);
    }
  const shift = new Map();
  for (const group of seen.values())
    group.forEach((point, i) => shift.set(point, (i - (group.length - 1) / 2) * Math.min(4, 18 / group.length)));
  return shift;
}

function drawAxes(spec, x, y, box, ink) {
  const parts = svg("g", { "aria-hidden": "true" });
  for (const tick of y.ticks) {
    const at = y.to(tick);
    parts.append(svg("line", { x1: box.left, x2: box.right, y1: at, y2: at, stroke: ink.grid }));
    parts.append(label(tickText(tick), box.left - 6, at + 4, { "text-anchor": "end", fill: ink.soft }));
  }
  for (const tick of x.ticks) {
    const at = x.to(tick);
    parts.append(svg("line", { x1: at, x2: at, y1: box.bottom, y2: box.bottom + 4, stroke: ink.soft }));
    parts.append(label(tickText(tick), at, box.bottom + 16, { "text-anchor": "middle", fill: ink.soft }));
  }
  parts.append(svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, stroke: ink.soft }));
  const middle = (box.left + box.right) / 2;
  parts.append(label(spec.x.label, middle, box.bottom + 32, { "text-anchor": "middle", fill: ink.soft }));
  parts.append(label(spec.y.label, box.left - 6, box.top - 10, { "text-anchor": "start", fill: ink.soft, dx: -box.left + 8 }));
  return parts;
}

function drawSeries(series, x, y, shift, ink, placed) {
  const group = svg("g", { opacity: series.strength ?? null });
  const spots = series.points
    .filter((p) => Number.isFinite(p.x) && Number.isFinite(p.y))
    .map((p) => ({ px: x.to(p.x) + (shift.get(p) || 0), py: y.to(p.y), point: p, series }));
  if (series.line !== false && spots.length > 1) {
    const path = spots.map((s, i) => `${i ? "L" : "M"}${s.px.toFixed(1)},${s.py.toFixed(1)}`).join("");
    const dash = series.dash;
    group.append(
      svg("path", { d: path, fill: "none", stroke: series.color, "stroke-width": series.width || 1.8, "stroke-dasharray": dash }),
    );
  }
  for (const s of spots) {
    const { low, high } = s.point;
    if (low != null && high != null)
      group.append(
        svg("path", { d: `M${s.px},${y.to(low)}V${y.to(high)}`, stroke: series.color, "stroke-width": 1.2, opacity: 0.7 }),
      );
    if (series.marker !== "none") {
      const fill = series.hollow ? ink.paper : series.color;
      const d = markerPath(series.marker, s.px, s.py, series.size || 3.2);
      group.append(svg("path", { d, fill, stroke: series.color, "stroke-width": 1.2 }));
    }
  }
  placed.push(...spots);
  return group;
}

/** Names beside points, each where it meets nothing else, or else where it meets least. */
function drawNames(spots, box, ink) {
  const taken = spots.map((s) => ({ l: s.px - 5, r: s.px + 5, t: s.py - 5, b: s.py + 5 }));
  const group = svg("g", {});
  for (const s of spots) {
    if (!s.point.name) continue;
    const width = s.point.name.length * LETTER;
    const options = [];
    for (const dy of [4, -8, 16, -20, 28, -32, 40, -44, 52, -56])
      for (const side of [9, -9]) options.push({ left: side > 0 ? s.px + side : s.px + side - width, y: s.py + dy });
    const cost = (o) => {
      const r = { l: o.left, r: o.left + width, t: o.y - 10, b: o.y + 2 };
      const outside = Math.max(0, box.left - r.l) + Math.max(0, r.r - box.right) + Math.max(0, box.top - r.t);
      const over = taken.reduce((sum, q) => {
        const w = Math.min(r.r, q.r) - Math.max(r.l, q.l);
        const h = Math.min(r.b, q.b) - Math.max(r.t, q.t);
        return sum + (w > 0 && h > 0 ? w * h : 0);
      }, 0);
      return over + outside * 50 + Math.abs(o.y - s.py - 4) * 0.4;
    };
    const best = options.reduce((a, b) => (cost(b) < cost(a) ? b : a));
    taken.push({ l: best.left, r: best.left + width, t: best.y - 10, b: best.y + 2 });
    const [x, y] = [best.left > s.px ? best.left - 2 : best.left + width + 2, best.y - 4];
    if (Math.abs(y - s.py) > 14) group.append(svg("path", { d: `M${s.px},${s.py}L${x},${y}`, stroke: ink.soft, "stroke-width": 0.7 }));
    const right = best.left > s.px;
    group.append(label(s.point.name, right ? best.left : best.left + width, best.y, { fill: ink.text, "text-anchor": right ? "start" : "end" }));
  }
  return group;
}

/** Draw points on two axes; the SVG element carries `spots`, where its points ended up. */
function drawPoints(spec, width, height, ink) {
  const points = spec.series.flatMap((s) => s.points);
  const ys = points.flatMap((p) => [p.y, p.low, p.high].filter((v) => v != null));
  const box = { left: 44, right: width - 14, top: 26, bottom: height - 42 };
  const x = scale(spec.x, points.map((p) => p.x), box.left + 8, box.right - 8, spec.x.scale === "log2" ? 26 : 46);
  const y = scale(spec.y, ys, box.bottom, box.top, 26);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, xmlns: SVG });
  root.append(drawAxes(spec, x, y, box, ink));
  for (const line of spec.rules || []) {
    const at = line.y != null ? [box.left, y.to(line.y), box.right, y.to(line.y)] : [x.to(line.x), box.top, x.to(line.x), box.bottom];
    const [x1, y1, x2, y2] = at;
    root.append(svg("line", { x1, y1, x2, y2, stroke: ink.soft, "stroke-dasharray": "2 3" }));
  }
  const shift = dodged(spec.series, x.to);
  root.spots = [];
  for (const series of spec.series) root.append(drawSeries(series, x, y, shift, ink, root.spots));
  root.append(drawNames(root.spots, box, ink));
  if (!root.spots.length)
    root.append(label(spec.empty || "nothing measured", width / 2, height / 2, { "text-anchor": "middle", fill: ink.soft }));
  return root;
}

// --------------------------------------------------------------------------------------------------- stacked bars

/** Draw horizontal bars: `spec.bars` = [{name, color, parts: [{name, color, value, low, high, facts}]}]. */
function drawBars(spec, width, _height, ink) {
  const row = 22;
  const longest = Math.max(4, ...spec.bars.map((bar) => bar.name.length));
  const left = Math.min(longest * LETTER + 14, width * 0.42);
  const box = { left, right: width - 20, top: 8, bottom: 8 + spec.bars.length * row };
  const ends = spec.bars.flatMap((bar) => [bar.parts.reduce((sum, p) => sum + (p.value || 0), 0), ...bar.parts.map((p) => p.high || 0)]);
  const x = scale({ min: 0, ...spec.x }, [0, ...ends], box.left, box.right, 46);
  const height = box.bottom + 40;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, xmlns: SVG });
  for (const tick of x.ticks) {
    root.append(svg("line", { x1: x.to(tick), x2: x.to(tick), y1: box.top, y2: box.bottom, stroke: ink.grid }));
    root.append(label(tickText(tick), x.to(tick), box.bottom + 14, { "text-anchor": "middle", fill: ink.soft }));
  }
  root.append(label(spec.x.label, (box.left + box.right) / 2, box.bottom + 31, { "text-anchor": "middle", fill: ink.soft }));
  root.spots = [];
  spec.bars.forEach((bar, i) => {
    const top = box.top + i * row + 3;
    root.append(label(shorten(bar.name, Math.floor((left - 10) / LETTER)), left - 8, top + 12, { "text-anchor": "end", fill: ink.text }));
    let sum = 0;
    for (const part of bar.parts) {
      if (part.value == null) continue;
      const from = x.to(sum);
      const to = x.to((sum += part.value));
      root.append(svg("rect", { x: from, y: top, width: Math.max(0, to - from), height: row - 6, fill: part.color, opacity: part.strength }));
      if (part.low != null)
        root.append(svg("path", { d: `M${x.to(part.low)},${top + 8}H${x.to(part.high)}`, stroke: ink.text, "stroke-width": 1.4 }));
      if (part.value > 0) root.spots.push({ px: (from + to) / 2, py: top + 8, point: part, series: bar, from, to });
    }
    if (bar.parts.every((part) => part.value == null)) root.append(label("not measured", left + 4, top + 12, { fill: ink.soft }));
  });
  return root;
}

// ----------------------------------------------------------------------------------------------- saving a figure

function legendOf(spec) {
  if (spec.legend) return spec.legend;
  const seen = new Map();
  for (const s of spec.series || []) if (s.label && !seen.has(s.label)) seen.set(s.label, s);
  return [...seen.values()];
}

function swatch(item, ink) {
  const line = item.line !== false && !item.square;
  return [
    line ? svg("path", { d: "M0,7H24", stroke: item.color, "stroke-width": item.width || 2, "stroke-dasharray": item.dash, opacity: item.strength }) : null,
    item.square
      ? svg("rect", { x: 6, y: 1, width: 12, height: 12, fill: item.color })
      : item.marker === "none"
        ? null
        : svg("path", { d: markerPath(item.marker, 12, 7, 3.4), fill: item.hollow ? ink.paper : item.color, stroke: item.color, opacity: item.strength }),
  ];
}

/** The figure as one SVG document with title and legend, in fixed colours. */
function standalone(spec) {
  const width = spec.saveWidth || 640;
  const chart = spec.draw(spec, width, spec.height || 380, ON_PAPER);
  const items = legendOf(spec);
  const legend = svg("g", {});
  let [x, y] = [16, 36 + Number(chart.getAttribute("height"))];
  for (const item of items) {
    const room = 34 + item.label.length * LETTER + 14;
    if (x + room > width && x > 16) [x, y] = [16, y + 20];
    legend.append(svg("g", { transform: `translate(${x},${y})` }, swatch(item, ON_PAPER), label(item.label, 30, 11, { fill: ON_PAPER.text })));
    x += room;
  }
  const height = y + (items.length ? 26 : 0);
  chart.setAttribute("y", 28);
  const title = label(spec.title, 16, 20, { "font-size": 13, "font-weight": 600, fill: ON_PAPER.text });
  const paper = svg("rect", { width, height, fill: ON_PAPER.paper });
  return svg("svg", { xmlns: SVG, viewBox: `0 0 ${width} ${height}`, width, height }, svg("title", {}, spec.title), paper, title, chart, legend);
}

function save(name, blob) {
  const link = html("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A drawing as a file's text, in the colours of paper even when the page is dark. */
function asText(node) {
  const text = new XMLSerializer().serializeToString(node);
  return Object.entries(FOR_DARK).reduce((found, [paper, dark]) => found.replaceAll(dark, paper), text);
}

function savePng(name, root) {
  const image = new Image();
  image.onload = () => {
    const canvas = html("canvas", { width: 2 * root.getAttribute("width"), height: 2 * root.getAttribute("height") });
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    context.drawImage(image, 0, 0);
    canvas.toBlob((blob) => save(name, blob), "image/png");
  };
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(asText(root));
}

/** Comma-separated values; quoted where needed (RFC 4180). */
function asCsv(table) {
  const cell = (v) => (v == null ? "" : /[",\r\n]/.test(String(v)) ? `"${String(v).replaceAll('"', '""')}"` : String(v));
  return [table.columns, ...table.rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

// -------------------------------------------------------------------------------------------- a figure on the page

const tip = html("div", { id: "tip", role: "status", "aria-live": "polite", hidden: true });

function showTip(spot, x, y) {
  const lines = [html("strong", {}, spot.series.label || spot.series.name || ""), ...(spot.point.facts || [])];
  tip.replaceChildren(...lines.map((l) => (Array.isArray(l) ? html("div", {}, html("span", {}, l[0]), html("b", {}, l[1])) : l)));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, document.documentElement.clientWidth - width - 6))}px`;
  tip.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
}

function nearest(spots, x, y, reach) {
  let [best, least] = [null, reach ** 2];
  for (const s of spots) {
    const inside = s.from != null && x >= s.from && x <= s.to;
    const away = ((inside ? 0 : s.px - x)) ** 2 + (s.py - y) ** 2;
    if (away < least) [best, least] = [s, away];
  }
  return best;
}

/** Pointer and arrow keys walk the points of a drawn chart and say what they are. */
function makeReadable(plot) {
  let at = -1;
  const drawn = () => plot.querySelector("svg");
  const point = (spot, x, y) => {
    drawn().querySelector(".ring")?.remove();
    if (!spot) return void (tip.hidden = true);
    drawn().append(svg("circle", { class: "ring", cx: spot.px, cy: spot.py, r: 7, fill: "none", stroke: "var(--ink)", "stroke-width": 1.5 }));
    showTip(spot, x, y);
  };
  plot.addEventListener("pointermove", (event) => {
    const box = drawn().getBoundingClientRect();
    point(nearest(drawn().spots, event.clientX - box.left, event.clientY - box.top, 26), event.clientX, event.clientY);
  });
  plot.addEventListener("pointerleave", () => point(null));
  plot.addEventListener("blur", () => point(null));
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const { spots } = drawn();
    if (event.key === "Escape") return point(null);
    if (!step || !spots.length) return;
    event.preventDefault();
    at = (Math.max(0, at + step) + (at + step < 0 ? spots.length - 1 : 0)) % spots.length;
    const box = drawn().getBoundingClientRect();
    point(spots[at], box.left + spots[at].px, box.top + spots[at].py);
  });
}

function tableOf(table) {
  const shown = (v) => (typeof v === "number" ? number(v, Number.isInteger(v) ? 0 : 3) : v == null ? "–" : String(v));
  const rows = table.rows.map((row) => html("tr", {}, row.map((v) => html("td", { class: typeof v === "number" || v == null ? "num" : null }, shown(v)))));
  const head = html("tr", {}, table.columns.map((name) => html("th", { scope: "col" }, name)));
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Data" }, html("table", { class: "plain" }, html("thead", {}, head), html("tbody", {}, rows)));
}

const redrawn = new ResizeObserver((entries) => entries.forEach((entry) => entry.target.redraw?.()));

/** A figure: title, chart, its data as a table, and SVG, PNG and CSV to save. */
function figure(spec) {
  const file = spec.title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80) || "figure";
  const plot = html("div", { class: "plot", tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-label": `${spec.title}. ${spec.note || ""} Arrow keys read the points; the same numbers are under Data.` });
  const data = html("div", { class: "data", hidden: true });
  const toggle = html("button", {
    type: "button", "aria-expanded": "false",
    onclick: () => {
      if (!data.childNodes.length) data.append(tableOf(spec.table()));
      data.hidden = !data.hidden;
      toggle.setAttribute("aria-expanded", String(!data.hidden));
    },
  }, "Data");
  const button = (name, action) => html("button", { type: "button", "aria-label": `Save "${spec.title}" as ${name}`, onclick: action }, name);
  const tools = html("div", { class: "tools" }, toggle,
    button("SVG", () => save(`${file}.svg`, new Blob([asText(standalone(spec))], { type: "image/svg+xml" }))),
    button("PNG", () => savePng(`${file}.png`, standalone(spec))),
    button("CSV", () => save(`${file}.csv`, new Blob([asCsv(spec.table())], { type: "text/csv" }))));
  let drawnAt = 0;
  plot.redraw = () => {
    const width = Math.floor(plot.clientWidth);
    if (!width || width === drawnAt) return;
    drawnAt = width;
    plot.replaceChildren(spec.draw(spec, width, spec.height || 300, ON_PAGE));
  };
  makeReadable(plot);
  redrawn.observe(plot);
  const own = spec.legend ? html("div", { class: "legend" }, spec.legend.map((item) => html("span", {}, svg("svg", { width: 24, height: 14, "aria-hidden": "true" }, swatch(item, ON_PAGE)), item.label))) : null;
  return html("figure", { class: spec.small ? "small" : null }, html("figcaption", {}, html("h3", {}, spec.title), spec.note ? html("p", {}, spec.note) : null), plot, own, tools, data);
}
