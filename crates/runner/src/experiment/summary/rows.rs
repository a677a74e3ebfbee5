//! What the runs of a setting say together.

use std::collections::{BTreeMap, HashSet};

use taper_sampling::DrawKey;

use super::bootstrap::{Estimate, estimates, of_moments};
use super::cell::{Cell, Totals};
use super::facts::{Facts, METRICS};
use super::jaccard::{Spreading, between, within};
use super::outputs::Outputs;
use super::{Between, Row};

/// Pairs of settings that are compared; of more settings, each with the first alone.
const SETTINGS_COMPARED: usize = 40;

/// What is known of all runs of a prompt and a setting.
#[derive(Debug)]
pub(super) struct CellTotals {
    totals: Totals,
    outputs: Outputs,
    unique: usize,
    /// Whether all of the runs are held.
    whole: bool,
}

impl CellTotals {
    pub(super) fn of(cell: &Cell) -> Self {
        let (unique, whole) = (cell.unique(), cell.is_whole());
        Self { totals: cell.totals.clone(), outputs: cell.outputs.clone(), unique, whole }
    }
}

/// What rows are made of.
pub(super) struct Rows<'c> {
    pub(super) settings: usize,
    pub(super) prompts: usize,
    /// The first runs of each prompt and setting.
    pub(super) held: &'c BTreeMap<(usize, usize), Vec<Facts>>,
    pub(super) totals: &'c BTreeMap<(usize, usize), CellTotals>,
}

impl Rows<'_> {
    /// Those over all prompts, then those of each of several.
    pub(super) fn all(&self) -> Vec<Row> {
        let of_prompts = (0..self.prompts).filter(|_| self.prompts > 1).map(Some);
        std::iter::once(None)
            .chain(of_prompts)
            .flat_map(|prompt| (0..self.settings).map(move |setting| (prompt, setting)))
            .filter_map(|(prompt, setting)| self.row(prompt, setting))
            .collect()
    }

    pub(super) fn between(&self) -> Vec<Between> {
        let mut all = Vec::new();
        let firsts = if self.settings > SETTINGS_COMPARED { 1 } else { self.settings };
        for a in 0..firsts {
            for b in a + 1..self.settings {
                let mut spreading = Spreading::default();
                for prompt in 0..self.prompts {
                    between(&self.runs(prompt, a), &self.runs(prompt, b), &mut spreading);
                }
                let found = spreading.spread();
                all.extend(found.map(|jaccard| Between { settings: (a, b), jaccard }));
            }
        }
        all
    }

    fn runs(&self, prompt: usize, setting: usize) -> Vec<&Facts> {
        self.held.get(&(prompt, setting)).into_iter().flatten().collect()
    }

    fn row(&self, prompt: Option<usize>, setting: usize) -> Option<Row> {
        let prompts = prompt.map_or(0..self.prompts, |prompt| prompt..prompt + 1);
        let cells: Vec<(usize, &CellTotals)> = prompts
            .filter_map(|prompt| Some((prompt, self.totals.get(&(prompt, setting))?)))
            .collect();
        let mut all = Totals::default();
        for (_, cell) in &cells {
            all.and(&cell.totals);
        }
        if all.runs == 0 {
            return None;
        }
        let (mut inside, mut outside) = (Spreading::default(), Spreading::default());
        let compared = if self.settings > SETTINGS_COMPARED { 1 } else { self.settings };
        for &(prompt, _) in &cells {
            let runs = self.runs(prompt, setting);
            within(&runs, &mut inside);
            for other in (0..compared).filter(|&other| other != setting) {
                between(&runs, &self.runs(prompt, other), &mut outside);
            }
        }
        let key = DrawKey::new(prompt.map_or(0, |prompt| prompt as u64 + 1)).stream(setting as u64);
        let reasons = all.finish_reasons.iter().map(|(name, count)| ((*name).to_owned(), *count));
        let ratio = |a: f64, b: f64| (a > 0.0 && b > 0.0).then(|| a / b);
        Some(Row {
            setting,
            prompt,
            runs: all.runs,
            failed: all.failed,
            unique: cells.iter().map(|(_, cell)| cell.unique).sum(),
            unique_overall: self.unique_overall(&cells, setting),
            prompts: cells.len(),
            jaccard_within: inside.spread(),
            jaccard_between: outside.spread(),
            kept: all.kept,
            metrics: self.estimates(&cells, setting, key),
            finish_reasons: reasons.collect(),
            tokens_per_s: ratio(all.decoded, all.busy),
            sampler_share: ratio(all.sampler, all.all),
            sampled: cells.iter().any(|(_, cell)| !cell.whole),
        })
    }

    fn estimates(
        &self,
        cells: &[(usize, &CellTotals)],
        setting: usize,
        key: DrawKey,
    ) -> [Option<Estimate>; METRICS.len()] {
        if cells.iter().any(|(_, cell)| !cell.whole) {
            return std::array::from_fn(|metric| {
                of_moments(&cells.iter().map(|(_, cell)| cell.totals.moments[metric]))
            });
        }
        let group = |prompt| self.held.get(&(prompt, setting)).into_iter().flatten();
        let groups: Vec<Vec<_>> = cells
            .iter()
            .map(|&(prompt, _)| group(prompt).map(|facts| &facts.metrics).collect())
            .collect();
        estimates(&groups, key)
    }

    fn unique_overall(&self, cells: &[(usize, &CellTotals)], setting: usize) -> usize {
        if cells.iter().all(|(_, cell)| cell.whole) {
            let runs = cells.iter().flat_map(|&(prompt, _)| self.runs(prompt, setting));
            return runs.map(|facts| &facts.tokens).collect::<HashSet<_>>().len();
        }
        let mut outputs = Outputs::default();
        for (_, cell) in cells {
            outputs.and(&cell.outputs);
        }
        outputs.count()
    }
}
