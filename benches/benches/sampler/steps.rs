//! What is not one setting on one row: beams, traces, reports, batches, rows out of the cache, and
//! rows that are bad for some way of doing it.

use std::hint::black_box;

use taper_benches::{
    Input, log_softmax_pass, max_pass, rotations, sum_exp_pass, sum_exp_pass_by_operation,
    worst_inputs,
};
use taper_sampling::search::{BeamRows, BeamSearch, BeamSettings};
use taper_sampling::*;

use crate::settings::{Setting, settings, top_k50_top_p09};
use crate::{Bench, check_setting, contender, wants};

const KEY: DrawKey = DrawKey::new(7);
const WIDTH: usize = 8;

/// With a trace, and without.
pub(crate) fn trace_on(bench: &mut Bench<'_>, input: &Input) {
    let pipeline = Pipeline::draw()
        .then(Temperature::new(0.8).expect("in range"))
        .then(TopK::new(50).expect("in range"))
        .then(TopP::new(0.9).expect("in range"));
    let traced = Step::new(KEY).ask(Ask { trace: true, ..Ask::token() });
    asked(bench, "trace_on", &pipeline, traced, input);
}

/// The same where top-p sees all tokens as well, and leaves most of them in a flat row.
pub(crate) fn trace_top_p09(bench: &mut Bench<'_>, input: &Input) {
    let pipeline = Pipeline::draw()
        .then(Temperature::new(0.8).expect("in range"))
        .then(TopP::new(0.9).expect("in range"));
    let traced = Step::new(KEY).ask(Ask { trace: true, ..Ask::token() });
    asked(bench, "trace_top_p09", &pipeline, traced, input);
}

/// The floor of exponentials, as a plain loop and as good as it gets.
pub(crate) fn floors(bench: &mut Bench<'_>, input: &Input) {
    let row = input.row.as_slice();
    let max = max_pass(row);
    let (plain, best) = (sum_exp_pass(row, max), sum_exp_pass_by_operation(row, max));
    assert!((plain / best - 1.0).abs() < 1e-6, "{plain} {best}");
    let race = vec![
        contender("floor_sum_exp", || sum_exp_pass(black_box(row), max)),
        contender("floor_by_operation", || sum_exp_pass_by_operation(black_box(row), max)),
    ];
    bench.group("floors", input.name).time_and_race("floors", race);
}

/// With the token's log-probability and rank, and without.
pub(crate) fn logprob_rank(bench: &mut Bench<'_>, input: &Input) {
    let reported = Step::new(KEY).ask(Ask { logprob: true, ..Ask::token() });
    asked(bench, "logprob_rank", &top_k50_top_p09(), reported, input);
}

fn asked(
    bench: &mut Bench<'_>,
    group: &'static str,
    pipeline: &Pipeline,
    step: Step<'_>,
    input: &Input,
) {
    let row = input.row.as_slice();
    let (bare, mut workspace) = (Step::new(KEY), Workspace::new(row.len()));
    let token = pipeline.select(row, &bare, &mut workspace).expect("a clean row").token;
    let told = pipeline.select(row, &step, &mut workspace).expect("a clean row");
    assert_eq!(told.token, token, "{group}");
    if let (Some(logprob), Some(rank)) = (told.logprob, told.rank) {
        let norm: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        let first = |(id, x): (usize, &f32)| {
            let own = row[token as usize];
            *x > own || (*x == own && id < token as usize)
        };
        assert!((logprob - (f64::from(row[token as usize]) - norm.ln())).abs() < 1e-5);
        assert_eq!(rank, 1 + row.iter().enumerate().filter(|&place| first(place)).count());
    }
    let (max, mut other) = (max_pass(row), Workspace::new(row.len()));
    let race = vec![
        contender("taper", || {
            pipeline.select(black_box(row), &step, &mut workspace).map(|chosen| chosen.token)
        }),
        contender("taper_bare", || {
            pipeline.select(black_box(row), &bare, &mut other).map(|chosen| chosen.token)
        }),
        contender("floor_sum_exp", || sum_exp_pass(black_box(row), max)),
    ];
    bench.group(group, input.name).time_and_race(group, race);
}

