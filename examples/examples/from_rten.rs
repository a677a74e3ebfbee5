//! Logits from `rten-tensor`: `[batch, position, token]`.

use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let output = NdTensor::from_data([1, 2, 4], vec![0.0_f32, 9.0, 1.0, 1.0, 2.0, 7.5, 7.5, 1.0]);
    let last = output.slice((0, -1));
    let mut sampler = Sampler::new(Pipeline::draw().then(TopP::new(0.9)?), last.len());
    println!("{}", sampler.next(last.data().ok_or("the logits do not lie in a row")?)?);
    Ok(())
}
