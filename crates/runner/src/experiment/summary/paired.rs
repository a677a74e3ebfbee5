//! Two settings over the same prompts and seeds.

use serde::{Deserialize, Serialize};
use taper_sampling::DrawKey;

use super::Summary;
use super::bootstrap::{Estimate, estimates};
use super::facts::{Facts, METRICS, Values};
use super::markdown::{Lines, shorten, with_interval};

/// Metrics whose differences are shown.
const SHOWN: [&str; 6] = ["nll", "entropy", "drawn_entropy", "drawn_kl", "distinct_2", "length"];

/// How one setting differs from another over the same prompts and seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Paired {
    /// The settings, by index: differences are the second less the first.
    pub settings: (usize, usize),
    /// Runs of the same prompt and seed, two and two; a control has one run for each prompt, which goes
    /// with all seeds.
    pub pairs: usize,
    /// The mean difference of each of the [`METRICS`], in that order, with the interval of a bootstrap
    /// over the pairs, each prompt's among themselves.
    pub differences: [Option<Estimate>; METRICS.len()],
}

impl Summary {
    /// Compares two settings run by run, those that are held whole; `None` without a common prompt and
    /// seed.
    pub fn paired(&self, a: usize, b: usize) -> Option<Paired> {
        let groups: Vec<Vec<Values>> = (0..self.manifest.prompts.len())
            .map(|prompt| {
                let runs = |setting| self.cells.get(&(prompt, setting)).into_iter().flatten();
                let control = |setting: usize| self.manifest.settings[setting].control;
                let alone = control(a) || control(b);
                let pairs = runs(a).flat_map(|one| runs(b).map(move |two| (one, two)));
                let pairs = pairs.filter(|(one, two)| alone || one.id.seed == two.id.seed);
                pairs.map(difference).collect()
            })
            .collect();
        let pairs = groups.iter().map(Vec::len).sum();
        let groups: Vec<Vec<&Values>> = groups.iter().map(|group| group.iter().collect()).collect();
        let key = DrawKey::new(a as u64).stream(1 << 32 | b as u64);
        (pairs > 0).then(|| Paired {
            settings: (a, b),
            pairs,
            differences: estimates(&groups, key),
        })
    }

    /// Each setting against the first.
    pub(super) fn paired_table(&self) -> String {
        let mut lines = Lines::new(&["setting", "less", "metric", "difference", "pairs"]);
        let label = |setting: usize| shorten(&self.manifest.settings[setting].label);
        let all = (1..self.manifest.settings.len()).filter_map(|setting| self.paired(0, setting));
        for paired in all {
            for name in SHOWN {
                let at = METRICS.iter().position(|known| *known == name);
                let Some(estimate) = at.and_then(|at| paired.differences[at]) else { continue };
                let (first, second) = paired.settings;
                let pairs = paired.pairs.to_string();
                let difference = with_interval(Some(estimate), 3);
                lines.push([label(second), label(first), name.to_owned(), difference, pairs]);
            }
        }
        lines.markdown()
            + "\nOver the same prompts and seeds. Intervals: 95 %, by bootstrap over the pairs, from 8 on.\n"
    }
}

fn difference((a, b): (&Facts, &Facts)) -> Values {
    let mut values = Values::default();
    for (value, (a, b)) in values.iter_mut().zip(a.metrics.iter().zip(&b.metrics)) {
        *value = a.zip(*b).map(|(a, b)| b - a);
    }
    values
}
