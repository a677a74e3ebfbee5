//! Mamba-2 with its weights.

mod scan;

use candle_core::{D, DType, Result, Tensor};

use self::scan::{Channels, scan};
use super::context::Context;
use super::parts::Linear;
use crate::cache::Recurrent;
use crate::spec::MambaSpec;
use crate::weights::{Weights, WeightsError};

/// Everything between the two projections is computed in `f32`: a state sums up what thousands of
/// tokens leave.
#[derive(Debug)]
pub(super) struct Mamba {
    spec: MambaSpec,
    /// Number of this mixer among the decoder's recurrent ones.
    slot: usize,
    input: Linear,
    /// `[channels, 1, kernel]`.
    conv_weight: Tensor,
    conv_bias: Option<Tensor>,
    dt_bias: Tensor,
    a_log: Tensor,
    d: Tensor,
    norm: Tensor,
    output: Linear,
}

impl Mamba {
    pub(super) fn new(
        spec: &MambaSpec,
        slot: usize,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        let (channels, heads) = (spec.channels(), [spec.heads]);
        let conv_bias = spec.conv_bias.as_ref().map(|name| weights.get_f32(name, &[channels]));
        let conv_weight = weights.get_f32(&spec.conv_weight, &[channels, 1, spec.kernel])?;
        Ok(Self {
            slot,
            input: Linear::new(&spec.input, weights)?,
            conv_weight,
            conv_bias: conv_bias.transpose()?,
            dt_bias: weights.get_f32(&spec.dt_bias, &heads)?,
            a_log: weights.get_f32(&spec.a_log, &heads)?,
            d: weights.get_f32(&spec.d, &heads)?,
            norm: weights.get_f32(&spec.norm.weight, &[spec.norm.size])?,
            output: Linear::new(&spec.output, weights)?,
            spec: spec.clone(),
        })
    }

    /// `[n, hidden_size]` to the same.
    pub(super) fn forward(&self, x: &Tensor, context: &mut dyn Context) -> Result<Tensor> {
        let kernels = context.kernels();
        let projected = self.input.forward(x, kernels)?.to_dtype(DType::F32)?;
        let y = context.recur(self.slot, &projected, &|x, past| self.recur(x, past))?;
        let z = projected.narrow(1, 0, self.spec.inner())?;
        let gated = (y * z.silu()?)?;
        self.output.forward(&self.group_norm(&gated)?.to_dtype(x.dtype())?, kernels)
    }

    /// What the tokens of one row read, `[n, inner]`, and what they leave for the next.
    fn recur(&self, projected: &Tensor, past: Option<&Recurrent>) -> Result<(Tensor, Recurrent)> {
        let MambaSpec { heads, head_dim, state_size, groups, .. } = self.spec;
        let (n, inner, channels) = (projected.dim(0)?, self.spec.inner(), self.spec.channels());
        let (mixed, inputs) = self.convolve(&projected.narrow(1, inner, channels)?, past)?;
        let part = |start, count, shape: (usize, usize, usize)| {
            mixed.narrow(1, start, count)?.reshape(shape)
        };
        let shared = groups * state_size;
        let dt = projected.narrow(1, inner + channels, heads)?.broadcast_add(&self.dt_bias)?;
        let channels = Channels {
            x: part(0, inner, (n, heads, head_dim))?,
            b: part(inner, shared, (n, groups, state_size))?,
            c: part(inner + shared, shared, (n, groups, state_size))?,
            dt: softplus(&dt)?,
        };
        let empty = || {
            let shape = (heads, head_dim, state_size);
            Tensor::zeros(shape, DType::F32, projected.device())
        };
        let start = past.map_or_else(empty, |past| Ok(past.state.clone()))?;
        let (y, state) = scan(&channels, &self.a_log.exp()?.neg()?, &start)?;
        let passed_by = channels.x.broadcast_mul(&self.d.unsqueeze(1)?)?;
        let y = (y + passed_by)?.reshape((n, inner))?;
        Ok((y, Recurrent { inputs, state }))
    }

    /// The causal convolution of the channels `[n, channels]`, and the inputs that the next tokens
    /// will see.
    fn convolve(&self, x: &Tensor, past: Option<&Recurrent>) -> Result<(Tensor, Tensor)> {
        let (n, channels) = x.dims2()?;
        let seen = self.spec.kernel - 1;
        let before = match past {
            Some(past) => past.inputs.clone(),
            None => Tensor::zeros((seen, channels), DType::F32, x.device())?,
        };
        let inputs = Tensor::cat(&[&before, x], 0)?;
        let mut sum = match &self.conv_bias {
            Some(bias) => bias.broadcast_as((n, channels))?,
            None => x.zeros_like()?,
        };
        for tap in 0..self.spec.kernel {
            let weight = self.conv_weight.narrow(2, tap, 1)?.reshape((1, channels))?;
            sum = (sum + inputs.narrow(0, tap, n)?.broadcast_mul(&weight)?)?;
        }
        // A view would keep the inputs of a whole prompt in memory.
        Ok((sum.silu()?, inputs.narrow(0, n, seen)?.force_contiguous()?))
    }

    /// The root-mean-square norm of each group of `[n, inner]` by itself.
    fn group_norm(&self, x: &Tensor) -> Result<Tensor> {
        let (n, inner) = x.dims2()?;
        let groups = x.reshape((n, self.spec.groups, inner / self.spec.groups))?;
        let scale = (groups.sqr()?.mean_keepdim(D::Minus1)? + self.spec.norm.eps)?.sqrt()?;
        groups.broadcast_div(&scale)?.reshape((n, inner))?.broadcast_mul(&self.norm)
    }
}

/// `ln(1 + e^x)`, also where `e^x` overflows or is lost beside 1.
fn softplus(x: &Tensor) -> Result<Tensor> {
    let small = x.abs()?.neg()?.exp()?;
    let sum = (&small + 1.0)?;
    // What the rounding of the sum dropped, to first order.
    let dropped = (small - (&sum - 1.0)?)?.div(&sum)?;
    x.relu()? + (sum.log()? + dropped)?
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn softplus_keeps_its_digits() {
        let xs = [-80.0f32, -20.0, -9.0, -1.0, 0.0, 1.0, 30.0, 200.0];
        let got = softplus(&Tensor::new(&xs, &Device::Cpu).unwrap()).unwrap();
        for (x, got) in xs.into_iter().zip(got.to_vec1::<f32>().unwrap()) {
            let want = if x > 100.0 { f64::from(x) } else { f64::from(x).exp().ln_1p() };
            let error = (f64::from(got) - want).abs() / want;
            assert!(error < 3e-7, "{x}: {got} for {want}");
        }
    }
}
