// The stages in order: what each did, which is looked at, which are off.

import { $, h, percent } from "./dom.js";
import { bars, viewed } from "./bars.js";
import { sides } from "./knobs.js";

export function showStages(look, redrawBars, changed) {
  const view = viewed(look);
  const raw = chip("the model's row", `${look.vocab_size} tokens · ${nats(look.entropy)}`, view === 0, () => { bars.view = 0; redrawBars(); });
  let on = 0;
  const chips = look.stages.map((stage, i) => {
    const isSelector = i === look.stages.length - 1;
    if (!stage.off && !isSelector) on += 1;
    const state = on;
    const press = () => { bars.view = isSelector ? null : state; redrawBars(); };
    const pressed = !stage.off && (isSelector ? bars.view === null : bars.view === state);
    const element = chip(stage.shown, told(stage, isSelector, look), pressed, press);
    element.classList.toggle("off", stage.off);
    if (!isSelector) {
      const box = h("input", { type: "checkbox", checked: !stage.off, "aria-label": `${stage.name} is on` });
      box.onchange = () => {
        const off = new Set(sides.a.off);
        if (box.checked) off.delete(i); else off.add(i);
        sides.a.off = [...off];
        changed();
      };
      element.append(h("label", { title: "on or off" }, box));
    }
    return element;
  });
  $("stages").replaceChildren(raw, ...chips);
}

const nats = entropy => entropy === null ? "no distribution" : `${entropy.toFixed(2)} nats`;

function told(stage, isSelector, look) {
  if (stage.off) return "off";
  if (stage.before === undefined) return isSelector ? `of ${look.kept} tokens` : "";
  const cut = stage.before === stage.after ? `${stage.after} tokens` : `${stage.before} → ${stage.after}`;
  const mass = stage.removed_mass ? ` · −${percent(stage.removed_mass)}` : "";
  const tied = stage.ties ? ` · ${stage.ties} tied at the cut` : "";
  return `${cut}${mass}${tied} · ${nats(stage.entropy_after)}`;
}

function chip(name, small, pressed, press) {
  const button = h("button", { type: "button", "aria-pressed": String(pressed) }, name, h("small", {}, small));
  button.onclick = press;
  return h("span", { className: "stage" }, button);
}

export function showSummary(look, other) {
  const draws = look.draws ? `drawn under seed ${look.seed}` : "the best";
  const kl = look.drawn_kl === null ? "" : `, ${look.drawn_kl.toFixed(3)} nats from the model's`;
  const lines = [`Chosen: “${look.chosen_text || `#${look.chosen}`}” (${percent(look.chosen_probability)}, ${draws}), out of ${look.kept} tokens; entropy ${look.drawn_entropy?.toFixed(2) ?? "–"} nats${kl}.`];
  if (other) lines.push(`B: “${other.chosen_text || `#${other.chosen}`}” (${percent(other.chosen_probability)}), out of ${other.kept}; entropy ${other.drawn_entropy?.toFixed(2) ?? "–"} nats.`);
  lines.push(...look.remarks.map(remark => `Note: ${remark}.`));
  $("summary").textContent = lines.join(" ");
}
