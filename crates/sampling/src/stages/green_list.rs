//! Hugging Face's green list: a bias on tokens that a key and the last tokens choose.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Stage, StepContext};
use crate::watermark::{GreenLists, SeedingScheme, WatermarkKey};

/// Adds `bias` to the scores of green tokens: the first `⌊γV⌋` of a permutation of the vocabulary that
/// follows from the key and the text.
///
/// - [`SeedingScheme::LeftHash`]: torch's generator is seeded with `key · last token`, and one list
///   serves all candidates.
/// - [`SeedingScheme::SelfHash`]: each of the 40 best candidates has a list of its own, seeded by the
///   least product of the key and two entries of a permuted table, one for a token of the context (the
///   last `context_width`, the candidate being the last of them) and one for the candidate. Others get
///   no bias.
///
/// With fewer tokens so far than `context_width`, prompt included, nothing happens. Hugging Face puts it
/// after all cuts. [`GreenListDetector`](crate::watermark::GreenListDetector) finds it.
///
/// # Ties
///
/// Which of equal candidates are among the 40 best: the lower ids.
///
/// # NaN and infinities
///
/// Left-hashing adds to whatever is there. Self-hashing needs an order: NaN and +∞ are refused, as is a
/// set of banned candidates alone.
///
/// # Differences
///
/// Hugging Face's rule and generators. torch's sort of more than 16 equals is not stable, so which of
/// them it takes for the 40 best is open; with fewer than 40 tokens it fails where here all of them
/// count. Hugging Face counts the vocabulary of the model's config, here it is the length of the row.
/// The generator takes the lower 32 bits of a seed, and so does this: keys that agree in these make the
/// same lists for left-hashing.
///
/// # Complexity
///
/// A step of left-hashing draws `γV` numbers of a Mersenne Twister and permutes a list of `V`; one of
/// self-hashing draws up to `40 γV`, and no list. With 128 256 tokens and γ = ¼ that is 32 thousand and
/// 1.3 million numbers, a few nanoseconds each. Self-hashing permutes a table of a million entries when
/// it is built, 4 MB.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
/// use taper_sampling::watermark::WatermarkKey;
///
/// let green = GreenList::new(WatermarkKey::new(7), 0.5, 2.0)?;
/// let mut sampler = Sampler::new(Pipeline::greedy().then(green), 48).prompt(&[26, 16, 28]);
/// assert_eq!(sampler.next(&[0.0; 48])?, 1, "the first green token after 28");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Kirchenbauer et al., arXiv 2306.04634; Hugging Face transformers 5.23 `WatermarkLogitsProcessor`.
#[derive(Debug, Clone)]
pub struct GreenList {
    lists: GreenLists,
    bias: f32,
}

/// How many candidates self-hashing looks at.
pub(crate) const LOOKED_AT: usize = 40;

impl GreenList {
    /// Raises the share `ratio` of the vocabulary by `bias`; Hugging Face's are 0.25 and 2. The key is
    /// below 2⁶³.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless `0 < ratio < 1`, the key is in range, and the bias is finite as an `f32`.
    pub fn new(key: WatermarkKey, ratio: f64, bias: f64) -> Result<Self, SettingError> {
        let lists = GreenLists::new(key, ratio)?;
        if !(bias as f32).is_finite() {
            return Err(SettingError::new("bias", bias, "finite"));
        }
        Ok(Self { lists, bias: bias as f32 })
    }

    /// What a list depends on.
    #[must_use]
    pub fn scheme(self, scheme: SeedingScheme) -> Self {
        Self { lists: self.lists.scheme(scheme), ..self }
    }

    /// How many tokens a context has; 1 unless told otherwise. Left-hashing looks at the last one alone.
    ///
    /// # Errors
    ///
    /// [`SettingError`] for 0.
    pub fn context_width(self, width: usize) -> Result<Self, SettingError> {
        Ok(Self { lists: self.lists.width(width)?, ..self })
    }

    fn raise_one_list(
        &self,
        candidates: &mut Candidates<'_>,
        text: &[u32],
    ) -> Result<(), StageError> {
        let (seed, vocab_size) = (self.lists.seed(text, 0), candidates.vocab_size());
        candidates.with_words(|candidates, words| {
            self.lists.list(seed, vocab_size, words);
            let green = words.iter().map(|&id| id as u32);
            candidates.edit(green, |_, score| score + self.bias)
        })
    }

    fn raise_of_the_best(
        &self,
        candidates: &mut Candidates<'_>,
        text: &[u32],
    ) -> Result<(), StageError> {
        let vocab_size = candidates.vocab_size();
        let mut best = Best::default();
        candidates.max()?;
        candidates.for_each(|id, score| best.offer(id, score));
        let green = |&id: &u32| self.lists.holds(self.lists.seed(text, id), id, vocab_size);
        candidates.edit(best.ids().filter(green), |_, score| score + self.bias)
    }
}

/// The best candidates so far, best first.
struct Best {
    all: [(f32, u32); LOOKED_AT],
    len: usize,
}

impl Default for Best {
    fn default() -> Self {
        Self { all: [(f32::NEG_INFINITY, 0); LOOKED_AT], len: 0 }
    }
}

impl Best {
    /// With ids ascending, so that equals stay before what comes later.
    fn offer(&mut self, id: u32, score: f32) {
        if score == f32::NEG_INFINITY
            || (self.len == LOOKED_AT && score <= self.all[LOOKED_AT - 1].0)
        {
            return;
        }
        let place = self.all[..self.len].partition_point(|other| other.0 >= score);
        self.len = (self.len + 1).min(LOOKED_AT);
        self.all.copy_within(place..self.len - 1, place + 1);
        self.all[place] = (score, id);
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        self.all[..self.len].iter().map(|&(_, id)| id)
    }
}

impl Stage for GreenList {
    fn name(&self) -> &'static str {
        "green_list"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).hiding("key").with("ratio", self.lists.ratio);
        let settings = settings.with("bias", self.bias);
        Some(settings.policy("scheme", self.lists.scheme, SeedingScheme::LeftHash).option(
            "context_width",
            self.lists.width,
            1,
        ))
    }

    fn is_idle(&self) -> bool {
        self.bias == 0.0
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let text = step.history()?.tokens();
        if text.len() < self.lists.width {
            return Ok(());
        }
        match self.lists.scheme {
            SeedingScheme::LeftHash => self.raise_one_list(candidates, text),
            SeedingScheme::SelfHash => self.raise_of_the_best(candidates, text),
        }
    }
}

impl Described for GreenList {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let key = arguments.required("key")?;
        let (ratio, bias): (f64, f64) = (arguments.required("ratio")?, arguments.required("bias")?);
        let green = arguments.built(Self::new(key, ratio, bias))?;
        let scheme = arguments.optional("scheme", SeedingScheme::LeftHash)?;
        let width = arguments.optional("context_width", 1)?;
        Ok(arguments.built(green.context_width(width))?.scheme(scheme))
    }
}
