// The table of settings, and the matrix of settings × prompts with what they wrote.

function settings() {
  const shown = (found) => {
    if (found === null) return '–';
    const [mean, ends] = found;
    return [number(mean), ends === null ? null : h('small', {}, ` ${number(ends[0])} to ${number(ends[1])}`)];
  };
  const cell = (content) => h('td', { class: 'number' }, content);
  const heads = ['setting', 'runs', 'unique a prompt', 'same words', 'as control', ...page.measures.map((measure) => measure.title), 'ended by'];
  const about = { 'unique a prompt': 'different texts of a prompt among its runs, on average over the prompts', 'same words': 'mean Jaccard similarity of two runs of one prompt', 'as control': 'mean Jaccard similarity with the greedy control of the prompt', 'ended by': 'why runs ended' };
  $('summary').append(
    h('thead', {}, h('tr', {}, heads.map((head, i) => h('th', { scope: 'col', class: i > 0 ? 'number' : null, title: about[head] }, head)))),
    h('tbody', {}, page.rows.map((row) => h('tr', {},
      h('th', { scope: 'row' }, page.settings[row.setting].label, page.settings[row.setting].control ? h('small', {}, ' control') : null),
      cell(String(row.runs)), cell(uniqueOf(row)), cell(number(row.within)), cell(number(row.control)),
      row.measures.map((found) => h('td', { class: 'number', 'data-value': found === null ? '' : found[0] }, shown(found))),
      h('td', { class: 'ends' }, row.finish.map(([name, count]) => `${name} ×${count}`).join(', '))))));
  $('settings-hint').textContent = 'Each row takes the runs of all prompts together: means, and with eight runs or more the 95 % interval of the bootstrap.';
  $('summary-csv').append(csvButton('settings', () => $('summary')));
  const names = [...page.measures.map((measure) => [measure.title, measure.about]), ...Object.entries(about)];
  $('measures').append(...names.map(([name, text]) => [h('dt', {}, name), h('dd', {}, text)]).flat());
}

// Three texts of three prompts are no variety: each prompt counts by itself.
function uniqueOf(row) {
  const prompts = new Set(page.runs.filter((run) => run.setting === row.setting).map((run) => run.prompt)).size;
  return `${number(row.unique / prompts)} of ${number(row.runs / prompts)}`;
}

// Distinct texts that a cell begins with.
const FIRST = 3;

function outputs() {
  const state = { marks: true, gone: false };
  const cells = byKey(page.runs, (run) => `${run.setting} ${run.prompt}`);
  const draw = () => {
    const head = h('tr', {}, h('th', { scope: 'col' }, 'setting'),
      page.prompts.map((prompt) => h('th', { scope: 'col' }, prompt.name, prompt.text !== null && prompt.text !== prompt.name ? h('small', {}, h('br'), prompt.text) : null)));
    const rows = page.settings.map((setting, i) => h('tr', { class: setting.control ? 'control' : null },
      h('th', { scope: 'row' }, setting.label, setting.control ? h('small', {}, ' control') : null),
      page.prompts.map((prompt, j) => h('td', { 'data-prompt': prompt.name }, texts(cells.get(`${i} ${j}`) ?? [], state)))));
    $('matrix').replaceChildren(h('thead', {}, head), h('tbody', {}, rows));
  };
  $('output-controls').append(
    checker('Mark words that the control does not have', true, (on) => { state.marks = on; draw(); }),
    checker('Show its own in their places', false, (on) => { state.gone = on; draw(); }));
  $('outputs-hint').textContent = controlOf.size > 0
    ? 'Underlined words are not where the greedy control has them; struck ones are the control’s. Where most words differ, the first alone is underlined. Choose a text to see its tokens.'
    : 'There is no greedy control to hold the texts against. Choose a text to see its tokens.';
  draw();
}

// The different texts of a cell, most frequent first, each with how often it came.
function texts(runs, state) {
  if (runs.length === 0) return h('small', {}, 'no run');
  const groups = [...byKey(runs, (run) => run.text).values()].sort((a, b) => b.length - a.length);
  const list = h('div', {}, groups.slice(0, FIRST).map((same) => output(same, runs.length, state)));
  if (groups.length > FIRST) {
    const more = h('button', { class: 'more', type: 'button', on: { click: () => {
      const rest = groups.slice(FIRST).map((same) => output(same, runs.length, state));
      more.replaceWith(...rest);
      rest[0].focus();
    } } }, `${groups.length - FIRST} more texts`);
    list.append(more);
  }
  return list;
}

function output(same, of, state) {
  const run = same[0], control = controlOf.get(run.prompt);
  const compared = state.marks && control && control !== run;
  const notes = [same.length > 1 ? `×${same.length}` : null, of > 1 && same.length === 1 ? `seed ${page.seeds[run.seed]}` : null, run.finish, run.error ? `failed: ${run.error}` : null];
  return h('button', { class: 'output', type: 'button', title: 'Show its tokens', on: { click: () => openRun(run, true) } },
    h('bdi', {}, compared ? marked(control.text, run.text, state.gone) : run.text || h('small', {}, 'no text')),
    h('small', {}, `  ${notes.filter(Boolean).join(' · ')}`));
}
