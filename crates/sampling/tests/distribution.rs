//! Draws against the exact probabilities.
//!
//! Seeds are fixed, so a run either passes always or never; the budget is what a fresh set of seeds
//! would be refused with: 10⁻⁶ a test.

use taper_sampling::*;

/// Standard normal quantile of the budget.
const Z: f64 = 4.753;
const DRAWS: u64 = 400_000;

/// The value that a χ² of `freedom` degrees exceeds with the budget's probability (Wilson and
/// Hilferty's approximation, good to a percent from ten degrees on).
fn limit(freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + Z * spread.sqrt()).powi(3)
}

/// Draws many times from a row and compares the counts with what the candidates promise. Cells of
/// fewer than ten expected draws are pooled, so that the far tail is judged as one.
fn assert_drawn_as_promised(pipeline: &Pipeline, row: &[f32]) {
    let mut workspace = Workspace::new(row.len());
    let mut candidates =
        pipeline.process(row, &Step::new(DrawKey::new(0)), &mut workspace).unwrap();
    let share: Vec<f64> =
        (0..row.len() as u32).map(|id| candidates.probability(id).unwrap()).collect();
    let mut counts = vec![0_u64; row.len()];
    for draw in 0..DRAWS {
        // The three parts of a key take turns, so that none of them hides behind another.
        let key = DrawKey { seed: draw % 7, stream: draw / 7 % 5, step: draw };
        let token = pipeline.select(row, &Step::new(key), &mut workspace).unwrap().token;
        counts[token as usize] += 1;
    }
    let (mut statistic, mut cells) = (0.0, 0.0);
    let (mut pooled, mut pooled_expected) = (0.0, 0.0);
    for (&count, &share) in counts.iter().zip(&share) {
        let expected = share * DRAWS as f64;
        assert!(expected > 0.0 || count == 0, "a token without probability was drawn");
        if expected < 10.0 {
            pooled += count as f64;
            pooled_expected += expected;
        } else {
            statistic += (count as f64 - expected).powi(2) / expected;
            cells += 1.0;
        }
    }
    if pooled_expected > 0.0 {
        statistic += (pooled - pooled_expected).powi(2) / pooled_expected;
        cells += 1.0;
    }
    let limit = limit(cells - 1.0);
    assert!(
        statistic < limit,
        "{pipeline}: χ² = {statistic:.1} over {cells} cells, limit {limit:.1}"
    );
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
    assert_drawn_as_promised(&Pipeline::draw(), &row());
}

#[test]
fn draws_at_another_temperature_after_cuts() {
    let pipeline = Pipeline::draw()
        .then(Temperature::new(2.5).unwrap())
        .then(TopK::new(25).unwrap())
        .then(TopP::new(0.99).unwrap());
    assert_drawn_as_promised(&pipeline, &row());
}

/// Ties broken at random are broken evenly.
#[test]
fn random_ties_are_fair() {
    let mut row = vec![0.0; 30];
    row[3] = 1.0;
    let pipeline = Pipeline::draw().then(TopK::new(2).unwrap().ties(TiePolicy::Random));
    let mut workspace = Workspace::new(30);
    let mut counts = [0.0; 30];
    let rounds = 60_000_u32;
    for step in 0..rounds {
        let step = Step::new(DrawKey::new(5).step(u64::from(step)));
        let candidates = pipeline.process(&row, &step, &mut workspace).unwrap();
        candidates.for_each(|id, _| counts[id as usize] += 1.0);
    }
    assert_eq!(counts[3], f64::from(rounds));
    let expected = f64::from(rounds) / 29.0;
    let others = counts.iter().enumerate().filter(|(id, _)| *id != 3);
    let statistic: f64 = others.map(|(_, c): (_, &f64)| (c - expected).powi(2) / expected).sum();
    assert!(statistic < limit(28.0), "χ² = {statistic:.1}");
}
