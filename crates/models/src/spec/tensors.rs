//! The list of tensors that a spec asks for.

use super::{AttentionSpec, DecoderSpec, HeadSpec, LayerSpec, LinearSpec, NormSpec};

/// One tensor of a model: what it is called, how it is shaped, what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorSpec {
    /// Full name in the weights.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it does.
    pub role: TensorRole,
}

/// What a tensor does, which is what decides how it is [initialised](crate::random).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorRole {
    /// A table of one row per token.
    Embedding,
    /// The weight of a linear map.
    Projection,
    /// The weight of a linear map whose output is added to the residual stream.
    ResidualProjection,
    /// The gain of a norm.
    Norm,
    /// The bias of a linear map.
    Bias,
}

impl DecoderSpec {
    /// Every tensor of the model, in a fixed order: embedding, layers, norm, head.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut list = TensorList(Vec::new());
        let table = vec![self.vocab_size, self.hidden_size];
        list.push(&self.embedding, table, TensorRole::Embedding);
        for layer in &self.layers {
            list.layer(layer);
        }
        list.norm(&self.norm);
        if let HeadSpec::Separate(head) = &self.head {
            list.linear(head, TensorRole::Projection);
        }
        list.0
    }
}

struct TensorList(Vec<TensorSpec>);

impl TensorList {
    fn push(&mut self, name: &str, shape: Vec<usize>, role: TensorRole) {
        self.0.push(TensorSpec { name: name.to_owned(), shape, role });
    }

    fn layer(&mut self, layer: &LayerSpec) {
        self.norm(&layer.attention_norm);
        self.attention(&layer.attention);
        self.norm(&layer.mlp_norm);
        self.linear(&layer.mlp.gate, TensorRole::Projection);
        self.linear(&layer.mlp.up, TensorRole::Projection);
        self.linear(&layer.mlp.down, TensorRole::ResidualProjection);
    }

    fn attention(&mut self, attention: &AttentionSpec) {
        for projection in [&attention.q, &attention.k, &attention.v] {
            self.linear(projection, TensorRole::Projection);
        }
        self.linear(&attention.o, TensorRole::ResidualProjection);
        for norm in [&attention.q_norm, &attention.k_norm].into_iter().flatten() {
            self.norm(norm);
        }
    }

    fn norm(&mut self, norm: &NormSpec) {
        self.push(&norm.weight, vec![norm.size], TensorRole::Norm);
    }

    fn linear(&mut self, linear: &LinearSpec, role: TensorRole) {
        self.push(&linear.weight, vec![linear.outputs, linear.inputs], role);
        if let Some(bias) = &linear.bias {
            self.push(bias, vec![linear.outputs], TensorRole::Bias);
        }
    }
}
