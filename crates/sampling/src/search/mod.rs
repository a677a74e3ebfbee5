//! Search over whole sequences: beams, in the rules of several.
//!
//! [`BeamSearch`] is a state machine without a model: it takes rows of scores, one for each beam,
//! and answers with the beams that go on, as rows to continue and tokens to continue them by.
//! [`BeamRows`] makes the rows of a model's logits with a [`Pipeline`](crate::Pipeline), each beam
//! with its own history and memory.
//!
//! | | what goes on | what is returned | when it stops |
//! |---|---|---|---|
//! | [`SearchRule::HuggingFace`] | the best candidates that do not end | the best of those that ended at a good rank | by [`EarlyStopping`] |
//! | with `sampled` | candidates drawn without replacement | the same | the same |
//! | with groups | each group's own, which pay for tokens of earlier groups | the best of all groups | when all groups have |
//! | [`SearchRule::Canonical`] | the best candidates that do not end | the best of all that ended | when nothing better can come |
//! | [`SearchRule::Stochastic`] | the candidates with the most noise | a sample without replacement | when all in it ended |
//!
//! # What the canonical rule guarantees
//!
//! If the search had room for every unfinished hypothesis at every length, its first result has the
//! highest score that any sequence of at most `max_new_tokens` tokens has, and its results are the
//! best in order. With less room it is a beam search: it drops beginnings, and with them perhaps the
//! best sequence; it can even lose to greedy decoding. Hugging Face's rule can
//! stop ahead of what the canonical rule finds with the same beams: its default test takes an unfinished
//! hypothesis for no longer than it is, and with a positive length penalty longer ones score better.
//!
//! # Log-probabilities, not logits
//!
//! Stages see log-probabilities in a search and logits in greedy decoding. One beam equals greedy
//! decoding where a shift of the scores makes no difference to the stages, where the two best tokens are
//! further apart than the rounding of the normaliser, and unless a positive length penalty with
//! [`EarlyStopping::Never`] makes the search go on past the greedy end.
//!
//! # Groups
//!
//! Each group goes by the rule above; later groups pay for the tokens that beams of earlier ones went on
//! with at the same step, after the stages. Transformers 4 let them pay ahead of the stages, so that a
//! repetition penalty scaled the price; a group that was done made the others pay for the padding token;
//! and at the last step EOS came before better continuations. Apart from these three the results are those
//! of 4.49, for which there are cases.
//!
//! # Source
//!
//! Hugging Face transformers 5.23 `generation/utils.py`, `_beam_search`; groups as in
//! `HammingDiversityLogitsProcessor` of versions before 5: Vijayakumar et al., arXiv 1610.02424;
//! stochastic beams: Kool et al., arXiv 1903.06059.

mod beam;
mod canonical;
mod frontier;
mod group;
mod huggingface;
mod length;
mod log_probs;
mod rows;
mod settings;
mod stochastic;
mod tree;

#[cfg(test)]
mod tests;

pub use beam::{BeamEnd, BeamRef, BeamSearch, Hypothesis, Reorder, SearchError};
pub use log_probs::log_softmax;
pub use rows::{BeamRows, ScoreRows};
pub use settings::{BeamSettings, BeamSettingsError, EarlyStopping, SearchRule};
pub use tree::{Fate, TreeNode};
