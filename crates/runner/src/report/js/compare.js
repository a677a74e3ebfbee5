// Two runs side by side: their numbers, where they part, and their words.

function compare() {
  const first = controlOf.get(page.runs[0].prompt) ?? page.runs[0];
  const other = page.runs.find((run) => run.prompt === first.prompt && run !== first) ?? first;
  const show = () => {
    const [said, ...parts] = comparison(a.get(), b.get());
    $('compare-status').textContent = said;
    $('compare-view').replaceChildren(...parts);
  };
  const a = picker($('picker-a'), first, show);
  const b = picker($('picker-b'), other, show);
  show();
}

function comparison(a, b) {
  const [left, right] = [stepsOf(a.index), stepsOf(b.index)];
  let shared = 0;
  const same = (i) => tokenId(left.steps[i].text) === tokenId(right.steps[i].text);
  while (shared < left.steps.length && shared < right.steps.length && same(shared)) shared += 1;
  const parted = shared < left.steps.length || shared < right.steps.length;
  const numbers = page.measures.map((measure, i) => {
    const [x, y] = [a.values[i], b.values[i]];
    const apart = x === null || y === null ? '–' : `${y < x ? '−' : '+'}${number(Math.abs(y - x))}`;
    return { cells: [measure.title, number(x), number(y), apart] };
  });
  const both = a.prompt === b.prompt;
  const words = parted || a.text !== b.text ? marked(a.text, b.text, true) : 'The texts are the same.';
  return [
    parted ? `They have the first ${plural(shared, 'token')} in common${both ? '' : ', after different prompts'}.` : 'They have all tokens in common.',
    h('div', { class: 'sides' }, side('A', a, left, shared, parted), side('B', b, right, shared, parted)),
    h('h3', {}, 'From A to B'),
    h('p', { class: 'text' }, h('bdi', {}, words)),
    h('div', { class: 'scroll' }, table('Measures', ['measure', 'A', 'B', 'B − A'], numbers)),
  ];
}

function side(name, run, data, shared, parted) {
  const panel = h('div', { class: 'panel', role: 'region', 'aria-label': `The token of ${name} looked at` });
  const look = (i) => panel.replaceChildren(...stepPanel(data, i).flat());
  const kind = (i) => (i < shared ? 'shared' : parted && i === shared ? 'parted' : '');
  const tokens = strip(data.steps, `Tokens of ${name}: ${runName(run)}`, look, kind);
  if (data.steps.length > 0) tokens.select(Math.min(shared, data.steps.length - 1), false);
  return h('div', {}, h('h3', {}, `${name}: ${runName(run)}`), data.steps.length > 0 ? [tokens.box, panel] : h('p', { class: 'note' }, 'The run has no tokens.'));
}
