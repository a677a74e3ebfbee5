//! What the records of an experiment say together.

mod bootstrap;
mod csv;
mod exports;
mod facts;
mod jaccard;
mod markdown;
mod paired;
mod steps;

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use taper_models::files::{FileError, write_file};
use taper_sampling::DrawKey;

pub use self::bootstrap::Estimate;
use self::bootstrap::estimates;
pub use self::exports::write_exports;
use self::facts::{Facts, Words};
pub use self::facts::{METRICS, metrics};
pub use self::jaccard::Spread;
use self::jaccard::{Spreading, between, within};
pub use self::paired::Paired;
use super::folder::FolderError;
use super::manifest::Manifest;
use super::record::Record;
use super::records::{RECORDS, RecordsError, Repeated, SUMMARY, Seen, each_line};

/// Pairs of settings that are compared; of more settings, each with the first alone.
const SETTINGS_COMPARED: usize = 40;

/// The records of an experiment, summed up.
///
/// Similarity of texts is Jaccard's: words in both over words in either, without case and punctuation, of texts that continue the same
/// prompt. Of more than 300 runs of one prompt and setting the first 300 are compared.
#[derive(Debug)]
#[non_exhaustive]
pub struct Summary {
    /// What the records are of.
    pub manifest: Manifest,
    /// For each setting a row over all prompts, in the order of the manifest; then, with several prompts,
    /// one for each prompt and setting. Those without a run are left out.
    pub rows: Vec<Row>,
    /// For each two settings, how much their texts have in common.
    pub between: Vec<Between>,
    /// What was left out because its run is there already.
    pub repeated: Repeated,
    /// By prompt and setting, in canonical order.
    cells: BTreeMap<(usize, usize), Vec<Facts>>,
    /// The first run of each prompt and setting.
    firsts: Vec<Record>,
}

/// What the runs of a setting say together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// Index of the setting.
    pub setting: usize,
    /// Index of the prompt; `None` for all prompts.
    pub prompt: Option<usize>,
    /// Runs.
    pub runs: usize,
    /// Runs whose model or sampler failed.
    pub failed: usize,
    /// Different outputs, token by token; over all prompts, the sum of each prompt's.
    pub unique: usize,
    /// Different outputs whatever their prompt.
    pub unique_overall: usize,
    /// Prompts that there are runs of.
    pub prompts: usize,
    /// Similarity of two texts of this setting; `None` with fewer than two.
    pub jaccard_within: Option<Spread>,
    /// Similarity of a text of this setting and one of another, the control among them.
    pub jaccard_between: Option<Spread>,
    /// How many tokens could be chosen, over all steps.
    pub kept: Option<(usize, usize)>,
    /// The [`METRICS`], in that order; `None` where no run has a value.
    pub metrics: [Option<Estimate>; METRICS.len()],
    /// How often the runs ended for which reason.
    pub finish_reasons: BTreeMap<String, usize>,
    /// Tokens over the time of their passes and choices. Runs at the same time share the machine.
    pub tokens_per_s: Option<f64>,
    /// The share of the time that went into choosing tokens.
    pub sampler_share: Option<f64>,
}

/// How much the texts of two settings have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Between {
    /// The settings, by index.
    pub settings: (usize, usize),
    /// Similarity of a text of one and a text of the other.
    pub jaccard: Spread,
}

impl Row {
    /// A metric by its name in [`METRICS`].
    pub fn metric(&self, name: &str) -> Option<Estimate> {
        METRICS.iter().position(|known| *known == name).and_then(|at| self.metrics[at])
    }
}

impl Summary {
    /// Sums up the records of a folder, one at a time: it may hold more than fits into memory.
    ///
    /// # Errors
    ///
    /// As [`Records::read`](super::Records::read).
    pub fn read(dir: impl AsRef<Path>) -> Result<Self, RecordsError> {
        let dir = dir.as_ref();
        let manifest = Manifest::read(dir)?;
        let mut collected = Collected::default();
        each_line(&dir.join(RECORDS), |line| {
            collected.add(serde_json::from_str(line)?);
            Ok(())
        })?;
        Ok(collected.summary(manifest))
    }

    /// Sums up records.
    pub fn of(manifest: Manifest, records: impl IntoIterator<Item = Record>) -> Self {
        let mut collected = Collected::default();
        records.into_iter().for_each(|record| collected.add(record));
        collected.summary(manifest)
    }

    /// The row of a setting over all prompts, by its label.
    pub fn row(&self, label: &str) -> Option<&Row> {
        let setting = self.manifest.settings.iter().position(|setting| setting.label == label)?;
        self.rows.iter().find(|row| row.setting == setting && row.prompt.is_none())
    }

