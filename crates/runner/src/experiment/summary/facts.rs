//! What the summary needs to know of a run.

use std::collections::{HashMap, HashSet};

use super::outputs::identity;
use crate::experiment::record::{Record, RunId, StepRecord};

/// The numbers that each run has one of, in the order of [`Row::metrics`](super::Row::metrics):
///
/// - `length`: tokens generated;
/// - `kept`: tokens that could have been chosen, on average over the steps;
/// - `entropy` (nats): of the model's own distribution, on average over the steps;
/// - `nll` (nats per token): mean negative log-probability under the model itself;
/// - `distinct_1`, `distinct_2`, `distinct_3`: n-grams of tokens that are different, as a share of all;
/// - `repetition`: 4-grams of tokens that occurred before in the text, as a share of all (seq-rep-4 of
///   Welleck et al. 2019, <https://arxiv.org/abs/1908.04319>);
/// - `drawn_entropy` (nats): of the distribution that tokens were chosen from, on average over the steps;
/// - `drawn_kl` (nats): its divergence from the model's own, on average over the steps that have one;
/// - `total_logprob` (nats): the log-probability of the text under the model itself;
/// - `perplexity`: `exp(nll)`;
/// - `ties`: steps at which equal scores met the boundary of a stage.
pub const METRICS: [&str; 13] = [
    "length",
    "kept",
    "entropy",
    "nll",
    "distinct_1",
    "distinct_2",
    "distinct_3",
    "repetition",
    "drawn_entropy",
    "drawn_kl",
    "total_logprob",
    "perplexity",
    "ties",
];

/// Steps of a run whose kept sets are shown one by one.
pub(super) const STEPS_SHOWN: usize = 20;

/// The [`METRICS`] of one run.
pub(super) type Values = [Option<f64>; METRICS.len()];

/// A run that is held whole.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) id: RunId,
    pub(super) metrics: Values,
    /// Of the first steps.
    pub(super) kept: Vec<Option<usize>>,
    pub(super) tokens: Vec<u32>,
    pub(super) text: String,
    /// The words of the text by number, ascending, each once.
    pub(super) words: Vec<u32>,
}

/// Gives each word a number.
#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: HashMap<String, u32>,
}

impl Words {
    /// The words of a text, without regard to how often; for a model without text its tokens.
    pub(super) fn of(&mut self, record: &Record) -> Vec<u32> {
        let mut words: Vec<u32> = if record.text.is_empty() {
            record.tokens.clone()
        } else {
            plain_words(&record.text).map(|word| self.number(&word)).collect()
        };
        words.sort_unstable();
        words.dedup();
        words
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(word.to_owned(), number);
        number
    }
}

/// The words of a text, in lower case and without the punctuation around them.
fn plain_words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split_whitespace();
    let words = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
    words.filter(|word| !word.is_empty())
}

impl Facts {
    pub(super) fn of(record: &Record, metrics: Values, words: &mut Words) -> Self {
        Self {
            id: record.id,
            metrics,
            kept: record.steps.iter().take(STEPS_SHOWN).map(|step| step.kept).collect(),
            tokens: identity(record),
            text: record.text.clone(),
            words: words.of(record),
        }
    }
}

/// Tokens of a run: those that are there, or as many as the engine says.
fn length(record: &Record) -> Option<f64> {
    match (&record.engine, record.tokens.is_empty()) {
        (Some(engine), true) => engine["completion_tokens"].as_f64(),
        _ => Some(record.tokens.len() as f64),
    }
}

/// The [`METRICS`] of a run, in that order; `None` for what it has no value of.
pub fn metrics(record: &Record) -> [Option<f64>; METRICS.len()] {
    if let Some(left_out) = &record.steps_left_out {
        return METRICS.map(|name| left_out.metrics.get(name).copied());
    }
    let steps = &record.steps;
    let drawn = || steps.iter().filter_map(|step| step.drawn.as_ref());
    let tied = |step: &StepRecord| step.stages.iter().any(|stage| stage.ties > 0);
    let traced = steps.iter().any(|step| !step.stages.is_empty());
    [
        length(record),
        mean(steps.iter().filter_map(|step| step.kept).map(|kept| kept as f64)),
        mean(steps.iter().filter_map(|step| step.entropy)),
        record.mean_nll(),
        distinct(&record.tokens, 1),
        distinct(&record.tokens, 2),
        distinct(&record.tokens, 3),
        distinct(&record.tokens, 4).map(|share| 1.0 - share),
        mean(drawn().filter_map(|drawn| drawn.entropy)),
        mean(drawn().filter_map(|drawn| drawn.kl)),
        record.mean_nll().map(|nll| -nll * record.steps.len() as f64),
        record.mean_nll().map(f64::exp),
        traced.then(|| steps.iter().filter(|step| tied(step)).count() as f64),
    ]
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}

/// The share of the n-grams that are different from all before; `None` where there are none.
fn distinct(tokens: &[u32], n: usize) -> Option<f64> {
    let all = tokens.len().checked_sub(n - 1).filter(|&all| all > 0)?;
    let different: HashSet<&[u32]> = tokens.windows(n).collect();
    Some(different.len() as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_without_case_and_punctuation() {
        let words: Vec<String> =
            plain_words("\u{201c}Don't,\u{201d} SAID the\ncat \u{2014} twice!").collect();
        assert_eq!(words, ["don't", "said", "the", "cat", "twice"]);
    }

    #[test]
    fn n_grams_are_counted_as_the_definition_says() {
        let tokens = [1, 2, 1, 2, 1];
        assert_eq!(distinct(&tokens, 1), Some(2.0 / 5.0));
        assert_eq!(distinct(&tokens, 2), Some(2.0 / 4.0));
        assert_eq!(distinct(&tokens, 4), Some(1.0));
        assert_eq!(distinct(&tokens, 5), Some(1.0));
        assert_eq!(distinct(&tokens, 6), None);
        assert_eq!(distinct(&[], 1), None);
    }
}
