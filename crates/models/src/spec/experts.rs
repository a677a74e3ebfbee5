//! Mixtures of experts.

use super::{LinearSpec, MlpSpec};

/// Many feed-forward parts of which each token goes through a few, chosen by a router.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ExpertsSpec {
    /// Who chooses.
    pub router: RouterSpec,
    /// Those to choose from.
    pub experts: Vec<MlpSpec>,
    /// One that every token goes through besides.
    pub shared: Option<MlpSpec>,
}

/// A router scores every expert, takes the best and weights what they answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RouterSpec {
    /// Hidden state to one number per expert, computed in `f32`.
    pub gate: LinearSpec,
    /// How these become scores.
    pub scoring: Scoring,
    /// Full name of what is added to the scores while experts are chosen, and not when they are
    /// weighted: a tensor with one number per expert.
    pub correction: Option<String>,
    /// How many experts a token goes through.
    pub chosen: usize,
    /// Into how many groups of equal size the experts are divided.
    pub groups: usize,
    /// How many groups a token may choose from: those whose two best experts score highest in sum.
    pub chosen_groups: usize,
    /// Whether the weights of the chosen are divided by their sum.
    pub normalise: bool,
    /// Factor on the weights.
    pub scale: f64,
}

/// How a router's numbers become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scoring {
    /// Each by itself, between 0 and 1.
    Sigmoid,
    /// All together, so that they sum to 1.
    Softmax,
}
