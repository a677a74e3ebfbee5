//! What the testkit finds in samplers of other people, at the versions in `Cargo.lock`.
//!
//! A peer that mends a defect fails a test here: take the claim off the list, and out of the example.

#[path = "../../examples/check_candle.rs"]
#[expect(dead_code, reason = "the example's main")]
mod check_candle;
#[path = "../../examples/check_llm_samplers.rs"]
#[expect(dead_code, reason = "the example's main")]
mod check_llm_samplers;

use taper_sampling::testkit::{Finding, Violation};

fn broken(checks: Vec<(&'static str, Result<(), Violation>)>) -> Vec<(&'static str, Finding)> {
    let found = checks.into_iter().filter_map(|(claim, outcome)| Some((claim, outcome.err()?)));
    found.map(|(claim, violation)| (claim, violation.finding)).collect()
}

#[test]
fn candle_does_not_renormalise_between_its_cuts() {
    let broken = broken(check_candle::checks());
    let claims: Vec<_> = broken.iter().map(|b| b.0).collect();
    assert_eq!(
        claims,
        [
            "top-p of 0.5 after top-k of 2 leaves one",
            "top-p of 0 leaves one",
            "greedy refuses bad rows"
        ]
    );
    // 0.35 of 0.65, the odds of a draw from both.
    let Finding::Odds { drawn, draws, .. } = broken[0].1 else { panic!("{}", broken[0].1) };
    assert!((drawn as f64 / draws as f64 - 0.538).abs() < 0.03, "{drawn}");
}

#[test]
fn llm_samplers_ignores_a_temperature_of_0() {
    let broken = broken(check_llm_samplers::checks());
    let claims: Vec<_> = broken.iter().map(|b| b.0).collect();
    assert_eq!(
        claims,
        [
            "greedy takes the lowest id",
            "greedy refuses bad rows",
            "typical cuts",
            "a temperature of 0 is greedy"
        ]
    );
    assert!(matches!(broken[3].1, Finding::NotBest { .. }), "{}", broken[3].1);
}
