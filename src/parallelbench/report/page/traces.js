/* The trace viewer: replays how lanes were decoded, one or two side by side.

   A trace is a list of steps; each tells the tokens set in it ([position, piece, confidence]), the positions masked
   again, and, where known, what model and ideal denoiser believed about the positions set. */

const TRACES = DATA.traces;
const player = { step: 0, timer: null, panes: [], last: 0 };
Object.assign(state, { traceTask: "", traceSample: "", left: "", right: "", colorBy: "step", pace: "4" });

function stopPlaying() {
  clearInterval(player.timer);
  player.timer = null;
  const button = document.getElementById("play");
  if (button) button.textContent = "▶ Play";
}

/** Every state of the canvas: frame s is what stands after s forwards. */
function framesOf(trace) {
  let cells = Array.from({ length: trace.length }, () => ({}));
  for (const [position, piece] of trace.given) cells[position] = { piece, given: true };
  const frames = [cells];
  trace.steps.forEach((step, i) => {
    cells = cells.map((cell) => ({ ...cell, now: false }));
    for (const position of step.before || []) cells[position] = { again: true };
    for (const [position, piece, confidence] of step.set) cells[position] = { piece, confidence, step: i + 1, again: cells[position].again || cells[position].piece !== undefined, now: true };
    for (const position of step.again || []) cells[position] = { again: true };
    frames.push(cells);
  });
  return frames;
}

function visible(text) {
  return text.replace(/^ +| +$/g, (blanks) => "␣".repeat(blanks.length)).replace(/\n/g, "⏎") || "∅";
}

const PALE = [222, 235, 247];
const DEEP = [8, 69, 148];

/** Steps on a scale of many hues; probabilities on one from pale to deep, as in the terminal. */
function colorOfShare(share) {
  return state.colorBy === "step" ? ramp(share) : PALE.map((v, i) => Math.round(v + (DEEP[i] - v) * Math.max(0, Math.min(1, share))));
}