/// A step of eight beams from logits: log-softmax, the rows, the search. Every step is given the same
/// logits, so that all cost the same.
pub(crate) fn beam_step(bench: &mut Bench<'_>, input: &Input) {
    let rows = rotations(&input.row, WIDTH);
    let vocab_size = input.row.len();
    let pipeline = Pipeline::greedy();
    let mut workspace = Workspace::new(vocab_size);
    let settings = BeamSettings::new(WIDTH, usize::MAX, &[]);
    let mut search = BeamSearch::new(settings, vocab_size).expect("good settings");
    let mut first = Vec::new();
    search::log_softmax(&rows[0], &mut workspace, &mut first).expect("a row");
    search.advance(&first).expect("a step");
    // Made once for eight beams: what follows depends on the logits alone.
    let mut beams = BeamRows::new(pipeline.sequence(KEY));
    let eight = search::Reorder { parents: vec![0; WIDTH], tokens: vec![0; WIDTH] };
    beams.reorder(&eight).expect("the first beam");
    let mut step = |search: &mut BeamSearch| {
        beams.clear();
        for (beam, row) in rows.iter().enumerate() {
            beams.push(beam, black_box(row), &mut workspace).expect("a clean row");
        }
        search.advance(&beams).expect("a step")
    };
    let before = search.unfinished();
    let next = step(&mut search);
    assert_eq!(next, naive_beams(&before, &rows));

    let mut out = vec![0.0; vocab_size];
    let top_k = Pipeline::draw().then(TopK::new(2 * WIDTH).expect("in range"));
    let mut other = Workspace::new(vocab_size);
    let race = vec![
        contender("taper", || step(&mut search)),
        contender("floor_log_softmax_top_k", || {
            for row in &rows {
                log_softmax_pass(black_box(row), &mut out);
                let chosen = top_k.select(&out, &Step::new(KEY), &mut other).map(|one| one.token);
                black_box(chosen).expect("a clean row");
            }
        }),
    ];
    bench.group("beam_step", input.name).time_and_race("beam_step", race);
}

/// All continuations of all beams, sorted.
fn naive_beams(beams: &[(Vec<u32>, f32)], rows: &[Vec<f32>]) -> search::Reorder {
    let mut workspace = Workspace::new(rows[0].len());
    let (mut log_probs, mut all) = (Vec::new(), Vec::new());
    for (beam, row) in rows.iter().enumerate() {
        search::log_softmax(row, &mut workspace, &mut log_probs).expect("a row");
        let norm = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        for ((token, &log_prob), &x) in (0..).zip(&log_probs).zip(row) {
            assert!((f64::from(log_prob) - (f64::from(x) - norm)).abs() < 1e-5);
            all.push((log_prob + beams[beam].1, beam, token));
        }
    }
    // Stable: among equals the earlier beam, then the lower id.
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = &all[..WIDTH];
    search::Reorder {
        parents: best.iter().map(|one| one.1).collect(),
        tokens: best.iter().map(|one| one.2).collect(),
    }
}

