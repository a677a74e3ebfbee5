//! Dynamic temperature: hotter where the model is in doubt.

use alloc::format;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::kernels::ln;
use crate::kernels::special::pow;
use crate::stage::{Role, Stage, StepContext};
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
/// use taper_sampling::prelude::*;
///
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

impl DynamicTemperature {
    /// The temperatures at no entropy and at the largest, rounded to `f32` as the engine does,
    /// and the exponent by which it rises from one to the other (1 is linear).
    ///
    /// # Errors
    ///
    /// A variant for each of the three that is out of range.
    pub fn new(low: f64, high: f64, exponent: f64) -> Result<Self, SettingError> {
        let [low_f32, high_f32, exponent_f32] = [low, high, exponent].map(|x| x as f32);
        if !(0.0..f32::INFINITY).contains(&low_f32) {
            return Err(SettingError::new("low", low, "at least 0 and finite"));
        }
        if !(high_f32 > 0.0 && high_f32 >= low_f32 && high_f32 < f32::INFINITY) {
            return Err(SettingError::new(
                "high",
                high,
                format!("above 0, at least the lower one ({low}) and finite"),
            ));
        }
        if !(0.0..f32::INFINITY).contains(&exponent_f32) {
            return Err(SettingError::new("exponent", exponent, "at least 0 and finite")
                .called("dynatemp_exponent"));
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

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name())
            .with("low", self.low as f32)
            .with("high", self.high as f32)
            .with("exponent", self.exponent as f32);
        Some(settings.policy("ties", self.ties, ArgmaxTies::default()))
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

impl Described for DynamicTemperature {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let (low, high) = (arguments.required("low")?, arguments.required("high")?);
        let exponent = arguments.required("exponent")?;
        let ties = arguments.optional("ties", ArgmaxTies::default())?;
        Ok(arguments.built(Self::new(low, high, exponent))?.ties(ties))
    }
}
