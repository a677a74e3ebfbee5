// Small multiples: each measure against a knob.

const WIDE = 300, HIGH = 190, LEFT = 44, RIGHT = 10, TOP = 10, BOTTOM = 34;

const knobText = (value) => (typeof value === 'string' ? value : JSON.stringify(value) ?? 'not set');

// What stands along the axis: the values of a knob in order, and where each is.
function axisOf(knob) {
  const drawn = page.settings.map((setting, index) => ({ setting, index })).filter(({ setting }) => !setting.control);
  const shown = drawn.length > 0 ? drawn : page.settings.map((setting, index) => ({ setting, index }));
  const valueOf = ({ setting, index }) => (knob === null ? index : setting.knobs[knob]);
  const values = [...new Set(shown.map(valueOf).map((value) => JSON.stringify(value)))];
  let parsed = values.map((value) => (value === undefined ? undefined : JSON.parse(value)));
  // Settings that leave the knob alone have no place among its numbers.
  const set = parsed.filter((value) => value !== undefined);
  if (set.length > 1 && set.every((value) => typeof value === 'number')) parsed = set;
  const numeric = knob !== null && parsed.length > 1 && parsed.every((value) => typeof value === 'number');
  if (numeric) parsed.sort((a, b) => a - b);
  const [least, most] = [parsed[0], parsed[parsed.length - 1]];
  const logarithmic = numeric && least > 0 && most / least > 30;
  const scale = logarithmic ? Math.log : (value) => value;
  const room = WIDE - LEFT - RIGHT, edge = 14;
  const place = parsed.map((value, i) => {
    const share = numeric ? (scale(value) - scale(least)) / (scale(most) - scale(least)) : (i + 0.5) / parsed.length;
    return numeric ? LEFT + edge + share * (room - 2 * edge) : LEFT + share * room;
  });
  const at = new Map(parsed.map((value, i) => [JSON.stringify(value), i]));
  const names = parsed.map((value) => (knob === null ? page.settings[value].label : knobText(value)));
  // Where names do not fit there are numbers, which the legend explains.
  const numbered = !numeric && names.some((name) => name.length > (WIDE - LEFT) / names.length / 6);
  return {
    values: parsed, place, numeric, names, short: numbered ? names.map((_, i) => String(i + 1)) : names, numbered,
    title: `${knob ?? 'setting'}${logarithmic ? ', logarithmic' : ''}`,
    of: (run) => at.get(JSON.stringify(knob === null ? run.setting : settingOf(run).knobs[knob])),
  };
}

// Round numbers that span from least to most.
function ticks(least, most) {
  const raw = (most - least) / 3 || Math.abs(most) / 3 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= raw) ?? raw;
  const first = Math.floor(least / step) * step;
  const list = [];
  for (let value = first; value < most + step * 0.999; value += step) list.push(Number(value.toPrecision(6)));
  return list.length > 1 ? list : [first, first + step];
}

// The runs by line: one, or one for each prompt or value of another knob.
function linesOf(runs, split) {
  if (split === '') return [{ name: 'all runs', runs }];
  const key = split === 'prompt' ? (run) => page.prompts[run.prompt].name
    : (run) => `${split.slice(5)} ${knobText(settingOf(run).knobs[split.slice(5)])}`;
  return [...byKey(runs, key)].map(([name, runs]) => ({ name, runs }));
}

