//! SynthID: a tournament between the candidates for each of several keys.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::{exp, ln};
use crate::stage::{Stage, StepContext};
use crate::watermark::{Tournament, USUAL_HISTORY, USUAL_TABLE, WatermarkKey};

/// Replaces probabilities `p` by those of the winner of tournaments, one for each key:
/// `p ← p (1 + g − Σ p g)`, where a candidate's `g` is 0 or 1, a function of the key, the
/// `ngram_len − 1` tokens before it, and the candidate itself. The scores become logarithms of the
/// result.
///
/// A context that was used before is not marked again. A context is of generated tokens, with zeros
/// where the text has not begun.
///
/// [`SynthIdDetector`](crate::watermark::SynthIdDetector) finds it.
///
/// # Ties
///
/// None to break.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused, as is a set of banned candidates alone. What is banned stays so, and a token
/// whose probability comes to 0 is banned.
///
/// # Differences
///
/// Hugging Face's rule, tables and hash, which are not those of the Gemini app. It sums in single
/// precision, and gives `f32::MIN` where here a token is banned. Its contexts begin at the first call of
/// the processor, as here at the first generated token; a run that goes on with another's processor
/// differs. `debug_mode` is not there.
///
/// # Complexity
///
/// One exponential and one logarithm for each candidate, and two multiplications for each candidate and
/// key, twice: over 128 256 tokens and 30 keys about ten million. After a cut it is little.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::watermark::WatermarkKey;
///
/// let keys = [654, 400, 836].map(WatermarkKey::new);
/// let pipeline = Pipeline::draw().then(TopK::new(50)?).then(SynthId::new(&keys, 5)?);
/// assert_eq!(pipeline.to_string(), "top_k 50 → synth_id 5 3 → draw");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Dathathri et al., *Scalable watermarking for identifying large language model outputs*, Nature 2024;
/// Hugging Face transformers 5.23 `SynthIDTextWatermarkLogitsProcessor`.
#[derive(Debug, Clone)]
pub struct SynthId {
    tournament: Tournament,
}

impl SynthId {
    /// One round for each key; Hugging Face's example has 9 keys and n-grams of 5. Keys are below 2⁶³.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for no keys, a key out of range, and n-grams of less than 2 tokens.
    pub fn new(keys: &[WatermarkKey], ngram_len: usize) -> Result<Self, SettingError> {
        Ok(Self { tournament: Tournament::new(keys, ngram_len)? })
    }

    /// Size and seed of the table that coins are looked up in; 65 536 and 0 unless told otherwise. torch
    /// takes the lower 32 bits of the seed.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless the size is in `1..=2²⁴`.
    pub fn sampling_table(self, size: usize, seed: u64) -> Result<Self, SettingError> {
        Ok(Self { tournament: self.tournament.table(size, seed)? })
    }

    /// How many contexts are remembered; 1024 unless told otherwise.
    #[must_use]
    pub fn context_history_size(mut self, size: usize) -> Self {
        self.tournament.history_size = size;
        self
    }

    /// Whether the first `ngram_len − 1` tokens are not marked.
    #[must_use]
    pub fn skip_first_ngram_calls(mut self, skip: bool) -> Self {
        self.tournament.skip_first = skip;
        self
    }

    /// The probabilities after all rounds, in the order of the candidates, as bits.
    ///
    /// `1 − Σ p g` is taken as the share of the others, so that nothing cancels where that is small.
    fn play(&self, candidates: &Candidates<'_>, context: u64, odds: &mut [u64]) {
        for &key in self.tournament.keys() {
            let (mut ones, mut zeros) = (0.0, 0.0);
            let mut own = odds.iter();
            candidates.for_each(|id, _| {
                let p = own.next().map_or(0.0, |&bits| f64::from_bits(bits));
                if self.tournament.g(context, id, key) { ones += p } else { zeros += p }
            });
            let others = zeros / (zeros + ones);
            let mut own = odds.iter_mut();
            candidates.for_each(|id, _| {
                if let Some(bits) = own.next() {
                    let g = if self.tournament.g(context, id, key) { 1.0 } else { 0.0 };
                    *bits = (f64::from_bits(*bits) * (others + g)).to_bits();
                }
            });
        }
    }
}

impl Stage for SynthId {
    fn name(&self) -> &'static str {
        "synth_id"
    }

    fn settings(&self) -> Option<Settings> {
        let tournament = &self.tournament;
        Some(
            Settings::new(self.name())
                .hiding("keys")
                .with("ngram_len", tournament.ngram_len)
                .with("depth", tournament.keys().len())
                .option("table_size", tournament.table_size, USUAL_TABLE)
                .option("table_seed", tournament.table_seed, 0)
                .option("context_history_size", tournament.history_size, USUAL_HISTORY)
                .option("skip_first_ngram_calls", tournament.skip_first, false),
        )
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let Some(context) = self.tournament.next(step.history()?.generated()) else {
            return Ok(());
        };
        let normaliser = candidates.normaliser()?;
        candidates.with_words(|candidates, words| {
            let odds = |score| exp(normaliser.log_probability(score)).to_bits();
            candidates.for_each(|_, score| words.push(odds(score)));
            self.play(candidates, context, words);
            let mut odds = words.iter();
            candidates.map(|_, _| match odds.next().map(|&bits| f64::from_bits(bits)) {
                Some(p) if p > 0.0 => ln(p) as f32,
                _ => f32::NEG_INFINITY,
            });
        });
        Ok(())
    }
}

impl Described for SynthId {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let keys: alloc::vec::Vec<WatermarkKey> = arguments.required("keys")?;
        let ngram_len = arguments.required("ngram_len")?;
        let depth = arguments.optional("depth", keys.len())?;
        let stage = arguments.built(Self::new(&keys, ngram_len))?;
        if depth != keys.len() {
            let refused = SettingError::new("depth", depth, "the number of keys");
            return arguments.built(Err(refused));
        }
        let size = arguments.optional("table_size", USUAL_TABLE)?;
        let seed = arguments.optional("table_seed", 0)?;
        Ok(arguments
            .built(stage.sampling_table(size, seed))?
            .context_history_size(arguments.optional("context_history_size", USUAL_HISTORY)?)
            .skip_first_ngram_calls(arguments.optional("skip_first_ngram_calls", false)?))
    }
}
