//! How the selectors draw and remember, and that neither they nor the cuts allocate.

use taper_sampling::testkit::{PipelineSampler, Trial, follows};
use taper_sampling::*;

const INF: f32 = f32::INFINITY;

fn key(seed: u64) -> DrawKey {
    DrawKey::new(seed)
}

fn logs<const N: usize>(probabilities: [f32; N]) -> [f32; N] {
    probabilities.map(f32::ln)
}

#[test]
fn gumbel_does_not_care_who_else_is_listed() {
    let row: Vec<f32> = (0..300_u32).map(|i| (i * 7919 % 300) as f32 * 0.01).collect();
    let mut workspace = Workspace::new(row.len());
    for seed in 0..200 {
        let step = Step::new(key(seed));
        let gumbel = Pipeline::selecting(Gumbel);
        let winner = gumbel.select(&row, &step, &mut workspace).unwrap().token;
        let thinned = Pipeline::selecting(Gumbel)
            .then(stage_fn("thin", move |c, _| c.keep_if(|id, _| id == winner || id % 3 == 0)));
        assert_eq!(thinned.select(&row, &step, &mut workspace).unwrap().token, winner);
    }
}

/// Golden tokens, from `testdata/draws.py`: a change here changes the tokens of every seed.
#[test]
fn golden_draws_are_stable() {
    let row: Vec<f32> = (0..50_u32).map(|i| (i * 37 % 50) as f32 * 0.1).collect();
    let mut workspace = Workspace::new(row.len());
    let mut tokens = |pipeline: Pipeline| -> Vec<u32> {
        // Each step is the first of a sequence.
        let at = |n, workspace: &mut _| {
            pipeline.sequence(key(42).step(n)).select(&row, workspace).unwrap().token
        };
        (0..6).map(|n| at(n, &mut workspace)).collect()
    };
    assert_eq!(tokens(Pipeline::draw()), [4, 32, 28, 5, 27, 47]);
    assert_eq!(tokens(Pipeline::selecting(Gumbel)), [35, 43, 17, 20, 4, 47]);
    assert_eq!(
        tokens(Pipeline::selecting(Mirostat::new(2.7, 0.1).unwrap())),
        [4, 35, 31, 8, 27, 47]
    );
    assert_eq!(
        tokens(Pipeline::selecting(MirostatV2::new(2.0, 0.1).unwrap())),
        [4, 31, 27, 4, 27, 35]
    );
    assert_eq!(
        tokens(Pipeline::selecting(AdaptiveP::new(0.05, 0.9).unwrap())),
        [4, 35, 30, 6, 29, 48]
    );
}

#[test]
fn adaptive_p_prefers_what_is_near_its_target() {
    let probabilities = [0.6_f64, 0.3, 0.1];
    let row = logs([0.6, 0.3, 0.1]);
    let target = 0.3;
    let odds = probabilities.map(|p| {
        let d = (p - target).abs() / 0.3;
        (-10.0 * d * d / (1.0 + d)).exp()
    });
    let total: f64 = odds.iter().sum();
    let pipeline = || Pipeline::selecting(AdaptiveP::new(target, 0.9).unwrap());
    let mut sampler = PipelineSampler::new(pipeline());
    follows(&mut sampler, &row, &odds.map(|o| o / total), Trial::new(20_000)).unwrap();
    // The reported probability is the one before, and no token is removed.
    let mut sampler = Sampler::new(pipeline(), 3);
    let ask = Ask { probability: true, ..Ask::token() };
    let mut chosen = sampler.select(&row, ask).unwrap();
    assert!((chosen.probability.unwrap() - probabilities[chosen.token as usize]).abs() < 1e-6);
    assert_eq!(chosen.candidates().len(), 3);
}

#[test]
fn adaptive_p_makes_up_for_the_past() {
    let row = logs([0.9, 0.1]);
    let pipeline = Pipeline::selecting(AdaptiveP::new(0.5, 0.5).unwrap());
    let mut memory = pipeline.new_memory();
    let mut workspace = Workspace::new(2);
    let share_of_first = |memory: &Memory, workspace: &mut Workspace| {
        let first = (0..2000).filter(|&n| {
            let step = Step::new(key(5).step(n)).memory(memory);
            pipeline.select(&row, &step, workspace).unwrap().token == 0
        });
        first.count() as f64 / 2000.0
    };
    // At first both are equally far from 0.5.
    assert!((share_of_first(&memory, &mut workspace) - 0.5).abs() < 0.06);
    // The mean of the past is then (0.5 · 1 + 0.1) / (0.5 · 2 + 1) = 0.3, and the target 0.7.
    memory.accept(&Accepted { token: 1, probability: Some(0.1) });
    let odds = [0.2_f64, 0.6].map(|gap| gap / 0.3).map(|d| (-10.0 * d * d / (1.0 + d)).exp());
    let want = odds[0] / (odds[0] + odds[1]);
    assert!((share_of_first(&memory, &mut workspace) - want).abs() < 0.06);
    memory.accept(&Accepted { token: 1, probability: None });
    memory.rollback(2);
    assert!((share_of_first(&memory, &mut workspace) - 0.5).abs() < 0.06);
}

