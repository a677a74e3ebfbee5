//! What the value of a knob is, and what it may be.

use super::KnobValue;
use super::words;

/// What the value of a knob is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number.
    Whole(Whole),
    /// A number.
    Number(Range),
    /// One of a few names.
    OneOf(&'static [Choice]),
    /// A token id.
    Id,
    /// Token ids.
    Ids {
        /// Whether the word `none` stands for no ids at all.
        none: bool,
        /// Whether a config may name one id without a list.
        alone: bool,
    },
    /// Sequences of token ids.
    Sequences,
    /// Sequences of token ids, each with what is added to the score.
    SequenceBias,
    /// Token ids, each with what is added to the score.
    LogitBias,
    /// A number of tokens and a factor.
    Decay,
    /// Names of llama.cpp's samplers, in order.
    Samplers,
    /// A text that is more than spaces, or for `blank` one that is not empty.
    Text {
        /// Whether it may consist of spaces.
        blank: bool,
    },
    /// Several texts; the flag is given once for each.
    Texts(Texts),
    /// A text; for the flag, the file that it is in.
    File,
    /// An object in JSON, as a text or as itself.
    Json,
}

/// A name, and what it means where that is not plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The name.
    pub name: &'static str,
    /// In a word what it means; empty where the name says it.
    pub note: &'static str,
}

/// How a text of several is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Texts {
    /// As it is.
    Plain,
    /// As it is, and not of spaces alone.
    Word,
    /// With `\n` and the like for what a shell makes hard to type; `none` takes back those before it.
    Escaped,
}

/// Which whole numbers a knob takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// The least.
    pub least: i64,
    /// The most; `None` for no limit.
    pub most: Option<u64>,
    /// What turns it off, as `0 is off`; empty if nothing does.
    pub off: &'static str,
}

/// Which numbers a knob takes. An engine may take fewer and says so later.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least, and whether that one is in it.
    pub least: Option<(f64, bool)>,
    /// The most, and whether that one is in it.
    pub most: Option<(f64, bool)>,
    /// Whether each engine has a range of its own, so that any number can be read.
    pub by_engine: bool,
    /// What the domain ends with: ` (0 is off)`.
    pub note: &'static str,
}

impl Whole {
    /// At least 1.
    pub const COUNT: Self = Self { least: 1, most: None, off: "" };
    /// At least 0, which is off.
    pub const SWITCH: Self = Self { least: 0, most: None, off: "0 is off" };
    /// Of 32 bits with a sign; the engines have ranges of their own.
    pub const ANY: Self = Self { least: i32::MIN as i64, most: Some(i32::MAX as u64), off: "" };
    /// Of 31 bits.
    pub const NATURAL: Self = Self { least: 0, most: Some(i32::MAX as u64), off: "" };
    /// Of 31 bits; 0 is off.
    pub const NATURAL_SWITCH: Self = Self { off: "0 is off", ..Self::NATURAL };
    /// Of 64 bits.
    pub const SEED: Self = Self { least: 0, most: Some(u64::MAX), off: "" };

    pub(super) fn read(&self, text: &str) -> Result<i128, String> {
        let most = self.most.unwrap_or(usize::MAX as u64);
        let range = i128::from(self.least)..=i128::from(most);
        let number = text.trim().parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("it must be {}", self.domain()))
    }

    fn domain(&self) -> String {
        let range = match self.most {
            None => format!("a whole number, at least {}", self.least),
            Some(most) => format!("a whole number in {}..={most}", self.least),
        };
        if self.off.is_empty() { range } else { format!("{range} ({})", self.off) }
    }
}

impl Range {
    /// Any number; the engines have ranges of their own.
    pub const ANY: Self = Self { by_engine: true, ..Self::finite("") };
    /// At least 0 and finite.
    pub const NOT_NEGATIVE: Self = Self { least: Some((0.0, true)), ..Self::finite("") };
    /// Above 0 and finite, in seconds; the one that is not rounded to single precision.
    pub const SECONDS: Self = Self { least: Some((0.0, false)), ..Self::finite(", in seconds") };

