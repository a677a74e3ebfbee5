// One run: its text, its tokens, what the stages left.

// Chooses a run by setting, prompt and seed; a choice that has no run falls to the nearest that has.
function picker(place, run, changed) {
  let chosen = run;
  const draw = () => {
    const settings = [...new Set(page.runs.map((run) => run.setting))].map((i) => [String(i), page.settings[i].label]);
    const prompts = [...new Set(page.runs.map((run) => run.prompt))].map((i) => [String(i), page.prompts[i].name]);
    const seeds = page.runs.filter((run) => run.setting === chosen.setting && run.prompt === chosen.prompt).map((run) => [String(run.seed), page.seeds[run.seed]]);
    place.replaceChildren(
      chooser('Setting', settings, String(chosen.setting), (value) => pick({ setting: Number(value) })),
      chooser('Prompt', prompts, String(chosen.prompt), (value) => pick({ prompt: Number(value) })),
      chooser('Seed', seeds, String(chosen.seed), (value) => pick({ seed: Number(value) })));
  };
  const pick = (change) => {
    const which = Object.keys(change)[0];
    const wanted = { setting: chosen.setting, prompt: chosen.prompt, seed: chosen.seed, ...change };
    const near = page.runs.filter((run) => run[which] === wanted[which])
      .sort((a, b) => misses(a, wanted) - misses(b, wanted));
    set(runAt.get(`${wanted.prompt} ${wanted.setting} ${wanted.seed}`) ?? near[0] ?? chosen);
    // The lists were made anew: the one that was used keeps the focus.
    place.querySelectorAll('select')[['setting', 'prompt', 'seed'].indexOf(which)].focus();
    changed(chosen);
  };
  const misses = (run, wanted) => ['prompt', 'setting', 'seed'].filter((key) => run[key] !== wanted[key]).length;
  const set = (run) => { chosen = run; draw(); };
  set(run);
  return { set, get: () => chosen };
}

let runPicker = null;

function openRun(run, focus) {
  runPicker.set(run);
  remember(run, 0);
  showRun(run);
  if (!focus) return;
  $('run').scrollIntoView();
  $('run-title').focus({ preventScroll: true });
}

const promptText = (run) => page.prompts[run.prompt].text ?? page.prompts[run.prompt].name;

function showRun(run, step = 0) {
  const data = stepsOf(run.index);
  const panel = h('div', { class: 'panel', role: 'region', 'aria-label': 'The token looked at' });
  let columns = null, along = null;
  const look = (i) => {
    panel.replaceChildren(...stepPanel(data, i).flat());
    if (columns) columns.on(i);
    along?.on(i);
  };
  const kept = (i) => remember(run, i);
  const tokens = strip(data.steps, `Tokens of ${runName(run)}`, look, () => '', kept);
  columns = survivors(data, (i) => tokens.select(i, true));
  along = alongText(data, (i) => tokens.select(i, true));
  const values = page.measures.map((measure, i) => [measure.title, number(run.values[i])]);
  const facts = [['ended by', run.finish], run.error ? ['failed', run.error] : null, run.score === undefined || run.score === null ? null : ['score', number(run.score, 5)], ...values].filter(Boolean);
  const shown = [
    h('p', { class: 'hint' }, runName(run)),
    shareButtons(run),
    h('p', { class: 'text' }, h('bdi', {}, h('span', { class: 'prompt' }, `${promptText(run)}${/\s$/.test(promptText(run)) || /^\s/.test(run.text) ? '' : ' ▸ '}`), run.text)),
    h('dl', { class: 'inline' }, facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', { class: name === 'failed' ? 'bad' : null }, value)))),
    h('h3', {}, 'Tokens'),
    data.steps.length > 0 ? [tokens.box, stripKey(), panel, along?.part ?? null, columns?.part ?? null, forks(data, (i) => tokens.select(i, true))] : h('p', { class: 'note' }, 'The run has no tokens.'),
    treePart(data),
    h('details', {}, h('summary', {}, 'All settings in effect'), h('pre', {}, JSON.stringify(page.configs[run.config], null, 2))),
  ];
  $('run-view').replaceChildren(...shown.flat().filter(Boolean));
  if (data.steps.length > 0) tokens.select(Math.min(step, data.steps.length - 1), false);
}

function runs() {
  const first = page.runs.find((run) => !settingOf(run).control) ?? page.runs[0];
  const linked = linkedRun();
  runPicker = picker($('run-picker'), linked?.run ?? first, (run) => { remember(run, 0); showRun(run); });
  showRun(linked?.run ?? first, linked?.step ?? 0);
  window.addEventListener('hashchange', () => {
    const wanted = linkedRun();
    if (!wanted) return;
    runPicker.set(wanted.run);
    showRun(wanted.run, wanted.step);
    $('run').scrollIntoView();
  });
  if (linked) $('run').scrollIntoView();
}
