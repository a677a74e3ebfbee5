//! Sequence bias: makes whole sequences of tokens more or less likely.

use alloc::format;
use alloc::vec::Vec;

use crate::candidates::Candidates;
use crate::data::{Arguments, Described, PipelineError, SettingError, Settings};
use crate::error::StageError;
use crate::sequence::Window;
use crate::stage::{Role, Stage, StepContext};

/// Adds a bias to the last token of a sequence whenever the text ends in the tokens before it:
/// `s' = s + Σ biases` over the sequences that the token would complete.
///
/// A sequence of one token always counts. Of a sequence given twice the last bias counts; the
/// biases of different sequences that end in the same token add up. A bias of −∞ is a ban.
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
/// Hugging Face's rule, with its order of summation. llama.cpp and vLLM have a bias for single
/// tokens: [`LogitBias`](crate::LogitBias).
///
/// # Complexity
///
/// The summed length of the sequences, less where they do not match; a copy of the row only if one
/// matches.
///
/// # Example
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let bias = SequenceBias::new([(vec![3, 1], 2.0), (vec![0], -0.5)])?;
/// let history = History::new(&[7, 3]);
/// let step = Step::new(DrawKey::new(0)).history(&history);
/// let mut workspace = Workspace::new(8);
/// let pipeline = Pipeline::greedy().then(bias);
/// let candidates = pipeline.process(&[1.0; 8], &step, &mut workspace)?;
/// assert_eq!([candidates.get(0), candidates.get(1), candidates.get(3)], [Some(0.5), Some(3.0), Some(1.0)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
///
/// Hugging Face transformers 5.23, `SequenceBiasLogitsProcessor`.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceBias {
    /// Those with the same last token stand together, in the order in which they are summed.
    biases: Vec<Biased>,
    /// Those of the constructor, in its order, on which that of summation depends.
    given: Vec<(Vec<u32>, f32)>,
    window: Window,
}

#[derive(Debug, Clone, PartialEq)]
struct Biased {
    prefix: Vec<u32>,
    last: u32,
    bias: f32,
}

impl SequenceBias {
    /// These sequences, each with its bias, rounded to `f32` as the engines do.
    ///
    /// # Errors
    ///
    /// [`SettingError`] names the first offender.
    pub fn new(biases: impl IntoIterator<Item = (Vec<u32>, f64)>) -> Result<Self, SettingError> {
        let mut distinct: Vec<Biased> = Vec::new();
        for (index, (mut prefix, bias)) in biases.into_iter().enumerate() {
            let rounded = bias as f32;
            if !(rounded.is_finite() || bias == f64::NEG_INFINITY) {
                return Err(SettingError::new("biases", bias, "finite, or -inf for a ban")
                    .called(&format!("sequence_bias[{index}]")));
            }
            let last = prefix.pop().ok_or_else(|| {
                SettingError::new("biases", Vec::<u32>::new(), "a sequence of at least one token")
                    .called(&format!("sequence_bias[{index}]"))
            })?;
            match distinct.iter_mut().find(|b| b.last == last && b.prefix == prefix) {
                Some(earlier) => earlier.bias = rounded,
                None => distinct.push(Biased { prefix, last, bias: rounded }),
            }
        }
        if distinct.is_empty() {
            return Err(SettingError::new(
                "biases",
                Vec::<u32>::new(),
                "a list of at least one sequence (leave the stage out for none)",
            )
            .called("sequence_bias"));
        }
        let whole = |b: &Biased| ([b.prefix.as_slice(), &[b.last]].concat(), b.bias);
        let given = distinct.iter().map(whole).collect();
        Ok(Self { biases: in_order_of_summation(distinct), given, window: Window::ALL })
    }

    /// In which part of the text the beginning of a sequence is looked for.
    #[must_use]
    pub fn window(self, window: Window) -> Self {
        Self { window, ..self }
    }
}

/// Single tokens first, then length by length as the lengths first appear: the order in which
/// Hugging Face adds, which decides the last digit of a sum.
fn in_order_of_summation(biases: Vec<Biased>) -> Vec<Biased> {
    let mut lengths: Vec<usize> = alloc::vec![0];
    for biased in &biases {
        if !lengths.contains(&biased.prefix.len()) {
            lengths.push(biased.prefix.len());
        }
    }
    let mut biases = biases;
    biases.sort_by_key(|b| (b.last, lengths.iter().position(|&len| len == b.prefix.len())));
    biases
}

impl Stage for SequenceBias {
    fn name(&self) -> &'static str {
        "sequence_bias"
    }

    fn settings(&self) -> Option<Settings> {
        let settings = Settings::new(self.name()).with("biases", self.given.clone());
        Some(settings.option("window", self.window, Window::ALL))
    }

    fn role(&self) -> Role {
        Role::Edit
    }

    fn apply(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<(), StageError> {
        let text = step.history()?.within(self.window);
        let sums = self.biases.chunk_by(|a, b| a.last == b.last).filter_map(|group| {
            let complete = group.iter().filter(|biased| text.ends_with(&biased.prefix));
            let sum = complete.fold(None, |sum: Option<f32>, b| Some(sum.unwrap_or(0.0) + b.bias));
            sum.map(|sum| (group[0].last, sum))
        });
        candidates.edit_with(sums, |_, bias, score| score + bias)
    }
}

impl Described for SequenceBias {
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let biases: Vec<(Vec<u32>, f64)> = arguments.required("biases")?;
        let window = arguments.optional("window", Window::ALL)?;
        Ok(arguments.built(Self::new(biases))?.window(window))
    }
}
