// A run as a link, a command line, a spec or JSON; and what is drawn along its text.

// `#run=PROMPT.SETTING.SEED&step=N`, each counted from 1 as people do.
const linkOf = (run, step) => `#run=${run.prompt + 1}.${run.setting + 1}.${run.seed + 1}&step=${step + 1}`;

function remember(run, step) {
  history.replaceState(null, '', linkOf(run, step));
}

// The run and the step that the address names; null where it names none that there is.
function linkedRun() {
  const found = /^#run=(\d+)\.(\d+)\.(\d+)(?:&step=(\d+))?$/.exec(location.hash);
  if (!found) return null;
  const [prompt, setting, seed, step] = found.slice(1).map((text) => Number(text ?? 1) - 1);
  const run = runAt.get(`${prompt} ${setting} ${seed}`);
  return run ? { run, step: Math.max(step, 0) } : null;
}

const settingsOf = (run) => ({ ...(page.base ?? {}), ...settingOf(run).knobs });

// As one word of a shell.
const word = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const flagValue = (value) => (Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : JSON.stringify(value));

function commandOf(run) {
  const prompt = page.prompts[run.prompt];
  const flags = Object.entries(settingsOf(run)).map(([knob, value]) => `--${knob.replaceAll('_', '-')} ${word(flagValue(value))}`);
  return ['taper generate', prompt.ids ? `--prompt-ids ${prompt.ids.join(',')}` : word(prompt.text), ...flags, `--seed ${run.drawn_with}`, '--trace'].join(' ');
}

// A string or a list in TOML is what it is in JSON.
const toml = (value) => JSON.stringify(value);

function specOf(run) {
  const prompt = page.prompts[run.prompt];
  const text = prompt.ids ? `ids = ${toml(prompt.ids)}` : `text = ${toml(prompt.text)}`;
  const settings = Object.entries(settingsOf(run)).map(([knob, value]) => `${knob} = ${toml(value)}`);
  return [`title = ${toml(page.title)}`, 'seeds = [' + run.drawn_with + ']', '', '[[prompts]]', text, '', '[base]', ...settings, ''].join('\n');
}

const jsonOf = (run) => JSON.stringify({ prompt: promptText(run), text: run.text, seed: run.drawn_with, finish_reason: run.finish, config: page.configs[run.config] }, null, 2);

function shareButtons(run) {
  const said = h('span', { role: 'status' });
  const shown = h('pre', { hidden: true });
  // What a page without https may not put on the clipboard can be taken from here by hand.
  const copy = (name, text) => h('button', { type: 'button', on: { click: async () => {
    shown.textContent = text();
    shown.hidden = false;
    try { await navigator.clipboard.writeText(text()); said.textContent = `${name}: copied`; } catch { said.textContent = name; }
  } } }, name);
  return h('div', { id: 'run-share' }, h('div', { class: 'share' },
    copy('Command line', () => commandOf(run)), copy('Spec', () => specOf(run)), copy('JSON', () => jsonOf(run)),
    copy('Link', () => location.href.split('#')[0] + linkOf(run, 0)), said), shown);
}

// Entropies and divergence of each step, as lines over the tokens.
function alongText(data, choose) {
  const { steps } = data;
  const lines = [['entropy of the model', (step) => step.entropy], ['entropy of what was drawn from', (step) => step.drawn], ['divergence from the model (KL)', (step) => step.kl]]
    .filter(([, of]) => steps.some((step) => of(step) !== null));
  if (lines.length === 0 || steps.length < 2) return null;
  const [high, left, bottom] = [150, 44, 24];
  const column = Math.max(7, Math.min(18, Math.floor(1000 / steps.length)));
  const wide = left + steps.length * column + 8;
  const marks = ticks(0, Math.max(...steps.flatMap((step) => lines.map(([, of]) => of(step) ?? 0)), 0.1));
  const top = marks[marks.length - 1];
  const y = (value) => 8 + (1 - value / top) * (high - bottom - 8);
  const x = (i) => left + (i + 0.5) * column;
  const grid = marks.map((value) => [s('path', { class: 'axis', d: `M${left} ${y(value)}H${wide - 8}` }), s('text', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, tick(value))]);
  const drawn = lines.map(([, of], kind) => {
    let pen = 'M';
    const path = steps.map((step, i) => {
      if (of(step) === null) { pen = 'M'; return ''; }
      const part = `${pen}${x(i)} ${y(of(step)).toFixed(1)}`;
      pen = 'L';
      return part;
    }).join('');
    return [s('path', { class: `line s${kind}`, d: path }), steps.map((step, i) => (of(step) === null || steps.length > 60 ? null : mark(kind, x(i), y(of(step)))))];
  });
  const columns = steps.map((step, i) => s('g', { class: 'column', on: { click: () => choose(i) } },
    s('rect', { class: 'back', x: left + i * column, y: 0, width: column, height: high }), s('title', {}, `${i + 1}: ${quoted(step.text)}, ${lines.map(([name, of]) => `${name} ${number(of(step), 4)}`).join(', ')}`)));
  const legend = lines.map(([name], kind) => h('li', {}, s('svg', { width: 16, height: 14, 'aria-hidden': 'true' }, mark(kind, 8, 7)), `${name}, nats`));
  const part = h('div', { id: 'along' },
    h('h3', {}, 'Along the text'), h('ul', { class: 'legend' }, legend),
    h('div', { class: 'frame', role: 'region', 'aria-label': 'Along the text', tabindex: 0 },
      s('svg', { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: 'img', 'aria-label': 'Entropies and divergence of each step; the numbers are beside each token' }, grid, columns, drawn)));
  return { part, on: (i) => columns.forEach((column, n) => column.classList.toggle('on', n === i)) };
}

// The steps at which the text could well have gone another way.
const LIKELY = 0.15;

function forks(data, choose) {
  const found = data.steps.map((step, i) => ({ step, i, others: step.top.filter(([text, , , final]) => text !== step.text && final !== null && final >= LIKELY) }))
    .filter(({ others }) => others.length > 0);
  if (found.length === 0) return null;
  const item = ({ step, i, others }) => h('li', {},
    h('button', { type: 'button', class: 'small', on: { click: () => choose(i) } }, `${i + 1}`), ' ', h('b', { class: 'number' }, quoted(step.text)), ` ${percent(share(step))}`,
    h('ul', {}, [...others].sort((a, b) => b[3] - a[3]).map(([text, , , final]) => h('li', {}, '└ ', h('span', { class: 'number' }, quoted(text)), ` ${percent(final)}`))));
  return h('details', { id: 'forks' }, h('summary', {}, `Where the text could have gone another way: ${plural(found.length, 'step')} with another token of ${percent(LIKELY)} or more`), h('ul', { class: 'forks' }, found.map(item)));
}