function plot(measure, axis, lines, places, controls) {
  const about = page.measures[measure];
  const values = lines.flatMap((line) => line.runs).concat(controls).map((run) => run.values[measure]).filter((value) => value !== null);
  const caption = h('figcaption', {}, about.name, h('small', {}, about.about));
  if (values.length === 0) return h('figure', {}, caption, h('p', { class: 'note' }, 'No run has this number.'));
  const groups = places.map((place) => ({ ...place, found: place.found[measure] })).filter(({ found }) => found.mean !== null);
  const ends = groups.flatMap(({ found }) => [found.low ?? found.mean, found.high ?? found.mean]);
  const marks = ticks(Math.min(...values, ...ends), Math.max(...values, ...ends));
  const [low, high] = [marks[0], marks[marks.length - 1]];
  const y = (value) => TOP + (1 - (value - low) / (high - low)) * (HIGH - TOP - BOTTOM);
  const parts = marks.map((value) => [
    s('path', { class: 'axis', d: `M${LEFT} ${y(value)}H${WIDE - RIGHT}` }),
    s('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, number(value, 4)),
  ]);
  parts.push(axisLabels(axis), s('text', { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 3, 'text-anchor': 'middle' }, axis.title));
  const control = estimates(controls)[measure];
  if (control.mean !== null) parts.push(s('path', { class: 'control-line', d: `M${LEFT} ${y(control.mean)}H${WIDE - RIGHT}` }));
  const rows = [];
  lines.forEach((line, kind) => parts.push(drawLine(line, kind, lines.length, measure, axis, y, groups.filter((group) => group.kind === kind), rows)));
  const label = `${about.name}, ${plural(lines.length, 'line')}, ${plural(axis.values.length, 'value')} from ${number(Math.min(...values))} to ${number(Math.max(...values))}; the numbers are in the table below`;
  const data = h('details', {}, h('summary', {}, 'Numbers'),
    table(`${about.name}: means and their intervals`, ['', 'runs', 'mean', 'interval'], rows));
  return h('figure', {}, caption, s('svg', { viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'img', 'aria-label': label }, parts), data);
}

function axisLabels(axis) {
  let last = -Infinity;
  return axis.values.map((value, i) => {
    const [x, text] = [axis.place[i], axis.short[i]];
    if (x - last < text.length * 5.6 + 4) return null;
    last = x;
    return s('text', { x, y: HIGH - BOTTOM + 17, 'text-anchor': 'middle' }, text, s('title', {}, axis.names[i]));
  });
}

// The runs of each line at each place of the axis, with the means of all measures.
function placesOf(lines, axis) {
  return lines.flatMap((line, kind) => [...byKey(line.runs, axis.of)].sort(([a], [b]) => a - b)
    .map(([i, runs]) => ({ kind, i, runs, found: estimates(runs) })));
}

function drawLine(line, kind, count, measure, axis, y, groups, rows) {
  const shape = kind % MARKS.length;
  const shift = (kind - (count - 1) / 2) * 5;
  const [points, means] = [[], []];
  for (const { i, runs, found } of groups) {
    const x = axis.place[i] + shift;
    // Side by side by a fixed rule, so that equals do not hide each other.
    runs.forEach((run, n) => {
      if (run.values[measure] !== null) points.push(`M${(x + ((n * 7) % 11) - 5).toFixed(1)} ${y(run.values[measure]).toFixed(1)}h0`);
    });
    means.push([x, found]);
    const interval = found.low === null ? '–' : `${number(found.low)} to ${number(found.high)}`;
    rows.push({ cells: [count > 1 ? `${line.name}, ${axis.names[i]}` : axis.names[i], String(found.n), number(found.mean), interval] });
  }
  return [
    s('path', { class: `dots s${shape}`, d: points.join('') }),
    axis.numeric ? s('path', { class: `line s${shape}`, d: means.map(([x, found], i) => `${i ? 'L' : 'M'}${x} ${y(found.mean)}`).join('') }) : null,
    means.map(([x, found]) => (found.low === null ? null
      : s('path', { class: `interval s${shape}`, d: `M${x} ${y(found.low)}V${y(found.high)}` }))),
    means.map(([x, found]) => mark(kind, x, y(found.mean))),
  ];
}

function plots() {
  const state = { knob: page.swept[0] ?? null, split: '', prompt: '' };
  const knobs = [...page.swept.map((knob) => [knob, knob]), ['', 'setting']];
  const splits = [['', 'none'], ...(page.prompts.length > 1 ? [['prompt', 'prompt']] : []), ...page.swept.map((knob) => [`knob:${knob}`, knob])];
  const prompts = [['', 'all'], ...page.prompts.map((prompt, i) => [String(i), prompt.name])];
  const draw = () => {
    const axis = axisOf(state.knob);
    const runs = page.runs.filter((run) => state.prompt === '' || run.prompt === Number(state.prompt));
    const controls = runs.filter((run) => settingOf(run).control);
    const drawn = (controls.length < runs.length ? runs.filter((run) => !settingOf(run).control) : runs)
      .filter((run) => axis.of(run) !== undefined);
    const found = linesOf(drawn, state.split);
    // As many as there are markers to tell them apart.
    const lines = found.slice(0, MARKS.length);
    const places = placesOf(lines, axis);
    $('plot-legend').replaceChildren(...(lines.length < 2 ? [] : lines.map((line, kind) =>
      h('li', {}, s('svg', { width: 16, height: 14, 'aria-hidden': 'true' }, mark(kind, 8, 7)), line.name))),
      ...(found.length > lines.length ? [h('li', {}, `and ${found.length - lines.length} more that are not drawn`)] : []),
      ...(axis.numbered ? axis.names.map((name, i) => h('li', {}, h('b', {}, String(i + 1)), name)) : []));
    $('plot-list').replaceChildren(...page.measures.map((_, i) => plot(i, axis, lines, places, controls)));
  };
  const change = (key) => (value) => { state[key] = key === 'knob' ? value || null : value; draw(); };
  $('plot-controls').append(
    chooser('Against', knobs, state.knob ?? '', change('knob')),
    chooser('A line for each', splits, '', change('split')),
    chooser('Prompt', prompts, '', change('prompt')));
  draw();
}
