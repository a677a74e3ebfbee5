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

// Round numbers that span from least to most; the one number where there is one alone.
function ticks(least, most) {
  if (least === most) return [least];
  const raw = (most - least) / 3 || Math.abs(most) / 3 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((step) => step >= raw) ?? raw;
  const first = Math.floor(least / step) * step;
  const list = [];
  for (let value = first; value < most + step * 0.999; value += step) list.push(Number(value.toPrecision(6)));
  return list.length > 1 ? list : [first, first + step];
}

// Powers of ten that span from least to most, both above 0.
function powers(least, most) {
  const list = [];
  for (let power = Math.floor(Math.log10(least)); list.length === 0 || list[list.length - 1] < most; power += 1) list.push(10 ** power);
  const every = Math.ceil(list.length / 5);
  return list.filter((_, i) => i % every === 0 || i === list.length - 1);
}

// Where values stand from bottom to top: logarithmic where the largest is more than a hundred times the
// smallest, for a linear scale would press all others into one line.
function scaleOf(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const logarithmic = least > 0 && most / least > 100;
  const marks = logarithmic ? powers(least, most) : ticks(least, most);
  const map = logarithmic ? Math.log10 : (value) => value;
  const [low, high] = [map(marks[0]), map(marks[marks.length - 1])];
  const share = (value) => (high === low ? 0.5 : (map(value) - low) / (high - low));
  return { marks, logarithmic, y: (value) => TOP + (1 - share(value)) * (HIGH - TOP - BOTTOM) };
}

// Whether a control can be drawn without pressing what it is a control of into a corner.
function fits(control, values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = Math.max(most - least, Math.abs(most) * 0.5);
  return control >= least - room && control <= most + room;
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
  const there = (runs) => runs.map((run) => run.values[measure]).filter((value) => value !== null);
  const drawn = there(lines.flatMap((line) => line.runs));
  const control = estimates(controls)[measure];
  // A control that is far from all others sets no scale: it is told in words.
  const far = control.mean !== null && drawn.length > 0 && !fits(control.mean, drawn);
  const values = far ? drawn : drawn.concat(there(controls));
  const remark = far ? ` The greedy control has ${number(control.mean, 6)}, outside this scale.` : '';
  const caption = h('figcaption', {}, about.title, h('small', {}, `${about.about}.${remark}`));
  if (values.length === 0) return h('figure', {}, caption, h('p', { class: 'note' }, 'No run has this number.'));
  const groups = places.map((place) => ({ ...place, found: place.found[measure] })).filter(({ found }) => found.mean !== null);
  const ends = groups.flatMap(({ found }) => [found.low ?? found.mean, found.high ?? found.mean]);
  const { marks, y } = scaleOf([...values, ...ends]);
  const parts = marks.map((value) => [
    s('path', { class: 'axis', d: `M${LEFT} ${y(value)}H${WIDE - RIGHT}` }),
    s('text', { x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end' }, tick(value)),
  ]);
  parts.push(axisLabels(axis), s('text', { x: (LEFT + WIDE - RIGHT) / 2, y: HIGH - 3, 'text-anchor': 'middle' }, axis.title));
  if (control.mean !== null && !far) parts.push(s('path', { class: 'control-line', d: `M${LEFT} ${y(control.mean)}H${WIDE - RIGHT}` }));
  const rows = [];
  lines.forEach((line, kind) => parts.push(drawLine(line, kind, lines.length, measure, axis, y, groups.filter((group) => group.kind === kind), rows)));
  const label = `${about.title}, ${plural(lines.length, 'line')}, ${plural(axis.values.length, 'value')} from ${number(Math.min(...values))} to ${number(Math.max(...values))}; the numbers are in the table below`;
  const data = h('details', {}, h('summary', {}, 'Numbers'),
    table(`${about.title}: means and their intervals`, ['', 'runs', 'mean', 'interval'], rows));
  return h('figure', {}, caption, s('svg', { viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'img', 'aria-label': label }, parts), data);
}

// Six digits, which is all that stands beside an axis.
const tick = (value) => (Math.abs(value) >= 1e6 ? value.toExponential(1) : number(value, 4));

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

// The knob that settings differ in most: of those with numbers the one with the most values.
function widestKnob() {
  const values = (knob) => new Set(page.settings.filter((setting) => !setting.control).map((setting) => setting.knobs[knob]).filter((value) => typeof value === 'number'));
  const widest = page.swept.map((knob) => [knob, values(knob).size]).sort((a, b) => b[1] - a[1])[0];
  return widest && widest[1] > 2 ? widest[0] : page.swept.length === 1 ? page.swept[0] : null;
}

// The settings that have no place on an axis, for they leave its knob alone.
function leftOut(axis) {
  const names = new Set(page.runs.filter((run) => !settingOf(run).control && axis.of(run) === undefined).map((run) => settingOf(run).label));
  return names.size === 0 ? '' : `Not on this axis, for they do not set it: ${[...names].join('; ')}. Choose “setting” to see all.`;
}

function plots() {
  const state = { knob: widestKnob(), split: '', prompt: '' };
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
    $('plot-left').textContent = leftOut(axis);
    $('plot-list').replaceChildren(varietyPlot('unique', axis, lines), varietyPlot('jaccard', axis, lines),
      ...page.measures.map((_, i) => plot(i, axis, lines, places, controls)));
  };
  const change = (key) => (value) => { state[key] = key === 'knob' ? value || null : value; draw(); };
  $('plot-controls').append(
    chooser('Against', knobs, state.knob ?? '', change('knob')),
    chooser('A line for each', splits, '', change('split')),
    chooser('Prompt', prompts, '', change('prompt')));
  draw();
}
