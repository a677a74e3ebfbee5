//! Remove invalid values: mends NaN and infinities instead of refusing them.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Replaces NaN by 0, +∞ by `f32::MAX` and −∞ by `f32::MIN`.
///
/// The third revives bans: a token banned earlier has a very low but finite score afterwards, and
/// could be chosen if all others were as low. Bans that are to last come later.
///
/// # Ties
///
/// An edit; the replaced scores tie with each other.
///
/// # NaN and infinities
///
/// None are left.
///
/// # Differences
///
/// Hugging Face's rule, where it stands in the midst of the other edits. Other engines have none
/// and fail in their own ways; here a cut refuses what this stage would have mended.
///
/// # Complexity
///
/// One pass, and a second one if there is something to mend.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(RemoveInvalidValues);
/// let step = Step::new(DrawKey::new(0));
/// let row = [f32::NAN, f32::NEG_INFINITY, -1.0];
/// assert_eq!(pipeline.select(&row, &step, &mut Workspace::new(3))?.token, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `InfNanRemoveLogitsProcessor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RemoveInvalidValues;

impl Stage for RemoveInvalidValues {
    fn name(&self) -> &'static str {
        "remove_invalid_values"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()))
    }

    fn role(&self) -> Role {
        Role::Repair
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let mut invalid = false;
        candidates.for_each(|_, score| invalid |= !score.is_finite());
        if invalid {
            candidates.map(
                |_, score| {
                    if score.is_nan() { 0.0 } else { score.clamp(f32::MIN, f32::MAX) }
                },
            );
        }
        Ok(())
    }
}

impl Described for RemoveInvalidValues {
    fn read(_: &mut Arguments) -> Result<Self, PipelineError> {
        Ok(Self)
    }
}