function colorOfCell(cell, trace) {
  const share = state.colorBy === "step" ? (cell.step - 1) / Math.max(1, trace.steps.length - 1) : cell.confidence;
  if (share == null) return null;
  const [r, g, b] = colorOfShare(share);
  return { back: `rgb(${r},${g},${b})`, text: 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111111" : "#ffffff" };
}

/** What a screen reader says of a cell, and what the pointer sees in its title. */
function describeCell(cell, position) {
  const parts = [`position ${position + 1}`];
  if (cell.piece === undefined) parts.push(cell.again ? "masked again" : "masked");
  else parts.push(JSON.stringify(cell.piece), cell.given ? "given" : `decided in step ${cell.step}`);
  if (cell.confidence != null) parts.push(`confidence ${number(cell.confidence, 3)}`);
  if (cell.again && cell.piece !== undefined) parts.push("replaces a token taken back");
  return parts.join(", ");
}

/** Draw a cell; a masked one holds its final token unseen, so that nothing moves when it is filled. */
function paint(node, cell, position, trace, final) {
  const colors = cell.piece !== undefined && !cell.given ? colorOfCell(cell, trace) : null;
  const masked = cell.piece === undefined;
  const kinds = ["token", masked && "masked", cell.given && "given", cell.again && "again", cell.now && "now"];
  const text = masked ? final : cell.piece;
  const special = /^<(eos|pad|mask)>$/.exec(text || "");
  node.className = [...kinds, special && "special"].filter(Boolean).join(" ");
  node.textContent = special ? special[1] : visible(text ?? " ");
  node.style.background = colors ? colors.back : "";
  node.style.color = colors ? colors.text : "";
  node.setAttribute("aria-label", describeCell(cell, position));
}

function fits(step) {
  if (step?.distance == null) return "";
  return step.distance ? `; ${step.distance} of the tokens decided so far must change for any correct answer` : "; what is decided fits a correct answer";
}

/** One trace with its canvas; `show(step)` draws the state after so many forwards. */
function pane(trace) {
  const frames = framesOf(trace);
  let [current, picked] = [0, null];
  const tokens = Array.from({ length: trace.length }, (_, position) => html("button", { type: "button", class: "token", tabindex: position ? -1 : 0, onclick: () => pick(position) }));
  const canvas = html("div", { class: "canvas", role: "group", "aria-label": "canvas; arrow keys walk its tokens" }, tokens);
  const status = html("p", { class: "note status" });
  const detail = html("div", { class: "detail", "aria-live": "polite" });
  const ending = html("div", {});
  canvas.addEventListener("keydown", (event) => {
    const at = tokens.indexOf(document.activeElement) + ({ ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0);
    if (!["ArrowRight", "ArrowLeft"].includes(event.key) || !tokens[at]) return;
    event.preventDefault();
    event.stopPropagation();
    tokens.forEach((token, i) => (token.tabIndex = i === at ? 0 : -1));
    tokens[at].focus();
  });
  const pick = (position) => {
    picked = picked === position ? null : position;
    show(current);
  };
  const show = (step) => {
    current = Math.min(step, trace.steps.length);
    frames[current].forEach((cell, position) => paint(tokens[position], cell, position, trace, frames.at(-1)[position].piece));
    tokens.forEach((token, position) => token.setAttribute("aria-pressed", String(position === picked)));
    const left = frames[current].filter((cell) => cell.piece === undefined).length;
    const event = trace.steps[current - 1];
    const taken = event ? (event.again || []).length + (event.before || []).length : 0;
    status.textContent = `After ${current} of ${trace.steps.length} forwards: ${left} masked${event ? `, ${event.set.length} decided now${taken ? `, ${taken} taken back` : ""}` : ""}${fits(event)}.`;
    detail.replaceChildren(...(picked === null ? [] : detailOf(trace, frames[current][picked], picked, current)));
    ending.hidden = current < trace.steps.length;
  };
  ending.append(...endingOf(trace));
  const node = html("section", { class: "viewer" }, html("h3", {}, swatchOf(trace), `${trace.setting}, ${trace.model}`), status, canvas, detail, ending);
  return { node, show, steps: trace.steps.length };
}

function endingOf(trace) {
  const score = trace.score == null ? "unscored" : `score ${number(100 * trace.score, 1)} %`;
  return [html("p", { class: "note" }, `Finished: ${score}${trace.why ? `, ${trace.why}` : ""}${trace.error ? `; error: ${trace.error}` : ""}. Lane ${trace.id}.${trace.note ? ` ${trace.note}` : ""}`), html("div", { class: "texts", tabindex: 0, role: "region", "aria-label": "the text" }, trace.text || "(no text)")];
}

/** What was thought likely at one position, by the model and by the ideal denoiser: in this step, or when it was decided. */
function detailOf(trace, cell, position, current) {
  const parts = [html("p", { class: "note" }, `${describeCell(cell, position)}.`)];
  const step = [current, cell.step].find((s) => s && trace.steps[s - 1].beliefs[position]);
  if (!step) return [...parts, html("p", { class: "note" }, "What was thought likely here is not in this page.")];
  const belief = trace.steps[step - 1].beliefs[position];
  const columns = [["the model", belief.model], ["exact marginals of the correct answers", belief.ideal]].filter(([, list]) => list);
  parts.push(html("div", { class: "two" }, columns.map(([name, list]) => html("div", {}, html("h4", {}, `Step ${step}: ${name}`), html("div", { class: "bars-beside" }, list.flatMap(([piece, p]) => probabilityRow(piece, p)))))));
  return parts;
}

function probabilityRow(piece, p) {
  const bar = html("i");
  bar.style.width = `${Math.round(100 * p)}%`;
  return [html("span", { class: "mono" }, visible(piece)), html("span", { class: "bar" }, bar), html("span", { class: "num" }, number(p, 3))];
}

function goTo(step) {
  player.step = Math.max(0, Math.min(player.last, step));
  player.panes.forEach((one) => one.show(player.step));
  document.getElementById("step").value = player.step;
  document.getElementById("step-told").textContent = `step ${player.step} / ${player.last}`;
}

function play() {
  if (player.timer) return stopPlaying();
  if (player.step >= player.last) goTo(0);
  document.getElementById("play").textContent = "❚❚ Pause";
  player.timer = setInterval(() => {
    goTo(player.step + 1);
    if (player.step >= player.last) stopPlaying();
  }, 1000 / Number(state.pace));
}

function controlsOf() {
  const button = (name, text, action, id) => html("button", { type: "button", "aria-label": name, title: name, id, onclick: action }, text);
  const still = (step) => () => { stopPlaying(); goTo(step()); };
  const slider = html("input", { type: "range", id: "step", min: 0, max: player.last, value: 0, "aria-label": "step", oninput: (event) => { stopPlaying(); goTo(Number(event.target.value)); } });
  const pace = html("select", { "aria-label": "steps a second", id: "pace", onchange: (event) => { state.pace = event.target.value; if (player.timer) { stopPlaying(); play(); } } }, ["1", "2", "4", "8", "16"].map((n) => html("option", { value: n, selected: n === state.pace }, `${n} a second`)));
  return html("div", { class: "player", role: "group", "aria-label": "player" },
    button("first step", "|◀", still(() => 0)), button("one step back", "−1", still(() => player.step - 1)), html("button", { type: "button", id: "play", onclick: play }, "▶ Play"),
    button("one step on", "+1", still(() => player.step + 1)), button("last step", "▶|", still(() => player.last)), slider, html("output", { id: "step-told", for: "step" }), pace);
}

function playerKeys(event) {
  if (["SELECT", "INPUT"].includes(event.target.tagName)) return;
  if (event.key === " " && event.target.tagName === "BUTTON") return; // a button's own key
  const action = { " ": play, ArrowRight: () => goTo(player.step + 1), ArrowLeft: () => goTo(player.step - 1), Home: () => goTo(0), End: () => goTo(player.last) }[event.key];
  if (!action) return;
  event.preventDefault();
  if (event.key !== " ") stopPlaying();
  action();
}

function rampKey() {
  const bar = html("span", { class: "ramp", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map((s) => `rgb(${colorOfShare(s).join(",")})`).join(",")})`;
  const [low, high] = state.colorBy === "step" ? ["first step", "last step"] : ["confidence 0", "1"];
  return html("p", { class: "note" }, low, " ", bar, " ", high, ". Dashed box: masked; red line: a token was taken back here; outlined: decided in this step. Press a token for what was believed about it. Keys: space plays, arrows step.");
}

/** The first time: a task where one method is right and another wrong, the wrong one on the left. */
function chooseTelling() {
  for (const [task, lanes] of groupBy(TRACES.lanes, (t) => t.task)) {
    const wrong = lanes.find((t) => t.score === 0);
    const right = wrong && lanes.find((t) => t.score === 1 && t.sample === wrong.sample);
    if (right) return Object.assign(state, { traceTask: task, traceSample: wrong.sample, left: wrong.id, right: right.id });
  }
}

function renderTraces() {
  if (!TRACES.lanes.length) return [missing(TRACES.why || "No trace is in this page.")];
  if (!state.traceTask) chooseTelling();
  const tasks = [...new Set(TRACES.lanes.map((t) => t.task))];
  const task = (state.traceTask = chosenOf(state.traceTask, tasks));
  const samples = [...new Set(TRACES.lanes.filter((t) => t.task === task).map((t) => t.sample))];
  const sample = (state.traceSample = chosenOf(state.traceSample, samples));
  const lanes = TRACES.lanes.filter((t) => t.task === task && t.sample === sample);
  const ids = lanes.map((t) => t.id);
  const left = (state.left = chosenOf(state.left, ids));
  const right = (state.right = state.right === "none" ? "none" : chosenOf(state.right, [...ids.filter((id) => id !== left), "none"]));
  const nameOf = (t) => [t.id, `${t.setting}, ${t.model}`];
  player.panes = [left, ...(right === "none" ? [] : [right])].map((id) => pane(lanes.find((t) => t.id === id)));
  player.last = Math.max(...player.panes.map((one) => one.steps));
  player.step = 0;
  const about = TRACES.samples[sample] || {};
  const choices = html("div", { class: "controls" },
    choice("task", tasks.map(same), task, (v) => (state.traceTask = v)), choice("sample", samples.map(same), sample, (v) => (state.traceSample = v)),
    choice("left", lanes.map(nameOf), left, (v) => (state.left = v)), choice("right", [...lanes.map(nameOf), ["none", "none"]], right, (v) => (state.right = v)),
    choice("colour by", [["step", "step"], ["confidence", "confidence"]], state.colorBy, (v) => (state.colorBy = v)));
  const prompt = about.prompt ? html("details", {}, html("summary", {}, "Prompt"), html("div", { class: "texts" }, about.prompt)) : null;
  const box = html("div", { id: "player" }, controlsOf(), rampKey(), html("div", { class: "viewers" }, player.panes.map((one) => one.node)));
  box.addEventListener("keydown", playerKeys);
  queueMicrotask(() => goTo(0));
  return [choices, prompt, box];
}
