// The tokens of a step as bars: the model's row in outline, what a stage leaves of it filled.

import { $, h, shown, percent } from "./dom.js";

/** Tokens shown at first. */
const FIRST = 30;

export const bars = { view: null, count: FIRST, seen: null };

/** The state that is shown: after how many of the stages that are on; all of them unless one was chosen. */
export const viewed = look => Math.min(bars.view ?? Infinity, look.tokens[0].p.length - 1);

function nameOf(look, stage) {
  return look.stages[stage]?.name ?? "the settings";
}

/** What happened to a token, in words. */
function fate(token, look, view) {
  const words = [];
  if (token.p[view] === null && token.removed_by !== null) words.push(`removed by ${nameOf(look, token.removed_by)}`);
  else if (token.removed_by !== null && view === token.p.length - 1) words.push(`removed by ${nameOf(look, token.removed_by)}`);
  const on = look.stages.map((stage, i) => ({ ...stage, i })).filter(stage => !stage.off);
  for (let i = 0; i < view; i++) {
    const [before, after] = [token.scores[i], token.scores[i + 1]];
    const stage = on[i];
    if (before === null || after === null || before === after || stage.name.includes("temperature") || stage.name === "renormalize") continue;
    words.push(`${stage.name} ${after > before ? "▲ +" : "▼ −"}${Math.abs(after - before).toFixed(2)}`);
  }
  return words.join(", ");
}

/** Tokens whose score a stage's boundary divides, or would without a tie rule. */
function ties(look, view) {
  const scores = new Map();
  for (const token of look.tokens) {
    const score = token.scores[Math.max(0, view - 1)] ?? token.scores[0];
    if (score !== null) scores.set(score, (scores.get(score) ?? 0) + 1);
  }
  return token => {
    const score = token.scores[Math.max(0, view - 1)] ?? token.scores[0];
    return score !== null && scores.get(score) > 1;
  };
}

export function showBars(look, other, take) {
  const view = viewed(look);
  const others = new Map(other?.tokens.map(token => [token.id, token.p.at(-1)]));
  const weight = token => token.p[view] ?? -1;
  const listed = [...look.tokens].sort((a, b) => weight(b) - weight(a) || (b.p[0] ?? 0) - (a.p[0] ?? 0) || a.id - b.id);
  const most = Math.max(1e-9, ...look.tokens.map(token => Math.max(token.p[0] ?? 0, token.p[view] ?? 0, others.get(token.id) ?? 0)));
  const tied = ties(look, view);
  const list = $("tokens");
  const focused = document.activeElement?.dataset?.id;
  list.classList.toggle("two", Boolean(other));
  list.replaceChildren(...listed.slice(0, bars.count).map(token => {
    const now = token.p[view];
    const share = width => `${100 * (width ?? 0) / most}%`;
    const [raw, filled] = [h("i", { className: "raw" }), h("i", { className: "now" })];
    raw.style.width = share(token.p[0]);
    filled.style.width = share(now);
    const track = h("span", { className: "track" }, raw, filled);
    if (other) {
      const bar = h("i", { className: "other" });
      bar.style.width = share(others.get(token.id));
      track.append(bar);
    }
    if (bars.seen) {
      const mark = h("i", { className: "seen" });
      mark.style.left = share((bars.seen.counts.get(token.id) ?? 0) / bars.seen.draws);
      track.append(mark);
    }
    const words = [fate(token, look, view)];
    if (tied(token)) words.push("= tied with another token");
    if (look.eos.includes(token.id)) words.push("ends the text");
    const told = words.filter(Boolean).join(", ");
    const name = `${shown(token)}: ${percent(token.p[0])} in the model, ${percent(now)} here${told ? `, ${told}` : ""}${token.id === look.chosen ? ", chosen" : ""}`;
    const button = h("button", { type: "button", className: "token", "aria-label": `${name}. Take it`, title: `token ${token.id}` }, shown(token));
    button.dataset.id = token.id;
    button.onclick = () => take(token);
    const numbers = other ? `${percent(now)} | ${percent(others.get(token.id))}` : percent(now);
    const item = h("li", { className: `${token.id === look.chosen ? "chosen" : ""} ${now === null ? "gone" : ""}` },
      button, track, h("span", { className: "number" }, now === null ? `(${percent(token.p[0])})` : numbers),
      told ? h("span", { className: "fate" }, told) : null);
    return item;
  }));
  if (focused) list.querySelector(`[data-id="${focused}"]`)?.focus();
  $("more").hidden = listed.length <= bars.count;
}

/** ↑ and ↓ between tokens. */
export function moveFocus(by) {
  const buttons = [...$("tokens").querySelectorAll("li > button")];
  const at = buttons.indexOf(document.activeElement);
  buttons[Math.max(0, Math.min(buttons.length - 1, at + by))]?.focus();
}
