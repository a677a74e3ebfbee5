//! The sampler in a loop of your own: logits in, tokens out.

use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = Pipeline::draw().then(Temperature::new(0.8)?).then(TopK::new(2)?);
    let mut sampler = Sampler::new(pipeline, 4).seed(7);
    for _ in 0..5 {
        let logits = [2.0, 7.5, 7.5, 1.0]; // from your model
        println!("{}", sampler.next(&logits)?);
    }
    Ok(())
}
