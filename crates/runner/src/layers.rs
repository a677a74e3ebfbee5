//! What a model would say after each of its layers: its last norm and its head over the hidden state there.

use serde::Serialize;
use taper_models::Observe;
use taper_sampling::{Ask, DrawKey, Pipeline, Step, Workspace};

use crate::detokenizer::token_text;
use crate::dump::{Dump, DumpError};
use crate::error::RunError;
use crate::source::Source;
use crate::inspect::TokenShare;

/// What the model would say if it ended after a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerView {
    /// How many layers the hidden state went through: 0 is the embedding, the last one is the model.
    pub layer: usize,
    /// The entropy (nats) of the distribution; `None` where there is none (a NaN).
    pub entropy: Option<f64>,
    /// The best tokens, best first.
    pub top: Vec<TokenShare>,
    /// For each token asked for, its rank, from 1, and its probability.
    pub asked: Vec<(u32, Option<usize>, Option<f64>)>,
}

/// Why there are no [`LayerView`]s.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayersError {
    /// The model shows no hidden states, or failed.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The texts of the tokens cannot be told.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// The next token after `tokens` as the model would have it after each layer, by one pass in a state of its
/// own: the `top` best tokens, and those asked for.
///
/// The last norm is meant for the last layer alone, so that early layers are often not to be taken at their
/// word: nostalgebraist's logit lens.
///
/// # Errors
///
/// When the model cannot take the tokens, shows no hidden states, or fails.
pub fn layers<'m>(
    source: impl Into<Source<'m>>,
    tokens: &[u32],
    top: usize,
    asked: &[u32],
) -> Result<Vec<LayerView>, LayersError> {
    let source = source.into();
    let dump = Dump::of(source, tokens, Observe { hidden: true, attention: false })?;
    let width = dump.hidden_size();
    let mut workspace = Workspace::new(source.model.vocab_size());
    let mut views = Vec::new();
    let mut index = 0;
    while let Some(states) = dump.hidden_states(index) {
        let last = &states[states.len() - width..];
        let ends = dump.hidden_states(index + 1).is_none();
        let row = if ends { model_row(source, tokens) } else { source.model.read_out(last) };
        let row = row.map_err(|error| LayersError::Dump(error.into()))?;
        views.push(view(source, index, &row, (top, asked), &mut workspace)?);
        index += 1;
    }
    Ok(views)
}

/// The model's own logits: what the head reads at the end is normed already.
fn model_row(source: Source<'_>, tokens: &[u32]) -> Result<Vec<f32>, taper_models::ModelError> {
    use taper_models::{Outputs, Want, Work};
    let (mut state, mut outputs) = (source.model.new_state(), Outputs::new());
    let work = [Work { row: state.new_row(), tokens, want: Want::Last }];
    source.model.forward(&mut *state, &work, &mut outputs)?;
    Ok(outputs.last(0).to_vec())
}

fn view(
    source: Source<'_>,
    layer: usize,
    row: &[f32],
    (top, asked): (usize, &[u32]),
    workspace: &mut Workspace,
) -> Result<LayerView, RunError> {
    let ask = Ask { logprob: true, entropy: true, top_logprobs: top, ..Ask::token() };
    let greedy = Pipeline::greedy();
    let step = Step::new(DrawKey::new(0)).ask(ask);
    let nothing = || asked.iter().map(|&id| (id, None, None)).collect();
    let Ok(mut best) = greedy.select(row, &step, workspace) else {
        return Ok(LayerView { layer, entropy: None, top: Vec::new(), asked: nothing() });
    };
    let (entropy, listed) = (best.entropy, best.top);
    let text = |id| source.tokenizer.map_or(Ok(String::new()), |own| token_text(own, id));
    let one = |&(token, logprob): &(u32, f64)| {
        Ok(TokenShare { token, text: text(token)?, probability: Some(logprob.exp()) })
    };
    let top = listed.iter().map(one).collect::<Result<_, RunError>>()?;
    let candidates = best.candidates();
    let asked = asked
        .iter()
        .map(|&id| (id, candidates.rank(id).ok().flatten(), candidates.probability(id).ok()));
    Ok(LayerView { layer, entropy, top, asked: asked.collect() })
}
