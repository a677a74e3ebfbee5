//! The list of tensors that a spec asks for.

use super::{
    AttentionSpec, DecoderSpec, ExpertsSpec, GateSpec, HeadSpec, LinearSpec, MambaSpec, MixerSpec,
    MlpSpec, NormKind, NormSpec, QkvSpec,
};

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
    /// A table of one row per token or per position.
    Embedding,
    /// The weight of a linear map with this many inputs.
    Projection {
        /// How many.
        inputs: usize,
    },
    /// The weight of a linear map whose output is added to the residual stream.
    ResidualProjection {
        /// How many numbers it maps.
        inputs: usize,
    },
    /// A factor, such as the gain of a norm.
    Gain,
    /// What is added: a bias, or the gain of a norm less one.
    Bias,
    /// The logarithm of how fast a recurrent state decays.
    DecayLog,
    /// What is added to a recurrent state's step, ahead of the softplus.
    StepBias,
}

impl DecoderSpec {
    /// Every tensor of the model, in a fixed order: embedding, layers, norm, head.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut list = TensorList(Vec::new());
        let table = |rows| vec![rows, self.hidden_size];
        list.push(&self.embedding.weight, table(self.vocab_size), TensorRole::Embedding);
        if let Some(positions) = &self.embedding.positions {
            list.push(positions, table(self.context_length), TensorRole::Embedding);
        }
        for block in self.layers.iter().flat_map(|layer| &layer.blocks) {
            list.norm(&block.norm);
            block.mixers.iter().for_each(|mixer| list.mixer(mixer));
            block.post_norm.iter().for_each(|norm| list.norm(norm));
        }
        list.norm(&self.norm);
        if let HeadSpec::Separate(head) = &self.head {
            list.linear(head);
        }
        list.0
    }
}

struct TensorList(Vec<TensorSpec>);

impl TensorList {
    fn push(&mut self, name: &str, shape: Vec<usize>, role: TensorRole) {
        self.0.push(TensorSpec { name: name.to_owned(), shape, role });
    }

    fn mixer(&mut self, mixer: &MixerSpec) {
        match mixer {
            MixerSpec::Attention(attention) => self.attention(attention),
            MixerSpec::Mamba(mamba) => self.mamba(mamba),
            MixerSpec::Mlp(mlp) => self.mlp(mlp),
            MixerSpec::Experts(experts) => self.experts(experts),
        }
    }

    fn attention(&mut self, attention: &AttentionSpec) {
        match &attention.qkv {
            QkvSpec::Separate { q, k, v } => [q, k, v].into_iter().for_each(|map| self.linear(map)),
            QkvSpec::Fused(map) => self.linear(map),
        }
        self.residual(&attention.o);
        for norm in [&attention.q_norm, &attention.k_norm].into_iter().flatten() {
            self.norm(norm);
        }
    }

    fn mamba(&mut self, mamba: &MambaSpec) {
        let (heads, channels) = (vec![mamba.heads], mamba.channels());
        self.linear(&mamba.input);
        let conv = TensorRole::Projection { inputs: mamba.kernel };
        self.push(&mamba.conv_weight, vec![channels, 1, mamba.kernel], conv);
        if let Some(bias) = &mamba.conv_bias {
            self.push(bias, vec![channels], TensorRole::Bias);
        }
        self.push(&mamba.dt_bias, heads.clone(), TensorRole::StepBias);
        self.push(&mamba.a_log, heads.clone(), TensorRole::DecayLog);
        self.push(&mamba.d, heads, TensorRole::Gain);
        self.norm(&mamba.norm);
        self.residual(&mamba.output);
    }

    fn mlp(&mut self, mlp: &MlpSpec) {
        if let GateSpec::Separate(gate) = &mlp.gate {
            self.linear(gate);
        }
        self.linear(&mlp.up);
        self.residual(&mlp.down);
    }

    fn experts(&mut self, experts: &ExpertsSpec) {
        self.linear(&experts.router.gate);
        if let Some(correction) = &experts.router.correction {
            self.push(correction, vec![experts.experts.len()], TensorRole::Bias);
        }
        experts.experts.iter().chain(&experts.shared).for_each(|expert| self.mlp(expert));
    }

    fn norm(&mut self, norm: &NormSpec) {
        let role = match norm.kind {
            NormKind::Rms | NormKind::Layer { .. } => TensorRole::Gain,
            NormKind::RmsPlusOne => TensorRole::Bias,
        };
        self.push(&norm.weight, vec![norm.size], role);
        if let NormKind::Layer { bias } = &norm.kind {
            self.push(bias, vec![norm.size], TensorRole::Bias);
        }
    }

    fn linear(&mut self, linear: &LinearSpec) {
        self.map(linear, TensorRole::Projection { inputs: linear.inputs });
    }

    fn residual(&mut self, linear: &LinearSpec) {
        self.map(linear, TensorRole::ResidualProjection { inputs: linear.inputs });
    }

    fn map(&mut self, linear: &LinearSpec, role: TensorRole) {
        self.push(&linear.weight, linear.stored_shape().into(), role);
        if let Some(bias) = &linear.bias {
            self.push(bias, vec![linear.outputs], TensorRole::Bias);
        }
    }
}
