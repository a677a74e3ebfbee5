// A state as a link, a command, a spec, JSON, Rust.

import { $, h } from "./dom.js";
import { prompt, ids, path, tree } from "./tree.js";
import { sides } from "./knobs.js";

const encode = state => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(state))))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const decode = text => JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0))));

/** What a link holds: never the token of the address. */
export function state() {
  return { prompt: prompt().map(token => token.id), text: path().map(node => node.token.id), a: sides.a, b: sides.b };
}

export function keepInLink() {
  history.replaceState(null, "", `#s=${encode(state())}`);
}

/** The state of the page's link, if it has one. */
export function fromLink() {
  const coded = location.hash.match(/^#s=([\w-]+)$/)?.[1];
  try { return coded ? decode(coded) : null; } catch { return null; }
}

const quoted = value => {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /^[\w.,:;=+-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`;
};

function command(begun) {
  const knobs = { ...begun.started_with, ...sides.a.knobs };
  const flags = Object.entries(knobs).map(([name, value]) => `--${name.replace(/_/g, "-")} ${quoted(value)}`);
  const model = begun.argument ? [`--model ${quoted(begun.argument)}`] : [];
  const seed = "seed" in knobs ? [] : [`--seed ${begun.seed}`];
  return ["taper generate", `--prompt-ids ${ids().join(",")}`, ...model, ...flags, ...seed, "--trace"].join(" ");
}

/** JSON's strings, numbers and lists are TOML's too. */
function spec(begun) {
  const setting = (label, knobs) => ["[[settings]]", `label = ${JSON.stringify(label)}`,
    ...Object.entries(knobs).filter(([name]) => name !== "seed").map(([name, value]) => `${name} = ${JSON.stringify(value)}`)].join("\n");
  const sets = [setting("A", { ...begun.started_with, ...sides.a.knobs })];
  if (sides.b) sets.push(setting("B", { ...begun.started_with, ...sides.b.knobs }));
  return [`title = "Explored"`, `runs = 10`, `[[prompts]]`, `ids = [${ids().join(", ")}]`, ...sets].join("\n") + "\n";
}

export function showShare(begun, getLook) {
  const kinds = {
    "link": () => location.hash,
    "command": () => command(begun),
    "spec": () => spec(begun),
    "JSON": () => JSON.stringify(getLook()?.pipeline ?? null, null, 1),
    "Rust": () => getLook()?.rust ?? "// this pipeline has a stage that is no data",
  };
  $("share").replaceChildren(...Object.entries(kinds).map(([name, make]) => {
    const button = h("button", { type: "button" }, `Copy ${name}`);
    button.onclick = async () => {
      const text = make();
      const area = $("shared");
      [area.value, area.hidden] = [text, false];
      try { await navigator.clipboard.writeText(text); } catch { area.select(); }
    };
    return button;
  }));
}

export { tree };
