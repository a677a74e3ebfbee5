//! Cuts and reshaping stages by the numbers.

use taper_sampling::*;

const INF: f32 = f32::INFINITY;

fn key(seed: u64) -> DrawKey {
    DrawKey::new(seed)
}

/// The ids that a stage leaves unbanned.
fn left(stage: impl Stage + 'static, row: &[f32]) -> Vec<u32> {
    let pipeline = Pipeline::draw().then(stage);
    let mut workspace = Workspace::new(row.len());
    let candidates = pipeline.process(row, &Step::new(key(1)), &mut workspace).expect("a set");
    let mut ids = Vec::new();
    candidates.for_each(|id, score| {
        if score > -INF {
            ids.push(id);
        }
    });
    ids
}

fn logs<const N: usize>(probabilities: [f32; N]) -> [f32; N] {
    probabilities.map(f32::ln)
}

#[test]
fn typical_keeps_what_is_near_the_mean_score() {
    let row = logs([0.4, 0.3, 0.2, 0.1]);
    // The mean score is ln 0.4 − 0.363; the distances are 0.363, 0.075, 0.330 and 1.023.
    let typical = |p| Typical::new(p).unwrap();
    assert_eq!(left(typical(0.0), &row), [1]);
    assert_eq!(left(typical(0.45), &row), [1, 2]);
    assert_eq!(left(typical(0.55), &row), [0, 1, 2]);
    assert_eq!(left(typical(0.0).min_tokens_to_keep(3), &row), [0, 1, 2]);
    assert_eq!(left(typical(1.0), &row), [0, 1, 2, 3]);
    // A tie at the cut: all of it, its lowest id, or what the least number asks for.
    let flat = [0.0; 4];
    let ties = |ties, least| left(typical(0.25).ties(ties).min_tokens_to_keep(least), &flat);
    assert_eq!(ties(TiePolicy::KeepAll, 1), [0, 1, 2, 3]);
    assert_eq!(ties(TiePolicy::LowestId, 1), [0]);
    assert_eq!(ties(TiePolicy::HighestId, 2), [2, 3]);
    // Meeting p exactly is enough under one rule and not under the other.
    assert_eq!(left(typical(0.5).rule(MassRule::Reach), &flat), [0, 1]);
    assert_eq!(left(typical(0.5).rule(MassRule::Exceed), &flat), [0, 1, 2]);
}

#[test]
fn the_nearest_are_counted_before_and_after_ties() {
    let kept = |row: &[f32], least, ties| {
        left(
            stage_fn("nearest", move |c, _| {
                c.keep_nearest(f32::abs, 0.0, MassRule::Reach, least, ties)
            }),
            row,
        )
    };
    let row = [2.0, 1.0, 2.0, 0.0];
    assert_eq!(kept(&row, 2, TiePolicy::KeepAll), [1, 3]);
    assert_eq!(kept(&row, 3, TiePolicy::KeepAll), [0, 1, 3]);
    assert_eq!(kept(&row, 3, TiePolicy::HighestId), [1, 2, 3]);
    assert_eq!(kept(&[5.0; 3], 2, TiePolicy::KeepAll), [0, 1, 2]);
    assert_eq!(kept(&[5.0; 3], 2, TiePolicy::LowestId), [0, 1]);
    // Equally far on both sides: the likelier one first.
    assert_eq!(kept(&[-1.0, 1.0, 7.0], 1, TiePolicy::LowestId), [1]);
    assert_eq!(kept(&[-1.0, 1.0, 7.0], 1, TiePolicy::KeepAll), [0, 1]);
}

#[test]
fn epsilon_and_eta_keep_equality_and_the_best() {
    let row = logs([0.5, 0.25, 0.125, 0.125]);
    let epsilon = |e| EpsilonCutoff::new(e).unwrap();
    assert_eq!(left(epsilon(0.125), &row), [0, 1, 2, 3]);
    assert_eq!(left(epsilon(0.125_000_1), &row), [0, 1]);
    assert_eq!(left(epsilon(0.9), &row), [0]);
    assert_eq!(left(epsilon(0.9).min_tokens_to_keep(3), &row), [0, 1, 2, 3], "the third's equals");
    assert_eq!(left(epsilon(0.25), &[7.0; 4]), [0, 1, 2, 3]);
    assert_eq!(left(epsilon(0.26), &[7.0; 4]), [0, 1, 2, 3], "the best and its equals");
    assert_eq!(left(epsilon(1e-30), &[0.0, -60.0, -80.0]), [0, 1]);
    // H = 1.75 ln 2, so η = √ε · 2^−1.75 = 0.297 √ε where that is below ε.
    let eta = |e| EtaCutoff::new(e).unwrap();
    assert_eq!(left(eta(0.18), &row), [0, 1], "0.1261");
    assert_eq!(left(eta(0.17), &row), [0, 1, 2, 3], "0.1226");
    assert_eq!(left(eta(0.99), &row), [0], "0.2958");
    assert_eq!(left(eta(0.99).min_tokens_to_keep(2), &row), [0, 1]);
    assert_eq!(left(eta(0.999), &[1.0, -INF, 1.0]), [0, 2], "a ban has no entropy");
}

