//! Rows in half precision, as a model hands them over.

use half::f16;
use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let logits: Vec<f16> = [2.0, 7.5, 7.5, 1.0].map(f16::from_f32).into();
    let mut sampler = Sampler::new(Pipeline::draw().then(TopP::new(0.9)?), logits.len());
    println!("{}", sampler.next(&logits)?);
    Ok(())
}
