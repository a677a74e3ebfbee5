//! Logits from candle.

use candle_core::{Device, Tensor};
use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let logits = Tensor::new(&[2.0_f32, 7.5, 7.5, 1.0], &Device::Cpu)?; // of the last position
    let mut sampler = Sampler::new(Pipeline::draw().then(TopP::new(0.9)?), logits.elem_count());
    println!("{}", sampler.next(&logits.to_vec1::<f32>()?)?);
    Ok(())
}
