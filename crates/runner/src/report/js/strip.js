// The tokens of a run as a strip: pointed at, or walked along by keys.

const stepName = (step, i, steps) => {
  const rank = step.rank === null ? '' : `, rank ${step.rank}`;
  const kept = step.kept === null ? '' : `, one of ${step.kept} kept`;
  return `token ${i + 1} of ${steps.length}: ${quoted(step.text)}, probability ${percent(share(step))}${rank}${kept}`;
};

// The probability among what was left; of beams, which have none, the model's own.
function share(step) {
  if (step.probability !== null) return step.probability;
  return step.logprob === null ? null : Math.exp(step.logprob);
}

// `look(i)` is told which token is looked at, `chosen(i)` which is chosen by hand. Returns the strip, and
// what selects a token in it.
function strip(steps, label, look, classOf = () => '', chosen = () => {}) {
  let selected = 0;
  const tokens = steps.map((step, i) => h('span', {
    class: `token ${classOf(i)}`, role: 'option', tabindex: i === 0 ? 0 : -1, 'aria-selected': 'false',
    'aria-label': stepName(step, i, steps), vars: { p: (share(step) ?? 0).toFixed(3) },
    on: { click: () => select(i, true), mouseenter: () => look(i), focus: () => select(i, false) },
  }, inStrip(step.text)));
  const select = (i, focus) => {
    tokens[selected].setAttribute('aria-selected', 'false');
    tokens[selected].tabIndex = -1;
    selected = i;
    tokens[i].setAttribute('aria-selected', 'true');
    tokens[i].tabIndex = 0;
    if (focus) { tokens[i].focus(); chosen(i); }
    look(i);
  };
  const moves = {
    ArrowRight: () => selected + 1, ArrowLeft: () => selected - 1, PageDown: () => selected + 10, PageUp: () => selected - 10,
    ArrowDown: () => selected + 1, ArrowUp: () => selected - 1, Home: () => 0, End: () => tokens.length - 1,
  };
  const box = h('div', {
    class: 'strip', role: 'listbox', 'aria-label': label, 'aria-orientation': 'horizontal',
    on: {
      keydown: (event) => {
        const move = moves[event.key];
        if (!move || event.ctrlKey || event.metaKey || event.altKey || tokens.length === 0) return;
        event.preventDefault();
        select(Math.min(tokens.length - 1, Math.max(0, move())), true);
      },
      mouseleave: () => { if (tokens.length > 0) look(selected); },
    },
  }, tokens);
  return { box, select };
}

const stripKey = () => h('p', { class: 'key' }, 'The stronger the tint and the shorter the line below, the less likely the token. Arrow keys move along; Home, End and Page keys leap.');

// All about one token.
function stepPanel(data, i) {
  const step = data.steps[i];
  const facts = [
    ['probability when chosen', percent(step.probability)],
    ['in the model’s own row', step.logprob === null ? '–' : `${percent(Math.exp(step.logprob))}, logprob ${number(step.logprob, 4)}`],
    ['rank there', step.rank === null ? '–' : String(step.rank)],
    ['could be chosen', step.kept === null ? '–' : plural(step.kept, 'token')],
    ['entropy of that row', step.entropy === null ? '–' : `${number(step.entropy, 4)} nats`],
    ['entropy of what was drawn from', step.drawn === null ? '–' : `${number(step.drawn, 4)} nats`],
    ['its divergence from the model (KL)', step.kl === null ? '–' : `${number(step.kl, 4)} nats`],
    step.passed ? ['error passed over', step.passed] : null,
  ].filter(Boolean);
  return [
    h('h3', {}, `Token ${i + 1} of ${data.steps.length}: ${quoted(step.text)}`),
    h('dl', { class: 'inline' }, facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
    h('div', { class: 'columns' }, h('div', {}, alternatives(data, step)), h('div', {}, stageTable(data, step))),
  ];
}

function alternatives(data, step) {
  if (step.top.length === 0 && step.redraws.length === 0) return h('p', { class: 'note' }, 'The model’s other tokens were not recorded.');
  const drawn = new Map(step.redraws);
  const all = step.redraws.reduce((sum, [, count]) => sum + count, 0);
  const own = (logprob) => (logprob === null ? null : Math.exp(logprob));
  const listed = step.top.map(([text, logprob, removed, final]) => [text, own(logprob), removed < 0 ? 'kept' : `removed by ${data.stages[removed]}`, final]);
  const add = (text, model, final) => { if (!listed.some(([known]) => known === text)) listed.push([text, model, 'kept', final]); };
  for (const [text] of step.redraws) add(text, null, null);
  add(step.text, own(step.logprob), step.probability);
  const traced = data.stages.length > 0;
  const heads = ['token', 'model', 'final', 'model above, final below', ...(all > 0 ? ['drawn again'] : []), ...(traced ? ['fate'] : [])];
  const most = Math.max(...listed.flatMap(([, model, , final]) => [model ?? 0, final ?? 0])) || 1;
  const rows = listed.map(([text, model, fate, final]) => ({
    class: text === step.text ? 'chosen' : fate === 'kept' ? null : 'removed',
    cells: [h('span', { class: 'number' }, quoted(text)), percent(model), percent(final), pairOfBars((model ?? 0) / most, (final ?? 0) / most),
      ...(all > 0 ? [`${drawn.get(text) ?? 0} of ${all}`] : []), ...(traced ? [text === step.text ? 'chosen' : fate] : [])],
  }));
  return table('The likeliest tokens before and after the stages, and what became of them', heads, rows);
}

const pairOfBars = (model, final) => h('div', { class: 'pair', 'aria-hidden': 'true', vars: { model: model.toFixed(4), final: final.toFixed(4) } }, h('b'), h('i'));