#[test]
fn top_h_looks_at_a_hundred() {
    let flat = [0.0; 257];
    let top_h = |h, ties| left(TopH::new(h).unwrap().ties(ties), &flat).len();
    assert_eq!(top_h(1.0, TiePolicy::LowestId), 100);
    assert_eq!(top_h(0.5, TiePolicy::HighestId), 50);
    assert_eq!(top_h(0.5, TiePolicy::KeepAll), 257);
    assert_eq!(left(TopH::new(1e-9).unwrap(), &[0.0, 1.0]), [1]);
}

#[test]
fn top_n_sigma_bans_and_keeps_the_floor() {
    let sigma = |n| TopNSigma::new(n).unwrap();
    assert_eq!(left(sigma(2.0), &[1.0, -1.0]), [0, 1], "−1 is at the floor");
    assert_eq!(left(sigma(1.999), &[1.0, -1.0]), [0]);
    // The ban counts nothing: mean 2, deviation √2, floor 4 − 1.5 √2 = 1.88.
    assert_eq!(left(sigma(1.5), &[0.0, 1.0, -INF, 2.0, 3.0, 4.0]), [3, 4, 5]);
    assert_eq!(left(sigma(0.1), &[5.0]), [0]);
    // The row may be dense or a list: the same bits.
    let row: Vec<f32> = (0..999_u32).map(|i| (i * 7919 % 1000) as f32 * 0.013).collect();
    let mut workspace = Workspace::new(row.len());
    let mut deviation = |pipeline: Pipeline| {
        let step = Step::new(key(0));
        pipeline.process(&row, &step, &mut workspace).unwrap().deviation().unwrap()
    };
    let dense = deviation(Pipeline::draw().then(stage_fn("ban", |c, _| {
        c.map(|id, s| if id % 3 == 0 { -INF } else { s });
        Ok(())
    })));
    let list =
        deviation(Pipeline::draw().then(stage_fn("cut", |c, _| c.keep_if(|id, _| id % 3 != 0))));
    assert_eq!(dense, list);
}

#[test]
fn xtc_leaves_the_least_likely_of_the_likely() {
    let row = logs([0.3, 0.3, 0.25, 0.1, 0.05]);
    let xtc = |t| Xtc::new(1.0, t).unwrap();
    assert_eq!(left(xtc(0.2), &row), [2, 3, 4]);
    assert_eq!(left(xtc(0.26), &row), [0, 2, 3, 4], "one of the equals");
    assert_eq!(left(xtc(0.26).ties(TiePolicy::HighestId), &row), [1, 2, 3, 4]);
    assert_eq!(left(xtc(0.26).ties(TiePolicy::KeepAll), &row), [0, 1, 2, 3, 4]);
    assert_eq!(left(xtc(0.31), &row), [0, 1, 2, 3, 4], "no token is that likely");
    assert_eq!(left(xtc(0.0), &row), [4]);
    assert_eq!(left(xtc(0.2).min_tokens_to_keep(3), &row), [2, 3, 4]);
    assert_eq!(left(xtc(0.2).min_tokens_to_keep(4), &row), [0, 1, 2, 3, 4]);
    assert_eq!(left(Xtc::new(0.0, 0.1).unwrap(), &row), [0, 1, 2, 3, 4]);
    // It acts as often as it is told to: 4 deviations either way.
    let pipeline = Pipeline::draw().then(Xtc::new(0.3, 0.2).unwrap());
    let mut workspace = Workspace::new(row.len());
    let acted = (0..4000)
        .filter(|&n| pipeline.process(&row, &Step::new(key(n)), &mut workspace).unwrap().len() == 3)
        .count();
    assert!((1084..=1316).contains(&acted), "{acted}");
}

#[test]
fn dynamic_temperature_follows_the_entropy() {
    let stage = |low, high, e| DynamicTemperature::new(low, high, e).unwrap();
    let scores = |stage: DynamicTemperature, row: &[f32]| {
        let pipeline = Pipeline::draw().then(stage);
        let mut workspace = Workspace::new(row.len());
        let candidates = pipeline.process(row, &Step::new(key(0)), &mut workspace).unwrap();
        (0..row.len() as u32).map(|id| candidates.get(id).unwrap()).collect::<Vec<_>>()
    };
    // Half of the largest entropy: T = 0.5 + 1.5 · 0.5² = 0.875.
    let got = scores(stage(0.5, 2.0, 2.0), &[3.5, 3.5, -INF, -INF]);
    assert!((got[0] - 4.0).abs() < 1e-6 && got[2] == -INF, "{got:?}");
    assert_eq!(scores(stage(0.0, 2.0, 1.0), &[5.0, 5.0]), [2.5, 2.5]);
    assert_eq!(scores(stage(0.0, 2.0, 1.0), &[5.0]), [5.0], "one candidate is left alone");
    assert_eq!(scores(stage(0.0, 2.0, 1.0), &[5.0, -INF]), [5.0, -INF], "T = 0");
}
