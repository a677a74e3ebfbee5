// The data, and how elements are made. What a model or a person wrote only ever becomes a text node or
// an attribute that holds text; nothing is parsed as markup.

const page = JSON.parse(document.getElementById('overview').textContent);
const $ = (id) => document.getElementById(id);
// The name of SVG's namespace as the page's own parser knows it.
const SVG = $('svg').namespaceURI;

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    } else if (name === 'vars') {
      // By the object model: the page's policy takes no style attributes.
      for (const [key, number] of Object.entries(value)) element.style.setProperty(`--${key}`, number);
    } else {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const h = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);
const s = (name, attributes, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

// Steps of a run, read when they are first wanted.
const read = new Map();
function stepsOf(run) {
  if (!read.has(run)) {
    const data = JSON.parse($(`steps-${run}`).textContent);
    const steps = data.steps.map(
      ([text, logprob, probability, rank, kept, entropy, top, stages, redraws, passed, drawn, kl]) =>
        ({ text, logprob, probability, rank, kept, entropy, top, stages, redraws, passed, drawn, kl }));
    read.set(run, { stages: data.stages, bare: data.bare, steps, tree: data.tree ?? [] });
  }
  return read.get(run);
}

const tokenText = (number) => page.texts[number][1];
const tokenId = (number) => page.texts[number][0];

// Signs that cannot be seen, or turn what follows them around, as their codes.
const seen = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
  (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);

// The text so that spaces and line breaks can be seen; the id where it says too little.
function quoted(number) {
  const text = tokenText(number);
  const shown = seen(JSON.stringify(text));
  return text === '' || text.includes('\ufffd') ? `${shown} #${tokenId(number)}` : shown;
}

// As a token of a strip: its width is that of the text, and a line break can be seen.
const inStrip = (number) => seen(tokenText(number).replace(/\n/g, '⏎')) || `#${tokenId(number)}`;

// Large numbers are counts of tokens, whose digits all count.
const number = (value, digits = 3) => {
  if (value === null || value === undefined) return '–';
  return Math.abs(value) >= 1000 ? value.toFixed(0) : Number(value.toPrecision(digits)).toString();
};
function percent(share) {
  if (share === null || share === undefined) return '–';
  if (share > 0 && share < 0.0005) return '<0.1 %';
  return `${(share * 100).toFixed(1)} %`;
}
const plural = (count, one) => `${count} ${one}${count === 1 ? '' : 's'}`;

const byKey = (runs, key) => {
  const groups = new Map();
  for (const run of runs) {
    const at = key(run);
    if (!groups.has(at)) groups.set(at, []);
    groups.get(at).push(run);
  }
  return groups;
};

page.runs.forEach((run, index) => { run.index = index; });
const runAt = new Map(page.runs.map((run) => [`${run.prompt} ${run.setting} ${run.seed}`, run]));
const settingOf = (run) => page.settings[run.setting];
const controlOf = new Map(
  page.runs.filter((run) => settingOf(run).control).reverse().map((run) => [run.prompt, run]));
const runName = (run) =>
  `${settingOf(run).label}, ${page.prompts[run.prompt].name}, seed ${page.seeds[run.seed]}`;

// Fewer runs than this say nothing about how far they spread.
const FEWEST = 8;
const RESAMPLES = 400;

// For each measure its mean, and the 95 % interval of the percentile bootstrap, the runs of each prompt
// resampled among themselves: what the table of settings has, with fewer resamples.
function estimates(runs) {
  const measures = page.measures.map((_, measure) => measure);
  const groups = [...byKey(runs, (run) => run.prompt).values()].map((group) => group.map((run) => run.values));
  const mean = (all, measure) => {
    const values = all.map((run) => run[measure]).filter((value) => value !== null);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const resampled = runs.length < FEWEST ? null : resample(groups, measures);
  const cut = RESAMPLES / 40;
  return measures.map((measure) => {
    const found = { n: runs.length, mean: mean(groups.flat(), measure), low: null, high: null };
    if (found.mean === null || resampled === null) return found;
    const means = resampled[measure].sort();
    return { ...found, low: means[cut], high: means[RESAMPLES - 1 - cut] };
  });
}

// The means of resampled runs, by measure. A run that lacks a measure lacks it wherever it is drawn.
function resample(groups, measures) {
  const count = measures.length;
  const rows = groups.map((group) => Float64Array.from(group.flat(), (value) => value ?? NaN));
  const means = measures.map(() => new Float64Array(RESAMPLES));
  const [sums, counts] = [new Float64Array(count), new Float64Array(count)];
  let state = 1;
  for (let again = 0; again < RESAMPLES; again += 1) {
    sums.fill(0);
    counts.fill(0);
    for (const values of rows) {
      const runs = values.length / count;
      for (let i = 0; i < runs; i += 1) {
        // Xorshift: the same picture whenever the page is opened.
        state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
        const run = Math.floor(((state >>> 0) / 2 ** 32) * runs) * count;
        for (let measure = 0; measure < count; measure += 1) {
          const value = values[run + measure];
          if (value === value) { sums[measure] += value; counts[measure] += 1; }
        }
      }
    }
    for (let measure = 0; measure < count; measure += 1) means[measure][again] = sums[measure] / (counts[measure] || 1);
  }
  return means;
}

const MARKS = ['circle', 'square', 'triangle', 'diamond', 'cross', 'bar'];
// A sign of its own for each line, so that colour is never the only difference.
function mark(kind, x, y) {
  const shape = kind % MARKS.length, f = `mark f${shape}`, r = 4;
  const polygon = (points) => s('polygon', { class: f, points: points.map(([a, b]) => `${x + a},${y + b}`).join(' ') });
  switch (MARKS[shape]) {
    case 'circle': return s('circle', { class: f, cx: x, cy: y, r });
    case 'square': return s('rect', { class: f, x: x - r, y: y - r, width: 2 * r, height: 2 * r });
    case 'triangle': return polygon([[0, -5], [5, 4], [-5, 4]]);
    case 'diamond': return polygon([[0, -6], [5, 0], [0, 6], [-5, 0]]);
    case 'cross': return polygon([[-2, -5], [2, -5], [2, -2], [5, -2], [5, 2], [2, 2], [2, 5], [-2, 5], [-2, 2], [-5, 2], [-5, -2], [-2, -2]]);
    default: return s('rect', { class: f, x: x - 6, y: y - 2, width: 12, height: 4 });
  }
}

function chooser(label, options, chosen, changed) {
  const select = h('select', { on: { change: () => changed(select.value) } },
    options.map(([value, text]) => h('option', { value, selected: value === chosen }, text)));
  return h('label', {}, label, select);
}

const checker = (label, on, changed) =>
  h('label', { class: 'check' }, h('input', { type: 'checkbox', checked: on, on: { change: (event) => changed(event.target.checked) } }), label);

const NUMBER = /^([−+]?\d[\d.,e+-]*|–|<?[\d.]+ %|\d+ of \d+|[\d.e+-]+ to [\d.e+-]+)?$/;

// What a cell shows, as a field of a CSV file.
const field = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const csvOf = (table) => [...table.rows]
  .map((row) => [...row.cells].map((cell) => field(cell.dataset.value ?? cell.textContent.trim())).join(',')).join('\n') + '\n';

function save(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h('a', { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}

// Saves the table that it stands in, or the one that is named.
function csvButton(name, of = (button) => button.closest('table')) {
  const file = `${name.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 40)}.csv`;
  const button = h('button', { type: 'button', class: 'small', 'aria-label': `Save as CSV: ${name}`, on: { click: () => save(file, csvOf(of(button)), 'text/csv') } }, 'CSV');
  return button;
}

// A table with a head that names its columns, and rows whose first cell names the row. Columns of
// numbers stand to the right.
function table(caption, heads, rows, attributes = {}) {
  const numeric = heads.map((_, i) => i > 0 && rows.every((row) => typeof row.cells[i] === 'string' && NUMBER.test(row.cells[i])));
  const kind = (i) => (numeric[i] ? 'number' : null);
  const cell = (value, i) => (i === 0 ? h('th', { scope: 'row' }, value) : h('td', { class: kind(i) }, value));
  return h('table', attributes,
    h('caption', {}, caption, ' ', csvButton(caption)),
    h('thead', {}, h('tr', {}, heads.map((head, i) => h('th', { scope: 'col', class: kind(i) }, head)))),
    h('tbody', {}, rows.map((row) => h('tr', { class: row.class }, row.cells.map(cell)))));
}
