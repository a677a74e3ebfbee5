//! What an experiment is to be: prompts, settings and seeds, as a TOML file says it.

mod parse;

use serde::Serialize;

use crate::knobs::{KnobError, Knobs};
use crate::told::shortened;

/// An experiment: each prompt under each setting with each seed.
///
/// ```
/// use taper_runner::experiment::Spec;
///
/// let spec = Spec::parse(r#"
///     title = "How temperature changes a tale"
///     prompts = ["Once upon a time", { name = "lighthouse", text = "The old lighthouse" }]
///     runs = 5
///     control = true
///
///     [base]
///     do_sample = true
///     max_new_tokens = 20
///
///     [grid]
///     temperature = [0.5, 1.0]
///     top_p = [0.9, 1.0]
/// "#)?;
/// // The greedy control runs once for each prompt.
/// assert_eq!(spec.count(), 2 * (1 + 4 * 5));
/// # Ok::<(), taper_runner::experiment::SpecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Spec {
    /// What it is called.
    pub title: String,
    /// What it is about, in Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What to continue.
    pub prompts: Vec<PromptSpec>,
    /// The seeds.
    pub seeds: Seeds,
    /// Runs for each seed. The first has the seed itself, further ones seeds that are derived from it.
    pub runs: usize,
    /// Whether each prompt is continued greedily too, for the others to be held against: under Hugging
    /// Face's rules, with the base's limits and without its other knobs.
    pub control: bool,
    /// Knobs that all settings begin with.
    #[serde(skip_serializing_if = "Knobs::is_empty")]
    pub base: Knobs,
    /// Values of knobs: each combination of them is a setting. The last knob changes fastest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grid: Vec<Axis>,
    /// Settings one by one, after those of the grid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingSpec>,
    /// How many of the model's best tokens to record at each step.
    pub top_logprobs: usize,
    /// Whether to record what each stage left.
    pub trace: bool,
    /// Whether to record the tokens that could be drawn at each step, with their log-probabilities; not
    /// for beams, which have none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept_ids: bool,
    /// How many times to draw each step again, to see what else would have come.
    pub redraws: usize,
    /// What to show when the runs are done.
    pub tables: Vec<Table>,
}

/// A prompt of a [`Spec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptSpec {
    /// What to call it; otherwise its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub text: PromptText,
}

/// The content of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PromptText {
    /// A text to continue.
    Text(String),
    /// The same as tokens.
    Ids(Vec<u32>),
    /// What a user says, through the model's own chat template.
    Chat(String),
}

/// The seeds of a [`Spec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Seeds {
    /// These. One that is there several times has as many runs, each with a number of its own: they
    /// must come out alike.
    List(Vec<u64>),
    /// So many, one after the other.
    Range {
        /// The first.
        first: u64,
        /// How many.
        count: usize,
    },
}

/// A knob of the grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axis {
    /// Its name.
    pub knob: String,
    /// What it is turned to.
    pub values: Vec<serde_json::Value>,
}

/// A setting of the list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingSpec {
    /// What to call it; otherwise its knobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its knobs, besides the base's.
    pub knobs: Knobs,
}

/// What to show of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Table {
    /// A line of numbers for each setting.
    Summary,
    /// A line of numbers for each prompt and setting.
    Prompts,
    /// How much the texts of two settings have in common, for each pair.
    Jaccard,
    /// The differences of each setting from the first, over the same prompts and seeds.
    Paired,
    /// How many tokens were kept at each of the first 20 steps, for each setting.
    Kept,
    /// The texts, the most frequent first, for each prompt and setting.
    Texts,
    /// The tokens of the first run of each setting: probabilities, alternatives, redraws.
    Steps,
}