    pub(super) const fn finite(note: &'static str) -> Self {
        Self { least: None, most: None, by_engine: false, note }
    }

    pub(super) const fn above(least: f64, note: &'static str) -> Self {
        Self { least: Some((least, false)), ..Self::finite(note) }
    }

    pub(super) const fn from(least: f64) -> Self {
        Self { least: Some((least, true)), ..Self::finite("") }
    }

    pub(super) const fn up_to(mut self, most: f64) -> Self {
        self.most = Some((most, true));
        self
    }

    pub(super) const fn below(mut self, most: f64) -> Self {
        self.most = Some((most, false));
        self
    }

    pub(super) const fn noted(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    /// Whether the number is in it, also in the single precision in which engines have it.
    pub fn contains(&self, number: f64) -> bool {
        let single = |number: f64| f64::from(number as f32);
        let in_single = || self.within(single(number), single);
        self.by_engine
            || self.within(number, |bound| bound) && (*self == Self::SECONDS || in_single())
    }

    fn within(&self, number: f64, rounded: impl Fn(f64) -> f64) -> bool {
        let above = |(least, itself)| number > rounded(least) || itself && number == rounded(least);
        let below = |(most, itself)| number < rounded(most) || itself && number == rounded(most);
        number.is_finite() && self.least.is_none_or(above) && self.most.is_none_or(below)
    }

    pub(super) fn read(&self, text: &str) -> Result<f64, String> {
        let number = text.trim().parse().ok().filter(|&number| self.contains(number));
        number.ok_or_else(|| format!("it must be {}", self.domain()))
    }

    fn domain(&self) -> String {
        if self.by_engine {
            return "a number".to_owned();
        }
        let range = match (self.least, self.most) {
            (None, None) => "finite".to_owned(),
            (None, Some((most, true))) => format!("at most {most}"),
            (None, Some((most, false))) => format!("below {most}"),
            (Some((least, true)), None) => format!("at least {least} and finite"),
            (Some((least, false)), None) => format!("above {least} and finite"),
            (Some((least, true)), Some((most, true))) => format!("in {least}..={most}"),
            (Some((least, true)), Some((most, false))) => format!("in {least}..{most}"),
            (Some((least, false)), Some((most, true))) => {
                format!("above {least} and at most {most}")
            }
            (Some((least, false)), Some((most, false))) => {
                format!("above {least} and below {most}")
            }
        };
        range + self.note
    }
}

impl Choice {
    pub(super) const fn plain(name: &'static str) -> Self {
        Self { name, note: "" }
    }

    fn value(self) -> KnobValue {
        match (self.name.parse(), self.name.parse()) {
            (Ok(flag), _) => KnobValue::Bool(flag),
            (_, Ok(number)) => KnobValue::Whole(number),
            _ => KnobValue::Text(self.name.to_owned()),
        }
    }

