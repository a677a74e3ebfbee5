//! The forward pass on the CPU, at the speed of memory.
//!
//! The same [`DecoderSpec`](crate::DecoderSpec) as the [`Decoder`](crate::Decoder) of the tensor
//! library, with weights that stay where they lie in the file, in the type that they have there, and
//! activations in `f32`.
//!
//! Every number that comes out is a function of the tokens before it and of the weights: it has the
//! same bits whatever else is computed in the same call, wherever the prompt was cut, on however
//! many threads, with AVX-512, with AVX2 or without. That rests on three rules:
//!
//! - sums have sixteen lanes and one order ([`dot`], [`math`]);
//! - what belongs together by position is cut at absolute positions, not at those of a call
//!   ([`attention`]), or goes token by token ([`mamba`]);
//! - threads share out outputs, never a sum ([`engine`]).

mod attention;
mod cache;
mod decoder;
mod dot;
mod engine;
mod experts;
mod formats;
mod layers;
mod mamba;
mod math;
mod matrix;
mod norms;
mod parts;
mod rows;
mod simd;
#[cfg(test)]
mod tests;

pub use self::decoder::CpuDecoder;
pub(crate) use self::formats::Format;
