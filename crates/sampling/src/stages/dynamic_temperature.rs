//! Dynamic temperature: hotter where the model is in doubt.

use crate::candidates::Candidates;
use crate::kernels::ln;
use crate::kernels::special::pow;
use crate::stage::{Role, Stage, StageError, StepContext};
use crate::ties::ArgmaxTies;

/// Divides every score by `T = low + (high − low) · (H / ln n)ᵉ`, where `H` is the entropy in nats
/// and `n` the number of candidates.
///
/// `H / ln n` is 0 where one candidate has all the mass and 1 where all have the same. Where `T`
/// comes out as 0, only the best candidate is left unbanned; where it is so low that the best score
/// over it is beyond `f32`, the best and its equals, as for a [`Temperature`](crate::Temperature). A
/// single candidate is left alone.
///
/// # Ties
///
/// As for a [`Temperature`](crate::Temperature); at `T = 0`, [`ArgmaxTies`] decides which of the best
/// stays.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates have no entropy, but they count in `n`.
///
/// # Differences
///
/// llama.cpp states the range as `temperature ± dynatemp_range` with a floor of 0, in single
/// precision. Its `n` counts what top-nσ has banned, as here.
///
/// # Complexity
///
/// One pass of exponentials.
///
/// # Example
///
/// ```
/// # use taper_sampling::*;
/// let pipeline = Pipeline::draw().then(DynamicTemperature::new(0.5, 2.0, 1.0)?);
/// let mut workspace = Workspace::new(4);
/// // Two equals and two banned: H / ln n = ln 2 / ln 4, and T = 1.25.
/// let logits = [5.0, 5.0, f32::NEG_INFINITY, f32::NEG_INFINITY];
/// let left = pipeline.process(&logits, &Step::new(DrawKey::new(0)), &mut workspace)?;
/// assert!((left.get(0).unwrap() - 4.0).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// kalomaze, *Dynamic Temperature Sampling*, 2023; llama.cpp `llama_sampler_temp_ext`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicTemperature {
    low: f64,
    high: f64,
    exponent: f64,
    ties: ArgmaxTies,
}

/// Why a [`DynamicTemperature`] was refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum DynamicTemperatureError {
    /// `low < 0`, NaN or infinite.
    #[error("the lower temperature is {0}; it must be at least 0 and finite")]
    Low(f64),
    /// `high ≤ 0`, `high < low`, NaN or infinite.
    #[error(
        "the upper temperature is {high}; it must be above 0, at least the lower one ({low}) and finite"
    )]
    High {
        /// The upper temperature.
        high: f64,
        /// The lower one.
        low: f64,
    },
    /// `exponent < 0`, NaN or infinite.
    #[error("dynatemp_exponent is {0}; it must be at least 0 and finite")]
    Exponent(f64),
}

impl DynamicTemperature {
    /// The temperatures at no entropy and at the largest, rounded to `f32` as the engine does,
    /// and the exponent by which it rises from one to the other (1 is linear).
    ///
    /// # Errors
    ///
    /// A variant for each of the three that is out of range.
    pub fn new(low: f64, high: f64, exponent: f64) -> Result<Self, DynamicTemperatureError> {
        let [low_f32, high_f32, exponent_f32] = [low, high, exponent].map(|x| x as f32);
        if !(0.0..f32::INFINITY).contains(&low_f32) {
            return Err(DynamicTemperatureError::Low(low));
        }
        if !(high_f32 > 0.0 && high_f32 >= low_f32 && high_f32 < f32::INFINITY) {
            return Err(DynamicTemperatureError::High { high, low });
        }
        if !(0.0..f32::INFINITY).contains(&exponent_f32) {
            return Err(DynamicTemperatureError::Exponent(exponent));
        }
        let [low, high, exponent] = [low_f32, high_f32, exponent_f32].map(f64::from);
        Ok(Self { low, high, exponent, ties: ArgmaxTies::default() })
    }

    /// Who is the best at `T = 0`, when several are.
    #[must_use]
    pub fn ties(self, ties: ArgmaxTies) -> Self {
        Self { ties, ..self }
    }
}

impl Stage for DynamicTemperature {
    fn name(&self) -> &'static str {
        "dynamic_temperature"
    }

    fn role(&self) -> Role {
        Role::Scale
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        if candidates.len() <= 1 {
            return Ok(());
        }
        let share = candidates.entropy()? / ln(candidates.len() as f64);
        let temperature = self.low + (self.high - self.low) * pow(share, self.exponent);
        if temperature as f32 > 0.0 {
            candidates.divide(temperature as f32)
        } else {
            candidates.ban_all_but_best(self.ties)
        }
    }
}