/// 64 rows on as many threads as there are cores, and one after the other on one.
pub(crate) fn batch_64_rows(bench: &mut Bench<'_>, input: &Input) {
    let rows = rotations(&input.row, 64);
    let pipeline = top_k50_top_p09();
    let steps: Vec<(&[f32], Step<'_>)> =
        (0..).zip(&rows).map(|(i, row)| (row.as_slice(), Step::new(KEY.stream(i)))).collect();
    let mut sequences: Vec<_> = (0..64).map(|i| pipeline.sequence(KEY.stream(i))).collect();
    // Every call is the first step of the same sequences.
    let mut batch = |workspaces: &mut [Workspace]| {
        let mut batch: Vec<_> = (rows.iter().zip(&mut sequences))
            .map(|(row, sequence)| {
                sequence.replay();
                BatchRow::new(black_box(row), sequence)
            })
            .collect();
        pipeline.select_batch(&mut batch, workspaces)
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut workspaces: Vec<_> = (0..cores).map(|_| Workspace::new(input.row.len())).collect();
    let together: Vec<_> = batch(&mut workspaces)
        .into_iter()
        .map(|choice| choice.expect("a clean row").token)
        .collect();
    let alone = |(row, step): &(&[f32], Step<'_>), workspace: &mut Workspace| {
        pipeline.select(*row, step, workspace).expect("a clean row").token
    };
    let one_by_one: Vec<_> = steps.iter().map(|step| alone(step, &mut workspaces[0])).collect();
    assert_eq!(together, one_by_one);

    // Divided by the cores, so that it is the floor: a whole pass over the rows takes `cores` calls.
    let mut parts = steps.chunks(steps.len().div_ceil(cores)).cycle();
    let mut single = Workspace::new(input.row.len());
    let race = vec![
        contender("taper", || batch(&mut workspaces)),
        contender("floor_singles_per_core", || {
            let part = parts.next().expect("a cycle").iter();
            part.map(|step| alone(step, &mut single)).fold(0, u32::wrapping_add)
        }),
    ];
    bench.group("batch_64_rows", input.name).time_and_race("batch_64_rows", race);
}

/// Rows out of the cache: 64 of them, 32 MB at the middle size, one after the other.
pub(crate) fn cold(bench: &mut Bench<'_>, input: &Input) {
    let all = settings(input.row.len());
    let settings: Vec<_> = ["greedy", "top_k50_top_p09", "top_p09", "min_p005"]
        .into_iter()
        .filter_map(|group| all.iter().find(|setting| setting.group == group))
        .map(|setting| (format!("cold_{}", setting.group), setting))
        .filter(|(group, _)| wants(group))
        .collect();
    if settings.is_empty() {
        return;
    }
    let rows = rotations(&input.row, 64);
    let max = max_pass(&input.row);
    let mut workspace = Workspace::new(input.row.len());
    for (group, setting) in settings {
        check_setting(setting, &rows[1], &[], &mut workspace);
        // Each begins elsewhere, so that none finds the rows of the one before in the cache.
        let [mut first, mut second, mut third] = [0, 21, 42].map(|place| {
            let mut next = rows.iter().cycle().skip(place);
            move || black_box(next.next().expect("a cycle").as_slice())
        });
        let race = vec![
            contender("taper", || {
                let step = Step::new(KEY);
                setting.pipeline.select(first(), &step, &mut workspace).map(|one| one.token)
            }),
            contender("floor_max", || max_pass(second())),
            contender("floor_sum_exp", || sum_exp_pass(third(), max)),
        ];
        bench.group(&group, input.name).time_and_race(&group, race);
    }
}

/// Rows that are bad for some way of doing it, each to be compared with `flat`.
pub(crate) fn worst(bench: &mut Bench<'_>, vocab_size: usize) {
    let worst = ["greedy", "top_k50", "top_p09", "min_p005", "typical"];
    let settings: Vec<(String, Setting)> = settings(vocab_size)
        .into_iter()
        .filter(|setting| worst.contains(&setting.group))
        .map(|setting| (format!("worst_{}", setting.group), setting))
        .filter(|(group, _)| wants(group))
        .collect();
    let mut workspace = Workspace::new(vocab_size);
    for input in worst_inputs(vocab_size) {
        for (group, setting) in &settings {
            check_setting(setting, &input.row, &[], &mut workspace);
            let mut group = bench.group(group, input.name);
            group.time("taper", || {
                let row = black_box(&input.row);
                setting.pipeline.select(row, &Step::new(KEY), &mut workspace).map(|one| one.token)
            });
        }
    }
}
