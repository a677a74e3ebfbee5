//! Frequency and presence penalty: subtracts for every, or for any, occurrence.

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::sequence::Window;
use crate::stage::{Role, Stage, StepContext};

/// Subtracts from the score of every token that occurred `n > 0` times:
/// `s' = s − fl(fl(n · frequency) + presence)`.
///
/// Positive values discourage repetition, negative ones encourage it, 0 is off. Only generated
/// tokens count unless a [`Window`] says otherwise.
///
/// # Ties
///
/// An edit; it may make or break them.
///
/// # NaN and infinities
///
/// Passed on.
///
/// # Differences
///
/// The Chat Completions API and vLLM count the output alone, as here. llama.cpp counts whatever it was
/// told, the prompt too, in a window of the last 64 tokens, and subtracts both in one go, as here;
/// vLLM subtracts twice, which is two of these stages. Hugging Face has neither. mistral.rs puts
/// them before its repetition penalty, the others behind it.
///
/// # Complexity
///
/// The number of distinct tokens that count, or `w ln w` for a window of `w` tokens; and a copy
/// of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let mut history = History::new(&[1]);
/// history.accept(0);
/// history.accept(0);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let pipeline = Pipeline::greedy().then(OccurrencePenalty::new(0.5, 0.25)?);
/// let mut workspace = Workspace::new(3);
/// let candidates = pipeline.process(&[3.0, 2.0, 1.0], &step, &mut workspace)?;
/// assert_eq!(candidates.get(0), Some(1.75));
/// assert_eq!(candidates.get(1), Some(2.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// The Chat Completions API, `frequency_penalty` and `presence_penalty`; llama.cpp
/// `llama_sampler_penalties`; vLLM 0.33 `apply_all_penalties`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OccurrencePenalty {
    frequency: f32,
    presence: f32,
    window: Window,
}

impl OccurrencePenalty {
    /// Subtracts `frequency` per occurrence among the generated tokens, and `presence` once.
    ///
    /// # Errors
    ///
    /// [`SettingError`] names the one that is not finite in `f32`.
    pub fn new(frequency: f64, presence: f64) -> Result<Self, SettingError> {
        if !(frequency as f32).is_finite() {
            return Err(SettingError::new("frequency", frequency, "finite (0 is off)")
                .called("frequency_penalty"));
        }
        if !(presence as f32).is_finite() {
            return Err(SettingError::new("presence", presence, "finite (0 is off)")
                .called("presence_penalty"));
        }
        let (frequency, presence) = (frequency as f32, presence as f32);
        Ok(Self { frequency, presence, window: Window::GENERATED })
    }

    /// Which part of the text counts.
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { window, ..self }
    }
}

impl Stage for OccurrencePenalty {
    fn name(&self) -> &'static str {
        if self.presence == 0.0 {
            "frequency_penalty"
        } else if self.frequency == 0.0 {
            "presence_penalty"
        } else {
            "frequency_presence_penalty"
        }
    }

    fn settings(&self) -> Option<Settings> {
        let mut settings = Settings::new(self.name());
        if self.frequency != 0.0 || self.presence == 0.0 {
            settings = settings.with("frequency", self.frequency);
        }
        if self.presence != 0.0 {
            settings = settings.with("presence", self.presence);
        }
        Some(settings.option("window", self.window, Window::GENERATED))
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.with_words(|candidates, words| {
            candidates.edit_with(step.history()?.tally(self.window, words), |_, n, score| {
                score - (n as f32 * self.frequency + self.presence)
            })
        })
    }
}

impl Described for OccurrencePenalty {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let frequency = arguments.optional("frequency", 0.0)?;
        let presence = arguments.optional("presence", 0.0)?;
        let window = arguments.optional("window", Window::GENERATED)?;
        Ok(arguments.built(Self::new(frequency, presence))?.window(window))
    }
}
