//! DRY ("don't repeat yourself"): penalises what would prolong a repetition, the more the longer.

use alloc::format;
use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::ln;
use crate::kernels::special::powi;
use crate::sequence::Window;
use crate::stage::{Role, Stage, StepContext};

/// Subtracts from every token that would prolong a repetition of `n ≥ allowed` tokens:
/// `s' = s − fl(multiplier · baseⁿ⁻ᵃˡˡᵒʷᵉᵈ)`.
///
/// `n` is the length of the longest sequence that ends the text, occurred before in it, and was
/// followed there by the token. The text is prompt and generated tokens unless a [`Window`] says
/// otherwise; a text of no more than `allowed` tokens is left alone.
///
/// A *breaker*, such as a line end or the markers of a chat template, is a sequence that no
/// repetition reaches across: `n` is at most the number of tokens after the last breaker (of those
/// that begin at the same place, the longest), and if those are fewer than `allowed`, nothing
/// happens. A breaker of one token is itself never penalised.
///
/// # Ties
///
/// An edit; it may make or break them.
///
/// # NaN and infinities
///
/// Passed on. The exponent stops where `base` to its power would leave `f32`; a large multiplier
/// may still overflow, and then the token is banned.
///
/// # Differences
///
/// llama.cpp's rule. There `multiplier = 0` and a window of 0 mean "off"; a `base` below 1 too,
/// while here it is refused. mistral.rs has breakers of one token only and stops counting at 50.
///
/// # Complexity
///
/// Linear in the window (the Z-algorithm, from the end backwards), and a sort of the tokens that
/// prolong something.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let history = History::new(&[4, 2, 7, 1, 4, 2]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let pipeline = Pipeline::greedy().then(Dry::new(0.8, 1.75, 2)?);
/// let mut workspace = Workspace::new(8);
/// let candidates = pipeline.process(&[1.0; 8], &step, &mut workspace)?;
/// assert_eq!(candidates.get(7), Some(1.0 - 0.8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// p-e-w's proposal for text-generation-webui (PR 5677); llama.cpp `llama_sampler_dry`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dry {
    multiplier: f32,
    base: f32,
    /// Largest exponent for which the power fits into `f32`.
    max_exponent: u32,
    allowed: usize,
    window: Window,
    /// Ascending, so that those with the same first token stand together.
    breakers: Vec<Vec<u32>>,
}

impl Dry {
    /// Penalises repetitions of `allowed` tokens and more, over all of the text, without breakers.
    ///
    /// # Errors
    ///
    /// [`SettingError`].
    pub fn new(multiplier: f64, base: f64, allowed: usize) -> Result<Self, SettingError> {
        let (multiplier_rounded, base_rounded) = (multiplier as f32, base as f32);
        if !multiplier_rounded.is_finite() {
            return Err(SettingError::new("multiplier", multiplier, "finite (0 is off)")
                .called("dry_multiplier"));
        }
        if !(1.0..f32::INFINITY).contains(&base_rounded) {
            return Err(SettingError::new("base", base, "at least 1 and finite").called("dry_base"));
        }
        Ok(Self {
            multiplier: multiplier_rounded,
            base: base_rounded,
            max_exponent: max_exponent(base_rounded),
            allowed,
            window: Window::ALL,
            breakers: Vec::new(),
        })
    }

    /// Which part of the text counts.
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { window, ..self }
    }

    /// Sequences that no repetition reaches across.
    ///
    /// # Errors
    ///
    /// [`SettingError`].
    pub fn breakers(
        self,
        breakers: impl IntoIterator<Item = Vec<u32>>,
    ) -> Result<Self, SettingError> {
        let mut breakers: Vec<Vec<u32>> = breakers.into_iter().collect();
        if let Some(empty) = breakers.iter().position(Vec::is_empty) {
            return Err(SettingError::new(
                "breakers",
                Vec::<u32>::new(),
                "a sequence of at least one token",
            )
            .called(&format!("dry_sequence_breakers[{empty}]")));
        }
        breakers.sort_unstable();
        Ok(Self { breakers, ..self })
    }

    fn breakers_from(&self, first: u32) -> &[Vec<u32>] {
        let start = self.breakers.partition_point(|breaker| breaker[0] < first);
        let end = self.breakers.partition_point(|breaker| breaker[0] <= first);
        &self.breakers[start..end]
    }

    /// How many tokens follow the last breaker; all of them when there is none.
    fn since_breaker(&self, text: &[u32]) -> usize {
        for start in (0..text.len()).rev() {
            let rest = &text[start..];
            let here = self.breakers_from(rest[0]).iter().filter(|b| rest.starts_with(b));
            if let Some(longest) = here.map(Vec::len).max() {
                return rest.len() - longest;
            }
        }
        text.len()
    }

    fn penalty(&self, repeated: usize) -> f32 {
        let exponent = (repeated - self.allowed).min(self.max_exponent as usize) as u32;
        (f64::from(self.multiplier) * powi(f64::from(self.base), exponent)) as f32
    }
}

