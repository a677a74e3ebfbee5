//! Speculative decoding: a cheap guess at the next token, taken or replaced so that the tokens have
//! the distribution that they would have had without it.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::error::StageError;
use crate::logits::Logits;
use crate::pipeline::{Pipeline, SelectError, Selection, Step, Workspace};
use crate::sequence::{Draws, Purpose};

/// The distribution that a guess was drawn from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guess {
    token: u32,
    /// The tokens that it could have been, ids ascending, with their probabilities.
    probabilities: Vec<(u32, f64)>,
}

impl Guess {
    /// A token that was not drawn: the best of a draft model, or one looked up in the text.
    pub fn certain(token: u32) -> Self {
        Self { token, probabilities: alloc::vec![(token, 1.0)] }
    }

    /// Draws a token from what a draft model's pipeline leaves, and keeps the distribution. The key
    /// must be another stream's than that of the sequence which verifies it.
    ///
    /// # Errors
    ///
    /// As [`Candidates::max`].
    pub fn draw(candidates: &mut Candidates<'_>, draws: Draws) -> Result<Self, StageError> {
        let token = candidates.pick(draws.unit(Purpose::Select, 0))?;
        Ok(Self { token, probabilities: distribution(candidates)? })
    }

    /// The token.
    pub fn token(&self) -> u32 {
        self.token
    }

    fn probability(&self, id: u32) -> f64 {
        let found = self.probabilities.binary_search_by_key(&id, |&(token, _)| token);
        found.map_or(0.0, |at| self.probabilities[at].1)
    }
}

fn distribution(candidates: &mut Candidates<'_>) -> Result<Vec<(u32, f64)>, StageError> {
    let normaliser = candidates.normaliser()?;
    let mut all = Vec::new();
    candidates.for_each(|id, score| {
        let p = crate::kernels::exp(normaliser.log_probability(score));
        if p > 0.0 {
            all.push((id, p));
        }
    });
    Ok(all)
}

impl Pipeline {
    /// As [`select`](Self::select), with a guess at hand: the token may be the guess, and its
    /// distribution is that of `select` all the same.
    ///
    /// A guess `x` that was drawn with probability `q(x)` is taken with probability
    /// `min(1, p(x) / q(x))`, where `p` is what the stages leave of the logits; otherwise the token is
    /// drawn from what `p` has more than `q`. That is so where the selector is
    /// [`Draw`](crate::Draw). Any other selector chooses as if there were no guess, and so does
    /// `Draw` when the guess was certain: then a guess saves a pass of the model if it happens to be
    /// what is chosen, and the tokens of a seed are those without guesses.
    ///
    /// ```
    /// use taper_sampling::prelude::*;
    ///
    /// let (pipeline, logits) = (Pipeline::draw(), [2.0, 1.0, 0.0]);
    /// let (mut workspace, step) = (Workspace::new(3), Step::new(DrawKey::new(7)));
    /// // A draft that has the same distribution as the target is always taken.
    /// let stream = DrawKey::new(7).stream(1);
    /// let mut candidates = pipeline.process(&logits, &step, &mut workspace)?;
    /// let guess = Guess::draw(&mut candidates, Draws::new(stream))?;
    /// let token = pipeline.select_with_guess(&logits, &step, &guess, &mut workspace)?.token;
    /// assert_eq!(token, guess.token());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Source
    ///
    /// Leviathan, Kalman and Matias, arXiv 2211.17192; Chen et al., arXiv 2302.01318. Hugging Face
    /// transformers 5.23 `_speculative_sampling` takes a guess at `u ≤ p/q`; here `u < p/q`, so that
    /// a token of probability 0 is never taken.
    ///
    /// # Errors
    ///
    /// As [`select`](Self::select).
    pub fn select_with_guess<'w>(
        &self,
        logits: impl Into<Logits<'w>>,
        step: &Step<'_>,
        guess: &Guess,
        workspace: &'w mut Workspace,
    ) -> Result<Selection<'w>, SelectError> {
        let certain = guess.probabilities.len() == 1;
        if certain || !self.selector().draws_plainly() {
            return self.select(logits, step, workspace);
        }
        let draws = Draws::new(step.key);
        self.select_by(logits.into(), step, workspace, |candidates| {
            take_or_replace(guess, candidates, draws)
                .map_err(|source| SelectError::Stage { stage: "speculative".to_string(), source })
        })
    }
}

