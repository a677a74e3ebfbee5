//! Logits in less precision than the model computed them in.

use half::{bf16, f16};
use serde::{Deserialize, Serialize};
use taper_models::{LanguageModel, ModelError, Outputs, State, Work};

/// To which precision each row of logits is rounded before anything looks at it.
///
/// A model that computes in bf16 has rows in bf16, in which neighbours near 16 are 0.125 apart. That is
/// where equal logits come from in practice; rounding shows on any model what they do.
///
/// ```
/// use taper_runner::LogitsDtype;
///
/// let mut row = [16.0, 16.04, 15.9];
/// LogitsDtype::Bf16.round(&mut row);
/// assert_eq!(row, [16.0, 16.0, 15.875]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogitsDtype {
    /// Rows stay as they are.
    #[default]
    F32,
    /// IEEE half precision: 11 bits; beyond ±65504 infinite.
    F16,
    /// bfloat16: 8 bits.
    Bf16,
}

impl LogitsDtype {
    /// Its name on the command line and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// The type of a [name](Self::name).
    pub fn named(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::Bf16].into_iter().find(|dtype| dtype.name() == name)
    }

    /// Rounds a row to the nearest numbers of this type, ties to even.
    pub fn round(self, row: &mut [f32]) {
        match self {
            Self::F32 => {}
            Self::F16 => row.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32()),
            Self::Bf16 => row.iter_mut().for_each(|x| *x = bf16::from_f32(*x).to_f32()),
        }
    }

    /// A pass of the model whose logits come out rounded.
    pub(crate) fn forward(
        self,
        model: &dyn LanguageModel,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError> {
        model.forward(state, work, outputs)?;
        if self != Self::F32 {
            (0..work.len()).for_each(|i| self.round(outputs.logits_mut(i)));
        }
        Ok(())
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}
