//! Temperature: flattens or sharpens the whole distribution.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Divides every score by `T`: `s' = fl(s / T)`.
///
/// For `T → 0` the distribution tends to the argmax, for `T → ∞` to the uniform one; `T = 1`
/// changes nothing. `T = 0` is not a temperature: use [`Greedy`](crate::Greedy).
///
/// Where `T` is so small, or the scores so large, that the best score over `T` is beyond `f32`, the
/// limit is reached: the best candidates, which are several if their scores are equal, keep their
/// scores, and all others are banned.
///
/// # Ties
///
/// Division may round two different logits to one score. The order remembers which was larger,
/// so no temperature changes who is first; [`TiePolicy::KeepAll`](crate::TiePolicy::KeepAll), which
/// compares scores as Hugging Face does, sees a tie.
///
/// # NaN and infinities
///
/// Passed on. A finite score that `T` pushes to −∞ is banned, unless it is the best one.
///
/// # Differences
///
/// Hugging Face and vLLM divide before the cuts, llama.cpp after them, which keeps different
/// tokens. Hugging Face refuses 0; vLLM takes anything below 10⁻⁵ for greedy; llama.cpp keeps the
/// first maximum for `T ≤ 0`. A score that overflows is an error or NaN in all three.
///
/// # Complexity
///
/// Below 1 the search for the best score, which the next cut or selector would make; the division
/// happens in whichever pass reads the scores.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::draw().then(Temperature::new(0.5)?);
/// let mut workspace = Workspace::new(2);
/// let step = Step::new(DrawKey::new(0)).ask(Ask { probability: true, ..Ask::token() });
/// let chosen = pipeline.select(&[1.0, 0.0], &step, &mut workspace)?;
/// let of_first = 1.0 / (1.0 + (-2.0_f64).exp());
/// let p = chosen.probability.unwrap();
/// assert!((p - of_first).abs() < 1e-6 || (p - (1.0 - of_first)).abs() < 1e-6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `TemperatureLogitsWarper`; llama.cpp `llama_sampler_temp`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    temperature: f32,
}

impl Temperature {
    /// A temperature, rounded to `f32` as the engines do.
    ///
    /// # Errors
    ///
    /// [`SettingError`], also when the rounded value is 0 or infinite.
    pub fn new(temperature: f64) -> Result<Self, SettingError> {
        let rounded = temperature as f32;
        if !(rounded > 0.0 && rounded < f32::INFINITY) {
            return Err(SettingError::new(
                "temperature",
                temperature,
                "above 0 and finite (for the most likely token, decode greedily)",
            ));
        }
        Ok(Self { temperature: rounded })
    }
}

impl Stage for Temperature {
    fn name(&self) -> &'static str {
        "temperature"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("temperature", self.temperature))
    }

    fn role(&self) -> Role {
        Role::Scale
    }

    fn is_idle(&self) -> bool {
        self.temperature == 1.0
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.divide(self.temperature)
    }
}

impl Described for Temperature {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let temperature = arguments.required("temperature")?;
        arguments.built(Self::new(temperature))
    }
}
