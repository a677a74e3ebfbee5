//! vLLM's Gumbel watermark: a draw whose noise is a function of a key and the last tokens.

use super::Selector;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::sequence::Purpose;
use crate::stage::StepContext;
use crate::watermark::{ContextScope, Contexts, Philox, WatermarkKey};

/// The candidate with the highest `score − ln(−ln u)`, where `u` is a function of the key, the last
/// `context_width` tokens generated and the candidate ([`Philox`]).
///
/// Over keys it is a draw from the distribution. Under one key it is the same draw wherever a context
/// comes again, so such a context is not marked a second time: the token is then drawn as
/// [`Draw`](crate::Draw) does, as the [`ContextScope`] says. Tokens before the text are none: the prompt
/// is not part of a context.
///
/// [`GumbelDetector`](crate::watermark::GumbelDetector) finds it.
///
/// # Ties
///
/// Equal sums, which 24 bits of noise make rare and not impossible: the lowest id.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused, as is a set of banned candidates alone.
///
/// # Differences
///
/// vLLM adds up in single precision, so where two sums are within about 10⁻⁵ it may take the other
/// token. Its noise is at most 16.6, here as there: a token whose score is further below the best is
/// never marked, and less likely than it should be. Where vLLM draws without the mark it uses its own
/// generator. vLLM leaves beam search unmarked and refuses this scheme under speculation.
///
/// # Limits
///
/// One key serves all texts, so texts with the same beginning are the same until a context repeats.
///
/// # Complexity
///
/// Ten rounds for four candidates in a row, for those that could still win; and a look at each place of
/// the searched history.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::watermark::WatermarkKey;
///
/// let pipeline = Pipeline::selecting(GumbelWatermark::new(WatermarkKey::new(42), 4)?);
/// let token = |seed| Sampler::new(pipeline.clone(), 6).seed(seed).next(&[0.0; 6]);
/// assert_eq!(token(1)?, token(2)?, "the key decides, and not the seed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Aaronson, *Watermarking of large language models*, 2022; vLLM 0.32
/// `v1/watermarking/{gumbel,gpu_sampler}.py`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GumbelWatermark {
    prf: Philox,
    contexts: Contexts,
}

impl GumbelWatermark {
    /// Marks by the last `context_width` tokens; vLLM's width is 4.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for a width of 0.
    pub fn new(key: WatermarkKey, context_width: usize) -> Result<Self, SettingError> {
        Ok(Self { prf: Philox::new(key), contexts: Contexts::new(context_width)? })
    }

    /// Which text is searched for a context that occurred before.
    #[must_use]
    pub fn scope(mut self, scope: ContextScope) -> Self {
        self.contexts.scope = scope;
        self
    }

    /// How many places back it is searched, 0 for all; 8192 unless told otherwise.
    #[must_use]
    pub fn max_history(mut self, places: usize) -> Self {
        self.contexts.max_history = places;
        self
    }
}

impl Selector for GumbelWatermark {
    fn name(&self) -> &'static str {
        "gumbel_watermark"
    }

    fn settings(&self) -> Option<Settings> {
        Some(self.contexts.describe(Settings::new(self.name()).hiding("key")))
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        let history = step.history()?;
        if self.contexts.is_spent(history) {
            return candidates.pick(step.draws().unit(Purpose::Select, 0));
        }
        let mut noise = self.prf.under(self.contexts.next(history));
        candidates.pick_by_noise(Philox::MOST_NOISE, |id| noise.gumbel(id))
    }
}

impl Described for GumbelWatermark {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let prf = Philox::new(arguments.required("key")?);
        Ok(Self { prf, contexts: Contexts::read(arguments)? })
    }
}