    /// Writes the rows into the folder, as `summary.csv`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_csv(&self, dir: impl AsRef<Path>) -> Result<(), FolderError> {
        let path = dir.as_ref().join(SUMMARY);
        let table = self.csv();
        let table = table.map_err(|error| FileError::of_system(&path, error))?;
        write_file(&path, |sink| sink.write_all(&table))?;
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Collected {
    words: Words,
    cells: BTreeMap<(usize, usize), Vec<Facts>>,
    firsts: Vec<Record>,
    seen: Seen,
}

impl Collected {
    /// A run counts once.
    fn add(&mut self, record: Record) {
        if !self.seen.is_new(&record) {
            return;
        }
        let facts = Facts::of(&record, &mut self.words);
        self.cells.entry((record.id.prompt, record.id.setting)).or_default().push(facts);
        if record.id.seed == 0 {
            self.firsts.push(record);
        }
    }

    fn summary(mut self, manifest: Manifest) -> Summary {
        self.cells.values_mut().for_each(|runs| runs.sort_by_key(|facts| facts.id));
        self.firsts.sort_by_key(|record| record.id);
        let (settings, prompts) = (manifest.settings.len(), manifest.prompts.len());
        let between = self.between(settings, prompts);
        let of_prompts = (0..prompts).filter(move |_| prompts > 1).map(Some);
        let prompts = std::iter::once(None).chain(of_prompts);
        let rows = prompts
            .flat_map(|prompt| (0..settings).map(move |setting| (prompt, setting)))
            .filter_map(|(prompt, setting)| self.row(prompt, setting, settings))
            .collect();
        let repeated = self.seen.repeated;
        Summary { manifest, rows, between, repeated, cells: self.cells, firsts: self.firsts }
    }

    fn cell(&self, prompt: usize, setting: usize) -> Vec<&Facts> {
        self.cells.get(&(prompt, setting)).into_iter().flatten().collect()
    }

    fn between(&self, settings: usize, prompts: usize) -> Vec<Between> {
        let mut all = Vec::new();
        let firsts = if settings > SETTINGS_COMPARED { 1 } else { settings };
        for a in 0..firsts {
            for b in a + 1..settings {
                let mut spreading = Spreading::default();
                for prompt in 0..prompts {
                    between(&self.cell(prompt, a), &self.cell(prompt, b), &mut spreading);
                }
                let found = spreading.spread();
                all.extend(found.map(|jaccard| Between { settings: (a, b), jaccard }));
            }
        }
        all
    }

    fn row(&self, prompt: Option<usize>, setting: usize, settings: usize) -> Option<Row> {
        let cells = self
            .cells
            .iter()
            .filter(|((of, by), _)| *by == setting && prompt.is_none_or(|prompt| prompt == *of));
        let cells: Vec<_> = cells.map(|((of, _), runs)| (*of, runs)).collect();
        let runs = || cells.iter().flat_map(|(_, runs)| runs.iter());
        let all = runs().count();
        if all == 0 {
            return None;
        }
        let (mut inside, mut outside) = (Spreading::default(), Spreading::default());
        let compared = if settings > SETTINGS_COMPARED { 1 } else { settings };
        for (prompt, runs) in &cells {
            let runs: Vec<&Facts> = runs.iter().collect();
            within(&runs, &mut inside);
            for other in (0..compared).filter(|&other| other != setting) {
                between(&runs, &self.cell(*prompt, other), &mut outside);
            }
        }
        let unique = cells
            .iter()
            .map(|(_, runs)| runs.iter().map(|facts| &facts.tokens).collect::<HashSet<_>>().len());
        let groups: Vec<Vec<_>> = cells
            .iter()
            .map(|(_, runs)| runs.iter().map(|facts| &facts.metrics).collect())
            .collect();
        let key = DrawKey::new(prompt.map_or(0, |prompt| prompt as u64 + 1)).stream(setting as u64);
        let mut finish_reasons = BTreeMap::new();
        for facts in runs() {
            *finish_reasons.entry(facts.finish.name().to_owned()).or_insert(0) += 1;
        }
        let sum = |of: fn(&Facts) -> f64| runs().map(of).sum::<f64>();
        let ratio = |a: f64, b: f64| (a > 0.0 && b > 0.0).then(|| a / b);
        let least = runs().filter_map(|facts| facts.kept_least).min();
        Some(Row {
            setting,
            prompt,
            runs: all,
            failed: runs().filter(|facts| facts.failed).count(),
            unique: unique.sum(),
            unique_overall: runs().map(|facts| &facts.tokens).collect::<HashSet<_>>().len(),
            prompts: cells.len(),
            jaccard_within: inside.spread(),
            jaccard_between: outside.spread(),
            kept: least.zip(runs().filter_map(|facts| facts.kept_most).max()),
            metrics: estimates(&groups, key),
            finish_reasons,
            tokens_per_s: ratio(sum(|facts| facts.decoded), sum(|facts| facts.busy)),
            sampler_share: ratio(sum(|facts| facts.sampler), sum(|facts| facts.all)),
        })
    }
}
