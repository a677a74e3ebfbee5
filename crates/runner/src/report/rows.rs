//! The table of settings: the summary's rows over all prompts.

use serde::Serialize;

use super::data::short;
use crate::experiment::{Estimate, METRICS, Summary};

/// A number that each run has.
#[derive(Debug, Serialize)]
pub(super) struct Measure {
    name: &'static str,
    about: &'static str,
}

/// What the [`METRICS`] are.
const ABOUT: [&str; METRICS.len()] = [
    "tokens generated",
    "mean number of tokens that could have been chosen",
    "mean entropy of the model's own distribution, in nats",
    "mean negative log-probability of a token under the model itself, in nats",
    "different tokens, as a share of all",
    "different pairs of tokens, as a share of all",
    "different sequences of three tokens, as a share of all",
    "sequences of four tokens that stood in the text before, as a share of all",
    "entropy (nats) of the distribution that tokens were chosen from, on average over the steps",
    "its divergence (nats) from the model's own, on average over the steps",
    "log-probability (nats) of the text under the model itself",
    "perplexity of the text under the model itself",
    "steps at which equal scores met the boundary of a stage",
];

pub(super) fn measures() -> Vec<Measure> {
    METRICS.iter().zip(ABOUT).map(|(name, about)| Measure { name, about }).collect()
}

/// A setting's runs, all prompts together.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    setting: usize,
    runs: usize,
    /// Different texts, each prompt by itself, added up.
    unique: usize,
    /// Mean Jaccard similarity of two texts that continue one prompt.
    within: Option<f64>,
    /// The same of a text and the control's.
    control: Option<f64>,
    /// How the runs ended.
    finish: Vec<(String, usize)>,
    /// Per metric the mean, and its interval where there are runs enough.
    measures: Vec<Option<Interval>>,
}

/// A mean, and the ends of its interval.
type Interval = (f64, Option<(f64, f64)>);

/// A row for each setting that has runs.
pub(super) fn rows(summary: &Summary) -> Vec<Row> {
    let control = summary.manifest.settings.iter().position(|setting| setting.control);
    let to_control = |setting: usize| {
        let pair = |settings: (usize, usize)| {
            control == Some(settings.0) && setting == settings.1
                || control == Some(settings.1) && setting == settings.0
        };
        let found = summary.between.iter().find(|between| pair(between.settings));
        found.map(|between| short(between.jaccard.mean))
    };
    let over_all = summary.rows.iter().filter(|row| row.prompt.is_none());
    over_all
        .map(|row| Row {
            setting: row.setting,
            runs: row.runs,
            unique: row.unique,
            within: row.jaccard_within.map(|spread| short(spread.mean)),
            control: to_control(row.setting),
            finish: row.finish_reasons.clone().into_iter().collect(),
            measures: row.metrics.iter().map(|estimate| estimate.map(interval)).collect(),
        })
        .collect()
}

fn interval(estimate: Estimate) -> Interval {
    let ends = estimate.interval.map(|(low, high)| (short(low), short(high)));
    (short(estimate.mean), ends)
}
