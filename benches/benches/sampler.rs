//! Ours beside the naive reference and the bare passes over memory that bound it.
//!
//! `cargo bench -p taper-benches`; read the ratios within one group of one run.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use taper_benches::{Input, inputs, max_pass, sum_exp_pass};
use taper_sampling::reference::List;
use taper_sampling::*;

const SIZES: [(usize, &str); 3] = [(32_000, "32k"), (128_256, "128k"), (262_144, "256k")];

/// A decoding setting: the pipeline, and the same in the reference.
struct Setting {
    group: &'static str,
    pipeline: Pipeline,
    naive: fn(&mut List),
    greedy: bool,
}

fn settings() -> Vec<Setting> {
    let k50 = || TopK::new(50).expect("in range");
    let p09 = || TopP::new(0.9).expect("in range");
    vec![
        Setting { group: "greedy", pipeline: Pipeline::greedy(), naive: |_| {}, greedy: true },
        Setting {
            group: "top_k50",
            pipeline: Pipeline::draw().then(k50()),
            naive: |list| list.keep_top(50, TiePolicy::LowestId),
            greedy: false,
        },
        Setting {
            group: "top_k50_top_p09",
            pipeline: Pipeline::draw().then(k50()).then(p09()),
            naive: |list| {
                list.keep_top(50, TiePolicy::LowestId);
                list.keep_mass(0.9, MassRule::Reach, 1, TiePolicy::LowestId);
            },
            greedy: false,
        },
        Setting {
            group: "top_p09",
            pipeline: Pipeline::draw().then(p09()),
            naive: |list| list.keep_mass(0.9, MassRule::Reach, 1, TiePolicy::LowestId),
            greedy: false,
        },
        Setting {
            group: "min_p005",
            pipeline: Pipeline::draw().then(MinP::new(0.05).expect("in range")),
            naive: |list| list.min_p(0.05),
            greedy: false,
        },
    ]
}

fn sampler(c: &mut Criterion) {
    for setting in settings() {
        for (size, label) in SIZES {
            for input in inputs(size) {
                group(c, &setting, &input, label);
            }
        }
    }
}

fn group(c: &mut Criterion, setting: &Setting, input: &Input, label: &str) {
    let row = input.row.as_slice();
    let mut workspace = Workspace::new(row.len());
    let step = Step::new(DrawKey::new(7));
    check(setting, row, &mut workspace);
    let max = max_pass(row);

    let mut group = c.benchmark_group(setting.group);
    group.throughput(Throughput::Elements(row.len() as u64));
    let name = format!("{}/{label}", input.name);
    group.bench_function(BenchmarkId::new("taper", &name), |b| {
        b.iter(|| setting.pipeline.select(black_box(row), &step, &mut workspace).map(|s| s.token));
    });
    group.bench_function(BenchmarkId::new("reference", &name), |b| {
        b.iter(|| {
            let mut list = List::new(black_box(row), Draws::new(DrawKey::new(7)));
            (setting.naive)(&mut list);
            list.argmax(TiePolicy::LowestId)
        });
    });
    group.bench_function(BenchmarkId::new("floor_max", &name), |b| {
        b.iter(|| max_pass(black_box(row)));
    });
    group.bench_function(BenchmarkId::new("floor_sum_exp", &name), |b| {
        b.iter(|| sum_exp_pass(black_box(row), max));
    });
    group.finish();
}

/// The answer first: the same token as the naive reference, or no timing.
fn check(setting: &Setting, row: &[f32], workspace: &mut Workspace) {
    let draws = Draws::new(DrawKey::new(7));
    let mut list = List::new(row, draws);
    (setting.naive)(&mut list);
    let want = if setting.greedy {
        list.argmax(TiePolicy::LowestId)
    } else {
        list.pick(draws.unit(Purpose::Select, 0))
    };
    let got =
        setting.pipeline.select(row, &Step::new(draws.key()), workspace).expect("a clean row");
    assert_eq!(Some(got.token), want, "{}", setting.group);
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1)).sample_size(30);
    targets = sampler
}
criterion_main!(benches);
