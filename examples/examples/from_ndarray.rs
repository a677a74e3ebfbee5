//! Logits from `ndarray`, which is what ort's `try_extract_array` hands over: `[batch, position, token]`.

use ndarray::{Array3, s};
use taper_sampling::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let output =
        Array3::from_shape_vec((1, 2, 4), vec![0.0_f32, 9.0, 1.0, 1.0, 2.0, 7.5, 7.5, 1.0])?;
    let last = output.slice(s![0, -1, ..]);
    let mut sampler = Sampler::new(Pipeline::draw().then(TopP::new(0.9)?), last.len());
    println!("{}", sampler.next(last.as_slice().ok_or("the logits do not lie in a row")?)?);
    Ok(())
}
