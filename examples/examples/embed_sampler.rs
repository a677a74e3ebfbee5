//! The sampler alone in another program's loop. The engine here is twenty lines of arithmetic;
//! yours hands over a `&[f32]` of logits just the same. Depends on `taper-sampling` only.
//!
//! ```text
//! cargo run --release -p taper-examples --example embed_sampler
//! ```

use taper_sampling::*;

/// Stands in for an engine: the logits after a token, favouring its successors.
fn forward(last: u32, logits: &mut [f32]) {
    for (id, logit) in (0_u32..).zip(&mut *logits) {
        let distance = (id + 32 - last - 1) % 32;
        *logit = 4.0 - 0.5 * distance as f32;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = Pipeline::draw()
        .then(RepetitionPenalty::new(1.3)?)
        .then(Temperature::new(0.8)?)
        .then(TopK::new(10)?)
        .then(TopP::new(0.9)?);
    println!("{pipeline}");

    let mut logits = vec![0.0; 32];
    let mut sampler = Sampler::new(pipeline, logits.len()).seed(7).prompt(&[0]);
    let mut last = 0;
    for _ in 0..24 {
        forward(last, &mut logits);
        last = sampler.next(&logits)?;
    }
    println!("{:?}", sampler.history().generated());
    Ok(())
}