#[test]
fn mirostat_cuts_draws_and_remembers() {
    let row = logs([0.4, 0.3, 0.2, 0.1]);
    let mut workspace = Workspace::new(4);
    let version_2 = Pipeline::selecting(MirostatV2::new(0.8, 0.5).unwrap());
    let kept = |memory: &Memory, workspace: &mut Workspace| {
        let step = Step::new(key(3)).memory(memory);
        version_2.select(&row, &step, workspace).unwrap().candidates().len()
    };
    let mut memory = version_2.new_memory();
    // μ = 1.6 bits: 0.4 has 1.32, 0.3 has 1.74.
    assert_eq!(kept(&memory, &mut workspace), 1);
    // No surprise: μ = 1.6 + 0.5 · 0.8 = 2.0 lets 0.3 in; once more, 2.4 lets 0.2 (2.32) in.
    memory.accept(&Accepted { token: 0, probability: Some(1.0) });
    assert_eq!(kept(&memory, &mut workspace), 2);
    let fork = memory.fork();
    memory.accept(&Accepted { token: 0, probability: Some(1.0) });
    assert_eq!((kept(&memory, &mut workspace), kept(&fork, &mut workspace)), (3, 2));
    memory.rollback(2);
    assert_eq!(kept(&memory, &mut workspace), 1);
    // Even where μ admits no token, the best is left; where it is huge, no banned token comes in.
    let strict = Pipeline::selecting(MirostatV2::new(0.0, 0.1).unwrap());
    assert_eq!(Sampler::new(strict, 2).next(&[1.0, 1.0]), Ok(0));
    let lax = Pipeline::selecting(MirostatV2::new(1e6, 0.1).unwrap());
    let mut two = Sampler::new(lax, 2);
    let mut chosen = two.select(&[1.0, -INF], Ask::token()).unwrap();
    assert_eq!(chosen.candidates().len(), 1);
}

/// A selector that cuts has its line in the trace, and the candidates are those it left.
#[test]
fn a_trace_covers_the_selector_that_cuts() {
    let row = logs([0.4, 0.3, 0.2, 0.1]);
    let pipeline =
        Pipeline::selecting(MirostatV2::new(1.0, 0.5).unwrap()).then(TopK::new(3).unwrap());
    let memory = pipeline.new_memory();
    let step = Step::new(key(9)).memory(&memory);
    let mut workspace = Workspace::new(4);
    let bare = pipeline.select(&row, &step, &mut workspace).unwrap().accepted();
    let mut chosen = pipeline.select(&row, &step.ask(Ask::everything()), &mut workspace).unwrap();
    assert_eq!(chosen.accepted(), bare, "a trace changes neither the token nor its probability");
    // Of 0.9 there are left 0.444 (1.17 bits), 0.333 (1.58) and 0.222 (2.17), and μ = 2.
    assert_eq!(chosen.kept, Some(2));
    let stages = chosen.trace.unwrap().stages();
    let counts: Vec<_> = stages.iter().map(|s| (s.stage.as_str(), s.before, s.after)).collect();
    assert_eq!(counts, [("top_k", 4, 3), ("mirostat_v2", 3, 2)]);
    assert!((stages[1].removed_mass.unwrap() - 2.0 / 9.0).abs() < 1e-6);
    let fates: Vec<_> = (0..4).map(|id| chosen.removed_by(id)).collect();
    assert_eq!(fates, [None, None, Some(1), Some(0)]);
}

/// Promise 6 for every cut and selector here.
#[test]
fn nothing_here_allocates() {
    let vocab = 5_000_u32;
    let rows: [Vec<f32>; 3] = [
        (0..vocab).map(|i| ((i * 7919) % vocab) as f32 * 0.01).collect(),
        (0..vocab).map(|i| ((i * 7919) % 64) as f32 * 0.01).collect(),
        vec![1.0; vocab as usize],
    ];
    let stages = |ties| -> Vec<Box<dyn Stage>> {
        vec![
            Box::new(TopNSigma::new(3.0).unwrap()),
            Box::new(Typical::new(0.95).unwrap().ties(ties).min_tokens_to_keep(5)),
            Box::new(EpsilonCutoff::new(1e-6).unwrap()),
            Box::new(EtaCutoff::new(1e-6).unwrap()),
            Box::new(Xtc::new(1.0, 1e-4).unwrap().ties(ties)),
            Box::new(DynamicTemperature::new(0.5, 1.5, 1.0).unwrap()),
            Box::new(TopH::new(0.9).unwrap().ties(ties)),
            Box::new(Renormalize),
        ]
    };
    let selectors: [fn() -> Pipeline; 5] = [
        Pipeline::draw,
        || Pipeline::selecting(Gumbel),
        || Pipeline::selecting(Mirostat::new(5.0, 0.1).unwrap()),
        || Pipeline::selecting(MirostatV2::new(5.0, 0.1).unwrap()),
        || Pipeline::selecting(AdaptiveP::new(0.1, 0.9).unwrap()),
    ];
    let mut workspace = Workspace::new(vocab as usize);
    for (new, ties) in selectors.into_iter().zip([
        TiePolicy::KeepAll,
        TiePolicy::Random,
        TiePolicy::HighestId,
        TiePolicy::KeepAll,
        TiePolicy::LowestId,
    ]) {
        // One by one on the whole row, then all of them on what is left.
        let mut pipelines: Vec<Pipeline> = Vec::new();
        for stage in stages(ties) {
            let mut one = new();
            one.push(stage);
            pipelines.push(one);
        }
        let mut all = new();
        for stage in stages(ties) {
            all.push(stage);
        }
        pipelines.push(all);
        for pipeline in &pipelines {
            let memory = pipeline.new_memory();
            let step = Step::new(key(7)).memory(&memory).ask(Ask::everything());
            pipeline.select(&rows[0], &step, &mut workspace).unwrap();
            for row in &rows {
                let counted = allocation_counter::measure(|| {
                    pipeline.select(row, &step, &mut workspace).unwrap();
                });
                assert_eq!(counted.count_total, 0, "{pipeline} {ties:?}");
            }
        }
    }
}
