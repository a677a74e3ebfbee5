// The page: what is asked, when, and what shows the answer.

import { $, h, problem, percent } from "./dom.js";
import { ask, askAt, run } from "./server.js";
import { tree, plant, grow, path, prompt, ids, showPath, showTree } from "./tree.js";
import { sides, edited, showKnobs } from "./knobs.js";
import { bars, showBars, moveFocus } from "./bars.js";
import { showStages, showSummary } from "./stages.js";
import { showLessons, showLesson } from "./lessons.js";
import { showShare, keepInLink, fromLink } from "./share.js";
import { showKeep } from "./keep.js";

const DRAWS = 1000;
let begun = null;
let [look, other] = [null, null];
let running = null;
/** Counts looks: an answer that a newer look has overtaken is not shown. */
let latest = 0;

const place = side => ({ tokens: ids(), prompt: prompt().length, knobs: side.knobs, off: side.off });

/** Looks at the place where the tree stands, and shows it. */
async function refresh() {
  if (!tree.nodes.length) return;
  const own = ++latest;
  bars.seen = null;
  $("drawn").textContent = "";
  keepInLink();
  try {
    const seen = await askAt("look", place(sides.a));
    const compared = sides.b ? await askAt("look", place(sides.b), { also: seen.tokens.map(token => token.id) }) : null;
    if (own !== latest) return;
    [look, other] = [seen, compared];
    problem(null);
    show();
  } catch (error) {
    if (own === latest && !error.message.startsWith("a newer question")) problem(error.message);
  }
}

function show() {
  // Which look is shown, for a check to wait for.
  document.documentElement.dataset.looked = latest;
  showPath(go);
  showTree(go);
  showStages(look, show, refresh);
  showSummary(look, other);
  showBars(look, other, take);
}

function go(node) {
  tree.at = node;
  return refresh();
}

function take(token) {
  const logprob = token.p?.[0] ? Math.log(token.p[0]) : null;
  return go(grow(tree.at, { id: token.id, text: token.text }, logprob));
}

function takeChosen() {
  const chosen = look?.tokens.find(token => token.id === look.chosen);
  if (chosen) take(chosen);
}

const back = () => go(tree.nodes[tree.at].parent ?? 0);

async function begin(question) {
  try {
    const { tokens } = await ask("tokens", question);
    plant(tokens);
    await refresh();
  } catch (error) { problem(error.message); }
}

async function append(text) {
  try {
    const { tokens } = await ask("tokens", { text, more: true });
    for (const token of tokens) {
      // What the model says of it there, so that the branch has a log-probability.
      const seen = await ask("look", { place: place(sides.a), also: [token.id] });
      const share = seen.tokens.find(one => one.id === token.id).p[0];
      tree.at = grow(tree.at, token, share ? Math.log(share) : null);
    }
    await go(tree.at);
  } catch (error) { problem(error.message); }
}

async function runToEnd() {
  if (running) { running.abort(); return; }
  running = new AbortController();
  $("run").textContent = "Stop";
  try {
    await run(place(sides.a), 200, line => {
      tree.at = grow(tree.at, { id: line.id, text: line.text }, line.logprob);
      showPath(go);
    }, running.signal);
  } catch (error) { if (error.name !== "AbortError") problem(error.message); }
  running = null;
  $("run").textContent = "Run to the end";
  await refresh();
}

/** Draws again and again, and shows after each hundred how the counts settle on the bars. */
async function redraw() {
  const own = latest;
  const counts = new Map();
  for (let from = 0; from < DRAWS; from += 100) {
    let answer;
    try { answer = await ask("redraw", { place: place(sides.a), draws: 100, from }); } catch (error) { problem(error.message); return; }
    if (own !== latest) return;
    for (const [id, count] of answer.counts) counts.set(id, (counts.get(id) ?? 0) + count);
    bars.seen = { counts, draws: from + 100 };
    $("drawn").textContent = `${from + 100} draws, ${counts.size} different tokens; the upright marks are their shares`;
    showBars(look, other, take);
  }
}

