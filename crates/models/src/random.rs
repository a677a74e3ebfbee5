//! Random weights for a spec, a function of the seed alone.
//!
//! candle's generator cannot be seeded on the CPU, so the numbers come from `ChaCha`: tensor `i` of
//! [`DecoderSpec::tensors`] has stream `i` of the seed's key, and changing one tensor changes no
//! other.

use std::collections::HashMap;
use std::f64::consts::TAU;

use candle_core::{Device, Result, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::spec::{DecoderSpec, TensorRole, TensorSpec};

/// Weights to start training from: `f32` tensors by name, on the CPU.
///
/// Matrices are normal with a deviation of `gain / sqrt(columns)`, so a gain of 1 keeps the size of
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
    let residual_gain = gain / (2.0 * spec.layers.len() as f64).sqrt();
    let draw = |(stream, tensor): (usize, TensorSpec)| {
        let columns = tensor.shape.last().copied().unwrap_or(1) as f64;
        let deviation = match tensor.role {
            TensorRole::Embedding | TensorRole::Projection => gain / columns.sqrt(),
            TensorRole::ResidualProjection => residual_gain / columns.sqrt(),
            TensorRole::Norm | TensorRole::Bias => 0.0,
        };
        let count = tensor.shape.iter().product();
        let values = match tensor.role {
            TensorRole::Norm => vec![1.0; count],
            TensorRole::Bias => vec![0.0; count],
            _ => normal(seed, stream as u64, deviation, count),
        };
        Ok((tensor.name, Tensor::from_vec(values, tensor.shape, &Device::Cpu)?))
    };
    spec.tensors().into_iter().enumerate().map(draw).collect()
}

/// `count` normal numbers by the method of Box and Muller.
fn normal(seed: u64, stream: u64, deviation: f64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    // 53 bits and a half: never 0, so that the logarithm is finite.
    let mut uniform = || ((rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = deviation * (-2.0 * uniform().ln()).sqrt();
        let (sin, cos) = (TAU * uniform()).sin_cos();
        values.extend([(radius * cos) as f32, (radius * sin) as f32]);
    }
    values.truncate(count);
    values
}
