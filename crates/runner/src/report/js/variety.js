// How different the texts of a setting are: plots of what is no number of one run, the matrix of what two
// settings have in common, and the sentence that the page begins with.

// Words in lower case, without signs at their ends: as the summary counts them.
const wordSet = (text) => new Set(text.toLowerCase().split(/\s+/).map((word) => word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '')).filter(Boolean));

function jaccard(a, b) {
  if (a.size === 0 && b.size === 0) return 1;
  let both = 0;
  for (const word of a) if (b.has(word)) both += 1;
  return both / (a.size + b.size - both);
}

const VARIETY = {
  unique: { title: 'Unique texts', about: 'different texts of a prompt, as a share of its runs; mean over the prompts', of: uniqueShare },
  jaccard: { title: 'Words in common (Jaccard)', about: 'words that two runs of a prompt share, of all words of both; mean over the pairs', of: withinJaccard },
};

function uniqueShare(runs) {
  const shares = [...byKey(runs, (run) => run.prompt).values()].map((group) => new Set(group.map((run) => run.text)).size / group.length);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

// Of a prompt with very many runs the first are compared: the pairs grow with their square.
const MOST_COMPARED = 60;

function withinJaccard(runs) {
  let [sum, pairs] = [0, 0];
  for (const group of byKey(runs, (run) => run.prompt).values()) {
    const sets = group.slice(0, MOST_COMPARED).map((run) => (run.words ??= wordSet(run.text)));
    for (let i = 0; i < sets.length; i += 1) for (let j = 0; j < i; j += 1) { sum += jaccard(sets[i], sets[j]); pairs += 1; }
  }
  return pairs === 0 ? null : sum / pairs;
}

function varietyPlot(kind, axis, lines) {
  const { title, about, of } = VARIETY[kind];
  const caption = h('figcaption', {}, title, h('small', {}, `${about}.`));
  const found = lines.map((line) => [...byKey(line.runs, axis.of)].sort(([a], [b]) => a - b)
    .map(([i, runs]) => ({ i, n: runs.length, value: of(runs) })).filter(({ value }) => value !== null));
  if (found.flat().length === 0) return h('figure', { id: `plot-${kind}` }, caption, h('p', { class: 'note' }, 'No prompt has two runs of one setting.'));
  const { marks, y } = scaleOf([0, 1]);
  const grid = marks.map((value) => [
    s('path', { class: 'axis', d: `M${LEFT} ${y(value)}H${WIDE - RIGHT}` }),
    s('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, tick(value)),
  ]);
  const drawn = found.map((points, kind) => [
    axis.numeric ? s('path', { class: `line s${kind}`, d: points.map(({ i, value }, n) => `${n ? 'L' : 'M'}${axis.place[i]} ${y(value)}`).join('') }) : null,
    points.map(({ i, value }) => mark(kind, axis.place[i], y(value))),
  ]);
  const rows = found.flatMap((points, kind) => points.map(({ i, n, value }) =>
    ({ cells: [lines.length > 1 ? `${lines[kind].name}, ${axis.names[i]}` : axis.names[i], String(n), number(value, 4)] })));
  const title2 = s('text', { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 3, 'text-anchor': 'middle' }, axis.title);
  return h('figure', { id: `plot-${kind}` }, caption,
    s('svg', { viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'img', 'aria-label': `${title}; the numbers are in the table below` }, grid, axisLabels(axis), title2, drawn),
    h('details', {}, h('summary', {}, 'Numbers'), table(title, ['', 'runs', 'mean'], rows)));
}

// More settings than this make a matrix too large to read.
const MOST_CELLS = 24;

function similarity() {
  const there = page.rows.map((row) => row.setting);
  if (there.length < 2) return;
  const shown = there.slice(0, MOST_CELLS);
  const known = new Map(page.between.flatMap(([a, b, mean]) => [[`${a} ${b}`, mean], [`${b} ${a}`, mean]]));
  for (const row of page.rows) known.set(`${row.setting} ${row.setting}`, row.within);
  const cell = (a, b) => {
    const value = known.get(`${a} ${b}`) ?? null;
    return h('td', { class: 'heat', vars: { s: value ?? 0 } }, number(value, 2));
  };
  const name = 'Words that the texts of two settings have in common';
  const more = there.length > shown.length ? ` The first ${shown.length} of ${there.length} settings.` : '';
  const matrix = h('table', { id: 'jaccard-matrix' },
    h('caption', {}, `Mean Jaccard similarity of two texts that continue one prompt; on the diagonal, of two runs of one setting.${more} `, csvButton(name)),
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'setting'), shown.map((a) => h('th', { scope: 'col', class: 'number' }, page.settings[a].label)))),
    h('tbody', {}, shown.map((a) => h('tr', {}, h('th', { scope: 'row' }, page.settings[a].label), shown.map((b) => cell(a, b))))));
  $('similarity').append(h('details', {}, h('summary', {}, name), h('div', { class: 'scroll', role: 'region', 'aria-label': name, tabindex: 0 }, matrix)));
}

// What the experiment shows, in a sentence or two made of its own numbers.
function lead() {
  const settings = page.rows.filter((row) => !page.settings[row.setting].control);
  const made = `${plural(page.runs.length, 'run')} of ${plural(page.prompts.length, 'prompt')} under ${plural(page.rows.length, 'setting')}.`;
  const share = (row) => row.unique / row.runs;
  const many = settings.filter((row) => row.runs > page.prompts.length);
  if (many.length < 2) return made;
  const ordered = [...many].sort((a, b) => share(a) - share(b));
  const [least, most] = [ordered[0], ordered[ordered.length - 1]];
  const name = (row) => page.settings[row.setting].label;
  if (share(least) === share(most)) return `${made} Variety does not depend on the setting here: under each, ${uniqueOf(most)} texts of a prompt are different.`;
  const nll = page.measures.findIndex((measure) => measure.name === 'nll');
  const surprise = (row) => row.measures[nll]?.[0] ?? null;
  const cost = surprise(least) === null || surprise(most) === null ? ''
    : ` The model's surprise at its own text goes from ${number(surprise(least))} to ${number(surprise(most))} nats a token.`;
  return `${made} The fewest different texts of a prompt come under ${name(least)} (${uniqueOf(least)}), the most under ${name(most)} (${uniqueOf(most)}).${cost}`;
}
