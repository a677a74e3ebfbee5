//! Classifier-free guidance: away from what the model would say without the prompt.

use crate::candidates::{Candidates, Normaliser};
use crate::kernels::passes::{self, Gaps};
use crate::stage::{Role, Stage, StageError, StepContext};

/// Moves every log-probability away from that of a second row: `s' = scale · (c − u) + u`, where
/// `c` is the log-probability among the candidates and `u` that in the row given by
/// [`Step::unconditional`](crate::Step::unconditional).
///
/// `scale = 1` leaves the log-probabilities `c`, more emphasises the prompt, `scale = 0` gives
/// those of the second row.
///
/// # Ties
///
/// An edit; it may make or break them.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused in either row. A banned candidate stays banned; one that only the second
/// row rules out becomes NaN or +∞, for the next cut to refuse.
///
/// # Differences
///
/// Hugging Face's rule, computed on log-probabilities in `f32`; there a token at −∞ in both rows
/// becomes NaN. vLLM and llama.cpp have none any more.
///
/// # Complexity
///
/// Three passes, two of them of exponentials.
///
/// # Example
///
/// ```
/// # use taper_sampling::*;
/// let pipeline = Pipeline::greedy().then(ClassifierFreeGuidance::new(3.0)?);
/// let step = Step::new(DrawKey::new(0)).unconditional(&[2.0, 0.0]);
/// assert_eq!(pipeline.select(&[1.5, 1.0], &step, &mut Workspace::new(2))?.token, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Sanchez et al., *Stay on Topic with Classifier-Free Guidance*, arXiv 2306.17806; Hugging Face
/// transformers 5.23, `UnbatchedClassifierFreeGuidanceLogitsProcessor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassifierFreeGuidance {
    scale: f32,
}

/// Why a [`ClassifierFreeGuidance`] was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ClassifierFreeGuidanceError {
    /// `scale` is NaN or infinite, also after rounding to `f32`.
    #[error("guidance_scale is {0}; it must be finite (1 is off)")]
    OutOfRange(f64),
}

impl ClassifierFreeGuidance {
    /// Guidance of this strength.
    ///
    /// # Errors
    ///
    /// [`ClassifierFreeGuidanceError::OutOfRange`] unless `scale` is finite in `f32`.
    pub fn new(scale: f64) -> Result<Self, ClassifierFreeGuidanceError> {
        if !(scale as f32).is_finite() {
            return Err(ClassifierFreeGuidanceError::OutOfRange(scale));
        }
        Ok(Self { scale: scale as f32 })
    }
}

impl Stage for ClassifierFreeGuidance {
    fn name(&self) -> &'static str {
        "classifier_free_guidance"
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let unconditional = step
            .unconditional()
            .filter(|row| row.len() == candidates.vocab_size())
            .ok_or(StageError::NoUnconditional {
                expected: candidates.vocab_size(),
                given: step.unconditional().map_or(0, <[f32]>::len),
            })?;
        let (own, other) = (candidates.normaliser()?, normaliser(unconditional)?);
        candidates.map(|id, score| {
            let conditional = own.log_probability(score) as f32;
            let unconditional = other.log_probability(unconditional[id as usize]) as f32;
            if conditional == f32::NEG_INFINITY {
                conditional
            } else {
                self.scale * (conditional - unconditional) + unconditional
            }
        });
        Ok(())
    }
}

fn normaliser(row: &[f32]) -> Result<Normaliser, StageError> {
    let mut best = f32::NEG_INFINITY;
    for (id, &score) in row.iter().enumerate() {
        if score.is_nan() || score == f32::INFINITY {
            return Err(StageError::NotFinite { id: id as u32, score });
        }
        best = best.max(score);
    }
    if best == f32::NEG_INFINITY {
        return Err(StageError::AllMasked { candidates: row.len() });
    }
    Ok(Normaliser::of_mass(best, passes::mass(row, Gaps { best, divisor: 1.0 })))
}
