//! Attention with its weights. [`Context`] says which positions a position looks at.

use candle_core::{Result, Tensor};

use super::context::Context;
use super::kernels::{Angles, Kernels};
use super::parts::{Linear, Norm};
use crate::spec::{AttentionSpec, NormSpec, QkvSpec};
use crate::weights::{Weights, WeightsError};

#[derive(Debug)]
pub(super) struct Attention {
    spec: AttentionSpec,
    /// Number of this attention among the decoder's.
    slot: usize,
    /// Number of its rotation among the decoder's.
    rotation: Option<usize>,
    qkv: Qkv,
    o: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
}

#[derive(Debug)]
enum Qkv {
    Separate([Linear; 3]),
    Fused(Linear),
}

impl Attention {
    pub(super) fn new(
        spec: &AttentionSpec,
        slot: usize,
        rotation: Option<usize>,
        weights: &Weights<'_>,
    ) -> std::result::Result<Self, WeightsError> {
        let norm = |spec: &Option<NormSpec>| {
            spec.as_ref().map(|norm| Norm::new(norm, weights)).transpose()
        };
        let linear = |spec| Linear::new(spec, weights);
        Ok(Self {
            slot,
            rotation,
            qkv: match &spec.qkv {
                QkvSpec::Separate { q, k, v } => {
                    Qkv::Separate([linear(q)?, linear(k)?, linear(v)?])
                }
                QkvSpec::Fused(map) => Qkv::Fused(linear(map)?),
            },
            o: linear(&spec.o)?,
            q_norm: norm(&spec.q_norm)?,
            k_norm: norm(&spec.k_norm)?,
            spec: spec.clone(),
        })
    }

    pub(super) fn forward(
        &self,
        x: &Tensor,
        angles: &[Angles],
        context: &mut dyn Context,
    ) -> Result<Tensor> {
        let kernels = context.kernels();
        let angles = self.rotation.map(|index| &angles[index]);
        let [q, k, v] = self.heads(x, kernels)?;
        let q = place(q, self.q_norm.as_ref(), angles, kernels)?;
        let k = place(k, self.k_norm.as_ref(), angles, kernels)?;
        let heads = context.attend(self.slot, &self.spec, &q, &k, &v)?;
        self.o.forward(&heads, kernels)
    }

    /// Queries, keys and values, each `[n, heads, head_dim]`.
    fn heads(&self, x: &Tensor, kernels: Kernels) -> Result<[Tensor; 3]> {
        let AttentionSpec { heads, kv_heads, head_dim, .. } = self.spec;
        let n = x.dim(0)?;
        let split = |x: Tensor, heads| x.reshape((n, heads, head_dim));
        let [q, k, v] = match &self.qkv {
            Qkv::Separate([q, k, v]) => {
                [q.forward(x, kernels)?, k.forward(x, kernels)?, v.forward(x, kernels)?]
            }
            Qkv::Fused(map) => {
                let (all, q, kv) =
                    (map.forward(x, kernels)?, heads * head_dim, kv_heads * head_dim);
                [all.narrow(1, 0, q)?, all.narrow(1, q, kv)?, all.narrow(1, q + kv, kv)?]
            }
        };
        Ok([split(q, heads)?, split(k, kv_heads)?, split(v, kv_heads)?])
    }
}

/// Norm and rotation of queries or keys, `[n, heads, head_dim]`.
fn place(
    x: Tensor,
    norm: Option<&Norm>,
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
