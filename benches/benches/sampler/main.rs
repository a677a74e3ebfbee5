//! Ours beside peers, the naive reference and the bare passes over memory that bound it.
//!
//! ```text
//! cargo bench -p taper-benches --bench sampler              # all, and a table of ratios at the end
//! cargo bench -p taper-benches --bench sampler -- top_p09   # one group
//! ```
//!
//! A bench is called `group/contender/input/size`. One row is decoded over and over and stays in the
//! cache (0.5 MB at the middle size), except in the groups `cold_*` and `batch_64_rows`, which go
//! through 64 rows. Ratios are of rounds in which the contenders take turns. Every contender's answer
//! is checked before it is timed. The reference and the peers run at the middle size alone, where the
//! goals are.

mod peers;
mod settings;
mod steps;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use taper_benches::rounds::{self, Contender};
use taper_benches::{Input, SIZES, inputs, max_pass, sum_exp_pass, table, text};
use taper_sampling::reference::List;
use taper_sampling::{DrawKey, Draws, Step, Workspace};

use settings::{Setting, settings};

const KEY: DrawKey = DrawKey::new(7);
const MIDDLE: &str = "128k";
/// How long contenders take turns.
const RACE: Duration = Duration::from_secs(1);

/// Criterion, and which size is on.
struct Bench<'c> {
    criterion: &'c mut Criterion,
    size: &'static str,
}

/// A group that is more than one setting on one row.
type Group = fn(&mut Bench<'_>, &Input);

/// The contenders of one group on one input.
struct Contenders<'c> {
    group: BenchmarkGroup<'c, WallTime>,
    input: String,
}

impl Bench<'_> {
    fn group(&mut self, group: &str, input: &str) -> Contenders<'_> {
        let mut group = self.criterion.benchmark_group(group);
        // The same number of calls in every sample: half of the time that a slope takes.
        group.sampling_mode(SamplingMode::Flat);
        Contenders { group, input: format!("{input}/{}", self.size) }
    }
}

impl Contenders<'_> {
    fn time<R>(&mut self, contender: &str, call: impl FnMut() -> R) {
        let mut call = call;
        self.group.bench_function(BenchmarkId::new(contender, &self.input), |b| b.iter(&mut call));
    }

    /// Times each by itself, as criterion does, and then all of them in turn: the ratios are of that.
    fn time_and_race(&mut self, name: &str, mut contenders: Vec<Contender<'_>>) {
        for (contender, call) in &mut contenders {
            self.time(contender, call);
        }
        self.race(name, &mut contenders);
    }

    fn race(&mut self, name: &str, contenders: &mut [Contender<'_>]) {
        // A pattern says nothing of its sender.
        if timing() && filter().is_some() {
            let rounds = rounds::in_turn(contenders, RACE);
            let folder = table::rounds_folder();
            rounds::write(&folder, name, &self.input, &rounds).expect("a folder to write to");
        }
    }
}

/// A contender of a race.
fn contender<'f, R: 'f>(name: &'static str, mut call: impl FnMut() -> R + 'f) -> Contender<'f> {
    let call = move || {
        black_box(call());
    };
    (name, Box::new(call))
}

/// Whether times are asked for: not a list of the benches, nor whether they run.
fn timing() -> bool {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    asked("--bench") && !asked("--test") && !asked("--list")
}

/// The name of a group, or a part of it, in criterion's filter; `None` if that is a pattern.
fn filter() -> Option<String> {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let name = filter.split('/').next().unwrap_or_default();
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then(|| name.to_string())
}

/// Whether the group is asked for, as far as can be told before criterion looks: its answers need not
/// be checked otherwise.
fn wants(group: &str) -> bool {
    filter().is_none_or(|name| group.contains(&name))
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(40))
        .measurement_time(Duration::from_millis(150))
        .sample_size(15)
        .nresamples(1001)
        .without_plots()
        .configure_from_args();
    for (vocab_size, size) in SIZES {
        // One size shows whether the benches run.
        if std::env::args().any(|argument| argument == "--test") && size != MIDDLE {
            continue;
        }
        sized(&mut Bench { criterion: &mut criterion, size }, vocab_size);
    }
    criterion.final_summary();
    if timing() {
        match table::table(&table::default_times()) {
            Ok(table) => println!("{table}"),
            Err(error) => eprintln!("no table: {error}"),
        }
    }
}

