//! Choices of a request, each with its names.

use serde::Serialize;
use taper_sampling::TiePolicy;

/// How beams search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SearchMode {
    /// As Hugging Face does: beam search, with `do_sample` beam-sample, with `num_beam_groups` diverse
    /// beam search.
    #[default]
    HuggingFace,
    /// [Without heuristics](taper_sampling::search::SearchRule::Canonical).
    Canonical,
    /// [Sequences drawn without replacement](taper_sampling::search::SearchRule::Stochastic).
    Stochastic,
}

impl SearchMode {
    /// Its name on the command line and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "huggingface",
            Self::Canonical => "canonical",
            Self::Stochastic => "stochastic",
        }
    }

    /// The mode of a [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::HuggingFace, Self::Canonical, Self::Stochastic];
        all.into_iter().find(|mode| mode.name() == name)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What to do when a row of logits allows no choice: NaN, +∞, everything banned, a tie under
/// [`TiePolicy::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// End the run with the error.
    #[default]
    Refuse,
    /// Take the highest finite logit of the untouched row, the lowest id among equals.
    Argmax,
}

/// All tie policies.
const TIE_POLICIES: [TiePolicy; 5] = [
    TiePolicy::KeepAll,
    TiePolicy::LowestId,
    TiePolicy::HighestId,
    TiePolicy::Random,
    TiePolicy::Error,
];

/// The tie policy of a [name](tie_policy_name).
pub(crate) fn tie_policy(name: &str) -> Option<TiePolicy> {
    TIE_POLICIES.into_iter().find(|&policy| tie_policy_name(policy) == name)
}

/// The name of a tie policy on the command line and in the JSON.
pub fn tie_policy_name(ties: TiePolicy) -> &'static str {
    match ties {
        TiePolicy::KeepAll => "keep-all",
        TiePolicy::LowestId => "lowest-id",
        TiePolicy::HighestId => "highest-id",
        TiePolicy::Random => "random",
        TiePolicy::Error => "error",
    }
}
