//! Penalties: the prompt and what was made count by themselves.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = Pipeline::draw()
        .then(RepetitionPenalty::new(1.3)?)
        .then(OccurrencePenalty::new(0.2, 0.1)?)
        .then(NoRepeatNgram::new(3)?);
    let mut sampler = Sampler::new(pipeline, 4).prompt(&[2, 0]);
    for _ in 0..8 {
        println!("{}", sampler.next(&[2.0, 7.5, 7.5, 1.0])?);
    }
    Ok(())
}
