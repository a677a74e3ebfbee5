// Fields and sliders of the knobs, in the order in which a pipeline acts on them.

import { $, h } from "./dom.js";

const NAMES = { Rules: "Rules and randomness", Scores: "Scores", Temperature: "Temperature", Cuts: "Cuts", Draw: "Draw" };

/** Sets of settings: of the pipeline, and of the one that it is compared with. */
export const sides = { a: { knobs: {}, off: [] }, b: null, edited: "a" };

export const edited = () => sides[sides.edited];

/** The engine whose rules a side has. */
const engineOf = (side, begun) => side.knobs.semantics ?? begun.started_with.semantics ?? "huggingface";

export function showKnobs(begun, changed) {
  const side = edited();
  const engine = engineOf(side, begun);
  const known = begun.knobs.filter(knob => knob.engines.includes(engine));
  const groups = [...new Set(known.map(knob => knob.group))].map(group => {
    const own = known.filter(knob => knob.group === group);
    const first = own.filter(knob => knob.usual || knob.kind === "choice" || knob.kind === "bool" || knob.name in side.knobs || knob.name === "seed");
    const rest = own.filter(knob => !first.includes(knob));
    const more = rest.length ? h("details", {}, h("summary", {}, `${rest.length} more`), ...rest.map(knob => field(knob, begun, changed))) : null;
    return h("fieldset", {}, h("legend", {}, NAMES[group] ?? group), ...first.map(knob => field(knob, begun, changed)), more);
  });
  $("knobs").replaceChildren(...groups);
}

function field(knob, begun, changed) {
  const side = edited();
  const id = `knob-${knob.name}`;
  const now = side.knobs[knob.name] ?? begun.started_with[knob.name];
  const row = h("div", { className: "knob" });
  const unset = h("button", { type: "button", className: "unset", title: "Back to the default", "aria-label": `${knob.name}: back to the default` }, "×");
  const mark = () => row.classList.toggle("set", knob.name in side.knobs);
  const set = value => {
    if (value === "" || value === undefined) delete side.knobs[knob.name];
    else side.knobs[knob.name] = value;
    mark();
    changed(knob.name);
  };
  unset.onclick = () => { set(undefined); showKnobs(begun, changed); $(id)?.focus(); };
  const label = h("label", { for: id, title: knob.help }, knob.name);
  row.append(label, control(knob, id, now, set), unset);
  if (knob.usual) row.append(slider(knob, id, now, set));
  row.append(h("small", {}, knob.help));
  mark();
  return row;
}

/** The value of a knob as a number: what is set, or the default if that is one. */
function numberOf(knob, now) {
  const number = Number(now ?? knob.default);
  return Number.isFinite(number) && (now !== undefined || knob.default !== "") ? number : null;
}

function control(knob, id, now, set) {
  if (knob.kind === "choice" || knob.kind === "bool") {
    const names = knob.kind === "bool" ? ["true", "false"] : knob.choices;
    const select = h("select", { id }, h("option", { value: "" }, knob.default ? `default (${knob.default})` : "default"),
      ...names.map(name => h("option", { value: name }, name)));
    select.value = now === undefined ? "" : String(now);
    select.onchange = () => set(knob.kind === "bool" && select.value ? select.value === "true" : select.value);
    return select;
  }
  const numeric = knob.kind === "number" || knob.kind === "whole";
  const input = h("input", { id, type: numeric ? "number" : "text", placeholder: knob.default, value: now === undefined ? "" : shownValue(now) });
  if (numeric) input.step = knob.kind === "whole" ? "1" : "any";
  input.oninput = () => {
    set(numeric && input.value !== "" ? Number(input.value) : input.value);
    const range = $(`${id}-range`);
    if (range && input.value !== "") range.value = input.value;
  };
  return input;
}

const shownValue = value => typeof value === "object" ? JSON.stringify(value) : value;

function slider(knob, id, now, set) {
  const [least, most] = knob.usual;
  const range = h("input", { id: `${id}-range`, type: "range", min: least, max: most,
    step: knob.kind === "whole" ? 1 : (most - least) / 200, "aria-label": knob.name });
  range.value = numberOf(knob, now) ?? least;
  range.oninput = () => {
    const value = knob.kind === "whole" ? Number(range.value) : Number(Number(range.value).toPrecision(4));
    $(id).value = value;
    set(value);
  };
  return range;
}