fn max_exponent(base: f32) -> u32 {
    /// The logarithm of the largest `f32`, as llama.cpp rounds it.
    const LN_MAX: f32 = 88.722_84;
    if base > 1.000_001 { (LN_MAX / ln(f64::from(base)) as f32) as u32 } else { u32::MAX }
}

impl Stage for Dry {
    fn name(&self) -> &'static str {
        "dry"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name())
            .with("multiplier", self.multiplier)
            .with("base", self.base)
            .with("allowed", self.allowed)
            .option("window", self.window, Window::ALL);
        Some(settings.option("breakers", self.breakers.clone(), Vec::new()))
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let text = step.history()?.within(self.window);
        let limit = self.since_breaker(text);
        if text.len() <= self.allowed || limit < self.allowed {
            return Ok(());
        }
        candidates.with_words(|candidates, words| {
            repetitions(text, words);
            keep_followers(text, words, self.allowed, limit);
            let longest = words
                .chunk_by(|a, b| a >> 32 == b >> 32)
                .map(|run| run[run.len() - 1])
                .map(|word| ((word >> 32) as u32, (word & 0xffff_ffff) as usize))
                .filter(|(id, _)| !self.breakers_from(*id).iter().any(|b| b.len() == 1));
            candidates.edit_with(longest, |_, repeated, score| score - self.penalty(repeated))
        })
    }
}

impl Described for Dry {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let (multiplier, base) = (arguments.required("multiplier")?, arguments.required("base")?);
        let allowed = arguments.required("allowed")?;
        let window = arguments.optional("window", Window::ALL)?;
        let breakers: Vec<Vec<u32>> = arguments.optional("breakers", Vec::new())?;
        let dry = arguments.built(Self::new(multiplier, base, allowed))?.window(window);
        arguments.built(dry.breakers(breakers))
    }
}

/// `words[k]`: how many tokens at the end of the text also stand `k` tokens earlier.
fn repetitions(text: &[u32], words: &mut Vec<u64>) {
    let from_end = |i: usize| text[text.len() - 1 - i];
    words.resize(text.len(), 0);
    // The match that reaches furthest back so far: between its ends all is known already.
    let (mut left, mut right) = (0, 0);
    for k in 1..text.len() {
        let known = if k < right { (words[k - left] as usize).min(right - k) } else { 0 };
        let mut n = known;
        while k + n < text.len() && from_end(n) == from_end(k + n) {
            n += 1;
        }
        if k + n > right {
            (left, right) = (k, k + n);
        }
        words[k] = n as u64;
    }
}

/// Turns the repetitions into the tokens that followed them, each with the length of the
/// repetition it would prolong: token in the upper half, length in the lower, ascending.
fn keep_followers(text: &[u32], words: &mut Vec<u64>, allowed: usize, limit: usize) {
    let mut kept = 0;
    for k in 1..text.len() {
        let repeated = (words[k] as usize).min(limit);
        if repeated >= allowed {
            words[kept] = u64::from(text[text.len() - k]) << 32 | repeated as u64;
            kept += 1;
        }
    }
    words.truncate(kept);
    words.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_counted_from_the_end() {
        // a b c c b c y a b c: the counts per place stand in llama.cpp's own comment.
        let mut words = Vec::new();
        repetitions(&[1, 2, 3, 3, 2, 3, 9, 1, 2, 3], &mut words);
        words.reverse();
        assert_eq!(words, [0, 0, 3, 1, 0, 2, 0, 0, 0, 0]);
        words.clear();
        repetitions(&[5; 6], &mut words);
        assert_eq!(words, [0, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn a_breaker_limits_what_comes_after_it() {
        let dry = Dry::new(1.0, 2.0, 2).expect("in range");
        let with = |breakers: &[&[u32]]| {
            let breakers = breakers.iter().map(|b| b.to_vec());
            dry.clone().breakers(breakers).expect("not empty")
        };
        let text = [1, 2, 3, 4, 5, 6];
        assert_eq!(with(&[]).since_breaker(&text), 6);
        assert_eq!(with(&[&[3]]).since_breaker(&text), 3);
        assert_eq!(with(&[&[3], &[3, 4]]).since_breaker(&text), 2);
        assert_eq!(with(&[&[6, 7], &[2]]).since_breaker(&text), 4);
        assert_eq!(with(&[&[2, 3, 4, 5], &[4]]).since_breaker(&text), 2);
    }

    #[test]
    fn the_exponent_stops_before_overflow() {
        let dry = Dry::new(1.0, 1.75, 2).expect("in range");
        assert_eq!(dry.max_exponent, 158);
        assert!(dry.penalty(100_000).is_finite());
        assert_eq!(dry.penalty(2), 1.0);
        assert_eq!(dry.penalty(5), 1.75 * 1.75 * 1.75);
    }
}
