// Elements without markup: texts of a model are only ever text.

export const $ = id => document.getElementById(id);

/** An element with properties (or, where they have a dash, attributes) and children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "for" || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

/** A token's text as it is shown: spaces and control characters visible. */
export function shown(token) {
  if (token.text === "") return `#${token.id}`;
  return token.text.replace(/ /g, "·").replace(/\n/g, "⏎").replace(/\t/g, "⇥")
    .replace(/[\u0000-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A share as a person reads it. */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share === 0) return "0 %";
  const value = share * 100;
  if (value < 0.01) return "<0.01 %";
  return `${value < 1 ? value.toFixed(2) : value.toFixed(1)} %`;
}

export function problem(what) {
  const line = $("problem");
  line.textContent = what ?? "";
  line.hidden = !what;
}
