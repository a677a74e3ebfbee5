//! Top-p, or nucleus sampling: the shortest prefix that holds a share `p` of the mass.

use crate::candidates::{Candidates, MassRule};
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::stage::{Role, Stage, StepContext};
use crate::ties::TiePolicy;

/// Keeps the fewest best candidates whose probabilities add up to at least `p`.
///
/// The probabilities are those of the candidates that earlier stages left, renormalised. `p = 1`
/// keeps everything, `p = 0` the best one.
///
/// # Ties
///
/// Where the boundary falls among equal scores, [`TiePolicy`] decides who of them is in the prefix;
/// [`TiePolicy::KeepAll`] takes them all.
///
/// # NaN and infinities
///
/// NaN and +∞ are refused. Banned candidates weigh nothing and are removed.
///
/// # Differences
///
/// Hugging Face and vLLM drop from the bottom while the dropped mass is at most `1 − p`, keeping
/// the highest ids among equals; llama.cpp adds up from the top until `p` is reached. The same set,
/// but for a mass that meets `p` within a rounding: [`MassRule`]. candle measures against the
/// distribution before top-k, and takes `p = 0` for "off".
///
/// # Complexity
///
/// One pass of exponentials, one over the candidates heavy enough to be the boundary, and a
/// weighted selection among them. No sort.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let logits = [0.4_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln(), 0.1_f32.ln()];
/// let step = Step::new(DrawKey::new(0)).ask(Ask { kept: true, ..Ask::token() });
/// let pipeline = Pipeline::draw().then(TopP::new(0.6)?);
/// assert_eq!(pipeline.select(&logits, &step, &mut Workspace::new(4))?.kept, Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Holtzman et al., *The Curious Case of Neural Text Degeneration*, 2020; Hugging Face
/// transformers 5.23, `TopPLogitsWarper`; llama.cpp `llama_sampler_top_p`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopP {
    p: f64,
    rule: MassRule,
    min_tokens_to_keep: usize,
    ties: TiePolicy,
}

impl TopP {
    /// Keeps the share `p`, the lowest ids among equals at the boundary.
    ///
    /// # Errors
    ///
    /// [`SettingError`] unless `0 ≤ p ≤ 1`.
    pub fn new(p: f64) -> Result<Self, SettingError> {
        if !(0.0..=1.0).contains(&p) {
            return Err(SettingError::new("p", p, "in 0..=1").called("top_p"));
        }
        Ok(Self { p, rule: MassRule::Reach, min_tokens_to_keep: 1, ties: TiePolicy::default() })
    }

    /// Who stays among equals.
    #[must_use]
    pub fn ties(self, ties: TiePolicy) -> Self {
        Self { ties, ..self }
    }

    /// What meeting `p` means.
    #[must_use]
    pub fn rule(self, rule: MassRule) -> Self {
        Self { rule, ..self }
    }

    /// Never keeps fewer candidates than this.
    #[must_use]
    pub fn min_tokens_to_keep(self, min_tokens_to_keep: usize) -> Self {
        Self { min_tokens_to_keep, ..self }
    }
}

impl Stage for TopP {
    fn name(&self) -> &'static str {
        "top_p"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name())
            .with("p", self.p)
            .policy("rule", self.rule, MassRule::Reach)
            .option("min_tokens_to_keep", self.min_tokens_to_keep, 1);
        Some(settings.policy("ties", self.ties, TiePolicy::default()))
    }

    fn role(&self) -> Role {
        Role::Cut
    }

    fn is_idle(&self) -> bool {
        self.p >= 1.0
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<(), StageError> {
        candidates.keep_mass(self.p, self.rule, self.min_tokens_to_keep, self.ties)
    }
}

impl Described for TopP {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let p = arguments.required("p")?;
        let rule = arguments.optional("rule", MassRule::Reach)?;
        let least = arguments.optional("min_tokens_to_keep", 1)?;
        let ties = arguments.optional("ties", TiePolicy::default())?;
        Ok(arguments.built(Self::new(p))?.rule(rule).min_tokens_to_keep(least).ties(ties))
    }
}
