//! The tree of a search as a report: what was looked at, and what became of it.

use serde::{Deserialize, Serialize};
use taper_models::tokenizers::Tokenizer;
use taper_sampling::search::{BeamEnd, Fate, TreeNode};

use super::FinishReason;
use crate::detokenizer::token_text;
use crate::error::RunError;

/// A candidate that a beam search looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BeamTreeNode {
    /// Index of the node that it continues; `None` if that is the prompt.
    pub parent: Option<usize>,
    /// Tokens of the hypothesis, this one included.
    pub length: usize,
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// The sum of the processed log-probabilities; `None` for what cannot come.
    pub sum: Option<f64>,
    /// What became of it.
    pub fate: BeamFate,
    /// What it was ranked by among the finished, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Why it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
}

/// What became of a candidate; see [`Fate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BeamFate {
    /// It went on.
    Kept,
    /// It ended among the best.
    Finished,
    /// Others were better.
    Outranked,
    /// It ended at a rank at which Hugging Face does not look for what ended.
    EndedTooLow,
    /// It ended, and better ones took its place.
    Displaced,
    /// It is banned, or continues what had ended.
    Impossible,
}

impl BeamTreeNode {
    pub(crate) fn of(
        node: &TreeNode<BeamEnd<FinishReason>>,
        tokenizer: Option<&Tokenizer>,
        reason_of: impl Fn(BeamEnd<FinishReason>) -> FinishReason,
    ) -> Result<Self, RunError> {
        let (fate, score, end) = match node.fate {
            Fate::Finished { reason, score } => (BeamFate::Finished, Some(score), Some(reason)),
            Fate::Displaced { reason, score } => (BeamFate::Displaced, Some(score), Some(reason)),
            Fate::EndedTooLow { reason } => (BeamFate::EndedTooLow, None, Some(reason)),
            Fate::Kept => (BeamFate::Kept, None, None),
            Fate::Outranked => (BeamFate::Outranked, None, None),
            _ => (BeamFate::Impossible, None, None),
        };
        let text = tokenizer.map_or(Ok(String::new()), |t| token_text(t, node.token))?;
        Ok(Self {
            parent: node.parent,
            length: node.length,
            token: node.token,
            text,
            sum: Some(f64::from(node.sum)).filter(|sum| sum.is_finite()),
            fate,
            score: score.map(f64::from),
            finish_reason: end.map(reason_of),
        })
    }
}
