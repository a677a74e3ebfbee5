//! Draws against the exact probabilities.
//!
//! Seeds are fixed, so a run either passes always or never; the budget is what a fresh set of seeds
//! would be refused with: 10⁻⁶ a test, shared out over every token and every tail ([`follows`]).

use crate::support::cases;
use taper_sampling::testkit::*;
use taper_sampling::*;

const DRAWS: u64 = cases(400_000) as u64;

/// Draws many times from a row and compares the counts with what the candidates promise.
fn assert_drawn_as_promised(pipeline: Pipeline, row: &[f32]) {
    let mut workspace = Workspace::new(row.len());
    let mut candidates =
        pipeline.process(row, &Step::new(DrawKey::new(0)), &mut workspace).unwrap();
    let shares: Vec<f64> =
        (0..row.len() as u32).map(|id| candidates.probability(id).unwrap()).collect();
    follows(&mut PipelineSampler::new(pipeline), row, &shares, Trial::new(DRAWS)).unwrap();
}

/// A row whose probabilities span seven orders of magnitude, with ties and a ban.
fn row() -> Vec<f32> {
    let mut row: Vec<f32> = (0..40_u8).map(|i| -f32::from(i) * 0.4).collect();
    row[11] = row[10];
    row[20] = f32::NEG_INFINITY;
    row
}

#[test]
fn plain_draws() {
    assert_drawn_as_promised(Pipeline::draw(), &row());
}

/// Against probabilities that come from no candidates of ours.
#[test]
fn draws_of_stated_odds() {
    let shares = [0.5, 0.3, 0.0, 0.15, 0.04, 0.009, 0.001];
    let row = shares.map(|p: f64| p.ln() as f32);
    for pipeline in [Pipeline::draw(), Pipeline::selecting(Gumbel)] {
        follows(&mut PipelineSampler::new(pipeline), &row, &shares, Trial::new(DRAWS)).unwrap();
    }
}

#[test]
fn draws_at_another_temperature_after_cuts() {
    let pipeline = Pipeline::draw()
        .then(Temperature::new(2.5).unwrap())
        .then(TopK::new(25).unwrap())
        .then(TopP::new(0.99).unwrap());
    assert_drawn_as_promised(pipeline, &row());
}

/// Ties broken at random are broken evenly, and by nothing that the draw depends on.
#[test]
fn random_ties_are_fair() {
    let pipeline = Pipeline::draw().then(TopK::new(1).unwrap().ties(TiePolicy::Random));
    let (row, shares) = ([0.0; 30], [1.0 / 30.0; 30]);
    follows(&mut PipelineSampler::new(pipeline), &row, &shares, Trial::new(DRAWS)).unwrap();
    // One is certain, the other place is drawn for: half of the draws are the certain one's.
    let pipeline = Pipeline::draw().then(TopK::new(2).unwrap().ties(TiePolicy::Random));
    let (mut row, mut shares) = ([0.0; 30], [0.5 / 29.0; 30]);
    row[3] = 1e-9;
    shares[3] = 0.5;
    follows(&mut PipelineSampler::new(pipeline), &row, &shares, Trial::new(DRAWS)).unwrap();
}
