//! Norms, linear maps and feed-forward parts with their weights.

use candle_core::{Result, Tensor};

use super::kernels::Kernels;
use crate::spec::{Activation, GateSpec, LinearSpec, MatrixLayout, MlpSpec, NormKind, NormSpec};
use crate::weights::{Matrix, Weights, WeightsError};

#[derive(Debug)]
pub(super) struct Norm {
    weight: Tensor,
    /// Only layer norms have one.
    bias: Option<Tensor>,
    /// Whether the weight is still to be increased by one.
    plus_one: bool,
    eps: f64,
}

impl Norm {
    pub(super) fn new(
        spec: &NormSpec,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        let mut weight = weights.get_f32(&spec.weight, &[spec.size])?;
        let mut plus_one = spec.kind == NormKind::RmsPlusOne;
        // A variable must stay one, so that the decoder follows its training.
        if plus_one && !weight.is_variable() {
            (weight, plus_one) = ((weight + 1.0)?, false);
        }
        let bias = match &spec.kind {
            NormKind::Layer { bias } => Some(weights.get_f32(bias, &[spec.size])?),
            NormKind::Rms | NormKind::RmsPlusOne => None,
        };
        Ok(Self { weight, bias, plus_one, eps: spec.eps })
    }

    /// Computes in `f32` and answers in the type of `x`.
    pub(super) fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let normed = match &self.bias {
            Some(bias) => kernels.layer_norm(x, &self.weight, bias, self.eps)?,
            None if self.plus_one => kernels.rms_norm(x, &(&self.weight + 1.0)?, self.eps)?,
            None => kernels.rms_norm(x, &self.weight, self.eps)?,
        };
        normed.to_dtype(x.dtype())
    }
}

#[derive(Debug)]
pub(super) struct Linear {
    /// `[outputs, inputs]`, perhaps as a view of a matrix that is stored the other way round.
    weight: Matrix,
    bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn new(
        spec: &LinearSpec,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        let shape = spec.stored_shape();
        let weight = match spec.layout {
            MatrixLayout::OutputsFirst => weights.matrix(&spec.weight, &shape)?,
            MatrixLayout::InputsFirst => Matrix::Plain(weights.get(&spec.weight, &shape)?.t()?),
        };
        let bias = spec.bias.as_ref().map(|name| weights.get(name, &[spec.outputs]));
        Ok(Self { weight, bias: bias.transpose()? })
    }

    /// A map whose numbers are held in `f32`, whatever the others are; stored outputs first, and
    /// without a bias.
    pub(super) fn in_f32(
        spec: &LinearSpec,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        let weight = weights.get_f32(&spec.weight, &[spec.outputs, spec.inputs])?;
        Ok(Self::without_bias(Matrix::Plain(weight)))
    }

    pub(super) fn without_bias(weight: Matrix) -> Self {
        Self { weight, bias: None }
    }

    /// `[n, inputs]` to `[n, outputs]`.
    pub(super) fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let y = kernels.linear(x, &self.weight)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

#[derive(Debug)]
pub(super) struct Mlp {
    gate: Gate,
    up: Linear,
    down: Linear,
    activation: Activation,
}

#[derive(Debug)]
enum Gate {
    None,
    Separate(Linear),
    Fused,
}

impl Mlp {
    pub(super) fn new(
        spec: &MlpSpec,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        Ok(Self {
            gate: match &spec.gate {
                GateSpec::None => Gate::None,
                GateSpec::Separate(gate) => Gate::Separate(Linear::new(gate, weights)?),
                GateSpec::Fused => Gate::Fused,
            },
            up: Linear::new(&spec.up, weights)?,
            down: Linear::new(&spec.down, weights)?,
            activation: spec.activation,
        })
    }

    /// `[n, hidden_size]` to the same.
    pub(super) fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let up = self.up.forward(x, kernels)?;
        let inner = match &self.gate {
            Gate::None => activate(&up, self.activation)?,
            Gate::Separate(gate) => (activate(&gate.forward(x, kernels)?, self.activation)? * up)?,
            Gate::Fused => {
                let half = up.dim(1)? / 2;
                let gate = up.narrow(1, 0, half)?.contiguous()?;
                (activate(&gate, self.activation)? * up.narrow(1, half, half)?)?
            }
        };
        self.down.forward(&inner, kernels)
    }
}

fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Relu => x.relu(),
        Activation::SquaredRelu => x.relu()?.sqr(),
    }
}
