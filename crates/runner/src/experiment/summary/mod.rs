//! What the records of an experiment say together.

mod bootstrap;
mod cell;
mod csv;
mod exports;
mod facts;
mod jaccard;
mod markdown;
mod outputs;
mod paired;
mod rows;
mod steps;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use taper_models::files::{FileError, write_file};

pub use self::bootstrap::Estimate;
use self::cell::{Cell, held_of_each};
pub use self::exports::write_exports;
use self::facts::{Facts, Words};
pub use self::facts::{METRICS, metrics};
pub use self::jaccard::Spread;
pub use self::paired::Paired;
use self::rows::{CellTotals, Rows};
use super::folder::FolderError;
use super::manifest::Manifest;
use super::record::{Record, RunId};
use super::records::{RECORDS, RecordsError, Repeated, SUMMARY, Seen, each_line};

/// The records of an experiment, summed up.
///
/// Similarity of texts is Jaccard's: words in both over words in either, without case and punctuation, of texts that continue the same
/// prompt. Of more than 300 runs of one prompt and setting the first 300 are compared.
///
/// Memory does not grow with the number of runs but with that of prompts and settings, and by four bytes a
/// run that tell a record of a run that is there already: see [`Row::sampled`].
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
    /// By prompt and setting, in canonical order: the first runs of each.
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
    /// Whether these are more runs than are held whole, 32768 over all prompts and settings. Numbers of
    /// different outputs beyond 4096 are then estimates (1.6 %), intervals those of the normal
    /// distribution, and the first runs of each prompt and setting alone are compared as texts; the rest
    /// is of all runs.
    #[serde(default)]
    pub sampled: bool,
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
        let mut collected = Collected::of(&manifest);
        each_line(&dir.join(RECORDS), |line| {
            collected.add(serde_json::from_str(line)?);
            Ok(())
        })?;
        Ok(collected.summary(manifest))
    }

    /// Sums up records.
    pub fn of(manifest: Manifest, records: impl IntoIterator<Item = Record>) -> Self {
        let mut collected = Collected::of(&manifest);
        records.into_iter().for_each(|record| collected.add(record));
        collected.summary(manifest)
    }

    /// The row of a setting over all prompts, by its label.
    pub fn row(&self, label: &str) -> Option<&Row> {
        let setting = self.manifest.settings.iter().position(|setting| setting.label == label)?;
        self.rows.iter().find(|row| row.setting == setting && row.prompt.is_none())
    }

    /// Runs, all prompts and settings together.
    pub fn runs(&self) -> usize {
        self.overall().map(|row| row.runs).sum()
    }

    /// Runs whose model or sampler failed.
    pub fn failed(&self) -> usize {
        self.overall().map(|row| row.failed).sum()
    }

    fn overall(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.prompt.is_none())
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

/// First runs of a prompt and a setting that are held with their steps.
const FIRSTS: usize = 1000;

#[derive(Debug)]
struct Collected {
    words: Words,
    cells: BTreeMap<(usize, usize), Cell>,
    /// Runs of each prompt and setting that are held whole.
    most: usize,
    firsts: BTreeMap<RunId, Record>,
    seen: Seen,
}

impl Collected {
    fn of(manifest: &Manifest) -> Self {
        Self {
            words: Words::default(),
            cells: BTreeMap::new(),
            most: held_of_each(manifest),
            firsts: BTreeMap::new(),
            seen: Seen::of(manifest),
        }
    }

    /// A run counts once.
    fn add(&mut self, record: Record) {
        if !self.seen.is_new(&record) {
            return;
        }
        let cell = self.cells.entry((record.id.prompt, record.id.setting)).or_default();
        cell.add(&record, &mut self.words, self.most);
        if record.id.seed == 0 {
            self.firsts.insert(record.id, record);
            if self.firsts.len() > FIRSTS {
                self.firsts.pop_last();
            }
        }
    }

    fn summary(self, manifest: Manifest) -> Summary {
        let Self { cells, firsts, seen, .. } = self;
        let (mut totals, mut held) = (BTreeMap::new(), BTreeMap::new());
        for (at, cell) in cells {
            totals.insert(at, CellTotals::of(&cell));
            held.insert(at, cell.held.into_values().collect());
        }
        let (settings, prompts) = (manifest.settings.len(), manifest.prompts.len());
        let rows = Rows { settings, prompts, held: &held, totals: &totals };
        let (between, rows) = (rows.between(), rows.all());
        let (repeated, firsts) = (seen.repeated, firsts.into_values().collect());
        Summary { manifest, rows, between, repeated, cells: held, firsts }
    }
}
