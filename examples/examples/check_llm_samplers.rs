//! The testkit on a sampler that we did not write: the crate `llm-samplers`, whose chains show what
//! they keep, so that cuts can be judged as sets.
//!
//! ```text
//! cargo run --release -p taper-examples --example check_llm_samplers
//! ```

use llm_samplers::prelude::{
    Logits, SampleGreedy, SampleLocallyTypical, SampleMinP, SampleRandDistrib, SampleTemperature,
    SampleTopK, SampleTopP, Sampler as Link, SamplerChain, SimpleSamplerResources,
};
use rand::{SeedableRng, rngs::StdRng};
use taper_sampling::DrawKey;
use taper_sampling::testkit::*;

/// What its chain is made of; the last link selects.
struct Chain<F>(F);

impl<F: Fn(&mut SamplerChain)> Chain<F> {
    fn run(&self, row: &[f32], key: DrawKey) -> Result<(Option<u32>, Logits), Refusal> {
        let seed = key.seed ^ key.stream.rotate_left(24) ^ key.step.rotate_left(40);
        let rng = Box::new(StdRng::seed_from_u64(seed));
        let mut resources = SimpleSamplerResources::new(Some(rng), Some(Vec::new()));
        let mut chain = SamplerChain::new();
        self.0(&mut chain);
        let mut logits = Logits::try_from_iter(row.iter().copied())?;
        let token = chain.sample_token(&mut resources, &mut logits)?;
        Ok((token, logits))
    }
}

impl<F: Fn(&mut SamplerChain)> Subject for Chain<F> {
    fn token(&mut self, row: &[f32], key: DrawKey) -> Result<u32, Refusal> {
        Ok(self.run(row, key)?.0.ok_or("the chain chose nothing")?)
    }

    fn kept(&mut self, row: &[f32], key: DrawKey) -> Result<Vec<(u32, f32)>, Refusal> {
        let (_, left) = self.run(row, key)?;
        let unbanned = left.iter().filter(|entry| entry.logit > f32::NEG_INFINITY);
        Ok(unbanned.map(|entry| (entry.token_id, entry.logit)).collect())
    }
}

fn drawn(link: impl Link + Clone + 'static) -> Chain<impl Fn(&mut SamplerChain)> {
    Chain(move |chain: &mut SamplerChain| {
        chain.push_sampler(link.clone()).push_sampler(SampleRandDistrib::new());
    })
}

pub(crate) type Check = (&'static str, Result<(), Violation>);

/// What is asked of it, and the answers.
pub(crate) fn checks() -> Vec<Check> {
    let rows = Rows::new(7).longest(300);
    let temperature = |t: f64| drawn(SampleTemperature::new(t as f32));
    let above_0 = |t| if t > 0.0 { Ok(temperature(t)) } else { Err("asked below".into()) };
    let top_k = |k| drawn(SampleTopK::new(k, 1));
    let top_p = |p| drawn(SampleTopP::new(p, 1));
    let both = Chain(|chain: &mut SamplerChain| {
        chain.push_sampler(SampleTopK::new(6, 1)).push_sampler(SampleTopP::new(0.6, 1));
        chain.push_sampler(SampleRandDistrib::new());
    });
    let greedy = || {
        Chain(|chain: &mut SamplerChain| {
            chain.push_sampler(SampleGreedy::new());
        })
    };
    vec![
        ("draws replay from a seed", replays(&mut top_k(40), &rows)),
        ("a draw is from what is kept", draws_from_kept(&mut top_k(40), &rows)),
        ("bad rows are refused", refuses_bad_rows(&mut top_k(40))),
        ("top-k of 1 is greedy", is_greedy(&mut top_k(1), Equals::LowestId, &rows)),
        ("greedy takes the lowest id", is_greedy(&mut greedy(), Equals::LowestId, &rows)),
        ("greedy refuses bad rows", refuses_bad_rows(&mut greedy())),
        ("top-k cuts", only_cuts(&mut top_k(5), &rows)),
        (
            "top-p after top-k sees what is left",
            composes(&mut { both }, &mut top_k(6), &mut top_p(0.6), &rows),
        ),
        ("min-p is idempotent", is_idempotent(&mut drawn(SampleMinP::new(0.1, 1)), &rows)),
        ("typical cuts", only_cuts(&mut drawn(SampleLocallyTypical::new(0.8, 1)), &rows)),
        ("a temperature near 0 is greedy", cold_is_greedy(above_0, &rows)),
        ("a temperature of 0 is greedy", is_greedy(&mut temperature(0.0), Equals::Any, &rows)),
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
