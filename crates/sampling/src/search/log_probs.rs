//! From a row of logits to the log-probabilities that a search adds up.

use alloc::vec::Vec;

use crate::candidates::{Buffers, Candidates};
use crate::error::StageError;
use crate::kernels::{ln, rows};
use crate::logits::Logits;
use crate::pipeline::{SelectError, Workspace};
use crate::sequence::{DrawKey, Draws};

/// The log-softmax of a row, in single precision, into `out`.
///
/// Rounded where torch rounds on a CPU: the mass to single precision ahead of the logarithm, which
/// for a token of probability near 1 is an error of 6·10⁻⁸ in a small number. A search adds such
/// numbers up, and Hugging Face's scores have that error in them.
///
/// A row without a distribution (NaN, +∞, or nothing but −∞) makes all of `out` NaN, as torch has
/// it: `remove_invalid_values` may mend that.
///
/// # Errors
///
/// [`SelectError::RowLength`], and of a list as [`Pipeline::select`](crate::Pipeline::select).
pub fn log_softmax<'r>(
    logits: impl Into<Logits<'r>>,
    workspace: &mut Workspace,
    out: &mut Vec<f32>,
) -> Result<(), SelectError> {
    let (logits, vocab_size) = (logits.into(), workspace.vocab_size());
    let mut wide = Vec::new();
    let logits = if let Logits::F32(row) = logits {
        Logits::F32(row).check(vocab_size)?;
        row
    } else {
        logits.widen(vocab_size, &mut wide)?;
        wide.as_slice()
    };
    out.clear();
    match Normaliser::of(&mut whole(logits, &mut workspace.buffers)) {
        Ok(normaliser) => normaliser.map_onto(logits, out),
        Err(_) => out.resize(logits.len(), f32::NAN),
    }
    Ok(())
}

/// All tokens of a row, as candidates of a step that draws nothing.
pub(super) fn whole<'s>(logits: &'s [f32], buffers: &'s mut Buffers) -> Candidates<'s> {
    let draws = Draws::new(DrawKey::new(0));
    Candidates::of(Logits::F32(logits), logits.len(), draws, buffers)
}

/// What takes the logits of a row to their log-softmax: never the higher of two to the lower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normaliser {
    best: f32,
    log_mass: f32,
}

impl Normaliser {
    /// Refuses a row without a distribution.
    pub(super) fn of(candidates: &mut Candidates<'_>) -> Result<Self, StageError> {
        let (best, mass) = (candidates.max()?, candidates.mass()?);
        let log_mass = ln(f64::from(mass.as_f64() as f32)) as f32;
        Ok(Self { best, log_mass })
    }

    /// The log-softmax of `logits`, behind what `out` has.
    pub(super) fn map_onto(self, logits: &[f32], out: &mut Vec<f32>) {
        let Self { best, log_mass } = self;
        rows::map_onto(
            logits,
            #[inline(always)]
            move |logit| (logit - best) - log_mass,
            out,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_normalised_or_nan() {
        let mut workspace = Workspace::new(4);
        let mut out = Vec::new();
        log_softmax(&[1.0, 3.0, f32::NEG_INFINITY, 2.0], &mut workspace, &mut out).expect("a row");
        let norm = (1.0_f64.exp() + 3.0_f64.exp() + 2.0_f64.exp()).ln();
        for (got, logit) in out.iter().zip([1.0, 3.0, f64::NEG_INFINITY, 2.0]) {
            assert!(
                *got == (logit - norm) as f32 || (f64::from(*got) - (logit - norm)).abs() < 5e-7
            );
        }
        for bad in [f32::NAN, f32::INFINITY] {
            log_softmax(&[1.0, bad, 0.0, 0.0], &mut workspace, &mut out).expect("a row");
            assert!(out.iter().all(|x| x.is_nan()));
        }
        assert!(log_softmax(&[1.0], &mut workspace, &mut out).is_err());
    }
}