fn sized(bench: &mut Bench<'_>, vocab_size: usize) {
    let text = text(vocab_size);
    let settings = settings(vocab_size);
    let steps: [(&str, Group); 6] = [
        ("trace_on", steps::trace_on),
        ("logprob_rank", steps::logprob_rank),
        ("trace_top_p09", steps::trace_top_p09),
        ("floors", steps::floors),
        ("beam_step", steps::beam_step),
        ("batch_64_rows", steps::batch_64_rows),
    ];
    let middle = bench.size == MIDDLE;
    // One size will do for the others, of which two go through many rows.
    let steps = if middle { &steps[..] } else { &steps[..2] };
    for input in inputs(vocab_size) {
        for setting in settings.iter().filter(|setting| wants(setting.group)) {
            one_setting(bench, setting, &input, &text);
        }
        for (_, step) in steps.iter().filter(|(group, _)| wants(group)) {
            step(bench, &input);
        }
        if middle {
            steps::cold(bench, &input);
        }
    }
    if middle {
        steps::worst(bench, vocab_size);
    }
}

fn one_setting(bench: &mut Bench<'_>, setting: &Setting, input: &Input, text: &[u32]) {
    let row = input.row.as_slice();
    let history = taper_sampling::History::new(text);
    let step = Step::new(KEY).history(&history);
    let mut workspace = Workspace::new(row.len());
    check_setting(setting, row, text, &mut workspace);
    let middle = bench.size == MIDDLE;

    let max = max_pass(row);
    let (cuts, mut other) = (settings::top_k50_top_p09(), Workspace::new(row.len()));
    let mut race = vec![
        contender("taper", || {
            setting.pipeline.select(black_box(row), &step, &mut workspace).map(|one| one.token)
        }),
        contender("floor_max", || max_pass(black_box(row))),
        contender("floor_sum_exp", || sum_exp_pass(black_box(row), max)),
    ];
    if setting.group == "hf_chat" {
        race.push(contender("floor_top_k50_top_p09", || {
            cuts.select(black_box(row), &step, &mut other).map(|one| one.token)
        }));
    }
    let mut group = bench.group(setting.group, input.name);
    group.time_and_race(setting.group, race);
    if middle {
        let draws = Draws::new(KEY);
        let mut race =
            vec![contender("reference", || setting.naive_token(black_box(row), text, draws))];
        for mut peer in peers::peers(setting.group, row, text) {
            check_peer(setting, &mut peer, row, text);
            race.push(contender(peer.name, move || (peer.step)()));
        }
        for (peer, call) in &mut race {
            group.time(peer, call);
        }
        race.push(contender("taper", || {
            setting.pipeline.select(black_box(row), &step, &mut other).map(|one| one.token)
        }));
        group.race(&table::peers_race(setting.group), &mut race);
    }
}

/// The answer first: the same token as the naive reference, or no timing.
fn check_setting(setting: &Setting, row: &[f32], text: &[u32], workspace: &mut Workspace) {
    let history = taper_sampling::History::new(text);
    let step = Step::new(KEY).history(&history);
    let want = setting.naive_token(row, text, Draws::new(KEY));
    let got = setting.pipeline.select(row, &step, workspace).expect("a clean row").token;
    assert_eq!(Some(got), want, "{}", setting.group);
}

/// A peer draws in its own way: its tokens must be of those that the setting keeps.
fn check_peer(setting: &Setting, peer: &mut peers::Peer, row: &[f32], text: &[u32]) {
    let mut list = List::new(row, Draws::new(KEY));
    (setting.wide)(&mut list, text);
    let kept = list.ids();
    for _ in 0..4 {
        let token = (peer.step)();
        assert!(kept.binary_search(&token).is_ok(), "{} of {}", peer.name, setting.group);
    }
}
