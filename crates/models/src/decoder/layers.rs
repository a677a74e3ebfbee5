//! The parts of a layer with their weights.

use candle_core::{DType, Result, Tensor};

use super::attend::Attend;
use super::kernels::{Angles, Kernels};
use crate::load::LoadError;
use crate::spec::{AttentionSpec, LayerSpec, LinearSpec, MlpSpec, NormSpec};
use crate::weights::Weights;

#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: Mlp,
}

impl Layer {
    /// `rotation` is the index of the layer's rotation among the decoder's.
    pub(super) fn new(
        spec: &LayerSpec,
        rotation: Option<usize>,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            attention_norm: RmsNorm::new(&spec.attention_norm, weights)?,
            attention: Attention::new(&spec.attention, rotation, weights)?,
            mlp_norm: RmsNorm::new(&spec.mlp_norm, weights)?,
            mlp: Mlp::new(&spec.mlp, weights)?,
        })
    }

    /// `x` and the result are `[n, hidden_size]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        index: usize,
        angles: &[Angles],
        attend: &mut dyn Attend,
    ) -> Result<Tensor> {
        let kernels = attend.kernels();
        let normed = self.attention_norm.forward(x, kernels)?;
        let x = (x + self.attention.forward(&normed, index, angles, attend)?)?;
        let normed = self.mlp_norm.forward(&x, kernels)?;
        &x + self.mlp.forward(&normed, kernels)?
    }
}

#[derive(Debug)]
struct Attention {
    spec: AttentionSpec,
    rotation: Option<usize>,
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
}

impl Attention {
    fn new(
        spec: &AttentionSpec,
        rotation: Option<usize>,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, LoadError> {
        let norm = |spec: &Option<NormSpec>| {
            spec.as_ref().map(|norm| RmsNorm::new(norm, weights)).transpose()
        };
        Ok(Self {
            rotation,
            q: Linear::new(&spec.q, weights)?,
            k: Linear::new(&spec.k, weights)?,
            v: Linear::new(&spec.v, weights)?,
            o: Linear::new(&spec.o, weights)?,
            q_norm: norm(&spec.q_norm)?,
            k_norm: norm(&spec.k_norm)?,
            spec: spec.clone(),
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        layer: usize,
        angles: &[Angles],
        attend: &mut dyn Attend,
    ) -> Result<Tensor> {
        let (n, AttentionSpec { heads, kv_heads, head_dim, .. }) = (x.dim(0)?, &self.spec);
        let split = |x: Tensor, heads: usize| x.reshape((n, heads, *head_dim));
        let angles = self.rotation.map(|index| &angles[index]);
        let kernels = attend.kernels();
        let q = split(self.q.forward(x, kernels)?, *heads)?;
        let q = place(q, self.q_norm.as_ref(), angles, kernels)?;
        let k = split(self.k.forward(x, kernels)?, *kv_heads)?;
        let k = place(k, self.k_norm.as_ref(), angles, kernels)?;
        let v = split(self.v.forward(x, kernels)?, *kv_heads)?;
        let heads = attend.attend(layer, &self.spec, &q, &k, &v)?;
        self.o.forward(&heads, kernels)
    }
}

/// Norm and rotation of queries or keys, `[n, heads, head_dim]`.
fn place(
    x: Tensor,
    norm: Option<&RmsNorm>,
    angles: Option<&Angles>,
    kernels: Kernels,
) -> Result<Tensor> {
    let dtype = x.dtype();
    let x = match norm {
        Some(norm) => norm.forward(&x, kernels)?,
        None => x,
    };
    match angles {
        Some(angles) => kernels.rotate(&x, angles)?.to_dtype(dtype),
        None => Ok(x),
    }
}

#[derive(Debug)]
struct Mlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Mlp {
    fn new(spec: &MlpSpec, weights: &Weights<'_>) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            gate: Linear::new(&spec.gate, weights)?,
            up: Linear::new(&spec.up, weights)?,
            down: Linear::new(&spec.down, weights)?,
        })
    }

    fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        let gate = self.gate.forward(x, kernels)?.silu()?;
        let gated = (gate * self.up.forward(x, kernels)?)?;
        self.down.forward(&gated, kernels)
    }
}

#[derive(Debug)]
pub(super) struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    pub(super) fn new(
        spec: &NormSpec,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            weight: weights.get(&spec.weight, &[spec.size])?.to_dtype(DType::F32)?,
            eps: spec.eps,
        })
    }

    /// Computes in `f32` and answers in the type of `x`.
    pub(super) fn forward(&self, x: &Tensor, kernels: Kernels) -> Result<Tensor> {
        kernels.rms_norm(x, &self.weight, self.eps)?.to_dtype(x.dtype())
    }
}

#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn new(
        spec: &LinearSpec,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, LoadError> {
        let bias = spec.bias.as_ref().map(|name| weights.get(name, &[spec.outputs]));
        Ok(Self {
            weight: weights.get(&spec.weight, &[spec.outputs, spec.inputs])?,
            bias: bias.transpose()?,
        })
    }

    pub(super) fn without_bias(weight: Tensor) -> Self {
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