    /// Whether JSON has the value as a text.
    fn is_text(self) -> bool {
        matches!(self.value(), KnobValue::Text(_))
    }
}

impl Kind {
    /// The value that a word of the command line stands for.
    ///
    /// # Errors
    ///
    /// What it must be.
    pub fn parse(&self, text: &str) -> Result<KnobValue, String> {
        Ok(match self {
            Self::Bool => KnobValue::Bool(words::boolean(text)?),
            Self::Whole(whole) => KnobValue::Whole(whole.read(text)?),
            Self::Number(range) => KnobValue::Number(range.read(text)?),
            Self::OneOf(choices) => {
                // As Python writes true and false; names alone are as they are.
                let names = choices.iter().all(|choice| choice.is_text());
                let known = choices.iter().find(|choice| {
                    let other_case = || choice.name.eq_ignore_ascii_case(text.trim());
                    choice.name == text || !names && other_case()
                });
                known.ok_or_else(|| format!("it must be {}", listed(choices)))?.value()
            }
            Self::Id => KnobValue::from(words::id(text)?),
            Self::Ids { none: true, .. } | Self::Texts(Texts::Escaped) if text == "none" => {
                KnobValue::List(Vec::new())
            }
            Self::Ids { none, alone } => {
                let read = if *none { words::eos_ids(text) } else { words::ids(text) };
                match &read?.0[..] {
                    &[id] if *alone => KnobValue::from(id),
                    ids => KnobValue::from(ids.to_vec()),
                }
            }
            Self::Sequences => KnobValue::from(words::sequences(text)?.0),
            Self::SequenceBias => KnobValue::from(words::sequence_bias(text)?.0),
            Self::LogitBias => KnobValue::from(words::logit_bias(text)?.0),
            Self::Decay => words::decay(text)?.into(),
            Self::Samplers => words::samplers(text)?.into(),
            Self::Text { blank: false } => KnobValue::Text(words::word(text)?),
            // Alone it is shown alone.
            Self::Text { blank: true } | Self::Texts(Texts::Plain) => {
                KnobValue::Text(words::stop_string(text)?)
            }
            Self::Texts(Texts::Word) => KnobValue::from(vec![words::word(text)?]),
            Self::Texts(Texts::Escaped) => KnobValue::from(vec![words::breaker(text)?]),
            // What is in it is for its knob to read, which does not quote it.
            Self::Json if text.trim_start().starts_with('{') => KnobValue::Text(text.to_owned()),
            Self::Json => return Err("it must be an object in JSON".to_owned()),
            Self::File => KnobValue::Text(text.to_owned()),
        })
    }

    /// What a value must be in the words of the command line: no knob is read from nothing, but for one
    /// that takes any text.
    pub fn domain(&self) -> String {
        self.parse("").err().unwrap_or_else(|| "it must be a text".to_owned())
    }

    /// Whether the flag may be given several times.
    pub fn repeats(&self) -> bool {
        matches!(self, Self::Texts(_) | Self::LogitBias)
    }

    /// What a value of the wrong name must be in JSON.
    pub(super) fn domain_in_json(&self) -> String {
        match self {
            Self::OneOf(choices) if choices.iter().all(|choice| choice.is_text()) => {
                let names: Vec<&str> = choices.iter().map(|choice| choice.name).collect();
                format!("it must be one of {}", names.join(", "))
            }
            kind => kind.domain(),
        }
    }

    /// What type a value has in a model's config.
    pub(crate) fn type_in_config(&self) -> String {
        let plain = match self {
            Self::Bool => "true or false",
            // Engines that take less than 0 have it for off, which here is 0.
            Self::Whole(whole) if whole.least < 0 => "a whole number, at least 0 (0 is off)",
            Self::Whole(_) => "a whole number, at least 0",
            Self::Id => "a token id",
            Self::Ids { alone: true, .. } => "a token id or a list of token ids",
            Self::Ids { alone: false, .. } => "a list of token ids",
            Self::Sequences => "a list of lists of token ids",
            Self::SequenceBias => "a list of pairs, each a list of token ids and a number",
            Self::LogitBias => "a list of pairs, each a token id and a number",
            Self::Decay => "a pair of a whole number, at least 0, and a number",
            Self::Samplers => "a list of names of samplers",
            Self::Text { .. } | Self::File => "a text",
            Self::Texts(_) => "a text or a list of texts",
            Self::OneOf(choices) => {
                let quoted = |choice: &Choice| match choice.value() {
                    KnobValue::Text(name) => format!("{name:?}"),
                    _ => choice.name.to_owned(),
                };
                return in_words(&choices.iter().map(quoted).collect::<Vec<_>>());
            }
            Self::Number(_) => "a number",
            Self::Json => "an object",
        };
        plain.to_owned()
    }
}

/// `0 (off), 1 or 2`.
fn listed(choices: &[Choice]) -> String {
    let one = |choice: &Choice| match choice.note {
        "" => choice.name.to_owned(),
        note => format!("{} ({note})", choice.name),
    };
    in_words(&choices.iter().map(one).collect::<Vec<_>>())
}

fn in_words(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}
