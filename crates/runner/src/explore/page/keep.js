// What was tried, kept as a list, and made a sweep with a report.

import { $, h } from "./dom.js";
import { ask } from "./server.js";
import { ids } from "./tree.js";
import { sides } from "./knobs.js";

/** Settings and texts, each once. */
const kept = new Map();

const toml = value => JSON.stringify(value);

function keep(begun) {
  for (const side of [sides.a, sides.b].filter(Boolean)) {
    const { seed, ...knobs } = { ...begun.started_with, ...side.knobs };
    const one = { ids: ids(), knobs };
    kept.set(JSON.stringify(one), one);
  }
}

/** Every text under every setting, ten times each. */
export function spec() {
  const texts = [...new Set([...kept.values()].map(one => one.ids.join(", ")))];
  const settings = [...new Set([...kept.values()].map(one => JSON.stringify(one.knobs)))].map(text => JSON.parse(text));
  const label = (knobs, i) => Object.entries(knobs).map(([name, value]) => `${name}=${typeof value === "object" ? toml(value) : value}`).join(" ") || `settings ${i + 1}`;
  return [`title = "Explored"`, "runs = 10",
    ...texts.map(text => `[[prompts]]\nids = [${text}]`),
    ...settings.map((knobs, i) => ["[[settings]]", `label = ${toml(label(knobs, i))}`, ...Object.entries(knobs).map(([name, value]) => `${name} = ${toml(value)}`)].join("\n"))].join("\n") + "\n";
}

export function showKeep(begun) {
  const said = h("span", { role: "status" });
  const report = h("button", { type: "button", disabled: "" }, "Make a report of what is kept");
  const one = h("button", { type: "button" }, "Keep this");
  one.onclick = () => {
    keep(begun);
    report.disabled = false;
    said.textContent = `${kept.size} kept`;
  };
  report.onclick = async () => {
    report.disabled = true;
    said.textContent = "the runs are made …";
    try {
      const made = await ask("keep", { spec: spec() });
      said.textContent = `${made.runs} runs, reported in ${made.report}`;
    } catch (error) {
      said.textContent = error.message;
    }
    report.disabled = false;
  };
  $("keep").replaceChildren(one, report, said);
}