/// Why a text is no spec.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It is no TOML.
    #[error("line {line}: {message}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Why.
        message: String,
    },
    /// A key that there is not.
    #[error("{}: there is no such key{}", shortened(at), .similar.map_or_else(String::new, |key| format!("; there is a similar one: '{key}'")))]
    UnknownKey {
        /// Where, as a dotted path.
        at: String,
        /// The key that was perhaps meant.
        similar: Option<&'static str>,
    },
    /// A key that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value of the wrong kind, or out of its range.
    #[error("{at} is {value}; it must be {domain}")]
    Value {
        /// Where, as a dotted path.
        at: String,
        /// What stands there.
        value: String,
        /// What may stand there.
        domain: &'static str,
    },
    /// There would be nothing to run.
    #[error("{at} is empty, so that there is nothing to run; {instead}")]
    Empty {
        /// Where, as a dotted path.
        at: String,
        /// What would be right.
        instead: &'static str,
    },
    /// A knob cannot be turned so.
    #[error("{at}: {source}")]
    Knob {
        /// In which part of the spec.
        at: String,
        /// Why.
        source: KnobError,
    },
    /// Two things have one name.
    #[error("two {what} are called {:?}; name them apart", shortened(name))]
    Twice {
        /// What they are.
        what: &'static str,
        /// Their name.
        name: String,
    },
    /// More than can be laid out.
    #[error("there are {count} {what}; at most {most} can be laid out, so divide the spec")]
    TooMany {
        /// What they are.
        what: &'static str,
        /// How many.
        count: usize,
        /// The most that there may be.
        most: usize,
    },
}

/// Settings of a spec: each is held, a kilobyte or two, while it runs.
const MOST_SETTINGS: usize = 100_000;

/// Seeds of a spec, with those that are derived from them.
const MOST_SEEDS: usize = 10_000_000;

/// Draws of one step, none of which looks whether the run is to stop.
pub const MOST_REDRAWS: usize = 1_000_000;

impl Table {
    /// Their names in a spec.
    pub const NAMES: [&str; 7] =
        ["summary", "prompts", "jaccard", "paired", "kept", "texts", "steps"];

    /// The table of a name.
    pub fn named(name: &str) -> Option<Self> {
        use Table::{Jaccard, Kept, Paired, Prompts, Steps, Summary, Texts};
        let all = [Summary, Prompts, Jaccard, Paired, Kept, Texts, Steps];
        Self::NAMES.iter().zip(all).find(|(known, _)| **known == name).map(|(_, table)| table)
    }
}

impl Seeds {
    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Self::List(seeds) => seeds.len(),
            Self::Range { count, .. } => *count,
        }
    }

    /// The seeds, one by one.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let (list, first, count) = match self {
            Self::List(seeds) => (&seeds[..], 0, 0),
            Self::Range { first, count } => (&[][..], *first, *count as u64),
        };
        list.iter().copied().chain((0..count).map(move |i| first.wrapping_add(i)))
    }
}

impl Spec {
    /// A spec of greedy continuations, to be changed field by field.
    pub fn new(
        title: impl Into<String>,
        prompts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let prompt = |text: String| PromptSpec { name: None, text: PromptText::Text(text) };
        Self {
            title: title.into(),
            about: None,
            prompts: prompts.into_iter().map(Into::into).map(prompt).collect(),
            seeds: Seeds::List(vec![1]),
            runs: 1,
            control: false,
            base: Knobs::new(),
            grid: Vec::new(),
            settings: Vec::new(),
            top_logprobs: 5,
            trace: true,
            kept_ids: false,
            redraws: 0,
            tables: vec![Table::Summary, Table::Texts],
        }
    }

    /// How many settings there are, the control among them.
    pub fn settings_count(&self) -> usize {
        let grid = self.grid.iter().map(|axis| axis.values.len());
        let grid = if self.grid.is_empty() { 0 } else { grid.fold(1, usize::saturating_mul) };
        let swept = grid.saturating_add(self.settings.len()).max(1);
        swept.saturating_add(usize::from(self.control))
    }

    /// How many runs it comes to.
    pub fn count(&self) -> usize {
        let swept = self.settings_count() - usize::from(self.control);
        let of_prompt = swept.saturating_mul(self.seeds.count()).saturating_mul(self.runs);
        let of_prompt = of_prompt.saturating_add(usize::from(self.control));
        self.prompts.len().saturating_mul(of_prompt)
    }

    /// Refuses what could not be held in memory once it is laid out.
    pub(super) fn check_size(&self) -> Result<(), SpecError> {
        let seeds = self.seeds.count().saturating_mul(self.runs);
        for (what, count, most) in [
            ("settings", self.settings_count(), MOST_SETTINGS),
            ("seeds for each setting", seeds, MOST_SEEDS),
            ("redraws of each step", self.redraws, MOST_REDRAWS),
        ] {
            if count > most {
                return Err(SpecError::TooMany { what, count, most });
            }
        }
        Ok(())
    }
}
