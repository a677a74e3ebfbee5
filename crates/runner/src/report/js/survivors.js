// How many tokens each stage left: of one step as a table with bars, of all steps as columns.

// Bars are logarithmic, for 50 of 100 000 would not be seen: one token is nothing, all are the whole.
const logShare = (count, of) => (of <= 1 || count <= 1 ? 0 : Math.log(count) / Math.log(of));

function stageTable(data, step) {
  if (step.stages.length === 0) return h('p', { class: 'note' }, data.bare ? 'There are no stages: the token is chosen from the model’s own row.' : 'The stages were not recorded.');
  const all = step.stages[0][0];
  const rows = step.stages.map(([before, after, mass, ties], i) => ({
    cells: [data.stages[i] ?? `stage ${i + 1}`, `${before}`, `${after}`, before === after ? '' : percent(mass), ties > 0 ? String(ties) : '',
      h('div', { class: 'bar', 'aria-hidden': 'true', vars: { from: logShare(before, all), to: logShare(after, all) } }, h('b'), h('i'))],
  }));
  return table('What each stage left; bars are logarithmic, hatched is what it removed', ['stage', 'before', 'after', 'mass removed', 'ties', 'survivors'], rows);
}

function survivors(data, choose) {
  const { steps, stages } = data;
  const there = steps.filter((step) => step.stages.length > 0);
  if (there.length === 0) return null;
  const all = Math.max(...there.map((step) => step.stages[0][0]));
  const [column, high, left, bottom] = [Math.max(7, Math.min(18, Math.floor(1000 / steps.length))), 190, 52, 24];
  const y = (count) => 6 + (1 - logShare(Math.max(count, 1), all)) * (high - bottom - 6);
  const wide = left + steps.length * column + 8;
  const powers = [];
  for (let power = 1; power < all; power *= 10) powers.push(power);
  powers.push(all);
  const far = powers.filter((count, i) => i === powers.length - 1 || y(count) - y(all) > 12);
  const grid = far.map((count) => [
    s('path', { class: 'axis', d: `M${left} ${y(count)}H${wide - 8}` }),
    s('text', { x: left - 6, y: y(count) + 4, 'text-anchor': 'end' }, String(count)),
  ]);
  const columns = steps.map((step, i) => survivorColumn(step, stages, left + i * column, column, y, () => choose(i), `${i + 1}: ${quoted(step.text)}`));
  const every = Math.ceil(steps.length / Math.max(1, Math.floor((steps.length * column) / 40)));
  const names = steps.map((_, i) => (i % every === 0 ? s('text', { x: left + (i + 0.5) * column, y: high - 8, 'text-anchor': 'middle' }, String(i + 1)) : null));
  const kept = there.map((step) => step.stages[step.stages.length - 1][1]).sort((a, b) => a - b);
  const label = `Survivors of each step: of ${all} tokens the stages left between ${kept[0]} and ${kept[kept.length - 1]}, in the median ${kept[Math.floor(kept.length / 2)]}; the tables of the tokens have the numbers`;
  const removes = (i) => there.some((step) => step.stages[i] && step.stages[i][1] < step.stages[i][0]);
  const legend = [...stages.map((name, i) => [i + 1, `removed by ${name}`]).filter(([kind]) => removes(kind - 1)), [0, 'kept to choose from']];
  const part = h('div', {},
    h('h3', {}, 'Survivors, step by step'),
    h('ul', { class: 'legend' }, legend.map(([kind, name]) => h('li', {}, swatch(kind), name))),
    h('div', { class: 'frame', role: 'region', 'aria-label': 'Survivors, step by step', tabindex: 0 },
      s('svg', { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: 'img', 'aria-label': label }, grid, columns, names)));
  return { part, on: (i) => columns.forEach((column, n) => column.classList.toggle('on', n === i)) };
}

const STYLES = 6;
const swatch = (kind) => s('svg', { width: 18, height: 14, 'aria-hidden': 'true' }, band(kind, 1, 1, 16, 12));

// A band of a stage: filled where tokens were left, and striped each in its own way where they went.
function band(kind, x, y, wide, high) {
  if (kind === 0) return s('rect', { class: 'f0', x, y, width: wide, height: high });
  const shape = 1 + ((kind - 1) % (STYLES - 1));
  const gap = [0, 3, 5, 2.2, 4, 7][shape];
  const lines = [];
  if (shape % 2 === 1) for (let at = y + gap / 2; at < y + high; at += gap) lines.push(`M${x} ${at.toFixed(1)}h${wide}`);
  else for (let at = x + gap / 2; at < x + wide; at += gap) lines.push(`M${at.toFixed(1)} ${y}v${high}`);
  return s('g', {}, s('rect', { class: `f${shape}`, x, y, width: wide, height: high, opacity: 0.18 }), s('path', { class: `s${shape}`, d: lines.join(''), fill: 'none', 'stroke-width': 1 }));
}

function survivorColumn(step, stages, x, wide, y, choose, name) {
  const bands = step.stages.map(([before, after], i) =>
    (after < before ? band(i + 1, x + 1, y(before), wide - 2, Math.max(0.8, y(after) - y(before))) : null));
  const last = step.stages[step.stages.length - 1];
  const left = last ? band(0, x + 1, Math.min(y(last[1]), y(1) - 3), wide - 2, Math.max(3, y(1) - y(last[1]))) : null;
  const counts = step.stages.map(([before, after], i) => `${stages[i]} ${before} → ${after}`).join(', ');
  return s('g', { class: 'column', on: { click: choose } },
    s('rect', { class: 'back', x, y: 0, width: wide, height: 190 }), bands, left, s('title', {}, `${name}: ${counts}`));
}
