//! The way of some tokens through the stages, and what the stages did to scores without removing any.

use taper_sampling::{Pipeline, SelectError, Step, Workspace};

use crate::error::RunError;
use crate::outcome::{Moved, MovedToken};

/// Tokens of a [`Moved`] that are named.
const NAMED: usize = 5;

/// What running the stages one by one shows.
pub(crate) struct Paths {
    /// For each token asked for, its rank in the model's row and after each stage.
    pub(crate) ranks: Vec<Vec<Option<usize>>>,
    /// By stage.
    pub(crate) moved: Vec<Option<Shifts>>,
}

/// The tokens whose score a stage changed, by how much, the most first.
pub(crate) type Shifts = Vec<(u32, f64)>;

impl Paths {
    /// Runs the stages again for every look: a pipeline is a function of row, history, memory and key.
    pub(crate) fn of(
        pipeline: &Pipeline,
        logits: &[f32],
        step: &Step<'_>,
        tokens: &[u32],
        workspace: &mut Workspace,
    ) -> Result<Self, SelectError> {
        let mut ranks = vec![Vec::new(); tokens.len()];
        let mut moved = Vec::new();
        let mut before: Option<Vec<f32>> = None;
        for count in 0..=pipeline.stages().len() {
            let mut left = pipeline.process_first(count, logits, step, workspace)?;
            let mut scores = vec![f32::NEG_INFINITY; left.vocab_size()];
            left.for_each(|id, score| scores[id as usize] = score);
            for (&token, ranks) in tokens.iter().zip(&mut ranks) {
                let can_be_chosen =
                    scores.get(token as usize).is_some_and(|&x| x > f32::NEG_INFINITY);
                let rank = left.rank(token).ok().flatten();
                ranks.push(rank.filter(|_| can_be_chosen));
            }
            moved.extend(before.map(|before| shifts(&before, &scores)));
            before = Some(scores);
        }
        Ok(Self { ranks, moved })
    }
}

/// The scores that a stage changed; `None` for one that changed none, or all, as a temperature does.
fn shifts(before: &[f32], after: &[f32]) -> Option<Shifts> {
    let pairs =
        || before.iter().zip(after).zip(0..).filter(|((a, b), _)| a.is_finite() && b.is_finite());
    let mut changed: Shifts = pairs()
        .filter(|((a, b), _)| a != b)
        .map(|((&a, &b), id)| (id, f64::from(b) - f64::from(a)))
        .collect();
    // A division leaves a score of 0 where it is.
    let all = pairs().all(|((&a, &b), _)| a != b || a == 0.0);
    changed.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    (!changed.is_empty() && !all).then_some(changed)
}

/// The same with the texts of the first.
pub(crate) fn named(
    shifts: &Shifts,
    text: impl Fn(u32) -> Result<String, RunError>,
) -> Result<Moved, RunError> {
    let one = |&(token, by): &(u32, f64)| Ok(MovedToken { token, text: text(token)?, by });
    let tokens = shifts.iter().take(NAMED).map(one).collect::<Result<_, RunError>>()?;
    Ok(Moved { count: shifts.len(), tokens })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_penalty_shows_and_a_temperature_does_not() {
        let row = [2.0, 0.0, -1.0];
        assert_eq!(shifts(&row, &[1.0, 0.0, -0.5]), None);
        assert_eq!(shifts(&row, &row), None);
        assert_eq!(shifts(&row, &[2.0, 0.0, -1.5]), Some(vec![(2, -0.5)]));
        assert_eq!(shifts(&row, &[0.5, 0.0, -2.0]), None);
        // What was removed was not moved.
        assert_eq!(shifts(&row, &[2.0, f32::NEG_INFINITY, -0.5]), Some(vec![(2, 0.5)]));
    }
}
