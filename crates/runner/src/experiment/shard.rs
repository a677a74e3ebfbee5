//! A part of an experiment, for one of several machines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::record::RunId;

/// Which part of an experiment: the `index`-th of `of`, from 1.
///
/// Runs are dealt out in their canonical order, one to each shard in turn, and every round begins one
/// shard later than the round before. So shards differ by one run at most, and no shard gets all runs
/// of one setting where the number of settings or seeds divides by `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shard {
    index: usize,
    of: usize,
}

/// Why a text names no [`Shard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be I/N with I in 1..=N, such as 2/8")]
pub struct ShardError;

impl Shard {
    /// The whole of an experiment.
    pub(super) const WHOLE: Self = Self { index: 1, of: 1 };

    /// The `index`-th of `of` shards.
    ///
    /// # Errors
    ///
    /// When `index` is not in `1..=of`.
    pub fn new(index: usize, of: usize) -> Result<Self, ShardError> {
        if (1..=of).contains(&index) { Ok(Self { index, of }) } else { Err(ShardError) }
    }

    /// Which, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// Of how many.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether it has the run of this number in the canonical order, from 0.
    pub fn has(self, run: usize) -> bool {
        (run % self.of + (run / self.of) % self.of) % self.of == self.index - 1
    }

    /// How many of so many runs it has.
    pub fn count(self, runs: usize) -> usize {
        let (rounds, rest) = (runs / self.of, runs % self.of);
        let place = (self.index - 1 + self.of - rounds % self.of) % self.of;
        rounds + usize::from(place < rest)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, of) = text.trim().split_once('/').ok_or(ShardError)?;
        let number = |text: &str| text.trim().parse().map_err(|_| ShardError);
        Self::new(number(index)?, number(of)?)
    }
}

impl Manifest {
    /// How many runs this folder is to hold: all, or those of its shard.
    pub fn runs_here(&self) -> usize {
        self.shard.unwrap_or(Shard::WHOLE).count(self.runs)
    }

    /// The same experiment with the runs of one shard alone.
    #[must_use]
    pub fn with_shard(self, shard: Option<Shard>) -> Self {
        Self { shard, ..self }
    }
}

/// The numbers of runs in the canonical order.
#[derive(Debug)]
pub(super) struct Order {
    prompts: usize,
    /// For each setting, the runs of a prompt before it, and how many it has.
    settings: Vec<(usize, usize)>,
    of_prompt: usize,
}

impl Order {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let mut of_prompt = 0;
        let settings = manifest.settings.iter().map(|setting| {
            let (before, runs) =
                (of_prompt, if setting.control { 1 } else { manifest.seeds.len() });
            of_prompt += runs;
            (before, runs)
        });
        Self { prompts: manifest.prompts.len(), settings: settings.collect(), of_prompt }
    }

    /// The number of a run, from 0; `None` if it is no run of the manifest.
    pub(super) fn number(&self, id: RunId) -> Option<usize> {
        let &(before, runs) = self.settings.get(id.setting)?;
        let known = id.prompt < self.prompts && id.seed < runs;
        known.then(|| id.prompt * self.of_prompt + before + id.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_one_shard_and_shards_differ_by_one_run() {
        for (of, runs) in [(1, 7), (2, 0), (2, 9), (3, 100), (7, 100), (12, 5)] {
            let shards: Vec<Shard> = (1..=of).map(|index| Shard::new(index, of).unwrap()).collect();
            for run in 0..runs {
                assert_eq!(shards.iter().filter(|shard| shard.has(run)).count(), 1);
            }
            for shard in shards {
                let has = (0..runs).filter(|&run| shard.has(run)).count();
                assert_eq!(has, shard.count(runs), "{shard} of {runs}");
                assert!((runs / of..=runs.div_ceil(of)).contains(&has));
            }
        }
    }

    #[test]
    fn settings_are_dealt_out_where_their_number_divides() {
        // Two settings with one seed each, on two machines: each has both.
        let shard = Shard::new(1, 2).unwrap();
        let of_setting = |setting| (0..40).filter(move |run| run % 2 == setting && shard.has(*run));
        assert_eq!((of_setting(0).count(), of_setting(1).count()), (10, 10));
    }

    #[test]
    fn a_shard_is_read_as_it_is_written() {
        assert_eq!("2/8".parse(), Shard::new(2, 8));
        assert_eq!(Shard::new(2, 8).unwrap().to_string(), "2/8");
        for wrong in ["3/2", "0/2", "x/y", "1", "1/0", "", "-1/2", "1/2/3", "1.5/2"] {
            assert_eq!(wrong.parse::<Shard>(), Err(ShardError), "{wrong}");
        }
    }
}
