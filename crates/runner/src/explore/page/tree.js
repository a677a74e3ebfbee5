// The tree of texts: each node is a token after its parent's text; the root is the prompt.

import { $, h, shown, percent } from "./dom.js";

export const tree = { nodes: [], at: 0 };

/** A new tree on a prompt's tokens. */
export function plant(prompt) {
  tree.nodes = [{ id: 0, parent: null, children: [], prompt, token: null, logprob: 0 }];
  tree.at = 0;
}

/** The node of a token after a node, made if it is not there. */
export function grow(parent, token, logprob = null) {
  const known = tree.nodes[parent].children.find(child => tree.nodes[child].token.id === token.id);
  if (known !== undefined) {
    const node = tree.nodes[known];
    node.logprob ??= logprob;
    return known;
  }
  const id = tree.nodes.length;
  tree.nodes.push({ id, parent, children: [], token, logprob });
  tree.nodes[parent].children.push(id);
  return id;
}

/** The nodes from the root to one, the root left out. */
export function path(to = tree.at) {
  const nodes = [];
  for (let node = tree.nodes[to]; node.parent !== null; node = tree.nodes[node.parent]) nodes.unshift(node);
  return nodes;
}

export const prompt = () => tree.nodes[0].prompt;

/** The ids of prompt and text. */
export function ids(to = tree.at) {
  return [...prompt().map(token => token.id), ...path(to).map(node => node.token.id)];
}

export const textOf = nodes => nodes.map(node => node.token.text).join("");

/** The text so far: each token of it is a place to go back to. */
export function showPath(go) {
  const whole = $("path");
  const start = h("button", { type: "button", className: "token", title: "The prompt" },
    prompt().map(token => token.text || `#${token.id} `).join(""));
  start.onclick = () => go(0);
  if (tree.at === 0) start.setAttribute("aria-current", "true");
  const tokens = path().map(node => {
    const button = h("button", { type: "button", className: "token", title: `log-probability ${number(node.logprob)}` },
      node.token.text || `#${node.token.id}`);
    button.onclick = () => go(node.id);
    if (node.id === tree.at) button.setAttribute("aria-current", "true");
    return button;
  });
  whole.replaceChildren(start, ...tokens);
}

const number = logprob => logprob === null ? "unknown" : logprob.toFixed(3);

/** The branches: runs of nodes without a fork are one line. */
export function showTree(go) {
  const list = node => {
    const items = node.children.map(child => {
      const line = [];
      let last = tree.nodes[child];
      line.push(last);
      while (last.children.length === 1) { last = tree.nodes[last.children[0]]; line.push(last); }
      const text = textOf(line);
      const sum = path(last.id).reduce((sum, one) => sum + (one.logprob ?? NaN), 0);
      const on = line.some(one => one.id === tree.at);
      const button = h("button", { type: "button", className: "token" }, text.length > 60 ? `${text.slice(0, 57)}…` : text || shown(line[0].token));
      button.onclick = () => go(last.id);
      if (on) button.setAttribute("aria-current", "true");
      const small = h("small", {}, Number.isNaN(sum) ? "" : ` Σ log p ${sum.toFixed(2)} (${percent(Math.exp(sum))})`);
      return h("li", {}, button, small, last.children.length > 1 ? list(last) : null);
    });
    return h("ul", {}, ...items);
  };
  const root = tree.nodes[0];
  $("tree").replaceChildren(root.children.length ? list(root) : h("p", { className: "soft" },
    "Each token that you take is a branch here; go back, take another, and there are two."));
}
