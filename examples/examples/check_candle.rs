//! The testkit on a sampler that we did not write: candle-transformers' `LogitsProcessor`.
//!
//! ```text
//! cargo run --release -p taper-examples --example check_candle
//! ```

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use taper_sampling::DrawKey;
use taper_sampling::testkit::*;

/// All that the testkit needs: a fresh processor per draw, seeded from the whole key.
fn candle(
    make: impl Fn(u64) -> LogitsProcessor,
) -> impl FnMut(&[f32], DrawKey) -> Result<u32, Refusal> {
    move |row, key| {
        if row.is_empty() {
            return Err("its softmax would panic".into());
        }
        let seed = key.seed ^ key.stream.rotate_left(24) ^ key.step.rotate_left(40);
        Ok(make(seed).sample(&Tensor::new(row, &Device::Cpu)?)?)
    }
}

pub(crate) type Check = (&'static str, Result<(), Violation>);

/// What is asked of it, and the answers.
pub(crate) fn checks() -> Vec<Check> {
    let set = |sampling: Sampling| {
        candle(move |seed| LogitsProcessor::from_sampling(seed, sampling.clone()))
    };
    let all = || set(Sampling::All { temperature: 1.0 });
    let best = || set(Sampling::ArgMax);
    let top_p = |p| set(Sampling::TopP { p, temperature: 1.0 });
    let both = |k, p| set(Sampling::TopKThenTopP { k, p, temperature: 1.0 });
    let cold = |t| Ok(candle(move |seed| LogitsProcessor::new(seed, Some(t), None)));

    let rows = Rows::new(7).longest(300);
    let probabilities = [0.35, 0.3, 0.25, 0.1];
    let row = probabilities.map(|p: f64| p.ln() as f32);
    let trial = Trial::new(10_000);
    vec![
        ("draws replay from a seed", replays(&mut all(), &rows)),
        ("a banned token is not drawn", never_draws_banned(&mut all(), &rows)),
        ("cold draws are greedy", cold_is_greedy(cold, &rows)),
        ("draws come at their odds", follows(&mut all(), &row, &probabilities, trial)),
        // 0.35 does not reach 0.5; with the second it does.
        (
            "top-p of 0.5 leaves two",
            follows(&mut top_p(0.5), &row, &[0.35 / 0.65, 0.3 / 0.65, 0.0, 0.0], trial),
        ),
        // Of the two that top-k leaves the first has 0.35 / 0.65 = 0.54, which is enough.
        (
            "top-p of 0.5 after top-k of 2 leaves one",
            follows(&mut both(2, 0.5), &row, &[1.0, 0.0, 0.0, 0.0], trial),
        ),
        ("top-p of 0 leaves one", follows(&mut top_p(0.0), &row, &[1.0, 0.0, 0.0, 0.0], trial)),
        ("greedy takes the best", is_greedy(&mut best(), Equals::Any, &rows)),
        ("a draw refuses bad rows", refuses_bad_rows(&mut all())),
        ("greedy refuses bad rows", refuses_bad_rows(&mut best())),
    ]
}

fn main() {
    for (claim, outcome) in checks() {
        match outcome {
            Ok(()) => println!("holds   {claim}"),
            Err(violation) => println!("BROKEN  {claim}\n        {violation}"),
        }
    }
}
