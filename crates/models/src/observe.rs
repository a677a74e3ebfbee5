//! Looking inside a pass: hidden states and attention weights for whoever asks for them.

use crate::language_model::RowId;

/// What of a model can be [observed](crate::LanguageModel::forward_observed).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observable {
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// For each layer the number of its attention's heads. `None` for a layer that does not attend,
    /// but keeps a state (Mamba) or looks at each token by itself: it has no attention weights.
    pub attention_heads: Vec<Option<usize>>,
}

impl Observable {
    /// What can be observed of a model with hidden states of this width and these layers.
    pub fn new(hidden_size: usize, attention_heads: Vec<Option<usize>>) -> Self {
        Self { hidden_size, attention_heads }
    }

    /// How many hidden states a token has: one ahead of each layer, and the one that the head reads.
    pub fn hidden_states(&self) -> usize {
        self.attention_heads.len() + 1
    }
}

/// What an [`Observer`] wants to see. What it does not want is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Observe {
    /// The hidden states.
    pub hidden: bool,
    /// The attention weights.
    pub attention: bool,
}

/// Is shown what a pass computes on its way to the logits.
///
/// Long work is computed in several passes, so an observer is called several times for one layer,
/// each time with the next tokens of a row. The numbers are on the host, in `f32`, whatever the
/// model computes in.
pub trait Observer {
    /// What it wants to see, which must not change during a call.
    fn wants(&self) -> Observe;

    /// Hidden states of some tokens.
    fn hidden(&mut self, states: &HiddenStates<'_>);

    /// Attention weights of some tokens.
    fn attention(&mut self, weights: &AttentionWeights<'_>);
}

/// The hidden states of consecutive tokens of one row at one place of the model.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HiddenStates<'a> {
    /// The row.
    pub row: RowId,
    /// Position in the row of the first of the tokens.
    pub position: usize,
    /// Where in the model, in the order of Hugging Face's `output_hidden_states`: `i` is what layer
    /// `i` reads, so 0 is the embedding (scaled, and with its position added where a model does
    /// that), and the number of layers is what the head reads, behind the last norm. What the last
    /// layer gives ahead of that norm is not among them.
    pub index: usize,
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// `[tokens, hidden_size]`, row after row.
    pub values: &'a [f32],
}

impl HiddenStates<'_> {
    /// How many tokens these are the hidden states of.
    pub fn tokens(&self) -> usize {
        self.values.len() / self.hidden_size
    }
}

/// The attention weights of consecutive tokens of one row in one layer.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AttentionWeights<'a> {
    /// The row.
    pub row: RowId,
    /// Position in the row of the first of the tokens.
    pub position: usize,
    /// The layer, from 0. No family has a layer that attends twice.
    pub layer: usize,
    /// How many heads read.
    pub heads: usize,
    /// Position of the first key: where a window hides the beginning, it is not 0.
    pub first_key: usize,
    /// How many keys.
    pub keys: usize,
    /// `[heads, tokens, keys]`, the last running fastest. Each token's weights sum to 1, and are 0
    /// for keys that it does not see.
    pub values: &'a [f32],
}

impl AttentionWeights<'_> {
    /// How many tokens these are the weights of.
    pub fn tokens(&self) -> usize {
        self.values.len() / (self.heads * self.keys)
    }
}
