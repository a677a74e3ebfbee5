//! Logit bias: a number added to the score of single tokens.

use alloc::format;
use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, Setting, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};

/// Adds a bias to each token given: `s' = s + bias`. −∞ is a ban.
///
/// # Ties
///
/// An edit; it may make or break them.
///
/// # NaN and infinities
///
/// Passed on; −∞ added to +∞ is NaN.
///
/// # Differences
///
/// The Chat Completions API and vLLM limit biases to ±100; here, and in llama.cpp, any number will
/// do.
/// llama.cpp adds up the biases of a token that is named twice; here that is refused. Sequences
/// have [`SequenceBias`](crate::SequenceBias).
///
/// # Complexity
///
/// The number of biases, and a copy of the row if none was made yet.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let pipeline = Pipeline::greedy().then(LogitBias::new([(0, 2.5), (2, f64::NEG_INFINITY)])?);
/// let step = Step::new(DrawKey::new(0));
/// assert_eq!(pipeline.select(&[1.0, 3.0, 9.0], &step, &mut Workspace::new(3))?.token, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// The Chat Completions API, `logit_bias`; llama.cpp `llama_sampler_logit_bias`; vLLM 0.33
/// `LogitBiasLogitsProcessor`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitBias {
    /// Ascending by token.
    biases: Vec<(u32, f32)>,
}

impl LogitBias {
    /// These tokens, each with its bias, rounded to `f32` as the engines do.
    ///
    /// # Errors
    ///
    /// [`SettingError`] names the first offender.
    pub fn new(biases: impl IntoIterator<Item = (u32, f64)>) -> Result<Self, SettingError> {
        let mut rounded = Vec::new();
        for (token, bias) in biases {
            if !((bias as f32).is_finite() || bias == f64::NEG_INFINITY) {
                return Err(SettingError::new("biases", bias, "finite, or -inf for a ban")
                    .called(&format!("logit_bias of token {token}")));
            }
            rounded.push((token, bias as f32));
        }
        if rounded.is_empty() {
            return Err(SettingError::new(
                "biases",
                Vec::<u32>::new(),
                "a list of at least one token (leave the stage out for none)",
            )
            .called("logit_bias"));
        }
        rounded.sort_unstable_by_key(|&(token, _)| token);
        if let Some(twice) = rounded.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(SettingError::new(
                "biases",
                Setting::Word(format!("given twice for token {}", twice[0].0).into()),
                "given once",
            )
            .called("logit_bias"));
        }
        Ok(Self { biases: rounded })
    }
}

impl Stage for LogitBias {
    fn name(&self) -> &'static str {
        "logit_bias"
    }

    fn settings(&self) -> Option<Settings> {
        Some(Settings::new(self.name()).with("biases", self.biases.clone()))
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn is_idle(&self) -> bool {
        self.biases.is_empty()
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.edit_with(self.biases.iter().copied(), |_, bias, score| score + bias)
    }
}

impl Described for LogitBias {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let biases: Vec<(u32, f64)> = arguments.required("biases")?;
        arguments.built(Self::new(biases))
    }
}
