//! The second run of a step, which tells what each stage did to the token that was chosen.

use super::ask::Allowed;
use super::definition::Pipeline;
use super::run::{allow_only, failed};
use super::{SelectError, StageTrace, Step, Trace};
use crate::candidates::{Between, Candidates};
use crate::kernels::exp;

/// What a mask that came with the step is called by traces and errors.
pub(super) const ALLOWED: &str = "allowed";

impl Pipeline {
    /// Runs the stages once more, now that the winner is known, with an account at every stage.
    ///
    /// A pipeline is a function of row, history, memory and key, so the second run repeats the
    /// first; that spares the bare step an account, but for where its cuts by mass fell.
    pub(super) fn run_traced(
        &self,
        candidates: &mut Candidates<'_>,
        step: &Step<'_>,
        winner: u32,
        trace: &mut Trace,
    ) -> Result<(), SelectError> {
        trace.clear();
        candidates.recorder().start_step(true);
        candidates.recorder().start_stage(0);
        let mut between = candidates.between_stages();
        if !matches!(step.given.allowed, Allowed::All) {
            // It has an entry like a stage, and the number behind the selector's.
            candidates.recorder().start_stage(self.stages().len() + 1);
            let entry = trace.next(ALLOWED);
            entry.received(&between);
            (entry.rank_before, entry.probability_before) = standing(candidates, winner, &between);
            allow_only(candidates, step)?;
            between = candidates.between_stages();
            entry.left(&between);
            entry.removed_mass = candidates.recorder().removed_mass();
        }
        for (index, stage) in self.stages().iter().enumerate() {
            candidates.recorder().start_stage(index);
            let entry = trace.next(stage.name());
            entry.received(&between);
            (entry.rank_before, entry.probability_before) = standing(candidates, winner, &between);
            stage
                .apply(candidates, &Self::context(step, index))
                .map_err(|source| failed(stage.name(), source))?;
            between = candidates.between_stages();
            entry.left(&between);
            entry.removed_mass = candidates.recorder().removed_mass();
            entry.ties = candidates.recorder().ties();
        }
        if self.selector().truncates() {
            let entry = trace.next(self.selector().name());
            self.trace_selector(candidates, step, winner, between, entry)?;
        }
        Ok(())
    }

    /// The account of a selector that cuts before it chooses; it chooses the winner again.
    fn trace_selector(
        &self,
        candidates: &mut Candidates<'_>,
        step: &Step<'_>,
        winner: u32,
        between: Between,
        entry: &mut StageTrace,
    ) -> Result<(), SelectError> {
        candidates.recorder().start_stage(self.stages().len());
        entry.received(&between);
        (entry.rank_before, entry.probability_before) = standing(candidates, winner, &between);
        self.choose(candidates, step)?;
        entry.left(&candidates.between_stages());
        entry.removed_mass = candidates.recorder().removed_mass();
        entry.ties = candidates.recorder().ties();
        Ok(())
    }
}

/// The winner's rank and probability among the candidates; `None` where there is no order.
fn standing(
    candidates: &mut Candidates<'_>,
    token: u32,
    between: &Between,
) -> (Option<usize>, Option<f64>) {
    let (Some((best, mass)), Some(score)) = (between.norm, candidates.get(token)) else {
        return (None, None);
    };
    let rank = candidates.rank(token).ok().flatten();
    (rank, Some(exp(f64::from(score) - f64::from(best)) / mass.as_f64()))
}
