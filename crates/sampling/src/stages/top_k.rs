//! Top-k: the `k` best candidates.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};
use crate::ties::TiePolicy;

/// Keeps the `k` candidates with the highest scores.
///
/// `k = 1` leaves the greedy choice, `k ≥` the number of candidates everything.
///
/// # Ties
///
/// Where the `k`-th score is shared, [`TiePolicy`] decides; the default keeps the lowest ids, and
/// exactly `k` remain. [`TiePolicy::KeepAll`] keeps all that reach the `k`-th score: more than `k`,
/// so that `k = 1` need not be greedy.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates (−∞) count, and come last.
///
/// # Differences
///
/// Hugging Face and vLLM's torch path keep all ties. llama.cpp and candle keep exactly `k`, and
/// which of the equals stay is up to their partial sort. `k = 0` means "off" in llama.cpp and
/// vLLM and an error in Hugging Face's class; here it is an error, and leaving the stage out is
/// off.
///
/// # Complexity
///
/// One pass for block maxima; then only blocks that reach the `k`-th largest block maximum are
/// read. For `k` beyond a quarter of the blocks, the `k`-th value is found by halving the values. No sort.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let logits = [2.0, 3.0, 3.0, 1.0];
/// let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
/// let mut workspace = Workspace::new(4);
/// let one = Pipeline::draw().then(TopK::new(1)?);
/// assert_eq!(one.select(&logits, &step, &mut workspace)?.kept, Some(1));
/// let one_or_more = Pipeline::draw().then(TopK::new(1)?.ties(TiePolicy::KeepAll));
/// assert_eq!(one_or_more.select(&logits, &step, &mut workspace)?.kept, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `TopKLogitsWarper`; llama.cpp `llama_sampler_top_k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopK {
    k: usize,
    min_tokens_to_keep: usize,
    ties: TiePolicy,
}

impl TopK {
    /// Keeps `k` candidates, the lowest ids among equals.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for `k = 0`.
    pub fn new(k: usize) -> Result<Self, SettingError> {
        if k == 0 {
            return Err(SettingError::new(
                "k",
                k,
                "at least 1 (leave the stage out to keep everything)",
            )
            .called("top_k"));
        }
        Ok(Self { k, min_tokens_to_keep: 1, ties: TiePolicy::default() })
    }

    /// Who stays among equals.
    #[must_use]
    pub fn ties(self, ties: TiePolicy) -> Self {
        Self { ties, ..self }
    }

    /// A lower bound on `k`, as Hugging Face sets it for beams.
    #[must_use]
    pub fn min_tokens_to_keep(self, min_tokens_to_keep: usize) -> Self {
        Self { min_tokens_to_keep, ..self }
    }
}

impl Stage for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("k", self.k).option(
            "min_tokens_to_keep",
            self.min_tokens_to_keep,
            1,
        );
        Some(settings.policy("ties", self.ties, TiePolicy::default()))
    }

    fn role(&self) -> Role {
        Role::Cut
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.keep_top(self.k.max(self.min_tokens_to_keep), self.ties)
    }
}

impl Described for TopK {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let k = arguments.required("k")?;
        let least = arguments.optional("min_tokens_to_keep", 1)?;
        let ties = arguments.optional("ties", TiePolicy::default())?;
        Ok(arguments.built(Self::new(k))?.min_tokens_to_keep(least).ties(ties))
    }
}
