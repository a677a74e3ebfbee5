//! Many rows at once: the same tokens as one by one, on as many threads as there are workspaces.

use alloc::vec::Vec;

use crate::ask::Step;
use crate::logits::Logits;
use crate::pipeline::Pipeline;
use crate::select_error::SelectError;
use crate::selection::Selection;
use crate::workspace::Workspace;

/// The outcome of a step without what borrows the workspace; see [`Selection`] for the fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub token: u32,
    /// Its log-probability in the untouched row.
    pub logprob: Option<f64>,
    /// Its place in the untouched row, from 1.
    pub rank: Option<usize>,
    /// The entropy of the untouched row, in nats.
    pub entropy: Option<f64>,
    /// Its share of what the selector saw.
    pub probability: Option<f64>,
    /// How many tokens the selector could have chosen.
    pub kept: Option<usize>,
}

impl From<&Selection<'_>> for Choice {
    fn from(selection: &Selection<'_>) -> Self {
        let &Selection { token, logprob, rank, entropy, probability, kept, .. } = selection;
        Self { token, logprob, rank, entropy, probability, kept }
    }
}

impl Pipeline {
    /// One token for each row, each with the history, memory and key of its own step.
    ///
    /// With the `std` feature there is a thread for each workspace, which takes the next row when it is
    /// done with one; otherwise the first workspace serves them all. A row yields the token it would
    /// yield alone, whatever its neighbours and the number of workspaces are; a row that is refused is
    /// refused alone.
    ///
    /// ```
    /// use taper_sampling::*;
    /// let pipeline = Pipeline::draw().then(Temperature::new(0.7)?);
    /// let rows = [[1.0, 2.0, 0.5], [0.3, 0.2, 0.1]];
    /// let step = |row| Step::new(DrawKey::new(7).stream(row));
    /// let batch = [(&rows[0][..], step(0)), (&rows[1][..], step(1))];
    /// let mut workspaces = [Workspace::new(3), Workspace::new(3)];
    /// let tokens = pipeline.select_batch(&batch, &mut workspaces);
    /// assert_eq!(tokens.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Per row, as [`Pipeline::select`]; without a workspace every row is refused with
    /// [`SelectError::NoWorkspace`].
    pub fn select_batch<'r, L: Into<Logits<'r>> + Copy + Sync>(
        &self,
        rows: &[(L, Step<'_>)],
        workspaces: &mut [Workspace],
    ) -> Vec<Result<Choice, SelectError>> {
        let mut choices: Vec<_> = rows.iter().map(|_| Err(SelectError::NoWorkspace)).collect();
        self.fill(rows, workspaces, &mut choices);
        choices
    }

    #[cfg(feature = "std")]
    fn fill<'r, L: Into<Logits<'r>> + Copy + Sync>(
        &self,
        rows: &[(L, Step<'_>)],
        workspaces: &mut [Workspace],
        choices: &mut [Result<Choice, SelectError>],
    ) {
        // A core may be slower than another, or busy: whoever is done takes the next row.
        let left = std::sync::Mutex::new(rows.iter().zip(choices));
        let next = || left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
        let work = |workspace: &mut Workspace| {
            while let Some((row, choice)) = next() {
                *choice = self.select_one(row, workspace);
            }
        };
        // The caller's thread is one of them; a batch of one starts no other.
        let threads = workspaces.len().min(rows.len());
        if let Some((own, others)) = workspaces[..threads].split_first_mut() {
            std::thread::scope(|scope| {
                for workspace in others {
                    scope.spawn(|| work(workspace));
                }
                work(own);
            });
        }
    }

    #[cfg(not(feature = "std"))]
    fn fill<'r, L: Into<Logits<'r>> + Copy + Sync>(
        &self,
        rows: &[(L, Step<'_>)],
        workspaces: &mut [Workspace],
        choices: &mut [Result<Choice, SelectError>],
    ) {
        let Some(workspace) = workspaces.first_mut() else { return };
        for (row, choice) in rows.iter().zip(choices) {
            *choice = self.select_one(row, workspace);
        }
    }

    fn select_one<'r, L: Into<Logits<'r>> + Copy>(
        &self,
        (row, step): &(L, Step<'_>),
        workspace: &mut Workspace,
    ) -> Result<Choice, SelectError> {
        self.select_from((*row).into(), step, workspace).map(|selection| Choice::from(&selection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ask, DrawKey, Draws, Purpose, TopK, TopP};
    use alloc::vec;

    #[test]
    fn a_batch_is_its_rows_one_by_one() {
        let mut series = Draws::new(DrawKey::new(3)).series(Purpose::Custom(0));
        let mut rows: Vec<Vec<f32>> = (0..13_u64)
            .map(|r| (0..50).map(|i| (series.bits(r * 50 + i) >> 40) as f32 / 1e6).collect())
            .collect();
        rows[4][7] = f32::NAN;
        let pipeline = Pipeline::draw().then(TopK::new(20).unwrap()).then(TopP::new(0.9).unwrap());
        let ask = Ask { logprob: true, probability: true, kept: true, ..Ask::token() };
        let batch: Vec<(&[f32], Step<'_>)> = (0..)
            .zip(&rows)
            .map(|(i, row)| (row.as_slice(), Step::new(DrawKey::new(1).stream(i)).ask(ask)))
            .collect();
        let mut workspace = Workspace::new(50);
        let alone: Vec<_> =
            batch.iter().map(|row| pipeline.select_one(row, &mut workspace)).collect();
        let text = |choices: &[Result<Choice, SelectError>]| alloc::format!("{choices:?}");
        for threads in [1, 2, 5, 20] {
            let mut workspaces: Vec<_> = (0..threads).map(|_| Workspace::new(50)).collect();
            assert_eq!(text(&pipeline.select_batch(&batch, &mut workspaces)), text(&alone));
        }
        assert!(alone[4].is_err() && alone.iter().filter(|c| c.is_err()).count() == 1);
        assert_eq!(pipeline.select_batch(&batch[..0], &mut [Workspace::new(50)]), vec![]);
        let refused = pipeline.select_batch(&batch[..2], &mut []);
        assert_eq!(refused, vec![Err(SelectError::NoWorkspace), Err(SelectError::NoWorkspace)]);
    }
}
