// What a beam search looked at.

const STEP_WIDE = 112, LINE_HIGH = 22;
const FATES = {
  kept: 'went on', finished: 'ended, among the best', outranked: 'others were better',
  ended_too_low: 'ended too low to be looked at', displaced: 'ended, better ones took its place', impossible: 'cannot come',
};

function treePart(data) {
  if (data.tree.length === 0) return null;
  const nodes = data.tree.map(([parent, length, text, sum, fate, score, finish], index) =>
    ({ index, parent, length, text, sum, fate, score, finish })).filter((node) => node.fate !== 'impossible');
  const frame = h('div', { class: 'frame', role: 'region', 'aria-label': 'Tree of the search', tabindex: 0 });
  const draw = (all) => frame.replaceChildren(drawTree(nodes, all));
  draw(false);
  const rows = nodes.map((node) => ({
    cells: [`#${node.index}`, node.parent < 0 ? 'prompt' : `#${node.parent}`, h('span', { class: 'number' }, quoted(node.text)), number(node.sum, 5), FATES[node.fate] ?? node.fate, number(node.score, 5)],
  }));
  const legend = ['kept', 'finished', 'outranked', 'displaced'].map((fate) =>
    h('li', {}, s('svg', { width: 16, height: 14, 'aria-hidden': 'true' }, s('g', { class: `node ${fate}` }, treeDot(fate, 8, 7))), fate === 'displaced' ? 'ended in vain' : FATES[fate]));
  return h('div', {},
    h('h3', {}, 'Tree of the search'),
    h('div', { class: 'controls' }, checker('Candidates that others outranked too', false, draw)),
    h('ul', { class: 'legend' }, legend),
    frame,
    h('details', {}, h('summary', {}, 'The tree as a table'),
      h('div', { class: 'scroll' }, table('Candidates in the order of the search; sum: ln of the probability so far, after the stages', ['candidate', 'after', 'token', 'sum', 'fate', 'score'], rows))));
}

function treeDot(fate, x, y) {
  if (fate === 'displaced' || fate === 'ended_too_low') return s('path', { class: 'dot', d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` });
  return s('circle', { class: 'dot', cx: x, cy: y, r: fate === 'outranked' ? 2.5 : 4.5 });
}

function drawTree(nodes, all) {
  const shown = nodes.filter((node) => all || node.fate !== 'outranked');
  const children = byKey(shown, (node) => node.parent);
  const row = new Map();
  let lines = 0;
  // A node stands level with its first child; leaves take a line each. No recursion: searches are long.
  const stack = (children.get(-1) ?? []).slice().reverse().map((node) => ({ node, entered: false }));
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const below = children.get(top.node.index) ?? [];
    if (!top.entered && below.length > 0) {
      top.entered = true;
      stack.push(...below.slice().reverse().map((node) => ({ node, entered: false })));
      continue;
    }
    stack.pop();
    row.set(top.node.index, below.length > 0 ? row.get(below[0].index) : lines++);
  }
  const longest = shown.reduce((most, node) => Math.max(most, node.length), 0);
  const [wide, high] = [70 + longest * STEP_WIDE, 16 + Math.max(1, lines) * LINE_HIGH];
  const x = (length) => 14 + length * STEP_WIDE - 40, y = (at) => 14 + at * LINE_HIGH;
  const parts = shown.map((node) => {
    const [x1, y1] = [x(node.length), y(row.get(node.index))];
    const [x0, y0] = node.parent < 0 ? [12, y(0)] : [x(node.length - 1), y(row.get(node.parent) ?? 0)];
    const text = inStrip(node.text), cut = text.length > 12 ? `${text.slice(0, 11)}…` : text;
    const about = `${quoted(node.text)}, sum ${number(node.sum, 4)}: ${FATES[node.fate] ?? node.fate}${node.score === null ? '' : `, score ${number(node.score, 4)}`}`;
    return [
      s('path', { class: `edge ${node.fate}`, d: `M${x0} ${y0}C${x0 + 30} ${y0} ${x1 - 40} ${y1} ${x1 - 5} ${y1}` }),
      s('g', { class: `node ${node.fate}` }, treeDot(node.fate, x1, y1), s('text', { x: x1 + 9, y: y1 + 4 }, cut), s('title', {}, about)),
    ];
  });
  const best = nodes.filter((node) => node.score !== null).length;
  const label = `Tree of the search: ${plural(nodes.length, 'candidate')} over ${plural(longest, 'step')}, ${plural(best, 'ended text')}; the table below has them all`;
  return s('svg', { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: 'img', 'aria-label': label }, s('circle', { class: 'f5', cx: 9, cy: y(0), r: 3 }), parts.map(([edge]) => edge), parts.map(([, node]) => node));
}