async function beams() {
  const count = Number($("beams-count").value);
  try {
    const asked = place(sides.a);
    const [greedy, found] = [await ask("beams", { place: asked, count: 1 }), await ask("beams", { place: asked, count })];
    const said = (name, [text]) => [h("dt", {}, `${name}${total(text)}`), h("dd", { className: "token" }, text.text)];
    $("beams").replaceChildren(h("dl", {}, ...said("greedy", greedy), ...said(`${count} beams`, found)));
    problem(null);
  } catch (error) { problem(error.message); }
}

function total(sequence) {
  const steps = sequence.steps ?? [];
  const sum = steps.reduce((sum, step) => sum + (step.logprob ?? NaN), 0);
  return `, ${sequence.tokens.length} tokens${steps.length && !Number.isNaN(sum) ? `, Σ log p ${sum.toFixed(2)} (${percent(Math.exp(sum))})` : ""}`;
}

function changed(name) {
  if (name === "semantics") showKnobs(begun, changed);
  if (name === "semantics") edited().off = [];
  refresh();
}

function editSide(name) {
  if (name === "b" && !sides.b) sides.b = structuredClone(sides.a);
  sides.edited = name;
  $("side-a").setAttribute("aria-pressed", String(name === "a"));
  $("side-b").setAttribute("aria-pressed", String(name === "b"));
  $("drop-b").hidden = !sides.b;
  showKnobs(begun, changed);
  refresh();
}

async function startLesson(lesson) {
  [sides.a, sides.b] = [{ knobs: { ...lesson.a }, off: [] }, lesson.b ? { knobs: { ...lesson.b }, off: [] } : null];
  bars.view = null;
  showLesson(lesson);
  if (lesson.beams) $("beams-count").value = lesson.beams;
  $("prompt").value = lesson.prompt;
  await begin({ text: lesson.prompt });
  editSide("a");
}

async function restore(kept) {
  [sides.a, sides.b] = [kept.a, kept.b];
  const all = await ask("tokens", { ids: [...kept.prompt, ...kept.text] });
  plant(all.tokens.slice(0, kept.prompt.length));
  let at = 0;
  for (const token of all.tokens.slice(kept.prompt.length)) at = grow(at, token);
  tree.at = at;
  $("prompt").value = (await ask("tokens", { ids: kept.prompt })).text;
}

function listen() {
  $("begin").onsubmit = event => {
    event.preventDefault();
    const text = $("prompt").value;
    begin($("chat").checked ? { messages: [{ role: "user", content: text }] } : { text });
  };
  $("typed").onsubmit = event => {
    event.preventDefault();
    if ($("next").value) append($("next").value);
    $("next").value = "";
  };
  $("knobs").onsubmit = event => event.preventDefault();
  const clicks = { step: takeChosen, run: runToEnd, back, redraw, "beams-run": beams,
    more: () => { bars.count += 60; show(); }, "side-a": () => editSide("a"), "side-b": () => editSide("b"),
    "drop-b": () => { sides.b = null; editSide("a"); } };
  for (const [id, act] of Object.entries(clicks)) $(id).onclick = act;
  const keys = { s: takeChosen, b: back, r: runToEnd, d: redraw, ArrowDown: () => moveFocus(1), ArrowUp: () => moveFocus(-1) };
  document.addEventListener("keydown", event => {
    const typing = event.target.matches("input, textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}

async function main() {
  listen();
  try {
    begun = await ask("begin", {});
    $("model").textContent = `explores ${begun.model}`;
    $("chat-label").hidden = !begun.chat;
    showLessons(startLesson);
    showShare(begun, () => look);
    showKeep(begun);
    const kept = fromLink();
    if (kept) await restore(kept);
    else if (begun.prompt.length) { plant(begun.prompt); $("prompt").value = begun.prompt_text; }
    else { $("prompt").value = "The old lighthouse"; await begin({ text: "The old lighthouse" }); }
    showKnobs(begun, changed);
    $("drop-b").hidden = !sides.b;
    await refresh();
  } catch (error) { problem(error.message); }
}

main();
