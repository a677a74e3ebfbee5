//! vLLM's dual-key Gumbel watermark: one of two keys for each token.

use super::Selector;
use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::sequence::Purpose;
use crate::stage::StepContext;
use crate::watermark::{ContextScope, Contexts, Philox, WatermarkKey, pair};

/// [`GumbelWatermark`](crate::GumbelWatermark) under the second of two keys with probability `alpha`,
/// otherwise under the first.
///
/// Both keys are derived of one ([`WatermarkKey::derive`] of `key_a` and `key_b`). Which it is comes from
/// [`Purpose::WatermarkKey`], so that a text depends on its seed as well.
///
/// [`DualKeyGumbelDetector`](crate::watermark::DualKeyGumbelDetector) finds it.
///
/// # Ties
///
/// As [`GumbelWatermark`](crate::GumbelWatermark).
///
/// # NaN and infinities
///
/// NaN and +∞ are refused, as is a set of banned candidates alone.
///
/// # Differences
///
/// Those of [`GumbelWatermark`](crate::GumbelWatermark), and the choice of the key comes from another
/// generator. Under speculation vLLM marks a draft's tokens by the first key and its own by the second;
/// that is not here.
///
/// # Complexity
///
/// As [`GumbelWatermark`](crate::GumbelWatermark): only the chosen key's noise is computed.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::watermark::WatermarkKey;
///
/// let pipeline = Pipeline::selecting(DualKeyGumbel::new(WatermarkKey::new(42), 4, 0.1)?);
/// let token = Sampler::new(pipeline, 6).seed(7).next(&[0.0, 9.0, 0.0, 0.0, 0.0, 0.0])?;
/// assert!(token < 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// vLLM 0.32 `v1/watermarking/gumbel.py`, `DualKeyGumbelWatermarker`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DualKeyGumbel {
    prfs: [Philox; 2],
    alpha: f64,
    contexts: Contexts,
}

impl DualKeyGumbel {
    /// Marks by the last `context_width` tokens; vLLM's width is 4, and its `alpha` 0.1.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for a width of 0, and an `alpha` outside `0..=1`.
    pub fn new(key: WatermarkKey, context_width: usize, alpha: f64) -> Result<Self, SettingError> {
        Ok(Self { prfs: pair(key, alpha)?, alpha, contexts: Contexts::new(context_width)? })
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

impl Selector for DualKeyGumbel {
    fn name(&self) -> &'static str {
        "dual_key_gumbel"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).hiding("key").with("alpha", self.alpha);
        Some(self.contexts.describe(settings))
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
        let second = step.draws().unit(Purpose::WatermarkKey, 0) < self.alpha;
        let mut noise = self.prfs[usize::from(second)].under(self.contexts.next(history));
        candidates.pick_by_noise(Philox::MOST_NOISE, |id| noise.gumbel(id))
    }
}

impl Described for DualKeyGumbel {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let (key, alpha) = (arguments.required("key")?, arguments.required("alpha")?);
        let prfs = arguments.built(pair(key, alpha))?;
        Ok(Self { prfs, alpha, contexts: Contexts::read(arguments)? })
    }
}
