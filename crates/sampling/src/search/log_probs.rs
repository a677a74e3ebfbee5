//! From a row of logits to the log-probabilities that a search adds up.

use alloc::vec::Vec;

use crate::candidates::{Buffers, Candidates};
use crate::draws::{DrawKey, Draws};
use crate::kernels::{ln, passes};
use crate::logits::Logits;
use crate::select_error::SelectError;
use crate::stage::StageError;
use crate::workspace::Workspace;

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
/// [`SelectError::RowLength`].
pub fn log_softmax(
    logits: &[f32],
    workspace: &mut Workspace,
    out: &mut Vec<f32>,
) -> Result<(), SelectError> {
    if logits.len() != workspace.vocab_size() {
        let (row, workspace) = (logits.len(), workspace.vocab_size());
        return Err(SelectError::RowLength { row, workspace });
    }
    out.clear();
    // A failure leaves the NaNs.
    let _ = fill(logits, &mut workspace.buffers, out);
    Ok(())
}

/// As [`log_softmax`], behind what `out` has, and with the reason if there is no distribution.
pub(super) fn fill(
    logits: &[f32],
    buffers: &mut Buffers,
    out: &mut Vec<f32>,
) -> Result<(), StageError> {
    let draws = Draws::new(DrawKey::new(0));
    let mut candidates = Candidates::of(Logits::F32(logits), logits.len(), draws, buffers);
    let normalised = candidates.max().and_then(|best| Ok((best, candidates.mass()?)));
    let (best, mass) = match normalised {
        Ok(found) => found,
        Err(error) => {
            out.resize(out.len() + logits.len(), f32::NAN);
            return Err(error);
        }
    };
    let log_mass = ln(f64::from(mass.as_f64() as f32)) as f32;
    passes::map_onto(
        logits,
        #[inline(always)]
        move |logit| (logit - best) - log_mass,
        out,
    );
    Ok(())
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