fn take_or_replace(
    guess: &Guess,
    candidates: &mut Candidates<'_>,
    draws: Draws,
) -> Result<u32, StageError> {
    let p = candidates.probability(guess.token)?;
    if draws.unit(Purpose::Accept, 0) * guess.probability(guess.token) < p {
        return Ok(guess.token);
    }
    let mut residual = distribution(candidates)?;
    for (id, p) in &mut residual {
        *p = (*p - guess.probability(*id)).max(0.0);
    }
    let total: f64 = residual.iter().map(|&(_, p)| p).sum();
    let mut left = draws.unit(Purpose::Residual, 0) * total;
    for &(id, p) in residual.iter().filter(|&&(_, p)| p > 0.0) {
        if left < p {
            return Ok(id);
        }
        left -= p;
    }
    // The sum was rounded upwards, or nothing is left because p and q differ by roundings alone.
    let last = residual.iter().rev().find(|&&(_, p)| p > 0.0);
    last.map_or_else(|| candidates.pick(draws.unit(Purpose::Select, 0)), |&(id, _)| Ok(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DrawKey, TopK};

    /// Tokens drawn with a draft of another distribution, and how many guesses were taken.
    fn counts(target: &[f32], draft: &[f32], pipeline: &Pipeline, draws: u64) -> (Vec<u32>, u32) {
        let mut workspace = Workspace::new(target.len());
        let (mut counts, mut taken) = (alloc::vec![0; target.len()], 0);
        for seed in 0..draws {
            let step = Step::new(DrawKey::new(seed));
            let mut left = pipeline.process(draft, &step, &mut workspace).expect("a row");
            let own = Draws::new(DrawKey::new(seed).stream(1 << 63));
            let guess = Guess::draw(&mut left, own).expect("a row");
            let chosen = pipeline.select_with_guess(target, &step, &guess, &mut workspace);
            let token = chosen.expect("a token").token;
            counts[token as usize] += 1;
            taken += u32::from(token == guess.token());
        }
        (counts, taken)
    }

    #[test]
    fn the_distribution_is_the_targets_whatever_the_draft() {
        let target = [1.0, 0.0, 2.0, -1.0, 0.5, -4.0];
        let draws = if cfg!(debug_assertions) { 8_000 } else { 40_000 };
        for draft in [[0.0, 3.0, 0.0, 1.0, 0.0, 2.0], [9.0, 0.0, 0.0, 0.0, 0.0, 0.0]] {
            for pipeline in
                [Pipeline::draw(), Pipeline::draw().then(TopK::new(4).expect("a count"))]
            {
                let mut workspace = Workspace::new(6);
                let step = Step::new(DrawKey::new(0));
                let mut left = pipeline.process(&target, &step, &mut workspace).expect("a row");
                let want: Vec<f64> =
                    (0..6).map(|id| left.probability(id).expect("a row")).collect();
                let (counts, _) = counts(&target, &draft, &pipeline, draws);
                let mut statistic = 0.0;
                for (&count, &p) in counts.iter().zip(&want) {
                    let expected = draws as f64 * p;
                    if p == 0.0 {
                        assert_eq!(count, 0, "a removed token was drawn");
                    } else {
                        statistic += (f64::from(count) - expected).powi(2) / expected;
                    }
                }
                // Five degrees of freedom exceed 37 about once in two million.
                assert!(statistic < 37.0, "{statistic}: {counts:?} for {want:?}");
            }
        }
    }

    #[test]
    fn a_draft_that_is_the_target_is_always_taken() {
        let row = [1.0, 0.0, 2.0, -1.0, 0.5, -4.0];
        assert_eq!(counts(&row, &row, &Pipeline::draw(), 5000).1, 5000);
    }

    #[test]
    fn guesses_are_taken_as_often_as_the_distributions_overlap() {
        let (target, draft) = ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]);
        let share = |row: &[f32], id: usize| {
            f64::from(row[id]).exp() / row.iter().map(|&x| f64::from(x).exp()).sum::<f64>()
        };
        let overlap: f64 = (0..3).map(|id| share(&target, id).min(share(&draft, id))).sum();
        let draws = 20_000.0;
        let (_, taken) = counts(&target, &draft, &Pipeline::draw(), 20_000);
        let deviation = (draws * overlap * (1.0 - overlap)).sqrt();
        // A refused guess cannot come back from the residual: p has less of it than q.
        assert!((f64::from(taken) - draws * overlap).abs() < 5.0 * deviation, "{taken}");
    }

    #[test]
    fn certain_guesses_leave_a_seeds_tokens_as_they_are() {
        let row = [1.0, 0.0, 2.0, -1.0];
        for pipeline in [Pipeline::draw(), Pipeline::greedy()] {
            let (mut one, mut other) = (Workspace::new(4), Workspace::new(4));
            for seed in 0..200 {
                let step = Step::new(DrawKey::new(seed));
                let plain = pipeline.select(&row, &step, &mut one).expect("a token").token;
                let guess = Guess::certain(seed as u32 % 4);
                let chosen = pipeline.select_with_guess(&row, &step, &guess, &mut other);
                assert_eq!(chosen.expect("a token").token, plain);
            }
        }
    }
}
