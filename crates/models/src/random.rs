//! Random weights for a spec, a function of the seed alone.
//!
//! candle's generator cannot be seeded on the CPU, so the numbers come from `ChaCha`: tensor `i` of
//! [`DecoderSpec::tensors`] has stream `i` of the seed's key, and changing one tensor changes no
//! other.

use std::collections::HashMap;
use std::f64::consts::TAU;

use candle_core::{Device, Error, Result, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::spec::{DecoderSpec, TensorRole, TensorSpec};
use crate::weights::TensorSource;

/// Random weights that are drawn when they are asked for, so that those of a large model need not all
/// be held at once.
#[derive(Debug, Clone)]
pub struct Weights {
    /// By name, with the stream of its numbers.
    tensors: HashMap<String, (u64, TensorSpec)>,
    seed: u64,
    gain: f64,
    /// That of the matrices which write to the residual stream.
    residual_gain: f64,
}

impl Weights {
    /// The weights that [`init`] gives.
    pub fn new(spec: &DecoderSpec, seed: u64, gain: f64) -> Self {
        let tensors = (0..).zip(spec.tensors());
        Self {
            tensors: tensors.map(|(i, tensor)| (tensor.name.clone(), (i, tensor))).collect(),
            seed,
            gain,
            // Each mixer writes to the residual stream once.
            residual_gain: gain / (spec.mixers().count() as f64).sqrt(),
        }
    }

    fn draw(&self, stream: u64, tensor: &TensorSpec) -> Result<Tensor> {
        let mut values = zeros(tensor)?;
        let normal = |values: &mut [f32], gain: f64, inputs: usize| {
            normal(self.seed, stream, gain / (inputs as f64).sqrt(), values);
        };
        match tensor.role {
            TensorRole::Embedding => normal(&mut values, self.gain, tensor.shape[1]),
            TensorRole::Projection { inputs } => normal(&mut values, self.gain, inputs),
            TensorRole::ResidualProjection { inputs } => {
                normal(&mut values, self.residual_gain, inputs);
            }
            TensorRole::Gain => values.fill(1.0),
            TensorRole::Bias => {}
            // Mamba's own start: rates from 1 to 16, and steps from 0.001 to 0.1, spread evenly over
            // the orders of magnitude. (A softplus turns the second into the step.)
            TensorRole::DecayLog => {
                spread(self.seed, stream, &mut values, |share| (1.0 + 15.0 * share).ln());
            }
            TensorRole::StepBias => {
                let step = |share| (0.001 * 100f64.powf(share)).exp_m1().ln();
                spread(self.seed, stream, &mut values, step);
            }
        }
        Tensor::from_vec(values, tensor.shape.clone(), &Device::Cpu)
    }
}

impl TensorSource for Weights {
    fn tensor(&self, name: &str, device: &Device) -> Result<Option<Tensor>> {
        let tensor = self.tensors.get(name);
        tensor.map(|(stream, tensor)| self.draw(*stream, tensor)?.to_device(device)).transpose()
    }

    fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

/// Weights to start training from: `f32` tensors by name, on the CPU.
///
/// Matrices are normal with a deviation of `gain / sqrt(inputs)`, so a gain of 1 keeps the size of
/// what passes through; those that write to the residual stream are smaller by the square root of
/// their number, so that the stream does not grow with depth. Norms are one and biases zero.
///
/// # Errors
///
/// When candle cannot make a tensor.
///
/// # Example
///
/// ```
/// use taper_models::{Decoder, DecoderSpec, candle_core::{DType, Device, Tensor}, random};
///
/// let config = serde_json::json!({
///     "model_type": "llama", "vocab_size": 64, "hidden_size": 16, "intermediate_size": 32,
///     "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 128,
/// });
/// let spec = DecoderSpec::from_config(&config)?;
/// let weights = random::init(&spec, 7, 1.0)?;
/// let decoder = Decoder::new(&spec, &weights, DType::F32, &Device::Cpu)?;
/// let ids = Tensor::new(&[[1u32, 2, 3]], &Device::Cpu)?;
/// assert_eq!(decoder.forward_train(&ids)?.dims(), [1, 3, 64]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn init(spec: &DecoderSpec, seed: u64, gain: f64) -> Result<HashMap<String, Tensor>> {
    let weights = Weights::new(spec, seed, gain);
    let drawn = weights
        .tensors
        .iter()
        .map(|(name, (stream, tensor))| Ok((name.clone(), weights.draw(*stream, tensor)?)));
    drawn.collect()
}

fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// A number between 0 and 1, neither of them included: 53 bits and a half. It takes two of the
/// generator's words.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

/// Room for a tensor. A config can promise any size, and a vector that cannot be had would end the
/// program.
fn zeros(tensor: &TensorSpec) -> Result<Vec<f32>> {
    let TensorSpec { name, shape, .. } = tensor;
    let count = shape.iter().product();
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| Error::msg(format!("no memory for tensor `{name}` of shape {shape:?}")))?;
    values.resize(count, 0.0);
    Ok(values)
}

fn spread(seed: u64, stream: u64, values: &mut [f32], value: impl Fn(f64) -> f64) {
    let mut rng = generator(seed, stream);
    for number in values {
        *number = value(uniform(&mut rng)) as f32;
    }
}

/// Fills `values` with normal numbers by the method of Box and Muller.
///
/// The generator can be set to any place of its stream, so the parts are drawn side by side and are
/// the numbers that one after the other would be.
fn normal(seed: u64, stream: u64, deviation: f64, values: &mut [f32]) {
    const PART: usize = 1 << 14;
    values.par_chunks_mut(PART).enumerate().for_each(|(part, values)| {
        let mut rng = generator(seed, stream);
        rng.set_word_pos((2 * part * PART) as u128);
        for pair in values.chunks_mut(2) {
            let radius = deviation * (-2.0 * uniform(&mut rng).ln()).sqrt();
            let (sin, cos) = (TAU * uniform(&mut rng)).sin_cos();
            pair[0] = (radius * cos) as f32;
            if let Some(second) = pair.get_mut(1) {
                *second = (radius * sin) as f32;
            }
        }
    });
}
